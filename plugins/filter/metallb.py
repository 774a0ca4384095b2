# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

NAMESPACE = "metallb-system"
#: The API of each kind that is not the usual one.
VERSIONS = {"BGPPeer": "metallb.io/v1beta2"}


def _object(kind: str, name: str, spec: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": VERSIONS.get(kind, "metallb.io/v1beta1"), "kind": kind, "metadata": metadata, "spec": spec}


def metallb_pools(pools: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[t.Dict[str, t.Any]]:
    """The objects of MetalLB for the address pools of an inventory: each pool, and how it is announced."""
    objects: t.List[t.Dict[str, t.Any]] = []
    for pool in pools:
        name, own = pool["name"], {"ipAddressPools": [pool["name"]]}
        spec = {"addresses": list(pool["addresses"]), "autoAssign": bool(pool.get("auto_assign", True))}
        objects.append(_object("IPAddressPool", name, spec))
        given = pool.get("protocols") or "l2"
        protocols = [given] if isinstance(given, str) else given
        if "l2" in protocols:
            interfaces = {"interfaces": list(pool["interfaces"])} if pool.get("interfaces") else {}
            objects.append(_object("L2Advertisement", name, {**own, **interfaces}))
        if "bgp" in protocols:
            objects.append(_object("BGPAdvertisement", name, {**(pool.get("bgp") or {}), **own}))
    return objects


def metallb_bgp(
    peers: t.Sequence[t.Mapping[str, t.Any]], communities: t.Sequence[t.Mapping[str, t.Any]] = ()
) -> t.List[t.Dict[str, t.Any]]:
    """The objects of MetalLB for the routers that it tells where services are."""
    objects: t.List[t.Dict[str, t.Any]] = []
    if communities:
        known = [{"name": item["name"], "value": item["value"]} for item in communities]
        objects.append(_object("Community", "slipway", {"communities": known}))
    for peer in peers:
        spec = dict(peer["spec"])
        if peer.get("password"):
            secret = f"slipway-bgp-{peer['name']}"
            metadata = {"name": secret, "namespace": NAMESPACE}
            objects.append(
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "type": "kubernetes.io/basic-auth",
                    "metadata": metadata,
                    "stringData": {"password": str(peer["password"])},
                }
            )
            spec["passwordSecret"] = metadata
        objects.append(_object("BGPPeer", peer["name"], spec))
    return objects


def metallb_families(pools: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[str]:
    """The families of addresses, IPv4 and IPv6, that a service gets by itself of one pool, by layer 2."""
    objects = metallb_pools(pools)
    announced = {item["metadata"]["name"] for item in objects if item["kind"] == "L2Advertisement"}
    found: t.List[str] = []
    for item in objects:
        if item["kind"] == "IPAddressPool" and item["spec"]["autoAssign"] and item["metadata"]["name"] in announced:
            own = sorted({"IPv6" if ":" in str(address) else "IPv4" for address in item["spec"]["addresses"]})
            found = max(found, own, key=len)
    return found


class FilterModule:
    """Objects of MetalLB."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {"metallb_bgp": metallb_bgp, "metallb_families": metallb_families, "metallb_pools": metallb_pools}
