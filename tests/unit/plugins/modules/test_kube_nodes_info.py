# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import datetime
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.modules import kube_nodes_info
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import FakeKubectl, fixture
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

NODES = fixture("nodes-no-cni.json")["items"]
NOW = datetime.datetime(2026, 11, 21, 8, 0, tzinfo=datetime.timezone.utc)


def run(kubectl: FakeKubectl, check: bool = False, *names: str) -> t.Any:
    return kube_nodes_info.KubeNodesInfo({"names": list(names)}, kubectl, check, NOW).run()


def test_recorded_nodes() -> None:
    result = run(FakeKubectl(*reversed(NODES)))
    first = result["nodes"][0]
    assert (first["name"], first["roles"], first["version"]) == ("kapi1", ["control-plane"], "1.37.1")
    assert (first["address"], first["addresses"], first["ready"]) == ("172.30.0.2", ["172.30.0.2"], False)
    assert first["problem"].startswith("NotReady (KubeletNotReady") and first["schedulable"]
    assert result["not_ready"] == ["kapi1", "kapi2"]
    assert result["table"] == [
        "NAME   ROLES          VERSION  RUNTIME              ADDRESS     READY  AGE",
        "kapi1  control-plane  1.37.1   containerd://1.6.20  172.30.0.2  no     1h",
        "kapi2  -              1.37.1   containerd://1.7.24  172.30.0.3  no     1h",
    ]
    assert [node["name"] for node in run(FakeKubectl(*NODES), False, "kapi2", "other")["nodes"]] == ["kapi2"]


def test_a_cordoned_node_that_has_not_said_anything_yet() -> None:
    metadata = {"name": "x", "creationTimestamp": "2026-11-21T07:59:55Z"}
    node = {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {"unschedulable": True}}
    result = run(FakeKubectl(node))
    assert result["nodes"][0]["address"] == "" and result["nodes"][0]["age_seconds"] == 5
    assert result["table"][1].split() == ["x", "-", "no,", "cordoned", "5s"]


def test_ages() -> None:
    assert [kube_nodes_info.age(seconds) for seconds in (5, 60, 7199, 7200, 90000)] == ["5s", "1m", "1h", "2h", "1d"]


def test_bare_hosts() -> None:
    kubectl = FakeKubectl(lacking="kubectl is not installed on this host.")
    assert run(kubectl, True) == {"changed": False, "nodes": [], "not_ready": [], "table": []}
    with pytest.raises(SlipwayError, match="not installed"):
        run(kubectl)


def test_main(run_module: ModuleRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kube_nodes_info.Kubectl, "of", lambda _context: FakeKubectl(*NODES))
    kubeconfig = tmp_path / "admin.conf"
    result = run_module(kube_nodes_info.main, {"kubeconfig": str(kubeconfig)})
    assert len(result["nodes"]) == 2 and result["server"] == ""
    kubeconfig.write_text("clusters:\n- cluster:\n    server: https://192.0.2.10:7443\n")
    assert run_module(kube_nodes_info.main, {"kubeconfig": str(kubeconfig)})["server"] == "192.0.2.10:7443"
    monkeypatch.setattr(kube_nodes_info.Kubectl, "of", lambda _context: FakeKubectl(lacking="no kubectl"))
    assert run_module(kube_nodes_info.main, {})["msg"] == "no kubectl"
