# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""IPv6 alone: nodes, pods, services, etcd and the endpoint have no address of IPv4, and nothing is left."""

from __future__ import annotations

import ipaddress
import json
import typing as t

import pytest
import yaml
from conftest import ARTIFACTS, CONVERGE, changes, connect, left, names, play
from testinfra.host import Host

KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
CONTROL_PLANES = names("kube_control_plane")
PRIMARY = connect(CONTROL_PLANES[0])
VIP = "fd30::222"
NETWORKS = {"cluster_pod_subnet": "fd00:10:244::/56", "cluster_service_subnet": "fd00:10:96::/112"}
VARIABLES = {
    "cluster_name": "molecule-ipv6",
    "cluster_endpoint": f"[{VIP}]:8443",
    "api_endpoint_provider": "keepalived",
    "node_prep_hosts": True,
    "metallb_address_pools": [{"name": "default", "addresses": ["fd30::223-fd30::223"]}],
    "kubeconfig_fetch_directory": str(ARTIFACTS),
    **NETWORKS,
}
# Each prints what is left; nothing is right.
LEFT = {
    "interfaces": "ls /sys/class/net | grep -E '^(flannel|veth|cni|kube)'",
    "routes": "ip -6 route | grep fd00:10:244",
    "rules": "{ iptables-save; ip6tables-save; } | grep -E '(KUBE|FLANNEL|CNI)-|flanneld'",
    "files": "ls -d /run/flannel /etc/cni/net.d/*flannel* /opt/cni/bin/flannel /var/lib/cni/networks/* 2>/dev/null",
    "address": f"ip -6 address | grep {VIP}",
}


def get(what: str) -> t.Any:
    """Objects of the API."""
    return json.loads(PRIMARY.check_output(f"{KUBECTL} get {what} --output=json"))


def own_address(node: Host) -> str:
    """The address of IPv6 that the lab has given a machine."""
    shown = json.loads(node.check_output("ip -json -6 address show dev eth0"))[0]["addr_info"]
    [found] = [item["local"] for item in shown if item["scope"] == "global" and item["prefixlen"] == 64]
    return str(found)


def in_network(address: str, name: str) -> bool:
    """Whether an address is of the network of pods, or of services."""
    return ipaddress.ip_address(address) in ipaddress.ip_network(NETWORKS[name])


def test_nodes_announce_ipv6_alone(machines: set[str]) -> None:
    found = {item["metadata"]["name"]: item for item in get("nodes")["items"]}
    assert set(found) == machines
    for name, item in found.items():
        internal = [entry["address"] for entry in item["status"]["addresses"] if entry["type"] == "InternalIP"]
        assert internal == [own_address(connect(name))]
        [network] = map(ipaddress.ip_network, item["spec"]["podCIDRs"])
        assert (network.version, network.prefixlen) == (6, 64)


def test_no_pod_and_no_service_has_ipv4() -> None:
    pods = [entry["ip"] for item in get("pods --all-namespaces")["items"] for entry in item["status"]["podIPs"]]
    services = [text for item in get("services --all-namespaces")["items"] for text in item["spec"]["clusterIPs"]]
    own = {own_address(connect(name)) for name in names()}
    assert pods and all(address in own or in_network(address, "cluster_pod_subnet") for address in pods)
    assert services and all(in_network(address, "cluster_service_subnet") for address in services)


def test_members_of_etcd_reach_each_other_by_ipv6() -> None:
    pki = "/etc/kubernetes/pki/etcd"
    shown = PRIMARY.check_output(
        f"{KUBECTL} exec --namespace=kube-system etcd-{CONTROL_PLANES[0]} -- etcdctl --cacert={pki}/ca.crt"
        f" --cert={pki}/peer.crt --key={pki}/peer.key --endpoints=https://[::1]:2379 member list --write-out=json"
    )
    urls = {item["name"]: item["peerURLs"] for item in json.loads(shown)["members"]}
    assert urls == {name: [f"https://[{own_address(connect(name))}]:2380"] for name in CONTROL_PLANES}


def test_the_endpoint_is_on_one_control_plane() -> None:
    assert sum(f"inet6 {VIP}/128" in connect(name).check_output("ip -6 address") for name in CONTROL_PLANES) == 1
    config = yaml.safe_load((ARTIFACTS / "admin.conf").read_text(encoding="utf-8"))
    assert config["clusters"][0]["cluster"]["server"] == f"https://[{VIP}]:8443"


def test_certificates_have_addresses_of_ipv6(node: Host, control_plane: Host) -> None:
    def addresses(host: Host, path: str) -> set[str]:
        shown = host.check_output(f"openssl x509 -noout -ext subjectAltName -in {path}")
        given = [part.partition(":")[2].strip() for part in shown.split(",") if "IP Address" in part]
        return {str(ipaddress.ip_address(text)) for text in given}

    assert addresses(node, "/var/lib/kubelet/pki/kubelet-server-current.pem") == {own_address(node)}
    assert {own_address(control_plane), VIP} <= addresses(control_plane, "/etc/kubernetes/pki/apiserver.crt")


def test_names_lead_to_ipv6(node: Host, machines: set[str]) -> None:
    lines = [line.split() for line in node.check_output("cat /etc/hosts").splitlines() if line.startswith("fd30::")]
    assert {name: address for address, *found in lines for name in found} == {
        name: own_address(connect(name)) for name in machines
    }


def test_packets_go_through_tunnels_of_ipv6(node: Host) -> None:
    assert f" local {own_address(node)} dev eth0 " in node.check_output("ip -details link show flannel-v6.1")
    assert not node.file("/sys/class/net/flannel.1").exists
    assert node.check_output("cat /proc/sys/net/ipv6/conf/all/forwarding") == "1"


def test_it_is_verified() -> None:
    output = play("verify.yml", variables=VARIABLES)
    assert "the load balancer answers from the controller  fd30::223" in output, output


def test_a_family_cannot_be_added() -> None:
    both = {name: f"{four},{NETWORKS[name]}" for name, four in zip(NETWORKS, ("10.244.0.0/16", "10.96.0.0/12"))}
    output = " ".join(play(CONVERGE, rc=2, variables={**VARIABLES, **both}).split())
    for name, wanted in both.items():
        assert f"{name}: is {wanted} in the inventory and {NETWORKS[name]} in the cluster" in output, output


@pytest.mark.last
def test_reset_leaves_nothing() -> None:
    machines = {name: connect(name) for name in names()}
    assert all({"interfaces", "routes", "rules", "files"} <= set(left(node, LEFT)) for node in machines.values())
    confirmed = ("--extra-vars", "reset_confirm=true")
    play("reset.yml", *confirmed, variables=VARIABLES)
    assert {name: left(node, LEFT) for name, node in machines.items() if left(node, LEFT)} == {}
    assert changes(play("reset.yml", *confirmed, variables=VARIABLES)) == 0
