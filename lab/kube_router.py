# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kube-router: its image, and the manifest of its release as a site's own mirror has it.

Upstream's manifest names the image without a tag, which is another image each day: here it has that of the release.
"""

from __future__ import annotations

import re
from pathlib import Path

from . import golang, images
from .images import Image
from .util import LabError, artifact, write

VERSION = golang.KUBE_ROUTER.version
REPOSITORY = "docker.io/cloudnativelabs/kube-router"
MANIFEST = "kubeadm-kuberouter.yaml"


def image() -> Image:
    """Return the image that the manifest names."""
    program = golang.build(golang.KUBE_ROUTER) / "kube-router"
    place = "/usr/local/bin/kube-router"
    return Image(f"{REPOSITORY}:v{VERSION}", {place: program}, [place], base=images.base())


def tagged(manifest: str) -> str:
    """Return a manifest whose images have the release's tag.

    :raises LabError: when it names none, or has a tag already.
    """
    changed, count = re.subn(rf"(image: {re.escape(REPOSITORY)})$", rf"\1:v{VERSION}", manifest, flags=re.MULTILINE)
    if not count or count != manifest.count(REPOSITORY):
        raise LabError(f"{MANIFEST} of kube-router {VERSION} does not name {REPOSITORY} as it should")
    return changed


def downloads() -> Path:
    """Return a folder with the release's manifest, by the path that the mirror has it at."""
    tree = golang.module_folder(golang.KUBE_ROUTER)
    text = tagged((tree / "daemonset" / MANIFEST).read_text(encoding="utf-8"))

    def build(folder: Path) -> None:
        write(folder / f"v{VERSION}" / MANIFEST, text)

    return artifact("kube-router-release", [text], build, what=f"manifest of kube-router {VERSION}")
