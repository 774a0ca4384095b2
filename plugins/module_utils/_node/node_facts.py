# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine is: read from /proc, /sys and /etc, with as few subprocesses as possible.

Private to this collection.
"""

from __future__ import annotations

import os
import platform
import pwd
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import (
    _marks,
    _netlink,
    _processes,
    _records,
    _releases,
    _runtimes,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._api_endpoints import endpoint_of, endpoint_place
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import lines_of, read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import cluster_state, upgrade
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet import kubelet, serving_timer
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import (
    KUBEADM,
    LAYOUTS,
    Layout,
    of_this_machine,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine.kernel import KernelModules
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine.surroundings import Lookups, look_around
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine.swap import (
    active_swaps,
    is_swap_line,
    swap_units,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import hosts_file
from ansible_collections.slipway.kubernetes.plugins.module_utils._node import installers, run_record
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages import PackageManager, package_manager
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import certificates, der, x509
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import POD_NETWORKS

_ARCHITECTURES = {
    **{"x86_64": "amd64", "aarch64": "arm64", "i686": "386"},
    **{"armv6l": "arm", "armv7l": "arm", "armv8l": "arm"},
}
#: What a kernel of 64 bits runs when the system on it has 32 (Raspberry Pi OS).
_HALF = {"amd64": "386", "arm64": "arm"}
#: Interfaces that container networks make; they say nothing about the machine.
_VIRTUAL = re.compile(
    r"^(veth|cni|cali|tunl|vxlan|docker|podman|br-[0-9a-f]{12}$|virbr|kube-|lxc|ovs|antrea|weave|genev|nodelocaldns"
    r"|wireguard\.cali|wg-v6\.cali|ovn-k8s-|nerdctl|lxdbr|incusbr|vmnet|vboxnet"
    r"|dummy|ifb|sit\d|gre\d|gretap|erspan|ip6|ip_vti)"
)
#: The paths whose file systems Kubernetes and packages fill, and the runtimes'; those that exist are looked at.
_DISKS = (
    *dict.fromkeys(path for layout in LAYOUTS for path in (layout.data, layout.etcd_data, layout.kubelet_folder)),
    "/etc",
    "/tmp",
)
#: How each program says its version.
_PROGRAMS = {
    "kubeadm": ("version", "--output=short"),
    "kubelet": ("--version",),
    "kubectl": ("version", "--client=true"),
    "helm": ("version", "--short"),
}
#: Services that synchronise the clock, as distributions name them.
_TIME_SYNC = ("systemd-timesyncd", "chrony", "chronyd", "ntpsec", "ntp", "ntpd", "openntpd")
#: Seconds that a program may take to say its version.
_PATIENCE = 20


def architecture(machine: str, bits: int) -> str:
    """Go's name of what the system of this machine was built for.

    :param machine: what the kernel says.
    :param bits: those of the system's own programs, such as the one that runs this.
    """
    name = _ARCHITECTURES.get(machine, machine)
    return _HALF.get(name, name) if bits == 32 else name


def parse_os_release(text: str) -> t.Dict[str, t.Any]:
    """What ``/etc/os-release`` says, with our own ``family`` of distributions."""
    values = {}
    for line in text.splitlines():
        key, separator, value = line.partition("=")
        if separator and not key.startswith("#"):
            values[key.strip()] = value.strip().strip("\"'")
    like = values.get("ID_LIKE", "").split()
    identifier = values.get("ID", "")
    known = ("debian", "rhel", "fedora", "suse")
    family = next((name for name in known if name in [identifier, *like]), identifier)
    # Oracle Linux is like Fedora only, by its own words.
    if family in ("rhel", "fedora"):
        family = "redhat"
    return {
        "id": identifier,
        "version_id": values.get("VERSION_ID", ""),
        "codename": values.get("VERSION_CODENAME", ""),
        "id_like": like,
        "family": family,
        "pretty_name": values.get("PRETTY_NAME", ""),
    }


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


def is_virtual(name: str) -> bool:
    """Whether an interface of that name is one that container networks make."""
    prefixes = tuple(prefix for network in POD_NETWORKS.values() for prefix in network.interface_prefixes)
    return _VIRTUAL.match(name) is not None or name.startswith(prefixes)


def first_version(text: str) -> str:
    """The first version number in the output of a program; empty when there is none."""
    match = re.search(r"(?<![\w.])v?(\d+\.\d+(?:\.\d+(?:-[0-9A-Za-z.]+)?)?)", text)
    return match.group(1) if match else ""


def apiserver_names(layout: Layout) -> t.List[str]:
    """The names and addresses in the certificate of this machine's API server; none when it has none."""
    try:
        names = certificates.read(layout.api_certificate).names
    except der.DerError:
        return []
    return sorted([name.lower() for name in names.dns_names] + names.addresses)


def kubernetes_state(layout: Layout) -> t.Dict[str, t.Any]:
    """What an installer has left on this machine.

    ``completed`` says that the machine is a node whose joining or initialising came to its end.
    """
    try:
        authorities = x509.certificate_pins(read_text(layout.authority)) if os.path.exists(layout.authority) else []
    except der.DerError:
        authorities = []
    # A worker has no administrator's kubeconfig; that of a control plane's kubelet may lead to its own API server.
    endpoint = endpoint_of(read_text(layout.admin) or read_text(layout.kubelet))
    unfinished = _records.KUBEADM.read()
    api_ready = api_server.is_ready(layout)
    return {
        "installer": layout.name if layout.joined or layout.control_plane else "",
        "control_plane": layout.control_plane,
        "api_ready": api_ready,
        "apiserver_names": apiserver_names(layout),
        "admin_kubeconfig": os.path.exists(layout.admin),
        "joined": layout.joined,
        "node_name": certificates.node_name(layout),
        "told_name": kubelet.told_name(layout) if layout.joined else "",
        "unfinished": unfinished,
        "completed": layout.joined and unfinished is None,
        "static_pods": upgrade.kube_version(upgrade.static_pods(layout.manifests)),
        "upgrading": _records.UPGRADE.read(),
        "ca_cert_hashes": authorities,
        "endpoint": endpoint,
        "endpoint_ready": api_ready
        and api_server.answers_ready(*endpoint_place(endpoint), layout.authority, layout.api_client),
        "serving_certificates_timer": serving_timer.state(),
    }


def product_uuid(root: str = "") -> str:
    """The UUID that the firmware gives the machine; empty in a container, which sees that of its host.

    :param root: a folder in the place of ``/``, for tests.
    """
    if os.path.exists(f"{root}/run/systemd/container"):
        return ""
    return read_text(f"{root}/sys/class/dmi/id/product_uuid").strip().lower()


def time_sync(run: str = "/run") -> str:
    """What keeps the clock right: a service, ``container`` where the clock is the host's; empty when nothing does."""
    if os.path.exists(f"{run}/systemd/container"):
        return "container"
    active = (name for name in _TIME_SYNC if os.path.lexists(f"{run}/systemd/units/invocation:{name}.service"))
    return next(active, "")


def ufw_is_active(text: str) -> bool:
    """Whether ``/etc/ufw/ufw.conf`` turns the firewall on."""
    return re.search(r"^\s*ENABLED\s*=\s*[\"']?yes", text, re.MULTILINE | re.IGNORECASE) is not None


def socket_owners(inodes: t.Set[str], proc: str = "/proc") -> t.Dict[str, int]:
    """The lowest process that holds each socket, by the socket's inode.

    Processes of other network namespaces (pods) are passed over; they cannot hold a socket of ours.
    """
    owners: t.Dict[str, int] = {}
    namespace = _link(f"{proc}/self/ns/net")
    for pid in sorted(int(name) for name in os.listdir(proc) if name.isdigit()):
        if len(owners) == len(inodes):
            break
        if _link(f"{proc}/{pid}/ns/net") != namespace:
            continue
        folder = f"{proc}/{pid}/fd"
        try:
            handles = os.listdir(folder)
        except OSError:
            continue
        for handle in handles:
            target = _link(f"{folder}/{handle}")
            if target.startswith("socket:[") and target[8:-1] in inodes:
                owners.setdefault(target[8:-1], pid)
    return owners


def process_name(pid: int, proc: str = "/proc") -> str:
    """The name of a process, and that it is a container's when it is in one that is no pod of this machine."""
    name = read_text(f"{proc}/{pid}/comm").strip()
    return name if _processes.is_ours(pid, proc) or not name else f"a container's {name}"


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


class Versions:
    """Asks several programs for their versions at once, while the caller does something else."""

    def __init__(self, runner: Runner, programs: t.Mapping[str, t.Sequence[str]]) -> None:
        self.paths = {name: runner.which(name, required=False) or "" for name in programs}
        environment = {**os.environ, "LC_ALL": "C", "KUBECONFIG": "/dev/null"}
        self._processes: t.Dict[str, t.Any] = {}
        for name, path in self.paths.items():
            try:
                if path:
                    self._processes[name] = subprocess.Popen(
                        [path, *programs[name]],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.DEVNULL,
                        env=environment,
                        encoding="utf-8",
                        errors="replace",
                    )
            except OSError:
                continue  # built for another architecture, or not complete

    def result(self) -> t.Dict[str, str]:
        """The version of each program; empty when it is absent or says none."""
        found = dict.fromkeys(self.paths, "")
        for name, process in self._processes.items():
            try:
                stdout = process.communicate(timeout=_PATIENCE)[0]
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                continue
            if process.returncode == 0:
                found[name] = first_version(stdout)
        return found


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


class NodeFacts:
    """Looks at the machine that the module runs on.

    :param names: names that it shall resolve.
    :param users: users that it shall know.
    :param modules: kernel modules that it shall be able to load, beside the usual ones.
    """

    def __init__(
        self,
        runner: Runner,
        names: t.Sequence[str] = (),
        users: t.Sequence[str] = (),
        modules: t.Sequence[str] = (),
    ) -> None:
        self._runner = runner
        self._names = names
        self._users = users
        self._modules = modules

    def collect(self) -> t.Dict[str, t.Any]:
        """All facts; each key is always there."""
        runtimes = _runtimes.RUNTIMES.values()
        programs = {**_PROGRAMS, **{runtime.program: ("--version",) for runtime in runtimes}}
        asked = Versions(self._runner, programs)
        lookups = Lookups(self._names)
        layout = of_this_machine()
        kubernetes = kubernetes_state(layout)
        packages = package_manager(self._runner)
        facts = self._system(packages)
        own = [str(entry["name"]) for entry in facts["interfaces"] if not entry["virtual"]]
        around = look_around(own, os.environ, modules=self._modules, layout=layout)
        versions = asked.result()
        releases = _releases.installed()
        return {
            **facts,
            "surroundings": {**around, "names": lookups.result()},
            "runtime": {
                runtime.name: {
                    "installed": bool(asked.paths[runtime.program]),
                    "version": versions[runtime.program],
                    "active": runtime.is_active(),
                    "path": asked.paths[runtime.program],
                    "release": releases.get(runtime.name, "")
                    if _releases.is_ours(asked.paths[runtime.program])
                    else "",
                    "package": packages.owner(asked.paths[runtime.program]) if asked.paths[runtime.program] else "",
                    **runtime.state(self._runner, packages, asked.paths[runtime.program]),
                    "packages": packages.versions(runtime.packages),
                }
                for runtime in runtimes
            },
            "kubernetes": {
                **kubernetes,
                **{f"{name}_version": versions[name] for name in ("kubeadm", "kubelet", "kubectl")},
                "packaged": installers.packaged(),
            },
            "configuration": cluster_state.look(
                kubernetes["joined"] and layout is KUBEADM, kubernetes["api_ready"], kubernetes["node_name"]
            ),
            "installer": installers.found(),
            "releases": releases,
            "helm_version": versions["helm"],
            "run": run_record.read_record() or {},
            "time_sync": time_sync(),
        }

    def _system(self, packages: PackageManager) -> t.Dict[str, t.Any]:
        """What the machine is, whether or not it has Kubernetes."""
        interfaces = [{**entry, "virtual": is_virtual(entry["name"])} for entry in _netlink.interfaces()]
        memory = parse_meminfo(read_text("/proc/meminfo"))
        modules = KernelModules()
        return {
            "hostname": platform.node(),
            "machine_id": read_text("/etc/machine-id").strip(),
            "product_uuid": product_uuid(),
            "boot_id": read_text("/proc/sys/kernel/random/boot_id").strip(),
            "os": {
                **parse_os_release(read_text("/etc/os-release")),
                "architecture": architecture(platform.machine(), 8 * struct.calcsize("P")),
                "kernel": platform.release(),
            },
            "interfaces": interfaces,
            "default_address": address_of(interfaces, parse_default_interface(read_text("/proc/net/route")), 4),
            "default_address6": address_of(interfaces, parse_default_interface6(read_text("/proc/net/ipv6_route")), 6),
            "cpu_count": len(os.sched_getaffinity(0)),
            "memory_mb": memory["memory"],
            "disk": self._disk(),
            "swap": self._swap(memory["swap"]),
            "cgroup_version": 2 if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else 1,
            "kernel_features": {name: modules.has(name) for name in ("overlay", "br_netfilter", "nf_conntrack")},
            "time": time.time(),
            "listening": self._listening(),
            "service_manager": "systemd" if os.path.isdir("/run/systemd/system") else "other",
            "python_version": ".".join(str(part) for part in sys.version_info[:3]),
            "firewall": {
                "ufw": ufw_is_active(read_text("/etc/ufw/ufw.conf")),
                "firewalld": os.path.lexists("/run/systemd/units/invocation:firewalld.service"),
            },
            "foreign_files": _marks.foreign(packages.is_pristine),
            "package_manager": packages.name,
            "package_sources": packages.sources_of_others(),
            "unknown_users": [name for name in self._users if not _is_user(name)],
            "hosts_file": hosts_file.look(read_text(hosts_file.PATH), platform.node()),
        }

    @staticmethod
    def _disk() -> t.List[t.Dict[str, t.Any]]:
        disks = []
        paths = (*_DISKS, *(runtime.data for runtime in _runtimes.RUNTIMES.values()))
        for path in filter(os.path.isdir, paths):
            usage = shutil.disk_usage(path)
            disks.append({"path": path, "free_mb": usage.free // 1048576, "size_mb": usage.total // 1048576})
        return disks

    @staticmethod
    def _swap(total_mb: int) -> t.Dict[str, t.Any]:
        active = active_swaps(read_text("/proc/swaps"))
        units = swap_units().names()
        return {
            "active": active,
            "total_mb": total_mb,
            "fstab": [line.strip() for line in lines_of(read_text("/etc/fstab")) if is_swap_line(line)],
            "units": units,
            "zram": any("zram" in name for name in [*active, *units]),
        }

    @staticmethod
    def _listening() -> t.List[t.Dict[str, t.Any]]:
        """Listening sockets and the processes that hold them (as far as this user may see)."""
        sockets = []
        for protocol in ("tcp", "udp"):
            for suffix in ("", "6"):
                sockets += parse_sockets(read_text(f"/proc/net/{protocol}{suffix}"), protocol)
        owners = socket_owners({entry["inode"] for entry in sockets})
        for entry in sockets:
            pid = owners.get(entry.pop("inode"), 0)
            entry["pid"] = pid
            entry["process"] = process_name(pid) if pid else ""
        return sorted(sockets, key=lambda entry: (entry["port"], entry["protocol"], entry["address"]))


def address_of(interfaces: t.Sequence[t.Mapping[str, t.Any]], name: str, family: int) -> str:
    """The first address of that family on the interface ``name``; empty when there is none.

    A virtual address that keepalived has set has the whole length, and is the first once DHCP has set the machine's
    anew: an IPv4 address with a network goes before one without.
    """
    addresses = [item for entry in interfaces if entry["name"] == name for item in entry["addresses"]]
    own = [item for item in addresses if item["family"] == family]
    return str(min(own, key=lambda item: family == 4 and item.get("prefix") == 32)["address"]) if own else ""
