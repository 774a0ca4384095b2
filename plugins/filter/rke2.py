# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._rke2 import config, releases


def rke2_release(version: t.Any, architecture: str = "amd64") -> t.Dict[str, str]:
    """The names that a release and its artifacts have.

    :raises AnsibleFilterError: when it is no release.
    """
    try:
        return releases.release(str(version)).names(architecture)
    except SlipwayError as error:
        raise AnsibleFilterError(error.msg) from error


def rke2_config(computed: t.Any, over: t.Any, kind: str = "server") -> t.Dict[str, t.Any]:
    """What stands in config.yaml of a machine.

    :raises AnsibleFilterError: when an option is unknown, or has no place there.
    """
    if not isinstance(over, dict):
        raise AnsibleFilterError("rke2_config: it has to be a dictionary of RKE2's options.")
    try:
        return config.complete(dict(computed), over, kind == "server")
    except SlipwayError as error:
        raise AnsibleFilterError(error.msg) from error


class FilterModule:
    """Names and documents of RKE2."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {"rke2_config": rke2_config, "rke2_release": rke2_release}
