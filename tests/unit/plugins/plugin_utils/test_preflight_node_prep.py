# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines by their addresses, and checks on how they are prepared."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _machines
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import node_prep as checks
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host

NAMED = {
    "cluster_endpoint": "api.example.com:8443",
    "api_endpoint_provider": "keepalived",
    "api_endpoint_vip": "192.0.2.100",
}


def host(name: str = "cp1", facts: t.Any = None, **variables: t.Any) -> Host:
    return Host(
        name, control_plane=name.startswith("cp"), variables={"node_prep_swap": "absent", **variables}, facts=facts
    )


def said(*hosts: Host) -> str:
    return "\n".join(
        f"{p.severity} {p.host or 'cluster'}: {p.subject}: {p.message} {p.remedy}"
        for check in checks.CHECKS
        for p in check(hosts)
    )


def test_addresses_of_all_machines() -> None:
    hosts = [
        host("cp1", {"default_address": "192.0.2.11"}, **NAMED),
        host("worker1.example.com", {"default_address": "192.0.2.21"}, cluster_node_ip="198.51.100.21"),
        # Left out of this run.
        host("worker2", ansible_host="203.0.113.22"),
        host("worker3", ansible_host="bastion"),
    ]
    assert _machines.addresses(hosts) == [
        {"address": "192.0.2.11", "names": ["cp1"], "certain": True},
        {"address": "198.51.100.21", "names": ["worker1.example.com", "worker1"], "certain": True},
        {"address": "203.0.113.22", "names": ["worker2"], "certain": False},
        {"address": "", "names": ["worker3"], "certain": False},
        {"address": "192.0.2.100", "names": ["api.example.com"], "certain": True},
    ]
    by_address = {**NAMED, "cluster_endpoint": "192.0.2.100:8443"}
    assert [entry["names"] for entry in _machines.addresses([host(**by_address)])] == [["cp1"]]


@pytest.mark.parametrize("own", ["192.0.2.66", "fe80::66%eth0"])
def test_a_machine_writes_no_lines_into_the_files_of_others(own: str) -> None:
    forged = f"{own}\n192.0.2.66 registry.example.com"
    assert _machines.addresses([host("worker1", {"default_address": forged}, ansible_host="192.0.2.21")]) == [
        {"address": "192.0.2.21", "names": ["worker1"], "certain": False},
    ]


def test_what_is_right_is_not_mentioned() -> None:
    assert said(host(), host("worker1")) == ""
    assert said(host(node_prep_swap="limited"), host("worker1", node_prep_swap="limited")) == ""
    good = host(node_prep_hosts_entries=["192.0.2.9 registry.example.com # ours"], node_prep_hosts="yes")
    assert said(good, host("worker1", {"default_address": "192.0.2.2"})).count("\n") == 0


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (
            host("worker1", node_prep_swap="limited"),
            "error cluster: node_prep_swap: is limited on worker1, and absent on",
        ),
        (
            host("cp2", {"cgroup_version": 1}, node_prep_swap="limited"),
            "error cp2: node_prep_swap: is limited, which the kubelet can do with cgroup v2 only.",
        ),
        (
            host("cp2", node_prep_swap="limited", control_plane_kubelet_configuration={"failSwapOn": True}),
            "error cp2: node_prep_swap: is limited, and control_plane_kubelet_configuration says something else",
        ),
        (host(node_prep_hosts_entries=["registry"]), "error cp1: node_prep_hosts_entries: 'registry' is no line of"),
        (host(node_prep_hosts_entries=["a b"]), "error cp1: node_prep_hosts_entries: 'a b' is no line of"),
        (host("worker1", node_prep_hosts=True), "warning worker1: node_prep_hosts: its address is not known"),
    ],
)
def test_mistakes(wrong: Host, expected: str) -> None:
    assert expected in said(host(facts={"default_address": "192.0.2.1"}), wrong)


def test_a_short_name_of_two_machines_is_of_neither() -> None:
    names = ["node1.a.example.com", "node1.b.example.com", "node2.a.example.com", "node3", "node3.a.example.com"]
    found = [entry["names"] for entry in _machines.addresses([host(name) for name in names])]
    assert found == [[names[0]], [names[1]], [names[2], "node2"], ["node3"], [names[4]]]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"vm.max_map_count": 262144, "net/ipv4/conf/eth0.5/forwarding": True, "a": "1 2"}, ""),
        ({"vm max": 1}, "error cp1: node_prep_extra_sysctls: 'vm max' is no name of a sysctl. Write it as"),
        ({"../x": 1}, "'../x' is no name of a sysctl."),
        ({"vm.max_map_count": None}, "vm.max_map_count needs a number or one line of text, not None."),
        ({"vm.max_map_count": [1]}, "vm.max_map_count needs a number or one line of text, not [1]."),
        ({"a": "1\nb = 2"}, "a needs a number or one line of text"),
        ({"net/ipv4/ip_forward": True, 5: 1}, ""),
        ({"net/ipv4/ip_forward": 0}, "net.ipv4.ip_forward (1) and net/ipv4/ip_forward (0) are one sysctl. Keep one"),
    ],
)
def test_extra_sysctls(settings: t.Any, expected: str) -> None:
    text = said(host(node_prep_sysctls={"net.ipv4.ip_forward": 1}, node_prep_extra_sysctls=settings))
    assert expected in text and bool(text) == bool(expected)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # As a baseline for hardened hosts has it; kubeadm refuses it on a new machine, a node loses its pods.
        ({"node_prep_extra_sysctls": {"net.ipv4.ip_forward": 0}}, "extra_sysctls: sets net.ipv4.ip_forward to 0"),
        ({"node_prep_extra_sysctls": {"net.ipv4.conf.all.forwarding": "0"}}, "net.ipv4.conf.all.forwarding to 0"),
        ({"node_prep_extra_sysctls": {"net/ipv4/conf/default/forwarding": False}}, "sets net/ipv4/conf/default/"),
        ({"node_prep_extra_sysctls": {"net.ipv4.conf.eth0.forwarding": 0, "net.ipv4.conf.all.send_redirects": 0}}, ""),
        ({"node_prep_sysctls": {"net.ipv4.ip_forward": 0}}, "node_prep_sysctls: sets net.ipv4.ip_forward to 0"),
        ({"node_prep_sysctls": {"net.ipv4.ip_forward": 0}, "node_prep_extra_sysctls": {"net.ipv4.ip_forward": 1}}, ""),
        ({"node_prep_extra_sysctls": {"net.bridge.bridge-nf-call-iptables": 0}}, "net.bridge.bridge-nf-call-iptables"),
        ({"node_prep_extra_sysctls": {"net.bridge.bridge-nf-call-iptables": 0}, "cluster_cni": "none"}, ""),
    ],
)
def test_sysctls_that_take_the_network_away_from_pods(given: t.Any, expected: str) -> None:
    default = {"node_prep_sysctls": {"net.ipv4.ip_forward": 1}, "cluster_cni": "flannel"}
    text = said(host(**{**default, **given}))
    assert expected in text and bool(text) == bool(expected) and text.count("error") == bool(expected)


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("", True),
        ("cp1", True),
        ("node.example.com", True),
        ("Node", False),
        ("a_b", False),
        ("-a", False),
        ("a b", False),
        ("a." * 31 + "ab", True),
        ("a." * 32 + "a", False),
    ],
)
def test_hostnames(name: str, good: bool) -> None:
    text = said(host(node_prep_hostname=name))
    assert text == "" if good else f"error cp1: node_prep_hostname: {name} is not a DNS name in lower case" in text
    # A node has its name already.
    joined = said(
        host("cp1", {"kubernetes": {"joined": True}, "default_address": "192.0.2.1"}, node_prep_hostname=name)
    )
    assert joined == text.replace("error", "warning")
