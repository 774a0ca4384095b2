#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_snapshot
short_description: Takes a backup of etcd, verified, with the PKI and kubeadm's configuration
version_added: 0.1.0
description:
  - Saves a snapshot of the etcd of a control plane, lets C(etcdutl) verify it, and puts it into one archive with all
    that is needed to use it - C(/etc/kubernetes/pki), kubeadm's configuration, the static pods.
  - The archive has mode 0600 in a folder with mode 0700, or is encrypted by C(age) before it reaches the disk.
  - Old archives are deleted after the new one is there. When it fails, nothing of it is left.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.cri_socket
  - slipway.kubernetes.etcd
attributes:
  check_mode:
    support: full
    details: Checks the options, and that there is an etcd.
  diff_mode:
    support: none
  idempotent:
    support: none
    details: Each call takes a backup.
options:
  directory:
    description: Folder for the archives.
    type: path
    default: /var/lib/slipway/etcd-backup
  cluster_name:
    description: Name of the cluster, which is part of the archives' names.
    type: str
    default: kubernetes
  keep:
    description: How many archives are kept in the folder; at least 1.
    type: int
    default: 7
  age_recipients:
    description: Public keys that C(age) encrypts the archive for. Without one it is not encrypted.
    type: list
    elements: str
    default: []
  kubeconfig:
    description: The administrator's kubeconfig, to read kubeadm's configuration.
    type: path
    default: /etc/kubernetes/admin.conf
"""

EXAMPLES = r"""
- name: Take a backup of etcd
  slipway.kubernetes.etcd_snapshot:
    keep: 3
  register: example_backup

- name: Show where it is
  ansible.builtin.debug:
    var: example_backup.archive
"""

RETURN = r"""
archive:
  description: The archive.
  type: str
  returned: changed, outside check mode
  sample: /var/lib/slipway/etcd-backup/etcd-lab-20261121T120000Z.tar.gz
sha256:
  description: Checksum of the archive.
  type: str
  returned: changed, outside check mode
  sample: d4f3c2b1a09f8e7d6c5b4a39281706f5e4d3c2b1a0998877665544332211aabb
size:
  description: Bytes of the archive.
  type: int
  returned: changed, outside check mode
  sample: 812345
created:
  description: When it was taken, in UTC.
  type: str
  returned: changed, outside check mode
  sample: "2026-11-21T12:00:00Z"
snapshot:
  description: What C(etcdutl) says about the snapshot.
  type: dict
  returned: changed, outside check mode
  sample: {hash: 0b1f5c1e, revision: 2538, total_keys: 901, size: 1859584, version: 3.7.0}
deleted:
  description: Older archives that were deleted.
  type: list
  elements: str
  returned: changed, outside check mode
  sample: []
"""

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _runtimes
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd.etcd import ETCD_ARGUMENTS
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd.etcd_backup import Backup, BackupError, Settings
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

ARGUMENTS: t.Dict[str, t.Any] = {
    **ETCD_ARGUMENTS,
    "directory": {"type": "path", "default": "/var/lib/slipway/etcd-backup"},
    "cluster_name": {"type": "str", "default": "kubernetes"},
    "keep": {"type": "int", "default": 7},
    "age_recipients": {"type": "list", "elements": "str", "default": []},
    "kubeconfig": {"type": "path", "default": KUBEADM.admin},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    try:
        options = dict(context.params)
        cri_socket = options.pop("cri_socket")
        tool = _runtimes.chosen(cri_socket=cri_socket).tool_at(cri_socket)
        backup = Backup(Settings(**options, tool=tool, pki=KUBEADM.pki))
        backup.check_directory()
        return {"changed": True, **({} if context.check_mode else backup.run())}
    except (BackupError, OSError) as error:
        raise SlipwayError(f"No backup of etcd was taken: {error}") from error


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
