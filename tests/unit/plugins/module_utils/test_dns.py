# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that is asked for a name, and what may come back."""

from __future__ import annotations

import socket
import struct
import threading
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _dns

NAME = b"\x01a\x07example\x00"
A, AAAA, CNAME = 1, 28, 5


def record(kind: int, data: bytes, name: bytes = b"\xc0\x0c") -> bytes:
    return name + struct.pack(">HHIH", kind, 1, 30, len(data)) + data


def answer(asked: bytes, *records: bytes, code: int = 0, flags: int = 0x8180) -> bytes:
    return asked[:2] + struct.pack(">5H", flags | code, 1, len(records), 0, 0) + asked[12:] + b"".join(records)


FOUR, SIX = record(A, bytes([192, 0, 2, 7])), record(AAAA, bytes(15) + b"\x01")


def test_what_is_asked() -> None:
    expected = b"\x12\x34\x01\x00\x00\x01" + bytes(6) + NAME + b"\x00\x01\x00\x01"
    assert _dns.question(0x1234, "a.example.", "A") == _dns.question(0x1234, "a.example", "A") == expected
    assert _dns.question(1, "a.example", "AAAA")[-4:] == b"\x00\x1c\x00\x01"


def test_the_addresses_of_an_answer() -> None:
    asked = _dns.question(7, "a.example", "A")
    other = record(CNAME, b"\x01b\xc0\x0e")
    assert _dns.addresses(answer(asked, other, record(A, bytes([192, 0, 2, 7]), b"\x01b\xc0\x0e")), asked, "A") == [
        "192.0.2.7"
    ]
    assert _dns.addresses(answer(asked, SIX), asked, "AAAA") == ["::1"]
    assert _dns.addresses(answer(asked, SIX), asked, "A") == _dns.addresses(answer(asked), asked, "A") == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda asked: answer(asked, code=3), "NXDOMAIN"),
        (lambda asked: answer(asked, code=2), "SERVFAIL"),
        (lambda asked: answer(asked, code=9), "error 9"),
        (lambda asked: b"\xff\xff" + answer(asked)[2:], "something else than an answer"),
        (lambda asked: asked, "something else than an answer"),
        (lambda asked: b"", "makes no sense"),
        (lambda asked: answer(asked, FOUR)[:-2], "makes no sense"),
        (lambda asked: answer(asked)[:20], "makes no sense"),
        (lambda asked: answer(asked, FOUR[:4]), "makes no sense"),
    ],
)
def test_answers_that_are_none(change: t.Callable[[bytes], bytes], said: str) -> None:
    asked = _dns.question(7, "a.example", "A")
    with pytest.raises(_dns.DnsError, match=said):
        _dns.addresses(change(asked), asked, "A")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[t.Dict[bytes, t.Sequence[bytes]]]:
    """A server on this machine that answers by the kind that is asked for; one that is not in it gets no answer."""
    known: t.Dict[bytes, t.Sequence[bytes]] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        monkeypatch.setattr(_dns, "PORT", listening.getsockname()[1])

        def serve() -> None:
            while True:
                asked, peer = listening.recvfrom(512)
                if not asked:
                    return
                if asked[-3:-2] in known:
                    listening.sendto(answer(asked, *known[asked[-3:-2]]), peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield known
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", listening.getsockname())
        thread.join()


def test_a_server_that_knows_a_name(server: t.Dict[bytes, t.Sequence[bytes]]) -> None:
    server.update({bytes([A]): [FOUR], bytes([AAAA]): []})
    assert _dns.problem("127.0.0.1", "a.example") == ""
    assert _dns.problem("127.0.0.1", "a.example", ["192.0.2.7"]) == ""
    said = _dns.problem("127.0.0.1", "a.example", ["192.0.2.8"])
    assert said == "127.0.0.1 has 192.0.2.7 for a.example, and not 192.0.2.8"
    server.update({bytes([A]): []})
    assert _dns.problem("127.0.0.1", "a.example") == "127.0.0.1 has no address for a.example"
    server.update({bytes([AAAA]): [SIX]})
    assert _dns.problem("127.0.0.1", "a.example", ["0:0::1"]) == ""


def test_a_server_that_answers_for_one_kind_only(server: t.Dict[bytes, t.Sequence[bytes]]) -> None:
    server.update({bytes([A]): [FOUR]})
    assert _dns.problem("127.0.0.1", "a.example", timeout=0.05) == ""
    assert "no answer" in _dns.problem("127.0.0.1", "a.example", ["192.0.2.7", "::1"], timeout=0.05)


def test_a_server_that_does_not_answer(server: t.Dict[bytes, t.Sequence[bytes]]) -> None:
    said = _dns.problem("127.0.0.1", "a.example", timeout=0.05)
    assert said.startswith("127.0.0.1 is asked for a.example: no answer (") and not server
