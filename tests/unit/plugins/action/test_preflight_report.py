# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action that puts variables and facts of all hosts together and reports."""

from __future__ import annotations

import types
import typing as t
import unittest.mock

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.slipway.kubernetes.plugins.action import preflight_plan
from ansible_collections.slipway.kubernetes.plugins.action.preflight_report import ActionModule
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.variables import trusted


class HostVars(t.Dict[str, t.Any]):
    """What Ansible has as ``hostvars``, where nothing has to be templated."""

    def raw_get(self, name: str) -> t.Any:
        return self[name]


def report(
    given: t.Dict[str, t.Dict[str, t.Any]],
    control_planes: t.Sequence[str] = ("cp1",),
    workers: t.Sequence[str] = (),
    action_module: t.Type[ActionModule] = ActionModule,
    **arguments: t.Any,
) -> t.Dict[str, t.Any]:
    """Run the action with a variable manager that knows ``given``."""
    # Its default is made by a filter of this collection, which nothing finds here.
    given = {name: {"cluster_cri_socket": "unix:///run/test.sock", **variables} for name, variables in given.items()}
    manager = types.SimpleNamespace(
        get_delegated_vars_and_hostname=lambda templar, task, variables: (
            {"ansible_delegated_vars": {task.delegate_to: trusted(given[task.delegate_to])}},
            task.delegate_to,
        )
    )
    task = types.SimpleNamespace(
        action="slipway.kubernetes.preflight_report",
        args={"control_plane_hosts": list(control_planes), "worker_hosts": list(workers), **arguments},
        async_val=0,
        check_mode=False,
        get_variable_manager=lambda: manager,
        copy=lambda: task,
    )
    loader = DataLoader()
    action = action_module(task, unittest.mock.MagicMock(), None, loader, Templar(loader=loader), None)
    return action.run(task_vars={"hostvars": HostVars(given), "ansible_play_hosts": list(given)})


def test_nothing_wrong() -> None:
    result = report({"cp1": {"cluster_version": "1.37.1", "metrics_server_enabled": False}})
    assert result["msg"] == "Preflight found nothing that stops 1 host."
    assert (result["problems"], result["preflight_warnings"], result["changed"]) == ([], [], False)
    assert "failed" not in result
    assert "warnings" not in result


def test_one_report_for_all_hosts() -> None:
    result = report(
        {
            "cp1": {"cluster_version": "{{ minor }}.1", "minor": "1.38", "cluster_cni": "flanel"},
            "worker1": {
                "cluster_version": "1.38.1",
                "cluster_cni": "{{ nowhere }}",
                "cluster_look": {
                    "ansible_facts": {"slipway_preflight": {"failure": ["python", "no Python.", "Install it."]}}
                },
            },
        },
        workers=["worker1", "worker2"],
    )
    assert result["failed"] is True
    lines = result["msg"].splitlines()
    assert lines[0] == "Preflight found 4 problems on 3 hosts; nothing was changed."
    assert [line.split(": ")[:2] for line in lines[1:]] == [
        ["- cp1", "cluster_cni"],
        ["- worker1", "cluster_cni"],
        ["- worker1", "python"],
        ["- worker2", "inventory"],
    ]
    assert result["problems"][2] == {
        "hosts": ["worker1"],
        "subject": "python",
        "message": "no Python.",
        "remedy": "Install it.",
    }
    assert result["warnings"] == [
        "cluster: cluster_version: 1.38.1 is newer than what was tested (1.37). "
        "It may work; try it on a cluster that you can lose."
    ]
    assert result["preflight_warnings"][0]["subject"] == "cluster_version"


def test_facts_and_the_repository_are_in_the_report() -> None:
    node = {"interfaces": [{"name": "eth0", "addresses": [{"address": "10.244.0.7", "prefix": 24}]}]}
    bare = {
        "os": {"id": "debian", "version_id": "12", "architecture": "amd64"},
        "cpu_count": 8,
        "memory_mb": 8000,
        "cgroup_version": 2,
        "swap": {"active": []},
        "listening": [],
        "service_manager": "systemd",
        "default_address": "10.244.0.7",
        "kubernetes": {
            "kubelet_version": "",
            "control_plane": False,
            "joined": False,
            "unfinished": None,
            "completed": False,
        },
    }
    facts = {"slipway_node": {**node, **bare}, "slipway_preflight": {"failure": None, "source_failure": "gone."}}
    result = report({"cp1": {"cluster_look": {"ansible_facts": facts}}})
    assert [problem["subject"] for problem in result["problems"]] == ["cluster_pod_subnet", "kube_packages_repository"]


def test_an_upgrade_is_checked_in_another_way() -> None:
    node = {"kubernetes": {"kubelet_version": "1.36.4", "joined": True, "control_plane": True, "static_pods": {}}}
    facts = {
        **{"os": {"id": "debian", "version_id": "12", "architecture": "amd64"}, "interfaces": [], "listening": []},
        **{
            "cpu_count": 8,
            "memory_mb": 8000,
            "cgroup_version": 2,
            "swap": {"active": []},
            "default_address": "192.0.2.1",
            "service_manager": "systemd",
        },
        **node,
    }
    facts["kubernetes"].update(unfinished=None, completed=True, ca_cert_hashes=[], upgrading=None)
    given = {"cp1": {"cluster_look": {"ansible_facts": {"slipway_node": facts}}, "cluster_version": "1.37.1"}}
    refused = report(given)["problems"]
    assert "site does not change the version of a node" in str(refused)
    upgraded = report(given, upgrade={"version": "1.36.4", "nodes": []})["problems"]
    assert "site does not change" not in str(upgraded)
    assert "more than one minor" in str(report(given, upgrade={"version": "1.35.0", "nodes": []})["problems"])


def test_facts_are_nothing_that_was_seen() -> None:
    """They may come out of a cache: of another run, of a machine that has died since."""
    seen = {"kubernetes": {"joined": True, "control_plane": True}}
    cached = {"slipway_node": seen, "slipway_preflight": {"failure": ["python", "no Python.", "Install it."]}}
    given = {"cp1": {"ansible_facts": cached, **cached}, "worker1": {"cluster_look": {"ansible_facts": {}}}}
    assert report(given, workers=["worker1"])["problems"] == []


def test_the_plan_of_connections() -> None:
    facts = {"default_address": "192.0.2.1", "interfaces": [], "listening": [], "kubernetes": {"unfinished": None}}
    given = {
        name: {"cluster_look": {"ansible_facts": {"slipway_node": {**facts, "default_address": f"192.0.2.{number}"}}}}
        for number, name in enumerate(["cp1", "worker1"], start=1)
    }
    result = report(given, action_module=preflight_plan.ActionModule)
    assert not result["changed"] and result["listen"] == {}
    result = report(given, workers=["worker1"], action_module=preflight_plan.ActionModule)
    assert [port["port"] for port in result["listen"]["worker1"]["ports"]] == [10250, 8472]


@pytest.mark.parametrize("installer", ["RKE2", "Some\x1b[31mOther"])
def test_a_node_of_another_installer_is_refused_and_nothing_else_is_said_of_it(installer: str) -> None:
    """Its facts are those of a node of that cluster: they do not make a member or a primary of it here."""
    state = {"installer": installer, "joined": True, "control_plane": True, "completed": True, "api_ready": True}
    look = {"ansible_facts": {"slipway_node": {"kubernetes": state}, "slipway_preflight": {"failure": None}}}
    result = report({"cp1": {"cluster_version": "1.37.1", "metrics_server_enabled": False, "cluster_look": look}})
    (problem,) = result["problems"]
    assert (problem["hosts"], problem["subject"]) == (["cp1"], "kubernetes")
    assert problem["message"].startswith(f"is a node of a cluster of {installer[:4]}")
    assert "\x1b" not in result["msg"]
