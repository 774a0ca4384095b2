# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of a playbook that a test has written."""

from __future__ import annotations

import os
import subprocess
import sys
import typing as t
from pathlib import Path

COLLECTIONS = Path(__file__).resolve().parents[2] / "collections"


def run_play(
    folder: Path, *options: str, inventory: str = "inventory.yml", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run ``play.yml`` of a folder, which is also Ansible's home.

    :param inventory: its file, or hosts with a comma behind each.
    :param environment: further variables of the environment.
    """
    own = {"ANSIBLE_HOME": str(folder), "ANSIBLE_NOCOLOR": "1", "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS)}
    argv: t.List[t.Union[str, Path]] = [Path(sys.executable).parent / "ansible-playbook", "-i", inventory, *options]
    return subprocess.run(
        [*argv, "play.yml"],
        cwd=folder,
        env={**os.environ, **own, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
