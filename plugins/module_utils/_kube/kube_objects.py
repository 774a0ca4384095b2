# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects of the Kubernetes API as plain dicts: name them, read them through kubectl, compare and show them.

Private to this collection.
"""

from __future__ import annotations

import copy
import json
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl

Object = t.Dict[str, t.Any]
#: Labels or annotations; None for those that shall not be there.
Values = t.Dict[str, t.Optional[str]]

#: What the API server writes into every object: says nothing about what somebody wanted.
_SERVER_METADATA = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
#: Applied before the objects that need them.
_FIRST_KINDS = ("Namespace", "CustomResourceDefinition")

_NO_KIND = re.compile(r'no matches for kind "([^"]+)" in version "([^"]+)"')
_NO_NAMESPACE = re.compile(r'namespaces "([^"]+)" not found')
#: What kubectl and helm print when an API server, or its etcd, went away in the middle, or is away.
_AWAY = (
    r"was refused - did you specify|cluster unreachable|connection reset by peer|unexpected EOF|TLS handshake timeout"
    r"|etcdserver: (?:leader changed|no leader|request timed out)"
)
#: What kubectl prints while the API server, an aggregated API, a webhook or a CustomResourceDefinition is coming up. An
#: API server that has just started refuses everybody until it knows its roles, kubeadm's administrator, too.
_TRANSIENT = re.compile(
    rf"{_AWAY}|failed calling webhook|no endpoints available|connection refused"
    r"|no matches for kind|ensure CRDs are installed first|could not find the requested resource"
    r"|currently unable to handle the request"
    r"|i/o timeout|context deadline exceeded|request timed out|no route to host"
    r"|the object has been modified|Too Many Requests|ServiceUnavailable"
    r"|User \"kubernetes-admin\" cannot \w+ resource",
    re.IGNORECASE,
)
_CONFLICT_ADVICE = re.compile(r"Please review the fields above.*", re.DOTALL)
_KLOG_LINE = re.compile(r"^[EIWF]\d{4} [\d:.]+ .*\n?", re.MULTILINE)


class Reference(t.NamedTuple):
    """What tells an object from all others; the version of its API does not."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        kind = f"{self.kind}.{self.group}" if self.group else self.kind
        return f"{kind} {self.namespace}/{self.name}" if self.namespace else f"{kind} {self.name}"


def reference(item: Object, namespace: str = "") -> Reference:
    """The reference of ``item``; ``namespace`` is assumed when it names none."""
    metadata = item["metadata"]
    return Reference(group(item), item["kind"], metadata.get("namespace") or namespace, metadata["name"])


def group(item: Object) -> str:
    """The API group of ``item``; empty for the core group."""
    prefix, slash, _version = item["apiVersion"].partition("/")
    return prefix if slash else ""


def identity(item: Object) -> Object:
    """The smallest manifest that kubectl finds ``item`` by."""
    metadata = {key: item["metadata"][key] for key in ("name", "namespace") if item["metadata"].get(key)}
    return {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": metadata}


def expand(documents: t.Iterable[t.Any], source: str) -> t.List[Object]:
    """The objects in ``documents``, with those of List objects in their place.

    :param source: where they come from, for messages.
    :raises SlipwayError: when one is not an object of the API, or has no name.
    """
    objects: t.List[Object] = []
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, dict):
            raise SlipwayError(f"{source} holds a {type(document).__name__} where a Kubernetes object is expected.")
        kind, version = document.get("kind"), document.get("apiVersion")
        if not isinstance(kind, str) or not isinstance(version, str) or not kind or not version:
            raise SlipwayError(f"{source} holds an object without apiVersion or kind; its keys: {sorted(document)}.")
        if kind.endswith("List") and isinstance(document.get("items"), list):
            objects.extend(expand(document["items"], source))
            continue
        metadata = document.get("metadata")
        if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
            raise SlipwayError(f"{source} holds a {kind} without metadata.name (generateName cannot be applied).")
        objects.append(document)
    return objects


def as_values(values: t.Optional[t.Mapping[str, t.Any]], where: str) -> t.Optional[Values]:
    """Labels or annotations with texts as values: YAML makes numbers and booleans of some.

    :raises SlipwayError: when a value cannot be a text.
    """
    if values is None:
        return None
    texts: Values = {}
    for key, value in values.items():
        if isinstance(value, bool):
            texts[key] = "true" if value else "false"
        elif value is None or isinstance(value, (str, int)):
            texts[key] = None if value is None else str(value)
        else:
            raise SlipwayError(f"{where}: {key} must be a text, not {json.dumps(value)}.")
    return texts


def in_order(objects: t.Iterable[Object]) -> t.List[Object]:
    """``objects`` with namespaces and custom resource definitions first."""
    return sorted(objects, key=lambda item: item["kind"] not in _FIRST_KINDS)


def as_list(objects: t.Iterable[Object]) -> str:
    """One JSON document for kubectl's standard input."""
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})


def documents(text: str) -> t.List[t.Any]:
    """The JSON documents that stand one after another in ``text``: kubectl's output for several objects."""
    decoder = json.JSONDecoder()
    found = []
    text = text.strip()
    while text:
        document, end = decoder.raw_decode(text)
        found.append(document)
        text = text[end:].lstrip()
    return found


def missing_kinds(stderr: str) -> t.Set[t.Tuple[str, str]]:
    """The kinds that the API server does not know (yet) according to kubectl: pairs of apiVersion and kind."""
    return {(version, kind) for kind, version in _NO_KIND.findall(stderr)}


def missing_namespaces(stderr: str) -> t.Set[str]:
    """The namespaces that do not exist according to kubectl."""
    return set(_NO_NAMESPACE.findall(stderr))


def lacks_webhook(stderr: str) -> bool:
    """Whether nothing but a webhook that does not answer kept the API server from its work."""
    return "failed calling webhook" in stderr


def is_away(stderr: str) -> bool:
    """Whether a command failed because the API server went away meanwhile, or is away."""
    return bool(re.search(_AWAY, stderr, re.IGNORECASE))


def is_transient(stderr: str) -> bool:
    """Whether what kubectl prints may pass by itself while something in the cluster comes up."""
    return bool(_TRANSIENT.search(stderr))


def complaint(result: CommandResult) -> str:
    """What kubectl complains about, without its log lines and its advice about flags."""
    text = _CONFLICT_ADVICE.sub("", _KLOG_LINE.sub("", result.stderr)).strip()
    return text or result.stderr.strip() or f"kubectl ended with {result.rc} and printed nothing"


def warnings(result: CommandResult) -> t.List[str]:
    """The API server's warnings (deprecated versions, violated policies) that kubectl passed on."""
    lines = (line[len("Warning: ") :] for line in result.stderr.splitlines() if line.startswith("Warning: "))
    return list(dict.fromkeys(lines))


def read(kubectl: Kubectl, objects: t.Sequence[Object], *arguments: str) -> t.Tuple[t.List[Object], CommandResult]:
    """Those of ``objects`` that exist, as the API server returns them, by one call.

    Objects of unknown kinds are absent.

    :returns: the objects and kubectl's result; when its return code is not zero, nothing is known.
    """
    wanted = [identity(item) for item in objects]
    result = CommandResult([], 0, "", "")
    while wanted:
        result = kubectl.run(
            "get", "--filename=-", "--ignore-not-found", "--output=json", *arguments, stdin=as_list(wanted), check=False
        )
        # kubectl prints none of the objects when one of them is of an unknown kind.
        unknown = missing_kinds(result.stderr)
        known = [item for item in wanted if (item["apiVersion"], item["kind"]) not in unknown]
        if result.rc == 0 or len(known) == len(wanted):
            break
        wanted, result = known, CommandResult([], 0, "", "")
    return (expand(documents(result.stdout), "kubectl") if result.rc == 0 else []), result


def comparable(item: Object) -> Object:
    """``item`` without its status and what the API server keeps in its metadata."""
    item = copy.deepcopy({key: value for key, value in item.items() if key != "status"})
    metadata = item["metadata"]
    for key in _SERVER_METADATA:
        metadata.pop(key, None)
    annotations = metadata.get("annotations") or {}
    annotations.pop(_LAST_APPLIED, None)
    if not annotations:
        metadata.pop("annotations", None)
    return item


def owned_fields(item: Object, manager: str) -> t.Set[str]:
    """The fields of ``item`` that ``manager`` owns by server-side apply."""
    fields: t.Set[str] = set()
    for entry in item["metadata"].get("managedFields") or []:
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource"):
            fields.update(_field_paths(entry.get("fieldsV1") or {}, ""))
    return fields


def with_labels_of(item: Object, live: t.Optional[Object], manager: str) -> Object:
    """``item`` with the labels that ``manager`` has given the object before; else it would take them away.

    For what several have a part in, as in a namespace.
    """
    if live is None:
        return item
    owned = owned_fields(live, manager)
    labels = live["metadata"].get("labels") or {}
    kept = {key: value for key, value in labels.items() if f"metadata.labels.{key}" in owned}
    metadata = item["metadata"]
    return {**item, "metadata": {**metadata, "labels": {**kept, **(metadata.get("labels") or {})}}}


def _field_paths(fields: Object, prefix: str) -> t.Iterator[str]:
    for key, below in fields.items():
        path = prefix if key == "." else prefix + ("." + key[2:] if key.startswith("f:") else f"[{key[2:]}]")
        if below:
            yield from _field_paths(below, path)
        else:
            yield path.lstrip(".")


def leaves(value: t.Any, path: str = "") -> t.Dict[str, t.Any]:
    """The scalars (and empty containers) in ``value`` by their paths, such as ``spec.ports[0].port``."""
    if isinstance(value, dict) and value:
        found: t.Dict[str, t.Any] = {}
        for key in sorted(value):
            step = key if re.match(r"^[\w-]+$", key) else f"[{json.dumps(key)}]"
            found.update(leaves(value[key], f"{path}.{step}" if path and step == key else path + step))
        return found
    if isinstance(value, list) and value:
        found = {}
        for index, item in enumerate(value):
            found.update(leaves(item, f"{path}[{index}]"))
        return found
    return {path: value}


def difference(before: t.Optional[Object], after: t.Optional[Object]) -> t.Tuple[str, str]:
    """The leaves that differ, one a line, as they are before and after; values of Secrets are masked."""
    old = leaves(before) if before is not None else {}
    new = leaves(after) if after is not None else {}
    secret = (after or before or {}).get("kind") == "Secret"
    sides = []
    for side, other, name in ((old, new, "before"), (new, old, "after")):
        lines = []
        for path, value in side.items():
            if path not in other or other[path] != value:
                hidden = secret and re.match(r"(data|stringData)\b", path)
                lines.append(_line(path, f"*** ({name})" if hidden else value))
        sides.append("".join(lines))
    return sides[0], sides[1]


def _line(path: str, value: t.Any) -> str:
    if isinstance(value, str) and "\n" in value:
        return f"{path}: |\n" + "".join(f"  {line}\n" for line in value.splitlines())
    return f"{path}: {json.dumps(value, ensure_ascii=False)}\n"
