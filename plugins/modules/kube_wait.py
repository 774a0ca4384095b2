#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_wait
short_description: Wait until a Kubernetes cluster is in a given state
version_added: 0.1.0
description:
  - Waits until all conditions hold at the same time. When time is up, the module fails and says what is missing and,
    from the status of pods and from events, why.
  - All objects that conditions name are read by one call of C(kubectl).
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.kubectl
attributes:
  check_mode:
    support: full
    details:
      - Looks once and reports what does not hold, without a failure.
      - Where C(kubectl) or the kubeconfig is absent, it is skipped.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  conditions:
    description:
      - What to wait for.
    type: list
    elements: dict
    required: true
    suboptions:
      type:
        description:
          - V(nodes_ready), the nodes O(conditions[].names) are Ready, or without names all nodes;
            at least O(conditions[].count) nodes are Ready; their kubelets have the version O(conditions[].version),
            and have reported since the boots O(conditions[].boot_ids) and with the container runtimes
            O(conditions[].runtimes).
          - V(rollout), the newest version of each of the workloads O(conditions[].names) of the kind
            O(conditions[].kind) in O(conditions[].namespace) is available on all replicas or nodes.
          - V(apiservice), the aggregated APIs O(conditions[].names) are available.
          - V(load_balancer), the services O(conditions[].names) in O(conditions[].namespace) have an address from a
            load balancer.
          - V(crd), the custom resource definitions O(conditions[].names) are established.
          - V(pods_ready), all pods in O(conditions[].namespace) that O(conditions[].selector) fits are Ready, and there
            are at least O(conditions[].count). Finished pods do not count.
          - V(api_ready), the API server says that it is ready.
        type: str
        choices: [api_ready, apiservice, crd, load_balancer, nodes_ready, pods_ready, rollout]
        required: true
      names:
        description:
          - Names of the objects.
        type: list
        elements: str
      namespace:
        description:
          - Namespace of the objects.
        type: str
      kind:
        description:
          - Kind of workloads.
        type: str
        choices: [daemonset, deployment, statefulset]
      count:
        description:
          - How many nodes or pods there must be at least. The default is V(1), but none for named nodes.
        type: int
      version:
        description:
          - Version of kubelets, for example V(1.37.1).
        type: str
      boot_ids:
        description:
          - By the names of nodes the identifier of the boot that their machines are in
            (C(/proc/sys/kernel/random/boot_id)). After a reboot a node looks Ready for a while, since it was before.
        type: dict
      runtimes:
        description:
          - By the names of nodes the name of the container runtime that their kubelets have been given, such as
            V(containerd). For a while a node looks Ready with the one before.
        type: dict
      selector:
        description:
          - Label selector of pods, as C(kubectl get --selector) takes it.
        type: str
  spread:
    description:
      - Deployments, by namespace and name with a slash between them, about which RV(crowded) shall say whether all
        their pods are on one node. They are not waited for; M(slipway.kubernetes.kube_spread) moves a pod.
    type: list
    elements: str
    default: []
  timeout:
    description:
      - Seconds to wait at most.
    type: int
    default: 300
  interval:
    description:
      - Seconds between the first looks. The pause grows to four times that.
    type: float
    default: 0.5
author:
  - slipway.kubernetes contributors (@slipway)
"""

EXAMPLES = r"""
- name: Wait until the API server is ready and all nodes are
  slipway.kubernetes.kube_wait:
    conditions:
      - type: api_ready
      - type: nodes_ready
        count: "{{ example_node_count | int }}"
    timeout: 120

- name: Wait for CoreDNS
  slipway.kubernetes.kube_wait:
    conditions:
      - type: rollout
        kind: deployment
        namespace: kube-system
        names:
          - coredns
      - type: pods_ready
        namespace: kube-system
        selector: k8s-app=kube-dns
        count: 2
"""

RETURN = r"""
msg:
  description: What holds, or in check mode what does not.
  type: str
  returned: success
  sample: all that was waited for is there after 12.4 seconds
elapsed:
  description: Seconds that it took.
  type: float
  returned: always, but not when skipped
  sample: 12.4
missing:
  description: What does not hold.
  type: list
  elements: str
  returned: always
  sample: ["node worker2: NotReady (KubeletNotReady: container runtime network not ready)"]
hints:
  description: What pods and events say about it.
  type: list
  elements: str
  returned: failure
  sample: ["pod web-5d9c: container web: ImagePullBackOff"]
crowded:
  description: Those of O(spread) whose pods are all on one node, though another node would take one.
  type: list
  elements: str
  returned: success, when all that was waited for is there
  sample: [kube-system/coredns]
load_balancers:
  description: The addresses of services that were waited for, by namespace and name.
  type: dict
  returned: success
  sample:
    example/web: 192.0.2.200
"""

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import spread
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kube_wait import CONDITION_ARGUMENTS, KubeWait
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import KUBECTL_ARGUMENTS, Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

#: An addon, which has conditions as well, is not about machines.
_OF_MACHINES = {"boot_ids": {"type": "dict"}, "runtimes": {"type": "dict"}}
_CONDITION = {**CONDITION_ARGUMENTS, "options": {**CONDITION_ARGUMENTS["options"], **_OF_MACHINES}}
ARGUMENTS: t.Dict[str, t.Any] = {
    **KUBECTL_ARGUMENTS,
    "conditions": {"type": "list", "elements": "dict", "required": True, **_CONDITION},
    "spread": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "int", "default": 300},
    "interval": {"type": "float", "default": 0.5},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    kubectl = Kubectl.of(context)
    result = KubeWait(context.params, kubectl, context.check_mode).run()
    if not result["missing"] and not result.get("skipped"):
        result["crowded"] = [crowd.name for crowd in spread.find(kubectl, context.params["spread"])]
    return result


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
