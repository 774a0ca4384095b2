# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import copy
import http.server
import json
import socket
import threading
import typing as t
import urllib.error
import urllib.parse

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandError, CommandResult
from ansible_collections.slipway.kubernetes.plugins.modules import cluster_verify
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import fixture, waiting_clock
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

NODES = fixture("nodes-ready.json")
NAMES = ["cp1", "worker1", "worker2"]
SERVICES = "slipway-verify.svc.cluster.local"
SESSIONS = "sessions of the pod network are established"
TITLES = [
    "nodes are Ready",
    "a pod runs on each node",
    "each pod resolves and reaches a ClusterIP",
    "pods reach each other between nodes",
    "each node answers on a NodePort",
    "metrics of all nodes are there",
]


def pod(node: str, address: str) -> t.Dict[str, t.Any]:
    status = {"podIP": address, "conditions": [{"type": "Ready", "status": "True"}]}
    return {"metadata": {"name": f"pod-{node}"}, "spec": {"nodeName": node}, "status": status}


class Cluster:
    """kubectl's answers, and the network between pods and nodes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> None:
        self._run_module = run_module
        self.nodes = copy.deepcopy(NODES)
        self.pods = [pod(name, f"10.244.{index}.9") for index, name in enumerate(NAMES)]
        self.available = 3
        self.events: t.List[t.Any] = []
        self.metered = list(NAMES)
        self.addresses = ["192.0.2.100"]
        self.clock = waiting_clock(monkeypatch)
        self.requests: t.Dict[str, t.Any] = {"items": []}
        #: The Deployment of CoreDNS, where there is one.
        self.dns: t.Dict[str, t.Any] = {}
        self.dns_pods: t.List[t.Any] = []
        self.urls: t.List[str] = []
        #: Pods that got a label, and which.
        self.labelled: t.List[t.Tuple[str, str]] = []
        #: What has been there under the name of ours.
        self.namespace: t.Dict[str, t.Any] = {}
        #: Parts of URLs that are not answered, or answered wrongly.
        self.broken: t.Dict[str, t.Any] = {}
        self.runner = FakeRunner(
            {
                "get certificatesigningrequests": lambda _argv: json.dumps(self.requests),
                "get nodes ": lambda _argv: json.dumps(self.nodes),
                "get pods --namespace=kube-system --selector": lambda _argv: json.dumps({"items": self.dns_pods}),
                "get pods": lambda _argv: json.dumps({"items": self.pods}),
                "get events": lambda _argv: json.dumps({"items": self.events}),
                "get deployment/coredns": lambda _argv: json.dumps(self.dns) if self.dns else "",
                "get daemonset/slipway-verify": lambda _argv: json.dumps(self._daemonset()),
                "get service/node-port": '{"spec": {"ports": [{"nodePort": 30080}]}}',
                "get service/load-balancer": lambda _argv: json.dumps(self._load_balancer()),
                "metrics.k8s.io": lambda _argv: json.dumps(
                    {"items": [{"metadata": {"name": name}} for name in self.metered]}
                ),
                "get namespace ": lambda _argv: json.dumps(self.namespace) if self.namespace else "",
                "delete namespace": "",
                "apply": "",
                "label pod/": self._label,
                "delete networkpolicy/": "",
            },
            tools=("kubectl",),
        )
        monkeypatch.setattr(_module, "Runner", lambda _module: self.runner)
        monkeypatch.setattr(cluster_verify, "fetch", self._fetch)

    def _daemonset(self) -> t.Dict[str, t.Any]:
        counts = {"numberAvailable": self.available, "updatedNumberScheduled": 3, "observedGeneration": 1}
        metadata = {"name": "slipway-verify", "namespace": "slipway-verify", "generation": 1}
        wanted = min(self.available, 3)
        return {
            "kind": "DaemonSet",
            "metadata": metadata,
            "spec": {},
            "status": {**counts, "desiredNumberScheduled": wanted},
        }

    def _label(self, argv: t.List[str]) -> str:
        self.labelled.append((argv[4], argv[-1].partition("=")[0].rpartition("/")[2]))
        return ""

    def _load_balancer(self) -> t.Dict[str, t.Any]:
        address = self.addresses.pop(0) if len(self.addresses) > 1 else self.addresses[0]
        return {"status": {"loadBalancer": {"ingress": [{"ip": address}]} if address else {}}}

    def _fetch(self, url: str) -> str:
        self.urls.append(url)
        for part, answer in self.broken.items():
            if part in url:
                if callable(answer):
                    return answer()
                if isinstance(answer, Exception):
                    raise answer
                return answer
        return '{"responses":["pod-cp1"]}' if "/dial?" in url else "pod-worker1"

    def run(self, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        given = {"image": "agnhost", "timeout": 3, "phase": "probe", **options}
        return self._run_module(cluster_verify.main, given, check=check)

    def verbs(self) -> t.List[str]:
        return [call[3] for call in self.runner.calls]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> Cluster:
    return Cluster(monkeypatch, run_module)


def failing(result: t.Mapping[str, t.Any]) -> t.Dict[str, str]:
    return {check["name"]: check["detail"] for check in result["checks"] if not check["ok"]}


def test_cluster_that_works(cluster: Cluster) -> None:
    result = cluster.run(version="1.37.1")
    assert (result["changed"], result["failed"], failing(result)) == (False, False, {})
    assert [check["name"] for check in result["checks"]] == TITLES
    assert [check["detail"] for check in result["checks"]] == [
        "3 at 1.37.1",
        "3 of 3",
        "3 tried",
        "6 tried",
        "3 nodes, port 30080",
        "3 nodes",
    ]
    assert result["pods"] == ["pod-cp1", "pod-worker1", "pod-worker2"]
    assert "load_balancer" not in result and cluster.clock.pauses == []


@pytest.mark.parametrize("labels", [{}, {"labels": {"app.kubernetes.io/name": "shop"}}])
@pytest.mark.parametrize("phase", ["probe", "clean"])
def test_a_namespace_of_others_is_left_alone(cluster: Cluster, labels: t.Dict[str, t.Any], phase: str) -> None:
    cluster.namespace = {"metadata": {"name": "tools", **labels}}
    result = cluster.run(namespace="tools", phase=phase)
    assert result["failed"] and "The namespace tools is there and was not made by this check" in result["msg"]
    assert not {"delete", "apply"} & set(cluster.verbs())


def test_leftovers_are_deleted_before_anything_is_made(cluster: Cluster) -> None:
    cluster.namespace = {"metadata": {"name": "checks", "labels": {"app.kubernetes.io/name": "slipway-verify"}}}
    cluster.run(namespace="checks")
    changes = [call[3:] for call in cluster.runner.calls if call[3] in ("delete", "apply")]
    assert changes == [
        ["delete", "namespace", "checks", "--ignore-not-found", "--wait=true", "--timeout=60s"],
        ["apply", "--server-side", "--field-manager=slipway", "--filename=-"],
    ]
    stdin = next(text for text in cluster.runner.stdins if text)
    made = [json.loads(line) for line in stdin.splitlines()]
    assert [item["kind"] for item in made] == ["Namespace", "DaemonSet", "Service", "Service"]
    assert made[0]["metadata"]["name"] == "checks"


def test_what_is_asked_of_whom(cluster: Cluster) -> None:
    cluster.run(dns_domain="example.internal")
    dials = [urllib.parse.urlsplit(url) for url in cluster.urls if "/dial?" in url]
    queries = [(url.netloc, dict(urllib.parse.parse_qsl(url.query))) for url in dials]
    services = [(source, query["port"]) for source, query in queries if query["host"].startswith("cluster-ip.")]
    assert sorted(services) == [(f"10.244.{index}.9:8080", "80") for index in range(3)]
    assert {query["host"] for _source, query in queries} == {
        "cluster-ip.slipway-verify.svc.example.internal",
        *(f"10.244.{index}.9" for index in range(3)),
    }
    assert all(query["host"] not in source for source, query in queries)
    assert {(query["request"], query["protocol"], query["tries"]) for _source, query in queries} == {
        ("hostname", "http", "1")
    }
    ports = [url for url in cluster.urls if "/dial?" not in url]
    assert sorted(ports) == [f"http://172.30.0.1{index}:30080/hostname" for index in (1, 2, 3)]


def test_ipv6(cluster: Cluster) -> None:
    for index, item in enumerate(cluster.pods):
        item["status"]["podIP"] = f"fd00::{index}"
    for node in cluster.nodes["items"]:
        node["status"]["addresses"] = [{"type": "InternalIP", "address": "fd01::1"}]
    assert failing(cluster.run()) == {}
    assert any(url.startswith("http://[fd00::1]:8080/dial?") for url in cluster.urls)
    assert "http://[fd01::1]:30080/hostname" in cluster.urls


FAMILIES = ["IPv4", "IPv6"]


def dual(cluster: Cluster) -> Cluster:
    """The cluster, with two families."""
    for index, item in enumerate(cluster.pods):
        item["status"]["podIPs"] = [{"ip": item["status"]["podIP"]}, {"ip": f"fd00::{index}"}]
    for index, node in enumerate(cluster.nodes["items"]):
        node["status"]["addresses"].append({"type": "InternalIP", "address": f"fd01::{index}"})
    return cluster


def test_sessions_of_the_pod_network(cluster: Cluster) -> None:
    """Only where it has some; those that come in time count."""
    row = "| 192.0.2.{} | global | up | 09:30:04 | {} |\n"
    cluster.runner.tools = ("kubectl", "calicoctl")
    for name in ("", "flannel", "none"):
        assert SESSIONS not in {check["name"] for check in cluster.run(pod_network=name)["checks"]}
    up, down = (row.format(7, "Established") + row.format(8, said) for said in ("Established", "Active"))
    cluster.runner.answers["node status"] = [down, down, up]
    [found] = [check for check in cluster.run(pod_network="calico")["checks"] if check["name"] == SESSIONS]
    assert found == {"name": SESSIONS, "ok": True, "detail": "2 of Calico"}
    cluster.runner.answers["node status"] = down
    [found] = [check for check in cluster.run(pod_network="calico")["checks"] if check["name"] == SESSIONS]
    assert (found["ok"], found["detail"]) == (False, "192.0.2.8 is not, global: Active")
    cluster.runner.answers["node status"] = "None of the BGP backend processes (BIRD or GoBGP) are running.\n"
    assert SESSIONS not in {check["name"] for check in cluster.run(pod_network="calico")["checks"]}


def test_each_of_two_families_is_tried(cluster: Cluster) -> None:
    result = dual(cluster).run(families=FAMILIES)
    assert failing(result) == {}
    assert [check["name"] for check in result["checks"]] == [
        *TITLES[:3],
        "each pod resolves and reaches a ClusterIP of IPv4",
        "each pod resolves and reaches a ClusterIP of IPv6",
        "pods reach each other between nodes by IPv4",
        "pods reach each other between nodes by IPv6",
        "each node answers on a NodePort by IPv4",
        "each node answers on a NodePort by IPv6",
        TITLES[-1],
    ]
    hosts = {dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query)).get("host") for url in cluster.urls}
    assert {f"cluster-ip-ipv6.{SERVICES}", f"cluster-ip-ipv4.{SERVICES}", "fd00::1", "10.244.1.9"} <= hosts
    assert "http://[fd01::2]:30080/hostname" in cluster.urls
    made = [json.loads(line) for line in next(text for text in cluster.runner.stdins if text).splitlines()]
    services = {item["metadata"]["name"]: item["spec"] for item in made if item["kind"] == "Service"}
    assert {name: (spec["ipFamilyPolicy"], spec["ipFamilies"]) for name, spec in services.items()} == {
        "cluster-ip": ("RequireDualStack", FAMILIES),
        "cluster-ip-ipv4": ("SingleStack", ["IPv4"]),
        "cluster-ip-ipv6": ("SingleStack", ["IPv6"]),
        "node-port": ("RequireDualStack", FAMILIES),
    }


def test_one_of_two_families_does_not_work(cluster: Cluster) -> None:
    del dual(cluster).nodes["items"][1]["status"]["addresses"][-1]
    cluster.pods[2]["status"]["podIPs"].pop()
    cluster.broken["host=&"] = '{"errors": ["no such host"]}'
    assert failing(cluster.run(families=FAMILIES)) == {
        "pods reach each other between nodes by IPv6": "from cp1 to : no such host; from worker1 to : no such host",
        "each node answers on a NodePort by IPv6": "worker1 announces no address of IPv6",
    }


def test_load_balancers_of_two_families(cluster: Cluster) -> None:
    given = [{"ip": "192.0.2.100"}]
    cluster.runner.answers["get service/load-balancer"] = lambda _argv: json.dumps(
        {"status": {"loadBalancer": {"ingress": given}}}
    )
    dual(cluster)
    assert cluster.run(families=FAMILIES, load_balancer=True)["load_balancer"] == {"IPv4": "", "IPv6": ""}
    given.append({"ip": "fd01::100"})
    result = cluster.run(families=FAMILIES, load_balancer=True)
    assert result["load_balancer"] == {"IPv4": "192.0.2.100", "IPv6": "fd01::100"}
    only = cluster.run(families=FAMILIES, load_balancer=True, load_balancer_families=["IPv4"])
    assert only["load_balancer"] == {"IPv4": "192.0.2.100"}
    made = [json.loads(line) for line in [text for text in cluster.runner.stdins if text][-1].splitlines()]
    assert made[-1]["spec"]["ipFamilyPolicy"] == "SingleStack" and made[-1]["spec"]["ipFamilies"] == ["IPv4"]
    # Where there is one family, nothing is said of it.
    cluster.run(load_balancer=True, load_balancer_families=["IPv4"])
    made = [json.loads(line) for line in [text for text in cluster.runner.stdins if text][-1].splitlines()]
    assert "ipFamilies" not in made[-1]["spec"]


POLICY = "a NetworkPolicy denies and lets through"
BETWEEN = "http://10.244.0.9:8080/dial?host=10.244.1.9"
THROUGH, REFUSED = '{"responses":["pod-worker1"]}', '{"errors":["timed out"]}'


@pytest.mark.parametrize(
    ("denied", "admitted", "expected"),
    [
        ([REFUSED], [THROUGH], ""),
        # It takes a while until it holds, and until a label counts.
        ([THROUGH, THROUGH, REFUSED], [REFUSED, THROUGH], ""),
        ([THROUGH], [], "from cp1 to worker1: a connection, and it was to be: no connection"),
        # What fails by chance denies nothing, and who does not answer is not kept from anybody.
        ([THROUGH, REFUSED, THROUGH, REFUSED, REFUSED, THROUGH], [], "a connection, and it was to be: no connection"),
        ([OSError("timed out")], [], "its own pod does not answer here (timed out), and it was to be"),
        (['{"responses":["pod-worker2"]}'], [], "another pod has answered, and it was to be"),
        ([REFUSED], [REFUSED], "from cp1 to worker1: no connection, and it was to be: a connection"),
    ],
)
def test_network_policy(cluster: Cluster, denied: t.List[t.Any], admitted: t.List[t.Any], expected: str) -> None:
    asked = {"denied": 0, "admitted": 0}

    def answer() -> str:
        guarded, allowed = (("pod/" + pod, label) in cluster.labelled for pod, label in LABELS)
        if not guarded:
            return THROUGH
        name, answers = ("admitted", admitted) if allowed else ("denied", denied)
        said = answers[min(asked[name], len(answers) - 1)]
        asked[name] += 1
        if isinstance(said, Exception):
            raise said
        return t.cast(str, said)

    cluster.broken = {BETWEEN: answer}
    result = cluster.run(network_policy=True)
    found = failing(result)
    assert expected in found[POLICY] if expected else found == {}
    assert [check["name"] for check in result["checks"]][4] == POLICY
    # A load balancer is asked after it, and whoever looks at pods meanwhile.
    assert [call[3:5] for call in cluster.runner.calls if call[3] == "delete"] == [
        ["delete", "networkpolicy/slipway-verify"]
    ]
    stdin = [text for text in cluster.runner.stdins if text][-1]
    assert json.loads(stdin)["spec"]["podSelector"] == {"matchLabels": {"slipway.io/verify-guarded": "true"}}


def test_network_policy_has_time_of_its_own(cluster: Cluster) -> None:
    """Checks before it may have used up theirs; it takes a moment until the policy holds."""
    cluster.broken = {
        "host=cluster-ip": REFUSED,
        BETWEEN: iter([THROUGH, THROUGH, THROUGH, REFUSED, REFUSED, REFUSED, THROUGH]).__next__,
    }
    assert POLICY not in failing(cluster.run(network_policy=True))


LABELS = (("pod-worker1", "verify-guarded"), ("pod-cp1", "verify-admitted"))


def test_single_node(cluster: Cluster) -> None:
    cluster.nodes["items"] = cluster.nodes["items"][:1]
    cluster.pods, cluster.available = cluster.pods[:1], 1
    result = cluster.run(metrics=False, node_port=False, network_policy=True)
    assert [check["name"] for check in result["checks"]] == TITLES[:3]
    assert failing(result) == {}


def test_nodes_that_are_not_ready_or_of_another_version(cluster: Cluster) -> None:
    for entry in cluster.nodes["items"][1]["status"]["conditions"]:
        if entry["type"] == "Ready":
            entry.update(status="False", reason="KubeletNotReady", message="no CNI")
    detail = failing(cluster.run(version="1.36.4"))["nodes are Ready"]
    assert "node worker1 is NotReady (KubeletNotReady: no CNI)" in detail
    assert detail.count("has 1.37.1 instead of 1.36.4") == 3
    assert cluster.clock.now >= 3


@pytest.mark.parametrize(("available", "detail"), [(2, "only 2 of 3 nodes run one"), (0, "only 0 of 3 nodes run one")])
def test_nodes_without_a_pod(cluster: Cluster, available: int, detail: str) -> None:
    cluster.available = available
    assert failing(cluster.run()) == {TITLES[1]: detail}


def test_without_pods_nothing_is_dialled(cluster: Cluster) -> None:
    cluster.available = 0
    cluster.pods[0]["status"]["conditions"][0]["status"] = "False"
    del cluster.pods[1]["status"]["podIP"]
    cluster.pods.pop()
    result = cluster.run()
    assert [check["name"] for check in result["checks"]] == [TITLES[0], TITLES[1], TITLES[5]]
    assert (cluster.urls, result["pods"]) == ([], [])


def test_network_that_does_not_work(cluster: Cluster) -> None:
    cluster.broken = {
        "http://10.244.1.9:8080/dial?host=cluster-ip": '{"errors":["lookup: no such host"]}',
        "http://10.244.2.9:8080/dial?host=10.244.0.9": urllib.error.URLError("timed out"),
        "172.30.0.12:30080": ConnectionRefusedError("refused"),
        "172.30.0.13:30080": "somebody else",
    }
    details = failing(cluster.run())
    assert list(details) == TITLES[2:5]
    assert details[TITLES[2]] == ("from worker1 to cluster-ip.slipway-verify.svc.cluster.local: lookup: no such host")
    assert details[TITLES[3]].startswith("the pod on worker2 (10.244.2.9) does not answer here: ")
    assert details[TITLES[4]] == (
        "worker1 (172.30.0.12:30080): refused; worker2 (172.30.0.13:30080) answered 'somebody else'"
    )


def test_looks_again_until_it_works(cluster: Cluster) -> None:
    cluster.runner.answers["metrics.k8s.io"] = [
        CommandError("the server could not find the requested resource", CommandResult([], 1, "", "")),
        '{"items": []}',
        json.dumps({"items": [{"metadata": {"name": name}} for name in NAMES]}),
    ]
    assert failing(cluster.run()) == {}
    assert cluster.clock.pauses == [0.5, 0.5]


def test_metrics(cluster: Cluster) -> None:
    cluster.metered.remove("worker2")
    assert failing(cluster.run()) == {TITLES[5]: "there are no metrics of node worker2"}
    cluster.runner.answers["metrics.k8s.io"] = CommandError("NotFound", CommandResult([], 1, "", ""))
    assert failing(cluster.run()) == {TITLES[5]: "NotFound"}


def test_load_balancer(cluster: Cluster) -> None:
    cluster.addresses = ["", "192.0.2.100"]
    assert cluster.run(load_balancer=True)["load_balancer"] == {"": "192.0.2.100"}
    assert cluster.clock.pauses == [0.5]
    cluster.addresses = [""]
    assert cluster.run(load_balancer=True)["load_balancer"] == {"": ""}
    assert cluster.clock.now >= 3


def test_clean(cluster: Cluster) -> None:
    assert cluster.run(phase="clean")["failed"] is False and cluster.verbs() == ["get"]
    cluster.namespace = {"metadata": {"labels": {"app.kubernetes.io/name": "slipway-verify"}}}
    result = cluster.run(phase="clean")
    assert (result["changed"], result["failed"], cluster.verbs()[1:]) == (False, False, ["get", "delete"])


def test_check_mode_asks_nobody(cluster: Cluster) -> None:
    cluster.runner.tools = ()
    result = cluster.run(check=True)
    assert (result["changed"], result["skipped"], result["checks"]) == (False, True, [])
    assert cluster.runner.calls == []


def test_without_an_api_server(cluster: Cluster) -> None:
    cluster.runner.answers["get nodes "] = CommandError("refused", CommandResult(["kubectl"], 1, "", "refused"))
    failed = cluster.run()
    assert (failed["failed"], failed["msg"], failed["rc"]) == (True, "refused", 1)
    assert "apply" not in cluster.verbs()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/hostname" else 503)
        self.end_headers()
        self.wfile.write(b"p\xff" * 4000)

    def log_message(self, *_arguments: t.Any) -> None:
        pass


def test_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        assert cluster_verify.fetch(f"{address}/hostname", 60) == "p�" * 2048
        with pytest.raises(OSError, match="503"):
            cluster_verify.fetch(f"{address}/other", 60)
        server.shutdown()
    # A port that is taken, so that nobody else gets it, and at which nobody listens.
    with socket.socket() as silent, pytest.raises(OSError, match="refused"):
        silent.bind(("127.0.0.1", 0))
        cluster_verify.fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/hostname", 60)


def test_pending_requests_of_kubelets_are_warnings(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: t.List[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, text: warnings.append(text))
    cluster.requests = fixture("csr-crafted.json")
    assert not cluster.run()["failed"]
    named = {warning.split()[2]: warning for warning in warnings}
    assert set(named) == {"admin", "baddns", "badip", "subj", "unknown", "uri", "usage"}
    start = "The request badip of worker1 for a serving certificate is pending: it asks for worker1, "
    assert named["badip"].startswith(start)


def test_coredns_on_one_node_is_named(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    warnings: t.List[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, text: warnings.append(text))
    cluster.dns = {
        "metadata": {"name": "coredns", "namespace": "kube-system"},
        "spec": {"selector": {"matchLabels": {}}, "template": {"spec": {"tolerations": [{"operator": "Exists"}]}}},
    }
    assert not cluster.run()["failed"]
    assert warnings == []
    for pod in cluster.pods:
        pod["metadata"]["labels"] = {}
        pod["status"]["phase"] = "Running"
        pod["spec"]["nodeName"] = NAMES[0]
    assert not cluster.run()["failed"]
    (warning,) = warnings
    assert warning.startswith(
        f"All {len(cluster.pods)} pods of kube-system/coredns are on {NAMES[0]}: when that machine"
    )


def test_machines_of_the_inventory_that_are_no_nodes_are_named(cluster: Cluster) -> None:
    found = cluster.run(nodes=NAMES)["checks"][0]
    assert found == {"name": "machines of the inventory are nodes", "ok": True, "detail": "3 machines"}
    problems = failing(cluster.run(nodes=[*NAMES, "gone"]))
    assert list(problems) == [found["name"]]
    assert problems[found["name"]].startswith("gone of the inventory: the cluster has no such node. site.yml joins")


def test_why_no_pod_runs_on_a_node_is_said(cluster: Cluster) -> None:
    cluster.available = 2
    said = 'plugin type="bridge" failed (add): "cni0" already has an IP address different from 10.244.3.1/24'
    for index, message in ((0, said), (1, "")):
        cluster.pods[index]["status"] = {"phase": "Pending"}
        cluster.events = [{"message": "scheduled"}, {"message": message}] if message else []
        detail = failing(cluster.run())[TITLES[1]]
        assert f"on {NAMES[index]} none runs: {message or 'nothing is said why'}" in detail


def test_names_that_coredns_has_to_know(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: t.List[t.Any] = []
    said = {"10.244.0.3": "10.244.0.3 is asked for b.example: NXDOMAIN"}

    def problem(server: str, name: str, expected: t.Sequence[str]) -> str:
        asked.append((server, name, list(expected)))
        return said.get(server, "") if name == "b.example" else ""

    monkeypatch.setattr(cluster_verify._dns, "problem", problem)
    options = {"dns_hosts": ["192.0.2.1 a.example", "2001:db8::1 a.example", ""], "dns_names": ["b.example"]}
    assert "CoreDNS knows its names" not in [check["name"] for check in cluster.run()["checks"]] and not asked
    check = {check["name"]: check for check in cluster.run(**options)["checks"]}["CoreDNS knows its names"]
    assert (check["ok"], check["detail"]) == (False, "no pod of it is ready")
    cluster.dns_pods = [pod("cp1", "10.244.0.2"), pod("cp1", "10.244.0.3")]
    for item in cluster.dns_pods:
        item["status"]["phase"] = "Running"
    check = {check["name"]: check for check in cluster.run(**options)["checks"]}["CoreDNS knows its names"]
    assert (check["ok"], check["detail"]) == (False, said["10.244.0.3"])
    assert ("10.244.0.2", "a.example", ["192.0.2.1", "2001:db8::1"]) in asked and (
        "10.244.0.2",
        "b.example",
        [],
    ) in asked
    said.clear()
    check = {check["name"]: check for check in cluster.run(**options)["checks"]}["CoreDNS knows its names"]
    assert (check["ok"], check["detail"]) == (True, "2 names in 2 pods")
