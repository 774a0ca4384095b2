# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on what the inventory asks for: hosts, version, names, networks, mirrors.

Private to this collection; runs on the controller. Variables of a wrong type are reported by the checks on
argument_specs; the ones here pass over them.
"""

from __future__ import annotations

import difflib
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import chosen
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes import DEFAULT
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import url_shown
from ansible_collections.slipway.kubernetes.plugins.module_utils._urls import is_web, split_url
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._calendar import is_calendar
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.addresses import (
    networks_of,
    node_addresses,
    node_prefix,
    overlaps,
    parse_endpoint,
    parse_networks,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.inventory import (
    DNS_LABEL,
    DNS_NAME,
    distinct,
    parse_version,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    CLUSTER,
    ERROR,
    WARNING,
    Hosts,
    Problem,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.sources import ADDONS

#: Minor versions of Kubernetes that the collection is tested with, from the oldest to the newest.
SUPPORTED_MINORS = ((1, 34), (1, 37))

#: Variables that describe the cluster as a whole and so must be the same on all of its hosts.
CLUSTER_WIDE = (
    "cluster_name",
    "cluster_version",
    "cluster_endpoint",
    "cluster_pod_subnet",
    "cluster_service_subnet",
    "cluster_dns_domain",
    "cluster_kube_proxy_mode",
    "cluster_cni",
    "api_endpoint_provider",
    "api_endpoint_router_id",
)

MIRROR_KEYS = ("url", "override_path", "ca", "username", "password", "capabilities")
MIRROR_CAPABILITIES = ("pull", "resolve", "push")

#: kubeadm's limits on the service subnet: at most 2**20 addresses, at least 10.
SERVICE_BITS_MAX = 20
SERVICE_ADDRESSES_MIN = 10


# Who is in the cluster


def check_hosts(hosts: Hosts) -> t.Iterable[Problem]:
    """Control planes: at least one, several only behind an endpoint; names that Kubernetes takes."""
    control_planes = [host for host in hosts if host.control_plane]
    subject = "cluster_control_plane_hosts"
    if not control_planes:
        yield Problem(
            CLUSTER,
            subject,
            "is empty: a cluster needs a control plane.",
            "Put a host in the group kube_control_plane, or set the variable where you use the roles yourself.",
        )
    if len(control_planes) > 1 and all(not host.text("cluster_endpoint") for host in hosts):
        yield Problem(
            CLUSTER,
            "cluster_endpoint",
            f"is empty with {len(control_planes)} control planes: nodes would all depend on the first.",
            "Set it to the address of a load balancer, or to a free address of their network and"
            " api_endpoint_provider to keepalived. A cluster that was built without one: see docs/make-it-ha.md.",
        )
    if control_planes and len(control_planes) % 2 == 0:
        yield Problem(
            CLUSTER,
            subject,
            f"has an even number of hosts ({len(control_planes)}), "
            f"of which etcd survives the loss of no more than it would with {len(control_planes) - 1}.",
            "Use 1, 3 or 5.",
            WARNING,
        )
    for host in hosts:
        if not DNS_NAME.fullmatch(host.name):
            yield host.problem(
                "inventory_hostname",
                f"{host.name} cannot be the name of a node: lowercase letters, digits, dashes and dots only.",
                "Rename the host in the inventory and set ansible_host to its address.",
            )


def _waits_for_pods(entry: t.Mapping[str, t.Any]) -> bool:
    conditions = entry.get("ready_when")
    kinds = {condition.get("type") for condition in conditions or [] if isinstance(condition, dict)}
    return isinstance(conditions, list) and bool(kinds & {"apiservice", "load_balancer", "pods_ready", "rollout"})


def check_room_for_addons(hosts: Hosts) -> t.Iterable[Problem]:
    """Addons, whose pods control planes do not take, are to be installed on a new cluster that has no workers."""
    control_planes = [host for host in hosts if host.control_plane]
    enabled = [chart.prefix for chart in ADDONS if any(host.flag(f"{chart.prefix}_enabled") for host in control_planes)]
    # Charts are waited for until their pods are ready, and so is whatever has a condition about pods.
    listed = [
        str(entry.get("name"))
        for host in control_planes[:1]
        for entry in host.sequence("addons_list")
        if isinstance(entry, dict) and (entry.get("chart") or _waits_for_pods(entry))
    ]
    wanted = [*enabled, *(f"{name} (addons_list)" for name in listed)]
    if wanted and not any(host.worker or host.joined for host in hosts):
        yield Problem(
            CLUSTER,
            "cluster_worker_hosts",
            f"is empty: control planes alone take no pods of {' and '.join(wanted)}, which the run would wait for.",
            "Put a host in the group kube_node; a control plane that is there from the start takes pods, too."
            + (f" Or set {' and '.join(f'{name}_enabled' for name in enabled)} to false." if enabled else "")
            + (" Pods of addons_list may tolerate the taint of control planes." if listed else ""),
            WARNING,
        )


def _value(name: str, value: str) -> str:
    return url_shown(value) if name == "cluster_endpoint" else value


def check_cluster_wide(hosts: Hosts) -> t.Iterable[Problem]:
    """Variables of the cluster that differ between hosts."""
    for name in CLUSTER_WIDE:
        values = distinct(hosts, name)
        if len(values) > 1:
            listed = ", ".join(f"{_value(name, value) or '(empty)'} on {host}" for value, host in values)
            yield Problem(
                CLUSTER,
                name,
                f"differs between hosts: {listed}.",
                "Set it once, for the group of all hosts of the cluster.",
            )


# Version and names


def _example(minor: t.Tuple[int, int], patch: int = 1) -> str:
    return f"{minor[0]}.{minor[1]}.{patch}"


def check_version(hosts: Hosts) -> t.Iterable[Problem]:
    """Syntax of the version and whether its minor is supported."""
    oldest, newest = SUPPORTED_MINORS
    for text, host in distinct(hosts, "cluster_version"):
        version = parse_version(text)
        if version is None:
            if re.fullmatch(r"[0-9]+\.[0-9]+", text):
                yield Problem(
                    host,
                    "cluster_version",
                    f"{text} has no patch number.",
                    f'Write the exact version in quotes, such as "{text}.1".',
                )
            elif parse_version(text[1:]) and text[0] in "vV":
                yield Problem(host, "cluster_version", f"{text} has a leading v.", f'Write "{text[1:]}".')
            else:
                yield Problem(
                    host,
                    "cluster_version",
                    f"{text or '(empty)'} is not the version of a release.",
                    f'Write it as "{_example(newest)}".',
                )
        elif version[:2] < oldest:
            yield Problem(
                host,
                "cluster_version",
                f"{text} is not supported, only {oldest[0]}.{oldest[1]} to {newest[0]}.{newest[1]} are.",
                f"Choose one of them, such as {_example(newest)}.",
            )
        elif version[:2] > newest:
            yield Problem(
                host,
                "cluster_version",
                f"{text} is newer than what was tested ({newest[0]}.{newest[1]}).",
                "It may work; try it on a cluster that you can lose.",
                WARNING,
            )


def check_packages_version(hosts: Hosts) -> t.Iterable[Problem]:
    """The version of the packages, where it is not simply the cluster's: a malformed one is looked for nowhere."""
    for host in hosts:
        text = host.text("kube_packages_version")
        given = "kube_packages_version" in host.given and "kube_packages_version" not in host.broken
        if given and text != host.text("cluster_version") and parse_version(text) is None:
            yield host.problem(
                "kube_packages_version",
                f"{text or '(empty)'} is not the version of a release.",
                "Leave it out, and it is cluster_version; or write it in full and in quotes.",
            )


#: What each role on a new machine runs, on control planes and elsewhere.
PROGRAMS = {True: ("kubeadm", "kubelet", "kubectl"), False: ("kubeadm", "kubelet")}


def check_package_names(hosts: Hosts) -> t.Iterable[Problem]:
    """Packages without which a machine does not become a node, or nobody can ask its API server."""
    for host in hosts:
        names = [str(name) for name in host.sequence("kube_packages_names")]
        lacking = [name for name in PROGRAMS[host.control_plane] if name not in names]
        if names and lacking and host.facts is not None and not host.joined:
            yield host.problem(
                "kube_packages_names",
                f"lacks {' and '.join(lacking)}, which the build runs on this host.",
                "Add what is missing, or leave the variable out.",
            )


#: Numbers that are waited for in vain, or mean nothing, when they are smaller, by their variables.
LEAST = {
    "certificates_timeout": 1,
    "control_plane_timeout": 1,
    "coredns_nodes_per_replica": 0,
    "coredns_replicas": 0,
    "coredns_timeout": 1,
    "metallb_timeout": 1,
    "metrics_server_replicas": 1,
    "node_join_timeout": 1,
    "patch_drain_timeout": 1,
    "patch_lock_timeout": 1,
    "patch_reboot_timeout": 1,
    "patch_timeout": 1,
    "reconfigure_drain_timeout": 1,
    "reconfigure_timeout": 1,
    "upgrade_drain_timeout": 1,
    "upgrade_timeout": 1,
    "verify_timeout": 1,
}


def check_numbers(hosts: Hosts) -> t.Iterable[Problem]:
    """Numbers that are too small: 0 is no wait without an end, and no metrics-server is never ready."""
    for host in hosts:
        for variable, least in LEAST.items():
            text = host.text(variable)
            if re.fullmatch(r"-?[0-9]+", text) and int(text) < least:
                more = " It is no way to wait for ever." if variable.endswith("_timeout") else ""
                yield host.problem(variable, f"is {text}, and has to be {least} at least.{more}", "Leave it out.")


def check_calendars(hosts: Hosts) -> t.Iterable[Problem]:
    """Times of timers that systemd cannot read: control planes would fail when all but their timers is done."""
    for variable in ("serving_certificates_on_calendar", "etcd_backup_on_calendar"):
        for host in (host for host in hosts if host.control_plane and variable in host.given):
            text = host.text(variable)
            if variable not in host.broken and not is_calendar(text):
                yield host.problem(
                    variable,
                    f"{text or '(empty)'} is no time that systemd knows (OnCalendar=).",
                    "Write it as `systemd-analyze calendar` takes it, such as hourly, *:0/10 or *-*-* 03:00:00.",
                )


def check_names(hosts: Hosts) -> t.Iterable[Problem]:
    """Names and addresses of the cluster that are written to certificates, kubeconfigs and configuration."""
    for text, host in distinct(hosts, "cluster_name"):
        if not DNS_LABEL.fullmatch(text):
            yield Problem(
                host,
                "cluster_name",
                f"{text or '(empty)'} is not a DNS label.",
                "Use lowercase letters, digits and dashes, at most 63, such as production-1.",
            )
    for text, host in distinct(hosts, "cluster_endpoint"):
        if text and parse_endpoint(text) is None:
            yield Problem(
                host,
                "cluster_endpoint",
                f"{url_shown(text)} is not host or host:port.",
                "Write a lowercase DNS name or an address, without https://, such as api.example.com:6443.",
            )
    for text, host in distinct(hosts, "cluster_dns_domain"):
        if not DNS_NAME.fullmatch(text):
            yield Problem(
                host,
                "cluster_dns_domain",
                f"{text or '(empty)'} is not a DNS domain.",
                "Write it in lowercase, such as cluster.local.",
            )
    for text, host in distinct(hosts, "cluster_image_repository"):
        if "://" in text or not text or text.endswith("/") or re.search(r"\s", text):
            yield Problem(
                host,
                "cluster_image_repository",
                f"{url_shown(text) or '(empty)'} is not registry/path.",
                "Write it as images have it, without https:// and without a slash at its end: registry.k8s.io.",
            )
    for text, host in distinct(hosts, "cluster_cri_socket"):
        if not text.startswith("unix:///"):
            yield Problem(
                host,
                "cluster_cri_socket",
                f"{url_shown(text) or '(empty)'} is not a unix:// URL.",
                f"Write it as unix://{DEFAULT.socket}.",
            )


# Networks


def check_subnets(hosts: Hosts) -> t.Iterable[Problem]:
    """Pod and service subnet: syntax, size, and against each other."""
    for name, example in (("cluster_pod_subnet", "10.244.0.0/16"), ("cluster_service_subnet", "10.96.0.0/12")):
        for text, host in distinct(hosts, name):
            try:
                networks = parse_networks(text)
            except ValueError as error:
                yield Problem(host, name, f"is malformed: {error}.", f"Write it as {example}.")
                continue
            for network in networks:
                bits = network.max_prefixlen - network.prefixlen
                if name == "cluster_pod_subnet":
                    prefix = node_prefix(hosts, network.version)
                    room = 2 ** (prefix - network.prefixlen) if network.prefixlen <= prefix else 0
                    if room < len(hosts):
                        yield Problem(
                            host,
                            name,
                            f"{network} has room for {room} nodes (each a /{prefix}), the cluster {len(hosts)}.",
                            "Choose a larger network; it cannot be changed later.",
                            # Other pod networks may divide it in their own way; kubeadm wants room for one.
                            ERROR if room == 0 or any(chosen(host).goes_by_slices for host in hosts) else WARNING,
                        )
                elif bits > SERVICE_BITS_MAX:
                    yield Problem(
                        host,
                        name,
                        f"{network} is larger than Kubernetes allows.",
                        f"Choose a /{network.max_prefixlen - SERVICE_BITS_MAX} or a smaller one.",
                    )
                elif network.num_addresses < SERVICE_ADDRESSES_MIN:
                    yield Problem(
                        host,
                        name,
                        f"{network} is too small: kubeadm wants {SERVICE_ADDRESSES_MIN} addresses at least.",
                        "Choose a larger network; it cannot be changed later.",
                    )
    for pods in networks_of(hosts, "cluster_pod_subnet"):
        for services in networks_of(hosts, "cluster_service_subnet"):
            if overlaps(pods, services):
                yield Problem(
                    CLUSTER,
                    "cluster_pod_subnet",
                    f"{pods} overlaps cluster_service_subnet {services}.",
                    "Choose networks that share no address.",
                )


def check_node_networks(hosts: Hosts) -> t.Iterable[Problem]:
    """Addresses and networks of nodes inside the pod or service subnet."""
    joined = {host.name for host in hosts if host.joined}
    for name in ("cluster_pod_subnet", "cluster_service_subnet"):
        for network in networks_of(hosts, name):
            for host, address in node_addresses(hosts):
                if address.ip in network:
                    # On a node it may be of an interface that its pod network has made.
                    yield Problem(
                        host,
                        name,
                        f"{network} contains the host's own address {address.ip}.",
                        "Choose a network that no node is in.",
                        WARNING if host in joined else ERROR,
                    )
                elif overlaps(network, address.network):
                    yield Problem(
                        host,
                        name,
                        f"{network} overlaps the host's network {address.network}.",
                        "Machines of that network that have such an address cannot be reached from pods.",
                        WARNING,
                    )


# Registry mirrors


def _check_mirror(mirror: t.Any) -> t.Iterable[t.Tuple[str, str]]:
    """What is wrong with one mirror, and how to mend it."""
    if not isinstance(mirror, dict):
        text = f"'{url_shown(mirror)}'" if isinstance(mirror, str) else f"a {type(mirror).__name__}"
        yield f"has {text}, which is not a dictionary.", "Write each mirror as {url: https://host/path}."
        return
    for key in mirror.keys() - set(MIRROR_KEYS):
        close = difflib.get_close_matches(str(key), MIRROR_KEYS, n=1)
        hint = f"Did you mean {close[0]}? " if close else ""
        yield f"has a mirror with the unknown key {key}.", f"{hint}Known are {', '.join(MIRROR_KEYS)}."
    url = mirror.get("url")
    try:
        secret = split_url(str(url)).username is not None
    except ValueError:
        secret = False
    if url is None:
        yield "has a mirror without url.", "Add the mirror's url, such as https://mirror.example.com/v2/docker.io."
    elif secret:
        yield "has a mirror with a user name in its url.", "Use the keys username and password."
    elif not is_web(url, bare=True):
        yield f"has a mirror whose url {url_shown(url)} is malformed.", "Write it as http(s)://host[:port][/path]."
    capabilities = mirror.get("capabilities", [])
    if not isinstance(capabilities, list) or set(map(str, capabilities)) - set(MIRROR_CAPABILITIES):
        yield "has a mirror with unknown capabilities.", f"Use a list of {', '.join(MIRROR_CAPABILITIES)}."
    if ("username" in mirror) != ("password" in mirror):
        yield "has a mirror with only one of username and password.", "Give both or none."


def check_registry_mirrors(hosts: Hosts) -> t.Iterable[Problem]:
    """Registry mirrors: upstream names, URLs and keys."""
    for host in hosts:
        for upstream, mirrors in host.mapping("cluster_registry_mirrors").items():
            subject = f"cluster_registry_mirrors[{upstream}]"
            if upstream != "_default" and (parse_endpoint(str(upstream)) is None):
                yield host.problem(
                    subject,
                    "is not the name of a registry.",
                    "Use the host that image names begin with, without https:// or a path, such as docker.io.",
                )
            if upstream in ("index.docker.io", "registry-1.docker.io"):
                yield host.problem(
                    subject,
                    "is not asked for: the container runtime looks for mirrors of Docker Hub by the name docker.io.",
                    "Write docker.io.",
                    WARNING,
                )
            if not isinstance(mirrors, list):
                yield host.problem(subject, "is not a list of mirrors.", "Write [{url: https://host/path}].")
                continue
            for mirror in mirrors:
                for message, remedy in _check_mirror(mirror):
                    yield host.problem(subject, message, remedy)


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (
    check_hosts,
    check_cluster_wide,
    check_version,
    check_packages_version,
    check_package_names,
    check_numbers,
    check_calendars,
    check_names,
    check_subnets,
    check_node_networks,
    check_registry_mirrors,
    check_room_for_addons,
)
