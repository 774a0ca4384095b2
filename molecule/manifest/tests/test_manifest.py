# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kube-router by `cluster_cni: manifest`: pods reach each other, NetworkPolicy holds, and nothing of it is left."""

from __future__ import annotations

import json
import typing as t

import pytest
import yaml
from conftest import CONVERGE, changes, connect, left, list_sets, names, play
from testinfra.host import Host

KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
CONTROL_PLANE = connect(names("kube_control_plane")[0])
VARIABLES: dict[str, t.Any] = yaml.safe_load(CONVERGE.read_text(encoding="utf-8"))[0]["vars"]
CONFIRMED = ("--extra-vars", "reset_confirm=true")

# Each prints what is left; nothing is right.
LEFT = {
    "interfaces": "ls /sys/class/net | grep -E '^(kube|veth|cni|tun-)'",
    "routes": "ip route | grep -vE '^(default|172[.]30[.]0[.]0/24) '",
    "policies": "ip rule | grep -vE 'lookup (local|main|default)'",
    "rules": "{ iptables-save; ip6tables-save; } | grep -i kube",
    "sets": list_sets("(?:inet6:)?(?:KUBE|kube)-[0-9A-Za-z-]+"),
    "processes": "pgrep -a kube-router",
    "files": "ls -d /etc/cni/net.d/*kuberouter* /var/lib/kube-router 2>/dev/null",
}


def get(what: str) -> t.Any:
    """Objects of the API."""
    return json.loads(CONTROL_PLANE.check_output(f"{KUBECTL} get {what} --output=json"))


def test_it_runs_on_each_machine(machines: set[str]) -> None:
    status = get("--namespace=kube-system daemonset/kube-router")["status"]
    assert status["numberReady"] == len(machines)


def test_a_machine_has_what_the_inventory_says(node: Host) -> None:
    assert node.file(f"/etc/cni/net.d/{VARIABLES['cni_manifest_cni_file']}").exists
    assert node.file("/sys/class/net/kube-bridge").exists


def test_the_cluster_is_verified() -> None:
    output = play("verify.yml", variables=VARIABLES)
    assert "failed=0" in output
    assert "ok      pods reach each other between nodes" in output


def test_what_has_left_the_list_goes_and_comes_again() -> None:
    """And what somebody has changed by hand is as the list says."""
    shorter = {**VARIABLES, "cni_manifests": VARIABLES["cni_manifests"][:1]}
    CONTROL_PLANE.run_expect([0], f"{KUBECTL} delete --namespace=kube-system configmap/kube-router-cfg")
    assert changes(play("site.yml", "--tags", "cni", variables=shorter)) == 1
    assert get("--namespace=kube-system configmap/kube-router-cfg")["data"]
    assert "NotFound" in CONTROL_PLANE.run(f"{KUBECTL} get --namespace=kube-system configmap/kube-router-more").stderr
    assert changes(play("site.yml", "--tags", "cni", variables=VARIABLES)) == 1
    assert get("--namespace=kube-system configmap/kube-router-more")["data"] == {"sky": "blue"}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"cni_manifest_interfaces": ["eth0"]}, "cni_manifest_interfaces: eth0 is how interfaces of machines"),
        ({"cluster_cni": "flannel"}, "cluster_cni: is flannel in the inventory, and the cni_manifests that this"),
    ],
)
def test_what_is_refused_on_a_built_cluster(more: dict[str, t.Any], expected: str) -> None:
    output = play("site.yml", rc=2, variables={**VARIABLES, **more})
    assert expected in " ".join(output.split()), output


@pytest.mark.last
def test_reset_takes_no_interface_of_the_machine() -> None:
    """Also one whose name no list has: the default route tells."""
    worker = connect(names("kube_node")[0])
    own = {**VARIABLES, "node_reset_leftovers": {"interfaces": ["lab9"]}}
    worker.run_expect([0], "ip link add lab9 type veth peer name lab8 && ip link set lab8 up && ip link set lab9 up")
    worker.run_expect([0], "ip route add default dev lab9 metric 5000")
    try:
        output = play("reset.yml", *CONFIRMED, "--check", rc=2, variables=own)
        assert "interfaces: lab9 has the default route of this machine" in " ".join(output.split()), output
        assert worker.file("/etc/kubernetes/kubelet.conf").exists
    finally:
        worker.run_expect([0], "ip link delete lab9")


@pytest.mark.last
def test_reset_leaves_nothing() -> None:
    machines = {name: connect(name) for name in names()}
    assert all({"interfaces", "rules", "sets", "files"} <= set(left(machine, LEFT)) for machine in machines.values())
    assert changes(play("reset.yml", *CONFIRMED, variables=VARIABLES)) == len(machines) + 1
    assert {name: left(machine, LEFT) for name, machine in machines.items() if left(machine, LEFT)} == {}
    assert changes(play("reset.yml", *CONFIRMED, variables=VARIABLES)) == 0
