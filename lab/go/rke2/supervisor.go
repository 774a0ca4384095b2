// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
)

const (
	joinPort     = "9345"
	nameHeader   = "Rke2-Node-Name"
	secretHeader = "Rke2-Node-Password"
)

// supervisor answers machines that join, on port 9345.
type supervisor struct {
	node   *node
	api    *api
	ready  atomic.Bool
	server string // the passwords
	agent  string
}

func (s *supervisor) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ping", func(response http.ResponseWriter, _ *http.Request) { fmt.Fprint(response, "pong") })
	mux.HandleFunc("GET /cacerts", func(response http.ResponseWriter, _ *http.Request) { s.file(response, "server-ca.crt") })
	mux.HandleFunc("GET /v1-rke2/readyz", s.of(s.readyz, "node", "server"))
	mux.HandleFunc("GET /v1-rke2/config", s.of(s.settings, "node", "server"))
	mux.HandleFunc("GET /v1-rke2/apiservers", s.of(s.apiservers, "node", "server"))
	for _, name := range []string{"client-ca.crt", "server-ca.crt"} {
		mux.HandleFunc("GET /v1-rke2/"+name, s.of(func(response http.ResponseWriter, _ *http.Request) {
			s.file(response, name)
		}, "node", "server"))
	}
	mux.HandleFunc("POST /v1-rke2/client-kubelet.crt", s.of(s.named(s.clientKubelet), "node", "server"))
	mux.HandleFunc("POST /v1-rke2/serving-kubelet.crt", s.of(s.named(s.servingKubelet), "node", "server"))
	mux.HandleFunc("POST /v1-rke2/client-kube-proxy.crt", s.of(s.clientProxy, "node", "server"))
	mux.HandleFunc("GET /v1-rke2/server-bootstrap", s.of(s.bootstrap, "server"))
	mux.HandleFunc("GET /db/info", s.of(s.database, "server"))
	return mux
}

// of lets those through who know the password of one of these users: 401 for a wrong one, 403 for another user.
func (s *supervisor) of(next http.HandlerFunc, users ...string) http.HandlerFunc {
	return func(response http.ResponseWriter, request *http.Request) {
		user, password, _ := request.BasicAuth()
		wanted := map[string]string{"server": s.server, "node": s.agent}[user]
		known := wanted != "" && subtle.ConstantTimeCompare([]byte(password), []byte(wanted)) == 1
		switch {
		case !known || fault("unauthorized"):
			http.Error(response, "Unauthorized", http.StatusUnauthorized)
		case !strings.Contains(" "+strings.Join(users, " ")+" ", " "+user+" "):
			http.Error(response, "Forbidden", http.StatusForbidden)
		default:
			next(response, request)
		}
	}
}

func (s *supervisor) file(response http.ResponseWriter, name string) {
	text, err := os.ReadFile(data("server/tls", name))
	if err != nil {
		http.Error(response, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = response.Write(text)
}

func (s *supervisor) readyz(response http.ResponseWriter, _ *http.Request) {
	if !s.ready.Load() {
		http.Error(response, "runtime core not ready", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprint(response, "ok")
}

// settings is what machines that join have to know of the cluster.
func (s *supervisor) settings(response http.ResponseWriter, _ *http.Request) {
	_ = json.NewEncoder(response).Encode(s.node.config.critical())
}

func (s *supervisor) apiservers(response http.ResponseWriter, _ *http.Request) {
	addresses := []string{s.node.address}
	if found, err := s.api.servers(); err == nil && len(found) > 0 {
		addresses = found
	}
	_ = json.NewEncoder(response).Encode(addresses)
}

func (s *supervisor) bootstrap(response http.ResponseWriter, _ *http.Request) {
	text, err := bundle()
	if err != nil {
		http.Error(response, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = response.Write(text)
}

// database names the members of etcd by the addresses at which they are asked.
func (s *supervisor) database(response http.ResponseWriter, _ *http.Request) {
	own, err := etcdAt("https://127.0.0.1:2379")
	var members []member
	if err == nil {
		members, err = own.members()
	}
	if err != nil {
		http.Error(response, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_ = json.NewEncoder(response).Encode(members)
}

// named lets a node through that has the password under which its name is known.
func (s *supervisor) named(next func(http.ResponseWriter, *http.Request, string)) http.HandlerFunc {
	return func(response http.ResponseWriter, request *http.Request) {
		name, password := request.Header.Get(nameHeader), request.Header.Get(secretHeader)
		if name == "" || password == "" {
			http.Error(response, "node name or password not set", http.StatusBadRequest)
			return
		}
		known, err := s.api.knows(name, password)
		switch {
		case err != nil && name == s.node.name && isLocal(request):
			// The first server's own node comes before there is a place to keep its password.
			next(response, request, name)
		case err != nil:
			http.Error(response, err.Error(), http.StatusServiceUnavailable)
		case !known:
			http.Error(response, "unable to verify password for node "+name, http.StatusForbidden)
		default:
			next(response, request, name)
		}
	}
}

func isLocal(request *http.Request) bool {
	host, _, _ := net.SplitHostPort(request.RemoteAddr)
	return net.ParseIP(host).IsLoopback()
}

func (s *supervisor) clientKubelet(response http.ResponseWriter, request *http.Request, name string) {
	answerRequest(response, request, "client-ca", "system:node:"+name, "system:nodes", nil)
}

func (s *supervisor) servingKubelet(response http.ResponseWriter, request *http.Request, name string) {
	hosts := append([]string{name, "localhost", "127.0.0.1"}, strings.Split(request.URL.Query().Get("addresses"), ",")...)
	answerRequest(response, request, "server-ca", name, "", hosts)
}

func (s *supervisor) clientProxy(response http.ResponseWriter, request *http.Request) {
	answerRequest(response, request, "client-ca", "system:kube-proxy", "", nil)
}

// answerRequest signs the key of a request, and nothing else that stands in it.
func answerRequest(response http.ResponseWriter, request *http.Request, authority, name, group string, hosts []string) {
	text, err := io.ReadAll(io.LimitReader(request.Body, 1<<16))
	block, _ := pem.Decode(text)
	if err != nil || block == nil {
		http.Error(response, "no certificate request", http.StatusBadRequest)
		return
	}
	asked, err := x509.ParseCertificateRequest(block.Bytes)
	if err == nil {
		err = asked.CheckSignature()
	}
	if err != nil {
		http.Error(response, err.Error(), http.StatusBadRequest)
		return
	}
	made, err := sign(authority, asked.PublicKey, name, group, hosts)
	if err != nil {
		http.Error(response, err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprint(response, made)
}

func (s *supervisor) listen() error {
	path := data("server/tls/serving-supervisor")
	pair, err := tls.LoadX509KeyPair(path+".crt", path+".key")
	if err != nil {
		return err
	}
	listener, err := tls.Listen("tcp", ":"+joinPort, &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		return err
	}
	go func() {
		server := &http.Server{Handler: s.handler()}
		say("error", "supervisor: %v", server.Serve(listener))
	}()
	return nil
}
