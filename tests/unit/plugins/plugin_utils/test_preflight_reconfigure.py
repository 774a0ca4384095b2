# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done so that a built cluster is as the inventory says, and what is in the way of it."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
import yaml
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._configuration_differences import compare
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight import kept
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import (
    REPORTS,
    REPORTS_BESIDE_CONFIGURATION,
    differences,
    reconfigure,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host
from ansible_collections.slipway.kubernetes.tests.unit.plugins.plugin_utils.test_preflight_differences import (
    KUBELET,
    cluster,
)

APISERVER = {"extraArgs": [{"name": "v", "value": "3"}]}


def documents(hosts: t.Sequence[Host]) -> t.Dict[str, t.Any]:
    """The documents that are to be written, read again."""
    plan = kept.reconfiguration(hosts)
    return {item["kind"]: yaml.safe_load(item["text"]) for item in plan["documents"]}


def written(hosts: t.Sequence[Host]) -> t.List[Host]:
    """The hosts when that was done."""
    plan = kept.reconfiguration(hosts)
    texts = {kept.CONFIG_MAPS[item["kind"]]: item["text"] for item in plan["documents"]}
    found = []
    for host in hosts:
        configuration = dict((host.facts or {})["configuration"])
        if "config_maps" in configuration:
            configuration["config_maps"] = {**configuration["config_maps"], **texts}
        if "kubelet-config" in texts:
            configuration["kubelet"] = texts["kubelet-config"]
        found.append(dataclasses.replace(host, facts={**(host.facts or {}), "configuration": configuration}))
    return found


def test_nothing_to_do() -> None:
    plan = kept.reconfiguration(cluster())
    assert plan["documents"] == []
    assert [kubelet["how"] for kubelet in plan["kubelets"].values()] == ["leave", "leave"]
    assert yaml.safe_load(plan["cluster"])["kind"] == "ClusterConfiguration"


@pytest.mark.parametrize(
    ("given", "kind", "path", "value"),
    [
        ({"control_plane_cluster_configuration": {"apiServer": APISERVER}}, "ClusterConfiguration", "apiServer", None),
        (
            {"cluster_image_repository": "mirror.example.com"},
            "ClusterConfiguration",
            "imageRepository",
            "mirror.example.com",
        ),
        ({"cluster_kube_proxy_mode": "iptables"}, "KubeProxyConfiguration", "mode", "iptables"),
        ({"control_plane_kubelet_configuration": {**KUBELET, "maxPods": 200}}, "KubeletConfiguration", "maxPods", 200),
    ],
)
def test_a_field(given: t.Dict[str, t.Any], kind: str, path: str, value: t.Any) -> None:
    hosts = cluster(**given)
    found = documents(hosts)
    assert list(found) == [kind]
    present = kept.stored(hosts[0])[kind]
    if value is not None:
        assert found[kind][path] == value
        # All others stay as they are in the cluster.
        assert {**found[kind], path: present.get(path)} == {**present, path: present.get(path)}
    else:
        assert found[kind]["apiServer"]["extraArgs"] == APISERVER["extraArgs"]
        assert found[kind]["apiServer"].get("certSANs") == present.get("apiServer", {}).get("certSANs")
    # Then the cluster is as the inventory says, and a second run has nothing to do.
    after = written(hosts)
    assert kept.reconfiguration(after)["documents"] == []
    assert kept.reconfiguration(after)["cluster"] == kept.reconfiguration(hosts)["cluster"]


def test_what_was_taken_out_goes() -> None:
    hosts = cluster(control_plane_kubelet_configuration={})
    kubelet = documents(hosts)["KubeletConfiguration"]
    assert "failCgroupV1" not in kubelet and kubelet["serverTLSBootstrap"] is True
    assert not kubelet.get("evictionHard")
    assert kept.reconfiguration(written(hosts))["documents"] == []


def test_what_cannot_be_changed_is_never_written() -> None:
    hosts = cluster(cluster_dns_domain="other.example", control_plane_kubelet_configuration={**KUBELET, "maxPods": 200})
    assert list(documents(hosts)) == ["KubeletConfiguration"]


def test_kubelets() -> None:
    hosts = cluster(control_plane_kubelet_configuration={**KUBELET, "cpuManagerPolicy": "static"})
    kubelets = kept.reconfiguration(hosts)["kubelets"]
    assert [kubelet["drain"] for kubelet in kubelets.values()] == [True, True]
    assert [field["path"] for field in kubelets[hosts[0].name]["fields"]] == ["cpuManagerPolicy"]
    # A run that was killed: the cluster has it, and one kubelet does not.
    after = written(hosts)
    left = [dataclasses.replace(after[0]), hosts[1]]
    kubelets = kept.reconfiguration(left)["kubelets"]
    assert [kubelet["how"] for kubelet in kubelets.values()] == ["leave", "write"]


def test_a_kubelet_that_kubeadm_patches() -> None:
    patches = {"node_join_configuration": {"patches": {"directory": "/etc/patches"}}}
    given = {"control_plane_kubelet_configuration": {**KUBELET, "maxPods": 200}}
    kubelets = kept.reconfiguration(cluster(**patches, **given))["kubelets"]
    assert [kubelet["how"] for kubelet in kubelets.values()] == ["write", "write"]
    kubelets = kept.reconfiguration(cluster(**patches))["kubelets"]
    assert [kubelet["how"] for kubelet in kubelets.values()] == ["compare", "compare"]


@pytest.mark.parametrize(
    ("fields", "drain"),
    [
        ({"maxPods": 200}, False),
        ({"cpuManagerPolicy": "static"}, True),
        ({"reservedSystemCPUs": "0"}, True),
        ({"systemReserved": {"cpu": "100m"}}, False),
        ({"systemReserved": {"cpu": "100m"}, "memoryManagerPolicy": "Static"}, True),
    ],
)
def test_what_needs_a_drain(fields: t.Dict[str, t.Any], drain: bool) -> None:
    hosts = cluster(control_plane_kubelet_configuration={**KUBELET, **fields})
    assert {kubelet["drain"] for kubelet in kept.kubelets(hosts).values()} == {drain}
    asked = [dataclasses.replace(host, variables={**host.variables, "reconfigure_drain": True}) for host in hosts]
    assert {kubelet["drain"] for kubelet in kept.kubelets(asked).values()} == {True}
    asked = [dataclasses.replace(host, variables={**host.variables, "reconfigure_drain": True}) for host in cluster()]
    assert {kubelet["drain"] for kubelet in kept.kubelets(asked).values()} == {False}


def test_a_file_that_nobody_can_read_is_written() -> None:
    hosts = cluster()
    configuration = {**(hosts[1].facts or {})["configuration"], "kubelet": "a: &a 1\nb: *a\n"}
    hosts[1] = dataclasses.replace(hosts[1], facts={**(hosts[1].facts or {}), "configuration": configuration})
    assert [kubelet["how"] for kubelet in kept.kubelets(hosts).values()] == ["leave", "write"]


def test_patches_by_their_variable() -> None:
    kubelets = kept.kubelets(cluster(cluster_patches="/etc/patches"))
    assert [kubelet["how"] for kubelet in kubelets.values()] == ["compare", "compare"]


def test_environment_is_not_shown() -> None:
    hosts = cluster()
    environment = {"extraEnvs": [{"name": "HTTP_PROXY", "value": "http://user:hunter2@proxy.example.com"}]}
    for host in hosts:
        host.variables["__control_plane_documents"][1].setdefault("apiServer", {}).update(environment)
    (document,) = kept.reconfiguration(hosts)["documents"]
    assert "hunter2" not in str(document["fields"])


def test_secrets_are_not_in_the_fields() -> None:
    hosts = cluster()
    secret = {"extraArgs": [{"name": "oidc-client-secret", "value": "hunter2"}]}
    for host in hosts:
        host.variables["__control_plane_documents"][1].setdefault("apiServer", {}).update(secret)
    (document,) = kept.reconfiguration(hosts)["documents"]
    assert "hunter2" in document["text"] and "hunter2" not in str(document["fields"])


def said(hosts: t.Sequence[Host], **state: t.Any) -> t.List[str]:
    nodes = [{"name": host.name, "problem": "", "control_plane": host.control_plane} for host in hosts]
    found = {"nodes": nodes, "problem": "", **state}
    return [
        f"{p.host or 'cluster'}: {p.subject}: {p.message}" for check in reconfigure.checks(found) for p in check(hosts)
    ]


def completed(hosts: t.Sequence[Host], **state: t.Any) -> t.List[Host]:
    """Nodes, since the recorded machines have no kubelet."""
    found = []
    for host in hosts:
        kubernetes = {**(host.facts or {})["kubernetes"], "completed": True, "joined": True, **state}
        found.append(dataclasses.replace(host, facts={**(host.facts or {}), "kubernetes": kubernetes}))
    return found


def test_a_cluster_that_is_well() -> None:
    assert said(completed(cluster())) == []


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"nodes": [{"name": "w9", "problem": "NotReady", "control_plane": False}]}, "w9: node: is NotReady"),
        (
            {"nodes": [{"name": "cp9", "problem": "", "control_plane": True}]},
            "cp9: node: is a control plane of the cluster and not in this run",
        ),
        ({"problem": "connection refused"}, "cluster: API server: cannot be asked: connection refused"),
        ({"etcd": {"members": [{"name": "cp1", "healthy": False}]}}, "cp1: etcd: is a member that is not healthy"),
    ],
)
def test_what_is_in_the_way(state: t.Dict[str, t.Any], expected: str) -> None:
    assert any(line.startswith(expected) for line in said(completed(cluster()), **state))


def test_machines() -> None:
    hosts = completed(cluster(), completed=False)
    assert sum("is in the inventory, but no node of a cluster yet" in line for line in said(hosts)) == 2
    hosts = completed(cluster(), upgrading={"version": "1.37.1"})
    assert sum("kubeadm upgrade: has begun here" in line for line in said(hosts)) == 2
    # Nobody has read what the cluster keeps.
    hosts = [
        dataclasses.replace(host, facts={**(host.facts or {}), "configuration": {}}) for host in completed(cluster())
    ]
    assert "cluster: configuration: could not be read" in "\n".join(said(hosts))


def test_what_a_running_cluster_does_not_survive() -> None:
    hosts = completed(cluster(control_plane_kubelet_configuration={**KUBELET, "staticPodPath": "/etc/other"}))
    assert "KubeletConfiguration.staticPodPath: is /etc/kubernetes/manifests in the cluster" in "\n".join(said(hosts))
    hosts = completed(cluster(), kubeadm_version="1.38.0")
    assert sum("kubeadm: 1.38.0 is installed, and the cluster is to be of" in line for line in said(hosts)) == 2


def test_a_drain_that_would_wait_for_ever() -> None:
    budget = {"name": "example/web", "pods": 1, "needed": 1, "healthy": 1, "never": True}
    hosts = completed(cluster(control_plane_kubelet_configuration={**KUBELET, "cpuManagerPolicy": "static"}))
    assert "PodDisruptionBudget" in str(said(hosts, budgets=[{**budget, "nodes": [hosts[1].name]}]))
    assert said(completed(cluster()), budgets=[{**budget, "nodes": [hosts[1].name]}]) == []


def test_what_it_applies_is_no_warning() -> None:
    left_out = set(REPORTS) - set(REPORTS_BESIDE_CONFIGURATION)
    assert left_out == {differences.check_reported, differences.check_kubelets}


def test_settled_is_what_is_compared() -> None:
    """Whatever differs: once it is settled nothing does."""
    hosts = cluster(
        cluster_kube_proxy_mode="iptables",
        control_plane_kubelet_configuration={"evictionHard": {"memory.available": "5%"}, "maxPods": 9},
    )
    known = kept.rules(kept.stored(hosts[0])["ClusterConfiguration"])
    for kind, document in documents(hosts).items():
        assert compare(kept.documents(hosts[0])[kind], document, known[kind]) == []
