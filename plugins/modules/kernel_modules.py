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
  - A module that is built into the kernel counts as loaded.
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
    description: File that is written. It holds nothing but these modules.
    type: path
    default: /etc/modules-load.d/slipway-kubernetes.conf
"""

EXAMPLES = r"""
- name: Load overlay
  slipway.kubernetes.kernel_modules:
    names: [overlay]
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

import os
import platform
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, read_text

_MANAGED = "# Ansible managed (slipway.kubernetes): changes made here by hand are lost.\n"

#: What shows that a module's function is there where a kernel lists neither it nor what is built into it, as in a
#: container, or in a virtual machine whose kernel has no modules at all.
_EVIDENCE = {
    "br_netfilter": "/proc/sys/net/bridge/bridge-nf-call-iptables",
    "nf_conntrack": "/proc/sys/net/netfilter/nf_conntrack_max",
    "ip_vs": "/proc/sys/net/ipv4/vs",
    "ip_tables": "/proc/net/ip_tables_names",
    "nf_tables": "/proc/sys/net/netfilter/nf_log",
}


def filesystems(text: str) -> t.Set[str]:
    """The file systems that the kernel knows, from ``/proc/filesystems``."""
    return {line.split()[-1] for line in text.splitlines() if line.split()}


def builtin_modules(text: str) -> t.Set[str]:
    """Names of modules from ``modules.builtin``, whose lines are paths such as ``kernel/fs/overlayfs/overlay.ko``."""
    return {os.path.basename(line).split(".ko")[0].replace("-", "_") for line in text.splitlines()}


def is_loaded(name: str, builtin: t.Set[str], known_filesystems: t.Set[str]) -> bool:
    """Whether the kernel has the module ``name``, loaded or built in."""
    name = name.replace("-", "_")
    return (
        os.path.isdir(f"/sys/module/{name}")
        or name in builtin
        or name in known_filesystems
        or os.path.exists(_EVIDENCE.get(name, "/nonexistent"))
    )


def run(module: AnsibleModule) -> t.Dict[str, t.Any]:
    """Load what is not loaded and write the file.

    :raises SlipwayError: naming all modules that could not be loaded.
    """
    names: t.List[str] = module.params["names"]
    builtin = builtin_modules(read_text(f"/lib/modules/{platform.release()}/modules.builtin"))
    known = filesystems(read_text("/proc/filesystems"))
    missing = [name for name in names if not is_loaded(name, builtin, known)]
    file = TextFile(module.params["path"], _MANAGED + "".join(f"{name}\n" for name in names))
    file_differs = file.differs()
    diff = [file.diff()] if file_differs else []
    if missing:
        header = {"before_header": "loaded kernel modules", "after_header": "loaded kernel modules"}
        diff.append({**header, "before": "", "after": "".join(f"{name}\n" for name in missing)})
    if not module.check_mode:
        if missing:
            _load(Runner(module), missing)
        if file_differs:
            file.write()
    return {"changed": file_differs or bool(missing), "loaded": missing, "diff": diff}


def _load(runner: Runner, names: t.Sequence[str]) -> None:
    """Load modules.

    :raises SlipwayError: naming all that could not be loaded, and why.
    """
    modprobe = runner.which("modprobe")
    assert modprobe is not None
    failed = []
    for name in names:
        result = runner.run([modprobe, name], check=False)
        if result.rc != 0:
            failed.append(f"{name} ({result.stderr.strip() or 'modprobe said nothing'})")
    if failed:
        raise SlipwayError(
            f"The kernel {platform.release()} cannot load {', '.join(failed)}. Install the package with its modules"
            " (after a kernel upgrade, reboot first), or use a kernel that has them."
        )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "path": {"type": "path", "default": "/etc/modules-load.d/slipway-kubernetes.conf"},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(**run(module))
    except SlipwayError as error:
        module.fail_json(msg=error.msg, **error.details)


if __name__ == "__main__":
    main()
