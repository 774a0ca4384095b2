# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on the machines."""

from __future__ import annotations

import copy
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import machines, membership, ports
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks.membership import check_runs
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Failure, Host, Problem

VARIABLES: t.Dict[str, t.Any] = {
    "cluster_version": "1.37.1",
    "cluster_node_ip": "",
    "container_runtime_provider": "containerd",
    "kube_packages_version": "1.37.1",
    "node_prep_swap": "absent",
    "preflight_supported_os": {"debian": ["12", "13"], "rocky": ["9"], "ubuntu": ["24.04"], "broken": 1},
    "preflight_minimum_cpus_control_plane": 2,
    "preflight_minimum_cpus_worker": 1,
    "preflight_minimum_memory_mb_control_plane": 1700,
    "preflight_minimum_memory_mb_worker": 900,
    "preflight_minimum_disk_mb": 2048,
    "preflight_recommended_disk_mb": 10240,
}


def machine(number: int = 1, **facts: t.Any) -> t.Dict[str, t.Any]:
    """Facts of a bare machine that is all right; no two numbers share an identity."""
    return {
        "hostname": f"node{number}",
        "machine_id": f"{number:032x}",
        "product_uuid": f"00000000-0000-0000-0000-{number:012x}",
        "os": {"id": "debian", "version_id": "12", "pretty_name": "Debian 12", "architecture": "amd64"},
        "interfaces": [
            {
                "name": "eth0",
                "mac": f"02:42:ac:11:00:{number:02x}",
                "addresses": [{"address": f"192.0.2.{number}", "prefix": 24, "family": 4}],
            },
            {"name": "docker0", "mac": "02:42:00:00:00:01", "virtual": True, "addresses": []},
        ],
        "default_address": f"192.0.2.{number}",
        "default_address6": "",
        "cpu_count": 2,
        "memory_mb": 1900,
        "disk": [
            {"path": "/etc", "free_mb": 1000, "size_mb": 9},
            {"path": "/var/lib", "free_mb": 20000, "size_mb": 30000},
        ],
        "swap": {"active": []},
        "cgroup_version": 2,
        "listening": [{"protocol": "tcp", "address": "0.0.0.0", "port": 22, "pid": 1, "process": "sshd"}],
        "kubernetes": {
            "kubelet_version": "",
            "kubeadm_version": "",
            "control_plane": False,
            "joined": False,
            "unfinished": None,
            "completed": False,
            "ca_cert_hashes": [],
        },
        "service_manager": "systemd",
        **copy.deepcopy(facts),
    }


def host(
    number: int = 1, control_plane: bool = True, facts: t.Optional[t.Dict[str, t.Any]] = None, **given: t.Any
) -> Host:
    return Host(
        f"node{number}",
        control_plane,
        not control_plane,
        {**VARIABLES, **given},
        facts=machine(number) if facts is None else facts,
    )


#: A control plane of the version that is asked for.
RUNNING = {"kubelet_version": "1.37.1", "joined": True, "control_plane": True}
PODS = dict.fromkeys(("kube-apiserver", "kube-controller-manager", "kube-scheduler"), "1.37.1")


def kubernetes(**state: t.Any) -> t.Dict[str, t.Any]:
    return {"kubernetes": {**machine()["kubernetes"], **state}}


def said(*hosts: Host) -> str:
    problems: t.List[Problem] = [
        problem for check in (*machines.CHECKS, *ports.CHECKS, *membership.CHECKS) for problem in check(hosts)
    ]
    return "\n".join(f"{p.severity} {p.host}: {p.subject}: {p.message} {p.remedy}" for p in problems)


def listening(port: int, process: str, pid: int = 77, protocol: str = "tcp") -> t.Dict[str, t.Any]:
    socket = {"protocol": protocol, "address": "0.0.0.0", "port": port, "pid": pid, "process": process}
    return {"listening": [socket]}


def test_good_machines_have_no_problem() -> None:
    assert said(host(), host(2, False), host(3, False)) == ""


SYSTEM = machine()["os"]


@pytest.mark.parametrize(
    ("facts", "given", "expected"),
    [
        ({"cpu_count": 1}, {}, "cpu_count: 1, and a control plane needs 2."),
        ({"memory_mb": 1600}, {}, "memory_mb: 1600 MB, and a control plane needs 1700 MB."),
        ({"disk": [{"path": "/var/lib", "free_mb": 900}]}, {}, "error node1: disk: 900 MB are free in /var/lib"),
        ({"disk": [{"path": "/var/lib", "free_mb": 9000}]}, {}, "warning node1: disk: 9000 MB are free in /var/lib"),
        (
            {"os": {**SYSTEM, "version_id": "11"}},
            {},
            "os: Debian 12 is not supported (debian 12, 13; rocky 9; ubuntu 24.04 are).",
        ),
        ({"os": {**SYSTEM, "id": "rocky", "version_id": "10.0"}}, {}, "os: Debian 12 is not supported"),
        ({"os": {**SYSTEM, "id": "ubuntu", "version_id": "24.10"}}, {}, "os: Debian 12 is not supported"),
        (
            {"os": {**SYSTEM, "id": "arch", "pretty_name": ""}},
            {"preflight_allow_unsupported_os": True},
            "warning node1: os: arch",
        ),
        ({"os": {**SYSTEM, "architecture": "riscv64"}}, {}, "architecture: riscv64 is not supported."),
        (
            {"service_manager": "init"},
            {},
            "service_manager: is init, not systemd; kubelet and runtime are run by it.",
        ),
        ({"service_manager": ""}, {}, "service_manager: is unknown"),
        (
            {"cgroup_version": 1},
            {},
            "or set failCgroupV1: false in control_plane_kubelet_configuration and SystemVerification",
        ),
        (
            {"cgroup_version": 1},
            {"control_plane_kubelet_configuration": {"failCgroupV1": False}},
            "hierarchy=1, or set SystemVerification in cluster_ignore_preflight_errors.",
        ),
        ({"swap": {"active": ["none"]}}, {}, "node_prep_swap: is absent, and the host is a container with swap"),
        ({"swap": {"active": ["/dev/vda2"]}}, {"node_prep_swap": "keep"}, "keeps the swap on /dev/vda2"),
        (listening(6443, "haproxy"), {}, "port 6443: is held by haproxy (pid 77), and kube-apiserver needs it."),
        (listening(10250, "nginx", 0), {}, "port 10250: is held by nginx, and kubelet needs it."),
        (listening(10259, ""), {}, "port 10259: is held by an unknown process (pid 77), and kube-scheduler needs it."),
        (
            listening(8443, "nginx"),
            {"control_plane_init_configuration": {"localAPIEndpoint": {"bindPort": 8443}}},
            "port 8443: is held by nginx",
        ),
        (
            listening(8472, "vpnd", protocol="udp"),
            {"cluster_cni": "flannel", "cni_flannel_backend": "vxlan"},
            "error node1: port 8472/udp: is held by vpnd (pid 77), and Flannel's backend vxlan needs it.",
        ),
        (
            listening(51820, "", 0, "udp"),
            {"cluster_cni": "flannel", "cni_flannel_backend": "wireguard"},
            "port 51820/udp: is held by the kernel, such as a WireGuard interface, and Flannel's backend wireguard",
        ),
        (listening(7946, "dockerd"), {"metallb_enabled": True}, "port 7946/tcp: is held by dockerd (pid 77)"),
        (
            {"disk": [{"path": "/etc", "free_mb": 200}]},
            {},
            "error node1: disk: 200 MB are free in /etc, and 300 MB are needed for the packages.",
        ),
        (
            {"disk": [{"path": "/etc", "free_mb": 9}], **kubernetes(kubeadm_version="1.37.1")},
            {},
            "disk: 9 MB are free in /etc, and 16 MB are needed.",
        ),
        ({"disk": [{"path": "/var/lib/etcd", "free_mb": 3}]}, {}, "disk: 3 MB are free in /var/lib/etcd, and 200 MB"),
        ({"unknown_users": ["alice"]}, {}, "error node1: kubeconfig_users: alice is no user of the host. Make them"),
        ({"unknown_users": ["a", "b"]}, {}, "kubeconfig_users: a and b are no users of the host."),
        ({}, {"cluster_node_ip": "node1"}, "cluster_node_ip: node1 is not an address."),
        ({}, {"cluster_node_ip": "127.0.0.1"}, "cluster_node_ip: 127.0.0.1 cannot be reached from other nodes."),
        ({}, {"cluster_node_ip": "0.0.0.0"}, "cluster_node_ip: 0.0.0.0 cannot be reached from other nodes."),
        ({}, {"cluster_node_ip": "198.51.100.1"}, "198.51.100.1 is on no interface of the host (it has 192.0.2.1)."),
        ({"interfaces": []}, {"cluster_node_ip": "198.51.100.1"}, "is on no interface of the host (it has none)."),
        ({"default_address": ""}, {}, "cluster_node_ip: is empty and the host has no default route"),
        (kubernetes(kubelet_version="1.38.0"), {}, "warning node1: kubelet: 1.38.0 is installed, newer than"),
        (
            kubernetes(kubelet_version="1.36.4", joined=True, control_plane=True),
            {},
            "is a node with kubelet 1.36.4, older than that; site does not change the version of a node. Use",
        ),
        (
            kubernetes(kubelet_version="1.37.2", joined=True, control_plane=True),
            {},
            "is a node with kubelet 1.37.2, newer than that; site does not change the version of a node.",
        ),
        (
            kubernetes(**RUNNING, static_pods={**PODS, "kube-apiserver": "1.36.2", "etcd": "3.6.1"}),
            {},
            "cluster_version: 1.37.1 is asked for, but the control plane of the host is older (kube-apiserver 1.36.2);"
            " site does not change the version of a control plane. Use the upgrade playbook, or set cluster_version",
        ),
        (
            # One thing is said: where the kubelet is older, too, that.
            kubernetes(**{**RUNNING, "kubelet_version": "1.36.2"}, static_pods=dict.fromkeys(PODS, "1.36.2")),
            {},
            "is a node with kubelet 1.36.2, older than that",
        ),
        (kubernetes(joined=True), {}, "is a worker of a cluster (/etc/kubernetes/kubelet.conf) but a control plane in"),
    ],
)
def test_one_bad_fact(facts: t.Dict[str, t.Any], given: t.Dict[str, t.Any], expected: str) -> None:
    text = said(host(facts=machine(**facts), **given))
    assert expected in text
    assert len(text.splitlines()) == 1, text


@pytest.mark.parametrize(
    ("facts", "given"),
    [
        (
            {"cgroup_version": 1},
            {
                "control_plane_kubelet_configuration": {"failCgroupV1": False},
                "control_plane_ignore_preflight_errors": ["systemverification"],
            },
        ),
        ({"cgroup_version": 1}, {"cluster_version": "1.34.9"}),
        ({"cgroup_version": 1}, {"cluster_version": "latest"}),
        ({"swap": {"active": ["/dev/vda2"]}}, {}),
        (
            {"swap": {"active": ["/dev/vda2"]}},
            {"node_prep_swap": "keep", "control_plane_kubelet_configuration": {"failSwapOn": False}},
        ),
        (listening(6443, "kube-apiserver"), {}),
        (listening(10257, "kube-controller"), {}),
        (listening(6443, "dnsmasq", protocol="udp"), {}),
        (listening(6443, "nginx"), {"control_plane_init_configuration": {"localAPIEndpoint": {"bindPort": 8443}}}),
        ({**listening(6443, "", 0), **kubernetes(joined=True, control_plane=True)}, {}),
        ({}, {"cluster_node_ip": "192.0.2.1"}),
        ({"default_address": "", "default_address6": "fd00::1"}, {}),
        (kubernetes(kubelet_version="1.36.4"), {}),
        (kubernetes(joined=True, unfinished={"operation": "init"}), {}),
        (kubernetes(**RUNNING, static_pods={**PODS, "etcd": "3.6.1"}), {}),
        # Manifests that say nothing, and an upgrade that is to be continued.
        (kubernetes(**RUNNING, static_pods={}), {}),
        (kubernetes(**RUNNING, static_pods={"kube-apiserver": "", "kube-scheduler": "1.37.1-own"}), {}),
        (kubernetes(**RUNNING, static_pods={"kube-apiserver": "1.36.2"}, upgrading={"operation": "node"}), {}),
        # A control plane that was upgraded ahead of its kubelet, as today.
        (kubernetes(**RUNNING, static_pods={"kube-apiserver": "1.37.2"}), {}),
        ({"product_uuid": "", "machine_id": ""}, {}),
        ({"disk": []}, {}),
        (
            {"disk": [{"path": path, "free_mb": 20000, "size_mb": 30000} for path in ("/var/lib", "/etc", "/tmp")]},
            {},
        ),
        # The kernel's sockets can be shared by VXLANs; ports that are given are somebody's choice; a node runs it.
        (listening(8472, "", 0, "udp"), {"cluster_cni": "flannel", "cni_flannel_backend": "vxlan"}),
        (listening(8472, "slipway-listen", protocol="udp"), {"cluster_cni": "flannel", "cni_flannel_backend": "vxlan"}),
        (
            listening(8472, "vpnd", protocol="udp"),
            {
                "cluster_cni": "flannel",
                "cni_flannel_backend": "vxlan",
                "cni_flannel_values": {"flannel": {"backendPort": 8473}},
            },
        ),
        (listening(8472, "vpnd", protocol="udp"), {"cluster_cni": "none", "cni_flannel_backend": "vxlan"}),
        # Without kube-proxy, what stands in for it may have its ports.
        (listening(10256, "cilium-agent"), {"control_plane_skip_phases": ["addon/kube-proxy"]}),
        (listening(10249, "cilium-agent"), {"control_plane_skip_phases": ["addon/all"]}),
        ({**listening(7946, "speaker"), **kubernetes(joined=True, control_plane=True)}, {"metallb_enabled": True}),
        # A version without a dot stands for its minor ones, too.
        ({"os": {**SYSTEM, "id": "rocky", "version_id": "9.6"}}, {}),
        ({"os": {**SYSTEM, "id": "rocky", "version_id": "9"}}, {}),
    ],
)
def test_what_is_all_right(facts: t.Dict[str, t.Any], given: t.Dict[str, t.Any]) -> None:
    assert said(host(facts=machine(**facts), **given)) == ""


def test_thresholds_of_workers_and_of_nodes_that_run() -> None:
    small = machine(2, cpu_count=1, memory_mb=950)
    assert said(host(2, False, small)) == ""
    small["memory_mb"] = 800
    assert "error node2: memory_mb: 800 MB, and a worker needs 900 MB." in said(host(2, False, small))
    small["kubernetes"]["joined"] = True
    assert "warning node2: memory_mb: 800 MB" in said(host(2, False, small))


def test_ports_of_the_control_plane_are_free_to_use_on_workers() -> None:
    assert said(host(), host(2, False, machine(2, **listening(6443, "haproxy")))) == ""


@pytest.mark.parametrize(
    ("fact", "value"),
    [("machine_id", "a" * 32), ("product_uuid", "ABC"), ("hostname", "debian"), ("default_address", "192.0.2.9")],
)
def test_identities_that_two_hosts_have(fact: str, value: str) -> None:
    text = said(host(), *(host(n, False, machine(n, **{fact: value})) for n in (2, 3)))
    subject = "cluster_node_ip" if fact == "default_address" else fact
    shown = value.lower()
    assert f"error node2: {subject}: {shown} is the same on node2 and node3." in text
    assert f"error node3: {subject}: {shown} is the same on node2 and node3." in text
    assert "node1" not in text


def test_mac_addresses_that_two_hosts_have() -> None:
    def with_mac(number: int, mac: str, virtual: bool = False) -> Host:
        facts = machine(number)
        facts["interfaces"].append({"name": "eth1", "mac": mac, "virtual": virtual, "addresses": []})
        return host(number, number == 1, facts)

    assert "mac: 02:00:00:00:00:09 is the same on node1 and node2." in said(
        with_mac(1, "02:00:00:00:00:09"), with_mac(2, "02:00:00:00:00:09")
    )
    assert said(with_mac(1, "00:00:00:00:00:00"), with_mac(2, "00:00:00:00:00:00")) == ""
    assert said(with_mac(1, "00:00:5e:00:01:33"), with_mac(2, "00:00:5E:00:01:33")) == ""
    assert said(with_mac(1, "02:00:00:00:00:09", True), with_mac(2, "02:00:00:00:00:09", True)) == ""


def test_identities_that_are_shared_by_design() -> None:
    def board(number: int) -> t.Dict[str, t.Any]:
        facts = machine(number, product_uuid="same")
        facts["interfaces"].append({"name": "bmc0", "mac": "02:00:00:00:00:09", "addresses": []})
        return facts

    allowed = {"preflight_allow_duplicate_product_uuids": True, "preflight_allow_duplicate_macs": ["02:00:00:00:00:09"]}
    assert said(host(1, True, board(1), **allowed), host(2, False, board(2), **allowed)) == ""
    text = said(host(1, True, board(1)), host(2, False, board(2)))
    assert (
        "set preflight_allow_duplicate_product_uuids." in text and "add it to preflight_allow_duplicate_macs." in text
    )


def test_hostnames() -> None:
    same = [machine(n, hostname="debian") for n in (1, 2)]
    allowed = {"preflight_allow_duplicate_hostnames": True}
    assert said(host(1, True, same[0], **allowed), host(2, False, same[1], **allowed)) == ""
    swapped = said(host(1, True, machine(1, hostname="node2")), host(2, False, machine(2, hostname="debian")))
    assert "error node1: hostname: is node2, which is the name of another host in the inventory." in swapped
    assert len(swapped.splitlines()) == 1


def test_hosts_that_nothing_is_known_about() -> None:
    gone = Host("node2", False, True, VARIABLES, failure=Failure("connection", "the host is unreachable.", "Check."))
    left_out = Host("node3", False, True, {**VARIABLES, "cluster_node_ip": "192.0.2.3"})
    assert said(host(), gone, left_out) == "error node2: connection: the host is unreachable. Check."


def test_package_source() -> None:
    bad = Host("node1", True, False, VARIABLES, facts=machine(), source_failure="signed by another key.")
    assert "kube_packages_repository: does not provide Kubernetes 1.37.1: signed by another key. Check" in said(bad)


def test_membership() -> None:
    joined = machine(2, **kubernetes(joined=True))
    worker = host(2, False, joined)
    assert "error node2: kubernetes: belongs to some cluster" in said(host(), worker)
    assert "belongs" not in said(host(facts=machine(**kubernetes(joined=True, control_plane=True))), worker)
    assert "belongs" not in said(host(facts=machine(**kubernetes(unfinished={"operation": "init"}))), worker)
    # The control plane is not in this run: nothing is certain.
    assert "belongs" not in said(Host("node1", True, False, VARIABLES), worker)
    stray = host(2, False, machine(2, **kubernetes(joined=True, control_plane=True)))
    assert "error node2: kubernetes: runs a control plane" in said(host(), stray)
    assert said(host(), host(2, False, machine(2, **kubernetes(joined=True, unfinished={"operation": "join"})))) == ""


def test_limit_without_a_control_plane() -> None:
    left_out = Host("node1", True, False, VARIABLES)
    needed = "error node2: --limit: leaves out all control planes (node1), and the host needs one to join the cluster."
    assert needed in said(left_out, host(2, False))
    begun = machine(2, **kubernetes(joined=True, unfinished={"operation": "join"}))
    assert needed in said(left_out, host(2, False, begun))
    # A run that says 0 changed has not looked at what is in the cluster.
    alone = said(left_out, host(2, False, machine(2, **kubernetes(joined=True))))
    assert alone.startswith("warning : --limit: leaves out all control planes (node1): the machines are looked")
    assert said(left_out) == ""
    gone = Host("node1", True, False, VARIABLES, failure=Failure("connection", "the host is unreachable.", "Check."))
    assert "--limit" not in said(gone, host(2, False))
    complete = machine(3, **kubernetes(joined=True, control_plane=True))
    assert "--limit" not in said(host(3, True, complete), left_out, host(2, False))


def test_limit_builds_no_second_cluster() -> None:
    left_out = Host("node2", True, False, VARIABLES)
    refused = "error node2: --limit: leaves out node2, and the control planes that it does not leave out are bare"
    assert refused in said(host(), left_out, host(3, False))
    assert refused in said(host(facts=machine(**kubernetes(joined=True))), left_out)
    for state in ({"joined": True, "control_plane": True}, {"unfinished": {"operation": "init"}}):
        assert "--limit" not in said(host(facts=machine(**kubernetes(**state))), left_out)
    assert "--limit" not in said(host(), host(2))
    gone = Host("node1", True, False, VARIABLES, failure=Failure("connection", "the host is unreachable.", "Check."))
    assert "--limit" not in said(gone, left_out)


@pytest.mark.parametrize(
    ("authorities", "foreign"),
    [(["sha256:1"], False), (["sha256:0", "sha256:1"], False), (["sha256:2"], True), ([], False)],
)
def test_nodes_of_another_cluster(authorities: t.List[str], foreign: bool) -> None:
    node = {"joined": True, "completed": True}
    first = host(facts=machine(**kubernetes(**node, control_plane=True, ca_cert_hashes=["sha256:1"])))
    report = said(first, host(2, False, machine(2, **kubernetes(**node, ca_cert_hashes=authorities))))
    assert (
        "error node2: kubernetes: is a node of another cluster than node1: its CA is sha256:2, not" in report
    ) is foreign
    assert bool(report) is foreign


def test_another_run() -> None:
    theirs = {"controller": "desk", "pid": 7, "playbook": "site.yml", "user": "bob", "since": "12:00 UTC", "age": 61}
    hosts = [host(1, facts=machine(1, run=theirs)), host(2, False, facts=machine(2, run=theirs))]
    ours = {"controller": "laptop", "pid": 8}
    (problem,) = check_runs(hosts, run=ours, check=False)
    assert (problem.host, problem.subject, problem.severity) == ("node1", "run", "error")
    assert problem.message.startswith(
        "another run works on this cluster: ansible-playbook site.yml by bob on desk (pid 7)"
    )
    assert "1 min 1 s ago" in problem.remedy
    (problem,) = check_runs(hosts, run=ours, check=True)
    assert problem.severity == "warning"
    assert not list(check_runs([host(1, facts=machine(1, run=theirs), preflight_take_over=True)], ours, False))
    assert not list(check_runs(hosts, run=theirs, check=False))


BY_REGEX = {"flannel": {"args": ["--iface-regex=^198"]}}


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ({"cluster_node_ip": "198.51.100.1"}, 0),
        ({"cluster_node_ip": "198.51.100.1", "cni_flannel_interface": "eth0"}, 1),
        ({"cluster_node_ip": "198.51.100.1", "cni_flannel_interface": "eth0", "cni_flannel_values": BY_REGEX}, 0),
        ({"cluster_node_ip": "198.51.100.1", "cni_flannel_interface": "eth1"}, 0),
        ({"cluster_node_ip": "198.51.100.1", "cni_flannel_interface": "198.51.100.1"}, 0),
        ({"cluster_node_ip": "198.51.100.1", "cni_flannel_interface": "eth0", "cni_provider": "none"}, 0),
        ({"cluster_node_ip": "198.51.100.9", "cni_flannel_interface": "eth0"}, 0),
        ({"cluster_node_ip": "192.0.2.1"}, 0),
        ({"cni_flannel_interface": "eth1"}, 1),
        ({}, 0),
    ],
)
def test_the_interface_of_the_pod_network(given: t.Dict[str, t.Any], count: int) -> None:
    facts = two_networks(1)
    problems = list(ports.check_pod_network_interface([host(1, facts=facts, **{"cni_provider": "flannel", **given})]))
    assert [(problem.subject, problem.severity) for problem in problems] == [
        ("cni_flannel_interface", "warning")
    ] * count


def two_networks(number: int, name: str = "eth1") -> t.Dict[str, t.Any]:
    facts = machine(number)
    address = {"address": f"198.51.100.{number}", "prefix": 24, "family": 4}
    facts["interfaces"].append({"name": name, "mac": "", "addresses": [address]})
    return facts


@pytest.mark.parametrize(
    ("name", "addresses", "expected"),
    [
        ("eth1", ("198.51.100.1", "198.51.100.2"), []),
        ("ens4", ("198.51.100.1", "198.51.100.2"), ["eth1 is what Flannel takes, but the host's address"]),
        ("eth1", ("198.51.100.1", ""), ["eth1 is what Flannel takes, but the host's address 192.0.2.2 is on eth0."]),
        ("eth1", ("", "198.51.100.2"), ["eth0 is what Flannel takes, but the host's address 198.51.100.2 is on eth1."]),
    ],
)
def test_one_interface_for_all(name: str, addresses: t.Tuple[str, str], expected: t.List[str]) -> None:
    hosts = [
        host(1, facts=two_networks(1), cni_provider="flannel", cluster_node_ip=addresses[0]),
        host(2, False, facts=two_networks(2, name), cni_provider="flannel", cluster_node_ip=addresses[1]),
    ]
    problems = list(ports.check_pod_network_interface(hosts))
    assert [problem.host for problem in problems] == ["node2"] * len(expected)
    for problem, text in zip(problems, expected):
        assert problem.message.startswith(text)
    assert not list(ports.check_pod_network_interface(hosts[1:]))
