# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on what the connections between machines have shown, and on their clocks.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import chosen
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.addresses import api_port
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.plan import ENDPOINT, ETCD, KUBELET
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    CLUSTER,
    ERROR,
    WARNING,
    Host,
    Hosts,
    Problem,
)

#: Seconds that clocks may differ: from the first on there is a warning, from the second on an error.
SKEW = (0.5, 1.0)


def _purpose(host: Host, protocol: str, port: int) -> str:
    """What a port of a node is for."""
    network = chosen(host)
    if (protocol, port) in [(item.protocol, item.number) for item in network.ports(host)]:
        return f"{network.title}, for the traffic between pods"
    if port in ETCD:
        return "etcd"
    return {KUBELET: "the kubelet, for logs, exec and metrics", api_port(host): "the API server"}.get(
        port, "the endpoint of the API servers"
    )


def _has_static_pods(host: Host) -> bool:
    """Whether static pods of others wait for the kubelet of a control plane, such as kube-vip."""
    return host.control_plane and bool(((host.facts or {}).get("surroundings") or {}).get("static_pods"))


def check_connections(hosts: Hosts) -> t.Iterable[Problem]:
    """Machines that cannot reach each other on a port that they will need."""
    by_name = {host.name: host for host in hosts}
    exists = any(host.control_plane and host.joined for host in hosts)
    comes_later = not exists and any(map(_has_static_pods, hosts))
    for host in hosts:
        for failure in host.peers.get("failures", []):
            port, error = f"{failure['port']}/{failure['protocol']}", failure["error"]
            if failure["host"] != ENDPOINT:
                yield host.problem(
                    "connection",
                    f"{failure['host']} ({failure['address']}) cannot be reached on port {port}, which is for"
                    f" {_purpose(by_name.get(failure['host'], host), failure['protocol'], failure['port'])}: {error}.",
                    "Open it in the firewalls of both and between them, or correct cluster_node_ip.",
                )
            elif not exists and "refused" in error:
                yield host.problem(
                    ENDPOINT,
                    f"{failure['address']} refuses connections on port {port}.",
                    "That is right for a load balancer that has no API server to forward to yet; after that it has to"
                    " accept them.",
                    WARNING,
                )
            else:
                yield host.problem(
                    ENDPOINT,
                    f"{failure['address']} cannot be reached on port {port}: {error}.",
                    "That is right where a static pod of the control plane brings the address."
                    if comes_later
                    else "Set up the load balancer first, and let all nodes reach it.",
                    WARNING if comes_later else ERROR,
                )


def check_segment(hosts: Hosts) -> t.Iterable[Problem]:
    """A VIP that somebody has, and a VRRP router id that somebody speaks with."""
    for host in hosts:
        if host.peers.get("vip_holder"):
            yield Problem(
                CLUSTER,
                "api_endpoint_vip",
                f"{host.text('api_endpoint_vip')} is in use by a machine with the MAC address"
                f" {host.peers['vip_holder']}, which is none of the control planes.",
                "Choose a free address, or turn that machine off.",
            )
        wanted = host.number("__api_endpoint_router_id")
        for seen in host.peers.get("vrrp", []):
            if seen["router_id"] == wanted:
                yield Problem(
                    CLUSTER,
                    "api_endpoint_router_id",
                    f"{wanted} is used by {seen['sender']} in this network, for {', '.join(seen['addresses'])}.",
                    "Set it to another number, 1 to 255.",
                )


# Clocks


def check_clocks(hosts: Hosts) -> t.Iterable[Problem]:
    """Clocks of nodes that are certainly apart; etcd and certificates do not bear that.

    How far a clock is ahead is known as an interval, because the answer takes time. The controller's own clock does not
    matter.
    """
    clocks = [(host.clock, host) for host in hosts if host.clock]
    slowest, fastest = clocks[:1], clocks[:1]
    for clock, host in clocks[1:]:
        # The one before that is the furthest apart, so that each host is named once.
        apart, other = max(
            ((_apart(clock, known), peer) for known, peer in slowest + fastest), key=lambda pair: abs(pair[0])
        )
        yield from _skew(host, other.name, apart)
        slowest = [min([*slowest, (clock, host)], key=lambda pair: pair[0][1])]
        fastest = [max([*fastest, (clock, host)], key=lambda pair: pair[0][0])]
    by_name = {host.name: host for host in hosts}
    for host in hosts:
        for name, clock in host.peers.get("clocks", {}).items():
            yield from _skew(by_name.get(name, host), host.name, _apart(clock, (0, 0)))


def _apart(one: t.Sequence[float], other: t.Sequence[float]) -> float:
    """How many seconds the first clock is at least ahead of the other; negative when it is behind."""
    ahead, behind = one[0] - other[1], other[0] - one[1]
    return ahead if ahead > 0 else -behind if behind > 0 else 0.0


def _skew(host: Host, other: str, seconds: float) -> t.Iterable[Problem]:
    if abs(seconds) > SKEW[0]:
        problem = host.problem(
            "time",
            f"the clock is {abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} that of {other}.",
            "See why what synchronises the clocks does not: `timedatectl timesync-status` or `chronyc tracking`;"
            " node_prep_time_sync: install sets it up where nothing does.",
            "error" if abs(seconds) > SKEW[1] else WARNING,
        )
        yield problem


def check_time_sync(hosts: Hosts) -> t.Iterable[Problem]:
    """Machines on which nothing keeps the clock right."""
    for host in hosts:
        if (host.facts or {}).get("time_sync") == "" and host.text("node_prep_time_sync") == "check":
            yield host.problem(
                "time_sync",
                "nothing synchronises the clock (neither systemd-timesyncd, chrony nor ntpd is active).",
                "Set one up, or set node_prep_time_sync to install, or to leave when something else does it.",
                WARNING,
            )


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (
    check_connections,
    check_segment,
    check_clocks,
    check_time_sync,
)
