# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""reconfigure.yml with modules that only note that they were called: who is changed when, and what is refused."""

from __future__ import annotations

import json
import typing as t

import pytest
from test_bad_inputs import machine, merged
from test_built_clusters import CONFIG_MAPS, CP1, WORKER1
from test_remove_node import Site

NODES = ("cp1", "cp2", "cp3", "w1", "w2")
MAX_PODS = json.dumps({"control_plane_kubelet_configuration": {"maxPods": 200}})


def facts(**changed: t.Any) -> dict[str, t.Any]:
    """What the looks at all machines answer; what else is so on a node by its name."""
    found = {}
    for place, name in enumerate(NODES, start=1):
        address = f"192.0.2.{place}"
        own = {
            "hostname": name,
            "kubernetes": {
                "installer": "kubeadm",
                "node_name": name,
                "upgrading": None,
                "unfinished": None,
                "endpoint": "192.0.2.9:8443",
                "static_pods": {},
            },
            "configuration": {"kubelet_arguments": {"node-ip": address}},
        }
        if name.startswith("cp"):
            own["configuration"]["static_pods"] = {"kube-apiserver": {"advertise-address": address}}
        node = merged(
            machine(place), merged(merged(CP1 if name.startswith("cp") else WORKER1, own), changed.get(name, {}))
        )
        found[f"node_facts:{name}"] = {"changed": False, "ansible_facts": {"slipway_node": node}}
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("reconfigure"))


@pytest.fixture
def site(made: Site) -> t.Iterator[Site]:
    with made.for_one_test() as kept:
        nodes = [{"name": name, "problem": "", "control_plane": name.startswith("cp")} for name in NODES]
        kept.answers.update(
            {
                **facts(),
                "kubeadm_upgrade_info": {"changed": False, "cluster": {"nodes": nodes}},
                "kubeadm_reconfigure": {"changed": False, "action": "none", "components": []},
                "kubeadm_upload_config": {"changed": True, "written": [], "proxies_pending": False},
                "kube_drain": {"changed": False},
                "kube_wait": {"changed": False, "missing": [], "crowded": []},
                "kube_csr_approve": {"changed": False},
            }
        )
        yield kept


def said(output: str) -> str:
    return " ".join(output.split())


def calls(site: Site, *modules: str) -> list[tuple[str, dict[str, t.Any]]]:
    log = [json.loads(line) for line in (site.folder / "log").read_text().splitlines()]
    return [(host, arguments) for host, module, arguments in log if module in modules]


def kubelets(site: Site) -> dict[str, str]:
    """What is done to the kubelet of each node."""
    return {
        host: arguments["kubelet"] for host, arguments in calls(site, "kubeadm_reconfigure") if "kubelet" in arguments
    }


def test_a_cluster_that_is_as_the_inventory_says(site: Site) -> None:
    site.play("reconfigure")
    assert kubelets(site) == dict.fromkeys(NODES, "leave")
    assert [arguments["documents"] for _host, arguments in calls(site, "kubeadm_upload_config")] == [[]]
    assert not calls(site, "etcd_snapshot", "kernel_modules")


def test_a_field_of_the_kubelets(site: Site) -> None:
    output = site.play("reconfigure", "-e", MAX_PODS)
    ((host, arguments),) = calls(site, "kubeadm_upload_config")
    (document,) = arguments["documents"]
    assert host == "cp1" and document["kind"] == "KubeletConfiguration" and "maxPods: 200\n" in document["text"]
    # Control planes first, one by one, then the workers; the cluster keeps it before any of them asks.
    assert list(kubelets(site).items()) == [(name, "write") for name in NODES]
    order = [module for _host, module, _name in site.calls("kubeadm_upload_config", "kubeadm_reconfigure")]
    # After all were asked whether something is to be made good, and control planes what they would write.
    assert order.index("kubeadm_upload_config") == len(NODES) + 3 and order.count("kubeadm_upload_config") == 1
    assert "[WARNING]" not in output or "maxPods" not in output.partition("[WARNING]")[2]
    assert not [arguments for _host, arguments in calls(site, "kube_drain") if arguments["state"] == "drained"]


def test_nodes_are_drained_for_another_policy_of_processors(site: Site) -> None:
    fields = {"control_plane_kubelet_configuration": {"cpuManagerPolicy": "static"}}
    site.play("reconfigure", "-e", json.dumps(fields))
    drains = [arguments["name"] for _host, arguments in calls(site, "kube_drain") if arguments["state"] == "drained"]
    assert drains == list(NODES)


def test_a_run_that_was_killed(site: Site) -> None:
    """The cluster and all nodes but one have it already."""
    maps = {**CONFIG_MAPS, "kubelet-config": f"{CONFIG_MAPS['kubelet-config']}maxPods: 200\n"}
    new = {"configuration": {"kubelet": maps["kubelet-config"], "config_maps": maps}}
    workers = {"w1": {"configuration": {"kubelet": maps["kubelet-config"]}}}
    site.answers.update(facts(cp1=new, cp2=new, cp3=new, **workers))
    site.play("reconfigure", "-e", MAX_PODS)
    assert kubelets(site) == {**dict.fromkeys(NODES, "leave"), "w2": "write"}
    assert [arguments["documents"] for _host, arguments in calls(site, "kubeadm_upload_config")] == [[]]


def test_what_a_killed_run_has_left_and_cannot_be_made_good(site: Site) -> None:
    site.answers["kubeadm_reconfigure:cp2"] = {"failed": True, "msg": "does not run with it, either"}
    assert "does not run with it, either" in said(site.play("reconfigure", "-e", MAX_PODS, rc=2))
    assert not calls(site, "kubeadm_upload_config")


def test_what_is_refused(site: Site) -> None:
    """Several problems are reported together, before anything is changed."""
    nodes = [{"name": "w2", "problem": "NotReady", "control_plane": False}]
    nodes += [{"name": name, "problem": "", "control_plane": True} for name in ("cp1", "cp2", "cp3", "cp4")]
    site.dead = {"w1"}
    site.answers.update(facts(cp3={"kubernetes": {"upgrading": {"version": "1.37.1"}}}))
    site.answers["kubeadm_upgrade_info"] = {"changed": False, "cluster": {"nodes": nodes}}
    given = ["-e", "cluster_dns_domain=other.example", "-e", "reconfigure_timeout=0", "-e", MAX_PODS]
    output = said(site.play("reconfigure", *given, rc=2))
    for message in (
        "w1: connection: the host is unreachable",
        "w2: node: is NotReady",
        "cp3: kubeadm upgrade: has begun here and has not come to its end. Finish it with upgrade.yml first.",
        "cp4: node: is a control plane of the cluster and not in this run",
        "cluster_dns_domain: is other.example in the inventory and cluster.local in the cluster, where it cannot be",
        "reconfigure_timeout: is 0, and has to be 1 at least.",
    ):
        assert message in output, output
    assert not calls(site, "kubeadm_upload_config", "kube_drain") and not kubelets(site)


def test_no_control_plane_to_ask(site: Site) -> None:
    output = said(site.play("reconfigure", "--limit", "w1", rc=2))
    assert "control planes: are left out of this run by --limit" in output, output
    assert not calls(site, "kubeadm_upload_config", "kube_drain") and not kubelets(site)
