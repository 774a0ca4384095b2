# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on sources: addresses that are none, and what the hosts could not get from them.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._archive import parse_checksum
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import POD_NETWORKS
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import url_shown
from ansible_collections.slipway.kubernetes.plugins.module_utils._urls import is_web
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import ERROR, WARNING, Hosts, Problem
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.sources import ADDONS, manifests

_REMEDIES = {
    "cluster_image_repository": "Check cluster_version, cluster_image_repository and cluster_registry_mirrors.",
    "kube_packages_download_url": "Check cluster_version, kube_packages_download_url, and the versions and addresses of"
    " crictl and the plugins of CNI.",
    "container_runtime_download_url": "Check container_runtime_version, container_runtime_download_url, and the version"
    " and address of runc.",
    "container_runtime_repository": "Check container_runtime_repository and container_runtime_version.",
    "helm_download_url": "Check helm_version and helm_download_url, or what is between the host and the server.",
    "packages": "Correct the host's package sources or container_runtime_version, or what is between the"
    " host and the server.",
}


def check_sources(hosts: Hosts) -> t.Iterable[Problem]:
    """Sources that do not have what will be fetched from them: the run would end in the middle."""
    for host in hosts:
        for failure in host.sources:
            subject = str(failure["subject"])
            other = (
                "Check the chart's variables, such as its repository and version."
                if subject.endswith("_chart")
                else "Check where the entry comes from, and its version or checksum."
                if subject.endswith("]")
                else "Check this address and its checksum, or what is between the host and the server."
                if subject.endswith("_url")
                else "Check cluster_registry_mirrors and the image that these values or this version lead to."
            )
            yield host.problem(
                subject,
                str(failure["message"]),
                f"{_REMEDIES.get(subject, other)} preflight_sources: false asks no source.",
                WARNING if failure.get("severity") == WARNING else ERROR,
            )


#: Variables with addresses; those behind the first one of a line are made of it unless they are given.
ADDRESSES = (
    ("kube_packages_repository", "kube_packages_repository_url", "kube_packages_repository_key"),
    ("container_runtime_repository", "container_runtime_repository_url", "container_runtime_repository_key"),
    ("helm_download_url", "helm_archive_url"),
    ("kube_packages_download_url",),
    ("kube_packages_crictl_download_url",),
    ("kube_packages_cni_plugins_download_url",),
    ("container_runtime_download_url",),
    ("container_runtime_runc_download_url",),
)


def _is_malformed(text: str) -> bool:
    scheme, sign, rest = text.partition("://")
    if not sign or not re.fullmatch(r"(mirror\+)?https?|oci", scheme):
        return False  # a name, a path or a key; modules know more of what they can take
    return not is_web(f"https://{rest}")


def check_addresses(hosts: Hosts) -> t.Iterable[Problem]:
    """Addresses that are none, and the checksum of Helm's archive."""
    known = (*(network.chart for network in POD_NETWORKS.values() if network.chart), *ADDONS)
    of_charts = [(f"{chart.prefix}_{part}",) for chart in known for part in ("chart", "chart_repository")]
    for host in hosts:
        of_manifests = [(f"{name}_url",) for manifest in manifests(host) for name in manifest.archives(host)]
        for names in (*ADDRESSES, *of_charts, *of_manifests):
            name = next((name for name in names if _is_malformed(host.text(name))), "")
            if name:
                yield host.problem(
                    name,
                    f"{url_shown(host.text(name))} is malformed.",
                    "Write it as https://host[:port]/path, without blanks and line ends.",
                )
        checksum = host.text("helm_archive_checksum")
        try:
            if host.control_plane and checksum and not _is_malformed(host.text("helm_archive_url")):
                parse_checksum(checksum)
        except SlipwayError:
            yield host.problem(
                "helm_archive_checksum",
                "is neither a SHA-256 nor the address of a file with one.",
                "Write it as sha256:DIGITS, or sha256:https://host/path.",
            )


CHECKS = (check_addresses, check_sources)
