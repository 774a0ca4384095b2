# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What SELinux does on a machine, now and after the next boot.

Private to this collection.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._labels import label_type
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM, Layout

ENFORCE = "/sys/fs/selinux/enforce"
CONFIGURATION = "/etc/selinux/config"
#: The line of the mode: to libselinux the first one that begins so counts, in upper or lower case.
SETTING = re.compile(r"^SELINUX=\s*(enforcing|permissive|disabled)", re.MULTILINE | re.IGNORECASE)
#: How to have it on.
OFF = (
    "SELinux is off on this host, and shall enforce. Nothing was changed. Set SELINUX=permissive in"
    f" {CONFIGURATION}, take selinux=0 off the kernel's command line, run `touch /.autorelabel`, reboot, and run again."
)
#: Types of files that nobody has given a label to, or not that of their place.
_NO_TYPES = ("", "unlabeled_t", "default_t", "file_t")


def mode(root: str = "") -> str:
    """``enforcing``, ``permissive``, or nothing where the kernel has no policy."""
    return {"1": "enforcing", "0": "permissive"}.get(read_text(root + ENFORCE).strip(), "")


def mode_at_boot(root: str = "") -> str:
    """The mode of the configuration: ``enforcing``, ``permissive``, ``disabled``, or nothing where it has none."""
    found = SETTING.search(read_text(root + CONFIGURATION))
    return found[1].lower() if found else ""


def look(root: str = "", layout: Layout = KUBEADM) -> t.Dict[str, t.Any]:
    """All that was found."""
    now = mode(root)
    folders = (layout.folder, layout.etcd_data, layout.kubelet_folder, "/etc/systemd/system", "/usr/local/bin")
    there = [folder for folder in folders if os.path.isdir(root + folder)]
    return {
        "mode": now,
        "at_boot": mode_at_boot(root),
        "unlabelled": [folder for folder in there if now and label_type(root + folder) in _NO_TYPES],
    }
