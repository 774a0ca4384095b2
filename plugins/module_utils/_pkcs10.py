# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read certificate requests (PKCS #10, RFC 2986): who asks for which names.

The signature is not verified here: the API server refuses a CertificateSigningRequest whose signature does not fit.

Private to this collection.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _der, _x509

COMMON_NAME = _x509.COMMON_NAME
ORGANIZATION = _x509.ORGANIZATION

_EXTENSION_REQUEST = "1.2.840.113549.1.9.14"


@dataclasses.dataclass
class Request:
    """What a request asks for."""

    #: Pairs of object identifier and value, in their order.
    subject: t.List[t.Tuple[str, str]]
    dns_names: t.List[str] = dataclasses.field(default_factory=list)
    #: IP addresses in their canonical form.
    addresses: t.List[str] = dataclasses.field(default_factory=list)
    #: Whatever else it asks for: names of other types, extensions, attributes.
    others: t.List[str] = dataclasses.field(default_factory=list)


def parse(pem: str) -> Request:
    """The one request in ``pem``.

    :raises _der.DerError: when there is not exactly one, or it is malformed.
    """
    blocks = _der.pem_blocks(pem, "CERTIFICATE REQUEST")
    if len(blocks) != 1:
        raise _der.DerError(f"expected one PEM block CERTIFICATE REQUEST, found {len(blocks)}")
    parts = _der.parse(blocks[0]).children()
    if len(parts) != 3:
        raise _der.DerError("a certificate request has three parts")
    info = parts[0].children()
    if len(info) not in (3, 4) or info[0].integer() != 0:
        raise _der.DerError("the certification request info is not of version 1")
    request = Request(_x509.distinguished_name(info[1]))
    for attribute in info[3].children(_der.context(0, constructed=True)) if len(info) == 4 else []:
        identifier, values = _x509.pair(attribute)
        if identifier != _EXTENSION_REQUEST:
            request.others.append(f"attribute {identifier}")
            continue
        for extensions in values.children(_der.SET):
            for extension in extensions.children():
                _read_extension(extension, request)
    return request


def _read_extension(extension: _der.Element, request: Request) -> None:
    parts = extension.children()
    if len(parts) not in (2, 3):
        raise _der.DerError("an extension has two or three parts")
    identifier = parts[0].oid()
    if identifier != _x509.SUBJECT_ALT_NAME:
        request.others.append(f"extension {identifier}")
        return
    names = _x509.alternative_names(parts[-1].octets())
    request.dns_names += names.dns_names
    request.addresses += names.addresses
    request.others += names.others
