# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would make a later step of the build fail and is said by preflight instead: no machine is needed here either."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from test_bad_inputs import EXTERNAL, THREE, Case, assert_said, keepalived, playbook, pool


def around(**what: t.Any) -> t.Dict[str, t.Any]:
    """Facts of a machine with something beside Kubernetes."""
    return {"surroundings": what}


def resolver(*servers: str, exists: bool = True) -> t.Dict[str, t.Any]:
    """Facts of a machine with name servers."""
    return around(
        resolver={"path": "/etc/resolv.conf", "target": "", "exists": exists, "nameservers": servers, "search": []}
    )


PROXY = {"source": "/etc/environment", "variables": ["https_proxy"], "no_proxy": "localhost,192.0.2.0/24"}
NETWORKD = {"by": "systemd-networkd", "path": "/etc/systemd/network/20-all.network", "takes": ["veth1"], "runs": True}
FORWARDING = {"path": "/etc/sysctl.d/99-z.conf", "setting": "net.ipv4.conf.all.forwarding", "value": "0"}

CASES = [
    Case(
        "no-memory-controller",
        ["worker1: cgroup_controllers: the kernel has no memory controller", "cgroup_enable=memory"],
        facts={"worker1": around(cgroup_controllers=["cpuset", "cpu", "io", "pids"])},
    ),
    Case(
        "modules",
        ["worker1: kernel_modules: the kernel 6.1.0 cannot load vxlan"],
        facts={"worker1": {"os": {"kernel": "6.1.0"}, **around(modules_missing=["vxlan", "wireguard"])}},
    ),
    Case(
        "no-ipvs",
        ["worker1: kernel_modules: the kernel 6.1.0 cannot load ip_vs:"],
        {"cluster_kube_proxy_mode": "ipvs"},
        facts={"worker1": {"os": {"kernel": "6.1.0"}, **around(modules_missing=["ip_vs"])}},
    ),
    Case(
        "no-queue-for-network-policies",
        ["worker1: kernel_modules: the kernel 6.1.0 cannot load nft_queue:"],
        {"cni_flannel_network_policy": True},
        facts={"worker1": {"os": {"kernel": "6.1.0"}, **around(modules_missing=["nft_queue"])}},
    ),
    Case(
        "noexec",
        ["cp1: mounts: /opt/cni/bin is on /opt (ext4), which is mounted noexec"],
        facts={
            "cp1": around(mounts=[{"path": "/opt/cni/bin", "point": "/opt", "type": "ext4", "options": ["noexec"]}])
        },
    ),
    Case(
        "another-pod-network",
        ["worker2: pod network: /etc/cni/net.d/05-calico.conflist is the configuration of another pod network"],
        facts={"worker2": around(pod_networks=["05-calico.conflist"])},
    ),
    Case(
        "networkd",
        ["worker1: systemd-networkd: /etc/systemd/network/20-all.network matches the interfaces of pods (veth1)"],
        facts={"worker1": around(interfaces_taken=[NETWORKD])},
    ),
    Case(
        "forwarding-by-its-other-name",
        ["cp1: sysctl: /etc/sysctl.d/99-z.conf has net.ipv4.conf.all.forwarding = 0, which counts after a boot"],
        facts={"cp1": around(forwarding_off=[FORWARDING])},
    ),
    Case(
        "swap-of-azures-agent",
        ["worker1: node_prep_swap: is absent, but /etc/waagent.conf brings swap back"],
        facts={"worker1": around(swap_at_boot=[{"path": "/etc/waagent.conf", "setting": "ResourceDisk.EnableSwap=y"}])},
    ),
    Case(
        "etcd-of-another-cluster",
        ["cp1: /var/lib/etcd: is not empty, and the host is no control plane"],
        facts={"cp1": around(etcd_data=True)},
    ),
    Case(
        "loopback-resolver",
        ["worker1: /etc/resolv.conf: has the name server 127.0.0.1, which in a pod is the pod itself"],
        facts={"worker1": resolver("127.0.0.1")},
    ),
    Case(
        "dangling-resolver",
        ["worker1: /etc/resolv.conf: is not there, and the kubelet starts no pod without it."],
        facts={"worker1": resolver(exists=False)},
    ),
    Case(
        "four-name-servers",
        ["worker1: /etc/resolv.conf: has 4 name servers, and pods get the first 3 only."],
        facts={"worker1": resolver("192.0.2.51", "192.0.2.52", "192.0.2.53", "192.0.2.54")},
        warning=True,
    ),
    Case(
        "endpoint-that-no-node-resolves",
        ["worker1: cluster_endpoint: api.example.com cannot be resolved on the host.", "node_prep_hosts_entries"],
        keepalived("api.example.com", api_endpoint_vip="192.0.2.100"),
        groups=THREE,
        facts={"worker1": around(names={"api.example.com": []})},
    ),
    Case(
        "chart-that-is-not-there",
        ["cp1: metallb_chart: metallb 9.9.9 of https://charts.example.com cannot be had", "preflight_sources: false"],
        found={
            "cp1": {
                "sources": [
                    {
                        "subject": "metallb_chart",
                        "message": "metallb 9.9.9 of https://charts.example.com cannot be had: HTTP 404.",
                        "severity": "error",
                    }
                ]
            }
        },
    ),
    Case(
        "addon-that-is-not-there",
        ["cp1: addons_list[web]: oci://r.example.com/web 1.2.3 cannot be had", "Check where the entry comes from"],
        found={
            "cp1": {
                "sources": [
                    {
                        "subject": "addons_list[web]",
                        "message": "oci://r.example.com/web 1.2.3 cannot be had: it is not there (HTTP 404).",
                        "severity": "error",
                    }
                ]
            }
        },
    ),
    Case(
        "addons-without-room",
        ["cluster: cluster_worker_hosts: is empty: control planes alone take no pods of ", "web (addons_list)"],
        {
            "metrics_server_enabled": False,
            "addons_list": [
                {"name": "web", "chart": "oci://r.example.com/web", "version": "1.2.3", "namespace": "web"}
            ],
        },
        groups={"kube_node": []},
        warning=True,
    ),
    Case(
        "port-of-the-pod-network",
        ["worker1: port 8472/udp: is held by vpnd (pid 77), and Flannel's backend vxlan needs it."],
        facts={
            "worker1": {
                "listening": [
                    {"protocol": "udp", "address": "0.0.0.0", "port": 8472, "pid": 77, "process": "vpnd"},
                ]
            }
        },
    ),
    Case(
        "port-of-bgp",
        ["worker1: port 179/tcp: is held by bird (pid 77), and Calico's BGP needs it.", "or give Calico one in"],
        {"cluster_cni": "calico", "cni_calico_encapsulation": "none"},
        facts={
            "worker1": {
                "listening": [{"protocol": "tcp", "address": "0.0.0.0", "port": 179, "pid": 77, "process": "bird"}],
            }
        },
    ),
    Case(
        "kernel-without-ipip",
        ["worker1: kernel_modules: the kernel 6.1.0 cannot load ipip"],
        {"cluster_cni": "calico", "cni_calico_encapsulation": "ipip"},
        facts={"worker1": {"os": {"kernel": "6.1.0"}, **around(modules_missing=["ipip", "vxlan", "wireguard"])}},
    ),
    Case(
        "mtu-of-pods",
        ["worker1: cni_calico_mtu: is 1480, and eth0 has 1500, of which Calico takes 50 for itself: larger packets"],
        {"cluster_cni": "calico", "cni_calico_mtu": 1480},
        facts={"worker1": around(mtus={"eth0": 1500})},
    ),
    Case(
        "user-that-is-not-there",
        ["cp1: kubeconfig_users: alice is no user of the host. Make them there, or take them out of the list."],
        {"kubeconfig_users": ["root", "alice"]},
        facts={"cp1": {"unknown_users": ["alice"]}},
    ),
    Case(
        "port-of-wireguard",
        ["worker1: port 51820/udp: is held by the kernel, such as a WireGuard interface"],
        {"cni_flannel_backend": "wireguard"},
        facts={
            "worker1": {
                "listening": [{"protocol": "udp", "address": "0.0.0.0", "port": 51820, "pid": 0, "process": ""}],
            }
        },
    ),
    Case(
        "root-without-room",
        ["worker1: disk: 120 MB are free in /etc, and 300 MB are needed for the packages."],
        facts={"worker1": {"disk": [{"path": "/etc", "free_mb": 120, "size_mb": 4000}]}},
    ),
    Case(
        "selinux-that-enforces",
        ["worker1: selinux: is enforcing, with which this collection was not tried"],
        facts={"worker1": around(selinux={"mode": "enforcing", "at_boot": "enforcing", "unlabelled": []})},
        warning=True,
    ),
    Case(
        "selinux-that-shall-enforce-and-is-off",
        ["worker1: node_prep_selinux: is enforcing, and SELinux is off on this host.", "touch /.autorelabel"],
        worker1={"node_prep_selinux": "enforcing"},
        facts={"worker1": around(selinux={"mode": "", "at_boot": "disabled", "unlabelled": []})},
    ),
    Case(
        "etcd-in-memory",
        ["cp1: mounts: /var/lib/etcd is on /var/lib/etcd (tmpfs), which is in memory: the node is gone after a boot."],
        facts={
            "cp1": around(mounts=[{"path": "/var/lib/etcd", "point": "/var/lib/etcd", "type": "tmpfs", "options": []}])
        },
        warning=True,
    ),
    Case(
        "firewall-that-admits-nodes-alone",
        ["cp1: firewall: ufw does not admit pods (10.244.0.0/16) to port 6443 and 10250 of the node that they are on."],
        facts={
            "cp1": around(
                firewalls=[{"by": "ufw", "admits": [{"source": "192.0.2.0/24", "interface": "", "ports": ""}]}]
            )
        },
    ),
    Case(
        "folder-of-the-controller",
        ["cluster: kubeconfig_fetch_directory: /dev/null/artifacts cannot be written on the controller: /dev/null is"],
        {"kubeconfig_fetch_directory": "/dev/null/artifacts"},
    ),
    Case(
        "proxy-without-exceptions",
        ["worker1: no_proxy: https_proxy in /etc/environment without exceptions for 10.244.0.0/16,10.96.0.0/12,.svc"],
        facts={"worker1": around(proxies=[PROXY])},
    ),
    Case(
        "ipv6-machine",
        ["worker1: cluster_node_ip: is empty and the host has a default route for IPv6 only (2001:db8::7)"],
        facts={"worker1": {"default_address": "", "default_address6": "2001:db8::7"}},
    ),
    Case(
        "kernel-too-old",
        ["worker2: cluster_kube_proxy_mode: is nftables, and kube-proxy does not start so on the kernel 5.10.0"],
        facts={"worker2": {"os": {"kernel": "5.10.0"}}},
    ),
    Case("long-name", ["has 70 characters, and the name of a node may have 63"], groups={"kube_node": ["a" * 70]}),
    Case(
        "pools-without-network",
        ["cluster: metallb_address_pools: are set, and cluster_cni is none"],
        {"cluster_cni": "none", **pool("192.0.2.200-192.0.2.209")},
    ),
    Case(
        "endpoint-in-pool",
        ["cluster: metallb_address_pools: 192.0.2.0/28 contains 192.0.2.9, the address of cluster_endpoint."],
        {**EXTERNAL, **pool("192.0.2.0/28")},
    ),
    Case(
        "bridge-in-pods",
        ["worker1: cluster_pod_subnet: 172.16.0.0/12 overlaps 172.17.0.0/16, the network of docker0 on the host."],
        {"cluster_pod_subnet": "172.16.0.0/12"},
        facts={
            "worker1": {
                "interfaces": [
                    {"name": "eth0", "addresses": [{"address": "192.0.2.2", "prefix": 24}]},
                    {"name": "docker0", "virtual": True, "addresses": [{"address": "172.17.0.1", "prefix": 16}]},
                ]
            }
        },
    ),
]

#: States that are right, however much they look like one of the mistakes.
RIGHT = [
    Case(
        "proxy-with-exceptions",
        [],
        facts={"cp1": around(proxies=[{**PROXY, "no_proxy": "192.0.2.0/24,10.0.0.0/8,.svc"}])},
    ),
    Case(
        "identities-by-design",
        [],
        {"preflight_allow_duplicate_product_uuids": True},
        facts={name: {"product_uuid": "03000200-0400-0500-0006-000700080009"} for name in ("worker1", "worker2")},
    ),
    Case(
        "dhcp-renewed-on-the-holder-of-the-virtual-address",
        [],
        keepalived(),
        groups=THREE,
        facts={
            "cp1": {
                "interfaces": [
                    {
                        "name": "eth0",
                        "mac": "02:42:c0:00:02:01",
                        "addresses": [
                            {"address": "192.0.2.100", "prefix": 32, "family": 4},
                            {"address": "192.0.2.1", "prefix": 24, "family": 4},
                        ],
                    }
                ],
            }
        },
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_is_said_at_once(case: Case, tmp_path: pathlib.Path) -> None:
    assert_said(case, tmp_path)


@pytest.mark.parametrize("case", RIGHT, ids=[case.name for case in RIGHT])
def test_is_left_alone(case: Case, tmp_path: pathlib.Path) -> None:
    rc, output = playbook("report.yml", case.inventory(), tmp_path)
    assert rc == 0, output
