# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Other installers are recognised by what they leave."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._node import installers


@pytest.mark.parametrize(
    ("paths", "name"),
    [
        (["/etc/kubernetes/kubeadm-config.yaml", "/etc/kubernetes/ssl/ca.crt"], "Kubespray"),
        (["/etc/kubernetes/manifests/nginx-proxy.yml"], "Kubespray"),
        (["/etc/kubernetes/kubelet.env", "/usr/local/bin/kubelet"], "Kubespray"),
        (["/etc/etcd.env", "/etc/ssl/etcd/ssl/ca.pem"], "Kubespray"),
        (["/var/lib/rancher/rke2/agent/kubelet.kubeconfig"], "RKE2"),
        (["/etc/rancher/rke2/rke2.yaml"], "RKE2"),
        (["/var/lib/rancher/k3s/server/tls/server-ca.crt"], "k3s"),
        (["/etc/systemd/system/k3s-agent.service"], "k3s"),
        (["/var/lib/k0s/pki/ca.crt"], "k0s"),
        (["/var/snap/microk8s/current/args/kubelet"], "MicroK8s"),
        (["/etc/machine-config-daemon/currentconfig"], "OpenShift"),
        (["/usr/local/bin/kubelet"], "by hand"),
        (["/opt/bin/kubeadm"], "by hand"),
    ],
)
def test_an_installer(tmp_path: Path, paths: t.Sequence[str], name: str) -> None:
    for path in paths:
        (tmp_path / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path[1:]).touch()
    found = installers.found(str(tmp_path))
    assert found["name"] == name
    assert any(path.startswith(found["trace"]) for path in paths)


def test_programs_of_a_release_are_ours(tmp_path: Path) -> None:
    (tmp_path / "usr/local/bin").mkdir(parents=True)
    for name in ("kubeadm", "kubelet"):
        (tmp_path / "usr/local/bin" / name).symlink_to(f"/opt/slipway/{name}/current/bin/{name}")
    assert installers.found(str(tmp_path)) == {} and installers.packaged(str(tmp_path)) == []
    (tmp_path / "usr/bin").mkdir()
    (tmp_path / "usr/bin/kubelet").touch()
    assert installers.packaged(str(tmp_path)) == ["/usr/bin/kubelet"]


def test_a_copy_beside_the_packages(tmp_path: Path) -> None:
    for path in ("usr/local/bin/kubeadm", "usr/bin/kubelet"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    trace = "/usr/local/bin/kubeadm"
    assert installers.found(str(tmp_path)) == {"name": "by hand", "trace": trace, "beside": "/usr/bin/kubelet"}


@pytest.mark.parametrize(
    "paths",
    [
        [],
        # What kubeadm and this collection leave.
        [
            "/etc/kubernetes/pki/ca.crt",
            "/etc/kubernetes/manifests/etcd.yaml",
            "/usr/bin/kubelet",
            "/usr/local/bin/helm",
        ],
        ["/etc/haproxy/haproxy.cfg", "/etc/kubernetes/kubelet.conf", "/usr/local/sbin/runc"],
        # Half of a trace, and empty folders of packages that were removed.
        ["/etc/kubernetes/kubeadm-config.yaml"],
        ["/etc/rancher/node/password"],
    ],
)
def test_none(tmp_path: Path, paths: t.Sequence[str]) -> None:
    for path in paths:
        (tmp_path / path[1:]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path[1:]).touch()
    assert installers.found(str(tmp_path)) == {}
