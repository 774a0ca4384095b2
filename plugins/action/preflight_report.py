# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check all hosts of a cluster at once, on the controller, and fail with one report."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _machines, _openings
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight import kept
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import (
    CHANGES,
    REPORTS,
    checks_of,
    checks_of_a_change,
    checks_of_updates,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks.options import check_group_names
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.hosts import HOSTS, HostsAction
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    ERROR,
    Check,
    Problem,
    counted,
    merge,
    render,
    run_checks,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.variables import collection_roles
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._run_lock import this_run

ARGUMENTS = {
    **HOSTS,
    "upgrade": {"type": "dict"},
    "patch": {"type": "dict"},
    "reconfigure": {"type": "dict"},
    "change_cni": {"type": "dict"},
    "change_runtime": {"type": "dict"},
}


class ActionModule(HostsAction):
    """Needs no connection: it reads the variables and facts of all hosts and changes nothing."""

    def run(self, tmp: t.Any = None, task_vars: t.Optional[t.Dict[str, t.Any]] = None) -> t.Dict[str, t.Any]:
        """Returns problems and warnings as lists, and fails with the report as its message when there is a problem."""
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        names, hosts = self.hosts(arguments, task_vars or {})
        asked, reports = self._checks(arguments)
        strangers = [
            Problem(name, "inventory", "there is no such host in the inventory.", "Correct cluster_*_hosts.")
            for name in names
            if name not in {host.name for host in hosts}
        ]
        mistyped = check_group_names((task_vars or {}).get("groups") or {}, names)
        differences = run_checks(reports, hosts)
        findings = merge([*strangers, *mistyped, *run_checks(asked, hosts), *differences], names)
        errors = [finding for finding in findings if finding.severity == ERROR]
        warnings = [finding for finding in findings if finding.severity != ERROR]

        result.update(
            changed=False,
            problems=[finding.as_dict() for finding in errors],
            preflight_warnings=[finding.as_dict() for finding in warnings],
            nodes=_machines.addresses(hosts),
            firewall={} if errors else _openings.openings(hosts),
            differences=[finding.as_dict() for finding in merge(differences, names)],
            reconfiguration={} if errors or arguments["reconfigure"] is None else kept.reconfiguration(hosts),
        )
        if warnings:
            result["warnings"] = [finding.line(names) for finding in warnings]
        if errors:
            result.update(failed=True, msg=render(errors, names))
        else:
            result["msg"] = f"Preflight found nothing that stops {counted(len(names), 'host')}."
        return result

    def _checks(self, arguments: t.Mapping[str, t.Any]) -> t.Tuple[t.Sequence[Check], t.Sequence[Check]]:
        """What is asked of the hosts, and what is reported of them besides, by what the report is about."""
        catalogue, run, check = collection_roles(), this_run(os.getppid()), self._task.check_mode
        if arguments["patch"] is not None:
            return checks_of_updates(catalogue, run, arguments["patch"]), ()
        for name, change in CHANGES.items():
            if arguments[name] is not None:
                return checks_of_a_change(change, catalogue, run, check, arguments[name]), change.reports
        return checks_of(catalogue, run, check, arguments["upgrade"]), REPORTS
