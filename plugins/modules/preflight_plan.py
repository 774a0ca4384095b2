#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is a documentation-only file: what it does is in the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_plan
short_description: Plan which connections are tried between machines that shall be nodes
version_added: 0.1.0
description:
  - Says, from the facts that M(slipway.kubernetes.preflight_gather) left, which machines shall listen where
    (M(slipway.kubernetes.peer_listen)), and which connect to them (M(slipway.kubernetes.peer_probe)).
  - Only machines that are no nodes yet matter. Their number of connections does not grow with the size of the cluster.
author:
  - slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.attributes.read_only
  - slipway.kubernetes.hosts
seealso:
  - module: slipway.kubernetes.preflight_report
"""

EXAMPLES = r"""
- name: Plan which connections are tried
  slipway.kubernetes.preflight_plan:
    control_plane_hosts: "{{ groups['kube_control_plane'] }}"
    worker_hosts: "{{ groups['kube_node'] }}"
  run_once: true
  register: example_plan
"""

RETURN = r"""
listen:
  description: Arguments of M(slipway.kubernetes.peer_listen) by host.
  returned: always
  type: dict
  sample: {cp1: {address: 192.0.2.5, ports: [{protocol: tcp, port: 6443, peers: [worker1]}]}}
probe:
  description: Arguments of M(slipway.kubernetes.peer_probe) by host.
  returned: always
  type: dict
  sample: {worker1: {peers: [{host: cp1, address: 192.0.2.5, protocol: tcp, port: 6443, answer: true}]}}
timeout:
  description: Seconds after which listeners end in any case.
  returned: always
  type: int
  sample: 61
"""
