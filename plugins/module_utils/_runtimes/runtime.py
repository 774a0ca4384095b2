# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container runtime is.

Private to this collection.
"""

from __future__ import annotations

import dataclasses
import re
import socket
import typing as t
import urllib.parse

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner
from ansible_collections.slipway.kubernetes.plugins.module_utils._findings import Finding
from ansible_collections.slipway.kubernetes.plugins.module_utils._marks import MARK
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.interface import PackageManager
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings

#: The first line of configuration that we write for a runtime.
MANAGED = f"# {MARK}: changes made here by hand are lost.\n"
#: The kubelet's minor version, such as (1, 38).
Minor = t.Tuple[int, int]
Values = t.Mapping[str, t.Any]


class Source(t.NamedTuple):
    """Where a runtime's package comes from.

    :param package: its name, on Debian and its like; empty where it comes as a release.
    :param repository: the name of the repository that is added for it; empty where the distribution has the package.
    :param excludes: packages of other runtimes that its own would put out.
    """

    package: str = ""
    repository: str = ""
    excludes: t.Sequence[str] = ()


def path_of(cri_socket: str) -> str:
    """The path of a socket that may be written as a ``unix://`` URL."""
    return urllib.parse.urlsplit(cri_socket).path or cri_socket


@dataclasses.dataclass(frozen=True)
class Runtime:
    """A container runtime. What one has nothing of is left as it is here; of an unknown one that is everything.

    :param name: its name, which is part of the path of its socket, and begins the version that Nodes tell.
    :param socket: the path of its socket.
    :param service: its systemd unit, without the suffix.
    :param program: the program that says its version with ``--version``.
    :param data: the folder of its images and containers, which it lays over each other by overlays.
    :param sources: its packages by what ``container_runtime_source`` may be.
    :param mounts: a pattern of the mount points of pods that it makes.
    :param chains: beginnings of chains of iptables that it makes for ports of pods.
    :param nft_tables: tables of nftables that it makes for them.
    :param tool: the command line that runs words in a container of an image: words with ``{path}`` and ``{access}``
        (``ro`` or ``rw``) stand there once for each folder that it sees, ``{image}``, ``{name}`` and ``{socket}`` for
        these; the words follow.
    :param dropped: beginnings of versions, since which minor version the kubelet does not work with them, and a remedy.
    :param archive: how the variables begin that say where a release archive comes from that it needs, too: ``_url``,
        which is empty when it needs none, and ``_checksum``.
    :param gates: feature gates that kubelets with it have to be told to turn off: from which minor version on, and
        before which one.
    :param filters: filters that are public, by their names.
    :param kubespray: variables of Kubespray, and which of ours is meant.
    """

    name: str = ""
    socket: str = ""
    service: str = ""
    program: str = ""
    data: str = ""
    sources: t.Mapping[str, Source] = dataclasses.field(default_factory=dict)
    mounts: str = ""
    chains: t.Sequence[str] = ()
    nft_tables: t.Sequence[str] = ()
    tool: t.Sequence[str] = ()
    dropped: t.Sequence[t.Tuple[str, Minor, str]] = ()
    archive: str = ""
    gates: t.Sequence[t.Tuple[str, Minor, Minor]] = ()
    filters: t.Mapping[str, t.Callable[..., t.Any]] = dataclasses.field(default_factory=dict)
    kubespray: t.Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def packages(self) -> t.List[str]:
        """All packages that bring it."""
        return [source.package for source in self.sources.values() if source.package]

    def tool_at(self, cri_socket: str) -> t.List[str]:
        """:attr:`tool` for the runtime at that socket."""
        return [word.replace("{socket}", path_of(cri_socket)) for word in self.tool]

    def is_active(self, cri_socket: str = "") -> bool:
        """Whether it listens on that socket, or on its own."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            try:
                connection.connect(path_of(cri_socket or self.socket))
            except OSError:
                return False
        return True

    def gates_off(self, version: str) -> t.List[str]:
        """The feature gates that a kubelet of that version has to be told to turn off."""
        found = re.match(r"v?(\d+)\.(\d+)", version)
        minor = (int(found[1]), int(found[2])) if found else (0, 0)
        return [name for name, since, before in self.gates if since <= minor < before]

    # --- on nodes

    def state(self, runner: Runner, packages: PackageManager, program: str) -> t.Dict[str, t.Any]:
        """What node_facts tells of it besides its version, its program and whose package that is.

        :param packages: the machine's package manager, which knows what is part of a package.
        :param program: where its program is; empty when it is not installed.
        """
        return {}

    def has_image(self, runner: Runner, cri_socket: str, image: str) -> bool:
        """Whether it has an image already."""
        return False

    def containers(self, runner: Runner, cri_socket: str) -> t.List[str]:
        """The containers of Kubernetes, those that :attr:`tool` runs among them; none where it does not run."""
        return []

    def remove(self, runner: Runner, cri_socket: str, container: str) -> None:
        """Remove a container, whether it runs or not."""

    def remove_ended(self, runner: Runner, cri_socket: str, prefix: str) -> None:
        """Remove containers of :attr:`tool` with such names whose process has ended: a killed call left them."""

    def holds_pod(self, words: t.Sequence[str], cri_socket: str) -> bool:
        """Whether that is the command line of a process that holds a pod's container for the runtime there."""
        return False

    def image_users(self, runner: Runner) -> str:
        """Who else may have images among those that it shows to the kubelet; empty when nobody has."""
        return ""

    def idle_units(self, runner: Runner) -> t.Sequence[str]:
        """Units that nobody needs once this machine's kubelet has another runtime, in the order of their end."""
        return ()

    # --- on the controller

    def findings(self, settings: Settings, known: Values) -> t.Iterator[Finding]:
        """What is wrong with it on a machine, and with its settings in the inventory.

        :param known: what node_facts tells of it there.
        """
        yield from ()

    def has_overlays(self, settings: Settings) -> bool:
        """Whether it lays images over each other by the kernel's overlays."""
        return True


def package_findings(runtime: Runtime, title: str, settings: Settings, known: Values) -> t.Iterator[Finding]:
    """A runtime that is installed from elsewhere than the inventory says: its packages exclude each other."""
    source, sources = settings.text("container_runtime_source"), runtime.sources
    if not known.get("installed") or "package" not in known or source not in sources:
        return
    wanted, found, released = sources[source].package, known["package"], known.get("release")
    others = {other.package: name for name, other in sources.items() if other.package}
    if not wanted and known.get("packages"):
        found = sorted(known["packages"])[0]
        yield Finding(
            "container_runtime_source",
            f"is {source}, but the package {found} is installed, and both would be there.",
            f"Set container_runtime_source: {others[found]}; or remove the node (remove_node.yml), then the package,"
            " and add the node again.",
        )
    elif wanted and released:
        yield Finding(
            "container_runtime_source",
            f"is {source}, whose package is {wanted}, but {known.get('path')} is of the release {released}, and both"
            " would be there.",
            "Set container_runtime_source: release; or remove the node (remove_node.yml), then what docs/runtimes.md"
            " names, and add the node again.",
        )
    elif found == "" and not released:
        yield Finding(
            title,
            f"{known.get('path')} is part of no package, and {wanted or 'a release'} would be installed beside it.",
            "Remove it together with its systemd unit.",
        )
    elif found in others and found != wanted:
        yield Finding(
            "container_runtime_source",
            f"is {source}, whose package is {wanted}, but {found} is installed, and they exclude each other.",
            f"Set container_runtime_source: {others[found]}, or remove {found} first (what runs in its containers,"
            " Docker's too, stops then).",
        )
