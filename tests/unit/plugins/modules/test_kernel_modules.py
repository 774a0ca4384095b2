# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.modules import kernel_modules
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner


class FakeKernel:
    """Has modules, and knows those that could be loaded; runs modprobe, too."""

    def __init__(self, *loaded: str, loadable: t.Sequence[str] = (), modprobe: bool = True) -> None:
        self.loaded, self.loadable, self.modprobe = set(loaded), loadable, modprobe
        self.calls: t.List[t.List[str]] = []

    def has(self, name: str) -> bool:
        return name in self.loaded

    def which(self, name: str, required: bool = True) -> t.Optional[str]:
        return f"/sbin/{name}" if self.modprobe else None

    def run(self, argv: t.List[str], check: bool = True) -> CommandResult:
        self.calls.append(argv[1:])
        if argv[2] not in self.loadable:
            said = "" if argv[2] == "silent" else f"modprobe: FATAL: Module {argv[2]} not found.\n"
            return CommandResult(argv, 1, "", said)
        if argv[1] == "--":
            self.loaded.add(argv[2])
        return CommandResult(argv, 0, "", "")


def modules(path: Path, kernel: FakeKernel, *names: str) -> kernel_modules.KernelModules:
    return kernel_modules.KernelModules(names, str(path), kernel, kernel)  # type: ignore[arg-type]


def test_check_run_again_and_drift(tmp_path: Path) -> None:
    path = tmp_path / "modules-load.d/x.conf"
    kernel = FakeKernel("overlay", loadable=["br_netfilter"])
    checked = modules(path, kernel, "overlay", "br_netfilter").run(check_mode=True)
    assert (checked["changed"], checked["loaded"], checked["warnings"]) == (True, ["br_netfilter"], [])
    assert kernel.calls == [["--dry-run", "br_netfilter"]]
    assert not path.exists()
    done = modules(path, kernel, "overlay", "br_netfilter").run(check_mode=False)
    assert done == checked
    assert path.read_text().splitlines()[1:] == ["overlay", "br_netfilter"]
    assert kernel.calls[1:] == [["--", "br_netfilter"]]
    for check_mode in (True, False):
        again = modules(path, kernel, "overlay", "br_netfilter").run(check_mode)
        assert (again["changed"], again["loaded"], again["diff"]) == (False, [], [])
    kernel.loaded.remove("br_netfilter")
    drifted = modules(path, kernel, "overlay", "br_netfilter").run(check_mode=True)
    assert drifted["diff"] == [
        {
            "before_header": "loaded kernel modules",
            "after_header": "loaded kernel modules",
            "before": "",
            "after": "br_netfilter\n",
        }
    ]


def test_a_file_of_somebody_else_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "x.conf"
    path.write_text("dm_crypt\n")
    for check_mode in (True, False):
        assert "was somebody else's" in modules(path, FakeKernel("a"), "a").run(check_mode)["warnings"][0]
    assert (tmp_path / "x.conf.before-slipway").read_text() == "dm_crypt\n"
    assert modules(path, FakeKernel("a", "b"), "a", "b").run(check_mode=False)["warnings"] == []


def test_all_modules_that_cannot_be_had_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.conf"
    kernel = FakeKernel(loadable=["good"])
    with pytest.raises(SlipwayError, match=r"cannot load bad \(.*Module bad not found.\), silent \(modprobe said noth"):
        modules(path, kernel, "bad", "good", "silent").run(check_mode=False)
    assert not path.exists()
    checked = modules(path, kernel, "bad", "silent").run(check_mode=True)
    assert checked["changed"]
    assert "cannot load bad" in checked["warnings"][0]


def test_no_modprobe(tmp_path: Path) -> None:
    with pytest.raises(SlipwayError, match=r"a \(modprobe is not installed, package kmod\), b "):
        modules(tmp_path / "x", FakeKernel(modprobe=False), "a", "b").run(check_mode=False)
    loaded = FakeKernel("a", modprobe=False)
    assert modules(tmp_path / "x", loaded, "a").run(check_mode=False)["changed"]


def test_main(tmp_path: Path, run_module: ModuleRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = FakeKernel("overlay")
    monkeypatch.setattr(kernel_modules, "Kernel", lambda: kernel)
    monkeypatch.setattr(_module, "Runner", lambda module: kernel)
    options = {"names": ["overlay"], "path": f"{tmp_path}/x.conf"}
    assert run_module(kernel_modules.main, options)["changed"]
    assert not run_module(kernel_modules.main, options)["changed"]
    checked = run_module(kernel_modules.main, {**options, "names": ["bad"]}, check=True)
    assert checked["changed"]
    assert "cannot load bad" in str(checked["warnings"])
    wrong = run_module(kernel_modules.main, {**options, "names": ["overlay", "--force", "a b"]})
    assert wrong["msg"] == "names: '--force', 'a b' cannot be names of kernel modules."
    (tmp_path / "file").write_text("")
    unwritable = run_module(kernel_modules.main, {**options, "path": f"{tmp_path}/file/x"})
    assert "could not be written" in unwritable["msg"] and f"{tmp_path}/file" in unwritable["msg"]
