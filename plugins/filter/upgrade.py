# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import re
import typing as t

from ansible.errors import AnsibleFilterError


def batch_size(serial: t.Any, members: int, role: str = "upgrade") -> int:
    """How many of so many members are in a batch: a number, or a percentage of them, at least one.

    :raises AnsibleFilterError: when it is neither.
    """
    match = re.fullmatch(r"([0-9]+)(%?)", str(serial).strip())
    if match is None or int(match[1]) == 0:
        raise AnsibleFilterError(
            f"{role}_serial: {serial} is neither a number of nodes nor a percentage, such as 2 or 25%."
        )
    return max(1, int(match[1]) * members // 100) if match[2] else int(match[1])


def upgrade_batches(
    hosts: t.Sequence[str],
    groups: t.Mapping[str, t.Sequence[str]],
    serial: t.Any = 1,
    pools: t.Sequence[str] = (),
    present: t.Optional[t.Container[str]] = None,
    role: str = "upgrade",
) -> t.Dict[str, t.List[t.Any]]:
    """Hosts in the order of pools, and the sizes of batches that never reach over the end of a pool.

    :param present: those that take part, all of them by default. A percentage is one of the whole pool all the same.
    :param role: whose variables say it, for messages.
    :raises AnsibleFilterError: when a pool is no group, or the size is none.
    """
    unknown = [pool for pool in pools if pool not in groups]
    if unknown:
        raise AnsibleFilterError(f"{role}_pools: the inventory has no group {' and no group '.join(unknown)}.")
    left = list(dict.fromkeys(hosts))
    ordered: t.List[str] = []
    sizes: t.List[int] = []
    batch_size(serial, 1, role)
    for pool in [*(groups[pool] for pool in pools), list(left)]:
        members = [host for host in left if host in pool]
        left = [host for host in left if host not in members]
        size = batch_size(serial, len(members), role)
        here = [host for host in members if present is None or host in present]
        ordered += here
        sizes += [min(size, len(here) - first) for first in range(0, len(here), size)]
    return {"hosts": ordered, "sizes": sizes}


class FilterModule:
    """The order of an upgrade."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {"upgrade_batches": upgrade_batches}
