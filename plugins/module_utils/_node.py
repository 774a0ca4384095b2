# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine is: read from /proc, /sys and /etc, with as few subprocesses as possible.

Private to this collection.
"""

from __future__ import annotations

import glob
import json
import os
import platform
import re
import shutil
import socket
import struct
import sys
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text

#: Our own record of a kubeadm command that has not ended yet; see docs/architecture.md.
MARKER = "/var/lib/slipway/kubeadm.json"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le", "s390x": "s390x"}
#: Interfaces that container networks make; they say nothing about the machine.
_VIRTUAL = re.compile(r"^(veth|cni|flannel|cali|tunl|vxlan|docker|br-|virbr|kube-|cilium|lxc|nodelocaldns|dummy)")


def parse_os_release(text: str) -> t.Dict[str, t.Any]:
    """What ``/etc/os-release`` says, with our own ``family`` of distributions."""
    values = {}
    for line in text.splitlines():
        key, separator, value = line.partition("=")
        if separator and not key.startswith("#"):
            values[key.strip()] = value.strip().strip("\"'")
    like = values.get("ID_LIKE", "").split()
    identifier = values.get("ID", "")
    family = next((name for name in ("debian", "rhel", "suse") if name in [identifier, *like]), identifier)
    if family == "rhel" or identifier == "fedora":
        family = "redhat"
    return {
        "id": identifier,
        "version_id": values.get("VERSION_ID", ""),
        "codename": values.get("VERSION_CODENAME", ""),
        "id_like": like,
        "family": family,
        "pretty_name": values.get("PRETTY_NAME", ""),
    }


def parse_interfaces(addresses: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[t.Dict[str, t.Any]]:
    """Interfaces but the loopback one, from ``ip --json address``."""
    interfaces = []
    for entry in addresses:
        if not entry.get("ifname") or "LOOPBACK" in entry.get("flags", []):
            continue
        interfaces.append(
            {
                "name": entry["ifname"],
                "mac": entry.get("address", ""),
                "state": entry.get("operstate", "").lower(),
                "virtual": bool(_VIRTUAL.match(entry["ifname"])),
                "addresses": [
                    {
                        "address": item["local"],
                        "prefix": item["prefixlen"],
                        "family": 4 if item.get("family") == "inet" else 6,
                    }
                    for item in entry.get("addr_info", [])
                    if item.get("local") and item.get("scope") != "link"
                ],
            }
        )
    return interfaces


def parse_default_interface(routes: str) -> str:
    """The interface of the IPv4 default route with the smallest metric, from ``/proc/net/route``."""
    found = []
    for line in routes.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 8 and fields[1] == "00000000" and fields[7] == "00000000":
            found.append((int(fields[6]), fields[0]))
    return min(found)[1] if found else ""


def parse_default_interface6(routes: str) -> str:
    """The interface of the IPv6 default route with the smallest metric, from ``/proc/net/ipv6_route``."""
    found = []
    for line in routes.splitlines():
        fields = line.split()
        if len(fields) >= 10 and fields[0] == "0" * 32 and fields[1] == "00" and fields[9] != "lo":
            found.append((int(fields[5], 16), fields[9]))
    return min(found)[1] if found else ""


def parse_address(text: str) -> str:
    """An address as ``/proc/net/tcp`` and ``tcp6`` write it: little-endian words in hexadecimal digits."""
    words = [text[index : index + 8] for index in range(0, len(text), 8)]
    raw = b"".join(struct.pack("<I", int(word, 16)) for word in words)
    return socket.inet_ntop(socket.AF_INET if len(raw) == 4 else socket.AF_INET6, raw)


def parse_sockets(text: str, protocol: str) -> t.List[t.Dict[str, t.Any]]:
    """Listening sockets of ``/proc/net/{tcp,udp}{,6}``, with their inode."""
    listening = "0A" if protocol == "tcp" else "07"
    sockets = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == listening:
            address, port = fields[1].split(":")
            sockets.append(
                {"protocol": protocol, "address": parse_address(address), "port": int(port, 16), "inode": fields[9]}
            )
    return sockets


def parse_meminfo(text: str) -> t.Dict[str, int]:
    """Megabytes of memory and swap from ``/proc/meminfo``."""
    kilobytes = {match[1]: int(match[2]) for match in re.finditer(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)}
    return {"memory": kilobytes.get("MemTotal", 0) // 1024, "swap": kilobytes.get("SwapTotal", 0) // 1024}


def first_version(text: str) -> str:
    """The first version number in the output of a program; empty when there is none."""
    match = re.search(r"(?<![\w.])v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.]+)?)", text)
    return match.group(1) if match else ""


def marker() -> t.Optional[t.Dict[str, t.Any]]:
    """The record of a kubeadm command that did not end; ``None`` when there is none."""
    text = read_text(MARKER)
    if not os.path.exists(MARKER):
        return None
    try:
        record = json.loads(text)
    except ValueError:
        record = {}
    return record if isinstance(record, dict) else {}


def kubernetes_state() -> t.Dict[str, t.Any]:
    """What kubeadm has left on this machine.

    ``completed`` says that the machine is a node whose joining or initialising came to its end.
    """
    joined = os.path.exists("/etc/kubernetes/kubelet.conf")
    unfinished = marker()
    return {
        "control_plane": os.path.exists("/etc/kubernetes/manifests/kube-apiserver.yaml"),
        "admin_kubeconfig": os.path.exists("/etc/kubernetes/admin.conf"),
        "joined": joined,
        "unfinished": unfinished,
        "completed": joined and unfinished is None,
    }


class NodeFacts:
    """Looks at the machine that the module runs on."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def collect(self) -> t.Dict[str, t.Any]:
        """All facts; each key is always there."""
        memory = parse_meminfo(read_text("/proc/meminfo"))
        interfaces = self._interfaces()
        return {
            "hostname": platform.node(),
            "machine_id": read_text("/etc/machine-id").strip(),
            "product_uuid": read_text("/sys/class/dmi/id/product_uuid").strip().lower(),
            "boot_id": read_text("/proc/sys/kernel/random/boot_id").strip(),
            "os": {
                **parse_os_release(read_text("/etc/os-release")),
                "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
                "kernel": platform.release(),
            },
            "interfaces": interfaces,
            "default_address": self._address_of(interfaces, parse_default_interface(read_text("/proc/net/route")), 4),
            "default_address6": self._address_of(
                interfaces, parse_default_interface6(read_text("/proc/net/ipv6_route")), 6
            ),
            "cpu_count": len(os.sched_getaffinity(0)),
            "memory_mb": memory["memory"],
            "disk": self._disk(),
            "swap": {
                "active": [line.split()[0] for line in read_text("/proc/swaps").splitlines()[1:] if line.split()],
                "total_mb": memory["swap"],
            },
            "cgroup_version": 2 if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else 1,
            "time": time.time(),
            "listening": self._listening(),
            "runtime": {"containerd": self._containerd()},
            "kubernetes": {
                **kubernetes_state(),
                "kubeadm_version": self._version("kubeadm", "version", "--output=short"),
                "kubelet_version": self._version("kubelet", "--version"),
                "kubectl_version": self._version("kubectl", "version", "--client=true"),
            },
            "helm_version": self._version("helm", "version", "--short"),
            "service_manager": "systemd" if os.path.isdir("/run/systemd/system") else "other",
            "python_version": ".".join(str(part) for part in sys.version_info[:3]),
        }

    def _interfaces(self) -> t.List[t.Dict[str, t.Any]]:
        ip = self._runner.which("ip", required=False)
        if ip is None:
            return []
        result = self._runner.run([ip, "-json", "address"], check=False)
        return parse_interfaces(json.loads(result.stdout or "[]")) if result.rc == 0 else []

    @staticmethod
    def _address_of(interfaces: t.Sequence[t.Mapping[str, t.Any]], name: str, family: int) -> str:
        """The first address of that family on the interface ``name``; empty when there is none."""
        addresses = [item for entry in interfaces if entry["name"] == name for item in entry["addresses"]]
        return next((item["address"] for item in addresses if item["family"] == family), "")

    @staticmethod
    def _disk() -> t.List[t.Dict[str, t.Any]]:
        disks = []
        for path in ("/var/lib", "/etc"):
            usage = shutil.disk_usage(path)
            disks.append({"path": path, "free_mb": usage.free // 1048576, "size_mb": usage.total // 1048576})
        return disks

    @staticmethod
    def _listening() -> t.List[t.Dict[str, t.Any]]:
        """Listening sockets and the processes that hold them (as far as this user may see)."""
        sockets = []
        for protocol in ("tcp", "udp"):
            for suffix in ("", "6"):
                sockets += parse_sockets(read_text(f"/proc/net/{protocol}{suffix}"), protocol)
        owners: t.Dict[str, int] = {}
        wanted = {entry["inode"] for entry in sockets}
        for path in glob.iglob("/proc/[0-9]*/fd/*"):
            try:
                target = os.readlink(path)
            except OSError:
                continue
            if target.startswith("socket:[") and target[8:-1] in wanted:
                owners.setdefault(target[8:-1], int(path.split("/")[2]))
        for entry in sockets:
            pid = owners.get(entry.pop("inode"), 0)
            entry["pid"] = pid
            entry["process"] = read_text(f"/proc/{pid}/comm").strip() if pid else ""
        return sorted(sockets, key=lambda entry: (entry["port"], entry["protocol"], entry["address"]))

    def _containerd(self) -> t.Dict[str, t.Any]:
        version = self._version("containerd", "--version")
        return {"installed": bool(version), "version": version, "active": os.path.exists("/run/containerd/containerd.sock")}

    def _version(self, program: str, *arguments: str) -> str:
        """The version that a program says it has; empty when it is absent or says none."""
        path = self._runner.which(program, required=False)
        if path is None:
            return ""
        result = self._runner.run([path, *arguments], check=False)
        return first_version(result.stdout) if result.rc == 0 else ""
