# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of timers have no home folder, where kubectl keeps its cache: it would be made in the root folder."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml

ROLES = Path(__file__).resolve().parents[3] / "roles"


@pytest.mark.parametrize(
    ("role", "variable"),
    [("etcd_backup", "__etcd_backup_files"), ("serving_certificates", "__serving_certificates_units")],
)
def test_kubectl_leaves_no_cache(role: str, variable: str) -> None:
    given: t.Dict[str, t.Any] = yaml.safe_load((ROLES / role / "vars/main.yml").read_text(encoding="utf-8"))
    (unit,) = [item["content"] for item in given[variable] if item["path"].endswith(".service")]
    settings = [line.partition("=")[::2] for line in unit.splitlines()]
    (folder,) = [value for name, value in settings if name == "RuntimeDirectory"]
    assert ("Environment", f"KUBECACHEDIR=/run/{folder}") in settings
