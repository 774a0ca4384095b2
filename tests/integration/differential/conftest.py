# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What we read against what those read who act on it: Go, as Kubernetes does, and gpg, as apt does.

Inputs are mutated at random. The number of mutations and the seed come from the environment and are printed; without
them both are fixed, so that a run says the same as the one before. That this file is here lets tests import mutations.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from mutations import MUTATIONS, SEED

from lab import golang
from lab.util import run


def pytest_report_header() -> str:
    return f"differential tests: DIFFERENTIAL_MUTATIONS={MUTATIONS} DIFFERENTIAL_SEED={SEED}"


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """A source of numbers of each test's own, so that tests do not depend on each other."""
    return random.Random(f"{SEED} {request.node.name}")


@pytest.fixture(scope="session")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program that reads like Kubernetes."""
    golang.go_version()
    program = tmp_path_factory.mktemp("reader") / "reader"
    run(["go", "build", "-o", str(program), "."], cwd=Path(__file__).parent / "reader", env={"GOFLAGS": ""})
    return program
