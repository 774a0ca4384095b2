# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses, networks and ports: as inventories write them, and as machines have them.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import has_two_families
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _families
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._configuration_differences import as_network
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.inventory import (
    DNS_NAME,
    distinct,
    is_argument,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host, Hosts

Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
Address = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

#: kubeadm gives each node a network of this prefix length from the pod subnet, by IP version, if it is told no other.
NODE_PREFIX = {4: 24, 6: 64}

KEEPALIVED = "keepalived"

#: What listens where on a node: port, process. The API server's port is added by the check.
NODE_PORTS = ((10248, "kubelet"), (10249, "kube-proxy"), (10250, "kubelet"), (10256, "kube-proxy"))

CONTROL_PLANE_PORTS = (
    (2379, "etcd"),
    (2380, "etcd"),
    (2381, "etcd"),
    (10257, "kube-controller-manager"),
    (10259, "kube-scheduler"),
)


def parse_endpoint(text: str) -> t.Optional[t.Tuple[str, int]]:
    """``host[:port]`` or ``[IPv6][:port]`` as host and port (6443 when not said); ``None`` when malformed."""
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]/@\s]+))(?::([0-9]{1,5}))?", text)
    if not match:
        return None
    name, port = match[1] or match[2], int(match[3] or KUBEADM.api_port)
    if not 0 < port < 65536:
        return None
    if match[1] or re.fullmatch(r"[0-9.]+", name):
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return None
    elif not DNS_NAME.fullmatch(name):
        return None
    return name, port


def parse_ip(text: str) -> t.Optional[Address]:
    """An address; ``None`` when it is none."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def parse_networks(text: str) -> t.List[Network]:
    """Networks of a subnet variable: one, or two separated by a comma.

    :raises ValueError: when one is malformed, with the reason.
    """
    networks: t.List[Network] = [as_network(part.strip()) for part in text.split(",")]
    if len(networks) > 2 or (len(networks) == 2 and networks[0].version == networks[1].version):
        raise ValueError(f"{text} is more than one network of the same IP version")
    return networks


def own_addresses(host: Host) -> t.Tuple[str, str]:
    """The address by which other nodes know a host, and that of IPv6 beside one of IPv4; empty where it has none."""
    own = _families.node_address(host.facts or {}, [host.text("cluster_pod_subnet")], host.text("cluster_node_ip"))
    if not has_two_families(host):
        return own, ""
    return own, _families.address6(host.facts or {}, own, host.text(_families.NODE_IP6)).address


def parse_range(text: str) -> t.List[Network]:
    """A pool's addresses, written as CIDR or as ``first-last``, as networks.

    :raises ValueError: when malformed, with the reason.
    """
    first, dash, last = (part.strip() for part in text.partition("-"))
    if not dash:
        if "/" not in text:
            raise ValueError(f"{text} is neither a network (10.0.0.0/28) nor a range (10.0.0.1-10.0.0.9)")
        return [as_network(text)]
    start, end = ipaddress.ip_address(first), ipaddress.ip_address(last)
    if start.version != end.version:
        raise ValueError(f"{text} mixes IPv4 and IPv6")
    if start > end:  # type: ignore[operator]
        raise ValueError(f"{text} ends before it starts")
    return list(ipaddress.summarize_address_range(start, end))  # type: ignore[type-var]


def overlaps(first: Network, second: Network) -> bool:
    """Whether two networks share addresses; never when their IP versions differ."""
    return first.version == second.version and first.overlaps(second)  # type: ignore[arg-type]


def networks_of(hosts: Hosts, name: str) -> t.List[Network]:
    """The networks that the variable names on any host, malformed ones left out."""
    found: t.Dict[Network, None] = {}
    for text, _host in distinct(hosts, name):
        try:
            found.update(dict.fromkeys(parse_networks(text)))
        except ValueError:
            continue
    return list(found)


def node_addresses(hosts: Hosts) -> t.List[t.Tuple[str, ipaddress.IPv4Interface | ipaddress.IPv6Interface]]:
    """Every address on a real interface of a host, with the network it is in. The node's own may be on any."""
    found = []
    for host in hosts:
        own = _families.canonical(host.text("cluster_node_ip"))
        for interface in (host.facts or {}).get("interfaces", []):
            addresses = interface.get("addresses", [])
            if interface.get("virtual") and own not in [address["address"] for address in addresses]:
                continue
            for address in addresses:
                found.append((host.name, ipaddress.ip_interface(f"{address['address']}/{address['prefix']}")))
    return found


def node_prefix(hosts: Hosts, version: int = 4) -> int:
    """The prefix length of the network that each node gets: kubeadm's, or what the controller manager is told."""
    found = NODE_PREFIX[version]
    for host in (host for host in hosts if host.control_plane):
        manager = host.mapping("control_plane_cluster_configuration").get("controllerManager")
        items = manager.get("extraArgs") if isinstance(manager, dict) else None
        for item in filter(is_argument, items if isinstance(items, list) else []):
            value = str(item.get("value"))
            if item["name"] in ("node-cidr-mask-size", f"node-cidr-mask-size-ipv{version}") and value.isdecimal():
                found = int(value)
    return found


def virtual_address(host: Host) -> t.Optional[Address]:
    """The VIP of a cluster whose endpoint is keepalived's; ``None`` when there is none."""
    return parse_ip(host.text("api_endpoint_vip")) if host.text("api_endpoint_provider") == KEEPALIVED else None


def api_port(host: Host) -> int:
    """The port that the API server listens on: kubeadm's default or what its configuration is overridden with."""
    endpoint = host.mapping("control_plane_init_configuration").get("localAPIEndpoint")
    port = str(endpoint.get("bindPort")) if isinstance(endpoint, dict) else ""
    return int(port) if port.isascii() and port.isdigit() else KUBEADM.api_port
