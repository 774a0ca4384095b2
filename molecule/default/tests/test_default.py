# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster as it is seen from outside of Ansible: on its machines, by kubectl, and through a load balancer."""

from __future__ import annotations

import json
import os
import re
import time
import typing as t
from pathlib import Path

import pytest
import yaml
from conftest import CONVERGE, SCENARIO, changes, connect, play
from testinfra.host import Host

CONFIG = "--kubeconfig=/etc/kubernetes/admin.conf"
ADMIN = f"kubectl {CONFIG}"
VERSION = "1.37.1"
# What each machine's distribution or repository has.
CONTAINERD = {"mol-cp1": "containerd://1.6.", "mol-worker1": "containerd://1.7.", "mol-worker2": "containerd://2.4.2"}


def get(host: Host, what: str) -> t.Any:
    """Objects of the API, asked on a control plane."""
    return json.loads(host.check_output(f"{ADMIN} get {what} --output=json"))


def test_services_run_and_start_at_boot(node: Host) -> None:
    for name in ("containerd", "kubelet"):
        assert node.service(name).is_running
        assert node.service(name).is_enabled


def test_packages_are_held_at_the_version(node: Host) -> None:
    held = node.check_output("apt-mark showhold").split()
    for name in ("kubeadm", "kubelet", "kubectl"):
        assert node.package(name).version.startswith(f"{VERSION}-")
        assert name in held


def test_packets_are_forwarded_and_filtered(node: Host) -> None:
    for name in ("net.ipv4.ip_forward", "net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"):
        assert node.sysctl(name) == 1


def test_nothing_is_unfinished(node: Host) -> None:
    assert not node.file("/var/lib/slipway/kubeadm.json").exists


def test_kubeconfigs_are_private(control_plane: Host) -> None:
    for path in ("/etc/kubernetes/admin.conf", "/root/.kube/config"):
        assert control_plane.file(path).mode == 0o600
    fetched = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "artifacts" / "molecule" / "admin.conf"
    assert fetched.stat().st_mode & 0o777 == 0o600


def test_nodes_are_ready_with_their_runtimes(control_plane: Host, machines: t.Set[str]) -> None:
    nodes = {item["metadata"]["name"]: item["status"] for item in get(control_plane, "nodes")["items"]}
    assert set(nodes) == machines
    for name, status in nodes.items():
        ready = next(entry for entry in status["conditions"] if entry["type"] == "Ready")
        assert ready["status"] == "True"
        assert status["nodeInfo"]["kubeletVersion"] == f"v{VERSION}"
        assert status["nodeInfo"]["containerRuntimeVersion"].startswith(CONTAINERD[name])


def test_nodes_carry_what_the_inventory_says(control_plane: Host) -> None:
    node = get(control_plane, "node mol-worker1")
    assert node["metadata"]["labels"]["example.com/disk"] == "ssd"
    assert node["metadata"]["annotations"]["example.com/rack"] == "7"
    assert node["spec"]["taints"] == [{"key": "example.com/batch", "value": "yes", "effect": "PreferNoSchedule"}]
    assert "taints" not in get(control_plane, "node mol-worker2")["spec"]


def test_addons_of_the_list_are_there(control_plane: Host) -> None:
    assert get(control_plane, "deployment idle --namespace=idle")["status"]["readyReplicas"] == 2
    notes = get(control_plane, "configmap notes --namespace=idle")
    assert notes["data"] == {"owner": "platform"}
    assert notes["metadata"]["labels"] == {"slipway.io/set": "addon-notes"}
    releases = json.loads(control_plane.check_output(f"helm list --all-namespaces --output=json {CONFIG}"))
    assert [item["chart"] for item in releases if item["name"] == "idle"] == ["idle-0.1.0"]


def test_named_users_are_administrators(control_plane: Host) -> None:
    kept = control_plane.file("/home/ops/.kube/config")
    assert (kept.mode, kept.user) == (0o600, "ops")
    for command in ("kubectl", "k"):
        assert "mol-worker1" in control_plane.check_output(f"sudo --login --user=ops {command} get nodes")


@pytest.fixture(scope="module")
def terminal() -> t.Iterator[Host]:
    """A control plane on which a user has zsh, too, with its completion turned on."""
    host = connect("mol-cp1")
    script = (SCENARIO / "files/complete.py").read_text(encoding="utf-8")
    host.check_output("printf %%s %s > /tmp/complete.py", script)
    host.check_output("apt-get update --quiet && DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet zsh")
    zshrc = "/home/ops/.zshrc"
    host.check_output(f"echo 'autoload -Uz compinit && compinit -u' > {zshrc} && chown ops: {zshrc}")
    yield host
    host.check_output(f"apt-get purge --yes --quiet zsh zsh-common && rm {zshrc} /tmp/complete.py")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("kubectl cluster-inf", "cluster-info"),
        # By the API, as the user.
        ("kubectl describe node mol-w", "mol-worker"),
        ("k describe node mol-w", "mol-worker"),
        ("kubeadm cert", "certs"),
        ("helm uninst", "uninstall"),
    ],
)
def test_shells_complete_commands(terminal: Host, shell: str, typed: str, completed: str) -> None:
    terminal.check_output("sudo --login --user=ops python3 /tmp/complete.py %s %s %s", shell, typed, completed)


@pytest.mark.last
def test_addons_that_leave_the_list_are_removed(control_plane: Host) -> None:
    only_notes = {"addons_list": yaml.safe_load(CONVERGE.read_text(encoding="utf-8"))[0]["vars"]["addons_list"][1:]}
    assert changes(play(CONVERGE, "--tags=addons", "--check", variables=only_notes)) == 1
    assert get(control_plane, "deployment --namespace=idle")["items"]
    assert changes(play(CONVERGE, "--tags=addons", variables=only_notes)) == 1
    assert not get(control_plane, "deployment --namespace=idle")["items"]
    assert get(control_plane, "configmap notes --namespace=idle")["data"] == {"owner": "platform"}
    none: t.Dict[str, t.Any] = {"addons_list": []}
    assert changes(play(CONVERGE, "--tags=addons", variables=none)) == 1
    # What else is in the namespace is not ours to delete.
    left = get(control_plane, "configmaps --namespace=idle")["items"]
    assert [item["metadata"]["name"] for item in left] == ["kube-root-ca.crt"]
    # From now on there is nothing to look at.
    again = play(CONVERGE, "--tags=addons", variables=none)
    assert re.search(r"Apply the addons in their order\] \**\nskipping: ", again), again


def test_no_bootstrap_token_is_left(control_plane: Host) -> None:
    assert not get(
        control_plane, "secrets --namespace=kube-system --field-selector=type=bootstrap.kubernetes.io/token"
    )["items"]


def test_serving_certificates_are_issued(control_plane: Host) -> None:
    pending = [item["metadata"]["name"] for item in get(control_plane, "csr")["items"] if not item["status"]]
    assert not pending


def test_serving_certificates_are_renewed_without_ansible(control_plane: Host, worker: Host) -> None:
    timer = control_plane.service("slipway-serving-certificates.timer")
    assert timer.is_running
    assert timer.is_enabled
    before = {item["metadata"]["name"] for item in get(control_plane, "csr")["items"]}
    # Without a certificate the kubelet asks for one when it starts, as it does when the old one is nearly over.
    worker.check_output("rm /var/lib/kubelet/pki/kubelet-server-current.pem && systemctl restart kubelet")
    deadline = time.monotonic() + 120
    while not worker.file("/var/lib/kubelet/pki/kubelet-server-current.pem").exists:
        assert time.monotonic() < deadline, control_plane.check_output(
            "journalctl --unit slipway-serving-certificates --no-pager --lines=50"
        )
        control_plane.check_output("systemctl start slipway-serving-certificates.service")
        time.sleep(1)
    new = [item for item in get(control_plane, "csr")["items"] if item["metadata"]["name"] not in before]
    assert [item["spec"]["signerName"] for item in new] == ["kubernetes.io/kubelet-serving"]
    said = control_plane.check_output("journalctl --unit slipway-serving-certificates --no-pager --output=cat")
    assert f"'{new[0]['metadata']['name']}' of '{worker.check_output('hostname')}' is approved" in said


def test_metrics_come_from_verified_kubelets(control_plane: Host, machines: t.Set[str]) -> None:
    server = get(control_plane, "deployment/metrics-server --namespace=kube-system")
    arguments = server["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--kubelet-insecure-tls" not in arguments
    top = control_plane.check_output(f"{ADMIN} top nodes --no-headers")
    assert {line.split()[0] for line in top.splitlines()} == machines


def test_the_cluster_works(machines: t.Set[str]) -> None:
    pools = [{"name": "default", "addresses": ["172.30.0.230-172.30.0.234"]}]
    output = play("verify.yml", variables={"metallb_address_pools": pools})
    assert f"{len(machines)} at {VERSION}" in output
    assert "the load balancer answers from the controller  172.30.0.23" in output
