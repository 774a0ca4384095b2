# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._documents import joined, without
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile
from ansible_collections.slipway.kubernetes.plugins.modules import json_settings
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

SETTINGS = {"exec-opts": ["a=1"], "live": True}
DEFAULTS = {"log": {"size": "10m", "files": "5"}}


class Files:
    """The file, and what of it is ours."""

    def __init__(self, root: Path) -> None:
        self.path = root / "etc/daemon.json"
        self.record = root / "etc/slipway.json"

    def options(self, **more: t.Any) -> t.Dict[str, t.Any]:
        given = {"settings": SETTINGS, "defaults": DEFAULTS}
        return {"path": str(self.path), "record": str(self.record), **given, **more}

    def theirs(self, document: t.Any) -> None:
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text(json.dumps(document))

    @property
    def said(self) -> t.Any:
        return json.loads(self.path.read_text())

    @property
    def ours(self) -> t.Any:
        return json.loads(self.record.read_text())


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_a_file_of_nobody_is_made_and_goes(files: Files, run_module: ModuleRunner) -> None:
    checked = run_module(json_settings.main, files.options(), check=True)
    assert checked["changed"] and not files.path.parent.exists()
    done = run_module(json_settings.main, files.options())
    assert done["changed_paths"] == checked["changed_paths"] == [str(files.record)]
    assert done["diff"] == checked["diff"]
    assert files.said == files.ours == {**SETTINGS, **DEFAULTS}
    for check in (True, False):
        again = run_module(json_settings.main, files.options(), check=check)
        assert (again["changed"], again["changed_paths"], again["diff"]) == (False, [], [])
    gone = run_module(json_settings.main, files.options(settings={}, defaults={}))
    assert gone["changed"] and not files.path.exists() and files.ours == {}
    assert not run_module(json_settings.main, files.options(settings={}, defaults={}))["changed"]


def test_what_others_say_stays(files: Files, run_module: ModuleRunner) -> None:
    theirs = {"exec-opts": ["b=2"], "log": {"size": "50m"}, "data-root": "/srv", "none": None}
    files.theirs(theirs)
    files.path.chmod(0o640)
    run_module(json_settings.main, files.options())
    assert files.said == {
        **{"exec-opts": ["b=2", "a=1"], "log": {"size": "50m", "files": "5"}, "data-root": "/srv", "none": None},
        **{"live": True},
    }
    assert files.path.stat().st_mode & 0o777 == 0o640
    assert files.ours == {"exec-opts": ["a=1"], "log": {"files": "5"}, "live": True}
    assert not run_module(json_settings.main, files.options())["changed"]
    run_module(json_settings.main, files.options(settings={"exec-opts": ["c=3"]}))
    assert files.said == {**theirs, "exec-opts": ["b=2", "c=3"], "log": {"size": "50m", "files": "5"}}
    run_module(json_settings.main, files.options(settings={}, defaults={}))
    assert files.said == theirs and not list(files.path.parent.glob("*.before-slipway"))


def test_what_they_had_before_us_is_not_ours(files: Files, run_module: ModuleRunner) -> None:
    files.theirs(SETTINGS)
    before = files.path.read_text()
    assert not run_module(json_settings.main, files.options(defaults={}))["changed"]
    assert files.path.read_text() == before and not files.record.exists()
    run_module(json_settings.main, files.options(settings={}, defaults={}))
    assert files.said == SETTINGS


def test_a_value_of_theirs_that_is_replaced_is_kept(files: Files, run_module: ModuleRunner) -> None:
    files.theirs({"live": False})
    done = run_module(json_settings.main, files.options())
    assert files.said["live"] is True
    assert done["copy"] == f"{files.path}.before-slipway"
    assert json.loads(Path(done["copy"]).read_text()) == {"live": False}
    assert not run_module(json_settings.main, files.options())["changed"]


def test_a_call_that_was_killed_leaves_nothing_that_nobody_knows(
    files: Files, run_module: ModuleRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = {"data-root": "/srv"}
    files.theirs(theirs)
    run_module(json_settings.main, files.options(defaults={}))
    write = TextFile.write

    def stop(file: TextFile) -> None:
        write(file)
        if file.path == str(files.path):
            raise OSError("killed")

    monkeypatch.setattr(TextFile, "write", stop)
    assert run_module(json_settings.main, files.options(settings={"exec-opts": ["z=9"]}, defaults={}))["failed"]
    monkeypatch.setattr(TextFile, "write", write)
    assert files.said == {"exec-opts": ["z=9"], **theirs}
    run_module(json_settings.main, files.options(settings={}, defaults={}))
    assert files.said == theirs


def test_secrets(files: Files, run_module: ModuleRunner) -> None:
    files.theirs({"auths": {"theirs": {"auth": "x"}}})
    login = {"auths": {"m": {"auth": "hunter2"}}}
    done = run_module(json_settings.main, files.options(settings=login, defaults={}, secret=True))
    assert "hunter2" not in str(done["diff"])
    assert {path.stat().st_mode & 0o777 for path in (files.path, files.record)} == {0o600}
    assert files.said == {"auths": {"theirs": {"auth": "x"}, "m": {"auth": "hunter2"}}}
    files.path.chmod(0o644)
    assert run_module(json_settings.main, files.options(settings=login, defaults={}, secret=True))["changed"]
    assert files.path.stat().st_mode & 0o777 == 0o600


def test_nothing_to_say_makes_nothing(files: Files, run_module: ModuleRunner) -> None:
    options = files.options(settings={}, defaults={}, secret=True)
    assert not run_module(json_settings.main, options)["changed"]
    assert not files.path.parent.exists()
    files.theirs({"a": 1})
    files.path.chmod(0o644)
    assert not run_module(json_settings.main, options)["changed"]
    assert files.path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1,\n "b" hunter2}', "line 2, column 6, is no JSON: Expecting ':' delimiter."),
        ('{"a": 1}\n{}', "line 2, column 1, is no JSON: Extra data."),
        ("[1]", "is no JSON object: it has to begin with a brace."),
    ],
)
def test_what_is_no_object_stays(text: str, expected: str, files: Files, run_module: ModuleRunner) -> None:
    files.path.parent.mkdir()
    files.path.write_text(text)
    failed = run_module(json_settings.main, files.options())
    assert failed["failed"] and failed["msg"].endswith(expected) and "hunter2" not in failed["msg"]
    assert files.path.read_text() == text


def test_a_mode_that_is_none(files: Files, run_module: ModuleRunner) -> None:
    assert "'rw' is no mode" in run_module(json_settings.main, files.options(mode="rw"))["msg"]


def test_documents() -> None:
    assert joined({"a": [1]}, {"a": [1, 2], "b": 3}) == {"a": [1, 2], "b": 3}
    assert joined({"a": 1}, {"a": [2]}) == {"a": [2]}
    assert without({"a": [1, 2], "b": {"c": 1}, "d": None}, {"a": [1], "b": {"c": 1}}) == {"a": [2], "d": None}
    assert without({"a": 1, "n": None}, {"a": 1, "n": None}) is None
    assert without({"a": 1}, {"a": 2}) == {"a": 1}
