# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens by which machines join a cluster of RKE2. Private to this collection."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError

#: A token of kubeadm's kind. RKE2 takes a server's token that looks so for one, and then fails.
_BOOTSTRAP = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}")
_LONG = re.compile(r"K10([0-9a-f]{64})::([^:]+):(.+)")
#: Characters of a password that is not guessed.
_SHORTEST = 16


@dataclasses.dataclass(frozen=True)
class Token:
    """A token in parts. ``ca_hash`` is empty in the short form, which is the password alone."""

    ca_hash: str
    user: str
    password: str


def parse(text: str, user: str) -> Token:
    """The parts of a token. No message has any of it.

    :param user: of whom the short form is: ``server`` or ``node``.
    :raises SlipwayError: when it is none.
    """
    found = _LONG.fullmatch(text)
    if found:
        return Token(*found.groups())
    if text.startswith("K10"):
        raise SlipwayError(
            "The token begins with K10 and is no whole one: K10, 64 hexadecimal digits, ::server: or ::node:, then the"
            " password. Copy all of the server's file node-token, or take the password alone."
        )
    return Token("", user, text)


def problem(text: str, user: str, is_first: bool = False) -> t.Tuple[str, str]:
    """What is wrong with a token that somebody has chosen, and the remedy; empty when nothing is.

    :param user: ``server`` for that of servers, ``node`` for that of agents.
    :param is_first: whether it is for a cluster that is not there yet, whose CA nobody knows.
    """
    shorter = "Choose at least 16 letters and digits, for example by `openssl rand -hex 32`, and keep them in a vault."
    if not text or text != text.strip() or re.search(r"\s", text):
        return "is empty or has spaces in it", shorter
    try:
        token = parse(text, user)
    except SlipwayError:
        return "begins with K10 and is no whole token", "Copy all of the file node-token, or take the password."
    if token.ca_hash and is_first:
        return (
            "has the hash of a CA in it (K10...), and the cluster that it is for is not there yet, so it has no CA",
            "Take the password alone, which is what follows the last colon.",
        )
    if user == "server" and _BOOTSTRAP.fullmatch(token.password):
        return "looks like a bootstrap token of kubeadm (abcdef.0123456789abcdef), on which RKE2 fails", shorter
    if len(token.password) < _SHORTEST:
        return f"has less than {_SHORTEST} characters, and gives whoever guesses it all keys of the cluster", shorter
    return "", ""


def hash_of(authority: str) -> str:
    """The hash of a CA as tokens have it: of its PEM file as it is."""
    return hashlib.sha256(authority.encode()).hexdigest()
