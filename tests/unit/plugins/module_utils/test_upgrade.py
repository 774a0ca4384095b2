# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import upgrade


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("registry.k8s.io/kube-apiserver:v1.36.4", "1.36.4"),
        ("192.0.2.1:5000/etcd:3.6.8-0", "3.6.8-0"),
        ("192.0.2.1:5000/etcd", ""),
        ("registry.k8s.io/pause:3.10@sha256:1234", "3.10"),
    ],
)
def test_image_version(image: str, version: str) -> None:
    assert upgrade.image_version(image) == version


def test_static_pods(tmp_path: Path) -> None:
    (tmp_path / "etcd.yaml").write_text(
        "spec:\n  containers:\n  - image: registry.k8s.io/etcd:3.6.8-0\n    name: etcd\n"
    )
    (tmp_path / "kube-scheduler.yaml").write_text('    image: "r/kube-scheduler:v1.36.4"\n    imagePullPolicy: Never\n')
    found = upgrade.static_pods(str(tmp_path))
    assert found == {"kube-scheduler": "r/kube-scheduler:v1.36.4", "etcd": "registry.k8s.io/etcd:3.6.8-0"}
    assert upgrade.kube_version(found) == {"kube-scheduler": "1.36.4", "etcd": "3.6.8-0"}
    assert upgrade.static_pods(str(tmp_path / "absent")) == {}


def test_a_manifest_that_only_the_backup_has_is_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    for number, name in enumerate(("etcd", "kube-apiserver", "kube-apiserver", "kube-scheduler")):
        backup = tmp_path / f"kubeadm-backup-manifests-{number}"
        backup.mkdir()
        (backup / f"{name}.yaml").write_text("" if name == "kube-scheduler" else f"image: r/{name}:{number}\n")
        os.utime(backup / f"{name}.yaml", (number, number))
    (manifests / "etcd.yaml").write_text("image: r/etcd:new\n")
    monkeypatch.setattr(upgrade, "MANIFESTS", str(manifests))
    monkeypatch.setattr(upgrade, "BACKUPS", str(tmp_path / "kubeadm-backup-manifests*"))
    lost = upgrade.lost_manifests()
    assert lost == {"kube-apiserver": str(tmp_path / "kubeadm-backup-manifests-2/kube-apiserver.yaml")}
    upgrade.restore_manifests(lost)
    assert upgrade.static_pods() == {"kube-apiserver": "r/kube-apiserver:2", "etcd": "r/etcd:new"}
    assert upgrade.lost_manifests() == {}
