# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import types
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import certificates
from ansible_collections.slipway.kubernetes.plugins.modules import kubeadm_certs_info
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

FIXTURES = Path(__file__).parents[1] / "fixtures" / "kubeadm" / "control-plane"
#: When the kubelet's certificates have expired and the others have not.
NOW = 1826796781.0


@pytest.fixture(autouse=True)
def warnings(monkeypatch: pytest.MonkeyPatch) -> t.List[str]:
    """The recorded control plane; what the module warns of."""
    said: t.List[str] = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, text: said.append(text))
    monkeypatch.setattr(certificates, "FOLDER", str(FIXTURES))
    monkeypatch.setattr(certificates, "KUBELET_FOLDER", str(FIXTURES / "kubelet"))
    monkeypatch.setattr(kubeadm_certs_info, "time", types.SimpleNamespace(time=lambda: NOW))
    monkeypatch.setattr(kubeadm_certs_info, "platform", types.SimpleNamespace(node=lambda: "cp1"))
    return said


def test_names_and_warnings(run_module: ModuleRunner, warnings: t.List[str]) -> None:
    result = run_module(kubeadm_certs_info.main, {"soon": 1}, check=True)
    assert (result["changed"], result["failed"]) == (False, False)
    assert result["expired"] == ["kubelet-client", "kubelet-server"]
    assert result["expiring"] == ["apiserver", "front-proxy-client", "etcd-peer", "scheduler.conf"]
    assert warnings == [
        "cp1: These certificates have expired: kubelet-client, kubelet-server.",
        "cp1: These certificates expire in less than 1 days: apiserver, front-proxy-client, etcd-peer, scheduler.conf.",
    ]
    assert len(result["table"]) == 1 + len(result["certificates"])


def test_a_file_that_cannot_be_read(
    run_module: ModuleRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: t.List[str]
) -> None:
    (tmp_path / "admin.conf").touch()
    monkeypatch.setattr(certificates, "FOLDER", str(tmp_path))
    monkeypatch.setattr(certificates, "KUBELET_FOLDER", str(tmp_path))
    result = run_module(kubeadm_certs_info.main, {})
    assert result["expired"] == ["admin.conf"]
    said = f"cp1: {tmp_path}/admin.conf cannot be read: there is no PEM block CERTIFICATE."
    assert warnings == [said]


def test_a_machine_without_kubernetes(
    run_module: ModuleRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "FOLDER", str(tmp_path))
    monkeypatch.setattr(certificates, "KUBELET_FOLDER", str(tmp_path))
    result: t.Dict[str, t.Any] = run_module(kubeadm_certs_info.main, {})
    assert (result["certificates"], result["table"]) == ([], [])
