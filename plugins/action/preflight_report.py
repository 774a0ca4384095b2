# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check all hosts of a cluster at once, on the controller, and fail with one report."""

from __future__ import annotations

import functools
import os
import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _machines
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._look import LOOK, registered, seen
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight import kubespray
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.build import BUILD_CHECKS
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import (
    addons,
    cluster,
    differences,
    endpoint,
    files,
    foreign,
    machines,
    node_prep,
    options,
    peers,
    runtime,
    trust,
    upgrade,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    ERROR,
    Check,
    Failure,
    Host,
    Problem,
    counted,
    merge,
    render,
    run_checks,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.variables import Variables, collection_roles
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._run_lock import this_run

HOSTS = {
    "control_plane_hosts": {"type": "list", "elements": "str", "required": True},
    "worker_hosts": {"type": "list", "elements": "str", "required": True},
}
#: What the probes of a host are registered as, by roles/preflight.
PEERS = "__preflight_peers"
ARGUMENTS = {
    **HOSTS,
    "upgrade": {"type": "dict"},
}


class ActionModule(ActionBase):
    """Needs no connection: it reads the variables and facts of all hosts and changes nothing."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: t.Any = None, task_vars: t.Optional[t.Dict[str, t.Any]] = None) -> t.Dict[str, t.Any]:
        """Returns problems and warnings as lists, and fails with the report as its message when there is a problem."""
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        names, hosts = self.hosts(arguments, task_vars or {})
        catalogue = collection_roles()
        checks: t.List[Check] = [
            functools.partial(options.check_unknown_variables, catalogue=catalogue),
            options.check_broken_variables,
            functools.partial(options.check_types, catalogue=catalogue),
            *kubespray.CHECKS,
            *BUILD_CHECKS,
            *cluster.CHECKS,
            *machines.CHECKS,
            *foreign.CHECKS,
            *endpoint.CHECKS,
            *files.CHECKS,
            *addons.CHECKS,
            *node_prep.CHECKS,
            *peers.CHECKS,
            *trust.CHECKS,
            *runtime.CHECKS,
            *differences.CHECKS,
            functools.partial(machines.check_runs, run=this_run(os.getppid()), check=self._task.check_mode),
        ]
        if arguments["upgrade"] is not None:
            checks.remove(machines.check_installed)
            checks.remove(differences.check_runtime_version)
            checks += upgrade.checks(arguments["upgrade"])
        strangers = [
            Problem(name, "inventory", "there is no such host in the inventory.", "Correct cluster_*_hosts.")
            for name in names
            if name not in {host.name for host in hosts}
        ]
        mistyped = options.check_group_names((task_vars or {}).get("groups") or {}, names)
        differing = run_checks(differences.REPORTS, hosts)
        findings = merge([*strangers, *mistyped, *run_checks(checks, hosts), *differing], names)
        errors = [finding for finding in findings if finding.severity == ERROR]
        warnings = [finding for finding in findings if finding.severity != ERROR]

        result.update(
            changed=False,
            problems=[finding.as_dict() for finding in errors],
            preflight_warnings=[finding.as_dict() for finding in warnings],
            nodes=_machines.addresses(hosts),
            differences=[finding.as_dict() for finding in merge(differing, names)],
        )
        if warnings:
            result["warnings"] = [finding.line(names) for finding in warnings]
        if errors:
            result.update(failed=True, msg=render(errors, names))
        else:
            result["msg"] = f"Preflight found nothing that stops {counted(len(names), 'host')}."
        return result

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
            found.append(self._host(name, delegated["ansible_delegated_vars"][name], control_planes, workers))
        return names, found

    def _host(
        self, name: str, raw: t.Mapping[str, t.Any], control_planes: t.Collection[str], workers: t.Collection[str]
    ) -> Host:
        """A host with its variables as the roles of this play will see them, and with what was seen of it."""
        variables = Variables(self._templar, collection_roles(), raw)
        given = variables.given
        for variable in sorted(given & collection_roles().options.keys()):
            variables.get(variable)
        known = registered(raw, LOOK, "slipway_preflight") or {}
        failure = known.get("failure")
        return Host(
            name=name,
            control_plane=name in control_planes,
            worker=name in workers,
            variables=variables,
            given=given,
            broken={variable: reason for variable, reason in variables.broken.items() if variable in given},
            facts=None if failure else seen(raw),
            failure=Failure(*failure) if failure else None,
            source_failure=known.get("source_failure", ""),
            clock=known.get("clock"),
            sources=known.get("sources") or (),
            peers=registered(raw, PEERS, "slipway_peers") or {},
        )
