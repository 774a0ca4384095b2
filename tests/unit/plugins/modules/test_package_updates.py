# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Updates, with a package manager that keeps its packages in memory: what apt prints is in test_apt.py."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.interface import (
    Installed,
    PackageManager,
    Refused,
    State,
    Transaction,
    Update,
    Updates,
)
from ansible_collections.slipway.kubernetes.plugins.modules import package_updates as module
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner


def refused(reason: str, **more: t.Any) -> Refused:
    return Refused(reason, CommandResult(["testpkg"], 100, "", reason), **more)


class Machine(PackageManager):
    """A machine: what is installed, what there would be, and what becomes known when the index is fetched."""

    name = tool = "testpkg"
    audit = "testpkg check"

    def __init__(self) -> None:
        super().__init__(FakeRunner({}))
        self.packages = {name: Installed("1") for name in ("bash", "libc", "kernel", "kubelet")}
        self.packages["kubelet"] = Installed("1", hold=True)
        self.newer = {"bash": "2", "libc": "2"}
        self.unknown: t.Dict[str, str] = {}
        self.secure = {"libc"}
        self.needs: t.Dict[str, t.List[str]] = {}
        self.age = 10.0
        self.failure = ""
        self.refusals: t.List[t.Optional[Refused]] = []
        self.reasons: t.List[str] = []
        self.calls: t.List[str] = []
        self.mended = True
        self.is_deaf = False
        self.gone: t.List[str] = []
        self.looks: t.List[t.Optional[Refused]] = []

    def index_age(self) -> float:
        return self.age

    def refresh(self) -> str:
        self.calls.append("refresh")
        self.newer.update(self.unknown)
        return self.failure

    def installed(self) -> t.Dict[str, Installed]:
        return dict(self.packages)

    def updates(self) -> Updates:
        problems, self.looks = self.looks[:1], self.looks[1:]
        for problem in filter(None, problems):
            raise problem
        if any(package.broken for package in self.packages.values()):
            raise refused("something is half installed")
        held = tuple(name for name in self.newer if self.packages[name].hold)
        found = [
            Update(name, self.packages[name].version, version, name in self.secure)
            for name, version in self.newer.items()
            if name not in held and self.packages[name].version != version
        ]
        return Updates(tuple(found), held, ("phased",))

    def plan_upgrade(self, versions: t.Mapping[str, str]) -> t.Dict[str, t.Optional[str]]:
        return {**super().plan_upgrade(versions), **dict.fromkeys(self.gone)}

    def reboot_reasons(self) -> t.List[str]:
        return self.reasons

    def repair(self) -> None:
        self.calls.append("repair")
        for name, package in self.packages.items():
            if not package.reinstall:
                self.packages[name] = package._replace(state=State.WHOLE)

    def plan(self, transaction: Transaction) -> t.Dict[str, t.Optional[str]]:
        others = [other for name in transaction.targets for other in self.needs.get(name, ())]
        return {**transaction.targets, **dict.fromkeys(others, "2")}

    def install(self, transaction: Transaction) -> None:
        assert transaction.mend
        self.calls.append(f"mend {sorted(transaction.targets.items())}")
        if not self.mended:
            raise refused("no archive has it any more")
        for name, version in transaction.targets.items():
            self.packages[name] = Installed(version or "")

    def upgrade(self, versions: t.Mapping[str, str]) -> None:
        problems, self.refusals = self.refusals[:1], self.refusals[1:]
        for problem in filter(None, problems):
            raise problem
        self.calls.append(f"upgrade {' '.join(f'{name}={version}' for name, version in sorted(versions.items()))}")
        if not self.is_deaf:
            for name, version in self.plan(Transaction(versions)).items():
                self.packages[name] = Installed(version or "")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine()
    monkeypatch.setattr(module, "expect_package_manager", lambda _runner, _timeout: made)
    return made


def test_all_updates(machine: Machine, run_module: ModuleRunner) -> None:
    machine.newer["kubelet"] = "2"
    expected = [
        {"name": "bash", "before": "1", "after": "2", "security": False},
        {"name": "libc", "before": "1", "after": "2", "security": True},
    ]
    predicted = run_module(module.main, {}, check=True)
    assert machine.calls == []
    done = run_module(module.main, {})
    assert machine.calls == ["upgrade bash=2 libc=2"] and machine.packages["kubelet"].version == "1"
    for result in (predicted, done):
        assert (result["changed"], result["updates"]) == (True, expected)
        assert (result["held"], result["kept_back"], result["excluded"]) == (["kubelet"], ["phased"], [])
        assert result["diff"] == {"before": "bash: 1\nlibc: 1\n", "after": "bash: 2\nlibc: 2\n"}
    assert (predicted["msg"], done["msg"]) == ("2 packages would be updated", "2 packages updated")
    for check in (True, False):
        again = run_module(module.main, {}, check=check)
        assert (again["changed"], again["updates"], again["msg"]) == (False, [], "nothing to update")
        assert again["diff"] == {"before": "", "after": ""}
    assert len(machine.calls) == 1


def test_only_those_that_mend_a_hole(machine: Machine, run_module: ModuleRunner) -> None:
    result = run_module(module.main, {"security": True, "exclude": ["bash"]})
    assert machine.calls == ["upgrade libc=2"]
    # Nobody would have updated it anyway.
    assert result["excluded"] == []


@pytest.mark.parametrize("pattern", ["ba*", "bash", "[ab]ash"])
def test_what_is_excluded_stays(pattern: str, machine: Machine, run_module: ModuleRunner) -> None:
    result = run_module(module.main, {"exclude": [pattern, "nothing*"]})
    assert (result["excluded"], machine.calls) == (["bash"], ["upgrade libc=2"])
    again = run_module(module.main, {"exclude": [pattern]})
    assert (again["changed"], again["excluded"]) == (False, ["bash"])


def test_what_another_package_replaces_is_named(machine: Machine, run_module: ModuleRunner) -> None:
    machine.gone = ["kernel"]
    predicted, done = (run_module(module.main, {}, check=check) for check in (True, False))
    for result in (predicted, done):
        assert (result["replaced"], result["installed"]) == (["kernel"], [])
        assert [update["name"] for update in result["updates"]] == ["bash", "libc"]
        assert result["diff"]["after"].endswith("kernel: replaced by another package\n")


def test_an_index_without_which_nothing_is_known(machine: Machine, run_module: ModuleRunner) -> None:
    """Its address has changed, and the age was that of the former one."""
    machine.looks = [refused("no cache for 'baseos'", outdated=True)]
    assert run_module(module.main, {})["changed"]
    assert machine.calls == ["refresh", "upgrade bash=2 libc=2"]
    machine.looks = [refused("no cache for 'baseos'", outdated=True)] * 2
    assert "What there is to update cannot be found out" in run_module(module.main, {})["msg"]
    machine.looks = [refused("no cache for 'baseos'", outdated=True)]
    looked = run_module(module.main, {}, check=True)
    assert not looked["failed"] and not looked["changed"] and machine.calls.count("refresh") == 2


def test_other_architectures_are_excluded_by_the_same_name() -> None:
    assert module.is_excluded("libc6:i386", ["libc6"]) and module.is_excluded("libc6:i386", ["*:i386"])
    assert not module.is_excluded("libc6", ["*:i386"])


def test_what_updates_need(machine: Machine, run_module: ModuleRunner) -> None:
    machine.needs = {"libc": ["kernel", "firmware"]}
    for check in (True, False):
        result = run_module(module.main, {"security": True}, check=check)
        assert [(update["name"], update["security"]) for update in result["updates"]] == [
            ("libc", True),
            ("kernel", False),
        ]
        assert result["installed"] == ["firmware"]
        assert result["diff"]["after"] == "libc: 2\nkernel: 2\nfirmware: newly installed\n"


def test_what_updates_need_and_must_not_change(machine: Machine, run_module: ModuleRunner) -> None:
    machine.needs = {"libc": ["kernel"]}
    result = run_module(module.main, {"exclude": ["kern*"]})
    assert "need newer versions of packages that are excluded: kernel. Nothing was updated." in result["msg"]
    assert machine.calls == []


def test_the_index(machine: Machine, run_module: ModuleRunner) -> None:
    machine.unknown = {"kernel": "2"}
    machine.age = 7200.0
    planned = run_module(module.main, {"refresh_in_check_mode": True}, check=True)
    assert (
        machine.calls == ["refresh"] and planned["index_refreshed"] and "hours old" not in str(planned.get("warnings"))
    )
    assert [update["name"] for update in planned["updates"]] == ["bash", "libc", "kernel"]
    looked = run_module(module.main, {}, check=True)
    assert "2.0 hours old; there may be more updates" in str(looked["warnings"]) and machine.calls == ["refresh"]
    assert not looked["index_refreshed"]
    machine.age = 0.0
    assert run_module(module.main, {})["index_refreshed"] is False
    machine.age = float("inf")
    assert "has never been fetched" in str(run_module(module.main, {}, check=True)["warnings"])


def test_an_index_that_cannot_be_fetched(machine: Machine, run_module: ModuleRunner) -> None:
    """The machine would look as if there were nothing to do."""
    machine.age, machine.failure = 7200.0, "the mirror is away"
    result = run_module(module.main, {})
    assert result["msg"] == "The package index could not be fetched, so nothing was updated: the mirror is away"
    assert machine.calls == ["refresh"]


def test_an_interrupted_installation_is_finished_first(machine: Machine, run_module: ModuleRunner) -> None:
    machine.packages["bash"] = Installed("1", state=State.BROKEN)
    predicted = run_module(module.main, {}, check=True)
    assert (predicted["changed"], predicted["repaired"], predicted["updates"]) == (True, True, [])
    assert machine.calls == []
    result = run_module(module.main, {})
    assert result["repaired"] and machine.calls == ["repair", "upgrade bash=2 libc=2"]
    assert predicted["msg"] == "nothing to update, an interrupted installation would be finished"
    assert result["msg"] == "2 packages updated, an interrupted installation was finished"


@pytest.mark.parametrize("mended", [True, False])
def test_what_has_to_be_installed_once_more(mended: bool, machine: Machine, run_module: ModuleRunner) -> None:
    machine.packages["bash"] = Installed("2", state=State.BROKEN, reinstall=True)
    machine.mended = mended
    result = run_module(module.main, {})
    assert machine.calls[:2] == ["repair", "mend [('bash', '2')]"]
    assert ("cannot be finished (rc 100): no archive" in result.get("msg", "")) is not mended
    assert (machine.calls[2:] == ["upgrade libc=2"]) is mended


def test_servers_have_newer_ones_than_the_index(machine: Machine, run_module: ModuleRunner) -> None:
    machine.refusals = [refused("404", outdated=True)]
    machine.unknown = {"bash": "3"}
    result = run_module(module.main, {})
    assert machine.calls == ["refresh", "upgrade bash=3 libc=2"]
    assert [update["after"] for update in result["updates"]] == ["3", "2"]
    machine.newer["bash"] = "4"
    machine.refusals = [refused("404", outdated=True), refused("404 again", outdated=True)]
    assert "could not be installed (rc 100): 404 again" in run_module(module.main, {})["msg"]


def test_what_goes_wrong(machine: Machine, run_module: ModuleRunner) -> None:
    machine.refusals = [refused("no room.", removals=["vim"])]
    result = run_module(module.main, {})
    assert result["msg"] == "The updates could not be installed (rc 100): no room. vim would have to be removed."
    machine.is_deaf = True
    assert "testpkg ended well, but bash, libc is as it was. See what `testpkg check`" in run_module(module.main, {})[
        "msg"
    ].replace("\n", " ")


@pytest.mark.parametrize("check", [True, False])
def test_a_reboot_is_asked_for(check: bool, machine: Machine, run_module: ModuleRunner) -> None:
    machine.newer, machine.reasons = {}, ["kernel 2"]
    result = run_module(module.main, {}, check=check)
    assert (result["changed"], result["reboot_required"]) == (False, ["kernel 2"])
    assert result["msg"] == "nothing to update, the machine has to be started anew"
