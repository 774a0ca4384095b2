# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests on machines of the lab. That this file is here lets them import lab_support.

What was measured is shown at the end, whether the tests have passed or not.
"""

from __future__ import annotations

import pytest

MEASURED = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[MEASURED] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[MEASURED]:
        terminalreporter.section("measured")
        terminalreporter.write("\n".join([*config.stash[MEASURED], ""]))


@pytest.fixture(scope="module")
def measured(request: pytest.FixtureRequest) -> list[str]:
    """Lines for the end."""
    return request.config.stash[MEASURED]
