# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster of one machine: everything runs on it, and an address of a load balancer answers from outside."""

from __future__ import annotations

import json

from conftest import connect, names, play

ADMIN = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
POOLS = [{"name": "default", "addresses": ["172.30.0.226-172.30.0.227"]}]


def test_ordinary_pods_may_run_on_it() -> None:
    (name,) = names()
    node = json.loads(connect(name).check_output(f"{ADMIN} get node {name} --output=json"))
    assert not node["spec"].get("taints")
    # What kubeadm says about control planes is left as it is.
    assert "node.kubernetes.io/exclude-from-external-load-balancers" in node["metadata"]["labels"]


def test_everything_works_and_the_load_balancer_answers_from_outside() -> None:
    output = play("verify.yml", variables={"metallb_address_pools": POOLS})
    assert "metrics of all nodes are there" in output
    assert "the load balancer answers from the controller  172.30.0.22" in output
