# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the collection from the working tree and install it into an empty path: what users will have.

The checkout holds a link to itself, which ansible-galaxy would follow and ansible-test refuses. So the files that git
knows, and new ones that it does not ignore, are copied first, without that link.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
COLLECTION = Path("ansible_collections/slipway/kubernetes")


class GateError(Exception):
    """The gate is shut; the text says why."""


def cache_folder() -> Path:
    """Return the folder in which the gates keep what makes the next run faster."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway-gates"


def run(argv: t.Sequence[str | Path], cwd: Path, quiet: bool = False, **environment: str) -> str:
    """Run a command of the virtual environment; its output passes through, or is returned when quiet."""
    words = [str(word) for word in argv]
    print(f"+ {shlex.join(words)}", flush=True)
    path = f"{BIN}{os.pathsep}{environment.pop('PATH', os.environ['PATH'])}"
    done = subprocess.run(
        words,
        cwd=cwd,
        env={**os.environ, **environment, "PATH": path},
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        if quiet:
            print(done.stdout, flush=True)
        raise GateError(f"{words[0]} ended with {done.returncode}")
    return done.stdout if quiet else ""


def copy_tree(target: Path) -> None:
    """Copy the files of the working tree, without what git ignores and without the link to ourselves."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listing.split("\0")):
        source = PROJECT / name
        if name.startswith("collections/") or not source.exists():
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target / name, follow_symlinks=False)


class Installed(t.NamedTuple):
    """The built collection."""

    folder: Path
    """A folder that is empty but for what is named here."""
    tarball: Path
    collections: Path
    """Put this into ANSIBLE_COLLECTIONS_PATH."""

    @property
    def tree(self) -> Path:
        """The installed collection itself."""
        return self.collections / COLLECTION


@contextlib.contextmanager
def installed() -> t.Iterator[Installed]:
    """Build and install the collection in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="slipway-gate-") as name:
        folder = Path(name)
        copy_tree(folder / "source")
        run(["ansible-galaxy", "collection", "build", "--output-path", folder, folder / "source"], folder, quiet=True)
        shutil.rmtree(folder / "source")
        (tarball,) = folder.glob("*.tar.gz")
        collections = folder / "collections"
        install: t.List[t.Union[str, Path]] = [
            "ansible-galaxy",
            "collection",
            "install",
            "--no-deps",
            "--offline",
            "--collections-path",
            collections,
        ]
        run([*install, tarball], folder, quiet=True, ANSIBLE_COLLECTIONS_PATH=str(collections))
        yield Installed(folder, tarball, collections)


def gate(name: str, function: t.Callable[[], str]) -> int:
    """Run a gate, print its summary line, and return the exit code."""
    start = time.monotonic()
    try:
        summary, code = function(), 0
    except GateError as error:
        summary, code = f"FAILED: {error}", 1
    print(f"{name}: {summary} ({time.monotonic() - start:.0f} s)", flush=True)
    return code
