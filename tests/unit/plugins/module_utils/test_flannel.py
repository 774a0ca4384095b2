# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node's slice of the pod network, and what on its machine goes by another one."""

from __future__ import annotations

import ipaddress
import json
import os
import signal
import time
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _netlink, _processes
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import flannel, slices
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import waiting_clock
from ansible_collections.slipway.kubernetes.tests.unit.plugins.proc_fakes import process

ID, OTHER = "a1" * 32, "b2" * 32
POLICIES = {"cni_flannel_network_policy": "true"}


def node(*networks: str, announced: bool = True) -> t.Dict[str, t.Any]:
    annotations = {"flannel.alpha.coreos.com/kube-subnet-manager": "true"} if announced else {}
    return {"metadata": {"annotations": annotations}, "spec": {"podCIDRs": list(networks), "podCIDR": networks[0]}}


def kept(identifier: str, address: str, bridge: str = "cni0", name: str = "web-1") -> str:
    """What libcni keeps of a sandbox."""
    return json.dumps(
        {
            "kind": "cniCacheV1",
            "containerId": identifier,
            "networkName": "cbr0",
            "cniArgs": [["IgnoreUnknown", "1"], ["K8S_POD_NAMESPACE", "shop"], ["K8S_POD_NAME", name]],
            "result": {"interfaces": [{"name": bridge}, {"name": "eth0"}], "ips": [{"address": address}]},
        }
    )


class Machine:
    """A machine with Flannel: files, processes, a bridge, and what is done to them."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.bridge: t.List[str] = ["10.244.1.1/24"]
        self.ended: t.List[t.Tuple[int, signal.Signals]] = []
        self.on_end: t.Callable[[int], None] = lambda _pid: None
        self.clock = waiting_clock(monkeypatch)
        clock = types.SimpleNamespace(
            clock_gettime=lambda _which: 1000 + self.clock(),
            CLOCK_BOOTTIME=time.CLOCK_BOOTTIME,
        )
        (root / "results").mkdir()
        (root / "proc").mkdir()
        self.subnet("10.244.1.1/24")
        monkeypatch.setattr(_processes, "time", clock)
        monkeypatch.setattr(flannel, "SUBNET", str(root / "subnet.env"))
        monkeypatch.setattr(flannel, "RESULTS", str(root / "results"))
        monkeypatch.setattr(_processes, "PROC", str(root / "proc"))
        monkeypatch.setattr(_netlink, "interfaces", self._interfaces)
        monkeypatch.setattr(_netlink, "change_address", self._change)
        monkeypatch.setattr(os, "kill", self._kill)

    def subnet(self, *addresses: str) -> None:
        names = ("FLANNEL_SUBNET", "FLANNEL_IPV6_SUBNET")
        lines = [f"{name}={address}" for name, address in zip(names, addresses)]
        (self.root / "subnet.env").write_text("FLANNEL_NETWORK=10.244.0.0/16\n" + "\n".join(lines) + "\n")

    def pod(self, identifier: str, address: str, pid: int = 0, **more: str) -> None:
        (self.root / "results" / f"cbr0-{identifier}-eth0").write_text(kept(identifier, address, **more))
        if pid:
            process(self.root / "proc", pid, "/pause", group=f"/kubepods.slice/cri-containerd-{identifier}.scope")

    def daemon(self, pid: int, age: int, group: str = "/kubepods.slice/x") -> None:
        folder = process(self.root / "proc", pid, "/opt/bin/flanneld", depth=2, group=group)
        started = (1000 - age) * os.sysconf("SC_CLK_TCK")
        (folder / "stat").write_text(f"{pid} (a (b) c) S {' '.join(['0'] * 18)} {started} 0\n")

    def _interfaces(self) -> t.List[t.Dict[str, t.Any]]:
        split = [address.split("/") for address in self.bridge]
        addresses = [{"address": address, "prefix": int(prefix)} for address, prefix in split]
        return [{"name": "eth0", "addresses": []}, *([{"name": "cni0", "addresses": addresses}] if split else [])]

    def _change(self, interface: str, address: str, remove: bool = False) -> None:
        assert interface == "cni0"
        if remove:
            self.bridge.remove(address)
        elif address not in self.bridge:
            self.bridge.append(address)

    def _kill(self, pid: int, number: signal.Signals) -> None:
        self.ended.append((pid, number))
        self.on_end(pid)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def contradictions(*networks: str, announced: bool = True) -> t.List[str]:
    return flannel.FlannelOnNode(node(*networks, announced=announced)).contradictions()


def test_a_machine_that_is_well(machine: Machine) -> None:
    machine.pod(ID, "10.244.1.5/24", 50)
    assert contradictions("10.244.1.0/24") == []
    assert contradictions("10.244.1.0/24", "fd00:1::/64") == []
    machine.bridge = []
    assert contradictions("10.244.1.0/24") == []


def test_nothing_is_said_before_flannel_has_run_or_without_a_slice(machine: Machine) -> None:
    assert flannel.FlannelOnNode({"spec": {}}).contradictions() == []
    (machine.root / "subnet.env").unlink()
    assert contradictions("10.244.3.0/24") == []


def test_all_that_contradicts_is_named(machine: Machine) -> None:
    machine.pod(ID, "10.244.1.5/24", 50)
    assert contradictions("10.244.3.0/24") == [
        "Flannel goes by 10.244.1.0/24, and the node has 10.244.3.0/24",
        "cni0 has the address 10.244.1.1/24, and the node has 10.244.3.0/24",
        "pods have addresses that are not of 10.244.3.0/24: shop/web-1",
    ]


def test_a_node_that_came_back_with_the_same_slice(machine: Machine) -> None:
    expected = ["Flannel has not told the node's new object where it is"]
    assert contradictions("10.244.1.0/24", announced=False) == expected


def test_network_policy() -> None:
    """The tool beside Flannel by which it holds sees packets by a module of the kernel."""
    network = flannel.Flannel()
    without, given = (Settings({"cni_flannel_backend": "vxlan", **more}) for more in ({}, POLICIES))
    assert (network.told(without).has_policies, network.told(given).has_policies) == (False, True)
    assert not network.has_policies
    assert (network.modules(without), network.modules(given)) == ({"vxlan"}, {"vxlan", "nft_queue"})
    assert [port.number for port in network.ports(given)] == [8472, 9080]
    assert network.modules(given) <= set(network.kernel_modules)


def test_two_families(machine: Machine) -> None:
    machine.subnet("10.244.1.1/24", "fd00:1::1/64")
    machine.bridge = ["10.244.1.1/24", "fd00:2::1/64"]
    assert contradictions("10.244.1.0/24", "fd00:1::/64") == [
        "cni0 has the address fd00:2::1/64, and the node has 10.244.1.0/24, fd00:1::/64"
    ]


@pytest.mark.parametrize(
    ("identifier", "more", "address", "pid"),
    [
        (ID, {"bridge": "br1"}, "192.168.7.5/24", 50),
        # What is left of a sandbox that has gone.
        (ID, {}, "10.244.9.5/24", 0),
        (ID, {}, "fd00::5/64", 50),
    ],
)
def test_no_strays(machine: Machine, identifier: str, more: t.Dict[str, str], address: str, pid: int) -> None:
    machine.pod(identifier, address, pid, **more)
    process(machine.root / "proc", 60, "/pause", group=f"/kubepods.slice/cri-containerd-{OTHER}.scope")
    assert contradictions("10.244.1.0/24") == []


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"result": {"interfaces": [{"name": "cni0"}]}}', '{"result": 1}'])
def test_what_is_no_sandbox(text: str) -> None:
    assert flannel.sandbox(text) == ("", "", [])


@pytest.mark.parametrize("changes", [{"cniArgs": None}, {"containerId": "web"}, {"containerId": 7}])
def test_what_others_have_made_with_the_same_plugins_is_no_sandbox(changes: t.Dict[str, t.Any]) -> None:
    text = json.dumps({**json.loads(kept(ID, "10.244.1.5/24")), **changes})
    assert flannel.sandbox(text) == ("", "", [])


def test_a_process_of_that_name_that_is_in_no_pod_is_left(machine: Machine) -> None:
    machine.pod(ID, "10.244.9.5/24", 0)
    process(machine.root / "proc", 61, "/pause", group=f"/system.slice/cri-containerd-{ID}.scope")
    assert contradictions("10.244.1.0/24") == []


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        (["10.244.1.1/24", "192.0.2.1/32"], []),
        (["10.244.9.1/24", "10.244.1.1/24", "192.0.2.1/32"], ["10.244.9.1/24"]),
        (["10.244.9.1/24", "fd00::1/64"], ["10.244.9.1/24"]),
    ],
)
def test_addresses_that_others_have_put_behind_the_right_one_stay(present: t.List[str], expected: t.List[str]) -> None:
    networks = [ipaddress.ip_network("10.244.1.0/24"), ipaddress.ip_network("fd00::/64")]
    found = flannel.surplus([ipaddress.ip_interface(text) for text in present], networks)
    assert [str(address) for address in found] == expected


def test_there_has_to_be_a_flannel_that_takes_the_slice_over(machine: Machine) -> None:
    assert not flannel.FlannelOnNode(node("10.244.3.0/24")).can_be_mended
    machine.daemon(30, age=100)
    assert flannel.FlannelOnNode(node("10.244.3.0/24")).can_be_mended


def test_flannel_of_this_machine(machine: Machine) -> None:
    machine.daemon(30, age=100)
    machine.daemon(31, age=100, group="/system.slice/flanneld.service")
    process(machine.root / "proc", 32, "/bin/other", group="/kubepods.slice/x")
    assert flannel.daemons() == {30: pytest.approx(100)}
    (machine.root / "proc" / "30" / "stat").write_text("30 (gone")
    assert flannel.daemons() == {}


def test_everything_is_mended(machine: Machine) -> None:
    machine.pod(ID, "10.244.1.5/24", 50)
    machine.pod(OTHER, "10.244.3.5/24", 51, name="web-2")
    machine.daemon(30, age=100)

    def start_again(pid: int) -> None:
        if pid == 30:
            machine.subnet("10.244.3.1/24")

    machine.on_end = start_again
    flannel.Flannel().mend(lambda: node("10.244.3.0/24"), 60)
    assert machine.bridge == ["10.244.3.1/24"]
    assert machine.ended == [(30, signal.SIGTERM), (50, signal.SIGKILL)]
    assert flannel.FlannelOnNode(node("10.244.3.0/24")).contradictions() == [
        "pods have addresses that are not of 10.244.3.0/24: shop/web-1"
    ]


def test_a_flannel_that_has_just_started_is_waited_for(machine: Machine) -> None:
    machine.daemon(30, age=1)
    answers: t.List[t.Any] = [None, node("10.244.1.0/24", announced=False), node("10.244.1.0/24")]
    flannel.Flannel().mend(lambda: answers.pop(0), 60)
    assert machine.ended == [] and machine.clock.pauses == [1, 1]


def test_a_flannel_that_does_not_come_round_is_started_again(machine: Machine) -> None:
    machine.daemon(30, age=1)
    machine.on_end = lambda _pid: machine.subnet("10.244.3.1/24")
    flannel.Flannel().mend(lambda: node("10.244.3.0/24"), 60)
    assert machine.ended == [(30, signal.SIGTERM)] and machine.clock() == 31


def test_a_bridge_that_was_killed_half_way(machine: Machine) -> None:
    machine.subnet("10.244.3.1/24")
    machine.bridge = ["10.244.1.1/24", "10.244.3.1/24"]
    flannel.Flannel().mend(lambda: node("10.244.3.0/24"), 60)
    assert machine.bridge == ["10.244.3.1/24"] and machine.ended == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (node("10.244.3.0/24"), "Flannel goes by 10.244.1.0/24, and the node has 10.244.3.0/24; cni0 has"),
        (None, "The node has got no slice of the pod network: this has not changed in 5 seconds"),
    ],
)
def test_a_flannel_that_never_takes_the_slice_over(machine: Machine, answer: t.Any, said: str) -> None:
    with pytest.raises(SlipwayError) as raised:
        flannel.Flannel().mend(lambda: answer, 5)
    assert said in raised.value.msg and "a second run goes on from here" in raised.value.msg
    assert machine.bridge == ["10.244.1.1/24"]


def test_a_kernel_that_refuses(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: t.Any, **_more: t.Any) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(_netlink, "change_address", refuse)
    machine.subnet("10.244.3.1/24")
    with pytest.raises(SlipwayError, match="The address of cni0 cannot be changed"):
        flannel.Flannel().mend(lambda: node("10.244.3.0/24"), 5)


def test_a_process_that_has_ended_meanwhile(machine: Machine) -> None:
    def gone(_pid: int) -> None:
        raise ProcessLookupError

    machine.pod(ID, "10.244.9.5/24", 50)
    machine.on_end = gone
    flannel.Flannel().mend(lambda: node("10.244.1.0/24"), 5)
    assert machine.ended == [(50, signal.SIGKILL)]


def test_no_slice() -> None:
    assert slices({}) == [] and slices({"spec": {"podCIDR": ""}}) == []
    assert slices({"spec": {"podCIDR": "10.244.1.0/24"}}) == [ipaddress.ip_network("10.244.1.0/24")]
