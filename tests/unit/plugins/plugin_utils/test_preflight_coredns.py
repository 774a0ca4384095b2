# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said about what CoreDNS shall know; the values themselves are in test_corefile.py."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import corefile
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import coredns
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host, Problem

GOOD = {"cluster_dns_domain": "cluster.local", "cluster_service_subnet": "10.96.0.0/12,fd00:96::/108"}


def host(name: str = "cp1", control_plane: bool = True, **variables: t.Any) -> Host:
    return Host(name, control_plane, not control_plane, {**GOOD, **variables})


def find(*hosts: Host) -> t.List[Problem]:
    return [problem for check in coredns.CHECKS for problem in check(hosts)]


def said(*hosts: Host) -> str:
    return "\n".join(f"{p.severity} {p.host}: {p.subject}: {p.message} {p.remedy}" for p in find(*hosts))


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"control_plane_skip_phases": ["addon/coredns"]},
        {"coredns_replicas": 3, "control_plane_skip_phases": ["addon/kube-proxy"]},
        {"coredns_upstreams": ["192.0.2.53"], "control_plane_cluster_configuration": {"dns": {"imageTag": "v1.14.6"}}},
        {"coredns_zones": [{"zones": ["corp.example.com"], "upstreams": ["10.96.0.11"]}]},
        # The subnet itself is reported by others.
        {"coredns_upstreams": ["192.0.2.53"], "cluster_service_subnet": "10.96.0.0/29"},
        {"coredns_upstreams": ["192.0.2.53"], "control_plane_kubelet_configuration": {"clusterDNS": ["none"]}},
        # Of another type: argument_specs refuse it.
        {"coredns_zones": "corp.example.com", "coredns_upstreams": "192.0.2.53"},
    ],
)
def test_what_is_all_right(variables: t.Dict[str, t.Any]) -> None:
    assert said(host(**variables)) == ""


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"coredns_upstreams": ["a b"]}, "error cp1: coredns_upstreams: has 'a b', which is no address of a server."),
        ({"coredns_upstreams": ["10.96.0.10"]}, "coredns_upstreams: has 10.96.0.10, which is the cluster's own DNS"),
        (
            {"coredns_upstreams": ["[fd00:96::a]:53"]},
            "coredns_upstreams: has [fd00:96::a]:53, which is the cluster's own",
        ),
        (
            {
                "coredns_upstreams": ["169.254.20.10"],
                "control_plane_kubelet_configuration": {"clusterDNS": ["169.254.20.10"]},
            },
            "coredns_upstreams: has 169.254.20.10, which is the cluster's own DNS",
        ),
        (
            {"coredns_hosts": ["192.0.2.1 a"], "control_plane_skip_phases": ["preflight", "addon"]},
            "coredns_hosts: is set, and kubeadm is told to install no CoreDNS (addon in control_plane_skip_phases).",
        ),
        (
            {"coredns_nodes_per_replica": 8, "control_plane_cluster_configuration": {"dns": {"disabled": True}}},
            "coredns_nodes_per_replica: is set, and kubeadm is told to install no CoreDNS (dns.disabled in",
        ),
    ],
)
def test_what_is_wrong(variables: t.Dict[str, t.Any], expected: str) -> None:
    [line] = said(host(**variables)).splitlines()
    assert expected in line


def test_what_many_hosts_share_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: t.List[t.Any] = []
    real = corefile.flaws
    monkeypatch.setattr(corefile, "flaws", lambda *given: looks.append(given) or real(*given))
    hosts = [host(f"w{number}", False, coredns_upstreams=["127.0.0.1"]) for number in range(9)]
    found = find(*hosts, host("other", coredns_upstreams=["192.0.2.1"]))
    assert [problem.host for problem in found] == [each.name for each in hosts] and len(looks) == 2
