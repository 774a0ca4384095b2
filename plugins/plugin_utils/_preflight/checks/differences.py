# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on what a built cluster is against what the inventory says it shall be.

What cannot be changed on a running cluster is refused; what could be, but is only looked at when a cluster is built, is
reported. The documents of the inventory are those that the role control_plane renders. docs/differences.md has the
list. Private to this collection; runs on the controller.
"""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._kube_proxy import has_kube_proxy
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import chosen, named, of_ours
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._configuration_differences import (
    ABSENT,
    Difference,
    compare,
    printable,
    same,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._kubelet_configuration import (
    TEXT_MAX,
    parse,
    read,
    signs_itself,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight import kept
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.documents import CLUSTER_RULES, part_of
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.facts import configuration
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.kept import (
    CONFIG_MAPS,
    VARIABLES,
    documents,
    source,
    stored,
    variable_of,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    CLUSTER,
    ERROR,
    WARNING,
    Check,
    Host,
    Hosts,
    Problem,
    first_of,
)

_PAGE = "docs/differences.md"
_CHANGE_PAGE = "docs/networks.md#change-it"
#: Why a text is not read.
_NOT_READ = f"cannot be read (no YAML, references in it, or more than {TEXT_MAX} characters), so"


def _check_stored(host: Host) -> t.Iterable[Problem]:
    """Documents of the cluster that are there and cannot be read."""
    for kind, text in kept.texts(host).items():
        if read(text) is None:
            fixed = kind == "ClusterConfiguration"
            what = "what must not change cannot be" if fixed else "it is not"
            yield Problem(
                CLUSTER,
                f"configmap {CONFIG_MAPS[kind]}",
                f"the cluster's {kind} {_NOT_READ} {what} compared with the inventory.",
                f"Write it plainly: kubectl edit --namespace kube-system configmap {CONFIG_MAPS[kind]}.",
                ERROR if fixed else WARNING,
            )


# What cannot be changed


def _fixed_differences(hosts: Hosts) -> t.Tuple[t.Optional[Host], t.List[Difference]]:
    """What differs for good, and the host whose variables say so."""
    asked = source(hosts)
    if asked is not None:
        wanted, present = documents(asked), stored(asked)
        kind = "ClusterConfiguration"
        if kind not in wanted or kind not in present:
            return asked, []
        found = compare(wanted[kind], present[kind], CLUSTER_RULES)
        return asked, [difference for difference in found if kept.is_fixed(difference.path)]
    # Control planes know more than workers.
    for host in sorted(hosts, key=lambda host: not host.control_plane):
        wanted, present = documents(host), kept.by_files(host)
        if present and wanted:
            found = compare(wanted["ClusterConfiguration"], present, CLUSTER_RULES)
            # A machine does not know all of it.
            return host, [item for item in found if kept.is_fixed(item.path) and item.present is not ABSENT]
    return None, []


def check_fixed(hosts: Hosts) -> t.Iterable[Problem]:
    """Networks, names and places that a cluster keeps for as long as it lives."""
    asked = source(hosts)
    yield from (problem for problem in _check_stored(asked) if problem.severity == ERROR) if asked else ()
    host, differences = _fixed_differences(hosts)
    for difference in differences:
        if host is None or kept.is_open(difference, hosts):
            continue
        yield _fixed(variable_of(host, "ClusterConfiguration", difference.path), difference)
    network = any(difference.path == "networking.podSubnet" for difference in differences)
    yield from _check_pod_network(hosts, network)


def _fixed(variable: str, difference: Difference, what: str = "") -> Problem:
    present, wanted = difference.words
    field = what or ("" if variable in VARIABLES.values() else f" ({difference.path})")
    return Problem(
        CLUSTER,
        variable,
        f"is {wanted} in the inventory and {present} in the cluster{field}, where it cannot be changed any more.",
        f"Set it to what the cluster has; a cluster with another one has to be built anew. See {_PAGE}.",
    )


def _is_ours(name: str, present: t.Optional[t.Mapping[str, t.Any]]) -> bool:
    """Whether this collection has installed a pod network that is in the cluster."""
    release = (present or {}).get("release")
    return bool(release) and release == named(name).release


def _check_pod_network(hosts: Hosts, network_is_reported: bool) -> t.Iterable[Problem]:
    """What a pod network keeps for as long as the cluster lives, and whose it is."""
    host = source(hosts)
    if host is None:
        return
    network = chosen(host)
    present = part_of(configuration(host), "pod_networks").get(network.name)
    if not network.release or not present:
        return
    if present.get("release") != network.release:
        what = "chart" if network.chart else "manifest"
        yield Problem(
            CLUSTER,
            "cluster_cni",
            f"is {network.name}, but the {network.title} in the cluster was not installed by the {what} that would be"
            f" installed, and its objects stand in the way of those of the {what}.",
            "Set cluster_cni: none, which leaves it to you as it is. See docs/take-over.md.",
        )
    for setting in network.lasting(host):
        is_said = setting.variable != VARIABLES["networking.podSubnet"] or not network_is_reported
        if is_said and present.get(setting.key) and not same(setting.wanted, present[setting.key]):
            difference = Difference(setting.key, present[setting.key], setting.wanted)
            yield _fixed(setting.variable, difference, f" ({setting.what})")


def check_other_pod_network(hosts: Hosts) -> t.Iterable[Problem]:
    """A change of the pod network that has not come to its end, or that nobody has begun."""
    host = source(hosts)
    if host is None:
        return
    change, network = part_of(configuration(host), "pod_network_change"), chosen(host)
    if change:
        old = [named(name).title or name for name in str(change.get("from") or "").split(",") if name]
        new = named(str(change.get("to"))).title or change.get("to")
        yield Problem(
            CLUSTER,
            "pod network",
            f"the change from {printable(' and '.join(old))} to {printable(str(new))} has begun"
            f" ({printable(str(change.get('since') or 'nobody knows when'))}) and has not come to its end.",
            f"Finish it: playbooks/change_cni.yml, with cluster_cni: {printable(str(change.get('to')))}; or go back by"
            f" the same playbook with the other one. See {_CHANGE_PAGE}.",
        )
        return
    for other in (other for other in of_ours(configuration(host)) if network.name and other.name != network.name):
        stuck = [one.title for one in (network, other) if one.alone]
        yield Problem(
            CLUSTER,
            "cluster_cni",
            f"is {network.name} in the inventory, and the {other.title} that this collection has installed is in the"
            " cluster, which cannot have both.",
            f"Set it to {other.name}. {stuck[0]} cannot run beside another one, so that neither is changed for the"
            f" other. See {_CHANGE_PAGE}."
            if stuck
            else f"Set it to {other.name}; or change the pod network by playbooks/change_cni.yml, node by node. See"
            f" {_CHANGE_PAGE}.",
        )


def check_metrics(hosts: Hosts) -> t.Iterable[Problem]:
    """A metrics-server that verifies kubelets, and kubelets whose certificates nobody can verify."""
    host = next((host for host in hosts if host.control_plane), None)
    if host is None or not host.flag("metrics_server_enabled") or host.flag("metrics_server_kubelet_insecure_tls"):
        return
    values = host.mapping("metrics_server_values")
    if any("--kubelet-insecure-tls" in str(values.get(key) or "") for key in ("args", "defaultArgs")):
        return
    kind = "KubeletConfiguration"
    kubelets = {host.name: parse(str(configuration(host).get("kubelet") or "")) for host in hosts}
    known = {name: document for name, document in kubelets.items() if document}
    if not known and kind in documents(host):
        known = {CLUSTER: documents(host)[kind]}
    told = {other.name: configuration(other).get("kubelet_arguments") or {} for other in hosts}
    names = [name for name, kubelet in known.items() if signs_itself(kubelet, told.get(name, {}))]
    # One whose kubelet can be verified is enough for it to be ready.
    if known and len(names) == len(known):
        whose = "" if names == [CLUSTER] else f" of {', '.join(names)}"
        yield Problem(
            CLUSTER,
            "metrics_server_enabled",
            f"is true, but the kubelets{whose} make their serving certificates themselves (serverTLSBootstrap is not"
            " set), which metrics-server does not take: it would never be ready.",
            "Set metrics_server_kubelet_insecure_tls: true, which does not verify them, or metrics_server_enabled:"
            " false; or let kubelets ask the cluster for certificates, see docs/take-over.md.",
        )


# What is only looked at when a cluster is built


def check_reported(hosts: Hosts) -> t.Iterable[Problem]:
    """Fields of the cluster's configuration that differ, and that site.yml does not apply to a built cluster."""
    host = source(hosts)
    if host is None:
        yield from _check_unread(hosts)
        return
    yield from (problem for problem in _check_stored(host) if problem.severity == WARNING)
    for kind, items in kept.differences(hosts).items():
        for difference in items:
            yield _reported(host, CLUSTER, kind, difference, "in the cluster")


def _check_unread(hosts: Hosts) -> t.Iterable[Problem]:
    for host in hosts:
        problem = configuration(host).get("problem")
        if problem and host.control_plane:
            yield host.problem(
                "configuration",
                f"the cluster's could not be read, so it was not compared with the inventory: {printable(problem)}.",
                f"Look at the API server of this host, and at {KUBEADM.admin}.",
                WARNING,
            )
            return


def _reported(host: Host, place: str, kind: str, difference: Difference, where: str) -> Problem:
    present, wanted = difference.words
    return Problem(
        place,
        f"{kind}.{difference.path}",
        f"is {present} {where} and {wanted} in the inventory ({variable_of(host, kind, difference.path)});"
        " site.yml does not change it on a built cluster.",
        f"Apply it by playbooks/reconfigure.yml, or say in the inventory what is there. See {_PAGE}.",
        WARNING,
    )


def check_kubelets(hosts: Hosts) -> t.Iterable[Problem]:
    """Kubelets whose own file says something else than the inventory and the cluster."""
    kind = "KubeletConfiguration"
    known = kept.differences(hosts).get(kind, [])
    by_name, asked = {host.name: host for host in hosts}, source(hosts)
    for name, found in kept.kubelet_differences(hosts).items():
        host = by_name[name]
        if found is None:
            yield host.problem(
                f"{KUBEADM.kubelet_folder}/config.yaml",
                f"{_NOT_READ} it is not compared with the inventory.",
                "kubeadm upgrade node phase kubelet-config writes it anew.",
                WARNING,
            )
        for difference in found or []:
            if difference not in known:
                yield _reported(asked or host, name, kind, difference, f"in {KUBEADM.kubelet_folder}/config.yaml")


def check_addons(hosts: Hosts) -> t.Iterable[Problem]:
    """kube-proxy that is there and shall not be, or the other way round; and a pod network that shall not be."""
    host = source(hosts)
    if host is None:
        return
    has_proxy = "KubeProxyConfiguration" in kept.texts(host)
    if "ClusterConfiguration" in documents(host) and has_kube_proxy(host) != has_proxy:
        there = (
            ("is in the cluster", "not in the inventory")
            if has_proxy
            else ("is not in the cluster", "is in the inventory")
        )
        yield Problem(
            CLUSTER,
            "kube-proxy",
            f"{there[0]} and {there[1]} (control_plane_skip_phases); site.yml does not change it on a built cluster.",
            f"Say in the inventory what is there, or change it by kubeadm init phase addon. See {_PAGE}.",
            WARNING,
        )
    for name, present in part_of(configuration(host), "pod_networks").items():
        if not chosen(host).name and _is_ours(name, present):
            yield Problem(
                CLUSTER,
                "cluster_cni",
                f"is none in the inventory, and the {named(name).title} that this collection has installed is in the"
                " cluster; site.yml does not remove it.",
                f"Set it to {name} as long as that is the pod network.",
                WARNING,
            )


def check_other_nodes(hosts: Hosts) -> t.Iterable[Problem]:
    """Nodes of the cluster that the inventory does not have: nothing is done for them, and addons do not count them."""
    host = source(hosts)
    ours = {one.name.lower() for one in hosts}
    ours |= {str(((one.facts or {}).get("kubernetes") or {}).get("node_name")) for one in hosts}
    others = [name for name in (configuration(host).get("nodes") or [] if host else []) if name not in ours]
    if others:
        yield Problem(
            CLUSTER,
            "inventory",
            f"{first_of(others)} {'is a node' if len(others) == 1 else 'are nodes'} of the cluster, and not among the"
            " hosts that this run is about: nothing is done there, and addons are set up as if there were no such"
            " machine.",
            "Put it into kube_node, or into kube_control_plane when it is one; or take it out of the cluster by"
            " playbooks/remove_node.yml.",
            WARNING,
        )


def check_stored(hosts: Hosts) -> t.Iterable[Problem]:
    """What the cluster keeps and nobody can read is not changed, either."""
    asked = source(hosts)
    yield from _check_stored(asked) if asked is not None else ()


CHECKS: t.Tuple[Check, ...] = (check_fixed, check_other_pod_network, check_metrics)
#: What differs and stops nothing.
REPORTS: t.Tuple[Check, ...] = (check_reported, check_kubelets, check_addons, check_other_nodes)
