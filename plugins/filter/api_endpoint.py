# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import ipaddress
import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.kubernetes.plugins.module_utils._api_endpoints import in_url
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _families
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._look import seen, stated


def api_endpoint_backends(
    names: t.Sequence[str], hostvars: t.Mapping[str, t.Any], pod_subnet: str = ""
) -> t.List[t.Dict[str, t.Any]]:
    """Name, address and port of the API servers, for a load balancer.

    A machine that is not looked at, because it is down, keeps its place when the inventory has its address.

    :raises AnsibleFilterError: when nothing is known of an address: a load balancer must not forget the machine.
    """
    backends = []
    for name in names:
        variables = hostvars[name]
        facts = seen(variables) or {}
        default = _families.node_address(facts, [pod_subnet])
        known = [stated(variables, "cluster_node_ip"), default, facts.get("default_address6")]
        address = next((str(text) for text in [*known, variables.get("ansible_host", name)] if is_address(text)), "")
        own = (stated(variables, "control_plane_init_configuration") or {}).get("localAPIEndpoint") or {}
        if not address:
            raise AnsibleFilterError(
                f"api_endpoint_backends: the address of {name} is not known: it was not looked at, as it is down or"
                " left out, and the inventory has none. Set its cluster_node_ip."
            )
        backends.append({"name": name, "address": address, "port": int(own.get("bindPort", KUBEADM.api_port))})
    return backends


def haproxy_server(backend: t.Mapping[str, t.Any]) -> str:
    """The line of haproxy's configuration for an API server."""
    return f"    server {backend['name']} {in_url(backend['address'])}:{backend['port']}"


def is_address(text: t.Any) -> bool:
    """Whether it is an IP address."""
    try:
        ipaddress.ip_address(str(text))
    except ValueError:
        return False
    return True


def interface_in_network(interfaces: t.Sequence[t.Mapping[str, t.Any]], address: str) -> str:
    """The name of the interface in whose network ``address`` is."""
    wanted = ipaddress.ip_address(address)
    for interface in interfaces:
        for item in interface["addresses"]:
            network = ipaddress.ip_network(f"{item['address']}/{item['prefix']}", strict=False)
            if wanted in network and network.num_addresses > 1:
                return str(interface["name"])
    raise AnsibleFilterError(
        f"interface_in_network: no interface of this host is in the network of {address}. Choose another address or set"
        " api_endpoint_interface."
    )


def interface_with_address(interfaces: t.Sequence[t.Mapping[str, t.Any]], address: str) -> str:
    """The name of the interface that has ``address``."""
    wanted = ipaddress.ip_address(address)
    for interface in interfaces:
        if any(ipaddress.ip_address(item["address"]) == wanted for item in interface["addresses"]):
            return str(interface["name"])
    raise AnsibleFilterError(f"interface_with_address: no interface of this host has {address}.")


def vrrp_router_id(text: str) -> int:
    """A VRRP router id, 1 to 255, that is always the same for ``text``."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % 255 + 1


class FilterModule:
    """The endpoint of several API servers."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {
            "api_endpoint_backends": api_endpoint_backends,
            "haproxy_server": haproxy_server,
            "interface_in_network": interface_in_network,
            "interface_with_address": interface_with_address,
            "vrrp_router_id": vrrp_router_id,
        }
