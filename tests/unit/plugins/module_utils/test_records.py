# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of unfinished work: written, read when damaged, removed."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._records import Work


def test_work_is_on_record_until_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "slipway" / "upgrade.json"
    work = Work(str(path))
    assert work.read() is None
    work.end()
    work.begin("apply", version="1.37.1")
    assert path.stat().st_mode & 0o777 == 0o600
    record = work.read() or {}
    assert (record["operation"], record["version"]) == ("apply", "1.37.1")
    work.end()
    assert work.read() is None and not path.exists()


@pytest.mark.parametrize("damaged", ["", "[]", "{"])
def test_a_record_that_cannot_be_read_is_one_all_the_same(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "upgrade.json").write_text(damaged)
    assert Work(str(tmp_path / "upgrade.json")).read() == {}
