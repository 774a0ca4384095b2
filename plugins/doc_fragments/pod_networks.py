# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of modules that do a part of a change of the pod network."""

    DOCUMENTATION = r"""
options:
  networks:
    description:
      - The pod networks that go, by their names in O(slipway.kubernetes.cluster#role:look:cluster_cni).
    type: list
    elements: str
    required: true
  successor:
    description:
      - The pod network that stays.
    type: str
    required: true
"""
