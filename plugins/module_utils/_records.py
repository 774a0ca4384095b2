# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records on this machine of work that has begun and not ended.

Private to this collection. See "Interrupted runs" in docs/architecture.md.
"""

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, read_text

#: The folder of all that this collection keeps on a machine.
FOLDER = "/var/lib/slipway"
#: What release archives have brought, a file for each.
ARCHIVES = f"{FOLDER}/archives"


class Work:
    """One kind of work, of which a machine does one at a time.

    :ivar path: the file that is there from its beginning to its end.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def read(self) -> t.Optional[t.Dict[str, t.Any]]:
        """What has begun and not ended; ``None`` when there is nothing. Empty when it cannot be read."""
        if not os.path.exists(self.path):
            return None
        try:
            record = json.loads(read_text(self.path))
        except ValueError:
            record = {}
        return record if isinstance(record, dict) else {}

    def begin(self, operation: str, **details: t.Any) -> None:
        """Record that ``operation`` begins."""
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        record = {"operation": operation, "started": started, **details}
        TextFile(self.path, json.dumps(record) + "\n", 0o600).write()

    def end(self) -> None:
        """Record that it has ended well."""
        if os.path.exists(self.path):
            os.unlink(self.path)


#: init, join, reset and the restore of etcd: what kubeadm has to find unfinished, or to finish, before all else.
KUBEADM = Work(f"{FOLDER}/kubeadm.json")
#: ``kubeadm upgrade``. ``version`` is where it leads.
UPGRADE = Work(f"{FOLDER}/upgrade.json")
#: A file of a node that was exchanged and has not proved itself: ``path``, and ``before``, where the one before it is.
RECONFIGURATION = Work(f"{FOLDER}/reconfiguration.json")
