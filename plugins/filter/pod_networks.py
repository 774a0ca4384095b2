# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import named
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import (
    network_of_family as _network_of_family,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings


def pod_network_conditions(name: str) -> t.List[t.Dict[str, t.Any]]:
    """What tells that a pod network is ready beside nodes that are."""
    return list(named(name).conditions)


def pod_network_policies(name: str) -> bool:
    """Whether a pod network holds to NetworkPolicy."""
    return named(name).has_policies


def pod_network_manifest(name: str, variables: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """The objects that are applied with the manifest of a pod network, and the patches that are laid over it."""
    network, settings = named(name), Settings(variables)
    return {"objects": network.objects(settings), "patches": network.patches(settings)}


def network_of_family(text: str, version: int) -> str:
    """That of one or two networks which is of IPv4, or of IPv6; empty when there is none."""
    return _network_of_family(str(text), version)


class FilterModule:
    """What is known about pod networks."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {
            "network_of_family": network_of_family,
            "pod_network_conditions": pod_network_conditions,
            "pod_network_manifest": pod_network_manifest,
            "pod_network_policies": pod_network_policies,
        }
