# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on what cannot work together: kernels, names that are too long, networks of other programs.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import chosen
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._configuration_differences import as_network
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.addresses import (
    networks_of,
    node_prefix,
    overlaps,
    parse_endpoint,
    parse_range,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.inventory import distinct
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    CLUSTER,
    ERROR,
    WARNING,
    Hosts,
    Problem,
)

#: kube-proxy refuses to start in the mode nftables on an older one.
#: Source: getNFTablesInterface in Kubernetes' pkg/proxy/nftables/proxier.go.
NFTABLES_KERNEL = (5, 13)
#: The label kubernetes.io/hostname, which the kubelet sets, takes no more characters.
NODE_NAME_LENGTH = 63
#: Addresses in the network of a node that no pod gets: the network's, the bridge's and the broadcast one.
NOT_FOR_PODS = 3
#: The kubelet's default.
MAX_PODS = 110
#: Networks that are not of the cluster: those that Docker, Podman, libvirt and LXD make for their containers.
_FOREIGN_BRIDGE = re.compile(r"^(docker|br-[0-9a-f]{12}$|podman|virbr|lxdbr|lxcbr|incusbr)")


def _version(text: str) -> int:
    """The IP version of an address; 0 when it is none."""
    try:
        return ipaddress.ip_address(text).version
    except ValueError:
        return 0


def parse_kernel(text: str) -> t.Optional[t.Tuple[int, int]]:
    """Major and minor number of a kernel's release, such as ``6.1.0-18-amd64``."""
    match = re.match(r"([0-9]+)\.([0-9]+)", text)
    return (int(match[1]), int(match[2])) if match else None


def check_proxy_mode(hosts: Hosts) -> t.Iterable[Problem]:
    """Modes of kube-proxy that will go away, and one that goes past what prepares machines for it."""
    for host in hosts:
        prepared = host.text("cluster_kube_proxy_mode")
        mode = str(host.mapping("control_plane_kube_proxy_configuration").get("mode") or prepared)
        if host.control_plane and mode != prepared:
            yield host.problem(
                "control_plane_kube_proxy_configuration",
                f"sets mode to {mode}, and machines are prepared for {prepared}: modules of the kernel, packages.",
                f"Set cluster_kube_proxy_mode to {mode}, and leave it out there.",
                WARNING,
            )
    if any(host.text("cluster_kube_proxy_mode") == "ipvs" for host in hosts):
        yield Problem(
            CLUSTER,
            "cluster_kube_proxy_mode",
            "is ipvs, which Kubernetes has deprecated: it is off by default from 1.40 on, and is to go in 1.43.",
            "Build new clusters with nftables.",
            WARNING,
        )


def check_kernel(hosts: Hosts) -> t.Iterable[Problem]:
    """kube-proxy's mode nftables needs a kernel that is not too old."""
    for host in hosts:
        release = str((host.facts or {}).get("os", {}).get("kernel") or "")
        kernel = parse_kernel(release)
        override = host.mapping("control_plane_kube_proxy_configuration")
        mode = str(override.get("mode") or host.text("cluster_kube_proxy_mode"))
        if mode == "nftables" and kernel and kernel < NFTABLES_KERNEL:
            yield host.problem(
                "cluster_kube_proxy_mode",
                f"is nftables, and kube-proxy does not start so on the kernel {release}"
                f" ({'.'.join(map(str, NFTABLES_KERNEL))} or newer).",
                "Set it to iptables, or boot a newer kernel.",
            )


def check_name_lengths(hosts: Hosts) -> t.Iterable[Problem]:
    """Names of nodes become hostnames and the value of a label."""
    for host in hosts:
        if len(host.name) > NODE_NAME_LENGTH:
            yield host.problem(
                "inventory_hostname",
                f"has {len(host.name)} characters, and the name of a node may have {NODE_NAME_LENGTH}: it is a hostname"
                " and the value of a label.",
                "Rename the host in the inventory and set ansible_host to its address.",
            )


def check_pods_of_a_node(hosts: Hosts) -> t.Iterable[Problem]:
    """More pods on a node than its network has addresses. Other pod networks may give it several."""
    prefix = node_prefix(hosts)
    room = 2 ** (32 - prefix) - NOT_FOR_PODS if 0 <= prefix <= 32 else 0
    known = [host for host in hosts if chosen(host).goes_by_slices]
    several = {str(host.mapping("control_plane_kubelet_configuration").get("maxPods") or MAX_PODS) for host in known}
    for text in sorted(several):
        if text.isascii() and text.isdigit() and int(text) > room:
            yield Problem(
                CLUSTER,
                "control_plane_kubelet_configuration",
                f"maxPods is {text}, and a node has a /{prefix} of the pod network, {max(room, 0)} addresses for pods.",
                f"Set it to {max(room, 0)} at most.",
                WARNING,
            )


def check_own_networks(hosts: Hosts) -> t.Iterable[Problem]:
    """Networks that the pod network's own values name: it has to read them, and nodes have theirs in them."""
    for host in (host for host in hosts if host.control_plane):
        for own in chosen(host).networks(host):
            try:
                network = as_network(own.text, strict=False)
            except ValueError as error:
                yield host.problem(own.variable, f"is malformed: {error}.", "Leave it out: it is cluster_pod_subnet.")
                continue
            for pods in networks_of([host], "cluster_pod_subnet") if own.holds_slices else ():
                if pods.version == network.version and not pods.subnet_of(network):  # type: ignore[arg-type]
                    yield host.problem(
                        own.variable,
                        f"is {network}, and nodes have networks in cluster_pod_subnet {pods}, without which"
                        f" {chosen(host).title} does not start.",
                        "Leave it out: it is cluster_pod_subnet.",
                    )


def check_pools_without_network(hosts: Hosts) -> t.Iterable[Problem]:
    """MetalLB is to be installed while there is no pod network that its pods could start in."""
    built = any(host.joined for host in hosts)
    for host in hosts:
        without = (host.text("cni_provider") or host.text("cluster_cni")) == "none"
        if host.control_plane and without and host.flag("metallb_enabled") and not built:
            yield Problem(
                CLUSTER,
                "metallb_address_pools",
                "are set, and cluster_cni is none: MetalLB's pods would not start, and the run would fail at its end.",
                "Leave the pools out until you have installed a pod network, then set them and run again.",
            )
            return


def check_pools_and_endpoint(hosts: Hosts) -> t.Iterable[Problem]:
    """A load balancer's address, which a service could be given, too; that of keepalived is looked at elsewhere."""
    if any(host.text("api_endpoint_provider") == "keepalived" for host in hosts):
        return
    for text, name in distinct(hosts, "cluster_endpoint"):
        place = parse_endpoint(text) if text else None
        if place is None or not _version(place[0]):
            continue
        address = ipaddress.ip_address(place[0])
        for taken in sorted(_ranges_with(hosts, address)):
            yield Problem(
                name,
                "metallb_address_pools",
                f"{taken} contains {address}, the address of cluster_endpoint.",
                "Leave it out of the pool: MetalLB would give it to a service.",
            )


def _ranges_with(hosts: Hosts, address: t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]) -> t.Set[str]:
    """The ranges of MetalLB's pools that have the address; malformed ones are reported elsewhere."""
    pools = [pool for host in hosts for pool in host.sequence("metallb_address_pools") if isinstance(pool, dict)]
    lists = [pool.get("addresses") for pool in pools]
    found = set()
    for text in {str(item) for entry in lists if isinstance(entry, list) for item in entry}:
        try:
            if any(address in network for network in parse_range(text)):
                found.add(text)
        except ValueError:
            continue
    return found


def check_foreign_bridges(hosts: Hosts) -> t.Iterable[Problem]:
    """Networks that Docker, Podman or libvirt have on a machine, inside those of pods or services."""
    for host in hosts:
        severity = WARNING if host.joined else ERROR
        for interface in (host.facts or {}).get("interfaces", []):
            if not _FOREIGN_BRIDGE.match(str(interface["name"])):
                continue
            for entry in interface.get("addresses", []):
                own = ipaddress.ip_interface(f"{entry['address']}/{entry['prefix']}").network
                for name in ("cluster_pod_subnet", "cluster_service_subnet"):
                    for network in networks_of(hosts, name):
                        if overlaps(own, network):
                            yield host.problem(
                                name,
                                f"{network} overlaps {own}, the network of {interface['name']} on the host.",
                                "Choose another network, or give that bridge another one.",
                                severity,
                            )


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (
    check_proxy_mode,
    check_kernel,
    check_name_lengths,
    check_pods_of_a_node,
    check_own_networks,
    check_pools_without_network,
    check_pools_and_endpoint,
    check_foreign_bridges,
)
