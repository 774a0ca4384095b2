# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _node_identities
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._look import seen


def node_objects(names: t.Sequence[str], hostvars: t.Mapping[str, t.Any]) -> t.List[t.Dict[str, t.Any]]:
    """Labels, annotations and taints of nodes, as ``nodes`` of the module ``kube_node``."""
    wishes = []
    for name in names:
        variables = hostvars[name]
        wish: t.Dict[str, t.Any] = {"name": name}
        for key in ("labels", "annotations", "taints"):
            wish[key] = variables.get(f"cluster_node_{key}") or ([] if key == "taints" else {})
        wishes.append(wish)
    return wishes


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
    machines = {
        name: _node_identities.machine(name, hostvars[name], seen(hostvars[name]), name in control_planes)
        for name in everyone
        if name in hostvars
    }
    owners = _node_identities.Owners(machines.values(), endpoints, networks)
    return [owners.identity(machines[name]) for name in names]


class FilterModule:
    """What the inventory and the facts say about nodes."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {"node_objects": node_objects, "node_identities": node_identities}
