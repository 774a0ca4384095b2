# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Outputs are those of dnf 4.23 and rpm 4.20 of Debian 13, with packages that have the names of real ones."""

from __future__ import annotations

import functools
import hashlib
import stat
import time
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages import dnf
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.dnf import Dnf, DnfSource
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.interface import (
    Installed,
    Offer,
    Refused,
    Repository,
    State,
    Transaction,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki.openpgp import keyring
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner, recorded, write
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import fixture as of_apt

fixture = functools.partial(recorded, "dnf")
RELEASE = "150500.1.1"
URL = "http://127.0.0.1:18080/good/"
MAIN = "[main]\ngpgcheck=1\nbest=True\n"


# --- Versions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        # Each as `rpm.vercmp` of rpm 4.20 has it.
        ("1.9.0-1", "1.10.0-1"),
        ("1.37.1-150500.1.1", "1.37.1-150500.2.1"),
        ("1.0~rc1-1", "1.0-1"),
        ("1.0-1", "1.0^git1-1"),
        ("1.0^git1-1", "1.0.1-1"),
        ("1.0~rc1-1", "1.0^git1-1"),
        ("2.0^a-1", "2.0a-1"),
        ("1.0-1", "1.0a-1"),
        ("a-1", "1-1"),
        ("1.0a-1", "1.0b-1"),
        ("1.a-1", "1.1-1"),
        ("1.7.27-3.el9", "1.7.27-3.el9_6"),
        ("9.9-1", "1:0.1-1"),
    ],
)
def test_order_of_versions(older: str, newer: str) -> None:
    assert Dnf.compare_versions(older, newer) < 0 < Dnf.compare_versions(newer, older)


@pytest.mark.parametrize(("one", "other"), [("0:1.0-1", "1.0-1"), ("010-1", "10-1"), ("1.0.-1", "1.0-1")])
def test_equal_versions(one: str, other: str) -> None:
    assert Dnf.compare_versions(one, other) == 0


@pytest.mark.parametrize(
    ("wanted", "version", "expected"),
    [
        ("1.37.1", "1.37.1-150500.1.1", True),
        ("1.37.1-150500.1.1", "1.37.1-150500.1.1", True),
        ("1.37", "1.37.1-150500.1.1", False),
        ("2.2.*", "2.2.0-1.el9", True),
        ("28.0.1", "3:28.0.1-1.el9", True),
    ],
)
def test_what_a_wanted_version_means(wanted: str, version: str, expected: bool) -> None:
    assert Dnf.version_matches(wanted, version) is expected


# --- What the tools print -------------------------------------------------------------------------------------------


def test_what_rpm_has() -> None:
    found = dnf.parse_rpm(fixture("rpm-all"))
    assert ("kubelet", "x86_64", f"1.36.4-{RELEASE}") in found and len(found) == 6
    # Keys are in the same database, and are no packages.
    assert "gpg-pubkey" in fixture("rpm-all") and "gpg-pubkey" not in [row[0] for row in found]
    assert dnf.parse_rpm("bind\tx86_64\t32:9.18-1\nbash\tx86_64\t0:5.2-1\n") == [
        ("bind", "x86_64", "32:9.18-1"),
        ("bash", "x86_64", "5.2-1"),
    ]


def test_what_repositories_have() -> None:
    found = dnf.parse_repoquery(fixture("repoquery"))
    assert found[:2] == [
        ("containerd", "1.7.27-2.el9", "slipway-kubernetes"),
        ("epochal", "3:2.0-1", "slipway-kubernetes"),
    ]
    assert [version for name, version, _id in found if name == "kubelet"] == [
        f"1.36.4-{RELEASE}",
        f"1.37.0-{RELEASE}",
        f"1.37.1-{RELEASE}",
    ]


WRAPPED = """\
Dependencies resolved.
================================================================================
 Package    Arch   Version         Repository      Size
================================================================================
Installing:
 a-package-with-a-name-that-is-longer-than-its-column
            x86_64 1.0-1           baseos         6.9 k
Installing weak dependencies:
 other      noarch 2:2.0-1         baseos          12 M
Skipping packages with conflicts:
 third      x86_64 3.0-1           baseos         6.9 k
Enabling module streams:
 nodejs            18
Reinstalling:
 again      x86_64 4.0-1           baseos         6.9 k

Transaction Summary
"""


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (
            "table-install",
            {
                "kubeadm": f"1.36.4-{RELEASE}",
                "kubectl": f"1.36.4-{RELEASE}",
                "kubelet": f"1.36.4-{RELEASE}",
                "cri-tools": f"1.37.0-{RELEASE}",
                "kubernetes-cni": f"1.7.1-{RELEASE}",
            },
        ),
        ("table-upgrade", {"kubelet": f"1.37.0-{RELEASE}"}),
        ("table-downgrade", {"epochal": "3:2.0-1", "cri-tools": f"1.36.0-{RELEASE}"}),
        ("table-long", {"a-package-with-quite-a-long-name-indeed": "2026.11.30-0.1.rc1.el9_6.2"}),
        (
            "shell-replace",
            {
                "containerd.io": "2.1.5-1.el9",
                "kubelet": f"1.37.1-{RELEASE}",
                "containerd": None,
                "runc": None,
                "kubectl": None,
            },
        ),
        ("shell-remove", {"kubelet": None, "kubeadm": None}),
        ("install-nothing", {}),
    ],
)
def test_what_a_transaction_would_do(table: str, expected: t.Dict[str, t.Optional[str]]) -> None:
    assert Dnf.planned(fixture(table)) == expected


def test_a_name_that_is_longer_than_its_column() -> None:
    assert Dnf.planned(WRAPPED) == {
        "a-package-with-a-name-that-is-longer-than-its-column": "1.0-1",
        "other": "2:2.0-1",
        "again": "4.0-1",
    }


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("wrong-key", "is not signed by the key given: it is signed by another key, or the key has expired"),
        ("expired-key", "or the key has expired"),
        ("tampered", "or the index was changed afterwards"),
        ("not-signed", "its index is not signed (there is no repodata/repomd.xml.asc)"),
        ("not-found", "there is no repository at this URL (no repodata/repomd.xml)"),
        ("forbidden", "its server answers with the status 403."),
        ("corrupt", "its files are not those that its index names"),
        ("refused", "cannot be reached (Could not connect to server for http://127.0.0.1:9/x/"),
        ("unresolved", "[Could not resolve host: nosuch.invalid])."),
        ("no-folder", "it cannot be read (Couldn't open file /nosuch/repodata/repomd.xml)."),
        ("untrusted-certificate", "its TLS certificate is not trusted (SSL peer certificate"),
    ],
)
def test_a_repository_that_cannot_be_fetched_is_explained(case: str, expected: str) -> None:
    assert expected in (dnf.explain_fetch(fixture(f"fetch-{case}")) or "")


def test_a_good_repository_needs_no_explanation() -> None:
    assert dnf.explain_fetch(fixture("fetch-good")) is None


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (
            "install-broken",
            " Problem: conflicting requests\n  - nothing provides libnosuch.so.1()(64bit) needed by broken-1.0-1.x86_64"
            " from slipway-kubernetes",
        ),
        ("install-no-match", "No match for argument: kubelet-9.9\nError: Unable to find a match: kubelet-9.9"),
        ("install-excluded", f"kubelet-1.37.0-{RELEASE}: excludepkgs in /etc/dnf/dnf.conf or"),
        ("install-not-signed", "Package epochal-2.0-1.x86_64.rpm is not signed\nError: GPG check FAILED\nThe packages"),
        ("install-wrong-key", "Public key for epochal-2.0-1.x86_64.rpm is not installed."),
        ("install-outdated", "A server has not what its index names"),
        ("shell-broken", " Problem: conflicting requests\n  - nothing provides libnosuch.so.1()"),
        ("shell-no-match", "No match for argument: nosuch\nNo match for argument: nix\nError: Unable to find"),
        ("repository-refused", "dnf does nothing while the repository epel is not as it should be: it cannot be"),
    ],
)
def test_what_is_refused_is_explained(case: str, expected: str) -> None:
    assert expected in dnf.explain_transaction(fixture(case))


def test_a_package_that_a_module_hides() -> None:
    # The words of dnf 4.23's cli/output; modules were not recorded.
    text = "All matches were filtered out by modular filtering for argument: containerd\nError: Unable to find a match"
    assert "containerd: a module of the distribution hides it (dnf module list)" in dnf.explain_transaction(text)


def test_complaints() -> None:
    assert dnf.complaints("one\n\ntwo\n") == "one\ntwo"
    assert dnf.complaints("") == "it printed nothing"


# --- Files ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        (MAIN, []),
        (f"{MAIN}excludepkgs=kubelet, kubeadm\n", ["kubelet", "kubeadm"]),
        (f"{MAIN}exclude = kubelet kubeadm\n  kubectl\nexcludepkgs=cri*\n", ["kubelet", "kubeadm", "kubectl", "cri*"]),
        (f"{MAIN}# excludepkgs=no\n[epel]\nexcludepkgs=other\n", []),
        ("[epel]\nexclude=other\n[main]\nexcludepkgs=kubelet", ["kubelet"]),
    ],
)
def test_exclusions(text: str, found: t.List[str]) -> None:
    assert dnf.exclusions(text) == found
    changed = dnf.with_exclusions(text, ["a", "b*"])
    assert dnf.exclusions(changed) == ["a", "b*"] and dnf.exclusions(dnf.with_exclusions(changed, [])) == []


def test_other_lines_of_the_configuration_stay() -> None:
    text = "# of the site\n[main]\ngpgcheck=1\nexclude=x\n  y\nbest=True\n[epel]\nexclude=z\n"
    expected = "# of the site\n[main]\ngpgcheck=1\nexcludepkgs=x, kubelet\nbest=True\n[epel]\nexclude=z\n"
    assert dnf.with_exclusions(text, ["x", "kubelet"]) == expected
    assert dnf.with_exclusions("", ["a"]) == "[main]\nexcludepkgs=a\n"
    assert dnf.with_exclusions("[epel]\nname=x", ["a"]) == "[epel]\nname=x\n[main]\nexcludepkgs=a\n"


def test_repositories_of_the_machine(tmp_path: Path) -> None:
    write(tmp_path, "etc/yum.repos.d/rocky.repo", "[baseos]\nmirrorlist=https://mirrors/$releasever\nenabled=1\n")
    write(tmp_path, "etc/yum.repos.d/off.repo", f"[off]\nbaseurl={URL}\nenabled=0\n[main]\nbaseurl={URL}\n")
    write(tmp_path, "etc/yum.repos.d/wrong.repo", "no section\n")
    write(tmp_path, "etc/yum.repos.d/two.repo", "[two]\nbaseurl=http://one/\n  http://two/\n[empty]\nname=x\n")
    manager = Dnf(FakeRunner({}), root=str(tmp_path))
    assert sorted(url for _path, url in manager.sources()) == [
        "http://one/",
        "http://two/",
        "https://mirrors/$releasever",
    ]


# --- The tools ------------------------------------------------------------------------------------------------------


def test_waits_for_a_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: t.List[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    runner = FakeRunner({"makecache": [(200, fixture("locked"), ""), (200, "", ""), ""]})
    assert Dnf(runner, options=["--noplugins"]).refresh() == ""
    assert runner.calls[0] == [
        "dnf-3",
        "--setopt=exit_on_lock=1",
        "--noplugins",
        "--assumeyes",
        "makecache",
        "--refresh",
    ]
    assert len(pauses) == 2


def test_gives_up_on_a_lock() -> None:
    with pytest.raises(SlipwayError, match=r"holding a lock of the package manager for 0 s: metadata already locked"):
        Dnf(FakeRunner({"makecache": (200, fixture("locked"), "")}), lock_timeout=0).refresh()


def test_the_index_cannot_be_refreshed() -> None:
    failure = Dnf(FakeRunner({"makecache": (1, fixture("repository-refused"), "")})).refresh()
    assert failure.startswith("dnf does nothing while the repository epel is not")


def test_the_package_of_a_program() -> None:
    runner = FakeRunner(
        {
            "/usr/bin/kubelet": "kubelet\n",
            "/etc/hosts": (1, "file /etc/hosts is not owned by any package\n", ""),
            "/gone": (1, "", "error: file /gone: No such file or directory\n"),
            "/broken": (1, "", "error: cannot open Packages database\n"),
        }
    )
    manager = Dnf(runner)
    paths = ("/usr/bin/kubelet", "/etc/hosts", "/gone", "/broken")
    assert [manager.owner(path) for path in paths] == ["kubelet", "", "", None]


def test_what_the_package_has_brought_is_nobodys(tmp_path: Path) -> None:
    path = "/etc/kubelet/config.toml"
    manager = Dnf(FakeRunner({path: fixture("rpm-files"), "/other": ""}), root=str(tmp_path))
    assert not manager.is_pristine(path)
    for text, expected in (("default 1.36.4\n", True), ("default 1.36.4\n# changed\n", False)):
        write(tmp_path, path[1:], text)
        assert manager.is_pristine(path) is expected
    write(tmp_path, "other", "x")
    assert not manager.is_pristine("/other")


def test_without_md5_a_file_is_taken_for_somebodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a.cfg", "of the package\n")
    digest = hashlib.md5(b"of the package\n").hexdigest()
    manager = Dnf(FakeRunner({"rpm": f"/a.cfg\t{digest}\n"}), root=str(tmp_path))
    assert manager.is_pristine("/a.cfg")

    def forbidden(*_arguments: t.Any) -> None:
        raise ValueError("disabled for FIPS")

    monkeypatch.setattr(hashlib, "new", forbidden)
    assert not manager.is_pristine("/a.cfg")


def test_versions_of_what_is_installed() -> None:
    manager = Dnf(FakeRunner({"rpm": (1, fixture("rpm-some"), "")}))
    assert manager.versions(["kubelet", "nosuch", "kubeadm"]) == {
        "kubelet": f"1.36.4-{RELEASE}",
        "kubeadm": f"1.36.4-{RELEASE}",
    }
    assert manager.versions([]) == {}


def test_installed_and_held(tmp_path: Path) -> None:
    write(tmp_path, "etc/dnf/dnf.conf", f"{MAIN}excludepkgs=kubelet, cri*\n")
    packages = Dnf(FakeRunner({"--all": fixture("rpm-all")}), root=str(tmp_path)).installed()
    assert packages["kubelet"] == Installed(f"1.36.4-{RELEASE}", True)
    assert packages["cri-tools"].hold and not packages["kubeadm"].hold and packages["kubeadm"].present


#: As it was after dnf had been killed (SIGKILL) in a script of the new version.
TWICE = "slow\tx86_64\t1.0-1\nslow\tx86_64\t2.0-1\nkernel\tx86_64\t5.14-1\nkernel\tx86_64\t5.14-2\n"
PROVIDED = {"--provides slow": "slow = 2.0-1\n", "--provides kernel": "kernel = 5.14-2\ninstallonlypkg(kernel)\n"}


def test_a_transaction_that_was_killed_is_finished() -> None:
    runner = FakeRunner({"--all": TWICE, **PROVIDED, "--erase": ""})
    packages = Dnf(runner).installed()
    assert packages["slow"].state is State.BROKEN and packages["slow"].version == "2.0-1"
    assert packages["slow"].words == "installed in several versions (2.0-1, 1.0-1)"
    assert packages["kernel"] == Installed("5.14-2")
    Dnf(runner).repair()
    assert runner.called("--erase") == [["rpm", "--erase", "--nodeps", "slow-1.0-1"]]


def test_two_architectures_are_no_two_versions() -> None:
    runner = FakeRunner({"--all": "glibc\ti686\t2.34-1\nglibc\tx86_64\t2.34-1\n"})
    assert Dnf(runner).installed() == {"glibc": Installed("2.34-1")}


def test_offers(tmp_path: Path) -> None:
    write(tmp_path, "etc/dnf/dnf.conf", f"{MAIN}excludepkgs=kubelet, other\n")
    runner = FakeRunner(
        {
            "--disableexcludes=all": "kubectl 1.36.4-1 kubernetes\n",
            "repoquery": fixture("repoquery"),
            "rpm": "by-hand\tx86_64\t1.0-1\npackage nosuch is not installed\n",
        }
    )
    found = Dnf(runner, root=str(tmp_path)).offered(["kubelet", "kubectl", "epochal", "by-hand", "nosuch"])
    assert found["by-hand"] == Offer("1.0-1", ())
    assert found["kubelet"].candidate == f"1.37.1-{RELEASE}" and len(found["kubelet"].versions) == 3
    assert found["epochal"] == Offer("3:2.0-1", ("3:2.0-1",))
    # It is there, and the machine's settings forbid it.
    assert found["kubectl"] == Offer(None, ("1.36.4-1",)) and "nosuch" not in found
    # What has been asked for is seen although it is on hold; kubeadm, which only came along, is not.
    assert "--setopt=excludepkgs=,other" in runner.calls[0] and "kubeadm" not in found
    assert Dnf(runner).offered([]) == {}


def test_the_candidate_is_of_the_repository_that_goes_first(tmp_path: Path) -> None:
    write(tmp_path, "etc/yum.repos.d/a.repo", f"[first]\nbaseurl={URL}\npriority=10\n[second]\nbaseurl={URL}\n")
    runner = FakeRunner({"repoquery": "jq 1.6-1 first\njq 1.7-1 second\n"})
    assert Dnf(runner, root=str(tmp_path)).offered(["jq"]) == {"jq": Offer("1.6-1", ("1.6-1", "1.7-1"))}


def test_sources_that_cannot_be_read() -> None:
    runner = FakeRunner({"repoquery": (1, "", fixture("repository-refused"))})
    with pytest.raises(SlipwayError, match=r"the repository epel .* turn it off \(enabled=0 in its file\)\. Nothing"):
        Dnf(runner).offered(["kubelet"])


def test_missing_packages_are_explained(tmp_path: Path) -> None:
    manager = Dnf(FakeRunner({"ku*": fixture("repoquery"), "repoquery": ""}), root=str(tmp_path))
    assert "similar names are kubelet" in manager.explain_missing("kubelt", "1.0", None)
    assert manager.explain_missing("zz", None, None) == "package zz is unknown"
    offer = Offer("1.36.4-1", ("1.36.4-1",))
    assert manager.explain_missing("kubelet", "1.3", offer) == "kubelet has no version 1.3; available are 1.36.4-1"
    write(tmp_path, "etc/dnf/plugins/versionlock.list", "\n# Added lock\nkubelet-0:1.36.4-1.*\n")
    assert manager.explain_missing("kubelet", "1.3", offer).endswith("(others are hidden by dnf versionlock)")


def test_what_preflight_asks_for(tmp_path: Path) -> None:
    write(tmp_path, "etc/dnf/vars/stream", "9-stream\n")
    release = "9.6\trocky-release=9.6-1.3.el9 system-release=9.6-1.3.el9 system-release(releasever)=9 \n"
    repositories = (
        "[a]\nbaseurl=http://m/$releasever/${stream}/\n[b]\nmetalink=https://m/meta?r=$releasever\n"
        "[c]\nbaseurl=http://m/$unknown/\n[d]\nbaseurl=file:///srv\n"
    )
    file = write(tmp_path, "etc/yum.repos.d/a.repo", repositories)
    manager = Dnf(FakeRunner({"rpm": release + release}), root=str(tmp_path))
    assert manager.indexes() == [["http://m/9/9-stream/repodata/repomd.xml"], ["https://m/meta?r=9"]]
    file.write_text(f"{repositories}[e]\nbaseurl=https://cdn/\nsslclientcert=/etc/pki/x.pem\n")
    assert manager.indexes() == []
    file.write_text(repositories)
    write(tmp_path, "etc/dnf/dnf.conf", f"{MAIN}proxy=http://proxy:3128\n")
    assert manager.indexes() == []


NO_RELEASE = "no package provides system-release(releasever)"


@pytest.mark.parametrize(
    ("listed", "variable", "expected"),
    [
        # The package says no more than its own version, as that of Amazon Linux, which is not the one of os-release.
        (f"{NO_RELEASE}\n2023.9.20250929\tsystem-release= \n", None, "2023.9.20250929"),
        ("2023.9.20250929\tsystem-release= \n", "", "2023.9.20250929"),
        ("2023.9.20250929\tsystem-release= \n", "latest\n", "latest"),
        ("43\tfedora-release=43-25 system-release= system-release(43)= \n", None, "43"),
        (f"{NO_RELEASE}\nno package provides system-release\n", None, None),
    ],
)
def test_what_stands_for_the_release(
    tmp_path: Path, listed: str, variable: t.Optional[str], expected: t.Optional[str]
) -> None:
    write(tmp_path, "etc/os-release", 'ID="amzn"\nVERSION_ID="2023"\n')
    write(tmp_path, "etc/yum.repos.d/a.repo", "[a]\nmirrorlist=https://m/core/$releasever/mirror.list\n")
    if variable is not None:
        write(tmp_path, "etc/dnf/vars/releasever", variable)
    manager = Dnf(FakeRunner({"rpm": listed}), root=str(tmp_path))
    assert manager.indexes() == ([[f"https://m/core/{expected}/mirror.list"]] if expected else [])


# --- Transactions ---------------------------------------------------------------------------------------------------


def test_one_command_installs(tmp_path: Path) -> None:
    write(tmp_path, "etc/dnf/dnf.conf", f"{MAIN}excludepkgs=kubelet, kubeadm\n")
    manager = Dnf(FakeRunner({}), root=str(tmp_path))
    transaction = Transaction({"kubelet": "1.37.1-1", "epochal": "3:2.0-1"})
    words, stdin = manager.transaction_arguments(transaction, simulate=True)
    assert words[:2] == ["--cacheonly", "--assumeno"] and stdin is None
    assert words[-3:] == ["install", "epochal-3:2.0-1", "kubelet-1.37.1-1"]
    assert not [word for word in words if "excludepkgs" in word]
    change = Transaction({"kubelet": "1.37.1-1", "runc": None}, change_held=True)
    words, stdin = manager.transaction_arguments(change, simulate=False)
    assert words[0] == "--assumeyes" and words[-2:] == ["--setopt=excludepkgs=,kubeadm", "shell"]
    assert stdin == "install kubelet-1.37.1-1\nremove runc\nrun\nexit"
    both = Transaction({"kubelet": "1", "kubeadm": "1"}, change_held=True)
    assert "--setopt=excludepkgs=" in manager.transaction_arguments(both, simulate=False)[0]


def test_the_plan() -> None:
    transaction = Transaction({"kubelet": f"1.37.0-{RELEASE}"})
    assert Dnf(FakeRunner({"install": (1, fixture("table-upgrade"), "")})).plan(transaction) == transaction.targets
    replaced = Transaction({"containerd.io": "2.1.5-1.el9", "containerd": None, "runc": None, "kubectl": None})
    assert Dnf(FakeRunner({"shell": fixture("shell-replace")})).plan(replaced)["kubelet"] == f"1.37.1-{RELEASE}"


@pytest.mark.parametrize(
    ("case", "code", "targets"),
    [
        ("install-broken", 1, {"broken": "1.0-1"}),
        # The shell goes on after each of these, and ends with 0.
        ("shell-no-match", 0, {"nosuch": "1", "kubectl": None}),
        ("shell-broken", 0, {"broken": "1.0-1", "kubectl": None}),
        ("shell-nothing", 0, {"nix": None}),
    ],
)
def test_a_plan_that_is_refused(case: str, code: int, targets: t.Dict[str, t.Optional[str]]) -> None:
    runner = FakeRunner({"dnf": (code, fixture(case), "")})
    with pytest.raises(Refused) as refused:
        Dnf(runner).plan(Transaction(targets))
    assert "Problem" in refused.value.msg or "No match" in refused.value.msg
    with pytest.raises(Refused):
        Dnf(runner).install(Transaction(targets))
    assert not runner.called("--assumeyes")


def test_only_who_asks_for_it_goes_back() -> None:
    arguments = [
        Dnf(FakeRunner({})).transaction_arguments(Transaction({"a": "1-1"}, downgrade=allowed), True)[0]
        for allowed in (True, False)
    ]
    assert ["--setopt=allow_downgrade=1" in words for words in arguments] == [True, False]
    assert ["--setopt=allow_downgrade=0" in words for words in arguments] == [False, True]


def test_what_is_replaced_without_being_named_stays() -> None:
    runner = FakeRunner({"install": (1, fixture("shell-replace"), "")})
    with pytest.raises(Refused) as refused:
        Dnf(runner).install(Transaction({"containerd.io": "2.1.5-1.el9"}))
    assert refused.value.removals == ["containerd", "kubectl", "runc"]
    assert not runner.called("--assumeyes")


def test_what_is_removed_is_on_hold_no_longer(tmp_path: Path) -> None:
    file = write(tmp_path, "etc/dnf/dnf.conf", f"{MAIN}excludepkgs=kubectl, kubelet\n")
    runner = FakeRunner({"--assumeno": fixture("shell-remove"), "--assumeyes": fixture("shell-removed")})
    Dnf(runner, root=str(tmp_path)).install(Transaction({"kubectl": None}, change_held=True))
    assert dnf.exclusions(file.read_text()) == ["kubelet"]


def test_a_server_that_has_newer_files_by_now() -> None:
    runner = FakeRunner(
        {"--assumeno": (1, fixture("table-upgrade"), ""), "--assumeyes": (1, "", fixture("install-outdated"))}
    )
    with pytest.raises(Refused) as refused:
        Dnf(runner).install(Transaction({"epochal": "3:2.0-1"}))
    assert refused.value.outdated and "No more mirrors to try" in refused.value.msg
    with pytest.raises(Refused, match="killed by signal 9"):
        Dnf(FakeRunner({"dnf": (-9, "", "")})).plan(Transaction({"epochal": "3:2.0-1"}))


def test_hold_and_release(tmp_path: Path) -> None:
    file = write(tmp_path, "etc/dnf/dnf.conf", f"{MAIN}excludepkgs=of-the-site*\n")
    file.chmod(0o600)
    manager = Dnf(FakeRunner({}), root=str(tmp_path))
    manager.hold(["kubelet", "kubeadm"], [])
    assert dnf.exclusions(file.read_text()) == ["of-the-site*", "kubelet", "kubeadm"]
    # It may have the password of a proxy.
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.stat().st_mtime_ns
    manager.hold(["kubelet"], ["nosuch"])
    assert file.stat().st_mtime_ns == before
    manager.hold([], ["kubelet"])
    assert file.read_text() == f"{MAIN}excludepkgs=of-the-site*, kubeadm\n"
    with pytest.raises(SlipwayError, match=r"cannot be released: .*dnf\.conf excludes of-the-site\*"):
        manager.hold([], ["of-the-site-app"])


def test_a_hold_on_a_machine_without_a_configuration(tmp_path: Path) -> None:
    Dnf(FakeRunner({}), root=str(tmp_path)).hold(["kubelet"], [])
    assert (tmp_path / "etc/dnf/dnf.conf").read_text() == "[main]\nexcludepkgs=kubelet\n"


# --- Package sources ------------------------------------------------------------------------------------------------


KEY = keyring(of_apt("kubernetes.asc").encode())


def source(root: Path, answers: t.Mapping[str, t.Any], url: str = URL, **settings: t.Any) -> DnfSource:
    """The repository ``kubernetes``."""
    return DnfSource(Dnf(FakeRunner(answers), root=str(root)), Repository("kubernetes", url, settings), 5)


def test_the_file_of_a_repository(tmp_path: Path) -> None:
    made = source(tmp_path, {})
    made.check()
    text = made.render("/etc/pki/rpm-gpg/slipway-kubernetes.asc", KEY, "https://me:secret@host/key").decode()
    assert "secret" not in text and made.path.endswith("/etc/yum.repos.d/slipway-kubernetes.repo")
    assert text.splitlines()[2:] == [
        "[slipway-kubernetes]",
        "name=kubernetes",
        f"baseurl={URL}",
        "enabled=1",
        "gpgcheck=1",
        "repo_gpgcheck=1",
        "gpgkey=file:///etc/pki/rpm-gpg/slipway-kubernetes.asc",
        "module_hotfixes=1",
    ]
    below = source(tmp_path, {}, "https://host/centos/", path="/$releasever/$basearch/stable")
    assert b"\nbaseurl=https://host/centos/$releasever/$basearch/stable\n" in below.render("/k", KEY, None)
    assert below.shown == "https://host/centos/$releasever/$basearch/stable"
    assert keyring(made.key_file(KEY)) == KEY and made.key_file(KEY).startswith(
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n"
    )


@pytest.mark.parametrize(
    ("url", "settings", "message"),
    [
        # An index is verified, whatever is asked.
        (URL, {"repo_gpgcheck": False}, "settings: repo_gpgcheck cannot be said of a repository here"),
        ("http://one,http://two", {}, "a comma"),
        (URL, {"path": "a b"}, "a space"),
        ("http://one http://two", {}, "malformed"),
        (URL, {"suite": "/"}, "settings: suite cannot be said of a repository here; known are path."),
        ("https://me:hidden@mirror/", {}, "sslclientcert in /etc/dnf/dnf.conf"),
    ],
)
def test_what_dnf_would_misread(tmp_path: Path, url: str, settings: t.Dict[str, t.Any], message: str) -> None:
    with pytest.raises(SlipwayError, match=message):
        source(tmp_path, {}, url, **settings).check()


OTHER = f"[k8s]\nname=k8s\nbaseurl={URL.rstrip('/')}\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file:///etc/pki/k8s\n"


@pytest.mark.parametrize(
    ("text", "key_path", "is_equal"),
    [
        (OTHER, "/etc/pki/k8s", True),
        # As the documentation of Kubernetes has it: the index is not verified.
        (OTHER.replace("repo_gpgcheck=1\n", "exclude=kubelet kubeadm\n"), "/etc/pki/k8s", False),
        (OTHER.replace("gpgcheck=1\nrepo", "gpgcheck=0\nrepo"), "/etc/pki/k8s", False),
        (OTHER.replace("file:///etc", "https://host"), "", False),
        (f"{OTHER}sslverify=0\n", "/etc/pki/k8s", False),
    ],
)
def test_another_file_names_the_repository(tmp_path: Path, text: str, key_path: str, is_equal: bool) -> None:
    file = write(tmp_path, "etc/yum.repos.d/k8s.repo", text)
    (found,) = source(tmp_path, {}).neighbours()
    assert (found.path, found.key_path) == (str(file), key_path)
    assert found.is_equal is is_equal or not key_path
    (tmp_path / "etc/yum.repos.d/k8s.repo").unlink()
    write(tmp_path, "etc/yum.repos.d/slipway-kubernetes.repo", text)
    assert source(tmp_path, {}).neighbours() == []


def test_what_the_machine_has_of_a_repository(tmp_path: Path) -> None:
    seen: t.List[str] = []

    def answer(words: t.List[str]) -> str:
        (folder,) = [word.partition("reposdir=")[2] for word in words if "reposdir=" in word]
        seen.append((Path(folder) / "slipway.repo").read_text())
        return fixture("repoquery")

    made = source(tmp_path, {"--cacheonly": answer})
    assert made.known(b"", []) == {}
    found = made.known(made.render("/etc/pki/k8s", KEY, None), ["kubelet", "nosuch"])
    assert list(found) == ["kubelet"] and found["kubelet"].candidate == f"1.37.1-{RELEASE}"
    # Of a repository that serves for ours it is kept by that one's name and address.
    write(tmp_path, "etc/yum.repos.d/k8s.repo", OTHER)
    made.known(made.render("/etc/pki/k8s", KEY, None), ["kubelet"])
    assert "[slipway-kubernetes]\n" in seen[0] and f"[k8s]\nname=kubernetes\nbaseurl={URL.rstrip('/')}\n" in seen[1]
    assert source(tmp_path, {"--cacheonly": (1, "", "Error: Cache-only enabled but no cache")}).known(b"", ["a"]) == {}


def test_a_repository_is_fetched_and_kept(tmp_path: Path) -> None:
    def fetch(words: t.List[str]) -> str:
        (cache,) = [word.partition("cachedir=")[2] for word in words if "cachedir=" in word]
        write(Path(cache), "slipway-kubernetes-35ad6b96bca6787a/repodata/repomd.xml", "new")
        write(Path(cache), "slipway-kubernetes.solv", "")
        (Path(cache) / "slipway-kubernetes-35ad6b96bca6787a/S.gpg-agent").symlink_to("/nonexistent")
        return fixture("fetch-good")

    kept = tmp_path / "srv/cache/slipway-kubernetes-35ad6b96bca6787a"
    write(kept, "repodata/repomd.xml", "old")
    write(tmp_path, "etc/dnf/dnf.conf", "[main]\ncachedir=/srv/cache\n")
    with source(tmp_path, {"makecache": fetch, "repoquery": fixture("repoquery")}).fetched(KEY) as index:
        # What is installed is no offer of the repository.
        assert "nosuch" not in index.manager.offered(["nosuch"])
        assert index.manager.offered(["kubelet"])["kubelet"].candidate == f"1.37.1-{RELEASE}"
        assert (kept / "repodata/repomd.xml").read_text() == "old"
        index.keep()
    assert (kept / "repodata/repomd.xml").read_text() == "new"
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]
    assert [path.name for path in kept.iterdir()] == ["repodata"]


def test_a_repository_that_cannot_be_fetched(tmp_path: Path) -> None:
    made = source(tmp_path, {"makecache": (1, "", fixture("fetch-wrong-key"))})
    with pytest.raises(SlipwayError, match="is not signed by the key given"), made.fetched(KEY):
        raise AssertionError("not reached")
    strange = source(tmp_path, {"makecache": (1, "", "Error: something new\n")})
    with pytest.raises(SlipwayError, match="Error: something new"), strange.fetched(KEY):
        raise AssertionError("not reached")
    assert list(tmp_path.iterdir()) == []
