# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories of Kubespray, and nodes of other installers."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight import kubespray
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks.installers import CHECKS
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks.options import (
    check_unknown_variables,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.variables import collection_roles


def host(name: str = "cp1", facts: t.Optional[t.Dict[str, t.Any]] = None, **variables: t.Any) -> Host:
    everything = {**collection_roles().base, **variables}
    ours = frozenset(name for name in variables if collection_roles().is_ours(name))
    return Host(name, True, variables=everything, given=ours, facts=facts)


def said(*hosts: Host) -> t.List[str]:
    return [f"{p.severity} {p.host}: {p.message}" for check in CHECKS for p in check(hosts)]


def test_our_own_variables_are_not_kubesprays() -> None:
    ours = {*collection_roles().base, *collection_roles().options}
    assert not ours & {*kubespray.KUBESPRAY, *kubespray.COMMON}
    assert set(kubespray.OTHER_MEANING) <= ours
    assert said(host()) == []
    assert len(kubespray.KUBESPRAY) > 150
    assert set(kubespray.KUBESPRAY) >= kubespray.WEAK | kubespray.AMBIGUOUS and not kubespray.WEAK & kubespray.AMBIGUOUS


def test_nobody_is_told_to_write_what_preflight_refuses() -> None:
    """IPv6 is beside IPv4, and never first."""
    all_of_it = {**kubespray.KUBESPRAY, **kubespray.COMMON}
    assert all_of_it["kube_pods_subnet_ipv6"] == "cluster_pod_subnet, behind that of IPv4 and a comma"
    assert all_of_it["ipv6_stack"].endswith("IPv4 stays the first")
    assert "ip6" not in kubespray.words(host(ip6="fd30::1", cluster_node_ip6="fd30::1"))


def test_all_of_an_inventory_is_one_finding() -> None:
    hosts = [
        host(kube_version="v1.30.0", cluster_name="cluster.local", kube_read_only_port=10255, groups={"etcd": ["db1"]}),
        host("worker1", ip="192.0.2.9", metallb_ip_range=["192.0.2.200-192.0.2.210"], flannel_x=1, containerd_y=1),
    ]
    [line] = said(*hosts)
    assert line.startswith("error : is one of Kubespray")
    for text in (
        "kube_version: cluster_version, without v",
        "cluster_name: cluster_dns_domain",
        "metallb_ip_range: metallb_address_pools",
        "ip: cluster_node_ip",
        "the group etcd (db1)",
        "there is nothing here for containerd_y, flannel_x, kube_read_only_port",
    ):
        assert text in line
    assert list(check_unknown_variables(hosts, collection_roles())) == []


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"ip": "192.0.2.9"}, "warning"),
        ({"http_proxy": "http://proxy.example:3128"}, "warning"),
        # The address that is taken anyway, and what others call so.
        ({"ip": "192.0.2.1"}, ""),
        ({"ip": "192.0.2.9", "cluster_node_ip": "192.0.2.9"}, ""),
        ({"node_labels": {}, "nameservers": [], "kube_own": 1}, ""),
        ({"kube_version": "v1", "preflight_ignore_variables": ["kube_*"]}, ""),
        ({"kubelet_max_pods": 50}, "error"),
        # Others have these names, too; together with one that is Kubespray's alone they are a part of its finding.
        ({"helm_enabled": True}, "warning"),
        ({"access_ip": "192.0.2.9", "container_manager": "containerd"}, "warning"),
        ({"helm_enabled": True, "kube_version": "v1"}, "error"),
    ],
)
def test_names_of_others(variables: t.Dict[str, t.Any], expected: str) -> None:
    lines = said(host(facts={"default_address": "192.0.2.1"}, **variables))
    assert [line.partition(" ")[0] for line in lines] == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("name", "joined", "expected"),
    [
        ("Kubespray", True, "error"),
        ("Kubespray", False, "error"),
        ("RKE2", False, "error"),
        # Our node already: something was left there before.
        ("RKE2", True, "warning"),
        ("by hand", True, "error"),
        ("\x1b[31m", False, "error"),
    ],
)
def test_nodes_of_others(name: str, joined: bool, expected: str) -> None:
    facts = {"installer": {"name": name, "trace": "/a"}, "kubernetes": {"joined": joined}}
    [line] = said(host(facts=facts))
    assert line.startswith(f"{expected} cp1: has ") and "/a" in line and "\x1b" not in line


@pytest.mark.parametrize(
    ("beside", "joined", "kubeadm", "expected"),
    [
        (
            "/usr/bin/kubelet",
            True,
            "1.37.1",
            "warning cp1: has /usr/local/bin/kubeadm beside the package's, of the same",
        ),
        # It would be run in the place of the package's, or there is no package.
        ("/usr/bin/kubelet", True, "1.36.4", "error cp1: has /usr/local/bin/kubeadm, which no package has brought"),
        ("", True, "1.37.1", "error cp1: has /usr/local/bin/kubeadm, which no package"),
        ("/usr/bin/kubelet", False, "1.37.1", "error cp1: has /usr/local/bin/kubeadm, which no package"),
    ],
)
def test_a_copy_of_a_program(beside: str, joined: bool, kubeadm: str, expected: str) -> None:
    facts = {
        "installer": {"name": "by hand", "trace": "/usr/local/bin/kubeadm", "beside": beside},
        "kubernetes": {"joined": joined, "kubeadm_version": kubeadm, "kubelet_version": "1.37.1"},
    }
    [line] = said(host(facts=facts, cluster_version="1.37.1"))
    assert line.startswith(expected)


def test_hints_lead_to_what_there_is() -> None:
    said_of = kubespray.KUBESPRAY
    assert said_of["cert_manager_enabled"].startswith("an entry of addons_list")
    assert said_of["kubernetes_audit"].startswith("control_plane_files")
    assert not [name for name, text in said_of.items() if "helm_release" in text or "extraVolumes" in text]
