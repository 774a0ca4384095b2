# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker with CRI-O in a cluster whose control plane has containerd."""

from __future__ import annotations

import json
import typing as t

import pytest
import streams
from conftest import ARTIFACTS, CONVERGE, changes, connect, left, names, play

CONTROL_PLANE = connect(names("kube_control_plane")[0])
WORKER = connect(names("kube_node")[0])
NAME = names("kube_node")[0]
VARIABLES = {
    "cluster_name": "molecule-crio",
    "kubeconfig_fetch_directory": str(ARTIFACTS),
    "metallb_enabled": False,
    "metrics_server_enabled": False,
}
CONFIRMED = ("--extra-vars", "reset_confirm=true")
PASSWORD = "hunter2-hunter2"
AUTH = "/etc/crio/slipway-auth.json"
SOCKET = "unix:///var/run/crio/crio.sock"

#: Images that are on the worker by now, or that only the registry with the login has.
PODS = f"""
apiVersion: v1
kind: Pod
metadata: {{name: probe}}
spec:
  nodeName: {NAME}
  containers:
    - {{name: probe, image: "docker.io/slipway/probe:1.0", args: [netexec]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: echo}}
spec:
  nodeName: {NAME}
  containers:
    - {{name: echo, image: "registry.k8s.io/kube-proxy:v1.37.1", {streams.ECHO}}}
"""

# Each prints what is left; nothing is right.
LEFT = {
    "pods": f"crictl --runtime-endpoint={SOCKET} pods --quiet",
    "containers": f"crictl --runtime-endpoint={SOCKET} ps --all --quiet",
    "interfaces": "ls /sys/class/net | grep -E '^(cni|flannel|veth|kube)'",
    "monitors": "pgrep -a conmon",
    "processes": "pgrep -a 'kube|flanneld|coredns'",
    "mounts": "grep -E ' (/var/lib/kubelet|/run/(net|ipc|uts|pid|user)ns/|/var/lib/containers/storage/overlay/.*merged"
    "|/run/containers/storage/overlay-containers/)' /proc/self/mounts",
    "network namespaces": "ls /run/netns",
    "cgroups": "find /sys/fs/cgroup -maxdepth 2 -name 'kubepods*'",
    "files": "find /etc/kubernetes /var/lib/kubelet /var/lib/cni /run/flannel /var/log/pods /var/log/containers"
    " /var/lib/slipway -type f 2>/dev/null",
}


def kubectl(words: str) -> str:
    """What kubectl prints on the control plane."""
    return str(CONTROL_PLANE.check_output(f"{streams.KUBECTL} {words}"))


def get(what: str) -> t.Any:
    """Objects of the API."""
    return json.loads(kubectl(f"get {what} --output=json"))


@pytest.fixture(scope="module")
def pods() -> None:
    """Pods on the worker."""
    CONTROL_PLANE.run_expect([0], f"cat <<'END' | {streams.KUBECTL} apply --filename=-\n{PODS}\nEND")
    kubectl("wait --for=condition=Ready --timeout=90s pod/probe pod/echo")


def test_each_node_has_its_runtime() -> None:
    nodes = {node["metadata"]["name"]: node["status"] for node in get("nodes")["items"]}
    versions = {name: status["nodeInfo"]["containerRuntimeVersion"] for name, status in nodes.items()}
    assert versions[NAME] == "cri-o://1.36.3" and versions["crio-cp"].startswith("containerd://1.6."), versions
    for status in nodes.values():
        assert {"type": "Ready", "status": "True"}.items() <= status["conditions"][-1].items()
    assert not WORKER.exists("containerd")


def test_its_configuration_is_read() -> None:
    # What is not as CRI-O has it by itself.
    said = WORKER.check_output("crio config 2>/dev/null")
    expected = {"conmon_cgroup": "pod", "pause_image": "registry.k8s.io/pause:3.10.2", "global_auth_file": AUTH}
    for name, value in expected.items():
        assert f'\n{name} = "{value}"\n' in said, name
    assert WORKER.service("crio").is_running and WORKER.service("crio").is_enabled


def test_the_login_is_used_and_hidden(pods: None) -> None:
    file = WORKER.file(AUTH)
    assert (file.mode, file.user) == (0o600, "root")
    image = WORKER.check_output(f"crictl --runtime-endpoint={SOCKET} images --quiet docker.io/slipway/probe:1.0")
    assert image
    find = "grep -rlsE 'hunter2|cHVsbDpodW50ZXIy' /etc /root /tmp /var/lib/kubelet /var/lib/slipway || true"
    assert WORKER.check_output(find).split() == [AUTH]
    assert "hunter2" not in WORKER.check_output("journalctl --quiet --output=verbose")


def test_exec(pods: None) -> None:
    streams.expect_exec(CONTROL_PLANE)


def test_attach_and_logs(pods: None) -> None:
    streams.expect_attach_and_logs(CONTROL_PLANE)


def test_port_forward(pods: None) -> None:
    streams.expect_port_forward(CONTROL_PLANE)


def test_the_cluster_is_verified() -> None:
    output = play("verify.yml", variables=VARIABLES)
    assert "failed=0" in output
    assert "ok      pods reach each other between nodes" in output


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"container_runtime_version": "1.35.*"}, "container_runtime_version: is 1.35.*, and CRI-O has to be 1.37 or"),
        (
            {"container_runtime_config": {"crio": {"runtime": {"cgroup_manager": "cgroupfs"}}}},
            "has cgroupfs as crio.runtime.cgroup_manager",
        ),
    ],
)
def test_what_is_refused_on_a_built_cluster(more: dict[str, t.Any], expected: str) -> None:
    output = play(CONVERGE, "--check", rc=2, variables={**VARIABLES, **more})
    assert expected in " ".join(output.split()), output


@pytest.mark.last
def test_reset_leaves_nothing() -> None:
    assert {"pods", "monitors", "mounts", "files"} <= set(left(WORKER, LEFT))
    assert changes(play("reset.yml", *CONFIRMED, variables=VARIABLES)) == 3
    assert left(WORKER, LEFT) == {}
    assert WORKER.service("crio").is_running and WORKER.package("cri-o").is_installed
    assert changes(play("reset.yml", *CONFIRMED, variables=VARIABLES)) == 0
