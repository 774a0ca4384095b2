# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text files that are written complete or not at all, with a diff.

Private to this collection.
"""

from __future__ import annotations

import dataclasses
import grp
import os
import pwd
import stat
import tempfile
import typing as t


@dataclasses.dataclass(frozen=True)
class TextFile:
    """A file as it shall be.

    :param mode: permission bits.
    :param owner: name of its user; the user that runs the module when empty.
    :param group: name of its group; the user's when empty.
    :param secret: whether its content must not be shown.
    """

    path: str
    content: str
    mode: int = 0o644
    owner: str = ""
    group: str = ""
    secret: bool = False

    def _ids(self) -> t.Tuple[int, int]:
        uid = pwd.getpwnam(self.owner).pw_uid if self.owner else os.geteuid()
        gid = grp.getgrnam(self.group).gr_gid if self.group else os.getegid()
        return uid, gid

    def differs(self) -> bool:
        """Whether content, mode or owner of the file differ from what is wished."""
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return True
        same = stat.S_IMODE(status.st_mode) == self.mode and (status.st_uid, status.st_gid) == self._ids()
        return not same or read_text(self.path) != self.content

    def diff(self) -> t.Dict[str, str]:
        """Before and after, for Ansible's diff; a secret's content is left out."""
        before = read_text(self.path)
        shown = {"before_header": self.path, "after_header": self.path}
        if self.secret:
            return {**shown, "before": "(secret)\n" if before else "", "after": "(another secret)\n"}
        if before == self.content:
            mode = stat.S_IMODE(os.stat(self.path).st_mode)
            return {**shown, "before": f"mode {mode:04o}\n", "after": f"mode {self.mode:04o}\n"}
        return {**shown, "before": before, "after": self.content}

    def write(self) -> None:
        """Write the file by renaming a complete one; missing parents are made with mode 0755."""
        folder = os.path.dirname(self.path)
        os.makedirs(folder, mode=0o755, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=".slipway-", dir=folder)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(self.content)
                stream.flush()
                os.fsync(stream.fileno())
            os.chown(temporary, *self._ids())
            os.chmod(temporary, self.mode)
            try:
                os.replace(temporary, self.path)
            except OSError as error:
                if error.errno != 16:  # EBUSY: /etc/hosts of a container is a mount and cannot be renamed over
                    raise
                with open(temporary, encoding="utf-8") as source, open(self.path, "w", encoding="utf-8") as target:
                    target.write(source.read())
                os.unlink(temporary)
        except BaseException:
            if os.path.exists(temporary):
                os.unlink(temporary)
            raise


def read_text(path: str) -> str:
    """The file's text; empty when it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""
