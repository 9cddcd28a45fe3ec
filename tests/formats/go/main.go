// Reader reads key formats, key stores and password hashes with Go's own libraries. It takes one question per line, as JSON, and answers
// each with a line: what it read, or why it could not.
package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/ssh"
	"keyturn.dev/answering"
	"software.sslmate.com/src/go-pkcs12"
)

// question names a reader, and what it reads.
type question struct {
	Reader   string `json:"reader"`
	File     []byte `json:"file"`
	Password string `json:"password"`
}

// content is what a reader found: a private key as PKCS#8 in DER, and certificates in DER.
type content struct {
	Key          []byte   `json:"key"`
	Certificates [][]byte `json:"certificates"`
}

var readers = map[string]func(question) (*content, error){
	"openssh":    readOpenSSH,
	"pkcs8":      readPKCS8,
	"pkcs12":     readPKCS12,
	"truststore": readTrustStore,
	"bcrypt":     checkHash,
}

func main() {
	answering.All(ask)
}

func ask(asked question) (any, error) {
	reader, known := readers[asked.Reader]
	if !known {
		return nil, fmt.Errorf("no reader is called %q", asked.Reader)
	}
	return reader(asked)
}

func readOpenSSH(asked question) (*content, error) {
	key, err := ssh.ParseRawPrivateKey(asked.File)
	if err != nil {
		return nil, err
	}
	if pointer, isPointer := key.(*ed25519.PrivateKey); isPointer {
		key = *pointer
	}
	return found(key)
}

func readPKCS8(asked question) (*content, error) {
	block, rest := pem.Decode(asked.File)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
		return nil, errors.New("not one block of a private key")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	return found(key)
}

func readPKCS12(asked question) (*content, error) {
	key, leaf, authorities, err := pkcs12.DecodeChain(asked.File, asked.Password)
	if err != nil {
		return nil, err
	}
	return found(key, append([]*x509.Certificate{leaf}, authorities...)...)
}

func readTrustStore(asked question) (*content, error) {
	certificates, err := pkcs12.DecodeTrustStore(asked.File, asked.Password)
	if err != nil {
		return nil, err
	}
	return found(nil, certificates...)
}

func checkHash(asked question) (*content, error) {
	return &content{}, bcrypt.CompareHashAndPassword(asked.File, []byte(asked.Password))
}

func found(key any, certificates ...*x509.Certificate) (*content, error) {
	read := &content{}
	for _, certificate := range certificates {
		read.Certificates = append(read.Certificates, certificate.Raw)
	}
	if key == nil {
		return read, nil
	}
	var err error
	read.Key, err = x509.MarshalPKCS8PrivateKey(key)
	return read, err
}
