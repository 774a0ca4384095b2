# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small process on the controller that shows that a run goes on, for as long as its ansible-playbook does.

It ends with ansible-playbook, however that ends, and gives the lock back then. While ansible-playbook is stopped it
shows nothing, and it ends a run whose lock has gone to another one meanwhile. When it dies itself, the lock expires.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import time
import typing as t
import warnings

#: Seconds between two signs of life.
INTERVAL = 20.0
#: Seconds after the last sign of life for which a run with such a process counts as one that goes on.
PATIENCE = 90
#: Seconds between two looks at the lock while ansible-playbook is stopped: when another run has taken it meanwhile, the
#: signal is there before it is woken up.
_WATCH = 2.0
#: Seconds that this process may have slept without noticing it: the whole controller was asleep.
_GAP = 10.0
#: Seconds between two looks at ansible-playbook.
_TICK = 0.5
#: Seconds that ansible-playbook has to end after it was asked to.
_GRACE = 10.0

GONE, STOPPED, RUNNING = "gone", "stopped", "running"

Ask = t.Callable[[str, t.Mapping[str, t.Any]], t.Mapping[str, t.Any]]


class Process:
    """An ansible-playbook, by its process id and by when it was started."""

    def __init__(self, pid: int, proc: str = "/proc") -> None:
        self._pid = pid
        self._proc = proc
        self._started = self._stat()[1]

    def _read(self, name: str) -> str:
        try:
            with open(f"{self._proc}/{self._pid}/{name}", encoding="utf-8", errors="replace") as stream:
                return stream.read()
        except OSError:
            return ""

    def _stat(self) -> t.Tuple[str, str]:
        """State and start; source: proc_pid_stat(5). Empty where there is no ``/proc``, or no such process."""
        fields = self._read("stat").rpartition(")")[2].split()
        return (fields[0], fields[19]) if len(fields) > 19 else ("", "")

    def state(self) -> str:
        """Whether it goes on, is stopped (by Ctrl-Z or a signal), or has ended."""
        if not self._started:
            return RUNNING if self._exists() else GONE
        state, started = self._stat()
        if started != self._started or state in ("Z", "X"):
            return GONE
        return STOPPED if state in ("T", "t") else RUNNING

    def _exists(self) -> bool:
        try:
            os.kill(self._pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def _children(self) -> t.List[int]:
        """Its workers. They have sessions of their own with some versions of Ansible."""
        found = []
        for name in os.listdir(self._proc) if os.path.isdir(self._proc) else []:
            if name.isdigit():
                with contextlib.suppress(OSError), open(f"{self._proc}/{name}/stat", encoding="utf-8") as stream:
                    fields = stream.read().rpartition(")")[2].split()
                    if fields[1] == str(self._pid):
                        found.append(int(name))
        return found

    def end(self, message: str, sleep: t.Callable[[float], None] = time.sleep) -> None:
        """End it, then say why where it says what goes wrong. One that is stopped does nothing more when woken up."""
        with contextlib.ExitStack() as stack:
            stream: t.Optional[t.TextIO] = None
            with contextlib.suppress(OSError):
                stream = stack.enter_context(open(f"{self._proc}/{self._pid}/fd/2", "a", encoding="utf-8"))
            self._interrupt()
            waited = 0.0
            state = self.state()
            while state != GONE:
                sleep(_TICK)
                waited += _TICK if state == RUNNING else 0
                if waited > _GRACE:
                    self._send(self._pid, signal.SIGKILL)
                state = self.state()
            if stream is not None:
                stream.write(f"\n[ERROR]: {message}\n")

    def _interrupt(self) -> None:
        children = self._children()
        # It tidies up when it is interrupted, unless it was told to take no notice of that.
        caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", self._read("status"), re.MULTILINE)
        interruptible = caught is None or int(caught.group(1), 16) >> (signal.SIGINT - 1) & 1
        self._send(self._pid, signal.SIGINT if interruptible else signal.SIGTERM)
        for child in children:
            self._send(child, signal.SIGTERM)

    @staticmethod
    def _send(pid: int, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


class Keeper:
    """Shows that a run goes on.

    :param ask: runs the module ``run_lock`` with a state and what it answered as ``known`` the last time.
    :param describe: a sentence about the run that has the lock by now.
    """

    def __init__(
        self,
        process: Process,
        ask: Ask,
        describe: t.Callable[[t.Mapping[str, t.Any]], str],
        clock: t.Optional[t.Callable[[], float]] = None,
        sleep: t.Callable[[float], None] = time.sleep,
    ) -> None:
        self._process = process
        self._ask = ask
        self._describe = describe
        self._clock = clock or seconds_since_boot
        self._sleep = sleep

    def keep(self) -> None:
        """Come back when the run has ended, or has been ended because another one has the lock."""
        before, looked, due = RUNNING, self._clock(), self._clock()
        known: t.Mapping[str, t.Any] = {}
        while True:
            state = self._process.state()
            if state == GONE:
                self._answer("absent", {})
                return
            now = self._clock()
            if now >= due or state != before or now - looked > _GAP:
                answer = self._answer("kept" if state == STOPPED else "renewed", known)
                known = answer.get("known") or known
                if answer.get("lost") and self._process.state() != GONE:
                    self._process.end(f"This run has lost its lock and is ended. {self._describe(answer['lost'])}")
                    return
                due = self._clock() + (_WATCH if state == STOPPED else INTERVAL)
            before, looked = state, self._clock()
            self._sleep(_TICK)

    def _answer(self, state: str, known: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
        """What the module says; nothing when the machine does not answer: the next sign of life may reach it."""
        try:
            return self._ask(state, known)
        except Exception:  # any of a connection plugin's
            return {}


def seconds_since_boot() -> float:
    """A clock that goes on while the controller sleeps, where the system has one."""
    boottime = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boottime is None else time.clock_gettime(boottime)


def detach(path: str, work: t.Callable[[], None]) -> bool:
    """Let ``work`` go on in a process of its own, unless the one with the same ``path`` does already.

    :param path: a file that this process keeps locked.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return False
    with warnings.catch_warnings():
        # Ansible forks where threads are, too; the new process uses none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
        if child == 0:
            _become_daemon(handle, work)
    os.close(handle)
    os.waitpid(child, 0)
    return True


def is_kept(path: str) -> bool:
    """Whether the process that has locked ``path`` lives."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def _become_daemon(lock: int, work: t.Callable[[], None]) -> t.NoReturn:
    """Leave the session and all that was inherited, do the work, and end without coming back to Ansible's code."""
    try:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        # Whoever waits for the end of ansible-playbook's output, or of its worker, must not wait for this process.
        # The numbers stay in use, so that nothing that writes to one of them later meets another file.
        nothing = os.open(os.devnull, os.O_RDWR)
        for name in os.listdir("/dev/fd"):
            if int(name) not in (lock, nothing):
                with contextlib.suppress(OSError):
                    os.fstat(int(name))
                    os.dup2(nothing, int(name), inheritable=int(name) < 3)
        work()
    finally:
        os._exit(0)
