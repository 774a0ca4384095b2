# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _containerd


def _reporting(function: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    """``function``, with its ValueError turned into the error that Ansible shows."""

    def call(*args: t.Any, **kwargs: t.Any) -> t.Any:
        try:
            return function(*args, **kwargs)
        except ValueError as error:
            raise AnsibleFilterError(f"{function.__name__}: {error}") from error

    return call


class FilterModule:
    """Configuration of containerd."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {
            "containerd_files": _reporting(_containerd.containerd_files),
            "containerd_config": _reporting(_containerd.containerd_config),
            "registry_hosts": _reporting(_containerd.registry_hosts),
        }
