# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases of RKE2, and the names of what they bring. Private to this collection."""

from __future__ import annotations

import dataclasses
import re
import typing as t
from urllib.parse import quote

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError

#: What each machine needs, and what the checksums of both are in.
TARBALL = "rke2.linux-{}.tar.gz"
IMAGES = "rke2-images.linux-{}.tar.gz"
SUMS = "sha256sum-{}.txt"
_VERSION = re.compile(r"v([0-9]+)\.([0-9]+)\.([0-9]+)\+rke2r([0-9]+)")
_ARCHITECTURES = ("amd64", "arm64")


@dataclasses.dataclass(frozen=True, order=True)
class Release:
    """A release: the version of Kubernetes in numbers, and which release of RKE2 with it this is."""

    major: int
    minor: int
    patch: int
    revision: int

    def __str__(self) -> str:
        return f"{self.kubernetes}+rke2r{self.revision}"

    @property
    def kubernetes(self) -> str:
        """The version of Kubernetes, with v. A node's ``kubeletVersion`` is the release's own name."""
        return f"v{self.major}.{self.minor}.{self.patch}"

    def names(self, architecture: str = "amd64") -> t.Dict[str, str]:
        """What others call the release and its artifacts.

        :raises SlipwayError: when it has none for the architecture.
        """
        if architecture not in _ARCHITECTURES:
            raise SlipwayError(
                f"RKE2 has no release for {architecture}, only for {' and '.join(_ARCHITECTURES)}: take the machine out"
                " of the inventory."
            )
        return {
            "version": str(self),
            "kubernetes": self.kubernetes,
            "folder": quote(str(self), safe=""),
            "tag": str(self).replace("+", "-"),
            "tarball": TARBALL.format(architecture),
            "images": IMAGES.format(architecture),
            "sums": SUMS.format(architecture),
        }


def release(text: str) -> Release:
    """The release of a name such as ``v1.36.3+rke2r1``.

    :raises SlipwayError: when it is none.
    """
    found = _VERSION.fullmatch(text)
    if found is None:
        raise SlipwayError(
            f"rke2_version: {text} is no release of RKE2. Name one in full, such as v1.36.3+rke2r1; channels and"
            " Kubernetes' own versions name none."
        )
    return Release(*(int(number) for number in found.groups()))


def said_by(output: str) -> t.Optional[Release]:
    """The release in what ``rke2 --version`` prints; ``None`` when there is none in it."""
    found = re.search(rf"^rke2 version ({_VERSION.pattern})(?: |$)", output, re.MULTILINE)
    return release(found.group(1)) if found else None


def forbidden(now: Release, wished: Release) -> str:
    """Why a cluster may not go from one release to another, with the remedy; empty when it may."""
    if wished < now:
        return (
            f"the cluster has {now}, and {wished} is older. Kubernetes goes back by a restore of etcd only: set"
            f" rke2_version to {now} or newer."
        )
    if wished.major != now.major or wished.minor > now.minor + 1:
        return (
            f"from {now} to {wished} a minor version is left out, which Kubernetes does not support and RKE2 does not"
            f" refuse. Upgrade to v{now.major}.{now.minor + 1} first."
        )
    return ""
