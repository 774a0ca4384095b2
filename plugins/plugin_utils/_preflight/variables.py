# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's variables as the roles will see them: templated, over the defaults of all roles of the collection.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import pathlib
import re
import typing as t

from ansible.errors import AnsibleError
from ansible.module_utils.common.yaml import yaml_load  # libyaml's parser where it is there: ten times faster

try:
    from ansible.template import trust_as_template as _trust
except ImportError:  # ansible-core 2.18 trusts all text

    def _trust(value: str) -> str:
        return value


_REGISTERED = re.compile(r"^ *register: (\w+)$", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Option:
    """A documented variable of a role."""

    role: str
    spec: t.Mapping[str, t.Any]


@dataclasses.dataclass(frozen=True)
class Catalogue:
    """Every variable that the collection documents, and the names that its roles set themselves.

    :param prefixes: the beginnings of names that belong to the collection.
    :param base: defaults and internal variables of all roles, raw (templates are not rendered).
    :param results: what roles register for playbooks.
    """

    options: t.Mapping[str, Option]
    prefixes: t.Tuple[str, ...]
    base: t.Mapping[str, t.Any]
    results: t.Collection[str] = ()

    def is_ours(self, name: str) -> bool:
        """Whether the variable's name begins like one of ours."""
        return name.startswith(self.prefixes)

    def is_result(self, name: str, value: t.Any) -> bool:
        """Whether a variable is what a role has registered, and no setting that is called so."""
        return name in self.results and isinstance(value, collections.abc.Mapping)


def _read(path: pathlib.Path) -> t.Dict[str, t.Any]:
    """The dictionary in a YAML file; empty when there is no such file."""
    return (yaml_load(path.read_text(encoding="utf-8")) or {}) if path.is_file() else {}


def read_catalogue(roles: pathlib.Path) -> Catalogue:
    """Read the roles below ``roles``."""
    options: t.Dict[str, Option] = {}
    prefixes: t.List[str] = []
    base: t.Dict[str, t.Any] = {}
    results: t.Set[str] = set()
    for role in sorted(path for path in roles.iterdir() if (path / "meta" / "argument_specs.yml").is_file()):
        prefixes.append(f"{role.name}_")
        base.update(_read(role / "vars" / "main.yml"))
        base.update(_read(role / "defaults" / "main.yml"))
        for path in role.glob("tasks/*.yml"):
            results.update(_REGISTERED.findall(path.read_text(encoding="utf-8")))
        for entry_point in _read(role / "meta" / "argument_specs.yml")["argument_specs"].values():
            for name, spec in (entry_point.get("options") or {}).items():
                # What a role says about variables of its own counts; another role may repeat them.
                if name not in options or name.startswith(f"{role.name}_"):
                    options[name] = Option(role.name, spec)
    return Catalogue(options, tuple(prefixes), base, frozenset(results))


@functools.lru_cache(maxsize=1)
def collection_roles() -> Catalogue:
    """The roles of the collection that this file is part of."""
    return read_catalogue(pathlib.Path(__file__).resolve().parents[3] / "roles")


def trusted(value: t.Any) -> t.Any:
    """``value`` with all text in it marked as the collection's own, so that it is templated."""
    if isinstance(value, str):
        return _trust(value)
    if isinstance(value, list):
        return [trusted(item) for item in value]
    if isinstance(value, dict):
        return {key: trusted(item) for key, item in value.items()}
    return value


class Variables(collections.abc.Mapping):
    """Variables of one host, templated when they are looked at.

    A variable that cannot be templated counts as not set and is noted in ``broken``.
    """

    def __init__(self, templar: t.Any, catalogue: Catalogue, raw: t.Mapping[str, t.Any]) -> None:
        """:param raw: what Ansible knows about the host, not templated; it goes over the roles' defaults."""
        self._raw = {**trusted(dict(catalogue.base)), **raw}
        self._templar = templar.copy_with_new_env(available_variables=self._raw)
        self._cache: t.Dict[str, t.Any] = {}
        self.broken: t.Dict[str, str] = {}
        self.given = frozenset(
            name
            for name, value in raw.items()
            if catalogue.is_ours(name)
            and not catalogue.is_result(name, value)
            and (name not in catalogue.base or value != catalogue.base[name])
        )

    def __getitem__(self, name: str) -> t.Any:
        if name not in self._cache:
            if name in self.broken:
                raise KeyError(name)
            try:
                self._cache[name] = self._templar.template(self._raw[name])
            except AnsibleError as error:
                self.broken[name] = str(error).strip().splitlines()[0]
                raise KeyError(name) from error
        return self._cache[name]

    def __iter__(self) -> t.Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)
