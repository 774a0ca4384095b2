# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks before the pod network of a cluster is changed."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _openings
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight import checks, sources
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import (
    CHECKS,
    change_cni,
    checks_of_a_change,
    differences,
    ports,
    surroundings,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host, run_checks
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.variables import collection_roles
from ansible_collections.slipway.kubernetes.tests.unit.plugins.plugin_utils import test_preflight_machines

FLANNEL = {"network": "10.244.0.0/16", "ipv6_network": "", "backend": "vxlan", "release": "flannel"}
CALICO = {"network": "10.244.0.0/16", "encapsulation": "vxlan", "release": "calico"}
WANTED: t.Mapping[str, t.Any] = types.MappingProxyType(
    {"cluster_cni": "calico", "cni_provider": "calico", "cluster_pod_subnet": "10.244.0.0/16"}
)
WELL: t.Mapping[str, t.Any] = types.MappingProxyType(
    {"nodes": [{"name": "cp1", "problem": ""}, {"name": "w1", "problem": ""}]}
)


def hosts(networks: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any] = WANTED, **more: t.Any) -> t.List[Host]:
    """A control plane and a worker of a cluster with these pod networks."""
    state = {"joined": True, "completed": True, "unfinished": None, "upgrading": None}
    configured = {"config_maps": {"kubeadm-config": "x"}, "pod_networks": dict(networks), **more}
    facts = {"kubernetes": state, "configuration": configured}
    return [
        Host("cp1", control_plane=True, variables=variables, facts=facts),
        Host("w1", worker=True, variables=variables, facts={"kubernetes": state, "configuration": {"kubelet": ""}}),
    ]


def said(found: t.Sequence[Host], cluster: t.Mapping[str, t.Any] = WELL) -> t.List[str]:
    problems = run_checks(change_cni.checks(cluster), found)
    return [f"{problem.severity} {problem.host} {problem.subject}: {problem.message}" for problem in problems]


@pytest.mark.parametrize(
    ("networks", "more"),
    [
        ({"flannel": FLANNEL}, {}),
        # In the middle, on the way back, at its end, and when it is over.
        ({"flannel": FLANNEL, "calico": CALICO}, {"pod_network_change": {"from": "flannel", "to": "calico"}}),
        ({"flannel": FLANNEL, "calico": CALICO}, {"pod_network_change": {"from": "calico", "to": "flannel"}}),
        ({"calico": CALICO}, {"pod_network_change": {"from": "flannel", "to": "calico"}}),
        ({"calico": CALICO}, {}),
    ],
)
def test_what_may_be_done(networks: t.Mapping[str, t.Any], more: t.Mapping[str, t.Any]) -> None:
    assert said(hosts(networks, **more)) == []
    assert said(hosts(networks, **more), {**WELL, "pending": ["cp1", "w1"]}) == []


@pytest.mark.parametrize(
    ("networks", "variables", "line"),
    [
        (
            {"flannel": FLANNEL},
            {"cluster_cni": "none", "cni_provider": "none"},
            "error  cluster_cni: is none, and this playbook puts a pod network of this collection into the place of",
        ),
        ({}, {}, "error  cluster_cni: is calico, and no pod network that this collection has installed is in the clus"),
        (
            {"flannel": {**FLANNEL, "release": ""}},
            {},
            "error  cluster_cni: is calico, and no pod network that this collection has installed is in the cluster.",
        ),
        (
            {"flannel": FLANNEL, "calico": {**CALICO, "release": ""}},
            {},
            "error  cluster_cni: is calico, but the Calico in the cluster was not installed by this collection",
        ),
        (
            {"flannel": {**FLANNEL, "ipv6_network": "fd00::/56"}},
            {},
            "error  cluster_cni: is calico, and Flannel gives pods addresses of fd00::/56, too, which would be lost.",
        ),
        (
            {"flannel": {**FLANNEL, "network": "", "ipv6_network": "fd00::/56"}},
            {"cluster_pod_subnet": "fd00::/56"},
            "error  cluster_cni: is calico, and cluster_pod_subnet is fd00::/56: how a pod network is changed where",
        ),
        (
            {"flannel": FLANNEL},
            {"cluster_pod_subnet": "10.1.0.0/16"},
            "error  cluster_pod_subnet: is 10.1.0.0/16 in the inventory, and Flannel has 10.244.0.0/16: the network of",
        ),
        (
            {"cilium": {"release": "cilium"}},
            {},
            "error  cluster_cni: is calico, and Cilium cannot run beside another one, as long as the change takes: it",
        ),
        (
            {"flannel": FLANNEL},
            {"cluster_cni": "cilium", "cni_provider": "cilium"},
            "error  cluster_cni: is cilium, and Cilium cannot run beside another one, as long as the change takes: it",
        ),
    ],
)
def test_networks_that_cannot_be_changed(
    networks: t.Mapping[str, t.Any], variables: t.Mapping[str, t.Any], line: str
) -> None:
    [found] = said(hosts(networks, {**WANTED, **variables}))
    assert found.startswith(line)


@pytest.mark.parametrize(
    ("cluster", "line"),
    [
        ({"nodes": [*WELL["nodes"], {"name": "w2", "problem": ""}]}, "error w2 node: is in the cluster, and not among"),
        ({"nodes": WELL["nodes"][:1]}, "error w1 node: is in the inventory, but no node of the cluster."),
        ({"nodes": [WELL["nodes"][0], {"name": "w1", "problem": "NotReady"}]}, "error w1 node: is NotReady"),
        ({**WELL, "problem": "refused"}, "error  API server: cannot be asked: refused"),
        (
            {**WELL, "pending": ["w1"], "unmanaged": [{"name": "default/debug", "node": "w1"}]},
            "error w1 pod: default/debug has no controller that would make it anew elsewhere.",
        ),
    ],
)
def test_clusters_that_are_not_fit_for_it(cluster: t.Mapping[str, t.Any], line: str) -> None:
    [found] = said(hosts({"flannel": FLANNEL}), cluster)
    assert found.startswith(line)


def test_an_upgrade_that_has_not_ended() -> None:
    found = hosts({"flannel": FLANNEL})
    found[1].facts["kubernetes"]["upgrading"] = {"operation": "node"}  # type: ignore[index]
    # Both have the same state here.
    assert [line for line in said(found) if "w1 kubeadm upgrade: has begun here" in line]


def test_a_cluster_that_could_not_be_read() -> None:
    found = hosts({}, config_maps={}, problem="refused")
    assert said(found) == ["error cp1 pod network: the cluster could not be asked which one it has (refused)."]
    assert said([], {}) == []


def test_what_a_build_refuses_is_not_refused() -> None:
    """All else that a build looks at is."""
    found = checks_of_a_change(checks.CHANGES["change_cni"], collection_roles(), {}, False, WELL)
    left_out = {differences.check_other_pod_network, surroundings.check_pod_networks}
    assert set(CHECKS) - set(found) == left_out


CHANGES = {**WANTED, "preflight_changes_pod_network": True}


def test_ports_of_the_other_pod_network_on_nodes() -> None:
    socket = {"protocol": "tcp", "address": "0.0.0.0", "port": 9099, "pid": 7, "process": "exporter"}
    state = {"joined": True, "control_plane": True}
    facts = test_preflight_machines.machine(listening=[socket], kubernetes=state)
    for there, expected in (({"flannel": FLANNEL}, 1), ({"flannel": FLANNEL, "calico": CALICO}, 0)):
        facts["configuration"] = {"pod_networks": there}
        host = test_preflight_machines.host(1, facts=facts, cni_calico_encapsulation="vxlan", **CHANGES)
        found = list(ports.check_ports_of_addons([host]))
        assert len(found) == expected
    host = test_preflight_machines.host(1, facts=facts, cni_calico_encapsulation="vxlan", **WANTED)
    assert list(ports.check_ports_of_addons([host])) == []


def test_kernel_modules_of_the_other_pod_network_have_to_be_there() -> None:
    around = {"surroundings": {"modules_missing": ["ipip"]}}
    for more, severity in ((CHANGES, "error"), (WANTED, "warning")):
        variables = {**more, "cni_calico_encapsulation": "ipip"}
        host = Host("cp1", variables=variables, facts={"kubernetes": {"joined": True}, **around})
        assert [problem.severity for problem in surroundings.check_modules([host])] == [severity]


def test_its_sources_are_asked() -> None:
    variables = {
        **CHANGES,
        "cluster_control_plane_hosts": ["cp1"],
        "cluster_version": "1.37.1",
        "helm_version": "3",
        "cni_calico_version": "3.28.5",
        "cni_calico_image_repository": "docker.io/calico",
        "cni_calico_manifest_url": "https://x/calico.yaml",
        "cni_calico_manifest_checksum": "sha256:1",
        "metrics_server_enabled": True,
    }
    node = {"kubernetes": {"completed": True, "kubelet_version": "1.37.1"}, "helm_version": "3"}
    subjects = [source["subject"] for source in sources.sources(variables, node, "cp1")]
    assert subjects == ["cni_calico_version", "cni_calico_manifest_url"]
    [image] = sources.sources(variables, node, "w1")
    assert image["image"] == "docker.io/calico/node:v3.28.5"
    back = {**variables, "cluster_cni": "flannel", "cni_provider": "flannel", "cni_flannel_chart_version": "v0.28.4"}
    subjects = [source["subject"] for source in sources.sources(back, node, "cp1")]
    assert subjects == ["cni_flannel_values", "cni_flannel_chart"]
    assert sources.sources({**variables, "preflight_changes_pod_network": False}, node, "cp1") == []
    assert sources.pod_network_image({"cluster_cni": "none"}) == []


def test_both_are_let_through_a_firewall() -> None:
    variables = {**WANTED, "cni_calico_encapsulation": "vxlan", "cni_flannel_backend": "vxlan"}
    host = Host("cp1", variables=variables)
    others = [change_cni.POD_NETWORKS["flannel"]]
    both = _openings.of_node(host, ["192.0.2.0/24"], ["192.0.2.0/24"], [], others)
    assert {entry["port"] for entry in both if entry.get("protocol") == "udp"} == {"4789", "8472"}
    alone = _openings.of_node(host, ["192.0.2.0/24"], ["192.0.2.0/24"], [])
    assert {entry["port"] for entry in alone if entry.get("protocol") == "udp"} == {"4789"}
