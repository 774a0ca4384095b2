# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes past a proxy, as programs in Go (kubeadm, the kubelet, containerd, Helm) read no_proxy.

Source: golang.org/x/net/http/httpproxy. Private to this collection.
"""

from __future__ import annotations

import ipaddress
import typing as t

Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
Address = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


def parse_address(text: str) -> t.Optional[Address]:
    """An address, without the zone of an IPv6 one; ``None`` when it is none."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


class Exceptions:
    """The places that no_proxy names."""

    def __init__(self, text: str) -> None:
        self._words = [word.strip().lower() for word in text.split(",") if word.strip()]
        self._networks: t.List[Network] = []
        for word in self._words:
            try:
                self._networks.append(ipaddress.ip_network(word, strict=False))
            except ValueError:
                continue
        self.everything = "*" in self._words

    def has_network(self, network: Network) -> bool:
        """Whether all addresses of the network are excepted."""
        return self.everything or any(
            own.version == network.version and network.subnet_of(own)  # type: ignore[arg-type]
            for own in self._networks
        )

    def has(self, place: str) -> bool:
        """Whether a name or an address is excepted."""
        address = parse_address(place)
        if address is not None:
            return self.has_network(ipaddress.ip_network(address))
        place = place.lower()
        return self.everything or any(
            place == word or place.endswith(word if word.startswith(".") else f".{word}") for word in self._words
        )
