# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Upgrades of three control planes that die at the second.

The first has been upgraded and is left alone, the third is left alone until the second is done.
"""

from __future__ import annotations

import typing as t

import pytest
from interruptions import ANSIBLE, MACHINE, RESTART, Point
from lab_support import Result, Run, Site, behind
from probe import ApiRead, ApiWrite, api_client, probes

CONTROL_PLANES = ["killed-cp1", "killed-cp2", "killed-cp3"]
FIRST, SECOND, THIRD = CONTROL_PLANES
VIP = "172.30.0.234"
OLD, NEW = "1.36.4", "1.37.1"
PLAYBOOK = "playbooks/upgrade.yml"

UPGRADE = "Upgrade what kubeadm manages"
#: Whatever an upgrade changes on a node.
WORK = {
    "Add the Kubernetes package repository",
    "Install and hold the Kubernetes packages",
    UPGRADE,
    "Drain the node",
    "Run the new kubelet with its configuration",
    "Let pods come again",
}
RUNS = "pgrep -f '[k]ubeadm upgrade node'"
# kubeadm has written the new API server's manifest, and waits for its pod.
EXCHANGED = f"{RUNS} && grep -q v{NEW} /etc/kubernetes/manifests/kube-apiserver.yaml"
# kubeadm is done, and the node is drained.
INSTALLED = f"dpkg-query --show kubelet | grep -q '{NEW}'"

POINTS = [
    Point("machine restarted while its API server is exchanged", UPGRADE, RESTART, EXCHANGED, SECOND),
    Point("killed, and kubeadm with it", UPGRADE, MACHINE, RUNS, SECOND),
    Point("only Ansible killed, the new kubelet is installed", UPGRADE, ANSIBLE, INSTALLED, SECOND),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """Three control planes of the old version."""
    made = Site(
        tmp_path_factory.mktemp("killed"),
        CONTROL_PLANES,
        [],
        systems={SECOND: "debian13"},
        variables={**behind(VIP), "cluster_version": OLD},
        kubernetes=[OLD, NEW],
    )
    try:
        made.run().expect()
        yield made
    finally:
        made.close()


def start(site: Site) -> Run:
    """Begin to upgrade."""
    return site.start("-e", f"cluster_version={NEW}", playbook=PLAYBOOK)


def worked_on(output: str) -> set[str]:
    """The nodes to which a run has done something."""
    return {host for host, task in Result(0, output).changed if task in WORK}


def processes(site: Site, name: str) -> list[str]:
    """What would be others, had the node been upgraded again: its kubelet, its API server and its etcd."""
    containers = "--output=jsonpath={.items[*].status.containerStatuses[*].containerID}"
    selector = "--selector=component in (etcd, kube-apiserver)"
    field = f"--field-selector=spec.nodeName={name}"
    found = site.control_plane.kubectl("get", "pods", "--namespace=kube-system", selector, field, containers).split()
    assert len(found) == 2, found
    return [*found, site.nodes[name].shell("systemctl show kubelet --property=MainPID --value").strip()]


def test_only_the_second_is_touched_until_it_is_done(site: Site, measured: list[str]) -> None:
    identity = site.identity()
    client = api_client(site.control_plane.shell("cat /etc/kubernetes/admin.conf"))
    done: list[str] = []
    with probes(ApiRead("read", client), ApiWrite("write", client)) as reports:
        for point in POINTS:
            print(f"--- {point.name}", flush=True)
            run = start(site)
            point.strike(site, run)
            assert worked_on(run.output) <= ({SECOND} if done else {FIRST, SECOND}), run.output
            done = done or processes(site, FIRST)
        print("--- left alone", flush=True)
        last = start(site).wait().expect()
    assert worked_on(last.output) == {SECOND, THIRD}, last.output
    assert processes(site, FIRST) == done, "the first was upgraded again"
    measured += [f"upgrade of three, died {len(POINTS)} times: {report}" for report in reports]
    assert not any(report.lost for report in reports), reports
    assert max(report.longest_gap for report in reports) < 5, reports
    assert site.identity() == identity
    assert site.etcd_members() == CONTROL_PLANES


def test_all_is_of_the_version(site: Site) -> None:
    assert site.versions() == dict.fromkeys(CONTROL_PLANES, NEW)
    assert "SchedulingDisabled" not in site.control_plane.kubectl("get", "nodes")
    images = site.control_plane.kubectl(
        "get", "pods", "--namespace=kube-system", "--selector=component=kube-apiserver", "--output=jsonpath={..image}"
    )
    assert {image.rpartition(":")[2] for image in images.split()} == {f"v{NEW}"}


def test_a_second_run_changes_nothing(site: Site) -> None:
    start(site).wait().expect(changed=[])
    site.configure({"cluster_version": NEW})
    site.expect_settled()
