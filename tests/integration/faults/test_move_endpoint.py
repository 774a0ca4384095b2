# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster that was built without an endpoint gets one, in runs that are killed, and grows to three control planes."""

from __future__ import annotations

import pathlib
import time
import typing as t

import pytest
from interruptions import ANSIBLE, MACHINE, Point
from lab_support import Node, Site, remove_nodes, start_nodes
from probe import ApiRead, ApiWrite, api_client, probes

FIRST, WORKER = "mov1", "mov2"
MORE = ["mov3", "mov4"]
VIP = "172.30.0.244"
PLAYBOOK = "playbooks/move_endpoint.yml"
BALANCER = "mov5"
MOVED = f"https://{VIP}:8443"

KUBELET = "Let the kubelet use the endpoint"
CLUSTER = "Let the cluster and its administrators use the endpoint"
POINTS = [
    Point("the endpoint is there", KUBELET, ANSIBLE),
    Point("the cluster is being moved", CLUSTER, MACHINE, "pgrep -x kubectl"),
    Point("kube-proxy is being replaced", "Wait for kube-proxy", ANSIBLE),
]


@pytest.fixture
def site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    """A cluster of two machines without an endpoint."""
    variables = {"metrics_server_enabled": False, "metallb_address_pools": []}
    made = Site(tmp_path, [FIRST], [WORKER], systems={WORKER: "debian13"}, variables=variables)
    try:
        made.run().expect()
        yield made
    finally:
        made.close()


@pytest.fixture
def balancer() -> t.Iterator[Node]:
    """A machine that is no node, with haproxy, which forwards to nobody yet."""
    nodes = start_nodes(BALANCER)
    try:
        nodes[BALANCER].shell("apt-get update && apt-get install --yes --no-install-recommends haproxy")
        yield nodes[BALANCER]
    finally:
        remove_nodes(nodes)


def forward(balancer: Node, site: Site) -> None:
    """Let a load balancer do what docs/make-it-ha.md says, on the port that one has who does not share a machine."""
    lines = [
        *("defaults", " mode tcp", " timeout connect 5s", " timeout check 5s"),
        *(" timeout client 1h", " timeout server 1h"),
        *("frontend api", " bind *:443", " default_backend api_servers"),
        *("backend api_servers", " option httpchk GET /readyz", " http-check expect status 200"),
    ]
    lines += [
        f" server {name} {site.nodes[name].address}:6443 check check-ssl verify none inter 1s"
        for name in site.groups["kube_control_plane"]
    ]
    balancer.execute("sh", "-c", "cat > /etc/haproxy/haproxy.cfg", stdin="\n".join([*lines, ""]))
    balancer.shell("systemctl restart haproxy")


def servers(site: Site) -> dict[str, str]:
    """Where the clients of the cluster look for API servers, by what says so."""
    plane, worker = site.control_plane, site.nodes[WORKER]

    def of_file(node: Node, path: str) -> str:
        return node.shell(f"sed -n 's/^ *server: //p' {path}").strip()

    def of_map(namespace: str, name: str) -> str:
        text = plane.kubectl("get", "configmap", name, f"--namespace={namespace}", "--output=jsonpath={.data}")
        return text.partition("server: ")[2].partition("\\n")[0]

    configuration = plane.kubectl(
        "get",
        "configmap",
        "kubeadm-config",
        "--namespace=kube-system",
        "--output=jsonpath={.data.ClusterConfiguration}",
    )
    return {
        "worker": of_file(worker, "/etc/kubernetes/kubelet.conf"),
        "admin": of_file(plane, "/etc/kubernetes/admin.conf"),
        "super-admin": of_file(plane, "/etc/kubernetes/super-admin.conf"),
        "root": of_file(plane, "/root/.kube/config"),
        "cluster-info": of_map("kube-public", "cluster-info"),
        "kube-proxy": of_map("kube-system", "kube-proxy"),
        "kubeadm": "https://" + configuration.partition("controlPlaneEndpoint: ")[2].partition("\n")[0],
    }


def test_a_cluster_gets_an_endpoint_and_grows(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    old = f"https://{site.control_plane.address}:6443"
    before = servers(site)
    assert set(before.values()) == {old, "https://"}
    identity = site.identity()

    site.configure({"api_endpoint_provider": "keepalived", "cluster_endpoint": f"{VIP}:8443"})
    refused = site.run().expect(2, changed=[])
    assert "playbooks/move_endpoint.yml" in refused.output and "nothing was changed." in refused.output
    checked = site.run("--check", "--diff", playbook=PLAYBOOK).expect()
    assert {(WORKER, KUBELET), (FIRST, CLUSTER)} <= checked.changed and f"+{MOVED}" in checked.output
    assert servers(site) == before

    for point in POINTS:
        print(f"--- {point.name}", flush=True)
        point.strike(site, site.start(playbook=PLAYBOOK))
    print("--- left alone", flush=True)
    client = api_client(site.control_plane.shell("cat /etc/kubernetes/admin.conf"), old)
    asked = [ApiRead("read at the old address", client), ApiWrite("write at the old address", client)]
    start = time.monotonic()
    with probes(*asked) as reports:
        site.run(playbook=PLAYBOOK).expect()
    measured = [f"the last run: {time.monotonic() - start:.0f} s", *map(str, reports)]
    assert set(servers(site).values()) == {MOVED}
    kept = (site.artifacts / "test" / "admin.conf").read_text(encoding="utf-8")
    assert f"server: {MOVED}" in kept
    site.run(playbook=PLAYBOOK).expect(changed=[])
    site.expect_settled()
    assert site.identity() == identity, "the cluster is another one"
    # Who has not heard of the endpoint is still served, as the certificate has the old address, too.
    site.control_plane.kubectl("get", "nodes", f"--server={old}")

    site.groups["kube_control_plane"] += MORE
    site.renew(*MORE)
    start = time.monotonic()
    site.run(playbook="playbooks/add_nodes.yml").expect()
    measured.append(f"two more control planes: {time.monotonic() - start:.0f} s")
    planes = site.control_plane.kubectl(
        "get", "nodes", "--selector=node-role.kubernetes.io/control-plane", "--output=name"
    )
    assert sorted(planes.split()) == [f"node/{name}" for name in [FIRST, *MORE]]
    site.expect_settled()
    with capsys.disabled():
        print("", *measured, sep="\n")


def test_a_cluster_moves_behind_a_load_balancer_and_grows(site: Site, balancer: Node) -> None:
    old, moved = servers(site)["admin"], f"https://{balancer.address}:443"
    site.configure({"api_endpoint_provider": "external", "cluster_endpoint": f"{balancer.address}:443"})
    refused = site.run(playbook=PLAYBOOK).expect(2, changed=[])
    assert f"cluster_endpoint: {balancer.address} " in refused.output, "the load balancer has to be there first"
    forward(balancer, site)
    site.run("--check", playbook=PLAYBOOK).expect()
    assert servers(site)["admin"] == old
    site.run(playbook=PLAYBOOK).expect()
    assert set(servers(site).values()) == {moved}
    site.run(playbook=PLAYBOOK).expect(changed=[])
    site.expect_settled()

    site.groups["kube_control_plane"] += MORE[:1]
    site.renew(*MORE[:1])
    forward(balancer, site)
    site.run(playbook="playbooks/add_nodes.yml").expect()
    site.expect_settled()
    kubelet = site.nodes[MORE[0]].shell("sed -n 's/^ *server: //p' /etc/kubernetes/kubelet.conf").strip()
    assert kubelet in (moved, f"https://{site.nodes[MORE[0]].address}:6443")
