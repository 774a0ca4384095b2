# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import pathlib
import stat
import typing as t

from ansible_collections.slipway.kubernetes.plugins.plugin_utils._controller_files import unwritable

#: Below these are the system's files, and nobody looks for an administrator's.
SYSTEM = frozenset(f"/{name}" for name in ("bin", "boot", "dev", "etc", "lib", "proc", "sbin", "sys", "usr"))

#: Everybody may write there, and nobody removes what is another's.
_SHARED = stat.S_ISVTX | stat.S_IWOTH


def _is_of_the_system(folder: pathlib.Path) -> bool:
    return folder == folder.parent or bool(SYSTEM & {str(folder), *map(str, folder.parents)})


def _is_everybodys(folder: pathlib.Path) -> bool:
    """Whether it is like /tmp: somebody else may have put a folder there, for what we would write into it."""
    try:
        return folder.stat().st_mode & _SHARED == _SHARED
    except OSError:
        return False


def _candidates(inventory: str, name: str, current: pathlib.Path) -> t.Iterator[pathlib.Path]:
    """Where it may be, the best place first."""
    if inventory:
        folder = pathlib.Path(inventory).resolve()
        beside = folder if folder == current else folder.parent
        if not _is_of_the_system(beside) and not _is_everybodys(beside):
            yield beside / "artifacts" / name
    own = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    # A user without an entry in the list of users has no home.
    if os.path.isabs(own):
        yield pathlib.Path(own) / "slipway" / name
    yield current / "artifacts" / name


def artifacts_directory(inventory: t.Optional[str], name: str) -> str:
    """The folder on this machine for what runs fetch from a cluster.

    :param inventory: folder of the inventory; empty when there is none, as with names on the command line.
    :param name: of the cluster.
    """
    candidates = [str(folder) for folder in _candidates(inventory or "", name, pathlib.Path.cwd())]
    return next((folder for folder in candidates if not unwritable(folder)), candidates[0])


class FilterModule:
    """Where things are on the controller."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {"artifacts_directory": artifacts_directory, "unwritable": unwritable}
