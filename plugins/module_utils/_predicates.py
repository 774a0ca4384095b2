# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Predicates over objects of the Kubernetes API: what is still missing, as sentences; an empty list means none.

Pure functions. The rules for roll-outs are those of ``kubectl rollout status``.

Private to this collection.
"""

from __future__ import annotations

import typing as t

Object = t.Mapping[str, t.Any]


def condition(item: Object, kind: str) -> Object:
    """The entry ``kind`` of an object's status conditions; empty when it has none."""
    for entry in item.get("status", {}).get("conditions") or []:
        if entry.get("type") == kind:
            return entry
    return {}


def _why(entry: Object) -> str:
    parts = [entry.get("reason", ""), entry.get("message", "")]
    text = ": ".join(part for part in parts if part)
    return f" ({text})" if text else ""


def node_problem(node: Object) -> str:
    """Why a node is not Ready; empty when it is."""
    entry = condition(node, "Ready")
    if entry.get("status") == "True":
        return ""
    return ("NotReady" if entry else "no Ready condition yet") + _why(entry)


def nodes_ready(
    nodes: t.Iterable[Object],
    names: t.Sequence[str] = (),
    count: int = 0,
    version: t.Optional[str] = None,
    boot_ids: t.Optional[t.Mapping[str, str]] = None,
    runtimes: t.Optional[t.Mapping[str, str]] = None,
) -> t.List[str]:
    """Nodes that are absent, not Ready or not of the ``version`` (such as ``1.37.1``).

    :param names: the nodes asked for; without names all nodes.
    :param count: how many nodes there must be at least.
    :param boot_ids: by the names of nodes the boot that their machines are in: a Ready of an earlier one is none.
    :param runtimes: by the names of nodes the container runtime that their kubelets have: the same.
    """
    found = {node["metadata"]["name"]: node for node in nodes}
    missing = []
    ready = 0
    for name in names or sorted(found):
        node = found.get(name)
        if node is None:
            missing.append(f"node {name}: not registered")
            continue
        problem = node_problem(node)
        info = node.get("status", {}).get("nodeInfo", {})
        kubelet, boot = info.get("kubeletVersion", ""), (boot_ids or {}).get(name)
        if not problem and version and kubelet.lstrip("v") != version.lstrip("v"):
            problem = f"kubelet has version {kubelet.lstrip('v')}, not {version.lstrip('v')}"
        if not problem and boot and info.get("bootID") != boot:
            problem = "its kubelet has not reported since its machine was started"
        # CRI-O is a cri-o there.
        runtime = str(info.get("containerRuntimeVersion", "")).partition(":")[0].replace("-", "")
        wanted = (runtimes or {}).get(name, runtime)
        if not problem and runtime != wanted:
            problem = f"its kubelet has last reported {runtime or 'no container runtime'}, not {wanted}"
        if problem:
            missing.append(f"node {name}: {problem}")
        else:
            ready += 1
    if ready < count:
        missing.append(f"{ready} of {count} nodes ready")
    return missing


def rollout(item: Object) -> t.List[str]:
    """What a Deployment, DaemonSet or StatefulSet lacks until its newest version is available everywhere."""
    kind = item["kind"].lower()
    what = f"{kind} {item['metadata']['namespace']}/{item['metadata']['name']}"
    status = item.get("status", {})
    if status.get("observedGeneration", 0) < item["metadata"].get("generation", 1):
        return [f"{what}: its controller has not seen the newest version yet"]
    problem = {"deployment": _deployment, "daemonset": _daemonset, "statefulset": _statefulset}[kind](item, status)
    if not problem:
        return []
    return [f"{what}: {problem}{_trouble(item)}"]


def _trouble(item: Object) -> str:
    failure = condition(item, "ReplicaFailure")
    progress = condition(item, "Progressing")
    if failure.get("status") == "True":
        return _why(failure)
    return _why(progress) if progress.get("status") == "False" else ""


def _deployment(item: Object, status: Object) -> str:
    wanted = item["spec"].get("replicas", 1)
    updated = status.get("updatedReplicas", 0)
    available = status.get("availableReplicas", 0)
    if updated < wanted:
        return f"{updated} of {wanted} replicas updated"
    if available < wanted:
        return f"{available} of {wanted} replicas available"
    old = status.get("replicas", 0) - updated
    return f"{old} old replicas not gone yet" if old > 0 else ""


def _daemonset(item: Object, status: Object) -> str:
    wanted = status.get("desiredNumberScheduled", 0)
    updated = status.get("updatedNumberScheduled", 0)
    available = status.get("numberAvailable", 0)
    if item["spec"].get("updateStrategy", {}).get("type") != "OnDelete" and updated < wanted:
        return f"updated on {updated} of {wanted} nodes"
    return f"available on {available} of {wanted} nodes" if available < wanted else ""


def _statefulset(item: Object, status: Object) -> str:
    wanted = item["spec"].get("replicas", 1)
    strategy = item["spec"].get("updateStrategy", {})
    partition = (strategy.get("rollingUpdate") or {}).get("partition", 0)
    updated = status.get("updatedReplicas", 0)
    available = status.get("availableReplicas", 0)
    if available < wanted:
        return f"{available} of {wanted} replicas available"
    newest = status.get("currentRevision") == status.get("updateRevision")
    if strategy.get("type") != "OnDelete" and not newest and updated < wanted - partition:
        return f"{updated} of {wanted - partition} replicas updated"
    return ""


def api_service(item: Object) -> t.List[str]:
    """Why an aggregated API is not available."""
    entry = condition(item, "Available")
    if entry.get("status") == "True":
        return []
    return [f"apiservice {item['metadata']['name']}: not available{_why(entry)}"]


def custom_resource_definition(item: Object) -> t.List[str]:
    """Why the kinds of a CustomResourceDefinition cannot be used yet."""
    for kind in ("NamesAccepted", "Established"):
        entry = condition(item, kind)
        if entry.get("status") != "True":
            return [f"customresourcedefinition {item['metadata']['name']}: not {kind}{_why(entry)}"]
    return []


def load_balancer_address(service: Object) -> str:
    """The first address (or host name) that a load balancer gave to a Service; empty when none did."""
    for ingress in service.get("status", {}).get("loadBalancer", {}).get("ingress") or []:
        address = ingress.get("ip") or ingress.get("hostname")
        if address:
            return address
    return ""


def load_balancer(service: Object) -> t.List[str]:
    """Why a Service has no address from a load balancer."""
    what = f"service {service['metadata']['namespace']}/{service['metadata']['name']}"
    kind = service["spec"].get("type", "ClusterIP")
    if kind != "LoadBalancer":
        return [f"{what}: is of type {kind}, not LoadBalancer"]
    return [] if load_balancer_address(service) else [f"{what}: no load balancer address yet"]


def pod_problem(pod: Object) -> str:
    """Why a pod is not Ready, as near to the cause as its status tells; empty when it is."""
    status = pod.get("status", {})
    phase = status.get("phase", "Unknown")
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    if phase in ("Running", "Pending") and condition(pod, "Ready").get("status") == "True":
        return ""
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    for container in containers:
        state = container.get("state") or {}
        waiting = state.get("waiting") or {}
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            last = (container.get("lastState") or {}).get("terminated") or {}
            ended = f", last exit code {last['exitCode']}{_why(last)}" if "exitCode" in last else ""
            return f"container {container['name']}: {waiting['reason']}{_message(waiting)}{ended}"
        ended_now = state.get("terminated") or {}
        if ended_now.get("exitCode"):
            return f"container {container['name']}: exit code {ended_now['exitCode']}{_why(ended_now)}"
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return f"not scheduled{_why(scheduled)}"
    if phase not in ("Running", "Pending"):
        return phase + _why(status)
    unready = [container["name"] for container in containers if not container.get("ready")]
    return f"{phase}, not ready: {', '.join(unready)}" if unready else f"{phase}, not ready"


def _message(entry: Object) -> str:
    return f" ({entry['message']})" if entry.get("message") else ""


def pods_ready(pods: t.Sequence[Object], what: str, count: int = 1) -> t.List[str]:
    """Pods that are not Ready; finished ones and those that are going do not count.

    :param what: what they were selected by, for the message.
    :param count: how many must be Ready at least.
    """
    alive = [
        pod
        for pod in pods
        if pod.get("status", {}).get("phase") != "Succeeded" and not pod["metadata"].get("deletionTimestamp")
    ]
    problems = {pod["metadata"]["name"]: pod_problem(pod) for pod in alive}
    missing = [f"pod {name}: {problem}" for name, problem in problems.items() if problem]
    ready = len(problems) - len(missing)
    if ready < count:
        missing.insert(0, f"{what}: {ready} of {count} pods ready")
    return missing


def selected(pods: t.Iterable[Object], selector: Object) -> t.List[Object]:
    """The pods that the ``matchLabels`` of a workload's selector fit."""
    labels = (selector.get("matchLabels") or {}).items()
    return [pod for pod in pods if labels <= (pod["metadata"].get("labels") or {}).items()]


def fits(selector: t.Optional[Object], labels: t.Mapping[str, str]) -> bool:
    """Whether a budget's label selector fits a pod; an empty one fits all pods, none at all fits none."""
    if selector is None:
        return False
    if not (selector.get("matchLabels") or {}).items() <= labels.items():
        return False
    tests: t.Dict[str, t.Callable[[str, t.Sequence[str]], bool]] = {
        "In": lambda key, values: labels.get(key) in values,
        "NotIn": lambda key, values: labels.get(key) not in values,
        "Exists": lambda key, values: key in labels,
        "DoesNotExist": lambda key, values: key not in labels,
    }
    expressions = selector.get("matchExpressions") or []
    return all(tests[test["operator"]](test["key"], test.get("values") or []) for test in expressions)


def counts_for(pod: Object, budget: Object) -> bool:
    """Whether a budget is about the pod."""
    same = budget["metadata"]["namespace"] == pod["metadata"]["namespace"]
    return same and fits(budget["spec"].get("selector"), pod["metadata"].get("labels") or {})


def newest_warnings(events: t.Iterable[Object], names: t.Container[str]) -> t.List[str]:
    """The newest warning of each object in ``names``, but that a pod is not scheduled: its status says so."""
    newest: t.Dict[t.Tuple[str, str], t.Tuple[str, str]] = {}
    for event in events:
        about = event.get("involvedObject") or {}
        known = event.get("type") != "Warning" or event.get("reason") == "FailedScheduling"
        if known or about.get("name") not in names:
            continue
        moment = (
            event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or ""
        )
        key = (about.get("kind", "").lower(), about["name"])
        message = " ".join((event.get("message") or "").split())
        newest[key] = max(newest.get(key, ("", "")), (moment, f"{event.get('reason', '')}: {message}"))
    return [f"{kind} {name}: {text}" for (kind, name), (_moment, text) in newest.items()]
