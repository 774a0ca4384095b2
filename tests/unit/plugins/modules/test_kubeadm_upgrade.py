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
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import kubeadm
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import upgrade as _upgrade
from ansible_collections.slipway.kubernetes.plugins.modules import kubeadm_upgrade
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import waiting_clock
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

OLD, NEW = "1.36.4", "1.37.1"
ETCD = {OLD: "3.6.8-0", NEW: "3.7.0-0"}
VALIDATED = "kubeadm config validate --config=/dev/stdin"
REFUSED = (1, "", "The connection to the server 192.0.2.1:6443 was refused - did you specify the right host or port?")


class Machine:
    """A node that kubeadm upgrades."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> None:
        self.root = root
        self.manifests = root / "manifests"
        self.manifests.mkdir()
        self.kubelet = OLD
        self.configured = OLD
        self.kubeadm = NEW
        self.ready = True
        self.unready: t.List[str] = []
        self.images: t.Dict[str, str] = {}
        self.kubelet_age = 900.0
        self.clock = waiting_clock(monkeypatch)
        self.records: t.List[t.Any] = []
        self._run_module = run_module
        answers = {
            "kubeadm version": lambda _argv: f"v{self.kubeadm}\n",
            "config images list": f"registry.k8s.io/kube-apiserver:v{NEW}\nregistry.k8s.io/etcd:{ETCD[NEW]}\n",
            "config validate": (0, "", "W1121 11:00:00.000000    1234 strict.go:1] it is deprecated\n"),
            "kubeadm upgrade": self._upgrade,
            "get node/": lambda _argv: json.dumps({"status": {"nodeInfo": {"kubeletVersion": f"v{self.kubelet}"}}}),
            "get configmap/kubeadm-config": lambda _argv: json.dumps(
                {"data": {"ClusterConfiguration": f"etcd:\n  local: {{}}\nkubernetesVersion: v{self.configured}\n"}}
            ),
            "get configmap/": json.dumps({"data": {"kubelet": "kind: KubeletConfiguration\n"}}),
            "get pods": self._pods,
            "systemctl show": lambda _argv: f"{int((1000 - self.kubelet_age) * 1e6)}\n",
            "kubelet --version": lambda _argv: f"Kubernetes v{self.kubelet}\n",
        }
        self.runner = FakeRunner(answers, tools=("kubeadm", "kubectl", "kubelet", "systemctl"))
        monkeypatch.setattr(_records.UPGRADE, "path", str(root / "upgrade.json"))
        monkeypatch.setattr(_upgrade, "MANIFESTS", str(self.manifests))
        monkeypatch.setattr(_upgrade, "BACKUPS", str(root / "backup*"))
        monkeypatch.setattr(kubeadm, "running_commands", lambda: [])
        monkeypatch.setattr(_module, "Runner", lambda _module: self.runner)
        monkeypatch.setattr(kubeadm_upgrade.api_server, "is_ready", lambda: self.ready)
        clock = types.SimpleNamespace(clock_gettime=lambda _clock: 1000.0, CLOCK_MONOTONIC=1)
        monkeypatch.setattr(kubeadm_upgrade, "time", clock)
        self._pause = self.clock.sleep
        monkeypatch.setattr(self.clock, "sleep", self._sleep)

    def _sleep(self, seconds: float) -> None:
        self._pause(seconds)
        self.kubelet_age += seconds
        self.unready = self.unready[1:]

    def _upgrade(self, argv: t.List[str]) -> t.Any:
        self.records.append(_records.UPGRADE.read())
        self.configured = NEW
        if self.images:
            self.write(NEW)
        return "[upgrade] SUCCESS!\n"

    def _pods(self, _argv: t.List[str]) -> str:
        items = []
        for name, image in self.images.items():
            status = "False" if name in self.unready[:1] else "True"
            items.append(
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": f"{name}-cp1", "namespace": "kube-system"},
                    "spec": {"containers": [{"name": name, "image": image}]},
                    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": status}]},
                }
            )
        return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})

    def write(self, version: str) -> Machine:
        """Manifests of a control plane."""
        for name in (*_upgrade.COMPONENTS, "etcd"):
            tag = ETCD[version] if name == "etcd" else f"v{version}"
            self.images[name] = f"registry.k8s.io/{name}:{tag}"
            (self.manifests / f"{name}.yaml").write_text(f"spec:\n  containers:\n  - image: {self.images[name]}\n")
        return self

    def __call__(self, operation: str = "apply", check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        """The module's result."""
        given = {"operation": operation, "version": NEW, "name": "cp1", **options}
        return self._run_module(kubeadm_upgrade.main, given, check=check)

    def commands(self) -> t.List[str]:
        """kubeadm's calls that change something."""
        lines = [" ".join(call).replace("/usr/bin/", "") for call in self.runner.calls]
        return [line for line in lines if line.startswith(("kubeadm upgrade", "kubeadm config validate"))]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> Machine:
    return Machine(tmp_path, monkeypatch, run_module)


def test_first_control_plane(machine: Machine) -> None:
    machine.write(OLD)
    result = machine(ignore_preflight_errors=["Swap", "NumCPU"])
    assert not result["failed"], result
    assert (result["changed"], result["action"], result["kubelet_pending"]) == (True, "upgraded", True)
    assert {part["name"]: (part["before"], part["after"]) for part in result["components"]} == {
        **dict.fromkeys(("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubeadm-config"), (OLD, NEW)),
        "etcd": (ETCD[OLD], ETCD[NEW]),
    }
    assert machine.commands() == [
        VALIDATED,
        f"kubeadm upgrade apply v{NEW} --yes --ignore-preflight-errors=Swap,NumCPU",
    ]
    assert machine.records[0]["operation"] == "apply"
    assert _records.UPGRADE.read() is None
    assert "it is deprecated" in str(result["warnings"])


def test_nothing_to_do(machine: Machine) -> None:
    machine.write(NEW)
    machine.configured = machine.kubelet = NEW
    for operation in ("apply", "node"):
        result = machine(operation)
        assert (result["failed"], result["changed"], result["kubelet_pending"]) == (False, False, False)
    assert machine.commands() == []


def test_the_kubelet_is_not_the_business_of_apply(machine: Machine) -> None:
    machine.write(NEW)
    machine.configured = NEW
    result = machine()
    assert (result["changed"], result["kubelet_pending"], result["kubelet_version"]) == (False, True, OLD)


def test_worker(machine: Machine) -> None:
    result = machine("node")
    assert (result["action"], result["components"], result["kubelet_pending"]) == ("upgraded", [], True)
    assert machine.commands() == ["kubeadm upgrade node"]
    machine.kubelet = NEW
    assert machine("node")["changed"] is False


def test_worker_without_kubectl(machine: Machine) -> None:
    machine.runner.tools = ("kubeadm", "kubelet")
    assert machine("node")["kubelet_pending"] is True
    machine.kubelet = NEW
    assert machine("node")["changed"] is False


def test_check_mode(machine: Machine) -> None:
    machine.write(OLD)
    machine.kubeadm = OLD
    result = machine(check=True)
    assert (result["changed"], result["action"]) == (True, "upgraded")
    assert "etcd" not in [part["name"] for part in result["components"]]
    assert f"kube-apiserver {NEW}\n" in result["diff"]["after"]
    assert machine.commands() == []
    assert _records.UPGRADE.read() is None


def test_kubeadm_of_another_version(machine: Machine) -> None:
    machine.write(OLD)
    machine.kubeadm = OLD
    result = machine()
    assert result["failed"]
    assert f"kubeadm {OLD} is installed on this host, and {NEW} is needed" in result["msg"]


def test_a_configuration_that_the_new_kubeadm_refuses(machine: Machine) -> None:
    machine.write(OLD)
    machine.runner.answers["config validate"] = (1, "", 'strict decoding error: unknown field "dns.type"\n')
    result = machine()
    assert result["failed"]
    assert 'unknown field "dns.type"' in result["msg"]
    assert machine.commands() == [VALIDATED]
    assert _records.UPGRADE.read() is None


def test_an_etcd_image_of_the_users(machine: Machine) -> None:
    machine.write(NEW)
    machine.images["etcd"] = "registry.k8s.io/etcd:3.6.9-0"
    (machine.manifests / "etcd.yaml").write_text("  - image: registry.k8s.io/etcd:3.6.9-0\n")
    machine.kubelet = machine.configured = NEW
    assert machine()["components"] == [{"name": "etcd", "before": "3.6.9-0", "after": "3.7.0-0"}]
    configuration = f"etcd:\n  local:\n    imageTag: 3.6.9-0\nkubernetesVersion: v{NEW}\n"
    machine.runner.answers["get configmap/kubeadm-config"] = json.dumps(
        {"data": {"ClusterConfiguration": configuration}}
    )
    (machine.manifests / "etcd.yaml").write_text("  - image: registry.k8s.io/etcd:3.6.9-0\n")
    machine.images["etcd"] = "registry.k8s.io/etcd:3.6.9-0"
    assert machine()["components"] == []


def test_an_etcd_that_is_newer(machine: Machine) -> None:
    """The late release of one minor may come with a newer etcd than the first one of the next; kubeadm leaves it."""
    machine.write(NEW)
    machine.images["etcd"] = "registry.k8s.io/etcd:3.7.10-0"
    (machine.manifests / "etcd.yaml").write_text("  - image: registry.k8s.io/etcd:3.7.10-0\n")
    machine.kubelet = machine.configured = NEW
    assert machine()["components"] == []


def test_patches(machine: Machine) -> None:
    machine.write(OLD)
    machine(patches=str(machine.manifests))
    assert machine.commands()[-1] == f"kubeadm upgrade apply v{NEW} --yes --patches={machine.manifests}"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"patches": "/nonexistent/patches"}, "patches: there is no folder /nonexistent/patches on this host"),
        ({"timeout": 0}, "timeout is 0, and has to be 1 second at least"),
    ],
)
def test_options_with_which_it_would_fail_half_way(machine: Machine, options: t.Dict[str, t.Any], said: str) -> None:
    machine.write(OLD)
    result = machine(**options)
    assert result["failed"] and said in result["msg"]
    assert machine.commands() == [] and _records.UPGRADE.read() is None


def test_a_failed_kubeadm_is_run_again(machine: Machine) -> None:
    machine.write(OLD)
    again = machine.runner.answers["kubeadm upgrade"]
    result = CommandResult([], 1, "", "E1121 13:17:14.592619   10050 remote_image.go:334] x\nerror: no space left\n")
    machine.runner.answers["kubeadm upgrade"] = CommandError("failed", result)
    assert machine()["msg"] == "kubeadm upgrade apply failed (rc 1): error: no space left"
    assert (_records.UPGRADE.read() or {})["version"] == NEW
    machine.runner.answers["kubeadm upgrade"] = again
    assert machine()["action"] == "finished"
    assert _records.UPGRADE.read() is None


def test_a_killed_kubeadm(machine: Machine) -> None:
    machine.write(OLD)
    _records.UPGRADE.begin("apply", version=NEW)
    backup = machine.root / "backup-1"
    backup.mkdir()
    (machine.manifests / "kube-apiserver.yaml").rename(backup / "kube-apiserver.yaml")
    looked = machine("recover", check=True)
    assert (looked["changed"], looked["components"]) == (True, [{"name": "kube-apiserver"}])
    assert "kube-apiserver" not in _upgrade.static_pods()
    result = machine("recover")
    assert (result["action"], result["kubelet_pending"]) == ("recovered", False)
    assert "kube-apiserver" in _upgrade.static_pods()
    assert _records.UPGRADE.read() is not None
    assert machine("recover")["changed"] is False
    assert machine.commands() == []
    assert machine()["action"] == "finished"


def test_recover_leaves_other_hosts_alone(machine: Machine) -> None:
    machine.ready = False
    assert machine("recover", version=None)["changed"] is False


@pytest.mark.parametrize("version", [OLD, NEW])
def test_waiting_upgrades_nothing(machine: Machine, version: str) -> None:
    """After a reboot, whatever version is asked for by the inventory."""
    machine.write(version)
    machine.configured = machine.kubelet = version
    machine.kubelet_age = 3
    machine.unready = ["etcd"] * 4
    before = machine.clock.now
    result = machine("wait", version=None)
    assert (result["changed"], result["action"], machine.commands()) == (False, "none", [])
    assert machine.clock.now - before >= 7 and not machine.unready


def test_waiting_for_what_does_not_come_up(machine: Machine) -> None:
    machine.write(OLD)
    machine.unready = ["etcd"] * 999
    assert "etcd: Running, not ready" in machine("wait", version=None, timeout=20)["msg"]
    assert not machine("wait", version=None, check=True)["failed"]


def test_waiting_on_a_worker(machine: Machine) -> None:
    machine.ready = False
    assert machine("wait", version=None)["action"] == "none"


def test_an_api_server_that_does_not_come_up(machine: Machine) -> None:
    machine.write(OLD)
    machine.ready = False
    result = machine(timeout=20)
    assert result["failed"]
    assert "not healthy after 20 seconds: the API server of this host is not ready" in result["msg"]


def test_it_waits_for_the_static_pods_and_for_a_new_kubelet(machine: Machine) -> None:
    machine.write(NEW)
    machine.configured = machine.kubelet = NEW
    machine.kubelet_age = 1
    machine.unready = ["etcd"] * 40
    machine.runner.answers["get pods"] = [REFUSED, machine._pods]
    assert not machine("node")["failed"]
    assert machine.clock.now >= 20


def test_an_api_server_that_restarts_is_asked_again(machine: Machine) -> None:
    machine.write(NEW)
    machine.configured = machine.kubelet = NEW
    answer = machine.runner.answers["get node/"]
    failure = CommandError("refused", CommandResult([], *REFUSED))
    machine.runner.answers["get node/"] = [failure, answer]
    assert machine("node")["changed"] is False
    denied = CommandError("Forbidden", CommandResult([], 1, "", "Error from server (Forbidden)"))
    machine.runner.answers["get node/"] = denied
    assert machine("node")["msg"] == "Forbidden"


def test_pod_problem() -> None:
    pod = {"metadata": {}, "spec": {"containers": [{"image": "r/etcd:1"}]}, "status": {"phase": "Pending"}}
    assert kubeadm_upgrade.pod_problem("etcd", None, "r/etcd:1") == "etcd: the kubelet has not reported it"
    assert kubeadm_upgrade.pod_problem("etcd", pod, "r/etcd:2") == "etcd: runs r/etcd:1, not r/etcd:2"
    assert kubeadm_upgrade.pod_problem("etcd", pod, "r/etcd:1") == "etcd: Pending, not ready"


def test_reasons() -> None:
    text = "\t[WARNING A]: b\n[preflight] Some fatal errors occurred:\n\t[ERROR ImagePull]: refused\n" + "\n".join(
        ["[preflight] If you know", "error: preflight checks failed", "To see the stack trace, use --v=5 or higher"]
    )
    assert kubeadm_upgrade.reasons(text) == "[ERROR ImagePull]: refused\nerror: preflight checks failed"
    assert kubeadm_upgrade.reasons("it is\nbroken\n") == "it is\nbroken"
    assert kubeadm_upgrade.reasons("W1121 13:17:14.592619 1 a.go:1] b\n") == "W1121 13:17:14.592619 1 a.go:1] b"
    assert kubeadm_upgrade.reasons("") == "it printed nothing"


def test_small_things() -> None:
    assert kubeadm_upgrade.configured_version("apiVersion: x\n") == ""
    assert kubeadm_upgrade.seconds_since("", 5.0) == 0.0
    assert kubeadm_upgrade.seconds_since("2000000", 5.0) == 3.0
