# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import lines_shown, shown, without_credentials
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._look import seen, stated, succeeded
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._platforms import platform_name

HostVars = t.Mapping[str, t.Any]
#: What check_platform.yml registers on a host.
_LOOKED = "platform_looked"


def platform_assumptions(
    assumptions: t.Sequence[t.Mapping[str, t.Any]], node: t.Mapping[str, t.Any]
) -> t.List[t.Dict[str, str]]:
    """Those of ``assumptions`` that can be looked at on a machine, with what the module platform_info takes of them."""
    is_built = bool(node["kubernetes"]["joined"])
    known = [name for assumption in assumptions for name in assumption.get("systems", [])]
    own = platform_name(known, node["os"])
    return [
        {name: str(assumption[name]) for name in ("name", "command", "expected")}
        for assumption in assumptions
        if (is_built or not assumption.get("built")) and own in assumption.get("systems", [own])
    ]


def _report(name: str, variables: HostVars) -> t.List[str]:
    """What is said about one machine."""
    node, result = seen(variables), stated(variables, _LOOKED)
    if node is None or not succeeded(result):
        return [f"{name}: was not reached, or could not be looked at"]
    found, system = result["assumptions"], node["os"]
    differing = [entry for entry in found if not entry["as_expected"]]
    machine = f"{system['pretty_name']}, {system['architecture']}, Linux {system['kernel']}"
    kind = "a node" if node["kubernetes"]["joined"] else "no node yet"
    lines = [f"{name}: {shown(machine)}, {kind}: {len(found) - len(differing)} of {len(found)} as expected"]
    for entry in differing:
        lines += [f"  not as expected: {shown(entry['name'])}", f"    command: {shown(entry['command'])}"]
        printed = lines_shown(without_credentials(entry["printed"])).splitlines() or ["(nothing)"]
        lines += [f"    printed: {line}" for line in printed]
    return lines


def platform_report(names: t.Iterable[str], hostvars: HostVars) -> t.List[str]:
    """The report about machines, a few lines each; what was expected is said in docs/platforms.md."""
    lines = []
    for name in names:
        try:
            lines += _report(name, hostvars[name])
        except (AttributeError, KeyError, TypeError):
            lines.append(f"{name}: says what makes no sense")
    return lines


class FilterModule:
    """What is assumed about distributions, and what was seen."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {"platform_assumptions": platform_assumptions, "platform_report": platform_report}
