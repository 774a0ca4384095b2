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
  - Turns off all active swap, comments the swap lines of C(/etc/fstab) out, masks systemd's swap units (those of its
    zram generator, too) and services that make swap (zram-tools, zram-config, dphys-swapfile, swapspace), so that none
    comes back with the next boot.
  - Swap units that an administrator wrote below C(/etc/systemd/system) are disabled; the file stays.
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
  backup:
    description: Keep a copy of O(fstab) beside it before it is changed.
    type: bool
    default: false
notes:
  - In a container the kernel shows the swap of its host, and this module would turn that off.
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
  description: systemd units that were masked or disabled, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample: [dev-zram0.swap]
backup_file:
  description: The copy of O(fstab).
  type: str
  returned: when O(backup) is set and O(fstab) was changed
  sample: /etc/fstab.4711.2026-11-21@06:14:00~
"""

import os
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import (
    TextFile,
    lines_of,
    make_folder,
    read_exactly,
    read_text,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine.swap import (
    UNITS,
    active_swaps,
    is_swap_line,
    swap_units,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

_MARK = "# turned off for Kubernetes (slipway.kubernetes): "


def without_swap(fstab: str) -> str:
    """``fstab`` with its lines of the type swap commented out."""
    return "".join(_MARK + line if is_swap_line(line) else line for line in lines_of(fstab))


class Swap:
    """Swap of this machine, now and for the next boot.

    :param backup: makes a copy of a file and returns its path; ``None`` for no copy.
    :param root: a folder in the place of ``/``, for tests.
    """

    def __init__(
        self, fstab: str, runner: Runner, backup: t.Optional[t.Callable[[str], str]] = None, root: str = ""
    ) -> None:
        path = root + fstab
        before = read_exactly(path)
        status = os.stat(path) if os.path.exists(path) else None
        mode, owner, group = (status.st_mode & 0o7777, status.st_uid, status.st_gid) if status else (0o644, 0, 0)
        self._file = TextFile(path, without_swap(before), mode, str(owner), str(group))
        self._rewrite = self._file.content != before
        self._units = swap_units(root)
        self._active = self._swaps(root)
        self._runner, self._backup, self._root = runner, backup, root

    def run(self, check_mode: bool) -> t.Dict[str, t.Any]:
        """Turn off what is on.

        :raises SlipwayError: when the kernel or systemd refuse.
        """
        units = self._units.names()
        diff = [self._file.diff()] if self._rewrite else []
        for what, names in (("active swap", self._active), ("units that turn swap on", units)):
            if names:
                before = "".join(f"{name}\n" for name in names)
                diff.append({"before_header": what, "after_header": what, "before": before, "after": ""})
        result = {"changed": bool(diff), "turned_off": self._active, "masked": units, "diff": diff}
        if not check_mode:
            if self._rewrite and self._backup:
                result["backup_file"] = self._backup(self._file.path)
            self._turn_off(units)
        return result

    @staticmethod
    def _swaps(root: str) -> t.List[str]:
        return active_swaps(read_text(f"{root}/proc/swaps"))

    def _turn_off(self, units: t.Sequence[str]) -> None:
        """The next boot first, so that a run that breaks off does not leave a half that nobody sees."""
        systemctl = self._runner.which("systemctl", required=False)
        is_running = systemctl is not None and os.path.isdir(f"{self._root}/run/systemd/system")
        if self._rewrite:
            self._file.write()
        for unit in self._units.to_mask:
            make_folder(self._root + UNITS)
            os.symlink("/dev/null", f"{self._root}{UNITS}/{unit}")
        for link in self._units.links:
            os.unlink(link)
        if units and is_running:
            self._runner.run([str(systemctl), "stop", *units], failure="The swap units could not be stopped")
        if (units or self._rewrite) and is_running:
            self._runner.run([str(systemctl), "daemon-reload"])
        still_active = self._swaps(self._root)
        if still_active:
            swapoff = self._runner.which("swapoff")
            failure = "Swap could not be turned off (is there enough free memory for what it holds?)"
            self._runner.run([str(swapoff), *still_active], failure=failure)


ARGUMENTS: t.Dict[str, t.Any] = {
    "state": {"type": "str", "choices": ["absent"], "default": "absent"},
    "fstab": {"type": "path", "default": "/etc/fstab"},
    "backup": {"type": "bool", "default": False},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    backup = context.module.backup_local if context.params["backup"] else None
    return Swap(context.params["fstab"], context.runner, backup).run(context.check_mode)


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
