# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A built cluster gets another configuration: wrong values come back, runs are killed, the last one finishes.

All tests share one cluster and come in the order of this file.
"""

from __future__ import annotations

import typing as t

import pytest
import yaml
from interruptions import ANSIBLE, MACHINE, RESTART, Point
from lab_support import ROOT, Result, Site

CONTROL_PLANE, WORKER, OTHER = "reconf1", "reconf2", "reconf3"
PLAYBOOK = "playbooks/reconfigure.yml"
CHANGE, NODE = "Change what the cluster keeps", "Let the node run with the configuration of the inventory"
MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
#: What the lab's machines need of a kubelet.
KUBELET = yaml.safe_load((ROOT / "inventory/group_vars/all/containers_as_machines.yml").read_text(encoding="utf-8"))[
    "control_plane_kubelet_configuration"
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """A cluster as the inventory says."""
    made = Site(
        tmp_path_factory.mktemp("reconfigure"),
        [CONTROL_PLANE],
        [WORKER, OTHER],
        systems={WORKER: "debian13"},
        variables={"metallb_enabled": False, "metrics_server_enabled": False},
    )
    try:
        made.run().expect()
        yield made
    finally:
        made.close()


def reconfigure(site: Site, *arguments: str) -> Result:
    return site.run(*arguments, playbook=PLAYBOOK)


def verbosity(site: Site, level: str) -> None:
    """Let the inventory give the API server a harmless argument."""
    argument = {"name": "v", "value": level}
    site.configure({"control_plane_cluster_configuration": {"apiServer": {"extraArgs": [argument]}}})


def expect_settled(site: Site) -> None:
    """All is as the inventory says, and nobody has anything to do."""
    reconfigure(site).expect(changed=[])
    result = site.run().expect(changed=[])
    assert "[WARNING]" not in result.output, result.output
    assert site.unready_nodes() == []


def max_pods(site: Site) -> set[str]:
    words = ("get", "nodes", "--output=jsonpath={.items[*].status.capacity.pods}")
    return set(site.control_plane.kubectl(*words).split())


def test_nothing_to_do(site: Site) -> None:
    for arguments in ([], ["--check"]):
        reconfigure(site, *arguments).expect(changed=[])


def test_every_document(site: Site) -> None:
    verbosity(site, "2")
    site.configure(
        {
            "control_plane_kubelet_configuration": {**KUBELET, "maxPods": 150},
            "cluster_kube_proxy_mode": "iptables",
        }
    )
    before = site.identity()
    told = site.run().expect(changed=[])
    assert "Apply it by playbooks/reconfigure.yml" in " ".join(told.output.split())
    looked = reconfigure(site, "--check", "--diff").expect()
    for text in ("+    - --v=2", "-mode: nftables", "+mode: iptables", "+maxPods: 150"):
        assert text in looked.output, looked.output
    assert max_pods(site) == {"110"}
    done = reconfigure(site).expect()
    # Check mode has told all of it; an archive that is not there was not fetched.
    assert done.changed - looked.changed <= {(CONTROL_PLANE, "Fetch it")}
    assert looked.changed <= done.changed
    assert max_pods(site) == {"150"} and "--v=2" in site.control_plane.shell(f"cat {MANIFEST}")
    for node in site.nodes.values():
        assert node.shell("iptables-save | grep -c -- '-A KUBE-SERVICES'").strip() != "0"
    assert site.identity() == before
    expect_settled(site)
    site.run(playbook="playbooks/verify.yml").expect()


def test_an_argument_that_the_api_server_does_not_know(site: Site) -> None:
    argument = {"name": "no-such-flag", "value": "1"}
    site.configure({"control_plane_cluster_configuration": {"apiServer": {"extraArgs": [argument]}}})
    result = reconfigure(site).expect(rc=2)
    said = " ".join(result.output.split())
    assert "has its former manifest again, with which it is Ready" in said
    assert "unknown flag: --no-such-flag" in said
    assert "--v=2" in site.control_plane.shell(f"cat {MANIFEST}")
    # The nodes after it were left alone.
    assert not {host for host, _task in result.changed} & {WORKER, OTHER}
    verbosity(site, "2")
    reconfigure(site).expect()
    expect_settled(site)


def test_a_value_that_kubelets_do_not_take(site: Site) -> None:
    site.configure({"control_plane_kubelet_configuration": {**KUBELET, "maxPods": -3}})
    result = reconfigure(site).expect(rc=2)
    assert "has the former one again" in " ".join(result.output.split()), result.output
    assert site.unready_nodes() == [] and max_pods(site) == {"150"}
    site.configure({"control_plane_kubelet_configuration": {**KUBELET, "maxPods": 150}})
    reconfigure(site).expect()
    expect_settled(site)


def test_a_policy_of_processors_drains_nodes(site: Site) -> None:
    reserved = {"systemReserved": {"cpu": "100m"}}
    site.configure({"control_plane_kubelet_configuration": {**KUBELET, **reserved, "cpuManagerPolicy": "static"}})
    result = reconfigure(site).expect()
    assert {host for host, task in result.changed if task == "Drain the node"} == set(site.nodes)
    for node in site.nodes.values():
        assert '"policyName":"static"' in node.shell("cat /var/lib/kubelet/cpu_manager_state")
    assert "SchedulingDisabled" not in site.control_plane.kubectl("get", "nodes")
    expect_settled(site)


@pytest.mark.parametrize(
    ("level", "point"),
    [
        ("3", Point("the cluster keeps it, and no node", CHANGE, ANSIBLE)),
        ("4", Point("the API server's manifest is exchanged", NODE, MACHINE, f"grep -q -- --v=4 {MANIFEST}")),
        ("5", Point("the machine loses its power then", NODE, RESTART, f"grep -q -- --v=5 {MANIFEST}")),
    ],
)
def test_killed(site: Site, level: str, point: Point) -> None:
    before = site.identity()
    verbosity(site, level)
    point.strike(site, site.start(playbook=PLAYBOOK))
    reconfigure(site).expect()
    assert f"--v={level}" in site.control_plane.shell(f"cat {MANIFEST}")
    assert site.identity() == before
    expect_settled(site)


def test_killed_with_an_argument_that_does_not_work(site: Site) -> None:
    """Nobody has put the former manifest back: the next run does so before it asks the API server anything."""
    argument = {"name": "no-such-flag", "value": "1"}
    site.configure({"control_plane_cluster_configuration": {"apiServer": {"extraArgs": [argument]}}})
    point = Point("a manifest that does not work", NODE, MACHINE, f"grep -q no-such-flag {MANIFEST}")
    point.strike(site, site.start(playbook=PLAYBOOK))
    verbosity(site, "2")
    reconfigure(site).expect()
    assert "--v=2" in site.control_plane.shell(f"cat {MANIFEST}")
    expect_settled(site)
