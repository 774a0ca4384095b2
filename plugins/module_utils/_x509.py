# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read certificates (X.509, RFC 5280): whose they are, by whom, for which names, until when.

Signatures are not verified here.

Private to this collection.
"""

from __future__ import annotations

import calendar
import dataclasses
import hashlib
import ipaddress
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _der

COMMON_NAME = "2.5.4.3"
ORGANIZATION = "2.5.4.10"
SUBJECT_ALT_NAME = "2.5.29.17"

_UTC_TIME = 0x17
_GENERALIZED_TIME = 0x18
_EXTENSIONS = _der.context(3, constructed=True)
_DNS_NAME = _der.context(2)
_IP_ADDRESS = _der.context(7)


@dataclasses.dataclass
class AlternativeNames:
    """The names in a subjectAltName extension."""

    dns_names: t.List[str] = dataclasses.field(default_factory=list)
    #: IP addresses in their canonical form.
    addresses: t.List[str] = dataclasses.field(default_factory=list)
    #: Names of other types, described.
    others: t.List[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Certificate:
    """What a certificate says."""

    common_name: str
    issuer: str
    #: Seconds since 1970.
    not_before: float
    not_after: float
    names: AlternativeNames
    #: SHA-256 of the whole certificate, in hexadecimal digits.
    fingerprint: str


def pair(element: _der.Element) -> t.Tuple[str, _der.Element]:
    """The identifier and the value of an attribute."""
    parts = element.children()
    if len(parts) != 2:
        raise _der.DerError("an attribute consists of an identifier and a value")
    return parts[0].oid(), parts[1]


def distinguished_name(name: _der.Element) -> t.List[t.Tuple[str, str]]:
    """Pairs of object identifier and value, in their order."""
    found = []
    for relative in name.children():
        for attribute in relative.children(_der.SET):
            identifier, value = pair(attribute)
            found.append((identifier, value.text()))
    return found


def alternative_names(extension: bytes) -> AlternativeNames:
    """The names in the value of a subjectAltName extension."""
    names = AlternativeNames()
    for name in _der.parse(extension).children():
        if name.tag == _DNS_NAME:
            names.dns_names.append(name.content.decode("ascii", "backslashreplace"))
        elif name.tag == _IP_ADDRESS:
            try:
                names.addresses.append(str(ipaddress.ip_address(name.content)))
            except ValueError as error:
                raise _der.DerError("an IP address has neither 4 nor 16 octets") from error
        else:
            names.others.append(f"alternative name of type {name.tag & 0x1F}")
    return names


def moment(element: _der.Element) -> float:
    """Seconds since 1970 of a UTCTime or a GeneralizedTime, both in UTC with seconds, as certificates have them."""
    text = element.content.decode("ascii", "backslashreplace")
    if element.tag == _UTC_TIME:
        # Two digits of the year: those from 50 belong to the last century (RFC 5280, 4.1.2.5.1).
        text = ("19" if text[:2] >= "50" else "20") + text
    elif element.tag != _GENERALIZED_TIME:
        raise _der.DerError(f"expected a time, found tag 0x{element.tag:02x}")
    try:
        # strptime alone also takes numbers of one digit.
        return float(calendar.timegm(time.strptime(text if len(text) == 15 else "", "%Y%m%d%H%M%SZ")))
    except ValueError as error:
        raise _der.DerError(f"a time is malformed: {text}") from error


def _common_name(name: _der.Element) -> str:
    return next((value for key, value in distinguished_name(name) if key == COMMON_NAME), "")


def parse(data: bytes) -> Certificate:
    """The certificate in DER.

    :raises _der.DerError: when it is malformed.
    """
    fields = _der.parse(data).children()[0].children()
    # version is [0] and optional; then serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo.
    first = 1 if fields and fields[0].tag == _der.context(0, constructed=True) else 0
    if len(fields) < first + 6:
        raise _der.DerError("a certificate has too few parts")
    issuer, validity, subject = fields[first + 2], fields[first + 3].children(), fields[first + 4]
    if len(validity) != 2:
        raise _der.DerError("a certificate's validity has two times")
    names = AlternativeNames()
    for field in fields[first + 6 :]:
        if field.tag == _EXTENSIONS:
            for extension in field.children(_EXTENSIONS)[0].children():
                parts = extension.children()
                if parts[0].oid() == SUBJECT_ALT_NAME:
                    names = alternative_names(parts[-1].octets())
    return Certificate(
        common_name=_common_name(subject),
        issuer=_common_name(issuer),
        not_before=moment(validity[0]),
        not_after=moment(validity[1]),
        names=names,
        fingerprint=hashlib.sha256(data).hexdigest(),
    )


def parse_pem(pem: str) -> Certificate:
    """The first certificate in ``pem``, which is the one of the server or the client.

    :raises _der.DerError: when there is none or it is malformed.
    """
    blocks = _der.pem_blocks(pem, "CERTIFICATE")
    if not blocks:
        raise _der.DerError("there is no PEM block CERTIFICATE")
    return parse(blocks[0])
