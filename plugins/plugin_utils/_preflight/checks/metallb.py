# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on MetalLB's pools and peers: syntax, and against the networks of the cluster and of its nodes.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.addresses import (
    Network,
    networks_of,
    node_addresses,
    overlaps,
    parse_ip,
    parse_range,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.inventory import DNS_NAME
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    ERROR,
    WARNING,
    Host,
    Hosts,
    Problem,
)


def _pool_addresses(pool: t.Any) -> t.Tuple[str, t.List[str]]:
    """A pool's name and its addresses as they are written."""
    if not isinstance(pool, dict):
        return "pool", []
    addresses = pool.get("addresses")
    return str(pool.get("name", "pool")), [str(address) for address in addresses or [] if isinstance(addresses, list)]


def check_metallb_pools(hosts: Hosts) -> t.Iterable[Problem]:
    """MetalLB's pools: syntax, and against the networks of the cluster and of its nodes."""
    on_nodes = node_addresses(hosts)
    own = [
        (name, network)
        for name in ("cluster_pod_subnet", "cluster_service_subnet")
        for network in networks_of(hosts, name)
    ]
    # Pools that many hosts share are looked at once: each look compares them with all hosts.
    known: t.Dict[str, t.List[Problem]] = {}
    for host in hosts:
        pools = host.sequence("metallb_address_pools")
        key = repr(pools)
        if key not in known:
            known[key] = list(_check_pools(host, pools, own, on_nodes))
        yield from (dataclasses.replace(problem, host=host.name) for problem in known[key])


def _check_pools(
    host: Host,
    pools: t.Sequence[t.Any],
    own: t.Sequence[t.Tuple[str, Network]],
    on_nodes: t.Sequence[t.Tuple[str, t.Any]],
) -> t.Iterable[Problem]:
    """What is wrong with one list of pools."""
    names: t.Set[str] = set()
    seen: t.List[t.Tuple[str, Network]] = []
    for pool in pools:
        # A pool without a name or addresses is reported by the checks on argument_specs.
        name, addresses = _pool_addresses(pool)
        subject = f"metallb_address_pools[{name}]"
        if not DNS_NAME.fullmatch(name):
            yield host.problem(subject, "is not a valid name.", "Use lowercase letters, digits and dashes.")
        if name in names:
            yield host.problem(subject, "is the name of two pools.", "Give each pool a name of its own.")
        if isinstance(pool, dict) and "name" in pool:
            names.add(name)
        for text in addresses:
            try:
                networks = parse_range(text)
            except ValueError as error:
                yield host.problem(subject, f"is malformed: {error}.", "Write 10.0.0.0/28 or 10.0.0.200-10.0.0.220.")
                continue
            yield from (
                host.problem(subject, message, remedy, severity)
                for message, remedy, severity in _check_pool(text, networks, own, on_nodes, seen)
                if severity == ERROR or "l2" in _protocols(pool)
            )
            seen.extend((text, network) for network in networks)


def _check_pool(
    text: str,
    networks: t.Sequence[Network],
    own: t.Sequence[t.Tuple[str, Network]],
    on_nodes: t.Sequence[t.Tuple[str, t.Any]],
    seen: t.Sequence[t.Tuple[str, Network]],
) -> t.Iterable[t.Tuple[str, str, str]]:
    """What is wrong with one range of a pool: message, remedy, severity."""
    inside = [f"{variable} {network}" for variable, network in own if any(overlaps(network, part) for part in networks)]
    for place in inside:
        yield f"{text} overlaps {place}.", "Choose addresses outside of it.", ERROR
    for node, address in on_nodes:
        if any(address.ip in part for part in networks):
            yield f"{text} contains {address.ip}, the address of {node}.", "Leave the nodes' addresses out.", ERROR
    for other in {other for other, network in seen if any(overlaps(network, part) for part in networks)}:
        yield f"{text} overlaps {other}, which a pool has already.", "Give each address to one pool.", ERROR
    reachable = any(overlaps(part, address.network) for part in networks for _node, address in on_nodes)
    if on_nodes and not reachable and not inside:
        yield (
            f"{text} is in no network that a node has an address in.",
            "Nobody answers for it on layer 2 unless a router sends it to the nodes.",
            WARNING,
        )


#: What an autonomous system may be called.
_NUMBERS = range(1, 2**32)
_COMMUNITY = re.compile(r"\d{1,5}:\d{1,5}|large(:\d{1,10}){3}")


def _protocols(pool: t.Any) -> t.Sequence[t.Any]:
    """How a pool is announced."""
    found = pool.get("protocols") if isinstance(pool, dict) else None
    return found if isinstance(found, list) and found else ["l2"]


def _entries(host: Host, variable: str) -> t.List[t.Mapping[str, t.Any]]:
    """The entries of a list that have a name; what is none is reported by the checks on argument_specs."""
    return [item for item in host.sequence(variable) if isinstance(item, dict) and item.get("name")]


def check_metallb_bgp(hosts: Hosts) -> t.Iterable[Problem]:
    """Peers that there cannot be, and what they and pools name."""
    for host in hosts:
        peers = _entries(host, "metallb_bgp_peers")
        for variable in ("metallb_bgp_peers", "metallb_bgp_communities", "metallb_bfd_profiles"):
            names = [str(item["name"]) for item in _entries(host, variable)]
            for name in sorted({name for name in names if names.count(name) > 1}):
                yield host.problem(variable, f"has {name} twice.", "Give each entry a name of its own.")
        for peer in peers:
            spec = peer.get("spec")
            yield from _check_peer(host, str(peer["name"]), spec if isinstance(spec, dict) else {})
        for community in _entries(host, "metallb_bgp_communities"):
            if not _COMMUNITY.fullmatch(str(community.get("value"))):
                yield host.problem(
                    f"metallb_bgp_communities[{community['name']}]",
                    f"{community.get('value')} is no community.",
                    "Write 64512:100, in quotes, or large:64512:100:1.",
                )
        yield from _check_announced(host, {str(peer["name"]) for peer in peers})
        if _entries(host, "metallb_bfd_profiles") and host.text("metallb_bgp_backend") == "native":
            yield host.problem(
                "metallb_bfd_profiles",
                "are set, and MetalLB's own BGP has no BFD.",
                "Set metallb_bgp_backend: frr-k8s, or leave the profiles out.",
            )


def _check_peer(host: Host, name: str, spec: t.Mapping[str, t.Any]) -> t.Iterable[Problem]:
    """What is wrong with one peer."""
    subject = f"metallb_bgp_peers[{name}]"
    if not DNS_NAME.fullmatch(name):
        yield host.problem(subject, "is not a valid name.", "Use lowercase letters, digits and dashes.")
    for key in ("myASN", *(() if spec.get("dynamicASN") else ("peerASN",))):
        text = str(spec.get(key, ""))
        if not text.isdecimal() or int(text) not in _NUMBERS:
            yield host.problem(
                subject,
                f"{key} is {text}, and has to be the number of an autonomous system." if text else f"has no {key}.",
                "Write a number from 1 to 4294967295; 64512 to 65534 are free for your own use.",
            )
    address = str(spec.get("peerAddress", ""))
    if not spec.get("interface") and parse_ip(address) is None:
        yield host.problem(
            subject,
            f"peerAddress {address} is no address." if address else "has no peerAddress.",
            "Write the router's address.",
        )
    profiles = [str(item["name"]) for item in _entries(host, "metallb_bfd_profiles")]
    if spec.get("bfdProfile") and spec["bfdProfile"] not in profiles:
        yield host.problem(
            subject, f"bfdProfile {spec['bfdProfile']} is not there.", "Name one of metallb_bfd_profiles."
        )
    if "password" in spec:
        yield host.problem(
            subject,
            "has its password in spec, where everybody can read it who may list peers.",
            "Write it as password beside spec.",
        )


def _check_announced(host: Host, peers: t.Container[str]) -> t.Iterable[Problem]:
    """Pools that are announced by BGP, to whom, and as what."""
    communities = {str(item["name"]) for item in _entries(host, "metallb_bgp_communities")}
    for pool in (pool for pool in host.sequence("metallb_address_pools") if "bgp" in _protocols(pool)):
        subject, spec = f"metallb_address_pools[{pool.get('name', 'pool')}]", pool.get("bgp") or {}
        if not host.sequence("metallb_bgp_peers"):
            yield host.problem(
                subject, "is announced by BGP, and there is nobody to tell.", "Name routers in metallb_bgp_peers."
            )
        if not isinstance(spec, dict):
            continue  # reported by the checks on argument_specs
        for name in spec.get("peers") or ():
            if name not in peers:
                yield host.problem(subject, f"names the peer {name}.", "Name one of metallb_bgp_peers.")
        for name in spec.get("communities") or ():
            if str(name) not in communities and not _COMMUNITY.fullmatch(str(name)):
                yield host.problem(subject, f"names the community {name}.", "Name one of metallb_bgp_communities.")


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (check_metallb_pools, check_metallb_bgp)
