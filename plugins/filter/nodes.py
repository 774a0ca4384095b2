# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._api_endpoints import CONTROL_PLANE
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _families, _node_identities
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._kubelet_configuration import parse, signs_itself
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._look import seen, stated, succeeded

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
            wish[key] = stated(variables, f"cluster_node_{key}") or ([] if key == "taints" else {})
        if name in control_planes:
            wish["control_plane_taints"] = _registered_taints(variables, name in workers)
        wishes.append(wish)
    return wishes


def _registered_taints(variables: t.Mapping[str, t.Any], carries_pods: bool) -> t.List[t.Dict[str, str]]:
    """The taints that kubeadm gives a control plane: those of its configuration, or its own."""
    for kind in ("node_join_configuration", "control_plane_init_configuration"):
        named = ((stated(variables, kind) or {}).get("nodeRegistration") or {}).get("taints")
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
    kubelet_configuration: t.Optional[t.Mapping[str, t.Any]] = None,
) -> t.List[t.Dict[str, t.Any]]:
    """Names and addresses of nodes, as ``nodes`` of the module ``kube_csr_approve``.

    A node has the address that its kubelet announces and those that the inventory adds; see _node_identities. One
    whose name is another's has no identity.
    """
    everyone = [name for name in dict.fromkeys([*names, *control_planes, *workers]) if name in hostvars]
    # The task's own variables may be those of a worker, over which its facts go.
    said = [hostvars[name] for name in everyone if name in control_planes]
    networks = [*networks, *(stated(one, f"cluster_{kind}_subnet") for one in said for kind in ("pod", "service"))]
    machines, kubelets = {}, {}
    for name in everyone:
        machines[name], kubelets[name] = _looked_at(name, hostvars[name], name in control_planes, networks)
    endpoints = [*endpoints, *(stated(one, key) for one in said for key in ("cluster_endpoint", "api_endpoint_vip"))]
    domains = [domain for one in said for domain in _node_identities.dns_domains(one)]
    owners = _node_identities.Owners(machines.values(), endpoints, networks, domains)
    cluster = next(
        (kubelets[name].cluster for name in control_planes if name in kubelets and kubelets[name].cluster), {}
    )
    identities = []
    for name in (name for name in names if name in machines and not owners.own_name_objection(machines[name])):
        identity = owners.identity(machines[name])
        # Its own configuration, else that of the cluster, which it gets when it joins, else the inventory's.
        kubelet = (
            kubelets[name].own
            or cluster
            or {
                "serverTLSBootstrap": True,
                **(kubelet_configuration or stated(hostvars[name], "control_plane_kubelet_configuration") or {}),
            }
        )
        if signs_itself(kubelet, kubelets[name].arguments):
            identity["self_signed"] = True
        identities.append(identity)
    return identities


class _Kubelet(t.NamedTuple):
    """What a machine says of its kubelet, and of those of its cluster."""

    own: t.Mapping[str, t.Any]
    cluster: t.Mapping[str, t.Any]
    arguments: t.Mapping[str, t.Any]


def _looked_at(
    name: str, variables: t.Mapping[str, t.Any], control_plane: bool, networks: t.Sequence[t.Any]
) -> t.Tuple[_node_identities.Machine, _Kubelet]:
    """A host by its variables and what was seen of it. One that says what makes no sense has said nothing."""
    look = seen(variables) or {}
    try:
        found = look.get("configuration") or {}
        own, cluster = found.get("kubelet") or "", (found.get("config_maps") or {}).get("kubelet-config") or ""
        kubelet = _Kubelet(parse(own), parse(cluster), dict(found.get("kubelet_arguments") or {}))
        return _node_identities.machine(name, variables, look, control_plane, networks), kubelet
    except (AttributeError, TypeError, ValueError):
        return _node_identities.machine(name, variables, None, control_plane, networks), _Kubelet({}, {}, {})


#: What the role node_join has registered on a host: the last that is done to it before it is a node.
_JOINED = ("__node_join_running", "__node_join_joined")


def node_members(names: t.Sequence[str], hostvars: t.Mapping[str, t.Any], primary: str, joined: bool) -> t.List[str]:
    """Machines that this run has looked at and that are nodes when it has come to its end.

    :param joined: whether the run has been through the joining of machines; otherwise they stay what they are.
    """
    members = []
    for name in names:
        look = seen(hostvars[name]) if name in hostvars else None
        if look is None:
            continue
        state = look.get("kubernetes")
        is_node = isinstance(state, dict) and bool(state.get("joined"))
        if joined:
            is_node = any(succeeded(stated(hostvars[name], key)) for key in _JOINED)
        if name == primary or is_node:
            members.append(name)
    return members


def node_address(facts: t.Mapping[str, t.Any], pod_subnet: str, node_ip: str = "") -> str:
    """The address at which other nodes reach a machine; of IPv6 where pods have that alone."""
    return _families.node_address(facts, [pod_subnet], node_ip)


def node_address6(facts: t.Mapping[str, t.Any], pod_subnet: str, node_ip: str = "", node_ip6: str = "") -> str:
    """The address of IPv6 beside that of IPv4; empty where pods have one family of addresses."""
    if not _families.has_ipv6([pod_subnet]) or _families.is_ipv6_alone([pod_subnet]):
        return ""
    return _families.address6(facts, node_address(facts, pod_subnet, node_ip), node_ip6).address


class FilterModule:
    """What the inventory and the facts say about nodes."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {
            "node_address": node_address,
            "node_address6": node_address6,
            "node_identities": node_identities,
            "node_members": node_members,
            "node_objects": node_objects,
        }
