# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade by kubeadm on one machine: its static pods, the record of what has begun, what a killed one has left.

Private to this collection.
"""

from __future__ import annotations

import glob
import os
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM

MANIFESTS = KUBEADM.manifests
#: Where kubeadm puts the manifests that it replaces.
BACKUPS = KUBEADM.backups
#: The static pods whose version is that of Kubernetes.
COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")

_IMAGE = re.compile(r"^\s*(?:- )?image: [\"']?([^\s\"']+)", re.MULTILINE)


def image_version(image: str) -> str:
    """The version in an image's name, without ``v``; empty when it has no tag."""
    name = image.partition("@")[0].rsplit("/", 1)[-1]
    return name.partition(":")[2].lstrip("v")


def static_pods(folder: str = "") -> t.Dict[str, str]:
    """Images of the control plane's static pods by their names; of those that are there."""
    found = {}
    for name in (*COMPONENTS, "etcd"):
        match = _IMAGE.search(read_text(f"{folder or MANIFESTS}/{name}.yaml"))
        if match:
            found[name] = match.group(1)
    return found


def kube_version(pods: t.Mapping[str, str]) -> t.Dict[str, str]:
    """Versions of the static pods by their names."""
    return {name: image_version(image) for name, image in pods.items()}


def lost_manifests() -> t.Dict[str, str]:
    """Manifests that a kubeadm killed between its two renames has left in its backup only: paths by names."""
    lost = {}
    for name in (*COMPONENTS, "etcd"):
        if not os.path.exists(f"{MANIFESTS}/{name}.yaml"):
            copies = [path for path in glob.glob(f"{BACKUPS}/{name}.yaml") if os.path.getsize(path)]
            if copies:
                lost[name] = max(copies, key=os.path.getmtime)
    return lost


def restore_manifests(lost: t.Mapping[str, str]) -> None:
    """Put manifests back, so that kubeadm finds the control plane as it was."""
    for name, copy in lost.items():
        TextFile(f"{MANIFESTS}/{name}.yaml", read_text(copy), 0o600).write()
