# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/etc/hosts: a block of ours in it, and the line by which a machine knows its own name.

Pure functions. Private to this collection.
"""

from __future__ import annotations

import typing as t

PATH = "/etc/hosts"
BEGIN = "# BEGIN slipway.kubernetes nodes"
END = "# END slipway.kubernetes nodes"
#: Distributions whose installers know no lasting address put the machine's name here.
OWN = "127.0.1.1"


def _split(text: str) -> t.Tuple[t.List[str], t.List[str], t.List[str]]:
    """The lines before, in and behind the block; a block without an end is no block."""
    lines = text.splitlines()
    if BEGIN in lines and END in lines[lines.index(BEGIN) :]:
        start = lines.index(BEGIN)
        stop = lines.index(END, start)
        return lines[:start], lines[start + 1 : stop], lines[stop + 1 :]
    return lines, [], []


def block(text: str) -> t.List[str]:
    """The lines of the block."""
    return _split(text)[1]


def with_block(text: str, lines: t.Sequence[str]) -> str:
    """``text`` with these lines as the block; without a block when there are none."""
    before, _old, behind = _split(text)
    new = [BEGIN, *lines, END] if lines else []
    kept = "\n".join([*before, *new, *behind])
    return f"{kept}\n" if kept else ""


def _names(line: str) -> t.List[str]:
    """Address and names of a line; empty when it has none."""
    return line.partition("#")[0].split()


def is_listed(text: str, hostname: str) -> bool:
    """Whether a line that is not in the block has the name."""
    before, _lines, behind = _split(text)
    return any(hostname in _names(line)[1:] for line in [*before, *behind])


def has_own_line(text: str) -> bool:
    """Whether the machine has a line for its own name."""
    return any(_names(line)[:1] == [OWN] for line in text.splitlines())


def with_own_name(text: str, hostname: str) -> str:
    """``text`` whose line for the machine's own name has ``hostname``, unless another line has it.

    The first name of the line is the old one, and its domain stays; further names that are not the old one stay, too.
    """
    if not hostname or is_listed(text, hostname):
        return text
    lines = text.splitlines(keepends=True)
    for index, line in enumerate(lines):
        address, *names = _names(line) or [""]
        if address == OWN and names:
            old, _dot, domain = names[0].partition(".")
            full = [f"{hostname}.{domain}"] if domain and "." not in hostname else []
            others = [name for name in names if name.partition(".")[0] != old]
            short = [hostname.partition(".")[0]] if "." in hostname else []
            lines[index] = f"{OWN}\t{' '.join([*full, hostname, *short, *others])}\n"
            return "".join(lines)
    return text


def wanted(text: str, lines: t.Sequence[str], hostname: str) -> str:
    """``text`` with the block and the machine's own name."""
    return with_own_name(with_block(text, lines) if block(text) or lines else text, hostname)


def look(text: str, hostname: str) -> t.Dict[str, t.Any]:
    """What is known of the file without knowing what is wished."""
    return {"block": block(text), "own_name": is_listed(text, hostname) or not has_own_line(text)}
