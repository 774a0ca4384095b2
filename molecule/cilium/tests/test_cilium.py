# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cilium beside kube-proxy and in its place: pods reach each other, NetworkPolicy holds, nothing of it is left."""

from __future__ import annotations

import json
import typing as t

import pytest
from conftest import ARTIFACTS, changes, connect, left, list_sets, names, play
from testinfra.host import Host

KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
CONTROL_PLANE = connect(names("kube_control_plane")[0])
VARIABLES = {
    "cluster_name": "molecule-cilium",
    "cluster_cni": "cilium",
    "metallb_address_pools": [{"name": "default", "addresses": ["172.30.0.224-172.30.0.224"]}],
    "kubeconfig_fetch_directory": str(ARTIFACTS),
}
# The other way to build it.
ALONE = {
    **VARIABLES,
    "cni_cilium_routing_mode": "native",
    "cni_cilium_kube_proxy_replacement": True,
    "control_plane_skip_phases": ["addon/kube-proxy"],
}
CONFIRMED = ("--extra-vars", "reset_confirm=true")

# Each prints what is left; nothing is right.
LEFT = {
    "interfaces": "ls /sys/class/net | grep -E '^(cilium|lxc|veth|cni)'",
    "filters": "for name in $(ls /sys/class/net); do for way in ingress egress; do"
    " tc filter show dev $name $way; done; done 2>/dev/null | grep cil_",
    "routes": "ip route | grep -vE '^(default|172[.]30[.]0[.]0/24) '",
    "rules": "{ iptables-save; ip6tables-save; } | grep -iE 'cilium|kube|cni'",
    "sets": list_sets("cilium[0-9a-z_]+"),
    "mounts": "grep -E '/(run|lib)/cilium' /proc/self/mounts",
    "pins": "find /sys/fs/bpf -name 'cil*'",
    "processes": "pgrep -a cilium",
    "files": "ls -d /etc/cni/net.d/*cilium* /opt/cni/bin/cilium* /run/cilium /etc/sysctl.d/*cilium* 2>/dev/null",
}


def get(what: str) -> t.Any:
    """Objects of the API."""
    return json.loads(CONTROL_PLANE.check_output(f"{KUBECTL} get {what} --output=json"))


def agents() -> dict[str, t.Any]:
    """The DaemonSet of the agents."""
    found: dict[str, t.Any] = get("--namespace=kube-system daemonset/cilium")
    return found


def test_the_agents_run(machines: set[str]) -> None:
    assert agents()["status"]["numberReady"] == len(machines)
    # What the inventory says goes over what is computed.
    assert agents()["spec"]["template"]["metadata"]["labels"]["scenario"] == "cilium"
    assert get("--namespace=kube-system deployment/cilium-operator")["spec"]["replicas"] == len(machines)


def test_it_runs_beside_kube_proxy() -> None:
    kept = get("--namespace=kube-system configmap/cilium-config")["data"]
    assert (kept["kube-proxy-replacement"], kept["routing-mode"], kept["ipam"]) == ("false", "tunnel", "kubernetes")
    assert get("--namespace=kube-system daemonset/kube-proxy")["status"]["numberReady"] > 0


def test_pods_have_addresses_of_their_node(node: Host) -> None:
    assert node.file("/etc/cni/net.d/05-cilium.conflist").exists
    own = int(node.check_output("cat /sys/class/net/eth0/mtu"))
    shown = node.check_output("ip route show dev cilium_host")
    assert f"mtu {own - 50}" in shown, shown
    assert left(node, LEFT)["filters"].count("cil_from_overlay-cilium_vxlan") == 1


def test_the_cluster_is_verified() -> None:
    output = play("verify.yml", variables=VARIABLES)
    assert "failed=0" in output
    assert "ok      a NetworkPolicy denies and lets through" in output


@pytest.mark.last
def test_reset_leaves_nothing_and_it_takes_the_place_of_kube_proxy() -> None:
    machines = {name: connect(name) for name in names()}
    kinds = {"interfaces", "filters", "routes", "rules", "mounts", "pins", "files"}
    assert all(kinds <= set(left(machine, LEFT)) for machine in machines.values())
    assert changes(play("reset.yml", *CONFIRMED, variables=VARIABLES)) == len(machines) + 1
    assert {name: left(machine, LEFT) for name, machine in machines.items() if left(machine, LEFT)} == {}
    assert changes(play("reset.yml", *CONFIRMED, variables=VARIABLES)) == 0

    assert "failed=0" in play("site.yml", variables=ALONE)
    kept = get("--namespace=kube-system configmap/cilium-config")["data"]
    assert (kept["kube-proxy-replacement"], kept["routing-mode"]) == ("true", "native")
    shown = get("--namespace=kube-system daemonsets")["items"]
    assert [item["metadata"]["name"] for item in shown] == ["cilium"]
    assert "10.244." in CONTROL_PLANE.check_output("ip route show dev eth0")
    # The machine's own interface has programs now, which have to go before what they call.
    assert left(CONTROL_PLANE, LEFT)["filters"].count("cil_from_netdev-eth0") == 1
    assert changes(play("site.yml", variables=ALONE)) == 0
    output = play("verify.yml", variables=ALONE)
    assert "failed=0" in output and "ok      a NetworkPolicy denies and lets through" in output
    assert changes(play("reset.yml", *CONFIRMED, variables=ALONE)) == len(machines) + 1
    assert {name: left(machine, LEFT) for name, machine in machines.items() if left(machine, LEFT)} == {}
