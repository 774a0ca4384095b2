#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: platform_info
short_description: Compares a machine with what is assumed about its distribution
version_added: 0.1.0
description:
  - Runs commands that only read, and compares what they print with what is expected.
  - C(playbooks/check_platform.yml) asks by it for all that this collection assumes about distributions, and prints a
    report that belongs into a bug report.
  - What is not as expected is no failure of the module.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.attributes.read_only
options:
  assumptions:
    description:
      - What is assumed, in the order in which it is looked at.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What is assumed, in words.
        type: str
        required: true
      command:
        description:
          - What C(/bin/sh) runs, in the language C(C). It has to end by itself and to change nothing. What it prints to
            its standard error counts, too.
        type: str
        required: true
      expected:
        description:
          - A regular expression of Python that is found somewhere in what the command prints; C(^) and C($) are the
            ends of a line.
        type: str
        required: true
  timeout:
    description:
      - Seconds that one command may take. One that takes longer is ended, and not as expected.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Look at what is assumed
  slipway.kubernetes.platform_info:
    assumptions:
      - name: cgroup v2
        command: stat -fc %T /sys/fs/cgroup
        expected: ^cgroup2fs$
  register: example_platform
"""

RETURN = r"""
assumptions:
  description: What was found, in the order of O(assumptions).
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: What is assumed.
      type: str
      sample: cgroup v2
    command:
      description: What was run.
      type: str
      sample: stat -fc %T /sys/fs/cgroup
    printed:
      description: What it printed, without credentials in URLs; the end of it when that is long.
      type: str
      sample: cgroup2fs
    as_expected:
      description: Whether it is as expected.
      type: bool
"""

import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import printable
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, expect_timeout, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import without_credentials

#: Characters of what a command prints that are returned.
LONGEST = 2000
#: What timeout(1) returns for a command that it has ended, and what it ends with when that took force.
_ENDED = (124, 137, -9)

ARGUMENTS: t.Dict[str, t.Any] = {
    "assumptions": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "command": {"type": "str", "required": True},
            "expected": {"type": "str", "required": True},
        },
    },
    "timeout": {"type": "int", "default": 60},
}


def patterns(assumptions: t.Iterable[t.Mapping[str, str]]) -> t.List[t.Pattern[str]]:
    """What is expected, of each.

    :raises SlipwayError: when it is no regular expression; all that are none are named.
    """
    compiled, wrong = [], []
    for assumption in assumptions:
        try:
            compiled.append(re.compile(assumption["expected"], re.MULTILINE))
        except re.error as error:
            wrong.append(f"{assumption['name']}: `expected` is no regular expression: {error}.")
    if wrong:
        raise SlipwayError(" ".join(wrong))
    return compiled


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    assumptions, timeout = context.params["assumptions"], context.params["timeout"]
    expect_timeout(timeout)
    found = []
    for assumption, pattern in zip(assumptions, patterns(assumptions)):
        # Both streams as they come: many programs print their version to the one, many to the other.
        script = f"exec </dev/null 2>&1\n{assumption['command']}"
        argv = ["timeout", "--kill-after=5", str(timeout), "/bin/sh", "-c", script]
        result = context.runner.run(argv, check=False)
        printed = without_credentials(printable(result.stdout.strip()))
        is_ended = result.rc in _ENDED
        found.append(
            {
                "name": assumption["name"],
                "command": assumption["command"],
                "printed": f"(ended after {timeout} seconds) {printed}"[:LONGEST] if is_ended else printed[-LONGEST:],
                "as_expected": not is_ended and bool(pattern.search(printed)),
            }
        )
    return {"assumptions": found}


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
