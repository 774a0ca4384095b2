# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen of machines, as several checks ask for it.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._packages import package_manager_named
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._configuration_differences import printable
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host, Hosts

Surroundings = t.Mapping[str, t.Any]


def with_facts(hosts: Hosts) -> t.List[t.Tuple[Host, t.Mapping[str, t.Any]]]:
    """The hosts that there are facts of."""
    return [(host, host.facts) for host in hosts if host.facts is not None]


def looked_at(hosts: Hosts) -> t.List[t.Tuple[Host, Surroundings]]:
    """The hosts whose surroundings are known."""
    found = [(host, (host.facts or {}).get("surroundings")) for host in hosts]
    return [(host, around) for host, around in found if isinstance(around, dict)]


def configuration(host: Host) -> t.Mapping[str, t.Any]:
    """What the node and its cluster were configured with; empty for what is no node yet, or not one for good."""
    facts = host.facts or {}
    kubernetes = facts.get("kubernetes", {})
    is_node = kubernetes.get("joined") and not kubernetes.get("unfinished")
    return facts.get("configuration") or {} if is_node else {}


def other_runtimes(hosts: Hosts) -> t.Iterable[t.Tuple[Host, str]]:
    """Nodes that shall have another version of the container runtime that they have, and the one that they have."""
    if any(host.flag("preflight_moves_endpoint") for host in hosts):
        return  # it leaves the runtime alone
    for host in filter(configuration, hosts):
        facts = host.facts or {}
        runtimes = facts.get("runtime") or {}
        wanted, name = host.text("container_runtime_version"), host.text("container_runtime_provider")
        release = printable(str((runtimes.get(name) or {}).get("release") or ""))
        if release and host.text("container_runtime_source") == "release":
            if wanted not in ("", release):
                yield host, f"{name} {release}"
            continue
        installed = [entry.get("packages") or {} for entry in runtimes.values()]
        packages = {name: printable(str(version)) for entry in installed for name, version in entry.items()}
        package = str(host.variables.get("__container_runtime_package") or "")
        manager = package_manager_named(str(facts.get("package_manager")))
        if package in packages and not manager.version_matches(wanted, packages[package]):
            yield host, f"{package} {packages[package]}"
