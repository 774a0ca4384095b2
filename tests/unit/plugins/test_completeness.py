# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is easily forgotten when something is added: the page of a filter, the place where a file of checks is run."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight import checks

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
PACKAGE = "ansible_collections.slipway.kubernetes.plugins"
FILTERS = sorted((PLUGINS / "filter").glob("*.py"))
PREFLIGHTS = sorted((PLUGINS / "plugin_utils" / "_preflight" / "checks").glob("[!_]*.py"))


def test_each_filter_has_a_page_and_each_page_a_filter() -> None:
    modules = [importlib.import_module(f"{PACKAGE}.filter.{path.stem}") for path in FILTERS]
    named = {name for module in modules for name in module.FilterModule().filters()}
    assert named == {path.stem for path in (PLUGINS / "filter").glob("*.yml")}


@pytest.mark.parametrize("path", PREFLIGHTS, ids=lambda path: path.stem)
def test_checks_are_run_by_the_report(path: Path) -> None:
    module = importlib.import_module(f"{checks.__name__}.{path.stem}")
    assert set(checks.CHECKS) >= set(getattr(module, "CHECKS", ()))
    assert set(checks.REPORTS) >= set(getattr(module, "REPORTS", ()))
