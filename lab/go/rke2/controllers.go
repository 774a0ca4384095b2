// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	nodeFinalizer = "wrangler.cattle.io/node"
	etcdFinalizer = "wrangler.cattle.io/managed-etcd-controller"
	etcdName      = "etcd.rke2.cattle.io/node-name"
	etcdRemove    = "etcd.rke2.cattle.io/remove"
)

// control does what servers do for the cluster as long as they run: labels, members of etcd, passwords, manifests.
func (n *node) control(ctx context.Context) {
	applied := map[string]string{}
	for {
		if err := n.lookAtNodes(); err != nil {
			say("error", "Failed to process nodes: %v", err)
		}
		n.deploy(applied)
		if !pause(ctx, 3*time.Second) {
			return
		}
	}
}

func (n *node) lookAtNodes() error {
	nodes, err := n.api.nodes()
	if err != nil {
		return err
	}
	for _, one := range nodes {
		if err := n.lookAt(one.Metadata); err != nil && !isStatus(err, http.StatusNotFound) {
			return err
		}
	}
	return nil
}

func (n *node) lookAt(about metadata) error {
	member := about.Annotations[etcdName]
	if about.DeletionTimestamp != "" {
		return n.forget(about, member)
	}
	if member != "" && about.Annotations[etcdRemove] == "true" {
		if err := n.removeMember(member); err != nil {
			return err
		}
	}
	wanted := map[string]any{}
	finalizers := slices.Clone(about.Finalizers)
	if !slices.Contains(finalizers, nodeFinalizer) {
		finalizers = append(finalizers, nodeFinalizer)
	}
	if about.Name == n.name {
		own, err := n.memberName()
		if err != nil {
			return err
		}
		if !slices.Contains(finalizers, etcdFinalizer) {
			finalizers = append(finalizers, etcdFinalizer)
		}
		if member != own || about.Labels["node-role.kubernetes.io/etcd"] != "true" {
			wanted["annotations"] = map[string]string{etcdName: own, "etcd.rke2.cattle.io/node-address": n.address}
			wanted["labels"] = map[string]string{
				"node-role.kubernetes.io/control-plane": "true", "node-role.kubernetes.io/etcd": "true",
			}
		}
	}
	if len(finalizers) != len(about.Finalizers) {
		wanted["finalizers"] = finalizers
	}
	if len(wanted) == 0 {
		return nil
	}
	return n.api.patch("/api/v1/nodes/"+about.Name, map[string]any{"metadata": wanted})
}

// forget lets a Node go that was deleted: its member of etcd first, then its password.
func (n *node) forget(about metadata, member string) error {
	if member != "" && slices.Contains(about.Finalizers, etcdFinalizer) {
		if err := n.removeMember(member); err != nil {
			return err
		}
	}
	err := n.api.call("DELETE", passwordSecret(about.Name), "", nil, nil)
	if err != nil && !isStatus(err, http.StatusNotFound) {
		return err
	}
	kept := slices.DeleteFunc(slices.Clone(about.Finalizers), func(name string) bool {
		return name == nodeFinalizer || name == etcdFinalizer
	})
	if len(kept) == len(about.Finalizers) {
		return nil
	}
	return n.api.patch("/api/v1/nodes/"+about.Name, map[string]any{"metadata": map[string]any{"finalizers": kept}})
}

func (n *node) removeMember(name string) error {
	own, err := etcdAt("https://127.0.0.1:2379")
	if err != nil {
		return err
	}
	return own.remove(name)
}

// deploy applies the manifests that are new or have changed.
func (n *node) deploy(applied map[string]string) {
	paths, _ := filepath.Glob(data("server/manifests/*.yaml"))
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if _, skipped := os.Stat(strings.TrimSuffix(path, ".yaml") + ".skip"); err != nil || skipped == nil {
			continue
		}
		if _, skipped := os.Stat(path + ".skip"); skipped == nil || applied[path] == digestOf(string(text)) {
			continue
		}
		argv := []string{"--kubeconfig", n.adminKubeconfig(), "apply", "--server-side", "--force-conflicts", "-f", path}
		if output, err := exec.Command(data("bin/kubectl"), argv...).CombinedOutput(); err != nil {
			say("error", "Failed to process config: failed to process %s: %v: %s", path, err, output)
			continue
		}
		say("info", "Applied %s", path)
		applied[path] = digestOf(string(text))
	}
}
