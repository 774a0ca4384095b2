# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _api_endpoints as names

KUBERNETES = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("api.example.org", "api.example.org"),
        ("*.example.org", "*.example.org"),
        ("10.0.0.1", "10.0.0.1"),
        ("FD00::0:1", "fd00::1"),
        ("API", None),
        ("a..b", None),
        ("a_b", None),
        ("x" * 254, None),
        ("", None),
    ],
)
def test_canonical(name: str, expected: t.Optional[str]) -> None:
    if expected:
        assert names.canonical(name) == expected
    else:
        with pytest.raises(ValueError, match="neither an address nor a DNS name"):
            names.canonical(name)


@pytest.mark.parametrize(
    ("endpoint", "with_port"),
    [
        ("api.example.com", "api.example.com:6443"),
        ("api.example.com:443", "api.example.com:443"),
        ("192.0.2.1", "192.0.2.1:6443"),
        ("192.0.2.1:8443", "192.0.2.1:8443"),
        ("fd00::1", "[fd00::1]:6443"),
        ("::1", "[::1]:6443"),
        ("[fd00::1]", "[fd00::1]:6443"),
        ("[fd00::1]:443", "[fd00::1]:443"),
    ],
)
def test_endpoint_with_port(endpoint: str, with_port: str) -> None:
    assert names.endpoint_with_port(endpoint) == with_port
    host, port = names.endpoint_place(endpoint)
    assert with_port == (f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


@pytest.mark.parametrize(
    ("endpoint", "host"),
    [
        ("api.example.org", "api.example.org"),
        ("api.example.org:443", "api.example.org"),
        ("[fd00::1]:6443", "fd00::1"),
        ("fd00::1", "fd00::1"),
        ("[fd00::1]", "fd00::1"),
        ("10.0.0.1:6443", "10.0.0.1"),
    ],
)
def test_endpoint_host(endpoint: str, host: str) -> None:
    assert names.endpoint_host(endpoint) == host


def test_the_least() -> None:
    assert names.apiserver_names({}, "cp1", "192.0.2.1") == ["10.96.0.1", "192.0.2.1", "cp1", *KUBERNETES]


def test_all() -> None:
    cluster = {
        "controlPlaneEndpoint": "192.0.2.100:6443",
        "networking": {"serviceSubnet": "fd01::/108,10.0.0.0/16", "dnsDomain": "c.example"},
        "apiServer": {"certSANs": ["b", "192.0.2.1"]},
    }
    expected = ["192.0.2.1", "192.0.2.100", "b", "cp1", "fd01::1", *KUBERNETES[:3], "kubernetes.default.svc.c.example"]
    assert names.apiserver_names(cluster, "cp1", "192.0.2.1") == expected
    # One address in two spellings is one name.
    assert (
        names.apiserver_names({"controlPlaneEndpoint": "[fd00:0::10]:6443"}, "cp1", "fd00::10").count("fd00::10") == 1
    )
