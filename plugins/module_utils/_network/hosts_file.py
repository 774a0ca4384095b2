# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""/etc/hosts: a block of ours in it, and the line by which a machine knows its own name.

Pure functions. Private to this collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._files import lines_of

PATH = "/etc/hosts"
BEGIN = "# BEGIN slipway.kubernetes nodes"
END = "# END slipway.kubernetes nodes"
#: Distributions whose installers know no lasting address put the machine's name here.
OWN = "127.0.1.1"


def _split(text: str) -> t.Tuple[t.List[str], t.List[str], t.List[str]]:
    """The lines before, in and behind the block, with their ends.

    A block is from a BEGIN to the next END. Of one that has lost one of them the other goes, and the lines stay.
    """
    lines = lines_of(text)
    marks = [(index, line.strip()) for index, line in enumerate(lines) if line.strip() in (BEGIN, END)]
    pairs = ((one[0], two[0]) for one, two in zip(marks, marks[1:]) if (one[1], two[1]) == (BEGIN, END))
    start, stop = next(pairs, (len(lines), len(lines)))
    parts = (lines[:start], lines[start:stop], lines[stop:])
    before, inside, behind = ([line for line in part if line.strip() not in (BEGIN, END)] for part in parts)
    return before, inside, behind


def block(text: str) -> t.List[str]:
    """The lines of the block."""
    return [line.strip() for line in _split(text)[1]]


def with_block(text: str, lines: t.Sequence[str]) -> str:
    """``text`` with these lines as the block; without a block when there are none."""
    before, _old, behind = _split(text)
    new = [f"{line}\n" for line in (BEGIN, *lines, END)] if lines else []
    if before and not before[-1].endswith("\n"):
        before[-1] += "\n"
    return "".join([*before, *new, *behind])


def _names(line: str) -> t.List[str]:
    """Address and names of a line; empty when it has none."""
    return line.partition("#")[0].split()


def is_listed(text: str, hostname: str) -> bool:
    """Whether a line that is not in the block has the name."""
    before, _lines, behind = _split(text)
    return any(hostname in _names(line)[1:] for line in [*before, *behind])


def has_own_line(text: str) -> bool:
    """Whether the machine has a line for its own name."""
    return any(_names(line)[:1] == [OWN] for line in lines_of(text))


def with_own_name(text: str, hostname: str) -> str:
    """``text`` whose line for the machine's own name has ``hostname``, unless another line has it.

    The first name of the line is the old one, and its domain stays; further names that are not the old one stay, too,
    and so does what is said behind a ``#``.
    """
    if not hostname or is_listed(text, hostname):
        return text
    lines = lines_of(text)
    for index, line in enumerate(lines):
        address, *names = _names(line) or [""]
        if address == OWN and names:
            old, _dot, domain = names[0].partition(".")
            full = [f"{hostname}.{domain}"] if domain and "." not in hostname else []
            others = [name for name in names if name.partition(".")[0] != old]
            short = [hostname.partition(".")[0]] if "." in hostname else []
            _entry, sign, comment = lines[index].rstrip("\r\n").partition("#")
            own = " ".join([*full, hostname, *short, *others]) + (f" {sign}{comment}" if sign else "")
            lines[index] = f"{OWN}\t{own}\n"
            return "".join(lines)
    return text


def wanted(text: str, lines: t.Sequence[str], hostname: str) -> str:
    """``text`` with the block and the machine's own name."""
    return with_own_name(with_block(text, lines) if block(text) or lines else text, hostname)


def look(text: str, hostname: str) -> t.Dict[str, t.Any]:
    """What is known of the file without knowing what is wished."""
    return {"block": block(text), "own_name": is_listed(text, hostname) or not has_own_line(text)}
