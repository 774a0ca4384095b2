# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases of Kubernetes, containerd and what they need, for nodes without packages.

They are laid out and named as upstream's, with their checksums beside them.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Sequence
from pathlib import Path

from . import golang
from .golang import Component
from .util import artifact, write

# What dl.k8s.io has that nodes run.
PROGRAMS = ("kubeadm", "kubelet", "kubectl")


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _archive(component: Component, name: str, suffix: str, *, below: str = "") -> Path:
    """Return a folder with an archive of the component's programs, and its checksum in a file with that suffix.

    :param below: the folder of the programs inside of the archive, with a slash.
    """
    source = golang.build(component)

    def build_into(folder: Path) -> None:
        with tarfile.open(folder / name, "w:gz", compresslevel=1) as tar:
            for path in sorted(source.iterdir()):
                tar.add(path, f"{below}{path.name}")
        write(folder / f"{name}{suffix}", f"{_checksum(folder / name)}  {name}\n")

    return artifact(f"release-{component.name}", [source.name, name, suffix, below], build_into, what=f"archive {name}")


def _runc(component: Component) -> Path:
    """Return a folder with runc's program and the file with the checksums of all its architectures."""
    source = golang.build(component)

    def build_into(folder: Path) -> None:
        (folder / "runc.amd64").hardlink_to(source / "runc")
        write(folder / "runc.sha256sum", f"{'0' * 64}  runc.arm64\n{_checksum(source / 'runc')}  runc.amd64\n")

    return artifact("release-runc", [source.name], build_into, what="release of runc")


def _kubernetes(component: Component) -> Path:
    """Return a folder with the programs of a release of Kubernetes, each with its checksum beside it."""
    source = golang.build(component)

    def build_into(folder: Path) -> None:
        for name in PROGRAMS:
            (folder / name).hardlink_to(source / name)
            write(folder / f"{name}.sha256", _checksum(source / name))

    what = f"release of Kubernetes {component.version}"
    return artifact(f"release-{component.name}", [source.name, *PROGRAMS], build_into, what=what)


def downloads(kubernetes: Sequence[Component]) -> dict[str, Path]:
    """Return folders by their places on the mirror.

    :param kubernetes: the releases of Kubernetes.
    """
    containerd, runc, plugins, crictl = golang.CONTAINERD, golang.RUNC, golang.CNI_PLUGINS, golang.CRI_TOOLS
    archive = f"containerd-{containerd.version}-linux-amd64.tar.gz"
    return {
        **{f"dl.k8s.io/v{one.version}/bin/linux/amd64": _kubernetes(one) for one in kubernetes},
        f"containerd/v{containerd.version}": _archive(containerd, archive, ".sha256sum", below="bin/"),
        f"runc/v{runc.version}": _runc(runc),
        f"cni-plugins/v{plugins.version}": _archive(
            plugins, f"cni-plugins-linux-amd64-v{plugins.version}.tgz", ".sha256", below="./"
        ),
        f"cri-tools/v{crictl.version}": _archive(crictl, f"crictl-v{crictl.version}-linux-amd64.tar.gz", ".sha256"),
    }
