#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_addons
short_description: Charts and manifests that a cluster shall have
version_added: 0.1.0
description:
  - Installs charts and applies manifests in the order of a list, by C(helm) and C(kubectl) on the target host, and
    waits after each for what it says.
  - What was made is recorded in a ConfigMap in the namespace C(kube-system), O(record); objects of manifests carry the
    label C(slipway.io/set). When an entry is not in the list any more, what was made for it is removed. So is
    an object that has left its entry and is in no other.
  - That happens after the whole list was applied. Before a new release, those of the same chart that have left the list
    are uninstalled, and before an entry what it was until then, as a release in another namespace.
  - An object that two entries have is refused.
  - Never removed are namespaces and custom resource definitions of manifests, which hold more than the entry has put
    into them, and releases and objects that were there before the entry was. They are named in RV(addons[].kept).
  - A call that was killed is finished by the next one.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.kubectl
attributes:
  check_mode:
    support: full
    details:
      - Where C(kubectl), C(helm) or the kubeconfig is absent, everything would be applied.
      - That two entries have an object of a kind without namespaces is not seen while the namespace of one of these
        entries is not there.
  diff_mode:
    support: full
    details: Data of Secrets, and all of entries that are C(secret), are left out.
  idempotent:
    support: full
options:
  addons:
    description:
      - The list. Its entries are those of the variable C(addons_list) of the role P(slipway.kubernetes.addons#role),
        which describes all of their keys.
      - Files and folders that they name are on the controller, where a relative path begins at the folder of the
        inventory.
    type: json
    required: true
  prune:
    description: Whether what was made for entries that are not in the list any more, or has left its entry, is removed.
    type: bool
    default: true
  wait:
    description: Whether what entries say in C(ready_when) is waited for before the next one.
    type: bool
    default: true
  set_prefix:
    description:
      - How the names of sets begin that manifests of the list make up. With O(record) it keeps several lists in one
        cluster apart. At most 8 characters.
    type: str
    default: addon
  record:
    description: Name of the ConfigMap in the namespace C(kube-system) that records what was made.
    type: str
    default: slipway-addons
"""

EXAMPLES = r"""
- name: Have a namespace with a setting in it
  slipway.kubernetes.kube_addons:
    addons:
      - name: colours
        namespace: example
        definition:
          apiVersion: v1
          kind: ConfigMap
          metadata:
            name: colours
          data:
            sky: blue

- name: Have no addons any more
  slipway.kubernetes.kube_addons:
    addons: []
"""

RETURN = r"""
addons:
  description: The entries, in the order in which something was done about them.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Name of the entry.
      type: str
      sample: colours
    action:
      description:
        - V(installed) and V(upgraded) for charts, V(applied) for manifests, V(deleted) for what is not in the list any
          more, V(forgotten) for that when there was nothing to delete, V(unchanged).
      type: str
      sample: applied
    msg:
      description: How many objects were created, configured, deleted or left as they were.
      type: str
      returned: for manifests
      sample: 1 created, 1 unchanged
    kept:
      description: Objects that have left the entry and were not deleted.
      type: list
      elements: str
      returned: when there are such
      sample: [Namespace example]
    missing:
      description: What does not hold yet, in check mode.
      type: list
      elements: str
      returned: when the entry says what to wait for
      sample: []
"""

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.addons import (
    RECORD,
    SET,
    Addons,
    read_entries,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import KUBECTL_ARGUMENTS
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

ARGUMENTS: t.Dict[str, t.Any] = {
    **KUBECTL_ARGUMENTS,
    # As one text that is secret, values of charts are in no log and hide nothing else.
    "addons": {"type": "json", "required": True, "no_log": True},
    "prune": {"type": "bool", "default": True},
    "wait": {"type": "bool", "default": True},
    "set_prefix": {"type": "str", "default": SET},
    "record": {"type": "str", "default": RECORD},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    params = context.params
    entries = read_entries(params["addons"])
    if not params["wait"]:
        entries = [{**entry, "ready_when": []} for entry in entries]
    names = params["set_prefix"], params["record"]
    result = Addons(entries, params["prune"], params["kubeconfig"], context.runner, context.check_mode, names).run()
    for entry in result["addons"]:
        if entry.get("kept"):
            context.warn(f"addon {entry['name']}: not deleted, since more may be in them: {', '.join(entry['kept'])}.")
    return result


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
