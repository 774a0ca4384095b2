# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import kubeadm_files
from ansible_collections.slipway.kubernetes.plugins.modules import kubeadm_ca
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

CONFIG = [{"kind": "ClusterConfiguration", "kubernetesVersion": "v1.37.1"}]


class Machine:
    """A machine on which kubeadm makes a CA."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> None:
        self.certificate = root / "ca.crt"
        self.key = root / "ca.key"
        self.kubeconfig = root / "kubelet.conf"
        self._run_module = run_module
        self.runner = FakeRunner({"config validate": "ok\n", "certs ca": self._make}, tools=("kubeadm",))
        monkeypatch.setattr(_module, "Runner", lambda _module: self.runner)
        monkeypatch.setattr(kubeadm_ca, "_KEY", str(self.key))
        monkeypatch.setattr(kubeadm_files, "RECORD", str(root / "slipway/given.json"))
        monkeypatch.setattr(kubeadm_ca, "_KUBELET_KUBECONFIG", str(self.kubeconfig))
        monkeypatch.setattr(api_server, "AUTHORITY", str(self.certificate))

    def _make(self, _argv: t.List[str]) -> str:
        self.certificate.write_text("PEM")
        self.key.write_text("KEY")
        return ""

    def run(self, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        return self._run_module(kubeadm_ca.main, {"config": CONFIG, **options}, check=check)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> Machine:
    return Machine(tmp_path, monkeypatch, run_module)


def test_a_ca_is_made_once(machine: Machine) -> None:
    result = machine.run(derive="vrrp")
    assert (result["changed"], result["certificate"], len(result["secret"])) == (True, "PEM", 64)
    # A reset shall not take it for the user's.
    assert kubeadm_files.KubeadmFiles().made() == {str(machine.certificate), str(machine.key)}
    assert machine.runner.calls == [
        ["/usr/bin/kubeadm", "config", "validate", "--config=/dev/stdin"],
        ["/usr/bin/kubeadm", "init", "phase", "certs", "ca", "--config=/dev/stdin"],
    ]
    assert json.loads(machine.runner.stdins[-1] or "") == CONFIG[0]
    again = machine.run(derive="vrrp")
    assert (again["changed"], again["secret"]) == (False, result["secret"])
    assert machine.run(derive="other")["secret"] != result["secret"]
    assert "secret" not in machine.run()


def test_check_mode(machine: Machine) -> None:
    machine.runner.tools = ()
    result = machine.run(check=True, derive="vrrp")
    assert (result["changed"], result["certificate"], result["secret"]) == (True, "", "")


def test_a_key_that_is_kept_elsewhere(machine: Machine) -> None:
    machine.certificate.write_text("PEM")
    assert machine.run(derive="vrrp")["secret"] == ""


def test_a_node_without_its_ca(machine: Machine) -> None:
    machine.kubeconfig.touch()
    failed = machine.run()
    assert failed["failed"] and "another CA would not be the cluster's" in failed["msg"]
    assert machine.runner.calls == []
