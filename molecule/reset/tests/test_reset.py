# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""reset.yml: nothing of ours is left, everything of others is, and site.yml builds a new cluster on the machines."""

from __future__ import annotations

import os
import signal
import time

import pytest
from conftest import ARTIFACTS, CONVERGE, changes, connect, play, start
from testinfra.host import Host

KUBECONFIG = ARTIFACTS / "admin.conf"
NAME = "molecule-reset"
VARIABLES = {"cluster_name": NAME, "kubeconfig_fetch_directory": str(ARTIFACTS)}
CONFIRMED = ("--extra-vars", "reset_confirm=true")

# Each prints what is left; nothing is right.
LEFT = {
    "interfaces": "ls /sys/class/net | grep -E '^(cni|flannel|veth|kube|cali)'",
    "chains": "{ iptables-save; ip6tables-save; } | grep -E '(KUBE|FLANNEL|CNI)-|flanneld'",
    "mounts": "grep -E ' (/var/lib/kubelet|/run/netns/cni-|/run/containerd/.*k8s.io)' /proc/self/mounts",
    "cgroups": "find /sys/fs/cgroup -maxdepth 2 -name 'kubepods*'",
    "network namespaces": "ls /run/netns | grep cni-",
    "containers": "ctr --namespace=k8s.io containers list --quiet",
    "processes": "pgrep -a 'kube|etcd|flanneld|coredns'",
    "shims": "pgrep -af 'containerd-shim.* [k]8s.io'",
    "kubelet": "systemctl is-enabled kubelet | grep -vE 'disabled|not-found'",
    "files": "find /etc/kubernetes /var/lib/kubelet /var/lib/etcd /var/lib/cni /run/flannel /var/log/pods"
    " /var/log/containers /var/lib/slipway -type f 2>/dev/null"
    " | grep -vE '/var/lib/(slipway/(archives|etcd-backup)|etcd/foreign)/'",
    "other files": "ls -d /etc/cni/net.d/*flannel* /opt/cni/bin/flannel /root/.kube/config"
    " /etc/bash_completion.d/slipway-kubernetes /etc/systemd/system/slipway-* /etc/slipway /usr/local/lib/slipway"
    " 2>/dev/null",
}

# A table of nftables, as another program would make one: `nft` is not on the lab's machines.
MAKE_TABLE = """
import socket, struct
def message(kind, flags, family, resource, payload=b""):
    body = struct.pack("=BB", family, 0) + struct.pack("!H", resource) + payload
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body
name = b"\\x0c\\x00\\x01\\x00foreign\\x00"
kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
kernel.send(message(16, 1, 0, 10) + message(10 << 8, 0x405, 2, 0, name) + message(17, 1, 0, 10))
"""
LIST_TABLES = """
import re, socket, struct
kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
kernel.settimeout(2)
kernel.send(struct.pack("=IHHII", 20, 10 << 8 | 1, 0x301, 1, 0) + bytes(4))
print(*re.findall(rb"foreign|kube-proxy|flannel-ipv[46]", kernel.recv(1 << 16)))
"""
FOREIGN = f"""
set -e
iptables -N FOREIGN
iptables -A FOREIGN -s 192.0.2.1 -j DROP
iptables -A INPUT -j FOREIGN
iptables -t nat -A POSTROUTING -s 192.0.2.0/24 -j MASQUERADE
python3 -c '{MAKE_TABLE}'
ip netns add foreign
ip link add foreign0 type bridge
echo '{{}}' >/etc/cni/net.d/87-foreign.conflist
image=172.30.0.1:5000/registry.k8s.io/pause:3.10.2
ctr --namespace=foreign images pull --plain-http $image
ctr --namespace=foreign run --detach --net-host $image kept
"""
STILL_THERE = f"""
iptables-save | grep -E 'FOREIGN|192.0.2.0|DOCKER_' | sed -E 's/[0-9]+$//'
python3 -c '{LIST_TABLES}' | grep -o foreign
ip netns list | grep foreign
ls -d /sys/class/net/foreign0 /etc/cni/net.d/87-foreign.conflist /var/lib/etcd/foreign/* 2>/dev/null
ctr --namespace=foreign tasks list | grep -c RUNNING
"""


def reset(*arguments: str, rc: int = 0) -> str:
    """Run reset.yml."""
    return play("reset.yml", *arguments, rc=rc, variables=VARIABLES)


def shell(node: Host, script: str) -> str:
    """What a script prints on a machine."""
    return str(node.run(script).stdout).strip()


def left(node: Host) -> dict[str, str]:
    """What of Kubernetes is on a machine."""
    found = {kind: shell(node, script) for kind, script in LEFT.items()}
    tables = shell(node, f"python3 -c '{LIST_TABLES}'").replace("b'foreign'", "").strip()
    return {kind: text for kind, text in {**found, "tables": tables}.items() if text}


def nodes(node: Host) -> str:
    """The nodes, as the control plane says."""
    return shell(node, "kubectl --kubeconfig=/etc/kubernetes/admin.conf get nodes --output=name")


@pytest.mark.last
def test_reset() -> None:
    control, worker = machines = [connect("reset-control"), connect("reset-worker")]
    both = "node/reset-control\nnode/reset-worker"
    foreign = {}
    # An etcd of somebody else keeps its data below the folder that kubeadm's takes on a control plane.
    worker.run("install -D /dev/null /var/lib/etcd/foreign/db")
    for machine in machines:
        done = machine.run(FOREIGN)
        assert done.rc == 0, done.stderr
        foreign[machine] = shell(machine, STILL_THERE)
        assert foreign[machine].count("FOREIGN") == 3 and foreign[machine].endswith("1"), foreign[machine]
    assert KUBECONFIG.exists()

    timer = ("--extra-vars", "etcd_backup_timer=true", "--extra-vars", "etcd_backup_fetch=false")
    play("etcd_backup.yml", *timer, variables=VARIABLES)
    assert control.service("slipway-etcd-backup.timer").is_running

    # Nobody is there who could be asked, a part of the cluster, and a dry run: nothing happens.
    assert "Where nobody can be asked, say" in reset(rc=2)
    assert "--limit leaves out reset-control" in reset("--limit", "reset-worker", *CONFIRMED, rc=2)
    assert changes(reset("--check")) == 3
    assert nodes(control) == both and KUBECONFIG.exists()

    assert changes(reset(*CONFIRMED)) == 3
    assert {machine.backend.hostname: left(machine) for machine in machines if left(machine)} == {}
    assert {machine: shell(machine, STILL_THERE) for machine in machines} == foreign
    assert not KUBECONFIG.exists()
    assert control.package("kubeadm").is_installed
    assert not control.service("slipway-etcd-backup.timer").is_running
    # Whoever takes a cluster down may want its backup.
    assert control.file("/var/lib/slipway/etcd-backup").listdir()
    assert changes(reset(*CONFIRMED)) == 0

    # containerd would give pods the network of others until Flannel's is there, so this has to go for a new cluster.
    assert "/etc/cni/net.d/87-foreign.conflist is the" in " ".join(play(CONVERGE, rc=2, variables=VARIABLES).split())
    for machine in machines:
        shell(machine, "mv /etc/cni/net.d/87-foreign.conflist /root")
    play(CONVERGE, variables=VARIABLES)
    assert nodes(control) == both
    assert changes(play(CONVERGE, variables=VARIABLES)) == 0
    for machine in machines:
        shell(machine, "mv /root/87-foreign.conflist /etc/cni/net.d")

    # Killed in the middle, with what it had started on the machines.
    process = start("reset.yml", *CONFIRMED, variables=VARIABLES)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and "reset" not in shell(control, "cat /var/lib/slipway/kubeadm.json"):
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    for machine in machines:
        machine.run("pkill -KILL -x 'python3.*|kubeadm'")
    refused = play(CONVERGE, rc=2, variables=VARIABLES)
    assert "An interrupted reset of" in refused
    assert changes(reset(*CONFIRMED, "--extra-vars", "node_reset_packages=absent")) > 0
    assert {machine.backend.hostname: left(machine) for machine in machines if left(machine)} == {}
    assert {machine: shell(machine, STILL_THERE) for machine in machines} == foreign
    assert not worker.package("kubeadm").is_installed
    assert not worker.file("/etc/sysctl.d/99-slipway-kubernetes.conf").exists
    assert changes(reset(*CONFIRMED, "--extra-vars", "node_reset_packages=absent")) == 0
