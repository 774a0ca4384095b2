# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on an upgrade: from which version to which, and whether the cluster is fit for it.

Private to this collection; runs on the controller. ``cluster`` is what kubeadm_upgrade_info returns. They stand in
the place of the check that refuses to move the packages of a running node.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes import chosen
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._controller_files import unwritable
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.facts import other_runtimes
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.health import (
    Cluster,
    Work,
    check_cluster,
    check_etcd,
    check_ready,
    check_room,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.inventory import (
    beside_all,
    distinct,
    parse_version,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    CLUSTER,
    WARNING,
    Check,
    Hosts,
    Problem,
    conjoined,
)

Version = t.Tuple[int, int, int]

#: Kubelets may be so many minors older than the API server.
KUBELET_SKEW = 3
#: kube-proxy's IPVS mode is behind this feature gate, which is off from that minor on. Source: KEP-5495.
IPVS_GATE, IPVS_GATED = "KubeProxyIPVS", (1, 40)
#: Plugins in a Corefile that kubeadm knows to carry over to another version of CoreDNS. Source: plugins_1_14_0 of
#: github.com/coredns/corefile-migration, which kubeadm asks (CoreDNSUnsupportedPlugins).
MIGRATED = frozenset(
    (
        *("autopath", "cache", "errors", "forward", "health", "hosts", "k8s_external", "kubernetes", "loadbalance"),
        *("log", "loop", "prometheus", "ready", "reload", "rewrite", "transfer"),
    )
)
#: What kubeadm calls nothing: kubelets serve with it, and go on working when it has expired.
SERVING = "kubelet-server"


def _target(hosts: Hosts) -> t.Optional[Version]:
    """The version that is asked for; ``None`` when that is reported elsewhere."""
    versions = {parse_version(text) for text, _host in distinct(hosts, "cluster_version")}
    return versions.pop() if len(versions) == 1 else None


def _dotted(version: t.Sequence[int]) -> str:
    return ".".join(str(number) for number in version)


def _upgrading(host: t.Any) -> bool:
    """Whether an upgrade of ours has begun on the host: what it lacks, this run mends."""
    state = (host.facts or {}).get("kubernetes", {})
    return bool(state.get("upgrading"))


UPGRADE = Work(
    name="upgrade",
    noun="an upgrade",
    done="upgraded",
    left_in="those that are upgraded already are left alone.",
    begun=_upgrading,
)


def _present(hosts: Hosts, cluster: Cluster) -> t.List[t.Tuple[str, str, Version]]:
    """What has a version now, but what has the same as the cluster: host, what, version."""
    everywhere = cluster.get("version", "")
    found = [(CLUSTER, "the cluster's", everywhere)]
    for host in hosts:
        pods = (host.facts or {}).get("kubernetes", {}).get("static_pods") or {}
        found += [(host.name, name, version) for name, version in pods.items() if name != "etcd"]
    found += [(node["name"], "kubelet", node["version"]) for node in cluster.get("nodes") or []]
    found = [entry for entry in found if entry[0] == CLUSTER or entry[2] != everywhere]
    parsed = [(place, what, parse_version(text)) for place, what, text in found]
    return [(place, what, version) for place, what, version in parsed if version is not None]


def check_path(hosts: Hosts, cluster: Cluster) -> t.Iterable[Problem]:
    """No downgrade, one minor at a time, kubelets that are not too old for the new API server."""
    target = _target(hosts)
    if target is None:
        return
    text = _dotted(target)
    for place, what, version in _present(hosts, cluster):
        if version > target:
            yield Problem(
                place,
                "cluster_version",
                f"{text} is older than {what} {_dotted(version)}, which runs.",
                "Kubernetes cannot be downgraded: ask for what runs, or for a newer version.",
            )
        elif what == "kubelet" and (version[0], version[1] + KUBELET_SKEW) < target[:2]:
            yield Problem(
                place,
                "kubelet",
                f"{_dotted(version)} is more than {KUBELET_SKEW} minors older than {text}.",
                "Upgrade this node first, to the version of its control plane.",
            )
        elif what != "kubelet" and version[:2] < (target[0], target[1] - 1):
            step = f"{version[0]}.{version[1] + 1}"
            yield Problem(
                place,
                "cluster_version",
                f"{text} is more than one minor after {what} {_dotted(version)}, and kubeadm goes one at a time.",
                f"Upgrade to a version of {step} first.",
            )


def check_nodes(hosts: Hosts, cluster: Cluster) -> t.Iterable[Problem]:
    """Nodes that are not in this run are known."""
    by_name = {host.name: host for host in hosts}
    target = _target(hosts)
    for node in cluster.get("nodes") or []:
        host = by_name.get(node["name"])
        known = host is not None and host.facts is not None
        if known or parse_version(node["version"]) == target or (host is not None and host.failure):
            continue
        what = "is in the cluster, but not in the inventory" if host is None else "is left out of this run by --limit"
        if node["control_plane"]:
            yield Problem(
                node["name"],
                "node",
                f"{what}; it is a control plane, and all of them are upgraded together.",
                "Take it in, or remove it from the cluster.",
            )
        else:
            yield Problem(
                node["name"],
                "node",
                f"{what}: it stays at {node['version']}.",
                "A kubelet may be three minors older than the API server, no more.",
                WARNING,
            )


def check_members(hosts: Hosts, cluster: Cluster) -> t.Iterable[Problem]:
    """Hosts of the inventory that are no nodes: an upgrade does not join them."""
    names = {node["name"] for node in cluster.get("nodes") or []}
    for host in hosts:
        if names and host.facts is not None and host.name not in names:
            yield host.problem(
                "node",
                "is in the inventory, but no node of the cluster.",
                "Join it first, at the cluster's present version, or leave it out with --limit.",
            )


def check_certificates(hosts: Hosts, cluster: Cluster) -> t.Iterable[Problem]:
    """Certificates that have expired: kubeadm needs those of the administrator and of the control plane."""
    for name, expired in (cluster.get("expired") or {}).items():
        needed = [certificate for certificate in expired if certificate != SERVING]
        if needed:
            yield Problem(
                name,
                "certificates",
                f"have expired: {', '.join(needed)}.",
                "Renew them first, with renew_certificates.yml.",
            )
        if SERVING in expired:
            yield Problem(
                name,
                "certificates",
                "the kubelet's serving certificate has expired, so logs, exec and metrics of this node do not work.",
                "The upgrade approves what the kubelet has asked for. One that it has signed itself"
                " (serverTLSBootstrap: false) is made anew when it is deleted and the kubelet restarted.",
                WARNING,
            )


def check_drains(hosts: Hosts, cluster: Cluster) -> t.Iterable[Problem]:
    """What keeps nodes that are not upgraded yet from being drained."""
    return check_room(hosts, cluster, UPGRADE, _pending(hosts, cluster))


def check_backup_folder(hosts: Hosts, cluster: Cluster) -> t.Iterable[Problem]:
    """The folder on the controller for the backup that is taken before control planes are upgraded."""
    pending = [
        host
        for host in hosts
        for pods in [(host.facts or {}).get("kubernetes", {}).get("static_pods") or {}]
        if host.control_plane and "etcd" in pods and parse_version(pods.get("kube-apiserver", "")) != _target(hosts)
    ]
    folders = {
        host.text("etcd_backup_fetch_directory"): None
        for host in pending
        if host.flag("upgrade_backup") and host.flag("etcd_backup_fetch")
    }
    for folder, reason in ((folder, unwritable(folder)) for folder in filter(None, folders)):
        if reason:
            yield Problem(
                CLUSTER,
                "etcd_backup_fetch_directory",
                f"{folder} cannot be written on the controller: {reason}.",
                "Set it to a folder that you may write to, or etcd_backup_fetch to false.",
            )


def check_ignored(hosts: Hosts, cluster: Cluster) -> t.Iterable[Problem]:
    """Checks that kubeadm shall ignore: it refuses the list when its package has been upgraded already."""
    for host in (host for host in hosts if host.facts is not None):
        variable = "upgrade_ignore_preflight_errors"
        names = beside_all(host.sequence(variable))
        if names:
            yield host.problem(
                variable if variable in host.given else "cluster_ignore_preflight_errors",
                f"has all and {', '.join(names)}, and kubeadm refuses any other name beside all.",
                "Name the checks only; all is a safety net that is gone.",
            )


def _pending(hosts: Hosts, cluster: Cluster) -> t.Set[str]:
    """The nodes that are left to be drained by this run."""
    target = _target(hosts)
    playing = {host.name for host in hosts if host.facts is not None}
    old = {node["name"] for node in cluster.get("nodes") or [] if parse_version(node["version"]) != target}
    moving = {host.name for host, _present in other_runtimes(hosts) if host.flag("upgrade_container_runtime")}
    return playing & (old | moving)


def check_removed(hosts: Hosts, cluster: Cluster) -> t.Iterable[Problem]:
    """APIs, modes and runtimes that the new version has no more, or that will go."""
    target = _target(hosts)
    if target is None:
        return
    for entry in cluster.get("deprecated_apis") or []:
        removed = tuple(int(part) for part in entry["removed"].split(".")[:2] if part.isdigit())
        present = parse_version(cluster.get("version", ""))
        gone = bool(removed) and removed <= target[:2] and present is not None and present[:2] < removed
        yield Problem(
            CLUSTER,
            "API",
            f"{entry['api']} has been asked for since the API server started, and is removed in {entry['removed']}.",
            "Find who asks for it in the audit log (annotation k8s.io/deprecated) and change that first; "
            "restarting the API servers forgets old requests."
            if gone
            else "It still works; change who asks for it.",
            *([] if gone else [WARNING]),
        )
    proxy = cluster.get("kube_proxy") or {}
    if proxy.get("mode") == "ipvs":
        gated = target[:2] >= IPVS_GATED and str(proxy.get("gates", {}).get(IPVS_GATE, "")).lower() != "true"
        yield Problem(
            CLUSTER,
            "kube-proxy",
            "runs in IPVS mode, which is deprecated"
            + (f" and needs the feature gate {IPVS_GATE} since {_dotted(IPVS_GATED)}." if gated else "."),
            "Set mode: nftables in the ConfigMap kube-system/kube-proxy and restart its pods.",
            *([] if gated else [WARNING]),
        )
    for node in cluster.get("nodes") or []:
        runtime, _sign, version = node["runtime"].partition("://")
        for beginning, since, remedy in chosen(runtime).dropped:
            if version.startswith(beginning):
                yield Problem(
                    node["name"],
                    runtime,
                    f"{version} does not work with kubelets of {_dotted(since)} and newer.",
                    remedy,
                    *([] if target[:2] >= since else [WARNING]),
                )


def check_corefile(hosts: Hosts, cluster: Cluster) -> t.Iterable[Problem]:
    """Plugins of CoreDNS that kubeadm does not carry over: it refuses when its package has been upgraded already."""
    for host in (host for host in hosts if host.control_plane):
        zones = [zone for zone in host.sequence("coredns_zones") if isinstance(zone, dict)]
        texts = [host.mapping("coredns_plugins"), *(zone.get("plugins") for zone in zones)]
        names = {str(name) for text in texts if isinstance(text, dict) for name in text} - MIGRATED
        ignored = {str(name).lower() for name in host.sequence("upgrade_ignore_preflight_errors")}
        if names and not ignored & {"all", "corednsunsupportedplugins"}:
            yield host.problem(
                "coredns_plugins",
                f"has {conjoined(names)}, and kubeadm refuses an upgrade to another CoreDNS with plugins that it does"
                " not know.",
                "Look whether the new CoreDNS has them, and name CoreDNSUnsupportedPlugins in"
                " upgrade_ignore_preflight_errors.",
                WARNING,
            )


def checks(cluster: Cluster) -> t.List[Check]:
    """The checks on an upgrade of this cluster."""
    health = (check_cluster, check_etcd, check_ready)
    own = (
        check_path,
        check_nodes,
        check_members,
        check_certificates,
        check_drains,
        check_backup_folder,
        check_corefile,
        check_ignored,
        check_removed,
    )
    return [
        *(functools.partial(check, cluster=cluster, work=UPGRADE) for check in health),
        *(functools.partial(check, cluster=cluster) for check in own),
    ]
