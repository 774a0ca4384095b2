module tests.invalid/reader

go 1.26.0
