# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters with two families of addresses, or IPv6 alone, that could not be built, each refused with one message."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from test_bad_inputs import WEAVE, Case, assert_said, machine, playbook, pool

PODS, SERVICES = "10.244.0.0/16,fd00:10:244::/56", "10.96.0.0/12,fd00:10:96::/112"
DUAL = {"cluster_pod_subnet": PODS, "cluster_service_subnet": SERVICES}
ALONE = {"cluster_pod_subnet": "fd00:10:244::/56", "cluster_service_subnet": "fd00:10:96::/112"}
NAMES = ("cp1", "worker1", "worker2")
NAME_SERVERS = {
    "resolver": {"path": "/etc/resolv.conf", "target": "", "exists": True, "nameservers": ["192.0.2.53"], "search": []}
}


def six(number: int, *addresses: str, **around: t.Any) -> t.Dict[str, t.Any]:
    """Facts of a machine with these addresses of IPv6, or with one."""
    [interface] = machine(number)["interfaces"]
    given = addresses or (f"2001:db8::{number}",)
    more = [{"address": address, "prefix": 64, "family": 6} for address in given if address]
    surroundings = {"ipv6": {"disabled": False, "advertised": [], **around}}
    return {"interfaces": [{**interface, "addresses": [*interface["addresses"], *more]}], "surroundings": surroundings}


FACTS = {name: six(number) for number, name in enumerate(NAMES, start=1)}


def alone(number: int, *addresses: str) -> t.Dict[str, t.Any]:
    """Facts of a machine with a default route of IPv6, too, where the first of these addresses is."""
    given = addresses or (f"2001:db8::{number}",)
    return {**six(number, *given), "default_address6": given[0]}


def case(name: str, expected: str, variables: t.Any = None, worker1: t.Any = None, **more: t.Any) -> Case:
    """A mistake on machines with two families."""
    facts = {**FACTS, **more.pop("facts", {})}
    return Case(name, [expected], {**DUAL, **(variables or {})}, worker1 or {}, facts, **more)


def six_alone(name: str, expected: str, variables: t.Any = None, worker1: t.Any = None, **more: t.Any) -> Case:
    """A mistake on machines that have an address of each family, in a cluster of IPv6 alone."""
    facts = {host: alone(number) for number, host in enumerate(NAMES, start=1)}
    facts.update(more.pop("facts", {}))
    return Case(name, [expected], {**ALONE, **(variables or {})}, worker1 or {}, facts, **more)


CASES = [
    case(
        "pods-of-ipv6-alone",
        f"cluster: cluster_service_subnet: is {SERVICES}, and cluster_pod_subnet is fd00::/56: both have the same fam",
        {"cluster_pod_subnet": "fd00::/56"},
        facts={name: alone(number) for number, name in enumerate(NAMES, start=1)},
    ),
    case(
        "ipv6-first",
        "cluster: cluster_service_subnet: is fd00::/112,10.96.0.0/12, and clusters with IPv6 first are not supported",
        {"cluster_service_subnet": "fd00::/112,10.96.0.0/12"},
    ),
    case(
        "two-networks-of-one-family",
        "cluster_pod_subnet: is malformed: 10.244.0.0/16,10.245.0.0/16 is more than one network of the same IP version",
        {"cluster_pod_subnet": "10.244.0.0/16,10.245.0.0/16"},
    ),
    case(
        "three-networks",
        "cluster_pod_subnet: is malformed: 10.244.0.0/16,fd00::/56,fd01::/56 is more than one network of the same IP",
        {"cluster_pod_subnet": "10.244.0.0/16,fd00::/56,fd01::/56"},
    ),
    case(
        "services-of-one-family",
        f"cluster_service_subnet: is 10.96.0.0/12, and cluster_pod_subnet is {PODS}: both have the same families of a",
        {"cluster_service_subnet": "10.96.0.0/12"},
    ),
    case(
        "ipv6-network-too-small",
        "cluster_pod_subnet: fd00:10:244::/63 has room for 2 nodes (each a /64), the cluster 3. Choose a larger",
        {"cluster_pod_subnet": "10.244.0.0/16,fd00:10:244::/63"},
    ),
    case(
        "ipv6-network-too-large",
        "cluster_pod_subnet: fd00::/32 is larger than kubeadm allows where each node gets a /64.",
        {"cluster_pod_subnet": "10.244.0.0/16,fd00::/32"},
    ),
    case(
        "ipv6-services-too-large",
        "cluster_service_subnet: fd00:10:96::/64 is larger than Kubernetes allows. Choose a /108 or a smaller one.",
        {"cluster_service_subnet": "10.96.0.0/12,fd00:10:96::/64"},
    ),
    case(
        "overlap-in-ipv6",
        "cluster_pod_subnet: fd00:10:244::/56 overlaps cluster_service_subnet fd00:10:244::/112.",
        {"cluster_service_subnet": "10.96.0.0/12,fd00:10:244::/112"},
    ),
    case(
        "node-in-the-ipv6-network",
        "worker1: cluster_pod_subnet: 2001:db8::/56 contains the host's own address 2001:db8::2.",
        {"cluster_pod_subnet": "10.244.0.0/16,2001:db8::/56"},
        facts={"cp1": six(1, "2001:db9::1"), "worker2": six(3, "2001:db9::3")},
    ),
    case(
        "pool-in-the-ipv6-network",
        "metallb_address_pools[default]: fd00:10:96::5-fd00:10:96::9 overlaps cluster_service_subnet fd00:10:96::/112.",
        pool("fd00:10:96::5-fd00:10:96::9"),
    ),
    case(
        "host-without-ipv6",
        "worker2: cluster_node_ip6: is empty, and eth0, the interface with 192.0.2.3, has no lasting address of IPv6.",
        facts={"worker2": six(3, "")},
    ),
    case(
        "several-addresses",
        "worker2: cluster_node_ip6: is empty, and eth0, the interface with 192.0.2.3, has several addresses of IPv6 (",
        facts={"worker2": six(3, "2001:db8::3", "2001:db8::33")},
    ),
    case(
        "address-of-nobody",
        "worker1: cluster_node_ip6: 2001:db8::77 is on no interface of the host. Set it, for this host alone, to one",
        worker1={"cluster_node_ip6": "2001:db8::77"},
    ),
    case(
        "both-in-one-variable",
        "worker1: cluster_node_ip: 192.0.2.2,2001:db8::2 is not an address. Write the address of IPv4 here, and that",
        worker1={"cluster_node_ip": "192.0.2.2,2001:db8::2", "cluster_node_ip6": "2001:db8::2"},
    ),
    case(
        "one-address-twice",
        "worker1, worker2: cluster_node_ip6: 2001:db8::2 is the same on worker1 and worker2.",
        facts={"worker2": six(3, "2001:db8::2")},
    ),
    case(
        "a-network-for-ipv4-alone",
        "cluster: cluster_cni: is manifest, and weave is not set up for two families yet.",
        {"cluster_cni": "manifest", "cni_manifests": [WEAVE]},
    ),
    case(
        "calicos-blocks-of-ipv6",
        "cp1: cni_calico_block_size6: is 64, and Calico has blocks of /116 to /128.",
        {"cluster_cni": "calico", "cni_calico_block_size6": 64},
    ),
    case(
        "size-of-both",
        "cp1: control_plane_cluster_configuration: has node-cidr-mask-size for the controller manager, which does not",
        {
            "control_plane_cluster_configuration": {
                "controllerManager": {"extraArgs": [{"name": "node-cidr-mask-size", "value": "24"}]}
            }
        },
    ),
    case(
        "ipv6-is-off",
        "worker1: net.ipv6.conf.default.disable_ipv6: is 1, or this kernel was started without IPv6",
        facts={"worker1": six(2, disabled=True)},
    ),
    case(
        "router-advertisements",
        "worker1: net.ipv6.conf.eth0.accept_ra: is not 2, and eth0 has its default route of IPv6 by router",
        facts={"worker1": six(2, advertised=["eth0"])},
        warning=True,
    ),
    case(
        "address-of-ipv6-without-a-family",
        "worker1: cluster_node_ip6: is 2001:db8::2, and counts for nothing: the cluster has one family of addresses.",
        {"cluster_pod_subnet": "10.244.0.0/16", "cluster_service_subnet": "10.96.0.0/12"},
        worker1={"cluster_node_ip6": "2001:db8::2"},
        warning=True,
    ),
    six_alone(
        "alone-with-an-address-of-ipv4",
        "worker1: cluster_node_ip: 192.0.2.2 is IPv4, and cluster_pod_subnet fd00:10:244::/56 is IPv6 alone. Set it to",
        worker1={"cluster_node_ip": "192.0.2.2"},
    ),
    six_alone(
        "alone-with-several-addresses",
        "worker2: cluster_node_ip: is empty, and eth0, the interface of the default route of IPv6, has several addres",
        facts={"worker2": alone(3, "2001:db8::3", "2001:db8::33")},
    ),
    six_alone(
        "alone-without-a-route",
        "worker2: cluster_node_ip: is empty and the host has no default route of IPv6 to take an address from.",
        facts={"worker2": six(3)},
    ),
    six_alone(
        "alone-with-one-address-twice",
        "worker1, worker2: cluster_node_ip: 2001:db8::2 is the same on worker1 and worker2.",
        facts={"worker2": alone(3, "2001:db8::2")},
    ),
    six_alone(
        "alone-with-cilium",
        "cluster: cluster_cni: is cilium, and Cilium is not set up for IPv6 alone yet.",
        {"cluster_cni": "cilium"},
    ),
    six_alone(
        "alone-with-a-manifest",
        "cluster: cluster_cni: is manifest, and weave is not set up for IPv6 alone yet.",
        {"cluster_cni": "manifest", "cni_manifests": [WEAVE]},
    ),
    six_alone(
        "alone-with-ipip",
        "cni_calico_encapsulation: is ipip, and pods have addresses of IPv6 alone (fd00:10:244::/56), for which Calico",
        {"cluster_cni": "calico", "cni_calico_encapsulation": "ipip"},
    ),
    six_alone(
        "alone-with-a-vip-of-ipv4",
        "api_endpoint_vip: 192.0.2.100 is no IPv6 address, which keepalived needs.",
        {"api_endpoint_provider": "keepalived", "cluster_endpoint": "192.0.2.100:8443"},
    ),
    six_alone(
        "alone-with-a-pool-of-ipv4",
        "metallb_address_pools[default]: has no address of IPv6, which is what services have by cluster_service_subnet",
        pool("192.0.2.200-192.0.2.210"),
    ),
    six_alone(
        "alone-with-name-servers-of-ipv4",
        "worker1: /etc/resolv.conf: has name servers of IPv4 alone (192.0.2.53), which pods with IPv6 alone cannot ask",
        facts={"worker1": {**alone(2), "surroundings": NAME_SERVERS}},
        warning=True,
    ),
    six_alone(
        "alone-with-a-size-of-ipv4",
        "cp1: control_plane_cluster_configuration: has node-cidr-mask-size-ipv4 for the controller manager, which does",
        {
            "control_plane_cluster_configuration": {
                "controllerManager": {"extraArgs": [{"name": "node-cidr-mask-size-ipv4", "value": "24"}]}
            }
        },
    ),
]


@pytest.mark.parametrize("good", [case("both", ""), six_alone("alone", "")], ids=lambda good: good.name)
def test_good_machines_pass(good: Case, tmp_path: pathlib.Path) -> None:
    rc, output = playbook("report.yml", good.inventory(), tmp_path)
    assert rc == 0 and "WARNING" not in output, output


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_bad_input(case: Case, tmp_path: pathlib.Path) -> None:
    assert_said(case, tmp_path)
