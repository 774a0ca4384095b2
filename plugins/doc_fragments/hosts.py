# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of modules that look at all hosts of a cluster at once."""

    DOCUMENTATION = r"""
options:
  control_plane_hosts:
    description: Inventory names of the control planes.
    type: list
    elements: str
    required: true
  worker_hosts:
    description: Inventory names of the workers; a host may be in both lists.
    type: list
    elements: str
    required: true
"""
