# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _der, _pkcs10
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import fixture


def recorded(name: str, request: str) -> _pkcs10.Request:
    items = {item["metadata"]["name"]: item for item in fixture(name)["items"]}
    return _pkcs10.parse(base64.b64decode(items[request]["spec"]["request"]).decode())


def test_a_kubelet_request() -> None:
    request = recorded("csr-kubelets.json", "csr-qxthb")
    assert request.subject == [(_pkcs10.ORGANIZATION, "system:nodes"), (_pkcs10.COMMON_NAME, "system:node:kapi2")]
    assert (request.dns_names, request.addresses, request.others) == (["kapi2"], ["172.30.0.3"], [])


def test_names_of_other_types() -> None:
    assert recorded("csr-crafted.json", "good").addresses == ["127.0.0.1", "fd00::1"]
    assert recorded("csr-crafted.json", "uri").others == ["alternative name of type 6"]
    assert recorded("csr-crafted.json", "client").dns_names == []


# Crafted requests


def der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    length = bytes([len(content)]) if len(content) < 128 else b"\x81" + bytes([len(content)])
    return bytes([tag]) + length + content


def oid(text: str) -> bytes:
    return bytes.fromhex({"extensions": "06092a864886f70d01090e", "san": "0603551d11", "usage": "0603551d0f"}[text])


def pem(*attributes: bytes, version: int = 0, parts: int = 3, with_attributes: bool = True) -> str:
    info = [der(2, bytes([version])), der(0x30), der(0x30)]
    if with_attributes:
        info.append(der(0xA0, *attributes))
    encoded = der(0x30, *[der(0x30, *info), der(0x30), der(3, b"\0")][:parts])
    return (
        f"-----BEGIN CERTIFICATE REQUEST-----\n{base64.b64encode(encoded).decode()}\n-----END CERTIFICATE REQUEST-----"
    )


def extension(*parts: bytes) -> bytes:
    return der(0x30, oid("extensions"), der(0x31, der(0x30, der(0x30, *parts))))


def san(*names: bytes) -> bytes:
    return extension(oid("san"), der(1, b"\xff"), der(4, der(0x30, *names)))


def test_whatever_else_is_asked_for() -> None:
    usage = extension(oid("usage"), der(4, b""))
    challenge = der(0x30, bytes.fromhex("06092a864886f70d010907"), der(0x31))
    request = _pkcs10.parse(pem(usage, challenge, san(der(0x81, b"a@b"), der(0x82, b"\xff"))))
    assert request.others == ["extension 2.5.29.15", "attribute 1.2.840.113549.1.9.7", "alternative name of type 1"]
    assert request.dns_names == ["\\xff"]
    assert _pkcs10.parse(pem(with_attributes=False)).others == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        pem() + pem(),
        pem(version=1),
        pem(parts=2),
        pem(der(0x30, oid("extensions"))),
        pem(extension(oid("san"))),
        pem(san(der(0x87, b"\1\2\3"))),
        "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----",
    ],
)
def test_malformed(text: t.Any) -> None:
    with pytest.raises(_der.DerError):
        _pkcs10.parse(text)
