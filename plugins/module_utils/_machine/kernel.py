# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the running kernel has: modules, loaded or built in, and who provides a sysctl.

Private to this collection.
"""

from __future__ import annotations

import os
import platform
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text

#: What shows that a module's function is there where the kernel lists neither it nor what is built into it, as in a
#: container, or in a virtual machine whose kernel comes without /lib/modules. File systems stand in /proc/filesystems.
_EVIDENCE = {
    "br_netfilter": "/proc/sys/net/bridge/bridge-nf-call-iptables",
    "nf_conntrack": "/proc/sys/net/netfilter/nf_conntrack_max",
    "ip_vs": "/proc/sys/net/ipv4/vs",
    "ip_tables": "/proc/net/ip_tables_names",
    "ip6_tables": "/proc/net/ip6_tables_names",
}

#: Sysctls that come with a module.
_PROVIDERS = {
    "net/bridge/": "br_netfilter",
    "net/netfilter/nf_conntrack": "nf_conntrack",
    "net/nf_conntrack": "nf_conntrack",
    "net/ipv4/vs/": "ip_vs",
}


def provider(path: str) -> str:
    """The module that brings the sysctl ``path`` (below /proc/sys); empty when it belongs to every kernel."""
    return next((module for prefix, module in _PROVIDERS.items() if path.startswith(prefix)), "")


def filesystems(text: str) -> t.Set[str]:
    """The file systems that the kernel knows, from ``/proc/filesystems``."""
    return {line.split()[-1] for line in text.splitlines() if line.split()}


def builtin_modules(text: str) -> t.Set[str]:
    """Names of modules from ``modules.builtin``, whose lines are paths such as ``kernel/fs/overlayfs/overlay.ko``."""
    return {os.path.basename(line).split(".ko")[0].replace("-", "_") for line in text.splitlines()}


class KernelModules:
    """The modules of the running kernel.

    :param root: a folder in the place of ``/``, for tests.
    """

    def __init__(self, root: str = "") -> None:
        self._root = root
        self._builtin = builtin_modules(read_text(f"{root}/lib/modules/{platform.release()}/modules.builtin"))
        self._filesystems = filesystems(read_text(f"{root}/proc/filesystems"))

    def has(self, name: str) -> bool:
        """Whether the module is loaded or built in."""
        name = name.replace("-", "_")
        return (
            os.path.isdir(f"{self._root}/sys/module/{name}")
            or name in self._builtin
            or name in self._filesystems
            or (name in _EVIDENCE and os.path.exists(self._root + _EVIDENCE[name]))
        )
