#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_csr_approve
short_description: Approve the serving certificates of kubelets
version_added: 0.1.0
description:
  - With C(serverTLSBootstrap) a kubelet asks the cluster for the certificate of its own port. Nobody approves these
    requests by default, because the cluster does not know which names and addresses a machine may claim. The caller
    knows.
  - Approves a pending request when it has the signer C(kubernetes.io/kubelet-serving), comes from the user
    C(system:node:NAME) in the group C(system:nodes), has exactly that subject, asks for server authentication only,
    names nothing but what O(nodes) allows for that node, and has a name that is a DNS subdomain. All
    others stay pending and are reported.
  - What is approved is the very object that was examined. One that was replaced by another of its name meanwhile stays
    pending.
  - Of one node at most ten requests are approved in one go, its latest.
  - Certificates that kubelets present already are found by a TLS connection to each, so that a second run needs one
    call of C(kubectl).
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.kubectl
attributes:
  check_mode:
    support: full
    details:
      - Reports which requests would be approved and does not wait.
      - Where C(kubectl) or the kubeconfig is absent, it reports a change.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  nodes:
    description:
      - The nodes whose requests may be approved.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the Node object. The certificate may bear it.
        type: str
        required: true
      addresses:
        description:
          - The IP addresses that the certificate may bear.
          - With O(wait) the kubelet is asked at the first of them that it answers at.
        type: list
        elements: str
        required: true
      dns_names:
        description:
          - Further DNS names that the certificate may bear.
        type: list
        elements: str
        default: []
      self_signed:
        description:
          - Whether its kubelet makes its serving certificate itself, since C(serverTLSBootstrap) is not set in its
            configuration. It is not waited for then. What it asks for all the same is approved like that of others.
        type: bool
        default: false
  wait:
    description:
      - Whether to wait until each of the nodes presents a certificate that is signed by the CA in O(ca_file) and valid
        for its address. A kubelet asks for it some seconds after its node has joined.
    type: bool
    default: true
  timeout:
    description:
      - Seconds to wait at most.
    type: int
    default: 120
  missing_fails:
    description:
      - Whether to fail when nodes have no certificate of the cluster after O(timeout). Otherwise they are warned of and
        in RV(missing).
    type: bool
    default: true
  interval:
    description:
      - Seconds between two looks.
    type: float
    default: 0.5
  ca_file:
    description:
      - Path of the cluster's CA certificate on the target host.
    type: path
    default: /etc/kubernetes/pki/ca.crt
  port:
    description:
      - Port of the kubelets.
    type: int
    default: 10250
  remember:
    description:
      - Whether the cluster remembers O(nodes) in the ConfigMap C(slipway-serving-identities) in C(kube-system), for the
        timer of the role P(slipway.kubernetes.serving_certificates#role), which approves renewals by the same rules.
      - Nodes that are remembered and not among O(nodes) stay so, until M(slipway.kubernetes.kube_node_delete) deletes
        them.
    type: bool
    default: false
author:
  - slipway.kubernetes contributors (@slipway)
"""

EXAMPLES = r"""
- name: Approve the kubelets' serving certificates and wait until they are in use
  slipway.kubernetes.kube_csr_approve:
    nodes:
      - name: "{{ example_node_name }}"
        addresses:
          - "{{ example_node_address }}"
        dns_names:
          - "{{ example_node_name }}.example.org"

- name: Approve what is pending without waiting
  slipway.kubernetes.kube_csr_approve:
    wait: false
    nodes:
      - name: "{{ example_node_name }}"
        addresses:
          - "{{ example_node_address }}"
"""

RETURN = r"""
msg:
  description: What was done.
  type: str
  returned: success
  sample: "1 request approved; kubelets with a certificate of the cluster: 3 of 3"
approved:
  description: The requests that were approved.
  type: list
  elements: dict
  returned: success
  contains:
    request:
      description: Name of the CertificateSigningRequest.
      type: str
      sample: csr-7dq5b
    node:
      description: Name of the node.
      type: str
      sample: worker1
    dns_names:
      description: The DNS names that it asks for.
      type: list
      elements: str
      sample: [worker1]
    addresses:
      description: The IP addresses that it asks for.
      type: list
      elements: str
      sample: [192.0.2.11]
missing:
  description: Nodes that have no serving certificate of the cluster after O(timeout).
  type: list
  elements: dict
  returned: always
  contains:
    node:
      description: Name of the node.
      type: str
      sample: worker2
    reasons:
      description: What is known of it.
      type: list
      elements: str
      sample: [its kubelet at 192.0.2.12:10250 has no serving certificate yet]
self_signed:
  description: Nodes whose kubelets have made their serving certificates themselves, as they are configured to.
  type: list
  elements: str
  returned: always
  sample: []
refused:
  description: The requests that stay pending; each is a warning, too.
  type: list
  elements: dict
  returned: always
  contains:
    request:
      description: Name of the CertificateSigningRequest.
      type: str
      sample: csr-x2xkl
    node:
      description: Name of the node that asks, or the user name when this is not a node.
      type: str
      sample: worker2
    reasons:
      description: Why it is not approved.
      type: list
      elements: str
      sample: ["it asks for the address 192.0.2.1, allowed are 192.0.2.12"]
"""

import concurrent.futures
import socket
import ssl
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _tls, _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandError, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.cluster_memory import SERVING_IDENTITIES
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import KUBECTL_ARGUMENTS, Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet import kubelet_requests
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet.kubelet_requests import Identity
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import LONGEST, shown

#: Seconds that a kubelet may take to answer.
PROBE_TIMEOUT = 3.0


def identity(params: t.Mapping[str, t.Any]) -> Identity:
    """The node that ``params`` describes.

    :raises SlipwayError: when an address is not an IP address.
    """
    try:
        return Identity.of(params["name"], params["addresses"], params["dns_names"])
    except ValueError as error:
        raise SlipwayError(f"nodes: {params['name']}: addresses: {error}") from error


def probe(node: Identity, port: int, context: ssl.SSLContext) -> str:
    """Why the kubelet of ``node`` cannot be trusted yet; empty when it presents a certificate of the cluster's CA.

    The certificate must be valid for the address that the kubelet is reached at.
    """
    problems = []
    for address in node.addresses:
        try:
            with socket.create_connection((address, port), PROBE_TIMEOUT) as connection, context.wrap_socket(
                connection, server_hostname=address
            ):
                return ""
        except ssl.SSLCertVerificationError as error:
            return f"its kubelet at {address}:{port} presents another certificate ({error.verify_message})"
        except ssl.SSLError as error:
            if "ALERT" in (error.reason or ""):
                return f"its kubelet at {address}:{port} has no serving certificate yet"
            return f"its kubelet at {address}:{port} fails the TLS handshake ({error.reason})"
        except OSError as error:
            problems.append(f"its kubelet does not answer at {address}:{port} ({error})")
    return "; ".join(problems) or "no address is given"


class KubeCsrApprove:
    """Approves the requests of known nodes and waits until the certificates are in use."""

    def __init__(
        self,
        params: t.Mapping[str, t.Any],
        kubectl: Kubectl,
        check_mode: bool = False,
        probe_node: t.Callable[[Identity, int, ssl.SSLContext], str] = probe,
    ) -> None:
        self._nodes = {node.name: node for node in map(identity, params["nodes"])}
        self._params = params
        self._kubectl = kubectl
        self._check_mode = check_mode
        self._probe_node = probe_node
        self._approved: t.Dict[str, t.Dict[str, t.Any]] = {}
        self._refused: t.Dict[str, t.Dict[str, t.Any]] = {}
        self._missing: t.List[t.Dict[str, t.Any]] = []
        #: Nodes whose kubelets make their serving certificates themselves.
        self._self_signed = sorted(node["name"] for node in params["nodes"] if node.get("self_signed"))

    def run(self) -> t.Dict[str, t.Any]:
        """Do it, or in check mode say what would be approved."""
        lacking = self._kubectl.missing()
        if lacking:
            if not self._check_mode:
                raise SlipwayError(lacking)
            return {
                "changed": bool(self._nodes),
                "msg": f"{lacking} Requests of the given nodes would be approved.",
                **self._lists(),
            }
        wait = self._params["wait"] and not self._check_mode
        context = self._context() if wait else None
        patience = _waiting.Wait(self._params["timeout"], self._params["interval"])
        remembered = self._params["remember"] and self._remember()
        self._approve()
        waited = [node for node in self._nodes.values() if node.name not in self._self_signed]
        missing = self._probe(context, waited) if context else {}
        while context and missing:
            if patience.is_over:
                self._missing = [{"node": name, "reasons": self._why(name, missing[name])} for name in missing]
                break
            patience.sleep()
            self._approve()
            missing = self._probe(context, [self._nodes[name] for name in missing])
        if self._missing and self._params["missing_fails"]:
            raise SlipwayError(self._what_is_missing(), **self._lists())
        count = len(self._approved)
        message = f"{count} request{'' if count == 1 else 's'} {'would be ' if self._check_mode else ''}approved"
        if wait:
            message += (
                f"; kubelets with a certificate of the cluster: {len(waited) - len(missing)} of {len(self._nodes)}"
            )
            own = ", ".join(self._self_signed)
            message += f"; with one of their own, by their configuration: {own}" if own else ""
        return {"changed": bool(self._approved) or remembered, "msg": message, **self._lists()}

    def _lists(self) -> t.Dict[str, t.Any]:
        return {
            "approved": list(self._approved.values()),
            "refused": list(self._refused.values()),
            "missing": self._missing,
            "self_signed": self._self_signed,
        }

    def _context(self) -> ssl.SSLContext:
        ca_file = self._params["ca_file"]
        try:
            return _tls.verified_by(ca_file)
        except OSError as error:
            raise SlipwayError(f"Cannot read the cluster's CA certificate {ca_file}: {error}") from error

    def _remember(self) -> bool:
        """Whether the cluster had to be told, or would have to be, what the nodes' certificates may bear."""
        known = SERVING_IDENTITIES.read(self._kubectl)
        wanted = {**known, **{name: kubelet_requests.as_text(node) for name, node in self._nodes.items()}}
        if wanted != known and not self._check_mode:
            SERVING_IDENTITIES.write(self._kubectl, wanted)
        return wanted != known

    def _approve(self) -> None:
        self._refused = {}
        wanted = []
        items = self._kubectl.get("certificatesigningrequests")["items"]
        pending = [
            item
            for item in items
            if kubelet_requests.is_pending(item) and item["metadata"]["name"] not in self._approved
        ]
        waiting = kubelet_requests.later(pending)
        late = {name for names in waiting.values() for name in names}
        for node, names in waiting.items():
            reason = f"its node has {len(names)} more such requests than the {kubelet_requests.MOST} that come first"
            self._refused[names[0]] = {
                "request": shown(names[0], LONGEST),
                "node": shown(node, LONGEST),
                "reasons": [reason],
            }
        for item in pending:
            name = item["metadata"]["name"]
            if name in late:
                continue
            node = kubelet_requests.node_name(item)
            request, reasons = kubelet_requests.judge(item, self._nodes)
            if request is None or reasons:
                user = shown(node or item["spec"].get("username", ""), LONGEST)
                self._refused[name] = {"request": shown(name, LONGEST), "node": user, "reasons": reasons}
                continue
            wanted.append((item, node, request))
        owners: t.Mapping[str, t.Sequence[str]] = {}
        if any(request.addresses for _item, _node, request in wanted):
            owners = kubelet_requests.owners(self._kubectl.get("nodes")["items"])
        good = []
        for item, node, request in wanted:
            name = item["metadata"]["name"]
            reasons = kubelet_requests.taken(request.addresses, node, owners, self._nodes)
            if reasons:
                self._refused[name] = {"request": name, "node": node, "reasons": reasons}
                continue
            asked = {"dns_names": request.dns_names, "addresses": request.addresses}
            good.append((item, {"request": name, "node": node, **asked}))
        self._approve_examined(good)

    def _approve_examined(self, good: t.Sequence[t.Tuple[t.Mapping[str, t.Any], t.Dict[str, t.Any]]]) -> None:
        """:param good: requests, and what is returned of each."""
        with concurrent.futures.ThreadPoolExecutor(kubelet_requests.AT_ONCE) as pool:
            done = list(pool.map(lambda entry: self._check_mode or self._approve_one(entry[0]), good))
        for is_approved, (_item, entry) in zip(done, good):
            if is_approved:
                self._approved[entry["request"]] = entry
            else:
                refused = {"request": entry["request"], "node": entry["node"]}
                self._refused[entry["request"]] = {**refused, "reasons": ["it changed while it was examined"]}

    def _approve_one(self, item: t.Mapping[str, t.Any]) -> bool:
        """Approve the request that was examined; false when another one has its name by now, or none.

        :raises CommandError: when it fails for another reason.
        """
        arguments, text = kubelet_requests.approval(item)
        try:
            self._kubectl.run(*arguments, stdin=text)
        except CommandError as error:
            if kubelet_requests.is_another(error.result.stderr):
                return False
            raise
        return True

    def _probe(self, context: ssl.SSLContext, nodes: t.Sequence[Identity]) -> t.Dict[str, str]:
        """The problems of those nodes that have one."""
        if not nodes:
            return {}
        with concurrent.futures.ThreadPoolExecutor(max_workers=min(len(nodes), 32)) as pool:
            problems = pool.map(lambda node: self._probe_node(node, self._params["port"], context), nodes)
            return {node.name: problem for node, problem in zip(nodes, problems) if problem}

    def _what_is_missing(self) -> str:
        lines = [f"After {self._params['timeout']} seconds these nodes have no serving certificate of the cluster:"]
        lines += [f"{entry['node']}: {reason}" for entry in self._missing for reason in entry["reasons"]]
        return "\n".join(lines)

    def _why(self, name: str, problem: str) -> t.List[str]:
        """What is known of a node without a certificate."""
        requests = [entry for entry in self._refused.values() if entry["node"] == name]
        approved = [entry["request"] for entry in self._approved.values() if entry["node"] == name]
        reasons = [f"{entry['request']} is not approved: {'; '.join(entry['reasons'])}" for entry in requests]
        if approved:
            reasons.append(f"{', '.join(approved)} is approved; does kube-controller-manager run?")
        elif not requests:
            reasons.append("it has made no request; is serverTLSBootstrap set in its kubelet's configuration?")
        return [problem, *reasons]


ARGUMENTS: t.Dict[str, t.Any] = {
    **KUBECTL_ARGUMENTS,
    "nodes": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "addresses": {"type": "list", "elements": "str", "required": True},
            "dns_names": {"type": "list", "elements": "str", "default": []},
            "self_signed": {"type": "bool", "default": False},
        },
    },
    "wait": {"type": "bool", "default": True},
    "timeout": {"type": "int", "default": 120},
    "missing_fails": {"type": "bool", "default": True},
    "interval": {"type": "float", "default": 0.5},
    "ca_file": {"type": "path", "default": KUBEADM.certificate("ca")},
    "remember": {"type": "bool", "default": False},
    "port": {"type": "int", "default": 10250},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    try:
        result = KubeCsrApprove(context.params, Kubectl.of(context), context.check_mode).run()
    except SlipwayError as error:
        _warn(context, error.details.get("refused", []))
        raise
    _warn(context, result["refused"])
    for entry in result["missing"]:
        context.warn(f"{entry['node']} has no serving certificate of the cluster: {'; '.join(entry['reasons'])}")
    return result


def main() -> None:
    run_module(ARGUMENTS, run)


def _warn(context: Context, refused: t.Sequence[t.Mapping[str, t.Any]]) -> None:
    for entry in refused:
        context.warn(f"{entry['request']} of {entry['node']} stays pending: {'; '.join(entry['reasons'])}")


if __name__ == "__main__":
    main()
