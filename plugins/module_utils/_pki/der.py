# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read DER (ITU-T X.690) and PEM (RFC 7468): as much as certificates and certificate requests need.

Strict: what DER does not allow (indefinite or needlessly long lengths, bytes left over) is an error, so that nobody
reads another meaning out of the same bytes than we do. Kubernetes reads with Go's encoding/pem, encoding/asn1 and
crypto/x509: whatever is read here, they read the same (tests/integration/differential tries it). Where they are more
lenient, this is an error.

Private to this collection.
"""

from __future__ import annotations

import base64
import dataclasses
import re
import typing as t

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL = 0x05
OBJECT_IDENTIFIER = 0x06
UTF8_STRING = 0x0C
NUMERIC_STRING = 0x12
PRINTABLE_STRING = 0x13
TELETEX_STRING = 0x14
IA5_STRING = 0x16
BMP_STRING = 0x1E
SEQUENCE = 0x30
SET = 0x31

_TEXT_ENCODINGS = {
    UTF8_STRING: "utf-8",
    NUMERIC_STRING: "ascii",
    PRINTABLE_STRING: "ascii",
    TELETEX_STRING: "latin-1",
    IA5_STRING: "ascii",
    BMP_STRING: "utf-16-be",
}
#: The characters of those types that have less than their encoding. The asterisk and the ampersand do not belong to
#: PrintableString, but are so common that Go takes them.
_CHARACTERS = {
    NUMERIC_STRING: re.compile(r"[0-9 ]*"),
    PRINTABLE_STRING: re.compile(r"[A-Za-z0-9 '()+,./:=?*&-]*"),
    # The Basic Multilingual Plane without what is reserved for ever.
    BMP_STRING: re.compile("[^\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff\U00010000-\U0010ffff]*"),
}
#: The largest number in an object identifier that others read.
_LARGEST_NUMBER = 2**31 - 1
_BEGIN = re.compile(r"-----BEGIN ([A-Z0-9]+(?: [A-Z0-9]+)*)-----")


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
        value, begins = 0, True
        for octet in self.content:
            if begins and octet == 0x80:
                raise DerError("a number in an object identifier is encoded in more octets than it needs")
            value, begins = value << 7 | octet & 0x7F, not octet & 0x80
            if value > _LARGEST_NUMBER:
                raise DerError("a number in an object identifier is too large")
            if begins:
                numbers.append(value)
                value = 0
        first = min(numbers[0] // 40, 2)
        return ".".join(str(number) for number in [first, numbers[0] - 40 * first, *numbers[1:]])

    def integer(self) -> int:
        """The value of an INTEGER."""
        self.expect(INTEGER)
        if not self.content:
            raise DerError("an integer has no octets")
        if len(self.content) > 1 and self.content[0] == (0xFF if self.content[1] & 0x80 else 0):
            raise DerError("an integer is encoded in more octets than it needs")
        return int.from_bytes(self.content, "big", signed=True)

    def boolean(self) -> bool:
        """The value of a BOOLEAN."""
        if self.expect(BOOLEAN).content not in (b"\0", b"\xff"):
            raise DerError("a boolean is neither true nor false")
        return self.content == b"\xff"

    def bits(self) -> bytes:
        """The octets of a BIT STRING that consists of whole octets, as keys and signatures do."""
        self.expect(BIT_STRING)
        if not self.content or self.content[0] != 0:
            raise DerError("a bit string does not consist of whole octets")
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
            text = self.content.decode(encoding)
        except UnicodeDecodeError as error:
            raise DerError(f"a character string is not {encoding}") from error
        if self.tag in _CHARACTERS and not _CHARACTERS[self.tag].fullmatch(text):
            raise DerError(f"a character string with tag 0x{self.tag:02x} has characters that its type has not")
        # Some end such strings like those of C, and Go leaves that out.
        return text[:-1] if self.tag == BMP_STRING and text.endswith("\0") else text


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


def pem_block(text: str, label: str) -> bytes:
    """The content of ``text``, which is one PEM block with ``label`` and nothing else.

    This is for what others sent: there is one way to write it, as Go's pem.Encode does but for the length of lines.
    Headers, spaces, carriage returns, empty lines, anything before or after the block are errors.

    :raises DerError: when it is something else.
    """
    match = re.fullmatch(f"-----BEGIN {label}-----\n((?:[A-Za-z0-9+/=]+\n)+)-----END {label}-----\n?", text)
    if not match:
        raise DerError(f"expected one PEM block {label} and nothing else")
    return _base64(match.group(1).replace("\n", ""), label)


def pem_blocks(text: str, label: str) -> t.List[bytes]:
    """The decoded PEM blocks with ``label``, for example ``CERTIFICATE``, in their order.

    Between blocks there may be text, as openssl and people write it. What begins or ends a block stands on a line of
    its own, and blocks have no headers: what others might read as another block, or not as one, is an error.

    :raises DerError: when a block is malformed or not base64.
    """
    blocks: t.List[bytes] = []
    if "\n-----END " not in text:
        # Nothing ends, as in a file that was written in part: there is no block.
        return blocks
    inside, body = "", ""
    lines = text.split("\n")
    for number, line in enumerate(lines):
        # A carriage return belongs to the end of a line, not to that of the text.
        stripped = (line[:-1] if line.endswith("\r") and number < len(lines) - 1 else line).rstrip(" \t")
        begin = _BEGIN.fullmatch(stripped)
        if begin and not inside:
            inside, body = begin.group(1), ""
        elif inside and stripped == f"-----END {inside}-----":
            if inside == label:
                blocks.append(_base64(body, label))
            inside = ""
        elif "-----BEGIN" in line or "-----END" in line:
            raise DerError(f"line {number + 1} begins or ends a PEM block where none can begin or end")
        elif inside and ":" in line:
            raise DerError(f"a PEM block {inside} has a header")
        else:
            body += stripped
    if inside:
        raise DerError(f"a PEM block {inside} has no end")
    return blocks


def _base64(body: str, label: str) -> bytes:
    """What ``body`` says, which is the only way to write that.

    :raises DerError: when it is not.
    """
    try:
        content = base64.b64decode(body, validate=True)
        canonical = base64.b64encode(content).decode() == body
    except ValueError as error:
        raise DerError(f"a PEM block {label} is not base64") from error
    if not canonical:
        raise DerError(f"a PEM block {label} is not base64 as it is written by rule")
    return content
