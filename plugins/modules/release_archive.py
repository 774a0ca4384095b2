#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_archive
short_description: Install files out of a released archive
version_added: 0.1.0
author: slipway.kubernetes contributors (@slipway)
description:
  - Downloads a released tar archive, or a single file, verifies its SHA-256, and installs the chosen files of it.
  - A record in C(/var/lib/slipway/archives/) tells a later run without network whether the files are as they were
    installed.
  - A file that is replaced and was never installed by this module is kept beside it (C(.before-slipway)) and named in a
    warning.
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details:
      - Files that are there without a record are compared with the archive, which is downloaded to a temporary place.
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - With a checksum file (O(checksum=sha256:URL)) a release that changes behind the same URLs is not noticed.
options:
  name:
    description:
      - Names the record.
    type: str
    required: true
  url:
    description:
      - URL of the archive or file. Proxy settings are taken from the task's environment.
    type: str
    required: true
  checksum:
    description:
      - V(sha256:) with the 64 hexadecimal digits, or with the URL of a checksum file such as the output of sha256sum.
    type: str
    required: true
  files:
    description:
      - The files to install.
    type: list
    elements: dict
    required: true
    suboptions:
      member:
        description:
          - Path inside the tar archive (plain, gzip, bzip2 or xz), or a shell pattern that matches one regular file.
          - When absent, the download itself is the file.
        type: str
      dest:
        description:
          - Path to install it as. Its directory is made when it is missing.
        type: path
        required: true
      mode:
        description:
          - Permissions, as octal digits in quotes. The owner is the user that the task runs as.
        type: str
        default: "0755"
  timeout:
    description:
      - Seconds to wait for the server to accept a connection or to send data.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Install Helm
  slipway.kubernetes.release_archive:
    name: helm
    url: "{{ helm_url | default('https://get.helm.sh/helm-v3.22.0-linux-amd64.tar.gz') }}"
    checksum: "{{ helm_checksum | default('sha256:https://get.helm.sh/helm-v3.22.0-linux-amd64.tar.gz.sha256sum') }}"
    files:
      - member: "*/helm"
        dest: /usr/local/bin/helm
"""

RETURN = r"""
files:
  description: What each file was made of, and whether it changed.
  returned: success
  type: list
  elements: dict
  contains:
    dest:
      description: Path of the installed file.
      type: str
    sha256:
      description: SHA-256 of its content; empty in check mode when the archive was not downloaded.
      type: str
    changed:
      description: Whether its content or its permissions changed.
      type: bool
archive_sha256:
  description: SHA-256 of the archive; empty in check mode when it was not downloaded and O(checksum) is a URL.
  returned: success
  type: str
downloaded:
  description: Whether the archive was downloaded.
  returned: success
  type: bool
foreign_paths:
  description: Paths of files of somebody else that are replaced.
  returned: success
  type: list
  elements: str
  sample: []
copies:
  description: Where such files are kept; empty in check mode.
  returned: success
  type: list
  elements: str
  sample: []
"""

import json
import os
import re
import shutil
import stat
import tempfile
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _marks, _records
from ansible_collections.slipway.kubernetes.plugins.module_utils._archive import (
    extract,
    file_sha256,
    parse_checksum,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._downloads import Fetch, download, fetcher
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import make_folder, replacing
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import url_shown

ARGUMENTS: t.Dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "url": {"type": "str", "required": True},
    "checksum": {"type": "str", "required": True},
    "files": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "member": {"type": "str"},
            "dest": {"type": "path", "required": True},
            "mode": {"type": "str", "default": "0755"},
        },
    },
    "timeout": {"type": "int", "default": 30},
}

RECORDS = _records.ARCHIVES


class File(t.NamedTuple):
    """A file to install."""

    member: t.Optional[str]
    dest: str
    mode: int


def parse_files(files: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[File]:
    """The option ``files``, checked.

    :raises SlipwayError: when a mode is not octal, or a destination is relative or there twice.
    """
    parsed: t.List[File] = []
    for item in files:
        dest = item["dest"]
        # Unquoted, YAML has turned 0755 into the number 493 and 0644 into 420.
        if not re.fullmatch(r"0[0-7]{3}|0?[0-7]{4}", item["mode"]):
            raise SlipwayError(
                f"files: the mode {item['mode']!r} of {dest} is not octal, such as '0755' (with quotes)."
            )
        if not os.path.isabs(dest) or dest.endswith("/") or dest in [file.dest for file in parsed]:
            raise SlipwayError(f"files: dest {dest!r} has to be the absolute path of a file, and be there once.")
        parsed.append(File(item["member"] or None, dest, int(item["mode"], 8)))
    if not parsed:
        raise SlipwayError("files: name at least one file.")
    return parsed


def file_mode(path: str) -> t.Optional[int]:
    """Permissions of the file; ``None`` when it is absent."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        return None


def keep(path: str) -> str:
    """Keep a copy of a file beside it, as :func:`_marks.keep` does with texts; returns where."""
    target = _marks.kept_as(path, lambda copy: file_sha256(copy) == file_sha256(path))
    if not os.path.lexists(target):
        with open(path, "rb") as stream, replacing(target, stat.S_IMODE(os.stat(path).st_mode)) as copy:
            shutil.copyfileobj(stream, copy)
    return target


class ReleaseArchive:
    """Files of one release.

    :param fetch: downloads a URL to a path; raises SlipwayError.
    :param records: directory of the records.
    """

    def __init__(self, name: str, url: str, checksum: str, files: t.Sequence[File], fetch: Fetch, records: str) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
            raise SlipwayError(f"name: {name!r} cannot be part of a file name (letters, digits, '-', '_', '.').")
        self.url = url
        self.checksum = checksum
        self.digest, _place = parse_checksum(checksum)
        self.files = files
        self.fetch = fetch
        self.record_path = os.path.join(records, f"{name}.json")

    def recorded(self) -> t.Dict[str, str]:
        """SHA-256 by destination, as the record has it for what is asked now; empty when it is for something else."""
        try:
            with open(self.record_path, encoding="utf-8") as file:
                record = json.load(file)
            same_archive = record["archive_sha256"] == self.digest or (
                record["url"] == self.url and record["checksum"] == self.checksum
            )
            wanted = {(item.member, item.dest) for item in self.files}
            entries = {(item["member"], item["dest"]): item["sha256"] for item in record["files"]}
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return {}
        if not same_archive or not wanted <= set(entries):
            return {}
        self.digest = record["archive_sha256"]
        return {dest: digest for (_member, dest), digest in entries.items()}

    def _installed(self) -> t.Set[str]:
        """The files that a call under this name has installed, of whatever release."""
        try:
            with open(self.record_path, encoding="utf-8") as file:
                return {str(item["dest"]) for item in json.load(file)["files"]}
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return set()

    def run(self, check_mode: bool, temporary: str) -> t.Dict[str, t.Any]:
        """Install what differs. Downloads go to the directory ``temporary``.

        :raises SlipwayError: when the archive is not what it should be, or something else is in a file's place.
        """
        for file in self.files:
            if os.path.exists(file.dest) and not os.path.isfile(file.dest):
                raise SlipwayError(f"files: {file.dest} is there and is no file. Move it away. Nothing was installed.")
        before = {file.dest: (file_sha256(file.dest), file_mode(file.dest)) for file in self.files}
        installed = self._installed()
        wanted = self.recorded()
        right = bool(wanted) and all(before[file.dest][0] == wanted[file.dest] for file in self.files)
        missing = any(digest is None for digest, _mode in before.values())
        downloaded = not right and not (check_mode and (missing or wanted))
        extracted = {}
        if downloaded:
            extracted = self._download(temporary)
            wanted = {file.dest: extracted[file.dest][1] for file in self.files}
        results, foreign, copies = [], [], []
        for file in self.files:
            digest = wanted.get(file.dest, "")
            changed = before[file.dest] != (digest, file.mode)
            results.append({"dest": file.dest, "sha256": digest, "changed": changed})
            if digest and before[file.dest][0] not in (None, digest) and file.dest not in installed:
                foreign.append(file.dest)
                copies += [] if check_mode else [keep(file.dest)]
            if changed and not check_mode:
                self._install(file, extracted.get(file.dest, (None, ""))[0])
        if downloaded and not check_mode:
            self._record(wanted)
        return {
            "changed": any(result["changed"] for result in results),
            "files": results,
            "archive_sha256": self.digest or "",
            "downloaded": downloaded,
            "foreign_paths": foreign,
            "copies": copies,
            "diff": {
                "before": "".join(self._describe(file, *before[file.dest]) for file in self.files),
                "after": "".join(self._describe(file, wanted.get(file.dest), file.mode) for file in self.files),
            },
        }

    def _describe(self, file: File, digest: t.Optional[str], mode: t.Optional[int]) -> str:
        """A line for the diff."""
        if mode is None:
            return f"{file.dest}: absent\n"
        return f"{file.dest}: {f'sha256:{digest}' if digest else f'from {url_shown(self.url)}'}, mode {mode:04o}\n"

    def _download(self, temporary: str) -> t.Dict[str, t.Tuple[str, str]]:
        """Path and SHA-256 of the extracted files by destination.

        :raises SlipwayError: when the archive is not what it should be; nothing has been installed then.
        """
        archive, self.digest = download(self.fetch, self.url, self.checksum, temporary)
        members = list(dict.fromkeys(file.member for file in self.files))
        paths = {member: os.path.join(temporary, f"member{number}") for number, member in enumerate(members)}
        try:
            digests = extract(archive, paths)
        except SlipwayError as error:
            raise SlipwayError(f"{url_shown(self.url)}: {error.msg} Nothing was installed.") from error
        return {file.dest: (paths[file.member], digests[file.member]) for file in self.files}

    @staticmethod
    def _install(file: File, source: t.Optional[str]) -> None:
        """Replace the file at once: it may be a program that runs. Without ``source`` only its mode is wrong."""
        if source is None:
            os.chmod(file.dest, file.mode)
            return
        make_folder(os.path.dirname(file.dest))
        with open(source, "rb") as stream, replacing(file.dest, file.mode) as target:
            shutil.copyfileobj(stream, target)

    def _record(self, digests: t.Mapping[str, str]) -> None:
        """Write down what was installed from what."""
        record = {
            "url": self.url,
            "checksum": self.checksum,
            "archive_sha256": self.digest,
            "files": [{"member": file.member, "dest": file.dest, "sha256": digests[file.dest]} for file in self.files],
        }
        make_folder(os.path.dirname(self.record_path))
        # The URLs may have a password in them.
        with replacing(self.record_path, 0o600) as file:
            file.write(json.dumps(record, indent=2).encode())


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns.

    :raises SlipwayError: when it cannot be done.
    """
    params = context.params
    context.hide_credentials(params["url"], params["checksum"].partition(":")[2])
    archive = ReleaseArchive(
        params["name"], params["url"], params["checksum"], parse_files(params["files"]), fetcher(context), RECORDS
    )
    with tempfile.TemporaryDirectory(prefix="slipway-", dir=context.module.tmpdir) as temporary:
        result = archive.run(context.check_mode, temporary)
    for path in result["foreign_paths"]:
        context.warn(f"{path} was somebody else's. It is kept beside the new one ({_marks.KEPT}).")
    return result


def main() -> None:
    run_module(ARGUMENTS, run, quiet=True)


if __name__ == "__main__":
    main()
