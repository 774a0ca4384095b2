# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module
from ansible_collections.slipway.kubernetes.plugins.modules import etcd_snapshot_info
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> FakeRunner:
    fake = FakeRunner({"systemctl show": "Result=success\nLoadState=loaded\n"}, tools=("systemctl",))
    monkeypatch.setattr(_module, "Runner", lambda _module: fake)
    return fake


def archive(folder: Path, hours: float, cluster: str = "lab", suffix: str = ".tar.gz") -> Path:
    """One that was taken so many hours ago by its name, while its file has another time, as that of a copy."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() - hours * 3600))
    path = folder / f"etcd-{cluster}-{stamp}{suffix}"
    path.write_text("12345")
    now = time.time() - 60 * hours
    os.utime(path, (now, now))
    return path


def test_listed(runner: FakeRunner, run_module: ModuleRunner, tmp_path: Path) -> None:
    archive(tmp_path, 50)
    newest = archive(tmp_path, 2, suffix=".tar.gz.age")
    (tmp_path / "notes.txt").write_text("")
    options = {"directory": str(tmp_path), "max_age": 26}
    result = run_module(etcd_snapshot_info.main, options, check=True)
    assert (result["changed"], result["msg"]) == (False, "2 backups of etcd, the newest 2.0 hours old")
    assert result["archives"][0] == {
        "path": str(newest),
        "size": 5,
        "hours": 2.0,
    }
    assert result["service_result"] == "success"
    failed = run_module(etcd_snapshot_info.main, {**options, "max_age": 1})
    assert failed["failed"] and "is 2.0 hours old, and 1 are allowed" in failed["msg"]


def test_failures(runner: FakeRunner, run_module: ModuleRunner, tmp_path: Path) -> None:
    options = {"directory": str(tmp_path / "none")}
    assert run_module(etcd_snapshot_info.main, options)["msg"] == "0 backups of etcd"
    assert "There is no backup" in run_module(etcd_snapshot_info.main, {**options, "max_age": 26})["msg"]
    runner.answers["systemctl show"] = "Result=exit-code\nLoadState=loaded\n"
    failed = run_module(etcd_snapshot_info.main, {**options, "max_age": 26})
    assert failed["msg"].startswith("The timer's last backup of etcd failed (exit-code)")
    assert run_module(etcd_snapshot_info.main, options)["service_result"] == "exit-code"
    runner.answers["systemctl show"] = "Result=success\nLoadState=not-found\n"
    assert run_module(etcd_snapshot_info.main, options)["service_result"] == ""
    runner.tools = ()
    assert run_module(etcd_snapshot_info.main, options)["service_result"] == ""


def test_of_another_cluster(runner: FakeRunner, run_module: ModuleRunner, tmp_path: Path) -> None:
    archive(tmp_path, 1, cluster="lab-2")
    options = {"directory": str(tmp_path), "max_age": 26, "cluster_name": "lab"}
    assert "There is no backup" in run_module(etcd_snapshot_info.main, options)["msg"]
    assert not run_module(etcd_snapshot_info.main, {**options, "cluster_name": "lab-2"}).get("failed")


def test_without_a_timer(runner: FakeRunner, run_module: ModuleRunner, tmp_path: Path) -> None:
    options = {"directory": str(tmp_path), "max_age": 26, "scheduled_only": True}
    timer = "slipway-etcd-backup.timer"
    runner.answers = {timer: "LoadState=loaded\nUnitFileState=disabled\n", **runner.answers}
    assert not run_module(etcd_snapshot_info.main, options).get("failed")
    runner.answers[timer] = "LoadState=loaded\nUnitFileState=enabled\nLastTriggerUSec=\n"
    assert not run_module(etcd_snapshot_info.main, options).get("failed")
    runner.answers[timer] = "LoadState=loaded\nUnitFileState=enabled\nLastTriggerUSec=Sun 2026-11-22 03:01:07 UTC\n"
    assert "There is no backup" in run_module(etcd_snapshot_info.main, options)["msg"]
    runner.answers[timer] = "LoadState=loaded\nUnitFileState=enabled\nLastTriggerUSec=\n"
    archive(tmp_path, 50)
    assert "is 50.0 hours old" in run_module(etcd_snapshot_info.main, options)["msg"]


def test_a_fresh_copy_of_an_old_archive_is_old(runner: FakeRunner, run_module: ModuleRunner, tmp_path: Path) -> None:
    os.utime(archive(tmp_path, 50))
    failed = run_module(etcd_snapshot_info.main, {"directory": str(tmp_path), "max_age": 26})
    assert "is 50.0 hours old" in failed["msg"]


def test_an_archive_from_the_future_is_a_problem(runner: FakeRunner, run_module: ModuleRunner, tmp_path: Path) -> None:
    options = {"directory": str(tmp_path), "max_age": 26}
    archive(tmp_path, 1)
    # A clock that was set by two minutes.
    archive(tmp_path, -0.03)
    assert not run_module(etcd_snapshot_info.main, options).get("failed")
    archive(tmp_path, -48)
    failed = run_module(etcd_snapshot_info.main, options)
    assert failed["failed"] and "48.0 hours in the future" in failed["msg"]
    assert not run_module(etcd_snapshot_info.main, {**options, "max_age": 0}).get("failed")
