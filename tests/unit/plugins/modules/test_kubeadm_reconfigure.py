# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module, _records
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import kubeadm, manifests
from ansible_collections.slipway.kubernetes.plugins.modules import kubeadm_reconfigure
from ansible_collections.slipway.kubernetes.plugins.modules.kubeadm_reconfigure import last_words
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import waiting_clock
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

CLUSTER = "kind: ClusterConfiguration\nkubernetesVersion: v1.37.1\n"
NAMES = manifests.NAMES


def manifest(name: str, *arguments: str) -> str:
    """What kubeadm would write, as far as it matters here."""
    mark = "    kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: 192.0.2.1:6443\n"
    lines = "".join(f"    - --{argument}\n" for argument in arguments)
    return f"metadata:\n  annotations:\n{mark}  name: {name}\nspec:\n  containers:\n  - command:\n    - {name}\n{lines}"


class Runner(FakeRunner):
    """One that hands the environment of a command to its answer."""

    environment: t.Mapping[str, str] = {}

    def run(
        self, argv: t.Sequence[str], stdin: t.Optional[str] = None, *options: t.Any, **more: t.Any
    ) -> CommandResult:
        self.environment = more.get("environment") or {}
        return super().run(argv, stdin, *options, **more)


class Machine:
    """A control plane, its kubelet, and the kubeadm that is installed there."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> None:
        self.root = root
        self.manifests, self.logs = root / "manifests", root / "pods"
        self.manifests.mkdir()
        self.config = root / "config.yaml"
        self.config.write_text("maxPods: 110\n")
        self.state = root / "cpu_manager_state"
        self.wanted: t.Dict[str, str] = {}
        self.kubelet_config = "maxPods: 110\n"
        self.kubelet = "active"
        self.api_ready = True
        self.records: t.List[t.Any] = []
        self.clock = waiting_clock(monkeypatch)
        self._run_module = run_module
        answers = {
            "kubeadm version": "v1.37.1\n",
            "init phase": self._render,
            "patch --local": lambda _argv: self._as_json(self.runner.stdins[-1] or ""),
            "get pod/": self._pod,
            "upgrade node phase kubelet-config": self._write_kubelet,
            "systemctl show": self._unit,
            "systemctl stop": "",
            "systemctl start": "",
            "journalctl": "I1201 fine\nE1201 10:00:00.0 1 run.go:72] command failed: maxPods is wrong\nstopped\n",
        }
        self.runner = Runner(answers, tools=("kubeadm", "kubectl", "systemctl", "journalctl"))
        monkeypatch.setattr(_records.RECONFIGURATION, "path", str(root / "reconfiguration.json"))
        monkeypatch.setattr(_module, "Runner", lambda _module: self.runner)
        monkeypatch.setattr(kubeadm, "running_commands", lambda: [])
        monkeypatch.setattr(manifests, "path", lambda name: str(self.manifests / f"{name}.yaml"))
        module = kubeadm_reconfigure
        monkeypatch.setattr(module, "KUBELET_CONFIG", str(self.config))
        monkeypatch.setattr(module, "LOGS", str(self.logs))
        monkeypatch.setattr(module, "STATE", (str(self.state),))
        self.node_ready = "True"
        self.heartbeat = "2999-01-01T00:00:00Z"
        monkeypatch.setattr(module.kubelet, "ask_for_node", lambda _name: self._node())
        monkeypatch.setattr(module.api_server, "is_ready", lambda: self.api_ready)
        monkeypatch.setattr(module.cluster_configuration, "node_name", lambda: "cp1")
        monkeypatch.setattr(module.kubelet, "record_running", lambda _runner: None)

    def built(self) -> Machine:
        """A control plane that kubeadm has just made."""
        members = (
            "initial-cluster=cp0=https://192.0.2.9:2380,cp1=https://192.0.2.1:2380",
            "initial-cluster-state=existing",
        )
        for name in NAMES:
            more = members if name == "etcd" else ()
            (self.manifests / f"{name}.yaml").write_text(manifest(name, "a=1", *more, "z=1"))
            # It knows the other members while it joins only.
            more = ("initial-cluster=cp1=https://192.0.2.1:2380",) if name == "etcd" else ()
            self.wanted[name] = manifest(name, "a=1", *more, "z=1")
        return self

    def text(self, name: str) -> str:
        return (self.manifests / f"{name}.yaml").read_text()

    def _render(self, argv: t.List[str]) -> str:
        folder = Path(self.runner.environment["KUBEADM_INIT_DRYRUN_DIR"])
        assert "--dry-run" in argv
        for name in ["etcd"] if "etcd" in argv else [name for name in NAMES if name != "etcd"]:
            (folder / f"{name}.yaml").write_text(self.wanted[name])
        return ""

    @staticmethod
    def _as_json(text: str) -> str:
        lines = sorted(line.strip().replace('"', "") for line in text.splitlines())
        return json.dumps({"metadata": {"lines": lines, "creationTimestamp": None}, "status": {}})

    def _pod(self, argv: t.List[str]) -> str:
        """What the kubelet has made of the manifest that is there."""
        name = next(word for word in argv if word.startswith("pod/"))[len("pod/") : -len("-cp1")]
        text = self.text(name)
        told = hashlib.sha256(text.encode()).hexdigest()[:32]
        is_bad = "--bad" in text
        if is_bad:
            folder = self.logs / f"kube-system_{name}-cp1_{told}" / name
            folder.mkdir(parents=True, exist_ok=True)
            count = len(list(folder.iterdir()))
            (folder / f"{count}.log").write_text("2026-12-01T10:00:00Z stderr F Error: unknown flag: --bad\n")
        record = _records.RECONFIGURATION.read()
        if record not in self.records:
            self.records.append(record)
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "False" if is_bad else "True"}]}
        metadata = {
            "name": f"{name}-cp1",
            "namespace": "kube-system",
            "annotations": {"kubernetes.io/config.hash": told},
        }
        return json.dumps({"kind": "Pod", "metadata": metadata, "spec": {"containers": []}, "status": status})

    def _node(self) -> t.Dict[str, t.Any]:
        condition = {"type": "Ready", "status": self.node_ready, "lastHeartbeatTime": self.heartbeat}
        return {"status": {"conditions": [condition]}}

    def _write_kubelet(self, _argv: t.List[str]) -> str:
        self.config.write_text(self.kubelet_config)
        return ""

    def _unit(self, _argv: t.List[str]) -> str:
        is_bad = "bad" in self.config.read_text() or self.kubelet != "active"
        return f"ActiveState={'activating' if is_bad else 'active'}\nMainPID=7\nNRestarts={5 if is_bad else 0}\n"

    def __call__(self, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        given = {"cluster_configuration": CLUSTER, **options}
        return self._run_module(kubeadm_reconfigure.main, given, check=check)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> Machine:
    return Machine(tmp_path, monkeypatch, run_module)


def test_a_control_plane_that_is_as_it_shall_be(machine: Machine) -> None:
    machine.built()
    for check in (True, False):
        result = machine(check=check, kubelet="compare")
        assert (result["failed"], result["changed"], result["action"]) == (False, False, "none"), result
    # Where a hand has laid out a manifest in another way no pod is started anew.
    laid_out = machine.text("kube-scheduler").replace("name: kube-scheduler", 'name: "kube-scheduler"')
    (machine.manifests / "kube-scheduler.yaml").write_text(laid_out)
    assert machine()["changed"] is False


def test_one_after_the_other(machine: Machine) -> None:
    machine.built()
    machine.wanted["kube-apiserver"] = manifest("kube-apiserver", "a=2", "z=1")
    machine.wanted["etcd"] = manifest("etcd", "a=2", "initial-cluster=cp1=https://192.0.2.1:2380", "z=1")
    foreseen = machine(check=True)
    assert foreseen["components"] == ["etcd", "kube-apiserver"] and "--a=1" in machine.text("etcd")
    result = machine()
    assert (result["action"], result["components"]) == ("changed", ["etcd", "kube-apiserver"])
    assert result["diff"] == foreseen["diff"]
    assert "--a=2" in machine.text("etcd") and "--a=2" in machine.text("kube-apiserver")
    # A member keeps what it was told of the others.
    assert "--initial-cluster=cp0=https://192.0.2.9:2380" in machine.text("etcd")
    assert machine.text("etcd").count("--initial-cluster") == 2
    assert (machine.manifests / "etcd.yaml").stat().st_mode & 0o777 == 0o600
    assert [Path((record or {}).get("path", "")).name for record in machine.records] == [
        "",
        "etcd.yaml",
        "kube-apiserver.yaml",
    ]
    assert _records.RECONFIGURATION.read() is None
    assert machine()["changed"] is False


def test_what_does_not_come_up_is_put_back(machine: Machine) -> None:
    machine.built()
    before = machine.text("kube-apiserver")
    machine.wanted["kube-apiserver"] = manifest("kube-apiserver", "bad=1")
    machine.wanted["kube-scheduler"] = manifest("kube-scheduler", "a=2")
    result = machine()
    assert result["failed"]
    assert "kube-apiserver of this control plane does not run" in result["msg"]
    assert "former manifest again, with which it is Ready" in result["msg"]
    assert "Error: unknown flag: --bad" in result["msg"] and "stderr F" not in result["msg"]
    assert machine.text("kube-apiserver") == before
    # It is not waited for as long as it may take, and the others are left alone.
    assert machine.clock.now < 60
    assert "--a=1" in machine.text("kube-scheduler")
    assert _records.RECONFIGURATION.read() is None


def test_secrets_are_not_shown(machine: Machine) -> None:
    machine.built()
    machine.wanted["kube-apiserver"] = manifest("kube-apiserver", "oidc-client-secret=hunter2", "z=1")
    result = machine(check=True)
    env = "    env:\n    - name: HTTP_PROXY\n      value: |-\n        first\n        hunter3\n    image: x\n"
    assert "hunter3" not in manifests.shown(env) and "image: x" in manifests.shown(env)
    assert "hunter2" not in str(result) and "--oidc-client-secret=(not shown)" in result["diff"][0]["after"]


@pytest.mark.parametrize("new", ["new=1", "bad=1"])
def test_a_call_that_was_killed(machine: Machine, new: str) -> None:
    """What runs may stay, and the rest of the run goes on; what does not come up gets the former manifest."""
    machine.built()
    path = machine.manifests / "kube-scheduler.yaml"
    before, after = path.read_text(), manifest("kube-scheduler", new)
    told = {"hash": hashlib.sha256(before.encode()).hexdigest()[:32], "written": kubeadm_reconfigure.digest(after)}
    _records.RECONFIGURATION.begin("exchange", name="kube-scheduler", path=str(path), text=before, **told)
    path.write_text(after)
    assert machine(check=True, operation="recover")["action"] == "recovered"
    assert path.read_text() == after
    result = machine(operation="recover")
    assert (result["changed"], result["action"]) == (True, "recovered")
    assert path.read_text() == (before if new == "bad=1" else after)
    assert _records.RECONFIGURATION.read() is None
    assert machine(operation="recover")["changed"] is False


def test_a_record_of_long_ago(machine: Machine) -> None:
    """An upgrade has written the manifest since: what was before it is history, whether it runs now or not."""
    machine.built()
    path = machine.manifests / "kube-scheduler.yaml"
    old = {"written": kubeadm_reconfigure.digest("another"), "text": "long ago", "hash": "1"}
    _records.RECONFIGURATION.begin("exchange", name="kube-scheduler", path=str(path), **old)
    path.write_text(manifest("kube-scheduler", "bad=1"))
    machine(operation="recover")
    assert "--bad" in path.read_text() and _records.RECONFIGURATION.read() is None


@pytest.mark.parametrize("version", ["v1.37.0", "v1.38.1"])
def test_a_kubeadm_of_another_version(machine: Machine, version: str) -> None:
    """It would give etcd another version, too."""
    machine.built()
    machine.wanted["etcd"] = manifest("etcd", "a=2")
    machine.runner.answers["kubeadm version"] = f"{version}\n"
    result = machine()
    assert result["failed"] and f"kubeadm {version[1:]} is installed on this host" in result["msg"]
    assert "--a=1" in machine.text("etcd")


def test_what_the_cluster_does_not_keep_stays(machine: Machine) -> None:
    """The version of etcd that an upgrade has left, and how long init or join were told to wait for a container."""
    machine.built()
    text = (
        machine.text("etcd")
        + "    image: registry.k8s.io/etcd:3.5.1-0\n    startupProbe:\n      failureThreshold: 60\n"
    )
    (machine.manifests / "etcd.yaml").write_text(text)
    wanted = "    image: mirror.example.com/etcd:3.7.0-0\n    startupProbe:\n      failureThreshold: 24\n"
    machine.wanted["etcd"] += wanted
    assert machine()["components"] == ["etcd"]
    assert "mirror.example.com/etcd:3.5.1-0" in machine.text("etcd") and "failureThreshold: 60" in machine.text("etcd")
    assert machine()["changed"] is False
    # A tag that the user has chosen is the user's.
    assert machine(cluster_configuration=f"{CLUSTER}etcd:\n  local:\n    imageTag: 3.7.0-0\n")["changed"] is True
    assert "etcd:3.7.0-0" in machine.text("etcd")


def test_kubeadm_refuses_to_say(machine: Machine) -> None:
    machine.built()
    machine.runner.answers["init phase"] = SlipwayError("kubeadm init failed: super-admin.conf does not exist")
    result = machine(check=True)
    assert result["failed"]
    assert "does not say what it would write on this control plane, and nothing was changed" in result["msg"]
    assert "super-admin.conf" in result["msg"]


def test_a_kubelet(machine: Machine) -> None:
    machine.kubelet_config = "cpuManagerPolicy: static\nmaxPods: 200\n"
    machine.state.write_text("{}")
    assert machine(check=True, kubelet="write")["components"] == ["kubelet"]
    assert machine(check=True, kubelet="compare")["changed"] is False
    assert machine.config.read_text() == "maxPods: 110\n"
    # Its pods have what the present policy has given to them.
    refused = machine(kubelet="write")
    assert refused["failed"] and "run again with reconfigure_drain: true" in refused["msg"]
    assert machine.config.read_text() == "maxPods: 110\n" and machine.state.exists()
    assert not machine.runner.called("stop")
    result = machine(kubelet="write", drained=True)
    assert (result["action"], result["components"]) == ("changed", ["kubelet"])
    assert machine.clock.now >= 10
    # It would refuse to start beside what another policy has given away.
    assert not machine.state.exists()
    starts = [call[1] for call in machine.runner.calls if call[0].endswith("systemctl") and call[1] != "show"]
    assert starts == ["stop", "start"]
    assert machine(kubelet="write")["changed"] is False
    machine.state.write_text("{}")
    machine.kubelet_config = "cpuManagerPolicy: static\nmaxPods: 210\n"
    assert machine(kubelet="write")["changed"] and machine.state.exists()


def test_a_kubelet_that_does_not_run_with_it(machine: Machine) -> None:
    machine.kubelet_config = "maxPods: bad\n"
    result = machine(kubelet="write")
    assert result["failed"] and "has the former one again" in result["msg"]
    assert "command failed: maxPods is wrong" in result["msg"] and "fine" not in result["msg"]
    assert machine.config.read_text() == "maxPods: 110\n"
    assert _records.RECONFIGURATION.read() is None
    machine.kubelet = "broken"
    assert "does not run with it, either" in machine(kubelet="write")["msg"]


@pytest.mark.parametrize("silent", [True, False])
def test_a_kubelet_that_runs_and_whose_node_is_not_ready(machine: Machine, silent: bool) -> None:
    machine.kubelet_config = "runtimeRequestTimeout: 1ms\n"
    written = machine._write_kubelet

    def write(argv: t.List[str]) -> str:
        machine.node_ready, machine.heartbeat = (
            ("True", "2020-01-01T00:00:00Z") if silent else ("False", machine.heartbeat)
        )
        return written(argv)

    machine.runner.answers["upgrade node phase kubelet-config"] = write

    def start(_argv: t.List[str]) -> str:
        if "maxPods" in machine.config.read_text():
            machine.node_ready, machine.heartbeat = "True", "2999-01-01T00:00:00Z"
        return ""

    machine.runner.answers["systemctl start"] = start
    result = machine(kubelet="write")
    assert result["failed"] and "or its node is not Ready with it" in result["msg"]
    assert machine.config.read_text() == "maxPods: 110\n"


@pytest.mark.parametrize(("text", "expected"), [("bad\n", "maxPods: 110\n"), ("maxPods: 200\n", "maxPods: 200\n")])
def test_a_call_that_was_killed_while_the_kubelet_started(machine: Machine, text: str, expected: str) -> None:
    _records.RECONFIGURATION.begin("exchange", path=str(machine.config), text="maxPods: 110\n")
    machine.config.write_text(text)
    assert machine(operation="recover")["action"] == "recovered"
    assert machine.config.read_text() == expected
    # The one that runs may not have read it yet.
    assert machine.runner.called("start")


def test_patches(machine: Machine) -> None:
    machine.built()
    result = machine(patches="/nowhere")
    assert result["failed"] and "there is no folder /nowhere on this host, and nothing was changed" in result["msg"]
    machine(patches=str(machine.root), kubelet="compare")
    commands = [call for call in machine.runner.calls if "phase" in call]
    assert len(commands) == 3 and all(f"--patches={machine.root}" in call for call in commands)


def test_a_worker_has_no_manifests(machine: Machine) -> None:
    assert machine()["changed"] is False
    assert not machine.runner.called("phase")


@pytest.mark.parametrize(
    ("mode", "interfaces", "removed"),
    [("iptables", ["lo", "kube-ipvs0"], True), ("ipvs", ["lo", "kube-ipvs0"], False), ("", ["kube-ipvs0"], False),
     ("iptables", ["lo"], False)],
)  # fmt: skip
def test_what_kube_proxy_has_left_of_ipvs(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, mode: str, interfaces: t.List[str], removed: bool
) -> None:
    found = [{"name": name, "addresses": []} for name in interfaces]
    monkeypatch.setattr(kubeadm_reconfigure._netlink, "interfaces", lambda: found)
    machine.runner.tools = ("kubeadm", "kubectl", "ip")
    machine.runner.answers["link delete"] = ""
    assert machine(check=True, kube_proxy_mode=mode)["components"] == (["ipvs"] if removed else [])
    assert not machine.runner.called("delete")
    assert machine(kube_proxy_mode=mode)["changed"] is removed
    assert machine.runner.called("link", "delete", "kube-ipvs0") == (
        [["/usr/bin/ip", "link", "delete", "kube-ipvs0"]] if removed else []
    )


def test_last_words() -> None:
    log = "2026-12-01T10:00:00.1Z stdout F one\n2026-12-01T10:00:00.2Z stderr P \x1b[31mtwo\n\n"
    assert last_words(log) == "one / \\x1b[31mtwo"
    assert last_words("") == "it has said nothing"
    assert "0123456789abcdef" not in last_words("token abcdef.0123456789abcdef")
