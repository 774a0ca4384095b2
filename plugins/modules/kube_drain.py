#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_drain
short_description: Cordon, drain and uncordon a Kubernetes node
version_added: 0.1.0
description:
  - Keeps new pods away from a node, evicts those that are there, and lets pods come again.
  - Pods are evicted through the API, so that PodDisruptionBudgets are respected. Pods of DaemonSets and static pods
    stay.
  - A node that was cordoned by somebody else stays cordoned when this module uncordons. An annotation of the node,
    C(slipway.io/cordoned), tells that it was this module.
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.kubectl
attributes:
  check_mode:
    support: full
    details:
      - The pods that would be evicted are found by a dry run on the API server, and so are the budgets that would not
        allow it at this moment.
      - Where C(kubectl) or the kubeconfig is absent, it reports a change.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description:
      - Name of the Node object.
    type: str
    required: true
  state:
    description:
      - With V(cordoned) no new pods are put on the node.
      - With V(drained) it is cordoned, and its pods are evicted and waited for until they have gone.
      - With V(uncordoned) pods may come again, when it was this module that had cordoned the node.
    type: str
    choices: [cordoned, drained, uncordoned]
    default: drained
  only_ours:
    description:
      - Whether O(state=uncordoned) leaves a node alone that somebody else has cordoned.
    type: bool
    default: true
  timeout:
    description:
      - Seconds until a drain is given up. The node stays cordoned then, and the next run goes on.
    type: int
    default: 300
  delete_emptydir_data:
    description:
      - Whether pods are evicted whose C(emptyDir) volumes are lost by that. Otherwise they are an error, before
        anything is changed.
    type: bool
    default: false
  force:
    description:
      - Whether pods are evicted that no controller will make anew. Otherwise they are an error, before anything is
        changed.
    type: bool
    default: false
  disable_eviction:
    description:
      - Whether pods are deleted instead of evicted. B(This ignores PodDisruptionBudgets).
    type: bool
    default: false
  grace_period:
    description:
      - Seconds that pods have for their end; what each pod asks for when it is V(-1).
    type: int
    default: -1
  skip_wait_for_delete_timeout:
    description:
      - Pods that should have gone this many seconds ago are not waited for; V(0) waits for all. For nodes whose kubelet
        is dead, so that nobody ends their pods.
    type: int
    default: 0
author:
  - slipway.kubernetes contributors (@slipway)
"""

EXAMPLES = r"""
- name: Empty a node before its kernel is exchanged
  slipway.kubernetes.kube_drain:
    name: "{{ example_node_name }}"
    delete_emptydir_data: true
    timeout: 600

- name: Let pods come again
  slipway.kubernetes.kube_drain:
    name: "{{ example_node_name }}"
    state: uncordoned
"""

RETURN = r"""
msg:
  description: What was done.
  type: str
  returned: success
  sample: "worker1: cordoned, 3 pods evicted"
pods:
  description: The pods that were evicted, or in check mode would be, as NAMESPACE/NAME.
  type: list
  elements: str
  returned: success
  sample: [default/web-7d4b9c6f5-x2x7k]
blocked:
  description: In check mode, the pods that a budget does not let go at this moment, with the budget.
  type: list
  elements: str
  returned: success
  sample: ["default/web-7d4b9c6f5-x2x7k: budget default/web (2 of 2 pods must stay healthy, 2 are)"]
cordoned:
  description: Whether the node is cordoned afterwards.
  type: bool
  returned: success
cordoned_by_us:
  description: Whether it was this module that cordoned it.
  type: bool
  returned: success
"""

import json
import re
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _predicates as predicates
from ansible_collections.slipway.kubernetes.plugins.module_utils import _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kube_objects as kube
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import KUBECTL_ARGUMENTS, Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

ANNOTATION = "slipway.io/cordoned"
#: A dry run asks the budgets; kubectl would go on asking until its timeout.
DRY_RUN_SECONDS = 4

_EVICTED = re.compile(r"^(?:evicting|deleting) pod (\S+/\S+)", re.MULTILINE)
# In the end only: what was refused at first may have gone a moment later.
_BLOCKED = re.compile(r'^error when evicting pods?/"([^"]+)" -n "([^"]+)": global timeout reached', re.MULTILINE)
# kubectl gives up at once when it cannot ask, which is no matter of the pod.
_HANGING = re.compile(
    r'^error when waiting for pod "([^"]+)" in namespace "([^"]+)" to terminate:'
    r" (?:context deadline exceeded|global timeout reached.*)$",
    re.MULTILINE,
)
_UNMANAGED = re.compile(r"^cannot delete .*\(use --force to override\): (.*)$", re.MULTILINE)
_LOCAL_DATA = re.compile(r"^cannot delete .*\(use --delete-emptydir-data to override\): (.*)$", re.MULTILINE)


def budgets_of(pod: kube.Object, budgets: t.Iterable[kube.Object]) -> t.List[str]:
    """The budgets that a pod counts for, with what they ask."""
    found = []
    for budget in budgets:
        if predicates.counts_for(pod, budget):
            status = budget.get("status", {})
            needed, expected = status.get("desiredHealthy", 0), status.get("expectedPods", 0)
            asks = f"{needed} of {expected} pods must stay healthy, {status.get('currentHealthy', 0)} are"
            found.append(f"budget {kube.reference(budget).namespace}/{budget['metadata']['name']} ({asks})")
    return found


def evicted(text: str) -> t.List[str]:
    """The pods that kubectl says to evict or delete, as NAMESPACE/NAME."""
    return sorted(set(_EVICTED.findall(text)))


def blocked(text: str) -> t.List[str]:
    """The pods that a budget did not let go, as NAMESPACE/NAME."""
    return sorted({f"{namespace}/{name}" for name, namespace in _BLOCKED.findall(text)})


def hanging(text: str) -> t.List[str]:
    """The pods that were told to go and did not end in time, as NAMESPACE/NAME."""
    return sorted({f"{namespace}/{name}" for name, namespace in _HANGING.findall(text)})


def refusal(stderr: str) -> str:
    """Which pods kubectl does not evict unless it is told to, and how to tell; empty for another failure."""
    sentences = []
    for pattern, what, option in (
        (_UNMANAGED, "no controller would make these pods anew", "force"),
        (_LOCAL_DATA, "these pods would lose what is in their emptyDir volumes", "delete_emptydir_data"),
    ):
        names = sorted({name for match in pattern.findall(stderr) for name in match.split(", ")})
        if names:
            sentences.append(f"{what}: {', '.join(names)} (`{option}: true` evicts them all the same)")
    return "; ".join(sentences)


class KubeDrain:
    """Cordons, drains or uncordons one node."""

    def __init__(self, params: t.Mapping[str, t.Any], kubectl: Kubectl, check_mode: bool = False) -> None:
        """:raises SlipwayError: when a number makes no sense."""
        for option, least in (("timeout", 1), ("grace_period", -1), ("skip_wait_for_delete_timeout", 0)):
            if params[option] < least:
                raise SlipwayError(f"{option} must be {least} or more.")
        self._params = params
        self._name: str = params["name"]
        self._kubectl = kubectl
        self._check_mode = check_mode

    def drain_argv(self, seconds: int, dry_run: str = "") -> t.List[str]:
        """The arguments of kubectl.

        :param dry_run: ``client`` only lists, ``server`` asks the budgets, too.
        """
        params = self._params
        argv = ["drain", self._name, "--ignore-daemonsets", f"--timeout={seconds}s"]
        for option in ("delete_emptydir_data", "force", "disable_eviction"):
            if params[option]:
                argv.append("--" + option.replace("_", "-"))
        if params["grace_period"] >= 0:
            argv.append(f"--grace-period={params['grace_period']}")
        if params["skip_wait_for_delete_timeout"]:
            argv.append(f"--skip-wait-for-delete-timeout={params['skip_wait_for_delete_timeout']}")
        return [*argv, f"--dry-run={dry_run}"] if dry_run else argv

    def patch_argv(self, cordoned: bool) -> t.List[str]:
        """The arguments of kubectl that (un)cordon and say in the same moment that it was us."""
        mark = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()) if cordoned else None
        patch = {"metadata": {"annotations": {ANNOTATION: mark}}, "spec": {"unschedulable": True if cordoned else None}}
        argv = ["patch", "node", self._name, "--type=merge", f"--patch={json.dumps(patch)}", "--output=name"]
        return [*argv, "--dry-run=server"] if self._check_mode else argv

    def run(self) -> t.Dict[str, t.Any]:
        """Do it, or in check mode say what would be done."""
        lacking = self._kubectl.missing()
        if lacking:
            if not self._check_mode:
                raise SlipwayError(lacking)
            return self._result(True, f"would be {self._params['state']} ({lacking})", False, True, [], [])
        node = self._node()
        before = bool(node["spec"].get("unschedulable"))
        ours = ANNOTATION in (node["metadata"].get("annotations") or {})
        if self._params["state"] == "uncordoned":
            return self._uncordon(before, ours)
        pods = self._evictable() if self._params["state"] == "drained" else []
        if not before:
            self._patch(True)
        stuck: t.List[str] = []
        if pods:
            pods, stuck = self._would_evict(pods) if self._check_mode else (self._drain(pods), [])
        done = [] if before else ["cordoned"]
        if pods:
            done.append(f"{len(pods)} pods evicted")
        said = ", ".join(done) or ("nothing to evict" if self._params["state"] == "drained" else "cordoned already")
        if stuck:
            said += f"; not allowed at this moment: {'; '.join(stuck)}"
        return self._result(bool(done), said, before, True, pods, stuck, ours or not before)

    def _uncordon(self, before: bool, ours: bool) -> t.Dict[str, t.Any]:
        if before and not ours and self._params["only_ours"]:
            return self._result(False, "left alone, somebody else has cordoned it", True, True, [], [])
        if before or ours:
            self._patch(False)
        said = "uncordoned" if before else "was not cordoned"
        return self._result(before or ours, said, before, False, [], [])

    def _node(self) -> kube.Object:
        manifest = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self._name}}
        items, result = kube.read(self._kubectl, [manifest])
        if result.rc != 0:
            raise SlipwayError(f"Cannot read the node {self._name}: {kube.complaint(result)}")
        if not items:
            raise SlipwayError(f"The cluster has no node {self._name}.")
        return items[0]

    def _patch(self, cordoned: bool) -> None:
        result = self._kubectl.run(*self.patch_argv(cordoned), check=False)
        if result.rc != 0:
            verb = "cordon" if cordoned else "uncordon"
            raise SlipwayError(f"Cannot {verb} the node {self._name}: {kube.complaint(result)}")

    def _evictable(self) -> t.List[str]:
        """The pods that have to go.

        :raises SlipwayError: when some may not go unless the user says so; nothing has been changed then.
        """
        result = self._kubectl.run(*self.drain_argv(self._params["timeout"], "client"), check=False)
        if result.rc != 0:
            why = refusal(result.stderr)
            if why:
                raise SlipwayError(f"The node {self._name} is not drained, nothing was changed: {why}.")
            raise SlipwayError(f"Cannot list the pods of the node {self._name}: {kube.complaint(result)}")
        return evicted(result.stdout)

    def _would_evict(self, pods: t.List[str]) -> t.Tuple[t.List[str], t.List[str]]:
        result = self._kubectl.run(*self.drain_argv(DRY_RUN_SECONDS, "server"), check=False)
        return pods, self._why_blocked(blocked(result.stderr))

    def _drain(self, pods: t.List[str]) -> t.List[str]:
        """Evict; whatever passes by itself (an API server that moves) is tried again until the timeout.

        :raises SlipwayError: when it cannot be done in time.
        """
        wait = _waiting.Wait(self._params["timeout"], pause=1)
        gone: t.Set[str] = set()
        while True:
            result = self._kubectl.run(*self.drain_argv(max(1, round(wait.left))), check=False)
            gone.update(evicted(result.stdout))
            if result.rc == 0:
                return sorted(gone or set(pods))
            in_vain = blocked(result.stderr) or hanging(result.stderr) or not kube.is_transient(result.stderr)
            if in_vain or wait.is_over:
                raise SlipwayError(self._failure(result), cmd=result.argv, rc=result.rc, stderr=result.stderr)
            wait.sleep()

    def _failure(self, result: CommandResult) -> str:
        stuck = self._why_blocked(blocked(result.stderr))
        head = f"The node {self._name} is not drained after {self._params['timeout']} seconds"
        tail = (
            " The node stays cordoned, what was evicted stays evicted. Run again to go on; to give up, `kubectl"
            f" uncordon {self._name}` and `kubectl annotate node {self._name} {ANNOTATION}-`, so that nothing uncordons"
            " it later."
        )
        if stuck:
            return (
                f"{head}, budgets keep these pods: {'; '.join(stuck)}. Make room for more replicas, or change the"
                f" budget, or wait longer (`timeout`); `disable_eviction: true` ignores budgets.{tail}"
            )
        slow = hanging(result.stderr)
        if slow:
            return (
                f"{head}, these pods were told to end and have not: {', '.join(slow)}. Wait longer (`timeout`); when"
                f" the kubelet of that node is dead they never will: `skip_wait_for_delete_timeout`.{tail}"
            )
        why = refusal(result.stderr) or kube.complaint(result)
        return f"The node {self._name} is not drained: {why}.{tail}"

    def _why_blocked(self, names: t.Sequence[str]) -> t.List[str]:
        """The pods that budgets keep, with those budgets."""
        if not names:
            return []
        found: t.Dict[str, t.List[kube.Object]] = {}
        for kind in ("pods", "poddisruptionbudgets"):
            result = self._kubectl.run("get", kind, "--all-namespaces", "--output=json", check=False)
            found[kind] = json.loads(result.stdout)["items"] if result.rc == 0 else []
        pods = {f"{pod['metadata']['namespace']}/{pod['metadata']['name']}": pod for pod in found["pods"]}
        sentences = []
        for name in names:
            keeping = budgets_of(pods[name], found["poddisruptionbudgets"]) if name in pods else []
            sentences.append(f"{name}: {' and '.join(keeping) or 'a budget that does not exist any more'}")
        return sentences

    def _result(
        self,
        changed: bool,
        said: str,
        before: bool,
        after: bool,
        pods: t.List[str],
        stuck: t.List[str],
        ours: bool = False,
    ) -> t.Dict[str, t.Any]:
        header = f"Node {self._name}"
        old = [f"cordoned: {str(before).lower()}", *(f"pod: {name}" for name in pods)]
        texts = ["\n".join(lines) + "\n" for lines in (old, [f"cordoned: {str(after).lower()}"])]
        return {
            "changed": changed,
            "msg": f"{self._name}: {said}",
            "pods": pods,
            "blocked": stuck,
            "cordoned": after,
            "cordoned_by_us": ours,
            "diff": [{"before_header": header, "after_header": header, "before": texts[0], "after": texts[1]}],
        }


ARGUMENTS: t.Dict[str, t.Any] = {
    **KUBECTL_ARGUMENTS,
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["cordoned", "drained", "uncordoned"], "default": "drained"},
    "only_ours": {"type": "bool", "default": True},
    "timeout": {"type": "int", "default": 300},
    "delete_emptydir_data": {"type": "bool", "default": False},
    "force": {"type": "bool", "default": False},
    "disable_eviction": {"type": "bool", "default": False},
    "grace_period": {"type": "int", "default": -1},
    "skip_wait_for_delete_timeout": {"type": "int", "default": 0},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    return KubeDrain(context.params, Kubectl.of(context), context.check_mode).run()


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
