# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import os
import pwd
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils import basic
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile
from ansible_collections.slipway.kubernetes.plugins.modules import config_files
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kubectl_config import OTHERS, admin
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

Values = t.Dict[str, t.Any]


def wanted(root: Path) -> Values:
    return {
        "files": [
            {"path": f"{root}/a.conf", "content": "a = 1\n"},
            {"path": f"{root}/sub/b.conf", "secret_content": "password = hunter2\n", "mode": "0600"},
            {"path": f"{root}/gone.conf", "state": "absent"},
        ],
        "purge": [{"directory": str(root), "pattern": "*/*.conf"}],
    }


def test_check_run_again_and_drift(tmp_path: Path, run_module: ModuleRunner) -> None:
    options = wanted(tmp_path)
    a, b = tmp_path / "a.conf", tmp_path / "sub/b.conf"
    checked = run_module(config_files.main, options, check=True)
    assert checked["changed"]
    assert list(tmp_path.iterdir()) == []
    done = run_module(config_files.main, options)
    assert done["changed_paths"] == checked["changed_paths"] == [str(a), str(b)]
    assert done["paths"] == [str(a), str(b)]
    assert done["diff"] == checked["diff"]
    assert "hunter2" not in str({**done, "invocation": None})
    assert (a.read_text(), b.read_text()) == ("a = 1\n", "password = hunter2\n")
    assert b.stat().st_mode & 0o7777 == 0o600
    for check in (True, False):
        again = run_module(config_files.main, options, check=check)
        assert (again["changed"], again["changed_paths"], again["diff"]) == (False, [], [])
    b.chmod(0o644)
    (tmp_path / "gone.conf").write_text("x\n")
    other = tmp_path / "other/c.conf"
    other.parent.mkdir()
    other.write_text("token\n")
    other.chmod(0o600)
    drifted = run_module(config_files.main, options, check=True)
    assert drifted["changed_paths"] == [str(b), f"{tmp_path}/gone.conf", str(other)]
    assert "token" not in str(drifted["diff"])
    assert other.exists()
    mended = run_module(config_files.main, options)
    assert mended["changed_paths"] == drifted["changed_paths"]
    assert sorted(os.listdir(tmp_path)) == ["a.conf", "sub"]
    assert not run_module(config_files.main, options)["changed"]


def test_a_program_is_told_by_its_length(tmp_path: Path, run_module: ModuleRunner) -> None:
    (tmp_path / "a.py").write_text("one\ntwo\n")
    options = {"files": [{"path": f"{tmp_path}/a.py", "content": "one\ntwo\nthree\n", "brief": True}]}
    (diff,) = run_module(config_files.main, options)["diff"]
    assert diff["before"].startswith("(2 lines, sha256 ") and diff["after"].startswith("(3 lines, sha256 ")
    assert (tmp_path / "a.py").read_text() == "one\ntwo\nthree\n"


def test_a_file_that_is_kept_is_written_once(tmp_path: Path, run_module: ModuleRunner) -> None:
    policy = tmp_path / "policy.json"
    purge = [{"directory": str(tmp_path), "pattern": "*.json"}]
    options = {"files": [{"path": str(policy), "content": "{}\n", "keep": True}], "purge": purge}
    assert run_module(config_files.main, options, check=True)["changed_paths"] == [str(policy)]
    assert run_module(config_files.main, options)["changed_paths"] == [str(policy)]
    policy.write_text("somebody's\n")
    assert not run_module(config_files.main, options)["changed"]
    assert policy.read_text() == "somebody's\n"


def test_the_secret_is_masked_in_the_invocation(tmp_path: Path, run_module: ModuleRunner) -> None:
    files = [{"path": f"{tmp_path}/b", "secret_content": "hunter2-hunter2"}]
    assert "hunter2-hunter2" not in str(run_module(config_files.main, {"files": files}, check=True))


def test_purge_keeps_folders_with_other_files_and_its_own(tmp_path: Path, run_module: ModuleRunner) -> None:
    for path in ("x/y/a.toml", "z/a.toml", "z/keep.txt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    (tmp_path / "folder.toml").mkdir()
    rules = [{"directory": f"{tmp_path}/", "pattern": pattern} for pattern in ("*.toml", "*/*.toml", "*/*/*.toml")]
    result = run_module(config_files.main, {"files": [], "purge": rules})
    assert result["changed_paths"] == [f"{tmp_path}/x/y/a.toml", f"{tmp_path}/z/a.toml"]
    assert sorted(os.listdir(tmp_path)) == ["folder.toml", "z"]
    assert os.listdir(tmp_path / "z") == ["keep.txt"]


def test_purge_reaches_folders_of_any_depth(tmp_path: Path, run_module: ModuleRunner) -> None:
    for name in ("program/kept.py", "program/gone.py", "program/deep/deeper/gone.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    files = [{"path": f"{tmp_path}/program/kept.py", "content": ""}]
    run_module(config_files.main, {"files": files, "purge": [{"directory": f"{tmp_path}/program", "pattern": "**/*"}]})
    assert [path.name for path in tmp_path.rglob("*")] == ["program", "kept.py"]


def test_purge_does_not_follow_links_to_folders(tmp_path: Path, run_module: ModuleRunner) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/kept.py").write_text("")
    (tmp_path / "program").mkdir()
    (tmp_path / "program/link").symlink_to(tmp_path / "elsewhere")
    # The folder itself may be reached by a link.
    (tmp_path / "short").symlink_to(tmp_path / "program")
    (tmp_path / "program/gone.py").write_text("")
    for pattern in ("*/*.py", "**/*.py"):
        purge = [{"directory": f"{tmp_path}/short", "pattern": pattern}]
        run_module(config_files.main, {"files": [], "purge": purge})
    assert (tmp_path / "elsewhere/kept.py").exists() and not (tmp_path / "program/gone.py").exists()


def test_purge_deletes_links_and_not_their_targets(tmp_path: Path, run_module: ModuleRunner) -> None:
    (tmp_path / "target").write_text("x")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/broken.conf").symlink_to("/nonexistent")
    (tmp_path / "d/link.conf").symlink_to(tmp_path / "target")
    rules = [{"directory": f"{tmp_path}/d", "pattern": "*.conf"}]
    assert run_module(config_files.main, {"files": [], "purge": rules})["changed"]
    assert os.listdir(tmp_path / "d") == []
    assert (tmp_path / "target").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"files": [{"path": "etc/x", "content": ""}]}, "etc/x is no absolute path"),
        ({"files": [{"path": "/x/y", "content": ""}, {"path": "/x//y", "state": "absent"}]}, "/x/y stands there twice"),
        ({"files": [{"path": "/x/y"}]}, "/x/y needs either `content` or `secret_content`"),
        ({"files": [{"path": "/x/y", "content": "", "secret_content": "hunter2-hunter2"}]}, "/x/y needs either"),
        ({"files": [{"path": "/x/y", "content": "", "mode": 420}]}, "'420' is no mode in octal digits in quotes"),
        (
            {"files": [{"path": "/x/y", "content": "", "mode": "u=rw"}]},
            "mode of /x/y: 'u=rw' is no mode",
        ),
        ({"files": [], "directory_mode": "999"}, "directory_mode: '999' is no mode"),
        ({"files": [], "purge": [{"directory": "/x", "pattern": "../*"}]}, "../* has to stay below /x"),
        ({"files": [], "purge": [{"directory": "/x", "pattern": "/etc/*"}]}, "/etc/* has to stay below /x"),
        ({"files": [], "purge": [{"directory": "x", "pattern": "*"}]}, "* has to stay below x"),
    ],
)
def test_mistakes_are_named(run_module: ModuleRunner, options: Values, message: str) -> None:
    result = run_module(config_files.main, options, check=True)
    assert result["failed"]
    assert message in result["msg"]


def test_an_unknown_owner_stops_before_anything_is_written(tmp_path: Path, run_module: ModuleRunner) -> None:
    files = [
        {"path": f"{tmp_path}/a", "content": "a"},
        {"path": f"{tmp_path}/b", "content": "b", "owner": "nobody-of-that-name"},
    ]
    assert run_module(config_files.main, {"files": files}, check=True)["changed"]
    result = run_module(config_files.main, {"files": files})
    assert "nobody-of-that-name" in result["msg"]
    assert os.listdir(tmp_path) == []


def test_owner_by_name(tmp_path: Path, run_module: ModuleRunner) -> None:
    name = pwd.getpwuid(os.geteuid()).pw_name
    files = [{"path": f"{tmp_path}/a", "content": "a", "owner": name}]
    assert run_module(config_files.main, {"files": files})["changed"]
    assert not run_module(config_files.main, {"files": files})["changed"]


def test_a_path_that_cannot_be_written(tmp_path: Path, run_module: ModuleRunner) -> None:
    (tmp_path / "a").write_text("")
    result = run_module(config_files.main, {"files": [{"path": f"{tmp_path}/a/b", "content": ""}]})
    assert result["failed"]
    assert f"could not be written: {tmp_path}/a is no folder. Move it away." in result["msg"]


def test_a_folder_in_a_files_place_is_named_before_anything_is_written(
    tmp_path: Path, run_module: ModuleRunner
) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "c").symlink_to("/dev/null")
    for name in ("b", "c"):
        files = [{"path": f"{tmp_path}/a", "content": "a"}, {"path": f"{tmp_path}/{name}", "content": "b"}]
        for check in (True, False):
            message = run_module(config_files.main, {"files": files}, check=check)["msg"]
            assert message.startswith(f"{tmp_path}/{name} could not be written: ") and message.endswith(
                " is no file. Move it away."
            )
    assert sorted(os.listdir(tmp_path)) == ["b", "c"] and os.path.exists("/dev/null")


def test_what_the_system_refuses_later_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner
) -> None:
    def full(_file: TextFile) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "a"))

    monkeypatch.setattr(TextFile, "write", full)
    message = run_module(config_files.main, {"files": [{"path": f"{tmp_path}/a", "content": "a"}]})["msg"]
    assert message == f"A file could not be written: [Errno 28] No space left on device: '{tmp_path}/a'"


def test_a_folder_behind_a_link_stays_when_our_file_in_it_goes(tmp_path: Path, run_module: ModuleRunner) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/hosts.toml").write_text("# Ansible managed (slipway.kubernetes)\n")
    (tmp_path / "certs.d").mkdir()
    (tmp_path / "certs.d/docker.io").symlink_to(tmp_path / "elsewhere")
    purge = [{"directory": f"{tmp_path}/certs.d", "pattern": "*/hosts.toml", "managed": True}]
    assert not run_module(config_files.main, {"files": [], "purge": purge})["failed"]
    assert (tmp_path / "certs.d/docker.io").is_symlink() and os.listdir(tmp_path / "elsewhere") == []


def test_what_somebody_else_has_written_is_named_and_kept(tmp_path: Path, run_module: ModuleRunner) -> None:
    path = tmp_path / "haproxy.cfg"
    path.write_bytes(b"frontend shop \xff\n")
    path.chmod(0o640)
    ours = "# Ansible managed (slipway.kubernetes): changes made here by hand are lost.\n"
    options = {"files": [{"path": str(path), "content": ours}]}
    assert run_module(config_files.main, options, check=True)["foreign_paths"] == [str(path)]
    assert os.listdir(tmp_path) == ["haproxy.cfg"]
    done = run_module(config_files.main, options)
    copy = tmp_path / "haproxy.cfg.before-slipway"
    assert done["copies"] == [str(copy)]
    assert str(path) in str(done["warnings"])
    assert (copy.read_bytes(), copy.stat().st_mode & 0o777) == (b"frontend shop \xff\n", 0o640)
    assert run_module(config_files.main, options)["copies"] == []
    # One that comes later does not take the first one's place.
    path.write_text("frontend other\n")
    assert run_module(config_files.main, options)["copies"] == [f"{copy}.2"]
    assert copy.read_bytes() == b"frontend shop \xff\n"


def test_only_files_of_ours_are_purged_where_others_write_too(tmp_path: Path, run_module: ModuleRunner) -> None:
    ours, theirs, late = (tmp_path / name / "hosts.toml" for name in ("ours", "spegel", "late"))
    mark = "# Ansible managed (slipway.kubernetes): changes made here by hand are lost.\n"
    for path, text in ((ours, mark), (theirs, "# Ansible managed\n"), (late, "#" * 600 + mark)):
        path.parent.mkdir()
        path.write_text(text)
    options = {"files": [], "purge": [{"directory": str(tmp_path), "pattern": "*/hosts.toml", "managed": True}]}
    for check in (True, False):
        assert run_module(config_files.main, options, check=check)["changed_paths"] == [str(ours)]
    assert not ours.parent.exists()
    assert (theirs.read_text(), late.exists()) == ("# Ansible managed\n", True)
    assert not run_module(config_files.main, options)["changed"]


def test_a_kubeconfig_of_somebody_else_is_kept_and_earlier_ones_are_not(
    tmp_path: Path, run_module: ModuleRunner
) -> None:
    path = tmp_path / "admin.conf"
    options = {"files": [{"path": str(path), "secret_content": admin(), "mode": "0600"}]}
    for earlier in ("", admin(key="Qg=="), admin(server="https://192.0.2.7:8443"), admin("of a cluster before")):
        path.write_text(earlier)
        assert run_module(config_files.main, options)["copies"] == []
    for somebodys in (OTHERS, admin("another", "https://192.0.2.3:6443")):
        path.write_text(somebodys)
        [copy] = run_module(config_files.main, options)["copies"]
        assert (Path(copy).read_text(), path.read_text()) == (somebodys, admin())


def test_no_secret_gets_into_the_log_of_the_machine(
    tmp_path: Path, run_module: ModuleRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: t.List[str] = []
    monkeypatch.setattr(
        basic.AnsibleModule, "log", lambda _self, msg, log_args=None: logged.append(f"{msg} {log_args}")
    )
    content = "password = \"hunter2\"\nuser = 'me'\n"
    run_module(config_files.main, {"files": [{"path": f"{tmp_path}/a", "secret_content": content}]})
    assert logged and "hunter2" not in str(logged)
