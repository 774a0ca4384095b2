# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kube_objects as kube
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import FakeKubectl

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "n"}}
ROLE = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}}


def failed(stderr: str) -> CommandResult:
    return CommandResult(["kubectl"], 1, "", stderr)


def test_references() -> None:
    assert str(kube.reference(POD)) == "Pod n/a"
    assert str(kube.reference(ROLE)) == "ClusterRole.rbac.authorization.k8s.io r"
    assert kube.reference(ROLE, "n").namespace == "n" and kube.reference(POD, "x").namespace == "n"
    assert kube.identity({**POD, "spec": {}}) == POD


def test_expand() -> None:
    lists = {
        "apiVersion": "v1",
        "kind": "List",
        "items": [POD, None, {"apiVersion": "v1", "kind": "PodList", "items": [ROLE]}],
    }
    assert kube.expand([lists, None, POD], "x") == [POD, ROLE, POD]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("text", "x holds a str where"),
        ({"kind": "Pod"}, r"without apiVersion or kind; its keys: \['kind'\]"),
        ({"kind": "Pod", "apiVersion": 1}, "without apiVersion"),
        ({"kind": "Pod", "apiVersion": "v1"}, r"a Pod without metadata\.name"),
        ({"kind": "Pod", "apiVersion": "v1", "metadata": {"generateName": "x-"}}, r"a Pod without metadata\.name"),
        ({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": ""}}, r"a Pod without metadata\.name"),
    ],
)
def test_expand_names_what_is_wrong(document: t.Any, message: str) -> None:
    with pytest.raises(SlipwayError, match=message):
        kube.expand([document], "x")


def test_documents() -> None:
    assert kube.documents('{"a": 1}\n{"b": 2}\n\n') == [{"a": 1}, {"b": 2}]
    assert kube.documents("") == []
    with pytest.raises(ValueError):
        kube.documents("no")


def test_what_kubectl_says() -> None:
    text = (
        'error: resource mapping not found for name: "p" namespace: "demo" from "STDIN": no matches for kind '
        '"IPAddressPool" in version "metallb.io/v1beta1"\nensure CRDs are installed first\n'
        'Error from server (NotFound): namespaces "demo" not found\n'
    )
    assert kube.missing_kinds(text) == {("metallb.io/v1beta1", "IPAddressPool")}
    assert kube.missing_namespaces(text) == {"demo"}
    assert kube.is_transient(text)
    assert not kube.is_transient('Error from server (NotFound): namespaces "demo" not found')


@pytest.mark.parametrize(("user", "transient"), [("kubernetes-admin", True), ("jane", False)])
def test_an_api_server_that_does_not_know_its_roles_yet(user: str, transient: bool) -> None:
    """Seen in the lab, when the new kubelet had started the API server anew."""
    text = f'nodes "cp1" is forbidden: User "{user}" cannot get resource "nodes" in API group "" at the cluster scope'
    assert kube.is_transient(f"Error from server (Forbidden): {text}\n") is transient


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Error: unexpected error when reading response body. Please retry. Original error: unexpected EOF", True),
        ("net/http: TLS handshake timeout - error from a previous attempt: unexpected EOF", True),
        ("Error: Kubernetes cluster unreachable: Get ...: dial tcp 192.0.2.9:6443: connect: connection refused", True),
        ("Error from server: etcdserver: leader changed", True),
        ("Error: create: failed to create: etcdserver: request is too large", False),
        ('Error: failed to do request: Head "https://charts.example.com/v2/": connect: connection refused', False),
        ("Error: timed out waiting for the condition", False),
    ],
)
def test_an_api_server_that_is_away(text: str, expected: bool) -> None:
    assert kube.is_away(text) is expected
    assert not expected or kube.is_transient(text)


def test_complaint() -> None:
    log = 'E1121 05:53:01.578624    6726 memcache.go:381] "Unhandled" err="connect: connection refused"\n'
    refused = "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?\n"
    assert kube.complaint(failed(log * 5 + refused)) == refused.strip()
    assert kube.complaint(failed(log)) == log.strip()
    assert kube.complaint(failed("")) == "kubectl ended with 1 and printed nothing"


def test_reading_leaves_out_unknown_kinds() -> None:
    thing = {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "t", "namespace": "n"}}
    kubectl = FakeKubectl(POD)
    items, result = kube.read(kubectl, [POD, thing])
    assert [item["metadata"]["name"] for item in items] == ["a"] and result.rc == 0
    assert kube.read(kubectl, [thing])[0] == []
    kubectl.fail("Unauthorized")
    items, result = kube.read(kubectl, [POD])
    assert items == [] and result.rc == 1


def test_comparable() -> None:
    last = {"kubectl.kubernetes.io/last-applied-configuration": "secret"}
    item = {**POD, "status": {}, "metadata": {"name": "a", "uid": "1", "managedFields": [], "annotations": last}}
    assert kube.comparable(item) == {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}
    assert kube.comparable({**item, "metadata": {"name": "a", "annotations": {"b": "c"}}})["metadata"]["annotations"]
    assert "status" in item


def test_owned_fields() -> None:
    fields: t.Dict[str, t.Any] = {
        "f:spec": {"f:ports": {".": {}, 'k:{"port":80}': {".": {}, "f:port": {}}}, "f:type": {}}
    }
    entries = [
        {"manager": "slipway", "operation": "Apply", "fieldsV1": fields},
        {"manager": "slipway", "operation": "Apply", "subresource": "status", "fieldsV1": {"f:status": {}}},
        {"manager": "slipway", "operation": "Update", "fieldsV1": {"f:x": {}}},
    ]
    owned = kube.owned_fields({"metadata": {"managedFields": entries}}, "slipway")
    assert owned == {"spec.ports", 'spec.ports[{"port":80}]', 'spec.ports[{"port":80}].port', "spec.type"}
    assert kube.owned_fields({"metadata": {}}, "slipway") == set()


def test_difference() -> None:
    before = {"spec": {"a": [1, {"b": None}], "same": 1, "text": "1\n2\n"}, "m": {"x.y/z": "ä"}}
    after = {"spec": {"a": [1], "same": 1, "text": "1\n3\n", "e": {}}}
    assert kube.difference(before, after) == (
        '["x.y/z"]'.join(["m", ': "ä"\n']) + "spec.a[1].b: null\nspec.text: |\n  1\n  2\n",
        "spec.e: {}\nspec.text: |\n  1\n  3\n",
    )
    assert kube.difference(None, {"a": 1}) == ("", "a: 1\n")
    assert kube.difference({"a": 1}, None) == ("a: 1\n", "")


def test_the_values_of_secrets_are_masked() -> None:
    before = {"kind": "Secret", "data": {"a": "MQ==", "b": "MQ=="}, "type": "Opaque"}
    after = {"kind": "Secret", "data": {"a": "Mg==", "b": "MQ=="}, "type": "Other", "stringData": {"c": "hidden"}}
    assert kube.difference(before, after) == (
        'data.a: "*** (before)"\ntype: "Opaque"\n',
        'data.a: "*** (after)"\nstringData.c: "*** (after)"\ntype: "Other"\n',
    )
    assert "hidden" not in "".join(kube.difference(None, after))
