# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab builds, with the real tools: they are brought where they are missing, as the lab does."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab import debian, debs, golang, machines, rpms, uml, util
from lab.debs import Package, SigningKey
from lab.rpms import Rpm
from lab.util import write


@pytest.mark.parametrize("name", ["probe", "rke2", "runc-node"])
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


def test_rpm_and_its_repository_are_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artifacts = tmp_path / "artifacts"
    for module in (util, rpms):
        monkeypatch.setattr(module, "ARTIFACTS", artifacts)
    monkeypatch.setattr(debs, "CACHE", tmp_path)
    program = write(artifacts / "bin+key" / "program", "#!/bin/sh\n", 0o755)
    files = {"/usr/bin/program": program, "/etc/example": "text\n", "/var/lib/example/": ""}
    key = SigningKey("example")
    (built,) = rpms.build_all([Rpm("example", "1", "2.el9", "An example", ["Requires: other"], files)], key)

    def output(*argv: str | Path) -> str:
        return subprocess.run(argv, capture_output=True, text=True, check=True).stdout

    database = f"--dbpath={tmp_path / 'rpmdb'}"
    output("rpmkeys", database, "--import", key.public)
    assert output("rpmkeys", database, "--checksig", built) == f"{built}: digests signatures OK\n"
    listing = output("rpm", database, "--query", "--package", "--list", "--verbose", built)
    assert "-rwxr-xr-x" in listing and " /usr/bin/program\n" in listing and "drwxr-xr-x" in listing
    assert output("rpm", database, "--query", "--package", "--configfiles", built) == "/etc/example\n"
    folder = rpms.repository("example", {"9/stable": [built]}, key, "gpg")
    index = folder / "9/stable/repodata/repomd.xml"
    assert (folder / "9/stable" / built.name).stat().st_ino == built.stat().st_ino
    assert (folder / "gpg").read_text() == index.with_name("repomd.xml.key").read_text() == key.public.read_text()
    output("gpg", "--homedir", key.home, "--verify", index.with_name("repomd.xml.asc"), index)
    key.end_agent()


def test_swap_of_a_machine_is_a_partition(tmp_path: Path) -> None:
    debian.install(machines.NEEDS)
    disk = tmp_path / "swap.img"
    machines.make_swap(disk, "11111111-2222-3333-4444-555555555555")
    table = subprocess.run(["sfdisk", "--dump", disk], capture_output=True, text=True, check=True).stdout
    size = int(machines.SWAP * 2**30) // machines.SECTOR - machines.SWAP_START
    assert f"start={machines.SWAP_START:12}, size={size:12}, type=82" in table
    assert disk.stat().st_blocks < 64, "it has holes"
    probe = ["blkid", "--probe", "--offset", str(machines.SWAP_START * machines.SECTOR), "--output", "export", disk]
    found = subprocess.run(probe, capture_output=True, text=True, check=True).stdout
    assert "UUID=11111111-2222-3333-4444-555555555555\n" in found and "TYPE=swap\n" in found
    assert [path.name for path in tmp_path.iterdir()] == ["swap.img"]


def test_newest_kernel_can_be_had(tmp_path: Path) -> None:
    archive = debian.download("linux-source", uml.SUITES[0], tmp_path)
    assert uml.is_new_enough(archive.name.removeprefix("linux-source-").partition("_")[2])
    assert list(tmp_path.iterdir()) == [archive]
