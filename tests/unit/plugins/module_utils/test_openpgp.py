# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import openpgp
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FIXTURES

KUBERNETES = (FIXTURES / "kubernetes.asc").read_bytes()
KUBERNETES_FINGERPRINT = "E23CA7F303F4ECE149E7F3DC73D22F7A9728DC2C"
SUBKEY = (FIXTURES / "subkey.gpg").read_bytes()
KEY_BODY = next(openpgp.packets(openpgp.dearmour(KUBERNETES)))[1]
NAME = openpgp._packet(openpgp.USER_ID, b"x")


def test_fingerprint_of_an_armoured_key_is_what_gpg_says() -> None:
    assert openpgp.is_armoured(KUBERNETES)
    assert openpgp.public_keys(KUBERNETES) == [openpgp.PublicKey(KUBERNETES_FINGERPRINT, ())]


def test_binary_key_with_subkey() -> None:
    assert not openpgp.is_armoured(SUBKEY)
    assert openpgp.public_keys(SUBKEY) == [
        openpgp.PublicKey("04B54C3CDCA79751B16BC6B5225629DF75B188BD", ("B8E5F13176D2A7A75220028078DBA3BC47EF2265",))
    ]


def test_two_armoured_blocks_and_windows_line_ends() -> None:
    docker = (FIXTURES / "docker.asc").read_bytes().replace(b"\n", b"\r\n")
    found = [key.fingerprint for key in openpgp.public_keys(KUBERNETES + docker)]
    assert found == [KUBERNETES_FINGERPRINT, "039ECC206BA9C3F21A8E755E91DC6AD02E8DC6CD"]


def test_binary_form_has_the_same_key() -> None:
    assert openpgp.public_keys(openpgp.dearmour(KUBERNETES)) == openpgp.public_keys(KUBERNETES)


def test_a_keyring_is_what_was_understood() -> None:
    written = openpgp.keyring(KUBERNETES)
    assert written == openpgp.keyring(openpgp.dearmour(KUBERNETES)) == openpgp.keyring(written)
    assert openpgp.public_keys(written) == openpgp.public_keys(KUBERNETES)
    # What its owner noted for himself, and what says nothing, are no part of it; long packets have long headers.
    noted = written + b"\xcc\x02\0\0\xca\x03PGP"
    assert openpgp.keyring(noted) == written
    picture = openpgp._packet(openpgp.USER_ATTRIBUTE, b"x" * 70000)
    assert openpgp.keyring(written + picture) == written + picture
    assert list(openpgp.packets(openpgp._packet(2, b"x" * 70000))) == [(2, b"x" * 70000)]


def test_armour_that_is_written() -> None:
    one, other = openpgp.keyring(KUBERNETES), openpgp.keyring(SUBKEY)
    text = openpgp.armoured(one + other)
    assert openpgp.dearmour(text) == one + other and text.count(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n") == 2
    # With the checksum that gpg has written, too.
    checksum = [line for line in KUBERNETES.splitlines() if line.startswith(b"=")]
    assert [
        line for line in openpgp.armoured(openpgp.dearmour(KUBERNETES)).splitlines() if line[:1] == b"="
    ] == checksum
    assert max(map(len, text.splitlines())) == 64
    with pytest.raises(openpgp.OpenPgpError):
        openpgp.armoured(b"text")


def test_a_key_of_version_6_needs_no_name() -> None:
    [key] = openpgp.public_keys(openpgp._packet(6, b"\x06abc"))
    assert len(key.fingerprint) == 64


def test_armour_without_headers_or_empty_line() -> None:
    lines = [line for line in KUBERNETES.splitlines() if line]
    assert openpgp.public_keys(b"\n".join(lines))[0].fingerprint == KUBERNETES_FINGERPRINT


@pytest.mark.parametrize("length", [100, 191, 192, 1000, 8383, 8384, 70000])
def test_packet_lengths_of_the_new_format(length: int) -> None:
    if length < 192:
        header = bytes([length])
    elif length < 8384:
        header = bytes([((length - 192) >> 8) + 192, (length - 192) & 0xFF])
    else:
        header = b"\xff" + length.to_bytes(4, "big")
    data = b"\xc6" + header + b"x" * length
    assert [(kind, len(body)) for kind, body in openpgp.packets(data)] == [(6, length)]


@pytest.mark.parametrize("octets", [1, 2, 4])
def test_packet_lengths_of_the_old_format(octets: int) -> None:
    data = bytes([0x80 | 6 << 2 | {1: 0, 2: 1, 4: 2}[octets]]) + (5).to_bytes(octets, "big") + b"abcde"
    assert list(openpgp.packets(data)) == [(6, b"abcde")]


def test_version_6_is_named_by_sha256() -> None:
    assert len(openpgp.fingerprint(b"\x06abc")) == 64


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"<html>Please log in</html>", "does not consist of OpenPGP packets"),
        (b"", "holds no public key"),
        (b"\xc6\x05ab", "cut off"),
        (b"\xc6", "cut off"),
        (b"\xc6\xe1a", "unknown length"),
        (b"\x9bab", "unknown length"),
        (b"\xc6\x02\x03a", "version 3"),
        (b"\xc6\x06\x04abcd\x63", "an algorithm that is not known"),
        (b"\xc6\x08\x04abcd\x01\x00\x09", "not as long as it says"),
        (b"\xc6\x07\x04abcd\x13\x00", "curve is malformed"),
        (openpgp.keyring(KUBERNETES)[:3] + openpgp.keyring(KUBERNETES)[3:] + b"\xcb\x01a", "packet of type 11"),
        (b"\xc8\x01a" + openpgp.keyring(KUBERNETES), "packet of type 8"),
        (openpgp._packet(6, KEY_BODY), "has no user id"),
        (openpgp._packet(6, KEY_BODY + b"\0") + NAME, "longer or shorter than its numbers"),
        (openpgp._packet(6, KEY_BODY[:-1]) + NAME, "not as long as it says"),
        (KUBERNETES.replace(b"PGP PUBLIC KEY BLOCK", b"APT KEY"), "holds a APT KEY, not"),
        (b"x\n" + KUBERNETES, "text outside of its block"),
        (KUBERNETES + b"x\n", "text outside of its block"),
        (b"x" + KUBERNETES, "text outside of its block"),
        (KUBERNETES.rstrip()[:-1], "damaged"),
        (KUBERNETES.replace(b"\n=", b"\nAAAA\n="), "damaged"),
        (KUBERNETES + KUBERNETES.replace(b"PUBLIC KEY BLOCK", b"SIGNATURE"), "holds a PGP SIGNATURE"),
        (b"\xc5\x01a", "private key"),
        (
            b"-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlFgEaw==\n-----END PGP PRIVATE KEY BLOCK-----",
            "PRIVATE KEY BLOCK",
        ),
        (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!!!!\n-----END PGP PUBLIC KEY BLOCK-----", "damaged"),
        (
            b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n"
            + base64.b64encode(b"\xce\x05\x04abcd")
            + b"\n-----END PGP PUBLIC KEY BLOCK-----",
            "holds no public key",
        ),
    ],
)
def test_what_is_no_public_key(data: bytes, message: str) -> None:
    with pytest.raises(openpgp.OpenPgpError, match=message):
        openpgp.public_keys(data)


def test_fingerprints_as_people_write_them() -> None:
    spaced = "e23c a7f3 03f4 ece1 49e7  f3dc 73d2 2f7a 9728 dc2c"
    assert openpgp.normalise_fingerprint(spaced) == KUBERNETES_FINGERPRINT
    assert openpgp.normalise_fingerprint("0x" + KUBERNETES_FINGERPRINT) == KUBERNETES_FINGERPRINT


@pytest.mark.parametrize("text", ["73D22F7A9728DC2C", "", "E23C" * 11])
def test_key_ids_are_no_fingerprints(text: str) -> None:
    with pytest.raises(openpgp.OpenPgpError, match="not a whole fingerprint"):
        openpgp.normalise_fingerprint(text)
