# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployments all of whose pods are on one node, though others would take one: what is gone when that node fails.

CoreDNS is such a one after a build: its pods start when the first control plane is the only node there is, and the
scheduler, which would prefer to have them apart, moves none afterwards. Private to this collection.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _predicates as predicates
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.resources import (
    RESOURCES,
    quantity,
    requests,
    room,
    running_on,
)

Object = t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Crowd:
    """A Deployment whose pods are all on one node.

    :param name: its namespace and name, with a slash between them.
    :param pods: the names of its pods.
    """

    name: str
    node: str
    pods: t.Sequence[str]


def split(name: str) -> t.Tuple[str, str]:
    """Namespace and name.

    :raises SlipwayError: when it is not both, with a slash between them.
    """
    namespace, slash, rest = name.partition("/")
    if not (namespace and slash and rest) or "/" in rest:
        raise SlipwayError(f"{name!r} is no Deployment: write its namespace and its name, such as kube-system/coredns.")
    return namespace, rest


def tolerates(tolerations: t.Iterable[Object], taint: Object) -> bool:
    """Whether pods with these tolerations may be put on a node with the taint."""
    for item in tolerations:
        if item.get("effect") not in (None, "", taint["effect"]):
            continue
        if item.get("operator") == "Exists":
            if item.get("key") in (None, "", taint["key"]):
                return True
        elif item.get("key") == taint["key"] and (item.get("value") or "") == (taint.get("value") or ""):
            return True
    return False


def takes(node: Object, template: Object) -> bool:
    """Whether a pod of the template may be put on the node now."""
    spec = node.get("spec", {})
    labels = node["metadata"].get("labels") or {}
    affinity = (template.get("affinity") or {}).get("nodeAffinity") or {}
    return (
        # What is required there is not worked out here: such pods stay where they are.
        not affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
        and not predicates.node_problem(node)
        and not spec.get("unschedulable")
        and (template.get("nodeSelector") or {}).items() <= labels.items()
        # Also a taint that only advises against it: the scheduler would put the pod where it was, in each run.
        and all(tolerates(template.get("tolerations") or [], taint) for taint in spec.get("taints") or [])
    )


def ready_pods(deployment: Object, pods: t.Iterable[Object]) -> t.List[Object]:
    """Its pods that serve, and go on to do so."""
    return [
        pod
        for pod in predicates.selected(pods, deployment["spec"]["selector"])
        if not pod["metadata"].get("deletionTimestamp") and not predicates.pod_problem(pod)
    ]


def has_room(node: Object, template: Object, pods: t.Sequence[Object]) -> bool:
    """Whether the node has what a pod of the template asks for, beside all pods of the cluster that run there."""
    asked = {resource: requests(template, resource) for resource in RESOURCES}
    most = quantity((node.get("status", {}).get("allocatable") or {}).get("pods", 0))
    if most and len(running_on(node, pods)) >= most:
        return False
    return all(room(node, pods, resource) >= amount for resource, amount in asked.items() if amount)


def crowd(
    deployment: Object,
    pods: t.Iterable[Object],
    nodes: t.Iterable[Object],
    all_pods: t.Callable[[], t.Sequence[Object]],
) -> t.Optional[Crowd]:
    """The Deployment with its pods, when they are several, all on one node, and another node would take one.

    :param all_pods: asks for the pods of all namespaces, which is not cheap.
    """
    found = ready_pods(deployment, pods)
    places = {pod["spec"].get("nodeName", "") for pod in found}
    if len(found) < 2 or len(places) != 1:
        return None
    (place,) = places
    template = deployment["spec"]["template"]["spec"]
    others = [node for node in nodes if node["metadata"]["name"] != place and takes(node, template)]
    running = all_pods() if others else []
    if not any(has_room(node, template, running) for node in others):
        return None
    metadata = deployment["metadata"]
    names = sorted(pod["metadata"]["name"] for pod in found)
    return Crowd(f"{metadata['namespace']}/{metadata['name']}", place, names)


def read_deployment(kubectl: Kubectl, name: str) -> t.Optional[Object]:
    """The Deployment; ``None`` when there is none."""
    namespace, rest = split(name)
    result = kubectl.run("get", f"deployment/{rest}", f"--namespace={namespace}", "--ignore-not-found", "--output=json")
    return json.loads(result.stdout) if result.stdout.strip() else None


def find(kubectl: Kubectl, names: t.Sequence[str]) -> t.List[Crowd]:
    """Those of the Deployments whose pods are all on one node, though another one would take one."""
    crowds = []
    nodes: t.Optional[t.List[Object]] = None
    for name in names:
        deployment = read_deployment(kubectl, name)
        if deployment is not None:
            pods = kubectl.get("pods", f"--namespace={split(name)[0]}")["items"]
            nodes = kubectl.get("nodes")["items"] if nodes is None else nodes
            crowds.append(crowd(deployment, pods, nodes, lambda: kubectl.get("pods", "--all-namespaces")["items"]))
    return [item for item in crowds if item is not None]
