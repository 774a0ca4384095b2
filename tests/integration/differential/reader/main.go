// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Command reader reads requests and certificates as Kubernetes does: one JSON document a line in, one out.
package main

import (
	"bufio"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
)

type question struct {
	// request or certificates
	Kind string
	// PEM; base64 in JSON, since it may be any bytes.
	Data []byte
}

type answer struct {
	Error        string        `json:"error"`
	Request      *request      `json:"request"`
	Certificates []certificate `json:"certificates"`
}

type request struct {
	Subject    [][2]string `json:"subject"`
	Extensions []string    `json:"extensions"`
	Attributes int         `json:"attributes"`
	names
}

type certificate struct {
	CommonName  string `json:"common_name"`
	Issuer      string `json:"issuer"`
	NotBefore   int64  `json:"not_before"`
	NotAfter    int64  `json:"not_after"`
	Fingerprint string `json:"fingerprint"`
	Pin         string `json:"pin"`
	names
}

type names struct {
	DNSNames  []string `json:"dns_names"`
	Addresses []string `json:"addresses"`
	// How many names of other types there are.
	Others int `json:"others"`
}

func namesOf(dnsNames []string, addresses []net.IP, others int) names {
	found := names{DNSNames: append([]string{}, dnsNames...), Addresses: []string{}, Others: others}
	for _, address := range addresses {
		found.Addresses = append(found.Addresses, address.String())
	}
	return found
}

// readRequest is ParseCSR of Kubernetes' pkg/apis/certificates, which validation, approvers and signers use.
func readRequest(data []byte) (*request, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("PEM block type must be CERTIFICATE REQUEST")
	}
	parsed, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	found := &request{
		Subject:    [][2]string{},
		Extensions: []string{},
		Attributes: len(parsed.Attributes),
		names:      namesOf(parsed.DNSNames, parsed.IPAddresses, len(parsed.EmailAddresses)+len(parsed.URIs)),
	}
	for _, part := range parsed.Subject.Names {
		found.Subject = append(found.Subject, [2]string{part.Type.String(), fmt.Sprint(part.Value)})
	}
	for _, extension := range parsed.Extensions {
		found.Extensions = append(found.Extensions, extension.Id.String())
	}
	return found, nil
}

// readCertificates is ParseCertsPEM of client-go's util/cert.
func readCertificates(data []byte) ([]certificate, error) {
	found := []certificate{}
	for len(data) > 0 {
		var block *pem.Block
		block, data = pem.Decode(data)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" || len(block.Headers) != 0 {
			continue
		}
		parsed, err := x509.ParseCertificates(block.Bytes)
		if err != nil {
			return nil, err
		}
		for _, one := range parsed {
			whole, key := sha256.Sum256(one.Raw), sha256.Sum256(one.RawSubjectPublicKeyInfo)
			found = append(found, certificate{
				CommonName:  one.Subject.CommonName,
				Issuer:      one.Issuer.CommonName,
				NotBefore:   one.NotBefore.Unix(),
				NotAfter:    one.NotAfter.Unix(),
				Fingerprint: hex.EncodeToString(whole[:]),
				Pin:         "sha256:" + hex.EncodeToString(key[:]),
				names:       namesOf(one.DNSNames, one.IPAddresses, len(one.EmailAddresses)+len(one.URIs)),
			})
		}
	}
	return found, nil
}

func answerTo(asked question) answer {
	var given answer
	var err error
	switch asked.Kind {
	case "request":
		given.Request, err = readRequest(asked.Data)
	case "certificates":
		given.Certificates, err = readCertificates(asked.Data)
	default:
		err = fmt.Errorf("unknown kind %q", asked.Kind)
	}
	if err != nil {
		given.Error = err.Error()
	}
	return given
}

func run() error {
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	buffered := bufio.NewWriter(os.Stdout)
	out := json.NewEncoder(buffered)
	for in.More() {
		var asked question
		if err := in.Decode(&asked); err != nil {
			return err
		}
		if err := out.Encode(answerTo(asked)); err != nil {
			return err
		}
	}
	return buffered.Flush()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
