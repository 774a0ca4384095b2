# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of the run that changes a cluster: a small file on its control planes, and a Lease in the cluster.

The file is there before there is a cluster, and when its API does not answer. The Lease is one for all control planes.
Private to this collection.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _records
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, make_folder, read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.run_lease import (
    Found,
    Object,
    RunLease,
    UnansweredError,
    is_fresh,
)

PATH = f"{_records.FOLDER}/run.json"
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


def look(run: Record, over: t.Sequence[Record], lease: RunLease) -> t.Optional[t.Dict[str, t.Any]]:
    """The record of another run, unless it is one of those that are ``over``; nothing is written."""
    known = [run, *over]
    record = read_record()
    if record is not None and not _is_one_of(record, known):
        return record
    try:
        holder = lease.read().holder
    except UnansweredError:
        return None
    return holder if holder is not None and not _is_one_of(holder, known) else None


def take(run: Record, over: t.Sequence[Record], lease: RunLease) -> t.Optional[t.Dict[str, t.Any]]:
    """Let ``run`` have the lock, unless another run is recorded that is not one of those that are ``over``.

    :returns: the record of the other run, when there is one.
    """
    known = [run, *over]
    with _alone():
        record = read_record()
        if record is not None and not _is_one_of(record, known):
            return record
        _write(run)
        others: t.List[t.Dict[str, t.Any]] = []

        def decide(found: Found) -> t.Optional[Object]:
            holder = found.holder
            others[:] = [holder] if holder is not None and not _is_one_of(holder, known) else []
            again = holder is not None and is_same_run(holder, run)
            return None if others or (again and is_fresh(found, run)) else found.given_to(run, again)

        with contextlib.suppress(UnansweredError):
            lease.change(decide)
        if others and (record is None or not is_same_run(record, run)):
            _remove()
        return others[0] if others else None


class Renewal:
    """A sign of life of ``run``; it takes nothing that another run has.

    :param known: what :attr:`known` was after the last one.
    :param write: look only, and give no sign, when it is false.
    """

    def __init__(self, run: Record, known: t.Mapping[str, t.Any], write: bool) -> None:
        self._run = run
        self._write = write
        #: How often the Lease had changed hands when this run had it, and the sign of life that another one has given.
        self.known: t.Dict[str, t.Any] = dict(known)
        #: The record of the run that has the lock by now; empty when there is none.
        self.lost: t.Dict[str, t.Any] = {}

    def give(self, lease: RunLease) -> None:
        """Give the sign, to the file and to the Lease."""
        with _alone() if os.path.exists(os.path.dirname(PATH)) else contextlib.nullcontext():
            record = read_record()
            ours = record is not None and is_same_run(record, self._run)
            if record is not None and not ours:
                self.lost = record
                return
            if ours and self._write:
                _write(self._run)
            with contextlib.suppress(UnansweredError):
                lease.change(lambda found: self._decide(found, ours))

    def _decide(self, found: Found, ours: bool) -> t.Optional[Object]:
        """
        :param ours: whether the file on this machine is of this run: it is not after the lock was given back.
        """
        holder = found.holder
        again = holder is not None and is_same_run(holder, self._run)
        if holder is not None and not again and not self._is_old(found, holder):
            return None
        if again:
            self.known = {"transitions": found.transitions}
        if not self._write or not (ours or again) or (again and is_fresh(found, self._run)):
            return None
        wanted = found.given_to(self._run, again)
        self.known = {"transitions": wanted["spec"]["leaseTransitions"]}
        return wanted

    def _is_old(self, found: Found, holder: Record) -> bool:
        """Whether it was brought back with a snapshot of etcd, by a run that gives no sign of life any more."""
        had, seen = self.known.get("transitions"), self.known.get("seen")
        if (had is not None and found.transitions > had) or (seen is not None and seen != found.renewed):
            self.lost = dict(holder)
            return False
        self.known["seen"] = found.renewed
        return bool(holder["age"] > holder["patience"])


def release(run: Record, lease: RunLease) -> t.Optional[t.Dict[str, t.Any]]:
    """Give back what ``run`` has: the file, with its folder when nothing else is in it, and the Lease.

    :returns: the record of another run that is there instead.
    """
    other: t.Optional[t.Dict[str, t.Any]] = None

    def decide(found: Found) -> t.Optional[Object]:
        holder = found.holder
        return found.freed() if holder is not None and is_same_run(holder, run) else None

    if os.path.exists(PATH):
        with _alone():
            holder = read_record()
            if holder is not None and is_same_run(holder, run):
                _remove()
            else:
                other = holder
    with contextlib.suppress(UnansweredError):
        lease.change(decide)
    return other


def _is_one_of(record: Record, known: t.Iterable[Record]) -> bool:
    return any(is_same_run(record, other) for other in known)


def _write(run: Record) -> None:
    TextFile(PATH, json.dumps({**run, "seen": time.time()}) + "\n", 0o600).write()


def _remove() -> None:
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
