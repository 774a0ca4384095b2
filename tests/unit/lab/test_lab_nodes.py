# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab import cli, engine, nodes
from lab.nodes import Node, Running
from lab.util import LabError


def test_names() -> None:
    assert nodes.parse(["a", "b:debian13"], "debian12", True) == [
        Node("a", "debian12", True),
        Node("b", "debian13", True),
    ]
    assert [node.name for node in nodes.parse(["3"], "debian13", False)] == ["node1", "node2", "node3"]
    assert nodes.parse([], "debian12", False) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["UPPER"], "'UPPER' is no name"),
        (["a_b"], "'a_b' is no name"),
        (["a:windows"], "'windows' is no system"),
        (["a", "a:debian13"], "named twice: a"),
    ],
)
def test_wrong_names(words: list[str], message: str) -> None:
    with pytest.raises(LabError, match=message):
        nodes.parse(words, "debian12", False)


def test_addresses() -> None:
    assert nodes.choose_numbers(["cp1", "x", "y"], [31, 33]) == {"cp1": 11, "x": 32, "y": 34}
    assert nodes.choose_numbers(["worker2"], [13]) == {"worker2": 13}, "the default nodes have addresses of their own"
    with pytest.raises(LabError, match="no address is free for x"):
        nodes.choose_numbers(["x"], nodes.POOL)


def test_ranges_do_not_overlap() -> None:
    dynamic = range(engine.DYNAMIC_FIRST, 256)
    load_balancers = range(200, 220)
    everything = [1, *nodes.RESERVED.values(), *nodes.POOL, *load_balancers, *dynamic]
    assert len(everything) == len(set(everything))


def test_node_that_runs_otherwise_is_not_replaced_silently() -> None:
    there = Running("slipway-a", "172.30.0.31", "", "debian12")
    nodes._check_same(Node("a"), there)
    for asked in (Node("a", "debian13"), Node("a", second=True)):
        with pytest.raises(LabError, match="--fresh"):
            nodes._check_same(asked, there)


def test_known_hosts_keep_lines_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "known_hosts"
    path.write_text("172.30.0.31 ssh-ed25519 OLD\n172.30.0.3 ssh-ed25519 OTHER\n")
    monkeypatch.setattr(nodes, "KNOWN_HOSTS", path)
    monkeypatch.setattr(engine, "docker", lambda *_: "ssh-ed25519 NEW root@a\n")
    nodes._write_known_hosts({"a": Running("slipway-a", "172.30.0.31", "172.31.0.31", "debian12")})
    assert path.read_text() == "172.30.0.3 ssh-ed25519 OTHER\n172.30.0.31,172.31.0.31 ssh-ed25519 NEW\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_addresses_of_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(engine, "run", lambda words: said.append(" ".join(map(str, words))))
    monkeypatch.setattr(engine, "docker", lambda *words: said.append(" ".join(words)))
    monkeypatch.setattr(engine, "as_root", lambda words: words)
    engine.enable_ipv6({"slipway-a": "172.30.0.31"})
    assert said == [
        "sysctl --quiet --write net/ipv6/conf/slip-lab/disable_ipv6=0",
        "ip -6 address replace fd30::1/64 dev slip-lab nodad",
        "exec slipway-a sysctl --quiet --write net.ipv6.conf.all.disable_ipv6=0",
        "exec slipway-a ip -6 address replace fd30::31/64 dev eth0 nodad",
    ]
    assert not cli.parser().parse_args(["nodes", "a"]).ipv6


def test_json() -> None:
    text = nodes.as_json({"a": Running("slipway-a", "172.30.0.31", "", "debian12")})
    expected = {"container": "slipway-a", "address": "172.30.0.31", "second_address": "", "os": "debian12"}
    assert json.loads(text) == {"a": {**expected, "state": "running", "machine": False}}


def test_wrapper_is_for_machines_without_the_capability() -> None:
    assert engine.needs_wrapper(0x1FFFEFFFFFF)
    assert not engine.needs_wrapper(0x1FFFFFFFFFF)


@pytest.mark.parametrize(("system", "machine"), [("Darwin", "arm64"), ("Linux", "aarch64")])
def test_other_machines(system: str, machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    with pytest.raises(LabError, match=f"this is {system} on {machine}"):
        engine.require_machine()


def test_no_root_and_no_docker(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert cli.main(["status"]) == 1
    assert "lab: error: the lab needs root" in capsys.readouterr().err


def test_network_of_another_subnet(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"subnets": ["10.0.0.0/24"], "labels": [], "addresses": []}
    monkeypatch.setattr(engine, "inspect_network", lambda _: found)
    with pytest.raises(LabError, match="docker network rm slipway-lab"):
        engine.ensure_network(engine.MAIN)


def test_command_line() -> None:
    options = cli.parser().parse_args(["mirror", "--kubernetes", "1.37.1,1.36.4"])
    assert options.kubernetes == ["1.37.1", "1.36.4"]
    options = cli.parser().parse_args(["nodes", "a", "b:debian13", "--second-network", "--json"])
    assert options.names == ["a", "b:debian13"] and options.second_network and options.json
    power = {"reboot", "poweroff", "poweron", "pause", "resume"}
    assert set(cli.COMMANDS) == {"up", "down", "status", "nodes", "mirror", *power}
