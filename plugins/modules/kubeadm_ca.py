#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm_ca
short_description: The cluster's CA, made before there is a cluster
version_added: 0.1.0
description:
  - Returns the certificate of the cluster's CA, which kubeadm makes when there is none yet.
  - M(slipway.kubernetes.kubeadm_init) goes on with that CA. In the meantime others, such as a load balancer before the
    API servers, can be told whom to trust.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details: Where there is no CA yet, what is returned is empty.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  config:
    description: The documents for kubeadm, as M(slipway.kubernetes.kubeadm_init) takes them.
    type: list
    elements: dict
    required: true
  derive:
    description: What RV(secret) is for. Another text gives another secret.
    type: str
requirements:
  - kubeadm, where there is no CA yet
"""

EXAMPLES = r"""
- name: Make the CA
  slipway.kubernetes.kubeadm_ca:
    config:
      - apiVersion: kubeadm.k8s.io/v1beta4
        kind: ClusterConfiguration
        kubernetesVersion: v1.37.1
    derive: vrrp
  register: example_ca
  no_log: true
"""

RETURN = r"""
certificate:
  description: The certificate, in PEM.
  type: str
  returned: success
secret:
  description:
    - 64 hexadecimal digits that only those can compute who have the CA's private key; put C(no_log) on the task.
    - Empty where the key is kept elsewhere.
  type: str
  returned: when O(derive) is given
"""

import hashlib
import hmac
import os
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.kubeadm import Kubeadm
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.kubeadm_files import KubeadmFiles
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

_KEY = KUBEADM.key("ca")
_KUBELET_KUBECONFIG = KUBEADM.kubelet


def derived(key: str, purpose: str) -> str:
    """A secret for ``purpose`` from a private key (HMAC with SHA-256)."""
    return hmac.new(key.encode(), purpose.encode(), hashlib.sha256).hexdigest() if key else ""


class KubeadmCa:
    """The CA of this machine, which kubeadm makes when there is none."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._documents: t.List[t.Dict[str, t.Any]] = context.params["config"]
        self._purpose: t.Optional[str] = context.params["derive"]

    def run(self) -> t.Dict[str, t.Any]:
        """Make the CA when there is none, and return it.

        :raises SlipwayError: when kubeadm fails, or this is a node that has lost its CA.
        """
        absent = not os.path.exists(api_server.AUTHORITY)
        if absent and os.path.exists(_KUBELET_KUBECONFIG):
            raise SlipwayError(
                f"This host is a node of a cluster and {api_server.AUTHORITY} is missing: another CA would not be the"
                " cluster's. Copy the file from another node."
            )
        if absent and not self._context.check_mode:
            kubeadm = Kubeadm(self._context.runner)
            kubeadm.validate(self._documents)
            kubeadm.run(self._documents, "init", "phase", "certs", "ca")
            # kubeadm init finds them there, and they are not the user's.
            KubeadmFiles().record_made([api_server.AUTHORITY, _KEY])
        result: t.Dict[str, t.Any] = {"changed": absent, "certificate": read_text(api_server.AUTHORITY)}
        if self._purpose is not None:
            result["secret"] = derived(read_text(_KEY), self._purpose)
        return result


ARGUMENTS: t.Dict[str, t.Any] = {
    "config": {"type": "list", "elements": "dict", "required": True},
    "derive": {"type": "str"},
}


def main() -> None:
    run_module(ARGUMENTS, lambda context: KubeadmCa(context).run())


if __name__ == "__main__":
    main()
