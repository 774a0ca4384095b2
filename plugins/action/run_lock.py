# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let one run change a cluster at a time. Whether another one goes on is found out here, on the controller."""

from __future__ import annotations

import os
import tempfile
import typing as t

from ansible import constants
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.slipway.kubernetes.plugins.module_utils import _waiting
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _run_keeper
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._look import seen
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._run_lock import (
    PATIENCE,
    Holder,
    holder_of,
    patience_of,
    this_run,
)

_MODULE = "slipway.kubernetes.run_lock"
#: How often a record may change between the look at it and the writing of ours. There are two: file and Lease.
_ATTEMPTS = 5
#: Seconds between two looks at a run that may be dead.
_PAUSE = 3.0

Result = t.Dict[str, t.Any]


class ActionModule(ActionBase):
    """Takes over the records of runs that are over; the module does so only when they are still those."""

    TRANSFERS_FILES = False

    def run(self, tmp: t.Any = None, task_vars: t.Optional[t.Dict[str, t.Any]] = None) -> Result:
        """The module's result; failed when another run goes on."""
        self._vars = task_vars or {}
        super().run(tmp, task_vars)
        # An action runs in a process that ansible-playbook has forked.
        self._pid = os.getppid()
        self._run = {**this_run(self._pid), "patience": int(self._task.args.get("patience") or PATIENCE)}
        if self._task.args.get("state", "present") != "present":
            return self._given_back()
        result = self._take()
        if not result.get("failed") and not result.get("unreachable") and not self._task.check_mode:
            _run_keeper.detach(self._keeper_path(), self._keep)
        return result

    def _take(self) -> Result:
        take_over = boolean(self._task.args.get("take_over", False), strict=False)
        node = seen(self._vars) or {}
        known = node.get("run")
        over = [known] if known and holder_of(known, self._run, take_over) is None else []
        result: Result = {}
        for _attempt in range(_ATTEMPTS):
            result = self._module(over=over)
            other = result.get("holder")
            if not other:
                return self._with_warnings(result, over)
            holder = holder_of(other, self._run, take_over)
            if holder and holder.may_be_dead and not self._task.check_mode:
                other, holder = self._outlived(holder, over, take_over)
            if holder:
                return self._refused(result, f"A{holder.message[1:]} {holder.remedy}")
            over = [*over, other] if other else over
        return self._refused(result, "The record of runs on this host changes all the time. Run the play again.")

    def _outlived(
        self, holder: Holder, over: t.Sequence[t.Any], take_over: bool
    ) -> t.Tuple[t.Dict[str, t.Any], t.Optional[Holder]]:
        """Look at a run until it gives another sign of life, or has given none for too long.

        :returns: its record, empty when it has given the lock back, and who it is when it goes on.
        """
        first = holder.record
        Display().warning(
            f"A{holder.message[1:]} It may be dead: waiting for up to {patience_of(first)} s for a sign of life."
        )
        wait = _waiting.Wait(patience_of(first) + 2 * _PAUSE, _PAUSE)
        while not wait.is_over:
            wait.sleep()
            found = self._module(over=over, state="looked").get("holder")
            if not found or any(found.get(key) != first.get(key) for key in ("controller", "pid", "started")):
                return {}, None  # taking it says what there is now
            now = holder_of(found, self._run, take_over)
            # No clock is asked: neither ours nor that of the machine is known to be right.
            if now is None or found.get("seen") != first.get("seen"):
                return found, now
        return {**first, "age": float(first["age"]) + patience_of(first)}, None

    def _with_warnings(self, result: Result, over: t.Sequence[t.Mapping[str, t.Any]]) -> Result:
        """Say of which runs the lock was taken over that were not seen to have ended."""
        here = all_of(self._run)
        taken = [
            f"Took the lock over: no sign of life for {int(float(record.get('age', 0)))} s of"
            f" {Holder(record, False).message.partition(': ')[2]}"
            for record in over
            if all_of(record) != here
        ]
        return {**result, "warnings": [*result.get("warnings", []), *taken]} if taken else result

    def _given_back(self) -> Result:
        path = self._keeper_path()
        result = self._module()
        if not os.path.exists(path) or self._task.check_mode:
            return result  # there was nothing to be given back
        if result.get("lost"):
            text = "This run had lost its lock before it came to its end; look at what both have done."
            return {**result, "failed": True, "msg": f"{text} A{Holder(result['lost'], False).message[1:]}"}
        if not _run_keeper.is_kept(path):
            text = "The process that shows that this run goes on has ended before it. Others may have begun meanwhile."
            return {**result, "warnings": [*result.get("warnings", []), text]}
        return result

    def _module(self, **given: t.Any) -> Result:
        arguments = {**self._task.args, "run": self._run, **given}
        return self._execute_module(module_name=_MODULE, module_args=arguments, task_vars=self._vars)

    def _keeper_path(self) -> str:
        """The file that the process is known by: one for each machine, in this run's own folder on the controller."""
        host = self._task.delegate_to or self._vars.get("inventory_hostname", "host")
        return os.path.join(constants.DEFAULT_LOCAL_TMP, f"slipway-run-{host}".replace(os.sep, "_"))

    def _keep(self) -> None:
        """What the process does: as this action does it, in the same way to the same machine."""
        Display().verbosity = 0
        # What other kinds of connections than ssh have open belongs to the process that it was inherited from.
        self._connection.close()
        keeper = _run_keeper.Keeper(
            _run_keeper.Process(self._pid), self._ask, lambda record: Holder(record, False).message
        )
        # ansible-playbook deletes its folder when it ends, which is before this process does.
        with tempfile.TemporaryDirectory(
            prefix="slipway-run-", dir=os.path.dirname(constants.DEFAULT_LOCAL_TMP)
        ) as folder:
            constants.DEFAULT_LOCAL_TMP = folder
            keeper.keep()

    def _ask(self, state: str, known: t.Mapping[str, t.Any]) -> Result:
        # The folder on the machine that the task had is gone with the task.
        self._connection._shell.tmpdir = None
        self._run["patience"] = _run_keeper.PATIENCE
        try:
            return self._module(state=state, known=dict(known))
        finally:
            self.cleanup(force=True)

    def _refused(self, result: Result, text: str) -> Result:
        """Check mode changes nothing, so it may go on beside another run."""
        if self._task.check_mode:
            return {**result, "warnings": [*result.get("warnings", []), f"{text} What is seen now may be half done."]}
        return {**result, "failed": True, "msg": text}


def all_of(record: t.Mapping[str, t.Any]) -> t.Tuple[t.Any, ...]:
    """What tells controllers apart, with the namespace that process ids are of."""
    return tuple(record.get(key) for key in ("controller", "machine_id", "namespace"))
