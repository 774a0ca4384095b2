# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters with IPv6, beside IPv4 or alone: their networks, and the addresses that a node has.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import ipaddress
import typing as t

NODE_IP6 = "cluster_node_ip6"


def parts(text: t.Any) -> t.List[str]:
    """The networks or addresses of a text with commas."""
    return [part.strip() for part in str(text or "").split(",") if part.strip()]


def has_ipv6(texts: t.Iterable[t.Any]) -> bool:
    """Whether the networks of pods and of services, as the inventory writes them, have one of IPv6 each."""
    given = [str(text) for text in texts if text]
    return bool(given) and all(":" in text for text in given)


def is_ipv6_alone(texts: t.Iterable[t.Any]) -> bool:
    """Whether all of these networks are of IPv6."""
    found = [part for text in texts for part in parts(text)]
    return bool(found) and all(":" in part for part in found)


def canonical(text: t.Any) -> str:
    """An address in its canonical form; empty when it is none, or has a zone, for which Python takes any text."""
    try:
        found = str(ipaddress.ip_address(str(text or "").strip()))
    except ValueError:
        return ""
    return "" if "%" in found else found


class Address6(t.NamedTuple):
    """The address of IPv6 that a node announces."""

    #: Empty when it is not known.
    address: str
    #: The interface with the node's other address, and the lasting addresses of IPv6 that this has.
    interface: str
    candidates: t.List[str]


def address6(facts: t.Mapping[str, t.Any], beside: str, stated: str = "") -> Address6:
    """The one that the inventory says; else that of a node which has been made, else the only one of the interface.

    With several of them nothing is chosen: the kernel has them in no lasting order.

    :param facts: what node_facts found.
    :param beside: the node's address of IPv4, or any that the interface has.
    :param stated: what the inventory says.
    """
    own = [item for item in facts.get("interfaces") or [] if beside in _addresses(item)]
    interface = str(own[0].get("name") or "") if own and beside else ""
    found = [
        canonical(entry.get("address"))
        for entry in (own[0].get("addresses") or [] if own and beside else ())
        if ":" in canonical(entry.get("address")) and not entry.get("temporary")
    ]
    if stated:
        return Address6(canonical(stated) or stated, interface, found)
    arguments = (facts.get("configuration") or {}).get("kubelet_arguments") or {}
    made = [canonical(part) for part in parts(arguments.get("node-ip")) if ":" in part]
    chosen = [address for address in made if address in found]
    if ":" in beside and len(found) > 1:
        # One without a network is the virtual address that keepalived has set, or comes from DHCP.
        lonely = [canonical(entry.get("address")) for entry in own[0]["addresses"] if entry.get("prefix") == 128]
        found = [address for address in found if address not in lonely] or found
    chosen = chosen or (found if len(found) == 1 else [])
    return Address6(chosen[0] if chosen else "", interface, found)


def node_address(facts: t.Mapping[str, t.Any], networks: t.Iterable[t.Any], stated: str = "") -> str:
    """The address at which other nodes reach a machine: the inventory's, or that of its default route.

    Where there is IPv6 alone it is a lasting one on the interface of the default route of IPv6.

    :param networks: the networks of pods; those of services may be among them.
    """
    if stated:
        return canonical(stated) or stated
    if is_ipv6_alone(networks):
        return address6(facts, str(facts.get("default_address6") or "")).address
    return str(facts.get("default_address") or "")


def _addresses(interface: t.Mapping[str, t.Any]) -> t.List[str]:
    return [str(entry.get("address")) for entry in interface.get("addresses") or []]
