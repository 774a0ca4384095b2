# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import socket
import sys
import urllib.request
from pathlib import Path

import pytest

from lab import fileserver, util
from lab.daemon import Daemon, start_time


def test_digest_depends_on_texts_and_contents(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    util.write(folder / "a", "1")
    before = util.digest("x", folder)
    assert before == util.digest("x", folder)
    assert before != util.digest("y", folder)
    util.write(folder / "a", "2")
    changed = util.digest("x", folder)
    assert changed != before
    (folder / "a").chmod(0o755)
    assert util.digest("x", folder) != changed
    assert util.digest("ab", "c") != util.digest("a", "bc")


def test_artifact_is_built_once_and_replaces_its_predecessor() -> None:
    built = []

    def build(folder: Path) -> None:
        built.append(folder)
        util.write(folder / "result", "done")

    first = util.artifact("thing", ["1"], build)
    assert util.artifact("thing", ["1"], build) == first
    assert len(built) == 1
    assert (first / "result").read_text() == "done"

    second = util.artifact("thing", ["2"], build)
    assert second.exists() and not first.exists()


def test_artifact_that_fails_leaves_nothing() -> None:
    def build(folder: Path) -> None:
        util.write(folder / "half", "done")
        raise util.LabError("no")

    with pytest.raises(util.LabError):
        util.artifact("thing", ["1"], build)
    assert list(util.ARTIFACTS.iterdir()) == []


def test_run_shows_the_end_of_the_log_and_its_path(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(util.LabError) as failure:
        util.run([sys.executable, "-c", "for i in range(99): print('line', i)\nraise SystemExit(3)"], log=log)
    text = str(failure.value)
    assert "failed with code 3" in text and "line 98" in text and "line 5\n" not in text and str(log) in text


def test_run_names_a_missing_command() -> None:
    with pytest.raises(util.LabError, match="no-such-command is not installed"):
        util.run(["no-such-command"])


def test_link_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "below" / "link"
    for target in ("a", "b", "b"):
        util.link(path, tmp_path / target)
        assert path.readlink() == tmp_path / target


def test_as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert util.as_root(["true"]) == ["true"]
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert util.as_root(["true"]) == ["sudo", "--non-interactive", "true"]


def test_daemon_goes_on_and_is_ended() -> None:
    sleeper = Daemon("sleeper", [sys.executable, "-c", "import time; time.sleep(60)"])
    assert not sleeper.pid() and not sleeper.stop()
    sleeper.start(lambda: True)
    pid = sleeper.pid()
    assert start_time(pid)
    sleeper.start(lambda: True)
    assert sleeper.pid() == pid, "started twice"
    assert Daemon("sleeper", sleeper.argv).pid() == pid, "not found by another process of the lab"
    assert not Daemon("sleeper", [sys.executable, "other"]).current()
    assert Daemon("sleeper", ["other-python", *sleeper.argv[1:]]).current()
    assert sleeper.stop()
    assert not start_time(pid)
    assert not sleeper.pid()


def test_daemon_does_not_touch_a_process_that_has_its_old_id() -> None:
    sleeper = Daemon("sleeper", ["sleep", "60"])
    util.write(sleeper.record, '{"pid": 1, "start_time": "-1", "argv": ["sleep", "60"]}')
    assert sleeper.pid() == 0


def test_daemon_that_had_ended_before_it_was_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.daemon.start_time", lambda _pid: "")
    failing = Daemon("failing", [sys.executable, "-c", "raise SystemExit('no good')"])
    with pytest.raises(util.LabError, match="no good"):
        failing.start(lambda: False)
    assert not failing.pid()


def test_daemon_that_fails_says_why() -> None:
    with pytest.raises(util.LabError, match="no good"):
        Daemon("failing", [sys.executable, "-c", "raise SystemExit('no good')"]).start(lambda: False)


def test_fileserver(tmp_path: Path) -> None:
    util.write(tmp_path / "www/core:/stable:/a", "content")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    daemon = Daemon("files", [sys.executable, fileserver.__file__, "127.0.0.1", str(port), tmp_path / "www"])

    def content() -> bytes:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/core:/stable:/a").read()

    def ready() -> bool:
        try:
            return bool(content())
        except OSError:
            return False

    daemon.start(ready)
    try:
        assert content() == b"content"
        with pytest.raises(OSError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/none")
    finally:
        daemon.stop()
    log = daemon.log.read_text()
    assert "404" in log and "200" not in log
