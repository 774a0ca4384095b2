// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// api asks this machine's API server.
type api struct {
	lock sync.Mutex
	http *http.Client
}

// A port of this machine, which tests move.
var apiAddress = "https://127.0.0.1:6443"

type statusError struct {
	code int
	text string
}

func (e statusError) Error() string { return e.text }

func isStatus(err error, code int) bool {
	wrong, known := err.(statusError)
	return known && wrong.code == code
}

func (a *api) client() (*http.Client, error) {
	a.lock.Lock()
	defer a.lock.Unlock()
	if a.http == nil {
		settings, err := mutualTLS("server-ca", "client-admin")
		if err != nil {
			return nil, err
		}
		a.http = &http.Client{Transport: &http.Transport{TLSClientConfig: settings}, Timeout: 20 * time.Second}
	}
	return a.http, nil
}

func (a *api) call(method, path, kind string, body, result any) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	text := []byte{}
	if body != nil {
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequest(method, apiAddress+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", kind)
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode >= 300 {
		return statusError{answer.StatusCode, fmt.Sprintf("%s %s: %s: %s", method, path, answer.Status, content)}
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(content, result)
}

func (a *api) get(path string, result any) error { return a.call("GET", path, "", nil, result) }

func (a *api) patch(path string, body any) error {
	return a.call("PATCH", path, "application/merge-patch+json", body, nil)
}

func (a *api) isReady() bool { return a.call("GET", "/readyz", "", nil, nil) == nil }

type metadata struct {
	Name              string            `json:"name"`
	Labels            map[string]string `json:"labels"`
	Annotations       map[string]string `json:"annotations"`
	Finalizers        []string          `json:"finalizers"`
	DeletionTimestamp string            `json:"deletionTimestamp"`
}

type kubeNode struct{ Metadata metadata }

func (a *api) nodes() ([]kubeNode, error) {
	var list struct{ Items []kubeNode }
	err := a.get("/api/v1/nodes", &list)
	return list.Items, err
}

// servers are the addresses of the API servers that live.
func (a *api) servers() ([]string, error) {
	var found struct {
		Subsets []struct {
			Addresses []struct{ IP string }
		}
	}
	if err := a.get("/api/v1/namespaces/default/endpoints/kubernetes", &found); err != nil {
		return nil, err
	}
	addresses := []string{}
	for _, subset := range found.Subsets {
		for _, one := range subset.Addresses {
			addresses = append(addresses, one.IP)
		}
	}
	return addresses, nil
}

func passwordSecret(name string) string {
	return "/api/v1/namespaces/kube-system/secrets/" + name + ".node-password.rke2"
}

// knows tells whether a node has its password; that of a new node is kept.
func (a *api) knows(name, password string) (bool, error) {
	path := passwordSecret(name)
	var secret struct{ Data map[string]string }
	err := a.get(path, &secret)
	if err == nil {
		kept, _ := base64.StdEncoding.DecodeString(secret.Data["hash"])
		salt, _, _ := strings.Cut(string(kept), ":")
		return subtle.ConstantTimeCompare(kept, []byte(salt+":"+digestOf(salt+password))) == 1, nil
	}
	if !isStatus(err, http.StatusNotFound) {
		return false, err
	}
	folder, file := path[:strings.LastIndex(path, "/")], path[strings.LastIndex(path, "/")+1:]
	salt := randomText(8)
	return true, a.call("POST", folder, "application/json", map[string]any{
		"apiVersion": "v1",
		"kind":       "Secret",
		"metadata":   map[string]string{"name": file},
		"stringData": map[string]string{"hash": salt + ":" + digestOf(salt+password)},
		"immutable":  true,
	}, nil)
}
