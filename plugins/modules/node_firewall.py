#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_firewall
short_description: Lets what a node needs through the firewall of its machine
version_added: 0.1.0
description:
  - Opens ufw, firewalld (from 0.9 on), or chains of nftables that drop what they do not name and that no such tool
    keeps, now and for each boot. Where no firewall is active nothing is done.
  - Nothing of somebody else is changed. With ufw the rules carry the comment C(slipway.kubernetes). With firewalld they
    are policies and a zone of our own, whose names begin with C(slipway); when they change, firewalld reads its
    configuration again and forgets what it was told without C(--permanent). Into a table of nftables the chains
    C(slipway-input) and C(slipway-forward) are put, and C(slipway-firewall.service) does so again when
    C(nftables.service) has read its file again.
  - Rules of somebody else that deny something go on to do so with ufw, where the first rule counts.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - V(open) lets through what O(openings) names.
      - V(absent) takes back what was let through for us, in every firewall that the machine has.
      - V(disabled) turns ufw and firewalld off, now and for each boot.
    type: str
    choices: [open, absent, disabled]
    default: open
  openings:
    description: What is let through.
    type: list
    elements: dict
    default: []
    suboptions:
      protocol:
        description: Its protocol; empty for all.
        type: str
        choices: ["", tcp, udp, vrrp, ipip, icmpv6]
        default: ""
      port:
        description: A port such as V(6443), or a range such as V(2379-2380); empty for all.
        type: str
        default: ""
      source:
        description: The network that it comes from, as V(192.0.2.0/24); empty for all.
        type: str
        default: ""
      destination:
        description: The network that it goes to; empty for all.
        type: str
        default: ""
      forwarded:
        description: Whether it goes through the machine, to pods or from them, in the place of to the machine itself.
        type: bool
        default: false
  keep:
    description:
      - Whether what was let through for us before, and is not in O(openings), stays, as when not all machines of the
        cluster are known.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Let requests to the API server through
  slipway.kubernetes.node_firewall:
    openings:
      - protocol: tcp
        port: "6443"

- name: Take that back
  slipway.kubernetes.node_firewall:
    state: absent
"""

RETURN = r"""
firewalls:
  description: The firewalls that were active before.
  returned: success
  type: list
  elements: str
  sample: [ufw]
"""

import ipaddress
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._firewalls import Firewall, Opening, firewalls
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

_PORT = re.compile(r"\d{1,5}(-\d{1,5})?")


def _network(text: str) -> str:
    """A network in its usual form; empty for all addresses."""
    network = ipaddress.ip_network(text) if text else None
    return str(network) if network and network.prefixlen else ""


def read(given: t.Mapping[str, t.Any]) -> Opening:
    """An opening as it was given, with its networks in their usual form.

    :raises SlipwayError: when it is none.
    """
    try:
        networks = {key: _network(given[key]) for key in ("source", "destination")}
    except ValueError as error:
        raise SlipwayError(f"openings: {error}. Write a network as 192.0.2.0/24.") from error
    first, dash, last = given["port"].partition("-")
    port = first if not dash or first == last else given["port"]
    opening = Opening(given["protocol"], port, networks["source"], networks["destination"], given["forwarded"])
    ends = [ipaddress.ip_network(network).version for network in networks.values() if network]
    if opening.port and (opening.protocol not in ("tcp", "udp") or not _PORT.fullmatch(opening.port)):
        raise SlipwayError(f"openings: port {opening.port} needs the protocol tcp or udp, and is 6443 or 2379-2380.")
    if len(set(ends)) > 1:
        raise SlipwayError(f"openings: {opening}: one network is of IPv4, the other one of IPv6.")
    return opening


def bring(known: t.Sequence[Firewall], params: t.Mapping[str, t.Any], check_mode: bool) -> t.Dict[str, t.Any]:
    """Open, close or turn off what is there.

    :raises SlipwayError: when a firewall cannot let something through, before any is changed.
    """
    openings = [read(given) for given in params["openings"]]
    active = [firewall for firewall in known if firewall.service and firewall.is_active()]
    # What the kernel has is a tool's where there is one. Nobody asks it what is to be taken back.
    if not active and params["state"] == "open":
        active = [firewall for firewall in known if not firewall.service and firewall.is_active()]
    result: t.Dict[str, t.Any] = {"firewalls": [firewall.name for firewall in active]}
    if params["state"] == "disabled":
        for firewall in active:
            firewall.disable(check_mode)
        return {**result, "changed": bool(active)}
    if params["state"] == "absent":
        changes = {firewall.name: firewall.bring([], False, check_mode) for firewall in known if firewall.is_here()}
    else:
        for firewall in active:
            firewall.expect(openings)
        changes = {firewall.name: firewall.bring(openings, params["keep"], check_mode) for firewall in active}
    diff = [
        {
            "before_header": name if change.before != change.after else f"{name}, which was not told",
            "after_header": name,
            "before": "".join(f"{line}\n" for line in change.before),
            "after": "".join(f"{line}\n" for line in change.after),
        }
        for name, change in changes.items()
        if change.is_one
    ]
    return {**result, "changed": bool(diff), "diff": diff}


ARGUMENTS: t.Dict[str, t.Any] = {
    "state": {"type": "str", "choices": ["open", "absent", "disabled"], "default": "open"},
    "openings": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "protocol": {"type": "str", "choices": ["", "tcp", "udp", "vrrp", "ipip", "icmpv6"], "default": ""},
            "port": {"type": "str", "default": ""},
            "source": {"type": "str", "default": ""},
            "destination": {"type": "str", "default": ""},
            "forwarded": {"type": "bool", "default": False},
        },
    },
    "keep": {"type": "bool", "default": False},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    return bring(firewalls(context.runner), context.params, context.check_mode)


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
