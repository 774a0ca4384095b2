#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: helm_release
short_description: A Helm release of one chart version with the given values
version_added: 0.1.0
description:
  - Installs or upgrades a release when its chart, its version or its values differ from what is asked for.
  - Differs from M(kubernetes.core.helm) in what a cluster under construction needs. It works in check mode on a machine
    that has neither helm nor a cluster yet, finishes what a killed run left behind (a release that is C(pending) for
    ever), asks no chart repository when nothing has to change, and needs no PyYAML on the node.
  - When the API server is lost while helm works, helm is run again, for a minute.
  - A pending revision is taken out of the way only when no helm is at work on it. One that a helm of this collection
    has begun on this host is known by a record in C(/var/lib/slipway), and a helm that still runs here is waited for.
    Where somebody else may be at work on another machine, it is waited until the revision is older than O(timeout) and
    a minute.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows chart, version and values; put C(no_log) on the task when values are secret.
  idempotent:
    support: full
options:
  name:
    description: Name of the release.
    type: str
    required: true
  namespace:
    description: Namespace of the release; made when it does not exist.
    type: str
    required: true
  namespace_labels:
    description: Labels of the namespace, for example those of Pod Security admission. They are set with each change.
    type: dict
    default: {}
  chart:
    description:
      - The chart, as C(oci://) reference, as URL or path of an archive, or as the name of a chart in O(repository).
    type: str
    required: true
  repository:
    description: URL of the chart repository, for a chart that is given by its name.
    type: str
    default: ""
  version:
    description: Exact version of the chart. A leading C(v) makes no difference.
    type: str
    required: true
  values:
    description: Values given to the chart.
    type: dict
    default: {}
  plain_http:
    description: Whether an C(oci://) registry is asked by HTTP without TLS.
    type: bool
    default: false
  ca_file:
    description: CA certificates (a file on the host) that the chart repository's certificate is verified with.
    type: path
  timeout:
    description: Seconds that one helm command may take.
    type: int
    default: 300
  kubeconfig:
    description: Path of the kubeconfig file on the target host.
    type: path
    default: /etc/kubernetes/admin.conf
requirements:
  - helm 3 on the target host
  - kubectl on the target host
"""

EXAMPLES = r"""
- name: Install metrics-server
  slipway.kubernetes.helm_release:
    name: metrics-server
    namespace: kube-system
    chart: "{{ metrics_server_chart }}"
    repository: "{{ metrics_server_chart_repository }}"
    version: "{{ metrics_server_chart_version }}"
    plain_http: "{{ metrics_server_chart_plain_http | default(false) }}"
    values:
      replicas: 1
"""

RETURN = r"""
action:
  description: What was done, or would be in check mode.
  type: str
  choices: [none, installed, upgraded]
  returned: success
  sample: upgraded
recovered:
  description: The release's state when an earlier run had been interrupted in the middle.
  type: str
  returned: when that was found
  sample: pending-install
"""

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.helm import HelmRelease
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

ARGUMENTS: t.Dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
    "namespace_labels": {"type": "dict", "default": {}},
    "chart": {"type": "str", "required": True},
    "repository": {"type": "str", "default": ""},
    "version": {"type": "str", "required": True},
    "values": {"type": "dict", "default": {}},
    "plain_http": {"type": "bool", "default": False},
    "ca_file": {"type": "path"},
    "timeout": {"type": "int", "default": 300},
    "kubeconfig": {"type": "path", "default": KUBEADM.admin},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    context.hide_credentials(context.params["chart"], context.params["repository"])
    return HelmRelease(context.params, context.runner, context.check_mode).run()


def main() -> None:
    run_module(ARGUMENTS, run, quiet=True)


if __name__ == "__main__":
    main()
