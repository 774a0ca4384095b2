# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and values of sysctls. Private to this collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError


def key_path(name: str) -> str:
    """The path of a sysctl below /proc/sys: whichever of ``.`` and ``/`` comes first separates its parts (sysctl(8)).

    :raises SlipwayError: when it is no name of a sysctl.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_./:@-]*", name) or ".." in name:
        raise SlipwayError(f"settings: {name!r} is no name of a sysctl.")
    first = re.search(r"[./]", name)
    if first and first.group() == ".":
        name = name.translate(str.maketrans("./", "/."))
    return name


def normalised(name: str, value: t.Any) -> str:
    """A value as the kernel prints it, with single spaces between several numbers.

    :raises SlipwayError: when it is no plain value.
    """
    if not isinstance(value, (bool, int, float, str)) or "\n" in str(value).strip():
        raise SlipwayError(f"settings: {name} needs a number or one line of text, not {value!r}.")
    if isinstance(value, bool):
        return str(int(value))
    return " ".join(str(value).split())


def contradiction(settings: t.Mapping[t.Any, t.Any]) -> str:
    """Which two names are one sysctl and have different values, of which each run would set both; empty without any."""
    seen: t.Dict[str, t.Tuple[str, str]] = {}
    for name in map(str, settings):
        try:
            own = name, normalised(name, settings[name])
            other = seen.setdefault(key_path(name), own)
        except (SlipwayError, KeyError):
            continue  # no sysctl, which is an error of its own
        if own[1] != other[1]:
            return f"{other[0]} ({other[1]}) and {name} ({own[1]}) are one sysctl."
    return ""
