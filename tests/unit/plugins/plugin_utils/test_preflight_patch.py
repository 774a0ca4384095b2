# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks before machines are updated."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import patch
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.failures import UNREACHABLE
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    Failure,
    Host,
    run_checks,
)

ASLEEP = Failure(UNREACHABLE, "the host is unreachable: timed out.", "Start it.")


def host(name: str, control_plane: bool = False, **state: t.Any) -> Host:
    kubernetes = {"joined": True, "completed": True, "upgrading": None, **state}
    return Host(name=name, control_plane=control_plane, facts={"kubernetes": kubernetes, "machine_id": f"id-{name}"})


def silent(name: str, control_plane: bool = False, failure: Failure = ASLEEP) -> Host:
    return Host(name=name, control_plane=control_plane, failure=failure)


def node(name: str, problem: str = "") -> t.Dict[str, t.Any]:
    return {"name": name, "problem": problem}


def said(cluster: t.Mapping[str, t.Any], *hosts: Host, here: str = "elsewhere") -> t.List[str]:
    found = run_checks(patch.checks(cluster, here), hosts or (host("cp1", True), host("w1")))
    return [f"{problem.severity} {problem.host} {problem.subject}: {problem.message}" for problem in found]


WELL = {"nodes": [node("cp1"), node("w1")], "etcd": {"problem": "", "members": [{"name": "cp1", "healthy": True}]}}


def test_nothing_is_wrong() -> None:
    assert said(WELL) == []
    assert said({**WELL, "pending": ["cp1", "w1"]}) == []


@pytest.mark.parametrize(
    ("found", "line"),
    [
        ({"problem": "refused"}, "error  API server: cannot be asked: refused"),
        ({"unhealthy": ["etcd"]}, "error  API server: says on /readyz that etcd is not healthy."),
        ({"nodes": [node("cp1"), node("w1", "NotReady")]}, "error w1 node: is NotReady"),
        ({"nodes": [node("cp1"), node("w7", "NotReady")]}, "error w7 node: is NotReady"),
        (
            {"etcd": {"members": [{"name": "cp2", "healthy": False, "problem": "refused"}]}},
            "error cp2 etcd: is a member that is not healthy: refused.",
        ),
    ],
)
def test_a_cluster_that_is_not_well(found: t.Dict[str, t.Any], line: str) -> None:
    assert said({**WELL, **found}) == [line]


def test_a_worker_that_does_not_answer_holds_up_nobody() -> None:
    cluster = {**WELL, "nodes": [node("cp1"), node("w1"), node("w2", "NotReady (NodeStatusUnknown)")]}
    hosts = [host("cp1", True), host("w1"), silent("w2")]
    assert said(cluster, *hosts) == ["warning w2 connection: the host is unreachable: timed out."]


@pytest.mark.parametrize(
    ("left_out", "subject"),
    [
        (silent("cp2", control_plane=True), "connection"),
        (silent("w2", failure=Failure("python", "no Python was found on the host.", "Install it.")), "python"),
        (silent("w2", failure=Failure("kubernetes", "is a node of a cluster of RKE2.", "Remove it.")), "kubernetes"),
    ],
)
def test_others_are_not_left_out(left_out: Host, subject: str) -> None:
    (line,) = said(WELL, host("cp1", True), host("w1"), left_out)
    assert line.startswith(f"error {left_out.name} {subject}: ")


def test_a_member_of_a_control_plane_that_is_silent() -> None:
    etcd = {"members": [{"name": "cp2", "healthy": False}]}
    lines = said({**WELL, "etcd": etcd}, host("cp1", True), silent("cp2", control_plane=True))
    assert "error cp2 etcd: is a member that is not healthy: it does not answer." in lines


@pytest.mark.parametrize(
    ("state", "line"),
    [
        ({"upgrading": {"operation": "node"}}, "kubeadm upgrade: has begun here and has not come to its end."),
        ({"completed": False}, "node: is in the inventory, but no node of a cluster yet."),
    ],
)
def test_what_is_half_done(state: t.Dict[str, t.Any], line: str) -> None:
    assert said(WELL, host("cp1", True), host("w1", **state)) == [f"error w1 {line}"]


def test_control_planes_are_needed() -> None:
    (problem,) = run_checks(patch.checks({}, ""), [Host(name="cp1", control_plane=True), host("w1")])
    assert problem.subject == "control planes" and "-e patch_control_planes=false" in problem.remedy


@pytest.mark.parametrize(
    ("pending", "reboot", "here", "is_wrong"),
    [
        (["w1"], "required", "id-w1", True),
        (["w1"], "never", "id-w1", False),
        (["cp1"], "required", "id-w1", False),
        (["w1"], "required", "id-x", False),
        (["w1"], "required", "", False),
    ],
)
def test_the_machine_that_the_playbook_runs_on(pending: t.List[str], reboot: str, here: str, is_wrong: bool) -> None:
    hosts = [
        Host(name=one.name, control_plane=one.control_plane, facts=one.facts, variables={"patch_reboot": reboot})
        for one in (host("cp1", True), host("w1"))
    ]
    lines = said({**WELL, "pending": pending}, *hosts, here=here)
    assert bool(lines) is is_wrong and all("runs on the host itself" in line for line in lines)


def test_drains_of_what_is_to_be_updated() -> None:
    budget = {"name": "a/web", "pods": 2, "needed": 2, "healthy": 2, "never": True, "nodes": ["w1"]}
    alone = {"name": "a/debug", "node": "w1"}
    cluster = {**WELL, "budgets": [budget], "unmanaged": [alone]}
    assert said(cluster) == []
    lines = said({**cluster, "pending": ["w1"]})
    assert [line.partition(": ")[0] for line in lines] == ["error  PodDisruptionBudget", "error w1 pod"]
    given = Host(name="w1", facts=host("w1").facts, variables={"patch_drain_force": True})
    problems = run_checks(
        patch.checks({**cluster, "pending": ["w1"], "budgets": [{**budget, "never": False}]}, ""), [given]
    )
    assert [problem.remedy for problem in problems] == ["The drain waits for it, as long as patch_drain_timeout says."]
