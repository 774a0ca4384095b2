# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three control planes and two workers go to the next minor: what clients notice of it.

The promise: no failed write through the endpoint, no failed request to a service of two replicas with a budget.
"""

from __future__ import annotations

import typing as t

import pytest
from clients import notice_nothing
from lab_support import Site, behind

CONTROL_PLANES = {"upgrade-cp1": "debian12", "upgrade-cp2": "debian13", "upgrade-cp3": "debian12"}
WORKERS = {"upgrade-w1": "debian13", "upgrade-w2": "debian12"}
VIP = "172.30.0.238"
OLD, NEW = "1.36.4", "1.37.1"
PLAYBOOK = "playbooks/upgrade.yml"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """The cluster of the old version, with the service."""
    made = Site(
        tmp_path_factory.mktemp("ha-upgrade"),
        list(CONTROL_PLANES),
        list(WORKERS),
        systems={**CONTROL_PLANES, **WORKERS},
        variables={
            **behind(VIP),
            "cluster_version": OLD,
            "metallb_address_pools": [{"name": "default", "addresses": ["172.30.0.240-172.30.0.243"]}],
        },
        kubernetes=[OLD, NEW],
    )
    try:
        made.run().expect()
        yield made
    finally:
        made.close()


def test_clients_notice_nothing(site: Site, measured: list[str]) -> None:
    service = site.serve_web()
    new = ("-e", f"cluster_version={NEW}")
    read = notice_nothing(site, measured, "upgrade of 3 + 2", *new, playbook=PLAYBOOK, service=service)
    assert read.longest_gap < 5, read


def test_all_nodes_are_of_the_version(site: Site) -> None:
    assert site.versions() == dict.fromkeys([*CONTROL_PLANES, *WORKERS], NEW)
    assert "SchedulingDisabled" not in site.control_plane.kubectl("get", "nodes")


def test_a_second_run_changes_nothing(site: Site) -> None:
    site.run("-e", f"cluster_version={NEW}", playbook=PLAYBOOK).expect(changed=[])
    site.run("-e", f"cluster_version={NEW}").expect(changed=[])
