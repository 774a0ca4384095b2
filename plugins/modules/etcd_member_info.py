#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_member_info
short_description: The members of etcd, how they are, and how many more may fail
version_added: 0.1.0
description:
  - Asks the member of etcd on a control plane for all members, and each of them how it is.
  - Works without a quorum, too, as long as the member on this host answers.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.attributes.read_only
  - slipway.kubernetes.cri_socket
  - slipway.kubernetes.etcd
options: {}
"""

EXAMPLES = r"""
- name: Look at etcd
  slipway.kubernetes.etcd_member_info:
  register: example_etcd

- name: Stop when no member may fail any more
  ansible.builtin.assert:
    that: example_etcd.quorum.holds
"""

RETURN = r"""
msg:
  description: How etcd is, as one line.
  type: str
  returned: success
  sample: 3 of 3 members are healthy; 1 more may fail
members:
  description: The members by name.
  type: list
  elements: dict
  returned: success
  contains:
    id:
      description: Its number in hexadecimal digits, as etcd's own messages have it.
      type: str
      sample: f73dca8770531f70
    name:
      description: Its name; empty as long as it has been added but has not started.
      type: str
      sample: cp1
    peer_urls:
      description: Where other members reach it.
      type: list
      elements: str
      sample: ["https://172.30.0.11:2380"]
    client_urls:
      description: Where API servers reach it.
      type: list
      elements: str
      sample: ["https://172.30.0.11:2379"]
    learner:
      description: Whether it is a learner, which does not decide anything yet.
      type: bool
      sample: false
    started:
      description: Whether it has ever started.
      type: bool
      sample: true
    healthy:
      description: Whether it answers.
      type: bool
      sample: true
    leader:
      description: Whether it is the leader.
      type: bool
      sample: true
    version:
      description: Its version; empty when it does not answer.
      type: str
      sample: 3.7.0
    db_size:
      description: Bytes of its database.
      type: int
      sample: 1859584
    alarms:
      description: Its alarms, such as V(NOSPACE) and V(CORRUPT).
      type: list
      elements: str
      sample: []
    problem:
      description: Why it is not healthy.
      type: str
      sample: ""
quorum:
  description: Whether etcd can decide.
  type: dict
  returned: success
  contains:
    members:
      description: How many members decide; learners do not.
      type: int
      sample: 3
    required:
      description: How many of them have to be healthy.
      type: int
      sample: 2
    healthy:
      description: How many are.
      type: int
      sample: 3
    holds:
      description: Whether these are enough.
      type: bool
      sample: true
    may_fail:
      description: How many more may fail.
      type: int
      sample: 1
version:
  description: The version of the member on this host.
  type: str
  returned: success
  sample: 3.7.0
image:
  description: The image of the member on this host.
  type: str
  returned: success
  sample: registry.k8s.io/etcd:3.7.0-0
"""

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    pod = etcd.read_pod(context.params["manifest"])
    members = etcd.Etcd(context.runner, pod, context.params["cri_socket"]).members()
    return {
        "msg": etcd.describe(members),
        "members": [member.as_dict() for member in members],
        "quorum": etcd.quorum(members),
        "version": next((member.version for member in members if member.name == pod.name), ""),
        "image": pod.image,
    }


def main() -> None:
    run_module(etcd.ETCD_ARGUMENTS, run)


if __name__ == "__main__":
    main()
