# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of the run that changes a cluster: a small file on its control planes.

Private to this collection.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, make_folder, read_text

PATH = "/var/lib/slipway/run.json"
#: What makes two records those of the same run: the process on the controller.
_PROCESS = ("controller", "boot_id", "namespace", "pid", "started")

Record = t.Mapping[str, t.Any]


def is_same_run(one: Record, other: Record) -> bool:
    """Whether both are of the same process on the same controller."""
    return all(one.get(key) == other.get(key) for key in _PROCESS)


def read_record() -> t.Optional[t.Dict[str, t.Any]]:
    """The record with its ``age``, the seconds since the run's last sign of life; ``None`` when there is none."""
    try:
        record = json.loads(read_text(PATH) or "null")
        return {**record, "age": max(0.0, time.time() - float(record["seen"]))}
    except (ValueError, TypeError, KeyError):
        return None  # nothing but we write it, and complete or not at all


def take(run: Record, over: Record) -> t.Optional[t.Dict[str, t.Any]]:
    """Write the record of ``run``, unless another run is recorded that is not ``over``.

    :param over: the record of a run that is over.
    :returns: the record of the other run, when there is one.
    """
    with _alone():
        holder = read_record()
        if holder is not None and not is_same_run(holder, run) and not is_same_run(holder, over):
            return holder
        TextFile(PATH, json.dumps({**run, "seen": time.time()}) + "\n", 0o600).write()
    return None


def release(run: Record) -> None:
    """Remove the record when it is of ``run``, and the folder when nothing else is in it."""
    if not os.path.exists(PATH):
        return
    with _alone():
        holder = read_record()
        if holder is not None and is_same_run(holder, run):
            os.unlink(PATH)
            with contextlib.suppress(OSError):
                os.rmdir(os.path.dirname(PATH))


@contextlib.contextmanager
def _alone() -> t.Iterator[None]:
    """Let nobody else read and write the record meanwhile."""
    folder = os.path.dirname(PATH)
    make_folder(folder)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
