# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker with CRI-O in a cluster whose control plane has containerd."""

from __future__ import annotations

import json
import typing as t

import pytest
from conftest import ARTIFACTS, CONVERGE, changes, connect, names, play
from testinfra.host import Host

KUBECTL = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
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
    - name: echo
      image: registry.k8s.io/kube-proxy:v1.37.1
      stdin: true
      command: [sh, -c, "echo begun; while read word; do echo got $word; done; sleep 3600"]
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
    return str(CONTROL_PLANE.check_output(f"{KUBECTL} {words}"))


def get(what: str) -> t.Any:
    """Objects of the API."""
    return json.loads(kubectl(f"get {what} --output=json"))


def left(node: Host) -> dict[str, str]:
    """What of Kubernetes is on the worker."""
    found = {kind: str(node.run(script).stdout).strip() for kind, script in LEFT.items()}
    return {kind: text for kind, text in found.items() if text}


@pytest.fixture(scope="module")
def pods() -> None:
    """Pods on the worker."""
    CONTROL_PLANE.run_expect([0], f"cat <<'END' | {KUBECTL} apply --filename=-\n{PODS}\nEND")
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
    assert kubectl("exec echo -- cat /proc/1/comm") == "sh"
    assert CONTROL_PLANE.check_output(f"echo said | {KUBECTL} exec --stdin echo -- cat") == "said"
    failed = CONTROL_PLANE.run(f"{KUBECTL} exec echo -- sh -c 'exit 7'")
    assert failed.rc == 7, failed.stderr


def test_attach_and_logs(pods: None) -> None:
    attached = CONTROL_PLANE.run(f"(echo word; sleep 2) | timeout 20 {KUBECTL} attach --stdin echo")
    assert "got word" in attached.stdout, attached.stderr
    assert kubectl("logs echo").splitlines() == ["begun", "got word"]


def test_port_forward(pods: None) -> None:
    script = f"""
    {KUBECTL} port-forward pod/probe 18080:8080 >/dev/null &
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        sleep 1
        curl --silent --fail http://127.0.0.1:18080/hostname && break
    done
    kill %1
    """
    assert CONTROL_PLANE.run(f"bash -c '{script}'").stdout.strip() == "probe"


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
    assert {"pods", "monitors", "mounts", "files"} <= set(left(WORKER))
    assert changes(play("reset.yml", *CONFIRMED, variables=VARIABLES)) == 3
    assert left(WORKER) == {}
    assert WORKER.service("crio").is_running and WORKER.package("cri-o").is_installed
    assert changes(play("reset.yml", *CONFIRMED, variables=VARIABLES)) == 0
