# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CoreDNS gets another Corefile and keeps on serving, whoever has changed it and whenever a run is killed."""

from __future__ import annotations

import copy
import json
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _dns
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import coredns, corefile
from ansible_collections.slipway.kubernetes.plugins.modules import coredns as module
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

pytestmark = pytest.mark.usefixtures("clock")

BASE = ".:53 {\n    errors\n    ready\n    forward . /etc/resolv.conf {\n       max_concurrent 1000\n    }\n}\n"
LABELS = {"k8s-app": "kube-dns"}
TEMPLATE: t.Dict[str, t.Any] = {
    "metadata": {"labels": LABELS},
    "spec": {
        "priorityClassName": "system-cluster-critical",
        "containers": [{"name": "coredns", "readinessProbe": {"httpGet": {"port": 8181}}}],
        "volumes": [{"name": "config-volume", "configMap": {"name": "coredns"}}, {"name": "tmp", "emptyDir": {}}],
    },
}
Object = t.Dict[str, t.Any]
HOSTS = ["192.0.2.1 a.example.com"]
KILLED = RuntimeError("killed")


def config_map(name: str, data: t.Mapping[str, str]) -> Object:
    metadata = {"name": name, "namespace": "kube-system", "resourceVersion": "1"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": dict(data)}


def merged(base: t.Any, patch: t.Any) -> t.Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    found = dict(base) if isinstance(base, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = merged(found.get(key), value)
    return found


class Cluster:
    """kubectl and kubeadm with a cluster whose CoreDNS does not come up with a Corefile that has one of ``bad`` in it.

    :param serves: whether pods of CoreDNS serve at the beginning.
    """

    def __init__(self, text: str = BASE, serves: bool = True) -> None:
        self.maps = {"coredns": config_map("coredns", {"Corefile": text})}
        metadata = {"name": "coredns", "namespace": "kube-system", "generation": 1}
        self.deployment: t.Optional[Object] = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {"replicas": 2, "selector": {"matchLabels": LABELS}, "template": copy.deepcopy(TEMPLATE)},
        }
        self.pods = [self._pod(f"old-{number}", serves) for number in (1, 2)] if serves else []
        self.nodes = 3
        self.bad: t.Set[str] = set()
        #: What is bad in a roll-out only: what a trial does not find.
        self.bad_later: t.Set[str] = set()
        self.short = self.loses_all = self.refused = False
        self.lacking = ""
        self.manifest = ["ConfigMap", "Deployment"]
        self.trial: t.Optional[Object] = None
        self.trials: t.List[str] = []
        self.rolled: t.List[str] = []
        self.verbs: t.List[str] = []
        #: The verb with which the run is killed.
        self.killed_at = ""

    # What modules use

    def missing(self) -> str:
        return self.lacking

    def path(self, name: str) -> str:
        return name

    def get(self, *arguments: str) -> Object:
        if arguments[0] == "pods":
            return {"items": copy.deepcopy(self.pods)}
        assert arguments[0] == "pod/slipway-coredns-trial" and self.trial
        return self.trial

    def run(
        self, first: t.Union[str, t.Sequence[str]], *more: str, stdin: t.Optional[str] = None, check: bool = True
    ) -> CommandResult:
        if not isinstance(first, str):
            return CommandResult([], 0, "v1.37.1\n" if "version" in first else "printed", "")
        self.verbs.append(first)
        if self.killed_at and self.killed_at in (first, " ".join([first, *more[:1]])):
            raise KILLED
        return CommandResult(
            [], 0, getattr(self, f"_{first}")(more, json.loads(stdin or "{}") if stdin != "printed" else {}) or "", ""
        )

    # The cluster

    @staticmethod
    def _pod(name: str, ready: bool, mark: t.Optional[str] = None, restarts: int = 0) -> Object:
        annotations = {coredns.ANNOTATION: mark} if mark else {}
        status = {"type": "Ready", "status": "True" if ready else "False"}
        containers = [{"name": "coredns", "ready": ready, "restartCount": restarts}]
        return {
            "kind": "Pod",
            "metadata": {"name": name, "labels": LABELS, "annotations": annotations},
            "spec": {"nodeName": "cp1"},
            "status": {
                "phase": "Running",
                "podIP": "10.244.0.9",
                "conditions": [status],
                "containerStatuses": containers,
            },
        }

    @property
    def text(self) -> str:
        return self.maps["coredns"]["data"]["Corefile"]

    @property
    def record(self) -> t.Optional[t.Dict[str, str]]:
        found = self.maps.get("slipway-coredns")
        return found["data"] if found else None

    def _get(self, arguments: t.Sequence[str], stdin: Object) -> str:
        if arguments[0] == "nodes":
            return "node/x\n" * self.nodes
        if arguments[0] == "deployment/coredns":
            return json.dumps(self.deployment) if self.deployment else ""
        found = []
        for item in stdin["items"]:
            is_map = item["kind"] == "ConfigMap"
            found.append(self.maps.get(item["metadata"]["name"]) if is_map else self.deployment)
        return json.dumps({"apiVersion": "v1", "kind": "List", "items": [item for item in found if item]})

    def _patch(self, arguments: t.Sequence[str], stdin: Object) -> str:
        if "--local" in arguments:
            given = {
                "ConfigMap": config_map("coredns", {"Corefile": BASE}),
                "Deployment": {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "metadata": {"name": "coredns"},
                    "spec": {"replicas": 2},
                },
            }
            return "\n".join(json.dumps(given[kind]) for kind in self.manifest)
        patch = stdin
        if arguments[0] == "configmap/coredns":
            assert patch.get("metadata", {}).get("resourceVersion", "1") == "1"
            self.maps["coredns"] = merged(self.maps["coredns"], patch)
            return ""
        assert self.deployment
        before = copy.deepcopy(self.deployment["spec"]["template"])
        self.deployment = merged(self.deployment, patch)
        if self.deployment["spec"]["template"] != before:
            self._rolls()
        return ""

    def _rolls(self) -> None:
        assert self.deployment
        self.rolled.append(self.text)
        mark = (self.deployment["spec"]["template"]["metadata"].get("annotations") or {}).get(coredns.ANNOTATION)
        fails = any(word in self.text for word in self.bad | self.bad_later)
        new = [self._pod(f"new-{len(self.rolled)}", not fails, mark, 2 if fails else 0)]
        self.pods = (
            [*([] if self.loses_all else self.pods[:1]), *new] if fails else [*new, self._pod("second", True, mark)]
        )
        done = {"updatedReplicas": 1 if fails or self.short else 2, "availableReplicas": 2, "replicas": 2}
        self.deployment["status"] = {"observedGeneration": 1, **done}

    def _create(self, arguments: t.Sequence[str], stdin: Object) -> str:
        if self.refused:
            raise SlipwayError("a policy denies it")
        made = {item["kind"]: item for item in stdin["items"]}
        text = made["ConfigMap"]["data"]["Corefile"]
        self.trials.append(text)
        fails = any(word in text for word in self.bad)
        self.trial = {**self._pod("slipway-coredns-trial", not fails), "spec": made["Pod"]["spec"]}
        self.trial["metadata"] = made["Pod"]["metadata"]
        if fails:
            self.trial["status"] = {"phase": "Failed"}
        return ""

    def _logs(self, arguments: t.Sequence[str], stdin: Object) -> str:
        return "Corefile:9 - Error during parsing:\nUnknown directive 'oops'\n" if "trial" in arguments[0] else ""

    def _delete(self, arguments: t.Sequence[str], stdin: Object) -> str:
        if arguments[0] == "configmap/slipway-coredns":
            del self.maps["slipway-coredns"]
        else:
            self.trial = None
        return ""

    def _apply(self, arguments: t.Sequence[str], stdin: Object) -> str:
        for item in stdin["items"]:
            self.maps[item["metadata"]["name"]] = item
        return ""


@pytest.fixture(autouse=True)
def answers(monkeypatch: pytest.MonkeyPatch) -> t.Dict[str, str]:
    """What is wrong with the answer of each address."""
    said: t.Dict[str, str] = {}
    monkeypatch.setattr(_dns, "problem", lambda server, name: said.get(server, ""))
    return said


def apply(
    cluster: Cluster,
    check: bool = False,
    replace: bool = False,
    replicas: t.Tuple[int, int] = (0, 0),
    **given: t.Any,
) -> Object:
    settings = corefile.settings_of({"dns_domain": "cluster.local", **given})
    kubectl = t.cast(t.Any, cluster)
    return coredns.CoreDns(kubectl, kubectl, settings, replicas, replace, 10, check).run()


def test_nothing_is_asked_for_and_nothing_is_ours() -> None:
    cluster = Cluster("somebody's")
    assert apply(cluster) == {"changed": False, "msg": "nothing to do", "diff": [], "warnings": []}
    assert cluster.verbs == ["get"]


def test_a_corefile_is_tried_written_and_rolled_out() -> None:
    cluster = Cluster()
    expected = apply(cluster, check=True, hosts=HOSTS)
    assert expected["changed"] and cluster.text == BASE and not cluster.trials and cluster.record is None
    result = apply(cluster, hosts=HOSTS)
    assert result == expected and result["msg"] == "the Corefile was changed"
    (difference,) = result["diff"]
    assert (difference["before"], difference["after"]) == (BASE, cluster.text)
    assert "192.0.2.1 a.example.com" in cluster.text and cluster.trials == cluster.rolled == [cluster.text]
    assert cluster.record == {"Corefile": cluster.text} and cluster.trial is None
    for check in (True, False):
        assert not apply(cluster, check=check, hosts=HOSTS)["changed"]
    assert len(cluster.trials) == len(cluster.rolled) == 1


def test_the_pod_that_tries_one_takes_no_requests_and_no_place_of_others() -> None:
    pod = coredns.trial_pod(TEMPLATE)
    assert pod["metadata"]["labels"] == {"slipway.io/trial": "coredns"}
    assert "priorityClassName" not in pod["spec"] and pod["spec"]["restartPolicy"] == "Never"
    assert pod["spec"]["activeDeadlineSeconds"] > 0
    volumes = [
        {"name": "config-volume", "configMap": {"name": "slipway-coredns-trial"}},
        {"name": "tmp", "emptyDir": {}},
    ]
    assert pod["spec"]["volumes"] == volumes and TEMPLATE["spec"]["volumes"][0]["configMap"]["name"] == "coredns"
    assert pod["spec"]["containers"][0]["readinessProbe"] == {"httpGet": {"port": 8181}, "periodSeconds": 1}


def test_one_with_an_error_changes_nothing() -> None:
    cluster = Cluster()
    cluster.bad = {"oops"}
    with pytest.raises(SlipwayError, match=r"nothing was changed\. It says: .*Unknown directive 'oops'"):
        apply(cluster, plugins={"oops": "oops"})
    assert cluster.text == BASE and not cluster.rolled and cluster.trial is None and cluster.record is None
    apply(cluster, hosts=HOSTS)
    with pytest.raises(SlipwayError, match="nothing was changed"):
        apply(cluster, hosts=HOSTS, plugins={"oops": "oops"})
    assert cluster.record == {"Corefile": cluster.text} and not apply(cluster, hosts=HOSTS)["changed"]


def test_one_that_does_not_answer_changes_nothing(answers: t.Dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster()
    said = iter(["", *(["10.244.0.9 is asked: SERVFAIL"] * 99)])
    monkeypatch.setattr(_dns, "problem", lambda *_asked: next(said))
    monkeypatch.setattr(cluster, "_logs", lambda *_asked: "")
    with pytest.raises(SlipwayError, match="SERVFAIL"):
        apply(cluster, hosts=HOSTS)
    assert cluster.text == BASE and not cluster.rolled


def test_pods_that_nobody_reaches_from_here_are_not_asked(answers: t.Dict[str, str]) -> None:
    """A NetworkPolicy, or a firewall, keeps this machine from them: the readiness that the kubelet sees is all."""
    answers["10.244.0.9"] = "no answer"
    cluster = Cluster()
    assert apply(cluster, hosts=HOSTS)["changed"] and cluster.rolled == [cluster.text]


def test_what_fails_when_it_is_rolled_out_is_put_back() -> None:
    cluster = Cluster()
    cluster.bad_later = {"192.0.2.1"}
    with pytest.raises(SlipwayError, match=r"did not come up .* The one before was put back, and serves\."):
        apply(cluster, hosts=HOSTS)
    assert cluster.text == BASE and cluster.rolled[-1] == BASE and cluster.record == {"Corefile": BASE}
    assert not cluster.deployment["spec"]["template"]["metadata"]["annotations"]  # type: ignore[index]
    # Nothing is ours any more when nothing is asked for.
    assert not apply(cluster)["changed"] and cluster.record is None
    cluster.bad_later, cluster.loses_all = {""}, True
    with pytest.raises(SlipwayError, match="put back, but does not come up either: Running, not ready"):
        cluster.pods = [cluster._pod("old", True)]
        apply(cluster, hosts=HOSTS)


def test_one_pod_that_serves_is_enough_and_the_rest_is_told() -> None:
    cluster = Cluster()
    cluster.short = True
    result = apply(cluster, hosts=HOSTS)
    assert result["warnings"] == [
        "CoreDNS serves with the new Corefile, but: deployment kube-system/coredns: 1 of 2 replicas updated."
    ]


def test_a_deployment_that_goes_meanwhile() -> None:
    cluster = Cluster()
    pods = coredns.Pods(t.cast(t.Any, cluster), "cluster.local", 10)
    cluster.deployment = None
    assert pods.rolled_out(None) == ("the Deployment is gone", "")
    with pytest.raises(SlipwayError, match="has no CoreDNS of kubeadm's"):
        apply(cluster, hosts=HOSTS)


def test_without_anything_that_serves_there_is_nothing_to_try() -> None:
    cluster = Cluster(serves=False)
    assert apply(cluster, hosts=HOSTS)["changed"]
    assert not cluster.trials and cluster.rolled == [cluster.text] and cluster.record == {"Corefile": cluster.text}


def test_kubeadms_own_comes_back_when_nothing_is_asked_for_any_more() -> None:
    cluster = Cluster()
    before = copy.deepcopy(cluster.deployment["spec"])  # type: ignore[index]
    apply(cluster, hosts=HOSTS, replicas=(4, 0))
    assert cluster.deployment["spec"]["replicas"] == 4  # type: ignore[index]
    assert apply(cluster, check=True)["msg"] == "the Corefile was changed; 2 replicas instead of 4"
    assert apply(cluster)["changed"] and cluster.text == BASE and cluster.record is None
    before["template"]["metadata"]["annotations"] = {}
    assert cluster.deployment["spec"] == before and not apply(cluster)["changed"]  # type: ignore[index]


@pytest.mark.parametrize("text", ["somebody's", "# Ansible managed (slipway.kubernetes)\nsomebody's\n"])
def test_one_that_somebody_has_changed_is_left_until_somebody_says_so(text: str) -> None:
    cluster = Cluster(text)
    for check in (True, False):
        result = apply(cluster, check=check, hosts=HOSTS)
        assert not result["changed"] and "was changed by somebody else" in result["warnings"][0]
    assert cluster.text == text and cluster.record is None
    assert apply(cluster, check=True, replace=True, hosts=HOSTS)["changed"] and cluster.text == text
    result = apply(cluster, replace=True, hosts=HOSTS)
    assert result["changed"] and "a copy is in the ConfigMap slipway-coredns-kept" in result["warnings"][0]
    assert cluster.maps["slipway-coredns-kept"]["data"] == {"Corefile": text}
    # Again, beside the first copy, and once more the same text.
    for number, other in ((2, "another"), (2, text)):
        cluster.maps["coredns"]["data"]["Corefile"] = other
        assert apply(cluster, replace=True, hosts=HOSTS)["changed"]
        assert len(cluster.maps["slipway-coredns-kept"]["data"]) == number
    assert cluster.maps["slipway-coredns-kept"]["data"]["Corefile.2"] == "another"


def test_one_that_somebody_has_changed_is_theirs_when_nothing_is_asked_for_any_more() -> None:
    cluster = Cluster()
    apply(cluster, hosts=HOSTS)
    cluster.maps["coredns"]["data"]["Corefile"] += "# mine\n"
    result = apply(cluster, hosts=HOSTS)
    assert not result["changed"] and result["warnings"] and cluster.record
    assert "it is yours now" in apply(cluster)["warnings"][0] and cluster.record is None
    assert cluster.text.endswith("# mine\n")


def test_replicas_count_though_the_corefile_is_somebody_elses() -> None:
    cluster = Cluster("somebody's")
    result = apply(cluster, hosts=HOSTS, replicas=(3, 0))
    assert result["msg"] == "3 replicas instead of 2" and cluster.record == {"replicas": "3"}


def test_what_kubeadm_has_migrated_is_still_ours() -> None:
    cluster = Cluster()
    apply(cluster, hosts=HOSTS)
    ours = cluster.text
    # An upgrade writes the ConfigMap and the Deployment anew.
    cluster.maps["coredns"] = config_map("coredns", {"Corefile": "migrated", "Corefile-backup": ours})
    del cluster.deployment["spec"]["template"]["metadata"]["annotations"]  # type: ignore[index]
    assert apply(cluster, hosts=HOSTS)["changed"] and cluster.text == ours
    # What is kept there does not make somebody's Corefile ours.
    cluster.maps["coredns"]["data"]["Corefile"] = "somebody's"
    assert apply(cluster, hosts=HOSTS)["warnings"] and cluster.text == "somebody's"


@pytest.mark.parametrize(
    "verb",
    ["apply", "delete", "create", "get deployment/coredns", "patch configmap/coredns", "patch deployment/coredns"],
)
@pytest.mark.parametrize("then", [HOSTS, [], ["192.0.2.2 b.example.com"]])
def test_a_run_that_is_killed_is_finished_by_the_next(verb: str, then: t.Sequence[str]) -> None:
    cluster = Cluster()
    cluster.killed_at = verb
    with pytest.raises(RuntimeError):
        apply(cluster, hosts=HOSTS)
    cluster.killed_at = ""
    result = apply(cluster, hosts=then)
    assert not result["warnings"] and cluster.trial is None
    assert cluster.text == corefile.render(BASE, corefile.settings_of({"hosts": then}))
    assert cluster.rolled[-1:] in ([cluster.text], []) and bool(cluster.rolled) >= bool(then)
    assert cluster.record == ({"Corefile": cluster.text} if then else None)
    assert not apply(cluster, hosts=then)["changed"]


def test_a_bad_one_after_a_run_that_was_killed_leads_back_to_the_last_that_served() -> None:
    cluster = Cluster()
    cluster.killed_at = "get deployment/coredns"
    with pytest.raises(RuntimeError):
        apply(cluster, hosts=HOSTS)
    cluster.killed_at = ""
    assert cluster.text != BASE
    cluster.bad_later = {"192.0.2.1"}
    with pytest.raises(SlipwayError, match="put back, and serves"):
        cluster.pods = [cluster._pod("old", True), cluster._pod("new", False, coredns.digest(cluster.text), 2)]
        apply(cluster, hosts=HOSTS)
    assert cluster.text == BASE and cluster.rolled[-1] == BASE


@pytest.mark.parametrize(
    ("fixed", "nodes_per_replica", "nodes", "expected"),
    [
        (0, 0, 9, 0),
        (5, 0, 9, 5),
        (0, 16, 3, 2),
        (0, 16, 32, 2),
        (0, 16, 33, 3),
        (4, 16, 33, 4),
        (1, 4, 3, 1),
        (1, 4, 5, 2),
    ],
)
def test_how_many_replicas_there_shall_be(fixed: int, nodes_per_replica: int, nodes: int, expected: int) -> None:
    assert coredns.wanted_replicas(fixed, nodes_per_replica, nodes) == expected


def test_replicas_follow_the_nodes() -> None:
    cluster = Cluster("somebody's")
    cluster.nodes = 7
    result = apply(cluster, replicas=(0, 2))
    assert result["msg"] == "4 replicas instead of 2" and not result["warnings"] and not cluster.rolled
    assert not apply(cluster, replicas=(0, 2))["changed"]
    cluster.nodes = 2
    assert apply(cluster, replicas=(0, 2))["msg"] == "2 replicas instead of 4"
    # Somebody else has set another number since: it stays when nothing is asked for any more.
    cluster.deployment["spec"]["replicas"] = 6  # type: ignore[index]
    assert not apply(cluster)["changed"] and cluster.record is None
    assert cluster.deployment["spec"]["replicas"] == 6  # type: ignore[index]


def test_a_machine_without_kubectl_and_a_kubeadm_that_prints_something_else() -> None:
    cluster = Cluster()
    cluster.manifest = ["Deployment"]
    with pytest.raises(SlipwayError, match="has no 'ConfigMap': nothing was changed"):
        apply(cluster, hosts=HOSTS)
    cluster.lacking = "kubectl is not installed on this host."
    assert apply(cluster, check=True, hosts=HOSTS)["changed"] and not apply(cluster, check=True)["changed"]
    with pytest.raises(SlipwayError, match="kubectl is not installed"):
        apply(cluster, hosts=HOSTS)


def test_what_kubeadm_is_told() -> None:
    init, cluster = (json.loads(text) for text in coredns._asked("v1.37.1", "example.org").split("\n---\n"))
    assert init["nodeRegistration"]["criSocket"]  # else it looks for one, and refuses two
    assert (cluster["kubernetesVersion"], cluster["networking"]) == ("v1.37.1", {"dnsDomain": "example.org"})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"upstreams": ["127.0.0.1"]}, "upstreams has 127.0.0.1, which in a pod"),
        ({"replicas": -1}, "replicas is -1"),
        ({"nodes_per_replica": -1}, "nodes_per_replica is -1"),
        ({"timeout": 0}, "timeout is 0"),
    ],
)
def test_options_that_are_refused(run_module: ModuleRunner, options: t.Dict[str, t.Any], said: str) -> None:
    result = run_module(module.main, options)
    assert result["failed"] and said in result["msg"] and "Nothing was" in result["msg"]


def test_the_module_on_a_bare_machine(run_module: ModuleRunner) -> None:
    options = {
        "kubeconfig": "/nowhere",
        "hosts": HOSTS,
        "zones": [{"zones": ["a.example"], "upstreams": ["192.0.2.1"]}],
    }
    result = run_module(module.main, options, check=True)
    assert result["changed"] and not result["failed"]


def test_warnings_of_the_module(run_module: ModuleRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.CoreDns, "run", lambda self: {"changed": True, "msg": "x", "warnings": ["mind this"]})
    result = run_module(module.main, {"replicas": 3})
    assert result["changed"] and "mind this" in json.dumps(result["warnings"])


def test_a_trial_that_somebody_refuses_changes_nothing() -> None:
    cluster = Cluster()
    apply(cluster, hosts=HOSTS)
    before = dict(cluster.record or {})
    cluster.refused = True
    with pytest.raises(SlipwayError, match="a policy denies it"):
        apply(cluster, hosts=["192.0.2.2 b.example.com"])
    assert cluster.record == before and not apply(cluster, hosts=HOSTS)["changed"]


def test_pods_that_somebody_does_not_let_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster()

    def rolls() -> None:
        cluster.rolled.append(cluster.text)
        refused = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "denied"}
        old = cluster.text == BASE
        status: Object = {"observedGeneration": 1, "updatedReplicas": 2 if old else 0, "availableReplicas": 2}
        assert cluster.deployment
        cluster.deployment["status"] = {**status, "conditions": [] if old else [refused]}

    monkeypatch.setattr(cluster, "_rolls", rolls)
    with pytest.raises(
        SlipwayError, match=r"0 of 2 replicas updated \(FailedCreate: denied\)\. The one before was put"
    ):
        apply(cluster, hosts=HOSTS)
    assert cluster.rolled[-1] == cluster.text == BASE
