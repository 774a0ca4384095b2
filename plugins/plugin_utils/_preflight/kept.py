# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a built cluster keeps of its configuration, what the inventory says of it, and how the one becomes the other.

The documents of the inventory are those that the role control_plane renders. Private to this collection; runs on the
controller.
"""

from __future__ import annotations

import fnmatch
import json
import typing as t

import yaml
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import digest
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import cluster_state
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import chosen
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._configuration_differences import (
    ABSENT,
    Difference,
    Document,
    Rules,
    compare,
    settled,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._kubelet_configuration import parse, read
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.documents import (
    CLUSTER_RULES,
    kubelet_rules,
    proxy_rules,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.facts import configuration
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host, Hosts

#: Fields of a ClusterConfiguration that cannot be changed on a running cluster.
FIXED = ("networking.*", "clusterName", "certificatesDir", "etcd.local.dataDir", "etcd.external.*")
#: Fields of a KubeletConfiguration that a kubelet with pods cannot take over, since a file keeps what it has given to
#: them; and those that are so as well while one of its policies is static. Source: pkg/kubelet/cm of Kubernetes.
NEEDS_DRAIN = ("cpuManagerPolicy*", "memoryManagerPolicy*", "topologyManager*", "reservedSystemCPUs", "reservedMemory*")
NEEDS_DRAIN_WHILE_STATIC = ("kubeReserved*", "systemReserved*", "evictionHard.memory.available")
#: What is compared, and never written: control planes would be gone, or their processes run as another user.
REFUSED = {
    "KubeletConfiguration": ("staticPodPath",),
    "ClusterConfiguration": ("featureGates.RootlessControlPlane",),
}
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
CONFIG_MAPS = {kind: name for kind, (name, _key) in cluster_state.CONFIG_MAPS.items()}


def source(hosts: Hosts) -> t.Optional[Host]:
    """The host that the cluster was asked on: the first control plane that got an answer."""
    return next((host for host in hosts if host.control_plane and configuration(host).get("config_maps")), None)


def texts(host: Host) -> t.Dict[str, str]:
    """What the cluster keeps, by its kinds."""
    texts = configuration(host).get("config_maps") or {}
    return {kind: str(texts[name]) for kind, name in CONFIG_MAPS.items() if texts.get(name)}


def stored(host: Host) -> t.Dict[str, Document]:
    """The documents that the cluster keeps, by their kinds."""
    parsed = {kind: parse(text) for kind, text in texts(host).items()}
    return {kind: document for kind, document in parsed.items() if document}


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


def is_fixed(path: str) -> bool:
    """Whether a field of a ClusterConfiguration cannot be changed on a running cluster."""
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in FIXED)


def by_files(host: Host) -> t.Dict[str, t.Any]:
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


def is_open(difference: Difference, hosts: Hosts) -> bool:
    """A cluster whose pod network keeps its addresses elsewhere has no subnet for it; then it is just reported."""
    is_empty = difference.present in (ABSENT, None, "")
    is_needed = any(chosen(host).goes_by_slices for host in hosts)
    return difference.path == "networking.podSubnet" and is_empty and not is_needed


def is_patched(host: Host) -> bool:
    """Whether kubeadm changes the kubelet's configuration of this machine by patches that only it can read."""
    named = (host.mapping(name) for name in ("node_join_configuration", "control_plane_init_configuration"))
    return bool(host.text("cluster_patches")) or any(document.get("patches") for document in named)


def rules(cluster: Document) -> t.Dict[str, Rules]:
    """What is no difference, by the kinds of documents.

    :param cluster: the ClusterConfiguration that the cluster has.
    """
    return {
        "ClusterConfiguration": CLUSTER_RULES,
        "KubeletConfiguration": kubelet_rules(cluster),
        "KubeProxyConfiguration": proxy_rules(cluster),
    }


def differences(hosts: Hosts) -> t.Dict[str, t.List[Difference]]:
    """The fields of what the cluster keeps that could be changed and are not as the inventory says, by kinds.

    A cluster without kube-proxy has no configuration of it.
    """
    host = source(hosts)
    if host is None:
        return {}
    wanted, present = documents(host), stored(host)
    known = rules(present.get("ClusterConfiguration", {}))
    found = {
        kind: compare(wanted[kind], present[kind], known[kind])
        for kind in OVERRIDES
        if kind in wanted and kind in present
    }
    return {
        kind: [
            item for item in items if kind != "ClusterConfiguration" or not is_fixed(item.path) or is_open(item, hosts)
        ]
        for kind, items in found.items()
    }


def kubelet_differences(hosts: Hosts) -> t.Dict[str, t.Optional[t.List[Difference]]]:
    """The fields of each kubelet's own file that are not as the inventory says, by hosts.

    It is ``None`` where the file cannot be read. Hosts without a file, and with one that kubeadm has patched, are left
    out.
    """
    kind = "KubeletConfiguration"
    asked = source(hosts) or next((host for host in hosts if configuration(host) and documents(host)), None)
    wanted = documents(asked).get(kind) if asked is not None else None
    if asked is None or wanted is None:
        return {}
    maps = stored(asked)
    cluster = maps.get("ClusterConfiguration") or by_files(asked)
    known = kubelet_rules(cluster, ("clusterDNS", "clusterDomain") if not maps else ())
    # Most nodes have the same text.
    seen: t.Dict[str, t.Optional[t.List[Difference]]] = {}
    found: t.Dict[str, t.Optional[t.List[Difference]]] = {}
    for host in hosts:
        text = configuration(host).get("kubelet")
        if not text or is_patched(host):
            continue
        if text not in seen:
            document = read(text)
            seen[text] = None if document is None else compare(wanted, document, known)
        found[host.name] = seen[text]
    return found


# How the cluster gets there


def reconfiguration(hosts: Hosts) -> t.Dict[str, t.Any]:
    """What has to be done so that cluster and nodes are as the inventory says.

    :returns: ``documents``, those of the module kubeadm_upload_config; ``cluster``, the text of the
        ClusterConfiguration that the cluster has after that; ``kubelets``, what has to be done to each of them, by
        hosts; and ``proxy_mode``, the mode of kube-proxy, empty where there is none.
    """
    host = source(hosts)
    if host is None:
        return {}
    found, wanted, present = texts(host), documents(host), stored(host)
    kube_proxy = "KubeProxyConfiguration" in present
    # An open one would give the nodes slices of a network that their pods do not go by.
    changes = {kind: [item for item in items if not is_fixed(item.path)] for kind, items in differences(hosts).items()}
    changes = {kind: items for kind, items in changes.items() if items}
    kept = {kind: settled(wanted[kind], present[kind], changes[kind]) for kind in changes}
    return {
        "documents": [
            {
                "kind": kind,
                "text": _yaml(kept[kind]),
                "seen": digest(found[kind]),
                "fields": _fields(items),
            }
            for kind, items in changes.items()
        ],
        "cluster": _yaml(kept.get("ClusterConfiguration", present.get("ClusterConfiguration", {}))),
        "kubelets": kubelets(hosts),
        "proxy_mode": str(wanted.get("KubeProxyConfiguration", {}).get("mode") or "") if kube_proxy else "",
    }


def kubelets(hosts: Hosts) -> t.Dict[str, t.Dict[str, t.Any]]:
    """What has to be done to each kubelet: ``how`` (kubeadm_reconfigure takes it), for which ``fields``, and ``drain``.

    Where kubeadm patches the file of a kubelet, only kubeadm knows whether it would be another one. One that cannot be
    read is written.
    """
    own, shared = kubelet_differences(hosts), differences(hosts).get("KubeletConfiguration", [])
    asked = source(hosts)
    wanted = documents(asked).get("KubeletConfiguration", {}) if asked is not None else {}
    found = {}
    for host in hosts:
        if not configuration(host).get("kubelet"):
            continue
        patched = is_patched(host)
        items = shared if patched else own.get(host.name, [])
        how = "write" if items or items is None else "compare" if patched else "leave"
        is_asked = host.flag("reconfigure_drain") and how != "leave"
        found[host.name] = {
            "how": how,
            "fields": _fields(items or []),
            "drain": is_asked or needs_drain(items or [], wanted),
        }
    return found


def needs_drain(items: t.Iterable[Difference], wanted: Document) -> bool:
    """Whether a kubelet cannot take these fields over while it has pods."""
    is_static = any(str(wanted.get(name)).lower() == "static" for name in ("cpuManagerPolicy", "memoryManagerPolicy"))
    patterns = (*NEEDS_DRAIN, *(NEEDS_DRAIN_WHILE_STATIC if is_static else ()))
    return any(fnmatch.fnmatchcase(item.path, pattern) for item in items for pattern in patterns)


def refused(hosts: Hosts) -> t.List[t.Tuple[str, Difference]]:
    """Fields that differ and that reconfigure.yml does not write, with the kind of their document."""
    return [
        (kind, item)
        for kind, items in differences(hosts).items()
        for item in items
        if item.path in REFUSED.get(kind, ())
    ]


def _fields(items: t.Iterable[Difference]) -> t.List[t.Dict[str, str]]:
    """Fields that differ, in words. Environment may have anything in it."""
    found = []
    for item in items:
        words = ("(not shown)", "(not shown)") if ".extraEnvs" in item.path else item.words
        found.append(dict(zip(("path", "before", "after"), (item.path, *words))))
    return found


def _yaml(document: Document) -> str:
    # By way of JSON: of values that Ansible has marked YAML would not know the types.
    return str(yaml.safe_dump(json.loads(json.dumps(document)), default_flow_style=False, sort_keys=True))
