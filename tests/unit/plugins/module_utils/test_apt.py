# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import os
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages import apt
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.apt import Apt
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.interface import Offer
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner, fixture


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.9.0-1.1", "1.10.0-1.1"),
        ("1.37.1-1.1", "1.37.1-2.1"),
        ("1.0~rc1", "1.0"),
        ("1.0", "1.0a"),
        ("1.0a", "1.0+"),
        ("9.9", "1:0.1"),
        ("1.6.20~ds1-1+deb12u3", "1.7.24~ds1-6+deb13u1"),
        ("2.4.2-1~debian.12~bookworm", "2.4.2-1"),
    ],
)
def test_order_of_versions(older: str, newer: str) -> None:
    assert Apt.compare_versions(older, newer) < 0 < Apt.compare_versions(newer, older)


def test_equal_versions() -> None:
    assert Apt.compare_versions("0:1.0-1", "1.0-1") == 0
    assert Apt.compare_versions("1.00", "1.0") == 0


def test_sorted_newest_first_and_once() -> None:
    assert Apt.sort_versions(["1.9", "1.10", "1.9", "1:1.0"]) == ["1:1.0", "1.10", "1.9"]


@pytest.mark.parametrize(
    ("wanted", "version", "expected"),
    [
        (None, "1.0-1", True),
        ("", "1.0-1", True),
        ("1.37.1-1.1", "1.37.1-1.1", True),
        ("1.37.1", "1.37.1-1.1", True),
        ("1.37.1", "1.37.10-1.1", False),
        ("1.37", "1.37.1-1.1", False),
        ("1.37.*", "1.37.1-1.1", True),
        ("1.36.*", "1.37.1-1.1", False),
        ("28.0.1", "5:28.0.1-1~debian.12~bookworm", True),
        ("5:28.0.1", "5:28.0.1-1~debian.12~bookworm", True),
        ("4:28.0.1", "5:28.0.1-1~debian.12~bookworm", False),
        ("5:28.0.1", "28.0.1-1", False),
        ("28.*", "5:28.0.1-1~debian.12~bookworm", True),
        ("28.0.1-1~debian.12~bookworm", "5:28.0.1-1~debian.12~bookworm", True),
        ("1.7.24", "1.7.24~ds1-6+deb13u1", True),
        ("1.7.24", "1.7.24-0ubuntu1~24.04", True),
    ],
)
def test_what_a_wanted_version_means(wanted: t.Optional[str], version: str, expected: bool) -> None:
    assert Apt.version_matches(wanted, version) is expected


def test_newest_match_wins() -> None:
    assert Apt.find_version("1.37.1", ["1.37.1-1.1", "1.37.1-2.1", "1.37.2-1.1"]) == "1.37.1-2.1"
    assert Apt.find_version("1.38.0", ["1.37.1-1.1"]) is None


def test_nearest_versions_first() -> None:
    versions = ["1.38.0-1.1", "1.37.1-1.1", "1.37.0-1.1", "1.36.4-1.1"]
    assert Apt.nearest_versions("1.37.9", versions, 3) == ["1.37.1-1.1", "1.37.0-1.1", "1.38.0-1.1"]


@pytest.mark.parametrize("system", ["bookworm", "trixie"])
def test_policy(system: str) -> None:
    found = apt.parse_policy(fixture(f"policy-{system}.txt"))
    assert found["kubeadm"] == Offer("1.37.1-1.1", ("1.37.1-1.1", "1.37.0-1.1"))
    # Installed and offered; a purely virtual package is unknown.
    assert len(found["bash"].versions) == 1
    assert "awk" not in found


def test_policy_of_what_is_only_installed() -> None:
    text = (
        "kubeadm:\n  Installed: 1.30.0-1.1\n  Candidate: 1.30.0-1.1\n  Version table:\n *** 1.30.0-1.1 100\n"
        "        100 /var/lib/dpkg/status\n"
    )
    assert apt.parse_policy(text) == {"kubeadm": Offer("1.30.0-1.1", ())}
    assert apt.parse_policy("") == {}


@pytest.mark.parametrize("mark", ["   ", "***"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_policy_of_a_version_that_is_phased(place: int, mark: str) -> None:
    # As apt 2.7 of Ubuntu 24.04 prints it.
    versions = ["1.7.28-0ubuntu1~24.04.2", "1.7.28-0ubuntu1~24.04.1", "1.7.12-0ubuntu4"]
    text = f"containerd:\n  Installed: (none)\n  Candidate: {versions[0]}\n  Version table:\n"
    for number, version in enumerate(versions):
        row = f" {mark} {version} 500 (phased 10%)\n" if number == place else f"     {version} 500\n"
        text += f"{row}        500 http://archive.ubuntu.com/ubuntu noble-updates/main amd64 Packages\n"
    assert apt.parse_policy(text)["containerd"] == Offer(versions[0], tuple(versions))


def test_policy_of_a_version_from_two_sources() -> None:
    text = (
        "jq:\n  Installed: (none)\n  Candidate: 1.6-1\n  Version table:\n     1.6-1 500\n"
        "        500 http://one bookworm/main amd64 Packages\n        500 http://two bookworm/main amd64 Packages\n"
    )
    assert apt.parse_policy(text)["jq"].versions == ("1.6-1",)


def test_dpkg_query() -> None:
    packages = apt.parse_dpkg_query(
        fixture("dpkg-query-trixie.txt")
        + "broken\t1.0\tinstall reinstreq half-installed\ngone\t1.0\tdeinstall ok config-files\n"
    )
    assert packages["kubeadm"].hold and packages["kubeadm"].present and not packages["kubeadm"].broken
    assert not packages["bash"].hold
    assert packages["broken"].broken and not packages["broken"].present
    assert not packages["gone"].broken and not packages["gone"].present


def test_simulation() -> None:
    assert apt.parse_simulation(fixture("simulate-trixie.txt")) == {
        "containerd": None,
        "runc": None,
        "containerd.io": "2.4.2-1~debian.12~bookworm",
        "kubeadm": "1.37.0-1.1",
    }


def test_listed_packages() -> None:
    text = fixture("no-remove-trixie.txt")
    assert apt.listed_packages(text, "The following packages will be REMOVED:") == ["containerd", "runc"]
    assert apt.listed_packages(text, "The following packages will be DOWNGRADED:") == []


def test_complaints() -> None:
    assert apt.complaints(fixture("no-remove-trixie.txt")) == "E: Packages need to be removed but remove is disabled."
    assert apt.complaints("one\n\ntwo\n") == "one\ntwo"
    assert apt.complaints("") == "it printed nothing"


@pytest.mark.parametrize("system", ["bookworm", "trixie"])
@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("wrong-key", "signed by another key"),
        ("expired-key", "A1DAE1 that signed it has expired"),
        ("not-found", "no signed repository at this URL"),
        ("refused", "cannot be reached (Could not connect to 127.0.0.1:9"),
        ("unresolved", "cannot be reached (Could not resolve 'nosuch.invalid')"),
        ("no-component", "it has no component nosuch"),
        ("old", "Release file is expired"),
        ("future", "Release file is not valid yet"),
        ("untrusted-certificate", "certificate is not trusted"),
    ],
)
def test_failed_updates_are_explained(system: str, case: str, expected: str) -> None:
    assert expected in (apt.explain_update(fixture(f"update-{system}-{case}.txt")) or "")


@pytest.mark.parametrize("system", ["bookworm", "trixie"])
def test_a_good_update_needs_no_explanation(system: str) -> None:
    assert apt.explain_update(fixture(f"update-{system}-good.txt")) is None


LOCKED = (100, "", "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 17 (apt-get)\n")


def test_waits_for_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: t.List[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    runner = FakeRunner({"update": [LOCKED, LOCKED, ""]})
    assert Apt(runner, configuration="/scratch/apt.conf").update().rc == 0
    assert runner.calls[0] == ["apt-get", "-c", "/scratch/apt.conf", "--quiet", "update"]
    assert len(pauses) == 2


def test_gives_up_on_a_lock() -> None:
    with pytest.raises(SlipwayError, match=r"holding a lock of the package manager for 0 s.*process 17"):
        Apt(FakeRunner({"update": LOCKED}), lock_timeout=0).update()


def test_other_failures_are_returned() -> None:
    assert Apt(FakeRunner({"dpkg": (1, "", "dpkg: error: no")}), configuration="/x").run("dpkg", ["--pending"]).rc == 1


def test_nothing_to_ask_for() -> None:
    assert Apt(FakeRunner({})).offered([]) == {}


def test_missing_packages_are_explained() -> None:
    tools = Apt(FakeRunner({"pkgnames ku": "kubelet\nkubectl\nkubeadm\n", "pkgnames": ""}))
    assert "similar names are kubelet" in tools.explain_missing("kubelt", "1.0", None)
    assert tools.explain_missing("zz", None, None) == "package zz is unknown"
    policy = Offer("1.37.1-1.1", ("1.37.1-1.1",))
    assert tools.explain_missing("kubeadm", "1.3", policy) == "kubeadm has no version 1.3; available are 1.37.1-1.1"
    assert tools.explain_missing("kubeadm", "1.3", Offer(None, ())).endswith("available are none")


def test_age_of_the_index(tmp_path: Path) -> None:
    manager = Apt(FakeRunner({}), root=str(tmp_path))
    lists = tmp_path / "var/lib/apt/lists"
    assert manager.index_age() == float("inf")
    lists.mkdir(parents=True)
    assert manager.index_age() == float("inf")
    (lists / "mirror_dists_stable_InRelease").touch()
    assert manager.index_age() == float("inf")
    (lists / "partial").mkdir()
    os.utime(lists / "partial", (time.time() - 100, time.time() - 100))
    assert 99 < manager.index_age() < 200


def test_the_package_of_a_program(tmp_path: Path) -> None:
    info = tmp_path / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    manager = Apt(FakeRunner({}), root=str(tmp_path))
    (info / "containerd:amd64.list").write_text("/etc/containerd\n")
    (info / "containerd.io.list").write_text("/usr/bin\n/usr/bin/containerd\n")
    assert manager.owner("/usr/bin/containerd") == "containerd.io"
    assert manager.owner("/usr/local/bin/containerd") == ""
    # dpkg removes a package while we look.
    (info / "a-gone.list").symlink_to(info / "nowhere")
    assert manager.owner("/usr/bin/containerd") == "containerd.io"
    assert manager.owner("/bin/containerd") == "containerd.io"
    assert manager.owner("/etc/containerd") == "containerd"
    (info / "containerd.io.list").write_text("/bin/containerd\n")
    assert manager.owner("/usr/bin/containerd") == "containerd.io"


def test_what_the_package_has_brought_is_nobodys(tmp_path: Path) -> None:
    """A run that was killed after it had installed Debian's containerd is finished by the next one."""
    manager = Apt(FakeRunner({}), root=str(tmp_path))
    status = tmp_path / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    brought = (
        "Package: containerd\nConffiles:\n /etc/containerd/config.toml 5d41402abc4b2a76b9719d911017c592\nVersion: 1\n"
    )
    status.write_text(brought)
    config = tmp_path / "etc/containerd/config.toml"
    assert not manager.is_pristine("/etc/containerd/config.toml")
    config.parent.mkdir(parents=True)
    for text, expected in (("hello", True), ("hello, changed", False)):
        config.write_text(text)
        assert manager.is_pristine("/etc/containerd/config.toml") is expected
    config.write_text("hello")
    status.write_text(brought.replace("c592", "c592 obsolete"))
    assert manager.is_pristine("/etc/containerd/config.toml")
    status.write_text("Package: containerd\n")
    assert not manager.is_pristine("/etc/containerd/config.toml")


def test_without_md5_a_file_is_taken_for_somebodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager = Apt(FakeRunner({}), root=str(tmp_path))
    status = tmp_path / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    (tmp_path / "a.cfg").write_text("of the package\n")
    status.write_text(f" /a.cfg {hashlib.md5(b'of the package' + bytes([10])).hexdigest()}\n")
    assert manager.is_pristine("/a.cfg")

    def forbidden(_content: bytes) -> None:
        raise ValueError("disabled for FIPS")

    monkeypatch.setattr(hashlib, "md5", forbidden)
    assert not manager.is_pristine("/a.cfg")


STATUS = """\
Package: containerd.io
Status: deinstall ok config-files
Version: 1.7.1-1

Package: containerd
Status: hold ok installed
Maintainer: somebody
Version: 1.6.20~ds1-1+deb12u1
Description: a runtime
 more of it

Package: containers-common
Status: install ok installed
Version: 5
"""


def test_versions_of_what_is_installed(tmp_path: Path) -> None:
    status = tmp_path / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    status.write_text(STATUS)
    found = Apt(FakeRunner({}), root=str(tmp_path)).versions(["containerd", "containerd.io"])
    assert found == {"containerd": "1.6.20~ds1-1+deb12u1"}
