# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.filter.hosts_file import hosts_lines
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import hosts_file as _hosts_file
from ansible_collections.slipway.kubernetes.plugins.modules import hosts_file
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

#: As Debian's installer leaves it, with a line of the user.
DEBIAN = "127.0.0.1\tlocalhost\n127.0.1.1\tdebian.example.com\tdebian\n192.0.2.9 printer # mine\n"


def test_the_line_of_the_machine_follows_its_hostname() -> None:
    assert _hosts_file.look(DEBIAN, "debian")["own_name"]
    assert not _hosts_file.look(DEBIAN, "cp1")["own_name"]
    text = _hosts_file.with_own_name(DEBIAN, "cp1")
    assert text == DEBIAN.replace("debian.example.com\tdebian", "cp1.example.com cp1")
    assert _hosts_file.with_own_name(text, "cp1") == text
    assert _hosts_file.look(text, "cp1")["own_name"]


@pytest.mark.parametrize(
    ("line", "hostname", "expected"),
    [
        ("127.0.1.1 debian", "cp1", "127.0.1.1\tcp1"),
        ("127.0.1.1 debian alias", "cp1", "127.0.1.1\tcp1 alias"),
        ("127.0.1.1 debian", "cp1.example.com", "127.0.1.1\tcp1.example.com cp1"),
        ("127.0.1.1 debian.a.b debian", "cp1.example.com", "127.0.1.1\tcp1.example.com cp1"),
        ("127.0.1.1 debian alias # asset 4711, ask Ann", "cp1", "127.0.1.1\tcp1 alias # asset 4711, ask Ann"),
        # What resolves already is left alone, and nothing is made where nothing was.
        ("127.0.1.1 debian\n192.0.2.5 cp1", "cp1", None),
        ("127.0.0.1 localhost", "cp1", None),
        ("127.0.1.1 debian", "", None),
    ],
)
def test_own_lines(line: str, hostname: str, expected: t.Optional[str]) -> None:
    assert _hosts_file.with_own_name(f"{line}\n", hostname) == f"{line if expected is None else expected}\n"


def test_the_block_of_an_earlier_release_is_the_same(tmp_path: Path) -> None:
    """blockinfile wrote it with these comments."""
    text = DEBIAN + "# BEGIN slipway.kubernetes nodes\n192.0.2.1 old\n# END slipway.kubernetes nodes\n::1 ip6\n"
    assert _hosts_file.block(text) == ["192.0.2.1 old"]
    assert _hosts_file.with_block(text, ["192.0.2.2 new"]) == text.replace("192.0.2.1 old", "192.0.2.2 new")
    assert _hosts_file.with_block(text, []) == DEBIAN + "::1 ip6\n"


@pytest.mark.parametrize(
    "lost",
    [
        f"{_hosts_file.BEGIN}\n192.0.2.1 mine\n198.51.100.7 db\n",
        f"192.0.2.1 mine\n{_hosts_file.END}\n198.51.100.7 db\n",
        f"{_hosts_file.END}\n192.0.2.1 mine\n{_hosts_file.BEGIN}\n198.51.100.7 db",
    ],
)
def test_a_block_that_has_lost_an_end_is_nobodys_and_its_lines_stay(lost: str) -> None:
    assert _hosts_file.block(lost) == []
    text, new = lost, "192.0.2.2 new"
    for _run in range(2):
        text = _hosts_file.with_block(text, [new])
        others = "192.0.2.1 mine\n198.51.100.7 db\n"
        assert text == f"{others}{_hosts_file.BEGIN}\n{new}\n{_hosts_file.END}\n"
    # An earlier release has put a whole block behind it.
    behind = f"{lost}\n{_hosts_file.BEGIN}\n{new}\n{_hosts_file.END}\n"
    assert _hosts_file.block(behind) == [new]
    assert _hosts_file.with_block(behind, [new]).count("192.0.2.1 mine\n") == 1


def test_lines_of_others_keep_what_is_no_line_feed() -> None:
    text = "127.0.1.1 debian\r\n# a\x0c192.0.2.5 cp1\n192.0.2.9 printer\u2028\r\n"
    assert not _hosts_file.is_listed(text, "cp1")
    block = f"{_hosts_file.BEGIN}\n192.0.2.1 cp2\n{_hosts_file.END}\n"
    assert _hosts_file.with_block(text, ["192.0.2.1 cp2"]) == text + block
    # An editor has given our own lines other ends, too.
    windows = (text + block).replace("\r\n", "\n").replace("\n", "\r\n")
    assert _hosts_file.block(windows) == ["192.0.2.1 cp2"]
    assert _hosts_file.with_block(windows, []).count("\n") == text.count("\n")


def test_check_run_again_and_none_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner
) -> None:
    path = tmp_path / "hosts"
    path.write_text(DEBIAN)
    path.chmod(0o644)
    monkeypatch.setattr(_hosts_file, "PATH", str(path))
    options = {"lines": ["192.0.2.11 cp1", "192.0.2.12 cp2"], "hostname": "cp1"}
    checked = run_module(hosts_file.main, options, check=True)
    assert checked["changed"] and path.read_text() == DEBIAN
    done = run_module(hosts_file.main, options)
    assert done["diff"] == checked["diff"]
    assert "192.0.2.9 printer # mine\n" in path.read_text() and "127.0.1.1\tcp1.example.com cp1\n" in path.read_text()
    assert not run_module(hosts_file.main, options)["changed"]
    assert run_module(hosts_file.main, {})["changed"]
    assert path.read_text() == DEBIAN.replace("debian.example.com\tdebian", "cp1.example.com cp1")
    assert not run_module(hosts_file.main, {})["changed"]


def test_machines_that_were_not_looked_at_keep_their_lines() -> None:
    nodes = [
        {"address": "192.0.2.11", "names": ["cp1"], "certain": True},
        {"address": "203.0.113.12", "names": ["cp2"], "certain": False},
        {"address": "203.0.113.13", "names": ["cp3"], "certain": False},
        {"address": "", "names": ["cp4"], "certain": False},
    ]
    block = ["192.0.2.99 cp1", "192.0.2.12 cp2"]
    assert hosts_lines(nodes, block) == ["192.0.2.11 cp1", "192.0.2.12 cp2", "203.0.113.13 cp3"]
