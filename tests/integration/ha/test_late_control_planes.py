# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that are added behind a virtual address while not all of the control planes take part."""

from __future__ import annotations

import subprocess
import time
import typing as t

import pytest
from lab_support import Site, behind, remove_nodes
from probe import ApiRead, ApiWrite, api_client, probes

FIRST = ["late-cp1", "late-cp2"]
THIRD, FOURTH = "late-cp3", "late-cp4"
WORKER = "late-worker"
VIP = "172.30.0.238"
ADD = "playbooks/add_nodes.yml"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """A cluster of two control planes."""
    made = Site(tmp_path_factory.mktemp("late"), FIRST, [], variables=behind(VIP))
    made.run().expect()
    yield made
    made.close()


def add(site: Site, name: str, group: str = "kube_control_plane") -> None:
    site.groups[group].append(name)
    site.renew(name)


def holders(site: Site) -> list[str]:
    """Machines that have the virtual address."""
    return [name for name, node in site.nodes.items() if f" {VIP}/" in node.shell("ip -o address show", check=False)]


def test_one_that_the_others_do_not_know(site: Site, measured: list[str]) -> None:
    """It would hear nobody and take the address, so it gets no keepalived until all are in the run."""
    before = holders(site)
    client = api_client(site.control_plane.shell("cat /etc/kubernetes/admin.conf"))
    add(site, THIRD)
    with probes(ApiRead("read", client), ApiWrite("write", client)) as reports:
        site.run("--limit", THIRD, playbook=ADD).expect()
        assert holders(site) == before and len(before) == 1
        assert site.nodes[THIRD].shell("systemctl is-active keepalived haproxy", check=False).split() != ["active"] * 2
        site.run().expect()
    measured += [f"added with --limit, then all: {report}" for report in reports]
    assert not any(report.lost for report in reports), reports
    assert len(holders(site)) == 1
    assert site.nodes[THIRD].shell("systemctl is-active keepalived haproxy").split() == ["active"] * 2
    assert site.etcd_members() == [*FIRST, THIRD]
    site.expect_settled()


def test_while_another_one_is_down(site: Site) -> None:
    """A worker can be added. With a control plane kubeadm would wait for minutes, and then not join it."""
    subprocess.run(["docker", "kill", site.nodes[THIRD].container], check=True, stdout=subprocess.DEVNULL)
    add(site, FOURTH)
    deadline = time.monotonic() + 120
    while site.unready_nodes() == [FOURTH]:
        assert time.monotonic() < deadline, "the cluster does not notice that a node is dead"
        time.sleep(1)
    refused = " ".join(site.run(playbook=ADD).expect(rc=2).output.split())
    assert f"{FOURTH} cannot be added while {THIRD} is not Ready" in refused and "Nothing was changed" in refused
    assert not site.nodes[FOURTH].shell("ls -d /etc/kubernetes", check=False)
    add(site, WORKER, "kube_node")
    result = site.run("--limit", WORKER, playbook=ADD).expect()
    assert {host for host, _task in result.changed} == {WORKER}, result.output
    assert site.unready_nodes() == [THIRD, FOURTH]
    site.run("--extra-vars", f"node={THIRD}", playbook="playbooks/remove_node.yml").expect()
    site.groups["kube_control_plane"].remove(THIRD)
    remove_nodes([THIRD])
    del site.nodes[THIRD]
    site.write_inventory()
    site.run(playbook=ADD).expect()
    assert site.etcd_members() == [*FIRST, FOURTH]
