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
    description: Names of sysctls, in the notation of sysctl(8), and their values.
    type: dict
    required: true
  path:
    description: File that is written. It holds nothing but these settings.
    type: path
    default: /etc/sysctl.d/99-slipway-kubernetes.conf
notes:
  - In check mode a sysctl of a kernel module that is not loaded yet (C(net.bridge.*)) counts as a change.
"""

EXAMPLES = r"""
- name: Forward packets
  slipway.kubernetes.sysctl_settings:
    settings:
      net.ipv4.ip_forward: 1
    path: /etc/sysctl.d/99-example.conf
"""

RETURN = r"""
changed_settings:
  description: Sysctls whose live value was set, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample: [net.ipv4.ip_forward]
"""

import os
import re
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, read_text

_MANAGED = "# Ansible managed (slipway.kubernetes): changes made here by hand are lost.\n"


def key_path(name: str, root: str = "/proc/sys") -> str:
    """The file of a sysctl; whichever of ``.`` and ``/`` comes first in its name separates its parts (sysctl(8)).

    :raises SlipwayError: when it is no name of a sysctl.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_./:@-]*", name) or ".." in name:
        raise SlipwayError(f"settings: {name!r} is no name of a sysctl.")
    first = re.search(r"[./]", name)
    if first and first.group() == ".":
        name = name.translate(str.maketrans("./", "/."))
    return os.path.join(root, name)


def normalised(value: t.Any) -> str:
    """A value as the kernel prints it, with single spaces between several numbers."""
    if isinstance(value, bool):
        return str(int(value))
    return " ".join(str(value).split())


def file_content(settings: t.Mapping[str, str]) -> str:
    """The text of the file for sysctl.d(5)."""
    return _MANAGED + "".join(f"{name} = {value}\n" for name, value in sorted(settings.items()))


def run(module: AnsibleModule) -> t.Dict[str, t.Any]:
    """Write the file and set the live values that differ.

    :raises SlipwayError: naming all sysctls that this kernel does not have, or that refuse their value.
    """
    settings = {str(name): normalised(value) for name, value in module.params["settings"].items()}
    paths = {name: key_path(name) for name in settings}
    absent = sorted(name for name, path in paths.items() if not os.path.exists(path))
    if absent and not module.check_mode:
        raise SlipwayError(
            f"This kernel has no sysctl {', '.join(absent)}. Load the kernel module that brings it first"
            " (br_netfilter for net.bridge), or take it out of the settings."
        )
    live = {name: normalised(read_text(path)) for name, path in paths.items()}
    drifted = sorted(name for name, value in settings.items() if live[name] != value)
    file = TextFile(module.params["path"], file_content(settings))
    file_differs = file.differs()
    diff = [file.diff()] if file_differs else []
    if drifted:
        header = {"before_header": "live sysctls", "after_header": "live sysctls"}
        before = "".join(f"{name} = {live[name]}\n" for name in drifted if name not in absent)
        diff.append({**header, "before": before, "after": "".join(f"{name} = {settings[name]}\n" for name in drifted)})
    if not module.check_mode:
        if file_differs:
            file.write()
        refused = []
        for name in drifted:
            try:
                with open(paths[name], "w", encoding="utf-8") as stream:
                    stream.write(settings[name] + "\n")
            except OSError as error:
                refused.append(f"{name} = {settings[name]} ({error.strerror})")
        if refused:
            raise SlipwayError(f"The kernel refused {', '.join(refused)}.")
    return {"changed": file_differs or bool(drifted), "changed_settings": drifted, "diff": diff}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "settings": {"type": "dict", "required": True},
            "path": {"type": "path", "default": "/etc/sysctl.d/99-slipway-kubernetes.conf"},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**run(module))
    except SlipwayError as error:
        module.fail_json(msg=error.msg, **error.details)


if __name__ == "__main__":
    main()
