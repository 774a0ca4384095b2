# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module, _records
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import (
    CommandError,
    CommandResult,
    SlipwayError,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd_learners
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import kubeadm, kubeadm_files
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet import kubelet
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import certificates
from ansible_collections.slipway.kubernetes.plugins.modules import kubeadm_join
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import waiting_clock
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

TOKEN = "abcdef.0123456789abcdef"
CONFIG: t.Dict[str, t.Any] = {
    "apiVersion": "kubeadm.k8s.io/v1beta4",
    "kind": "JoinConfiguration",
    "discovery": {"bootstrapToken": {"apiServerEndpoint": "192.0.2.1:6443", "caCertHashes": ["sha256:1"]}},
    "nodeRegistration": {"name": "w1", "criSocket": "unix:///c.sock"},
}
VALIDATED = "kubeadm config validate --config=/dev/stdin"
CHECKED = "kubeadm join phase preflight --config=/dev/stdin"
JOINED = "kubeadm join --skip-phases=preflight --config=/dev/stdin"
PREPARED = "kubeadm join phase control-plane-prepare all --config=/dev/stdin"
COMPLETED = "kubeadm join --skip-phases=preflight,control-plane-prepare --config=/dev/stdin"
RESET = f"kubeadm reset --force --cert-dir={kubeadm_files.NOWHERE} --cri-socket=unix:///c.sock"


class Machine:
    """A machine that is, or is not yet, a node."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> None:
        self.marker = root / "kubeadm.json"
        self.kubeconfig = root / "kubelet.conf"
        self.certificate = root / "kubelet-client-current.pem"
        self.bootstrap = root / "bootstrap-kubelet.conf"
        self.clock = waiting_clock(monkeypatch)
        self._run_module = run_module
        self.seen_markers: t.List[t.Any] = []
        self.recorded: t.List[str] = []
        #: What the API server says of the Node; the last answer stays.
        self.nodes: t.List[t.Any] = [{"kind": "Node"}]
        answers = {
            "config validate": "ok\n",
            "phase preflight": "",
            "kubeadm reset": self._see,
            "kubeadm join": self._see,
            "get node/": "x",
            "systemctl enable": "",
        }
        self.runner = FakeRunner(answers, tools=("kubeadm", "kubectl", "systemctl"))
        monkeypatch.setattr(_records.KUBEADM, "path", str(self.marker))
        monkeypatch.setattr(kubeadm, "running_commands", lambda: [])
        monkeypatch.setattr(kubeadm, "shutil", types.SimpleNamespace(rmtree=lambda *_path, **_more: None))
        for name in ("FOLDER", "KUBELET", "RECORD", "ASIDE"):
            monkeypatch.setattr(kubeadm_files, name, f"{root}/{name.lower()}")
        monkeypatch.setattr(_module, "Runner", lambda _module: self.runner)
        monkeypatch.setattr(kubeadm_join, "_KUBELET_KUBECONFIG", str(self.kubeconfig))
        monkeypatch.setattr(kubeadm_join, "_KUBELET_CERTIFICATE", str(self.certificate))
        monkeypatch.setattr(kubeadm_join, "_BOOTSTRAP_KUBECONFIG", str(self.bootstrap))
        self.manifest = root / "kube-apiserver.yaml"
        self.etcd = root / "etcd.yaml"
        self.api_ready = False
        monkeypatch.setattr(api_server, "MANIFEST", str(self.manifest))
        monkeypatch.setattr(api_server, "is_ready", lambda: self.api_ready)
        monkeypatch.setattr(kubeadm_join, "_ETCD", (str(self.etcd), str(root / "member")))
        monkeypatch.setattr(kubelet, "record_running", lambda _runner: self.recorded.append(self.called()[-1]))

        monkeypatch.setattr(certificates, "node_name", lambda: "w1")
        monkeypatch.setattr(kubelet, "ask_for_node", self._ask)
        #: Members of etcd without a vote.
        self.learners: t.List[t.Dict[str, t.Any]] = []
        monkeypatch.setattr(etcd_learners, "learners", lambda _kubectl: self.learners)

    def _ask(self, name: str) -> t.Any:
        assert name == "w1"
        return self.nodes.pop(0) if len(self.nodes) > 1 else self.nodes[0]

    def _see(self, _argv: t.List[str]) -> str:
        self.seen_markers.append((_records.KUBEADM.read() or {}).get("operation"))
        return ""

    def joined(self) -> Machine:
        self.kubeconfig.touch()
        self.certificate.touch()
        return self

    def unfinished(self, record: str = '{"operation": "join"}') -> Machine:
        self.marker.write_text(record)
        return self

    def run(self, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        return self._run_module(kubeadm_join.main, {"config": CONFIG, "token": TOKEN, **options}, check=check)

    def called(self) -> t.List[str]:
        return [" ".join([Path(call[0]).name, *call[1:]]) for call in self.runner.calls]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> Machine:
    return Machine(tmp_path, monkeypatch, run_module)


def outcome(result: t.Mapping[str, t.Any]) -> t.Tuple[t.Any, t.Any]:
    return result["changed"], result["action"]


def test_bare_machine(machine: Machine) -> None:
    result = machine.run()
    assert outcome(result) == (True, "joined")
    assert machine.called() == [VALIDATED, CHECKED, "systemctl enable --quiet kubelet.service", JOINED]
    assert machine.seen_markers == ["join"] and not machine.marker.exists()
    assert machine.recorded == [JOINED], "what the kubelet was started with"


@pytest.mark.parametrize("answers", [[{}, {}, {"kind": "Node"}], [{}, None], [None]])
def test_its_node_is_waited_for(machine: Machine, answers: t.List[t.Any]) -> None:
    """An API server that does not answer has not said that there is none."""
    machine.nodes = answers
    assert outcome(machine.run()) == (True, "joined")
    assert len(machine.nodes) == 1 and not machine.marker.exists()


def test_a_kubelet_that_does_not_register_its_node(machine: Machine) -> None:
    """It is this machine that fails, and not the task that labels the nodes of all; the next run goes on with it."""
    machine.nodes = [{}]
    failed = machine.run()
    assert "60 seconds later the cluster has no node w1: its kubelet has not registered it" in failed["msg"]
    assert machine.marker.exists() and machine.recorded == []


def test_token_goes_by_standard_input_only(machine: Machine) -> None:
    result = machine.run()
    for stdin in filter(None, machine.runner.stdins):
        assert json.loads(stdin or "")["discovery"]["bootstrapToken"]["token"] == TOKEN
    assert len(list(filter(None, machine.runner.stdins))) == 3
    assert TOKEN[7:] not in json.dumps(machine.runner.calls) + json.dumps(result)


def test_bare_machine_in_check_mode(machine: Machine) -> None:
    machine.runner.tools = ()
    assert outcome(machine.run(check=True, token=None)) == (True, "joined")
    assert machine.called() == [] and not machine.marker.exists()


@pytest.mark.parametrize("check", [True, False])
def test_node_is_left_alone(machine: Machine, check: bool) -> None:
    machine.joined().certificate.unlink()
    machine.runner.tools = ()
    assert outcome(machine.run(check=check, token=None)) == (False, "none")
    assert machine.called() == []


@pytest.mark.parametrize("record", ['{"operation": "join"}', "{"])
def test_unfinished_and_complete_is_finished_not_reset(machine: Machine, record: str) -> None:
    machine.bootstrap.write_text(TOKEN)
    assert outcome(machine.joined().unfinished(record).run(token=None)) == (True, "finished")
    assert machine.called() == [
        f"kubectl --kubeconfig={machine.kubeconfig} --request-timeout=10s get node/w1 --output=name"
    ]
    assert not machine.marker.exists() and not machine.bootstrap.exists()


def test_the_node_has_the_name_of_the_machine_by_default(machine: Machine) -> None:
    config = {key: value for key, value in CONFIG.items() if key != "nodeRegistration"}
    assert outcome(machine.joined().unfinished().run(config=config)) == (True, "finished")
    assert machine.called()[0].endswith(f"get node/{os.uname().nodename} --output=name")


def test_what_preflight_refuses_is_no_unfinished_work_of_ours(machine: Machine) -> None:
    result = CommandResult(["kubeadm", "join"], 1, "", "manifests exist")
    machine.runner.answers["phase preflight"] = CommandError("manifests exist", result)
    for _again in range(2):
        failed = machine.run()
        assert failed["failed"] and failed["msg"] == "manifests exist"
        assert machine.called()[-2:] == [VALIDATED, CHECKED] and not machine.marker.exists()


def test_an_interrupted_init_is_left_alone(machine: Machine) -> None:
    failed = machine.unfinished('{"operation": "init", "started": "T"}').run()
    assert failed["failed"] and "An interrupted `kubeadm init` of T has left this host half done" in failed["msg"]
    assert machine.called() == [] and machine.marker.exists()


def test_a_node_is_not_joined_again_because_the_api_server_is_away(machine: Machine) -> None:
    refused = (1, "", "The connection to the server 192.0.2.1:6443 was refused")
    machine.runner.answers["get node/"] = refused
    failed = machine.joined().unfinished().run(timeout=9)
    assert failed["failed"] and "it is left as it is" in failed["msg"] and failed["msg"].endswith("was refused")
    assert machine.clock.now == 9.0 and machine.marker.exists()
    machine.runner.answers["get node/"] = [refused, refused, "node/w1"]
    assert outcome(machine.run(timeout=9)) == (True, "finished")


def test_a_kubelet_has_time_to_make_its_node(machine: Machine) -> None:
    not_found = (1, "", 'Error from server (NotFound): nodes "w1" not found')
    machine.runner.answers["get node/"] = [not_found, not_found, "node/w1"]
    assert outcome(machine.joined().unfinished().run()) == (True, "finished")
    machine.unfinished().runner.answers["get node/"] = not_found
    assert outcome(machine.run()) == (True, "rejoined")
    assert machine.clock.now == 62.0


@pytest.mark.parametrize("missing", ["certificate", "kubeconfig", "x509: unknown authority", "Unauthorized"])
def test_unfinished_and_incomplete_is_reset_and_joined(machine: Machine, missing: str) -> None:
    machine.joined().unfinished()
    if missing in ("certificate", "kubeconfig"):
        getattr(machine, missing).unlink()
    else:
        machine.runner.answers["get node/"] = (1, "", missing)
    assert outcome(machine.run()) == (True, "rejoined")
    assert [line for line in machine.called() if line.startswith("kubeadm")] == [VALIDATED, RESET, CHECKED, JOINED]
    assert machine.seen_markers == ["join", "join"] and not machine.marker.exists()


def test_without_kubectl_nobody_knows_whether_it_is_complete(machine: Machine) -> None:
    machine.runner.tools = ("kubeadm",)
    failed = machine.joined().unfinished().run()
    assert failed["failed"] and failed["msg"].startswith("kubectl is not installed on this host")
    assert machine.called() == [] and machine.marker.exists()


def test_unfinished_in_check_mode(machine: Machine) -> None:
    assert outcome(machine.joined().unfinished().run(check=True)) == (True, "finished")
    machine.runner.answers["get node/"] = (1, "", "NotFound")
    assert outcome(machine.run(check=True)) == (True, "rejoined")
    machine.runner.answers["get node/"] = (1, "", "refused")
    assert machine.run(check=True)["failed"]
    machine.certificate.unlink()
    assert outcome(machine.run(check=True)) == (True, "rejoined")
    assert machine.clock.now == 0.0
    assert not machine.runner.called("/usr/bin/kubeadm") and machine.marker.exists()


@pytest.mark.parametrize("options", [{"token": None}, {"config": {"discovery": {"bootstrapToken": {}}}}])
def test_missing_input_resets_nothing(machine: Machine, options: t.Dict[str, t.Any]) -> None:
    failed = machine.unfinished().run(**options)
    assert failed["failed"]
    assert failed["msg"].startswith(("token: this host is no node yet", "config: discovery.bootstrapToken"))
    assert machine.called() == [] and machine.marker.exists()


def test_refused_configuration_resets_nothing(machine: Machine) -> None:
    machine.runner.answers["config validate"] = (1, "", "error: bad")
    assert "kubeadm refuses the configuration" in machine.unfinished().run()["msg"]
    assert machine.called() == [VALIDATED]


def test_failed_join_keeps_its_record_and_its_secret(machine: Machine) -> None:
    said = f"token {TOKEN} is unknown"
    error = CommandError(f"kubeadm join failed (rc 1): {said}", CommandResult(["kubeadm", "join"], 1, "", said))
    machine.runner.answers["kubeadm join"] = error
    machine.bootstrap.write_text(TOKEN)
    failed = machine.run()
    assert failed["failed"] and failed["msg"] == "kubeadm join failed (rc 1): token abcdef.(secret) is unknown"
    assert TOKEN[7:] not in json.dumps(failed)
    assert machine.marker.exists() and not machine.bootstrap.exists()


def test_kubeadm_of_an_earlier_run_is_waited_for(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: t.List[float] = []
    monkeypatch.setattr(kubeadm, "wait_for_running", waited.append)
    machine.run(check=True)
    assert waited == []
    machine.run(timeout=9)
    assert waited == [9]


@pytest.mark.parametrize(
    "discovery",
    [
        None,
        {"bootstrapToken": {"apiServerEndpoint": "x", "caCertHashes": []}},
        {"bootstrapToken": {"caCertHashes": ["sha256:1"], "unsafeSkipCAVerification": True}},
    ],
)
def test_only_joins_a_cluster_whose_ca_is_verified(discovery: t.Any) -> None:
    with pytest.raises(SlipwayError, match="caCertHashes is missing"):
        kubeadm_join.with_secrets({"discovery": discovery}, TOKEN)


def test_with_secrets_does_not_change_its_input() -> None:
    document = kubeadm_join.with_secrets(CONFIG, TOKEN)
    assert document["discovery"]["bootstrapToken"]["token"] == TOKEN
    assert document["discovery"]["bootstrapToken"]["caCertHashes"] == ["sha256:1"]
    assert "token" not in CONFIG["discovery"]["bootstrapToken"]


# Control planes

KEY = "ab" * 32
CONTROL_PLANE = {**CONFIG, "controlPlane": {"localAPIEndpoint": {"advertiseAddress": "192.0.2.2"}}}
JOIN = {"config": CONTROL_PLANE, "certificate_key": KEY}
HALF_DONE = '{"operation": "join --control-plane", "started": "T"}'


def test_a_control_plane_joins(machine: Machine) -> None:
    assert outcome(machine.run(**JOIN)) == (True, "joined")
    enabled = "systemctl enable --quiet kubelet.service"
    assert machine.called() == [VALIDATED, CHECKED, enabled, PREPARED, COMPLETED]
    assert machine.seen_markers == ["join --control-plane"] * 2 and not machine.marker.exists()
    document = json.loads(machine.runner.stdins[-1] or "")
    assert document["controlPlane"] == {"localAPIEndpoint": {"advertiseAddress": "192.0.2.2"}, "certificateKey": KEY}
    assert KEY not in json.dumps(machine.runner.calls) + json.dumps(CONTROL_PLANE)


def test_etcds_folder_is_there_before_kubeadm_makes_it(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it will be is known when kubeadm has made etcd's certificates."""
    made: t.List[t.Tuple[str, str]] = []
    monkeypatch.setattr(kubeadm_join, "etcd_data", lambda: "/data")
    monkeypatch.setattr(kubeadm_join, "make_etcd_data", lambda path: made.append((path, machine.called()[-1])))
    machine.run(**JOIN)
    assert made == [("/data", PREPARED)]


def test_a_control_plane_needs_a_key(machine: Machine) -> None:
    assert machine.run(config=CONTROL_PLANE)["msg"].startswith("certificate_key: a control plane needs the key")
    assert machine.called() == []


def test_a_worker_does_not_become_a_control_plane(machine: Machine) -> None:
    failed = machine.joined().run(**JOIN)
    assert failed["failed"] and failed["msg"].startswith("This host is a worker of a cluster already")
    machine.manifest.touch()
    assert outcome(machine.run(**JOIN)) == (False, "none")


@pytest.mark.parametrize(("record", "options"), [(HALF_DONE, {}), ('{"operation": "join", "started": "T"}', JOIN)])
def test_half_a_node_of_the_other_kind_is_left_alone(
    machine: Machine, record: str, options: t.Dict[str, t.Any]
) -> None:
    failed = machine.unfinished(record).run(**options)
    assert failed["failed"] and "is not begun: it might clean up what is in use" in failed["msg"]
    assert machine.called() == []


def test_a_control_plane_that_is_complete_is_finished(machine: Machine) -> None:
    machine.api_ready = True
    machine.runner.answers["get nodes"] = "node/cp1\nnode/w1\n"
    assert outcome(machine.unfinished(HALF_DONE).run(**JOIN)) == (True, "finished")
    admin = "--kubeconfig=/etc/kubernetes/admin.conf --request-timeout=10s"
    selector = "--selector=node-role.kubernetes.io/control-plane"
    assert machine.called() == [f"kubectl {admin} get nodes {selector} --output=name"]
    assert not machine.marker.exists()


@pytest.mark.parametrize(
    ("ready", "certificate", "skipped"),
    [(False, False, "preflight"), (True, False, "preflight"), (True, True, "preflight,kubelet-start")],
)
def test_what_etcd_may_count_on_is_not_reset(machine: Machine, ready: bool, certificate: bool, skipped: str) -> None:
    machine.api_ready = ready
    machine.etcd.touch()
    machine.runner.answers["get nodes"] = "node/cp1\n"
    if certificate:
        machine.joined()
    assert outcome(machine.unfinished(HALF_DONE).run(check=True, **JOIN)) == (True, "finished")
    assert outcome(machine.run(**JOIN)) == (True, "finished")
    assert [line for line in machine.called() if line.startswith("kubeadm")] == [
        VALIDATED,
        f"kubeadm join --skip-phases={skipped} --config=/dev/stdin",
    ]
    assert machine.seen_markers == ["join --control-plane"] and not machine.marker.exists()


def test_a_control_plane_without_etcd_is_reset(machine: Machine) -> None:
    assert outcome(machine.unfinished(HALF_DONE).run(**JOIN)) == (True, "rejoined")
    commands = [line for line in machine.called() if line.startswith("kubeadm")]
    assert commands == [VALIDATED, RESET, CHECKED, PREPARED, COMPLETED]


def test_etcd_takes_one_new_member_at_a_time(machine: Machine) -> None:
    """The join of another control plane was killed before its member had a vote."""
    machine.learners = [
        {"name": "cp2", "peerURLs": ["https://192.0.2.9:2380"]},
        {"peerURLs": ["https://[fd00::9]:2380"]},
    ]
    failed = machine.run(**JOIN)
    assert "etcd has a member that has no vote yet, cp2, https://[fd00::9]:2380, and takes no other" in failed["msg"]
    # Nothing has been asked of etcd, and the next run begins anew.
    assert machine.called()[-1] == PREPARED and machine.marker.exists()
    machine.learners = []
    assert outcome(machine.run(**JOIN)) == (True, "rejoined")


def test_a_member_of_its_own_is_no_hindrance(machine: Machine) -> None:
    """kubeadm takes a member for its own that has this machine's address, when it was killed before it wrote more."""
    note = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: 192.0.2.2:6443"
    machine.manifest.write_text(f"metadata:\n  annotations:\n    {note}\n")
    machine.learners = [{"peerURLs": ["https://192.0.2.2:2380"]}]
    assert outcome(machine.run(**JOIN)) == (True, "joined")
    assert machine.called()[-1] == COMPLETED
