# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read certificate requests (PKCS #10, RFC 2986): who asks for which names.

Strict: a request is what kubelets send, in the one way in which they write it. kube-controller-manager reads it with
Go's pem.Decode and x509.ParseCertificateRequest, which take more (text and headers around the block, all kinds of
strings, attributes that nobody looks at, ...). What could be read in two ways is refused here.

The signature is not verified here: the API server refuses a CertificateSigningRequest whose signature does not fit.

Private to this collection.
"""

from __future__ import annotations

import dataclasses
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import der, x509

COMMON_NAME = x509.COMMON_NAME
ORGANIZATION = x509.ORGANIZATION

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
    """The request in ``pem``, which holds nothing else.

    :raises der.DerError: when it is malformed or not as kubelets write it.
    """
    parts = der.parse(der.pem_block(pem, "CERTIFICATE REQUEST")).children()
    if len(parts) != 3:
        raise der.DerError("a certificate request has three parts")
    _kind, parameters = x509.algorithm(parts[1])
    if parameters and parameters.encoded != bytes([der.NULL, 0]):
        raise der.DerError("the signature's algorithm has parameters")
    parts[2].bits()
    info = parts[0].children()
    if len(info) != 4 or info[0].integer() != 0:
        raise der.DerError("the certification request info is not of version 1")
    request = Request(_subject(info[1]))
    if not x509.check_public_key(info[2]):
        raise der.DerError("its public key is of a kind that kubelets do not have")
    asked: t.List[der.Element] = []
    for attribute in info[3].children(der.context(0, constructed=True)):
        identifier, values = x509.pair(attribute)
        if identifier != _EXTENSION_REQUEST:
            request.others.append(f"attribute {identifier}")
        else:
            asked.append(values)
    if len(asked) > 1:
        # Go reads them all, others the first or the last.
        raise der.DerError("it asks for extensions twice")
    for values in asked:
        _read_extensions(values, request)
    return request


def _subject(name: der.Element) -> t.List[t.Tuple[str, str]]:
    """Pairs of object identifier and value, written as kubelets do."""
    for relative in name.children():
        attributes = relative.children(der.SET)
        if len(attributes) != 1:
            raise der.DerError("a part of its subject does not have one value")
        if x509.pair(attributes[0])[1].tag not in (der.UTF8_STRING, der.PRINTABLE_STRING):
            raise der.DerError("its subject has a string of a kind that kubelets do not use")
    return x509.distinguished_name(name)


def _read_extensions(values: der.Element, request: Request) -> None:
    """Note in ``request`` what its attribute extensionRequest asks for."""
    lists = values.children(der.SET)
    if len(lists) != 1:
        raise der.DerError("its attribute extensionRequest does not have one value")
    for identifier, value in x509.extensions_of(lists[0]).items():
        if identifier != x509.SUBJECT_ALT_NAME:
            request.others.append(f"extension {identifier}")
            continue
        names = x509.alternative_names(value)
        request.dns_names += names.dns_names
        request.addresses += names.addresses
        request.others += names.others
