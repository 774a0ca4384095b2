# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let one run change a cluster at a time. Whether another one goes on is found out here, on the controller."""

from __future__ import annotations

import os
import typing as t

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._look import seen
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._run_lock import PATIENCE, holder_of, this_run

_MODULE = "slipway.kubernetes.run_lock"
#: How often a record may change between the look at it and the writing of ours.
_ATTEMPTS = 3


class ActionModule(ActionBase):
    """Takes over the record of a run that is over; the module does so only when it is still that one."""

    TRANSFERS_FILES = False

    def run(self, tmp: t.Any = None, task_vars: t.Optional[t.Dict[str, t.Any]] = None) -> t.Dict[str, t.Any]:
        """The module's result; failed when another run goes on."""
        task_vars = task_vars or {}
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        take_over = boolean(arguments.get("take_over", False), strict=False)
        # An action runs in a process that ansible-playbook has forked.
        run = {**this_run(os.getppid()), "patience": int(arguments.get("patience") or PATIENCE)}
        node = seen(task_vars) or {}
        holder = holder_of(node.get("run"), run, take_over)
        over = (node.get("run") or {}) if holder is None else {}
        result: t.Dict[str, t.Any] = {}
        for _attempt in range(_ATTEMPTS):
            result = self._execute_module(
                module_name=_MODULE, module_args={**arguments, "run": run, "over": over}, task_vars=task_vars
            )
            other = result.get("holder")
            if not other:
                return result
            holder = holder_of(other, run, take_over)
            if holder:
                return self._refused(result, f"A{holder.message[1:]} {holder.remedy}")
            over = other
        return self._refused(result, "The record of runs on this host changes all the time. Run the play again.")

    def _refused(self, result: t.Dict[str, t.Any], text: str) -> t.Dict[str, t.Any]:
        """Check mode changes nothing, so it may go on beside another run."""
        if self._task.check_mode:
            return {**result, "warnings": [*result.get("warnings", []), f"{text} What is seen now may be half done."]}
        return {**result, "failed": True, "msg": text}
