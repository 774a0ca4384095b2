# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian packages of what the lab has built, in signed repositories laid out like upstream's."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import debian, golang
from .golang import Component
from .util import CACHE, SOURCE, LabError, artifact, run, step, write

PACKAGES = SOURCE / "packages"

# Tools that packages and repositories are made with.
TOOLS = {"dpkg-deb": "dpkg", "apt-ftparchive": "apt-utils", "gpg": "gnupg"}


@dataclass(frozen=True)
class Package:
    """A binary package.

    fields: further lines of its control file.
    programs: a program's place in the package and where it lies now.
    files: a file's place in the package and its text.
    unit: its systemd unit, ended before removal.
    start: whether the unit is started on installation.
    """

    name: str
    version: str
    description: str
    fields: Mapping[str, str] = field(default_factory=dict)
    programs: Mapping[str, Path] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    unit: str = ""
    start: bool = False

    def control(self) -> str:
        """Return the control file."""
        fields = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": "amd64",
            "Maintainer": "slipway lab <lab@slipway.invalid>",
            "Section": "admin",
            "Priority": "optional",
            **self.fields,
            "Description": self.description,
        }
        return "".join(f"{key}: {value}\n" for key, value in fields.items())

    def scripts(self) -> dict[str, str]:
        """Return the maintainer scripts by name."""
        if not self.unit:
            return {}
        stop = f"systemctl disable --quiet --now {self.unit}\n"
        guard = "[ -d /run/systemd/system ] || exit 0\n"
        start = f"systemctl enable --quiet {self.unit}\nsystemctl restart {self.unit}\n" if self.start else ""
        return {
            "postinst": f'#!/bin/sh\nset -e\n[ "$1" = configure ] || exit 0\n{guard}systemctl daemon-reload\n{start}',
            "prerm": f'#!/bin/sh\nset -e\n[ "$1" = remove ] || exit 0\n{guard}{stop}',
        }

    def build(self) -> Path:
        """Return the .deb, building it when needed."""
        scripts = self.scripts()
        configuration = [path for path in self.files if path.startswith("/etc/")]

        def build_into(folder: Path) -> None:
            tree = folder / "tree"
            for name, text in self.files.items():
                write(tree / name[1:], text)
            for name, source in self.programs.items():
                (tree / name[1:]).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, tree / name[1:])
            write(tree / "DEBIAN/control", self.control())
            for name, text in scripts.items():
                write(tree / "DEBIAN" / name, text, 0o755)
            if configuration:
                write(tree / "DEBIAN/conffiles", "".join(f"{path}\n" for path in configuration))
            # The fastest compression: nodes unpack these often, and they never leave this machine.
            run(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", tree, folder / self.filename])
            shutil.rmtree(tree)

        inputs = [self.control(), *scripts.values(), *(f"{name} {text}" for name, text in self.files.items())]
        # A program's folder is an artifact, whose name says what is in it.
        inputs += [f"{name} {source.parent.name}/{source.name}" for name, source in self.programs.items()]
        what = f"package {self.name} {self.version}"
        return artifact(f"deb-{self.name}-{self.version}", inputs, build_into, what=what) / self.filename

    @property
    def filename(self) -> str:
        """The name of the .deb."""
        return f"{self.name}_{self.version}_amd64.deb"


def kubernetes_packages(component: Component, programs: Path, cni: Path) -> list[Package]:
    """Return the packages of the community's repository, apart from cri-tools, whose source is not to be had."""
    version = f"{component.version}-1.1"
    source = PACKAGES / "kubelet"
    unit = "/usr/lib/systemd/system/kubelet.service"
    return [
        Package("kubectl", version, "Command-line utility for interacting with a Kubernetes cluster", programs={
            "/usr/bin/kubectl": programs / "kubectl",
        }),
        Package("kubeadm", version, "Command-line utility for administering a Kubernetes cluster", programs={
            "/usr/bin/kubeadm": programs / "kubeadm",
        }, files={
            f"{unit}.d/10-kubeadm.conf": (source / "10-kubeadm.conf").read_text(encoding="utf-8"),
        }),
        Package("kubelet", version, "Node agent for Kubernetes clusters", fields={
            "Depends": "kubernetes-cni (>= 1.2.0), mount, util-linux",
            "Recommends": "iptables (>= 1.8.4)",
        }, programs={
            "/usr/bin/kubelet": programs / "kubelet",
        }, files={
            unit: (source / "kubelet.service").read_text(encoding="utf-8"),
            "/etc/default/kubelet": "KUBELET_EXTRA_ARGS=\n",
            "/etc/kubernetes/manifests/.kubelet-keep": "",
            "/var/lib/kubelet/.kubelet-keep": "",
        }, unit="kubelet.service"),
        Package("kubernetes-cni", f"{golang.CNI_PLUGINS.version}-1.1", "Container networking plugins", programs={
            f"/opt/cni/bin/{path.name}": path for path in sorted(cni.iterdir())
        }),
    ]  # fmt: skip


def containerd_package(containerd: Path, runc: Path) -> Package:
    """Return containerd.io as Docker packages it: with a runc of its own and a configuration that leaves CRI out."""
    source = PACKAGES / "containerd.io"
    return Package("containerd.io", f"{golang.CONTAINERD.version}-1", "An open and reliable container runtime", fields={
        "Provides": "containerd, runc",
        "Conflicts": "containerd, runc",
        "Replaces": "containerd, runc",
    }, programs={
        **{f"/usr/bin/{path.name}": path for path in sorted(containerd.iterdir())},
        "/usr/bin/runc": runc / "runc",
    }, files={
        "/etc/containerd/config.toml": (source / "config.toml").read_text(encoding="utf-8"),
        "/usr/lib/systemd/system/containerd.service": (source / "containerd.service").read_text(encoding="utf-8"),
    }, unit="containerd.service", start=True)  # fmt: skip


class SigningKey:
    """An OpenPGP key made on the spot and kept."""

    def __init__(self, name: str) -> None:
        """Make the key unless it is there.

        :param name: whose repository it signs.
        """
        debian.install(TOOLS)
        self.home = CACHE / "keys" / name
        self.public = self.home / "public.asc"
        self.identity = f"slipway lab {name} <{name}@slipway.invalid>"
        if not self.public.exists():
            with step(f"make the signing key of {name}"):
                self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._gpg("--passphrase", "", "--quick-gen-key", self.identity, "rsa2048", "sign", "never")
                write(self.public, self._gpg("--armor", "--export"))
                self.end_agent()

    def sign(self, release: Path) -> None:
        """Write InRelease and Release.gpg beside a Release file."""
        self._gpg("--clearsign", "--output", str(release.with_name("InRelease")), str(release))
        self.sign_detached(release, release.with_name("Release.gpg"))

    def sign_detached(self, path: Path, signature: Path) -> None:
        """Write the signature of a file."""
        self._gpg("--armor", "--detach-sign", "--output", str(signature), str(path))
        self.end_agent()

    def _gpg(self, *arguments: str) -> str:
        return run(["gpg", "--homedir", self.home, "--batch", "--quiet", "--yes", *arguments])

    def end_agent(self) -> None:
        """End the agent that gpg leaves running for each folder of keys."""
        run(["gpgconf", "--homedir", self.home, "--kill", "gpg-agent"])


def _index(root: Path, below: str, target: Path) -> None:
    packages = run(["apt-ftparchive", "packages", below], cwd=root)
    write(target / "Packages", packages)
    (target / "Packages.gz").write_bytes(gzip.compress(packages.encode(), mtime=0))


def _release(folder: Path, key: SigningKey, fields: Mapping[str, str]) -> None:
    options = [f"-o=APT::FTPArchive::Release::{name}={value}" for name, value in fields.items()]
    text = run(["apt-ftparchive", *options, "release", "."], cwd=folder)
    key.sign(write(folder / "Release", text))


def flat_repository(name: str, debs: Sequence[Path], key: SigningKey) -> Path:
    """Return a repository like the community's: everything in one folder, and the key with it."""

    def build(folder: Path) -> None:
        for deb in debs:
            (folder / deb.name).hardlink_to(deb)
        _index(folder, ".", folder)
        _release(folder, key, {"Origin": "slipway lab", "Label": name})
        shutil.copy(key.public, folder / "Release.key")

    return artifact(f"apt-{name}", [*(deb.parent.name for deb in debs), key.public], build, what=f"repository {name}")


def pool_repository(name: str, debs: Sequence[Path], key: SigningKey) -> Path:
    """Return a repository like Docker's: a folder for each Debian release, and the key beside them."""

    def build(folder: Path) -> None:
        for suite in debian.SUITES.values():
            release = folder / "dists" / suite
            pool = release / "pool/stable/amd64"
            pool.mkdir(parents=True)
            for deb in debs:
                (pool / deb.name).hardlink_to(deb)
            _index(folder, f"dists/{suite}/pool/stable/amd64", release / "stable/binary-amd64")
            fields = {"Origin": "slipway lab", "Label": name, "Suite": suite, "Codename": suite}
            _release(release, key, {**fields, "Architectures": "amd64", "Components": "stable"})
        shutil.copy(key.public, folder / "gpg")

    inputs: list[str | Path] = [*(deb.parent.name for deb in debs), key.public, *debian.SUITES.values()]
    return artifact(f"apt-{name}", inputs, build, what=f"repository {name}")


def build_all(packages: Sequence[Package]) -> list[Path]:
    """Return the .deb of each package."""
    debian.install(TOOLS)
    names = [package.name for package in packages]
    if len(set(names)) != len(names):
        raise LabError(f"a package twice: {names}")
    return [package.build() for package in packages]
