module lab.invalid/rke2

go 1.26.0
