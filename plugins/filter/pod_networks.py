# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import named, of_ours
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._look import seen

HostVars = t.Mapping[str, t.Mapping[str, t.Any]]


def pod_network_conditions(name: str) -> t.List[t.Dict[str, t.Any]]:
    """What tells that a pod network is ready beside nodes that are."""
    return list(named(name).conditions)


def pod_network_policies(name: str) -> bool:
    """Whether a pod network holds to NetworkPolicy."""
    return named(name).has_policies


def pod_network_manifest(name: str, variables: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """The objects that are applied with the manifest of a pod network, and the patches that are laid over it."""
    network, settings = named(name), Settings(variables)
    return {"objects": network.objects(settings), "patches": network.patches(settings)}


def pod_network_change(name: str, hostvars: HostVars, asked: str, nodes: t.Sequence[str] = ()) -> t.Dict[str, t.Any]:
    """What has to be done so that a cluster has the pod network ``name`` and no other one of ours.

    :param asked: the control plane that has asked the cluster.
    :param nodes: the nodes of the cluster.
    """
    node = seen(hostvars[asked]) if asked in hostvars else None
    configuration = (node or {}).get("configuration") or {}
    successor, old = named(name), [network for network in of_ours(configuration) if network.name != name]
    is_pending = bool(successor.name and old) or bool(configuration.get("pod_network_change"))
    pods = [
        {"type": "pods_ready", "namespace": namespace, "selector": selector, "count": len(nodes)}
        for namespace, selector in successor.agents
    ]
    return {
        "pending": is_pending,
        "networks": [network.name for network in old],
        "successor": name,
        "conditions": [{"type": "nodes_ready", "names": list(nodes)}, *successor.conditions, *pods],
        "title": f"{' and '.join(network.title for network in old) or 'nothing'} by {successor.title or name}",
        "now": f"{successor.title} is the pod network" if successor.name else "there is no pod network of ours",
    }


class FilterModule:
    """What is known about pod networks."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {
            "pod_network_change": pod_network_change,
            "pod_network_conditions": pod_network_conditions,
            "pod_network_manifest": pod_network_manifest,
            "pod_network_policies": pod_network_policies,
        }
