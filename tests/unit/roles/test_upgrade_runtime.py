# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An upgrade looks at the container runtime's package as the role that installs it does."""

from __future__ import annotations

import typing as t
from pathlib import Path

import jinja2
import pytest
import yaml
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes import RUNTIMES

PACKAGE_SET = "slipway.kubernetes.package_set"
HOLD = "__container_runtime_hold"
ROLES = Path(__file__).resolve().parents[3] / "roles"


def package_of(tasks: str) -> t.Dict[str, t.Any]:
    """The package of the runtime that these tasks name."""
    found = yaml.safe_load((ROLES / "container_runtime/tasks" / tasks).read_text(encoding="utf-8"))
    packages = [package for task in found if PACKAGE_SET in task for package in task[PACKAGE_SET]["packages"]]
    (package,) = [package for package in packages if "__container_runtime_package" in package["name"]]
    return dict(package)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_look_says_the_same_about_hold(runtime: str) -> None:
    """package_set refuses to think of another version of a package on hold when nothing is said about that."""
    installed, looked = package_of(f"main_{runtime}.yml"), package_of("compare.yml")
    assert looked["hold"] == installed["hold"] == "{{ " + HOLD + " }}"
    assert looked["name"] == installed["name"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "omitted"),
        ({"container_runtime_version": "2.4.2"}, "True"),
        ({"container_runtime_hold": False, "container_runtime_version": "2.4.2"}, "False"),
        ({"container_runtime_hold": "no"}, "False"),
        ({"container_runtime_hold": True}, "True"),
    ],
)
def test_a_hold_of_the_administrator_is_left_alone(given: t.Dict[str, t.Any], expected: str) -> None:
    environment = jinja2.Environment(autoescape=False)
    environment.filters["bool"] = lambda value: str(value).lower() in ("true", "yes")
    hold = yaml.safe_load((ROLES / "container_runtime/vars/main.yml").read_text(encoding="utf-8"))[HOLD]
    defaults = yaml.safe_load((ROLES / "container_runtime/defaults/main.yml").read_text(encoding="utf-8"))
    assert environment.from_string(hold).render({**defaults, "omit": "omitted", **given}) == expected
