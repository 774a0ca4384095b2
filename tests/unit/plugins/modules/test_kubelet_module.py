# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import time
import types
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module, _systemd
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet import kubelet as _kubelet
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import certificates
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import POD_NETWORKS, flannel
from ansible_collections.slipway.kubernetes.plugins.modules import kubelet
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import waiting_clock
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

# Recorded from systemd 252 on Debian 12; the process has run for 1233.5 seconds.
FIXTURE = Path(__file__).parent.parent / "fixtures" / "systemd" / "show-containerd.txt"
RUNNING = FIXTURE.read_text("utf-8") + "MainPID=77\n"
STOPPED = RUNNING.replace("ActiveState=active", "ActiveState=inactive")
JUST_STARTED = RUNNING.replace("Monotonic=8766471140", "Monotonic=9990000000")
WORDS = ["/usr/bin/kubelet", "--config=/var/lib/kubelet/config.yaml"]
LOST = "w1: the cluster has no Node object of it any more: the kubelet is "


def node(ready: str = "True", slices: t.Sequence[str] = ("10.244.1.0/24",)) -> t.Dict[str, t.Any]:
    return {
        "metadata": {"name": "w1", "annotations": {"flannel.alpha.coreos.com/kube-subnet-manager": "true"}},
        "spec": {"podCIDRs": list(slices)},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


class Machine:
    """The node w1: systemctl, its kubelet's command line, the API server's answers, and a pod network that is well."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> None:
        self._run_module = run_module
        self.runner = FakeRunner({"systemctl show": RUNNING, "systemctl": ""}, tools=("systemctl",))
        self.words = list(WORDS)
        self.nodes: t.List[t.Any] = [node()]
        self.outdated = ""
        self.told_name = ""
        self.hostname = "w1"
        self.contradictions: t.List[str] = []
        self.is_announced = self.can_be_mended = True
        #: Seconds until Flannel runs.
        self.comes_after = 10_000
        self.mended = 0
        self.recorded: t.List[str] = []
        self._warnings: t.List[str] = []
        self.clock = waiting_clock(monkeypatch)
        self.subnet = root / "subnet.env"
        clock = types.SimpleNamespace(
            time=lambda: 1_000_000.0,
            clock_gettime=lambda _which: 10_000.0,
            CLOCK_MONOTONIC=time.CLOCK_MONOTONIC,
        )
        monkeypatch.setattr(AnsibleModule, "warn", lambda _module, text: self._warnings.append(text))
        monkeypatch.setattr(_module, "Runner", lambda _module: self.runner)
        monkeypatch.setattr(kubelet, "time", clock)
        monkeypatch.setattr(_kubelet, "untold_name", self._untold_name)
        monkeypatch.setattr(certificates, "node_name", lambda: "w1")
        monkeypatch.setattr(_kubelet, "command_line", lambda _pid: self.words)
        monkeypatch.setattr(_kubelet, "ask_for_node", self._ask)
        monkeypatch.setattr(_kubelet, "outdated", lambda *_arguments: self.outdated)
        monkeypatch.setattr(_kubelet, "told_name", lambda: self.told_name)
        monkeypatch.setattr(_kubelet, "record", lambda properties: self.recorded.append(properties["MainPID"]))
        monkeypatch.setattr(flannel, "SUBNET", str(self.subnet))
        monkeypatch.setattr(POD_NETWORKS["flannel"], "on_node", self._on_node)
        monkeypatch.setattr(POD_NETWORKS["flannel"], "mend", self._mend)

    def _untold_name(self) -> str:
        return self.hostname.lower()

    def _ask(self, name: str) -> t.Any:
        assert name == "w1"
        return self.nodes.pop(0) if len(self.nodes) > 1 else self.nodes[0]

    def _on_node(self, _node: t.Any) -> t.Any:
        return types.SimpleNamespace(
            is_announced=self.is_announced,
            can_be_mended=self.can_be_mended or self.clock() > self.comes_after,
            contradictions=lambda: self.contradictions,
        )

    def _mend(self, ask: t.Callable[[], t.Any], timeout: float) -> None:
        assert ask() and timeout == 300
        self.mended += 1

    def run(self, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        self._warnings.clear()
        result = self._run_module(kubelet.main, {"pod_network": "flannel", **options}, check=check)
        return {**result, "warnings": list(self._warnings)}

    def commands(self) -> t.List[str]:
        return [" ".join(call[1:]) for call in self.runner.calls if "show" not in call]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> Machine:
    return Machine(tmp_path, monkeypatch, run_module)


@pytest.mark.parametrize("answer", [node(), node("False"), None])
@pytest.mark.parametrize("check", [True, False])
def test_a_kubelet_that_runs_with_what_is_true(machine: Machine, check: bool, answer: t.Any) -> None:
    """An API server that does not answer has not said that the node is gone."""
    machine.nodes = [answer]
    result = machine.run(check=check)
    assert (result["changed"], result["action"], result["mended"], result["warnings"]) == (False, "none", [], [])
    assert machine.commands() == [] and machine.mended == 0
    assert result["diff"]["before"] == result["diff"]["after"]
    assert machine.recorded == ([] if check else ["77"])


def test_a_stopped_kubelet_is_started(machine: Machine) -> None:
    machine.runner.answers["systemctl show"] = [STOPPED.replace("=enabled", "=disabled"), RUNNING]
    result = machine.run()
    assert (result["changed"], result["action"], result["mended"]) == (True, "started", [])
    assert machine.commands() == ["enable --quiet kubelet.service", "start kubelet.service"]
    machine.runner.answers["systemctl show"] = RUNNING.replace("=enabled", "=disabled")
    assert machine.run(check=True)["changed"]


@pytest.mark.parametrize("check", [True, False])
def test_a_masked_kubelet(machine: Machine, check: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_systemd, "PACKAGED", (str(tmp_path),))
    (tmp_path / "kubelet.service").touch()
    machine.runner.answers["systemctl show"] = "LoadState=masked\nActiveState=inactive\nUnitFileState=masked\n"
    assert "kubelet.service is masked on this host" in machine.run(check=check)["msg"]
    assert machine.commands() == []


def test_a_node_that_was_deleted(machine: Machine) -> None:
    machine.nodes = [{}]
    checked = machine.run(check=True)
    assert checked["changed"] and checked["warnings"] == [f"{LOST}restarted."] and machine.commands() == []
    machine.subnet.write_text("FLANNEL_SUBNET=10.244.1.1/24\n")
    machine.nodes = [{}, None, {}, node("Unknown"), node("False", []), node("False")]
    result = machine.run()
    assert (result["changed"], result["action"], result["warnings"]) == (True, "restarted", [f"{LOST}restarted."])
    assert machine.commands() == ["restart kubelet.service"] and len(machine.nodes) == 1


def test_a_node_that_was_deleted_and_its_kubelet_is_stopped(machine: Machine) -> None:
    machine.runner.answers["systemctl show"] = [STOPPED, RUNNING]
    machine.nodes = [{}, node()]
    assert machine.run()["warnings"] == [f"{LOST}started."]
    assert machine.commands() == ["start kubelet.service"]


@pytest.mark.parametrize(("answer", "said"), [({}, "has no Node object w1"), (node("Unknown"), "has not heard of it")])
def test_a_node_that_does_not_come_back(machine: Machine, answer: t.Any, said: str) -> None:
    machine.nodes = [{}, answer]
    failed = machine.run(timeout=2)
    assert failed["failed"] and f"2 seconds later the cluster {said}" in failed["msg"]
    assert "journalctl --unit kubelet" in failed["msg"]


def test_another_configuration(machine: Machine) -> None:
    machine.outdated = "it was started before /var/lib/kubelet/config.yaml was changed"
    machine.runner.answers["systemctl show"] = f"{RUNNING}NeedDaemonReload=yes\n"
    result = machine.run()
    assert result["mended"] == [f"{machine.outdated}: the kubelet is restarted"]
    assert machine.commands() == ["daemon-reload", "restart kubelet.service"]
    assert result["diff"]["before"]["not right"] == result["mended"] and result["diff"]["after"]["not right"] == []


def test_another_name(machine: Machine) -> None:
    machine.words.append("--hostname-override=old")
    machine.nodes = [node("Unknown"), node()]
    assert machine.run()["mended"] == ["the kubelet runs under the name old: the kubelet is restarted"]
    machine.told_name = "old"
    warned = machine.run(check=True)["warnings"]
    assert warned[0].startswith("Unless a task before this one changes the name: The kubelet has to be started")
    failed = machine.run()
    assert "would go by the name old, which --hostname-override says; its certificate is that" in failed["msg"]
    assert "Nothing was restarted" in failed["msg"] and machine.commands() == ["restart kubelet.service"]


def test_a_hostname_by_which_it_would_come_back_as_another(machine: Machine) -> None:
    machine.hostname, machine.nodes = "localhost", [{}]
    failed = machine.run()
    assert "by the name localhost, which is the machine's hostname" in failed["msg"] and machine.commands() == []
    machine.hostname, machine.nodes = "W1", [{}, node()]
    assert machine.run()["action"] == "restarted"


def test_a_kubelet_that_nobody_hears_of(machine: Machine) -> None:
    machine.nodes = [node("Unknown")] * 22 + [node()]
    assert "has not heard of its kubelet" in machine.run()["warnings"][0]
    assert machine.commands() == ["restart kubelet.service"]


@pytest.mark.parametrize(
    ("properties", "nodes"),
    [(RUNNING, [node("Unknown"), node()]), (JUST_STARTED, [node("Unknown")]), (RUNNING, [node("Unknown"), None])],
)
def test_a_kubelet_that_may_still_be_heard_of(machine: Machine, properties: str, nodes: t.List[t.Any]) -> None:
    machine.runner.answers["systemctl show"] = properties
    machine.nodes = nodes
    assert machine.run()["action"] == "none" and machine.commands() == []


def test_a_pod_network_that_contradicts_the_node(machine: Machine) -> None:
    machine.contradictions = ["cni0 has the address 10.244.1.1/24, and the node has 10.244.3.0/24"]
    checked = machine.run(check=True)
    assert checked["changed"] and machine.mended == 0
    result = machine.run()
    assert result["changed"] and machine.mended == 1 and result["mended"] == machine.contradictions
    assert result["warnings"] == checked["warnings"] == [f"w1: {machine.contradictions[0]}."]


@pytest.mark.parametrize(("lost", "seconds"), [(False, 60), (True, 300)])
def test_a_flannel_that_the_run_is_about_to_install_is_not_waited_for_ever(
    machine: Machine, lost: bool, seconds: int
) -> None:
    machine.contradictions, machine.can_be_mended = ["Flannel has not told the node's new object where it is"], False
    machine.nodes = [{}, node()] if lost else [node()]
    result = machine.run()
    assert machine.mended == 0 and machine.clock() == pytest.approx(seconds, abs=3)
    assert "and Flannel does not run there. Once it does" in result["warnings"][0]
    assert (result["changed"], len(result["mended"])) == (lost, int(lost))


def test_a_flannel_that_goes_with_its_node_and_comes_back_is_waited_for(machine: Machine) -> None:
    machine.contradictions, machine.can_be_mended = ["cni0 has another address"], False
    machine.nodes, machine.comes_after = [{}, node()], 100
    result = machine.run()
    assert result["mended"][1:] == machine.contradictions and machine.mended == 1


@pytest.mark.parametrize("announced", [True, False])
def test_a_pod_network_of_others_is_left(machine: Machine, announced: bool) -> None:
    machine.contradictions, machine.is_announced = ["cni0 has another"], announced
    result = machine.run(pod_network="none")
    assert not result["changed"] and machine.mended == 0
    assert len(result["warnings"]) == int(announced)


def test_a_pod_network_that_cannot_be_mended(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: t.Any) -> None:
        raise SlipwayError("it stays so")

    machine.contradictions = ["something"]
    monkeypatch.setattr(POD_NETWORKS["flannel"], "mend", fail)
    assert machine.run()["msg"] == "it stays so"


@pytest.mark.usefixtures("flannel_alone")
def test_a_pod_network_that_nobody_knows(machine: Machine) -> None:
    assert machine.run(pod_network="flanel")["msg"] == "pod_network is flanel, and none of flannel, none."
    assert machine.commands() == []


def test_a_kubelet_that_is_not_installed(machine: Machine) -> None:
    machine.runner.answers["systemctl show"] = "LoadState=not-found\nActiveState=inactive\n"
    assert machine.run(check=True)["action"] == "started"
    assert "install its package first" in machine.run()["msg"]


def test_a_command_line_that_cannot_be_read(machine: Machine) -> None:
    machine.words = []
    assert machine.run()["action"] == "none"
