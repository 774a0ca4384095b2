# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs on interfaces, as Linux 6.18 lists them, and what the kernel is told when they go."""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _netlink
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import traffic_filters
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import PodNetwork

#: Recorded from Linux 6.18: an interface with one program inwards, and outwards another one and one of somebody else.
RECORDED = json.loads((Path(__file__).parents[1] / "fixtures/host/traffic_filters.json").read_text(encoding="utf-8"))
INGRESS, EGRESS, CLSACT = 0xFFFFFFF2, 0xFFFFFFF3, 0xFFFFFFF1
NEW, DELETE, GET, DELETE_QDISC = 44, 45, 46, 37

Call = t.Tuple[int, int, int, int, int, bytes]


class Net(PodNetwork):
    """A pod network with programs on interfaces of others."""

    traffic_filters = ("cil_",)
    left_interfaces = ("lxc[0-9a-f]{12}",)


class Kernel:
    """Interfaces with the recorded filters on eth0, and nothing on the others."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.interfaces = [(1, "lo"), (3, "eth0"), (4, "lxc0123456789ab")]
        self.filters = {
            (3, parent): [(kind, bytes.fromhex(payload)) for kind, payload in RECORDED[name]]
            for name, parent in (("ingress", INGRESS), ("egress", EGRESS))
        }
        self.calls: t.List[Call] = []
        self.refusals: t.Dict[int, int] = {}
        monkeypatch.setattr(socket, "if_nameindex", lambda: list(self.interfaces))
        monkeypatch.setattr(_netlink, "ask", self.ask)

    def ask(self, request: bytes) -> t.List[_netlink.Message]:
        [(kind, payload)] = _netlink.messages(request)
        flags = struct.unpack_from("=H", request, 6)[0]
        index, handle, parent, information = struct.unpack_from("=iIII", payload, 4)
        name = _netlink.attributes(payload[20:]).get(1, b"").rstrip(b"\0")
        self.calls.append((kind, index, handle, parent, information, name))
        number = self.refusals.get(kind, 0)
        if number:
            raise OSError(number, os.strerror(number))
        if kind == GET:
            assert flags == 0x301 and index != 4
            return [(17, b""), *self.filters.get((index, parent), [])]
        assert flags == 0x5
        if kind == DELETE:
            self.filters[index, parent] = [
                (kind, body)
                for kind, body in self.filters[index, parent]
                if struct.unpack_from("=I", body, 16)[0] != information
            ]
        return []

    def told(self, kind: int) -> t.List[t.Tuple[int, int, int]]:
        return [(index, parent, handle) for call, index, handle, parent, *_rest in self.calls if call == kind]


@pytest.fixture(name="kernel")
def fixture_kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


def shown() -> t.List[str]:
    return [str(item) for item in traffic_filters.found([Net()])]


def test_those_of_pod_networks_go_and_others_stay(kernel: Kernel) -> None:
    found = traffic_filters.found([Net()])
    assert shown() == ["eth0 ingress cil_from_netdev-eth0", "eth0 egress cil_to_netdev-eth0"]
    traffic_filters.remove(found)
    assert shown() == []
    assert kernel.told(DELETE) == [(3, INGRESS, 1), (3, EGRESS, 1)]
    assert [call[5] for call in kernel.calls if call[0] == DELETE] == [b"bpf", b"bpf"]
    # Where somebody else's hangs.
    assert kernel.told(DELETE_QDISC) == []


def test_what_they_hung_on_goes_with_the_last(kernel: Kernel) -> None:
    del kernel.filters[3, EGRESS]
    traffic_filters.remove(traffic_filters.found([Net()]))
    assert kernel.told(DELETE_QDISC) == [(3, CLSACT, 0)] and kernel.calls[-1][5] == b"clsact"


def test_a_filter_of_another_kind_keeps_it(kernel: Kernel) -> None:
    other = struct.pack("=B3xiIII", 0, 3, 1, EGRESS, 5 << 16) + struct.pack("=HH4s", 8, 1, b"u32\0")
    kernel.filters[3, EGRESS] = [(NEW, other)]
    traffic_filters.remove(traffic_filters.found([Net()]))
    assert kernel.told(DELETE) and kernel.told(DELETE_QDISC) == []


def test_what_has_gone_meanwhile_is_no_error(kernel: Kernel) -> None:
    found = traffic_filters.found([Net()])
    kernel.refusals = {DELETE: errno.ENOENT, GET: errno.ENODEV}
    traffic_filters.remove(found)
    assert shown() == []


def test_a_kernel_that_refuses(kernel: Kernel) -> None:
    found = traffic_filters.found([Net()])
    kernel.refusals = {DELETE: errno.EPERM}
    with pytest.raises(SlipwayError, match=r"eth0 ingress cil_from_netdev-eth0 \(traffic control\) cannot be removed"):
        traffic_filters.remove(found)


def test_nobody_is_asked_for_pod_networks_without_any(kernel: Kernel) -> None:
    assert traffic_filters.found([PodNetwork()]) == [] and kernel.calls == []
    traffic_filters.remove([])
    assert kernel.calls == []


def test_this_machine() -> None:
    assert isinstance(traffic_filters.found(), list)
