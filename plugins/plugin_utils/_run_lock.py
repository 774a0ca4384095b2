# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which run this is, and whether another one that is recorded on a control plane still goes on.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import dataclasses
import getpass
import os
import platform
import time
import typing as t

from ansible import context
from ansible_collections.slipway.kubernetes.plugins.module_utils._node.run_record import Record, is_same_run
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import LONGEST, shown

#: Seconds after its last sign of life for which a run of another controller counts as one that goes on, when it does
#: not say so itself: it does once the process has begun that gives signs of life. Longer than an upgrade of one node
#: may take by default: to drain it, to upgrade it, and for pods and node to be ready.
PATIENCE = 1800
#: Runs whose patience is not longer are waited for, to see whether they give another sign of life.
WAITED_FOR = 120
#: Seconds that the clocks of two control planes may differ: one of them wrote the sign of life, the other compares.
SKEW = 300


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def _namespace() -> str:
    """The namespace that process ids are of; controllers in containers have their own."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def started(pid: int, proc: str = "/proc") -> str:
    """When the process began, in ticks since boot; empty when it has ended or this system has no ``/proc``.

    Source: proc_pid_stat(5); the name in the second field may have blanks and parentheses.
    """
    fields = _text(f"{proc}/{pid}/stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] not in "ZX" else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return f"uid {os.getuid()}"


def this_run(pid: int) -> t.Dict[str, t.Any]:
    """The record of the run whose ansible-playbook has the process id ``pid``."""
    playbooks = context.CLIARGS.get("args") or ("ansible",)
    return {
        "controller": platform.node(),
        "machine_id": _text("/etc/machine-id"),
        "boot_id": _text("/proc/sys/kernel/random/boot_id"),
        "namespace": _namespace(),
        "pid": pid,
        "started": started(pid),
        "user": _user(),
        "playbook": str(playbooks[0] if isinstance(playbooks, (list, tuple)) else playbooks),
        "since": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
    }


def patience_of(record: Record) -> int:
    """Seconds that a run is to be waited for after its last sign of life."""
    return int(record.get("patience") or PATIENCE)


def _duration(seconds: int) -> str:
    return f"{seconds // 60} min" + (f" {seconds % 60} s" if seconds % 60 else "") if seconds >= 60 else f"{seconds} s"


@dataclasses.dataclass(frozen=True)
class Holder:
    """Another run that goes on, or may.

    :param certain: whether its process was seen here.
    """

    record: Record
    certain: bool

    @property
    def message(self) -> str:
        """Who it is."""
        record = self.record
        said = {key: shown(record.get(key), LONGEST) for key in ("playbook", "user", "controller", "pid", "since")}
        return (
            f"another run works on this cluster: ansible-playbook {said['playbook']} by {said['user']} on"
            f" {said['controller']} (pid {said['pid']}) since {said['since']}."
        )

    @property
    def may_be_dead(self) -> bool:
        """Whether it is seen soon if it goes on: it gives signs of life all the time."""
        return not self.certain and patience_of(self.record) <= WAITED_FOR

    @property
    def remedy(self) -> str:
        """How to go on."""
        if self.certain:
            return "Wait for its end, or end it."
        age = int(self.record.get("age", 0))
        return (
            f"Wait for its end. Its last sign of life was {age // 60} min {age % 60} s ago, and after"
            f" {_duration(patience_of(self.record))} it counts as dead. When you know that it has ended:"
            " -e preflight_take_over=true"
        )


def holder_of(record: t.Optional[Record], run: Record, take_over: bool = False) -> t.Optional[Holder]:
    """Who stands behind a record; ``None`` when it is ``run`` itself, or a run that is over.

    On this controller that is known exactly: by its process. Of another one only its last sign of life is known; it may
    have the same name and machine id, as copies of a machine have.

    :param take_over: whether the user says that a run of another controller has ended.
    """
    if not record or is_same_run(record, run):
        return None
    here = ("boot_id", "namespace", "controller", "machine_id")
    if all(record.get(key) == run.get(key) for key in here) and run.get("started"):
        return Holder(record, True) if started(int(record.get("pid", 0))) == record.get("started") else None
    holder = Holder(record, False)
    silence = patience_of(record) + (SKEW if holder.may_be_dead else 0)
    return None if take_over or float(record.get("age", 0)) > silence else holder
