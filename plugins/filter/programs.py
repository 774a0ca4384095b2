# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet import serving_timer
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _programs


def program_source(name: str) -> str:
    """The text of a program that is one module of this collection."""
    return _programs.source(name)


def program_files(name: str, folder: str) -> t.List[t.Dict[str, t.Any]]:
    """A program with all that it needs below ``folder``, as ``files`` of the module ``config_files``."""
    try:
        found = _programs.package(name)
    except (OSError, ValueError) as error:
        raise AnsibleFilterError(f"program_files: {error}") from error
    return [{"path": f"{folder}/{path}", "content": text, "brief": True} for path, text in sorted(found.items())]


def files_digest(files: t.Sequence[t.Mapping[str, str]]) -> str:
    """What node_facts says of a machine that has just these files, as ``files`` of the module ``config_files``."""
    return serving_timer.digest({file["path"]: file["content"] for file in files})


class FilterModule:
    """Programs that run on nodes without Ansible."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {"files_digest": files_digest, "program_files": program_files, "program_source": program_source}
