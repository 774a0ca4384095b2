#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_node
short_description: Manage labels, annotations and taints of Kubernetes nodes
version_added: 0.1.0
description:
  - Sets labels, annotations and taints of nodes, and removes those that it set earlier and that are not given any more.
    All others are left alone.
  - What it has set is recorded in the ConfigMap C(slipway-node-settings) in C(kube-system), which nodes may not write.
    A record of version 0.1.0, in an annotation of the node, counts as long as there is no such ConfigMap.
  - Labels such as C(node-role.kubernetes.io/worker), which a kubelet may not give itself, can be set.
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.kubectl
attributes:
  check_mode:
    support: full
    details:
      - The API server checks the changes by a dry run.
      - Where C(kubectl), the kubeconfig or a node is absent, it reports a change.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  nodes:
    description:
      - The nodes.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the Node object.
        type: str
        required: true
      labels:
        description:
          - Labels and their values. A label with the value V(null) is removed, whoever has set it.
          - Without this option labels are left alone; with an empty mapping those that were set earlier are removed.
        type: dict
      annotations:
        description:
          - Annotations and their values, in the way of O(nodes[].labels).
        type: dict
      taints:
        description:
          - Taints. Without this option taints are left alone; with an empty list those that were set earlier are
            removed.
        type: list
        elements: dict
        suboptions:
          key:
            description:
              - Key of the taint.
            type: str
            required: true
          value:
            description:
              - Value of the taint.
            type: str
            default: ""
          effect:
            description:
              - What happens to pods that do not tolerate the taint.
            type: str
            choices: [NoSchedule, PreferNoSchedule, NoExecute]
            required: true
      control_plane_taints:
        description:
          - For a control plane, the taints that kubeadm gives it once, together with the labels
            C(node-role.kubernetes.io/control-plane) and C(node.kubernetes.io/exclude-from-external-load-balancers).
          - A node without the first of these labels, whose object was deleted and made again by its kubelet, gets all
            of them again, at once. They are not recorded, and otherwise left alone.
        type: list
        elements: dict
        suboptions:
          key:
            description:
              - Key of the taint.
            type: str
            required: true
          value:
            description:
              - Value of the taint.
            type: str
            default: ""
          effect:
            description:
              - What happens to pods that do not tolerate the taint.
            type: str
            choices: [NoSchedule, PreferNoSchedule, NoExecute]
            required: true
  manager:
    description:
      - Name of the record. Calls with different names do not remove what the others have set.
    type: str
    default: slipway
  timeout:
    description:
      - Seconds to wait for nodes that are not registered yet.
    type: int
    default: 30
  missing_fails:
    description:
      - Whether to fail when nodes are not registered after O(timeout), before any is changed. Otherwise the others are
        changed, and these are warned of and in RV(missing).
    type: bool
    default: true
author:
  - slipway.kubernetes contributors (@slipway)
"""

EXAMPLES = r"""
- name: Label a node and keep ordinary pods away from it
  slipway.kubernetes.kube_node:
    nodes:
      - name: "{{ example_node_name }}"
        labels:
          node-role.kubernetes.io/storage: ""
          example.org/rack: r12
        taints:
          - key: example.org/storage
            value: "true"
            effect: NoSchedule

- name: Take all that back
  slipway.kubernetes.kube_node:
    nodes:
      - name: "{{ example_node_name }}"
        labels: {}
        taints: []
"""

RETURN = r"""
msg:
  description: How many nodes were changed.
  type: str
  returned: success
  sample: 1 of 3 nodes changed
nodes:
  description: The nodes and whether each was changed.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Name of the Node object.
      type: str
      sample: worker1
    changed:
      description: Whether it was changed.
      type: bool
missing:
  description: Names of the nodes that are not registered.
  type: list
  elements: str
  returned: success
  sample: []
"""

import contextlib
import copy
import json
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._api_endpoints import CONTROL_PLANE
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kube_objects as kube
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.cluster_memory import NODE_SETTINGS
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import KUBECTL_ARGUMENTS, Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

#: The annotation in which version 0.1.0 kept its record.
FORMER_PREFIX = "slipway.io/managed."
#: The labels of kubeadm's phase mark-control-plane.
MARKS = (CONTROL_PLANE, "node.kubernetes.io/exclude-from-external-load-balancers")
#: How the API server says that an object is not there.
_NOT_FOUND = "(NotFound)"
#: Seconds for which a change is tried again that somebody else's crosses.
CONFLICTS = 5

Taint = t.Dict[str, str]
#: Keys of labels and annotations, and taints, that were set.
Record = t.Dict[str, t.List[str]]


def merge_values(
    current: t.Mapping[str, str], wanted: kube.Values, recorded: t.Iterable[str]
) -> t.Tuple[t.Dict[str, str], t.List[str]]:
    """Labels or annotations as they are to be, and the keys to record from now on.

    A key that somebody else has set to the wanted value is not recorded: it is not ours to remove.
    """
    recorded = set(recorded)
    values = {key: value for key, value in current.items() if key not in recorded or key in wanted}
    ours = []
    for key, value in wanted.items():
        if value is None:
            values.pop(key, None)
            continue
        if key in recorded or values.get(key) != value:
            ours.append(key)
        values[key] = value
    return values, sorted(ours)


def taint_id(taint: Taint) -> str:
    """What tells a taint from the others of a node."""
    return f"{taint['key']}:{taint['effect']}"


def merge_taints(
    current: t.Sequence[Taint], wanted: t.Sequence[Taint], recorded: t.Iterable[str]
) -> t.Tuple[t.List[Taint], t.List[str]]:
    """Taints as they are to be, and those to record from now on."""
    before = {taint_id(taint): taint for taint in current}
    kept, ours = merge_values(
        {name: taint.get("value", "") for name, taint in before.items()},
        {taint_id(taint): taint["value"] for taint in wanted},
        recorded,
    )
    given = {taint_id(taint): taint for taint in wanted}
    taints = []
    for name, value in kept.items():
        old = before.get(name)
        if old is not None and old.get("value", "") == value:
            taints.append(old)
        else:
            taint = given[name]
            taints.append({key: taint[key] for key in ("key", "value", "effect") if taint[key]})
    return taints, ours


def as_record(text: str) -> Record:
    """A record.

    :raises ValueError: when it is none.
    """
    found = json.loads(text)
    if not isinstance(found, dict) or not all(isinstance(keys, list) for keys in found.values()):
        raise ValueError("it is no record")
    return {kind: [str(key) for key in keys] for kind, keys in found.items()}


class Records:
    """What calls of a manager have set, by node.

    :param found: the ConfigMap; ``None`` when there is none yet.
    """

    def __init__(self, found: t.Optional[kube.Object], manager: str) -> None:
        self._manager = manager
        self.is_new = found is None
        self.data: t.Dict[str, str] = dict((found or {}).get("data") or {})

    def of(self, node: kube.Object) -> Record:
        """What was set on a node.

        :raises SlipwayError: when the ConfigMap has been damaged.
        """
        if self.is_new:
            # The node may have written anything there.
            with contextlib.suppress(ValueError):
                annotations = node["metadata"].get("annotations") or {}
                return as_record(annotations.get(FORMER_PREFIX + self._manager, "{}"))
            return {}
        return self._all(node["metadata"]["name"]).get(self._manager, {})

    def _all(self, name: str) -> t.Dict[str, Record]:
        try:
            managers = dict(json.loads(self.data.get(name, "{}")))
            return {manager: as_record(json.dumps(record)) for manager, record in managers.items()}
        except (TypeError, ValueError) as error:
            where = kube.reference(NODE_SETTINGS.manifest)
            raise SlipwayError(f"{where} is damaged, at the node {name}: {error}") from error

    def with_these(self, records: t.Mapping[str, Record]) -> t.Dict[str, str]:
        """The data of the ConfigMap when these nodes have these records."""
        data = dict(self.data)
        for name, record in records.items():
            managers = {**self._all(name), self._manager: record}
            managers = {manager: found for manager, found in managers.items() if found}
            data[name] = json.dumps(managers, sort_keys=True)
            if not managers:
                del data[name]
        return data


class NodeSettings:
    """What one node is to have."""

    def __init__(self, params: t.Mapping[str, t.Any], manager: str) -> None:
        """:raises SlipwayError: when a value cannot be a text."""
        self.name: str = params["name"]
        self._labels = kube.as_values(params["labels"], f"nodes: {self.name}: labels")
        self._annotations = kube.as_values(params["annotations"], f"nodes: {self.name}: annotations")
        self._taints: t.Optional[t.List[Taint]] = params["taints"]
        self._control_plane_taints: t.Optional[t.List[Taint]] = params.get("control_plane_taints")
        self._former = FORMER_PREFIX + manager

    @property
    def adds(self) -> bool:
        """Whether a node gets anything by this that kubeadm has not given it."""
        return bool(self._labels or self._annotations or self._taints)

    @property
    def marks(self) -> bool:
        """Whether it is a control plane, which gets its marks again when its Node was deleted."""
        return self._control_plane_taints is not None

    def applied_to(self, node: kube.Object, recorded: Record) -> t.Tuple[kube.Object, Record]:
        """``node`` as it is to be, and what of it is to be recorded."""
        node = copy.deepcopy(node)
        metadata = node["metadata"]
        labels = metadata.get("labels") or {}
        annotations = metadata.get("annotations") or {}
        if self._control_plane_taints is not None and CONTROL_PLANE not in labels:
            labels.update(dict.fromkeys(MARKS, ""))
            present = node["spec"].get("taints") or []
            # What is recorded is only what `taints` has set.
            node["spec"]["taints"] = merge_taints(present, self._control_plane_taints, [])[0]
        annotations.pop(self._former, None)
        record = dict(recorded)
        if self._labels is not None:
            labels, record["labels"] = merge_values(labels, self._labels, record.get("labels", []))
        if self._annotations is not None:
            annotations, record["annotations"] = merge_values(
                annotations, self._annotations, record.get("annotations", [])
            )
        if self._taints is not None:
            taints, record["taints"] = merge_taints(
                node["spec"].get("taints") or [], self._taints, record.get("taints", [])
            )
            node["spec"]["taints"] = taints
        metadata["labels"] = labels
        metadata["annotations"] = annotations
        return node, {key: value for key, value in record.items() if value}


def settings(node: kube.Object) -> kube.Object:
    """The part of a node that this module may change."""
    parts = {
        "labels": node["metadata"].get("labels"),
        "annotations": node["metadata"].get("annotations"),
        "taints": {taint_id(taint): taint.get("value", "") for taint in node["spec"].get("taints") or []},
    }
    return {name: part for name, part in parts.items() if part}


class KubeNode:
    """Makes nodes like the given settings."""

    def __init__(self, params: t.Mapping[str, t.Any], kubectl: Kubectl, check_mode: bool = False) -> None:
        if not re.match(r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,40}[A-Za-z0-9])?$", params["manager"]):
            raise SlipwayError("manager must be up to 42 letters, digits, dots, dashes and underscores.")
        self._manager: str = params["manager"]
        self._wanted = [NodeSettings(node, self._manager) for node in params["nodes"]]
        self._timeout = params["timeout"]
        self._missing_fails = params["missing_fails"]
        self._kubectl = kubectl
        self._check_mode = check_mode

    def replace_argv(self) -> t.List[str]:
        """The arguments of kubectl that replace the nodes in its standard input."""
        argv = ["replace", "--filename=-", "--field-manager=slipway", "--output=name"]
        return [*argv, "--dry-run=server"] if self._check_mode else argv

    def run(self) -> t.Dict[str, t.Any]:
        """Do it, or in check mode say what would be done."""
        lacking = self._kubectl.missing()
        if lacking:
            if not self._check_mode:
                raise SlipwayError(lacking)
            return self._result({wanted.name: wanted.adds for wanted in self._wanted}, {}, [], f" ({lacking})")
        live, absent, records = self._read()
        before, first = live, self._differing(live, records)
        wait = _waiting.Wait(CONFLICTS)
        while True:
            differing = self._differing(live, records)
            if not differing:
                break
            # Before: of a run that is killed in between nothing stays that nobody takes away.
            records = self._remember(records, self._recorded(live, records, both=True))
            result = self._kubectl.run(*self.replace_argv(), stdin=kube.as_list(differing.values()), check=False)
            if result.rc == 0:
                break
            # One that was deleted since it was read is looked for again.
            if not (kube.is_transient(result.stderr) or _NOT_FOUND in result.stderr) or wait.is_over:
                raise SlipwayError(f"Cannot change nodes: {kube.complaint(result)}")
            wait.sleep()
            live, absent, records = self._read()
        self._remember(records, self._recorded(live, records))
        changes = {name: (before[name], node) for name, node in first.items() if name not in absent}
        changed = {wanted.name: wanted.name in absent and (wanted.adds or wanted.marks) for wanted in self._wanted}
        changed.update(dict.fromkeys(changes, True))
        if not self._check_mode:
            changed.update(dict.fromkeys(absent, False))
        remark = f" (not registered{' yet' if self._check_mode else ''}: {', '.join(absent)})" if absent else ""
        return self._result(changed, changes, [] if self._check_mode else absent, remark)

    def _read(self) -> t.Tuple[t.Dict[str, kube.Object], t.List[str], Records]:
        """The nodes that exist, the names of the others, which are waited for outside check mode, and the records."""
        names = [wanted.name for wanted in self._wanted]
        manifests = [{"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}} for name in names]
        wait = _waiting.Wait(self._timeout)
        while True:
            items, result = kube.read(self._kubectl, [*manifests, NODE_SETTINGS.manifest])
            if result.rc != 0:
                raise SlipwayError(f"Cannot read nodes: {kube.complaint(result)}")
            live = {item["metadata"]["name"]: item for item in items if item["kind"] == "Node"}
            records = Records(next((item for item in items if item["kind"] != "Node"), None), self._manager)
            absent = [name for name in names if name not in live]
            if not absent or self._check_mode:
                return live, absent, records
            if wait.is_over and not self._missing_fails:
                return live, absent, records
            if wait.is_over:
                raise SlipwayError(
                    f"After {self._timeout} seconds these nodes are not registered: {', '.join(absent)}. A kubelet only"
                    " registers its node when it starts: site.yml starts it again."
                )
            wait.sleep()

    def _applied(
        self, live: t.Mapping[str, kube.Object], records: Records
    ) -> t.Dict[str, t.Tuple[kube.Object, Record]]:
        """The nodes that exist as they are to be, with what is to be recorded of each."""
        present = [wanted for wanted in self._wanted if wanted.name in live]
        return {wanted.name: wanted.applied_to(live[wanted.name], records.of(live[wanted.name])) for wanted in present}

    def _differing(self, live: t.Mapping[str, kube.Object], records: Records) -> t.Dict[str, kube.Object]:
        """The nodes as they are to be, of those that are not."""
        applied = self._applied(live, records).items()
        return {name: node for name, (node, _record) in applied if settings(live[name]) != settings(node)}

    def _recorded(self, live: t.Mapping[str, kube.Object], records: Records, both: bool = False) -> t.Dict[str, Record]:
        """What is to be recorded; with ``both`` what is recorded now, too."""
        found = {name: record for name, (_node, record) in self._applied(live, records).items()}
        if not both:
            return found
        before = {name: records.of(live[name]) for name in found}
        return {
            name: {
                kind: sorted({*before[name].get(kind, []), *record.get(kind, [])}) for kind in {*before[name], *record}
            }
            for name, record in found.items()
        }

    def _remember(self, records: Records, wanted: t.Mapping[str, Record]) -> Records:
        """Write what differs; returns the records as they are then."""
        data = records.with_these(wanted)
        if self._check_mode or (data == records.data and not records.is_new):
            return records
        NODE_SETTINGS.write(self._kubectl, data)
        return Records({"data": data}, self._manager)

    @staticmethod
    def _result(
        changed: t.Mapping[str, bool],
        changes: t.Mapping[str, t.Tuple[kube.Object, kube.Object]],
        missing: t.Sequence[str],
        remark: str,
    ) -> t.Dict[str, t.Any]:
        diffs = []
        for name, (before, after) in changes.items():
            texts = kube.difference(settings(before), settings(after))
            header = f"Node {name}"
            diffs.append({"before_header": header, "after_header": header, "before": texts[0], "after": texts[1]})
        return {
            "changed": any(changed.values()),
            "msg": f"{sum(changed.values())} of {len(changed)} nodes changed{remark}",
            "nodes": [{"name": name, "changed": value} for name, value in changed.items()],
            "missing": list(missing),
            "diff": diffs,
        }


_TAINTS = {
    "type": "list",
    "elements": "dict",
    "options": {
        "key": {"type": "str", "required": True, "no_log": False},
        "value": {"type": "str", "default": ""},
        "effect": {"type": "str", "choices": ["NoSchedule", "PreferNoSchedule", "NoExecute"], "required": True},
    },
}
ARGUMENTS: t.Dict[str, t.Any] = {
    **KUBECTL_ARGUMENTS,
    "nodes": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "labels": {"type": "dict"},
            "annotations": {"type": "dict"},
            "taints": _TAINTS,
            "control_plane_taints": _TAINTS,
        },
    },
    "manager": {"type": "str", "default": "slipway"},
    "timeout": {"type": "int", "default": 30},
    "missing_fails": {"type": "bool", "default": True},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    result = KubeNode(context.params, Kubectl.of(context), context.check_mode).run()
    if result["missing"]:
        context.warn(
            f"{', '.join(result['missing'])}: the cluster has no such node. A kubelet only registers its node when it"
            " starts: site.yml starts it again."
        )
    return result


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
