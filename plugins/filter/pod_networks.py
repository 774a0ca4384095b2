# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import collections.abc
import functools
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import named, of_ours
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import (
    network_of_family as _network_of_family,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._look import seen
from jinja2 import pass_context
from jinja2.runtime import Context, missing

HostVars = t.Mapping[str, t.Mapping[str, t.Any]]
Values = t.Mapping[str, t.Any]


def pod_network_conditions(name: str, variables: t.Optional[Values] = None) -> t.List[t.Dict[str, t.Any]]:
    """What tells that a pod network is ready beside nodes that are."""
    return list(named(name).told(Settings(variables or {})).conditions)


def pod_network_policies(name: str, variables: t.Optional[Values] = None) -> bool:
    """Whether a pod network holds to NetworkPolicy."""
    return named(name).told(Settings(variables or {})).has_policies


def pod_network_interfaces(name: str, variables: t.Optional[Values] = None) -> t.List[str]:
    """The interfaces that only settings tell of."""
    return named(name).leftovers(Settings(variables or {})).get("interfaces", [])


def pod_network_leftovers(name: str, variables: t.Optional[Values] = None) -> t.Dict[str, t.List[str]]:
    """What a pod network leaves on a machine that only settings tell of."""
    return named(name).leftovers(Settings(variables or {}))


def pod_network_manifest(name: str, variables: Values) -> t.Dict[str, t.Any]:
    """The objects that are applied with the manifest of a pod network, and the patches that are laid over it."""
    network, settings = named(name), Settings(variables)
    return {"objects": network.objects(settings), "patches": network.patches(settings)}


def pod_network_values(name: str, variables: Values) -> t.Dict[str, t.Any]:
    """The values of the chart of a pod network that follow from the settings of a host."""
    return named(name).chart_values(Settings(variables))


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


class Variables(collections.abc.Mapping):
    """The variables of the host that a template is rendered for, each looked at when it is asked for."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def __getitem__(self, name: str) -> t.Any:
        value = self._context.resolve_or_missing(name)
        if value is missing:
            raise KeyError(name)
        return value

    def __iter__(self) -> t.Iterator[str]:
        return iter(self._context.get_all())

    def __len__(self) -> int:
        return len(self._context.get_all())


def of_the_host(function: t.Callable[[str, Values], t.Any]) -> t.Callable[..., t.Any]:
    """A filter that reads the host's variables where it stands, so that playbooks name none of a pod network."""

    @pass_context
    @functools.wraps(function)
    def read(context: Context, name: str) -> t.Any:
        return function(name, Variables(context))

    return read


def network_of_family(text: str, version: int) -> str:
    """That of one or two networks which is of IPv4, or of IPv6; empty when there is none."""
    return _network_of_family(str(text), version)


class FilterModule:
    """What is known about pod networks."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {
            "network_of_family": network_of_family,
            "pod_network_change": pod_network_change,
            "pod_network_conditions": of_the_host(pod_network_conditions),
            "pod_network_interfaces": of_the_host(pod_network_interfaces),
            "pod_network_leftovers": of_the_host(pod_network_leftovers),
            "pod_network_manifest": pod_network_manifest,
            "pod_network_policies": of_the_host(pod_network_policies),
            "pod_network_values": pod_network_values,
        }
