# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on an upgrade."""

from __future__ import annotations

import dataclasses
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import upgrade
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    Failure,
    Host,
    Problem,
    run_checks,
)


def host(
    name: str, version: str = "1.37.1", pods: str = "", upgrading: t.Any = None, joined: bool = True, **variables: t.Any
) -> Host:
    state: t.Dict[str, t.Any] = {"joined": joined, "upgrading": upgrading, "static_pods": {}}
    if pods:
        state["static_pods"] = {"kube-apiserver": pods, "etcd": "3.6.8-0"}
    return Host(name=name, variables={"cluster_version": version, **variables}, facts={"kubernetes": state})


def node(name: str, version: str = "1.36.4", **more: t.Any) -> t.Dict[str, t.Any]:
    runtime = "containerd://2.4.2"
    return {"name": name, "version": version, "problem": "", "control_plane": False, "runtime": runtime, **more}


def cluster(*nodes: t.Dict[str, t.Any], **more: t.Any) -> t.Dict[str, t.Any]:
    return {"version": "1.36.4", "nodes": list(nodes or [node("cp1", control_plane=True), node("w1")]), **more}


def find(found: t.Mapping[str, t.Any], *hosts: Host, version: str = "1.37.1", **variables: t.Any) -> t.List[Problem]:
    given = hosts or (host("cp1", version, "1.36.4", **variables), host("w1", version, **variables))
    return run_checks(upgrade.checks(found), given)


def lines(problems: t.Iterable[Problem]) -> t.List[str]:
    return [f"{problem.severity} {problem.host} {problem.subject}: {problem.message}" for problem in problems]


@pytest.mark.parametrize("version", ["1.36.4", "1.36.5", "1.37.0", "1.37.1"])
def test_what_may_be_done(version: str) -> None:
    assert find(cluster(), version=version) == []


def test_half_done() -> None:
    found = cluster(node("cp1", "1.36.4", control_plane=True, problem="NotReady"), node("w1"), version="1.37.1")
    hosts = [host("cp1", pods="1.37.1", upgrading={"operation": "apply"}), host("w1")]
    assert find(found, *hosts) == []


def test_a_backup_that_could_not_be_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    given = {"upgrade_backup": True, "etcd_backup_fetch": True, "etcd_backup_fetch_directory": f"{tmp_path}/file/x"}

    def said(pods: str = "1.36.4", **other: t.Any) -> t.List[str]:
        control_plane = dataclasses.replace(host("cp1", pods=pods, **{**given, **other}), control_plane=True)
        return lines(find(cluster(node("cp1", pods), node("w1")), control_plane, host("w1", **given)))

    [line] = said()
    assert line.startswith(f"error  etcd_backup_fetch_directory: {tmp_path}/file/x cannot be written on the controller")
    for right in ({"upgrade_backup": False}, {"etcd_backup_fetch": False}, {"etcd_backup_fetch_directory": tmp_path}):
        assert said(**right) == []
    # None is taken any more.
    assert said("1.37.1") == []


def test_all_checks_of_kubeadm_and_one_more() -> None:
    for variable, given in (("cluster_ignore_preflight_errors", ()), ("upgrade_ignore_preflight_errors", None)):
        own = host("cp1", pods="1.36.4", upgrade_ignore_preflight_errors=["all", "SystemVerification"])
        named = frozenset({"upgrade_ignore_preflight_errors"} if given is None else given)
        [problem] = find(cluster(), dataclasses.replace(own, given=named), host("w1"))
        assert (problem.host, problem.subject) == ("cp1", variable)
        assert problem.message.startswith("has all and systemverification, and kubeadm refuses")
    assert find(cluster(), host("cp1", pods="1.36.4", upgrade_ignore_preflight_errors=["all"]), host("w1")) == []


def test_plugins_of_coredns_that_kubeadm_does_not_carry_over() -> None:
    zones = ["no zone", {"zones": ["a.example"], "plugins": {"whoami": "whoami", "log": "log"}}]
    asked = {"coredns_plugins": {"cache": "cache 1", "template": "template IN A"}, "coredns_zones": zones}

    def said(**more: t.Any) -> t.List[str]:
        control_plane = dataclasses.replace(host("cp1", pods="1.36.4", **asked, **more), control_plane=True)
        return lines(find(cluster(), control_plane, host("w1")))

    [line] = said()
    assert line.startswith("warning cp1 coredns_plugins: has template and whoami, and kubeadm refuses an upgrade")
    for name in ("CoreDNSUnsupportedPlugins", "all"):
        assert said(upgrade_ignore_preflight_errors=[name]) == []


def test_downgrade() -> None:
    problems = find(cluster(), version="1.36.3")
    assert [(problem.host, problem.subject) for problem in problems] == [("", "cluster_version")]
    assert "1.36.3 is older than the cluster's 1.36.4" in problems[0].message
    newer = find(cluster(node("cp1"), node("w1", "1.37.1"), version="1.37.1"), version="1.36.4")
    assert [(problem.host, problem.message) for problem in newer] == [
        ("", "1.36.4 is older than the cluster's 1.37.1, which runs."),
    ]


def test_two_minors() -> None:
    problems = find(cluster(version="1.37.0"), version="1.38.0")
    assert [problem.host for problem in problems] == ["cp1"]
    assert problems[0].remedy == "Upgrade to a version of 1.37 first."
    assert "the cluster's 1.36.4" in find(cluster(), version="1.38.0")[0].message


def test_a_kubelet_that_is_too_old() -> None:
    assert "more than 3 minors older" in find(cluster(node("cp1"), node("w1", "1.33.9")))[0].message
    assert find(cluster(node("cp1"), node("w1", "1.34.0"))) == []


def test_no_target() -> None:
    hosts = [host("cp1", "1.37", "1.36.4"), host("w1", "1.37")]
    assert find(cluster(), *hosts) == []


def test_no_cluster() -> None:
    assert lines(find({}, host("cp1", joined=False))) == ["error  kubernetes: there is no cluster on these hosts."]
    assert find({}, Host(name="cp1", failure=Failure("ssh", "no", "yes"))) == []


def test_workers_alone() -> None:
    """Nobody would know that their kubelets become newer than the API server."""
    left_out = Host(name="cp1", control_plane=True)
    (problem,) = find({}, left_out, host("w1"))
    assert problem.subject == "control planes" and "--limit kube_control_plane,worker1" in problem.remedy
    assert find({}, Host(name="cp1", control_plane=True, failure=Failure("ssh", "no", "yes")), host("w1")) == []


def test_api_server() -> None:
    assert "cannot be asked: refused" in find({"problem": "refused"})[0].message
    assert "etcd is not healthy" in find(cluster(unhealthy=["etcd"]))[0].message


def test_etcd() -> None:
    well = {"name": "cp1", "healthy": True, "alarms": []}
    sick = {"name": "cp2", "healthy": False, "alarms": ["NOSPACE"], "problem": "refused"}
    assert find(cluster(etcd={"members": [well], "problem": ""})) == []
    assert find(cluster(etcd={"members": [], "problem": ""})) == []
    assert lines(find(cluster(etcd={"members": [well, sick, {"id": "f73d", "healthy": False}]}))) == [
        "error cp2 etcd: has raised an alarm: NOSPACE.",
        "error cp2 etcd: is a member that is not healthy: refused.",
        "error f73d etcd: is a member that is not healthy: it does not answer.",
    ]
    assert lines(find(cluster(etcd={"members": [], "problem": "no container"}))) == [
        "error  etcd: cannot be asked: no container"
    ]
    mending = [host("cp1", pods="1.36.4"), host("cp2", upgrading={"operation": "node"})]
    found = cluster(node("cp1", control_plane=True), node("cp2"), etcd={"members": [well, {**sick, "alarms": []}]})
    assert find(found, *mending) == []


def test_nodes() -> None:
    found = cluster(
        node("cp1", control_plane=True, problem="NotReady (Kubelet)"),
        node("w1"),
        node("old1"),
        node("cp9", control_plane=True),
        node("left"),
        node("dead"),
    )
    left = Host(name="left", variables={"cluster_version": "1.37.1"})
    dead = Host(name="dead", variables={"cluster_version": "1.37.1"}, failure=Failure("ssh", "no", "yes"))
    assert lines(find(found, host("cp1"), host("w1"), host("new1"), left, dead)) == [
        "error cp1 node: is NotReady (Kubelet)",
        "warning old1 node: is in the cluster, but not in the inventory: it stays at 1.36.4.",
        "error cp9 node: is in the cluster, but not in the inventory; it is a control plane, and all of them are"
        " upgraded together.",
        "warning left node: is left out of this run by --limit: it stays at 1.36.4.",
        "error new1 node: is in the inventory, but no node of the cluster.",
    ]


def test_certificates() -> None:
    found = cluster(expired={"cp1": ["apiserver", "admin.conf"], "w1": []})
    assert lines(find(found)) == ["error cp1 certificates: have expired: apiserver, admin.conf."]
    # renew_certificates.yml could not mend that.
    [line] = lines(find(cluster(expired={"w1": ["kubelet-server"]})))
    assert line.startswith("warning w1 certificates: the kubelet's serving certificate has expired")


ROOM: t.Dict[str, t.Any] = {
    "budgets": [
        {"name": "web/never", "pods": 2, "needed": 2, "healthy": 2, "never": True, "nodes": ["cp1", "w1"]},
        {"name": "web/now", "pods": 2, "needed": 1, "healthy": 1, "never": False, "nodes": ["w1"]},
    ],
    "unmanaged": [{"name": "web/bare", "node": "w1"}, {"name": "web/other", "node": "elsewhere"}],
    "tight": [
        {"name": "w1", "resource": "cpu", "asked": 1.5, "left": 0.75},
        {"name": "w1", "resource": "memory", "asked": 2.0**30, "left": 0.0},
        {"name": "elsewhere", "resource": "cpu", "asked": 1.5, "left": 0.75},
    ],
}


def test_room() -> None:
    assert lines(find(cluster(**ROOM))) == [
        "error  PodDisruptionBudget: web/never allows no eviction: 2 of 2 pods must stay healthy, 2 are.",
        "warning  PodDisruptionBudget: web/now allows no eviction: 1 of 2 pods must stay healthy, 1 are.",
        "error w1 pod: web/bare has no controller that would make it anew elsewhere.",
        "warning w1 drain: its pods ask for 1.5 CPUs, and the other nodes that take them have 0.75 left: some will wait"
        " until it is back.",
        "warning w1 drain: its pods ask for 1024 MiB of memory, and the other nodes that take them have 0 MiB left:"
        " some will wait until it is back.",
    ]
    # What is left out by --limit is not drained, and what is upgraded already neither.
    given = [host("cp1", pods="1.36.4"), Host(name="w1")]
    left_out, budget = find(cluster(**ROOM), *given)
    assert (budget.message[:9], left_out.subject) == ("web/never", "node")
    assert find(cluster(node("cp1"), node("w1", "1.37.1"), **{**ROOM, "budgets": ROOM["budgets"][1:]})) == []
    forced = find(cluster(**ROOM), upgrade_drain_force=True, upgrade_drain_disable_eviction=True)
    assert {problem.severity for problem in forced} == {"warning"}
    done = cluster(node("cp1", "1.37.1"), node("w1", "1.37.1"), **ROOM)
    assert find(done) == []
    # The runtime alone is a reason to drain, too.
    runtime = {"container_runtime_version": "2.2.*", "__container_runtime_package": "containerd"}
    moving = host("w1", **runtime, upgrade_container_runtime=True)
    seen = {"configuration": {"kubelet": "x"}, "runtime": {"containerd": {"packages": {"containerd": "2.1.4"}}}}
    moving = dataclasses.replace(moving, facts={**(moving.facts or {}), **seen})
    assert "error w1 pod" in {f"{item.severity} {item.host} {item.subject}" for item in find(done, moving)}
    still = {**moving.variables, "upgrade_container_runtime": False}
    assert find(done, dataclasses.replace(moving, variables=still)) == []


def test_pods_with_local_data_that_the_drain_would_refuse() -> None:
    found = cluster(local_data=[{"name": "web/a", "node": "w1"}, {"name": "web/b", "node": "elsewhere"}])
    [line] = lines(find(found, upgrade_drain_delete_emptydir_data=False))
    assert line.startswith(
        "error w1 pod: web/a has an emptyDir volume, and upgrade_drain_delete_emptydir_data is false"
    )
    assert find(found, upgrade_drain_delete_emptydir_data=True) == [] and find(found) == []
    done = cluster(node("cp1", "1.37.1"), node("w1", "1.37.1"), local_data=found["local_data"])
    assert find(done, upgrade_drain_delete_emptydir_data=False) == []


def test_many_pods_are_one_finding_of_a_node() -> None:
    pods = [{"name": f"web/p{number}", "node": "w1"} for number in range(9)]
    found = cluster(unmanaged=pods, local_data=pods[:2])
    bare, local = lines(find(found, upgrade_drain_delete_emptydir_data=False))
    names = "web/p0, web/p1, web/p2, web/p3, web/p4, web/p5 and 3 more"
    assert bare == f"error w1 pod: {names} have no controller that would make them anew elsewhere."
    assert local.startswith("error w1 pod: web/p0, web/p1 have an emptyDir volume")


@pytest.mark.parametrize(("gates", "severity"), [({}, "error"), ({"KubeProxyIPVS": "true"}, "warning")])
def test_the_mode_that_is_turned_off(gates: t.Dict[str, str], severity: str) -> None:
    found = cluster(node("cp1", control_plane=True), kube_proxy={"mode": "ipvs", "gates": gates}, version="1.39.0")
    assert f"{severity}  kube-proxy" in [line.partition(":")[0] for line in lines(find(found, version="1.40.0"))]


def test_what_is_removed() -> None:
    found = cluster(
        node("cp1", control_plane=True),
        node("w1", runtime="containerd://1.7.24"),
        deprecated_apis=[{"api": "a/v1 x", "removed": "1.37"}, {"api": "b/v1 y", "removed": "1.38"}],
        kube_proxy={"mode": "ipvs", "gates": {}},
    )
    assert [line.partition(":")[0] for line in lines(find(found))] == [
        "error  API",
        "warning  API",
        "warning  kube-proxy",
        "warning w1 containerd",
    ]
    found["version"] = "1.37.0"
    assert {problem.severity for problem in find(found)} == {"warning"}
    assert "error w1 containerd" in [line.partition(":")[0] for line in lines(find(found, version="1.38.0"))]
