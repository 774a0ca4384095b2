#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_set
short_description: Install the programs of releases, versions side by side
version_added: 0.1.0
author: slipway.kubernetes contributors (@slipway)
description:
  - Downloads releases, verifies their SHA-256, and installs their programs in folders of their versions,
    C(/opt/slipway/NAME/VERSION/bin).
  - The link C(/opt/slipway/NAME/current) leads to the version that counts, and links in C(/usr/local/bin) lead to its
    programs. Another version is another link, which is exchanged at once.
  - Nothing is exchanged before all releases have been downloaded and verified.
  - The version before stays, so that C(ln -sfn VERSION /opt/slipway/NAME/current) is the way back. Older ones go when
    another version is installed.
  - A later run needs no network while the programs are as they were installed.
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details:
      - Nothing is downloaded.
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - A release that changes behind the same version is noticed only when O(releases[].checksum) has another digest.
options:
  releases:
    description:
      - The releases.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - Name of the release, and of its program when the download is one.
        type: str
        required: true
      version:
        description:
          - Its version.
        type: str
        required: true
      url:
        description:
          - URL of a tar archive (C(.tar), C(.tar.gz), C(.tgz), C(.tar.bz2), C(.tar.xz)), or of a program.
          - Of an archive all executable files are installed, by their names without folders. Proxy settings are taken
            from the task's environment.
        type: str
        required: true
      checksum:
        description:
          - V(sha256:) with the 64 hexadecimal digits, or with the URL of a checksum file such as the output of
            sha256sum.
        type: str
        required: true
      copy_to:
        description:
          - A folder to which the programs are copied, instead of links in C(/usr/local/bin).
          - Others may replace the copies, as pod networks do with plugins of CNI. These stay until there is another
            version.
        type: path
  absent:
    description:
      - Names of releases that are removed, with all their versions, their links, and copies that nobody has replaced.
    type: list
    elements: str
    default: []
  keep:
    description:
      - Whether a release that is installed stays at its version.
    type: bool
    default: false
  timeout:
    description:
      - Seconds to wait for the server to accept a connection or to send data.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Install Helm beside its earlier versions
  slipway.kubernetes.release_set:
    releases:
      - name: helm
        version: 3.22.0
        url: "{{ helm_url | default('https://get.helm.sh/helm-v3.22.0-linux-amd64.tar.gz') }}"
        checksum: >-
          {{ helm_checksum | default('sha256:https://get.helm.sh/helm-v3.22.0-linux-amd64.tar.gz.sha256sum') }}
"""

RETURN = r"""
versions:
  description: Version of each release; in check mode the one that would be installed.
  returned: success
  type: dict
  sample: {"kubelet": "1.37.1"}
installed:
  description: Names of newly installed releases.
  returned: success
  type: list
  elements: str
upgraded:
  description: Names of releases that went to a newer version.
  returned: success
  type: list
  elements: str
downgraded:
  description: Names of releases that went back to an older version.
  returned: success
  type: list
  elements: str
removed:
  description: Names of removed releases.
  returned: success
  type: list
  elements: str
repaired:
  description: Names of releases whose programs or links were not as they had been installed.
  returned: success
  type: list
  elements: str
downloaded:
  description: Names of releases that were downloaded.
  returned: success
  type: list
  elements: str
changed_paths:
  description: Programs that are others than before, by the paths by which they are found.
  returned: success
  type: list
  elements: str
foreign_paths:
  description: Files of somebody else that are replaced; they are kept beside (C(.before-slipway)).
  returned: success
  type: list
  elements: str
"""

import json
import os
import re
import shutil
import tarfile
import tempfile
import typing as t
import zlib

from ansible_collections.slipway.kubernetes.plugins.module_utils import _marks, _releases
from ansible_collections.slipway.kubernetes.plugins.module_utils._archive import (
    copy_hashed,
    file_sha256,
    parse_checksum,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._downloads import Fetch, download, fetcher, file_name
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import make_folder, replacing
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._releases import CURRENT, NAME, RECORD, Record
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import url_shown

RELEASE: t.Dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "version": {"type": "str", "required": True},
    "url": {"type": "str", "required": True},
    "checksum": {"type": "str", "required": True},
    "copy_to": {"type": "path"},
}
ARGUMENTS: t.Dict[str, t.Any] = {
    "releases": {"type": "list", "elements": "dict", "default": [], "options": RELEASE},
    "absent": {"type": "list", "elements": "str", "default": []},
    "keep": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 30},
}
#: Where releases lie, and where their programs are found.
ROOT = _releases.ROOT
PLACE = "/usr/local/bin"
_ARCHIVE = re.compile(r"\.(tar|tgz|tar\.(gz|bz2|xz))$")
_EXECUTABLE = 0o111


def number(version: str) -> t.List[int]:
    """A version for comparing."""
    return [int(part) for part in re.findall(r"\d+", version)]


def executables(archive: tarfile.TarFile) -> t.Dict[str, tarfile.TarInfo]:
    """The executable regular files by their names without folders.

    :raises SlipwayError: when there is none, or two have the same name.
    """
    found: t.Dict[str, tarfile.TarInfo] = {}
    for member in archive.getmembers():
        if not member.isreg() or not member.mode & _EXECUTABLE:
            continue
        name = os.path.basename(member.name)
        if name in found:
            raise SlipwayError(f"The archive has two programs {name}.")
        found[name] = member
    if not found:
        raise SlipwayError("The archive has no program.")
    return found


class Release:
    """One release and what of it is here.

    :param version: the version that is asked for.
    :param copy_to: where its programs are copied to; links lead to them without.
    :raises SlipwayError: when its name or version cannot be a folder, or its checksum is none.
    """

    def __init__(self, asked: t.Mapping[str, t.Any], keep: bool, root: str, place: str) -> None:
        for option in ("name", "version"):
            if not NAME.fullmatch(asked[option]) or asked[option] == CURRENT:
                raise SlipwayError(f"releases: {asked[option]!r} cannot be the {option} of a release.")
        self.name: str = asked["name"]
        self.version: str = asked["version"]
        self.url: str = asked["url"]
        self.checksum: str = asked["checksum"]
        self.copies = bool(asked.get("copy_to"))
        self.place: str = asked.get("copy_to") or place
        self.folder = f"{root}/{self.name}"
        self.before = _releases.linked(self.name, root)
        known = _releases.read_record(f"{self.folder}/{self.before}") if self.before else None
        if keep and known:
            self.version, self.url, self.checksum = self.before, known.url, known.checksum
        self.record = self._whole()
        self.was_whole = self.record is not None
        self.known = self.record or known
        self.foreign: t.List[str] = []

    @property
    def home(self) -> str:
        """The folder of the version that is asked for."""
        return f"{self.folder}/{self.version}"

    @property
    def moves(self) -> bool:
        """Whether another version counted before."""
        return self.before != self.version

    def _whole(self) -> t.Optional[Record]:
        """The record of the version that is asked for, when its programs are as they were installed."""
        record, (digest, _place) = _releases.read_record(self.home), parse_checksum(self.checksum)
        if record is None or digest not in (None, record.sha256):
            return None
        right = all(file_sha256(f"{self.home}/bin/{name}") == total for name, total in record.files.items())
        return record if right else None

    def names(self) -> t.List[str]:
        """Its programs, as far as they are known before it was downloaded."""
        return sorted(self.known.files) if self.known else [self.name]

    def expect_room(self) -> None:
        """Refuse to begin where something else is in the way.

        :raises SlipwayError: with what that is.
        """
        for path in (f"{self.folder}/{CURRENT}", *(f"{self.place}/{name}" for name in self.names())):
            if os.path.isdir(path) and not os.path.islink(path):
                raise SlipwayError(f"{path} is there and is a folder. Move it away. Nothing was installed.")

    def _target(self, name: str) -> str:
        return f"{self.folder}/{CURRENT}/bin/{name}"

    def _is_right(self, name: str) -> bool:
        """Whether a program is found where it should be."""
        path = f"{self.place}/{name}"
        if self.copies:
            return os.path.isfile(path) and not self.moves
        return os.path.islink(path) and os.readlink(path) == self._target(name)

    def wrong(self) -> t.List[str]:
        """Programs that are not found where they should be."""
        return [name for name in self.names() if not self._is_right(name)]

    def replaced(self) -> t.List[str]:
        """Files of somebody else in the places of links."""
        paths = [] if self.copies else [f"{self.place}/{name}" for name in self.wrong()]
        return [path for path in paths if os.path.lexists(path) and not _releases.is_ours(path, self.folder)]

    def fetch(self, fetch: Fetch, temporary: str) -> None:
        """Put the version into its folder. What counts stays as it is.

        :raises SlipwayError: when it cannot be had, or is not what it should be.
        """
        archive, digest = download(fetch, self.url, self.checksum, temporary)
        make_folder(f"{self.home}/bin")
        try:
            files = self._unpack(archive)
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise SlipwayError(f"{url_shown(self.url)} cannot be read as a tar archive: {error}.") from error
        except SlipwayError as error:
            raise SlipwayError(f"{url_shown(self.url)}: {error.msg} Nothing was installed.") from error
        self.record = self.known = Record(self.url, self.checksum, digest, files, self.place)
        # The URLs may have a password in them.
        with replacing(f"{self.home}/{RECORD}", 0o600) as stream:
            stream.write(json.dumps(self.record._asdict(), indent=2).encode())

    def _unpack(self, archive: str) -> t.Dict[str, str]:
        """The SHA-256 of the programs, which are put into their folder, by their names."""
        if not _ARCHIVE.search(file_name(self.url)):
            with open(archive, "rb") as stream:
                return {self.name: self._put(self.name, stream)}
        files = {}
        with tarfile.open(archive, "r:*") as tar:
            for name, member in executables(tar).items():
                content = tar.extractfile(member)
                if content is not None:
                    files[name] = self._put(name, content)
        return files

    def _put(self, name: str, content: t.IO[bytes]) -> str:
        with replacing(f"{self.home}/bin/{name}", 0o755) as target:
            return copy_hashed(content, target)

    def switch(self) -> None:
        """Have this version count, and its programs found."""
        make_folder(self.place)
        self.foreign = self.replaced()
        if self.copies:
            for name in self.wrong():
                with open(f"{self.home}/bin/{name}", "rb") as source, replacing(
                    f"{self.place}/{name}", 0o755
                ) as target:
                    shutil.copyfileobj(source, target)
        if self.moves:
            put_link(f"{self.folder}/{CURRENT}", self.version)
        for name in [] if self.copies else self.wrong():
            path = f"{self.place}/{name}"
            if path in self.foreign:
                os.rename(path, _marks.kept_as(path))
            put_link(path, self._target(name))
        if self.moves:
            self._forget()

    def _forget(self) -> None:
        """Remove links to programs that this version does not have, and versions that are no way back."""
        for entry in [] if self.copies else os.scandir(self.place):
            is_lost = entry.is_symlink() and not os.path.exists(entry.path)
            if is_lost and os.readlink(entry.path) == self._target(entry.name):
                os.unlink(entry.path)
        for entry in os.scandir(self.folder):
            if entry.is_dir(follow_symlinks=False) and entry.name not in (self.before, self.version):
                shutil.rmtree(entry.path)

    def described(self, version: str, lost: bool) -> str:
        """A line for the diff."""
        return f"{self.name}: {version or 'not installed'}{' (not as it was installed)' if lost and version else ''}\n"


def remove(name: str, root: str, place: str) -> None:
    """Remove all of a release. Its folder goes last, so that a call after one that was killed finds what is left."""
    folder = f"{root}/{name}"
    record = _releases.read_record(f"{folder}/{_releases.linked(name, root)}")
    for entry in os.scandir(place) if os.path.isdir(place) else ():
        if _releases.is_ours(entry.path, folder):
            os.unlink(entry.path)
    if record and record.place != place:
        for program, digest in record.files.items():
            if file_sha256(f"{record.place}/{program}") == digest:
                os.unlink(f"{record.place}/{program}")
    shutil.rmtree(folder)


def put_link(path: str, target: str) -> None:
    """Have a link there, which takes the place of another one or of a file at once."""
    temporary = f"{path}.slipway-new"
    if os.path.lexists(temporary):
        os.unlink(temporary)
    os.symlink(target, temporary)
    os.replace(temporary, path)


class ReleaseSet:
    """Releases that are installed together, and others that go.

    :param fetch: downloads a URL to a path; raises SlipwayError.
    """

    def __init__(
        self,
        releases: t.Sequence[t.Mapping[str, t.Any]],
        keep: bool,
        fetch: Fetch,
        root: str = "",
        place: str = "",
        absent: t.Sequence[str] = (),
    ) -> None:
        self.fetch, self.root, self.place = fetch, root or ROOT, place or PLACE
        self.releases = [Release(asked, keep, self.root, self.place) for asked in releases]
        names = [*(release.name for release in self.releases), *absent]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise SlipwayError(f"releases: {', '.join(twice)} is there twice.")
        wrong = [name for name in absent if not NAME.fullmatch(name)]
        if wrong:
            raise SlipwayError(f"absent: {wrong[0]!r} cannot be the name of a release.")
        self.lost = {name: _releases.linked(name, self.root) for name in absent if os.path.isdir(f"{self.root}/{name}")}

    def run(self, check_mode: bool, temporary: str) -> t.Dict[str, t.Any]:
        """Install what differs. Downloads go to the directory ``temporary``.

        :raises SlipwayError: when one cannot be installed; then none counts that did not before.
        """
        for release in self.releases:
            release.expect_room()
        missing = [release for release in self.releases if not release.was_whole]
        for release in [] if check_mode else missing:
            with tempfile.TemporaryDirectory(dir=temporary) as folder:
                release.fetch(self.fetch, folder)
        wrong = {release.name: release.wrong() for release in self.releases}
        changed = [one for one in self.releases if one.moves or not one.was_whole or wrong[one.name]]
        result = self._result(changed, wrong)
        for release in [] if check_mode else changed:
            release.switch()
        for name in [] if check_mode else self.lost:
            remove(name, self.root, self.place)
        result["downloaded"] = [] if check_mode else [release.name for release in missing]
        return result

    def _result(self, changed: t.Sequence[Release], wrong: t.Mapping[str, t.Sequence[str]]) -> t.Dict[str, t.Any]:
        """What the module returns."""
        kinds: t.Dict[str, t.List[str]] = {"installed": [], "upgraded": [], "downgraded": [], "repaired": []}
        for release in changed:
            newer = number(release.version) > number(release.before)
            kind = "repaired" if not release.moves else "installed" if not release.before else ""
            kinds[kind or ("upgraded" if newer else "downgraded")].append(release.name)
        paths = [
            f"{release.place}/{name}"
            for release in changed
            for name in (release.names() if release.moves or not release.was_whole else wrong[release.name])
        ]
        return {
            "changed": bool(changed or self.lost),
            **kinds,
            "removed": list(self.lost),
            "versions": {release.name: release.version for release in self.releases},
            "changed_paths": paths,
            "foreign_paths": [path for release in self.releases for path in release.replaced()],
            "diff": {
                "before": "".join(
                    [
                        *(one.described(one.before, not one.moves) for one in changed),
                        *(f"{name}: {version or 'in part'}\n" for name, version in self.lost.items()),
                    ]
                ),
                "after": "".join(
                    [
                        *(one.described(one.version, lost=False) for one in changed),
                        *(f"{name}: not installed\n" for name in self.lost),
                    ]
                ),
            },
        }


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns.

    :raises SlipwayError: when it cannot be done.
    """
    params = context.params
    for release in params["releases"]:
        context.hide_credentials(release["url"], release["checksum"].partition(":")[2])
    releases = ReleaseSet(params["releases"], params["keep"], fetcher(context), ROOT, PLACE, absent=params["absent"])
    with tempfile.TemporaryDirectory(prefix="slipway-", dir=context.module.tmpdir) as temporary:
        result = releases.run(context.check_mode, temporary)
    for path in result["foreign_paths"]:
        context.warn(f"{path} was somebody else's. It is kept beside the new one ({_marks.KEPT}).")
    return result


def main() -> None:
    run_module(ARGUMENTS, run, quiet=True)


if __name__ == "__main__":
    main()
