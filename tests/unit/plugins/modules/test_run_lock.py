# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import stat
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.run_lease import RunLease
from ansible_collections.slipway.kubernetes.plugins.module_utils._node import run_record
from ansible_collections.slipway.kubernetes.plugins.modules import run_lock
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

OURS: t.Dict[str, t.Any] = {
    "patience": 90,
    "controller": "laptop",
    "boot_id": "b",
    "namespace": "pid:[1]",
    "pid": 7,
    "started": "100",
    "user": "alice",
}
THEIRS = {**OURS, "pid": 8}


class NoCluster:
    """kubectl where there is no cluster yet."""

    def missing(self) -> str:
        return "The kubeconfig does not exist."


NOWHERE = RunLease(t.cast(t.Any, NoCluster()))


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The record's place."""
    found = tmp_path / "slipway" / "run.json"
    monkeypatch.setattr(run_record, "PATH", str(found))
    monkeypatch.setattr(run_record, "time", types.SimpleNamespace(time=lambda: 1000.0))
    return found


def record(path: Path, content: t.Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def test_taken_kept_and_given_back(run_module: ModuleRunner, path: Path) -> None:
    for _again in range(2):
        result = run_module(run_lock.main, {"run": OURS})
        assert (result["changed"], result["failed"], result["holder"]) == (False, False, {})
        assert result["ansible_facts"] == {"slipway_lock": True}
    assert json.loads(path.read_text()) == {**OURS, "seen": 1000.0}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert run_record.read_record() == {**OURS, "seen": 1000.0, "age": 0.0}
    for _again in range(2):
        assert run_module(run_lock.main, {"run": OURS, "state": "absent"})["holder"] == {}
    assert not path.parent.exists()


def test_another_run_keeps_it(run_module: ModuleRunner, path: Path) -> None:
    record(path, {**THEIRS, "seen": 940})
    for check in (True, False):
        holder = run_module(run_lock.main, {"run": OURS}, check=check)["holder"]
        assert holder == {**THEIRS, "seen": 940, "age": 60.0}
    run_module(run_lock.main, {"run": OURS, "state": "absent"})
    assert json.loads(path.read_text())["pid"] == 8


def test_a_run_that_is_over_is_replaced(run_module: ModuleRunner, path: Path) -> None:
    record(path, {**THEIRS, "seen": 940})
    assert run_module(run_lock.main, {"run": OURS, "over": [{**THEIRS, "pid": 9}]})["holder"]["pid"] == 8
    assert run_module(run_lock.main, {"run": OURS, "over": [THEIRS]})["holder"] == {}
    assert json.loads(path.read_text())["pid"] == 7


def test_check_mode_writes_nothing(run_module: ModuleRunner, path: Path) -> None:
    assert run_module(run_lock.main, {"run": OURS}, check=True)["holder"] == {}
    assert not path.parent.exists()
    record(path, {**OURS, "seen": 940})
    assert run_module(run_lock.main, {"run": OURS}, check=True)["holder"] == {}
    assert run_module(run_lock.main, {"run": OURS, "state": "absent"}, check=True)["holder"] == {}
    assert path.exists()


@pytest.mark.parametrize("content", ["", "{half", "null", "[]", "{}", '{"seen": "yesterday"}'])
def test_a_record_that_is_none(content: str, path: Path) -> None:
    assert run_record.read_record() is None
    record(path, content)
    assert run_record.read_record() is None
    assert run_record.release(OURS, NOWHERE) is None
    assert run_record.take(OURS, [], NOWHERE) is None
