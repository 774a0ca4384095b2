# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text files that are written complete or not at all, with a diff.

Private to this collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import grp
import hashlib
import os
import pwd
import re
import stat
import tempfile
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._labels import give_label

#: How the names of files begin that are not complete yet; those of a call that was killed stay.
UNFINISHED = ".slipway-"
_READABLE_FOR_ALL = 0o004
_HIDDEN = "(not shown: a secret, or not readable for everybody)\n"


@dataclasses.dataclass(frozen=True)
class TextFile:
    """A file as it shall be.

    :param mode: permission bits.
    :param owner: name or number of its user; the user that runs the module when empty.
    :param group: name or number of its group; the group that runs the module when empty.
    :param secret: whether its content must not be shown.
    :param directory_mode: permission bits of parent folders that have to be made.
    :param brief: whether a diff tells how long its text is, in the place of the text.
    """

    path: str
    content: str
    mode: int = 0o644
    owner: str = ""
    group: str = ""
    secret: bool = False
    directory_mode: int = 0o755
    brief: bool = False

    def ids(self) -> t.Tuple[int, int]:
        """The numbers of owner and group.

        :raises SlipwayError: when this machine does not know one of them.
        """
        try:
            uid = _number(self.owner, lambda name: pwd.getpwnam(name).pw_uid, os.geteuid())
            gid = _number(self.group, lambda name: grp.getgrnam(name).gr_gid, os.getegid())
        except KeyError as error:
            raise SlipwayError(f"{self.path} cannot be given to its owner: {error.args[0]} on this host.") from error
        return uid, gid

    def differs(self) -> bool:
        """Whether content, mode or owner of the file differ from what is wished; true when the owner is unknown."""
        try:
            status = os.stat(self.path)
            same = stat.S_IMODE(status.st_mode) == self.mode and (status.st_uid, status.st_gid) == self.ids()
        except (FileNotFoundError, NotADirectoryError, SlipwayError):
            return True
        return not same or read_exactly(self.path) != self.content

    def diff(self) -> t.Dict[str, str]:
        """Before and after, for Ansible's diff; contents that not everybody may read are left out."""
        shown = {"before_header": self.path, "after_header": self.path}
        before = read_exactly(self.path)
        if before == self.content and os.path.exists(self.path):
            return {**shown, "before": _attributes(self.path), "after": f"mode {self.mode:04o}{self._whose()}\n"}
        after = self.content
        if self.secret or not self.mode & _READABLE_FOR_ALL or not is_public(self.path):
            before, after = _HIDDEN if before else "", "(another content)\n" if before else _HIDDEN
        elif self.brief:
            before, after = (_size(text) if text else "" for text in (before, after))
        return {**shown, "before": printable(before), "after": printable(after)}

    def _whose(self) -> str:
        try:
            return ", owner {}, group {}".format(*self.ids())
        except SlipwayError:
            return f", owner {self.owner}, group {self.group}"

    def expect_place(self) -> None:
        """Look whether a file can be in this place.

        :raises SlipwayError: when something else than a file is there, or a file where a folder has to be.
        """
        target = os.path.realpath(self.path)
        above = os.path.dirname(target)
        while not os.path.lexists(above):
            above = os.path.dirname(above)
        wrong = target if os.path.lexists(target) and not os.path.isfile(target) else ""
        wrong = wrong or ("" if os.path.isdir(above) else above)
        if wrong:
            kind = "file" if wrong == target else "folder"
            raise SlipwayError(f"{self.path} could not be written: {wrong} is no {kind}. Move it away.")

    def write(self) -> None:
        """Write the file by renaming a complete one; missing parents are made. Of a link its target is written.

        :raises SlipwayError: when this machine does not know its owner or group.
        """
        owner = self.ids()
        path = os.path.realpath(self.path)
        make_folder(os.path.dirname(path), self.directory_mode)
        handle, temporary = tempfile.mkstemp(prefix=UNFINISHED, dir=os.path.dirname(path))
        try:
            with open(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
                stream.write(self.content)
                os.fchown(stream.fileno(), *owner)
                os.fchmod(stream.fileno(), self.mode)
                stream.flush()
                os.fsync(stream.fileno())
            give_label(temporary, path)
            _rename(temporary, path)
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)


def _number(name: str, look_up: t.Callable[[str], int], default: int) -> int:
    if not name:
        return default
    return int(name) if name.isdigit() else look_up(name)


def _attributes(path: str) -> str:
    status = os.stat(path)
    return f"mode {stat.S_IMODE(status.st_mode):04o}, owner {status.st_uid}, group {status.st_gid}\n"


def _rename(source: str, target: str) -> None:
    """Rename, or copy over a target that is a mount itself (/etc/hosts of a container)."""
    try:
        os.replace(source, target)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        with open(source, "rb") as reader, open(target, "wb") as writer:
            writer.write(reader.read())
            status = os.stat(source)
            os.fchown(writer.fileno(), status.st_uid, status.st_gid)
            os.fchmod(writer.fileno(), stat.S_IMODE(status.st_mode))


def _size(text: str) -> str:
    """How long a text is, and what tells it from others of that length."""
    return f"({len(lines_of(text))} lines, sha256 {digest(text)[:12]})\n"


def digest(text: str) -> str:
    """What tells a text from any other: its SHA-256, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


@contextlib.contextmanager
def replacing(path: str, mode: int) -> t.Iterator[t.BinaryIO]:
    """A new file that takes the place of ``path`` once it is whole, and that until then nobody else can open.

    It stands beside it with a name of its own; what a call that was killed or a full disk has left there goes.
    """
    temporary = f"{path}.slipway-new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            yield stream
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        give_label(temporary, path)
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def publish(path: str, content: bytes) -> None:
    """Replace the file at once by ``content``, readable by everybody."""
    with replacing(path, 0o644) as file:
        file.write(content)


def lines_of(text: str) -> t.List[str]:
    """The lines with their ends. What else Python takes for the end of a line, such as a form feed, is text here."""
    return re.findall(r".*\n|.+", text)


def make_folder(path: str, mode: int = 0o755) -> None:
    """Make a folder and its missing parents, with exactly this mode whatever the umask is."""
    if os.path.isdir(path):
        return
    make_folder(os.path.dirname(path), mode)
    os.mkdir(path)
    os.chmod(path, mode)
    give_label(path)


def sync_files(folder: str) -> None:
    """Have the files in a folder on the disk, so that they are whole when power fails later."""
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if entry.is_file(follow_symlinks=False):
                with open(entry.path, "rb") as stream:
                    os.fsync(stream.fileno())


def is_public(path: str) -> bool:
    """Whether everybody may read the file, or it is not there."""
    try:
        return bool(os.stat(path).st_mode & _READABLE_FOR_ALL)
    except OSError:
        return True


def deletion_diff(path: str) -> t.Dict[str, str]:
    """The diff of a file that is deleted; contents that not everybody may read are left out."""
    before = read_text(path) if is_public(path) else _HIDDEN
    return {"before_header": path, "after_header": path, "before": before, "after": ""}


def printable(text: str) -> str:
    """``text`` without the bytes that are no UTF-8, which Ansible does not take in results."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def read_exactly(path: str) -> str:
    """The file's text for being written again: bytes that are no UTF-8 survive. Empty when it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="", opener=_without_waiting) as stream:
            # A pipe or a terminal may never end.
            return stream.read() if stat.S_ISREG(os.fstat(stream.fileno()).st_mode) else ""
    except OSError:
        return ""


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def read_text(path: str) -> str:
    """The file's text for looking at and returning it; empty when it cannot be read."""
    return printable(read_exactly(path))
