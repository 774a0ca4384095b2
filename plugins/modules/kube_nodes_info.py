#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_nodes_info
short_description: List the nodes of a Kubernetes cluster
version_added: 0.1.0
description:
  - Returns what there is to know about nodes at a glance, as data and as a table for people.
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.kubectl
attributes:
  check_mode:
    support: full
    details:
      - Where C(kubectl) or the kubeconfig is absent, there are no nodes.
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  names:
    description:
      - Names of the nodes; all when empty. Nodes that do not exist are left out.
    type: list
    elements: str
    default: []
author:
  - slipway.kubernetes contributors (@slipway)
"""

EXAMPLES = r"""
- name: Look at the nodes
  slipway.kubernetes.kube_nodes_info:
  register: example_nodes

- name: Show them
  ansible.builtin.debug:
    msg: "{{ example_nodes.table }}"
"""

RETURN = r"""
nodes:
  description: The nodes, control planes first.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Name of the Node object.
      type: str
      sample: worker1
    roles:
      description: The roles that its labels name.
      type: list
      elements: str
      sample: [control-plane]
    version:
      description: Version of its kubelet.
      type: str
      sample: 1.37.1
    runtime:
      description: Its container runtime with the version.
      type: str
      sample: containerd://2.4.2
    address:
      description: Its first internal address.
      type: str
      sample: 192.0.2.11
    addresses:
      description: All its addresses.
      type: list
      elements: str
      sample: [192.0.2.11]
    os_image:
      description: Its operating system.
      type: str
      sample: Debian GNU/Linux 13 (trixie)
    kernel:
      description: Its kernel's version.
      type: str
      sample: 6.12.41
    ready:
      description: Whether it is Ready.
      type: bool
    problem:
      description: Why it is not Ready.
      type: str
      sample: ""
    schedulable:
      description: Whether it is not cordoned.
      type: bool
    age_seconds:
      description: Seconds since it was registered.
      type: int
      sample: 86400
    labels:
      description: Its labels.
      type: dict
      sample:
        kubernetes.io/os: linux
not_ready:
  description: Names of the nodes that are not Ready.
  type: list
  elements: str
  returned: success
  sample: []
server:
  description: Host and port of the first API server in the kubeconfig; empty when there is none yet.
  type: str
  returned: success
  sample: 192.0.2.10:6443
table:
  description: Lines of a table with a header.
  type: list
  elements: str
  returned: success
  sample:
    - NAME     ROLES          VERSION  RUNTIME             ADDRESS     READY  AGE
    - cp1      control-plane  1.37.1   containerd://2.4.2  192.0.2.10  yes    4m
    - worker1  -              1.37.1   containerd://2.4.2  192.0.2.11  yes    3m
"""

import datetime
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _predicates as predicates
from ansible_collections.slipway.kubernetes.plugins.module_utils._api_endpoints import endpoint_of
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import KUBECTL_ARGUMENTS, Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import LONGEST, shown

ROLE_PREFIX = "node-role.kubernetes.io/"


def describe(node: t.Mapping[str, t.Any], now: datetime.datetime) -> t.Dict[str, t.Any]:
    """What this module returns for a Node object."""
    metadata, status = node["metadata"], node.get("status", {})
    info = status.get("nodeInfo", {})
    labels = metadata.get("labels") or {}
    addresses = [entry for entry in status.get("addresses") or [] if entry["type"].endswith("IP")]
    internal = [entry["address"] for entry in addresses if entry["type"] == "InternalIP"]
    created = datetime.datetime.strptime(metadata["creationTimestamp"], "%Y-%m-%dT%H:%M:%SZ")
    problem = predicates.node_problem(node)
    return {
        "name": metadata["name"],
        "roles": sorted(label[len(ROLE_PREFIX) :] for label in labels if label.startswith(ROLE_PREFIX)),
        "version": info.get("kubeletVersion", "").lstrip("v"),
        "runtime": info.get("containerRuntimeVersion", ""),
        "address": internal[0] if internal else "",
        "addresses": [entry["address"] for entry in addresses],
        "os_image": info.get("osImage", ""),
        "kernel": info.get("kernelVersion", ""),
        "ready": not problem,
        "problem": problem,
        "schedulable": not node.get("spec", {}).get("unschedulable", False),
        "age_seconds": int((now - created.replace(tzinfo=datetime.timezone.utc)).total_seconds()),
        "labels": labels,
    }


def age(seconds: int) -> str:
    """A short form of an age: ``3d``, ``4h``, ``5m`` or ``6s``."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def table(nodes: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[str]:
    """Aligned lines about ``nodes`` with a header; none without nodes."""
    if not nodes:
        return []
    rows: t.List[t.Tuple[str, ...]] = [("NAME", "ROLES", "VERSION", "RUNTIME", "ADDRESS", "READY", "AGE")]
    for node in nodes:
        ready = ("yes" if node["ready"] else "no") + ("" if node["schedulable"] else ", cordoned")
        roles = ",".join(node["roles"]) or "-"
        row = (node["name"], roles, node["version"], node["runtime"], node["address"], ready, age(node["age_seconds"]))
        rows.append(tuple(shown(cell, LONGEST) for cell in row))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


class KubeNodesInfo:
    """Reads the nodes."""

    def __init__(
        self,
        params: t.Mapping[str, t.Any],
        kubectl: Kubectl,
        check_mode: bool = False,
        now: t.Optional[datetime.datetime] = None,
    ) -> None:
        self._names = params["names"]
        self._kubectl = kubectl
        self._check_mode = check_mode
        self._now = now or datetime.datetime.now(datetime.timezone.utc)

    def run(self) -> t.Dict[str, t.Any]:
        """The module's return values."""
        lacking = self._kubectl.missing()
        if lacking and not self._check_mode:
            raise SlipwayError(lacking)
        items = [] if lacking else self._kubectl.get("nodes")["items"]
        nodes = [
            describe(item, self._now) for item in items if not self._names or item["metadata"]["name"] in self._names
        ]
        nodes.sort(key=lambda node: ("control-plane" not in node["roles"], node["name"]))
        return {
            "changed": False,
            "nodes": nodes,
            "not_ready": [node["name"] for node in nodes if not node["ready"]],
            "table": table(nodes),
        }


ARGUMENTS: t.Dict[str, t.Any] = {**KUBECTL_ARGUMENTS, "names": {"type": "list", "elements": "str", "default": []}}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    result = KubeNodesInfo(context.params, Kubectl.of(context), context.check_mode).run()
    return {**result, "server": endpoint_of(read_text(context.params["kubeconfig"]))}


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
