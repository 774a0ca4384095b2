# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The container runtimes that are known. All that is said about one stands in its own file beside this one.

Private to this collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes.containerd import CONTAINERD
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes.crio import CRIO
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes.docker import DOCKER
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes.runtime import Runtime, path_of

#: By their names, as ``container_runtime_provider`` has them; the first one is the default.
RUNTIMES: t.Dict[str, Runtime] = {runtime.name: runtime for runtime in (CONTAINERD, CRIO, DOCKER)}
DEFAULT = CONTAINERD
#: The option of modules that says where the runtime listens.
CRI_SOCKET: t.Dict[str, t.Any] = {"type": "str", "default": f"unix://{DEFAULT.socket}"}


def chosen(name: str = "", cri_socket: str = "") -> Runtime:
    """The runtime with that name, or at that socket, whose path has the name in it; one without anything if unknown."""
    at_socket = (runtime for runtime in RUNTIMES.values() if runtime.name in path_of(cri_socket))
    return RUNTIMES.get(name) or next(at_socket, Runtime())
