# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until a cluster is in a given state.

Private to this collection.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _predicates as predicates
from ansible_collections.slipway.kubernetes.plugins.module_utils import _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kube_objects as kube
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl

#: Conditions about named objects: apiVersion and kind of these.
NAMED = {
    "nodes_ready": ("v1", "Node"),
    "apiservice": ("apiregistration.k8s.io/v1", "APIService"),
    "load_balancer": ("v1", "Service"),
    "crd": ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
}
WORKLOADS = {
    "daemonset": ("apps/v1", "DaemonSet"),
    "deployment": ("apps/v1", "Deployment"),
    "statefulset": ("apps/v1", "StatefulSet"),
}
#: Options of a condition; modules put them below an option that is a list.
CONDITION_ARGUMENTS: t.Dict[str, t.Any] = {
    "options": {
        "type": {
            "type": "str",
            "required": True,
            "choices": ["api_ready", "apiservice", "crd", "load_balancer", "nodes_ready", "pods_ready", "rollout"],
        },
        "names": {"type": "list", "elements": "str"},
        "namespace": {"type": "str"},
        "kind": {"type": "str", "choices": sorted(WORKLOADS)},
        "count": {"type": "int"},
        "version": {"type": "str"},
        "selector": {"type": "str"},
    },
    "required_if": [
        ("type", "apiservice", ["names"]),
        ("type", "crd", ["names"]),
        ("type", "load_balancer", ["namespace", "names"]),
        ("type", "pods_ready", ["namespace", "selector"]),
        ("type", "rollout", ["kind", "namespace", "names"]),
    ],
}
CHECKS: t.Dict[str, t.Callable[[kube.Object], t.List[str]]] = {
    "rollout": predicates.rollout,
    "apiservice": predicates.api_service,
    "load_balancer": predicates.load_balancer,
    "crd": predicates.custom_resource_definition,
}
#: What waiting does not mend.
_FATAL = re.compile(r"error loading config|invalid configuration|context .* does not exist|unable to parse requirement")

Condition = t.Mapping[str, t.Any]


class ApiError(Exception):
    """The API server does not answer as it should."""


class KubeWait:
    """Looks at the cluster until all conditions hold."""

    def __init__(self, params: t.Mapping[str, t.Any], kubectl: Kubectl, check_mode: bool = False) -> None:
        self._conditions: t.List[Condition] = params["conditions"]
        self._timeout = params["timeout"]
        self._interval = params["interval"]
        self._kubectl = kubectl
        self._check_mode = check_mode
        self._found: t.Dict[kube.Reference, kube.Object] = {}

    def run(self) -> t.Dict[str, t.Any]:
        """Wait; in check mode look once."""
        lacking = self._kubectl.missing()
        if lacking:
            if not self._check_mode:
                raise SlipwayError(lacking)
            return {"changed": False, "skipped": True, "msg": f"{lacking} There is nothing to wait for.", "missing": []}
        wait = _waiting.Wait(self._timeout, self._interval, growth=1.3, longest=self._interval * 4)
        missing = self._look()
        while missing and not self._check_mode:
            if wait.is_over:
                hints = [hint for hint in self._hints() if hint not in missing]
                lines = [f"Still missing after {self._timeout} seconds:", *missing]
                lines += ["What pods and events say:", *hints] if hints else []
                raise SlipwayError("\n".join(lines), missing=missing, hints=hints, elapsed=round(wait.elapsed, 1))
            wait.sleep()
            missing = self._look()
        elapsed = round(wait.elapsed, 1)
        message = f"all that was waited for is there after {elapsed} seconds"
        return {
            "changed": False,
            "msg": "Does not hold: " + "; ".join(missing) if missing else message,
            "elapsed": elapsed,
            "missing": missing,
            "load_balancers": self._load_balancers(),
        }

    def _look(self) -> t.List[str]:
        try:
            self._read()
            lines = [line for condition in self._conditions for line in self._check(condition)]
            return list(dict.fromkeys(lines))
        except ApiError as error:
            return [f"API server: {error}"]

    def _read(self) -> None:
        wanted = [item for condition in self._conditions for item in named_objects(condition)]
        items, result = kube.read(self._kubectl, wanted)
        self._expect(result)
        self._found = {kube.reference(item): item for item in items}

    def _check(self, condition: Condition) -> t.List[str]:
        kind = condition["type"]
        if kind == "api_ready":
            return self._check_api()
        if kind == "pods_ready":
            what = f"pods {condition['namespace']} ({condition['selector']})"
            return predicates.pods_ready(self._pods(condition), what, _count(condition))
        if kind == "nodes_ready":
            names = condition["names"] or []
            nodes = [item for item in self._found.values() if item["kind"] == "Node"] if names else self._list("nodes")
            since = (condition.get("boot_ids"), condition.get("runtimes"))
            return predicates.nodes_ready(nodes, names, _count(condition), condition["version"], *since)
        missing = []
        for item in named_objects(condition):
            place = kube.reference(item)
            found = self._found.get(place)
            where = f"{place.namespace}/{place.name}" if place.namespace else place.name
            missing += CHECKS[kind](found) if found else [f"{place.kind.lower()} {where}: does not exist"]
        return missing

    def _check_api(self) -> t.List[str]:
        result = self._kubectl.run("get", "--raw=/readyz?verbose", check=False)
        if result.rc == 0:
            return []
        failed = [line for line in result.stderr.splitlines() if line.startswith("[-]")]
        return [f"API server: not ready ({'; '.join(failed) or kube.complaint(result)})"]

    def _list(self, *arguments: str) -> t.List[kube.Object]:
        result = self._kubectl.run("get", *arguments, "--output=json", check=False)
        self._expect(result)
        return kube.expand(kube.documents(result.stdout), "kubectl")

    def _pods(self, condition: Condition) -> t.List[kube.Object]:
        return self._list("pods", f"--namespace={condition['namespace']}", f"--selector={condition['selector']}")

    @staticmethod
    def _expect(result: CommandResult) -> None:
        if result.rc == 0:
            return
        if _FATAL.search(result.stderr):
            raise SlipwayError(kube.complaint(result))
        raise ApiError(kube.complaint(result))

    def _load_balancers(self) -> t.Dict[str, str]:
        addresses = {}
        for condition in self._conditions:
            if condition["type"] == "load_balancer":
                for item in named_objects(condition):
                    place = kube.reference(item)
                    address = predicates.load_balancer_address(self._found.get(place, {}))
                    addresses[f"{place.namespace}/{place.name}"] = address
        return addresses

    def _hints(self) -> t.List[str]:
        """What the pods of workloads that are not done, and the events, say; nothing when the API does not answer."""
        hints: t.List[str] = []
        concerned: t.Dict[str, t.Set[str]] = {}
        try:
            for condition in self._conditions:
                if condition["namespace"]:
                    names = concerned.setdefault(condition["namespace"], set())
                    names.update(condition["names"] or [])
                    for pod in self._pods_behind(condition):
                        problem = predicates.pod_problem(pod)
                        if problem:
                            names.add(pod["metadata"]["name"])
                            hints.append(f"pod {pod['metadata']['name']}: {problem}")
            for namespace, names in concerned.items():
                hints += predicates.newest_warnings(self._list("events", f"--namespace={namespace}"), names)
        except ApiError as error:
            hints.append(f"API server: {error}")
        return list(dict.fromkeys(hints))

    def _pods_behind(self, condition: Condition) -> t.List[predicates.Object]:
        if condition["type"] == "pods_ready":
            return list(self._pods(condition))
        found = [self._found[place] for place in map(kube.reference, named_objects(condition)) if place in self._found]
        selectors = [item["spec"]["selector"] for item in found if condition["type"] == "rollout"]
        pods = self._list("pods", f"--namespace={condition['namespace']}") if selectors else []
        return [pod for selector in selectors for pod in predicates.selected(pods, selector)]


def _count(condition: Condition) -> int:
    """How many nodes or pods there must be."""
    default = 0 if condition["names"] else 1
    return default if condition["count"] is None else condition["count"]


def named_objects(condition: Condition) -> t.List[kube.Object]:
    """The objects that a condition names, as manifests that kubectl finds them by."""
    workload = WORKLOADS.get(condition["kind"] or "", ("", ""))
    version, kind = NAMED.get(condition["type"], workload)
    metadata = {"namespace": condition["namespace"]} if condition["type"] in ("rollout", "load_balancer") else {}
    return [
        {"apiVersion": version, "kind": kind, "metadata": {**metadata, "name": name}}
        for name in condition["names"] or []
    ]
