# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on families of addresses, IPv4, IPv6 or both: networks, the nodes' addresses, what IPv6 needs of machines.

Where there is IPv4 it goes first. Private to this collection; runs on the controller.
"""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._kube_proxy import has_kube_proxy
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import (
    chosen,
    families,
    has_ipv6_alone,
    has_two_families,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _families
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._families import NODE_IP6
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.addresses import (
    node_prefix,
    own_addresses,
    parse_ip,
    parse_networks,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.facts import looked_at
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.inventory import distinct, is_argument
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    CLUSTER,
    ERROR,
    WARNING,
    Host,
    Hosts,
    Problem,
    conjoined,
)

#: Networks of the cluster, with an example of each in both families.
SAMPLES = {
    "cluster_pod_subnet": ("10.244.0.0/16", "fd00:10:244::/56"),
    "cluster_service_subnet": ("10.96.0.0/12", "fd00:10:96::/112"),
}
#: kubeadm refuses a network of pods from which more networks of nodes could be made, 2 to this power.
#: Source: PodSubnetNodeMaskMaxDiff in Kubernetes' cmd/kubeadm/app/constants/constants.go.
NODE_BITS_MAX = 16
#: What sizes of nodes' networks the controller manager does not start with, by the versions of IP that pods have, and
#: what takes their place. Source: setNodeCIDRMaskSizes in Kubernetes' cmd/kube-controller-manager/app/core.go.
WRONG_SIZES = {
    (4,): ("node-cidr-mask-size-ipv6", "IPv4 alone", "node-cidr-mask-size"),
    (6,): ("node-cidr-mask-size-ipv4", "IPv6 alone", "node-cidr-mask-size"),
    (4, 6): ("node-cidr-mask-size", "two families", "node-cidr-mask-size-ipv4 and node-cidr-mask-size-ipv6"),
}


def check_families(hosts: Hosts) -> t.Iterable[Problem]:
    """One family, or IPv4 and IPv6 in this order, for pods and services alike."""
    refused = False
    for name, (four, six) in SAMPLES.items():
        for text, owner in distinct(hosts, name):
            if _versions(text) == [6, 4]:
                refused = True
                yield Problem(
                    owner,
                    name,
                    f"is {text}, and clusters with IPv6 first are not supported yet.",
                    f"Write one network of each family with IPv4 first, {four},{six}, or one alone: {four} or {six}.",
                )
    pairs = {tuple(host.text(name) for name in SAMPLES): host.name for host in reversed(hosts)}
    for (pods, services), owner in pairs.items() if not refused else ():
        if _versions(pods) and _versions(services) and _versions(pods) != _versions(services):
            yield Problem(
                CLUSTER if len(pairs) == 1 else owner,
                "cluster_service_subnet",
                f"is {services}, and cluster_pod_subnet is {pods}: both have the same families of addresses.",
                f"Write networks of the same families, such as {','.join(SAMPLES['cluster_service_subnet'])} beside"
                f" {','.join(SAMPLES['cluster_pod_subnet'])}.",
            )


def _versions(text: str) -> t.List[int]:
    """The IP versions of networks; none when one is malformed, which is reported elsewhere."""
    try:
        return [network.version for network in parse_networks(text)]
    except ValueError:
        return []


def check_pod_network_of_families(hosts: Hosts) -> t.Iterable[Problem]:
    """A pod network that gives pods addresses of one family, or does not do without IPv4."""
    for host in hosts:
        network, lacking = chosen(host), ""
        if has_two_families(host) and not network.has_two_families:
            lacking = "two families"
        elif has_ipv6_alone(host) and not network.can_ipv6_alone:
            lacking = "IPv6 alone"
        if host.control_plane and lacking and network.name:
            yield Problem(
                CLUSTER,
                "cluster_cni",
                f"is {network.name}, and {network.title} is not set up for {lacking} yet.",
                "Choose another pod network, or write one network of IPv4 into cluster_pod_subnet and"
                " cluster_service_subnet.",
            )
            return


def check_networks_of_nodes(hosts: Hosts) -> t.Iterable[Problem]:
    """What each node gets of the network of pods in IPv6."""
    prefix = node_prefix(hosts, 6)
    for text, owner in distinct(hosts, "cluster_pod_subnet"):
        for network in parse_networks(text) if _versions(text) else ():
            if network.version == 6 and prefix - network.prefixlen > NODE_BITS_MAX:
                yield Problem(
                    owner,
                    "cluster_pod_subnet",
                    f"{network} is larger than kubeadm allows where each node gets a /{prefix}.",
                    f"Choose a /{prefix - NODE_BITS_MAX} or a smaller one.",
                )
    for host in hosts:
        manager = host.mapping("control_plane_cluster_configuration").get("controllerManager")
        items = manager.get("extraArgs") if isinstance(manager, dict) else None
        arguments = [item["name"] for item in items or () if is_argument(item)] if isinstance(items, list) else []
        wrong, kind, right = WRONG_SIZES[tuple(families(host))]
        if host.control_plane and wrong in arguments:
            yield host.problem(
                "control_plane_cluster_configuration",
                f"has {wrong} for the controller manager, which does not start with it where pods have {kind}.",
                f"Write {right}.",
            )


def check_node_addresses(hosts: Hosts) -> t.Iterable[Problem]:
    """The addresses of nodes: one of the cluster's family, or of IPv4 and of IPv6 where it has two."""
    owners: t.Dict[str, t.List[str]] = {}
    for host in hosts:
        yield from _check_alone(host) if has_ipv6_alone(host) else _check_four(host)
        if has_two_families(host):
            yield from _check_six(host)
            own6 = own_addresses(host)[1]
            if own6:
                owners.setdefault(own6, []).append(host.name)
        elif host.text(NODE_IP6):
            yield host.problem(
                NODE_IP6,
                f"is {host.text(NODE_IP6)}, and counts for nothing: the cluster has one family of addresses.",
                "Leave it out.",
                WARNING,
            )
    for address, names in owners.items():
        for name in names if len(names) > 1 else ():
            message = f"{address} is the same on {conjoined(names)}."
            yield Problem(name, NODE_IP6, message, "Give each host its own address.")


def _check_four(host: Host) -> t.Iterable[Problem]:
    own, facts = host.text("cluster_node_ip"), host.facts or {}
    default, default6 = (str(facts.get(name) or "") for name in ("default_address", "default_address6"))
    address = parse_ip(own)
    if address is not None and address.version == 6:
        yield host.problem(
            "cluster_node_ip",
            f"{own} is IPv6, and cluster_pod_subnet {host.text('cluster_pod_subnet')} begins with IPv4.",
            "Set it to an IPv4 address of the host; that of IPv6 is cluster_node_ip6.",
        )
    elif not own and not default and default6:
        yield host.problem(
            "cluster_node_ip",
            f"is empty and the host has a default route for IPv6 only ({default6}), but cluster_pod_subnet"
            f" {host.text('cluster_pod_subnet')} begins with IPv4.",
            "Give the host an IPv4 address in the network of the cluster, and set this variable to it; or build the"
            " cluster with IPv6 alone.",
        )


def _check_alone(host: Host) -> t.Iterable[Problem]:
    """The address of a node where there is IPv6 alone. That there is none at all is reported with those of IPv4."""
    own, address = host.text("cluster_node_ip"), parse_ip(host.text("cluster_node_ip"))
    default = str((host.facts or {}).get("default_address6") or "")
    if address is not None and address.version == 4:
        yield host.problem(
            "cluster_node_ip",
            f"{own} is IPv4, and cluster_pod_subnet {host.text('cluster_pod_subnet')} is IPv6 alone.",
            "Set it to an address of IPv6 that the host has in the network of the cluster.",
        )
    elif not own and default and not host.joined:
        found = _families.address6(host.facts or {}, default)
        if not found.address:
            why, remedy = _why_none(found)
            place = f"{found.interface}, the interface of the default route of IPv6,"
            yield host.problem("cluster_node_ip", f"is empty, and {place} {why}.", remedy)


def _why_none(found: _families.Address6) -> t.Tuple[str, str]:
    """Why no address of IPv6 was found, and what to do."""
    if found.candidates:
        several = f"has several addresses of IPv6 ({', '.join(found.candidates)}), of which none is the one by itself"
        return several, "Set it to the one that other nodes reach the host at."
    return (
        "has no lasting address of IPv6",
        "Give the host one in the network of the cluster, by hand or by DHCP; link-local ones (fe80::) do not count.",
    )


def _check_six(host: Host) -> t.Iterable[Problem]:
    stated, own = host.text(NODE_IP6), own_addresses(host)[0]
    address = parse_ip(stated)
    if stated and (address is None or address.version != 6):
        yield host.problem(NODE_IP6, f"{stated} is no address of IPv6.", "Write one that the host has.")
        return
    if address is not None and _is_local(address):
        yield host.problem(NODE_IP6, f"{stated} cannot be reached from other nodes.", "Write one that can.")
        return
    if host.facts is None:
        return
    found = _families.address6(host.facts, own, stated)
    present = [str(entry["address"]) for item in host.facts["interfaces"] for entry in item.get("addresses", [])]
    if stated and found.address not in [_families.canonical(text) for text in present]:
        yield host.problem(
            NODE_IP6,
            f"{stated} is on no interface of the host.",
            f"Set it, for this host alone, to one that it has ({_listed(present)}).",
        )
    elif stated and chosen(host).takes_one_interface and found.interface and found.address not in found.candidates:
        yield host.problem(
            NODE_IP6,
            f"{stated} is not a lasting address of {found.interface}, which has the host's address {own}, and"
            f" {chosen(host).title} takes one interface for both families.",
            f"Set it to one of that interface ({_listed(found.candidates)}), or give the interface one.",
        )
    elif not found.address and own and not host.joined:
        why, remedy = _why_none(found)
        place = f"{found.interface}, the interface with {own}," if found.interface else f"the interface with {own}"
        yield host.problem(NODE_IP6, f"is empty, and {place} {why}.", remedy)


def _is_local(address: t.Any) -> bool:
    return bool(address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local)


def _listed(addresses: t.Iterable[str]) -> str:
    return ", ".join(address for address in addresses if ":" in address) or "it has none"


def _extra_sysctl(host: Host, name: str) -> str:
    """What the inventory sets a sysctl to; empty when it does not."""
    given = {str(key).replace("/", "."): value for key, value in host.mapping("node_prep_extra_sysctls").items()}
    return str(given.get(name, ""))


def check_ipv6_of_machines(hosts: Hosts) -> t.Iterable[Problem]:
    """IPv6 that is off, and a default route that goes when the machine forwards."""
    for host, around in looked_at(hosts):
        found = around.get("ipv6") or {}
        if 6 not in families(host):
            continue
        name = "net.ipv6.conf.default.disable_ipv6"
        if found.get("disabled") and _extra_sysctl(host, name) != "0":
            yield host.problem(
                name,
                "is 1, or this kernel was started without IPv6: the bridge of pods would get no address, and no pod"
                " would start.",
                f"Take it out of /etc/sysctl.d (or ipv6.disable=1 off the kernel's command line), and set {name} to 0.",
                WARNING if host.joined else ERROR,
            )
        for interface in found.get("advertised") or []:
            name = f"net.ipv6.conf.{interface}.accept_ra"
            if _extra_sysctl(host, name) != "2":
                yield host.problem(
                    name,
                    f"is not 2, and {interface} has its default route of IPv6 by router advertisements, which the"
                    " kernel ignores once it forwards packets, as a node does: the host would lose that route.",
                    f"Set node_prep_extra_sysctls: {{{name}: 2}}, or give the host a fixed route.",
                    WARNING,
                )


def check_route_to_services(hosts: Hosts) -> t.Iterable[Problem]:
    """Packets of the machine itself are sent on to a pod only if they could be sent at all."""
    for host in hosts:
        facts, mode = host.facts, host.text("cluster_kube_proxy_mode")
        # With ipvs addresses of services are on the machine itself.
        if facts is None or not has_ipv6_alone(host) or mode == "ipvs" or not has_kube_proxy(host):
            continue
        if not facts.get("default_address6"):
            yield host.problem(
                "cluster_service_subnet",
                f"is {host.text('cluster_service_subnet')}, and the host has no default route of IPv6: unless another"
                " route leads there, its API server and kubelet reach no service, such as a webhook.",
                "Give it a default route, or one to that network by the interface of its cluster_node_ip.",
                WARNING,
            )


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (
    check_families,
    check_pod_network_of_families,
    check_networks_of_nodes,
    check_node_addresses,
    check_ipv6_of_machines,
    check_route_to_services,
)
