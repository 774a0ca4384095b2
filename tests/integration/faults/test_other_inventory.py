# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A built cluster and an inventory that says something else: refused or reported, and nothing is changed."""

from __future__ import annotations

import json
import pathlib
import re
import typing as t

import pytest
import yaml
from lab_support import ROOT, Result, Site

CONTROL_PLANE, WORKER = "oth1", "oth2"
#: An address that the control plane gets beside its own; nobody is asked there.
ANOTHER = "198.51.100.7"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """A cluster of two machines."""
    folder: pathlib.Path = tmp_path_factory.mktemp("other")
    variables = {"metallb_address_pools": [], "metrics_server_enabled": False}
    made = Site(folder, [CONTROL_PLANE], [WORKER], systems={WORKER: "debian13"}, variables=variables)
    made.run().expect()
    yield made
    made.close()


def said(result: Result) -> str:
    """What a run printed, as one line: warnings are wrapped."""
    return re.sub(r"\s+", " ", result.output)


def variables(**values: t.Any) -> tuple[str, str]:
    """Arguments that set variables."""
    return "--extra-vars", json.dumps(values)


def state(site: Site) -> list[str]:
    """What must not change: configuration in the cluster, processes of the control plane and of the runtime."""
    maps = site.control_plane.kubectl(
        "get", "configmaps", "--all-namespaces", "--output=jsonpath={range .items[*]}{.metadata.uid} {.data}{end}"
    )
    script = "hostname; pgrep -x containerd; pgrep -x kubelet; cat /etc/containerd/config.toml /var/lib/kubelet/*.yaml"
    return [maps, *(node.shell(script) for node in site.nodes.values())]


def test_a_cluster_that_was_just_built_has_no_difference(site: Site) -> None:
    result = site.run("--check").expect(changed=[])
    assert "in the inventory" not in said(result) and "Not as the inventory says" not in said(result)


FIXED = {
    "cluster_pod_subnet": "10.200.0.0/16",
    "cluster_service_subnet": "10.97.0.0/16",
    "cluster_dns_domain": "example.org",
    "cluster_name": "another",
    "cni_flannel_backend": "host-gw",
    "container_runtime_version": "9.*",
    "cluster_cri_socket": "unix:///run/crio/crio.sock",
    "control_plane_cluster_configuration": {"etcd": {"local": {"dataDir": "/srv/etcd"}}},
}


@pytest.mark.parametrize(
    ("playbook", "arguments"),
    [
        ("site.yml", []),
        ("site.yml", ["--check"]),
        ("site.yml", ["--tags=cni", f"--limit={CONTROL_PLANE}"]),
        ("playbooks/upgrade.yml", []),
        ("playbooks/move_endpoint.yml", ["--extra-vars=cluster_endpoint=api.example.org"]),
    ],
)
def test_what_cannot_be_changed_is_refused(site: Site, playbook: str, arguments: list[str]) -> None:
    before = state(site)
    result = site.run(*variables(**FIXED), *arguments, playbook=playbook).expect(rc=2, changed=[])
    text = said(result)
    assert "nothing was changed" in text
    # Neither has to do with the runtime's version: one leaves it, the other is the way to change it.
    kept = {"playbooks/upgrade.yml", "playbooks/move_endpoint.yml"}
    for name in FIXED:
        assert (f": {name}: " in text) == (name != "container_runtime_version" or playbook not in kept), (name, text)
    assert "is 10.200.0.0/16 in the inventory and 10.244.0.0/16 in the cluster" in text
    assert "is host-gw in the inventory and vxlan in the cluster (Flannel's backend)" in text
    assert state(site) == before


def test_another_name_and_another_address_of_nodes_are_refused(site: Site) -> None:
    """The worker is called otherwise; the control plane shall announce an address that it has, but did not have."""
    before = state(site)
    site.control_plane.shell(f"ip address add {ANOTHER}/24 dev eth0")
    path = site.inventory / "hosts.yml"
    kept = path.read_text()
    inventory = json.loads(kept)
    groups = inventory["all"]["children"]
    groups["kube_node"]["hosts"] = {"renamed": groups["kube_node"]["hosts"][WORKER]}
    groups["kube_control_plane"]["hosts"][CONTROL_PLANE]["cluster_node_ip"] = ANOTHER
    path.write_text(json.dumps(inventory))
    try:
        text = said(site.run().expect(rc=2, changed=[]))
    finally:
        path.write_text(kept)
        site.control_plane.shell(f"ip address del {ANOTHER}/24 dev eth0")
    assert f"renamed: inventory_hostname: is renamed, but the machine is the node {WORKER} of its cluster" in text
    own = site.control_plane.address
    places = "the kubelet's --node-ip and the API server's --advertise-address"
    assert f"the host's address is {ANOTHER}, but it was made a node with {own} ({places})" in text
    assert f"Set cluster_node_ip to {own} for this host" in text
    assert state(site) == before


#: What the lab's machines need of a kubelet.
KUBELET_OF_THE_LAB = yaml.safe_load(
    (ROOT / "inventory" / "group_vars" / "all" / "containers_as_machines.yml").read_text(encoding="utf-8")
)["control_plane_kubelet_configuration"]
REPORTED = {
    "cluster_kube_proxy_mode": "iptables",
    "control_plane_cluster_configuration": {
        "imageRepository": "registry.example/k8s",
        "apiServer": {"extraArgs": [{"name": "profiling", "value": "false"}]},
    },
    "node_join_configuration": {"nodeRegistration": {"kubeletExtraArgs": [{"name": "v", "value": "3"}]}},
}


@pytest.mark.parametrize("arguments", [["--check"], []])
def test_what_is_only_looked_at_by_a_build_is_reported(site: Site, arguments: list[str]) -> None:
    before = state(site)
    # Beside what the lab's machines need.
    kubelet = {**KUBELET_OF_THE_LAB, "maxPods": 50, "syncFrequency": "2m"}
    result = site.run(*variables(**REPORTED, control_plane_kubelet_configuration=kubelet), *arguments)
    text = said(result.expect(changed=[]))
    for expected in (
        "KubeletConfiguration.maxPods: is not set in the cluster and 50 in the inventory",
        "KubeletConfiguration.syncFrequency: is 0s in the cluster and 2m in the inventory",
        "KubeProxyConfiguration.mode: is nftables in the cluster and iptables in the inventory",
        "ClusterConfiguration.imageRepository: is registry.k8s.io in the cluster and registry.example/k8s in the",
        "ClusterConfiguration.apiServer.extraArgs.profiling: is not set in the cluster and false in the inventory",
        f"{WORKER}: nodeRegistration.kubeletExtraArgs.v: is not set in",
        "Not as the inventory says, and left as it is (see the warnings above and docs/differences.md):"
        " ClusterConfiguration.apiServer.extraArgs.profiling, ClusterConfiguration.imageRepository,"
        " KubeletConfiguration.maxPods, KubeletConfiguration.syncFrequency, KubeProxyConfiguration.mode,"
        " nodeRegistration.kubeletExtraArgs.v",
    ):
        assert expected in text, (expected, text)
    assert state(site) == before


def test_nothing_is_left_of_it(site: Site) -> None:
    result = site.run().expect(changed=[])
    assert "in the inventory" not in said(result)
    assert site.unready_nodes() == []
