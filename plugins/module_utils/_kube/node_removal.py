# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that are to leave a cluster: what is in the way of it, and the memory of those that have left.

Private to this collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _predicates as predicates
from ansible_collections.slipway.kubernetes.plugins.module_utils._api_endpoints import CONTROL_PLANE, endpoint_host
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kube_objects as kube


def quorum(members: int) -> int:
    """How many of so many members of etcd have to work."""
    return members // 2 + 1


def etcd_problem(members: t.Mapping[str, bool], going: t.Iterable[str]) -> str:
    """Why members cannot leave etcd one after another; empty when they can.

    :param members: all members and whether they are healthy. Those that are not leave first.
    """
    left = dict(members)
    leaving = [name for name in going if name in left]
    for name in sorted(leaving, key=lambda name: left[name]):
        healthy = [other for other in left if left[other]]
        if len(healthy) < quorum(len(left)):
            return (
                f"etcd has no quorum: {len(healthy)} of {len(left)} members are healthy, {quorum(len(left))} have to"
                " be. Bring members back, or restore a snapshot (docs/restore.md)"
            )
        healthy_after = [other for other in healthy if other != name]
        if len(healthy_after) < quorum(len(left) - 1):
            sick = [other for other in left if not left[other] and other != name]
            return (
                f"{name}: without it etcd would have {len(left) - 1} members, of which {len(healthy_after)} are"
                f" healthy, and {quorum(len(left) - 1)} have to be. Not healthy: {', '.join(sick)}. Bring them back,"
                " or remove them first"
            )
        del left[name]
    return ""


class Removal:
    """Some nodes that are to go, and the cluster as it is."""

    def __init__(
        self,
        names: t.Sequence[str],
        nodes: t.Sequence[kube.Object],
        members: t.Mapping[str, bool],
        machines: t.Container[str],
        reachable: t.Mapping[str, t.Mapping[str, t.Any]],
        remembered_names: t.Container[str],
        cluster: t.Mapping[str, t.Any],
    ) -> None:
        """
        :param members: members of etcd and whether they are healthy.
        :param machines: nodes whose machines are known, those that are nodes no more, too.
        :param reachable: nodes whose machines answer, and what ``node_facts`` says of their Kubernetes.
        :param cluster: what it says of a control plane of the cluster.
        """
        self._names = list(dict.fromkeys(names))
        self._nodes = {node["metadata"]["name"]: node for node in nodes}
        self._members = members
        self._machines = machines
        self._reachable = reachable
        self._remembered = remembered_names
        self._cluster = cluster

    def _is_control_plane(self, name: str) -> bool:
        labels = self._nodes[name]["metadata"].get("labels") or {} if name in self._nodes else {}
        return name in self._members or CONTROL_PLANE in labels

    def _is_ready(self, name: str) -> bool:
        return not predicates.node_problem(self._nodes[name])

    def _addresses(self, name: str, kind: str = "") -> t.List[str]:
        entries = self._nodes.get(name, {}).get("status", {}).get("addresses") or []
        return [entry["address"] for entry in entries if kind in ("", entry["type"])]

    def addresses(self) -> t.Dict[str, str]:
        """The internal address of each node that exists."""
        internal = {name: self._addresses(name, "InternalIP") for name in self._names}
        return {name: addresses[0] for name, addresses in internal.items() if addresses}

    def plan(self) -> t.Dict[str, t.List[str]]:
        """What has to be done with which of them."""
        present = [name for name in self._names if name in self._nodes]
        return {
            "cordon": present,
            "drain": [name for name in present if self._is_ready(name)],
            # Those that are not healthy first, which is the order in which they can leave.
            "members": sorted((name for name in self._names if name in self._members), key=self._members.__getitem__),
            "control_planes": [name for name in self._names if self._is_control_plane(name)],
            "gone": [name for name in self._names if name not in self._nodes and name not in self._members],
        }

    def problems(self) -> t.List[str]:
        """Why they cannot go, as sentences without a full stop."""
        found = []
        for name in self.plan()["gone"]:
            if name not in self._machines and name not in self._remembered:
                known = ", ".join(sorted(self._nodes))
                found.append(f"{name}: there is no such node, neither in the cluster ({known}) nor in the inventory")
        for name in self.plan()["drain"]:
            if name not in self._reachable:
                why = "Ansible cannot reach its machine" if name in self._machines else "it is not in the inventory"
                found.append(
                    f"{name} is Ready but {why}: it could not be reset, and would come back. Mend that, or, if the"
                    " machine shall not be touched, stop it and wait until the node is NotReady"
                )
        for name in self._names:
            stranger = self._stranger(name)
            if stranger:
                found.append(
                    f"{name}: the machine that answers is {stranger}, and would be reset. Correct its ansible_host, or"
                    " take it out of the inventory"
                )
        return found + self._control_plane_problems()

    def _stranger(self, name: str) -> str:
        """What the machine that answers is when it is not this node, nor a bare one."""
        machine = self._reachable.get(name) or {}
        own, authorities = machine.get("node_name"), machine.get("ca_cert_hashes")
        ours = self._cluster.get("ca_cert_hashes")
        if machine.get("joined") and authorities and ours and not set(authorities) & set(ours):
            return f"a node of another cluster, with the CA {authorities[0]}"
        return f"the node {own}" if machine.get("joined") and own and own != name else ""

    def _control_plane_problems(self) -> t.List[str]:
        going = self.plan()["control_planes"]
        left = [name for name in self._nodes if self._is_control_plane(name) and name not in self._names]
        if not going:
            return []
        if not left:
            which = (
                "are the last control planes: without them"
                if len(going) > 1
                else "is the last control plane: without it"
            )
            return [
                f"{' and '.join(going)} {which} there is no cluster. playbooks/reset.yml takes a whole cluster down"
            ]
        if not any(self._is_ready(name) for name in left):
            return [f"no control plane that stays is Ready ({', '.join(left)}), so {' and '.join(going)} cannot go"]
        endpoint = str(self._cluster.get("endpoint") or "")
        found = [
            f"{name} is where the nodes reach the cluster, at {endpoint}: without it they would lose it. First move the"
            " cluster to an endpoint that belongs to no machine (docs/make-it-ha.md)"
            for name in going
            if endpoint and endpoint_host(endpoint) in [name, *self._addresses(name)]
        ]
        problem = etcd_problem(self._members, going)
        return found + ([problem] if problem else [])
