# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.plugin_utils._look import seen


def machines_seen(names: t.Iterable[str], hostvars: t.Mapping[str, t.Any]) -> t.List[t.Dict[str, t.Any]]:
    """Those of ``names`` that this run has looked at, each with its name and what was seen."""
    looks = ((name, seen(hostvars[name])) for name in names if name in hostvars)
    return [{"inventory_hostname": name, "slipway_node": node} for name, node in looks if node is not None]


class FilterModule:
    """What this run has seen of machines."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {"machines_seen": machines_seen}
