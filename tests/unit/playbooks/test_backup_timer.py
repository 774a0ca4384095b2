# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control planes that get no timer of backups since they do not answer are named at the end of etcd_backup.yml."""

from __future__ import annotations

import typing as t
from pathlib import Path

import jinja2
import pytest
import yaml
from ansible_collections.slipway.kubernetes.tests.unit.playing import run_play

PLAYBOOKS = Path(__file__).resolve().parents[3] / "playbooks"


@pytest.mark.parametrize(
    ("wanted", "down", "fails"), [("true", True, True), ("false", True, False), ("true", False, False)]
)
def test_who_has_no_timer(wanted: str, down: bool, fails: bool, tmp_path: Path) -> None:
    plays = yaml.safe_load((PLAYBOOKS / "etcd_backup.yml").read_text(encoding="utf-8"))
    look: t.Dict[str, t.Any] = {"ansible_facts": {"slipway_node": {"kubernetes": {"control_plane": True}}}}
    hosts = {"cp1": {"cluster_look": look}, "cp2": {"cluster_look": {"unreachable": True} if down else look}}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump({"kube_control_plane": {"hosts": hosts}}))
    play = {**plays[-1], "vars_files": [str(PLAYBOOKS / "vars/groups.yml")]}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    done = run_play(tmp_path, "-e", f"etcd_backup_timer={wanted}")
    assert (done.returncode != 0) is fails, done.stdout + done.stderr
    said = "The timer of backups was not set up on cp2: it does not answer. Run this playbook again"
    assert (said in done.stdout) is fails and "not set up on cp1" not in done.stdout


@pytest.mark.parametrize(
    ("said", "done"),
    [({}, []), ({"etcd_backup_timer": False}, ["timer_off"]), ({"etcd_backup_timer": True}, ["timer"])],
)
def test_when_the_timer_rests(said: t.Dict[str, t.Any], done: t.List[str]) -> None:
    """By the conditions of the playbook; one that was asked for on a command line once is not said to rest."""
    plays = yaml.safe_load((PLAYBOOKS / "etcd_backup.yml").read_text(encoding="utf-8"))
    (tasks,) = [play["tasks"] for play in plays if play.get("name") == "Take backups regularly"]
    look = {"ansible_facts": {"slipway_node": {"kubernetes": {"control_plane": True}}}}
    variables = {**said, "cluster_node": look["ansible_facts"]["slipway_node"]}
    begun = [
        task["ansible.builtin.include_role"]["tasks_from"]
        for task in tasks
        if all(_holds(condition, variables) for condition in task["when"])
    ]
    assert begun == done


def _holds(condition: str, variables: t.Mapping[str, t.Any]) -> bool:
    environment = jinja2.Environment(autoescape=True)
    environment.filters["bool"] = bool
    return environment.from_string(f"{{{{ ({condition}) | bool }}}}").render(variables) == "True"
