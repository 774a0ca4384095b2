# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package sources that apt reads, in both of its formats, by sources.list(5). Private to this collection."""

from __future__ import annotations

import os
import re
import shlex
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import url_shown

FOLDER = "/etc/apt/sources.list.d"
#: The one file that is read besides those in the folder.
MAIN = "/etc/apt/sources.list"

_NAME = re.compile(r"[A-Za-z0-9_.-]+\.(?:list|sources)")
_LINE = re.compile(r"(deb|deb-src)\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<rest>\S.*)")
#: What turns a paragraph off, by apt's StringToBool; anything else leaves it on.
_OFF = re.compile(r"no|false|without|off|disable|0+|0x0+", re.IGNORECASE)
#: Options of lines by the fields that they are in a file of paragraphs.
_FIELDS = {"arch": "architectures", "lang": "languages", "target": "targets"}


class PackageSource(t.NamedTuple):
    """One repository in one file, for packages that can be installed."""

    path: str
    url: str
    suite: str
    components: t.Tuple[str, ...]
    options: t.Mapping[str, str]
    """What else is said about it, by the names of fields in lower case: ``signed-by``, ``architectures``, ..."""


def same_url(one: str, other: str) -> bool:
    """Whether apt takes two URLs for the same repository."""
    return one.rstrip("/") == other.rstrip("/")


def read_sources(folder: str = FOLDER, main: str = MAIN) -> t.List[PackageSource]:
    """The sources that are enabled, in the order of their files. What apt would refuse is left out."""
    try:
        names = sorted(name for name in os.listdir(folder) if _NAME.fullmatch(name))
    except OSError:
        names = []
    found: t.List[PackageSource] = []
    for path in [main, *(os.path.join(folder, name) for name in names)]:
        text = read_text(path)
        found += _paragraphs(path, text) if path.endswith(".sources") else _lines(path, text)
    return found


def of_others() -> t.List[t.Dict[str, str]]:
    """Files and URLs of the sources that this collection has not written."""
    sources = [source for source in read_sources() if not os.path.basename(source.path).startswith("slipway-")]
    return [{"path": path, "url": url} for path, url in sorted({(one.path, url_shown(one.url)) for one in sources})]


def _lines(path: str, text: str) -> t.Iterator[PackageSource]:
    for line in text.splitlines():
        match = _LINE.fullmatch(line.partition("#")[0].strip())
        words = match["rest"].split() if match else []
        if match is None or match[1] != "deb" or len(words) < len(("url", "suite")):
            continue
        try:
            pairs = [word.partition("=") for word in shlex.split(match["options"] or "")]
        except ValueError:
            continue
        options = {_FIELDS.get(key.lower(), key.lower()): value.replace(",", " ") for key, _equals, value in pairs}
        yield PackageSource(path, words[0], words[1], tuple(words[2:]), options)


def _paragraphs(path: str, text: str) -> t.Iterator[PackageSource]:
    for paragraph in re.split(r"\n[ \t]*\n", text):
        fields: t.Dict[str, str] = {}
        name = ""
        for line in paragraph.splitlines():
            if line.startswith("#"):
                continue
            key, colon, value = line.partition(":")
            if line[:1] in (" ", "\t"):
                fields[name] = f"{fields.get(name, '')}\n{line.strip()}"
            elif colon:
                name = key.strip().lower()
                fields[name] = value.strip()
        if "deb" not in fields.pop("types", "").split() or _OFF.fullmatch(fields.pop("enabled", "yes")):
            continue
        urls, suites = fields.pop("uris", "").split(), fields.pop("suites", "").split()
        components = tuple(fields.pop("components", "").split())
        for url in urls:
            for suite in suites:
                yield PackageSource(path, url, suite, components, fields)
