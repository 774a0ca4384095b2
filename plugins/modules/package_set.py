#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: package_set
short_description: Install, hold and remove packages in one transaction
version_added: 0.1.0
author: slipway.kubernetes contributors (@slipway)
description:
  - Brings a set of packages to exact versions or to any version, holds them, removes others, in one transaction.
  - Finishes an installation that was interrupted (the machine or the run was killed) when it stands in the way.
  - Waits for the locks of the package manager, for example while unattended upgrades run.
  - Never removes a package, changes a held one or goes back to an older version unless it was asked to.
  - The package managers of Debian, Ubuntu (apt), the RHEL family, Amazon Linux and Fedora (dnf 4 and 5) are
    supported. No Python library of them is needed on the host.
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details:
      - A package that no package source has yet, since the source has not been set up, counts as a change.
      - The package index is not refreshed in check mode, but by dnf itself, which fetches what is older than
        C(metadata_expire) whenever it is asked.
  diff_mode:
    support: full
  idempotent:
    support: full
notes:
  - Services of a package are started by its installation as the distribution does it. Debian's and Docker's
    packages of a container runtime start it; those of Kubernetes enable the kubelet. Packages of the RHEL family start
    none.
  - With dnf a package is on hold when it stands in C(excludepkgs) in the section C(main) of C(/etc/dnf/dnf.conf), where
    other entries stay. The plugin versionlock is not needed; what it has locked stays locked, and is an error when it
    would have to change.
options:
  packages:
    description:
      - The packages. Others change only as these depend on them.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Name of the package.
        type: str
        required: true
      version:
        description:
          - The whole version (V(1.37.1-1.1)), the upstream version (V(1.37.1)), or a shell pattern (V(1.37.*)).
          - Any installed version is fine when it is absent or V(*); a package that is not installed gets the package
            manager's candidate then, which follows pins and does not take from backports unless told to.
          - Of several versions that a pattern means it is the candidate, too, else the newest.
          - The candidate of dnf is the newest version in the repositories with the best C(priority).
        type: str
      hold:
        description:
          - Whether upgrades of the system leave the package alone.
          - V(true) holds it, V(false) releases it; it stays as it is when absent.
        type: bool
      state:
        description:
          - Whether the package is installed or removed. Its configuration files stay.
        type: str
        choices: [present, absent]
        default: present
  allow_downgrade:
    description:
      - Allow going back to an older version.
    type: bool
    default: false
  update_cache_max_age:
    description:
      - Seconds after which the package index is fetched again before something is installed.
      - It is fetched as well when it lacks a wanted package or version. It never is when there is nothing to install.
    type: int
    default: 86400
  lock_timeout:
    description:
      - Seconds to wait for the locks of the package manager.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Install the Kubernetes packages and keep them at their version
  slipway.kubernetes.package_set:
    packages:
      - name: kubeadm
        version: 1.37.1
        hold: true
      - name: kubelet
        version: 1.37.1
        hold: true
      - name: kubectl
        version: 1.37.1
        hold: true
      - name: conntrack

- name: Replace one containerd package by the other
  slipway.kubernetes.package_set:
    packages:
      - name: containerd.io
        version: 2.4.*
        hold: true
      - name: containerd
        state: absent
      - name: runc
        state: absent
"""

RETURN = r"""
versions:
  description:
    - Installed version of each package of O(packages) whose state is V(present).
    - In check mode the version that would be installed; what was asked for when no package source has it yet.
  returned: success
  type: dict
  sample: {"kubeadm": "1.37.1-1.1", "conntrack": "1:1.4.7-1+b2"}
installed:
  description: Names of newly installed packages, with those that others depend on.
  returned: success
  type: list
  elements: str
upgraded:
  description: Names of packages that went to a newer version.
  returned: success
  type: list
  elements: str
downgraded:
  description: Names of packages that went back to an older version.
  returned: success
  type: list
  elements: str
removed:
  description: Names of removed packages.
  returned: success
  type: list
  elements: str
held:
  description: Names of packages that were put on hold.
  returned: success
  type: list
  elements: str
released:
  description: Names of packages that were released from hold.
  returned: success
  type: list
  elements: str
repaired:
  description: Whether an interrupted installation had to be finished first.
  returned: success
  type: bool
index_refreshed:
  description: Whether the package index was fetched.
  returned: success
  type: bool
"""

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages import expect_package_manager
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.interface import (
    Installed,
    Offer,
    PackageManager,
    Refused,
    State,
    Transaction,
)

ARGUMENTS: t.Dict[str, t.Any] = {
    "packages": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {
            "name": {"type": "str", "required": True},
            "version": {"type": "str"},
            "hold": {"type": "bool"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
    },
    "allow_downgrade": {"type": "bool", "default": False},
    "update_cache_max_age": {"type": "int", "default": 86400},
    "lock_timeout": {"type": "int", "default": 120},
}


Packages = t.Dict[str, Installed]
Targets = t.Dict[str, t.Optional[str]]


class Wanted(t.NamedTuple):
    """A package as the user asked for it."""

    name: str
    version: t.Optional[str] = None
    hold: t.Optional[bool] = None
    present: bool = True


def parse_wanted(packages: t.Sequence[t.Mapping[str, t.Any]], names: t.Pattern[str]) -> t.List[Wanted]:
    """The option ``packages``, checked.

    :param names: what the name of a package looks like.
    :raises SlipwayError: for a name that is no package name, or is there twice.
    """
    wanted: t.Dict[str, Wanted] = {}
    for item in packages:
        name = item["name"]
        if not names.fullmatch(name):
            raise SlipwayError(f"packages: {name!r} is not the name of a package.")
        if name in wanted:
            raise SlipwayError(f"packages: {name} is there twice.")
        version = item["version"] or ""
        wanted[name] = Wanted(name, version if version.strip("*") else None, item["hold"], item["state"] == "present")
    return list(wanted.values())


def versions_of(packages: Packages) -> Targets:
    """Versions by the names of packages; ``None`` for one that is not wholly installed.

    What others have still to do about a package is no part of it.
    """
    usable = (State.WHOLE, State.WAITING)
    return {name: package.version if package.state in usable else None for name, package in packages.items()}


def holds(wanted: t.Sequence[Wanted], packages: Packages) -> t.Tuple[t.List[str], t.List[str]]:
    """Names to put on hold and names to release."""
    held, released = [], []
    for item in wanted:
        package = packages.get(item.name)
        on_hold = package is not None and package.hold
        if item.present and item.hold is True and not on_hold:
            held.append(item.name)
        elif item.present and item.hold is False and on_hold:
            released.append(item.name)
    return held, released


def describe(versions: t.Mapping[str, t.Optional[str]], held: t.Container[str], names: t.Iterable[str]) -> str:
    """One line a package, for the diff."""
    return "".join(
        f"{name}: {versions.get(name) or 'not installed'}{' (held)' if name in held else ''}\n"
        for name in sorted(names)
    )


class PackageSet:
    """A set of packages on a host."""

    def __init__(
        self, manager: PackageManager, wanted: t.Sequence[Wanted], allow_downgrade: bool, max_age: int
    ) -> None:
        self.manager = manager
        self.wanted = wanted
        self.allow_downgrade = allow_downgrade
        self.max_age = max_age
        self.refreshed = False
        self.refresh_failure = ""
        self.repaired = False

    def run(self, check_mode: bool) -> t.Dict[str, t.Any]:
        """Bring the packages to what is asked."""
        start = self.manager.installed()
        packages = start
        if self._pending(packages):
            packages = self._repair(packages, check_mode)
        pending = self._pending(packages)
        before = versions_of(start)
        if pending and check_mode:
            after = {**before, **self._predict(pending, packages)}
        elif pending:
            self._install(pending, packages)
            packages = self.manager.installed()
            self._expect(packages)
        if not check_mode:
            after = versions_of(packages)
        elif not pending:
            after = before
        if not check_mode:
            # Looked at again: a held package may be released when its version changes.
            wrong = holds(self.wanted, packages)
            if any(wrong):
                self.manager.hold(*wrong)
        held, released = holds(self.wanted, start)
        changes = self._difference(before, after)
        touched = {name for names in changes.values() for name in names} | {*held, *released}
        on_hold = {name for name, package in start.items() if package.hold}
        return {
            "changed": bool(touched or self.repaired),
            **changes,
            "held": held,
            "released": released,
            "repaired": self.repaired,
            "index_refreshed": self.refreshed,
            "versions": {item.name: after.get(item.name) for item in self.wanted if item.present},
            "diff": {
                "before": describe(before, on_hold, touched),
                "after": describe(after, on_hold.union(held).difference(released), touched),
            },
        }

    def _is_satisfied(self, item: Wanted, packages: Packages) -> bool:
        """Whether version and state are as asked; being held is another matter."""
        package = packages.get(item.name)
        if not item.present:
            return package is None or package.state is State.REMOVED
        return package is not None and package.present and self._matches(item, package.version)

    def _matches(self, item: Wanted, version: str) -> bool:
        return self.manager.version_matches(item.version, version)

    def _pending(self, packages: Packages) -> t.List[Wanted]:
        return [item for item in self.wanted if not self._is_satisfied(item, packages)]

    def _choose(self, item: Wanted, offer: t.Optional[Offer]) -> t.Optional[str]:
        """The version to install of those that the package sources offer: the candidate unless another is asked for.

        The highest version of all is not what a package manager takes: backports, experimental and pins are for those
        who ask for them.
        """
        if offer is None or not item.version:
            return offer.candidate if offer else None
        candidate = offer.candidate if offer.candidate in offer.versions else None
        if candidate and self._matches(item, candidate):
            return candidate
        return self.manager.find_version(item.version, offer.versions)

    def _difference(self, before: Targets, after: Targets) -> t.Dict[str, t.List[str]]:
        """What happened to packages between two maps of name to version (``None``: not installed)."""
        result: t.Dict[str, t.List[str]] = {"installed": [], "upgraded": [], "downgraded": [], "removed": []}
        for name in sorted({*before, *after}):
            old, new = before.get(name), after.get(name)
            if old == new:
                continue
            if old is None:
                result["installed"].append(name)
            elif new is None:
                result["removed"].append(name)
            else:
                result["upgraded" if self.manager.compare_versions(old, new) < 0 else "downgraded"].append(name)
        return result

    def _repair(self, packages: Packages, check_mode: bool) -> Packages:
        """Finish what an earlier transaction that was killed left behind; packages as they are then."""
        if not any(package.broken for package in packages.values()):
            return packages
        self.repaired = True
        if check_mode:
            return packages
        self.manager.repair()
        return self.manager.installed()

    def _targets(self, pending: t.Sequence[Wanted], packages: Packages) -> t.Tuple[Targets, t.List[str]]:
        """Exact versions by name (``None``: to be removed), and what cannot be had."""
        offers = self.manager.offered(item.name for item in pending if item.present)
        targets: Targets = {}
        missing = []
        for item in pending:
            offer = offers.get(item.name)
            version = self._choose(item, offer) if item.present else None
            if version or not item.present:
                targets[item.name] = version
            else:
                missing.append(self.manager.explain_missing(item.name, item.version, offer))
        for name, package in packages.items():
            if package.reinstall:
                targets.setdefault(name, package.version)
        self._refuse_unasked(pending, packages, targets)
        return targets, missing

    def _refuse_unasked(self, pending: t.Sequence[Wanted], packages: Packages, targets: Targets) -> None:
        """Refuse older versions and changes of held packages, unless they are asked for.

        :raises SlipwayError: with what would have happened.
        """
        for item in pending:
            package, target = packages.get(item.name), targets.get(item.name)
            if package is None or package.state is State.REMOVED:
                continue
            if target and not self.allow_downgrade and self.manager.compare_versions(target, package.version) < 0:
                raise SlipwayError(
                    f"{item.name} {package.version} is installed, which is newer than the wanted {target}. "
                    "Nothing was changed. Set allow_downgrade to go back."
                )
            if package.hold and item.hold is None and target != package.version:
                raise SlipwayError(
                    f"{item.name} {package.version} is on hold and would have to "
                    f"{'become ' + target if target else 'be removed'}. Nothing was changed. "
                    "Set hold: true to change it and keep it on hold, or false to release it."
                )

    def _transaction(self, pending: t.Sequence[Wanted], packages: Packages, targets: Targets) -> Transaction:
        """What is to be done. A package on hold changes only when ``hold`` was given for it."""
        change_held = any(item.name in packages and packages[item.name].hold for item in pending)
        return Transaction(targets, self.allow_downgrade, change_held, self.repaired)

    def _plan(self, transaction: Transaction, packages: Packages) -> Targets:
        """What would be done: names and versions (``None``: removed).

        :raises SlipwayError: when it cannot, or when it would touch held packages or remove some that nobody asked for.
        """
        try:
            planned = self.manager.plan(transaction)
        except Refused as refused:
            raise self._failure(refused, "cannot be installed or removed together; nothing was changed") from refused
        others = sorted(name for name in planned if name not in transaction.targets)
        held = [name for name in others if name in packages and packages[name].hold]
        if held:
            raise SlipwayError(f"Packages on hold would have to change: {', '.join(held)}. Nothing was changed.")
        removals = [name for name in others if planned[name] is None]
        if removals:
            raise self._removals(removals)
        return planned

    def _predict(self, pending: t.Sequence[Wanted], packages: Packages) -> Targets:
        """What would be installed and removed, for check mode on any host."""
        targets, missing = self._targets(pending, packages)
        predicted: Targets = {}
        if targets and not missing and not self.repaired:
            predicted = self._plan(self._transaction(pending, packages, targets), packages)
        # What no source has yet stands there as it was asked for.
        asked = {item.name: item.version or "newest version" for item in pending if item.present}
        return {**asked, **predicted, **targets}

    def _install(self, pending: t.Sequence[Wanted], packages: Packages) -> None:
        if not self.refreshed and any(item.present for item in pending) and self.manager.index_age() > self.max_age:
            self._refresh()
        targets, missing = self._targets(pending, packages)
        if missing and not self.refreshed:
            self._refresh()
            targets, missing = self._targets(pending, packages)
        if missing:
            raise SlipwayError(
                f"The package sources of this host lack what is wanted: {'; '.join(missing)}. "
                f"Nothing was changed.{self.refresh_failure}"
            )
        transaction = self._transaction(pending, packages, targets)
        if transaction.change_held or None in targets.values():
            self._plan(transaction, packages)
        try:
            self.manager.install(transaction)
        except Refused as refused:
            if not refused.outdated or self.refreshed:
                raise self._failure(refused, "could not be installed") from refused
            self._refresh()
            self._install(pending, packages)

    def _expect(self, packages: Packages) -> None:
        """Believe in success only when it is to be seen.

        :raises SlipwayError: with what is said of packages that are not as they should be.
        """
        names = [item.name for item in self._pending(packages)]
        states = [f"{name} is {packages[name].words if name in packages else 'not installed'}" for name in names]
        if states:
            raise SlipwayError(
                f"{self.manager.tool} ended well, but {', '.join(states)}. See what `{self.manager.audit}` says on "
                "this host."
            )

    @staticmethod
    def _removals(names: t.Sequence[str]) -> SlipwayError:
        return SlipwayError(
            f"{', '.join(names)} would have to be removed. Nothing was changed. List what may go with state: absent."
        )

    def _failure(self, refused: Refused, what: str) -> SlipwayError:
        """The error for a transaction that was refused."""
        if refused.removals:
            return self._removals(refused.removals)
        names = ", ".join(item.name for item in self.wanted)
        rc = refused.details["rc"]
        return SlipwayError(f"The packages {names} {what} (rc {rc}): {refused.msg}", **refused.details)

    def _refresh(self) -> None:
        """Fetch the package index. A source that fails only matters when a wanted package is missing then."""
        self.refreshed = True
        failure = self.manager.refresh()
        if failure:
            self.refresh_failure = f" Fetching the package index failed, too: {failure}"


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns.

    :raises SlipwayError: when it cannot be done.
    """
    params = context.params
    manager = expect_package_manager(context.runner, params["lock_timeout"])
    wanted = parse_wanted(params["packages"], manager.names)
    packages = PackageSet(manager, wanted, params["allow_downgrade"], params["update_cache_max_age"])
    return packages.run(context.check_mode)


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
