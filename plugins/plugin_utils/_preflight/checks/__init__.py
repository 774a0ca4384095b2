# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of preflight, a file for each topic, in the order in which the report is made of them.

No file of checks imports another one: what several need is in the modules above this package.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import functools
import typing as t

from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import (
    addons,
    change_cni,
    change_runtime,
    cluster,
    controller,
    coredns,
    differences,
    endpoint,
    families,
    files,
    foreign,
    installers,
    labels,
    limits,
    machines,
    membership,
    metallb,
    network,
    node_prep,
    nodes,
    options,
    overrides,
    patch,
    peers,
    pod_networks,
    ports,
    reconfigure,
    releases,
    runtime,
    sources,
    surroundings,
    trust,
    upgrade,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Check
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.variables import Catalogue

CHECKS: t.Tuple[Check, ...] = (
    *installers.CHECKS,
    # What the steps of a build need of machines, networks and sources.
    *limits.CHECKS,
    *families.CHECKS,
    *surroundings.CHECKS,
    *network.CHECKS,
    *sources.CHECKS,
    *controller.CHECKS,
    # What the inventory asks for, and the machines.
    *cluster.CHECKS,
    *metallb.CHECKS,
    *coredns.CHECKS,
    *labels.CHECKS,
    *overrides.CHECKS,
    *machines.CHECKS,
    *ports.CHECKS,
    *pod_networks.CHECKS,
    *membership.CHECKS,
    *foreign.CHECKS,
    *endpoint.CHECKS,
    *files.CHECKS,
    *addons.CHECKS,
    *node_prep.CHECKS,
    *peers.CHECKS,
    *trust.CHECKS,
    *runtime.CHECKS,
    *releases.CHECKS,
    # What a built cluster is.
    *differences.CHECKS,
    *nodes.CHECKS,
)
#: What differs between a built cluster and the inventory, and stops nothing.
REPORTS: t.Tuple[Check, ...] = (*differences.REPORTS, *nodes.REPORTS)
#: The same when a built cluster is given another configuration: what it gets is no difference then.
REPORTS_BESIDE_CONFIGURATION: t.Tuple[Check, ...] = (
    differences.check_stored,
    *(check for check in REPORTS if check not in (differences.check_reported, differences.check_kubelets)),
)
#: What a build leaves to an upgrade, and so refuses.
_UPGRADES: t.Tuple[Check, ...] = (membership.check_installed, nodes.check_runtime_version)
#: Arguments of the kubelet go with the container runtime.
REPORTS_BESIDE_RUNTIME: t.Tuple[Check, ...] = tuple(check for check in REPORTS if check is not nodes.check_arguments)


class Change(t.NamedTuple):
    """A change of a built cluster that a build refuses.

    :param left: checks of a build that are left out, since it is what they refuse.
    :param checks: on how the cluster is, by what kubeadm_upgrade_info returns.
    :param reports: what is reported besides.
    """

    left: t.Tuple[Check, ...]
    checks: t.Callable[..., t.Sequence[Check]]
    reports: t.Tuple[Check, ...]


#: By the option of preflight_report. Files of both pod networks are on the machines while one takes the other's place;
#: nodes that shall have another runtime wait while one gets it.
CHANGES: t.Dict[str, Change] = {
    "change_cni": Change(
        (differences.check_other_pod_network, surroundings.check_pod_networks), change_cni.checks, REPORTS
    ),
    "change_runtime": Change(
        (nodes.check_sockets, nodes.check_runtime_version), change_runtime.checks, REPORTS_BESIDE_RUNTIME
    ),
    "reconfigure": Change((), reconfigure.checks, REPORTS_BESIDE_CONFIGURATION),
}


def checks_of(
    catalogue: Catalogue, run: t.Mapping[str, t.Any], check_mode: bool, cluster_state: t.Optional[upgrade.Cluster]
) -> t.List[Check]:
    """All checks but the reports.

    :param catalogue: what the collection documents.
    :param run: this run.
    :param check_mode: whether it changes nothing.
    :param cluster_state: what kubeadm_upgrade_info returns, for an upgrade; ``None`` for a build.
    """
    found = [*options.checks(catalogue), *CHECKS]
    found.append(functools.partial(membership.check_runs, run=run, check=check_mode))
    if cluster_state is None:
        return found
    return [*(check for check in found if check not in _UPGRADES), *upgrade.checks(cluster_state)]


def checks_of_a_change(
    change: Change,
    catalogue: Catalogue,
    run: t.Mapping[str, t.Any],
    check_mode: bool,
    cluster_state: t.Mapping[str, t.Any],
) -> t.List[Check]:
    """The checks before a built cluster is changed: those of a build, and on how the cluster is.

    :param catalogue: what the collection documents.
    :param run: this run.
    :param check_mode: whether it changes nothing.
    :param cluster_state: what kubeadm_upgrade_info returns.
    """
    found = checks_of(catalogue, run, check_mode, None)
    return [*(check for check in found if check not in change.left), *change.checks(cluster_state)]


def checks_of_updates(
    catalogue: Catalogue, run: t.Mapping[str, t.Any], cluster_state: upgrade.Cluster
) -> t.List[Check]:
    """The checks before the machines of a cluster are updated: those on variables, and on how the cluster is.

    :param catalogue: what the collection documents.
    :param run: this run.
    :param cluster_state: what kubeadm_upgrade_info returns.
    """
    return [*options.checks(catalogue), *patch.checks(cluster_state, str(run.get("machine_id") or ""))]
