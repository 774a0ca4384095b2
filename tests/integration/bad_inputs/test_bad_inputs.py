# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bad inputs, each refused by ansible-playbook with one clear message before anything has changed.

Needs no lab: machines are described in the inventory, or are this host by the local connection.
Run: ``python -m pytest tests/integration/bad_inputs`` (about a second a case).
"""

from __future__ import annotations

import copy
import dataclasses
import json
import os
import pathlib
import re
import stat
import subprocess
import sys
import typing as t

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]

Values = t.Dict[str, t.Any]


def machine(number: int) -> Values:
    """What node_facts says about a bare machine that is all right."""
    return {
        "hostname": f"debian{number}",
        "machine_id": f"{number:032x}",
        "product_uuid": f"00000000-0000-0000-0000-{number:012x}",
        "os": {
            "id": "debian",
            "version_id": "12",
            "codename": "bookworm",
            "family": "debian",
            "pretty_name": "Debian GNU/Linux 12 (bookworm)",
            "architecture": "amd64",
        },
        "interfaces": [
            {
                "name": "eth0",
                "mac": f"02:42:c0:00:02:{number:02x}",
                "state": "up",
                "virtual": False,
                "addresses": [{"address": f"192.0.2.{number}", "prefix": 24, "family": 4}],
            }
        ],
        "default_address": f"192.0.2.{number}",
        "default_address6": "",
        "cpu_count": 4,
        "memory_mb": 4000,
        "disk": [{"path": "/var/lib", "free_mb": 20000, "size_mb": 30000}],
        "swap": {"active": []},
        "cgroup_version": 2,
        "listening": [],
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
    }


def merged(base: Values, over: Values) -> Values:
    """``base`` with ``over`` merged over it, key by key."""
    result = copy.deepcopy(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


@dataclasses.dataclass
class Case:
    """A mistake and what has to be said about it.

    :param everywhere: variables of all hosts.
    :param worker1: variables of one worker.
    :param facts: facts of machines that differ from good ones, by host.
    :param found: what else was found out about machines (peers, clock), by host.
    :param groups: groups that differ from one control plane and two workers.
    :param warning: whether it is only warned about.
    """

    name: str
    expected: t.Sequence[str]
    everywhere: Values = dataclasses.field(default_factory=dict)
    worker1: Values = dataclasses.field(default_factory=dict)
    facts: t.Dict[str, Values] = dataclasses.field(default_factory=dict)
    groups: t.Dict[str, t.List[str]] = dataclasses.field(default_factory=dict)
    found: t.Dict[str, Values] = dataclasses.field(default_factory=dict)
    warning: bool = False

    def inventory(self) -> Values:
        """As ``ansible-playbook -i FILE.json`` reads it."""
        groups = {"kube_control_plane": ["cp1"], "kube_node": ["worker1", "worker2"], **self.groups}
        names = list(dict.fromkeys(name for members in groups.values() for name in members))
        hosts: t.Dict[str, Values] = {
            name: {"machine": merged(machine(number), self.facts.get(name, {})), **self.found.get(name, {})}
            for number, name in enumerate(names, start=1)
        }
        if "worker1" in hosts:
            hosts["worker1"].update(self.worker1)
        children = {group: {"hosts": {name: {} for name in members}} for group, members in groups.items()}
        return {"all": {"hosts": hosts, "vars": self.everywhere, "children": children}}


def listening(port: int, process: str) -> Values:
    """A TCP port with its owner."""
    socket = {"protocol": "tcp", "address": "0.0.0.0", "port": port, "pid": 77, "process": process}
    return {"listening": [socket]}


def pool(*addresses: str) -> Values:
    """Variables with one MetalLB pool."""
    return {"metallb_address_pools": [{"name": "default", "addresses": list(addresses)}]}


def calico(name: str, expected: t.Sequence[str], everywhere: t.Optional[Values] = None, **given: t.Any) -> Case:
    """A case with Calico and variables of its own."""
    own = {f"cni_calico_{variable}": value for variable, value in given.items()}
    return Case(f"calico-{name}", expected, {"cluster_cni": "calico", **own, **(everywhere or {})})


def cilium(name: str, expected: t.Sequence[str], everywhere: t.Optional[Values] = None, **given: t.Any) -> Case:
    """A case with Cilium and variables of its own."""
    own = {f"cni_cilium_{variable}": value for variable, value in given.items()}
    return Case(f"cilium-{name}", expected, {"cluster_cni": "cilium", **own, **(everywhere or {})})


ROLLOUT = {"type": "rollout", "kind": "daemonset", "namespace": "kube-system", "names": ["weave-net"]}
WEAVE = {"name": "weave", "url": "https://m.example.com/weave.yaml", "checksum": "sha256:" + 64 * "0"}


def manifest(name: str, expected: t.Sequence[str], warning: bool = False, **given: t.Any) -> Case:
    """A case with a pod network from manifests, and variables of its own."""
    good = {"cni_manifests": [{**WEAVE, "ready_when": [ROLLOUT]}], "cni_manifest_cni_file": "10-weave.conflist"}
    own = {
        variable if variable.startswith("c") else f"cni_manifest_{variable}": value for variable, value in given.items()
    }
    return Case(f"manifest-{name}", expected, {"cluster_cni": "manifest", **good, **own}, warning=warning)


def mirrors(upstream: str, *urls: t.Any) -> Values:
    """Variables with mirrors of one registry."""
    return {"cluster_registry_mirrors": {upstream: list(urls)}}


def login(password: str) -> Values:
    """A mirror with a login."""
    return {"url": "https://m.example.com/v2/x", "username": "u", "password": password}


def containerd(**more: t.Any) -> Values:
    """Facts of a machine with containerd."""
    runtime = {"installed": True, "version": "1.7.24", "path": "/usr/bin/containerd", "package": "containerd"}
    return {"runtime": {"containerd": {**runtime, **more}}}


def crio(given: t.Optional[Values] = None, **more: t.Any) -> Values:
    """A case's worker with CRI-O: its variables and its facts."""
    runtime = {"installed": True, "version": "1.36.3", "path": "/usr/bin/crio", "package": "cri-o"}
    variables = {"container_runtime_provider": "crio", "container_runtime_source": "crio", **(given or {})}
    return {"worker1": variables, "facts": {"worker1": {"runtime": {"crio": {**runtime, **more}}}}}


def docker(given: t.Optional[Values] = None, **more: t.Any) -> Values:
    """A case's worker with Docker Engine: its variables and its facts."""
    runtime = {"installed": True, "version": "20.10.24", "path": "/usr/sbin/dockerd", "package": "docker.io"}
    variables = {
        "container_runtime_provider": "docker",
        "container_runtime_cri_dockerd_checksum": f"sha256:{'0' * 64}",
        "container_runtime_registry_mirrors": {},
        **(given or {}),
    }
    return {"worker1": variables, "facts": {"worker1": {"runtime": {"docker": {**runtime, **more}}}}}


def keepalived(vip: str = "192.0.2.100", port: int = 8443, **more: t.Any) -> Values:
    """Variables of three control planes behind keepalived."""
    return {"api_endpoint_provider": "keepalived", "cluster_endpoint": f"{vip}:{port}", **more}


def another_run(**more: t.Any) -> Values:
    """Facts of a control plane that a run of another controller works on."""
    run = {"controller": "desk", "user": "bob", "pid": 7, "playbook": "upgrade.yml", "since": "12:00", "age": 61}
    return {"run": {**run, **more}}


def unreachable(host: str, port: int, error: str = "no answer in 2 s", protocol: str = "tcp") -> Values:
    """A connection that was tried and does not work."""
    failure = {"host": host, "address": "192.0.2.9", "port": port, "protocol": protocol, "error": error}
    return {"peers": {"failures": [failure]}}


EXTERNAL = {"api_endpoint_provider": "external", "cluster_endpoint": "192.0.2.9:443"}
THREE = {"kube_control_plane": ["cp1", "cp2", "cp3"], "kube_node": ["worker1"]}
JOINED = {"kubernetes": {"joined": True}}
BOTH = ("worker1", "worker2")

SKY = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sky", "namespace": "default"}}

CASES = [
    # The version
    Case("no-patch", ["cluster: cluster_version: 1.37 has no patch number."], {"cluster_version": 1.37}),
    Case("leading-v", ["cluster: cluster_version: v1.37.1 has a leading v."], {"cluster_version": "v1.37.1"}),
    Case("no-version", ["cluster_version: latest is not the version of a release."], {"cluster_version": "latest"}),
    Case("old-version", ["1.33.9 is not supported, only 1.34 to 1.37 are."], {"cluster_version": "1.33.9"}),
    Case("new-version", ["1.38.0 is newer than what was tested"], {"cluster_version": "1.38.0"}, warning=True),
    Case(
        "differing-versions",
        ["cluster_version: differs between hosts: 1.37.1 on cp1, 1.36.4 on worker1."],
        worker1={"cluster_version": "1.36.4"},
    ),
    Case(
        "runs-another-version",
        ["cp1: cluster_version: 1.37.1 is asked for, but the host is a node with kubelet 1.36.4", "upgrade playbook"],
        facts={"cp1": {"kubernetes": {"joined": True, "control_plane": True, "kubelet_version": "1.36.4"}}},
    ),
    Case(
        "control-plane-left-behind",
        ["the control plane of the host is older (kube-apiserver 1.36.2)", "Use the upgrade playbook"],
        facts={
            "cp1": {
                "kubernetes": {
                    **{"joined": True, "control_plane": True, "kubelet_version": "1.37.1"},
                    "static_pods": {"kube-apiserver": "1.36.2", "kube-scheduler": "1.37.1", "etcd": "3.6.1"},
                }
            }
        },
    ),
    Case(
        "blanks",
        [
            "cluster_version: '1.37.1 ' has blanks at its ends. Leave them out.",
            "cluster_pod_subnet: ' 10.244.0.0/16' has blanks",
            "cluster_endpoint: 'x:6443 ' has blanks",
        ],
        {"cluster_version": "1.37.1 ", "cluster_pod_subnet": " 10.244.0.0/16", "cluster_endpoint": "x:6443 "},
    ),
    # Who is in the cluster
    Case("no-control-plane", ["cluster_control_plane_hosts: is empty"], groups={"kube_control_plane": []}),
    Case(
        "two-control-planes",
        ["cluster_endpoint: is empty with 2 control planes", "has an even number of hosts (2)"],
        groups={"kube_control_plane": ["cp1", "cp2"]},
    ),
    Case("bad-host-name", ["Worker_1: inventory_hostname: Worker_1 cannot be"], groups={"kube_node": ["Worker_1"]}),
    Case(
        "joined-elsewhere",
        ["worker1: kubernetes: belongs to some cluster (/etc/kubernetes/kubelet.conf), but no control plane"],
        facts={"worker1": JOINED},
    ),
    Case(
        "node-of-another-cluster",
        ["worker1: kubernetes: is a node of another cluster than cp1: its CA is sha256:2, not sha256:1"],
        facts={
            "cp1": {"kubernetes": {"control_plane": True, "completed": True, "ca_cert_hashes": ["sha256:1"]}},
            "worker1": {"kubernetes": {"joined": True, "completed": True, "ca_cert_hashes": ["sha256:2"]}},
        },
    ),
    # The endpoint of several control planes
    Case("no-endpoint", ["cluster_endpoint: is empty with 3 control planes"], groups=THREE),
    Case(
        "keepalived-without-endpoint",
        ["cluster_endpoint: is empty, and api_endpoint_provider is keepalived."],
        {"api_endpoint_provider": "keepalived"},
    ),
    Case(
        "external-without-endpoint",
        ["cluster_endpoint: is empty, and api_endpoint_provider is external."],
        {"api_endpoint_provider": "external"},
    ),
    Case("no-provider", ["is none with 3 control planes"], keepalived(api_endpoint_provider="none"), groups=THREE),
    Case(
        "unknown-provider",
        ["kube-vip is none of none, external"],
        keepalived(api_endpoint_provider="kube-vip"),
        groups=THREE,
    ),
    Case("vip-port", ["has port 6443, which the API server itself"], keepalived(port=6443), groups=THREE),
    Case("vip-port-etcd", ["has port 2380, which etcd listens on"], keepalived(port=2380), groups=THREE),
    Case(
        "foreign-load-balancer",
        ["cp1: /etc/haproxy/haproxy.cfg: would be replaced, and somebody else has written it."],
        keepalived(),
        groups=THREE,
        facts={"cp1": {"foreign_files": ["/etc/haproxy/haproxy.cfg"]}},
    ),
    Case(
        "foreign-completion",
        ["_kubectl: would be replaced, and somebody else has written it. Set kubeconfig_completion: false"],
        facts={"cp1": {"foreign_files": ["/usr/local/share/zsh/site-functions/_kubectl"]}},
    ),
    Case(
        "foreign-authority",
        ["cp2: /etc/kubernetes/pki/ca.crt: is another CA than that of cp1, and joining would replace it"],
        keepalived(),
        groups=THREE,
        facts={"cp2": {"kubernetes": {"ca_cert_hashes": ["sha256:aa"]}}},
    ),
    Case("vip-name", ["api_endpoint_vip: api.example.com is no IPv4"], keepalived("api.example.com"), groups=THREE),
    Case("vip-ipv6", ["api_endpoint_vip: 2001:db8::9 is no IPv4"], keepalived("[2001:db8::9]"), groups=THREE),
    Case(
        "vip-outside",
        ["203.0.113.5 is in no network of the host (192.0.2.0/24)"],
        keepalived("203.0.113.5"),
        groups=THREE,
    ),
    Case(
        "vip-of-a-node",
        ["worker1: api_endpoint_vip: 192.0.2.4 is the host's own"],
        keepalived("192.0.2.4"),
        groups=THREE,
    ),
    Case("vip-broadcast", ["192.0.2.255 is no address of a machine"], keepalived("192.0.2.255"), groups=THREE),
    Case("vip-in-services", ["10.96.0.1 is in cluster_service_subnet"], keepalived("10.96.0.1"), groups=THREE),
    Case("vip-in-pods", ["10.244.0.1 is in cluster_pod_subnet"], keepalived("10.244.0.1"), groups=THREE),
    Case(
        "vip-in-pool",
        ["192.0.2.100 is in the range 192.0.2.96/28 of metallb_address_pools."],
        {**keepalived(), **pool("192.0.2.96/28")},
        groups=THREE,
    ),
    Case(
        "vip-elsewhere",
        ["192.0.2.101 is not where cluster_endpoint 192.0.2.100:8443 leads to."],
        keepalived(api_endpoint_vip="192.0.2.101"),
        groups=THREE,
    ),
    Case("vip-interface", ["there is no eth1 (it has eth0)"], keepalived(api_endpoint_interface="eth1"), groups=THREE),
    Case("router-id", ["300 is not between 1 and 255"], keepalived(api_endpoint_router_id=300), groups=THREE),
    Case("password-broken", ["has no configuration with them"], keepalived(api_endpoint_password="a}b"), groups=THREE),
    Case("password", ["has more than 8"], keepalived(api_endpoint_password="123456789"), groups=THREE, warning=True),
    Case(
        "endpoint-differs",
        ["cluster_endpoint: is api.example.com:6443, but the cluster was built with 192.0.2.1:6443.", "make-it-ha.md"],
        {"cluster_endpoint": "api.example.com:6443"},
        facts={"cp1": {"kubernetes": {"joined": True, "control_plane": True, "endpoint": "192.0.2.1:6443"}}},
    ),
    Case(
        "endpoint-lost",
        ["cluster_endpoint: is empty, but the cluster was built with api.example.com:6443"],
        facts={"cp1": {"kubernetes": {"joined": True, "control_plane": True, "endpoint": "api.example.com:6443"}}},
    ),
    Case(
        "vip-in-use",
        ["cluster: api_endpoint_vip: 192.0.2.100 is in use by a machine with the MAC address 02:42:c0:00:02:63"],
        keepalived(),
        groups=THREE,
        found={"cp1": {"peers": {"vip_holder": "02:42:c0:00:02:63"}}},
    ),
    Case(
        "router-id-on-the-wire",
        ["cluster: api_endpoint_router_id: 51 is used by 192.0.2.77 in this network, for 192.0.2.78."],
        keepalived(api_endpoint_router_id=51),
        groups=THREE,
        found={"cp2": {"peers": {"vrrp": [{"sender": "192.0.2.77", "router_id": 51, "addresses": ["192.0.2.78"]}]}}},
    ),
    Case(
        "load-balancer-unreachable",
        ["worker1: cluster_endpoint: 192.0.2.9 cannot be reached on port 443/tcp: no answer in 2 s."],
        EXTERNAL,
        found={"worker1": unreachable("cluster_endpoint", 443)},
    ),
    Case(
        "load-balancer-refuses",
        ["worker1: cluster_endpoint: 192.0.2.9 refuses connections on port 443/tcp."],
        EXTERNAL,
        found={"worker1": unreachable("cluster_endpoint", 443, "connection refused")},
        warning=True,
    ),
    # Connections and clocks
    Case(
        "api-unreachable",
        ["worker1: connection: cp1 (192.0.2.9) cannot be reached on port 6443/tcp, which is for the API server"],
        found={"worker1": unreachable("cp1", 6443)},
    ),
    Case(
        "overlay-unreachable",
        ["worker1: connection: worker2 (192.0.2.9) cannot be reached on port 8472/udp, which is for Flannel"],
        found={"worker1": unreachable("worker2", 8472, protocol="udp")},
    ),
    Case(
        "clock",
        ["worker2: time: the clock is 59.8 s behind that of cp1."],
        found={"cp1": {"clock": [0.0, 0.2]}, "worker2": {"clock": [-60.0, -59.8]}},
    ),
    Case(
        "clock-warning",
        ["worker1: time: the clock is 0.7 s ahead of that of cp1."],
        found={"cp1": {"peers": {"clocks": {"worker1": [0.7, 0.71]}}}},
        warning=True,
    ),
    Case(
        "no-time-sync",
        ["worker1: time_sync: nothing synchronises the clock"],
        facts={"worker1": {"time_sync": ""}},
        warning=True,
    ),
    # Another run
    Case(
        "another-run",
        ["cp1: run: another run works on this cluster: ansible-playbook upgrade.yml by bob on desk (pid 7) since 12"],
        facts={"cp1": another_run()},
    ),
    Case("take-over", ["take_over: argument"], {"preflight_take_over": "perhaps"}, facts={"cp1": another_run(age=700)}),
    # Identities
    *(
        Case(
            f"same-{fact}",
            [f"worker1, worker2: {fact}: {value} is the same on worker1 and worker2."],
            facts={name: {fact: value} for name in BOTH},
        )
        for fact, value in [("hostname", "debian"), ("machine_id", "a" * 32), ("product_uuid", "1-2-3")]
    ),
    Case(
        "same-mac",
        ["worker1, worker2: mac: 02:42:c0:00:02:09 is the same on worker1 and worker2."],
        facts={name: {"interfaces": [{"name": "eth0", "mac": "02:42:C0:00:02:09", "addresses": []}]} for name in BOTH},
    ),
    # Machines
    Case("one-cpu", ["cp1: cpu_count: 1, and a control plane needs 2."], facts={"cp1": {"cpu_count": 1}}),
    Case("little-memory", ["cp1: memory_mb: 1024 MB, and a control plane needs"], facts={"cp1": {"memory_mb": 1024}}),
    Case("little-memory-worker", ["worker2: memory_mb: 512 MB, and a worker"], facts={"worker2": {"memory_mb": 512}}),
    Case(
        "full-disk",
        ["worker1: disk: 900 MB are free in /var/lib"],
        facts={"worker1": {"disk": [{"path": "/var/lib", "free_mb": 900, "size_mb": 9000}]}},
    ),
    Case(
        "unsupported-os",
        ["worker1: os: Alpine Linux v3.20 is not supported"],
        facts={"worker1": {"os": {"id": "alpine", "version_id": "3.20", "pretty_name": "Alpine Linux v3.20"}}},
    ),
    Case(
        "unsupported-os-allowed",
        ["worker1: os: Debian 11 is not supported"],
        {"preflight_allow_unsupported_os": True},
        facts={"worker1": {"os": {"version_id": "11", "pretty_name": "Debian 11"}}},
        warning=True,
    ),
    Case(
        "family-without-the-runtime",
        ["worker1: container_runtime_source: is distribution, and Rocky Linux 9.6 has no containerd from there."],
        facts={
            "worker1": {
                "os": {"id": "rocky", "version_id": "9.6", "family": "redhat", "pretty_name": "Rocky Linux 9.6"}
            }
        },
    ),
    Case("architecture", ["cp1: architecture: s390x is not"], facts={"cp1": {"os": {"architecture": "s390x"}}}),
    Case(
        "arm-with-a-system-of-32-bits",
        ["worker1: architecture: arm is not supported. Use a machine with amd64 or arm64, whose system is of 64 bits"],
        facts={"worker1": {"os": {"architecture": "arm"}}},
    ),
    Case("no-systemd", ["cp1: service_manager: is other, not systemd"], facts={"cp1": {"service_manager": "other"}}),
    Case("cgroup-v1", ["worker1: cgroup_version: is 1, which kubelet and"], facts={"worker1": {"cgroup_version": 1}}),
    Case(
        "swap-kept",
        ["worker1: node_prep_swap: keeps the swap on /dev/vda2", "failSwapOn: false"],
        {"node_prep_swap": "keep"},
        facts={"worker1": {"swap": {"active": ["/dev/vda2"]}}},
    ),
    Case("port-6443", ["cp1: port 6443: is held by haproxy (pid 77)"], facts={"cp1": listening(6443, "haproxy")}),
    Case("port-10250", ["worker2: port 10250: is held by nginx"], facts={"worker2": listening(10250, "nginx")}),
    # Networks
    Case("pod-subnet", ["cluster_pod_subnet: is malformed: 10.244.0.0 is not"], {"cluster_pod_subnet": "10.244.0.0"}),
    Case("service-subnet", ["cluster_service_subnet: is malformed:"], {"cluster_service_subnet": "10.96.0.0/64"}),
    Case(
        "netmasks",
        [
            "cluster_pod_subnet: is malformed: 10.244.0.0/255.255.0.0 is not a network. Write it as 10.244.0.0/16.",
            "metallb_address_pools[default]: is malformed: 192.0.2.16/255.255.255.240 is not a network.",
        ],
        {"cluster_pod_subnet": "10.244.0.0/255.255.0.0", **pool("192.0.2.16/255.255.255.240")},
    ),
    Case(
        "taints",
        ["cluster_node_taints: the value of gpu is not text (True).", "cluster_node_taints: gpu:NoExecute is there tw"],
        {"cluster_node_taints": [{"key": "gpu", "value": value, "effect": "NoExecute"} for value in (True, "a")]},
    ),
    Case(
        "arguments-of-v1beta3",
        [
            "control_plane_cluster_configuration: apiServer.extraArgs is no list of arguments, each with a name and a",
            "node_join_configuration: nodeRegistration.kubeletExtraArgs is no list of arguments",
            'Write it as [{name: v, value: "2"}].',
        ],
        {
            "control_plane_cluster_configuration": {"apiServer": {"extraArgs": {"profiling": "false"}}},
            "node_join_configuration": {"nodeRegistration": {"kubeletExtraArgs": {"max-pods": "50"}}},
        },
    ),
    Case(
        "handed-to-kubeadm",
        [
            "cp1: control_plane_cluster_configuration: networking.podSubnet is 10.50.0.0/16, and cluster_pod_subnet",
            "cp1: control_plane_skip_phases: addons/kube-proxy is no phase of kubeadm init, which refuses it.",
            "all hosts: cluster_ignore_preflight_errors: has all and swap, and kubeadm refuses any other name",
            "cp1: kube_packages_names: lacks kubectl, which the build runs on this host.",
        ],
        {
            "control_plane_cluster_configuration": {"networking": {"podSubnet": "10.50.0.0/16"}},
            "control_plane_skip_phases": ["addons/kube-proxy"],
            "cluster_ignore_preflight_errors": ["all", "Swap"],
            "kube_packages_names": ["kubeadm", "kubelet"],
        },
    ),
    Case(
        "numbers-and-times",
        [
            "all hosts: upgrade_drain_timeout: is 0, and has to be 1 at least. It is no way to wait for ever.",
            "all hosts: metrics_server_replicas: is 0, and has to be 1 at least.",
            "cp1: serving_certificates_on_calendar: every 10 minutes is no time that systemd knows (OnCalendar=).",
        ],
        {
            "upgrade_drain_timeout": 0,
            "metrics_server_replicas": 0,
            "serving_certificates_on_calendar": "every 10 minutes",
        },
    ),
    Case("overlap", ["10.96.128.0/17 overlaps cluster_service_subnet"], {"cluster_pod_subnet": "10.96.128.0/17"}),
    Case("node-in-pods", ["192.0.2.0/24 contains the host's own"], {"cluster_pod_subnet": "192.0.2.0/24"}),
    Case("small-pod-subnet", ["has room for 2 nodes (each a /24), the"], {"cluster_pod_subnet": "10.244.0.0/23"}),
    Case("node-ip-name", ["worker1: cluster_node_ip: eth0 is not an"], worker1={"cluster_node_ip": "eth0"}),
    Case("node-ip-elsewhere", ["203.0.113.9 is on no interface"], worker1={"cluster_node_ip": "203.0.113.9"}),
    Case("node-ip-shared", ["192.0.2.1 is the same on cp1 and worker"], {"cluster_node_ip": "192.0.2.1"}),
    Case(
        "cert-sans-of-others",
        ["worker1: cluster_node_cert_sans: cp1 is the name of another host.", "10.96.0.1 is in the network of pods or"],
        worker1={"cluster_node_cert_sans": ["cp1", "10.96.0.1"]},
    ),
    Case("endpoint", ["cluster_endpoint: https://api:6443 is not host"], {"cluster_endpoint": "https://api:6443"}),
    Case("cluster-name", ["cluster_name: My Cluster is not a DNS label."], {"cluster_name": "My Cluster"}),
    # Registries, load balancer
    Case("mirror-upstream", ["is not the name of a registry."], mirrors("https://docker.io", {"url": "https://a"})),
    Case("mirror-url", ["[docker.io]: has a mirror whose url a:5000 is"], mirrors("docker.io", {"url": "a:5000"})),
    Case(
        "mirror-blank",
        ["[docker.io]: has a mirror whose url https://a/b c is"],
        mirrors("docker.io", {"url": "https://a/b c"}),
    ),
    Case(
        "mirror-of-docker",
        ["looks for mirrors of Docker Hub by the name docker.io."],
        mirrors("index.docker.io"),
        warning=True,
    ),
    Case(
        "address",
        ["kube_packages_repository: https://a/b c is malformed."],
        {"kube_packages_repository": "https://a/b c"},
    ),
    # Releases without packages
    Case(
        "release-beside-packages",
        [
            "worker1: kube_packages_source: is release, but packages have brought /usr/bin/kubeadm, /usr/bin/kubelet,",
            "worker1: container_runtime_source: is release, but the package containerd is installed, and both would be",
        ],
        {
            "kube_packages_source": "release",
            "container_runtime_source": "release",
            "container_runtime_version": "2.4.2",
        },
        facts={
            "worker1": {
                "kubernetes": {"packaged": ["/usr/bin/kubeadm", "/usr/bin/kubelet"]},
                "runtime": {
                    "containerd": {
                        **{"installed": True, "path": "/usr/bin/containerd", "package": "containerd"},
                        **{"version": "1.7.24", "release": "", "packages": {"containerd": "1.7.24~ds1-6"}},
                    }
                },
            }
        },
    ),
    Case(
        "packages-beside-release",
        [
            "worker1: kube_packages_source: is packages, but kubeadm and kubelet of a release are there, and found",
            "worker1: container_runtime_source: is distribution, whose package is containerd, but",
        ],
        facts={
            "worker1": {
                "releases": {"kubeadm": "1.37.1", "kubelet": "1.37.1", "containerd": "2.4.2"},
                "runtime": {
                    "containerd": {
                        **{"installed": True, "path": "/usr/local/bin/containerd", "package": ""},
                        **{"version": "2.4.2", "release": "2.4.2", "packages": {}},
                    }
                },
            }
        },
    ),
    Case(
        "release-checksums",
        [
            "all hosts: kube_packages_checksums[kubelet]: 1234 is neither a SHA-256 nor the address of a file with",
            "all hosts: kube_packages_checksums[kubeadm]: (empty) is neither a SHA-256 nor the address of a file with",
            "all hosts: kube_packages_checksums[cni]: is of nothing that is downloaded. There are kubeadm, kubelet,",
        ],
        {
            "kube_packages_source": "release",
            "kube_packages_checksums": {"kubelet": "1234", "kubeadm": "", "cni": "sha256:" + "0" * 64},
        },
    ),
    Case(
        "release-of-containerd-not-named",
        [
            "all hosts: container_runtime_version: (empty) is not the version of a release. Name one with all three",
            "all hosts: container_runtime_runc_version: v1.5 is not the version of a release.",
        ],
        {"container_runtime_source": "release", "container_runtime_runc_version": "v1.5"},
    ),
    Case(
        "release-of-crio",
        ["worker1: container_runtime_source: is release, from which there is no crio. Set it to crio."],
        worker1={
            "container_runtime_provider": "crio",
            "container_runtime_source": "release",
            "container_runtime_version": "1.36.3",
        },
    ),
    Case(
        "release-names-and-address",
        [
            "all hosts: kube_packages_names: has cri-tools, of which there is no release. Leave it out",
            "all hosts: kube_packages_download_url: https://a/b c is malformed.",
        ],
        {
            "kube_packages_source": "release",
            "kube_packages_names": ["kubeadm", "kubelet", "kubectl", "cri-tools"],
            "kube_packages_download_url": "https://a/b c",
        },
    ),
    Case(
        "release-files-of-others",
        [
            "worker1: /etc/crictl.yaml: would be replaced, and somebody else has written it.",
            "worker1: kubernetes: has /usr/local/bin/kubelet, which no package has brought",
        ],
        {"kube_packages_source": "release"},
        facts={
            "worker1": {
                "foreign_files": ["/etc/crictl.yaml"],
                "installer": {"name": "by hand", "trace": "/usr/local/bin/kubelet"},
            }
        },
    ),
    Case("helm-checksum", ["helm_archive_checksum: is neither a"], {"helm_archive_checksum": "sha256:abc"}),
    Case(
        "runtime-config",
        ["container_runtime_config: debug.level is null, which"],
        {"container_runtime_config": {"debug": {"level": None}}},
    ),
    Case(
        "sysctl", ["node_prep_extra_sysctls: vm.x needs a number or one"], {"node_prep_extra_sysctls": {"vm.x": None}}
    ),
    Case(
        "sysctl-off",
        ["all hosts: node_prep_extra_sysctls: sets net.ipv4.ip_forward to 0, without which pods have no network."],
        {"node_prep_extra_sysctls": {"net.ipv4.ip_forward": 0}},
    ),
    Case(
        "sysctl-twice",
        ["net.ipv4.ip_forward (1) and net/ipv4/ip_forward (0) are one sysctl."],
        {"node_prep_extra_sysctls": {"net/ipv4/ip_forward": 0}},
    ),
    Case("hostname", ["node_prep_hostname: My_Host is not a DNS name in"], worker1={"node_prep_hostname": "My_Host"}),
    Case("mirror-key", ["unknown key uri. Did you mean url?"], mirrors("docker.io", {"uri": "https://a"})),
    Case(
        "mirror-logins",
        ["[quay.io]: has another login for m.example.com than another mirror, and the runtime knows one for each host"],
        {"cluster_registry_mirrors": {"docker.io": [login("one")], "quay.io": [login("two")]}},
    ),
    Case(
        "mirror-authority",
        ["cluster_registry_mirrors[docker.io]: has a mirror whose ca mirror.crt is no file on the controller."],
        mirrors("docker.io", {"url": "https://m.example.com", "ca": "mirror.crt"}),
    ),
    Case(
        "mirror-override-path",
        ["has a mirror whose override_path is neither true nor false. Use true or false."],
        mirrors("docker.io", {"url": "https://m.example.com/x", "override_path": "always"}),
    ),
    # The container runtime
    Case(
        "docker-package",
        ["worker1: container_runtime_source: is distribution, whose package is containerd, but containerd.io is"],
        facts={"worker1": containerd(package="containerd.io")},
    ),
    Case(
        "runtime-of-no-package",
        ["worker2: containerd: /usr/local/bin/containerd is part of no package"],
        facts={"worker2": containerd(path="/usr/local/bin/containerd", package="")},
    ),
    Case(
        "crio-source",
        ["worker1: container_runtime_source: is distribution, from which there is no crio. Set it to crio."],
        worker1={"container_runtime_provider": "crio"},
    ),
    Case(
        "crio-minor",
        ["worker1: container_runtime_version: is 1.34.*, and CRI-O has to be"],
        **crio({"container_runtime_version": "1.34.*"}),
    ),
    Case(
        "crio-crun",
        ["worker1: crun: /usr/bin/crun is of version 1.8.1, and each container would fail with it"],
        **crio(oci_runtimes={"crun": {"path": "/usr/bin/crun", "version": "1.8.1"}}),
    ),
    Case(
        "crio-cgroups",
        ["worker1: container_runtime_config: has cgroupfs as crio.runtime.cgroup_manager, and the kubelet"],
        **crio({"container_runtime_config": {"crio": {"runtime": {"cgroup_manager": "cgroupfs"}}}}),
    ),
    Case(
        "crio-mirror",
        ["worker1: cluster_registry_mirrors[docker.io]: the mirror https://m.example.com/hub of docker.io has a path"],
        **crio({"cluster_registry_mirrors": {"docker.io": [{"url": "https://m.example.com/hub"}]}}),
    ),
    Case(
        "crio-any-registry",
        ["worker1: cluster_registry_mirrors[_default]: _default means any registry, which CRI-O has no word for"],
        **crio({"cluster_registry_mirrors": {"_default": [{"url": "https://m.example.com"}]}}),
    ),
    Case(
        "crio-foreign-registries",
        ["worker1: /etc/containers/registries.conf: was not written by this collection and says how docker.io is"],
        **crio(
            {"cluster_registry_mirrors": {"docker.io": [{"url": "https://m.example.com"}]}},
            registries={"/etc/containers/registries.conf": ["docker.io"]},
        ),
    ),
    Case(
        "socket-of-another-runtime",
        ["worker1: cluster_cri_socket: is unix:///run/containerd/containerd.sock, and container_runtime_provider is"],
        **crio({"cluster_cri_socket": "unix:///run/containerd/containerd.sock"}),
    ),
    Case(
        "docker-no-json",
        ["worker1: /etc/docker/daemon.json: cannot be merged with ours: /etc/docker/daemon.json, line 3, column 1, is"],
        **docker(configuration={"error": "/etc/docker/daemon.json, line 3, column 1, is no JSON: Extra data."}),
    ),
    Case(
        "docker-cgroups",
        ["worker1: /etc/docker/daemon.json: has native.cgroupdriver=cgroupfs in exec-opts, and the kubelet of this"],
        **docker(configuration={"cgroup_driver": "cgroupfs"}),
    ),
    Case(
        "docker-foreign-containers",
        ["worker1: docker.service: runs with the cgroup driver cgroupfs and has to be restarted for systemd, which"],
        **docker(engine={"cgroup_driver": "cgroupfs", "live_restore": False, "others": 2}),
    ),
    Case(
        "docker-flags",
        ["worker1: docker.service: is started with --log-driver, and the engine refuses to start with an option that"],
        **docker(flags=["--log-driver"]),
    ),
    Case(
        "docker-mirror-of-another-registry",
        ["worker1: cluster_registry_mirrors[quay.io]: the mirror https://m.example.com is one of quay.io, and Docker"],
        **docker({"container_runtime_registry_mirrors": {"quay.io": [{"url": "https://m.example.com"}]}}),
    ),
    Case(
        "docker-without-checksum",
        ["worker1: container_runtime_cri_dockerd_checksum: is empty, and upstream has no file of checksums beside its"],
        **docker({"container_runtime_cri_dockerd_checksum": ""}),
    ),
    Case(
        "docker-users",
        ["worker1: container_runtime_docker_users: bob is no user of the host. Make them there"],
        worker1=docker({"container_runtime_docker_users": ["bob"]})["worker1"],
        facts={"worker1": {**docker()["facts"]["worker1"], "unknown_users": ["bob"]}},
    ),
    Case(
        "docker-unit-of-others",
        ["worker1: /etc/systemd/system/cri-docker.service: was not written by this collection, and the unit of"],
        **docker(foreign_files=["/etc/systemd/system/cri-docker.service"]),
    ),
    Case(
        "foreign-config",
        [
            "cp1: /etc/containerd/config.toml: was not written by this collection",
            "container_runtime_foreign_files: copy",
        ],
        facts={"cp1": containerd(foreign_files=["/etc/containerd/config.toml"])},
    ),
    Case(
        "foreign-hosts",
        ["worker1: /etc/containerd/certs.d/quay.io/hosts.toml: was not written by this collection, and the mirrors"],
        mirrors("quay.io", {"url": "https://m.example.com"}),
        facts={"worker1": containerd(foreign_files=["/etc/containerd/certs.d/quay.io/hosts.toml"])},
    ),
    Case(
        "drop-in-of-generation-1",
        ["99-nvidia.toml: replaces all that /etc/containerd/config.toml says of the CRI plugin"],
        facts={
            "worker1": containerd(
                version="1.7.24",
                drop_ins=[
                    {
                        "path": "/etc/containerd/conf.d/99-nvidia.toml",
                        "version": 2,
                        "cri": True,
                        "systemd_cgroup": False,
                        "registries": False,
                    }
                ],
            )
        },
    ),
    Case("pool-syntax", ["metallb_address_pools[default]: is malformed: 192.0.2.200 is"], pool("192.0.2.200")),
    Case("pool-reversed", ["192.0.2.220-192.0.2.200 ends before it starts"], pool("192.0.2.220-192.0.2.200")),
    Case("pool-with-node", ["contains 192.0.2.2, the address of worker1."], pool("192.0.2.2-192.0.2.9")),
    Case("pool-elsewhere", ["is in no network that a node has"], pool("198.51.100.0/28"), warning=True),
    # CoreDNS
    Case(
        "dns-upstream-is-a-name",
        ["coredns_upstreams: has 'dns.example.com', which is no address of a server."],
        {"coredns_upstreams": ["dns.example.com"]},
    ),
    Case(
        "dns-upstream-is-the-pod-itself",
        ["coredns_upstreams: has 127.0.0.53, which in a pod of CoreDNS is the pod itself"],
        {"coredns_upstreams": ["127.0.0.53"]},
    ),
    Case(
        "dns-upstream-is-the-clusters-own",
        ["coredns_upstreams: has 10.96.0.10, which is the cluster's own DNS: CoreDNS would ask itself and stop."],
        {"coredns_upstreams": ["10.96.0.10"]},
    ),
    Case(
        "dns-zone-with-a-line-break",
        [r"coredns_zones[corp\n}]: has 'corp\n}', which is no zone."],
        {"coredns_zones": [{"zones": ["corp\n}"], "upstreams": ["192.0.2.53"]}]},
    ),
    Case(
        "dns-zone-of-the-cluster",
        ["coredns_zones[local]: local takes names of the cluster's own domain cluster.local away from it."],
        {"coredns_zones": [{"zones": ["local"], "upstreams": ["192.0.2.53"]}]},
    ),
    Case(
        "dns-zone-without-servers",
        ["coredns_zones[corp.example.com]: has nobody to ask."],
        {"coredns_zones": [{"zones": ["corp.example.com"]}]},
    ),
    Case(
        "dns-hosts-the-wrong-way-round",
        ["coredns_hosts: has 'a.example.com 192.0.2.1', which does not begin with an address."],
        {"coredns_hosts": ["a.example.com 192.0.2.1"]},
    ),
    Case(
        "dns-plugin-with-a-brace-too-many",
        ["coredns_plugins[cache]: closes a block that it has not opened."],
        {"coredns_plugins": {"cache": "cache 300\n}\n}"}},
    ),
    Case(
        "dns-plugin-that-is-needed",
        ["coredns_plugins[ready]: is empty, and without this plugin there is no DNS."],
        {"coredns_plugins": {"ready": ""}},
    ),
    Case("dns-replicas", ["coredns_replicas: is -1, and has to be 0 at least."], {"coredns_replicas": -1}),
    Case(
        "dns-that-is-not-there",
        ["coredns_replicas: is set, and kubeadm is told to install no CoreDNS (addon/coredns in"],
        {"coredns_replicas": 3, "control_plane_skip_phases": ["addon/coredns"]},
    ),
    # Calico
    calico("version", ["cni_calico_version: v3.28.5 is not the version of a release."], version="v3.28.5"),
    calico(
        "release-without-checksum",
        ["cni_calico_manifest_checksum: is empty: no checksum of this file of 3.27.5 is known here."],
        version="3.27.5",
    ),
    calico("checksum", ["cni_calico_calicoctl_checksum: is neither a SHA-256 nor"], calicoctl_checksum="md5:1"),
    calico("manifest-address", ["cni_calico_manifest_url: https://a b/c is malformed."], manifest_url="https://a b/c"),
    calico("encapsulation", ["cni_calico_encapsulation: geneve is none of vxlan, ipip"], encapsulation="geneve"),
    calico("block-size", ["cni_calico_block_size: is 16, and Calico has blocks of /20 to /32."], block_size=16),
    calico(
        "block-larger-than-the-network",
        ["cni_calico_block_size: is 20, and a block of that size is larger than cluster_pod_subnet 10.244.0.0/22"],
        {"cluster_pod_subnet": "10.244.0.0/22"},
        block_size=20,
    ),
    calico("mtu", ["cni_calico_mtu: is 576, and has to be 0 or between 1280 and 65535."], mtu=576),
    calico("cross-subnet", ["cni_calico_cross_subnet: is true, and with"], cross_subnet=True, encapsulation="none"),
    calico("typha", ["cni_calico_typha_replicas: is 4, and has to be between 0 and the number"], typha_replicas=4),
    calico("pool", ["cni_calico_ip_pool: has cidr, which has a variable of its own."], ip_pool={"cidr": "10.0.0.0/8"}),
    calico("bpf", ["cni_calico_felix: has bpfEnabled, which takes kube-proxy's place"], felix={"bpfEnabled": True}),
    calico(
        "object", ["cni_calico_objects: entry 1 is no object of"], objects=[{"kind": "BGPPeer", "apiVersion": "v1"}]
    ),
    Case(
        "calico-unreachable",
        ["worker1: connection: worker2 (192.0.2.9) cannot be reached on port 4789/udp, which is for Calico"],
        {"cluster_cni": "calico"},
        found={"worker1": unreachable("worker2", 4789, protocol="udp")},
    ),
    # Cilium
    cilium(
        "beside-kube-proxy",
        [
            "cni_cilium_kube_proxy_replacement: is true, and kubeadm installs kube-proxy, which would do the same work",
            "Set control_plane_skip_phases: [addon/kube-proxy], too.",
        ],
        kube_proxy_replacement=True,
    ),
    cilium(
        "without-kube-proxy",
        ["cni_cilium_kube_proxy_replacement: is false, and there is no kube-proxy: nobody would lead to services."],
        {"control_plane_skip_phases": ["addon/kube-proxy"]},
    ),
    cilium("routing", ["cni_cilium_routing_mode: vxlan is none of tunnel, native"], routing_mode="vxlan"),
    cilium("mtu", ["cni_cilium_mtu: is 576, and has to be 0 or between 1280 and 65535."], mtu=576),
    cilium("version", ["cni_cilium_chart_version: 1.15 is no exact version of a chart"], chart_version="1.15"),
    cilium(
        "addresses",
        ["cni_cilium_values: has ipam.mode cluster-pool, and pods have addresses of their Node's podCIDRs here"],
        values={"ipam": {"mode": "cluster-pool"}},
    ),
    cilium(
        "value-with-a-variable",
        ["cni_cilium_values: has routingMode, which has a variable of its own. Set cni_cilium_routing_mode."],
        values={"routingMode": "native"},
    ),
    cilium(
        "tunnel", ["cni_cilium_values: has tunnelProtocol ipip, which is none of"], values={"tunnelProtocol": "ipip"}
    ),
    cilium(
        "tunnel-without-tunnels",
        ["cni_cilium_values: has tunnelProtocol geneve, and cni_cilium_routing_mode is native, without tunnels."],
        routing_mode="native",
        values={"tunnelProtocol": "geneve"},
    ),
    cilium(
        "family-by-value",
        ["cni_cilium_values: has ipv6.enabled, which has a variable of its own. Set cluster_pod_subnet."],
        values={"ipv6": {"enabled": True}},
    ),
    Case(
        "cilium-unreachable",
        ["worker1: connection: worker2 (192.0.2.9) cannot be reached on port 8472/udp, which is for Cilium, for the"],
        {"cluster_cni": "cilium"},
        found={"worker1": unreachable("worker2", 8472, protocol="udp")},
    ),
    # A pod network from manifests
    manifest("without-entries", ["cni_manifests: has no entries, and cluster_cni: manifest has"], cni_manifests=[]),
    manifest(
        "without-checksum",
        ["cni_manifests: weave: what is downloaded is not verified"],
        cni_manifests=[{"name": "weave", "url": "https://m.example.com/weave.yaml", "ready_when": [ROLLOUT]}],
    ),
    manifest(
        "entry-without-name",
        ["cni_manifests: entry 2: missing required arguments: name."],
        cni_manifests=[{**WEAVE, "ready_when": [ROLLOUT]}, {"url": "https://m.example.com/more.yaml"}],
    ),
    manifest("never-waited-for", ["cni_manifests: has no ready_when"], warning=True, cni_manifests=[WEAVE]),
    manifest("without-file", ["cni_manifest_cni_file: is empty: it is how"], **{"cni_manifest_cni_file": ""}),
    manifest(
        "file-of-podman",
        ["cni_manifest_cni_file: 87-podman.conflist has podman in it"],
        **{"cni_manifest_cni_file": "87-podman.conflist"},
    ),
    manifest("port", ["cni_manifest_ports: 6783:6784 is neither a port nor"], ports=[{"port": "6783:6784"}]),
    manifest(
        "protocol",
        ["cni_manifest_ports: value of protocol must be one of: tcp, udp"],
        ports=[{"port": "1", "protocol": "esp"}],
    ),
    manifest("own-interface", ["cni_manifest_interfaces: ens192 is how interfaces of machines"], interfaces=["ens192"]),
    manifest("all-interfaces", ["cni_manifest_interfaces: veth* would be veth0a1b2c3, too"], interfaces=["veth*"]),
    manifest("folder", ["cni_manifest_left: /etc/kubernetes is no folder in"], left={"folders": ["/etc/kubernetes"]}),
    manifest(
        "folder-of-others", ["cni_manifest_left: /var/lib/etcd is a folder of"], left={"folders": ["/var/lib/etcd"]}
    ),
    manifest("chain", ["cni_manifest_left: FORWARD is how chains of others begin"], left={"chains": ["FORWARD"]}),
    manifest("routes", ["cni_manifest_left: 0.0.0.0/0 has more in it"], left={"networks": ["0.0.0.0/0"]}),
    manifest("overhead", ["cni_manifest_overhead: is 1450, and has to be between 0 and 200"], overhead=1450),
    Case(
        "manifest-port-taken",
        ["worker1: port 6783/tcp: is held by vpnd (pid 7), and weave needs it."],
        manifest("", [], ports=[{"port": "6783"}]).everywhere,
        facts={
            "worker1": {
                "listening": [{"protocol": "tcp", "address": "0.0.0.0", "port": 6783, "pid": 7, "process": "vpnd"}]
            }
        },
    ),
    Case(
        "manifest-unreachable",
        ["worker1: connection: worker2 (192.0.2.9) cannot be reached on port 6784/udp, which is for weave"],
        manifest("", [], ports=[{"port": "6783-6784", "protocol": "udp"}]).everywhere,
        found={"worker1": unreachable("worker2", 6784, protocol="udp")},
    ),
    # Variables
    Case("unknown-cni", ["cluster_cni: flanel is none of flannel, ", "none. Did you mean"], {"cluster_cni": "flanel"}),
    Case("unknown-runtime", ["container_runtime_provider: rkt is none of"], {"container_runtime_provider": "rkt"}),
    Case("unknown-proxy", ["cluster_kube_proxy_mode: ipsv is none of"], {"cluster_kube_proxy_mode": "ipsv"}),
    Case("typing-error", ["Did you mean cluster_version?"], {"cluster_verison": "1.36.4"}),
    # Files of control planes
    Case(
        "files-of-control-planes",
        [
            "cp1: control_plane_files: '../audit.yaml' is no name",
            "cp1: control_plane_files: keys.yaml has neither content nor source.",
            "the source of a, /nonexistent/a, does not exist on the controller.",
            "apiServer has the argument audit-policy-file=/etc/kubernetes/slipway/policy.yaml, which is not among",
        ],
        {
            "control_plane_files": [
                {"name": "../audit.yaml", "content": "a"},
                {"name": "keys.yaml"},
                {"name": "a", "source": "/nonexistent/a"},
            ],
            "control_plane_cluster_configuration": {
                "apiServer": {
                    "extraArgs": [{"name": "audit-policy-file", "value": "/etc/kubernetes/slipway/policy.yaml"}]
                }
            },
        },
    ),
    # Addons
    Case(
        "addons",
        [
            "cluster: addons_list: web stands in the list twice.",
            "cluster: addons_list: web: oci://registry.example.com/web has no version",
            "cluster: addons_list: crds: what is downloaded is not verified",
            "cluster: addons_list: site: /nonexistent does not exist on the controller.",
        ],
        {
            "addons_list": [
                {"name": "web", "chart": "oci://registry.example.com/web", "namespace": "web"},
                {"name": "web", "definition": "kind: ConfigMap"},
                {"name": "crds", "url": "https://example.com/crds.yaml"},
                {"name": "site", "kustomization": "/nonexistent"},
            ]
        },
    ),
    Case(
        "addons-that-contradict",
        [
            "cluster: addons_list: b and a both have the object ConfigMap default/sky.",
            "cluster: addons_list: metrics-server: the release kube-system/metrics-server is that of",
            "cluster: addons_list: metrics-server: 1.1 is no exact version of a chart.",
            "cluster: addons_list: b: the namespace Bad_NS is no DNS label.",
            "cluster: addons_list: b: a=b c is not a valid label of a namespace.",
            "cluster: addons_list: c: namespace_labels: a must be a text, not 1.5.",
            "cp1: metrics_server_chart_version: ~3.13 is no exact version of a chart.",
        ],
        {
            "metrics_server_chart_version": "~3.13",
            "addons_list": [
                {"name": "a", "definition": SKY},
                {"name": "b", "namespace": "Bad_NS", "namespace_labels": {"a": "b c"}, "definition": SKY},
                {"name": "c", "namespace_labels": {"a": 1.5}, "definition": "kind: ConfigMap"},
                {"name": "metrics-server", "chart": "oci://a/b", "version": 1.1, "namespace": "kube-system"},
            ],
        },
    ),
    Case(
        "unknown-key-of-an-addon",
        ["addons_list", "chart_version"],
        {"addons_list": [{"name": "web", "chart": "oci://a/b", "chart_version": "1"}]},
    ),
    Case(
        "unknown-key-of-a-file",
        ["control_plane_files", "contents"],
        {"control_plane_files": [{"name": "a", "contents": "b"}]},
    ),
    Case(
        "wrong-type",
        ["cluster_registry_mirrors: is a text instead of a dictionary."],
        {"cluster_registry_mirrors": "https://mirror"},
    ),
    Case("undefined", ["cannot be templated: 'mirror' is undefined"], {"cluster_image_repository": "{{ mirror }}"}),
    Case(
        "label", ["cluster_node_labels: the value of gpu is not text"], worker1={"cluster_node_labels": {"gpu": True}}
    ),
]


def playbook(name: str, inventory: Values, folder: pathlib.Path) -> t.Tuple[int, str]:
    """Run a playbook, by its path from this folder; its return code and all it printed, as one line."""
    path = folder / "inventory.json"
    path.write_text(json.dumps(inventory), encoding="utf-8")
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_TIMEOUT": "3",
    }
    # The ansible-playbook of the interpreter that runs the tests, not the first in PATH.
    argv = [os.path.join(os.path.dirname(sys.executable), "ansible-playbook"), "-i", str(path), str(HERE / name)]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, re.sub(r"\s+", " ", done.stdout + done.stderr)


def assert_nothing_changed(output: str) -> None:
    """No task of any host changed anything."""
    assert re.findall(r"changed=(\d+)", output), output
    assert set(re.findall(r"changed=(\d+)", output)) == {"0"}, output


def assert_said(case: Case, folder: pathlib.Path) -> None:
    """A case's texts are in the report, which ends the run before anything is changed unless it only warns."""
    rc, output = playbook("report.yml", case.inventory(), folder)
    for text in case.expected:
        assert text in output, output
    if case.warning:
        assert rc == 0 and "[WARNING]: " in output, output
        return
    assert rc != 0 and "nothing was changed." in output, output
    assert_nothing_changed(output)


def test_good_machines_pass(tmp_path: pathlib.Path) -> None:
    rc, output = playbook("report.yml", Case("good", []).inventory(), tmp_path)
    assert rc == 0, output
    assert "WARNING" not in output


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_bad_input(case: Case, tmp_path: pathlib.Path) -> None:
    assert_said(case, tmp_path)


def test_variables_of_nodes_that_stand_on_a_play(tmp_path: pathlib.Path) -> None:
    """Tasks for this host see them. The control plane that gives nodes their labels reads each host's, and does not."""
    values = {
        "cluster_node_labels": {"example.org/rack": "7"},
        "cluster_node_taints": [],
        "cluster_node_ip": "{{ '192.0.2.9' if inventory_hostname == 'worker1' else machine.default_address }}",
        "cluster_dns_domain": "cluster.example",
    }
    play = [{"name": "Report", "ansible.builtin.import_playbook": str(HERE / "report.yml"), "vars": values}]
    importing = tmp_path / "importing.yml"
    importing.write_text(json.dumps(play), encoding="utf-8")
    # The same value in the inventory is no contradiction, and one that is another each time is no variable of a play.
    everywhere = {
        "cluster_node_labels": {"example.org/rack": "7"},
        "cluster_node_annotations": {"example.org/built": "{{ lookup('pipe', 'date +%N') }}"},
    }
    inventory = Case("good", [], everywhere).inventory()
    inventory["all"]["hosts"]["worker2"]["cluster_node_labels"] = {"example.org/rack": "8"}
    rc, output = playbook(str(importing), inventory, tmp_path)
    said = "stands on a play or an import_playbook, and control planes read it of each host. Put it into the inventory"
    assert rc != 0 and "Preflight found 3 problems on 2 hosts; nothing was changed." in output
    assert f"- worker2: cluster_node_labels: {said}" in output
    # The others have the address that control planes take anyway.
    assert f"- worker1: cluster_node_ip: {said}" in output
    assert_nothing_changed(output)


def test_several_at_once(tmp_path: pathlib.Path) -> None:
    """Problems of different kinds on different hosts are in one report."""
    case = Case(
        "several",
        [
            "cluster: cluster_version: 1.37 has no patch number.",
            "all hosts: cluster_verison: is not a variable",
            "cp1: memory_mb: 1024 MB",
            "worker1: cluster_node_ip: eth0 is not an address.",
            "worker2: port 10250: is held by nginx",
        ],
        {"cluster_version": 1.37, "cluster_verison": "1.36.4"},
        {"cluster_node_ip": "eth0"},
        {"cp1": {"memory_mb": 1024}, "worker2": listening(10250, "nginx")},
    )
    rc, output = playbook("report.yml", case.inventory(), tmp_path)
    assert rc != 0
    assert "Preflight found 5 problems on 3 hosts; nothing was changed." in output
    for text in case.expected:
        assert text in output, output
    assert_nothing_changed(output)


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml")))
def test_no_control_planes(name: str, tmp_path: pathlib.Path) -> None:
    """A forgotten -i: all plays would be skipped, with success."""
    rc, output = playbook(f"../../../playbooks/{name}.yml", {"all": {"hosts": {"somewhere": {}}}}, tmp_path)
    if name == "release_lock":
        # Nothing but the end of others.
        assert rc == 0
        return
    if name == "check_platform":
        # It is about machines of any group.
        assert "somewhere: was not reached, or could not be looked at" in output
        assert_nothing_changed(output)
        return
    assert rc == 2 and "The group kube_control_plane of the inventory has no hosts." in output
    assert_nothing_changed(output)


def script(path: pathlib.Path, text: str) -> str:
    """A shell script that can be run; its path."""
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_hosts_that_cannot_be_looked_at(tmp_path: pathlib.Path) -> None:
    """The role itself: no answer, no Python, an old Python, no sudo are all in one report, and none fails alone."""
    old = 'echo "ansible-core requires a minimum of Python version 3.8. Current version: 3.6.15" >&2; exit 1'
    local = {"ansible_connection": "local"}
    hosts: t.Dict[str, Values] = {
        "unreachable": {"ansible_host": "127.0.0.1", "ansible_port": 9, "ansible_connection": "ssh"},
        "no-python": {**local, "ansible_python_interpreter": "/nonexistent/python3"},
        "old-python": {**local, "ansible_python_interpreter": script(tmp_path / "python3", old)},
        "no-sudo": {
            **local,
            "ansible_become": True,
            "ansible_become_user": "nobody",
            "ansible_python_interpreter": sys.executable,
            "ansible_become_exe": script(tmp_path / "sudo", 'echo "sudo: a password is required" >&2; exit 1'),
        },
    }
    asks = 'echo "sudo: sorry, you must have a tty to run sudo" >&2; exit 1'
    hosts["no-terminal"] = {**hosts["no-sudo"], "ansible_become_exe": script(tmp_path / "sudo-tty", asks)}
    groups = {
        "kube_control_plane": {"hosts": {"unreachable": {}}},
        "kube_node": {"hosts": {name: {} for name in hosts}},
    }
    rc, output = playbook("role.yml", {"all": {"hosts": hosts, "children": groups}}, tmp_path)
    assert rc != 0
    for text in (
        "Preflight found 5 problems on 5 hosts; nothing was changed.",
        "unreachable: connection: the host is unreachable: Failed to connect to the host via ssh",
        "no-python: python: no Python was found on the host.",
        "old-python: python: Python 3.6.15 is too old for Ansible's modules (3.8 or newer).",
        "no-sudo: ansible_become: the user cannot become root",
        "no-terminal: ansible_become: sudo on the host wants a terminal (requiretty)",
    ):
        assert text in output, output
    assert output.count("fatal: ") == 1, output
    assert_nothing_changed(output)
