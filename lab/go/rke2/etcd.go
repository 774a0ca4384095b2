// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// etcd is asked by its JSON gateway.
type etcd struct {
	endpoint string
	http     *http.Client
}

type member struct {
	ID         string   `json:"ID"`
	Name       string   `json:"name"`
	PeerURLs   []string `json:"peerURLs"`
	ClientURLs []string `json:"clientURLs"`
	IsLearner  bool     `json:"isLearner"`
}

func mutualTLS(authority, certificate string) (*tls.Config, error) {
	text, err := os.ReadFile(data("server/tls", authority+".crt"))
	if err != nil {
		return nil, err
	}
	path := data("server/tls", certificate)
	pair, err := tls.LoadX509KeyPair(path+".crt", path+".key")
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}, nil
}

func etcdAt(endpoint string) (*etcd, error) {
	settings, err := mutualTLS("etcd/server-ca", "etcd/client")
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSClientConfig: settings, DisableKeepAlives: true}
	return &etcd{endpoint, &http.Client{Transport: transport, Timeout: time.Minute}}, nil
}

func (e *etcd) call(method string, request, result any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	answer, err := e.http.Post(e.endpoint+"/v3/"+method, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 4096))
		said := struct{ Message string }{string(text)}
		_ = json.Unmarshal(text, &said)
		return errors.New(said.Message)
	}
	if result == nil {
		return nil
	}
	return json.NewDecoder(answer.Body).Decode(result)
}

func (e *etcd) members() ([]member, error) {
	var found struct{ Members []member }
	err := e.call("cluster/member/list", map[string]any{}, &found)
	return found.Members, err
}

func (e *etcd) remove(name string) error {
	members, err := e.members()
	if err != nil {
		return err
	}
	for _, one := range members {
		if one.Name == name {
			say("info", "Removing etcd member %s from cluster", name)
			return e.call("cluster/member/remove", map[string]string{"ID": one.ID}, nil)
		}
	}
	return nil
}

func (e *etcd) put(key string, value []byte) error {
	encode := base64.StdEncoding.EncodeToString
	return e.call("kv/put", map[string]string{"key": encode([]byte(key)), "value": encode(value)}, nil)
}

// save writes a snapshot.
func (e *etcd) save(path string) error {
	answer, err := e.http.Post(e.endpoint+"/v3/maintenance/snapshot", "application/json", strings.NewReader("{}"))
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	partial := path + ".part"
	file, err := os.OpenFile(partial, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(answer.Body)
	for err == nil {
		var part struct {
			Result struct{ Blob []byte }
			Error  *struct{ Message string }
		}
		if err = decoder.Decode(&part); err == nil && part.Error != nil {
			err = errors.New(part.Error.Message)
		}
		if err == nil {
			_, err = file.Write(part.Result.Blob)
		}
	}
	if !errors.Is(err, io.EOF) {
		return errors.Join(err, file.Close())
	}
	return errors.Join(file.Sync(), file.Close(), os.Rename(partial, path))
}

func etcdFolder() string { return data("server/db/etcd") }

func hasEtcd() bool {
	_, err := os.Stat(filepath.Join(etcdFolder(), "member/wal"))
	return err == nil
}

// memberName is the node's name with a part that another installation of the same machine does not have.
func (n *node) memberName() (string, error) {
	path := filepath.Join(etcdFolder(), "name")
	text, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(text)), nil
	}
	name := fmt.Sprintf("%s-%s", n.name, randomText(4))
	return name, writeFile(path, name, 0o600)
}

func (n *node) etcdConfig(name, cluster, state string) string {
	tlsOf := func(certificate, authority string) map[string]any {
		return map[string]any{
			"cert-file":        data("server/tls/etcd", certificate+".crt"),
			"key-file":         data("server/tls/etcd", certificate+".key"),
			"client-cert-auth": true,
			"trusted-ca-file":  data("server/tls/etcd", authority+".crt"),
		}
	}
	text, _ := json.MarshalIndent(map[string]any{
		"name":                        name,
		"data-dir":                    etcdFolder(),
		"listen-client-urls":          fmt.Sprintf("https://127.0.0.1:2379,https://%s:2379", n.address),
		"listen-peer-urls":            fmt.Sprintf("https://127.0.0.1:2380,https://%s:2380", n.address),
		"listen-metrics-urls":         "http://127.0.0.1:2381",
		"advertise-client-urls":       fmt.Sprintf("https://%s:2379", n.address),
		"initial-advertise-peer-urls": n.peerURL(),
		"initial-cluster":             cluster,
		"initial-cluster-state":       state,
		"client-transport-security":   tlsOf("server-client", "server-ca"),
		"peer-transport-security":     tlsOf("peer-server-client", "peer-ca"),
		"heartbeat-interval":          500,
		"election-timeout":            5000,
		"snapshot-count":              10000,
		"logger":                      "zap",
	}, "", "  ")
	return string(text) + "\n"
}

func (n *node) peerURL() string { return fmt.Sprintf("https://%s:2380", n.address) }

// joinEtcd makes this server a learner of the cluster that a server belongs to; etcd takes one at a time.
func (n *node) joinEtcd(ctx context.Context, endpoints []string) error {
	name, err := n.memberName()
	if err != nil {
		return err
	}
	for {
		cluster, err := n.tryJoin(name, endpoints)
		if err == nil {
			return writeFile(filepath.Join(etcdFolder(), "config"), n.etcdConfig(name, cluster, "existing"), 0o600)
		}
		if strings.Contains(err.Error(), "duplicate node name") {
			return err
		}
		say("info", "Waiting for other members to finish joining etcd cluster: %v", err)
		if !pause(ctx, time.Second) {
			return ctx.Err()
		}
	}
}

func (n *node) tryJoin(name string, endpoints []string) (string, error) {
	var wrong error
	for _, endpoint := range endpoints {
		there, err := etcdAt(endpoint)
		if err != nil {
			return "", err
		}
		members, err := there.members()
		if err != nil {
			wrong = err
			continue
		}
		own := func(one member) bool { return slices.Contains(one.PeerURLs, n.peerURL()) }
		if at := slices.IndexFunc(members, own); at >= 0 {
			// Of an attempt that was interrupted, or of a server that was taken away without a word.
			if stale := members[at].Name; stale != "" && stale != name {
				return "", fmt.Errorf("unhealthy cluster: member %s has the address %s", stale, n.peerURL())
			}
		} else {
			request := map[string]any{"peerURLs": []string{n.peerURL()}, "isLearner": true}
			if err := there.call("cluster/member/add", request, nil); err != nil {
				return "", err
			}
		}
		parts := []string{name + "=" + n.peerURL()}
		for _, one := range members {
			if !own(one) && one.Name != "" {
				parts = append(parts, one.Name+"="+one.PeerURLs[0])
			}
		}
		return strings.Join(parts, ","), nil
	}
	return "", wrong
}

// waitForEtcd returns when this server's member has a vote.
func (n *node) waitForEtcd(ctx context.Context) error {
	own, err := etcdAt("https://127.0.0.1:2379")
	if err != nil {
		return err
	}
	for {
		var status struct{ IsLearner bool }
		err := own.call("maintenance/status", map[string]any{}, &status)
		if err == nil && !status.IsLearner {
			if _, err = own.members(); err == nil {
				return nil
			}
		}
		if err != nil {
			say("info", "Failed to test etcd connection: %v", err)
		} else {
			n.promote()
		}
		if !pause(ctx, 2*time.Second) {
			return ctx.Err()
		}
	}
}

// promote asks another member to give this one its vote, which etcd does when it has caught up. A learner itself knows
// the others, and says nothing about them: they stand in its configuration.
func (n *node) promote() {
	var settings map[string]any
	text, err := os.ReadFile(filepath.Join(etcdFolder(), "config"))
	if err == nil {
		err = json.Unmarshal(text, &settings)
	}
	if err != nil {
		say("error", "Failed to read etcd's configuration: %v", err)
		return
	}
	for _, entry := range strings.Split(asText(settings["initial-cluster"]), ",") {
		_, peer, _ := strings.Cut(entry, "=")
		if peer == n.peerURL() {
			continue
		}
		if err = promoteBy(strings.TrimSuffix(peer, "2380")+"2379", n.peerURL()); err == nil {
			return
		}
		say("info", "Learner is not promoted yet: %v", err)
	}
}

func promoteBy(endpoint, peerURL string) error {
	there, err := etcdAt(endpoint)
	if err != nil {
		return err
	}
	members, err := there.members()
	if err != nil {
		return err
	}
	for _, one := range members {
		if slices.Contains(one.PeerURLs, peerURL) && one.IsLearner {
			return there.call("cluster/member/promote", map[string]string{"ID": one.ID}, nil)
		}
	}
	return nil
}

// snapshot is the command etcd-snapshot.
func (n *node) snapshot(arguments []string) error {
	folder := data("server/db/snapshots")
	if dir := n.config.one("etcd-snapshot-dir"); dir != "" {
		folder = dir
	}
	if len(arguments) > 0 && (arguments[0] == "list" || arguments[0] == "ls") {
		fmt.Println("Name Location Size Created")
		paths, _ := filepath.Glob(folder + "/*")
		for _, path := range paths {
			if about, err := os.Stat(path); err == nil {
				made := about.ModTime().UTC().Format(time.RFC3339)
				fmt.Printf("%s file://%s %d %s\n", filepath.Base(path), path, about.Size(), made)
			}
		}
		return nil
	}
	if len(arguments) == 0 || arguments[0] != "save" {
		return errors.New("usage: rke2 etcd-snapshot save [--name NAME] | list")
	}
	own, err := etcdAt("https://127.0.0.1:2379")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	prefix := "on-demand"
	for _, given := range n.config["name"] {
		prefix = given
	}
	name := fmt.Sprintf("%s-%s-%d", prefix, n.name, time.Now().Unix())
	if err := own.save(filepath.Join(folder, name)); err != nil {
		return fmt.Errorf("failed to save etcd snapshot: %w", err)
	}
	say("info", "Snapshot %s saved.", name)
	return nil
}
