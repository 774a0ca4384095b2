# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import os
import time
import types
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


def test_an_index_that_was_fetched_in_part() -> None:
    """apt ends with 0 then, and a machine would look as if there were no updates."""
    unreachable = (
        "W: Failed to fetch http://mirror/dists/trixie/InRelease  Could not resolve 'mirror'\n"
        "W: Some index files failed to download. They have been ignored, or old ones used instead.\n"
    )
    signature = (
        "W: An error occurred during the signature verification. The repository is not updated and the previous index"
        " files will be used. GPG error: http://mirror trixie InRelease: EXPKEYSIG 1\n"
    )
    assert "Could not resolve 'mirror'" in Apt(FakeRunner({"update": (0, "", unreachable)})).refresh()
    assert "EXPKEYSIG" in Apt(FakeRunner({"update": (0, "", signature)})).refresh()
    assert Apt(FakeRunner({"update": (100, "", "E: no\n")})).refresh() == "E: no"
    assert Apt(FakeRunner({"update": (0, "Hit:1 http://mirror\n", "W: Target is configured twice\n")})).refresh() == ""


def test_an_index_is_on_the_disk_when_it_has_been_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut short by power that failed, apt would go on using it."""
    lists = tmp_path / "var/lib/apt/lists"
    (lists / "partial").mkdir(parents=True)
    for name in ("a_Packages", "b_InRelease"):
        (lists / name).touch()
    (lists / "link").symlink_to("/nonexistent")
    synced: t.List[str] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(Path(f"/proc/self/fd/{number}").resolve().name))
    apt = Apt(FakeRunner({"update": ""}))
    monkeypatch.setattr(apt, "lists", str(lists), raising=False)
    assert apt.refresh() == "" and sorted(synced) == ["a_Packages", "b_InRelease"]
    # There need be none.
    monkeypatch.setattr(apt, "lists", str(tmp_path / "none"), raising=False)
    assert apt.refresh() == ""


# Updates

PHASED = {"bookworm": "kept back", "trixie": "deferred due to phasing"}
HOLDS = "demo-held\t1.0\thold ok installed\ndemo-other\t1.0\tinstall ok installed\n"


def updates(text: str) -> t.Any:
    sources, versions = fixture("policy-sources.txt"), fixture("policy-versions.txt")
    return Apt(FakeRunner({"upgrade": text, "policy demo": versions, "policy": sources, "dpkg-query": HOLDS})).updates()


@pytest.mark.parametrize("system", ["bookworm", "trixie"])
def test_updates(system: str) -> None:
    """What a version before was a hole is mended by the newest one, too, which is not of the security archive."""
    found = updates(fixture(f"upgrade-{system}.txt"))
    assert {update.name: update[1:] for update in found.brought} == {
        "demo-excluded": ("1.0", "2.0", False),
        "demo-multi": ("1.0", "1.1", False),
        "demo-multi:i386": ("1.0", "1.1", False),
        "demo-needs": ("1.0", "2.0", False),
        "demo-phased": ("1.0", "2.0", False),
        "demo-plain": ("1.0", "1.1", False),
        "demo-secure": ("1.0", "1.0+deb12u1", True),
        "demo-under": ("1.0", "1.0+deb12u2", True),
    }
    assert (found.held, found.kept_back) == (("demo-held",), ("demo-breaks",))


@pytest.mark.parametrize("system", ["bookworm", "trixie"])
def test_updates_that_are_not_for_all_machines_yet(system: str) -> None:
    text = fixture(f"upgrade-phased-{system}.txt")
    assert PHASED[system] in text
    found = updates(text)
    assert "demo-phased" not in {update.name for update in found.brought}
    assert (found.held, found.kept_back) == (("demo-held",), ("demo-breaks", "demo-phased"))


def test_no_updates() -> None:
    nothing = "Reading package lists...\n0 upgraded, 0 newly installed, 0 to remove and 0 not upgraded.\n"
    runner = FakeRunner({"upgrade": nothing})
    assert Apt(runner).updates() == ((), (), ())
    assert len(runner.calls) == 1


def test_archives_with_security_updates() -> None:
    release = (
        " 500 {0} Packages\n     release v=22.04,o=Ubuntu,a={1},n=jammy,l={2},c=main,b=amd64\n     origin mirror\n"
    )
    ubuntu = [
        ("http://a/ubuntu jammy-security/main amd64", "jammy-security", "Ubuntu"),
        ("http://a/ubuntu jammy-updates/main amd64", "jammy-updates", "Ubuntu"),
        ("https://esm/infra jammy-infra-security/main amd64", "jammy-infra-security", "UbuntuESM"),
        ("http://mirror/frozen bookworm-2024/main amd64", "stable", "Debian-Security"),
    ]
    text = "Package files:\n" + "".join(release.format(*row) for row in ubuntu) + "Pinned packages:\n"
    assert apt.parse_archives(text) == {f"{row[0]} Packages" for row in ubuntu if row != ubuntu[1]}
    assert apt.parse_archives(fixture("policy-sources.txt")) == {"file:/srv/sec ./ Packages"}


def test_without_a_security_archive_nothing_mends_a_hole() -> None:
    sources = fixture("policy-sources.txt").replace("-security", "").replace("-Security", "")
    runner = FakeRunner({"upgrade": fixture("upgrade-trixie.txt"), "policy": sources, "dpkg-query": HOLDS})
    assert not any(update.security for update in Apt(runner).updates().brought)


def test_what_was_there_for_others_stays_so() -> None:
    runner = FakeRunner({"showauto": "demo-plain\ndemo-multi:i386\n", "install": "", "apt-mark auto": ""})
    Apt(runner).upgrade({"demo-plain": "1.1", "demo-needs": "2.0", "demo-multi:i386": "1.1"})
    asked, install, marked = runner.calls
    assert asked == ["apt-mark", "showauto", "demo-multi:i386", "demo-needs", "demo-plain"]
    assert install[-4:] == ["install", "demo-multi:i386=1.1", "demo-needs=2.0", "demo-plain=1.1"]
    assert "--no-remove" in install and "--allow-change-held-packages" not in install
    assert marked == ["apt-mark", "auto", "demo-plain", "demo-multi:i386"]


def test_it_stays_so_when_apt_fails_and_nothing_is_marked_without_need() -> None:
    runner = FakeRunner({"showauto": "demo-plain\n", "install": (100, "", "E: no room\n"), "apt-mark auto": ""})
    with pytest.raises(SlipwayError, match="no room"):
        Apt(runner).upgrade({"demo-plain": "1.1"})
    assert runner.calls[-1] == ["apt-mark", "auto", "demo-plain"]
    quiet = FakeRunner({"showauto": "", "install": ""})
    Apt(quiet).upgrade({"demo-plain": "1.1"})
    assert not quiet.called("auto")


# Reboots


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("6.1.0-28-amd64", ("6.1.0-28", "amd64")),
        ("6.1.0-28-cloud-amd64", ("6.1.0-28", "cloud-amd64")),
        ("6.12.48+deb13-amd64", ("6.12.48+deb13", "amd64")),
        ("6.12.9+bpo-rt-amd64", ("6.12.9+bpo", "rt-amd64")),
        ("6.8.0-1021-aws", ("6.8.0-1021", "aws")),
        ("5.15.0-125-generic", ("5.15.0-125", "generic")),
        ("6.12.48", ("6.12.48", "")),
    ],
)
def test_kernels(release: str, expected: t.Tuple[str, str]) -> None:
    assert apt.kernel_flavour(release) == expected


BUILT = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.119-1 (2024-11-22)"
KERNEL = "Package: linux-image-6.1.0-28-amd64\nStatus: install ok installed\nVersion: {}\n"


def reasons(
    root: Path, monkeypatch: pytest.MonkeyPatch, *kernels: str, running: str = "6.1.0-28-amd64", **files: str
) -> t.List[str]:
    """Why a machine that runs a kernel has to be started anew, with these in /boot and these files in /run."""
    for folder in ("boot", "run", "var/lib/dpkg"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for kernel in kernels:
        (root / f"boot/vmlinuz-{kernel}").touch()
    for name, text in files.items():
        (root / "run" / name.replace("__", ".").replace("_", "-")).write_text(text)
    system = types.SimpleNamespace(release=running, version=BUILT)
    monkeypatch.setattr(apt.os, "uname", lambda: system)
    return Apt(FakeRunner({}), root=str(root)).reboot_reasons()


@pytest.mark.parametrize(
    ("kernels", "running", "expected"),
    [
        # A container: the kernel is somebody else's, whatever packages have been installed.
        ([], "6.1.0-28-amd64", []),
        (["6.1.0-30-amd64"], "6.1.0-28-amd64", []),
        (["6.1.0-28-amd64"], "6.1.0-28-amd64", []),
        (["6.1.0-28-amd64", "6.1.0-9-amd64"], "6.1.0-28-amd64", []),
        (["6.1.0-9-amd64", "6.1.0-28-amd64"], "6.1.0-9-amd64", ["linux-image-6.1.0-28-amd64"]),
        # Another flavour is not what would be started.
        (["6.1.0-28-amd64", "6.1.0-30-rt-amd64"], "6.1.0-28-amd64", []),
        (["6.12.9", "6.12.48"], "6.12.9", ["linux-image-6.12.48"]),
    ],
)
def test_a_newer_kernel(
    kernels: t.List[str], running: str, expected: t.List[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert reasons(tmp_path, monkeypatch, *kernels, running=running) == expected


@pytest.mark.parametrize(("installed", "is_newer"), [("6.1.119-1", False), ("6.1.120-1", True), ("6.1.99-1", False)])
def test_a_newer_kernel_by_the_same_name(
    installed: str, is_newer: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_text(KERNEL.format(installed))
    found = reasons(tmp_path, monkeypatch, "6.1.0-28-amd64")
    assert found == ([f"linux-image-6.1.0-28-amd64 {installed}"] if is_newer else [])


def test_what_packages_ask_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reasons(tmp_path, monkeypatch, reboot_required="*** System restart required ***\n") == [
        "/run/reboot-required"
    ]
    more = {"reboot_required__pkgs": "linux-image-6.1.0-30-amd64\nlibc6\nlibc6\n"}
    kernels = ("6.1.0-28-amd64", "6.1.0-30-amd64")
    assert reasons(tmp_path, monkeypatch, *kernels, **more) == ["libc6", "linux-image-6.1.0-30-amd64"]
