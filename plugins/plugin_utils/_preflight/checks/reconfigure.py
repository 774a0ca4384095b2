# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks before a built cluster is given the configuration of the inventory.

Private to this collection; runs on the controller. ``cluster`` is what kubeadm_upgrade_info returns.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight import kept
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
    CLUSTER,
    Check,
    Hosts,
    Problem,
)

RECONFIGURATION = Work(
    name="reconfigure",
    noun="another configuration",
    done="reconfigured",
    left_in="those that are as the inventory says are left alone.",
)


def check_members(hosts: Hosts, cluster: Cluster) -> t.Iterable[Problem]:
    """All hosts of this run are nodes, and no control plane of the cluster is left out of it."""
    yield from check_completed(hosts)
    seen = {host.name for host in hosts if host.facts is not None}
    for node in cluster.get("nodes") or []:
        if node["control_plane"] and node["name"] not in seen:
            yield Problem(
                node["name"],
                "node",
                "is a control plane of the cluster and not in this run: it would keep the configuration that it has.",
                "Take it in, or remove it from the cluster.",
            )


def check_readable(hosts: Hosts, cluster: Cluster) -> t.Iterable[Problem]:
    """What the cluster keeps could be read."""
    if any(host.joined for host in hosts) and not cluster.get("problem") and kept.source(hosts) is None:
        yield Problem(
            CLUSTER,
            "configuration",
            "could not be read: no API server of a control plane was ready when the machines were looked at.",
            "Run this playbook again when one is.",
        )


def check_versions(hosts: Hosts, cluster: Cluster) -> t.Iterable[Problem]:
    """kubeadm is of the cluster's version: another one would write other manifests."""
    for host in hosts:
        state = (host.facts or {}).get("kubernetes", {})
        installed, asked = str(state.get("kubeadm_version") or ""), host.text("cluster_version")
        if state.get("completed") and installed and installed.lstrip("v") != asked.lstrip("v"):
            yield host.problem(
                "kubeadm",
                f"{installed} is installed, and the cluster is to be of {asked}.",
                "Finish the upgrade with upgrade.yml, or install that version again.",
            )


def check_unwritten(hosts: Hosts, cluster: Cluster) -> t.Iterable[Problem]:
    """Nothing is asked for that a running cluster does not survive, or of which kubeadm does not say what it does."""
    for kind, difference in kept.refused(hosts):
        present, wanted = difference.words
        yield Problem(
            CLUSTER,
            f"{kind}.{difference.path}",
            f"is {present} in the cluster and {wanted} in the inventory; reconfigure.yml does not change it.",
            "Say in the inventory what is there.",
        )
    asked = kept.source(hosts)
    gates = (kept.stored(asked).get("ClusterConfiguration", {}).get("featureGates") if asked else None) or {}
    if gates.get("RootlessControlPlane"):
        yield Problem(
            CLUSTER,
            "ClusterConfiguration.featureGates.RootlessControlPlane",
            "is set: kubeadm does not say what it would write of the control plane's users, so its static pods cannot"
            " be compared.",
            "Such a cluster is changed by hand, see docs/differences.md.",
        )


def check_drains(hosts: Hosts, cluster: Cluster) -> t.Iterable[Problem]:
    """What keeps nodes from being drained whose kubelets need that."""
    pending = {name for name, kubelet in kept.kubelets(hosts).items() if kubelet["drain"]}
    return check_room(hosts, cluster, RECONFIGURATION, pending)


def checks(cluster: Cluster) -> t.List[Check]:
    """The checks before this cluster gets another configuration."""
    health = (check_cluster, check_etcd, check_ready)
    own = (check_members, check_versions, check_readable, check_unwritten, check_drains)
    return [
        *(functools.partial(check, cluster=cluster, work=RECONFIGURATION) for check in health),
        *(functools.partial(check, cluster=cluster) for check in own),
    ]
