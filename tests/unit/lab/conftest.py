# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import sys
from pathlib import Path

import pytest

_CHECKOUT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(_CHECKOUT))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what tests build and start out of the real cache."""
    from lab import daemon, util

    folder = tmp_path / "cache"
    monkeypatch.setattr(util, "CACHE", folder)
    monkeypatch.setattr(util, "ARTIFACTS", folder / "artifacts")
    monkeypatch.setattr(daemon, "CACHE", folder)
    monkeypatch.setattr(daemon, "LOGS", folder / "log")
    return folder
