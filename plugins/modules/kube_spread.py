#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_spread
short_description: Let the pods of Deployments not be all on one node
version_added: 0.1.0
description:
  - Where all pods of a Deployment are on one node, and another node would take one, it evicts one of them and waits
    until the one that replaces it is ready. The others serve meanwhile.
  - Where the new one goes is the scheduler's choice, which prefers another node. When it has chosen the same one again,
    that is a warning.
  - A PodDisruptionBudget that does not allow the eviction now is a warning, and nothing is moved.
  - A Deployment that does not exist, or has one pod, is left alone.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.kubectl
attributes:
  check_mode:
    support: full
    details: Where C(kubectl) or the kubeconfig is absent, there is nothing to do.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  deployments:
    description: Deployments, by namespace and name with a slash between them.
    type: list
    elements: str
    required: true
  timeout:
    description: Seconds until the new pod has to be ready.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Let one replica of CoreDNS run on another node than the others
  slipway.kubernetes.kube_spread:
    deployments: [kube-system/coredns]
"""

RETURN = r"""
msg:
  description: What was done.
  type: str
  returned: success
  sample: kube-system/coredns was on cp1 only, a pod of it was moved
moved:
  description: The Deployments that a pod was evicted of, or would be.
  type: list
  elements: str
  returned: success
  sample: [kube-system/coredns]
"""

import json
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _predicates as predicates
from ansible_collections.slipway.kubernetes.plugins.module_utils import _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandError, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import spread
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import KUBECTL_ARGUMENTS, Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

#: Seconds between two looks.
_PAUSE = 0.5
#: In what the API server says with its code 429 about a pod that a PodDisruptionBudget does not let go, or not yet.
_BUDGET = "disruption budget"


class KubeSpread:
    """Moves one pod of each Deployment that is on one node only."""

    def __init__(
        self,
        kubectl: Kubectl,
        names: t.Sequence[str],
        timeout: int,
        check_mode: bool = False,
    ) -> None:
        for name in names:
            spread.split(name)
        self._kubectl = kubectl
        self._names = names
        self._timeout = timeout
        self._check_mode = check_mode

    def run(self) -> t.Dict[str, t.Any]:
        """Do it, or in check mode say what would be done."""
        lacking = self._kubectl.missing()
        if lacking:
            if not self._check_mode:
                raise SlipwayError(lacking)
            return {"changed": False, "msg": lacking, "moved": []}
        crowds = spread.find(self._kubectl, self._names)
        result: t.Dict[str, t.Any] = {"changed": bool(crowds), "moved": [crowd.name for crowd in crowds]}
        lines = [f"{crowd.name} was on {crowd.node} only, a pod of it was moved" for crowd in crowds]
        result["msg"] = "; ".join(lines) or "nothing is on one node only that could be on several"
        if self._check_mode or not crowds:
            return result
        kept = [crowd for crowd in crowds if not self._move(crowd)]
        result["moved"] = [crowd.name for crowd in crowds if crowd not in kept]
        result["changed"] = bool(result["moved"])
        lines = [line for crowd, line in zip(crowds, lines) if crowd not in kept]
        lines += [f"{crowd.name} is on {crowd.node} only, and a PodDisruptionBudget keeps it there" for crowd in kept]
        result["msg"] = "; ".join(lines)
        result["warnings"] = [
            f"All pods of {crowd.name} are on {crowd.node}, and a PodDisruptionBudget allows no eviction of one at this"
            " moment: nothing was moved. Look at `kubectl get poddisruptionbudgets --namespace"
            f" {spread.split(crowd.name)[0]}`, and run this again when it does."
            for crowd in kept
        ]
        again = spread.find(self._kubectl, result["moved"]) if result["moved"] else []
        if again:
            result["warnings"] += [
                f"All pods of {crowd.name} are on {crowd.node}: the scheduler has put the one that it lost there again."
                " Look at its affinity and at the room on the other nodes."
                for crowd in again
            ]
        return result

    def _move(self, crowd: spread.Crowd) -> bool:
        """Evict one pod and wait for its successor; false when a budget does not let it go now.

        :raises SlipwayError: when nothing takes its place in time.
        """
        namespace, _name = spread.split(crowd.name)
        pod = crowd.pods[-1]
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod, "namespace": namespace},
        }
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction"
        asked = ("create", f"--raw={path}", "--filename=-")
        try:
            self._kubectl.run(*asked, stdin=json.dumps(eviction))
        except CommandError as error:
            if _BUDGET in error.result.stderr:
                return False
            raise
        wait = _waiting.Wait(self._timeout, _PAUSE)
        while True:
            deployment = spread.read_deployment(self._kubectl, crowd.name)
            pods = self._kubectl.get("pods", f"--namespace={namespace}")["items"]
            missing = self._missing(deployment, pods, pod, len(crowd.pods))
            if not missing:
                return True
            if wait.is_over:
                raise SlipwayError(
                    f"After {self._timeout} seconds nothing has taken the place of the pod {pod} of {crowd.name}:"
                    f" {'; '.join(missing)}."
                )
            wait.sleep()

    @staticmethod
    def _missing(
        deployment: t.Optional[spread.Object], pods: t.Sequence[spread.Object], gone: str, wanted: int
    ) -> t.List[str]:
        """What lacks until as many pods serve as before, without the one that was evicted."""
        if deployment is None:
            return []
        serving = [pod for pod in spread.ready_pods(deployment, pods) if pod["metadata"]["name"] != gone]
        if len(serving) >= min(wanted, deployment["spec"].get("replicas", 1)):
            return []
        mine = predicates.selected(pods, deployment["spec"]["selector"])
        problems = {pod["metadata"]["name"]: predicates.pod_problem(pod) for pod in mine}
        return [f"pod {name}: {problem}" for name, problem in problems.items() if problem] or [
            f"{len(serving)} of {wanted} pods are ready"
        ]


ARGUMENTS: t.Dict[str, t.Any] = {
    **KUBECTL_ARGUMENTS,
    "deployments": {"type": "list", "elements": "str", "required": True},
    "timeout": {"type": "int", "default": 120},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    params = context.params
    result = KubeSpread(Kubectl.of(context), params["deployments"], params["timeout"], context.check_mode).run()
    for text in result.pop("warnings", []):
        context.warn(text)
    return result


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
