# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on where a node is reached: ports that others have, its address, the interface of the pod network.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._kube_proxy import has_kube_proxy
from ansible_collections.slipway.kubernetes.plugins.module_utils._network.peers import PROCESS
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import (
    chosen,
    has_ipv6_alone,
    interface_with_address,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.addresses import (
    CONTROL_PLANE_PORTS,
    NODE_PORTS,
    api_port,
    own_addresses,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.facts import configuration, with_facts
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    WARNING,
    Hosts,
    Problem,
    conjoined,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.sources import ADDONS

#: The kernel keeps this many characters of a process name.
COMM_LENGTH = 15


def check_ports(hosts: Hosts) -> t.Iterable[Problem]:
    """Ports of Kubernetes that something else listens on."""
    # What stands in for kube-proxy may have its ports.
    absent = "" if all(map(has_kube_proxy, hosts)) else "kube-proxy"
    for host, facts in with_facts(hosts):
        wanted = {port: process for port, process in NODE_PORTS if process != absent}
        if host.control_plane:
            wanted.update({**dict(CONTROL_PLANE_PORTS), api_port(host): "kube-apiserver"})
        foreign: t.Dict[t.Tuple[int, str], None] = {}
        for socket in facts["listening"]:
            port, process = socket["port"], str(socket.get("process") or "")
            owner = wanted.get(port)
            # Without a process (its name is hidden in some containers) a node's port is taken for its own.
            ours = host.joined if not process else process[:COMM_LENGTH] in (str(owner)[:COMM_LENGTH], PROCESS)
            if socket["protocol"] == "tcp" and owner and not ours:
                pid = f" (pid {socket['pid']})" if socket.get("pid") else ""
                foreign[(port, f"{process or 'an unknown process'}{pid}")] = None
        for port, holder in foreign:
            yield host.problem(
                f"port {port}",
                f"is held by {holder}, and {wanted[port]} needs it.",
                "Stop that process or move it to another port.",
            )


def check_ports_of_addons(hosts: Hosts) -> t.Iterable[Problem]:
    """Ports of the pod network and of addons on machines that are no nodes yet, when they are not set otherwise."""
    there = {name for host in hosts for name in configuration(host).get("pod_networks") or {}}
    for host, facts in with_facts(hosts):
        network = chosen(host)
        is_new = host.flag("preflight_changes_pod_network") and network.name not in there
        wanted = [(port, network.ports_variable) for port in network.ports(host) if is_new or not host.joined]
        enabled = [chart for chart in ADDONS if host.flag(f"{chart.prefix}_enabled") and not host.joined]
        wanted += [(port, f"{chart.prefix}_values") for chart in enabled for port in chart.ports]
        for port, values in wanted:
            if "port" in str(host.mapping(values)).lower():
                continue
            holders = [
                socket
                for socket in facts["listening"]
                if (socket["protocol"], socket["port"]) == (port.protocol, port.number)
                and (socket.get("process") or not port.is_shared)
            ]
            for holder in holders[:1]:
                name = str(holder.get("process") or "")
                if name[:COMM_LENGTH] != PROCESS:
                    who = f"{name} (pid {holder['pid']})" if name else "the kernel, such as a WireGuard interface"
                    yield host.problem(
                        f"port {port.number}/{port.protocol}",
                        f"is held by {who}, and {port.purpose} needs it.",
                        "Let that use another port; or give"
                        f" {'the chart' if values.endswith('_values') else network.title} one in {values}.",
                    )


def check_node_ip(hosts: Hosts) -> t.Iterable[Problem]:
    """cluster_node_ip, or the default address that stands in for it."""
    owners: t.Dict[str, t.Set[str]] = {}
    for host in hosts:
        text = host.text("cluster_node_ip")
        facts = host.facts
        if not text:
            default = own_addresses(host)[0] or (facts or {}).get("default_address6")
            if default:
                owners.setdefault(str(default), set()).add(host.name)
            elif facts is not None:
                of_six = " of IPv6" if has_ipv6_alone(host) else ""
                yield host.problem(
                    "cluster_node_ip",
                    f"is empty and the host has no default route{of_six} to take an address from.",
                    "Set it to the host's address in the network of the cluster.",
                )
            continue
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            remedy = "Write an address, not a name or CIDR."
            if "," in text:
                remedy = "Write the address of IPv4 here, and that of IPv6 as cluster_node_ip6."
            yield host.problem("cluster_node_ip", f"{text} is not an address.", remedy)
            continue
        if address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local:
            yield host.problem(
                "cluster_node_ip",
                f"{text} cannot be reached from other nodes.",
                "Set it to the host's address in the network of the cluster.",
            )
            continue
        owners.setdefault(str(address), set()).add(host.name)
        if facts is None:
            continue
        present = [entry["address"] for interface in facts["interfaces"] for entry in interface.get("addresses", [])]
        if address not in [ipaddress.ip_address(entry) for entry in present]:
            yield host.problem(
                "cluster_node_ip",
                f"{text} is on no interface of the host (it has {', '.join(present) or 'none'}).",
                "Set it, for this host alone, to one of these.",
            )
    for shared, names in owners.items():
        for name in names if len(names) > 1 else ():
            yield Problem(
                name,
                "cluster_node_ip",
                f"{shared} is the same on {conjoined(names)}.",
                "Give each host its own address.",
            )


def check_pod_network_interface(hosts: Hosts) -> t.Iterable[Problem]:
    """The interface that the pod network takes is the one with the address by which other nodes know the host."""
    known = with_facts(hosts)
    first = next((item for item in known if item[0].control_plane), None)
    if first is None:
        return
    for host, facts in known:
        network = chosen(host)
        own = own_addresses(host)[0]
        wanted = interface_with_address(facts, own)
        taken = network.interface(host, facts, *first)
        if wanted and taken not in ("", wanted, own):
            yield host.problem(
                f"cni_{network.name}_interface",
                f"{taken} is what {network.title} takes, but the host's address {own} is on {wanted}.",
                network.interface_remedy,
                WARNING,
            )


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (
    check_ports,
    check_ports_of_addons,
    check_node_ip,
    check_pod_network_interface,
)
