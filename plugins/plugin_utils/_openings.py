# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the firewall of each machine has to let through, by the tables of what listens where.

Workers may be in other hands: what they say of themselves opens nothing but their own address, and etcd is open to
control planes alone.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import (
    PodNetwork,
    chosen,
    has_two_families,
    of_ours,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _machines
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.addresses import (
    KEEPALIVED,
    Address,
    Network,
    api_port,
    networks_of,
    node_addresses,
    own_addresses,
    parse_endpoint,
    parse_ip,
    parse_range,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.facts import configuration
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host, Hosts
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.sources import ADDONS

KUBELET, ETCD = "10250", "2379-2380"
NODE_PORTS = "30000-32767"

Opening = t.Dict[str, t.Any]


def opening(protocol: str = "", port: str = "", source: str = "", **more: t.Any) -> Opening:
    """What may come, as the module ``node_firewall`` takes it."""
    given = {"protocol": protocol, "port": port, "source": source, **more}
    return {key: value for key, value in given.items() if value}


def node_networks(hosts: Hosts) -> t.List[str]:
    """Where nodes are: networks of the inventory, or those of control planes' own addresses, and who is in none."""
    given = [str(network) for host in hosts for network in host.sequence("node_prep_firewall_sources")]
    if given:
        return list(dict.fromkeys(given))
    planes = [host for host in hosts if host.control_plane]
    own = _addresses(planes)
    near = [item.network for _name, item in node_addresses(planes) if item.ip in own]
    found: t.Dict[str, None] = {}
    for address in _addresses(hosts):
        around = [network for network in near if address in network]
        found[str(max(around, key=lambda network: network.prefixlen) if around else _alone(address))] = None
    return list(found)


def _addresses(hosts: Hosts) -> t.List[Address]:
    """The addresses of machines, as far as they are known and are addresses; those of IPv6 last."""
    texts = [entry["address"] for entry in _machines.addresses(hosts)]
    found = map(parse_ip, [*texts, *(own_addresses(host)[1] for host in hosts)])
    return [address for address in found if address is not None]


def _alone(address: Address) -> Network:
    return ipaddress.ip_network(str(address))


def overlay_networks(hosts: Hosts) -> t.List[str]:
    """The networks of the interfaces that the pod network takes on control planes, where these are others."""
    found: t.Dict[str, None] = {}
    for host in (host for host in hosts if host.control_plane and host.facts):
        taken = chosen(host).interface(host, host.facts or {}, host, host.facts or {})
        for interface in (host.facts or {})["interfaces"]:
            for entry in interface.get("addresses", []):
                if taken in (interface["name"], entry["address"]):
                    found[str(ipaddress.ip_interface(f"{entry['address']}/{entry['prefix']}").network)] = None
    return list(found)


def of_node(
    host: Host,
    nodes: t.Sequence[str],
    overlay: t.Sequence[str],
    pods: t.Sequence[Network],
    others: t.Sequence[PodNetwork] = (),
) -> t.List[Opening]:
    """What each node needs: its kubelet, and what the pod network and addons tell other nodes.

    :param others: pod networks that are in the cluster, too, while one takes another one's place.
    """
    found = [opening("tcp", KUBELET, source) for source in (*nodes, *map(str, pods))]
    networks = list(dict.fromkeys([chosen(host), *others]))
    enabled = [chart for chart in ADDONS if host.flag(f"{chart.prefix}_enabled")]
    ports = [(port, overlay) for network in networks for port in network.ports(host) if port.is_asked]
    ports += [(port, nodes) for chart in enabled for port in chart.ports]
    found += [opening(port.protocol, str(port.number), source) for port, sources in ports for source in sources]
    protocols = [protocol for network in networks for protocol in network.protocols(host)]
    return found + [opening(protocol, "", source) for protocol in protocols for source in overlay]


def of_control_plane(host: Host, others: t.Sequence[str]) -> t.List[Opening]:
    """The API server and an endpoint, for everybody who has credentials; etcd and keepalived for control planes."""
    found = [opening("tcp", str(api_port(host)))]
    found += [opening("tcp", ETCD, source) for source in others]
    endpoint = parse_endpoint(host.text("cluster_endpoint"))
    if host.text("api_endpoint_provider") == KEEPALIVED and endpoint:
        found.append(opening("tcp", str(endpoint[1])))
        found += [opening("vrrp", "", source) for source in others]
    return found


def of_services(host: Host, services: t.Sequence[Network]) -> t.List[Opening]:
    """With IPVS the addresses of services are the node's own; kube-proxy's other modes send them on before."""
    if host.text("cluster_kube_proxy_mode") != "ipvs":
        return []
    networks = [*services]
    for pool in host.sequence("metallb_address_pools"):
        for text in (pool.get("addresses") or []) if isinstance(pool, dict) else ():
            try:
                networks += parse_range(str(text))
            except ValueError:
                continue  # reported by the check on pools
    found = [opening(destination=str(network)) for network in networks]
    return found + [opening(protocol, NODE_PORTS) for protocol in ("tcp", "udp")]


def openings(hosts: Hosts) -> t.Dict[str, t.Dict[str, t.Any]]:
    """The arguments of the module ``node_firewall``, by those hosts whose firewall is to be opened."""
    opened = [host for host in hosts if host.text("node_prep_firewall") == "open"]
    if not opened:
        return {}
    pods, services = (networks_of(hosts, f"cluster_{name}_subnet") for name in ("pod", "service"))
    nodes = node_networks(hosts)
    overlay = list(dict.fromkeys([*nodes, *overlay_networks(hosts)]))
    planes = [host for host in hosts if host.control_plane]
    others = [str(_alone(address)) for address in _addresses(planes)]
    # What is not known of machines that are left out of a run, the next one knows again.
    is_certain = all(entry["certain"] for entry in _machines.addresses(hosts)) and all(host.facts for host in planes)
    changed = [network for host in planes for network in of_ours(configuration(host))]
    is_certain = is_certain and all(own_addresses(host)[1] for host in hosts if has_two_families(host))
    found = {}
    for host in opened:
        wanted = [
            *(of_control_plane(host, others) if host.control_plane else ()),
            *of_node(host, nodes, overlay, pods, changed),
            *of_services(host, services),
            *(_given(item) for item in host.sequence("node_prep_firewall_ports") if isinstance(item, dict)),
            *((opening("icmpv6"),) if any(network.version == 6 for network in pods) else ()),
            *(opening(source=str(network), forwarded=True) for network in pods),
            *(opening(destination=str(network), forwarded=True) for network in pods),
        ]
        distinct = {tuple(sorted(item.items())): item for item in wanted}
        found[host.name] = {"openings": list(distinct.values()), "keep": not is_certain}
    return found


def _given(item: t.Mapping[str, t.Any]) -> Opening:
    """A port of the inventory."""
    return opening(str(item.get("protocol") or "tcp"), str(item.get("port") or ""), str(item.get("source") or ""))


def closed_firewalls(host: Host) -> t.List[str]:
    """The firewalls that were seen to be closed on a machine, as node_facts calls them."""
    seen = ((host.facts or {}).get("surroundings") or {}).get("firewalls") or []
    return [firewall["by"] for firewall in seen]


def is_of_iptables(by: str) -> bool:
    """Whether a closed chain is one of iptables, whose names are in capitals, and whose keeper is not known."""
    return by.endswith(" INPUT)")


def is_handled(host: Host, by: str) -> bool:
    """Whether node_prep will see to a firewall that preflight has seen, by what node_facts calls it."""
    mode = host.text("node_prep_firewall")
    if mode == "disable":
        return by in ("ufw", "firewalld")
    return mode == "open" and not is_of_iptables(by)
