# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import collections.abc
import http.server
import json
import socket
import ssl
import struct
import subprocess
import threading
import time
import types
import typing as t
from pathlib import Path

import probe
import pytest
import yaml

# The longest time that this machine may pause without a wrong result.
PATIENCE = 1.5


class Api(http.server.BaseHTTPRequestHandler):
    """Serves ConfigMaps; ``mode`` of the server says what it does to new requests."""

    def answer(self, status: int, body: object = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def handle_one_request(self) -> None:
        super().handle_one_request()
        self.close_connection = True

    def prevented(self) -> bool:
        self.server.paths.append(self.path)
        mode = self.server.mode
        if mode == "refuse":
            self.answer(503)
        elif mode == "hang":
            self.server.released.wait(10)
        return mode in ("refuse", "hang")

    def do_GET(self) -> None:
        if self.prevented():
            return
        self.answer(200, {"items": self.server.items})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.prevented():
            return
        if self.server.mode != "forget":
            self.server.items.append(body)
        self.answer(201, body)

    def do_DELETE(self) -> None:
        self.server.items.clear()
        self.answer(200)

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def server() -> collections.abc.Iterator[http.server.ThreadingHTTPServer]:
    """A server on a free port."""
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    made.mode, made.items, made.paths, made.released = "answer", [], [], threading.Event()
    thread = threading.Thread(target=made.serve_forever, args=(0.02,))
    thread.start()
    yield made
    made.released.set()
    made.shutdown()
    made.server_close()
    thread.join()


def until(condition: collections.abc.Callable[[], bool]) -> None:
    """Wait for something that takes longer on a busy machine."""
    end = time.monotonic() + 30
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()


def client(server: http.server.HTTPServer) -> probe.Client:
    return probe.Client(f"http://127.0.0.1:{server.server_port}")


def test_all_is_well(server: http.server.ThreadingHTTPServer) -> None:
    with probe.Probe("web", client(server), interval=0.02) as web:
        until(lambda: len(server.paths) >= 6)
    report = web.report
    assert report.requests >= 5
    assert (report.failed, report.first_failure, report.last_failure) == (0, None, None)
    assert (report.errors, report.lost) == ({}, [])
    assert report.longest_gap < PATIENCE
    assert str(report).startswith(f"web: {report.requests} requests, 0 failed, longest gap ")
    assert "failures from" not in str(report)


def test_errors_are_counted(server: http.server.ThreadingHTTPServer) -> None:
    with probe.Probe("web", client(server), interval=0.02) as web:
        until(lambda: len(web.acknowledged()) >= 1)
        server.mode = "refuse"
        asked = len(server.paths)
        until(lambda: len(server.paths) >= asked + 5)
        answered = len(web.acknowledged())
        server.mode = "answer"
        until(lambda: len(web.acknowledged()) > answered)
    report = web.report
    assert 0 < report.failed < report.requests
    assert report.errors == {"HTTP 503": report.failed}
    assert 0 < report.first_failure <= report.last_failure
    assert f"({report.failed} HTTP 503)" in str(report)


def test_requests_that_hang_do_not_hide_the_next_ones(server: http.server.ThreadingHTTPServer) -> None:
    server.mode = "hang"
    with probe.Probe("web", client(server), interval=0.02, timeout=4) as web:
        until(lambda: len(server.paths) >= 3)
        server.mode = "answer"
        until(lambda: len(web.acknowledged()) >= 1)
        # Those that hang have not come to their end yet.
        assert web.report.failed == 0
    assert web.report.failed >= 3
    assert web.report.errors == {"timeout": web.report.failed}


def test_an_answer_in_drops_is_too_late(
    server: http.server.ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each drop comes in time, all of them together do not."""
    moments = iter([0.0, 30.1])
    monkeypatch.setattr(probe, "time", types.SimpleNamespace(monotonic=lambda: next(moments)))
    with pytest.raises(probe.AnswerError, match="too late"):
        client(server).request("GET", timeout=30)


def test_nobody_listens(server: http.server.ThreadingHTTPServer) -> None:
    with probe.Probe("web", probe.Client("http://127.0.0.1:1"), interval=0.02) as web:
        time.sleep(0.1)
    assert web.report.failed == web.report.requests > 0
    assert set(web.report.errors) == {"ConnectionRefusedError"}
    assert web.report.longest_gap >= 0.1


def test_reads_ask_for_an_object(server: http.server.ThreadingHTTPServer) -> None:
    with probe.ApiRead("read", client(server), interval=0.02) as read:
        time.sleep(0.1)
    assert read.report.failed == 0
    assert set(server.paths) == {"/api/v1/namespaces/kube-system"}


def test_writes_are_there_and_are_removed(server: http.server.ThreadingHTTPServer) -> None:
    with probe.ApiWrite("write", client(server), interval=0.02) as write:
        time.sleep(0.2)
        names = [item["metadata"]["name"] for item in server.items]
    assert write.report.failed == 0
    assert write.report.lost == []
    assert len(names) == len(set(names)) > 0
    assert server.items == []


def test_lost_writes_are_found(server: http.server.ThreadingHTTPServer) -> None:
    with probe.ApiWrite("write", client(server), interval=0.02) as write:
        time.sleep(0.1)
        server.mode = "forget"
        time.sleep(0.1)
    assert write.report.failed == 0
    assert 0 < len(write.report.lost) < write.report.requests
    assert f"{len(write.report.lost)} LOST WRITES" in str(write.report)


def test_several_are_printed(server: http.server.ThreadingHTTPServer, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = (probe.Probe(name, client(server), interval=0.02) for name in ("one", "two"))
    with probe.probes(one, two) as reports:
        assert reports == []
        time.sleep(0.1)
    assert [report.name for report in reports] == ["one", "two"]
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()] == ["one", "two"]


def test_time_after_the_end_is_no_gap(server: http.server.ThreadingHTTPServer) -> None:
    class Slow(probe.Probe):
        def check(self) -> list[str]:
            time.sleep(PATIENCE)
            return []

    read = probe.Probe("read", client(server), interval=0.02)
    with probe.probes(read, Slow("slow", client(server), interval=0.02)):
        time.sleep(0.1)
    assert read.report.longest_gap < PATIENCE


def test_gaps_count_from_the_start_to_the_end() -> None:
    def report(*outcomes: probe.Outcome) -> probe.Report:
        return probe.summarize("x", outcomes, 100.0, 110.0)

    assert report().longest_gap == 10
    assert report(probe.Outcome(0, 100, 104)).longest_gap == 6
    # A request that was sent before others may be answered after them.
    late = report(probe.Outcome(0, 100, 103), probe.Outcome(1, 101, 102), probe.Outcome(2, 102, 109, "timeout"))
    assert (late.longest_gap, late.first_failure, late.last_failure) == (7, 2, 2)
    # One that ends after the end counts, too.
    assert report(probe.Outcome(0, 100, 109), probe.Outcome(1, 109.5, 111)).longest_gap == 9


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    """A kubeconfig for a server on 127.0.0.1 whose certificate is its own authority; it serves as the user's, too."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    argv = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=test"
    argv += f" -addext subjectAltName=IP:127.0.0.1 -keyout {key} -out {certificate}"
    subprocess.run(argv.split(), check=True, capture_output=True)
    trust, secret = (base64.b64encode(path.read_bytes()).decode() for path in (certificate, key))
    cluster = {"server": "https://127.0.0.1:1", "certificate-authority-data": trust}
    user = {"client-certificate-data": trust, "client-key-data": secret}
    config = tmp_path / "admin.conf"
    config.write_text(yaml.safe_dump({"clusters": [{"cluster": cluster}], "users": [{"user": user}]}))
    return config


def test_certificates_of_a_kubeconfig(kubeconfig: Path, server: http.server.ThreadingHTTPServer) -> None:
    folder = kubeconfig.parent
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "certificate.pem"))
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
    asked = probe.api_client(kubeconfig, f"https://127.0.0.1:{server.server_port}")
    assert json.loads(asked.request("GET", "/x")) == {"items": []}
    assert probe.api_client(kubeconfig.read_text(), f"https://127.0.0.1:{server.server_port}").request("GET")
    # Its certificate does not name localhost.
    named = probe.Probe("named", probe.api_client(kubeconfig, f"https://localhost:{server.server_port}"), interval=0.02)
    with named:
        time.sleep(0.1)
    assert set(named.report.errors) == {"SSLCertVerificationError"}
    with pytest.raises(ConnectionRefusedError):
        probe.api_client(kubeconfig).request("GET")


def test_by_hand(
    server: http.server.ThreadingHTTPServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr("sys.argv", ["probe.py", "--get", url, "--seconds", "0.3"])
    probe.main()
    assert capsys.readouterr().out.startswith(f"{url}: ")


class NameServer(threading.Thread):
    """Answers questions by UDP with what ``answer`` makes of them."""

    def __init__(self, answer: t.Callable[[bytes], bytes]) -> None:
        super().__init__(daemon=True)
        self._answer = answer
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]

    def run(self) -> None:
        question, client = self._socket.recvfrom(4096)
        self._socket.sendto(self._answer(question), client)


def dns_answer(question: bytes, flags: int = 0x8180, records: int = 1, number: int = 0) -> bytes:
    (asked,) = struct.unpack("!H", question[:2])
    return struct.pack("!6H", number or asked, flags, 1, records, 0, 0) + question[12:]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (dns_answer, ""),
        (lambda question: dns_answer(question, flags=0x8183, records=0), "DNS code 3, 0 records"),
        (lambda question: dns_answer(question, records=0), "DNS code 0, 0 records"),
        (lambda question: dns_answer(question, number=9), "no answer to this question"),
        (lambda question: question, "no answer to this question"),
        (lambda _question: b"hello", "no DNS"),
    ],
)
def test_a_name_is_asked_for(answer: t.Callable[[bytes], bytes], error: str) -> None:
    server = NameServer(answer)
    server.start()
    asked = probe.Name("name", "127.0.0.1", port=server.port)
    if error:
        with pytest.raises(probe.AnswerError, match=error):
            asked.ask(7)
    else:
        asked.ask(7)
    server.join()


def test_a_question_for_a_name() -> None:
    assert probe.dns_question(258, "a.bc") == bytes.fromhex("01020100000100000000000001610262630000010001")
