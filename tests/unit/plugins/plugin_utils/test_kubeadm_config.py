# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _kubeadm_config as config

SETTINGS: t.Dict[str, t.Any] = {
    "name": "cp1",
    "cluster_name": "kubernetes",
    "version": "1.37.1",
    "endpoint": "",
    "pod_subnet": "10.244.0.0/16",
    "service_subnet": "10.96.0.0/12",
    "dns_domain": "cluster.local",
    "image_repository": "registry.k8s.io",
    "cri_socket": "unix:///run/containerd/containerd.sock",
    "kube_proxy_mode": "nftables",
}
JOIN: t.Dict[str, t.Any] = {
    "name": "w1",
    "endpoint": "192.0.2.1:6443",
    "ca_cert_hashes": ["sha256:1"],
    "cri_socket": "unix:///c.sock",
}


def test_init_config_of_few_settings() -> None:
    init, cluster, kubelet, proxy = config.kubeadm_init_config(SETTINGS)
    assert init == {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "InitConfiguration",
        "nodeRegistration": {"name": "cp1", "criSocket": "unix:///run/containerd/containerd.sock"},
        "timeouts": config.TIMEOUTS,
    }
    assert cluster == {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "ClusterConfiguration",
        "clusterName": "kubernetes",
        "kubernetesVersion": "v1.37.1",
        "imageRepository": "registry.k8s.io",
        "networking": {
            "podSubnet": "10.244.0.0/16",
            "serviceSubnet": "10.96.0.0/12",
            "dnsDomain": "cluster.local",
        },
        "apiServer": {"certSANs": []},
    }
    assert (kubelet["kind"], kubelet["serverTLSBootstrap"], kubelet["cgroupDriver"]) == (
        "KubeletConfiguration",
        True,
        "systemd",
    )
    assert (proxy["kind"], proxy["mode"]) == ("KubeProxyConfiguration", "nftables")


def test_two_families() -> None:
    both = {"pod_subnet": "10.244.0.0/16, fd00:1::/56", "service_subnet": "10.96.0.0/12,fd00:2::/112"}
    addresses = {"node_ip": "192.0.2.1", "node_ip6": "2001:db8::1"}
    init, cluster, *_more = config.kubeadm_init_config({**SETTINGS, **both, **addresses})
    network = cluster["networking"]
    assert network["podSubnet"] == "10.244.0.0/16,fd00:1::/56"
    assert network["serviceSubnet"] == "10.96.0.0/12,fd00:2::/112"
    argument = [{"name": "node-ip", "value": "192.0.2.1,2001:db8::1"}]
    assert init["nodeRegistration"]["kubeletExtraArgs"] == argument
    # API servers and etcd announce one, of IPv4.
    assert init["localAPIEndpoint"] == {"advertiseAddress": "192.0.2.1"}
    joined = config.kubeadm_join_config({**JOIN, **addresses, "control_plane": True})
    assert joined["nodeRegistration"]["kubeletExtraArgs"] == argument
    assert joined["controlPlane"]["localAPIEndpoint"] == {"advertiseAddress": "192.0.2.1"}


def test_ipv6_alone() -> None:
    networks = {"pod_subnet": "fd00:1::/56", "service_subnet": "fd00:2::/112", "endpoint": "[fd00::9]:6443"}
    init, cluster, *_more = config.kubeadm_init_config({**SETTINGS, **networks, "node_ip": "fd00::1", "node_ip6": ""})
    assert init["localAPIEndpoint"] == {"advertiseAddress": "fd00::1"}
    assert init["nodeRegistration"]["kubeletExtraArgs"] == [{"name": "node-ip", "value": "fd00::1"}]
    assert (cluster["controlPlaneEndpoint"], cluster["apiServer"]) == ("[fd00::9]:6443", {"certSANs": ["fd00::9"]})
    names = config.kubeadm_apiserver_names([init, cluster])
    assert {"fd00::1", "fd00::9", "fd00:2::1"} <= set(names) and not any("[" in name for name in names)


def test_ipvs_answers_for_no_address_of_others() -> None:
    settings = {**SETTINGS, "kube_proxy_mode": "ipvs"}
    *_others, proxy = config.kubeadm_init_config(settings, {"kube_proxy": {"ipvs": {"scheduler": "lc"}}})
    assert (proxy["mode"], proxy["ipvs"]) == ("ipvs", {"strictARP": True, "scheduler": "lc"})


def test_init_config_of_all_settings() -> None:
    more = {
        "version": "v1.36.4",
        "endpoint": "api.example.com",
        "node_ip": "192.0.2.1",
        "schedulable": True,
        "cert_sans": ["b", "a", "", "a", None],
        "ignore_preflight_errors": ("SystemVerification",),
    }
    init, cluster, _kubelet, _proxy = config.kubeadm_init_config({**SETTINGS, **more})
    assert init["localAPIEndpoint"] == {"advertiseAddress": "192.0.2.1"}
    assert init["nodeRegistration"]["taints"] == []
    assert init["nodeRegistration"]["kubeletExtraArgs"] == [{"name": "node-ip", "value": "192.0.2.1"}]
    assert init["nodeRegistration"]["ignorePreflightErrors"] == ["SystemVerification"]
    assert cluster["controlPlaneEndpoint"] == "api.example.com:6443"
    assert cluster["kubernetesVersion"] == "v1.36.4"
    assert cluster["apiServer"] == {"certSANs": ["a", "api.example.com", "b"]}
    assert config.kubeadm_apiserver_names([init, cluster]) == [
        "10.96.0.1",
        "192.0.2.1",
        "a",
        "api.example.com",
        "b",
        "cp1",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ]


def test_overrides_are_merged_over_what_is_computed() -> None:
    overrides = {
        "init": {"nodeRegistration": {"kubeletExtraArgs": [{"name": "v", "value": "2"}], "taints": None}},
        "cluster": {
            "apiServer": {"extraArgs": [{"name": "profiling", "value": "false"}]},
            "networking": {"dnsDomain": "example.internal"},
        },
        "kubelet": {"maxPods": 50},
        "kube_proxy": None,
    }
    init, cluster, kubelet, proxy = config.kubeadm_init_config({**SETTINGS, "node_ip": "192.0.2.1"}, overrides)
    registration = init["nodeRegistration"]
    assert registration["kubeletExtraArgs"] == [{"name": "node-ip", "value": "192.0.2.1"}, {"name": "v", "value": "2"}]
    assert registration["taints"] is None and registration["name"] == "cp1"
    assert cluster["apiServer"] == {"certSANs": [], "extraArgs": [{"name": "profiling", "value": "false"}]}
    assert cluster["networking"] == {
        "podSubnet": "10.244.0.0/16",
        "serviceSubnet": "10.96.0.0/12",
        "dnsDomain": "example.internal",
    }
    assert (kubelet["maxPods"], kubelet["cgroupDriver"]) == (50, "systemd")
    assert proxy["mode"] == "nftables"


def test_arguments_are_merged_by_name() -> None:
    base = [{"name": "a", "value": "1"}, {"name": "b", "value": "1"}]
    over = [{"name": "b", "value": "2"}, {"name": "c", "value": "2"}]
    assert config.merge_documents(base, over) == [{"name": "a", "value": "1"}, *over]
    assert config.merge_documents(base, []) == base
    assert config.merge_documents([], over) == over


def test_an_argument_may_be_given_more_than_once() -> None:
    issuers = [{"name": "service-account-issuer", "value": value} for value in ("https://new", "https://old")]
    base = [{"name": "service-account-issuer", "value": "https://default"}, {"name": "v", "value": "2"}]
    assert config.merge_documents(base, issuers) == [{"name": "v", "value": "2"}, *issuers]


def test_other_lists_are_replaced() -> None:
    taint = [{"key": "a", "effect": "NoSchedule"}]
    assert config.merge_documents(taint, [{"key": "b", "effect": "NoSchedule"}])[0]["key"] == "b"
    assert config.merge_documents(["a"], ["b"]) == ["b"]
    assert config.merge_documents([], taint) == taint
    assert config.merge_documents({"a": [1]}, {"a": {}}) == {"a": {}}


def test_inputs_are_not_changed() -> None:
    base = {"a": {"b": [{"name": "x", "value": "1"}]}}
    config.merge_documents(base, {"a": {"b": [{"name": "x", "value": "2"}], "c": 1}})
    assert base == {"a": {"b": [{"name": "x", "value": "1"}]}}


def test_unknown_document() -> None:
    with pytest.raises(ValueError, match="no document api, etcd; there are init, cluster, kubelet, kube_proxy"):
        config.kubeadm_init_config(SETTINGS, {"etcd": {}, "api": {}})


def test_join_config() -> None:
    document = config.kubeadm_join_config({**JOIN, "node_ip": "192.0.2.2", "ignore_preflight_errors": ["Swap"]})
    assert document == {
        "apiVersion": "kubeadm.k8s.io/v1beta4",
        "kind": "JoinConfiguration",
        "discovery": {"bootstrapToken": {"apiServerEndpoint": "192.0.2.1:6443", "caCertHashes": ["sha256:1"]}},
        "nodeRegistration": {
            "name": "w1",
            "criSocket": "unix:///c.sock",
            "kubeletExtraArgs": [{"name": "node-ip", "value": "192.0.2.2"}],
            "ignorePreflightErrors": ["Swap"],
        },
        "timeouts": config.TIMEOUTS,
    }
    over = config.kubeadm_join_config(JOIN, {"nodeRegistration": {"taints": []}, "timeouts": {"discovery": "1m0s"}})
    assert over["nodeRegistration"] == {"name": "w1", "criSocket": "unix:///c.sock", "taints": []}
    assert over["timeouts"] == {**config.TIMEOUTS, "discovery": "1m0s"}


@pytest.mark.parametrize("schedulable", [True, False])
def test_join_config_of_a_control_plane(schedulable: bool) -> None:
    settings = {**JOIN, "control_plane": True, "node_ip": "192.0.2.2", "schedulable": schedulable}
    document = config.kubeadm_join_config(settings, {"controlPlane": {"localAPIEndpoint": {"bindPort": 7443}}})
    assert document["controlPlane"] == {"localAPIEndpoint": {"advertiseAddress": "192.0.2.2", "bindPort": 7443}}
    assert ("taints" in document["nodeRegistration"]) is schedulable
    assert config.kubeadm_join_config({**JOIN, "control_plane": True})["controlPlane"] == {}


def test_static_pods_see_the_files_beside_the_users_own_volumes() -> None:
    own = {"name": "audit-log", "hostPath": "/var/log/audit", "mountPath": "/var/log/audit"}
    policy = {"name": "audit-policy-file", "value": "/etc/kubernetes/slipway/audit.yaml"}
    overrides = {
        "cluster": {
            "apiServer": {"extraVolumes": [own], "extraArgs": [policy]},
            "scheduler": {"extraArgs": [{"name": "config", "value": "/etc/kubernetes/slipway/scheduler.yaml"}]},
            "controllerManager": {"extraArgs": [{"name": "v", "value": "2"}]},
        }
    }
    settings = {**SETTINGS, "files": True}
    cluster = config.kubeadm_init_config(settings, overrides)[1]
    assert cluster["apiServer"]["extraVolumes"] == [own, config.FILES_VOLUME]
    assert cluster["apiServer"]["extraArgs"] == [policy] and "certSANs" in cluster["apiServer"]
    assert cluster["scheduler"]["extraVolumes"] == [config.FILES_VOLUME]
    assert "extraVolumes" not in cluster["controllerManager"]
    assert "extraVolumes" not in str(config.kubeadm_init_config(SETTINGS)[1])
    mine = {**own, "mountPath": "/etc/kubernetes/slipway"}
    overrides["cluster"]["apiServer"]["extraVolumes"] = [mine]
    assert config.kubeadm_init_config(settings, overrides)[1]["apiServer"]["extraVolumes"] == [mine]


def test_swap_that_pods_may_use() -> None:
    over = {"kubelet": {"memorySwap": {"swapBehavior": "NoSwap"}}}
    kubelet = config.kubeadm_init_config({**SETTINGS, "swap": True})[2]
    assert (kubelet["failSwapOn"], kubelet["memorySwap"]) == (False, {"swapBehavior": "LimitedSwap"})
    assert config.kubeadm_init_config({**SETTINGS, "swap": True}, over)[2]["memorySwap"] == {"swapBehavior": "NoSwap"}
    assert "failSwapOn" not in config.kubeadm_init_config(SETTINGS)[2]
