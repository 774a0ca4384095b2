# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of a test: folders as in /proc."""

from __future__ import annotations

import typing as t
from pathlib import Path

#: The namespace of process ids that the test itself is in.
HERE = 1


def process(
    proc: Path, pid: t.Union[int, str], *words: str, namespace: int = HERE, depth: int = 1, group: str = ""
) -> Path:
    """A process, and that of the test (``self``)."""
    for name, number in ((str(pid), namespace), ("self", HERE)):
        link = proc / name / "ns/pid"
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to(f"pid:[{number}]")
    folder = proc / str(pid)
    (folder / "cmdline").write_text("".join(f"{word}\0" for word in words))
    (folder / "comm").write_text(Path(words[0]).name[:15] + "\n" if words else "")
    inside = "".join(f"\t{number}" for number in range(1, depth))
    (folder / "status").write_text(f"Name:\tx\nPid:\t{pid}\nNSpid:\t{pid}{inside}\nUid:\t0\n")
    (folder / "cgroup").write_text(f"12:memory:{group or '/system.slice/x'}\n0::/\n")
    return folder
