# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _predicates
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.modules import kube_drain
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import FakeKubectl, fixture
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

pytestmark = pytest.mark.usefixtures("clock")

#: What kubectl 1.37.1 printed for a node with two pods that a budget keeps, and some others.
RECORDED = fixture("drain.json")
WEB = ["default/web-57f986878f-xbl2f", "default/web-57f986878f-xm7hs"]
OPTIONS: t.Dict[str, t.Any] = {
    "name": "n1",
    "state": "drained",
    "only_ours": True,
    "timeout": 300,
    "delete_emptydir_data": False,
    "force": False,
    "disable_eviction": False,
    "grace_period": -1,
    "skip_wait_for_delete_timeout": 0,
}


def labelled(kind: str, name: str, namespace: str = "default", **more: t.Any) -> t.Dict[str, t.Any]:
    metadata = {"name": name, "namespace": namespace, "labels": {"app": "web"}}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **more}


BUDGET = labelled(
    "PodDisruptionBudget",
    "web",
    spec={"selector": {"matchLabels": {"app": "web"}}},
    status={"desiredHealthy": 2, "expectedPods": 2, "currentHealthy": 2},
)


class Cluster(FakeKubectl):
    """One node; what `kubectl drain` says is recorded."""

    def __init__(self, listed: str, *drains: str, unschedulable: bool = False, mark: str = "") -> None:
        spec = {"unschedulable": True} if unschedulable else {}
        metadata: t.Dict[str, t.Any] = {"name": "n1"}
        if mark:
            metadata["annotations"] = {kube_drain.ANNOTATION: mark}
        super().__init__({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec})
        self._listed = listed
        self._drains = list(drains)
        self.budgets = [BUDGET]

    def run(self, *arguments: str, stdin: t.Optional[str] = None, check: bool = True) -> CommandResult:
        if arguments[0] == "drain":
            self.calls.append(list(arguments))
            name = self._listed if "--dry-run=client" in arguments else self._drains.pop(0)
            return CommandResult(list(arguments), **RECORDED.get(name, {"rc": 1, "stdout": "", "stderr": name}))
        if arguments[:2] == ("get", "poddisruptionbudgets"):
            return CommandResult([], 0, json.dumps({"items": self.budgets}), "")
        return super().run(*arguments, stdin=stdin, check=check)

    def _convert(self, argv: t.List[str], stdin: str) -> CommandResult:
        if "--dry-run=server" not in argv:
            patch = json.loads(argv[4].partition("=")[2])
            metadata = {"name": "n1", "annotations": {}}
            metadata["annotations"].update({key: v for key, v in patch["metadata"]["annotations"].items() if v})
            spec = {key: value for key, value in patch["spec"].items() if value}
            self.put({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": spec})
        return CommandResult([], 0, "node/n1 patched\n", "")

    @property
    def state(self) -> t.Tuple[bool, bool]:
        """Whether the node is cordoned, and whether it says that it was us."""
        node = next(item for item in self.store.values() if item["kind"] == "Node")
        marked = kube_drain.ANNOTATION in node["metadata"].get("annotations", {})
        return node["spec"].get("unschedulable", False), marked


def drain(cluster: FakeKubectl, check: bool = False, **more: t.Any) -> kube_drain.KubeDrain:
    return kube_drain.KubeDrain({**OPTIONS, **more}, cluster, check)


def test_drain_and_uncordon() -> None:
    cluster = Cluster("left", "drained")
    predicted = drain(Cluster("left", "drained"), check=True).run()
    result = drain(cluster).run()
    assert result == predicted
    assert result["msg"] == "n1: cordoned, 2 pods evicted" and result["changed"]
    assert (result["pods"], result["cordoned"], result["cordoned_by_us"]) == (WEB, True, True)
    assert result["diff"][0]["before"] == f"cordoned: false\npod: {WEB[0]}\npod: {WEB[1]}\n"
    assert result["diff"][0]["after"] == "cordoned: true\n"
    assert cluster.state == (True, True)
    assert cluster.verbs() == ["get", "drain", "patch", "drain"]
    assert drain(cluster, state="cordoned").run()["msg"] == "n1: cordoned already"
    result = drain(cluster, state="uncordoned").run()
    assert result["changed"] and result["msg"] == "n1: uncordoned" and not result["cordoned"]
    assert cluster.state == (False, False)
    result = drain(cluster, state="uncordoned").run()
    assert not result["changed"] and result["msg"] == "n1: was not cordoned"


def test_nothing_left_to_do() -> None:
    cluster = Cluster("empty", unschedulable=True, mark="then")
    result = drain(cluster).run()
    assert not result["changed"] and result["msg"] == "n1: nothing to evict" and result["cordoned_by_us"]
    assert cluster.verbs() == ["get", "drain"]


def test_what_an_administrator_has_cordoned_stays_so() -> None:
    cluster = Cluster("left", "drained", unschedulable=True)
    result = drain(cluster).run()
    assert result["msg"] == "n1: 2 pods evicted" and not result["cordoned_by_us"]
    result = drain(cluster, state="uncordoned").run()
    assert not result["changed"] and result["msg"] == "n1: left alone, somebody else has cordoned it"
    assert cluster.state == (True, False)
    assert drain(cluster, state="uncordoned", only_ours=False).run()["changed"]
    assert cluster.state == (False, False)


def test_an_administrator_has_uncordoned() -> None:
    cluster = Cluster("empty", mark="then")
    result = drain(cluster, state="uncordoned").run()
    assert result["changed"] and cluster.state == (False, False)


def test_budgets() -> None:
    cluster = Cluster("listed", "blocked")
    for name in WEB:
        cluster.put(labelled("Pod", name.partition("/")[2]))
    with pytest.raises(SlipwayError) as caught:
        drain(cluster, timeout=8).run()
    message = caught.value.msg
    assert "n1 is not drained after 8 seconds" in message
    assert f"{WEB[0]}: budget default/web (2 of 2 pods must stay healthy, 2 are); {WEB[1]}: budget" in message
    assert "disable_eviction" in message and "kubectl uncordon n1" in message
    assert "alone" not in message, "it has gone"
    assert cluster.state == (True, True)


def test_budgets_in_check_mode() -> None:
    cluster = Cluster("listed", "blocked-dry")
    for name in WEB:
        cluster.put(labelled("Pod", name.partition("/")[2]))
    result = drain(cluster, check=True).run()
    assert result["changed"] and len(result["pods"]) == 7
    assert [line.partition(":")[0] for line in result["blocked"]] == WEB
    assert "not allowed at this moment: default/web" in result["msg"]
    assert cluster.state == (False, False)
    gone = drain(Cluster("listed", "blocked-dry"), check=True).run()
    assert gone["blocked"][0] == f"{WEB[0]}: a budget that does not exist any more"


def test_pods_that_need_a_word() -> None:
    cluster = Cluster("refused")
    with pytest.raises(SlipwayError) as caught:
        drain(cluster).run()
    assert (
        "nothing was changed: no controller would make these pods anew: default/alone, default/slow (`force: true`"
        in (caught.value.msg)
    )
    assert (
        "emptyDir volumes: default/scratch-" in caught.value.msg and "`delete_emptydir_data: true`" in caught.value.msg
    )
    assert cluster.state == (False, False)


def test_pods_that_do_not_end() -> None:
    cluster = Cluster("listed", "hanging")
    with pytest.raises(SlipwayError, match=r"told to end and have not: default/.*skip_wait_for_delete_timeout"):
        drain(cluster).run()


def test_an_api_server_that_moves() -> None:
    refused = "The connection to the server 172.30.0.41:6443 was refused - did you specify the right host or port?"
    cluster = Cluster("left", refused, refused, "drained")
    assert drain(cluster).run()["pods"] == WEB
    assert cluster.calls[-1][3] == "--timeout=298s"
    # kubectl ends at once when that happens while it waits for a pod that is told to end.
    waiting = f'error when waiting for pod "web" in namespace "default" to terminate: {refused}'
    assert drain(Cluster("left", waiting, "drained")).run()["pods"] == WEB
    with pytest.raises(SlipwayError, match="is not drained: The connection to the server"):
        drain(Cluster("left", *[refused] * 9), timeout=3).run()
    with pytest.raises(SlipwayError, match="is not drained: error: no"):
        drain(Cluster("left", "error: no")).run()


def test_arguments() -> None:
    options = {"force": True, "disable_eviction": True, "delete_emptydir_data": True, "grace_period": 0}
    made = drain(Cluster(""), **options, skip_wait_for_delete_timeout=1)
    assert made.drain_argv(9, "client") == [
        "drain",
        "n1",
        "--ignore-daemonsets",
        "--timeout=9s",
        "--delete-emptydir-data",
        "--force",
        "--disable-eviction",
        "--grace-period=0",
        "--skip-wait-for-delete-timeout=1",
        "--dry-run=client",
    ]
    for option in ({"timeout": 0}, {"grace_period": -2}, {"skip_wait_for_delete_timeout": -1}):
        with pytest.raises(SlipwayError, match="or more"):
            drain(Cluster(""), **option)


def test_selectors() -> None:
    labels = {"app": "web", "tier": "front"}
    for operator, key, values, fitting in (
        ("In", "app", ["web"], True),
        ("In", "none", ["web"], False),
        ("NotIn", "app", ["web"], False),
        ("Exists", "tier", None, True),
        ("DoesNotExist", "tier", None, False),
    ):
        expression = {"key": key, "operator": operator, "values": values}
        assert _predicates.fits({"matchExpressions": [expression]}, labels) == fitting
    assert _predicates.fits({}, labels) and not _predicates.fits(None, labels)
    assert not _predicates.fits({"matchLabels": {"app": "db"}}, labels)
    assert kube_drain.budgets_of(labelled("Pod", "x", "other"), [BUDGET]) == []


def test_unknown_nodes_and_failures() -> None:
    with pytest.raises(SlipwayError, match="The cluster has no node n1"):
        drain(FakeKubectl()).run()
    cluster = Cluster("empty")
    cluster.fail("Unauthorized", "get")
    with pytest.raises(SlipwayError, match="Cannot read the node n1: Unauthorized"):
        drain(cluster).run()
    cluster = Cluster("empty")
    cluster.fail("Forbidden", "patch")
    with pytest.raises(SlipwayError, match="Cannot cordon the node n1: Forbidden"):
        drain(cluster).run()
    cluster = Cluster("empty", mark="then")
    cluster.fail("Forbidden", "patch")
    with pytest.raises(SlipwayError, match="Cannot uncordon the node n1: Forbidden"):
        drain(cluster, state="uncordoned").run()
    with pytest.raises(SlipwayError, match="Cannot list the pods of the node n1: broken"):
        drain(Cluster("broken")).run()


def test_bare_hosts() -> None:
    kubectl = FakeKubectl(lacking="kubectl is not installed on this host.")
    assert drain(kubectl, check=True).run()["changed"]
    with pytest.raises(SlipwayError, match="not installed"):
        drain(kubectl).run()


def test_main(run_module: ModuleRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster("left", "drained")
    monkeypatch.setattr(kube_drain.Kubectl, "of", lambda _context: cluster)
    assert run_module(kube_drain.main, {"name": "n1"})["pods"] == WEB
    assert run_module(kube_drain.main, {"name": "n1", "timeout": 0})["failed"]
