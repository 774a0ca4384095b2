# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates by dnf. What it prints was recorded from dnf 4.14, the one of version 9 of the RHEL family."""

from __future__ import annotations

import functools
import os
import time
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages import dnf
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.dnf import Dnf
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.interface import Refused, Transaction, Update
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner, recorded, write

fixture = functools.partial(recorded, "dnf")
HELD = "[main]\ngpgcheck=1\nbest=True\nexcludepkgs=demo-held\n"
NEW = ["demo-2-1.el9", "kernel-core-5.14.4-1.el9"]


@pytest.fixture
def runner() -> FakeRunner:
    """A machine with packages of which there are newer versions, one that is held, kernels, and a replaced package."""
    return FakeRunner(
        {
            "--assumeno": (1, fixture("upgrade-all"), ""),
            "--upgrades": fixture("upgrades"),
            "updateinfo": fixture("advisories"),
            "--all": fixture("rpm-before-upgrade"),
            "--provides kernel-core": "installonlypkg(kernel)\nkernel-uname-r = 5.14.3-1.el9\n",
            "--assumeyes": "Complete!\n",
        }
    )


@pytest.fixture
def manager(tmp_path: Path, runner: FakeRunner) -> Dnf:
    write(tmp_path, "etc/dnf/dnf.conf", HELD)
    return Dnf(runner, root=str(tmp_path))


def test_what_there_is_to_update(manager: Dnf, runner: FakeRunner) -> None:
    found = manager.updates()
    assert found.brought == (
        Update("demo", "1-1.el9", "2-1.el9"),
        Update("demo-dep", "1-1.el9", "2-1.el9"),
        # What mends a hole may be a version in between.
        Update("demo-epoch", "1:1-1.el9", "1:2-1.el9", security=True),
        Update("demo-excluded", "1-1.el9", "2-1.el9"),
        Update("demo-sec", "1-1.el9", "3-1.el9", security=True),
        # The oldest of the kernels goes, and the newest counts.
        Update("kernel-core", "5.14.3-1.el9", "5.14.4-1.el9"),
    )
    assert found.held == ("demo-held",)
    # Another package would replace the one, and what the other's new version needs is not there.
    assert found.kept_back == ("demo-broken", "demo-old")
    (planned,) = runner.called("upgrade")
    assert {"--cacheonly", "--assumeno", "--setopt=best=0"} <= set(planned)
    # What settings of the machine hide is asked for without them.
    assert runner.called("--upgrades", "--disableexcludes=all", "--disableplugin=versionlock")


def test_a_kernel_that_another_package_would_go_for(tmp_path: Path) -> None:
    """The oldest kernel is needed by a module of somebody: the new one waits, and the others come."""
    runner = FakeRunner(
        {
            "--exclude=kernel-core": (1, fixture("upgrade-without-kernel"), ""),
            "--assumeno": (1, fixture("upgrade-removes"), ""),
            "--upgrades": fixture("upgrades-removes"),
            "updateinfo": "",
            "--all": fixture("rpm-before-removal"),
            "--provides kernel-core": "installonlypkg(kernel)\n",
        }
    )
    manager = Dnf(runner, root=str(tmp_path))
    found = manager.updates()
    assert found.brought == (Update("rv-a", "1-1.el9", "2-1.el9"), Update("rv-w", "1-1.el9", "2-1.el9"))
    # What the new version of an installed package replaces is no update, and not kept.
    assert (found.held, found.kept_back) == ((), ("kernel-core",))
    with pytest.raises(Refused, match="would have to be removed") as refusal:
        manager.plan_upgrade({"kernel-core": "5.14.4-1.el9"})
    assert refusal.value.removals == ["rv-kmod"]
    runner.answers["--assumeno"] = runner.answers["--exclude=kernel-core"]
    assert manager.plan_upgrade({"rv-a": "2-1.el9"}) == {"rv-a": "2-1.el9", "rv-b": None, "rv-w": "2-1.el9"}


def test_advisories_that_cannot_be_read(manager: Dnf, runner: FakeRunner) -> None:
    """With patch_security nothing would be updated, as if all were well."""
    runner.answers["updateinfo"] = (1, "", "Error: no advisories today\n")
    with pytest.raises(Refused, match="no advisories today"):
        manager.updates()


def test_an_index_that_is_not_there(manager: Dnf, runner: FakeRunner) -> None:
    runner.answers["--assumeno"] = (1, "", "Error: Cache-only enabled but no cache for 'baseos'\n")
    with pytest.raises(Refused) as refusal:
        manager.updates()
    assert refusal.value.outdated


def test_nothing_to_update(tmp_path: Path) -> None:
    nothing = "Dependencies resolved.\nNothing to do.\nComplete!\n"
    runner = FakeRunner({"--assumeno": nothing, "--upgrades": "", "rpm": fixture("rpm-before-upgrade")})
    assert Dnf(runner, root=str(tmp_path)).updates() == ((), (), ())
    assert not runner.called("updateinfo")


def test_an_index_that_cannot_be_read(manager: Dnf, runner: FakeRunner) -> None:
    runner.answers["--assumeno"] = (1, fixture("repository-refused"), "")
    with pytest.raises(Refused, match="dnf does nothing while the repository epel"):
        manager.updates()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("RLSA-2026:0001 Important/Sec. demo-sec-2-1.el9.noarch", [("demo-sec", "2-1.el9")]),
        ("RHSA-2025:1 Critical/Sec.  bind-libs-32:9.16.23-18.el9_4.1.x86_64", [("bind-libs", "32:9.16.23-18.el9_4.1")]),
        ("FEDORA-2026-1 Unknown/Sec. java-21-openjdk-1:21.0.3-1.fc43.x86_64", [("java-21-openjdk", "1:21.0.3-1.fc43")]),
        ("ALSA-1 Low/Sec. zlib-0:1.2.11-40.el9.i686", [("zlib", "1.2.11-40.el9")]),
        ("Last metadata expiration check: 0:00:53 ago on Mon Nov 30 15:33:27 2026.", []),
        ("", []),
    ],
)
def test_what_mends_a_hole(line: str, expected: t.List[t.Tuple[str, str]]) -> None:
    assert dnf.parse_advisories(f"{line}\n") == expected


def test_advisories_for_other_versions(manager: Dnf, runner: FakeRunner) -> None:
    """Of what is installed already, of what this update does not bring, and of a package that is not updated."""
    runner.answers["updateinfo"] = (
        "A-1 Low/Sec. demo-1-1.el9.noarch\nA-2 Low/Sec. demo-dep-3-1.el9.noarch\nA-3 Low/Sec. bash-5-1.el9.x86_64\n"
    )
    assert [update.name for update in manager.updates().brought if update.security] == []


def test_a_plan_says_what_comes_new() -> None:
    table = fixture("upgrade-all")
    assert Dnf.planned(table) == {
        "demo-next": "2-1.el9",
        "demo-old": None,
        "kernel-core": "5.14.4-1.el9",
        "demo": "2-1.el9",
        "demo-dep": "2-1.el9",
        "demo-epoch": "1:2-1.el9",
        "demo-excluded": "2-1.el9",
        "demo-sec": "3-1.el9",
        "demo-new": "1-1.el9",
    }
    assert Dnf.replaced(table) == {"demo-old": "demo-next"}
    assert [row.name for row in dnf.parse_table(table) if row.heading == "Removing"] == ["kernel-core"]


def test_updates_are_installed_as_what_they_were(manager: Dnf, runner: FakeRunner) -> None:
    """By `upgrade`: why a package is there stays as it is."""
    manager.upgrade({"kernel-core": "5.14.4-1.el9", "demo": "2-1.el9"})
    planned, done = runner.called("upgrade")
    assert planned[-3:] == done[-3:] == ["upgrade", *NEW]
    assert "--assumeyes" in done and "--cacheonly" not in done


def test_nothing_is_removed(manager: Dnf, runner: FakeRunner) -> None:
    table = fixture("upgrade-all").replace("Removing:\n kernel-core ", "Removing:\n firefox     ")
    runner.answers["--assumeno"] = (1, table, "")
    with pytest.raises(Refused, match="would have to be removed") as refusal:
        manager.upgrade({"demo": "2-1.el9"})
    assert refusal.value.removals == ["firefox"] and not runner.called("--assumeyes")


def test_a_mirror_that_has_changed_and_a_dnf_that_is_killed(manager: Dnf, runner: FakeRunner) -> None:
    runner.answers["--assumeyes"] = [(1, "", "[MIRROR] demo: Status code: 404 for http://x/demo.rpm\n"), (-9, "", "")]
    with pytest.raises(Refused) as refusal:
        manager.upgrade({"demo": "2-1.el9"})
    assert refusal.value.outdated
    with pytest.raises(Refused, match=r"dnf was killed by signal 9\. The next run finishes"):
        manager.upgrade({"demo": "2-1.el9"})
    runner.answers["--assumeno"] = runner.answers["--assumeyes"] = (-9, "", "")
    with pytest.raises(Refused, match=r"dnf was killed by signal 9\. The next run finishes"):
        manager.install(Transaction({"demo": "2-1.el9"}))


def test_the_age_of_the_index(tmp_path: Path) -> None:
    manager = Dnf(FakeRunner({}), root=str(tmp_path))
    assert manager.index_age() == 0.0
    write(
        tmp_path, "etc/yum.repos.d/a.repo", "[baseos]\nbaseurl=http://x/\n[apps]\nbaseurl=http://y/\n[off]\nenabled=0\n"
    )
    assert manager.index_age() == float("inf")
    # Two of one repository, whose address was another one before.
    hashes = {"old": "0123456789abcdef", "new": "fedcba9876543210"}
    folders = (("baseos-{old}", 90000), ("baseos-{new}", 600), ("apps-{old}", 7200), ("apps-testing-{new}", 5))
    for folder, age in ((name.format(**hashes), age) for name, age in folders):
        path = write(tmp_path, f"var/cache/dnf/{folder}/repodata/abc-primary.xml.gz", "")
        os.utime(path, (time.time() - age, time.time() - age))
        # It keeps the time when it was fetched first.
        os.utime(write(tmp_path, f"var/cache/dnf/{folder}/repodata/repomd.xml", ""), (1, 1))
    assert 7190 < manager.index_age() < 7300


def kernel(name: str, release: str, moment: int, variant: str = "") -> str:
    """What rpm says of a package with a kernel, of which the last line counts."""
    others = f"{name}\t{moment}\tinstallonlypkg(kernel)\t\n{name}\t{moment}\tkernel\t{release}\n"
    return f"{others}{name}\t{moment}\tkernel-uname-r\t{release}.x86_64{variant}\n"


OLD, NEW_KERNEL = "5.14.0-503.el9", "5.14.0-570.el9"
KERNELS = kernel("kernel-core", OLD, 10) + kernel("kernel-core", NEW_KERNEL, 2000)
BOTH_OLD = kernel("kernel-core", OLD, 10) + kernel("kernel-core", NEW_KERNEL, 20)
LARGE_PAGES = kernel("kernel-64k-core", OLD, 10, "+64k") + kernel("kernel-64k-core", NEW_KERNEL, 2000, "+64k")


@pytest.mark.parametrize(
    ("running", "kernels", "installed", "reasons"),
    [
        (f"{NEW_KERNEL}.x86_64", BOTH_OLD, "systemd\t900\nglibc\t999\n", []),
        (f"{OLD}.x86_64", KERNELS, "", [f"kernel-core {NEW_KERNEL}.x86_64"]),
        # It was there before the start, at which somebody has chosen the older one.
        (f"{OLD}.x86_64", BOTH_OLD, "", []),
        (f"{OLD}.x86_64+64k", LARGE_PAGES + KERNELS, "", [f"kernel-64k-core {NEW_KERNEL}.x86_64+64k"]),
        (f"{NEW_KERNEL}.x86_64", BOTH_OLD, "systemd\t1001\nglibc\t5000\npackage gnutls is not installed\n",
         ["glibc", "systemd"]),
        # A kernel from elsewhere, or a container.
        ("6.12.48+deb13-amd64", KERNELS, "glibc\t5000\n", []),
        ("6.12.48+deb13-amd64", "no package provides kernel-uname-r\n", "glibc\t5000\n", []),
    ],
)  # fmt: skip
def test_why_a_machine_has_to_be_started_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, running: str, kernels: str, installed: str, reasons: t.List[str]
) -> None:
    monkeypatch.setattr(dnf.os, "uname", lambda: types.SimpleNamespace(release=running, machine="x86_64"))
    write(tmp_path, "proc/stat", "cpu  1 2 3\nbtime 1000\nprocesses 5\n")
    manager = Dnf(FakeRunner({"kernel-uname-r": kernels, "INSTALLTIME": (1, installed, "")}), root=str(tmp_path))
    assert manager.reboot_reasons() == reasons
