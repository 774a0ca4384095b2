# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A machine that is lost in the middle of a play ends the playbook.

With ``any_errors_fatal`` Ansible counts such a machine as failed and as unreachable. One play stops, but the next
batch of ``serial`` and the next play begin, since more machines are lost than took part. ``max_fail_percentage: 0``
ends the playbook, though not the batches; a play of one machine at a time needs neither.
"""

from __future__ import annotations

import sys
import time
import typing as t
from pathlib import Path

import jinja2
import pytest
import yaml
from ansible_collections.slipway.kubernetes.plugins.modules import kubeadm_token
from ansible_collections.slipway.kubernetes.tests.unit.playing import run_play

PROJECT = Path(__file__).resolve().parents[3]
PLAYS = [
    pytest.param(play, id=f"{path.stem}: {play['name']}")
    for path in sorted((PROJECT / "playbooks").glob("*.yml"))
    for play in yaml.safe_load(path.read_text(encoding="utf-8"))
    if "hosts" in play
]
Play = t.Dict[str, t.Any]

#: What the playbooks use, by a name.
ENDS: t.Dict[str, Play] = {
    "one by one": {"hosts": "all:!other", "serial": 1},
    "all at once": {"hosts": "all:!other", "any_errors_fatal": True, "max_fail_percentage": 0},
    "a single one": {"hosts": "lost"},
}


@pytest.mark.parametrize("play", PLAYS)
def test_plays_end_with_a_machine_that_is_lost(play: Play) -> None:
    assert not (play.get("any_errors_fatal") and "serial" in play)
    assert play.get("max_fail_percentage") == (0 if play.get("any_errors_fatal") else None)


@pytest.mark.parametrize("play", PLAYS)
def test_no_machine_runs_ahead_of_the_others(play: Play) -> None:
    """With ``strategy = free`` in an ansible.cfg what is to be done once is done by each, and some modules refuse."""
    assert play["strategy"] == "ansible.builtin.linear"


@pytest.mark.parametrize("keywords", ENDS.values(), ids=ENDS)
def test_that_ansible_does_so(keywords: Play, tmp_path: Path) -> None:
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    gone = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}
    hosts = {"before": local, "lost": gone, "after": local, "other": local}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}, sort_keys=False))
    work = {"gather_facts": False, "tasks": [{"ansible.builtin.ping": None}, {"ansible.builtin.debug": {"msg": "on"}}]}
    plays = [{**work, **keywords}, {**work, "name": "next", "hosts": "other"}]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(plays))
    done = run_play(tmp_path)
    assert done.returncode in (2, 4), done.stdout + done.stderr
    assert "UNREACHABLE" in done.stdout
    assert "PLAY [next]" not in done.stdout
    assert "ok: [after] =>" not in done.stdout.partition("UNREACHABLE")[2]


@pytest.mark.parametrize(("machines", "minutes"), [(1, 16), (3000, 1380)])
def test_the_token_of_any_number_of_machines_is_revoked(machines: int, minutes: int) -> None:
    """A token that lives longer than a day is somebody else's, and stays."""
    (join,) = yaml.safe_load((PROJECT / "playbooks/tasks/join.yml").read_text(encoding="utf-8"))
    (ttl,) = [
        task[module]["ttl"] for task in join["block"] for module in task if module == "slipway.kubernetes.kubeadm_token"
    ]
    text = jinja2.Environment(autoescape=True).from_string(ttl).render(__joining=["n"] * machines)
    assert text == f"{minutes}m"
    token = {
        "description": kubeadm_token.WORKER_DESCRIPTION,
        "groups": [kubeadm_token.GROUP],
        "expires": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(minutes * 60)),
    }
    assert kubeadm_token.is_ours(token, 0)


@pytest.mark.parametrize(("installer", "goes_on"), [("kubeadm", True), ("", True), ("RKE2", False)])
def test_a_cluster_of_another_installer_is_refused_before_the_lock(installer: str, goes_on: bool) -> None:
    plays = yaml.safe_load((PROJECT / "playbooks/choose_primary.yml").read_text(encoding="utf-8"))
    _look, refuse, lock, *_rest = plays[1]["tasks"]
    assert lock["ansible.builtin.import_role"]["tasks_from"] == "lock" and refuse["any_errors_fatal"]
    wanted = jinja2.Environment(autoescape=True).compile_expression(refuse["ansible.builtin.assert"]["that"])
    assert wanted(cluster_node={"kubernetes": {"installer": installer}}) is goes_on
