# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster whose nodes have releases and no packages is upgraded, goes back by a link, and is taken down."""

from __future__ import annotations

import json
import time
import typing as t

import pytest
from conftest import ARTIFACTS, CONVERGE, changes, connect, left, names, play
from testinfra.host import Host

CONTROL_PLANE = connect(names("kube_control_plane")[0])
WORKER = connect(names("kube_node")[0])
NAME = names("kube_node")[0]
OLD, NEW = "1.36.4", "1.37.1"
VARIABLES = {
    "cluster_name": "molecule-release",
    "kubeconfig_fetch_directory": str(ARTIFACTS),
    "metallb_enabled": False,
    "metrics_server_enabled": False,
}
UPGRADE = {**VARIABLES, "cluster_version": NEW}
RELEASES = {"cni-plugins": "1.9.1", "containerd": "2.4.2", "crictl": "1.37.0", "runc": "1.5.2"}
KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
# Each prints what is left; nothing is right.
LEFT = {
    "interfaces": "ls /sys/class/net | grep -E '^(cni|flannel|kube)'",
    "processes": "pgrep -a 'kube|flanneld|coredns|containerd-shim'",
    "mounts": "grep ' /var/lib/kubelet' /proc/self/mounts",
    "cgroups": "find /sys/fs/cgroup -maxdepth 2 -name 'kubepods*'",
    "chains": "iptables-save | grep -E '^:(KUBE|FLANNEL|CNI)'",
    "files": "find /etc/kubernetes /var/lib/kubelet /var/lib/cni /run/flannel /var/log/pods /var/log/containers"
    " /var/lib/slipway -type f -not -path '*/etcd-backup/*' -not -path '*/archives/*' 2>/dev/null",
}
# After the programs have gone, too.
GONE = {
    "programs": "ls /usr/local/bin | grep -E 'kube|crictl'; ls /opt/cni/bin/bridge /opt/cni/bin/loopback",
    "units": "ls /usr/local/lib/systemd/system | grep kubelet",
    "configuration": "ls /etc/crictl.yaml",
}


def versions(node: Host) -> dict[str, str]:
    """The versions that links lead to, by the names of releases."""
    found = node.check_output("cd /opt/slipway && for name in *; do echo $name $(readlink $name/current); done")
    return dict(line.split() for line in found.splitlines())


def kubelets() -> dict[str, str]:
    """What kubelets say of themselves, by the names of nodes that are ready."""
    nodes = json.loads(CONTROL_PLANE.check_output(f"{KUBECTL} get nodes --output=json"))["items"]
    return {
        node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"]
        for node in nodes
        if {"type": "Ready", "status": "True"}.items() <= node["status"]["conditions"][-1].items()
    }


def expect_kubelet(version: str) -> None:
    """Wait until the worker is ready with a kubelet of that version."""
    for _second in range(90):
        if kubelets().get(NAME) == f"v{version}":
            return
        time.sleep(1)
    raise AssertionError(kubelets())


def test_programs_are_of_releases_and_of_no_package(node: Host) -> None:
    found = versions(node)
    assert found == {**RELEASES, **dict.fromkeys(("kubeadm", "kubelet", "kubectl"), OLD)}
    for name in ("kubeadm", "kubelet", "kubectl", "crictl", "containerd", "ctr", "containerd-shim-runc-v2", "runc"):
        assert node.file(f"/usr/local/bin/{name}").linked_to.startswith("/opt/slipway/")
    for name in ("kubeadm", "kubelet", "kubernetes-cni", "containerd", "containerd.io", "runc"):
        assert not node.package(name).is_installed
    for unit in ("kubelet.service", "containerd.service"):
        assert node.service(unit).is_running and node.service(unit).is_enabled
        path = node.check_output(f"systemctl show --property=FragmentPath --value {unit}")
        assert path == f"/usr/local/lib/systemd/system/{unit}"
    assert node.file("/opt/cni/bin/bridge").is_file and not node.file("/opt/cni/bin/bridge").is_symlink


def test_crictl_asks_the_runtime(node: Host) -> None:
    # It warns where it has to guess.
    asked = node.run("crictl ps --quiet")
    assert (asked.rc, asked.stderr) == (0, "") and asked.stdout.strip()


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"kube_packages_source": "packages"}, "is packages, but kubeadm and kubelet of a release are there"),
        ({"container_runtime_source": "distribution"}, "/usr/local/bin/containerd is of the release 2.4.2"),
        ({"kube_packages_checksums": {"kubelet": "1234"}}, "kube_packages_checksums[kubelet]: 1234 is neither a SHA"),
        (
            {"kube_packages_crictl_version": "1.99.0"},
            "kube_packages_download_url: http://172.30.0.1:8080/cri-tools/v1.99.0/crictl-v1.99.0-linux-amd64.tar.gz",
        ),
    ],
)
def test_what_is_refused_on_a_built_cluster(more: dict[str, t.Any], expected: str) -> None:
    output = play(CONVERGE, "--check", rc=2, variables={**VARIABLES, **more})
    assert expected in " ".join(output.split()), output


@pytest.mark.last
def test_what_is_damaged_is_mended() -> None:
    WORKER.check_output("echo broken >/opt/slipway/crictl/1.37.0/bin/crictl && rm /usr/local/bin/runc")
    # One task for Kubernetes, one for the container runtime.
    assert changes(play(CONVERGE, variables=VARIABLES)) == 2
    assert WORKER.check_output("crictl ps --quiet") and WORKER.check_output("runc --version")


@pytest.mark.last
def test_a_wrong_checksum_changes_nothing() -> None:
    before = versions(WORKER)
    wrong = {"kube_packages_checksums": {"kubeadm": "sha256:" + "0" * 64}}
    output = play("upgrade.yml", rc=2, variables={**UPGRADE, **wrong})
    assert "instead of " + "0" * 64 in " ".join(output.split()), output
    assert versions(WORKER) == before == versions(CONTROL_PLANE)


@pytest.mark.last
def test_the_upgrade() -> None:
    assert changes(play("upgrade.yml", "--check", variables=UPGRADE)) > 0
    assert set(kubelets().values()) == {f"v{OLD}"}
    play("upgrade.yml", variables=UPGRADE)
    assert kubelets() == dict.fromkeys(names(), f"v{NEW}")
    for node in (CONTROL_PLANE, WORKER):
        assert versions(node) == {**RELEASES, **dict.fromkeys(("kubeadm", "kubelet", "kubectl"), NEW)}
        # The way back.
        assert node.file(f"/opt/slipway/kubelet/{OLD}/bin/kubelet").is_file
    assert changes(play("upgrade.yml", variables=UPGRADE)) == 0
    assert changes(play(CONVERGE, variables=UPGRADE)) == 0


@pytest.mark.last
def test_a_kubelet_goes_back_by_its_link_and_forth_again() -> None:
    WORKER.check_output(f"ln -sfn {OLD} /opt/slipway/kubelet/current && systemctl restart kubelet")
    expect_kubelet(OLD)
    play("upgrade.yml", variables=UPGRADE)
    expect_kubelet(NEW)
    running = WORKER.check_output("readlink /proc/$(systemctl show --property=MainPID --value kubelet)/exe")
    assert running == f"/opt/slipway/kubelet/{NEW}/bin/kubelet"


@pytest.mark.last
def test_the_cluster_is_verified() -> None:
    output = play("verify.yml", variables=UPGRADE)
    assert "failed=0" in output
    assert "ok      pods reach each other between nodes" in output


@pytest.mark.last
def test_reset_leaves_the_programs_as_it_leaves_packages() -> None:
    assert {"mounts", "files", "processes"} <= set(left(WORKER, LEFT))
    before = versions(WORKER)
    play("reset.yml", "--extra-vars", "reset_confirm=true", variables=UPGRADE)
    for node in (CONTROL_PLANE, WORKER):
        assert left(node, LEFT) == {}
        assert node.service("containerd").is_running and not node.service("kubelet").is_running
    assert versions(WORKER) == before
    assert changes(play("reset.yml", "--extra-vars", "reset_confirm=true", variables=UPGRADE)) == 0
    # Those of Kubernetes go when it is asked for, the container runtime stays.
    gone = {**UPGRADE, "reset_confirm": True, "node_reset_packages": "absent"}
    assert changes(play("reset.yml", variables=gone)) > 0
    for node in (CONTROL_PLANE, WORKER):
        assert versions(node) == {name: RELEASES[name] for name in ("containerd", "runc")}
        assert left(node, GONE) == {}
        assert node.service("containerd").is_running
    assert changes(play("reset.yml", variables=gone)) == 0
