# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What firewalls of nodes have to let through."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _openings
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import network as checks
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import node_prep
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.plan import Plan
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host

COMMON = {
    "node_prep_firewall": "open",
    "cluster_cni": "flannel",
    "cni_flannel_backend": "vxlan",
    "cluster_pod_subnet": "10.244.0.0/16",
    "cluster_service_subnet": "10.96.0.0/12",
}


def host(name: str, address: str = "", prefix: int = 24, closed: str = "", **variables: t.Any) -> Host:
    interface = {"name": "eth0", "virtual": False, "addresses": [{"address": address, "prefix": prefix}]}
    facts: t.Dict[str, t.Any] = {
        "default_address": address,
        "interfaces": [interface],
        "listening": [],
        "kubernetes": {"joined": False, "control_plane": False, "unfinished": None, "endpoint": ""},
        "surroundings": {"firewalls": [{"by": closed, "admits": []}] if closed else []},
    }
    role = name.startswith("cp")
    return Host(name, role, not role, {**COMMON, **variables}, facts=facts if address else None)


def texts(found: t.Mapping[str, t.Any], name: str) -> t.List[str]:
    """What is opened on a host, each in one line."""
    keys = ("protocol", "port", "source", "destination", "forwarded")
    return [" ".join(str(item.get(key, "-")) for key in keys) for item in found[name]["openings"]]


PODS = ["- - 10.244.0.0/16 - True", "- - - 10.244.0.0/16 True"]


def test_nodes_open_what_they_need() -> None:
    hosts = [host("cp1", "192.0.2.11"), host("cp2", "192.0.2.12"), host("worker1", "192.0.2.21")]
    found = _openings.openings(hosts)
    node = [
        "tcp 10250 192.0.2.0/24 - -",
        "tcp 10250 10.244.0.0/16 - -",
        "udp 8472 192.0.2.0/24 - -",
        *PODS,
    ]
    assert texts(found, "worker1") == node
    etcd = ["tcp 2379-2380 192.0.2.11/32 - -", "tcp 2379-2380 192.0.2.12/32 - -"]
    assert texts(found, "cp1") == texts(found, "cp2") == ["tcp 6443 - - -", *etcd, *node]
    assert found["cp1"]["keep"] is False
    hosts[2] = host("worker1", "192.0.2.21", node_prep_firewall="leave")
    assert list(_openings.openings(hosts)) == ["cp1", "cp2"]


def test_nodes_of_two_families_open_both() -> None:
    networks = {
        "cluster_pod_subnet": "10.244.0.0/16,fd00:1::/56",
        "cluster_service_subnet": "10.96.0.0/12,fd00:2::/112",
    }
    hosts = [host("cp1", "192.0.2.11", **networks), host("worker1", "192.0.2.21", **networks)]
    for number, one in enumerate(hosts, start=1):
        addresses = t.cast(t.Dict[str, t.Any], one.facts)["interfaces"][0]["addresses"]
        addresses.append({"address": f"2001:db8::{number}", "prefix": 64})
    found = _openings.openings(hosts)
    assert texts(found, "worker1") == [
        *(f"tcp 10250 {source} - -" for source in ("192.0.2.0/24", "2001:db8::/64", "10.244.0.0/16", "fd00:1::/56")),
        "udp 8472 192.0.2.0/24 - -",
        "udp 8472 2001:db8::/64 - -",
        "icmpv6 - - - -",
        "- - 10.244.0.0/16 - True",
        "- - fd00:1::/56 - True",
        "- - - 10.244.0.0/16 True",
        "- - - fd00:1::/56 True",
    ]
    assert "tcp 2379-2380 2001:db8::1/128 - -" in texts(found, "cp1") and not found["cp1"]["keep"]
    # An address that is not known now may be known the next time.
    t.cast(t.Dict[str, t.Any], hosts[1].facts)["interfaces"][0]["addresses"].pop()
    assert _openings.openings(hosts)["cp1"]["keep"]


def test_nodes_of_ipv6_alone_open_it_alone() -> None:
    networks = {"cluster_pod_subnet": "fd00:1::/56", "cluster_service_subnet": "fd00:2::/112"}
    hosts = [host("cp1", "2001:db8::1", prefix=64, **networks), host("worker1", "2001:db8::2", prefix=64, **networks)]
    for one in hosts:
        facts = t.cast(t.Dict[str, t.Any], one.facts)
        facts["default_address6"] = facts["default_address"]
        facts["interfaces"][0]["addresses"].append({"address": "192.0.2.1", "prefix": 24})
    found = _openings.openings(hosts)
    assert texts(found, "worker1") == [
        "tcp 10250 2001:db8::/64 - -",
        "tcp 10250 fd00:1::/56 - -",
        "udp 8472 2001:db8::/64 - -",
        # What else the interface of the pod network is in.
        "udp 8472 192.0.2.0/24 - -",
        "icmpv6 - - - -",
        "- - fd00:1::/56 - True",
        "- - - fd00:1::/56 True",
    ]
    assert "tcp 2379-2380 2001:db8::1/128 - -" in texts(found, "cp1") and not found["cp1"]["keep"]


def test_a_worker_opens_nothing_but_its_own_address() -> None:
    # It says that its network is all of the internet.
    found = _openings.openings([host("cp1", "192.0.2.11"), host("worker1", "198.51.100.7", prefix=0)])
    kubelet = [text for text in texts(found, "cp1") if " 10250 " in text]
    assert [text.split()[2] for text in kubelet] == ["192.0.2.0/24", "198.51.100.7/32", "10.244.0.0/16"]


def test_a_worker_does_not_choose_the_network() -> None:
    # The control plane has a second interface, whose network is not that of the cluster.
    plane = host("cp1", "192.0.2.11")
    outside = {"name": "eth1", "virtual": False, "addresses": [{"address": "203.0.113.11", "prefix": 24}]}
    t.cast(t.Dict[str, t.Any], plane.facts)["interfaces"].append(outside)
    assert _openings.node_networks([plane, host("worker1", "203.0.113.7")]) == ["192.0.2.0/24", "203.0.113.7/32"]
    # But where the pod network is told to take that one, its traffic comes from there.
    told = dataclasses.replace(plane, variables={**plane.variables, "cni_flannel_interface": "eth1"})
    found = texts(_openings.openings([told, host("worker1", "192.0.2.21")]), "worker1")
    assert [text for text in found if "203" in text] == ["udp 8472 203.0.113.0/24 - -"]


def test_the_inventory_says_where_nodes_are() -> None:
    hosts = [host("cp1", "192.0.2.11"), host("worker1", "198.51.100.7", node_prep_firewall_sources=["198.18.0.0/15"])]
    assert _openings.node_networks(hosts) == ["198.18.0.0/15"]


def test_a_name_in_the_place_of_the_vip_is_no_address() -> None:
    # That is reported by the check on the endpoint.
    variables = {
        "api_endpoint_provider": "keepalived",
        "api_endpoint_vip": "api.example.com",
        "cluster_endpoint": "api.example.com:8443",
    }
    assert _openings.node_networks([host("cp1", "192.0.2.11", **variables)]) == ["192.0.2.0/24"]
    assert _openings.openings([host("cp1", node_prep_firewall="leave", **variables)]) == {}


def test_machines_that_are_not_known_lose_nothing() -> None:
    hosts = [host("cp1", "192.0.2.11"), host("cp2", ansible_host="198.51.100.12"), host("worker1")]
    found = _openings.openings(hosts)
    # All of the addresses are said, and none of the networks is seen.
    said = [host("cp1", cluster_node_ip="192.0.2.11"), host("worker1", "192.0.2.21")]
    assert _openings.openings(said)["worker1"]["keep"]
    assert {name: entry["keep"] for name, entry in found.items()} == dict.fromkeys(("cp1", "cp2", "worker1"), True)
    assert "tcp 2379-2380 198.51.100.12/32 - -" in texts(found, "cp1")


def test_endpoint_addons_and_more() -> None:
    variables = {
        "api_endpoint_provider": "keepalived",
        "api_endpoint_vip": "192.0.2.100",
        "cluster_endpoint": "192.0.2.100:8443",
        "metallb_enabled": True,
        "node_prep_firewall_ports": [{"port": 443}, {"port": "9100-9110", "protocol": "tcp", "source": "192.0.2.0/28"}],
    }
    found = texts(_openings.openings([host("cp1", "192.0.2.11", **variables)]), "cp1")
    for expected in (
        "tcp 8443 - - -",
        "vrrp - 192.0.2.11/32 - -",
        "tcp 7946 192.0.2.0/24 - -",
        "udp 7946 192.0.2.0/24 - -",
        "tcp 443 - - -",
        "tcp 9100-9110 192.0.2.0/28 - -",
    ):
        assert expected in found
    assert not [text for text in found if "30000" in text]


def test_with_ipvs_services_are_the_nodes_own() -> None:
    variables = {
        "cluster_kube_proxy_mode": "ipvs",
        "metallb_enabled": True,
        "metallb_address_pools": [{"addresses": ["192.0.2.240-192.0.2.243", "nonsense"]}],
    }
    found = texts(_openings.openings([host("worker1", "192.0.2.21", **variables)]), "worker1")
    for expected in (
        "- - - 10.96.0.0/12 -",
        "- - - 192.0.2.240/30 -",
        "tcp 30000-32767 - - -",
        "udp 30000-32767 - - -",
    ):
        assert expected in found


@pytest.mark.parametrize(
    ("encapsulation", "expected"),
    [
        ("ipip", {"tcp 179", "ipip -", "udp 51820"}),
        ("vxlan", {"udp 4789", "udp 51820"}),
        ("none", {"tcp 179", "udp 51820"}),
    ],
)
def test_calico(encapsulation: str, expected: t.Set[str]) -> None:
    variables = {
        "cluster_cni": "calico",
        "cni_calico_encapsulation": encapsulation,
        "cni_calico_felix": {"wireguardEnabled": True},
    }
    found = texts(_openings.openings([host("worker1", "192.0.2.21", **variables)]), "worker1")
    of_network = {" ".join(text.split()[:2]) for text in found if not text.startswith("-") and "10250" not in text}
    # Its health is asked by the kubelet of its own node.
    assert of_network == expected


# Preflight


@pytest.mark.parametrize(
    ("mode", "by", "handled"),
    [
        ("open", "ufw", True),
        ("open", "firewalld", True),
        ("open", "nftables (inet filter input)", True),
        ("open", "nftables (ip filter INPUT)", False),
        ("disable", "firewalld", True),
        ("disable", "nftables (inet filter input)", False),
        ("leave", "ufw", False),
    ],
)
def test_preflight_leaves_to_node_prep_what_it_will_open(mode: str, by: str, handled: bool) -> None:
    hosts = [
        host("cp1", "192.0.2.11", node_prep_firewall=mode, closed=by),
        host("worker1", "192.0.2.21", node_prep_firewall=mode, closed=by),
    ]
    assert bool(list(checks.check_firewalls(hosts))) is not handled
    # Connections cannot be tried before.
    assert bool(Plan(hosts, {"cp1", "worker1"}).as_dict()["listen"]) is not handled


def test_a_new_control_plane_does_not_try_what_was_opened_for_others() -> None:
    old = host("cp1", "192.0.2.11")
    t.cast(t.Dict[str, t.Any], old.facts).update(
        kubernetes={"joined": True, "control_plane": True, "unfinished": None, "endpoint": ""},
        listening=[{"protocol": "tcp", "port": port, "process": "etcd"} for port in (2379, 2380)],
    )
    new = host("cp2", "192.0.2.12")

    def probed(*hosts: Host) -> t.Set[int]:
        return {peer["port"] for entry in Plan(hosts, {"cp2"}).as_dict()["probe"].values() for peer in entry["peers"]}

    assert probed(old, new) == set()
    left = dataclasses.replace(old, variables={**old.variables, "node_prep_firewall": "leave"})
    assert probed(left, new) == {2379, 2380}


def said(*hosts: Host) -> str:
    return "\n".join(
        f"{p.severity} {p.host}: {p.subject}: {p.message} {p.remedy}" for p in node_prep.check_firewall(hosts)
    )


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"node_prep_firewall_sources": ["192.0.2.1/24"]}, "error cp1: node_prep_firewall_sources: 192.0.2.1/24 has"),
        ({"node_prep_firewall_ports": [{"port": "70000"}]}, "error cp1: node_prep_firewall_ports: '70000' is no port"),
        ({"node_prep_firewall_ports": [{"port": "90-80"}]}, "'90-80' is no port"),
        ({"node_prep_firewall_ports": [{"port": "http"}]}, "'http' is no port"),
        ({"node_prep_firewall_ports": [{"port": 80, "source": "here"}]}, "'here' does not appear to be an IPv4"),
        ({"closed": "nftables (ip filter INPUT)"}, "error cp1: node_prep_firewall: is open, and the machine's chain"),
        (
            {"closed": "ufw", "cluster_cni": "none"},
            "warning cp1: node_prep_firewall: is open, and what the pod network",
        ),
        (
            {"closed": "ufw", "cluster_cni": "calico", "cni_calico_encapsulation": "ipip"},
            "error cp1: node_prep_firewall: is open, and ufw has no rule for IPIP, which Calico uses",
        ),
    ],
)
def test_what_cannot_be_opened_is_said_before(variables: t.Dict[str, t.Any], expected: str) -> None:
    assert expected in said(host("cp1", "192.0.2.11", **variables))
    assert said(host("cp1", "192.0.2.11", **{**variables, "node_prep_firewall": "leave"})) == ""
    assert said(host("cp1", "192.0.2.11", node_prep_firewall_ports=[{"port": 443}, {"port": "80-90"}])) == ""


def test_etcd_is_not_opened_for_a_control_plane_that_nobody_knows() -> None:
    assert "error cp2: cluster_node_ip: is empty, and this run does not look at" in said(
        host("cp1", "192.0.2.11"), host("cp2", ansible_host="cp2.example.com")
    )
    assert said(host("cp1", "192.0.2.11"), host("cp2", ansible_host="192.0.2.12")) == ""
