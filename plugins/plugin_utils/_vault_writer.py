# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write a file of ansible-vault (format 1.1, AES256) piece by piece; Ansible's own way needs all of it in memory.

The format: hexadecimal digits, 80 in a line, of three lines: salt, HMAC-SHA256 and the ciphertext, each in hexadecimal
digits itself. Keys are derived by PBKDF2 (SHA-256, 10,000 rounds), the cipher is AES-256 in counter mode, padded as by
PKCS #7. The HMAC comes first, so the ciphertext waits in a file without a name until it is known.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import tempfile
import typing as t

_HEADER = b"$ANSIBLE_VAULT;1.1;AES256\n"
_ROUNDS = 10000
_BLOCK = 16
#: Bytes that make a line of 80 digits.
_LINE = 40
_CHUNK = 1 << 20


class PlainWriter:
    """Writes what it gets."""

    #: How many bytes of disk a byte needs at most, in whole numbers.
    GROWTH = 1

    def __init__(self, target: t.BinaryIO) -> None:
        self._target = target

    def __enter__(self) -> PlainWriter:
        return self

    def __exit__(self, *_error: t.Any) -> None:
        return None

    def write(self, content: bytes) -> None:
        """Write one piece."""
        self._target.write(content)

    def finish(self) -> None:
        """All pieces were there."""


class VaultWriter(PlainWriter):
    """Writes the base64 of what it gets, encrypted; pieces but the last are multiples of three bytes."""

    #: 4/3 for base64, which waits in a file, and four times that as digits of digits.
    GROWTH = 7

    def __init__(self, target: t.BinaryIO, folder: str, password: str) -> None:
        """:param folder: where the ciphertext waits."""
        super().__init__(target)
        self._salt = os.urandom(32)
        derived = hashlib.pbkdf2_hmac("sha256", password.encode(), self._salt, _ROUNDS, 80)
        # Ansible itself needs it for vaults, and only for them.
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

        self._encryptor = Cipher(algorithms.AES(derived[:32]), modes.CTR(derived[64:])).encryptor()
        self._hmac = hmac.new(derived[32:64], digestmod=hashlib.sha256)
        handle, path = tempfile.mkstemp(prefix=".slipway-", dir=folder)
        os.unlink(path)
        self._waiting: t.BinaryIO = os.fdopen(handle, "w+b")
        self._length = 0

    def __exit__(self, *_error: t.Any) -> None:
        self._waiting.close()

    def write(self, content: bytes) -> None:
        """Encrypt one piece."""
        self._encrypt(base64.b64encode(content))

    def _encrypt(self, plain: bytes) -> None:
        self._length += len(plain)
        encrypted = self._encryptor.update(plain)
        self._hmac.update(encrypted)
        self._waiting.write(encrypted)

    def finish(self) -> None:
        """Write the file, now that its HMAC is known."""
        padding = _BLOCK - self._length % _BLOCK
        self._encrypt(bytes([padding]) * padding)
        self._target.write(_HEADER)
        rest = binascii.hexlify(self._salt) + b"\n" + self._hmac.hexdigest().encode() + b"\n"
        self._waiting.seek(0)
        for chunk in iter(lambda: self._waiting.read(_CHUNK), b""):
            rest = self._lines(rest + binascii.hexlify(chunk))
        if rest:
            self._target.write(binascii.hexlify(rest) + b"\n")

    def _lines(self, inner: bytes) -> bytes:
        """Write whole lines; returns what is left for the next."""
        whole = len(inner) - len(inner) % _LINE
        digits = binascii.hexlify(inner[:whole])
        lines = [digits[start : start + 2 * _LINE] for start in range(0, len(digits), 2 * _LINE)]
        self._target.write(b"".join(line + b"\n" for line in lines))
        return inner[whole:]
