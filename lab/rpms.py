# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RPM packages of what the lab has built, in signed repositories laid out like upstream's."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import debian, debs, golang
from .debs import SigningKey
from .golang import Component
from .util import ARTIFACTS, LabError, artifact, run, write

# Tools that packages and repositories are made with. rpmsign is in a package of its own where it is not in Debian's.
TOOLS = {"rpmbuild": "rpm", "rpmsign": "rpm", "createrepo_c": "createrepo-c"}

# For which releases of the distribution Docker's repository has a folder.
RELEASES = ("9",)

# How the community's packages are numbered; 150500 is the system that they were built on.
KUBERNETES_RELEASE = "150500.1.1"

# Where Debian's packages have their files, and those of the RHEL family.
PLACES = {"/etc/default/": "/etc/sysconfig/"}


# What stands for an empty folder in Debian's packages.
KEEP = ".kubelet-keep"


@dataclass(frozen=True)
class Rpm:
    """A binary package.

    tags: further lines of its spec file, such as Requires.
    files: a file's place in the package and where it lies now, in an artifact, or its text; one that ends with a slash
        is an empty folder.
    scripts: scriptlets by their section, such as `%post`.
    """

    name: str
    version: str
    release: str
    summary: str
    tags: Sequence[str] = ()
    files: Mapping[str, Path | str] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)

    @property
    def filename(self) -> str:
        """The name of the .rpm."""
        return f"{self.name}-{self.version}-{self.release}.x86_64.rpm"

    def spec(self) -> str:
        """Return the spec file; `lab_tree` in it is where the files lie."""
        head = {"Name": self.name, "Version": self.version, "Release": self.release, "Summary": self.summary}
        lines = [*(f"{key}: {value}" for key, value in head.items()), "License: GPL-3.0-or-later", "AutoReqProv: no"]
        lines += [*self.tags, "%description", self.summary, "%install", "cp -a %{lab_tree}/. %{buildroot}/"]
        for section, script in self.scripts.items():
            lines += [section, script.rstrip()]
        lines += ["%files", "%defattr(-,root,root)"]
        for path in sorted(self.files):
            kind = "%dir " if path.endswith("/") else "%config(noreplace) " if path.startswith("/etc/") else ""
            lines.append(f'{kind}"{path.rstrip("/")}"')
        return "\n".join(lines) + "\n"

    def make(self, folder: Path, tree: Path) -> Path:
        """Build the package in a folder from the files in a tree, without a signature, and return the .rpm."""
        _build(folder, write(folder / "package.spec", self.spec()), tree)
        return folder / "RPMS/x86_64" / self.filename

    def build(self, key: SigningKey) -> Path:
        """Return the .rpm, built and signed when needed."""
        spec = self.spec()

        def build_into(folder: Path) -> None:
            tree = folder / "tree"
            tree.mkdir()
            for name, source in self.files.items():
                if name.endswith("/"):
                    (tree / name[1:]).mkdir(parents=True)
                elif isinstance(source, str):
                    write(tree / name[1:], source)
                else:
                    (tree / name[1:]).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(source, tree / name[1:], follow_symlinks=False)
            built = self.make(folder, tree)
            _sign(built, key)
            built.rename(folder / self.filename)
            for entry in folder.iterdir():
                if entry.is_dir():
                    shutil.rmtree(entry)

        inputs: list[str | Path] = [spec, key.public]
        # The name of an artifact says what is in it.
        inputs += [
            f"{name} {source if isinstance(source, str) else source.relative_to(ARTIFACTS)}"
            for name, source in self.files.items()
        ]
        what = f"package {self.name} {self.version}-{self.release}"
        return artifact(f"rpm-{self.name}-{self.version}-{self.release}", inputs, build_into, what=what) / self.filename


def _build(folder: Path, spec: Path, tree: Path) -> None:
    settings = {
        "_topdir": folder,
        "_dbpath": folder / "rpmdb",
        "lab_tree": tree,
        # The fastest compression: nodes unpack these often, and they never leave this machine.
        "_binary_payload": "w1.gzdio",
        "_build_id_links": "none",
        "debug_package": "%{nil}",
        "__os_install_post": "%{nil}",
    }
    defined = [word for name, value in settings.items() for word in ("--define", f"{name} {value}")]
    run(["rpmbuild", "--quiet", *defined, "--target", "x86_64-linux", "-bb", spec])


def _sign(package: Path, key: SigningKey) -> None:
    gpg = shutil.which("gpg") or "gpg"
    settings = {"__gpg": gpg, "_gpg_path": key.home, "_gpg_name": key.identity, "_gpg_digest_algo": "sha256"}
    defined = [word for name, value in settings.items() for word in ("--define", f"{name} {value}")]
    run(["rpmsign", *defined, "--addsign", package])
    key.end_agent()


def of_package(package: debs.Package, version: str, release: str, tags: Sequence[str]) -> Rpm:
    """Return the package that has the same programs and files as one of Debian's.

    A service of the RHEL family is started and enabled by who installs it, unless a preset says otherwise.
    """
    unit = package.unit
    files: dict[str, Path | str] = {**package.programs}
    for path, text in package.files.items():
        place = path.removesuffix(KEEP)
        for old, new in PLACES.items():
            place, text = place.replace(old, new, 1), text.replace(old, new)
        files[place] = text
    return Rpm(package.name, version, release, package.description, tags, files, service_scripts(unit) if unit else {})


def service_scripts(unit: str, *, restart: bool = False) -> dict[str, str]:
    """Return the scriptlets of a package with a service.

    :param restart: whether an upgrade restarts it.
    """
    reload = "[ ! -d /run/systemd/system ] || systemctl daemon-reload\n"
    again = f"[ $1 -eq 0 ] || [ ! -d /run/systemd/system ] || systemctl try-restart {unit}\n" if restart else ""
    return {
        "%post": f"{reload}[ $1 -ne 1 ] || systemctl --no-reload preset --quiet {unit}\n",
        "%preun": f"[ $1 -ne 0 ] || systemctl --no-reload disable --quiet --now {unit}\n",
        "%postun": f"{reload}{again}:\n",
    }


def kubernetes_packages(component: Component, programs: Path, cni: Path) -> list[Rpm]:
    """Return the packages of the community's repository, of the same files as those for Debian."""
    tags = {"kubelet": ["Requires: kubernetes-cni >= 1.2.0", "Requires: util-linux", "Recommends: iptables >= 1.8.4"]}
    return [
        of_package(package, package.version.partition("-")[0], KUBERNETES_RELEASE, tags.get(package.name, []))
        for package in debs.kubernetes_packages(component, programs, cni)
    ]


def containerd_package(containerd: Path, runc: Path, release: str) -> Rpm:
    """Return containerd.io as Docker packages it for a release of the distribution."""
    package = debs.containerd_package(containerd, runc)
    tags = [
        *("Requires: container-selinux >= 2:2.74", "Requires: libseccomp"),
        *(f"{word}: {name}" for word in ("Provides", "Conflicts", "Obsoletes") for name in ("containerd", "runc")),
    ]
    found = of_package(package, golang.CONTAINERD.version, f"1.el{release}", tags)
    scripts = service_scripts(package.unit, restart=True)
    return Rpm(found.name, found.version, found.release, found.summary, tags, found.files, scripts)


def fill_repository(folder: Path, packages: Sequence[Path], key: SigningKey) -> None:
    """Make a folder a repository with a signed index, and the key beside that."""
    folder.mkdir(parents=True, exist_ok=True)
    for package in packages:
        (folder / package.name).hardlink_to(package)
    run(["createrepo_c", "--quiet", "--no-database", folder])
    index = folder / "repodata/repomd.xml"
    key.sign_detached(index, index.with_name("repomd.xml.asc"))
    shutil.copy(key.public, index.with_name("repomd.xml.key"))


def repository(name: str, folders: Mapping[str, Sequence[Path]], key: SigningKey, key_file: str = "") -> Path:
    """Return a folder with repositories.

    :param folders: the packages of each repository by its place in the folder.
    :param key_file: where the key lies in the folder, beside each index.
    """

    def build(folder: Path) -> None:
        for below, packages in folders.items():
            fill_repository(folder / below, packages, key)
        if key_file:
            shutil.copy(key.public, folder / key_file)

    inputs: list[str | Path] = [key.public, key_file]
    inputs += [f"{below} {package.parent.name}" for below, packages in folders.items() for package in packages]
    return artifact(f"dnf-{name}", inputs, build, what=f"repository {name} (rpm)")


def docker_repository(containerd: Path, runc: Path, key: SigningKey) -> Path:
    """Return a repository like Docker's: a folder for each release of the distribution, and the key beside them."""
    debian.install(TOOLS)
    folders = {
        f"{release}/x86_64/stable": [containerd_package(containerd, runc, release).build(key)] for release in RELEASES
    }
    return repository("docker", folders, key, "gpg")


def build_all(packages: Sequence[Rpm], key: SigningKey) -> list[Path]:
    """Return the signed .rpm of each package."""
    debian.install(TOOLS)
    names = [package.name for package in packages]
    if len(set(names)) != len(names):
        raise LabError(f"a package twice: {names}")
    return [package.build(key) for package in packages]
