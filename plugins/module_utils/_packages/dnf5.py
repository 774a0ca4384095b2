# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dnf 5: what it does otherwise than dnf 4. Seen with 5.4.6.

It ends the rows of a query only when it is told to, prints epochs that are 0, has another table before a transaction,
and ``do`` in the place of ``shell``. It goes on without what it does not find there, so its words count. Its list of
versionlock hides nothing from a query, and no option turns it off.

Private to this collection.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.dnf import (
    DNF_FORMAT,
    EFFECTS,
    Dnf,
    Row,
    without_zero,
)

#: An entry of the table before a transaction: whether it goes for another one, name, architecture, version.
_ROW = re.compile(r" +(replacing +)?(\S+) +\S+ +((?:\d+:)?\S+-\S+) ")
_LOCKED = re.compile(r"Failed to obtain [^\n]*lock|Another transaction is in progress")


def parse_table(text: str) -> t.List[Row]:
    """The rows of the table before a transaction. The old version of a package is replaced by the package itself."""
    rows: t.List[Row] = []
    heading = name = ""
    for line in text.partition("\nTransaction Summary")[0].splitlines():
        row = _ROW.match(f"{line} ")
        if re.match(r"\S.*:$", line):
            heading = line.split()[0].rstrip(":")
        elif row and heading in EFFECTS:
            name = name if row[1] else row[2]
            rows.append(Row(heading, row[2], by=name) if row[1] else Row(heading, name, without_zero(row[3])))
        elif not line.startswith(" "):
            heading = ""
    return rows


class Dnf5(Dnf):
    """dnf 5 and rpm of this host."""

    name, tool, systems, audit = "dnf5", "dnf5", "Fedora", "dnf5 check"
    query = ("repoquery", "--queryformat", DNF_FORMAT + r"\n")
    unhidden = ("--setopt=disable_excludes=*",)
    unlocked = ()
    cache_option, cache_default = "system_cachedir", "/var/cache/libdnf5"
    aborted = "Operation aborted by the user."

    @staticmethod
    def is_locked(result: CommandResult) -> bool:
        return result.rc != 0 and _LOCKED.search(result.stdout + result.stderr) is not None

    @staticmethod
    def table(text: str) -> t.List[Row]:
        return parse_table(text)

    @staticmethod
    def both_ways(wanted: t.Sequence[str], removed: t.Sequence[str]) -> t.Tuple[t.List[str], t.Optional[str]]:
        return ["do", "--action=remove", *removed, *(["--action=install", *wanted] if wanted else [])], None
