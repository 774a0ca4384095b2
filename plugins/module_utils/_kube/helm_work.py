# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a pending revision of Helm is: of a helm of ours that was killed, or of one that is at work now.

Private to this collection.
"""

from __future__ import annotations

import json
import os
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _processes, _records
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, read_text

FOLDER = _records.FOLDER
#: Seconds by which clocks and processes may differ.
_SLACK = 5
_CHANGES = {"install", "upgrade", "rollback", "uninstall"}


class HelmWork:
    """What is known about work on one release."""

    def __init__(self, namespace: str, name: str, timeout: float) -> None:
        """:param timeout: seconds that one helm command of ours may take."""
        self._name = name
        self._timeout = timeout
        self._path = os.path.join(FOLDER, f"helm-{namespace}-{name}.json")

    def begin(self) -> None:
        """Record that a helm of ours begins."""
        TextFile(self._path, json.dumps({"started": time.time()}) + "\n", 0o600).write()

    def fail(self) -> None:
        """Record that it has ended, and not well."""
        TextFile(self._path, json.dumps({**self._read(), "ended": time.time()}) + "\n", 0o600).write()

    def end(self) -> None:
        """Forget it: it has ended well, or nothing is pending."""
        if os.path.exists(self._path):
            os.unlink(self._path)

    def _read(self) -> t.Dict[str, float]:
        try:
            return dict(json.loads(read_text(self._path)))
        except (ValueError, TypeError):
            return {}

    def is_ours(self, created: float) -> bool:
        """Whether a revision of that time is of a helm of ours that began on this machine."""
        record = self._read()
        if "started" not in record:
            return False
        last = record.get("ended", record["started"] + self._timeout)
        return bool(record["started"] - _SLACK <= created <= last + _SLACK)

    def running(self, proc: str = _processes.PROC) -> t.List[int]:
        """Processes of helm on this machine that change a release of this name."""
        found = []
        for pid in filter(str.isdigit, os.listdir(proc)):
            words = _processes.words(pid, proc)
            if os.path.basename(words[0]) == "helm" and self._name in words and _CHANGES & set(words):
                found.append(int(pid))
        return sorted(found)
