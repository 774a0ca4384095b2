#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: hosts_file
short_description: The names of machines in /etc/hosts
version_added: 0.1.0
description:
  - Keeps a block of lines in C(/etc/hosts), between two comments that say whose it is. All other lines stay. One of
    these comments without the other goes, and the lines behind it stay.
  - When the machine has got another hostname, the line for C(127.0.1.1), where Debian's and Ubuntu's installers put it,
    follows. Its domain and further names stay. Where there is no such line none is made.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  lines:
    description: Lines of the block, each an address followed by names. Without lines there is no block.
    type: list
    elements: str
    default: []
  hostname:
    description: The machine's hostname; empty leaves the line for C(127.0.1.1) alone.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Let machines know each other
  slipway.kubernetes.hosts_file:
    lines:
      - 192.0.2.11 cp1
      - 192.0.2.21 worker1
"""

RETURN = r"""
"""

import os
import stat
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, read_exactly
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import hosts_file

ARGUMENTS: t.Dict[str, t.Any] = {
    "lines": {"type": "list", "elements": "str", "default": []},
    "hostname": {"type": "str", "default": ""},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    path = hosts_file.PATH
    before = read_exactly(path)
    mode = stat.S_IMODE(os.stat(path).st_mode) if os.path.exists(path) else 0o644
    text = hosts_file.wanted(before, context.params["lines"], context.params["hostname"])
    file = TextFile(path, text, mode)
    changed = text != before
    diff = file.diff() if changed else {}
    if changed and not context.check_mode:
        file.write()
    return {"changed": changed, "diff": diff}


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
