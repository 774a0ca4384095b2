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
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module, _systemd
from ansible_collections.slipway.kubernetes.plugins.modules import systemd_unit
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import waiting_clock
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

# Recorded from systemd 252 on Debian 12.
FIXTURES = Path(__file__).parent.parent / "fixtures" / "systemd"
RUNNING = (FIXTURES / "show-containerd.txt").read_text("utf-8")
STATIC = (FIXTURES / "show-systemd-journald.txt").read_text("utf-8")
ABSENT = (FIXTURES / "show-not-found.txt").read_text("utf-8")
STOPPED = RUNNING.replace("ActiveState=active", "ActiveState=inactive")
DISABLED = STOPPED.replace("UnitFileState=enabled", "UnitFileState=disabled")
STARTED = 8766.47114
NOW = 1_000_000.0


class Machine:
    """systemctl, and a clock whose monotonic time is 10000 seconds: the recorded process started 1233.5 s ago."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> None:
        self.root = root
        self._run_module = run_module
        self.runner = FakeRunner({"systemctl show": RUNNING, "systemctl": ""}, tools=("systemctl",))
        self.clock = waiting_clock(monkeypatch)
        clock = types.SimpleNamespace(
            time=lambda: NOW,
            clock_gettime=lambda _which: 10_000.0,
            CLOCK_MONOTONIC=time.CLOCK_MONOTONIC,
        )
        monkeypatch.setattr(_module, "Runner", lambda _module: self.runner)
        monkeypatch.setattr(systemd_unit, "time", clock)
        monkeypatch.setattr(systemd_unit, "_RELOADS", str(root / "reloads"))

    def file(self, name: str, age: float) -> str:
        path = self.root / name
        path.touch()
        os.utime(path, (NOW - age, NOW - age))
        return str(path)

    def shows(self, *texts: str) -> Machine:
        self.runner.answers["systemctl show"] = list(texts)
        return self

    def run(self, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        return self._run_module(systemd_unit.main, {"name": "containerd.service", **options}, check=check)

    def changes(self) -> t.List[str]:
        return [" ".join(call[1:]) for call in self.runner.calls if "show" not in call]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> Machine:
    return Machine(tmp_path, monkeypatch, run_module)


def outcome(result: t.Mapping[str, t.Any]) -> t.Tuple[t.Any, t.Any]:
    return result["changed"], result["action"]


@pytest.mark.parametrize(("option", "action"), [("restart_after", "restarted"), ("reload_after", "reloaded")])
def test_check_mode_counts_files_that_would_be_written(machine: Machine, option: str, action: str) -> None:
    path = machine.file("config.toml", 5000)
    written = ["/elsewhere", path]
    assert outcome(machine.run(check=True, **{option: [path]}, written=written)) == (True, action)
    assert outcome(machine.run(check=True, **{option: [path]}, written=["/elsewhere"])) == (False, "none")
    assert outcome(machine.run(**{option: [path]}, written=written)) == (False, "none")


@pytest.mark.parametrize("check", [True, False])
def test_unit_that_runs_is_left_alone(machine: Machine, check: bool) -> None:
    files = [machine.file("old", age=2000), str(machine.root / "absent")]
    result = machine.run(check=check, restart_after=files)
    assert outcome(result) == (False, "none") and machine.changes() == []
    assert result["diff"]["before"] == result["diff"]["after"] == {"active": "active", "enabled": True}
    assert machine.runner.calls == [
        [
            "/usr/bin/systemctl",
            "show",
            "--property=LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,MainPID,"
            "ExecMainStartTimestampMonotonic,Triggers",
            "containerd.service",
        ]
    ]


def test_newer_configuration_restarts(machine: Machine) -> None:
    files = [machine.file("old", age=2000), machine.file("new", age=1000)]
    checked = machine.run(check=True, restart_after=files)
    assert outcome(checked) == (True, "restarted") and machine.changes() == []
    result = machine.run(restart_after=files)
    assert outcome(result) == (True, "restarted")
    assert machine.changes() == ["restart containerd.service"]
    assert result["diff"] == checked["diff"]
    assert result["diff"]["before"] == {"active": "active", "enabled": True, "process": "older than its configuration"}


def test_a_program_that_was_replaced(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = tmp_path / "proc" / "77"
    process.mkdir(parents=True)
    (process / "exe").symlink_to("/usr/bin/containerd")
    is_replaced = systemd_unit.is_replaced
    monkeypatch.setattr(systemd_unit, "is_replaced", lambda _pid: is_replaced("77", str(tmp_path / "proc")))
    assert outcome(machine.run(restart_replaced=True)) == (False, "none")
    (process / "exe").unlink()
    (process / "exe").symlink_to("/usr/bin/containerd (deleted)")
    assert outcome(machine.run()) == (False, "none")
    result = machine.run(restart_replaced=True)
    assert outcome(result) == (True, "restarted")
    assert result["diff"]["before"]["process"] == "of a program that was replaced"
    assert is_replaced("78", str(tmp_path / "proc")) is False


def test_a_link_that_leads_to_another_program(tmp_path: Path) -> None:
    for version in ("1", "2"):
        (tmp_path / version).touch()
    link, process = tmp_path / "kubelet", tmp_path / "proc" / "77"
    process.mkdir(parents=True)
    (process / "exe").symlink_to(tmp_path / "1")
    for named, target, expected in (
        (str(link), "1", False),
        (str(link), "2", True),
        (str(link), "none", False),
        ("kubelet:", "2", False),
    ):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        (process / "cmdline").write_text(f"{named}\0--config=x\0")
        assert systemd_unit.is_replaced("77", str(tmp_path / "proc")) is expected, (named, target)


def test_configuration_from_the_future_does_not_restart_for_ever(machine: Machine) -> None:
    assert outcome(machine.run(restart_after=[machine.file("new", age=-60)])) == (False, "none")


def test_stopped_and_disabled_unit(machine: Machine) -> None:
    checked = machine.shows(DISABLED).run(check=True)
    assert outcome(checked) == (True, "started") and machine.changes() == []
    starting = RUNNING.replace("ActiveState=active", "ActiveState=activating")
    result = machine.shows(DISABLED, starting, RUNNING).run()
    assert outcome(result) == (True, "started")
    assert machine.changes() == ["enable --quiet containerd.service", "start containerd.service"]
    assert machine.clock.pauses == [0.2]
    assert result["diff"]["before"] == {"active": "inactive", "enabled": False}
    assert result["diff"]["after"] == {"active": "active", "enabled": True}
    assert checked["diff"] == result["diff"]


def test_enabled_is_a_change_of_its_own(machine: Machine) -> None:
    running = RUNNING.replace("UnitFileState=enabled", "UnitFileState=disabled")
    assert outcome(machine.shows(running).run()) == (True, "none")
    assert machine.changes() == ["enable --quiet containerd.service"]


def test_disabled_on_demand(machine: Machine) -> None:
    result = machine.run(enabled=False)
    assert outcome(result) == (True, "none")
    assert machine.changes() == ["disable --quiet containerd.service"]
    assert result["diff"]["after"] == {"active": "active", "enabled": False}


@pytest.mark.parametrize("state", ["enabled-runtime", "linked", "linked-runtime"])
def test_what_is_gone_after_a_boot_is_not_enabled(machine: Machine, state: str) -> None:
    running = RUNNING.replace("UnitFileState=enabled", f"UnitFileState={state}")
    result = machine.shows(running).run(check=True)
    assert result["changed"] and result["diff"]["before"]["enabled"] is False


@pytest.mark.parametrize("enabled", [True, False])
def test_static_unit_is_neither_enabled_nor_disabled(machine: Machine, enabled: bool) -> None:
    assert outcome(machine.shows(STATIC).run(enabled=enabled)) == (False, "none")
    assert machine.changes() == []


def test_disabled_unit_that_shall_be_so(machine: Machine) -> None:
    running = RUNNING.replace("UnitFileState=enabled", "UnitFileState=disabled")
    assert outcome(machine.shows(running).run(enabled=False)) == (False, "none")


def test_absent_unit(machine: Machine) -> None:
    result = machine.shows(ABSENT).run(check=True)
    assert outcome(result) == (True, "started")
    assert result["diff"]["after"] == {"active": "active", "enabled": True}
    result = machine.run(check=True, enabled=False)
    assert outcome(result) == (True, "started")
    assert result["diff"]["after"] == {"active": "active", "enabled": False}
    failed = machine.run()
    assert failed["failed"] and "containerd.service does not exist on this host; install" in failed["msg"]
    assert machine.changes() == []


def test_unit_that_fails(machine: Machine) -> None:
    failed_unit = STOPPED.replace("ActiveState=inactive\nSubState=running", "ActiveState=failed\nSubState=exit-code")
    failed = machine.shows(STOPPED, failed_unit).run()
    assert failed["msg"].startswith("The unit containerd.service is failed (exit-code) instead of active.")
    assert machine.clock.pauses == []


def test_unit_that_fails_again_and_again(machine: Machine) -> None:
    """A run before this one has given it a configuration that it cannot use: it is no unit that runs."""
    trying = RUNNING.replace("ActiveState=active\nSubState=running", "ActiveState=activating\nSubState=auto-restart")
    assert outcome(machine.shows(trying).run(check=True)) == (False, "none")
    failed = machine.run(timeout=1)
    assert failed["msg"].startswith("The unit containerd.service is activating (auto-restart) instead of active.")
    assert outcome(machine.shows(trying, RUNNING).run()) == (False, "none")
    assert machine.changes() == []
    # There is nothing that could be reloaded.
    path = machine.file("configuration", 5)
    assert outcome(machine.shows(trying, RUNNING).run(reload_after=[path])) == (True, "restarted")


def test_unit_that_is_masked(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_systemd, "PACKAGED", (str(tmp_path),))
    masked = DISABLED.replace("LoadState=loaded", "LoadState=masked").replace("=disabled", "=masked")
    assert "containerd.service is masked on this host" in machine.shows(masked).run()["msg"]
    # Its package was removed, and the task before this one installs it again, which ends the mask.
    result = machine.run(check=True)
    assert outcome(result) == (True, "started") and result["diff"]["after"] == {"active": "active", "enabled": True}
    (tmp_path / "containerd.service").touch()
    assert "containerd.service is masked on this host" in machine.run(check=True)["msg"]
    assert machine.changes() == []


def test_unit_that_does_not_become_active(machine: Machine) -> None:
    failed = machine.shows(RUNNING.replace("=active", "=activating"), "").run(
        timeout=1, restart_after=[machine.file("new", 1)]
    )
    assert "is  (None) instead of active" in failed["msg"]
    assert 1.0 <= machine.clock.now <= 1.4


def test_parse_properties() -> None:
    properties = _systemd.parse_properties(RUNNING + "Environment=A=b\nno line\n")
    assert properties["ExecMainStartTimestampMonotonic"] == "8766471140"
    assert (properties["UnitFileState"], properties["Environment"]) == ("enabled", "A=b")
    assert _systemd.parse_properties(ABSENT)["UnitFileState"] == ""


def test_process_started() -> None:
    properties = _systemd.parse_properties(RUNNING)
    assert _systemd.process_started(properties, NOW, 10_000.0) == pytest.approx(NOW - 10_000 + STARTED)
    assert _systemd.process_started(_systemd.parse_properties(ABSENT), NOW, 10_000.0) == 0.0
    assert _systemd.process_started({}, NOW, 10_000.0) == 0.0


@pytest.mark.parametrize(
    ("state", "age", "action"),
    [
        ("active", 1300, "none"),
        ("active", 1200, "restarted"),
        ("active", 0, "restarted"),
        ("activating", 1200, "restarted"),
        ("reloading", 1300, "none"),
        ("inactive", 1200, "started"),
        ("failed", 1300, "started"),
        ("deactivating", 1300, "started"),
        ("", 1300, "started"),
    ],
)
def test_what_a_unit_needs(machine: Machine, state: str, age: float, action: str) -> None:
    machine.shows(RUNNING.replace("ActiveState=active", f"ActiveState={state}"))
    assert machine.run(check=True, restart_after=[machine.file("configuration", age)])["action"] == action


def test_reload(machine: Machine) -> None:
    files = [machine.file("old", age=2000), machine.file("new", age=1000)]
    result = machine.run(restart_after=files[:1], reload_after=files)
    assert outcome(result) == (True, "reloaded") and machine.changes() == ["reload containerd.service"]
    assert result["diff"]["after"]["process"] == "reloaded"
    machine.runner.calls.clear()
    assert outcome(machine.run(restart_after=files, reload_after=files)) == (True, "restarted")
    assert outcome(machine.run(reload_after=files[:1])) == (False, "none")


def test_a_reload_counts_like_a_start(machine: Machine) -> None:
    files = [machine.file("configuration", age=600)]
    assert outcome(machine.run(reload_after=files)) == (True, "reloaded")
    assert outcome(machine.run(reload_after=files)) == (False, "none")
    machine.file("configuration", age=-60)
    assert outcome(machine.run(reload_after=files)) == (False, "none")
    machine.file("reloads/containerd.service", age=500)
    machine.file("configuration", age=400)
    assert outcome(machine.run(check=True, reload_after=files)) == (True, "reloaded")
    assert machine.changes() == ["reload containerd.service"]


def test_systemd_reads_changed_unit_files(machine: Machine) -> None:
    machine.shows(RUNNING.replace("NeedDaemonReload=no", "") + "NeedDaemonReload=yes\n")
    machine.run(restart_after=[machine.file("drop-in", age=1)])
    assert machine.changes() == ["daemon-reload", "restart containerd.service"]


@pytest.mark.parametrize(("outdated", "changes"), [("yes\n", ["daemon-reload"]), ("no\n", [])])
def test_systemd_reads_the_changed_file_of_what_a_timer_starts(
    machine: Machine, outdated: str, changes: t.List[str]
) -> None:
    machine.shows(RUNNING + "Triggers=backup.service\n", outdated)
    assert outcome(machine.run()) == (False, "none")
    assert machine.changes() == changes


@pytest.mark.parametrize("state", ["bad-setting", "error"])
def test_a_file_that_systemd_cannot_use(machine: Machine, state: str) -> None:
    """A timer that runs stays active when its file gets a time that there is not, and never elapses again."""
    outdated = RUNNING + "NeedDaemonReload=yes\n"
    wrong = RUNNING.replace("LoadState=loaded", f"LoadState={state}")
    for shown, changes in (((outdated, wrong), ["daemon-reload"]), ((wrong,), [])):
        machine.runner.calls.clear()
        failed = machine.shows(*shown).run()
        assert failed["msg"].startswith(f"systemd cannot use the file of the unit containerd.service ({state}).")
        assert machine.changes() == changes
    # The task before this one writes another file.
    assert outcome(machine.shows(wrong).run(check=True)) == (False, "none")
