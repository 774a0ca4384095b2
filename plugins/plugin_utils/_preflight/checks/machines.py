# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on the machines: what node_facts saw, against what the inventory asks for.

Private to this collection; runs on the controller. A host without facts is in the report once, with the reason;
a host that is not in this run (``--limit``) is passed over.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _runtimes
from ansible_collections.slipway.kubernetes.plugins.module_utils._network.peers import PROCESS
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import Port, chosen, interface_with
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks.cluster import parse_version
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    CLUSTER,
    ERROR,
    WARNING,
    Host,
    Hosts,
    Problem,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._run_lock import holder_of

#: Go's names of the architectures that Kubernetes packages and images of all addons exist for.
ARCHITECTURES = ("amd64", "arm64")

#: What listens where on a node: port, process. The API server's port is added by the check.
NODE_PORTS = ((10248, "kubelet"), (10249, "kube-proxy"), (10250, "kubelet"), (10256, "kube-proxy"))
#: Phases of kubeadm init without which there is no kube-proxy; what stands in for it may have its ports, as Cilium.
KUBE_PROXY_PHASES = {"addon", "addon/all", "addon/kube-proxy"}
CONTROL_PLANE_PORTS = (
    (2379, "etcd"),
    (2380, "etcd"),
    (2381, "etcd"),
    (10257, "kube-controller-manager"),
    (10259, "kube-scheduler"),
)
#: The port by which MetalLB's speakers know each other.
METALLB_PORT = Port("tcp", 7946, "MetalLB's speaker", is_shared=True, is_tried=False)
#: Megabytes that the build needs in file systems beside that of /var/lib: a few files, and etcd's first data.
ROOM = {"/etc": 16, "/tmp": 16, "/var/lib/etcd": 200, "/var/lib/kubelet": 50}
#: What kubeadm, kubelet, kubectl, the container runtime and what they need take in /usr, and less than that.
ROOM_FOR_PACKAGES = 300
#: Addresses of virtual routers, which several machines have by design (RFC 9568, section 7.3).
VRRP_MACS = ("00:00:5e:00:01:", "00:00:5e:00:02:")
#: The kernel keeps this many characters of a process name.
COMM_LENGTH = 15


def _known(hosts: Hosts) -> t.List[t.Tuple[Host, t.Mapping[str, t.Any]]]:
    """The hosts that there are facts of."""
    return [(host, host.facts) for host in hosts if host.facts is not None]


def _and(names: t.Iterable[str]) -> str:
    return " and ".join(sorted(names))


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
    for host, facts in _known(hosts):
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
                yield Problem(name, subject, f"{identity} is the same on {_and(names)}.", remedy)


def check_hostnames(hosts: Hosts) -> t.Iterable[Problem]:
    """Kernel hostnames that several hosts have, or that are another host's name in the inventory."""
    allowed = all(host.flag("preflight_allow_duplicate_hostnames") for host in hosts)
    shared = _shared(hosts, lambda facts: [str(facts.get("hostname", "")).lower()])
    for hostname, names in {} if allowed else shared.items():
        for name in names:
            yield Problem(
                name,
                "hostname",
                f"{hostname} is the same on {_and(names)}.",
                "Make sure that these are different machines and give each its own hostname, or set"
                " preflight_allow_duplicate_hostnames and let node_prep name them as the inventory does.",
            )
    inventory = {host.name for host in hosts}
    for host, facts in _known(hosts):
        hostname = str(facts.get("hostname", "")).lower()
        if hostname in inventory - {host.name} and hostname not in shared:
            yield host.problem(
                "hostname",
                f"is {hostname}, which is the name of another host in the inventory.",
                "Check the ansible_host of both: addresses may be swapped. Otherwise change the machine's hostname.",
            )


# Size and kind of machine


def check_users(hosts: Hosts) -> t.Iterable[Problem]:
    """Users that get a kubeconfig, which is when the cluster is there already."""
    for host, facts in _known(hosts):
        unknown = facts.get("unknown_users") or []
        if host.control_plane and unknown:
            yield host.problem(
                "kubeconfig_users",
                f"{_and(unknown)} {'is no user' if len(unknown) == 1 else 'are no users'} of the host.",
                "Make them there, or take them out of the list.",
            )


def check_resources(hosts: Hosts) -> t.Iterable[Problem]:
    """CPUs, memory, free disk. What already is a node works as it is: only warnings there."""
    for host, facts in _known(hosts):
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
    for host, facts in _known(hosts):
        system = facts["os"]
        supported = {
            str(name): [str(version) for version in versions]
            for name, versions in host.mapping("preflight_supported_os").items()
            if isinstance(versions, list)
        }
        if str(system["version_id"]) not in supported.get(system["id"], []):
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
                f"Use a machine with {' or '.join(ARCHITECTURES)}.",
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
    for host, facts in _known(hosts):
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
    for host, facts in _known(hosts):
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


# Network


def api_port(host: Host) -> int:
    """The port that the API server listens on: kubeadm's default or what its configuration is overridden with."""
    endpoint = host.mapping("control_plane_init_configuration").get("localAPIEndpoint")
    port = str(endpoint.get("bindPort")) if isinstance(endpoint, dict) else ""
    return int(port) if port.isascii() and port.isdigit() else 6443


def check_ports(hosts: Hosts) -> t.Iterable[Problem]:
    """Ports of Kubernetes that something else listens on."""
    skipped = {str(phase) for host in hosts for phase in host.sequence("control_plane_skip_phases")}
    absent = "kube-proxy" if skipped & KUBE_PROXY_PHASES else ""
    for host, facts in _known(hosts):
        wanted = {port: process for port, process in NODE_PORTS if process != absent}
        if host.control_plane:
            wanted.update({**dict(CONTROL_PLANE_PORTS), api_port(host): "kube-apiserver"})
        foreign: t.Dict[t.Tuple[int, str], None] = {}
        for socket in facts["listening"]:
            port, process = socket["port"], str(socket.get("process") or "")
            owner = wanted.get(port)
            # Without a process (its name is hidden in some containers) a node's port is taken for its own.
            ours = host.joined if not process else process[:COMM_LENGTH] in (str(owner)[:COMM_LENGTH], PROCESS)
            if socket["protocol"] == "tcp" and owner and not ours:
                pid = f" (pid {socket['pid']})" if socket.get("pid") else ""
                foreign[(port, f"{process or 'an unknown process'}{pid}")] = None
        for port, holder in foreign:
            yield host.problem(
                f"port {port}",
                f"is held by {holder}, and {wanted[port]} needs it.",
                "Stop that process or move it to another port.",
            )


def check_ports_of_addons(hosts: Hosts) -> t.Iterable[Problem]:
    """Ports of the pod network and of MetalLB on machines that are no nodes yet, when they are not set otherwise."""
    for host, facts in _known(hosts):
        network = chosen(host)
        wanted = [(port, f"cni_{network.name}_values") for port in network.ports(host)]
        wanted += [(METALLB_PORT, "metallb_values")] if host.flag("metallb_enabled") else []
        for port, values in () if host.joined else wanted:
            if "port" in str(host.mapping(values)).lower():
                continue
            holders = [
                socket
                for socket in facts["listening"]
                if (socket["protocol"], socket["port"]) == (port.protocol, port.number)
                and (socket.get("process") or not port.is_shared)
            ]
            for holder in holders[:1]:
                name = str(holder.get("process") or "")
                if name[:COMM_LENGTH] != PROCESS:
                    who = f"{name} (pid {holder['pid']})" if name else "the kernel, such as a WireGuard interface"
                    yield host.problem(
                        f"port {port.number}/{port.protocol}",
                        f"is held by {who}, and {port.purpose} needs it.",
                        f"Let that use another port; or give the chart one in {values}.",
                    )


def check_node_ip(hosts: Hosts) -> t.Iterable[Problem]:
    """cluster_node_ip, or the default address that stands in for it."""
    owners: t.Dict[str, t.Set[str]] = {}
    for host in hosts:
        text = host.text("cluster_node_ip")
        facts = host.facts
        if not text:
            default = (facts or {}).get("default_address") or (facts or {}).get("default_address6")
            if default:
                owners.setdefault(str(default), set()).add(host.name)
            elif facts is not None:
                yield host.problem(
                    "cluster_node_ip",
                    "is empty and the host has no default route to take an address from.",
                    "Set it to the host's address in the network of the cluster.",
                )
            continue
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            yield host.problem("cluster_node_ip", f"{text} is not an address.", "Write an address, not a name or CIDR.")
            continue
        if address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local:
            yield host.problem(
                "cluster_node_ip",
                f"{text} cannot be reached from other nodes.",
                "Set it to the host's address in the network of the cluster.",
            )
            continue
        owners.setdefault(str(address), set()).add(host.name)
        if facts is None:
            continue
        present = [entry["address"] for interface in facts["interfaces"] for entry in interface.get("addresses", [])]
        if address not in [ipaddress.ip_address(entry) for entry in present]:
            yield host.problem(
                "cluster_node_ip",
                f"{text} is on no interface of the host (it has {', '.join(present) or 'none'}).",
                "Set it, for this host alone, to one of these.",
            )
    for shared, names in owners.items():
        for name in names if len(names) > 1 else ():
            yield Problem(
                name, "cluster_node_ip", f"{shared} is the same on {_and(names)}.", "Give each host its own address."
            )


def check_pod_network_interface(hosts: Hosts) -> t.Iterable[Problem]:
    """The interface that the pod network takes is the one with the address by which other nodes know the host."""
    known = _known(hosts)
    first = next((item for item in known if item[0].control_plane), None)
    if first is None:
        return
    for host, facts in known:
        network = chosen(host)
        own = host.text("cluster_node_ip") or str(facts.get("default_address") or "")
        wanted = interface_with(facts, own)
        taken = network.interface(host, facts, *first)
        if wanted and taken not in ("", wanted, own):
            yield host.problem(
                f"cni_{network.name}_interface",
                f"{taken} is what {network.title} takes, but the host's address {own} is on {wanted}.",
                network.interface_remedy,
                WARNING,
            )


# What is installed already


def _left_behind(state: t.Mapping[str, t.Any], asked: t.Tuple[int, int, int]) -> t.List[str]:
    """Components of a control plane that are older than what is asked for. An upgrade that has begun is continued."""
    pods = {} if state.get("upgrading") is not None else state.get("static_pods") or {}
    versions = {name: (version, parse_version(version)) for name, version in pods.items() if name != "etcd"}
    return [f"{name} {version}" for name, (version, parsed) in versions.items() if parsed and parsed < asked]


def check_installed(hosts: Hosts) -> t.Iterable[Problem]:
    """Nodes that run another version: building is not upgrading."""
    for host, facts in _known(hosts):
        asked = parse_version(host.text("cluster_version"))
        if asked is None:
            continue
        text = host.text("cluster_version")
        kubelet = str(facts["kubernetes"].get("kubelet_version") or "")
        installed = parse_version(kubelet)
        if installed is None or installed == asked:
            behind = _left_behind(facts["kubernetes"], asked) if host.joined else []
            if behind:
                yield host.problem(
                    "cluster_version",
                    f"{text} is asked for, but the control plane of the host is older ({', '.join(behind)}); site does"
                    " not change the version of a control plane.",
                    "Use the upgrade playbook, or set cluster_version to what runs.",
                )
        elif host.joined:
            older = "newer than" if installed > asked else "older than"
            mend = (
                "Use the upgrade playbook, or set cluster_version to what runs."
                if installed < asked
                else "Set cluster_version to what runs: Kubernetes cannot be downgraded."
            )
            yield host.problem(
                "cluster_version",
                f"{text} is asked for, but the host is a node with kubelet {kubelet}, {older} that; "
                "site does not change the version of a node.",
                mend,
            )
        elif installed > asked:
            yield host.problem(
                "kubelet",
                f"{kubelet} is installed, newer than cluster_version {text}; it will be replaced.",
                "Nothing to do unless something else on the host uses it.",
                WARNING,
            )


def check_membership(hosts: Hosts) -> t.Iterable[Problem]:
    """Hosts that belong to a cluster in another way than the inventory says. Our own unfinished work is left alone."""
    known = _known(hosts)
    control_planes = [facts for host, facts in known if host.control_plane]
    complete = len(control_planes) == sum(host.control_plane for host in hosts) > 0
    exists = any(facts["kubernetes"]["control_plane"] or facts["kubernetes"]["unfinished"] for facts in control_planes)
    reset = "Reset it with kubeadm reset if that cluster is not needed any more, or correct the inventory."
    for host, facts in known:
        state = facts["kubernetes"]
        if state["unfinished"]:
            continue
        if state["control_plane"] and not host.control_plane:
            yield host.problem(
                "kubernetes",
                "runs a control plane (manifests/kube-apiserver.yaml exists) but is a worker in the inventory.",
                reset,
            )
        elif state["joined"] and not state["control_plane"] and host.control_plane:
            yield host.problem(
                "kubernetes",
                "is a worker of a cluster (/etc/kubernetes/kubelet.conf) but a control plane in the inventory.",
                reset,
            )
        elif state["joined"] and not state["control_plane"] and complete and not exists:
            yield host.problem(
                "kubernetes",
                "belongs to some cluster (/etc/kubernetes/kubelet.conf), but no control plane of the inventory does.",
                reset,
            )
    members = [(host, facts["kubernetes"]) for host, facts in known if facts["kubernetes"]["completed"]]
    authorities = [(host.name, state["ca_cert_hashes"]) for host, state in members if state["control_plane"]]
    for host, state in members if authorities else ():
        theirs = state["ca_cert_hashes"]
        first, ours = authorities[0]
        if theirs and ours and not set(theirs) & set(ours):
            yield host.problem(
                "kubernetes",
                f"is a node of another cluster than {first}: its CA is {theirs[0]}, not {ours[0]}"
                " (/etc/kubernetes/pki/ca.crt).",
                reset,
            )


def _is_complete(facts: t.Mapping[str, t.Any]) -> bool:
    return bool(facts["kubernetes"]["joined"]) and not facts["kubernetes"]["unfinished"]


def check_limit(hosts: Hosts) -> t.Iterable[Problem]:
    """What must not be done while control planes are left out: joining without one, building a second cluster."""
    control_planes = [host for host in hosts if host.control_plane]
    left_out = [host for host in control_planes if host.facts is None and not host.failure]
    names = ", ".join(host.name for host in left_out)
    if len(left_out) < len(control_planes) or not control_planes:
        states = [facts["kubernetes"] for host, facts in _known(hosts) if host.control_plane]
        if left_out and states and not any(state["control_plane"] or state["unfinished"] for state in states):
            yield left_out[0].problem(
                "--limit",
                f"leaves out {names}, and the control planes that it does not leave out are bare: a new cluster would"
                " be built beside the one that the others may have.",
                "Run without --limit, or add a control plane that is complete; to build a cluster of some of the"
                " machines, take the others out of the inventory.",
            )
        return
    joining = [host for host, facts in _known(hosts) if not _is_complete(facts)]
    for host in joining:
        yield host.problem(
            "--limit",
            f"leaves out all control planes ({names}), and the host needs one to join the cluster.",
            f"Add one that is complete, such as --limit {host.name},{control_planes[0].name}.",
        )
    if not joining and _known(hosts):
        yield Problem(
            CLUSTER,
            "--limit",
            f"leaves out all control planes ({names}): the machines are looked after, but labels, taints and all else"
            " that is in the cluster is neither compared with the inventory nor changed.",
            f"Add one for that, such as --limit {_known(hosts)[0][0].name},{control_planes[0].name}.",
            WARNING,
        )


def check_runs(hosts: Hosts, run: t.Mapping[str, t.Any], check: bool) -> t.Iterable[Problem]:
    """Other runs that change the cluster now.

    :param run: this run.
    :param check: whether it changes nothing itself, and so may go on beside another one.
    """
    for host, facts in _known(hosts):
        holder = holder_of(facts.get("run"), run, host.flag("preflight_take_over")) if host.control_plane else None
        # One that may be dead is waited for when the lock is taken, to see whether it gives a sign of life.
        if holder and (check or not holder.may_be_dead):
            beside = "What this one sees may be half done." if check else holder.remedy
            yield host.problem("run", holder.message, beside, WARNING if check else ERROR)


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
    check_ports,
    check_ports_of_addons,
    check_node_ip,
    check_pod_network_interface,
    check_installed,
    check_membership,
    check_limit,
)
