# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubelets' requests for the certificates of their ports (CertificateSigningRequest).

Private to this collection.
"""

from __future__ import annotations

import base64
import binascii
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _der, _pkcs10

SIGNER = "kubernetes.io/kubelet-serving"
USER_PREFIX = "system:node:"


def is_pending(item: t.Mapping[str, t.Any]) -> bool:
    """Whether a CertificateSigningRequest is for a kubelet's port and nobody has decided on it."""
    conditions = item.get("status", {}).get("conditions") or []
    decided = any(condition["type"] in ("Approved", "Denied", "Failed") for condition in conditions)
    return item["spec"]["signerName"] == SIGNER and not decided


def node_name(item: t.Mapping[str, t.Any]) -> str:
    """The name of the node that made a request; empty when it is not a node."""
    user = item["spec"].get("username", "")
    return user[len(USER_PREFIX) :] if user.startswith(USER_PREFIX) else ""


def read(item: t.Mapping[str, t.Any]) -> _pkcs10.Request:
    """The request itself.

    :raises _der.DerError: when it cannot be read.
    """
    try:
        return _pkcs10.parse(base64.b64decode(item["spec"]["request"], validate=True).decode("ascii"))
    except (binascii.Error, UnicodeDecodeError) as error:
        raise _der.DerError(str(error)) from error


def describe(item: t.Mapping[str, t.Any]) -> str:
    """A sentence that says who asks for what."""
    who = node_name(item) or item["spec"].get("username", "")
    try:
        request = read(item)
    except _der.DerError as error:
        asked = f"something that cannot be read ({error})"
    else:
        asked = ", ".join([*request.dns_names, *request.addresses, *request.others]) or "no name"
    return f"The request {item['metadata']['name']} of {who} for a serving certificate is pending: it asks for {asked}."
