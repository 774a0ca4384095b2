# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import time
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module
from ansible_collections.slipway.kubernetes.plugins.modules import rke2_service
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import Clock, waiting_clock
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

NOW = 1_000_000.0
#: What systemd 252 printed of upstream's units with a program that does nothing; the process has run for 1000 seconds.
COMMON = "LoadState=loaded\nUnitFileState=enabled\nNeedDaemonReload=no\nTriggers=\n"
READY = f"{COMMON}ActiveState=active\nSubState=running\nNRestarts=0\nResult=success\nInvocationID=b1\nMainPID=77\n"
READY += "ExecMainStartTimestampMonotonic=9000000000\n"
STARTING = READY.replace("=active", "=activating").replace("=running", "=start")
LOOPING = (
    STARTING.replace("=start\n", "=auto-restart\n")
    .replace("Restarts=0", "Restarts=3")
    .replace("=success", "=exit-code")
)
STOPPED = READY.replace("=active", "=inactive").replace("=running", "=dead").replace("=9000000000", "=0")
DISABLED = STOPPED.replace("=enabled", "=disabled")
AGAIN = READY.replace("=b1", "=b2")
REFUSED = STOPPED.replace("=success", "=exec-condition")
WAITING = 'time="x" level=info msg="Waiting for API server to become available"\n'
WRONG_TOKEN = 'time="x" level=info msg="server is not ready: https://127.0.0.1:6444/v1-rke2/config: 401 Unauthorized"\n'


class Machine:
    """systemctl, journalctl, and a clock whose monotonic time is 10000 seconds."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner, clock: Clock) -> None:
        self.root = root
        self.clock = clock
        self._run_module = run_module
        self.runner = FakeRunner(
            {"show": READY, "systemctl": "", "journalctl": WAITING}, tools=("systemctl", "journalctl")
        )
        monkeypatch.setattr(_module, "Runner", lambda _module: self.runner)
        own = types.SimpleNamespace(
            time=lambda: NOW, clock_gettime=lambda _which: 10_000.0, CLOCK_MONOTONIC=time.CLOCK_MONOTONIC
        )
        monkeypatch.setattr(rke2_service, "time", own)

    def file(self, age: float) -> str:
        path = self.root / "config.yaml"
        path.touch()
        os.utime(path, (NOW - age, NOW - age))
        return str(path)

    def shows(self, *own: str, other: str = DISABLED) -> Machine:
        """What systemd says of the server's unit, one after the other, and of the agent's."""
        texts = list(own)
        self.runner.answers = {
            "rke2-agent.service": lambda words: other if "show" in words else "",
            "show": lambda _words: texts.pop(0) if len(texts) > 1 else texts[0],
            "systemctl": "",
            "journalctl": self.runner.answers["journalctl"],
        }
        return self

    def logs(self, *texts: str) -> Machine:
        self.runner.answers["journalctl"] = list(texts)
        return self

    def run(self, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        return self._run_module(rke2_service.main, {"kind": "server", **options}, check=check)

    def changes(self) -> t.List[str]:
        return [" ".join(call[1:]) for call in self.runner.calls if "show" not in call and "journalctl" not in call[0]]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> Machine:
    return Machine(tmp_path, monkeypatch, run_module, waiting_clock(monkeypatch))


def test_nothing_to_do(machine: Machine) -> None:
    machine.shows(READY)
    for check in (False, True):
        result = machine.run(check, restart_after=[machine.file(5000), "/nonexistent"])
        assert (result["changed"], result["action"], machine.changes()) == (False, "none", [])


def test_start_does_not_block(machine: Machine) -> None:
    machine.shows(DISABLED, STARTING, STARTING, READY)
    result = machine.run()
    assert (result["changed"], result["action"]) == (True, "started")
    assert machine.changes() == ["enable --quiet rke2-server.service", "start --no-block rke2-server.service"]
    assert result["diff"]["before"] == {"active": "inactive", "enabled": False}
    # What was logged before this start says nothing about it.
    assert all("--since=@1000000" in call for call in machine.runner.calls if "journalctl" in call[0])


def test_restart_ends_with_another_process(machine: Machine) -> None:
    machine.shows(READY, READY, STARTING, AGAIN)
    result = machine.run(restart_after=[machine.file(500)])
    assert (result["changed"], result["action"]) == (True, "restarted")
    assert machine.changes() == ["restart --no-block rke2-server.service"]
    assert result["diff"]["after"]["process"] == "restarted"


def test_what_a_killed_call_has_started_is_waited_for(machine: Machine) -> None:
    machine.shows(STARTING, STARTING, READY)
    result = machine.run(restart_after=[machine.file(5000)])
    assert (result["changed"], result["action"], machine.changes()) == (False, "waited", [])
    machine.shows(STARTING, AGAIN)
    assert machine.run(restart_after=[machine.file(500)])["action"] == "restarted"
    # Between two starts there is no process, and the next one reads all.
    between = LOOPING.replace("=9000000000", "=0")
    assert machine.shows(between, READY).run(restart_after=[machine.file(500)])["action"] == "waited"


def test_check_mode_changes_nothing(machine: Machine) -> None:
    result = machine.shows(DISABLED).run(check=True)
    assert (result["changed"], result["action"], machine.changes()) == (True, "started", [])
    result = machine.shows(READY).run(check=True, restart_after=["/etc/x"], written=["/etc/x"])
    assert (result["changed"], result["action"], machine.changes()) == (True, "restarted", [])
    absent = "LoadState=not-found\nActiveState=inactive\n"
    assert machine.shows(absent, other=absent).run(check=True)["changed"]


def test_the_other_kind_does_not_start_at_boot(machine: Machine) -> None:
    result = machine.shows(READY, other=STOPPED).run()
    assert result["changed"] and machine.changes() == ["disable --quiet rke2-agent.service"]


def test_unit_files_that_are_newer(machine: Machine) -> None:
    machine.shows(STOPPED.replace("Reload=no", "Reload=yes"), READY)
    assert machine.run()["changed"]
    assert machine.changes() == ["daemon-reload", "start --no-block rke2-server.service"]


@pytest.mark.parametrize(
    ("own", "other", "options", "said"),
    [
        ([STOPPED], READY, {}, "rke2-agent.service runs on this host, so it cannot be an RKE2 server"),
        (["LoadState=not-found\n"], DISABLED, {}, "install RKE2 first"),
        (["LoadState=masked\n"], DISABLED, {}, "is masked"),
        ([STOPPED, REFUSED], DISABLED, {}, "while rke2-agent.service runs"),
        ([STOPPED], DISABLED, {"timeout": 0}, "has to be 1 second"),
    ],
)
def test_refusals(machine: Machine, own: t.List[str], other: str, options: t.Dict[str, t.Any], said: str) -> None:
    result = machine.shows(*own, other=other).run(**options)
    assert result["failed"] and said in result["msg"]


def test_a_line_that_is_final_ends_the_wait(machine: Machine) -> None:
    before = machine.clock.monotonic()
    result = machine.shows(STOPPED, STARTING).logs(WAITING, WAITING + WRONG_TOKEN).run()
    assert result["failed"] and machine.clock.monotonic() < before + 10
    assert "refuses the token (401). Set rke2_token" in result["msg"]
    assert result["journal"] == (WAITING + WRONG_TOKEN).splitlines()


def test_the_deadline(machine: Machine) -> None:
    result = machine.shows(STOPPED, LOOPING).logs("too many learner members\n\x1b[2J\n").run(timeout=60)
    assert result["failed"]
    assert "activating (auto-restart, started again 3 times)" in result["msg"]
    assert "another server is joining etcd" in result["msg"] and "\x1b" not in result["msg"]
    assert "and not ready. It goes on" in machine.logs("").run(timeout=60)["msg"]
