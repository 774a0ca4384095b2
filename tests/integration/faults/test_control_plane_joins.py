# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control planes that join a cluster, and runs or machines that die in the middle of it: the next run completes it."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from interruptions import ANSIBLE, MACHINE, RESTART, Point
from lab_support import Site, behind

CONTROL_PLANES = ["flt3", "flt4", "flt5"]
SECOND, THIRD = CONTROL_PLANES[1:]

JOIN = "Join the cluster"
RUNS = "pgrep -f '[k]ubeadm join'"
DOWNLOADED = f"{RUNS} && test -e /etc/kubernetes/pki/ca.key && ! test -e /etc/kubernetes/manifests/etcd.yaml"
# kubeadm has written etcd's manifest, which comes after the new member, and waits until that has become one that votes.
MEMBER = f"{RUNS} && test -e /etc/kubernetes/manifests/etcd.yaml && pgrep -x etcd"
# The API server of the new control plane is there; it is not marked as one yet.
SERVING = f"{RUNS} && pgrep -x kube-apiserver && pgrep -x etcd && grep -q client-current /etc/kubernetes/kubelet.conf"

POINTS = [
    Point("before the second joins", "Mint a bootstrap token", ANSIBLE),
    Point("second: certificates are there", JOIN, MACHINE, DOWNLOADED, SECOND),
    Point("second: kubeadm killed, etcd has one member more", JOIN, "kubeadm", MEMBER, SECOND),
    Point("second: API server starts", JOIN, MACHINE, SERVING, SECOND),
    Point("third: machine restarted", JOIN, RESTART, MEMBER, THIRD),
    # kubeadm goes on and comes to its end, so nothing is left to be killed after that.
    Point("third: only Ansible killed, etcd has one member more", JOIN, ANSIBLE, MEMBER, THIRD),
]


@pytest.fixture
def site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    """Three fresh machines that shall be control planes."""
    made = Site(
        tmp_path,
        CONTROL_PLANES,
        [],
        systems={SECOND: "debian13"},
        variables=behind("172.30.0.233"),
    )
    yield made
    made.close()


def test_killed_joins_are_finished_by_the_next_run(site: Site) -> None:
    identity = None
    for point in POINTS:
        print(f"--- {point.name}", flush=True)
        point.strike(site, site.start())
        found = site.identity()
        assert identity in (None, found), f"{point.name}: the cluster is another one"
        identity = found
    print("--- left alone", flush=True)
    site.run().expect()
    assert site.identity() == identity, "the cluster is another one"
    assert site.etcd_members() == CONTROL_PLANES
    site.expect_settled()
