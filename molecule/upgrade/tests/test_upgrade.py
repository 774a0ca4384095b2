# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an upgrade leaves behind, and what a client has noticed."""

from __future__ import annotations

import json
import os
import time
import typing as t
from pathlib import Path

from testinfra.host import Host

ADMIN = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
VERSION = "1.37.1"


def get(host: Host, what: str) -> t.Any:
    """Objects of the API, asked on a control plane."""
    return json.loads(host.check_output(f"{ADMIN} get {what} --output=json"))


def test_no_request_to_the_service_has_failed() -> None:
    report = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "client.json"
    report.with_suffix(".stop").touch()
    for _second in range(60):
        if report.exists():
            break
        time.sleep(1)
    seen = json.loads(report.read_text(encoding="utf-8"))
    print(seen)
    assert seen["requests"] > 100
    assert seen["failed"] == 0, seen


def test_nodes_are_ready_at_the_version(control_plane: Host, machines: t.Set[str]) -> None:
    nodes = {item["metadata"]["name"]: item for item in get(control_plane, "nodes")["items"]}
    assert set(nodes) == machines
    for node in nodes.values():
        ready = next(item for item in node["status"]["conditions"] if item["type"] == "Ready")
        assert ready["status"] == "True"
        assert node["status"]["nodeInfo"]["kubeletVersion"] == f"v{VERSION}"
        assert not node["spec"].get("unschedulable")
        assert "slipway.io/cordoned" not in node["metadata"]["annotations"]


def test_the_control_plane_is_of_the_version(control_plane: Host) -> None:
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        assert f"{name}:v{VERSION}" in control_plane.file(f"/etc/kubernetes/manifests/{name}.yaml").content_string
    wanted = control_plane.check_output(f"kubeadm config images list --kubernetes-version=v{VERSION}").split()
    etcd = next(image for image in wanted if "/etcd:" in image)
    assert etcd in control_plane.file("/etc/kubernetes/manifests/etcd.yaml").content_string
    proxy = get(control_plane, "daemonset/kube-proxy --namespace=kube-system")
    assert proxy["spec"]["template"]["spec"]["containers"][0]["image"].endswith(f":v{VERSION}")


def test_packages_are_held_at_the_version(node: Host) -> None:
    held = node.check_output("apt-mark showhold").split()
    for name in ("kubeadm", "kubelet", "kubectl"):
        assert node.package(name).version.startswith(f"{VERSION}-")
        assert name in held


def test_nothing_is_unfinished(node: Host) -> None:
    assert not node.file("/var/lib/slipway/upgrade.json").exists
    assert not node.file("/var/lib/slipway/kubeadm.json").exists
