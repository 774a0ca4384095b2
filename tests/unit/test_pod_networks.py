# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pod network is one row of the table: the fake one that is defined here gets all that others have."""

from __future__ import annotations

import json
import os
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.kubernetes.plugins.filter.pod_networks import (
    pod_network_change,
    pod_network_conditions,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._charts import Chart, Manifest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import cluster_state
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine import leftovers, surroundings
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import netfilter, network_managers
from ansible_collections.slipway.kubernetes.plugins.module_utils._node import node_facts
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import POD_NETWORKS, chosen, named
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks.pod_network import (
    AskNode,
    Facts,
    Lasting,
    OnNode,
    OwnNetwork,
    PodNetwork,
    Port,
    slices,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight import sources
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import addons, limits, peers, ports
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks.sources import check_addresses
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Hosts, Problem
from ansible_collections.slipway.kubernetes.tests.unit.plugins.modules import (
    test_kubeadm_reset,
    test_kubelet_module,
    test_node_pod_network,
)
from ansible_collections.slipway.kubernetes.tests.unit.plugins.plugin_utils import (
    test_preflight_differences,
    test_preflight_machines,
    test_preflight_peers,
    test_preflight_surroundings,
)
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

PROJECT = Path(__file__).resolve().parents[2]
#: Where a user says which pod network it is.
CHOICES = {"cni": "cni_provider", "cluster": "cluster_cni"}
HELM_RELEASE, KUBE_APPLY = "slipway.kubernetes.helm_release", "slipway.kubernetes.kube_apply"
#: The variables that follow from what a row installs.
PARTS: t.Dict[type, t.Tuple[str, ...]] = {
    Chart: ("chart", "chart_repository", "chart_version", "chart_plain_http", "values"),
    Manifest: ("manifest_url", "manifest_checksum", "version", "image_repository"),
}
#: The settings of a host with the fake.
WANTED = {"cluster_cni": "testnet", "cni_provider": "testnet", "cluster_pod_subnet": "10.244.0.0/16"}
ROLLOUT = {"type": "rollout", "kind": "daemonset", "namespace": "testnet", "names": ["testnet-node"]}


class Lagging(OnNode):
    """The fake where it goes by another slice than the Node has."""

    is_announced = True

    def contradictions(self) -> t.List[str]:
        return ["TestNet goes by another slice"]


class TestNet(PodNetwork):
    """A pod network that has something of every kind."""

    __test__ = False

    name = "testnet"
    title = "TestNet"
    chart = Chart("cni_testnet", "testnet", "testnet", "registry.example.com/testnet")
    goes_by_slices = True
    overhead = 120
    conditions = (ROLLOUT,)

    kernel_modules = ("testnet_mod",)
    interfaces = ({"Name": "test0", "Type": "ether", "Kind": "geneve", "Driver": "geneve"},)
    interface_prefixes = ("test",)
    cni_file = "20-testnet.conflist"
    cni_network = "tests"

    left_interfaces = (r"test\d",)
    chains = ("TESTNET-",)
    rules = ("--comment testnet",)
    nft_tables = ("testnet",)
    folders = ("/run/testnet",)
    cni_folders = ("testnet",)
    programs = ("/opt/cni/bin/testnet",)
    left_files = ("/etc/sysctl.d/*-testnet.conf",)
    traffic_filters = ("test_",)

    agents = (("testnet", "app=testnet"),)
    node_annotations = ("testnet.example.com/",)
    bridge = "testbr"
    pod_routes = (r"\S+ via \S+ dev \S+ proto 42",)
    kept_files = ("/var/lib/slipway/testnet.yaml",)
    config_map = ("testnet", "testnet-config")
    interface_remedy = "Say another one."
    mended = False

    def network(self, root: str = "") -> str:
        return "10.0.0.0/8" if os.path.exists(f"{root}/run/testnet/network") else ""

    def ports(self, settings: Settings) -> t.List[Port]:
        return [Port("udp", 6081, "TestNet", is_shared=False, is_tried=True)]

    def modules(self, settings: Settings) -> t.Set[str]:
        return {"testnet_mod"}

    def interface(self, settings: Settings, facts: Facts, first: Settings, first_facts: Facts) -> str:
        return settings.text("cni_testnet_interface")

    def networks(self, settings: Settings) -> t.List[OwnNetwork]:
        return [OwnNetwork("cni_testnet_network", settings.text("cni_testnet_network"), holds_slices=True)]

    def lasting(self, settings: Settings) -> t.List[Lasting]:
        return [Lasting("mode", settings.text("cni_testnet_mode"), "cni_testnet_mode", "TestNet's mode")]

    def state(self, kept: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
        return {"mode": kept["data"]["mode"], "release": "testnet"}

    def had_slice(self) -> bool:
        return True

    def on_node(self, node: t.Mapping[str, t.Any]) -> OnNode:
        return Lagging() if slices(node) and not self.mended else OnNode()

    def mend(self, ask: AskNode, timeout: float) -> None:
        self.mended = bool(ask())


@pytest.fixture(name="testnet")
def fixture_testnet(monkeypatch: pytest.MonkeyPatch, flannel_alone: None) -> TestNet:
    network = TestNet()
    monkeypatch.setitem(POD_NETWORKS, network.name, network)
    return network


def said(check: t.Callable[[Hosts], t.Iterable[Problem]], *hosts: t.Any) -> t.List[str]:
    return [f"{problem.severity} {problem.subject}: {problem.message} {problem.remedy}" for problem in check(hosts)]


# What holds for every row


def unequal() -> t.List[str]:
    """The variables whose choices are not the table's."""
    found = []
    for role, variable in CHOICES.items():
        specs = yaml.safe_load((PROJECT / f"roles/{role}/meta/argument_specs.yml").read_text("utf-8"))
        (option,) = (
            entry["options"][variable]
            for entry in specs["argument_specs"].values()
            if variable in entry.get("options", {})
        )
        if option["choices"] != [*POD_NETWORKS, "none"]:
            found.append(variable)
    return found


def test_the_choices_are_those_of_the_table() -> None:
    assert unequal() == []


def test_a_choice_that_is_missing_is_found(testnet: TestNet) -> None:
    assert unequal() == list(CHOICES.values())


@pytest.mark.parametrize("name", POD_NETWORKS)
def test_nothing_but_its_own_files_names_a_pod_network(name: str) -> None:
    own = {
        PROJECT / f"plugins/module_utils/_pod_networks/{name}.py",
        PROJECT / "plugins/module_utils/_pod_networks/__init__.py",
        PROJECT / f"roles/cni/tasks/main_{name}.yml",
    }
    assert all(path.exists() for path in own)
    files = [
        *(path for suffix in ("py", "yml") for path in (PROJECT / "plugins").rglob(f"*.{suffix}")),
        *(path for folder in ("tasks", "vars") for path in PROJECT.glob(f"roles/*/{folder}/**/*.yml")),
        *(PROJECT / "playbooks").rglob("*.yml"),
    ]
    # A name that is a common word is named by what only this pod network is called.
    words = POD_NETWORKS[name].words or (f"cni_{name}",)
    texts = {path: path.read_text("utf-8").lower() for path in files if path not in own}
    assert [path for path, text in texts.items() if any(word in text for word in words)] == []


@pytest.mark.parametrize("network", POD_NETWORKS.values(), ids=POD_NETWORKS)
def test_what_a_row_has_to_say(network: PodNetwork) -> None:
    source = network.chart or network.manifest
    defaults = yaml.safe_load((PROJECT / "roles/cni/defaults/main.yml").read_text("utf-8"))
    if network.list_variable:
        # What it has is said by the inventory.
        assert network.title and not source and defaults[network.list_variable] == []
        return
    assert network.title and network.cni_file and network.interfaces and source
    assert network.name in network.cni_file and source.prefix == f"cni_{network.name}"
    # Another one can take its place: its pods are known, and it leaves addresses of slices alone or is told to.
    assert network.agents and bool(network.keeps_off(["10.244.0.0/24"])) != network.goes_by_slices
    assert network.keeps_off([]) == []
    assert node_facts.is_virtual(network.interfaces[-1]["Name"])
    assert [name for name in (f"{source.prefix}_{part}" for part in PARTS[type(source)]) if name not in defaults] == []
    tasks = yaml.safe_load((PROJECT / f"roles/cni/tasks/main_{network.name}.yml").read_text("utf-8"))
    if isinstance(source, Chart):
        (release,) = [task[HELM_RELEASE] for task in tasks if HELM_RELEASE in task]
        assert (release["name"], release["namespace"]) == (source.release, source.namespace)
    else:
        (applied,) = [task[KUBE_APPLY] for task in tasks if KUBE_APPLY in task]
        assert applied["set_name"] == source.set_name
        given = next(task for task in tasks if KUBE_APPLY in task)["vars"][f"__{source.prefix}_variables"]
        own = {name for name in defaults if name.startswith(f"{source.prefix}_")}
        # What its row reads is handed to it by name.
        assert {name for name in own if f'"{name}"' in row_of(network)} <= set(given)


def row_of(network: PodNetwork) -> str:
    """The file that a row stands in."""
    return (PROJECT / f"plugins/module_utils/_pod_networks/{network.name}.py").read_text("utf-8")


def test_none_and_what_nobody_knows_have_nothing() -> None:
    for settings in (
        {"cluster_cni": "none"},
        {"cluster_cni": "flannel", "cni_provider": "none"},
        {},
        {"cni_provider": 1},
    ):
        network = chosen(Settings(settings))
        assert (network.name, network.ports(Settings(settings)), network.on_node({}).contradictions()) == ("", [], [])
    assert not named("").had_slice() and named("none").network() == "" and pod_network_conditions("none") == []
    named("none").mend(lambda: None, 0)


# What a fake gets by its row alone


def test_its_ports_are_tried(testnet: TestNet) -> None:
    hosts = [test_preflight_peers.host(name, number, **WANTED) for number, name in enumerate(("cp1", "w1"), start=1)]
    pairs = test_preflight_peers.pairs(test_preflight_peers.plan_of(hosts).as_dict())
    udp = {pair for pair in pairs if pair[2] == "udp"}
    assert udp == {("cp1", "w1", "udp", 6081, True), ("w1", "cp1", "udp", 6081, True)}
    failure = {"host": "w1", "address": "192.0.2.2", "protocol": "udp", "port": 6081, "error": "no answer"}
    failed = test_preflight_peers.host("cp1", 1, found={"failures": [failure]}, **WANTED)
    assert "6081/udp, which is for TestNet, for the traffic" in said(peers.check_connections, failed)[0]


def test_its_ports_interface_and_networks_are_checked(testnet: TestNet) -> None:
    socket = {"protocol": "udp", "address": "0.0.0.0", "port": 6081, "pid": 7, "process": "vpnd"}
    more = {"cni_testnet_interface": "eth9", "cni_testnet_network": "10.0.0.0/16"}
    host = test_preflight_machines.host(1, facts=test_preflight_machines.machine(listening=[socket]), **WANTED, **more)
    assert said(ports.check_ports_of_addons, host) == [
        "error port 6081/udp: is held by vpnd (pid 7), and TestNet needs it. Let that use another port; or give the"
        " chart one in cni_testnet_values."
    ]
    assert said(ports.check_pod_network_interface, host) == [
        "warning cni_testnet_interface: eth9 is what TestNet takes, but the host's address 192.0.2.1 is on eth0."
        " Say another one."
    ]
    [line] = said(limits.check_own_networks, host)
    assert "cni_testnet_network: is 10.0.0.0/16, and nodes have" in line and "without which TestNet does not" in line


@pytest.mark.parametrize(
    ("around", "expected"),
    [
        ({"modules_missing": ["testnet_mod"]}, "cannot load testnet_mod"),
        ({"pod_networks": ["20-testnet.conflist"]}, ""),
        (
            {"pod_networks": ["10-flannel.conflist"]},
            "would give to pods instead of TestNet's",
        ),
        ({"pod_networks": ["87-podman.conflist"]}, "until TestNet's is there"),
        ({"mtus": {"eth0": 1399}}, "1399 on eth0 is too small for pods: TestNet takes 120 for itself"),
        (
            {"interfaces_taken": [{"by": "dhcpcd", "path": "x", "takes": ["y"], "runs": True}]},
            "cni* flannel* test* into it",
        ),
        (
            {"firewalls": [{"by": "ufw", "admits": [{"source": "", "interface": "cni0", "ports": ""}]}]},
            "not admit pods",
        ),
        ({"firewalls": [{"by": "ufw", "admits": [{"source": "", "interface": "test0", "ports": ""}]}]}, ""),
    ],
)
def test_what_is_around_it_is_checked(testnet: TestNet, around: t.Dict[str, t.Any], expected: str) -> None:
    host = test_preflight_surroundings.host(given=WANTED, **{"pod_networks": [], **around})
    report = test_preflight_surroundings.said(host)
    assert expected in report if expected else report == ""


def test_machines_are_looked_at_for_it(testnet: TestNet, tmp_path: Path) -> None:
    path = tmp_path / "etc/systemd/network/50-all.network"
    path.parent.mkdir(parents=True)
    path.write_text("[Match]\nKind=geneve\n")
    assert [entry["takes"] for entry in network_managers.networkd(str(tmp_path))] == [["test0"]]
    assert node_facts.is_virtual("test0") and "testnet_mod" in surroundings.known_modules()


def test_its_chart_is_looked_for(testnet: TestNet) -> None:
    variables = {**WANTED, "cluster_version": "1.37.1", "cni_testnet_chart_version": "1.2", "cni_testnet_chart": "t"}
    images = sources.image_names(variables, control_plane=True)
    assert images[1] == ("cni_testnet_values", "registry.example.com/testnet:v1.2")
    host = test_preflight_machines.host(1, **variables)
    assert "1.2 is no exact version of a chart" in said(addons.check_chart_versions, host)[0]
    broken = test_preflight_machines.host(1, **variables, cni_testnet_chart_repository="https://a b")
    assert "is malformed" in said(check_addresses, broken)[0]


def test_what_lasts_is_compared_with_the_cluster(testnet: TestNet, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {"metadata": {}, "data": {"mode": "fast"}}
    monkeypatch.setattr(cluster_state, "_object", lambda _connection, path: kept if "testnet-config" in path else {})
    state = cluster_state.pod_network(t.cast(t.Any, None), testnet)
    hosts = test_preflight_differences.cluster(**WANTED, cni_testnet_mode="slow")
    hosts[0].facts["configuration"]["pod_networks"] = {"testnet": state}  # type: ignore[index]
    [line] = test_preflight_differences.said(hosts)
    assert "cni_testnet_mode: is slow in the inventory and fast in the cluster (TestNet's mode)" in line
    hosts[0].variables.update(cni_provider="none")  # type: ignore[attr-defined]
    [line] = test_preflight_differences.said(hosts)
    assert "cluster_cni: is none in the inventory, and the TestNet that this collection has installed" in line


def test_what_tells_that_it_is_ready(testnet: TestNet) -> None:
    assert pod_network_conditions("testnet") == [ROLLOUT]


def test_it_is_mended(
    testnet: TestNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner
) -> None:
    machine = test_kubelet_module.Machine(tmp_path, monkeypatch, run_module)
    warned = machine.run(pod_network="none")["warnings"]
    assert len(warned) == 1 and "TestNet goes by another slice. No pod starts there" in warned[0]
    assert machine.run(pod_network="testnet")["mended"] == ["TestNet goes by another slice"]
    assert testnet.mended and not machine.run(pod_network="testnet")["changed"]


def test_it_is_removed_with_a_node(testnet: TestNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on a machine whose inventory says another one now."""
    interfaces = leftovers.interfaces
    machine = test_kubeadm_reset.Machine(tmp_path, monkeypatch)
    for path in ("run/testnet/network", "opt/cni/bin/testnet", "var/lib/cni/testnet/x", "var/lib/cni/networks/tests/1"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / "etc/sysctl.d").mkdir()
    (tmp_path / "etc/sysctl.d/99-testnet.conf").touch()
    (tmp_path / "etc/cni/net.d/20-testnet.conflist").write_text(json.dumps({"name": "more"}))
    machine.rules = "*nat\n:TESTNET-A - [0:0]\n-A POSTROUTING -m comment --comment testnet -j ACCEPT\nCOMMIT\n"
    result = machine.reset()
    assert machine.files() == test_kubeadm_reset.FOREIGN and not (tmp_path / "run/testnet").exists()
    assert result["removed"]["iptables"] == ["iptables-nft nat TESTNET-A"] and machine.rules == ""
    asked = [call[-1] for call in machine.runner.called("show") if "route" in call]
    assert asked[:2] == ["10.244.0.0/16", "10.0.0.0/8"]
    for name in ("test0", "testing", "eth0"):
        (tmp_path / "net" / name).mkdir(parents=True)
    assert interfaces(str(tmp_path / "net")) == ["test0"]
    assert leftovers.cni_networks([]) == ["cbr0", "tests"]
    assert netfilter.table_names() >= {"testnet", "kube-proxy"}


def test_another_one_takes_its_place(testnet: TestNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is its own goes from the machine of a node that goes on, and nothing else."""
    configuration = {"pod_networks": {"testnet": {"release": "testnet"}}}
    seen = {"cp1": {"cluster_look": {"ansible_facts": {"slipway_node": {"configuration": configuration}}}}}
    change = pod_network_change("flannel", seen, "cp1", ["cp1"])
    assert (change["pending"], change["networks"], change["title"]) == (True, ["testnet"], "TestNet by Flannel")
    (waited,) = pod_network_change("testnet", seen, "cp1", ["cp1"])["conditions"][-1:]
    assert waited == {"type": "pods_ready", "namespace": "testnet", "selector": "app=testnet", "count": 1}

    machine = test_node_pod_network.Machine(tmp_path, monkeypatch)
    for path in ("etc/cni/net.d/20-testnet.conflist", "run/testnet/network", "var/lib/slipway/testnet.yaml"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    machine.links.update(test0="", testbr="", veth9="testbr")
    machine.rules = "*nat\n:TESTNET-A - [0:0]\n:KUBE-A - [0:0]\n-A POSTROUTING -j KUBE-A\nCOMMIT\n"
    machine.routes = "10.1.0.0/24 via 192.0.2.2 dev eth0 proto 42\n10.2.0.0/24 via 192.0.2.2 dev eth0\n"
    machine.tables.append(("ip", "testnet"))
    machine.filters.append("test_in-eth0")
    removed = machine.run("absent", networks=["testnet"], successor="flannel")["removed"]
    files = removed.pop("files")
    assert removed == {
        "traffic filters": ["test_in-eth0"],
        "interfaces": ["veth9", "test0", "testbr"],
        "routes": ["10.1.0.0/24 via 192.0.2.2 dev eth0 proto 42"],
        "iptables": ["iptables-nft nat TESTNET-A"],
        "nftables": ["ip testnet"],
    }
    assert {Path(path).name for path in files} == {"20-testnet.conflist", "network", "testnet.yaml"}
    assert (tmp_path / "etc/cni/net.d/10-flannel.conflist").exists() and "cni0" in machine.links
    assert machine.filters == ["cil_from_netdev-eth0"]
    assert "KUBE-A" in machine.rules and not (tmp_path / "run/testnet").exists()


def test_one_that_does_not_come_round_fails(
    testnet: TestNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner
) -> None:
    def fail(_ask: AskNode, _timeout: float) -> None:
        raise SlipwayError("it stays so")

    monkeypatch.setattr(testnet, "mend", fail)
    machine = test_kubelet_module.Machine(tmp_path, monkeypatch, run_module)
    assert machine.run(pod_network="testnet")["msg"] == "it stays so"
