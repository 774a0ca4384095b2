# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import shutil
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd, etcd_restore
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl
from ansible_collections.slipway.kubernetes.tests.unit.plugins.etcd_fakes import fixture
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner

CLUSTER = {"cp2": "https://172.30.0.46:2380", "etcd-cp1": "https://172.30.0.45:2380"}


class Member:
    """A member's data in a folder, and etcdutl that makes new data."""

    def __init__(self, root: Path) -> None:
        self.data = root / "etcd"
        self.snapshot = root / "snapshot.db"
        self.snapshot.write_text("the snapshot")
        self.pod = etcd.parse_pod(fixture("etcd.yaml").replace("/var/lib/etcd", str(self.data)))
        self.runner = FakeRunner({"containers ls": "", "etcdutl": self._etcdutl}, tools=("ctr",))
        self.fails = False
        self.revision = 544
        self.kept: t.List[t.Dict[str, str]] = []

    def _etcdutl(self, argv: t.List[str]) -> str:
        if self.fails:
            raise SlipwayError("etcdutl refuses the snapshot")
        assert Path(argv[argv.index("snapshot") + 2]).read_text() == "the snapshot"
        if "status" in argv:
            return json.dumps({"hash": 1, "revision": self.revision, "totalKey": 9, "totalSize": 9})
        target = Path(next(word for word in argv if word.startswith("--data-dir=")).partition("=")[2])
        (target / "member").mkdir(parents=True)
        (target / "member" / "db").write_text("restored")
        return ""

    def put(self, **contents: str) -> None:
        for name, content in contents.items():
            folder = self.data / name.replace("_", ".").replace("before.restore", "before-restore")
            folder.mkdir(parents=True)
            (folder / "db").write_text(content)

    def found(self) -> t.Dict[str, str]:
        return {path.name: (path / "db").read_text() for path in self.data.iterdir()}

    def restore(self, again: bool = False, revision: int = 1_795_500_000_000_000) -> t.Dict[str, str]:
        tools = etcd.Tools(self.runner, self.pod.image, "/run/containerd/containerd.sock")
        etcd_restore.restore(
            tools, self.pod, str(self.snapshot), CLUSTER, revision, again, lambda: self.kept.append({**self._named()})
        )
        return self.found()

    def bump(self, revision: int) -> t.Tuple[int, str]:
        """What a restore to ``revision`` adds to the snapshot's, and the token of its cluster."""
        self.restore(revision=revision)
        options = dict(word.split("=", 1) for word in self.runner.calls[-1] if "=" in word)
        return int(options["--bump-revision"]), options["--initial-cluster-token"]

    def _named(self) -> t.Dict[str, str]:
        return {path.name: (path / "db").read_text() for path in self.data.iterdir() if (path / "db").exists()}


@pytest.fixture
def member(tmp_path: Path) -> Member:
    return Member(tmp_path)


def test_restore_argv(member: Member) -> None:
    assert etcd_restore.restore_argv(member.pod, "/w/snapshot.db", "/w/data", CLUSTER, "cafe-17", 9000000000) == [
        "etcdutl",
        "snapshot",
        "restore",
        "/w/snapshot.db",
        "--data-dir=/w/data",
        "--name=etcd-cp1",
        "--initial-cluster=cp2=https://172.30.0.46:2380,etcd-cp1=https://172.30.0.45:2380",
        "--initial-cluster-token=slipway-cafe-17",
        "--initial-advertise-peer-urls=https://172.30.0.45:2380",
        "--bump-revision=9000000000",
        "--mark-compacted",
    ]


def test_a_later_restore_has_a_higher_revision(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with an older archive than that of the one before, and with the same."""
    start, second = 1_795_500_000_000_000, 1_000_000
    found = []
    # The second archive was taken after the first restore.
    for after, member.revision in ((0, 544), (100, start + 671), (200, 544), (300, 544)):
        monkeypatch.setattr(etcd_restore.time, "time_ns", lambda now=start + after * second: now * 1000)
        found.append(member.revision + member.bump(etcd_restore.revision_now())[0])
    assert found == [start + after * second for after in (0, 100, 200, 300)]


def test_a_clock_that_has_gone_back(member: Member) -> None:
    assert member.bump(revision=543)[0] == member.bump(revision=544)[0] == 1_000_000_000
    assert member.bump(revision=545)[0] == 1


def test_each_restore_makes_a_cluster_of_its_own(member: Member) -> None:
    """What a machine has that was left out of a second restore must not be taken for the same cluster."""
    assert member.bump(revision=17)[1] != member.bump(revision=18)[1]


def test_lost_data(member: Member) -> None:
    assert member.restore() == {"member": "restored"}
    assert member.data.stat().st_mode & 0o777 == 0o700
    assert f"src={member.data}/.slipway-restore" in " ".join(member.runner.calls[-1])


def test_what_was_there_is_kept(member: Member) -> None:
    member.put(member="old", member_before_restore="older")
    assert member.restore() == {"member": "restored", "member.before-restore": "old"}
    # It is kept before the new comes.
    assert member.kept == [{"member.before-restore": "old"}]


@pytest.mark.parametrize("again", [True, False])
def test_killed_when_the_old_was_kept(member: Member, again: bool) -> None:
    member.put(member_before_restore="old")
    assert member.restore(again) == {"member": "restored", "member.before-restore": "old"}


def test_killed_when_the_new_was_there(member: Member) -> None:
    member.put(member="half done", member_before_restore="old")
    assert member.restore(again=True) == {"member": "restored", "member.before-restore": "old"}


def test_a_failure_changes_nothing(member: Member, monkeypatch: pytest.MonkeyPatch) -> None:
    member.put(member="old")
    member.fails = True
    with pytest.raises(SlipwayError, match="refuses"):
        member.restore()
    assert member.found() == {"member": "old"}
    monkeypatch.setattr(etcd_restore.shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(9, 9, 9))
    with pytest.raises(SlipwayError, match="0 MB free, and the restore needs 0 MB there"):
        member.restore()
    assert member.found() == {"member": "old"} and member.kept == []


def kubectl(**answers: t.Any) -> t.Tuple[Kubectl, FakeRunner]:
    runner = FakeRunner({key.replace("_", " "): value for key, value in answers.items()}, tools=("kubectl",))
    return Kubectl(runner, "/admin.conf"), runner


def test_forget_nodes() -> None:
    client, runner = kubectl(delete="")
    etcd_restore.forget_nodes(client, ["cp2", "w1"])
    asked = [call[3:] for call in runner.calls]
    assert asked[0][:4] == ["delete", "pods", "--all-namespaces", "--field-selector=spec.nodeName=cp2"]
    assert {"--force", "--grace-period=0"} < set(asked[0])
    assert asked[1] == ["delete", "node", "--ignore-not-found", "--", "cp2"] and asked[3][-1] == "w1"


def test_heartbeats() -> None:
    items = [{"metadata": {"name": "cp1"}, "spec": {"renewTime": "t1"}}, {"metadata": {"name": "w"}, "spec": {}}]
    leases = json.dumps({"items": items})
    assert etcd_restore.heartbeats(kubectl(leases=leases)[0]) == {"cp1": "t1", "w": "None"}
    assert etcd_restore.heartbeats(kubectl(leases=(1, "", "refused"))[0]) == {}


def test_node_names() -> None:
    assert etcd_restore.node_names(kubectl(nodes='{"items": [{"metadata": {"name": "cp1"}}]}')[0]) == ["cp1"]


def test_restart_agents() -> None:
    def pod(name: str, kind: str, host: bool) -> t.Dict[str, t.Any]:
        owners = [{"kind": kind}] if kind else None
        metadata = {"name": name, "namespace": "kube-flannel", "ownerReferences": owners}
        return {"metadata": metadata, "spec": {"hostNetwork": True} if host else {}}

    agents = [pod("flannel", "DaemonSet", True), pod("log", "DaemonSet", False)]
    pods = [*agents, pod("etcd", "Node", True), pod("x", "", True)]
    client, runner = kubectl(get=json.dumps({"items": pods}), delete="")
    etcd_restore.restart_agents(client)
    assert [[*call[3:5], *call[-2:]] for call in runner.calls[1:]] == [["delete", "pod", "--", "flannel"]]
    assert "--namespace=kube-flannel" in runner.calls[1]
