# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a cluster is fit for work on one node after the other: upgrades, updates of the machines.

Private to this collection; runs on the controller. ``cluster`` is what kubeadm_upgrade_info returns.
"""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    CLUSTER,
    WARNING,
    Host,
    Hosts,
    Problem,
    first_of,
)

Cluster = t.Mapping[str, t.Any]


class Work(t.NamedTuple):
    """What is to be done to the nodes."""

    name: str
    """What people call it, which is also the beginning of its variables: ``upgrade``."""
    noun: str
    done: str
    left_in: str
    """What becomes of control planes that ``--limit`` has to leave in."""
    begun: t.Callable[[Host], bool] = lambda host: False
    """Whether it has begun on a host: what the host lacks, this run mends."""


def check_cluster(hosts: Hosts, cluster: Cluster, work: Work) -> t.Iterable[Problem]:
    """There is a cluster, its API server answers, and it is healthy."""
    control_planes = [host for host in hosts if host.control_plane]
    if control_planes and not any(host.facts or host.failure for host in control_planes):
        yield Problem(
            CLUSTER,
            "control planes",
            f"are left out of this run by --limit, so the cluster cannot be asked whether it is fit for {work.noun}.",
            f"Leave them in (--limit kube_control_plane,worker1): {work.left_in}",
        )
        return
    if not any(host.joined for host in hosts):
        if any(host.facts for host in hosts):
            yield Problem(CLUSTER, "kubernetes", "there is no cluster on these hosts.", "Build it with site.yml.")
        return
    if cluster.get("problem"):
        yield Problem(
            CLUSTER, "API server", f"cannot be asked: {cluster['problem']}", "Bring the control plane up first."
        )
    for name in cluster.get("unhealthy") or []:
        yield Problem(
            CLUSTER,
            "API server",
            f"says on /readyz that {name} is not healthy.",
            "Mend it first: see the logs of that component.",
        )


def check_upgrading(hosts: Hosts) -> t.Iterable[Problem]:
    """No host is in the middle of an upgrade."""
    for host in hosts:
        if (host.facts or {}).get("kubernetes", {}).get("upgrading"):
            yield host.problem(
                "kubeadm upgrade", "has begun here and has not come to its end.", "Finish it with upgrade.yml first."
            )


def check_completed(hosts: Hosts) -> t.Iterable[Problem]:
    """No host is no node, or half of one."""
    yield from check_upgrading(hosts)
    for host in hosts:
        state = (host.facts or {}).get("kubernetes", {})
        if host.facts is not None and not state.get("upgrading") and not state.get("completed"):
            yield host.problem(
                "node",
                "is in the inventory, but no node of a cluster yet.",
                "Finish it with site.yml or add_nodes.yml, or leave it out with --limit.",
            )


def check_etcd(hosts: Hosts, cluster: Cluster, work: Work) -> t.Iterable[Problem]:
    """All members of etcd are well: each control plane restarts its own."""
    etcd = cluster.get("etcd") or {}
    subject = "etcd"
    if etcd.get("problem") and not cluster.get("problem"):
        remedy = f"Mend it before etcd is restarted by {work.noun}."
        yield Problem(CLUSTER, subject, f"cannot be asked: {etcd['problem']}", remedy)
    by_name = {host.name: host for host in hosts}
    for member in etcd.get("members") or []:
        name = member.get("name") or member.get("id", "")
        host = by_name.get(name)
        alarms = ", ".join(member.get("alarms") or [])
        if alarms:
            yield Problem(name, subject, f"has raised an alarm: {alarms}.", "Make room, or replace the member.")
        if not member.get("healthy") and not (host is not None and work.begun(host)):
            why = member.get("problem") or "it does not answer"
            remedy = "Mend or remove this member: with it, no other may restart."
            yield Problem(name, subject, f"is a member that is not healthy: {why}.", remedy)


def check_ready(hosts: Hosts, cluster: Cluster, work: Work) -> t.Iterable[Problem]:
    """All nodes are Ready."""
    by_name = {host.name: host for host in hosts}
    for node in cluster.get("nodes") or []:
        host = by_name.get(node["name"])
        if node["problem"] and not (host is not None and work.begun(host)):
            yield Problem(
                node["name"],
                "node",
                f"is {node['problem']}",
                f"Mend it, or take it out of the cluster with remove_node.yml, before the others are {work.done}.",
            )


def _pods(cluster: Cluster, kind: str, nodes: t.Container[str]) -> t.Iterable[t.Tuple[str, t.List[str]]]:
    """Each of the nodes with its pods of this kind, if it has any."""
    found: t.Dict[str, t.List[str]] = {}
    for pod in cluster.get(kind) or []:
        if pod["node"] in nodes:
            found.setdefault(pod["node"], []).append(pod["name"])
    return found.items()


def _have(names: t.Sequence[str]) -> str:
    """The names before what they have; of many the first ones, and how many more there are."""
    return f"{first_of(names)} {'has' if len(names) == 1 else 'have'}"


def check_room(hosts: Hosts, cluster: Cluster, work: Work, pending: t.Set[str]) -> t.Iterable[Problem]:
    """Budgets and pods that a drain would wait for in vain.

    :param pending: the nodes that are drained by this run.
    """
    first = hosts[0] if hosts else None
    if first is None:
        return
    force, delete, ignore, timeout = (
        f"{work.name}_drain_{option}" for option in ("force", "delete_emptydir_data", "disable_eviction", "timeout")
    )
    for budget in cluster.get("budgets") or []:
        if not pending.intersection(budget["nodes"]):
            continue  # its pods stay where they are
        never = budget["never"]
        yield Problem(
            CLUSTER,
            "PodDisruptionBudget",
            f"{budget['name']} allows no eviction: {budget['needed']} of {budget['pods']} pods must stay healthy,"
            f" {budget['healthy']} are.",
            "Nodes with its pods cannot be drained: add replicas, or ask for fewer."
            if never and not first.flag(ignore)
            else f"The drain waits for it, as long as {timeout} says.",
            *([] if never and not first.flag(ignore) else [WARNING]),
        )
    for node, pods in _pods(cluster, "unmanaged", pending) if not first.flag(force) else ():
        it = "it" if len(pods) == 1 else "them"
        yield Problem(
            node,
            "pod",
            f"{_have(pods)} no controller that would make {it} anew elsewhere.",
            f"Delete {it}, or say {force}: true, which lets the drain do that.",
        )
    refuses = bool(first.text(delete)) and not first.flag(delete)
    for node, pods in _pods(cluster, "local_data", pending) if refuses else ():
        yield Problem(
            node,
            "pod",
            f"{_have(pods)} an emptyDir volume, and {delete} is false: the drain would refuse this node, and the"
            " run end half-way.",
            f"Say {delete}: true, which is the default, when what is in it may be lost; or delete"
            f" {'the pod' if len(pods) == 1 else 'these pods'}.",
        )
    for node in cluster.get("tight") or []:
        if node["name"] in pending:
            cpu = node["resource"] == "cpu"
            asked, left = (f"{node[key]:g}" if cpu else f"{node[key] / 2**20:.0f} MiB" for key in ("asked", "left"))
            yield Problem(
                node["name"],
                "drain",
                f"its pods ask for {asked} {'CPUs' if cpu else 'of memory'}, and the other nodes that take them have"
                f" {left} left: some will wait until it is back.",
                "Add a node for the time when that must not be.",
                WARNING,
            )
