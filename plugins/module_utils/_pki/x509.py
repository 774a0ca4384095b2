# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read certificates (X.509, RFC 5280): whose they are, by whom, for which names, until when.

Signatures are not verified here. Whatever is read, Go's crypto/x509 reads the same: see der.py.

Private to this collection.
"""

from __future__ import annotations

import calendar
import dataclasses
import hashlib
import ipaddress
import re
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import der

COMMON_NAME = "2.5.4.3"
ORGANIZATION = "2.5.4.10"
SUBJECT_ALT_NAME = "2.5.29.17"

_RSA = "1.2.840.113549.1.1.1"
_ELLIPTIC_CURVE = "1.2.840.10045.2.1"
_ED25519 = "1.3.101.112"


class _Curve(t.NamedTuple):
    """The elliptic curve y^2 = x^3 - 3x + b over the field of the numbers below the prime p."""

    p: int
    b: int


#: NIST's curves P-256, P-384 and P-521 (FIPS 186-4, D.1.2).
_CURVES = {
    "1.2.840.10045.3.1.7": _Curve(
        2**256 - 2**224 + 2**192 + 2**96 - 1,
        0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    ),
    "1.3.132.0.34": _Curve(
        2**384 - 2**128 - 2**96 + 2**32 - 1,
        0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    ),
    "1.3.132.0.35": _Curve(
        2**521 - 1,
        0x51953EB9618E1C9A1F929A21A0B68540EEA2DA725B99B315F3B8B489918EF109E156193951EC7E937B1652C0BD3BB1BF073573DF883D2C34F1EF451FD46B503F00,
    ),
}

_UTC_TIME = 0x17
_GENERALIZED_TIME = 0x18
_MOMENT = re.compile(r"[0-9]{12}[0-5][0-9]Z")
_EXTENSIONS = der.context(3, constructed=True)
_DNS_NAME = der.context(2)
_IP_ADDRESS = der.context(7)


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


def pair(element: der.Element) -> t.Tuple[str, der.Element]:
    """The identifier and the value of an attribute."""
    parts = element.children()
    if len(parts) != 2:
        raise der.DerError("an attribute consists of an identifier and a value")
    return parts[0].oid(), parts[1]


def distinguished_name(name: der.Element) -> t.List[t.Tuple[str, str]]:
    """Pairs of object identifier and value, in their order."""
    found: t.List[t.Tuple[str, str]] = []
    for relative in name.children():
        for attribute in relative.children(der.SET):
            identifier, value = pair(attribute)
            found.append((identifier, value.text()))
    return found


def canonical_address(address: t.Union[str, bytes]) -> str:
    """An IP address as everybody writes it; one of version 4 in the form of version 6 is that of version 4.

    :raises ValueError: when it is no address.
    """
    found = ipaddress.ip_address(address)
    return str(getattr(found, "ipv4_mapped", None) or found)


def alternative_names(extension: bytes) -> AlternativeNames:
    """The names in the value of a subjectAltName extension."""
    names = AlternativeNames()
    for name in der.parse(extension).children():
        if name.tag == _DNS_NAME:
            try:
                names.dns_names.append(name.content.decode("ascii"))
            except UnicodeDecodeError as error:
                raise der.DerError("a DNS name is not ASCII") from error
        elif name.tag == _IP_ADDRESS:
            if len(name.content) not in (4, 16):
                raise der.DerError("an IP address has neither 4 nor 16 octets")
            names.addresses.append(canonical_address(name.content))
        else:
            names.others.append(f"alternative name of type {name.tag & 0x1F}")
    return names


def moment(element: der.Element) -> float:
    """Seconds since 1970 of a UTCTime or a GeneralizedTime, both in UTC with seconds, as certificates have them."""
    text = element.content.decode("ascii", "backslashreplace")
    if element.tag == _UTC_TIME:
        # Two digits of the year: those from 50 belong to the last century (RFC 5280, 4.1.2.5.1).
        text = ("19" if text[:2] >= "50" else "20") + text
    elif element.tag != _GENERALIZED_TIME:
        raise der.DerError(f"expected a time, found tag 0x{element.tag:02x}")
    try:
        # strptime alone also takes numbers of one digit, and leap seconds.
        return float(calendar.timegm(time.strptime(text if _MOMENT.fullmatch(text) else "", "%Y%m%d%H%M%SZ")))
    except ValueError as error:
        raise der.DerError(f"a time is malformed: {text}") from error


def _common_name(name: der.Element) -> str:
    """The last one, as Go has it."""
    return next((value for key, value in reversed(distinguished_name(name)) if key == COMMON_NAME), "")


def algorithm(element: der.Element) -> t.Tuple[str, t.Optional[der.Element]]:
    """The identifier of an algorithm and its parameters, if it has any."""
    parts = element.children()
    if len(parts) not in (1, 2):
        raise der.DerError("an algorithm consists of an identifier and parameters")
    return parts[0].oid(), parts[1] if len(parts) == 2 else None


def check_public_key(information: der.Element) -> bool:
    """Whether a SubjectPublicKeyInfo has a key of a kind that kubelets and kubeadm make (RSA, ECDSA, Ed25519).

    :raises der.DerError: when such a key is malformed.
    """
    parts = information.children()
    if len(parts) != 2:
        raise der.DerError("a public key consists of an algorithm and a bit string")
    (kind, parameters), key = algorithm(parts[0]), parts[1].bits()
    if kind == _RSA:
        numbers = [number.integer() for number in der.parse(key).children()]
        if not parameters or parameters.encoded != bytes([der.NULL, 0]) or len(numbers) != 2:
            raise der.DerError("an RSA key is malformed")
        if min(numbers) <= 0 or numbers[1] >= 2**31:
            raise der.DerError("the numbers of an RSA key are out of range")
    elif kind == _ELLIPTIC_CURVE:
        curve = _CURVES.get(parameters.oid()) if parameters else None
        if not curve or not _is_on(curve, key):
            raise der.DerError("an elliptic curve's key is not a point of P-256, P-384 or P-521")
    elif kind == _ED25519:
        if parameters or len(key) != 32:
            raise der.DerError("an Ed25519 key is malformed")
    else:
        return False
    return True


def _is_on(curve: _Curve, point: bytes) -> bool:
    """Whether ``point``, in its long form, is on ``curve``."""
    size = (curve.p.bit_length() + 7) // 8
    x, y = int.from_bytes(point[1 : size + 1], "big"), int.from_bytes(point[size + 1 :], "big")
    if len(point) != 2 * size + 1 or point[0] != 4 or max(x, y) >= curve.p:
        return False
    return (y * y - (x * x * x - 3 * x + curve.b)) % curve.p == 0


def extensions_of(sequence: der.Element) -> t.Dict[str, bytes]:
    """The extensions' values by their object identifiers.

    :raises der.DerError: when one is malformed or there twice.
    """
    found: t.Dict[str, bytes] = {}
    for extension in sequence.children():
        parts = extension.children()
        if len(parts) not in (2, 3):
            raise der.DerError("an extension has two or three parts")
        identifier = parts[0].oid()
        if len(parts) == 3 and not parts[1].boolean():
            raise der.DerError(f"the extension {identifier} says needlessly that it is not critical")
        if identifier in found:
            raise der.DerError(f"the extension {identifier} is there twice")
        found[identifier] = parts[-1].octets()
    return found


def _fields(data: bytes) -> t.Tuple[int, t.List[der.Element]]:
    """The version of a certificate, which begins at 1, and its fields from the serial number on.

    :raises der.DerError: when fields are missing.
    """
    certificate = der.parse(data).children()
    fields = certificate[0].children() if certificate else []
    version = 1
    if fields and fields[0].tag == der.context(0, constructed=True):
        numbers = fields[0].children(fields[0].tag)
        version = numbers[0].integer() + 1 if len(numbers) == 1 else 0
        fields = fields[1:]
    if len(fields) < 6:
        raise der.DerError("a certificate has too few parts")
    if version not in (1, 2, 3):
        raise der.DerError("a certificate's version is none of 1, 2 and 3")
    return version, fields


def _check_frame(data: bytes, fields: t.Sequence[der.Element]) -> None:
    """Refuse a certificate whose serial number, algorithms, key or signature are malformed."""
    certificate = der.parse(data).children()
    if len(certificate) != 3:
        raise der.DerError("a certificate has three parts")
    if certificate[1].encoded != fields[1].encoded:
        raise der.DerError("a certificate names two signature algorithms")
    algorithm(certificate[1])
    certificate[2].bits()
    if fields[0].integer() < 0:
        raise der.DerError("a certificate's serial number is negative")
    check_public_key(fields[5])


def parse(data: bytes) -> Certificate:
    """The certificate in DER.

    :raises der.DerError: when it is malformed.
    """
    version, fields = _fields(data)
    issuer, validity, subject = fields[2], fields[3].children(), fields[4]
    if len(validity) != 2:
        raise der.DerError("a certificate's validity has two times")
    _check_frame(data, fields)
    rest = fields[6:]
    for number in (1, 2):
        # Unique identifiers of issuer and subject, which nobody uses.
        if version > 1 and rest and rest[0].tag == der.context(number):
            rest = rest[1:]
    names = AlternativeNames()
    if version == 3 and rest:
        sequences = rest[0].children(_EXTENSIONS)
        if len(sequences) != 1:
            raise der.DerError("a certificate has one list of extensions")
        extensions = extensions_of(sequences[0])
        if SUBJECT_ALT_NAME in extensions:
            names = alternative_names(extensions[SUBJECT_ALT_NAME])
        rest = rest[1:]
    if rest:
        raise der.DerError("a certificate has parts that its version has not")
    return Certificate(
        common_name=_common_name(subject),
        issuer=_common_name(issuer),
        not_before=moment(validity[0]),
        not_after=moment(validity[1]),
        names=names,
        fingerprint=hashlib.sha256(data).hexdigest(),
    )


def certificate_pins(pem: str) -> t.List[str]:
    """``sha256:`` and the hash of each certificate's public key, as kubeadm's discovery wants it.

    It is the SHA-256 of the DER of SubjectPublicKeyInfo (RFC 7469, and kubeadm's ``pubkeypin`` package).

    :raises der.DerError: when a certificate is malformed.
    """
    pins = []
    for block in der.pem_blocks(pem, "CERTIFICATE"):
        parse(block)
        pins.append("sha256:" + hashlib.sha256(_fields(block)[1][5].encoded).hexdigest())
    return pins


def parse_pem(pem: str) -> Certificate:
    """The first certificate in ``pem``, which is the one of the server or the client.

    :raises der.DerError: when there is none or it is malformed.
    """
    blocks = der.pem_blocks(pem, "CERTIFICATE")
    if not blocks:
        raise der.DerError("there is no PEM block CERTIFICATE")
    return parse(blocks[0])
