# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What firewalls are told, by what the real ones have printed."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _firewalls
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._firewalls import Opening, firewalld, nftables, ufw
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import firewalls as looks
from ansible_collections.slipway.kubernetes.plugins.modules import node_firewall
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner, recorded, write
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

API = Opening("tcp", "6443")
ETCD = Opening("tcp", "2379-2380", "192.0.2.11/32")
VRRP = Opening("vrrp", "", "192.0.2.11/32")
FROM_PODS = Opening(source="10.244.0.0/16", forwarded=True)
TO_PODS = Opening(destination="10.244.0.0/16", forwarded=True)
SERVICES = Opening(destination="10.96.0.0/12")
SIX = Opening("tcp", "10250", "fd00::/64")
ALL = [API, ETCD, VRRP, FROM_PODS, TO_PODS, SERVICES, SIX]

UFW = {"etc/ufw/ufw.conf": "ENABLED=yes\n"}


def ruleset(*chains: t.Any, ours: int = 0) -> str:
    """What ``nft --json list ruleset`` prints of chains: family, table, name, hook, policy.

    :param ours: how many rules our chains have, to which each leads then.
    """
    items: t.List[t.Any] = []
    for family, table, name, hook, policy in chains:
        items.append({"chain": {"family": family, "table": table, "name": name, "hook": hook, "policy": policy}})
        if ours:
            place = {"family": family, "table": table}
            items.append({"rule": {**place, "chain": name, "expr": [{"jump": {"target": f"slipway-{hook}"}}]}})
            number = ours if hook == "input" else 2
            items += [{"rule": {**place, "chain": f"slipway-{hook}", "expr": [{"accept": None}]}}] * number
    return json.dumps({"nftables": items})


# ufw


def test_ufw_is_told_once(tmp_path: Path) -> None:
    # Printed after these very rules were added to ufw 0.36.2.
    runner = FakeRunner({"show added": recorded("ufw", "added"), "ufw": ""}, tools={"ufw"})
    firewall = ufw.Ufw(runner, str(tmp_path))
    firewall.expect([API])
    runner.calls.clear()
    change = firewall.bring(ALL, keep=False, check_mode=False)
    assert change.before == change.after and [words[1:] for words in runner.calls] == [["show", "added"]]


def test_ufw_takes_what_is_missing_and_leaves_what_others_have_added(tmp_path: Path) -> None:
    added = "ufw allow 22/tcp\nufw allow 6443/tcp comment 'the API'\nufw deny 25\n"
    added += "ufw allow from 10.0.0.0/8 to any port 10250 proto tcp comment 'slipway.kubernetes'\n"
    added += "ufw route allow from 10.9.0.0/16 comment 'slipway.kubernetes'\n"
    new = f"{added}ufw {ufw.words(ETCD)}\nufw {ufw.words(FROM_PODS)}\n"
    runner = FakeRunner({"show added": [added, added, new], "ufw": ""}, tools={"ufw"})
    firewall = ufw.Ufw(runner, str(tmp_path))
    wanted = [API, ETCD, FROM_PODS]
    assert firewall.bring(wanted, keep=False, check_mode=True).after == [
        "allow from 192.0.2.11 to any port 2379:2380 proto tcp",
        "route allow from 10.244.0.0/16",
    ]
    assert [words[1:] for words in runner.calls] == [["show", "added"]]
    firewall.bring(wanted, keep=False, check_mode=False)
    assert [" ".join(words[1:]) for words in runner.calls[2:]] == [
        "allow from 192.0.2.11 to any port 2379:2380 proto tcp comment slipway.kubernetes",
        "route allow from 10.244.0.0/16 comment slipway.kubernetes",
        "show added",
        "delete allow from 10.0.0.0/8 to any port 10250 proto tcp",
        "route delete allow from 10.9.0.0/16",
    ]
    runner.calls.clear()
    firewall.bring(wanted, keep=True, check_mode=False)
    assert not [words for words in runner.calls if "delete" in words]


def test_a_ufw_that_writes_rules_in_another_way_loses_none(tmp_path: Path) -> None:
    ours = "ufw allow from 10.0.0.0/8 to any port 10250 proto tcp comment 'slipway.kubernetes'\n"
    runner = FakeRunner({"show added": ours, "ufw": ""}, tools={"ufw"})
    with pytest.raises(SlipwayError, match="does not name a rule that it was told: allow 6443/tcp"):
        ufw.Ufw(runner, str(tmp_path)).bring([API], keep=False, check_mode=False)
    assert not [words for words in runner.calls if "delete" in words]


def test_ufw_has_no_rule_for_ipip() -> None:
    with pytest.raises(SlipwayError, match="no rule for IPIP"):
        ufw.Ufw(FakeRunner({})).expect([API, Opening("ipip", "", "192.0.2.0/24")])


def test_a_ufw_without_ipv6_is_told_nothing_of_it(tmp_path: Path) -> None:
    write(tmp_path, "etc/default/ufw", 'IPV6=no\nDEFAULT_INPUT_POLICY="DROP"\n')
    firewall = ufw.Ufw(FakeRunner({"show added": ""}, tools={"ufw"}), str(tmp_path))
    with pytest.raises(SlipwayError, match=r"IPV6=no in /etc/default/ufw"):
        firewall.expect([API, SIX])
    firewall.expect([API])


def test_neighbours_of_ipv6_are_found() -> None:
    """ufw sees to that by itself, and IPv4 alone has no such thing."""
    neighbours = node_firewall.read({"protocol": "icmpv6", "port": "", "source": "", "destination": "", "forwarded": 0})
    assert (neighbours.version, nftables.rule(neighbours)) == (6, "meta l4proto 58 accept")
    assert firewalld.rule(neighbours) == '<rule family="ipv6"><protocol value="58"/><accept/></rule>'
    places = [nftables.Place(family, "filter", "in", "input") for family in ("ip", "ip6", "inet")]
    assert [len(nftables.rules_for(place, [neighbours])) for place in places] == [0, 1, 1]
    runner = FakeRunner({"show added": ""}, tools={"ufw"})
    ufw.Ufw(runner).expect([neighbours])
    assert ufw.Ufw(runner).bring([neighbours], keep=False, check_mode=True).after == []


def test_an_older_ufw_has_no_rule_for_vrrp() -> None:
    runner = FakeRunner({"version": "ufw 0.36.1\nCopyright 2008-2021", "show added": ""}, tools={"ufw"})
    with pytest.raises(SlipwayError, match=r"ufw 0\.36\.1 has no rule for VRRP"):
        ufw.Ufw(runner).expect([API, VRRP])
    runner.answers["version"] = "ufw 0.36.2\nCopyright 2008-2023"
    ufw.Ufw(runner).expect([API, VRRP])


def test_what_ufw_was_told_to_refuse_is_nobody_elses() -> None:
    # ufw would put our rule in the place of this one, and a reset would delete it.
    runner = FakeRunner({"show added": "ufw deny 6443/tcp\nufw deny 25\n"}, tools={"ufw"})
    with pytest.raises(SlipwayError, match="told to refuse what a node needs: deny 6443/tcp"):
        ufw.Ufw(runner).expect(ALL[:2])
    runner = FakeRunner({"show added": "ufw limit 6443/tcp\n"}, tools={"ufw"})
    ufw.Ufw(runner).expect([API])
    assert ufw.Ufw(runner).bring([API], keep=False, check_mode=False).after == []


# firewalld


@pytest.fixture(name="firewalld_root")
def fixture_firewalld_root(tmp_path: Path) -> str:
    write(tmp_path, "run/systemd/units/invocation:firewalld.service", "")
    return str(tmp_path)


#: What firewalld 1.3.3 has printed with these files of ours.
KNOWN = {"--list-rich-rules": recorded("firewalld", "rich-rules"), "--list-sources": "10.244.0.0/16\n", "--reload": ""}


def written(root: str) -> t.Dict[str, str]:
    folder = Path(root) / "etc/firewalld"
    return {path.stem: path.read_text() for path in sorted(folder.glob("*/*.xml"))}


def test_firewalld_gets_files_of_ours(firewalld_root: str) -> None:
    told = {"--list-rich-rules": "", "--list-sources": "", "--reload": "success"}
    runner = FakeRunner(told, tools={"firewall-cmd"})
    firewall = firewalld.Firewalld(runner, firewalld_root)
    change = firewall.bring(ALL, keep=False, check_mode=True)
    assert change.before == [] and len(change.after) == len(ALL) - 1 and change.after[-1] == "pods 10.244.0.0/16"
    assert written(firewalld_root) == {}
    firewall.bring(ALL, keep=False, check_mode=False)
    assert runner.calls[-1][1:] == ["--reload"]
    names = ("slipway-from-pods", "slipway-input", "slipway-pods", "slipway-to-pods")
    assert written(firewalld_root) == {name: recorded("firewalld", name) for name in names}
    runner.answers = dict(KNOWN)
    assert firewall.bring(ALL, keep=False, check_mode=False) == (change.after, change.after, False)


@pytest.mark.parametrize("lost", ["--list-rich-rules", "--list-sources"])
def test_a_firewalld_that_was_not_told_is_told(firewalld_root: str, lost: str) -> None:
    runner = FakeRunner(dict(KNOWN), tools={"firewall-cmd"})
    firewall = firewalld.Firewalld(runner, firewalld_root)
    firewall.bring(ALL, keep=False, check_mode=False)
    runner.calls.clear()
    runner.answers[lost] = ""
    change = firewall.bring(ALL, keep=False, check_mode=True)
    assert change.is_one and change.before == change.after
    assert ["--reload"] not in [words[1:] for words in runner.calls]
    firewall.bring(ALL, keep=False, check_mode=False)
    assert runner.calls[-1][1:] == ["--reload"]


def test_firewalld_keeps_what_is_not_known_to_be_over(firewalld_root: str) -> None:
    runner = FakeRunner(dict(KNOWN), tools={"firewall-cmd"})
    firewall = firewalld.Firewalld(runner, firewalld_root)
    firewall.bring(ALL, keep=False, check_mode=False)
    assert len(firewall.bring([API], keep=True, check_mode=False).after) == len(ALL) - 1
    assert len(firewall.bring([API], keep=False, check_mode=False).after) == 1
    assert list(written(firewalld_root)) == ["slipway-input"]
    assert firewall.bring([], keep=False, check_mode=False).after == []
    assert written(firewalld_root) == {}


def test_pods_are_in_one_zone_only(firewalld_root: str) -> None:
    # What preflight, and pages of others, advise where a firewall is left alone.
    zone = (
        '<?xml version="1.0" encoding="utf-8"?>\n<zone target="ACCEPT">\n  <source address="10.244.0.0/16"/>\n</zone>\n'
    )
    path = write(Path(firewalld_root), "etc/firewalld/zones/trusted.xml", zone)
    firewall = firewalld.Firewalld(FakeRunner(dict(KNOWN), tools={"firewall-cmd"}), firewalld_root)
    with pytest.raises(SlipwayError, match=r"has 10\.244\.0\.0/16, .* in its zone trusted, .*--remove-source=10\.244"):
        firewall.expect(ALL)
    path.write_text(zone.replace("10.244", "10.9"))
    firewall.expect(ALL)
    firewall.bring(ALL, keep=False, check_mode=False)
    firewall.expect(ALL)


def test_a_firewalld_that_is_off_is_not_told(tmp_path: Path) -> None:
    write(tmp_path, "etc/firewalld/policies/slipway-input.xml", recorded("firewalld", "slipway-input"))
    firewall = firewalld.Firewalld(FakeRunner({}, tools={"firewall-cmd"}), str(tmp_path))
    assert firewall.bring([], keep=False, check_mode=False).before
    assert written(str(tmp_path)) == {}


# nftables

INPUT = ("inet", "filter", "input", "input", "drop")
FORWARD = ("inet", "filter", "forward", "forward", "drop")
OUTPUT = ("inet", "filter", "output", "output", "accept")


def kernel(*chains: t.Any, ours: int = 0) -> FakeRunner:
    """A machine with these chains."""
    return FakeRunner({"list ruleset": ruleset(*chains, ours=ours), "systemctl": ""}, tools={"nft", "systemctl"})


def test_chains_of_nftables_lead_to_ours(tmp_path: Path) -> None:
    runner = kernel(INPUT, FORWARD, OUTPUT)
    firewall = nftables.Nftables(runner, str(tmp_path))
    assert firewall.is_active()
    before, after, _is_behind = firewall.bring(ALL, keep=False, check_mode=True)
    assert before == [] and not (tmp_path / "usr").exists()
    assert after == recorded("nftables", "rules").splitlines()
    runner.calls.clear()
    assert firewall.bring(ALL, keep=False, check_mode=False).after == after
    assert [words[1:] for words in runner.calls[1:]] == [
        ["daemon-reload"],
        ["enable", "--quiet", "slipway-firewall.service"],
        ["reload-or-restart", "slipway-firewall.service"],
    ]
    # Not there yet, as when somebody reads his file by hand, and not all of them, as when a run was killed.
    assert firewall.bring(ALL, keep=False, check_mode=True) == (after, after, True)
    runner.answers["list ruleset"] = ruleset(INPUT, FORWARD, ours=4)
    assert firewall.bring(ALL, keep=False, check_mode=True) == (after, after, True)
    runner.answers["list ruleset"] = ruleset(INPUT, FORWARD, ours=5)
    assert firewall.bring(ALL, keep=False, check_mode=True) == (after, after, False)
    assert firewall.bring([API], keep=True, check_mode=True).after == after
    assert len(firewall.bring([API], keep=False, check_mode=True).after) == 1


@pytest.mark.parametrize("lost", ["", nftables.UNIT_FILE, nftables.PROGRAM])
def test_what_was_let_through_is_taken_back(tmp_path: Path, lost: str) -> None:
    runner = kernel(INPUT)
    firewall = nftables.Nftables(runner, str(tmp_path))
    after = firewall.bring([API], keep=False, check_mode=False).after
    runner.calls.clear()
    if lost:
        # A run that was killed in the middle.
        (tmp_path / lost.lstrip("/")).unlink()
    assert firewall.is_here() and firewall.bring([], keep=False, check_mode=True).is_one
    change = firewall.bring([], keep=False, check_mode=False)
    assert change == ([] if lost == nftables.PROGRAM else after, [], True)
    unit = [] if lost == nftables.UNIT_FILE else ["disable", "daemon-reload"]
    assert [words[1] for words in runner.calls] == unit
    assert not firewall.is_here() and firewall.bring([], keep=False, check_mode=False) == ([], [], False)


def test_rules_that_cannot_be_read_are_not_none() -> None:
    runner = FakeRunner({"list ruleset": "Error: none"}, tools={"nft"})
    with pytest.raises(SlipwayError, match="could not be read"):
        nftables.Nftables(runner).is_active()


def test_rules_are_of_the_family_of_their_table() -> None:
    place = looks.Place("ip", "own", "in", "input")
    assert nftables.rules_for(place, [API, SIX]) == ["tcp dport 6443 accept"]
    assert nftables.rules_for(place._replace(family="ip6"), [ETCD, SIX]) == [
        "ip6 saddr fd00::/64 tcp dport 10250 accept"
    ]


def test_chains_that_are_not_for_us() -> None:
    # Docker's, which kube-proxy and pod networks see to; tables that are written anew; names that are words of a shell;
    # an IPv6 that is shut.
    docker = ("ip", "filter", "FORWARD", "forward", "drop")
    theirs = ("ip", "kube-proxy", "in", "input", "drop")
    odd = ("inet", "a;reboot", "in", "input", "drop")
    six = ("ip6", "filter", "INPUT", "input", "drop")
    firewall = nftables.Nftables(kernel(docker, theirs, odd, six))
    assert not firewall.is_active()
    firewall.expect([API])
    with pytest.raises(SlipwayError, match=r"iptables' chain INPUT \(ip6\)"):
        firewall.expect([SIX])
    firewall = nftables.Nftables(kernel(docker, ("ip", "filter", "INPUT", "input", "drop")))
    assert firewall.is_active()
    with pytest.raises(SlipwayError, match=r"iptables' chain INPUT .*: .* 2379-2380 accept; tcp dport 6443"):
        firewall.expect(ALL)


# The module


def given(opening: Opening) -> t.Dict[str, t.Any]:
    return dict(opening._asdict())


@pytest.fixture(name="machine")
def fixture_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeRunner:
    """A machine with ufw."""
    for path, text in UFW.items():
        write(tmp_path, path, text)
    runner = FakeRunner({"show added": "", "ufw": ""}, tools={"ufw"})
    monkeypatch.setattr(node_firewall, "firewalls", lambda _runner: _firewalls.firewalls(runner, str(tmp_path)))
    return runner


def test_module(machine: FakeRunner, run_module: ModuleRunner) -> None:
    # ufw's own chains, which are seen in the kernel, too.
    machine.answers = {"list ruleset": ruleset(("ip", "filter", "INPUT", "input", "drop")), **machine.answers}
    machine.tools = {"ufw", "nft"}
    options = {"openings": [given(API), given(ETCD)]}
    result = run_module(node_firewall.main, options, check=True)
    assert result["changed"] and result["firewalls"] == ["ufw"]
    assert result["diff"][0]["after"].splitlines()[0] == "allow 6443/tcp"
    machine.answers["show added"] = "\n".join(f"ufw {ufw.words(item)}" for item in (API, ETCD))
    assert not run_module(node_firewall.main, options)["changed"]
    assert run_module(node_firewall.main, {"state": "disabled"})["changed"]
    assert machine.calls[-1][1:] == ["disable"]


def test_module_where_nothing_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner
) -> None:
    runner = FakeRunner({})
    monkeypatch.setattr(node_firewall, "firewalls", lambda _runner: _firewalls.firewalls(runner, str(tmp_path)))
    for options in ({"openings": [given(API)]}, {"state": "absent"}, {"state": "disabled"}):
        result = run_module(node_firewall.main, options)
        assert (result["failed"], result["changed"], result["firewalls"]) == (False, False, [])
    # Nothing that could be turned off keeps these.
    runner = kernel(INPUT)
    result = run_module(node_firewall.main, {"state": "disabled"})
    assert (result["failed"], result["changed"], result["firewalls"]) == (False, False, [])
    assert runner.calls == []


def test_natural_values() -> None:
    assert node_firewall.read({**given(API), "source": "0.0.0.0/0"}) == API
    assert node_firewall.read({**given(API), "port": "6443-6443", "destination": "::/0"}) == API


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"source": "192.0.2.1/24"}, "has host bits set"),
        ({"source": "worker1"}, "Write a network as"),
        ({"port": "6443"}, "needs the protocol tcp or udp"),
        ({"port": "1; reboot", "protocol": "tcp"}, "needs the protocol tcp or udp"),
        ({"source": "192.0.2.0/24", "destination": "fd00::/64"}, "one network is of IPv4"),
    ],
)
def test_openings_that_are_none(
    machine: FakeRunner, run_module: ModuleRunner, wrong: t.Dict[str, str], said: str
) -> None:
    result = run_module(node_firewall.main, {"openings": [wrong]})
    assert result["failed"] and said in result["msg"]
    assert machine.calls == []
