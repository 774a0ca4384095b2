# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cache of facts that is full of yesterday's answers: none counts as seen, with modules that only note calls."""

from __future__ import annotations

import json
import typing as t
from pathlib import Path

import pytest
import yaml
from test_bad_inputs import machine, merged
from test_etcd_restore import Cluster
from test_remove_node import Site, judged

CONTROL_PLANE = {
    "installer": "kubeadm",
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


def seen(number: int, name: str, **kubernetes: t.Any) -> dict[str, t.Any]:
    """What node_facts answers: the machine is a node, unless ``kubernetes`` says otherwise."""
    known = {**CONTROL_PLANE, "control_plane": name.startswith("cp"), **kubernetes}
    return {
        "changed": False,
        "ansible_facts": {"slipway_node": merged(machine(number), {"kubernetes": known, "run": {}})},
    }


def yesterday(kept: Site, monkeypatch: pytest.MonkeyPatch, injected: str) -> Site:
    """All were nodes, and all control planes were ready: so says the cache."""
    cache = kept.folder / "cache"
    cache.mkdir(exist_ok=True)
    for number, name in enumerate(["cp1", "cp2", "cp3", "w1", "w2"], start=1):
        old = {**seen(number, name)["ansible_facts"], "slipway_preflight": {"failure": None}, "slipway_lock": True}
        facts = json.dumps({**old, "slipway_peers": {"failures": []}})
        # As ansible-core 2.18 names and writes them, and as those after it do.
        (cache / name).write_text(facts)
        (cache / f"s1_{name}").write_text(json.dumps({"__payload__": facts}))
        kept.answers[f"node_facts:{name}"] = seen(number, name)
    monkeypatch.setenv("ANSIBLE_CACHE_PLUGIN", "ansible.builtin.jsonfile")
    monkeypatch.setenv("ANSIBLE_CACHE_PLUGIN_CONNECTION", str(cache))
    monkeypatch.setenv("ANSIBLE_INJECT_FACT_VARS", injected)
    return kept


@pytest.fixture(params=["False", "True"])
def site(made: Site, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[Site]:
    with made.for_one_test() as kept:
        yield yesterday(kept, monkeypatch, request.param)


#: Where they would be variables.
injected = pytest.mark.parametrize("site", ["True"], indirect=True)


def hosts(site: Site, *modules: str) -> set[str]:
    return {host for host, _module, _name in site.calls(*modules)}


def test_a_control_plane_that_is_dead_is_not_asked(site: Site) -> None:
    site.dead = {"cp1"}
    site.answers["kubeadm_certs_info"] = {"changed": False, "table": [], "certificates": [], "expired": []}
    site.answers["cluster_verify"] = {"changed": False, "checks": [], "table": ["the table"]}
    site.play("verify")
    assert hosts(site, "cluster_verify") == {"cp2"}


def test_a_machine_that_is_dead_is_not_reset(site: Site) -> None:
    site.dead = {"cp1", "w1"}
    site.answers["kube_node_removal_info"] = judged(cordon=["w1"], drain=["w1"])
    output = site.remove("w1")
    log = [json.loads(line) for line in (site.folder / "log").read_text().splitlines()]
    [given] = [arguments for _host, module, arguments in log if module == "kube_node_removal_info"]
    assert given["reachable"] == {} and given["cluster"]["endpoint"] == "192.0.2.9:8443"
    assert hosts(site, "kube_drain") == {"cp2"}
    assert "Not reset, since not reached: w1." in output


def test_all_control_planes_are_left_out(site: Site) -> None:
    site.answers["node_facts:w1"] = seen(4, "w1", joined=False, completed=False, kubelet_version="")
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
        "nodes": [*nodes, {"name": "w1", "roles": [], "ready": True}],
    }
    asked = site.play("add_nodes", "--limit", "w1").partition("TASK [Ask it who is in the cluster]")[2]
    assert asked.splitlines()[1] == "ok: [w1 -> cp2]", asked


def test_a_node_that_runs_another_version_by_now(site: Site) -> None:
    site.answers["node_facts:w1"] = seen(4, "w1", kubelet_version="1.37.9")
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


@injected
def test_a_backup_is_taken_where_etcd_works_now(site: Site) -> None:
    site.dead = {"cp1"}
    site.answers["node_facts:cp3"] = seen(3, "cp3", control_plane=False, api_ready=False)
    site.answers["etcd_snapshot"] = {
        "changed": True,
        "archive": "/var/lib/etcd-kubernetes-20261129T120000Z.tar.gz",
        "sha256": 64 * "0",
        "snapshot": dict.fromkeys(("revision", "total_keys", "size", "hash"), 1),
    }
    given = json.dumps({"etcd_backup_fetch": False, "etcd_backup_timer": True})
    said = " ".join(site.play("etcd_backup", "-e", given, rc=2).split())
    assert "The timer of backups was not set up on cp1: it does not answer." in said
    assert "The timer of backups was not set up on cp3: it has no control plane." in said
    assert hosts(site, "etcd_snapshot") == {"cp2"}
    # cp3 is no control plane any more, and so has no etcd.
    assert hosts(site, "systemd_unit") == {"cp2"}


@injected
def test_a_reset_does_not_count_on_machines_that_are_dead(site: Site) -> None:
    site.dead = {"cp2", "w1"}
    site.play("reset", "-e", "reset_confirm=true", rc=4)
    assert hosts(site, "kubeadm_reset") == {"cp1", "cp3", "w2"}
    # cp2 may still trust the kubeconfig on the controller.
    assert site.calls("config_files") == []


@injected
def test_an_upgrade_with_a_control_plane_that_is_dead(site: Site) -> None:
    site.dead = {"cp1"}
    output = " ".join(site.play("upgrade", rc=2).split())
    assert "cp1: connection: the host is unreachable" in output and "nothing was changed." in output, output
    assert hosts(site, "kubeadm_upgrade_info") == {"cp2"}
    assert site.calls("kubeadm_upgrade", "etcd_snapshot", "kube_drain", "package_set") == []


@injected
def test_an_upgrade_that_was_killed_since(site: Site) -> None:
    """It is finished where it was begun, which is no place that was known yesterday."""
    killed = {"operation": "apply", "version": "1.37.1"}
    site.answers["node_facts:cp1"] = seen(1, "cp1", api_ready=False)
    site.answers["node_facts:cp3"] = seen(3, "cp3", upgrading=killed, api_ready=False)
    site.answers["kubeadm_upgrade_info"] = {"failed": True, "msg": "enough was seen"}
    site.play("upgrade", rc=2)
    log = [json.loads(line) for line in (site.folder / "log").read_text().splitlines()]
    recovered = {host for host, module, given in log if module == "kubeadm_upgrade" and given["operation"] == "recover"}
    assert recovered == {"cp3"} and hosts(site, "kubeadm_upgrade_info") == {"cp2"}


@injected
def test_the_endpoint_moves_on_those_that_are_nodes_now(site: Site) -> None:
    site.control_planes = ["cp1"]
    site.answers["node_facts:cp1"] = seen(1, "cp1", endpoint="192.0.2.1:6443", node_name="cp1")
    site.answers["node_facts:w1"] = seen(2, "w1", endpoint="192.0.2.1:6443", node_name="w1")
    bare = {"joined": False, "completed": False, "kubelet_version": "", "kubeadm_version": ""}
    site.answers["node_facts:w2"] = seen(3, "w2", **bare)
    site.answers["kubeadm_endpoint"] = {"changed": True, "restarted": []}
    given = {"api_endpoint_provider": "external", "preflight_connections": False, "preflight_sources": False}
    site.play("move_endpoint", "-e", json.dumps({**given, "kubeconfig_fetch": False}))
    assert hosts(site, "kubeadm_endpoint") == {"cp1", "w1"}


def test_a_restore_forgets_nodes_that_are_bare_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(tmp_path)
    yesterday(cluster, monkeypatch, "True")
    for name in ("cp1", "cp2", "cp3", "w1"):
        cluster.answers[f"node_facts:{name}"] = cluster.node()
    cluster.bare("cp2", "w2")
    cluster.restore()
    assert {host for host, step in cluster.steps() if step == "restored"} == {"cp1", "cp3"}
    (settled,) = cluster.arguments("settled")
    assert (settled["forget_nodes"], settled["nodes"]) == (["cp2", "w2"], ["cp1", "cp3", "w1"])
    cluster.dead = {"w1"}
    cluster.restore(rc=2)
    assert {step for _host, step in cluster.steps()} <= {"inspected"}
