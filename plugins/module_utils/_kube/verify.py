# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module cluster_verify asks a cluster, and how it judges the answers.

Private to this collection.
"""

from __future__ import annotations

import dataclasses
import json
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import lines_shown, shown

APP = "slipway-verify"
LABEL = "app.kubernetes.io/name"
PORT = 8080


#: Labels of the pod that a NetworkPolicy is about, and of those that it lets in.
GUARDED, ADMITTED = "slipway.io/verify-guarded", "slipway.io/verify-admitted"


@dataclasses.dataclass(frozen=True)
class Check:
    """One thing that a working cluster does.

    :param name: what was tried, in a few words.
    :param problems: what did not work; none when all did.
    :param detail: how much was tried.
    """

    name: str
    problems: t.Sequence[str] = ()
    detail: str = ""

    def as_dict(self) -> t.Dict[str, t.Any]:
        """The check as a module returns it."""
        return {
            "name": self.name,
            "ok": not self.problems,
            "detail": lines_shown("; ".join(self.problems) or self.detail),
        }


def objects(
    namespace: str,
    image: str,
    node_port: bool,
    load_balancer: bool,
    families: t.Sequence[str] = (),
    balanced: t.Sequence[str] = (),
) -> t.List[t.Dict[str, t.Any]]:
    """The namespace with one pod on each node and the services in front of them.

    :param families: those that services have, where there are two; each has a service of its own, too.
    :param balanced: those that the load balancer has.
    """
    labels = {LABEL: APP}
    container = {
        "name": "netexec",
        "image": image,
        "args": ["netexec", f"--http-port={PORT}"],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/hostname", "port": PORT}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    pod = {
        "tolerations": [{"operator": "Exists"}],
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }
    made: t.List[t.Dict[str, t.Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}},
        {
            "apiVersion": "apps/v1",
            "kind": "DaemonSet",
            "metadata": {"name": APP, "namespace": namespace},
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
        _service(namespace, "cluster-ip", "ClusterIP", labels, families),
        *(_service(namespace, service_of(family), "ClusterIP", labels, [family]) for family in families),
    ]
    if node_port:
        made.append(_service(namespace, "node-port", "NodePort", labels, families))
    if load_balancer:
        made.append(_service(namespace, "load-balancer", "LoadBalancer", labels, balanced))
    return made


def service_of(family: str) -> str:
    """The name of the service that has this family alone, so that its name leads nowhere else."""
    return f"cluster-ip-{family.lower()}"


def _service(
    namespace: str, name: str, kind: str, labels: t.Mapping[str, str], families: t.Sequence[str]
) -> t.Dict[str, t.Any]:
    spec: t.Dict[str, t.Any] = {"type": kind, "selector": labels, "ports": [{"port": 80, "targetPort": PORT}]}
    if families:
        policy_of = {1: "SingleStack", 2: "RequireDualStack"}
        spec.update(ipFamilyPolicy=policy_of[len(families)], ipFamilies=list(families))
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def is_of(address: str, family: str) -> bool:
    """Whether an address is of the family; of any when that is empty."""
    return not family or (":" in address) == (family == "IPv6")


def pod_address(pod: t.Mapping[str, t.Any], family: str) -> str:
    """The address of a pod, or that of a family; empty when it has none."""
    given = [item.get("ip", "") for item in pod["status"].get("podIPs") or []] if family else [pod["status"]["podIP"]]
    return next((address for address in given if address and is_of(address, family)), "")


def node_address(node: t.Mapping[str, t.Any], family: str) -> str:
    """The first address of a node, or that of a family; empty when it has none."""
    internal = [item["address"] for item in node["status"]["addresses"] if item["type"] == "InternalIP"]
    return next((address for address in internal if is_of(address, family)), "")


def balanced_addresses(service: t.Mapping[str, t.Any], families: t.Sequence[str]) -> t.Dict[str, str]:
    """The addresses that a load balancer gave a service, by their families; none until it has given all."""
    ingress = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    given = [str(item.get("ip") or "") for item in ingress]
    found = {
        family: next((address for address in given if address and is_of(address, family)), "") for family in families
    }
    return found if all(found.values()) else {}


def policy(namespace: str) -> t.Dict[str, t.Any]:
    """A NetworkPolicy that lets only those pods reach the one that is guarded that may."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": APP, "namespace": namespace},
        "spec": {
            "podSelector": {"matchLabels": {GUARDED: "true"}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": {"matchLabels": {ADMITTED: "true"}}}]}],
        },
    }


def routes(pods: t.Mapping[str, str], all_pairs_up_to: int = 5) -> t.List[t.Tuple[str, str]]:
    """Pairs of nodes between which pods talk: each with each in small clusters, a ring in larger ones.

    :param pods: addresses of pods by the name of their node.
    """
    nodes = sorted(pods)
    if len(nodes) <= all_pairs_up_to:
        return [(source, target) for source in nodes for target in nodes if source != target]
    return [(source, nodes[(index + 1) % len(nodes)]) for index, source in enumerate(nodes)]


def dial_problem(answer: str, expected: t.Container[str]) -> str:
    """What is wrong with the answer of netexec's ``/dial``; empty when it reached one of the ``expected`` pods."""
    try:
        parsed = json.loads(answer)
    except ValueError:
        return f"answered {answer[:80]!r}"
    errors = parsed.get("errors") or []
    responses = parsed.get("responses") or []
    if errors:
        return str(errors[0])
    if not responses:
        return "got no answer"
    return "" if responses[0] in expected else f"was answered by {responses[0]!r}, which is no pod of this check"


def version_problems(nodes: t.Iterable[t.Mapping[str, t.Any]], version: str) -> t.List[str]:
    """Nodes whose kubelet has another version than ``version``, which may be empty."""
    problems = []
    for node in nodes:
        found = node["status"]["nodeInfo"]["kubeletVersion"].lstrip("v")
        if version and found != version.lstrip("v"):
            problems.append(f"node {node['metadata']['name']} has {found} instead of {version}")
    return problems


def metrics_problems(answer: t.Mapping[str, t.Any], nodes: t.Iterable[str]) -> t.List[str]:
    """Nodes that the metrics API says nothing about."""
    known = {item["metadata"]["name"] for item in answer.get("items", [])}
    return [f"there are no metrics of node {name}" for name in nodes if name not in known]


def table(checks: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[str]:
    """The checks as aligned lines."""
    width = max((len(check["name"]) for check in checks), default=0)
    return [
        f"{'ok    ' if check['ok'] else 'FAILED'}  {shown(check['name']):<{width}}  {shown(check['detail'])}"
        for check in checks
    ]
