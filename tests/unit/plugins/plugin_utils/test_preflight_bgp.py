# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said about MetalLB's peers and the pools that they are told about."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import metallb
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host

SPEC = {"myASN": 64512, "peerASN": "64513", "peerAddress": "192.0.2.1"}
GOOD: t.Dict[str, t.Any] = {
    "metallb_bgp_peers": [{"name": "rack", "spec": SPEC, "password": "secret"}],
    "metallb_bgp_communities": [{"name": "internal", "value": "64512:100"}],
    "metallb_address_pools": [
        {
            "name": "far",
            "addresses": ["198.51.100.0/28"],
            "protocols": ["bgp"],
            "bgp": {"peers": ["rack"], "communities": ["internal", "64512:200"]},
        }
    ],
}


def said(**variables: t.Any) -> str:
    interface = {"name": "eth0", "addresses": [{"address": "192.0.2.11", "prefix": 24, "family": 4}]}
    host = Host("cp1", True, False, {**GOOD, **variables}, facts={"interfaces": [interface]})
    found = [problem for check in metallb.CHECKS for problem in check([host])]
    return "\n".join(f"{p.severity} {p.subject}: {p.message} {p.remedy}" for p in found)


def peer(**spec: t.Any) -> t.Dict[str, t.Any]:
    return {"metallb_bgp_peers": [{"name": "rack", "spec": {**SPEC, **spec}}]}


def pool(**bgp: t.Any) -> t.Dict[str, t.Any]:
    return {"metallb_address_pools": [{**GOOD["metallb_address_pools"][0], "bgp": bgp}]}


#: FRR in the place of MetalLB's own BGP.
FRR = {"metallb_values": {"frrk8s": {"enabled": True}}}


def test_what_is_right_is_not_said() -> None:
    assert said() == ""
    assert said(**peer(peerASN=None, dynamicASN="external"), **FRR) == ""
    assert said(**peer(peerAddress=None, interface="eth1"), **FRR) == ""
    assert said(metallb_bgp_communities=[{"name": "internal", "value": "large:64512:100:1"}], **FRR) == ""
    # By layer 2 nobody would answer for such a network.
    near = [{**GOOD["metallb_address_pools"][0], "protocols": ["l2", "bgp"]}]
    assert "warning metallb_address_pools[far]: 198.51.100.0/28 is in no network" in said(metallb_address_pools=near)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (peer(myASN=0), "error metallb_bgp_peers[rack]: myASN is 0, and has to be the number"),
        (peer(peerASN="AS64513"), "peerASN is AS64513, and has to be the number"),
        (peer(peerASN=2**32), "peerASN is 4294967296, and has"),
        ({"metallb_bgp_peers": [{"name": "rack", "spec": {}}]}, "metallb_bgp_peers[rack]: has no myASN."),
        (peer(peerAddress="tor1.example.com"), "has the peerAddress tor1.example.com, which is none."),
        (peer(bfdProfile="fast", vrf="red"), "has bfdProfile and vrf, which MetalLB's own BGP does not know."),
        (peer(peerASN=None, dynamicASN="external"), "has dynamicASN, which MetalLB's own BGP does not know."),
        (peer(password="secret"), "has its password in spec, where everybody can read it"),
        ({"metallb_bgp_peers": [{"name": "My Rack", "spec": SPEC}]}, "[My Rack]: is not a valid name."),
        ({"metallb_bgp_peers": GOOD["metallb_bgp_peers"] * 2}, "error metallb_bgp_peers: has rack twice."),
        ({"metallb_bgp_peers": []}, "metallb_address_pools[far]: is announced by BGP, and there is nobody to tell."),
        (pool(peers=["other"]), "metallb_address_pools[far]: names the peer other."),
        (pool(communities=["no-export"]), "metallb_address_pools[far]: names the community no-export."),
        (
            {"metallb_bgp_communities": [{"name": "internal", "value": 64512}]},
            "metallb_bgp_communities[internal]: 64512 is no community",
        ),
        (pool(peers=5), "metallb_address_pools[far]: peers in bgp is no list of names."),
        (pool(peers=[{"name": "rack"}]), "metallb_address_pools[far]: peers in bgp is no list of names."),
        (pool(communities="internal"), "metallb_address_pools[far]: communities in bgp is no list of names."),
        (
            {"metallb_address_pools": [{"name": "far", "addresses": ["fd00::/120"], "protocols": "bgp"}]},
            "error metallb_address_pools[far]: has addresses of IPv6, which",
        ),
        (
            {"metallb_address_pools": [{"name": "far", "addresses": ["192.0.2.99/32"], "bgp": {"localPref": 1}}]},
            "warning metallb_address_pools[far]: has bgp, which counts for nothing",
        ),
        (
            {"metallb_address_pools": [{"name": "far", "addresses": ["192.0.2.99/32"]}]},
            "warning metallb_bgp_peers: are set, and no pool is announced to them.",
        ),
        (
            {"metallb_address_pools": [{**GOOD["metallb_address_pools"][0], "interfaces": ["eth0"]}]},
            "warning metallb_address_pools[far]: has interfaces, which counts for nothing",
        ),
    ],
)
def test_what_is_wrong_is_said(variables: t.Dict[str, t.Any], expected: str) -> None:
    assert expected in said(**variables)


def test_what_is_of_another_form_is_left_to_others() -> None:
    assert said(metallb_bgp_peers=["rack"], metallb_address_pools=["far"]) == ""
    assert "secret" not in said(**peer(password="secret"))
