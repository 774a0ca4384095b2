# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talks with the kernel's packet filter (nfnetlink), about its tables of nftables and its sets of addresses.

Private to this collection.
"""

from __future__ import annotations

import socket
import struct
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _netlink

REQUEST, ACKNOWLEDGE, DUMP = 0x1, 0x4, 0x300
_NETFILTER = 12


def attribute(kind: int, value: bytes) -> bytes:
    """An attribute of a message."""
    data = struct.pack("=HH", 4 + len(value), kind) + value
    return data + b"\0" * (-len(data) % 4)


def message(
    kind: int, flags: int, *, sequence: int = 1, family: int = 0, resource: int = 0, payload: bytes = b""
) -> bytes:
    """A message, of which several may follow one another."""
    body = struct.pack("=BB", family, 0) + struct.pack("!H", resource) + payload
    return struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0) + body


def ask(request: bytes) -> t.Iterator[_netlink.Message]:
    """What the kernel answers, up to the end of its list or its acknowledgement.

    :raises OSError: when it gives no answer.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as connection:
        connection.settimeout(5)
        connection.bind((0, 0))
        connection.send(request)
        while True:
            for answer in _netlink.messages(connection.recv(1 << 18)):
                yield answer
                if answer[0] in (_netlink.DONE, _netlink.ERROR):
                    return


def refusal(request: bytes, *allowed: int) -> int:
    """Ask, and return why the kernel refuses; 0 when it does not, or for a reason that is ``allowed``.

    :raises OSError: when it gives no answer.
    """
    codes = [-struct.unpack_from("=i", payload)[0] for kind, payload in ask(request) if kind == _netlink.ERROR]
    return next((code for code in codes if code not in (0, *allowed)), 0)
