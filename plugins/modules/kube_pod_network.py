#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_pod_network
short_description: What a cluster knows of a change of its pod network
version_added: 0.1.0
description:
  - The part of a change of the pod network that is done in the cluster and not on its machines. The playbook
    C(change_cni) calls it.
  - That a change has begun stands in the ConfigMap C(slipway-pod-network-change) in C(kube-system) until it has come to
    its end.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.kubectl
  - slipway.kubernetes.pod_networks
attributes:
  check_mode:
    support: full
    details:
      - Says what would be removed of the cluster as it is now. A change that was not recorded has no end.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  state:
    description:
      - With V(begun) the change is recorded, and pod networks that give addresses by themselves are kept away from
        those that the others give to pods. Those that are not installed yet are left out, so it is called again after
        that.
      - With V(absent) O(networks) are uninstalled, by the release or the set of our role, their pods are waited for to
        end, and Nodes have nothing more of them.
      - With V(ended) the record is deleted, and what kept pod networks away from addresses.
    type: str
    choices: [begun, absent, ended]
    required: true
  timeout:
    description:
      - Seconds that the pods of O(networks) may take to end.
    type: int
    default: 300
requirements:
  - helm 3 on the target host, where a pod network is a release of it
"""

EXAMPLES = r"""
- name: Record that the pod network is changed
  slipway.kubernetes.kube_pod_network:
    networks: "{{ example_old_networks }}"
    successor: "{{ cluster_cni }}"
    state: begun
  when: example_old_networks is defined
"""

RETURN = r"""
done:
  description: What was done, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample: ["release mesh-system/mesh uninstalled"]
msg:
  description: The same, in one sentence.
  type: str
  returned: success
"""

import json
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kube_objects as kube
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.cluster_memory import POD_NETWORK_CHANGE
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kube_apply import KubeApply
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import KUBECTL_ARGUMENTS, Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, expect_timeout, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import (
    CHANGE_ARGUMENTS,
    PodNetwork,
    of_a_change,
    slices,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import listed

#: The set of what keeps pod networks away from addresses.
_SET = "pod-network-change"
#: The condition by which an agent that ends, or that has not begun, keeps new pods away from its node.
_UNAVAILABLE = "NetworkUnavailable"
#: What every namespace has.
_OF_EVERY_NAMESPACE = {("ConfigMap", "kube-root-ca.crt"), ("ServiceAccount", "default")}
_KINDS = "all,configmaps,secrets,serviceaccounts,persistentvolumeclaims"

Values = t.Dict[str, t.Any]


def leftover_annotations(node: kube.Object, networks: t.Iterable[PodNetwork]) -> t.List[str]:
    """The annotations of a Node that are of these pod networks."""
    prefixes = tuple(prefix for network in networks for prefix in network.node_annotations)
    return [key for key in node["metadata"].get("annotations") or {} if prefixes and key.startswith(prefixes)]


def is_unavailable(node: kube.Object) -> bool:
    """Whether a Node says that it has no network."""
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(item.get("type") == _UNAVAILABLE and item.get("status") == "True" for item in conditions)


class KubePodNetwork:
    """A cluster with pod networks that go, and one that stays."""

    def __init__(
        self, params: t.Mapping[str, t.Any], runner: Runner, kubectl: Kubectl, check_mode: bool = False
    ) -> None:
        """:raises SlipwayError: when the names make no sense."""
        self._networks, self._successor = of_a_change(params["networks"], params["successor"])
        expect_timeout(params["timeout"])
        self._params = params
        self._runner = runner
        self._kubectl = kubectl
        self._check_mode = check_mode
        self._done: t.List[str] = []

    def run(self) -> t.Dict[str, t.Any]:
        """Do it, or in check mode say what would be done.

        :raises SlipwayError: when the cluster refuses, or pods do not end.
        """
        lacking = self._kubectl.missing()
        if lacking:
            raise SlipwayError(lacking)
        steps = {"begun": (self._begin,), "absent": (self._uninstall, self._settle_nodes), "ended": (self._end,)}
        for step in steps[self._params["state"]]:
            step()
        said = "; ".join(self._done) or "nothing to do"
        return {"changed": bool(self._done), "msg": said, "done": self._done}

    # --- begun

    def _begin(self) -> None:
        wanted = {"from": ",".join(network.name for network in self._networks), "to": self._successor.name}
        recorded = POD_NETWORK_CHANGE.read(self._kubectl)
        if {key: recorded.get(key) for key in wanted} != wanted:
            self._done.append(f"recorded that {self._titles()} is replaced by {self._successor.title}")
            if not self._check_mode:
                since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                POD_NETWORK_CHANGE.write(self._kubectl, {**wanted, "since": since})
        self._keep_off()

    def _titles(self) -> str:
        return " and ".join(network.title for network in self._networks)

    def _keep_off(self) -> None:
        """Networks that give addresses as they like do not give those that belong to the Nodes' slices."""
        everyone = [self._successor, *self._networks]
        if not any(network.goes_by_slices for network in everyone):
            return
        found = sorted({str(item) for node in self._nodes() for item in slices(node)})
        objects = [item for network in everyone if not network.goes_by_slices for item in network.keeps_off(found)]
        known = self._known(objects)
        if known:
            result = KubeApply(self._set(definition=known), self._kubectl, self._check_mode).run()
            if result["changed"]:
                self._done.append(f"kept the slices of nodes free: {listed(found)}")

    def _known(self, objects: t.Sequence[kube.Object]) -> t.List[kube.Object]:
        """Those objects whose kinds the API server knows."""
        names = self._kubectl.run("api-resources", "--output=name", check=False).stdout.split()
        groups = {name.partition(".")[2] for name in names}
        return [item for item in objects if kube.group(item) in groups]

    def _set(self, **more: t.Any) -> Values:
        return {
            "state": "present",
            "set_name": _SET,
            "definition": None,
            "files": None,
            "url": None,
            "checksum": None,
            "namespace": "default",
            "field_manager": "slipway",
            "force_conflicts": True,
            "retry": 60,
            "delete_timeout": 120,
            **more,
        }

    def _nodes(self) -> t.List[kube.Object]:
        return self._kubectl.get("nodes")["items"]

    # --- absent

    def _uninstall(self) -> None:
        for network in self._networks:
            for kind, name in network.voices if not self._check_mode else ():
                self._kubectl.run("delete", kind, name, "--ignore-not-found")
            if network.chart:
                self._uninstall_release(network.chart.namespace, network.chart.release)
            elif network.manifest:
                params = self._set(state="absent", set_name=network.manifest.set_name)
                result = KubeApply(params, self._kubectl, self._check_mode).run()
                if result["changed"]:
                    self._done.append(f"set {network.manifest.set_name} deleted: {result['msg']}")
        if not self._check_mode:
            self._await_end()
        for network in self._networks:
            if network.chart:
                self._remove_namespace(network.chart.namespace)

    def _uninstall_release(self, namespace: str, name: str) -> None:
        helm = self._runner.path("helm")
        where = [f"--namespace={namespace}", f"--kubeconfig={self._params['kubeconfig']}"]
        listed_releases = self._runner.run([helm, "list", "--all", f"--filter=^{name}$", "--output=json", *where])
        if not any(item["name"] == name for item in json.loads(listed_releases.stdout or "[]")):
            return
        self._done.append(f"release {namespace}/{name} uninstalled")
        if not self._check_mode:
            timeout = f"--timeout={self._params['timeout']}s"
            self._runner.run(
                [helm, "uninstall", name, "--wait", timeout, *where],
                failure=f"The release {namespace}/{name} could not be uninstalled",
            )

    def _pods(self) -> t.List[str]:
        """The pods of the networks' own."""
        found = []
        for namespace, selector in (place for network in self._networks for place in network.agents):
            items = self._kubectl.get("pods", f"--namespace={namespace}", f"--selector={selector}")["items"]
            found += [f"{namespace}/{pod['metadata']['name']}" for pod in items]
        return sorted(found)

    def _await_end(self) -> None:
        """What an agent does while it ends, it would do to the machine, and to its Node.

        :raises SlipwayError: when pods do not end in time.
        """
        wait = _waiting.Wait(self._params["timeout"], pause=0.5, growth=1.2, longest=3)
        left = self._pods()
        while left:
            if wait.is_over:
                raise SlipwayError(
                    f"Pods of {self._titles()} have not ended in {self._params['timeout']} seconds:"
                    f" {', '.join(left)}. Where the kubelet of a node is dead, mend it or take it out of the cluster by"
                    " playbooks/remove_node.yml; a second run goes on from here."
                )
            wait.sleep()
            left = self._pods()

    def _remove_namespace(self, name: str) -> None:
        """Remove a namespace that nobody has anything in any more."""
        if name in ("default", "kube-system"):
            return
        result = self._kubectl.run("get", "namespace", name, "--ignore-not-found", "--output=name")
        if not result.stdout.strip():
            return
        items = self._kubectl.get(_KINDS, f"--namespace={name}")["items"]
        others = [item for item in items if (item["kind"], item["metadata"]["name"]) not in _OF_EVERY_NAMESPACE]
        if self._check_mode or not others:
            self._done.append(f"namespace {name} deleted")
        if not others and not self._check_mode:
            self._kubectl.run(
                "delete", "namespace", name, "--ignore-not-found", "--request-timeout=0", "--timeout=120s"
            )

    def _settle_nodes(self) -> None:
        """Nodes have no annotation of theirs, and none is said to have no network because an agent of theirs ended."""
        nodes = self._nodes()
        told = {node["metadata"]["name"]: leftover_annotations(node, self._networks) for node in nodes}
        for name, keys in told.items():
            if keys and not self._check_mode:
                self._kubectl.run("annotate", "node", name, *(f"{key}-" for key in keys))
        without = [node["metadata"]["name"] for node in nodes if is_unavailable(node)]
        condition = {
            "type": _UNAVAILABLE,
            "status": "False",
            "reason": "PodNetworkChanged",
            "message": f"{self._successor.title} is the pod network",
        }
        for name in without if not self._check_mode else ():
            patch = json.dumps({"status": {"conditions": [condition]}})
            self._kubectl.run("patch", "node", name, "--subresource=status", "--type=strategic", f"--patch={patch}")
        if any(told.values()):
            self._done.append(f"annotations removed from {listed(name for name, keys in told.items() if keys)}")
        if without:
            self._done.append(f"said that there is a network on {', '.join(without)}")

    # --- ended

    def _end(self) -> None:
        result = KubeApply(self._set(state="absent"), self._kubectl, self._check_mode).run()
        if result["changed"]:
            self._done.append("the slices of nodes are kept free no longer")
        if POD_NETWORK_CHANGE.read(self._kubectl):
            self._done.append("the change has come to its end")
            if not self._check_mode:
                POD_NETWORK_CHANGE.forget(self._kubectl)


ARGUMENTS: t.Dict[str, t.Any] = {
    **KUBECTL_ARGUMENTS,
    **CHANGE_ARGUMENTS,
    "state": {"type": "str", "choices": ["begun", "absent", "ended"], "required": True},
    "timeout": {"type": "int", "default": 300},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    return KubePodNetwork(context.params, context.runner, Kubectl.of(context), context.check_mode).run()


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
