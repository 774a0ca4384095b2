# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks before a node gets another container runtime."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight import sources
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import (
    CHANGES,
    change_runtime,
    checks_of,
    checks_of_a_change,
    nodes,
    runtime,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host, run_checks
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.variables import collection_roles

CONTAINERD = "unix:///run/containerd/containerd.sock"
CRIO = "unix:///var/run/crio/crio.sock"


def host(name: str, socket: str = CONTAINERD, joined: bool = True, **given: t.Any) -> Host:
    """A node whose kubelet has containerd, and what the inventory has for it."""
    facts = {
        "kubernetes": {"joined": joined, "completed": joined, "unfinished": None, "upgrading": given.pop("up", None)},
        "configuration": {"kubelet": "", "cri_socket": CONTAINERD},
        "runtime": given.pop("runtime", {}),
    }
    control_plane = name.startswith("cp")
    variables = {"cluster_cri_socket": socket, "cluster_version": "1.37.1", **given}
    return Host(name, control_plane, not control_plane, variables, facts=facts)


def cluster(node: str = "w1", bad: t.Sequence[str] = (), **more: t.Any) -> t.Dict[str, t.Any]:
    """A cluster as kubeadm_upgrade_info tells of it, and what is to be done."""
    known = [{"name": name, "problem": "NotReady" if name in bad else ""} for name in ("cp1", "w1", "w2")]
    return {"nodes": known, "node": node, "pending": [node], "plan": {"lacking": [], "stopped": False}, **more}


def said(state: t.Dict[str, t.Any], *hosts: Host) -> t.List[str]:
    problems = run_checks(change_runtime.checks(state), hosts or (host("cp1"), host("w1", CRIO), host("w2")))
    return [f"{problem.severity} {problem.host} {problem.subject}: {problem.message}" for problem in problems]


@pytest.mark.parametrize(
    "state",
    [
        cluster(),
        cluster("cp1"),
        # It is on its way, and nothing is to be done.
        cluster(bad=["w1"]),
        cluster(pending=[], plan={"lacking": ["crictl"]}),
        # The only API server is that of the node.
        {**cluster("cp1", problem="refused", plan={"stopped": True}), "nodes": []},
        cluster("cp1", etcd={"members": [{"name": "cp1", "healthy": False}]}),
    ],
)
def test_what_may_be_done(state: t.Dict[str, t.Any]) -> None:
    assert said(state) == []


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (cluster(bad=["w2"]), "error w2 node: is NotReady"),
        (cluster(problem="refused"), "error  API server: cannot be asked: refused"),
        (
            cluster("w1", problem="refused", plan={"stopped": True}),
            "error  API server: cannot be asked: refused",
        ),
        (
            cluster("w1", etcd={"members": [{"name": "cp1", "healthy": False}]}),
            "error cp1 etcd: is a member that is not healthy: it does not answer.",
        ),
        (
            cluster(plan={"lacking": ["crictl"]}),
            "error w1 crictl: is not installed, and pods are ended by it in the container runtime that they are in.",
        ),
        (
            cluster(unmanaged=[{"node": "w1", "name": "shop/x"}, {"node": "w2", "name": "shop/y"}]),
            "error w1 pod: shop/x has no controller that would make it anew elsewhere.",
        ),
        (
            {**cluster("w3"), "pending": []},
            "error w3 node: is no node of the cluster, so it has no container runtime to change.",
        ),
    ],
)
def test_what_may_not(state: t.Dict[str, t.Any], expected: str) -> None:
    third = [host("w3", joined=False)] if state["node"] == "w3" else []
    assert said(state, host("cp1"), host("w1", CRIO), host("w2"), *third) == [expected]


def test_an_upgrade_that_has_not_ended() -> None:
    (line,) = said(cluster(), host("cp1"), host("w1", CRIO, up={"version": "1.37.1"}))
    assert line == "error w1 kubeadm upgrade: has begun here and has not come to its end."


def test_a_build_refuses_another_runtime_and_names_the_playbook() -> None:
    (problem,) = nodes.check_sockets([host("w1", CRIO), host("w2"), host("w3", CRIO, joined=False)])
    assert (problem.host, problem.subject) == ("w1", "cluster_cri_socket")
    assert problem.message == f"is {CRIO} in the inventory, and the kubelet of the host uses {CONTAINERD}."
    assert "playbooks/change_runtime.yml -e node=w1" in problem.remedy
    catalogue = collection_roles()
    build = checks_of(catalogue, {}, False, None)
    change = checks_of_a_change(CHANGES["change_runtime"], catalogue, {}, False, cluster())
    assert {nodes.check_sockets, nodes.check_runtime_version} <= {*build} - {*change}
    # Those two, and two of them are made for the run.
    assert len(change) == len(build) - 2 + len(change_runtime.checks(cluster()))
    assert nodes.check_arguments not in CHANGES["change_runtime"].reports


PROVIDER = {"container_runtime_provider": "docker", "container_runtime_source": "docker"}


@pytest.mark.parametrize(
    ("given", "package", "expected"),
    [
        (PROVIDER, "containerd", "is docker, and docker-ce cannot be installed beside containerd, which is there."),
        (
            {**PROVIDER, "container_runtime_source": "distribution"},
            "containerd.io",
            "is distribution, and docker.io cannot be installed beside containerd.io, which is there.",
        ),
        (PROVIDER, "containerd.io", ""),
        ({**PROVIDER, "container_runtime_source": "crio"}, "containerd", ""),
    ],
)
def test_packages_that_put_each_other_out(given: t.Dict[str, str], package: str, expected: str) -> None:
    known = {"containerd": {"installed": True, "package": package}, "docker": {"installed": False}}
    node = host("w1", runtime=known, **given)
    found = [*runtime._package_of_another(node, runtime.chosen("docker"), given["container_runtime_source"])]
    assert [problem.message for problem in found] == ([expected] if expected else [])
    known["docker"] = {"installed": True}
    assert not [*runtime._package_of_another(host("w1", runtime=known, **given), runtime.chosen("docker"), "docker")]


def test_its_package_is_asked_for() -> None:
    node = {"kubernetes": {"completed": True, "kubelet_version": "1.37.1"}, "runtime": {}}
    variables = {"container_runtime_provider": "docker", "container_runtime_source": "distribution"}
    variables["cluster_version"] = "1.37.1"
    assert sources.sources(variables, {**node, "configuration": {"cri_socket": ""}}, "w1") == []
    (source,) = sources.sources(variables, {**node, "configuration": {"cri_socket": CONTAINERD}}, "w1")
    assert (source["kind"], source["packages"]) == ("packages", ["docker.io"])
