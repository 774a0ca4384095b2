# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.plugin_utils._look import seen


def _upgrading(state: t.Mapping[str, t.Any]) -> bool:
    """Whether `kubeadm upgrade apply` has begun on this control plane and has not ended."""
    record = state.get("upgrading")
    return isinstance(record, dict) and record.get("operation") == "apply"


def cluster_view(
    names: t.Sequence[str], hostvars: t.Mapping[str, t.Any], play_hosts: t.Collection[str] = ()
) -> t.Dict[str, t.Any]:
    """The control planes as this run has seen them."""
    states: t.Dict[str, t.Mapping[str, t.Any]] = {}
    for name in names:
        look = seen(hostvars[name]) if name in hostvars else None
        state = (look or {}).get("kubernetes")
        if look is not None:
            states[name] = state if isinstance(state, dict) else {}
    existing = [name for name, state in states.items() if state.get("control_plane") and not state.get("unfinished")]
    ready = [name for name in existing if states[name].get("api_ready")]
    bare = [name for name, state in states.items() if state.get("joined") is False]
    return {
        "seen": list(states),
        "ready": ready,
        "upgrading": [name for name, state in states.items() if _upgrading(state)],
        "primary": next(iter([*ready, *existing, *names]), ""),
        "left_out": [name for name in names if name not in play_hosts and name not in bare],
    }


class FilterModule:
    """Which control plane serves a run."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {"cluster_view": cluster_view}
