# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which connections are tried before machines become nodes, and what the results mean."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import peers
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.plan import ENDPOINT, Plan
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host, Problem, run_checks

VARIABLES = {"cni_provider": "flannel", "cni_flannel_backend": "vxlan", "cluster_node_ip": "", "cluster_endpoint": ""}
KEEPALIVED = {
    "api_endpoint_provider": "keepalived",
    "api_endpoint_vip": "192.0.2.100",
    "cluster_endpoint": "192.0.2.100:8443",
    "__api_endpoint_router_id": 51,
}


def host(
    name: str, number: int, joined: bool = False, listening: t.Sequence[t.Any] = (), found: t.Any = None, **given: t.Any
) -> Host:
    """A control plane when its name begins with cp."""
    address = {"address": f"192.0.2.{number}", "prefix": 24}
    facts = {
        "interfaces": [{"name": "eth0", "addresses": [address]}],
        "default_address": f"192.0.2.{number}",
        "listening": listening,
        "kubernetes": {"joined": joined, "control_plane": joined and name.startswith("cp"), "unfinished": None},
        "time_sync": "chrony",
    }
    control_plane = name.startswith("cp")
    return Host(name, control_plane, not control_plane, {**VARIABLES, **given}, facts=facts, peers=found or {})


def plan_of(hosts: t.Sequence[Host], playing: t.Optional[t.Sequence[str]] = None) -> Plan:
    return Plan(hosts, [host.name for host in hosts] if playing is None else playing)


def pairs(plan: t.Mapping[str, t.Any]) -> t.Set[t.Tuple[str, str, str, int, bool]]:
    return {
        (source, peer["host"], peer["protocol"], peer["port"], peer["answer"])
        for source, probe in plan["probe"].items()
        for peer in probe["peers"]
    }


def test_a_first_build() -> None:
    plan = plan_of([host("cp1", 1), host("w1", 2), host("w2", 3)]).as_dict()
    assert pairs(plan) == {
        ("w1", "cp1", "tcp", 6443, True),
        ("w2", "cp1", "tcp", 6443, True),
        ("cp1", "w1", "tcp", 10250, True),
        ("cp1", "w2", "tcp", 10250, True),
        *(
            (one, other, "udp", 8472, True)
            for one in ("cp1", "w1", "w2")
            for other in ("cp1", "w1", "w2")
            if one != other
        ),
    }
    listening = {
        (name, port["port"]): port["peers"] for name, entry in plan["listen"].items() for port in entry["ports"]
    }
    assert listening[("cp1", 6443)] == ["w1", "w2"] and listening[("w1", 10250)] == ["cp1"]
    assert plan["listen"]["w1"]["address"] == "192.0.2.2"
    # Whoever is connected to listens, and for those who come.
    expected = {(target, protocol, port) for _source, target, protocol, port, _answer in pairs(plan)}
    found = {
        (name, item["protocol"], item["port"]) for name, entry in plan["listen"].items() for item in entry["ports"]
    }
    assert found == expected


def test_control_planes_reach_each_others_etcd() -> None:
    plan = plan_of([host("cp1", 1), host("cp2", 2)]).as_dict()
    assert {pair[3] for pair in pairs(plan) if pair[:2] == ("cp2", "cp1")} == {6443, 2379, 2380, 8472, 10250}


def test_a_machine_outside_of_the_play_does_nothing() -> None:
    old = [host("cp1", 1, joined=True, listening=[{"protocol": "tcp", "port": 6443}]), host("cp2", 2), host("w1", 3)]
    plan = plan_of(old, ["w1"]).as_dict()
    assert pairs(plan) == {("w1", "cp1", "tcp", 6443, False)}
    assert plan["listen"] == {}


def test_nothing_is_tried_when_nobody_is_to_join() -> None:
    plan = plan_of([host("cp1", 1, joined=True), host("w1", 2, joined=True), Host("w2")]).as_dict()
    assert (plan["listen"], plan["probe"]) == ({}, {})


def test_a_new_worker() -> None:
    """Of old nodes only control planes take part; nothing listens on them, and they are only connected to."""
    api = {"protocol": "tcp", "port": 6443, "process": "kube-apiserver"}
    old = [host("cp1", 1, joined=True, listening=[api]), host("w1", 2, joined=True)]
    plan = plan_of([*old, host("w2", 3)]).as_dict()
    assert pairs(plan) == {
        ("w2", "cp1", "tcp", 6443, False),
        ("cp1", "w2", "tcp", 10250, True),
        ("cp1", "w2", "udp", 8472, True),
    }
    assert set(plan["listen"]) == {"w2"}


def test_a_control_plane_that_is_not_there_yet() -> None:
    """Its init was killed, or its API server is down: no firewall is to blame."""
    plan = plan_of([host("cp1", 1, joined=True), host("w1", 2)]).as_dict()
    assert not [pair for pair in pairs(plan) if pair[:2] == ("w1", "cp1")]


def test_the_number_of_connections_grows_with_the_number_of_machines() -> None:
    hosts = [host("cp1", 1), *(host(f"w{number}", number % 250 + 2) for number in range(100))]
    assert len(pairs(plan_of(hosts).as_dict())) < 7 * len(hosts)


def test_ports_that_are_taken_are_left_alone() -> None:
    foreign = [
        {"protocol": "tcp", "port": 6443, "process": "nginx"},
        {"protocol": "udp", "port": 10250, "process": "x"},
    ]
    plan = plan_of([host("cp1", 1, listening=foreign), host("w1", 2)]).as_dict()
    assert ("w1", "cp1", "tcp", 6443, True) not in pairs(plan)
    # What an earlier run has left is replaced.
    ours = [{"protocol": "tcp", "port": 6443, "process": "slipway-listen"}]
    assert ("w1", "cp1", "tcp", 6443, True) in pairs(plan_of([host("cp1", 1, listening=ours), host("w1", 2)]).as_dict())


def test_another_pod_network() -> None:
    plan = plan_of([host("cp1", 1, cni_provider="none"), host("w1", 2, cni_provider="none")]).as_dict()
    assert {pair[2] for pair in pairs(plan)} == {"tcp"}


def test_the_endpoint_is_tried() -> None:
    given = {"api_endpoint_provider": "external", "cluster_endpoint": "api.example.com:443"}
    plan = plan_of([host("cp1", 1, **given), host("w1", 2, **given)]).as_dict()
    assert {pair[0] for pair in pairs(plan) if pair[1:] == (ENDPOINT, "tcp", 443, False)} == {"cp1", "w1"}


def test_nodes_that_are_to_use_the_endpoint_try_it() -> None:
    given = {"api_endpoint_provider": "external", "cluster_endpoint": "lb.example.com:443"}
    nodes = [host("cp1", 1, joined=True, **given), host("w1", 2, joined=True, **given)]
    assert not pairs(plan_of(nodes).as_dict())
    for node in nodes:
        node.variables["preflight_moves_endpoint"] = True  # type: ignore[index]
    tried = {(name, ENDPOINT, "tcp", 443, False) for name in ("cp1", "w1")}
    assert pairs(plan_of(nodes).as_dict()) == tried
    assert {name for name, *_more in pairs(plan_of(nodes, ["w1"]).as_dict())} == {"w1"}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "api.example.com"),
        ({"node_prep_hosts_entries": ["192.0.2.9 api.example.com # ours"]}, "192.0.2.9"),
        ({"node_prep_hosts_entries": ["192.0.2.9 other # api.example.com"]}, "api.example.com"),
        ({"cluster_endpoint": "cp1:443", "node_prep_hosts": True}, "192.0.2.1"),
        ({"cluster_endpoint": "cp1:443"}, "cp1"),
    ],
)
def test_an_endpoint_whose_name_node_prep_will_write(given: t.Dict[str, t.Any], expected: str) -> None:
    """No machine knows the name yet, and the load balancer is where it will lead to."""
    given = {"api_endpoint_provider": "external", "cluster_endpoint": "api.example.com:443", **given}
    plan = plan_of([host("cp1", 1, **given), host("w1", 2, **given)]).as_dict()
    (peer,) = (peer for peer in plan["probe"]["w1"]["peers"] if peer["host"] == ENDPOINT)
    assert peer["address"] == expected


def test_the_vip_is_looked_for_before_there_is_a_control_plane() -> None:
    plan = plan_of([host("cp1", 1, **KEEPALIVED), host("w1", 2, **KEEPALIVED)]).as_dict()
    assert (plan["probe"]["cp1"]["vip"], plan["probe"]["cp1"]["interface"]) == ("192.0.2.100", "eth0")
    assert plan["probe"]["w1"]["vip"] == ""
    assert ("w1", "cp1", "tcp", 8443, True) in pairs(plan)
    hosts = [host("cp1", 1, **KEEPALIVED), host("cp2", 2, joined=True, **KEEPALIVED)]
    assert {probe["vip"] for probe in plan_of(hosts).as_dict()["probe"].values()} == {""}
    # An address outside of their network is reported elsewhere.
    outside = {**KEEPALIVED, "api_endpoint_vip": "203.0.113.5"}
    assert plan_of([host("cp1", 1, **outside)]).as_dict()["probe"] == {}


def test_the_vip_is_looked_for_before_a_cluster_is_moved_to_it() -> None:
    def plan(address: str, endpoint: str) -> t.Dict[str, t.Any]:
        plane = host("cp1", 1, joined=True, **KEEPALIVED)
        assert plane.facts
        plane.facts["kubernetes"]["endpoint"] = endpoint
        plane.facts["interfaces"][0]["addresses"].append({"address": address, "prefix": 32})
        return plan_of([plane, host("w1", 2, joined=True, **KEEPALIVED)]).as_dict()

    assert plan("192.0.2.99", "192.0.2.1:6443")["probe"] == {
        "cp1": {"peers": [], "vip": "192.0.2.100", "interface": "eth0"}
    }
    # The control plane has it already; it has been moved; nothing is known.
    assert plan("192.0.2.100", "192.0.2.1:6443")["probe"] == {}
    assert plan("192.0.2.99", "192.0.2.100:8443")["probe"] == {}
    assert plan("192.0.2.99", "")["probe"] == {}


def failure(name: str, port: int, protocol: str = "tcp", error: str = "no answer in 2 s") -> t.Dict[str, t.Any]:
    return {"failures": [{"host": name, "address": "192.0.2.9", "port": port, "protocol": protocol, "error": error}]}


@pytest.mark.parametrize(
    ("found", "severity", "texts"),
    [
        (failure("w1", 10250), "error", ["w1 (192.0.2.9) cannot be reached on port 10250/tcp", "the kubelet"]),
        (failure("cp1", 6443), "error", ["the API server: no answer in 2 s."]),
        (failure("cp1", 2380), "error", ["is for etcd"]),
        (failure("cp1", 8443), "error", ["is for the endpoint of the API servers"]),
        (failure("w1", 8472, "udp"), "error", ["8472/udp", "Flannel"]),
        (failure(ENDPOINT, 443, error="connection refused"), "warning", ["refuses connections on port 443/tcp"]),
        (failure(ENDPOINT, 443), "error", ["cannot be reached on port 443/tcp: no answer in 2 s."]),
        ({"vip_holder": "02:42:00:00:00:09"}, "error", ["192.0.2.100 is in use by a machine with the MAC address 02:"]),
        (
            {"vrrp": [{"sender": "192.0.2.7", "router_id": 51, "addresses": ["192.0.2.77"]}]},
            "error",
            ["51 is used by 192.0.2.7 in this network, for 192.0.2.77."],
        ),
        ({"clocks": {"w1": (3.0, 3.1)}}, "error", ["the clock is 3.0 s ahead of that of cp1."]),
        ({"clocks": {"w1": (-0.9, -0.8)}}, "warning", ["the clock is 0.8 s behind that of cp1."]),
    ],
)
def test_what_was_found(found: t.Dict[str, t.Any], severity: str, texts: t.List[str]) -> None:
    (problem,) = run_checks(peers.CHECKS, [host("cp1", 1, found=found, **KEEPALIVED), host("w1", 2)])
    assert problem.severity == severity
    for text in texts:
        assert text in problem.message


def test_what_is_well() -> None:
    found = {"vrrp": [{"sender": "192.0.2.7", "router_id": 52, "addresses": []}], "clocks": {"w1": (-0.4, 2.0)}}
    assert run_checks(peers.CHECKS, [host("cp1", 1, found=found, **KEEPALIVED), host("w1", 2)]) == []


def at(*clocks: t.Any) -> t.List[Problem]:
    return list(peers.check_clocks([Host(f"n{number}", clock=clock) for number, clock in enumerate(clocks)]))


def test_clocks_are_compared_with_each_other_and_not_with_the_controller() -> None:
    assert at((100.0, 100.3), (100.2, 100.6), None) == []
    assert at((-5.0, 5.0), (0.0, 0.1)) == []
    (problem,) = at((0.0, 0.2), (0.0, 0.3), (3.3, 3.4))
    assert (problem.host, problem.severity) == ("n2", "error")
    assert problem.message == "the clock is 3.1 s ahead of that of n0."
    (problem,) = at((0.0, 0.2), (-0.9, -0.7))
    assert (problem.severity, problem.message) == ("warning", "the clock is 0.7 s behind that of n0.")


@pytest.mark.parametrize(("fact", "asked", "count"), [("", "check", 1), ("", "leave", 0), ("container", "check", 0)])
def test_time_synchronisation(fact: str, asked: str, count: int) -> None:
    variables = {"node_prep_time_sync": asked}
    assert len(list(peers.check_time_sync([Host("n", variables=variables, facts={"time_sync": fact})]))) == count


def test_an_address_that_a_static_pod_will_bring() -> None:
    """kube-vip runs when the kubelet does, and so nobody has the address before that."""
    failure = {"host": ENDPOINT, "address": "192.0.2.9", "port": 6443, "protocol": "tcp", "error": "no answer"}

    def found(pods: t.List[str], joined: bool = False) -> t.List[str]:
        control_plane = host("cp1", 1, joined, found={"failures": [failure]})
        assert control_plane.facts is not None
        facts = {**control_plane.facts, "surroundings": {"static_pods": pods}}
        return [
            problem.severity for problem in peers.check_connections([dataclasses.replace(control_plane, facts=facts)])
        ]

    assert (found([]), found(["kube-vip.yaml"]), found(["kube-vip.yaml"], True)) == (["error"], ["warning"], ["error"])
