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
    details: Secret contents are left out.
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
        description: Absolute path of the file. Missing parent folders are made with mode 0755.
        type: path
        required: true
      content:
        description: Its text.
        type: str
      secret_content:
        description: Its text when nobody may see it in output or diffs.
        type: str
      mode:
        description: Permission bits in octal digits.
        type: str
        default: "0644"
      owner:
        description: Name of the user that owns it; root, or whoever runs the task, when absent.
        type: str
        default: ""
      group:
        description: Name of the group that owns it.
        type: str
        default: ""
      state:
        description: Whether the file is there.
        type: str
        choices: [present, absent]
        default: present
  purge:
    description: Folders in which files that match a pattern and are not in O(files) are deleted.
    type: list
    elements: dict
    default: []
    suboptions:
      directory:
        description: The folder.
        type: path
        required: true
      pattern:
        description: Shell pattern of paths below the folder, for example V(*/hosts.toml).
        type: str
        required: true
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
  description: Paths of the files that were written or deleted, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample: [/etc/example.d/a.conf]
"""

import glob
import os
import re
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, read_text


def wanted_files(entries: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[TextFile]:
    """The files that shall be there.

    :raises SlipwayError: when an entry has no content, two contents, a wrong mode, or a path that stands twice.
    """
    files: t.Dict[str, TextFile] = {}
    for entry in entries:
        path, texts = entry["path"], [entry.get("content"), entry.get("secret_content")]
        if path in files:
            raise SlipwayError(f"files: {path} stands there twice.")
        if entry["state"] == "absent":
            continue
        if sum(text is not None for text in texts) != 1:
            raise SlipwayError(f"files: {path} needs either `content` or `secret_content`.")
        if not os.path.isabs(path) or not re.fullmatch(r"0?[0-7]{3,4}", entry["mode"]):
            raise SlipwayError(f"files: {path} needs an absolute path and a mode in octal digits, such as \"0644\".")
        content = texts[0] if texts[0] is not None else texts[1]
        files[path] = TextFile(
            path, str(content), int(entry["mode"], 8), entry["owner"], entry["group"], secret=texts[1] is not None
        )
    return list(files.values())


def unwanted_files(
    entries: t.Sequence[t.Mapping[str, t.Any]], purge: t.Sequence[t.Mapping[str, str]], keep: t.Iterable[str]
) -> t.List[str]:
    """Paths of existing files that shall not be there."""
    found = {entry["path"] for entry in entries if entry["state"] == "absent" and os.path.lexists(entry["path"])}
    for rule in purge:
        found.update(glob.glob(os.path.join(glob.escape(rule["directory"]), rule["pattern"])))
    return sorted(found - set(keep))


def run(module: AnsibleModule) -> t.Dict[str, t.Any]:
    """Write and delete what differs.

    :raises SlipwayError: when the files are not well described.
    """
    files = wanted_files(module.params["files"])
    differing = [file for file in files if file.differs()]
    unwanted = unwanted_files(module.params["files"], module.params["purge"], [file.path for file in files])
    diff: t.List[t.Dict[str, str]] = [file.diff() for file in differing]
    secret = {file.path for file in files if file.secret}
    for path in unwanted:
        before = "(deleted)\n" if path in secret else read_text(path)
        diff.append({"before_header": path, "after_header": path, "before": before, "after": ""})
    if not module.check_mode:
        for file in differing:
            file.write()
        for path in unwanted:
            os.unlink(path)
    return {
        "changed": bool(differing or unwanted),
        "paths": [file.path for file in files],
        "changed_paths": [file.path for file in differing] + unwanted,
        "diff": diff,
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
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
                },
            },
            "purge": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "directory": {"type": "path", "required": True},
                    "pattern": {"type": "str", "required": True},
                },
            },
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**run(module))
    except SlipwayError as error:
        module.fail_json(msg=error.msg, **error.details)
    except (OSError, KeyError) as error:
        module.fail_json(msg=f"A file could not be written: {error}")


if __name__ == "__main__":
    main()
