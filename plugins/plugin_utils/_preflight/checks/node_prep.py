# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on how machines are prepared: swap that pods may use, names in /etc/hosts.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine.sysctls import (
    contradiction,
    key_path,
    normalised,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import chosen, families
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _machines
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._openings import closed_firewalls, is_of_iptables
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.inventory import DNS_NAME
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    CLUSTER,
    ERROR,
    WARNING,
    Host,
    Hosts,
    Problem,
)

#: Characters of a hostname, as Linux counts them.
HOSTNAME_MAX = 64
#: What has to be on for packets of pods; below /proc/sys.
FORWARDING = ("net/ipv4/ip_forward", "net/ipv4/conf/all/forwarding", "net/ipv4/conf/default/forwarding")
#: The same for a cluster with two families.
FORWARDING6 = ("net/ipv6/conf/all/forwarding", "net/ipv6/conf/default/forwarding")
#: Without it services do not answer pods of their own node.
BRIDGED = "net/bridge/bridge-nf-call-iptables"


def check_limited_swap(hosts: Hosts) -> t.Iterable[Problem]:
    """Swap for pods is a matter of all nodes: they share the kubelet's configuration."""
    limited = [host for host in hosts if host.text("node_prep_swap") == "limited"]
    others = [host for host in hosts if host.control_plane and host.text("node_prep_swap") != "limited"]
    if limited and others:
        yield Problem(
            CLUSTER,
            "node_prep_swap",
            f"is limited on {limited[0].name}, and {others[0].text('node_prep_swap')} on the control plane"
            f" {others[0].name}, from which the kubelets' configuration comes.",
            "Set it once, for the group of all hosts of the cluster; machines without swap are no trouble.",
        )
    for host in limited:
        kubelet = host.mapping("control_plane_kubelet_configuration")
        swap = kubelet.get("memorySwap")
        behaviour = swap.get("swapBehavior", "LimitedSwap") if isinstance(swap, dict) else "LimitedSwap"
        if kubelet.get("failSwapOn", False) is not False or behaviour != "LimitedSwap":
            yield host.problem(
                "node_prep_swap",
                "is limited, and control_plane_kubelet_configuration says something else by failSwapOn or memorySwap.",
                "Leave these fields out, or set node_prep_swap: keep.",
            )
        if host.facts is not None and host.facts.get("cgroup_version") == 1:
            yield host.problem(
                "node_prep_swap",
                "is limited, which the kubelet can do with cgroup v2 only.",
                "Boot with systemd.unified_cgroup_hierarchy=1, or set node_prep_swap: absent.",
            )


def check_hosts_entries(hosts: Hosts) -> t.Iterable[Problem]:
    """Lines of /etc/hosts, and machines of which no address is known for one."""
    for host in hosts:
        for line in host.sequence("node_prep_hosts_entries"):
            fields = str(line).partition("#")[0].split()
            try:
                ipaddress.ip_address(fields[0] if len(fields) > 1 else "")
            except ValueError:
                yield host.problem(
                    "node_prep_hosts_entries",
                    f"{line!r} is no line of /etc/hosts.",
                    "Write an address and one name or more, such as 192.0.2.9 registry.example.com.",
                )
    if any(host.flag("node_prep_hosts") for host in hosts):
        for machine in _machines.addresses(hosts):
            if not machine["address"]:
                yield Problem(
                    machine["names"][0],
                    "node_prep_hosts",
                    "its address is not known in this run, so that /etc/hosts of the others keeps what it has.",
                    "Set cluster_node_ip for it, or let a run take part in which it can be reached.",
                    WARNING,
                )


def check_extra_sysctls(hosts: Hosts) -> t.Iterable[Problem]:
    """Sysctls with names or values that there cannot be."""
    for host in hosts:
        for name, value in host.mapping("node_prep_extra_sysctls").items():
            try:
                key_path(str(name))
                normalised(str(name), value)
            except SlipwayError as error:
                message = error.msg.partition("settings: ")[2]
                yield host.problem("node_prep_extra_sysctls", message, "Write it as {vm.max_map_count: 262144}.")
        message = contradiction({**host.mapping("node_prep_sysctls"), **host.mapping("node_prep_extra_sysctls")})
        if message:
            yield host.problem("node_prep_extra_sysctls", message, "Keep one of them.")
        else:
            yield from _check_forwarding(host)


def _check_forwarding(host: Host) -> t.Iterable[Problem]:
    """Sysctls that take the network away from pods, also from those of a node that works."""
    forwarding = (*FORWARDING, *(FORWARDING6 if 6 in families(host) else ()))
    for variable in ("node_prep_extra_sysctls", "node_prep_sysctls"):
        for name, value in host.mapping(variable).items():
            is_said = variable == "node_prep_sysctls" and name in host.mapping("node_prep_extra_sysctls")
            try:
                is_off = not is_said and normalised(str(name), value) == "0"
                key = key_path(str(name))
            except SlipwayError:
                continue
            # A pod network of others may have no bridge.
            if is_off and (key in forwarding or (key == BRIDGED and chosen(host).goes_by_slices)):
                yield host.problem(variable, f"sets {name} to 0, without which pods have no network.", "Leave it out.")


def check_hostname(hosts: Hosts) -> t.Iterable[Problem]:
    """Hostnames that are none. The name in the inventory, which is the default, is looked at as the node's name."""
    for host in hosts:
        name = host.text("node_prep_hostname")
        if name and name != host.name and (len(name) > HOSTNAME_MAX or not DNS_NAME.fullmatch(name)):
            yield host.problem(
                "node_prep_hostname",
                f"{name} is not a DNS name in lower case with at most {HOSTNAME_MAX} characters.",
                "Use lowercase letters, digits, inner dashes and dots.",
                WARNING if host.joined else ERROR,
            )


def check_firewall(hosts: Hosts) -> t.Iterable[Problem]:
    """Networks and ports that firewalls cannot be told."""
    for host in hosts if any(host.text("node_prep_firewall") == "open" for host in hosts) else ():
        ports = [item for item in host.sequence("node_prep_firewall_ports") if isinstance(item, dict)]
        named = [("node_prep_firewall_sources", text) for text in host.sequence("node_prep_firewall_sources")]
        named += [("node_prep_firewall_ports", item["source"]) for item in ports if item.get("source")]
        for variable, text in named:
            try:
                ipaddress.ip_network(str(text))
            except ValueError as error:
                yield host.problem(variable, f"{error}.", "Write a network as 192.0.2.0/24.")
        for item in ports:
            ends = str(item.get("port") or "").split("-")
            numbers = [int(end) for end in ends if end.isdecimal()]
            if len(numbers) != len(ends) or len(ends) > 2 or not 0 < numbers[0] <= numbers[-1] < 65536:
                yield host.problem(
                    "node_prep_firewall_ports", f"{item.get('port')!r} is no port.", "Write 9100, or 9100-9110."
                )
        if host.text("node_prep_firewall") == "open":
            yield from _check_opened(host)
    planes = [host for host in hosts if host.control_plane]
    opened = [host for host in hosts if host.text("node_prep_firewall") == "open"]
    for machine in _machines.addresses(planes) if opened else ():
        if not machine["address"]:
            yield Problem(
                machine["names"][0],
                "cluster_node_ip",
                f"is empty, and this run does not look at the machine: the firewall of {opened[0].name} cannot be"
                " opened for its etcd.",
                "Set it, or let the machine take part in the run.",
            )


def _check_opened(host: Host) -> t.Iterable[Problem]:
    """What the firewall of a machine cannot be told, or nobody knows."""
    closed = closed_firewalls(host)
    if "ufw" in closed and "ipip" in chosen(host).protocols(host):
        yield host.problem(
            "node_prep_firewall",
            f"is open, and ufw has no rule for IPIP, which {chosen(host).title} uses between nodes.",
            "Choose another encapsulation, or admit protocol 4 in /etc/ufw/before.rules and set"
            " node_prep_firewall: leave.",
        )
    if any(map(is_of_iptables, closed)):
        yield host.problem(
            "node_prep_firewall",
            "is open, and the machine's chain INPUT of iptables drops what it does not name; whatever keeps its rules"
            " is not known here.",
            "Admit there what docs/firewall.md names, and set node_prep_firewall: leave.",
        )
    if closed and not chosen(host).name:
        yield host.problem(
            "node_prep_firewall",
            f"is open, and what the pod network of cluster_cni: {host.text('cluster_cni')} needs is not known.",
            "Name its ports in node_prep_firewall_ports.",
            WARNING,
        )


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (
    check_limited_swap,
    check_hosts_entries,
    check_extra_sysctls,
    check_hostname,
    check_firewall,
)
