#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_modules
short_description: Kernel modules loaded now and at boot, in one call
version_added: 0.1.0
description:
  - Loads kernel modules and lists them in a file of their own for C(systemd-modules-load).
  - A module that is built into the kernel counts as loaded, also where the kernel has no list of its modules
    (C(/lib/modules)) and its function shows elsewhere, for example in C(/proc/filesystems).
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
  names:
    description: Names of the modules.
    type: list
    elements: str
    required: true
  path:
    description:
      - File that is written. It holds nothing but these modules. One of somebody else in its place is kept beside it
        (C(.before-slipway)), with a warning.
    type: path
    default: /etc/modules-load.d/slipway-kubernetes.conf
notes:
  - In check mode a module that C(modprobe) cannot find is a warning, because an earlier task may have to bring it.
"""

EXAMPLES = r"""
- name: Load what container networks need
  slipway.kubernetes.kernel_modules:
    names: [overlay, br_netfilter]
    path: /etc/modules-load.d/example.conf
"""

RETURN = r"""
loaded:
  description: Modules that were loaded by this call, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample: [br_netfilter]
"""

import platform
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _marks
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine.kernel import KernelModules as Kernel
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

_MANAGED = "# Ansible managed (slipway.kubernetes): changes made here by hand are lost.\n"


class KernelModules:
    """Modules that shall be loaded, now and at boot.

    :raises SlipwayError: when something is no name of a module.
    """

    def __init__(self, names: t.Sequence[str], path: str, kernel: Kernel, runner: Runner) -> None:
        wrong = [repr(name) for name in names if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name)]
        if wrong:
            raise SlipwayError(f"names: {', '.join(wrong)} cannot be names of kernel modules.")
        self._file = TextFile(path, _MANAGED + "".join(f"{name}\n" for name in names))
        self._missing = [name for name in names if not kernel.has(name)]
        self._runner = runner

    def run(self, check_mode: bool) -> t.Dict[str, t.Any]:
        """Load what is not loaded and write the file.

        :raises SlipwayError: naming all modules that could not be loaded; then the file is not written.
        """
        rewrite = self._file.differs()
        diff = [self._file.diff()] if rewrite else []
        if self._missing:
            header = {"before_header": "loaded kernel modules", "after_header": "loaded kernel modules"}
            diff.append({**header, "before": "", "after": "".join(f"{name}\n" for name in self._missing)})
        failed = self._modprobe("--dry-run" if check_mode else "--")
        problem = (
            f"The kernel {platform.release()} cannot load {', '.join(failed)}. Install the package with its modules"
            " (after a kernel upgrade, reboot first), or use a kernel that has them."
        )
        if failed and not check_mode:
            raise SlipwayError(problem)
        kept = _marks.keep_foreign(self._file.path, check_mode) if rewrite else []
        if rewrite and not check_mode:
            self._file.write()
        return {
            "changed": rewrite or bool(self._missing),
            "loaded": self._missing,
            "warnings": kept + ([problem] if failed else []),
            "diff": diff,
        }

    def _modprobe(self, option: str) -> t.List[str]:
        """The modules that cannot be loaded, each with the reason."""
        modprobe = self._runner.which("modprobe", required=False) if self._missing else None
        if modprobe is None:
            return [f"{name} (modprobe is not installed, package kmod)" for name in self._missing]
        failed = []
        for name in self._missing:
            result = self._runner.run([modprobe, option, name], check=False)
            if result.rc != 0:
                failed.append(f"{name} ({result.stderr.strip() or 'modprobe said nothing'})")
        return failed


ARGUMENTS: t.Dict[str, t.Any] = {
    "names": {"type": "list", "elements": "str", "required": True},
    "path": {"type": "path", "default": "/etc/modules-load.d/slipway-kubernetes.conf"},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    modules = KernelModules(context.params["names"], context.params["path"], Kernel(), context.runner)
    result = modules.run(context.check_mode)
    for warning in result.pop("warnings"):
        context.warn(warning)
    return result


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
