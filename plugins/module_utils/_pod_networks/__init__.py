# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pod networks that the role cni can install: all that is said about one stands in its file here.

Machines are looked at for all of them, since they may have had another one before. CONTRIBUTING.md says how one is
added.

Private to this collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks.calico import Calico
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks.flannel import Flannel
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks.pod_network import (
    OnNode,
    PodNetwork,
    Port,
    has_two_families,
    interface_with_address,
    network_of_family,
    slices,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings

__all__ = [
    "POD_NETWORKS",
    "OnNode",
    "PodNetwork",
    "Port",
    "chosen",
    "has_two_families",
    "interface_with_address",
    "named",
    "network_of_family",
    "slices",
]

#: By the names that ``cluster_cni`` may have, beside ``none``.
POD_NETWORKS: t.Dict[str, PodNetwork] = {network.name: network for network in (Flannel(), Calico())}


def named(name: str) -> PodNetwork:
    """The pod network of that name; one without anything for ``none``, and for what is no name."""
    return POD_NETWORKS.get(name) or PodNetwork()


def chosen(settings: Settings) -> PodNetwork:
    """The pod network that a host shall have."""
    return named(settings.text("cni_provider") or settings.text("cluster_cni"))
