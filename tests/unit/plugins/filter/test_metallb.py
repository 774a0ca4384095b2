# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.slipway.kubernetes.plugins.filter.metallb import (
    metallb_bgp,
    metallb_families,
    metallb_pools,
)

SPEC = {"myASN": 64512, "peerASN": 64513, "peerAddress": "192.0.2.1"}


def test_pools_are_announced_as_they_say() -> None:
    pools = [
        {"name": "near", "addresses": ["192.0.2.10-192.0.2.20"], "interfaces": ["eth0"]},
        {"name": "far", "addresses": ["198.51.100.0/28"], "protocols": "bgp", "bgp": {"localPref": 100}},
        {"name": "both", "addresses": ["192.0.2.30/32"], "auto_assign": False, "protocols": ["l2", "bgp"]},
    ]
    found = metallb_pools(pools)
    assert [(item["kind"], item["metadata"]["name"]) for item in found] == [
        ("IPAddressPool", "near"),
        ("L2Advertisement", "near"),
        ("IPAddressPool", "far"),
        ("BGPAdvertisement", "far"),
        ("IPAddressPool", "both"),
        ("L2Advertisement", "both"),
        ("BGPAdvertisement", "both"),
    ]
    assert found[1]["spec"] == {"ipAddressPools": ["near"], "interfaces": ["eth0"]}
    assert found[3]["spec"] == {"localPref": 100, "ipAddressPools": ["far"]}
    assert [item["spec"]["autoAssign"] for item in found if item["kind"] == "IPAddressPool"] == [True, True, False]


def test_families_that_a_service_gets_by_itself() -> None:
    both = {"name": "both", "addresses": ["192.0.2.0/28", "fd00::/112"]}
    six = {"name": "six", "addresses": ["fd01::/112"]}
    assert metallb_families([six, both]) == ["IPv4", "IPv6"]
    assert metallb_families([six, {**both, "auto_assign": False}]) == ["IPv6"]
    assert metallb_families([{**both, "protocols": ["bgp"]}]) == metallb_families([]) == []


def test_peers_have_their_passwords_in_secrets() -> None:
    peers = [{"name": "rack", "spec": SPEC, "password": 1234}, {"name": "other", "spec": {"myASN": 1}}]
    communities = [{"name": "internal", "value": "64512:100"}]
    community, secret, rack, other = metallb_bgp(peers, communities)
    assert community["spec"] == {"communities": communities}
    assert (secret["type"], secret["stringData"]) == ("kubernetes.io/basic-auth", {"password": "1234"})
    assert rack["apiVersion"] == "metallb.io/v1beta2"
    assert rack["spec"] == {**SPEC, "passwordSecret": secret["metadata"]}
    assert other["spec"] == {"myASN": 1}
    # What the inventory has stays as it is.
    assert "passwordSecret" not in SPEC
    assert metallb_bgp([]) == []
