# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that shows that a run goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _run_keeper
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._run_keeper import GONE, RUNNING, STOPPED

#: Seconds until a process is taken for one that does not do it.
PATIENCE = 30


def wait(condition: t.Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


class Play:
    """A run with what happens to it, second by second."""

    def __init__(self, *states: t.Tuple[int, str], lost_at: int = 10**9, deaf: t.Sequence[int] = ()) -> None:
        self._states = states
        self._lost_at = lost_at
        self._deaf = deaf
        self.now = 0.0
        self.asked: t.List[t.Tuple[float, str]] = []
        self.ended: t.List[t.Tuple[float, str]] = []

    def state(self) -> str:
        return [state for since, state in self._states if since <= self.now][-1]

    def end(self, message: str) -> None:
        self.ended.append((self.now, message))

    def ask(self, state: str, known: t.Mapping[str, t.Any]) -> t.Mapping[str, t.Any]:
        self.asked.append((self.now, state))
        if int(self.now) in self._deaf:
            raise ConnectionError
        assert (
            known == ({"times": len(self.asked) - 1} if len(self.asked) > 1 and state != "absent" else {}) or self._deaf
        )
        return {"known": {"times": len(self.asked)}, "lost": {"pid": 8} if self.now >= self._lost_at else {}}

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def keep(self) -> Play:
        process = t.cast(t.Any, self)
        _run_keeper.Keeper(
            process, self.ask, lambda record: f"By {record['pid']}.", lambda: self.now, self.sleep
        ).keep()
        return self


def test_signs_of_life_until_the_run_has_ended() -> None:
    play = Play((0, RUNNING), (50, GONE)).keep()
    assert play.asked == [(0, "renewed"), (20, "renewed"), (40, "renewed"), (50, "absent")]
    assert play.ended == []


def test_none_while_it_is_stopped() -> None:
    play = Play((0, RUNNING), (5, STOPPED), (8, RUNNING), (10, GONE)).keep()
    assert play.asked == [(0, "renewed"), (5, "kept"), (7, "kept"), (8, "renewed"), (10, "absent")]


def test_a_stopped_run_ends_soon_after_another_has_the_lock() -> None:
    play = Play((0, RUNNING), (5, STOPPED), lost_at=100).keep()
    assert play.ended == [(101, "This run has lost its lock and is ended. By 8.")]
    assert {state for _when, state in play.asked[1:]} == {"kept"}


def test_a_controller_that_was_asleep_looks_at_once() -> None:
    play = Play((0, RUNNING), (400, GONE), lost_at=60)
    awake = play.sleep

    def sleep(seconds: float) -> None:
        awake(300 if play.now == 5 else seconds)

    t.cast(t.Any, play).sleep = sleep
    play.keep()
    assert play.asked == [(0, "renewed"), (305, "renewed")] and play.ended[0][0] == 305


def test_a_machine_that_does_not_answer_for_a_while() -> None:
    play = Play((0, RUNNING), (50, GONE), deaf=[20, 50]).keep()
    assert [state for _when, state in play.asked] == ["renewed", "renewed", "renewed", "absent"] and not play.ended


def started(code: str, **given: t.Any) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, **given)


SLEEPER = "import time; print(flush=True); time.sleep(600)"


def test_states_of_a_process() -> None:
    with started(SLEEPER) as child:
        assert child.stdout is not None and child.stdout.readline()
        process = _run_keeper.Process(child.pid)
        assert process.state() == RUNNING
        child.send_signal(signal.SIGSTOP)
        wait(lambda: process.state() == STOPPED)
        child.kill()
        wait(lambda: process.state() == GONE)
    # Another process has its number by now.
    assert _run_keeper.Process(os.getpid()).state() == RUNNING
    other = _run_keeper.Process(os.getpid())
    other._started = "1"
    assert other.state() == GONE


def test_a_system_without_proc(tmp_path: Path) -> None:
    with started(SLEEPER) as child:
        process = _run_keeper.Process(child.pid, str(tmp_path / "proc"))
        assert process.state() == RUNNING
        child.kill()
    assert process.state() == GONE


def test_a_stopped_process_does_nothing_more(tmp_path: Path) -> None:
    """It is ended, says why after all else that it says, and has done nothing after it was woken up."""
    log, mark = tmp_path / "log", tmp_path / "went-on"
    # Who is started in the background may have been told to take no notice of the first signal.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{heed}\nimport time; print(flush=True)\nwhile True: time.sleep(0.001); open({str(mark)!r}, 'w').close()"
    with log.open("wb") as stream, started(code, stderr=stream) as child:
        assert child.stdout is not None and child.stdout.readline()
        child.send_signal(signal.SIGSTOP)
        process = _run_keeper.Process(child.pid)
        wait(lambda: process.state() == STOPPED)
        mark.unlink(missing_ok=True)
        naps = iter([True])

        def sleep(_seconds: float) -> None:
            if next(naps, False):
                child.send_signal(signal.SIGCONT)
                # As long as it takes on a busy machine to come to its end by the first signal.
                wait(lambda: process.state() == GONE)

        process.end("lost", sleep)
    assert log.read_text().endswith("\n[ERROR]: lost\n") and "KeyboardInterrupt" in log.read_text()
    assert not mark.exists()


@pytest.mark.parametrize(
    ("ignored", "expected"),
    [(["SIGINT"], -signal.SIGTERM), (["SIGINT", "SIGTERM"], -signal.SIGKILL)],
)
def test_one_that_takes_no_notice(ignored: t.List[str], expected: int) -> None:
    lines = [f"signal.signal(signal.{name}, signal.SIG_IGN)" for name in ignored]
    code = "; ".join(["import signal, time", *lines, "print(flush=True)", "time.sleep(600)"])
    with started(code) as child:
        assert child.stdout is not None and child.stdout.readline()
        _run_keeper.Process(child.pid).end("lost", lambda _seconds: time.sleep(0.01))
    assert child.returncode == expected


def test_its_workers_end_with_it() -> None:
    code = (
        "import subprocess, sys\n"
        f"worker = subprocess.Popen([sys.executable, '-c', {SLEEPER!r}], start_new_session=True)\n"
        "print(worker.pid, flush=True); worker.wait()"
    )
    with started(code, stderr=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        worker = _run_keeper.Process(int(child.stdout.readline()))
        _run_keeper.Process(child.pid).end("lost")
        wait(lambda: worker.state() == GONE)


def test_a_process_of_its_own(tmp_path: Path) -> None:
    """One for each path; whoever waits for the end of what its parent prints does not wait for it."""
    lock, go = tmp_path / "lock", tmp_path / "go"
    code = (
        "import os, sys, time\n"
        "from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _run_keeper\n"
        "def work():\n"
        f"    while not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
        f"print([_run_keeper.detach({str(lock)!r}, work) for _twice in range(2)])"
    )
    collections = Path(_run_keeper.__file__).parents[5]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(collections)},
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    )
    assert done.stdout == "[True, False]\n" and done.stderr == ""
    assert _run_keeper.is_kept(str(lock))
    go.touch()
    wait(lambda: not _run_keeper.is_kept(str(lock)))
    assert not _run_keeper.is_kept(str(tmp_path / "none"))
