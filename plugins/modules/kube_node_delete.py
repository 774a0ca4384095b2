#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_node_delete
short_description: Delete nodes from a cluster, with what belongs to them
version_added: 0.1.0
description:
  - Deletes Node objects, their Leases, their kubelets' certificate signing requests, and pods that are bound to them,
    which nobody would end any more.
  - A kubelet that still runs would register its node again. Reset the machine first, or be sure that it is dead.
  - The names are remembered in the ConfigMap C(slipway-removed-nodes) in C(kube-system), and no certificate of their
    kubelets is renewed any more (see M(slipway.kubernetes.kube_csr_approve)).
  - VolumeAttachments are left to the cluster, which detaches volumes when it is safe.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.kubectl
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  names:
    description:
      - Names of the Node objects.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Delete a node whose machine is gone
  slipway.kubernetes.kube_node_delete:
    names: [a-node-that-is-no-more]
"""

RETURN = r"""
deleted:
  description: What was deleted, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample: [Node worker1, Lease.coordination.k8s.io kube-node-lease/worker1]
"""

import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kube_objects as kube
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.cluster_memory import (
    NODE_SETTINGS,
    REMOVED_NODES,
    SERVING_IDENTITIES,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import KUBECTL_ARGUMENTS, Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import LONGEST, shown

_USER = "system:node:"


def manifests(name: str) -> t.List[kube.Object]:
    """The objects that have a node's name."""
    lease = {"name": name, "namespace": "kube-node-lease"}
    return [
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}},
        {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": lease},
    ]


class KubeNodeDelete:
    """The deletion of Node objects and of what belongs to them."""

    def __init__(self, params: t.Mapping[str, t.Any], kubectl: Kubectl, check_mode: bool = False) -> None:
        self._names: t.List[str] = params["names"]
        self._kubectl = kubectl
        self._check_mode = check_mode

    def run(self) -> t.Dict[str, t.Any]:
        """Delete, or in check mode say what would be deleted.

        :raises SlipwayError: when the cluster cannot be asked or refuses.
        """
        lacking = self._kubectl.missing()
        if lacking:
            raise SlipwayError(lacking)
        objects, result = kube.read(self._kubectl, [item for name in self._names for item in manifests(name)])
        if result.rc != 0:
            raise SlipwayError(f"Cannot read nodes: {kube.complaint(result)}")
        objects += self._requests()
        pods = self._pods()
        found = [*objects, *pods]
        if found and not self._check_mode:
            # Remembered first: a run that dies after the deletion finds the name again.
            self._remember()
            self._delete(objects)
            self._delete(pods, "--force", "--grace-period=0")
        names = [shown(kube.reference(item), LONGEST) for item in found]
        before = "".join(f"{name}\n" for name in names)
        return {
            "changed": bool(found),
            "deleted": names,
            "diff": [{"before_header": "cluster", "after_header": "cluster", "before": before, "after": ""}],
        }

    def _read(self, *arguments: str) -> t.List[kube.Object]:
        result = self._kubectl.run("get", *arguments, "--output=json", check=False)
        if result.rc != 0:
            raise SlipwayError(f"Cannot read {arguments[0]}: {kube.complaint(result)}")
        return kube.expand(kube.documents(result.stdout), "kubectl")

    def _requests(self) -> t.List[kube.Object]:
        """Certificate signing requests of their kubelets."""
        users = {_USER + name for name in self._names}
        return [item for item in self._read("csr") if item["spec"].get("username") in users]

    def _pods(self) -> t.List[kube.Object]:
        found = []
        for name in self._names:
            items = self._read("pods", "--all-namespaces", f"--field-selector=spec.nodeName={name}")
            found += [item for item in items if item["spec"].get("nodeName") == name]
        return found

    def _delete(self, objects: t.Sequence[kube.Object], *options: str) -> None:
        if not objects:
            return
        argv = ["delete", "--filename=-", "--ignore-not-found", "--wait=false", *options]
        result = self._kubectl.run(*argv, stdin=kube.as_list(kube.identity(item) for item in objects), check=False)
        if result.rc != 0:
            raise SlipwayError(f"Cannot delete nodes: {kube.complaint(result)}")

    def _remember(self) -> None:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        REMOVED_NODES.write(self._kubectl, {**REMOVED_NODES.read(self._kubectl), **dict.fromkeys(self._names, moment)})
        for memory in (SERVING_IDENTITIES, NODE_SETTINGS):
            known = memory.read(self._kubectl)
            staying = {name: text for name, text in known.items() if name not in self._names}
            if staying != known:
                memory.write(self._kubectl, staying)


ARGUMENTS: t.Dict[str, t.Any] = {**KUBECTL_ARGUMENTS, "names": {"type": "list", "elements": "str", "required": True}}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    return KubeNodeDelete(context.params, Kubectl.of(context), context.check_mode).run()


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
