# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""apt and dpkg by their command-line tools and files; no python3-apt is needed on the machine.

Private to this collection.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import glob
import hashlib
import itertools
import os
import re
import shlex
import shutil
import tempfile
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import (
    make_folder,
    publish,
    read_exactly,
    read_text,
    replacing,
    sync_files,
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
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import url_shown

ENVIRONMENT = {
    "APT_LISTCHANGES_FRONTEND": "none",
    "DEBIAN_FRONTEND": "noninteractive",
    # Ubuntu's hook would restart services on its own after each installation.
    "NEEDRESTART_SUSPEND": "1",
}


def _order(character: str) -> int:
    """Weight of a character outside numbers: ``~`` sorts before the end of the text, letters before other signs."""
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256


def compare_parts(one: str, other: str) -> int:
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


# --- What the tools print -------------------------------------------------------------------------------------------


def parse_policy(text: str) -> t.Dict[str, Offer]:
    """The packages in the output of ``apt-cache policy NAME...``; names it does not know are absent."""
    found: t.Dict[str, Offer] = {}
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
            found[name] = Offer(candidate, tuple(versions))
    return {name: offer for name, offer in found.items() if offer.candidate or offer.versions}


DPKG_FORMAT = r"${Package}\t${Version}\t${Status}\n"
_STATES = {
    "installed": State.WHOLE,
    "triggers-awaited": State.WAITING,
    "triggers-pending": State.WAITING,
    "config-files": State.REMOVED,
    "not-installed": State.REMOVED,
}


def parse_dpkg_query(text: str) -> t.Dict[str, Installed]:
    """Packages in the output of ``dpkg-query --show --showformat DPKG_FORMAT``."""
    packages = {}
    for line in text.splitlines():
        name, version, status = line.split("\t")
        selection, flag, words = status.split()
        reinstall = flag == "reinstreq"
        state = State.BROKEN if reinstall else _STATES.get(words, State.BROKEN)
        packages[name] = Installed(version, selection == "hold", state, words, reinstall)
    return packages


def parse_simulation(text: str) -> t.Dict[str, t.Optional[str]]:
    """What ``apt-get --simulate`` would install (versions by names) or remove (``None``)."""
    steps = re.findall(r"^(Inst|Remv|Purg) ([^\s:]+)\S*(?: \[[^\]]+\])?(?: \((\S+))?", text, re.MULTILINE)
    return {name: (after or None) if action == "Inst" else None for action, name, after in steps}


_UPDATE = re.compile(r"^Inst (\S+) \[([^\]]+)\] \((\S+) ", re.MULTILINE)


def parse_upgrade(text: str) -> t.List[t.Tuple[str, str, str]]:
    """Name, version now and version then of the packages that ``apt-get --simulate upgrade`` would upgrade.

    Names have their architecture when it is not the machine's own. New packages, which have no version now, are left
    out.
    """
    return _UPDATE.findall(text)


def parse_archives(text: str) -> t.Set[str]:
    """Those sources in the output of ``apt-cache policy`` that are security archives, in its words.

    Debian's say so by their label or their suite, Ubuntu's and those of its paid services by their suite
    (``jammy-security``, ``jammy-infra-security``).
    """
    found = set()
    for source, said in re.findall(r"^ *-?\d+ (\S.*)\n +release (.*)$", text, re.MULTILINE):
        fields = dict(field.partition("=")[::2] for field in said.split(","))
        names = (fields.get("a", ""), fields.get("n", ""))
        if fields.get("l") == "Debian-Security" or any(name.endswith("-security") for name in names):
            found.add(source)
    return found


def parse_origins(text: str) -> t.Dict[str, t.List[t.Tuple[str, str]]]:
    """By name each version and a source of it, in the output of ``apt-cache policy NAME...``."""
    found: t.Dict[str, t.List[t.Tuple[str, str]]] = {}
    name, version = "", ""
    for line in text.splitlines():
        header = re.match(r"(\S+):$", line)
        source = re.match(r" {8} *-?\d+ (\S.*)$", line)
        row = re.match(r" (?:\*\*\*|   ) (\S+)", line)
        if header:
            name = header.group(1)
        elif source:
            found.setdefault(name, []).append((version, source.group(1)))
        elif row:
            version = row.group(1)
    return found


_KERNEL = re.compile(r"(\d\S*?)-([a-z][a-z0-9_-]*)")


def kernel_flavour(release: str) -> t.Tuple[str, str]:
    """Version and flavour of a kernel: ``6.1.0-28`` and ``cloud-amd64`` of ``6.1.0-28-cloud-amd64``.

    One that somebody has built has no flavour, and its version is all there is.
    """
    match = _KERNEL.fullmatch(release)
    return (match.group(1), match.group(2)) if match else (release, "")


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

#: Words of an ``apt-get update`` that has not brought all that it should.
_NOT_FETCHED = re.compile(
    r"^W: (Failed to fetch|Some index files failed to download|.*the previous index files will be used)", re.MULTILINE
)

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


#: Settings of apt by which it reaches servers otherwise than we do, for all servers or for one. Those of
#: certificates are CaInfo, CaPath, CrlFile, IssuerCert, SslCert, SslKey, Verify-Peer and Verify-Host.
_OWN_WAYS = re.compile(
    r"^Acquire::https?::(\S+::)?(Proxy\S*|Ca(Info|Path)|Ssl\w+|Verify-\w+|IssuerCert|CrlFile)(::\S+)? \"[^\"]+\"",
    re.MULTILINE | re.IGNORECASE,
)

#: What a folder of packages has that is nobody's repository ([trusted=yes]), as dpkg-scanpackages makes it.
_FLAT = ("Packages", "Packages.gz", "Packages.xz")


def index_urls(text: str) -> t.List[t.List[str]]:
    """What ``apt-get --print-uris update`` would fetch first of each source, as far as HTTP can ask for it.

    Not all repositories have what is asked for first, so what may stand in its place follows.
    """
    urls = dict.fromkeys(re.findall(r"^'(https?://[^']+/(?:InRelease|Release))'", text, re.MULTILINE))
    found = []
    for url in urls:
        folder = url.rpartition("/")[0]
        others = ("Release", *(_FLAT if "/dists/" not in url else ()))
        found.append(list(dict.fromkeys([url, *(f"{folder}/{name}" for name in others)])))
    return found


# --- The tools ------------------------------------------------------------------------------------------------------


class Apt(PackageManager):
    """apt and dpkg of this host.

    :param configuration: path of a further configuration file, which wins over the host's.
    """

    name, tool, systems, audit = "apt", "apt-get", "Debian and Ubuntu", "dpkg --audit"
    names = re.compile(r"[a-z0-9][a-z0-9+.-]+")

    def __init__(self, runner: Runner, lock_timeout: int = 120, root: str = "", configuration: str = "") -> None:
        super().__init__(runner, lock_timeout, root)
        self.lists = f"{root}/var/lib/apt/lists"
        self._status = f"{root}/var/lib/dpkg/status"
        self._options = ["-c", configuration] if configuration else []

    @classmethod
    def compare_parts(cls, one: str, other: str) -> int:
        return compare_parts(one, other)

    @classmethod
    def upstream_names(cls, upstream: str) -> t.Collection[str]:
        """Without the suffix of a repacked source, too: ``1.7.24`` for ``1.7.24~ds1``."""
        return (upstream, re.sub(r"[+~](ds|dfsg|repack)[\d.]*$", "", upstream))

    def run(self, tool: str, arguments: t.Sequence[str], stdin: t.Optional[str] = None) -> CommandResult:
        """Run a tool of apt or dpkg; wait for its locks; no failure is raised, look at ``rc``.

        :raises SlipwayError: when a lock is still held after ``lock_timeout`` seconds.
        """
        options = self._options if tool.startswith("apt-") else []
        wait = _waiting.Wait(self.lock_timeout, pause=1)
        while True:
            result = self.runner.run([tool, *options, *arguments], stdin=stdin, check=False, environment=ENVIRONMENT)
            if result.rc == 0 or not _LOCKED.search(result.stderr):
                return result
            if wait.is_over:
                raise SlipwayError(
                    f"Another process has been holding a lock of the package manager for {self.lock_timeout} s: "
                    f"{complaints(result.stderr)}",
                    **result.as_return_values(),
                )
            wait.sleep()

    def update(self) -> CommandResult:
        """Fetch the index of the package sources; no failure is raised, look at ``rc``."""
        return self.run("apt-get", ["--quiet", "update"])

    def refresh(self) -> str:
        """apt ends well when it could not reach a server, and goes on with the index of that source that it has.

        It leaves it to the kernel when files come to the disk. One that was cut short when power failed it goes on
        using, and fetches it again only when the server has a newer one.
        """
        result = self.update()
        sync_files(self.lists)
        output = result.stdout + result.stderr
        return complaints(output) if result.rc != 0 or _NOT_FETCHED.search(output) else ""

    def owner(self, path: str) -> t.Optional[str]:
        # /bin may be a link to /usr/bin, whichever of them the path and the package name.
        names = {re.sub(r"^(/usr)?/(s?bin/)", rf"{usr}/\2", path) for usr in ("", "/usr")}
        for file in sorted(glob.glob(f"{self.root}/var/lib/dpkg/info/*.list")):
            # Empty where dpkg is just removing the package.
            listed = f"\n{read_exactly(file)}"
            if any(f"\n{name}\n" in listed for name in names):
                return os.path.basename(file)[: -len(".list")].partition(":")[0]
        return ""

    def is_pristine(self, path: str) -> bool:
        known = re.search(rf"^ {re.escape(path)} ([0-9a-f]{{32}})\b", read_exactly(self._status), re.MULTILINE)
        try:
            with open(self.root + path, "rb") as stream:
                return known is not None and hashlib.md5(stream.read()).hexdigest() == known.group(1)
        except (OSError, ValueError):
            # Where MD5 is forbidden nothing can be compared, and the file is taken for somebody's.
            return False

    def versions(self, names: t.Collection[str]) -> t.Dict[str, str]:
        found, status = {}, f"\n{read_text(self._status)}"
        for name in names:
            _before, _name, rest = status.partition(f"\nPackage: {name}\n")
            entry = rest.partition("\n\n")[0]
            version = re.search(r"^Version: (\S+)$", entry, re.MULTILINE)
            if version and re.search(r"^Status: \S+ \S+ installed$", entry, re.MULTILINE):
                found[name] = version.group(1)
        return found

    def sources(self) -> t.Iterable[t.Tuple[str, str]]:
        return [(entry.path, entry.url) for entry in read_sources(self.root)]

    def installed(self) -> t.Dict[str, Installed]:
        argv = ["dpkg-query", "--show", "--showformat", DPKG_FORMAT]
        return parse_dpkg_query(self.runner.run(argv, failure="dpkg-query failed").stdout)

    def offered(self, names: t.Iterable[str]) -> t.Dict[str, Offer]:
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

    def known_names(self, beginning: str) -> t.List[str]:
        return self.run("apt-cache", ["pkgnames", beginning]).stdout.split()

    def index_age(self) -> float:
        """Each ``apt-get update`` writes into ``partial``; what a source copies into the lists does not count."""
        try:
            if not any(name.endswith("Release") for name in os.listdir(self.lists)):
                return float("inf")
            return max(0.0, time.time() - os.stat(os.path.join(self.lists, "partial")).st_mtime)
        except FileNotFoundError:
            return float("inf")

    def updates(self) -> Updates:
        """By what ``apt-get upgrade`` would do.

        What mends a hole cannot be told from the origins in that output: they are of the newest version alone, and what
        mends the hole may be a version below it, when an ordinary update of the package came after.
        """
        text = self._get(["--quiet", "--simulate", "--with-new-pkgs", "upgrade"])
        found = parse_upgrade(text)
        left = [
            *listed_packages(text, "The following packages have been kept back:"),
            # In the words of apt 3.0; with 2.6 these are among those that are kept back.
            *listed_packages(text, "The following upgrades have been deferred due to phasing:"),
        ]
        on_hold = {name for name, package in self.installed().items() if package.hold} if left else set()
        held = [name for name in left if name.partition(":")[0] in on_hold]
        safer = self._mends(found) if found else set()
        return Updates(
            tuple(Update(name, before, after, name in safer) for name, before, after in found),
            tuple(sorted(held)),
            tuple(sorted(set(left) - set(held))),
        )

    def _mends(self, found: t.Sequence[t.Tuple[str, str, str]]) -> t.Set[str]:
        """Those of these updates that bring a version of a security archive, or one that is newer than that."""
        archives = parse_archives(self.run("apt-cache", ["policy"]).stdout)
        if not archives:
            return set()
        origins = parse_origins(self.run("apt-cache", ["policy", *(name for name, _before, _after in found)]).stdout)
        return {
            name
            for name, before, after in found
            for version, source in origins.get(name, ())
            if source in archives
            and self.compare_versions(before, version) < 0
            and self.compare_versions(version, after) <= 0
        }

    def reboot_reasons(self) -> t.List[str]:
        """What packages have left in /run, and kernels that are newer than the one that runs.

        Debian's kernels leave nothing there unless unattended-upgrades or update-notifier is installed.
        """
        reasons: t.List[str] = []
        if os.path.exists(f"{self.root}/run/reboot-required"):
            packages = sorted(set(read_text(f"{self.root}/run/reboot-required.pkgs").split()))
            reasons += packages or ["/run/reboot-required"]
        kernel = self._newer_kernel()
        if kernel and not any(kernel in reason for reason in reasons):
            reasons.append(kernel)
        return reasons

    def _newer_kernel(self) -> str:
        """A kernel of the same flavour that is newer than the one that runs; empty when there is none."""
        running = os.uname()
        version, flavour = kernel_flavour(running.release)
        present = [os.path.basename(path)[len("vmlinuz-") :] for path in glob.glob(f"{self.root}/boot/vmlinuz-*")]
        if running.release not in present:
            return ""  # A container, or a machine whose kernel comes from elsewhere.
        others = [other for other, kind in map(kernel_flavour, present) if kind == flavour]
        newest = self.sort_versions([version, *others])[0]
        if newest != version:
            return f"linux-image-{newest}-{flavour}" if flavour else f"linux-image-{newest}"
        # The same name with another version in it: Debian's kernels say which package they were built as.
        built = re.search(r"\bDebian (\S+)", running.version)
        name = f"linux-image-{running.release}"
        installed = self.versions([name]).get(name, "")
        is_newer = bool(built and installed) and self.compare_versions(built.group(1) if built else "", installed) < 0
        return f"{name} {installed}" if is_newer else ""

    def indexes(self) -> t.List[t.List[str]]:
        printed = self.run("apt-get", ["--print-uris", "update"])
        own = _OWN_WAYS.search(self.run("apt-config", ["dump"]).stdout)
        folder = f"{self.root}/etc/apt"
        if printed.rc != 0 or own or glob.glob(f"{folder}/auth.conf.d/*") or read_text(f"{folder}/auth.conf"):
            return []
        return index_urls(printed.stdout)

    def repair(self) -> None:
        """What dpkg cannot finish (a package half unpacked, a missing dependency) apt does with --fix-broken."""
        self.run("dpkg", ["--force-confdef", "--force-confold", "--configure", "--pending"])

    def plan(self, transaction: Transaction) -> t.Dict[str, t.Optional[str]]:
        return parse_simulation(self._get(self.install_argv(transaction, simulate=True)))

    def install(self, transaction: Transaction) -> None:
        self._get(self.install_argv(transaction))

    def upgrade(self, versions: t.Mapping[str, str]) -> None:
        """apt takes each package that is named for one that somebody wants, whether it was before or not.

        A run that is killed between the two commands leaves it at that: nothing breaks, but ``autoremove`` will not
        find these packages any more.
        """
        automatic = self.run("apt-mark", ["showauto", *sorted(versions)]).stdout.split()
        try:
            self.install(Transaction(versions))
        finally:
            if automatic:
                self.run("apt-mark", ["auto", *automatic])

    def install_argv(self, transaction: Transaction, simulate: bool = False) -> t.List[str]:
        """Arguments for apt-get."""
        targets = transaction.targets
        words = [f"{name}={version}" if version else f"{name}-" for name, version in sorted(targets.items())]
        flags = [
            ("--simulate", simulate),
            ("--fix-broken", transaction.mend),
            # A package that dpkg was killed in has its version already, as far as apt is concerned.
            ("--reinstall", transaction.mend),
            ("--no-remove", None not in targets.values()),
            ("--allow-downgrades", transaction.downgrade),
            ("--allow-change-held-packages", transaction.change_held),
        ]
        return [
            "--quiet",
            "--assume-yes",
            "--no-install-recommends",
            *(flag for flag, on in flags if on),
            *("-o", "Dpkg::Use-Pty=0"),
            *("-o", f"DPkg::Lock::Timeout={self.lock_timeout}"),
            *("-o", "Dpkg::Options::=--force-confdef"),
            *("-o", "Dpkg::Options::=--force-confold"),
            "install",
            *words,
        ]

    def _get(self, arguments: t.Sequence[str]) -> str:
        """What apt-get prints.

        :raises Refused: when it fails.
        """
        result = self.run("apt-get", arguments)
        if result.rc == 0:
            return result.stdout
        reason = complaints(result.stderr if result.stderr.strip() else result.stdout)
        if result.rc < 0:
            reason = f"apt-get was killed by signal {-result.rc}. The next run finishes what it left."
        unmet = re.search(r"The following packages have unmet dependencies:\n((?: .*\n?)+)", result.stdout)
        if unmet:
            reason += "\n" + unmet.group(1).rstrip()
        is_removal = "Packages need to be removed but remove is disabled" in result.stderr
        removals = listed_packages(result.stdout, "The following packages will be REMOVED:") if is_removal else []
        # A dependency may be in a source that nobody has asked yet.
        said = result.stdout + result.stderr
        outdated = re.search(r"Unable to fetch|Failed to fetch|but it is not installable", said) is not None
        raise Refused(reason, result, removals, outdated)

    def hold(self, held: t.Sequence[str], released: t.Sequence[str]) -> None:
        """As apt-mark does it, but in one call."""
        selections = [*(f"{name} hold\n" for name in held), *(f"{name} install\n" for name in released)]
        result = self.run("dpkg", ["--set-selections"], stdin="".join(selections))
        if result.rc != 0:
            raise SlipwayError(
                f"The packages could not be put on hold or released: {complaints(result.stderr)}",
                **result.as_return_values(),
            )

    def source(self, repository: Repository, timeout: int) -> AptSource:
        return AptSource(self, repository, timeout)


# --- Package sources ------------------------------------------------------------------------------------------------

_NAME = re.compile(r"[A-Za-z0-9_.-]+\.(?:list|sources)")
_LINE = re.compile(r"(deb|deb-src)\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<rest>\S.*)")
#: What turns a paragraph off, by apt's StringToBool; anything else leaves it on.
_OFF = re.compile(r"no|false|without|off|disable|0+|0x0+", re.IGNORECASE)
#: Options of lines by the fields that they are in a file of paragraphs.
_FIELDS = {"arch": "architectures", "lang": "languages", "target": "targets"}


@dataclasses.dataclass(frozen=True)
class Entry:
    """One repository in one file, for packages that can be installed."""

    path: str
    url: str
    suite: str
    components: t.Tuple[str, ...]
    options: t.Mapping[str, str]
    """What else is said about it, by the names of fields in lower case: ``signed-by``, ``architectures``, ..."""


def read_sources(root: str = "") -> t.List[Entry]:
    """The sources that are enabled, in the order of their files. What apt would refuse is left out."""
    main, folder = f"{root}/etc/apt/sources.list", f"{root}/etc/apt/sources.list.d"
    try:
        names = sorted(name for name in os.listdir(folder) if _NAME.fullmatch(name))
    except OSError:
        names = []
    found: t.List[Entry] = []
    for path in [main, *(os.path.join(folder, name) for name in names)]:
        text = read_text(path)
        found += _paragraphs(path, text) if path.endswith(".sources") else _lines(path, text)
    return found


#: What another entry for the repository may say besides where it is.
_UNDERSTOOD = {"signed-by", "architectures"}


def _words(value: t.Any) -> t.Tuple[str, ...]:
    """The words of a setting: a list, or a text with commas."""
    return tuple(value.split(",") if isinstance(value, str) else map(str, value or ()))


def _lines(path: str, text: str) -> t.Iterator[Entry]:
    for line in text.splitlines():
        match = _LINE.fullmatch(line.partition("#")[0].strip())
        words = match["rest"].split() if match else []
        if match is None or match[1] != "deb" or len(words) < len(("url", "suite")):
            continue
        try:
            pairs = [word.partition("=") for word in shlex.split(match["options"] or "")]
        except ValueError:
            continue
        options = {_FIELDS.get(key.lower(), key.lower()): value.replace(",", " ") for key, _equals, value in pairs}
        yield Entry(path, words[0], words[1], tuple(words[2:]), options)


def _paragraphs(path: str, text: str) -> t.Iterator[Entry]:
    for paragraph in re.split(r"\n[ \t]*\n", text):
        fields: t.Dict[str, str] = {}
        name = ""
        for line in paragraph.splitlines():
            if line.startswith("#"):
                continue
            key, colon, value = line.partition(":")
            if line[:1] in (" ", "\t"):
                fields[name] = f"{fields.get(name, '')}\n{line.strip()}"
            elif colon:
                name = key.strip().lower()
                fields[name] = value.strip()
        if "deb" not in fields.pop("types", "").split() or _OFF.fullmatch(fields.pop("enabled", "yes")):
            continue
        urls, suites = fields.pop("uris", "").split(), fields.pop("suites", "").split()
        components = tuple(fields.pop("components", "").split())
        for url in urls:
            for suite in suites:
                yield Entry(path, url, suite, components, fields)


def scratch_configuration(scratch: str, lists: str, timeout: int) -> str:
    """Configuration that makes apt use nothing but the sources in ``scratch`` and the index in ``lists``.

    Hooks of the host are cleared; a failed download is an error even when it may be temporary.
    """
    settings = {
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": f"{scratch}/sources",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State::lists": lists,
        "Dir::State::status": "/dev/null",
        "Dir::Cache": f"{scratch}/cache",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "APT::Update::Error-Mode": "any",
        "APT::Get::List-Cleanup": "false",
        "Acquire::Retries": "1",
        "Acquire::http::Timeout": str(timeout),
        "Acquire::https::Timeout": str(timeout),
    }
    cleared = ("Pre-Invoke", "Post-Invoke", "Post-Invoke-Success")
    return "".join(
        [
            *(f"#clear APT::Update::{hook};\n" for hook in cleared),
            *(f'{name} "{value}";\n' for name, value in settings.items()),
        ]
    )


def lock_file(file: t.TextIO, seconds: float) -> bool:
    """Lock ``file`` as apt does; whether it came free within ``seconds``."""
    wait = _waiting.Wait(seconds, pause=0.2)
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            if wait.is_over:
                return False
            wait.sleep()


class AptSource(PackageSource):
    """A repository for apt, by sources.list(5)."""

    settings = ("suite", "components", "architectures")
    schemes = ("http", "https", "file", "mirror+http", "mirror+https", "mirror+file")
    logins = "Put them into a file in /etc/apt/auth.conf.d/ (mode 0600), see apt_auth.conf(5)."

    def __init__(self, manager: Apt, repository: Repository, timeout: int = 30) -> None:
        self._apt, self._timeout = manager, timeout
        self._folder = f"{manager.root}/etc/apt/sources.list.d"
        stem = f"slipway-{repository.name}"
        key_path = f"{manager.root}/etc/apt/keyrings/{stem}.gpg"
        super().__init__(manager, repository, f"{self._folder}/{stem}.sources", key_path)
        # Where versions before 0.2 wrote keys as they were fetched.
        self.former = (key_path[: -len("gpg")] + "asc",)
        self.suite = str(repository.settings.get("suite", "/"))
        self.components = _words(repository.settings.get("components"))
        self.architectures = _words(repository.settings.get("architectures"))

    def check(self) -> None:
        super().check()
        words = [self.repository.url, self.suite, *self.components, *self.architectures]
        if any(re.search(r"\s", word) or not word for word in words):
            raise SlipwayError("url, suite, components, architectures: none may be empty or have a space in it.")
        if self.suite.endswith("/") and self.components:
            raise SlipwayError(f"components: the repository is flat (suite {self.suite}) and has none.")
        if not self.suite.endswith("/") and not self.components:
            raise SlipwayError(f"components: the suite {self.suite} needs at least one, for example main.")

    @property
    def shown(self) -> str:
        return f"{super().shown} (suite {self.suite})"

    def render(self, key_path: str, key: bytes, key_url: t.Optional[str]) -> bytes:
        """In the deb822 style of sources.list(5)."""
        origin = f" from {url_shown(key_url)}" if key_url else ""
        fields = [
            ("Types", "deb"),
            ("URIs", self.repository.url),
            ("Suites", self.suite),
            ("Components", " ".join(self.components)),
            ("Architectures", " ".join(self.architectures)),
            ("Signed-By", key_path),
        ]
        lines = [
            "# Ansible managed: slipway.kubernetes.package_source",
            f"# Key: sha256:{hashlib.sha256(key).hexdigest()}{origin}",
            *(f"{field}: {value}" for field, value in fields if value),
        ]
        return ("\n".join(lines) + "\n").encode()

    def neighbours(self) -> t.List[Neighbour]:
        found = []
        for entry in read_sources(self._apt.root):
            if entry.path != self.path and same_url(entry.url, self.repository.url):
                key_path = entry.options.get("signed-by", "").strip()
                is_one = os.path.isabs(key_path) and "\n" not in key_path
                found.append(Neighbour(entry.path, key_path if is_one else "", self._is_equal(entry)))
        return found

    def _is_equal(self, entry: Entry) -> bool:
        architectures = entry.options.get("architectures", "").split()
        if entry.suite != self.suite or set(entry.options) - _UNDERSTOOD:
            return False
        if set(self.components) - set(entry.components):
            return False
        if not architectures:
            return True
        # That of the packages, which is not always the kernel's.
        own = self.architectures or self._apt.runner.run(["dpkg", "--print-architecture"]).stdout.split()
        return not set(own) - set(architectures)

    def expect_agreement(self, content: bytes) -> None:
        with self._scratch() as scratch:
            directory = os.path.join(scratch, "sources")
            others = [os.path.join(self._folder, name) for name in sorted(os.listdir(self._folder))]
            others = [path for path in others if path != self.path and os.path.isfile(path)]
            for path in others:
                os.symlink(path, os.path.join(directory, os.path.basename(path)))
            publish(os.path.join(directory, os.path.basename(self.path)), content)
            arguments = ["-o", "Dir::Etc::sourcelist=sources.list", "indextargets"]
            result = self._apt_of(scratch).run("apt-get", arguments)
        if "Conflicting values set for option" in result.stderr:
            address = self.repository.url.rstrip("/")
            same = [path for path in [*others, self._folder[: -len(".d")]] if address in read_text(path)]
            raise SlipwayError(
                f"The repository {url_shown(self.repository.url)} is set up already with other settings in "
                f"{', '.join(same) or 'another file'}: remove that entry. Nothing was changed. "
                f"{complaints(result.stderr)}",
                **result.as_return_values(),
            )

    def known(self, content: bytes, names: t.Collection[str]) -> t.Dict[str, Offer]:
        if not names:
            return {}
        with self._scratch(self._apt.lists) as scratch:
            publish(os.path.join(scratch, "sources", "slipway.sources"), content)
            return self._apt_of(scratch).offered(names)

    @contextlib.contextmanager
    def fetched(self, key: bytes) -> t.Iterator[Fetched]:
        with self._scratch() as scratch:
            key_path = os.path.join(scratch, os.path.basename(self.key_path))
            publish(key_path, key)
            publish(os.path.join(scratch, "sources", "slipway.sources"), self.render(key_path, key, None))
            apt = self._apt_of(scratch)
            update = apt.update()
            output = update.stdout + update.stderr
            reason = explain_update(output)
            if update.rc != 0 or reason:
                raise SlipwayError(reason or complaints(output), **update.as_return_values())
            yield Fetched(apt, lambda: self._keep(os.path.join(scratch, "lists")))

    @contextlib.contextmanager
    def _scratch(self, lists: str = "") -> t.Iterator[str]:
        """A directory for apt, whose unprivileged helpers can read it; with an index of its own unless given one."""
        scratch = tempfile.mkdtemp(prefix="slipway-", dir="/tmp")
        try:
            os.chmod(scratch, 0o755)
            for name in ("sources", "lists/partial", "cache"):
                make_folder(os.path.join(scratch, name))
            configuration = scratch_configuration(scratch, lists or os.path.join(scratch, "lists"), self._timeout)
            publish(os.path.join(scratch, "apt.conf"), configuration.encode())
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _apt_of(self, scratch: str) -> Apt:
        return Apt(self._apt.runner, configuration=os.path.join(scratch, "apt.conf"))

    def _keep(self, fetched: str) -> None:
        """Copy the verified index to where apt looks for it, so that nobody has to fetch it again."""
        lists = self._apt.lists
        make_folder(lists)
        with open(os.path.join(lists, "lock"), "a", encoding="utf-8") as lock:
            if not lock_file(lock, self._timeout):
                return  # Another update goes on and on; package_set fetches what is missing.
            for name in sorted(os.listdir(fetched)):
                path = os.path.join(fetched, name)
                if name != "lock" and os.path.isfile(path):
                    target = os.path.join(lists, name)
                    with open(path, "rb") as source, replacing(target, 0o644) as file:
                        shutil.copyfileobj(source, file)
                    # apt asks the mirror for what is newer.
                    os.utime(target, (time.time(), os.stat(path).st_mtime))
