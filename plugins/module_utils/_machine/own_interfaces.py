# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network interfaces that are a machine's own, whatever they are called: without them nobody reaches it any more.

Private to this collection.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _netlink
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text

#: Kinds that people configure, as the kernel's ``uevent`` has them.
_KIND = re.compile(r"^DEVTYPE=(bond|team|vlan|wlan|wwan)$", re.MULTILINE)


def with_default_route(root: str = "") -> t.Set[str]:
    """The interfaces of default routes, as the kernel lists them; what is unreachable is on the loopback."""
    found = set()
    for line in read_text(f"{root}/proc/net/route").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[1] == fields[7] == "00000000":
            found.add(fields[0])
    for line in read_text(f"{root}/proc/net/ipv6_route").splitlines():
        fields = line.split()
        if len(fields) == 10 and fields[0] == "0" * 32 and fields[1] == "00":
            found.add(fields[9])
    return found - {"lo"}


def _is_hardware(name: str, root: str) -> bool:
    return os.path.exists(f"{root}/sys/class/net/{name}/device")


def reason(name: str, addresses: t.Container[str] = (), root: str = "") -> str:
    """Why an interface is the machine's own, as the end of a sentence; empty when nothing says so.

    :param addresses: those by which the node is known.
    :param root: a folder in the place of ``/``, for tests.
    """
    folder = f"{root}/sys/class/net/{name}"
    kind = _KIND.search(read_text(f"{folder}/uevent"))
    ports = f"{folder}/brif"
    if _is_hardware(name, root):
        return "is hardware of this machine"
    if kind:
        return f"is a {kind.group(1)} of this machine"
    if any(_is_hardware(port, root) for port in (os.listdir(ports) if os.path.isdir(ports) else ())):
        return "is a bridge with hardware of this machine"
    if name in with_default_route(root):
        return "has the default route of this machine"
    known = (entry for entry in _netlink.interfaces() if entry["name"] == name)
    own = next((item["address"] for entry in known for item in entry["addresses"] if item["address"] in addresses), "")
    return f"has the node's address {own}" if own else ""
