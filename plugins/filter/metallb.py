# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t


def metallb_pools(pools: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[t.Dict[str, t.Any]]:
    """The objects of MetalLB (IPAddressPool and L2Advertisement) for the address pools of an inventory."""
    objects: t.List[t.Dict[str, t.Any]] = []
    for pool in pools:
        metadata = {"name": pool["name"], "namespace": "metallb-system"}
        advertised: t.Dict[str, t.Any] = {"ipAddressPools": [pool["name"]]}
        if pool.get("interfaces"):
            advertised["interfaces"] = list(pool["interfaces"])
        objects.append(
            {
                "apiVersion": "metallb.io/v1beta1",
                "kind": "IPAddressPool",
                "metadata": metadata,
                "spec": {"addresses": list(pool["addresses"]), "autoAssign": bool(pool.get("auto_assign", True))},
            }
        )
        objects.append(
            {"apiVersion": "metallb.io/v1beta1", "kind": "L2Advertisement", "metadata": metadata, "spec": advertised}
        )
    return objects


class FilterModule:
    """Objects of MetalLB."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {"metallb_pools": metallb_pools}
