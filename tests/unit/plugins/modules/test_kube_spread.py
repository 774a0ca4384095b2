# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CoreDNS after a build: both pods are on the first control plane."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import (
    CommandError,
    CommandResult,
    SlipwayError,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import spread as _spread
from ansible_collections.slipway.kubernetes.plugins.modules.kube_spread import KubeSpread

pytestmark = pytest.mark.usefixtures("clock")

LABELS = {"k8s-app": "kube-dns"}
CONTROL_PLANE = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
DEPLOYMENT: t.Dict[str, t.Any] = {
    "kind": "Deployment",
    "metadata": {"name": "coredns", "namespace": "kube-system"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": LABELS},
        "template": {
            "spec": {
                "nodeSelector": {"kubernetes.io/os": "linux"},
                "tolerations": [{"key": "CriticalAddonsOnly", "operator": "Exists"}, CONTROL_PLANE],
            }
        },
    },
}


def node(name: str, ready: str = "True", taints: t.Sequence[t.Any] = (), **spec: t.Any) -> t.Dict[str, t.Any]:
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/os": "linux"}},
        "spec": {"taints": list(taints), **spec},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def pod(name: str, place: str, ready: str = "True", **metadata: t.Any) -> t.Dict[str, t.Any]:
    return {
        "metadata": {"name": name, "labels": LABELS, **metadata},
        "spec": {"nodeName": place},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
    }


class Cluster:
    """kubectl with a cluster whose scheduler puts new pods on ``target``, ready after some looks."""

    def __init__(self, *nodes: t.Dict[str, t.Any], target: str = "worker1", looks: int = 2) -> None:
        self.nodes = list(nodes)
        self.pods = [pod("dns-1", "cp1"), pod("dns-2", "cp1")]
        self.deployment: t.Optional[t.Dict[str, t.Any]] = DEPLOYMENT
        self.evicted: t.List[t.Dict[str, t.Any]] = []
        self.elsewhere: t.List[t.Dict[str, t.Any]] = []
        self.lacking = ""
        self.refusal = ""
        self._target = target
        self._looks = looks

    def missing(self) -> str:
        return self.lacking

    def get(self, what: str, *more: str) -> t.Dict[str, t.Any]:
        if what == "nodes":
            return {"items": self.nodes}
        if "--all-namespaces" in more:
            return {"items": [*self.pods, *self.elsewhere]}
        if self.evicted:
            self._looks -= 1
            if self._looks == 0:
                self.pods[-1] = pod("dns-3", self._target)
        return {"items": list(self.pods)}

    def run(self, *arguments: str, stdin: t.Optional[str] = None, check: bool = True) -> CommandResult:
        if arguments[0] == "get":
            return CommandResult([], 0, json.dumps(self.deployment) if self.deployment else "", "")
        if self.refusal:
            failed = CommandResult([], 1, "", self.refusal)
            raise CommandError(self.refusal, failed)
        assert arguments[1] == "--raw=/api/v1/namespaces/kube-system/pods/dns-2/eviction"
        self.evicted.append(json.loads(stdin or ""))
        self.pods[1:] = [pod("dns-2", "cp1", deletionTimestamp="now"), pod("dns-3", self._target, "False")]
        return CommandResult([], 0, "", "")


def spread(cluster: Cluster, check: bool = False, timeout: int = 30) -> t.Dict[str, t.Any]:
    return KubeSpread(t.cast(t.Any, cluster), ["kube-system/coredns"], timeout, check).run()


def test_one_of_two_is_moved_once_there_is_another_node() -> None:
    cluster = Cluster(node("cp1", taints=[CONTROL_PLANE]), node("worker1"))
    for _twice in range(2):
        result = spread(cluster, check=True)
        assert result["changed"] and result["moved"] == ["kube-system/coredns"] and not cluster.evicted
    result = spread(cluster)
    assert result["changed"] and not result["warnings"]
    assert result["msg"] == "kube-system/coredns was on cp1 only, a pod of it was moved"
    assert [eviction["metadata"]["name"] for eviction in cluster.evicted] == ["dns-2"]
    assert not spread(cluster)["changed"] and len(cluster.evicted) == 1


@pytest.mark.parametrize(
    "others",
    [
        [],
        [node("worker1", "False")],
        [node("worker1", unschedulable=True)],
        [node("worker1", taints=[{"key": "gpu", "value": "yes", "effect": "NoSchedule"}])],
        [node("worker1", taints=[{"key": "gpu", "effect": "NoExecute"}])],
        [node("worker1", taints=[{"key": "gpu", "effect": "PreferNoSchedule"}])],
        [{**node("worker1"), "metadata": {"name": "worker1", "labels": {"kubernetes.io/os": "windows"}}}],
    ],
)
def test_where_no_other_node_would_take_one(others: t.List[t.Dict[str, t.Any]]) -> None:
    assert not spread(Cluster(node("cp1"), *others))["changed"]


@pytest.mark.parametrize(("cpu", "moves"), [("1", True), ("350m", True), ("349m", False)])
def test_a_node_that_has_no_room_is_no_other_node(cpu: str, moves: bool) -> None:
    """The scheduler would put the pod back where it was, in each run."""
    other = node("worker1")
    other["status"]["allocatable"] = {"cpu": cpu, "memory": "1Gi"}
    cluster = Cluster(node("cp1"), other)
    asks = {"containers": [{"resources": {"requests": {"cpu": "100m", "memory": "70Mi"}}}]}
    cluster.deployment = copy.deepcopy(DEPLOYMENT)
    cluster.deployment["spec"]["template"]["spec"].update(asks)
    busy = pod("busy", "worker1")
    busy["metadata"]["labels"] = {}
    busy["spec"]["containers"] = [{"resources": {"requests": {"cpu": "250m"}}}, {}]
    done = {**busy, "status": {"phase": "Succeeded"}}
    cluster.elsewhere = [busy, done]
    assert spread(cluster, check=True)["changed"] is moves


def test_pods_that_stay_where_they_are() -> None:
    """A node that has as many pods as it may have, and pods that must be on certain nodes."""
    other = node("worker1")
    other["status"]["allocatable"] = {"pods": "1"}
    cluster = Cluster(node("cp1"), other)
    assert spread(cluster, check=True)["changed"]
    cluster.elsewhere = [pod("busy", "worker1")]
    assert not spread(cluster, check=True)["changed"]
    cluster.elsewhere = []
    cluster.deployment = copy.deepcopy(DEPLOYMENT)
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{}]}}
    cluster.deployment["spec"]["template"]["spec"]["affinity"] = {"nodeAffinity": required}
    assert not spread(cluster, check=True)["changed"]


def test_what_is_left_alone() -> None:
    cluster = Cluster(node("cp1"), node("worker1"))
    cluster.pods = [pod("dns-1", "cp1")]
    assert not spread(cluster)["changed"], "one pod is nowhere else"
    cluster.pods = [pod("dns-1", "cp1"), pod("dns-2", "cp1", "False")]
    assert not spread(cluster)["changed"], "the one that serves stays"
    cluster.pods = [pod("dns-1", "cp1"), pod("dns-2", "worker1")]
    assert not spread(cluster)["changed"]
    cluster.deployment = None
    assert not spread(cluster)["changed"]


def test_other_control_planes_take_one() -> None:
    cluster = Cluster(node("cp1", taints=[CONTROL_PLANE]), node("cp2", taints=[CONTROL_PLANE]), target="cp2")
    assert spread(cluster)["changed"]


def test_a_scheduler_that_puts_it_there_again_is_named() -> None:
    result = spread(Cluster(node("cp1"), node("worker1"), target="cp1"))
    assert result["warnings"][0].startswith("All pods of kube-system/coredns are on cp1: the scheduler")


def test_a_pod_that_does_not_start_elsewhere() -> None:
    with pytest.raises(SlipwayError, match=r"taken the place of the pod dns-2 .* pod dns-3: Running, not re"):
        spread(Cluster(node("cp1"), node("worker1"), looks=1000))


def test_a_budget_that_keeps_the_pod_is_a_warning() -> None:
    """The run is complete but for that."""
    cluster = Cluster(node("cp1"), node("worker1"))
    cluster.refusal = (
        "Error from server (TooManyRequests): Cannot evict pod as it would violate the pod's disruption budget."
    )
    result = spread(cluster)
    assert (result["changed"], result["moved"], cluster.evicted) == (False, [], [])
    assert "a PodDisruptionBudget keeps it there" in result["msg"]
    [warning] = result["warnings"]
    assert warning.startswith(
        "All pods of kube-system/coredns are on cp1, and a PodDisruptionBudget allows no eviction"
    )
    cluster.refusal = (
        "Error from server (TooManyRequests): Cannot evict pod as it would violate the pod's disruption budget."
        " The disruption budget dns is still being processed by the server."
    )
    assert spread(cluster)["warnings"]
    cluster.refusal = "Error from server (Forbidden): no"
    with pytest.raises(CommandError, match="Forbidden"):
        spread(cluster)


def test_a_bare_machine() -> None:
    cluster = Cluster(node("cp1"))
    cluster.lacking = "kubectl is not installed on this host."
    assert spread(cluster, check=True) == {"changed": False, "msg": cluster.lacking, "moved": []}
    with pytest.raises(SlipwayError, match="not installed"):
        spread(cluster)


@pytest.mark.parametrize("name", ["coredns", "/coredns", "kube-system/", "a/b/c", ""])
def test_names(name: str) -> None:
    with pytest.raises(SlipwayError, match="write its namespace and its name"):
        _spread.split(name)


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "gpu", "operator": "Exists"}, True),
        ({"key": "gpu", "value": "yes"}, True),
        ({"key": "gpu", "operator": "Equal", "value": "no"}, False),
        ({"key": "gpu", "operator": "Exists", "effect": "NoExecute"}, False),
        ({"key": "disk", "operator": "Exists"}, False),
    ],
)
def test_tolerations(toleration: t.Dict[str, str], expected: bool) -> None:
    assert _spread.tolerates([toleration], {"key": "gpu", "value": "yes", "effect": "NoSchedule"}) is expected
