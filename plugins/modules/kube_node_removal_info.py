#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_node_removal_info
short_description: Tell whether nodes can be taken out of a cluster, and how
version_added: 0.1.0
description:
  - Looks at the nodes of a cluster and says everything that is in the way of removing some of them.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.attributes.read_only
  - slipway.kubernetes.kubectl
options:
  names:
    description:
      - Names of the Node objects that are to go.
    type: list
    elements: str
    required: true
  machines:
    description:
      - Names of the nodes whose machines are known, for example from an inventory.
    type: list
    elements: str
    default: []
  reachable:
    description:
      - The nodes whose machines answer, so that they can be reset. The keys are their names; the values are what
        M(slipway.kubernetes.node_facts) returns as C(slipway_node.kubernetes) on these machines.
      - A machine that is another node, or a node of another cluster than that of O(cluster), is a problem. Without
        these facts a machine is taken for what it is called.
    type: dict
    default: {}
  cluster:
    description:
      - What M(slipway.kubernetes.node_facts) returns as C(slipway_node.kubernetes) on a control plane of the cluster.
      - A control plane that is the endpoint itself is a problem.
    type: dict
    default: {}
  etcd_members:
    description:
      - The members of the cluster's own etcd, as M(slipway.kubernetes.etcd_member_info) returns them.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Can the node go?
  slipway.kubernetes.kube_node_removal_info:
    names: ["{{ example_node_name }}"]
    machines: ["{{ example_node_name }}"]
    reachable: "{{ {example_node_name: {}} }}"
  register: example_removal
"""

RETURN = r"""
problems:
  description: Why they cannot go, as sentences. Empty when they can.
  type: list
  elements: str
  returned: success
  sample: ["cp1 is the last control plane: without it there is no cluster. reset.yml takes a whole cluster down"]
cordon:
  description: The nodes that exist.
  type: list
  elements: str
  returned: success
  sample: [worker1, worker2]
drain:
  description: Those of them whose kubelet works, so that their pods can be moved away.
  type: list
  elements: str
  returned: success
  sample: [worker1]
members:
  description: Names of those that are members of etcd, those that are not healthy first.
  type: list
  elements: str
  returned: success
  sample: []
control_planes:
  description: Names of those that are control planes.
  type: list
  elements: str
  returned: success
  sample: []
addresses:
  description: The internal address of each that exists, by its name.
  type: dict
  returned: success
  sample:
    worker1: 192.0.2.11
gone:
  description: Names of those that the cluster does not know (any more).
  type: list
  elements: str
  returned: success
  sample: []
"""

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kube_objects as kube
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import node_removal
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.cluster_memory import REMOVED_NODES
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import KUBECTL_ARGUMENTS, Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module


class KubeNodeRemovalInfo:
    """Reads the cluster and judges."""

    def __init__(self, params: t.Mapping[str, t.Any], kubectl: Kubectl) -> None:
        self._params = params
        self._kubectl = kubectl

    def run(self) -> t.Dict[str, t.Any]:
        """The module's return values.

        :raises SlipwayError: when the cluster cannot be asked.
        """
        lacking = self._kubectl.missing()
        if lacking:
            raise SlipwayError(lacking)
        result = self._kubectl.run("get", "nodes", "--output=json", check=False)
        if result.rc != 0:
            raise SlipwayError(f"Cannot read nodes: {kube.complaint(result)}")
        nodes = kube.expand(kube.documents(result.stdout), "kubectl")
        removal = node_removal.Removal(
            self._params["names"],
            nodes,
            {member["name"]: member["healthy"] for member in self._params["etcd_members"] if not member.get("learner")},
            self._params["machines"],
            self._params["reachable"],
            REMOVED_NODES.read(self._kubectl),
            self._params["cluster"],
        )
        return {
            "changed": False,
            "problems": removal.problems(),
            "addresses": removal.addresses(),
            **removal.plan(),
        }


ARGUMENTS: t.Dict[str, t.Any] = {
    **KUBECTL_ARGUMENTS,
    "names": {"type": "list", "elements": "str", "required": True},
    "machines": {"type": "list", "elements": "str", "default": []},
    "reachable": {"type": "dict", "default": {}},
    "cluster": {"type": "dict", "default": {}},
    "etcd_members": {"type": "list", "elements": "dict", "default": []},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    return KubeNodeRemovalInfo(context.params, Kubectl.of(context)).run()


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
