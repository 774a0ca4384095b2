# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines that fail in the middle are named at the end of site.yml and add_nodes.yml; the others go on."""

from __future__ import annotations

import sys
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.kubernetes.tests.unit.playing import run_play

PROJECT = Path(__file__).resolve().parents[3]
GROUPS = str(PROJECT / "playbooks/vars/groups.yml")
LOCAL = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
GONE = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
Play = t.Dict[str, t.Any]


def machine(completed: bool, **more: t.Any) -> t.Dict[str, t.Any]:
    kubernetes = {
        "completed": completed,
        "joined": completed,
        "control_plane": False,
        "unfinished": False,
        "api_ready": False,
    }
    return {**LOCAL, "cluster_look": {"ansible_facts": {"slipway_node": {"kubernetes": kubernetes}}}, **more}


#: The role's last two tasks, on what it would be for these machines.
JOIN: t.List[t.Dict[str, t.Any]] = [
    {
        "ansible.builtin.ping": None,
        "register": "__node_join_running",
        "when": "cluster_node.kubernetes.completed",
    },
    {
        "ansible.builtin.command": "{{ 'false' if inventory_hostname == 'refused' else 'true' }}",
        "register": "__node_join_joined",
        "when": "not cluster_node.kubernetes.completed",
    },
]


def last_play(playbook: str) -> Play:
    """The play that names them; its variables are found from another folder, too."""
    play = yaml.safe_load((PROJECT / f"playbooks/{playbook}.yml").read_text(encoding="utf-8"))[-1]
    return {**play, "vars_files": [GROUPS]}


def run(
    folder: Path,
    plays: t.Sequence[Play],
    lost: t.Sequence[str] = ("refused", "lost", "unprepared"),
    fails: t.Optional[bool] = None,
) -> str:
    """What ansible-playbook says with a control plane, two workers that are well, and those that are ``lost``."""
    known = {
        "old": machine(True),
        "new": machine(False),
        "refused": machine(False),
        "lost": machine(True, **GONE),
        "unprepared": machine(False),
    }
    workers = {name: facts for name, facts in known.items() if name in ("old", "new", *lost)}
    groups = {
        "kube_control_plane": {"hosts": {"cp1": machine(True)}},
        "kube_node": {"hosts": workers},
        "slipway_primary": {"hosts": {"cp1": None}},
        "slipway_new": {"hosts": dict.fromkeys(workers)},
    }
    (folder / "inventory.yml").write_text(yaml.safe_dump({"all": {"children": groups}}, sort_keys=False))
    (folder / "play.yml").write_text(yaml.safe_dump([{"gather_facts": False, **play} for play in plays]))
    done = run_play(folder)
    assert (done.returncode != 0) is (bool(lost) if fails is None else fails), done.stdout + done.stderr
    return done.stdout


PREPARE: Play = {
    "hosts": "all",
    "tasks": [{"ansible.builtin.fail": {"msg": "no room"}, "when": "inventory_hostname == 'unprepared'"}],
}
JOINING: Play = {
    "hosts": "slipway_primary:kube_control_plane:kube_node",
    "vars_files": [GROUPS],
    "tasks": [
        {"block": JOIN, "always": [{"ansible.builtin.ping": None, "run_once": True, "register": "__join_ended"}]}
    ],
}
SHOW: Play = {
    "hosts": "slipway_primary",
    "vars_files": [GROUPS],
    "tasks": [{"ansible.builtin.debug": {"msg": "with {{ __members | join(',') }}."}}],
}


def test_the_others_are_completed_and_the_run_fails_with_the_names(tmp_path: Path) -> None:
    output = run(tmp_path, [PREPARE, JOINING, SHOW, last_play("site")])
    assert "with cp1,old,new." in output
    assert "refused, lost, unprepared failed before joining was done" in output


def test_when_all_have_joined_nothing_is_said(tmp_path: Path) -> None:
    output = run(tmp_path, [PREPARE, JOINING, SHOW, last_play("site")], lost=[])
    assert "with cp1,old,new." in output and "skipping: [cp1]" in output


def test_a_run_that_leaves_joining_out_by_tags(tmp_path: Path) -> None:
    """One that is new stays what it is, and nothing waits for its Node object."""
    output = run(tmp_path, [SHOW, last_play("site")], lost=[])
    assert "with cp1,old." in output


@pytest.mark.parametrize("lost", [["refused", "lost", "unprepared"], []])
def test_machines_that_could_not_be_added(tmp_path: Path, lost: t.List[str]) -> None:
    output = run(tmp_path, [PREPARE, {**JOINING, "hosts": "slipway_new"}, last_play("add_nodes")], lost=lost)
    assert ("refused, lost, unprepared could not be added" in output) is bool(lost)


@pytest.mark.parametrize(("playbook", "hosts"), [("site", "slipway_primary"), ("add_nodes", "slipway_new")])
def test_a_kubelet_without_a_certificate_is_named_at_the_end(tmp_path: Path, playbook: str, hosts: str) -> None:
    missing = {"missing": [{"node": "new", "reasons": ["it has made no request"]}]}
    approve = {"hosts": hosts, "tasks": [{"ansible.builtin.set_fact": {"__serving": missing}, "run_once": True}]}
    output = run(tmp_path, [approve, last_play(playbook)], lost=[], fails=True)
    assert '"msg": "new has no serving certificate of the cluster; why is said above, in a warning.' in output


@pytest.mark.parametrize(("playbook", "hosts"), [("site", "slipway_primary"), ("add_nodes", "slipway_new")])
def test_a_node_whose_object_was_deleted_is_named_at_the_end(tmp_path: Path, playbook: str, hosts: str) -> None:
    labelled = {"hosts": hosts, "tasks": [{"ansible.builtin.set_fact": {"__labelled": {"missing": ["new"]}}}]}
    output = run(tmp_path, [labelled, last_play(playbook)], lost=[], fails=True)
    assert '"msg": "new is no node of the cluster any more: somebody has deleted its object.' in output
    plays = yaml.safe_load((PROJECT / f"playbooks/{playbook}.yml").read_text(encoding="utf-8"))
    [task] = [task for play in plays for task in play.get("tasks", []) if "slipway.kubernetes.kube_node" in task]
    assert task["slipway.kubernetes.kube_node"]["missing_fails"] is False and task["register"] == "__labelled"


@pytest.mark.parametrize(
    ("ready", "network", "named"), [(False, "flannel", True), (True, "flannel", False), (False, "none", False)]
)
def test_a_node_that_was_never_completed_is_named_by_the_second_run(
    tmp_path: Path, ready: bool, network: str, named: bool
) -> None:
    """It has a Node object, so it is none of the new ones; a run that has nothing to add looked like success."""
    first = [{"name": name, "ready": name == "cp1"} for name in ("cp1", "old", "of-no-inventory")]
    nodes = [{**node, "ready": ready or node["ready"]} for node in first] + [{"name": "new", "ready": False}]
    look = {
        "hosts": "kube_control_plane:kube_node",
        "tasks": [
            {"ansible.builtin.set_fact": {"cluster_cni": network, "__nodes": {"nodes": first}}},
            {"ansible.builtin.set_fact": {"__nodes": {"nodes": nodes}}, "when": "inventory_hostname == 'new'"},
        ],
    }
    play = last_play("add_nodes")
    text = yaml.safe_dump(play).replace("groups['slipway_new']", "['new']")
    output = run(tmp_path, [look, yaml.safe_load(text)], lost=[], fails=named)
    assert ('"msg": "old was in the cluster already and is not Ready, and nothing was done there.' in output) is named
    assert ("the playbook site finishes it" in output) is named


@pytest.mark.parametrize(("broken", "goes_on"), [("cp2", True), ("cp1", False)])
def test_a_control_plane_that_does_not_take_up_other_names_holds_up_nobody(
    tmp_path: Path, broken: str, goes_on: bool
) -> None:
    """A batch of one that fails ended the run: nothing was joined, and no node got labels, certificates and addons."""
    plays = yaml.safe_load((PROJECT / "playbooks/site.yml").read_text(encoding="utf-8"))
    (renew,) = [play for play in plays if play.get("serial")]
    (name,) = [play for play in plays if play["name"].startswith("Name the control planes whose")]
    [block] = renew["tasks"]
    assert block["block"][0].pop("ansible.builtin.import_role")["tasks_from"] == "certificate"
    refused = f"{{{{ 'false' if inventory_hostname == '{broken}' else 'true' }}}}"
    block["block"][0].update({"ansible.builtin.command": refused})
    planes = {name: machine(True, control_plane_names_differ=True) for name in ("cp1", "cp2", "cp3")}
    groups = {"kube_control_plane": {"hosts": planes}, "kube_node": {"hosts": {"new": machine(False)}}}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump({"all": {"children": groups}}, sort_keys=False))
    join = {"hosts": "kube_node", "tasks": [{"ansible.builtin.debug": {"msg": "is joined"}}]}
    written = [{"gather_facts": False, **play, "vars_files": [GROUPS]} for play in (renew, join, name)]
    (tmp_path / "play.yml").write_text(yaml.safe_dump([{**play, "become": False} for play in written]))
    done = run_play(tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert ("is joined" in done.stdout) is goes_on, done.stdout
    assert "changed: [cp3]" not in done.stdout and ("changed: [cp1]" in done.stdout) is goes_on
    named = "The certificate of the API server of cp2 was not renewed with the names of the inventory:"
    assert (named in done.stdout) is goes_on


def test_the_playbooks_go_on_without_that_certificate() -> None:
    for playbook in ("site", "add_nodes"):
        plays = yaml.safe_load((PROJECT / f"playbooks/{playbook}.yml").read_text(encoding="utf-8"))
        [task] = [
            task for play in plays for task in play.get("tasks", []) if "slipway.kubernetes.kube_csr_approve" in task
        ]
        assert task["slipway.kubernetes.kube_csr_approve"]["missing_fails"] is False and task["register"] == "__serving"
