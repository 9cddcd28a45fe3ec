module keyturn.dev/format-reader

go 1.26.0

require (
	golang.org/x/crypto v0.58.0
	keyturn.dev/answering v0.0.0
	software.sslmate.com/src/go-pkcs12 v0.7.4
)

require golang.org/x/sys v0.49.0 // indirect

replace keyturn.dev/answering => ../../support/go
