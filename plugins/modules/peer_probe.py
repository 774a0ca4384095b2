#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: peer_probe
short_description: Try connections to other machines, and look who uses a virtual address
version_added: 0.1.0
description:
  - Connects to machines on which M(slipway.kubernetes.peer_listen) or a server of Kubernetes listens, to all at once.
  - Asks the network by ARP whether somebody has an address, and listens for VRRP advertisements.
  - Never fails because of what it finds; M(slipway.kubernetes.preflight_report) says what that means.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.attributes.read_only
options:
  name:
    description: The name of this machine, which the listeners wait for.
    type: str
    required: true
  peers:
    description: The connections.
    type: list
    elements: dict
    default: []
    suboptions:
      host:
        description: The name of the machine.
        type: str
        required: true
      address:
        description: Its address or DNS name.
        type: str
        required: true
      protocol:
        description: The transport protocol.
        type: str
        choices: [tcp, udp]
        default: tcp
      port:
        description: The port's number.
        type: int
        required: true
      answer:
        description: Whether M(slipway.kubernetes.peer_listen) has to answer. Otherwise a connection is enough.
        type: bool
        default: true
  vip:
    description: An IPv4 address that nobody may have yet.
    type: str
    default: ""
  interface:
    description: The interface in whose network it is.
    type: str
    default: ""
  timeout:
    description: Seconds for each connection.
    type: float
    default: 5
"""

EXAMPLES = r"""
- name: Try whether the machine reaches itself
  slipway.kubernetes.peer_probe:
    name: worker1
    peers:
      - host: worker1
        address: "{{ slipway_node.default_address }}"
        port: 22
        answer: false
"""

RETURN = r"""
ansible_facts:
  description: Facts that are added to the host's variables.
  returned: success
  type: dict
  contains:
    slipway_peers:
      description: What was found.
      returned: success
      type: dict
      contains:
        failures:
          description: Connections that do not work, with C(host), C(protocol), C(port), C(address) and C(error).
          returned: success
          type: list
          elements: dict
          sample: []
        clocks:
          description: How far the clocks of machines are ahead of this one's, at least and at most, in seconds.
          returned: success
          type: dict
          sample: {worker1: [-0.001, 0.002]}
        vip_holder:
          description: The MAC address of the machine that has O(vip); empty when nobody has.
          returned: success
          type: str
          sample: ""
        vrrp:
          description: VRRP advertisements that came by, with C(sender), C(router_id) and C(addresses).
          returned: success
          type: list
          elements: dict
          sample: []
"""

import concurrent.futures
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import neighbours
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import peers as _peers

#: Connections that are tried at the same time.
_AT_ONCE = 64
#: Seconds in which each VRRP master says at least once that it is there.
_ADVERTISEMENT = 1.3


def probe(name: str, peers: t.Sequence[t.Mapping[str, t.Any]], timeout: float) -> t.Dict[str, t.Any]:
    """Try all connections: those that fail, and what is known of clocks."""
    failures = []
    clocks: t.Dict[str, t.Tuple[float, float]] = {}
    with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
        for peer, (error, clock) in zip(peers, pool.map(lambda peer: _peers.connect(name, peer, timeout), peers)):
            if error:
                failures.append({key: peer[key] for key in ("host", "address", "protocol", "port")})
                failures[-1]["error"] = error
            if clock:
                known = clocks.get(peer["host"], clock)
                clocks[peer["host"]] = (max(known[0], clock[0]), min(known[1], clock[1]))
    return {"failures": failures, "clocks": clocks}


def look(vip: str, interface: str) -> t.Dict[str, t.Any]:
    """Who has the address, and who speaks VRRP there."""
    if not vip or not interface:
        return {"vip_holder": "", "vrrp": []}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        holder = pool.submit(neighbours.who_has, interface, vip, 1.0)
        speakers = pool.submit(neighbours.vrrp_speakers, interface, _ADVERTISEMENT)
        return {"vip_holder": holder.result(), "vrrp": speakers.result()}


_PEER = {
    **_peers.PORT_ARGUMENTS,
    "host": {"type": "str", "required": True},
    "address": {"type": "str", "required": True},
    "answer": {"type": "bool", "default": True},
}
ARGUMENTS: t.Dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "peers": {"type": "list", "elements": "dict", "default": [], "options": _PEER},
    "vip": {"type": "str", "default": ""},
    "interface": {"type": "str", "default": ""},
    "timeout": {"type": "float", "default": 5},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    params = context.params
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            looked = pool.submit(look, params["vip"], params["interface"])
            found = probe(params["name"], params["peers"], params["timeout"])
            found.update(looked.result())
    except OSError as error:
        raise SlipwayError(f"The network could not be looked at: {error}") from error
    return {"ansible_facts": {"slipway_peers": found}}


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
