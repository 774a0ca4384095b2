# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package managers that are known, each in a file of its own. Private to this collection."""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.apt import Apt
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.dnf import Dnf
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.dnf5 import Dnf5
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.interface import PackageManager

#: The first one that a machine has is its own.
MANAGERS: t.Tuple[t.Type[PackageManager], ...] = (Apt, Dnf, Dnf5)


def package_manager(runner: Runner, lock_timeout: int = 120) -> PackageManager:
    """The package manager of the machine; one that knows nothing when it is none of ours."""
    found = (manager for manager in MANAGERS if runner.which(manager.tool, required=False))
    return next(found, PackageManager)(runner, lock_timeout)


def package_manager_named(name: str) -> t.Type[PackageManager]:
    """The package manager that facts of a machine name; one that knows nothing when it is none of ours."""
    return next((manager for manager in MANAGERS if manager.name == name), PackageManager)


def expect_package_manager(runner: Runner, lock_timeout: int = 120) -> PackageManager:
    """The package manager of the machine.

    :raises SlipwayError: when it is none of ours.
    """
    manager = package_manager(runner, lock_timeout)
    if not manager.name:
        raise SlipwayError(
            "The package manager of this host is not supported: there is no "
            f"{' or '.join(known.tool for known in MANAGERS)}. Packages and their repositories can be set up on "
            f"{' and '.join(known.systems for known in MANAGERS)}."
        )
    return manager
