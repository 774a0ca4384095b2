# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster with three container runtimes, and a worker that changes its own, while a client asks a service."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import typing as t

import pytest
import yaml
from conftest import ARTIFACTS, CONVERGE, PROJECT, changes, connect, left, names, play, start

sys.path.insert(0, str(PROJECT / "tests" / "integration"))

from probe import Client, Probe

CONTROL_PLANE = connect("runtimes-cp")
WORKER = connect("runtimes-worker")
ADMIN = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
REGISTRY = "172.30.0.1:5000"
#: The converge playbook's own, which other playbooks need, too.
VARIABLES = {
    **yaml.safe_load(CONVERGE.read_text(encoding="utf-8"))[0]["vars"],
    "kubeconfig_fetch_directory": str(ARTIFACTS),
    "etcd_backup_fetch_directory": str(ARTIFACTS),
    "verify_image": f"{REGISTRY}/docker.io/slipway/probe:1.0",
}
CHANGE = {**VARIABLES, "change_runtime_confirm": True, "change_runtime_remove_images": True}
NODE = ("--extra-vars", "node=runtimes-worker")
CONTAINERD = "unix:///run/containerd/containerd.sock"
CRIO = "unix:///var/run/crio/crio.sock"

# Each prints what is left; nothing is right.
LEFT = {
    "pods": f"crictl --runtime-endpoint={CRIO} pods --quiet 2>/dev/null",
    "tasks": "ctr --namespace k8s.io tasks ls --quiet 2>/dev/null",
    "containers": "docker ps --all --quiet 2>/dev/null",
    "processes": "pgrep -a 'kube|flanneld|coredns'",
    "mounts": "grep -E ' (/var/lib/kubelet|/run/(net|ipc|uts|pid|user)ns/)' /proc/self/mounts",
    "files": "find /etc/kubernetes /var/lib/slipway -type f 2>/dev/null",
}


def get(what: str) -> t.Any:
    """Objects of the API."""
    return json.loads(CONTROL_PLANE.check_output(f"{ADMIN} get {what} --output=json"))


def runtimes() -> dict[str, str]:
    """The container runtime of each node that is Ready and takes pods."""
    nodes = {node["metadata"]["name"]: node for node in get("nodes")["items"]}
    for node in nodes.values():
        assert {"type": "Ready", "status": "True"}.items() <= node["status"]["conditions"][-1].items()
        assert not node["spec"].get("unschedulable"), node["metadata"]["name"]
    info = {name: node["status"]["nodeInfo"]["containerRuntimeVersion"] for name, node in nodes.items()}
    return {name: version.partition(":")[0] for name, version in info.items()}


def change(runtime: str, *arguments: str, rc: int = 0) -> str:
    """Give the worker that container runtime."""
    return play("change_runtime.yml", *NODE, *arguments, rc=rc, variables={**CHANGE, "molecule_runtime": runtime})


def images(socket: str) -> str:
    return str(WORKER.check_output(f"crictl --runtime-endpoint={socket} images --quiet"))


@pytest.fixture(scope="module")
def service() -> str:
    """The address of a service with two replicas, of which one may go at a time."""
    text = (PROJECT / "molecule/upgrade/files/service.yml").read_text(encoding="utf-8")
    text = text.replace("docker.io/", f"{REGISTRY}/docker.io/").replace("LoadBalancer", "NodePort")
    CONTROL_PLANE.run_expect([0], f"cat <<'END' | {ADMIN} apply --filename=-\n{text}\nEND")
    CONTROL_PLANE.check_output(f"{ADMIN} rollout status deployment/web --timeout=120s")
    port = get("service/web")["spec"]["ports"][0]["nodePort"]
    address = CONTROL_PLANE.check_output("hostname -I").split()[0]
    return f"http://{address}:{port}/hostname"


def test_each_node_has_its_runtime() -> None:
    assert runtimes() == {
        "runtimes-cp": "containerd",
        "runtimes-worker": "containerd",
        "runtimes-crio": "cri-o",
        "runtimes-docker": "docker",
    }


def test_the_cluster_is_verified() -> None:
    output = play("verify.yml", variables=VARIABLES)
    assert "failed=0" in output
    assert "ok      pods reach each other between nodes" in output


def test_a_backup() -> None:
    play("etcd_backup.yml", variables=VARIABLES)
    assert list(ARTIFACTS.glob("etcd-molecule-runtimes-*.tar.gz"))


def test_another_runtime_is_refused_by_a_build() -> None:
    output = " ".join(play(CONVERGE, "--check", rc=2, variables={**VARIABLES, "molecule_runtime": "crio"}).split())
    assert "playbooks/change_runtime.yml -e node=runtimes-worker" in output, output


def test_without_a_yes_nothing_is_changed() -> None:
    variables = {**VARIABLES, "molecule_runtime": "crio"}
    output = " ".join(play("change_runtime.yml", *NODE, rc=2, variables=variables).split())
    assert "the name of the node was not typed" in output and changes(output) == 0
    dry = change("crio", "--check")
    assert changes(dry) > 3 and runtimes()["runtimes-worker"] == "containerd"


@pytest.mark.last
def test_a_worker_changes_its_runtime_and_goes_back(service: str) -> None:
    with Probe("service", Client(service)) as probe:
        change("crio")
        assert runtimes()["runtimes-worker"] == "cri-o"
        assert not WORKER.service("containerd").is_running
        assert changes(change("crio")) == 0
        assert changes(play(CONVERGE, variables={**VARIABLES, "molecule_runtime": "crio"})) == 0
        change("containerd")
        assert runtimes()["runtimes-worker"] == "containerd"
        assert not WORKER.service("crio").is_running and not WORKER.service("crio").is_enabled
        assert images(CONTAINERD)
    print(probe.report)
    assert probe.report.failed == 0, probe.report
    assert changes(play(CONVERGE, variables=VARIABLES)) == 0


@pytest.mark.last
def test_a_run_that_was_killed_is_finished() -> None:
    process = start("change_runtime.yml", *NODE, variables={**CHANGE, "molecule_runtime": "crio"})
    for _tenth in range(6000):
        if WORKER.run("systemctl is-active kubelet").stdout.strip() == "inactive":
            break
        time.sleep(0.1)
    # The module that ends the pods is killed, too.
    WORKER.run("pkill -KILL -f AnsiballZ_node_runtime")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    change("crio")
    assert runtimes()["runtimes-worker"] == "cri-o"
    change("containerd")
    assert runtimes()["runtimes-worker"] == "containerd"


@pytest.mark.last
def test_reset_leaves_nothing() -> None:
    confirmed = ("--extra-vars", "reset_confirm=true")
    assert changes(play("reset.yml", *confirmed, variables=VARIABLES)) == len(names())
    for name in names():
        assert left(connect(name), LEFT) == {}, name
    assert changes(play("reset.yml", *confirmed, variables=VARIABLES)) == 0
