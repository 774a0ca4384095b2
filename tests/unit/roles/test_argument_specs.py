# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a role documents in meta/argument_specs.yml is what it has in defaults/main.yml, in both directions."""

from __future__ import annotations

import re
import typing as t
from pathlib import Path

import pytest
import yaml

ROLES = sorted(path for path in (Path(__file__).resolve().parents[3] / "roles").iterdir() if path.is_dir())


def load(path: Path) -> dict[str, t.Any]:
    return (yaml.safe_load(path.read_text(encoding="utf-8")) or {}) if path.exists() else {}


@pytest.fixture(params=ROLES, ids=lambda path: path.name)
def role(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def specs(role: Path) -> dict[str, t.Any]:
    return load(role / "meta/argument_specs.yml")["argument_specs"]


@pytest.fixture
def documented(specs: dict[str, t.Any]) -> dict[str, t.Any]:
    return {name: option for spec in specs.values() for name, option in (spec.get("options") or {}).items()}


@pytest.fixture
def defaults(role: Path) -> dict[str, t.Any]:
    return load(role / "defaults/main.yml")


def computed(option: dict[str, t.Any], value: t.Any) -> bool:
    """Is it a default that argument_specs cannot say: an expression where its type asks for something else?"""
    return isinstance(value, str) and "{{" in value and option.get("type", "str") not in ("str", "path", "raw")


def test_every_default_is_documented(documented: dict[str, t.Any], defaults: dict[str, t.Any]) -> None:
    assert not [name for name in defaults if not name.startswith("__") and name not in documented]


def test_documented_defaults_are_the_real_ones(documented: dict[str, t.Any], defaults: dict[str, t.Any]) -> None:
    expected = {name: value for name, value in defaults.items() if not computed(documented.get(name, {}), value)}
    assert {name: option["default"] for name, option in documented.items() if "default" in option} == {
        name: value for name, value in expected.items() if not name.startswith("__")
    }


def test_required_variables_have_no_default(documented: dict[str, t.Any], defaults: dict[str, t.Any]) -> None:
    required = {name for name, option in documented.items() if option.get("required")}
    assert not required.intersection(defaults)
    assert not [name for name in required if "default" in documented[name]]


def test_variables_start_with_the_name_of_their_role(
    role: Path, documented: dict[str, t.Any], defaults: dict[str, t.Any]
) -> None:
    prefixes = (f"{role.name}_", f"__{role.name}_")
    assert not [name for name in {**documented, **defaults} if not name.startswith(prefixes)]


def test_entry_points_have_their_tasks(role: Path, specs: dict[str, t.Any]) -> None:
    """The role cluster is vocabulary only."""
    if role.name != "cluster":
        assert not [entry for entry in specs if not (role / f"tasks/{entry}.yml").exists()]


def test_everything_is_described(specs: dict[str, t.Any]) -> None:
    def undescribed(options: dict[str, t.Any], parent: str = "") -> t.Iterator[str]:
        for name, option in options.items():
            if not option.get("description"):
                yield parent + name
            yield from undescribed(option.get("options") or {}, f"{parent}{name}.")

    assert all(spec.get("short_description") for spec in specs.values())
    assert not [name for spec in specs.values() for name in undescribed(spec.get("options") or {})]


def test_switches_may_be_text() -> None:
    """What `-e name=false` sets is text, and true as such: only modules make a truth value of it by themselves."""
    switches = {
        name
        for path in ROLES
        for spec in load(path / "meta/argument_specs.yml")["argument_specs"].values()
        for name, option in (spec.get("options") or {}).items()
        if option.get("type") == "bool"
    }
    assert len(switches) > 20
    use = re.compile(rf"(?<![\w=.])({'|'.join(switches)})(?![\w:=]|( \| default\([^)]*\))?( \| bool| is none| }}}}\"))")
    project = ROLES[0].parents[1]
    files = [
        *project.glob("roles/*/tasks/*.yml"),
        *project.glob("roles/*/vars/*.yml"),
        *project.glob("playbooks/**/*.yml"),
    ]
    found = [
        f"{path.relative_to(project)}:{number}: {match.group(1)}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        for match in use.finditer(line.split("# ")[0])
    ]
    assert not found
