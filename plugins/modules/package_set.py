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
  - Only apt is supported. It does not need python3-apt on the host.
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details:
      - A package that no package source has yet, since the source has not been set up, counts as a change.
      - The package index is not refreshed in check mode.
  diff_mode:
    support: full
  idempotent:
    support: full
notes:
  - Services of a package are started by its installation as the distribution does it. Debian's and Docker's
    packages of a container runtime start it; those of Kubernetes enable the kubelet.
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
          - Any installed version is fine when it is absent or V(*); a package that is not installed gets the candidate
            of apt then, which follows pins and does not take from backports unless told to.
          - Of several versions that a pattern means it is the candidate, too, else the newest.
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

import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._apt import (
    Apt,
    Installed,
    Policy,
    compare_versions,
    complaints,
    find_version,
    index_age,
    listed_packages,
    parse_simulation,
    version_matches,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module

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


class Wanted(t.NamedTuple):
    """A package as the user asked for it."""

    name: str
    version: t.Optional[str] = None
    hold: t.Optional[bool] = None
    present: bool = True

    def satisfied_by(self, package: t.Optional[Installed]) -> bool:
        """Whether version and state are as asked; being held is another matter."""
        if not self.present:
            return package is None or package.state in ("config-files", "not-installed")
        return package is not None and package.present and version_matches(self.version, package.version)

    def choose(self, policy: t.Optional[Policy]) -> t.Optional[str]:
        """The version to install of those that the package sources offer: apt's candidate unless another is asked for.

        The highest version of all is not what ``apt-get install`` takes: backports, experimental and pins are for
        those who ask for them.
        """
        if policy is None or not self.version:
            return policy.candidate if policy else None
        offered = policy.candidate if policy.candidate in policy.versions else None
        if offered and version_matches(self.version, offered):
            return offered
        return find_version(self.version, policy.versions)


Packages = t.Dict[str, Installed]


def parse_wanted(packages: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[Wanted]:
    """The option ``packages``, checked.

    :raises SlipwayError: for a name that is no package name, or is there twice.
    """
    wanted: t.Dict[str, Wanted] = {}
    for item in packages:
        name = item["name"]
        if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name):
            raise SlipwayError(f"packages: {name!r} is not the name of a package.")
        if name in wanted:
            raise SlipwayError(f"packages: {name} is there twice.")
        version = item["version"] or ""
        wanted[name] = Wanted(name, version if version.strip("*") else None, item["hold"], item["state"] == "present")
    return list(wanted.values())


def version_of(packages: Packages, name: str) -> t.Optional[str]:
    """Version of an installed package; ``None`` when it is not installed or not wholly so.

    Triggers that have not run yet are no part of the package.
    """
    package = packages.get(name)
    return package.version if package and (package.present or package.state.startswith("triggers-")) else None


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


def difference(before: t.Mapping[str, t.Optional[str]], after: t.Mapping[str, t.Optional[str]]) -> t.Dict[str, t.Any]:
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
            result["upgraded" if compare_versions(old, new) < 0 else "downgraded"].append(name)
    return result


def describe(versions: t.Mapping[str, t.Optional[str]], held: t.Container[str], names: t.Iterable[str]) -> str:
    """One line a package, for the diff."""
    return "".join(
        f"{name}: {versions.get(name) or 'not installed'}{' (held)' if name in held else ''}\n"
        for name in sorted(names)
    )


class PackageSet:
    """A set of packages on a host with apt."""

    def __init__(self, apt: Apt, wanted: t.Sequence[Wanted], allow_downgrade: bool, max_age: int) -> None:
        self.apt = apt
        self.wanted = wanted
        self.allow_downgrade = allow_downgrade
        self.max_age = max_age
        self.refreshed = False
        self.refresh_failure = ""
        self.repaired = False

    def install_argv(
        self, targets: t.Mapping[str, t.Optional[str]], change_held: bool = False, simulate: bool = False
    ) -> t.List[str]:
        """Arguments for apt-get; ``targets`` maps names to versions, ``None`` removes."""
        words = [f"{name}={version}" if version else f"{name}-" for name, version in sorted(targets.items())]
        flags = [
            ("--simulate", simulate),
            ("--fix-broken", self.repaired),
            # A package that dpkg was killed in has its version already, as far as apt is concerned.
            ("--reinstall", self.repaired),
            ("--no-remove", None not in targets.values()),
            ("--allow-downgrades", self.allow_downgrade),
            ("--allow-change-held-packages", change_held),
        ]
        return [
            "--quiet",
            "--assume-yes",
            "--no-install-recommends",
            *(flag for flag, on in flags if on),
            *("-o", "Dpkg::Use-Pty=0"),
            *("-o", f"DPkg::Lock::Timeout={self.apt.lock_timeout}"),
            *("-o", "Dpkg::Options::=--force-confdef"),
            *("-o", "Dpkg::Options::=--force-confold"),
            "install",
            *words,
        ]

    def run(self, check_mode: bool) -> t.Dict[str, t.Any]:
        """Bring the packages to what is asked."""
        start = self.apt.installed()
        packages = start
        if any(not item.satisfied_by(packages.get(item.name)) for item in self.wanted):
            packages = self._repair(packages, check_mode)
        pending = [item for item in self.wanted if not item.satisfied_by(packages.get(item.name))]
        before = {name: version_of(start, name) for name in start}
        if pending and check_mode:
            after = {**before, **self._predict(pending, packages)}
        elif pending:
            self._install(pending, packages)
            packages = self.apt.installed()
            self._expect(pending, packages)
        if not check_mode:
            after = {name: version_of(packages, name) for name in packages}
        elif not pending:
            after = before
        if not check_mode:
            # Looked at again: apt releases a held package when it changes its version.
            self._set_holds(*holds(self.wanted, packages))
        held, released = holds(self.wanted, start)
        changes = difference(before, after)
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

    def _repair(self, packages: Packages, check_mode: bool) -> Packages:
        """Finish what an earlier, killed run of dpkg left behind; packages as they are then.

        What dpkg cannot finish by itself (a package half unpacked, a missing dependency) apt does with --fix-broken.
        """
        if not any(package.broken for package in packages.values()):
            return packages
        self.repaired = True
        if check_mode:
            return packages
        self.apt.run("dpkg", ["--force-confdef", "--force-confold", "--configure", "--pending"])
        return self.apt.installed()

    def _targets(
        self, pending: t.Sequence[Wanted], packages: Packages, policies: t.Mapping[str, Policy]
    ) -> t.Tuple[t.Dict[str, t.Optional[str]], t.List[str]]:
        """Exact versions by name (``None``: to be removed), and what cannot be had."""
        targets: t.Dict[str, t.Optional[str]] = {}
        missing = []
        for item in pending:
            policy = policies.get(item.name)
            if not item.present:
                targets[item.name] = None
                continue
            version = item.choose(policy)
            if version:
                targets[item.name] = version
            else:
                missing.append(self.apt.explain_missing(item.name, item.version, policy))
        # apt does nothing at all unless these are mended, which takes their archives.
        for name, package in packages.items():
            if package.reinstall:
                targets.setdefault(name, package.version)
        self._refuse_unasked(pending, packages, targets)
        return targets, missing

    def _refuse_unasked(
        self, pending: t.Sequence[Wanted], packages: Packages, targets: t.Mapping[str, t.Optional[str]]
    ) -> None:
        """Refuse older versions and changes of held packages, unless they are asked for.

        :raises SlipwayError: with what would have happened.
        """
        for item in pending:
            package, target = packages.get(item.name), targets.get(item.name)
            if package is None or package.state in ("config-files", "not-installed"):
                continue
            if target and not self.allow_downgrade and compare_versions(target, package.version) < 0:
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

    def _change_held(self, pending: t.Sequence[Wanted], packages: Packages) -> bool:
        """Whether a package that is on hold has to change, which only happens when ``hold`` was given for it."""
        return any(item.name in packages and packages[item.name].hold for item in pending)

    def _simulate(
        self, pending: t.Sequence[Wanted], packages: Packages, targets: t.Mapping[str, t.Optional[str]]
    ) -> t.Dict[str, t.Optional[str]]:
        """What apt would do: names and versions (``None``: removed).

        :raises SlipwayError: when it cannot, or when it would touch held packages or remove some that nobody asked for.
        """
        change_held = self._change_held(pending, packages)
        result = self.apt.run("apt-get", self.install_argv(targets, change_held, simulate=True))
        if result.rc != 0:
            raise self._failure(result, "cannot be installed or removed together; nothing was changed")
        steps = parse_simulation(result.stdout)
        others = sorted(
            step.name
            for step in steps
            if step.name not in targets and step.name in packages and packages[step.name].hold
        )
        if others:
            raise SlipwayError(f"Packages on hold would have to change: {', '.join(others)}. Nothing was changed.")
        planned = {step.name: step.after for step in steps}
        self._refuse_removals(targets, planned)
        return planned

    def _predict(self, pending: t.Sequence[Wanted], packages: Packages) -> t.Dict[str, t.Optional[str]]:
        """What would be installed and removed, for check mode on any host."""
        policies = self.apt.policy(item.name for item in pending if item.present)
        targets, missing = self._targets(pending, packages, policies)
        predicted: t.Dict[str, t.Optional[str]] = {}
        if targets and not missing and not self.repaired:
            predicted = self._simulate(pending, packages, targets)
        # What no source has yet stands there as it was asked for.
        asked = {item.name: item.version or "newest version" for item in pending if item.present}
        return {**asked, **predicted, **targets}

    def _install(self, pending: t.Sequence[Wanted], packages: Packages) -> None:
        names = [item.name for item in pending if item.present]
        if names and index_age() > self.max_age:
            self._refresh()
        targets, missing = self._targets(pending, packages, self.apt.policy(names))
        if missing and not self.refreshed:
            self._refresh()
            targets, missing = self._targets(pending, packages, self.apt.policy(names))
        if missing:
            raise SlipwayError(
                f"The package sources of this host lack what is wanted: {'; '.join(missing)}. "
                f"Nothing was changed.{self.refresh_failure}"
            )
        change_held = self._change_held(pending, packages)
        if change_held or None in targets.values():
            self._simulate(pending, packages, targets)
        result = self.apt.run("apt-get", self.install_argv(targets, change_held))
        if result.rc != 0 and not self.refreshed and re.search(r"Unable to fetch|Failed to fetch", result.stderr):
            # The index names files that the mirror has replaced since.
            self._refresh()
            targets, _missing = self._targets(pending, packages, self.apt.policy(names))
            result = self.apt.run("apt-get", self.install_argv(targets, change_held))
        if result.rc != 0:
            raise self._failure(result, "could not be installed")

    @staticmethod
    def _expect(wanted: t.Sequence[Wanted], packages: Packages) -> None:
        """Believe apt's success only when it is to be seen.

        :raises SlipwayError: with what dpkg says of packages that are not as they should be.
        """
        wrong = [item.name for item in wanted if not item.satisfied_by(packages.get(item.name))]
        states = [f"{name} is {packages[name].state if name in packages else 'not-installed'}" for name in wrong]
        if states:
            raise SlipwayError(
                f"apt-get ended well, but {', '.join(states)}. See what `dpkg --audit` says on this host."
            )

    def _refuse_removals(
        self, targets: t.Mapping[str, t.Optional[str]], planned: t.Mapping[str, t.Optional[str]]
    ) -> None:
        """Refuse removals of packages that are not themselves to be removed.

        :raises SlipwayError: with their names.
        """
        others = sorted(name for name, version in planned.items() if version is None and name not in targets)
        if others:
            raise self._removals(others)

    @staticmethod
    def _removals(names: t.Sequence[str]) -> SlipwayError:
        return SlipwayError(
            f"{', '.join(names)} would have to be removed. Nothing was changed. List what may go with state: absent."
        )

    def _failure(self, result: CommandResult, what: str) -> SlipwayError:
        """The error for a failed transaction."""
        if "Packages need to be removed but remove is disabled" in result.stderr:
            return self._removals(listed_packages(result.stdout, "The following packages will be REMOVED:"))
        reason = complaints(result.stderr if result.stderr.strip() else result.stdout)
        if result.rc < 0:
            reason = f"apt-get was killed by signal {-result.rc}. The next run finishes what it left."
        unmet = re.search(r"The following packages have unmet dependencies:\n((?: .*\n?)+)", result.stdout)
        if unmet:
            reason += "\n" + unmet.group(1).rstrip()
        names = ", ".join(item.name for item in self.wanted)
        return SlipwayError(f"The packages {names} {what} (rc {result.rc}): {reason}", **result.as_return_values())

    def _refresh(self) -> None:
        """Fetch the package index. A source that fails only matters when a wanted package is missing then."""
        self.refreshed = True
        result = self.apt.update()
        if result.rc != 0:
            said = complaints(result.stdout + result.stderr)
            self.refresh_failure = f" Fetching the package index failed, too: {said}"

    def _set_holds(self, held: t.Sequence[str], released: t.Sequence[str]) -> None:
        """Hold and release packages, as apt-mark does it but in one call.

        :raises SlipwayError: when dpkg refuses.
        """
        selections = [*(f"{name} hold\n" for name in held), *(f"{name} install\n" for name in released)]
        if not selections:
            return
        result = self.apt.run("dpkg", ["--set-selections"], stdin="".join(selections))
        if result.rc != 0:
            raise SlipwayError(
                f"The packages could not be put on hold or released: {complaints(result.stderr)}",
                **result.as_return_values(),
            )


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns.

    :raises SlipwayError: when it cannot be done.
    """
    params = context.params
    runner = context.runner
    wanted = parse_wanted(params["packages"])
    if not runner.which("apt-get", required=False):
        raise SlipwayError(
            "The package manager of this host is not supported: there is no apt-get. Packages can be installed on "
            "Debian and Ubuntu."
        )
    apt = Apt(runner, lock_timeout=params["lock_timeout"])
    return PackageSet(apt, wanted, params["allow_downgrade"], params["update_cache_max_age"]).run(context.check_mode)


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
