# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the certificates of a machine, and print their table with colours when that is asked for."""

from __future__ import annotations

import typing as t

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.color import stringc
from ansible.utils.display import Display

_MODULE = "slipway.kubernetes.kubeadm_certs_info"
_COLOURS = {"expired": "red", "soon": "yellow", "valid": "green"}


def coloured(host: str, result: t.Mapping[str, t.Any]) -> t.List[str]:
    """The table of ``host`` as one text, so that those of several hosts do not mix."""
    header, *lines = result["table"]
    colours = [_COLOURS[item["urgency"]] for item in result["certificates"]]
    return [f"{host}:", f"  {header}", *(stringc(f"  {line}", colour) for line, colour in zip(lines, colours))]


class ActionModule(ActionBase):
    """The module, and its table on the screen."""

    TRANSFERS_FILES = False

    def run(self, tmp: t.Any = None, task_vars: t.Optional[t.Dict[str, t.Any]] = None) -> t.Dict[str, t.Any]:
        """What the module returns."""
        task_vars = task_vars or {}
        super().run(tmp, task_vars)
        result = self._execute_module(module_name=_MODULE, module_args=dict(self._task.args), task_vars=task_vars)
        if boolean(self._task.args.get("show", False), strict=False) and result.get("table"):
            Display().display("\n".join(coloured(task_vars["inventory_hostname"], result)))
        return result
