// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var (
	bootstrapToken = regexp.MustCompile(`^[a-z0-9]{6}\.[a-z0-9]{16}$`)
	longToken      = regexp.MustCompile(`^K10([0-9a-f]{64})::([^:]+):(.+)$`)
)

// token is what machines join with: a password, perhaps with the hash of the CA and a user.
type token struct{ hash, user, password string }

func parseToken(text, user string) (token, error) {
	if found := longToken.FindStringSubmatch(text); found != nil {
		return token{found[1], found[2], found[3]}, nil
	}
	if strings.HasPrefix(text, "K10") {
		return token{}, errors.New("invalid token format")
	}
	if bootstrapToken.MatchString(text) && user == "server" {
		return token{}, errors.New("failed to normalize server token; must be in format K10<CA-HASH>::<USERNAME>:<PASSWORD> or <PASSWORD>")
	}
	return token{"", user, text}, nil
}

func (t token) long(authority []byte) string {
	return fmt.Sprintf("K10%s::%s:%s", digestOf(string(authority)), t.user, t.password)
}

// check compares the token's hash with a cluster's CA.
func (t token) check(authority []byte) error {
	if t.hash == "" {
		say("warning", "Cluster CA certificate is not trusted by the host CA bundle, but the token does not include a CA hash. Use the full token from the server's node-token file to enable Cluster CA validation.")
		return nil
	}
	if found := digestOf(string(authority)); found != t.hash {
		return fmt.Errorf("token CA hash does not match the Cluster CA certificate hash: %s != %s", t.hash, found)
	}
	return nil
}

func digestOf(text string) string {
	total := sha256.Sum256([]byte(text))
	return hex.EncodeToString(total[:])
}

func randomText(bytes int) string {
	content := make([]byte, bytes)
	_, _ = rand.Read(content)
	return hex.EncodeToString(content)
}

// secretFile returns the text of a file, which is made with a new secret where there is none.
func secretFile(path string, bytes int) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		made := randomText(bytes)
		return made, writeFile(path, made+"\n", 0o600)
	}
	return strings.TrimSpace(string(text)), err
}

// writeFile writes a file whole, and the folders above it.
func writeFile(path, text string, mode os.FileMode) error {
	if old, err := os.ReadFile(path); err == nil && string(old) == text {
		return os.Chmod(path, mode)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	fresh := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := os.WriteFile(fresh, []byte(text), mode); err != nil {
		return err
	}
	if err := os.Chmod(fresh, mode); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}
