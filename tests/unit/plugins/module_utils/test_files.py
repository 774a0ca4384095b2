# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _files
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile

HIDDEN = "(not shown: a secret, or not readable for everybody)\n"


def test_write_makes_parents_with_their_mode_whatever_the_umask_is(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.conf"
    before = os.umask(0o077)
    try:
        TextFile(str(path), "x\n", 0o640, directory_mode=0o750).write()
    finally:
        os.umask(before)
    assert path.read_text() == "x\n"
    assert path.stat().st_mode & 0o7777 == 0o640
    assert [folder.stat().st_mode & 0o7777 for folder in (path.parent, path.parent.parent)] == [0o750, 0o750]
    assert os.listdir(path.parent) == ["c.conf"]


def test_differs_looks_at_content_mode_and_owner(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    file = TextFile(str(path), "x\n")
    assert file.differs()
    file.write()
    assert not file.differs()
    assert TextFile(str(path), "y\n").differs()
    assert TextFile(str(path), "x\n", 0o600).differs()
    assert TextFile(str(path), "x\n", owner=str(os.geteuid() + 1)).differs()
    assert not TextFile(str(path), "x\n", owner=str(os.geteuid()), group=str(os.getegid())).differs()
    assert TextFile(str(path / "below-a-file"), "x\n").differs()


def test_line_ends_and_bytes_that_are_no_utf8_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_bytes(b"a\r\n\xe9\n")
    text = _files.read_exactly(str(path))
    TextFile(str(path), text + "b\n").write()
    assert path.read_bytes() == b"a\r\n\xe9\nb\n"
    assert _files.read_text(str(path)) == "a\r\n\ufffd\nb\n"
    assert TextFile(str(path), text).diff()["before"] == "a\r\n\ufffd\nb\n"


def test_a_link_stays_and_its_target_is_written(tmp_path: Path) -> None:
    link, target = tmp_path / "link", tmp_path / "target"
    target.write_text("old\n")
    link.symlink_to(target)
    TextFile(str(link), "new\n").write()
    assert link.is_symlink()
    assert target.read_text() == "new\n"


def test_a_file_that_is_a_mount_is_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "hosts"
    path.write_text("old, and longer\n")

    def busy(_source: str, _target: str) -> None:
        raise OSError(errno.EBUSY, "busy")

    monkeypatch.setattr(os, "replace", busy)
    TextFile(str(path), "new\n", 0o600).write()
    assert path.read_text() == "new\n"
    assert path.stat().st_mode & 0o7777 == 0o600
    assert os.listdir(tmp_path) == ["hosts"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.conf"
    path.write_text("old\n")

    def full(_source: str, _target: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        TextFile(str(path), "new\n").write()
    assert path.read_text() == "old\n"
    assert os.listdir(tmp_path) == ["a.conf"]


@pytest.mark.parametrize(("option", "kind"), [("owner", "getpwnam"), ("group", "getgrnam")])
def test_an_unknown_owner_is_named_and_nothing_written(tmp_path: Path, option: str, kind: str) -> None:
    path = tmp_path / "a.conf"
    names: t.Dict[str, str] = {option: "nobody-of-that-name"}
    file = TextFile(str(path), "x\n", **names)  # type: ignore[arg-type]
    with pytest.raises(SlipwayError, match=f"a.conf cannot be given .*{kind}.*nobody-of-that-name.* on this host"):
        file.write()
    assert not path.exists()
    path.write_text("x\n")
    assert file.differs()
    assert "nobody-of-that-name" in file.diff()["after"]


def test_names_of_owner_and_group(tmp_path: Path) -> None:
    assert TextFile(str(tmp_path / "x"), "", owner="root", group="root").ids() == (0, 0)


@pytest.mark.parametrize(
    ("old", "old_mode", "new", "before", "after"),
    [
        (None, 0, {}, "", "new\n"),
        ("old\n", 0o644, {}, "old\n", "new\n"),
        (None, 0, {"secret": True}, "", HIDDEN),
        (None, 0, {"mode": 0o600}, "", HIDDEN),
        ("old\n", 0o644, {"secret": True}, HIDDEN, "(another content)\n"),
        ("old\n", 0o600, {}, HIDDEN, "(another content)\n"),
    ],
)
def test_diff_shows_no_secret(
    tmp_path: Path, old: t.Optional[str], old_mode: int, new: t.Dict[str, t.Any], before: str, after: str
) -> None:
    path = tmp_path / "a.conf"
    if old is not None:
        path.write_text(old)
        path.chmod(old_mode)
    shown = {"before_header": str(path), "after_header": str(path)}
    assert TextFile(str(path), "new\n", **new).diff() == {**shown, "before": before, "after": after}


def test_diff_of_attributes_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_text("x\n")
    path.chmod(0o600)
    whose = f"owner {os.geteuid()}, group {os.getegid()}\n"
    diff = TextFile(str(path), "x\n", secret=True).diff()
    assert (diff["before"], diff["after"]) == (f"mode 0600, {whose}", f"mode 0644, {whose}")


def test_diff_of_a_deletion(tmp_path: Path) -> None:
    path = tmp_path / "a.conf"
    path.write_text("x\n")
    path.chmod(0o644)
    assert _files.deletion_diff(str(path))["before"] == "x\n"
    path.chmod(0o640)
    assert _files.deletion_diff(str(path))["before"] == HIDDEN


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert _files.read_exactly(str(tmp_path / "pipe")) == _files.read_text("/dev/zero") == ""
    assert _files.read_text("/proc/self/status") != ""


def test_a_file_that_cannot_be_read_is_empty(tmp_path: Path) -> None:
    assert _files.read_text(str(tmp_path / "x")) == ""


def test_a_replacement_is_nobody_elses_until_it_is_whole(tmp_path: Path) -> None:
    path, beside = tmp_path / "program", tmp_path / "program.slipway-new"
    beside.write_text("of a call that was killed")
    beside.chmod(0o666)
    before = os.umask(0)
    try:
        with _files.replacing(str(path), 0o755) as stream:
            stream.write(b"whole")
            assert beside.stat().st_mode & 0o777 == 0o600 and not path.exists()
    finally:
        os.umask(before)
    assert path.read_bytes() == b"whole" and path.stat().st_mode & 0o777 == 0o755
    with pytest.raises(OSError, match="No space"), _files.replacing(str(path), 0o755):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_bytes() == b"whole" and os.listdir(tmp_path) == ["program"]
