# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cache of facts that is full of yesterday's answers: none counts as seen, with modules that only note calls."""

from __future__ import annotations

import json
import typing as t

import pytest
import yaml
from test_bad_inputs import machine, merged
from test_remove_node import Site, judged

CONTROL_PLANE = {
    "joined": True,
    "control_plane": True,
    "completed": True,
    "unfinished": None,
    "api_ready": True,
    "kubelet_version": "1.37.1",
    "kubeadm_version": "1.37.1",
    "static_pods": {"kube-apiserver": "1.37.1", "etcd": "3.7.0-0"},
    "apiserver_names": [],
    "endpoint_ready": True,
    "upgrading": None,
    "endpoint": "192.0.2.9:8443",
    "node_name": "",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("facts"))


@pytest.fixture(params=["False", "True"])
def site(made: Site, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Site]:
    """Yesterday all were nodes, and all control planes were ready."""
    cache = made.folder / "cache"
    cache.mkdir(exist_ok=True)
    with made.for_one_test() as kept:
        for number, name in enumerate(["cp1", "cp2", "cp3", "w1", "w2"], start=1):
            kubernetes = {**CONTROL_PLANE, "control_plane": name.startswith("cp")}
            node = merged(machine(number), {"kubernetes": kubernetes, "run": {}})
            old = {"slipway_node": node, "slipway_preflight": {"failure": None}, "slipway_lock": True}
            facts = json.dumps({**old, "slipway_peers": {"failures": []}})
            # As ansible-core 2.18 names and writes them, and as those after it do.
            (cache / name).write_text(facts)
            (cache / f"s1_{name}").write_text(json.dumps({"__payload__": facts}))
            kept.answers[f"node_facts:{name}"] = {"changed": False, "ansible_facts": {"slipway_node": node}}
        monkeypatch.setenv("ANSIBLE_CACHE_PLUGIN", "ansible.builtin.jsonfile")
        monkeypatch.setenv("ANSIBLE_CACHE_PLUGIN_CONNECTION", str(cache))
        monkeypatch.setenv("ANSIBLE_INJECT_FACT_VARS", request.param)
        yield kept


def test_a_control_plane_that_is_dead_is_not_asked(site: Site) -> None:
    site.dead = {"cp1"}
    site.answers["kubeadm_certs_info"] = {"changed": False, "table": [], "certificates": [], "expired": []}
    site.answers["cluster_verify"] = {"changed": False, "checks": [], "table": ["the table"]}
    site.play("verify")
    assert {host for host, _module, _name in site.calls("cluster_verify")} == {"cp2"}


def test_a_machine_that_is_dead_is_not_reset(site: Site) -> None:
    site.dead = {"cp1", "w1"}
    site.answers["kube_node_removal_info"] = judged(cordon=["w1"], drain=["w1"])
    output = site.remove("w1")
    log = [json.loads(line) for line in (site.folder / "log").read_text().splitlines()]
    [given] = [arguments for _host, module, arguments in log if module == "kube_node_removal_info"]
    assert given["reachable"] == {} and given["cluster"]["endpoint"] == "192.0.2.9:8443"
    assert {host for host, _module, _name in site.calls("kube_drain")} == {"cp2"}
    assert "Not reset, since not reached: w1." in output


def test_all_control_planes_are_left_out(site: Site) -> None:
    bare = {"joined": False, "completed": False, "control_plane": False, "kubelet_version": ""}
    node = merged(machine(4), {"kubernetes": {**CONTROL_PLANE, **bare}, "run": {}})
    site.answers["node_facts:w1"] = {"changed": False, "ansible_facts": {"slipway_node": node}}
    output = " ".join(site.play("site", "--limit", "w1", rc=2).split())
    assert "leaves out all control planes (cp1, cp2, cp3), and the host needs one to join the cluster." in output, (
        output
    )
    assert site.calls("package_set", "kubeadm_join", "config_files") == []


def test_a_new_node_with_a_control_plane_that_is_dead(site: Site) -> None:
    """The look of add_nodes is delegated: it counts for the control plane that it is about."""
    site.dead = {"cp1"}
    site.control_planes = ["cp1", "cp2"]
    # Modules here know the host that delegates.
    site.answers["node_facts:w1"] = site.answers["node_facts:cp2"]
    nodes = [{"name": name, "roles": ["control-plane"], "ready": True} for name in ("cp1", "cp2")]
    site.answers["kube_nodes_info"] = {
        "changed": False,
        "table": ["the table"],
        "nodes": [*nodes, {"name": "w1", "roles": []}],
    }
    asked = site.play("add_nodes", "--limit", "w1").partition("TASK [Ask it who is in the cluster]")[2]
    assert asked.splitlines()[1] == "ok: [w1 -> cp2]", asked


def test_a_node_that_runs_another_version_by_now(site: Site) -> None:
    newer = merged(machine(4), {"kubernetes": {**CONTROL_PLANE, "kubelet_version": "1.37.9"}})
    site.answers["node_facts:w1"] = {"changed": False, "ansible_facts": {"slipway_node": newer}}
    play = {"hosts": "w1", "gather_facts": False, "roles": ["slipway.kubernetes.kube_packages"]}
    playbook = site.folder / "collections/ansible_collections/slipway/kubernetes/playbooks/packages_alone.yml"
    playbook.write_text(yaml.safe_dump([play]))
    assert "is a node of a cluster and has kubelet 1.37.9" in " ".join(site.play("packages_alone", rc=2).split())
    assert site.calls("package_set", "package_source") == []


def test_a_callback_has_all_of_the_output(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANSIBLE_STDOUT_CALLBACK", "ansible.posix.json")
    table = ["CERTIFICATE  DAYS LEFT", "apiserver    364"]
    site.answers["kubeadm_certs_info"] = {"changed": False, "table": table, "certificates": [], "expired": []}
    site.answers["cluster_verify"] = {"changed": False, "checks": [], "table": ["the table"]}
    told = json.loads(site.play("verify"))
    shown = [host for play in told["plays"] for task in play["tasks"] for host in task["hosts"].values()]
    assert table in [result.get("msg") for result in shown]
