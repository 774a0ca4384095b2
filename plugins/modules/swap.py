#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: swap
short_description: Swap off, now and after a reboot
version_added: 0.1.0
description:
  - Turns off all active swap, comments the swap lines of C(/etc/fstab) out and masks systemd's swap units and the zram
    generators, so that none comes back with the next boot.
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
  state:
    description: V(absent) is the only state; a machine that shall keep its swap does not call this module.
    type: str
    choices: [absent]
    default: absent
  fstab:
    description: Table of file systems.
    type: path
    default: /etc/fstab
requirements:
  - systemd
"""

EXAMPLES = r"""
- name: Turn swap off for the kubelet
  slipway.kubernetes.swap:
    state: absent
"""

RETURN = r"""
turned_off:
  description: Devices and files that were turned off, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample: [/dev/sda2]
masked:
  description: systemd units that were masked, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample: [dev-sda2.swap]
"""

import glob
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, read_text

_MARK = "# turned off for Kubernetes (slipway.kubernetes): "
#: Packages that make swap in compressed memory: Debian's zram-tools, and systemd's generator.
_ZRAM = {
    "zramswap.service": ("/lib/systemd/system/zramswap.service", "/usr/lib/systemd/system/zramswap.service"),
    "systemd-zram-setup@zram0.service": ("/usr/lib/systemd/system-generators/zram-generator",),
}


def active_swaps(text: str) -> t.List[str]:
    """Devices and files from ``/proc/swaps``."""
    return [line.split()[0] for line in text.splitlines()[1:] if line.split()]


def without_swap(fstab: str) -> str:
    """``fstab`` with its lines of the type swap commented out."""
    lines = []
    for line in fstab.splitlines(keepends=True):
        fields = line.split()
        is_swap = len(fields) >= 3 and not fields[0].startswith("#") and fields[2] == "swap"
        lines.append(_MARK + line if is_swap else line)
    return "".join(lines)


def swap_units(root: str = "") -> t.List[str]:
    """Swap units that an administrator or a generator made, other than those of fstab; masked ones left out."""
    units = set()
    for folder in ("/etc/systemd/system", "/run/systemd/generator", "/run/systemd/generator.late"):
        for path in glob.glob(f"{root}{folder}/*.swap"):
            if os.path.realpath(path) != "/dev/null" and "fstab-generator" not in read_text(path):
                units.add(os.path.basename(path))
    for unit, evidence in _ZRAM.items():
        is_masked = os.path.realpath(f"{root}/etc/systemd/system/{unit}") == "/dev/null"
        if not is_masked and any(os.path.exists(root + path) for path in evidence):
            units.add(unit)
    return sorted(units)


def run(module: AnsibleModule) -> t.Dict[str, t.Any]:
    """Turn off what is on, now and for the next boot.

    :raises SlipwayError: when the kernel or systemd refuse.
    """
    runner = Runner(module)
    path: str = module.params["fstab"]
    before = read_text(path)
    mode = os.stat(path).st_mode & 0o7777 if os.path.exists(path) else 0o644
    file = TextFile(path, without_swap(before), mode)
    rewrite = file.content != before
    active = active_swaps(read_text("/proc/swaps"))
    units = swap_units()
    if not module.check_mode:
        if rewrite:
            file.write()
        if units:
            systemctl = runner.which("systemctl")
            assert systemctl is not None
            runner.run([systemctl, "mask", "--quiet", *units], failure="The swap units could not be masked")
        if active:
            swapoff = runner.which("swapoff")
            assert swapoff is not None
            runner.run([swapoff, *active], failure="Swap could not be turned off (is there enough free memory?)")
    header = {"before_header": "active swap", "after_header": "active swap"}
    diff = [file.diff()] if rewrite else []
    if active or units:
        diff.append({**header, "before": "".join(f"{item}\n" for item in active + units), "after": ""})
    return {"changed": rewrite or bool(active or units), "turned_off": active, "masked": units, "diff": diff}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["absent"], "default": "absent"},
            "fstab": {"type": "path", "default": "/etc/fstab"},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**run(module))
    except SlipwayError as error:
        module.fail_json(msg=error.msg, **error.details)


if __name__ == "__main__":
    main()
