# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes are healed: deleted objects, kubelets that run with what is not true any more, another slice of the network."""

from __future__ import annotations

import ipaddress
import json
import pathlib
import re
import time
import typing as t

import pytest
from lab_support import Node, Result, Site

CONTROL_PLANE, WORKER = "hea1", "hea2"
HEALED = (WORKER, "Keep the kubelet running")
HEALED_FIRST = (CONTROL_PLANE, "Keep the kubelet running, which runs the control plane")
LABELLED = (CONTROL_PLANE, "Label and taint the nodes")
SPREAD = (CONTROL_PLANE, "Let CoreDNS not be on one node only")
VERIFY = "playbooks/verify.yml"
RACK = "example.org/rack"
#: Nobody owns it: a pod that is deleted does not come back.
LONER = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "loner"},
    "spec": {
        "nodeName": WORKER,
        "tolerations": [{"operator": "Exists"}],
        "terminationGracePeriodSeconds": 1,
        "containers": [
            {"name": "a", "image": "docker.io/slipway/probe:1.0", "args": ["netexec", "--http-port=8080"]},
        ],
    },
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """A cluster of two machines; the worker carries a label of the inventory."""
    folder: pathlib.Path = tmp_path_factory.mktemp("healed")
    variables = {"metallb_address_pools": [], "metrics_server_enabled": False}
    made = Site(folder, [CONTROL_PLANE], [WORKER], systems={WORKER: "debian13"}, variables=variables)
    path = made.inventory / "hosts.yml"
    inventory = json.loads(path.read_text(encoding="utf-8"))
    inventory["all"]["children"]["kube_node"]["hosts"][WORKER]["cluster_node_labels"] = {RACK: "r1"}
    path.write_text(json.dumps(inventory), encoding="utf-8")
    made.run().expect()
    made.expect_settled()
    yield made
    made.close()


def said(result: Result) -> str:
    """What a run printed, as one line: warnings are wrapped."""
    return re.sub(r"\s+", " ", result.output)


def read(site: Site, *words: str) -> dict[str, t.Any]:
    """An object of the cluster; empty when there is none."""
    text = site.control_plane.kubectl("get", *words, "--ignore-not-found", "--output=json")
    found: dict[str, t.Any] = json.loads(text or "{}")
    return found


def slice_of(site: Site, name: str) -> str:
    """The slice of the pod network that a node has."""
    return str(read(site, f"node/{name}")["spec"]["podCIDR"])


def kubelet(node: Node) -> str:
    """The process of the machine's kubelet."""
    return node.shell("pgrep -x kubelet").strip()


def wait(condition: t.Callable[[], bool], seconds: int = 120) -> None:
    """Wait until it is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it has not come to be so"
        time.sleep(1)


def expect_healed(site: Site) -> None:
    """Assert that the cluster is complete, and what the inventory and kubeadm give its nodes is there."""
    site.expect_settled()
    worker, first = read(site, f"node/{WORKER}"), read(site, f"node/{CONTROL_PLANE}")
    assert worker["metadata"]["labels"][RACK] == "r1"
    role = "node-role.kubernetes.io/control-plane"
    assert first["metadata"]["labels"][role] == "" and [taint["key"] for taint in first["spec"]["taints"]] == [role]
    for name, node in site.nodes.items():
        bridge = node.shell("ip -4 -brief address show dev cni0 2>/dev/null", check=False).split()[2:]
        assert not bridge or ipaddress.ip_interface(bridge[0]).network == ipaddress.ip_network(slice_of(site, name))


def test_a_kubelet_is_not_restarted_without_need(site: Site) -> None:
    """The first look at it has kept what it runs with; a file that is only touched is none that was changed."""
    before = [kubelet(node) for node in site.nodes.values()]
    for node in site.nodes.values():
        node.shell("touch /var/lib/kubelet/config.yaml /var/lib/kubelet/kubeadm-flags.env")
    site.run("--check").expect(changed=[])
    site.run().expect(changed=[])
    assert [kubelet(node) for node in site.nodes.values()] == before


def test_a_node_that_was_deleted_comes_back(site: Site) -> None:
    before = slice_of(site, WORKER)
    site.control_plane.kubectl("delete", "node", WORKER)
    assert f"{WORKER} of the inventory: the cluster has no such node" in said(site.run(playbook=VERIFY).expect(rc=2))
    checked = site.run("--check").expect()
    assert {HEALED, LABELLED} <= checked.changed, checked.output
    assert f"{WORKER}: the cluster has no Node object of it any more" in said(checked)
    assert read(site, f"node/{WORKER}") == {}
    result = site.run().expect()
    assert {HEALED, LABELLED} <= result.changed, result.output
    assert slice_of(site, WORKER) != before
    expect_healed(site)


def test_a_node_that_has_come_back_with_another_slice(site: Site) -> None:
    """Its pods have lived on: no pod would start there, and nobody would reach those that run."""
    site.control_plane.execute("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "apply", "--filename=-",
                               stdin=json.dumps(LONER))  # fmt: skip
    wait(lambda: bool(read(site, "pod/loner").get("status", {}).get("podIP")))
    loner, before = read(site, "pod/loner"), slice_of(site, WORKER)
    site.control_plane.kubectl("delete", "node", WORKER)
    site.nodes[WORKER].shell("systemctl restart kubelet")
    wait(lambda: bool(read(site, f"node/{WORKER}").get("spec", {}).get("podCIDR")))
    now = slice_of(site, WORKER)
    assert now != before
    checked = site.run("--check").expect(changed=[HEALED, LABELLED])
    assert f"{WORKER}: Flannel goes by {before}, and the node has {now}" in said(checked)
    assert f"pods have addresses that are not of {now}: default/loner" in said(checked)
    assert read(site, "pod/loner")["status"]["podIP"] == loner["status"]["podIP"]
    site.run().expect(changed=[HEALED, LABELLED])
    wait(lambda: ipaddress.ip_address(read(site, "pod/loner")["status"]["podIP"]) in ipaddress.ip_network(now))
    found = read(site, "pod/loner")
    assert found["metadata"]["uid"] == loner["metadata"]["uid"]
    assert found["status"]["containerStatuses"][0]["restartCount"] > 0
    expect_healed(site)


def test_a_control_plane_whose_node_was_deleted(site: Site) -> None:
    """The run is killed while it heals; the next one goes on."""
    site.control_plane.kubectl("delete", "node", CONTROL_PLANE)
    run = site.start()
    assert run.reaches("Keep the kubelet running, which runs the control plane"), run.output
    run.kill()
    site.control_plane.shell("pkill -KILL -x 'python3.*'", check=False)
    result = site.run().expect()
    assert {HEALED_FIRST, LABELLED} & result.changed and LABELLED in result.changed, result.output
    expect_healed(site)


def configuration(site: Site) -> dict[str, t.Any]:
    """What the worker's kubelet runs with, by its own account."""
    path = f"/api/v1/nodes/{WORKER}/proxy/configz"
    found: dict[str, t.Any] = json.loads(site.control_plane.kubectl("get", f"--raw={path}"))["kubeletconfig"]
    return found


def test_a_configuration_that_was_changed_by_hand(site: Site) -> None:
    worker = site.nodes[WORKER]
    worker.shell("cp -p /var/lib/kubelet/config.yaml /root/kept")
    worker.shell("sed -i 's/^syncFrequency:.*/syncFrequency: 70s/' /var/lib/kubelet/config.yaml")
    before = kubelet(worker)
    site.run("--check").expect(changed=[HEALED])
    assert kubelet(worker) == before
    site.run().expect(changed=[HEALED])
    assert kubelet(worker) != before and configuration(site)["syncFrequency"] == "1m10s"
    site.run().expect(changed=[])
    # With the old time of the old file.
    worker.shell("mv /root/kept /var/lib/kubelet/config.yaml")
    site.run().expect(changed=[HEALED])
    assert configuration(site)["syncFrequency"] == "1m0s"
    expect_healed(site)


def test_a_kubelet_under_another_name(site: Site) -> None:
    """It is not restarted as long as it would come back under that name again."""
    worker = site.nodes[WORKER]
    worker.shell("cp /etc/default/kubelet /root/kept 2>/dev/null || : > /root/kept")
    worker.shell("echo KUBELET_EXTRA_ARGS=--hostname-override=other > /etc/default/kubelet; systemctl restart kubelet")
    before = kubelet(worker)
    text = said(site.run().expect(rc=2))
    assert "would go by the name other, which --hostname-override says" in text and kubelet(worker) == before
    worker.shell("mv /root/kept /etc/default/kubelet")
    result = site.run().expect()
    # A node that was lost for five minutes loses its pods, CoreDNS' among them: on a slow machine it was.
    assert {HEALED} <= result.changed <= {HEALED, SPREAD}, result.output
    assert "the kubelet runs under the name other: the kubelet is restarted" in said(result)
    expect_healed(site)


def test_a_bridge_with_a_foreign_address(site: Site) -> None:
    """Pods that run have kept the right addresses, and go on."""
    worker, before = site.nodes[WORKER], read(site, "pod/loner")
    own = worker.shell("ip -4 -brief address show dev cni0").split()[2]
    worker.shell(f"ip address del {own} dev cni0; ip address add 10.99.9.1/24 dev cni0")
    text = said(site.run("--extra-vars=verify_timeout=20", playbook=VERIFY).expect(rc=2))
    assert f"on {WORKER} none runs: " in text and "already has an IP address different from" in text
    result = site.run().expect(changed=[HEALED])
    assert f"{WORKER}: cni0 has the address 10.99.9.1/24, and the node has {slice_of(site, WORKER)}" in said(result)
    assert read(site, "pod/loner")["status"]["containerStatuses"] == before["status"]["containerStatuses"]
    expect_healed(site)
