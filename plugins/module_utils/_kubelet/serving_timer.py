# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where control planes have the timer that renews kubelets' serving certificates, and what of it is there.

The controller computes what shall be there, the machine says what is: a run has something to do when the two differ.

Private to this collection.
"""

from __future__ import annotations

import glob
import hashlib
import os
import subprocess
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text

TIMER = "slipway-serving-certificates.timer"
SERVICE = "slipway-serving-certificates.service"
FOLDER = "/usr/local/lib/slipway/serving-certificates"
UNITS = "/etc/systemd/system/slipway-serving-certificates.*"


def digest(files: t.Mapping[str, str]) -> str:
    """What tells a set of files (paths and texts) from any other."""
    whole = "".join(f"{path}\0{text}\0" for path, text in sorted(files.items()))
    return hashlib.sha256(whole.encode("utf-8", "surrogateescape")).hexdigest()


def present(folder: str = FOLDER, units: str = UNITS) -> t.Dict[str, str]:
    """The files that are on this machine."""
    found = glob.glob(units)
    for place, _folders, names in os.walk(folder):
        found += [os.path.join(place, name) for name in names]
    return {path: read_text(path) for path in found if os.path.isfile(path)}


def switches() -> t.Tuple[bool, bool, bool]:
    """Whether systemd runs the timer, will after the next boot, and has read the files that are there."""
    argv = ["systemctl", "show", "--property=ActiveState,UnitFileState,NeedDaemonReload", TIMER, SERVICE]
    try:
        said = subprocess.run(argv, capture_output=True, check=False, timeout=10).stdout.decode("utf-8", "replace")
    except (OSError, subprocess.TimeoutExpired):
        said = ""
    lines = said.splitlines()
    return "ActiveState=active" in lines, "UnitFileState=enabled" in lines, "NeedDaemonReload=yes" not in lines


def state() -> str:
    """The digest of what is there; empty when there is nothing, or the timer rests. What is so in part is a word.

    A timer that runs and is not enabled is gone after the next boot, and one that does not run may be back then. What
    was written by a run that was killed systemd may not have read.
    """
    files = present()
    runs, is_enabled, is_read = switches() if files else (False, False, False)
    if not (runs or is_enabled):
        return ""
    return digest(files) if runs and is_enabled and is_read else "in part"
