# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines with kernels of their own are started anew by patch_nodes.yml: what clients notice of it.

The promise is that of upgrades: no failed write through the endpoint, no failed request to a service of two replicas
with a budget. The machines are the control plane that has the endpoint's address, and a worker. Two more control planes
are containers, which cannot be started anew: a second control plane of that kind is too much for a small host.
"""

from __future__ import annotations

import typing as t

import pytest
from clients import LONG, notice_nothing
from lab_support import Site, behind

CONTROL_PLANES, WORKER = ["patched1", "patched2", "patched3"], "patched4"
NAMES = [*CONTROL_PLANES, WORKER]
#: Those that can be started anew.
REBOOTED = [CONTROL_PLANES[0], WORKER]
VIP = "172.30.0.231"
PLAYBOOK = "playbooks/patch_nodes.yml"
#: Seconds until an answer counts as none: these machines are slow, and they share this one's processors.
PATIENCE = 10.0
#: Seconds between two requests of each client.
INTERVAL = 0.5


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """The cluster, which has to be started anew."""
    made = Site(
        tmp_path_factory.mktemp("patched"),
        CONTROL_PLANES,
        NAMES,
        systems=dict.fromkeys(NAMES, "debian13"),
        variables={
            **behind(VIP),
            "metallb_address_pools": [{"name": "default", "addresses": ["172.30.0.246-172.30.0.246"]}],
        },
        machines=REBOOTED,
    )
    try:
        made.start().wait(LONG).expect()
        for name in REBOOTED:
            made.nodes[name].shell("echo linux-image >/run/reboot-required.pkgs; touch /run/reboot-required")
        yield made
    finally:
        made.close()


def boots(site: Site) -> list[str]:
    """Which boot each machine is in."""
    return [site.nodes[name].shell("cat /proc/sys/kernel/random/boot_id") for name in REBOOTED]


def test_clients_notice_nothing(site: Site, measured: list[str]) -> None:
    service = site.serve_web(timeout=300)
    before = boots(site)
    title = f"reboots of {len(REBOOTED)}"
    notice_nothing(site, measured, title, playbook=PLAYBOOK, service=service, interval=INTERVAL, patience=PATIENCE)
    assert not set(boots(site)) & set(before)


def test_a_second_run_changes_nothing(site: Site) -> None:
    again = boots(site)
    site.start(playbook=PLAYBOOK).wait(LONG).expect(changed=[])
    assert boots(site) == again
    site.start().wait(LONG).expect(changed=[])
