# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on what CoreDNS shall know: an error there would take the names of the whole cluster away.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._charts import within
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import corefile
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.addresses import networks_of, parse_ip
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host, Hosts, Problem

#: Phases of kubeadm without which there is no CoreDNS.
PHASES = ("addon", "addon/all", "addon/coredns")
_PREFIX = "coredns_"
_OPTIONS = ("upstreams", "upstreams_tls_name", "zones", "hosts", "plugins")


def settings(host: Host) -> corefile.Settings:
    """What the variables of a host ask for."""
    given = {name: host.variables.get(f"{_PREFIX}{name}") for name in _OPTIONS}
    lists = {name: host.sequence(f"{_PREFIX}{name}") for name in ("zones",)}
    return corefile.settings_of({**given, **lists, "dns_domain": host.text("cluster_dns_domain")})


def check_corefile(hosts: Hosts) -> t.Iterable[Problem]:
    """Servers, zones, names and plugins: whether they can be what they shall be."""
    own = [network[10] for network in networks_of(hosts, "cluster_service_subnet") if network.num_addresses > 10]
    # What many hosts share is looked at once.
    known: t.Dict[str, t.List[Problem]] = {}
    for host in hosts:
        asked = settings(host)
        if not asked.given:
            continue
        key = repr(asked)
        if key not in known:
            local = map(parse_ip, map(str, host.mapping("control_plane_kubelet_configuration").get("clusterDNS") or []))
            forbidden = [*own, *(address for address in local if address is not None)]
            known[key] = [
                host.problem(f"{_PREFIX}{flaw.setting}", flaw.message, flaw.remedy)
                for flaw in corefile.flaws(asked, forbidden)
            ]
        yield from (dataclasses.replace(problem, host=host.name) for problem in known[key])


def check_it_is_there(hosts: Hosts) -> t.Iterable[Problem]:
    """Settings for a CoreDNS that is not kubeadm's."""
    for host in (host for host in hosts if host.control_plane):
        phases = [str(phase) for phase in host.sequence("control_plane_skip_phases") if str(phase) in PHASES]
        left_out = [f"{phase} in control_plane_skip_phases" for phase in phases]
        if within(host.mapping("control_plane_cluster_configuration"), "dns", "disabled") is True:
            left_out.append("dns.disabled in control_plane_cluster_configuration")
        replicas = [name for name in ("replicas", "nodes_per_replica") if host.number(f"{_PREFIX}{name}") > 0]
        given = [name for name in _OPTIONS if host.variables.get(f"{_PREFIX}{name}")]
        if left_out and (replicas or given):
            yield host.problem(
                f"{_PREFIX}{(replicas + given)[0]}",
                f"is set, and kubeadm is told to install no CoreDNS ({left_out[0]}).",
                "Leave out one of them.",
            )


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (check_corefile, check_it_is_there)
