# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What SELinux calls files by: their labels. A new file has that of its folder, which is not always that of its place.

Private to this collection.
"""

from __future__ import annotations

import contextlib
import os

try:
    # By ctypes: nothing is installed for it.
    from ansible.module_utils.compat import selinux
except ImportError:
    selinux = None

_ATTRIBUTE = "security.selinux"


def is_on() -> bool:
    """Whether files have labels on this machine."""
    return selinux is not None and bool(selinux.is_selinux_enabled() == 1)


def give_label(path: str, place: str = "") -> None:
    """Give a file or folder the label of its place: that of what is there, or else what the policy says.

    Nothing happens where SELinux is off, the file system keeps no labels, or the policy says nothing about the place.

    :param place: where ``path`` will be, when that is elsewhere.
    """
    if not is_on():
        return
    with contextlib.suppress(OSError):
        if place and os.path.lexists(place):
            # An administrator may have given it another one than the policy does.
            os.setxattr(path, _ATTRIBUTE, os.getxattr(place, _ATTRIBUTE, follow_symlinks=False), follow_symlinks=False)
        else:
            code, label = selinux.matchpathcon(place or path, os.lstat(path).st_mode)
            if code == 0:
                selinux.lsetfilecon(path, label)


def label_type(path: str) -> str:
    """The type in the label of a file, such as ``etc_t``; empty when it has none, or is not there."""
    try:
        label = os.getxattr(path, _ATTRIBUTE, follow_symlinks=False).decode("utf-8", "replace").rstrip("\0")
    except OSError:
        return ""
    parts = label.split(":")
    return parts[2] if len(parts) > 2 else ""
