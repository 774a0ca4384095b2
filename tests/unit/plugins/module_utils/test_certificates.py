# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import shutil
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import certificates, der

FIXTURES = Path(__file__).parents[1] / "fixtures" / "kubeadm" / "control-plane"
#: When apiserver.crt expires.
END = 1826797781.0
DAY = 86400


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A control plane whose certificates kubeadm 1.37.1 made; its keys are empty files."""
    shutil.copytree(FIXTURES, tmp_path / "machine")
    for name in ("ca.key", "front-proxy-ca.key", "etcd/ca.key"):
        (tmp_path / "machine" / "pki" / name).touch()
    return tmp_path / "machine"


def collect(machine: Path) -> t.Dict[str, certificates.Entry]:
    return {entry.name: entry for entry in certificates.collect(str(machine), str(machine / "kubelet"))}


def test_all_that_there_is(machine: Path) -> None:
    found = collect(machine)
    assert {name: (entry.kind, entry.authority) for name, entry in found.items()} == {
        "apiserver": ("certificate", "ca"),
        "front-proxy-client": ("certificate", "front-proxy-ca"),
        "etcd-peer": ("certificate", "etcd-ca"),
        "scheduler.conf": ("kubeconfig", "ca"),
        "kubelet-client": ("kubelet", "ca"),
        "kubelet-server": ("kubelet", "ca"),
        "ca": ("authority", ""),
        "etcd-ca": ("authority", ""),
        "front-proxy-ca": ("authority", ""),
    }
    assert not any(entry.external or entry.problem for entry in found.values())
    assert found["scheduler.conf"].certificate is not None
    assert found["scheduler.conf"].certificate.common_name == "system:kube-scheduler"


def test_an_authority_elsewhere(machine: Path) -> None:
    (machine / "pki" / "front-proxy-ca.key").unlink()
    found = collect(machine)
    assert [name for name, entry in found.items() if entry.external] == ["front-proxy-client", "front-proxy-ca"]


def test_a_kubelet_that_signs_its_certificate_itself(machine: Path) -> None:
    (machine / "kubelet" / "kubelet-server-current.pem").rename(machine / "kubelet" / "kubelet.crt")
    assert collect(machine)["kubelet-server"].authority == ""


def test_urgency_and_days(machine: Path) -> None:
    entry = collect(machine)["apiserver"]
    assert entry.certificate is not None and entry.certificate.not_after == END
    for now, days, urgency in (
        (END - 30 * DAY, 30, "valid"),
        (END - 30 * DAY + 1, 29, "soon"),
        (END - 1, 0, "soon"),
        (END, 0, "expired"),
        (END + 1, -1, "expired"),
    ):
        assert (entry.days_left(now), entry.urgency(now, 30)) == (days, urgency)


def test_what_modules_return(machine: Path) -> None:
    assert collect(machine)["apiserver"].as_dict(END - 40 * DAY, 30) == {
        "name": "apiserver",
        "path": str(machine / "pki/apiserver.crt"),
        "kind": "certificate",
        "authority": "ca",
        "externally_managed": False,
        "subject": "kube-apiserver",
        "dns_names": [
            "certs-cp1",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ],
        "addresses": ["10.96.0.1", "172.30.0.40"],
        "expires": "2027-11-21T11:49:41Z",
        "days_left": 40,
        "urgency": "valid",
        "problem": "",
    }
    assert collect(machine)["ca"].as_dict(END, 30)["authority"] == "kubernetes"


def test_a_damaged_file(machine: Path) -> None:
    (machine / "pki" / "apiserver.crt").write_text("-----BEGIN CERT")
    (machine / "scheduler.conf").write_text("client-certificate-data: abc\n")
    found = collect(machine)
    damaged = found["apiserver"].as_dict(END, 30)
    assert (damaged["urgency"], damaged["days_left"], damaged["expires"]) == ("expired", -1, "")
    assert damaged["problem"] == "there is no PEM block CERTIFICATE"
    assert "base64" in found["scheduler.conf"].problem


def test_a_kubeconfig_without_a_certificate() -> None:
    assert certificates.kubeconfig_certificate("users:\n- user:\n    token: x\n") == ""
    with pytest.raises(der.DerError):
        certificates.kubeconfig_certificate("client-certificate-data: w6Q=")


def test_which_node_it_is(machine: Path) -> None:
    current = machine / "kubelet" / "kubelet-client-current.pem"
    layout = dataclasses.replace(KUBEADM, kubelet_certificate=str(current))
    assert certificates.node_name(layout) == "certs-cp1"
    current.write_bytes((machine / "pki" / "apiserver.crt").read_bytes())
    assert certificates.node_name(layout) == ""
    current.write_text("-----BEGIN CERT")
    assert certificates.node_name(layout) == ""
    current.unlink()
    assert certificates.node_name(layout) == ""


def test_the_table(machine: Path) -> None:
    (machine / "pki" / "etcd" / "ca.key").unlink()
    (machine / "scheduler.conf").write_text("")
    shown = certificates.table([entry.as_dict(END - 2 * DAY, 30) for entry in collect(machine).values()])
    assert shown[4].endswith("UNREADABLE: there is no PEM block CERTIFICATE")
    assert [*shown[:4], shown[5]] == [
        "CERTIFICATE         EXPIRES           DAYS LEFT  AUTHORITY",
        "apiserver           2027-11-21 11:49  2          ca              expires soon",
        "front-proxy-client  2027-11-21 11:49  2          front-proxy-ca  expires soon",
        "etcd-peer           2027-11-21 11:49  2          etcd-ca         expires soon, externally managed",
        "kubelet-client      2027-11-21 11:32  1          ca              expires soon",
    ]
    assert certificates.table([]) == []
