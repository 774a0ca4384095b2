# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on families of addresses: two of them, or IPv6 alone."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import POD_NETWORKS
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _machines
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.addresses import own_addresses
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import (
    families,
    network,
    node_prep,
    ports,
    trust,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host

PODS, SERVICES = "10.244.0.0/16,fd00:10:244::/56", "10.96.0.0/12,fd00:10:96::/112"
GOOD: t.Dict[str, t.Any] = {
    "cluster_pod_subnet": PODS,
    "cluster_service_subnet": SERVICES,
    "cluster_node_ip": "",
    "cluster_node_ip6": "",
    "cluster_cni": "flannel",
    "cni_flannel_backend": "vxlan",
}
SINGLE = {"cluster_pod_subnet": "10.244.0.0/16", "cluster_service_subnet": "10.96.0.0/12"}
ALONE = {"cluster_pod_subnet": "fd00:10:244::/56", "cluster_service_subnet": "fd00:10:96::/112"}


def interface(*addresses: str, name: str = "eth0") -> t.Dict[str, t.Any]:
    entries = [
        {"address": text.strip("~^"), "prefix": 64 if ":" in text else 24, "temporary": text.startswith("~")}
        for text in addresses
    ]
    for entry, text in zip(entries, addresses):
        entry.update({"prefix": 128} if text.startswith("^") else {})
    return {"name": name, "addresses": entries}


def host(number: int = 1, *interfaces: t.Dict[str, t.Any], **given: t.Any) -> Host:
    """A host with an address of each family, unless it is said which."""
    facts: t.Dict[str, t.Any] = {
        "default_address": f"192.0.2.{number}",
        "default_address6": given.pop("default6", ""),
        "interfaces": list(interfaces) or [interface(f"192.0.2.{number}", f"2001:db8::{number}")],
        "kubernetes": {"joined": given.pop("joined", False)},
        "surroundings": {"ipv6": {"disabled": False, "advertised": [], **given.pop("ipv6", {})}},
    }
    return Host(f"node{number}", number == 1, number > 1, {**GOOD, **given}, facts=facts)


def said(*hosts: Host) -> str:
    problems = [problem for check in families.CHECKS for problem in check(hosts)]
    return "\n".join(f"{p.severity} {p.host}: {p.subject}: {p.message} {p.remedy}" for p in problems)


def test_good_hosts_have_no_problem() -> None:
    assert said(host(), host(2), host(3)) == ""
    assert said(host(**SINGLE), host(2, interface("192.0.2.2"), **SINGLE)) == ""
    assert said(Host("unknown", True, variables=GOOD), Host("other", variables={})) == ""
    # Each node has one of several, or one that is not on the interface of IPv4, since the inventory says so.
    both = [interface("192.0.2.1", "2001:db8::1", "2001:db8::2"), interface("2001:db8:1::1", name="eth1")]
    assert said(host(1, *both, cluster_node_ip6="2001:DB8:0::2")) == ""
    assert said(host(1, *both, cluster_node_ip6="2001:db8:1::1", cluster_cni="none")) == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"cluster_pod_subnet": "fd00::/56,10.244.0.0/16"},
            "error : cluster_pod_subnet: is fd00::/56,10.244.0.0/16, and clusters with IPv6 first are not supported",
        ),
        (
            {"cluster_service_subnet": "10.96.0.0/12"},
            f"error : cluster_service_subnet: is 10.96.0.0/12, and cluster_pod_subnet is {PODS}: both have the same",
        ),
        (
            {"cluster_pod_subnet": "10.244.0.0/16"},
            f"error : cluster_service_subnet: is {SERVICES}, and cluster_pod_subnet is 10.244.0.0/16: both have the",
        ),
        (
            {"cluster_pod_subnet": "10.244.0.0/16,fd00::/47"},
            "error : cluster_pod_subnet: fd00::/47 is larger than kubeadm allows where each node gets a /64. Choose a"
            " /48 or a smaller one.",
        ),
        ({"cluster_cni": "manifest"}, "error : cluster_cni: is manifest, and cni_manifests is not set up for two"),
        (
            {"cluster_node_ip": "2001:db8::1"},
            f"error node1: cluster_node_ip: 2001:db8::1 is IPv6, and cluster_pod_subnet {PODS} begins with IPv4.",
        ),
        (
            {**ALONE, "cluster_service_subnet": "10.96.0.0/12"},
            "error : cluster_service_subnet: is 10.96.0.0/12, and cluster_pod_subnet is fd00:10:244::/56: both have",
        ),
        ({**ALONE, "cluster_cni": "cilium"}, "error : cluster_cni: is cilium, and Cilium is not set up for IPv6 alone"),
        ({**ALONE, "cluster_cni": "manifest"}, "cluster_cni: is manifest, and cni_manifests is not set up for IPv6 al"),
        (
            {**ALONE, "cluster_node_ip": "192.0.2.1"},
            "error node1: cluster_node_ip: 192.0.2.1 is IPv4, and cluster_pod_subnet fd00:10:244::/56 is IPv6 alone.",
        ),
        ({**ALONE, "cluster_node_ip6": "2001:db8::1"}, "warning node1: cluster_node_ip6: is 2001:db8::1, and counts"),
        ({"cluster_node_ip6": "192.0.2.1"}, "error node1: cluster_node_ip6: 192.0.2.1 is no address of IPv6."),
        ({"cluster_node_ip6": "x"}, "error node1: cluster_node_ip6: x is no address of IPv6."),
        ({"cluster_node_ip6": "fe80::1"}, "error node1: cluster_node_ip6: fe80::1 cannot be reached from other nodes."),
        ({"cluster_node_ip6": "2001:db8::7"}, "cluster_node_ip6: 2001:db8::7 is on no interface of the host. Set it,"),
        ({**SINGLE, "cluster_node_ip6": "2001:db8::1"}, "warning node1: cluster_node_ip6: is 2001:db8::1, and counts"),
    ],
)
def test_what_the_inventory_asks_for(given: t.Dict[str, t.Any], expected: str) -> None:
    assert expected in said(host(**given))


def test_networks_of_nodes_of_another_size() -> None:
    def sized(name: str, value: str) -> t.Dict[str, t.Any]:
        manager = {"extraArgs": [{"name": name, "value": value}, "broken"]}
        return {"control_plane_cluster_configuration": {"controllerManager": manager}}

    larger = {"cluster_pod_subnet": "10.244.0.0/16,fd00::/47"}
    assert said(host(**larger, **sized("node-cidr-mask-size-ipv6", "63"))) == ""
    text = said(host(**sized("node-cidr-mask-size", "25")))
    assert "error node1: control_plane_cluster_configuration: has node-cidr-mask-size for the controller man" in text
    assert said(host(**SINGLE, **sized("node-cidr-mask-size", "25"))) == ""
    assert said(host(default6="2001:db8::1", **ALONE, **sized("node-cidr-mask-size", "72"))) == ""
    assert "where pods have IPv4 alone. Write node-cidr-mask" in said(
        host(**SINGLE, **sized("node-cidr-mask-size-ipv6", "72"))
    )
    assert "where pods have IPv6 alone. Write node-cidr-mask" in said(
        host(**ALONE, **sized("node-cidr-mask-size-ipv4", "25"))
    )


@pytest.mark.parametrize(
    ("interfaces", "given", "expected"),
    [
        (
            [interface("192.0.2.1")],
            {},
            "error node1: cluster_node_ip6: is empty, and eth0, the interface with 192.0.2.1, has no lasting address",
        ),
        ([interface("192.0.2.1", "~2001:db8::1")], {}, "has no lasting address of IPv6. Give the host one in the net"),
        (
            [interface("192.0.2.1", "2001:db8::1", "2001:db8::2")],
            {},
            "has several addresses of IPv6 (2001:db8::1, 2001:db8::2), of which none is the one by itself.",
        ),
        (
            [interface("192.0.2.1"), interface("2001:db8::1", name="eth1")],
            {"cluster_node_ip6": "2001:db8::1"},
            "2001:db8::1 is not a lasting address of eth0, which has the host's address 192.0.2.1, and Flannel takes",
        ),
    ],
)
def test_addresses_of_machines(
    interfaces: t.List[t.Dict[str, t.Any]], given: t.Dict[str, t.Any], expected: str
) -> None:
    assert expected in said(host(1, *interfaces, **given))
    if not given:
        # What a node was made with is compared with it elsewhere.
        assert said(host(1, *interfaces, joined=True)) == ""


def test_two_hosts_with_one_address() -> None:
    text = said(host(), host(2, interface("192.0.2.2", "2001:db8:0:0::1")))
    for name in ("node1", "node2"):
        assert f"error {name}: cluster_node_ip6: 2001:db8::1 is the same on node1 and node2." in text


def test_machines_of_ipv6_alone() -> None:
    alone = host(default6="2001:db8::1", **SINGLE)
    t.cast(t.Dict[str, t.Any], alone.facts).update(default_address="")
    assert "cluster_node_ip: is empty and the host has a default route for IPv6 only (2001:db8::1), but clus" in said(
        alone
    )


@pytest.mark.parametrize(
    ("given", "is_named"),
    [
        ({}, True),
        ({"default6": "2001:db8::1"}, False),
        ({"cluster_kube_proxy_mode": "ipvs"}, False),
        ({"control_plane_skip_phases": ["addon/kube-proxy"]}, False),
    ],
)
def test_no_route_to_services(given: t.Dict[str, t.Any], is_named: bool) -> None:
    """Without one a machine does not send what kube-proxy would lead to a pod."""
    text = said(host(cluster_node_ip="2001:db8::1", **ALONE, **given))
    assert text.startswith("warning node1: cluster_service_subnet: is fd00:10:96::/112, and the ho") is is_named, text
    assert said(host(cluster_node_ip="192.0.2.1")) == ""


@pytest.mark.parametrize(
    ("interfaces", "given", "expected"),
    [
        ([interface("192.0.2.1", "2001:db8::1")], {"default6": "2001:db8::1"}, "2001:db8::1"),
        # Those of one day do not count, and neither does the interface of IPv4.
        (
            [interface("192.0.2.1"), interface("~2001:db8::1", "2001:db8::2", name="eth1")],
            {"default6": "2001:db8::1"},
            "2001:db8::2",
        ),
        (
            [interface("192.0.2.1", "2001:db8::1")],
            {"cluster_node_ip": "2001:DB8:0::1", "default6": "2001:db8::1"},
            "2001:db8::1",
        ),
        # The virtual address, and one by DHCP.
        ([interface("^2001:db8::9", "2001:db8::1")], {"default6": "2001:db8::9"}, "2001:db8::1"),
        ([interface("^2001:db8::9")], {"default6": "2001:db8::9"}, "2001:db8::9"),
    ],
)
def test_the_address_of_a_node_with_ipv6_alone(
    interfaces: t.List[t.Dict[str, t.Any]], given: t.Dict[str, t.Any], expected: str
) -> None:
    one = host(1, *interfaces, **ALONE, **given)
    assert (said(one), list(ports.check_node_ip([one]))) == ("", [])
    assert own_addresses(one) == (expected, "")
    assert _machines.addresses([one])[0]["address"] == expected
    flannel, facts = POD_NETWORKS["flannel"], t.cast(t.Dict[str, t.Any], one.facts)
    name = next(item["name"] for item in interfaces for entry in item["addresses"] if entry["address"] == expected)
    assert flannel.interface(one, facts, one, facts) == name
    assert list(ports.check_pod_network_interface([one])) == []


@pytest.mark.parametrize(
    ("interfaces", "expected"),
    [
        (
            [interface("192.0.2.1", "2001:db8::1", "2001:db8::2")],
            "error node1: cluster_node_ip: is empty, and eth0, the interface of the default route of IPv6, has several",
        ),
        (
            [interface("192.0.2.1", "~2001:db8::1")],
            "of the default route of IPv6, has no lasting address of IPv6. Give",
        ),
    ],
)
def test_no_address_of_a_node_with_ipv6_alone(interfaces: t.List[t.Dict[str, t.Any]], expected: str) -> None:
    assert expected in said(host(1, *interfaces, default6="2001:db8::1", **ALONE))
    assert said(host(1, *interfaces, default6="2001:db8::1", joined=True, **ALONE)) == ""
    [problem] = ports.check_node_ip([host(1, *interfaces, **ALONE)])
    assert problem.message == "is empty and the host has no default route of IPv6 to take an address from."


def test_what_a_node_was_made_with_stays_with_ipv6_alone() -> None:
    one = host(1, interface("2001:db8::1", "2001:db8::2"), default6="2001:db8::1", joined=True, **ALONE)
    facts = t.cast(t.Dict[str, t.Any], one.facts)
    facts["configuration"] = {"kubelet_arguments": {"node-ip": "2001:db8::2"}}
    assert own_addresses(one) == ("2001:db8::2", "")


def test_ipv6_that_is_off() -> None:
    text = said(host(ipv6={"disabled": True}))
    assert "error node1: net.ipv6.conf.default.disable_ipv6: is 1, or this kernel was started without IPv6" in text
    assert said(host(ipv6={"disabled": True}, joined=True)).startswith("warning node1")
    assert said(host(ipv6={"disabled": True}, **SINGLE)) == ""
    on = {"node_prep_extra_sysctls": {"net.ipv6.conf.default.disable_ipv6": 0}}
    assert said(host(ipv6={"disabled": True}, **on)) == ""


def test_a_default_route_that_goes_when_the_machine_forwards() -> None:
    text = said(host(ipv6={"advertised": ["eth0"]}))
    assert text.startswith("warning node1: net.ipv6.conf.eth0.accept_ra: is not 2, and eth0 has its default route")
    assert "Set node_prep_extra_sysctls: {net.ipv6.conf.eth0.accept_ra: 2}" in text
    for name in ("net.ipv6.conf.eth0.accept_ra", "net/ipv6/conf/eth0/accept_ra"):
        assert said(host(ipv6={"advertised": ["eth0"]}, node_prep_extra_sysctls={name: 2})) == ""
    assert said(host(ipv6={"advertised": ["eth0"]}, **SINGLE)) == ""


def test_forwarding_of_ipv6_is_not_turned_off() -> None:
    off = {"node_prep_extra_sysctls": {"net.ipv6.conf.all.forwarding": 0}}
    found = [problem.message for problem in node_prep.check_extra_sysctls([host(**off)])]
    assert found == ["sets net.ipv6.conf.all.forwarding to 0, without which pods have no network."]
    assert len(list(node_prep.check_extra_sysctls([host(**off, **ALONE)]))) == 1
    assert list(node_prep.check_extra_sysctls([host(**off, **SINGLE)])) == []


def test_two_addresses_in_one_variable() -> None:
    [problem] = ports.check_node_ip([host(cluster_node_ip="192.0.2.1,2001:db8::1")])
    assert problem.remedy == "Write the address of IPv4 here, and that of IPv6 as cluster_node_ip6."


def test_proxies_are_told_of_both() -> None:
    needed = {words for _place, _port, words, _is_network in network.must_be_excepted([host()])}
    assert {"192.0.2.0/24", "2001:db8::/64", "10.244.0.0/16", "fd00:10:244::/56", "fd00:10:96::/112"} <= needed


def test_an_address_that_is_another_machines() -> None:
    hosts = [host(), host(2, interface("192.0.2.2", "2001:db8::2"), interface("2001:db8::1", name="eth1"))]
    found = {(problem.host, problem.subject, problem.message) for problem in trust.check_certificate_names(hosts)}
    assert ("node1", "cluster_node_ip6", "2001:db8::1 is an address of node2, too.") in found
    said_of = [host(cluster_node_ip6="2001:db8::1"), hosts[1]]
    assert [problem.subject for problem in trust.check_taken_addresses(said_of)] == ["cluster_node_ip6"]


def test_what_flannel_has_of_two_families() -> None:
    flannel, one = POD_NETWORKS["flannel"], host(cni_flannel_backend="wireguard")
    assert [port.number for port in flannel.ports(one)] == [51820, 51821]
    assert [port.number for port in flannel.ports(host(cni_flannel_backend="wireguard", **SINGLE))] == [51820]
    assert [port.number for port in flannel.ports(host(cni_flannel_backend="wireguard", **ALONE))] == [51821]
    assert [flannel.overhead_with(host(**given)) for given in ({}, ALONE, SINGLE)] == [70, 70, 50]
    assert [item.key for item in flannel.lasting(host(**ALONE))] == ["backend", "ipv6_network"]
    lasting = {item.key: (item.wanted, item.variable) for item in flannel.lasting(host())}
    assert lasting["network"] == ("10.244.0.0/16", "cluster_pod_subnet")
    assert lasting["ipv6_network"] == ("fd00:10:244::/56", "cluster_pod_subnet")
    assert "ipv6_network" not in {item.key for item in flannel.lasting(host(**SINGLE))}
    # It is told an interface, since there need be no default route of IPv6.
    facts = t.cast(t.Dict[str, t.Any], one.facts)
    assert flannel.interface(one, facts, one, facts) == "eth0"
    others = {**facts, "interfaces": [interface("192.0.2.1", name="ens3")]}
    assert flannel.interface(one, others, one, facts) == "eth0"
    single = host(**SINGLE)
    assert flannel.interface(single, others, single, facts) == "ens3"
