# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calico: pods reach each other, NetworkPolicy holds, settings are those of the inventory, nothing of it is left."""

from __future__ import annotations

import json
import time
import typing as t
from urllib.parse import quote

import pytest
from conftest import ARTIFACTS, SCENARIO, changes, connect, left, list_sets, names, play
from testinfra.host import Host

KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
CONTROL_PLANE = connect(names("kube_control_plane")[0])
VARIABLES = {
    "cluster_name": "molecule-calico",
    "cluster_cni": "calico",
    "cluster_pod_subnet": "10.244.0.0/16,fd00:10:244::/56",
    "cluster_service_subnet": "10.96.0.0/12,fd00:10:96::/112",
    "metallb_address_pools": [{"name": "default", "addresses": ["172.30.0.228-172.30.0.228", "fd30::228-fd30::228"]}],
    "kubeconfig_fetch_directory": str(ARTIFACTS),
}

# Each prints what is left; nothing is right.
LEFT = {
    "interfaces": "ls /sys/class/net | grep -E '^(cali|vxlan|veth|cni)'",
    "routes": "{ ip -6 route | grep fd00; ip route; } | grep -vE '^(default|172[.]30[.]0[.]0/24) '",
    "rules": "{ iptables-save; ip6tables-save; } | grep -iE 'cali|kube'",
    "sets": list_sets("cali[0-9a-z-]+"),
    "mounts": "grep -E '/(run|lib)/calico' /proc/self/mounts",
    "processes": "pgrep -a 'calico|felix|bird|runsv'",
    "files": "ls -d /etc/cni/net.d/*calico* /opt/cni/bin/calico* /run/calico /run/nodeagent /var/lib/calico"
    " /var/log/calico /var/lib/slipway/calico.yaml 2>/dev/null",
}


def get(what: str) -> t.Any:
    """Objects of the API."""
    return json.loads(CONTROL_PLANE.check_output(f"{KUBECTL} get {what} --output=json"))


def apply(name: str) -> None:
    """Apply a file of the scenario."""
    text = (SCENARIO / "files" / name).read_text(encoding="utf-8")
    CONTROL_PLANE.run_expect([0], f"{KUBECTL} apply --filename=- <<'EOF'\n{text}\nEOF")


def test_the_agents_run(machines: set[str]) -> None:
    status = get("--namespace=kube-system daemonset/calico-node")["status"]
    assert status["numberReady"] == len(machines)


def test_nodes_have_a_tunnel_of_the_right_mtu(node: Host) -> None:
    own = int(node.check_output("cat /sys/class/net/eth0/mtu"))
    assert int(node.check_output("cat /sys/class/net/vxlan.calico/mtu")) == own - 50
    assert int(node.check_output("cat /sys/class/net/vxlan-v6.calico/mtu")) == own - 70
    assert node.file("/etc/cni/net.d/10-calico.conflist").exists


def test_settings_are_those_of_the_inventory() -> None:
    pool = get("ippools.crd.projectcalico.org/default-ipv4-ippool")["spec"]
    assert (pool["cidr"], pool["blockSize"], pool["vxlanMode"]) == ("10.244.0.0/16", 26, "Always")
    six = get("ippools.crd.projectcalico.org/default-ipv6-ippool")["spec"]
    assert (six["cidr"], six["blockSize"], six["vxlanMode"]) == ("fd00:10:244::/56", 122, "Always")
    assert pool["nodeSelector"] == six["nodeSelector"] == "kubernetes.io/os == 'linux'"
    assert get("felixconfigurations.crd.projectcalico.org/default")["spec"]["logSeverityScreen"] == "Warning"
    pods = get("--namespace=kube-system daemonset/calico-node")["spec"]["template"]["spec"]
    assert pods["containers"][0]["resources"]["requests"] == {"cpu": "100m"}
    assert {item["metadata"]["name"] for item in get("ippools.crd.projectcalico.org")["items"]} == {
        "default-ipv4-ippool",
        "default-ipv6-ippool",
        "reserve",
    }


def test_calicoctl_is_of_the_same_version() -> None:
    shown = CONTROL_PLANE.check_output("calicoctl version")
    assert shown.count("v3.28.5") >= 2, shown
    assert "default-ipv4-ippool" in CONTROL_PLANE.check_output("calicoctl get ippool --output=wide")


def test_the_cluster_is_verified() -> None:
    output = play("verify.yml", variables=VARIABLES)
    assert "failed=0" in output
    assert "ok      a NetworkPolicy denies and lets through" in output
    assert "the load balancer answers from the controller by IPv6  fd30::228" in output


def dial(address: str, host: str, port: int = 80) -> dict[str, t.Any]:
    """What a pod says that asks a host."""
    query = f"host={quote(host)}&port={port}&request=hostname&protocol=http&tries=1"
    return json.loads(CONTROL_PLANE.check_output(f"curl --silent --max-time 30 'http://{address}:8080/dial?{query}'"))


@pytest.fixture
def pods() -> t.Iterator[dict[str, list[str]]]:
    """Addresses of the pods by their names, each of one family."""
    apply("pods.yml")
    CONTROL_PLANE.run_expect([0], f"{KUBECTL} wait --namespace=policy --for=condition=Ready pods --all --timeout=120s")
    found = get("--namespace=policy pods")["items"]
    yield {item["metadata"]["name"]: [entry["ip"] for entry in item["status"]["podIPs"]] for item in found}
    CONTROL_PLANE.run_expect([0], f"{KUBECTL} delete namespace policy")


def test_network_policy(pods: dict[str, list[str]]) -> None:
    """By the server's addresses and by the name of its service: what is denied is denied, what is allowed works."""
    name = "server.policy.svc.cluster.local"
    targets = [*((address, 8080) for address in pods["server"]), (name, 80)]
    assert [":" in address for address in pods["server"]] == [False, True]
    stranger, friend = pods["stranger"][0], pods["friend"][0]
    for host, port in targets:
        for client in (friend, stranger):
            assert dial(client, host, port) == {"responses": ["server"]}
    apply("policy.yml")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and any("responses" in dial(stranger, host, port) for host, port in targets):
        time.sleep(1)
    for host, port in targets:
        assert "errors" in dial(stranger, host, port)
        assert dial(friend, host, port) == {"responses": ["server"]}
    # The name is still found.
    assert "no such host" not in json.dumps(dial(stranger, name))
    CONTROL_PLANE.run_expect([0], f"{KUBECTL} delete --namespace=policy networkpolicy/server")
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and "errors" in dial(stranger, name):
        time.sleep(1)
    assert dial(stranger, name) == {"responses": ["server"]}


@pytest.mark.last
def test_reset_leaves_nothing() -> None:
    machines = {name: connect(name) for name in names()}
    assert all({"interfaces", "rules", "sets", "files"} <= set(left(machine, LEFT)) for machine in machines.values())
    confirmed = ("--extra-vars", "reset_confirm=true")
    assert changes(play("reset.yml", *confirmed, variables=VARIABLES)) == len(machines) + 1
    assert {name: left(machine, LEFT) for name, machine in machines.items() if left(machine, LEFT)} == {}
    assert changes(play("reset.yml", *confirmed, variables=VARIABLES)) == 0
