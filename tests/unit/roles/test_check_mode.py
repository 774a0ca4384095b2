# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode on a bare machine, where nothing is installed that the roles will install."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

ROLES = Path(__file__).parents[3] / "roles"
TASKS = sorted(ROLES.glob("*/tasks/*.yml"))
#: They fail when the unit is not there, also in check mode.
OF_ANSIBLE = ("ansible.builtin.systemd_service", "ansible.builtin.systemd", "ansible.builtin.service")


def tasks(listed: t.Any) -> t.Iterator[t.Dict[str, t.Any]]:
    """All tasks of a file, also those in blocks."""
    for task in listed or []:
        yield task
        for part in ("block", "rescue", "always"):
            yield from tasks(task.get(part))


@pytest.mark.parametrize("path", TASKS, ids=[f"{path.parents[1].name}-{path.stem}" for path in TASKS])
def test_a_unit_that_is_started_need_not_be_there_yet(path: Path) -> None:
    for task in tasks(yaml.safe_load(path.read_text(encoding="utf-8"))):
        for module in OF_ANSIBLE:
            assert task.get(module, {}).get("state") != "started", task["name"]
