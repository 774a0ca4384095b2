# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a kubelet runs with, and what is true by now."""

from __future__ import annotations

import http.server
import json
import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _processes
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import cluster_state
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet import kubelet
from ansible_collections.slipway.kubernetes.tests.unit.plugins.tls_fakes import certificate, serving

NOW = 1_000_000.0
STARTED = NOW - 1000
RUNS = {"MainPID": "1", "ExecMainStartTimestampMonotonic": "2"}


class Files:
    """The files of a kubelet, written at times of the test's."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.units = (str(root / "etc-units"), str(root / "usr-units"))
        monkeypatch.setattr(cluster_state, "KUBELET_FOLDER", str(root))
        monkeypatch.setattr(kubelet, "FLAGS", str(root / "kubeadm-flags.env"))
        monkeypatch.setattr(kubelet, "EXTRA", (str(root / "default-kubelet"),))
        monkeypatch.setattr(kubelet, "RECORD", str(root / "run" / "kubelet.json"))
        monkeypatch.setattr(kubelet, "UNITS", self.units)
        monkeypatch.setattr(_processes, "words", lambda pid: [] if pid == "0" else ["kubelet"])
        self.write("config.yaml", "maxPods: 110\n")

    def write(self, name: str, content: str, age: float = 2000) -> str:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        os.utime(path, (NOW - age, NOW - age))
        os.utime(path.parent, (NOW - 2000, NOW - 2000))
        return str(path)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    return Files(tmp_path, monkeypatch)


def outdated(process: str = "1 2", words: t.Sequence[str] = ()) -> str:
    return kubelet.outdated(process, STARTED, NOW, words)


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["kubelet", "--a=b", "--c"], ""),
        (["kubelet", "--name=x"], "x"),
        (["kubelet", "--name", "x", "--name=y=z"], "y=z"),
        (["kubelet", "--name"], ""),
    ],
)
def test_the_argument_that_counts(words: t.List[str], value: str) -> None:
    assert kubelet.argument(words, "name") == value


def test_the_files_that_count(files: Files) -> None:
    unit = files.write("etc-units/kubelet.service.d/10-kubeadm.conf", "[Service]\n")
    drop_in = files.write("drop-ins/deeper/10-mine.conf", "maxPods: 5\n")
    found = kubelet.configuration(["kubelet", "--config=/etc/k.yaml", f"--config-dir={files.root}/drop-ins"])
    assert {"/etc/k.yaml", drop_in, unit, kubelet.FLAGS} <= set(found) and found == sorted(found)
    assert f"{files.root}/config.yaml" in kubelet.configuration([])


def test_older_files_are_what_it_runs_with(files: Files) -> None:
    assert outdated() == ""
    files.write("kubeadm-flags.env", "KUBELET_KUBEADM_ARGS=--v=2\n", age=-60)
    assert outdated() == "", "a file from the future asks for a restart each time"


@pytest.mark.parametrize("name", ["config.yaml", "kubeadm-flags.env", "default-kubelet", "instance-config.yaml"])
def test_a_file_that_was_written_later(files: Files, name: str) -> None:
    path = files.write(name, "another\n", age=10)
    assert outdated() == f"it was started before {path} was changed"


def test_a_drop_in_that_was_taken_away(files: Files) -> None:
    path = files.write("etc-units/kubelet.service.d/20-mine.conf", "[Service]\n")
    assert outdated() == ""
    os.unlink(path)
    os.utime(os.path.dirname(path), (NOW - 10, NOW - 10))
    assert "kubelet.service.d was changed" in outdated()


def test_what_is_on_record_goes_before_times(files: Files) -> None:
    extra = files.write("default-kubelet", "KUBELET_EXTRA_ARGS=--v=3\n")
    kubelet.record(RUNS)
    files.write("config.yaml", "maxPods: 110\n", age=10)
    assert outdated() == "", "it was touched only"
    os.unlink(extra)
    assert outdated() == "its configuration was changed after it had started"
    files.write("default-kubelet", "KUBELET_EXTRA_ARGS=--v=3\n", age=10)
    assert outdated() == ""
    assert "was changed" in outdated("another process")


@pytest.mark.parametrize("text", ["", "no JSON", "[]"])
def test_a_record_that_is_none(files: Files, text: str) -> None:
    files.write("run/kubelet.json", text)
    assert kubelet.read_record() == {} and outdated() == ""


def test_a_record_is_written_once(files: Files) -> None:
    kubelet.record(RUNS)
    before = os.stat(kubelet.RECORD).st_ino
    kubelet.record(RUNS)
    assert os.stat(kubelet.RECORD).st_ino == before
    kubelet.record({**RUNS, "ExecMainStartTimestampMonotonic": "3"})
    assert kubelet.read_record()["process"] == "1 3"
    kubelet.record({**RUNS, "MainPID": "0"})
    assert kubelet.read_record()["process"] == "1 3", "it does not run"


@pytest.mark.parametrize(
    ("words", "node", "other"),
    [
        (["--hostname-override=Worker1"], "worker1", ""),
        (["--hostname-override=old"], "worker1", "old"),
        (["--hostname-override=old"], "", ""),
        ([], "worker1", ""),
    ],
)
def test_a_kubelet_that_was_told_another_name(words: t.List[str], node: str, other: str) -> None:
    assert kubelet.other_name(["kubelet", *words], node) == other


def test_the_name_that_it_will_go_by(files: Files) -> None:
    assert kubelet.told_name() == ""
    files.write("etc-units/kubelet.service.d/20-mine.conf", '# --hostname-override=no\nA="--hostname-override unit"\n')
    assert kubelet.told_name() == "unit"
    files.write("etc-units/kubelet.service.d/20-mine.conf", "A='--hostname-override  \"quoted\"'\n")
    assert kubelet.told_name() == "quoted"
    files.write("default-kubelet", "KUBELET_EXTRA_ARGS='--v=2 --hostname-override=Extra.example.org'\n")
    files.write("kubeadm-flags.env", 'KUBELET_KUBEADM_ARGS="--hostname-override=flag"\n')
    assert kubelet.told_name() == "extra.example.org"


ABSENT = {"kind": "Status", "reason": "NotFound", "details": {"name": "w1", "kind": "nodes"}, "code": 404}


@pytest.mark.parametrize(
    ("status", "answer", "node"),
    [
        (200, {"kind": "Node", "metadata": {}}, {"kind": "Node", "metadata": {}}),
        (404, ABSENT, {}),
        (404, {"kind": "Status", "reason": "NotFound", "details": {}}, None),
        (404, {"kind": "Status", "reason": "NotFound"}, None),
        (404, {"message": "no route"}, None),
        (403, {"kind": "Status", "reason": "Forbidden", "details": {"kind": "nodes"}}, None),
        (503, ABSENT, None),
        (200, {"kind": "Status"}, None),
        (404, [], None),
    ],
)
def test_only_an_api_server_says_that_there_is_no_node(status: int, answer: t.Any, node: t.Any) -> None:
    assert kubelet.node_of(status, answer) == node


@pytest.mark.parametrize(("status", "silent"), [("Unknown", True), ("False", False), ("True", False)])
def test_a_kubelet_that_is_not_heard_of(status: str, silent: bool) -> None:
    conditions = [{"type": "MemoryPressure", "status": "Unknown"}, {"type": "Ready", "status": status}]
    assert kubelet.is_silent({"status": {"conditions": conditions}}) is silent
    assert not kubelet.is_silent({})


class ApiServer(http.server.BaseHTTPRequestHandler):
    """Answers with one Node."""

    def do_GET(self) -> None:
        is_there = self.path == "/api/v1/nodes/w1"
        body = json.dumps({"kind": "Node"} if is_there else ABSENT).encode()
        self.send_response(200 if is_there else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PATCH(self) -> None:
        patch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["Content-Type"] == "application/merge-patch+json"
        assert patch == {"metadata": {"annotations": {"a": "b"}}}
        self.do_GET()

    def log_message(self, *_arguments: t.Any) -> None:
        """Say nothing."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Path]:
    """A kubeconfig that leads to an API server, with a certificate that is its own CA and the client's, too."""
    both, kubeconfig = tmp_path / "client.pem", tmp_path / "kubelet.conf"
    crt, key = certificate(tmp_path)
    both.write_text(crt.read_text() + key.read_text())
    monkeypatch.setattr(api_server, "AUTHORITY", str(crt))
    monkeypatch.setattr(kubelet, "CERTIFICATE", str(both))
    monkeypatch.setattr(kubelet, "KUBECONFIG", str(kubeconfig))
    with serving(ApiServer, crt, key, asks_clients=True) as port:
        kubeconfig.write_text(f"clusters:\n- cluster:\n    server: https://127.0.0.1:{port}\n")
        yield kubeconfig


def test_the_api_server_is_asked_with_the_certificate_of_the_kubelet(place: Path) -> None:
    assert kubelet.ask_for_node("w1") == {"kind": "Node"}
    assert kubelet.ask_for_node("w2") == {}
    assert kubelet.ask_for_node("") is None
    place.write_text("server: https://127.0.0.1:1\n")
    assert kubelet.ask_for_node("w2") is None
    place.unlink()
    assert kubelet.ask_for_node("w2") is None


def test_the_kubelet_annotates_its_own_node(place: Path) -> None:
    assert kubelet.annotate_node("w1", {"a": "b"})
    assert not kubelet.annotate_node("w2", {"a": "b"})


def test_without_a_certificate_nothing_is_known(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubelet, "CERTIFICATE", str(place.parent / "absent"))
    assert kubelet.ask_for_node("w2") is None


def test_the_command_line() -> None:
    assert kubelet.command_line("0") == kubelet.command_line("") == []
    assert kubelet.command_line(str(os.getpid()))
