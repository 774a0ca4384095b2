# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs (BPF) of pod networks that packets of the machine's own interfaces go through: filters of traffic control.

They stay when what has loaded them has ended, and drop packets as soon as what they call has gone: so they go first.
Found by name, by rtnetlink, since `tc` is not on every machine. Those of interfaces that are removed go with these.

Source: the kernel's include/uapi/linux/rtnetlink.h, pkt_sched.h and pkt_cls.h.

Private to this collection.
"""

from __future__ import annotations

import errno
import re
import socket
import struct
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _netlink
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import nfnetlink
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import PodNetwork, these

_DELETE_QDISC, _NEW_FILTER, _DELETE_FILTER, _GET_FILTER = 37, 44, 45, 46
#: What the filters of both directions hang on, and these two.
_CLSACT = 0xFFFFFFF1
_DIRECTIONS = {"ingress": 0xFFFFFFF2, "egress": 0xFFFFFFF3}
_KIND, _OPTIONS, _BPF_NAME = 1, 2, 7
#: What is gone already, the interface included.
_GONE = (errno.ENOENT, errno.ENODEV, errno.EINVAL)


class Filter(t.NamedTuple):
    """A program on one direction of an interface."""

    interface: str
    direction: str
    name: str
    #: The interface's.
    number: int
    handle: int
    #: Its place among others, and the protocol that it is for.
    information: int

    def __str__(self) -> str:
        """How people are told of it."""
        return f"{self.interface} {self.direction} {self.name}"


def _request(kind: int, flags: int, filter_: t.Tuple[int, int, int, int], payload: bytes = b"") -> bytes:
    """A message about filters: the interface's index, a handle, what it hangs on, and its information."""
    body = struct.pack("=B3xiIII", 0, *filter_) + payload
    return struct.pack("=IHHII", 16 + len(body), kind, nfnetlink.REQUEST | flags, 1, 0) + body


def _kind(name: bytes) -> bytes:
    return nfnetlink.attribute(_KIND, name + b"\0")


def _programs(interface: str, index: int) -> t.Tuple[t.List[Filter], bool]:
    """The programs on an interface, and whether something else hangs there, too."""
    found, has_others = [], False
    for direction, parent in _DIRECTIONS.items():
        for kind, payload in _netlink.ask(_request(_GET_FILTER, nfnetlink.DUMP, (index, 0, parent, 0))):
            if kind != _NEW_FILTER:
                continue
            _index, handle, _parent, information = struct.unpack_from("=iIII", payload, 4)
            values = _netlink.attributes(payload[20:])
            name = _netlink.attributes(values.get(_OPTIONS, b"")).get(_BPF_NAME, b"").rstrip(b"\0").decode()
            if name:
                found.append(Filter(interface, direction, name, index, handle, information))
            # One without a handle tells only that there is a list.
            elif handle:
                has_others = True
    return found, has_others


def _interfaces(rows: t.Optional[t.Sequence[PodNetwork]]) -> t.List[t.Tuple[int, str]]:
    """Interfaces that stay when these pod networks go."""
    going = [pattern for network in these(rows) for pattern in network.left_interfaces]
    return [(index, name) for index, name in socket.if_nameindex() if not any(re.fullmatch(one, name) for one in going)]


def found(rows: t.Optional[t.Sequence[PodNetwork]] = None) -> t.List[Filter]:
    """Programs of pod networks on interfaces that stay.

    :param rows: pod networks that it is about alone.
    """
    prefixes = tuple(prefix for network in these(rows) for prefix in network.traffic_filters)
    filters: t.List[Filter] = []
    for index, name in _interfaces(rows) if prefixes else ():
        try:
            filters += [item for item in _programs(name, index)[0] if item.name.startswith(prefixes)]
        except OSError:
            # It has gone meanwhile, or the kernel knows nothing of the kind.
            continue
    return filters


def remove(filters: t.Sequence[Filter]) -> None:
    """Remove programs, and what they hung on where nothing else does.

    :raises SlipwayError: when the kernel refuses.
    """
    for item in filters:
        place = (item.number, item.handle, _DIRECTIONS[item.direction], item.information)
        _delete(str(item), _request(_DELETE_FILTER, nfnetlink.ACKNOWLEDGE, place, _kind(b"bpf")))
    for index, interface in {item.number: item.interface for item in filters}.items():
        left, has_others = _left(interface, index)
        if not left and not has_others:
            request = _request(_DELETE_QDISC, nfnetlink.ACKNOWLEDGE, (index, 0, _CLSACT, 0), _kind(b"clsact"))
            _delete(f"clsact of {interface}", request)


def _left(interface: str, index: int) -> t.Tuple[t.List[Filter], bool]:
    try:
        return _programs(interface, index)
    except OSError:
        return [], True


def _delete(what: str, request: bytes) -> None:
    try:
        _netlink.ask(request)
    except OSError as error:
        if error.errno not in _GONE:
            raise SlipwayError(f"{what} (traffic control) cannot be removed: {error}.") from error
