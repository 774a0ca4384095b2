#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_wait
short_description: Wait until a Kubernetes cluster is in a given state
version_added: 0.1.0
description:
  - Waits until all conditions hold at the same time. When time is up, the module fails and says what is missing and,
    from the status of pods and from events, why.
  - All objects that conditions name are read by one call of C(kubectl).
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.kubectl
attributes:
  check_mode:
    support: full
    details:
      - Looks once and reports what does not hold, without a failure.
      - Where C(kubectl) or the kubeconfig is absent, it is skipped.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  conditions:
    description:
      - What to wait for.
    type: list
    elements: dict
    required: true
    suboptions:
      type:
        description:
          - V(nodes_ready), the nodes O(conditions[].names) are Ready, or without names all nodes;
            at least O(conditions[].count) nodes are Ready; their kubelets have the version O(conditions[].version).
          - V(rollout), the newest version of each of the workloads O(conditions[].names) of the kind
            O(conditions[].kind) in O(conditions[].namespace) is available on all replicas or nodes.
          - V(apiservice), the aggregated APIs O(conditions[].names) are available.
          - V(load_balancer), the services O(conditions[].names) in O(conditions[].namespace) have an address from a
            load balancer.
          - V(crd), the custom resource definitions O(conditions[].names) are established.
          - V(pods_ready), all pods in O(conditions[].namespace) that O(conditions[].selector) fits are Ready, and there
            are at least O(conditions[].count). Finished pods do not count.
          - V(api_ready), the API server says that it is ready.
        type: str
        choices: [api_ready, apiservice, crd, load_balancer, nodes_ready, pods_ready, rollout]
        required: true
      names:
        description:
          - Names of the objects.
        type: list
        elements: str
      namespace:
        description:
          - Namespace of the objects.
        type: str
      kind:
        description:
          - Kind of workloads.
        type: str
        choices: [daemonset, deployment, statefulset]
      count:
        description:
          - How many nodes or pods there must be at least. The default is V(1), but none for named nodes.
        type: int
      version:
        description:
          - Version of kubelets, for example V(1.37.1).
        type: str
      selector:
        description:
          - Label selector of pods, as C(kubectl get --selector) takes it.
        type: str
  timeout:
    description:
      - Seconds to wait at most.
    type: int
    default: 300
  interval:
    description:
      - Seconds between the first looks. The pause grows to four times that.
    type: float
    default: 0.5
author:
  - slipway.kubernetes contributors (@slipway)
"""

EXAMPLES = r"""
- name: Wait until the API server is ready and all nodes are
  slipway.kubernetes.kube_wait:
    conditions:
      - type: api_ready
      - type: nodes_ready
        count: "{{ example_node_count | int }}"
    timeout: 120

- name: Wait for CoreDNS
  slipway.kubernetes.kube_wait:
    conditions:
      - type: rollout
        kind: deployment
        namespace: kube-system
        names:
          - coredns
      - type: pods_ready
        namespace: kube-system
        selector: k8s-app=kube-dns
        count: 2
"""

RETURN = r"""
msg:
  description: What holds, or in check mode what does not.
  type: str
  returned: success
  sample: all that was waited for is there after 12.4 seconds
elapsed:
  description: Seconds that it took.
  type: float
  returned: always, but not when skipped
  sample: 12.4
missing:
  description: What does not hold.
  type: list
  elements: str
  returned: always
  sample: ["node worker2: NotReady (KubeletNotReady: container runtime network not ready)"]
hints:
  description: What pods and events say about it.
  type: list
  elements: str
  returned: failure
  sample: ["pod web-5d9c: container web: ImagePullBackOff"]
load_balancers:
  description: The addresses of services that were waited for, by namespace and name.
  type: dict
  returned: success
  sample:
    example/web: 192.0.2.200
"""

import re
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.kubernetes.plugins.module_utils import _kube_objects as kube
from ansible_collections.slipway.kubernetes.plugins.module_utils import _predicates as predicates
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubectl import KUBECTL_ARGUMENTS, Kubectl

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

    def __init__(
        self,
        params: t.Mapping[str, t.Any],
        kubectl: Kubectl,
        check_mode: bool = False,
        clock: t.Callable[[], float] = time.monotonic,
        sleep: t.Callable[[float], None] = time.sleep,
    ) -> None:
        self._conditions: t.List[Condition] = params["conditions"]
        self._timeout = params["timeout"]
        self._interval = params["interval"]
        self._kubectl = kubectl
        self._check_mode = check_mode
        self._clock = clock
        self._sleep = sleep
        self._found: t.Dict[kube.Reference, kube.Object] = {}

    def run(self) -> t.Dict[str, t.Any]:
        """Wait; in check mode look once."""
        lacking = self._kubectl.missing()
        if lacking:
            if not self._check_mode:
                raise SlipwayError(lacking)
            return {"changed": False, "skipped": True, "msg": f"{lacking} There is nothing to wait for.", "missing": []}
        start = self._clock()
        pause = self._interval
        missing = self._look()
        while missing and not self._check_mode:
            elapsed = round(self._clock() - start, 1)
            if elapsed >= self._timeout:
                hints = [hint for hint in self._hints() if hint not in missing]
                lines = [f"Still missing after {self._timeout} seconds:", *missing]
                lines += ["What pods and events say:", *hints] if hints else []
                raise SlipwayError("\n".join(lines), missing=missing, hints=hints, elapsed=elapsed)
            self._sleep(pause)
            pause = min(pause * 1.3, self._interval * 4)
            missing = self._look()
        elapsed = round(self._clock() - start, 1)
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
            return predicates.nodes_ready(nodes, names, _count(condition), condition["version"])
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


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            **KUBECTL_ARGUMENTS,
            "conditions": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "type": {
                        "type": "str",
                        "required": True,
                        "choices": [
                            "api_ready",
                            "apiservice",
                            "crd",
                            "load_balancer",
                            "nodes_ready",
                            "pods_ready",
                            "rollout",
                        ],
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
            },
            "timeout": {"type": "int", "default": 300},
            "interval": {"type": "float", "default": 0.5},
        },
        supports_check_mode=True,
    )
    kubectl = Kubectl(Runner(module), module.params["kubeconfig"], module.params["context"])
    try:
        result = KubeWait(module.params, kubectl, module.check_mode).run()
    except SlipwayError as error:
        module.fail_json(msg=error.msg, **error.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
