# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on the controller."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import controller as checks
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host


def said(folder: Path, **given: t.Any) -> str:
    variables = {"kubeconfig_fetch": True, "kubeconfig_fetch_directory": str(folder), **given}
    hosts = [Host("cp1", True, False, variables), Host("cp2", True, False, variables), Host("worker1", False, True)]
    return "\n".join(f"{p.severity} {p.host}: {p.subject}: {p.message}" for p in checks.check_fetch_directory(hosts))


def test_a_folder_that_is_there_and_one_that_can_be_made(tmp_path: Path) -> None:
    assert said(tmp_path) == ""
    assert said(tmp_path / "artifacts" / "lab") == ""
    assert said(tmp_path / "artifacts", kubeconfig_fetch_directory="") == ""


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("")
    text = said(tmp_path / "artifacts" / "lab")
    assert f"artifacts/lab cannot be written on the controller: {tmp_path}/artifacts is no folder." in text
    assert text.startswith("error : kubeconfig_fetch_directory: ") and "\n" not in text
    assert said(tmp_path / "artifacts" / "lab", kubeconfig_fetch=False) == ""


def test_a_folder_of_somebody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, _mode: not path.startswith(str(tmp_path)))
    assert f"{tmp_path} may not be written to by this user." in said(tmp_path / "artifacts")
