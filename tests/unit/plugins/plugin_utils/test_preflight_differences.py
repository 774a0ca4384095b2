# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A built cluster against the inventory.

fixtures/configuration has by version what node_facts said of a control plane that kubeadm's phases had made on one
of the lab's machines (without a kubelet, so the taint is added), and the same for a worker.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._configuration_differences import compare
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._kubeadm_config import kubeadm_init_config
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import differences as checks
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import nodes
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.documents import kubelet_rules, proxy_rules
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host

FIXTURES = Path(__file__).parents[1] / "fixtures" / "configuration"
RECORDED = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FIXTURES.glob("*.json"))}
NEWEST = RECORDED["1.37.1"]
SOCKET = "unix:///run/containerd/containerd.sock"
#: What the lab's inventory says of kubelets and kube-proxy.
KUBELET = {
    "failCgroupV1": False,
    "failSwapOn": False,
    "evictionHard": {"imagefs.available": "0%", "nodefs.available": "0%"},
    "imageGCHighThresholdPercent": 100,
    "imageGCLowThresholdPercent": 99,
}
VARIABLES: t.Dict[str, t.Any] = {
    "cluster_cri_socket": SOCKET,
    "cluster_image_repository": "registry.k8s.io",
    "cluster_kube_proxy_mode": "nftables",
    "cluster_node_ip": "",
    "cluster_pod_subnet": "10.244.0.0/16",
    "cluster_service_subnet": "10.96.0.0/12",
    "cluster_dns_domain": "cluster.local",
    "cni_provider": "flannel",
    "cni_flannel_backend": "vxlan",
    "container_runtime_source": "distribution",
    "container_runtime_version": "",
    "__container_runtime_package": "containerd",
    "control_plane_kubelet_configuration": KUBELET,
    "control_plane_kube_proxy_configuration": {"conntrack": {"maxPerCore": 0}},
}
OVERRIDES = {"cluster": "cluster", "kubelet": "kubelet", "kube_proxy": "kube_proxy", "init": "init"}


def host(name: str, recorded: t.Mapping[str, t.Any], control_plane: bool, **given: t.Any) -> Host:
    """A host whose variables are those that the cluster was built with, but for ``given``."""
    variables = {**VARIABLES, "cluster_name": recorded["cluster_name"], **given}
    facts = copy.deepcopy(recorded["control_plane" if control_plane else "worker"])
    address = facts["default_address"]
    settings = {
        "name": name,
        "cluster_name": variables["cluster_name"],
        "version": "1.37.1",
        "endpoint": variables.get("cluster_endpoint", ""),
        "pod_subnet": variables["cluster_pod_subnet"],
        "service_subnet": variables["cluster_service_subnet"],
        "dns_domain": variables["cluster_dns_domain"],
        "image_repository": variables["cluster_image_repository"],
        "cri_socket": variables["cluster_cri_socket"],
        "kube_proxy_mode": variables["cluster_kube_proxy_mode"],
        "node_ip": variables["cluster_node_ip"] or address,
        "cert_sans": variables.get("control_plane_cert_sans", []),
    }
    overrides = {kind: variables.get(f"control_plane_{kind}_configuration", {}) for kind in OVERRIDES}
    variables["__control_plane_documents"] = kubeadm_init_config(settings, overrides)
    return Host(name, control_plane, not control_plane, variables, facts=facts)


def cluster(recorded: t.Mapping[str, t.Any] = NEWEST, **given: t.Any) -> t.List[Host]:
    """The control plane and the worker."""
    names = (recorded["control_plane"]["kubernetes"]["node_name"], recorded["worker"]["kubernetes"]["node_name"])
    return [host(names[0], recorded, True, **given), host(names[1], recorded, False, **given)]


def said(hosts: t.Sequence[Host]) -> t.List[str]:
    problems = [
        problem
        for check in (*checks.CHECKS, *nodes.CHECKS, *checks.REPORTS, *nodes.REPORTS)
        for problem in check(hosts)
    ]
    return [f"{p.severity} {p.host or 'cluster'}: {p.subject}: {p.message}" for p in problems]


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_a_cluster_that_is_as_the_inventory_says(name: str) -> None:
    assert said(cluster(RECORDED[name])) == []


@pytest.mark.parametrize(
    "given",
    [
        # Other forms of the same.
        {"cluster_pod_subnet": " 10.244.0.0/16"},
        {"control_plane_kubelet_configuration": {**KUBELET, "syncFrequency": "0s", "maxPods": 110}},
        {"control_plane_kubelet_configuration": {**KUBELET, "imageGCHighThresholdPercent": "100"}},
        {"control_plane_kubelet_configuration": {**KUBELET, "clusterDNS": ["10.96.0.10"]}},
        {"control_plane_kubelet_configuration": {**KUBELET, "rotateCertificates": False}},
        {"control_plane_kube_proxy_configuration": {"conntrack": {"maxPerCore": "0"}, "bindAddress": "0.0.0.0"}},
        {"control_plane_cluster_configuration": {"certificateValidityPeriod": "8760h", "apiServer": {"extraArgs": []}}},
        # What site.yml keeps itself, and what other playbooks change.
        {"control_plane_cert_sans": ["api.example.org"]},
        {"cluster_endpoint": "api.example.org:6443"},
        # The same place under its old name.
        {"cluster_cri_socket": "/var/run/containerd/containerd.sock"},
        {"container_runtime_source": "docker", "__container_runtime_package": ""},
    ],
)
def test_no_difference(given: t.Dict[str, t.Any]) -> None:
    assert said(cluster(**given)) == []


METRICS = {"metrics_server_enabled": True, "metrics_server_kubelet_insecure_tls": False, "metrics_server_values": {}}


def test_a_metrics_server_that_would_never_be_ready() -> None:
    assert said(cluster(**METRICS)) == []
    hosts = cluster(**METRICS)
    for host in hosts:
        # One that can be verified is enough.
        assert list(checks.check_metrics(hosts)) == []
        known = host.facts["configuration"]  # type: ignore[index]
        known["kubelet"] = known["kubelet"].replace("serverTLSBootstrap: true\n", "")
    (problem,) = checks.check_metrics(hosts)
    assert problem.severity == "error"
    assert f"the kubelets of {hosts[0].name}, {hosts[1].name} make their" in problem.message
    known["kubelet_arguments"] = {"rotate-server-certificates": "true"}
    assert list(checks.check_metrics(hosts)) == []
    # The argument goes over the file.
    known["kubelet_arguments"] = {"rotate-server-certificates": "false"}
    known["kubelet"] += "serverTLSBootstrap: true\n"
    assert len(list(checks.check_metrics(hosts))) == 1
    known["kubelet"] = known["kubelet"].replace("serverTLSBootstrap: true\n", "")
    del known["kubelet_arguments"]
    for values in (
        {"metrics_server_values": {"args": ["--kubelet-insecure-tls=true"]}},
        {"metrics_server_values": {"args": None, "defaultArgs": ["--kubelet-insecure-tls"]}},
        {"metrics_server_enabled": False},
    ):
        hosts[0].variables.update({**METRICS, **values})  # type: ignore[attr-defined]
        assert list(checks.check_metrics(hosts)) == []


def test_a_new_cluster_whose_kubelets_shall_make_their_certificates_themselves() -> None:
    settings = {"control_plane_kubelet_configuration": {**KUBELET, "serverTLSBootstrap": False}, **METRICS}
    hosts = [dataclasses.replace(machine, facts={}) for machine in cluster(**settings)]
    (problem,) = checks.check_metrics(hosts)
    assert "but the kubelets make their serving certificates themselves" in problem.message


def test_a_flannel_that_somebody_else_has_installed() -> None:
    hosts = cluster()
    hosts[0].facts["configuration"]["pod_networks"]["flannel"]["release"] = ""  # type: ignore[index]
    (problem,) = checks.check_fixed(hosts)
    assert problem.subject == "cluster_cni" and "cluster_cni: none" in problem.remedy
    hosts[0].variables["cni_provider"] = "none"  # type: ignore[index]
    assert said(hosts) == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"cluster_pod_subnet": "10.200.0.0/16"}, "cluster_pod_subnet: is 10.200.0.0/16 in the inventory and 10.244.0"),
        ({"cluster_service_subnet": "10.97.0.0/16"}, "cluster_service_subnet: is 10.97.0.0/16 in the inventory and 10"),
        ({"cluster_dns_domain": "example.org"}, "cluster_dns_domain: is example.org in the inventory and cluster.loc"),
        ({"cluster_name": "other"}, "cluster_name: is other in the inventory and"),
        ({"cni_flannel_backend": "host-gw"}, "cni_flannel_backend: is host-gw in the inventory and vxlan in the clus"),
        ({"cni_flannel_values": {"flannel": {"backend": "udp"}}}, "cni_flannel_values: is udp in the inventory and v"),
        ({"cni_flannel_values": {"podCidr": "10.1.0.0/16"}}, "cni_flannel_values: is 10.1.0.0/16 in the inventory"),
        (
            {"control_plane_cluster_configuration": {"etcd": {"local": {"dataDir": "/srv"}}}},
            "control_plane_cluster_configuration: is /srv in the inventory and /var/lib/etcd in the cluster",
        ),
        (
            {"control_plane_init_configuration": {"localAPIEndpoint": {"bindPort": 7443}}},
            "control_plane_init_configuration: localAPIEndpoint.bindPort is 7443 in the inventory",
        ),
    ],
)
def test_what_cannot_be_changed(given: t.Dict[str, t.Any], expected: str) -> None:
    errors = [line for line in said(cluster(**given)) if line.startswith("error ")]
    if "control_plane_init_configuration" in given:
        given["node_join_configuration"] = {"controlPlane": {"localAPIEndpoint": {"bindPort": 7443}}}
        errors = [line for line in said(cluster(**given)) if line.startswith("error ")]
    assert len(errors) == 1, errors
    assert expected in errors[0]


def test_what_cannot_be_changed_where_no_api_server_answers() -> None:
    """Each control plane, and a worker for its domain, are asked what they were made with."""
    hosts = cluster(cluster_service_subnet="10.97.0.0/16", cluster_pod_subnet="10.200.0.0/16", cluster_name="other")
    for name in ("config_maps", "pod_networks"):
        hosts[0].facts["configuration"].pop(name)  # type: ignore[index]
    subjects = [line.split(": ")[1] for line in said(hosts) if line.startswith("error ")]
    assert subjects == ["cluster_name", "cluster_pod_subnet", "cluster_service_subnet"]
    worker = cluster(cluster_dns_domain="example.org")[1]
    assert [line.split(": ")[1] for line in said([worker])] == ["cluster_dns_domain"]


def test_a_cluster_whose_pod_network_keeps_its_addresses_elsewhere() -> None:
    hosts = cluster(cni_provider="none")
    maps = hosts[0].facts["configuration"]["config_maps"]  # type: ignore[index]
    maps["kubeadm-config"] = maps["kubeadm-config"].replace("  podSubnet: 10.244.0.0/16\n", "")
    del hosts[0].facts["configuration"]["pod_networks"]  # type: ignore[index]
    maps["kube-proxy"] = maps["kube-proxy"].replace("clusterCIDR: 10.244.0.0/16", 'clusterCIDR: ""')
    lines = said(hosts)
    assert [line.split(" is ")[0] for line in lines] == ["warning cluster: ClusterConfiguration.networking.podSubnet:"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"control_plane_kubelet_configuration": {**KUBELET, "maxPods": 50}},
            ["KubeletConfiguration.maxPods: is not set in the cluster and 50 in the inventory (control_plane_kube"],
        ),
        (
            {"control_plane_kubelet_configuration": {**KUBELET, "failSwapOn": True}},
            ["KubeletConfiguration.failSwapOn: is false in the cluster and true in the inventory"],
        ),
        (
            {"control_plane_kubelet_configuration": {"failCgroupV1": False, "failSwapOn": False}},
            [
                "KubeletConfiguration.evictionHard.imagefs.available: is 0% in the cluster and not set in the",
                "KubeletConfiguration.evictionHard.nodefs.available",
                "KubeletConfiguration.imageGCHighThresholdPercent: is 100 in the cluster and not set",
                "KubeletConfiguration.imageGCLowThresholdPercent",
            ],
        ),
        ({"cluster_kube_proxy_mode": "iptables"}, ["KubeProxyConfiguration.mode: is nftables in the cluster and ipta"]),
        (
            {"control_plane_kube_proxy_configuration": {}},
            ["KubeProxyConfiguration.conntrack.maxPerCore: is 0 in the cluster and not set in the inventory"],
        ),
        (
            {"cluster_image_repository": "registry.example/k"},
            ["ClusterConfiguration.imageRepository: is registry.k8s.io in the cluster and registry.example/k in the"],
        ),
        *(
            (
                {"control_plane_cluster_configuration": given},
                [f"ClusterConfiguration.{path}: is not set in the cluster"],
            )
            for given, path in (
                ({"dns": {"imageTag": "v1.12.1"}}, "dns.imageTag"),
                ({"scheduler": {"extraEnvs": [{"name": "A", "value": "0"}]}}, "scheduler.extraEnvs.A"),
            )
        ),
        (
            {"control_plane_cluster_configuration": {"featureGates": {"ControlPlaneKubeletLocalMode": False}}},
            ["ClusterConfiguration.featureGates.ControlPlaneKubeletLocalMode: is not set in the cluster and false in"],
        ),
    ],
)
def test_what_is_only_looked_at_by_a_build(given: t.Dict[str, t.Any], expected: t.List[str]) -> None:
    lines = said(cluster(**given))
    assert len(lines) == len(expected), lines
    for line, text in zip(lines, expected):
        assert line.startswith("warning cluster: ") and text in line, line


def test_a_kubelet_of_its_own() -> None:
    hosts = cluster()
    hosts[1].facts["configuration"]["kubelet"] += "maxPods: 7\n"  # type: ignore[index]
    [line] = said(hosts)
    place = "/var/lib/kubelet/config.yaml"
    assert line.startswith(f"warning {hosts[1].name}: KubeletConfiguration.maxPods: is 7 in {place} and not set")
    # Where kubeadm patches it that is meant to be.
    hosts = cluster(node_join_configuration={"patches": {"directory": "/etc/kubernetes/patches"}})
    hosts[1].facts["configuration"]["kubelet"] += "maxPods: 7\n"  # type: ignore[index]
    assert said(hosts) == []


TAINT = nodes.TAINT


@pytest.mark.parametrize(
    ("worker", "taints", "given", "expected"),
    [
        (False, [TAINT], {}, ""),
        (True, [], {}, ""),
        (True, [TAINT], {}, "the control plane is in this group, but has the taint"),
        (False, [], {}, "the control plane is not in this group, but lacks the taint"),
        (False, [], {"node_join_configuration": {"nodeRegistration": {"taints": []}}}, ""),
        (True, [TAINT], {"cluster_node_taints": [{"key": TAINT.partition(":")[0], "effect": "NoSchedule"}]}, ""),
        (True, None, {}, ""),
    ],
)
def test_control_planes_that_carry_pods(
    worker: bool, taints: t.Optional[t.List[str]], given: t.Dict[str, t.Any], expected: str
) -> None:
    first, second = cluster(**given)
    first.facts["configuration"]["taints"] = taints  # type: ignore[index]
    lines = said([dataclasses.replace(first, worker=worker), second])
    assert [f"{first.name}: kube_node: {expected}" in line for line in lines] == ([True] if expected else [])


@pytest.mark.parametrize(
    ("provider", "more", "is_said"),
    [
        ("external", {}, True),
        ("keepalived", {}, False),
        # A load balancer that somebody has put on the control planes, or one with another port.
        ("external", {"foreign_files": ["/etc/haproxy/haproxy.cfg"]}, False),
        ("external", {"listening": [{"port": 80, "process": "haproxy"}]}, False),
    ],
)
def test_a_load_balancer_of_ours_that_the_inventory_has_no_more(
    provider: str, more: t.Dict[str, t.Any], is_said: bool
) -> None:
    """As after a lost line of the inventory: it goes on, and nobody tells it of another control plane."""
    hosts = cluster(api_endpoint_provider=provider, cluster_endpoint="192.0.2.100:8443")
    for one in hosts:
        one.facts.update({"listening": [{"port": 8443, "process": "haproxy"}], **more})  # type: ignore[union-attr]
    lines = [line for line in said(hosts) if "api_endpoint_provider" in line]
    assert len(lines) == is_said
    assert all(line.startswith(f"warning {hosts[0].name}: api_endpoint_provider: is external, and") for line in lines)


GPU = {"key": "gpu", "value": "a", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("present", "given", "expected"),
    [
        (
            "",
            [GPU],
            "is none in /var/lib/kubelet/kubeadm-flags.env and gpu=a:NoSchedule in the inventory; site.yml does",
        ),
        ("gpu=a:NoSchedule", [GPU], ""),
        ("gpu=b:NoSchedule", [GPU], "is gpu=b:NoSchedule in"),
        ("gpu=a:NoSchedule", [], "is gpu=a:NoSchedule in /var/lib/kubelet/kubeadm-flags.env and none in the inventory"),
        ("gpu=a:NoSchedule", None, ""),
    ],
)
def test_taints_that_a_worker_was_registered_with(present: str, given: t.Any, expected: str) -> None:
    """kubeadm looks at them once, and an inventory that changes them later was passed over without a word."""
    document = {} if given is None else {"nodeRegistration": {"taints": given}}
    hosts = cluster(node_join_configuration=document)
    hosts[0].facts["configuration"]["taints"] = [TAINT]  # type: ignore[index]
    if present:
        hosts[1].facts["configuration"]["kubelet_arguments"]["register-with-taints"] = present  # type: ignore[index]
    lines = [line for line in said(hosts) if "nodeRegistration.taints" in line]
    assert [line.startswith(f"warning {hosts[1].name}: ") and expected in line for line in lines] == (
        [True] if expected else []
    )


@pytest.mark.parametrize(
    ("present", "given", "expected"),
    [
        ([TAINT], {"control_plane_init_configuration": []}, ""),
        (
            [TAINT],
            {"control_plane_init_configuration": [], "node_join_configuration": []},
            f"is {TAINT} on the node and",
        ),
        ([], {"control_plane_init_configuration": [], "node_join_configuration": []}, ""),
        ([], {"control_plane_init_configuration": [GPU], "node_join_configuration": [GPU]}, "none on the node and gpu"),
        (["gpu:NoSchedule", "more:NoExecute"], {"control_plane_init_configuration": [GPU]}, ""),
        (None, {"control_plane_init_configuration": [GPU], "node_join_configuration": [GPU]}, ""),
    ],
)
def test_taints_that_a_control_plane_was_registered_with(present: t.Any, given: t.Any, expected: str) -> None:
    """Made by an init or by a join: it is right when it is as one of both has it."""
    [first] = cluster(**{name: {"nodeRegistration": {"taints": taints}} for name, taints in given.items()})[:1]
    first.facts["configuration"]["taints"] = present  # type: ignore[index]
    lines = said([first])
    assert [f"{first.name}: nodeRegistration.taints: is {expected.removeprefix('is ')}" in line for line in lines] == (
        [True] if expected else []
    )


def test_another_pod_network_than_ours_that_is_there() -> None:
    hosts = cluster(cni_provider="calico", cluster_cni="calico")
    (problem,) = checks.check_other_pod_network(hosts)
    assert problem.message.startswith("is calico in the inventory, and the Flannel that this collection has installed")
    assert "playbooks/change_cni.yml" in problem.remedy and "docs/networks.md#change-it" in problem.remedy
    hosts[0].facts["configuration"]["pod_networks"]["flannel"]["release"] = ""  # type: ignore[index]
    assert said(hosts) == []


def test_another_pod_network_that_has_no_place_beside_ours() -> None:
    (problem,) = checks.check_other_pod_network(cluster(cni_provider="cilium", cluster_cni="cilium"))
    assert problem.message.startswith("is cilium in the inventory, and the Flannel that this collection has installed")
    assert problem.remedy.startswith("Set it to flannel. Cilium cannot run beside another one, so that neither is")
    assert "change_cni.yml" not in problem.remedy and "docs/networks.md#change-it" in problem.remedy


@pytest.mark.parametrize("wanted", ["flannel", "calico", "none"])
def test_a_change_of_the_pod_network_that_has_not_ended(wanted: str) -> None:
    """Whatever the inventory says: both networks are there, and one of them is about to go."""
    hosts = cluster(cni_provider=wanted, cluster_cni=wanted)
    change = {"from": "flannel", "to": "calico", "since": "2026-12-01T04:00:00Z"}
    hosts[0].facts["configuration"]["pod_network_change"] = change  # type: ignore[index]
    (problem,) = checks.check_other_pod_network(hosts)
    assert problem.message == (
        "the change from Flannel to Calico has begun (2026-12-01T04:00:00Z) and has not come to its end."
    )
    assert "playbooks/change_cni.yml, with cluster_cni: calico" in problem.remedy
    hosts[0].facts["configuration"]["pod_network_change"] = {"odd": "\x1b[2J"}  # type: ignore[index]
    (problem,) = checks.check_other_pod_network(hosts)
    assert "nobody knows when" in problem.message


def test_kube_proxy_and_flannel_that_shall_not_be_there() -> None:
    [line] = said(cluster(control_plane_skip_phases=["addon/kube-proxy"]))
    assert "kube-proxy: is in the cluster and not in the inventory (control_plane_skip_phases)" in line
    hosts = cluster()
    del hosts[0].facts["configuration"]["config_maps"]["kube-proxy"]  # type: ignore[index]
    [line] = said(hosts)
    assert "kube-proxy: is not in the cluster and is in the inventory" in line
    hosts = cluster(cni_provider="none")
    [line] = said(hosts)
    assert "cluster_cni: is none in the inventory" in line
    # Somebody else's.
    hosts[0].facts["configuration"]["pod_networks"]["flannel"]["release"] = "network"  # type: ignore[index]
    assert said(hosts) == []


def test_arguments_of_kubelets() -> None:
    more = {"nodeRegistration": {"kubeletExtraArgs": [{"name": "v", "value": "3"}, {"name": "node-ip", "value": "9"}]}}
    hosts = cluster(node_join_configuration=more)
    lines = [line for line in said(hosts[1:]) if "kubeletExtraArgs" in line]
    assert len(lines) == 1 and "nodeRegistration.kubeletExtraArgs.v: is not set in /var/lib/kubelet/ku" in lines[0]
    # A control plane was made by an init, perhaps.
    assert not any("kubeletExtraArgs" in line for line in said(hosts[:1]))


def test_arguments_of_kubelets_that_the_inventory_does_not_have() -> None:
    hosts = cluster()
    own = dict.fromkeys((*nodes.KUBEADMS_ARGUMENTS, "max-pods"), "50")
    hosts[1].facts["configuration"]["kubelet_arguments"].update(own, **{"node-ip": "172.30.0.3"})  # type: ignore[index]
    lines = [line for line in said(hosts) if "kubeletExtraArgs" in line]
    place = "/var/lib/kubelet/kubeadm-flags.env"
    assert lines == [
        f"warning {hosts[1].name}: nodeRegistration.kubeletExtraArgs.max-pods: is 50 in {place} and not set in the"
        " inventory; site.yml does not change it on a node."
    ]
    # What the inventory says itself is compared.
    more = {"nodeRegistration": {"kubeletExtraArgs": [{"name": "resolv-conf", "value": "/a"}]}}
    hosts = cluster(node_join_configuration=more)
    assert any("kubeletExtraArgs.resolv-conf: is not set" in line for line in said(hosts[1:]))


def test_a_renamed_machine() -> None:
    first, second = cluster()
    renamed = host("renamed", NEWEST, False)
    assert "inventory_hostname: is renamed, but the machine is the node" in said([first, renamed])[0]
    swapped = host(second.name, NEWEST, True)
    swapped_too = host(first.name, NEWEST, False)
    assert len([line for line in said([swapped, swapped_too]) if "inventory_hostname" in line]) == 2


def test_the_hostname_of_a_node_stays() -> None:
    [line] = [line for line in said([cluster(node_prep_hostname="another")[1]]) if "hostname" in line]
    assert line.startswith("warning ") and "node_prep_hostname: is another, and the machine is called" in line


@pytest.mark.parametrize(("told", "count"), [("", 0), ("another", 1)])
def test_a_hostname_that_went_back_is_set_again(told: str, count: int) -> None:
    """Where the kubelet goes by it; where it is told its name, the machine may be called as it is."""
    first = cluster()[0]
    first.variables["node_prep_hostname"] = first.name
    first.facts["hostname"] = "localhost"  # type: ignore[index]
    first.facts["kubernetes"]["told_name"] = told  # type: ignore[index]
    assert len([line for line in said([first]) if "hostname" in line]) == count


def test_another_address() -> None:
    first, second = cluster()
    was = second.facts["default_address"]  # type: ignore[index]
    second.facts.update(default_address="192.0.2.9", interfaces=[])  # type: ignore[union-attr]
    [line] = said([first, second])
    assert f"cluster_node_ip: the host's address is 192.0.2.9, but it was made a node with {was} (the kubelet's" in line
    # One that it still has beside the other is a matter of a variable.
    second.facts["interfaces"] = [{"name": "eth1", "addresses": [{"address": was}]}]  # type: ignore[index]
    [problem] = nodes.check_nodes([first, second])
    assert problem.remedy == f"Set cluster_node_ip to {was} for this host, which it still has."


BOTH = {
    "cluster_pod_subnet": "10.244.0.0/16,fd00:1::/56",
    "cluster_service_subnet": "10.96.0.0/12,fd00:2::/112",
}


def of_both(made: str, *addresses: str, **given: t.Any) -> Host:
    """The worker of a cluster with two families: with what it was made a node, and its addresses of IPv6."""
    second = cluster(**BOTH, **given)[1]
    facts = t.cast(t.Dict[str, t.Any], second.facts)
    facts["interfaces"][0]["addresses"] += [{"address": address, "prefix": 64} for address in addresses]
    facts["configuration"]["kubelet_arguments"]["node-ip"] = made
    return second


def test_one_family_does_not_become_two() -> None:
    lines = said(cluster(**BOTH))
    for name, present in (("pod", "10.244.0.0/16"), ("service", "10.96.0.0/12")):
        variable = f"cluster_{name}_subnet"
        expected = f"error cluster: {variable}: is {BOTH[variable]} in the inventory and {present} in the cluster"
        assert any(line.startswith(expected) for line in lines), lines
    assert len(lines) == 2


def test_the_addresses_of_a_node_of_two_families() -> None:
    made = "172.30.0.3,2001:DB8::3"
    assert list(nodes.check_nodes([of_both(made, "2001:db8::3")])) == []
    # It has got another one since, and goes on with that which it was made with.
    assert list(nodes.check_nodes([of_both(made, "2001:db8::4", "2001:db8::3")])) == []
    [problem] = nodes.check_nodes([of_both(made, "2001:db8::4")])
    assert (problem.subject, problem.severity) == ("cluster_node_ip6", "error")
    assert problem.message.startswith("the host's address is 172.30.0.3,2001:db8::4, but it was made a node with 172.")
    assert problem.remedy.startswith("Give the machine 2001:DB8::3 again")
    [problem] = nodes.check_nodes([of_both(made, "2001:db8::3", "2001:db8::4", cluster_node_ip6="2001:db8::4")])
    assert problem.remedy == "Set cluster_node_ip6 to 2001:DB8::3 for this host, which it still has."
    [problem] = nodes.check_nodes([of_both("172.30.0.3", "2001:db8::3")])
    assert (problem.subject, problem.severity) == ("cluster_node_ip6", "warning")
    assert problem.message == "the host was made a node with 172.30.0.3 alone, and the inventory has 2001:db8::3, too."


def test_nodes_that_the_inventory_does_not_have() -> None:
    hosts = cluster()
    configuration = hosts[0].facts["configuration"]  # type: ignore[index]
    configuration["nodes"] = [one.facts["kubernetes"]["node_name"] for one in hosts]  # type: ignore[index]
    assert said(hosts) == []
    configuration["nodes"] += ["lost"]
    [line] = said(hosts)
    assert line.startswith("warning cluster: inventory: lost is a node of the cluster, and not among the hosts")
    configuration["nodes"] += [f"w{number}" for number in range(10, 17)]
    [line] = said(hosts)
    assert "lost, w10, w11, w12, w13, w14 and 2 more are nodes of the cluster" in line


def test_the_virtual_address_is_no_other_address() -> None:
    first, second = cluster(api_endpoint_vip="192.0.2.100")
    first.facts.update(default_address="192.0.2.100")  # type: ignore[union-attr]
    assert not any("cluster_node_ip" in line for line in said([first, second]))


def test_unfinished_work_is_left_alone() -> None:
    hosts = cluster(cluster_pod_subnet="10.200.0.0/16")
    for item in hosts:
        item.facts["kubernetes"]["unfinished"] = {"operation": "init"}  # type: ignore[index]
    assert said(hosts) == []


@pytest.mark.parametrize(
    ("given", "subject"),
    [
        ({"container_runtime_version": "9.*"}, "container_runtime_version"),
        # Said by the checks on the runtime.
        ({"container_runtime_source": "docker", "__container_runtime_package": "containerd.io"}, ""),
        ({"container_runtime_version": "9.*", "preflight_moves_endpoint": True}, ""),
        ({"container_runtime_version": "9.*", "container_runtime_keep": True}, ""),
        ({"container_runtime_version": "1.*"}, ""),
        # What that means is the package manager's: the suffix of a repacked source is no part of it.
        ({"container_runtime_version": "1.7.24"}, ""),
    ],
)
def test_another_runtime(given: t.Dict[str, t.Any], subject: str) -> None:
    hosts = cluster(**given)
    for item in hosts:
        item.facts["runtime"] = {"containerd": {"packages": {"containerd": "1.7.24~ds1-6"}}}  # type: ignore[index]
        item.facts["package_manager"] = "apt"  # type: ignore[index]
    lines = said(hosts)
    assert [f": {subject}" in line for line in lines] == ([True, True] if subject else [])


def test_documents_of_somebody_who_holds_a_node() -> None:
    """Neither a huge text, nor references that make a small one endless, nor what is no document stops the run."""
    bomb = "a: &a [x, x]\n" + "".join(f"{c}: &{c} [*{p}, *{p}]\n" for p, c in zip("abcdefgh", "bcdefghi"))
    for text in ("a: [" + "[" * 5000, bomb, "- a\n", "x: 1\n" * 50_000, "\x1b[31m: 1\n", "{{ lookup('pipe', 'id') }}"):
        hosts = cluster()
        hosts[1].facts["configuration"]["kubelet"] = text  # type: ignore[index]
        assert said(hosts) == [] or "\x1b" not in "".join(said(hosts))


@pytest.mark.parametrize("text", ["a: &a 1\nb: *a\n", "- a\n", "a: [\n", "x: 1\n" * 25_000])
def test_what_cannot_be_read_is_said(text: str) -> None:
    """It would be taken for a cluster that has no such document, and nothing would be compared."""
    hosts = cluster()
    maps = hosts[0].facts["configuration"]["config_maps"]  # type: ignore[index]
    maps.update(dict.fromkeys(maps, text))
    hosts[1].facts["configuration"]["kubelet"] = text  # type: ignore[index]
    why = "cannot be read (no YAML, references in it, or more than 100000 characters), so"
    assert said(hosts) == [
        f"error cluster: configmap kubeadm-config: the cluster's ClusterConfiguration {why} what must not change cannot"
        " be compared with the inventory.",
        f"warning cluster: configmap kubelet-config: the cluster's KubeletConfiguration {why} it is not compared with"
        " the inventory.",
        f"warning cluster: configmap kube-proxy: the cluster's KubeProxyConfiguration {why} it is not compared with the"
        " inventory.",
        f"warning {hosts[1].name}: /var/lib/kubelet/config.yaml: {why} it is not compared with the inventory.",
    ]


def test_stars_and_ampersands_are_no_references() -> None:
    hosts = cluster(cluster_service_subnet="10.97.0.0/16")
    maps = hosts[0].facts["configuration"]["config_maps"]  # type: ignore[index]
    maps["kubeadm-config"] += '# not *this\nextra: &unused "localhost,*internal"\n'
    assert said(hosts)[0].startswith(
        "error cluster: cluster_service_subnet: is 10.97.0.0/16 in the inventory and 10.96"
    )


def test_values_are_printed_with_escapes() -> None:
    hosts = cluster()
    hosts[1].facts["configuration"]["kubelet"] += 'maxPods: "\\e[31m"\n'  # type: ignore[index]
    [line] = said(hosts)
    assert "is \\x1b[31m in /var" in line


def test_a_cluster_that_cannot_be_read() -> None:
    hosts = cluster()
    hosts[0].facts["configuration"].pop("config_maps")  # type: ignore[index]
    hosts[0].facts["configuration"]["problem"] = "timed out"  # type: ignore[index]
    [line] = said(hosts)
    assert line.endswith("could not be read, so it was not compared with the inventory: timed out.")


@pytest.mark.parametrize(
    ("rules", "wanted", "present", "differs"),
    [
        # A cluster that was built by hand: kubeadm stores what was not said as an empty text or as a zero.
        (proxy_rules({}), {"mode": "iptables"}, {"mode": ""}, False),
        (proxy_rules({}), {"mode": "nftables"}, {"mode": ""}, True),
        (kubelet_rules({}), {"syncFrequency": "60s"}, {"syncFrequency": "0s"}, False),
        (kubelet_rules({}), {"syncFrequency": "2m"}, {"syncFrequency": "0s"}, True),
        (kubelet_rules({}), {}, {"syncFrequency": "0s", "nodeStatusUpdateFrequency": "10s"}, False),
        (kubelet_rules({}), {"topologyManagerPolicy": "none"}, {}, False),
        (kubelet_rules({}), {"failSwapOn": True}, {"failSwapOn": False}, True),
    ],
)
def test_what_the_inventory_says_and_is_the_default_anyway(
    rules: t.Any, wanted: t.Dict[str, t.Any], present: t.Dict[str, t.Any], differs: bool
) -> None:
    assert bool(compare(wanted, present, rules)) is differs
