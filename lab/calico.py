# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calico: images as upstream's, of programs and files of its module, and what a release has for download.

Its agent's image has scripts and templates beside the program, and upstream's own BIRD; Debian's is in its place here,
which knows no tunnels, so that IPIP cannot be tried, and BGP without it can.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

from . import golang, images
from .images import Image
from .util import artifact, write

VERSION = golang.CALICO.version
REPOSITORY = "docker.io/calico"

# What the agent calls beside the programs that handle packets.
PACKAGES = (*images.BASE_PACKAGES, "bird", "runit")

MANIFESTS = ("calico.yaml", "calico-typha.yaml")

# CNI plugins that upstream's image brings, too.
PLUGINS = ("bandwidth", "host-local", "loopback", "portmap", "tuning")


def base() -> Path:
    """Return the system (tar) of the agent's image."""
    # Debian's link to its own services is in the way of the agent's.
    return images.system("image-base-calico", PACKAGES, ["/etc/service"])


def agent_files(tree: Path) -> dict[str, Path]:
    """Return the files of the agent's image beside its programs, by their places.

    tree: that of the module.
    """
    found = {}
    for source, target in (
        ("node/filesystem/etc", "/etc"),
        ("node/filesystem/sbin", "/usr/sbin"),
        ("confd/etc/calico", "/etc/calico"),
    ):
        folder = tree / source
        found.update({f"{target}/{path.relative_to(folder)}": path for path in folder.rglob("*") if path.is_file()})
    # Its user database is the system's.
    found.pop("/etc/nsswitch.conf", None)
    return found


def without_tunnels(template: str) -> str:
    """Return a template of BIRD's configuration without what only upstream's BIRD understands."""
    return "".join(line for line in template.splitlines(True) if not line.lstrip().startswith("krt_tunnel"))


def _templates(files: Mapping[str, Path]) -> dict[str, Path]:
    """Return the templates that are other ones here, by their places."""
    texts = {place: path.read_text(encoding="utf-8") for place, path in files.items() if place.endswith(".template")}
    changed = {place: without_tunnels(text) for place, text in texts.items() if without_tunnels(text) != text}

    def build(folder: Path) -> None:
        for place, text in changed.items():
            write(folder / Path(place).name, text)

    folder = artifact("calico-templates", sorted(changed.values()), build, what=f"templates of calico {VERSION}")
    return {place: folder / Path(place).name for place in changed}


def all_images() -> list[Image]:
    """Return the images that the manifest of the release names."""
    programs, tree = golang.build(golang.CALICO), golang.module_folder(golang.CALICO)
    plugins = golang.build(golang.CNI_PLUGINS)
    names = {"calico": "calico", "calico-ipam": "calico", "install": "install"}
    agent = {f"/usr/bin/{name}": programs / name for name in ("calico-node", "mountns")}
    files = agent_files(tree)
    controllers = {f"/usr/bin/{name}": programs / name for name in ("kube-controllers", "check-status")}
    cni = {f"/opt/cni/bin/{place}": programs / name for place, name in names.items()}
    cni.update({f"/opt/cni/bin/{name}": plugins / name for name in PLUGINS})
    return [
        Image(f"{REPOSITORY}/cni:v{VERSION}", cni, ["/opt/cni/bin/install"]),
        Image(
            f"{REPOSITORY}/node:v{VERSION}",
            {**agent, **files, **_templates(files)},
            ["/usr/sbin/start_runit"],
            base=base(),
        ),
        # It writes its state as somebody who may not write elsewhere.
        Image(
            f"{REPOSITORY}/kube-controllers:v{VERSION}",
            controllers,
            ["/usr/bin/kube-controllers"],
            user="999",
            base=images.base(),
            links={"/status": "/tmp", "/profiles": "/tmp"},
        ),
        Image(
            f"{REPOSITORY}/typha:v{VERSION}",
            {"/code/calico-typha": programs / "calico-typha"},
            ["/code/calico-typha"],
            user="999",
        ),
    ]


def downloads() -> Path:
    """Return a folder with what the release has for download, by the paths that it has there."""
    programs, tree = golang.build(golang.CALICO), golang.module_folder(golang.CALICO)

    def build(folder: Path) -> None:
        place = folder / f"v{VERSION}"
        (place / "manifests").mkdir(parents=True)
        for name in MANIFESTS:
            shutil.copyfile(tree / "manifests" / name, place / "manifests" / name)
        program = place / "calicoctl-linux-amd64"
        shutil.copyfile(programs / "calicoctl", program)
        total = hashlib.sha256(program.read_bytes()).hexdigest()
        write(place / "SHA256SUMS", f"{total}  {program.name}\n")

    return artifact("calico-release", [programs.name, *MANIFESTS], build, what=f"downloads of calico {VERSION}")
