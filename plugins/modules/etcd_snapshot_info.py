#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_snapshot_info
short_description: Which backups of etcd a control plane keeps, and whether the timer's last one went well
version_added: 0.1.0
description:
  - Lists the archives of M(slipway.kubernetes.etcd_snapshot) in a folder.
  - Fails on request when the newest is too old or from the future, or when the service that the role etcd_backup sets
    up has failed.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.attributes.read_only
options:
  directory:
    description: Folder with the archives.
    type: path
    default: /var/lib/slipway/etcd-backup
  max_age:
    description:
      - Hours that the newest archive may be old, by the time in its name. It fails when that is older, absent or in
        the future. V(0) lets everything pass.
    type: int
    default: 0
  cluster_name:
    description: Only archives of the cluster with this name count. Without one, all do.
    type: str
    default: ""
  scheduled_only:
    description:
      - Lets everything pass on a host where the timer of the role etcd_backup is not enabled, whatever O(max_age) says.
        Backups that are taken without it are on one control plane only. So does a timer that was never due.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: List the backups
  slipway.kubernetes.etcd_snapshot_info:
  register: example_backups

- name: Show them
  ansible.builtin.debug:
    var: example_backups.archives
"""

RETURN = r"""
msg:
  description: How it is about backups, as one line.
  type: str
  returned: success
  sample: 7 backups of etcd, the newest 5.2 hours old
archives:
  description: The archives, newest first.
  type: list
  elements: dict
  returned: success
  contains:
    path:
      description: Where it is.
      type: str
      sample: /var/lib/slipway/etcd-backup/etcd-lab-20261121T120000Z.tar.gz
    size:
      description: Its bytes.
      type: int
      sample: 291109
    hours:
      description: Its age in hours, by the time in its name. It is negative when that is in the future.
      type: float
      sample: 5.2
service_result:
  description: What systemd says about the last backup of the timer; V(success), or a word such as V(exit-code).
  type: str
  returned: success
  sample: success
"""

import os
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd.etcd_backup import archives, taken_at
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

SERVICE = "slipway-etcd-backup.service"
TIMER = "slipway-etcd-backup.timer"
#: Hours that an archive may be in the future: clocks that were set by some minutes are nobody's problem.
CLOCKS_DIFFER = 0.1


def problem(found: t.Sequence[t.Mapping[str, t.Any]], service_result: str, max_age: int) -> str:
    """What is wrong with the backups; empty when nothing is, or when nobody asked."""
    if max_age < 1:
        return ""
    if service_result not in ("", "success"):
        return f"The timer's last backup of etcd failed ({service_result}): see `journalctl --unit={SERVICE}`."
    if not found:
        return "There is no backup of etcd on this host. Take one by playbooks/etcd_backup.yml."
    if found[0]["hours"] < -CLOCKS_DIFFER:
        return (
            f"The newest backup of etcd on this host, {found[0]['path']}, has a time in its name that is"
            f" {-found[0]['hours']} hours in the future: a clock was, or is, wrong. Set the clock (`timedatectl`), take"
            " a backup by playbooks/etcd_backup.yml, and move the archives with such names away."
        )
    if found[0]["hours"] > max_age:
        return (
            f"The newest backup of etcd on this host is {found[0]['hours']} hours old, and {max_age} are allowed. See"
            " `systemctl list-timers` and what playbooks/etcd_backup.yml says."
        )
    return ""


class EtcdSnapshotInfo:
    """The backups on this machine."""

    def __init__(self, params: t.Mapping[str, t.Any], runner: Runner, now: t.Callable[[], float] = time.time) -> None:
        self._params = params
        self._runner = runner
        self._now = now

    def run(self) -> t.Dict[str, t.Any]:
        """Look.

        :raises SlipwayError: when there is something wrong, and that was asked for.
        """
        found = [
            {
                "path": path,
                "size": os.path.getsize(path),
                "hours": round((self._now() - taken_at(path)) / 3600, 1),
            }
            for path in archives(self._params["directory"], self._params["cluster_name"])
        ]
        service_result = self._shown(SERVICE, "Result")
        is_asked = not self._params["scheduled_only"] or self._is_due(bool(found))
        wrong = problem(found, service_result, self._params["max_age"] if is_asked else 0)
        if wrong:
            raise SlipwayError(wrong, archives=found, service_result=service_result)
        newest = f", the newest {found[0]['hours']} hours old" if found else ""
        return {
            "changed": False,
            "msg": f"{len(found)} backups of etcd{newest}",
            "archives": found,
            "service_result": service_result,
        }

    def _is_due(self, is_found: bool) -> bool:
        """Whether the timer has to have made backups."""
        enabled = self._shown(TIMER, "UnitFileState") == "enabled"
        return enabled and (is_found or self._shown(TIMER, "LastTriggerUSec") not in ("", "n/a"))

    def _shown(self, unit: str, name: str) -> str:
        """A property of a unit; empty when it is not there or there is no systemd."""
        systemctl = self._runner.which("systemctl", required=False)
        if systemctl is None:
            return ""
        shown = self._runner.run([systemctl, "show", unit, f"--property=LoadState,{name}"], check=False).stdout
        values = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
        return values.get(name, "") if values.get("LoadState") == "loaded" else ""


ARGUMENTS: t.Dict[str, t.Any] = {
    "directory": {"type": "path", "default": "/var/lib/slipway/etcd-backup"},
    "max_age": {"type": "int", "default": 0},
    "cluster_name": {"type": "str", "default": ""},
    "scheduled_only": {"type": "bool", "default": False},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    return EtcdSnapshotInfo(context.params, context.runner).run()


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
