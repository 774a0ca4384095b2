# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""no_proxy as golang.org/x/net/http/httpproxy reads it."""

from __future__ import annotations

import ipaddress

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._proxies import Exceptions, variable


@pytest.mark.parametrize(
    ("text", "place", "port", "expected"),
    [
        ("*.example.com", "a.example.com", "", True),
        ("*.example.com", "example.com", "", False),
        (".example.com", "example.com", "", False),
        ("example.com", "a.Example.com", "", True),
        ("example.com", "anexample.com", "", False),
        ("a.example.com:6443", "a.example.com", "6443", True),
        ("a.example.com:6443", "a.example.com", "443", False),
        ("a.example.com:6443", "a.example.com", "", False),
        ("10.0.0.1:6443", "10.0.0.1", "6443", True),
        ("10.0.0.1:6443", "10.0.0.1", "443", False),
        ("[::1]:6443", "::1", "6443", True),
        ("[::1]:6443", "::1", "6444", False),
        ("::1", "::1", "1", True),
        ("[::1]", "::1", "1", False),
        ("10.0.0.0/8", "10.1.2.3", "80", True),
        ("10.0.0.0/255.0.0.0", "10.1.2.3", "80", False),
        ("10.0.0.0/99", "10.1.2.3", "80", False),
        (":80,,*x", "host", "80", False),
        ("a, *", "host", "80", True),
        ("a:b:c", "host", "80", False),
    ],
)
def test_exceptions(text: str, place: str, port: str, expected: bool) -> None:
    assert Exceptions(text).has(place, port) is expected


def test_networks() -> None:
    assert Exceptions("10.0.0.1/8").has_network(ipaddress.ip_network("10.244.0.0/16"))
    assert not Exceptions("10.0.0.0/255.0.0.0,fd00::/8").has_network(ipaddress.ip_network("10.244.0.0/16"))


def test_capitals_come_first() -> None:
    assert variable({"no_proxy": "a", "NO_PROXY": "b"}, "no_proxy") == "b"
    assert variable({"no_proxy": "a", "NO_PROXY": ""}, "no_proxy") == "a"
    assert variable({}, "no_proxy") == ""
