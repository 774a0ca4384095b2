# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are killed at any moment, and done again: a working cluster comes of it.

Each chain is one life of a cluster: a run is killed at the first point, the next one at the second, and so on, until
one is left alone and has to complete it. A control plane that was complete once must stay the same.
"""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from interruptions import ANSIBLE, MACHINE, Point
from lab_support import Site

CONTROL_PLANE, WORKER = "flt1", "flt2"

# A condition that an earlier attempt has fulfilled already is of no use, so kubeadm has to run besides.
INIT = "pgrep -f '[k]ubeadm init'"
JOIN = "pgrep -f '[k]ubeadm join'"
HELM = "pgrep -f '[h]elm upgrade {}'"
PACKAGES = "Install and hold the Kubernetes packages"
INITIALISE = "Initialise the control plane"
# apt asks dpkg small questions before that.
UNPACKS = "pgrep -f '[d]pkg .*--unpack'"
# The file with the token that the kubelet gets its certificate with.
BOOTSTRAPPING = f"{JOIN} && test -e /etc/kubernetes/bootstrap-kubelet.conf"

UNTIL_INIT = [
    Point("dpkg killed on the node", PACKAGES, "apt-get|dpkg", UNPACKS),
    Point("while packages are installed", PACKAGES, MACHINE, UNPACKS),
    Point("containerd configured, not restarted", "Configure containerd", MACHINE, "test -e /etc/containerd/certs.d"),
    Point("init: certificates", INITIALISE, MACHINE, f"{INIT} && test -e /etc/kubernetes/pki/apiserver.crt"),
    Point("init: etcd starts", INITIALISE, MACHINE, f"{INIT} && pgrep -x etcd"),
    Point("init: kubeadm killed", INITIALISE, "kubeadm", f"{INIT} && pgrep -x kube-apiserver"),
    # One of the last phases lets the kubelet use the certificate that it rotates itself.
    Point("init: addons", INITIALISE, MACHINE, f"{INIT} && grep -q client-current /etc/kubernetes/kubelet.conf"),
    # kubeadm goes on and comes to its end, while the next run begins.
    Point("init: only Ansible killed", INITIALISE, ANSIBLE, f"{INIT} && pgrep -x kube-apiserver"),
]

AFTER_INIT = [
    Point("Flannel is applied", "Install Flannel", MACHINE, HELM.format("flannel"), control_plane=True, short=True),
    # Helm may go on and come to its end, so this comes after the one that kills it.
    Point("before Flannel is applied again", "Install Flannel", ANSIBLE, control_plane=True),
    Point("before the join", "Mint a bootstrap token", ANSIBLE, control_plane=True),
    Point("in the middle of the join", "Join the cluster", MACHINE, BOOTSTRAPPING, WORKER, control_plane=True),
    Point("join: kubeadm killed", "Join the cluster", "kubeadm", BOOTSTRAPPING, WORKER, control_plane=True),
    Point("joined, token not revoked", "Revoke the bootstrap token", ANSIBLE, control_plane=True),
    # The run whose worker did not join has completed the rest, so Helm has something to do by other values only.
    Point(
        "MetalLB gets other values",
        "Install MetalLB",
        MACHINE,
        HELM.format("metallb"),
        control_plane=True,
        short=True,
        arguments=("-e", '{"metallb_values": {"controller": {"logLevel": "warn"}}}'),
    ),
    Point("while MetalLB's pools are applied", "Apply the address pools", ANSIBLE, control_plane=True),
]


@pytest.fixture
def site(tmp_path: pathlib.Path) -> t.Iterator[Site]:
    """Two fresh machines."""
    made = Site(
        tmp_path,
        [CONTROL_PLANE],
        [WORKER],
        systems={WORKER: "debian13"},
        variables={"metallb_address_pools": [{"name": "default", "addresses": ["172.30.0.215-172.30.0.219"]}]},
    )
    yield made
    made.close()


@pytest.mark.parametrize("points", [UNTIL_INIT, AFTER_INIT], ids=["until-init", "after-init"])
def test_killed_runs_are_finished_by_the_next(site: Site, points: t.Sequence[Point]) -> None:
    identity = None
    for point in points:
        print(f"--- {point.name}", flush=True)
        point.strike(site, site.start(*point.arguments))
        if point.control_plane:
            found = site.identity()
            assert identity in (None, found), f"{point.name}: the control plane is another one"
            identity = found
    print("--- left alone", flush=True)
    site.run().expect()
    assert identity in (None, site.identity()), "the control plane is another one"
    site.expect_settled()
