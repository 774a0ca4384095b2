# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import struct
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import ip_sets, nfnetlink
from ansible_collections.slipway.kubernetes.tests.unit.plugins.module_utils.test_netlink import Kernel, packed

DONE = packed(3, struct.pack("=i", 0))


def listed(name: str) -> bytes:
    """A set, as the kernel lists it."""
    protocol = nfnetlink.attribute(1, b"\x06")
    return packed(
        ip_sets._LIST, struct.pack("=BBH", 2, 0, 0) + protocol + nfnetlink.attribute(2, name.encode() + b"\0")
    )


@pytest.fixture(name="kernel")
def fixture_kernel(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., Kernel]:
    monkeypatch.setattr(ip_sets, "MODULE", "/")

    def answer(*packets: bytes) -> Kernel:
        kernel = Kernel(*packets)
        monkeypatch.setattr(nfnetlink.socket, "socket", kernel)
        return kernel

    return answer


def test_sets_of_pod_networks(kernel: t.Callable[..., Kernel]) -> None:
    asked = kernel(listed("cali40masq-ipam-pools") + listed("blocked"), listed("KUBE-LOOP-BACK") + DONE)
    assert ip_sets.names() == ["KUBE-LOOP-BACK", "cali40masq-ipam-pools"]
    assert asked.sent[4:6] == struct.pack("=H", 6 << 8 | 7)


def test_a_kernel_without_sets(kernel: t.Callable[..., Kernel], monkeypatch: pytest.MonkeyPatch) -> None:
    kernel(packed(2, struct.pack("=i", -22)))
    assert ip_sets.names() == []

    def refuse(*_arguments: t.Any) -> t.NoReturn:
        raise OSError(93, "Protocol not supported")

    monkeypatch.setattr(nfnetlink.socket, "socket", refuse)
    assert ip_sets.names() == []
    monkeypatch.setattr(ip_sets, "MODULE", "/nowhere")
    assert ip_sets.names() == []


@pytest.mark.parametrize(("code", "fails"), [(0, False), (-2, False), (-16, True)])
def test_a_set_is_removed(
    kernel: t.Callable[..., Kernel], code: int, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ip_sets, "_PATIENCE", 0)
    asked = kernel(packed(2, struct.pack("=i", code)))
    if fails:
        with pytest.raises(OSError, match="busy"):
            ip_sets.destroy("cali40s")
    else:
        ip_sets.destroy("cali40s")
    assert b"cali40s\0" in asked.sent


def test_a_set_that_its_rule_lets_go_a_moment_later(kernel: t.Callable[..., Kernel]) -> None:
    kernel(packed(2, struct.pack("=i", -16)), packed(2, struct.pack("=i", 0)))
    ip_sets.destroy("KUBE-LOOP-BACK")
