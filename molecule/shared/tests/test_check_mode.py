# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On what a scenario has built, check mode finds nothing to do: `molecule check` would only ask for the exit code."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from conftest import CONVERGE, PROJECT


def test_nothing_would_change(machines: set[str]) -> None:
    inventory = str(Path(os.environ["MOLECULE_INVENTORY_FILE"]).parent)
    # The configuration of the checkout and not molecule's, whose callbacks would print after the report.
    environment = {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"}
    done = subprocess.run(
        ["ansible-playbook", "--inventory", inventory, "--check", "--diff", str(CONVERGE)],
        cwd=PROJECT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    report = json.loads(done.stdout)
    changes = [
        f"{host}: {task['task']['name']}"
        for play in report["plays"]
        for task in play["tasks"]
        for host, result in task["hosts"].items()
        if result.get("changed")
    ]
    assert not changes
    assert machines <= set(report["stats"]), "not every machine took part"
