# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network interfaces and addresses by rtnetlink(7): neither `ip` nor its output is needed.

Private to this collection.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
import typing as t

_GET_LINK, _NEW_LINK, _GET_ADDRESS, _NEW_ADDRESS, _DELETE_ADDRESS = 18, 16, 22, 20, 21
ERROR, DONE = 2, 3
_REQUEST_DUMP = 0x301
#: NLM_F_REQUEST and NLM_F_ACK; NLM_F_CREATE and NLM_F_EXCL, too, which mean something else when it is to delete.
_REQUEST_DELETE, _REQUEST_NEW = 0x005, 0x605
_LINK_ADDRESS, _LINK_NAME, _LINK_STATE = 1, 3, 16
_ADDRESS, _LOCAL, _FLAGS = 1, 2, 8
_LOOPBACK = 0x8
#: Privacy extensions, deprecated, and addresses whose duplicate detection failed: no address for a node.
_TEMPORARY, _FAILED, _DEPRECATED = 0x01, 0x08, 0x20
_GLOBAL_SCOPES = range(253)
_STATES = ("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up")

Message = t.Tuple[int, bytes]


def messages(data: bytes) -> t.Iterator[Message]:
    """Type and payload of each message in what the kernel sent."""
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        if length < 16:
            return
        yield kind, data[16:length]
        data = data[(length + 3) & ~3 :]


def attributes(data: bytes) -> t.Dict[int, bytes]:
    """Attributes of a message: number and value."""
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            break
        found[kind & 0x3FFF] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found


def parse_interfaces(links: t.Iterable[Message], addresses: t.Iterable[Message]) -> t.List[t.Dict[str, t.Any]]:
    """Interfaces but the loopback one, with their addresses of more than link scope, lasting ones first.

    Those that do not last are ``temporary``.
    """
    interfaces: t.Dict[int, t.Dict[str, t.Any]] = {}
    for kind, payload in links:
        if kind != _NEW_LINK:
            continue
        _family, _type, index, flags = struct.unpack_from("=BxHiI", payload)
        values = attributes(payload[16:])
        if flags & _LOOPBACK:
            continue
        state = values.get(_LINK_STATE, b"\0")[0]
        interfaces[index] = {
            "name": values.get(_LINK_NAME, b"").rstrip(b"\0").decode("utf-8", "replace"),
            "mac": ":".join(f"{byte:02x}" for byte in values.get(_LINK_ADDRESS, b"")),
            "state": _STATES[state] if state < len(_STATES) else "unknown",
            "addresses": [],
        }
    passing: t.List[t.Tuple[int, t.Dict[str, t.Any]]] = []
    for kind, payload in addresses:
        if kind != _NEW_ADDRESS:
            continue
        family, prefix, flags, scope, index = struct.unpack_from("=BBBBI", payload)
        values = attributes(payload[8:])
        raw = values.get(_LOCAL, values.get(_ADDRESS, b""))
        if index not in interfaces or scope not in _GLOBAL_SCOPES or len(raw) not in (4, 16):
            continue
        if _FLAGS in values:
            flags = struct.unpack("=I", values[_FLAGS])[0]
        version = 4 if len(raw) == 4 else 6
        entry = {"address": socket.inet_ntop(family, raw), "prefix": prefix, "family": version}
        # Flag 1 of an IPv4 address says that it is a secondary one, which lasts as well.
        if version == 6 and flags & (_TEMPORARY | _FAILED | _DEPRECATED):
            passing.append((index, {**entry, "temporary": True}))
        else:
            interfaces[index]["addresses"].append(entry)
    for index, entry in passing:
        interfaces[index]["addresses"].append(entry)
    return [interfaces[index] for index in sorted(interfaces)]


def ask(request: bytes) -> t.List[Message]:
    """All messages with which the kernel answers, without the end of its list or its acknowledgement.

    :raises OSError: when the kernel refuses, or gives no answer.
    """
    found: t.List[Message] = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as connection:
        connection.settimeout(5)
        connection.bind((0, 0))
        connection.send(request)
        while True:
            for kind, payload in messages(connection.recv(1 << 18)):
                number = -struct.unpack_from("=i", payload)[0] if kind == ERROR else 0
                if number:
                    raise OSError(number, os.strerror(number))
                if kind in (DONE, ERROR):
                    return found
                found.append((kind, payload))


def dump(kind: int) -> t.List[Message]:
    """All messages with which the kernel answers a request.

    :raises OSError: when the kernel gives no answer.
    """
    return ask(struct.pack("=IHHIIB3x", 20, kind, _REQUEST_DUMP, 1, 0, 0))


def interfaces() -> t.List[t.Dict[str, t.Any]]:
    """Interfaces of this machine but the loopback one; none when the kernel gives no answer."""
    try:
        return parse_interfaces(dump(_GET_LINK), dump(_GET_ADDRESS))
    except OSError:
        return []


def change_address(interface: str, address: str, remove: bool = False) -> None:
    """Give an interface an address, written with its prefix, or take it away; what is so already is left.

    :raises OSError: when the kernel refuses.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as connection:
        connection.settimeout(5)
        connection.bind((0, 0))
        connection.send(address_request(socket.if_nametoindex(interface), address, remove))
        for kind, payload in messages(connection.recv(1 << 16)):
            number = -struct.unpack_from("=i", payload)[0] if kind == ERROR else 0
            if number not in (0, errno.EADDRNOTAVAIL if remove else errno.EEXIST):
                raise OSError(number, f"{interface}: {address}: {os.strerror(number)}")


def address_request(index: int, address: str, remove: bool = False) -> bytes:
    """The message that gives the interface with that index an address, or takes it away."""
    parsed = ipaddress.ip_interface(address)
    family = socket.AF_INET if parsed.version == 4 else socket.AF_INET6
    raw = parsed.ip.packed
    payload = struct.pack("=BBBBI", family, parsed.network.prefixlen, 0, 0, index)
    numbers = [_LOCAL, _ADDRESS]
    payload += b"".join(struct.pack("=HH", 4 + len(raw), number) + raw for number in numbers)
    kind, flags = (_DELETE_ADDRESS, _REQUEST_DELETE) if remove else (_NEW_ADDRESS, _REQUEST_NEW)
    return struct.pack("=IHHII", 16 + len(payload), kind, flags, 1, 0) + payload
