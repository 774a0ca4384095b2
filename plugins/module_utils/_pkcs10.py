# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read certificate requests (PKCS #10, RFC 2986): who asks for which names.

The signature is not verified here: the API server refuses a CertificateSigningRequest whose signature does not fit.

Private to this collection.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _der

COMMON_NAME = "2.5.4.3"
ORGANIZATION = "2.5.4.10"

_EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
_SUBJECT_ALT_NAME = "2.5.29.17"
_DNS_NAME = _der.context(2)
_IP_ADDRESS = _der.context(7)


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

    def subject_values(self, identifier: str) -> t.List[str]:
        """The values of one attribute of the subject."""
        return [value for key, value in self.subject if key == identifier]


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
    request = Request(_subject(info[1]))
    for attribute in info[3].children(_der.context(0, constructed=True)) if len(info) == 4 else []:
        identifier, values = _pair(attribute)
        if identifier != _EXTENSION_REQUEST:
            request.others.append(f"attribute {identifier}")
            continue
        for extensions in values.children(_der.SET):
            for extension in extensions.children():
                _read_extension(extension, request)
    return request


def _pair(element: _der.Element) -> t.Tuple[str, _der.Element]:
    parts = element.children()
    if len(parts) != 2:
        raise _der.DerError("an attribute consists of an identifier and a value")
    return parts[0].oid(), parts[1]


def _subject(name: _der.Element) -> t.List[t.Tuple[str, str]]:
    subject = []
    for relative in name.children():
        for attribute in relative.children(_der.SET):
            identifier, value = _pair(attribute)
            subject.append((identifier, value.text()))
    return subject


def _read_extension(extension: _der.Element, request: Request) -> None:
    parts = extension.children()
    if len(parts) not in (2, 3):
        raise _der.DerError("an extension has two or three parts")
    identifier = parts[0].oid()
    if identifier != _SUBJECT_ALT_NAME:
        request.others.append(f"extension {identifier}")
        return
    for name in _der.parse(parts[-1].octets()).children():
        if name.tag == _DNS_NAME:
            request.dns_names.append(name.content.decode("ascii", "backslashreplace"))
        elif name.tag == _IP_ADDRESS:
            try:
                request.addresses.append(str(ipaddress.ip_address(name.content)))
            except ValueError as error:
                raise _der.DerError("an IP address has neither 4 nor 16 octets") from error
        else:
            request.others.append(f"alternative name of type {name.tag & 0x1F}")
