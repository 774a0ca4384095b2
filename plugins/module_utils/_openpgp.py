# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read OpenPGP public keys without gpg: fingerprints of the keys in a file, armoured or binary.

Nothing is verified here; that is left to the package manager. Formats: RFC 9580 (armour: section 6, packet
headers: section 4.2, fingerprints: section 5.5.4). Private to this collection.
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

_ARMOUR = re.compile(rb"-----BEGIN PGP ([A-Z ]+)-----[ \t]*\r?\n(.*?)-----END PGP \1-----", re.DOTALL)


class OpenPgpError(ValueError):
    """The data is not an OpenPGP public key."""


class PublicKey(t.NamedTuple):
    """One primary key and its subkeys."""

    fingerprint: str
    """Upper-case hexadecimal digits, as ``gpg --fingerprint`` prints them without spaces."""
    subkeys: t.Tuple[str, ...]
    """Fingerprints of the subkeys, which may be what signs the repository."""


def is_armoured(data: bytes) -> bool:
    """Whether ``data`` is the text form of a key."""
    return _ARMOUR.search(data) is not None


def dearmour(data: bytes) -> bytes:
    """The binary form of ``data``, which is either armoured (any number of blocks) or binary already.

    :raises OpenPgpError: when a block is not base64 or holds something other than public keys.
    """
    blocks = _ARMOUR.findall(data)
    if not blocks:
        return data
    return b"".join(_dearmour_block(label.decode(), text) for label, text in blocks)


def _dearmour_block(label: str, text: bytes) -> bytes:
    if label != "PUBLIC KEY BLOCK":
        raise OpenPgpError(f"it holds a PGP {label}, not a public key")
    lines = text.replace(b"\r\n", b"\n").split(b"\n")
    # Headers ("Version: ...") end at the first empty line; a line that starts with "=" is the checksum.
    body = lines[lines.index(b"") + 1 :] if b"" in lines[:-1] else lines
    try:
        return base64.b64decode(b"".join(line.strip() for line in body if not line.startswith(b"=")), validate=True)
    except binascii.Error as error:
        raise OpenPgpError(f"its armour is damaged ({error})") from error


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


def public_keys(data: bytes) -> t.List[PublicKey]:
    """The public keys of a key file, armoured or binary.

    :raises OpenPgpError: when it holds none, or is something else. The message completes "... : it holds no key".
    """
    keys: t.List[t.List[str]] = []
    for kind, body in packets(dearmour(data)):
        if kind in SECRET_KEYS:
            raise OpenPgpError("it holds a private key")
        if kind == PUBLIC_KEY:
            keys.append([fingerprint(body)])
        elif kind == PUBLIC_SUBKEY and keys:
            keys[-1].append(fingerprint(body))
    if not keys:
        raise OpenPgpError("it holds no public key")
    return [PublicKey(names[0], tuple(names[1:])) for names in keys]


def normalise_fingerprint(text: str) -> str:
    """``text`` without spaces, colons and ``0x``, in upper case.

    :raises OpenPgpError: when it is not a whole fingerprint: key ids can be forged.
    """
    digits = re.sub(r"[\s:]", "", text).upper()
    digits = digits[2:] if digits.startswith("0X") else digits
    if not re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", digits):
        raise OpenPgpError(f"{text!r} is not a whole fingerprint (40 hexadecimal digits, 64 for version 6 keys)")
    return digits
