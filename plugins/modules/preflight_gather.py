#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is a documentation-only file: what it does is in the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_gather
short_description: Look at a host for the preflight report
version_added: 0.1.0
description:
  - Runs M(slipway.kubernetes.node_facts), and M(slipway.kubernetes.package_source) in check mode on hosts that do not
    have the Kubernetes packages of the asked version yet.
  - Asks the other sources of what a host has not yet by M(slipway.kubernetes.source_probe), unless
    C(preflight_sources) is V(false).
  - Never fails and never makes a host unreachable. What goes wrong (no answer, no Python, no sudo, no such version in
    the repository) is kept as a fact for M(slipway.kubernetes.preflight_report).
author:
  - slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.attributes.read_only
seealso:
  - module: slipway.kubernetes.preflight_report
"""

EXAMPLES = r"""
- name: Look at the machine and at its package repository
  slipway.kubernetes.preflight_gather:
  check_mode: true
"""

RETURN = r"""
ansible_facts:
  description: What was seen.
  returned: always
  type: dict
  contains:
    slipway_node:
      description: The facts of M(slipway.kubernetes.node_facts).
      returned: when the host could be looked at
      type: dict
    slipway_preflight:
      description: What went wrong.
      returned: always
      type: dict
      contains:
        failure:
          description: Subject, message and remedy when the host could not be looked at.
          returned: always
          type: list
          elements: str
          sample: [python, no Python was found on the host., Install it.]
        clock:
          description: How many seconds the clock is ahead of the controller's, at least and at most.
          returned: when the host could be looked at
          type: list
          elements: float
          sample: [-0.4, 0.1]
        sources:
          description: What the host has to fetch and cannot, as M(slipway.kubernetes.source_probe) returns it.
          returned: always
          type: list
          elements: dict
          sample: []
        source_failure:
          description: Why the package repository does not provide the asked version; empty when it does.
          returned: always
          type: str
          sample: ""
"""
