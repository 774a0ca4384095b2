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

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.kubernetes.plugins.module_utils import _hosts_file
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, read_exactly


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "lines": {"type": "list", "elements": "str", "default": []},
            "hostname": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    path = _hosts_file.PATH
    before = read_exactly(path)
    mode = stat.S_IMODE(os.stat(path).st_mode) if os.path.exists(path) else 0o644
    text = _hosts_file.wanted(before, module.params["lines"], module.params["hostname"])
    file = TextFile(path, text, mode)
    changed = text != before
    diff = file.diff() if changed else {}
    if changed and not module.check_mode:
        try:
            file.write()
        except (OSError, SlipwayError) as error:
            module.fail_json(msg=f"{path} could not be written: {error}")
    module.exit_json(changed=changed, diff=diff)


if __name__ == "__main__":
    main()
