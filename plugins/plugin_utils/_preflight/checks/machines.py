# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on the machines themselves: whether they are reached, who they are, their size and kind.

Private to this collection; runs on the controller. A host without facts is in the report once, with the reason;
a host that is not in this run (``--limit``) is passed over.
"""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _runtimes
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.facts import with_facts
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.inventory import parse_version
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    ERROR,
    WARNING,
    Host,
    Hosts,
    Problem,
    conjoined,
)

#: Go's names of the architectures that Kubernetes packages and images of all addons exist for.
ARCHITECTURES = ("amd64", "arm64")

#: Megabytes that the build needs in file systems beside that of /var/lib: a few files, and etcd's first data.
ROOM = {"/etc": 16, "/tmp": 16, KUBEADM.etcd_data: 200, KUBEADM.kubelet_folder: 50}
#: What kubeadm, kubelet, kubectl, the container runtime and what they need take in /usr, and less than that.
ROOM_FOR_PACKAGES = 300
#: Addresses of virtual routers, which several machines have by design (RFC 9568, section 7.3).
VRRP_MACS = ("00:00:5e:00:01:", "00:00:5e:00:02:")


def check_reachable(hosts: Hosts) -> t.Iterable[Problem]:
    """Hosts that nothing could be learnt about."""
    for host in hosts:
        if host.failure:
            yield host.problem(host.failure.subject, host.failure.message, host.failure.remedy)


def check_package_source(hosts: Hosts) -> t.Iterable[Problem]:
    """The package repository: reachable, signed by the right key, has the version."""
    for host in hosts:
        if host.source_failure:
            yield host.problem(
                "kube_packages_repository",
                f"does not provide Kubernetes {host.text('kube_packages_version')}: {host.source_failure}",
                "Check cluster_version, kube_packages_repository and kube_packages_repository_key.",
            )


# Identity


def _shared(hosts: Hosts, identities: t.Callable[[t.Mapping[str, t.Any]], t.Iterable[str]]) -> t.Dict[str, t.Set[str]]:
    """Identities that more than one host has, with these hosts."""
    owners: t.Dict[str, t.Set[str]] = {}
    for host, facts in with_facts(hosts):
        for identity in identities(facts):
            if identity:
                owners.setdefault(identity, set()).add(host.name)
    return {identity: names for identity, names in owners.items() if len(names) > 1}


def _macs(facts: t.Mapping[str, t.Any]) -> t.Iterable[str]:
    for interface in facts.get("interfaces", []):
        mac = str(interface.get("mac") or "").lower()
        if not interface.get("virtual") and mac.strip("0:") and not mac.startswith(VRRP_MACS):
            yield mac


def check_identities(hosts: Hosts) -> t.Iterable[Problem]:
    """Identities that have to be unique in a cluster: machine-id, product_uuid, MAC addresses.

    The last two are shared by design on some machines: boards whose firmware has one UUID for all, and the interfaces
    of management controllers inside servers. Nothing in Kubernetes compares them.
    """
    identities: t.Tuple[t.Tuple[str, t.Callable[[t.Mapping[str, t.Any]], t.Iterable[str]], str], ...] = (
        (
            "machine_id",
            lambda facts: [facts.get("machine_id", "")],
            "Cloned machines: on all but one remove /etc/machine-id and /var/lib/dbus/machine-id, run"
            " systemd-machine-id-setup and reboot.",
        ),
        (
            "product_uuid",
            lambda facts: [str(facts.get("product_uuid", "")).lower()],
            "Give each virtual machine a UUID of its own in the hypervisor (/sys/class/dmi/id/product_uuid); where the"
            " firmware has one for all machines, set preflight_allow_duplicate_product_uuids.",
        ),
        (
            "mac",
            _macs,
            "Give each network interface a MAC address of its own, or remove the doubled host; where it is that of a"
            " management controller or the like, add it to preflight_allow_duplicate_macs.",
        ),
    )
    allowed = {str(mac).lower() for host in hosts for mac in host.sequence("preflight_allow_duplicate_macs")}
    if all(host.flag("preflight_allow_duplicate_product_uuids") for host in hosts):
        identities = tuple(item for item in identities if item[0] != "product_uuid")
    for subject, of_facts, remedy in identities:
        for identity, names in _shared(hosts, of_facts).items():
            for name in names if identity not in allowed else ():
                yield Problem(name, subject, f"{identity} is the same on {conjoined(names)}.", remedy)


def check_hostnames(hosts: Hosts) -> t.Iterable[Problem]:
    """Kernel hostnames that several hosts have, or that are another host's name in the inventory."""
    allowed = all(host.flag("preflight_allow_duplicate_hostnames") for host in hosts)
    shared = _shared(hosts, lambda facts: [str(facts.get("hostname", "")).lower()])
    for hostname, names in {} if allowed else shared.items():
        for name in names:
            yield Problem(
                name,
                "hostname",
                f"{hostname} is the same on {conjoined(names)}.",
                "Make sure that these are different machines and give each its own hostname, or set"
                " preflight_allow_duplicate_hostnames and let node_prep name them as the inventory does.",
            )
    inventory = {host.name for host in hosts}
    for host, facts in with_facts(hosts):
        hostname = str(facts.get("hostname", "")).lower()
        if hostname in inventory - {host.name} and hostname not in shared:
            yield host.problem(
                "hostname",
                f"is {hostname}, which is the name of another host in the inventory.",
                "Check the ansible_host of both: addresses may be swapped. Otherwise change the machine's hostname.",
            )


# Size and kind of machine


def check_users(hosts: Hosts) -> t.Iterable[Problem]:
    """Users that get a kubeconfig, which is when the cluster is there already, and those of the container runtime."""
    for host, facts in with_facts(hosts):
        of_runtime = f"container_runtime_{host.text('container_runtime_provider')}_users"
        asked = facts.get("unknown_users") or []
        own = [name for name in asked if name in host.sequence(of_runtime)]
        others = [name for name in asked if name not in own and host.control_plane]
        for variable, unknown in (("kubeconfig_users", others), (of_runtime, own)):
            if not unknown:
                continue
            yield host.problem(
                variable,
                f"{conjoined(unknown)} {'is no user' if len(unknown) == 1 else 'are no users'} of the host.",
                "Make them there, or take them out of the list.",
            )


def check_resources(hosts: Hosts) -> t.Iterable[Problem]:
    """CPUs, memory, free disk. What already is a node works as it is: only warnings there."""
    for host, facts in with_facts(hosts):
        severity = WARNING if host.joined else ERROR
        role = "control_plane" if host.control_plane else "worker"
        what = role.replace("_", " ")
        least = host.number(f"preflight_minimum_cpus_{role}")
        if facts["cpu_count"] < least:
            yield host.problem(
                "cpu_count",
                f"{facts['cpu_count']}, and a {what} needs {least}.",
                f"Use a bigger machine (preflight_minimum_cpus_{role}).",
                severity,
            )
        least = host.number(f"preflight_minimum_memory_mb_{role}")
        if facts["memory_mb"] < least:
            yield host.problem(
                "memory_mb",
                f"{facts['memory_mb']} MB, and a {what} needs {least} MB.",
                f"Use a bigger machine (preflight_minimum_memory_mb_{role}).",
                severity,
            )
        yield from _full_disks(host, facts, severity)
        for disk in facts.get("disk", []):
            if disk["path"] != "/var/lib":
                continue
            least = host.number("preflight_minimum_disk_mb")
            enough = host.number("preflight_recommended_disk_mb")
            if disk["free_mb"] < max(least, enough):
                yield host.problem(
                    "disk",
                    f"{disk['free_mb']} MB are free in /var/lib, where images and containers go.",
                    f"Make room for {max(least, enough)} MB; the kubelet evicts pods from full disks.",
                    severity if disk["free_mb"] < least else WARNING,
                )


def _full_disks(host: Host, facts: t.Mapping[str, t.Any], severity: str) -> t.Iterable[Problem]:
    """File systems of their own beside /var/lib. That of /etc is most often that of /usr, where packages go."""
    disks = {disk["path"]: (disk["free_mb"], disk.get("size_mb")) for disk in facts.get("disk", [])}
    bare = not facts["kubernetes"].get("kubeadm_version")
    runtime = _runtimes.chosen(host.text("container_runtime_provider"))
    needed = {**ROOM, runtime.data: host.number("preflight_minimum_disk_mb")}
    needed["/etc"] = ROOM_FOR_PACKAGES if bare else needed["/etc"]
    for path, least in needed.items():
        free, size = disks.get(path, (least, 0))
        if free < least and (free, size) != disks.get("/var/lib"):
            yield host.problem(
                "disk",
                f"{free} MB are free in {path}, and {least} MB are needed"
                + (" for the packages." if path == "/etc" and bare else "."),
                "Make room in this file system.",
                severity,
            )


def check_platform(hosts: Hosts) -> t.Iterable[Problem]:
    """Distribution and its version, architecture, service manager."""
    for host, facts in with_facts(hosts):
        system = facts["os"]
        supported = {
            str(name): [str(version) for version in versions]
            for name, versions in host.mapping("preflight_supported_os").items()
            if isinstance(versions, list)
        }
        version = str(system["version_id"])
        if not {version, version.partition(".")[0]} & set(supported.get(system["id"], [])):
            listed = "; ".join(f"{name} {', '.join(versions)}" for name, versions in supported.items())
            allowed = host.flag("preflight_allow_unsupported_os")
            yield host.problem(
                "os",
                f"{system.get('pretty_name') or system['id']} is not supported ({listed} are).",
                "It may work." if allowed else "Use one of these, or try it with preflight_allow_unsupported_os: true.",
                WARNING if allowed else ERROR,
            )
        if system["architecture"] not in ARCHITECTURES:
            yield host.problem(
                "architecture",
                f"{system['architecture']} is not supported.",
                f"Use a machine with {' or '.join(ARCHITECTURES)}, whose system is of 64 bits as well as its kernel.",
            )
        if facts["service_manager"] != "systemd":
            yield host.problem(
                "service_manager",
                f"is {facts['service_manager'] or 'unknown'}, not systemd; kubelet and runtime are run by it.",
                "Use a machine, or a container, whose process 1 is systemd.",
            )


def check_cgroups(hosts: Hosts) -> t.Iterable[Problem]:
    """Since Kubernetes 1.35 the kubelet refuses cgroup v1 unless failCgroupV1 is false, and kubeadm in any case.

    Source: the message of kubeadm 1.37.1's check SystemVerification.
    """
    for host, facts in with_facts(hosts):
        version = parse_version(host.text("cluster_version"))
        if facts["cgroup_version"] != 1 or version is None or version < (1, 35, 0):
            continue
        missing = []
        if host.mapping("control_plane_kubelet_configuration").get("failCgroupV1") is not False:
            missing.append("failCgroupV1: false in control_plane_kubelet_configuration")
        role = "control_plane" if host.control_plane else "node_join"
        ignored = {str(name).lower() for name in host.sequence(f"{role}_ignore_preflight_errors")}
        if not ignored & {"systemverification", "all"}:
            missing.append("SystemVerification in cluster_ignore_preflight_errors")
        if missing:
            yield host.problem(
                "cgroup_version",
                f"is 1, which kubelet and kubeadm of Kubernetes {version[0]}.{version[1]} refuse.",
                f"Boot with systemd.unified_cgroup_hierarchy=1, or set {' and '.join(missing)}.",
            )


def check_swap(hosts: Hosts) -> t.Iterable[Problem]:
    """Swap that is kept although the kubelet is not told to live with it, or that cannot be turned off."""
    for host, facts in with_facts(hosts):
        # LXC shows the limit of the container so.
        if host.text("node_prep_swap") == "absent" and "none" in facts["swap"]["active"]:
            yield host.problem(
                "node_prep_swap",
                "is absent, and the host is a container with swap, which only its host can take away.",
                "Set swap to 0 for the container there, or node_prep_swap: limited.",
                WARNING if host.joined else ERROR,
            )
        if host.text("node_prep_swap") != "keep" or not facts["swap"]["active"]:
            continue
        if host.mapping("control_plane_kubelet_configuration").get("failSwapOn") is not False:
            yield host.problem(
                "node_prep_swap",
                f"keeps the swap on {', '.join(facts['swap']['active'])}, and the kubelet does not start with swap.",
                "Set failSwapOn: false and memorySwap: {swapBehavior: LimitedSwap} in"
                " control_plane_kubelet_configuration, or node_prep_swap: absent.",
            )


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (
    check_reachable,
    check_package_source,
    check_identities,
    check_hostnames,
    check_users,
    check_resources,
    check_platform,
    check_cgroups,
    check_swap,
)
