# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.filter.pod_networks import FilterModule
from ansible_collections.slipway.kubernetes.plugins.module_utils._charts import within
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine import leftovers
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import netfilter
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import POD_NETWORKS
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings

CILIUM = POD_NETWORKS["cilium"]
DEFAULTS: t.Dict[str, t.Any] = {
    "cluster_pod_subnet": "10.244.0.0/16",
    "cluster_endpoint": "",
    "cluster_control_plane_hosts": ["cp1"],
    "cluster_worker_hosts": ["w1", "w2"],
    "control_plane_skip_phases": [],
    "cni_cilium_chart_version": "1.15.19",
    "cni_cilium_routing_mode": "tunnel",
    "cni_cilium_kube_proxy_replacement": False,
    "cni_cilium_mtu": 0,
    "cni_cilium_values": {},
}
NATIVE = {"cni_cilium_routing_mode": "native"}
TWO = {"cluster_pod_subnet": "10.244.0.0/16,fd00:10:244::/56"}
ALONE = {"cni_cilium_kube_proxy_replacement": True, "control_plane_skip_phases": ["addon/kube-proxy"]}


def settings(**more: t.Any) -> Settings:
    return Settings({**DEFAULTS, **more})


def values(**more: t.Any) -> t.Dict[str, t.Any]:
    found: t.Dict[str, t.Any] = FilterModule().filters()["pod_network_values"]("cilium", {**DEFAULTS, **more})
    return found


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"routingMode": "tunnel", "tunnelProtocol": "vxlan", "kubeProxyReplacement": "false"}),
        (
            {},
            {"cni.chainingMode": "portmap", "cni.exclusive": False, "sessionAffinity": True, "ipam.mode": "kubernetes"},
        ),
        ({}, {"hubble.enabled": False, "envoy.enabled": False, "l7Proxy": False, "MTU": None, "k8sServiceHost": None}),
        (NATIVE, {"routingMode": "native", "tunnelProtocol": None, "autoDirectNodeRoutes": True}),
        (NATIVE, {"ipv4NativeRoutingCIDR": "10.244.0.0/16", "ipv6NativeRoutingCIDR": None, "ipv6.enabled": False}),
        (TWO, {"ipv6.enabled": True, "k8s.requireIPv6PodCIDR": True, "ipv6NativeRoutingCIDR": None}),
        ({**NATIVE, **TWO}, {"ipv4NativeRoutingCIDR": "10.244.0.0/16", "ipv6NativeRoutingCIDR": "fd00:10:244::/56"}),
        (ALONE, {"kubeProxyReplacement": "true", "cni.chainingMode": "none", "sessionAffinity": None}),
        # Templates make texts of them.
        ({"cni_cilium_kube_proxy_replacement": "True"}, {"kubeProxyReplacement": "true"}),
        ({"cni_cilium_mtu": "1400"}, {"MTU": 1450}),
        ({"cni_cilium_mtu": 1400, **NATIVE}, {"MTU": 1400}),
        ({}, {"operator.replicas": 2}),
        ({"cluster_worker_hosts": ["cp1"]}, {"operator.replicas": 1}),
        ({"cluster_worker_hosts": [], "cluster_control_plane_hosts": []}, {"operator.replicas": 1}),
    ],
)
def test_values_of_the_chart(given: t.Dict[str, t.Any], expected: t.Dict[str, t.Any]) -> None:
    found = values(**given)
    assert {path: within(found, *path.split(".")) for path in expected} == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"default_address": "192.0.2.1"}, ("192.0.2.1", 6443)),
        ({"default_address": "192.0.2.1", "cluster_node_ip": "198.51.100.1"}, ("198.51.100.1", 6443)),
        (
            {"control_plane_init_configuration": {"localAPIEndpoint": {"bindPort": 7443}}, "default_address": "a"},
            ("a", 7443),
        ),
        ({"cluster_endpoint": "api.example.com"}, ("api.example.com", 6443)),
        ({"cluster_endpoint": "api.example.com:8443"}, ("api.example.com", 8443)),
        ({"cluster_endpoint": "[2001:db8::1]:8443"}, ("2001:db8::1", 8443)),
        ({"cluster_endpoint": "[2001:db8::1]"}, ("2001:db8::1", 6443)),
    ],
)
def test_where_the_api_server_is(given: t.Dict[str, t.Any], expected: t.Tuple[str, int]) -> None:
    """Agents have to reach it before there are services."""
    found = values(**ALONE, **given)
    assert (found["k8sServiceHost"], found["k8sServicePort"]) == expected


def test_others_have_no_values() -> None:
    assert FilterModule().filters()["pod_network_values"]("flannel", {}) == {}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ["tcp 4240 asked", "tcp 9879", "tcp 9963", "udp 8472 asked tried"]),
        (NATIVE, ["tcp 4240 asked", "tcp 9879", "tcp 9963"]),
        (
            {"cni_cilium_values": {"tunnelProtocol": "geneve", "hubble": {"enabled": True}}},
            ["tcp 4240 asked", "tcp 9879", "tcp 9963", "tcp 4244 asked", "udp 6081 asked tried"],
        ),
        (
            {"cni_cilium_values": {"tunnelPort": 8473, "encryption": {"enabled": True, "type": "wireguard"}}},
            ["tcp 4240 asked", "tcp 9879", "tcp 9963", "udp 51871 asked", "udp 8473 asked tried"],
        ),
        (
            {"cni_cilium_values": {"tunnelProtocol": "x"}},
            ["tcp 4240 asked", "tcp 9879", "tcp 9963", "udp 8472 asked tried"],
        ),
    ],
)
def test_ports(given: t.Dict[str, t.Any], expected: t.List[str]) -> None:
    found = [
        f"{port.protocol} {port.number}{' asked' if port.is_asked else ''}{' tried' if port.is_tried else ''}"
        for port in CILIUM.ports(settings(**given))
    ]
    assert found == expected


WIREGUARD = {"encryption": {"enabled": True, "type": "wireguard"}}


@pytest.mark.parametrize(
    ("given", "overhead", "modules"),
    [
        ({}, 50, {"vxlan"}),
        (NATIVE, 0, set()),
        ({"cni_cilium_values": {"tunnelProtocol": "geneve"}}, 50, {"geneve"}),
        ({"cni_cilium_values": {"encryption": {"enabled": True, "type": "ipsec"}}}, 50, {"vxlan"}),
        ({"cni_cilium_values": WIREGUARD}, 130, {"vxlan", "wireguard"}),
        ({"cni_cilium_values": WIREGUARD, **NATIVE}, 80, {"wireguard"}),
    ],
)
def test_what_it_takes_of_each_packet(given: t.Dict[str, t.Any], overhead: int, modules: t.Set[str]) -> None:
    assert CILIUM.overhead_with(settings(**given)) == overhead
    assert CILIUM.modules(settings(**given)) == modules <= set(CILIUM.kernel_modules)
    assert CILIUM.mtu(settings(cni_cilium_mtu="1400", **given)) == 1400


def test_what_lasts() -> None:
    """With the keys of what its ConfigMap says; recorded from a cluster."""
    kept = {
        "metadata": {"annotations": {"meta.helm.sh/release-name": "cilium"}},
        "data": {"routing-mode": "tunnel", "tunnel-protocol": "vxlan", "kube-proxy-replacement": "false", "ipam": "x"},
    }
    state = CILIUM.state(kept)
    assert state == {
        "routing_mode": "tunnel",
        "tunnel_protocol": "vxlan",
        "kube_proxy_replacement": "false",
        "release": CILIUM.release,
    }
    wanted = {item.key: item.wanted for item in CILIUM.lasting(settings())}
    assert wanted == {key: value for key, value in state.items() if key != "release"}
    assert [item.key for item in CILIUM.lasting(settings(**NATIVE))] == ["routing_mode", "kube_proxy_replacement"]
    assert CILIUM.state({})["release"] == "" and CILIUM.lasting(Settings({})) == []


@pytest.mark.parametrize(
    ("given", "subject", "message"),
    [
        (
            {"cni_cilium_kube_proxy_replacement": True},
            "cni_cilium_kube_proxy_replacement",
            "is true, and kubeadm installs kube-proxy",
        ),
        (
            {"control_plane_skip_phases": ["addon/all"]},
            "cni_cilium_kube_proxy_replacement",
            "is false, and there is no kube-proxy",
        ),
        (
            {"control_plane_cluster_configuration": {"proxy": {"disabled": True}}},
            "cni_cilium_kube_proxy_replacement",
            "is false, and there is no kube-proxy",
        ),
        ({"cni_cilium_mtu": 576}, "cni_cilium_mtu", "is 576, and has to be 0 or between 1280 and 65535."),
        ({"cni_cilium_mtu": 65536}, "cni_cilium_mtu", "is 65536, and has to be"),
        (
            {"cni_cilium_values": {"routingMode": "native"}},
            "cni_cilium_values",
            "has routingMode, which has a variable",
        ),
        (
            {"cni_cilium_values": {"kubeProxyReplacement": False}},
            "cni_cilium_values",
            "has kubeProxyReplacement, which",
        ),
        ({"cni_cilium_values": {"MTU": 9000}}, "cni_cilium_values", "has MTU, which has a variable of its own."),
        ({"cni_cilium_values": {"ipam": {"mode": "cluster-pool"}}}, "cni_cilium_values", "has ipam.mode cluster-pool"),
        (
            {"cni_cilium_values": {"tunnelProtocol": "gre"}},
            "cni_cilium_values",
            "has tunnelProtocol gre, which is none",
        ),
        (
            {"cni_cilium_values": {"tunnelProtocol": "vxlan"}, **NATIVE},
            "cni_cilium_values",
            "is native, without tunnels",
        ),
        (
            {"cni_cilium_values": {"ipv6": {"enabled": True}}},
            "cni_cilium_values",
            "has ipv6.enabled, which has a variable",
        ),
    ],
)
def test_what_is_wrong(given: t.Dict[str, t.Any], subject: str, message: str) -> None:
    [finding] = CILIUM.findings(settings(**given))
    assert finding.subject == subject and message in finding.message and finding.severity == "error"


@pytest.mark.parametrize(
    "given",
    [
        {},
        NATIVE,
        ALONE,
        {"cni_cilium_kube_proxy_replacement": "true", "control_plane_skip_phases": ["addon"]},
        {"cni_cilium_mtu": 1280},
        {"cni_cilium_mtu": 65535},
        {"cni_cilium_values": {"ipam": {"mode": "kubernetes"}, "tunnelProtocol": "geneve"}},
        {"cni_cilium_values": {"hubble": {"enabled": True}, "l7Proxy": True}},
    ],
)
def test_what_is_all_right(given: t.Dict[str, t.Any]) -> None:
    assert list(CILIUM.findings(settings(**given))) == []


def test_the_network_of_all_pods(tmp_path: Path) -> None:
    """As the init container of the agent writes it down; empty with tunnels."""
    folder = "var/lib/kubelet/pods/{}/volumes/kubernetes.io~empty-dir/tmp/cilium/config-map"
    for pod, name, text in (("1", "cluster-name", "default"), ("2", "ipv4-native-routing-cidr", "10.244.0.0/16\n")):
        assert CILIUM.network(str(tmp_path)) == ""
        path = tmp_path / folder.format(pod) / name
        path.parent.mkdir(parents=True)
        path.write_text(text, "utf-8")
    assert CILIUM.network(str(tmp_path)) == "10.244.0.0/16"
    (path.parent / "ipv6-native-routing-cidr").write_text("fd00:10:244::/56", "utf-8")
    assert CILIUM.network(str(tmp_path)) == "10.244.0.0/16,fd00:10:244::/56"


def test_nothing_of_it_is_left(tmp_path: Path) -> None:
    for name in (
        "cilium_host",
        "cilium_net",
        "cilium_vxlan",
        "lxc0123456789ab",
        "lxc_health",
        "lxcbr0",
        "lxc0123",
        "eth0",
    ):
        (tmp_path / "net" / name).mkdir(parents=True)
    found = leftovers.interfaces(str(tmp_path / "net"), [CILIUM])
    assert found == ["cilium_host", "cilium_net", "cilium_vxlan", "lxc0123456789ab", "lxc_health"]
    assert leftovers.mounts("22 1 0:3 / /run/cilium/cgroupv2 rw - cgroup2 none rw\n") == ["/run/cilium/cgroupv2"]
    saved = (
        "*nat\n:POSTROUTING ACCEPT [0:0]\n:CILIUM_POST_nat - [0:0]\n"
        '-A POSTROUTING -m comment --comment "cilium-feeder: CILIUM_POST_nat" -j CILIUM_POST_nat\n'
        "-A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE\n"
        '-A CILIUM_POST_nat -s 10.244.0.0/24 ! -o cilium_+ -m comment --comment "cilium masquerade non-cluster"'
        " -j MASQUERADE\nCOMMIT\n"
    )
    plan = netfilter.plan(saved, [])
    assert plan.names == ["nat CILIUM_POST_nat"]
    assert plan.text.count("-D POSTROUTING") == 1 and "192.0.2.0" not in plan.text
    for name in (
        "sys/fs/bpf/tc/globals/cilium_calls_1",
        "sys/fs/bpf/tc/globals/cali_jump",
        "etc/sysctl.d/10-mine.conf",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert leftovers.own_files([CILIUM], str(tmp_path)) == [f"{tmp_path}/sys/fs/bpf/tc/globals/cilium_calls_1"]


def test_its_name_for_the_runtime(tmp_path: Path) -> None:
    """In its file: with kube-proxy it is that of the plugin for ports of the node."""
    (tmp_path / "05-cilium.conflist").write_text(json.dumps({"name": "cilium", "plugins": []}), "utf-8")
    files = leftovers.cni_files(str(tmp_path))
    assert {"cilium", CILIUM.cni_network} <= set(leftovers.cni_networks(files))
