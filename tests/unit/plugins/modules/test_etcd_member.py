# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandError, CommandResult
from ansible_collections.slipway.kubernetes.plugins.modules import etcd_member, etcd_member_info
from ansible_collections.slipway.kubernetes.tests.unit.plugins.etcd_fakes import answers, fixture
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

CP2 = "f73dca8770531f6f"


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch) -> FakeRunner:
    fake = FakeRunner({**answers("cp1", "cp2", "cp3"), "move-leader": "", "member remove": "removed"}, tools=("ctr",))
    monkeypatch.setattr(_module, "Runner", lambda _module: fake)
    return fake


@pytest.fixture
def manifest(tmp_path: Path) -> str:
    path = tmp_path / "etcd.yaml"
    path.write_text(fixture("etcd.yaml").replace("--name=etcd-cp1", "--name=cp1"))
    return str(path)


def test_info(runner: FakeRunner, manifest: str, run_module: ModuleRunner) -> None:
    result = run_module(etcd_member_info.main, {"manifest": manifest})
    assert (result["changed"], result["msg"]) == (False, "3 of 3 members are healthy; 1 more may fail")
    assert [member["name"] for member in result["members"]] == ["cp1", "cp2", "cp3"]
    assert (result["version"], result["image"]) == ("3.7.0", "registry.k8s.io/etcd:3.7.0-0")
    assert result["quorum"] == {"members": 3, "required": 2, "healthy": 3, "holds": True, "may_fail": 1}
    runner.answers.update(answers("cp1", "cp2", "cp3", down=["cp3"]))
    told = run_module(etcd_member_info.main, {"manifest": manifest})["msg"]
    assert told == "2 of 3 members are healthy (not cp3); 0 more may fail"


def test_info_on_a_worker(run_module: ModuleRunner, tmp_path: Path) -> None:
    assert "kubeadm runs no etcd" in run_module(etcd_member_info.main, {"manifest": str(tmp_path / "no")})["msg"]
    failed = run_module(etcd_member.main, {"manifest": str(tmp_path / "no"), "name": "cp1"})
    assert failed["failed"] and "Ask a control plane" in failed["msg"]


@pytest.mark.parametrize("option", [{"name": "cp2"}, {"id": CP2}])
def test_removed(runner: FakeRunner, manifest: str, run_module: ModuleRunner, option: t.Dict[str, str]) -> None:
    options = {"manifest": manifest, **option}
    result = run_module(etcd_member.main, options, check=True)
    assert (result["changed"], result["removed"]) == (True, [CP2]) and not runner.called("remove")
    assert run_module(etcd_member.main, options)["msg"] == f"cp2 ({CP2}) is removed"
    assert runner.calls[-1][-3:] == ["member", "remove", CP2] and not runner.called("move-leader")
    runner.answers.update(answers("cp1", "cp3"))
    result = run_module(etcd_member.main, {"manifest": manifest, "name": "cp2"})
    assert (result["changed"], result["removed"]) == (False, [])


def test_removed_by_its_address(runner: FakeRunner, manifest: str, run_module: ModuleRunner) -> None:
    """Only a member that has never started: the machine of one with another name may have got that address later."""
    options = {"manifest": manifest, "name": "cp9", "address": "172.30.0.12"}
    assert run_module(etcd_member.main, options)["removed"] == []
    runner.answers.update(answers("cp1", "", "cp3", down=[""]))
    assert len(run_module(etcd_member.main, options)["removed"]) == 1


def test_leader_leaves(runner: FakeRunner, manifest: str, run_module: ModuleRunner) -> None:
    runner.answers.update(answers("cp1", "cp2", "cp3", leader="cp2"))
    assert run_module(etcd_member.main, {"manifest": manifest, "name": "cp2"})["changed"]
    moved = runner.called("move-leader")[0]
    assert moved[-1] == "f73dca8770531f70" and "--endpoints=https://172.30.0.12:2379" in moved


def test_refused(runner: FakeRunner, manifest: str, run_module: ModuleRunner) -> None:
    runner.answers.update(answers("cp1", "cp2", "cp3", down=["cp3"]))
    for check in (True, False):
        failed = run_module(etcd_member.main, {"manifest": manifest, "name": "cp2"}, check=check)
        assert failed["failed"] and "cp2 (f73dca8770531f6f) is not removed: of the 2 that remain 2" in failed["msg"]
    assert len(failed["members"]) == 3 and not runner.called("remove")


def test_check_mode_of_several(runner: FakeRunner, manifest: str, run_module: ModuleRunner) -> None:
    """cp2 may leave when cp3, which is dead, has left before."""
    runner.answers.update(answers("cp1", "cp2", "cp3", down=["cp3"]))
    options = {"manifest": manifest, "name": "cp2", "removal_order": ["cp3", "cp2"]}
    assert run_module(etcd_member.main, options, check=True)["removed"] == [CP2]
    # What is so and not what was to be counts when something is done.
    assert run_module(etcd_member.main, options)["failed"]


def test_late_answer(runner: FakeRunner, manifest: str, run_module: ModuleRunner) -> None:
    lists = [
        json.dumps(json.loads(answers(*names)["member list"])) for names in (("cp1", "cp2", "cp3"), ("cp1", "cp3"))
    ]
    late = CommandError("etcdctl member remove failed", CommandResult([], 1, "", "context deadline exceeded"))
    runner.answers.update({"member list": lists, "member remove": late})
    assert run_module(etcd_member.main, {"manifest": manifest, "name": "cp2"})["changed"]
    runner.answers.update(answers("cp1", "cp2", "cp3"))
    assert run_module(etcd_member.main, {"manifest": manifest, "name": "cp2"})["failed"]
