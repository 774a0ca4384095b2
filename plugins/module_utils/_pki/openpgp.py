# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read OpenPGP public keys without gpg: fingerprints of the keys in a file, armoured or binary.

Strict: whatever is read here, gpg reads the same (tests/integration/differential tries it). The readers of package
managers differ from each other and from gpg: some take the first block of any label, some text around it. So what is
written for them is what was understood here, and nothing else: the packets of the keys.

No signature is verified here; that is left to the package manager. Formats: RFC 9580 (armour: section 6, packet
headers: section 4.2, public keys: section 5.5). Private to this collection.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import typing as t

PUBLIC_KEY = 6
PUBLIC_SUBKEY = 14
SECRET_KEYS = (5, 7)

SIGNATURE = 2
USER_ID = 13
USER_ATTRIBUTE = 17
#: What the owner of a keyring has noted for himself, and what says nothing.
TRUST, MARKER = 12, 10
_OF_KEYS = (PUBLIC_KEY, PUBLIC_SUBKEY, SIGNATURE, USER_ID, USER_ATTRIBUTE)

_BEGIN = re.compile(rb"-----BEGIN ([^\r\n]*?)-----")
_HEADER = re.compile(rb"[A-Za-z][A-Za-z-]*:( [^\0-\x1f\x7f]*)?")
_LABEL = b"PGP PUBLIC KEY BLOCK"

#: Of what numbers (M) a key of an algorithm consists; O is the object identifier of a curve, K the parameters of ECDH.
_NUMBERS = {1: "MM", 2: "MM", 3: "MM", 16: "MMM", 17: "MMMM", 18: "OMK", 19: "OM", 20: "MMM", 22: "OM"}


class OpenPgpError(ValueError):
    """The data is not an OpenPGP public key."""


class PublicKey(t.NamedTuple):
    """One primary key and its subkeys."""

    fingerprint: str
    """Upper-case hexadecimal digits, as ``gpg --fingerprint`` prints them without spaces."""
    subkeys: t.Tuple[str, ...]
    """Fingerprints of the subkeys, which may be what signs the repository."""


def is_armoured(data: bytes) -> bool:
    """Whether ``data`` is the text form of a key, or was meant to be one."""
    return not data[:1] >= b"\x80" and _BEGIN.search(data) is not None


def dearmour(data: bytes) -> bytes:
    """The binary form of ``data``, which is either armoured (any number of blocks, nothing else) or binary already.

    :raises OpenPgpError: when a block is not base64 or holds something other than public keys, or there is other text.
    """
    if not is_armoured(data):
        return data
    content = b""
    block: t.Optional[t.List[bytes]] = None
    for line in (line.rstrip(b" \t\r") for line in data.split(b"\n")):
        begin = _BEGIN.fullmatch(line)
        if begin and begin.group(1) != _LABEL:
            raise OpenPgpError(f"it holds a {begin.group(1)[:40].decode('ascii', 'replace')}, not a public key")
        if block is None and begin:
            block = []
        elif block is not None and line == b"-----END " + _LABEL + b"-----":
            content += _dearmour_block(block)
            block = None
        elif block is not None:
            block.append(line)
        elif line:
            raise OpenPgpError("it has text outside of its block")
    if block is not None:
        raise OpenPgpError("its armour is damaged (it has no end)")
    return content


def _dearmour_block(lines: t.List[bytes]) -> bytes:
    # Headers ("Version: ...") end at the first empty line.
    place = lines.index(b"") if b"" in lines else 0
    headers = lines[:place] if all(map(_HEADER.fullmatch, lines[:place])) else []
    body = [line for line in lines[len(headers) :] if line]
    # A line that starts with "=" is the checksum.
    checksum = body.pop()[1:] if body and re.fullmatch(rb"=[A-Za-z0-9+/]{4}", body[-1]) else None
    text = b"".join(body)
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise OpenPgpError(f"its armour is damaged ({error})") from error
    if base64.b64encode(content) != text:
        raise OpenPgpError("its armour is damaged (it is not base64 as it is written by rule)")
    if checksum is not None and base64.b64decode(checksum) != _crc24(content).to_bytes(3, "big"):
        raise OpenPgpError("its armour is damaged (the checksum is another)")
    return content


def _crc24(content: bytes) -> int:
    """The checksum of an armour (RFC 9580, 6.1)."""
    crc = 0xB704CE
    for octet in content:
        crc ^= octet << 16
        for _bit in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return crc


def packets(data: bytes) -> t.Iterator[t.Tuple[int, bytes]]:
    """The packets of binary OpenPGP ``data`` as (type, body).

    :raises OpenPgpError: when it does not consist of packets of a known length.
    """
    position = 0
    while position < len(data):
        first = data[position]
        if not first & 0x80:
            raise OpenPgpError("it does not consist of OpenPGP packets")
        kind, start, length = _header(data, position, first)
        if start + length > len(data):
            raise OpenPgpError("it is cut off")
        yield kind, data[start : start + length]
        position = start + length


def _header(data: bytes, position: int, first: int) -> t.Tuple[int, int, int]:
    """Type, start of the body and its length, of the packet whose header begins at ``position``."""
    if first & 0x40:
        kind, size = first & 0x3F, data[position + 1 : position + 2]
        if not size or 224 <= size[0] < 255:
            raise OpenPgpError("it is cut off or has a packet of unknown length")
        if size[0] < 192:
            return kind, position + 2, size[0]
        if size[0] < 224:
            return kind, position + 3, int.from_bytes(data[position + 1 : position + 3], "big") - (192 << 8) + 192
        return kind, position + 6, int.from_bytes(data[position + 2 : position + 6], "big")
    octets = (1, 2, 4, 0)[first & 0x03]
    if not octets:
        raise OpenPgpError("it has a packet of unknown length")
    start = position + 1 + octets
    return (first >> 2) & 0x0F, start, int.from_bytes(data[position + 1 : start], "big")


def fingerprint(body: bytes) -> str:
    """The fingerprint of the public key (or subkey) packet with this ``body``.

    :raises OpenPgpError: for versions other than 4 and 6.
    """
    version = body[0] if body else 0
    if version == 4:
        # SHA-1 is what the format prescribes for the name of a version 4 key.
        return hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body).hexdigest().upper()
    if version == 6:
        return hashlib.sha256(b"\x9b" + len(body).to_bytes(4, "big") + body).hexdigest().upper()
    raise OpenPgpError(f"it has a key of version {version}, known are 4 and 6")


def _check_key(body: bytes) -> None:
    """Refuse a key that others would read otherwise, or not as a whole.

    :raises OpenPgpError: when it does not consist of just the numbers of its algorithm.
    """
    if not body or body[0] != 4:
        return
    shape = _NUMBERS.get(body[5] if len(body) > 5 else 0)
    if shape is None:
        raise OpenPgpError("it has a key of an algorithm that is not known")
    position = 6
    for kind in shape:
        if kind == "M":
            bits = int.from_bytes(body[position : position + 2], "big")
            number = body[position + 2 : position + 2 + (bits + 7) // 8]
            if not bits or int.from_bytes(number, "big").bit_length() != bits:
                raise OpenPgpError("a number of a key is not as long as it says")
            position += 2 + len(number)
        else:
            size = body[position] if position < len(body) else 0
            if not 0 < size < 0xFF:
                raise OpenPgpError("a key's curve is malformed")
            position += 1 + size
    if position != len(body):
        raise OpenPgpError("a key is longer or shorter than its numbers")


def _key_packets(data: bytes) -> t.Iterator[t.Tuple[int, bytes]]:
    """The packets that keys consist of, as (type, body), the first of them a public key.

    :raises OpenPgpError: when there are others.
    """
    begun = False
    for kind, body in packets(dearmour(data)):
        if kind in (TRUST, MARKER):
            continue
        if kind in SECRET_KEYS:
            raise OpenPgpError("it holds a private key")
        if kind not in _OF_KEYS:
            raise OpenPgpError(f"it holds a packet of type {kind}, which is no part of a public key")
        begun = begun or kind == PUBLIC_KEY
        if not begun:
            raise OpenPgpError("it holds no public key at its beginning")
        if kind in (PUBLIC_KEY, PUBLIC_SUBKEY):
            _check_key(body)
        yield kind, body


def public_keys(data: bytes) -> t.List[PublicKey]:
    """The public keys of a key file, armoured or binary.

    :raises OpenPgpError: when it holds none, or is something else. The message completes "... : it holds no key".
    """
    keys: t.List[t.List[str]] = []
    nameless: t.List[str] = []
    for kind, body in _key_packets(data):
        if kind == PUBLIC_KEY:
            keys.append([fingerprint(body)])
            # gpg leaves out keys without the name of an owner; those of version 6 need none.
            nameless += keys[-1] if body[0] == 4 else []
        elif kind == PUBLIC_SUBKEY:
            keys[-1].append(fingerprint(body))
        elif kind == USER_ID and keys[-1][0] in nameless:
            nameless.remove(keys[-1][0])
    if not keys:
        raise OpenPgpError("it holds no public key")
    if nameless:
        raise OpenPgpError(f"its key {nameless[0]} has no user id")
    return [PublicKey(names[0], tuple(names[1:])) for names in keys]


def keyring(data: bytes) -> bytes:
    """The keys of a key file with what belongs to them (subkeys, user ids, signatures), as gpgv and sqv read them.

    It is made of what was understood of the file, in one way: that of an equal key is equal.

    :raises OpenPgpError: as :func:`public_keys`.
    """
    public_keys(data)
    return b"".join(_packet(kind, body) for kind, body in _key_packets(data))


def armoured(data: bytes) -> bytes:
    """The keys of a binary file as text, each in a block of its own: not all readers go on after the first key of one.

    :raises OpenPgpError: when it does not consist of packets.
    """
    keys: t.List[bytes] = []
    for kind, body in packets(data):
        if kind == PUBLIC_KEY or not keys:
            keys.append(b"")
        keys[-1] += _packet(kind, body)
    return b"".join(map(_block, keys))


def _block(content: bytes) -> bytes:
    text = base64.b64encode(content)
    lines = [text[place : place + 64] for place in range(0, len(text), 64)]
    # RFC 9580 leaves the checksum to the writer; older readers insist on it.
    checksum = b"=" + base64.b64encode(_crc24(content).to_bytes(3, "big"))
    head, foot = (b"-----%s %s-----" % (word, _LABEL) for word in (b"BEGIN", b"END"))
    return b"\n".join([head, b"", *lines, checksum, foot, b""])


def _packet(kind: int, body: bytes) -> bytes:
    size = len(body)
    if kind > 15:
        return bytes([0xC0 | kind, 0xFF]) + size.to_bytes(4, "big") + body
    octets = 0 if size < 0x100 else 1 if size < 0x10000 else 2
    return bytes([0x80 | kind << 2 | octets]) + size.to_bytes(1 << octets, "big") + body


def normalise_fingerprint(text: str) -> str:
    """``text`` without spaces, colons and ``0x``, in upper case.

    :raises OpenPgpError: when it is not a whole fingerprint: key ids can be forged.
    """
    digits = re.sub(r"[\s:]", "", text).upper()
    digits = digits[2:] if digits.startswith("0X") else digits
    if not re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", digits):
        raise OpenPgpError(f"{text!r} is not a whole fingerprint (40 hexadecimal digits, 64 for version 6 keys)")
    return digits
