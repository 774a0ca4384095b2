# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two families of addresses: nodes, pods and services have both, each is tried, and nothing of either is left."""

from __future__ import annotations

import ipaddress
import json
import typing as t

import pytest
from conftest import ARTIFACTS, CONVERGE, changes, connect, left, names, play
from testinfra.host import Host

KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
CONTROL_PLANE = connect(names("kube_control_plane")[0])
NETWORKS = {
    "cluster_pod_subnet": "10.244.0.0/16,fd00:10:244::/56",
    "cluster_service_subnet": "10.96.0.0/12,fd00:10:96::/112",
}
POOLS = [{"name": "default", "addresses": ["172.30.0.229-172.30.0.229", "fd30::229-fd30::229"]}]
VARIABLES = {
    "cluster_name": "molecule-dual-stack",
    "metallb_address_pools": POOLS,
    "kubeconfig_fetch_directory": str(ARTIFACTS),
    **NETWORKS,
}
#: What is tried in each family.
TRIED = (
    "each pod resolves and reaches a ClusterIP of",
    "pods reach each other between nodes by",
    "each node answers on a NodePort by",
    "the load balancer answers from the controller by",
)
# `nft` is not on the lab's machines.
LIST_TABLES = """
import re, socket, struct
kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
kernel.settimeout(2)
kernel.send(struct.pack("=IHHII", 20, 10 << 8 | 1, 0x301, 1, 0) + bytes(4))
print(*re.findall(rb"kube-proxy|flannel-ipv[46]", kernel.recv(1 << 16)))
"""
# Each prints what is left; nothing is right.
LEFT = {
    "interfaces": "ls /sys/class/net | grep -E '^(flannel|veth|cni|kube)'",
    "routes": "ip -6 route | grep fd00; ip route | grep 10.244",
    "rules": "{ iptables-save; ip6tables-save; } | grep -E '(KUBE|FLANNEL|CNI)-|flanneld'",
    "tables": f"python3 -c '{LIST_TABLES}'",
    "files": "ls -d /run/flannel /etc/cni/net.d/*flannel* /opt/cni/bin/flannel /var/lib/cni/networks/* 2>/dev/null",
}


def get(what: str) -> t.Any:
    """Objects of the API."""
    return json.loads(CONTROL_PLANE.check_output(f"{KUBECTL} get {what} --output=json"))


def families(addresses: t.Iterable[str]) -> list[int]:
    """The versions of IP of addresses, in their order."""
    return [ipaddress.ip_address(address).version for address in addresses]


def own_addresses(node: Host) -> list[str]:
    """The addresses of a machine in the lab's network."""
    shown = json.loads(node.check_output("ip -json address show dev eth0"))[0]["addr_info"]
    return sorted((item["local"] for item in shown if item["scope"] == "global"), key=lambda text: ":" in text)


def test_nodes_announce_both(machines: set[str]) -> None:
    found = {item["metadata"]["name"]: item for item in get("nodes")["items"]}
    assert set(found) == machines
    for name, item in found.items():
        internal = [entry["address"] for entry in item["status"]["addresses"] if entry["type"] == "InternalIP"]
        assert internal == own_addresses(connect(name)) and families(internal) == [4, 6]
        slices = [ipaddress.ip_network(text) for text in item["spec"]["podCIDRs"]]
        assert [(network.version, network.prefixlen) for network in slices] == [(4, 24), (6, 64)]


def test_kubelets_have_certificates_with_both(node: Host) -> None:
    path = "/var/lib/kubelet/pki/kubelet-server-current.pem"
    shown = node.check_output(f"openssl x509 -noout -ext subjectAltName -in {path}")
    given = [part.partition(":")[2].strip() for part in shown.split(",") if "IP Address" in part]
    assert {ipaddress.ip_address(text) for text in given} == set(map(ipaddress.ip_address, own_addresses(node)))


def test_packets_of_both_go_through_tunnels(node: Host) -> None:
    four, six = own_addresses(node)
    assert f" local {four} dev eth0 " in node.check_output("ip -details link show flannel.1")
    assert f" local {six} dev eth0 " in node.check_output("ip -details link show flannel-v6.1")
    assert node.check_output("cat /proc/sys/net/ipv6/conf/all/forwarding") == "1"


def test_pods_have_both() -> None:
    found = [item["status"] for item in get("pods --namespace=kube-system --selector=k8s-app=kube-dns")["items"]]
    assert found and all(families(entry["ip"] for entry in item["podIPs"]) == [4, 6] for item in found)


def test_each_family_is_verified() -> None:
    output = play("verify.yml", variables=VARIABLES)
    lines = [line.strip().strip("-' ") for line in output.splitlines()]
    for title in (f"{words} {family}" for words in TRIED for family in ("IPv4", "IPv6")):
        assert any(line.startswith(f"ok      {title}") for line in lines), output
    assert "by IPv6  fd30::229" in output


def test_a_family_cannot_be_taken_away() -> None:
    single = {**VARIABLES, "cluster_pod_subnet": "10.244.0.0/16", "cluster_service_subnet": "10.96.0.0/12"}
    output = " ".join(play(CONVERGE, rc=2, variables=single).split())
    for name, both in NETWORKS.items():
        expected = f"{name}: is {single[name]} in the inventory and {both} in the cluster"
        assert expected in output, output


@pytest.mark.last
def test_reset_leaves_nothing() -> None:
    machines = {name: connect(name) for name in names()}
    assert all(set(LEFT) <= set(left(node, LEFT)) for node in machines.values())
    addresses = {name: own_addresses(node) for name, node in machines.items()}
    confirmed = ("--extra-vars", "reset_confirm=true")
    assert changes(play("reset.yml", *confirmed, variables=VARIABLES)) == len(machines) + 1
    assert {name: left(node, LEFT) for name, node in machines.items() if left(node, LEFT)} == {}
    assert {name: own_addresses(node) for name, node in machines.items()} == addresses
    assert changes(play("reset.yml", *confirmed, variables=VARIABLES)) == 0
