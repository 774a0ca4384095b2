# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab builds, with the real tools: they are brought where they are missing, as the lab does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab import debian, golang, util
from lab.debs import Package
from lab.util import write


@pytest.mark.parametrize("name", ["probe", "runc-node"])
def test_go_programs(name: str) -> None:
    golang.go_version()
    subprocess.run(["go", "test", "./..."], cwd=golang.MODULES / name, check=True)


def test_package_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "ARTIFACTS", tmp_path / "artifacts")
    debian.install({"dpkg-deb": "dpkg"})
    program = write(tmp_path / "bin+key" / "program", "#!/bin/sh\n", 0o755)
    files = {"/etc/example": "text\n", "/usr/share/example": "text\n"}
    package = Package("example", "1-1", "An example", programs={"/usr/bin/program": program}, files=files)
    deb = package.build()
    assert package.build() == deb
    listing = subprocess.run(["dpkg-deb", "--contents", deb], capture_output=True, text=True, check=True).stdout
    assert "-rwxr-xr-x root/root" in listing and "./usr/bin/program" in listing
    conffiles = subprocess.run(["dpkg-deb", "--info", deb, "conffiles"], capture_output=True, text=True, check=True)
    assert conffiles.stdout == "/etc/example\n"
