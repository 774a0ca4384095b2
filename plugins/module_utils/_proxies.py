# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes past a proxy, as programs in Go (kubeadm, the kubelet, runtimes, Helm) read no_proxy.

Source: golang.org/x/net/http/httpproxy. Private to this collection.
"""

from __future__ import annotations

import ipaddress
import re
import typing as t

Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
Address = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


def parse_address(text: str) -> t.Optional[Address]:
    """An address, without the zone of an IPv6 one; ``None`` when it is none."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def variable(environment: t.Mapping[str, str], name: str) -> str:
    """A variable that is known in capitals and in small letters: in capitals it comes first, if it says anything."""
    return environment.get(name.upper()) or environment.get(name.lower()) or ""


def _parse_network(text: str) -> t.Optional[Network]:
    """An address with the length of a prefix; netmasks are none for Go."""
    if not re.fullmatch(r"[^/]+/[0-9]+", text):
        return None
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _split_port(text: str) -> t.Tuple[str, str]:
    """Host and port, as Go's net.SplitHostPort has them; the port is empty when there is none."""
    match = re.fullmatch(r"(?:\[([^\[\]]*)\]|([^:\[\]]*)):([^:\[\]]*)", text)
    return (match[1] or match[2] or "", match[3]) if match else (text, "")


class Exceptions:
    """The places that no_proxy names."""

    def __init__(self, text: str) -> None:
        words = [word.strip().lower() for word in text.split(",")]
        self.everything = "*" in words
        self._networks: t.List[t.Tuple[Network, str]] = []
        self._names: t.List[t.Tuple[str, str]] = []
        for word in filter(None, words):
            network, (name, port) = _parse_network(word), _split_port(word)
            address = parse_address(name) if "%" not in name else None
            if network is not None:
                self._networks.append((network, ""))
            elif address is not None:
                self._networks.append((ipaddress.ip_network(address), port))
            elif name:
                self._names.append((name[1:] if name.startswith("*.") else name, port))

    def has_network(self, network: Network, port: str = "") -> bool:
        """Whether all addresses of the network are excepted.

        :param port: the one that is asked for; without it exceptions for one port do not count.
        """
        return self.everything or any(
            own.version == network.version and network.subnet_of(own) and own_port in ("", port)  # type: ignore[arg-type]
            for own, own_port in self._networks
        )

    def has(self, place: str, port: str = "") -> bool:
        """Whether a name or an address is excepted."""
        address = parse_address(place)
        if address is not None:
            return self.has_network(ipaddress.ip_network(address), port)
        place = place.lower()
        return self.everything or any(
            own_port in ("", port)
            and (place.endswith(word) if word.startswith(".") else place == word or place.endswith(f".{word}"))
            for word, own_port in self._names
        )
