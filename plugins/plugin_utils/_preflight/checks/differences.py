# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on what a built cluster is against what the inventory says it shall be.

What cannot be changed on a running cluster is refused; what could be, but is only looked at when a cluster is built, is
reported. The documents of the inventory are those that the role control_plane renders. docs/differences.md has the
list. Private to this collection; runs on the controller.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.api_endpoints import CONTROL_PLANE
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages import package_manager_named
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import chosen, named
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _kubeadm_config
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._configuration_differences import (
    ABSENT,
    Difference,
    Document,
    Rules,
    compare,
    printable,
    same,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._kubelet_configuration import (
    TEXT_MAX,
    parse,
    read,
    signs_itself,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    CLUSTER,
    ERROR,
    WARNING,
    Check,
    Host,
    Hosts,
    Problem,
    first_of,
)

_PAGE = "docs/differences.md"
#: Fields of a ClusterConfiguration that cannot be changed on a running cluster.
FIXED = ("networking.*", "clusterName", "certificatesDir", "etcd.local.dataDir", "etcd.external.*")
#: Variables of their own, by kind and field; the others have one for all fields of the document.
VARIABLES = {
    "networking.podSubnet": "cluster_pod_subnet",
    "networking.serviceSubnet": "cluster_service_subnet",
    "networking.dnsDomain": "cluster_dns_domain",
    "clusterName": "cluster_name",
    "imageRepository": "cluster_image_repository",
    "mode": "cluster_kube_proxy_mode",
}
OVERRIDES = {
    "ClusterConfiguration": "control_plane_cluster_configuration",
    "KubeletConfiguration": "control_plane_kubelet_configuration",
    "KubeProxyConfiguration": "control_plane_kube_proxy_configuration",
}
CONFIG_MAPS = {
    "ClusterConfiguration": "kubeadm-config",
    "KubeletConfiguration": "kubelet-config",
    "KubeProxyConfiguration": "kube-proxy",
}

_IGNORED = ("apiVersion", "kind")
#: The version is upgraded, the endpoint is moved, and site.yml itself keeps the names in certificates; other checks
#: look at them.
CLUSTER_RULES = Rules(
    defaults={
        "apiServer.timeoutForControlPlane": "4m0s",
        "caCertificateValidityPeriod": "87600h",
        "certificateValidityPeriod": "8760h",
        "certificatesDir": "/etc/kubernetes/pki",
        "clusterName": "kubernetes",
        "dns.type": "CoreDNS",
        "encryptionAlgorithm": "RSA-2048",
        "etcd.local.dataDir": "/var/lib/etcd",
        "imageRepository": "registry.k8s.io",
        "networking.dnsDomain": "cluster.local",
        "networking.serviceSubnet": "10.96.0.0/12",
    },
    optional=("*.extraArgs.*", "*.extraEnvs.*", "featureGates.*"),
    ignored=(
        *_IGNORED,
        "apiServer.certSANs",
        "controlPlaneEndpoint",
        "etcd.external.httpEndpoints",
        "kubernetesVersion",
    ),
    texts=("clusterName", "networking.dnsDomain", "*.extraEnvs.*", "*.imageTag"),
)
#: What kubeadm stores, and what the kubelet takes where nothing is said.
_KUBELET_DEFAULTS: t.Dict[str, t.Any] = {
    "address": "0.0.0.0",
    "authentication.anonymous.enabled": False,
    "authentication.webhook.enabled": True,
    "authentication.x509.clientCAFile": "/etc/kubernetes/pki/ca.crt",
    "authorization.mode": "Webhook",
    "cgroupDriver": "systemd",
    "cgroupsPerQOS": True,
    "containerLogMaxFiles": 5,
    "containerLogMaxSize": "10Mi",
    "cpuCFSQuota": True,
    "cpuManagerPolicy": "none",
    "enableContentionProfiling": False,
    "enableControllerAttachDetach": True,
    "enableDebugFlagsHandler": True,
    "enableDebuggingHandlers": True,
    "enableProfilingHandler": True,
    "enableServer": True,
    "enableSystemLogHandler": True,
    "enableSystemLogQuery": False,
    "enforceNodeAllocatable": ["pods"],
    "eventRecordQPS": 50,
    "failCgroupV1": True,
    "failSwapOn": True,
    "fileCheckFrequency": "20s",
    "hairpinMode": "promiscuous-bridge",
    "healthzBindAddress": "127.0.0.1",
    "healthzPort": 10248,
    "httpCheckFrequency": "20s",
    "imageGCHighThresholdPercent": 85,
    "imageGCLowThresholdPercent": 80,
    "imageMinimumGCAge": "2m",
    "kubeAPIQPS": 50,
    "localStorageCapacityIsolation": True,
    "logging.format": "text",
    "makeIPTablesUtilChains": True,
    "maxPods": 110,
    "memoryManagerPolicy": "None",
    "mergeDefaultEvictionSettings": False,
    "nodeStatusUpdateFrequency": "10s",
    "podPidsLimit": -1,
    "port": 10250,
    "registerNode": True,
    "registryPullQPS": 5,
    "resolvConf": ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"),
    "seccompDefault": False,
    "serializeImagePulls": True,
    "staticPodPath": "/etc/kubernetes/manifests",
    "streamingConnectionIdleTimeout": "4h",
    "syncFrequency": "1m",
    "topologyManagerPolicy": "none",
    "topologyManagerScope": "container",
    "volumeStatsAggPeriod": "1m",
}
#: Pointers in Kubernetes' own type, and maps: absent is not zero there.
_KUBELET_OPTIONAL = (
    "authentication.*.enabled",
    "cgroupsPerQOS",
    "containerLogMax*",
    "containerLogMonitorInterval",
    "cpuCFSQuota*",
    "crashLoopBackOff.*",
    "enable*",
    "eventRecordQPS",
    "eviction*.*",
    "failCgroupV1",
    "failSwapOn",
    "featureGates.*",
    "healthzPort",
    "imageGC*ThresholdPercent",
    "iptables*Bit",
    "kubeAPIQPS",
    "kubeReserved.*",
    "localStorageCapacityIsolation",
    "makeIPTablesUtilChains",
    "maxParallelImagePulls",
    "memoryThrottlingFactor",
    "mergeDefaultEvictionSettings",
    "nodeStatusMaxImages",
    "oomScoreAdj",
    "podPidsLimit",
    "registerNode",
    "registryPullQPS",
    "resolvConf",
    "seccompDefault",
    "serializeImagePulls",
    "singleProcessOOMKill",
    "systemReserved.*",
    "userNamespaces.*",
)
_PROXY_DEFAULTS: t.Dict[str, t.Any] = {
    "bindAddress": ("0.0.0.0", "::"),
    "clientConnection.kubeconfig": "/var/lib/kube-proxy/kubeconfig.conf",
    "logging.format": "text",
    # What it takes where nothing is said.
    "conntrack.maxPerCore": 32768,
    "conntrack.min": 131072,
    "healthzBindAddress": ("0.0.0.0:10256", "[::]:10256", ""),
    "mode": "iptables",
    "metricsBindAddress": ("127.0.0.1:10249", "[::1]:10249", ""),
    "oomScoreAdj": -999,
}
_PROXY_OPTIONAL = (
    "conntrack.maxPerCore",
    "conntrack.min",
    "conntrack.tcpCloseWaitTimeout",
    "conntrack.tcpEstablishedTimeout",
    "featureGates.*",
    "iptables.localhostNodePorts",
    "*.masqueradeBit",
    "oomScoreAdj",
)


def kubelet_rules(cluster: Document, ignored: t.Iterable[str] = ()) -> Rules:
    """What kubeadm fills into a KubeletConfiguration of this cluster."""
    network = _networking(cluster)
    defaults = {**_KUBELET_DEFAULTS, "clusterDomain": network.get("dnsDomain") or "cluster.local"}
    services = str(network.get("serviceSubnet") or "10.96.0.0/12").partition(",")[0].strip()
    try:
        defaults["clusterDNS"] = [str(ipaddress.ip_network(services, strict=False)[10])]
    except (ValueError, IndexError):
        ignored = (*ignored, "clusterDNS")
    # A kubelet is told where its runtime is by arguments or a file of its own, see check_nodes; kubeadm always sets the
    # other one.
    elsewhere = ("containerRuntimeEndpoint", "rotateCertificates")
    return Rules(defaults, _KUBELET_OPTIONAL, (*_IGNORED, *elsewhere, *ignored))


def proxy_rules(cluster: Document) -> Rules:
    """What kubeadm fills into a KubeProxyConfiguration of this cluster."""
    pods = _networking(cluster).get("podSubnet") or ""
    return Rules({**_PROXY_DEFAULTS, "clusterCIDR": pods}, _PROXY_OPTIONAL, (*_IGNORED, "winkernel", "winkernel.*"))


def _part(document: t.Any, name: str) -> Document:
    """A part of a document; an empty one when it is none (what is wrong with it, kubeadm says)."""
    part = document.get(name) if isinstance(document, dict) else None
    return part if isinstance(part, dict) else {}


def _networking(cluster: Document) -> Document:
    return _part(cluster, "networking")


def configuration(host: Host) -> t.Mapping[str, t.Any]:
    """What the node and its cluster were configured with; empty for what is no node yet, or not one for good."""
    facts = host.facts or {}
    kubernetes = facts.get("kubernetes", {})
    is_node = kubernetes.get("joined") and not kubernetes.get("unfinished")
    return facts.get("configuration") or {} if is_node else {}


def source(hosts: Hosts) -> t.Optional[Host]:
    """The host that the cluster was asked on: the first control plane that got an answer."""
    return next((host for host in hosts if host.control_plane and configuration(host).get("config_maps")), None)


def _texts(host: Host) -> t.Dict[str, str]:
    """What the cluster keeps, by its kinds."""
    texts = configuration(host).get("config_maps") or {}
    return {kind: str(texts[name]) for kind, name in CONFIG_MAPS.items() if texts.get(name)}


def stored(host: Host) -> t.Dict[str, Document]:
    """The documents that the cluster keeps, by their kinds."""
    parsed = {kind: parse(text) for kind, text in _texts(host).items()}
    return {kind: document for kind, document in parsed.items() if document}


#: Why a text is not read.
_NOT_READ = f"cannot be read (no YAML, references in it, or more than {TEXT_MAX} characters), so"


def _check_stored(host: Host) -> t.Iterable[Problem]:
    """Documents of the cluster that are there and cannot be read."""
    for kind, text in _texts(host).items():
        if read(text) is None:
            fixed = kind == "ClusterConfiguration"
            what = "what must not change cannot be" if fixed else "it is not"
            yield Problem(
                CLUSTER,
                f"configmap {CONFIG_MAPS[kind]}",
                f"the cluster's {kind} {_NOT_READ} {what} compared with the inventory.",
                f"Write it plainly: kubectl edit --namespace kube-system configmap {CONFIG_MAPS[kind]}.",
                ERROR if fixed else WARNING,
            )


def documents(host: Host) -> t.Dict[str, Document]:
    """The documents that the role control_plane would give to kubeadm, by their kinds; none when it could not."""
    rendered = host.variables.get("__control_plane_documents")
    items = rendered if isinstance(rendered, list) else []
    return {item["kind"]: item for item in items if isinstance(item, dict) and "kind" in item}


def variable_of(host: Host, kind: str, path: str) -> str:
    """The variable that says what a field shall be."""
    override: t.Any = host.mapping(OVERRIDES[kind])
    for name in path.split("."):
        override = override.get(name) if isinstance(override, dict) else None
    if override is not None or path not in VARIABLES:
        return OVERRIDES[kind]
    return VARIABLES[path]


def _is_fixed(path: str) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in FIXED)


# What cannot be changed


def _fixed_differences(hosts: Hosts) -> t.Tuple[t.Optional[Host], t.List[Difference]]:
    """What differs for good, and the host whose variables say so."""
    asked = source(hosts)
    if asked is not None:
        wanted, present = documents(asked), stored(asked)
        kind = "ClusterConfiguration"
        if kind not in wanted or kind not in present:
            return asked, []
        found = compare(wanted[kind], present[kind], CLUSTER_RULES)
        return asked, [difference for difference in found if _is_fixed(difference.path)]
    # Control planes know more than workers.
    for host in sorted(hosts, key=lambda host: not host.control_plane):
        wanted, present = documents(host), _by_files(host)
        if present and wanted:
            found = compare(wanted["ClusterConfiguration"], present, CLUSTER_RULES)
            # A machine does not know all of it.
            return host, [item for item in found if _is_fixed(item.path) and item.present is not ABSENT]
    return None, []


def _by_files(host: Host) -> t.Dict[str, t.Any]:
    """What a node itself knows of its ClusterConfiguration, where the API server cannot be asked."""
    known = configuration(host)
    pods = known.get("static_pods") or {}
    server, manager, etcd = (pods.get(name) or {} for name in ("kube-apiserver", "kube-controller-manager", "etcd"))
    domain = parse(known.get("kubelet") or "").get("clusterDomain")
    network = {
        "podSubnet": manager.get("cluster-cidr"),
        "serviceSubnet": server.get("service-cluster-ip-range"),
        "dnsDomain": None if host.mapping(OVERRIDES["KubeletConfiguration"]).get("clusterDomain") else domain,
    }
    found: t.Dict[str, t.Any] = {"networking": {name: value for name, value in network.items() if value}}
    if manager.get("cluster-name"):
        found["clusterName"] = manager["cluster-name"]
    if etcd.get("data-dir"):
        found["etcd"] = {"local": {"dataDir": etcd["data-dir"]}}
    return found if found["networking"] or len(found) > 1 else {}


def check_fixed(hosts: Hosts) -> t.Iterable[Problem]:
    """Networks, names and places that a cluster keeps for as long as it lives."""
    asked = source(hosts)
    yield from (problem for problem in _check_stored(asked) if problem.severity == ERROR) if asked else ()
    host, differences = _fixed_differences(hosts)
    for difference in differences:
        if host is None or _is_open(difference, hosts):
            continue
        yield _fixed(variable_of(host, "ClusterConfiguration", difference.path), difference)
    network = any(difference.path == "networking.podSubnet" for difference in differences)
    yield from _check_pod_network(hosts, network)


def _is_open(difference: Difference, hosts: Hosts) -> bool:
    """A cluster whose pod network keeps its addresses elsewhere has no subnet for it; then it is just reported."""
    is_empty = difference.present in (ABSENT, None, "")
    is_needed = any(chosen(host).goes_by_slices for host in hosts)
    return difference.path == "networking.podSubnet" and is_empty and not is_needed


def _fixed(variable: str, difference: Difference, what: str = "") -> Problem:
    present, wanted = difference.words
    field = what or ("" if variable in VARIABLES.values() else f" ({difference.path})")
    return Problem(
        CLUSTER,
        variable,
        f"is {wanted} in the inventory and {present} in the cluster{field}, where it cannot be changed any more.",
        f"Set it to what the cluster has; a cluster with another one has to be built anew. See {_PAGE}.",
    )


def _check_pod_network(hosts: Hosts, network_is_reported: bool) -> t.Iterable[Problem]:
    """What a pod network keeps for as long as the cluster lives, and whose it is."""
    host = source(hosts)
    if host is None:
        return
    network = chosen(host)
    present = _part(configuration(host), "pod_networks").get(network.name)
    if network.chart is None or not present:
        return
    if present.get("release") != network.chart.release:
        yield Problem(
            CLUSTER,
            "cluster_cni",
            f"is {network.name}, but the {network.title} in the cluster was not installed by the chart that would be"
            " installed, and its objects stand in the way of those of the chart.",
            "Set cluster_cni: none, which leaves it to you as it is. See docs/take-over.md.",
        )
    for setting in network.lasting(host):
        is_said = setting.variable != VARIABLES["networking.podSubnet"] or not network_is_reported
        if is_said and present.get(setting.key) and not same(setting.wanted, present[setting.key]):
            difference = Difference(setting.key, present[setting.key], setting.wanted)
            yield _fixed(setting.variable, difference, f" ({setting.what})")


def check_metrics(hosts: Hosts) -> t.Iterable[Problem]:
    """A metrics-server that verifies kubelets, and kubelets whose certificates nobody can verify."""
    host = next((host for host in hosts if host.control_plane), None)
    if host is None or not host.flag("metrics_server_enabled") or host.flag("metrics_server_kubelet_insecure_tls"):
        return
    values = host.mapping("metrics_server_values")
    if any("--kubelet-insecure-tls" in str(values.get(key) or "") for key in ("args", "defaultArgs")):
        return
    kind = "KubeletConfiguration"
    kubelets = {host.name: parse(str(configuration(host).get("kubelet") or "")) for host in hosts}
    known = {name: document for name, document in kubelets.items() if document}
    if not known and kind in documents(host):
        known = {CLUSTER: documents(host)[kind]}
    told = {other.name: configuration(other).get("kubelet_arguments") or {} for other in hosts}
    names = [name for name, kubelet in known.items() if signs_itself(kubelet, told.get(name, {}))]
    # One whose kubelet can be verified is enough for it to be ready.
    if known and len(names) == len(known):
        whose = "" if names == [CLUSTER] else f" of {', '.join(names)}"
        yield Problem(
            CLUSTER,
            "metrics_server_enabled",
            f"is true, but the kubelets{whose} make their serving certificates themselves (serverTLSBootstrap is not"
            " set), which metrics-server does not take: it would never be ready.",
            "Set metrics_server_kubelet_insecure_tls: true, which does not verify them, or metrics_server_enabled:"
            " false; or let kubelets ask the cluster for certificates, see docs/take-over.md.",
        )


# What is only looked at when a cluster is built


def check_reported(hosts: Hosts) -> t.Iterable[Problem]:
    """Fields of the cluster's configuration that differ and that no playbook applies to a built cluster."""
    host = source(hosts)
    if host is None:
        yield from _check_unread(hosts)
        return
    yield from (problem for problem in _check_stored(host) if problem.severity == WARNING)
    wanted, present = documents(host), stored(host)
    cluster = present.get("ClusterConfiguration", {})
    rules = {
        "ClusterConfiguration": CLUSTER_RULES,
        "KubeletConfiguration": kubelet_rules(cluster),
        "KubeProxyConfiguration": proxy_rules(cluster),
    }
    for kind in OVERRIDES:
        if kind not in wanted or kind not in present:
            continue  # a cluster without kube-proxy has no configuration of it
        for difference in compare(wanted[kind], present[kind], rules[kind]):
            if kind != "ClusterConfiguration" or not _is_fixed(difference.path) or _is_open(difference, hosts):
                yield _reported(host, CLUSTER, kind, difference, "in the cluster")


def _check_unread(hosts: Hosts) -> t.Iterable[Problem]:
    for host in hosts:
        problem = configuration(host).get("problem")
        if problem and host.control_plane:
            yield host.problem(
                "configuration",
                f"the cluster's could not be read, so it was not compared with the inventory: {printable(problem)}.",
                "Look at the API server of this host, and at /etc/kubernetes/admin.conf.",
                WARNING,
            )
            return


def _reported(host: Host, place: str, kind: str, difference: Difference, where: str) -> Problem:
    present, wanted = difference.words
    return Problem(
        place,
        f"{kind}.{difference.path}",
        f"is {present} {where} and {wanted} in the inventory ({variable_of(host, kind, difference.path)});"
        " site.yml does not change it on a built cluster.",
        f"Apply it as {_PAGE} says, or say in the inventory what is there.",
        WARNING,
    )


def check_kubelets(hosts: Hosts) -> t.Iterable[Problem]:
    """Kubelets whose own file says something else than the inventory and the cluster."""
    kind = "KubeletConfiguration"
    asked = source(hosts) or next((host for host in hosts if configuration(host) and documents(host)), None)
    if asked is None:
        return
    wanted, maps = documents(asked).get(kind), stored(asked)
    if wanted is None:
        return
    cluster = maps.get("ClusterConfiguration") or _by_files(asked)
    rules = kubelet_rules(cluster, ("clusterDNS", "clusterDomain") if not maps else ())
    known = compare(wanted, maps[kind], rules) if kind in maps else []
    # Most nodes have the same text.
    seen: t.Dict[str, t.List[Difference]] = {}
    for host in hosts:
        text = configuration(host).get("kubelet")
        if not text or _is_patched(host):
            continue
        document = read(text)
        if document is None:
            yield host.problem(
                "/var/lib/kubelet/config.yaml",
                f"{_NOT_READ} it is not compared with the inventory.",
                "kubeadm upgrade node phase kubelet-config writes it anew.",
                WARNING,
            )
            continue
        if text not in seen:
            seen[text] = compare(wanted, document, rules)
        for difference in seen[text]:
            if difference not in known:
                yield _reported(host, host.name, kind, difference, "in /var/lib/kubelet/config.yaml")


def _is_patched(host: Host) -> bool:
    """Whether kubeadm changes the kubelet's configuration of this machine by patches that only it can read."""
    named = (host.mapping(name) for name in ("node_join_configuration", "control_plane_init_configuration"))
    return any(document.get("patches") for document in named)


# What a node was made with


def registrations(host: Host) -> t.List[Document]:
    """How the host would be registered by an init and by a join; a control plane may have been made by either."""
    settings: t.Dict[str, t.Any] = {
        "name": host.name,
        "cri_socket": host.text("cluster_cri_socket"),
        "node_ip": host.text("cluster_node_ip") or (host.facts or {}).get("default_address"),
        "endpoint": "",
        "ca_cert_hashes": [],
        "control_plane": host.control_plane,
    }
    joined = _kubeadm_config.kubeadm_join_config(settings, host.mapping("node_join_configuration"))
    found: t.List[Document] = [{**joined, **_part(joined, "controlPlane")}]
    if host.control_plane:
        base = {
            "nodeRegistration": _kubeadm_config.node_registration(settings),
            "localAPIEndpoint": {"advertiseAddress": settings["node_ip"]} if settings["node_ip"] else {},
        }
        own = host.mapping("control_plane_init_configuration")
        found.append(_kubeadm_config.merge_documents(base, own))
    return found


def _arguments(document: Document) -> t.Dict[str, str]:
    items = _part(document, "nodeRegistration").get("kubeletExtraArgs")
    named = [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
    return {str(item.get("name")): str(item.get("value", "")) for item in named}


def check_nodes(hosts: Hosts) -> t.Iterable[Problem]:
    """Names, addresses and sockets that nodes were made with."""
    names = {host.name for host in hosts}
    for host in hosts:
        known = configuration(host)
        if (host.facts or {}).get("kubernetes", {}).get("unfinished") or not host.joined:
            continue
        yield from _check_name(host, names)
        if known:
            made = registrations(host)
            yield from _check_address(host, known, made)
            yield from _check_port(host, known, made)
            yield from _check_socket(host, known, made)


def _check_name(host: Host, names: t.Collection[str]) -> t.Iterable[Problem]:
    facts = host.facts or {}
    node = printable(str(facts.get("kubernetes", {}).get("node_name") or ""))
    if node and node != host.name:
        elsewhere = node in names
        yield host.problem(
            "inventory_hostname",
            f"is {host.name}, but the machine is the node {node} of its cluster, and a node cannot be renamed.",
            "That is another host of the inventory: check the ansible_host of both."
            if elsewhere
            else f"Call it {node} in the inventory (ansible_host says where it is); for another name remove the node"
            f" (remove_node.yml) and add it again. See {_PAGE}.",
        )
        return
    hostname, wanted = printable(str(facts.get("hostname") or "")), host.text("node_prep_hostname")
    # The role sets one that went back, by which the kubelet would go when it starts.
    goes_back = wanted == node and not facts.get("kubernetes", {}).get("told_name")
    if node and wanted and hostname and wanted != hostname and not goes_back:
        yield host.problem(
            "node_prep_hostname",
            f"is {wanted}, and the machine is called {hostname}; the hostname of a node is not changed, since its"
            " kubelet may go by it.",
            f"Set it to {hostname}, or call the machine {wanted} by hand and restart its kubelet.",
            WARNING,
        )


def _check_address(host: Host, known: t.Mapping[str, t.Any], made: t.Sequence[Document]) -> t.Iterable[Problem]:
    """The kubelet and the API server announce an address that was fixed when the node was made."""
    server = _part(_part(known, "static_pods"), "kube-apiserver")
    places = {
        "the kubelet's --node-ip": (
            _part(known, "kubelet_arguments").get("node-ip"),
            [_arguments(document).get("node-ip") for document in made],
        ),
        "the API server's --advertise-address": (
            server.get("advertise-address"),
            [_part(document, "localAPIEndpoint").get("advertiseAddress") for document in made],
        ),
    }
    stale: t.Dict[t.Tuple[str, str], t.List[str]] = {}
    for place, (present, possible) in places.items():
        wanted = [_addresses(address) for address in possible if address]
        if present and wanted and _addresses(present) not in wanted and host.text("api_endpoint_vip") not in possible:
            stale.setdefault((printable(present), ",".join(wanted[0])), []).append(place)
    own = [
        entry["address"] for interface in (host.facts or {}).get("interfaces", []) for entry in interface["addresses"]
    ]
    for (present, expected), where in stale.items():
        is_there = set(_addresses(present)) <= {part for address in own for part in _addresses(address)}
        role = "docs/replace-a-control-plane.md" if host.control_plane else "remove_node.yml, then add_nodes.yml"
        yield host.problem(
            "cluster_node_ip",
            f"the host's address is {expected}, but it was made a node with {present} ({' and '.join(where)}).",
            f"Set cluster_node_ip to {present} for this host, which it still has."
            if is_there
            else f"Give the machine {present} again (a reservation in DHCP); a node with another address is made anew:"
            f" {role}. See {_PAGE}.",
        )


def _addresses(text: str) -> t.Tuple[str, ...]:
    """The addresses of a list with commas, each in its canonical form."""
    found = []
    for part in str(text).split(","):
        try:
            found.append(str(ipaddress.ip_address(part.strip())))
        except ValueError:
            found.append(part.strip())
    return tuple(found)


def _check_port(host: Host, known: t.Mapping[str, t.Any], made: t.Sequence[Document]) -> t.Iterable[Problem]:
    present = printable(str(_part(_part(known, "static_pods"), "kube-apiserver").get("secure-port") or ""))
    wanted = [str(_part(document, "localAPIEndpoint").get("bindPort") or "6443") for document in made]
    if host.control_plane and present and present not in wanted:
        yield host.problem(
            "control_plane_init_configuration",
            f"localAPIEndpoint.bindPort is {wanted[-1]} in the inventory, and the API server of the host listens on"
            f" {present}, which cannot be changed any more.",
            f"Set it to {present}. See {_PAGE}.",
        )


def _check_socket(host: Host, known: t.Mapping[str, t.Any], made: t.Sequence[Document]) -> t.Iterable[Problem]:
    present = printable(str(known.get("cri_socket") or ""))
    wanted = [str(_part(document, "nodeRegistration").get("criSocket") or "") for document in made]
    if present and all(_path(socket) != _path(present) for socket in wanted):
        yield host.problem(
            "cluster_cri_socket",
            f"is {wanted[0]} in the inventory, and the kubelet of the host uses {present}; a node keeps its runtime.",
            f"Set it to {present}; a node with another runtime is removed and added again. See {_PAGE}.",
        )


def _path(socket: str) -> str:
    path = socket[len("unix://") :] if socket.startswith("unix://") else socket
    return path[len("/var") :] if path.startswith("/var/run/") else path


#: Arguments of kubelets that kubeadm sets by itself, in the versions since 1.24 or those before; node-ip is ours.
KUBEADMS_ARGUMENTS = {
    "cgroup-driver",
    "container-runtime",
    "container-runtime-endpoint",
    "hostname-override",
    "network-plugin",
    "node-ip",
    "pod-infra-container-image",
    "register-with-taints",
    "resolv-conf",
}


def check_arguments(hosts: Hosts) -> t.Iterable[Problem]:
    """Arguments of kubelets that the inventory has and the nodes were not made with, or the other way round."""
    for host in hosts:
        known = configuration(host)
        present = known.get("kubelet_arguments") or {}
        possible = [_arguments(document) for document in registrations(host)] if known else []
        named = {name for arguments in possible for name in arguments}
        for name in sorted((named | present.keys() - KUBEADMS_ARGUMENTS) - {"node-ip"}):
            wanted = [arguments.get(name, ABSENT) for arguments in possible]
            if any(same(value, present.get(name, ABSENT)) for value in wanted):
                continue
            value = next((item for item in wanted if item is not ABSENT), ABSENT)
            words = Difference(f"kubeletExtraArgs.{name}", present.get(name, ABSENT), value).words
            yield host.problem(
                f"nodeRegistration.kubeletExtraArgs.{name}",
                f"is {words[0]} in /var/lib/kubelet/kubeadm-flags.env and {words[1]} in the inventory; site.yml does"
                " not change it on a node.",
                f"Apply it as {_PAGE} says, or say in the inventory what is there.",
                WARNING,
            )


#: kubeadm's taint of control planes.
TAINT = f"{CONTROL_PLANE}:NoSchedule"


def check_taints(hosts: Hosts) -> t.Iterable[Problem]:
    """Control planes that shall carry ordinary pods, or shall not: kubeadm has looked at it when they were made."""
    for host in hosts:
        present = configuration(host).get("taints")
        if present is None or not host.control_plane or _has_own_taints(host):
            continue
        if host.worker and TAINT in present:
            yield host.problem(
                "kube_node",
                f"the control plane is in this group, but has the taint {TAINT} and so carries no ordinary pods;"
                " site.yml does not change it on a node.",
                f"kubectl taint node {host.name} {TAINT}-",
                WARNING,
            )
        elif not host.worker and TAINT not in present:
            yield host.problem(
                "kube_node",
                f"the control plane is not in this group, but lacks the taint {TAINT} and so carries ordinary pods;"
                " site.yml does not change it on a node.",
                f"kubectl taint node {host.name} {TAINT.replace(':', '=:')}, or put it into the group.",
                WARNING,
            )


def _has_own_taints(host: Host) -> bool:
    """Whether the inventory says itself which taints the node is registered with, or has this one among its own."""
    named = (host.mapping(name) for name in ("node_join_configuration", "control_plane_init_configuration"))
    keys = {str(taint.get("key")) for taint in host.sequence("cluster_node_taints") if isinstance(taint, dict)}
    return CONTROL_PLANE in keys or any("taints" in _part(item, "nodeRegistration") for item in named)


def check_addons(hosts: Hosts) -> t.Iterable[Problem]:
    """kube-proxy that is there and shall not be, or the other way round; and a pod network that shall not be."""
    host = source(hosts)
    if host is None:
        return
    skipped = {str(phase) for phase in host.sequence("control_plane_skip_phases")}
    wanted = documents(host).get("ClusterConfiguration")
    has_proxy = "KubeProxyConfiguration" in _texts(host)
    if wanted is not None:
        wants_proxy = not skipped & {"addon", "addon/all", "addon/kube-proxy"}
        wants_proxy = wants_proxy and not _part(wanted, "proxy").get("disabled")
        if wants_proxy != has_proxy:
            there = (
                ("is in the cluster", "not in the inventory")
                if has_proxy
                else ("is not in the cluster", "is in the inventory")
            )
            yield Problem(
                CLUSTER,
                "kube-proxy",
                f"{there[0]} and {there[1]} (control_plane_skip_phases); site.yml does not change it on a built"
                " cluster.",
                f"Say in the inventory what is there, or change it by kubeadm init phase addon. See {_PAGE}.",
                WARNING,
            )
    for name, present in _part(configuration(host), "pod_networks").items():
        network = named(name)
        if chosen(host).name != name and network.chart and present.get("release") == network.chart.release:
            yield Problem(
                CLUSTER,
                "cluster_cni",
                f"is {chosen(host).name or 'none'} in the inventory, and the {network.title} that this collection has"
                " installed is in the cluster; site.yml does not remove it.",
                f"Set it to {name} as long as that is the pod network.",
                WARNING,
            )


def _runtimes(hosts: Hosts) -> t.Iterable[t.Tuple[Host, str, t.Mapping[str, str]]]:
    """Nodes with the package of the container runtime that they shall have, and those that they have."""
    if any(host.flag("preflight_moves_endpoint") for host in hosts):
        return  # it leaves the runtime alone
    for host in hosts:
        installed = [entry.get("packages") or {} for entry in ((host.facts or {}).get("runtime") or {}).values()]
        packages = {name: printable(str(version)) for entry in installed for name, version in entry.items()}
        package = str(host.variables.get("__container_runtime_package") or "")
        if configuration(host) and packages and package:
            yield host, package, packages


def other_runtimes(hosts: Hosts) -> t.Iterable[t.Tuple[Host, str]]:
    """Nodes that shall have another version of the container runtime that they have, and the one that they have."""
    for host, package, packages in _runtimes(hosts):
        manager = package_manager_named(str((host.facts or {}).get("package_manager")))
        wanted = host.text("container_runtime_version")
        if package in packages and not manager.version_matches(wanted, packages[package]):
            yield host, f"{package} {packages[package]}"


def check_runtime_version(hosts: Hosts) -> t.Iterable[Problem]:
    """Another container runtime on nodes: site.yml would install and restart it on all of them at once."""
    for host, present in other_runtimes(hosts):
        if not host.flag("container_runtime_keep"):
            wanted = host.text("container_runtime_version")
            yield host.problem(
                "container_runtime_version",
                f"{wanted} is asked for, but the node runs {present}; site.yml would install"
                " another one on all nodes at once, under running pods.",
                "Let upgrade.yml do it, one node after the other, each drained: -e upgrade_container_runtime=true. Or"
                f" set it to what the nodes have. See {_PAGE}.",
            )


CHECKS: t.Tuple[Check, ...] = (check_fixed, check_metrics, check_nodes, check_runtime_version)


#: What differs and stops nothing.
def check_other_nodes(hosts: Hosts) -> t.Iterable[Problem]:
    """Nodes of the cluster that the inventory does not have: nothing is done for them, and addons do not count them."""
    host = source(hosts)
    ours = {one.name.lower() for one in hosts}
    ours |= {str(((one.facts or {}).get("kubernetes") or {}).get("node_name")) for one in hosts}
    others = [name for name in (configuration(host).get("nodes") or [] if host else []) if name not in ours]
    if others:
        yield Problem(
            CLUSTER,
            "inventory",
            f"{first_of(others)} {'is a node' if len(others) == 1 else 'are nodes'} of the cluster, and not among the"
            " hosts that this run is about: nothing is done there, and addons are set up as if there were no such"
            " machine.",
            "Put it into kube_node, or into kube_control_plane when it is one; or take it out of the cluster by"
            " playbooks/remove_node.yml.",
            WARNING,
        )


REPORTS: t.Tuple[Check, ...] = (
    check_reported,
    check_kubelets,
    check_arguments,
    check_taints,
    check_addons,
    check_other_nodes,
)
