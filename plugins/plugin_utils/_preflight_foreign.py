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

from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight import Host, Hosts, Problem


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
)


def check_foreign_files(hosts: Hosts) -> t.Iterable[Problem]:
    """Files that would be replaced, and that neither this collection nor a package has written."""
    for host in hosts:
        for path in (host.facts or {}).get("foreign_files", []):
            for file in FILES:
                if fnmatch.fnmatchcase(path, file.pattern) and file.whom(host):
                    yield host.problem(path, "would be replaced, and somebody else has written it.", file.remedy)


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (check_foreign_files,)
