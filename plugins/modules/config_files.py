#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: config_files
short_description: A set of text files, written in one call
version_added: 0.1.0
description:
  - Writes several text files, each complete or not at all, and deletes files of the same kind that are not in the set.
  - One call for all files of a program is several times faster than a task for each of them.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Contents of O(files[].secret_content) and of files that not everybody may read are left out.
  idempotent:
    support: full
options:
  files:
    description: The files.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Absolute path of the file. Missing parent folders are made.
        type: path
        required: true
      content:
        description: Its text.
        type: str
      secret_content:
        description:
          - Its text when nobody may see it in output or diffs.
          - Give the file an O(files[].mode) such as V(0600), too.
        type: str
      mode:
        description: Permission bits in octal digits, with a leading zero and in quotes.
        type: str
        default: "0644"
      owner:
        description: Name or number of the user that owns it; whoever runs the task (root, as a rule) when empty.
        type: str
        default: ""
      group:
        description: Name or number of the group that owns it; the group of whoever runs the task when empty.
        type: str
        default: ""
      state:
        description: Whether the file is there.
        type: str
        choices: [present, absent]
        default: present
      keep:
        description: Whether a file that is there already stays as it is, whatever is in it and whoever wrote it.
        type: bool
        default: false
      brief:
        description: Whether a diff tells how long the text is, in the place of the text. For programs.
        type: bool
        default: false
  directory_mode:
    description: Permission bits, in octal digits, of parent folders that have to be made.
    type: str
    default: "0755"
  purge:
    description:
      - Folders in which files that match a pattern and are not in O(files) are deleted.
      - Folders below them that have become empty by that are deleted, too.
    type: list
    elements: dict
    default: []
    suboptions:
      directory:
        description: The folder.
        type: path
        required: true
      pattern:
        description:
          - Shell pattern of paths below the folder, for example V(*/hosts.toml). V(**) is any number of folders.
          - It does not match dot files.
        type: str
        required: true
      managed:
        description: Whether only files whose head says that this collection has written them are deleted.
        type: bool
        default: false
"""

EXAMPLES = r"""
- name: Write two files and delete what else is of their kind
  slipway.kubernetes.config_files:
    files:
      - path: /etc/example.d/a.conf
        content: "a = 1\n"
      - path: /etc/example.d/b.conf
        secret_content: "password = {{ example_password }}\n"
        mode: "0600"
    purge:
      - directory: /etc/example.d
        pattern: "*.conf"
"""

RETURN = r"""
paths:
  description: Paths of all files that shall be there.
  type: list
  elements: str
  returned: success
  sample: [/etc/example.d/a.conf]
changed_paths:
  description:
    - Paths of the files that were written or deleted, or would be in check mode.
    - Tasks and handlers can depend on a file that is among them.
  type: list
  elements: str
  returned: success
  sample: [/etc/example.d/a.conf]
foreign_paths:
  description:
    - Paths of files that somebody else had written and that are replaced by files whose head says that they are ours,
      or by the kubeconfig of a cluster.
  type: list
  elements: str
  returned: success
  sample: []
copies:
  description: Where what was in them is kept; empty in check mode.
  type: list
  elements: str
  returned: success
  sample: []
"""

import functools
import glob
import os
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _marks
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, deletion_diff, read_exactly
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kubeconfig
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages import package_manager

Values = t.Mapping[str, t.Any]


def mode_bits(text: str, option: str) -> int:
    """Permission bits from octal digits.

    :raises SlipwayError: when they are something else, such as a number that YAML has already made decimal.
    """
    if not re.fullmatch(r"0[0-7]{3,4}", text):
        raise SlipwayError(f'{option}: {text!r} is no mode in octal digits in quotes, such as "0644".')
    return int(text, 8)


def wanted_files(entries: t.Sequence[Values], directory_mode: int) -> t.List[TextFile]:
    """The files that shall be there.

    :raises SlipwayError: when an entry has no content, two contents, a wrong mode, or a path that stands twice.
    """
    seen: t.Set[str] = set()
    files = []
    for entry in entries:
        path, texts = os.path.normpath(entry["path"]), [entry.get("content"), entry.get("secret_content")]
        if not os.path.isabs(path):
            raise SlipwayError(f"files: {path} is no absolute path.")
        if path in seen:
            raise SlipwayError(f"files: {path} stands there twice.")
        seen.add(path)
        if entry["state"] == "absent" or (entry["keep"] and os.path.lexists(path)):
            continue
        given = [text for text in texts if text is not None]
        if len(given) != 1:
            raise SlipwayError(f"files: {path} needs either `content` or `secret_content`.")
        mode = mode_bits(entry["mode"], f"files: mode of {path}")
        secret = texts[1] is not None
        owner, group, brief = entry["owner"], entry["group"], entry["brief"]
        files.append(TextFile(path, given[0], mode, owner, group, secret, directory_mode, brief))
    return files


def unwanted_files(entries: t.Sequence[Values], purge: t.Sequence[Values], keep: t.Iterable[str]) -> t.List[str]:
    """Paths of existing files that shall not be there.

    :raises SlipwayError: when a pattern leads out of its folder.
    """
    found = {os.path.normpath(entry["path"]) for entry in entries if entry["state"] == "absent"}
    kept = {os.path.normpath(entry["path"]) for entry in entries if entry["keep"]}
    for rule in purge:
        directory, pattern = os.path.normpath(rule["directory"]), rule["pattern"]
        if not os.path.isabs(directory) or os.path.isabs(pattern) or ".." in pattern.split("/"):
            raise SlipwayError(f"purge: {pattern} has to stay below {directory}, which has to be an absolute path.")
        matching = glob.glob(os.path.join(glob.escape(directory), pattern), recursive=True)
        is_ours = _marks.is_managed if rule["managed"] else functools.partial(_is_inside, directory)
        found.update(path for path in matching if is_ours(path))
    return sorted(path for path in found - kept - set(keep) if os.path.islink(path) or os.path.isfile(path))


def _is_inside(directory: str, path: str) -> bool:
    """Whether a path lies below a folder without a link to another folder on its way, whose files are not ours."""
    folder = os.path.dirname(path)
    return os.path.realpath(folder) == os.path.normpath(
        os.path.join(os.path.realpath(directory), os.path.relpath(folder, directory))
    )


def emptied_folders(unwanted: t.Iterable[str], purge: t.Sequence[Values]) -> t.List[str]:
    """Folders of purged files, below (and without) those that purge names, the deepest first."""
    folders = set()
    for path in unwanted:
        for rule in purge:
            directory = os.path.normpath(rule["directory"])
            folder = os.path.dirname(path)
            while folder.startswith(directory + "/"):
                # A link to a folder is not ours.
                folders.update([] if os.path.islink(folder) else [folder])
                folder = os.path.dirname(folder)
    return sorted(folders, key=len, reverse=True)


def _is_somebody_elses(file: TextFile, is_pristine: _marks.Test) -> bool:
    """Whether ours would take the place of what somebody else has written, which is kept then.

    A kubeconfig has no mark; an earlier one of the same cluster, or of one that was at its address, is not kept.
    """
    if kubeconfig.plain(file.content):
        before = read_exactly(file.path)
        ours = kubeconfig.is_copy(before, file.content) or kubeconfig.is_of_rebuilt_cluster(before, file.content)
        return bool(before.strip()) and not ours
    return _marks.is_marked(file.content) and _marks.is_foreign(file.path, is_pristine)


class ConfigFiles:
    """A set of text files.

    :param is_pristine: whether a file is what its package has brought, and nobody has changed it.
    :raises SlipwayError: when it is not well described.
    """

    def __init__(
        self, files: t.Sequence[Values], purge: t.Sequence[Values], directory_mode: str, is_pristine: _marks.Test
    ) -> None:
        self._is_pristine = is_pristine
        self._files = wanted_files(files, mode_bits(directory_mode, "directory_mode"))
        self._unwanted = unwanted_files(files, purge, [file.path for file in self._files])
        self._folders = emptied_folders(self._unwanted, purge)

    def run(self, check_mode: bool) -> t.Dict[str, t.Any]:
        """Write and delete what differs.

        :raises SlipwayError: when an owner or group is unknown, or a folder is in a file's place; then nothing has been
            written.
        """
        for file in self._files:
            file.expect_place()
        differing = [file for file in self._files if file.differs()]
        foreign = [file.path for file in differing if _is_somebody_elses(file, self._is_pristine)]
        copies = []
        diff = [file.diff() for file in differing] + [deletion_diff(path) for path in self._unwanted]
        if not check_mode:
            for file in differing:
                file.ids()
            copies = [_marks.keep(path) for path in foreign]
            for file in differing:
                file.write()
            for path in self._unwanted:
                os.unlink(path)
            for folder in self._folders:
                if not os.listdir(folder):
                    os.rmdir(folder)
        return {
            "changed": bool(differing or self._unwanted),
            "paths": [file.path for file in self._files],
            "changed_paths": [file.path for file in differing] + self._unwanted,
            "foreign_paths": foreign,
            "copies": copies,
            "diff": diff,
        }


ARGUMENTS: t.Dict[str, t.Any] = {
    "files": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "path": {"type": "path", "required": True},
            "content": {"type": "str"},
            "secret_content": {"type": "str", "no_log": True},
            "mode": {"type": "str", "default": "0644"},
            "owner": {"type": "str", "default": ""},
            "group": {"type": "str", "default": ""},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "keep": {"type": "bool", "default": False},
            "brief": {"type": "bool", "default": False},
        },
    },
    "directory_mode": {"type": "str", "default": "0755"},
    "purge": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "directory": {"type": "path", "required": True},
            "pattern": {"type": "str", "required": True},
            "managed": {"type": "bool", "default": False},
        },
    },
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    params = context.params
    is_pristine = package_manager(context.runner).is_pristine
    files = ConfigFiles(params["files"], params["purge"], params["directory_mode"], is_pristine)
    result = files.run(context.check_mode)
    for path in result["foreign_paths"]:
        context.warn(f"{path} was somebody else's. What was in it is kept beside it ({_marks.KEPT}).")
    return result


def main() -> None:
    run_module(ARGUMENTS, run, quiet=True)


if __name__ == "__main__":
    main()
