#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_verify
short_description: Proves that a cluster works
version_added: 0.1.0
description:
  - Runs on a control plane. It puts one small pod on each node and lets them resolve a name, reach each other, a
    ClusterIP and each node's port; it asks for the metrics of all nodes, and a load balancer from the controller.
  - What it made is deleted when it ends, also when a check fails, and so is what a killed call has left behind.
  - It fails when a check fails, naming it. Requests of kubelets for serving certificates that are pending, because they
    ask for what the inventory does not have, are warnings, and so is it when all pods of CoreDNS are on one node though
    another one would take one.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.kubectl
attributes:
  check_mode:
    support: full
    details: Does nothing.
  diff_mode:
    support: none
  idempotent:
    support: full
    details: Never reports a change.
options:
  version:
    description: Version that all nodes are expected to have; any when it is empty.
    type: str
    default: ""
  image:
    description: Image with the command C(netexec) of Kubernetes' test image agnhost.
    type: str
    required: true
  nodes:
    description: Names of the nodes that the cluster is expected to have.
    type: list
    elements: str
    default: []
  namespace:
    description: Namespace that is made for the checks and deleted after them. It must not be used by anything else.
    type: str
    default: slipway-verify
  dns_domain:
    description: DNS domain of services.
    type: str
    default: cluster.local
  dns_hosts:
    description:
      - Names that CoreDNS itself knows, lines as in C(/etc/hosts). Each of its pods is asked for each name, from the
        control plane, and has to have the address.
    type: list
    elements: str
    default: []
  dns_names:
    description: Further names that each pod of CoreDNS is expected to have an address for.
    type: list
    elements: str
    default: []
  families:
    description:
      - V(IPv4) and V(IPv6) where pods and services have both. Then each of them is tried by itself, with the names of
        services that have it alone, pods on other nodes, each node's addresses, and load balancers.
      - When it is empty there is one family, whichever that is.
    type: list
    elements: str
    choices: [IPv4, IPv6]
    default: []
  load_balancer_families:
    description: Those of O(families) that the load balancer has; all when it is empty.
    type: list
    elements: str
    choices: [IPv4, IPv6]
    default: []
  node_port:
    description: Whether a service of the type NodePort is asked, from the control plane on each node's address.
    type: bool
    default: true
  load_balancer:
    description: Whether a service of the type LoadBalancer is asked from the controller.
    type: bool
    default: false
  metrics:
    description: Whether the metrics API is expected to know all nodes.
    type: bool
    default: true
  network_policy:
    description:
      - Whether a NetworkPolicy is expected to keep one pod from another one on another node, and to let it through when
        it has the right label. With one node nothing is tried.
    type: bool
    default: false
  pod_network:
    description:
      - The pod network, as O(slipway.kubernetes.cluster#role:look:cluster_cni) calls it. Where it exchanges routes with
        peers (BGP), the sessions of this control plane have to be established.
      - With any other one, and where the tool that tells of sessions is missing, nothing is looked at.
    type: str
    default: ""
  timeout:
    description:
      - Seconds that everything together may take until it works, and that it may take to delete what was made. The
        latter has 60 at least.
    type: int
    default: 120
  phase:
    description:
      - For internal use. V(probe) makes the pods and checks, V(clean) deletes. Without it both happen, with the load
        balancer asked in between from the controller.
    type: str
    choices: [probe, clean]
"""

EXAMPLES = r"""
- name: Prove that the cluster works
  slipway.kubernetes.cluster_verify:
    image: "{{ verify_image }}"
    version: "{{ cluster_version }}"
"""

RETURN = r"""
checks:
  description: What was checked.
  type: list
  elements: dict
  returned: success and failure
  sample:
    - name: nodes are Ready
      ok: true
      detail: 3 nodes at 1.37.1
table:
  description: The checks as aligned lines.
  type: list
  elements: str
  returned: success and failure
  sample: ["ok      nodes are Ready  3 nodes at 1.37.1"]
"""

import collections
import concurrent.futures
import functools
import json
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from ansible_collections.slipway.kubernetes.plugins.module_utils import _dns, _predicates, _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._api_endpoints import in_url
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandError, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import spread
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import verify as _verify
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import KUBECTL_ARGUMENTS, Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet import kubelet_requests
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import POD_NETWORKS
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import LONGEST, listed, shown

#: Nodes without a pod that are named.
_NAMED = 5
#: Seconds that it may take at least to delete what was made.
_PATIENCE = 60
#: Seconds that a NetworkPolicy may take until it holds, and as long until a label counts.
_POLICY_PATIENCE = 60
_DENIED = "no connection"
_REACHED = "a connection"
#: The cluster's own addresses are asked directly, whatever proxy this host uses.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def fetch(url: str, timeout: float = 8) -> str:
    """The body of a URL.

    :raises OSError: when there is no answer, or none with status 200.
    """
    with _OPENER.open(url, timeout=timeout) as response:
        return response.read(4096).decode("utf-8", "replace")


def expected_names(lines: t.Iterable[str], names: t.Iterable[str]) -> t.Dict[str, t.List[str]]:
    """By each name the addresses that it has to have; none where any will do."""
    found: t.Dict[str, t.List[str]] = collections.defaultdict(list)
    for line in lines:
        address, *others = line.split() or [""]
        for name in others:
            found[name].append(address)
    return {**{name: [] for name in names}, **found}


class ClusterVerify:
    """The checks that are made from a control plane."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._params = context.params
        self._kubectl = Kubectl.of(context)
        self._wait = _waiting.Wait(context.params["timeout"])
        self._namespace = f"--namespace={context.params['namespace']}"
        self._families = list(context.params["families"]) if len(context.params["families"]) > 1 else []
        balanced = list(context.params["load_balancer_families"]) or self._families
        #: Where there is one family, the load balancer is not told which.
        self._balanced = balanced if self._families else []

    def probe(self) -> t.Dict[str, t.Any]:
        """Make the pods and check everything that can be checked from here."""
        params = self._params
        checks: t.List[_verify.Check] = []
        nodes = self._kubectl.get("nodes")["items"]
        if params["nodes"]:
            checks.append(self._members([node["metadata"]["name"] for node in nodes]))
        checks.append(self._until("nodes are Ready", self._nodes))
        given = (params["node_port"], params["load_balancer"], self._families, self._balanced)
        made = _verify.objects(params["namespace"], params["image"], *given)
        self._clean()
        self._kubectl.run(
            "apply", "--server-side", "--field-manager=slipway", "--filename=-",
            stdin="\n".join(json.dumps(item) for item in made),
        )  # fmt: skip
        checks.append(self._until("a pod runs on each node", lambda: self._pods(len(nodes))))
        pods = self._running_pods()
        names = {pod["metadata"]["name"] for pod in pods}
        checks += self._network(nodes, pods, names) if pods else []
        if self._sessions().detail:
            checks.append(self._until("sessions of the pod network are established", self._sessions))
        expected = expected_names(params["dns_hosts"], params["dns_names"])
        if expected:
            checks.append(self._until("CoreDNS knows its names", lambda: self._names(expected)))
        if params["metrics"]:
            wanted = [node["metadata"]["name"] for node in nodes]
            checks.append(self._until("metrics of all nodes are there", lambda: self._metrics(wanted)))
        self._warn_of_requests()
        self._warn_of_crowds()
        result: t.Dict[str, t.Any] = {"changed": False, "checks": [check.as_dict() for check in checks]}
        if params["load_balancer"]:
            result["load_balancer"] = self._load_balancer()
        result["pods"] = sorted(names)
        return result

    def _network(
        self, nodes: t.Sequence[t.Mapping[str, t.Any]], pods: t.Sequence[t.Dict[str, t.Any]], names: t.Container[str]
    ) -> t.List[_verify.Check]:
        """What pods and nodes reach, in each family where there are two."""
        params, checks = self._params, []
        addresses = {pod["spec"]["nodeName"]: pod["status"]["podIP"] for pod in pods}
        pairs = _verify.routes(addresses)
        services = {"cluster-ip": "", **{_verify.service_of(family): f" of {family}" for family in self._families}}
        for service, words in services.items():
            name = f"{service}.{params['namespace']}.svc.{params['dns_domain']}"
            asked = [(node, name, 80) for node in sorted(addresses)]
            title = f"each pod resolves and reaches a ClusterIP{words}"
            checks.append(self._until(title, functools.partial(self._dial, addresses, asked, names)))
        for family in self._families or [""] if pairs else []:
            title = f"pods reach each other between nodes{_by(family)}"
            targets = {pod["spec"]["nodeName"]: _verify.pod_address(pod, family) for pod in pods}
            asked = [(source, targets[target], _verify.PORT) for source, target in pairs]
            checks.append(self._until(title, functools.partial(self._dial, addresses, asked, names)))
        if pairs and params["network_policy"]:
            checks.append(self._policy(pods))
        for family in self._families or [""] if params["node_port"] else []:
            title = f"each node answers on a NodePort{_by(family)}"
            checks.append(self._until(title, functools.partial(self._node_port, nodes, names, family)))
        return checks

    def _sessions(self) -> _verify.Check:
        """Those with peers of this machine; without any there is no detail."""
        network = POD_NETWORKS.get(self._params["pod_network"])
        states = network.sessions(self._context.runner) if network else {}
        problems = [f"{peer} is not, {state}" for peer, state in states.items() if state]
        return _verify.Check("", problems, f"{len(states)} of {network.title}" if network and states else "")

    def _members(self, present: t.Container[str]) -> _verify.Check:
        wanted = self._params["nodes"]
        absent = [name for name in wanted if name not in present]
        problem = (
            f"{listed(absent)} of the inventory: the cluster has no such node. site.yml joins a machine that is new,"
            " and brings one back whose Node object was deleted; one that was removed is taken out of the inventory"
        )
        title = "machines of the inventory are nodes"
        return _verify.Check(title, [problem] if absent else [], f"{len(wanted)} machines")

    def _warn_of_crowds(self) -> None:
        for crowd in spread.find(self._kubectl, ["kube-system/coredns"]):
            self._context.warn(
                f"All {len(crowd.pods)} pods of {crowd.name} are on {crowd.node}: when that machine fails, no name is"
                " resolved for minutes. site.yml moves one of them to another node."
            )

    def _warn_of_requests(self) -> None:
        for item in self._kubectl.get("certificatesigningrequests")["items"]:
            if kubelet_requests.is_pending(item):
                self._context.warn(
                    f"{kubelet_requests.describe(item)} site.yml approves what the inventory has for that node."
                )

    def clean(self) -> t.Dict[str, t.Any]:
        """Delete what :meth:`probe` made."""
        self._clean()
        return {"changed": False}

    def _clean(self) -> None:
        name = self._params["namespace"]
        found = self._kubectl.run("get", "namespace", name, "--ignore-not-found", "--output=json").stdout.strip()
        if not found:
            return
        if (json.loads(found)["metadata"].get("labels") or {}).get(_verify.LABEL) != _verify.APP:
            raise SlipwayError(
                f"The namespace {name} is there and was not made by this check, which deletes its namespace when it"
                " begins and when it ends. Choose another name; nothing was changed."
            )
        arguments = ["namespace", name, "--ignore-not-found", "--wait=true"]
        self._kubectl.run("delete", *arguments, f"--timeout={max(_PATIENCE, self._params['timeout'])}s")

    def _until(
        self, name: str, look: t.Callable[[], _verify.Check], wait: t.Optional[_waiting.Wait] = None
    ) -> _verify.Check:
        """Look again and again until nothing is wrong or time is up: that of all checks, or its own."""
        wait = wait or self._wait
        while True:
            try:
                check = look()
            except CommandError as error:
                check = _verify.Check(name, [str(error)])
            if not check.problems or wait.is_over:
                return _verify.Check(name, check.problems, check.detail)
            wait.sleep()

    def _nodes(self) -> _verify.Check:
        nodes = self._kubectl.get("nodes")["items"]
        problems = [
            f"node {node['metadata']['name']} is {problem}"
            for node, problem in ((node, _predicates.node_problem(node)) for node in nodes)
            if problem
        ]
        problems += _verify.version_problems(nodes, self._params["version"])
        versions = sorted({node["status"]["nodeInfo"]["kubeletVersion"].lstrip("v") for node in nodes})
        return _verify.Check("", problems, f"{len(nodes)} at {', '.join(versions)}")

    def _running_pods(self) -> t.List[t.Dict[str, t.Any]]:
        pods = self._kubectl.get("pods", self._namespace)["items"]
        return [
            pod
            for pod in pods
            if _predicates.condition(pod, "Ready").get("status") == "True" and pod["status"].get("podIP")
        ]

    def _pods(self, wanted: int) -> _verify.Check:
        daemonset = self._kubectl.get(f"daemonset/{_verify.APP}", self._namespace)
        problems = _predicates.rollout(daemonset)
        available = daemonset.get("status", {}).get("numberAvailable", 0)
        if not problems and available < wanted:
            problems = [f"only {available} of {wanted} nodes run one"]
        problems = [*problems, *(self._held_up() if problems else [])]
        return _verify.Check("", problems, f"{available} of {wanted}")

    def _held_up(self) -> t.List[str]:
        """On which nodes no pod runs, and what was said about it last."""
        found = []
        for pod in self._kubectl.get("pods", self._namespace)["items"]:
            node = pod.get("spec", {}).get("nodeName")
            if not node or _predicates.condition(pod, "Ready").get("status") == "True":
                continue
            about = f"--field-selector=involvedObject.name={pod['metadata']['name']}"
            events = self._kubectl.get("events", self._namespace, about)["items"]
            said = shown(str(events[-1].get("message", "")), LONGEST) if events else "nothing is said why"
            found.append(f"on {node} none runs: {said}")
            if len(found) == _NAMED:
                break
        return found

    def _dial(
        self, addresses: t.Mapping[str, str], asked: t.Sequence[t.Tuple[str, str, int]], names: t.Container[str]
    ) -> _verify.Check:
        """Let pods (by their node) ask other addresses."""

        def ask(route: t.Tuple[str, str, int]) -> str:
            node, host, port = route
            try:
                problem = _verify.dial_problem(fetch(_dial_url(addresses[node], host, port)), names)
            except OSError as error:
                return f"the pod on {node} ({addresses[node]}) does not answer here: {error}"
            return f"from {node} to {host}: {problem}" if problem else ""

        problems = self._all(ask, asked)
        return _verify.Check("", problems, f"{len(asked)} tried")

    def _policy(self, pods: t.Sequence[t.Mapping[str, t.Any]]) -> _verify.Check:
        """Keep a pod from another one, and let it through."""
        title = "a NetworkPolicy denies and lets through"
        client, target = sorted(pods, key=lambda pod: str(pod["spec"]["nodeName"]))[:2]
        where = f"from {client['spec']['nodeName']} to {target['spec']['nodeName']}"

        def answers(wanted: str, times: int) -> _verify.Check:
            """Whether the client gets the same answer again and again: one that fails by chance denies nothing."""
            for _time in range(times):
                said = self._answer(client, target)
                if said != wanted:
                    return _verify.Check("", [f"{where}: {said}, and it was to be: {wanted}"])
            return _verify.Check("")

        made = json.dumps(_verify.policy(self._params["namespace"]))
        try:
            self._label(target, _verify.GUARDED)
            self._kubectl.run("apply", "--server-side", "--field-manager=slipway", "--filename=-", stdin=made)
            check = self._until(title, lambda: answers(_DENIED, 3), _waiting.Wait(_POLICY_PATIENCE))
            if not check.problems:
                self._label(client, _verify.ADMITTED)
                check = self._until(title, lambda: answers(_REACHED, 1), _waiting.Wait(_POLICY_PATIENCE))
        except CommandError as error:
            check = _verify.Check(title, [str(error)])
        # A load balancer is still asked.
        self._kubectl.run("delete", f"networkpolicy/{_verify.APP}", self._namespace, "--ignore-not-found", check=False)
        return _verify.Check(title, check.problems, where)

    def _names(self, expected: t.Mapping[str, t.Sequence[str]]) -> _verify.Check:
        """Ask each pod of CoreDNS for each name."""
        pods = self._kubectl.get("pods", "--namespace=kube-system", "--selector=k8s-app=kube-dns")["items"]
        servers = [pod["status"]["podIP"] for pod in pods if not _predicates.pod_problem(pod)]
        asked = [(server, name) for server in servers for name in expected]
        problems = self._all(lambda pair: _dns.problem(pair[0], pair[1], expected[pair[1]]), asked)
        if not servers:
            problems = ["no pod of it is ready"]
        return _verify.Check("", problems, f"{len(expected)} names in {len(servers)} pods")

    @staticmethod
    def _answer(client: t.Mapping[str, t.Any], target: t.Mapping[str, t.Any]) -> str:
        """What comes of a connection between two pods."""
        try:
            answer = fetch(_dial_url(client["status"]["podIP"], target["status"]["podIP"], _verify.PORT))
            parsed = json.loads(answer)
        except (OSError, ValueError) as error:
            return f"its own pod does not answer here ({error})"
        if parsed.get("errors"):
            return _DENIED
        return _REACHED if target["metadata"]["name"] in (parsed.get("responses") or ()) else "another pod has answered"

    def _label(self, pod: t.Mapping[str, t.Any], label: str) -> None:
        self._kubectl.run("label", f"pod/{pod['metadata']['name']}", self._namespace, "--overwrite", f"{label}=true")

    def _node_port(
        self, nodes: t.Sequence[t.Mapping[str, t.Any]], names: t.Container[str], family: str
    ) -> _verify.Check:
        port = self._kubectl.get("service/node-port", self._namespace)["spec"]["ports"][0]["nodePort"]
        internal = {node["metadata"]["name"]: _verify.node_address(node, family) for node in nodes}

        def ask(name: str) -> str:
            if family and not internal[name]:
                return f"{name} announces no address of {family}"
            try:
                answer = fetch(f"http://{in_url(internal[name])}:{port}/hostname")
            except OSError as error:
                return f"{name} ({internal[name]}:{port}): {error}"
            return "" if answer in names else f"{name} ({internal[name]}:{port}) answered {answer[:80]!r}"

        return _verify.Check("", self._all(ask, sorted(internal)), f"{len(internal)} nodes, port {port}")

    def _metrics(self, nodes: t.Sequence[str]) -> _verify.Check:
        answer = json.loads(self._kubectl.run("get", "--raw=/apis/metrics.k8s.io/v1beta1/nodes").stdout)
        return _verify.Check("", _verify.metrics_problems(answer, nodes), f"{len(nodes)} nodes")

    def _load_balancer(self) -> t.Dict[str, str]:
        """The addresses of the load balancer by their families; empty ones when it got none in time."""

        def look() -> t.Dict[str, str]:
            service = self._kubectl.get("service/load-balancer", self._namespace)
            if self._balanced:
                return _verify.balanced_addresses(service, self._balanced)
            address = _predicates.load_balancer_address(service)
            return {"": address} if address else {}

        return _waiting.until(look, self._wait.left) or dict.fromkeys(self._balanced or [""], "")

    @staticmethod
    def _all(ask: t.Callable[[t.Any], str], arguments: t.Sequence[t.Any]) -> t.List[str]:
        """Ask everything at once; what went wrong."""
        with concurrent.futures.ThreadPoolExecutor(max_workers=16) as pool:
            return [problem for problem in pool.map(ask, arguments) if problem]


def _by(family: str) -> str:
    """How a title goes on that is about one family of two."""
    return f" by {family}" if family else ""


def _dial_url(pod: str, host: str, port: int) -> str:
    """The address at which a pod is told to ask another one."""
    asked = {"host": host, "port": port, "request": "hostname", "protocol": "http", "tries": 1}
    return f"http://{in_url(pod)}:{_verify.PORT}/dial?{urllib.parse.urlencode(asked)}"


ARGUMENTS: t.Dict[str, t.Any] = {
    **KUBECTL_ARGUMENTS,
    "version": {"type": "str", "default": ""},
    "image": {"type": "str", "required": True},
    "nodes": {"type": "list", "elements": "str", "default": []},
    "namespace": {"type": "str", "default": "slipway-verify"},
    "dns_domain": {"type": "str", "default": "cluster.local"},
    "dns_hosts": {"type": "list", "elements": "str", "default": []},
    "dns_names": {"type": "list", "elements": "str", "default": []},
    "families": {"type": "list", "elements": "str", "choices": ["IPv4", "IPv6"], "default": []},
    "load_balancer_families": {"type": "list", "elements": "str", "choices": ["IPv4", "IPv6"], "default": []},
    "node_port": {"type": "bool", "default": True},
    "load_balancer": {"type": "bool", "default": False},
    "metrics": {"type": "bool", "default": True},
    "network_policy": {"type": "bool", "default": False},
    "pod_network": {"type": "str", "default": ""},
    "timeout": {"type": "int", "default": 120},
    "phase": {"type": "str", "choices": ["probe", "clean"]},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    if context.check_mode:
        return {"skipped": True, "checks": [], "table": [], "msg": "Nothing is verified in check mode."}
    verify = ClusterVerify(context)
    return verify.clean() if context.params["phase"] == "clean" else verify.probe()


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
