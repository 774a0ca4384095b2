# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sandboxes of pods on this machine, and the networks that they are in, by what libcni keeps of each.

Its files outlive a sandbox when that is taken down by another network's plugins, so only what has processes counts.

Private to this collection.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import signal
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _processes
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text

RESULTS = "/var/lib/cni/results"
#: Ids of sandboxes; others that use libcni have names of their own.
SANDBOX = re.compile(r"[0-9a-f]{64}")


class Sandbox(t.NamedTuple):
    """A sandbox with an interface in a CNI network."""

    identifier: str
    #: NAMESPACE/NAME, and the uid by which the kubelet knows it.
    pod: str
    uid: str
    network: str
    result: t.Mapping[str, t.Any]


def parse(text: str) -> t.Optional[Sandbox]:
    """The sandbox that a file of libcni is about; ``None`` for another container, and for no such file."""
    try:
        kept = json.loads(text)
        words = {str(pair[0]): str(pair[1]) for pair in kept.get("cniArgs") or []}
        if not SANDBOX.fullmatch(kept["containerId"]):
            return None
        pod = f"{words['K8S_POD_NAMESPACE']}/{words['K8S_POD_NAME']}"
        network = str(kept.get("networkName") or "")
        return Sandbox(kept["containerId"], pod, words.get("K8S_POD_UID", ""), network, dict(kept["result"]))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return None


def kept(folder: str = "") -> t.List[Sandbox]:
    """What libcni keeps, of sandboxes that are gone, too."""
    return [
        found for path in sorted(glob.glob(f"{folder or RESULTS}/*")) for found in [parse(read_text(path))] if found
    ]


def holders(identifiers: t.Collection[str]) -> t.Dict[str, t.List[int]]:
    """The processes that hold these sandboxes, by their ids; those that nobody holds are left out."""
    found: t.Dict[str, t.List[int]] = {}
    proc = _processes.PROC
    for pid in sorted(int(name) for name in os.listdir(proc) if name.isdigit()) if identifiers else []:
        group = read_text(f"{proc}/{pid}/cgroup")
        # Ids are looked up and not searched for one by one: a node may have hundreds.
        named = [word for word in SANDBOX.findall(group) if word in identifiers]
        if named and _processes.is_in_pod(pid, proc):
            found.setdefault(named[-1], []).append(pid)
    return found


def alive(folder: str = "") -> t.List[Sandbox]:
    """The sandboxes that somebody holds."""
    found = kept(folder)
    held = holders({sandbox.identifier for sandbox in found})
    return [sandbox for sandbox in found if sandbox.identifier in held]


def end(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to a process that may have ended meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
