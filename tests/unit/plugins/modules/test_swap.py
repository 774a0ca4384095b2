# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.modules import swap
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

HEADER = "Filename Type Size Used Priority\n"
FSTAB = b"UUID=1 / ext4 defaults 0 1\nUUID=2 none swap sw 0 0\n# LABEL=x\nLABEL=\xe9 none swap sw"


class Machine:
    """A machine with swap of every kind; runs swapoff and systemctl."""

    def __init__(self, root: Path, systemd: bool = True) -> None:
        self.root = root
        self.calls: t.List[t.List[str]] = []
        self.put("etc/fstab", FSTAB).chmod(0o664)
        self.put("proc/swaps", f"{HEADER}/dev/sda2 partition 1 0 -2\n/dev/zram0 partition 1 0 100\n".encode())
        self.put("run/systemd/generator/dev-zram0.swap")
        own = self.put("etc/systemd/system/swapfile.swap")
        (own.parent / "swap.target.wants").mkdir()
        (own.parent / "swap.target.wants/swapfile.swap").symlink_to(own)
        if systemd:
            (root / "run/systemd/system").mkdir()

    def put(self, path: str, content: bytes = b"") -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return file

    def which(self, name: str, required: bool = True) -> t.Optional[str]:
        return name

    def run(self, argv: t.List[str], failure: str = "") -> CommandResult:
        self.calls.append(argv)
        left = (self.root / "proc/swaps").read_text().splitlines(keepends=True)
        gone = ["/dev/zram0"] if argv[:2] == ["systemctl", "stop"] else argv[1:]
        (self.root / "proc/swaps").write_text("".join(line for line in left if line.split()[0] not in gone))
        return CommandResult(argv, 0, "", "")

    def swap(self, backup: t.Optional[t.Callable[[str], str]] = None) -> swap.Swap:
        return swap.Swap("/etc/fstab", self, backup, str(self.root))  # type: ignore[arg-type]

    def files(self) -> t.Dict[str, t.Any]:
        return {
            os.path.join(folder, name): os.lstat(os.path.join(folder, name)).st_mtime_ns
            for folder, _folders, names in os.walk(self.root)
            for name in names
        }


def test_check_run_and_again(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    before = machine.files()
    checked = machine.swap().run(check_mode=True)
    assert checked["changed"]
    assert checked["turned_off"] == ["/dev/sda2", "/dev/zram0"]
    assert checked["masked"] == ["dev-zram0.swap", "swapfile.swap"]
    assert [part["before_header"][-9:] for part in checked["diff"]] == ["etc/fstab", "tive swap", "n swap on"]
    assert (machine.files(), machine.calls) == (before, [])
    assert machine.swap().run(check_mode=False) == checked
    assert machine.calls == [
        ["systemctl", "stop", "dev-zram0.swap", "swapfile.swap"],
        ["systemctl", "daemon-reload"],
        ["swapoff", "/dev/sda2"],
    ]
    fstab = tmp_path / "etc/fstab"
    mark = b"# turned off for Kubernetes (slipway.kubernetes): "
    assert fstab.read_bytes() == FSTAB.replace(b"UUID=2", mark + b"UUID=2").replace(b"LABEL=\xe9", mark + b"LABEL=\xe9")
    assert fstab.stat().st_mode & 0o7777 == 0o664
    units = tmp_path / "etc/systemd/system"
    assert os.readlink(units / "dev-zram0.swap") == "/dev/null"
    assert (units / "swapfile.swap").exists()
    assert os.listdir(units / "swap.target.wants") == []
    for check_mode in (True, False):
        again = machine.swap().run(check_mode)
        assert again == {"changed": False, "turned_off": [], "masked": [], "diff": []}
    assert len(machine.calls) == 3


def test_a_form_feed_in_a_comment_ends_no_line() -> None:
    text = "# a\x0cUUID=1 none swap sw 0 0\n"
    assert swap.without_swap(text) == text


def test_drift_is_mended_alone(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.swap().run(check_mode=False)
    machine.calls.clear()
    machine.put("proc/swaps", f"{HEADER}/dev/sdb1 partition 1 0 -2\n".encode())
    result = machine.swap().run(check_mode=False)
    assert (result["turned_off"], result["masked"], len(result["diff"])) == (["/dev/sdb1"], [], 1)
    assert machine.calls == [["swapoff", "/dev/sdb1"]]


def test_where_systemd_does_not_run_links_are_made_all_the_same(tmp_path: Path) -> None:
    machine = Machine(tmp_path, systemd=False)
    machine.swap().run(check_mode=False)
    assert machine.calls == [["swapoff", "/dev/sda2", "/dev/zram0"]]
    assert (tmp_path / "etc/systemd/system/dev-zram0.swap").is_symlink()


def test_backup(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    copies: t.List[str] = []

    def copy(path: str) -> str:
        copies.append(path)
        return path + "~"

    assert "backup_file" not in machine.swap(copy).run(check_mode=True)
    assert machine.swap(copy).run(check_mode=False)["backup_file"] == f"{tmp_path}/etc/fstab~"
    assert "backup_file" not in machine.swap(copy).run(check_mode=False)
    assert copies == [f"{tmp_path}/etc/fstab"]


def test_no_fstab_at_all(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    (tmp_path / "etc/fstab").unlink()
    machine.swap().run(check_mode=False)
    assert not (tmp_path / "etc/fstab").exists()


def test_main(tmp_path: Path, run_module: ModuleRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    made = swap.Swap
    monkeypatch.setattr(swap, "Swap", lambda fstab, runner, backup: made(fstab, runner, backup, str(tmp_path)))
    result = run_module(swap.main, {"backup": True})
    assert (result["changed"], result["turned_off"]) == (False, [])
    with monkeypatch.context() as patch:
        patch.setattr(made, "run", lambda *_arguments: fail(SlipwayError("too little memory", rc=1)))
        failed = run_module(swap.main, {})
    assert (failed["msg"], failed["rc"]) == ("too little memory", 1)
    with monkeypatch.context() as patch:
        patch.setattr(made, "run", lambda *_arguments: fail(OSError(30, "read-only", "/etc/fstab")))
        assert run_module(swap.main, {})["msg"] == "A file could not be written: [Errno 30] read-only: '/etc/fstab'"


def fail(error: Exception) -> None:
    raise error
