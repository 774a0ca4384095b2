# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom firewalls admit."""

from __future__ import annotations

import json
import stat
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import firewalls
from ansible_collections.slipway.kubernetes.plugins.module_utils._network.firewalls import admission


def write(root: Path, files: t.Mapping[str, str]) -> str:
    for name, text in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return str(root)


UFW = {"/etc/ufw/ufw.conf": "ENABLED=yes\n", "/etc/default/ufw": 'DEFAULT_INPUT_POLICY="DROP"\n'}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("-s 192.0.2.0/24 -j ACCEPT", admission("192.0.2.0/24")),
        ("-p tcp --dport 6443 -j ACCEPT", admission(ports="6443")),
        ("-p tcp -m multiport --dports 22,6443:6500 -j ACCEPT", admission(ports="22,6443-6500")),
        ("-i cni0 -j ACCEPT", admission(interface="cni0")),
        ("-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", None),
        ("-m conntrack --ctstate NEW -s 192.0.2.1 -j ACCEPT", admission("192.0.2.1")),
        ("-p udp -d 224.0.0.251 --dport 5353 -j ACCEPT", None),
        ("-p tcp -d 224.0.0.251 --dport 6443 -j ACCEPT", None),
        ("-p tcp -d 192.0.2.11 --dport 6443 -j ACCEPT", admission(ports="6443")),
        ("-p tcp --dport 6443 -j ufw-user-limit-accept", admission(ports="6443")),
        ("-p tcp --dport 22 -j DROP", None),
    ],
)
def test_rules_of_iptables(rule: str, expected: t.Any) -> None:
    assert firewalls.parse_rule(rule) == expected


def test_ufw(tmp_path: Path) -> None:
    rules = "*filter\n-A ufw-user-input -s 192.0.2.0/24 -j ACCEPT\n-A ufw-user-output -j ACCEPT\n"
    root = write(tmp_path, {**UFW, "/etc/ufw/user.rules": rules})
    assert firewalls.look(root) == [{"by": "ufw", "admits": [admission("192.0.2.0/24")]}]
    write(tmp_path, {"/etc/default/ufw": 'DEFAULT_INPUT_POLICY="ACCEPT"\n'})
    assert firewalls.look(root) == []
    write(tmp_path, {**UFW, "/etc/ufw/ufw.conf": "ENABLED=no\n"})
    assert firewalls.look(root) == []


def test_firewalld(tmp_path: Path) -> None:
    public = '<zone><service name="ssh"/><service name="kubelet"/><port protocol="tcp" port="6443"/></zone>'
    rich = '<zone><rule family="ipv4"><source address="192.0.2.0/24"/><accept/></rule><rule><drop/></rule></zone>'
    trusted = '<zone target="ACCEPT"><source address="10.0.0.0/8"/><interface name="cni0"/></zone>'
    files = {
        "/run/systemd/units/invocation:firewalld.service": "",
        "/etc/firewalld/firewalld.conf": "DefaultZone=office\n",
        "/usr/lib/firewalld/zones/office.xml": "<zone/>",
        "/etc/firewalld/zones/office.xml": public,
        "/etc/firewalld/zones/trusted.xml": trusted,
        "/etc/firewalld/zones/rich.xml": rich,
    }
    (found,) = firewalls.look(write(tmp_path, files))
    assert found["by"] == "firewalld"
    for expected in (
        admission(ports="6443"),
        admission(ports="10250"),
        admission("10.0.0.0/8"),
        admission(interface="cni0"),
        admission("192.0.2.0/24"),
    ):
        assert expected in found["admits"]
    assert len(found["admits"]) == 5
    assert firewalls.parse_zone("<broken", True) == [admission()]


def test_services_and_rules_that_somebody_has_written_for_firewalld(tmp_path: Path) -> None:
    public = (
        '<zone><service name="cluster"/><service name="broken"/><service name="kubelet"/>'
        '<rule><port protocol="tcp" port="10250"/><accept/></rule><rule><service name="cluster"/><drop/></rule></zone>'
    )
    files = {
        "/run/systemd/units/invocation:firewalld.service": "",
        "/etc/firewalld/zones/public.xml": public,
        "/etc/firewalld/services/cluster.xml": '<service><port protocol="tcp" port="6443"/></service>',
        "/etc/firewalld/services/broken.xml": "<service",
        # Another meaning than firewalld's own.
        "/etc/firewalld/services/kubelet.xml": '<service><port protocol="udp" port="1"/></service>',
    }
    (found,) = firewalls.look(write(tmp_path, files))
    assert found["admits"] == [admission(ports="6443"), admission(ports="10250")]


def match(left: t.Any, right: t.Any, operator: str = "==") -> t.Dict[str, t.Any]:
    return {"match": {"op": operator, "left": left, "right": right}}


def payload(field: str, protocol: str = "ip") -> t.Dict[str, t.Any]:
    return {"payload": {"protocol": protocol, "field": field}}


ACCEPT: t.Dict[str, t.Any] = {"accept": None}
SADDR, DPORT, STATE = payload("saddr"), payload("dport", "tcp"), {"ct": {"key": "state"}}
PREFIX = {"prefix": {"addr": "192.0.2.0", "len": 24}}


def ruleset(*rules: t.List[t.Any], policy: str = "drop", more: t.Sequence[t.Any] = ()) -> str:
    chain = {"family": "inet", "table": "f", "name": "in", "hook": "input", "policy": policy}
    place = {"family": "inet", "table": "f", "chain": "in"}
    return json.dumps({"nftables": [{"chain": chain}, *({"rule": {**place, "expr": rule}} for rule in rules), *more]})


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ([match(SADDR, PREFIX), ACCEPT], [admission("192.0.2.0/24")]),
        ([match(SADDR, {"set": ["192.0.2.1", PREFIX]}), ACCEPT], [admission("192.0.2.1"), admission("192.0.2.0/24")]),
        ([match(SADDR, "@nodes"), ACCEPT], [admission("192.0.2.7")]),
        ([match(DPORT, {"set": [22, {"range": [6443, 6500]}]}), ACCEPT], [admission(ports="22,6443-6500")]),
        ([match({"meta": {"key": "iifname"}}, "lo"), ACCEPT], [admission(interface="lo")]),
        ([match(STATE, ["established", "related"], "in"), ACCEPT], []),
        ([match(STATE, ["new", "related"], "in"), ACCEPT], [admission()]),
        ([match({"meta": {"key": "l4proto"}}, "icmp"), ACCEPT], []),
        ([match(payload("dport", "udp"), 53), ACCEPT], []),
        ([match(payload("type", "icmp"), "echo-request"), ACCEPT], []),
        ([match(SADDR, PREFIX), {"jump": {"target": "web"}}], [admission("192.0.2.0/24", "", "6443")]),
        ([match({"odd": {}}, 1), ACCEPT], [admission()]),
        ([match(SADDR, PREFIX, "!="), ACCEPT], [admission()]),
        ([match(SADDR, PREFIX), {"drop": None}], []),
    ],
)
def test_rules_of_nftables(rule: t.List[t.Any], expected: t.List[t.Any]) -> None:
    place = {"family": "inet", "table": "f"}
    more = [
        {"set": {**place, "name": "nodes", "elem": [{"elem": {"val": "192.0.2.7"}}]}},
        {"rule": {**place, "chain": "web", "expr": [match(DPORT, 6443), ACCEPT]}},
    ]
    ((name, found),) = firewalls.Ruleset(ruleset(rule, more=more)).closed()
    assert name == "inet f in"
    assert found == expected


def test_chains_of_nftables_that_are_open_or_end_with_a_refusal() -> None:
    allowed = [match(SADDR, PREFIX), ACCEPT]
    assert firewalls.Ruleset(ruleset(allowed, policy="accept")).closed() == []
    ((_name, found),) = firewalls.Ruleset(ruleset(allowed, [{"reject": None}], policy="accept")).closed()
    assert found == [admission("192.0.2.0/24")]
    counted = {"counter": {"packets": 7, "bytes": 420}}
    assert firewalls.Ruleset(ruleset(allowed, [counted], policy="accept")).closed() == []
    assert len(firewalls.Ruleset(ruleset(allowed, [counted, {"drop": None}], policy="accept")).closed()) == 1
    assert firewalls.Ruleset('{"nftables": [{"chain": {"family": "ip", "table": "n", "name": "x"}}]}').closed() == []


def test_the_kernels_own_rules(tmp_path: Path) -> None:
    program = tmp_path / "nft"
    (tmp_path / "rules").write_text(ruleset([match(SADDR, PREFIX), ACCEPT]))
    program.write_text(f"#!/bin/sh\ncat {tmp_path}/rules\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert firewalls.nftables(str(program)) == [("inet f in", [admission("192.0.2.0/24")])]
    (tmp_path / "rules").write_text("no JSON")
    assert firewalls.nftables(str(program)) == []
    assert firewalls.nftables("/nonexistent/nft") == []
