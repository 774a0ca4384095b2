# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""change_cni.yml with modules that only note that they were called: what is refused, and in which order it goes."""

from __future__ import annotations

import json
import typing as t

import pytest
from test_bad_inputs import merged
from test_patch_nodes import NODES, node, said
from test_remove_node import Site

FLANNEL = {"network": "10.244.0.0/16", "ipv6_network": "", "backend": "vxlan", "release": "flannel"}
CALICO = {"network": "10.244.0.0/16", "encapsulation": "vxlan", "block_size": "26", "release": "calico"}
CONFIG = "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nnetworking:\n  podSubnet: 10.244.0.0/16\n"
CONTAINERD = "unix:///run/containerd/containerd.sock"
YES = ("-e", "change_cni_confirm=true", "-e", "cluster_cni=calico")


def facts(configuration: dict[str, t.Any], **changed: t.Any) -> dict[str, t.Any]:
    """What the looks at all machines answer; other states of a node by its name."""
    found = {}
    for place, name in enumerate(NODES):
        known = {"config_maps": {"kubeadm-config": CONFIG}, **configuration} if name.startswith("cp") else {}
        state = {
            "node_name": name,
            "endpoint": "192.0.2.9:8443",
            "endpoint_ready": True,
            "ca_cert_hashes": ["sha256:1"],
        }
        known["cri_socket"] = CONTAINERD
        machine = merged(node(11 + place, name, **state), {"hostname": name, "configuration": known})
        machine = merged(machine, changed.get(name, {}))
        found[f"node_facts:{name}"] = {"changed": False, "ansible_facts": {"slipway_node": machine}}
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("change_cni"))


@pytest.fixture
def site(made: Site) -> t.Iterator[Site]:
    with made.for_one_test() as kept:
        kept.answers.update(
            {
                **facts({"pod_networks": {"flannel": FLANNEL}}),
                "source_probe": {"changed": False, "failures": []},
                "package_source": {"changed": False},
                "kubeadm_upgrade_info": {
                    "changed": False,
                    "cluster": {"nodes": [{"name": name, "problem": ""} for name in NODES]},
                },
                "kube_wait": {"changed": False, "missing": [], "crowded": []},
                "node_pod_network": {"changed": True, "pods": ["shop/web"], "removed": {}},
                "kube_pod_network": {"changed": True, "done": []},
                "kube_drain": {"changed": True, "cordoned": False},
            }
        )
        yield kept


def done(site: Site) -> list[str]:
    """What was done to the cluster and to its nodes, in its order."""
    log = [json.loads(line) for line in (site.folder / "log").read_text().splitlines()]
    names = ("kube_pod_network", "node_pod_network", "kube_drain", "kube_apply", "helm_release")
    return [
        f"{host} {module} {arguments.get('name', '')} {arguments.get('state', '')}".replace("  ", " ").rstrip()
        for host, module, arguments in log
        if module in names and arguments.get("_ansible_check_mode") is not True
    ]


def test_the_order(site: Site) -> None:
    output = site.play("change_cni", *YES)
    calls = done(site)
    steps = [call for call in calls if "kube_pod_network" in call or "kube_apply" in call]
    assert steps == [
        "cp1 kube_pod_network begun",
        "cp1 kube_apply",
        "cp1 kube_pod_network begun",
        "cp1 kube_pod_network absent",
        "cp1 kube_pod_network ended",
    ]
    # Control planes first, one by one, then the workers; each is let go before the next one is drained.
    assert [call.split()[2:] for call in calls if "kube_drain" in call] == [
        [name, state] for name in NODES for state in ("drained", "uncordoned")
    ]
    absent = calls.index("cp1 kube_pod_network absent")
    assert max(calls.index(f"{name} node_pod_network handed_over") for name in NODES) < absent
    assert min(calls.index(f"{name} node_pod_network absent") for name in NODES) > absent
    assert calls[-1] == "cp1 kube_pod_network ended"
    assert "Calico is the pod network." in said(output)


REFUSED = {
    "not-confirmed": (
        {},
        ("-e", "cluster_cni=calico"),
        [
            "Nothing was changed: the name of the cluster was not typed. Where nobody can be asked, say -e"
            " change_cni_confirm=true"
        ],
    ),
    "to-none": (
        {},
        (*YES[:2], "-e", "cluster_cni=none"),
        ["cluster_cni: is none, and this playbook puts a pod network"],
    ),
    "no-network-of-ours": (
        facts({"pod_networks": {"flannel": {**FLANNEL, "release": ""}}}),
        YES,
        ["cluster_cni: is calico, and no pod network that this collection has installed is in the cluster."],
    ),
    # All of them in one report.
    "several": (
        {
            "kubeadm_upgrade_info": {
                "cluster": {"nodes": [{"name": name, "problem": "NotReady" if name == "w1" else ""} for name in NODES]}
            },
            "source_probe:w1": {
                "changed": False,
                "failures": [{"subject": "cni_calico_version", "message": "has no such image.", "severity": "error"}],
            },
        },
        (*YES, "-e", "cluster_pod_subnet=10.1.0.0/16", "--limit", "kube_control_plane,w1"),
        [
            "w1: node: is NotReady",
            "cluster: cluster_pod_subnet: is 10.1.0.0/16 in the inventory",
            "w2: node: is in the cluster, and not among",
            "w1: cni_calico_version: has no such image.",
        ],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case: str, site: Site) -> None:
    answers, arguments, messages = REFUSED[case]
    site.answers.update(answers)
    output = said(site.play("change_cni", *arguments, rc=2))
    for message in messages:
        assert message in output, output
    assert done(site) == []


def test_the_pod_network_that_it_has(site: Site) -> None:
    """Nothing is asked, drained or changed, and it is no failure: a second run."""
    output = site.play("change_cni", "-e", "cluster_cni=flannel")
    assert done(site) == []
    assert "Flannel is the pod network: nothing had to be changed." in said(output)


def test_check_mode_asks_nobody_and_goes_through_all(site: Site) -> None:
    output = site.play("change_cni", "-e", "cluster_cni=calico", "--check")
    assert "failed=0" in output and "Calico is the pod network." in said(output)


def test_one_that_was_killed_is_finished(site: Site) -> None:
    """When the old network was uninstalled already; what it has left on machines still has to go."""
    change = {"from": "flannel", "to": "calico", "since": "2026-12-01T04:00:00Z"}
    site.answers.update(facts({"pod_networks": {"calico": CALICO}, "pod_network_change": change}))
    site.play("change_cni", *YES)
    assert f"{NODES[-1]} node_pod_network absent" in done(site) and done(site)[-1] == "cp1 kube_pod_network ended"


def test_a_node_that_fails_stops_the_rest(site: Site) -> None:
    site.answers["node_pod_network:w1"] = {"failed": True, "msg": "These pods did not get into Calico's network"}
    output = said(site.play("change_cni", *YES, rc=2))
    assert "These pods did not get into Calico's network" in output
    calls = done(site)
    assert not [call for call in calls if "absent" in call or "ended" in call]
    assert not [call for call in calls if "kube_drain w2" in call]


def test_a_machine_that_is_not_clean_keeps_the_record(site: Site) -> None:
    """Modules answer by host, so the worker fails at its first step already when it is to fail at the last one."""
    site.answers["kube_pod_network"] = {"failed": True, "msg": "Pods of Flannel have not ended"}
    output = said(site.play("change_cni", *YES, rc=2))
    assert "Pods of Flannel have not ended" in output
    assert "cp1 kube_pod_network ended" not in done(site)
