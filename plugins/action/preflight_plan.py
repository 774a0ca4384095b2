# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan which connections between machines are tried before they become nodes."""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.hosts import HOSTS, HostsAction
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.plan import Plan


class ActionModule(HostsAction):
    """Needs no connection: it reads the variables and facts of all hosts and changes nothing."""

    def run(self, tmp: t.Any = None, task_vars: t.Optional[t.Dict[str, t.Any]] = None) -> t.Dict[str, t.Any]:
        """Returns the arguments of peer_listen and of peer_probe, by host."""
        _validation, arguments = self.validate_argument_spec(argument_spec=HOSTS)
        variables = task_vars or {}
        _names, hosts = self.hosts(arguments, variables)
        return {"changed": False, **Plan(hosts, variables["ansible_play_hosts"]).as_dict()}
