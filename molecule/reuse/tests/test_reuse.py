# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What single roles have done, seen from outside of Ansible."""

from __future__ import annotations

import json

from testinfra.host import Host

ADMIN = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"


def test_the_runtime_runs_with_systemd_cgroups(node: Host) -> None:
    assert node.service("containerd").is_running
    assert "SystemdCgroup = true" in node.check_output("containerd config dump")


def test_the_mirror_serves_images(node: Host) -> None:
    node.check_output(
        "ctr --namespace=k8s.io images pull --hosts-dir=/etc/containerd/certs.d registry.k8s.io/pause:3.10.2"
    )


def test_the_builder_has_no_kubernetes(host: Host) -> None:
    builder = host.get_host("docker://slipway-reuse-builder")
    assert not builder.package("kubelet").is_installed


def test_addons_work_in_a_cluster_of_somebody_else(host: Host) -> None:
    cluster = host.get_host("docker://slipway-reuse-cluster")
    pools = json.loads(cluster.check_output(f"{ADMIN} get ipaddresspools --all-namespaces --output=json"))["items"]
    assert [pool["spec"]["addresses"] for pool in pools] == [["172.30.0.235-172.30.0.236"]]
    assert "reuse-cluster" in cluster.check_output(f"{ADMIN} top nodes --no-headers")
