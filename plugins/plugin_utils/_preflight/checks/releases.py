# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on what no package brings: programs of packages beside those of releases, versions and checksums.

That a release is not on the download site is found when the hosts ask for it. Private to this collection; runs on the
controller.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._archive import parse_checksum
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import url_shown
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.facts import with_facts
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host, Hosts, Problem
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.sources import RELEASES

RELEASE = "release"
#: Programs that packages of Kubernetes and releases of it both have.
PROGRAMS = ("kubeadm", "kubelet")
_ANEW = "or remove the node with its programs (remove_node.yml with node_reset_packages: absent), and add it again."
_NAMES = ("kubeadm", "kubelet", "kubectl")
#: The whole version of a release, which is part of its address.
_VERSION = re.compile(r"\d+\.\d+\.\d+(-[a-z]+\.\d+)?")
#: The variables with a version of what is downloaded, beside that of Kubernetes, by the source that needs them.
VERSIONS = {
    "kube_packages_source": ("kube_packages_crictl_version", "kube_packages_cni_plugins_version"),
    "container_runtime_source": ("container_runtime_version", "container_runtime_runc_version"),
}


def check_two_sources(hosts: Hosts) -> t.Iterable[Problem]:
    """Machines that have the programs of packages and would get those of a release, or the other way round."""
    for host, facts in with_facts(hosts):
        source = host.text("kube_packages_source")
        packaged = (facts.get("kubernetes") or {}).get("packaged") or []
        released = [name for name in PROGRAMS if name in (facts.get("releases") or {})]
        if source == RELEASE and packaged:
            yield host.problem(
                "kube_packages_source",
                f"is {source}, but packages have brought {', '.join(packaged)}, and both would be there.",
                f"Set it to packages; {_ANEW}",
            )
        elif source == "packages" and released:
            yield host.problem(
                "kube_packages_source",
                f"is {source}, but {' and '.join(released)} of a release {'are' if released[1:] else 'is'} there, and"
                " found before those of packages.",
                f"Set it to release; {_ANEW}",
            )


def check_versions(hosts: Hosts) -> t.Iterable[Problem]:
    """Versions that are no part of an address."""
    for host in hosts:
        for source, names in VERSIONS.items():
            for name in names if host.text(source) == RELEASE else ():
                text = host.text(name)
                if name not in host.broken and not _VERSION.fullmatch(text):
                    yield host.problem(
                        name,
                        f"{text or '(empty)'} is not the version of a release.",
                        "Name one with all three numbers, such as 2.4.2.",
                    )


def check_names(hosts: Hosts) -> t.Iterable[Problem]:
    """Packages in the list that no release has."""
    for host in hosts:
        names = [str(name) for name in host.sequence("kube_packages_names")]
        others = [name for name in names if name not in _NAMES]
        if others and host.text("kube_packages_source") == RELEASE:
            yield host.problem(
                "kube_packages_names",
                f"has {', '.join(others)}, of which there is no release.",
                "Leave it out; crictl and the plugins of CNI come with the kubelet.",
            )


def check_checksums(hosts: Hosts) -> t.Iterable[Problem]:
    """Checksums that are none, and those of what nobody downloads."""
    for host in hosts:
        for prefix in RELEASES:
            variable = f"{prefix}_checksums"
            known = [entry for entry in host.sequence(f"__{prefix}_downloads") if isinstance(entry, dict)]
            names = [str(entry.get("name")) for entry in known]
            for name, checksum in host.mapping(variable).items() if host.text(f"{prefix}_source") == RELEASE else ():
                yield from _problem(host, f"{variable}[{name}]", str(checksum), name in names, names)


def _problem(host: Host, subject: str, checksum: str, is_known: bool, names: t.Sequence[str]) -> t.Iterator[Problem]:
    if not is_known:
        yield host.problem(subject, "is of nothing that is downloaded.", f"There are {', '.join(names)}.")
        return
    try:
        parse_checksum(checksum)
    except SlipwayError:
        yield host.problem(
            subject,
            f"{url_shown(checksum) or '(empty)'} is neither a SHA-256 nor the address of a file with one.",
            "Write it as sha256:DIGITS, or sha256:https://host/path; or leave it out, for the file beside the"
            " download.",
        )


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (
    check_two_sources,
    check_versions,
    check_names,
    check_checksums,
)
