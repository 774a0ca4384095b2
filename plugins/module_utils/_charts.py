# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Charts and manifests of releases that roles of ours install.

Private to this collection.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings


def within(values: t.Any, *path: str) -> t.Any:
    """A value inside of dictionaries; ``None`` when it is not there."""
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    return values


class Port(t.NamedTuple):
    """A port of a node that pods of a chart listen on, unless the chart's values name another one."""

    protocol: str
    number: int
    #: What needs it, in a sentence.
    purpose: str
    #: Whether the kernel's own socket can be shared.
    is_shared: bool
    #: Whether machines try to reach each other there before they become nodes.
    is_tried: bool
    #: Whether other nodes ask it, so that a firewall has to let it through.
    is_asked: bool = True


@dataclasses.dataclass(frozen=True)
class Chart:
    """A chart that a role installs, and one image of it.

    :param prefix: that of the role's variables about it.
    :param namespace: where its release is.
    :param release: the name of its release.
    :param repository: that of the image, unless its values say another one.
    :param version: the variable with the version of the image; empty when that is the chart's.
    :param place: where in its values the key ``image`` is.
    :param ports: of each node, which its pods listen on.
    """

    prefix: str
    namespace: str
    release: str
    repository: str
    version: str = ""
    place: t.Tuple[str, ...] = ()
    ports: t.Tuple[Port, ...] = ()

    def image(self, settings: Settings) -> str:
        """The image that a host will pull."""
        values = settings.variables.get(f"{self.prefix}_values")
        version = settings.text(self.version) or settings.text(f"{self.prefix}_chart_version").lstrip("v")
        repository = within(values, *self.place, "image", "repository") or self.repository
        return f"{repository}:{within(values, *self.place, 'image', 'tag') or f'v{version}'}"


@dataclasses.dataclass(frozen=True)
class Manifest:
    """A manifest of a release that a role applies as a set, and one image of it.

    Its address is the variable ``PREFIX_manifest_url``, with ``PREFIX_manifest_checksum`` and ``PREFIX_version``.

    :param prefix: that of the role's variables about it.
    :param set_name: the name of the set.
    :param image_name: that of the image below ``PREFIX_image_repository``.
    :param programs: those that are installed with it, from ``PREFIX_NAME_url``, when ``PREFIX_NAME`` says so.
    """

    prefix: str
    set_name: str
    image_name: str
    programs: t.Tuple[str, ...] = ()

    def archives(self, settings: Settings) -> t.List[str]:
        """What is downloaded: the names of the variables with addresses and checksums, without these endings."""
        programs = [f"{self.prefix}_{name}" for name in self.programs]
        return [f"{self.prefix}_manifest", *(name for name in programs if settings.flag(name))]

    def image(self, settings: Settings) -> str:
        """The image that a host will pull."""
        repository, version = (settings.text(f"{self.prefix}_{part}") for part in ("image_repository", "version"))
        return f"{repository}/{self.image_name}:v{version}"
