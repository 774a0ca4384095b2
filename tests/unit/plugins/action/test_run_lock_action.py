# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action that finds out whether another run goes on."""

from __future__ import annotations

import types
import typing as t
import unittest.mock

import pytest
from ansible_collections.slipway.kubernetes.plugins.action import run_lock
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _run_lock

THEIRS = {"controller": "desk", "pid": 1, "playbook": "site.yml", "user": "bob", "since": "12:00 UTC", "age": 60}
DEAD = {**THEIRS, "age": 1900}


def lock(
    *holders: t.Mapping[str, t.Any], check: bool = False, fact: t.Any = None, **args: t.Any
) -> t.Tuple[t.Dict[str, t.Any], t.List[t.Any]]:
    """The result, and what the module got as ``over``; the module finds ``holders``, one a call."""
    task = types.SimpleNamespace(action="slipway.kubernetes.run_lock", args=args, async_val=0, check_mode=check)
    mock = unittest.mock.MagicMock
    action = run_lock.ActionModule(task, mock(), mock(), mock(), mock(), mock())
    results = [{"changed": False, "holder": dict(holder)} for holder in holders]
    with unittest.mock.patch.object(action, "_execute_module", side_effect=results) as execute:
        result = action.run(
            task_vars={"__cluster_look": {"ansible_facts": {"slipway_node": {"run": fact}}} if fact else {}}
        )
    return result, [call.kwargs["module_args"]["over"] for call in execute.call_args_list]


def test_free() -> None:
    assert lock({}) == ({"changed": False, "holder": {}}, [{}])


def test_a_dead_run_that_is_known_costs_nothing() -> None:
    assert lock({}, fact=DEAD)[1] == [DEAD]
    assert lock({}, fact=THEIRS)[1] == [{}]


def test_a_dead_run_is_replaced() -> None:
    result, over = lock(DEAD, {})
    assert over == [{}, DEAD] and "failed" not in result


def test_a_run_that_goes_on_is_named() -> None:
    result, over = lock(THEIRS)
    assert result["failed"] and len(over) == 1
    start = "Another run works on this cluster: ansible-playbook site.yml by bob on desk (pid 1) since 12:00 UTC."
    assert result["msg"].startswith(start)
    assert lock(THEIRS, {}, take_over=True)[1] == [{}, THEIRS]


def test_check_mode_goes_on_beside_it() -> None:
    result = lock(THEIRS, check=True)[0]
    assert "failed" not in result
    assert result["warnings"][0].endswith("What is seen now may be half done.")


def test_a_record_that_changes_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_run_lock, "PATIENCE", 1)
    result, over = lock(*[{**DEAD, "pid": number} for number in (1, 2, 3)])
    assert result["failed"] and len(over) == 3


def test_a_run_that_asks_for_patience() -> None:
    """An upgrade whose nodes may be drained for longer than half an hour."""
    result, over = lock({**DEAD, "patience": 4800})
    assert result["failed"] and "after 80 min it counts as dead" in result["msg"] and len(over) == 1
