#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_apply
short_description: Apply or delete Kubernetes manifests
version_added: 0.1.0
description:
  - Applies manifests by server-side apply with C(kubectl) on the target host; neither a Python client nor PyYAML is
    needed there.
  - What changes is found out by comparing the objects with the result of a server-side dry run. An object also counts
    as changed when only the set of fields that O(field_manager) owns changes.
  - Namespaces and custom resource definitions are applied before the other objects. Custom resources may stand in the
    same call as their definitions.
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.kubectl
attributes:
  check_mode:
    support: full
    details:
      - Where C(kubectl) or the kubeconfig is absent, everything would be created.
      - Objects whose kind or namespace does not exist yet are reported as created without asking the API server.
  diff_mode:
    support: full
    details:
      - Shows only what changes, without what the API server keeps in the metadata, and masks the data of Secrets.
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) creates the objects or changes them so that they have the given fields.
      - V(absent) deletes the objects.
    type: str
    choices: [present, absent]
    default: present
  definition:
    description:
      - The objects as a mapping, a list of mappings, or a text with YAML or JSON documents.
      - If they hold secrets, set C(no_log) on the task, since differences show them. The machine's log has none.
    type: raw
  files:
    description:
      - Paths of YAML or JSON files on the target host.
    type: list
    elements: path
  url:
    description:
      - Address of a YAML or JSON file that the target host downloads.
    type: str
  checksum:
    description:
      - What the file at O(url) must hash to, as C(sha256:) with either 64 hexadecimal digits or the address of a file
        with checksums as C(sha256sum) writes it.
    type: str
  patches:
    description:
      - Parts of the given objects, each with C(apiVersion), C(kind) and C(metadata), that are laid over them before
        they are applied. This is how a manifest of somebody else is changed without a copy of it.
      - Dictionaries go key by key, and V(null) takes a key out. Lists whose entries have a C(name) go name by name,
        such as those of containers and of their environment. Everything else is replaced.
      - A part of an object that is not given is an error.
    type: list
    elements: dict
    default: []
  namespace:
    description:
      - Namespace of the objects that name none.
    type: str
    default: default
  set_name:
    description:
      - Name of the set that the objects make up. Objects of an earlier call with the same name that are not given any
        more are deleted.
      - The objects get the label C(slipway.io/set), but those that were there before without it do not. They are given
        their fields, and never deleted.
      - What belongs to the set is recorded in the ConfigMap C(slipway-set-NAME) in the namespace C(kube-system). A
        recorded object that lacks the label is left alone.
      - With O(state=absent) all objects of the set are deleted.
    type: str
  field_manager:
    description:
      - Name under which the API server records which fields are owned.
    type: str
    default: slipway
  force_conflicts:
    description:
      - Whether to take over fields that somebody else owns and sets to other values. Otherwise they are an error.
    type: bool
    default: false
  retry:
    description:
      - Seconds to go on trying while the API server, a webhook or a custom resource definition comes up.
      - Definitions that are applied by the same call are waited for in any case.
    type: int
    default: 0
  delete_timeout:
    description:
      - Seconds to wait until deleted objects are gone; V(0) does not wait.
    type: int
    default: 120
author:
  - slipway.kubernetes contributors (@slipway)
"""

EXAMPLES = r"""
- name: Make a namespace with a setting in it
  slipway.kubernetes.kube_apply:
    set_name: example
    definition:
      - apiVersion: v1
        kind: Namespace
        metadata:
          name: example
      - apiVersion: v1
        kind: ConfigMap
        metadata:
          name: colours
          namespace: example
        data:
          sky: blue

- name: Apply a template's text, and wait up to two minutes for the webhook that checks it
  slipway.kubernetes.kube_apply:
    namespace: example
    retry: 120
    definition: |
      apiVersion: v1
      kind: Service
      metadata:
        name: web
      spec:
        selector:
          app: web
        ports:
          - port: 80

- name: Apply a file from the internet
  slipway.kubernetes.kube_apply:
    url: "{{ example_manifest_url }}"
    checksum: "sha256:{{ example_manifest_sha256 }}"
  when: example_manifest_url is defined

- name: Apply it with another number of replicas, and without a limit
  slipway.kubernetes.kube_apply:
    url: "{{ example_manifest_url }}"
    checksum: "sha256:{{ example_manifest_sha256 }}"
    patches:
      - apiVersion: apps/v1
        kind: Deployment
        metadata:
          name: web
        spec:
          replicas: 3
          template:
            spec:
              containers:
                - name: web
                  resources:
                    limits: null
  when: example_manifest_url is defined

- name: Delete all that was applied as the set named example
  slipway.kubernetes.kube_apply:
    set_name: example
    state: absent
"""

RETURN = r"""
msg:
  description: How many objects were created, configured, deleted or left as they were.
  type: str
  returned: success
  sample: 1 created, 4 unchanged
objects:
  description: The objects and what was done with each.
  type: list
  elements: dict
  returned: success
  contains:
    kind:
      description: Kind of the object.
      type: str
      sample: ConfigMap
    namespace:
      description: Namespace of the object; empty when it belongs to none.
      type: str
      sample: example
    name:
      description: Name of the object.
      type: str
      sample: colours
    action:
      description: One of V(created), V(configured), V(deleted), V(unchanged).
      type: str
      sample: created
"""

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kube_apply import KubeApply
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import KUBECTL_ARGUMENTS, Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import lines_shown

ARGUMENTS: t.Dict[str, t.Any] = {
    **KUBECTL_ARGUMENTS,
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "definition": {"type": "raw"},
    "files": {"type": "list", "elements": "path"},
    "url": {"type": "str"},
    "checksum": {"type": "str"},
    "patches": {"type": "list", "elements": "dict", "default": []},
    "namespace": {"type": "str", "default": "default"},
    "set_name": {"type": "str"},
    "field_manager": {"type": "str", "default": "slipway"},
    "force_conflicts": {"type": "bool", "default": False},
    "retry": {"type": "int", "default": 0},
    "delete_timeout": {"type": "int", "default": 120},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    context.hide_credentials(context.params["url"], (context.params["checksum"] or "").partition(":")[2])
    result = KubeApply(context.params, Kubectl.of(context), context.check_mode).run()
    for warning in result.pop("warnings", []):
        context.warn(lines_shown(warning))
    result.pop("kept", None)
    return result


def main() -> None:
    run_module(
        ARGUMENTS,
        run,
        quiet=True,
        required_one_of=[("definition", "files", "url", "set_name")],
        required_together=[("url", "checksum")],
    )


if __name__ == "__main__":
    main()
