#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm_token_info
short_description: Bootstrap tokens of a cluster, listed
version_added: 0.1.0
description:
  - Lists the bootstrap tokens that are valid, without their secret part.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.attributes.read_only
  - slipway.kubernetes.kubectl
seealso:
  - module: slipway.kubernetes.kubeadm_token
"""

EXAMPLES = r"""
- name: Look for bootstrap tokens that somebody has left
  slipway.kubernetes.kubeadm_token_info:
  register: example_tokens

- name: Show them
  ansible.builtin.debug:
    var: example_tokens.tokens
"""

RETURN = r"""
tokens:
  description: The valid tokens, ordered by their id; none in check mode on a machine without a kubeconfig.
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

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.bootstrap_tokens import BootstrapTokens
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import KUBECTL_ARGUMENTS, Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    kubectl = Kubectl.of(context)
    return {"tokens": [] if context.check_mode and not kubectl.configured else BootstrapTokens(kubectl).list()}


def main() -> None:
    run_module(KUBECTL_ARGUMENTS, run)


if __name__ == "__main__":
    main()
