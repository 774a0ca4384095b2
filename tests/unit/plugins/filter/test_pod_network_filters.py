# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known about pod networks, also by variables of the host where the filter stands."""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.filter import pod_networks
from jinja2 import Environment

CONDITION = {"type": "crd", "names": ["a.example.com"]}
VARIABLES = {
    "cni_manifests": [{"name": "a", "ready_when": [CONDITION]}],
    "cni_manifest_interfaces": ["weave", "vethwe*"],
    "cni_manifest_network_policy": True,
}


def rendered(name: str, network: str, **variables: t.Any) -> t.Any:
    """What a filter returns in a template that has these variables."""
    environment = Environment(autoescape=True)
    environment.filters.update(pod_networks.FilterModule().filters())
    return environment.compile_expression(f"network | {name}")(network=network, **variables)


def test_variables_of_the_host_are_read() -> None:
    assert rendered("pod_network_conditions", "manifest", **VARIABLES) == [CONDITION]
    assert rendered("pod_network_policies", "manifest", **VARIABLES) is True
    assert rendered("pod_network_interfaces", "manifest", **VARIABLES) == ["weave", "vethwe*"]
    left = rendered("pod_network_leftovers", "manifest", cluster_pod_subnet="10.244.0.0/16", **VARIABLES)
    assert left == {"interfaces": ["weave", "vethwe*"], "networks": ["10.244.0.0/16"]}


def test_without_variables() -> None:
    for network in ("manifest", "none", ""):
        assert rendered("pod_network_conditions", network) == rendered("pod_network_interfaces", network) == []
        assert rendered("pod_network_leftovers", network) == {} and rendered("pod_network_policies", network) is False
    # What is known of the others is no variable's.
    assert rendered("pod_network_leftovers", "flannel", **VARIABLES) == {}
    assert rendered("pod_network_policies", "calico") is True and rendered("pod_network_conditions", "calico")


def test_variables_are_a_mapping() -> None:
    environment = Environment(autoescape=True)
    context = environment.from_string("").new_context({"a": 1})
    assert {"a"} <= set(pod_networks.Variables(context)) and len(pod_networks.Variables(context)) >= 1
    assert pod_networks.Variables(context)["a"] == 1 and pod_networks.Variables(context).get("b") is None
