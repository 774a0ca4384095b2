# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cilium: images as upstream's, of programs and files of its module.

The agent compiles its programs for the kernel when it starts, so its image has the compiler and their sources. There is
no Envoy: nothing is understood above TCP and UDP.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from . import golang, images
from .images import Image
from .util import artifact, write

VERSION = golang.CILIUM.version
REPOSITORY = "quay.io/cilium"

# Of the compilers of Debian 12 this one is understood by the agent of this release; older and newer ones are not.
CLANG = "16"
PACKAGES = (*images.BASE_PACKAGES, "bpftool", f"clang-{CLANG}", f"llvm-{CLANG}", "mount")

# Programs by their places. Those of the chart call the second one by two names.
AGENT = ("cilium-agent", "cilium-dbg", "cilium-health", "cilium-health-responder", "cilium-mount", "cilium-sysctlfix")
LINKS = {
    "/usr/bin/cilium": "cilium-dbg",
    "/usr/local/bin/clang": f"/usr/bin/clang-{CLANG}",
    "/usr/local/bin/llc": f"/usr/bin/llc-{CLANG}",
}

# Of its scripts and of the sources for the kernel, what it needs to run.
SCRIPTS = (
    "images/cilium/init-container.sh",
    "plugins/cilium-cni/install-plugin.sh",
    "plugins/cilium-cni/cni-uninstall.sh",
)
SOURCES = (".c", ".h")

# Containers lack capabilities here that bpftool asks for before it looks at the kernel.
BPFTOOL = """#!/bin/sh
[ "$1 $2 $3" = "-j feature probe" ] && set -- "$@" unprivileged
exec /usr/sbin/bpftool "$@"
"""


def base() -> Path:
    """Return the system (tar) of the agent's image."""
    return images.system("image-base-cilium", PACKAGES)


def agent_files(tree: Path) -> dict[str, Path]:
    """Return the files of the agent's image beside its programs, by their places.

    tree: that of the module.
    """
    found = {f"/{Path(script).name}": tree / script for script in SCRIPTS}
    sources = tree / "bpf"
    for path in sources.rglob("*"):
        place = path.relative_to(sources)
        if path.suffix in SOURCES and place.parts[0] not in {"tests", "complexity-tests"}:
            found[f"/var/lib/cilium/bpf/{place}"] = path
    return found


def _bpftool() -> Mapping[str, Path]:
    """Return what stands before bpftool, by its place."""

    def build(folder: Path) -> None:
        write(folder / "bpftool", BPFTOOL, 0o755)

    return {"/usr/local/sbin/bpftool": artifact("cilium-bpftool", [BPFTOOL], build) / "bpftool"}


def all_images() -> list[Image]:
    """Return the images that the chart of the release names, without those that are off."""
    programs, tree = golang.build(golang.CILIUM), golang.module_folder(golang.CILIUM)
    files = {f"/usr/bin/{name}": programs / name for name in AGENT}
    files["/opt/cni/bin/cilium-cni"] = programs / "cilium-cni"
    files["/cni/loopback"] = golang.build(golang.CNI_PLUGINS) / "loopback"
    operator = "cilium-operator-generic"
    return [
        Image(
            f"{REPOSITORY}/cilium:v{VERSION}",
            {**files, **agent_files(tree), **_bpftool()},
            ["/usr/bin/cilium-dbg"],
            base=base(),
            links=LINKS,
        ),
        Image(
            f"{REPOSITORY}/operator-generic:v{VERSION}",
            {f"/usr/bin/{operator}": programs / operator},
            [f"/usr/bin/{operator}"],
        ),
    ]
