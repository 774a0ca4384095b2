# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calico, by the manifest of a release, with its own address management.

Its objects are written as the API server of Kubernetes keeps them (crd.projectcalico.org), since the manifest brings
neither an API server of its own nor its webhooks.

Private to this collection.
"""

from __future__ import annotations

import contextlib
import glob
import ipaddress
import json
import os
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._archive import parse_checksum
from ansible_collections.slipway.kubernetes.plugins.module_utils._charts import Manifest, within
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._findings import Finding
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._marks import SET_LABEL
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks.pod_network import (
    Lasting,
    PodNetwork,
    Port,
    families,
    has_ipv6_alone,
    mtu_findings,
    network_of_family,
    number_of,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings

Object = t.Dict[str, t.Any]

GROUP = "crd.projectcalico.org"
API = f"{GROUP}/v1"
SPACE = "kube-system"
MANIFEST = Manifest("cni_calico", "calico", "node", programs=("calicoctl",))
#: The pools that Calico would make itself without ours.
POOLS = {4: "default-ipv4-ippool", 6: "default-ipv6-ippool"}
#: What it gives to nobody while the pod network is changed.
RESERVATION = "slipway-pod-network-change"
VXLAN, IPIP, NONE = "vxlan", "ipip", "none"
#: Where the pod of kube-proxy has its configuration.
KUBE_PROXY = f"{KUBEADM.kubelet_folder}/pods/*/volumes/kubernetes.io~configmap/kube-proxy/config.conf"
#: Bytes of each packet; there are tunnels of IPIP for IPv4 alone.
OVERHEADS = {4: {VXLAN: 50, IPIP: 20}, 6: {VXLAN: 70}}
#: What an agent writes into the settings of all agents where they have nothing of the kind. Its way of writing loses
#: labels, so it has to find them there.
FELIX = {"logSeverityScreen": "Info", "reportingInterval": "0s"}
#: Where Calico keeps the labels of an object that it, or calicoctl, has written.
LABELS = "projectcalico.org/metadata"
#: How large and how small a block of addresses may be, by its prefix, and the variable that says it.
BLOCKS = {4: (20, 32), 6: (116, 128)}
BLOCK_SIZES = {4: "cni_calico_block_size", 6: "cni_calico_block_size6"}
#: What turns WireGuard on, in each family, and its port.
WIREGUARD = (
    ("wireguardEnabled", "wireguardListeningPort", 51820),
    ("wireguardEnabledV6", "wireguardListeningPortV6", 51821),
)
VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+([-.+][-.+0-9A-Za-z]+)?")
#: Keys of a pool that have variables of their own.
POOL_KEYS = {
    "cidr": "cluster_pod_subnet",
    "blockSize": " and ".join(BLOCK_SIZES.values()),
    "ipipMode": "cni_calico_encapsulation",
    "vxlanMode": "cni_calico_encapsulation",
    "natOutgoing": "cni_calico_nat_outgoing",
}
#: From how many nodes on there should be a Typha.
MANY = 50
#: Images by the containers that have them.
CONTAINERS: t.Dict[t.Tuple[str, str], t.Dict[str, t.Dict[str, str]]] = {
    ("DaemonSet", "calico-node"): {
        "initContainers": {"upgrade-ipam": "cni", "install-cni": "cni", "mount-bpffs": "node"},
        "containers": {"calico-node": "node"},
    },
    ("Deployment", "calico-kube-controllers"): {"containers": {"calico-kube-controllers": "kube-controllers"}},
}
TYPHA: t.Dict[t.Tuple[str, str], t.Dict[str, t.Dict[str, str]]] = {
    ("Deployment", "calico-typha"): {"containers": {"calico-typha": "typha"}},
}


def encapsulation_of(pool: t.Mapping[str, t.Any]) -> str:
    """How a pool's packets travel between nodes."""
    for name, key in ((VXLAN, "vxlanMode"), (IPIP, "ipipMode")):
        if pool.get(key) not in (None, "", "Never"):
            return name
    return NONE


def network_of(settings: Settings, version: int) -> t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network, None]:
    """The network of all pods of a version of IP; ``None`` when there is none, or it is no network."""
    try:
        return ipaddress.ip_network(network_of_family(settings.text("cluster_pod_subnet"), version))
    except ValueError:
        return None


def resource(kind: str, name: str, spec: t.Mapping[str, t.Any]) -> Object:
    """An object of Calico."""
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}


def pool(settings: Settings, version: int) -> t.Dict[str, t.Any]:
    """What the pool of all pods of a version of IP is."""
    encapsulation = settings.text("cni_calico_encapsulation")
    mode = "CrossSubnet" if settings.flag("cni_calico_cross_subnet") else "Always"
    return {
        "cidr": network_of_family(settings.text("cluster_pod_subnet"), version),
        "blockSize": settings.number(BLOCK_SIZES[version]),
        "ipipMode": mode if encapsulation == IPIP and version == 4 else "Never",
        "vxlanMode": mode if encapsulation == VXLAN else "Never",
        "natOutgoing": settings.flag("cni_calico_nat_outgoing"),
        "nodeSelector": "all()",
        "allowedUses": ["Workload", "Tunnel"],
        **settings.mapping("cni_calico_ip_pool"),
    }


def plugins_with_ipv6(settings: Settings) -> str:
    """The configuration of its CNI plugins, in which they are told to give each pod two addresses, or that of IPv6.

    That of the manifest does not say so. What stands between underscores is filled in on each node, as there.
    """
    has_ipv4 = str(not has_ipv6_alone(settings)).lower()
    addresses = {"type": "calico-ipam", "assign_ipv4": has_ipv4, "assign_ipv6": "true"}
    own = {
        "type": "calico",
        "log_level": "info",
        "log_file_path": "/var/log/calico/cni/cni.log",
        "datastore_type": "kubernetes",
        "nodename": "__KUBERNETES_NODE_NAME__",
        "mtu": "__CNI_MTU__",
        "ipam": addresses,
        "policy": {"type": "k8s"},
        "kubernetes": {"kubeconfig": "__KUBECONFIG_FILEPATH__"},
    }
    others = [
        {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}},
        {"type": "bandwidth", "capabilities": {"bandwidth": True}},
    ]
    text = json.dumps({"name": Calico.cni_network, "cniVersion": "0.3.1", "plugins": [own, *others]}, indent=2)
    # The only one that is a number.
    return text.replace('"__CNI_MTU__"', "__CNI_MTU__")


def probe(*words: str) -> t.Dict[str, t.Any]:
    """How the kubelet asks a node's agent."""
    return {"exec": {"command": ["/bin/calico-node", *words]}}


class Calico(PodNetwork):
    """Calico, which routes between nodes itself and has NetworkPolicy."""

    name = "calico"
    title = "Calico"
    manifest = MANIFEST
    has_policies = True
    has_two_families = True
    can_ipv6_alone = True
    overhead = OVERHEADS[4][VXLAN]
    conditions = (
        {"type": "rollout", "kind": "daemonset", "namespace": SPACE, "names": ["calico-node"]},
        {"type": "rollout", "kind": "deployment", "namespace": SPACE, "names": ["calico-kube-controllers"]},
    )
    kubespray = {
        "calico_bpf_enabled": "nothing here: kube-proxy stays",
        "calico_felix_prometheusmetricsenabled": "cni_calico_felix",
        "calico_ipip_mode": "cni_calico_encapsulation, cni_calico_cross_subnet",
        "calico_mtu": "cni_calico_mtu",
        "calico_network_backend": "cni_calico_encapsulation",
        "calico_pool_blocksize": "cni_calico_block_size",
        "calico_pool_blocksize_ipv6": "cni_calico_block_size6",
        "calico_pool_cidr": "cluster_pod_subnet",
        "calico_pool_cidr_ipv6": "cluster_pod_subnet",
        "calico_version": "cni_calico_version",
        "calico_vxlan_mode": "cni_calico_encapsulation, cni_calico_cross_subnet",
        "calico_vxlan_mode_ipv6": "cni_calico_encapsulation, cni_calico_cross_subnet",
        "nat_outgoing": "cni_calico_nat_outgoing",
        "nat_outgoing_ipv6": "cni_calico_nat_outgoing",
    }
    kubespray_weak = ("calico_mtu", "calico_version", "nat_outgoing", "nat_outgoing_ipv6")

    kernel_modules = (VXLAN, IPIP)
    interfaces = (
        {"Name": "cali1a2b3c4d5e6", "Type": "ether", "Kind": "veth", "Driver": "veth"},
        {"Name": "tunl0", "Type": "tunnel", "Kind": "ipip", "Driver": "ipip"},
        {"Name": "vxlan.calico", "Type": "ether", "Kind": "vxlan", "Driver": "vxlan"},
    )
    interface_prefixes = ("cali", "tunl", "vxlan.calico", "vxlan-v6.calico")
    cni_file = "10-calico.conflist"
    cni_network = "k8s-pod-network"

    left_interfaces = ("cali[0-9a-f]{11}", r"vxlan(-v6)?\.calico", r"wireguard\.cali", r"wg-v6\.cali")
    chains = ("cali-",)
    #: It ends each packet that its chains have let pass by rules in those of the kernel.
    rules = (r'--comment "?cali:[\w-]{16}"?(\s|$)',)
    ip_sets = ("cali40", "cali60", "cali4t", "cali6t")
    #: Its own blocks of addresses, which nothing of that node may leave. Those of BGP are found by their network.
    left_routes = (r"blackhole [0-9a-f.:]+/\d+ proto 80( .*)?",)
    pod_routes = (r"\S+ via .* proto (bird|80)( .*)?", r"blackhole \S+ .*proto (bird|80)( .*)?")
    left_mounts = ("(/var)?/run/calico/cgroup",)
    #: Those in others first.
    folders = (
        "/run/calico/cgroup",
        "/run/calico",
        "/run/nodeagent",
        "/var/lib/calico",
        "/var/log/calico/cni",
        "/var/log/calico",
    )
    programs = ("/opt/cni/bin/calico", "/opt/cni/bin/calico-ipam")
    kept_files = ("/var/lib/slipway/calico.yaml",)

    ports_variable = "cni_calico_felix or cni_calico_bgp"
    path, path6 = (f"/apis/{API}/ippools/{POOLS[version]}" for version in (4, 6))
    agents = ((SPACE, "k8s-app in (calico-node, calico-kube-controllers, calico-typha)"),)
    #: Its agents say so in their preStop hook.
    voices = (("clusterrolebinding", "calico-node"),)
    node_annotations = ("projectcalico.org/",)

    def network(self, root: str = "") -> str:
        """That of all pods, or both, as kube-proxy's configuration here has it; it writes down none itself."""
        if not os.path.exists(f"{root}/var/lib/calico/nodename"):
            return ""
        for path in sorted(glob.glob(root + KUBE_PROXY)):
            match = re.search(r"^clusterCIDR: *[\"']?([0-9a-f.:/,]+/\d+)[\"']?$", read_text(path), re.MULTILINE)
            if match:
                return match.group(1)
        return ""

    def ports(self, settings: Settings) -> t.List[Port]:
        """That of its health on each node, and those of its traffic. IPIP is a protocol without ports."""
        felix, bgp = settings.mapping("cni_calico_felix"), settings.mapping("cni_calico_bgp")
        health = number_of(felix.get("healthPort"), 9099)
        found = [Port("tcp", health, "Calico's agent, for its health", is_shared=False, is_tried=False, is_asked=False)]
        if settings.number("cni_calico_typha_replicas") > 0:
            found.append(Port("tcp", 5473, "Calico's Typha", is_shared=False, is_tried=True))
        for enabled, listening, otherwise in WIREGUARD:
            if str(felix.get(enabled, "")).lower() == "true":
                port = number_of(felix.get(listening), otherwise)
                found.append(Port("udp", port, "Calico's WireGuard", is_shared=False, is_tried=False))
        if settings.text("cni_calico_encapsulation") == VXLAN:
            port = number_of(felix.get("vxlanPort"), 4789)
            return [*found, Port("udp", port, "Calico's VXLAN", is_shared=True, is_tried=True)]
        port = number_of(bgp.get("listenPort"), 179)
        return [*found, Port("tcp", port, "Calico's BGP", is_shared=False, is_tried=True)]

    def protocols(self, settings: Settings) -> t.List[str]:
        """That of its tunnels."""
        return [IPIP] if settings.text("cni_calico_encapsulation") == IPIP else []

    def modules(self, settings: Settings) -> t.Set[str]:
        """That of its encapsulation."""
        return {settings.text("cni_calico_encapsulation")}.intersection(self.kernel_modules)

    def overhead_with(self, settings: Settings) -> int:
        """That of its encapsulation, where it is the larger one."""
        encapsulation = settings.text("cni_calico_encapsulation")
        return max(OVERHEADS[version].get(encapsulation, 0) for version in families(settings))

    def mtu(self, settings: Settings) -> int:
        """What it is told; it finds the right one itself otherwise."""
        return settings.number("cni_calico_mtu")

    def objects(self, settings: Settings) -> t.List[Object]:
        """The pools of all pods, its settings, and what else the inventory has."""
        found = [
            *(resource("IPPool", POOLS[version], pool(settings, version)) for version in families(settings)),
            resource("FelixConfiguration", "default", {**FELIX, **settings.mapping("cni_calico_felix")}),
        ]
        bgp = settings.mapping("cni_calico_bgp")
        if bgp:
            found.append(resource("BGPConfiguration", "default", bgp))
        return [*found, *(dict(item) for item in settings.sequence("cni_calico_objects"))]

    def keeps_off(self, networks: t.Sequence[str]) -> t.List[Object]:
        """It takes no block that is reserved as a whole, and no reserved address of others."""
        return [resource("IPReservation", RESERVATION, {"reservedCIDRs": list(networks)})] if networks else []

    def patches(self, settings: Settings) -> t.List[Object]:
        """The backend, the MTU, where a node's addresses come from, and no pools but ours.

        Without BGP there is no BIRD that could be asked whether it is well.
        """
        is_vxlan = settings.text("cni_calico_encapsulation") == VXLAN
        config = {"calico_backend": VXLAN if is_vxlan else "bird", "veth_mtu": str(settings.number("cni_calico_mtu"))}
        addresses = [{"name": "IP_AUTODETECTION_METHOD", "value": "kubernetes-internal-ip"}]
        if has_ipv6_alone(settings):
            # BGP wants a number of each node, which is its address of IPv4 otherwise.
            addresses = [{"name": "IP", "value": "none"}, {"name": "CALICO_ROUTER_ID", "value": "hash"}]
        if 6 in families(settings):
            config["cni_network_config"] = plugins_with_ipv6(settings)
            addresses += [
                {"name": "IP6", "value": "autodetect"},
                {"name": "IP6_AUTODETECTION_METHOD", "value": "kubernetes-internal-ip"},
                {"name": "FELIX_IPV6SUPPORT", "value": "true"},
            ]
        agent = {
            "name": "calico-node",
            "env": [
                {"name": "CLUSTER_TYPE", "value": "k8s" if is_vxlan else "k8s,bgp"},
                *addresses,
                {"name": "NO_DEFAULT_POOLS", "value": "true"},
            ],
            "livenessProbe": probe("-felix-live", *([] if is_vxlan else ["-bird-live"])),
            "readinessProbe": probe("-felix-ready", *([] if is_vxlan else ["-bird-ready"])),
        }
        return [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "calico-config", "namespace": SPACE},
                "data": config,
            },
            _pods("DaemonSet", "calico-node", {"containers": [agent]}),
            *_typha(settings),
            *_images(settings, {**CONTAINERS, **(TYPHA if _typha(settings) else {})}),
            *(dict(item) for item in settings.sequence("cni_calico_patches")),
        ]

    def sessions(self, runner: Runner) -> t.Dict[str, str]:
        """What calicoctl hears from BIRD on this machine."""
        tool = runner.which("calicoctl", required=False)
        return sessions(runner.run([tool, "node", "status"], check=False).stdout) if tool else {}

    def lasting(self, settings: Settings) -> t.List[Lasting]:
        """Network, encapsulation and blocks: nodes would go on with what they have, and lose the others."""
        version = families(settings)[0]
        network = network_of_family(settings.text("cluster_pod_subnet"), version)
        wanted = [Lasting("network", network, "cluster_pod_subnet", "Calico's network")]
        for key, variable, what in (
            ("encapsulation", "cni_calico_encapsulation", "encapsulation"),
            ("block_size", BLOCK_SIZES[version], "size of blocks"),
        ):
            wanted.append(Lasting(key, settings.text(variable), variable, f"Calico's {what}"))
        return [setting for setting in wanted if setting.wanted]

    def state(self, kept: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
        """What its first pool says. That the cluster has two families lasts without it."""
        spec = kept.get("spec") or {}
        return {
            "network": str(spec.get("cidr") or ""),
            "encapsulation": encapsulation_of(spec),
            "block_size": str(spec.get("blockSize") or ""),
            "release": _set_of(kept.get("metadata") or {}),
        }

    def findings(self, settings: Settings) -> t.Iterator[Finding]:
        """What is wrong with its release, with its network, and with what is passed through."""
        yield from _of_release(settings)
        yield from _of_typha(settings)
        yield from _of_network(settings)
        yield from _of_objects(settings)


def sessions(shown: str) -> t.Dict[str, str]:
    """What is wrong with each session of BGP, by its peer, in the tables that ``calicoctl node status`` prints."""
    rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in shown.splitlines() if line[:1] == "|")
    found = {}
    for address, kind, *_times, said in (cells for cells in rows if len(cells) > 3):
        with contextlib.suppress(ValueError):
            found[str(ipaddress.ip_address(address))] = "" if said == "Established" else f"{kind}: {said}"
    return found


def _set_of(metadata: t.Mapping[str, t.Any]) -> str:
    """The set that an object is of, also when calicoctl has written it since."""
    labels = dict(metadata.get("labels") or {})
    with contextlib.suppress(ValueError, AttributeError, TypeError, KeyError):
        labels.update(json.loads((metadata.get("annotations") or {})[LABELS]).get("labels") or {})
    return str(labels.get(SET_LABEL) or "")


def _pods(kind: str, name: str, pods: t.Mapping[str, t.Any]) -> Object:
    """A part of a workload of the manifest."""
    metadata = {"name": name, "namespace": SPACE}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": {"template": {"spec": dict(pods)}}}


def _typha(settings: Settings) -> t.List[Object]:
    """How many Typhas there are; the manifest without them has no such object."""
    replicas = settings.number("cni_calico_typha_replicas")
    metadata = {"name": "calico-typha", "namespace": SPACE}
    found = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"replicas": replicas}}
    return [found] if replicas > 0 else []


def _images(
    settings: Settings, containers: t.Mapping[t.Tuple[str, str], t.Mapping[str, t.Mapping[str, str]]]
) -> t.List[Object]:
    """The images of the release, of one repository."""
    repository, version = settings.text("cni_calico_image_repository"), settings.text("cni_calico_version")
    return [
        _pods(
            kind,
            name,
            {
                part: [
                    {"name": container, "image": f"{repository}/{image}:v{version}"}
                    for container, image in images.items()
                ]
                for part, images in parts.items()
            },
        )
        for (kind, name), parts in containers.items()
    ]


def _of_release(settings: Settings) -> t.Iterator[Finding]:
    version = settings.text("cni_calico_version")
    if not VERSION.fullmatch(version):
        yield Finding(
            "cni_calico_version",
            f"{version or '(empty)'} is not the version of a release.",
            'Write it in full, in quotes and without v, such as "3.28.5".',
        )
    for name in MANIFEST.archives(settings):
        variable = f"{name}_checksum"
        try:
            parse_checksum(settings.text(variable))
        except SlipwayError:
            yield Finding(
                variable,
                "is neither a SHA-256 nor the address of a file with one."
                if settings.text(variable)
                else f"is empty: no checksum of this file of {version} is known here.",
                "Write it as sha256:DIGITS, of the file that you have looked at, or sha256:https://host/path.",
            )


def _of_typha(settings: Settings) -> t.Iterator[Finding]:
    replicas = settings.number("cni_calico_typha_replicas")
    groups = ("cluster_control_plane_hosts", "cluster_worker_hosts")
    nodes = {str(name) for group in groups for name in settings.sequence(group)}
    if replicas < 0 or (nodes and replicas > len(nodes)):
        yield Finding(
            "cni_calico_typha_replicas",
            f"is {replicas}, and has to be between 0 and the number of nodes ({len(nodes)}), of which each has room for"
            " one.",
            "One for every hundred nodes is enough, and three where one may be missing.",
        )
    elif not replicas and len(nodes) > MANY:
        yield Finding(
            "cni_calico_typha_replicas",
            f"is 0 with {len(nodes)} nodes, whose agents all ask the API servers for everything.",
            "Set it to 3.",
            "warning",
        )


def _of_blocks(settings: Settings, version: int) -> t.Iterator[Finding]:
    variable, (largest, smallest) = BLOCK_SIZES[version], BLOCKS[version]
    # A text that is no number is reported by the checks on argument_specs.
    size, network = number_of(settings.text(variable), smallest), network_of(settings, version)
    if not largest <= size <= smallest:
        yield Finding(
            variable,
            f"is {size}, and Calico has blocks of /{largest} to /{smallest}.",
            f"Leave it out: each node takes blocks of 64 addresses (/{smallest - 6}) as it needs them.",
        )
    elif network is not None and network.prefixlen > size:
        yield Finding(
            variable,
            f"is {size}, and a block of that size is larger than cluster_pod_subnet {network}.",
            "Choose a larger number, for smaller blocks, or a larger network.",
        )


def _of_network(settings: Settings) -> t.Iterator[Finding]:
    for version in families(settings):
        yield from _of_blocks(settings, version)
    if settings.text("cni_calico_encapsulation") == IPIP and has_ipv6_alone(settings):
        yield Finding(
            "cni_calico_encapsulation",
            f"is ipip, and pods have addresses of IPv6 alone ({settings.text('cluster_pod_subnet')}), for which Calico"
            " has no such tunnels.",
            "Choose vxlan, or none for routes by BGP.",
        )
    yield from mtu_findings(
        "cni_calico_mtu",
        settings.number("cni_calico_mtu"),
        "Leave it out: Calico takes that of the nodes' network without what its encapsulation needs.",
    )
    if settings.flag("cni_calico_cross_subnet") and settings.text("cni_calico_encapsulation") == NONE:
        yield Finding(
            "cni_calico_cross_subnet",
            "is true, and with cni_calico_encapsulation: none there is nothing that it could leave out.",
            "Leave it out, or choose vxlan or ipip.",
        )
    for key in sorted(set(POOL_KEYS) & set(settings.mapping("cni_calico_ip_pool"))):
        yield Finding("cni_calico_ip_pool", f"has {key}, which has a variable of its own.", f"Set {POOL_KEYS[key]}.")


def _of_objects(settings: Settings) -> t.Iterator[Finding]:
    if str(settings.mapping("cni_calico_felix").get("bpfEnabled", "")).lower() == "true":
        yield Finding(
            "cni_calico_felix",
            "has bpfEnabled, which takes kube-proxy's place, and kube-proxy is set up here.",
            "Take it out.",
        )
    for number, item in enumerate(settings.sequence("cni_calico_objects"), start=1):
        kind, name = (within(item, *path) for path in (("kind",), ("metadata", "name")))
        if not kind or not name or item.get("apiVersion") != API:
            yield Finding(
                "cni_calico_objects",
                f"entry {number} is no object of {API} with kind and metadata.name.",
                "Write it as the cluster keeps it (kubectl get ippools.crd.projectcalico.org -o yaml), not as calicoctl"
                " takes it; anything else belongs into addons_list.",
            )
        elif (kind, name) in (*(("IPPool", pool) for pool in POOLS.values()), ("FelixConfiguration", "default")):
            yield Finding(
                "cni_calico_objects",
                f"entry {number} is {kind} {name}, which has variables of its own.",
                "Set cni_calico_ip_pool or cni_calico_felix.",
            )
