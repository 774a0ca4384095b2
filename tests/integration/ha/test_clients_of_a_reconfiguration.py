# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three control planes and two workers get another configuration, kube-proxy another mode: what clients notice of it.

The promise is that of upgrades: no failed write through the endpoint, no failed request to a service of two replicas.
"""

from __future__ import annotations

import typing as t

import pytest
from clients import notice_nothing
from lab_support import Site, behind

CONTROL_PLANES = {"other-cp1": "debian12", "other-cp2": "debian13", "other-cp3": "debian12"}
WORKERS = {"other-w1": "debian13", "other-w2": "debian12"}
VIP = "172.30.0.253"
PLAYBOOK = "playbooks/reconfigure.yml"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """The cluster, with the service."""
    made = Site(
        tmp_path_factory.mktemp("ha-reconfiguration"),
        list(CONTROL_PLANES),
        list(WORKERS),
        systems={**CONTROL_PLANES, **WORKERS},
        variables={
            **behind(VIP),
            "metallb_address_pools": [{"name": "default", "addresses": ["172.30.0.251-172.30.0.252"]}],
        },
    )
    try:
        made.run().expect()
        yield made
    finally:
        made.close()


def test_clients_notice_nothing(site: Site, measured: list[str]) -> None:
    service = site.serve_web()
    argument = {"name": "v", "value": "2"}
    components = ("apiServer", "controllerManager", "scheduler")
    site.configure(
        {
            "cluster_kube_proxy_mode": "iptables",
            "control_plane_cluster_configuration": {
                **{name: {"extraArgs": [argument]} for name in components},
                "etcd": {"local": {"extraArgs": [{"name": "auto-compaction-retention", "value": "8"}]}},
            },
        }
    )
    title = "another configuration of 3 + 2"
    read = notice_nothing(site, measured, title, playbook=PLAYBOOK, service=service)
    assert read.longest_gap < 5, read


def test_a_second_run_changes_nothing(site: Site) -> None:
    site.run(playbook=PLAYBOOK).expect(changed=[])
    site.run().expect(changed=[])
