#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: systemd_unit
short_description: A systemd unit runs, is enabled, and has started after its configuration was written
version_added: 0.1.0
description:
  - Starts and enables a unit, and restarts or reloads it when one of its configuration files is newer than its process
    or its last reload.
  - This replaces a handler where a run may be interrupted. A handler that was notified by a run that died is lost, and
    the unit would go on with its old configuration for ever.
  - In check mode a unit that is not installed yet counts as a change.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  name:
    description: Name of the unit, with its suffix.
    type: str
    required: true
  enabled:
    description: Whether the unit starts at boot.
    type: bool
    default: true
  restart_after:
    description: Configuration files; the unit is restarted when its main process is older than one of them.
    type: list
    elements: path
    default: []
  restart_replaced:
    description:
      - Whether the unit is restarted when the program that its main process runs has been replaced on disk, or when the
        link by whose name it was started leads to another program now.
    type: bool
    default: false
  reload_after:
    description:
      - Configuration files; the unit is reloaded when its start and its last reload are older than one of them.
    type: list
    elements: path
    default: []
  written:
    description:
      - Files that tasks before this one would have written. In check mode they count as newer than the process and its
        last reload; otherwise they have been written, and this says nothing.
    type: list
    elements: path
    default: []
  timeout:
    description: Seconds that the unit may take to become active.
    type: int
    default: 60
requirements:
  - systemd
"""

EXAMPLES = r"""
- name: Run sshd with its present configuration
  slipway.kubernetes.systemd_unit:
    name: ssh.service
    restart_after:
      - /etc/ssh/sshd_config
"""

RETURN = r"""
action:
  description: What was done to the running unit, or would be in check mode.
  type: str
  choices: [none, started, restarted, reloaded]
  returned: success
  sample: restarted
"""

import os
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _processes
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._systemd import (
    RUNNING,
    Unit,
    expect_no_mask,
    newest,
    process_started,
    starts_at_boot,
)

_VERBS = {"started": "start", "restarted": "restart", "reloaded": "reload"}
#: Where the times of reloads are kept, until the machine boots: systemd forgets them when it reads unit files again.
_RELOADS = "/run/slipway/reloads"


def is_replaced(pid: str, proc: str = _processes.PROC) -> bool:
    """Whether the program that a process runs is not the file any more that has its name.

    Its name may be a link to a version of the program, which leads to another one now.
    """
    try:
        runs, named = os.readlink(f"{proc}/{pid}/exe"), _processes.words(pid, proc)[0]
    except OSError:
        return False
    is_elsewhere = os.path.isabs(named) and os.path.exists(named) and os.path.realpath(named) != runs
    return runs.endswith(" (deleted)") or is_elsewhere


class SystemdUnit:
    """One unit of systemd, its state at boot, and the files that it has to have read."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._name: str = context.params["name"]
        self._enabled: bool = context.params["enabled"]
        self._restart_after: t.List[str] = context.params["restart_after"]
        self._reload_after: t.List[str] = context.params["reload_after"]
        self._written: t.Set[str] = set(context.params["written"]) if context.check_mode else set()
        self._reload = f"{_RELOADS}/{self._name}"
        self._restart_replaced: bool = context.params["restart_replaced"]
        self._timeout: int = context.params["timeout"]
        self._unit = Unit(context.runner, self._name)

    def run(self) -> t.Dict[str, t.Any]:
        """Bring the unit to its wished state.

        :raises SlipwayError: when it is not installed, or does not become active in time.
        """
        properties = self._unit.properties()
        absent = properties.get("LoadState") == "not-found"
        if absent and not self._context.check_mode:
            raise SlipwayError(f"The unit {self._name} does not exist on this host; install its package first.")
        expect_no_mask(self._name, properties, self._context.check_mode)
        replaced = self._restart_replaced and is_replaced(properties.get("MainPID", "0"))
        action = self._decide(properties, replaced)
        state = properties.get("UnitFileState", "")
        is_enabled = starts_at_boot(properties)
        toggle = not is_enabled if self._enabled else state.startswith("enabled")
        if not self._context.check_mode:
            now = properties
            if self._is_outdated(properties):
                self._unit.systemctl("daemon-reload")
                now = self._unit.properties()
            # One that was started with its earlier file stays active, and a timer among them never elapses again.
            if now.get("LoadState") in ("bad-setting", "error"):
                raise SlipwayError(
                    f"systemd cannot use the file of the unit {self._name} ({now['LoadState']}). See what"
                    f" `systemd-analyze verify {self._name}` says on this host."
                )
            if toggle:
                self._unit.systemctl("enable" if self._enabled else "disable", "--quiet", self._name)
            if action != "none":
                begin = time.time()
                self._unit.systemctl(_VERBS[action], self._name)
                if action == "reloaded":
                    TextFile(self._reload, "").write()
                    os.utime(self._reload, (begin, begin))
            # One that fails and is started again and again, as of a call before this one, does not run either.
            if action != "none" or properties.get("ActiveState") == "activating":
                self._unit.wait(self._timeout)
        before = {"active": properties.get("ActiveState", "inactive"), "enabled": is_enabled}
        after = {"active": "active", "enabled": self._enabled if toggle else is_enabled}
        if action in ("restarted", "reloaded"):
            older = "of a program that was replaced" if replaced else "older than its configuration"
            before["process"], after["process"] = older, action
        return {
            "changed": toggle or action != "none",
            "action": action,
            "diff": {"before_header": self._name, "after_header": self._name, "before": before, "after": after},
        }

    def _is_outdated(self, properties: t.Mapping[str, str]) -> bool:
        """Whether systemd knows another file of the unit, or of what it starts (as a timer does), than there is."""
        if properties.get("NeedDaemonReload") == "yes":
            return True
        started = properties.get("Triggers", "").split()
        return bool(started) and "yes" in self._unit.systemctl(
            "show", "--property=NeedDaemonReload", "--value", *started
        )

    def _decide(self, properties: t.Mapping[str, str], replaced: bool) -> str:
        """What the unit needs."""
        if properties.get("ActiveState") not in RUNNING:
            return "started"
        now = time.time()
        started = process_started(properties, now, time.clock_gettime(time.CLOCK_MONOTONIC))
        if replaced or self._written & set(self._restart_after) or started < newest(self._restart_after, now):
            return "restarted"
        known = max(started, newest([self._reload], now))
        is_behind = self._written & set(self._reload_after) or known < newest(self._reload_after, now)
        if not is_behind:
            return "none"
        # What is not up yet cannot be reloaded.
        return "restarted" if properties.get("ActiveState") == "activating" else "reloaded"


ARGUMENTS: t.Dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "enabled": {"type": "bool", "default": True},
    "restart_after": {"type": "list", "elements": "path", "default": []},
    "restart_replaced": {"type": "bool", "default": False},
    "reload_after": {"type": "list", "elements": "path", "default": []},
    "written": {"type": "list", "elements": "path", "default": []},
    "timeout": {"type": "int", "default": 60},
}


def main() -> None:
    run_module(ARGUMENTS, lambda context: SystemdUnit(context).run())


if __name__ == "__main__":
    main()
