# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a process is: this machine's, a pod's of this machine, or one in somebody else's container.

A cluster in containers (kind, a lab) runs kubelets, shims and API servers under the same names as ours.

Private to this collection.
"""

from __future__ import annotations

import os
import re
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text

PROC = "/proc"


def words(pid: t.Union[int, str], proc: str = PROC) -> t.List[str]:
    """The command line of a process; empty when it has ended."""
    return read_text(f"{proc}/{pid}/cmdline").rstrip("\0").split("\0")


def is_of_this_machine(pid: t.Union[int, str], proc: str = PROC) -> bool:
    """Whether the process sees the same processes as this one: it is in no container."""
    try:
        return os.readlink(f"{proc}/{pid}/ns/pid") == os.readlink(f"{proc}/self/ns/pid")
    except OSError:
        return False


def age(pid: t.Union[int, str], proc: str = PROC) -> t.Optional[float]:
    """For how many seconds a process has run; ``None`` when it has ended."""
    # The name of the program, in parentheses, may have blanks; the time is the 22nd field, in ticks since the boot.
    fields = read_text(f"{proc}/{pid}/stat").rpartition(")")[2].split()
    if len(fields) < 20:
        return None
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")


def is_in_pod(pid: t.Union[int, str], proc: str = PROC) -> bool:
    """Whether the process is in a pod of this machine's kubelet.

    That of a kubelet in a container is one namespace deeper, and in a group below that of the container.
    """
    depth = re.search(r"^NSpid:\t(.*)$", read_text(f"{proc}/{pid}/status"), re.MULTILINE)
    in_group = re.search(r":/([^\n]*/)?kubepods", read_text(f"{proc}/{pid}/cgroup")) is not None
    return in_group and depth is not None and len(depth.group(1).split()) <= 2


def is_ours(pid: t.Union[int, str], proc: str = PROC) -> bool:
    """Whether the process may be one of this machine's node."""
    return is_of_this_machine(pid, proc) or is_in_pod(pid, proc)
