#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sysctl_settings
short_description: Sysctls in a file and live, in one call
version_added: 0.1.0
description:
  - Writes sysctls to a file of their own for the next boot and sets those whose live value differs.
  - A live value that has drifted is a change, also when the file is as it should be.
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
  settings:
    description:
      - Names of sysctls, in the notation of sysctl(8), and their values (strings, numbers or booleans).
      - They are set in this order, now and at boot.
    type: dict
    required: true
  path:
    description:
      - File that is written. It holds nothing but these settings. One of somebody else in its place is kept beside it
        (C(.before-slipway)), with a warning.
    type: path
    default: /etc/sysctl.d/99-slipway-kubernetes.conf
notes:
  - In check mode a sysctl of a kernel module that is not loaded yet (C(net.bridge.*)) counts as a change; any other
    name that the kernel does not know is an error there, too.
  - A file that is read after this one at boot and sets one of the settings to another value is a warning.
"""

EXAMPLES = r"""
- name: Forward packets, in a file of its own
  slipway.kubernetes.sysctl_settings:
    settings:
      net.ipv4.ip_forward: true
      net.ipv4.ip_local_port_range: 32768 60999
    path: /etc/sysctl.d/99-example.conf
"""

RETURN = r"""
changed_settings:
  description: Sysctls whose live value had drifted and was set, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample: [net.ipv4.ip_forward]
"""

import glob
import os
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _marks
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine.kernel import KernelModules, provider
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine.sysctls import (
    contradiction,
    key_path,
    normalised,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

_MANAGED = "# Ansible managed (slipway.kubernetes): changes made here by hand are lost.\n"
#: Where systemd-sysctl looks; of files with the same name the first one counts.
_FOLDERS = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d")


def parse_file(text: str) -> t.Dict[str, str]:
    """Paths below /proc/sys and values, from a file for sysctl.d(5)."""
    values = {}
    for line in text.splitlines():
        name, separator, value = line.strip().partition("=")
        if separator and not name.startswith(("#", ";")):
            try:
                values[key_path(name.strip().lstrip("-"))] = " ".join(value.split())
            except SlipwayError:
                continue  # a pattern such as net.ipv4.conf.*.rp_filter
    return values


class SysctlSettings:
    """Sysctls that shall have their value, now and at boot.

    :param root: a folder in the place of ``/``, for tests.
    :raises SlipwayError: when the settings are not well-formed.
    """

    def __init__(self, settings: t.Mapping[t.Any, t.Any], path: str, root: str = "") -> None:
        self._root = root
        self._settings = {str(name): normalised(str(name), value) for name, value in settings.items()}
        self._keys = {name: key_path(name) for name in self._settings}
        problem = contradiction(self._settings)
        if problem:
            raise SlipwayError(f"settings: {problem}")
        self._path = path
        text = _MANAGED + "".join(f"{name} = {value}\n" for name, value in self._settings.items())
        self._file = TextFile(root + path, text)

    def run(self, check_mode: bool) -> t.Dict[str, t.Any]:
        """Write the file and set the live values that differ.

        :raises SlipwayError: naming all sysctls that this kernel does not have, or that it refuses.
        """
        absent = self._absent(check_mode)
        live = {name: self._live(name) for name in self._settings}
        drifted = [name for name, value in self._settings.items() if live[name] != value]
        rewrite = self._file.differs()
        diff = [self._file.diff()] if rewrite else []
        if drifted:
            header = {"before_header": "live sysctls", "after_header": "live sysctls"}
            before = "".join(f"{name} = {live[name]}\n" for name in drifted if name not in absent)
            after = "".join(f"{name} = {self._settings[name]}\n" for name in drifted)
            diff.append({**header, "before": before, "after": after})
        if not check_mode:
            self._set(drifted)  # first, so that no value which the kernel refuses waits for the next boot
        kept = _marks.keep_foreign(self._file.path, check_mode) if rewrite else []
        if rewrite and not check_mode:
            self._file.write()
        return {
            "changed": rewrite or bool(drifted),
            "changed_settings": drifted,
            "warnings": kept + self._overridden(),
            "diff": diff,
        }

    def _place(self, name: str) -> str:
        return f"{self._root}/proc/sys/{self._keys[name]}"

    def _live(self, name: str) -> str:
        return " ".join(read_text(self._place(name)).split())

    def _absent(self, check_mode: bool) -> t.Set[str]:
        """Names that the kernel does not know now, but will when their module is loaded.

        :raises SlipwayError: naming those that stay unknown.
        """
        absent = [name for name in self._settings if not os.path.isfile(self._place(name))]
        if not absent:
            return set()
        kernel = KernelModules(self._root)
        unknown = []
        for name in absent:
            module = provider(self._keys[name])
            if module and not kernel.has(module):
                if not check_mode:
                    unknown.append(f"{name} (load the kernel module {module} first)")
            else:
                unknown.append(name)
        if unknown:
            raise SlipwayError(f"settings: this kernel has no sysctl {', '.join(unknown)}. Nothing was changed.")
        return set(absent)

    def _set(self, names: t.Sequence[str]) -> None:
        """Set live values.

        :raises SlipwayError: naming those that the kernel refuses or does not keep.
        """
        refused = []
        for name in names:
            try:
                with open(self._place(name), "w", encoding="utf-8") as stream:
                    stream.write(self._settings[name] + "\n")
            except OSError as error:
                refused.append(f"{name} = {self._settings[name]} ({error.strerror})")
                continue
            if self._live(name) != self._settings[name]:
                refused.append(f"{name} = {self._settings[name]} (it keeps {self._live(name)!r})")
        if refused:
            raise SlipwayError(f"settings: the kernel refused {', '.join(refused)}.")

    def _overridden(self) -> t.List[str]:
        """What other files do to our settings at boot, because they are read after ours."""
        files: t.Dict[str, str] = {}
        for folder in _FOLDERS:
            for path in glob.glob(f"{self._root}{folder}/*.conf"):
                files.setdefault(os.path.basename(path), path)
        warnings = []
        for name, path in sorted(files.items()):
            if name <= os.path.basename(self._path):
                continue
            values = parse_file(read_text(path))
            for setting, value in self._settings.items():
                other = values.get(self._keys[setting], value)
                if other != value:
                    shown = path[len(self._root) :]
                    warnings.append(f"{shown} sets {setting} to {other} after every boot; take it out there.")
        return warnings


ARGUMENTS: t.Dict[str, t.Any] = {
    "settings": {"type": "dict", "required": True},
    "path": {"type": "path", "default": "/etc/sysctl.d/99-slipway-kubernetes.conf"},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    result = SysctlSettings(context.params["settings"], context.params["path"]).run(context.check_mode)
    for warning in result.pop("warnings"):
        context.warn(warning)
    return result


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
