# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checksums of released files, and chosen members of tar archives.

Only regular files that were asked for by name are read from an archive, and they are written to where the caller
says, so that names inside the archive cannot lead anywhere else. Private to this collection.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import posixpath
import re
import shutil
import tarfile
import typing as t
import zlib

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import url_shown

CHUNK = 1024 * 1024


def copy_hashed(source: t.IO[bytes], target: t.Optional[t.IO[bytes]] = None) -> str:
    """Copy ``source`` to ``target`` when there is one, and return the SHA-256 of what was read, in hexadecimal."""
    digest = hashlib.sha256()
    for chunk in iter(lambda: source.read(CHUNK), b""):
        digest.update(chunk)
        if target is not None:
            target.write(chunk)
    return digest.hexdigest()


def file_sha256(path: str) -> t.Optional[str]:
    """SHA-256 of the file's content; ``None`` when there is no such file."""
    try:
        with open(path, "rb") as file:
            return copy_hashed(file)
    except (FileNotFoundError, IsADirectoryError):
        return None


def parse_checksum(text: str) -> t.Tuple[t.Optional[str], t.Optional[str]]:
    """The digest or the URL in ``sha256:HEX`` or ``sha256:URL``; the other one is ``None``.

    :raises SlipwayError: when it is neither.
    """
    algorithm, _colon, value = text.partition(":")
    if algorithm == "sha256" and re.fullmatch(r"[0-9a-fA-F]{64}", value):
        return value.lower(), None
    if algorithm == "sha256" and re.fullmatch(r"(https?|file)://[^\s\x00-\x1f\x7f]+", value):
        return None, value
    raise SlipwayError(
        f"checksum: {url_shown(text)} is neither sha256:<64 hexadecimal digits> nor sha256:<URL of a checksum file>."
    )


def find_checksum(text: str, name: str) -> t.Optional[str]:
    """The SHA-256 of file ``name`` in the output of sha256sum, or the only digest that the text consists of."""
    for line in text.splitlines():
        match = re.fullmatch(r"\s*([0-9a-fA-F]{64})\s+\*?(\S.*?)\s*", line)
        if match and posixpath.basename(match.group(2)) == name:
            return match.group(1).lower()
    alone = re.fullmatch(r"\s*([0-9a-fA-F]{64})\s*", text)
    return alone.group(1).lower() if alone else None


def find_member(archive: tarfile.TarFile, wanted: str) -> tarfile.TarInfo:
    """The one regular file whose path is ``wanted`` or matches that shell pattern; a leading ``./`` does not count.

    :raises SlipwayError: when there is none or more than one.
    """
    files = [member for member in archive.getmembers() if member.isreg()]
    names = {posixpath.normpath(member.name): member for member in files}
    exact = names.get(posixpath.normpath(wanted))
    if exact:
        return exact
    matching = [name for name in names if fnmatch.fnmatchcase(name, posixpath.normpath(wanted))]
    if len(matching) == 1:
        return names[matching[0]]
    if matching:
        raise SlipwayError(f"{wanted} matches several files of the archive: {', '.join(sorted(matching)[:10])}.")
    raise SlipwayError(f"The archive has no file {wanted}; it has {', '.join(sorted(names)[:20]) or 'no files'}.")


def extract(archive_path: str, members: t.Mapping[t.Optional[str], str]) -> t.Dict[t.Optional[str], str]:
    """Write members of an archive to files and return the SHA-256 of each.

    :param members: path to write to by member; the member ``None`` is the file itself, which then is no archive.
    :raises SlipwayError: when it is no tar archive, damaged, or lacks a member.
    """
    digests: t.Dict[t.Optional[str], str] = {}
    named = [member for member in members if member is not None]
    if None in members:
        shutil.copyfile(archive_path, members[None])
        digests[None] = file_sha256(archive_path) or ""
    if not named:
        return digests
    try:
        with tarfile.open(archive_path, "r:*") as archive:
            for member in named:
                content = archive.extractfile(find_member(archive, member))
                if content is None:  # pragma: no cover - find_member returns regular files only
                    raise SlipwayError(f"{member} is not a regular file.")
                with open(members[member], "wb") as target:
                    digests[member] = copy_hashed(content, target)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise SlipwayError(f"{os.path.basename(archive_path)} cannot be read as a tar archive: {error}.") from error
    return digests
