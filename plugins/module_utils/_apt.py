# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""apt and dpkg by their command-line tools: versions, parsers of their output, and calls that wait for their locks.

No python3-apt is needed on the node. Private to this collection.
"""

from __future__ import annotations

import difflib
import fnmatch
import functools
import itertools
import os
import re
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import (
    CommandResult,
    Runner,
    SlipwayError,
)

LISTS = "/var/lib/apt/lists"
ENVIRONMENT = {
    "APT_LISTCHANGES_FRONTEND": "none",
    "DEBIAN_FRONTEND": "noninteractive",
    # Ubuntu's hook would restart services on its own after each installation.
    "NEEDRESTART_SUSPEND": "1",
}

# --- Versions -------------------------------------------------------------------------------------------------------


def _order(character: str) -> int:
    """Weight of a character outside numbers: ``~`` sorts before the end of the text, letters before other signs."""
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256


def _compare_part(one: str, other: str) -> int:
    """Compare two upstream versions or revisions by the algorithm of deb-version(7)."""
    for left, right in itertools.zip_longest(
        re.findall(r"(\D*)(\d*)", one), re.findall(r"(\D*)(\d*)", other), fillvalue=("", "")
    ):
        for a, b in itertools.zip_longest(left[0], right[0]):
            weight = (_order(a) if a else 0) - (_order(b) if b else 0)
            if weight:
                return weight
        number = int(left[1] or 0) - int(right[1] or 0)
        if number:
            return number
    return 0


def split_version(version: str) -> t.Tuple[int, str, str]:
    """Epoch, upstream version and revision of a Debian version."""
    epoch, colon, rest = version.partition(":")
    if not colon or not epoch.isdigit():
        epoch, rest = "0", version
    upstream, _dash, revision = rest.rpartition("-")
    return (int(epoch), upstream, revision) if upstream else (int(epoch), revision, "")


def compare_versions(one: str, other: str) -> int:
    """Negative, zero or positive as Debian version ``one`` is older than, equal to or newer than ``other``."""
    left, right = split_version(one), split_version(other)
    return left[0] - right[0] or _compare_part(left[1], right[1]) or _compare_part(left[2], right[2])


def sort_versions(versions: t.Iterable[str]) -> t.List[str]:
    """``versions`` without duplicates, newest first."""
    return sorted(set(versions), key=functools.cmp_to_key(compare_versions), reverse=True)


def version_matches(wanted: t.Optional[str], version: str) -> bool:
    """Whether the packaged ``version`` is what ``wanted`` means.

    ``wanted`` is the whole version, the upstream version (``1.37.1`` for ``1.37.1-1.1``, also without the suffix of
    a repacked source: ``1.7.24`` for ``1.7.24~ds1-6``), a shell pattern, or empty for any. The epoch may be left out.
    """
    without_epoch = re.sub(r"^\d+:", "", version)
    if not wanted or wanted in (version, without_epoch):
        return True
    if any(sign in wanted for sign in "*?["):
        return any(fnmatch.fnmatchcase(text, wanted) for text in (version, without_epoch))
    epoch, upstream, _revision = split_version(version)
    prefix = f"{epoch}:"
    if epoch and wanted.startswith(prefix):
        wanted = wanted[len(prefix) :]
    return wanted in (upstream, re.sub(r"[+~](ds|dfsg|repack)[\d.]*$", "", upstream))


def find_version(wanted: t.Optional[str], versions: t.Iterable[str]) -> t.Optional[str]:
    """The newest of ``versions`` that ``wanted`` means."""
    return next((version for version in sort_versions(versions) if version_matches(wanted, version)), None)


def nearest_versions(wanted: str, versions: t.Iterable[str], count: int = 5) -> t.List[str]:
    """At most ``count`` of ``versions``, those that share the longest beginning with ``wanted`` first."""

    def shared(version: str) -> int:
        pairs = zip(re.findall(r"\d+", wanted), re.findall(r"\d+", split_version(version)[1]))
        return sum(1 for _pair in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))

    return sorted(sort_versions(versions), key=shared, reverse=True)[:count]


# --- What the tools print -------------------------------------------------------------------------------------------


class Policy(t.NamedTuple):
    """What ``apt-cache policy`` knows of a package."""

    candidate: t.Optional[str]
    versions: t.Tuple[str, ...]
    """Versions that a package source offers; one that is only installed is not among them."""


def parse_policy(text: str) -> t.Dict[str, Policy]:
    """The packages in the output of ``apt-cache policy NAME...``; names it does not know are absent."""
    found: t.Dict[str, Policy] = {}
    name, candidate, version = "", None, ""
    versions: t.List[str] = []
    for line in text.splitlines():
        header = re.match(r"(\S+):$", line)
        # Since apt 2.1.16 a version that not all machines get yet is followed by "(phased 10%)".
        row = re.match(r" (?:\*\*\*|   ) (\S+)(?: -?\d+)?(?: \(.*\))?$", line)
        source = re.match(r" {8} *-?\d+ (\S+)", line)
        if header:
            name, candidate, version, versions = header.group(1), None, "", []
        elif line.startswith("  Candidate: "):
            candidate = line.split()[1]
            candidate = None if candidate == "(none)" else candidate
        elif source:
            if version not in versions and source.group(1) != "/var/lib/dpkg/status":
                versions.append(version)
        elif row:
            version = row.group(1)
        if name:
            found[name] = Policy(candidate, tuple(versions))
    return {name: policy for name, policy in found.items() if policy.candidate or policy.versions}


class Installed(t.NamedTuple):
    """A package that dpkg has a record of."""

    version: str
    hold: bool
    state: str
    """``installed``, ``unpacked``, ``half-configured``, ``half-installed``, ``config-files``, ..."""
    reinstall: bool
    """dpkg asks for the package to be installed again."""

    @property
    def present(self) -> bool:
        """Whether the package is installed and whole."""
        return self.state == "installed" and not self.reinstall

    @property
    def broken(self) -> bool:
        """Whether an installation or removal has not been finished."""
        return self.reinstall or self.state not in ("installed", "config-files", "not-installed")


DPKG_FORMAT = r"${Package}\t${Version}\t${Status}\n"


def parse_dpkg_query(text: str) -> t.Dict[str, Installed]:
    """Packages in the output of ``dpkg-query --show --showformat DPKG_FORMAT``."""
    packages = {}
    for line in text.splitlines():
        name, version, status = line.split("\t")
        selection, flag, state = status.split()
        packages[name] = Installed(version, selection == "hold", state, flag == "reinstreq")
    return packages


class Step(t.NamedTuple):
    """One step of ``apt-get --simulate``."""

    name: str
    before: t.Optional[str]
    after: t.Optional[str]


def parse_simulation(text: str) -> t.List[Step]:
    """What ``apt-get --simulate`` would install or remove."""
    steps = []
    for action, name, before, after in re.findall(
        r"^(Inst|Remv|Purg) ([^\s:]+)\S*(?: \[([^\]]+)\])?(?: \((\S+))?", text, re.MULTILINE
    ):
        steps.append(Step(name, before or None, (after or None) if action == "Inst" else None))
    return steps


def listed_packages(text: str, heading: str) -> t.List[str]:
    """The names below a heading such as ``The following packages will be REMOVED:``."""
    match = re.search(re.escape(heading) + r"\n((?: +.*\n?)+)", text)
    return sorted(name.rstrip("*") for name in match.group(1).split()) if match else []


def complaints(text: str) -> str:
    """The lines of apt's and dpkg's output that say what is wrong; its end when there are none."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    wrong = [line for line in lines if re.match(r"(E:|W: (GPG|OpenPGP|Failed)|dpkg: error)", line)]
    return "\n".join(list(dict.fromkeys(wrong or lines))[-12:]) or "it printed nothing"


_LOCKED = re.compile(r"Could not get lock|Unable to (?:acquire|lock)|is locked by another process|frontend lock")

_UPDATE_FAILURES = (
    (
        r"NO_PUBKEY (?P<what>[0-9A-F]+)|Missing key (?P<what2>[0-9A-F]+)",
        "it is signed by another key ({what}). Give the key of this repository.",
    ),
    (
        r"EXPKEYSIG (?P<what>[0-9A-F]+)|key on (?P<what2>[0-9A-F]+) is bad:.*Expired on",
        "the key {what} that signed it has expired. Get the repository's current key; check the clock, too.",
    ),
    (
        r"does not have a Release file",
        "there is no signed repository at this URL and suite (no InRelease or Release file). Check both.",
    ),
    (
        r"doesn't have the component '(?P<what>[^']+)'",
        "it has no component {what}.",
    ),
    (
        r"Release file for \S+ is (?P<what>expired|not valid yet)[^.]*",
        "its Release file is {what}. Check the clock of this host, and that the mirror is kept up to date.",
    ),
    (
        r"(?P<what>[Cc]ertificate verif\w+ failed[^\[\n]*|No system certificates available[^\n]*)",
        "its TLS certificate is not trusted ({what}). Install ca-certificates and the certificate of its authority.",
    ),
    (
        r"(?P<what>Could not resolve '[^']+'|Could not connect to [^\n]*|Unable to connect to [^\n]*|"
        r"Connection (?:failed|timed out)[^\n]*|Could not handshake[^\n]*)",
        "it cannot be reached ({what}).",
    ),
)


def explain_update(text: str) -> t.Optional[str]:
    """What is wrong with a repository, from the output of ``apt-get update``; ``None`` when it says nothing known.

    Known are the words of apt 2.6 with gpgv (Debian 12) and of apt 3.0 with sqv (Debian 13).
    """
    for pattern, message in _UPDATE_FAILURES:
        match = re.search(pattern, text)
        if match:
            groups = match.groupdict()
            what = groups.get("what") or groups.get("what2") or ""
            return message.format(what=re.sub(r"\s+", " ", what).strip().rstrip("."))
    return None


# --- The tools ------------------------------------------------------------------------------------------------------


class Apt:
    """apt and dpkg of this host.

    :param configuration: path of a further configuration file, which wins over the host's.
    :param lock_timeout: seconds to wait while another process (unattended-upgrades, ...) holds a lock.
    """

    def __init__(self, runner: Runner, configuration: t.Optional[str] = None, lock_timeout: int = 120) -> None:
        self.runner = runner
        self.lock_timeout = lock_timeout
        self._options = ["-c", configuration] if configuration else []

    def run(self, tool: str, arguments: t.Sequence[str], stdin: t.Optional[str] = None) -> CommandResult:
        """Run a tool of apt or dpkg; wait for its locks; no failure is raised, look at ``rc``.

        :raises SlipwayError: when a lock is still held after ``lock_timeout`` seconds.
        """
        options = self._options if tool.startswith("apt-") else []
        end = time.monotonic() + self.lock_timeout
        while True:
            result = self.runner.run([tool, *options, *arguments], stdin=stdin, check=False, environment=ENVIRONMENT)
            if result.rc == 0 or not _LOCKED.search(result.stderr):
                return result
            if time.monotonic() >= end:
                raise SlipwayError(
                    f"Another process has been holding a lock of the package manager for {self.lock_timeout} s: "
                    f"{complaints(result.stderr)}",
                    **result.as_return_values(),
                )
            time.sleep(1)

    def update(self, arguments: t.Sequence[str] = ()) -> CommandResult:
        """Fetch the index of the package sources; no failure is raised, look at ``rc``."""
        return self.run("apt-get", ["--quiet", *arguments, "update"])

    def policy(self, names: t.Iterable[str]) -> t.Dict[str, Policy]:
        """What the package sources offer of ``names``; unknown names are absent.

        :raises SlipwayError: when apt cannot read its sources, so that it would know no package at all.
        """
        words = sorted(set(names))
        if not words:
            return {}
        result = self.run("apt-cache", ["policy", *words])
        if result.rc != 0:
            raise SlipwayError(
                f"apt of this host cannot say what its package sources offer: {complaints(result.stderr)} Nothing was"
                " changed.",
                **result.as_return_values(),
            )
        return parse_policy(result.stdout)

    def similar_names(self, name: str) -> t.List[str]:
        """Names of packages that look like ``name``."""
        known = self.run("apt-cache", ["pkgnames", name[:2]]).stdout.split()
        return difflib.get_close_matches(name, known, n=5, cutoff=0.7)

    def installed(self) -> t.Dict[str, Installed]:
        """All packages that dpkg has a record of."""
        return parse_dpkg_query(
            self.runner.run(["dpkg-query", "--show", "--showformat", DPKG_FORMAT], failure="dpkg-query failed").stdout
        )

    def explain_missing(self, name: str, wanted: t.Optional[str], policy: t.Optional[Policy]) -> str:
        """Why ``wanted`` of package ``name`` cannot be had, with what is available instead."""
        if policy is None:
            similar = self.similar_names(name)
            hint = f"; similar names are {', '.join(similar)}" if similar else ""
            return f"package {name} is unknown{hint}"
        versions = ", ".join(nearest_versions(wanted or "", policy.versions)) or "none"
        if not wanted:
            return f"{name} has no candidate, since a pin of this host forbids its versions; available are {versions}"
        return f"{name} has no version {wanted}; available are {versions}"


def index_age(lists: str = LISTS) -> float:
    """Seconds since the package index was fetched; infinite when there is none.

    Each ``apt-get update`` writes into ``partial``; what package_source copies into ``lists`` does not count.
    """
    try:
        if not any(name.endswith("Release") for name in os.listdir(lists)):
            return float("inf")
        return max(0.0, time.time() - os.stat(os.path.join(lists, "partial")).st_mtime)
    except FileNotFoundError:
        return float("inf")
