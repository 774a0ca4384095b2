# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on a machine beside Kubernetes and can stand in its way: looked at before anything is changed.

Private to this collection.
"""

from __future__ import annotations

import glob
import os
import platform
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM, Layout
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine import boot_settings, mounts, selinux
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine.kernel import KernelModules, builtin_modules
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import firewalls, network_managers, resolver
from ansible_collections.slipway.kubernetes.plugins.module_utils._network.resolver import Lookups
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import POD_NETWORKS

__all__ = ["Lookups", "look_around"]

#: Modules that are loaded by name, and those that the kernel loads when they are used; in a container that of its host.
_BY_NAME, _ON_DEMAND = ("overlay", "br_netfilter", "nf_conntrack"), ("nf_tables",)
#: Those that leave no trace where they are built in, and nothing says what is.
_TRACELESS = ("nf_tables",)
#: The kernel's limits on watching files, each with how it is called.
_INOTIFY = ("max_user_instances", "max_user_watches")


def cgroup_controllers(root: str = "") -> t.List[str]:
    """The controllers of control groups that this kernel has and that are not turned off; none when that is unknown."""
    unified = read_text(f"{root}/sys/fs/cgroup/cgroup.controllers").split()
    if unified:
        return unified
    found = []
    for line in read_text(f"{root}/proc/cgroups").splitlines():
        fields = line.split()
        if len(fields) == 4 and not line.startswith("#") and fields[3] == "1":
            found.append(fields[0])
    return found


def known_modules() -> t.List[str]:
    """The modules that some configuration of ours needs; preflight knows which."""
    of_networks = (name for network in POD_NETWORKS.values() for name in network.kernel_modules)
    return list(dict.fromkeys([*_BY_NAME, *_ON_DEMAND, *of_networks]))


def modules_missing(root: str = "", more: t.Iterable[str] = ()) -> t.List[str]:
    """Modules that can neither be found in the kernel nor be loaded.

    In a container that has no modules to load, what its host has not loaded is missing; with some nothing can be said.

    :param more: names beside those that are looked at on each machine.
    """
    modules = KernelModules(root)
    asked = [name.replace("-", "_") for name in more]
    absent = [name for name in dict.fromkeys([*known_modules(), *asked]) if not modules.has(name)]
    folder = f"{root}/lib/modules/{platform.release()}"
    if os.path.exists(f"{root}/run/systemd/container"):
        return [] if os.path.isdir(folder) else [name for name in absent if name in (*asked, *_BY_NAME)]
    if not os.path.exists(f"{root}/proc/modules"):
        # This kernel loads none at all.
        absent = [name for name in absent if name in asked or name not in _TRACELESS]
    available = set()
    for line in read_text(f"{folder}/modules.dep").splitlines():
        available |= builtin_modules(line.partition(":")[0])
    # A module may be called by another name, which these files have.
    aliases = "".join(map(read_text, [f"{folder}/modules.alias", *glob.glob(f"{root}/*/modprobe.d/*.conf")]))
    available |= {
        name.replace("-", "_") for name in re.findall(r"^\s*alias\s+(\S+)\s+(?!off\b)", aliases, re.MULTILINE)
    }
    forbidden = set()
    for folder in ("/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d"):
        for path in glob.glob(f"{root}{folder}/*.conf"):
            lines = re.findall(r"^\s*install\s+(\S+)\s+\S*/(?:false|true)\b", read_text(path), re.MULTILINE)
            forbidden |= {name.replace("-", "_") for name in lines}
    return [name for name in absent if name not in available or name in forbidden]


def pod_networks(root: str = "") -> t.List[str]:
    """The configurations of pod networks, in the order in which a container runtime takes the first."""
    folder = f"{root}/etc/cni/net.d"
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(name for name in names if os.path.splitext(name)[1] in (".conf", ".conflist", ".json"))


def static_pods(root: str = "", layout: Layout = KUBEADM) -> t.List[str]:
    """Manifests of static pods that are not the installer's: one that brings the endpoint's address (kube-vip)."""
    folder = root + layout.manifests
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(name for name in names if name not in [f"{pod}.yaml" for pod in layout.pods])


def mtus(root: str = "") -> t.Dict[str, int]:
    """The largest packet of each interface that is of this machine's own."""
    found = {}
    for path in glob.glob(f"{root}/sys/class/net/*/mtu"):
        text = read_text(path).strip()
        if text.isdigit():
            found[path.split("/")[-2]] = int(text)
    return found


def limits(root: str = "") -> t.Dict[str, int]:
    """The kernel's limits on watching files."""
    texts = {name: read_text(f"{root}/proc/sys/fs/inotify/{name}").strip() for name in _INOTIFY}
    return {name: int(text) for name, text in texts.items() if text.isdigit()}


#: That the kernel has a route by an advertisement. Source: RTF_ADDRCONF in Linux' include/uapi/linux/ipv6_route.h.
_BY_ADVERTISEMENT = 0x00040000


def ipv6(root: str = "") -> t.Dict[str, t.Any]:
    """Whether new interfaces have no IPv6, and interfaces whose default route the kernel gives up when it forwards.

    It has that by router advertisements, which it reads only while accept_ra is 2 once it is a router itself.
    """
    found: t.Dict[str, None] = {}
    for line in read_text(f"{root}/proc/net/ipv6_route").splitlines():
        fields = line.split()
        if len(fields) >= 10 and fields[:2] == ["0" * 32, "00"] and int(fields[8], 16) & _BY_ADVERTISEMENT:
            accepts = read_text(f"{root}/proc/sys/net/ipv6/conf/{fields[9]}/accept_ra").strip()
            found.update({} if accepts == "2" else {fields[9]: None})
    disabled = read_text(f"{root}/proc/sys/net/ipv6/conf/default/disable_ipv6").strip()
    return {"disabled": disabled != "0", "advertised": list(found)}


def look_around(
    interfaces: t.Sequence[str],
    environment: t.Mapping[str, str],
    root: str = "",
    modules: t.Iterable[str] = (),
    layout: Layout = KUBEADM,
) -> t.Dict[str, t.Any]:
    """All that was found.

    :param interfaces: names of the machine's own interfaces.
    :param environment: that of this process.
    :param root: a folder in the place of ``/``, for tests.
    :param modules: kernel modules that are looked at, too.
    :param layout: that of this machine.
    """
    etcd = root + layout.etcd_data
    return {
        "cgroup_controllers": cgroup_controllers(root),
        "modules_missing": modules_missing(root, modules),
        "resolver": resolver.look(root),
        "proxies": boot_settings.proxies(environment, root),
        "forwarding_off": boot_settings.forwarding(interfaces, root),
        "swap_at_boot": boot_settings.swap_at_boot(root),
        "hosts_at_boot": boot_settings.hosts_at_boot(root),
        "interfaces_taken": network_managers.look(root),
        "route_setters": network_managers.route_setters(root),
        "pod_networks": pod_networks(root),
        "static_pods": static_pods(root, layout),
        "mounts": mounts.look(root),
        "mtus": mtus(root),
        "ipv6": ipv6(root),
        "limits": limits(root),
        "firewalls": firewalls.look(root),
        "selinux": selinux.look(root, layout),
        "etcd_data": os.path.isdir(etcd) and bool(os.listdir(etcd)),
        "authority": os.path.exists(root + layout.authority),
    }
