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

from ansible_collections.slipway.kubernetes.plugins.module_utils._charts import within
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
    conjoined,
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
    services = {network.version for variable, network in own if variable == "cluster_service_subnet"}
    for pool in pools:
        versions: t.Set[int] = set()
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
            versions |= {network.version for network in networks}
        if versions and services and not versions & services:
            yield host.problem(
                subject,
                f"has no address of IPv{min(services)}, which is what services have by cluster_service_subnet.",
                "Give it some, or leave it out: no service would get an address of it.",
            )


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
_COMMUNITY = re.compile(r"\d{1,5}:\d{1,5}")
#: What of a peer only FRR knows. Source: MetalLB's internal/config/validation.go, DiscardFRROnly.
_OF_FRR = (
    "bfdProfile",
    "connectTime",
    "disableMP",
    "dynamicASN",
    "enableGracefulRestart",
    "interface",
    "keepaliveTime",
    "vrf",
)


def _protocols(pool: t.Any) -> t.Sequence[t.Any]:
    """How a pool is announced."""
    found = pool.get("protocols") if isinstance(pool, dict) else None
    return [found] if isinstance(found, str) and found else found if isinstance(found, list) and found else ["l2"]


def _entries(host: Host, variable: str) -> t.List[t.Mapping[str, t.Any]]:
    """The entries of a list that have a name; what is none is reported by the checks on argument_specs."""
    return [item for item in host.sequence(variable) if isinstance(item, dict) and item.get("name")]


def _speaks_by_frr(host: Host) -> bool:
    """Whether the values of the chart have another backend than MetalLB's own."""
    values = host.mapping("metallb_values")
    return any(within(values, *path, "enabled") is True for path in (("frrk8s",), ("speaker", "frr")))


def check_metallb_bgp(hosts: Hosts) -> t.Iterable[Problem]:
    """Peers that there cannot be, and what they and pools name."""
    for host in hosts:
        peers = _entries(host, "metallb_bgp_peers")
        for variable in ("metallb_bgp_peers", "metallb_bgp_communities"):
            names = [str(item["name"]) for item in _entries(host, variable)]
            for name in sorted({name for name in names if names.count(name) > 1}):
                yield host.problem(variable, f"has {name} twice.", "Give each entry a name of its own.")
        for peer in peers:
            spec = peer.get("spec")
            yield from _check_peer(host, str(peer["name"]), spec if isinstance(spec, dict) else {})
        for community in _entries(host, "metallb_bgp_communities"):
            if not _is_community(host, community.get("value")):
                yield host.problem(
                    f"metallb_bgp_communities[{community['name']}]",
                    f"{community.get('value')} is no community that MetalLB's own BGP knows.",
                    "Write 64512:100, in quotes.",
                )
        yield from _check_announced(host, {str(peer["name"]) for peer in peers})


def _is_community(host: Host, value: t.Any) -> bool:
    return _speaks_by_frr(host) or _COMMUNITY.fullmatch(str(value)) is not None


def _check_peer(host: Host, name: str, spec: t.Mapping[str, t.Any]) -> t.Iterable[Problem]:
    """What is wrong with one peer."""
    subject, by_frr = f"metallb_bgp_peers[{name}]", _speaks_by_frr(host)
    if not DNS_NAME.fullmatch(name):
        yield host.problem(subject, "is not a valid name.", "Use lowercase letters, digits and dashes.")
    for key in ("myASN", *(() if by_frr and spec.get("dynamicASN") else ("peerASN",))):
        text = str(spec.get(key, ""))
        if not text.isdecimal() or int(text) not in _NUMBERS:
            yield host.problem(
                subject,
                f"{key} is {text}, and has to be the number of an autonomous system." if text else f"has no {key}.",
                "Write a number from 1 to 4294967295; 64512 to 65534 are free for your own use.",
            )
    address = parse_ip(str(spec.get("peerAddress", "")))
    if address is None and not (by_frr and spec.get("interface")):
        yield host.problem(
            subject, f"has the peerAddress {spec.get('peerAddress')}, which is none.", "Write the router's address."
        )
    unknown = [key for key in _OF_FRR if spec.get(key) not in (None, "", False)]
    if unknown and not by_frr:
        yield host.problem(
            subject,
            f"has {conjoined(unknown)}, which MetalLB's own BGP does not know.",
            "Leave it out, or let FRR speak, by metallb_values (docs/load-balancers.md).",
        )
    if "password" in spec:
        yield host.problem(
            subject,
            "has its password in spec, where everybody can read it who may list peers.",
            "Write it as password beside spec.",
        )


def _named(host: Host, subject: str, spec: t.Mapping[str, t.Any], key: str, problems: t.List[Problem]) -> t.List[str]:
    """The names in a list of an advertisement."""
    given = spec.get(key) or []
    if isinstance(given, list) and all(isinstance(name, (str, int)) for name in given):
        return [str(name) for name in given]
    problems.append(host.problem(subject, f"{key} in bgp is no list of names.", "Write it as [name]."))
    return []


def _check_announced(host: Host, peers: t.Collection[str]) -> t.Iterable[Problem]:
    """Pools that are announced by BGP, to whom, and as what."""
    communities = {str(item["name"]) for item in _entries(host, "metallb_bgp_communities")}
    pools = [pool for pool in host.sequence("metallb_address_pools") if isinstance(pool, dict)]
    if peers and not any("bgp" in _protocols(pool) for pool in pools):
        yield host.problem(
            "metallb_bgp_peers",
            "are set, and no pool is announced to them.",
            "Give a pool in metallb_address_pools protocols: [bgp].",
            WARNING,
        )
    for pool in pools:
        subject, spec = f"metallb_address_pools[{pool.get('name', 'pool')}]", pool.get("bgp") or {}
        protocols = _protocols(pool)
        for key, protocol in (("bgp", "bgp"), ("interfaces", "l2")):
            if pool.get(key) and protocol not in protocols:
                yield host.problem(
                    subject,
                    f"has {key}, which counts for nothing: its protocols have no {protocol}.",
                    f"Write {protocol} into protocols, or leave {key} out.",
                    WARNING,
                )
        if "bgp" not in protocols or not isinstance(spec, dict):
            continue  # what is no dictionary is reported by the checks on argument_specs
        if not peers:
            yield host.problem(
                subject, "is announced by BGP, and there is nobody to tell.", "Name routers in metallb_bgp_peers."
            )
        if any(":" in address for address in _pool_addresses(pool)[1]) and not _speaks_by_frr(host):
            yield host.problem(
                subject, "has addresses of IPv6, which MetalLB's own BGP does not announce.", "Announce them by l2."
            )
        problems: t.List[Problem] = []
        for name in _named(host, subject, spec, "peers", problems) if peers else ():
            if name not in peers:
                yield host.problem(subject, f"names the peer {name}.", "Name one of metallb_bgp_peers.")
        for name in _named(host, subject, spec, "communities", problems):
            if name not in communities and not _is_community(host, name):
                yield host.problem(subject, f"names the community {name}.", "Name one of metallb_bgp_communities.")
        yield from problems


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (check_metallb_pools, check_metallb_bgp)
