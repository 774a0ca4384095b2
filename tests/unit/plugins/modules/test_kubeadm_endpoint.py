# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import stat
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import cluster_configuration
from ansible_collections.slipway.kubernetes.plugins.modules import kubeadm_endpoint
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import waiting_clock
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

OLD, NEW = "https://192.0.2.11:6443", "https://api.example.org:8443"
KUBECONFIG = """apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: LS0tCg==
    server: {server}
  name: kubernetes
kind: Config
users: []
"""
OBJECTS = ["configmap/kube-public/cluster-info", "configmap/kube-system/kube-proxy"]
CONFIGURATION = "configmap/kube-system/kubeadm-config"
PROXIES = ["daemonset/kube-system/kube-proxy"]


class Machine:
    """A control plane with its cluster: the ConfigMaps that kubectl shows and changes, and files."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> None:
        self._run_module = run_module
        self.kubeconfig = root / "admin.conf"
        self.kubeconfig.write_text(KUBECONFIG.format(server=OLD))
        self.kubeconfig.chmod(0o600)
        self.manifest = root / "kube-apiserver.yaml"
        self.manifest.write_text("kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: 192.0.2.11:6443\n")
        self.maps = {"cluster-info": KUBECONFIG.format(server=OLD), "kube-proxy": KUBECONFIG.format(server=OLD)}
        self.cluster: t.Dict[str, t.Any] = {"kind": "ClusterConfiguration"}
        self.pods = [{"metadata": {"creationTimestamp": "2026-11-01T10:00:09Z"}}]
        self.changed = "2026-11-01T10:00:00Z"
        self.asked: t.List[t.Tuple[str, int]] = []
        self.answers = True
        self.tools = ["kubectl", "systemctl"]
        self.runner = FakeRunner(
            {
                "get --namespace=kube-public configmap cluster-info": lambda _argv: self._map("cluster-info"),
                "get --namespace=kube-system configmap kube-proxy": lambda _argv: self._map("kube-proxy"),
                "patch --namespace": self._patch,
                "get pods --namespace=kube-system --selector=k8s-app=kube-proxy": lambda _argv: json.dumps(
                    {"items": self.pods}
                ),
                "rollout restart --namespace=kube-system daemonset/kube-proxy": "",
                "systemctl": "",
            },
            tools=self.tools,
        )
        waiting_clock(monkeypatch)
        for target, name, value in (
            (api_server, "MANIFEST", str(self.manifest)),
            (api_server, "answers_ready", self._answers_ready),
            (cluster_configuration, "read", lambda _kubectl: dict(self.cluster)),
            (cluster_configuration, "write", self._write),
            (_module, "Runner", lambda _module: self.runner),
        ):
            monkeypatch.setattr(target, name, value)

    def _map(self, name: str) -> str:
        if name not in self.maps:
            return ""
        key = "kubeconfig" if name == "cluster-info" else "kubeconfig.conf"
        return json.dumps({"metadata": {"managedFields": [{"time": self.changed}]}, "data": {key: self.maps[name]}})

    def _patch(self, argv: t.List[str]) -> str:
        patch = next(word for word in argv if word.startswith("--patch=")).partition("=")[2]
        name = argv[argv.index("configmap") + 1]
        (self.maps[name],) = json.loads(patch)["data"].values()
        if name == "kube-proxy":
            self.changed = "2026-11-01T11:00:00Z"
        return ""

    def _write(self, _runner: t.Any, cluster: t.Dict[str, t.Any], place: t.Tuple[str, int]) -> None:
        assert place == ("192.0.2.11", 6443)
        self.cluster = cluster

    def _answers_ready(self, host: str, port: int, authority: str) -> bool:
        assert authority == api_server.AUTHORITY
        self.asked.append((host, port))
        return self.answers

    def restarts(self) -> int:
        return len(self.runner.called("restart"))

    def run(self, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        given = {
            "endpoint": "api.example.org:8443",
            "files": [str(self.kubeconfig)],
            "kubeconfig": str(self.kubeconfig),
        }
        return self._run_module(kubeadm_endpoint.main, {**given, "timeout": 3, **options}, check=check)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> Machine:
    return Machine(tmp_path, monkeypatch, run_module)


def test_check_then_run_then_again(machine: Machine) -> None:
    checked = machine.run(check=True, cluster=True)
    assert not machine.asked and not machine.restarts() and OLD in machine.kubeconfig.read_text()
    result = machine.run(cluster=True)
    assert result == checked and result["changed"]
    assert result["moved"] == [*OBJECTS, CONFIGURATION, str(machine.kubeconfig)]
    assert result["restarted"] == PROXIES and machine.restarts() == 1
    assert machine.asked == [("api.example.org", 8443)]
    assert machine.cluster == {"kind": "ClusterConfiguration", "controlPlaneEndpoint": "api.example.org:8443"}
    for text in (*machine.maps.values(), machine.kubeconfig.read_text()):
        assert text == KUBECONFIG.format(server=NEW)
    assert stat.S_IMODE(machine.kubeconfig.stat().st_mode) == 0o600
    (diff,) = [item for item in result["diff"] if item["before_header"] == CONFIGURATION]
    assert (diff["before"], diff["after"]) == ("\n", f"{NEW}\n")
    machine.pods = [{"metadata": {"creationTimestamp": "2026-11-01T11:00:01Z"}}]
    again = machine.run(cluster=True)
    assert not again["changed"] and len(machine.asked) == 1 and machine.restarts() == 1


def test_a_call_that_was_killed_before_the_restart(machine: Machine) -> None:
    machine.run(cluster=True)
    result = machine.run(cluster=True)
    assert (result["changed"], result["moved"], result["restarted"]) == (True, [], PROXIES)
    # Those that go already do not count.
    machine.pods[0]["metadata"]["deletionTimestamp"] = "2026-11-01T11:00:02Z"
    assert not machine.run(cluster=True)["changed"]


def test_a_cluster_without_kube_proxy(machine: Machine) -> None:
    del machine.maps["kube-proxy"]
    result = machine.run(cluster=True)
    assert result["restarted"] == [] and OBJECTS[1] not in result["moved"]


@pytest.mark.parametrize(("present", "moved"), [("api.example.org", True), ("api.example.org:8443", False)])
def test_an_endpoint_in_the_configuration(machine: Machine, present: str, moved: bool) -> None:
    machine.cluster["controlPlaneEndpoint"] = present
    assert (CONFIGURATION in machine.run(cluster=True)["moved"]) is moved


def test_a_kubelet_is_stopped_meanwhile(machine: Machine) -> None:
    result = machine.run(unit="kubelet.service", files=[str(machine.kubeconfig), "/nonexistent/kubelet.conf"])
    assert result["moved"] == [str(machine.kubeconfig)] and result["restarted"] == []
    assert [call[1:] for call in machine.runner.calls] == [["stop", "kubelet.service"], ["start", "kubelet.service"]]
    assert not machine.run(unit="kubelet.service")["changed"] and len(machine.runner.calls) == 2


def test_an_endpoint_that_does_not_answer(machine: Machine) -> None:
    machine.answers = False
    result = machine.run(cluster=True, endpoint="192.0.2.100")
    assert result["failed"] and "After 3 seconds https://192.0.2.100:6443/readyz does not say" in result["msg"]
    assert set(machine.asked) == {("192.0.2.100", 6443)} and OLD in machine.kubeconfig.read_text()
    assert not machine.runner.called("patch")


def test_what_kubeadm_did_not_make(machine: Machine) -> None:
    machine.kubeconfig.write_text(KUBECONFIG.format(server=OLD) * 2)
    assert "has 2 servers and not one" in machine.run()["msg"]
    machine.manifest.unlink()
    assert machine.run(cluster=True)["msg"].startswith("There is no API server on this host")


def test_a_bare_machine(machine: Machine) -> None:
    machine.tools.remove("kubectl")
    assert machine.run(check=True, cluster=True)["changed"]
    assert "kubectl is not installed" in machine.run(cluster=True)["msg"]


def test_quotes_and_lists() -> None:
    text = 'clusters:\n- cluster: {}\n  server: "https://a:1"  \n'
    assert kubeadm_endpoint.server_of(text, "x") == "https://a:1"
    assert kubeadm_endpoint.with_server(text, "https://b:2").endswith("  server: https://b:2\n")
