# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open an archive of etcd_snapshot on the controller."""

from __future__ import annotations

import os
import shutil
import tempfile
import typing as t

from ansible import constants
from ansible.plugins.action import ActionBase
from ansible_collections.slipway.kubernetes.plugins.module_utils._api_endpoints import endpoint_with_port
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd import etcd_restore
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd.etcd_backup import BackupError
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _etcd_archive

ARGUMENTS = {
    "path": {"type": "str", "required": True},
    "vault_password": {"type": "str", "default": "", "no_log": True},
    "age_identity": {"type": "path", "default": ""},
    "expected": {"type": "dict", "default": {}},
}
_SHOWN = ("cluster_name", "created", "member", "image", "snapshot")


class ActionModule(ActionBase):
    """Needs no connection. What it leaves is in Ansible's own temporary folder, which goes when the run ends."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp: t.Any = None, task_vars: t.Optional[t.Dict[str, t.Any]] = None) -> t.Dict[str, t.Any]:
        """Where its content is, and what it is; failed with the reason when it is of no use."""
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)
        folder = tempfile.mkdtemp(prefix="etcd-archive-", dir=constants.DEFAULT_LOCAL_TMP)
        try:
            result.update(changed=False, folder=folder, **self._opened(arguments, folder))
        except (_etcd_archive.ArchiveError, BackupError) as error:
            shutil.rmtree(folder)
            result.update(failed=True, msg=str(error))
        return result

    @staticmethod
    def _opened(arguments: t.Mapping[str, t.Any], folder: str) -> t.Dict[str, t.Any]:
        path = arguments["path"] and os.path.abspath(os.path.expanduser(arguments["path"]))
        plain = os.path.join(folder, "archive.tar.gz")
        archive = _etcd_archive.open_archive(path, plain, arguments["vault_password"], arguments["age_identity"] or "")
        cluster = _etcd_archive.cluster_configuration(archive)
        expected = dict(arguments["expected"])
        if expected.get("endpoint"):
            expected["endpoint"] = endpoint_with_port(str(expected["endpoint"]))
        problems = _etcd_archive.differences(archive.about, cluster, expected)
        if problems:
            raise _etcd_archive.ArchiveError(f"{path} does not fit, nothing was changed. " + " ".join(problems))
        opened = {
            "about": {name: archive.about[name] for name in _SHOWN},
            "checksum": archive.about["files"]["snapshot.db"],
            "authorities": _etcd_archive.extract(archive, folder),
            "revision": etcd_restore.revision_now(),
            "version": str(cluster.get("kubernetesVersion", "")).lstrip("v"),
            "authority": archive.read("pki/ca.crt").decode("utf-8", "replace"),
            "etcd_authority": archive.read("pki/etcd/ca.crt").decode("utf-8", "replace"),
        }
        if os.path.exists(plain):
            os.unlink(plain)
        return opened
