# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel of machines: User-mode Linux, which runs as an ordinary program, built from Debian's sources.

`uml/config` says all that it has. Debian's ready User-mode Linux lacks several processors, cpusets and iptables.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from . import debian
from .util import LOGS, SOURCE, LabError, artifact, lock, require_room, run, say, write

CONFIG = SOURCE / "uml" / "config"

# Where Debian has its newest kernels; the first that can be had is taken. Their names stay, unlike those of releases.
SUITES = ("unstable", "testing")

# The first release that runs several processors.
OLDEST = (6, 19)

# GiB while it is built, most of which is the source.
BUILD_ROOM = 4

# A mend of User-mode Linux: file, what is there and what it becomes. Handlers of interrupts run within others, and what
# epoll has told lies in one array. An inner call writes over events that the outer one has not come to; each is told
# once, so a disk whose event is lost answers nobody any more, as seen while images were pulled. Of one event at a time
# none is lost.
MENDS = [("arch/um/os-Linux/irq.c", "#define MAX_EPOLL_EVENTS 64\n", "#define MAX_EPOLL_EVENTS 1\n")]

NEEDS = {
    **{name: name for name in ("gcc", "make", "flex", "bison", "bc", "xz", "perl")},
    "/usr/lib/*/libc.a": "libc6-dev",
}


def kernel() -> Path:
    """Return a folder with the program `linux`, its configuration and the tree of its modules, built when needed.

    As with systems, the newest release at the time of the build stays until the configuration changes.
    """

    def build(folder: Path) -> None:
        require_room(folder, BUILD_ROOM, "the kernel's build")
        say("the kernel of machines is built once: some 15 minutes of one processor, on all there are")
        debian.install(NEEDS)
        source = fetch_source(folder)
        mend(source)
        objects = folder / "objects"
        make: list[str | Path] = ["make", "--silent", f"--jobs={os.cpu_count() or 1}", f"O={objects}", "ARCH=um"]
        log = LOGS / "build-kernel.log"
        objects.mkdir()
        run([*make, "allnoconfig"], log=log, env={"KCONFIG_ALLCONFIG": str(CONFIG)}, cwd=source)
        config = (objects / ".config").read_text(encoding="utf-8")
        refused = missing_options(CONFIG.read_text(encoding="utf-8"), config)
        if refused:
            raise LabError(f"Linux {release(source)} does not take these lines of {CONFIG}: {', '.join(refused)}")
        run([*make, "linux", "modules"], log=log, cwd=source)
        run([*make, "modules_install", f"INSTALL_MOD_PATH={folder}", "DEPMOD=true"], log=log, cwd=source)
        (modules,) = (folder / "lib/modules").iterdir()
        (modules / "build").unlink(missing_ok=True)
        shutil.copy2(objects / "linux", folder / "linux")
        write(folder / "config", config)
        shutil.rmtree(objects)
        shutil.rmtree(source)

    with lock("build-kernel"):
        return artifact("kernel", [CONFIG, *itertools.chain(*MENDS)], build, what="build the kernel of machines")


def version(folder: Path) -> str:
    """Return the release that a built kernel calls itself."""
    (modules,) = (folder / "lib/modules").iterdir()
    return modules.name


def fetch_source(folder: Path) -> Path:
    """Unpack the newest kernel's source into a folder and return where it is."""
    failures = []
    for suite in SUITES:
        try:
            archive = debian.download("linux-source", suite, folder)
        except LabError as error:
            failures.append(f"{suite}: {error}")
            continue
        unpacked = folder / "package"
        run(["dpkg-deb", "--extract", archive, unpacked])
        archive.unlink()
        (tarball,) = unpacked.glob("usr/src/linux-source-*.tar.xz")
        run(["tar", "--extract", "--file", tarball, "--directory", folder])
        shutil.rmtree(unpacked)
        (source,) = folder.glob("linux-source-*")
        if is_new_enough(release(source)):
            return source
        failures.append(f"{suite}: {release(source)}")
        shutil.rmtree(source)
    oldest = ".".join(map(str, OLDEST))
    raise LabError(f"no source of Linux {oldest} or newer can be had from Debian:\n" + "\n".join(failures))


def mend(source: Path) -> None:
    """Apply the mends to a source tree.

    :raises LabError: when a file is another one than it was: somebody has to see whether the mend is still needed.
    """
    for name, old, new in MENDS:
        path = source / name
        text = path.read_text(encoding="utf-8")
        if old not in text:
            raise LabError(
                f"{name} of Linux {release(source)} has changed: look whether it needs what {__name__} mends"
            )
        write(path, text.replace(old, new))


def release(source: Path) -> str:
    """Return the release of a source tree, such as 6.19.3."""
    text = (source / "Makefile").read_text(encoding="utf-8")
    numbers = (re.search(rf"^{name} = *(\d*)", text, re.MULTILINE) for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL"))
    return ".".join(match[1] for match in numbers if match)


def is_new_enough(text: str) -> bool:
    """Tell whether a release has what machines need of it.

    >>> [is_new_enough(text) for text in ("6.12.48", "6.19.0", "7.2.13")]
    [False, True, True]
    """
    major, minor = text.split(".")[:2]
    return (int(major), int(minor)) >= OLDEST


def missing_options(asked: str, got: str) -> list[str]:
    """Return the lines of a configuration that have not come to be, since an option is gone or needs another one.

    >>> missing_options("# why\\nCONFIG_A=y\\nCONFIG_B=m", "CONFIG_A=y\\nCONFIG_B=y\\n")
    ['CONFIG_B=m']
    """

    def options(text: str) -> Iterable[str]:
        return (line for line in text.splitlines() if line.startswith("CONFIG_"))

    there = set(options(got))
    return [line for line in options(asked) if line not in there]
