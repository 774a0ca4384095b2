# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a file is."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _marks

OURS = "# Ansible managed (slipway.kubernetes): changes made here by hand are lost.\n"


def test_is_managed(tmp_path: Path) -> None:
    path = tmp_path / "keepalived.conf"
    assert not _marks.is_managed(str(path))
    path.write_text("# mine\n")
    assert not _marks.is_managed(str(path))
    path.write_text("# Ansible managed\n")
    assert not _marks.is_managed(str(path))
    path.write_text("x" * 512 + OURS)
    assert not _marks.is_managed(str(path))
    path.write_text("#compdef kubectl\n" + OURS)
    assert _marks.is_managed(str(path))


@pytest.mark.parametrize("sign", ["", "#", "## ", ";", "! ", "// ", "/* ", " * "])
def test_the_mark_begins_a_line_behind_signs_of_a_comment(sign: str) -> None:
    assert _marks.is_marked(f"#!/bin/sh\n{sign}{_marks.MARK}: changes\n")


@pytest.mark.parametrize("text", ["# taken over from an {} file, now mine\n", "# was: {}\n", "x = '{}'\n"])
def test_a_file_that_mentions_the_mark_is_not_ours(text: str) -> None:
    assert not _marks.is_marked(text.format(_marks.MARK))


def test_foreign_are_those_that_are_neither_ours_nor_a_packages(tmp_path: Path) -> None:
    names = ("ours", "default", "changed", "somebodys", "empty")
    paths = {name: tmp_path / f"{name}.cfg" for name in names}
    paths["ours"].write_text(OURS)
    paths["default"].write_text("of the package\n")
    paths["changed"].write_text("of the package, and mine\n")
    paths["somebodys"].write_text("mine\n")
    paths["empty"].write_text("\n")
    (tmp_path / "folder.cfg").mkdir()
    is_pristine = [str(paths["default"])].__contains__
    found = _marks.foreign(is_pristine, [f"{tmp_path}/*.cfg", f"{tmp_path}/none"])
    assert found == [str(paths["changed"]), str(paths["somebodys"])]


def test_a_copy_is_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("mine\n")
    path.chmod(0o600)
    kept = _marks.keep(str(path))
    assert kept == f"{path}.before-slipway" == _marks.keep(str(path))
    assert (tmp_path / "config.before-slipway").stat().st_mode & 0o777 == 0o600
