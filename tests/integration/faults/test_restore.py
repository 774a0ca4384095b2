# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three control planes lose their data, and then their machines; restores that are killed are finished by the next."""

from __future__ import annotations

import json
import time
import typing as t

import pytest
from interruptions import ANSIBLE, MACHINE, Point
from lab_support import Site

CONTROL_PLANES = ["rst-cp1", "rst-cp2", "rst-cp3"]
VARIABLES = {
    "api_endpoint_provider": "keepalived",
    "api_endpoint_vip": "172.30.0.248",
    "cluster_endpoint": "172.30.0.248:8443",
    "metallb_address_pools": [],
}
PLAYBOOK = "playbooks/etcd_restore.yml"
ETCDUTL = "pgrep -x etcdutl"

# Each is finished by the next, which is killed, too; at last one is left alone.
POINTS = [
    Point("when control planes are stopped", "Stop the control plane", ANSIBLE, "! pgrep -x etcd"),
    Point("in etcdutl on another machine", "Replace the data of etcd", MACHINE, ETCDUTL, machine=CONTROL_PLANES[1]),
    Point("when members wait for each other", "Wait for etcd and the API server", ANSIBLE, "pgrep -x etcd"),
]
# On bare machines: kubeadm makes the first control plane out of the snapshot.
FRESH = [
    Point("when it is handed over", "Put the authorities and the snapshot in place", ANSIBLE),
    Point("in etcdutl", "Initialise the control plane", MACHINE, ETCDUTL),
    Point("in kubeadm", "Initialise the control plane", MACHINE, "pgrep -x kube-apiserver"),
]

# Ends with 0 when the cluster's DNS has an address for a name, with 3 when there is no such name.
ASK = r"""
import socket, struct, sys
name = b"".join(bytes([len(word)]) + word.encode() for word in sys.argv[1].split(".")) + b"\0"
asking = socket.socket(type=socket.SOCK_DGRAM)
asking.settimeout(3)
asking.sendto(struct.pack(">6H", 1, 0x100, 1, 0, 0, 0) + name + struct.pack(">2H", 1, 1), ("10.96.0.10", 53))
sys.exit(asking.recv(512)[3] & 15)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """Three control planes that also run workloads."""
    made = Site(tmp_path_factory.mktemp("restore"), CONTROL_PLANES, CONTROL_PLANES, variables=VARIABLES)
    yield made
    made.close()


@pytest.fixture(scope="module")
def archive(site: Site) -> list[str]:
    """The arguments for a backup that has the object ``before`` and not ``after``."""
    site.run().expect()
    site.control_plane.kubectl("create", "configmap", "before")
    site.run(playbook="playbooks/etcd_backup.yml").expect()
    site.control_plane.kubectl("create", "configmap", "after")
    (path,) = site.artifacts.rglob("etcd-*.tar.gz")
    return ["-e", f"etcd_restore_archive={path}"]


def expect_restored(site: Site) -> None:
    """Assert that the cluster is that of the backup, whole, and that nothing of the restore is left."""
    configmaps = site.control_plane.kubectl("get", "configmaps", "--output=name").split()
    assert "configmap/before" in configmaps and "configmap/after" not in configmaps
    site.run().expect(changed=[])
    assert site.unready_nodes() == []
    for node in site.nodes.values():
        left = "ls -d /var/lib/slipway/etcd-restore /var/lib/slipway/kubeadm.json /var/lib/etcd/.slipway-restore"
        assert node.shell(f"{left} 2>/dev/null", check=False) == ""
        pods = node.shell("ls /var/log/pods")
        assert pods.count("kube-system_etcd-") == 1
    shown = site.control_plane.kubectl(
        "get", "pods", "--namespace=kube-system", "--selector=component=etcd", "--output=json"
    )
    assert len(json.loads(shown)["items"]) == 3
    site.run(playbook="playbooks/verify.yml").expect()


def revision(site: Site) -> int:
    """The revision that the API has now."""
    listed = json.loads(site.control_plane.kubectl("get", "--raw=/api/v1/namespaces?limit=1"))
    return int(listed["metadata"]["resourceVersion"])


def expect_dns(site: Site, **services: bool) -> None:
    """Assert that the cluster's DNS comes to know Services, or not to know them, within a minute."""
    known: dict[str, bool | None] = {}
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for name in services:
            asked = site.control_plane.execute("python3", "-c", ASK, f"{name}.default.svc.cluster.local", check=False)
            known[name] = {0: True, 3: False}.get(asked.returncode)
        if known == services:
            return
        time.sleep(1)
    raise AssertionError(f"DNS knows {known}, and should {services}")


def strike_all(site: Site, points: list[Point], arguments: list[str]) -> None:
    """Kill one restore after the other; in between site.yml does not build another cluster."""
    for point in points:
        print(f"--- {point.name}", flush=True)
        point.strike(site, site.start(*arguments, playbook=PLAYBOOK))
    print("--- left alone", flush=True)
    begun = time.monotonic()
    site.run(*arguments, playbook=PLAYBOOK).expect()
    print(f"{time.monotonic() - begun:.0f} s", flush=True)


def test_lost_data(site: Site, archive: list[str]) -> None:
    for node in site.nodes.values():
        node.shell("rm -rf /var/lib/etcd/member; pkill -KILL -x etcd", check=False)
    strike_all(site, POINTS, archive)
    expect_restored(site)


def test_a_cluster_that_works(site: Site, archive: list[str]) -> None:
    refused = site.run(*archive, playbook=PLAYBOOK).expect(2, changed=[])
    assert "The etcd of test works." in " ".join(refused.output.split())
    site.control_plane.kubectl("create", "configmap", "after")
    site.run(*archive, "-e", "etcd_restore_confirm=true", playbook=PLAYBOOK).expect()
    expect_restored(site)


def test_the_same_archive_again(site: Site, archive: list[str]) -> None:
    """What watches the API goes on with what it has seen, and must not take that for the future."""
    again = (*archive, "-e", "etcd_restore_confirm=true")
    site.run(*again, playbook=PLAYBOOK).expect()
    items = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"many-{i}"}} for i in range(1000)]
    many = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    create = ("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", "create", "--filename=-")
    site.control_plane.execute(*create, stdin=many)
    site.control_plane.kubectl("create", "service", "clusterip", "lost", "--tcp=80")
    expect_dns(site, lost=True)
    seen = revision(site)
    site.run(*again, playbook=PLAYBOOK).expect()
    assert revision(site) > seen
    site.control_plane.kubectl("create", "service", "clusterip", "later", "--tcp=80")
    expect_dns(site, lost=False, later=True)
    site.control_plane.kubectl("delete", "service", "later")
    expect_restored(site)


def test_two_members_are_lost_with_their_machines(site: Site, archive: list[str]) -> None:
    site.renew(*CONTROL_PLANES[:2])
    begun = time.monotonic()
    site.run(*archive, playbook=PLAYBOOK).expect()
    print(f"{time.monotonic() - begun:.0f} s", flush=True)
    expect_restored(site)


def test_bare_machines(site: Site, archive: list[str]) -> None:
    site.renew(*CONTROL_PLANES)
    strike_all(site, FRESH, archive)
    expect_restored(site)
