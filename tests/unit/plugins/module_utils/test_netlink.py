# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import socket
import struct
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _netlink

#: Recorded from Linux 6.18 in a network namespace of its own: lo, eth0 with two IPv4 addresses, and IPv6 addresses that
#: are lasting, temporary, deprecated and link-local, and its peer veth1.
RECORDED = json.loads((Path(__file__).parents[1] / "fixtures/host/netlink.json").read_text(encoding="utf-8"))


def recorded(name: str) -> t.List[_netlink.Message]:
    return [(kind, bytes.fromhex(payload)) for kind, payload in RECORDED[name]]


def packed(kind: int, payload: bytes) -> bytes:
    return struct.pack("=IHHII", 16 + len(payload), kind, 0, 1, 0) + payload + b"\0" * (-len(payload) % 4)


class Kernel:
    """A socket that answers with ``packets``."""

    def __init__(self, *packets: bytes) -> None:
        self.packets = list(packets)
        self.sent = b""

    def __call__(self, *_arguments: int) -> Kernel:
        return self

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def settimeout(self, seconds: float) -> None:
        pass

    def bind(self, address: t.Tuple[int, int]) -> None:
        pass

    def send(self, data: bytes) -> None:
        self.sent = data

    def recv(self, size: int) -> bytes:
        return self.packets.pop(0)


def test_interfaces_and_addresses_lasting_ones_first() -> None:
    veth, eth = _netlink.parse_interfaces(recorded("links"), recorded("addresses"))
    assert veth == {"name": "veth1", "mac": "02:00:00:00:00:02", "state": "up", "addresses": []}
    assert (eth["name"], eth["mac"], eth["state"]) == ("eth0", "02:00:00:00:00:01", "up")
    assert eth["addresses"] == [
        {"address": "192.0.2.10", "prefix": 24, "family": 4},
        {"address": "192.0.2.100", "prefix": 24, "family": 4},
        {"address": "2001:db8::10", "prefix": 64, "family": 6},
        {"address": "2001:db8::4585:aa8b:e5ff:b8ea", "prefix": 64, "family": 6, "temporary": True},
        {"address": "2001:db8::5", "prefix": 64, "family": 6, "temporary": True},
    ]


def test_messages_of_other_kinds_are_passed_over() -> None:
    links = [(3, b""), *recorded("links")]
    assert len(_netlink.parse_interfaces(links, [(3, b""), *recorded("addresses")])) == 2


def test_an_unknown_state() -> None:
    link = struct.pack("=BxHiII", 0, 1, 7, 0, 0) + struct.pack("=HHBxxx", 5, 16, 99)
    assert _netlink.parse_interfaces([(16, link)], [])[0]["state"] == "unknown"


def test_dump_reads_until_done(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(packed(16, b"abcde") + packed(16, b"fg"), packed(16, b"h") + packed(3, b"\0\0\0\0"))
    monkeypatch.setattr(socket, "socket", kernel)
    assert _netlink.dump(18) == [(16, b"abcde"), (16, b"fg"), (16, b"h")]
    assert struct.unpack_from("=IHH", kernel.sent) == (20, 18, 0x301)
    assert len(kernel.sent) == 20


def test_no_interfaces_when_the_kernel_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", Kernel(packed(2, struct.pack("=i", -1))))
    assert _netlink.interfaces() == []


@pytest.mark.parametrize(
    ("number", "remove", "refused"),
    [(0, False, False), (17, False, False), (17, True, True), (0, True, False), (99, True, False), (1, False, True)],
)
def test_an_address_is_changed(monkeypatch: pytest.MonkeyPatch, number: int, remove: bool, refused: bool) -> None:
    kernel = Kernel(packed(2, struct.pack("=i", -number)))
    monkeypatch.setattr(socket, "socket", kernel)
    monkeypatch.setattr(socket, "if_nametoindex", lambda _name: 7)
    if refused:
        with pytest.raises(OSError, match=r"cni0: 10\.244\.3\.1/24: "):
            _netlink.change_address("cni0", "10.244.3.1/24", remove)
    else:
        _netlink.change_address("cni0", "10.244.3.1/24", remove)
    [(kind, payload)] = _netlink.messages(kernel.sent)
    assert kind == (21 if remove else 20) and payload[:8] == struct.pack("=BBBBI", 2, 24, 0, 0, 7)
    assert _netlink.attributes(payload[8:]) == dict.fromkeys((1, 2), bytes([10, 244, 3, 1]))


def test_an_address_of_ipv6() -> None:
    [(_kind, payload)] = _netlink.messages(_netlink.address_request(7, "fd00::1/64"))
    assert payload[:2] == struct.pack("=BB", 10, 64) and len(_netlink.attributes(payload[8:])[1]) == 16


def test_broken_lengths_end_the_reading() -> None:
    assert list(_netlink.messages(b"\0" * 16)) == []
    assert _netlink.attributes(b"\0" * 4) == {}


def test_interfaces_of_this_machine() -> None:
    for interface in _netlink.interfaces():
        assert interface["name"] != "lo"
        for address in interface["addresses"]:
            assert socket.inet_pton(socket.AF_INET if address["family"] == 4 else socket.AF_INET6, address["address"])
