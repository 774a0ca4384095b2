# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""dnf 4 and rpm by their command-line tools and files; no Python library of theirs is used.

A package is on hold when it stands in ``excludepkgs`` of dnf.conf. That needs no plugin (versionlock is a package of
its own, and a list without its plugin holds nothing), counts for all repositories, and dnf itself obeys it in each
command. A transaction that may change a held package says for itself what is left of the exclusions.

What dnf 5 does otherwise is in dnf5.py; what both take from here is what their tools, words and files have in common.

Whether a machine has to be started anew is found out here: ``needs-restarting`` is a plugin, and not on each machine.

Private to this collection.
"""

from __future__ import annotations

import configparser
import contextlib
import dataclasses
import fnmatch
import glob
import hashlib
import itertools
import os
import re
import shutil
import stat
import tempfile
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import (
    TextFile,
    make_folder,
    publish,
    read_exactly,
    read_text,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.interface import (
    Fetched,
    Installed,
    Neighbour,
    Offer,
    PackageManager,
    PackageSource,
    Refused,
    Repository,
    State,
    Transaction,
    Update,
    Updates,
    same_url,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki.openpgp import armoured
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import url_shown

#: What dnf ends with when another process has one of its locks (``exit_on_lock``).
_LOCKED = 200


def compare_parts(one: str, other: str) -> int:
    """Compare two versions or releases by the algorithm of rpm (rpm-version(7), rpmvercmp)."""
    pieces = (re.findall(r"[0-9]+|[A-Za-z]+|[~^]", text) for text in (one, other))
    for left, right in itertools.zip_longest(*pieces, fillvalue=""):
        weight = _compare_pieces(left, right)
        if weight:
            return weight
    return 0


def _compare_pieces(left: str, right: str) -> int:
    """``~`` sorts before the end of the text, ``^`` after the end and before all else, letters before numbers."""
    for sign, before_end in (("~", True), ("^", False)):
        if sign in (left, right) and left != right:
            first, other = (1, right) if left == sign else (-1, left)
            return -first if before_end or other else first
    if left.isdigit() and right.isdigit():
        return int(left) - int(right)
    if left.isdigit() != right.isdigit():
        return 1 if left.isdigit() or not right else -1
    return (left > right) - (left < right)


# --- What the tools print -------------------------------------------------------------------------------------------

#: The version without its epoch when that is 0, as dnf prints it.
RPM_FORMAT = r"%{NAME}\t%{ARCH}\t%|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE}\n"
DNF_FORMAT = "%{name} %{evr} %{repoid}"


def parse_rpm(text: str) -> t.List[t.Tuple[str, str, str]]:
    """Names, architectures and versions that ``rpm --queryformat RPM_FORMAT`` prints; keys are no packages."""
    rows = (line.split("\t") for line in text.splitlines() if line.count("\t") == 2)
    return [(name, arch, without_zero(version)) for name, arch, version in rows if name != "gpg-pubkey"]


def parse_repoquery(text: str) -> t.List[t.Tuple[str, str, str]]:
    """Names, versions and repositories that ``dnf repoquery --queryformat DNF_FORMAT`` prints."""
    rows = (line.split() for line in text.splitlines())
    return [(row[0], row[1], row[2]) for row in rows if len(row) == 3 and "-" in row[1]]


#: How the headings of a transaction begin, and whether packages are there afterwards.
EFFECTS = {"Installing": True, "Upgrading": True, "Downgrading": True, "Reinstalling": True, "Removing": False}


class Row(t.NamedTuple):
    """A package in the table before a transaction."""

    heading: str
    """The first word of that under which it stands, one of ``EFFECTS``."""
    name: str
    version: str = ""
    by: str = ""
    """The package that replaces it."""


def parse_table(text: str) -> t.List[Row]:
    """The rows of the table before a transaction."""
    rows: t.List[Row] = []
    heading = ""
    words: t.List[str] = []
    for line in text.partition("\nTransaction Summary")[0].splitlines():
        replaced = re.match(r" {2,}replacing +(\S+)\.\w+ ", line)
        if re.match(r"\S.*:$", line):
            heading, words = line.split()[0].rstrip(":"), []
        elif replaced and rows:
            rows.append(Row(heading, replaced[1], by=rows[-1].by or rows[-1].name))
        elif line.startswith(" ") and heading in EFFECTS:
            # A name that is too long for its column stands in a line of its own.
            words += line.split()
            if len(words) >= len(("name", "architecture", "version", "repository", "size")):
                rows.append(Row(heading, words[0], words[2]))
                words = []
        else:
            words = []
    return rows


def parse_advisories(text: str) -> t.List[t.Tuple[str, str]]:
    """Names and versions of packages that ``dnf updateinfo list`` prints, without an epoch that is 0."""
    found = []
    for line in text.splitlines():
        words = (re.fullmatch(r"(.+)-((?:\d+:)?[^-]+-[^-]+)\.[^.]+", word) for word in line.split()[2:])
        match = next(filter(None, words), None)
        if match:
            found.append((match[1], without_zero(match[2])))
    return found


def without_zero(version: str) -> str:
    """A version without its epoch when that is 0."""
    return version[2:] if version.startswith("0:") else version


def complaints(text: str) -> str:
    """The lines of dnf's output that say what is wrong; its end when there are none."""
    # Its shell puts a prompt before what it says.
    lines = [re.sub(r"^(> )+", "", line).rstrip() for line in text.splitlines() if line.strip()]
    lines = [line for line in lines if not re.match(r"\(try to add |Error:$|Error: Operation aborted", line)]
    wrong = [line for line in lines if _COMPLAINT.match(line)]
    return "\n".join(list(dict.fromkeys(wrong or lines))[-12:]) or "it printed nothing"


_COMPLAINT = re.compile(
    r"Error|No match for|All matches were| ?Problem| {2}- | {2}\S+: |\[FAILED\]|Package \S+ is not signed"
    r"|Public key for |Argument '|>>> |Failed to (?!resolve)|Transaction failed|OpenPGP check for "
)

_FETCH_FAILURES = (
    (
        r"GPG signature is not available",
        "its index is not signed (there is no repodata/repomd.xml.asc). Its signature ties the "
        "repository to its key. Give the URL of one that has it, such as a mirror that you sign, with the key of that.",
    ),
    (
        r"repomd\.xml \w+ signature verification error",
        "its index is not signed by the key given: it is signed by another key, or the key has expired, or the index "
        "was changed afterwards. Get the repository's current key; check the clock, too.",
    ),
    (
        r"Status code: 404 for \S+/repodata/repomd\.xml ",
        "there is no repository at this URL (no repodata/repomd.xml). Check it, and what $releasever and $basearch are "
        "in it.",
    ),
    (
        r"Status code: (?P<what>\d+) for \S+",
        "its server answers with the status {what}.",
    ),
    (
        r"Curl error \((?:35|51|58|60|77|83)\): (?P<what>[^\n]*)",
        "its TLS certificate is not trusted ({what}). Install ca-certificates and the certificate of its authority.",
    ),
    (
        r"Curl error \(37\): [^\n]*\[(?P<what>[^\]\n]*)\]",
        "it cannot be read ({what}).",
    ),
    (
        r"Curl error \(\d+\): (?P<what>[^\n]*)",
        "it cannot be reached ({what}).",
    ),
    (
        r"checksum doesn't match",
        "its files are not those that its index names. A mirror that is being brought up to date or a proxy with old "
        "copies does that: try it later.",
    ),
)


def explain_fetch(text: str) -> t.Optional[str]:
    """What is wrong with a repository, from the output of ``dnf makecache``; ``None`` when it says nothing known.

    Known are the words of dnf 4.23.
    """
    for pattern, message in _FETCH_FAILURES:
        match = re.search(pattern, text)
        if match:
            what = match.groupdict().get("what") or ""
            return message.format(what=re.sub(r"\s+", " ", what).strip().rstrip("."))
    return None


_FILTERED = re.compile(
    r"All matches were filtered out by (?P<kind>exclude|modular) filtering for argument: (?P<name>\S+)"
    r"|Argument '(?P<word>[^']+)' matches only (?:excluded packages|packages excluded by versionlock)"
)
_FILTERS = {
    "exclude": "excludepkgs in /etc/dnf/dnf.conf or in the file of a repository, or a list of versionlock, forbids it. "
    "Take it out there, or set hold for a package that this collection holds.",
    "modular": "a module of the distribution hides it (dnf module list). Reset or disable that module, or set "
    "module_hotfixes=1 for the repository.",
}


_OUTDATED = re.compile(r"Status code: 404 for \S+\.rpm|No more mirrors to try|no cache for '")
_REMEDIES = (
    (_OUTDATED, "A server has not what its index names: a mirror that is being brought up to date does that."),
    (
        re.compile(r"GPG check FAILED|OpenPGP check for package"),
        "The packages have to be signed by a key that the repository's file names (gpgkey), whatever signed the index.",
    ),
)


def explain_transaction(text: str) -> str:
    """Why dnf does not carry a transaction out, with what can be done about it."""
    rows = [(match["kind"] or "exclude", match["name"] or match["word"]) for match in _FILTERED.finditer(text)]
    filtered = [f"{name}: {_FILTERS[kind]}" for kind, name in dict.fromkeys(rows)]
    if not re.search(r"Failed to download metadata|Errors during downloading metadata", text):
        remedies = [remedy for pattern, remedy in _REMEDIES if pattern.search(text)]
        return "\n".join([complaints(text), *filtered, *remedies])
    repository = re.search(r"for repo(?:sitory)? ['\"]([^'\"]+)['\"]", text)
    name = repository[1] if repository else "of this host"
    reason = explain_fetch(text) or complaints(text)
    return (
        f"dnf does nothing while the repository {name} is not as it should be: {reason} Mend it, or turn it off "
        "(enabled=0 in its file)."
    )


# --- Files ----------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Entry:
    """One repository that is turned on in a file."""

    path: str
    id: str
    options: t.Mapping[str, str]
    """What is said of it, by names in lower case."""

    @property
    def urls(self) -> t.List[str]:
        """Its addresses, or those of the lists of its mirrors."""
        return (
            re.split(r"[\s,]+", self.options.get("baseurl", "").strip())
            if self.options.get("baseurl")
            else [self.options[key] for key in ("metalink", "mirrorlist") if self.options.get(key)]
        )

    @property
    def key_path(self) -> str:
        """The one file of keys that it names; empty when it names none, or several."""
        match = re.fullmatch(r"file://(/[^\s,]+)", self.options.get("gpgkey", "").strip())
        return match[1] if match else ""

    def says(self, key: str) -> bool:
        """Whether an option is on."""
        return self.options.get(key, "").strip().lower() in ("1", "yes", "true", "on", "enabled")


def read_sections(path: str) -> t.Dict[str, t.Dict[str, str]]:
    """The sections of a file of dnf; none when dnf would refuse it."""
    parser = configparser.RawConfigParser(
        delimiters=("=",), strict=False, default_section="\0", empty_lines_in_values=False
    )
    try:
        parser.read_string(read_text(path), path)
    except configparser.Error:
        return {}
    return {name: dict(parser[name]) for name in parser.sections()}


#: Where dnf looks for repositories.
_FOLDERS = ("yum.repos.d", "yum/repos.d", "distro.repos.d")


def read_entries(root: str = "") -> t.List[Entry]:
    """The repositories that are turned on."""
    found = []
    paths = [path for folder in _FOLDERS for path in sorted(glob.glob(f"{root}/etc/{folder}/*.repo"))]
    for path in paths:
        for name, options in read_sections(path).items():
            entry = Entry(path, name, {"enabled": "1", **options})
            if name != "main" and entry.says("enabled") and entry.urls:
                found.append(entry)
    return found


_EXCLUSION = re.compile(r"(?:exclude|excludepkgs)\s*=(.*(?:\n[ \t]+\S.*)*)\n?", re.MULTILINE)


def _main_section(text: str) -> t.Tuple[int, int]:
    """Where the section ``main`` has its lines; an empty place at the end when there is none."""
    head = re.search(r"^\[main\][^\n]*(\n|\Z)", text, re.MULTILINE)
    if head is None:
        return len(text), len(text)
    following = re.compile(r"^\[", re.MULTILINE).search(text, head.end())
    return head.end(), following.start() if following else len(text)


def exclusions(text: str) -> t.List[str]:
    """Names and patterns of packages that a dnf.conf excludes from all repositories."""
    start, end = _main_section(text)
    values = re.findall(rf"^{_EXCLUSION.pattern}", text[start:end], re.MULTILINE)
    return [word for value in values for word in re.split(r"[\s,]+", value) if word]


def with_exclusions(text: str, names: t.Sequence[str]) -> str:
    """A dnf.conf that excludes just ``names``; all its other lines stay."""
    line = f"excludepkgs={', '.join(names)}\n" if names else ""
    start, end = _main_section(text)
    head, section, rest = text[:start], text[start:end], text[end:]
    if head and not head.endswith("\n"):
        head += "\n"
    if not re.search(r"^\[main\]", head, re.MULTILINE):
        head += "[main]\n"
    found = list(re.finditer(rf"^{_EXCLUSION.pattern}", section, re.MULTILINE))
    place = found[0].start() if found else 0
    for match in reversed(found):
        section = section[: match.start()] + section[match.end() :]
    return head + section[:place] + line + section[place:] + rest


def variables(root: str = "") -> t.Dict[str, str]:
    """What stands for ``$basearch`` and its like in URLs, as far as files say it."""
    machine = os.uname().machine
    found = {"basearch": machine, "arch": machine}
    for folder in ("yum", "dnf"):
        for path in glob.glob(f"{root}/etc/{folder}/vars/*"):
            found[os.path.basename(path)] = read_text(path).strip()
    return found


#: Options by which dnf reaches servers otherwise than we do.
_OWN_WAYS = re.compile(r"proxy.*|username|password|sslca.*|sslclient.*|sslverify.*")

# --- The tools ------------------------------------------------------------------------------------------------------

#: In `dnf shell` and `dnf5 do`, which go on whatever happened.
_HALF_DONE = re.compile(
    r"^(?:> )*(?:Error(?!: Operation aborted)|No match for|All matches were| ?Problem|Argument '[^']*' matches only)",
    re.MULTILINE,
)
#: What the packages provide of which several versions may be installed.
_PARALLEL = re.compile(r"^(?:installonlypkg|multiversion)\(|^kernel(?:-\S+)? =", re.MULTILINE)

#: What a transaction says of the ways by which an ordinary upgrade differs from one for exact versions.
_ORDINARY = ("--setopt=best=0", "--setopt=install_weak_deps=0", "--setopt=clean_requirements_on_remove=0")
#: What changes nothing.
_LOOK = ("--cacheonly", "--assumeno")
#: What a running system keeps in use until it is started anew: what needs-restarting goes by, and libraries of TLS.
_CORE = (
    "glibc", "systemd", "dbus", "dbus-broker", "dbus-daemon", "openssl-libs", "gnutls", "linux-firmware",
    "microcode_ctl",
)  # fmt: skip
#: By what packages note the content of their files, by the number of its digits.
_DIGESTS = {32: "md5", 40: "sha1", 64: "sha256", 96: "sha384", 128: "sha512"}


def _refusal(result: CommandResult) -> Refused:
    """What is said of a transaction that dnf has not carried out."""
    text = result.stdout + result.stderr
    reason = explain_transaction(text)
    if result.rc < 0:
        reason = f"dnf was killed by signal {-result.rc}. The next run finishes what it left."
    return Refused(reason, result, outdated=_OUTDATED.search(text) is not None)


class Dnf(PackageManager):
    """dnf and rpm of this host.

    :param options: for each call of dnf; they win over the host's configuration.
    """

    # The program `dnf` is a link, to dnf5 on some systems.
    name, tool, systems, audit = "dnf", "dnf-3", "the RHEL family, Amazon Linux", "dnf check"
    names = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
    #: How it is asked for packages.
    query: t.Tuple[str, ...] = ("repoquery", "--queryformat", DNF_FORMAT)
    #: What hides nothing that the machine's settings hide, but for lists of versionlock, which have an option of their
    #: own.
    unhidden: t.Tuple[str, ...] = ("--disableexcludes=all",)
    unlocked: t.Tuple[str, ...] = ("--disableplugin=versionlock",)
    #: The option of where it keeps what it has fetched, and its default.
    cache_option, cache_default = "cachedir", "/var/cache/dnf"
    #: What it prints when it was told to change nothing.
    aborted = "Operation aborted."

    def __init__(self, runner: Runner, lock_timeout: int = 120, root: str = "", options: t.Sequence[str] = ()) -> None:
        super().__init__(runner, lock_timeout, root)
        self.configuration = f"{root}/etc/dnf/dnf.conf"
        self._options = list(options)

    @classmethod
    def compare_parts(cls, one: str, other: str) -> int:
        return compare_parts(one, other)

    @property
    def cache(self) -> str:
        """The folder in which dnf keeps what it has fetched."""
        main = read_sections(self.configuration).get("main", {})
        return self.root + main.get(self.cache_option, self.cache_default).strip()

    def run(self, arguments: t.Sequence[str], stdin: t.Optional[str] = None) -> CommandResult:
        """Run dnf; wait for its locks; no failure is raised, look at ``rc``.

        :raises SlipwayError: when a lock is still held after ``lock_timeout`` seconds.
        """
        wait = _waiting.Wait(self.lock_timeout, pause=1)
        while True:
            argv = [self.tool, "--setopt=exit_on_lock=1", *self._options, *arguments]
            result = self.runner.run(argv, stdin=stdin, check=False)
            if not self.is_locked(result):
                return result
            if wait.is_over:
                raise SlipwayError(
                    f"Another process has been holding a lock of the package manager for {self.lock_timeout} s: "
                    f"{complaints(result.stdout + result.stderr)}",
                    **result.as_return_values(),
                )
            wait.sleep()

    @staticmethod
    def is_locked(result: CommandResult) -> bool:
        """Whether it did nothing since another process has one of its locks."""
        return result.rc == _LOCKED

    @staticmethod
    def table(text: str) -> t.List[Row]:
        """The rows of the table before a transaction."""
        return parse_table(text)

    @classmethod
    def planned(cls, text: str) -> t.Dict[str, t.Optional[str]]:
        """What this table says: versions by names, ``None`` for what is removed or replaced."""
        found: t.Dict[str, t.Optional[str]] = {}
        for row in cls.table(text):
            if EFFECTS[row.heading] and not row.by:
                found[row.name] = row.version
            else:
                # An old version goes for the new one; of kernels the oldest goes.
                found.setdefault(row.name, None)
        return found

    @classmethod
    def replaced(cls, text: str) -> t.Dict[str, str]:
        """Names of packages that this table replaces, with those of the other packages that replace them."""
        return {row.name: row.by for row in cls.table(text) if row.by not in ("", row.name)}

    def _rpm(self, arguments: t.Sequence[str], check: bool = True) -> str:
        return self.runner.run(["rpm", *arguments], check=check, failure="rpm failed").stdout

    # --- What the machine has ---

    def owner(self, path: str) -> t.Optional[str]:
        result = self.runner.run(["rpm", "--query", "--file", "--queryformat", r"%{NAME}\n", path], check=False)
        if result.rc == 0:
            return result.stdout.split("\n")[0]
        return "" if re.search("not owned by any package|No such file", result.stdout + result.stderr) else None

    def is_pristine(self, path: str) -> bool:
        listed = self._rpm(
            ["--query", "--file", "--queryformat", r"[%{FILENAMES}\t%{FILEDIGESTS}\n]", path], check=False
        )
        known = re.search(rf"^{re.escape(path)}\t([0-9a-f]+)$", listed, re.MULTILINE)
        digest = known[1] if known else ""
        try:
            with open(self.root + path, "rb") as stream:
                return hashlib.new(_DIGESTS.get(len(digest), "none"), stream.read()).hexdigest() == digest
        except (OSError, ValueError):
            # Where MD5 is forbidden nothing can be compared, and the file is taken for somebody's.
            return False

    def versions(self, names: t.Collection[str]) -> t.Dict[str, str]:
        rows = parse_rpm(self._rpm(["--query", "--queryformat", RPM_FORMAT, *names], check=False)) if names else []
        return {name: self.sort_versions(v for other, _arch, v in rows if other == name)[0] for name, _a, _v in rows}

    def sources(self) -> t.Iterable[t.Tuple[str, str]]:
        return [(entry.path, url) for entry in read_entries(self.root) for url in entry.urls]

    def installed(self) -> t.Dict[str, Installed]:
        excluded = exclusions(read_exactly(self.configuration))
        found: t.Dict[str, Installed] = {}
        rows = self._all()
        twice = self._twice(rows)
        for name, _arch, version in rows:
            if name in found and self.compare_versions(found[name].version, version) >= 0:
                continue
            hold = any(fnmatch.fnmatchcase(name, word) for word in excluded)
            found[name] = Installed(version, hold)
            if name in twice:
                words = f"installed in several versions ({', '.join(twice[name])})"
                found[name] = Installed(version, hold, State.BROKEN, words)
        return found

    def _all(self) -> t.List[t.Tuple[str, str, str]]:
        return parse_rpm(self._rpm(["--query", "--all", "--queryformat", RPM_FORMAT]))

    def _twice(self, rows: t.Iterable[t.Tuple[str, str, str]]) -> t.Dict[str, t.List[str]]:
        """Packages of which a transaction that was killed has left the old version beside the new one; newest first.

        Kernels and their modules may be there in several versions.
        """
        versions: t.Dict[t.Tuple[str, str], t.List[str]] = {}
        for name, arch, version in rows:
            versions.setdefault((name, arch), []).append(version)
        several = {name: self.sort_versions(found) for (name, _arch), found in versions.items() if len(found) > 1}
        return {
            name: found
            for name, found in several.items()
            if not _PARALLEL.search(self._rpm(["--query", "--provides", name], check=False))
        }

    # --- What can be installed ---

    def offered(self, names: t.Iterable[str]) -> t.Dict[str, Offer]:
        words = sorted(set(names))
        if not words:
            return {}
        allowed = self._query(words, self._released(words))
        hidden = [word for word in words if word not in allowed]
        # What the machine's settings forbid is there, but nobody's candidate.
        others = self._query(hidden, [*self.unhidden, *self.unlocked]) if hidden else {}
        # Of a repository alone it does not matter what is installed.
        unknown = [] if self._options else [word for word in hidden if word not in others]
        return {
            **{name: Offer(version, ()) for name, version in self.versions(unknown).items()},
            **{
                name: Offer(self._best(rows), tuple(version for version, _id in rows)) for name, rows in allowed.items()
            },
            **{name: Offer(None, tuple(version for version, _id in rows)) for name, rows in others.items()},
        }

    def _query(self, names: t.Sequence[str], options: t.Sequence[str]) -> t.Dict[str, t.List[t.Tuple[str, str]]]:
        """Versions of packages with the repositories that have them.

        :raises SlipwayError: when a repository cannot be read.
        """
        result = self.run(["--assumeyes", *options, *self.query, *names])
        if result.rc != 0:
            raise SlipwayError(
                "dnf of this host cannot say what its package sources offer: "
                f"{explain_transaction(result.stdout + result.stderr)} Nothing was changed.",
                **result.as_return_values(),
            )
        found: t.Dict[str, t.List[t.Tuple[str, str]]] = {}
        for name, version, repository in parse_repoquery(result.stdout):
            # One that only provides the name is another package.
            if name in names:
                found.setdefault(name, []).append((version, repository))
        return found

    def _best(self, rows: t.Sequence[t.Tuple[str, str]]) -> str:
        """The newest version of the repositories that go before others."""
        ranks = {entry.id: entry.options.get("priority", "") for entry in read_entries(self.root)}

        def rank(repository: str) -> int:
            text = ranks.get(repository, "")
            return int(text) if text.isdigit() else 99

        first = min(rank(repository) for _version, repository in rows)
        return self.sort_versions(version for version, repository in rows if rank(repository) == first)[0]

    def known_names(self, beginning: str) -> t.List[str]:
        result = self.run(["--cacheonly", *self.query, f"{beginning}*"])
        return sorted({name for name, _version, _id in parse_repoquery(result.stdout)})

    def explain_missing(self, name: str, wanted: t.Optional[str], offer: t.Optional[Offer]) -> str:
        text = super().explain_missing(name, wanted, offer)
        # A list of dnf 4, and one of dnf 5.
        lists = (read_text(f"{self.root}/etc/dnf/{path}") for path in ("plugins/versionlock.list", "versionlock.toml"))
        named = re.compile(rf"^(!?{re.escape(name)}-|name = \"{re.escape(name)}\"$)", re.MULTILINE)
        locked = any(map(named.search, lists))
        return f"{text} (others are hidden by dnf versionlock)" if locked and offer is not None else text

    def indexes(self) -> t.List[t.List[str]]:
        entries = read_entries(self.root)
        main = read_sections(self.configuration).get("main", {})
        if any(
            _OWN_WAYS.fullmatch(key) for options in (main, *(entry.options for entry in entries)) for key in options
        ):
            return []
        known = variables(self.root)
        # An empty file of it, as Amazon Linux may have one, says nothing.
        release = known.pop("releasever", "") or self._release()
        known.update({"releasever": release} if release else {})
        found = []
        for entry in entries:
            end = "/repodata/repomd.xml" if entry.options.get("baseurl") else ""
            urls = [
                re.sub(r"\$\{?(\w+)\}?", lambda match: known.get(match[1], match[0]), url.rstrip("/")) + end
                for url in entry.urls
            ]
            if all(re.match("https?://[^$]+$", url) for url in urls):
                found.append(urls)
        return found

    def _release(self) -> str:
        """What dnf takes for ``$releasever``: what the package of the release says, or else its version.

        That is no number on each system: Amazon Linux has ``2023.9.20250929``.
        """
        form = r"%{VERSION}\t[%{PROVIDENAME}=%{PROVIDEVERSION} ]\n"
        names = ("system-release(releasever)", "system-release")
        listed = self._rpm(["--query", "--queryformat", form, "--whatprovides", *names], check=False)
        said = re.search(r"[\t ]system-release\(releasever\)=(\S+)", listed)
        found = said or re.search(r"^(\S+)\t", listed, re.MULTILINE)
        return found[1] if found else ""

    def index_age(self) -> float:
        """That of the oldest index. Of one that is still the server's dnf touches the file ``primary`` (libdnf)."""
        ages = []
        for entry in read_entries(self.root):
            folder = os.path.join(glob.escape(self.cache), f"{glob.escape(entry.id)}-{'[0-9a-f]' * 16}")
            times = [os.stat(path).st_mtime for path in glob.glob(os.path.join(folder, "repodata", "*primary*"))]
            ages.append(max(0.0, time.time() - max(times)) if times else float("inf"))
        return max(ages, default=0.0)

    def updates(self) -> Updates:
        """By what ``dnf upgrade`` would do, without insisting on the newest version of each package.

        Of what may be installed in several versions, such as a kernel, the newest is the one that is updated. It is
        kept back when the oldest, which would go for it, is needed by a package that would go as well. So is a package
        that one with another name replaces, which is not there yet.
        """
        text = self._upgrade(_LOOK, []).stdout
        if self._unwanted(text):
            planned = self.planned(text)
            crowded = [row.name for row in self.table(text) if not EFFECTS[row.heading] and planned[row.name]]
            text = self._upgrade([*_LOOK, *(f"--exclude={name}" for name in crowded)], []).stdout
        present = self.installed()
        brought = {name: version for name, version in self.planned(text).items() if version and name in present}
        safer = self._mends(present, brought) if brought else set()
        waiting = [name for name, by in self.replaced(text).items() if by not in brought]
        left = [name for name in sorted({*self._newer(), *waiting}) if name not in brought]
        held = [name for name in left if name in present and present[name].hold]
        return Updates(
            tuple(Update(name, present[name].version, brought[name], name in safer) for name in sorted(brought)),
            tuple(held),
            tuple(name for name in left if name not in held),
        )

    def _unwanted(self, text: str) -> t.List[str]:
        """Names of packages that a transaction would take away without replacing them."""
        gone = [name for name, version in self.planned(text).items() if version is None]
        return sorted(set(gone).difference(self.replaced(text)))

    def _newer(self) -> t.List[str]:
        """Names of packages of which there is a newer version, also one that settings of this machine hide."""
        result = self.run(["--cacheonly", *self.unhidden, *self.unlocked, *self.query, "--upgrades"])
        if result.rc != 0:
            raise _refusal(result)
        return sorted({name for name, _version, _id in parse_repoquery(result.stdout)})

    def _mends(self, present: t.Mapping[str, Installed], brought: t.Mapping[str, str]) -> t.Set[str]:
        """Those of these updates that bring a version of a security advisory, or one that is newer than that."""
        listed = self.run(["--cacheonly", "--quiet", "updateinfo", "list", "--updates", "--security"])
        if listed.rc != 0:
            raise _refusal(listed)
        return {
            name
            for name, version in parse_advisories(listed.stdout)
            if name in brought
            and self.compare_versions(present[name].version, version) < 0
            and self.compare_versions(version, brought[name]) <= 0
        }

    def reboot_reasons(self) -> t.List[str]:
        """A kernel that is newer than the one that runs, and what is in use for as long as the machine runs."""
        running = os.uname().release
        booted = re.search(r"^btime (\d+)$", read_text(f"{self.root}/proc/stat"), re.MULTILINE)
        since = int(booted[1]) if booted else 0
        # What runs has in its name which variant it is; the version of its package has not.
        form = r"[%{=NAME}\t%{=INSTALLTIME}\t%{PROVIDENAME}\t%{PROVIDEVERSION}\n]"
        listed = self._rpm(["--query", "--whatprovides", "kernel-uname-r", "--queryformat", form], check=False)
        rows = [line.split("\t") for line in listed.splitlines() if "\tkernel-uname-r\t" in line]
        flavour = next((name for name, _moment, _what, release in rows if release == running), "")
        if not flavour or not since:
            return []  # A container, or a machine whose kernel comes from elsewhere.
        # One that was there before the start was not chosen then.
        newer = [release for name, moment, _what, release in rows if name == flavour and int(moment) > since]
        newest = self.sort_versions([running, *newer])[0]
        times = self._rpm(["--query", "--queryformat", r"%{NAME}\t%{INSTALLTIME}\n", *_CORE], check=False)
        core = [line.split("\t") for line in times.splitlines() if line.count("\t") == 1]
        return [
            *([f"{flavour} {newest}"] if newest != running else []),
            *sorted({name for name, moment in core if int(moment) > since}),
        ]

    # --- What changes the machine ---

    def plan_upgrade(self, versions: t.Mapping[str, str]) -> t.Dict[str, t.Optional[str]]:
        words = [f"{name}-{version}" for name, version in sorted(versions.items())]
        planned = self._upgrade(_LOOK, words)
        removals = self._unwanted(planned.stdout)
        if removals:
            raise Refused("Packages would have to be removed.", planned, removals)
        return self.planned(planned.stdout)

    def upgrade(self, versions: t.Mapping[str, str]) -> None:
        """What the new version of a package replaces (``Obsoletes``) goes, as in any upgrade of this distribution."""
        self.plan_upgrade(versions)
        self._upgrade(["--assumeyes"], [f"{name}-{version}" for name, version in sorted(versions.items())])

    def _upgrade(self, options: t.Sequence[str], words: t.Sequence[str]) -> CommandResult:
        """What dnf prints.

        :raises Refused: when it does not do it.
        """
        result = self.run([*options, *_ORDINARY, "upgrade", *words])
        text = result.stdout + result.stderr
        if result.rc == 0 or ("--assumeno" in options and self.aborted in text):
            return result
        raise _refusal(result)

    def refresh(self) -> str:
        result = self.run(["--assumeyes", "makecache", "--refresh"])
        return explain_transaction(result.stdout + result.stderr) if result.rc != 0 else ""

    def repair(self) -> None:
        """The step that was still to be done: the older of two versions goes, whose files the newer one has by now."""
        for name, versions in self._twice(self._all()).items():
            older = [f"{name}-{re.sub(r'^[0-9]+:', '', version)}" for version in versions[1:]]
            self._rpm(["--erase", "--nodeps", *older], check=False)

    def plan(self, transaction: Transaction) -> t.Dict[str, t.Optional[str]]:
        return self.planned(self._transact(transaction, simulate=True).stdout)

    def install(self, transaction: Transaction) -> None:
        result = self._transact(transaction, simulate=True)
        planned = self.planned(result.stdout)
        removals = sorted(name for name, version in planned.items() if version is None)
        others = [name for name in removals if name not in transaction.targets]
        if others and None not in transaction.targets.values():
            raise Refused("Packages would have to be removed.", result, others)
        self._transact(transaction)
        excluded = exclusions(read_exactly(self.configuration))
        self.hold([], [name for name, version in transaction.targets.items() if not version and name in excluded])

    def transaction_arguments(self, transaction: Transaction, simulate: bool) -> t.Tuple[t.List[str], t.Optional[str]]:
        """Arguments for dnf, and what is said to it on its standard input."""
        targets = sorted(transaction.targets.items())
        wanted = [f"{name}-{version}" for name, version in targets if version]
        removed = [name for name, version in targets if not version]
        options = [
            *(("--cacheonly", "--assumeno") if simulate else ("--assumeyes",)),
            *("--setopt=best=1", "--setopt=install_weak_deps=0", "--setopt=clean_requirements_on_remove=0"),
            f"--setopt=allow_downgrade={int(transaction.downgrade)}",
            *(self._released(transaction.targets) if transaction.change_held else ()),
        ]
        if not removed:
            return [*options, "install", *wanted], None
        words, stdin = self.both_ways(wanted, removed)
        return [*options, *words], stdin

    @staticmethod
    def both_ways(wanted: t.Sequence[str], removed: t.Sequence[str]) -> t.Tuple[t.List[str], t.Optional[str]]:
        """How packages are installed and removed at once: arguments, and what is said on the standard input."""
        lines = [*(f"install {word}" for word in wanted), *(f"remove {name}" for name in removed), "run", "exit"]
        return ["shell"], "\n".join(lines)

    def _released(self, names: t.Collection[str]) -> t.List[str]:
        """The option by which these packages are not on hold for one call."""
        excluded = exclusions(read_exactly(self.configuration))
        kept = [word for word in excluded if word not in names]
        # An empty word at the beginning clears what the file says.
        return [f"--setopt=excludepkgs={','.join(['', *kept] if kept else [])}"] if len(kept) < len(excluded) else []

    def _transact(self, transaction: Transaction, simulate: bool = False) -> CommandResult:
        """What dnf prints.

        :raises Refused: when it does not do it.
        """
        arguments, stdin = self.transaction_arguments(transaction, simulate)
        result = self.run(arguments, stdin)
        text = result.stdout + result.stderr
        aborted = simulate and self.aborted in text
        both_ways = None in transaction.targets.values()
        if (result.rc == 0 or aborted) and not (both_ways and _HALF_DONE.search(text)):
            return result
        raise _refusal(result)

    def hold(self, held: t.Sequence[str], released: t.Sequence[str]) -> None:
        """Held packages stand in ``excludepkgs`` of dnf.conf, beside what others have there."""
        text = read_exactly(self.configuration)
        excluded = exclusions(text)
        kept = [word for word in excluded if word not in released]
        patterns = [word for word in kept if any(fnmatch.fnmatchcase(name, word) for name in released)]
        if patterns:
            raise SlipwayError(
                f"The packages {', '.join(released)} cannot be released: {self.configuration} excludes "
                f"{', '.join(patterns)}. Take that out of excludepkgs there."
            )
        names = [*kept, *(name for name in held if name not in kept)]
        if names == excluded:
            return
        mode = stat.S_IMODE(os.stat(self.configuration).st_mode) if os.path.exists(self.configuration) else 0o644
        TextFile(self.configuration, with_exclusions(text, names), mode).write()

    def source(self, repository: Repository, timeout: int) -> DnfSource:
        return DnfSource(self, repository, timeout)


# --- Package sources ------------------------------------------------------------------------------------------------

#: What another entry for the repository may say besides how it is verified.
_UNDERSTOOD = {"name", "baseurl", "enabled", "gpgcheck", "repo_gpgcheck", "gpgkey", "module_hotfixes", "type"}


class DnfSource(PackageSource):
    """A repository for dnf, by dnf.conf(5).

    dnf takes a package that is signed by any key that rpm has. That of the index has to be by the given key, and the
    index has the checksums of the packages: so ``repo_gpgcheck`` is what ties a repository to its key, and nothing
    turns it off.
    """

    settings = ("path",)
    logins = (
        "dnf knows no other place for them than files that everybody can read. Let the server know this host by its "
        "address or by a certificate (sslclientcert in /etc/dnf/dnf.conf)."
    )

    def __init__(self, manager: Dnf, repository: Repository, timeout: int = 30) -> None:
        self._dnf, self._timeout = manager, timeout
        self.id = f"slipway-{repository.name}"
        super().__init__(
            manager,
            repository,
            f"{manager.root}/etc/yum.repos.d/{self.id}.repo",
            f"{manager.root}/etc/pki/rpm-gpg/{self.id}.asc",
        )
        path = str(repository.settings.get("path") or "").strip("/")
        self.url = f"{repository.url.rstrip('/')}/{path}" if path else repository.url

    def check(self) -> None:
        super().check()
        if re.search(r"[,\s]", self.url):
            raise SlipwayError("url, path: dnf takes a comma and a space for the end of a URL.")

    @property
    def shown(self) -> str:
        return url_shown(self.url)

    def key_file(self, key: bytes) -> bytes:
        return armoured(key)

    def render(self, key_path: str, key: bytes, key_url: t.Optional[str]) -> bytes:
        origin = f" from {url_shown(key_url)}" if key_url else ""
        lines = [
            "# Ansible managed: slipway.kubernetes.package_source",
            f"# Key: sha256:{hashlib.sha256(key).hexdigest()}{origin}",
            f"[{self.id}]",
            f"name={self.repository.name}",
            f"baseurl={self.url}",
            "enabled=1",
            "gpgcheck=1",
            "repo_gpgcheck=1",
            f"gpgkey=file://{key_path}",
            # Modules of the distribution hide packages of the same names otherwise.
            "module_hotfixes=1",
        ]
        return ("\n".join(lines) + "\n").encode()

    def neighbours(self) -> t.List[Neighbour]:
        return [Neighbour(entry.path, entry.key_path, self._is_equal(entry)) for entry in self._others()]

    def _others(self) -> t.List[Entry]:
        entries = [entry for entry in read_entries(self._dnf.root) if entry.path != self.path]
        return [entry for entry in entries if any(same_url(url, self.url) for url in entry.urls)]

    def _is_equal(self, entry: Entry) -> bool:
        signed = entry.says("repo_gpgcheck") and entry.says("gpgcheck")
        return signed and len(entry.urls) == 1 and not set(entry.options) - _UNDERSTOOD

    def known(self, content: bytes, names: t.Collection[str]) -> t.Dict[str, Offer]:
        if not names:
            return {}
        text = content.decode()
        for entry in self._others():
            # dnf keeps what it has fetched by the repository's name and address.
            if entry.key_path and f"gpgkey=file://{entry.key_path}\n" in text:
                text = text.replace(f"[{self.id}]\n", f"[{entry.id}]\n")
                text = text.replace(f"baseurl={self.url}\n", f"baseurl={entry.urls[0]}\n")
        with self._scratch() as scratch:
            publish(os.path.join(scratch, "repos", "slipway.repo"), text.encode())
            result = self._dnf_of(scratch, self._dnf.cache).run(["--cacheonly", *self._dnf.query, *sorted(names)])
        rows = parse_repoquery(result.stdout) if result.rc == 0 else []
        found = {name: self._dnf.sort_versions(v for other, v, _id in rows if other == name) for name in names}
        return {name: Offer(versions[0], tuple(versions)) for name, versions in found.items() if versions}

    @contextlib.contextmanager
    def fetched(self, key: bytes) -> t.Iterator[Fetched]:
        with self._scratch() as scratch:
            key_path, cache = os.path.join(scratch, "key.asc"), os.path.join(scratch, "cache")
            publish(key_path, self.key_file(key))
            publish(os.path.join(scratch, "repos", "slipway.repo"), self.render(key_path, key, None))
            dnf = self._dnf_of(scratch, cache)
            result = dnf.run(["--assumeyes", "makecache"])
            if result.rc != 0:
                output = result.stdout + result.stderr
                raise SlipwayError(explain_fetch(output) or complaints(output), **result.as_return_values())
            yield Fetched(dnf, lambda: self._keep(cache))

    @contextlib.contextmanager
    def _scratch(self) -> t.Iterator[str]:
        scratch = tempfile.mkdtemp(prefix="slipway-", dir="/tmp")
        try:
            make_folder(os.path.join(scratch, "repos"))
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _dnf_of(self, scratch: str, cache: str) -> Dnf:
        """dnf that knows nothing but the repository in ``scratch``, and reaches servers as the host's does."""
        settings = {
            "reposdir": os.path.join(scratch, "repos"),
            self._dnf.cache_option: cache,
            "logdir": scratch,
            "plugins": "0",
            "timeout": str(self._timeout),
            "retries": "1",
            "skip_if_unavailable": "0",
        }
        options = [*self._dnf.unhidden, *(f"--setopt={key}={settings[key]}" for key in settings)]
        return type(self._dnf)(self._dnf.runner, self._dnf.lock_timeout, self._dnf.root, options)

    def _keep(self, fetched: str) -> None:
        """Move the verified index to where dnf looks for it, so that nobody has to fetch it again."""
        cache = self._dnf.cache
        make_folder(cache)
        for path in glob.glob(os.path.join(glob.escape(fetched), f"{self.id}-*")):
            target = os.path.join(cache, os.path.basename(path))
            unfinished = f"{target}.slipway-new"
            for folder in (unfinished, target):
                shutil.rmtree(folder, ignore_errors=True)
            _copy(path, unfinished)
            os.rename(unfinished, target)


def _copy(source: str, target: str) -> None:
    """Copy a folder with its files, but without the sockets of gpg-agent, which dnf starts beside its keys.

    What SELinux knows of files is that of where they are, not of where they were.
    """
    make_folder(target, stat.S_IMODE(os.stat(source).st_mode))
    for entry in os.scandir(source):
        path = os.path.join(target, entry.name)
        if entry.is_dir(follow_symlinks=False):
            _copy(entry.path, path)
        elif entry.is_file(follow_symlinks=False):
            shutil.copyfile(entry.path, path)
