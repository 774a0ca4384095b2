# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pod network from manifests: what the inventory says of it, and what nobody may say."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _netlink
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine import leftovers, own_interfaces, surroundings
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import netfilter, network_managers
from ansible_collections.slipway.kubernetes.plugins.module_utils._node import node_facts
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import (
    POD_NETWORKS,
    PodNetwork,
    beside,
    chosen,
    declared,
    manifest,
    named,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings

ROLLOUT = {"type": "rollout", "kind": "daemonset", "namespace": "kube-system", "names": ["weave-net"]}
GIVEN: t.Dict[str, t.Any] = {
    "cluster_cni": "manifest",
    "cluster_pod_subnet": "10.244.0.0/16",
    "cni_manifests": [{"name": "weave", "url": "https://m.example.com/weave.yaml", "ready_when": [ROLLOUT]}],
    "cni_manifest_cni_file": "10-weave.conflist",
    "cni_manifest_ports": [
        {"port": 6783},
        {"port": "6783-6784", "protocol": "udp", "from_nodes": True},
        {"port": "6782", "from_nodes": "false"},
    ],
    "cni_manifest_protocols": ["ipip"],
    "cni_manifest_interfaces": ["weave", "vethwe*", "datapath", "vxlan-6784"],
    "cni_manifest_interface": "eth1",
    "cni_manifest_kernel_modules": ["openvswitch", "xt-set"],
    "cni_manifest_overhead": 68,
    "cni_manifest_mtu": 1376,
    "cni_manifest_pod_cidrs": False,
    "cni_manifest_network_policy": True,
    "cni_manifest_left": {
        "chains": ["WEAVE"],
        "ip_sets": ["weave-"],
        "folders": ["/var/lib/weave", "/var/run/weave"],
        "programs": ["/opt/cni/bin/weave-net"],
    },
}
LEFT = {
    "interfaces": ["weave", "vethwe*", "datapath", "vxlan-6784"],
    "cni_files": ["10-weave.conflist"],
    "chains": ["WEAVE"],
    "ip_sets": ["weave-"],
    "networks": ["10.244.0.0/16"],
    "folders": ["/var/lib/weave", "/var/run/weave"],
    "programs": ["/opt/cni/bin/weave-net"],
}


def settings(**more: t.Any) -> Settings:
    return Settings({**GIVEN, **more})


def said(**more: t.Any) -> t.List[str]:
    found = chosen(settings(**more)).findings(settings(**more))
    return [f"{finding.severity} {finding.subject}: {finding.message}" for finding in found]


def test_what_the_inventory_says_of_it() -> None:
    network = chosen(settings())
    assert (network.title, network.cni_file, network.overhead) == ("weave", "10-weave.conflist", 68)
    assert (network.goes_by_slices, network.has_policies, network.conditions) == (False, True, (ROLLOUT,))
    assert network.interface_prefixes == ("weave", "vethwe", "datapath", "vxlan-6784")
    assert [item["Name"] for item in network.interfaces] == ["weave", "vethwe0", "datapath", "vxlan-6784"]
    assert network.modules(settings()) == {"openvswitch", "xt_set"} and network.mtu(settings()) == 1376
    assert network.protocols(settings()) == ["ipip"] and network.interface(settings(), {}, settings(), {}) == "eth1"
    ports = [(port.protocol, port.number, port.is_asked, port.is_tried) for port in network.ports(settings())]
    assert ports == [
        ("tcp", 6783, True, True),
        ("udp", 6783, True, True),
        ("udp", 6784, True, True),
        ("tcp", 6782, False, False),
    ]
    assert network.leftovers(settings()) == LEFT
    assert said() == []


def test_without_settings_nothing_is_known() -> None:
    network = named("manifest")
    assert network is POD_NETWORKS["manifest"] and network.title == "cni_manifests" and not network.cni_file
    assert (network.interfaces, network.conditions, network.words, network.has_policies) == ((), (), (), False)
    empty = chosen(Settings({"cluster_cni": "manifest"}))
    assert empty.title == "cni_manifests" and empty.leftovers(Settings({})) == {} and empty.ports(Settings({})) == []
    # The row itself stays as it is, and the others are told nothing.
    chosen(settings())
    assert network.title == "cni_manifests"
    assert chosen(Settings({"cluster_cni": "flannel"})) is POD_NETWORKS["flannel"]
    assert PodNetwork().leftovers(settings()) == {} and PodNetwork().words == ()


def test_whose_it_is_in_a_cluster() -> None:
    network = named("manifest")
    assert network.path == "/api/v1/namespaces/kube-system/configmaps/slipway-cni"
    assert network.state({"data": {"entries": "{}\n"}}) == {"release": network.release}
    assert network.state({"data": {"entries": ""}}) == network.state({}) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6783", [6783]),
        ("6783-6785", [6783, 6784, 6785]),
        ("0", []),
        ("65536", []),
        ("9-8", []),
        ("1-", []),
        ("http", []),
        ("²", []),
    ],
)
def test_ports_of_a_text(text: str, expected: t.List[int]) -> None:
    assert list(manifest.numbers(text)) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"cni_manifests": []}, "error cni_manifests: has no entries"),
        ({"cni_manifests": [{"name": "weave"}]}, "warning cni_manifests: has no ready_when"),
        ({"cni_manifest_ports": [{"port": "x"}]}, "error cni_manifest_ports: x is neither a port nor a range"),
        ({"cni_manifest_ports": [{"port": "1-99"}]}, "error cni_manifest_ports: 1-99 is neither"),
        ({"cni_manifest_cni_file": ""}, "error cni_manifest_cni_file: is empty"),
        (
            {"cni_manifest_cni_file": "/etc/cni/net.d/a.conf"},
            "error cni_manifest_cni_file: /etc/cni/net.d/a.conf is no",
        ),
        ({"cni_manifest_cni_file": "87-podman.conflist"}, "error cni_manifest_cni_file: 87-podman.conflist has podman"),
        ({"cni_manifest_interfaces": ["eth0"]}, "error cni_manifest_interfaces: eth0 is how interfaces of machines"),
        (
            {"cni_manifest_left": {"folders": ["/etc/kubernetes"]}},
            "error cni_manifest_left: /etc/kubernetes is no folder",
        ),
        ({"cni_manifest_kernel_modules": ["a b"]}, "error cni_manifest_kernel_modules: a b is no name"),
        ({"cni_manifest_overhead": 1500}, "error cni_manifest_overhead: is 1500, and has to be between 0 and 200"),
        ({"cni_manifest_overhead": -1}, "error cni_manifest_overhead: is -1"),
        ({"cni_manifest_mtu": 99}, "error cni_manifest_mtu: is 99"),
    ],
)
def test_what_is_wrong(given: t.Dict[str, t.Any], expected: str) -> None:
    (line,) = said(**given)
    assert line.startswith(expected)


@pytest.mark.parametrize(
    "given",
    [
        # Of a wrong type: that is reported elsewhere.
        {"cni_manifest_ports": ["x"]},
        {"cni_manifest_left": {"folders": "/var/lib/weave", "sets": []}},
        {"cni_manifests": ["x", {"name": "weave", "ready_when": [ROLLOUT, "x"]}]},
        {"cni_manifest_mtu": 0},
    ],
)
def test_what_is_not_wrong(given: t.Dict[str, t.Any]) -> None:
    assert said(**given) == []


# Names that are removed


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (
            "interfaces",
            ["weave", "vethwe*", "vethwe-bridge", "kube-bridge", "tun-*", "antrea-gw0", "ovn0", "lxc_health"],
        ),
        ("cni_files", ["10-weave.conflist", "05-x.conf", "x.json"]),
        ("chains", ["WEAVE", "KUBE-ROUTER-", "ANTREA-", "OVN"]),
        ("comments", ["allow outbound traffic from pods", "kube-router netpol"]),
        ("nft_tables", ["kube-router", "weave", "ovn-kubernetes"]),
        ("ip_sets", ["weave-", "inet6:kube-router-", "ANTREA-"]),
        ("networks", ["10.244.0.0/16", "10.0.0.0/8", "fd00:10:244::/56"]),
        ("folders", ["/var/lib/weave", "/run/openvswitch", "/var/run/antrea/cni", "/var/log/antrea"]),
        ("programs", ["/opt/cni/bin/weave-net", "/opt/cni/bin/antrea"]),
    ],
)
def test_names_of_a_pod_network_alone(kind: str, texts: t.List[str]) -> None:
    assert list(declared.wrong(kind, texts)) == []


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (
            "interfaces",
            ["", "*", "e*", "eth*", "en*", "ens3", "eno1", "wl*", "bond0", "b*", "br-*", "docker0", "veth*"],
        ),
        (
            "interfaces",
            ["lo", "vlan*", "tun0", "tu*", "?", "eth?", "[e]th0", "eth0*", "a/b", "../x", "waytoolonganame0"],
        ),
        (
            "interfaces",
            ["eth17", "ens18", "enp3s0f0np0", "eth0.100", "bond1.7", "wlp0s20f3", "br-0123456789ab", "veth12"],
        ),
        ("interfaces", ["ve*", "we*", "-x", "kube-*", "weave*x", "we ave", "eth0\n"]),
        ("cni_files", ["", "*", "*.conflist", "a/b.conf", "..", "../a.conf", "10-weave", "100-crio-bridge.conflist"]),
        (
            "chains",
            ["", "*", "K", "INPUT", "IN", "DOCKER-USER", "DOCK", "ufw-before", "CNI", "cni-x", "FORWARD", "W E"],
        ),
        ("nft_tables", ["", "nat", "filter", "ip filter", "firewalld", "*", "a*", "Filter"]),
        ("comments", ["", "*", "accept", ".*............", 'a "quoted" comment', "-j ACCEPT -m comment"]),
        ("ip_sets", ["", "*", "we", "f2b-sshd", "f2b", "block", "a b c d"]),
        ("networks", ["", "0.0.0.0/0", "10.0.0.0/7", "::/0", "10.244.0.1/16", "x", "127.0.0.0/8", "169.254.0.0/16"]),
        ("folders", ["", "/", "/etc", "/etc/kubernetes", "/var/lib", "/var/lib/", "/var", "/run", "/home/x", "*"]),
        ("folders", ["/var/lib/*", "/var/lib/../x", "/var/lib/we ave", "/var/lib/.hidden", "var/lib/weave", "/run//x"]),
        ("folders", ["/var/lib/kubelet", "/var/lib/etcd", "/var/lib/docker", "/var/lib/cni", "/run/systemd/x"]),
        (
            "folders",
            ["/var/lib/weave/", "/var/lib/weave/..", "/var/lib/weave/./x", "/var/lib/slipway", "/var/log/pods"],
        ),
        ("programs", ["", "/opt/cni/bin", "/opt/cni/bin/", "/opt/cni/bin/*", "/opt/cni/bin/bridge", "/usr/bin/ip"]),
        ("programs", ["/opt/cni/bin/../x", "weave-net"]),
    ],
)
def test_names_that_others_have(kind: str, texts: t.List[str]) -> None:
    assert [text for text in texts if not list(declared.wrong(kind, [text]))] == []


def test_a_machine_is_looked_at_for_it(tmp_path: Path) -> None:
    row = declared.Declared(LEFT, interfaces=["weave", "more*"])
    folder = tmp_path / "etc/cni/net.d"
    folder.mkdir(parents=True)
    for name in ("10-weave.conflist", "11-weave.conflist", "87-podman.conflist"):
        (folder / name).write_text('{"name": "weave"}')
    for name in ("weave", "weaver", "vethwe-bridge", "vethx", "more1", "eth0"):
        (tmp_path / "net" / name).mkdir(parents=True)
    assert leftovers.cni_files(str(folder)) == [] and not node_facts.is_virtual("more1")
    with beside(row):
        assert leftovers.cni_files(str(folder)) == [f"{folder}/10-weave.conflist"]
        # What it makes and does not leave stays.
        assert leftovers.interfaces(str(tmp_path / "net")) == ["vethwe-bridge", "weave"]
        assert leftovers.pod_networks(str(tmp_path)) == ["10.244.0.0/16"]
        assert node_facts.is_virtual("more1") and not node_facts.is_virtual("eth0")
        saved = "*nat\n:WEAVE - [0:0]\n-A POSTROUTING -j WEAVE\n-A POSTROUTING -m set --match-set weave-a src -j DROP\n"
        plan = netfilter.plan(f"{saved}-A POSTROUTING -m set --match-set others src -j DROP\nCOMMIT\n", [])
        assert plan.names == ["nat WEAVE"] and plan.text.count("-D POSTROUTING") == 2 and "others" not in plan.text
    assert "(declared)" not in POD_NETWORKS and surroundings.known_modules()


def test_rules_that_are_in_chains_of_others() -> None:
    comments = ["allow outbound traffic from pods"]
    saved = (
        '*filter\n-A FORWARD -i kube-bridge -m comment --comment "allow outbound traffic from pods" -j ACCEPT\n'
        '-A FORWARD -m comment --comment "allow outbound traffic from pods and more" -j ACCEPT\nCOMMIT\n'
    )
    rules = (
        "0:\tfrom all lookup local\n32764:\tfrom 10.244.1.0/24 lookup 77 \n32765:\tfrom 192.0.2.0/24 lookup 78\n"
        "32766:\tfrom all lookup main\n"
    )
    with beside(declared.Declared({"comments": comments, "networks": ["10.244.0.0/16", "fd00::/64"]})):
        assert netfilter.plan(saved, []).text.count("-D FORWARD") == 1
        assert leftovers.routing_rules(rules) == ["from 10.244.1.0/24 lookup 77"]
    assert leftovers.routing_rules(rules) == []


@pytest.mark.parametrize(
    ("match", "taken"),
    [
        ("Name=weave*", ["weave"]),
        ("Name=*", ["weave"]),
        # Of what kind it is nobody knows.
        ("Kind=veth", []),
        ("Name=*\nKind=!veth bridge", []),
        ("Name=eth*", []),
    ],
)
def test_files_of_networkd(tmp_path: Path, match: str, taken: t.List[str], flannel_alone: None) -> None:
    path = tmp_path / "etc/systemd/network/50-x.network"
    path.parent.mkdir(parents=True)
    path.write_text(f"[Match]\n{match}\n")
    with beside(declared.Declared({}, interfaces=["weave"])):
        found = [name for entry in network_managers.networkd(str(tmp_path)) for name in entry["takes"]]
    assert [name for name in found if name == "weave"] == taken


# Interfaces of the machine

ROUTE = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
ROUTE6 = f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} 00000400 00000001 00000000 00000003"


@pytest.fixture(name="root")
def fixture_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    net, proc = tmp_path / "sys/class/net", tmp_path / "proc/net"
    for folder in ("card/device", "bridge/brif/card", "mesh/brif/vethx", "vethx", "tagged", "main", "six", "known"):
        (net / folder).mkdir(parents=True)
    (net / "tagged/uevent").write_text("DEVTYPE=vlan\nINTERFACE=tagged\n")
    (net / "mesh/uevent").write_text("DEVTYPE=bridge\nINTERFACE=mesh\n")
    proc.mkdir(parents=True)
    lines = ["main\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0", "mesh\t0000F40A\t0\t1\t0\t0\t0\t0000FFFF\t0"]
    (proc / "route").write_text(ROUTE + "\n".join([*lines, "short"]) + "\n")
    (proc / "ipv6_route").write_text(f"{ROUTE6} six\n{ROUTE6} lo\n{ROUTE6[2:]} mesh\nshort\n")
    addresses = [{"address": "192.0.2.1", "prefix": 24}]
    monkeypatch.setattr(_netlink, "interfaces", lambda: [{"name": "known", "addresses": addresses}])
    return tmp_path


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("card", "is hardware of this machine"),
        ("bridge", "is a bridge with hardware of this machine"),
        ("tagged", "is a vlan of this machine"),
        ("main", "has the default route of this machine"),
        ("six", "has the default route of this machine"),
        ("known", "has the node's address 192.0.2.1"),
        ("mesh", ""),
        ("vethx", ""),
        ("gone", ""),
    ],
)
def test_interfaces_of_the_machine(root: Path, name: str, expected: str) -> None:
    assert own_interfaces.reason(name, ["192.0.2.1"], str(root)) == expected


def test_an_address_that_is_not_the_nodes(root: Path) -> None:
    assert own_interfaces.reason("known", ["192.0.2.2", ""], str(root)) == ""
