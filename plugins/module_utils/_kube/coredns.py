# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CoreDNS as kubeadm installs it: give it another Corefile without an outage, and as many replicas as it shall have.

A Corefile with an error ends each pod that reads it. So a new one is tried first in a pod of its own, which no Service
leads to; then it is written and rolled out, and what was there before is put back when no pod comes up with it.

What we have written is remembered in a ConfigMap of our own. By that a Corefile is told from one that somebody else has
changed, and what a run that was killed has left from what has come to its end. kubeadm writes the ConfigMap of CoreDNS
anew in an upgrade, so nothing is remembered there.

Private to this collection.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _dns, _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils import _predicates as predicates
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import corefile, spread
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kube_objects as kube
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.cluster_memory import DNS, DNS_KEPT
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl

NAMESPACE = "kube-system"
NAME = "coredns"
SELECTOR = "k8s-app=kube-dns"
#: What is tried before it is written.
TRIAL = "slipway-coredns-trial"
TRIAL_LABEL = "slipway.io/trial"
#: Of pods: the hash of the Corefile that they were started for.
ANNOTATION = "slipway.io/corefile"
#: What is remembered: the Corefile that we have written or are about to write, the one that was there before until the
#: new one is rolled out, and the number of replicas that we have set.
COREFILE = "Corefile"
BEFORE = "Corefile.before"
REPLICAS = "replicas"
#: What kubeadm keeps in the ConfigMap of the Corefile that it has migrated in an upgrade.
_MIGRATED = "Corefile-backup"
#: Replicas at least where they follow the nodes: those of kubeadm.
LEAST = 2
#: Seconds after which a pod that tries a Corefile ends by itself, when the run that has made it was killed.
_TRIAL_ENDS = 900
#: How often a container may have ended until it is said that it does not come up.
_RESTARTS = 2
#: Lines of its log that are shown.
_LINES = 3


@dataclasses.dataclass(frozen=True)
class Given:
    """CoreDNS as kubeadm would install it."""

    corefile: str
    replicas: int


def given(kubectl: Kubectl, runner: Runner, domain: str) -> Given:
    """What the installed kubeadm would install; it prints it, and asks nobody.

    :raises SlipwayError: when it prints something else.
    """
    kubeadm = runner.path("kubeadm")
    version = runner.run([kubeadm, "version", "--output=short"]).stdout.strip()
    argv = [kubeadm, "init", "phase", "addon", "coredns", "--print-manifest", "--config=/dev/stdin"]
    text = runner.run(argv, stdin=_asked(version, domain)).stdout
    printed = kubectl.run("patch", "--local", "--type=merge", "--patch={}", "--output=json", "--filename=-", stdin=text)
    found = {item["kind"]: item for item in kube.expand(kube.documents(printed.stdout), "kubeadm")}
    try:
        return Given(found["ConfigMap"]["data"][COREFILE], found["Deployment"]["spec"]["replicas"])
    except KeyError as error:
        raise SlipwayError(f"What kubeadm prints of CoreDNS has no {error}: nothing was changed.") from None


def _asked(version: str, domain: str) -> str:
    """The documents for kubeadm: with what it would look for on this machine otherwise, or on the internet."""
    api = "kubeadm.k8s.io/v1beta4"
    machine = {"name": "slipway", "criSocket": "unix:///run/none.sock"}
    documents: t.Sequence[kube.Object] = (
        {"apiVersion": api, "kind": "InitConfiguration", "nodeRegistration": machine},
        {
            "apiVersion": api,
            "kind": "ClusterConfiguration",
            "kubernetesVersion": version,
            "networking": {"dnsDomain": domain},
        },
    )
    return "\n---\n".join(json.dumps(document) for document in documents)


def wanted_replicas(fixed: int, nodes_per_replica: int, nodes: int) -> int:
    """How many replicas there shall be; 0 when nobody has said."""
    if not nodes_per_replica:
        return fixed
    return max(fixed or LEAST, -(-nodes // nodes_per_replica))


def digest(text: str) -> str:
    """What tells a Corefile from others, in an annotation."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def trial_pod(template: kube.Object) -> kube.Object:
    """A pod as those of the Deployment, but with the Corefile that is tried, and in no Service."""
    spec = dict(template["spec"])
    for key in ("priorityClassName", "priority"):
        spec.pop(key, None)  # no other pod has to go for this one
    containers = [dict(container) for container in spec["containers"]]
    for container in containers:
        if container.get("readinessProbe"):
            container["readinessProbe"] = {**container["readinessProbe"], "periodSeconds": 1}
    volumes = [
        {**volume, "configMap": {**volume["configMap"], "name": TRIAL}}
        if (volume.get("configMap") or {}).get("name") == NAME
        else volume
        for volume in spec.get("volumes") or []
    ]
    spec.update(containers=containers, volumes=volumes, restartPolicy="Never", activeDeadlineSeconds=_TRIAL_ENDS)
    metadata = {"name": TRIAL, "namespace": NAMESPACE, "labels": {TRIAL_LABEL: NAME}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


class Pods:
    """CoreDNS' pods: those that serve, and one that tries a Corefile."""

    def __init__(self, kubectl: Kubectl, domain: str, timeout: int) -> None:
        self._kubectl = kubectl
        self._space = f"--namespace={NAMESPACE}"
        self._name = f"kubernetes.default.svc.{domain}"
        self._timeout = timeout
        #: Whether pods are asked for a name: not where no packet gets from here to those that serve already.
        self._asks = False

    def serving(self, deployment: spread.Object) -> t.List[spread.Object]:
        """Those that serve now."""
        return spread.ready_pods(deployment, self._all())

    def look_whether_they_are_reached(self, pods: t.Sequence[spread.Object]) -> None:
        """Ask those that serve, to know whether others can be asked."""
        self._asks = any(not self._problem(pod) for pod in pods)

    def _all(self) -> t.List[kube.Object]:
        return self._kubectl.get("pods", self._space, f"--selector={SELECTOR}")["items"]

    def _problem(self, pod: spread.Object) -> str:
        """Why a pod that is ready does not answer."""
        address = pod.get("status", {}).get("podIP")
        return _dns.problem(address, self._name) if address else "it has no address"

    def try_out(self, template: kube.Object, text: str) -> str:
        """Why no pod comes up with a Corefile; empty when one does, and answers."""
        metadata = {"name": TRIAL, "namespace": NAMESPACE, "labels": {TRIAL_LABEL: NAME}}
        config: kube.Object = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {COREFILE: text}}
        try:
            self._kubectl.run("create", "--filename=-", stdin=kube.as_list([config, trial_pod(template)]))
            return self._until_ready()
        finally:
            self.remove_trial()

    def remove_trial(self) -> None:
        """Take away what tries a Corefile, also what a run that was killed has left."""
        self._kubectl.run(
            "delete", f"pod/{TRIAL}", f"configmap/{TRIAL}", self._space, "--ignore-not-found", "--grace-period=1"
        )

    def _until_ready(self) -> str:
        wait = _waiting.Wait(self._timeout, 1)
        while True:
            pod = self._kubectl.get(f"pod/{TRIAL}", self._space)
            problem = predicates.pod_problem(pod)
            if not problem:
                problem = self._problem(pod) if self._asks else ""
                if not problem:
                    return ""
            has_ended = pod.get("status", {}).get("phase") in ("Failed", "Succeeded")
            if has_ended or wait.is_over:
                return self._log(TRIAL) or problem
            wait.sleep()

    def _log(self, name: str) -> str:
        """The last that a pod has said."""
        result = self._kubectl.run("logs", f"pod/{name}", self._space, f"--tail={_LINES}", check=False)
        return " ".join(result.stdout.split()) if result.rc == 0 else ""

    def rolled_out(self, mark: t.Optional[str]) -> t.Tuple[str, str]:
        """Wait until the newest pods serve.

        :param mark: what their annotation says; ``None`` where they have none.
        :returns: why none comes up, and what is not as it shall be though some do.
        """
        wait = _waiting.Wait(self._timeout, 1)
        while True:
            deployment = spread.read_deployment(self._kubectl, f"{NAMESPACE}/{NAME}")
            if deployment is None:
                return "the Deployment is gone", ""
            missing = predicates.rollout(deployment)
            newest = [pod for pod in self._all() if _annotation(pod) == mark]
            ready = spread.ready_pods(deployment, newest)
            problems = [self._problem(pod) for pod in ready] if self._asks else []
            if ready and not missing and not any(problems):
                return "", ""
            ended = [pod for pod in newest if _restarts(pod) >= _RESTARTS]
            if ended or wait.is_over:
                if any(not problem for problem in problems) or (ready and not self._asks):
                    return "", "; ".join(missing)
                return self._why(ended or newest) or next(
                    filter(None, [*problems, *missing]), "it is not known why"
                ), ""
            wait.sleep()

    def _why(self, pods: t.Sequence[spread.Object]) -> str:
        """What pods that are not ready have said last, or what is known of one."""
        for pod in pods:
            problem = predicates.pod_problem(pod)
            if problem:
                return self._log(pod["metadata"]["name"]) or problem
        return ""


def _annotation(item: spread.Object) -> t.Optional[str]:
    return (item["metadata"].get("annotations") or {}).get(ANNOTATION)


def _restarts(pod: spread.Object) -> int:
    return max(
        (each.get("restartCount", 0) for each in pod.get("status", {}).get("containerStatuses") or []), default=0
    )


@dataclasses.dataclass(frozen=True)
class State:
    """CoreDNS as it is in the cluster.

    :param record: what is remembered.
    """

    deployment: kube.Object
    config_map: kube.Object
    record: t.Mapping[str, str]

    @property
    def text(self) -> str:
        """Its Corefile."""
        return (self.config_map.get("data") or {}).get(COREFILE, "")

    @property
    def replicas(self) -> int:
        """How many there shall be."""
        return self.deployment["spec"].get("replicas", 1)

    def is_ours(self, default: str) -> bool:
        """Whether the Corefile is kubeadm's, or ours, or ours as kubeadm has migrated it: nobody else's."""
        migrated = (self.config_map.get("data") or {}).get(_MIGRATED)
        known = [self.record[key] for key in (COREFILE, BEFORE) if key in self.record]
        return (
            corefile.same(self.text, default)
            or self.text in known
            or (migrated is not None and migrated == self.record.get(COREFILE))
        )


class CoreDns:
    """Gives CoreDNS its Corefile and its replicas.

    :param asked: replicas and nodes for each of them; 0 when nobody has said.
    :param replace: whether a Corefile of somebody else is replaced.
    :param timeout: seconds that a pod may take until it serves.
    """

    def __init__(
        self,
        kubectl: Kubectl,
        runner: Runner,
        settings: corefile.Settings,
        asked: t.Tuple[int, int] = (0, 0),
        replace: bool = False,
        timeout: int = 180,
        check_mode: bool = False,
    ) -> None:
        self._kubectl = kubectl
        self._runner = runner
        self._settings = settings
        self._asked = asked
        self._replace = replace
        self._check_mode = check_mode
        self._pods = Pods(kubectl, settings.domain, timeout)
        self._record: t.Dict[str, str] = {}
        self._remembered: t.Mapping[str, str] = {}
        self._done: t.List[str] = []
        self._warnings: t.List[str] = []
        self._diff: t.List[t.Dict[str, str]] = []

    def run(self) -> t.Dict[str, t.Any]:
        """Do it, or in check mode say what would be done."""
        is_asked = self._settings.given or any(self._asked)
        lacking = self._kubectl.missing()
        if lacking:
            if not self._check_mode:
                raise SlipwayError(lacking)
            return {"changed": is_asked, "msg": lacking, "diff": []}
        state = self._look()
        self._record, self._remembered = dict(state.record), state.record
        if is_asked or self._record:
            default = given(self._kubectl, self._runner, self._settings.domain)
            self._set_corefile(state, default)
            self._set_replicas(state, default)
            self._remember()
        return {
            "changed": bool(self._done),
            "msg": "; ".join(self._done) or "nothing to do",
            "diff": self._diff,
            "warnings": self._warnings,
        }

    def _look(self) -> State:
        about = {"namespace": NAMESPACE, "name": NAME}
        asked = [
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": about},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about},
            DNS.manifest,
        ]
        found, result = kube.read(self._kubectl, asked)
        if result.rc:
            raise SlipwayError(f"CoreDNS cannot be looked at: {kube.complaint(result)}")
        by_name = {(item["kind"], item["metadata"]["name"]): item for item in found}
        deployment, config = by_name.get(("Deployment", NAME)), by_name.get(("ConfigMap", NAME))
        if deployment is None or config is None:
            raise SlipwayError(
                "The cluster has no CoreDNS of kubeadm's: kube-system has no Deployment and ConfigMap coredns. Nothing"
                " was changed."
            )
        memory = by_name.get(("ConfigMap", DNS.name)) or {}
        return State(deployment, config, memory.get("data") or {})

    # The Corefile

    def _set_corefile(self, state: State, default: Given) -> None:
        if not self._settings.given and COREFILE not in self._record:
            return
        text = corefile.render(default.corefile, self._settings)
        if not state.is_ours(default.corefile):
            if not self._replace:
                self._leave()
                return
            self._keep(state.text)
        if state.text != text or BEFORE in self._record:
            self._show(COREFILE, state.text, text)
            if not self._check_mode:
                self._change(state, text)
            self._done.append("the Corefile was changed")
        if self._settings.given:
            self._record[COREFILE] = text
        else:
            self._record.pop(COREFILE, None)

    def _leave(self) -> None:
        self._warnings.append(
            "The Corefile of CoreDNS (kubectl get configmap --namespace kube-system coredns) was changed by somebody"
            " else, and it is left as it is:"
            + (" no variable coredns_... but the replicas counts." if self._settings.given else " it is yours now.")
            + " Write what it has into the variables and say -e coredns_replace=true once: then it is replaced, and a"
            f" copy is kept in the ConfigMap {DNS_KEPT.name}."
        )
        if not self._settings.given:
            self._record.pop(COREFILE, None)
            self._record.pop(BEFORE, None)

    def _keep(self, text: str) -> None:
        """Keep a copy of a Corefile of somebody else's."""
        kept = DNS_KEPT.read(self._kubectl)
        name = COREFILE if not kept else f"{COREFILE}.{len(kept) + 1}"
        if text not in kept.values() and not self._check_mode:
            DNS_KEPT.write(self._kubectl, {**kept, name: text})
        self._warnings.append(
            f"The Corefile of CoreDNS was somebody else's and is replaced; a copy is in the ConfigMap {DNS_KEPT.name}."
        )

    def _change(self, state: State, text: str) -> None:
        """Try it out, write it and roll it out, or put back what was there.

        :raises SlipwayError: when no pod comes up with it.
        """
        serving = self._pods.serving(state.deployment)
        self._pods.look_whether_they_are_reached(serving)
        template = state.deployment["spec"]["template"]
        before, record = self._record.get(BEFORE, state.text), dict(self._record)
        # First of all, so that the next run finds what this one leaves when it is killed.
        self._record.update({COREFILE: text, BEFORE: before})
        self._remember()
        try:
            self._pods.remove_trial()
            problem = self._pods.try_out(template, text) if serving and state.text != text else ""
            if problem:
                raise SlipwayError(
                    "CoreDNS does not come up with the Corefile that the variables coredns_... make. It was tried in a"
                    f" pod of its own, and nothing was changed. It says: {problem}"
                )
        except SlipwayError:
            self._record = record
            self._remember()
            raise
        mark = digest(text) if self._settings.given else None
        self._write(text, state.config_map["metadata"]["resourceVersion"])
        self._roll_out(mark)
        if serving:
            problem, rest = self._pods.rolled_out(mark)
            if problem:
                old = _annotation(template)
                self._put_back(before, digest(before) if old == mark else old, problem)
            if rest:
                self._warnings.append(f"CoreDNS serves with the new Corefile, but: {rest}.")
        # Else nothing served before: there is nothing to put back, and who waits for the cluster sees what comes of it.
        del self._record[BEFORE]

    def _put_back(self, text: str, mark: t.Optional[str], problem: str) -> None:
        """:raises SlipwayError: always."""
        self._write(text)
        self._roll_out(mark)
        other, _rest = self._pods.rolled_out(mark)
        del self._record[BEFORE]
        self._record[COREFILE] = text
        self._remember()
        raise SlipwayError(
            f"CoreDNS did not come up with the new Corefile: {problem}. The one before was put back, "
            + (f"but does not come up either: {other}." if other else "and serves.")
        )

    def _write(self, text: str, resource_version: str = "") -> None:
        """:param resource_version: of the ConfigMap that was read: if somebody has changed it since, this fails."""
        # What kubeadm has kept there tells a Corefile that it has migrated; this is none.
        patch: t.Dict[str, t.Any] = {"data": {COREFILE: text, _MIGRATED: None}}
        if resource_version:
            patch["metadata"] = {"resourceVersion": resource_version}
        self._patch("configmap", patch)

    def _roll_out(self, mark: t.Optional[str]) -> None:
        self._patch("deployment", {"spec": {"template": {"metadata": {"annotations": {ANNOTATION: mark}}}}})

    def _patch(self, kind: str, patch: t.Mapping[str, t.Any]) -> None:
        argv = ("patch", f"{kind}/{NAME}", f"--namespace={NAMESPACE}", "--type=merge", "--field-manager=slipway")
        self._kubectl.run(*argv, "--patch-file=/dev/stdin", stdin=json.dumps(patch))

    # Replicas

    def _set_replicas(self, state: State, default: Given) -> None:
        fixed, nodes_per_replica = self._asked
        names = self._kubectl.run("get", "nodes", "--output=name").stdout.split() if nodes_per_replica else []
        wanted = wanted_replicas(fixed, nodes_per_replica, len(names))
        if wanted:
            self._record[REPLICAS] = str(wanted)
        elif self._record.pop(REPLICAS, "") == str(state.replicas):
            wanted = default.replicas
        else:
            return  # nobody has said, or somebody else has set another number since
        if wanted != state.replicas:
            self._show("replicas", f"{state.replicas}\n", f"{wanted}\n")
            if not self._check_mode:
                self._patch("deployment", {"spec": {"replicas": wanted}})
            self._done.append(f"{wanted} replicas instead of {state.replicas}")

    # Memory

    def _show(self, what: str, before: str, after: str) -> None:
        self._diff.append(
            {"before_header": f"CoreDNS: {what}", "after_header": f"CoreDNS: {what}", "before": before, "after": after}
        )

    def _remember(self) -> None:
        """Remember what is in the record, if it is not remembered; nothing, when there is nothing."""
        if self._check_mode or self._remembered == self._record:
            return
        self._remembered = dict(self._record)
        if self._record:
            DNS.write(self._kubectl, self._record)
        else:
            self._kubectl.run("delete", f"configmap/{DNS.name}", f"--namespace={NAMESPACE}", "--ignore-not-found")
