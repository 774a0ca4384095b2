# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs on the controller uses what Ansible documents, and prints nothing past the callbacks."""

from __future__ import annotations

import ast
import typing as t
from pathlib import Path

import pytest

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
FILES = sorted(path for part in ("action", "filter", "plugin_utils") for path in (PLUGINS / part).glob("*.py"))
#: Names of ActionBase that begin with an underscore and are for action plugins: its documentation has them.
#: https://docs.ansible.com/ansible/latest/dev_guide/developing_plugins.html#action-plugins
DOCUMENTED = frozenset(
    {
        "_connection",
        "_execute_module",
        "_loader",
        "_low_level_execute_command",
        "_play_context",
        "_remove_tmp_path",
        "_task",
        "_templar",
        "_transfer_file",
    }
)


#: What is said with these goes to the callbacks' side: warnings are no output of a task, and stand in stderr.
WARNINGS = frozenset({"warning", "verbosity"})
#: A function of Python; and the one way to say that a folder on the machine, which a task had, is gone with the task.
OTHERS = frozenset({"os._exit", "self._connection._shell"})


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def own_names(tree: ast.AST) -> t.Set[str]:
    """Methods and attributes that the classes of a file define themselves."""
    names = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    stored = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)]
    return names | {node.attr for node in stored}


def misuse(source: str) -> t.List[str]:
    """What a file takes of Ansible that is not for others, and what it prints."""
    tree = ast.parse(source)
    allowed = own_names(tree) | DOCUMENTED
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "ansible":
            parts = [*node.module.split("."), *(alias.name for alias in node.names)]
            found += [part for part in parts if private(part)]
        elif isinstance(node, ast.Attribute) and private(node.attr):
            mine = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls") and node.attr in allowed
            found += [] if mine or ast.unparse(node) in OTHERS else [node.attr]
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("Display()", "display"):
            found += [] if node.attr in WARNINGS else [f"Display.{node.attr}"]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
            found.append("print")
        elif isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr") and ast.unparse(node.value) == "sys":
            found.append(f"sys.{node.attr}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_public_interfaces_only(path: Path) -> None:
    assert misuse(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("manager._inventory.get_host(name)", ["_inventory"]),
        ("self._fact_cache", ["_fact_cache"]),
        ("Display().display(text)", ["Display.display"]),
        ("Display().warning(text)", []),
        ("self._connection._shell.tmpdir", []),
        ("self._other._shell.tmpdir", ["_shell", "_other"]),
        ("from ansible._internal import _templating", ["_internal", "_templating"]),
        ("print(1)", ["print"]),
        ("sys.stdout.write(text)", ["sys.stdout"]),
        ("self._execute_module(task_vars={})", []),
        ("from ansible_collections.slipway.kubernetes.plugins.module_utils._verify import table", []),
    ],
)
def test_that_it_is_noticed(line: str, expected: t.List[str]) -> None:
    assert misuse(line) == expected
