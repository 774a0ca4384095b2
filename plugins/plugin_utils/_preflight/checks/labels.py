# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on the labels, annotations and taints of nodes, and whether they are found.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import default_address
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._node_identities import NODE_IP
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.inventory import bad_key, bad_value
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import ERROR, WARNING, Hosts, Problem


def check_labels(hosts: Hosts) -> t.Iterable[Problem]:
    """Keys and values of labels, annotations and taints."""
    syntax = "At most 63 letters, digits, dashes, dots and underscores; a key may have a DNS name and a slash ahead."
    for host in hosts:
        for variable in ("cluster_node_labels", "cluster_node_annotations"):
            for key, value in host.mapping(variable).items():
                if bad_key(str(key)):
                    yield host.problem(variable, f"{key} is not a valid key.", syntax)
                if not isinstance(value, str):
                    yield host.problem(variable, f"the value of {key} is not text ({value!r}).", "Put it in quotes.")
                elif variable == "cluster_node_labels" and bad_value(value):
                    yield host.problem(variable, f"the value of {key} is not valid: {value}.", syntax)
        named: t.List[str] = []
        for taint in host.sequence("cluster_node_taints"):
            if not isinstance(taint, dict):
                continue
            key, value = str(taint.get("key", "")), "" if taint.get("value") is None else taint["value"]
            if not isinstance(value, str):
                message = f"the value of {key} is not text ({value!r})."
                yield host.problem("cluster_node_taints", message, "Put it in quotes.")
            elif bad_key(key) or bad_value(value):
                yield host.problem("cluster_node_taints", f"{key}={value} is not a valid taint.", syntax)
            named.append(f"{key}:{taint.get('effect')}")
        for name in sorted({name for name in named if named.count(name) > 1}):
            yield host.problem("cluster_node_taints", f"{name} is there twice.", "A node has it once: leave one out.")


def check_places(hosts: Hosts) -> t.Iterable[Problem]:
    """Variables of a node that stand where control planes do not read them. The node itself does."""
    for host in hosts:
        for variable in sorted(host.of_play):
            # Control planes take that one when they are told none.
            if variable == NODE_IP and host.text(NODE_IP) == default_address(host, host.facts or {}):
                continue
            yield host.problem(
                variable,
                "stands on a play or an import_playbook, and control planes read it of each host.",
                "Put it into the inventory, for the host or for a group; --extra-vars will do, too.",
                WARNING if host.joined else ERROR,
            )


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (check_labels, check_places)
