#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: coredns
short_description: Give kubeadm's CoreDNS other servers, zones and names, and replicas
version_added: 0.1.0
description:
  - Makes a Corefile of the one that the installed kubeadm would write, with what is given laid over it, and lets
    CoreDNS run with it. Without anything given it brings kubeadm's own back, if this module has written another one
    before.
  - The Corefile is tried first in a pod of its own, which no Service leads to. A pod that does not become ready with
    it, or does not answer, is an error, and nothing is changed.
  - Then it is written and rolled out. When no new pod serves, the one that was there before is put back, and that is
    an error. Where no pod of CoreDNS serves beforehand, as in a build, it is written without a trial.
  - A Corefile that somebody else has changed is left as it is, with a warning, unless O(replace) is set.
  - What was written is remembered in the ConfigMap C(slipway-coredns) in the namespace C(kube-system).
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.kubectl
attributes:
  check_mode:
    support: full
    details: Nothing is tried out. Where C(kubectl) or the kubeconfig is absent, everything that is given would be set.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  dns_domain:
    description: DNS domain of services.
    type: str
    default: cluster.local
  replicas:
    description: How many pods of CoreDNS there are; V(0) leaves the number to others.
    type: int
    default: 0
  nodes_per_replica:
    description:
      - For how many nodes of the cluster there is one pod, rounded up, and O(replicas) of them at least, or 2. V(0) for
        a fixed number.
    type: int
    default: 0
  upstreams:
    description:
      - Servers that are asked for all names that are not the cluster's, each an address, with a port or C(tls://) if
        need be. Empty for those in the C(/etc/resolv.conf) that the kubelet gives to pods.
    type: list
    elements: str
    default: []
  upstreams_tls_name:
    description: The name in the certificates of servers that are asked by TLS.
    type: str
    default: ""
  zones:
    description: Zones whose names are asked for elsewhere.
    type: list
    elements: dict
    default: []
    suboptions:
      zones:
        description: The zones.
        type: list
        elements: str
        required: true
      upstreams:
        description: Servers that know these names, as in O(upstreams).
        type: list
        elements: str
        default: []
      tls_name:
        description: The name in the certificates of servers that are asked by TLS.
        type: str
        default: ""
      cache:
        description: Seconds that an answer is kept at most; V(0) for none.
        type: int
        default: 30
      plugins:
        description: Plugins for these zones, as in O(plugins).
        type: dict
        default: {}
  hosts:
    description: Names with addresses, lines as in C(/etc/hosts).
    type: list
    elements: str
    default: []
  plugins:
    description:
      - By the name of a plugin its text in the Corefile, in the place of kubeadm's, or beside it. An empty text takes
        kubeadm's away.
    type: dict
    default: {}
  replace:
    description: Whether a Corefile that somebody else has changed is replaced. A copy of it is kept.
    type: bool
    default: false
  timeout:
    description: Seconds that a pod may take until it serves.
    type: int
    default: 180
author:
  - slipway.kubernetes contributors (@slipway)
"""

EXAMPLES = r"""
- name: Ask the site's own servers for its names
  slipway.kubernetes.coredns:
    zones:
      - zones: [corp.example.com]
        upstreams: [192.0.2.53, 192.0.2.54]
    hosts:
      - 192.0.2.10 registry.example.com
    nodes_per_replica: 16
  when: example_site_dns is defined
"""

RETURN = r"""
msg:
  description: What was changed.
  type: str
  returned: success
  sample: the Corefile was changed; 3 replicas instead of 2
"""

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import corefile
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.coredns import CoreDns
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import KUBECTL_ARGUMENTS, Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, expect_timeout, run_module

_TEXTS: t.Dict[str, t.Any] = {"type": "list", "elements": "str", "default": []}
ARGUMENTS: t.Dict[str, t.Any] = {
    **KUBECTL_ARGUMENTS,
    "dns_domain": {"type": "str", "default": "cluster.local"},
    "replicas": {"type": "int", "default": 0},
    "nodes_per_replica": {"type": "int", "default": 0},
    "upstreams": _TEXTS,
    "upstreams_tls_name": {"type": "str", "default": ""},
    "zones": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "zones": {"type": "list", "elements": "str", "required": True},
            "upstreams": _TEXTS,
            "tls_name": {"type": "str", "default": ""},
            "cache": {"type": "int", "default": 30},
            "plugins": {"type": "dict", "default": {}},
        },
    },
    "hosts": _TEXTS,
    "plugins": {"type": "dict", "default": {}},
    "replace": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 180},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    params = context.params
    expect_timeout(params["timeout"])
    settings = corefile.settings_of(params)
    found = corefile.flaws(settings)
    if found:
        lines = [f"{flaw.setting} {flaw.message} {flaw.remedy}" for flaw in found]
        raise SlipwayError("\n".join([*lines, "Nothing was changed."]))
    for name in ("replicas", "nodes_per_replica"):
        if params[name] < 0:
            raise SlipwayError(f"{name} is {params[name]}, which is no number of them. Nothing was changed.")
    result = CoreDns(
        Kubectl.of(context),
        context.runner,
        settings,
        (params["replicas"], params["nodes_per_replica"]),
        params["replace"],
        params["timeout"],
        context.check_mode,
    ).run()
    for text in result.pop("warnings", []):
        context.warn(text)
    return result


def main() -> None:
    # Texts of plugins may have secrets in them.
    run_module(ARGUMENTS, run, quiet=True)


if __name__ == "__main__":
    main()
