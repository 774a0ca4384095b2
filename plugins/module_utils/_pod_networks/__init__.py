# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pod networks that the role cni can install: all that is said about one stands in its file here.

Machines are looked at for all of them, since they may have had another one before. CONTRIBUTING.md says how one is
added.

Private to this collection.
"""

from __future__ import annotations

import contextlib
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks.calico import Calico
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks.cilium import Cilium
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks.flannel import Flannel
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks.manifest import Manifests
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks.pod_network import (
    OnNode,
    PodNetwork,
    Port,
    default_address,
    families,
    has_ipv6_alone,
    has_two_families,
    interface_with_address,
    network_of_family,
    slices,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings

__all__ = [
    "CHANGE_ARGUMENTS",
    "POD_NETWORKS",
    "OnNode",
    "PodNetwork",
    "Port",
    "beside",
    "chosen",
    "default_address",
    "families",
    "has_ipv6_alone",
    "has_two_families",
    "interface_with_address",
    "named",
    "network_of_family",
    "of_a_change",
    "of_ours",
    "slices",
]

#: By the names that ``cluster_cni`` may have, beside ``none``.
POD_NETWORKS: t.Dict[str, PodNetwork] = {
    network.name: network for network in (Flannel(), Calico(), Cilium(), Manifests())
}


def these(networks: t.Optional[t.Sequence[PodNetwork]] = None) -> t.Iterable[PodNetwork]:
    """These pod networks, or all of them where it is not said which."""
    return POD_NETWORKS.values() if networks is None else networks


def named(name: str) -> PodNetwork:
    """The pod network of that name; one without anything for ``none``, and for what is no name."""
    return POD_NETWORKS.get(name) or PodNetwork()


def of_ours(configuration: t.Mapping[str, t.Any]) -> t.List[PodNetwork]:
    """The pod networks in a cluster that roles of ours have installed, and those of a change that has not ended.

    :param configuration: what a node's look at its cluster has found.
    """
    present, change = (configuration.get(key) or {} for key in ("pod_networks", "pod_network_change"))
    changing = [*str(change.get("from") or "").split(","), str(change.get("to") or "")] if change else []
    return [
        network
        for network in POD_NETWORKS.values()
        if network.name in changing or (present.get(network.name) or {}).get("release") == network.release
    ]


#: Options of modules that change the pod network; documented by the fragment ``pod_networks``.
CHANGE_ARGUMENTS: t.Dict[str, t.Any] = {
    "networks": {"type": "list", "elements": "str", "required": True},
    "successor": {"type": "str", "required": True},
}


def of_a_change(networks: t.Iterable[str], successor: str) -> t.Tuple[t.List[PodNetwork], PodNetwork]:
    """The pod networks that go, and the one that stays.

    :raises SlipwayError: when a name is that of none, or of one from a list, of which only the inventory knows what it
        leaves; when one would go and stay; or when one cannot run beside another one.
    """
    going = list(dict.fromkeys(networks))
    known = {name: network for name, network in POD_NETWORKS.items() if not network.list_variable}
    unknown = [name for name in [*going, successor] if name not in known]
    if unknown:
        others = ", ".join(name for name, network in known.items() if not network.alone)
        raise SlipwayError(f"There is no pod network {unknown[0]} here, only {others}.")
    if successor in going:
        raise SlipwayError(f"{successor} cannot go and stay. Nothing was changed.")
    for network in (known[name] for name in [*going, successor]):
        if network.alone:
            raise SlipwayError(f"{network.title} has no place beside another one: it {network.alone}.")
    return [known[name] for name in going], known[successor]


def chosen(settings: Settings) -> PodNetwork:
    """The pod network that a host shall have, with all that its settings say of it."""
    return named(settings.text("cni_provider") or settings.text("cluster_cni")).told(settings)


@contextlib.contextmanager
def beside(network: PodNetwork) -> t.Iterator[None]:
    """Let the table have one more row for as long as a module looks at its machine: one that its caller describes."""
    POD_NETWORKS[network.name] = network
    try:
        yield
    finally:
        del POD_NETWORKS[network.name]
