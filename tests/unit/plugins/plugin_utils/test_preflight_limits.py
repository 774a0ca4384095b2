# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on what cannot work together."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import limits as checks
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host

GOOD: t.Dict[str, t.Any] = {
    "cluster_pod_subnet": "10.244.0.0/16",
    "cluster_service_subnet": "10.96.0.0/12",
    "cluster_node_ip": "",
    "cluster_endpoint": "",
    "cluster_cni": "flannel",
    "cluster_kube_proxy_mode": "nftables",
    "metallb_enabled": True,
    "metallb_address_pools": [{"name": "a", "addresses": ["192.0.2.200-192.0.2.219"]}, "broken", {"addresses": ["x"]}],
}


def facts(**more: t.Any) -> t.Dict[str, t.Any]:
    return {
        "os": {"kernel": "6.1.0-18-amd64"},
        "default_address": "192.0.2.1",
        "interfaces": [
            {"name": "eth0", "addresses": [{"address": "192.0.2.1", "prefix": 24}]},
            {"name": "docker0", "addresses": [{"address": "172.17.0.1", "prefix": 16}]},
        ],
        "kubernetes": {"joined": False},
        **more,
    }


def said(name: str = "cp1", looked: t.Optional[t.Dict[str, t.Any]] = None, **given: t.Any) -> str:
    host = Host(name, True, True, {**GOOD, **given}, facts=looked or facts())
    problems = [problem for check in checks.CHECKS for problem in check([host])]
    return "\n".join(f"{p.severity} {p.host}: {p.subject}: {p.message} {p.remedy}" for p in problems)


def test_good_hosts_have_no_problem() -> None:
    assert said() == ""
    assert [problem for check in checks.CHECKS for problem in check([Host("unknown", variables=GOOD)])] == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"cluster_endpoint": "192.0.2.205:6443"}, "192.0.2.200-192.0.2.219 contains 192.0.2.205"),
        ({"cluster_cni": "none"}, "metallb_address_pools: are set, and cluster_cni is none"),
        (
            {"control_plane_kubelet_configuration": {"maxPods": 500}},
            "warning : control_plane_kubelet_configuration: max",
        ),
        ({"cni_flannel_values": {"podCidr": "10.244.0.0/255.255.0.0"}}, "[podCidr]: is malformed: 10.244.0.0/255.255."),
        ({"cni_flannel_values": {"podCidrv6": "fd00::"}}, "error cp1: cni_flannel_values[podCidrv6]: is malformed: fd"),
        ({"cni_flannel_values": {"podCidr": "10.99.0.0/16"}}, "is 10.99.0.0/16, and nodes have networks in cluster_po"),
        (
            {"cni_flannel_values": {"podCidrv6": "fd01::/56"}, "cluster_pod_subnet": "10.244.0.0/16,fd00::/56"},
            "cni_flannel_values[podCidrv6]: is fd01::/56, and nodes have networks in cluster_pod_subnet fd00::/56",
        ),
        ({"cluster_pod_subnet": "172.16.0.0/12"}, "172.16.0.0/12 overlaps 172.17.0.0/16, the network of docker0"),
    ],
)
def test_what_the_inventory_asks_for(given: t.Dict[str, t.Any], expected: str) -> None:
    assert expected in said(**given)


def masks(size: str) -> t.Dict[str, t.Any]:
    manager = {"extraArgs": [{"name": "v", "value": "2"}, {"name": "node-cidr-mask-size", "value": size}, "broken"]}
    return {"control_plane_cluster_configuration": {"controllerManager": manager}}


def test_networks_of_nodes_of_another_size() -> None:
    many = {"control_plane_kubelet_configuration": {"maxPods": 500}}
    assert said(**masks("23"), **many) == ""
    assert "maxPods is 110, and a node has a /26 of the pod network, 61 addresses for pods." in said(**masks("26"))
    # Another pod network may give a node several.
    assert said(**many, cluster_cni="none", metallb_enabled=False) == ""


def test_networks_of_flannel_that_are_right() -> None:
    assert said(cni_flannel_values={"podCidr": "10.240.0.0/12", "podCidrv6": "fd00::/56"}) == ""
    assert said(cni_flannel_values={"podCidr": "none"}, cluster_cni="none", metallb_enabled=False) == ""


def test_pools_of_a_cluster_that_has_a_network_of_its_own() -> None:
    assert said(cluster_cni="none", looked=facts(kubernetes={"joined": True})) == ""
    assert said(cluster_cni="none", metallb_enabled=False) == ""


def test_the_virtual_address_in_a_pool_is_reported_elsewhere() -> None:
    assert said(cluster_endpoint="192.0.2.205:6443", api_endpoint_provider="keepalived") == ""
    assert said(cluster_endpoint="api.example.com:6443") == ""


@pytest.mark.parametrize(
    ("kernel", "given", "refused"),
    [
        ("5.10.0-21-amd64", {}, True),
        ("4.19", {}, True),
        ("5.13.0", {}, False),
        ("unknown", {}, False),
        ("5.10.0", {"cluster_kube_proxy_mode": "iptables"}, False),
        ("5.10.0", {"control_plane_kube_proxy_configuration": {"mode": "iptables"}}, False),
    ],
)
def test_kernels_for_nftables(kernel: str, given: t.Dict[str, t.Any], refused: bool) -> None:
    text = said(looked=facts(os={"kernel": kernel}), **given)
    assert (
        f"cluster_kube_proxy_mode: is nftables, and kube-proxy does not start so on the kernel {kernel}" in text
    ) == (refused)


def test_a_mode_that_machines_are_not_prepared_for() -> None:
    override = {"mode": "ipvs"}
    assert "sets mode to ipvs, and machines are prepared for nftables" in said(
        control_plane_kube_proxy_configuration=override
    )
    assert "prepared" not in said(control_plane_kube_proxy_configuration=override, cluster_kube_proxy_mode="ipvs")


def test_a_mode_that_will_go_away() -> None:
    assert "cluster_kube_proxy_mode: is ipvs, which Kubernetes has deprecated" in said(cluster_kube_proxy_mode="ipvs")


def test_a_name_that_is_too_long() -> None:
    assert "inventory_hostname: has 64 characters" in said("a" * 64)
    assert said("a" * 63) == ""
