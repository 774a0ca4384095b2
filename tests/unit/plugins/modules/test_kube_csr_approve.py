# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import socket
import ssl
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _shown
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.cluster_memory import SERVING_IDENTITIES
from ansible_collections.slipway.kubernetes.plugins.modules import kube_csr_approve
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import Clock, FakeKubectl, fixture
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

pytestmark = pytest.mark.usefixtures("clock")

NODES = [
    {"name": "kapi1", "addresses": ["172.30.0.2"], "dns_names": []},
    {"name": "kapi2", "addresses": ["172.30.0.3", "fd00:0::3"], "dns_names": ["kapi2.example.org"]},
]
WORKER = {"name": "worker1", "addresses": ["127.0.0.1", "FD00::1"], "dns_names": []}


def kubelets() -> FakeKubectl:
    return FakeKubectl(*fixture("csr-kubelets.json")["items"])


def build(kubectl: FakeKubectl, probes: t.Any = None, check: bool = False, **params: t.Any) -> t.Any:
    answers = probes or (lambda node, port, context: "")
    waiting = {"wait": True, "timeout": 10, "interval": 0.5, "port": 10250, "ca_file": "/ca"}
    defaults = {"nodes": NODES, "remember": False, "missing_fails": True, **waiting}
    module = kube_csr_approve.KubeCsrApprove(
        {**defaults, **params},
        kubectl,
        check,
        answers,
    )
    return module


@pytest.fixture(autouse=True)
def any_ca(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_verify_locations(_context: ssl.SSLContext, cafile: str, cadata: None) -> None:
        if cafile != "/ca":
            raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", load_verify_locations)


def test_approves_what_kubelets_ask_for() -> None:
    kubectl = kubelets()
    result = build(kubectl).run()
    assert result["changed"]
    assert result["msg"] == "3 requests approved; kubelets with a certificate of the cluster: 2 of 2"
    assert [entry["request"] for entry in result["approved"]] == ["csr-9dkwk", "csr-qxthb", "csr-t7b5b"]
    assert result["approved"][1] == {
        "request": "csr-qxthb",
        "node": "kapi2",
        "dns_names": ["kapi2"],
        "addresses": ["172.30.0.3"],
    }
    assert result["refused"] == []
    assert sorted(kubectl.approved) == ["csr-9dkwk", "csr-qxthb", "csr-t7b5b"]
    kubectl.calls.clear()
    assert not build(kubectl).run()["changed"]
    assert kubectl.verbs() == ["get"]


def test_the_cluster_remembers_what_certificates_may_bear() -> None:
    kubectl = kubelets()
    SERVING_IDENTITIES.write(kubectl, {"elsewhere": "{}"})
    predicted = build(kubectl, check=True, remember=True, wait=False, nodes=NODES[1:]).run()
    assert predicted["changed"] and list(SERVING_IDENTITIES.read(kubectl)) == ["elsewhere"]
    assert build(kubectl, remember=True, nodes=NODES[1:]).run()["changed"]
    known = SERVING_IDENTITIES.read(kubectl)
    assert known["elsewhere"] == "{}"
    assert json.loads(known["kapi2"]) == {
        "addresses": ["172.30.0.3", "fd00::3"],
        "dns_names": ["kapi2", "kapi2.example.org"],
    }
    assert not build(kubectl, remember=True, nodes=NODES[1:]).run()["changed"]
    moved = [{**NODES[1], "addresses": ["172.30.0.4"]}]
    assert build(kubectl, remember=True, wait=False, nodes=moved).run()["changed"]


def test_a_kubelet_that_makes_its_certificate_itself_is_not_waited_for() -> None:
    kubectl = kubelets()
    asked: t.List[str] = []
    nodes = [{**NODES[0], "self_signed": True}, NODES[1]]
    module = build(kubectl, probes=lambda node, *_: asked.append(node.name) or "", nodes=nodes)
    result = module.run()
    assert result["self_signed"] == ["kapi1"] and asked == ["kapi2"]
    assert result["msg"].endswith("of the cluster: 1 of 2; with one of their own, by their configuration: kapi1")
    # What it asks for is approved like that of others.
    assert {entry["node"] for entry in result["approved"]} == {"kapi1", "kapi2"}


def test_check_mode_neither_approves_nor_waits() -> None:
    kubectl = kubelets()
    result = build(kubectl, probes=lambda *_: "no", check=True, nodes=NODES[:1]).run()
    assert result["changed"] and result["msg"] == "2 requests would be approved"
    assert result["refused"][0]["reasons"] == ["kapi2 is not among the given nodes"]
    assert kubectl.verbs() == ["get", "get"]


def node(name: str, *addresses: str) -> t.Dict[str, t.Any]:
    listed = [{"type": "InternalIP", "address": address} for address in addresses]
    status = {"addresses": [*listed, {"type": "Hostname", "address": name}]}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": status}


def test_an_address_that_another_node_announces_is_not_approved() -> None:
    """The other one may be a host that this run left out and knows nothing of."""
    kubectl = kubelets()
    for item in (node("kapi1", "172.30.0.2"), node("kapi2", "172.30.0.3"), node("left-out", "172.30.0.3")):
        kubectl.put(item)
    result = build(kubectl, wait=False).run()
    assert {entry["node"] for entry in result["approved"]} == {"kapi1"}
    assert [entry["reasons"] for entry in result["refused"]] == [
        ["it asks for the address 172.30.0.3, which left-out announces, too"]
    ]


def test_a_node_that_announces_the_address_of_another_does_not_stop_it() -> None:
    """Who holds one worker could end the serving certificates of all others otherwise."""
    kubectl = kubelets()
    for item in (node("kapi1", "172.30.0.3"), node("kapi2", "172.30.0.3")):
        kubectl.put(item)
    result = build(kubectl, wait=False).run()
    assert {entry["node"] for entry in result["approved"]} == {"kapi1", "kapi2"}
    assert result["refused"] == []


def test_without_waiting_nobody_is_asked() -> None:
    def probe(*_: t.Any) -> str:
        raise AssertionError

    assert build(kubelets(), probes=probe, wait=False).run()["msg"] == "3 requests approved"


def test_waits_for_a_request_and_its_certificate() -> None:
    kubectl = FakeKubectl()
    answers = {"kapi1": ["no serving certificate yet", "no serving certificate yet", ""], "kapi2": ["refused", ""]}
    asked: t.List[str] = []

    def probe(node: t.Any, port: int, context: t.Any) -> str:
        asked.append(node.name)
        if len(asked) == 2:
            for item in fixture("csr-kubelets.json")["items"]:
                kubectl.put(item)
        return answers[node.name].pop(0)

    module = build(kubectl, probes=probe)
    assert len(module.run()["approved"]) == 3
    assert sorted(asked[:2]) == ["kapi1", "kapi2"] and asked[4:] == ["kapi1"]


def test_says_what_is_missing() -> None:
    kubectl = kubelets()
    wrong = [{**NODES[0]}, {**NODES[1], "addresses": ["172.30.0.9"]}, WORKER]
    with pytest.raises(SlipwayError) as caught:
        build(kubectl, probes=lambda *_: "no serving certificate", nodes=wrong).run()
    assert caught.value.msg.splitlines() == [
        "After 10 seconds these nodes have no serving certificate of the cluster:",
        "kapi1: no serving certificate",
        "kapi1: csr-9dkwk, csr-t7b5b is approved; does kube-controller-manager run?",
        "kapi2: no serving certificate",
        "kapi2: csr-qxthb is not approved: it asks for the address 172.30.0.3, allowed are 172.30.0.9",
        "worker1: no serving certificate",
        "worker1: it has made no request; is serverTLSBootstrap set in its kubelet's configuration?",
    ]
    assert caught.value.details["refused"][0]["node"] == "kapi2"


def test_one_node_without_a_certificate_need_not_fail(clock: Clock) -> None:
    module = build(kubelets(), probes=lambda node, *_: "no" if node.name == "kapi2" else "", missing_fails=False)
    result = module.run()
    why = "csr-qxthb is approved; does kube-controller-manager run?"
    assert result["missing"] == [{"node": "kapi2", "reasons": ["no", why]}]
    assert result["msg"].endswith("of the cluster: 1 of 2") and clock.now == 10


def test_refuses_with_reasons() -> None:
    kubectl = FakeKubectl(*fixture("csr-crafted.json")["items"])
    result = build(kubectl, nodes=[WORKER]).run()
    assert not result["changed"]
    assert {entry["request"]: entry["reasons"] for entry in result["refused"]} == {
        "admin": ["it comes from the user 'admin', who is not a node"],
        "baddns": ["it asks for the name kubernetes.default, allowed are worker1"],
        "badip": ["it asks for the address 127.0.0.9, allowed are 127.0.0.1, fd00::1"],
        "subj": [
            "its subject (O=system:masters, CN=system:node:worker1) is not CN=system:node:worker1, O=system:nodes"
        ],
        "unknown": ["worker9 is not among the given nodes"],
        "uri": ["it asks for more than names: alternative name of type 6"],
        "usage": [
            "it asks for the usages client auth, digital signature, key encipherment, server auth "
            "instead of those of a server"
        ],
    }


@pytest.mark.parametrize("name", ["--server=192.0.2.66:7777", "-A", "csr-1\x1b[2J\n", "csr-", "a..b", "A", "a" * 254])
def test_a_name_that_is_more_than_a_name_stays_pending(name: str) -> None:
    """A kubelet chooses it: kubectl would take it for an option, a terminal for a command."""
    kubectl = kubelets()
    [found] = [item for item in kubectl.store.values() if item["metadata"]["name"] == "csr-qxthb"]
    kubectl.put({**found, "metadata": {"name": name}})
    kubectl.put(node("left-out", "172.30.0.3"))
    result = build(kubectl, wait=False).run()
    assert sorted(kubectl.approved) == ["csr-9dkwk", "csr-t7b5b"]
    refused = {entry["request"]: entry["reasons"] for entry in result["refused"]}
    assert set(refused) == {"csr-qxthb", _shown.shown(name, _shown.LONGEST)}
    assert "which left-out announces" in str(refused.pop("csr-qxthb"))
    assert "its own name is none that a kubelet gives" in str(refused)
    assert all("".join([key, *reasons]).isprintable() for key, reasons in refused.items())


def test_bad_addresses() -> None:
    with pytest.raises(SlipwayError, match=r"nodes: x: addresses: '1\.2\.3' does not appear"):
        build(FakeKubectl(), nodes=[{"name": "x", "addresses": ["1.2.3"], "dns_names": []}])


def test_bare_hosts() -> None:
    kubectl = FakeKubectl(lacking="kubectl is not installed on this host.")
    assert build(kubectl, check=True).run()["changed"]
    with pytest.raises(SlipwayError, match="not installed"):
        build(kubectl).run()


def test_the_ca_file_is_absent() -> None:
    with pytest.raises(SlipwayError, match=r"Cannot read the cluster's CA certificate /none: .*No such file"):
        build(FakeKubectl(), ca_file="/none").run()


def test_no_nodes() -> None:
    assert build(FakeKubectl(), nodes=[]).run()["msg"].endswith("0 of 0")


# Probing


class Connection:
    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Context:
    def __init__(self, error: t.Optional[Exception] = None) -> None:
        self.error = error
        self.names: t.List[str] = []

    def wrap_socket(self, connection: Connection, server_hostname: str) -> Connection:
        self.names.append(server_hostname)
        if self.error:
            raise self.error
        return connection


def ssl_error(kind: t.Type[ssl.SSLError], reason: str) -> ssl.SSLError:
    error = kind(1, reason)
    error.reason = reason
    error.verify_message = reason  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (None, ""),
        (
            ssl_error(ssl.SSLCertVerificationError, "self-signed certificate"),
            "its kubelet at 127.0.0.1:1 presents another certificate (self-signed certificate)",
        ),
        (
            ssl_error(ssl.SSLError, "TLSV1_ALERT_INTERNAL_ERROR"),
            "its kubelet at 127.0.0.1:1 has no serving certificate yet",
        ),
        (
            ssl_error(ssl.SSLError, "WRONG_VERSION_NUMBER"),
            "its kubelet at 127.0.0.1:1 fails the TLS handshake (WRONG_VERSION_NUMBER)",
        ),
        (
            ConnectionResetError("reset"),
            "its kubelet does not answer at 127.0.0.1:1 (reset); its kubelet does not answer at fd00::1:1 (reset)",
        ),
    ],
)
def test_probe(monkeypatch: pytest.MonkeyPatch, error: t.Optional[Exception], problem: str) -> None:
    monkeypatch.setattr(socket, "create_connection", lambda *_: Connection())
    context = Context(error)
    node = kube_csr_approve.identity(WORKER)
    assert kube_csr_approve.probe(node, 1, context) == problem  # type: ignore[arg-type]
    assert context.names[0] == "127.0.0.1"


def test_probe_without_addresses() -> None:
    node = kube_csr_approve.Identity("x", (), frozenset())
    assert kube_csr_approve.probe(node, 1, Context()) == "no address is given"  # type: ignore[arg-type]


def test_main(run_module: ModuleRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl = FakeKubectl(*fixture("csr-crafted.json")["items"])
    monkeypatch.setattr(kube_csr_approve.Kubectl, "of", lambda _context: kubectl)
    result = run_module(kube_csr_approve.main, {"nodes": [WORKER], "wait": False, "ca_file": "/ca"})
    assert not result["failed"] and len(result["refused"]) == 7
    assert "baddns of worker1 stays pending: it asks for the name" in str(result["warnings"])
    nobody = {"nodes": [{"name": "worker1", "addresses": []}], "timeout": 0, "ca_file": "/ca"}
    result = run_module(kube_csr_approve.main, nobody)
    assert result["failed"] and "uri of worker1 stays pending" in str(result["warnings"])
    result = run_module(kube_csr_approve.main, {**nobody, "missing_fails": False})
    assert not result["failed"] and "worker1 has no serving certificate of the cluster: no add" in str(
        result["warnings"]
    )


def test_thousands_of_requests_of_one_node_do_not_hold_up_others() -> None:
    items = fixture("csr-kubelets.json")["items"]
    many = [{**items[0], "metadata": {"name": f"csr-{number:05}"}} for number in range(5000)]
    kubectl = FakeKubectl(*many, *[item for item in items if item["metadata"]["name"] == "csr-qxthb"])
    result = build(kubectl, wait=False).run()
    assert "csr-qxthb" in kubectl.approved and len(kubectl.approved) == len(result["approved"]) == 11
    assert [entry["reasons"] for entry in result["refused"]] == [
        ["its node has 4990 more such requests than the 10 that come first"]
    ]


class Exchanging(FakeKubectl):
    """Between the look and the approval somebody has his request deleted and makes another one of its name."""

    #: What the other request has, beside its name; nothing when there is none.
    metadata: t.Optional[t.Dict[str, t.Any]] = None

    def run(self, *arguments: str, stdin: t.Optional[str] = None, check: bool = True) -> CommandResult:
        if arguments[0] == "replace" and "csr-qxthb" in arguments[1]:
            [(reference, found)] = [entry for entry in self.store.items() if entry[0].name == "csr-qxthb"]
            del self.store[reference]
            if self.metadata:
                self.put({**found, "metadata": {**found["metadata"], **self.metadata}})
        return super().run(*arguments, stdin=stdin, check=check)


@pytest.mark.parametrize("metadata", [{"uid": "another"}, {"resourceVersion": "99999"}, None])
def test_another_request_than_the_one_that_was_examined_is_not_approved(
    metadata: t.Optional[t.Dict[str, t.Any]],
) -> None:
    kubectl = Exchanging(*fixture("csr-kubelets.json")["items"])
    kubectl.metadata = metadata
    result = build(kubectl, wait=False).run()
    assert sorted(kubectl.approved) == ["csr-9dkwk", "csr-t7b5b"] and len(result["approved"]) == 2
    assert result["refused"] == [
        {"request": "csr-qxthb", "node": "kapi2", "reasons": ["it changed while it was examined"]}
    ]


def test_an_approval_that_is_forbidden_is_an_error() -> None:
    kubectl = kubelets()
    kubectl.fail("Error from server (Forbidden): no", "replace")
    with pytest.raises(SlipwayError, match="Forbidden"):
        build(kubectl, wait=False).run()
