# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this run has seen of a machine, and what the inventory says of it.

Our plays and roles register the look at a machine. What is registered is of this run and of nothing else. Facts are
not: they come out of a cache, as those of a machine that has died since, and are no variables when Ansible is told not
to make them so. So no code of ours reads facts.

Facts that a module returns go over the inventory's variables of that host, and who is root there lets a module return
what he likes. So of another host's variables those count that are no facts.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import typing as t

#: The variable that a look at a machine is registered as, by roles/cluster and by our playbooks.
LOOK = "cluster_look"

Variables = t.Mapping[str, t.Any]


def stated(variables: Variables, name: str) -> t.Any:
    """A variable of a host that the machine has not set for itself; ``None`` when it has, or when there is none."""
    return None if name in (variables.get("ansible_facts") or {}) else variables.get(name)


def succeeded(result: t.Any) -> bool:
    """Whether a task that has registered ``result`` was done on its host."""
    return isinstance(result, dict) and not any(result.get(key) for key in ("failed", "unreachable", "skipped"))


def registered(variables: Variables, name: str, fact: str) -> t.Any:
    """A fact in the result that a task has registered as ``name``.

    ``None`` when there is no such result, or when the task was skipped, has failed or did not reach its host.
    """
    result = stated(variables, name)
    return (result.get("ansible_facts") or {}).get(fact) if succeeded(result) else None


def seen(variables: Variables) -> t.Optional[t.Dict[str, t.Any]]:
    """What ``node_facts`` has found on the machine in this run; ``None`` when it was not looked at."""
    node = registered(variables, LOOK, "slipway_node")
    return node if node and isinstance(node, dict) else None
