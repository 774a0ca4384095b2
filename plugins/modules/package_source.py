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
    serves, and no second one is written, which would contradict it. With other keys or options it is an error.
  - The package managers of Debian, Ubuntu (apt), the RHEL family, Amazon Linux and Fedora (dnf 4 and 5) are
    supported. Neither gpg nor a Python library is needed on the host, beyond what dnf itself brings.
  - For dnf both the index and the packages have to be signed (C(repo_gpgcheck), C(gpgcheck)). It takes a package that
    is signed by any key that rpm knows, but an index only by the key of its repository, and the index has the
    packages' checksums.
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
      - Names the files C(/etc/apt/sources.list.d/slipway-<name>.sources) and C(/etc/apt/keyrings/slipway-<name>.gpg);
        of dnf C(/etc/yum.repos.d/slipway-<name>.repo) and C(/etc/pki/rpm-gpg/slipway-<name>.asc).
    type: str
    required: true
  state:
    description:
      - V(absent) removes source, key and the fetched index; packages stay installed. A key that rpm has imported with
        a package stays there.
    type: str
    choices: [present, absent]
    default: present
  url:
    description:
      - Base URL of the repository, without user and password (those of apt belong in C(/etc/apt/auth.conf.d/)).
      - Required when O(state=present).
    type: str
  settings:
    description:
      - What else is said of the repository, by the names of the options O(suite), O(components) and O(architectures),
        which go before it. So one variable can carry what differs from one family of distributions to the next.
      - Those three are for apt. For dnf C(path) is what follows O(url), in which C($releasever) and C($basearch) may
        stand.
    type: dict
    default: {}
  suite:
    description:
      - Name of the distribution or suite; V(/) or another path with a slash at its end for a flat repository.
      - V(/) when it is absent.
    type: str
  components:
    description:
      - Components of the suite, for example V(main). Needed unless the repository is flat.
    type: list
    elements: str
  architectures:
    description:
      - Architectures to use; those of the host when empty.
    type: list
    elements: str
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
import os
import typing as t

from ansible.module_utils.urls import fetch_url
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import is_public, make_folder, publish
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages import expect_package_manager
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.interface import (
    Neighbour,
    Offer,
    PackageSource,
    Repository,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki.openpgp import (
    OpenPgpError,
    keyring,
    normalise_fingerprint,
    public_keys,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import url_shown

ARGUMENTS: t.Dict[str, t.Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "url": {"type": "str"},
    "settings": {"type": "dict", "default": {}},
    "suite": {"type": "str"},
    "components": {"type": "list", "elements": "str"},
    "architectures": {"type": "list", "elements": "str"},
    "key": {"type": "str", "no_log": False},
    "key_content": {"type": "str", "no_log": False},
    "key_fingerprints": {"type": "list", "elements": "str", "default": [], "no_log": False},
    "packages": {"type": "dict", "default": {}},
    "validate": {"type": "bool", "default": True},
    "timeout": {"type": "int", "default": 30},
}

#: Options of their own that are settings of a repository, too.
SETTINGS = ("suite", "components", "architectures")

Offers = t.Dict[str, Offer]


def read(path: str) -> t.Optional[bytes]:
    """Content of the file; ``None`` when it is absent."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


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


class Setup:
    """A repository, its keys and the versions that it must have, on a host.

    :param fetch: returns what a URL has; raises SlipwayError.
    """

    def __init__(self, source: PackageSource, fetch: t.Callable[[str], bytes], params: t.Mapping[str, t.Any]) -> None:
        self.source = source
        self.manager = source.manager
        self.fetch = fetch
        self.key_url: t.Optional[str] = params["key"]
        self.key_content: t.Optional[str] = params["key_content"]
        self.allowed: t.List[str] = params["key_fingerprints"]
        self.packages: t.Dict[str, str] = {name: str(wanted or "") for name, wanted in params["packages"].items()}
        self.validate: bool = params["validate"]
        self.path, self.key_path = source.path, source.key_path

    def absent(self, check_mode: bool, in_use: str = "") -> t.Dict[str, t.Any]:
        """Remove source and key, but for a key that another source uses."""
        before = read(self.path) or b""
        own = [self.path, self.key_path, *self.source.former]
        paths = [path for path in own if os.path.exists(path) and os.path.realpath(path) != os.path.realpath(in_use)]
        if paths and not check_mode:
            # What is fetched stays until the next update cleans up; without a source it is not used.
            for path in paths:
                os.unlink(path)
        return {
            "changed": bool(paths),
            "source_path": self.path,
            "index_refreshed": False,
            "diff": self._diff(before, b""),
        }

    def present(self, check_mode: bool) -> t.Dict[str, t.Any]:
        """Verify the repository when it is needed, and write what differs."""
        self.source.check()
        neighbours = self.source.neighbours()
        equal = next(filter(self._can_serve, neighbours), None)
        if equal is not None:
            return self._taken_over(equal, check_mode)
        before = read(self.path)
        key = self._current_key()
        offers: Offers = {}
        as_asked = bool(key) and before == self._render(key)
        if as_asked and self.validate:
            offers = self.source.known(before or b"", self.packages)
        refreshed = self.validate and not (as_asked and not self._missing(offers))
        if not as_asked or refreshed:
            key = self._wanted_key()
        fingerprints = check_key(key, self._origin(), self.allowed)
        after = self._render(key)
        # The package manager's helpers, which are not root, have to read them.
        readable = is_public(self.path) and is_public(self.key_path)
        changed = after != before or read(self.key_path) != self.source.key_file(key) or not readable
        if refreshed:
            offers = self._fetched(key, fingerprints, after, check_mode)
        elif neighbours:
            self.source.expect_agreement(after)
        if changed and not check_mode:
            self._write(key, after)
        return {
            "changed": changed,
            "source_path": self.path,
            "key_path": self.key_path,
            "key_fingerprints": fingerprints,
            "index_refreshed": refreshed,
            "diff": self._diff(before or b"", after),
            **self._found(offers),
        }

    def _can_serve(self, entry: Neighbour) -> bool:
        """Whether an entry for this repository has the keys that may be used, and says nothing else than we would."""
        if not entry.is_equal or not entry.key_path:
            return False
        try:
            key = keyring(read(entry.key_path) or b"")
            if not key or (self.key_content is not None and key != self._wanted_key()):
                return False
            check_key(key, entry.key_path, self.allowed)
        except (OSError, OpenPgpError, SlipwayError):
            return False
        return True

    def _taken_over(self, entry: Neighbour, check_mode: bool) -> t.Dict[str, t.Any]:
        """Use the repository as it is set up by another file; ours, if any, would contradict it."""
        key = keyring(read(entry.key_path) or b"")
        fingerprints = check_key(key, entry.key_path, self.allowed)
        offers: Offers = {}
        refreshed = False
        if self.validate:
            offers = self.source.known(self.source.render(entry.key_path, key, None), self.packages)
            refreshed = bool(self._missing(offers))
        if refreshed:
            offers = self._fetched(key, fingerprints, None, check_mode)
        own = self.absent(check_mode, entry.key_path)
        return {
            "changed": own["changed"],
            "source_path": entry.path,
            "key_path": entry.key_path,
            "key_fingerprints": fingerprints,
            "index_refreshed": refreshed,
            "diff": own["diff"],
            **self._found(offers),
        }

    def _fetched(
        self, key: bytes, fingerprints: t.Sequence[str], content: t.Optional[bytes], check_mode: bool
    ) -> Offers:
        """Verify the repository, and that ``content`` contradicts no other when it is to be written; keep the index.

        :raises SlipwayError: when the repository is not what it should be.
        """
        with contextlib.ExitStack() as stack:
            try:
                index = stack.enter_context(self.source.fetched(key))
            except SlipwayError as error:
                raise SlipwayError(
                    f"The package repository {self.source.shown} cannot be used: {error.msg} The key given is "
                    f"{', '.join(fingerprints)}. Nothing was changed.",
                    **error.details,
                ) from error
            offers = index.manager.offered(self.packages)
            missing = [
                index.manager.explain_missing(name, self.packages[name], offers.get(name))
                for name in self._missing(offers)
            ]
            if missing:
                raise SlipwayError(
                    f"The package repository {self.source.shown} lacks what is wanted: {'; '.join(missing)}. "
                    "Nothing was changed."
                )
            if content is not None:
                self.source.expect_agreement(content)
            if not check_mode:
                index.keep()
        return offers

    def _version(self, name: str, offers: Offers) -> t.Optional[str]:
        """The newest version of a package that is what was asked for."""
        return self.manager.find_version(self.packages[name], offers[name].versions) if name in offers else None

    def _missing(self, offers: Offers) -> t.List[str]:
        return [name for name in self.packages if self._version(name, offers) is None]

    def _found(self, offers: Offers) -> t.Dict[str, t.Any]:
        """What is returned of the versions; nothing when they were not looked at."""
        if not self.validate:
            return {}
        return {
            "available": {name: self.manager.sort_versions(offers[name].versions) for name in self.packages},
            "versions": {name: self._version(name, offers) for name in self.packages},
        }

    def _diff(self, before: bytes, after: bytes) -> t.Dict[str, str]:
        return {
            "before_header": self.path,
            "after_header": self.path,
            "before": before.decode(errors="replace"),
            "after": after.decode(errors="replace"),
        }

    def _render(self, key: bytes) -> bytes:
        return self.source.render(self.key_path, key, self.key_url)

    def _origin(self) -> str:
        """Where the key is from, for messages."""
        return url_shown(self.key_url) if self.key_url else "key_content"

    def _current_key(self) -> bytes:
        """The key on this host, when it may be the wanted one and is as this version writes it; empty otherwise."""
        content = read(self.key_path) or b""
        try:
            key = keyring(content)
        except OpenPgpError:
            return b""
        as_written = self.source.key_file(key) == content
        return key if as_written and (self.key_content is None or key == self._wanted_key()) else b""

    def _wanted_key(self) -> bytes:
        """The keys that were given, and nothing else of their file: others read some files otherwise than we do.

        :raises SlipwayError: when it is no file of public keys.
        """
        content = self.key_content.encode() if self.key_content is not None else self.fetch(t.cast(str, self.key_url))
        try:
            return keyring(content)
        except OpenPgpError as error:
            raise SlipwayError(f"{self._origin()} is not an OpenPGP public key: {error}.") from error

    def _write(self, key: bytes, source: bytes) -> None:
        """Write key and source; the source last, since a run takes it as the sign that all is done."""
        make_folder(os.path.dirname(self.key_path))
        publish(self.key_path, self.source.key_file(key))
        publish(self.path, source)
        for path in filter(os.path.exists, self.source.former):
            os.unlink(path)


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
    given = {name: params[name] for name in SETTINGS if params[name] is not None}
    repository = Repository(params["name"], params["url"] or "", {**params["settings"], **given})
    source = expect_package_manager(context.runner).source(repository, params["timeout"])
    setup = Setup(source, fetcher(context), params)
    return (setup.present if params["state"] == "present" else setup.absent)(context.check_mode)


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
