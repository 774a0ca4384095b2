# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are fetched piece by piece."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
import tracemalloc
import types
import typing as t
import unittest.mock
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.slipway.kubernetes.plugins.action import file_fetch
from ansible_collections.slipway.kubernetes.plugins.modules import file_piece
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

PASSWORD = "correct horse"


class Machine:
    """A host with a file, and a controller."""

    def __init__(self, root: Path) -> None:
        self.source = root / "archive.tar.gz"
        self.target = root / "controller/artifacts/archive.tar.gz"
        self.pieces: t.List[int] = []
        self.modes: t.Set[int] = set()
        self.fails: t.Dict[str, t.Any] = {}

    def has(self, size: int) -> Machine:
        with self.source.open("wb") as stream:
            for start in range(0, size, 1 << 20):
                stream.write(os.urandom(min(1 << 20, size - start)))
        return self

    def sha256(self) -> str:
        digest = hashlib.sha256()
        with self.source.open("rb") as stream:
            for chunk in iter(lambda: stream.read(1 << 20), b""):
                digest.update(chunk)
        return digest.hexdigest()

    def _piece(self, module_name: str, module_args: t.Mapping[str, t.Any], **_more: t.Any) -> t.Dict[str, t.Any]:
        assert module_name == "slipway.kubernetes.file_piece"
        self.pieces.append(module_args["offset"])
        self.modes |= {stat.S_IMODE(path.stat().st_mode) for path in self.target.parent.iterdir()}
        if self.fails and len(self.pieces) > 1:
            return self.fails
        return file_piece.piece(module_args["path"], module_args["offset"], module_args["length"])

    def fetch(self, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        args = {"src": str(self.source), "dest": str(self.target), "sha256": self.sha256(), **options}
        task = types.SimpleNamespace(action="slipway.kubernetes.file_fetch", args=args, async_val=0, check_mode=check)
        mock = unittest.mock.MagicMock
        action = file_fetch.ActionModule(task, mock(), mock(), mock(), mock(), mock())
        with unittest.mock.patch.object(action, "_execute_module", side_effect=self._piece):
            return action.run(task_vars={})


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def small(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Pieces of 300 bytes, so that small files have many."""
    monkeypatch.setattr(file_fetch, "PIECE", 300)
    return machine


@pytest.mark.parametrize("size", [0, 1, 299, 300, 301, 1000])
def test_a_file_arrives_whole_and_for_its_owner_only(small: Machine, size: int) -> None:
    small.has(size)
    assert small.fetch(check=True)["changed"] and not small.target.parent.exists()
    assert small.fetch() == {"changed": True, "dest": str(small.target)}
    assert small.target.read_bytes() == small.source.read_bytes()
    assert small.modes <= {0o600} and small.target.stat().st_mode & 0o777 == 0o600
    assert small.target.parent.stat().st_mode & 0o777 == 0o700
    assert os.listdir(small.target.parent) == ["archive.tar.gz"]
    small.pieces.clear()
    assert not small.fetch()["changed"] and small.pieces == []
    small.target.chmod(0o644)
    assert small.fetch(check=True)["changed"] and small.fetch()["changed"]
    assert small.target.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_there_is_left_as_it_is(small: Machine) -> None:
    small.has(10).target.parent.mkdir(parents=True)
    small.target.parent.chmod(0o750)
    small.fetch()
    assert small.target.parent.stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize(
    ("fails", "said"),
    [
        ({"failed": True, "msg": "archive.tar.gz cannot be read: gone."}, "cannot be read: gone"),
        ({"unreachable": True}, "the host does not answer"),
        ({"content": "", "size": 1000}, "has another checksum"),
    ],
)
def test_what_does_not_arrive_whole_leaves_nothing(small: Machine, fails: t.Dict[str, t.Any], said: str) -> None:
    small.has(1000).fails = fails
    for password in ("", PASSWORD):
        small.pieces.clear()
        result = small.fetch(vault_password=password)
        assert result["failed"] and said in result["msg"]
        assert os.listdir(small.target.parent) == []


@pytest.mark.parametrize("password", ["", PASSWORD])
def test_another_file_of_the_controller_is_left_as_it_is(small: Machine, password: str) -> None:
    """A control plane may have chosen the name."""
    small.has(10).target.parent.mkdir(parents=True)
    small.target.write_text("the administrator's kubeconfig")
    for check in (True, False):
        result = small.fetch(check=check, vault_password=password)
        assert result["failed"] and not result["changed"] and "is on the controller already" in result["msg"]
    assert small.target.read_text() == "the administrator's kubeconfig"
    assert os.listdir(small.target.parent) == ["archive.tar.gz"] and not small.pieces


@pytest.mark.parametrize("size", [599, 10**9])
def test_more_bytes_than_were_said_first_are_not_taken(small: Machine, size: int) -> None:
    small.has(599).fails = {"content": base64.b64encode(bytes(300)).decode(), "size": size}
    result = small.fetch()
    assert result["failed"] and "more bytes came than the 599 that were said first" in result["msg"]
    assert len(small.pieces) == 2 and os.listdir(small.target.parent) == []


@pytest.mark.parametrize(("password", "room"), [("", 1000), (PASSWORD, 7000)])
def test_what_the_controller_has_no_room_for_is_not_begun(
    small: Machine, monkeypatch: pytest.MonkeyPatch, password: str, room: int
) -> None:
    small.has(1000)
    usage = types.SimpleNamespace(free=file_fetch.RESERVE + room - 1)
    monkeypatch.setattr(file_fetch.shutil, "disk_usage", lambda _folder: usage)
    result = small.fetch(vault_password=password)
    assert result["failed"] and "the disk of the controller has room for 0 MB of it" in result["msg"]
    assert small.pieces == [0] and os.listdir(small.target.parent) == []
    usage.free += 1
    assert small.fetch(vault_password=password)["changed"]


def test_a_target_that_cannot_be_written(small: Machine) -> None:
    small.has(10)
    small.target.parent.parent.write_text("no folder")
    assert "on the controller cannot be written" in small.fetch()["msg"]


@pytest.mark.parametrize("size", [0, 1, 15, 16, 900, 901, 5000])
def test_what_is_encrypted_is_opened_by_ansible_vault(small: Machine, size: int) -> None:
    small.has(size)
    assert small.fetch(vault_password=PASSWORD)["changed"]
    text = small.target.read_bytes()
    assert small.modes <= {0o600}
    vault = VaultLib([("default", VaultSecret(PASSWORD.encode()))])
    assert base64.b64decode(vault.decrypt(text)) == small.source.read_bytes()
    assert max(map(len, text.splitlines())) == 80
    assert os.listdir(small.target.parent) == ["archive.tar.gz"]


@pytest.mark.parametrize("password", ["", PASSWORD])
def test_a_large_file_is_never_in_memory_as_a_whole(machine: Machine, password: str) -> None:
    """Neither by the module nor by the action; both run in this process, and bring some pieces of 6 MiB."""
    size = 60 * 1024 * 1024
    machine.has(size)
    tracemalloc.start()
    try:
        assert machine.fetch(vault_password=password)["changed"]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(machine.pieces) == 10
    assert peak < 7 * file_fetch.PIECE < size, peak


def test_the_module(tmp_path: Path, run_module: ModuleRunner) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abcdef")
    found = run_module(file_piece.main, {"path": str(path), "offset": 2, "length": 3}, check=True)
    assert (base64.b64decode(found["content"]), found["size"], found["changed"]) == (b"cde", 6, False)
    assert run_module(file_piece.main, {"path": str(path), "offset": 9})["content"] == ""
    assert "cannot be read" in run_module(file_piece.main, {"path": f"{path}-2"})["msg"]
    assert "offset" in run_module(file_piece.main, {"path": str(path), "offset": -1})["msg"]
