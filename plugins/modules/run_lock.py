#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: run_lock
short_description: Let one run change a cluster at a time
version_added: 0.1.0
description:
  - Writes a record of this run of C(ansible-playbook) to C(/var/lib/slipway/run.json) on a control plane and, as soon
    as there is a cluster, to the Lease C(slipway-run) in C(kube-system), which is the same for all control planes.
  - Fails when the record of another run is there that still goes on. The message says who and since when.
  - On the same controller it is known exactly whether the other run goes on, by its process. A run of another
    controller counts as one that goes on for as long after its last sign of life as it has said itself. A small process
    on the controller gives one every 20 seconds until C(ansible-playbook) has ended, gives the lock back then, and ends
    C(ansible-playbook) when another run has the lock. So a run whose controller is gone is waited for, and its lock
    taken over after 90 seconds.
  - The same run may take the lock as often as it likes.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.kubectl
attributes:
  check_mode:
    support: full
    details: Writes nothing. Another run that goes on is a warning there.
  diff_mode:
    support: none
    details: The record is about the run and not about the machine, so it is no change.
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) takes the lock, V(absent) gives it back when this run has it.
      - The others are for internal use. V(looked) says whether another run has it. V(renewed) is a sign of life, and
        V(kept) says whether this run still has the lock.
    type: str
    choices: [absent, kept, looked, present, renewed]
    default: present
  take_over:
    description: Whether a record of another controller is taken for one of a run that has ended.
    type: bool
    default: false
  patience:
    description:
      - Seconds without a sign of life after which other controllers may take this run for one that has ended, until the
        process on the controller has given the first one.
    type: int
    default: 1800
  run:
    description: This run. The action plugin of the same name fills it in.
    type: dict
  over:
    description: The records of runs that have ended. The action plugin of the same name fills it in.
    type: list
    elements: dict
    default: []
  known:
    description: What V(renewed) or V(kept) has returned under this name before. For internal use.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Let no other run change the cluster
  slipway.kubernetes.run_lock:

- name: Let the next run begin
  slipway.kubernetes.run_lock:
    state: absent
"""

RETURN = r"""
ansible_facts:
  description: Facts that are added to the host's variables.
  returned: success
  type: dict
  contains:
    slipway_lock:
      description: Whether this run has the lock.
      returned: success
      type: bool
      sample: true
holder:
  description: The record of another run, empty when there is none.
  returned: success
  type: dict
  sample: {}
lost:
  description: The record of a run that has taken the lock from this one, empty when there is none.
  returned: when O(state=absent), O(state=renewed) or O(state=kept)
  type: dict
  sample: {}
known:
  description: What is to be given to the next call.
  returned: when O(state=renewed) or O(state=kept)
  type: dict
  sample: {transitions: 3}
"""

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import KUBECTL_ARGUMENTS, Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.run_lease import RunLease
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._node import run_record

#: Seconds that an API server may take for an answer; the file alone has to do when none answers.
_REQUEST_TIMEOUT = 5


def perform(params: t.Mapping[str, t.Any], lease: RunLease, check_mode: bool) -> t.Dict[str, t.Any]:
    """Do what the state says, and return the module's result."""
    run, over, state = params["run"] or {}, params["over"], params["state"]
    result: t.Dict[str, t.Any] = {"changed": False, "holder": {}}
    if state in ("renewed", "kept"):
        renewal = run_record.Renewal(run, params["known"], write=state == "renewed" and not check_mode)
        renewal.give(lease)
        return {**result, "lost": renewal.lost, "known": renewal.known}
    if state == "absent":
        result["lost"] = {} if check_mode else run_record.release(run, lease) or {}
    else:
        act = run_record.look if check_mode or state == "looked" else run_record.take
        result["holder"] = act(run, over, lease) or {}
    if state != "looked":
        result["ansible_facts"] = {
            "slipway_lock": state == "present" and not check_mode and not result["holder"],
        }
    return result


ARGUMENTS: t.Dict[str, t.Any] = {
    **KUBECTL_ARGUMENTS,
    "state": {
        "type": "str",
        "choices": ["absent", "kept", "looked", "present", "renewed"],
        "default": "present",
    },
    "take_over": {"type": "bool", "default": False},
    "patience": {"type": "int", "default": 1800},
    "run": {"type": "dict"},
    "over": {"type": "list", "elements": "dict", "default": []},
    "known": {"type": "dict", "default": {}},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    params = context.params
    kubectl = Kubectl(context.runner, params["kubeconfig"], params["context"], _REQUEST_TIMEOUT)
    return perform(params, RunLease(kubectl), context.check_mode)


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
