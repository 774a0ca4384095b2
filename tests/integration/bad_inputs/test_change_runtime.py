# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""change_runtime.yml with modules that only note that they were called: what is refused, and in which order it goes."""

from __future__ import annotations

import json
import typing as t

import pytest
from test_change_cni import CONTAINERD, facts
from test_patch_nodes import NODES, said
from test_remove_node import Site

#: The inventory has CRI-O for one worker and one control plane.
INVENTORY = {
    "container_runtime_provider": "{{ 'crio' if inventory_hostname in ['w1', 'cp2'] else 'containerd' }}",
    "container_runtime_source": "{{ 'crio' if inventory_hostname in ['w1', 'cp2'] else 'distribution' }}",
}
CRIO = ("-e", json.dumps(INVENTORY))
YES = (*CRIO, "-e", "change_runtime_confirm=true")
PENDING = {
    "changed": True,
    "before": CONTAINERD,
    "runtime": "crio",
    "stopped": False,
    "lacking": [],
    "done": {"pods": ["kube-system/kube-proxy-x"], "kubelet": ["restarted"]},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("change_runtime"))


@pytest.fixture
def site(made: Site) -> t.Iterator[Site]:
    with made.for_one_test() as kept:
        kept.answers.update(
            {
                **facts({}),
                "source_probe": {"changed": False, "failures": []},
                "package_source": {"changed": False},
                "kubeadm_upgrade_info": {
                    "changed": False,
                    "cluster": {"nodes": [{"name": name, "problem": ""} for name in NODES]},
                },
                "kubeadm_images": {"changed": False, "images": [], "sandbox_image": "pause"},
                "package_set": {"changed": True, "versions": {"cri-o": "1.36.3"}},
                "config_files": {"changed": True, "paths": [], "changed_paths": []},
                "etcd_member_info": {"changed": False, "members": [{"name": "cp1", "healthy": True}]},
                "kube_wait": {"changed": False, "missing": [], "crowded": []},
                "node_runtime": PENDING,
                "kube_drain": {"changed": True, "cordoned": False},
            }
        )
        yield kept


def done(site: Site) -> list[str]:
    """What was done to the cluster and to its nodes, in its order."""
    log = [json.loads(line) for line in (site.folder / "log").read_text().splitlines()]
    names = ("node_runtime", "kube_drain", "package_set", "haproxy_drain")
    return [
        f"{host} {module} {arguments.get('name') or arguments.get('server', '')} {arguments.get('state', '')}"
        for host, module, arguments in log
        if module in names
    ]


def change(site: Site, name: str, *arguments: str, rc: int = 0) -> str:
    return site.play("change_runtime", "-e", f"node={name}", *arguments, rc=rc)


def test_the_order_of_a_worker(site: Site) -> None:
    output = change(site, "w1", *YES)
    # The first two are looks.
    assert [call.split(maxsplit=1)[1].replace("  ", " ").strip() for call in done(site)] == [
        *("node_runtime moved", "node_runtime moved", "kube_drain w1 drained", "package_set"),
        *("node_runtime moved", "node_runtime alone", "kube_drain w1 uncordoned"),
    ]
    assert "w1 has crio." in said(output)


def test_a_control_plane_is_taken_out_of_the_load_balancers(site: Site) -> None:
    change(site, "cp2", *YES)
    calls = [call.replace("  ", " ").strip() for call in done(site)]
    drained = [call for call in calls if "haproxy_drain cp2 drained" in call]
    ready = [call for call in calls if "haproxy_drain cp2 ready" in call]
    assert len(drained) == len(ready) == 3
    moved = max(place for place, call in enumerate(calls) if call == "cp2 node_runtime moved")
    assert calls.index(drained[-1]) < moved < calls.index(ready[0])
    log = [json.loads(line) for line in (site.folder / "log").read_text().splitlines()]
    pulled = [arguments for host, module, arguments in log if module == "kubeadm_images" and "cri_socket" in arguments]
    assert pulled[0]["cri_socket"] == "unix:///var/run/crio/crio.sock"


STOPPED = {**PENDING, "stopped": True, "done": {"kubelet": ["started"]}}
REFUSED: dict[str, tuple[str, dict[str, t.Any], tuple[str, ...], list[str]]] = {
    "no-node": ("", {}, YES, ["Say which node shall have the container runtime of the inventory, one at a time"]),
    "another-host": ("w9", {}, YES, ["w9 is no host of the groups kube_control_plane and kube_node."]),
    "two-nodes": ("w1,w2", {}, YES, ["w1,w2 is no host of the groups kube_control_plane and kube_node."]),
    "left-out": ("w1", {}, (*YES, "--limit", "kube_control_plane"), ["w1 is left out by --limit. Run without it."]),
    "no-yes": (
        "w1",
        {},
        CRIO,
        ["Nothing was changed: the name of the node was not typed. Where nobody can be asked, say -e"],
    ),
    "not-in-the-cluster": (
        "w1",
        {"kubeadm_upgrade_info": {"cluster": {"nodes": [{"name": n, "problem": ""} for n in NODES if n != "w1"]}}},
        YES,
        ["w1: node: is no node of the cluster, so it has no container runtime to change."],
    ),
    "two-sockets": (
        "w1",
        {},
        (*YES, "-e", f"cluster_cri_socket={CONTAINERD}"),
        [f"w1: cluster_cri_socket: is {CONTAINERD}, and container_runtime_provider is crio, which does not listen"],
    ),
    "cgroup-drivers": (
        "w1",
        {},
        (*YES, "-e", '{"container_runtime_config": {"crio": {"runtime": {"cgroup_manager": "cgroupfs"}}}}'),
        ["container_runtime_config: has cgroupfs as crio.runtime.cgroup_manager, and the kubelet"],
    ),
    # All of them in one report.
    "several": (
        "w1",
        {
            "node_runtime": {**PENDING, "lacking": ["crictl"]},
            "kubeadm_upgrade_info": {
                "cluster": {
                    "nodes": [{"name": name, "problem": "NotReady" if name == "w2" else ""} for name in NODES],
                    "etcd": {"members": [{"name": "cp3", "healthy": False}]},
                }
            },
        },
        YES,
        [
            "w1: crictl: is not installed, and pods are ended by it",
            "w2: node: is NotReady",
            "cp3: etcd: is a member that is not healthy",
        ],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str, site: Site) -> None:
    name, answers, arguments, messages = REFUSED[case]
    site.answers.update(answers)
    output = said(change(site, name, *arguments, rc=2))
    for message in messages:
        assert message in output, output
    assert [call for call in done(site) if "node_runtime" not in call] == []


def test_the_runtime_that_it_has(site: Site) -> None:
    """Nothing is asked, drained or installed, and it is no failure: a second run."""
    site.answers["node_runtime"] = {**PENDING, "changed": False, "done": {}}
    output = change(site, "w2")
    assert [call.split()[1:] for call in done(site) if "node_runtime" not in call] == [
        ["kube_drain", "w2", "uncordoned"]
    ]
    assert "w2 has crio: nothing had to be changed." in said(output)


def test_check_mode_asks_nobody_and_goes_through_all(site: Site) -> None:
    output = change(site, "w1", *CRIO, "--check")
    assert "failed=0" in output and "w1 has crio." in said(output)


def test_the_only_control_plane_that_was_left_on_its_way(site: Site) -> None:
    """Nobody answers, so nobody is asked to drain it again."""
    site.control_planes = ["cp2"]
    site.answers["node_runtime"] = STOPPED
    site.answers["kubeadm_upgrade_info"] = {"changed": False, "cluster": {"problem": "connection refused"}}
    change(site, "cp2", *YES)
    calls = [call for call in done(site) if "kube_drain" in call]
    assert calls == ["cp2 kube_drain cp2 uncordoned"]


def test_a_node_that_fails_names_the_way_on(site: Site) -> None:
    site.answers["kube_wait"] = {"failed": True, "msg": "node w1: NotReady"}
    output = said(change(site, "w1", *YES, rc=2))
    assert "w1 could not be given crio; what is wrong is said above, at" in output
    assert not [call for call in done(site) if "uncordoned" in call or "alone" in call]


def test_a_build_refuses_it_and_names_the_playbook(site: Site) -> None:
    output = said(site.play("site", *CRIO, rc=2))
    assert "w1: cluster_cri_socket: is unix:///var/run/crio/crio.sock in the inventory, and the kubelet" in output
    assert "playbooks/change_runtime.yml -e node=w1" in output
