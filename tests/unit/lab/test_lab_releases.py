# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases for download are laid out as upstream's, and release_set takes them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.kubernetes.plugins.modules.release_set import ReleaseSet

from lab import golang, mirror, releases, util
from lab.util import write

ROLES = Path(__file__).resolve().parents[3] / "roles"
BUILT = {
    "kubernetes-1.37.1": [*releases.PROGRAMS, "kube-apiserver"],
    "containerd": ["containerd", "ctr"],
    "runc": ["runc"],
    "cni-plugins": ["bridge", "loopback"],
    "cri-tools": ["crictl"],
}


@pytest.fixture
def www(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the mirror serves, made of programs that are texts."""
    for component, names in BUILT.items():
        for name in names:
            write(tmp_path / "built" / component / name, f"program {name}").chmod(0o755)
    monkeypatch.setattr(golang, "build", lambda component: tmp_path / "built" / component.name)
    monkeypatch.setattr(util, "ARTIFACTS", tmp_path / "artifacts")
    for place, folder in releases.downloads([golang.kubernetes("1.37.1")]).items():
        util.link(tmp_path / "www" / place, folder)
    return tmp_path / "www"


def test_places_and_names(www: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "WWW", www)
    found = {str(path.relative_to(www)) for folder in www.glob("*/*") for path in _files(folder)}
    kubernetes = {f"dl.k8s.io/v1.37.1/bin/linux/amd64/{name}" for name in releases.PROGRAMS}
    assert found == {
        *kubernetes,
        *(f"{path}.sha256" for path in kubernetes),
        "containerd/v2.4.2/containerd-2.4.2-linux-amd64.tar.gz",
        "containerd/v2.4.2/containerd-2.4.2-linux-amd64.tar.gz.sha256sum",
        "runc/v1.5.2/runc.amd64",
        "runc/v1.5.2/runc.sha256sum",
        "cni-plugins/v1.9.1/cni-plugins-linux-amd64-v1.9.1.tgz",
        "cni-plugins/v1.9.1/cni-plugins-linux-amd64-v1.9.1.tgz.sha256",
        "cri-tools/v1.37.0/crictl-v1.37.0-linux-amd64.tar.gz",
        "cri-tools/v1.37.0/crictl-v1.37.0-linux-amd64.tar.gz.sha256",
    }
    # dl.k8s.io has the digest alone.
    assert re.fullmatch("[0-9a-f]{64}", (www / "dl.k8s.io/v1.37.1/bin/linux/amd64/kubelet.sha256").read_text())
    assert mirror.MORE["releases"] is golang.CRI_TOOLS


def _files(folder: Path) -> list[Path]:
    return [path for path in (folder, *folder.glob("**/*")) if path.is_file()] or [
        path for place in folder.glob("**/amd64") for path in place.iterdir()
    ]


def test_the_roles_have_these_versions() -> None:
    defaults = {
        role: yaml.safe_load((ROLES / role / "defaults/main.yml").read_text(encoding="utf-8"))
        for role in ("kube_packages", "container_runtime")
    }
    assert defaults["kube_packages"]["kube_packages_crictl_version"] == golang.CRI_TOOLS.version
    assert defaults["kube_packages"]["kube_packages_cni_plugins_version"] == golang.CNI_PLUGINS.version
    assert defaults["container_runtime"]["container_runtime_runc_version"] == golang.RUNC.version


def test_the_module_takes_them(www: Path, tmp_path: Path) -> None:
    def entry(name: str, place: str, suffix: str, **more: str) -> dict[str, str]:
        return {
            "name": name,
            "version": "1",
            "url": f"https://m/{place}",
            "checksum": f"sha256:https://m/{suffix}",
            **more,
        }

    kubelet = "dl.k8s.io/v1.37.1/bin/linux/amd64/kubelet"
    containerd = "containerd/v2.4.2/containerd-2.4.2-linux-amd64.tar.gz"
    plugins = "cni-plugins/v1.9.1/cni-plugins-linux-amd64-v1.9.1.tgz"
    crictl = "cri-tools/v1.37.0/crictl-v1.37.0-linux-amd64.tar.gz"
    asked = [
        entry("kubelet", kubelet, f"{kubelet}.sha256"),
        entry("containerd", containerd, f"{containerd}.sha256sum"),
        entry("runc", "runc/v1.5.2/runc.amd64", "runc/v1.5.2/runc.sha256sum"),
        entry("crictl", crictl, f"{crictl}.sha256"),
        entry("cni-plugins", plugins, f"{plugins}.sha256", copy_to=str(tmp_path / "cni")),
    ]

    def fetch(url: str, path: str) -> None:
        shutil.copyfile(www / url[len("https://m/") :], path)

    (tmp_path / "tmp").mkdir()
    made = ReleaseSet(asked, False, fetch, str(tmp_path / "opt"), str(tmp_path / "bin"))
    made.run(False, str(tmp_path / "tmp"))
    found = {path.name: path.read_text() for folder in ("bin", "cni") for path in (tmp_path / folder).iterdir()}
    names = ["bridge", "containerd", "crictl", "ctr", "kubelet", "loopback", "runc"]
    assert found == {name: f"program {name}" for name in names}
