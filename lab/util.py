# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all parts of the lab share: its folders, progress lines, running commands, and artifacts that are built once."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipway-lab"
LOGS = CACHE / "log"
ARTIFACTS = CACHE / "artifacts"

# How many lines of a failed command's log are shown.
LOG_TAIL = 30


class LabError(Exception):
    """Something that the user has to know or mend; the text is all they see."""


def say(text: str) -> None:
    """Print a progress line. Standard output is kept for results (--json)."""
    print(f"[lab] {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """Say what is being done, and how many seconds it took."""
    say(f"{text} ...")
    start = time.monotonic()
    yield
    say(f"{text} ... {time.monotonic() - start:.0f} s")


def run(
    argv: Sequence[str | Path],
    *,
    log: Path | None = None,
    stdin: str | None = None,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a command and return its standard output.

    :param log: gets everything the command prints instead (nothing is returned then).
    :raises LabError: when the command is missing or fails; it holds the end of what the command printed.
    """
    command = [str(argument) for argument in argv]
    environment = {**os.environ, **env} if env else None
    with contextlib.ExitStack() as stack:
        output: Any = subprocess.PIPE
        if log:
            log.parent.mkdir(parents=True, exist_ok=True)
            output = stack.enter_context(log.open("w", encoding="utf-8"))
        try:
            result = subprocess.run(
                command,
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                stdout=output,
                stderr=subprocess.STDOUT if log else subprocess.PIPE,
                env=environment,
                cwd=cwd,
                text=True,
                errors="replace",
                check=False,
            )
        except FileNotFoundError as error:
            raise LabError(f"{command[0]} is not installed") from error
    if result.returncode:
        text = log.read_text(encoding="utf-8", errors="replace") if log else result.stderr or result.stdout
        where = f"\nall of it: {log}" if log else ""
        raise LabError(f"`{' '.join(command)}` failed with code {result.returncode}:\n{tail(text)}{where}")
    return result.stdout or ""


def tail(text: str) -> str:
    """Return the last lines of a text."""
    return "\n".join(text.rstrip().splitlines()[-LOG_TAIL:])


def as_root(argv: Sequence[str | Path]) -> list[str | Path]:
    """Return the command as root would run it; sudo may not ask for anything."""
    return list(argv) if os.geteuid() == 0 else ["sudo", "--non-interactive", *argv]


@functools.lru_cache(maxsize=None)
def can_be_root() -> bool:
    """Tell whether `as_root` works."""
    if os.geteuid() == 0:
        return True
    return bool(shutil.which("sudo")) and subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0


@contextlib.contextmanager
def lock(name: str) -> Iterator[None]:
    """Let one process of the lab at a time do what the name says."""
    path = CACHE / "lock" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process of the lab ({name})")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def digest(*inputs: str | Path) -> str:
    """Return a short hash of texts and of the contents of files and folders."""
    total = hashlib.sha256()
    for given in inputs:
        if isinstance(given, str):
            total.update(f"text {given}\0".encode())
            continue
        paths = sorted(path for path in given.rglob("*") if path.is_file()) if given.is_dir() else [given]
        for path in paths:
            total.update(f"file {path.relative_to(given.parent)} {path.stat().st_mode & 0o111}\0".encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def artifact_folder(name: str, inputs: Sequence[str | Path]) -> Path:
    """Return where the artifact with these inputs lies, or would."""
    return ARTIFACTS / f"{name}+{digest(*inputs)}"


def artifact(name: str, inputs: Sequence[str | Path], build: Callable[[Path], None], *, what: str = "") -> Path:
    """Return the folder of something that is built once: as long as its inputs are the same, nothing is done.

    The folder appears when its build has succeeded, and folders of the same name with other inputs go away then.

    :param inputs: all that the result depends on. An artifact's own folder is given by its name, which has its hash.
    :param build: fills the folder it is given.
    :param what: what the progress line says, by default "build NAME".
    """
    path = artifact_folder(name, inputs)
    if path.exists():
        return path
    for left in ARTIFACTS.glob(f"{name}.partial-*"):
        # Of a process that was killed.
        if not Path("/proc", left.name.split("-")[-2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    partial = ARTIFACTS / f"{name}.partial-{os.getpid()}-{threading.get_ident()}"
    partial.mkdir(parents=True)
    try:
        with step(what or f"build {name}"):
            build(partial)
            stale = list(ARTIFACTS.glob(f"{name}+*"))
            with contextlib.suppress(OSError) if path.exists() else contextlib.nullcontext():
                partial.rename(path)
        for folder in stale:
            if folder != path:
                shutil.rmtree(folder, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return path


def require_room(path: Path, gigabytes: float, what: str) -> None:
    """Say how much disk is needed where there is less.

    :raises LabError: when the file system of a folder has less room.
    """
    free = shutil.disk_usage(path).free / 2**30
    if free < gigabytes:
        raise LabError(f"{path} has {free:.1f} GiB of disk, {gigabytes:.1f} GiB are needed for {what}")


def write(path: Path, text: str, mode: int = 0o644) -> Path:
    """Write a text file and the folders above it, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def link(path: Path, target: Path) -> None:
    """Let a symbolic link show a target; readers see the old one or the new one, never nothing."""
    if path.is_symlink() and path.readlink() == target:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(path)
