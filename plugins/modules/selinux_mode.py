#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: selinux_mode
short_description: Whether SELinux enforces its policy, now and after the next boot
version_added: 0.1.0
description:
  - Sets the mode of the running kernel and that in C(/etc/selinux/config).
  - It needs no package on the host, unlike C(ansible.posix.selinux), and does not choose a policy.
  - A SELinux that is off stays off. That needs a reboot and new labels for all files, and is not done here.
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
  mode:
    description:
      - With V(permissive) what the policy does not allow is written to the audit log, and done all the same. Where
        SELinux is off, nothing is to be done unless the configuration says that it is to enforce.
      - With V(enforcing) it is refused. Where SELinux is off that is an error.
    type: str
    choices: [permissive, enforcing]
    required: true
"""

EXAMPLES = r"""
- name: Let SELinux note what it would refuse
  slipway.kubernetes.selinux_mode:
    mode: permissive
"""

RETURN = r"""
before:
  description: The mode of the kernel before; empty where SELinux is off.
  type: str
  returned: success
  sample: enforcing
"""

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, read_exactly
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine import selinux
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

_NUMBERS = {"permissive": "0", "enforcing": "1"}


def configured(text: str, mode: str) -> str:
    """The configuration with another mode."""
    line = selinux.SETTING.search(text)
    if line is None:
        return f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}SELINUX={mode}\n"
    return "".join((text[: line.start(1)], mode, text[line.end(1) :]))


def bring(mode: str, check_mode: bool, root: str = "") -> t.Dict[str, t.Any]:
    """Set the mode where it is another one.

    :raises SlipwayError: when SELinux is off and shall enforce, or the kernel refuses.
    """
    before = selinux.mode(root)
    if not before and mode == "enforcing":
        raise SlipwayError(selinux.OFF)
    path = f"{root}{selinux.CONFIGURATION}"
    text = read_exactly(path)
    # One that is off may be on after a boot, and then as the configuration says.
    stays = not before and selinux.mode_at_boot(root) != "enforcing"
    file = TextFile(path, text if stays else configured(text, mode))
    kernel = {"before_header": "SELinux", "after_header": "SELinux", "before": f"{before}\n", "after": f"{mode}\n"}
    differs = before not in ("", mode)
    diff = ([kernel] if differs else []) + ([file.diff()] if file.content != text else [])
    if not check_mode:
        # The next boot first: what breaks off in between is seen by the next run.
        if file.content != text:
            file.write()
        if differs:
            try:
                with open(f"{root}{selinux.ENFORCE}", "w", encoding="ascii") as stream:
                    stream.write(_NUMBERS[mode])
            except OSError as error:
                raise SlipwayError(f"The kernel does not let SELinux become {mode}: {error.strerror}.") from error
    return {"changed": bool(diff), "before": before, "diff": diff}


ARGUMENTS: t.Dict[str, t.Any] = {"mode": {"type": "str", "choices": ["permissive", "enforcing"], "required": True}}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    return bring(context.params["mode"], context.check_mode)


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
