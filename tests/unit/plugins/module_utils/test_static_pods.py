# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import http.server
import os
import signal
import socket
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import static_pods
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.static_pods import Component
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import x509
from ansible_collections.slipway.kubernetes.tests.unit.plugins.proc_fakes import process
from ansible_collections.slipway.kubernetes.tests.unit.plugins.tls_fakes import certificate, serving


class Proc:
    """A /proc with processes of the test."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root / "proc"
        self.file = root / "scheduler.conf"
        self.file.touch()
        self.killed: t.List[t.Tuple[int, int]] = []
        monkeypatch.setattr(static_pods, "PROC", str(self.root))
        monkeypatch.setattr(os, "kill", self._kill)
        self.component = Component("kube-scheduler", str(self.file))

    def add(self, pid: int, *words: str, age: float = 0) -> None:
        # In a pod.
        folder = process(self.root, pid, *words, namespace=pid, depth=2, group="/kubepods/burstable/pod1/a")
        ticks = int((time.clock_gettime(time.CLOCK_BOOTTIME) - age) * os.sysconf("SC_CLK_TCK"))
        fields = ["S", *["0"] * 18, str(ticks), "0"]
        (folder / "stat").write_text(f"{pid} (a name) with) {' '.join(fields)}\n")

    def _kill(self, pid: int, number: int) -> None:
        if pid == 8:
            raise ProcessLookupError
        self.killed.append((pid, number))


@pytest.fixture
def proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Proc:
    return Proc(tmp_path, monkeypatch)


def test_a_process_is_known_by_its_program_and_its_file(proc: Proc) -> None:
    process(proc.root, 1, "/sbin/init")
    assert proc.component.pid() == 0 and not proc.component.is_older_than_its_file()
    # That of a cluster in containers, as kind makes it, is never ended.
    group = "/docker/abc/kubelet/kubepods/burstable/pod1/a"
    process(proc.root, 4, "kube-scheduler", f"--kubeconfig={proc.file}", namespace=4, depth=3, group=group)
    proc.add(2, "kube-scheduler", "--kubeconfig=/home/somebody/scheduler")
    assert proc.component.pid() == 0
    proc.add(3, "/usr/bin/kube-scheduler", f"--kubeconfig={proc.file}", "--bind-address=10.0.0.1", "--leader-elect")
    assert proc.component.pid() == 3
    assert proc.component.argument("bind-address") == "10.0.0.1"
    assert proc.component.argument("leader-elect") == proc.component.argument("secure-port") == ""


@pytest.mark.parametrize(("age", "written", "older"), [(60, -30, True), (60, -90, False), (60, 90, False)])
def test_older_than_its_file(proc: Proc, age: float, written: float, older: bool) -> None:
    proc.add(3, "kube-scheduler", f"--kubeconfig={proc.file}", age=age)
    os.utime(proc.file, (time.time() + written,) * 2)
    assert proc.component.is_older_than_its_file() is older


def test_a_process_that_has_just_ended_began_now(proc: Proc) -> None:
    assert static_pods.started(77) == pytest.approx(time.time(), abs=5)


def test_end(proc: Proc) -> None:
    process(proc.root, 1, "/sbin/init")
    proc.component.end()
    proc.add(8, "kube-scheduler", f"--kubeconfig={proc.file}")
    proc.component.end()
    assert proc.killed == []
    (proc.root / "8" / "cmdline").write_text("")
    proc.add(9, "kube-scheduler", f"--kubeconfig={proc.file}")
    proc.component.end()
    assert proc.killed == [(9, signal.SIGTERM)]


@pytest.mark.parametrize(
    ("urls", "expected"),
    [
        ("https://127.0.0.1:2379,https://172.30.0.40:2379", ("127.0.0.1", 2379)),
        ("https://[fd00::1]:2380", ("fd00::1", 2380)),
        ("", None),
        ("unix:///run/etcd", None),
    ],
)
def test_first_address(urls: str, expected: t.Any) -> None:
    assert static_pods.first_address(urls) == expected


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[t.Tuple[int, str]]:
    """Port and certificate of a server whose /healthz is well."""
    crt, key = certificate(tmp_path_factory.mktemp("tls"))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_args: t.Any) -> None:
            """Say nothing."""

    with serving(Handler, crt, key) as port:
        yield port, crt.read_text()


def test_what_a_server_presents(server: t.Tuple[int, str]) -> None:
    port, pem = server
    assert static_pods.presented("127.0.0.1", port) == x509.parse_pem(pem).fingerprint
    assert static_pods.is_healthy("127.0.0.1", port)


def test_nobody_answers() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    assert static_pods.presented("127.0.0.1", port) == ""
    assert not static_pods.is_healthy("127.0.0.1", port)
