# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action that finds out whether another run goes on."""

from __future__ import annotations

import os
import types
import typing as t
import unittest.mock
from pathlib import Path

import pytest
from ansible import constants
from ansible_collections.slipway.kubernetes.plugins.action import run_lock
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _run_keeper, _run_lock

THEIRS = {"controller": "desk", "pid": 1, "playbook": "site.yml", "user": "bob", "since": "12:00 UTC", "age": 60}
DEAD = {**THEIRS, "age": 1900}
#: A run that gives signs of life all the time, the last of them a moment ago.
QUIET = {**THEIRS, "patience": 90, "seen": "a moment", "age": 15.0}


class Keepers:
    """The processes that would be started, by the name of their file."""

    def __init__(self) -> None:
        self.started: t.List[str] = []
        self.alive = True


@pytest.fixture(autouse=True)
def keepers(monkeypatch: pytest.MonkeyPatch) -> Keepers:
    made = Keepers()
    monkeypatch.setattr(_run_keeper, "detach", lambda path, _work: made.started.append(os.path.basename(path)))
    monkeypatch.setattr(_run_keeper, "is_kept", lambda _path: made.alive)
    monkeypatch.setattr(run_lock, "_PAUSE", 0.001)
    return made


def execute(
    results: t.Sequence[t.Mapping[str, t.Any]], check: bool, fact: t.Any, **args: t.Any
) -> t.Tuple[t.Dict[str, t.Any], t.List[t.Dict[str, t.Any]]]:
    """The action's result, and what the module was given, which returns ``results`` one by one."""
    task = types.SimpleNamespace(
        action="slipway.kubernetes.run_lock", args=args, async_val=0, check_mode=check, delegate_to=None
    )
    mock = unittest.mock.MagicMock
    action = run_lock.ActionModule(task, mock(), mock(), mock(), mock(), mock())
    look = {"ansible_facts": {"slipway_node": {"run": fact}}} if fact else {}
    given = {"inventory_hostname": "cp1", "cluster_look": look}
    with unittest.mock.patch.object(action, "_execute_module", side_effect=map(dict, results)) as executed:
        result = action.run(task_vars=given)
    return result, [call.kwargs["module_args"] for call in executed.call_args_list]


def lock(
    *holders: t.Mapping[str, t.Any], check: bool = False, fact: t.Any = None, **args: t.Any
) -> t.Tuple[t.Dict[str, t.Any], t.List[t.Any]]:
    """The result, and what the module got as ``over``; the module finds ``holders``, one a call."""
    results = [{"changed": False, "holder": dict(holder)} for holder in holders]
    result, given = execute(results, check, fact, **args)
    return result, [arguments["over"] for arguments in given]


def test_free() -> None:
    assert lock({}) == ({"changed": False, "holder": {}}, [[]])


def test_a_dead_run_that_is_known_costs_nothing() -> None:
    result, over = lock({}, fact=DEAD)
    assert over == [[DEAD]]
    text = "Took the lock over: no sign of life for 1900 s of ansible-playbook site.yml by bob on desk (pid 1)"
    assert result["warnings"][0].startswith(text)
    assert lock({}, fact=THEIRS)[1] == [[]]


def test_a_dead_run_is_replaced() -> None:
    result, over = lock(DEAD, {})
    assert over == [[], [DEAD]] and "failed" not in result


def test_a_run_that_goes_on_is_named() -> None:
    result, over = lock(THEIRS)
    assert result["failed"] and len(over) == 1
    start = "Another run works on this cluster: ansible-playbook site.yml by bob on desk (pid 1) since 12:00 UTC."
    assert result["msg"].startswith(start)
    assert lock(THEIRS, {}, take_over=True)[1] == [[], [THEIRS]]


def test_check_mode_goes_on_beside_it() -> None:
    result = lock(THEIRS, check=True)[0]
    assert "failed" not in result
    assert result["warnings"][0].endswith("What is seen now may be half done.")


def test_a_record_that_changes_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_run_lock, "PATIENCE", 1)
    result, over = lock(*[{**DEAD, "pid": number} for number in range(5)])
    assert result["failed"] and len(over) == 5


def test_a_run_that_asks_for_patience() -> None:
    """An upgrade whose nodes may be drained for longer than half an hour."""
    result, over = lock({**DEAD, "patience": 4800})
    assert result["failed"] and "after 80 min it counts as dead" in result["msg"] and len(over) == 1


def test_a_process_shows_that_the_run_goes_on(keepers: Keepers) -> None:
    lock({})
    assert keepers.started == ["slipway-run-cp1"]
    lock({}, check=True)
    lock(THEIRS)
    assert len(keepers.started) == 1


@pytest.mark.parametrize("age", [15.0, 100.0, 0.0])
@pytest.mark.usefixtures("clock")
def test_one_that_may_be_dead_is_waited_for(age: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever age the clock of the machine gives it: a clock that was set back says for ever that it is young."""
    quiet = {**QUIET, "age": age}
    monkeypatch.setattr(run_lock, "_PAUSE", 3.0)
    result, given = execute([{"holder": quiet}] * 33 + [{"holder": {}}], False, None)
    states = [arguments.get("state", "present") for arguments in given]
    assert states == ["present", *["looked"] * 32, "present"]
    assert [record["pid"] for record in given[-1]["over"]] == [1]
    assert "failed" not in result
    assert f"Took the lock over: no sign of life for {age + 90:.0f} s of" in result["warnings"][0]


def test_one_that_has_been_silent_for_longer_than_clocks_differ() -> None:
    result, over = lock(QUIET, {**QUIET, "age": 91}, {**QUIET, "age": 391}, {})
    assert "failed" not in result and over == [[], [], [], [{**QUIET, "age": 391}]]


def test_one_that_gives_a_sign_of_life_meanwhile() -> None:
    result, over = lock(QUIET, {**QUIET, "age": 18}, {**QUIET, "age": 15.0, "seen": "another moment"})
    assert result["failed"] and "Another run works on this cluster" in result["msg"] and len(over) == 3


def test_one_that_ends_meanwhile() -> None:
    result, over = lock(QUIET, {}, {})
    assert "failed" not in result and "warnings" not in result and over == [[], [], []]


def test_check_mode_waits_for_nobody() -> None:
    result, over = lock(QUIET, check=True)
    assert "failed" not in result and len(over) == 1


@pytest.mark.parametrize(
    ("lost", "alive", "expected"),
    [({}, True, ""), ({}, False, "has ended before it"), (THEIRS, True, "This run had lost its lock")],
)
def test_given_back(
    lost: t.Dict[str, t.Any],
    alive: bool,
    expected: str,
    keepers: Keepers,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    # Where this run has never had it, what others have is none of its business.
    assert execute([{"lost": lost}], False, None, state="absent")[0] == {"lost": lost}
    (tmp_path / "slipway-run-cp1").touch()
    keepers.alive = alive
    result, _given = execute([{"lost": lost}], False, None, state="absent")
    assert bool(result.get("failed")) is bool(lost)
    assert expected in result.get("msg", "") + "".join(result.get("warnings", []))
