# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on what is on a machine beside Kubernetes: control groups, modules, mounts, files of other programs.

What stops a machine from becoming a node is an error; on one that is a node already it is a warning, for the next boot.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _runtimes
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM, LAYOUTS
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import POD_NETWORKS, chosen
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.addresses import own_addresses
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.facts import Surroundings, looked_at
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    ERROR,
    WARNING,
    Host,
    Hosts,
    Problem,
)

#: Without these controllers of control groups the kubelet does not start.
#: Source: expectedV1 and expectedV2 in Kubernetes' pkg/kubelet/cm.
CONTROLLERS = ("cpu", "cpuset", "memory", "pids")
#: File systems that cannot hold the upper half of an overlay, which is where containers write.
NO_OVERLAY = ("nfs", "nfs4", "cifs", "smb3", "9p", "vfat", "exfat", "ntfs", "ntfs3", "fuseblk", "ecryptfs")
#: The first OpenZFS that can. Source: its release notes.
ZFS_WITH_OVERLAY = (2, 2)
IN_MEMORY = ("tmpfs", "ramfs")
#: Folders without which a machine is no node of its cluster any more.
KEPT = ("/etc", KUBEADM.folder, "/var/lib", KUBEADM.etcd_data, KUBEADM.kubelet_folder)
#: Folders that only other installers write to.
OTHERS = {folder for layout in LAYOUTS for folder in layout.folders} - set(KUBEADM.folders)
#: Folders from which programs are run.
PROGRAMS = ("/opt/cni/bin", "/usr/bin", "/usr/local/bin")
#: Folders that are written to while a cluster is built.
WRITTEN = ("/etc", KUBEADM.folder, "/opt", "/opt/cni/bin", "/usr/bin", "/usr/local/bin", "/var/lib")
#: What the kubelet and the container runtime want of the kernel's file watches for a node with a hundred pods.
INOTIFY = {"max_user_instances": 128, "max_user_watches": 8192}
#: Services that set routes: how their units begin, whose they are, how they are kept from it.
ROUTE_SETTERS = (
    (
        "nm-cloud-setup",
        "NetworkManager",
        "Run `systemctl disable --now {}`, and reboot when the routes are there already.",
    ),
    (
        "policy-routes@",
        "amazon-ec2-net-utils",
        "Give the node one interface; or let udev not start {} (`touch /etc/udev/rules.d/99-vpc-policy-routes.rules`),"
        " configure its interface yourself, and reboot.",
    ),
)
#: IPv6 in pods wants no less.
MTU_MINIMUM = 1280


def _severity(host: Host) -> str:
    return WARNING if host.joined else ERROR


def check_controllers(hosts: Hosts) -> t.Iterable[Problem]:
    """Control groups that the kernel was booted without; on Raspberry Pi OS that is the memory controller."""
    for host, around in looked_at(hosts):
        present = around.get("cgroup_controllers") or []
        missing = [name for name in CONTROLLERS if name not in present]
        if not present or not missing:
            continue
        remedy = "Boot a kernel that has them and does not turn them off (cgroup_disable=)."
        if "memory" in missing:
            remedy = (
                "Add cgroup_enable=memory to the kernel's command line (/boot/firmware/cmdline.txt on Raspberry Pi OS,"
                " GRUB_CMDLINE_LINUX elsewhere), take cgroup_disable=memory out, and reboot."
            )
        yield host.problem(
            "cgroup_controllers",
            f"the kernel has no {' and '.join(missing)} controller, without which the kubelet does not start.",
            remedy,
            _severity(host),
        )


def modules_needed(host: Host) -> t.Set[str]:
    """The modules that this host's configuration needs."""
    needed = {str(name).replace("-", "_") for name in host.sequence("node_prep_kernel_modules")}
    if host.text("cluster_kube_proxy_mode") == "nftables":
        needed.add("nf_tables")
    return needed | chosen(host).modules(host)


def check_modules(hosts: Hosts) -> t.Iterable[Problem]:
    """Kernel modules that cannot be loaded: not installed, forbidden, or of a kernel that is not the running one."""
    for host, around in looked_at(hosts):
        missing = [name for name in around.get("modules_missing") or [] if name in modules_needed(host)]
        if missing:
            kernel = (host.facts or {}).get("os", {}).get("kernel", "")
            yield host.problem(
                "kernel_modules",
                f"the kernel {kernel} cannot load {', '.join(missing)}: not in /lib/modules/{kernel}, or forbidden in"
                " /etc/modprobe.d.",
                "Reboot when the kernel was upgraded; otherwise install the package with its modules, such as"
                " linux-modules-extra or kernel-modules-extra, or take the line out of modprobe.d. Those of a container"
                " its host loads.",
                ERROR if host.flag("preflight_changes_pod_network") else _severity(host),
            )


def layers_of(host: Host) -> str:
    """The folder in which the container runtime keeps containers by overlays; empty when it keeps them otherwise."""
    runtime = _runtimes.chosen(host.text("container_runtime_provider"))
    return runtime.data if runtime.has_overlays(host) else ""


def check_mounts(hosts: Hosts) -> t.Iterable[Problem]:
    """Folders that cannot be written to, from which nothing can be run, or on which no container can live."""
    for host, around in looked_at(hosts):
        seen: t.Set[t.Tuple[str, str]] = set()
        layers = layers_of(host)
        for mount in around.get("mounts") or []:
            for option, message, severity in () if mount["path"] in OTHERS else _mount_problems(mount, layers):
                if (mount["point"], option) not in seen:
                    seen.add((mount["point"], option))
                    yield host.problem(
                        "mounts",
                        f"{mount['path']} is on {mount['point']} ({mount['type']}), {message}",
                        "Mount it otherwise, or move the folder to another file system.",
                        WARNING if host.joined else severity,
                    )


def _mount_problems(mount: t.Mapping[str, t.Any], layers: str) -> t.Iterable[t.Tuple[str, str, str]]:
    """What is wrong with the mount of one folder: a key, the end of a sentence, the severity.

    :param layers: the folder of the container runtime's overlays.
    """
    path, options = mount["path"], mount["options"]
    if "ro" in options and (path in WRITTEN or path.startswith("/var/lib/")):
        yield "ro", "which is mounted read-only, and the build writes there.", ERROR
    if "noexec" in options and path in PROGRAMS:
        yield "noexec", "which is mounted noexec, and programs are run from there.", ERROR
    elif "noexec" in options and path == KUBEADM.kubelet_folder:
        # An overlay, and what is bound from /dev, has options of its own: no others of the file system below matter.
        yield "noexec", "which is mounted noexec: programs in volumes of pods cannot be run.", WARNING
    if mount["type"] in IN_MEMORY and path in KEPT:
        yield "memory", "which is in memory: the node is gone after a boot.", WARNING
    if mount["type"] in NO_OVERLAY and path == layers:
        yield "overlay", "on which the container runtime cannot make the overlays that containers live on.", ERROR
    version = re.match(r"([0-9]+)\.([0-9]+)", str(mount.get("version") or "")) if mount["type"] == "zfs" else None
    if version and (int(version[1]), int(version[2])) < ZFS_WITH_OVERLAY and path == layers:
        yield (
            "overlay",
            f"whose version {mount['version']} cannot hold the overlays that containers live on"
            f" ({'.'.join(map(str, ZFS_WITH_OVERLAY))} or newer can).",
            ERROR,
        )


def check_ftype(hosts: Hosts) -> t.Iterable[Problem]:
    """XFS that was made with ftype=0: the container runtime starts there, but not its overlays, and so no container."""
    for host, around in looked_at(hosts):
        layers = layers_of(host)
        for mount in around.get("mounts") or []:
            # None is another file system, or one that did not answer.
            if mount["path"] == layers and mount.get("ftype") is False:
                yield host.problem(
                    "mounts",
                    f"{mount['path']} is on {mount['point']} ({mount['type']}), which was made with ftype=0: the"
                    " container runtime cannot make the overlays that containers live on.",
                    "Make that file system anew, since ftype cannot be changed (mkfs.xfs takes 1 unless it is told"
                    " otherwise), or mount another one at the folder.",
                    _severity(host),
                )


def check_pod_networks(hosts: Hosts) -> t.Iterable[Problem]:
    """The configuration of another pod network, which the container runtime would take for ours."""
    for host, around in looked_at(hosts):
        network, title = chosen(host), chosen(host).title
        others = [name for name in around.get("pod_networks") or [] if network.name and name != network.cni_file]
        # A plugin that calls others, as Multus does, comes first on purpose once there is a network to be called.
        before = [name for name in others if name < network.cni_file and "multus" not in name]
        for name in before if host.joined else others:
            yield host.problem(
                "pod network",
                f"/etc/cni/net.d/{name} is the configuration of another pod network, which the container runtime"
                " would give to pods"
                + (f" instead of {title}'s." if name < network.cni_file else f" until {title}'s is there."),
                "Remove it, and what has written it (podman, CRI-O, another plugin); or set cluster_cni to none when"
                " that is the pod network that you want.",
                _severity(host),
            )


def check_interfaces_taken(hosts: Hosts) -> t.Iterable[Problem]:
    """Configuration with which systemd-networkd and the like take the interfaces of pods for the machine's own."""
    networks = [*POD_NETWORKS.values(), *map(chosen, hosts)]
    own = dict.fromkeys(prefix for network in networks for prefix in network.interface_prefixes)
    prefixes = ["veth", "cni", *own]
    remedies = {
        "systemd-networkd": "Let its [Match] name the machine's own interfaces (Name=en* eth*), or add"
        " Kind=!veth bridge vxlan.",
        "NetworkManager": "Set interface-name in it, or let NetworkManager leave them alone:"
        f" unmanaged-devices={';'.join(f'interface-name:{prefix}*' for prefix in prefixes)} in [keyfile].",
        "dhcpcd": f"Write denyinterfaces {' '.join(f'{prefix}*' for prefix in prefixes)} into it.",
    }
    for host, around in looked_at(hosts):
        for entry in around.get("interfaces_taken") or []:
            certain = entry["by"] == "systemd-networkd" and entry["runs"]
            now = "" if entry["runs"] else f" once {entry['by']} runs"
            yield host.problem(
                entry["by"],
                f"{entry['path']} matches the interfaces of pods ({', '.join(entry['takes'])}){now}: it would take"
                " their addresses away, and pods lose their network.",
                remedies.get(entry["by"], ""),
                _severity(host) if certain else WARNING,
            )


def check_route_setters(hosts: Hosts) -> t.Iterable[Problem]:
    """Services of clouds that take the routes of pods away. They do so only in some clouds, and when told."""
    for host, around in looked_at(hosts):
        for beginning, subject, remedy in ROUTE_SETTERS if chosen(host).name else ():
            units = [unit for unit in around.get("route_setters") or [] if unit.startswith(beginning)]
            if units:
                yield host.problem(
                    subject,
                    f"{' and '.join(units)} would set routes as the cloud says, without those of pods, which then reach"
                    " no other node.",
                    remedy.format(" ".join(units)),
                    WARNING,
                )


def check_boot(hosts: Hosts) -> t.Iterable[Problem]:
    """What undoes the role node_prep at the next boot: forwarding, swap."""
    for host, around in looked_at(hosts):
        for entry in around.get("forwarding_off") or []:
            setting = f"{entry['setting']} = {entry['value']}"
            yield host.problem(
                "sysctl",
                f"{entry['path']} has {setting}, which counts after a boot: pods would have no network."
                if entry["path"]
                else f"{setting} in the running kernel, so that interfaces of pods forward nothing.",
                "Take it out there. net.ipv4.ip_forward, net.ipv4.conf.all.forwarding and that of default are one thing"
                " for interfaces of pods.",
                _severity(host),
            )
        for entry in around.get("swap_at_boot") or []:
            if host.text("node_prep_swap") == "absent":
                yield host.problem(
                    "node_prep_swap",
                    f"is absent, but {entry['path']} brings swap back at every boot ({entry['setting']}), and the"
                    " kubelet does not start with it.",
                    "Turn it off there.",
                    _severity(host),
                )


def _lets_kubeadm_ignore(host: Host, check: str) -> bool:
    """Whether kubeadm is told to ignore this check of its own on the host."""
    variables = ("control_plane_ignore_preflight_errors", "node_join_ignore_preflight_errors")
    named = {str(item).lower() for name in variables for item in host.sequence(name)}
    return bool({"all", check.lower()} & named)


def check_leftovers(hosts: Hosts) -> t.Iterable[Problem]:
    """What another cluster has left, at which kubeadm would stop."""
    for host, around in looked_at(hosts):
        if host.joined or (host.facts or {}).get("kubernetes", {}).get("unfinished") is not None:
            continue
        # Such as a disk of its own for etcd, with lost+found on it.
        is_meant = _lets_kubeadm_ignore(host, "DirAvailable--var-lib-etcd")
        if host.control_plane and around.get("etcd_data") and not is_meant:
            yield host.problem(
                KUBEADM.etcd_data,
                "is not empty, and the host is no control plane: there may be the data of another cluster in it.",
                "Look whose it is. Move it away, or remove it, when nobody needs it any more; playbooks/reset.yml does"
                " so. Where it is lost+found of a disk for etcd, set cluster_ignore_preflight_errors:"
                " [DirAvailable--var-lib-etcd].",
            )
        if not host.control_plane and around.get("authority"):
            yield host.problem(
                KUBEADM.certificate("ca"),
                "is there, and the host is no node: kubeadm join refuses to replace the CA of another cluster.",
                "Remove it when that cluster is gone; playbooks/reset.yml does so.",
            )


def check_limits(hosts: Hosts) -> t.Iterable[Problem]:
    """Limits of the kernel that a node with many pods runs into."""
    for host, around in looked_at(hosts):
        for name, least in INOTIFY.items():
            value = (around.get("limits") or {}).get(name, least)
            if value < least and not host.joined:
                yield host.problem(
                    f"fs.inotify.{name}",
                    f"is {value}, and the kubelet and pods need {least} at least (too many open files).",
                    f"Set it in node_prep_extra_sysctls: {{fs.inotify.{name}: {least}}}.",
                    WARNING,
                )


def check_selinux(hosts: Hosts) -> t.Iterable[Problem]:
    """A policy under which nobody has tried this collection, and one that shall be enforced and cannot be."""
    for host, around in looked_at(hosts):
        wanted = host.text("node_prep_selinux")
        found = around.get("selinux") or {}
        now, unlabelled = found.get("mode", ""), found.get("unlabelled") or []
        if wanted == "enforcing" and not now:
            yield host.problem(
                "node_prep_selinux",
                "is enforcing, and SELinux is off on this host.",
                "Set SELINUX=permissive in /etc/selinux/config, take selinux=0 off the kernel's command line, run"
                " `touch /.autorelabel` and reboot; or leave the variable out.",
            )
        elif wanted == "enforcing" and unlabelled and not host.joined:
            yield host.problem(
                "node_prep_selinux",
                f"is enforcing, and nobody has given a label to {', '.join(unlabelled)}.",
                "Run `restorecon -R` for them.",
            )
        elif wanted != "permissive" and "enforcing" in (now, wanted, now and found.get("at_boot")) and not host.joined:
            when = "" if "enforcing" in (now, wanted) else " after the next boot"
            yield host.problem(
                "selinux",
                f"is enforcing{when}, with which this collection was not tried: pods, kubelet or load balancer may be"
                " denied what they need.",
                "Set node_prep_selinux to permissive, as kubeadm's documentation has it, or look for denials when"
                " something fails (ausearch -m AVC).",
                WARNING,
            )


def _node_mtu(host: Host, around: Surroundings) -> t.Tuple[str, int]:
    """The interface that has the node's address, and its MTU; 0 when it is not known."""
    facts = host.facts or {}
    own = own_addresses(host)[0]
    for interface in facts.get("interfaces", []):
        if any(entry["address"] == own for entry in interface.get("addresses", [])):
            return str(interface["name"]), int((around.get("mtus") or {}).get(interface["name"], 0))
    return "", 0


def check_mtus(hosts: Hosts) -> t.Iterable[Problem]:
    """Packets that tunnels of the pod network cannot carry: networks that are too narrow, or not equally wide."""
    known = []
    for host, around in looked_at(hosts):
        if chosen(host).name:
            name, mtu = _node_mtu(host, around)
            known += [(host, name, mtu)] if mtu else []
    widest = max((mtu for _host, _name, mtu in known), default=0)
    for host, name, mtu in known:
        network = chosen(host)
        taken = network.overhead_with(host)
        if network.mtu(host) > mtu - taken:
            yield host.problem(
                f"cni_{network.name}_mtu",
                f"is {network.mtu(host)}, and {name} has {mtu}, of which {network.title} takes {taken} for itself:"
                " larger packets between pods are lost.",
                f"Leave it out, or set it to {mtu - taken} at most.",
                _severity(host),
            )
        if mtu < MTU_MINIMUM + taken:
            message = (
                f"{mtu} on {name} is too small for pods: {network.title} takes {taken} for itself, and IPv6 wants"
                f" {MTU_MINIMUM}."
            )
        elif mtu < widest:
            message = f"{mtu} on {name}, and {widest} on other hosts: large packets between pods may be lost."
        else:
            continue
        if not host.joined:
            yield host.problem("mtu", message, "Give all nodes the same MTU.", WARNING)


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (
    check_controllers,
    check_modules,
    check_mounts,
    check_ftype,
    check_pod_networks,
    check_interfaces_taken,
    check_route_setters,
    check_boot,
    check_leftovers,
    check_limits,
    check_selinux,
    check_mtus,
)
