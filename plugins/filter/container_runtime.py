# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes import DEFAULT, RUNTIMES, chosen


def _reporting(function: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    """``function``, with its ValueError turned into the error that Ansible shows."""

    def call(*args: t.Any, **kwargs: t.Any) -> t.Any:
        try:
            return function(*args, **kwargs)
        except ValueError as error:
            raise AnsibleFilterError(f"{function.__name__}: {error}") from error

    return call


def container_runtime(which: str) -> t.Dict[str, t.Any]:
    """The runtime at a socket or with a name, or the default one: its service, and how it runs programs of images."""
    text = str(which or DEFAULT.name)
    runtime = chosen(text, text)
    at_socket = runtime.socket if runtime.name == text else text
    found = {"name": runtime.name, "service": runtime.service, "socket": runtime.socket}
    return {**found, "tool": runtime.tool_at(at_socket)}


class FilterModule:
    """The container runtimes that are known, and their configuration."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        own = {name: _reporting(filter_) for runtime in RUNTIMES.values() for name, filter_ in runtime.filters.items()}
        return {"container_runtime": container_runtime, **own}
