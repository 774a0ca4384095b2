# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.cluster_memory import NODE_SETTINGS
from ansible_collections.slipway.kubernetes.plugins.modules import kube_node
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import Clock, FakeKubectl
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

pytestmark = pytest.mark.usefixtures("clock")

CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
FORMER = "slipway.io/managed.slipway"


def node(name: str = "n1", **labels: str) -> t.Dict[str, t.Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {CONTROL_PLANE: "", **labels}, "resourceVersion": "5"},
        "spec": {"taints": [{"key": CONTROL_PLANE, "effect": "NoSchedule"}]},
    }


def taint(key: str, value: str = "", effect: str = "NoSchedule") -> t.Dict[str, str]:
    return {"key": key, "value": value, "effect": effect}


def wanted(name: str = "n1", **more: t.Any) -> t.Dict[str, t.Any]:
    return {"name": name, "labels": None, "annotations": None, "taints": None, **more}


def run(kubectl: FakeKubectl, *nodes: t.Any, check: bool = False, manager: str = "slipway", **more: t.Any) -> t.Any:
    params = {"nodes": list(nodes), "manager": manager, "timeout": 5, "missing_fails": True, **more}
    return kube_node.KubeNode(params, kubectl, check).run()


def the_node(kubectl: FakeKubectl, name: str = "n1") -> t.Dict[str, t.Any]:
    return next(item for item in kubectl.store.values() if item["metadata"]["name"] == name)


def record(kubectl: FakeKubectl, name: str = "n1", manager: str = "slipway") -> t.Any:
    return json.loads(NODE_SETTINGS.read(kubectl).get(name, "{}")).get(manager, {})


def now(kubectl: FakeKubectl, name: str = "n1") -> t.Dict[str, t.Any]:
    found = the_node(kubectl, name)
    metadata = found["metadata"]
    return {
        "labels": {key: value for key, value in metadata["labels"].items() if key != CONTROL_PLANE},
        "annotations": metadata.get("annotations") or {},
        "taints": [item for item in found["spec"]["taints"] if item["key"] != CONTROL_PLANE],
    }


def test_a_control_plane_that_has_lost_its_marks() -> None:
    bare = node()
    bare["metadata"]["labels"] = {"kubernetes.io/os": "linux"}
    bare["spec"]["taints"] = [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]
    kubectl = FakeKubectl(bare)
    given = wanted(taints=[taint("d", "e")], control_plane_taints=[taint(CONTROL_PLANE)])
    assert run(kubectl, given, check=True)["changed"] and run(kubectl, given)["changed"]
    found = the_node(kubectl)
    assert found["metadata"]["labels"] == {
        "kubernetes.io/os": "linux",
        CONTROL_PLANE: "",
        "node.kubernetes.io/exclude-from-external-load-balancers": "",
    }
    keys = [item["key"] for item in found["spec"]["taints"]]
    assert keys == ["node.kubernetes.io/not-ready", CONTROL_PLANE, "d"]
    assert record(kubectl) == {"taints": ["d:NoSchedule"]}
    assert not run(kubectl, given)["changed"]


def test_a_control_plane_with_its_mark_keeps_the_taints_that_it_has() -> None:
    kubectl = FakeKubectl(node())
    assert not run(kubectl, wanted(control_plane_taints=[taint("another")]))["changed"]
    assert not run(kubectl, wanted(taints=[], control_plane_taints=[]))["changed"]


def test_sets_and_takes_back() -> None:
    kubectl = FakeKubectl(node())
    given = wanted(labels={"a/b": "1", "n": 3, "t": True}, annotations={"note": "x"}, taints=[taint("d", "e")])
    predicted = run(kubectl, given, check=True)
    assert predicted["changed"] and now(kubectl)["labels"] == {}
    assert kubectl.verbs() == ["get", "replace --dry-run"]
    result = run(kubectl, given)
    assert result == predicted
    assert result["msg"] == "1 of 1 nodes changed"
    assert result["diff"][0]["before"] == ""
    assert result["diff"][0]["after"].splitlines() == [
        'annotations.note: "x"',
        'labels["a/b"]: "1"',
        'labels.n: "3"',
        'labels.t: "true"',
        'taints["d:NoSchedule"]: "e"',
    ]
    state = now(kubectl)
    assert state["labels"] == {"a/b": "1", "n": "3", "t": "true"} and state["taints"] == [taint("d", "e")]
    assert state["annotations"] == {"note": "x"}
    assert record(kubectl) == {
        "labels": ["a/b", "n", "t"],
        "annotations": ["note"],
        "taints": ["d:NoSchedule"],
    }
    kubectl.calls.clear()
    assert not run(kubectl, given)["changed"] and kubectl.verbs() == ["get"]
    assert not run(kubectl, wanted())["changed"]
    assert run(kubectl, wanted(labels={"n": 4}, annotations={}, taints=[]))["changed"]
    assert now(kubectl) == {"labels": {"n": "4"}, "annotations": {}, "taints": []}
    assert record(kubectl) == {"labels": ["n"]}
    assert run(kubectl, wanted(labels={}))["changed"]
    assert now(kubectl) == {"labels": {}, "annotations": {}, "taints": []} and record(kubectl) == {}


def test_a_node_does_not_say_what_is_taken_away_from_it() -> None:
    """Who is root on a worker may write annotations of its Node, but neither taints nor protected labels."""
    kubectl = FakeKubectl(node(rack="r1"), node("n2"))
    assert not run(kubectl, wanted(labels={}, taints=[]), wanted("n2", labels={}, taints=[]))["changed"]
    found = the_node(kubectl)
    found["metadata"]["labels"]["node-restriction.kubernetes.io/tenant"] = "a"
    found["spec"]["taints"].append(taint("quarantine"))
    claimed = {"labels": ["node-restriction.kubernetes.io/tenant"], "taints": ["quarantine:NoSchedule"]}
    for text in (json.dumps(claimed), "no", "[1]", '{"labels": 5}'):
        found["metadata"]["annotations"] = {FORMER: text}
        run(kubectl, wanted(labels={"a": "1"}, taints=[]), wanted("n2", labels={"a": "1"}))
        labels = {"rack": "r1", "node-restriction.kubernetes.io/tenant": "a", "a": "1"}
        assert now(kubectl) == {"labels": labels, "annotations": {}, "taints": [taint("quarantine")]}
        assert now(kubectl, "n2")["labels"] == {"a": "1"}


def test_the_record_of_the_first_version_moves() -> None:
    old = node(a="1", b="1")
    old["metadata"]["annotations"] = {FORMER: '{"labels": ["a", "b"]}'}
    kubectl = FakeKubectl(old)
    assert run(kubectl, wanted(labels={"a": "1"}))["changed"]
    assert now(kubectl) == {"labels": {"a": "1"}, "annotations": {}, "taints": []}
    assert record(kubectl) == {"labels": ["a"]}
    assert not run(kubectl, wanted(labels={"a": "1"}))["changed"]


def test_what_a_run_that_was_killed_has_set_is_taken_back() -> None:
    kubectl = FakeKubectl(node())
    kubectl.fail("killed", "replace")
    with pytest.raises(SlipwayError, match="killed"):
        run(kubectl, wanted(labels={"a": "1"}))
    # The API server had done it.
    the_node(kubectl)["metadata"]["labels"]["a"] = "1"
    assert run(kubectl, wanted(labels={}))["changed"] and now(kubectl)["labels"] == {}


def test_what_others_have_set_is_not_removed() -> None:
    kubectl = FakeKubectl(node(theirs="1", changed="1"))
    assert run(kubectl, wanted(labels={"theirs": "1", "changed": "2"}))["changed"]
    assert run(kubectl, wanted(labels={}))["changed"]
    assert now(kubectl)["labels"] == {"theirs": "1"}
    assert run(kubectl, wanted(labels={"theirs": None}))["changed"]
    assert not run(kubectl, wanted(labels={"theirs": None}))["changed"]
    assert now(kubectl)["labels"] == {}


def test_managers_have_records_of_their_own() -> None:
    kubectl = FakeKubectl(node())
    run(kubectl, wanted(labels={"a": "1"}), manager="one")
    run(kubectl, wanted(labels={"b": "1"}), manager="two")
    run(kubectl, wanted(labels={}), manager="one")
    assert now(kubectl)["labels"] == {"b": "1"}


def test_taints() -> None:
    current = [taint("a"), {"key": "b", "effect": "NoExecute", "timeAdded": "now"}, taint("c", "1")]
    given = [taint("b", effect="NoExecute"), taint("c", "2"), taint("d")]
    taints, ours = kube_node.merge_taints(current, given, ["a:NoSchedule"])
    assert taints == [
        {"key": "b", "effect": "NoExecute", "timeAdded": "now"},
        taint("c", "2"),
        {"key": "d", "effect": "NoSchedule"},
    ]
    assert ours == ["c:NoSchedule", "d:NoSchedule"]


def test_somebody_else_writes_to_the_node_meanwhile() -> None:
    kubectl = FakeKubectl(node(), node("n2"))
    conflict = 'Error from server (Conflict): Operation cannot be fulfilled on nodes "n1": the object has been modified'
    kubectl.fail(conflict, "replace", times=2)
    result = run(kubectl, wanted(labels={"a": "1"}), wanted("n2", labels={"a": "1"}))
    assert result["msg"] == "2 of 2 nodes changed" and now(kubectl)["labels"] == {"a": "1"}
    kubectl.fail(conflict, "replace", times=11)
    with pytest.raises(SlipwayError, match="has been modified"):
        run(kubectl, wanted(labels={"a": "2"}))


def test_a_value_that_the_api_server_refuses() -> None:
    kubectl = FakeKubectl(node())
    kubectl.fail('The Node "n1" is invalid: metadata.labels: Invalid value: "bad key"', "replace")
    with pytest.raises(SlipwayError, match=r"Cannot change nodes: The Node .* is invalid"):
        run(kubectl, wanted(labels={"bad key": "1"}))


def test_somebody_else_does_it_meanwhile(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl = FakeKubectl(node())
    kubectl.fail("the object has been modified", "replace")
    monkeypatch.setattr(clock, "sleep", lambda _seconds: run(kubectl, wanted(labels={"a": "1"})))
    assert run(kubectl, wanted(labels={"a": "1"}), timeout=0)["changed"]


def test_one_that_was_deleted_does_not_hold_up_the_others() -> None:
    kubectl = FakeKubectl(node("n2"))
    both = [wanted(name, labels={"a": "b"}) for name in ("n1", "n2")]
    result = run(kubectl, *both, missing_fails=False)
    assert result["changed"] and result["missing"] == ["n1"]
    assert result["msg"] == "1 of 2 nodes changed (not registered: n1)"
    assert now(kubectl, "n2")["labels"] == {"a": "b"}
    assert not run(kubectl, *both, missing_fails=False)["changed"]


def test_one_that_is_deleted_after_it_was_read(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl = FakeKubectl(node("n1"), node("n2"))
    kubectl.fail('Error from server (NotFound): error when replacing "STDIN": nodes "n1" not found', "replace")
    gone = next(key for key, item in kubectl.store.items() if item["metadata"]["name"] == "n1")
    sleep = clock.sleep

    def lose(seconds: float) -> None:
        kubectl.store.pop(gone, None)
        sleep(seconds)

    monkeypatch.setattr(clock, "sleep", lose)
    result = run(kubectl, *(wanted(name, labels={"a": "b"}) for name in ("n1", "n2")), missing_fails=False)
    assert result["missing"] == ["n1"] and now(kubectl, "n2")["labels"] == {"a": "b"}
    assert [item["changed"] for item in result["nodes"]] == [False, True]


def test_nodes_that_are_not_registered() -> None:
    kubectl = FakeKubectl()
    result = run(kubectl, wanted(labels={"a": "b"}), check=True)
    assert result["changed"] and result["msg"] == "1 of 1 nodes changed (not registered yet: n1)"
    # A control plane gets back what kubeadm gave it, and another node nothing.
    assert run(kubectl, wanted(control_plane_taints=[]), check=True)["changed"]
    assert not run(kubectl, wanted(labels={}), check=True)["changed"]
    with pytest.raises(SlipwayError, match="After 5 seconds these nodes are not registered: n1"):
        run(kubectl, wanted(labels={}))
    kubectl.fail("Unauthorized")
    with pytest.raises(SlipwayError, match="Cannot read nodes: Unauthorized"):
        run(kubectl, wanted(labels={}))


def test_bare_hosts() -> None:
    kubectl = FakeKubectl(lacking="kubectl is not installed on this host.")
    assert run(kubectl, wanted(labels={"a": "b"}), check=True)["changed"]
    assert not run(kubectl, wanted(labels={}, control_plane_taints=[]), check=True)["changed"]
    with pytest.raises(SlipwayError, match="not installed"):
        run(kubectl, wanted())


def test_bad_values() -> None:
    with pytest.raises(SlipwayError, match=r"nodes: n1: labels: a must be a text, not \[1\]"):
        run(FakeKubectl(), wanted(labels={"a": [1]}))
    with pytest.raises(SlipwayError, match="manager must be"):
        run(FakeKubectl(), manager="a/b")
    for text in ("no", "[1]", '{"slipway": {"labels": 5}}'):
        kubectl = FakeKubectl({**NODE_SETTINGS.manifest, "data": {"n1": text}}, node())
        with pytest.raises(SlipwayError, match=r"slipway-node-settings is damaged, at the node n1"):
            run(kubectl, wanted(labels={}))


def test_main(run_module: ModuleRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl = FakeKubectl(node())
    monkeypatch.setattr(kube_node.Kubectl, "of", lambda _context: kubectl)
    options = {"nodes": [{"name": "n1", "labels": {"a": "b"}, "taints": [{"key": "k", "effect": "NoExecute"}]}]}
    assert run_module(kube_node.main, options)["changed"]
    assert now(kubectl)["taints"] == [{"key": "k", "effect": "NoExecute"}]
    assert run_module(kube_node.main, {**options, "manager": "/"})["failed"]
