# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run `ansible-test sanity` over the collection as it is built and installed, on every Python that is there.

Needs no container: ansible-test makes its environments with venv. It would fetch a bootstrap script for pip from a host
of its own; the one below does the same from what Python brings along (ensurepip) and the configured package index.
"""

from __future__ import annotations

import argparse
import ast
import configparser
import os
import subprocess
import sys
import types
from pathlib import Path

from environments import candidates, probe
from staging import GateError, cache_folder, gate, installed, run

PIP_BOOTSTRAP = '''\
"""Stands in for get-pip.py: arguments are requirements like pip==24.2."""

import ensurepip
import os
import subprocess
import sys

# ensurepip turns pip's configuration off for its own process and for all that it starts.
environment = os.environ.copy()
ensurepip.bootstrap()
requirements = [word for word in sys.argv[1:] if word not in ("--no-setuptools", "--no-wheel")]
sys.exit(subprocess.call([sys.executable, "-m", "pip", "install", "--quiet"] + requirements, env=environment))
'''
REMOTE_MINORS = range(8, 15)


def seed_pip_bootstrap(home: Path) -> None:
    """Put the bootstrap script where ansible-test looks before it downloads one."""
    from ansible_test._internal.python_requirements import get_venv_packages

    cache = home / ".ansible/test/cache"
    cache.mkdir(parents=True, exist_ok=True)
    for minor in REMOTE_MINORS:
        version = get_venv_packages(types.SimpleNamespace(version=f"3.{minor}"))["pip"]
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(PIP_BOOTSTRAP, encoding="utf-8")


def seed_pip_configuration(home: Path) -> None:
    """Give pip its settings of here: ansible-test passes no PIP_ variable on, and the home folder is another."""
    listing = run([sys.executable, "-m", "pip", "config", "list"], home, quiet=True)
    configuration = configparser.RawConfigParser()
    configuration["global"] = {"quiet": "1"}
    # Variables, listed as :env:, win over files.
    for line in sorted(listing.splitlines(), key=lambda line: line.startswith(":env:")):
        key, _equals, value = line.partition("=")
        section, _dot, option = key.rpartition(".")
        section = "global" if section == ":env:" else section
        if not configuration.has_section(section):
            configuration.add_section(section)
        configuration.set(section, option, ast.literal_eval(value))
    path = home / ".config/pip/pip.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    with path.open("w", encoding="utf-8") as file:
        configuration.write(file)


def python_path() -> str:
    """Return a PATH on which each Python version is found that this machine has."""
    folders = []
    for minor in REMOTE_MINORS:
        for path in candidates(minor):
            python = probe(path)
            if python and python.version[:2] == (3, minor):
                folders.append(str(Path(python.path).parent))
                break
    rest = [folder for folder in os.environ["PATH"].split(os.pathsep) if not misleads(Path(folder))]
    return os.pathsep.join([*folders, *rest])


def misleads(folder: Path) -> bool:
    """Whether a folder names Pythons that do not start, as the shims of pyenv do; ansible-test would take them."""
    names = [folder / f"python3.{minor}" for minor in REMOTE_MINORS]
    return any(
        name.exists() and subprocess.run([name, "--version"], capture_output=True, check=False).returncode != 0
        for name in names
    )


def sanity(arguments: list[str]) -> str:
    """Run the tests; any finding fails the gate."""
    home = cache_folder() / "home"
    seed_pip_bootstrap(home)
    seed_pip_configuration(home)
    with installed() as collection:
        ignores = sorted(path.name for path in collection.tree.glob("tests/sanity/ignore*"))
        if ignores:
            raise GateError(f"the list of exceptions is to stay empty, remove tests/sanity/{ignores[0]}")
        subprocess.run(["git", "init", "--quiet"], cwd=collection.tree, check=True)
        subprocess.run(["git", "add", "--all"], cwd=collection.tree, check=True)
        environment = {"HOME": str(home), "PATH": python_path()}
        run(["ansible-test", "sanity", "--color", "no", *arguments], collection.tree, **environment)
    return "ansible-test sanity passed, no exceptions"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    _known, passed_on = parser.parse_known_args()
    sys.exit(gate("sanity", lambda: sanity(passed_on)))
