# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.kubernetes.plugins.filter import api_endpoint
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import as_seen

FACTS = as_seen({"slipway_node": {"default_address": "192.0.2.1"}})
INTERFACES: t.List[t.Dict[str, t.Any]] = [
    {"name": "eth0", "addresses": [{"address": "192.0.2.1", "prefix": 32}, {"address": "192.0.2.10", "prefix": 32}]},
    {
        "name": "eth1",
        "addresses": [{"address": "198.51.100.7", "prefix": 24}, {"address": "2001:db8::7", "prefix": 64}],
    },
]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (FACTS, ("192.0.2.1", 6443)),
        ({**FACTS, "cluster_node_ip": "198.51.100.1", "ansible_host": "203.0.113.1"}, ("198.51.100.1", 6443)),
        ({"ansible_host": "203.0.113.1", "cluster_node_ip": ""}, ("203.0.113.1", 6443)),
        (as_seen({"slipway_node": {"default_address": "", "default_address6": "2001:db8::1"}}), ("2001:db8::1", 6443)),
        ({**FACTS, "control_plane_init_configuration": {"localAPIEndpoint": {"bindPort": 7443}}}, ("192.0.2.1", 7443)),
        ({**FACTS, "control_plane_init_configuration": {"nodeRegistration": {}}}, ("192.0.2.1", 6443)),
    ],
)
def test_backends(variables: t.Dict[str, t.Any], expected: t.Tuple[str, int]) -> None:
    found = api_endpoint.api_endpoint_backends(["cp1"], {"cp1": variables})
    assert found == [{"name": "cp1", "address": expected[0], "port": expected[1]}]


def test_backends_of_ipv6_alone() -> None:
    addresses = [{"address": "192.0.2.1"}, {"address": "2001:db8::1"}]
    node = {"default_address": "192.0.2.1", "default_address6": "2001:db8::1", "interfaces": [{"addresses": addresses}]}
    found = api_endpoint.api_endpoint_backends(["cp1"], {"cp1": as_seen({"slipway_node": node})}, "fd00::/56")
    assert found == [{"name": "cp1", "address": "2001:db8::1", "port": 6443}]


@pytest.mark.parametrize("variables", [{"ansible_host": "cp2.example.org"}, {}])
def test_no_backend_is_forgotten(variables: t.Dict[str, t.Any]) -> None:
    with pytest.raises(AnsibleFilterError, match="the address of cp2 is not known: it was not looked at"):
        api_endpoint.api_endpoint_backends(["cp1", "cp2"], {"cp1": FACTS, "cp2": variables})


@pytest.mark.parametrize(("address", "shown"), [("192.0.2.1", "192.0.2.1:6443"), ("2001:db8::1", "[2001:db8::1]:6443")])
def test_haproxy_server(address: str, shown: str) -> None:
    line = api_endpoint.haproxy_server({"name": "cp1", "address": address, "port": 6443})
    assert line == f"    server cp1 {shown}"


@pytest.mark.parametrize("address", ["198.51.100.200", "2001:db8::200"])
def test_interface_of(address: str) -> None:
    assert api_endpoint.interface_in_network(INTERFACES, address) == "eth1"


def test_no_interface() -> None:
    with pytest.raises(AnsibleFilterError, match=r"in the network of 192\.0\.2\.10"):
        api_endpoint.interface_in_network(INTERFACES, "192.0.2.10")


@pytest.mark.parametrize(("address", "name"), [("192.0.2.10", "eth0"), ("2001:db8:0::7", "eth1")])
def test_interface_with(address: str, name: str) -> None:
    assert api_endpoint.interface_with_address(INTERFACES, address) == name


def test_no_interface_with_the_address() -> None:
    with pytest.raises(AnsibleFilterError, match=r"has 198\.51\.100\.8"):
        api_endpoint.interface_with_address(INTERFACES, "198.51.100.8")


def test_vrrp_router_id() -> None:
    numbers = {api_endpoint.vrrp_router_id(f"cluster{number} 192.0.2.10") for number in range(2000)}
    assert (min(numbers), max(numbers), len(numbers)) == (1, 255, 255)
    assert api_endpoint.vrrp_router_id("a") == api_endpoint.vrrp_router_id("a")


def test_filters() -> None:
    assert set(api_endpoint.FilterModule().filters()) == {
        "api_endpoint_backends",
        "haproxy_server",
        "interface_in_network",
        "interface_with_address",
        "vrrp_router_id",
    }
