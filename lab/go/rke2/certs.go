// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"slices"
	"time"
)

const (
	year    = 365 * 24 * time.Hour
	renewal = 90 * 24 * time.Hour
)

// All that servers share, below server: they get it from the server that they join.
var authorities = []string{"server-ca", "client-ca", "request-header-ca", "etcd/server-ca", "etcd/peer-ca"}

func sharedFiles() []string {
	found := []string{"tls/service.key", "cred/encryption-config.json"}
	for _, name := range authorities {
		found = append(found, "tls/"+name+".crt", "tls/"+name+".key")
	}
	return found
}

// leaf is a certificate of a server.
type leaf struct {
	file, authority, name, group string
	hosts                        []string
}

func newKey() (*ecdsa.PrivateKey, string) {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	der, _ := x509.MarshalECPrivateKey(key)
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

func asPEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func template(name, group string, age time.Duration) *x509.Certificate {
	number, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 62))
	subject := pkix.Name{CommonName: name}
	if group != "" {
		subject.Organization = []string{group}
	}
	now := time.Now().Add(-time.Minute)
	return &x509.Certificate{SerialNumber: number, Subject: subject, NotBefore: now, NotAfter: now.Add(age)}
}

// makeAuthorities makes what all servers share, where it is missing.
func makeAuthorities() error {
	for _, name := range authorities {
		path := data("server/tls", name)
		if _, err := os.Stat(path + ".crt"); err == nil {
			continue
		}
		key, text := newKey()
		own := template(fmt.Sprintf("rke2-%s@%d", name, time.Now().Unix()), "", 10*year)
		own.IsCA, own.BasicConstraintsValid = true, true
		own.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign
		der, err := x509.CreateCertificate(rand.Reader, own, own, key.Public(), key)
		if err != nil {
			return err
		}
		// The certificate comes last: where it is, its key is.
		if err := errors.Join(writeFile(path+".key", text, 0o600), writeFile(path+".crt", asPEM(der), 0o644)); err != nil {
			return err
		}
	}
	if _, err := os.Stat(data("server/tls/service.key")); err != nil {
		_, text := newKey()
		if err := writeFile(data("server/tls/service.key"), text, 0o600); err != nil {
			return err
		}
	}
	if _, err := os.Stat(data("server/cred/encryption-config.json")); err == nil {
		return nil
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret)
	text := fmt.Sprintf(`{"kind":"EncryptionConfiguration","apiVersion":"apiserver.config.k8s.io/v1","resources":[`+
		`{"resources":["secrets"],"providers":[{"aescbc":{"keys":[{"name":"aescbckey","secret":%q}]}},{"identity":{}}]}]}`,
		base64.StdEncoding.EncodeToString(secret))
	return writeFile(data("server/cred/encryption-config.json"), text, 0o600)
}

func readAuthority(name string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	certificate, err := readCertificate(data("server/tls", name+".crt"))
	if err != nil {
		return nil, nil, err
	}
	text, err := os.ReadFile(data("server/tls", name+".key"))
	if err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, nil, fmt.Errorf("no key in %s.key", name)
	}
	key, err := x509.ParseECPrivateKey(block.Bytes)
	return certificate, key, err
}

func readCertificate(path string) (*x509.Certificate, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("no certificate in %s", path)
	}
	return x509.ParseCertificate(block.Bytes)
}

// sign returns a certificate for a public key, by one of the authorities.
func sign(authority string, public any, name, group string, hosts []string) (string, error) {
	issuer, key, err := readAuthority(authority)
	if err != nil {
		return "", err
	}
	own := template(name, group, year)
	own.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	own.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if len(hosts) > 0 {
		own.ExtKeyUsage = append(own.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	own.DNSNames, own.IPAddresses = separated(hosts)
	der, err := x509.CreateCertificate(rand.Reader, own, issuer, public, key)
	return asPEM(der), err
}

func separated(hosts []string) (names []string, addresses []net.IP) {
	for _, host := range hosts {
		if address := net.ParseIP(host); address != nil {
			addresses = append(addresses, address)
		} else if !slices.Contains(names, host) {
			names = append(names, host)
		}
	}
	return names, addresses
}

// make writes the certificate and its key, unless they serve for 90 days and more.
func (l leaf) make() error {
	path := data("server/tls", l.file)
	if old, err := readCertificate(path + ".crt"); err == nil && l.serves(old) {
		return nil
	}
	key, text := newKey()
	made, err := sign(l.authority, key.Public(), l.name, l.group, l.hosts)
	if err != nil {
		return err
	}
	return errors.Join(writeFile(path+".key", text, 0o600), writeFile(path+".crt", made, 0o644))
}

func (l leaf) serves(old *x509.Certificate) bool {
	issuer, _, err := readAuthority(l.authority)
	if err != nil || old.CheckSignatureFrom(issuer) != nil || time.Until(old.NotAfter) < renewal {
		return false
	}
	return !slices.ContainsFunc(l.hosts, func(host string) bool { return old.VerifyHostname(host) != nil })
}

// kubeconfig returns one that leads to this machine's own port 6443, which is an API server or the way to one.
func kubeconfig(server, authority, certificate, key string) (string, error) {
	texts := map[string]string{}
	for _, path := range []string{authority, certificate, key} {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		texts[path] = base64.StdEncoding.EncodeToString(text)
	}
	return fmt.Sprintf(`apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: %s
    server: %s
  name: default
contexts:
- context:
    cluster: default
    user: default
  name: default
current-context: default
kind: Config
preferences: {}
users:
- name: default
  user:
    client-certificate-data: %s
    client-key-data: %s
`, texts[authority], server, texts[certificate], texts[key]), nil
}

// bundle returns all that servers share, as the text that another server gets.
func bundle() ([]byte, error) {
	files := map[string]string{}
	for _, name := range sharedFiles() {
		text, err := os.ReadFile(data("server", name))
		if err != nil {
			return nil, err
		}
		files[name] = string(text)
	}
	return json.Marshal(files)
}

func unbundle(text []byte) error {
	files := map[string]string{}
	if err := json.Unmarshal(text, &files); err != nil {
		return err
	}
	for _, name := range sharedFiles() {
		if files[name] == "" {
			return fmt.Errorf("bootstrap data has no %s", name)
		}
		if err := writeFile(data("server", name), files[name], 0o600); err != nil {
			return err
		}
	}
	return nil
}
