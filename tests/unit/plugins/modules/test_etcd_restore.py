# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules etcd_restore and etcd_restore_info on a control plane in a folder."""

from __future__ import annotations

import json
import signal
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module, _records
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd_restore as _etcd_restore
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import kubeadm, static_pods
from ansible_collections.slipway.kubernetes.plugins.modules import etcd_restore, etcd_restore_info
from ansible_collections.slipway.kubernetes.tests.unit.plugins.etcd_fakes import answers, fixture
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import waiting_clock
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

IMAGE = "registry.k8s.io/etcd:3.7.0-0"
REVISION = 1_795_500_000_000_000
PEER = "https://172.30.0.45:2380"
PROOF = "/registry/configmaps/kube-system/kubeadm-config\n\n"


class Process:
    """A component of the control plane."""

    def __init__(self, program: str, stubborn: t.Container[int] = ()) -> None:
        self.program, self.stubborn = program, stubborn
        self.signals: t.List[int] = []
        self.runs = True

    def pid(self) -> int:
        return 7 if self.runs else 0

    def end(self, how: int = signal.SIGTERM) -> None:
        self.signals.append(how)
        self.runs = how in self.stubborn


class Machine:
    """A control plane in a folder."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> None:
        self._run_module, self._monkeypatch = run_module, monkeypatch
        self.root = root
        self.manifest = root / "manifests" / "etcd.yaml"
        self.manifest.parent.mkdir()
        self.manifest.write_text(fixture("etcd.yaml").replace("/var/lib/etcd", str(root / "etcd")))
        self.pki = root / "pki"
        (self.pki / "etcd").mkdir(parents=True)
        for name in ("ca.crt", "etcd/ca.crt"):
            (self.pki / name).write_text(f"{name} of lab\n")
        (root / "etcd" / "member").mkdir(parents=True)
        self.state = root / "state"
        self.state.mkdir()
        self.snapshot = self.state / "snapshot.db"
        self.snapshot.write_text("the snapshot")
        self.pending = self.state / "pending.db"
        self.marker = root / "kubeadm.json"
        self.processes = [Process("kube-apiserver"), Process("etcd")]
        self.trace = root / "kubelet.conf"
        self.clock = waiting_clock(monkeypatch)
        self.ready = [True]
        self.runner = FakeRunner(
            {
                "images ls": IMAGE,
                "containers ls": "",
                "systemctl show": "ActiveState=active",
                "systemctl": "",
                "--keys-only": PROOF,
                "etcdutl": self._etcdutl,
                **answers("cp1"),
            },
            tools=("ctr", "systemctl", "kubectl"),
        )
        monkeypatch.setattr(_module, "Runner", lambda _module: self.runner)
        for module in (etcd_restore, etcd_restore_info):
            monkeypatch.setattr(module, "_PKI", str(self.pki))
        monkeypatch.setattr(etcd_restore.kubeadm_files, "RECORD", str(self.state / "given.json"))
        monkeypatch.setattr(_etcd_restore, "TRACES", (str(self.trace),))
        monkeypatch.setattr(etcd_restore, "_COMPONENTS", self.processes)
        images = {"kube-apiserver": "kube-apiserver:v1.37.1"}
        monkeypatch.setattr(etcd_restore_info.upgrade, "static_pods", lambda: images)
        monkeypatch.setattr(etcd_restore.api_server, "is_ready", lambda: self.ready[0])
        monkeypatch.setattr(static_pods, "ETCD", self.processes[-1])
        monkeypatch.setattr(_records.KUBEADM, "path", str(self.marker))
        monkeypatch.setattr(kubeadm, "running_commands", lambda: [])
        monkeypatch.setattr(_etcd_restore, "STATE", str(self.state))
        monkeypatch.setattr(_etcd_restore, "PENDING", str(self.pending))

    def _etcdutl(self, argv: t.List[str]) -> str:
        if "status" in argv:
            return json.dumps({"revision": 544})
        target = Path(next(word for word in argv if word.startswith("--data-dir=")).partition("=")[2])
        (target / "member").mkdir(parents=True)
        return ""

    def record(self) -> t.Dict[str, t.Any]:
        return json.loads(self.marker.read_text()) if self.marker.exists() else {}

    def bare(self) -> None:
        self.manifest.unlink()
        for name in ("ca.crt", "etcd/ca.crt"):
            (self.pki / name).unlink()
        self.processes[0].runs = self.processes[1].runs = False

    def look(self, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        return self._run_module(etcd_restore_info.main, {"manifest": str(self.manifest), **options}, check=check)

    def take(self, state: str, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        given = {"state": state, "manifest": str(self.manifest), "snapshot": str(self.snapshot), **options}
        return self._run_module(etcd_restore.main, given, check=check)

    def called(self) -> t.List[str]:
        return [" ".join([Path(call[0]).name, *call[1:]]) for call in self.runner.calls]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> Machine:
    return Machine(tmp_path, monkeypatch, run_module)


LAB = {"authority": "ca.crt of lab", "etcd_authority": "etcd/ca.crt of lab\n", "version": "1.37.4"}


def test_inspected_member(machine: Machine) -> None:
    result = machine.look(**LAB)
    shown = [result[key] for key in ("changed", "kind", "in_use", "unfinished", "completed", "member", "peer_url")]
    assert shown == [False, "member", True, False, False, "etcd-cp1", PEER]


@pytest.mark.parametrize(
    "answer",
    [{"--keys-only": ""}, {"member list": SlipwayError("down")}, answers("cp1", "cp2", down=["cp1", "cp2"])],
)
def test_an_etcd_that_may_be_overwritten(machine: Machine, answer: t.Dict[str, t.Any]) -> None:
    machine.runner.answers.update(answer)
    # An etcd that does not answer in time works all the same when the API server, which needs it, is ready.
    assert machine.look()["in_use"] is (answer != {"--keys-only": ""})
    machine.ready[0] = False
    assert machine.look()["in_use"] is False


def test_an_etcd_that_does_not_run(machine: Machine) -> None:
    machine.processes[-1].runs = False
    assert machine.look(**LAB)["in_use"] is False
    assert machine.runner.calls == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"authority": "of another"}, "The snapshot is of another cluster"),
        ({"etcd_authority": "of another"}, "its CA is not the one in"),
        ({"version": "1.36.4"}, "The snapshot is of Kubernetes 1.36.4, and the control plane of this host of 1.37.1"),
    ],
)
def test_a_foreign_snapshot(machine: Machine, options: t.Dict[str, str], text: str) -> None:
    result = machine.look(**{**LAB, **options})
    assert result["failed"] and text in result["msg"] and "Nothing was changed" in result["msg"]


def test_a_control_plane_that_lost_its_authorities(machine: Machine) -> None:
    (machine.pki / "ca.crt").unlink()
    assert "it has lost more than etcd's data" in machine.look()["msg"]


def test_inspected_bare_machine(machine: Machine) -> None:
    machine.bare()
    result = machine.look(**LAB)
    assert (result["kind"], result["in_use"], result["unfinished"], result["member"]) == ("bare", False, False, "")
    machine.trace.touch()
    assert "has no etcd of kubeadm" in machine.look(**LAB)["msg"]


@pytest.mark.parametrize(
    ("record", "pending", "kind"),
    [
        ('{"operation": "restore"}', False, "member"),
        ('{"operation": "init"}', True, "bare"),
        (None, True, "bare"),
    ],
)
def test_unfinished(machine: Machine, record: t.Optional[str], pending: bool, kind: str) -> None:
    if record:
        machine.marker.write_text(record)
    if pending:
        machine.pending.touch()
        machine.trace.touch()
    result = machine.look(**LAB)
    assert (result["unfinished"], result["completed"], result["kind"]) == (True, False, kind)


def test_unfinished_but_in_use(machine: Machine) -> None:
    """What comes after the data is done by the next run; another snapshot is another restore, which needs a yes."""
    machine.take("completed", checksum="abc")
    same, other, nameless = (machine.look(**LAB, checksum=checksum) for checksum in ("abc", "xyz", ""))
    assert (same["unfinished"], same["completed"], same["in_use"]) == (True, True, True)
    assert (
        (other["unfinished"], other["completed"]) == (False, False) == (nameless["unfinished"], nameless["completed"])
    )
    # The data of now is what is kept then.
    machine.take("stopped")
    assert machine.record()["operation"] == "restore" and "restored" not in machine.record()
    assert "completed" not in machine.record()


@pytest.mark.parametrize("operation", ["init", "reset", "join"])
def test_something_else_is_unfinished(machine: Machine, operation: str) -> None:
    machine.marker.write_text(json.dumps({"operation": operation}))
    assert f"An interrupted {'reset' if operation == 'reset' else '`kubeadm'}" in machine.look()["msg"]


def test_no_time_to_wait(machine: Machine) -> None:
    result = machine.take("stopped", timeout=0)
    assert result["failed"] and "timeout is 0, and has to be 1 second at least" in result["msg"]
    assert machine.called() == [] and machine.record() == {}


def test_stopped(machine: Machine) -> None:
    machine.processes[0].stubborn = [signal.SIGTERM]
    assert machine.take("stopped")["changed"]
    assert [process.signals for process in machine.processes] == [[signal.SIGTERM, signal.SIGKILL], [signal.SIGTERM]]
    assert machine.called()[-1] == "systemctl stop kubelet.service"
    assert machine.record()["operation"] == "restore"
    # What an earlier try has recorded stays.
    machine.marker.write_text('{"operation": "restore", "restored": true}')
    machine.take("stopped")
    assert machine.record()["restored"]


@pytest.mark.parametrize("record", [{}, {"completed": True}, {"operation": "restore"}])
@pytest.mark.parametrize(
    ("state", "runs"), [("active", False), ("activating", False), ("failed", True), ("inactive", False)]
)
def test_stopped_is_a_change(machine: Machine, record: t.Dict[str, t.Any], state: str, runs: bool) -> None:
    """When something runs or has to be begun. What looks stopped is stopped all the same."""
    if record:
        machine.marker.write_text(json.dumps(record))
    machine.processes[0].runs, machine.processes[1].runs = runs, False
    machine.runner.answers["systemctl show"] = f"ActiveState={state}"
    changed = runs or state.startswith("activ") or "operation" not in record
    assert machine.take("stopped", check=True)["changed"] is changed
    assert "systemctl stop kubelet.service" not in machine.called() and machine.processes[0].runs is runs
    assert machine.take("stopped")["changed"] is changed
    assert machine.called()[-1] == "systemctl stop kubelet.service"
    assert machine.take("stopped")["changed"] is state.startswith("activ")


def test_processes_that_do_not_end(machine: Machine) -> None:
    machine.processes[0].stubborn = [signal.SIGTERM, signal.SIGKILL]
    assert "kube-apiserver cannot be ended" in machine.take("stopped")["msg"]


def test_what_stands_in_the_way_is_known_before_anything_is_stopped(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert machine.look(snapshot_size=9)["obstacle"] == machine.look()["obstacle"] == ""
    machine.runner.answers["images ls"] = ""
    assert f"container runtime has no image {IMAGE}" in machine.look(snapshot_size=9)["obstacle"]
    machine.runner.answers["images ls"] = IMAGE
    free = types.SimpleNamespace(free=5 << 20, total=1, used=0)
    monkeypatch.setattr(_etcd_restore.shutil, "disk_usage", lambda _path: free)
    # The snapshot itself is there already, and so it is on another disk.
    monkeypatch.setattr(_etcd_restore, "SNAPSHOT", str(machine.snapshot))
    assert machine.look(snapshot_size=2 << 20)["obstacle"] == ""
    assert "the restore needs 6 MB" in machine.look(snapshot_size=3 << 20)["obstacle"]
    machine.snapshot.unlink()
    assert "5 MB free, and the restore needs 6 MB" in machine.look(snapshot_size=2 << 20)["obstacle"]
    monkeypatch.setattr(_etcd_restore, "shares_disk", lambda _data: False)
    assert machine.look(snapshot_size=2 << 20)["obstacle"] == ""
    assert {line.split()[0] for line in machine.called()} == {"ctr"} and not machine.marker.exists()


def test_stopped_without_data(machine: Machine) -> None:
    (machine.root / "etcd" / "member").rmdir()
    (machine.root / "etcd").rmdir()
    assert machine.look(snapshot_size=9)["obstacle"] == ""
    assert machine.take("stopped")["changed"]


def test_restored(machine: Machine) -> None:
    assert "revision" in machine.take("restored")["msg"]
    assert "the state `stopped` comes first" in machine.take("restored", revision=REVISION)["msg"]
    machine.processes[-1].runs = False
    wrong = machine.take("restored", initial_cluster={"x": "y"}, revision=REVISION)
    assert "initial_cluster must have etcd-cp1" in wrong["msg"]
    cluster = {"etcd-cp1": PEER, "cp2": "https://h:2380"}
    assert machine.take("restored", initial_cluster=cluster, revision=REVISION)["changed"]
    assert f"--bump-revision={REVISION - 544}" in machine.runner.calls[-1]
    assert (machine.root / "etcd" / "member.before-restore").is_dir()
    assert machine.record()["restored"] is True
    # Again: what is there is not data of before.
    (machine.root / "etcd" / "member" / "half").touch()
    machine.take("restored", revision=REVISION)
    assert not list((machine.root / "etcd" / "member.before-restore").iterdir())
    assert not list((machine.root / "etcd" / "member").iterdir())


def test_completed(machine: Machine) -> None:
    machine.marker.write_text('{"operation": "restore"}')
    result = machine.take("completed", checksum="abc")
    assert (result["failed"], result["changed"]) == (False, False)
    assert (machine.record()["completed"], machine.record()["checksum"]) == (True, "abc")


def test_finished(machine: Machine) -> None:
    machine.marker.write_text('{"operation": "restore"}')
    assert machine.take("finished")["changed"]
    assert not machine.state.exists() and not machine.marker.exists()
    assert machine.take("finished")["changed"] is False
    for path in (machine.marker, machine.snapshot, machine.pending):
        path.parent.mkdir(exist_ok=True)
        path.touch()
        assert machine.take("finished")["changed"] and not path.exists()


@pytest.mark.parametrize("operation", ["init", "join", "reset"])
def test_what_is_unfinished_besides_is_not_forgotten(machine: Machine, operation: str) -> None:
    machine.marker.write_text(json.dumps({"operation": operation}))
    machine.snapshot.parent.mkdir(exist_ok=True)
    machine.snapshot.touch()
    assert machine.take("finished")["changed"] and not machine.snapshot.exists()
    assert machine.record() == {"operation": operation}
    assert machine.take("finished")["changed"] is False


def test_never_completed(machine: Machine) -> None:
    machine.marker.write_text('{"operation": "restore"}')
    machine.runner.answers["member list"] = SlipwayError("down")
    assert "etcd is not healthy" in machine.take("completed", timeout=3)["msg"]
    machine.ready[0] = False
    assert "the API server is not healthy" in machine.take("completed", timeout=3)["msg"]
    assert "completed" not in machine.record() and machine.snapshot.exists()


def leases(**times: str) -> str:
    return json.dumps(
        {"items": [{"metadata": {"name": name}, "spec": {"renewTime": when}} for name, when in times.items()]}
    )


def test_settled(machine: Machine) -> None:
    names = [{"metadata": {"name": name}} for name in ("cp1", "w1", "gone")]
    later = [leases(cp1="1", w1="1"), leases(cp1="2", w1="1"), leases(cp1="3", w1="2")]
    ready = [(1, "", "refused"), "ok"]
    nodes = json.dumps({"items": names})
    machine.runner.answers = {
        "readyz": ready,
        "get nodes": nodes,
        "leases": later,
        "delete": "",
        "get pods": '{"items": []}',
    }
    result = machine.take("settled", nodes=["cp1", "w1"], forget_nodes=["gone", "never"])
    assert (result["changed"], result["forgotten"]) == (True, ["gone"])
    assert machine.clock.pauses == [0.5, 0.5]


def test_settled_in_vain(machine: Machine) -> None:
    nothing = '{"items": []}'
    machine.runner.answers = {"readyz": "ok", "leases": leases(cp1="1"), "get ": nothing}
    result = machine.take("settled", nodes=["cp1", "w1"], timeout=2)
    assert "the kubelets of cp1, w1 do not report" in result["msg"]
    machine.runner.answers["leases"] = [leases(cp1="1"), leases(cp1="2")]
    assert machine.take("settled", nodes=["cp1"])["forgotten"] == []


AUTHORITIES = {"ca.crt": "ca", "ca.key": "key", "etcd/ca.crt": "etcd"}


def test_seeded(machine: Machine) -> None:
    machine.bare()
    assert machine.take("seeded", authorities=AUTHORITIES)["changed"]
    modes = {name: (machine.pki / name).stat().st_mode & 0o777 for name in AUTHORITIES}
    assert modes == {"ca.crt": 0o644, "ca.key": 0o600, "etcd/ca.crt": 0o644}
    assert machine.pending.read_text() == "the snapshot" and not machine.snapshot.exists()
    assert not machine.marker.exists()


def test_seeded_again(machine: Machine) -> None:
    machine.marker.write_text('{"operation": "init", "token_id": "abcdef"}')
    machine.pending.write_text("of before")
    machine.take("seeded", authorities=AUTHORITIES)
    assert machine.pending.read_text() == "the snapshot"
    assert (machine.record()["operation"], machine.record()["token_id"]) == ("init", "abcdef")


def test_seeded_too_late(machine: Machine) -> None:
    machine.trace.touch()
    assert "A control plane has come up on this host meanwhile" in machine.take("seeded")["msg"]
    assert machine.snapshot.exists()


@pytest.mark.parametrize("state", etcd_restore.STATES)
def test_check_mode(machine: Machine, state: str) -> None:
    options = {"revision": REVISION} if state == "restored" else {}
    assert machine.take(state, check=True, **options)["changed"] is (state != "completed")
    assert machine.runner.calls == [] and not machine.marker.exists() and machine.snapshot.exists()
    assert etcd.read_pod(str(machine.manifest)).name == "etcd-cp1"
