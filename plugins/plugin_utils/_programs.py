# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that run on nodes without Ansible, made of this collection's own modules.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import ast
import pathlib
import typing as t

_PACKAGE = "ansible_collections.slipway.kubernetes.plugins.module_utils"
_SOURCES = pathlib.Path(__file__).resolve().parents[1] / "module_utils"


def source(name: str) -> str:
    """The text of the file of a ``module_utils`` module, named like ``_pki.der``."""
    return _path(name).read_text(encoding="utf-8")


def _path(name: str) -> pathlib.Path:
    return _SOURCES.joinpath(*name.split(".")).with_suffix(".py")


def _needs(text: str) -> t.Set[str]:
    """The ``module_utils`` modules that a module imports.

    :raises ValueError: when it imports something of Ansible: that is not on nodes.
    """
    found: t.Set[str] = set()
    for item in ast.walk(ast.parse(text)):
        if not isinstance(item, ast.ImportFrom) or not (item.module or "").startswith("ansible"):
            continue
        module = f"{item.module}."
        if not module.startswith(f"{_PACKAGE}."):
            raise ValueError(f"a program on nodes cannot import {item.module}")
        place = module[len(_PACKAGE) + 1 :]
        # From a package come modules, from a module come names.
        found.update(
            [place[:-1]] if place and _path(place[:-1]).exists() else [place + alias.name for alias in item.names]
        )
    return found


def package(name: str) -> t.Dict[str, str]:
    """Relative paths and texts of the module ``name`` and of all that it needs, as a package of their own.

    :raises ValueError: when one of them needs Ansible.
    """
    texts: t.Dict[str, str] = {}
    waiting = {name}
    while waiting:
        module = waiting.pop()
        texts[module] = source(module)
        waiting |= _needs(texts[module]) - texts.keys()
    files: t.Dict[str, str] = {}
    for module, text in texts.items():
        parts = f"{_PACKAGE}.{module}".split(".")
        # With these the package is found before one of a real Ansible on the machine.
        files.update({"/".join([*parts[:count], "__init__.py"]): "" for count in range(1, len(parts))})
        files["/".join(parts) + ".py"] = text
    return files
