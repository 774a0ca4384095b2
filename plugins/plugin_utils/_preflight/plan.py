# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which connections between machines are tried before they become nodes.

Only pairs that matter, so that their number grows with the number of machines and not with its square: all to and from
control planes, and each worker with its neighbour in the inventory.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._network.peers import PROCESS
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import chosen
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _machines
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._openings import closed_firewalls, is_handled
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.addresses import (
    KEEPALIVED,
    api_port,
    node_addresses,
    own_addresses,
    parse_endpoint,
    virtual_address,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host, Hosts

#: Stands for the load balancer among the machines that are connected to.
ENDPOINT = "cluster_endpoint"
KUBELET = 10250
ETCD = (2379, 2380)

Key = t.Tuple[str, str, int]


def _address(host: Host) -> str:
    """Where other nodes reach it; empty when that is not known."""
    return own_addresses(host)[0] or str((host.facts or {}).get("default_address6") or "")


def _is_bare(host: Host) -> bool:
    """Whether it shall become a node and nothing of one is there."""
    return host.facts is not None and not host.joined and not host.facts["kubernetes"]["unfinished"]


def _is_opened_later(host: Host) -> bool:
    """Whether it has, or as a node may have, a firewall that node_prep will see to."""
    if host.joined:
        return host.text("node_prep_firewall") in ("open", "disable")
    return any(is_handled(host, by) for by in closed_firewalls(host))


class Plan:
    """What listens where, and who connects to it.

    :param playing: Names of the hosts of the play. Others are connected to, when they are nodes, but do nothing.
    """

    def __init__(self, hosts: Hosts, playing: t.Container[str]) -> None:
        self._known = [host for host in hosts if host.facts is not None and _address(host)]
        self._playing = playing
        self.joining = [host for host in self._known if _is_bare(host) and host.name in playing]
        self._bare = {host.name for host in self.joining}
        self._listen: t.Dict[Key, t.Set[str]] = {}
        self._probe: t.Dict[str, t.Dict[Key, t.Dict[str, t.Any]]] = {}
        self._vip: t.Dict[str, t.Tuple[str, str]] = {}
        self._hosts = {host.name: host for host in self._known}
        if self.joining:
            self._control_planes()
            self._overlay()
        self._endpoint(hosts)

    def _pair(self, source: Host, target: Host, protocol: str, port: int) -> None:
        """Let one machine connect to another, when one of them shall become a node."""
        if source.name == target.name or not {source.name, target.name} & self._bare:
            return
        if source.name not in self._playing or _is_opened_later(target):
            return
        key = (target.name, protocol, port)
        facts = target.facts or {}
        taken = any(
            (item["protocol"], item["port"]) == (protocol, port) and item.get("process") != PROCESS
            for item in facts["listening"]
        )
        if target.name in self._bare and not taken:
            self._listen.setdefault(key, set()).add(source.name)
        elif target.name in self._bare or protocol == "udp" or not taken:
            # Who has the port is reported elsewhere; a node does not answer our datagrams, and its servers may be down
            # or not there yet.
            return
        self._probe.setdefault(source.name, {})[key] = {
            "host": target.name,
            "address": _address(target),
            "protocol": protocol,
            "port": port,
            "answer": target.name in self._bare,
        }

    def _control_planes(self) -> None:
        for control_plane in (host for host in self._known if host.control_plane):
            for host in self._known:
                self._pair(host, control_plane, "tcp", api_port(control_plane))
                self._pair(control_plane, host, "tcp", KUBELET)
                if host.control_plane:
                    for port in ETCD:
                        self._pair(host, control_plane, "tcp", port)

    def _overlay(self) -> None:
        """The pod network's: with control planes, and along the inventory as a ring."""
        first = self.joining[0]
        control_planes = [host for host in self._known if host.control_plane]
        pairs = [(control_plane, host) for control_plane in control_planes for host in self.joining]
        pairs += zip(self.joining, [*self.joining[1:], first])
        for port in (port for port in chosen(first).ports(first) if port.is_tried):
            for one, other in pairs:
                self._pair(one, other, port.protocol, port.number)
                self._pair(other, one, port.protocol, port.number)

    def _endpoint(self, hosts: Hosts) -> None:
        """The load balancer of the user, from each machine; and whether somebody has the VIP that is to be set up."""
        control_planes = [host for host in hosts if host.control_plane]
        moving = [host for host in self._known if host.joined and host.flag("preflight_moves_endpoint")]
        asking = [*self.joining, *(host for host in moving if host.name in self._playing)]
        machines = _machines.by_name(hosts) if asking else {}
        for host in asking:
            endpoint = parse_endpoint(host.text("cluster_endpoint"))
            if host.text("api_endpoint_provider") == "external" and endpoint:
                self._probe.setdefault(host.name, {})[(ENDPOINT, "tcp", endpoint[1])] = {
                    "host": ENDPOINT,
                    # /etc/hosts will have the name, but not yet.
                    "address": _machines.written(host, endpoint[0], machines) or endpoint[0],
                    "protocol": "tcp",
                    "port": endpoint[1],
                    "answer": False,
                }
        for host in control_planes if all(map(self._is_without_endpoint, control_planes)) else ():
            vip = virtual_address(host)
            names = [
                name
                for name, network in _networks(host)
                if vip is not None and vip.version == 4 and vip in network.network and network.network.num_addresses > 1
            ]
            if names:
                self._vip[host.name] = (str(vip), host.text("api_endpoint_interface") or names[0])
                self._probe.setdefault(host.name, {})
            if host.text("api_endpoint_provider") == KEEPALIVED and host.name in self._bare:
                endpoint = parse_endpoint(host.text("cluster_endpoint"))
                for other in self.joining if endpoint else ():
                    self._pair(other, host, "tcp", t.cast(t.Tuple[str, int], endpoint)[1])

    def _is_without_endpoint(self, host: Host) -> bool:
        """Whether it cannot be the one that has the VIP: it is no control plane yet, or has another endpoint so far."""
        if host.name in self._bare:
            return True
        built = parse_endpoint(str((host.facts or {}).get("kubernetes", {}).get("endpoint") or ""))
        has_it = virtual_address(host) in [item.ip for _name, item in node_addresses([host])]
        return built is not None and built != parse_endpoint(host.text("cluster_endpoint")) and not has_it

    def as_dict(self) -> t.Dict[str, t.Any]:
        """The arguments of peer_listen and peer_probe, by host."""
        listen: t.Dict[str, t.Dict[str, t.Any]] = {}
        for (name, protocol, port), peers in self._listen.items():
            entry = listen.setdefault(name, {"address": _address(self._hosts[name]), "ports": []})
            entry["ports"].append({"protocol": protocol, "port": port, "peers": sorted(peers)})
        probe = {}
        for name, connections in self._probe.items():
            vip, interface = self._vip.get(name, ("", ""))
            probe[name] = {"peers": list(connections.values()), "vip": vip, "interface": interface}
        return {"listen": listen, "probe": probe, "timeout": 60 + len(self._known) // 2}


def _networks(host: Host) -> t.Iterable[t.Tuple[str, t.Any]]:
    """The names of a host's interfaces, with each network that they are in."""
    for interface in (host.facts or {}).get("interfaces", []):
        for _name, network in node_addresses([Host(host.name, facts={"interfaces": [interface]})]):
            yield str(interface["name"]), network
