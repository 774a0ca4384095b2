# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import der


def element(octets: str) -> der.Element:
    return der.parse(bytes.fromhex(octets))


def test_nested_elements() -> None:
    number, identifier = element("3008 0201ff 0603550403").children()
    assert number.integer() == -1 and identifier.oid() == "2.5.4.3"
    assert identifier.encoded == bytes.fromhex("0603550403")


@pytest.mark.parametrize(
    ("octets", "oid"),
    [
        ("0603550403", "2.5.4.3"),
        ("06062a864886f70d", "1.2.840.113549"),
        ("06062a87ffffff7f", "1.2.2147483647"),
        ("06062a8880808000", None),  # larger than what others read
        ("06055580040380", None),
        ("0604558004 03", None),  # a number in more octets than it needs
        ("0600", None),
        ("060186", None),
    ],
)
def test_object_identifiers(octets: str, oid: t.Optional[str]) -> None:
    if oid:
        assert element(octets).oid() == oid
    else:
        with pytest.raises(der.DerError):
            element(octets).oid()


def test_long_lengths() -> None:
    content = b"x" * 300
    assert der.parse(b"\x04\x82\x01\x2c" + content).octets() == content
    assert der.parse(b"\x04\x81\x80" + content[:128]).octets() == content[:128]


@pytest.mark.parametrize(
    "octets",
    [
        "",
        "04",
        "0402ff",  # cut off
        "0400ff",  # something follows
        "0480ffff0000",  # indefinite length
        "0485000000000100",  # length of five octets
        "0482ff",  # cut off in the length
        "04817f" + "00" * 127,  # length in more octets than it needs
        "04820080" + "00" * 128,
        "1f2000",  # tag number above 30
    ],
)
def test_malformed(octets: str) -> None:
    with pytest.raises(der.DerError):
        element(octets)


def test_texts() -> None:
    assert element("0c02c3a4").text() == "ä"
    assert element("1e0400410042").text() == "AB"
    assert element("1e0400410000").text() == "A"
    assert element("14 01 e4").text() == "ä"
    assert element("1203312032").text() == "1 2" and element("13012a").text() == "*"
    for octets in ("1301c3", "0201ff", "13015f", "130100", "120161", "1e02d800", "1e02fdd0", "1e02ffff", "1e0141"):
        with pytest.raises(der.DerError, match="string"):
            element(octets).text()


def test_wrong_types() -> None:
    for read in (
        element("0401ff").integer,
        element("0200").integer,
        element("0201ff").octets,
        element("0201ff").children,
        element("0300").bits,
        element("030108").bits,
        element("030201fe").bits,
        element("02020001").integer,
        element("0202ff80").integer,
        element("010101").boolean,
        element("0100").boolean,
        element("0201ff").boolean,
    ):
        with pytest.raises(der.DerError):
            read()
    assert element("02020080").integer() == 128 and element("0202ff7f").integer() == -129
    assert element("0101ff").boolean() and not element("010100").boolean()
    assert element("030300ffee").bits() == b"\xff\xee"
    assert [child.tag for child in element("a0030201ff").children(der.context(0, constructed=True))] == [2]
    assert len(element("310302 01ff").children(tag=None)) == 1


def test_pem() -> None:
    body = base64.encodebytes(b"content").decode()
    text = f"x\n-----BEGIN A B-----\n{body}-----END A B-----\n-----BEGIN C-----\n=\n-----END C-----\n"
    assert der.pem_blocks(text, "A B") == [b"content"]
    assert der.pem_blocks(text, "D") == []
    with pytest.raises(der.DerError, match="not base64"):
        der.pem_blocks(text, "C")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x-----BEGIN A-----\nAAAA\n-----END A-----\n", "line 1 begins or ends"),
        ("-----BEGIN A-----\nAAAA-----END A-----:x\n\nBBBB\n-----END A-----\n", "line 2 begins or ends"),
        ("-----BEGIN A-----\nAAAA\n-----BEGIN A-----\nBBBB\n-----END A-----\n", "line 3 begins or ends"),
        ("-----BEGIN A-----\nAAAA\n-----END B-----\n", "line 3 begins or ends"),
        ("-----BEGIN A-----\nAAAA\n-----END A-----\r", "line 3 begins or ends"),
        ("\n-----END A-----\n", "line 2 begins or ends"),
        ("-----BEGIN A-----\nX: y\n\nAAAA\n-----END A-----\n", "header"),
        ("-----BEGIN A-----\nAAAA\n-----END A-----\n-----BEGIN A-----\n", "has no end"),
        ("-----BEGIN A-----\nAAB=\n-----END A-----\n", "by rule"),
        ("-----BEGIN A-----\nAA=A\n-----END A-----\n", "base64"),
        ("-----BEGIN A-----\nAA\x0bAA\n-----END A-----\n", "base64"),
        ("-----BEGIN A-----\nAA\rAA\n-----END A-----\n", "base64"),
    ],
)
def test_blocks_that_others_would_read_otherwise(text: str, message: str) -> None:
    with pytest.raises(der.DerError, match=message):
        der.pem_blocks(text, "A")


def test_blocks_as_openssl_and_people_write_them() -> None:
    text = "Certificate: 1\r\n-----BEGIN A----- \r\nAAAA\t\r\n\r\nAAAA\r\n-----END A-----  \r\n# two\n"
    assert der.pem_blocks(text, "A") == [bytes(6)]
    assert der.pem_blocks("-----BEGIN A-----\nAAAA\n", "A") == []
