# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm_names import CONTROL_PLANE
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _node_identities
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._kubelet_configuration import parse, signs_itself
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._look import seen

#: What kubeadm gives a control plane that shall carry no ordinary pods.
_CONTROL_PLANE_TAINT = {"key": CONTROL_PLANE, "effect": "NoSchedule"}


def node_objects(
    names: t.Sequence[str],
    hostvars: t.Mapping[str, t.Any],
    control_planes: t.Sequence[str] = (),
    workers: t.Sequence[str] = (),
) -> t.List[t.Dict[str, t.Any]]:
    """Labels, annotations and taints of nodes, as ``nodes`` of the module ``kube_node``."""
    wishes = []
    for name in names:
        variables = hostvars[name]
        wish: t.Dict[str, t.Any] = {"name": name}
        for key in ("labels", "annotations", "taints"):
            wish[key] = variables.get(f"cluster_node_{key}") or ([] if key == "taints" else {})
        if name in control_planes:
            wish["control_plane_taints"] = _registered_taints(variables, name in workers)
        wishes.append(wish)
    return wishes


def _registered_taints(variables: t.Mapping[str, t.Any], carries_pods: bool) -> t.List[t.Dict[str, str]]:
    """The taints that kubeadm gives a control plane: those of its configuration, or its own."""
    for kind in ("node_join_configuration", "control_plane_init_configuration"):
        named = ((variables.get(kind) or {}).get("nodeRegistration") or {}).get("taints")
        if named is not None:
            return list(named)
    return [] if carries_pods else [_CONTROL_PLANE_TAINT]


def node_identities(
    names: t.Sequence[str],
    hostvars: t.Mapping[str, t.Any],
    endpoints: t.Sequence[str] = (),
    networks: t.Sequence[str] = (),
    control_planes: t.Sequence[str] = (),
    workers: t.Sequence[str] = (),
) -> t.List[t.Dict[str, t.Any]]:
    """Names and addresses of nodes, as ``nodes`` of the module ``kube_csr_approve``.

    A node has the address that its kubelet announces and those that the inventory adds; see _node_identities.
    """
    everyone = dict.fromkeys([*names, *control_planes, *workers])
    looks = {name: seen(hostvars[name]) for name in everyone if name in hostvars}
    machines = {
        name: _node_identities.machine(name, hostvars[name], look, name in control_planes)
        for name, look in looks.items()
    }
    owners = _node_identities.Owners(machines.values(), endpoints, networks)
    known = {name: (look or {}).get("configuration") or {} for name, look in looks.items()}
    maps = (configuration.get("config_maps") or {} for configuration in known.values())
    cluster = next((found["kubelet-config"] for found in maps if found.get("kubelet-config")), "")
    identities = []
    for name in names:
        identity = owners.identity(machines[name])
        # Its own configuration, else that of the cluster, which it gets when it joins, else the inventory's.
        kubelet = parse(known[name].get("kubelet") or cluster) or {
            "serverTLSBootstrap": True,
            **(hostvars[name].get("control_plane_kubelet_configuration") or {}),
        }
        if signs_itself(kubelet, known[name].get("kubelet_arguments") or {}):
            identity["self_signed"] = True
        identities.append(identity)
    return identities


#: What the role node_join has registered on a host: the last that is done to it before it is a node.
_JOINED = ("__node_join_running", "__node_join_joined")


def node_members(names: t.Sequence[str], hostvars: t.Mapping[str, t.Any], primary: str, joined: bool) -> t.List[str]:
    """Machines that this run has looked at and that are nodes when it has come to its end.

    :param joined: whether the run has been through the joining of machines; otherwise nobody can have failed there.
    """
    members = []
    for name in names:
        variables = hostvars[name]
        if seen(variables) is None:
            continue
        results = [variables.get(key) or {"skipped": True} for key in _JOINED]
        if name == primary or not joined or any(_succeeded(result) for result in results):
            members.append(name)
    return members


def _succeeded(result: t.Mapping[str, t.Any]) -> bool:
    return not any(result.get(key) for key in ("failed", "unreachable", "skipped"))


class FilterModule:
    """What the inventory and the facts say about nodes."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {
            "node_identities": node_identities,
            "node_members": node_members,
            "node_objects": node_objects,
        }
