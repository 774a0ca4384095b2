# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker with Docker Engine and cri-dockerd in a cluster whose control plane has containerd."""

from __future__ import annotations

import json
import typing as t

import pytest
import streams
from conftest import ARTIFACTS, CONVERGE, changes, connect, left, names, play
from testinfra.host import Host

CONTROL_PLANE = connect(names("kube_control_plane")[0])
WORKER = connect(names("kube_node")[0])
NAME = names("kube_node")[0]
SITE = connect("docker-site")
VARIABLES = {
    "cluster_name": "molecule-docker",
    "kubeconfig_fetch_directory": str(ARTIFACTS),
    "metallb_enabled": False,
    "metrics_server_enabled": False,
}
CONFIRMED = ("--extra-vars", "reset_confirm=true")
LOGINS = {"/etc/docker/slipway-logins.json", "/var/lib/kubelet/config.json"}
PODS_ALONE = "docker ps --all --quiet --filter label=io.kubernetes.docker.type"

# Each prints what is left; nothing is right.
LEFT = {
    "containers": PODS_ALONE,
    "interfaces": "ls /sys/class/net | grep -E '^(cni|flannel|kube)'",
    "processes": "pgrep -a 'kube|flanneld|coredns'",
    "mounts": "grep ' /var/lib/kubelet' /proc/self/mounts",
    "cgroups": "find /sys/fs/cgroup -maxdepth 2 -name 'kubepods*'",
    "chains": "iptables-save | grep -E '^:(KUBE|FLANNEL|CNI)'",
    "files": "find /etc/kubernetes /var/lib/kubelet /var/lib/cni /run/flannel /var/log/pods /var/log/containers"
    " /var/lib/slipway -type f -not -name config.json -not -path '*/archives/*' 2>/dev/null",
}
# What others have there.
THEIRS = {
    "container": "docker inspect --format '{{.Id}} {{.State.StartedAt}} {{.State.Running}}' theirs",
    "networks": "docker network ls --format '{{.Name}}' | sort",
    "volumes": "docker volume ls --quiet",
    "port": "curl --silent --fail http://127.0.0.1:18081/hostname",
    "chains": "iptables-save | grep -E '^:DOCKER|-A DOCKER' | sed 's/ \\[.*//'",
}


def kubectl(words: str) -> str:
    """What kubectl prints on the control plane."""
    return str(CONTROL_PLANE.check_output(f"{streams.KUBECTL} {words}"))


def theirs(node: Host) -> dict[str, str]:
    """What others have on the worker."""
    return {kind: str(node.check_output(script)) for kind, script in THEIRS.items()}


@pytest.fixture(scope="module")
def pods() -> None:
    """Pods on the worker: by the mirror, by the registry without TLS, by the one with the login."""
    private = f"{SITE.check_output('hostname -I').split()[0]}:5444/docker.io/slipway/probe:1.0"
    documents = []
    for name, image, command in (
        ("probe", "docker.io/slipway/probe:1.0", "args: [netexec]"),
        ("private", private, "args: [netexec], imagePullPolicy: Always"),
        (
            "echo",
            "172.30.0.1:5000/registry.k8s.io/kube-proxy:v1.37.1",
            streams.ECHO,
        ),
    ):
        documents.append(
            f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec:\n  nodeName: {NAME}\n  containers:\n"
            f'    - {{name: {name}, image: "{image}", {command}}}\n'
        )
    text = "---\n".join(documents)
    CONTROL_PLANE.run_expect([0], f"cat <<'END' | {streams.KUBECTL} apply --filename=-\n{text}END")
    kubectl("wait --for=condition=Ready --timeout=90s pod/probe pod/private pod/echo")


def test_each_node_has_its_runtime() -> None:
    nodes = {node["metadata"]["name"]: node["status"] for node in json.loads(kubectl("get nodes -o json"))["items"]}
    versions = {name: status["nodeInfo"]["containerRuntimeVersion"] for name, status in nodes.items()}
    assert versions[NAME].startswith("docker://20.10.24"), versions
    assert versions["docker-cp"].startswith("containerd://1.6."), versions
    for status in nodes.values():
        assert {"type": "Ready", "status": "True"}.items() <= status["conditions"][-1].items()


def test_its_configuration_is_merged_and_read() -> None:
    said = json.loads(WORKER.file("/etc/docker/daemon.json").content_string)
    mirror = f"https://{SITE.check_output('hostname -I').split()[0]}:5443"
    assert said == {
        **{"labels": ["site=yes"], "live-restore": True, "insecure-registries": ["172.30.0.1:5000"]},
        **{"exec-opts": ["native.cgroupdriver=systemd"], "registry-mirrors": [mirror]},
        **{"log-driver": "json-file", "log-opts": {"max-size": "5m", "max-file": "5"}},
    }
    info = json.loads(WORKER.check_output("docker info --format '{{json .}}'"))
    assert (info["CgroupDriver"], info["LiveRestoreEnabled"]) == ("systemd", True)
    assert info["RegistryConfig"]["Mirrors"] == [f"{mirror}/"]
    assert "docker" in WORKER.user("nobody").groups
    for unit in ("docker.service", "cri-docker.service", "cri-docker.socket"):
        assert WORKER.service(unit).is_running and WORKER.service(unit).is_enabled


def test_streams_are_served_to_this_machine_alone() -> None:
    listening = WORKER.check_output("ss --listening --tcp --numeric --processes --no-header")
    (line,) = [line for line in listening.splitlines() if "cri-dockerd" in line]
    assert line.split()[3].startswith("127.0.0.1:")


def test_others_run_on(pods: None) -> None:
    found = theirs(WORKER)
    assert found["container"].endswith(" true") and "theirs" in found["networks"] and found["volumes"] == "theirs"


def test_the_login_is_used_and_hidden(pods: None) -> None:
    for path in LOGINS:
        assert WORKER.file(path).mode == 0o600
    find = "grep -rlsE 'hunter2|cHVsbDpodW50ZXIy' /etc /root /tmp /var/lib/kubelet /var/lib/slipway || true"
    assert set(WORKER.check_output(find).split()) == LOGINS
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
        ({"container_runtime_cri_dockerd_checksum": ""}, "container_runtime_cri_dockerd_checksum: is empty, and"),
        ({"container_runtime_config": {"log-driver": "local"}}, "has local as log-driver, and cri-dockerd gives logs"),
    ],
)
def test_what_is_refused_on_a_built_cluster(more: dict[str, t.Any], expected: str) -> None:
    output = play(CONVERGE, "--check", rc=2, variables={**VARIABLES, **more})
    assert expected in " ".join(output.split()), output


@pytest.mark.last
def test_reset_leaves_nothing_of_ours_and_all_of_others() -> None:
    before = theirs(WORKER)
    assert {"containers", "mounts", "files"} <= set(left(WORKER, LEFT))
    assert changes(play("reset.yml", *CONFIRMED, variables=VARIABLES)) == 3
    assert left(WORKER, LEFT) == {}
    assert theirs(WORKER) == before
    assert WORKER.service("docker").is_running and WORKER.package("docker.io").is_installed
    assert changes(play("reset.yml", *CONFIRMED, variables=VARIABLES)) == 0
