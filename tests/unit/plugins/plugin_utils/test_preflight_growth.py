# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What preflight does for a host does not grow with the number of hosts: a thousand must not take minutes.

Counted are calls of functions, not seconds. Calls into C (comparisons of sets and the like) do not count.
"""

from __future__ import annotations

import sys
import types
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import CHECKS, endpoint
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.plan import Plan
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Check, Host, merge, run_checks

VARIABLES: t.Dict[str, t.Any] = {
    "cluster_name": "kubernetes",
    "cluster_version": "1.37.1",
    "cluster_pod_subnet": "10.128.0.0/9",
    "cluster_service_subnet": "10.96.0.0/12",
    "cluster_dns_domain": "cluster.local",
    "cluster_image_repository": "registry.k8s.io",
    "cluster_kube_proxy_mode": "nftables",
    "cluster_cri_socket": "unix:///run/containerd/containerd.sock",
    "cluster_cni": "flannel",
    "cluster_endpoint": "172.16.255.1:8443",
    "cluster_node_labels": {"example.com/rack": "r1"},
    "cluster_registry_mirrors": {"docker.io": [{"url": "https://mirror.example.com"}]},
    "api_endpoint_provider": "keepalived",
    "api_endpoint_vip": "172.16.255.1",
    "__api_endpoint_router_id": 51,
    "kube_packages_version": "1.37.1",
    "metallb_address_pools": [{"name": "default", "addresses": ["172.17.0.200-172.17.0.210", "172.17.1.0/28"]}],
    "node_prep_swap": "absent",
    "preflight_minimum_cpus_control_plane": 2,
    "preflight_minimum_cpus_worker": 1,
    "preflight_minimum_memory_mb_control_plane": 1700,
    "preflight_minimum_memory_mb_worker": 900,
    "preflight_minimum_disk_mb": 2048,
    "preflight_recommended_disk_mb": 10240,
    "preflight_supported_os": {"debian": ["12", "13"]},
}


def machine(number: int) -> t.Dict[str, t.Any]:
    address = f"172.16.{number // 250}.{number % 250 + 1}"
    return {
        "hostname": f"node{number}",
        "machine_id": f"{number:032x}",
        "product_uuid": f"00000000-0000-0000-0000-{number:012x}",
        "os": {"id": "debian", "version_id": "12", "pretty_name": "Debian 12", "architecture": "amd64"},
        "interfaces": [
            {
                "name": "eth0",
                "mac": f"02:42:ac:11:{number // 256:02x}:{number % 256:02x}",
                "addresses": [{"address": address, "prefix": 16, "family": 4}],
            }
        ],
        "default_address": address,
        "default_address6": "",
        "cpu_count": 2,
        "memory_mb": 1900,
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
        "time_sync": "chrony",
    }


def cluster(count: int) -> t.List[Host]:
    """Three control planes and workers that share their variables, as the machines of an inventory do."""
    return [
        Host(f"node{number}", number < 3, number >= 3, VARIABLES, facts=machine(number), clock=[0.0, 0.1])
        for number in range(count)
    ]


def calls(of: t.Callable[[], t.Any]) -> int:
    """How many functions of Python are called."""
    count = 0

    def seen(_frame: types.FrameType, event: str, _argument: t.Any) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(seen)
    try:
        of()
    finally:
        sys.setprofile(None)
    return count


def grows_as_hosts_do(of: t.Callable[[t.List[Host]], t.Any]) -> None:
    few, many = cluster(50), cluster(200)
    of(few)  # What is remembered for the whole run (regular expressions, ...) is not counted.
    first, second = calls(lambda: of(few)), calls(lambda: of(many))
    # Four times the hosts: four times the work and a little more, where a quadratic one would be sixteen times.
    assert second <= 6 * first + 1000, f"{first} calls for 50 hosts, {second} for 200"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.__module__.rpartition('.')[2]}.{check.__name__}")
def test_a_check(check: Check) -> None:
    grows_as_hosts_do(lambda hosts: list(check(hosts)))


def test_the_report() -> None:
    grows_as_hosts_do(lambda hosts: merge(run_checks(endpoint.CHECKS, hosts), [host.name for host in hosts]))


def test_a_cluster_of_that_kind_has_no_problem() -> None:
    """Otherwise checks would have ended early."""
    said = [problem for problem in run_checks(CHECKS, cluster(5)) if problem.severity == "error"]
    assert said == []


def test_the_plan_of_connections() -> None:
    """It names a bounded number of peers for each host, so it grows as the hosts do."""
    grows_as_hosts_do(lambda hosts: Plan(hosts, [host.name for host in hosts]).as_dict())
