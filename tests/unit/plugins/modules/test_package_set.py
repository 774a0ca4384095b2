# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.apt import Apt
from ansible_collections.slipway.kubernetes.plugins.modules import package_set as module
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner, fixture, run_main

BARE = "bash\t5.2.37-2+b10\tinstall ok installed\n"
KUBEADM = {"name": "kubeadm", "version": "1.37.1", "hold": True}
JQ = {"name": "jq"}
INSTALLED = BARE + "kubeadm\t1.37.1-1.1\t{} ok installed\njq\t1.6-1\tinstall ok installed\n"
FRESH, HELD = INSTALLED.format("install"), INSTALLED.format("hold")


def policy(name: str, *versions: str) -> str:
    rows = "".join(f"     {version} 500\n        500 http://mirror/deb  Packages\n" for version in versions)
    return f"{name}:\n  Installed: (none)\n  Candidate: {versions[0]}\n  Version table:\n{rows}"


POLICY = policy("kubeadm", "1.37.1-1.1", "1.37.0-1.1") + policy("jq", "1.6-1")
SIMULATED = "Inst jq (1.6-1 Debian [amd64])\nInst libjq1 (1.6-1 Debian [amd64])\nInst kubeadm (1.37.1-1.1 m [amd64])\n"


@pytest.fixture(autouse=True)
def fresh_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Apt, "index_age", lambda _self: 10.0)


def run(
    answers: t.Mapping[str, t.Any],
    *packages: t.Mapping[str, t.Any],
    check: bool = False,
    allow_downgrade: bool = False,
    max_age: int = 86400,
) -> t.Tuple[t.Dict[str, t.Any], FakeRunner]:
    runner = FakeRunner(answers)
    items = [{"version": None, "hold": None, "state": "present", **package} for package in packages]
    wanted = module.parse_wanted(items, Apt.names)
    return module.PackageSet(Apt(runner), wanted, allow_downgrade, max_age).run(check), runner


def test_install_and_hold() -> None:
    answers = {"dpkg-query": [BARE, FRESH], "policy": POLICY, "install": "", "--set-selections": ""}
    result, runner = run(answers, KUBEADM, JQ)
    (install,) = runner.called("apt-get")
    assert install[-3:] == ["install", "jq=1.6-1", "kubeadm=1.37.1-1.1"]
    assert {"--assume-yes", "--no-install-recommends", "--no-remove"} <= set(install)
    assert not {"--fix-broken", "--allow-downgrades", "--allow-change-held-packages", "--simulate"} & set(install)
    assert runner.stdins[-1] == "kubeadm hold\n"
    assert result["changed"] and result["installed"] == ["jq", "kubeadm"] and result["held"] == ["kubeadm"]
    assert result["versions"] == {"kubeadm": "1.37.1-1.1", "jq": "1.6-1"}
    assert result["diff"] == {
        "before": "jq: not installed\nkubeadm: not installed\n",
        "after": "jq: 1.6-1\nkubeadm: 1.37.1-1.1 (held)\n",
    }


@pytest.mark.parametrize("check", [False, True])
def test_second_run_asks_dpkg_only(check: bool) -> None:
    result, runner = run({"dpkg-query": HELD}, KUBEADM, JQ, check=check)
    assert not result["changed"] and len(runner.calls) <= 1
    assert result["diff"] == {"before": "", "after": ""}


BACKPORTS = (
    "containerd:\n  Installed: (none)\n  Candidate: {}\n  Version table:\n"
    "     2.1.4-1~bpo12+1 100\n        100 http://mirror bookworm-backports/main amd64 Packages\n"
    "     1.7.24-1 500\n        500 http://mirror site/main amd64 Packages\n"
    "     1.6.20-1 500\n        500 http://mirror bookworm/main amd64 Packages\n"
)


def installable(version: str, candidate: str) -> t.Dict[str, t.Any]:
    """Answers of a host where containerd is installed in this version when apt is asked to."""
    done = f"{BARE}containerd\t{version}\tinstall ok installed\n"
    return {"dpkg-query": [BARE, done], "install": "", "policy": BACKPORTS.format(candidate), "update": ""}


@pytest.mark.parametrize("asked", [None, "", "*", "1.*"])
def test_no_version_asked_for_is_what_apt_would_install(asked: t.Optional[str]) -> None:
    _result, runner = run(installable("1.7.24-1", "1.7.24-1"), {"name": "containerd", "version": asked})
    (install,) = runner.called("apt-get")
    assert install[-1] == "containerd=1.7.24-1"


@pytest.mark.parametrize(("asked", "taken"), [("1.*", "1.6.20-1"), ("2.*", "2.1.4-1~bpo12+1"), ("1.7.24", "1.7.24-1")])
def test_a_pin_decides_between_the_versions_that_are_meant(asked: str, taken: str) -> None:
    _result, runner = run(installable(taken, "1.6.20-1"), {"name": "containerd", "version": asked})
    assert runner.called("apt-get")[0][-1] == f"containerd={taken}"


def test_a_pin_that_forbids_a_package_is_named() -> None:
    with pytest.raises(SlipwayError, match=r"containerd has no candidate, since a pin .* available are 2\.1\.4"):
        run(installable("1.7.24-1", "(none)"), {"name": "containerd", "version": "*"})


def test_check_mode_where_the_source_is_not_there_yet() -> None:
    result, runner = run({"dpkg-query": BARE, "policy": policy("jq", "1.6-1"), "pkgnames": ""}, KUBEADM, JQ, check=True)
    assert result["changed"] and result["versions"] == {"kubeadm": "1.37.1", "jq": "1.6-1"}
    assert result["held"] == ["kubeadm"] and not runner.called("apt-get")
    unknown, _runner = run({"dpkg-query": BARE, "policy": "", "pkgnames": ""}, JQ, check=True)
    assert unknown["versions"] == {"jq": "newest version"}


def test_check_mode_names_dependencies() -> None:
    result, runner = run({"dpkg-query": BARE, "policy": POLICY, "--simulate": SIMULATED}, KUBEADM, JQ, check=True)
    assert result["installed"] == ["jq", "kubeadm", "libjq1"] and not result["index_refreshed"]
    assert len(runner.calls) == 3


@pytest.mark.parametrize("check", [False, True])
def test_hold_drift(check: bool) -> None:
    result, runner = run({"dpkg-query": FRESH, "--set-selections": ""}, KUBEADM, JQ, check=check)
    assert result["changed"] and result["held"] == ["kubeadm"] and not result["installed"]
    assert bool(runner.called("--set-selections")) is not check
    assert result["diff"]["after"] == "kubeadm: 1.37.1-1.1 (held)\n"


def test_release() -> None:
    result, runner = run({"dpkg-query": HELD, "--set-selections": ""}, {"name": "kubeadm", "hold": False})
    assert result["released"] == ["kubeadm"] and runner.stdins[-1] == "kubeadm install\n"


def test_hold_that_fails() -> None:
    with pytest.raises(SlipwayError, match="could not be put on hold or released: dpkg: error: no"):
        run({"dpkg-query": FRESH, "--set-selections": (2, "", "dpkg: error: no\n")}, KUBEADM)


def test_upgrade_of_a_held_package_holds_it_again() -> None:
    old = HELD.replace("1.37.1", "1.37.0")
    answers = {
        "dpkg-query": [old, FRESH],
        "policy": POLICY,
        "--simulate": "Inst kubeadm [1.37.0-1.1] (1.37.1-1.1 m [amd64])\n",
        "install": "",
        "--set-selections": "",
    }
    result, runner = run(answers, KUBEADM)
    assert result["upgraded"] == ["kubeadm"] and result["held"] == []
    assert all("--allow-change-held-packages" in call for call in runner.called("apt-get"))
    assert runner.stdins[-1] == "kubeadm hold\n"


def test_a_held_package_changes_only_when_hold_is_given() -> None:
    old = HELD.replace("1.37.1", "1.37.0")
    with pytest.raises(SlipwayError, match=r"kubeadm 1\.37\.0-1\.1 is on hold and would have to become 1\.37\.1-1\.1"):
        run({"dpkg-query": old, "policy": POLICY}, {"name": "kubeadm", "version": "1.37.1"})
    with pytest.raises(SlipwayError, match="would have to be removed"):
        run({"dpkg-query": old}, {"name": "kubeadm", "state": "absent"})


def test_other_held_packages_are_left_alone() -> None:
    old = HELD.replace("1.37.1", "1.37.0") + "cri\t1.0\thold ok installed\n"
    answers = {
        "dpkg-query": old,
        "policy": POLICY,
        "--simulate": "Inst kubeadm [1.37.0-1.1] (1.37.1-1.1 m [amd64])\nInst cri [1.0] (2.0 m [amd64])\n",
    }
    with pytest.raises(SlipwayError, match="on hold would have to change: cri"):
        run(answers, KUBEADM)


def test_downgrade() -> None:
    older = {"name": "jq", "version": "1.5"}
    answers = {"dpkg-query": [HELD, HELD.replace("1.6-1", "1.5-1")], "policy": policy("jq", "1.5-1"), "install": ""}
    with pytest.raises(SlipwayError, match=r"jq 1\.6-1 is installed, which is newer than the wanted 1\.5-1"):
        run(answers, older)
    answers["dpkg-query"] = [HELD, HELD.replace("1.6-1", "1.5-1")]
    result, runner = run(answers, older, allow_downgrade=True)
    assert result["downgraded"] == ["jq"] and runner.called("--allow-downgrades")


def test_remove_in_the_same_transaction() -> None:
    answers = {
        "dpkg-query": [HELD, HELD.replace("jq\t1.6-1\tinstall ok installed", "jq\t1.6-1\tdeinstall ok config-files")],
        "--simulate": "Remv jq [1.6-1]\n",
        "install": "",
    }
    result, runner = run(answers, {"name": "jq", "state": "absent"}, {"name": "never", "state": "absent"})
    assert result["removed"] == ["jq"] and result["versions"] == {}
    assert runner.called("apt-get", "jq-") and not runner.called("--no-remove")


def test_nothing_else_is_removed() -> None:
    answers = {"dpkg-query": HELD, "--simulate": "Remv jq [1.6-1]\nRemv bash [5]\n"}
    with pytest.raises(SlipwayError, match=r"^bash would have to be removed"):
        run(answers, {"name": "jq", "state": "absent"})
    with pytest.raises(SlipwayError, match=r"^bash would have to be removed"):
        run(answers, {"name": "jq", "state": "absent"}, check=True)
    refused = (100, *split(fixture("no-remove-trixie.txt")))
    with pytest.raises(SlipwayError, match=r"^containerd, runc would have to be removed"):
        run({"dpkg-query": BARE, "policy": POLICY, "install": refused}, JQ)


@pytest.mark.parametrize("check", [True, False])
def test_sources_that_apt_cannot_read(check: bool) -> None:
    """As apt 2.6 says it; it is no package that nobody has."""
    broken = (
        100,
        "",
        "E: Malformed entry 1 in list file /etc/apt/sources.list (URI)\nE: The list of sources could not be read.\n",
    )
    with pytest.raises(SlipwayError, match=r"cannot say what its package sources offer: E: Malformed entry 1"):
        run({"dpkg-query": BARE, "policy": broken}, JQ, check=check)


def split(text: str) -> t.Tuple[str, str]:
    """Standard output and errors of a recording that has both."""
    lines = text.splitlines(keepends=True)
    errors = [line for line in lines if line.startswith(("E:", "W:"))]
    return "".join(line for line in lines if line not in errors), "".join(errors)


def test_unknown_after_a_refresh() -> None:
    answers = {"dpkg-query": BARE, "policy": policy("kubeadm", "1.36.4-1.1"), "pkgnames": "jq\n", "update": ""}
    with pytest.raises(SlipwayError, match=r"kubeadm has no version 1\.37\.1; available are 1\.36\.4-1\.1"):
        run(answers, KUBEADM, {"name": "jqq"})


def test_failed_refresh_is_told_when_something_is_missing() -> None:
    failed = (100, "", "E: Failed to fetch http://mirror/InRelease  Connection refused\n")
    with pytest.raises(SlipwayError, match="Fetching the package index failed, too: E: Failed to fetch"):
        run({"dpkg-query": BARE, "policy": "", "pkgnames": "", "update": failed}, JQ)


def test_refresh_finds_it() -> None:
    answers = {"dpkg-query": [BARE, HELD], "policy": ["", POLICY], "pkgnames": "", "update": "", "install": ""}
    result, runner = run(answers, KUBEADM, JQ)
    assert result["index_refreshed"] and len(runner.called("update")) == 1


def test_old_index_is_refreshed() -> None:
    answers = {"dpkg-query": [BARE, HELD], "policy": POLICY, "update": (100, "", "E: one of many fails"), "install": ""}
    result, _runner = run(answers, KUBEADM, JQ, max_age=5)
    assert result["changed"] and result["index_refreshed"]


def test_package_files_that_are_gone() -> None:
    gone = (100, "", "E: Failed to fetch http://mirror/jq_1.6-1_amd64.deb  404  Not Found\nE: Unable to fetch some\n")
    answers = {"dpkg-query": [BARE, HELD], "policy": POLICY, "update": "", "install": [gone, ""]}
    result, runner = run(answers, KUBEADM, JQ)
    assert result["index_refreshed"] and len(runner.called("install")) == 2


def test_a_dependency_that_no_index_has_yet() -> None:
    stdout = "The following packages have unmet dependencies:\n kubelet : Depends: x but it is not installable\n"
    failed = (100, stdout, "E: Unable to correct problems\n")
    answers = {"dpkg-query": [BARE, HELD], "policy": POLICY, "update": "", "install": [failed, ""]}
    result, runner = run(answers, KUBEADM, JQ)
    assert result["index_refreshed"] and len(runner.called("install")) == 2


def test_failed_installation() -> None:
    stdout = "The following packages have unmet dependencies:\n kubelet : Depends: x but it is not installable\n"
    failed = (100, stdout, "E: Unable to correct problems\n")
    answers = {"dpkg-query": BARE, "policy": POLICY, "update": "", "install": failed}
    with pytest.raises(SlipwayError) as caught:
        run(answers, KUBEADM, JQ)
    assert "kubeadm, jq could not be installed (rc 100): E: Unable to correct" in caught.value.msg
    assert "Depends: x" in caught.value.msg and caught.value.details["rc"] == 100
    answers["install"] = (-9, "", "")
    with pytest.raises(SlipwayError, match="killed by signal 9"):
        run(answers, KUBEADM, JQ)
    answers["--simulate"] = (100, "", "E: broken\n")
    with pytest.raises(SlipwayError, match="nothing was changed"):
        run({"--simulate": (100, "", "E: broken\n"), **answers}, KUBEADM, JQ, check=True)


KILLED = BARE + (
    "kubeadm\t1.37.1-1.1\tinstall ok half-configured\njq\t1.6-1\tinstall reinstreq half-installed\n"
    "libc-bin\t2.41\tinstall ok triggers-pending\n"
)


def test_interrupted_installation_is_finished_first() -> None:
    mended = KILLED.replace("half-configured", "installed")
    done = HELD + "libc-bin\t2.41\tinstall ok installed\n"
    answers = {
        "dpkg-query": [KILLED, mended, done],
        "--configure": (1, "", "dpkg: error processing package jq"),
        "policy": POLICY,
        "install": "",
    }
    result, runner = run(answers, KUBEADM, JQ)
    assert result["repaired"] and result["installed"] == ["jq", "kubeadm"]
    # apt takes a package that is half installed for installed: it has to be told to do it again.
    assert runner.called("--fix-broken", "--reinstall", "jq=1.6-1")
    assert not runner.called("--fix-broken", "kubeadm=1.37.1-1.1")


def test_interrupted_installation_of_a_dependency_is_done_again() -> None:
    killed = BARE + "kubernetes-cni\t1.9.1-1.1\tinstall reinstreq half-installed\n"
    answers = {"dpkg-query": [killed, killed, HELD], "--configure": "", "policy": POLICY, "install": ""}
    _result, runner = run(answers, KUBEADM)
    assert runner.called("--reinstall", "kubeadm=1.37.1-1.1", "kubernetes-cni=1.9.1-1.1")


def test_success_of_apt_has_to_be_seen() -> None:
    answers = {"dpkg-query": [BARE, KILLED], "policy": POLICY, "install": ""}
    with pytest.raises(SlipwayError, match="but kubeadm is half-configured, jq is half-installed"):
        run(answers, KUBEADM, JQ)


def test_interrupted_installation_that_dpkg_finishes() -> None:
    killed = FRESH.replace("1.37.1-1.1\tinstall ok installed", "1.37.1-1.1\tinstall ok unpacked")
    result, runner = run({"dpkg-query": [killed, HELD], "--configure": ""}, KUBEADM, JQ)
    assert result["changed"] and result["repaired"] and not runner.called("apt-get")


def test_interrupted_installation_in_check_mode() -> None:
    result, runner = run({"dpkg-query": KILLED, "policy": POLICY}, KUBEADM, JQ, check=True)
    assert result["repaired"] and result["installed"] == ["jq", "kubeadm"] and not runner.called("--configure")


def test_what_is_broken_elsewhere_is_left_alone() -> None:
    result, _runner = run({"dpkg-query": HELD + "other\t1\tinstall ok unpacked\n"}, KUBEADM, JQ)
    assert not result["changed"]


@pytest.mark.parametrize("name", ["-o", "Kubeadm", "a=1", "", "x", "two words"])
def test_bad_names(name: str) -> None:
    with pytest.raises(SlipwayError, match="is not the name of a package"):
        run({}, {"name": name})


def test_twice() -> None:
    with pytest.raises(SlipwayError, match="jq is there twice"):
        run({}, JQ, JQ)


def test_main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(_module, "Runner", lambda _module: FakeRunner({"dpkg-query": HELD}))
    params = {"packages": [KUBEADM, JQ]}
    assert run_main(module.main, params, monkeypatch, capsys)["changed"] is False
    monkeypatch.setattr(_module, "Runner", lambda _module: FakeRunner({}, tools=()))
    failed = run_main(module.main, params, monkeypatch, capsys)
    assert failed["failed"] and "not supported: there is no apt-get" in failed["msg"]
