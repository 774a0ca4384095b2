# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The structure of the code, as docs/architecture.md has it: who may import whom, and what stands in one file only."""

from __future__ import annotations

import ast
import importlib
import re
import typing as t
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
COLLECTION = "ansible_collections.slipway.kubernetes.plugins"

#: Packages of module_utils from the ground up: each may import those before it, and what lies in no package.
LAYERS = (
    "_pki",
    "_packages",
    "_runtimes",
    "_pod_networks",
    "_network",
    "_firewalls",
    "_machine",
    "_kube",
    "_etcd",
    "_kubeadm",
    "_kubelet",
    "_rke2",
    "_node",
)
#: Kinds of plugins that others import; each may import those before it.
KINDS = ("module_utils", "plugin_utils")
#: The checks of preflight. What several of them need is in the package above, so that each can be read alone.
CHECKS = PLUGINS / "plugin_utils" / "_preflight" / "checks"
#: Files of checks that make them by a function, with what is known in a run only.
OF_A_RUN = {
    "options": "the catalogue of variables is read from the roles",
    "upgrade": "the cluster is asked about its state",
    "patch": "the cluster is asked about its state",
    "reconfigure": "the cluster is asked about its state",
    "change_cni": "the cluster is asked about its state",
    "change_runtime": "the cluster is asked about its state",
}


def imports(path: Path) -> t.List[str]:
    """Paths of what a file imports of this collection, dotted, relative to ``plugins``."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(f"{COLLECTION}."):
            place = (node.module or "")[len(COLLECTION) + 1 :]
            found += [f"{place}.{alias.name}" for alias in node.names]
    return found


def layer(place: str) -> int:
    """Where a dotted path below ``module_utils`` stands; 0 is the ground."""
    package = place.split(".")[1]
    return LAYERS.index(package) + 1 if package in LAYERS else 0


def backward(path: Path, plugins: Path) -> t.List[str]:
    """Imports of a file that run against the order."""
    parts = path.relative_to(plugins).with_suffix("").parts
    wrong = []
    for imported in imports(path):
        kind = imported.split(".")[0]
        is_later = kind not in KINDS or (parts[0] in KINDS and KINDS.index(kind) > KINDS.index(parts[0]))
        if is_later or (parts[0] == "module_utils" and layer(imported) > layer(".".join(parts))):
            wrong.append(imported)
    return wrong


def test_no_import_runs_back() -> None:
    files = sorted(PLUGINS.rglob("*.py"))
    assert len(files) > 100
    found = {str(path.relative_to(PLUGINS)): backward(path, PLUGINS) for path in files}
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


def test_every_package_has_its_layer() -> None:
    assert sorted(LAYERS) == sorted(path.parent.name for path in PLUGINS.glob("module_utils/*/__init__.py"))


@pytest.mark.parametrize(
    ("place", "imported", "allowed"),
    [
        ("module_utils/_pki/der.py", "module_utils._node.node_facts", False),
        ("module_utils/_command.py", "module_utils._pki.der", False),
        ("module_utils/_node/node_facts.py", "module_utils._pki.der", True),
        ("module_utils/_pki/x509.py", "module_utils._pki.der", True),
        ("module_utils/_node/node_facts.py", "plugin_utils._look", False),
        ("plugin_utils/_look.py", "module_utils._pki.der", True),
        ("modules/kubeadm_init.py", "modules.kubeadm_join", False),
        ("modules/kubeadm_init.py", "module_utils._node.node_facts", True),
    ],
)
def test_an_import_that_runs_back_is_found(tmp_path: Path, place: str, imported: str, allowed: bool) -> None:
    package, _dot, name = imported.rpartition(".")
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text(f"from {COLLECTION}.{package} import {name}\n", encoding="utf-8")
    assert backward(path, tmp_path) == ([] if allowed else [imported])


def yaml_files() -> t.Dict[str, t.List[Path]]:
    """The tasks, handlers, variables and templates of each role, and those of the playbooks."""
    parts = ("defaults", "handlers", "tasks", "templates", "vars")
    found = {
        role.name: [path for part in parts for path in (role / part).rglob("*") if path.is_file()]
        for role in (ROOT / "roles").iterdir()
    }
    return {**found, "playbooks": list((ROOT / "playbooks").rglob("*.yml"))}


def test_nobody_reads_private_names_of_others() -> None:
    """A name that begins with two underscores belongs to one role, or to the playbooks."""
    users: t.Dict[str, t.Set[str]] = {}
    for owner, paths in yaml_files().items():
        for path in paths:
            for name in re.findall(r"\b__[a-z]\w+", path.read_text(encoding="utf-8")):
                users.setdefault(name, set()).add(owner)
    assert len(users) > 100
    assert {name: sorted(owners) for name, owners in users.items() if len(owners) > 1} == {}


#: Folders of installers.
PATHS = ("/etc/kubernetes", "/etc/rancher/rke2", "/var/lib/rancher/rke2")


def code_texts(path: Path) -> t.List[str]:
    """Texts in the code of a file, without its documentation."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    told: t.Set[int] = set()
    for node in ast.walk(tree):
        names = {target.id for target in getattr(node, "targets", ()) if isinstance(target, ast.Name)}
        if isinstance(node, ast.Expr) or names & {"DOCUMENTATION", "EXAMPLES", "RETURN"}:
            told.update(id(part) for part in ast.walk(node))
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told
    ]


@pytest.mark.parametrize("folder", PATHS)
def test_one_file_has_the_paths_of_an_installer(folder: str) -> None:
    files = [path for path in PLUGINS.rglob("*.py") if "doc_fragments" not in path.parts]
    named = {str(path.relative_to(PLUGINS)) for path in files if any(folder in text for text in code_texts(path))}
    assert named == {"module_utils/_layout.py"}


def test_functions_fit_on_a_screen() -> None:
    long = {}
    for path in PLUGINS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = (node.end_lineno or 0) - node.lineno + 1
                long.update({f"{path.relative_to(PLUGINS)}: {node.name}": lines} if lines > 60 else {})
    assert long == {}


@pytest.mark.parametrize("path", sorted(CHECKS.glob("[!_]*.py")), ids=lambda path: path.stem)
def test_a_file_of_checks_stands_alone(path: Path) -> None:
    package = ".".join(CHECKS.relative_to(PLUGINS).parts)
    assert [place for place in imports(path) if f"{place}.".startswith(f"{package}.")] == []


@pytest.mark.parametrize("path", sorted(CHECKS.glob("[!_]*.py")), ids=lambda path: path.stem)
def test_a_file_of_checks_says_which(path: Path) -> None:
    module = importlib.import_module(f"{COLLECTION}.plugin_utils._preflight.checks.{path.stem}")
    assert callable(getattr(module, "checks", None)) if path.stem in OF_A_RUN else module.CHECKS
