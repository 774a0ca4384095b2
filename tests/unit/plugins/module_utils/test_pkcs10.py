# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import der as _der
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import pkcs10
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import fixture


def recorded_pem(name: str, request: str) -> str:
    items = {item["metadata"]["name"]: item for item in fixture(name)["items"]}
    return base64.b64decode(items[request]["spec"]["request"]).decode()


def recorded(name: str, request: str) -> pkcs10.Request:
    return pkcs10.parse(recorded_pem(name, request))


def test_a_kubelet_request() -> None:
    request = recorded("csr-kubelets.json", "csr-qxthb")
    assert request.subject == [(pkcs10.ORGANIZATION, "system:nodes"), (pkcs10.COMMON_NAME, "system:node:kapi2")]
    assert (request.dns_names, request.addresses, request.others) == (["kapi2"], ["172.30.0.3"], [])


def test_names_of_other_types() -> None:
    assert recorded("csr-crafted.json", "good").addresses == ["127.0.0.1", "fd00::1"]
    assert recorded("csr-crafted.json", "uri").others == ["alternative name of type 6"]
    assert recorded("csr-crafted.json", "client").dns_names == []


# Crafted requests


def der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x81, size]) if size < 256 else b"\x82" + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def oid(text: str) -> bytes:
    return bytes.fromhex({"extensions": "06092a864886f70d01090e", "san": "0603551d11", "usage": "0603551d0f"}[text])


INFO = _der.parse(_der.pem_block(recorded_pem("csr-kubelets.json", "csr-qxthb"), "CERTIFICATE REQUEST")).children()
SUBJECT, KEY = (INFO[0].children()[place].encoded for place in (1, 2))
ALGORITHM, SIGNATURE = INFO[1].encoded, INFO[2].encoded


def armoured(encoded: bytes) -> str:
    body = base64.b64encode(encoded).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----"


def pem(
    *attributes: bytes,
    version: bytes = b"\0",
    parts: int = 3,
    with_attributes: bool = True,
    subject: bytes = SUBJECT,
    key: bytes = KEY,
    algorithm: bytes = ALGORITHM,
    signature: bytes = SIGNATURE,
) -> str:
    info = [der(2, version), subject, key]
    if with_attributes:
        info.append(der(0xA0, *attributes))
    return armoured(der(0x30, *[der(0x30, *info), algorithm, signature][:parts]))


def extension(*parts: bytes) -> bytes:
    return extensions(der(0x30, *parts))


def extensions(*items: bytes) -> bytes:
    return der(0x30, oid("extensions"), der(0x31, der(0x30, *items)))


def san(*names: bytes) -> bytes:
    return extension(oid("san"), der(1, b"\xff"), der(4, der(0x30, *names)))


def name(*values: bytes) -> bytes:
    return der(0x30, *(der(0x31, der(0x30, der(6, bytes.fromhex("550403")), value)) for value in values))


def test_whatever_else_is_asked_for() -> None:
    usage = der(0x30, oid("usage"), der(4, b""))
    names = der(0x30, oid("san"), der(4, der(0x30, der(0x81, b"a@b"), der(0x82, b"n1"))))
    challenge = der(0x30, bytes.fromhex("06092a864886f70d010907"), der(0x31))
    request = pkcs10.parse(pem(challenge, extensions(usage, names)))
    assert request.others == ["attribute 1.2.840.113549.1.9.7", "extension 2.5.29.15", "alternative name of type 1"]
    assert request.dns_names == ["n1"]
    assert pkcs10.parse(pem()).others == []


def test_an_address_of_version_4_has_one_form() -> None:
    mapped = bytes(10) + b"\xff\xff" + bytes([192, 0, 2, 1])
    assert pkcs10.parse(pem(san(der(0x87, mapped)))).addresses == ["192.0.2.1"]


NAME = der(0x82, b"n1")
EMPTY = der(4, der(0x30))


@pytest.mark.parametrize(
    "text",
    [
        "",
        pem() + pem(),
        pem(version=b"\1"),
        pem(version=b"\0\0"),
        pem(parts=2),
        pem(with_attributes=False),
        pem(der(0x30, oid("extensions"))),
        pem(der(0x30, oid("extensions"), der(0x31))),
        pem(der(0x30, oid("extensions"), der(0x31, der(0x30), der(0x30)))),
        pem(extension(oid("san"))),
        pem(extension(oid("san"), der(1, b"\0"), EMPTY)),
        pem(extension(oid("san"), der(1, b"\1"), EMPTY)),
        pem(extension(oid("san"), der(4, der(0x30), der(0x30)))),
        pem(extensions(der(0x30, oid("san"), EMPTY), der(0x30, oid("san"), EMPTY))),
        pem(san(NAME), san(NAME)),
        pem(san(der(0x87, b"\1\2\3"))),
        pem(san(der(0x82, b"\xff"))),
        pem(subject=name(der(0x1E, b"\0a"))),
        pem(subject=name(der(0x13, b"a\0b"))),
        pem(subject=name(der(0x13, b"a_b"))),
        pem(subject=name(der(0x0C, b"\xed\xa0\x80"))),
        pem(subject=der(0x30, der(0x31))),
        pem(key=der(0x30)),
        pem(key=KEY[:-1] + bytes([KEY[-1] ^ 1])),
        pem(key=der(0x30, der(0x30, bytes.fromhex("06032b6571")), der(3, bytes(58)))),
        pem(algorithm=der(0x30, bytes.fromhex("06032b6570"), der(4, b""))),
        pem(signature=der(3, b"\1\0")),
        "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----",
    ],
)
def test_malformed(text: t.Any) -> None:
    with pytest.raises(_der.DerError):
        pkcs10.parse(text)


def smuggled(innocent: str, other: str) -> str:
    """What Go reads as a header with an innocent request, and then as another request."""
    begin, end = "-----BEGIN CERTIFICATE REQUEST-----", "-----END CERTIFICATE REQUEST-----"
    body = "".join(innocent.replace(begin, "").replace(end, "").split())
    return other.replace(begin, f"{begin}\n{body}{end}:x\n")


RECORDED = recorded_pem("csr-kubelets.json", "csr-qxthb")


@pytest.mark.parametrize(
    "text",
    [
        smuggled(RECORDED, recorded_pem("csr-kubelets.json", "csr-9dkwk")),
        "x" + RECORDED,
        "\n" + RECORDED,
        RECORDED + "\n",
        RECORDED.replace("REQUEST-----\n", "REQUEST-----\nA: b\n\n", 1),
        RECORDED.replace("REQUEST-----\n", "REQUEST-----\n\n", 1),
        RECORDED.replace("REQUEST-----\n", "REQUEST----- \n", 1),
        RECORDED.replace("\n", "\r\n"),
        RECORDED.replace("\n", "\x0b", 2),
        RECORDED.replace("\n-----END", "-----END"),
        RECORDED.replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"),
        RECORDED.replace("-----END CERTIFICATE REQUEST", "-----END CERTIFICATE"),
        RECORDED.replace("\n-----END", "=\n-----END"),
        RECORDED.replace("\n-----END", "\n=AAAA\n-----END"),
    ],
)
def test_a_request_is_one_block_and_nothing_else(text: str) -> None:
    with pytest.raises(_der.DerError, match="PEM block"):
        pkcs10.parse(text)
