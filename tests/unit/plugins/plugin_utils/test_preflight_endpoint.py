# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on the endpoint of the API servers."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import endpoint as checks
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host, Problem, run_checks

KEEPALIVED = {
    "api_endpoint_provider": "keepalived",
    "api_endpoint_vip": "192.0.2.100",
    "api_endpoint_router_id": 0,
    "cluster_endpoint": "192.0.2.100:8443",
    "cluster_pod_subnet": "10.244.0.0/16",
    "cluster_service_subnet": "10.96.0.0/12",
}


def facts(number: int, *more: str, **kubernetes: t.Any) -> t.Dict[str, t.Any]:
    """A machine with the address 192.0.2.NUMBER."""
    addresses = [tuple(text.split("/")) for text in (f"192.0.2.{number}/24", *more)]
    eth0 = {"name": "eth0", "addresses": [{"address": text, "prefix": int(length)} for text, length in addresses]}
    return {"interfaces": [eth0], "default_address": f"192.0.2.{number}", "kubernetes": kubernetes}


def cluster(count: int = 3, worker: t.Optional[t.Dict[str, t.Any]] = None, **given: t.Any) -> t.List[Host]:
    """Control planes and a worker behind keepalived."""
    variables = {**KEEPALIVED, **given}
    hosts = [Host(f"cp{number}", True, False, variables, facts=facts(number)) for number in range(1, count + 1)]
    return [*hosts, Host("worker1", False, True, variables, facts=worker or facts(9))]


def said(hosts: t.Sequence[Host]) -> t.List[Problem]:
    return run_checks(checks.CHECKS, hosts)


def test_good_ones() -> None:
    assert said(cluster()) == []
    assert said(cluster(cluster_endpoint="api.example.com:8443")) == []
    external = {"api_endpoint_provider": "external", "cluster_endpoint": "api.example.com", "api_endpoint_vip": "x"}
    assert said(cluster(**external)) == []
    assert said(cluster(1, api_endpoint_provider="none", cluster_endpoint="", api_endpoint_vip="")) == []
    # Before there was the role.
    assert said([Host("cp1", True, False, {}, facts=facts(1))]) == []


def test_the_vip_of_a_cluster_that_runs_is_on_a_control_plane() -> None:
    hosts = cluster()
    hosts[0] = Host("cp1", True, False, KEEPALIVED, facts=facts(1, "192.0.2.100/32"))
    assert said(hosts) == []


@pytest.mark.parametrize(
    ("given", "subject", "message"),
    [
        ({"cluster_endpoint": ""}, "cluster_endpoint", "is empty, and api_endpoint_provider is keepalived."),
        ({"cluster_endpoint": "", "api_endpoint_provider": "external"}, "cluster_endpoint", "is empty, and"),
        ({"api_endpoint_provider": "none"}, "api_endpoint_provider", "is none with 3 control planes"),
        ({"cluster_endpoint": "192.0.2.100"}, "cluster_endpoint", "has port 6443, which the API server itself"),
        ({"cluster_endpoint": "192.0.2.100:2379"}, "cluster_endpoint", "has port 2379, which etcd"),
        (
            {"control_plane_init_configuration": {"localAPIEndpoint": {"bindPort": 8443}}},
            "cluster_endpoint",
            "has port 8443, which the API server itself",
        ),
        ({"api_endpoint_vip": "api.example.com"}, "api_endpoint_vip", "api.example.com is no IPv4 address"),
        ({"api_endpoint_vip": "fd00::9"}, "api_endpoint_vip", "fd00::9 is no IPv4 address"),
        ({"cluster_pod_subnet": "fd00:1::/56"}, "api_endpoint_vip", "192.0.2.100 is no IPv6 address"),
        ({"api_endpoint_vip": "192.0.2.101"}, "api_endpoint_vip", "192.0.2.101 is not where cluster_endpoint"),
        ({"cluster_pod_subnet": "192.0.2.96/28"}, "api_endpoint_vip", "192.0.2.100 is in cluster_pod_subnet 192"),
        ({"cluster_service_subnet": "192.0.2.96/28"}, "api_endpoint_vip", "is in cluster_service_subnet 192"),
        (
            {"metallb_address_pools": [{"addresses": ["192.0.2.90-192.0.2.110", "x"]}, {"addresses": 1}, 1]},
            "api_endpoint_vip",
            "192.0.2.100 is in the range 192.0.2.90-192.0.2.110 of metallb",
        ),
        ({"api_endpoint_router_id": 256}, "api_endpoint_router_id", "256 is not between 1 and 255"),
        ({"api_endpoint_router_id": -1}, "api_endpoint_router_id", "-1 is not between"),
        ({"api_endpoint_password": "123456789"}, "api_endpoint_password", "has more than 8 characters"),
        ({"api_endpoint_interface": "eth7"}, "api_endpoint_interface", "there is no eth7 (it has eth0)."),
    ],
)
def test_bad_ones(given: t.Dict[str, t.Any], subject: str, message: str) -> None:
    problems = said(cluster(**given))
    assert {problem.subject for problem in problems} == {subject}, problems
    assert problems[0].message.startswith(message) or message in problems[0].message, problems


@pytest.mark.parametrize(
    ("password", "severity"),
    [
        # As keepalived 2.2.7 reads them.
        ("a}b", "error"),
        ("{", "error"),
        ('"abc', "error"),
        ("#abc", "error"),
        ("!abc", "error"),
        ("a\nb", "error"),
        ("ab#c", "warning"),
        ("a b", "warning"),
        ('"abc"', ""),
        ("it's", ""),
        ("a$b\\%@", ""),
        ("", ""),
    ],
)
def test_passwords_that_keepalived_reads_otherwise(password: str, severity: str) -> None:
    problems = said(cluster(api_endpoint_password=password))
    assert [problem.severity for problem in problems] == ([severity] if severity else [])
    assert all(password not in problem.message for problem in problems)


def at(vip: str) -> t.Dict[str, t.Any]:
    return {"api_endpoint_vip": vip, "cluster_endpoint": f"{vip}:8443"}


@pytest.mark.parametrize(
    ("vip", "hosts", "message"),
    [
        ("192.0.2.2", ["cp2"], "192.0.2.2 is the host's own address."),
        ("192.0.2.9", ["worker1"], "192.0.2.9 is the host's own address."),
        ("203.0.113.5", ["cp1", "cp2", "cp3"], "203.0.113.5 is in no network of the host (192.0.2.0/24)."),
        ("192.0.2.255", ["cp1", "cp2", "cp3"], "192.0.2.255 is no address of a machine in 192.0.2.0/24."),
    ],
)
def test_bad_addresses(vip: str, hosts: t.List[str], message: str) -> None:
    problems = said(cluster(**at(vip)))
    assert [problem.host for problem in problems] == hosts
    assert {problem.message for problem in problems} == {message}


def test_a_worker_that_has_the_address() -> None:
    (problem,) = said(cluster(worker=facts(9, "192.0.2.100/32")))
    assert (problem.host, problem.message) == ("worker1", "192.0.2.100 is the host's own address.")


def test_a_control_plane_whose_own_address_dhcp_sets_anew() -> None:
    """keepalived's address is the first on the interface, or the only one for a moment."""
    hosts = cluster()
    own = facts(1, "192.0.2.100/32")
    own["default_address"] = "192.0.2.100"
    hosts[0] = Host("cp1", True, False, hosts[0].variables, facts=own)
    assert said(hosts) == []


def test_machines_that_nothing_is_known_of() -> None:
    assert said([Host("cp1", True, False, KEEPALIVED)]) == []


def test_passwords_that_differ() -> None:
    hosts = cluster()
    hosts[0] = Host("cp1", True, False, {**KEEPALIVED, "api_endpoint_password": "other"}, facts=facts(1))
    (problem,) = said(hosts)
    assert problem.subject == "api_endpoint_password" and "other" not in problem.message


@pytest.mark.parametrize(
    ("built", "wanted", "message"),
    [
        ("192.0.2.1:6443", "192.0.2.100:8443", "is 192.0.2.100:8443, but the cluster was built with 192.0.2.1:6443."),
        ("api:8443", "192.0.2.100:8443", "is 192.0.2.100:8443, but the cluster was built with api:8443."),
        ("192.0.2.100:8443", "192.0.2.100:8443", ""),
        ("192.0.2.1:6443", "", ""),
        ("", "", ""),
        ("192.0.2.1:6443", "https://x", ""),
        ("api:8443", "", "is empty, but the cluster was built with api:8443, which is no address of a control plane."),
    ],
)
def test_a_cluster_that_was_built_with_another_endpoint(built: str, wanted: str, message: str) -> None:
    known = facts(1, control_plane=True, unfinished=None, endpoint=built)
    variables = {**KEEPALIVED, "cluster_endpoint": wanted, "api_endpoint_provider": "external"}
    problems = list(checks.check_existing([Host("cp1", True, False, variables, facts=known)]))
    assert [problem.message for problem in problems] == ([message] if message else [])
    # Only from the address of a control plane there is a way.
    assert ["move_endpoint" in problem.remedy for problem in problems] == [built == "192.0.2.1:6443"] * len(problems)


@pytest.mark.parametrize(
    ("built", "wanted", "message"),
    [
        ("192.0.2.1:6443", "192.0.2.100:8443", ""),
        ("192.0.2.100:8443", "192.0.2.100:8443", ""),
        ("192.0.2.1:6443", "", "is empty."),
        ("", "192.0.2.100:8443", ""),
        ("api:1", "192.0.2.100:8443", "is 192.0.2.100:8443, but the cluster has an endpoint already, api:1."),
    ],
)
def test_a_cluster_that_is_moved_to_an_endpoint(built: str, wanted: str, message: str) -> None:
    known = facts(1, control_plane=True, unfinished=None, endpoint=built)
    variables = {**KEEPALIVED, "cluster_endpoint": wanted, "preflight_moves_endpoint": True}
    hosts = [Host("cp1", True, False, variables, facts=known), Host("cp2", True, False, variables, facts=facts(2))]
    assert [problem.message for problem in checks.check_existing(hosts)] == ([message] if message else [])
    (problem,) = checks.check_existing([Host("cp2", True, False, {**KEEPALIVED, **variables, "cluster_endpoint": "x"})])
    assert problem.message == "there is no cluster on these hosts."


def test_a_move_without_a_node() -> None:
    known = facts(1, control_plane=True, unfinished=None, endpoint="192.0.2.1:6443")
    variables = {**KEEPALIVED, "cluster_endpoint": "192.0.2.100:8443", "preflight_moves_endpoint": True}
    hosts = [Host("cp1", True, False, variables, facts=known), Host("worker1", False, True, variables)]
    (problem,) = checks.check_existing(hosts)
    assert (problem.subject, problem.severity) == ("--limit", "error") and "leaves out worker1" in problem.message


@pytest.mark.parametrize(
    ("plane", "worker", "is_said"),
    [
        ("192.0.2.100:8443", "192.0.2.1:6443", True),
        ("192.0.2.100:8443", "192.0.2.100:8443", False),
        ("192.0.2.100:8443", "", False),
        # That the whole cluster has another one is said once.
        ("192.0.2.1:6443", "192.0.2.1:6443", False),
    ],
)
def test_a_worker_that_was_away_when_the_cluster_was_moved(plane: str, worker: str, is_said: bool) -> None:
    variables = {**KEEPALIVED, "cluster_endpoint": "192.0.2.100:8443"}
    hosts = [
        Host("cp1", True, False, variables, facts=facts(1, control_plane=True, unfinished=None, endpoint=plane)),
        Host("worker1", False, True, variables, facts=facts(2, unfinished=None, endpoint=worker)),
    ]
    found = [problem for problem in checks.check_existing(hosts) if problem.host == "worker1"]
    assert [(problem.severity, problem.message) for problem in found] == (
        [("warning", "is 192.0.2.100:8443, but the host reaches the cluster at 192.0.2.1:6443.")] if is_said else []
    )


@pytest.mark.parametrize(
    ("provider", "ready", "joined", "severity"),
    [
        ("external", False, True, "warning"),
        ("external", False, False, "error"),
        ("external", True, False, ""),
        ("keepalived", False, False, ""),
    ],
)
def test_a_load_balancer_that_leads_elsewhere(provider: str, ready: bool, joined: bool, severity: str) -> None:
    known = facts(1, joined=True, api_ready=True, endpoint="api:8443", endpoint_ready=ready)
    variables = {"api_endpoint_provider": provider}
    hosts = [
        Host("cp1", True, False, variables, facts=known),
        Host("worker1", False, True, variables, facts=facts(2, joined=joined)),
        Host("worker2", False, True, variables),
    ]
    problems = list(checks.check_answer(hosts))
    assert [(problem.host, problem.severity) for problem in problems] == ([("cp1", severity)] if severity else [])
