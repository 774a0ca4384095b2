# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks before a node gets another container runtime, beside those of a build.

Private to this collection; runs on the controller. ``cluster`` is what kubeadm_upgrade_info returns, with ``node``, the
host that it is about, ``pending``, which has it when there is something to be done, and ``plan``, what node_runtime has
found there.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.health import (
    Cluster,
    Work,
    check_cluster,
    check_etcd,
    check_ready,
    check_room,
    check_upgrading,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Check, Hosts, Problem


def _work(cluster: Cluster) -> Work:
    """The node itself may be on its way already, and its member of etcd with it."""
    return Work(
        name="change_runtime",
        noun="a change of the container runtime",
        done="changed",
        left_in="only the node that is named is changed.",
        begun=lambda host: host.name == cluster.get("node"),
    )


def check_api(hosts: Hosts, cluster: Cluster) -> t.Iterable[Problem]:
    """The API server answers, unless its only host is on its way."""
    alone = [host.name for host in hosts if host.control_plane] == [cluster.get("node")]
    if not (alone and (cluster.get("plan") or {}).get("stopped")):
        yield from check_cluster(hosts, cluster, _work(cluster))


def check_node(hosts: Hosts, cluster: Cluster) -> t.Iterable[Problem]:
    """The node is one of the cluster, and has what ends its pods in an orderly way."""
    names = {node["name"] for node in cluster.get("nodes") or []}
    yield from check_upgrading(hosts)
    for host in (host for host in hosts if host.name == cluster.get("node") and host.facts is not None):
        if not host.joined or (names and host.name not in names):
            yield host.problem(
                "node",
                "is no node of the cluster, so it has no container runtime to change.",
                "Add it with site.yml or add_nodes.yml, which give it the one of the inventory; or name another node.",
            )
        for program in (cluster.get("plan") or {}).get("lacking") or [] if cluster.get("pending") else []:
            yield host.problem(
                program,
                "is not installed, and pods are ended by it in the container runtime that they are in.",
                "Install it: upstream's package of kubeadm depends on the package cri-tools, which has it.",
            )


def checks(cluster: Cluster) -> t.List[Check]:
    """The checks before this node gets another container runtime."""
    work, pending = _work(cluster), set(cluster.get("pending") or [])
    return [
        functools.partial(check_api, cluster=cluster),
        functools.partial(check_node, cluster=cluster),
        functools.partial(check_etcd, cluster=cluster, work=work),
        functools.partial(check_ready, cluster=cluster, work=work),
        functools.partial(check_room, cluster=cluster, work=work, pending=pending),
    ]
