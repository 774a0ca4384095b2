# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on what machines claim to be.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _families, _node_identities
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._node_identities import (
    CERT_SANS,
    CLAIMED,
    IN_A_NETWORK,
    NODE_IP,
    Owners,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.inventory import DNS_NAME
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import WARNING, Host, Hosts, Problem
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.variables import collection_roles


def owners_of(hosts: Hosts) -> Owners:
    """Who may have which address, by what the inventory says and the machines say."""
    endpoints: t.Dict[str, None] = {}
    networks: t.Dict[str, None] = {}
    for host in hosts:
        endpoints.update(dict.fromkeys([host.text("cluster_endpoint"), host.text("api_endpoint_vip")]))
        networks.update(dict.fromkeys([host.text("cluster_pod_subnet"), host.text("cluster_service_subnet")]))
    machines = [
        _node_identities.machine(host.name, host.variables, host.facts, host.control_plane, list(networks))
        for host in hosts
    ]
    domains = {domain for host in hosts for domain in _node_identities.dns_domains(host.variables)}
    return Owners(machines, endpoints, networks, domains)


def check_certificate_names(hosts: Hosts) -> t.Iterable[Problem]:
    """Addresses and names that a host's kubelet may not have in its certificate, by whoever they are given."""
    owners = owners_of(hosts)
    for host, one in zip(hosts, owners.machines):
        objection = owners.own_name_objection(one)
        if objection:
            remedy = "Rename the host in the inventory: the certificate of a kubelet has the name of its node."
            yield host.problem("inventory_hostname", f"{one.name} {objection}.", remedy)
        for address in one.claims:
            objection = owners.objection(one, address)
            known = address in one.announced and objection.startswith((CLAIMED, IN_A_NETWORK))
            if objection and not known:
                yield _problem(host, _variable_of(one, address), address, objection)
        for name in one.extra_names:
            objection = owners.name_objection(one, name)
            if not DNS_NAME.fullmatch(name):
                yield _problem(host, CERT_SANS, name, "is neither an address nor a DNS name")
            elif objection:
                yield _problem(host, CERT_SANS, name, objection)


def _variable_of(one: _node_identities.Machine, address: str) -> str:
    """The variable that gives a machine this address."""
    if address in one.extra_addresses:
        return CERT_SANS
    return _families.NODE_IP6 if ":" in address and address != one.announced[0] else NODE_IP


def _problem(host: Host, subject: str, text: str, objection: str) -> Problem:
    remedy = f"Give the host an address of its own, and name it by {subject}."
    if subject == CERT_SANS:
        remedy = "Leave it out: the certificate of a kubelet has what belongs to its machine alone."
    return host.problem(subject, f"{text} {objection}.", remedy)


def check_forged_variables(hosts: Hosts) -> t.Iterable[Problem]:
    """Variables of ours that a machine has set for itself, by facts."""
    for host in hosts:
        for name in sorted(filter(collection_roles().is_ours, host.mapping("ansible_facts"))):
            yield host.problem(
                name,
                "is among the facts that the machine returned, and would hide what the inventory says.",
                "Set it in the inventory; look at the machine if nobody set it as a fact that is kept.",
            )


def check_taken_addresses(hosts: Hosts) -> t.Iterable[Problem]:
    """Addresses of nodes that other machines have on an interface as well."""
    owners = owners_of(hosts)
    for host, one in zip(hosts, owners.machines):
        for address in one.announced:
            others = owners.others_with(one, address)
            if others and not owners.objection(one, address):
                yield host.problem(
                    _variable_of(one, address),
                    f"{address} is on an interface of {', '.join(others)}, too.",
                    "Two machines with one address do not work: remove it there, or ask who has added it.",
                    WARNING,
                )


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (
    check_certificate_names,
    check_forged_variables,
    check_taken_addresses,
)
