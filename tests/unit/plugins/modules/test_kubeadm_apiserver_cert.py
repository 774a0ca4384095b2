# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import shutil
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import cluster_configuration, static_pods
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import certificates
from ansible_collections.slipway.kubernetes.plugins.modules import kubeadm_apiserver_cert
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import waiting_clock
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

FIXTURES = Path(__file__).parents[1] / "fixtures" / "kubeadm"
MORE = ["10.9.8.7", "api.example.org"]


class ControlPlane:
    """A control plane; kubeadm makes the recorded certificate, which has MORE."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> None:
        self._run_module = run_module
        self.root = root / "machine"
        shutil.copytree(FIXTURES / "control-plane", self.root)
        self.pki = self.root / "pki"
        (self.pki / "ca.key").touch()
        (self.pki / "apiserver.key").write_text("the old key")
        self.manifest = self.root / "kube-apiserver.yaml"
        self.manifest.write_text("kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: 172.30.0.40:6443\n")
        self.recorded = json.loads((FIXTURES / "kubeadm-config.json").read_text())
        self.cluster = {
            "apiServer": {"certSANs": []},
            "kind": "ClusterConfiguration",
            "certificatesDir": "/etc/kubernetes/pki",
            "networking": {"serviceSubnet": "10.96.0.0/12", "dnsDomain": "cluster.local"},
        }
        self.made = FIXTURES / "apiserver-more-names.crt"
        self.runner = FakeRunner(
            {
                "get --raw=/api/v1/namespaces/kube-system/configmaps/kubeadm-config": json.dumps(self.recorded),
                "patch --local": lambda _argv: json.dumps(self.cluster),
                "phase upload-config kubeadm": "",
                "phase certs apiserver": self._make,
            },
            tools=("kubeadm", "kubectl"),
        )
        self.clock = waiting_clock(monkeypatch)
        self.sees_it = True
        self.ended = 0
        for target, name, value in (
            (certificates, "FOLDER", str(self.root)),
            (certificates, "node_name", lambda: "certs-cp1"),
            (api_server, "MANIFEST", str(self.manifest)),
            (api_server, "is_ready", lambda: True),
            (_module, "Runner", lambda _module: self.runner),
            (static_pods, "presented", self._presented),
            (static_pods, "API_SERVER", types.SimpleNamespace(program="kube-apiserver", end=self._end)),
        ):
            monkeypatch.setattr(target, name, value)

    def documents(self, phase: str) -> t.List[t.Dict[str, t.Any]]:
        """What kubeadm was given for a phase."""
        calls = zip(self.runner.calls, self.runner.stdins)
        text = next(stdin or "" for call, stdin in calls if phase in call)
        return [json.loads(part) for part in text.split("---\n")]

    def _make(self, _argv: t.List[str]) -> t.Any:
        folder = Path(self.documents("certs")[1]["certificatesDir"])
        assert (folder / "ca.key").resolve() == self.pki / "ca.key"
        shutil.copy(self.made, folder / "apiserver.crt")
        (folder / "apiserver.key").write_text("the new key")
        return ""

    def _presented(self, _host: str, _port: int) -> str:
        is_new = self.sees_it or self.ended
        return certificates.read(str(self.pki / "apiserver.crt")).fingerprint if is_new else "the old one"

    def _end(self) -> None:
        self.ended += 1

    def run(self, *sans: str, check: bool = False) -> t.Dict[str, t.Any]:
        return self._run_module(kubeadm_apiserver_cert.main, {"sans": list(sans), "timeout": 9}, check=check)

    def phases(self) -> t.List[str]:
        return [call[3] for call in self.runner.calls if "phase" in call]


@pytest.fixture
def plane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> ControlPlane:
    return ControlPlane(tmp_path, monkeypatch, run_module)


def test_nothing_to_do(plane: ControlPlane) -> None:
    result = plane.run()
    assert (result["changed"], result["added"], result["removed"], plane.phases()) == (False, [], [], [])
    assert "kubernetes.default" in result["names"]


def test_check_then_run_then_again(plane: ControlPlane) -> None:
    checked = plane.run(*MORE, check=True)
    assert plane.phases() == [] and (checked["changed"], checked["added"]) == (True, MORE)
    (plane.pki / ".slipway-left").mkdir()
    result = plane.run(*MORE)
    assert {**result, "restarted": False} == checked
    assert result["diff"]["after"].splitlines() == result["names"]
    # The cluster is told first, so that a call that is killed in between is finished by the next one.
    assert plane.phases() == ["upload-config", "certs"]
    init, cluster = plane.documents("upload-config")
    assert init["nodeRegistration"] == {"name": "certs-cp1"}
    assert init["localAPIEndpoint"] == {"advertiseAddress": "172.30.0.40", "bindPort": 6443}
    assert cluster["apiServer"]["certSANs"] == MORE
    assert cluster["certificatesDir"] == "/etc/kubernetes/pki"
    assert (plane.pki / "apiserver.crt").read_text() == plane.made.read_text()
    assert (plane.pki / "apiserver.key").read_text() == "the new key"
    assert list(plane.pki.glob(".slipway-*")) == [] and (plane.pki / "ca.key").exists()
    plane.cluster = cluster
    assert not plane.run(*MORE)["changed"]


def test_names_are_taken_out(plane: ControlPlane) -> None:
    (plane.pki / "apiserver.crt").write_text(plane.made.read_text())
    plane.made = FIXTURES / "control-plane" / "pki" / "apiserver.crt"
    result = plane.run()
    assert (result["removed"], result["added"], plane.phases()) == (MORE, [], ["certs"])


def test_an_api_server_that_does_not_see_it_is_restarted(plane: ControlPlane) -> None:
    plane.sees_it = False
    assert plane.run(*MORE)["restarted"] and plane.ended == 1


def test_kubeadm_makes_another_certificate(plane: ControlPlane) -> None:
    plane.made = FIXTURES / "control-plane" / "pki" / "apiserver.crt"
    result = plane.run(*MORE)
    assert result["failed"] and "the old one is left in its place" in result["msg"]
    assert (plane.pki / "apiserver.key").read_text() == "the old key"
    assert list(plane.pki.glob(".slipway-*")) == []


@pytest.mark.parametrize("check", [True, False])
def test_an_authority_that_is_elsewhere(plane: ControlPlane, check: bool) -> None:
    (plane.pki / "ca.key").unlink()
    assert not plane.run(check=check)["failed"]
    result = plane.run(*MORE, check=check)
    assert result["failed"] and "key is not on this host" in result["msg"] and plane.phases() == []


def test_a_bare_machine(plane: ControlPlane) -> None:
    plane.manifest.unlink()
    assert plane.run(*MORE, check=True)["added"] == MORE
    assert plane.run(*MORE)["msg"].startswith("There is no API server on this host")


def test_what_is_no_name(plane: ControlPlane) -> None:
    assert "'Api' is neither an address nor a DNS name" in plane.run("Api")["msg"]
    plane.cluster["networking"] = {"serviceSubnet": "none"}
    assert "cannot be computed" in plane.run()["msg"]


def test_a_node_whose_kubelet_says_no_name(plane: ControlPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "node_name", lambda: "")
    monkeypatch.setattr(cluster_configuration, "platform", types.SimpleNamespace(node=lambda: "Certs-CP1"))
    assert not plane.run()["changed"]
