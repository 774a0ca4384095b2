# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listening and connecting, on the loopback interface."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import neighbours, peers
from ansible_collections.slipway.kubernetes.plugins.modules import peer_listen, peer_probe
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

HERE = "127.0.0.1"


@pytest.fixture(autouse=True)
def control(monkeypatch: pytest.MonkeyPatch) -> None:
    """A control socket of our own."""
    monkeypatch.setattr(peers, "_CONTROL", f"\0slipway-listen-test-{os.getpid()}")
    monkeypatch.setattr(peers, "_LINGER", 0.2)


def free(kind: int = socket.SOCK_STREAM) -> int:
    """A port that nobody has."""
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind((HERE, 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def listening(*ports: t.Mapping[str, t.Any], timeout: float = 10) -> t.Iterator[threading.Thread]:
    """A listener, named w1, in a thread."""
    listener = peers.Listener("w1", HERE, ports)
    thread = threading.Thread(target=listener.serve, args=(timeout,))
    thread.start()
    try:
        yield thread
    finally:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as control:
            control.connect(peers._CONTROL)
        thread.join()
        listener.close()


def peer(port: int, protocol: str = "tcp", host: str = "w1", **more: t.Any) -> t.Dict[str, t.Any]:
    return {"host": host, "address": HERE, "port": port, "protocol": protocol, **more}


def test_connections_that_work(run_module: ModuleRunner) -> None:
    tcp, udp = free(), free(socket.SOCK_DGRAM)
    ports = [{"protocol": "tcp", "port": tcp, "peers": ["cp1"]}, {"protocol": "udp", "port": udp, "peers": ["cp1"]}]
    with listening(*ports) as thread:
        began = time.monotonic()
        found = run_module(peer_probe.main, {"name": "cp1", "peers": [peer(tcp), peer(udp, "udp")]}, check=True)
        # It ends when all expected peers were there, and the port is free again.
        thread.join(5)
        assert not thread.is_alive() and time.monotonic() - began < 5
    result = found["ansible_facts"]["slipway_peers"]
    assert (result["failures"], result["vip_holder"], result["vrrp"]) == ([], "", [])
    ahead, behind = result["clocks"]["w1"]
    assert -1 < ahead <= 0 <= behind < 1
    with socket.socket(socket.AF_INET) as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind((HERE, tcp))


def test_connections_that_do_not_work() -> None:
    port, silent = free(), free(socket.SOCK_DGRAM)
    with listening({"protocol": "tcp", "port": port, "peers": ["cp1", "cp2"]}):
        assert peers.connect("cp1", peer(port, host="w2"), 1) == ("w1 answers there", None)
        assert peers.connect("cp1", peer(port, answer=False), 1) == ("", None)
        assert peers.connect("cp2", peer(port), 1)[0] == ""
    assert peers.connect("cp1", peer(port), 1) == ("connection refused", None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind((HERE, silent))
        assert peers.connect("cp1", peer(silent, "udp"), 0.2) == ("no answer in 0.2 s", None)


def test_something_else_that_answers() -> None:
    with socket.create_server((HERE, 0)) as server:

        def serve() -> None:
            connection = server.accept()[0]
            connection.recv(100)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n")
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        assert peers.connect("cp1", peer(server.getsockname()[1]), 2)[0] == "something else answers there"
        thread.join()


@pytest.mark.parametrize("message", [b"", b"{", b"[]", b'["slipway"]', b'["other", "x"]', b"7"])
def test_messages_of_others(message: bytes) -> None:
    assert peers.parse(message) is None


def test_a_port_that_is_taken_and_a_listener_that_is_replaced() -> None:
    with socket.create_server((HERE, 0)) as server:
        port = {"protocol": "tcp", "port": server.getsockname()[1], "peers": []}
        listener = peers.Listener("w1", HERE, [port])
        assert [item["port"] for item in listener.busy] == [port["port"]]
        listener.close()
    other = {"protocol": "tcp", "port": free(), "peers": ["cp1"]}
    with listening(other) as thread:
        first = threading.Thread(target=lambda: None)
        first.start()
        # The process of the first one closes its control socket when it ends; here it is the thread that ends.
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(peers._CONTROL)
        thread.join(5)
        assert not thread.is_alive()


@pytest.mark.usefixtures("clock")
def test_a_listener_that_does_not_end(run_module: ModuleRunner) -> None:
    with socket.socket(socket.AF_UNIX) as control:
        control.bind(peers._CONTROL)
        control.listen(100)
        result = run_module(peer_listen.main, {"name": "w1", "address": HERE, "ports": [{"port": 1}]})
    assert result["failed"] and "does not end" in result["msg"]


def test_the_module_leaves_a_process_that_answers(run_module: ModuleRunner) -> None:
    port = free()
    options = {"name": "w1", "address": HERE, "ports": [{"port": port, "peers": ["cp1"]}], "timeout": 5}
    result = run_module(peer_listen.main, options)
    assert (result["changed"], result["failed"], result["busy"]) == (False, False, [])
    assert peers.connect("cp1", peer(port), 2)[0] == ""
    assert peers.connect("cp1", peer(port), 2)[0] == "connection refused"


def test_arp() -> None:
    mac = bytes.fromhex("024200000001")
    asked = neighbours.arp_probe(mac, "192.0.2.100")
    assert len(asked) == 42 and asked[:6] == b"\xff" * 6 and asked[38:42] == socket.inet_aton("192.0.2.100")
    answer = asked[:22] + bytes.fromhex("024200000009") + socket.inet_aton("192.0.2.100") + asked[32:]
    assert neighbours.arp_sender(answer, "192.0.2.100") == "02:42:00:00:00:09"
    assert neighbours.arp_sender(answer, "192.0.2.101") == ""
    assert neighbours.arp_sender(asked, "192.0.2.100") == ""
    assert neighbours.arp_sender(b"", "192.0.2.100") == ""


def packet(first: int = 0x21, count: int = 1) -> bytes:
    """An advertisement of router 51 for 192.0.2.77, as keepalived sends it."""
    header = bytes([0x45, 0xC0, 0, 40, 0, 1, 0, 0, 255, 112, 0, 0])
    body = bytes([first, 51, 100, count, 1, 1, 0, 0]) + socket.inet_aton("192.0.2.77")
    return header + socket.inet_aton("192.0.2.2") + socket.inet_aton("224.0.0.18") + body


def test_vrrp() -> None:
    expected = {"sender": "192.0.2.2", "router_id": 51, "addresses": ["192.0.2.77"]}
    assert neighbours.parse_advertisement(packet()) == expected
    assert neighbours.parse_advertisement(packet(0x31)) == expected
    assert neighbours.parse_advertisement(packet(count=9)) == expected
    for other in (packet(0x11), packet(0x22), b"", packet()[:24]):
        assert neighbours.parse_advertisement(other) is None


class Wire:
    """A raw socket on which recorded packets come in, and silence after that."""

    def __init__(self, *packets: bytes) -> None:
        self.packets = list(packets)
        self.sent: t.List[bytes] = []

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_error: t.Any) -> None:
        return None

    def bind(self, _place: t.Any) -> None:
        return None

    def settimeout(self, _seconds: float) -> None:
        return None

    def setsockopt(self, *_option: t.Any) -> None:
        return None

    def getsockname(self) -> t.Tuple[t.Any, ...]:
        return ("eth0", 0, 0, 1, bytes.fromhex("024200000001"))

    def send(self, frame: bytes) -> None:
        self.sent.append(frame)

    def recv(self, _size: int) -> bytes:
        if not self.packets:
            time.sleep(0.02)
            raise socket.timeout
        return self.packets.pop(0)


def wired(monkeypatch: pytest.MonkeyPatch, wire: Wire) -> None:
    monkeypatch.setattr(socket, "if_nametoindex", lambda _name: 1)
    monkeypatch.setattr(socket, "socket", lambda *_arguments: wire)


def test_who_has_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = neighbours.arp_probe(bytes.fromhex("024200000001"), "192.0.2.100")
    own = asked[:28] + socket.inet_aton("192.0.2.100") + asked[32:]
    other = own[:22] + bytes.fromhex("024200000009") + own[28:]
    wired(monkeypatch, Wire(asked, own, other))
    assert neighbours.who_has("eth0", "192.0.2.100", 0.2) == "02:42:00:00:00:09"
    wire = Wire(asked)
    wired(monkeypatch, wire)
    assert neighbours.who_has("eth0", "192.0.2.100", 0.1) == "" and wire.sent


def test_who_speaks_vrrp(monkeypatch: pytest.MonkeyPatch) -> None:
    wired(monkeypatch, Wire(packet(), packet(), packet(0x11)))
    assert [seen["router_id"] for seen in neighbours.vrrp_speakers("eth0", 0.1)] == [51]


def test_the_segment_is_looked_at(run_module: ModuleRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "who_has", lambda *_arguments: "02:42:00:00:00:09")
    monkeypatch.setattr(neighbours, "vrrp_speakers", lambda *_arguments: [])
    options = {"name": "cp1", "vip": "192.0.2.100", "interface": "eth0"}
    found = run_module(peer_probe.main, options)["ansible_facts"]["slipway_peers"]
    assert found["vip_holder"] == "02:42:00:00:00:09"

    def forbidden(*_arguments: t.Any) -> str:
        raise PermissionError("not permitted")

    monkeypatch.setattr(neighbours, "who_has", forbidden)
    assert "could not be looked at: not permitted" in run_module(peer_probe.main, options)["msg"]
