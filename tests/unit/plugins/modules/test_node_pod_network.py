# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node whose pods go over, and what is left of the network that they were in."""

from __future__ import annotations

import json
import os
import signal
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _processes
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine import leftovers
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import ip_sets, netfilter, traffic_filters
from ansible_collections.slipway.kubernetes.plugins.modules import node_pod_network
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import waiting_clock
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner, write
from ansible_collections.slipway.kubernetes.tests.unit.plugins.proc_fakes import process

OLD, NEW, OTHER = "a" * 64, "b" * 64, "c" * 64
#: A pod with a port of the node in each network, rules of both networks, of kube-proxy and of podman.
RULES = r"""*nat
:POSTROUTING ACCEPT [0:0]
:CNI-DN-old - [0:0]
:CNI-DN-new - [0:0]
:CNI-HOSTPORT-DNAT - [0:0]
:FLANNEL-POSTRTG - [0:0]
:KUBE-SERVICES - [0:0]
:cali-POSTROUTING - [0:0]
-A POSTROUTING -m comment --comment "flanneld masq" -j FLANNEL-POSTRTG
-A POSTROUTING -m comment --comment "cali:O3lYWMrLQYEMJtB5" -j cali-POSTROUTING
-A CNI-HOSTPORT-DNAT -m comment --comment "dnat name: \"cbr0\" id: \"1\"" -j CNI-DN-old
-A CNI-HOSTPORT-DNAT -m comment --comment "dnat name: \"k8s-pod-network\" id: \"2\"" -j CNI-DN-new
COMMIT
"""
STALE = ["iptables-nft nat CNI-DN-old"]
FILES = {
    "etc/cni/net.d/10-flannel.conflist": '{"name": "cbr0"}',
    "etc/cni/net.d/10-calico.conflist": '{"name": "k8s-pod-network"}',
    "etc/cni/net.d/calico-kubeconfig": "",
    "etc/cni/net.d/87-podman.conflist": "",
    "run/flannel/subnet.env": "FLANNEL_NETWORK=10.244.0.0/16\n",
    "var/lib/cni/networks/cbr0/10.244.1.5": "",
    "var/lib/cni/networks/podman/10.88.0.2": "",
    "var/lib/calico/nodename": "w1",
    "opt/cni/bin/flannel": "",
    "opt/cni/bin/bridge": "",
}
AFTER = [
    "etc/cni/net.d/10-calico.conflist",
    "etc/cni/net.d/87-podman.conflist",
    "etc/cni/net.d/calico-kubeconfig",
    "opt/cni/bin/bridge",
    "var/lib/calico/nodename",
    "var/lib/cni/networks/podman/10.88.0.2",
]


def kept(identifier: str, pod: str, network: str) -> str:
    words = [["K8S_POD_NAMESPACE", "shop"], ["K8S_POD_NAME", pod], ["K8S_POD_UID", f"uid-{pod}"]]
    return json.dumps({"containerId": identifier, "networkName": network, "cniArgs": words, "result": {"ips": []}})


class Machine:
    """A node with Flannel and Calico, of which Flannel is to go."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.rules = RULES
        self.links = {
            "cni0": "",
            "veth1": "cni0",
            "flannel.1": "",
            "vxlan.calico": "",
            "cali0123456789a": "",
            "eth0": "",
        }
        self.tables = [("ip", "flannel-ipv4"), ("ip", "kube-proxy")]
        self.sets = ["cali40masq"]
        self.routes = "10.244.2.0/24 via 192.0.2.12 dev eth0\n10.244.80.0/26 via 192.0.2.12 dev eth0 proto bird\n"
        self.killed: t.List[int] = []
        #: Whether the kubelet makes new sandboxes.
        self.remakes = True
        waiting_clock(monkeypatch)
        for name, text in FILES.items():
            write(root, name, text)
        (root / "proc").mkdir()
        self.pod("web", OLD, 41)
        self.runner = FakeRunner(
            {
                "tables-nft-save": lambda _words: self.rules,
                "restore": self._restore,
                "ip route show root": lambda _words: self.routes,
                "ip route show": "blackhole 10.244.90.0/26 proto 80\n",
                "ip route delete": self._delete_route,
                "ip link delete": self._delete_link,
                "dpkg-query": (1, "", "no path found"),
            },
            tools={"ip", "iptables-nft-save", "iptables-nft-restore", "dpkg-query", "apt-get"},
        )
        monkeypatch.setattr(_processes, "PROC", str(root / "proc"))
        monkeypatch.setattr(os, "kill", self._kill)
        real = leftovers.interfaces
        monkeypatch.setattr(leftovers, "interfaces", lambda _root="", networks=None: real(self._net(), networks))
        monkeypatch.setattr(netfilter, "nft_tables", self._tables)
        monkeypatch.setattr(netfilter, "delete_nft_table", self.tables.remove)
        monkeypatch.setattr(ip_sets, "names", lambda rows: [name for name in self.sets for row in rows if row.ip_sets])
        monkeypatch.setattr(ip_sets, "destroy", self.sets.remove)
        self.filters = ["cil_from_netdev-eth0"]
        monkeypatch.setattr(traffic_filters, "found", self._filters)
        monkeypatch.setattr(traffic_filters, "remove", lambda names: [self.filters.remove(name) for name in names])

    def _filters(self, rows: t.Any) -> t.List[str]:
        prefixes = tuple(prefix for row in rows for prefix in row.traffic_filters)
        return [name for name in self.filters if prefixes and name.startswith(prefixes)]

    def pod(self, name: str, identifier: str, pid: int, network: str = "cbr0") -> None:
        write(self.root, f"var/lib/cni/results/{network}-{identifier}-eth0", kept(identifier, name, network))
        (self.root / f"var/lib/kubelet/pods/uid-{name}").mkdir(parents=True, exist_ok=True)
        group = f"/kubepods.slice/cri-containerd-{identifier}.scope"
        process(self.root / "proc", pid, "/pause", group=group)

    def _net(self) -> str:
        for name, master in self.links.items():
            (self.root / "net" / name).mkdir(parents=True, exist_ok=True)
            if master and not (self.root / "net" / name / "master").is_symlink():
                (self.root / "net" / name / "master").symlink_to(f"../{master}")
        for path in (self.root / "net").iterdir():
            if path.name not in self.links:
                for file in path.iterdir():
                    file.unlink()
                path.rmdir()
        return str(self.root / "net")

    def _tables(self, rows: t.Any) -> t.List[t.Tuple[str, str]]:
        return [table for table in self.tables if table[1] in netfilter.table_names(rows=rows)]

    def _kill(self, pid: int, number: signal.Signals) -> None:
        assert number == signal.SIGKILL
        self.killed.append(pid)
        (self.root / f"proc/{pid}/cgroup").write_text("0::/\n")
        if self.remakes:
            self.pod("web", NEW, 42, "k8s-pod-network")

    def _restore(self, _words: t.List[str]) -> str:
        text = str(self.runner.stdins[-1])
        for line in text.splitlines():
            if line.startswith("-X "):
                gone = line[3:]
                self.rules = "".join(
                    one for one in self.rules.splitlines(True) if gone not in one.split() and f":{gone} " not in one
                )
        return ""

    def _delete_link(self, words: t.List[str]) -> str:
        del self.links[words[-1]]
        return ""

    def _delete_route(self, words: t.List[str]) -> str:
        gone = " ".join(words[3:])
        self.routes = "".join(line for line in self.routes.splitlines(True) if not line.startswith(gone))
        return ""

    def run(self, state: str, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        params = {
            "networks": ["flannel"],
            "successor": "calico",
            "state": state,
            "pod_subnet": "10.244.0.0/16",
            "timeout": 30,
            **options,
        }
        return node_pod_network.NodePodNetwork(params, self.runner, check, str(self.root)).run()

    def files(self) -> t.List[str]:
        found = (path.relative_to(self.root) for path in self.root.rglob("*") if path.is_file())
        return sorted(str(path) for path in found if path.parts[0] in ("etc", "opt", "var", "run"))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_pods_go_over(machine: Machine) -> None:
    before = machine.files()
    predicted = machine.run("handed_over", check=True)
    assert predicted["changed"] and predicted["pods"] == ["shop/web"]
    assert machine.files() == before and machine.killed == []
    result = machine.run("handed_over")
    assert result["pods"] == ["shop/web"] and machine.killed == [41]
    assert not (machine.root / "etc/cni/net.d/10-flannel.conflist").exists()
    # The port of the node leads to the pod's new address at once.
    assert result["removed"]["iptables"] == STALE and "CNI-DN-old" not in machine.rules
    assert "CNI-DN-new" in machine.rules and "FLANNEL-POSTRTG" in machine.rules and "KUBE-SERVICES" in machine.rules
    assert "pods made anew: shop/web" in result["msg"]
    # What libcni keeps of the one that is gone counts no longer.
    again = machine.run("handed_over")
    assert (again["changed"], again["msg"], machine.killed) == (False, "nothing to do", [41])


def test_what_others_have_is_left_alone(machine: Machine) -> None:
    """A sandbox of the new network, and one that a container of somebody else has."""
    machine.run("handed_over")
    write(machine.root, f"var/lib/cni/results/podman-{OTHER}-eth0", kept(OTHER, "x", "podman"))
    process(machine.root / "proc", 43, "/pause", group=f"/kubepods.slice/cri-containerd-{OTHER}.scope")
    assert not machine.run("handed_over")["changed"]
    assert machine.killed == [41]


def test_a_pod_that_does_not_come_again(machine: Machine) -> None:
    machine.remakes = False
    with pytest.raises(SlipwayError) as failed:
        machine.run("handed_over")
    assert "These pods did not get into Calico's network in 30 seconds: shop/web." in failed.value.msg
    assert "--selector='k8s-app in (calico-node" in failed.value.msg
    # The next call does not go on as if nothing had been.
    assert machine.run("handed_over", check=True)["pods"] == ["shop/web"]
    with pytest.raises(SlipwayError, match="did not get into Calico's network in 5 seconds: shop/web"):
        machine.run("handed_over", timeout=5)
    # One that is gone meanwhile is waited for no longer.
    (machine.root / "var/lib/kubelet/pods/uid-web").rmdir()
    assert machine.run("handed_over")["pods"] == []
    assert machine.killed == [41]


def test_one_that_was_begun_while_the_file_went(machine: Machine) -> None:
    first = machine._kill

    def begin_another(pid: int, number: signal.Signals) -> None:
        first(pid, number)
        if pid == 41:
            (machine.root / f"var/lib/cni/results/k8s-pod-network-{NEW}-eth0").unlink()
            machine.pod("web", OTHER, 44)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "kill", begin_another)
        machine.run("handed_over")
    assert machine.killed == [41, 44]


def test_a_successor_that_is_not_there(machine: Machine) -> None:
    (machine.root / "etc/cni/net.d/10-calico.conflist").unlink()
    assert machine.run("handed_over", check=True)["changed"]
    with pytest.raises(SlipwayError, match=r"Calico has not written /etc/cni/net\.d/10-calico\.conflist, so that pods"):
        machine.run("handed_over")
    assert (machine.root / "etc/cni/net.d/10-flannel.conflist").exists() and machine.killed == []


def test_nothing_is_left_of_it_and_all_else_stays(machine: Machine) -> None:
    before = machine.files()
    predicted = machine.run("absent", check=True)
    assert machine.files() == before and machine.killed == []
    machine.run("handed_over")
    result = machine.run("absent")
    assert {kind: result["removed"][kind] for kind in ("interfaces", "routes", "nftables")} == {
        "interfaces": ["veth1", "cni0", "flannel.1"],
        "routes": ["10.244.2.0/24 via 192.0.2.12 dev eth0"],
        "nftables": ["ip flannel-ipv4"],
    }
    assert set(result["removed"]) <= set(predicted["removed"])
    assert set(machine.links) == {"vxlan.calico", "cali0123456789a", "eth0"}
    assert machine.sets == ["cali40masq"] and machine.tables == [("ip", "kube-proxy")]
    assert "proto bird" in machine.routes and "FLANNEL" not in machine.rules
    assert "cali-POSTROUTING" in machine.rules and "KUBE-SERVICES" in machine.rules
    assert [path for path in machine.files() if not path.startswith("var/lib/cni/results")] == AFTER
    assert not (machine.root / "run/flannel").exists()
    again = machine.run("absent")
    assert (again["changed"], again["diff"][0]["before"]) == (False, "")


def test_the_way_back(machine: Machine) -> None:
    """Calico goes, with its routes to other nodes, and Flannel stays."""
    write(machine.root, "var/lib/slipway/calico.yaml", "")
    result = machine.run("absent", networks=["calico"], successor="flannel", check=True)
    assert result["removed"]["interfaces"] == ["cali0123456789a", "vxlan.calico"]
    assert result["removed"]["routes"] == [
        "10.244.80.0/26 via 192.0.2.12 dev eth0 proto bird",
        "blackhole 10.244.90.0/26 proto 80",
    ]
    assert result["removed"]["ipsets"] == ["cali40masq"]
    assert {Path(path).name for path in result["removed"]["files"]} == {
        "10-calico.conflist",
        "calico-kubeconfig",
        "nodename",
        "calico.yaml",
    }


def test_something_comes_again(machine: Machine) -> None:
    machine.runner.answers["ip link delete"] = ""
    with pytest.raises(SlipwayError, match=r"is still there, or has come again: interfaces: veth1, cni0, flannel\.1"):
        machine.run("absent")


@pytest.mark.parametrize(
    ("common", "own", "expected"), [("1", "0", True), ("0", "1", True), ("0", "0", False), ("2", "1", False)]
)
def test_packets_that_go_back_by_the_other_network(machine: Machine, common: str, own: str, expected: bool) -> None:
    for name, link in {"all": 0, "vxlan.calico": 7, "cali0123456789a": 4}.items():
        write(machine.root, f"proc/sys/net/ipv4/conf/{name}/rp_filter", common if name == "all" else own)
        write(machine.root, f"sys/class/net/{name}/ifindex", "7")
        write(machine.root, f"sys/class/net/{name}/iflink", str(link))
    path = machine.root / "proc/sys/net/ipv4/conf/vxlan.calico/rp_filter"
    predicted = machine.run("beside", check=True)
    assert predicted["changed"] == expected and path.read_text() == own
    result = machine.run("beside")
    assert result["removed"] == ({"strict filters": ["vxlan.calico"]} if expected else {})
    assert path.read_text().strip() == ("2" if expected else own)
    assert not machine.run("beside")["changed"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"networks": ["weave"]}, "There is no pod network weave here, only flannel, calico."),
        ({"successor": "none"}, "There is no pod network none here"),
        ({"networks": ["calico"]}, "calico cannot go and stay. Nothing was changed."),
        ({"networks": ["cilium"]}, "Cilium has no place beside another one: it takes addresses of the slices of Nodes"),
        ({"successor": "cilium"}, "Cilium has no place beside another one"),
        ({"timeout": 0}, "timeout is 0, and has to be 1 second at least"),
    ],
)
def test_what_makes_no_sense(machine: Machine, options: t.Dict[str, t.Any], message: str) -> None:
    with pytest.raises(SlipwayError) as failed:
        machine.run("absent", **options)
    assert message in failed.value.msg
