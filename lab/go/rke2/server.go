// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

//go:embed manifests/canal.yaml.tmpl
var canal string

//go:embed manifests/coredns.yaml.tmpl
var coredns string

func (n *node) adminKubeconfig() string { return n.config.one("write-kubeconfig") }

// prepareServer makes or fetches what servers share, and this server's own certificates.
func (n *node) prepareServer() (servers []string, err error) {
	with, err := n.serverToken()
	if err != nil {
		return nil, err
	}
	join := n.config.one("server")
	if join != "" && !hasEtcd() {
		if servers, err = n.fetchFrom(join, with); err != nil {
			return nil, err
		}
	}
	if err := makeAuthorities(); err != nil {
		return nil, err
	}
	key, err := os.ReadFile(data("server/tls/service.key"))
	if err == nil {
		err = writeFile(data("server/tls/service.current.key"), string(key), 0o600)
	}
	if err != nil {
		return nil, err
	}
	for _, one := range n.leaves() {
		if err := one.make(); err != nil {
			return nil, err
		}
	}
	if err := n.writeTokens(with); err != nil {
		return nil, err
	}
	return servers, n.writeKubeconfigs()
}

// serverToken is the configured one, or the one that was made when there was none.
func (n *node) serverToken() (token, error) {
	text := n.config.one("token")
	if kept, err := os.ReadFile(data("server/token")); err == nil && text == "" {
		text = strings.TrimSpace(string(kept))
	}
	if text == "" && n.config.one("server") != "" && !hasEtcd() {
		return token{}, errors.New("starting kubernetes: preparing server: RKE2_TOKEN is required to join a cluster")
	}
	if text == "" {
		text = randomText(16)
	}
	with, err := parseToken(text, "server")
	if err != nil {
		return with, err
	}
	with.user = "server"
	if n.config.one("cluster-reset-restore-path") != "" {
		// The data that lies here will go.
		return with, nil
	}
	// What is kept in etcd is encrypted with the token: its mark lies beside the data.
	mark, err := os.ReadFile(filepath.Join(etcdFolder(), "lab-token"))
	if err == nil && hasEtcd() && string(mark) != digestOf(with.password) {
		return with, errors.New("starting kubernetes: preparing server: bootstrap data already found and encrypted with different token")
	}
	return with, writeFile(filepath.Join(etcdFolder(), "lab-token"), digestOf(with.password), 0o600)
}

// fetchFrom gets from another server what all share; servers that are configured in another way are refused.
func (n *node) fetchFrom(address string, with token) ([]string, error) {
	prefix := "starting kubernetes: preparing server: failed to validate server configuration: "
	there, err := connect(address, with)
	if err != nil {
		return nil, errors.New(prefix + err.Error())
	}
	text, err := there.do("GET", "/v1-rke2/config", nil, "")
	if err != nil {
		return nil, errors.New(prefix + err.Error())
	}
	theirs := map[string]string{}
	if err := json.Unmarshal(text, &theirs); err != nil {
		return nil, errors.New(prefix + err.Error())
	}
	differs := false
	for key, own := range n.config.critical() {
		if theirs[key] != own {
			say("warning", "critical configuration mismatched: %s", key)
			differs = true
		}
	}
	if differs {
		return nil, errors.New(prefix + "critical configuration value mismatch between servers")
	}
	if text, err = there.do("GET", "/v1-rke2/server-bootstrap", nil, ""); err != nil {
		return nil, fmt.Errorf("starting kubernetes: preparing server: %w", err)
	}
	if err := unbundle(text); err != nil {
		return nil, err
	}
	members := []member{}
	if text, err = there.do("GET", "/db/info", nil, ""); err == nil {
		err = json.Unmarshal(text, &members)
	}
	found := []string{}
	for _, one := range members {
		if !one.IsLearner {
			found = append(found, one.ClientURLs...)
		}
	}
	return found, err
}

// leaves are this server's certificates.
func (n *node) leaves() []leaf {
	_, services, err := net.ParseCIDR(n.config.one("service-cidr"))
	own := []string{n.name, n.address, "127.0.0.1", "::1", "localhost"}
	own = append(own, n.config.all("tls-san")...)
	api := append(slices.Clone(own), "kubernetes", "kubernetes.default", "kubernetes.default.svc",
		"kubernetes.default.svc."+n.config.one("cluster-domain"))
	if err == nil {
		services.IP[len(services.IP)-1]++
		api = append(api, services.IP.String())
	}
	return []leaf{
		{"serving-supervisor", "server-ca", "rke2", "", api},
		{"serving-kube-apiserver", "server-ca", "kube-apiserver", "", api},
		{"client-kube-apiserver", "client-ca", "system:apiserver", "system:masters", nil},
		{"client-admin", "client-ca", "system:admin", "system:masters", nil},
		{"client-supervisor", "client-ca", "system:rke2-supervisor", "system:masters", nil},
		{"client-controller", "client-ca", "system:kube-controller-manager", "", nil},
		{"client-scheduler", "client-ca", "system:kube-scheduler", "", nil},
		{"client-auth-proxy", "request-header-ca", "system:auth-proxy", "", nil},
		{"etcd/server-client", "etcd/server-ca", "etcd-server", "", own},
		{"etcd/peer-server-client", "etcd/peer-ca", "etcd-peer", "", own},
		{"etcd/client", "etcd/server-ca", "etcd-client", "", nil},
	}
}

func (n *node) writeTokens(with token) error {
	authority, err := os.ReadFile(data("server/tls/server-ca.crt"))
	if err != nil {
		return err
	}
	agent := token{"", "node", with.password}
	if text := n.config.one("agent-token"); text != "" {
		if agent, err = parseToken(text, "node"); err != nil {
			return err
		}
		agent.user = "node"
	}
	n.supervisor = &supervisor{node: n, api: n.api, server: with.password, agent: agent.password}
	if err := errors.Join(
		writeFile(data("server/token"), with.long(authority)+"\n", 0o600),
		writeFile(data("server/agent-token"), agent.long(authority)+"\n", 0o600),
	); err != nil {
		return err
	}
	link := data("server/node-token")
	if _, err := os.Lstat(link); err == nil {
		return nil
	}
	return os.Symlink(data("server/token"), link)
}

func (n *node) writeKubeconfigs() error {
	authority := data("server/tls/server-ca.crt")
	files := map[string]string{
		n.adminKubeconfig():                       "client-admin",
		data("server/cred/admin.kubeconfig"):      "client-admin",
		data("server/cred/controller.kubeconfig"): "client-controller",
		data("server/cred/scheduler.kubeconfig"):  "client-scheduler",
		data("server/cred/api-server.kubeconfig"): "client-kube-apiserver",
		data("server/cred/supervisor.kubeconfig"): "client-supervisor",
	}
	for path, name := range files {
		certificate := data("server/tls", name)
		text, err := kubeconfig(apiAddress, authority, certificate+".crt", certificate+".key")
		if err != nil {
			return err
		}
		mode := os.FileMode(0o600)
		if path == n.adminKubeconfig() {
			_, _ = fmt.Sscanf(n.config.one("write-kubeconfig-mode"), "%o", &mode)
		}
		if err := writeFile(path, text, mode); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) runServer(ctx context.Context) error {
	if n.config.flag("cluster-reset") {
		return n.reset(ctx)
	}
	_ = os.Remove(resetFlag())
	servers, err := n.prepareServer()
	if err != nil {
		return err
	}
	if err := ensureRuntime(n.image("runtime")); err != nil {
		return err
	}
	if err := n.writeManifests(); err != nil {
		return err
	}
	if err := n.supervisor.listen(); err != nil {
		return err
	}
	authority, err := os.ReadFile(data("server/tls/server-ca.crt"))
	if err != nil {
		return err
	}
	local := token{digestOf(string(authority)), "server", n.supervisor.server}
	if _, err := n.waitToJoin(ctx, "https://127.0.0.1:"+joinPort, local); err != nil {
		return err
	}
	if err := n.startNode(ctx); err != nil {
		return err
	}
	if fault("hang") {
		<-ctx.Done()
		return nil
	}
	if fault("slow-etcd") && !pause(ctx, 90*time.Second) {
		return nil
	}
	if err := n.startEtcd(ctx, servers); err != nil {
		return err
	}
	if err := n.writeControlPlane(); err != nil {
		return err
	}
	for !n.api.isReady() {
		say("info", "Waiting for API server to become available")
		if !pause(ctx, 2*time.Second) {
			return nil
		}
	}
	if err := n.keepBootstrap(); err != nil {
		return err
	}
	n.supervisor.ready.Store(true)
	n.keepPassword()
	n.notifyReady()
	n.control(ctx)
	return nil
}

// keepPassword keeps that of this server's own node, which came before there was a place for it.
func (n *node) keepPassword() {
	password, err := secretFile(filepath.Join(nodeDir, "password"), 16)
	known := false
	if err == nil {
		known, err = n.api.knows(n.name, password)
	}
	if err != nil || !known {
		say("error", "Node password of %s is not that of its Secret: %v", n.name, err)
	}
}

func (n *node) startEtcd(ctx context.Context, servers []string) error {
	if err := os.Chmod(etcdFolder(), 0o700); err != nil {
		return err
	}
	path := filepath.Join(etcdFolder(), "config")
	_, missing := os.Stat(path)
	switch {
	case n.config.one("server") != "" && !hasEtcd():
		if err := n.joinEtcd(ctx, servers); err != nil {
			return err
		}
	case missing != nil:
		name, err := n.memberName()
		if err != nil {
			return err
		}
		if err := writeFile(path, n.etcdConfig(name, name+"="+n.peerURL(), "new"), 0o600); err != nil {
			return err
		}
	}
	mounts := []string{etcdFolder(), data("server/tls/etcd")}
	argv := append([]string{"etcd", "--config-file=" + path}, flags(n.config["etcd-arg"])...)
	if err := n.writePod("etcd", "etcd", argv, mounts, false); err != nil {
		return err
	}
	return n.waitForEtcd(ctx)
}

// writeManifests writes what every server brings; a file NAME.skip beside one leaves it out.
func (n *node) writeManifests() error {
	folder := data("server/manifests")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	values := strings.NewReplacer(
		"{{cluster-cidr}}", n.config.one("cluster-cidr"), "{{cluster-dns}}", n.config.one("cluster-dns"),
		"{{cluster-domain}}", n.config.one("cluster-domain"), "{{flannel}}", n.image("flannel"),
		"{{cni-plugins}}", n.image("cni-plugins"), "{{coredns}}", n.image("coredns"),
	)
	disabled := n.config.all("disable")
	wanted := map[string]string{}
	if !slices.Contains(disabled, "rke2-coredns") {
		wanted["rke2-coredns.yaml"] = coredns
	}
	switch network := n.config.one("cni"); network {
	case "none":
	case "canal", "flannel":
		wanted["rke2-"+network+".yaml"] = strings.ReplaceAll(canal, "{{network}}", network)
	default:
		return fmt.Errorf("the lab's program has no cni %s", network)
	}
	for name, text := range wanted {
		if err := writeFile(filepath.Join(folder, name), values.Replace(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}
