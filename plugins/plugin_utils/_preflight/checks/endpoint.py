# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on the endpoint of the API servers: the variables of the role api_endpoint, against networks and machines.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._api_endpoints import in_url
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import families
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.addresses import (
    CONTROL_PLANE_PORTS,
    KEEPALIVED,
    NODE_PORTS,
    Address,
    api_port,
    networks_of,
    node_addresses,
    own_addresses,
    parse_endpoint,
    parse_ip,
    parse_range,
    virtual_address,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.inventory import distinct
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    CLUSTER,
    ERROR,
    WARNING,
    Host,
    Hosts,
    Problem,
)

#: keepalived takes this many characters of a password.
PASSWORD_LENGTH = 8
_HOW_TO = "See docs/make-it-ha.md."


def check_provider(hosts: Hosts) -> t.Iterable[Problem]:
    """What stands before the API servers, against cluster_endpoint and the number of control planes."""
    control_planes = [host for host in hosts if host.control_plane]
    for provider, name in distinct(control_planes, "api_endpoint_provider"):
        if provider in ("external", KEEPALIVED) and all(not host.text("cluster_endpoint") for host in hosts):
            yield Problem(
                name,
                "cluster_endpoint",
                f"is empty, and api_endpoint_provider is {provider}.",
                f"Set it to the endpoint's host:port. {_HOW_TO}",
            )
        if provider == "none" and len(control_planes) > 1:
            yield Problem(
                name,
                "api_endpoint_provider",
                f"is none with {len(control_planes)} control planes: nothing leads to the others when one fails.",
                f"Choose external (a load balancer of yours) or keepalived. {_HOW_TO}",
            )


def check_port(hosts: Hosts) -> t.Iterable[Problem]:
    """With keepalived haproxy listens on the endpoint's port, on every control plane."""
    for host in hosts:
        endpoint = parse_endpoint(host.text("cluster_endpoint"))
        if not host.control_plane or host.text("api_endpoint_provider") != KEEPALIVED or endpoint is None:
            continue
        taken = {**dict(NODE_PORTS), **dict(CONTROL_PLANE_PORTS), api_port(host): "the API server itself"}
        if endpoint[1] in taken:
            yield host.problem(
                "cluster_endpoint",
                f"has port {endpoint[1]}, which {taken[endpoint[1]]} listens on; haproxy needs one of its own.",
                f"Choose another one, such as {in_url(endpoint[0])}:8443.",
            )


def check_address(hosts: Hosts) -> t.Iterable[Problem]:
    """The VIP: an address, the one that the endpoint leads to, and not one that belongs to something else."""
    control_planes = [host for host in hosts if host.control_plane]
    first = {host.text("api_endpoint_vip"): host for host in reversed(control_planes)}
    for text, name in distinct(control_planes, "api_endpoint_vip"):
        host = first[text]
        if host.text("api_endpoint_provider") != KEEPALIVED or not host.text("cluster_endpoint"):
            continue
        address, version = parse_ip(text), families(host)[0]
        if address is None or address.version != version:
            yield Problem(
                name,
                "api_endpoint_vip",
                f"{text or '(empty)'} is no IPv{version} address, which keepalived needs.",
                "Set it to a free address in the network of the control planes; cluster_endpoint may be a name for it.",
            )
            continue
        endpoint = parse_endpoint(host.text("cluster_endpoint"))
        leads_to = parse_ip(endpoint[0]) if endpoint else None
        if leads_to not in (None, address):
            yield Problem(
                name,
                "api_endpoint_vip",
                f"{address} is not where cluster_endpoint {host.text('cluster_endpoint')} leads to.",
                "Make them equal; leave api_endpoint_vip out when the endpoint is an address.",
            )
        for variable in ("cluster_pod_subnet", "cluster_service_subnet"):
            for network in networks_of(hosts, variable):
                if address in network:
                    yield Problem(
                        name,
                        "api_endpoint_vip",
                        f"{address} is in {variable} {network}.",
                        "Choose a free address in the network of the control planes.",
                    )
        yield from (
            Problem(name, "api_endpoint_vip", f"{address} is in the range {taken} of metallb_address_pools.", remedy)
            for taken in sorted(_pools_with(hosts, address))
            for remedy in ["Choose another address, or leave it out of the pool."]
        )


def _pools_with(hosts: Hosts, address: Address) -> t.Iterable[str]:
    """The ranges of MetalLB's pools that have the address; malformed ones are reported elsewhere."""
    found = set()
    for pool in (pool for host in hosts for pool in host.sequence("metallb_address_pools")):
        ranges = pool.get("addresses") if isinstance(pool, dict) else None
        for text in ranges if isinstance(ranges, list) else []:
            try:
                if any(address in network for network in parse_range(str(text))):
                    found.add(str(text))
            except ValueError:
                continue
    return found


def check_place(hosts: Hosts) -> t.Iterable[Problem]:
    """The VIP against the machines: in a network of every control plane, and no machine's own address."""
    for host in hosts:
        address, facts = virtual_address(host), host.facts
        if address is None or facts is None:
            continue
        present = [interface for _name, interface in node_addresses([host]) if interface.ip == address]
        # The one that keepalived has set has the whole length; while DHCP sets another anew it may be the only one.
        own = [item for item in present if item.network.num_addresses > 1 or not host.control_plane]
        stated = parse_ip(host.text("cluster_node_ip"))
        if own or address == stated or (not present and str(address) == own_addresses(host)[0]):
            yield host.problem(
                "api_endpoint_vip",
                f"{address} is the host's own address.",
                "Choose an address that no machine has: it moves between the control planes.",
            )
        elif host.control_plane:
            yield from _check_network(host, address)


def _check_network(host: Host, address: Address) -> t.Iterable[Problem]:
    """Whether the control plane can have the address."""
    facts = host.facts or {}
    wanted = host.text("api_endpoint_interface")
    names = [str(interface["name"]) for interface in facts["interfaces"]]
    if wanted and wanted not in names:
        yield host.problem(
            "api_endpoint_interface",
            f"there is no {wanted} (it has {', '.join(names) or 'none'}).",
            "Set it to the interface in the network of the VIP, or leave it out.",
        )
        return
    networks = [item.network for _name, item in node_addresses([host]) if item.network.num_addresses > 1]
    network = next((network for network in networks if address in network), None)
    if network is None:
        yield host.problem(
            "api_endpoint_vip",
            f"{address} is in no network of the host ({', '.join(map(str, networks)) or 'it has none'}).",
            "Choose a free address in a network that all control planes are in.",
        )
    elif network.prefixlen < 31 and address in (network.network_address, network.broadcast_address):
        yield host.problem(
            "api_endpoint_vip", f"{address} is no address of a machine in {network}.", "Choose a free one in between."
        )


def check_vrrp(hosts: Hosts) -> t.Iterable[Problem]:
    """VRRP's number and password."""
    control_planes = [host for host in hosts if host.control_plane]
    if not any(host.text("api_endpoint_provider") == KEEPALIVED for host in control_planes):
        return
    for text, name in distinct(control_planes, "api_endpoint_router_id"):
        if re.fullmatch(r"-?[0-9]+", text) and not 0 <= int(text) <= 255:
            yield Problem(
                name,
                "api_endpoint_router_id",
                f"{text} is not between 1 and 255, or 0 for one that is derived.",
                "Choose a number that no other VRRP group of the network has.",
            )
    passwords = {host.text("api_endpoint_password") for host in control_planes}
    if len(passwords) > 1:
        yield Problem(
            CLUSTER,
            "api_endpoint_password",
            "differs between control planes (not shown, it is secret).",
            "Set it once, for all control planes.",
        )
    if any(len(password) > PASSWORD_LENGTH for password in passwords):
        yield Problem(
            CLUSTER,
            "api_endpoint_password",
            f"has more than {PASSWORD_LENGTH} characters, and keepalived uses no more.",
            "Nothing to do; it keeps mistakes out, not attackers.",
            WARNING,
        )
    for severity in sorted({_misread(password[:PASSWORD_LENGTH]) for password in passwords} - {""}):
        yield Problem(
            CLUSTER,
            "api_endpoint_password",
            "has characters that keepalived takes for something else, "
            + ("and has no configuration with them." if severity == ERROR else "and only what is before them counts."),
            "Use letters and digits.",
            severity,
        )


def _misread(password: str) -> str:
    """How bad it is that keepalived reads another password (seen with 2.2.7); empty when it does not."""
    if re.search(r"[{}\x00-\x1f\x7f]|^[#!]", password) or password.count('"') % 2:
        return ERROR
    return WARNING if re.search(r"[\s#!]", password) else ""


def check_existing(hosts: Hosts) -> t.Iterable[Problem]:
    """A cluster that was built with another endpoint: it is in its certificates, kubeconfigs and configuration."""
    if any(host.flag("preflight_moves_endpoint") for host in hosts):
        yield from _check_move(hosts)
        return
    control_planes = [host for host in hosts if host.control_plane]
    own = {str(item.ip) for _name, item in node_addresses(control_planes)}
    for host in control_planes:
        state = (host.facts or {}).get("kubernetes", {})
        built = parse_endpoint(str(state.get("endpoint") or ""))
        text = host.text("cluster_endpoint")
        wanted = parse_endpoint(text)
        if built is None or state.get("unfinished") or (text and wanted is None):
            continue
        where = f"{in_url(built[0])}:{built[1]}"
        if wanted is not None and built != wanted:
            yield host.problem(
                "cluster_endpoint",
                f"is {text}, but the cluster was built with {where}.",
                f"Let its clients use the new one by playbooks/move_endpoint.yml, or set it to that again. {_HOW_TO}"
                if built[0] in own
                else f"Set it to that again. {_HOW_TO}",
            )
        elif wanted is None and built[0] not in own:
            yield host.problem(
                "cluster_endpoint",
                f"is empty, but the cluster was built with {where}, which is no address of a control plane.",
                "Set it to that again.",
            )
    yield from _check_workers(hosts)


def _check_workers(hosts: Hosts) -> t.Iterable[Problem]:
    """Nodes that were away when the cluster was moved to its endpoint, and would be lost with the old address."""
    moved = {(host.facts or {}).get("kubernetes", {}).get("endpoint") for host in hosts if host.control_plane}
    for host in hosts:
        state = (host.facts or {}).get("kubernetes", {})
        built, text = str(state.get("endpoint") or ""), host.text("cluster_endpoint")
        is_old = bool(built and text) and parse_endpoint(built) != parse_endpoint(text)
        if host.control_plane or state.get("unfinished") or not is_old or built in moved:
            continue
        yield host.problem(
            "cluster_endpoint",
            f"is {text}, but the host reaches the cluster at {built}.",
            "Run playbooks/move_endpoint.yml again, with this host in the inventory.",
            WARNING,
        )


def check_answer(hosts: Hosts) -> t.Iterable[Problem]:
    """A load balancer of the user that does not lead to the cluster, or to another one; machines that join ask it."""
    joins = any(host.facts is not None and not host.joined for host in hosts)
    for host in hosts:
        state = (host.facts or {}).get("kubernetes", {})
        is_lost = state.get("api_ready") and state["endpoint"] and not state["endpoint_ready"]
        if is_lost and host.text("api_endpoint_provider") == "external":
            yield host.problem(
                "cluster_endpoint",
                f"{state['endpoint']} does not lead from here to an API server of the cluster that is ready and has a"
                " certificate for that name, and the one on this host is ready.",
                f"See where it leads: curl --cacert {KUBEADM.certificate('ca')} https://{state['endpoint']}/readyz",
                ERROR if joins else WARNING,
            )


def _check_move(hosts: Hosts) -> t.Iterable[Problem]:
    """A cluster that is moved from the address of its one control plane to an endpoint."""
    planes = [host for host in hosts if host.control_plane and host.joined]
    if not planes:
        yield Problem(CLUSTER, "kubernetes", "there is no cluster on these hosts.", "Build it with site.yml.")
    left_out = [host.name for host in hosts if planes and host.facts is None and not host.failure]
    if left_out:
        yield Problem(
            CLUSTER,
            "--limit",
            f"leaves out {', '.join(left_out)}: nodes among them would go on with the old address.",
            "Run without --limit. What is gone for good has to leave the cluster (remove_node.yml) and the inventory.",
        )
    if all(not host.text("cluster_endpoint") for host in hosts):
        yield Problem(CLUSTER, "cluster_endpoint", "is empty.", f"Set it to the endpoint's host:port. {_HOW_TO}")
    own = {str(item.ip) for _name, item in node_addresses(planes)}
    for host in planes:
        built = parse_endpoint(str((host.facts or {})["kubernetes"].get("endpoint") or ""))
        if built and built[0] not in own and built != parse_endpoint(host.text("cluster_endpoint")):
            yield host.problem(
                "cluster_endpoint",
                f"is {host.text('cluster_endpoint')}, but the cluster has an endpoint already,"
                f" {in_url(built[0])}:{built[1]}.",
                "Point that one elsewhere, at your DNS server or load balancer: nodes that use it would be cut off.",
            )


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (
    check_provider,
    check_port,
    check_address,
    check_place,
    check_vrrp,
    check_existing,
    check_answer,
)
