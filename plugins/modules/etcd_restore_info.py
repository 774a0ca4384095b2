#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_restore_info
short_description: What a restore of etcd would find on a machine
version_added: 0.1.0
description:
  - Looks what this machine is, and refuses a snapshot of another cluster. M(slipway.kubernetes.etcd_restore) restores.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.attributes.read_only
  - slipway.kubernetes.cri_socket
  - slipway.kubernetes.etcd
options:
  checksum:
    description: Checksum of the snapshot. By it a restore that has not ended is told from another one.
    type: str
    default: ""
  authority:
    description: The certificate of the CA of the snapshot's cluster, in PEM.
    type: str
  etcd_authority:
    description: The certificate of etcd's CA of the snapshot's cluster, in PEM.
    type: str
  version:
    description: The version of Kubernetes of the snapshot.
    type: str
  snapshot_size:
    description:
      - Bytes of the snapshot. Given them, the module also looks whether a member has an image with etcd's tools, and
        room for a copy of the snapshot, for what is made of that, and for the snapshot where that is still to come.
    type: int
"""

EXAMPLES = r"""
- name: See what this machine is
  slipway.kubernetes.etcd_restore_info:
    version: 1.37.1
  register: example_machine
"""

RETURN = r"""
kind:
  description:
    - V(member) is a control plane with an etcd by kubeadm, whether it has data or not.
    - V(bare) is a machine without anything of Kubernetes but, maybe, a CA.
  type: str
  choices: [member, bare]
  returned: success
  sample: member
in_use:
  description: Whether the etcd of this host works and has a cluster of kubeadm in it.
  type: bool
  returned: success
  sample: false
unfinished:
  description: Whether a restore was begun here that has not ended. One of another snapshot counts until it is in use.
  type: bool
  returned: success
  sample: false
completed:
  description: Whether a restore of this snapshot has not ended, but is in use already.
  type: bool
  returned: success
  sample: false
member:
  description: Name of this host's member; empty when it has none.
  type: str
  returned: success
  sample: cp1
peer_url:
  description: Its peer URL.
  type: str
  returned: success
  sample: https://172.30.0.11:2380
obstacle:
  description: Why the data of this member cannot be replaced; empty when it can, or without O(snapshot_size).
  type: str
  returned: success
  sample: ""
"""

import os
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _records
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd as _etcd
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd_restore
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import kubeadm, static_pods, upgrade
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

_PKI = KUBEADM.pki
#: An etcd without it has no cluster of kubeadm, such as one that has started anew after it lost its data.
_PROOF = "/registry/configmaps/kube-system/kubeadm-config"


class EtcdRestoreInfo:
    """The look at one machine."""

    def __init__(self, context: Context) -> None:
        self._params, self._runner = context.params, context.runner

    def run(self) -> t.Dict[str, t.Any]:
        """What this machine is.

        :raises SlipwayError: when the snapshot does not fit it, or something else than a restore has not ended.
        """
        marker, pending = _records.KUBEADM.read(), os.path.exists(etcd_restore.PENDING)
        if marker is not None and not (marker.get("operation") == "init" and pending):
            kubeadm.unfinished("restore")
        if marker is None and pending:
            marker = {}
        completed = bool(marker and marker.get("completed"))
        same = bool(marker and self._params["checksum"] and marker.get("checksum") == self._params["checksum"])
        unfinished = marker is not None and (same or not completed)
        # What a `kubeadm init` with a snapshot has left half done is done anew, as on a bare machine.
        member = os.path.exists(self._params["manifest"]) and not pending
        self._expect_same_cluster(member)
        found = [path for path in etcd_restore.TRACES if os.path.exists(path)]
        if found and marker is None and not member:
            raise SlipwayError(
                f"This host is part of a cluster ({', '.join(found)}) and has no etcd of kubeadm"
                f" ({self._params['manifest']}), so there is nothing to restore on it, nor is it bare. Take it down"
                " (reset.yml, remove_node.yml), or correct the inventory. Nothing was changed."
            )
        pod = _etcd.read_pod(self._params["manifest"]) if member else None
        return {
            "kind": "member" if pod else "bare",
            "in_use": pod is not None and self._in_use(pod),
            "unfinished": unfinished,
            "completed": completed and unfinished,
            "member": pod.name if pod else "",
            "peer_url": pod.peer_url if pod else "",
            "obstacle": self._obstacle(pod) if pod and self._params["snapshot_size"] else "",
        }

    def _expect_same_cluster(self, member: bool) -> None:
        for name, option in (("ca.crt", "authority"), ("etcd/ca.crt", "etcd_authority")):
            path, wanted = os.path.join(_PKI, name), self._params[option]
            if member and not os.path.exists(path):
                raise SlipwayError(
                    f"This host is a control plane without {path}: it has lost more than etcd's data. Turn it into a"
                    " bare machine (reset.yml), which is restored as one. Nothing was changed."
                )
            if wanted and os.path.exists(path) and read_text(path).strip() != wanted.strip():
                raise SlipwayError(
                    f"The snapshot is of another cluster: its CA is not the one in {path} on this host. Nothing was"
                    " changed."
                )
        version, here = self._params["version"], upgrade.kube_version(upgrade.static_pods()).get("kube-apiserver", "")
        if member and version and here and version.split(".")[:2] != here.split(".")[:2]:
            raise SlipwayError(
                f"The snapshot is of Kubernetes {version}, and the control plane of this host of {here}. Restore one of"
                " the same minor version. Nothing was changed."
            )

    def _in_use(self, pod: _etcd.Pod) -> bool:
        """When etcd cannot be asked, the API server of this host knows whether it works."""
        if not static_pods.ETCD.pid():
            return False
        etcd = _etcd.Etcd(self._runner, pod, self._params["cri_socket"])
        try:
            if _etcd.quorum(etcd.members())["holds"]:
                return _PROOF in etcd.ctl("get", _PROOF, "--keys-only").stdout
        except SlipwayError:
            pass
        return api_server.is_ready()

    def _obstacle(self, pod: _etcd.Pod) -> str:
        """Why the data cannot be replaced; empty when it can. One that cannot be restored must not cost the others."""
        if not _etcd.Tools(self._runner, pod.image, self._params["cri_socket"]).has_image():
            return (
                f"The container runtime has no image {pod.image} any more, in which etcdutl is. Pull it through the CRI"
                " (`crictl pull`, or `kubeadm config images pull`) and run again."
            )
        if os.path.isdir(pod.data):
            size: int = self._params["snapshot_size"]
            is_to_come = not os.path.exists(etcd_restore.SNAPSHOT) and etcd_restore.shares_disk(pod.data)
            try:
                etcd_restore.expect_room(pod.data, (3 if is_to_come else 2) * size)
            except SlipwayError as error:
                return str(error)
        return ""


ARGUMENTS: t.Dict[str, t.Any] = {
    **_etcd.ETCD_ARGUMENTS,
    "checksum": {"type": "str", "default": ""},
    "authority": {"type": "str"},
    "etcd_authority": {"type": "str"},
    "version": {"type": "str"},
    "snapshot_size": {"type": "int"},
}


def main() -> None:
    run_module(ARGUMENTS, lambda context: EtcdRestoreInfo(context).run())


if __name__ == "__main__":
    main()
