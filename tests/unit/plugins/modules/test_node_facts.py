# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import yaml
from ansible_collections.slipway.kubernetes.plugins.modules import node_facts
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner


def test_every_fact_is_there_and_documented(run_module: ModuleRunner) -> None:
    result = run_module(node_facts.main, {}, check=True)
    assert not result.get("changed", False)
    facts = result["ansible_facts"]["slipway_node"]
    documented = yaml.safe_load(node_facts.RETURN)["ansible_facts"]["contains"]["slipway_node"]["contains"]
    assert set(facts) == set(documented)
    types = {"str": str, "int": int, "float": float, "dict": dict, "list": list}
    for name, value in facts.items():
        assert isinstance(value, types[documented[name]["type"]]), name
    result = run_module(node_facts.main, {"users": ["root", "nobody-of-that-name"]}, check=True)
    assert result["ansible_facts"]["slipway_node"]["unknown_users"] == ["nobody-of-that-name"]
    for name in ("swap", "kernel_features", "firewall", "kubernetes", "runtime"):
        assert set(facts[name]) == set(documented[name]["sample"]), name
