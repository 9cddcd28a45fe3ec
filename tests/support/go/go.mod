module keyturn.dev/answering

go 1.26.0
