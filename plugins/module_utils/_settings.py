# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The variables of a host, read as what they shall be.

Private to this collection.
"""

from __future__ import annotations

import typing as t


class Settings:
    """The effective variables of a host, those of all roles included."""

    def __init__(self, variables: t.Mapping[str, t.Any]) -> None:
        self.variables = variables

    def text(self, name: str) -> str:
        """The variable as text without outer blanks; empty when it is not set or is a collection."""
        value = self.variables.get(name)
        return "" if value is None or isinstance(value, (dict, list)) else str(value).strip()

    def number(self, name: str) -> int:
        """The variable as a number; 0 when it is none (its type is reported elsewhere)."""
        try:
            return int(self.text(name))
        except ValueError:
            return 0

    def flag(self, name: str) -> bool:
        """The variable as a truth value."""
        return self.text(name).lower() in ("true", "yes", "on", "1")

    def mapping(self, name: str) -> t.Mapping[str, t.Any]:
        """The variable when it is a dictionary; an empty one otherwise (its type is reported elsewhere)."""
        value = self.variables.get(name)
        return value if isinstance(value, dict) else {}

    def sequence(self, name: str) -> t.Sequence[t.Any]:
        """The variable when it is a list; an empty one otherwise (its type is reported elsewhere)."""
        value = self.variables.get(name)
        return value if isinstance(value, list) else []
