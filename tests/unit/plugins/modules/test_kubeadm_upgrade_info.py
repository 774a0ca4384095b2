# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandError, CommandResult
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.resources import quantity
from ansible_collections.slipway.kubernetes.plugins.modules import kubeadm_upgrade_info as info
from ansible_collections.slipway.kubernetes.tests.unit.plugins import etcd_fakes
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

METRICS = """# TYPE apiserver_requested_deprecated_apis gauge
apiserver_requested_deprecated_apis{group="",removed_release="",resource="endpoints",subresource="",version="v1"} 1
apiserver_requested_deprecated_apis{group="a.io",removed_release="1.37",resource="x",subresource="",version="v1beta1"} 1
apiserver_requested_deprecated_apis{group="b.io",removed_release="1.37",resource="y",subresource="",version="v1"} 0
"""
PROXY = "apiVersion: v1\nfeatureGates:\n  KubeProxyIPVS: true\nkind: KubeProxyConfiguration\nmode: ipvs\n"


def node(name: str, cpu: str = "2", taints: t.Sequence[str] = (), ready: str = "True") -> t.Dict[str, t.Any]:
    return {
        "metadata": {"name": name, "labels": {"node-role.kubernetes.io/control-plane": ""} if taints else {}},
        "spec": {"taints": [{"key": "k", "effect": effect} for effect in taints]},
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "allocatable": {"cpu": cpu, "memory": "1Gi"},
            "nodeInfo": {"kubeletVersion": "v1.36.4", "containerRuntimeVersion": "containerd://2.4.2"},
        },
    }


def pod(
    name: str, place: str, cpu: str = "0", owner: str = "ReplicaSet", phase: str = "Running", label: str = ""
) -> t.Dict[str, t.Any]:
    return {
        "metadata": {
            "namespace": "web",
            "name": name,
            "labels": {"app": label},
            "ownerReferences": [{"kind": owner, "controller": True}] if owner else None,
        },
        "spec": {"nodeName": place, "containers": [{"resources": {"requests": {"cpu": cpu}}}, {}]},
        "status": {"phase": phase},
    }


def budget(name: str, allowed: int, healthy: int, needed: int, pods: int = 2) -> t.Dict[str, t.Any]:
    numbers = {"disruptionsAllowed": allowed, "currentHealthy": healthy, "desiredHealthy": needed, "expectedPods": pods}
    selector = {"matchLabels": {"app": name}}
    return {"metadata": {"namespace": "web", "name": name}, "spec": {"selector": selector}, "status": numbers}


def items(*found: t.Any) -> str:
    return json.dumps({"items": list(found)})


@pytest.fixture
def answers() -> t.Dict[str, t.Any]:
    return {
        "/readyz": "ok",
        "/metrics": METRICS,
        "get nodes": items(node("cp1", taints=["NoSchedule"]), node("w1"), node("w2", cpu="1")),
        "get pods": items(
            pod("a", "w1", "1500m", label="never"),
            pod("b", "w1", "9", phase="Succeeded"),
            pod("c", "w2", "250m", owner="DaemonSet", label="never"),
            pod("bare", "w2", owner=""),
            pod("static", "cp1", owner="Node"),
        ),
        "get poddisruptionbudgets": items(
            budget("fine", 1, 2, 1), budget("never", 0, 2, 2), budget("now", 0, 1, 1), budget("none", 0, 0, 0, 0)
        ),
        "metadata.name=kube-proxy": items({"data": {"config.conf": PROXY}}),
        "metadata.name=kubeadm-config": items({"data": {"ClusterConfiguration": "kubernetesVersion: v1.36.4\n"}}),
    }


def run(
    answers: t.Dict[str, t.Any],
    monkeypatch: pytest.MonkeyPatch,
    run_module: ModuleRunner,
    kubeconfig: str = "/dev/null",
    manifest: str = "/nowhere/etcd.yaml",
) -> t.Dict[str, t.Any]:
    monkeypatch.setattr(_module, "Runner", lambda _module: FakeRunner(answers, tools=("kubectl", "ctr")))
    result = run_module(info.main, {"kubeconfig": kubeconfig, "manifest": manifest})
    assert (result["failed"], result["changed"]) == (False, False)
    return result["cluster"]


def test_all_is_asked(answers: t.Dict[str, t.Any], monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> None:
    found = run(answers, monkeypatch, run_module)
    assert (found["problem"], found["version"], found["unhealthy"]) == ("", "1.36.4", [])
    assert found["nodes"][0] == {
        "name": "cp1",
        "version": "1.36.4",
        "problem": "",
        "control_plane": True,
        "schedulable": True,
        "runtime": "containerd://2.4.2",
    }
    assert {entry["name"]: entry["never"] for entry in found["budgets"]} == {"web/never": True, "web/now": False}
    # The drain leaves pods of DaemonSets where they are.
    assert {entry["name"]: entry["nodes"] for entry in found["budgets"]} == {"web/never": ["w1"], "web/now": []}
    assert found["unmanaged"] == [{"name": "web/bare", "node": "w2"}]
    assert found["tight"] == [{"name": "w1", "resource": "cpu", "asked": 1.5, "left": 0.75}]
    assert found["deprecated_apis"] == [{"api": "a.io/v1beta1 x", "removed": "1.37"}]
    assert found["kube_proxy"] == {"mode": "ipvs", "gates": {"KubeProxyIPVS": "true"}}


def test_no_kube_proxy_and_a_sick_etcd(
    answers: t.Dict[str, t.Any], monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner
) -> None:
    answers["metadata.name=kube-proxy"] = items()
    answers["metadata.name=kubeadm-config"] = items({"data": {}})
    answers["/readyz"] = (1, "", "[+]ping ok\n[-]etcd failed: reason withheld\n[-]etcd-readiness failed\n")
    found = run(answers, monkeypatch, run_module)
    assert found["kube_proxy"] == {"mode": "", "gates": {}}
    assert found["unhealthy"] == ["etcd", "etcd-readiness"]


def test_an_api_server_that_does_not_answer(
    answers: t.Dict[str, t.Any], monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner
) -> None:
    answers["get nodes"] = CommandError("x", CommandResult([], 1, "", "no route to host\n"))
    assert run(answers, monkeypatch, run_module)["problem"] == "no route to host"
    answers["/readyz"] = (1, "", "refused\n")
    assert run(answers, monkeypatch, run_module)["problem"] == "refused"
    assert "does not exist" in run(answers, monkeypatch, run_module, "/nowhere")["problem"]


def test_etcd(answers: t.Dict[str, t.Any], monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> None:
    manifest = str(etcd_fakes.FIXTURES / "etcd.yaml")
    assert run(answers, monkeypatch, run_module)["etcd"] == {"problem": "", "members": []}
    told = {**answers, **etcd_fakes.answers("cp1", "cp2", down=["cp2"])}
    found = run(told, monkeypatch, run_module, manifest=manifest)["etcd"]
    assert found["problem"] == ""
    assert {member["name"]: member["healthy"] for member in found["members"]} == {"cp1": True, "cp2": False}
    told["member list"] = (1, "", "context deadline exceeded")
    found = run(told, monkeypatch, run_module, manifest=manifest)
    assert found["etcd"]["members"] == []
    assert "context deadline exceeded" in found["etcd"]["problem"]
    assert found["problem"] == ""


@pytest.mark.parametrize(
    ("text", "number"),
    [("100m", 0.1), ("2", 2.0), ("1Gi", 2.0**30), ("1e3", 1000.0), ("128974848", 128974848.0), ("?", 0.0)],
)
def test_quantity(text: str, number: float) -> None:
    assert quantity(text) == pytest.approx(number)


def test_what_a_drain_refuses(
    answers: t.Dict[str, t.Any], monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner
) -> None:
    """kubectl goes by the owner that is a controller; the volumes of pods that it leaves alone do not matter to it."""
    empty = [{"name": "config", "configMap": {}}, {"name": "cache", "emptyDir": {}}]
    owned = pod("owned", "w1")
    owned["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet"}, {"kind": "DaemonSet", "controller": False}]
    mirror = pod("mirror", "w1", owner="")
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "5d3c"}
    others = [pod("a", "w1"), pod("agent", "w1", owner="DaemonSet"), pod("done", "w1", phase="Succeeded"), mirror]
    for one in others:
        one["spec"]["volumes"] = empty
    answers["get pods"] = items(owned, *others, pod("plain", "w2"))
    found = run(answers, monkeypatch, run_module)
    assert found["unmanaged"] == [{"name": "web/owned", "node": "w1"}]
    assert found["local_data"] == [{"name": "web/a", "node": "w1"}]
