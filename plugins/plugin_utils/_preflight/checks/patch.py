# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks before machines are updated, and perhaps started anew, one after the other.

They are all that is looked at then: what else the inventory says of the cluster does not matter.

Private to this collection; runs on the controller. ``cluster`` is what kubeadm_upgrade_info returns, and with
``pending`` the hosts on which something is to be done.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.failures import UNREACHABLE
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.health import (
    Cluster,
    Work,
    check_cluster,
    check_completed,
    check_etcd,
    check_ready,
    check_room,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    WARNING,
    Check,
    Host,
    Hosts,
    Problem,
)


def _is_left_out(host: Host) -> bool:
    """Whether a worker does not answer. It holds up no other: there is one node less, as there was before."""
    return host.failure is not None and host.failure.subject == UNREACHABLE and not host.control_plane


PATCH = Work(
    name="patch",
    noun="updates of its machines",
    done="updated",
    left_in="with -e patch_control_planes=false nothing is done to them.",
    begun=_is_left_out,
)


def check_machines(hosts: Hosts, cluster: Cluster) -> t.Iterable[Problem]:
    """All machines answer, but for workers; none is no node, or half of one."""
    for host in hosts:
        if host.failure and not _is_left_out(host):
            yield host.problem(host.failure.subject, host.failure.message, host.failure.remedy)
        elif host.failure:
            yield host.problem(
                host.failure.subject,
                host.failure.message,
                "It is left as it is, and the run fails at its end because of that.",
                WARNING,
            )
    yield from check_completed(hosts)


def check_controller(hosts: Hosts, cluster: Cluster, machine_id: str) -> t.Iterable[Problem]:
    """No machine would have to start anew on which this run is.

    :param machine_id: that of the machine which runs the playbook.
    """
    for host in hosts:
        itself = bool(machine_id) and (host.facts or {}).get("machine_id") == machine_id
        if itself and host.name in (cluster.get("pending") or []) and host.text("patch_reboot") != "never":
            yield host.problem(
                "patch_reboot",
                "this playbook runs on the host itself, and would end when the host is started anew.",
                "Run it on another machine, or say patch_reboot: never for this host.",
            )


def check_drains(hosts: Hosts, cluster: Cluster) -> t.Iterable[Problem]:
    """What keeps nodes from being drained on which something is to be done."""
    return check_room(hosts, cluster, PATCH, set(cluster.get("pending") or []))


def checks(cluster: Cluster, machine_id: str) -> t.List[Check]:
    """The checks before this cluster's machines are updated.

    :param machine_id: that of the machine which runs the playbook.
    """
    health = (check_cluster, check_etcd, check_ready)
    return [
        functools.partial(check_machines, cluster=cluster),
        *(functools.partial(check, cluster=cluster, work=PATCH) for check in health),
        functools.partial(check_controller, cluster=cluster, machine_id=machine_id),
        functools.partial(check_drains, cluster=cluster),
    ]
