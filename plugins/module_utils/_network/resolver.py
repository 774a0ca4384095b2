# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names on a machine: the resolv.conf that its pods will have, and whether it can resolve a name.

Private to this collection.
"""

from __future__ import annotations

import os
import re
import subprocess
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text

RESOLV_CONF = "/etc/resolv.conf"
#: What kubeadm makes the kubelet use where systemd-resolved runs. Source: kubeadm's componentconfigs/kubelet.go.
RESOLVED = "/run/systemd/resolve/resolv.conf"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")
#: Seconds that the resolver may take for all names.
_PATIENCE = 12


def parse_resolv_conf(text: str) -> t.Dict[str, t.List[str]]:
    """Name servers and search domains, as the C library and the kubelet read them: the last search line counts."""
    servers: t.List[str] = []
    search: t.List[str] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            servers.append(words[1])
        elif words and words[0] in ("search", "domain"):
            search = words[1:]
    return {"nameservers": servers, "search": search}


def is_active(unit: str, root: str = "") -> bool:
    """Whether systemd runs the service ``unit`` now."""
    return os.path.lexists(f"{root}/run/systemd/units/invocation:{unit}.service")


def look(root: str = "") -> t.Dict[str, t.Any]:
    """The file that the kubelet will hand to pods, and what is in it.

    :param root: a folder in the place of ``/``, for tests.
    """
    path = RESOLVED if is_active("systemd-resolved", root) else RESOLV_CONF
    place = root + path
    target = os.readlink(place) if os.path.islink(place) else ""
    return {
        "path": path,
        "target": target,
        "exists": os.path.isfile(place),
        **parse_resolv_conf(read_text(place)),
    }


class Lookups:
    """Resolves several names at once by the machine's own means, while the caller does something else.

    :param names: names; what is none is not looked up.
    """

    def __init__(self, names: t.Iterable[str], program: str = "getent") -> None:
        self._processes = {}
        for name in dict.fromkeys(names):
            if not _NAME.fullmatch(name):
                continue
            try:
                self._processes[name] = subprocess.Popen(
                    [program, "ahosts", name],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    encoding="utf-8",
                    errors="replace",
                )
            except OSError:
                continue  # without the program nothing can be said

    def result(self) -> t.Dict[str, t.List[str]]:
        """The addresses of each name; none when it cannot be resolved."""
        found = {}
        for name, process in self._processes.items():
            try:
                stdout = process.communicate(timeout=_PATIENCE)[0]
            except subprocess.TimeoutExpired:
                process.kill()
                stdout = process.communicate()[0]
            found[name] = list(dict.fromkeys(line.split()[0] for line in stdout.splitlines() if line.split()))
        return found
