# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on what the inventory asks for."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.addresses import (
    node_addresses,
    parse_endpoint,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import (
    cluster,
    labels,
    metallb,
    overrides,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.inventory import distinct
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import CLUSTER, Host, Problem

#: In the order of the report.
CHECKS = (*cluster.CHECKS, *metallb.CHECKS, *labels.CHECKS, *overrides.CHECKS)

GOOD: t.Dict[str, t.Any] = {
    "cluster_name": "kubernetes",
    "cluster_version": "1.37.1",
    "cluster_endpoint": "",
    "cluster_pod_subnet": "10.244.0.0/16",
    "cluster_service_subnet": "10.96.0.0/12",
    "cluster_dns_domain": "cluster.local",
    "cluster_image_repository": "registry.k8s.io",
    "cluster_kube_proxy_mode": "nftables",
    "cluster_cri_socket": "unix:///run/containerd/containerd.sock",
    "cluster_cni": "flannel",
}


def host(name: str = "cp1", address: str = "192.0.2.5/24", control_plane: bool = True, **variables: t.Any) -> Host:
    ip, prefix = address.split("/")
    interfaces = [
        {"name": "eth0", "addresses": [{"address": ip, "prefix": int(prefix), "family": 4}]},
        {"name": "cni0", "virtual": True, "addresses": [{"address": "10.244.0.1", "prefix": 24, "family": 4}]},
        {"name": "eth1"},
    ]
    return Host(name, control_plane, not control_plane, {**GOOD, **variables}, facts={"interfaces": interfaces})


NODE = {"kubernetes": {"joined": True}}


def pool(*addresses: str) -> t.Dict[str, t.Any]:
    return {"metallb_address_pools": [{"name": "p", "addresses": list(addresses)}]}


def mirror(mirror: t.Dict[str, t.Any]) -> t.Dict[str, t.Any]:
    return {"cluster_registry_mirrors": {"docker.io": [mirror]}}


def everything(*hosts: Host) -> t.List[Problem]:
    return [problem for check in CHECKS for problem in check(hosts)]


def said(problems: t.Iterable[Problem]) -> str:
    return "\n".join(f"{p.severity} {p.host or 'cluster'}: {p.subject}: {p.message} {p.remedy}" for p in problems)


def test_a_good_cluster_has_no_problem() -> None:
    workers = [host(f"worker{n}", f"192.0.2.{10 + n}/24", control_plane=False) for n in range(3)]
    pools = [{"name": "default", "addresses": ["192.0.2.200-192.0.2.220", "192.0.2.240/28"]}]
    mirrors = {
        "docker.io": [{"url": "https://mirror.example.com:5000/v2/docker.io", "username": "a", "password": "b"}],
        "registry.example.com:5000": [{"url": "http://10.0.0.7", "capabilities": ["pull"], "override_path": True}],
        "_default": [{"url": "https://mirror.example.com"}],
    }
    given = {
        "cluster_endpoint": "api.example.com:6443",
        "cluster_registry_mirrors": mirrors,
        "metallb_address_pools": pools,
        "cluster_node_labels": {"example.com/rack": "r1", "node-role.kubernetes.io/worker": ""},
        "cluster_node_annotations": {"example.com/note": "anything goes: here"},
        "cluster_node_taints": [
            {"key": "dedicated", "value": "x", "effect": "NoSchedule"},
            {"key": "a", "value": None, "effect": "NoSchedule"},
            {"key": "a", "value": None, "effect": "NoExecute"},
        ],
    }
    hosts = [
        Host(h.name, h.control_plane, h.worker, {**h.variables, **given}, facts=h.facts) for h in [host(), *workers]
    ]
    assert said(everything(*hosts)) == ""


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"cluster_version": 1.37}, "cluster_version: 1.37 has no patch number. Write the exact version in quotes"),
        ({"cluster_version": "v1.37.1"}, 'v1.37.1 has a leading v. Write "1.37.1".'),
        ({"cluster_version": "1.38.0-rc.0"}, "1.38.0-rc.0 is not the version of a release."),
        ({"cluster_version": ""}, "(empty) is not the version of a release."),
        ({"cluster_version": "1.37.\u0661"}, "1.37.\u0661 is not the version of a release."),
        ({"cluster_endpoint": "api:\u0666\u0664\u0664\u0663"}, "is not host or host:port."),
        ({"cluster_version": "1.33.9"}, "1.33.9 is not supported, only 1.34 to 1.37 are."),
        ({"cluster_version": "1.38.0"}, "warning cluster: cluster_version: 1.38.0 is newer than what was tested"),
        ({"cluster_name": "My_Cluster"}, "cluster_name: My_Cluster is not a DNS label."),
        ({"cluster_name": ""}, "cluster_name: (empty) is not a DNS label."),
        ({"cluster_endpoint": "https://api.example.com"}, "cluster_endpoint: https://api.example.com is not host"),
        ({"cluster_endpoint": "api.example.com:99999"}, "cluster_endpoint: api.example.com:99999 is not host"),
        ({"cluster_endpoint": "192.0.2.9:x"}, "cluster_endpoint: 192.0.2.9:*** is not host"),
        ({"cluster_endpoint": "10.0.0.999"}, "cluster_endpoint: 10.0.0.999 is not host"),
        ({"cluster_endpoint": "API.example.com"}, "cluster_endpoint: API.example.com is not host"),
        ({"cluster_dns_domain": "cluster local"}, "cluster_dns_domain: cluster local is not a DNS domain."),
        (
            {"cluster_image_repository": "https://mirror"},
            "https://mirror is not registry/path",
        ),
        ({"cluster_cri_socket": "/run/containerd/containerd.sock"}, "containerd.sock is not a unix:// URL."),
        ({"cluster_pod_subnet": "10.244.0.0"}, "cluster_pod_subnet: is malformed: 10.244.0.0 is not a network."),
        ({"cluster_pod_subnet": ""}, "cluster_pod_subnet: is malformed: (empty) is not a network."),
        ({"cluster_pod_subnet": "10.244.0.0/255.255.0.0"}, "is malformed: 10.244.0.0/255.255.0.0 is not a network."),
        ({"cluster_service_subnet": "10.96.0.0/0.15.255.255"}, "is malformed: 10.96.0.0/0.15.255.255 is not a netw"),
        ({"cluster_pod_subnet": "10.244.0.0/33"}, "cluster_pod_subnet: is malformed: '10.244.0.0/33' does not appear"),
        ({"cluster_pod_subnet": "10.244.0.1/16"}, "cluster_pod_subnet: is malformed: 10.244.0.1/16 has host bits set."),
        ({"cluster_pod_subnet": "10.1.0.0/16,10.2.0.0/16"}, "is more than one network of the same IP version"),
        ({"cluster_pod_subnet": "10.244.0.0/25"}, "10.244.0.0/25 has room for 0 nodes (each a /24), the cluster 1."),
        ({"cluster_service_subnet": "10.0.0.0/11"}, "10.0.0.0/11 is larger than Kubernetes allows. Choose a /12"),
        ({"cluster_service_subnet": "fd00::/64"}, "fd00::/64 is larger than Kubernetes allows. Choose a /108"),
        ({"cluster_service_subnet": "10.96.0.0/29"}, "10.96.0.0/29 is too small"),
        ({"cluster_pod_subnet": "10.100.0.0/16"}, "10.100.0.0/16 overlaps cluster_service_subnet 10.96.0.0/12."),
        (
            {"cluster_pod_subnet": "192.0.0.0/16"},
            "192.0.0.0/16 contains the host's own address 192.0.2.5.",
        ),
        ({"cluster_service_subnet": "192.0.2.128/25"}, "warning cp1: cluster_service_subnet: 192.0.2.128/25 overlaps"),
        (
            {"cluster_registry_mirrors": {"https://docker.io": []}},
            "is not the name of a registry.",
        ),
        ({"cluster_registry_mirrors": {"docker.io": "https://a"}}, "[docker.io]: is not a list of mirrors."),
        ({"cluster_registry_mirrors": {"docker.io": ["https://a"]}}, "has 'https://a', which is not a dictionary."),
        (mirror({"ulr": "https://a"}), "unknown key ulr. Did you mean url?"),
        (mirror({"q": 1, "url": "http://a"}), "unknown key q. Known are url,"),
        (mirror({}), "has a mirror without url."),
        (mirror({"url": "mirror:5000"}), "url mirror:5000 is malformed."),
        (mirror({"url": "http://a:port"}), "url http://a:port is malformed."),
        (mirror({"url": "https://"}), "url https:// is malformed."),
        (mirror({"url": "https://a/b c"}), "url https://a/b c is malformed."),
        (mirror({"url": "https://a/\n"}), "is malformed."),
        (mirror({"url": " https://a"}), "is malformed."),
        (mirror({"url": "ht\ttps://a\x7f"}), "is malformed."),
        (mirror({"url": "https://a/?b=c"}), "is malformed."),
        ({"cluster_registry_mirrors": {"index.docker.io": []}}, "by the name docker.io. Write docker.io."),
        ({"cluster_registry_mirrors": {"registry-1.docker.io": []}}, "by the name docker.io. Write docker.io."),
        (
            mirror({"url": "https://u:pw@a"}),
            "has a mirror with a user name in its url.",
        ),
        (
            mirror({"url": "https://a", "capabilities": ["push", "x"]}),
            "unknown capab",
        ),
        (mirror({"url": "https://a", "username": "u"}), "only one of username"),
        (
            pool("192.0.2.9"),
            "[p]: is malformed: 192.0.2.9 is neither",
        ),
        (
            pool("192.0.2.0/33"),
            "[p]: is malformed: '192.0.2.0/33'",
        ),
        (pool("192.0.2.16/255.255.255.240"), "is malformed: 192.0.2.16/255.255.255.240 is not a network. Write 10"),
        (pool(" 192.0.2.16/28"), "is malformed:  192.0.2.16/28 is not a network."),
        (pool("192.0.2.9-192.0.2.1"), "ends before it starts"),
        (pool("192.0.2.9-fd00::1"), "mixes IPv4 and IPv6"),
        (pool("10.97.0.0/24"), "overlaps cluster_service_subnet"),
        (
            pool("192.0.2.1-192.0.2.9"),
            "192.0.2.5, the address of cp1",
        ),
        (
            pool("192.0.2.16/28", "192.0.2.20-192.0.2.21"),
            "192.0.2.20-192.0.2.21 overlaps 192.0.2.16/28, which a pool has already.",
        ),
        (
            pool("198.51.100.0/28"),
            "warning cp1: metallb_address_pools[p]: 198.51.100.0/28 is in no network that a node has an address in.",
        ),
        (
            {"metallb_address_pools": [{"name": "p", "addresses": []}, {"name": "p", "addresses": []}]},
            "[p]: is the name of two pools.",
        ),
        ({"metallb_address_pools": [{"name": "My Pool", "addresses": []}]}, "[My Pool]: is not a valid name."),
        ({"cluster_node_labels": {"-bad": "x"}}, "cluster_node_labels: -bad is not a valid key."),
        ({"cluster_node_labels": {"Up/x": "x"}}, "cluster_node_labels: Up/x is not a valid key."),
        ({"cluster_node_labels": {"gpu": True}}, "the value of gpu is not text (True). Put it in quotes."),
        ({"cluster_node_labels": {"rack": "a b"}}, "the value of rack is not valid: a b."),
        ({"cluster_node_annotations": {"a/b/c": "x"}}, "cluster_node_annotations: a/b/c is not a valid key."),
        ({"cluster_node_taints": [{"key": "/x", "effect": "NoSchedule"}]}, "/x= is not a valid taint."),
        ({"cluster_node_taints": [{"key": "gpu", "value": True}]}, "the value of gpu is not text (True). Put it in"),
        ({"cluster_node_taints": [{"key": "v", "value": 1.10}]}, "the value of v is not text (1.1)."),
        (
            {"cluster_node_taints": [{"key": "a", "value": value, "effect": "NoExecute"} for value in ("1", "2")]},
            "cluster_node_taints: a:NoExecute is there twice. A node has it once: leave one out.",
        ),
    ],
)
def test_one_bad_variable(variables: t.Dict[str, t.Any], expected: str) -> None:
    problems = everything(host(**variables))
    assert len(problems) == 1 or "ulr" in expected, said(problems)
    assert expected in said(problems)


def test_what_has_a_wrong_type_is_passed_over() -> None:
    wrong = {
        "cluster_registry_mirrors": "docker.io",
        "metallb_address_pools": ["pool", {"name": "p", "addresses": "192.0.2.1"}],
        "cluster_node_taints": ["a"],
        "cluster_node_labels": ["a"],
    }
    assert said(everything(host(**wrong))) == ""


def test_two_pools_without_a_name_are_left_to_the_argument_specs() -> None:
    assert "two pools" not in said(everything(host(metallb_address_pools=[{"addresses": []}, "b"])))


def test_control_planes() -> None:
    assert "cluster_control_plane_hosts: is empty" in said(everything(host(control_plane=False)))
    two = [host("cp1"), host("cp2", "192.0.2.6/24")]
    text = said(everything(*two))
    assert "cluster_endpoint: is empty with 2 control planes" in text
    assert "warning cluster: cluster_control_plane_hosts: has an even number of hosts (2)" in text
    three = [host(f"cp{n}", f"192.0.2.{n}/24", cluster_endpoint="api") for n in (1, 2, 3)]
    text = said(everything(*three))
    assert "even number" not in text
    assert "cluster_endpoint" not in text


def test_addons_without_a_place() -> None:
    alone = host(metrics_server_enabled=True, metallb_enabled="yes")
    text = said(everything(alone))
    assert (
        "warning cluster: cluster_worker_hosts: is empty: control planes alone take no pods of metrics_server" in text
    )
    assert "Or set metrics_server_enabled and metallb_enabled to false." in text
    assert "cluster_worker_hosts" not in said(everything(host(metrics_server_enabled=False)))
    assert "cluster_worker_hosts" not in said(everything(alone, host("w1", "192.0.2.6/24", False)))
    listed = [
        {"name": "web", "chart": "oci://r/web"},
        {"name": "a", "url": "https://a"},
        {"name": "b", "definition": {}, "ready_when": [{"type": "rollout"}]},
        {"name": "c", "definition": {}, "ready_when": [{"type": "crd"}]},
        "broken",
    ]
    text = said(everything(host(metrics_server_enabled=False, addons_list=listed)))
    assert "take no pods of web (addons_list) and b (addons_list), which the run would wait for." in text
    assert "may tolerate the taint of control planes." in text and "Or set" not in text
    both = Host("cp1", True, True, alone.variables, facts=alone.facts)
    assert "cluster_worker_hosts" not in said(everything(both))


def test_names_of_hosts() -> None:
    assert "error Node_1: inventory_hostname: Node_1 cannot be the name of a node" in said(everything(host("Node_1")))


def test_cluster_wide_variables_must_be_the_same_everywhere() -> None:
    hosts = [host(), host("worker1", "192.0.2.6/24", False, cluster_version="1.36.4", cluster_endpoint="api")]
    text = said(everything(*hosts))
    assert "cluster: cluster_version: differs between hosts: 1.37.1 on cp1, 1.36.4 on worker1." in text
    assert "cluster: cluster_endpoint: differs between hosts: (empty) on cp1, api on worker1." in text


def test_a_broken_variable_is_reported_once_elsewhere() -> None:
    broken = Host("cp1", True, False, {**GOOD, "cluster_version": ""}, broken={"cluster_version": "undefined"})
    assert said(everything(broken)) == ""


def test_a_pool_of_a_family_that_services_have_not() -> None:
    text = said(everything(host(**pool("2001:db8::1-2001:db8::9"))))
    assert "error cp1: metallb_address_pools[p]: has no address of IPv4, which is what services have by cluster" in text
    both = {**pool("2001:db8::/126", "192.0.2.16/28"), "cluster_service_subnet": "fd00:10:96::/112"}
    assert "which is what services have" not in said(everything(host(**both)))


def test_subnets_of_two_hosts_and_two_families() -> None:
    dual = {"cluster_pod_subnet": "10.244.0.0/16, fd00:1::/56", "cluster_service_subnet": "10.96.0.0/12,fd00:2::/112"}
    assert said(everything(host(**dual))) == ""
    small = [host(f"h{n}", f"192.0.2.{n}/24", n == 1, cluster_pod_subnet="10.244.0.0/24") for n in (1, 2)]
    assert "cluster: cluster_pod_subnet: 10.244.0.0/24 has room for 1 nodes" in said(everything(*small))


@pytest.mark.parametrize("name", ["node-cidr-mask-size", "node-cidr-mask-size-ipv4"])
def test_a_small_subnet_that_is_divided_further(name: str) -> None:
    manager = {"controllerManager": {"extraArgs": [{"name": name, "value": "26"}]}}
    given = {"cluster_pod_subnet": "10.244.0.0/24", "control_plane_cluster_configuration": manager}
    hosts = [host(f"h{n}", f"192.0.2.{n}/24", n == 1, **given) for n in range(1, 6)]
    assert said(everything(*hosts[:4])) == ""
    assert "has room for 4 nodes (each a /26), the cluster 5." in said(everything(*hosts))


def test_a_small_subnet_that_another_pod_network_divides() -> None:
    given = {"cluster_pod_subnet": "10.244.0.0/24", "cluster_cni": "none"}
    hosts = [host(f"h{n}", f"192.0.2.{n}/24", n == 1, **given) for n in (1, 2)]
    assert [problem.severity for problem in cluster.check_subnets(hosts)] == ["warning"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("api.example.com", ("api.example.com", 6443)),
        ("10.0.0.1:8443", ("10.0.0.1", 8443)),
        ("[fd00::1]:443", ("fd00::1", 443)),
        ("[fd00::1]", ("fd00::1", 6443)),
        ("[1.2.3]", None),
        ("fd00::1", None),
        ("api:0", None),
        ("a b", None),
        ("api/", None),
    ],
)
def test_parse_endpoint(text: str, expected: t.Optional[t.Tuple[str, int]]) -> None:
    assert parse_endpoint(text) == expected


def test_distinct() -> None:
    assert distinct([host(), host("b")], "cluster_cni") == [("flannel", CLUSTER)]
    assert distinct([host(), host("b", cluster_cni="none")], "cluster_cni") == [
        ("flannel", "cp1"),
        ("none", "b"),
    ]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"control_plane_cluster_configuration": {"certificatesDir": "/srv/pki"}}, "certificatesDir is /srv/pki"),
        ({"control_plane_cluster_configuration": {"certificatesDir": "/etc/kubernetes/pki"}}, ""),
        ({"node_join_configuration": {"nodeRegistration": {"name": "a"}}}, "nodeRegistration.name is a, and nodes"),
        ({"control_plane_init_configuration": {"nodeRegistration": {"name": "cp1"}}}, ""),
        ({"control_plane_init_configuration": {"nodeRegistration": "x"}}, ""),
        ({"control_plane_init_configuration": {"skipPhases": ["addon/kube-proxy"]}}, "control_plane_skip_phases is"),
        # One control plane alone may listen where it likes.
        ({"control_plane_init_configuration": {"localAPIEndpoint": {"bindPort": 7443}}}, ""),
    ],
)
def test_overrides(variables: t.Dict[str, t.Any], expected: str) -> None:
    found = said(overrides.check_overrides([host(**variables)]))
    assert expected in found and bool(expected) == bool(found)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"networking": {"podSubnet": "10.50.0.0/16"}}, "networking.podSubnet is 10.50.0.0/16, and cluster_pod_subnet"),
        ({"networking": {"podSubnet": "10.244.0.0/16", "serviceSubnet": "10.96.0.0/12"}}, ""),
        ({"networking": {"serviceSubnet": "10.97.0.0/16"}}, "cluster_service_subnet, by which all else goes, is 10.96"),
        ({"networking": {"serviceSubnet": "nothing"}}, "serviceSubnet is nothing"),
        ({"networking": "broken", "kubernetesVersion": None}, ""),
        ({"controlPlaneEndpoint": "api.example.com:6443"}, "api.example.com:6443, and cluster_endpoint, by which all"),
        ({"kubernetesVersion": "v1.36.4"}, "kubernetesVersion is v1.36.4, and cluster_version, by which all else goes"),
        ({"kubernetesVersion": "1.37.1"}, ""),
        ({"controllerManager": {"extraArgs": []}}, ""),
    ],
)
def test_what_a_variable_says_otherwise(variables: t.Dict[str, t.Any], expected: str) -> None:
    """The pod network would have other addresses than the nodes, and never be ready."""
    new = host(control_plane_cluster_configuration=variables)
    found = said(overrides.check_contradictions([new]))
    assert expected in found and bool(expected) == bool(found)
    built = dataclasses.replace(new, facts=NODE)
    assert [*overrides.check_contradictions([built]), *overrides.check_contradictions([new, built])] == []
    assert list(overrides.check_contradictions([dataclasses.replace(new, facts=None)])) == []


def test_the_endpoint_may_be_said_twice() -> None:
    """Without a port it is the default one."""
    twice = host(
        cluster_endpoint="api.example.com",
        control_plane_cluster_configuration={"controlPlaneEndpoint": "api.example.com:6443"},
    )
    assert list(overrides.check_contradictions([twice])) == []


@pytest.mark.parametrize(
    ("phases", "expected"),
    [
        (["addons/kube-proxy"], "addons/kube-proxy is no phase of kubeadm init, which refuses it. Did you mean addon/"),
        (["addon/coreDNS"], "Did you mean addon/coredns?"),
        (["addon/kube-proxy", "addon", "addon/all", "upload-certs", "certs/etcd-ca"], ""),
        (["something-new"], ""),
    ],
)
def test_phases_that_kubeadm_does_not_know(phases: t.List[str], expected: str) -> None:
    """kubeadm says so when all machines have been prepared."""
    new = host(control_plane_skip_phases=phases)
    found = said(overrides.check_phases([new]))
    assert expected in found and bool(expected) == bool(found)
    assert list(overrides.check_phases([dataclasses.replace(new, facts=NODE)])) == []


def test_all_checks_of_kubeadm_and_one_more() -> None:
    """`kubeadm config validate` takes it, `kubeadm init` and `join` do not."""
    both = {"control_plane_ignore_preflight_errors": ["All", "Swap"], "node_join_ignore_preflight_errors": ["all"]}
    found = said(overrides.check_ignored([host(**both), host("worker1", control_plane=False, **both)]))
    assert found.startswith(
        "error cp1: cluster_ignore_preflight_errors: has all and swap, and kubeadm refuses any other"
    )
    assert "worker1" not in found
    (own,) = overrides.check_ignored([dataclasses.replace(host(**both), given=frozenset(both))])
    assert own.subject == "control_plane_ignore_preflight_errors"
    assert list(overrides.check_ignored([dataclasses.replace(host(**both), facts=NODE)])) == []


@pytest.mark.parametrize("form", [{"v": "2"}, {"name": "v", "value": "2"}, ["--v=2"], [{"name": "v", "value": 2}], 2])
@pytest.mark.parametrize(
    ("variable", "path"),
    [
        ("node_join_configuration", "nodeRegistration.kubeletExtraArgs"),
        ("control_plane_init_configuration", "nodeRegistration.kubeletExtraArgs"),
        ("control_plane_cluster_configuration", "apiServer.extraArgs"),
        ("control_plane_cluster_configuration", "etcd.local.extraArgs"),
    ],
)
def test_arguments_in_another_form(variable: str, path: str, form: t.Any) -> None:
    """kubeadm would refuse them in the middle of the run."""
    for value, count in ((form, 1), ([{"name": "v", "value": "2"}, {"name": "flag", "value": None}], 0), ([], 0)):
        for name in reversed(path.split(".")):
            value = {name: value}
        found = list(overrides.check_extra_arguments([host(**{variable: value})]))
        assert len(found) == count, found
        if found:
            assert found[0].subject == variable
            assert found[0].message.startswith(f"{path} is no list of arguments, each with a name and a value")


def test_a_worker_that_would_be_a_control_plane() -> None:
    document = {"controlPlane": {"localAPIEndpoint": {"advertiseAddress": "192.0.2.6"}}}
    hosts = [host(name, control_plane=name == "cp1", node_join_configuration=document) for name in ("cp1", "worker1")]
    (problem,) = overrides.check_overrides(hosts)
    assert problem.host == "worker1" and "would become a control plane" in problem.message


@pytest.mark.parametrize("join", [{}, {"controlPlane": {"localAPIEndpoint": {"bindPort": 7443}}}])
def test_ports_of_several_api_servers(join: t.Dict[str, t.Any]) -> None:
    document = {"localAPIEndpoint": {"bindPort": 7443}}
    hosts = [
        host(name, control_plane_init_configuration=document, node_join_configuration=join) for name in ("cp1", "cp2")
    ]
    problems = list(overrides.check_overrides(hosts))
    assert [problem.host for problem in problems] == ([] if join else ["cp1", "cp2"])
    assert all("would listen on 6443, and the one that is initialised on 7443" in each.message for each in problems)


def test_an_interface_of_the_pod_network_is_no_reason_to_refuse_a_node() -> None:
    addresses = [{"address": "10.244.7.1", "prefix": 32}]
    looked = {"interfaces": [{"name": "wg-pods", "virtual": False, "addresses": addresses}]}
    for joined, severity in ((True, "warning"), (False, "error")):
        machine = Host("cp1", True, False, GOOD, facts={**looked, "kubernetes": {"joined": joined}})
        assert [problem.severity for problem in cluster.check_node_networks([machine])] == [severity]


def test_the_address_of_a_node_is_real_on_whatever_interface_it_is() -> None:
    addresses = [{"address": "198.51.100.7", "prefix": 32}]
    looked = {"interfaces": [{"name": "dummy0", "virtual": True, "addresses": addresses}]}
    assert node_addresses([Host("cp1", facts=looked)]) == []
    found = node_addresses([Host("cp1", variables={"cluster_node_ip": "198.51.100.7"}, facts=looked)])
    assert [str(address) for _name, address in found] == ["198.51.100.7/32"]


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.37.1", ""),
        ("1.36.4", ""),
        ("1.37", "kube_packages_version: 1.37 is not the version of a release."),
        ("latest", "kube_packages_version: latest is not the version of a release."),
        ("", "kube_packages_version: (empty) is not the version of a release."),
        # The guard of the role would refuse it on the next run: kubelets do not say which revision they are.
        ("1.37.1-1.1", "kube_packages_version: 1.37.1-1.1 is not the version of a release. Leave it out"),
    ],
)
def test_the_version_of_packages(version: str, expected: str) -> None:
    variables = {"cluster_version": "1.37.1", "kube_packages_version": version}
    text = said(cluster.check_packages_version([Host("cp1", variables=variables, given=frozenset(variables))]))
    assert expected in text
    assert bool(text) == bool(expected)


def test_a_malformed_version_of_all_is_said_once() -> None:
    variables = {"cluster_version": "1.37", "kube_packages_version": "1.37"}
    assert not list(cluster.check_packages_version([Host("cp1", variables=variables, given=frozenset(variables))]))


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        # The drain refuses it when the control plane has been upgraded already.
        ("upgrade_drain_timeout", 0, "upgrade_drain_timeout: is 0, and has to be 1 at least. It is no way to wait"),
        ("upgrade_timeout", "-1", "upgrade_timeout: is -1, and has to be 1 at least."),
        ("certificates_timeout", 0, "certificates_timeout: is 0, and has to be 1 at least. It is no way to wait"),
        ("control_plane_timeout", 1, ""),
        ("metallb_timeout", "soon", ""),
        # The API of metrics is waited for in vain.
        ("metrics_server_replicas", 0, "metrics_server_replicas: is 0, and has to be 1 at least. Leave it out."),
        ("metrics_server_replicas", 2, ""),
    ],
)
def test_numbers_that_are_too_small(variable: str, value: t.Any, expected: str) -> None:
    found = said(cluster.check_numbers([host(**{variable: value})]))
    assert expected in found and bool(expected) == bool(found)


def test_packages_that_the_build_runs() -> None:
    hosts = [
        host(name, control_plane=name == "cp1", kube_packages_names=["kubeadm", "kubelet"]) for name in ("cp1", "w1")
    ]
    (problem,) = cluster.check_package_names(hosts)
    assert (problem.host, problem.subject) == ("cp1", "kube_packages_names")
    assert problem.message == "lacks kubectl, which the build runs on this host."
    assert list(cluster.check_package_names([dataclasses.replace(hosts[0], facts=NODE), host()])) == []


def test_times_that_systemd_cannot_read() -> None:
    variable = "serving_certificates_on_calendar"
    bad, good, default = (host(**{variable: text}) for text in ("every 10 minutes", "*:0/10", "not looked at"))
    hosts = [dataclasses.replace(one, given=frozenset({variable})) for one in (bad, good)]
    (problem,) = cluster.check_calendars([*hosts, default])
    assert problem.subject == variable
    assert problem.message == "every 10 minutes is no time that systemd knows (OnCalendar=)."
