# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All checks on what the steps of a build need of machines, networks and sources.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight import sources
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import (
    controller,
    limits,
    network,
    surroundings,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Check

BUILD_CHECKS: t.Tuple[Check, ...] = (
    *limits.CHECKS,
    *surroundings.CHECKS,
    *network.CHECKS,
    *sources.CHECKS,
    *controller.CHECKS,
)
