# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t


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
    names: t.Sequence[str], hostvars: t.Mapping[str, t.Any], endpoints: t.Sequence[str] = ()
) -> t.List[t.Dict[str, t.Any]]:
    """Names and addresses of nodes, as ``nodes`` of the module ``kube_csr_approve``.

    A node has the addresses that were found on its own interfaces, those of container networks left out, and the one
    that the inventory gives it. The one that its kubelet announces comes first: its certificate is valid for that.
    """
    # An endpoint's address moves from node to node and is no node's own.
    moving = {part for endpoint in endpoints for part in (endpoint, endpoint.rpartition(":")[0].strip("[]"))}
    identities = []
    for name in names:
        variables = hostvars[name]
        addresses = {
            item["address"]
            for interface in variables["slipway_node"]["interfaces"]
            if not interface["virtual"]
            for item in interface["addresses"]
        }
        addresses.add(variables.get("cluster_node_ip") or "")
        addresses -= moving - {variables.get("cluster_node_ip")}
        announced = variables.get("cluster_node_ip") or variables["slipway_node"].get("default_address")
        ordered = sorted(filter(None, addresses), key=lambda address: (address != announced, address))
        identities.append({"name": name, "addresses": ordered})
    return identities


class FilterModule:
    """What the inventory and the facts say about nodes."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {"node_objects": node_objects, "node_identities": node_identities}
