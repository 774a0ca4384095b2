# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the packages of prepare.sh as rpm: an archive with a folder for each state that a machine's source has in turn.

Run in the checkout: ``python3 molecule/patch/files/updates.py FILE.tar``. Machines have no tools to make them.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from lab import debian, rpms
from lab.rpms import Rpm
from lab.util import run

DEMO, NEW = "slipway-demo", "slipway-demo-new"
#: Versions of what is called like the first and something.
STATES = {
    "1": {"": "1", "-held": "1", "-excluded": "1"},
    "2": {"": "2", "-held": "2", "-excluded": "2", "-new": "1"},
    "3": {"": "3", "-held": "2", "-excluded": "2", "-new": "1"},
    "4": {"": "4", "-held": "2", "-excluded": "2", "-new": "1"},
}


def main(archive: Path) -> None:
    """Write the archive."""
    debian.install(rpms.TOOLS)
    with tempfile.TemporaryDirectory() as folder:
        publish(Path(folder))
        run(["tar", "--create", "--file", archive, "--directory", folder, *STATES])


def publish(folder: Path) -> None:
    """Make a repository of each state."""
    for state, versions in STATES.items():
        place = folder / state
        place.mkdir(parents=True)
        for more, version in versions.items():
            tags = [f"Requires: {NEW}"] if not more and version != "1" else []
            package = Rpm(f"{DEMO}{more}", version, "1", "has updates", tags)
            with tempfile.TemporaryDirectory() as build, tempfile.TemporaryDirectory() as nothing:
                shutil.move(package.make(Path(build), Path(nothing)), place)
        run(["createrepo_c", "--quiet", "--no-database", place])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
