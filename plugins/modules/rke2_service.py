#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: rke2_service
short_description: RKE2 runs on a machine, and is ready
version_added: 0.1.0
description:
  - Enables the unit of an RKE2 server or agent, starts it, and waits until it is ready. It is restarted when a file
    that it has to have read is younger than its process.
  - The unit is started without waiting for systemd, which would wait for ever where RKE2 never gets ready, and systemd
    starts a program that ends again and again. The module looks at both, and reads the log meanwhile. A line that means
    that waiting cannot help ends the wait at once, and the message says what is wrong.
  - An RKE2 server that is ready answers requests to the API; that its node is C(Ready) is not waited for.
  - It was tested with the program that stands in for RKE2 in the lab of this collection, not with RKE2 itself.
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
  kind:
    description:
      - What the machine is. The unit of the other kind must not run on it, and is not started at boot afterwards.
    type: str
    choices: [agent, server]
    required: true
  restart_after:
    description: Paths of files that RKE2 has to have read, such as its configuration and its program.
    type: list
    elements: path
    default: []
  written:
    description: In check mode, paths that tasks before this one would write. They count as younger than the process.
    type: list
    elements: path
    default: []
  timeout:
    description: Seconds until it has to be ready. The first start of a server takes minutes.
    type: int
    default: 600
requirements:
  - systemd
  - RKE2
"""

EXAMPLES = r"""
- name: Run an RKE2 server with its present configuration
  slipway.kubernetes.rke2_service:
    kind: server
    restart_after:
      - /etc/rancher/rke2/config.yaml
      - /usr/local/bin/rke2
"""

RETURN = r"""
action:
  description: What was done to the unit, or would be in check mode. V(waited) when a call before had started it.
  type: str
  choices: [none, restarted, started, waited]
  returned: success
  sample: started
journal:
  description: The last lines of its log.
  type: list
  elements: str
  returned: when it does not get ready
  sample: []
"""

import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, expect_timeout, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._rke2 import service
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import lines_shown
from ansible_collections.slipway.kubernetes.plugins.module_utils._systemd import (
    RUNNING,
    Unit,
    expect_no_mask,
    newest,
    process_started,
    starts_at_boot,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._waiting import Wait

_VERBS = {"started": "start", "restarted": "restart"}
#: So many lines of the log are read at a time.
_LINES = 200


class Rke2Service:
    """The unit of RKE2 on this machine, which shall be ready."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._kind: str = context.params["kind"]
        self._timeout: int = context.params["timeout"]
        self._unit = Unit(context.runner, service.UNITS[self._kind])
        self._other = Unit(context.runner, service.other(self._kind))

    def run(self) -> t.Dict[str, t.Any]:
        """Bring the unit to its wished state.

        :raises SlipwayError: when it cannot be brought there.
        """
        expect_timeout(self._timeout)
        properties = self._unit.properties(*service.PROPERTIES)
        other = self._other.properties()
        self._refuse(properties, other)
        action = self._decide(properties)
        is_enabled, other_enabled = starts_at_boot(properties), starts_at_boot(other)
        if not self._context.check_mode:
            if "yes" in (properties.get("NeedDaemonReload"), other.get("NeedDaemonReload")):
                self._unit.systemctl("daemon-reload")
            if other_enabled:
                self._other.systemctl("disable", "--quiet", self._other.name)
            if not is_enabled:
                self._unit.systemctl("enable", "--quiet", self._unit.name)
            if action != "none":
                self._start(action, properties.get("InvocationID", ""))
        before = {"active": properties.get("ActiveState", "inactive"), "enabled": is_enabled}
        after = {"active": "active", "enabled": True}
        if action == "restarted":
            before["process"], after["process"] = "older than its files", "restarted"
        if other_enabled:
            before[f"{self._other.name} enabled"], after[f"{self._other.name} enabled"] = True, False
        return {
            "changed": action in _VERBS or not is_enabled or other_enabled,
            "action": action,
            "diff": {
                "before_header": self._unit.name,
                "after_header": self._unit.name,
                "before": before,
                "after": after,
            },
        }

    def _refuse(self, properties: t.Mapping[str, str], other: t.Mapping[str, str]) -> None:
        """Say what nobody should have to find out by waiting, before anything is changed."""
        if properties.get("LoadState") == "not-found" and not self._context.check_mode:
            raise SlipwayError(f"The unit {self._unit.name} does not exist on this host; install RKE2 first.")
        expect_no_mask(self._unit.name, properties, self._context.check_mode)
        if other.get("ActiveState") in RUNNING:
            raise SlipwayError(
                f"{self._other.name} runs on this host, so it cannot be an RKE2 {self._kind}. A node changes its kind"
                " by being removed and joined again. Nothing was changed."
            )

    def _decide(self, properties: t.Mapping[str, str]) -> str:
        """What the unit needs."""
        if properties.get("ActiveState") not in RUNNING:
            return "started"
        now = time.time()
        files: t.List[str] = self._context.params["restart_after"]
        written = set(self._context.params["written"]) if self._context.check_mode else set()
        started = process_started(properties, now, time.clock_gettime(time.CLOCK_MONOTONIC))
        # One that waits for its next start has no process, and reads its files then.
        if written & set(files) or (started and started < newest(files, now)):
            return "restarted"
        return "none" if properties.get("ActiveState") == "active" else "waited"

    def _start(self, action: str, invocation: str) -> None:
        """Start the unit, and wait until it is ready.

        :param invocation: of the process that ends.
        """
        begin = int(time.time())
        if action in _VERBS:
            self._unit.systemctl(_VERBS[action], "--no-block", self._unit.name)
        wait = Wait(self._timeout, pause=0.5, growth=1.5, longest=3)
        while True:
            state = service.state_of(self._unit.properties(*service.PROPERTIES))
            if state.is_active and (action != "restarted" or state.invocation != invocation):
                return
            if state.is_refused:
                raise SlipwayError(
                    f"systemd does not start {self._unit.name} on this host while {self._other.name} runs."
                )
            lines = self._journal(begin)
            meaning = service.meaning_of(lines)
            if wait.is_over or (meaning and meaning.is_final):
                raise self._failure(state, meaning, lines, wait.elapsed)
            wait.sleep()

    def _journal(self, begin: int) -> t.List[str]:
        """The last lines that RKE2 has logged since then: what is wrong for good it says again and again."""
        argv = [self._context.runner.path("journalctl"), "--quiet", "--no-pager", "--output=cat"]
        argv += [f"--unit={self._unit.name}", f"--since=@{begin}", f"--lines={_LINES}"]
        return self._context.runner.run(argv, failure="The journal cannot be read").stdout.splitlines()

    def _failure(
        self, state: service.State, meaning: t.Optional[service.Meaning], lines: t.List[str], seconds: float
    ) -> SlipwayError:
        why = f": {meaning.what}. {meaning.remedy}" if meaning else "."
        last = [lines_shown(line) for line in service.last_lines(lines)]
        return SlipwayError(
            f"{self._unit.name} is {state} on this host after {seconds:.0f} seconds, and not ready{why}"
            f" It goes on trying; `journalctl --unit {self._unit.name}` has more. Its last lines:\n" + "\n".join(last),
            journal=last,
        )


ARGUMENTS: t.Dict[str, t.Any] = {
    "kind": {"type": "str", "choices": ["agent", "server"], "required": True},
    "restart_after": {"type": "list", "elements": "path", "default": []},
    "written": {"type": "list", "elements": "path", "default": []},
    "timeout": {"type": "int", "default": 600},
}


def main() -> None:
    run_module(ARGUMENTS, lambda context: Rke2Service(context).run())


if __name__ == "__main__":
    main()
