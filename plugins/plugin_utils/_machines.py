# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The machines of a cluster, and its endpoint, with the addresses that are known on the controller.

Private to this collection.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._api_endpoints import (
    endpoint_host,
    endpoint_with_port,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _families
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host, Hosts


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    # Behind it Python takes any text for the zone of an IPv6 address.
    return "%" not in text


def _short(name: str) -> str:
    return name.partition(".")[0]


def _machine(host: Host, taken: t.Collection[str]) -> t.Dict[str, t.Any]:
    # What a machine says of itself is written into /etc/hosts of all others: it is an address, or nothing.
    said = _families.node_address(host.facts or {}, [host.text("cluster_pod_subnet")], host.text("cluster_node_ip"))
    seen = said if _is_address(said) else ""
    reached = host.text("ansible_host")
    names = [host.name, *({_short(host.name)} - {host.name, *taken})]
    return {"address": seen or (reached if _is_address(reached) else ""), "names": names, "certain": bool(seen)}


def addresses(hosts: Hosts) -> t.List[t.Dict[str, t.Any]]:
    """Address and names of each machine; ``certain`` is whether it, or cluster_node_ip, says so itself.

    A short name that two machines would have is of neither.
    An endpoint is among them when it has a name, and an address of its own that keepalived keeps.
    """
    shorts = [_short(host.name) for host in hosts]
    found = [_machine(host, [name for name in shorts if shorts.count(name) > 1]) for host in hosts]
    first = next((host for host in hosts if host.control_plane), None)
    endpoint = first.text("cluster_endpoint") if first else ""
    if first and endpoint and first.text("api_endpoint_provider") == "keepalived":
        name, vip = endpoint_host(endpoint_with_port(endpoint)), first.text("api_endpoint_vip")
        if vip and not _is_address(name):
            found.append({"address": vip, "names": [name], "certain": True})
    return found


def by_name(hosts: Hosts) -> t.Dict[str, str]:
    """The addresses of :func:`addresses` by each of the names."""
    return {name: entry["address"] for entry in addresses(hosts) if entry["address"] for name in entry["names"]}


def entry_addresses(entries: t.Iterable[t.Any]) -> t.Dict[str, str]:
    """The addresses in lines of /etc/hosts by name; the first line with a name counts."""
    found: t.Dict[str, str] = {}
    for entry in entries:
        address, *names = str(entry).partition("#")[0].split() or [""]
        found = {**dict.fromkeys(names, address), **found}
    return found


def written(host: Host, name: str, machines: t.Mapping[str, str]) -> str:
    """The address that node_prep will write for the name into /etc/hosts; empty when it writes none.

    Where an endpoint is moved node_prep does not run.

    :param machines: what :func:`by_name` says.
    """
    if host.flag("preflight_moves_endpoint"):
        return ""
    entries = entry_addresses(host.sequence("node_prep_hosts_entries"))
    if name in entries:
        return entries[name]
    return machines.get(name, "") if host.flag("node_prep_hosts") else ""
