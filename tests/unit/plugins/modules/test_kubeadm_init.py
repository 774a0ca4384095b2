# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module, _records
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandError, CommandResult
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd, etcd_restore
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import kubeadm, kubeadm_files
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet import kubelet
from ansible_collections.slipway.kubernetes.plugins.modules import kubeadm_init
from ansible_collections.slipway.kubernetes.tests.unit.plugins.etcd_fakes import fixture
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import waiting_clock
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

INIT = {
    "apiVersion": "kubeadm.k8s.io/v1beta4",
    "kind": "InitConfiguration",
    "nodeRegistration": {"name": "cp1", "criSocket": "unix:///containerd.sock"},
    "bootstrapTokens": [{"token": "theirs.0123456789abcdef"}],
}
CLUSTER = {"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": "ClusterConfiguration", "kubernetesVersion": "v1.37.1"}
TOKEN = "abcdef.0123456789abcdef"
READY = "get --raw=/readyz"


class Machine:
    """A machine on which kubeadm and kubectl leave the files that they leave on a real one."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> None:
        self.marker = root / "slipway/kubeadm.json"
        self.kubeconfig = root / "kubernetes/admin.conf"
        self.manifest = root / "kubernetes/manifests/kube-apiserver.yaml"
        self.kubelet = root / "kubernetes/kubelet.conf"
        self.manifest.parent.mkdir(parents=True)
        self._run_module = run_module
        self.seen_markers: t.List[t.Any] = []
        self.recorded: t.List[bool] = []
        self.clock = waiting_clock(monkeypatch)
        self.runner = FakeRunner(
            {
                "config validate": "ok\n",
                "kubeadm reset": self._reset,
                "phase preflight": "",
                "kubeadm init --": self.initialise,
                READY: "ok",
                "get ": "configmap/x\n",
                "phase addon": "",
                "delete secret": "",
                "systemctl enable": "",
            },
            tools=("kubeadm", "kubectl", "systemctl"),
        )
        monkeypatch.setattr(_records.KUBEADM, "path", str(self.marker))
        monkeypatch.setattr(kubeadm, "new_token", lambda: TOKEN)
        monkeypatch.setattr(kubeadm, "running_commands", lambda: [])
        monkeypatch.setattr(kubeadm, "shutil", types.SimpleNamespace(rmtree=lambda *_path, **_more: None))
        for name in ("FOLDER", "KUBELET", "RECORD", "ASIDE"):
            monkeypatch.setattr(kubeadm_files, name, f"{root}/{name.lower()}")
        monkeypatch.setattr(kubeadm_files, "FOLDER", f"{root}/kubernetes")
        monkeypatch.setattr(_module, "Runner", lambda _module: self.runner)
        monkeypatch.setattr(kubeadm_init, "TRACES", (str(self.kubeconfig), str(self.manifest)))
        monkeypatch.setattr(kubeadm_init, "_KUBELET_KUBECONFIG", str(self.kubelet))
        monkeypatch.setattr(kubelet, "record_running", lambda _runner: self.recorded.append(self.kubeconfig.exists()))
        self.etcd = root / "etcd"
        self.pending = root / "restore" / "pending.db"
        self.etcd_manifest = root / "kubernetes/manifests/etcd.yaml"
        monkeypatch.setattr(etcd, "MANIFEST", str(self.etcd_manifest))
        monkeypatch.setattr(etcd_restore, "PENDING", str(self.pending))
        monkeypatch.setattr(etcd_restore, "STATE", str(self.pending.parent))
        self.authority = root / "kubernetes/pki/sa.key"
        self.authority.parent.mkdir()
        self.authority.write_text("the old one")

    def seeded(self) -> Machine:
        """etcd_restore has left a snapshot; another name than the machine's own is in it."""
        self.pending.parent.mkdir()
        self.pending.write_text("the snapshot")
        nodes = {"items": [{"metadata": {"name": name}} for name in ("cp1", "gone")]}
        self.runner.answers = {
            "phase etcd local": self._phase_etcd,
            "images ls": "registry.k8s.io/etcd:3.7.0-0",
            "images pull": "",
            "containers ls": "",
            "etcdutl": self._etcdutl,
            "get nodes": json.dumps(nodes),
            "delete pods": "",
            "delete node": "",
            **self.runner.answers,
        }
        self.runner.tools = ("kubeadm", "kubectl", "systemctl", "ctr")
        return self

    def _phase_etcd(self, _argv: t.List[str]) -> str:
        self.etcd_manifest.write_text(fixture("etcd.yaml").replace("/var/lib/etcd", str(self.etcd)))
        return ""

    def _etcdutl(self, argv: t.List[str]) -> str:
        assert not self.etcd_manifest.exists() and kubeadm.unfinished("init") is not None
        if "status" in argv:
            return json.dumps({"revision": 544})
        assert "--name=etcd-cp1" in argv
        bump = int(next(word for word in argv if word.startswith("--bump-revision=")).partition("=")[2])
        assert abs(544 + bump - etcd_restore.revision_now()) < 600_000_000
        (self.etcd / ".slipway-restore" / "data" / "member").mkdir(parents=True)
        return ""

    def _reset(self, _argv: t.List[str]) -> str:
        self.seen_markers.append(kubeadm.unfinished("init"))
        self.kubeconfig.unlink()
        return ""

    def initialise(self, _argv: t.List[str]) -> str:
        self.seen_markers.append(kubeadm.unfinished("init"))
        self.kubeconfig.write_text("secret")
        return "done"

    def built(self, certificate: str = "/var/lib/kubelet/pki/kubelet-client-current.pem") -> Machine:
        self.kubeconfig.write_text("secret")
        self.manifest.touch()
        self.kubelet.write_text(f"    client-certificate: {certificate}\n")
        return self

    def begun(self) -> Machine:
        """kubeadm has not come as far as kubelet-finalize, or that had nothing to do."""
        return self.built(certificate="data")

    def unfinished(self, record: str = '{"operation": "init", "token_id": "uvwxyz"}') -> Machine:
        self.marker.parent.mkdir()
        self.marker.write_text(record)
        return self

    def run(self, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        config = [CLUSTER, INIT]
        return self._run_module(
            kubeadm_init.main, {"config": config, "kubeconfig": str(self.kubeconfig), **options}, check=check
        )

    def called(self) -> t.List[str]:
        """What was called, without paths and what all calls have in common."""
        lines = []
        for call in self.runner.calls:
            words = [word for word in call[1:] if not word.startswith(("--kubeconfig=", "--request-timeout="))]
            lines.append(" ".join([Path(call[0]).name, *words]))
        return lines


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> Machine:
    return Machine(tmp_path, monkeypatch, run_module)


REVOKED = "kubectl delete secret bootstrap-token-abcdef --namespace=kube-system --ignore-not-found"
INITIALISED = [
    "kubeadm config validate --config=/dev/stdin",
    "kubeadm init phase preflight --config=/dev/stdin",
    "systemctl enable --quiet kubelet.service",
    "kubeadm init --skip-token-print --skip-phases=preflight --config=/dev/stdin",
    REVOKED,
]
IS_READY = "kubectl get --raw=/readyz"
ADDONS = [
    "kubectl get deployment/coredns --namespace=kube-system -o=name",
    "kubectl get daemonset/kube-proxy --namespace=kube-system -o=name",
]
COMPLETE = [IS_READY, "kubectl get configmap/cluster-info --namespace=kube-public -o=name", *ADDONS]


def test_bare_machine(machine: Machine) -> None:
    result = machine.run()
    assert (result["changed"], result["action"], result["failed"]) == (True, "initialised", False)
    assert machine.called() == INITIALISED
    (record,) = machine.seen_markers
    assert (record["operation"], record["token_id"]) == ("init", "abcdef")
    assert not machine.marker.exists() and machine.recorded == [True]


def test_token_is_short_lived_and_in_no_argument(machine: Machine) -> None:
    result = machine.run(skip_phases=["addon/kube-proxy", "addon/coredns"])
    assert machine.called()[3] == (
        "kubeadm init --skip-token-print --skip-phases=preflight,addon/kube-proxy,addon/coredns --config=/dev/stdin"
    )
    validated, checked, _enable, given, _delete = machine.runner.stdins
    assert validated == checked == given
    first, second = (json.loads(part) for part in (given or "").split("---\n"))
    assert [(token["token"], token["ttl"]) for token in first["bootstrapTokens"]] == [(TOKEN, "10m0s")]
    assert first["nodeRegistration"] == INIT["nodeRegistration"]
    assert second == CLUSTER
    assert TOKEN[7:] not in json.dumps(machine.runner.calls) + json.dumps(machine.seen_markers) + str(result["action"])


def test_bare_machine_in_check_mode(machine: Machine) -> None:
    machine.runner.tools = ()
    result = machine.run(check=True)
    assert (result["changed"], result["action"], machine.runner.calls) == (True, "initialised", [])
    machine.runner.tools = ("kubeadm",)
    assert machine.run(check=True)["action"] == "initialised"
    assert machine.called() == INITIALISED[:1]
    assert not machine.marker.exists() and not machine.kubeconfig.exists()
    machine.runner.answers["config validate"] = (1, "", "error: unknown field")
    failed = machine.run(check=True)
    assert failed["failed"] and failed["msg"].endswith("nothing was changed: error: unknown field")


@pytest.mark.parametrize("check", [True, False])
def test_control_plane_that_works_is_left_alone(machine: Machine, check: bool) -> None:
    result = machine.built().run(check=check)
    assert (result["changed"], result["action"]) == (False, "none")
    assert machine.called() == [f"kubectl {READY}"]


def test_control_plane_that_starts_is_waited_for(machine: Machine) -> None:
    machine.runner.answers[READY] = [(1, "", "refused"), (1, "", "refused"), "ok"]
    assert machine.built().run()["action"] == "none"
    assert machine.clock.now == 2.0


def test_preflight_checks_can_be_skipped(machine: Machine) -> None:
    machine.run(skip_phases=["preflight", "addon/coredns"])
    assert machine.called() == [
        INITIALISED[0],
        INITIALISED[2],
        "kubeadm init --skip-token-print --skip-phases=preflight,addon/coredns --config=/dev/stdin",
        REVOKED,
    ]


def test_what_preflight_refuses_is_no_unfinished_work_of_ours(machine: Machine) -> None:
    result = CommandResult(["kubeadm", "init"], 1, "", "Port 10250 is in use")
    machine.runner.answers["phase preflight"] = CommandError("Port 10250 is in use", result)
    for _again in range(2):
        failed = machine.run()
        assert failed["failed"] and "Port 10250 is in use" in failed["msg"]
        assert not machine.marker.exists()
    assert "kubeadm reset" not in " ".join(machine.called())


@pytest.mark.parametrize("check", [True, False])
def test_a_worker_is_left_alone(machine: Machine, check: bool) -> None:
    machine.kubelet.write_text("theirs")
    for _again in range(2):
        failed = machine.run(check=check)
        assert failed["failed"] and "is a node of a cluster already" in failed["msg"]
        assert machine.called() == [] and not machine.marker.exists()


def test_an_interrupted_join_is_left_alone(machine: Machine) -> None:
    failed = machine.unfinished('{"operation": "join", "started": "T"}').run()
    assert failed["failed"] and "An interrupted `kubeadm join` of T has left this host half done" in failed["msg"]
    assert machine.called() == [] and machine.marker.exists()


@pytest.mark.parametrize("record", [None, '{"operation": "init"}', "{"])
def test_never_reset_when_it_may_be_in_use(machine: Machine, record: t.Optional[str]) -> None:
    machine.runner.answers[READY] = (1, "", "refused")
    if record is not None:
        machine.unfinished(record)
    failed = machine.built().run(timeout=7)
    assert failed["failed"] and "it may be in use: it is left as it is" in failed["msg"]
    assert str(machine.kubeconfig) in failed["msg"] and str(machine.manifest) in failed["msg"]
    assert machine.clock.now == 7.0
    assert set(machine.called()) == {f"kubectl {READY}"}
    machine.runner.calls.clear()
    # In check mode it is not waited for as long, but one late answer says nothing.
    assert machine.run(check=True)["failed"]
    assert machine.clock.now == 17.0
    assert set(machine.called()) == {f"kubectl {READY}"}
    machine.runner.calls.clear()
    machine.kubeconfig.unlink()
    failed = machine.run(timeout=0)
    assert failed["failed"] and str(machine.kubeconfig) not in failed["msg"]
    assert machine.called() == []
    assert machine.manifest.exists()


def test_unfinished_and_complete_is_finished_not_reset(machine: Machine) -> None:
    result = machine.built().unfinished().run()
    assert (result["changed"], result["action"]) == (True, "finished")
    assert machine.called() == [IS_READY, *ADDONS, REVOKED.replace("abcdef", "uvwxyz")]
    assert not machine.marker.exists()


def test_addons_that_are_missing_are_installed(machine: Machine) -> None:
    machine.runner.answers = {"daemonset/kube-proxy": (1, "", "NotFound"), **machine.runner.answers}
    assert machine.built().unfinished().run()["action"] == "finished"
    assert machine.called() == [
        IS_READY,
        *ADDONS,
        "kubeadm init phase addon kube-proxy --config=/dev/stdin",
        REVOKED.replace("abcdef", "uvwxyz"),
    ]


def test_a_kubelet_that_rotates_nothing_does_not_tell_how_far_kubeadm_was(machine: Machine) -> None:
    machine.runner.answers[READY] = [(1, "", "refused"), "ok"]
    assert machine.begun().unfinished().run()["action"] == "finished"
    assert machine.called() == [IS_READY, *COMPLETE, *ADDONS, REVOKED.replace("abcdef", "uvwxyz")]
    assert machine.clock.now == 1.0


def test_a_spoilt_record_does_not_reset_a_control_plane_that_is_complete(machine: Machine) -> None:
    result = machine.built().unfinished("{").run()
    assert (result["changed"], result["action"]) == (True, "finished")
    assert machine.called() == [IS_READY, *ADDONS]
    assert not machine.marker.exists()


@pytest.mark.parametrize(
    ("missing", "looks"), [(READY, 3), ("get configmap/cluster-info", 2), ("get daemonset/kube-proxy", 4)]
)
def test_unfinished_and_incomplete_is_reset_and_initialised(machine: Machine, missing: str, looks: int) -> None:
    machine.runner.answers = {missing.replace("get ", " "): (1, "", "refused"), **machine.runner.answers}
    result = machine.begun().unfinished().run(timeout=2)
    assert (result["changed"], result["action"]) == (True, "reinitialised")
    assert machine.called() == [
        *([IS_READY] * 3 if missing == READY else COMPLETE[:looks]),
        INITIALISED[0],
        f"kubeadm reset --force --cert-dir={kubeadm_files.NOWHERE} --cri-socket=unix:///containerd.sock",
        *INITIALISED[1:],
    ]
    # Whenever it is killed, there is a record.
    assert [record["token_id"] for record in machine.seen_markers] == ["uvwxyz", "abcdef"]
    assert not machine.marker.exists()


def test_a_refused_configuration_resets_nothing(machine: Machine) -> None:
    machine.runner.answers.update({"config validate": (1, "", "error: bad"), READY: (1, "", "refused")})
    assert machine.begun().unfinished().run(timeout=0)["failed"]
    assert machine.called() == [COMPLETE[0], INITIALISED[0]]
    assert machine.kubeconfig.exists() and machine.marker.exists()


@pytest.mark.parametrize("record", ["{}", '{"operation": "init", "token_id": "uvwxyz"}'])
def test_unfinished_in_check_mode(machine: Machine, record: str) -> None:
    result = machine.built().unfinished(record).run(check=True)
    assert (result["changed"], result["action"]) == (True, "finished")
    assert machine.called() == [IS_READY]
    machine.kubeconfig.unlink()
    machine.kubelet.unlink()
    machine.runner.calls.clear()
    result = machine.run(check=True)
    assert (result["changed"], result["action"]) == (True, "reinitialised")
    assert machine.called() == [INITIALISED[0]]
    assert machine.marker.read_text() == record


def test_a_failed_init_keeps_its_record_and_its_secret(machine: Machine) -> None:
    said = f"token {TOKEN} was refused"
    result = CommandResult(["kubeadm", "init"], 1, "", said)
    machine.runner.answers["kubeadm init --"] = CommandError(f"kubeadm init failed (rc 1): {said}", result)
    failed = machine.run()
    assert failed["failed"] and failed["rc"] == 1
    assert failed["msg"] == "kubeadm init failed (rc 1): token abcdef.(secret) was refused"
    assert TOKEN[7:] not in json.dumps({key: value for key, value in failed.items() if key != "invocation"})
    assert json.loads(machine.marker.read_text())["token_id"] == "abcdef"


def test_kubeadm_of_an_earlier_run_is_waited_for(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: t.List[float] = []
    monkeypatch.setattr(kubeadm, "wait_for_running", waited.append)
    machine.run(check=True)
    assert waited == []
    machine.run(timeout=9)
    assert waited == [9]


def test_without_kubeadm(machine: Machine) -> None:
    machine.runner.tools = ()
    assert machine.run()["msg"].startswith("kubeadm is not installed on this host")
    assert not machine.marker.exists()


def test_an_init_configuration_is_made_when_there_is_none() -> None:
    documents = kubeadm_init.with_token([CLUSTER], TOKEN)
    assert [document["kind"] for document in documents] == ["InitConfiguration", "ClusterConfiguration"]
    assert documents[0]["apiVersion"] == "kubeadm.k8s.io/v1beta4"
    assert documents[0]["bootstrapTokens"][0]["description"].startswith(kubeadm.TOKEN_DESCRIPTION)
    kubeadm_init.with_token([INIT], TOKEN)
    assert INIT["bootstrapTokens"] == [{"token": "theirs.0123456789abcdef"}]


@pytest.mark.parametrize(
    ("skipped", "names"),
    [
        ([], ["coredns", "kube-proxy"]),
        (["addon/coredns"], ["kube-proxy"]),
        (["addon/kube-proxy", "preflight"], ["coredns"]),
        (["addon"], []),
        (["addon/all"], []),
    ],
)
def test_wanted_addons(skipped: t.List[str], names: t.List[str]) -> None:
    assert kubeadm_init.wanted_addons(skipped) == names


FORGOTTEN = [
    "kubectl get nodes --output=json",
    "kubectl delete pods --all-namespaces --field-selector=spec.nodeName=gone --force --grace-period=0 --wait=false",
    "kubectl delete node --ignore-not-found -- gone",
]


@pytest.mark.parametrize("image", ["registry.k8s.io/etcd:3.7.0-0", ""])
def test_a_cluster_begins_with_a_snapshot(machine: Machine, image: str) -> None:
    machine.seeded().runner.answers["images ls"] = image
    result = machine.run()
    assert result.get("action") == "initialised", result
    called = [line.partition(" --address")[0] for line in machine.called()]
    pulled = [] if image else ["kubeadm config images pull --config=/dev/stdin"]
    assert called == [
        *INITIALISED[:3],
        "kubeadm init phase etcd local --config=/dev/stdin",
        "ctr",
        *pulled,
        # Leftovers, the snapshot's revision, the restore.
        *["ctr"] * 3,
        INITIALISED[3],
        *FORGOTTEN,
        REVOKED,
    ]
    assert (machine.etcd / "member").is_dir()
    assert not machine.pending.parent.exists() and not machine.marker.exists()


def test_an_interrupted_init_with_a_snapshot_begins_with_it_again(machine: Machine) -> None:
    # What the snapshot has, such as the addons, says nothing about how far kubeadm had come.
    machine.seeded().begun().unfinished()

    def reset(_argv: t.List[str]) -> str:
        machine.kubeconfig.unlink()
        return ""

    machine.runner.answers["kubeadm reset"] = reset
    assert machine.run()["action"] == "reinitialised"
    assert machine.authority.read_text() == "the old one"
    assert (machine.etcd / "member").is_dir() and not machine.pending.exists()


def test_a_complete_init_with_a_snapshot_is_finished(machine: Machine) -> None:
    machine.seeded().built().unfinished()
    assert machine.run()["action"] == "finished"
    assert machine.called()[-4:-1] == FORGOTTEN
    assert not machine.pending.exists() and not machine.marker.exists()


def test_an_interrupted_restore_is_left_alone(machine: Machine) -> None:
    machine.unfinished('{"operation": "restore", "started": "then"}')
    assert "An interrupted restore of etcd of then" in machine.run()["msg"]


@pytest.mark.parametrize(
    ("etcd_of_cluster", "made"),
    [
        ({"local": {"dataDir": "DATA"}}, True),
        ({"local": {"extraArgs": []}}, False),
        ({"external": {"endpoints": ["https://192.0.2.7:2379"]}}, False),
    ],
)
def test_etcds_folder_is_there_before_kubeadm_makes_it(
    machine: Machine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    etcd_of_cluster: t.Dict[str, t.Any],
    made: bool,
) -> None:
    """With the label of its place, which kubeadm does not give it."""
    data = tmp_path / "lib" / "etcd"
    seen: t.List[bool] = []
    monkeypatch.setattr(kubeadm_files, "_labels", types.SimpleNamespace(is_on=lambda: True))
    monkeypatch.setattr(kubeadm_init, "KUBEADM", types.SimpleNamespace(etcd_data=""))
    machine.runner.answers["kubeadm init --"] = lambda argv: [seen.append(data.is_dir()), machine.initialise(argv)][1]
    cluster = json.loads(json.dumps({**CLUSTER, "etcd": etcd_of_cluster}).replace("DATA", str(data)))
    assert machine.run(config=[cluster, INIT])["changed"] is True
    assert seen == [made] and data.is_dir() is made
