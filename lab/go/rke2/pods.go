// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// flags makes options of a component of what stands in config.yaml: key=value, with or without dashes.
func flags(given []string) []string {
	found := []string{}
	for _, one := range given {
		found = append(found, "--"+strings.TrimLeft(one, "-"))
	}
	return found
}

// withArguments lays what is given in config.yaml over our own.
func withArguments(own, given []string) []string {
	found := []string{}
	for _, one := range append(own, flags(given)...) {
		key, _, _ := strings.Cut(one, "=")
		kept := found[:0:0]
		for _, old := range found {
			if name, _, _ := strings.Cut(old, "="); name != key {
				kept = append(kept, old)
			}
		}
		found = append(kept, one)
	}
	return found
}

func quoted(text string) string {
	content, _ := json.Marshal(text)
	return string(content)
}

// writePod writes the manifest of a static pod, which sees folders of the host at their own places.
func (n *node) writePod(name, image string, argv, mounts []string, privileged bool) error {
	text := fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata:
  labels:
    component: %[1]s
    tier: control-plane
  name: %[1]s
  namespace: kube-system
spec:
  containers:
  - args:
%[2]s    command:
    - %[3]s
    image: %[4]s
    imagePullPolicy: IfNotPresent
    name: %[1]s
    securityContext:
      privileged: %[5]t
    volumeMounts:
%[6]s  hostNetwork: true
  priorityClassName: system-cluster-critical
  volumes:
%[7]s`, name, lines("    - ", argv[1:]), argv[0], n.image(image), privileged, volumeMounts(mounts), volumes(mounts))
	return writeFile(data("agent/pod-manifests", name+".yaml"), text, 0o600)
}

func lines(start string, texts []string) string {
	found := ""
	for _, text := range texts {
		found += start + quoted(text) + "\n"
	}
	return found
}

func volumeMounts(paths []string) string {
	found := ""
	for number, path := range paths {
		found += fmt.Sprintf("    - mountPath: %s\n      name: dir%d\n", quoted(path), number)
	}
	return found
}

func volumes(paths []string) string {
	found := ""
	for number, path := range paths {
		kind := "DirectoryOrCreate"
		if strings.Contains(filepath.Base(path), ".") {
			kind = "FileOrCreate"
		}
		found += fmt.Sprintf("  - hostPath:\n      path: %s\n      type: %s\n    name: dir%d\n", quoted(path), kind, number)
	}
	return found
}

// writeProxy writes the static pod of kube-proxy, which all nodes have.
func (n *node) writeProxy() error {
	if n.config.flag("disable-kube-proxy") {
		_ = os.Remove(data("agent/pod-manifests/kube-proxy.yaml"))
		return nil
	}
	argv := append([]string{"kube-proxy"}, withArguments([]string{
		"--cluster-cidr=" + n.config.one("cluster-cidr"),
		"--conntrack-max-per-core=0",
		"--conntrack-tcp-timeout-close-wait=0s",
		"--conntrack-tcp-timeout-established=0s",
		"--healthz-bind-address=127.0.0.1",
		"--hostname-override=" + n.name,
		"--kubeconfig=" + data("agent/kubeproxy.kubeconfig"),
		"--proxy-mode=iptables",
	}, n.config["kube-proxy-arg"])...)
	return n.writePod("kube-proxy", "kubernetes", argv, []string{data("agent/kubeproxy.kubeconfig"), "/run/xtables.lock"}, true)
}

// writeControlPlane writes the static pods that need etcd.
func (n *node) writeControlPlane() error {
	pki, cred := data("server/tls"), data("server/cred")
	folders := []string{pki, cred}
	pods := map[string][]string{
		"kube-apiserver": withArguments([]string{
			"--advertise-address=" + n.address,
			"--allow-privileged=true",
			"--anonymous-auth=false",
			"--api-audiences=https://kubernetes.default.svc." + n.config.one("cluster-domain") + ",rke2",
			"--authorization-mode=Node,RBAC",
			"--bind-address=0.0.0.0",
			"--cert-dir=" + pki + "/temporary-certs",
			"--client-ca-file=" + pki + "/client-ca.crt",
			"--enable-admission-plugins=NodeRestriction",
			"--enable-aggregator-routing=true",
			"--encryption-provider-config=" + cred + "/encryption-config.json",
			"--etcd-cafile=" + pki + "/etcd/server-ca.crt",
			"--etcd-certfile=" + pki + "/etcd/client.crt",
			"--etcd-keyfile=" + pki + "/etcd/client.key",
			"--etcd-servers=https://127.0.0.1:2379",
			"--kubelet-certificate-authority=" + pki + "/server-ca.crt",
			"--kubelet-client-certificate=" + pki + "/client-kube-apiserver.crt",
			"--kubelet-client-key=" + pki + "/client-kube-apiserver.key",
			"--kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname",
			"--profiling=false",
			"--proxy-client-cert-file=" + pki + "/client-auth-proxy.crt",
			"--proxy-client-key-file=" + pki + "/client-auth-proxy.key",
			"--requestheader-allowed-names=system:auth-proxy",
			"--requestheader-client-ca-file=" + pki + "/request-header-ca.crt",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--requestheader-group-headers=X-Remote-Group",
			"--requestheader-username-headers=X-Remote-User",
			"--secure-port=6443",
			"--service-account-issuer=https://kubernetes.default.svc." + n.config.one("cluster-domain"),
			"--service-account-key-file=" + pki + "/service.key",
			"--service-account-signing-key-file=" + pki + "/service.current.key",
			"--service-cluster-ip-range=" + n.config.one("service-cidr"),
			"--service-node-port-range=" + n.config.one("service-node-port-range"),
			"--storage-backend=etcd3",
			"--tls-cert-file=" + pki + "/serving-kube-apiserver.crt",
			"--tls-private-key-file=" + pki + "/serving-kube-apiserver.key",
		}, n.config["kube-apiserver-arg"]),
		"kube-controller-manager": withArguments([]string{
			"--allocate-node-cidrs=true",
			"--authentication-kubeconfig=" + cred + "/controller.kubeconfig",
			"--authorization-kubeconfig=" + cred + "/controller.kubeconfig",
			"--bind-address=127.0.0.1",
			"--cluster-cidr=" + n.config.one("cluster-cidr"),
			"--cluster-signing-kube-apiserver-client-cert-file=" + pki + "/client-ca.crt",
			"--cluster-signing-kube-apiserver-client-key-file=" + pki + "/client-ca.key",
			"--cluster-signing-kubelet-client-cert-file=" + pki + "/client-ca.crt",
			"--cluster-signing-kubelet-client-key-file=" + pki + "/client-ca.key",
			"--cluster-signing-kubelet-serving-cert-file=" + pki + "/server-ca.crt",
			"--cluster-signing-kubelet-serving-key-file=" + pki + "/server-ca.key",
			"--cluster-signing-legacy-unknown-cert-file=" + pki + "/server-ca.crt",
			"--cluster-signing-legacy-unknown-key-file=" + pki + "/server-ca.key",
			"--configure-cloud-routes=false",
			"--kubeconfig=" + cred + "/controller.kubeconfig",
			"--profiling=false",
			"--root-ca-file=" + pki + "/server-ca.crt",
			"--secure-port=10257",
			"--service-account-private-key-file=" + pki + "/service.current.key",
			"--service-cluster-ip-range=" + n.config.one("service-cidr"),
			"--use-service-account-credentials=true",
		}, n.config["kube-controller-manager-arg"]),
		"kube-scheduler": withArguments([]string{
			"--authentication-kubeconfig=" + cred + "/scheduler.kubeconfig",
			"--authorization-kubeconfig=" + cred + "/scheduler.kubeconfig",
			"--bind-address=127.0.0.1",
			"--kubeconfig=" + cred + "/scheduler.kubeconfig",
			"--profiling=false",
			"--secure-port=10259",
		}, n.config["kube-scheduler-arg"]),
	}
	for name, arguments := range pods {
		if n.config.flag("disable-" + strings.TrimPrefix(name, "kube-")) {
			continue
		}
		if err := n.writePod(name, "kubernetes", append([]string{name}, arguments...), folders, false); err != nil {
			return err
		}
	}
	return nil
}
