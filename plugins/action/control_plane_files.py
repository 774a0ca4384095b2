# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the files of control planes on the controller; the module of the same name writes them."""

from __future__ import annotations

import typing as t

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _controller_files

_MODULE = "slipway.kubernetes.control_plane_files"


class ActionModule(ActionBase):
    """Secrets are handed over as such, so that the module logs them nowhere."""

    TRANSFERS_FILES = False

    def run(self, tmp: t.Any = None, task_vars: t.Optional[t.Dict[str, t.Any]] = None) -> t.Dict[str, t.Any]:
        """The module's result; failed when a source cannot be read."""
        task_vars = task_vars or {}
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        try:
            files = [self._read(entry, task_vars) for entry in arguments.get("files") or []]
        except ValueError as error:
            return {"failed": True, "msg": f"files: {error}"}
        return self._execute_module(module_name=_MODULE, module_args={**arguments, "files": files}, task_vars=task_vars)

    def _read(self, entry: t.Mapping[str, t.Any], task_vars: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
        """The entry with its text.

        :raises ValueError: when it cannot be had.
        """
        text = entry.get("content")
        if entry.get("source") and text is None:
            path = _controller_files.located(str(entry["source"]), task_vars.get("inventory_dir"))
            text = _controller_files.read_text(self._loader, path)
        elif entry.get("source"):
            raise ValueError(f"{entry.get('name')} has both `content` and `source`.")
        kept = {key: value for key, value in entry.items() if key not in ("content", "source")}
        secret = boolean(entry.get("secret", False), strict=False)
        return {**kept, "secret_content" if secret else "content": text}
