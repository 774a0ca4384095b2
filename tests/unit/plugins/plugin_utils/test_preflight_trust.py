# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on what machines claim to be."""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import trust as checks
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import WARNING, Host

VARIABLES = {"cluster_pod_subnet": "10.244.0.0/16", "cluster_service_subnet": "10.96.0.0/12"}


def host(name: str, default: str, *others: str, **variables: t.Any) -> Host:
    addresses = [{"address": address, "prefix": 24} for address in (default, *others)]
    facts = {"interfaces": [{"name": "eth0", "addresses": addresses}], "default_address": default}
    return Host(name, name.startswith("cp"), True, {**VARIABLES, **variables}, facts=facts)


def found(*hosts: Host) -> t.List[t.Tuple[str, str, str, str]]:
    return [
        (problem.host, problem.subject, problem.message, problem.severity)
        for check in checks.CHECKS
        for problem in check(hosts)
    ]


def test_hosts_that_are_all_right() -> None:
    more = {"cluster_node_cert_sans": ["203.0.113.2", "w1.example.org"]}
    endpoint = {"cluster_endpoint": "192.0.2.200:6443", "control_plane_cert_sans": ["192.0.2.1"]}
    assert found(host("cp1", "192.0.2.1", "192.0.2.200", **endpoint), host("w1", "192.0.2.2", **more)) == []
    assert found(Host("cp1", True)) == []


def test_a_worker_that_has_the_address_of_another_host() -> None:
    known = host("cp1", "192.0.2.1", ansible_host="192.0.2.1")
    message = "192.0.2.1 is on an interface of w1, too."
    assert found(known, host("w1", "192.0.2.2", "192.0.2.1")) == [("cp1", "cluster_node_ip", message, WARNING)]
    # Where nobody but the two machines says whose it is.
    message = "192.0.2.1 is an address of w1, too."
    assert found(host("cp1", "192.0.2.1"), host("w1", "192.0.2.2", "192.0.2.1")) == [
        ("cp1", "cluster_node_ip", message, "error")
    ]


def test_names_and_addresses_that_are_of_others() -> None:
    sans = ["192.0.2.1", "192.0.2.200", "10.96.0.1", "127.0.0.1", "cp1", "api.example.org", "kubernetes.default.svc"]
    control_plane = host(
        "cp1", "192.0.2.1", control_plane_cert_sans=["api.example.org"], api_endpoint_vip="192.0.2.200"
    )
    problems = found(control_plane, host("w1", "192.0.2.2", cluster_node_cert_sans=[*sans, "a_b"]))
    assert [message for name, subject, message, _severity in problems if name == "w1"] == [
        "192.0.2.1 is claimed by cp1, too.",
        "192.0.2.200 is that of the endpoint or of API servers.",
        "10.96.0.1 is in the network of pods or services 10.96.0.0/12.",
        "127.0.0.1 is an address at which no other node can reach it.",
        "cp1 is the name of another host.",
        "api.example.org is that of the endpoint or of API servers.",
        "kubernetes.default.svc is the name of a service, or of every machine.",
        "a_b is neither an address nor a DNS name.",
    ]


def test_variables_that_a_machine_sets_for_itself() -> None:
    facts = {"cluster_node_ip": "192.0.2.66", "node_join_configuration": {}, "default_ipv4": {}, "slipway_node": {}}
    problems = found(host("w1", "192.0.2.2", ansible_facts=facts, **facts))
    assert [problem[:2] for problem in problems] == [("w1", "cluster_node_ip"), ("w1", "node_join_configuration")]
    assert all("the machine returned" in problem[2] and problem[3] == "error" for problem in problems)


def test_a_worker_that_is_called_like_something_else() -> None:
    named = host("api.example.org", "192.0.2.2")
    message = "api.example.org is that of the endpoint or of API servers."
    assert found(host("cp1", "192.0.2.1", cluster_endpoint="api.example.org:6443"), named) == [
        ("api.example.org", "inventory_hostname", message, "error")
    ]


def test_a_worker_is_refused_for_the_name_of_a_service_of_this_cluster() -> None:
    names = ("a.b.svc.corp.example", "c.svc.corp.example", "a.b.svc.example.org")
    workers = [host(name, f"192.0.2.{10 + place}") for place, name in enumerate(names)]
    message = "a.b.svc.corp.example is the name of a service, or of every machine."
    assert found(host("cp1", "192.0.2.1", cluster_dns_domain="corp.example"), *workers) == [
        ("a.b.svc.corp.example", "inventory_hostname", message, "error")
    ]
