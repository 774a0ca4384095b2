# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian: packages the lab needs on this machine, the machine's package sources, and small systems made from them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .util import CACHE, LOGS, LabError, artifact, as_root, can_be_root, lock, run, step, write

SUITES = {"debian12": "bookworm", "debian13": "trixie"}
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# For machines that are not Debian themselves and so have no Debian mirror in their configuration.
MIRROR_VARIABLE = "SLIPWAY_LAB_DEBIAN_MIRROR"


@dataclass(frozen=True)
class Source:
    """One entry of apt's configuration."""

    uris: tuple[str, ...]
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = KEYRING

    def text(self) -> str:
        """Return it as a deb822 stanza."""
        return (
            f"Types: deb\nURIs: {' '.join(self.uris)}\nSuites: {' '.join(self.suites)}\n"
            f"Components: {' '.join(self.components)}\nSigned-By: {self.signed_by}\n"
        )


def parse_deb822(text: str) -> list[Source]:
    """Read a .sources file."""
    sources = []
    for stanza in re.split(r"\n\s*\n", re.sub(r"^#.*\n?", "", text, flags=re.MULTILINE)):
        fields = {
            key.lower(): value.split()
            for key, value in re.findall(r"^(\S+):[ \t]*((?:.|\n[ \t])*)", stanza, re.MULTILINE)
        }
        if "deb" in fields.get("types", []) and fields.get("enabled") != ["no"]:
            uris, suites, components = (tuple(fields.get(key, ())) for key in ("uris", "suites", "components"))
            sources.append(Source(uris, suites, components, " ".join(fields.get("signed-by", [KEYRING]))))
    return sources


def parse_list(text: str) -> list[Source]:
    """Read a .list file."""
    sources = []
    for options, rest in re.findall(r"^deb[ \t]+(?:\[([^]]*)\][ \t]+)?([^#\n]+)", text, re.MULTILINE):
        uri, suite, *components = rest.split()
        signed_by = re.search(r"signed-by=(\S+)", options)
        sources.append(Source((uri,), (suite,), tuple(components), signed_by[1] if signed_by else KEYRING))
    return sources


def sources_for(suite: str, sources: Iterable[Source], host_suite: str) -> list[Source]:
    """Return the entries of Debian itself, turned from the machine's suite into another one.

    Others' repositories are told apart by their suite and by the key that signs them.
    """
    pattern = re.compile(rf"{re.escape(host_suite)}(-updates|-security)?")
    chosen = []
    for source in sources:
        suites = tuple(name.replace(host_suite, suite, 1) for name in source.suites if pattern.fullmatch(name))
        if suites and "main" in source.components and "debian-archive" in source.signed_by:
            chosen.append(Source(source.uris, suites, source.components, source.signed_by))
    return chosen


def host_sources(suite: str) -> str:
    """Return apt's sources for a suite, from the mirrors that this machine uses."""
    mirror = os.environ.get(MIRROR_VARIABLE)
    if mirror:
        return Source((mirror,), (suite, f"{suite}-updates"), ("main",)).text()
    apt = Path("/etc/apt")
    found: list[Source] = []
    for path in [apt / "sources.list", *sorted((apt / "sources.list.d").glob("*"))]:
        if path.suffix in {".list", ".sources"} and path.is_file():
            text = path.read_text(encoding="utf-8")
            found += parse_list(text) if path.suffix == ".list" else parse_deb822(text)
    release = Path("/etc/os-release").read_text(encoding="utf-8")
    codename = re.search(r"^VERSION_CODENAME=\"?(\w+)", release, re.MULTILINE)
    chosen = sources_for(suite, found, codename[1] if codename else "")
    if not chosen:
        raise LabError(
            "no Debian mirror is found in this machine's apt configuration; name one: "
            f"{MIRROR_VARIABLE}=http://.../debian (and install debian-archive-keyring)"
        )
    return "\n".join(source.text() for source in chosen)


def host_proxies() -> str:
    """Return the proxies of this machine's apt configuration, as lines of apt.conf."""
    if not shutil.which("apt-config"):
        return ""
    lines = run(["apt-config", "dump", "--format", '%F "%v";%n', "Acquire"]).splitlines()
    return "".join(
        f"{line}\n" for line in lines if re.match(r'Acquire::https?::Proxy\S* "."?', line) and '""' not in line
    )


def install(wanted: Mapping[str, str]) -> None:
    """Install Debian packages whose command or file is missing.

    :param wanted: what has to be there (a command, or a path pattern) and the package that brings it.
    """
    if all(map(_present, wanted)):
        return
    with lock("apt"):
        _install(sorted({package for name, package in wanted.items() if not _present(name)}))


def _install(missing: Sequence[str]) -> None:
    if not missing:
        return
    if not shutil.which("apt-get"):
        raise LabError(f"please install {', '.join(missing)} (named as in Debian); the lab can do so with apt-get only")
    with step(f"install {' '.join(missing)}"):
        apt_get = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]
        run(as_root([*apt_get, "update"]), log=LOGS / "apt-update.log")
        log = LOGS / "apt-install.log"
        run(as_root([*apt_get, "install", "--yes", "--no-install-recommends", *missing]), log=log)


def _present(name: str) -> bool:
    if name.startswith("/"):
        return any(Path("/").glob(name[1:]))
    return shutil.which(name) is not None or any(Path(folder, name).exists() for folder in ("/usr/sbin", "/sbin"))


def unpacked(package: str) -> Path:
    """Return a folder with a package's files, for programs whose package would start a service when installed."""

    def build(folder: Path) -> None:
        command = ["apt-get", "--quiet", "download", package]
        try:
            run(command, cwd=folder)
        except LabError:
            run(as_root(["apt-get", "--quiet", "update"]), log=LOGS / "apt-update.log")
            run(command, cwd=folder)
        (archive,) = folder.glob("*.deb")
        run(["dpkg-deb", "--extract", archive, folder])
        archive.unlink()

    return artifact(f"unpacked-{package}", [], build, what=f"fetch {package}")


def download(package: str, suite: str, folder: Path) -> Path:
    """Fetch a package of another suite than the machine's, and return where it lies.

    :param package: one that does nothing but depend on the newest of its kind, such as linux-source, stands for that.
    """
    state = folder / "apt"
    # Others' suites, such as bookworm-security, have no equal for each suite.
    only = [
        Source(source.uris, (suite,), source.components, source.signed_by)
        for source in parse_deb822(host_sources(suite))
        if suite in source.suites
    ]
    listing = write(state / "list.sources", "\n".join(source.text() for source in only))
    write(state / "status", "")
    (state / "lists/partial").mkdir(parents=True)
    settings = {
        "APT::Sandbox::User": "root",
        "Dir::Cache": state,
        "Dir::Etc::SourceList": listing,
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": state / "lists",
        "Dir::State::status": state / "status",
    }
    options = [f"--option={name}={value}" for name, value in settings.items()]
    run(["apt-get", "--quiet", *options, "update"], log=LOGS / f"apt-update-{suite}.log")
    depends = re.search(
        rf"^Depends: ({re.escape(package)}-\S+)", run(["apt-cache", *options, "show", package]), re.MULTILINE
    )
    run(["apt-get", "--quiet", *options, "download", depends[1] if depends else package], cwd=folder)
    shutil.rmtree(state)
    (archive,) = folder.glob("*.deb")
    return archive


def system(name: str, suite: str, variant: str, packages: Sequence[str], options: Sequence[str] = ()) -> Path:
    """Return the path of an archive (tar) with a Debian system.

    :param variant: mmdebstrap's: minbase has apt, essential has next to nothing.
    :param options: further options of mmdebstrap.
    """
    sources = host_sources(suite)
    install({"mmdebstrap": "mmdebstrap"})

    def build(folder: Path) -> None:
        listing = write(CACHE / "apt" / f"{suite}.sources", sources)
        argv = ["mmdebstrap", f"--variant={variant}", f"--include={','.join(packages)}", *options]
        command: list[str | Path] = [*argv, suite, folder / "system.tar", listing]
        # Without root, mmdebstrap tries a user namespace.
        run(as_root(command) if can_be_root() else command, log=LOGS / f"build-{name}.log")

    return artifact(name, [suite, variant, *packages, *options, sources], build) / "system.tar"
