# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import getpass
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible import context
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _run_lock

PID = os.getpid()


def run(**given: t.Any) -> t.Dict[str, t.Any]:
    """The record of this process, as if it were ansible-playbook."""
    return {**_run_lock.this_run(PID), "machine_id": "m", **given}


def test_this_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "CLIARGS", {"args": ("site.yml", "other.yml")})
    record = _run_lock.this_run(PID)
    assert (record["pid"], record["playbook"]) == (PID, "site.yml")
    assert record["boot_id"] and record["started"] == _run_lock.started(PID) != ""

    def nobody() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(context, "CLIARGS", {})
    monkeypatch.setattr(getpass, "getuser", nobody)
    assert _run_lock.this_run(PID)["playbook"] == "ansible"
    assert _run_lock.this_run(PID)["user"] == f"uid {os.getuid()}"


@pytest.mark.parametrize(("state", "expected"), [("S", "4242"), ("Z", ""), ("X", "")])
def test_started(tmp_path: Path, state: str, expected: str) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "stat").write_text(f"7 (ansible) (play) {state} " + " ".join(["0"] * 18) + " 4242 0 0\n")
    assert _run_lock.started(7, str(tmp_path)) == expected
    assert _run_lock.started(8, str(tmp_path)) == ""


def test_a_controller_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_path: str) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(os, "readlink", missing)
    monkeypatch.setattr(_run_lock, "started", lambda _pid: "")
    record = _run_lock.this_run(PID)
    assert (record["namespace"], record["started"]) == ("", "")
    other = _run_lock.holder_of({**record, "pid": 1, "age": 5}, record)
    assert other is not None and not other.certain


def test_on_this_controller_it_is_known_exactly() -> None:
    ours = run()
    assert _run_lock.holder_of(None, ours) is None
    assert _run_lock.holder_of({**ours, "age": 5000}, ours) is None
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        theirs = run(pid=process.pid, started=_run_lock.started(process.pid), age=5000)
        holder = _run_lock.holder_of(theirs, ours, take_over=True)
        assert holder is not None and holder.certain
        assert f"(pid {process.pid}) since " in holder.message
        assert holder.remedy == "Wait for its end, or end it."
        # Its process id belongs to another process now.
        assert _run_lock.holder_of({**theirs, "started": "1"}, ours) is None
    assert _run_lock.holder_of(theirs, ours) is None


@pytest.mark.parametrize(
    ("given", "held"),
    [
        ({"controller": "desk", "machine_id": "n"}, True),
        ({"controller": "desk", "machine_id": "n", "boot_id": "b"}, True),
        ({"namespace": "pid:[9]"}, True),
        ({"controller": "desk", "machine_id": "n", "age": 1801}, False),
        # It has been booted since, or is a copy of this one.
        ({"boot_id": "before"}, True),
        ({"boot_id": "before", "patience": 90}, True),
        ({"boot_id": "before", "patience": 90, "age": 391}, False),
        ({"boot_id": "before", "machine_id": ""}, True),
    ],
)
def test_of_another_controller_only_the_age_is_known(given: t.Dict[str, t.Any], held: bool) -> None:
    ours = run()
    record = {**ours, "pid": 1, "age": 130, **given}
    holder = _run_lock.holder_of(record, ours)
    assert (holder is not None) is held
    assert _run_lock.holder_of(record, ours, take_over=True) is None
    if holder:
        assert "Its last sign of life was 2 min 10 s ago" in holder.remedy
        assert holder.may_be_dead is ("patience" in given)
        assert "-e preflight_take_over=true" in holder.remedy
