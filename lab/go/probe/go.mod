module lab.invalid/probe

go 1.26.0
