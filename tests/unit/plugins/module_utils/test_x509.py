# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import calendar
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import der, x509

FIXTURES = Path(__file__).parents[1] / "fixtures" / "kubeadm"


def fixture(name: str) -> str:
    return (FIXTURES / name).read_text(encoding="utf-8")


def seconds(*parts: int) -> float:
    return float(calendar.timegm((*parts, 0, 0, 0)))


def test_the_certificate_of_an_api_server() -> None:
    """The expected values are what `openssl x509` says."""
    found = x509.parse_pem(fixture("control-plane/pki/apiserver.crt"))
    assert (found.common_name, found.issuer) == ("kube-apiserver", "kubernetes")
    assert found.not_before == seconds(2026, 11, 21, 11, 44, 41)
    assert found.not_after == seconds(2027, 11, 21, 11, 49, 41)
    assert found.names.dns_names == [
        "certs-cp1",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
    ]
    assert found.names.addresses == ["10.96.0.1", "172.30.0.40"]
    assert found.fingerprint == "7c62d345a60de45b8910ba3ea1a9148bd6133b543ff53579963037ac72f2d04a"


def test_a_kubelet_that_has_its_authority_after_it() -> None:
    found = x509.parse_pem(fixture("control-plane/kubelet/kubelet-server-current.pem"))
    assert (found.common_name, found.names.dns_names) == ("system:node:certs-cp1", ["certs-cp1"])


def test_a_certificate_of_version_1_has_no_names() -> None:
    assert x509.parse_pem(fixture("ca-version-1.crt")).names == x509.AlternativeNames()


@pytest.mark.parametrize("pem", ["", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----"])
def test_no_certificate(pem: str) -> None:
    with pytest.raises((der.DerError, IndexError)):
        x509.parse_pem(pem)


@pytest.mark.parametrize(
    ("tag", "text", "expected"),
    [
        (0x17, "491231235959Z", seconds(2049, 12, 31, 23, 59, 59)),
        (0x17, "500101000000Z", seconds(1950, 1, 1, 0, 0, 0)),
        (0x18, "20500101000000Z", seconds(2050, 1, 1, 0, 0, 0)),
        (0x18, "20501301000000Z", None),
        (0x17, "2611211149Z", None),
        (0x0C, "20500101000000Z", None),
    ],
)
def test_times(tag: int, text: str, expected: t.Optional[float]) -> None:
    element = der.parse(bytes([tag, len(text)]) + text.encode())
    if expected is None:
        with pytest.raises(der.DerError):
            x509.moment(element)
    else:
        assert x509.moment(element) == expected


def element(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return bytes([tag, len(content)]) + content


@pytest.mark.parametrize("validity", [b"", element(0x17, b"261121114941Z")])
def test_a_certificate_without_two_times(validity: bytes) -> None:
    empty = element(0x30)
    fields = element(0x30, b"\x02\x01\x01", empty, empty, element(0x30, validity), empty, empty)
    with pytest.raises(der.DerError, match="two times"):
        x509.parse(element(0x30, fields))
