# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units of systemd, and whether what they run was started before a file was written.

Private to this collection.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError

PROPERTIES = (
    "LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,MainPID,ExecMainStartTimestampMonotonic,Triggers"
)
#: Where packages have their units.
PACKAGED = ("/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
#: States of a unit that has been started.
RUNNING = ("active", "activating", "reloading")


#: States of a unit file that make nothing start at boot: what is so at runtime is not any more then.
_NOT_AT_BOOT = ("disabled", "masked", "masked-runtime", "enabled-runtime", "linked", "linked-runtime", "")


def starts_at_boot(properties: t.Mapping[str, str]) -> bool:
    """Whether the unit starts at boot, or can be neither enabled nor disabled, as ``static`` ones, and need not be."""
    return properties.get("UnitFileState", "") not in _NOT_AT_BOOT


def expect_no_mask(name: str, properties: t.Mapping[str, str], check_mode: bool) -> None:
    """Of a package that is removed Debian masks the units until it is installed again, which in check mode nobody does.

    :raises SlipwayError: when the unit is masked, which systemd neither enables nor starts.
    """
    is_installed = any(os.path.exists(f"{folder}/{name}") for folder in PACKAGED)
    if properties.get("LoadState") == "masked" and (is_installed or not check_mode):
        raise SlipwayError(
            f"The unit {name} is masked on this host, so that nobody starts it. If it may: `systemctl unmask {name}`."
        )


def parse_properties(text: str) -> t.Dict[str, str]:
    """The ``KEY=VALUE`` lines of ``systemctl show``."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def process_started(properties: t.Mapping[str, str], now: float, monotonic: float) -> float:
    """When the unit's main process started, in seconds of the wall clock; 0 when it never did.

    :param now: the wall clock's time.
    :param monotonic: the time of ``CLOCK_MONOTONIC``, which systemd counts in, at the same moment.
    """
    microseconds = int(properties.get("ExecMainStartTimestampMonotonic") or 0)
    return now - (monotonic - microseconds / 1e6) if microseconds else 0.0


def newest(paths: t.Iterable[str], now: float) -> float:
    """When the youngest of the files was written; 0 without one.

    A file from the future (a clock that was set back) does not count, as it would ask for a restart each time.
    """
    times = [os.stat(path).st_mtime for path in paths if os.path.exists(path)]
    return max((written for written in times if written <= now), default=0.0)


class Unit:
    """A unit and its main process."""

    def __init__(self, runner: Runner, name: str) -> None:
        self._runner = runner
        self.name = name

    def systemctl(self, *arguments: str) -> str:
        """What systemctl prints.

        :raises SlipwayError: when it fails.
        """
        argv = [self._runner.path("systemctl"), *arguments]
        return self._runner.run(argv, failure=f"systemctl {arguments[0]} {self.name} failed").stdout

    def properties(self, *more: str) -> t.Dict[str, str]:
        """What systemd says of it; of ``more`` properties, too."""
        names = ",".join([PROPERTIES, *more])
        return parse_properties(self.systemctl("show", f"--property={names}", self.name))

    def wait(self, timeout: float) -> None:
        """Wait until it is active.

        :raises SlipwayError: when it is not in time, or fails.
        """
        wait = _waiting.Wait(timeout, pause=0.2)
        while True:
            properties = self.properties()
            state = properties.get("ActiveState", "")
            if state == "active":
                return
            if state == "failed" or wait.is_over:
                raise SlipwayError(
                    f"The unit {self.name} is {state} ({properties.get('SubState')}) instead of active. "
                    f"See `journalctl --unit {self.name}` on this host."
                )
            wait.sleep()
