module lab.invalid/runc-node

go 1.26.0
