# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what addons have on the controller; the module of the same name applies them."""

from __future__ import annotations

import json
import typing as t

from ansible.plugins.action import ActionBase
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _addons

_MODULE = "slipway.kubernetes.kube_addons"


class ActionModule(ActionBase):
    """The list is handed over as one text, which the module treats as secret."""

    TRANSFERS_FILES = False

    def run(self, tmp: t.Any = None, task_vars: t.Optional[t.Dict[str, t.Any]] = None) -> t.Dict[str, t.Any]:
        """The module's result; failed when a file of an entry cannot be read."""
        task_vars = task_vars or {}
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        given = arguments.get("addons")
        if not isinstance(given, list) or not all(isinstance(entry, dict) for entry in given):
            return {"failed": True, "msg": "addons: a list of dictionaries is needed."}
        entries = []
        for entry in given:
            try:
                entries.append(_addons.handed_over(entry, self._loader, task_vars.get("inventory_dir")))
            except ValueError as error:
                return {"failed": True, "msg": f"addon {entry.get('name')}: {str(error).rstrip('.')}."}
        text = json.dumps(entries)
        return self._execute_module(module_name=_MODULE, module_args={**arguments, "addons": text}, task_vars=task_vars)
