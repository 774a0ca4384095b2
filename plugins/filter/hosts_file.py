# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t


def hosts_lines(nodes: t.Sequence[t.Mapping[str, t.Any]], block: t.Sequence[str]) -> t.List[str]:
    """Lines of /etc/hosts; of a machine that was not looked at, what is known in the ``block`` counts."""
    known: t.Dict[str, str] = {}
    for address, *names in (line.split() for line in block if line.strip()):
        known.update(dict.fromkeys(names, address))
    lines = []
    for node in nodes:
        names = list(node["names"])
        address = node["address"] if node["certain"] else known.get(names[0]) or node["address"]
        if address:
            lines.append(" ".join([address, *names]))
    return lines


class FilterModule:
    """Lines of /etc/hosts."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {"hosts_lines": hosts_lines}
