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
  - Writes a record of this run of C(ansible-playbook) to C(/var/lib/slipway/run.json) on a control plane, and fails
    when the record of another run is there that still goes on. The message says who and since when.
  - On the same controller it is known exactly whether the other run goes on, by its process. A run of another
    controller counts as one that goes on for as long after its last sign of life, its last use of this module, as
    it has said by O(patience).
  - The same run may take the lock as often as it likes.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
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
    description: V(present) takes the lock, V(absent) gives it back when this run has it.
    type: str
    choices: [absent, present]
    default: present
  take_over:
    description: Whether a record of another controller is taken for one of a run that has ended.
    type: bool
    default: false
  patience:
    description: Seconds without a sign of life after which other controllers may take this run for one that has ended.
    type: int
    default: 1800
  run:
    description: This run. The action plugin of the same name fills it in.
    type: dict
  over:
    description: The record of a run that has ended. The action plugin of the same name fills it in.
    type: dict
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
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.kubernetes.plugins.module_utils import _run_record


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["absent", "present"], "default": "present"},
            "take_over": {"type": "bool", "default": False},
            "patience": {"type": "int", "default": 1800},
            "run": {"type": "dict"},
            "over": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    run, over = module.params["run"] or {}, module.params["over"] or {}
    holder = None
    if module.params["state"] == "absent":
        if not module.check_mode:
            _run_record.release(run)
    elif module.check_mode:
        found = _run_record.read_record()
        others = found is not None and not any(_run_record.is_same_run(found, known) for known in (run, over))
        holder = found if others else None
    else:
        holder = _run_record.take(run, over)
    taken = module.params["state"] == "present" and not module.check_mode and holder is None
    module.exit_json(changed=False, holder=holder or {}, ansible_facts={"slipway_lock": taken})


if __name__ == "__main__":
    main()
