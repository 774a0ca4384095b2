#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: peer_listen
short_description: Listen for a short time on the ports that a node will need
version_added: 0.1.0
description:
  - Starts a process that answers M(slipway.kubernetes.peer_probe) on the given ports, as far as they are free. It ends
    when all expected peers were there, and otherwise after O(timeout). What an earlier run has left of it ends first.
  - Nothing on the machine is changed.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.attributes.read_only
options:
  name:
    description: The name that it answers with.
    type: str
    required: true
  address:
    description: The address that it listens on.
    type: str
    required: true
  ports:
    description: The ports.
    type: list
    elements: dict
    required: true
    suboptions:
      protocol:
        description: The transport protocol.
        type: str
        choices: [tcp, udp]
        default: tcp
      port:
        description: The port's number.
        type: int
        required: true
      peers:
        description: Names of the machines that are expected to connect.
        type: list
        elements: str
        default: []
  timeout:
    description: Seconds after which it ends in any case.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Listen where the kubelet will
  slipway.kubernetes.peer_listen:
    name: worker1
    address: "{{ slipway_node.default_address }}"
    ports:
      - port: 10250
        peers: [cp1]
    timeout: 5
"""

RETURN = r"""
busy:
  description: The ports that could not be listened on, with the reason.
  returned: success
  type: list
  elements: dict
  sample: []
"""

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import peers

_PORT = {**peers.PORT_ARGUMENTS, "peers": {"type": "list", "elements": "str", "default": []}}
ARGUMENTS: t.Dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "address": {"type": "str", "required": True},
    "ports": {"type": "list", "elements": "dict", "required": True, "options": _PORT},
    "timeout": {"type": "int", "default": 30},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    try:
        listener = peers.Listener(context.params["name"], context.params["address"], context.params["ports"])
    except OSError as error:
        raise SlipwayError(f"Another process of peer_listen does not end: {error}") from error
    peers.serve_in_background(listener, context.params["timeout"])
    return {"busy": listener.busy}


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
