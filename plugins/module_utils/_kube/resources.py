# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much of a node's CPU and memory pods ask for, as the scheduler counts it. Private to this collection."""

from __future__ import annotations

import re
import typing as t

Object = t.Mapping[str, t.Any]

#: What a node has for pods.
RESOURCES = ("cpu", "memory")
_UNITS = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
          "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}  # fmt: skip


def quantity(text: t.Any) -> float:
    """A quantity of the API, such as ``100m`` or ``1Gi``, as a number; 0 when it is none."""
    match = re.match(r"^([0-9.]+(?:e[0-9]+)?)([A-Za-z]*)$", str(text))
    return float(match.group(1)) * _UNITS.get(match.group(2), 1.0) if match else 0.0


def requests(spec: Object, resource: str) -> float:
    """How much of a resource the containers of a pod with this ``spec`` ask for."""
    containers = spec.get("containers") or []
    return sum(quantity((item.get("resources", {}).get("requests") or {}).get(resource, 0)) for item in containers)


def running_on(node: Object, pods: t.Iterable[Object]) -> t.List[Object]:
    """The pods that take something of the node."""
    name = node["metadata"]["name"]
    ended = ("Succeeded", "Failed")
    return [
        pod for pod in pods if pod["spec"].get("nodeName") == name and pod.get("status", {}).get("phase") not in ended
    ]


def room(node: Object, pods: t.Iterable[Object], resource: str) -> float:
    """How much of a resource the node has left beside those of the pods that run on it; below zero when it lacks."""
    allocatable = quantity((node.get("status", {}).get("allocatable") or {}).get(resource, 0))
    return allocatable - sum(requests(pod["spec"], resource) for pod in running_on(node, pods))
