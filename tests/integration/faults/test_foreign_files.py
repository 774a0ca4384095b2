# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is not ours stays, or is named before anything is changed: refused, built, built again after a kill, reset.

One life of two machines on which others have files and processes of every kind, some under Kubernetes' own names.
"""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from interruptions import MACHINE, Point
from lab_support import Node, Site

CONTROL_PLANE, WORKER = "foreign1", "foreign2"
VIP = "172.30.0.189"

HAPROXY, KEEPALIVED = "/etc/haproxy/haproxy.cfg", "/etc/keepalived/keepalived.conf"
COMPLETION = "/usr/local/share/zsh/site-functions/_kubectl"
CONTAINERD, HOSTS = "/etc/containerd/config.toml", "/etc/containerd/certs.d/registry.k8s.io/hosts.toml"
NVIDIA = """\
version = 2
imports = ["/etc/containerd/more/*.toml"]
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia.options]
    BinaryName = "/usr/bin/nvidia-container-runtime"
"""
#: What a run would replace, and so refuses.
REFUSED = {
    HAPROXY: "frontend shop\n    bind *:80\n",
    KEEPALIVED: "vrrp_instance shop {\n}\n",
    COMPLETION: "#compdef kubectl\n# of a package\n",
    CONTAINERD: NVIDIA,
    HOSTS: 'server = "https://registry.example.com"\n',
}

#: What no run has to touch.
STATIC_POD = "/etc/kubernetes/manifests/kube-vip.yaml"
FOREIGN = {
    "/etc/kubernetes/cloud.conf": "[Global]\npassword = x\n",
    "/etc/kubernetes/audit-webhook.conf": "apiVersion: v1\nkind: Config\n",
    "/etc/kubernetes/patches/etcd0+merge.yaml": "{}\n",
    "/etc/kubernetes/encryption/config.yaml": "kind: EncryptionConfiguration\n",
    "/etc/kubernetes/pki/users/ada.key": "a key\n",
    "/etc/containerd/certs.d/registry.example.com/hosts.toml": 'server = "https://mirror.example.com"\n',
}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "kube-vip", "namespace": "kube-system"},
    "spec": {"hostNetwork": True, "containers": [{"name": "vip", "image": "registry.k8s.io/pause:3.10.1"}]},
}
KUBECONFIG = """\
# mine
apiVersion: v1
kind: Config
clusters:
- name: shop
  cluster: {server: "https://192.0.2.9:6443", certificate-authority: shop.crt}
users:
- name: kubernetes-admin
  user: {token: secret}
contexts:
- name: shop
  context: {cluster: shop, user: kubernetes-admin}
current-context: shop
"""
#: A cluster in containers: other process ids, the same names.
KIND = """\
for name in containerd-shim-runc-v2 kubelet; do
    systemd-run --quiet --unit="kind-$name" --property=KillMode=process \
        unshare --pid --fork bash -c "exec -a $name tail -f /dev/null k8s.io"
done
"""
#: A kubelet of somebody else that has the port of ours; a copy of Python has its name.
KUBELET = """\
mkdir -p /opt/kind
cp "$(readlink -f /usr/bin/python3)" /opt/kind/kubelet
systemd-run --quiet --unit=kind-port unshare --pid --fork /opt/kind/kubelet -c '
import socket, time
server = socket.create_server(("", 10250))
time.sleep(10000)'
until ss -ltn | grep -q :10250; do sleep 0.1; done
"""


def put(node: Node, files: t.Mapping[str, str]) -> None:
    """Write files on a machine, with a mode that is not ours."""
    for path, text in files.items():
        node.execute("mkdir", "-p", str(pathlib.PurePosixPath(path).parent))
        node.execute("tee", path, stdin=text)
        node.execute("chmod", "0640", path)


def state(node: Node, paths: t.Iterable[str]) -> str:
    """Contents, modes and owners of files; it fails when one is not there."""
    words = " ".join(paths)
    return node.shell(f"set -e; sha256sum {words}; stat --format='%n %a %u:%g' {words}")


def kind(node: Node) -> list[str]:
    """The process ids of somebody else's cluster."""
    return sorted(node.shell("pgrep -f '^(containerd-shim-runc-v2|kubelet) -f /dev/null'").split())


def kubeconfig(node: Node) -> dict[str, t.Any]:
    """What there is in root's kubeconfig, without what we have marked as ours."""
    words = ["kubectl", "config", "view", "--raw", "--kubeconfig=/root/.kube/config", "--output=json"]
    return t.cast("dict[str, t.Any]", json.loads(node.execute(*words).stdout))


def names(config: t.Mapping[str, t.Any], kind_of: str) -> list[str]:
    """Names of clusters, users or contexts."""
    return [entry["name"] for entry in config[kind_of] or []]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Site]:
    """Two fresh machines."""
    made = Site(
        tmp_path_factory.mktemp("foreign"),
        [CONTROL_PLANE],
        [WORKER],
        systems={WORKER: "debian13"},
        variables={"metrics_server_enabled": False, "metallb_address_pools": []},
    )
    yield made
    made.close()


def test_files_and_ports_of_others_are_named_before_anything_is_changed(site: Site) -> None:
    node = site.control_plane
    put(node, REFUSED)
    node.shell(KUBELET)
    before = state(node, REFUSED)
    endpoint = ["-e", "api_endpoint_provider=keepalived", "-e", f"cluster_endpoint={VIP}:8443"]
    result = site.run(*endpoint).expect(rc=2)
    for path in REFUSED:
        assert f"{CONTROL_PLANE}: {path}: " in result.output or f"{path} " in result.output, result.output
    assert "port 10250: is held by a container's kubelet" in result.output, result.output
    assert "nothing was changed" in result.output
    assert state(node, REFUSED) == before
    assert node.shell("ls /etc/kubernetes /etc/sysctl.d/99-slipway-kubernetes.conf 2>/dev/null", check=False) == ""
    node.shell("systemctl kill --signal=KILL kind-port")
    node.execute("rm", "-r", "/opt/kind", *REFUSED)


@pytest.fixture(scope="module")
def foreign(site: Site) -> dict[str, str]:
    """Files and processes of others on both machines, and how they were."""
    node, worker = site.control_plane, site.nodes[WORKER]
    put(node, {**FOREIGN, STATIC_POD: json.dumps(POD), "/root/.kube/config": KUBECONFIG})
    put(worker, {path: FOREIGN[path] for path in FOREIGN if "pki" not in path})
    pki = "/etc/kubernetes/pki"
    extensions = "-addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature"
    node.shell(
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=the-users-ca {extensions}"
        f" -keyout {pki}/ca.key -out {pki}/ca.crt 2>&1"
    )
    for machine in (node, worker):
        machine.shell(KIND)
    return {machine.name: others(machine) for machine in (node, worker)}


def others(node: Node) -> str:
    """All that is not ours on a machine."""
    paths = [*FOREIGN, STATIC_POD, "/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/ca.key"]
    if node.name == WORKER:
        paths = [path for path in FOREIGN if "pki" not in path]
    return state(node, paths) + " ".join(kind(node))


def test_an_init_that_was_killed_is_done_again_beside_what_others_have(site: Site, foreign: dict[str, str]) -> None:
    init = "pgrep -f '[k]ubeadm init'"
    point = Point("init: etcd starts", "Initialise the control plane", MACHINE, f"{init} && pgrep -x etcd")
    point.strike(site, site.start())
    result = site.run().expect()
    assert (CONTROL_PLANE, "Initialise the control plane") in result.changed
    assert {node.name: others(node) for node in site.nodes.values()} == foreign
    site.expect_settled()
    assert {node.name: others(node) for node in site.nodes.values()} == foreign


def test_a_users_kubeconfig_keeps_its_clusters(site: Site, foreign: dict[str, str]) -> None:
    node = site.control_plane
    config = kubeconfig(node)
    assert config["current-context"] == "shop" and names(config, "contexts") == ["shop", "test"]
    assert {"name": "kubernetes-admin", "user": {"token": "secret"}} in config["users"]
    assert node.shell("cat /root/.kube/config.before-slipway") == KUBECONFIG
    assert node.shell("stat --format='%a %U' /root/.kube/config").split() == ["600", "root"]
    own = ["kubectl", "--kubeconfig=/root/.kube/config", "--context=test", "get", "nodes", "--output=name"]
    assert node.execute(*own).stdout.split() == [f"node/{CONTROL_PLANE}", f"node/{WORKER}"]


def test_a_reset_leaves_and_names_what_others_have(site: Site, foreign: dict[str, str]) -> None:
    checked = site.run("--check", "-e", "reset_confirm=true", playbook="playbooks/reset.yml").expect()
    assert "/etc/kubernetes/cloud.conf" in checked.output
    assert {node.name: others(node) for node in site.nodes.values()} == foreign
    result = site.run("-e", "reset_confirm=true", playbook="playbooks/reset.yml").expect()
    for path in ("/etc/kubernetes/cloud.conf", "/etc/kubernetes/pki/ca.key", STATIC_POD):
        assert path in result.output, result.output
    assert {node.name: others(node) for node in site.nodes.values()} == foreign
    node = site.control_plane
    config = kubeconfig(node)
    assert {kind_of: names(config, kind_of) for kind_of in ("clusters", "users", "contexts")} == {
        "clusters": ["shop"],
        "users": ["kubernetes-admin"],
        "contexts": ["shop"],
    }
    left = node.shell("find /etc/kubernetes -type f | sort").split()
    expected = [path for path in [*FOREIGN, STATIC_POD] if path.startswith("/etc/kubernetes")]
    assert left == sorted([*expected, "/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/ca.key"])
    site.run("-e", "reset_confirm=true", playbook="playbooks/reset.yml").expect(changed=[])
    assert {node.name: others(node) for node in site.nodes.values()} == foreign
