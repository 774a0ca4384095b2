# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the collection, install it into an empty path, and use it from there by its full names.

Checks that the playbooks parse and list their tasks, that ansible-doc shows each module, filter and role, that
antsibull-docs is content, and that galaxy-importer would take the tarball. Nothing of the checkout is in reach.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import environments
from staging import PROJECT, GateError, Installed, cache_folder, gate, installed, run

NAME = "slipway.kubernetes"
# ansible-lint runs over the checkout already; ansible-test has a gate of its own.
IMPORTER_SETTINGS = {"GALAXY_IMPORTER_RUN_ANSIBLE_LINT": "false", "GALAXY_IMPORTER_RUN_ANSIBLE_TEST": "false"}


def use_playbooks(collection: Installed, environment: dict[str, str]) -> int:
    """Parse each playbook by its full name; return how many there are."""
    names = sorted(path.stem for path in collection.tree.glob("playbooks/*.yml"))
    inventory = PROJECT / "inventory"
    for name in names:
        command = ["ansible-playbook", f"{NAME}.{name}", "--inventory", inventory]
        run([*command, "--syntax-check"], collection.folder, quiet=True, **environment)
        run([*command, "--list-tasks"], collection.folder, quiet=True, **environment)
    return len(names)


def read_documentation(collection: Installed, environment: dict[str, str]) -> int:
    """Have ansible-doc show everything; return how many pages there are."""
    pages = 0
    for kind in ("module", "filter", "lookup", "role"):
        listing = run(
            ["ansible-doc", "--type", kind, "--list", "--json", NAME], collection.folder, quiet=True, **environment
        )
        names = sorted(json.loads(listing[listing.index("{") :]))
        missing = expected(kind, collection.tree).difference(names)
        if missing:
            raise GateError(f"ansible-doc shows no {kind} {', '.join(sorted(missing))}")
        if names:
            run(["ansible-doc", "--type", kind, *names], collection.folder, quiet=True, **environment)
        pages += len(names)
    return pages


def expected(kind: str, tree: Path) -> set[str]:
    """Return the full names of the modules, filters or roles that the collection holds."""
    if kind == "role":
        return {f"{NAME}.{path.name}" for path in tree.glob("roles/*") if path.is_dir()}
    if kind == "module":
        return {f"{NAME}.{path.stem}" for path in tree.glob("plugins/modules/[a-z]*.py")}
    return {f"{NAME}.{path.stem}" for path in tree.glob(f"plugins/{kind}/[a-z]*.yml")}


def import_tarball(collection: Installed) -> None:
    """Have galaxy-importer look at the tarball; its errors fail, its warnings are shown."""
    binaries = environments.ensure("importer") / "bin"
    with tempfile.TemporaryDirectory() as tmp:
        environment = {
            **os.environ,
            **IMPORTER_SETTINGS,
            "GALAXY_IMPORTER_ANSIBLE_LOCAL_TMP": tmp,
            "PATH": f"{binaries}:{os.environ['PATH']}",
        }
        done = subprocess.run(
            [str(binaries / "python"), "-m", "galaxy_importer.main", str(collection.tarball)],
            cwd=tmp,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    output = done.stdout + done.stderr
    troubles = [line for line in output.splitlines() if line.startswith(("WARNING", "ERROR"))]
    if done.returncode != 0 or troubles or "Importer processing completed successfully" not in output:
        print(output, flush=True)
        raise GateError(f"galaxy-importer is not content: {troubles[-1] if troubles else 'see above'}")


def build() -> str:
    """Run all of it."""
    with installed() as collection:
        # An ansible.cfg of the checkout or the user must not help, nor collections that are installed elsewhere.
        (collection.folder / "ansible.cfg").write_text("[defaults]\n", encoding="utf-8")
        environment = {
            "ANSIBLE_CONFIG": str(collection.folder / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(collection.collections),
        }
        playbooks = use_playbooks(collection, environment)
        pages = read_documentation(collection, environment)
        run(["antsibull-docs", "lint-collection-docs", "--plugin-docs", "."], collection.tree, **environment)
        import_tarball(collection)
    return f"{collection.tarball.name}: {playbooks} playbooks parsed by full name, {pages} pages of documentation"


if __name__ == "__main__":
    cache_folder().mkdir(parents=True, exist_ok=True)
    sys.exit(gate("build", build))
