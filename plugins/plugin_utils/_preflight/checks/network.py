# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on how machines find others: name servers that pods will ask, the endpoint's name, proxies.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import (
    POD_NETWORKS,
    chosen,
    has_ipv6_alone,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._proxies import Exceptions, parse_address
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _machines
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._openings import is_handled
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.addresses import (
    api_port,
    networks_of,
    own_addresses,
    parse_endpoint,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.facts import looked_at
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    ERROR,
    WARNING,
    Host,
    Hosts,
    Problem,
)

#: The kubelet hands on no more. Source: MaxDNSNameservers and MaxDNSSearchPaths in pkg/apis/core/validation.
NAME_SERVERS = 3
SEARCH_DOMAINS = 32
SEARCH_CHARACTERS = 2048
#: The cluster's own search domains, which come before those of the machine.
CLUSTER_DOMAINS = 3
#: What a report names before it says how many more there are.
NAMED = 6


# Name servers


def check_resolver(hosts: Hosts) -> t.Iterable[Problem]:
    """The resolv.conf that the kubelet gives to pods: CoreDNS asks its name servers for all names of the outside."""
    for host, around in looked_at(hosts):
        resolver = around.get("resolver") or {}
        if not resolver or host.mapping("control_plane_kubelet_configuration").get("resolvConf"):
            continue
        for message, remedy, severity in _resolver_problems(resolver):
            yield host.problem(str(resolver["path"]), message, remedy, WARNING if host.joined else severity)
        servers = [] if host.sequence("coredns_upstreams") else [str(server) for server in resolver["nameservers"]]
        if has_ipv6_alone(host) and servers and all(":" not in server for server in servers):
            yield host.problem(
                str(resolver["path"]),
                f"has name servers of IPv4 alone ({', '.join(servers)}), which pods with IPv6 alone cannot ask: CoreDNS"
                " would answer for names of the cluster only.",
                "Write one of IPv6, or name some in coredns_upstreams.",
                WARNING,
            )


def _resolver_problems(resolver: t.Mapping[str, t.Any]) -> t.Iterable[t.Tuple[str, str, str]]:
    """What is wrong with a resolv.conf: message, remedy, severity."""
    servers, search = list(resolver["nameservers"]), list(resolver["search"])
    loopback = [server for server in servers if (parse_address(server) or ipaddress.ip_address(0)).is_loopback]
    other = "set resolvConf in control_plane_kubelet_configuration to a file that has them"
    if not resolver["exists"]:
        leads = f" leads to {resolver['target']}, which" if resolver.get("target") else ""
        yield (
            f"{leads.strip() + ' ' if leads else ''}is not there, and the kubelet starts no pod without it.",
            f"Start what writes it (systemd-resolved, resolvconf), or write it; or {other}.",
            ERROR,
        )
    elif not servers:
        yield (
            "has no name server, and CoreDNS, which forwards to them, does not start without any.",
            f"Write a line such as nameserver 192.0.2.53; or {other}.",
            ERROR,
        )
    elif loopback:
        yield (
            f"has the name server {loopback[0]}, which in a pod is the pod itself: CoreDNS would ask itself and stop"
            " (plugin loop).",
            f"Write the name servers that the one on this machine asks; or {other}. On nodes with systemd-resolved"
            " kubeadm takes /run/systemd/resolve/resolv.conf, as long as that service runs.",
            ERROR,
        )
    if len(servers) > NAME_SERVERS:
        yield (
            f"has {len(servers)} name servers, and pods get the first {NAME_SERVERS} only.",
            "Take those out that are not needed.",
            WARNING,
        )
    if len(search) + CLUSTER_DOMAINS > SEARCH_DOMAINS or len(" ".join(search)) > SEARCH_CHARACTERS:
        yield (
            f"has {len(search)} search domains with {len(' '.join(search))} characters, and pods get"
            f" {SEARCH_DOMAINS - CLUSTER_DOMAINS} and {SEARCH_CHARACTERS} only.",
            "Take those out that are not needed.",
            WARNING,
        )


# The endpoint's name


def _is_its_own(host: Host, hosts: Hosts, name: str) -> bool:
    """Whether the name is that of the first control plane, and this is it: by 127.0.1.1 it reaches its API server."""
    first = next((other for other in hosts if other.control_plane), None)
    own = (host.name, str((host.facts or {}).get("hostname") or ""))
    return host is first and name.partition(".")[0] in {text.lower().partition(".")[0] for text in own}


def check_endpoint_name(hosts: Hosts) -> t.Iterable[Problem]:
    """The endpoint by a name: each node resolves it itself, by DNS or /etc/hosts."""
    machines = _machines.by_name(hosts)
    for host, around in looked_at(hosts):
        place = parse_endpoint(host.text("cluster_endpoint"))
        found = (around.get("names") or {}).get(place[0]) if place else None
        if place is None or found is None or _machines.written(host, place[0], machines):
            continue
        severity = WARNING if host.joined and not host.flag("preflight_moves_endpoint") else ERROR
        virtual = host.text("api_endpoint_vip") if host.text("api_endpoint_provider") == "keepalived" else ""
        addresses = [address for address in map(parse_address, found) if address is not None]
        if not addresses:
            message = f"{place[0]} cannot be resolved on the host."
        elif all(address.is_loopback for address in addresses):
            if not virtual and _is_its_own(host, hosts, place[0]):
                continue
            message = f"{place[0]} is {found[0]} on the host, which is the host itself."
        elif virtual and parse_address(virtual) and parse_address(virtual) not in addresses:
            message = f"{place[0]} is {', '.join(found)} on the host, and not api_endpoint_vip {virtual}."
        else:
            continue
        entry = f"node_prep_hosts_entries: ['{virtual or 'ADDRESS'} {place[0]}']"
        # Before the cluster is moved, site.yml only goes with the inventory that it was built by.
        how = " by site.yml, while cluster_endpoint is as before" if host.flag("preflight_moves_endpoint") else ""
        yield host.problem(
            "cluster_endpoint",
            message,
            f"Correct it in DNS or /etc/hosts, or let node_prep write it{how}: {entry}.",
            severity,
        )


def check_hosts_at_boot(hosts: Hosts) -> t.Iterable[Problem]:
    """Names that node_prep writes into /etc/hosts, where cloud-init writes that file anew at each boot."""
    machines = _machines.by_name(hosts)
    for host, around in looked_at(hosts):
        path = str(around.get("hosts_at_boot") or "")
        writes = bool(host.sequence("node_prep_hosts_entries")) or host.flag("node_prep_hosts")
        if not path or not writes or host.flag("preflight_moves_endpoint"):
            continue
        place = parse_endpoint(host.text("cluster_endpoint"))
        # Without it the machine would be lost. One that can be resolved now has another source.
        is_vital = bool(place and _machines.written(host, place[0], machines)) and not host.joined
        is_vital = is_vital and place is not None and (around.get("names") or {}).get(place[0]) == []
        lost = f"{place[0]}, the endpoint, could not be resolved" if is_vital and place else "names in it are lost"
        yield host.problem(
            "node_prep_hosts" if host.flag("node_prep_hosts") else "node_prep_hosts_entries",
            f"writes /etc/hosts, and cloud-init writes it anew at each boot (manage_etc_hosts in {path}): then {lost}.",
            "Set manage_etc_hosts: localhost there, or take update_etc_hosts out of /etc/cloud/cloud.cfg; or let DNS"
            " have the names.",
            ERROR if is_vital else WARNING,
        )


# Proxies


def _network_with(host: Host, text: str) -> str:
    """The network in which the host has the address; the address when there is none."""
    for interface in (host.facts or {}).get("interfaces", []):
        for entry in interface.get("addresses", []):
            if entry["address"] == text:
                return str(ipaddress.ip_interface(f"{text}/{entry['prefix']}").network)
    return text


def must_be_excepted(hosts: Hosts) -> t.List[t.Tuple[str, str, str, bool]]:
    """What must not go through a proxy: the place, its port if one is meant, what to write, whether it is a network."""
    found: t.Dict[t.Tuple[str, str, str, bool], None] = {}
    for host in hosts:
        for own in filter(parse_address, own_addresses(host)):
            found[(own, "", _network_with(host, own), False)] = None
        place = parse_endpoint(host.text("cluster_endpoint"))
        if place:
            found[(place[0], str(place[1]), place[0], False)] = None
    for name in ("cluster_pod_subnet", "cluster_service_subnet"):
        for network in networks_of(hosts, name):
            found[(str(network), "", str(network), True)] = None
    found[("service.namespace.svc", "", ".svc", False)] = None
    return list(found)


def check_proxies(hosts: Hosts) -> t.Iterable[Problem]:
    """Proxies without exceptions for the cluster itself. Their URLs may have passwords and are not known here."""
    needed = must_be_excepted(hosts)
    for host, around in looked_at(hosts):
        entries = around.get("proxies") or []
        files = [(entry["variables"], entry["no_proxy"]) for entry in entries if entry["source"] != "environment"]
        for entry in entries:
            if entry["source"] == "environment" and (entry["variables"], entry["no_proxy"]) in files:
                continue
            exceptions = Exceptions(str(entry["no_proxy"]))
            missing = [
                words
                for place, port, words, is_network in needed
                if not (
                    exceptions.has_network(ipaddress.ip_network(place)) if is_network else exceptions.has(place, port)
                )
            ]
            if missing:
                yield _unexcepted(host, entry, list(dict.fromkeys(missing)))


def _unexcepted(host: Host, entry: t.Mapping[str, t.Any], missing: t.Sequence[str]) -> Problem:
    source = "the environment that kubeadm gets" if entry["source"] == "environment" else entry["source"]
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    listed = ",".join(missing[:NAMED]) + more
    # What the parts of the cluster say to each other is encrypted.
    harmless = {name.lower() for name in entry["variables"]} == {"http_proxy"}
    return host.problem(
        "no_proxy",
        f"{' and '.join(entry['variables'])} in {source} without exceptions for {listed}: the cluster's parts would"
        " ask the proxy for each other, and kubeadm writes it into the manifests of the control plane for good.",
        f"Add {listed} to no_proxy there, or take the proxy out.",
        WARNING if host.joined or harmless else ERROR,
    )


# Firewalls

KUBELET = 10250
#: Interfaces by which pods of a node reach it, where the pod network is not of this collection.
OTHER_POD_INTERFACES = ("antrea-gw0", "kube-bridge", "ovn-k8s-mp0", "weave")


def _has_port(text: str, port: int) -> bool:
    """Whether a list of ports and ranges has the port; an empty one has all."""
    for item in filter(None, text.split(",")):
        first, _dash, last = item.partition("-")
        if not first.isdigit() or int(first) <= port <= int(last or first if (last or first).isdigit() else first):
            return True
    return not text


def admits_pods(
    admission: t.Mapping[str, str], pods: t.Sequence[t.Any], port: int, interfaces: t.Sequence[str]
) -> bool:
    """Whether pods may connect to the port of the node that they are on. What is not understood admits."""
    interface = admission["interface"].rstrip("+*")
    is_theirs = not interface or any(name.startswith(interface) for name in interfaces)
    try:
        source = ipaddress.ip_network(admission["source"], strict=False) if admission["source"] else None
    except ValueError:
        source = None
    from_pods = source is None or all(source.version == pod.version and pod.subnet_of(source) for pod in pods)
    return is_theirs and from_pods and _has_port(admission["ports"], port)


def check_firewalls(hosts: Hosts) -> t.Iterable[Problem]:
    """Firewalls that admit the nodes and not the pods: CoreDNS and others do not reach the API server beside them."""
    # By IPv4 pods reach the API server, and the rules of IPv6 are not looked at.
    pods = [network for network in networks_of(hosts, "cluster_pod_subnet") if network.version == 4]
    for host, around in looked_at(hosts):
        wanted = [api_port(host), KUBELET] if host.control_plane else [KUBELET]
        # Which addresses another pod network gives to pods is its own affair.
        is_known = bool(chosen(host).name)
        networks = [chosen(host)] if is_known else POD_NETWORKS.values()
        interfaces = [item["Name"] for network in networks for item in network.interfaces]
        interfaces += [] if is_known else OTHER_POD_INTERFACES
        for firewall in around.get("firewalls") or []:
            if is_handled(host, firewall["by"]):
                continue
            closed = [
                port
                for port in wanted
                if not any(admits_pods(entry, pods, port, interfaces) for entry in firewall["admits"])
            ]
            if not closed or not pods or host.joined:
                continue
            is_api = host.control_plane and api_port(host) in closed
            yield host.problem(
                "firewall",
                f"{firewall['by']} does not admit pods ({', '.join(map(str, pods))}) to port"
                f" {' and '.join(map(str, closed))} of the node that they are on.",
                f"Admit cluster_pod_subnet there, such as: ufw allow from {pods[0]}; or firewall-cmd --permanent"
                f" --zone=trusted --add-source={pods[0]}; or ip saddr {pods[0]} accept.",
                ERROR if is_api and is_known else WARNING,
            )


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (
    check_resolver,
    check_endpoint_name,
    check_hosts_at_boot,
    check_proxies,
    check_firewalls,
)
