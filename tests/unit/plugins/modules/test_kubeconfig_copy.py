# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import pwd
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.modules import kubeconfig_copy
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

SECRET = "client-key-data: c2VjcmV0 Ä\n"


class Host:
    """A host with users whose homes are folders of the test."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> None:
        self.root = root
        self.source = root / "admin.conf"
        self.source.write_text(SECRET, encoding="utf-8")
        for name in ("ada", "bob"):
            (root / name).mkdir()
        self._run_module = run_module
        monkeypatch.setattr(pwd, "getpwnam", self._account)

    def _account(self, name: str) -> pwd.struct_passwd:
        if name not in ("ada", "bob", "homeless"):
            raise KeyError(name)
        return pwd.struct_passwd((name, "x", os.getuid(), os.getgid(), "", str(self.root / name), "/bin/sh"))

    def config(self, name: str) -> Path:
        return self.root / name / ".kube" / "config"

    def run(self, *users: str, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        given = {"source": str(self.source), "users": list(users), **options}
        return self._run_module(kubeconfig_copy.main, given, check=check)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> Host:
    return Host(tmp_path, monkeypatch, run_module)


def test_check_run_and_again(host: Host) -> None:
    checked = host.run("ada", "bob", check=True)
    assert checked["changed"] and not host.config("ada").parent.exists()
    result = host.run("ada", "bob")
    assert result["changed_paths"] == checked["changed_paths"] == [str(host.config("ada")), str(host.config("bob"))]
    assert result["diff"] == checked["diff"]
    for name in ("ada", "bob"):
        assert host.config(name).read_text("utf-8") == SECRET
        assert host.config(name).stat().st_mode & 0o7777 == 0o600
        assert host.config(name).parent.stat().st_mode & 0o7777 == 0o700
        assert os.listdir(host.config(name).parent) == ["config"]
    for check in (True, False):
        again = host.run("ada", "bob", check=check)
        assert (again["changed"], again["changed_paths"], again["diff"]) == (False, [], [])


def test_drift_of_one_copy(host: Host) -> None:
    host.run("ada", "bob")
    host.config("bob").chmod(0o644)
    assert host.run("ada", "bob")["changed_paths"] == [str(host.config("bob"))]
    assert host.config("bob").stat().st_mode & 0o7777 == 0o600
    host.config("ada").write_bytes(b"\xff")
    assert host.run("ada", "bob")["changed_paths"] == [str(host.config("ada"))]
    host.source.write_text("new")
    assert len(host.run("ada", "bob")["changed_paths"]) == 2
    assert host.config("ada").read_text() == "new"


def test_owner(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    owners: t.List[t.Tuple[str, int, int]] = []
    monkeypatch.setattr(os, "chown", lambda path, uid, gid: owners.append((path, uid, gid)))
    monkeypatch.setattr(
        pwd, "getpwnam", lambda name: pwd.struct_passwd((name, "x", 4321, 4322, "", str(host.root / name), ""))
    )
    host.run("ada")
    assert [(uid, gid) for _path, uid, gid in owners] == [(4321, 4322)] * 2
    assert owners[0][0] == str(host.config("ada").parent)
    # The copy belongs to somebody else still, as chown did nothing.
    assert host.run("ada", check=True)["changed"]


def test_content_is_returned_only_when_asked_for(host: Host) -> None:
    result = host.run("ada")
    assert "content" not in result and "c2VjcmV0" not in json.dumps(result)
    assert host.run("ada", return_content=True)["content"] == SECRET
    assert "c2VjcmV0" not in json.dumps(host.run("bob", return_content=True)["diff"])


def test_source_that_is_absent(host: Host) -> None:
    host.source.unlink()
    result = host.run("ada", check=True, return_content=True)
    assert (result["changed"], result["content"]) == (True, "")
    assert host.run("ada")["msg"] == f"{host.source} does not exist on this host: is it a control plane?"
    assert not host.config("ada").exists()


def test_all_unknown_users_are_named_before_anything_is_written(host: Host) -> None:
    assert "There is no user eve, joe on this host" in host.run("ada", "eve", "joe")["msg"]
    assert not host.config("ada").exists()
    with pytest.raises(SlipwayError):
        kubeconfig_copy.accounts(["eve"])


def test_home_that_is_absent(host: Host) -> None:
    failed = host.run("homeless")
    assert failed["failed"] and failed["msg"].startswith(f"{host.config('homeless')} could not be written: ")
    host.config("ada").mkdir(parents=True)
    failed = host.run("ada")
    assert failed["msg"].startswith(f"{host.config('ada')} could not be written: ")
    assert os.listdir(host.config("ada").parent) == ["config"]


def test_only_earlier_copies_are_refreshed(host: Host) -> None:
    old, other, new = "a: 1\n  client-key-data: x\n", "b: 2\n  client-key-data: x\n", "a: 1\n  client-key-data: y\n"
    for name, content in (("ada", old), ("bob", other)):
        host.config(name).parent.mkdir()
        host.config(name).write_text(content)
    host.source.write_text(new)
    result = host.run("ada", "bob", only_copies=True)
    assert result["changed_paths"] == [str(host.config("ada"))]
    assert (host.config("ada").read_text(), host.config("bob").read_text()) == (new, other)
    host.config("bob").unlink()
    assert not host.run("ada", "bob", only_copies=True)["changed"]
