# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mirrors of image registries, as the inventory has them.

Private to this collection.
"""

from __future__ import annotations

import os
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import der
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import url_shown
from ansible_collections.slipway.kubernetes.plugins.module_utils._urls import is_web, split_url

#: Mirrors by the upstream registries that they stand for.
Mirrors = t.Mapping[str, t.Sequence[t.Mapping[str, t.Any]]]
#: What stands for any registry that has no entry of its own.
ANY_REGISTRY = "_default"


def address(upstream: str, mirror: t.Mapping[str, t.Any]) -> t.Tuple[str, str]:
    """A mirror's URL without a slash at its end, and its host with the port, by which its login is looked up.

    :raises ValueError: when the URL is not usable. It may have a password in it, so it is not shown.
    """
    text = str(mirror.get("url", "")).rstrip("/")
    if not is_web(text, bare=True):
        raise ValueError(
            f"the mirror '{url_shown(text)}' of {upstream} is no http(s) URL (host, port, path, and no login)"
        )
    return text, split_url(text).netloc


def authority(mirror: t.Mapping[str, t.Any]) -> t.Tuple[str, str]:
    """The CA of a mirror: the text that nodes are to be given, and the path of a file that they have.

    Either or both are empty. What is no certificate is the path of a file on the controller, else of one on the nodes.

    :raises ValueError: when the file on the controller is no certificate, or has a private key in it.
    """
    given = str(mirror.get("ca") or "").strip()
    path = "" if "\n" in given or "-----" in given else os.path.expanduser(given)
    text = "" if path else given
    if path and os.path.isfile(path):
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                text = stream.read().strip()
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    try:
        if text and not der.pem_blocks(text + "\n", "CERTIFICATE"):
            raise ValueError(f"{path or 'the text'} has no certificate in PEM")
    except der.DerError as error:
        raise ValueError(
            f"{path or 'the text'} has no certificate in PEM that the container runtime can read: {error}"
        ) from error
    if "PRIVATE KEY-----" in text:
        raise ValueError(f"{path or 'the text'} has a private key in it, which must not get to nodes")
    return (text + "\n", "") if text else ("", path)


def registry_logins(mirrors: Mirrors) -> t.Dict[str, t.Dict[str, str]]:
    """User name and password by the host of the mirror.

    :raises ValueError: when a mirror is not usable, or when one host has several logins: a runtime knows one.
    """
    logins: t.Dict[str, t.Dict[str, str]] = {}
    for upstream, entries in sorted(mirrors.items()):
        for entry in entries:
            _url, host = address(upstream, entry)
            if not entry.get("username"):
                continue
            login = {"username": str(entry["username"]), "password": str(entry.get("password", ""))}
            if logins.setdefault(host, login) != login:
                raise ValueError(f"the mirrors on {host} have several logins, and a runtime knows one for each host")
    return logins
