# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which control planes a run lacks, as playbooks/vars/groups.yml says; each ansible-core is asked."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.kubernetes.tests.unit.playing import run_play

PROJECT = Path(__file__).resolve().parents[3]
JOINED, BARE = (
    {"cluster_look": {"ansible_facts": {"slipway_node": {"kubernetes": {"joined": joined}}}}}
    for joined in (True, False)
)


@pytest.mark.parametrize(
    ("facts", "limit", "lost", "expected"),
    [
        ({"cp1": JOINED, "cp2": JOINED, "cp3": BARE}, "all", "", ""),
        # Its keepalived goes on, and would not know a new one.
        ({"cp1": JOINED, "cp2": JOINED, "cp3": BARE}, "all", "cp2", "cp2"),
        # It has none yet, and none is made.
        ({"cp1": JOINED, "cp2": JOINED, "cp3": BARE}, "all", "cp3", ""),
        ({"cp1": BARE, "cp3": BARE}, "cp1,cp3", "", "cp2"),
        # One that ends its part of the play because it was not reached.
        ({"cp1": JOINED, "cp3": BARE}, "all", "", "cp2"),
    ],
)
def test_control_planes_left_out(
    facts: t.Dict[str, t.Any], limit: str, lost: str, expected: str, tmp_path: Path
) -> None:
    hosts = {name: facts.get(name, {}) for name in ("cp1", "cp2", "cp3")}
    inventory = {"all": {"children": {"kube_control_plane": {"hosts": hosts}}}}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump(inventory))
    tasks = [
        {"ansible.builtin.fail": {"msg": "lost"}, "when": f"inventory_hostname == '{lost}'"},
        {"ansible.builtin.meta": "end_host", "when": "cluster_node is not defined"},
        {"ansible.builtin.debug": {"msg": "without {{ __cluster.left_out | join(',') }}."}},
        {"ansible.builtin.debug": {"msg": "whole"}, "when": "__cluster.left_out | length == 0"},
    ]
    groups = str(PROJECT / "playbooks/vars/groups.yml")
    play = {"hosts": "kube_control_plane", "gather_facts": False, "vars_files": [groups], "tasks": tasks}
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    done = run_play(tmp_path, "--limit", limit)
    assert f'"msg": "without {expected}."' in done.stdout, done.stdout + done.stderr
    assert ('"msg": "whole"' in done.stdout) == (not expected)
