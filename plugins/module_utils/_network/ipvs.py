# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kube-proxy has in the kernel in its mode ipvs: virtual services. (Its sets of addresses: ip_sets.)

Virtual services of others are those that it was told to leave alone (``excludeCIDRs``); it deletes the rest. So its own
are told by their addresses, and at addresses of the machine by the ports of nodes.
Source: kube-proxy's pkg/proxy/ipvs/proxier.go (cleanLegacyService).

Private to this collection.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _netlink
from ansible_collections.slipway.kubernetes.plugins.module_utils._api_endpoints import in_url
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text

#: The interface that has the addresses of all services.
INTERFACE = "kube-ipvs0"
#: Ports that services have on nodes, unless the API server is told another range.
NODE_PORTS = range(30000, 32768)
_SERVICE = re.compile(r"^(TCP|UDP|SCTP)\s+(?:([0-9A-F]{8})|\[([0-9a-f:]+)\]):([0-9A-F]{4})\s", re.MULTILINE)


class Service(t.NamedTuple):
    """A virtual service: protocol, and address with port as ``ipvsadm`` takes them."""

    protocol: str
    place: str


def parse_services(text: str, interfaces: t.Mapping[str, t.Container[str]]) -> t.List[Service]:
    """kube-proxy's services in ``/proc/net/ip_vs``.

    :param interfaces: the machine's, each with its addresses.
    """
    found = []
    for protocol, four, six, port in _SERVICE.findall(text):
        address = ipaddress.ip_address(int(four, 16) if four else six)
        number = int(port, 16)
        of_node = number in NODE_PORTS and any(str(address) in addresses for addresses in interfaces.values())
        if of_node or str(address) in interfaces[INTERFACE]:
            found.append(Service(protocol.lower(), f"{in_url(str(address))}:{number}"))
    return found


def services(runner: Runner, root: str = "") -> t.List[Service]:
    """kube-proxy's virtual services; none without its interface, or without ``ipvsadm``, which could delete them."""
    found = {
        interface["name"]: {entry["address"] for entry in interface["addresses"]} for interface in _netlink.interfaces()
    }
    can = INTERFACE in found and runner.which("ipvsadm", required=False)
    return parse_services(read_text(f"{root}/proc/net/ip_vs"), found) if can else []


def remove_services(runner: Runner, root: str = "") -> None:
    """Delete kube-proxy's virtual services.

    :raises CommandError: when ``ipvsadm`` fails.
    """
    for service in services(runner, root):
        runner.run([runner.path("ipvsadm"), "--delete-service", f"--{service.protocol}-service", service.place])
