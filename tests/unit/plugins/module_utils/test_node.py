# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import json
import os
import socket
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _records
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import kubeadm
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._node import node_facts
from ansible_collections.slipway.kubernetes.tests.unit.plugins import proc_fakes

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 313265 1 0000000071febd35 100
   1: 0B00007F:A31F 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 312598 1 000000009e450749 100
   2: 0100007F:A31F 0100007F:0016 01 00000000:00000000 00:00000000 00000000     0        0 312599 1 000000009e450749 100
"""
TCP6 = """\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when
   0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:0 0 0 77 1
   1: B80D0120000000000000000010000000:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:0 0 0 78 1
"""
UDP = """\
   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 4881: 0B00007F:8FBD 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 312597 2 00000000d629a8d3 0
"""
ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth1\t00000000\t01001EAC\t0003\t0\t0\t200\t00000000\t0\t0\t0
eth0\t00000000\t01001EAC\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth2\t00000000\t01001EAC\t0003\t0\t0\t0\t00000080\t0\t0\t0
eth0\t00001EAC\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
ROUTES6 = (
    f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} ffffffff 00000001 00000000 00200200       lo\n"
    f"{'0' * 32} 00 {'0' * 32} 00 fd000000000000000000000000000001 00000400 00000002 00000000 00000003     eth0\n"
    f"fd{'0' * 30} 40 {'0' * 32} 00 {'0' * 32} 00000100 00000002 00000000 00000001     eth1\n"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'PRETTY_NAME="Debian 12"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian\n#X=1\n',
            ("debian", "12", "bookworm", "debian", []),
        ),
        (
            'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\n',
            ("ubuntu", "24.04", "noble", "debian", ["debian"]),
        ),
        (
            'ID="rocky"\nID_LIKE="rhel centos fedora"\nVERSION_ID="9.5"\n',
            ("rocky", "9.5", "", "redhat", ["rhel", "centos", "fedora"]),
        ),
        (
            'NAME="Fedora Linux"\nVERSION="43 (Server Edition)"\nRELEASE_TYPE=stable\nID=fedora\nVERSION_ID=43\n'
            'VERSION_CODENAME=""\nPRETTY_NAME="Fedora Linux 43 (Server Edition)"\n',
            ("fedora", "43", "", "redhat", []),
        ),
        (
            'NAME="Amazon Linux"\nVERSION="2023"\nID="amzn"\nID_LIKE="fedora"\nVERSION_ID="2023"\n'
            'PLATFORM_ID="platform:al2023"\nPRETTY_NAME="Amazon Linux 2023.10.20260202"\n',
            ("amzn", "2023", "", "redhat", ["fedora"]),
        ),
        (
            'NAME="Amazon Linux"\nVERSION="2"\nID="amzn"\nID_LIKE="centos rhel fedora"\nVERSION_ID="2"\n',
            ("amzn", "2", "", "redhat", ["centos", "rhel", "fedora"]),
        ),
        ('ID="rhel"\nID_LIKE="fedora"\nVERSION_ID="10.0"\n', ("rhel", "10.0", "", "redhat", ["fedora"])),
        ('ID="ol"\nID_LIKE="fedora"\nVERSION_ID="9.6"\n', ("ol", "9.6", "", "redhat", ["fedora"])),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', ("opensuse-leap", "", "", "suse", ["suse", "opensuse"])),
        ("ID=arch\n", ("arch", "", "", "arch", [])),
        ("", ("", "", "", "", [])),
    ],
)
def test_parse_os_release(text: str, expected: t.Tuple[t.Any, ...]) -> None:
    found = node_facts.parse_os_release(text)
    assert tuple(found[key] for key in ("id", "version_id", "codename", "family", "id_like")) == expected


def test_default_interfaces() -> None:
    assert node_facts.parse_default_interface(ROUTES) == "eth0"
    assert node_facts.parse_default_interface("Iface\n") == ""
    assert node_facts.parse_default_interface6(ROUTES6) == "eth0"
    assert node_facts.parse_default_interface6("") == ""


def test_parse_sockets() -> None:
    assert node_facts.parse_sockets(TCP, "tcp") == [
        {"protocol": "tcp", "address": "0.0.0.0", "port": 22, "inode": "313265"},
        {"protocol": "tcp", "address": "127.0.0.11", "port": 41759, "inode": "312598"},
    ]
    addresses = [(entry["address"], entry["port"]) for entry in node_facts.parse_sockets(TCP6, "tcp")]
    assert addresses == [("::", 8080), ("2001:db8::10", 8081)]
    assert node_facts.parse_sockets(UDP, "udp")[0]["port"] == 36797


def test_parse_meminfo() -> None:
    assert node_facts.parse_meminfo("MemTotal:  2048000 kB\nSwapTotal: 1024 kB\n") == {"memory": 2000, "swap": 1}
    assert node_facts.parse_meminfo("") == {"memory": 0, "swap": 0}


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v1.37.1\n", "1.37.1"),
        ("Kubernetes v1.37.1\n", "1.37.1"),
        ("Client Version: v1.37.1\nKustomize Version: v5.8.1\n", "1.37.1"),
        ("v3.22.0+g144d87a\n", "3.22.0"),
        ("v3.22", "3.22"),
        ("containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u1\n", "1.6.20"),
        ("containerd containerd.io v2.4.0-rc.1 4ac6c20c7bbf8177f29e46bbdc658fec02ffb8ad\n", "2.4.0-rc.1"),
        ("who knows", ""),
    ],
)
def test_first_version(text: str, version: str) -> None:
    assert node_facts.first_version(text) == version


@pytest.mark.parametrize(
    ("present", "unfinished", "completed"),
    [([], None, False), (["kubelet.conf"], None, True), (["kubelet.conf"], {}, False)],
)
def test_kubernetes_state(
    monkeypatch: pytest.MonkeyPatch,
    present: t.List[str],
    unfinished: t.Optional[t.Dict[str, str]],
    completed: bool,
) -> None:
    monkeypatch.setattr(os.path, "exists", lambda path: os.path.basename(path) in present)
    monkeypatch.setattr(_records.KUBEADM, "read", lambda: unfinished)
    state = node_facts.kubernetes_state(KUBEADM)
    assert state == {
        "installer": "kubeadm" if present else "",
        "control_plane": False,
        "api_ready": False,
        "apiserver_names": [],
        "admin_kubeconfig": False,
        "joined": bool(present),
        "node_name": "",
        "told_name": "",
        "unfinished": unfinished,
        "completed": completed,
        "static_pods": {},
        "upgrading": None,
        "ca_cert_hashes": [],
        "endpoint": "",
        "endpoint_ready": False,
        "serving_certificates_timer": "",
    }


@pytest.mark.parametrize("ready", [True, False])
def test_whether_the_endpoint_leads_to_the_cluster(monkeypatch: pytest.MonkeyPatch, ready: bool) -> None:
    monkeypatch.setattr(api_server, "is_ready", lambda _layout: True)
    monkeypatch.setattr(node_facts, "endpoint_of", lambda _text: "api.example.com:8443")
    monkeypatch.setattr(api_server, "answers_ready", lambda *asked: ready and asked[:2] == ("api.example.com", 8443))
    assert node_facts.kubernetes_state(KUBEADM)["endpoint_ready"] is ready


def test_the_names_of_the_api_server() -> None:
    path = Path(__file__).parents[1] / "fixtures" / "kubeadm" / "control-plane" / "pki" / "apiserver.crt"
    layout = dataclasses.replace(KUBEADM, api_certificate=str(path))
    assert node_facts.apiserver_names(layout)[:3] == ["10.96.0.1", "172.30.0.40", "certs-cp1"]


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("clusters:\n- cluster:\n    server: https://192.0.2.9:8443\n  name: x\n", "192.0.2.9:8443"),
        ('    server: "https://[fd00::1]:6443/"\n', "[fd00::1]:6443"),
        ("", ""),
    ],
)
def test_endpoint_of(text: str, endpoint: str) -> None:
    assert node_facts.endpoint_of(text) == endpoint


@pytest.mark.parametrize("readable", [True, False])
def test_the_authority_of_the_cluster(tmp_path: Path, readable: bool) -> None:
    recorded = (Path(__file__).parents[1] / "fixtures" / "kubeadm" / "ca.crt").read_text(encoding="utf-8")
    path = tmp_path / "ca.crt"
    path.write_text(recorded * 2 if readable else "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n")
    state = node_facts.kubernetes_state(dataclasses.replace(KUBEADM, authority=str(path)))
    pin = kubeadm.ca_certificate_hashes(recorded)[0]
    assert state["ca_cert_hashes"] == ([pin, pin] if readable else [])


@pytest.mark.parametrize(
    ("text", "active"), [("ENABLED=yes\n", True), ("#x\nENABLED=no\n", False), ("# ENABLED=yes\n", False), ("", False)]
)
def test_ufw_is_active(text: str, active: bool) -> None:
    assert node_facts.ufw_is_active(text) is active


def test_time_sync(tmp_path: Path) -> None:
    assert node_facts.time_sync(str(tmp_path)) == ""
    (tmp_path / "systemd/units").mkdir(parents=True)
    (tmp_path / "systemd/units/invocation:chrony.service").symlink_to("0123456789abcdef")
    assert node_facts.time_sync(str(tmp_path)) == "chrony"
    (tmp_path / "systemd/container").touch()
    assert node_facts.time_sync(str(tmp_path)) == "container"


def process(proc: Path, pid: str, namespace: str, *handles: str) -> None:
    (proc / pid / "ns").mkdir(parents=True)
    (proc / pid / "ns/net").symlink_to(f"net:[{namespace}]")
    (proc / pid / "fd").mkdir()
    for number, target in enumerate(handles):
        (proc / pid / "fd" / str(number)).symlink_to(target)


def test_socket_owners(tmp_path: Path) -> None:
    process(tmp_path, "self", "1")
    process(tmp_path, "20", "1", "/dev/null", "socket:[77]", "socket:[5]")
    process(tmp_path, "9", "1", "socket:[77]")
    process(tmp_path, "30", "2", "socket:[78]")
    process(tmp_path, "40", "1", "socket:[79]")
    (tmp_path / "50/ns").mkdir(parents=True)
    (tmp_path / "50/ns/net").symlink_to("net:[1]")
    (tmp_path / "meminfo").write_text("")
    assert node_facts.socket_owners({"77", "78", "79"}, str(tmp_path)) == {"77": 9, "79": 40}
    assert node_facts.socket_owners({"77"}, str(tmp_path)) == {"77": 9}
    assert node_facts.socket_owners(set(), str(tmp_path)) == {}


def test_a_process_in_somebody_elses_container_is_named_as_one(tmp_path: Path) -> None:
    pod = "/kubepods.slice/kubepods-pod1.slice/a"
    proc_fakes.process(tmp_path, 20, "/usr/bin/kubelet")
    proc_fakes.process(tmp_path, 21, "kube-proxy", namespace=2, depth=2, group=pod)
    proc_fakes.process(tmp_path, 22, "kubelet", namespace=3, depth=2, group="/user.slice/session-1.scope")
    proc_fakes.process(tmp_path, 23, "kube-controller-manager", namespace=4, depth=3, group=f"/docker/abc{pod}")
    names = [node_facts.process_name(pid, str(tmp_path)) for pid in (20, 21, 22, 23, 24)]
    assert names == ["kubelet", "kube-proxy", "a container's kubelet", "a container's kube-controller", ""]


class Tools:
    """Finds the programs of a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def which(self, name: str, required: bool = True) -> t.Optional[str]:
        path = self.folder / name
        return str(path) if path.exists() else None

    def add(self, name: str, script: str) -> None:
        (self.folder / name).write_text(script)
        (self.folder / name).chmod(0o755)


def test_versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_facts, "_PATIENCE", 0.5)
    tools = Tools(tmp_path)
    tools.add("kubeadm", '#!/bin/sh\n[ "$1" = version ] && echo v1.37.1\n')
    tools.add("kubelet", "#!/bin/sh\necho v1.0.0; exit 1\n")
    tools.add("helm", "#!/bin/sh\nexec sleep 30\n")
    tools.add("containerd", "no program")
    programs = dict.fromkeys(("kubeadm", "kubelet", "kubectl", "helm", "containerd"), ("version",))
    asked = node_facts.Versions(tools, programs)  # type: ignore[arg-type]
    assert asked.result() == {"kubeadm": "1.37.1", "kubelet": "", "kubectl": "", "helm": "", "containerd": ""}
    assert asked.paths["kubectl"] == ""
    assert asked.paths["containerd"] == str(tmp_path / "containerd")


def test_facts_of_this_machine(tmp_path: Path) -> None:
    tools = Tools(tmp_path)
    tools.add("kubelet", "#!/bin/sh\necho Kubernetes v1.37.1\n")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(1)
        port = server.getsockname()[1]
        facts = node_facts.NodeFacts(tools).collect()  # type: ignore[arg-type]
    json.dumps(facts)
    assert {**facts["kubernetes"], "kubelet_version": ""}["kubelet_version"] == ""
    assert facts["kubernetes"]["kubelet_version"] == "1.37.1"
    assert facts["kubernetes"]["kubeadm_version"] == ""
    assert not facts["runtime"]["containerd"]["installed"]
    assert facts["memory_mb"] > 0
    assert facts["cpu_count"] > 0
    assert {"/etc", "/tmp", "/var/lib"} <= {disk["path"] for disk in facts["disk"]}
    assert {
        "protocol": "tcp",
        "address": "127.0.0.1",
        "port": port,
        "pid": os.getpid(),
        "process": Path("/proc/self/comm").read_text().strip(),
    } in facts["listening"]


def test_address_of() -> None:
    addresses = [{"address": "fd00::1", "family": 6}, {"address": "192.0.2.1", "family": 4}]
    interfaces: t.List[t.Dict[str, t.Any]] = [
        {"name": "eth1", "addresses": []},
        {"name": "eth0", "addresses": addresses},
    ]
    assert node_facts.address_of(interfaces, "eth0", 4) == "192.0.2.1"
    assert node_facts.address_of(interfaces, "eth0", 6) == "fd00::1"
    assert node_facts.address_of(interfaces, "eth1", 4) == ""
    assert node_facts.address_of(interfaces, "", 4) == ""


def test_a_virtual_address_is_not_taken_for_the_machines_own() -> None:
    """After DHCP has set the machine's address anew, keepalived's is the first."""
    addresses = [
        {"address": "192.0.2.100", "prefix": 32, "family": 4},
        {"address": "192.0.2.1", "prefix": 24, "family": 4},
    ]
    assert node_facts.address_of([{"name": "eth0", "addresses": addresses}], "eth0", 4) == "192.0.2.1"
    assert node_facts.address_of([{"name": "eth0", "addresses": addresses[:1]}], "eth0", 4) == "192.0.2.100"


def test_a_container_has_no_product_uuid_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "sys/class/dmi/id").mkdir(parents=True)
    (tmp_path / "sys/class/dmi/id/product_uuid").write_text("4C4C4544-0043-4A10-8051-B9C04F4C4D32\n")
    assert node_facts.product_uuid(str(tmp_path)) == "4c4c4544-0043-4a10-8051-b9c04f4c4d32"
    (tmp_path / "run/systemd").mkdir(parents=True)
    (tmp_path / "run/systemd/container").write_text("lxc")
    assert node_facts.product_uuid(str(tmp_path)) == ""


def test_interfaces_that_container_networks_make() -> None:
    made = ("veth1a2b", "cni0", "flannel.1", "wireguard.cali", "ovn-k8s-mp0", "lxdbr0", "br-0123456789ab", "vboxnet0")
    assert [name for name in made if not node_facts.is_virtual(name)] == []
    own = ("eth0", "ens18", "bond0", "bond0.100", "br0", "br-lan", "wg0", "wireguard0", "vlan7", "enp1s0f0np0", "lan1")
    assert [name for name in own if node_facts.is_virtual(name)] == []


@pytest.mark.parametrize(
    ("machine", "bits", "expected"),
    [
        ("x86_64", 64, "amd64"),
        ("aarch64", 64, "arm64"),
        # A kernel of 64 bits with a system of 32: apt has no packages for it.
        ("aarch64", 32, "arm"),
        ("x86_64", 32, "386"),
        ("armv7l", 32, "arm"),
        ("armv8l", 32, "arm"),
        ("s390x", 64, "s390x"),
        ("riscv64", 64, "riscv64"),
    ],
)
def test_architectures(machine: str, bits: int, expected: str) -> None:
    assert node_facts.architecture(machine, bits) == expected
