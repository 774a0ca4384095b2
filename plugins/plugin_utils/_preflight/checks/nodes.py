# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on what nodes were made with, against what the inventory says: names, addresses, arguments, taints, runtimes.

docs/differences.md has the list. Private to this collection; runs on the controller.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._api_endpoints import CONTROL_PLANE
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _kubeadm_config
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._configuration_differences import (
    ABSENT,
    Difference,
    Document,
    printable,
    same,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._families import NODE_IP6
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.addresses import (
    KEEPALIVED,
    own_addresses,
    parse_endpoint,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.documents import part_of
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.facts import configuration, other_runtimes
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    WARNING,
    Check,
    Host,
    Hosts,
    Problem,
)

_PAGE = "docs/differences.md"


def registrations(host: Host) -> t.List[Document]:
    """How the host would be registered by an init and by a join; a control plane may have been made by either."""
    address, address6 = own_addresses(host)
    settings: t.Dict[str, t.Any] = {
        "name": host.name,
        "version": host.text("cluster_version"),
        "cri_socket": host.text("cluster_cri_socket"),
        "node_ip": address,
        "node_ip6": address6,
        "endpoint": "",
        "ca_cert_hashes": [],
        "control_plane": host.control_plane,
    }
    joined = _kubeadm_config.kubeadm_join_config(settings, host.mapping("node_join_configuration"))
    found: t.List[Document] = [{**joined, **part_of(joined, "controlPlane")}]
    if host.control_plane:
        base = {
            "nodeRegistration": _kubeadm_config.node_registration(settings),
            "localAPIEndpoint": {"advertiseAddress": settings["node_ip"]} if settings["node_ip"] else {},
        }
        own = host.mapping("control_plane_init_configuration")
        found.append(_kubeadm_config.merge_documents(base, own))
    return found


def _arguments(document: Document) -> t.Dict[str, str]:
    items = part_of(document, "nodeRegistration").get("kubeletExtraArgs")
    named = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return {str(item.get("name")): str(item.get("value", "")) for item in named}


def check_nodes(hosts: Hosts) -> t.Iterable[Problem]:
    """Names and addresses that nodes were made with."""
    names = {host.name for host in hosts}
    for host in hosts:
        known = configuration(host)
        if (host.facts or {}).get("kubernetes", {}).get("unfinished") or not host.joined:
            continue
        yield from _check_name(host, names)
        if known:
            made = registrations(host)
            yield from _check_address(host, known, made)
            yield from _check_port(host, known, made)


def _check_name(host: Host, names: t.Collection[str]) -> t.Iterable[Problem]:
    facts = host.facts or {}
    node = printable(str(facts.get("kubernetes", {}).get("node_name") or ""))
    if node and node != host.name:
        elsewhere = node in names
        yield host.problem(
            "inventory_hostname",
            f"is {host.name}, but the machine is the node {node} of its cluster, and a node cannot be renamed.",
            "That is another host of the inventory: check the ansible_host of both."
            if elsewhere
            else f"Call it {node} in the inventory (ansible_host says where it is); for another name remove the node"
            f" (remove_node.yml) and add it again. See {_PAGE}.",
        )
        return
    hostname, wanted = printable(str(facts.get("hostname") or "")), host.text("node_prep_hostname")
    # The role sets one that went back, by which the kubelet would go when it starts.
    goes_back = wanted == node and not facts.get("kubernetes", {}).get("told_name")
    if node and wanted and hostname and wanted != hostname and not goes_back:
        yield host.problem(
            "node_prep_hostname",
            f"is {wanted}, and the machine is called {hostname}; the hostname of a node is not changed, since its"
            " kubelet may go by it.",
            f"Set it to {hostname}, or call the machine {wanted} by hand and restart its kubelet.",
            WARNING,
        )


def _check_address(host: Host, known: t.Mapping[str, t.Any], made: t.Sequence[Document]) -> t.Iterable[Problem]:
    """The kubelet and the API server announce an address that was fixed when the node was made."""
    server = part_of(part_of(known, "static_pods"), "kube-apiserver")
    places = {
        "the kubelet's --node-ip": (
            part_of(known, "kubelet_arguments").get("node-ip"),
            [_arguments(document).get("node-ip") for document in made],
        ),
        "the API server's --advertise-address": (
            server.get("advertise-address"),
            [part_of(document, "localAPIEndpoint").get("advertiseAddress") for document in made],
        ),
    }
    stale: t.Dict[t.Tuple[str, str], t.List[str]] = {}
    for place, (present, possible) in places.items():
        wanted = [_addresses(address) for address in possible if address]
        if not present or not wanted or host.text("api_endpoint_vip") in possible:
            continue
        if [wide for wide in wanted if wide[:1] == _addresses(present) and wide[1:]]:
            yield host.problem(
                NODE_IP6,
                f"the host was made a node with {printable(present)} alone, and"
                f" the inventory has {wanted[0][-1]}, too.",
                f"site.yml does not change it on a node. See {_PAGE}.",
                WARNING,
            )
        elif _addresses(present) not in wanted:
            stale.setdefault((printable(present), ",".join(wanted[0])), []).append(place)
    own = [
        entry["address"] for interface in (host.facts or {}).get("interfaces", []) for entry in interface["addresses"]
    ]
    for (present, expected), where in stale.items():
        is_there = set(_addresses(present)) <= {part for address in own for part in _addresses(address)}
        role = "docs/replace-a-control-plane.md" if host.control_plane else "remove_node.yml, then add_nodes.yml"
        four, _comma, six = present.partition(",")
        is_of_six = bool(six) and _addresses(expected)[:1] == _addresses(four)
        keep = f"{NODE_IP6} to {six}" if is_of_six else f"cluster_node_ip to {four}"
        yield host.problem(
            NODE_IP6 if is_of_six else "cluster_node_ip",
            f"the host's address is {expected}, but it was made a node with {present} ({' and '.join(where)}).",
            f"Set {keep} for this host, which it still has."
            if is_there
            else f"Give the machine {six if is_of_six else present} again (a reservation in DHCP); a node with another"
            f" address is made anew: {role}. See {_PAGE}.",
        )


def _addresses(text: str) -> t.Tuple[str, ...]:
    """The addresses of a list with commas, each in its canonical form."""
    found = []
    for part in str(text).split(","):
        try:
            found.append(str(ipaddress.ip_address(part.strip())))
        except ValueError:
            found.append(part.strip())
    return tuple(found)


def _check_port(host: Host, known: t.Mapping[str, t.Any], made: t.Sequence[Document]) -> t.Iterable[Problem]:
    present = printable(str(part_of(part_of(known, "static_pods"), "kube-apiserver").get("secure-port") or ""))
    wanted = [str(part_of(document, "localAPIEndpoint").get("bindPort") or KUBEADM.api_port) for document in made]
    if host.control_plane and present and present not in wanted:
        yield host.problem(
            "control_plane_init_configuration",
            f"localAPIEndpoint.bindPort is {wanted[-1]} in the inventory, and the API server of the host listens on"
            f" {present}, which cannot be changed any more.",
            f"Set it to {present}. See {_PAGE}.",
        )


def check_sockets(hosts: Hosts) -> t.Iterable[Problem]:
    """Nodes that use another container runtime than the inventory has."""
    for host in hosts:
        known = configuration(host)
        present = printable(str(known.get("cri_socket") or ""))
        made = registrations(host) if present and host.joined else []
        wanted = [str(part_of(document, "nodeRegistration").get("criSocket") or "") for document in made]
        if wanted and all(_path(socket) != _path(present) for socket in wanted):
            yield host.problem(
                "cluster_cri_socket",
                f"is {wanted[0]} in the inventory, and the kubelet of the host uses {present}.",
                f"Set it to {present} (container_runtime_provider); or give the node another container runtime by"
                f" playbooks/change_runtime.yml -e node={host.name}. See docs/runtimes.md#change-it.",
            )


def _path(socket: str) -> str:
    path = socket[len("unix://") :] if socket.startswith("unix://") else socket
    return path[len("/var") :] if path.startswith("/var/run/") else path


#: Arguments of kubelets that kubeadm sets by itself, in the versions since 1.24 or those before; node-ip is ours.
KUBEADMS_ARGUMENTS = {
    "cgroup-driver",
    "container-runtime",
    "container-runtime-endpoint",
    "hostname-override",
    "network-plugin",
    "node-ip",
    "pod-infra-container-image",
    "register-with-taints",
    "resolv-conf",
}


def check_arguments(hosts: Hosts) -> t.Iterable[Problem]:
    """Arguments of kubelets that the inventory has and the nodes were not made with, or the other way round."""
    for host in hosts:
        known = configuration(host)
        present = known.get("kubelet_arguments") or {}
        possible = [_arguments(document) for document in registrations(host)] if known else []
        named = {name for arguments in possible for name in arguments}
        for name in sorted((named | present.keys() - KUBEADMS_ARGUMENTS) - {"node-ip"}):
            wanted = [arguments.get(name, ABSENT) for arguments in possible]
            if any(same(value, present.get(name, ABSENT)) for value in wanted):
                continue
            value = next((item for item in wanted if item is not ABSENT), ABSENT)
            words = Difference(f"kubeletExtraArgs.{name}", present.get(name, ABSENT), value).words
            yield host.problem(
                f"nodeRegistration.kubeletExtraArgs.{name}",
                f"is {words[0]} in {KUBEADM.kubelet_folder}/kubeadm-flags.env and {words[1]} in the inventory; site.yml"
                " does not change it on a node.",
                f"Apply it as {_PAGE} says, or say in the inventory what is there.",
                WARNING,
            )


#: kubeadm's taint of control planes.
TAINT = f"{CONTROL_PLANE}:NoSchedule"


def check_taints(hosts: Hosts) -> t.Iterable[Problem]:
    """Control planes that shall carry ordinary pods, or shall not: kubeadm has looked at it when they were made."""
    for host in hosts:
        present = configuration(host).get("taints")
        if present is None or not host.control_plane or _has_own_taints(host):
            continue
        if host.worker and TAINT in present:
            yield host.problem(
                "kube_node",
                f"the control plane is in this group, but has the taint {TAINT} and so carries no ordinary pods;"
                " site.yml does not change it on a node.",
                f"kubectl taint node {host.name} {TAINT}-",
                WARNING,
            )
        elif not host.worker and TAINT not in present:
            yield host.problem(
                "kube_node",
                f"the control plane is not in this group, but lacks the taint {TAINT} and so carries ordinary pods;"
                " site.yml does not change it on a node.",
                f"kubectl taint node {host.name} {TAINT.replace(':', '=:')}, or put it into the group.",
                WARNING,
            )


def _has_own_taints(host: Host) -> bool:
    """Whether the inventory says itself which taints the node is registered with, or has this one among its own."""
    named = (host.mapping(name) for name in ("node_join_configuration", "control_plane_init_configuration"))
    keys = {str(taint.get("key")) for taint in host.sequence("cluster_node_taints") if isinstance(taint, dict)}
    return CONTROL_PLANE in keys or any("taints" in part_of(item, "nodeRegistration") for item in named)


def _taint(item: t.Mapping[str, t.Any], with_value: bool) -> str:
    """A taint as the kubelet's argument has it, or as the look at a Node has it."""
    value = f"={item['value']}" if with_value and item.get("value") else ""
    return f"{item.get('key')}{value}:{item.get('effect')}"


def _registered_taints(document: Document, default: t.Sequence[str], with_value: bool) -> t.Set[str]:
    named = part_of(document, "nodeRegistration").get("taints")
    if not isinstance(named, list):
        return set(default)
    return {_taint(item, with_value) for item in named if isinstance(item, dict)}


def check_registered_taints(hosts: Hosts) -> t.Iterable[Problem]:
    """Taints in kubeadm's documents, which kubeadm has looked at when the node was made."""
    for host in hosts:
        known, made = configuration(host), registrations(host)
        if not known or not any("taints" in part_of(document, "nodeRegistration") for document in made):
            continue
        if host.control_plane:
            if known.get("taints") is None:
                continue
            present, place = set(known["taints"]), "on the node"
            ours = [item for item in host.sequence("cluster_node_taints") if isinstance(item, dict)]
            is_ours = {_taint(item, with_value=False) for item in ours}
            default = [] if host.worker else [TAINT]
            possible = [_registered_taints(document, default, with_value=False) for document in made]
            fits = any(wanted <= present and (TAINT in wanted | is_ours or TAINT not in present) for wanted in possible)
        else:
            argument = str(part_of(known, "kubelet_arguments").get("register-with-taints") or "")
            present, place = set(filter(None, argument.split(","))), f"in {KUBEADM.kubelet_folder}/kubeadm-flags.env"
            possible = [_registered_taints(document, [], with_value=True) for document in made]
            fits = present in possible
        if not fits:
            there, wanted = (printable(", ".join(sorted(names)) or "none") for names in (present, possible[0]))
            yield host.problem(
                "nodeRegistration.taints",
                f"is {there} {place} and {wanted} in the inventory; site.yml does not change it on a node.",
                f"Use cluster_node_taints, which each run applies, or kubectl taint. See {_PAGE}.",
                WARNING,
            )


def check_balancers(hosts: Hosts) -> t.Iterable[Problem]:
    """A haproxy and a keepalived of ours that the inventory has no more: they go on, and learn of no other server."""
    for host in hosts:
        provider, facts = host.text("api_endpoint_provider"), host.facts or {}
        endpoint = parse_endpoint(host.text("cluster_endpoint"))
        if not host.control_plane or provider == KEEPALIVED or endpoint is None or not configuration(host):
            continue
        sockets = [(socket.get("process"), socket.get("port")) for socket in facts.get("listening", [])]
        is_ours = "/etc/haproxy/haproxy.cfg" not in facts.get("foreign_files", [])
        if is_ours and ("haproxy", endpoint[1]) in sockets:
            yield host.problem(
                "api_endpoint_provider",
                f"is {provider}, and haproxy and keepalived, which were set up for {host.text('cluster_endpoint')},"
                " still run on the host; site.yml neither removes them nor tells them of other control planes.",
                f"Set it to {KEEPALIVED} again. When another load balancer has the address, stop and disable both"
                " services on each control plane.",
                WARNING,
            )


def check_runtime_version(hosts: Hosts) -> t.Iterable[Problem]:
    """Another container runtime on nodes: site.yml would install and restart it on all of them at once."""
    for host, present in other_runtimes(hosts):
        if not host.flag("container_runtime_keep"):
            wanted = host.text("container_runtime_version")
            yield host.problem(
                "container_runtime_version",
                f"{wanted} is asked for, but the node runs {present}; site.yml would install"
                " another one on all nodes at once, under running pods.",
                "Let upgrade.yml do it, one node after the other, each drained: -e upgrade_container_runtime=true. Or"
                f" set it to what the nodes have. See {_PAGE}.",
            )


CHECKS: t.Tuple[Check, ...] = (check_nodes, check_sockets, check_runtime_version)
#: What differs and stops nothing.
REPORTS: t.Tuple[Check, ...] = (check_arguments, check_taints, check_registered_taints, check_balancers)
