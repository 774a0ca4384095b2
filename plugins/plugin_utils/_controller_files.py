# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files on the controller that an inventory names.

Private to this collection.
"""

from __future__ import annotations

import os
import typing as t


def located(path: str, inventory_dir: t.Optional[str]) -> str:
    """The path of a file that an inventory names; a relative one begins at the folder of the inventory."""
    return os.path.normpath(os.path.join(inventory_dir or os.getcwd(), os.path.expanduser(path)))


def unreadable(path: str, folder: bool = False) -> str:
    """Why the file (or folder) cannot be used, as the end of a sentence; empty when it can."""
    if not os.path.exists(path):
        return "does not exist on the controller"
    if folder != os.path.isdir(path):
        return "is no folder" if folder else "is a folder"
    return "" if os.access(path, os.R_OK) else "may not be read by the user who runs Ansible"


def unwritable(folder: str) -> str:
    """Why no file can be written into a folder, which may have to be made; empty when it can."""
    place = os.path.realpath(os.path.expanduser(folder))
    while not os.path.lexists(place):
        place = os.path.dirname(place)
    if not os.path.isdir(place):
        return f"{place} is no folder"
    if not os.access(place, os.W_OK | os.X_OK):
        return f"{place} may not be written to by this user"
    return ""


def read_text(loader: t.Any, path: str) -> str:
    """The text of a file, decrypted when it is in Ansible's vault.

    :param loader: Ansible's DataLoader.
    :raises ValueError: when it cannot be had.
    """
    reason = unreadable(path)
    if reason:
        raise ValueError(f"{path} {reason}.")
    real = loader.get_real_file(path)
    try:
        with open(real, encoding="utf-8", newline="") as stream:
            return stream.read()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no text in UTF-8.") from error
    finally:
        loader.cleanup_tmp_file(real)
