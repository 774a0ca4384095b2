# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on settings of the pod network that argument_specs cannot refuse; each pod network says itself which.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import chosen
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Hosts, Problem


def check_pod_network(hosts: Hosts) -> t.Iterable[Problem]:
    """What the pod network has to say. It is installed from a control plane, with the variables of that."""
    for host in (host for host in hosts if host.control_plane):
        for finding in chosen(host).findings(host):
            if finding.subject not in host.broken:
                yield host.problem(*finding)


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (check_pod_network,)
