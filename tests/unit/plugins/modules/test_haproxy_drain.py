# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import threading
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.modules import haproxy_drain
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

HEADER = "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight\n"


class Haproxy:
    """A socket that answers like haproxy."""

    def __init__(self, path: Path, states: t.Dict[str, int]) -> None:
        self.states = states
        self.commands: t.List[str] = []
        self.refusal = ""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection = self._socket.accept()[0]
            with connection:
                command = connection.recv(4096).decode().strip()
                self.commands.append(command)
                connection.sendall(self._answer(command).encode())

    def _answer(self, command: str) -> str:
        if command.startswith("show servers state ready"):
            lines = (
                f"3 ready {n} {name} 192.0.2.{n} 2 {state} 1\n" for n, (name, state) in enumerate(self.states.items())
            )
            return HEADER + "".join(lines) + "\n"
        if self.refusal:
            return self.refusal
        _set, _server, place, _state, word = command.split()
        self.states[place.partition("/")[2]] = {"drain": 8, "ready": 0}[word]
        return "\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "admin.sock"


def run(
    run_module: ModuleRunner, path: Path, state: str, server: str = "cp2", check: bool = False
) -> t.Dict[str, t.Any]:
    return run_module(haproxy_drain.main, {"server": server, "state": state, "socket": str(path)}, check=check)


def test_there_and_back(run_module: ModuleRunner, path: Path) -> None:
    haproxy = Haproxy(path, {"cp1": 0, "cp2": 0})
    assert run(run_module, path, "ready")["changed"] is False
    assert run(run_module, path, "drained", check=True)["changed"] is True
    assert haproxy.states == {"cp1": 0, "cp2": 0}
    assert run(run_module, path, "drained")["msg"] == "cp2: drained"
    assert haproxy.states == {"cp1": 0, "cp2": 8}
    assert run(run_module, path, "drained")["changed"] is False
    assert run(run_module, path, "ready")["changed"] is True
    assert haproxy.states == {"cp1": 0, "cp2": 0}
    assert run(run_module, path, "ready")["msg"] == "cp2: ready already"


def test_maintenance_ends(run_module: ModuleRunner, path: Path) -> None:
    haproxy = Haproxy(path, {"cp2": 1})
    assert run(run_module, path, "ready")["changed"] is True
    assert haproxy.states == {"cp2": 0}


def test_nobody_who_knows_the_server(run_module: ModuleRunner, path: Path) -> None:
    result = run(run_module, path, "drained")
    assert (result["failed"], result["changed"]) == (False, False)
    assert result["msg"] == "no haproxy on this host knows cp2"
    haproxy = Haproxy(path, {"cp2": 0})
    assert run(run_module, path, "drained", server="cp9")["changed"] is False
    assert haproxy.states == {"cp2": 0}


def test_a_refusal(run_module: ModuleRunner, path: Path) -> None:
    haproxy = Haproxy(path, {"cp2": 0})
    haproxy.refusal = "Permission denied\n"
    assert "haproxy refuses to set ready/cp2 to drain: Permission denied" in run(run_module, path, "drained")["msg"]


def test_no_answer(run_module: ModuleRunner, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = socket.socket(socket.AF_UNIX)
    silent.bind(str(path))
    silent.listen()
    monkeypatch.setattr(haproxy_drain, "_PATIENCE", 0.05)
    result = run(run_module, path, "drained")
    assert result["failed"]
    assert "haproxy does not answer" in result["msg"]
    silent.close()


def test_a_socket_that_cannot_be_reached(run_module: ModuleRunner, path: Path) -> None:
    result = run(run_module, path / ("x" * 120), "drained")
    assert result["failed"] and result["msg"].startswith("haproxy does not answer on ")
