# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TOML, in which container runtimes are configured. Private to this collection."""

from __future__ import annotations

import datetime
import json
import math
import typing as t


def _toml_value(value: t.Any, place: str) -> str:
    """A TOML value; JSON's strings, numbers and booleans are valid TOML."""
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml_value(item, f"{place}[{number}]") for number, item in enumerate(value)) + "]"
    if isinstance(value, dict):
        pairs = (f"{_quoted(_text_key(key, place))} = {_toml_value(value[key], f'{place}.{key}')}" for key in value)
        return "{" + ", ".join(pairs) + "}"
    if value is None:
        raise ValueError(f"{place} is null, which TOML has not: leave the key out instead")
    if not isinstance(value, (str, bool, int, float)) or (isinstance(value, float) and not math.isfinite(value)):
        # Out of Ansible's vault come texts that are no str: what they say is not shown.
        kind = "a date" if isinstance(value, datetime.date) else value if isinstance(value, float) else "something"
        raise ValueError(f"{place} is {kind}, which is no text, number, true or false: put it in quotes")
    return _quoted(value)


def _text_key(key: t.Any, place: str) -> str:
    if not isinstance(key, str):
        raise ValueError(
            f"{place} has the key {key}, which is no text: put it in quotes"
            if place
            else f"the key {key} is no text: put it in quotes"
        )
    return key


def _quoted(value: t.Any) -> str:
    # TOML wants characters outside of the first plane as they are, and DEL escaped; JSON does it the other way.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def to_toml(document: t.Mapping[str, t.Any]) -> str:
    """``document`` as TOML text, each dictionary a table of its own; keys keep their order.

    :raises ValueError: naming the place of what TOML cannot say.
    """
    lines: t.List[str] = []

    def table(path: t.Tuple[str, ...], content: t.Mapping[str, t.Any]) -> None:
        place = ".".join(path)
        plain = {_text_key(key, place): value for key, value in content.items() if not isinstance(value, dict)}
        if path and (plain or not content):
            lines.append("")
            lines.append("[" + ".".join(_toml_key(part) for part in path) + "]")
        start = f"{place}." if place else ""
        lines.extend(f"{_toml_key(key)} = {_toml_value(value, start + key)}" for key, value in plain.items())
        for key, value in content.items():
            if isinstance(value, dict):
                table((*path, _text_key(key, place)), value)

    table((), document)
    return "\n".join(lines) + "\n"


def _toml_key(key: str) -> str:
    bare = key.replace("_", "").replace("-", "")
    return key if bare.isascii() and bare.isalnum() else _quoted(key)
