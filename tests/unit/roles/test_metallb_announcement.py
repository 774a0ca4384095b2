# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which clusters let control planes answer for addresses of load balancers, by the role's defaults."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.kubernetes.tests.unit.playing import run_play

ROLES = Path(__file__).resolve().parents[3] / "roles"


@pytest.mark.parametrize(
    ("control_planes", "workers", "expected"),
    [
        (["one"], ["one"], True),
        (["one"], [], True),
        (["cp1", "cp2", "cp3"], [], True),
        (["cp1", "cp2", "cp3"], ["cp1", "cp2", "cp3"], True),
        # A service that keeps the client's address is announced where its pods are only.
        (["cp1", "cp2"], ["cp2", "worker1"], True),
        (["cp1"], ["worker1", "worker2"], False),
        # A role in a play of somebody who has no such lists: what MetalLB does by itself.
        ([], [], False),
    ],
)
def test_control_planes_answer(
    control_planes: t.List[str], workers: t.List[str], expected: bool, tmp_path: Path
) -> None:
    names = ["cluster/defaults", "metallb/defaults", "metallb/vars"]
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars_files": [str(ROLES / name / "main.yml") for name in names],
        "tasks": [
            {
                "ansible.builtin.assert": {
                    "that": [
                        "values.speaker.ignoreExcludeLB is boolean",
                        f"values.speaker.ignoreExcludeLB == {expected}",
                    ]
                },
                "vars": {"values": "{{ __metallb_values }}"},
            }
        ],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    lists = {"cluster_control_plane_hosts": control_planes, "cluster_worker_hosts": workers}
    (tmp_path / "lists.yml").write_text(yaml.safe_dump(lists))
    done = run_play(tmp_path, "-e", "@lists.yml", inventory="localhost,", ANSIBLE_LOCALHOST_WARNING="false")
    assert done.returncode == 0, done.stdout + done.stderr
