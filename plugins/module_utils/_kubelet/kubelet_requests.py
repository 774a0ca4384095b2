# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubelets' requests for the certificates of their ports (CertificateSigningRequest): who asks for what, and may he.

Nothing of Ansible is needed here, so that programs on nodes judge by the same rules as the modules.

Private to this collection.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import json
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import der, pkcs10, x509
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import LONGEST, listed, shown

SIGNER = "kubernetes.io/kubelet-serving"
USER_PREFIX = "system:node:"
#: As kubelets call their requests. The API server takes nearly any text, which could be an option to kubectl.
_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
GROUP = "system:nodes"
#: What a kubelet asks for, with an RSA key and with any other (as the signer in kube-controller-manager demands).
USAGES = (
    ["digital signature", "key encipherment", "server auth"],
    ["digital signature", "server auth"],
)


#: How many requests are approved at the same time.
AT_ONCE = 8
#: How many requests of one node are approved in one go. A kubelet has one or two; thousands are of one that is no more.
MOST = 10


def approval(item: t.Mapping[str, t.Any]) -> t.Tuple[t.List[str], str]:
    """The arguments of kubectl that approve the request ``item``, and what it reads from its standard input.

    What was examined goes back with its uid and version: the API server refuses it when another request has that name
    by now. ``kubectl certificate approve`` would approve that one, and who makes a request can have the cluster delete
    it (by an owner that does not exist) and make another one of the same name.
    """
    condition = {
        "type": "Approved",
        "status": "True",
        "reason": "SlipwayApprove",
        "message": "The names are those that the inventory gives the node.",
    }
    status = item.get("status") or {}
    examined = {
        **item,
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "status": {**status, "conditions": [*(status.get("conditions") or []), condition]},
    }
    path = f"/apis/certificates.k8s.io/v1/certificatesigningrequests/{item['metadata']['name']}/approval"
    return ["replace", f"--raw={path}", "--filename=-"], json.dumps(examined)


def is_another(said: str) -> bool:
    """Whether kubectl says that the request is not the one any more that was examined, or is gone."""
    return "(Conflict)" in said or "(NotFound)" in said


@dataclasses.dataclass(frozen=True)
class Identity:
    """A node and what its certificate may bear; DNS names in lower case, addresses in their canonical form."""

    name: str
    addresses: t.Tuple[str, ...]
    dns_names: t.FrozenSet[str]

    @classmethod
    def of(cls, name: str, addresses: t.Iterable[str], dns_names: t.Iterable[str] = ()) -> Identity:
        """The node ``name``, which may bear its name, ``addresses`` and ``dns_names``.

        :raises ValueError: when an address is not an IP address.
        """
        canonical = tuple(map(x509.canonical_address, addresses))
        return cls(name, canonical, frozenset(text.lower() for text in [name, *dns_names]))


def as_text(identity: Identity) -> str:
    """An identity as the cluster remembers it."""
    names = {"addresses": sorted(identity.addresses), "dns_names": sorted(identity.dns_names)}
    return json.dumps(names, sort_keys=True)


def from_texts(texts: t.Mapping[str, str]) -> t.Dict[str, Identity]:
    """The identities that the cluster remembers, by the name of the node. What is malformed is left out."""
    found = {}
    for name, text in texts.items():
        try:
            names = json.loads(text)
            found[name] = Identity.of(name, names["addresses"], names["dns_names"])
        except (ValueError, TypeError, KeyError, AttributeError):
            continue
    return found


def is_pending(item: t.Mapping[str, t.Any]) -> bool:
    """Whether a CertificateSigningRequest is for a kubelet's port and nobody has decided on it."""
    conditions = item.get("status", {}).get("conditions") or []
    decided = any(condition["type"] in ("Approved", "Denied", "Failed") for condition in conditions)
    return item["spec"]["signerName"] == SIGNER and not decided


def node_name(item: t.Mapping[str, t.Any]) -> str:
    """The name of the node that made a request; empty when it is not a node."""
    user = item["spec"].get("username", "")
    return user[len(USER_PREFIX) :] if user.startswith(USER_PREFIX) else ""


def later(pending: t.Iterable[t.Mapping[str, t.Any]]) -> t.Dict[str, t.List[str]]:
    """The names of the requests that have to wait since their node has too many, by node; its latest go first."""
    asked: t.Dict[str, t.List[t.Tuple[str, str]]] = {}
    for item in pending:
        metadata = item["metadata"]
        if node_name(item):
            asked.setdefault(node_name(item), []).append((metadata.get("creationTimestamp", ""), metadata["name"]))
    return {
        node: [name for _created, name in sorted(requests, reverse=True)[MOST:]]
        for node, requests in asked.items()
        if len(requests) > MOST
    }


def read(item: t.Mapping[str, t.Any]) -> pkcs10.Request:
    """The request itself.

    :raises der.DerError: when it cannot be read.
    """
    try:
        return pkcs10.parse(base64.b64decode(item["spec"]["request"], validate=True).decode("ascii"))
    except (binascii.Error, UnicodeDecodeError) as error:
        raise der.DerError(str(error)) from error


def describe(item: t.Mapping[str, t.Any]) -> str:
    """A sentence that says who asks for what."""
    who = node_name(item) or item["spec"].get("username", "")
    try:
        request = read(item)
    except der.DerError as error:
        asked = f"something that cannot be read ({shown(error, LONGEST)})"
    else:
        asked = listed([*request.dns_names, *request.addresses, *request.others]) or "no name"
    names = [shown(name, LONGEST) for name in (item["metadata"]["name"], who)]
    return f"The request {names[0]} of {names[1]} for a serving certificate is pending: it asks for {asked}."


def judge(
    item: t.Mapping[str, t.Any], allowed: t.Mapping[str, Identity]
) -> t.Tuple[t.Optional[pkcs10.Request], t.List[str]]:
    """The parsed request and the reasons against it; without reasons it may be approved.

    What the reasons quote is escaped: a node could write to the terminal.

    :param item: the CertificateSigningRequest, as the API server has it.
    :param allowed: the nodes whose requests may be approved, by name.
    """
    spec = item["spec"]
    name = node_name(item)
    if not name:
        return None, [f"it comes from the user '{shown(spec.get('username', ''), LONGEST)}', who is not a node"]
    reasons = []
    if not _NAME.fullmatch(item["metadata"]["name"]):
        reasons.append(f"its own name is none that a kubelet gives: {shown(item['metadata']['name'], LONGEST)}")
    if GROUP not in (spec.get("groups") or []):
        reasons.append(f"its user is not in the group {GROUP}")
    usages = spec.get("usages") or []
    if sorted(usages) not in USAGES:
        reasons.append(f"it asks for the usages {listed(sorted(usages))} instead of those of a server")
    try:
        request = read(item)
    except der.DerError as error:
        return None, [*reasons, f"it cannot be read: {shown(error, LONGEST)}"]
    node = allowed.get(name)
    beyond = _beyond(request, node) if node else [f"{shown(name, LONGEST)} is not among the given nodes"]
    return request, [*reasons, *_unlike_a_kubelet(request, spec["username"]), *beyond]


def _unlike_a_kubelet(request: pkcs10.Request, user: str) -> t.List[str]:
    """What no kubelet asks for, whatever its names are."""
    reasons = []
    if sorted(request.subject) != [(pkcs10.ORGANIZATION, GROUP), (pkcs10.COMMON_NAME, user)]:
        labels = {pkcs10.COMMON_NAME: "CN", pkcs10.ORGANIZATION: "O"}
        subject = listed(f"{labels.get(key, key)}={value}" for key, value in request.subject)
        reasons.append(f"its subject ({subject}) is not CN={shown(user, LONGEST)}, O={GROUP}")
    if request.others:
        reasons.append(f"it asks for more than names: {listed(request.others)}")
    if not request.dns_names and not request.addresses:
        reasons.append("it names neither a DNS name nor an address")
    return reasons


def _beyond(request: pkcs10.Request, node: Identity) -> t.List[str]:
    """The names and addresses that ``node`` may not bear."""
    reasons = []
    for dns_name in request.dns_names:
        if dns_name.lower() not in node.dns_names:
            name = shown(dns_name, LONGEST)
            reasons.append(f"it asks for the name {name}, allowed are {listed(sorted(node.dns_names))}")
    for address in request.addresses:
        if address not in node.addresses:
            reasons.append(f"it asks for the address {address}, allowed are {', '.join(node.addresses)}")
    return reasons


def owners(nodes: t.Iterable[t.Mapping[str, t.Any]]) -> t.Dict[str, t.List[str]]:
    """The names of the nodes that announce an address, by address.

    A kubelet writes its own, and the API server takes any text for one: what is no address is nobody's.

    :param nodes: Node objects: hosts that are in no inventory are among them.
    """
    found: t.Dict[str, t.List[str]] = {}
    for item in nodes:
        for address in item.get("status", {}).get("addresses") or []:
            if address.get("type") in ("InternalIP", "ExternalIP"):
                with contextlib.suppress(ValueError):
                    own = x509.canonical_address(str(address.get("address")))
                    found.setdefault(own, []).append(item["metadata"]["name"])
    return found


def taken(
    addresses: t.Iterable[str],
    node: str,
    known: t.Mapping[str, t.Sequence[str]],
    allowed: t.Mapping[str, Identity],
) -> t.List[str]:
    """The reasons against addresses that the cluster has as those of other nodes.

    Who holds a worker announces what he likes: it counts for nothing against others when it is known that the address
    is not that worker's.

    :param known: who announces what, see :func:`owners`.
    :param allowed: the nodes whose addresses are known, by name.
    """
    reasons = []
    for address in addresses:
        others = [
            name
            for name in known.get(address, [])
            if name != node and (name not in allowed or address in allowed[name].addresses)
        ]
        if others:
            reasons.append(f"it asks for the address {address}, which {listed(others)} announces, too")
    return reasons
