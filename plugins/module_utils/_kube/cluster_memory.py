# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What this collection remembers in a cluster: a ConfigMap in kube-system for each kind of thing.

Whoever may write there rules the cluster anyway; nodes may not.

Private to this collection.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kube_objects as kube
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl


@dataclasses.dataclass(frozen=True)
class Memory:
    """A ConfigMap: names and a text for each."""

    name: str

    @property
    def manifest(self) -> kube.Object:
        """The ConfigMap without what is remembered."""
        metadata = {"name": self.name, "namespace": "kube-system"}
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}

    def read(self, kubectl: Kubectl) -> t.Dict[str, str]:
        """All that is remembered.

        :raises SlipwayError: when the cluster cannot be asked.
        """
        items, result = kube.read(kubectl, [self.manifest])
        if result.rc != 0:
            raise SlipwayError(f"Cannot read {kube.reference(self.manifest)}: {kube.complaint(result)}")
        return dict(items[0].get("data") or {}) if items else {}

    def write(self, kubectl: Kubectl, data: t.Mapping[str, str]) -> None:
        """Remember this, and nothing else.

        :raises SlipwayError: when the cluster refuses.
        """
        argv = ["apply", "--filename=-", "--server-side", "--field-manager=slipway", "--force-conflicts"]
        result = kubectl.run(*argv, stdin=kube.as_list([{**self.manifest, "data": dict(data)}]), check=False)
        if result.rc != 0:
            raise SlipwayError(f"Cannot write {kube.reference(self.manifest)}: {kube.complaint(result)}")

    def forget(self, kubectl: Kubectl) -> None:
        """Remember nothing any more.

        :raises SlipwayError: when the cluster refuses.
        """
        place = (f"--namespace={self.manifest['metadata']['namespace']}", "--ignore-not-found")
        result = kubectl.run("delete", "configmap", self.name, *place, check=False)
        if result.rc != 0:
            raise SlipwayError(f"Cannot delete {kube.reference(self.manifest)}: {kube.complaint(result)}")


#: Names of nodes that were removed, and when: who asks for one again is told so, and a name that never was one is an
#: error.
REMOVED_NODES = Memory("slipway-removed-nodes")
#: What the serving certificate of each node's kubelet may bear, as :func:`kubelet_requests.as_text` writes it.
SERVING_IDENTITIES = Memory("slipway-serving-identities")
#: What the module kube_node has set on each node, by the name of its record. Not on the Node itself, where its kubelet
#: could have taints and labels taken away by it that it may not touch.
NODE_SETTINGS = Memory("slipway-node-settings")
#: What we have given to CoreDNS, as the module coredns keeps it; there as long as it has something of ours.
DNS = Memory("slipway-coredns")
#: Corefiles of somebody else's that were replaced.
DNS_KEPT = Memory("slipway-coredns-kept")
#: That the pod network is being changed: ``from`` and ``to`` by the names that the inventory has for them, ``since``.
POD_NETWORK_CHANGE = Memory("slipway-pod-network-change")
