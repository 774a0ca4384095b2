// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// What agents know; servers know more.
var agentKeys = strings.Fields(`agent-token bind-address cloud-provider-config cloud-provider-name config
	container-runtime-endpoint control-plane-probe-configuration control-plane-resource-limits
	control-plane-resource-requests data-dir debug default-runtime disable-default-registry-endpoint enable-pprof
	image-credential-provider-bin-dir image-credential-provider-config image-service-endpoint kube-proxy-arg
	kube-proxy-extra-env kube-proxy-extra-mount kubelet-arg kubelet-path lb-server-port log_file node-external-dns
	node-external-ip node-internal-dns node-ip node-label node-name node-taint nonroot-devices pause-image
	pod-security-admission-config-file private-registry profile protect-kernel-defaults resolv-conf selinux server
	snapshotter system-default-registry token token-file vpn-auth vpn-auth-file with-node-id`)

var serverKeys = append(strings.Fields(`advertise-address advertise-port agent-token-file audit-policy-file
	bind-address cloud-controller-manager-extra-env cloud-controller-manager-extra-mount cluster-cidr cluster-dns
	cluster-domain cluster-reset cluster-reset-restore-path cni datastore-cafile datastore-certfile datastore-endpoint
	datastore-keyfile default-local-storage-path disable disable-apiserver disable-cloud-controller
	disable-controller-manager disable-etcd disable-kube-proxy disable-scheduler egress-selector-mode
	embedded-registry enable-servicelb etcd-arg etcd-disable-snapshots etcd-expose-metrics etcd-extra-env
	etcd-extra-mount etcd-image etcd-s3 etcd-s3-access-key etcd-s3-bucket etcd-s3-endpoint etcd-s3-folder
	etcd-s3-region etcd-s3-secret-key etcd-snapshot-compress etcd-snapshot-dir etcd-snapshot-name
	etcd-snapshot-retention etcd-snapshot-schedule-cron helm-job-image ingress-controller kine-tls
	kube-apiserver-arg kube-apiserver-extra-env kube-apiserver-extra-mount kube-apiserver-image
	kube-cloud-controller-manager-arg kube-controller-manager-arg kube-controller-manager-extra-env
	kube-controller-manager-extra-mount kube-controller-manager-image kube-proxy-image kube-scheduler-arg
	kube-scheduler-extra-env kube-scheduler-extra-mount kube-scheduler-image name runtime-image
	secrets-encryption-provider service-cidr service-node-port-range servicelb-namespace supervisor-metrics tls-san
	tls-san-security write-kubeconfig write-kubeconfig-group write-kubeconfig-mode`), agentKeys...)

// What has to be the same on all servers.
var criticalKeys = []string{
	"agent-token", "cluster-cidr", "cluster-dns", "cluster-domain", "disable-cloud-controller", "disable-kube-proxy",
	"egress-selector-mode", "service-cidr",
}

var defaults = map[string]string{
	"cluster-cidr": "10.42.0.0/16", "service-cidr": "10.43.0.0/16", "cluster-dns": "10.43.0.10",
	"cluster-domain": "cluster.local", "cni": "canal", "service-node-port-range": "30000-32767",
	"write-kubeconfig": "/etc/rancher/rke2/rke2.yaml", "write-kubeconfig-mode": "0600",
}

// config has the values of each option.
type config map[string][]string

func (c config) one(key string) string {
	if values := c[key]; len(values) > 0 {
		return values[len(values)-1]
	}
	return defaults[key]
}

func (c config) flag(key string) bool { return c.one(key) == "true" }

// all has the values of an option that takes several, which may also be separated by commas.
func (c config) all(key string) []string {
	found := []string{}
	for _, value := range c[key] {
		for _, part := range strings.Split(value, ",") {
			if part = strings.TrimSpace(part); part != "" {
				found = append(found, part)
			}
		}
	}
	return found
}

func (c config) critical() map[string]string {
	found := map[string]string{}
	for _, key := range criticalKeys {
		found[key] = c.one(key)
	}
	if found["agent-token"] != "" {
		found["agent-token"] = digestOf(found["agent-token"])
	}
	return found
}

// loadConfig reads config.yaml and what lies in config.yaml.d, then the environment and the command line.
func loadConfig(kind string, arguments []string) (config, error) {
	known := agentKeys
	if kind == "server" {
		known = serverKeys
	}
	path := filepath.Join(configDir, "config.yaml")
	if other := os.Getenv("RKE2_CONFIG_FILE"); other != "" {
		path = other
	}
	paths, _ := filepath.Glob(path + ".d/*.yaml")
	sort.Strings(paths)
	found := config{}
	for _, name := range append([]string{path}, paths...) {
		text, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := found.add(string(text)); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for key := range found {
		if !slices.Contains(known, key) {
			say("warning", "Unknown flag --%s found in %s, skipping", key, filepath.Base(path))
			delete(found, key)
		}
	}
	for key, name := range map[string]string{"token": "RKE2_TOKEN", "server": "RKE2_URL", "node-name": "RKE2_NODE_NAME"} {
		if value := os.Getenv(name); value != "" && len(found[key]) == 0 {
			found[key] = []string{value}
		}
	}
	if err := found.addArguments(known, arguments); err != nil {
		return nil, err
	}
	return found, found.readTokenFiles()
}

func (c config) add(text string) error {
	document, err := parseYAML(text)
	if err != nil {
		return err
	}
	entries, isMapping := document.(map[string]any)
	if !isMapping {
		return errors.New("yaml: unmarshal errors: cannot unmarshal into a mapping")
	}
	for key, value := range entries {
		values := []string{}
		switch given := value.(type) {
		case nil:
		case []any:
			for _, item := range given {
				values = append(values, asText(item))
			}
		default:
			values = []string{asText(given)}
		}
		if name, appends := strings.CutSuffix(key, "+"); appends {
			c[name] = append(c[name], values...)
		} else {
			c[key] = values
		}
	}
	return nil
}

func asText(value any) string {
	if text, isText := value.(string); isText {
		return text
	}
	text, _ := json.Marshal(value)
	return string(text)
}

func (c config) addArguments(known []string, arguments []string) error {
	given := config{}
	for at := 0; at < len(arguments); at++ {
		key, value, hasValue := strings.Cut(strings.TrimLeft(arguments[at], "-"), "=")
		if !strings.HasPrefix(arguments[at], "-") || !slices.Contains(known, key) {
			return fmt.Errorf("flag provided but not defined: %s", arguments[at])
		}
		if !hasValue && at+1 < len(arguments) && !strings.HasPrefix(arguments[at+1], "-") {
			at++
			value, hasValue = arguments[at], true
		}
		if !hasValue {
			value = "true"
		}
		given[key] = append(given[key], value)
	}
	for key, values := range given {
		c[key] = values
	}
	return nil
}

func (c config) readTokenFiles() error {
	for _, key := range []string{"token", "agent-token"} {
		if path := c.one(key + "-file"); path != "" {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			c[key] = []string{strings.TrimSpace(string(text))}
		}
	}
	return nil
}
