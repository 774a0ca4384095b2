# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories that do not fit the cluster that is there, or that are another installer's. Needs no machines."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from test_bad_inputs import Case, Values, assert_nothing_changed, merged, playbook

CONFIG_MAPS = {
    "kubeadm-config": (
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nclusterName: kubernetes\n"
        "imageRepository: registry.k8s.io\nkubernetesVersion: v1.37.1\nnetworking:\n  dnsDomain: cluster.local\n"
        "  podSubnet: 10.244.0.0/16\n  serviceSubnet: 10.96.0.0/12\netcd:\n  local:\n    dataDir: /var/lib/etcd\n"
    ),
    "kubelet-config": (
        "cgroupDriver: systemd\nclusterDNS: [10.96.0.10]\nclusterDomain: cluster.local\nserverTLSBootstrap: true\n"
        "syncFrequency: 0s\n"
    ),
    "kube-proxy": "mode: nftables\nclusterCIDR: 10.244.0.0/16\nconntrack: {maxPerCore: null}\n",
}
CP1: Values = {
    "hostname": "cp1",
    "kubernetes": {
        "joined": True,
        "control_plane": True,
        "completed": True,
        "api_ready": True,
        "node_name": "cp1",
        "kubelet_version": "1.37.1",
        "kubeadm_version": "1.37.1",
        "endpoint": "192.0.2.1:6443",
        "endpoint_ready": True,
        "ca_cert_hashes": ["sha256:1"],
    },
    "configuration": {
        "kubelet": CONFIG_MAPS["kubelet-config"],
        "kubelet_arguments": {"node-ip": "192.0.2.1"},
        "cri_socket": "unix:///run/containerd/containerd.sock",
        "static_pods": {
            "kube-apiserver": {"advertise-address": "192.0.2.1", "service-cluster-ip-range": "10.96.0.0/12"},
            "kube-controller-manager": {"cluster-cidr": "10.244.0.0/16", "cluster-name": "kubernetes"},
        },
        "config_maps": CONFIG_MAPS,
        "pod_networks": {
            "flannel": {"network": "10.244.0.0/16", "ipv6_network": "", "backend": "vxlan", "release": "flannel"},
        },
    },
    "runtime": {"containerd": {"packages": {"containerd": "1.6.20~ds1-1+deb12u1"}}},
}
CALICO = {"network": "10.244.0.0/16", "encapsulation": "vxlan", "block_size": "26", "release": "calico"}
CILIUM = {"routing_mode": "tunnel", "tunnel_protocol": "vxlan", "kube_proxy_replacement": "false", "release": "cilium"}
WORKER1: Values = {
    "hostname": "worker1",
    "kubernetes": {**CP1["kubernetes"], "control_plane": False, "api_ready": False, "node_name": "worker1"},
    "configuration": {
        "kubelet": CONFIG_MAPS["kubelet-config"],
        "kubelet_arguments": {"node-ip": "192.0.2.2"},
        "cri_socket": "unix:///run/containerd/containerd.sock",
        "static_pods": {},
    },
    "runtime": CP1["runtime"],
}


def built(
    name: str,
    expected: t.Sequence[str],
    everywhere: t.Optional[Values] = None,
    cp1: t.Optional[Values] = None,
    worker1: t.Optional[Values] = None,
    warning: bool = False,
) -> Case:
    """A case on a built cluster: variables, and what its machines say besides."""
    facts = {"cp1": merged(CP1, cp1 or {}), "worker1": merged(WORKER1, worker1 or {})}
    groups = {"kube_control_plane": ["cp1"], "kube_node": ["worker1"]}
    return Case(name, expected, everywhere or {}, facts=facts, groups=groups, warning=warning)


def override(kind: str, **fields: t.Any) -> Values:
    """Variables with fields merged over a document of kubeadm."""
    return {f"control_plane_{kind}_configuration": fields}


FIXED = "where it cannot be changed any more. Set it to what the cluster has"
CASES = [
    # What cannot be changed
    built(
        "pod-network",
        [f"cluster: cluster_pod_subnet: is 10.200.0.0/16 in the inventory and 10.244.0.0/16 in the cluster, {FIXED}"],
        {"cluster_pod_subnet": "10.200.0.0/16"},
    ),
    built(
        "service-network",
        ["cluster_service_subnet: is 10.97.0.0/16 in the inventory and 10.96.0.0/12 in the cluster"],
        {"cluster_service_subnet": "10.97.0.0/16"},
    ),
    built(
        "dns-domain",
        ["cluster_dns_domain: is example.org in the inventory and cluster.local in the cluster"],
        {"cluster_dns_domain": "example.org"},
    ),
    built(
        "cluster-name",
        ["cluster_name: is other in the inventory and kubernetes in the cluster"],
        {"cluster_name": "other"},
    ),
    built(
        "etcd-data",
        [
            "control_plane_cluster_configuration: is /srv/etcd in the inventory and /var/lib/etcd in the cluster"
            " (etcd.local.dataDir)"
        ],
        override("cluster", etcd={"local": {"dataDir": "/srv/etcd"}}),
    ),
    built(
        "network-by-override",
        ["control_plane_cluster_configuration: is 10.97.0.0/16 in the inventory and 10.96.0.0/12"],
        override("cluster", networking={"serviceSubnet": "10.97.0.0/16"}),
    ),
    built(
        "flannel-backend",
        ["cni_flannel_backend: is host-gw in the inventory and vxlan in the cluster (Flannel's backend)"],
        {"cni_flannel_backend": "host-gw"},
    ),
    built(
        "flannel-network",
        ["cni_flannel_values: is 10.1.0.0/16 in the inventory and 10.244.0.0/16 in the cluster (Flannel's network)"],
        {"cni_flannel_values": {"podCidr": "10.1.0.0/16"}},
    ),
    built(
        "another-pod-network",
        [
            "cluster_cni: is calico in the inventory, and the Flannel that this collection has installed is in",
            "or change the pod network by playbooks/change_cni.yml, node by node. See docs/networks.md#change-it.",
        ],
        {"cluster_cni": "calico"},
    ),
    built(
        "pod-network-that-is-being-changed",
        [
            "cluster: pod network: the change from Flannel to Calico has begun (2026-12-01T04:00:00Z) and has not come"
            " to its end. Finish it: playbooks/change_cni.yml, with cluster_cni: calico; or go back",
        ],
        {"cluster_cni": "calico"},
        cp1={
            "configuration": {
                "pod_networks": {"calico": CALICO},
                "pod_network_change": {"from": "flannel", "to": "calico", "since": "2026-12-01T04:00:00Z"},
            }
        },
    ),
    built(
        "calico-of-others",
        ["cluster_cni: is calico, but the Calico in the cluster was not installed by the manifest"],
        {"cluster_cni": "calico"},
        cp1={"configuration": {"pod_networks": {"flannel": None, "calico": {**CALICO, "release": ""}}}},
    ),
    built(
        "calico-encapsulation",
        ["cni_calico_encapsulation: is ipip in the inventory and vxlan in the cluster (Calico's encapsulation)"],
        {"cluster_cni": "calico", "cni_calico_encapsulation": "ipip"},
        cp1={"configuration": {"pod_networks": {"flannel": None, "calico": CALICO}}},
    ),
    built(
        "cilium-instead-of-flannel",
        [
            "cluster_cni: is cilium in the inventory, and the Flannel that this collection has installed is in",
            "Set it to flannel. Cilium cannot run beside another one, so that neither is changed for the other.",
        ],
        {"cluster_cni": "cilium"},
    ),
    built(
        "cilium-of-others",
        ["cluster_cni: is cilium, but the Cilium in the cluster was not installed by the chart"],
        {"cluster_cni": "cilium"},
        cp1={"configuration": {"pod_networks": {"flannel": None, "cilium": {**CILIUM, "release": ""}}}},
    ),
    built(
        "cilium-routing",
        ["cni_cilium_routing_mode: is native in the inventory and tunnel in the cluster (Cilium's routing)"],
        {"cluster_cni": "cilium", "cni_cilium_routing_mode": "native"},
        cp1={"configuration": {"pod_networks": {"flannel": None, "cilium": CILIUM}}},
    ),
    built(
        "no-api-server",
        ["cluster_service_subnet: is 10.97.0.0/16 in the inventory and 10.96.0.0/12 in the cluster"],
        {"cluster_service_subnet": "10.97.0.0/16"},
        cp1={"kubernetes": {"api_ready": False}, "configuration": {"config_maps": None}},
    ),
    # Nodes
    built(
        "renamed",
        ["worker1: inventory_hostname: is worker1, but the machine is the node old1 of its cluster", "Call it old1"],
        worker1={"hostname": "old1", "kubernetes": {"node_name": "old1"}},
    ),
    built(
        "swapped",
        ["worker1: inventory_hostname: is worker1, but the machine is the node cp1", "check the ansible_host of both"],
        worker1={"kubernetes": {"node_name": "cp1"}},
    ),
    built(
        "another-hostname",
        ["worker1: node_prep_hostname: is worker1, and the machine is called old1; the hostname of a node is not"],
        # Its kubelet goes by --hostname-override; otherwise the run gives the machine the node's name back.
        worker1={"hostname": "old1", "kubernetes": {"told_name": "worker1"}},
        warning=True,
    ),
    built(
        "another-address",
        [
            "worker1: cluster_node_ip: the host's address is 192.0.2.2, but it was made a node with 192.0.2.77"
            " (the kubelet's --node-ip).",
            "Give the machine 192.0.2.77 again",
        ],
        worker1={"configuration": {"kubelet_arguments": {"node-ip": "192.0.2.77"}}},
    ),
    built(
        "another-address-of-a-control-plane",
        [
            "cp1: cluster_node_ip: the host's address is 192.0.2.1, but it was made a node with 192.0.2.77"
            " (the kubelet's --node-ip and the API server's --advertise-address).",
            "replace-a-control-plane.md",
        ],
        cp1={
            "configuration": {
                "kubelet_arguments": {"node-ip": "192.0.2.77"},
                "static_pods": {"kube-apiserver": {"advertise-address": "192.0.2.77"}},
            },
        },
    ),
    built(
        "runtime-socket",
        ["cluster_cri_socket: is unix:///run/crio/crio.sock in the inventory, and the kubelet of the host uses unix:"],
        {"cluster_cri_socket": "unix:///run/crio/crio.sock"},
    ),
    built(
        "runtime-version",
        [
            "cp1, worker1: container_runtime_version: 1.7.* is asked for, but the node runs containerd"
            " 1.6.20~ds1-1+deb12u1",
            "upgrade_container_runtime=true",
        ],
        {"container_runtime_version": "1.7.*"},
    ),
    built(
        "control-plane-as-worker",
        ["worker1: kubernetes: runs a control plane (manifests/kube-apiserver.yaml exists) but is a worker"],
        worker1={"kubernetes": {"control_plane": True}},
    ),
    # What is reported
    built(
        "kubelet-field",
        [
            "cluster: KubeletConfiguration.maxPods: is not set in the cluster and 50 in the inventory"
            " (control_plane_kubelet_configuration); site.yml does not change it on a built cluster."
        ],
        override("kubelet", maxPods=50),
        warning=True,
    ),
    built(
        "kubelet-of-one-node",
        [
            "worker1: KubeletConfiguration.maxPods: is 50 in /var/lib/kubelet/config.yaml and not set in the inventory",
        ],
        worker1={"configuration": {"kubelet": CONFIG_MAPS["kubelet-config"] + "maxPods: 50\n"}},
        warning=True,
    ),
    built(
        "proxy-mode",
        ["KubeProxyConfiguration.mode: is nftables in the cluster and iptables in the inventory (cluster_kube_proxy_"],
        {"cluster_kube_proxy_mode": "iptables"},
        warning=True,
    ),
    built(
        "images",
        ["ClusterConfiguration.imageRepository: is registry.k8s.io in the cluster and r.example/k in the inventory"],
        {"cluster_image_repository": "r.example/k"},
        warning=True,
    ),
    built(
        "argument",
        ["ClusterConfiguration.apiServer.extraArgs.profiling: is not set in the cluster and false in the inventory"],
        override("cluster", apiServer={"extraArgs": [{"name": "profiling", "value": "false"}]}),
        warning=True,
    ),
    built(
        "configuration-with-references",
        [
            "cluster: configmap kubeadm-config: the cluster's ClusterConfiguration cannot be read (no YAML, references",
            "so what must not change cannot be compared with the inventory. Write it plainly: kubectl edit",
        ],
        cp1={"configuration": {"config_maps": {"kubeadm-config": "a: &a 1\nb: *a\n"}}},
    ),
    built(
        "kubelet-with-references",
        ["worker1: /var/lib/kubelet/config.yaml: cannot be read (no YAML, references in it, or more than 100000"],
        worker1={"configuration": {"kubelet": "a: &a 1\nb: *a\n"}},
        warning=True,
    ),
    built(
        "argument-that-was-taken-out",
        ["worker1: nodeRegistration.kubeletExtraArgs.max-pods: is 50 in /var/lib/kubelet/kubeadm-flags.env and not"],
        worker1={"configuration": {"kubelet_arguments": {"max-pods": "50"}}},
        warning=True,
    ),
    built(
        "not-read",
        ["cp1: configuration: the cluster's could not be read, so it was not compared with the inventory: timed out."],
        cp1={"configuration": {"config_maps": None, "problem": "timed out"}},
        warning=True,
    ),
    # Other installers
    Case(
        "kubespray-inventory",
        [
            "Preflight found 1 problem;",
            "cluster: inventory: is one of Kubespray; they would be ignored here.",
            "kube_version: cluster_version, without v;",
            "kube_pods_subnet: cluster_pod_subnet;",
            "container_manager: container_runtime_provider",
            "there is nothing here for kube_log_level, kubectl_localhost",
            "helm_enabled: nothing here",
            "ip: cluster_node_ip",
            "the group etcd (worker2): nothing here, etcd runs on the control planes;",
        ],
        {
            "kube_version": "v1.30.0",
            "kube_pods_subnet": "10.233.64.0/18",
            "container_manager": "crio",
            "helm_enabled": True,
            "kube_log_level": 2,
            "kubectl_localhost": True,
            "metallb_version": "v0.13.9",
            "metallb_enabled": False,
        },
        worker1={"ip": "198.51.100.1"},
        groups={"kube_control_plane": ["cp1"], "kube_node": ["worker1", "worker2"], "etcd": ["worker2"]},
    ),
    Case(
        "an-address-of-kubespray",
        ["inventory: has variables that Kubespray knows; they would be ignored here. What is meant is - ip:"],
        worker1={"ip": "198.51.100.1"},
        warning=True,
    ),
    Case(
        "kubespray-node",
        ["worker1: kubernetes: has what an installation of Kubespray leaves (/etc/kubernetes/kubeadm-config.yaml)"],
        facts={"worker1": {"installer": {"name": "Kubespray", "trace": "/etc/kubernetes/kubeadm-config.yaml"}}},
    ),
    Case(
        "programs-by-hand",
        ["worker1: kubernetes: has /usr/local/bin/kubelet, which no package has brought"],
        facts={"worker1": {"installer": {"name": "by hand", "trace": "/usr/local/bin/kubelet"}}},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_another_inventory(case: Case, tmp_path: pathlib.Path) -> None:
    rc, output = playbook("report.yml", case.inventory(), tmp_path)
    for text in case.expected:
        assert text in output, output
    if case.warning:
        assert rc == 0, output
        assert output.count("[WARNING]: ") == 1, output
        return
    assert rc != 0, output
    assert "nothing was changed." in output
    assert_nothing_changed(output)


def test_a_cluster_that_is_as_the_inventory_says(tmp_path: pathlib.Path) -> None:
    rc, output = playbook("report.yml", built("good", []).inventory(), tmp_path)
    assert rc == 0, output
    assert "WARNING" not in output, output
