# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks before the pod network of a cluster is changed, beside those of a build.

Private to this collection; runs on the controller. ``cluster`` is what kubeadm_upgrade_info returns, and with
``pending`` the nodes that are drained.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import (
    POD_NETWORKS,
    PodNetwork,
    chosen,
    has_ipv6_alone,
    of_ours,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._configuration_differences import printable
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.facts import configuration
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.health import (
    Cluster,
    Work,
    check_cluster,
    check_ready,
    check_room,
    check_upgrading,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.kept import source
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    CLUSTER,
    Check,
    Host,
    Hosts,
    Problem,
)

CHANGE = Work(
    name="change_cni",
    noun="a change of the pod network",
    done="changed",
    left_in="all nodes take part in it.",
)


def _old(host: Host) -> t.List[PodNetwork]:
    """The pod networks that go."""
    return [network for network in of_ours(configuration(host)) if network.name != chosen(host).name]


def check_networks(hosts: Hosts) -> t.Iterable[Problem]:
    """There is one of ours that goes, and one that stays."""
    host = source(hosts)
    if host is None:
        yield from _unread(hosts)
        return
    network, subject = chosen(host), "cluster_cni"
    present = configuration(host).get("pod_networks") or {}
    if not network.name:
        yield Problem(
            CLUSTER,
            subject,
            "is none, and this playbook puts a pod network of this collection into the place of another one.",
            f"Set it to {' or '.join(POD_NETWORKS)}. One of your own takes another one's place by your own means.",
        )
        return
    if network.list_variable or any(other.list_variable for other in _old(host)):
        yield Problem(
            CLUSTER,
            subject,
            f"is {network.name}, and one of both comes from {_listed(network, *_old(host))}: what it needs to go or"
            " to come beside another one only you know.",
            "Change it by your own means, or build the cluster anew.",
        )
        return
    yield from _alone(network, _old(host))
    if not of_ours(configuration(host)):
        yield Problem(
            CLUSTER,
            subject,
            f"is {network.name}, and no pod network that this collection has installed is in the cluster.",
            "Where the cluster has none, site.yml installs it. One of somebody else has to go by his means first; see"
            " docs/take-over.md.",
        )
    if network.name in present and network.name not in [other.name for other in of_ours(configuration(host))]:
        yield Problem(
            CLUSTER,
            subject,
            f"is {network.name}, but the {network.title} in the cluster was not installed by this collection, and its"
            " objects stand in the way.",
            "Remove them first, by the means that made them.",
        )
    yield from _addresses(host, network, present)


def _alone(network: PodNetwork, old: t.Sequence[PodNetwork]) -> t.Iterable[Problem]:
    """Both run on all nodes as long as the change takes, which not every pod network can."""
    for one in (one for one in (network, *old) if one.alone and old):
        yield Problem(
            CLUSTER,
            "cluster_cni",
            f"is {network.name}, and {one.title} cannot run beside another one, as long as the change takes: it"
            f" {one.alone}.",
            "Build another cluster with the other one, and move what runs there.",
        )


def _addresses(host: Host, network: PodNetwork, present: t.Mapping[str, t.Any]) -> t.Iterable[Problem]:
    """The network of all pods stays as it is."""
    if has_ipv6_alone(host):
        yield Problem(
            CLUSTER,
            "cluster_cni",
            f"is {network.name}, and cluster_pod_subnet is {host.text('cluster_pod_subnet')}: how a pod network is"
            " changed where there is IPv6 alone is not known yet.",
            "Set it to what the cluster has, or build another cluster.",
        )
    for other in _old(host):
        state = present.get(other.name) or {}
        if state.get("ipv6_network") and not has_ipv6_alone(host):
            yield Problem(
                CLUSTER,
                "cluster_cni",
                f"is {network.name}, and {other.title} gives pods addresses of {state['ipv6_network']}, too, which"
                " would be lost.",
                "A cluster of two families keeps its pod network.",
            )
        if state.get("network") and state["network"] != host.text("cluster_pod_subnet"):
            yield Problem(
                CLUSTER,
                "cluster_pod_subnet",
                f"is {host.text('cluster_pod_subnet')} in the inventory, and {other.title} has {state['network']}: the"
                " network of all pods stays as it is.",
                f"Set it to {state['network']}.",
            )


def _listed(*networks: PodNetwork) -> str:
    """The variable with the list from which one of them comes."""
    return next(network.list_variable for network in networks if network.list_variable)


def _unread(hosts: Hosts) -> t.Iterable[Problem]:
    for host in hosts:
        if host.control_plane and host.joined:
            yield host.problem(
                "pod network",
                "the cluster could not be asked which one it has"
                f" ({printable(str(configuration(host).get('problem') or 'its API server is not ready'))}).",
                "Bring its API server up first.",
            )
            return


def check_members(hosts: Hosts, cluster: Cluster) -> t.Iterable[Problem]:
    """All nodes take part, and nobody else does."""
    seen = {host.name for host in hosts if host.facts is not None or host.failure}
    names = {node["name"] for node in cluster.get("nodes") or []}
    for name in sorted(names - seen):
        yield Problem(
            name,
            "node",
            "is in the cluster, and not among the hosts that this run is about: its pods would be cut off.",
            "Put it into the inventory and leave it in (no --limit), or take it out of the cluster by"
            " playbooks/remove_node.yml.",
        )
    for host in hosts:
        if names and host.facts is not None and host.name not in names:
            yield host.problem(
                "node",
                "is in the inventory, but no node of the cluster.",
                "Finish it with site.yml first, or take it out of the inventory until the change is over.",
            )
    yield from check_upgrading(hosts)


def check_drains(hosts: Hosts, cluster: Cluster) -> t.Iterable[Problem]:
    """What keeps nodes from being drained."""
    return check_room(hosts, cluster, CHANGE, set(cluster.get("pending") or []))


def checks(cluster: Cluster) -> t.List[Check]:
    """The checks before the pod network of this cluster is changed."""
    return [
        *(functools.partial(check, cluster=cluster, work=CHANGE) for check in (check_cluster, check_ready)),
        check_networks,
        functools.partial(check_members, cluster=cluster),
        functools.partial(check_drains, cluster=cluster),
    ]
