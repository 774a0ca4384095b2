#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rke2_join_info
short_description: Whether a machine may join a cluster of RKE2 with a token
version_added: 0.1.0
description:
  - Asks the supervisor of an RKE2 server for the CA of the cluster, compares it with the hash in the token, and asks
    whether it takes the token. RKE2 itself would be started first, and then try for ever.
  - Fails when waiting cannot help, with what is wrong. A server that does not answer or is not ready yet is no failure.
  - It was tested with the program that stands in for RKE2 in the lab of this collection, not with RKE2 itself.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.attributes.read_only
options:
  url:
    description: The supervisor, as C(https://HOST:9345).
    type: str
    required: true
  token:
    description: What the machine would join with, the password alone or all of it (C(K10...)).
    type: str
    required: true
  kind:
    description: What the machine would be. It says whose a token is that is the password alone.
    type: str
    choices: [agent, server]
    required: true
  timeout:
    description: Seconds that each of two answers may take.
    type: int
    default: 10
"""

EXAMPLES = r"""
- name: Find a wrong token before anything is started
  slipway.kubernetes.rke2_join_info:
    url: https://vip.example.org:9345
    token: "{{ example_rke2_token }}"
    kind: agent
  register: example_rke2_join
"""

RETURN = r"""
state:
  description:
    - V(ready) when the machine may join, V(starting) when the server is not ready, V(absent) when none answers.
  type: str
  choices: [absent, ready, starting]
  returned: success
  sample: ready
msg:
  description: The same in a sentence.
  type: str
  returned: success
  sample: https://vip.example.org:9345 is ready, and takes the token
ca_hash:
  description: The SHA-256 of the CA of the cluster, as tokens have it; empty when nobody answers.
  type: str
  returned: success
  sample: 8a3b9c0f4e5d6c7b8a9f0e1d2c3b4a5968778695a4b3c2d1e0f1e2d3c4b5a697
"""

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, expect_timeout, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._rke2 import supervisor, tokens


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    expect_timeout(context.params["timeout"])
    user = "server" if context.params["kind"] == "server" else "node"
    token = tokens.parse(context.params["token"], user)
    # A part of the token is as secret as all of it.
    context.module.no_log_values.add(token.password)
    answer = supervisor.Supervisor(context.params["url"], context.params["timeout"]).look(token)
    return {"state": answer.state, "msg": answer.message, "ca_hash": answer.ca_hash}


ARGUMENTS: t.Dict[str, t.Any] = {
    "url": {"type": "str", "required": True},
    "token": {"type": "str", "required": True, "no_log": True},
    "kind": {"type": "str", "choices": ["agent", "server"], "required": True},
    "timeout": {"type": "int", "default": 10},
}


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
