# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on the controller itself: the folder for kubeconfigs, which are fetched when the cluster is there already.

Private to this collection; runs on the controller, as the user who runs Ansible.
"""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.plugin_utils._controller_files import unwritable
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import CLUSTER, Hosts, Problem


def check_fetch_directory(hosts: Hosts) -> t.Iterable[Problem]:
    """The folder on the controller that the administrator's kubeconfig is written to."""
    folders = {
        host.text("kubeconfig_fetch_directory"): None
        for host in hosts
        if host.control_plane and host.flag("kubeconfig_fetch")
    }
    for folder in filter(None, folders):
        reason = unwritable(folder)
        if reason:
            yield Problem(
                CLUSTER,
                "kubeconfig_fetch_directory",
                f"{folder} cannot be written on the controller: {reason}.",
                "Set it to a folder that you may write to, or kubeconfig_fetch to false.",
            )


CHECKS = (check_fetch_directory,)
