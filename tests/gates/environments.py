# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the virtual environments of the gates: requirements/NAME.txt installed under the cache folder.

The folder's name holds a hash of the requirements and the Python version, so that nothing is ever updated in place: an
environment is either complete and right, or it is made. Prints the folder; with --path it only says where it would be.
Uses the standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import typing as t
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
# The Python versions (minor, of 3) on which each set of requirements can be installed, the best one first.
SETS = {
    "main": (11, 12, 13),
    "minimum": (11, 12, 13),
    "newest": (14, 13, 12),
    "importer": (11, 12, 13),
}
# An interpreter of a virtual environment stands for the one that it was made from.
PROBE = """
import ensurepip, json, os, sys, venv
print(json.dumps([list(sys.version_info[:3]), os.path.realpath(getattr(sys, "_base_executable", sys.executable))]))
"""


class VenvError(Exception):
    """Nothing can be made; the text says what is missing and how to get it."""


class Python(t.NamedTuple):
    """An interpreter that can make virtual environments."""

    version: tuple[int, ...]
    path: str


def cache_folder() -> Path:
    """Return the folder that holds the environments."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway-venv"


def candidates(minor: int) -> t.Iterator[str]:
    """Name the interpreters of one minor version that may be there: this one, those on the PATH, those of pyenv."""
    if sys.version_info[:2] == (3, minor):
        yield sys.executable
    for name in (f"python3.{minor}", "python3"):
        found = shutil.which(name)
        if found:
            yield found
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted((str(path) for path in pyenv.glob(f"versions/3.{minor}.*/bin/python3.{minor}")), reverse=True)


def probe(path: str) -> Python | None:
    """Ask an interpreter for its version; None when it does not start or lacks the venv module."""
    try:
        done = subprocess.run([path, "-c", PROBE], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    version, executable = json.loads(done.stdout)
    return Python(tuple(version), executable)


def find_python(name: str) -> Python:
    """Find the best interpreter for a set of requirements."""
    for minor in SETS[name]:
        for path in candidates(minor):
            python = probe(path)
            if python and python.version[:2] == (3, minor):
                return python
    versions = " or ".join(f"3.{minor}" for minor in sorted(SETS[name]))
    raise VenvError(
        f"requirements/{name}.txt needs Python {versions} with its venv module, and no such Python was found on the "
        "PATH or under pyenv. On Debian and Ubuntu: apt-get install python3 python3-venv"
    )


def folder_for(name: str, python: Python) -> Path:
    """Return the folder of an environment: its name changes with the requirements and the interpreter."""
    pins = (PROJECT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    digest = hashlib.sha256(f"{pins}{python.version}{python.path}".encode()).hexdigest()[:12]
    return cache_folder() / f"{name}-{digest}"


def install(name: str, python: Python, folder: Path) -> None:
    """Make an environment beside its place and move it there when it is complete."""
    print(f"environments: making {folder} (Python {'.'.join(map(str, python.version))})", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([python.path, "-m", "venv", str(folder)], check=True, stdout=sys.stderr)
    pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "--requirement", str(PROJECT / "requirements" / f"{name}.txt")], check=True, stdout=sys.stderr
    )
    (folder / "complete").touch()


def ensure(name: str) -> Path:
    """Return the folder of an environment, made when it is not there."""
    python = find_python(name)
    folder = folder_for(name, python)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Two runs at once: the second waits for the first.
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            install(name, python, folder)
    return folder


def pin(name: str) -> None:
    """Write requirements/NAME.txt: what pip chooses today for requirements/NAME.in."""
    python = find_python(name)
    folder = cache_folder() / f"pins-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([python.path, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin/python"), "-m", "pip", "--disable-pip-version-check"]
    source = PROJECT / "requirements" / f"{name}.in"
    subprocess.run([*pip, "install", "--quiet", "--upgrade", "--requirement", str(source)], check=True)
    frozen = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True).stdout
    head = f"# Made from {name}.in by `make pins`.\n"
    (PROJECT / "requirements" / f"{name}.txt").write_text(head + frozen, encoding="utf-8")
    shutil.rmtree(folder)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(SETS))
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--path", action="store_true", help="print where the environment is or would be, make nothing")
    action.add_argument("--pin", action="store_true", help="write requirements/NAME.txt from requirements/NAME.in")
    arguments = parser.parse_args()
    try:
        if arguments.pin:
            pin(arguments.name)
        elif arguments.path:
            print(folder_for(arguments.name, find_python(arguments.name)))
        else:
            print(ensure(arguments.name))
    except VenvError as error:
        print(f"environments: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"environments: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
