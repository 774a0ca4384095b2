#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm_token
short_description: Bootstrap tokens of a cluster, made and revoked
version_added: 0.1.0
description:
  - Makes a bootstrap token with a lifetime, or revokes tokens.
  - The secret part of a token is returned only by the call that made it, and stands in no argument list.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.kubectl
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
    details: With O(state=present), a valid token with the same O(description) or O(token) is left as it is.
options:
  state:
    description:
      - V(present) makes a token unless a valid one with that O(token) or O(description) exists.
      - V(absent) revokes by O(token_id) or O(description).
    type: str
    choices: [present, absent]
    default: present
  token:
    description: The token, C(ID.SECRET) with 6 and 16 lowercase letters and digits. A random one when absent.
    type: str
  token_id:
    description: The part of a token before the dot, which is not secret.
    type: str
  description:
    description: What the token is for, in words.
    type: str
    default: ""
  ttl:
    description: Lifetime, for example V(15m) or V(2h).
    type: str
    default: 15m
  usages:
    description: What the token may be used for.
    type: list
    elements: str
    choices: [signing, authentication]
    default: [signing, authentication]
  groups:
    description: Groups that a bearer of the token is a member of. Each begins with C(system:bootstrappers:).
    type: list
    elements: str
    default: ["system:bootstrappers:kubeadm:default-node-token"]
seealso:
  - module: slipway.kubernetes.kubeadm_token_info
  - module: slipway.kubernetes.kubeadm_join_info
"""

EXAMPLES = r"""
- name: Make a token
  slipway.kubernetes.kubeadm_token:
    description: example of kubeadm_token
    ttl: 10m
  register: example_token
  no_log: true

- name: Revoke it
  slipway.kubernetes.kubeadm_token:
    state: absent
    token_id: "{{ example_token.token_id }}"
"""

RETURN = r"""
token:
  description: The token, which is secret; put C(no_log) on the task.
  type: str
  returned: when it was made by this call
token_id:
  description: Its part before the dot.
  type: str
  returned: when O(state=present)
  sample: abcdef
tokens:
  description: The valid tokens after the call, without their secret part.
  type: list
  elements: dict
  returned: success
  sample:
    - token_id: abcdef
      description: example
      expires: "2026-11-21T12:00:00Z"
      usages: [authentication, signing]
      groups: ["system:bootstrappers:kubeadm:default-node-token"]
"""

import re
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.bootstrap_tokens import (
    GROUP,
    BootstrapTokens,
    duration_seconds,
    secret_object,
    timestamp,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import KUBECTL_ARGUMENTS, Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.kubeadm import new_token
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.kubeadm import token_id as token_id_of
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module


def run(context: Context) -> t.Dict[str, t.Any]:
    """Make, revoke or list.

    :raises SlipwayError: when the input is wrong or the API server refuses.
    """
    params = context.params
    if params["token"] and not re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", params["token"]):
        raise SlipwayError("token: it has 6, a dot, and 16 lowercase letters and digits.")
    seconds = duration_seconds(params["ttl"])
    kubectl = Kubectl(context.runner, params["kubeconfig"], params["context"])
    if context.check_mode and not kubectl.configured:
        return {"changed": params["state"] == "present", "tokens": []}
    tokens = BootstrapTokens(kubectl)
    existing = tokens.list()
    token_id = token_id_of(params["token"] or "") or params["token_id"]
    if params["state"] == "absent" and not (token_id or params["description"]):
        raise SlipwayError("token_id: say which token shall be revoked, by its id or by its description.")
    matching = [
        token
        for token in existing
        if (token["token_id"] == token_id if token_id else token["description"] == params["description"] != "")
    ]
    if params["state"] == "absent":
        if not context.check_mode:
            tokens.delete(token["token_id"] for token in matching)
        return {"changed": bool(matching), "tokens": [token for token in existing if token not in matching]}
    if matching:
        return {"changed": False, "tokens": existing, "token_id": matching[0]["token_id"]}
    token = params["token"] or new_token()
    if not context.check_mode:
        expires = timestamp(time.time() + seconds)
        tokens.create(secret_object(token, expires, params["description"], params["usages"], params["groups"]))
        existing = tokens.list()
    return {"changed": True, "tokens": existing, "token": token, "token_id": token_id_of(token)}


ARGUMENTS: t.Dict[str, t.Any] = {
    **KUBECTL_ARGUMENTS,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "token": {"type": "str", "no_log": True},
    "token_id": {"type": "str", "no_log": False},
    "description": {"type": "str", "default": ""},
    "ttl": {"type": "str", "default": "15m"},
    "usages": {
        "type": "list",
        "elements": "str",
        "choices": ["signing", "authentication"],
        "default": ["signing", "authentication"],
    },
    "groups": {"type": "list", "elements": "str", "default": [GROUP]},
}


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
