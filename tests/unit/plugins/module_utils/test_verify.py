# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import verify
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import fixture

NODES = fixture("nodes-ready.json")["items"]


def test_check() -> None:
    assert verify.Check("a", detail="3 tried").as_dict() == {"name": "a", "ok": True, "detail": "3 tried"}
    failing = verify.Check("a", ["one", "two"], "3 tried").as_dict()
    assert failing == {"name": "a", "ok": False, "detail": "one; two"}


@pytest.mark.parametrize(
    ("node_port", "load_balancer", "services"),
    [
        (False, False, ["ClusterIP"]),
        (True, False, ["ClusterIP", "NodePort"]),
        (False, True, ["ClusterIP", "LoadBalancer"]),
        (True, True, ["ClusterIP", "NodePort", "LoadBalancer"]),
    ],
)
def test_objects(node_port: bool, load_balancer: bool, services: t.List[str]) -> None:
    namespace, daemonset, *rest = verify.objects("ns", "img", node_port, load_balancer)
    assert (namespace["kind"], namespace["metadata"]["name"]) == ("Namespace", "ns")
    assert [service["spec"]["type"] for service in rest] == services
    labels = daemonset["spec"]["template"]["metadata"]["labels"]
    assert labels == daemonset["spec"]["selector"]["matchLabels"]
    assert all(service["spec"]["selector"] == labels for service in rest)
    assert {item["metadata"]["namespace"] for item in (daemonset, *rest)} == {"ns"}
    (container,) = daemonset["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["args"]) == ("img", ["netexec", "--http-port=8080"])
    assert {service["spec"]["ports"][0]["targetPort"] for service in rest} == {8080}


def test_pods_run_on_each_node_and_under_restricted_pod_security() -> None:
    pod = verify.objects("ns", "img", False, False)[1]["spec"]["template"]["spec"]
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    security = pod["containers"][0]["securityContext"]
    assert security["allowPrivilegeEscalation"] is False and security["capabilities"] == {"drop": ["ALL"]}


def test_routes() -> None:
    assert verify.routes({"a": "1"}) == []
    assert verify.routes({"b": "2", "a": "1"}) == [("a", "b"), ("b", "a")]
    assert len(verify.routes(dict.fromkeys("abcde", ""))) == 20
    ring = verify.routes(dict.fromkeys("fedcba", ""))
    assert ring == [("a", "b"), ("b", "c"), ("c", "d"), ("d", "e"), ("e", "f"), ("f", "a")]


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ('{"responses":["p1"]}', ""),
        ('{"errors":["dial tcp: i/o timeout"]}', "dial tcp: i/o timeout"),
        ('{"errors":["one","two"],"responses":["p1"]}', "one"),
        ("{}", "got no answer"),
        ('{"responses":["other"]}', "was answered by 'other', which is no pod of this check"),
        ("<html>", "answered '<html>'"),
    ],
)
def test_dial_problem(answer: str, problem: str) -> None:
    assert verify.dial_problem(answer, {"p1", "p2"}) == problem


@pytest.mark.parametrize("version", ["", "1.37.1", "v1.37.1"])
def test_versions_that_fit(version: str) -> None:
    assert verify.version_problems(NODES, version) == []


def test_version_problems() -> None:
    assert verify.version_problems(NODES[:2], "1.36.4") == [
        "node cp1 has 1.37.1 instead of 1.36.4",
        "node worker1 has 1.37.1 instead of 1.36.4",
    ]


def test_metrics_problems() -> None:
    answer = {"items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "z"}}]}
    assert verify.metrics_problems(answer, ["a", "b"]) == ["there are no metrics of node b"]
    assert verify.metrics_problems({}, ["a"]) == ["there are no metrics of node a"]


def test_table() -> None:
    checks = [verify.Check("short", detail="1").as_dict(), verify.Check("longer one", ["bad"]).as_dict()]
    assert verify.table(checks) == ["ok      short       1", "FAILED  longer one  bad"]
    assert verify.table([]) == []
