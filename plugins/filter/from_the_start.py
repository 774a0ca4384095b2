# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

from ansible import context
from ansible.errors import AnsibleFilterError

_NAMESPACE = "slipway.kubernetes."
_COLLECTION = Path(__file__).resolve().parents[2]


def _is_ours(playbook: str) -> bool:
    return playbook.startswith(_NAMESPACE) or _COLLECTION in Path(playbook).resolve().parents


def from_the_start(hosts: str) -> str:
    """``hosts``, unless a playbook of ours is to be started in its middle.

    :raises AnsibleFilterError: when it is.
    """
    if context.CLIARGS.get("start_at_task") and any(map(_is_ours, context.CLIARGS.get("args") or ())):
        raise AnsibleFilterError(
            "Nothing was changed: this playbook cannot be started with --start-at-task. That would leave out the look"
            " at the machines, the lock and the choice of the control plane that serves the run. Run all of it: what is"
            " done already is not done again. Parts of site.yml have tags."
        )
    return hosts


class FilterModule:
    """Playbooks that are run as a whole."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {"from_the_start": from_the_start}
