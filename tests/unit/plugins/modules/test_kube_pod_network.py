# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster whose pod network is changed: the record, what is uninstalled, and what Nodes say."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kube_objects as kube
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.cluster_memory import POD_NETWORK_CHANGE
from ansible_collections.slipway.kubernetes.plugins.modules import kube_pod_network
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import FakeKubectl, waiting_clock
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner

RELEASE = [{"name": "flannel"}]
RECORD = kube.Reference("", "ConfigMap", "kube-system", "slipway-pod-network-change")
RESERVED = kube.Reference("crd.projectcalico.org", "IPReservation", "default", "slipway-pod-network-change")


def node(name: str, slice_: str, unavailable: str = "False", **annotations: str) -> kube.Object:
    conditions = [{"type": "Ready", "status": "True"}, {"type": "NetworkUnavailable", "status": unavailable}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "annotations": {key.replace("__", "/"): text for key, text in annotations.items()}},
        "spec": {"podCIDRs": [slice_]},
        "status": {"conditions": conditions},
    }


def agent(name: str, namespace: str = "kube-flannel", **labels: str) -> kube.Object:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace, "labels": labels}}


class Cluster(FakeKubectl):
    """A cluster with what kubectl is asked here besides."""

    def __init__(self, *objects: kube.Object) -> None:
        super().__init__(*objects)
        self.resources = "nodes\npods\n"
        self.patched: t.List[t.Tuple[str, t.Any]] = []
        self.annotated: t.List[t.List[str]] = []
        self.inside: t.List[kube.Object] = []
        self.namespace = "namespace/kube-flannel"
        self.deleted: t.List[str] = []

    def _answer(self, argv: t.List[str], stdin: t.Optional[str]) -> CommandResult:
        if self.failures:
            return super()._answer(argv, stdin)
        if argv[0] == "api-resources":
            return CommandResult([], 0, self.resources, "")
        if argv[:2] == ["get", "namespace"]:
            return CommandResult([], 0, self.namespace, "")
        if argv[0] == "get" and argv[1].startswith("all,"):
            return CommandResult([], 0, json.dumps({"items": self.inside}), "")
        if argv[0] == "annotate":
            self.annotated.append(argv[2:])
            return CommandResult([], 0, "", "")
        if argv[:2] == ["patch", "node"]:
            self.patched.append((argv[2], json.loads(argv[-1].partition("=")[2])))
            return CommandResult([], 0, "", "")
        if argv[:2] in (["delete", "configmap"], ["delete", "namespace"], ["delete", "clusterrolebinding"]):
            self.deleted.append(argv[2])
            self.store.pop(RECORD, None)
            return CommandResult([], 0, "", "")
        return super()._answer(argv, stdin)

    def recorded(self) -> t.Dict[str, str]:
        return dict(self.store[RECORD]["data"]) if RECORD in self.store else {}


NODES = (node("cp1", "10.244.0.0/24"), node("w1", "10.244.1.0/24"))


def change(
    cluster: Cluster, state: str, check: bool = False, runner: t.Any = None, **options: t.Any
) -> t.Dict[str, t.Any]:
    given = {
        "networks": ["flannel"],
        "successor": "calico",
        "state": state,
        "timeout": 30,
        "kubeconfig": "/admin.conf",
        **options,
    }
    run_by = runner or FakeRunner({"helm list": json.dumps(RELEASE), "helm uninstall": ""}, tools={"helm"})
    return kube_pod_network.KubePodNetwork(given, run_by, cluster, check).run()


@pytest.fixture(autouse=True)
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting_clock(monkeypatch)


def test_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(*NODES)
    assert change(cluster, "begun", check=True)["done"] == ["recorded that Flannel is replaced by Calico"]
    assert cluster.recorded() == {}
    assert change(cluster, "begun")["changed"]
    record = cluster.recorded()
    assert (record["from"], record["to"]) == ("flannel", "calico") and record["since"].endswith("Z")
    # Calico is not there yet; when it is, it leaves Flannel's slices alone.
    assert RESERVED not in cluster.store and not change(cluster, "begun")["changed"]
    cluster.resources += "ipreservations.crd.projectcalico.org\n"
    assert change(cluster, "begun")["done"] == ["kept the slices of nodes free: 10.244.0.0/24, 10.244.1.0/24"]
    assert cluster.store[RESERVED]["spec"] == {"reservedCIDRs": ["10.244.0.0/24", "10.244.1.0/24"]}
    assert not change(cluster, "begun")["changed"]
    assert cluster.recorded() == record
    # Somebody goes back before it has ended.
    result = change(cluster, "begun", networks=["calico"], successor="flannel")
    assert result["done"] == ["recorded that Calico is replaced by Flannel"]
    assert change(cluster, "ended", check=True)["changed"] and cluster.recorded()
    ended = change(cluster, "ended")
    assert ended["done"] == ["the slices of nodes are kept free no longer", "the change has come to its end"]
    assert cluster.recorded() == {} and RESERVED not in cluster.store
    assert change(cluster, "ended")["msg"] == "nothing to do"


def test_a_release_is_uninstalled() -> None:
    told = {"flannel.alpha.coreos.com__backend-type": "vxlan", "example.org__flannel": "mine"}
    cluster = Cluster(node("cp1", "10.244.0.0/24", "True", **told), NODES[1], agent("kube-flannel-x", app="flannel"))
    cluster.inside = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-root-ca.crt"}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}},
    ]

    def uninstall(_words: t.List[str]) -> str:
        cluster.store = {place: item for place, item in cluster.store.items() if place.kind != "Pod"}
        return ""

    runner = FakeRunner({"helm list": json.dumps(RELEASE), "helm uninstall": uninstall}, tools={"helm"})
    predicted = change(cluster, "absent", check=True, runner=runner)
    assert not runner.called("uninstall") and cluster.patched == [] and cluster.deleted == []
    result = change(cluster, "absent", runner=runner)
    assert result == predicted
    assert result["done"] == [
        "release kube-flannel/flannel uninstalled",
        "namespace kube-flannel deleted",
        "annotations removed from cp1",
        "said that there is a network on cp1",
    ]
    assert cluster.annotated == [["cp1", "flannel.alpha.coreos.com/backend-type-"]]
    [(name, patch)] = cluster.patched
    assert name == "cp1" and patch["status"]["conditions"][0]["status"] == "False"
    assert cluster.deleted == ["kube-flannel"]


def test_nothing_of_it_is_there_any_more() -> None:
    cluster = Cluster(*NODES)
    cluster.namespace = ""
    runner = FakeRunner({"helm list": "[]"}, tools={"helm"})
    assert not change(cluster, "absent", runner=runner)["changed"]


def test_a_namespace_that_others_use_stays() -> None:
    cluster = Cluster(*NODES)
    cluster.inside = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "mine"}}]
    assert "namespace kube-flannel deleted" not in change(cluster, "absent")["done"]
    assert cluster.deleted == []


def test_a_set_is_deleted() -> None:
    record = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "slipway-set-calico", "namespace": "kube-system"},
    }
    cluster = Cluster(*NODES, {**record, "data": {"objects": ""}})
    result = change(cluster, "absent", networks=["calico"], successor="flannel")
    # Its agents can tell Nodes nothing while they end.
    assert result["done"] == ["set calico deleted: 1 deleted"] and cluster.deleted == ["calico-node"]
    assert not change(cluster, "absent", networks=["calico"], successor="flannel")["changed"]


def test_pods_that_do_not_end() -> None:
    cluster = Cluster(*NODES, agent("kube-flannel-x", app="flannel"))
    with pytest.raises(SlipwayError, match="Pods of Flannel have not ended in 30 seconds: kube-flannel/kube-flannel-x"):
        change(cluster, "absent")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"networks": ["weave"]}, "There is no pod network weave here"),
        ({"successor": "flannel"}, "flannel cannot go and stay"),
        ({"timeout": 0}, "timeout is 0"),
    ],
)
def test_what_makes_no_sense(options: t.Dict[str, t.Any], message: str) -> None:
    with pytest.raises(SlipwayError, match=message):
        change(Cluster(), "begun", **options)


def test_without_kubectl() -> None:
    cluster = Cluster()
    cluster._lacking = "kubectl is not installed on this host."
    with pytest.raises(SlipwayError, match="kubectl is not installed"):
        change(cluster, "ended")


def test_a_record_that_cannot_be_deleted() -> None:
    cluster = Cluster(*NODES)
    change(cluster, "begun")
    cluster.fail("Error from server (Forbidden)", "delete")
    with pytest.raises(SlipwayError, match="Cannot delete ConfigMap kube-system/slipway-pod-network-change"):
        POD_NETWORK_CHANGE.forget(cluster)
