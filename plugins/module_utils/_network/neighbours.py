# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions to the network segment that an interface is in: who has an address, and who speaks VRRP there.

Private to this collection.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
import typing as t

_ARP = 0x0806
_BROADCAST = b"\xff" * 6
_VRRP_PROTOCOL = 112
_VRRP_GROUP = "224.0.0.18"
#: ip_mreqn of ip(7): group, own address, number of the interface.
_MEMBERSHIP = "4s4si"


def arp_probe(own_mac: bytes, address: str) -> bytes:
    """The frame that asks who has the address, without saying an address of our own (RFC 5227)."""
    header = _BROADCAST + own_mac + struct.pack("!H", _ARP)
    return header + struct.pack(
        "!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, own_mac, bytes(4), bytes(6), socket.inet_aton(address)
    )


def arp_sender(frame: bytes, address: str) -> str:
    """The MAC address of who says in this frame that it has the address; empty when it is about something else."""
    if len(frame) < 42 or frame[12:14] != struct.pack("!H", _ARP) or frame[28:32] != socket.inet_aton(address):
        return ""
    return ":".join(f"{byte:02x}" for byte in frame[22:28])


def who_has(interface: str, address: str, timeout: float) -> str:
    """The MAC address of the machine that answers for an IPv4 address; empty when nobody does.

    :param timeout: seconds.
    """
    deadline = time.monotonic() + timeout
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ARP)) as asking:
        asking.bind((interface, _ARP))
        own = asking.getsockname()[4]
        asking.settimeout(timeout / 4)
        while time.monotonic() < deadline:
            asking.send(arp_probe(own, address))
            with contextlib.suppress(socket.timeout):
                while time.monotonic() < deadline:
                    sender = arp_sender(asking.recv(128), address)
                    if sender and sender != ":".join(f"{byte:02x}" for byte in own):
                        return sender
    return ""


def parse_advertisement(packet: bytes) -> t.Optional[t.Dict[str, t.Any]]:
    """Sender, router id and addresses of an IPv4 packet with a VRRP advertisement; ``None`` when it is none.

    Sources: RFC 3768 (version 2), RFC 5798 (version 3); in both the addresses begin after 8 bytes.
    """
    start = (packet[0] & 15) * 4 if packet else 0
    body = packet[start:]
    if start < 20 or len(body) < 8 or body[0] >> 4 not in (2, 3) or body[0] & 15 != 1:
        return None
    addresses = [body[8 + 4 * index : 12 + 4 * index] for index in range(body[3])]
    return {
        "sender": socket.inet_ntoa(packet[12:16]),
        "router_id": body[1],
        "addresses": [socket.inet_ntoa(item) for item in addresses if len(item) == 4],
    }


def vrrp_speakers(interface: str, timeout: float) -> t.List[t.Dict[str, t.Any]]:
    """The VRRP advertisements that come by in ``timeout`` seconds, one of each router id and sender."""
    found: t.Dict[t.Tuple[str, int], t.Dict[str, t.Any]] = {}
    deadline = time.monotonic() + timeout
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, _VRRP_PROTOCOL) as listening:
        group = struct.pack(_MEMBERSHIP, socket.inet_aton(_VRRP_GROUP), bytes(4), socket.if_nametoindex(interface))
        listening.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        while time.monotonic() < deadline:
            listening.settimeout(max(0.01, deadline - time.monotonic()))
            with contextlib.suppress(socket.timeout):
                seen = parse_advertisement(listening.recv(2048))
                if seen:
                    found[(seen["sender"], seen["router_id"])] = seen
    return list(found.values())
