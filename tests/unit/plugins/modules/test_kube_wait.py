# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.modules import kube_wait
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import Clock, FakeKubectl, fixture
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

pytestmark = pytest.mark.usefixtures("clock")


def cluster() -> FakeKubectl:
    return FakeKubectl(*fixture("nodes-no-cni.json")["items"], *fixture("kube-system-no-cni.json")["items"])


def condition(what: str, **more: t.Any) -> t.Dict[str, t.Any]:
    keys = ("names", "namespace", "kind", "count", "version", "selector")
    return {"type": what, **dict.fromkeys(keys), **more}


def build(kubectl: FakeKubectl, *conditions: t.Any, check: bool = False, timeout: int = 10) -> t.Any:
    params = {"conditions": list(conditions), "timeout": timeout, "interval": 0.5}
    module = kube_wait.KubeWait(params, kubectl, check)
    return module


def missing(kubectl: FakeKubectl, *conditions: t.Any) -> t.List[str]:
    return build(kubectl, *conditions, check=True).run()["missing"]


COREDNS = condition("rollout", kind="deployment", namespace="kube-system", names=["coredns"])
PROXY = condition("rollout", kind="daemonset", namespace="kube-system", names=["kube-proxy"])


def test_everything_named_costs_one_call() -> None:
    kubectl = cluster()
    result = build(kubectl, PROXY, condition("pods_ready", namespace="x", selector="a=b", count=0)).run()
    assert not result["changed"] and result["missing"] == [] and result["elapsed"] == 0
    assert kubectl.verbs() == ["get", "get"]
    kubectl.calls.clear()
    crd = condition("crd", names=["a.b"])
    assert missing(kubectl, PROXY, crd) == ["customresourcedefinition a.b: does not exist"]
    assert kubectl.verbs() == ["get"]


def test_nodes() -> None:
    kubectl = cluster()
    assert len(missing(kubectl, condition("nodes_ready", names=["kapi1", "kapi9"]))) == 2
    assert missing(kubectl, condition("nodes_ready", count=3))[-1] == "0 of 3 nodes ready"
    assert missing(FakeKubectl(), condition("nodes_ready")) == ["0 of 1 nodes ready"]
    assert kubectl.calls[-1] == ["get", "nodes", "--output=json"]


@pytest.mark.parametrize(("boot", "is_ready"), [("b-1", True), ("b-2", False)])
def test_a_node_whose_machine_was_started_anew(
    boot: str, is_ready: bool, run_module: ModuleRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = fixture("nodes-no-cni.json")["items"][0]
    node["status"]["nodeInfo"]["bootID"] = "b-1"
    for entry in node["status"]["conditions"]:
        entry["status"] = "True"
    monkeypatch.setattr(kube_wait.Kubectl, "of", lambda _context: FakeKubectl(node))
    wanted = {"type": "nodes_ready", "names": ["kapi1"], "boot_ids": {"kapi1": boot}}
    result = run_module(kube_wait.main, {"conditions": [wanted]}, check=True)
    assert (not result["missing"]) is is_ready


def test_pods() -> None:
    kubectl = cluster()
    assert (
        missing(kubectl, condition("pods_ready", namespace="kube-system", selector="k8s-app=kube-proxy", count=2)) == []
    )
    lines = missing(kubectl, condition("pods_ready", namespace="kube-system", selector="k8s-app=kube-dns"))
    assert lines[0] == "pods kube-system (k8s-app=kube-dns): 0 of 1 pods ready" and len(lines) == 3


def test_load_balancers() -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "n"},
        "spec": {"type": "LoadBalancer"},
        "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.200"}]}},
    }
    waited = condition("load_balancer", namespace="n", names=["web"])
    result = build(FakeKubectl(service), waited).run()
    assert result["load_balancers"] == {"n/web": "192.0.2.200"}
    assert build(FakeKubectl(), waited, check=True).run()["load_balancers"] == {"n/web": ""}


def test_the_api_server() -> None:
    kubectl = FakeKubectl()
    assert missing(kubectl, condition("api_ready")) == []
    said = "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\nError from server (InternalError)"
    kubectl.raw["--raw=/readyz?verbose"] = CommandResult([], 1, "", said)
    assert missing(kubectl, condition("api_ready")) == ["API server: not ready ([-]etcd failed: reason withheld)"]
    kubectl.raw["--raw=/readyz?verbose"] = CommandResult([], 1, "", "connection refused")
    assert missing(kubectl, condition("api_ready")) == ["API server: not ready (connection refused)"]


def test_waits_through_failures_of_the_api_server(clock: Clock) -> None:
    kubectl = cluster()
    kubectl.fail("The connection to the server was refused - did you specify the right host or port?", times=6)
    module = build(kubectl, PROXY, timeout=60)
    assert module.run()["missing"] == []
    assert clock.pauses[:2] == [0.5, 0.65] and max(clock.pauses) <= 2


def test_says_what_is_missing_and_why() -> None:
    kubectl = cluster()
    name = next(
        item["metadata"]["name"] for item in kubectl.store.values() if item["metadata"]["name"].startswith("coredns-")
    )
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "e", "namespace": "kube-system"},
        "type": "Warning",
        "reason": "FailedMount",
        "message": "no volume",
        "involvedObject": {"kind": "Pod", "name": name},
    }
    kubectl.put(event)
    waited = condition("pods_ready", namespace="kube-system", selector="k8s-app=kube-dns")
    with pytest.raises(SlipwayError) as caught:
        build(kubectl, COREDNS, waited, condition("api_ready")).run()
    details = caught.value.details
    assert details["missing"][0] == "deployment kube-system/coredns: 0 of 2 replicas available"
    assert details["hints"] == [f"pod {name}: FailedMount: no volume"]
    assert details["elapsed"] >= 10
    assert caught.value.msg.splitlines()[0] == "Still missing after 10 seconds:"
    with pytest.raises(SlipwayError) as caught:
        build(kubectl, COREDNS).run()
    assert caught.value.details["hints"][0].startswith(f"pod {name}: not scheduled (Unschedulable")


def test_no_hints_from_an_api_server_that_does_not_answer() -> None:
    kubectl = cluster()
    kubectl.fail("connection refused", times=100)
    with pytest.raises(SlipwayError) as caught:
        build(kubectl, COREDNS, condition("pods_ready", namespace="n", selector="a=b")).run()
    assert caught.value.details["missing"] == ["API server: connection refused"]
    assert caught.value.details["hints"] == []


def test_what_waiting_does_not_mend() -> None:
    kubectl = cluster()
    kubectl.fail('error: error loading config file "/x": yaml: line 1', times=1)
    with pytest.raises(SlipwayError, match="error loading config file"):
        build(kubectl, PROXY).run()
    assert len(kubectl.calls) == 1


def test_check_mode_looks_once() -> None:
    kubectl = cluster()
    result = build(kubectl, COREDNS, PROXY, check=True).run()
    assert not result["changed"] and len(kubectl.calls) == 1
    assert result["msg"] == "Does not hold: deployment kube-system/coredns: 0 of 2 replicas available"


def test_bare_hosts() -> None:
    kubectl = FakeKubectl(lacking="kubectl is not installed on this host.")
    result = build(kubectl, PROXY, check=True).run()
    assert result["skipped"] and not result["changed"]
    with pytest.raises(SlipwayError, match="not installed"):
        build(kubectl, PROXY).run()


def test_main(run_module: ModuleRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_wait.Kubectl, "of", lambda _context: cluster())
    options = {key: value for key, value in PROXY.items() if value}
    assert not run_module(kube_wait.main, {"conditions": [options]})["failed"]
    late = {**options, "names": ["none"]}
    result = run_module(kube_wait.main, {"conditions": [late], "timeout": 0})
    assert result["failed"] and result["missing"] == ["daemonset kube-system/none: does not exist"]
    result = run_module(kube_wait.main, {"conditions": [{"type": "rollout", "kind": "daemonset", "namespace": "n"}]})
    assert result["failed"] and "names" in result["msg"]
