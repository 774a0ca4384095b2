#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: json_settings
short_description: Settings in a JSON file that others have settings in, too
version_added: 0.1.0
description:
  - Merges settings into a file with a JSON object. What others have written there stays, key by key, and of lists item
    by item.
  - JSON has no comments. What of the file is ours stands in a second file, by which settings that are not asked for any
    more are taken out again.
  - Where a value of somebody else is replaced, a copy of the file is kept beside it (C(.before-slipway)), and a warning
    names it.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows what is ours, but not where O(secret) is set.
  idempotent:
    support: full
options:
  path:
    description: The JSON file. It is made when it is missing, and removed when nothing is left in it but was ours.
    type: path
    required: true
  record:
    description: The file that keeps what is ours. Programs that have read O(path) before it changed are outdated.
    type: path
    required: true
  settings:
    description: What has to be in it. Lists get the items that they do not have.
    type: dict
    default: {}
  defaults:
    description: What is in it where others say nothing else.
    type: dict
    default: {}
  mode:
    description:
      - Permission bits of a new file, in octal digits, with a leading zero and in quotes.
      - One that is there keeps its own, unless O(secret) is set.
    type: str
    default: "0644"
  secret:
    description: Whether nobody but root may see what is in it. Both files have the mode V(0600) then.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Have an engine use the cgroups of systemd
  slipway.kubernetes.json_settings:
    path: /etc/engine/daemon.json
    record: /etc/engine/slipway-daemon.json
    settings:
      exec-opts: [native.cgroupdriver=systemd]
"""

RETURN = r"""
changed_paths:
  description:
    - The record, when what is ours has changed, or would in check mode.
    - It is for O(slipway.kubernetes.systemd_unit#module:written).
  type: list
  elements: str
  returned: success
  sample: [/etc/engine/slipway-daemon.json]
copy:
  description: Where the file is kept as it was before a value of somebody else was replaced; empty otherwise.
  type: str
  returned: success
  sample: ""
"""

import json
import os
import stat
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _marks
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._documents import joined, merged, read_object, without
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, deletion_diff
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

Object = t.Dict[str, t.Any]


def text_of(document: t.Mapping[str, t.Any], in_order: bool = False) -> str:
    """A document as it is written: what others have written stays in their order."""
    return json.dumps(document, indent=4, sort_keys=in_order) + "\n"


class JsonSettings:
    """A file with settings of several, and what of it is ours.

    :raises SlipwayError: when one of the files is no JSON object, or a mode is none.
    """

    def __init__(self, params: t.Mapping[str, t.Any]) -> None:
        self._path: str = params["path"]
        self._record: str = params["record"]
        self._secret: bool = params["secret"]
        try:
            self._mode = 0o600 if self._secret else int(params["mode"], 8)
        except ValueError as error:
            raise SlipwayError(f'mode: {params["mode"]!r} is no mode in octal digits, such as "0644".') from error
        self._present = read_object(self._path)
        self._recorded = read_object(self._record)
        self._theirs: Object = without(self._present, self._recorded) or {}
        self._wanted: Object = joined(merged(params["defaults"], self._theirs), params["settings"])
        #: What of it is ours.
        self._added: Object = without(self._wanted, self._theirs) or {}

    def run(self, check_mode: bool) -> t.Dict[str, t.Any]:
        """Write what differs."""
        file, record = self._file(), self._file_of_record(self._added)
        for one in (file, record):
            one.expect_place()
        is_left = bool(self._wanted) or not self._recorded
        differs = self._differs(file) if is_left else os.path.exists(self._path)
        is_changed = record.differs() if self._added or os.path.exists(self._record) else False
        is_replaced = differs and bool(without(self._theirs, self._wanted))
        diff = [record.diff()] if is_changed else []
        if differs and not is_left:
            diff.append(deletion_diff(self._path))
        copy = _marks.keep(self._path) if is_replaced and not check_mode else ""
        if differs and not check_mode:
            # A call that is killed in between must not leave something of ours that nobody knows any more.
            both = self._file_of_record(joined(self._recorded, self._added))
            if both.differs():
                both.write()
            if is_left:
                file.write()
            else:
                os.unlink(self._path)
        if is_changed and not check_mode and record.differs():
            record.write()
        return {
            "changed": differs or is_changed,
            "changed_paths": [self._record] if is_changed else [],
            "copy": copy,
            "diff": diff,
        }

    def _differs(self, file: TextFile) -> bool:
        """Whether something else is said there. How others have written it does not count."""
        if self._wanted != self._present:
            return True
        is_secret = self._secret and bool(self._added) and os.path.exists(self._path)
        return is_secret and stat.S_IMODE(os.stat(self._path).st_mode) != file.mode

    def _file(self) -> TextFile:
        try:
            status = os.stat(self._path)
        except OSError:
            return TextFile(self._path, text_of(self._wanted), self._mode, secret=True)
        mode = self._mode if self._secret else stat.S_IMODE(status.st_mode)
        return TextFile(self._path, text_of(self._wanted), mode, str(status.st_uid), str(status.st_gid), secret=True)

    def _file_of_record(self, document: Object) -> TextFile:
        text = text_of(document, in_order=True)
        return TextFile(self._record, text, 0o600 if self._secret else 0o644, secret=self._secret)


ARGUMENTS: t.Dict[str, t.Any] = {
    "path": {"type": "path", "required": True},
    "record": {"type": "path", "required": True},
    "settings": {"type": "dict", "default": {}},
    "defaults": {"type": "dict", "default": {}},
    "mode": {"type": "str", "default": "0644"},
    "secret": {"type": "bool", "default": False},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    result = JsonSettings(context.params).run(context.check_mode)
    if result["copy"]:
        context.warn(
            f"A value of somebody else in {context.params['path']} was replaced. It is kept in {result['copy']}."
        )
    return result


def main() -> None:
    run_module(ARGUMENTS, run, quiet=True)


if __name__ == "__main__":
    main()
