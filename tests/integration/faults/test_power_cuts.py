# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Power that fails while machines are built or upgraded: the next run goes on from what their disks have.

They have kernels of their own, so that what was not on a disk is lost. Both tests share one cluster and come in the
order of this file.
"""

from __future__ import annotations

import typing as t

import pytest
from interruptions import RESTART, Point
from lab_support import MACHINES, Site

CONTROL_PLANE, WORKER = "power1", "power2"
OLD, NEW = "1.36.4", "1.37.1"

PACKAGES = "Install and hold the Kubernetes packages"
INITIALISE = "Initialise the control plane"
UPGRADE = "Upgrade what kubeadm manages"
UNPACKS = "pgrep -f '[d]pkg .*--unpack'"
INIT = "pgrep -f '[k]ubeadm init'"
JOIN = "pgrep -f '[k]ubeadm join'"
API_SERVER = "/etc/kubernetes/manifests/kube-apiserver.yaml"
APPLY = "pgrep -f '[k]ubeadm upgrade apply'"

BUILD = [
    Point("packages are unpacked", PACKAGES, RESTART, UNPACKS),
    Point("init: etcd has begun to write", INITIALISE, RESTART, f"{INIT} && test -e /var/lib/etcd/member/snap/db"),
    Point("join", "Join the cluster", RESTART, f"{JOIN} && test -e /etc/kubernetes/pki/ca.crt", WORKER),
]
UPGRADES = [
    Point("the API server is exchanged", UPGRADE, RESTART, f"{APPLY} && grep -q v{NEW} {API_SERVER}"),
    Point("the worker's kubelet is unpacked", UPGRADE, RESTART, UNPACKS, WORKER),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """Two fresh machines."""
    machines = [CONTROL_PLANE, WORKER]
    folder = tmp_path_factory.mktemp("power")
    made = Site(
        folder,
        [CONTROL_PLANE],
        [WORKER],
        systems=dict.fromkeys(machines, "debian13"),
        variables={
            **MACHINES,
            "cluster_version": OLD,
            "node_prep_swap": "limited",
            "metallb_address_pools": [],
            "metrics_server_enabled": False,
        },
        kubernetes=[OLD, NEW],
        machines=machines,
    )
    yield made
    made.close()


def test_a_build(site: Site) -> None:
    for point in BUILD:
        print(f"--- {point.name}", flush=True)
        point.strike(site, site.start())
    print("--- left alone", flush=True)
    site.run().expect()
    site.expect_settled()


def test_an_upgrade(site: Site) -> None:
    identity = site.identity()
    arguments = ["-e", f"cluster_version={NEW}"]
    for point in UPGRADES:
        print(f"--- {point.name}", flush=True)
        point.strike(site, site.start(*arguments, playbook="playbooks/upgrade.yml"))
        assert site.identity() == identity, f"{point.name}: the control plane is another one"
    print("--- left alone", flush=True)
    site.run(*arguments, playbook="playbooks/upgrade.yml").expect()
    assert set(site.versions().values()) == {NEW}
    assert site.identity() == identity
    site.configure({"cluster_version": NEW})
    site.expect_settled()
    for node in site.nodes.values():
        assert node.shell("swapon --show --noheadings"), f"{node.name} has lost its swap"
