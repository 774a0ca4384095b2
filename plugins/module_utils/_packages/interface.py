# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules ask of a package manager, and what one of its repositories is. Private to this collection."""

from __future__ import annotations

import dataclasses
import difflib
import enum
import fnmatch
import functools
import itertools
import os
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import url_shown
from ansible_collections.slipway.kubernetes.plugins.module_utils._urls import split_url


def same_url(one: str, other: str) -> bool:
    """Whether two URLs are of the same repository."""
    return one.rstrip("/") == other.rstrip("/")


def is_ours(path: str) -> bool:
    """Whether a file of package sources is one that this collection has written."""
    return os.path.basename(path).startswith("slipway-")


class State(enum.Enum):
    """How far a package is installed."""

    WHOLE = enum.auto()
    WAITING = enum.auto()
    """Installed, but other packages have still to take notice of it."""
    BROKEN = enum.auto()
    """An installation or removal has not been finished."""
    REMOVED = enum.auto()
    """Only its configuration is left, or a wish about it."""


class Installed(t.NamedTuple):
    """A package that the package manager has a record of."""

    version: str
    hold: bool = False
    state: State = State.WHOLE
    words: str = "installed"
    """The state, as the package manager calls it."""
    reinstall: bool = False
    """Nothing can be installed unless this package is installed once more."""

    @property
    def present(self) -> bool:
        """Whether the package is installed and whole."""
        return self.state is State.WHOLE

    @property
    def broken(self) -> bool:
        """Whether an installation or removal has not been finished."""
        return self.state in (State.WAITING, State.BROKEN)


class Offer(t.NamedTuple):
    """What the package sources have of a package."""

    candidate: t.Optional[str]
    """What is installed when no version is asked for; none when the machine's settings forbid all."""
    versions: t.Tuple[str, ...]
    """A version that is only installed is not among them."""


@dataclasses.dataclass(frozen=True)
class Transaction:
    """What is to be done at once."""

    targets: t.Mapping[str, t.Optional[str]]
    """Exact versions by the names of packages; ``None`` removes."""
    downgrade: bool = False
    """Older versions may take the place of newer ones."""
    change_held: bool = False
    """Packages on hold may change."""
    mend: bool = False
    """An earlier transaction was interrupted; what it left is done again."""


class Update(t.NamedTuple):
    """What an ordinary upgrade of the system would do to an installed package."""

    name: str
    """As it can be named in a transaction."""
    before: str
    after: str
    security: bool = False
    """Whether one of the versions that are newer than the installed one, up to ``after``, mends a hole, by what the
    distribution says of it."""


class Updates(t.NamedTuple):
    """What an ordinary upgrade of the system would bring, and what it would leave alone."""

    brought: t.Tuple[Update, ...] = ()
    held: t.Tuple[str, ...] = ()
    """Names of packages on hold of which there is a newer version."""
    kept_back: t.Tuple[str, ...] = ()
    """Names of packages of which there is one, too, that an upgrade leaves alone for another reason: it is not given to
    all machines yet, or others would have to go."""


class Refused(SlipwayError):
    """A transaction that the package manager did not carry out.

    :param removals: other packages that would have to go.
    :param outdated: its index names files that servers have replaced since.
    """

    def __init__(
        self, reason: str, result: CommandResult, removals: t.Sequence[str] = (), outdated: bool = False
    ) -> None:
        super().__init__(reason, **result.as_return_values())
        self.removals, self.outdated = removals, outdated


class PackageManager:
    """The package manager of a machine. This class stands for one that is not known, of which nothing is known.

    :param lock_timeout: seconds to wait while another process has the package manager locked.
    :param root: the machine's root folder, another one in tests.
    """

    #: What it is called in facts.
    name = ""
    #: The program that tells whether a machine has this package manager.
    tool = ""
    #: Where it is at home, for messages.
    systems = ""
    #: The command that shows what is wrong with the packages of a machine.
    audit = ""
    #: What the name of a package looks like.
    names: t.Pattern[str] = re.compile(r"\S+")

    def __init__(self, runner: Runner, lock_timeout: int = 120, root: str = "") -> None:
        self.runner, self.lock_timeout, self.root = runner, lock_timeout, root

    # --- Versions: epoch:upstream-revision ---

    @classmethod
    def compare_parts(cls, one: str, other: str) -> int:
        """Negative, zero or positive as one upstream version or revision is older than, equal to or newer than another.

        It is what package managers disagree about.
        """
        raise NotImplementedError

    @classmethod
    def upstream_names(cls, upstream: str) -> t.Collection[str]:
        """What people call the upstream version of a package."""
        return (upstream,)

    @staticmethod
    def split_version(version: str) -> t.Tuple[int, str, str]:
        """Epoch, upstream version and revision of a packaged version."""
        epoch, colon, rest = version.partition(":")
        if not colon or not epoch.isdigit():
            epoch, rest = "0", version
        upstream, _dash, revision = rest.rpartition("-")
        return (int(epoch), upstream, revision) if upstream else (int(epoch), revision, "")

    @classmethod
    def compare_versions(cls, one: str, other: str) -> int:
        """Negative, zero or positive as version ``one`` is older than, equal to or newer than ``other``."""
        left, right = cls.split_version(one), cls.split_version(other)
        return left[0] - right[0] or cls.compare_parts(left[1], right[1]) or cls.compare_parts(left[2], right[2])

    @classmethod
    def sort_versions(cls, versions: t.Iterable[str]) -> t.List[str]:
        """``versions`` without duplicates, newest first."""
        return sorted(set(versions), key=functools.cmp_to_key(cls.compare_versions), reverse=True)

    @classmethod
    def version_matches(cls, wanted: t.Optional[str], version: str) -> bool:
        """Whether the packaged ``version`` is what ``wanted`` means.

        ``wanted`` is the whole version, the upstream version (``1.37.1`` for ``1.37.1-1.1``), a shell pattern, or empty
        for any. The epoch may be left out.
        """
        without_epoch = re.sub(r"^\d+:", "", version)
        if not wanted or wanted in (version, without_epoch):
            return True
        if any(sign in wanted for sign in "*?["):
            return any(fnmatch.fnmatchcase(text, wanted) for text in (version, without_epoch))
        epoch, upstream, _revision = cls.split_version(version)
        prefix = f"{epoch}:"
        if epoch and wanted.startswith(prefix):
            wanted = wanted[len(prefix) :]
        return wanted in cls.upstream_names(upstream)

    @classmethod
    def find_version(cls, wanted: t.Optional[str], versions: t.Iterable[str]) -> t.Optional[str]:
        """The newest of ``versions`` that ``wanted`` means."""
        return next((version for version in cls.sort_versions(versions) if cls.version_matches(wanted, version)), None)

    @classmethod
    def nearest_versions(cls, wanted: str, versions: t.Iterable[str], count: int = 5) -> t.List[str]:
        """At most ``count`` of ``versions``, those that share the longest beginning with ``wanted`` first."""

        def shared(version: str) -> int:
            pairs = zip(re.findall(r"\d+", wanted), re.findall(r"\d+", cls.split_version(version)[1]))
            return sum(1 for _pair in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))

        return sorted(cls.sort_versions(versions), key=shared, reverse=True)[:count]

    # --- What the machine has; nothing is known of one whose package manager is not ---

    def owner(self, path: str) -> t.Optional[str]:
        """The package that a file is part of; empty when it is part of none, ``None`` when that is not known."""
        return None

    def is_pristine(self, path: str) -> bool:
        """Whether a configuration file is what its package has brought, and nobody has changed it."""
        return False

    def versions(self, names: t.Collection[str]) -> t.Dict[str, str]:
        """Versions of those of the packages that are installed."""
        return {}

    def sources(self) -> t.Iterable[t.Tuple[str, str]]:
        """Path and URL of each package source that is turned on."""
        return ()

    def sources_of_others(self) -> t.List[t.Dict[str, str]]:
        """Files and URLs of the sources that this collection has not written."""
        found = {(path, url_shown(url)) for path, url in self.sources() if not is_ours(path)}
        return [{"path": path, "url": url} for path, url in sorted(found)]

    # --- What can be installed ---

    def installed(self) -> t.Dict[str, Installed]:
        """All packages that the package manager has a record of."""
        raise NotImplementedError

    def offered(self, names: t.Iterable[str]) -> t.Dict[str, Offer]:
        """What the package sources offer of ``names``; unknown names are absent.

        :raises SlipwayError: when the sources cannot be read, so that no package at all would be known.
        """
        raise NotImplementedError

    def known_names(self, beginning: str) -> t.List[str]:
        """The names of packages that begin so."""
        raise NotImplementedError

    def updates(self) -> Updates:
        """What an ordinary upgrade of the system would bring, by the index that the machine has.

        Ordinary is what the distribution documents for running systems: the newest versions of all sources that are
        turned on, with packages that these newly need, without removing any. What is on hold (see ``Installed.hold``),
        what the machine's settings forbid, and what is given to a part of all machines so far stays as it is.
        Versions that a hold hides are ``held``.

        :raises Refused: when the package manager cannot say it.
        """
        raise SlipwayError(
            f"Updates of the distribution are not supported with {self.name} yet: update by its own means."
        )

    def reboot_reasons(self) -> t.List[str]:
        """Why the machine has to be started anew so that what is installed is what runs; empty when it has not.

        Nothing is said of a machine whose kernel does not come from its own packages, such as a container.
        """
        raise NotImplementedError

    def index_age(self) -> float:
        """Seconds since the package index was fetched; 0 when the package manager sees to its age by itself."""
        return 0.0

    def indexes(self) -> t.List[t.List[str]]:
        """Of each source that is asked over HTTP the URLs of which one has to be there, the first one first.

        None, when the package manager has ways of its own to servers: proxies, certificates, logins.
        """
        return []

    def explain_missing(self, name: str, wanted: t.Optional[str], offer: t.Optional[Offer]) -> str:
        """Why ``wanted`` of package ``name`` cannot be had, with what is available instead."""
        if offer is None:
            similar = difflib.get_close_matches(name, self.known_names(name[:2]), n=5, cutoff=0.7)
            hint = f"; similar names are {', '.join(similar)}" if similar else ""
            return f"package {name} is unknown{hint}"
        versions = ", ".join(self.nearest_versions(wanted or "", offer.versions)) or "none"
        if not wanted:
            return f"{name} has no candidate, since a pin of this host forbids its versions; available are {versions}"
        return f"{name} has no version {wanted}; available are {versions}"

    # --- What changes the machine ---

    def refresh(self) -> str:
        """Fetch the package index; what went wrong, or nothing.

        It went wrong when one source keeps the index that it had, too.
        """
        raise NotImplementedError

    def repair(self) -> None:
        """Finish what an interrupted transaction has left, as far as that is possible without the archives."""
        raise NotImplementedError

    def plan(self, transaction: Transaction) -> t.Dict[str, t.Optional[str]]:
        """What would change: versions by names (``None``: removed), with those of other packages.

        :raises Refused: when the package manager cannot do it.
        """
        raise NotImplementedError

    def install(self, transaction: Transaction) -> None:
        """Carry the transaction out. No package is removed unless the transaction removes one.

        :raises Refused: when the package manager does not.
        """
        raise NotImplementedError

    def plan_upgrade(self, versions: t.Mapping[str, str]) -> t.Dict[str, t.Optional[str]]:
        """What ``upgrade`` would change, as ``plan`` says it.

        :raises Refused: when the package manager cannot do it.
        """
        return self.plan(Transaction(versions))

    def upgrade(self, versions: t.Mapping[str, str]) -> None:
        """Bring installed packages to exactly these versions, which are newer, as ``install`` would.

        Whether a package was asked for or is there because another needs it stays as it is: what nobody needs any more
        is found by that.

        :raises Refused: when the package manager does not.
        """
        raise NotImplementedError

    def hold(self, held: t.Sequence[str], released: t.Sequence[str]) -> None:
        """Put packages on hold, and release others.

        :raises SlipwayError: when that is refused.
        """
        raise NotImplementedError

    def source(self, repository: Repository, timeout: int) -> PackageSource:
        """A repository for this package manager.

        :param timeout: seconds to wait for a server.
        """
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Repository:
    """A repository as the user asked for it."""

    name: str
    url: str = ""
    settings: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    """What else there is to say, in the words of the package manager."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.name):
            raise SlipwayError(f"name: {self.name!r} cannot be part of a file name (letters, digits, '-', '_', '.').")


class Neighbour(t.NamedTuple):
    """Another file that names the same repository."""

    path: str
    key_path: str
    """The one file of keys that it names; empty when it names none, or several."""
    is_equal: bool
    """Whether it says of the repository what ours would say, and nothing that ours would not."""


class Fetched(t.NamedTuple):
    """The verified index of a repository, on its own."""

    manager: PackageManager
    """It knows no other source."""
    keep: t.Callable[[], None]
    """Puts the index to where the machine's package manager takes it from."""


class PackageSource:
    """One repository in a file of ours, which the package manager reads beside those of others."""

    #: The names of the settings.
    settings: t.Collection[str] = ()
    #: URLs that the package manager can use begin so.
    schemes: t.Collection[str] = ("http", "https", "file")
    #: Where users and passwords of repositories belong.
    logins = ""

    def __init__(self, manager: PackageManager, repository: Repository, path: str, key_path: str) -> None:
        self.manager, self.repository = manager, repository
        self.path, self.key_path = path, key_path
        #: Files that earlier versions wrote instead.
        self.former: t.Tuple[str, ...] = ()

    def check(self) -> None:
        """Refuse what the package manager would misread.

        :raises SlipwayError: with the option's name and how to mend it.
        """
        url = self.repository.url
        try:
            parts = split_url(url)
        except ValueError as error:
            raise SlipwayError(f"url: '{url_shown(url)}' is malformed.") from error
        if parts.scheme not in self.schemes:
            raise SlipwayError(f"url: '{url_shown(url)}' is not the URL of a repository, such as https://host/path/.")
        if "@" in parts.netloc:
            raise SlipwayError(
                "url: it holds a user or password, which everybody on the host could read. " + self.logins
            )
        unknown = sorted(set(self.repository.settings) - set(self.settings))
        if unknown:
            raise SlipwayError(
                f"settings: {', '.join(unknown)} cannot be said of a repository here; known are "
                f"{', '.join(self.settings) or 'none'}."
            )

    @property
    def shown(self) -> str:
        """What the repository is called in messages."""
        return url_shown(self.repository.url)

    def key_file(self, key: bytes) -> bytes:
        """What the file of keys has in it, of keys in their binary form."""
        return key

    def render(self, key_path: str, key: bytes, key_url: t.Optional[str]) -> bytes:
        """What the file has in it.

        A comment ties it to the content of the key and to where that came from, so that a later run knows without
        network whether both are as asked.
        """
        raise NotImplementedError

    def neighbours(self) -> t.List[Neighbour]:
        """Other files that name the same repository."""
        raise NotImplementedError

    def expect_agreement(self, content: bytes) -> None:
        """Refuse a file that contradicts another one, where the package manager would do nothing from then on.

        :raises SlipwayError: with the files that name the same repository.
        """

    def known(self, content: bytes, names: t.Collection[str]) -> t.Dict[str, Offer]:
        """What the index that the machine has offers of this source alone. Nothing is fetched."""
        raise NotImplementedError

    def fetched(self, key: bytes) -> t.ContextManager[Fetched]:
        """The index of the repository, fetched into a folder of its own and verified.

        :raises SlipwayError: with nothing but what is wrong with the repository.
        """
        raise NotImplementedError
