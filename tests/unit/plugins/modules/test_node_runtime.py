# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node with containerd that gets CRI-O or Docker Engine: in which order, what stays, and after a call was killed."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet import kubelet, runtime_endpoint
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import certificates
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes import docker
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes.runtime import Runtime
from ansible_collections.slipway.kubernetes.plugins.modules import node_runtime
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

CONTAINERD = "unix:///run/containerd/containerd.sock"
CRIO = "unix:///var/run/crio/crio.sock"
DOCKER = "unix:///var/run/cri-dockerd.sock"
NAMES = {"p1": "kube-proxy-x", "p2": "flannel-y"}
ANNOTATION = "kubeadm.alpha.kubernetes.io/cri-socket"


class Machine:
    """A node with its kubelet, and the container runtimes that run on it."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> None:
        self._run_module = run_module
        self.root = root
        #: Pods and images by the runtime that they are in.
        self.pods = {"containerd": dict(NAMES), "crio": {}, "cri-dockerd": {}}
        self.images = {"containerd": ["i1", "i2"], "crio": ["i3"], "cri-dockerd": ["i4"]}
        self.active = ["containerd", "crio", "docker"]
        self.units = {"kubelet.service": "active", "containerd.service": "active", "crio.service": "active"}
        self.units.update({"cri-docker.socket": "active", "cri-docker.service": "active"})
        self.stays = False
        self.annotations: t.Dict[str, str] = {}
        self.api = True
        self.warnings: t.List[str] = []
        answers = {"kubelet --version": "Kubernetes v1.36.4\n", "systemctl": self._systemctl, "crictl": self._crictl}
        answers["namespaces ls"] = "default\nk8s.io\n"
        answers["containers ls"] = ""
        self.runner = FakeRunner(answers, tools=("systemctl", "crictl", "kubelet", "ctr"))
        names = ("kubeadm-flags.env", "config.yaml", "instance-config.yaml")
        paths = [str(root / name) for name in names]
        for path, name in zip(paths, ("FLAGS", "CONFIG", "INSTANCE")):
            monkeypatch.setattr(runtime_endpoint, name, path)
        monkeypatch.setattr(runtime_endpoint, "FILES", tuple(paths))
        self.write(CONTAINERD)
        (root / "kubelet.conf").write_text("x")
        monkeypatch.setattr(kubelet, "KUBECONFIG", str(root / "kubelet.conf"))
        monkeypatch.setattr(node_runtime, "SETTINGS", str(root / "backup.json"))
        monkeypatch.setattr(_module, "Runner", lambda _module: self.runner)
        monkeypatch.setattr(AnsibleModule, "warn", lambda _module, text: self.warnings.append(text))
        monkeypatch.setattr(certificates, "node_name", lambda: "w1")
        monkeypatch.setattr(kubelet, "ask_for_node", lambda _name: {"metadata": {"annotations": self.annotations}})
        monkeypatch.setattr(kubelet, "annotate_node", self._annotate)
        monkeypatch.setattr(kubelet, "record_running", lambda _runner: self.runner.calls.append(["record"]))
        monkeypatch.setattr(Runtime, "is_active", lambda runtime, _socket="": runtime.name in self.active)
        monkeypatch.setattr(docker, "_containers", lambda everywhere: [])

    def write(self, socket: str) -> None:
        (self.root / "kubeadm-flags.env").write_text('KUBELET_KUBEADM_ARGS="--node-ip=192.0.2.7"\n')
        (self.root / "config.yaml").write_text(f"containerRuntimeEndpoint: {socket}\n")
        (self.root / "instance-config.yaml").write_text(f'containerRuntimeEndpoint: "{socket}"\n')

    def _annotate(self, name: str, annotations: t.Mapping[str, str]) -> bool:
        assert name == "w1"
        self.annotations.update(annotations if self.api else {})
        return self.api

    def _systemctl(self, words: t.List[str]) -> str:
        unit, state = words[-1], self.units.get(words[-1])
        if words[1] == "show":
            if state is None:
                return "LoadState=not-found\nActiveState=inactive\n"
            return f"LoadState=loaded\nActiveState={state}\nUnitFileState={'' if state == 'active' else 'disabled'}\n"
        self.units[unit] = "active" if words[1] == "start" else "inactive"
        return ""

    def _crictl(self, words: t.List[str]) -> str:
        name = next(name for name in self.pods if name in words[1])
        verb = words[3]
        if verb == "pods":
            items = [
                {"id": key, "metadata": {"namespace": "kube-system", "name": pod}}
                for key, pod in self.pods[name].items()
            ]
            return json.dumps({"items": items})
        if verb == "ps":
            return "".join(f"c-{key}\n" for key in self.pods[name])
        if verb == "rmp" and not self.stays:
            assert self.units["kubelet.service"] == "inactive", "the kubelet would make it anew"
            self.pods[name] = {key: pod for key, pod in self.pods[name].items() if key not in words}
        if verb == "images":
            return "\n".join(self.images[name])
        if verb == "rmi":
            self.images[name] = []
        return ""

    def run(self, socket: str = CRIO, state: str = "moved", check: bool = False, **more: t.Any) -> t.Dict[str, t.Any]:
        self.runner.calls.clear()
        self.warnings.clear()
        return self._run_module(node_runtime.main, {"cri_socket": socket, "state": state, **more}, check=check)

    def commands(self) -> t.List[str]:
        """What changed something, in its order."""
        looks = ("show", "--version", "--output=json", "--quiet", "ls")
        calls = [" ".join(call) for call in self.runner.calls if not any(look in call for look in looks)]
        return [call.replace("--timeout=60s ", "").replace("/usr/bin/", "") for call in calls]


def expect_failure(machine: Machine, message: str, *words: t.Any, **options: t.Any) -> None:
    result = machine.run(*words, **options)
    assert result.get("failed") and message in result["msg"], result


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> Machine:
    return Machine(tmp_path, monkeypatch, run_module)


def test_the_order(machine: Machine) -> None:
    files = [str(machine.root / name) for name in ("config.yaml", "instance-config.yaml")]
    pods = ["kube-system/flannel-y", "kube-system/kube-proxy-x"]
    planned = machine.run(check=True)
    assert planned["changed"] and machine.commands() == [] and machine.pods["containerd"] == NAMES
    result = machine.run()
    assert result["done"] == planned["done"] == {"pods": pods, "files": files, "kubelet": ["restarted"]}
    told = ("before", "runtime", "stopped", "lacking")
    assert [result[key] for key in told] == [CONTAINERD, "crio", False, []]
    at = "crictl --runtime-endpoint=unix:///run/containerd/containerd.sock"
    assert machine.commands() == [
        "systemctl stop kubelet.service",
        f"{at} stop --timeout=20 c-p1 c-p2",
        f"{at} rmp --force p1 p2",
        "systemctl start kubelet.service",
        "record",
    ]
    assert (machine.root / "instance-config.yaml").read_text() == f'containerRuntimeEndpoint: "{CRIO}"\n'
    again = machine.run()
    assert (again["changed"], again["done"], again["msg"], again["before"]) == (False, {}, "nothing to do", CRIO)
    assert machine.commands() == []


def test_docker_has_a_gate_turned_off(machine: Machine) -> None:
    machine.run(DOCKER)
    assert "--feature-gates=ExtendWebSocketsToKubelet=false" in (machine.root / "kubeadm-flags.env").read_text()
    assert [diff["after_header"].rpartition("/")[2] for diff in machine.run(CONTAINERD, check=True)["diff"]] == [
        *("kubeadm-flags.env", "config.yaml", "instance-config.yaml"),
    ]


def test_a_call_that_was_killed_before_the_files_were_written(machine: Machine) -> None:
    machine.pods["containerd"], machine.units["kubelet.service"] = {}, "inactive"
    result = machine.run()
    assert result["stopped"] and result["done"]["kubelet"] == ["started"] and "pods" not in result["done"]
    assert machine.units["kubelet.service"] == "active"


def test_a_call_that_was_killed_before_the_kubelet_was_started(machine: Machine) -> None:
    machine.write(CRIO)
    machine.pods["containerd"], machine.units["kubelet.service"] = {}, "inactive"
    assert machine.run(check=True)["done"] == {"kubelet": ["started"]}
    assert machine.run()["done"] == {"kubelet": ["started"]}
    assert machine.commands() == ["systemctl start kubelet.service", "record"]


def test_a_pod_that_stays(machine: Machine) -> None:
    machine.stays = True
    expect_failure(machine, "The kubelet is stopped, and still has unix:///run")
    assert machine.units["kubelet.service"] == "inactive"
    assert CONTAINERD in (machine.root / "instance-config.yaml").read_text()


@pytest.mark.parametrize(
    ("active", "tools", "message"),
    [
        (["containerd"], ("crictl",), "crio does not listen at /var/run/crio/crio.sock. Nothing was changed."),
        (["crio"], ("crictl",), "containerd, in which the pods of this node are, does not listen at /run/containerd/"),
        (["containerd", "crio"], (), "crictl is not installed on this host"),
    ],
)
def test_what_is_refused_before_the_kubelet_is_stopped(
    machine: Machine, active: t.List[str], tools: t.Tuple[str, ...], message: str
) -> None:
    machine.active, machine.runner.tools = active, ("systemctl", "kubelet", *tools)
    assert machine.run(check=True)["lacking"] == ([] if tools else ["crictl"])
    expect_failure(machine, message)
    assert machine.commands() == []


def test_no_node_and_no_runtime(machine: Machine) -> None:
    expect_failure(machine, "has the name of no known container runtime", "unix:///run/other.sock")
    (machine.root / "kubelet.conf").unlink()
    expect_failure(machine, "This host is no node")


def test_the_one_before_rests(machine: Machine) -> None:
    machine.write(CRIO)
    assert machine.run(state="alone", check=True)["done"] == {
        "units": ["containerd.service", "cri-docker.socket", "cri-docker.service"]
    }
    assert machine.commands() == []
    assert machine.run(state="alone")["done"]["units"][0] == "containerd.service"
    assert machine.commands()[0] == "systemctl disable --now containerd.service"
    assert machine.units["crio.service"] == "active" and machine.images["containerd"] == ["i1", "i2"]
    assert not machine.run(state="alone")["changed"]
    # Where there is no such unit, and where somebody else needs it.
    machine.units["containerd.service"] = "active"
    machine.runner.answers["--namespace=default containers ls"] = "somebody\n"
    machine.runner.answers["containers ls"] = machine.runner.answers.pop("containers ls")
    del machine.units["cri-docker.service"]
    assert not machine.run(state="alone")["changed"]


def test_images_go_when_they_are_nobody_else_s(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.write(CRIO)
    asked = {"state": "alone", "remove_images": True}
    assert machine.run(check=True, **asked)["done"]["images"] == ["i1", "i2", "i4"]
    monkeypatch.setattr(docker, "_containers", lambda everywhere: [{"Id": "x", "Labels": {}}])
    assert machine.run(**asked)["done"]["images"] == ["i1", "i2"]
    assert machine.warnings == [
        "The images of docker stay: 1 container of others may need some, and whose an image is cannot be told."
    ]
    assert machine.images == {"containerd": [], "crio": ["i3"], "cri-dockerd": ["i4"]}
    machine.active = ["crio"]
    assert not machine.run(**asked)["changed"]
    machine.write(CONTAINERD)
    machine.active, machine.runner.tools = ["containerd", "crio"], (*machine.runner.tools, "podman")
    assert "images" not in machine.run(CONTAINERD, **asked)["done"]
    assert machine.warnings[0].startswith("The images of crio stay: podman may need some")


def test_the_node_and_the_timer_of_backups_name_the_other_one(machine: Machine) -> None:
    machine.write(CRIO)
    machine.units = {"kubelet.service": "active"}
    machine.annotations = {ANNOTATION: CONTAINERD}
    settings = machine.root / "backup.json"
    settings.write_text('{"keep": 7, "tool": ["ctr"]}')
    result = machine.run(state="alone")
    assert result["done"] == {"annotation": [CRIO], "files": [str(settings)]}
    told = json.loads(settings.read_text())
    assert told["keep"] == 7 and told["tool"][0] == "python3" and machine.annotations == {ANNOTATION: CRIO}
    assert not machine.run(state="alone")["changed"]
    for text in ("[]", "{", "{}"):
        settings.write_text(text)
        assert not machine.run(state="alone")["changed"]
    machine.api, machine.annotations[ANNOTATION] = False, DOCKER
    expect_failure(machine, "does not take the annotation", state="alone")
