# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A system that is as near to Rocky Linux 9 as can be had: Debian 13 with real dnf 4 and rpm in the place of apt.

Nothing of the RHEL family can be fetched here. So programs are Debian's. Those that the roles install come by rpm from
a signed repository of the distribution, in packages with the names, and services with the files, that the RHEL family
has. What its packages and those of others depend on, and every such system has, is provided by a package without files.
docs/platforms.md says what that does not show.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import debian, engine, mirror, rpms
from .debs import SigningKey
from .rpms import Rpm
from .util import CACHE, SOURCE, LabError, artifact, link, run, write

NAME = "el9like"
SUITE = debian.SUITES["debian13"]

FILES = SOURCE / "packages" / NAME
RELEASE = "1.el9"

# Where the repository of the distribution lies in the mirror.
REPOSITORY = "rocky/9/BaseOS/x86_64/os"
KEY_FILE = "/etc/pki/rpm-gpg/RPM-GPG-KEY-Rocky-9"

# What every system of the family has, as far as packages ask for it. Scriptlets ask for /bin/sh.
BASE = (
    *("/bin/sh", "bash", "coreutils", "curl", "curl-minimal", "dnf", "dnf-plugins-core", "gnupg2", "iproute"),
    *("iptables = 1.8.10", "iptables-nft = 1.8.10", "kmod", "libseccomp", "openssh-server", "procps-ng", "python3"),
    *("python3-dnf-plugin-versionlock", "rpm", "shadow-utils", "sudo", "systemd", "tar", "util-linux"),
)


@dataclass(frozen=True)
class Part:
    """A package of the distribution.

    deb: Debian's package whose files it has; none: it has none of Debian's.
    only: which of them, as a pattern.
    user: an account that it makes.
    files: further ones, and others in their place: a file of `packages/el9like`, or a text with its line end.
    """

    name: str
    deb: str = ""
    only: str = ".*"
    user: str = ""
    unit: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    tags: Sequence[str] = ()


_UNITS = "/usr/lib/systemd/system"
PARTS = (
    Part("bash-completion", "bash-completion", "/etc/profile|/usr/share/bash-completion/"),
    Part("chrony", "chrony", "/usr/s?bin/", user="_chrony", unit="chronyd.service", files={
        "/etc/chrony.conf": "chrony.conf",
        "/etc/sysconfig/chronyd": "OPTIONS=-f /etc/chrony.conf\n",
        "/var/lib/chrony/": "",
    }),
    Part("conntrack-tools", "conntrack"),
    # Docker's package wants a version of it, with its epoch.
    Part("container-selinux", version="2.232.1", tags=["Epoch: 2"]),
    Part("ebtables", "ebtables"),
    Part("ethtool", "ethtool", "/usr/sbin/"),
    Part("haproxy", "haproxy", "/usr/sbin/", user="haproxy", unit="haproxy.service", files={
        "/etc/haproxy/conf.d/": "",
        "/etc/haproxy/haproxy.cfg": "haproxy.cfg",
        "/etc/sysconfig/haproxy": "OPTIONS=\n",
        "/var/lib/haproxy/": "",
    }),
    Part("iproute-tc", "iproute2", "/usr/sbin/tc$|/usr/lib/.*/tc/"),
    # Debian's program does not start without the file that says how it was built.
    Part("keepalived", "keepalived", "/usr/s?bin/|/etc/keepalived/.*-opts$", unit="keepalived.service", files={
        "/etc/keepalived/keepalived.conf": "# An example, as the package brings one.\n",
        "/etc/sysconfig/keepalived": 'KEEPALIVED_OPTIONS="-D"\n',
    }),
    Part("socat", "socat", "/usr/bin/"),
)  # fmt: skip

# Besides those of any node. Debian's packages of the parts bring the libraries that their programs need.
PACKAGES = ("dnf", "dnf-plugins-core", "rpm", *(part.deb for part in PARTS if part.deb and part.deb != "iproute2"))

# sudo of the family finds nothing in /usr/local/bin.
SUDOERS = {"etc/sudoers.d/secure_path": "Defaults secure_path = /sbin:/bin:/usr/sbin:/usr/bin\n"}

# What no package of the RHEL family has, or in another place.
_LEFT_OUT = re.compile(r"/usr/share/(?!bash-completion/(?!completions/))|/etc/(init\.d|default|network)/")


def prepare(system: Path) -> list[Path]:
    """Serve the distribution's repository, and return the packages that a machine has from the start.

    :param system: the archive with Debian's system, `PACKAGES` included.
    """
    key = SigningKey("rocky")
    debian.install(rpms.TOOLS)
    built = [rpm_of(part, _debian_files(system)).build(key) for part in PARTS]
    place = mirror.WWW / REPOSITORY
    link(place, rpms.repository("rocky-9", {".": built}, key))
    return [package.build(key) for package in (_release(key), _base())]


def convert(image: str, packages: Sequence[Path]) -> None:
    """Turn an image with Debian's system into one of this system, by the same name."""
    context = CACHE / "image" / f"{NAME}-system"
    shutil.rmtree(context, ignore_errors=True)
    shutil.copytree(SOURCE / "node-el9like", context)
    for package in packages:
        shutil.copy2(package, context)
    options = ["--build-arg", f"BASE={image}", "--label", engine.LABEL, "--tag", image]
    run(["docker", "build", "--quiet", *options, context], env={"DOCKER_BUILDKIT": "0"})


def inputs(packages: Sequence[Path]) -> list[str | Path]:
    """Return what an image of this system is made from besides Debian's; nothing for others."""
    return [SOURCE / "node-el9like", *(package.parent.name for package in packages)] if packages else []


def _debian_files(system: Path) -> Path:
    """Return a folder with the files of Debian's packages, and what dpkg knows of these."""

    def build(folder: Path) -> None:
        debs = sorted({part.deb for part in PARTS if part.deb})
        known = ["./var/lib/dpkg/status", *(f"./var/lib/dpkg/info/{deb}.list" for deb in debs)]
        run(["tar", "--extract", "--file", system, "--directory", folder, *known])
        wanted = sorted({f".{path}" for part in PARTS if part.deb for path in listed_files(folder, part)})
        listing = write(folder / "wanted", "".join(f"{path}\n" for path in wanted))
        run(["tar", "--extract", "--no-recursion", "--file", system, "--directory", folder, "--files-from", listing])

    return artifact(f"{NAME}-files", [system.parent.name, repr(PARTS), _LEFT_OUT.pattern], build)


def listed_files(folder: Path, part: Part) -> list[str]:
    """Return the files of Debian's package that a part has."""
    lines = (folder / f"var/lib/dpkg/info/{part.deb}.list").read_text(encoding="utf-8").split("\n")
    # A folder is the beginning of another line.
    above = {line.rpartition("/")[0] for line in lines}
    return [
        line
        for line in lines
        if line.startswith("/")
        and line not in above
        and line != "/."
        and re.match(part.only, line)
        and not _LEFT_OUT.match(line)
    ]


def version_of(folder: Path, deb: str) -> str:
    """Return the version that Debian's package has upstream."""
    status = (folder / "var/lib/dpkg/status").read_text(encoding="utf-8")
    found = re.search(rf"^Package: {re.escape(deb)}\n(?:.+\n)*?Version: (?:\d+:)?([^-+~\n]+)", status, re.MULTILINE)
    if not found:
        raise LabError(f"the system {NAME} has no package {deb}")
    return found[1]


def rpm_of(part: Part, folder: Path) -> Rpm:
    files: dict[str, Path | str] = {
        path: folder / path[1:] for path in (listed_files(folder, part) if part.deb else [])
    }
    if part.unit:
        files[f"{_UNITS}/{part.unit}"] = (FILES / part.unit).read_text(encoding="utf-8")
    for path, content in part.files.items():
        is_text = not content or content.endswith("\n")
        files[path] = content if is_text else (FILES / content).read_text(encoding="utf-8")
    scripts = rpms.service_scripts(part.unit, restart=True) if part.unit else {}
    if part.user:
        known, make = (
            f"getent passwd {part.user} > /dev/null",
            f"useradd --system --shell /usr/sbin/nologin {part.user}",
        )
        scripts = {"%pre": f"{known} || {make}\n", **scripts}
    version = part.version or version_of(folder, part.deb)
    return Rpm(part.name, version, RELEASE, f"{part.name} for machines of the lab", part.tags, files, scripts)


def _release(key: SigningKey) -> Rpm:
    """Return the package by which the distribution says what it is, and where its packages are."""
    place = REPOSITORY.replace("/9/", "/$releasever/").replace("x86_64", "$basearch")
    repository = {
        "name": "Rocky Linux $releasever - BaseOS",
        "baseurl": f"http://{mirror.FILES}/{place}/",
        "gpgcheck": "1",
        "enabled": "1",
        "metadata_expire": "6h",
        "gpgkey": f"file://{KEY_FILE}",
    }
    lines = "".join(f"{name}={value}\n" for name, value in repository.items())
    files: dict[str, Path | str] = {
        "/etc/os-release": (FILES / "os-release").read_text(encoding="utf-8"),
        "/etc/redhat-release": "Rocky Linux release 9.5 (Blue Onyx)\n",
        "/etc/yum.repos.d/rocky.repo": f"[baseos]\n{lines}",
        KEY_FILE: key.public.read_text(encoding="utf-8"),
        **{
            f"/usr/lib/systemd/system-preset/{path.name}": path.read_text(encoding="utf-8")
            for path in sorted(FILES.glob("*.preset"))
        },
    }
    tags = [
        "Provides: system-release = 9.5",
        "Provides: system-release(releasever) = 9",
        "Provides: redhat-release = 9.5",
    ]
    return Rpm("rocky-release", "9.5", RELEASE, "Rocky Linux as the lab has it", tags, files)


def _base() -> Rpm:
    """Return the package that stands for all others of a system."""
    files: dict[str, Path | str] = {"/etc/dnf/dnf.conf": (FILES / "dnf.conf").read_text(encoding="utf-8")}
    tags = [f"Provides: {name}" for name in BASE]
    return Rpm("el9like-base", "9.5", RELEASE, "Stands for the packages of a system", tags, files)
