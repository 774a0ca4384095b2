# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions that read the hosts of a cluster: their variables, and what was seen of them.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._look import LOOK, registered, seen
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.failures import of_another_installer
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.inventory import READ_BY_OTHERS
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Failure, Host
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.variables import Variables, collection_roles

HOSTS = {
    "control_plane_hosts": {"type": "list", "elements": "str", "required": True},
    "worker_hosts": {"type": "list", "elements": "str", "required": True},
}
#: What the probes of a host are registered as, by roles/preflight.
PEERS = "__preflight_peers"


class HostsAction(ActionBase):
    """Needs no connection: it reads the variables and facts of all hosts and changes nothing."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def hosts(
        self, arguments: t.Mapping[str, t.Any], task_vars: t.Mapping[str, t.Any]
    ) -> t.Tuple[t.List[str], t.List[Host]]:
        """The names of all hosts in the order of the inventory, and those hosts that are in it."""
        control_planes, workers = arguments["control_plane_hosts"], arguments["worker_hosts"]
        inventory = task_vars["hostvars"]
        place = {name: number for number, name in enumerate(inventory)}
        names = sorted({*control_planes, *workers}, key=lambda name: (place.get(name, len(place)), name))
        # hostvars know neither variables of the play nor of the task. What a task sees on another host is what Ansible
        # finds out for one that is delegated to it.
        task = self._task.copy()
        found = []
        for name in (name for name in names if name in inventory):
            task.delegate_to = name
            delegated, _name = task.get_variable_manager().get_delegated_vars_and_hostname(
                self._templar, task, {"inventory_hostname": name}
            )
            raw = delegated["ansible_delegated_vars"][name]
            found.append(self._host(name, raw, inventory, control_planes, workers))
        return names, found

    def _host(
        self,
        name: str,
        raw: t.Mapping[str, t.Any],
        inventory: t.Any,
        control_planes: t.Collection[str],
        workers: t.Collection[str],
    ) -> Host:
        """A host with its variables as the roles of this play will see them, and with what was seen of it."""
        variables = Variables(self._templar, collection_roles(), raw)
        given = variables.given
        for variable in sorted(given & collection_roles().options.keys()):
            variables.get(variable)
        read_by_others = given.intersection(READ_BY_OTHERS)
        of_others = inventory.raw_get(name) if read_by_others else {}
        known = registered(raw, LOOK, "slipway_preflight") or {}
        facts = seen(raw)
        failure = Failure(*known["failure"]) if known.get("failure") else of_another_installer(facts or {})
        return Host(
            name=name,
            control_plane=name in control_planes,
            worker=name in workers,
            variables=variables,
            given=given,
            broken={variable: reason for variable, reason in variables.broken.items() if variable in given},
            of_play=frozenset(key for key in read_by_others if of_others.get(key) != raw[key]),
            facts=None if failure else facts,
            failure=failure,
            source_failure=known.get("source_failure", ""),
            clock=known.get("clock"),
            sources=known.get("sources") or (),
            peers=registered(raw, PEERS, "slipway_peers") or {},
        )
