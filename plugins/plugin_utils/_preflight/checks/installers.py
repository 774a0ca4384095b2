# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on what comes from other installers: inventories of Kubespray, and nodes that others have made.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import fnmatch
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._node import installers
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._configuration_differences import printable
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.kubespray import (
    AMBIGUOUS,
    COMMON,
    KUBESPRAY,
    NOTHING,
    OTHER_MEANING,
    OURS,
    PREFIXES,
    is_kubespray,
    words,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    CLUSTER,
    ERROR,
    WARNING,
    Hosts,
    Problem,
)


def check_kubespray_variables(hosts: Hosts) -> t.Iterable[Problem]:
    """Variables of Kubespray, which would all be ignored: one finding for the whole inventory."""
    found = {name for host in hosts for name in words(host)}
    distinct = is_kubespray(hosts)
    if distinct:
        found |= {name for host in hosts for name in OTHER_MEANING if name in host.given}
    else:
        found &= COMMON.keys() | AMBIGUOUS
    everything = {**KUBESPRAY, **COMMON, **OTHER_MEANING}
    said = [f"{name}: {everything[name]}" for name in everything if name in found and everything[name] != NOTHING]
    rest = {name for name in found if everything[name] == NOTHING} | (_others(hosts) if distinct else set())
    elsewhere = _etcd_hosts(hosts) if distinct else []
    if elsewhere:
        said.append(f"the group etcd ({', '.join(elsewhere)}): {NOTHING}, etcd runs on the control planes")
    if rest:
        said.append(f"there is {NOTHING} for {', '.join(sorted(rest))}")
    if not said:
        return
    what = "is one of Kubespray" if distinct else "has variables that Kubespray knows"
    yield Problem(
        CLUSTER,
        "inventory",
        f"{what}; they would be ignored here. What is meant is - {'; '.join(said)}.",
        "Replace them, or add those that are there for something else to preflight_ignore_variables."
        " See docs/from-kubespray.md.",
        ERROR if distinct else WARNING,
    )


def _others(hosts: Hosts) -> t.Set[str]:
    """Variables that begin as Kubespray's do and that are not in the lists above."""
    found = set()
    for host in hosts:
        patterns = [str(pattern) for pattern in host.sequence("preflight_ignore_variables")]
        for name in host.variables:
            known = name in KUBESPRAY or name in COMMON or name.startswith(OURS) or not name.startswith(PREFIXES)
            if not known and not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
                found.add(name)
    return found


def _etcd_hosts(hosts: Hosts) -> t.List[str]:
    """Members of Kubespray's group etcd that are no control planes."""
    groups = hosts[0].variables.get("groups") if hosts else None
    members = groups.get("etcd") if isinstance(groups, dict) else None
    control_planes = {host.name for host in hosts if host.control_plane}
    return [str(name) for name in members or [] if name not in control_planes]


def check_installers(hosts: Hosts) -> t.Iterable[Problem]:
    """Machines that another installer has made nodes of a cluster."""
    for host in hosts:
        installer = (host.facts or {}).get("installer") or {}
        name, trace = (printable(str(installer.get(key) or "")) for key in ("name", "trace"))
        if not name:
            continue
        if name == installers.BY_HAND:
            # A copy of the same version does no harm until the next upgrade, which would find it first.
            state = (host.facts or {}).get("kubernetes") or {}
            versions = {state.get("kubeadm_version"), state.get("kubelet_version")}
            if host.joined and installer.get("beside") and versions == {host.text("cluster_version")}:
                yield host.problem(
                    "kubernetes",
                    f"has {trace} beside the package's, of the same version; it is found before that.",
                    "Remove it before the next upgrade.",
                    WARNING,
                )
                continue
            yield host.problem(
                "kubernetes",
                f"has {trace}, which no package has brought; that of kube_packages would stand beside it.",
                "Reset what was installed by hand and remove its programs and units, or use another machine.",
            )
            continue
        is_left_over = host.joined and name not in installers.WITH_KUBEADM
        yield host.problem(
            "kubernetes",
            f"has what an installation of {name} leaves ({trace}); it may be a node of that cluster.",
            "Remove what is left when nothing of it is needed any more."
            if is_left_over
            else f"A cluster of {name} is not taken over. Remove it by its own means when it is not needed any more, or"
            " take the host out of this inventory.",
            WARNING if is_left_over else ERROR,
        )


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (check_kubespray_variables, check_installers)
