# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kube_node_removal_info and kube_node_delete."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.cluster_memory import (
    NODE_SETTINGS,
    REMOVED_NODES,
    SERVING_IDENTITIES,
)
from ansible_collections.slipway.kubernetes.plugins.modules import kube_node_delete, kube_node_removal_info
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import FakeKubectl
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner


def node(name: str, ready: bool = True, control_plane: bool = False) -> t.Dict[str, t.Any]:
    labels = {"node-role.kubernetes.io/control-plane": ""} if control_plane else {}
    conditions = [{"type": "Ready", "status": "True" if ready else "Unknown"}]
    addresses = [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": f"192.0.2.{len(name)}"}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "status": {"conditions": conditions, "addresses": addresses},
    }


def judge(kubectl: FakeKubectl, *names: str, members: t.Any = (), **more: t.Any) -> t.Dict[str, t.Any]:
    everything = [*names, "cp1", "cp2", "cp3", "w1", "w2"]
    params = {
        "names": list(names),
        "machines": everything,
        "reachable": {name: {} for name in everything},
        "etcd_members": list(members),
        "cluster": {},
        **more,
    }
    return kube_node_removal_info.KubeNodeRemovalInfo(params, kubectl).run()


def member(name: str, healthy: bool = True, learner: bool = False) -> t.Dict[str, t.Any]:
    return {"name": name, "healthy": healthy, "learner": learner}


def three(sick: t.Container[str] = ()) -> FakeKubectl:
    nodes = [node(name, name not in sick, control_plane=True) for name in ("cp1", "cp2", "cp3")]
    return FakeKubectl(*nodes, node("w1", "w1" not in sick))


ALL = [member("cp1"), member("cp2"), member("cp3")]


def test_a_worker() -> None:
    assert judge(three(), "w1", "w1") == {
        "changed": False,
        "problems": [],
        "addresses": {"w1": "192.0.2.2"},
        "cordon": ["w1"],
        "drain": ["w1"],
        "members": [],
        "control_planes": [],
        "gone": [],
    }


def test_a_dead_worker() -> None:
    result = judge(three(["w1"]), "w1", machines=[], reachable={})
    assert result["problems"] == [] and result["cordon"] == ["w1"] and result["drain"] == []


def test_control_planes() -> None:
    result = judge(three(), "cp1", members=ALL)
    assert result["problems"] == [] and result["members"] == ["cp1"] == result["control_planes"]
    result = judge(three(["cp1"]), "cp1", members=[member("cp1", False), *ALL[1:]], reachable={})
    assert result["problems"] == [] and result["drain"] == []
    # Two of three, the dead one first.
    members = [member("cp1"), member("cp2", False), member("cp3")]
    result = judge(three(["cp2"]), "cp1", "cp2", members=members)
    assert result["problems"] == [] and result["members"] == ["cp2", "cp1"]


def test_a_member_without_a_node() -> None:
    kubectl = FakeKubectl(node("cp1", control_plane=True), node("cp2", control_plane=True))
    result = judge(kubectl, "cp3", members=ALL, machines=[], reachable={})
    assert result["problems"] == [] and result["members"] == ["cp3"] and result["gone"] == []


@pytest.mark.parametrize(
    ("names", "sick", "members", "words"),
    [
        (["cp1", "cp2", "cp3"], [], ALL, "cp1 and cp2 and cp3 are the last control planes: without them there is no"),
        (["cp1"], ["cp2", "cp3"], ALL, "no control plane that stays is Ready (cp2, cp3), so cp1 cannot go"),
        (
            ["cp1"],
            ["cp2"],
            [member("cp1"), member("cp2", False), member("cp3")],
            "cp1: without it etcd would have 2 members, of which 1 are healthy, and 2 have to be. Not healthy: cp2.",
        ),
        (
            ["cp2"],
            ["cp2"],
            [member("cp1", False), member("cp2", False), member("cp3")],
            "etcd has no quorum: 1 of 3 members are healthy, 2 have to be",
        ),
    ],
)
def test_refusals(names: t.List[str], sick: t.List[str], members: t.Any, words: str) -> None:
    [problem] = judge(three(sick), *names, members=members)["problems"]
    assert problem.startswith(words)


def test_the_last_control_plane() -> None:
    kubectl = FakeKubectl(node("cp1", control_plane=True), node("w1"))
    result = judge(kubectl, "cp1", "nobody", "w1", machines=["cp1"], reachable={"cp1": {}}, members=[member("cp1")])
    assert [problem.partition(":")[0] for problem in result["problems"]] == [
        "nobody",
        "w1 is Ready but it is not in the inventory",
        "cp1 is the last control plane",
    ]
    result = judge(kubectl, "w1", reachable={})
    assert "w1 is Ready but Ansible cannot reach its machine: it could not be reset" in result["problems"][0]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"joined": True, "node_name": "cp2", "ca_cert_hashes": ["sha256:1"]}, "is the node cp2, and would be reset"),
        ({"joined": True, "node_name": "w1", "ca_cert_hashes": ["sha256:2"]}, "is a node of another cluster, with the"),
        ({"joined": True, "node_name": "w1", "ca_cert_hashes": ["sha256:1"]}, ""),
        ({"joined": True, "node_name": "", "ca_cert_hashes": []}, ""),
        ({"joined": False, "node_name": "cp2", "ca_cert_hashes": ["sha256:2"]}, ""),
    ],
)
@pytest.mark.parametrize("gone", [False, True])
def test_another_machine_answers(found: t.Dict[str, t.Any], words: str, gone: bool) -> None:
    nodes = [node("cp1", control_plane=True), *([] if gone else [node("w1", False)])]
    cluster = {"ca_cert_hashes": ["sha256:1"]}
    problems = judge(FakeKubectl(*nodes), "w1", reachable={"w1": found}, cluster=cluster)["problems"]
    assert [problem.startswith(f"w1: the machine that answers {words}") for problem in problems] == [True] * bool(words)


@pytest.mark.parametrize("endpoint", ["192.0.2.3:6443", "cp1:6443", "192.0.2.3"])
def test_the_endpoint_itself(endpoint: str) -> None:
    [problem] = judge(three(), "cp1", members=ALL, cluster={"endpoint": endpoint})["problems"]
    assert problem.startswith(f"cp1 is where the nodes reach the cluster, at {endpoint}")
    assert judge(three(), "cp1", members=ALL, cluster={"endpoint": "192.0.2.9:8443"})["problems"] == []
    assert judge(three(), "w1", members=ALL, cluster={"endpoint": endpoint})["problems"] == []


def test_learners_do_not_count() -> None:
    members = [member("cp1"), member("cp2", learner=True)]
    kubectl = FakeKubectl(node("cp1", control_plane=True), node("cp2", control_plane=True))
    assert judge(kubectl, "cp2", members=members)["problems"] == []


def lease(name: str) -> t.Dict[str, t.Any]:
    metadata = {"name": name, "namespace": "kube-node-lease"}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}


def pod(name: str, on: str) -> t.Dict[str, t.Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"nodeName": on}}


def request(name: str, user: str) -> t.Dict[str, t.Any]:
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {"username": user},
    }


def delete(kubectl: FakeKubectl, *names: str, check: bool = False) -> t.Dict[str, t.Any]:
    return kube_node_delete.KubeNodeDelete({"names": list(names)}, kubectl, check).run()


def test_delete_and_remember() -> None:
    kubectl = FakeKubectl(
        node("w1"),
        node("w2"),
        lease("w1"),
        lease("w2"),
        pod("a", "w1"),
        pod("b", "w2"),
        request("csr-1", "system:node:w1"),
        request("csr-2", "system:node:w2"),
    )
    predicted = delete(kubectl, "w1", check=True)
    assert len(kubectl.store) == 8
    result = delete(kubectl, "w1")
    assert result == predicted
    assert result["deleted"] == [
        "Node w1",
        "Lease.coordination.k8s.io kube-node-lease/w1",
        "CertificateSigningRequest.certificates.k8s.io default/csr-1",
        "Pod default/a",
    ]
    assert kubectl.names() == ["b", "csr-2", "slipway-removed-nodes", "w2", "w2"]
    assert list(REMOVED_NODES.read(kubectl)) == ["w1"]
    forced = [call for call in kubectl.calls if "--force" in call]
    assert len(forced) == 1 and forced[0][0] == "delete"
    assert not delete(kubectl, "w1")["changed"]
    # Asked for again, by somebody who has taken it out of the inventory already.
    again = judge(kubectl, "w1", machines=[], reachable={})
    assert again["problems"] == [] and again["gone"] == ["w1"]
    delete(kubectl, "w2")
    assert sorted(REMOVED_NODES.read(kubectl)) == ["w1", "w2"]


def test_what_was_deleted_is_named_with_escapes() -> None:
    result = delete(FakeKubectl(node("w1"), request("csr\x1b[2J\nPod a", "system:node:w1")), "w1")
    assert result["deleted"][-1].endswith("/csr\\x1b[2J\\nPod a")
    assert result["diff"][0]["before"].splitlines() == result["deleted"]


def test_certificates_of_a_node_that_is_deleted_are_not_renewed() -> None:
    kubectl = FakeKubectl(node("w1"), node("w2"))
    SERVING_IDENTITIES.write(kubectl, {"w1": "{}", "w2": "{}"})
    NODE_SETTINGS.write(kubectl, {"w1": "{}", "w2": "{}"})
    assert delete(kubectl, "w1", check=True)["changed"]
    assert sorted(SERVING_IDENTITIES.read(kubectl)) == ["w1", "w2"]
    delete(kubectl, "w1")
    assert sorted(SERVING_IDENTITIES.read(kubectl)) == ["w2"]
    assert sorted(NODE_SETTINGS.read(kubectl)) == ["w2"]


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("get", "Cannot read nodes: Unauthorized"),
        ("delete", "Cannot delete nodes: Unauthorized"),
        ("apply", "Cannot write ConfigMap kube-system/slipway-removed-nodes: Unauthorized"),
    ],
)
def test_failures(verb: str, words: str) -> None:
    kubectl = FakeKubectl(node("w1"))
    kubectl.fail("Unauthorized", verb)
    with pytest.raises(SlipwayError, match=words):
        delete(kubectl, "w1")


def test_other_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl = FakeKubectl(node("w1"))
    kubectl.fail("Unauthorized")
    with pytest.raises(SlipwayError, match="Cannot read nodes: Unauthorized"):
        judge(kubectl, "w1")
    kubectl.fail("Unauthorized")
    with pytest.raises(SlipwayError, match="Cannot read ConfigMap kube-system/slipway-removed-nodes: Unauthorized"):
        REMOVED_NODES.read(kubectl)
    delegate = kube_node_delete.KubeNodeDelete({"names": ["w1"]}, kubectl)
    kubectl.fail("Unauthorized")
    with pytest.raises(SlipwayError, match="Cannot read csr: Unauthorized"):
        delegate._requests()
    for kind in (judge, delete):
        with pytest.raises(SlipwayError, match="not installed"):
            kind(FakeKubectl(lacking="kubectl is not installed on this host."), "w1")


def test_main(run_module: ModuleRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl = three()
    monkeypatch.setattr(kube_node_removal_info.Kubectl, "of", lambda _context: kubectl)
    monkeypatch.setattr(kube_node_delete.Kubectl, "of", lambda _context: kubectl)
    options = {"names": ["w1"], "reachable": {"w1": {}}}
    assert run_module(kube_node_removal_info.main, options)["problems"] == []
    assert run_module(kube_node_delete.main, {"names": ["w1"]})["changed"]
    kubectl.fail("Unauthorized", times=2)
    assert run_module(kube_node_removal_info.main, options)["failed"]
    assert run_module(kube_node_delete.main, {"names": ["w1"]})["failed"]
