# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _predicates as predicates
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import fixture

NO_CNI = (
    "NotReady (KubeletNotReady: container runtime network not ready: NetworkReady=false "
    "reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized)"
)


def recorded(kind: str, name: str) -> t.Any:
    for item in fixture("kube-system-no-cni.json")["items"]:
        if item["kind"] == kind and item["metadata"]["name"].startswith(name):
            return copy.deepcopy(item)
    raise KeyError(name)


def ready_nodes() -> t.Any:
    nodes = fixture("nodes-no-cni.json")["items"]
    for node in nodes:
        predicates.condition(node, "Ready").update(status="True")  # type: ignore[attr-defined]
    return nodes


# Nodes


def test_nodes_without_a_network() -> None:
    nodes = fixture("nodes-no-cni.json")["items"]
    assert predicates.nodes_ready(nodes) == [f"node kapi1: {NO_CNI}", f"node kapi2: {NO_CNI}"]
    assert predicates.nodes_ready(nodes, ["kapi2", "kapi3"], 2) == [
        f"node kapi2: {NO_CNI}",
        "node kapi3: not registered",
        "0 of 2 nodes ready",
    ]


def test_nodes() -> None:
    nodes = ready_nodes()
    assert predicates.nodes_ready(nodes, ["kapi1", "kapi2"], 2, "1.37.1") == []
    assert predicates.nodes_ready(nodes, ["kapi1"], version="v1.37.1") == []
    assert predicates.nodes_ready(nodes, version="1.37.10")[0] == "node kapi1: kubelet has version 1.37.1, not 1.37.10"
    assert predicates.nodes_ready(nodes, count=3) == ["2 of 3 nodes ready"]
    assert predicates.node_problem({"metadata": {"name": "x"}}) == "no Ready condition yet"


def test_a_ready_of_before_the_boot_is_none() -> None:
    nodes = ready_nodes()
    for node, boot in zip(nodes, ("b-1", "b-2")):
        node["status"]["nodeInfo"]["bootID"] = boot
    assert predicates.nodes_ready(nodes, ["kapi1", "kapi2"], boot_ids={"kapi1": "b-1"}) == []
    assert predicates.nodes_ready(nodes, ["kapi1", "kapi2"], 2, boot_ids={"kapi1": "b-1", "kapi2": "b-3"}) == [
        "node kapi2: its kubelet has not reported since its machine was started",
        "1 of 2 nodes ready",
    ]
    # What is wrong now is said rather than that.
    unready = fixture("nodes-no-cni.json")["items"]
    assert predicates.nodes_ready(unready, ["kapi1"], boot_ids={"kapi1": "b-3"}) == [f"node kapi1: {NO_CNI}"]


def test_a_ready_with_the_runtime_of_before_is_none() -> None:
    nodes = ready_nodes()
    for node, version in zip(nodes, ("containerd://2.1.4", "cri-o://1.36.3")):
        node["status"]["nodeInfo"]["containerRuntimeVersion"] = version
    assert predicates.nodes_ready(nodes, runtimes={"kapi1": "containerd", "kapi2": "crio"}) == []
    assert predicates.nodes_ready(nodes, runtimes={"kapi1": "crio"}) == [
        "node kapi1: its kubelet has last reported containerd, not crio"
    ]


# Workloads


def deployment(**status: int) -> t.Any:
    item = recorded("Deployment", "coredns")
    full = {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
    item["status"] = {**full, **status}
    return item


def test_recorded_workloads() -> None:
    assert predicates.rollout(recorded("Deployment", "coredns")) == [
        "deployment kube-system/coredns: 0 of 2 replicas available"
    ]
    assert predicates.rollout(recorded("DaemonSet", "kube-proxy")) == []


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        ({}, ""),
        ({"observedGeneration": 0}, "its controller has not seen the newest version yet"),
        ({"updatedReplicas": 1}, "1 of 2 replicas updated"),
        ({"availableReplicas": 1}, "1 of 2 replicas available"),
        ({"replicas": 3}, "1 old replicas not gone yet"),
    ],
)
def test_deployment(status: t.Dict[str, int], problem: str) -> None:
    expected = [f"deployment kube-system/coredns: {problem}"] if problem else []
    assert predicates.rollout(deployment(**status)) == expected


def test_why_a_deployment_does_not_proceed() -> None:
    item = deployment(availableReplicas=0)
    item["status"]["conditions"] = [
        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}
    ]
    assert predicates.rollout(item)[0].endswith("available (ProgressDeadlineExceeded: timed out)")
    item["status"]["conditions"].append({"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"})
    assert predicates.rollout(item)[0].endswith("available (exceeded quota)")


def test_daemonset() -> None:
    item = recorded("DaemonSet", "kube-proxy")
    item["status"].update(updatedNumberScheduled=1, numberAvailable=1)
    assert predicates.rollout(item) == ["daemonset kube-system/kube-proxy: updated on 1 of 2 nodes"]
    item["spec"]["updateStrategy"] = {"type": "OnDelete"}
    assert predicates.rollout(item) == ["daemonset kube-system/kube-proxy: available on 1 of 2 nodes"]


def test_statefulset() -> None:
    item: t.Dict[str, t.Any] = {
        "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "n", "generation": 2},
        "spec": {"replicas": 3, "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}},
        "status": {"observedGeneration": 2, "availableReplicas": 2, "currentRevision": "a", "updateRevision": "b"},
    }
    assert predicates.rollout(item) == ["statefulset n/db: 2 of 3 replicas available"]
    item["status"].update(availableReplicas=3, updatedReplicas=1)
    assert predicates.rollout(item) == ["statefulset n/db: 1 of 2 replicas updated"]
    item["status"].update(updatedReplicas=2)
    assert predicates.rollout(item) == []


# Other objects


def test_api_service() -> None:
    item: t.Dict[str, t.Any] = {"metadata": {"name": "v1beta1.metrics.k8s.io"}}
    assert predicates.api_service(item) == ["apiservice v1beta1.metrics.k8s.io: not available"]
    item["status"] = {"conditions": [{"type": "Available", "status": "False", "reason": "MissingEndpoints"}]}
    assert predicates.api_service(item) == ["apiservice v1beta1.metrics.k8s.io: not available (MissingEndpoints)"]
    item["status"]["conditions"][0]["status"] = "True"
    assert predicates.api_service(item) == []


def test_custom_resource_definition() -> None:
    item: t.Dict[str, t.Any] = {"metadata": {"name": "x.y"}}
    conditions = [{"type": "NamesAccepted", "status": "True"}]
    assert predicates.custom_resource_definition(item) == ["customresourcedefinition x.y: not NamesAccepted"]
    item["status"] = {"conditions": conditions}
    assert predicates.custom_resource_definition(item) == ["customresourcedefinition x.y: not Established"]
    conditions.append({"type": "Established", "status": "True"})
    assert predicates.custom_resource_definition(item) == []


def test_load_balancer() -> None:
    item: t.Dict[str, t.Any] = {"metadata": {"name": "s", "namespace": "n"}, "spec": {}}
    assert predicates.load_balancer(item) == ["service n/s: is of type ClusterIP, not LoadBalancer"]
    item["spec"]["type"] = "LoadBalancer"
    item["status"] = {"loadBalancer": {"ingress": [{}]}}
    assert predicates.load_balancer(item) == ["service n/s: no load balancer address yet"]
    item["status"]["loadBalancer"]["ingress"].append({"hostname": "lb.example.org"})
    assert predicates.load_balancer(item) == []
    assert predicates.load_balancer_address(item) == "lb.example.org"


# Pods


def pod(*containers: t.Any, phase: str = "Running", **more: t.Any) -> t.Dict[str, t.Any]:
    return {"metadata": {"name": "p"}, "status": {"phase": phase, "containerStatuses": list(containers), **more}}


def waiting(why: str, message: str = "", **last: t.Any) -> t.Dict[str, t.Any]:
    state = {"waiting": {"reason": why, **({"message": message} if message else {})}}
    return {"name": "c", "ready": False, "state": state, "lastState": {"terminated": last} if last else {}}


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (
            pod(waiting("ImagePullBackOff", "Back-off pulling image x"), phase="Pending"),
            "container c: ImagePullBackOff (Back-off pulling image x)",
        ),
        (
            pod(waiting("CrashLoopBackOff", exitCode=2, reason="Error")),
            "container c: CrashLoopBackOff, last exit code 2 (Error)",
        ),
        (pod(waiting("ContainerCreating"), phase="Pending"), "Pending, not ready: c"),
        (
            pod({"name": "c", "ready": False, "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}),
            "container c: exit code 137 (OOMKilled)",
        ),
        (pod({"name": "c", "ready": False, "state": {"running": {}}}), "Running, not ready: c"),
        (pod({"name": "c", "ready": True, "state": {"running": {}}}), "Running, not ready"),
        (pod(phase="Failed", reason="Evicted", message="low on disk"), "Failed (Evicted: low on disk)"),
        ({"metadata": {"name": "p", "deletionTimestamp": "now"}, "status": {}}, "Terminating"),
    ],
)
def test_pod_problems(item: t.Any, problem: str) -> None:
    assert predicates.pod_problem(item) == problem


def test_recorded_pods() -> None:
    assert predicates.pod_problem(recorded("Pod", "kube-proxy")) == ""
    problem = predicates.pod_problem(recorded("Pod", "coredns"))
    assert problem.startswith("not scheduled (Unschedulable: 0/1 nodes are available: 1 node(s) had untolerated taint")


def test_pods_ready() -> None:
    good, bad = recorded("Pod", "kube-proxy"), recorded("Pod", "coredns")
    done = pod(phase="Succeeded")
    assert predicates.pods_ready([good, done], "pods") == []
    assert predicates.pods_ready([], "pods x") == ["pods x: 0 of 1 pods ready"]
    assert predicates.pods_ready([], "pods x", 0) == []
    missing = predicates.pods_ready([good, bad], "pods x", 2)
    assert missing[0] == "pods x: 1 of 2 pods ready" and missing[1].startswith("pod coredns-")


def test_selected() -> None:
    pods = [recorded("Pod", "coredns"), recorded("Pod", "kube-proxy"), {"metadata": {"name": "x"}}]
    assert predicates.selected(pods, {"matchLabels": {"k8s-app": "kube-dns"}}) == pods[:1]
    assert predicates.selected(pods, {}) == pods


def test_newest_warnings() -> None:
    def event(message: str, moment: str, kind: str = "Warning", reason: str = "Failed", name: str = "p") -> t.Any:
        about = {"kind": "Pod", "name": name}
        event = {"type": kind, "reason": reason, "message": message, "involvedObject": about}
        return {**event, "metadata": {"creationTimestamp": moment}}

    events = [
        event("old", "1"),
        event("new\n  error", "3"),
        event("between", "2"),
        event("normal", "4", kind="Normal"),
        event("unschedulable", "5", reason="FailedScheduling"),
        event("other", "6", name="q"),
    ]
    assert predicates.newest_warnings(events, {"p"}) == ["pod p: Failed: new error"]
