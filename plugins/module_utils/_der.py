# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read DER (ITU-T X.690) and PEM (RFC 7468): as much as certificates and certificate requests need.

Strict: what DER does not allow (indefinite or needlessly long lengths, bytes left over) is an error, so that nobody
reads another meaning out of the same bytes than we do.

Private to this collection.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import re
import typing as t

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL = 0x05
OBJECT_IDENTIFIER = 0x06
UTF8_STRING = 0x0C
PRINTABLE_STRING = 0x13
TELETEX_STRING = 0x14
IA5_STRING = 0x16
BMP_STRING = 0x1E
SEQUENCE = 0x30
SET = 0x31

_TEXT_ENCODINGS = {
    UTF8_STRING: "utf-8",
    PRINTABLE_STRING: "ascii",
    TELETEX_STRING: "latin-1",
    IA5_STRING: "ascii",
    BMP_STRING: "utf-16-be",
}


class DerError(ValueError):
    """The bytes are not the DER that was expected."""


def context(number: int, constructed: bool = False) -> int:
    """The identifier of the context-specific tag ``[number]``."""
    return 0x80 | (0x20 if constructed else 0) | number


@dataclasses.dataclass(frozen=True)
class Element:
    """One element: its identifier octet, its content and its whole encoding (identifier, length, content)."""

    tag: int
    content: bytes
    encoded: bytes

    def expect(self, tag: int) -> Element:
        """Itself.

        :raises DerError: when it has another tag.
        """
        if self.tag != tag:
            raise DerError(f"expected an element with tag 0x{tag:02x}, found 0x{self.tag:02x}")
        return self

    def children(self, tag: t.Optional[int] = SEQUENCE) -> t.List[Element]:
        """The elements in the content of a SEQUENCE (or of another ``tag``; ``None``: of any).

        :raises DerError: when it has another tag or its content is malformed.
        """
        if tag is not None:
            self.expect(tag)
        elements = []
        position = 0
        while position < len(self.content):
            element = _read(self.content, position)
            elements.append(element)
            position += len(element.encoded)
        return elements

    def oid(self) -> str:
        """The dotted form of an OBJECT IDENTIFIER."""
        self.expect(OBJECT_IDENTIFIER)
        if not self.content or self.content[-1] & 0x80:
            raise DerError("an object identifier ends in the middle of a number")
        numbers = []
        value = 0
        for octet in self.content:
            value = value << 7 | octet & 0x7F
            if not octet & 0x80:
                numbers.append(value)
                value = 0
        first = min(numbers[0] // 40, 2)
        return ".".join(str(number) for number in [first, numbers[0] - 40 * first, *numbers[1:]])

    def integer(self) -> int:
        """The value of an INTEGER."""
        self.expect(INTEGER)
        if not self.content:
            raise DerError("an integer has no octets")
        return int.from_bytes(self.content, "big", signed=True)

    def bits(self) -> bytes:
        """The octets of a BIT STRING without the leading count of unused bits."""
        self.expect(BIT_STRING)
        if not self.content or self.content[0] > 7:
            raise DerError("a bit string lacks its count of unused bits")
        return self.content[1:]

    def octets(self) -> bytes:
        """The octets of an OCTET STRING."""
        return self.expect(OCTET_STRING).content

    def text(self) -> str:
        """The text of one of the character string types."""
        encoding = _TEXT_ENCODINGS.get(self.tag)
        if encoding is None:
            raise DerError(f"expected a character string, found tag 0x{self.tag:02x}")
        try:
            return self.content.decode(encoding)
        except UnicodeDecodeError as error:
            raise DerError(f"a character string is not {encoding}") from error


def parse(data: bytes) -> Element:
    """The one element that ``data`` holds.

    :raises DerError: when it is malformed or something follows it.
    """
    element = _read(data, 0)
    if len(element.encoded) != len(data):
        raise DerError(f"{len(data) - len(element.encoded)} octets follow the end of the DER element")
    return element


def _read(data: bytes, start: int) -> Element:
    if start + 2 > len(data):
        raise DerError("the DER ends in the middle of an element's header")
    tag, length = data[start], data[start + 1]
    position = start + 2
    if tag & 0x1F == 0x1F:
        raise DerError("tag numbers above 30 are not supported")
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4 or position + count > len(data):
            raise DerError("an element's length is indefinite, too long or cut off")
        length = int.from_bytes(data[position : position + count], "big")
        position += count
        if length < 0x80 or length >> 8 * (count - 1) == 0:
            raise DerError("an element's length is encoded in more octets than it needs")
    end = position + length
    if end > len(data):
        raise DerError("an element is longer than the data that hold it")
    return Element(tag, data[position:end], data[start:end])


def certificate_pins(pem: str) -> t.List[str]:
    """``sha256:`` and the hash of each certificate's public key, as kubeadm's discovery wants it.

    It is the SHA-256 of the DER of SubjectPublicKeyInfo (RFC 7469, and kubeadm's ``pubkeypin`` package).

    :raises DerError: when a certificate is malformed.
    """
    pins = []
    for block in pem_blocks(pem, "CERTIFICATE"):
        fields = parse(block).children()[0].children()
        # version is [0] and optional; then serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo.
        place = 6 if fields and fields[0].tag == context(0, constructed=True) else 5
        if place >= len(fields):
            raise DerError("a certificate has no public key")
        pins.append("sha256:" + hashlib.sha256(fields[place].encoded).hexdigest())
    return pins


def pem_blocks(text: str, label: str) -> t.List[bytes]:
    """The decoded PEM blocks with ``label``, for example ``CERTIFICATE``, in their order.

    :raises DerError: when a block is not base64.
    """
    name = re.escape(label)
    blocks = []
    for match in re.finditer(f"-----BEGIN {name}-----(.*?)-----END {name}-----", text, re.DOTALL):
        try:
            blocks.append(base64.b64decode("".join(match.group(1).split()), validate=True))
        except binascii.Error as error:
            raise DerError(f"a PEM block {label} is not base64") from error
    return blocks
