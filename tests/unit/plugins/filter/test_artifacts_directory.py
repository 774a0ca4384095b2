# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.filter import artifacts_directory as module

PROJECT = Path(__file__).resolve().parents[4]
find = module.FilterModule().filters()["artifacts_directory"]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with an inventory, which is where the user is; folders that are named ``locked`` are not."""
    (tmp_path / "team/inventory").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "team")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    allowed = os.access
    monkeypatch.setattr(
        module.os, "access", lambda path, mode: "locked" not in Path(path).parts and allowed(path, mode)
    )
    return tmp_path


def test_beside_the_inventory(site: Path) -> None:
    assert find(str(site / "team/inventory"), "lab") == f"{site}/team/artifacts/lab"
    # An inventory that is a file here.
    assert find(str(site / "team"), "lab") == f"{site}/team/artifacts/lab"
    assert find(str(site / "other/inventory"), "lab") == f"{site}/other/artifacts/lab"
    (site / "team/artifacts/lab").mkdir(parents=True)
    assert find(str(site / "team/inventory"), "lab") == f"{site}/team/artifacts/lab"


@pytest.mark.parametrize("inventory", [None, "", "/etc/ansible", "/etc", "/usr/share/inventory", "/inventory"])
def test_the_users_own_folder(site: Path, inventory: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an inventory, or where it is the system's: root may write there, too, and shall not."""
    assert find(inventory, "lab") == f"{site}/home/.local/share/slipway/lab"
    monkeypatch.setenv("XDG_DATA_HOME", str(site / "data"))
    assert find(inventory, "lab") == f"{site}/data/slipway/lab"


@pytest.mark.parametrize(("mode", "is_used"), [(0o1777, False), (0o777, True), (0o2775, True), (0o755, True)])
def test_where_everybody_may_put_a_folder(site: Path, mode: int, is_used: bool) -> None:
    """As in /tmp: somebody else may have made `artifacts` there, and replace what is in it. A CI's folders are open."""
    (site / "team").chmod(mode)
    expected = f"{site}/team/artifacts/lab" if is_used else f"{site}/home/.local/share/slipway/lab"
    assert find(str(site / "team/inventory"), "lab") == find(str(site / "team"), "lab") == expected


def test_what_cannot_be_written(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (site / "locked/inventory").mkdir(parents=True)
    assert find(str(site / "locked/inventory"), "lab") == f"{site}/home/.local/share/slipway/lab"
    # A file where the folder should be.
    (site / "other/inventory").mkdir(parents=True)
    (site / "other/artifacts").write_text("")
    assert find(str(site / "other/inventory"), "lab") == f"{site}/home/.local/share/slipway/lab"
    monkeypatch.setenv("HOME", str(site / "locked/home"))
    assert find(str(site / "locked/inventory"), "lab") == f"{site}/team/artifacts/lab"


def test_a_user_without_a_home(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.os.path, "expanduser", lambda path: path)
    assert find(None, "lab") == f"{site}/team/artifacts/lab"


def test_where_nothing_can_be_written_the_best_place_is_named(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.os, "access", lambda path, mode: False)
    assert find(str(site / "team/inventory"), "lab") == f"{site}/team/artifacts/lab"
    assert find("/etc/ansible", "lab") == f"{site}/home/.local/share/slipway/lab"


@pytest.mark.parametrize(
    ("inventories", "expected"),
    [
        (["team/inventory"], "team/artifacts/lab"),
        (["team/inventory/a.json"], "team/artifacts/lab"),
        (["other/b.json", "team/inventory"], "team/artifacts/lab"),
        # Ansible says that they are of the current directory.
        (["cp1,", "other/b.json"], "team/artifacts/lab"),
    ],
    ids=["folder", "file", "two inventories", "names on the command line"],
)
def test_in_a_play(site: Path, inventories: t.Sequence[str], expected: str) -> None:
    """Of the first control plane, on all hosts alike."""
    for path, host in (("team/inventory/a.json", "cp1"), ("other/b.json", "cp2")):
        (site / path).parent.mkdir(exist_ok=True)
        (site / path).write_text(json.dumps({"all": {"hosts": {host: {}}}}))
    hosts = ["cp1", "cp2"]
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars": {"cluster_control_plane_hosts": hosts, "cluster_name": "lab"},
        "roles": ["slipway.kubernetes.cluster"],
        "tasks": [{"ansible.builtin.debug": {"msg": "IN {{ cluster_artifacts_directory }} OF"}}],
    }
    (site / "team/play.json").write_text(json.dumps([play]))
    given = [word for name in inventories for word in ("-i", name if "," in name else str(site / name))]
    done = subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", *given, "play.json"],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(PROJECT / "collections"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = [line.partition("IN ")[2].partition(" OF")[0] for line in done.stdout.splitlines() if " OF" in line]
    assert said and set(said) == {f"{site}/{expected}"}, done.stdout + done.stderr
