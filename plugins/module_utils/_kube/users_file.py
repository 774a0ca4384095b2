# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``~/.kube/config`` of a user, which root reads and writes.

The user may put links there, also while we are at work. So the folder is held open, and has to be in the home or the
user's own; names in it are never followed. What a link leads to has to be the user's.

Private to this collection.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import pwd
import secrets
import stat
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._marks import KEPT

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_PRIVATE = stat.S_IRUSR | stat.S_IWUSR


class UsersFile:
    """The kubeconfig of a user."""

    def __init__(self, account: pwd.struct_passwd) -> None:
        self.path = os.path.join(account.pw_dir, ".kube", "config")
        self._account = account
        # The way to the home is the administrator's, with links perhaps; what is in it is the user's.
        self._home = os.path.realpath(account.pw_dir)
        straight = os.path.join(self._home, ".kube", "config")
        self.target = os.path.realpath(straight)
        self._is_linked = self.target != straight

    def read(self) -> str:
        """The text; empty when there is no file.

        :raises SlipwayError: when it cannot be read, or is not the user's.
        """
        return self._look()[0]

    def is_private(self) -> bool:
        """Whether it belongs to the user and is readable by nobody else."""
        status = self._look()[1]
        wanted = (self._account.pw_uid, self._account.pw_gid, _PRIVATE)
        return status is not None and (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == wanted

    def keep(self) -> str:
        """Keep a copy beside it, as :func:`_marks.keep` does; returns where."""
        with self._folder() as folder:
            text = self._text(folder, os.path.basename(self.target))[0]
            for number in itertools.count(1):
                name = os.path.basename(self.target) + KEPT + (f".{number}" if number > 1 else "")
                try:
                    if self._text(folder, name)[0] == text:
                        break
                except FileNotFoundError:
                    self._write(folder, name, text)
                    break
                except (OSError, SlipwayError):
                    continue
        return os.path.join(os.path.dirname(self.target), name)

    def write(self, text: str) -> None:
        """Write it, complete or not at all, never readable by others.

        :raises SlipwayError: when that is not possible, for example when the user has no home.
        """
        try:
            with self._folder(make=True) as folder:
                self._write(folder, os.path.basename(self.target), text)
        except OSError as error:
            raise SlipwayError(f"{self.path} could not be written: {error}") from error

    def remove(self) -> None:
        """Remove it; of a link what it leads to, which has the credentials."""
        with self._folder() as folder:
            os.unlink(os.path.basename(self.target), dir_fd=folder)

    def _look(self) -> t.Tuple[str, t.Optional[os.stat_result]]:
        try:
            with self._folder() as folder:
                return self._text(folder, os.path.basename(self.target))
        except FileNotFoundError as error:
            if not os.path.isdir(self._home):
                raise SlipwayError(
                    f"{self._account.pw_name} has no home, {self._home} is no folder. Make it, or take"
                    f" {self._account.pw_name} out of kubeconfig_users."
                ) from error
            return "", None
        except OSError as error:
            raise SlipwayError(
                f"{self.path} cannot be read: {error.strerror or error}. Mend it or move it away, or take"
                f" {self._account.pw_name} out of kubeconfig_users."
            ) from error

    @contextlib.contextmanager
    def _folder(self, make: bool = False) -> t.Iterator[int]:
        """The folder that the file is in, open."""
        with contextlib.ExitStack() as stack:

            def enter(path: str, above: t.Optional[int] = None) -> int:
                descriptor = os.open(path, _FOLDER, dir_fd=above)
                stack.callback(os.close, descriptor)
                return descriptor

            parent = os.path.dirname(self.target)
            above = parent if self._is_linked else self._home
            while self._is_linked and not os.path.isdir(above):
                above = os.path.dirname(above)
            folder = enter(above)
            if self._is_linked and os.fstat(folder).st_uid != self._account.pw_uid:
                raise self._refusal()
            if above != parent:
                name, made = os.path.relpath(parent, above), False
                if os.path.dirname(name):
                    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), parent)
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, 0o700, dir_fd=folder)
                        made = True
                folder = enter(name, folder)
                if made:
                    os.fchown(folder, self._account.pw_uid, self._account.pw_gid)
            yield folder

    def _text(self, folder: int, name: str) -> t.Tuple[str, os.stat_result]:
        """The text of a file in the folder; of another user's, of a link, a pipe or a folder there is none."""
        with contextlib.ExitStack() as stack:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            stack.callback(os.close, descriptor)
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError("it is no file")
            # Root's is the user's when root has put it there, as by `sudo cp`; the user can make links of others only.
            roots = status.st_uid == 0 and status.st_nlink == 1 and not self._is_linked
            if status.st_uid != self._account.pw_uid and not roots:
                raise self._refusal()
            with open(descriptor, encoding="utf-8", errors="surrogateescape", newline="", closefd=False) as stream:
                return stream.read(), status

    def _write(self, folder: int, name: str, text: str) -> None:
        temporary = f".slipway-{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            descriptor = os.open(temporary, flags, _PRIVATE, dir_fd=folder)
            with open(descriptor, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
                stream.write(text)
                os.fchown(descriptor, self._account.pw_uid, self._account.pw_gid)
                os.fchmod(descriptor, _PRIVATE)
                stream.flush()
                os.fsync(descriptor)
            os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)

    def _refusal(self) -> SlipwayError:
        user, what = self._account.pw_name, self.path
        if self._is_linked:
            what += f" leads by a link to {self.target}, which"
        return SlipwayError(
            f"{what} does not belong to {user}: it is left as it is. Make it a file of {user}, or take {user} out of"
            " kubeconfig_users."
        )
