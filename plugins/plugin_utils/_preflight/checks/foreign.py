# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of somebody else where roles would write theirs: what is not ours stays, so it is refused.

Private to this collection; runs on the controller. What node_facts looks at is in ``_marks.WRITTEN``.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host, Hosts, Problem


@dataclasses.dataclass(frozen=True)
class Written:
    """A file that a role writes.

    :param pattern: a shell pattern of its path.
    :param whom: whether a role writes it on that host.
    :param remedy: how to mend it when somebody else has written it.
    """

    pattern: str
    whom: t.Callable[[Host], bool]
    remedy: str


def _has_keepalived(host: Host) -> bool:
    return host.control_plane and host.text("api_endpoint_provider") == "keepalived"


def _has_completion(host: Host) -> bool:
    return host.control_plane and host.flag("kubeconfig_completion")


def _has_short_name(host: Host) -> bool:
    return host.control_plane and host.flag("kubeconfig_k_alias")


def _has_release(host: Host) -> bool:
    return host.text("kube_packages_source") == "release"


_OTHER_ENDPOINT = (
    "The endpoint of the cluster needs this service for itself. Use another machine or an external load balancer"
    " (api_endpoint_provider: external), or move the file away if nobody needs it."
)
FILES = (
    Written("/etc/haproxy/haproxy.cfg", _has_keepalived, _OTHER_ENDPOINT),
    Written("/etc/keepalived/keepalived.conf", _has_keepalived, _OTHER_ENDPOINT),
    Written(
        "/usr/local/share/zsh/site-functions/_*",
        _has_completion,
        "Set kubeconfig_completion: false, or move the file away if nobody needs it.",
    ),
    Written(
        "/usr/local/bin/k",
        _has_short_name,
        "Set kubeconfig_k_alias: false, or move the program away if nobody needs it.",
    ),
    *(
        Written(path, _has_release, "Move it away if nobody needs it, or set kube_packages_source: packages.")
        for path in ("/etc/crictl.yaml", "/usr/local/lib/systemd/system/kubelet.service*")
    ),
)


def check_foreign_files(hosts: Hosts) -> t.Iterable[Problem]:
    """Files that would be replaced, and that neither this collection nor a package has written."""
    for host in hosts:
        for path in (host.facts or {}).get("foreign_files", []):
            for file in FILES:
                if fnmatch.fnmatchcase(path, file.pattern) and file.whom(host):
                    yield host.problem(path, "would be replaced, and somebody else has written it.", file.remedy)


def _authorities(host: Host) -> t.Set[str]:
    return set(((host.facts or {}).get("kubernetes") or {}).get("ca_cert_hashes") or [])


def check_authorities(hosts: Hosts) -> t.Iterable[Problem]:
    """Control planes that have a CA of their own: kubeadm puts the cluster's in its place when they join."""
    control_planes = [host for host in hosts if host.control_plane and host.facts is not None]
    states = {host.name: (host.facts or {}).get("kubernetes") or {} for host in control_planes}
    members = [host for host in control_planes if states[host.name].get("completed")]
    # Without a member the cluster begins on the first of the inventory, with the CA that is there, if any.
    first = next(iter(members or control_planes), None)
    for host in control_planes:
        state = states[host.name]
        if first is None or host is first or state.get("completed") or state.get("unfinished"):
            continue
        if _authorities(host) - _authorities(first):
            yield host.problem(
                KUBEADM.certificate("ca"),
                f"is another CA than that of {first.name}, and joining would replace it and its key.",
                f"Move {KUBEADM.pki} away if nobody needs it, or put the CA on {first.name} if the cluster shall"
                " have it.",
            )


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (
    check_authorities,
    check_foreign_files,
)
