# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node of Kubernetes leaves on its machine: mounts, cgroups, processes, network namespaces, interfaces, files.

Everything is found by a name that only Kubernetes, its pod network and its container runtime's namespace have.

Private to this collection.
"""

from __future__ import annotations

import contextlib
import glob
import ipaddress
import json
import os
import re
import shutil
import signal
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _processes, _runtimes, _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import LAYOUTS
from ansible_collections.slipway.kubernetes.plugins.module_utils._network.ipvs import INTERFACE
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import POD_NETWORKS, PodNetwork, these

#: Folders of kubelets, each of which may lead by a link to another disk.
_KUBELETS = tuple(sorted({layout.kubelet_folder for layout in LAYOUTS}))
#: Mounts of pods' network namespaces; those of their sandboxes are the container runtime's.
_MOUNTS = "(/var)?/run/netns/cni-[^/]+"
#: Regular expressions for names of interfaces of kube-proxy and of CNI plugins.
_INTERFACES = ("cni0", INTERFACE, "nodelocaldns")
#: The bridge that the pods' interfaces are ports of.
_BRIDGE = "cni0"
#: Seconds that processes have until they have gone after SIGKILL.
_PATIENCE = 10

#: Some pod networks, where a node goes on without them; otherwise it is about all that a node leaves.
Networks = t.Optional[t.Sequence[PodNetwork]]


def parse_mounts(text: str) -> t.List[str]:
    """All mount points in ``/proc/self/mountinfo``, the deepest first."""
    points = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) > 4:
            points.append(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[4]))
    return sorted(points, key=lambda path: path.count("/"), reverse=True)


def mounts(text: t.Optional[str] = None, networks: Networks = None) -> t.List[str]:
    """Mount points of pods, the deepest first; or those of some pod networks alone."""
    points = parse_mounts(read_text("/proc/self/mountinfo") if text is None else text)
    # The kernel names mounts by where links lead.
    folders = [f"{re.escape(folder)}/.+" for folder in (*_KUBELETS, *map(os.path.realpath, _KUBELETS))]
    of_runtimes = filter(None, (one.mounts for one in _runtimes.RUNTIMES.values()))
    of_nodes = [*folders, _MOUNTS, *of_runtimes] if networks is None else []
    patterns = [*of_nodes, *(pattern for network in these(networks) for pattern in network.left_mounts)]
    return [path for path in points if any(re.fullmatch(pattern, path) for pattern in patterns)]


def unmount(runner: Runner, networks: Networks = None) -> None:
    """Unmount what pods have left mounted, or some pod networks.

    :raises SlipwayError: when something stays.
    """
    points = mounts(networks=networks)
    if not points:
        return
    umount = runner.path("umount")
    runner.run([umount, "--", *points], check=False)
    for path in mounts(networks=networks):
        # A server that does not answer any more, or somebody who looks at it: out of sight is what matters.
        runner.run([umount, "--lazy", "--", path], failure=f"{path} cannot be unmounted")


def cgroups(root: str = "/sys/fs/cgroup") -> t.List[str]:
    """The uppermost groups of pods, in each hierarchy.

    In the unified hierarchy what is one level deeper belongs to a kubelet in a container.
    """
    names = ("kubepods", "kubepods.slice")
    levels = ("",) if os.path.exists(f"{root}/cgroup.controllers") else ("", "*/")
    return sorted(path for name in names for level in levels for path in glob.glob(f"{root}/{level}{name}"))


def remove_cgroup(path: str) -> None:
    """Remove a group without processes, and those below it.

    :raises OSError: when there are processes in one.
    """
    for folder, _folders, _files in os.walk(path, topdown=False):
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(folder)


def processes(groups: t.Iterable[str], address: str = "", proc: str = "/proc") -> t.List[int]:
    """Processes in these groups, and what holds a pod's container for the runtime.

    :param address: the runtime's socket; what belongs to another runtime, or runs in a container, is not ours.
    """
    found: t.Set[int] = set()
    for group in groups:
        for folder, _folders, _files in os.walk(group):
            found.update(int(word) for word in read_text(f"{folder}/cgroup.procs").split())
    for name in filter(str.isdigit, os.listdir(proc)):
        words = _processes.words(name, proc)
        holds_pod = any(runtime.holds_pod(words, address) for runtime in _runtimes.RUNTIMES.values())
        if holds_pod and _processes.is_of_this_machine(name, proc):
            found.add(int(name))
    return sorted(found - {0})


def kill(pids: t.Iterable[int]) -> None:
    """Kill processes and wait until they have gone.

    :raises SlipwayError: when one has not, for example since it waits for a disk.
    """
    killed = set(pids)
    for pid in killed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if not _waiting.until(lambda: not any(map(_is_alive, killed)), _PATIENCE, pause=0.05):
        left = ", ".join(str(pid) for pid in sorted(killed) if _is_alive(pid))
        raise SlipwayError(
            f"Processes of pods do not end though they were killed: {left}. They wait for the kernel (a disk, a network"
            " file system): mend that or restart the machine, then run again."
        )


def _is_alive(pid: int) -> bool:
    state = read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return bool(state) and state[0] != "Z"


def network_namespaces(folder: str = "/run/netns", proc: str = "/proc") -> t.List[str]:
    """Network namespaces that the runtime made for pods and that no process lives in any more."""
    paths = glob.glob(f"{folder}/cni-*")
    used = set()
    for path in glob.glob(f"{proc}/[0-9]*/ns/net") if paths else []:
        with contextlib.suppress(OSError):
            used.add(os.stat(path).st_ino)
    return sorted(path for path in paths if os.stat(path).st_ino not in used)


def interfaces(root: str = "/sys/class/net", networks: Networks = None) -> t.List[str]:
    """Interfaces of the pod network and of kube-proxy, pods' ends before the bridge that they are on.

    Of some pod networks it is theirs alone.
    """
    names = sorted(os.listdir(root))
    bridges = [_BRIDGE] if networks is None else [network.bridge for network in networks if network.bridge]
    ports = [name for name in names if os.path.basename(os.path.realpath(f"{root}/{name}/master")) in bridges]
    common = _INTERFACES if networks is None else tuple(map(re.escape, bridges))
    patterns = [*common, *(pattern for network in these(networks) for pattern in network.left_interfaces)]
    return ports + [name for name in names if any(re.fullmatch(pattern, name) for pattern in patterns)]


def pod_networks(root: str = "") -> t.List[str]:
    """The networks of all pods, as pod networks have written them down, or as somebody says."""
    texts = (text for network in POD_NETWORKS.values() for text in (network.network(root), *network.left_networks))
    return list(dict.fromkeys(part for text in texts for part in text.split(",") if part))


def routes(shown: str, networks: Networks = None) -> t.List[str]:
    """Routes of pod networks that no interface takes with it, among the lines that ``ip route`` shows."""
    patterns = [pattern for network in these(networks) for pattern in network.left_routes]
    lines = (line.strip() for line in shown.splitlines())
    return [line for line in lines if any(re.fullmatch(pattern, line) for pattern in patterns)]


def delete_links(runner: Runner, lines: t.Iterable[str], names: t.Iterable[str]) -> None:
    """Delete routes, as ``ip route`` shows them, and interfaces."""
    for line in lines:
        # A network and the machine that it is behind, or what happens to its packets and the network.
        words = line.split()[: 3 if " via " in line else 2]
        runner.run([runner.path("ip"), "route", "delete", *words], check=False)
    for name in names:
        # A pod's end of a cable goes with the other one.
        runner.run([runner.path("ip"), "link", "delete", name], check=False)


def routing_rules(shown: str) -> t.List[str]:
    """Rules that send what comes from pods by a table of its own, among the lines that ``ip rule`` shows."""
    networks = [ipaddress.ip_network(text) for network in POD_NETWORKS.values() for text in network.left_networks]
    found = []
    for source, table in re.findall(r"^\d+:\s+from (\S+) lookup (\S+)\s*$", shown, re.MULTILINE):
        with contextlib.suppress(ValueError):
            own = ipaddress.ip_network(source)
            if any(own.version == pods.version and own.subnet_of(pods) for pods in networks):  # type: ignore[arg-type]
                found.append(f"from {source} lookup {table}")
    return found


def cni_files(folder: str = "/etc/cni/net.d", networks: Networks = None) -> t.List[str]:
    """Configuration of pod networks; that of others (podman, a runtime's own) is left out."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    words = [word for network in these(networks) for word in network.words]
    whole = {name for network in these(networks) for name in network.left_cni_files}
    return sorted(f"{folder}/{name}" for name in names if name in whole or any(word in name for word in words))


def cni_networks(paths: t.Iterable[str]) -> t.List[str]:
    """The names of the networks in these files, and those that pod networks of ours have."""
    names = {network.cni_network for network in POD_NETWORKS.values()}
    for path in paths:
        with contextlib.suppress(ValueError, AttributeError):
            names.add(str(json.loads(read_text(path)).get("name") or ""))
    return sorted(names - {""})


def cni_state(networks: t.Iterable[str], folder: str = "/var/lib/cni", rows: Networks = None) -> t.List[str]:
    """What CNI plugins keep about networks of ours.

    :param networks: the names that they have for CNI.
    """
    found = [path for network in these(rows) for name in network.cni_folders for path in glob.glob(f"{folder}/{name}")]
    for name in map(glob.escape, networks):
        found += glob.glob(f"{folder}/networks/{name}") + glob.glob(f"{folder}/results/{name}-*")
        found += glob.glob(f"{folder}/cache/results/{name}-*")
    return sorted(found)


def own_files(networks: Networks = None, root: str = "") -> t.List[str]:
    """Files of pod networks in folders of others."""
    patterns = [pattern for network in these(networks) for pattern in network.left_files]
    return sorted(path for pattern in patterns for path in glob.glob(root + pattern))


def copied_programs(networks: t.Iterable[PodNetwork], owner: t.Callable[[str], t.Any], root: str = "") -> t.List[str]:
    """What pod networks have copied among the CNI plugins, without ``root``; not those that a package has brought.

    :param owner: says which package has brought a file.
    """
    paths = [path for network in networks for path in network.programs]
    return [path for path in paths if os.path.exists(root + path) and not owner(path)]


def contents(folder: str, kept: t.Container[str] = ()) -> t.List[str]:
    """Paths of what is in a folder, without ``kept`` names and without folders that are empty themselves."""
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    paths = (f"{folder}/{name}" for name in names if name not in kept)
    return [path for path in paths if not (os.path.isdir(path) and not os.path.islink(path) and _is_empty(path))]


def _is_empty(folder: str) -> bool:
    return not os.listdir(folder)


def remove(path: str) -> None:
    """Remove a file, or a folder with all that is in it. Nothing is ever removed through a mount.

    :raises SlipwayError: when something is mounted there.
    """
    # A link goes by itself; on the way to it there may be others, which the kernel's list does not have.
    real = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    below = [point for point in parse_mounts(read_text("/proc/self/mountinfo")) if f"{point}/".startswith(f"{real}/")]
    if below:
        raise SlipwayError(f"{path} is not removed, something is mounted there: {', '.join(below)}. Unmount it first.")
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    else:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


def remove_if_empty(*folders: str) -> None:
    """Remove folders that nothing is in; mount points stay."""
    for folder in folders:
        with contextlib.suppress(OSError):
            os.rmdir(folder)
