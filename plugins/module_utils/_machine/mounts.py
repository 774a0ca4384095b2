# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file systems below the folders of Kubernetes: their kind, with which options they are mounted, how XFS was made.

Private to this collection.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _runtimes
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import LAYOUTS

#: Folders that the build writes to, or whose programs are run; beside them those of the container runtimes.
FOLDERS = (
    "/etc",
    "/opt",
    "/opt/cni/bin",
    "/usr/bin",
    "/usr/local/bin",
    *dict.fromkeys(folder for layout in LAYOUTS for folder in layout.folders),
)
#: Options that may stand in the way.
_OPTIONS = ("ro", "noexec", "nosuid", "nodev")
#: XFS_IOC_FSGEOMETRY_V1 on 64 bits (ioctl_xfs_fsgeometry(2)), the size of its answer, and where that has the flags.
_GEOMETRY, _GEOMETRY_SIZE, _GEOMETRY_FLAGS = 0x80705864, 112, 92
#: XFS_FSOP_GEOM_FLAGS_FTYPE: directories say of what kind their entries are.
_FTYPE = 0x10000


class Mount(t.NamedTuple):
    """A line of /proc/self/mountinfo (proc_pid_mountinfo(5))."""

    point: str
    kind: str
    options: t.List[str]


def parse_mounts(text: str) -> t.List[Mount]:
    """All mounts, the later ones over the earlier ones."""
    found = []
    for line in text.splitlines():
        left, sign, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if not sign or len(fields) < 6 or not kind:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4])
        # A file system that is read-only as a whole says so in its own options.
        options = [*fields[5].split(","), *(["ro"] if "ro" in kind[-1].split(",") else [])]
        found.append(Mount(point, kind[0], [name for name in _OPTIONS if name in options]))
    return found


def mount_of(folder: str, mounts: t.Sequence[Mount]) -> t.Optional[Mount]:
    """The mount that a folder is in, or would be in when it is made."""
    over = [mount for mount in mounts if (folder + "/").startswith(mount.point.rstrip("/") + "/")]
    return max(enumerate(over), key=lambda item: (len(item[1].point), item[0]))[1] if over else None


def has_ftype(folder: str) -> t.Optional[bool]:
    """Whether the XFS that a folder is in was made with ftype=1; None when it cannot be asked."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        answer = fcntl.ioctl(descriptor, _GEOMETRY, bytes(_GEOMETRY_SIZE))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return bool(struct.unpack_from("=I", answer, _GEOMETRY_FLAGS)[0] & _FTYPE)


def look(root: str = "") -> t.List[t.Dict[str, t.Any]]:
    """File system and options of each folder that matters, of XFS whether it has ftype, of ZFS the version that runs.

    :param root: a folder in the place of ``/``, for tests.
    """
    mounts = parse_mounts(read_text(f"{root}/proc/self/mountinfo"))
    found = []
    for folder in (*FOLDERS, *(runtime.data for runtime in _runtimes.RUNTIMES.values())):
        mount = mount_of(folder if root else os.path.realpath(folder), mounts)
        if mount:
            entry = {"path": folder, "point": mount.point, "type": mount.kind, "options": mount.options}
            ftype = has_ftype(root + mount.point) if mount.kind == "xfs" else None
            version = read_text(f"{root}/sys/module/zfs/version").strip() if mount.kind == "zfs" else ""
            found.append({**entry, "ftype": ftype, "version": version})
    return found
