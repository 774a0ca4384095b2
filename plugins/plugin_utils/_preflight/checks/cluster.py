# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on what the inventory asks for: version, names, networks, mirrors, pools, labels.

Private to this collection; runs on the controller. Variables of a wrong type are reported by the checks on
argument_specs; the ones here pass over them.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import chosen
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes import DEFAULT
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import url_shown
from ansible_collections.slipway.kubernetes.plugins.module_utils._urls import is_web, split_url
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._configuration_differences import as_network
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    CLUSTER,
    ERROR,
    WARNING,
    Host,
    Hosts,
    Problem,
)

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

#: kubeadm gives each node a network of this prefix length from the pod subnet, by IP version, if it is told no other.
NODE_PREFIX = {4: 24, 6: 64}
#: kubeadm's limits on the service subnet: at most 2**20 addresses, at least 10.
SERVICE_BITS_MAX = 20
SERVICE_ADDRESSES_MIN = 10

_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
DNS_LABEL = re.compile(_LABEL)
DNS_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
QUALIFIED_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
VERSION = re.compile(r"([0-9]+)\.([0-9]+)\.([0-9]+)")

#: kubeadm's defaults.
PKI = "/etc/kubernetes/pki"
API_PORT = "6443"

Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
Address = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


def distinct(hosts: Hosts, name: str) -> t.List[t.Tuple[str, str]]:
    """Each value that the variable has, with the host to name for it: one host a value, for cluster-wide variables.

    A value that is the same everywhere is the cluster's.
    """
    values: t.Dict[str, str] = {}
    for host in hosts:
        if name not in host.broken:
            values.setdefault(host.text(name), host.name)
    if len(values) == 1:
        return [(value, CLUSTER) for value in values]
    return list(values.items())


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


def parse_version(text: str) -> t.Optional[t.Tuple[int, int, int]]:
    """``1.37.1`` as numbers; ``None`` when it is not a release's version."""
    match = VERSION.fullmatch(text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


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


def parse_endpoint(text: str) -> t.Optional[t.Tuple[str, int]]:
    """``host[:port]`` or ``[IPv6][:port]`` as host and port (6443 when not said); ``None`` when malformed."""
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]/@\s]+))(?::([0-9]{1,5}))?", text)
    if not match:
        return None
    name, port = match[1] or match[2], int(match[3] or 6443)
    if not 0 < port < 65536:
        return None
    if match[1] or re.fullmatch(r"[0-9.]+", name):
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return None
    elif not DNS_NAME.fullmatch(name):
        return None
    return name, port


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


def parse_networks(text: str) -> t.List[Network]:
    """Networks of a subnet variable: one, or two separated by a comma.

    :raises ValueError: when one is malformed, with the reason.
    """
    networks: t.List[Network] = [as_network(part.strip()) for part in text.split(",")]
    if len(networks) > 2 or (len(networks) == 2 and networks[0].version == networks[1].version):
        raise ValueError(f"{text} is more than one network of the same IP version")
    return networks


def networks_of(hosts: Hosts, name: str) -> t.List[Network]:
    """The networks that the variable names on any host, malformed ones left out."""
    found: t.Dict[Network, None] = {}
    for text, _host in distinct(hosts, name):
        try:
            found.update(dict.fromkeys(parse_networks(text)))
        except ValueError:
            continue
    return list(found)


def node_addresses(hosts: Hosts) -> t.List[t.Tuple[str, ipaddress.IPv4Interface | ipaddress.IPv6Interface]]:
    """Every address on a real interface of a host, with the network it is in. The node's own may be on any."""
    found = []
    for host in hosts:
        own = host.text("cluster_node_ip")
        for interface in (host.facts or {}).get("interfaces", []):
            addresses = interface.get("addresses", [])
            if interface.get("virtual") and own not in [address["address"] for address in addresses]:
                continue
            for address in addresses:
                found.append((host.name, ipaddress.ip_interface(f"{address['address']}/{address['prefix']}")))
    return found


def overlaps(first: Network, second: Network) -> bool:
    """Whether two networks share addresses; never when their IP versions differ."""
    return first.version == second.version and first.overlaps(second)  # type: ignore[arg-type]


def node_prefix(hosts: Hosts, version: int = 4) -> int:
    """The prefix length of the network that each node gets: kubeadm's, or what the controller manager is told."""
    found = NODE_PREFIX[version]
    for host in (host for host in hosts if host.control_plane):
        manager = host.mapping("control_plane_cluster_configuration").get("controllerManager")
        items = manager.get("extraArgs") if isinstance(manager, dict) else None
        for item in filter(_is_argument, items if isinstance(items, list) else []):
            value = str(item.get("value"))
            if item["name"] in ("node-cidr-mask-size", f"node-cidr-mask-size-ipv{version}") and value.isdecimal():
                found = int(value)
    return found


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


# MetalLB


def parse_range(text: str) -> t.List[Network]:
    """A pool's addresses, written as CIDR or as ``first-last``, as networks.

    :raises ValueError: when malformed, with the reason.
    """
    first, dash, last = (part.strip() for part in text.partition("-"))
    if not dash:
        if "/" not in text:
            raise ValueError(f"{text} is neither a network (10.0.0.0/28) nor a range (10.0.0.1-10.0.0.9)")
        return [as_network(text)]
    start, end = ipaddress.ip_address(first), ipaddress.ip_address(last)
    if start.version != end.version:
        raise ValueError(f"{text} mixes IPv4 and IPv6")
    if start > end:  # type: ignore[operator]
        raise ValueError(f"{text} ends before it starts")
    return list(ipaddress.summarize_address_range(start, end))  # type: ignore[type-var]


def _pool_addresses(pool: t.Any) -> t.Tuple[str, t.List[str]]:
    """A pool's name and its addresses as they are written."""
    if not isinstance(pool, dict):
        return "pool", []
    addresses = pool.get("addresses")
    return str(pool.get("name", "pool")), [str(address) for address in addresses or [] if isinstance(addresses, list)]


def _waits_for_pods(entry: t.Mapping[str, t.Any]) -> bool:
    conditions = entry.get("ready_when")
    kinds = {condition.get("type") for condition in conditions or [] if isinstance(condition, dict)}
    return isinstance(conditions, list) and bool(kinds & {"apiservice", "load_balancer", "pods_ready", "rollout"})


def check_room_for_addons(hosts: Hosts) -> t.Iterable[Problem]:
    """Addons, whose pods control planes do not take, are to be installed on a new cluster that has no workers."""
    addons = ("metrics_server", "metallb")
    control_planes = [host for host in hosts if host.control_plane]
    enabled = [name for name in addons if any(host.flag(f"{name}_enabled") for host in control_planes)]
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


def check_metallb_pools(hosts: Hosts) -> t.Iterable[Problem]:
    """MetalLB's pools: syntax, and against the networks of the cluster and of its nodes."""
    on_nodes = node_addresses(hosts)
    own = [
        (name, network)
        for name in ("cluster_pod_subnet", "cluster_service_subnet")
        for network in networks_of(hosts, name)
    ]
    # Pools that many hosts share are looked at once: each look compares them with all hosts.
    known: t.Dict[str, t.List[Problem]] = {}
    for host in hosts:
        pools = host.sequence("metallb_address_pools")
        key = repr(pools)
        if key not in known:
            known[key] = list(_check_pools(host, pools, own, on_nodes))
        yield from (dataclasses.replace(problem, host=host.name) for problem in known[key])


def _check_pools(
    host: Host,
    pools: t.Sequence[t.Any],
    own: t.Sequence[t.Tuple[str, Network]],
    on_nodes: t.Sequence[t.Tuple[str, t.Any]],
) -> t.Iterable[Problem]:
    """What is wrong with one list of pools."""
    names: t.Set[str] = set()
    seen: t.List[t.Tuple[str, Network]] = []
    for pool in pools:
        # A pool without a name or addresses is reported by the checks on argument_specs.
        name, addresses = _pool_addresses(pool)
        subject = f"metallb_address_pools[{name}]"
        if not DNS_NAME.fullmatch(name):
            yield host.problem(subject, "is not a valid name.", "Use lowercase letters, digits and dashes.")
        if name in names:
            yield host.problem(subject, "is the name of two pools.", "Give each pool a name of its own.")
        if isinstance(pool, dict) and "name" in pool:
            names.add(name)
        for text in addresses:
            try:
                networks = parse_range(text)
            except ValueError as error:
                yield host.problem(subject, f"is malformed: {error}.", "Write 10.0.0.0/28 or 10.0.0.200-10.0.0.220.")
                continue
            yield from (
                host.problem(subject, message, remedy, severity)
                for message, remedy, severity in _check_pool(text, networks, own, on_nodes, seen)
            )
            seen.extend((text, network) for network in networks)


def _check_pool(
    text: str,
    networks: t.Sequence[Network],
    own: t.Sequence[t.Tuple[str, Network]],
    on_nodes: t.Sequence[t.Tuple[str, t.Any]],
    seen: t.Sequence[t.Tuple[str, Network]],
) -> t.Iterable[t.Tuple[str, str, str]]:
    """What is wrong with one range of a pool: message, remedy, severity."""
    inside = [f"{variable} {network}" for variable, network in own if any(overlaps(network, part) for part in networks)]
    for place in inside:
        yield f"{text} overlaps {place}.", "Choose addresses outside of it.", ERROR
    for node, address in on_nodes:
        if any(address.ip in part for part in networks):
            yield f"{text} contains {address.ip}, the address of {node}.", "Leave the nodes' addresses out.", ERROR
    for other in {other for other, network in seen if any(overlaps(network, part) for part in networks)}:
        yield f"{text} overlaps {other}, which a pool has already.", "Give each address to one pool.", ERROR
    reachable = any(overlaps(part, address.network) for part in networks for _node, address in on_nodes)
    if on_nodes and not reachable and not inside:
        yield (
            f"{text} is in no network that a node has an address in.",
            "Nobody answers for it on layer 2 unless a router sends it to the nodes.",
            WARNING,
        )


# Labels, annotations, taints


def bad_key(key: str) -> bool:
    """Whether it is no key of a label, annotation or taint: ``[prefix/]name``."""
    prefix, slash, name = key.rpartition("/")
    return not QUALIFIED_NAME.fullmatch(name) or (bool(slash) and not DNS_NAME.fullmatch(prefix))


def bad_value(value: str) -> bool:
    """Whether it is no value of a label or taint."""
    return bool(value) and not QUALIFIED_NAME.fullmatch(value)


def check_labels(hosts: Hosts) -> t.Iterable[Problem]:
    """Keys and values of labels, annotations and taints."""
    syntax = "At most 63 letters, digits, dashes, dots and underscores; a key may have a DNS name and a slash ahead."
    for host in hosts:
        for variable in ("cluster_node_labels", "cluster_node_annotations"):
            for key, value in host.mapping(variable).items():
                if bad_key(str(key)):
                    yield host.problem(variable, f"{key} is not a valid key.", syntax)
                if not isinstance(value, str):
                    yield host.problem(variable, f"the value of {key} is not text ({value!r}).", "Put it in quotes.")
                elif variable == "cluster_node_labels" and bad_value(value):
                    yield host.problem(variable, f"the value of {key} is not valid: {value}.", syntax)
        named: t.List[str] = []
        for taint in host.sequence("cluster_node_taints"):
            if not isinstance(taint, dict):
                continue
            key, value = str(taint.get("key", "")), "" if taint.get("value") is None else taint["value"]
            if not isinstance(value, str):
                message = f"the value of {key} is not text ({value!r})."
                yield host.problem("cluster_node_taints", message, "Put it in quotes.")
            elif bad_key(key) or bad_value(value):
                yield host.problem("cluster_node_taints", f"{key}={value} is not a valid taint.", syntax)
            named.append(f"{key}:{taint.get('effect')}")
        for name in sorted({name for name in named if named.count(name) > 1}):
            yield host.problem("cluster_node_taints", f"{name} is there twice.", "A node has it once: leave one out.")


def check_overrides(hosts: Hosts) -> t.Iterable[Problem]:
    """Fields of kubeadm's configuration that would be ignored, or that the rest of the collection does not follow."""
    several = sum(host.control_plane for host in hosts) > 1
    for host in hosts:
        certificates = host.mapping("control_plane_cluster_configuration").get("certificatesDir") or PKI
        if host.control_plane and certificates != PKI:
            yield host.problem(
                "control_plane_cluster_configuration",
                f"certificatesDir is {certificates}, and the certificates are looked for in {PKI}.",
                "Leave it out.",
            )
        for name in ("control_plane_init_configuration", "node_join_configuration"):
            document = host.mapping(name)
            registration = document.get("nodeRegistration")
            called = registration.get("name") if isinstance(registration, dict) else None
            if called not in (None, host.name):
                yield host.problem(
                    name,
                    f"nodeRegistration.name is {called}, and nodes have the names of their hosts in the inventory.",
                    "Leave it out, and give the host that name; ansible_host says where it is.",
                )
            if document.get("skipPhases"):
                yield host.problem(
                    name,
                    "kubeadm ignores skipPhases when it is told on its command line what to skip, as it is here.",
                    "Leave it out; control_plane_skip_phases is for kubeadm init.",
                )
        joining = host.mapping("node_join_configuration").get("controlPlane")
        if joining is not None and not host.control_plane:
            yield host.problem(
                "node_join_configuration",
                "has the field controlPlane, with which this worker would become a control plane.",
                "Set it for hosts of the group kube_control_plane only.",
            )
        port, joined = (
            _bind_port(document) for document in (host.mapping("control_plane_init_configuration"), joining)
        )
        if host.control_plane and several and port != joined:
            yield host.problem(
                "node_join_configuration",
                f"control planes that join would listen on {joined}, and the one that is initialised on {port}.",
                "Set localAPIEndpoint.bindPort in control_plane_init_configuration, and the same as"
                " controlPlane.localAPIEndpoint.bindPort in node_join_configuration of all control planes.",
            )


#: Where kubeadm's documents have arguments, by the variables that are merged over them.
_ARGUMENTS = {
    "control_plane_cluster_configuration": (
        *(f"{name}.extraArgs" for name in ("apiServer", "controllerManager", "scheduler", "etcd.local")),
    ),
    "control_plane_init_configuration": ("nodeRegistration.kubeletExtraArgs",),
    "node_join_configuration": ("nodeRegistration.kubeletExtraArgs",),
}


def _is_argument(item: t.Any) -> bool:
    named = isinstance(item, dict) and isinstance(item.get("name"), str)
    return named and isinstance(item.get("value"), (str, type(None)))


def check_extra_arguments(hosts: Hosts) -> t.Iterable[Problem]:
    """Arguments in the form of v1beta3, a dictionary, or with values that are no text."""
    for host in hosts:
        for variable, path in ((variable, path) for variable, paths in _ARGUMENTS.items() for path in paths):
            value: t.Any = host.mapping(variable)
            for name in path.split("."):
                value = value.get(name) if isinstance(value, dict) else None
            if value is not None and not (isinstance(value, list) and all(map(_is_argument, value))):
                yield host.problem(
                    variable,
                    f"{path} is no list of arguments, each with a name and a value that are text.",
                    'Write it as [{name: v, value: "2"}].',
                )


def _bind_port(document: t.Any) -> str:
    """The port of the API server in a document of kubeadm."""
    endpoint = document.get("localAPIEndpoint") if isinstance(document, dict) else None
    return str(endpoint.get("bindPort") or API_PORT) if isinstance(endpoint, dict) else API_PORT


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (
    check_hosts,
    check_cluster_wide,
    check_version,
    check_packages_version,
    check_names,
    check_subnets,
    check_node_networks,
    check_registry_mirrors,
    check_metallb_pools,
    check_room_for_addons,
    check_labels,
    check_overrides,
    check_extra_arguments,
)
