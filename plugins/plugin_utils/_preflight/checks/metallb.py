# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on MetalLB's pools: their syntax, and against the networks of the cluster and of its nodes.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.addresses import (
    Network,
    networks_of,
    node_addresses,
    overlaps,
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


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (check_metallb_pools,)
