# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a cluster has kube-proxy, which kubeadm installs unless it is told otherwise.

Private to this collection.
"""

from __future__ import annotations

from ansible_collections.slipway.kubernetes.plugins.module_utils._charts import within
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings

#: The phase of kubeadm init that installs it, and those that it is part of.
PHASE = "addon/kube-proxy"
_PHASES = frozenset(("addon", "addon/all", PHASE))


def has_kube_proxy(settings: Settings) -> bool:
    """Whether kubeadm installs it with the settings of a host."""
    skipped = {str(phase) for phase in settings.sequence("control_plane_skip_phases")}
    disabled = within(settings.mapping("control_plane_cluster_configuration"), "proxy", "disabled")
    return not skipped & _PHASES and str(disabled).lower() != "true"
