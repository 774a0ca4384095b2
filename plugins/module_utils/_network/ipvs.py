# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kube-proxy has in the kernel in its mode ipvs: virtual services, and sets of addresses.

Virtual services of others are those that it was told to leave alone (``excludeCIDRs``); it deletes the rest. So its own
are told by their addresses, and by the ports of nodes.
Source: kube-proxy's pkg/proxy/ipvs/proxier.go (cleanLegacyService) and pkg/proxy/ipvs/ipset.go.

Private to this collection.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _netlink
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text

#: The interface that has the addresses of all services.
INTERFACE = "kube-ipvs0"
#: Ports that services have on nodes, unless the API server is told another range.
NODE_PORTS = range(30000, 32768)
_SET_PREFIX = "KUBE-"
_SERVICE = re.compile(r"^(TCP|UDP|SCTP)\s+(?:([0-9A-F]{8})|\[([0-9a-f:]+)\]):([0-9A-F]{4})\s", re.MULTILINE)


class Service(t.NamedTuple):
    """A virtual service: protocol, and address with port as ``ipvsadm`` takes them."""

    protocol: str
    place: str


def parse_services(text: str, addresses: t.Container[str]) -> t.List[Service]:
    """kube-proxy's services in ``/proc/net/ip_vs``.

    :param addresses: those of its interface.
    """
    found = []
    for protocol, four, six, port in _SERVICE.findall(text):
        address = ipaddress.ip_address(int(four, 16) if four else six)
        number = int(port, 16)
        if str(address) in addresses or number in NODE_PORTS:
            host = f"[{address}]" if six else str(address)
            found.append(Service(protocol.lower(), f"{host}:{number}"))
    return found


def services(root: str = "") -> t.List[Service]:
    """kube-proxy's virtual services; none without its interface."""
    own = [interface for interface in _netlink.interfaces() if interface["name"] == INTERFACE]
    addresses = {entry["address"] for interface in own for entry in interface["addresses"]}
    return parse_services(read_text(f"{root}/proc/net/ip_vs"), addresses) if own else []


def sets(runner: Runner) -> t.List[str]:
    """The names of kube-proxy's sets of addresses; none where there is no ``ipset``."""
    ipset = runner.which("ipset", required=False)
    names = runner.run([ipset, "list", "-name"], check=False).stdout.split() if ipset else []
    return sorted(name for name in names if name.startswith(_SET_PREFIX))


def remove_services(runner: Runner, root: str = "") -> None:
    """Delete kube-proxy's virtual services.

    :raises SlipwayError: when ``ipvsadm`` is missing or fails.
    """
    for service in services(root):
        runner.run([runner.path("ipvsadm"), "--delete-service", f"--{service.protocol}-service", service.place])


def remove_sets(runner: Runner) -> None:
    """Delete the sets; rules that name them have to be gone before.

    :raises CommandError: when one is still in use.
    """
    for name in sets(runner):
        runner.run([runner.path("ipset"), "destroy", name])
