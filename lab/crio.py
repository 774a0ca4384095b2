# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CRI-O: its package as upstream's, in a repository laid out like upstream's, with one folder for each minor version.

Upstream's package brings a conmon, a crun and a runc of its own. This one depends on Debian's conmon and runc, which
are found by the PATH, so that machines can have something before runc. crictl, which upstream's package of kubeadm
depends on, is a package beside it.
"""

from __future__ import annotations

from pathlib import Path

from . import debian, debs, golang
from .debs import Package
from .util import artifact, digest, run

VERSION = golang.CRIO.version
MINOR = ".".join(VERSION.split(".")[:2])
# Its place below the address that upstream's repositories have in common.
PLACE = f"isv:/cri-o:/stable:/v{MINOR}/deb"
_PINNS_FLAGS = ("-std=c99", "-O3", "-Wall", "-Wextra", "-static", "-s")


def pinns() -> Path:
    """Return the folder with the program that keeps namespaces, which is C in CRI-O's own tree."""
    sources = sorted((golang.module_folder(golang.CRIO) / "pinns/src").glob("*.c"))

    def build(folder: Path) -> None:
        debian.install({"gcc": "gcc", "/usr/lib/*/libc.a": "libc6-dev"})
        run(["gcc", *_PINNS_FLAGS, "-o", folder / "pinns", *sources])

    return artifact("pinns", [VERSION, digest(*sources), *_PINNS_FLAGS], build, what=f"build pinns {VERSION}")


def packages() -> list[Package]:
    """Return CRI-O's package and that of crictl."""
    tree = golang.module_folder(golang.CRIO)
    source = debs.PACKAGES / "cri-o"
    unit = (tree / "contrib/systemd/crio.service").read_text(encoding="utf-8")
    return [
        Package("cri-o", f"{VERSION}-1.1", "Open Container Initiative-based implementation of Kubernetes CRI", fields={
            "Depends": "conmon, cri-tools, iptables, runc",
        }, programs={
            "/usr/bin/crio": golang.build(golang.CRIO) / "crio",
            "/usr/bin/pinns": pinns() / "pinns",
        }, files={
            **{f"/etc/crio/{name}": (source / name).read_text(encoding="utf-8")
               for name in ("crio.conf.d/10-crio.conf", "policy.json")},
            "/etc/crictl.yaml": (tree / "crictl.yaml").read_text(encoding="utf-8"),
            "/usr/lib/systemd/system/crio.service": unit.replace("/usr/local/bin/", "/usr/bin/"),
            "/var/lib/crio/.crio-keep": "",
        }, unit="crio.service"),
        Package("cri-tools", f"{golang.CRI_TOOLS.version}-1.1", "Command-line utility for the CRI", programs={
            "/usr/bin/crictl": golang.build(golang.CRI_TOOLS) / "crictl",
        }),
    ]  # fmt: skip


def repository(key: debs.SigningKey) -> Path:
    """Return the repository of this minor version."""
    return debs.flat_repository(f"cri-o-{MINOR}", debs.build_all(packages()), key)
