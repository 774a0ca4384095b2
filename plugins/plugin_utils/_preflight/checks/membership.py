# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on what is there already: other versions, other clusters, control planes that are left out, other runs.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.facts import with_facts
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.inventory import parse_version
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    CLUSTER,
    ERROR,
    WARNING,
    Hosts,
    Problem,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._run_lock import holder_of


def _left_behind(state: t.Mapping[str, t.Any], asked: t.Tuple[int, int, int]) -> t.List[str]:
    """Components of a control plane that are older than what is asked for. An upgrade that has begun is continued."""
    pods = {} if state.get("upgrading") is not None else state.get("static_pods") or {}
    versions = {name: (version, parse_version(version)) for name, version in pods.items() if name != "etcd"}
    return [f"{name} {version}" for name, (version, parsed) in versions.items() if parsed and parsed < asked]


def check_installed(hosts: Hosts) -> t.Iterable[Problem]:
    """Nodes that run another version: building is not upgrading."""
    for host, facts in with_facts(hosts):
        asked = parse_version(host.text("cluster_version"))
        if asked is None:
            continue
        text = host.text("cluster_version")
        kubelet = str(facts["kubernetes"].get("kubelet_version") or "")
        installed = parse_version(kubelet)
        if installed is None or installed == asked:
            behind = _left_behind(facts["kubernetes"], asked) if host.joined else []
            if behind:
                yield host.problem(
                    "cluster_version",
                    f"{text} is asked for, but the control plane of the host is older ({', '.join(behind)}); site does"
                    " not change the version of a control plane.",
                    "Use the upgrade playbook, or set cluster_version to what runs.",
                )
        elif host.joined:
            older = "newer than" if installed > asked else "older than"
            mend = (
                "Use the upgrade playbook, or set cluster_version to what runs."
                if installed < asked
                else "Set cluster_version to what runs: Kubernetes cannot be downgraded."
            )
            yield host.problem(
                "cluster_version",
                f"{text} is asked for, but the host is a node with kubelet {kubelet}, {older} that; "
                "site does not change the version of a node.",
                mend,
            )
        elif installed > asked:
            yield host.problem(
                "kubelet",
                f"{kubelet} is installed, newer than cluster_version {text}; it will be replaced.",
                "Nothing to do unless something else on the host uses it.",
                WARNING,
            )


def check_membership(hosts: Hosts) -> t.Iterable[Problem]:
    """Hosts that belong to a cluster in another way than the inventory says. Our own unfinished work is left alone."""
    known = with_facts(hosts)
    control_planes = [facts for host, facts in known if host.control_plane]
    complete = len(control_planes) == sum(host.control_plane for host in hosts) > 0
    exists = any(facts["kubernetes"]["control_plane"] or facts["kubernetes"]["unfinished"] for facts in control_planes)
    reset = "Reset it with kubeadm reset if that cluster is not needed any more, or correct the inventory."
    for host, facts in known:
        state = facts["kubernetes"]
        if state["unfinished"]:
            continue
        if state["control_plane"] and not host.control_plane:
            yield host.problem(
                "kubernetes",
                "runs a control plane (manifests/kube-apiserver.yaml exists) but is a worker in the inventory.",
                reset,
            )
        elif state["joined"] and not state["control_plane"] and host.control_plane:
            yield host.problem(
                "kubernetes",
                f"is a worker of a cluster ({KUBEADM.kubelet}) but a control plane in the inventory.",
                reset,
            )
        elif state["joined"] and not state["control_plane"] and complete and not exists:
            yield host.problem(
                "kubernetes",
                f"belongs to some cluster ({KUBEADM.kubelet}), but no control plane of the inventory does.",
                reset,
            )
    members = [(host, facts["kubernetes"]) for host, facts in known if facts["kubernetes"]["completed"]]
    authorities = [(host.name, state["ca_cert_hashes"]) for host, state in members if state["control_plane"]]
    for host, state in members if authorities else ():
        theirs = state["ca_cert_hashes"]
        first, ours = authorities[0]
        if theirs and ours and not set(theirs) & set(ours):
            yield host.problem(
                "kubernetes",
                f"is a node of another cluster than {first}: its CA is {theirs[0]}, not {ours[0]}"
                f" ({KUBEADM.certificate('ca')}).",
                reset,
            )


def _is_complete(facts: t.Mapping[str, t.Any]) -> bool:
    return bool(facts["kubernetes"]["joined"]) and not facts["kubernetes"]["unfinished"]


def check_limit(hosts: Hosts) -> t.Iterable[Problem]:
    """What must not be done while control planes are left out: joining without one, building a second cluster."""
    control_planes = [host for host in hosts if host.control_plane]
    left_out = [host for host in control_planes if host.facts is None and not host.failure]
    names = ", ".join(host.name for host in left_out)
    if len(left_out) < len(control_planes) or not control_planes:
        states = [facts["kubernetes"] for host, facts in with_facts(hosts) if host.control_plane]
        if left_out and states and not any(state["control_plane"] or state["unfinished"] for state in states):
            yield left_out[0].problem(
                "--limit",
                f"leaves out {names}, and the control planes that it does not leave out are bare: a new cluster would"
                " be built beside the one that the others may have.",
                "Run without --limit, or add a control plane that is complete; to build a cluster of some of the"
                " machines, take the others out of the inventory.",
            )
        return
    joining = [host for host, facts in with_facts(hosts) if not _is_complete(facts)]
    for host in joining:
        yield host.problem(
            "--limit",
            f"leaves out all control planes ({names}), and the host needs one to join the cluster.",
            f"Add one that is complete, such as --limit {host.name},{control_planes[0].name}.",
        )
    if not joining and with_facts(hosts):
        yield Problem(
            CLUSTER,
            "--limit",
            f"leaves out all control planes ({names}): the machines are looked after, but labels, taints and all else"
            " that is in the cluster is neither compared with the inventory nor changed.",
            f"Add one for that, such as --limit {with_facts(hosts)[0][0].name},{control_planes[0].name}.",
            WARNING,
        )


def check_runs(hosts: Hosts, run: t.Mapping[str, t.Any], check: bool) -> t.Iterable[Problem]:
    """Other runs that change the cluster now.

    :param run: this run.
    :param check: whether it changes nothing itself, and so may go on beside another one.
    """
    for host, facts in with_facts(hosts):
        holder = holder_of(facts.get("run"), run, host.flag("preflight_take_over")) if host.control_plane else None
        # One that may be dead is waited for when the lock is taken, to see whether it gives a sign of life.
        if holder and (check or not holder.may_be_dead):
            beside = "What this one sees may be half done." if check else holder.remedy
            yield host.problem("run", holder.message, beside, WARNING if check else ERROR)


#: Without check_runs, which a run calls with itself.
CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (check_installed, check_membership, check_limit)
