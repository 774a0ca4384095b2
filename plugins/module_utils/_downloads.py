# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are downloaded, and count only when they have the SHA-256 that they should have.

Private to this collection.
"""

from __future__ import annotations

import os
import posixpath
import typing as t
from urllib.parse import unquote

from ansible.module_utils.urls import fetch_url
from ansible_collections.slipway.kubernetes.plugins.module_utils._archive import (
    copy_hashed,
    file_sha256,
    find_checksum,
    parse_checksum,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import url_shown
from ansible_collections.slipway.kubernetes.plugins.module_utils._urls import split_url

Fetch = t.Callable[[str, str], None]

CHECKSUM_LIMIT = 1024 * 1024
"""Characters read of a checksum file."""


def fetcher(context: Context) -> Fetch:
    """Downloads with the proxy settings of the task's environment."""

    def fetch(url: str, path: str) -> None:
        response, info = fetch_url(context.module, url, timeout=context.params["timeout"])
        if response is None or info["status"] not in (200, None):
            raise SlipwayError(
                f"{url_shown(url)} cannot be fetched: {info.get('msg', info['status'])}. Nothing was installed."
            )
        with open(path, "wb") as file:
            copy_hashed(response, file)

    return fetch


def file_name(url: str) -> str:
    """The name of the file that a URL leads to.

    :raises SlipwayError: when the URL is malformed.
    """
    try:
        return posixpath.basename(unquote(split_url(url).path))
    except ValueError as error:
        raise SlipwayError(f"url: {url_shown(url)} is malformed. Nothing was installed.") from error


def download(fetch: Fetch, url: str, checksum: str, folder: str) -> t.Tuple[str, str]:
    """Path of the file, which is put into ``folder``, and its SHA-256.

    :param checksum: ``sha256:`` with the digest, or with the URL of a file that has it.
    :raises SlipwayError: when it cannot be had, or is not what it should be.
    """
    name = file_name(url)
    digest, place = parse_checksum(checksum)
    if place is not None:
        digest = _published(fetch, place, folder, name)
    path = os.path.join(folder, "archive")
    fetch(url, path)
    found = file_sha256(path)
    if found is None or found != digest:
        raise SlipwayError(
            f"{url_shown(url)} has the SHA-256 {found} instead of {digest} ({url_shown(checksum)})."
            " Nothing was installed."
        )
    return path, found


def _published(fetch: Fetch, place: str, folder: str, name: str) -> str:
    """The digest that a checksum file has for the file ``name``."""
    path = os.path.join(folder, "checksum")
    fetch(place, path)
    with open(path, encoding="utf-8", errors="replace") as file:
        digest = find_checksum(file.read(CHECKSUM_LIMIT), name)
    if digest is None:
        raise SlipwayError(f"{url_shown(place)} has no SHA-256 of {name}. Nothing was installed.")
    return digest
