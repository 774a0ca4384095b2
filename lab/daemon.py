# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that go on when the lab's command has ended, and that `lab down` ends: those and no others."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from .util import CACHE, LOGS, LabError, as_root, lock, run, say, tail, write


def start_time(pid: int) -> str:
    """Return when a process started, in clock ticks since boot, or "" when there is none but perhaps a zombie.

    Together with its id this names a process for good: ids are used again.
    """
    fields = _stat(pid)
    return "" if fields[0] == "Z" else fields[19]


def _stat(pid: int) -> list[str]:
    """Return what the kernel says of a process after its name (proc(5)); nothing of none, as of a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ["Z"]


class Daemon:
    """A detached process: output in a file, id in a file."""

    def __init__(self, name: str, argv: Sequence[str | Path], *, root: bool = False) -> None:
        """Describe the process.

        :param root: whether it has to run as root.
        """
        self.name = name
        self.argv = [str(argument) for argument in (as_root(argv) if root else argv)]
        self.root = root
        self.log = LOGS / f"{name}.log"
        self.record = CACHE / "run" / f"{name}.json"

    def pid(self) -> int:
        """Return the id of the running process that was started here, 0 when there is none."""
        try:
            record = json.loads(self.record.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return 0
        # One that had ended before it was recorded has no time, and is not any process that has ended since.
        return record["pid"] if start_time(record["pid"]) == record["start_time"] != "" else 0

    def current(self) -> bool:
        """Tell whether the process runs with the arguments of today; which Python runs it does not matter."""
        return bool(self.pid()) and json.loads(self.record.read_text(encoding="utf-8"))["argv"][1:] == self.argv[1:]

    def start(self, ready: Callable[[], bool], timeout: float = 30) -> None:
        """Start the process unless it runs already, and wait until it is ready.

        :param timeout: seconds.
        :raises LabError: when it ends or is not ready in time.
        """
        # Two commands that begin at the same time would end each other's process.
        with lock(self.name):
            if not (self.current() and ready()):
                self._start(ready, timeout)

    def _start(self, ready: Callable[[], bool], timeout: float) -> None:
        self.stop()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True
            )
        record = {"pid": process.pid, "start_time": start_time(process.pid), "argv": self.argv}
        write(self.record, json.dumps(record))
        end = time.monotonic() + timeout
        while not ready():
            if process.poll() is not None or time.monotonic() > end:
                self.stop()
                text = self.log.read_text(encoding="utf-8", errors="replace")
                raise LabError(f"{self.name} does not start:\n{tail(text)}\nall of it: {self.log}")
            time.sleep(0.1)
        say(f"started {self.name} (process {process.pid}, log {self.log})")

    def stop(self, timeout: float = 30) -> bool:
        """End the process and tell whether there was one.

        :param timeout: seconds after which it is killed.
        """
        pid = self.pid()
        if pid:
            end = time.monotonic() + timeout
            self._signal(pid, signal.SIGTERM)
            while self.pid():
                if time.monotonic() > end:
                    self._signal(pid, signal.SIGKILL)
                time.sleep(0.1)
            say(f"ended {self.name} (process {pid})")
        self.record.unlink(missing_ok=True)
        return bool(pid)

    def kill(self) -> bool:
        """End the process without asking it, and tell whether there was one."""
        pid = self.pid()
        if pid:
            self._signal(pid, signal.SIGKILL)
            while self.pid():
                time.sleep(0.02)
            say(f"killed {self.name} (process {pid})")
        self.record.unlink(missing_ok=True)
        return bool(pid)

    @property
    def paused(self) -> bool:
        """Tell whether the process has been paused."""
        return _stat(self.pid())[0] == "T"

    def pause(self) -> None:
        """Stop the process and its children, which are in its process group."""
        self._switch(signal.SIGSTOP, paused=True)

    def resume(self) -> None:
        """Let them go on."""
        self._switch(signal.SIGCONT, paused=False)

    def _switch(self, number: signal.Signals, *, paused: bool) -> None:
        pid = self.pid()
        if pid:
            self._signal(-pid, number)
        while self.pid() and self.paused != paused:
            time.sleep(0.02)

    def _signal(self, pid: int, number: signal.Signals) -> None:
        if self.root and os.geteuid() != 0:
            run(as_root(["kill", f"-{number.value}", "--", str(pid)]))
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
