# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where releases lie that no package has brought: versions side by side, behind a link.

``/opt/slipway/NAME/VERSION/bin`` has the programs of one version, and ``release.json`` beside it says what they were
when they were installed. ``/opt/slipway/NAME/current`` is a link to the version that counts. It is exchanged at once,
so the programs of one release are always of one version. Programs are found by links in ``/usr/local/bin``, which lead
through ``current``. The policy of SELinux knows folders ``bin`` below ``/opt``.

Private to this collection.
"""

from __future__ import annotations

import json
import os
import re
import typing as t

#: The folder of all releases.
ROOT = "/opt/slipway"
#: The link to the version that counts.
CURRENT = "current"
#: What a version was when it was installed.
RECORD = "release.json"
#: What the name of a release and a version look like; they are names of folders.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+~-]*")


class Record(t.NamedTuple):
    """What a version was when it was installed.

    :param sha256: of what was downloaded.
    :param files: the SHA-256 of each program by its name.
    :param place: the folder in which they are found.
    """

    url: str
    checksum: str
    sha256: str
    files: t.Dict[str, str]
    place: str


def read_record(folder: str) -> t.Optional[Record]:
    """The record of a version's folder; ``None`` when it has none, so that it is not whole."""
    try:
        with open(f"{folder}/{RECORD}", encoding="utf-8") as stream:
            known = json.load(stream)
        files = {str(name): str(digest) for name, digest in known["files"].items()}
        return Record(str(known["url"]), str(known["checksum"]), str(known["sha256"]), files, str(known["place"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def linked(name: str, root: str = ROOT) -> str:
    """The version that counts of a release; empty when there is none."""
    try:
        return os.path.basename(os.readlink(f"{root}/{name}/{CURRENT}"))
    except OSError:
        return ""


def installed(root: str = ROOT) -> t.Dict[str, str]:
    """The versions that count, by the names of releases.

    One that is damaged or has no record is still ours: release_set mends it.
    """
    try:
        names = sorted(entry.name for entry in os.scandir(root) if entry.is_dir(follow_symlinks=False))
    except OSError:
        return {}
    found = {name: linked(name, root) for name in names}
    return {name: version for name, version in found.items() if version and os.path.isdir(f"{root}/{name}/{version}")}


def is_ours(path: str, root: str = ROOT) -> bool:
    """Whether a path is a link to a program of a release."""
    try:
        return os.readlink(path).startswith(f"{root}/")
    except OSError:
        return False
