#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: package_source
short_description: Set up a package repository that has been verified first
version_added: 0.1.0
author: slipway.kubernetes contributors (@slipway)
description:
  - Sets up one package repository with its signing key, in one call.
  - The host's package manager first fetches the index of the repository into a scratch directory, checks its signature
    against the given key, and looks for the wanted versions. A repository that cannot be reached, that another key
    has signed, whose key has expired, or that lacks a version is an error, and nothing on the host has changed.
  - The fetched index is kept, so that packages can be installed without fetching it again.
  - Where another file of the host names the same repository already, with a file of keys that may be used, that entry
    serves, and no second one is written, which apt would refuse. With other keys or options it is an error.
  - Only apt is supported. It needs neither gpg nor python3-apt on the host.
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details:
      - The repository is verified in check mode, too, which makes the module useful ahead of an installation.
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - Nothing is fetched when source and key are as asked and the wanted versions are in the index.
options:
  name:
    description:
      - Names the files C(/etc/apt/sources.list.d/slipway-<name>.sources) and C(/etc/apt/keyrings/slipway-<name>.gpg).
    type: str
    required: true
  state:
    description:
      - V(absent) removes source, key and the fetched index; packages stay installed.
    type: str
    choices: [present, absent]
    default: present
  url:
    description:
      - Base URL of the repository, without user and password (those belong in C(/etc/apt/auth.conf.d/)).
      - Required when O(state=present).
    type: str
  suite:
    description:
      - Name of the distribution or suite; V(/) or another path with a slash at its end for a flat repository.
    type: str
    default: /
  components:
    description:
      - Components of the suite, for example V(main). Needed unless the repository is flat.
    type: list
    elements: str
    default: []
  architectures:
    description:
      - Architectures to use; those of the host when empty.
    type: list
    elements: str
    default: []
  key:
    description:
      - URL of the repository's public key, ASCII-armoured or binary.
      - It is fetched when there is no key yet, and again whenever the repository has to be verified again.
      - One of O(key) and O(key_content) is required when O(state=present).
    type: str
  key_content:
    description:
      - The ASCII-armoured public key itself.
    type: str
  key_fingerprints:
    description:
      - Fingerprints of the primary keys that may be in the key file. Another key is refused.
      - Spaces and upper or lower case do not matter. Any key is taken when empty.
    type: list
    elements: str
    default: []
  packages:
    description:
      - Packages that the repository must have, as a dictionary of name and version.
      - A version is the whole one (V(1.37.1-1.1)), the upstream version (V(1.37.1)), a shell pattern (V(1.37.*)), or
        empty for any.
    type: dict
    default: {}
  validate:
    description:
      - Verify the repository before anything is written. When V(false), only the files are written, and the index has
        to be fetched by who installs packages.
    type: bool
    default: true
  timeout:
    description:
      - Seconds to wait for a server to accept a connection or to send data.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Set up the Kubernetes repository, which has to have the version to be installed
  slipway.kubernetes.package_source:
    name: kubernetes
    url: "{{ kubernetes_repository | default('https://pkgs.k8s.io/core:/stable:/v1.37/deb/') }}"
    key: "{{ kubernetes_key | default('https://pkgs.k8s.io/core:/stable:/v1.37/deb/Release.key') }}"
    packages:
      kubeadm: 1.37.1
      kubelet: 1.37.1
      kubectl: 1.37.1

- name: Verify a repository without any change to the host
  slipway.kubernetes.package_source:
    name: docker
    url: "{{ docker_repository | default('https://download.docker.com/linux/debian') }}"
    suite: bookworm
    components: [stable]
    key: "{{ docker_repository | default('https://download.docker.com/linux/debian') }}/gpg"
    key_fingerprints: "{{ docker_key_fingerprints | default(['9DC8 5822 9FC7 DD38 854A  E2D8 8D81 803C 0EBF CD88']) }}"
    packages:
      containerd.io: 2.*
  check_mode: true

- name: Remove a repository
  slipway.kubernetes.package_source:
    name: docker
    state: absent
"""

RETURN = r"""
source_path:
  description: Path of the file that describes the source.
  returned: success
  type: str
  sample: /etc/apt/sources.list.d/slipway-kubernetes.sources
key_path:
  description: Path of the key.
  returned: when O(state=present)
  type: str
  sample: /etc/apt/keyrings/slipway-kubernetes.gpg
key_fingerprints:
  description: Fingerprints of the primary keys in the key file.
  returned: when O(state=present)
  type: list
  elements: str
  sample: [DE15B14486CD377B9E876E1A234654DA9A296436]
versions:
  description: The newest version of each of O(packages) that is what was asked for.
  returned: when O(state=present) and O(validate=true)
  type: dict
  sample: {"kubeadm": "1.37.1-1.1"}
available:
  description: All versions of each of O(packages) that the repository has, newest first.
  returned: when O(state=present) and O(validate=true)
  type: dict
  sample: {"kubeadm": ["1.37.1-1.1", "1.37.0-1.1"]}
index_refreshed:
  description: Whether the repository was fetched and verified in this call.
  returned: success
  type: bool
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
import time
import typing as t

from ansible.module_utils.urls import fetch_url
from ansible_collections.slipway.kubernetes.plugins.module_utils._apt import (
    LISTS,
    Apt,
    complaints,
    explain_update,
    find_version,
    sort_versions,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._apt_sources import (
    FOLDER,
    MAIN,
    PackageSource,
    read_sources,
    same_url,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import (
    Runner,
    SlipwayError,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import is_public, make_folder, replacing
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._openpgp import (
    OpenPgpError,
    keyring,
    normalise_fingerprint,
    public_keys,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import url_shown
from ansible_collections.slipway.kubernetes.plugins.module_utils._urls import split_url

ARGUMENTS: t.Dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "url": {"type": "str"},
    "suite": {"type": "str", "default": "/"},
    "components": {"type": "list", "elements": "str", "default": []},
    "architectures": {"type": "list", "elements": "str", "default": []},
    "key": {"type": "str", "no_log": False},
    "key_content": {"type": "str", "no_log": False},
    "key_fingerprints": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "packages": {"type": "dict", "default": {}},
    "validate": {"type": "bool", "default": True},
    "timeout": {"type": "int", "default": 30},
}

KEYRINGS = "/etc/apt/keyrings"
#: What another entry for the repository may say besides where it is.
UNDERSTOOD = {"signed-by", "architectures"}


@dataclasses.dataclass(frozen=True)
class Source:
    """A repository as the user asked for it."""

    name: str
    url: str = ""
    suite: str = "/"
    components: t.Tuple[str, ...] = ()
    architectures: t.Tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.name):
            raise SlipwayError(f"name: {self.name!r} cannot be part of a file name (letters, digits, '-', '_', '.').")

    def check(self) -> None:
        """Refuse what apt would misread.

        :raises SlipwayError: with the option's name and how to mend it.
        """
        try:
            parts = split_url(self.url)
        except ValueError as error:
            raise SlipwayError(f"url: '{url_shown(self.url)}' is malformed.") from error
        if parts.scheme not in ("http", "https", "file", "mirror+http", "mirror+https", "mirror+file"):
            raise SlipwayError(
                f"url: '{url_shown(self.url)}' is not the URL of a repository, such as https://host/path/."
            )
        if "@" in parts.netloc:
            raise SlipwayError(
                "url: it holds a user or password, which everybody on the host could read. "
                "Put them into a file in /etc/apt/auth.conf.d/ (mode 0600), see apt_auth.conf(5)."
            )
        words = [self.url, self.suite, *self.components, *self.architectures]
        if any(re.search(r"\s", word) or not word for word in words):
            raise SlipwayError("url, suite, components, architectures: none may be empty or have a space in it.")
        if self.suite.endswith("/") and self.components:
            raise SlipwayError(f"components: the repository is flat (suite {self.suite}) and has none.")
        if not self.suite.endswith("/") and not self.components:
            raise SlipwayError(f"components: the suite {self.suite} needs at least one, for example main.")

    def render(self, key_path: str, key: bytes, key_url: t.Optional[str]) -> str:
        """The source in the format of sources.list(5), deb822 style.

        The comment ties the file to the content of the key and to where it came from, so that a later run knows
        without network whether both are as asked.
        """
        origin = f" from {url_shown(key_url)}" if key_url else ""
        fields = [
            ("Types", "deb"),
            ("URIs", self.url),
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
        return "\n".join(lines) + "\n"


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


def read(path: str) -> t.Optional[bytes]:
    """Content of the file; ``None`` when it is absent."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def write(path: str, content: bytes) -> None:
    """Replace the file at once by ``content``, readable by everybody."""
    with replacing(path, 0o644) as file:
        file.write(content)


def lock_file(file: t.TextIO, seconds: float) -> bool:
    """Lock ``file`` as apt does; whether it came free within ``seconds``."""
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except OSError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.2)


def check_key(content: bytes, origin: str, allowed: t.Sequence[str]) -> t.List[str]:
    """Fingerprints of the primary keys in a key file.

    :param origin: where the key is from, for messages.
    :param allowed: fingerprints that may be there; any when empty.
    :raises SlipwayError: when it is not a public key, or another one than allowed.
    """
    try:
        wanted = [normalise_fingerprint(text) for text in allowed]
    except OpenPgpError as error:
        raise SlipwayError(f"key_fingerprints: {error}.") from error
    try:
        found = [key.fingerprint for key in public_keys(content)]
    except OpenPgpError as error:
        raise SlipwayError(f"{origin} is not an OpenPGP public key: {error}.") from error
    others = sorted(set(found) - set(wanted))
    if wanted and others:
        raise SlipwayError(
            f"{origin} has the key {', '.join(others)}, which is not among key_fingerprints ({', '.join(wanted)}). "
            "Nothing was changed. Add it only when its owner confirms it.",
            key_fingerprints=found,
        )
    return found


class AptSource:
    """A repository for apt.

    :param fetch: returns what a URL has; raises SlipwayError.
    :param keyrings, sources, lists: directories, those of the host unless a test has others.
    """

    def __init__(
        self,
        runner: Runner,
        source: Source,
        fetch: t.Callable[[str], bytes],
        params: t.Mapping[str, t.Any],
        keyrings: str = KEYRINGS,
        sources: str = FOLDER,
        lists: str = LISTS,
    ) -> None:
        self.runner = runner
        self.source = source
        self.fetch = fetch
        self.key_url: t.Optional[str] = params["key"]
        self.key_content: t.Optional[str] = params["key_content"]
        self.allowed: t.List[str] = params["key_fingerprints"]
        self.packages: t.Dict[str, str] = {name: str(wanted or "") for name, wanted in params["packages"].items()}
        self.validate: bool = params["validate"]
        self.timeout: int = params["timeout"]
        self.sources, self.lists = sources, lists
        self.path = os.path.join(sources, f"slipway-{source.name}.sources")
        self.key_path = os.path.join(keyrings, f"slipway-{source.name}.gpg")
        # Where versions before 0.2 wrote keys as they were fetched.
        self.old_key_path = os.path.join(keyrings, f"slipway-{source.name}.asc")

    def absent(self, check_mode: bool, in_use: str = "") -> t.Dict[str, t.Any]:
        """Remove source and key, but for a key that another source uses."""
        before = (read(self.path) or b"").decode(errors="replace")
        own = [self.path, self.key_path, self.old_key_path]
        paths = [path for path in own if os.path.exists(path) and os.path.realpath(path) != os.path.realpath(in_use)]
        if paths and not check_mode:
            # What is fetched stays in the lists until the next update cleans up; without a source it is not used.
            for path in paths:
                os.unlink(path)
        return {
            "changed": bool(paths),
            "source_path": self.path,
            "index_refreshed": False,
            "diff": {"before_header": self.path, "after_header": self.path, "before": before, "after": ""},
        }

    def present(self, check_mode: bool) -> t.Dict[str, t.Any]:
        """Verify the repository when it is needed, and write what differs."""
        self.source.check()
        others = [
            entry
            for entry in read_sources(self.sources)
            if entry.path != self.path and same_url(entry.url, self.source.url)
        ]
        equal = next(filter(self._is_equal, others), None)
        if equal is not None:
            return self._taken_over(equal, check_mode)
        before = read(self.path)
        key = self._current_key()
        versions: t.Dict[str, t.Tuple[str, ...]] = {}
        as_asked = bool(key) and before == self._render(key)
        known = False
        if as_asked and self.validate:
            versions = self._known_versions(before or b"")
            known = all(find_version(wanted, versions.get(name, ())) for name, wanted in self.packages.items())
        refreshed = self.validate and not (as_asked and known)
        if not as_asked or refreshed:
            key = self._wanted_key()
        fingerprints = check_key(key, self._origin(), self.allowed)
        after = self._render(key)
        # apt's helpers, which are not root, have to read them.
        readable = is_public(self.path) and is_public(self.key_path)
        changed = after != before or read(self.key_path) != key or not readable
        if refreshed:
            versions = self._fetched_versions(key, fingerprints, after, check_mode)
        elif others:
            with self._scratch() as scratch:
                self._check_neighbours(scratch, after)
        if changed and not check_mode:
            self._write(key, after)
        return {
            "changed": changed,
            "source_path": self.path,
            "key_path": self.key_path,
            "key_fingerprints": fingerprints,
            "index_refreshed": refreshed,
            "diff": {
                "before_header": self.path,
                "after_header": self.path,
                "before": (before or b"").decode(errors="replace"),
                "after": after.decode(),
            },
            **self._found(versions),
        }

    def _is_equal(self, entry: PackageSource) -> bool:
        """Whether an entry for this repository can serve: it has the keys that may be used, and says nothing else."""
        source, architectures = self.source, entry.options.get("architectures", "").split()
        if entry.suite != source.suite or set(entry.options) - UNDERSTOOD:
            return False
        if set(source.components) - set(entry.components):
            return False
        if architectures:
            # That of the packages, which is not always the kernel's.
            own = self.runner.run(["dpkg", "--print-architecture"]).stdout.split()
            if set(source.architectures or own) - set(architectures):
                return False
        path = entry.options.get("signed-by", "").strip()
        try:
            key = keyring(read(path) or b"") if os.path.isabs(path) and "\n" not in path else b""
            if not key or (self.key_content is not None and key != self._wanted_key()):
                return False
            check_key(key, path, self.allowed)
        except (OSError, OpenPgpError, SlipwayError):
            return False
        return True

    def _taken_over(self, entry: PackageSource, check_mode: bool) -> t.Dict[str, t.Any]:
        """Use the repository as it is set up by another file; ours, if any, would contradict it."""
        key_path = entry.options["signed-by"].strip()
        key = keyring(read(key_path) or b"")
        fingerprints = check_key(key, key_path, self.allowed)
        versions: t.Dict[str, t.Tuple[str, ...]] = {}
        refreshed = False
        if self.validate:
            versions = self._known_versions(self.source.render(key_path, key, None).encode())
            refreshed = not all(find_version(wanted, versions.get(name, ())) for name, wanted in self.packages.items())
        if refreshed:
            versions = self._fetched_versions(key, fingerprints, None, check_mode)
        own = self.absent(check_mode, key_path)
        return {
            "changed": own["changed"],
            "source_path": entry.path,
            "key_path": key_path,
            "key_fingerprints": fingerprints,
            "index_refreshed": refreshed,
            "diff": own["diff"],
            **self._found(versions),
        }

    def _fetched_versions(
        self, key: bytes, fingerprints: t.Sequence[str], content: t.Optional[bytes], check_mode: bool
    ) -> t.Dict[str, t.Tuple[str, ...]]:
        """Verify the repository, and that ``content`` contradicts no other when it is to be written; keep the index."""
        with self._scratch() as scratch:
            versions = self._verify(scratch, key, fingerprints)
            if content is not None:
                self._check_neighbours(scratch, content)
            if not check_mode:
                self._keep_lists(os.path.join(scratch, "lists"))
        return versions

    def _found(self, versions: t.Mapping[str, t.Tuple[str, ...]]) -> t.Dict[str, t.Any]:
        """What is returned of the versions; nothing when they were not looked at."""
        if not self.validate:
            return {}
        return {
            "available": {name: sort_versions(versions[name]) for name in self.packages},
            "versions": {name: find_version(self.packages[name], versions[name]) for name in self.packages},
        }

    def _render(self, key: bytes) -> bytes:
        return self.source.render(self.key_path, key, self.key_url).encode()

    def _origin(self) -> str:
        """Where the key is from, for messages."""
        return url_shown(self.key_url) if self.key_url else "key_content"

    def _current_key(self) -> bytes:
        """The key on this host, when it may be the wanted one and is as this version writes it; empty otherwise."""
        key = read(self.key_path) or b""
        try:
            as_written = keyring(key) == key
        except OpenPgpError:
            as_written = False
        return key if as_written and (self.key_content is None or key == self._wanted_key()) else b""

    def _wanted_key(self) -> bytes:
        """The keys that were given, and nothing else that is in their file: apt reads some files otherwise than we do.

        :raises SlipwayError: when it is no file of public keys.
        """
        content = self.key_content.encode() if self.key_content is not None else self.fetch(t.cast(str, self.key_url))
        try:
            return keyring(content)
        except OpenPgpError as error:
            raise SlipwayError(f"{self._origin()} is not an OpenPGP public key: {error}.") from error

    @contextlib.contextmanager
    def _scratch(self, lists: t.Optional[str] = None) -> t.Iterator[str]:
        """A directory for apt, whose unprivileged helpers can read it; with an index of its own unless given one."""
        scratch = tempfile.mkdtemp(prefix="slipway-", dir="/tmp")
        try:
            os.chmod(scratch, 0o755)
            for name in ("sources", "lists/partial", "cache"):
                make_folder(os.path.join(scratch, name))
            configuration = scratch_configuration(scratch, lists or os.path.join(scratch, "lists"), self.timeout)
            write(os.path.join(scratch, "apt.conf"), configuration.encode())
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _apt(self, scratch: str) -> Apt:
        return Apt(self.runner, os.path.join(scratch, "apt.conf"))

    def _known_versions(self, content: bytes) -> t.Dict[str, t.Tuple[str, ...]]:
        """Versions of the packages in the index on this host, of this source alone. Nothing is fetched."""
        if not self.packages:
            return {}
        with self._scratch(self.lists) as scratch:
            write(os.path.join(scratch, "sources", "slipway.sources"), content)
            found = self._apt(scratch).policy(self.packages)
        return {name: found[name].versions for name in self.packages if name in found}

    def _verify(self, scratch: str, key: bytes, fingerprints: t.Sequence[str]) -> t.Dict[str, t.Tuple[str, ...]]:
        """Fetch the index into ``scratch`` and return the versions of the packages.

        :raises SlipwayError: when the repository is not what it should be.
        """
        key_copy = os.path.join(scratch, os.path.basename(self.key_path))
        write(key_copy, key)
        write(
            os.path.join(scratch, "sources", "slipway.sources"),
            self.source.render(key_copy, key, None).encode(),
        )
        apt = self._apt(scratch)
        update = apt.update()
        output = update.stdout + update.stderr
        reason = explain_update(output)
        if update.rc != 0 or reason:
            raise SlipwayError(
                f"The package repository {url_shown(self.source.url)} (suite {self.source.suite}) cannot be used: "
                f"{reason or complaints(output)} The key given is {', '.join(fingerprints)}. Nothing was changed.",
                **update.as_return_values(),
            )
        found = apt.policy(self.packages)
        missing = [
            apt.explain_missing(name, wanted, found.get(name))
            for name, wanted in self.packages.items()
            if not find_version(wanted, found[name].versions if name in found else ())
        ]
        if missing:
            raise SlipwayError(
                f"The package repository {url_shown(self.source.url)} lacks what is wanted: {'; '.join(missing)}. "
                "Nothing was changed."
            )
        return {name: found[name].versions for name in self.packages}

    def _check_neighbours(self, scratch: str, content: bytes) -> None:
        """Refuse a source that contradicts another one: apt would refuse to work at all from then on.

        :raises SlipwayError: with the files that name the same repository.
        """
        directory = os.path.join(scratch, "sources")
        shutil.rmtree(directory)
        os.mkdir(directory)
        others = [os.path.join(self.sources, name) for name in sorted(os.listdir(self.sources))]
        others = [path for path in others if path != self.path and os.path.isfile(path)]
        for path in others:
            os.symlink(path, os.path.join(directory, os.path.basename(path)))
        write(os.path.join(directory, os.path.basename(self.path)), content)
        result = self._apt(scratch).run("apt-get", ["-o", "Dir::Etc::sourcelist=sources.list", "indextargets"])
        if "Conflicting values set for option" in result.stderr:
            address = self.source.url.rstrip("/").encode()
            same = [path for path in [*others, MAIN] if address in (read(path) or b"")]
            raise SlipwayError(
                f"The repository {url_shown(self.source.url)} is set up already with other settings in "
                f"{', '.join(same) or 'another file'}: remove that entry. Nothing was changed. "
                f"{complaints(result.stderr)}",
                **result.as_return_values(),
            )

    def _keep_lists(self, fetched: str) -> None:
        """Copy the verified index to where apt looks for it, so that nobody has to fetch it again."""
        make_folder(self.lists)
        with open(os.path.join(self.lists, "lock"), "a", encoding="utf-8") as lock:
            if not lock_file(lock, self.timeout):
                return  # Another update goes on and on; package_set fetches what is missing.
            for name in sorted(os.listdir(fetched)):
                path = os.path.join(fetched, name)
                if name != "lock" and os.path.isfile(path):
                    target = os.path.join(self.lists, name)
                    with open(path, "rb") as source, replacing(target, 0o644) as file:
                        shutil.copyfileobj(source, file)
                    # apt asks the mirror for what is newer.
                    os.utime(target, (time.time(), os.stat(path).st_mtime))

    def _write(self, key: bytes, source: bytes) -> None:
        """Write key and source; the source last, since a run takes it as the sign that all is done."""
        make_folder(os.path.dirname(self.key_path))
        write(self.key_path, key)
        write(self.path, source)
        if os.path.exists(self.old_key_path):
            os.unlink(self.old_key_path)


def fetcher(context: Context) -> t.Callable[[str], bytes]:
    """Fetches keys with the proxy settings of the task's environment."""

    def fetch(url: str) -> bytes:
        response, info = fetch_url(context.module, url, timeout=context.params["timeout"])
        if response is None or info["status"] not in (200, None):
            raise SlipwayError(
                f"The repository's key {url_shown(url)} cannot be fetched: {info.get('msg', info['status'])}."
                " Nothing was changed."
            )
        return response.read()

    return fetch


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns.

    :raises SlipwayError: when it cannot be done.
    """
    params = context.params
    context.hide_credentials(params["url"], params["key"])
    runner = context.runner
    source = Source(
        name=params["name"],
        url=params["url"] or "",
        suite=params["suite"],
        components=tuple(params["components"]),
        architectures=tuple(params["architectures"]),
    )
    if not runner.which("apt-get", required=False):
        raise SlipwayError(
            "The package manager of this host is not supported: there is no apt-get. Package repositories can be set "
            "up on Debian and Ubuntu."
        )
    backend = AptSource(runner, source, fetcher(context), params)
    return (backend.present if params["state"] == "present" else backend.absent)(context.check_mode)


def main() -> None:
    run_module(
        ARGUMENTS,
        run,
        quiet=True,
        required_if=[("state", "present", ["url"]), ("state", "present", ["key", "key_content"], True)],
        mutually_exclusive=[("key", "key_content")],
    )


if __name__ == "__main__":
    main()
