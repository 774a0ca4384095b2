#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: package_updates
short_description: Install the updates that a machine's distribution has for it
version_added: 0.1.0
author: slipway.kubernetes contributors (@slipway)
description:
  - Brings the installed packages to the versions that an ordinary upgrade of the system would bring them to, all of
    them or only those that mend a hole, and says whether the machine has to be started anew.
  - Packages on hold stay as they are, and so does what the distribution has not given to all machines yet. No package
    is removed; new ones are installed where updates need them. With dnf the oldest of several kernels goes, and what
    the new version of an installed package replaces.
  - Finishes an installation that was interrupted (the machine or the run was killed) first.
  - Waits for the locks of the package manager, for example while unattended upgrades run.
  - The machine is not started anew.
  - The package managers of Debian, Ubuntu (apt), the RHEL family, Amazon Linux and Fedora (dnf 4 and 5) are
    supported. No Python library of theirs is needed on the host.
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details:
      - The package index is not fetched in check mode unless O(refresh_in_check_mode) says so. An index that is older
        than O(update_cache_max_age) is warned about, since there may be more updates than it knows.
      - Where an installation was interrupted, what there is to update may not be known before that is finished.
  diff_mode:
    support: full
  idempotent:
    support: full
notes:
  - Services are restarted by their packages as the distribution does it. Processes that use a library which was
    replaced go on with the old one until they are restarted themselves, or the machine is.
  - Configuration files that somebody has changed stay as they are.
options:
  security:
    description:
      - Whether only packages are updated for which the distribution's security archive has a newer version than the
        installed one. They go to the newest version that there is, which has that change in it.
    type: bool
    default: false
  exclude:
    description:
      - Names of packages, as shell patterns such as V(linux-*), that stay as they are.
    type: list
    elements: str
    default: []
  update_cache_max_age:
    description:
      - Seconds after which the package index is fetched again. The module fails when that cannot be done.
    type: int
    default: 3600
  refresh_in_check_mode:
    description:
      - Whether the package index is fetched in check mode, too. Nothing else of the machine is changed by that, and a
        plan that was made from an old index would not be true.
    type: bool
    default: false
  lock_timeout:
    description:
      - Seconds to wait for the locks of the package manager.
    type: int
    default: 120
seealso:
  - module: slipway.kubernetes.package_set
"""

EXAMPLES = r"""
- name: Look for security updates, but for the kernel's
  slipway.kubernetes.package_updates:
    security: true
    exclude: ["linux-*"]
    refresh_in_check_mode: true
  check_mode: true
  register: example_updates

- name: Install all updates
  slipway.kubernetes.package_updates:
  register: example_updates

- name: Start the machine anew where that is needed
  ansible.builtin.reboot:
  when: example_updates.reboot_required | length > 0
"""

RETURN = r"""
msg:
  description: What was done.
  returned: success
  type: str
  sample: 2 packages updated, the machine has to be started anew
updates:
  description:
    - The packages that were updated, or would be in check mode, and whether that mends a hole.
    - With O(security) there are others among them where these need them.
  returned: success
  type: list
  elements: dict
  sample: [{name: libc6, before: 2.36-9+deb12u7, after: 2.36-9+deb12u8, security: true}]
installed:
  description: Names of packages that updates newly need.
  returned: success
  type: list
  elements: str
  sample: [linux-image-6.1.0-30-amd64]
replaced:
  description: Names of packages that the new versions of others replace, and that are removed by that; with apt none.
  returned: success
  type: list
  elements: str
  sample: []
excluded:
  description: Names of packages that O(exclude) has kept from being updated.
  returned: success
  type: list
  elements: str
held:
  description: Names of packages on hold of which there is a newer version.
  returned: success
  type: list
  elements: str
  sample: [kubelet]
kept_back:
  description:
    - Names of other packages of which there is a newer version and that an ordinary upgrade leaves alone, since it is
      not given to all machines yet, or other packages would have to be removed.
  returned: success
  type: list
  elements: str
reboot_required:
  description:
    - Why the machine has to be started anew, as names of packages or of a newer kernel; empty when it has not.
    - In check mode this is so now, before any update.
  returned: success
  type: list
  elements: str
  sample: [linux-image-6.1.0-30-amd64]
repaired:
  description: Whether an interrupted installation had to be finished first.
  returned: success
  type: bool
index_refreshed:
  description: Whether the package index was fetched.
  returned: success
  type: bool
"""

import fnmatch
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages import expect_package_manager
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.interface import (
    Installed,
    PackageManager,
    Refused,
    State,
    Transaction,
    Update,
    Updates,
)

ARGUMENTS: t.Dict[str, t.Any] = {
    "security": {"type": "bool", "default": False},
    "exclude": {"type": "list", "elements": "str", "default": []},
    "update_cache_max_age": {"type": "int", "default": 3600},
    "refresh_in_check_mode": {"type": "bool", "default": False},
    "lock_timeout": {"type": "int", "default": 120},
}

Packages = t.Mapping[str, Installed]


def is_excluded(name: str, patterns: t.Iterable[str]) -> bool:
    """Whether a package is one that shall stay, whatever architecture its name says."""
    names = {name, name.partition(":")[0]}
    return any(fnmatch.fnmatchcase(one, pattern) for one in names for pattern in patterns)


def counted(number: int) -> str:
    """``1 package``, ``2 packages``."""
    return f"{number} package{'' if number == 1 else 's'}"


class PackageUpdates:
    """The updates of one machine."""

    def __init__(self, manager: PackageManager, context: Context) -> None:
        params = context.params
        self._manager = manager
        self._check_mode = context.check_mode
        self._warn = context.warn
        self._security: bool = params["security"]
        self._exclude: t.List[str] = params["exclude"]
        self._max_age: int = params["update_cache_max_age"]
        self._refreshes: bool = params["refresh_in_check_mode"] or not context.check_mode
        self._refreshed = False
        self._replaced: t.List[str] = []

    def run(self) -> t.Dict[str, t.Any]:
        """Update, or in check mode say what would be.

        :raises SlipwayError: when the index cannot be fetched, or the updates cannot be installed.
        """
        self._see_to_index()
        start = self._manager.installed()
        broken = any(package.broken for package in start.values())
        if broken and not self._check_mode:
            start = self._repair()
        found = self._updates(broken)
        wanted = [update for update in found.brought if update.security or not self._security]
        chosen = [update for update in wanted if not is_excluded(update.name, self._exclude)]
        others, new = self._plan(chosen, start) if chosen else ([], [])
        if chosen and not self._check_mode:
            chosen = self._install(chosen)
        return self._result([*chosen, *others], new, found, wanted, broken)

    def _see_to_index(self) -> None:
        age = self._manager.index_age()
        if age <= self._max_age:
            return
        if self._refreshes:
            self._refresh()
        elif age == float("inf"):
            self._warn("The package index of this host has never been fetched: what there is to update is unknown.")
        else:
            self._warn(f"The package index of this host is {age / 3600:.1f} hours old; there may be more updates.")

    def _refresh(self) -> None:
        """An index that is not what the sources have now would make the machine look as if it had all updates."""
        failure = self._manager.refresh()
        self._refreshed = True
        if failure:
            raise SlipwayError(f"The package index could not be fetched, so nothing was updated: {failure}")

    def _repair(self) -> t.Dict[str, Installed]:
        """Finish what an earlier transaction that was killed left behind; packages as they are then."""
        self._manager.repair()
        packages = self._manager.installed()
        if not any(package.broken for package in packages.values()):
            return packages
        again = {name: package.version for name, package in packages.items() if package.reinstall}
        try:
            self._manager.install(Transaction(again, mend=True))
        except Refused as refused:
            raise self._failure(refused, "What an interrupted installation has left cannot be finished") from refused
        return self._manager.installed()

    def _updates(self, broken: bool) -> Updates:
        try:
            return self._manager.updates()
        except Refused as refused:
            if refused.outdated and self._refreshes and not self._refreshed:
                self._refresh()
                return self._updates(broken)
            if self._check_mode and (broken or refused.outdated):
                if refused.outdated:
                    self._warn(f"What there is to update is unknown without another package index: {refused.msg}")
                return Updates()
            raise self._failure(refused, "What there is to update cannot be found out") from refused

    def _plan(self, chosen: t.Sequence[Update], packages: Packages) -> t.Tuple[t.List[Update], t.List[str]]:
        """Updates that were not chosen and that the chosen ones need, and names of packages that they newly need.

        :raises SlipwayError: when they cannot be installed, or need an update that was excluded.
        """
        versions = {update.name: update.after for update in chosen}
        try:
            planned = self._manager.plan_upgrade(versions)
        except Refused as refused:
            raise self._failure(refused, "The updates cannot be installed together") from refused
        named = {name.partition(":")[0] for name in versions}
        present = {name: package.version for name, package in packages.items() if package.state is not State.REMOVED}
        self._replaced = sorted(name for name, version in planned.items() if version is None)
        others = [Update(name, present[name], version) for name, version in sorted(planned.items())
                  if version and name in present and name not in named]  # fmt: skip
        kept = [update.name for update in others if is_excluded(update.name, self._exclude)]
        if kept:
            raise SlipwayError(
                f"Updates need newer versions of packages that are excluded: {', '.join(kept)}. Nothing was updated."
                " Exclude those that need them as well, or take these out of exclude."
            )
        return others, sorted(name for name, version in planned.items() if version and name not in present)

    def _install(self, chosen: t.List[Update]) -> t.List[Update]:
        """Install them, and believe in success only when it is to be seen.

        :returns: those that were installed: of an index that was too old there were newer ones.
        :raises SlipwayError: when they cannot be installed.
        """
        versions = {update.name: update.after for update in chosen}
        try:
            self._manager.upgrade(versions)
        except Refused as refused:
            if not refused.outdated or self._refreshed:
                raise self._failure(refused, "The updates could not be installed") from refused
            self._refresh()
            again = [update for update in self._manager.updates().brought if update.name in versions]
            return self._install(again)
        left = [update.name for update in self._manager.updates().brought if versions.get(update.name) == update.after]
        if left:
            raise SlipwayError(
                f"{self._manager.tool} ended well, but {', '.join(left)} is as it was. See what"
                f" `{self._manager.audit}` says on this host."
            )
        return chosen

    @staticmethod
    def _failure(refused: Refused, what: str) -> SlipwayError:
        gone = ""
        if refused.removals:
            gone = f" {', '.join(refused.removals)} would have to be removed."
        return SlipwayError(f"{what} (rc {refused.details['rc']}): {refused.msg}{gone}", **refused.details)

    def _result(
        self, done: t.Sequence[Update], new: t.List[str], found: Updates, wanted: t.Sequence[Update], repaired: bool
    ) -> t.Dict[str, t.Any]:
        reasons = self._manager.reboot_reasons()
        did = "would be updated" if self._check_mode else "updated"
        said = f"{counted(len(done))} {did}" if done else "nothing to update"
        if repaired:
            said += f", an interrupted installation {'would be' if self._check_mode else 'was'} finished"
        before = "".join(f"{update.name}: {update.before}\n" for update in done)
        after = "".join(f"{update.name}: {update.after}\n" for update in done)
        return {
            "changed": bool(done or repaired),
            "msg": f"{said}, the machine has to be started anew" if reasons else said,
            "updates": [update._asdict() for update in done],
            "installed": new,
            "replaced": self._replaced,
            "excluded": [update.name for update in wanted if is_excluded(update.name, self._exclude)],
            "held": list(found.held),
            "kept_back": list(found.kept_back),
            "reboot_required": reasons,
            "repaired": repaired,
            "index_refreshed": self._refreshed,
            "diff": {
                "before": before
                + "".join(f"{name}: not installed\n" for name in new)
                + "".join(f"{name}: installed\n" for name in self._replaced),
                "after": after
                + "".join(f"{name}: newly installed\n" for name in new)
                + "".join(f"{name}: replaced by another package\n" for name in self._replaced),
            },
        }


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns.

    :raises SlipwayError: when it cannot be done.
    """
    manager = expect_package_manager(context.runner, context.params["lock_timeout"])
    return PackageUpdates(manager, context).run()


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
