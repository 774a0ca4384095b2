# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import shown
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._look import LOOK, stated, succeeded

HostVars = t.Mapping[str, t.Any]
#: What the role patch has registered on a host: its plan, what it has done, whether it started the machine anew, and
#: the last that it does.
_PLAN = "patch_plan"
_UPDATES = "patch_updates"
_RESTARTED = "patch_restarted"
_ENDED = "patch_ended"
#: Packages of a node that are named.
_NAMED = 6


def _result(variables: HostVars, name: str) -> t.Dict[str, t.Any]:
    """What a task has registered, if it was done."""
    result = stated(variables, name)
    return result if succeeded(result) else {}


def _reboots(variables: HostVars) -> bool:
    """Whether the host may be started anew; by the role's default it may."""
    return stated(variables, "patch_reboot") != "never"


def patch_pending(names: t.Iterable[str], hostvars: HostVars) -> t.List[str]:
    """Those of ``names`` whose plan has something in it that their node is drained for."""
    found = []
    for name in names:
        plan = _result(hostvars[name], _PLAN)
        if plan.get("updates") or plan.get("repaired") or (plan.get("reboot_required") and _reboots(hostvars[name])):
            found.append(name)
    return found


def patch_left_out(names: t.Iterable[str], hostvars: HostVars) -> t.List[str]:
    """Those of ``names`` that this run is about, and that the role patch has not come to its end on."""
    concerned = (name for name in names if name in hostvars and stated(hostvars[name], LOOK) is not None)
    return [name for name in concerned if not _result(hostvars[name], _ENDED)]


def _packages(updates: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """The updates as one line; of many the first ones."""
    said = [f"{update['name']} {update['after']}" for update in updates[:_NAMED]]
    more = len(updates) - len(said)
    return ", ".join(said) + (f" and {more} more" if more > 0 else "")


def _done(variables: HostVars, check_mode: bool) -> str:
    """What was done on a host."""
    plan, updates = _result(variables, _PLAN), _result(variables, _UPDATES)
    restarted = bool(_result(variables, _RESTARTED))
    if not _result(variables, _ENDED):
        return "not finished, or not begun"
    parts = []
    if updates.get("repaired"):
        parts.append("an interrupted installation " + ("would be finished" if check_mode else "finished"))
    done = updates.get("updates") or []
    if done:
        number = f"{len(done)} package{'' if len(done) == 1 else 's'}"
        parts.append(f"{number} {'would be updated' if check_mode else 'updated'}: {_packages(done)}")
    reasons = (updates or plan).get("reboot_required") or []
    if restarted:
        parts.append("would be started anew" if check_mode else "started anew")
    elif reasons:
        parts.append(f"has to be started anew for {', '.join(reasons[:_NAMED])}")
    said = "; ".join(parts) or "nothing to do"
    kept = sorted({name for kind in ("held", "excluded", "kept_back") for name in (updates or plan).get(kind, [])})
    return f"{said} (kept: {', '.join(kept)})" if kept else said


def patch_table(names: t.Sequence[str], hostvars: HostVars, check_mode: bool = False) -> t.List[str]:
    """A line for each of ``names`` that says what was done there."""
    width = max(map(len, names), default=0)
    lines = []
    for name in names:
        try:
            done = _done(hostvars[name], check_mode)
        except (AttributeError, KeyError, TypeError):
            done = "says what makes no sense"
        # Machines have said a part of it.
        lines.append(f"{name:<{width}}  {shown(done)}")
    return lines


class FilterModule:
    """What is to be done to the machines of a cluster to update them, and what was done."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {"patch_pending": patch_pending, "patch_left_out": patch_left_out, "patch_table": patch_table}
