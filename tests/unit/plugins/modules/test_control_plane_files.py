# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import static_pods
from ansible_collections.slipway.kubernetes.plugins.modules import control_plane_files
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import waiting_clock
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

Values = t.Dict[str, t.Any]


class Machine:
    """A control plane with static pods whose processes begin when they are ended."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = root / "slipway"
        self.manifests = root / "manifests"
        self.manifests.mkdir()
        self.began: t.Dict[int, float] = {}
        self.ended: t.List[str] = []
        self.healthy_with: t.Callable[[], bool] = lambda: True
        self._programs: t.Dict[str, int] = {}
        monkeypatch.setattr(control_plane_files, "DIRECTORY", str(self.folder))
        monkeypatch.setattr(control_plane_files, "MANIFESTS", str(self.manifests))
        monkeypatch.setattr(static_pods.Component, "pid", lambda component: self._programs.get(component.program, 0))
        monkeypatch.setattr(static_pods.Component, "argument", lambda component, name: "")

        def end(component: static_pods.Component) -> None:
            self._end(component)

        monkeypatch.setattr(static_pods.Component, "end", end)
        monkeypatch.setattr(static_pods, "started", lambda pid: self.began[pid])
        monkeypatch.setattr(static_pods, "is_healthy", lambda host, port: self.healthy_with())
        waiting_clock(monkeypatch)
        monkeypatch.setattr(control_plane_files._api_server, "is_ready", lambda: bool(self.healthy_with()))

    def build(self, *programs: str, sees: bool = True) -> None:
        """Let static pods run since an hour."""
        for number, program in enumerate(programs, start=1):
            text = f"- --file={self.folder}/audit.yaml\n" if sees else "- --secure-port=6443\n"
            (self.manifests / f"{program}.yaml").write_text(text)
            self._programs[program] = number
            self.began[number] = time.time() - 3600

    def _end(self, component: static_pods.Component) -> None:
        self.ended.append(component.program)
        self.began[self._programs[component.program]] = time.time() + 1


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def files(*more: Values, text: str = "rules: []\n") -> Values:
    return {"files": [{"name": "audit.yaml", "content": text}, *more]}


SECRET = {"name": "keys/encryption.yaml", "secret_content": "secret: hunter2\n", "secret": True}


def test_before_there_is_a_control_plane(machine: Machine, run_module: ModuleRunner) -> None:
    checked = run_module(control_plane_files.main, files(SECRET), check=True)
    assert checked["changed"] and not machine.folder.exists()
    done = run_module(control_plane_files.main, files(SECRET))
    assert done["changed_paths"] == checked["changed_paths"]
    assert done["diff"] == checked["diff"]
    assert "hunter2" not in str({**done, "invocation": None}) and "hunter2" not in str(done.get("invocation"))
    assert (machine.folder / "keys/encryption.yaml").stat().st_mode & 0o7777 == 0o600
    assert (machine.folder / "audit.yaml").stat().st_mode & 0o7777 == 0o644
    assert done["restarted"] == []
    assert not run_module(control_plane_files.main, files(SECRET))["changed"]


def test_a_changed_file_restarts_who_reads_it(machine: Machine, run_module: ModuleRunner) -> None:
    machine.build("kube-apiserver", "kube-scheduler")
    (machine.manifests / "kube-scheduler.yaml").write_text("- --secure-port=10259\n")
    checked = run_module(control_plane_files.main, files(), check=True)
    assert (checked["restarted"], machine.ended) == (["kube-apiserver"], [])
    assert run_module(control_plane_files.main, files())["restarted"] == machine.ended == ["kube-apiserver"]
    again = run_module(control_plane_files.main, files())
    assert (again["changed"], again["restarted"]) == (False, [])


def test_a_run_that_was_killed_before_the_restart_is_finished(machine: Machine, run_module: ModuleRunner) -> None:
    run_module(control_plane_files.main, files())
    machine.build("kube-apiserver")
    for check in (True, False):
        result = run_module(control_plane_files.main, files(), check=check)
        assert (result["changed"], result["restarted"]) == (True, ["kube-apiserver"])
    assert not run_module(control_plane_files.main, files())["changed"]


def test_files_that_a_static_pod_does_not_live_with_are_taken_back(machine: Machine, run_module: ModuleRunner) -> None:
    run_module(control_plane_files.main, files())
    past = time.time() - 7200
    os.utime(machine.folder / "audit.yaml", (past, past))
    machine.build("kube-apiserver")
    machine.healthy_with = lambda: "broken" not in (machine.folder / "audit.yaml").read_text()
    result = run_module(control_plane_files.main, files(SECRET, text="broken\n"))
    assert result["failed"]
    for text in ("kube-apiserver is not healthy", "put back as they were", "is healthy again", "audit.yaml"):
        assert text in result["msg"]
    assert (machine.folder / "audit.yaml").read_text() == "rules: []\n"
    assert not (machine.folder / "keys/encryption.yaml").exists()
    assert "hunter2" not in str({**result, "invocation": None})


def test_patches_of_kubeadm_restart_nothing(machine: Machine, run_module: ModuleRunner) -> None:
    machine.build("kube-apiserver")
    patch = {"name": "patches/kube-apiserver0+merge.yaml", "content": "spec: {}\n"}
    result = run_module(control_plane_files.main, {"files": [patch]})
    assert (result["changed"], result["restarted"]) == (True, [])


def test_what_is_not_in_the_list_any_more(machine: Machine, run_module: ModuleRunner) -> None:
    run_module(control_plane_files.main, files(SECRET))
    machine.build("kube-apiserver")
    machine.began[1] = time.time() + 1
    result = run_module(control_plane_files.main, {"files": [{"name": "other.yaml", "content": "", "mode": "0640"}]})
    assert "hunter2" not in str(result)
    assert not (machine.folder / "keys/encryption.yaml").exists()
    # The static pod would not start without it.
    assert (machine.folder / "audit.yaml").exists()
    assert "audit.yaml is not in the list any more" in str(result["warnings"])


@pytest.mark.parametrize(("one", "other"), [("keys", "keys/a.yaml"), ("keys/a.yaml", "keys")])
def test_a_file_becomes_a_folder_and_a_folder_a_file(
    machine: Machine, run_module: ModuleRunner, one: str, other: str
) -> None:
    run_module(control_plane_files.main, {"files": [{"name": one, "content": "1"}]})
    checked = run_module(control_plane_files.main, {"files": [{"name": other, "content": "2"}]}, check=True)
    done = run_module(control_plane_files.main, {"files": [{"name": other, "content": "2"}]})
    assert (done["changed"], done["changed_paths"], done["diff"]) == (True, checked["changed_paths"], checked["diff"])
    assert [path.read_text() for path in machine.folder.rglob("*") if path.is_file()] == ["2"]
    assert not run_module(control_plane_files.main, {"files": [{"name": other, "content": "2"}]})["changed"]


@pytest.mark.parametrize("check", [True, False])
def test_a_file_that_a_static_pod_names_is_in_the_way(machine: Machine, run_module: ModuleRunner, check: bool) -> None:
    run_module(control_plane_files.main, files())
    machine.build("kube-apiserver")
    result = run_module(control_plane_files.main, {"files": [{"name": "audit.yaml/a", "content": "2"}]}, check=check)
    assert "audit.yaml/a has no place, as a static pod names" in result["msg"]
    assert (machine.folder / "audit.yaml").read_text() == "rules: []\n"


def test_a_cluster_that_was_built_without_files(machine: Machine, run_module: ModuleRunner) -> None:
    machine.build("kube-apiserver", sees=False)
    result = run_module(control_plane_files.main, files())
    assert (result["changed"], result["restarted"]) == (True, [])
    assert "does not see" in str(result["warnings"])


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"name": "../audit.yaml", "content": ""}, "is no name of a file"),
        ({"name": "/etc/passwd", "content": ""}, "is no name of a file"),
        ({"name": "a", "content": "", "secret_content": ""}, "either `content` or `source`"),
        ({"name": "a"}, "either `content` or `source`"),
        ({"name": "a", "content": "", "mode": "rw"}, "no mode in octal digits"),
        ({"name": "a", "secret_content": "", "mode": "0644"}, "others than root could read the secret"),
        ({"name": "audit.yaml", "content": ""}, "stands there twice"),
    ],
)
def test_wrong_entries(machine: Machine, run_module: ModuleRunner, entry: Values, expected: str) -> None:
    result = run_module(control_plane_files.main, files(entry))
    assert result["failed"] and expected in result["msg"]
    assert not machine.folder.exists()
