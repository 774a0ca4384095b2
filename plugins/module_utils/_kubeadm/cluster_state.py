# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node and its cluster were configured with, for the controller to compare with the inventory.

Files of this machine and, where an API server of the cluster is ready here, ConfigMaps by one connection to it. Texts
go to the controller as they are, since nodes have no PyYAML; what may be secret is left out here.

Private to this collection.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import shlex
import ssl
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _tls
from ansible_collections.slipway.kubernetes.plugins.module_utils._api_endpoints import CONTROL_PLANE
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server, cluster_memory
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.cluster_memory import POD_NETWORK_CHANGE
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import POD_NETWORKS, PodNetwork

KUBELET_FOLDER = KUBEADM.kubelet_folder
MANIFESTS = KUBEADM.manifests
#: The administrator, who may read what kubeadm keeps; other certificates here may not.
ADMIN = KUBEADM.admin
#: Arguments of static pods that say where a control plane is and what it was built for.
ARGUMENTS = {
    "kube-apiserver": ("advertise-address", "secure-port", "service-cluster-ip-range"),
    "kube-controller-manager": ("cluster-cidr", "cluster-name", "service-cluster-ip-range"),
    "etcd": ("data-dir",),
}
#: What kubeadm keeps in the cluster, by kinds: the name of its ConfigMap, and the key in that.
NAMESPACE = "kube-system"
CONFIG_MAPS = {
    "ClusterConfiguration": ("kubeadm-config", "ClusterConfiguration"),
    "KubeletConfiguration": ("kubelet-config", "kubelet"),
    "KubeProxyConfiguration": ("kube-proxy", "config.conf"),
}
#: The names of all nodes, without all that Node objects say. Source: receiving resources as Tables, in Kubernetes' API
#: concepts.
NODES, AS_TABLE = "/api/v1/nodes?includeObject=None", "application/json;as=Table;v=v1;g=meta.k8s.io"
#: What of the addons' list was made.
ADDONS = ("kube-system", "slipway-addons", "entries")
#: What we have given to CoreDNS; there as long as it has something of ours.
DNS = ("kube-system", cluster_memory.DNS.name)

_ARGUMENT = re.compile(r"^\s*- [\"']?--([a-z0-9-]+)=(.*?)[\"']?\s*$", re.MULTILINE)
_CLIENT = re.compile(r"^\s*client-(certificate|key)-data: *[\"']?([A-Za-z0-9+/=]+)", re.MULTILINE)
#: A kubelet that fetches static pods may send credentials in these headers.
_HEADERS = re.compile(r"^staticPodURLHeader:.*\n(?:[ \t-].*\n?)*", re.MULTILINE)


def static_pod_arguments(manifest: str, names: t.Collection[str]) -> t.Dict[str, str]:
    """The named arguments of a static pod."""
    return {name: value for name, value in _ARGUMENT.findall(manifest) if name in names}


def kubelet_arguments(environment: str) -> t.Dict[str, str]:
    """What kubeadm-flags.env gives to the kubelet, by the names of its arguments; ``true`` for one without a value."""
    match = re.search(r"^KUBELET_KUBEADM_ARGS=(.*)$", environment, re.MULTILINE)
    try:
        words = shlex.split(" ".join(shlex.split(match.group(1)))) if match else []
    except ValueError:
        return {}
    pairs = (word[2:].partition("=") for word in words if word.startswith("--"))
    return {name: value if equals else "true" for name, equals, value in pairs}


def without_headers(kubelet: str) -> str:
    """A KubeletConfiguration without what may be secret."""
    return _HEADERS.sub("", kubelet)


def look(joined: bool, api_ready: bool, node: str = "") -> t.Dict[str, t.Any]:
    """What this node and its cluster were configured with; empty on a machine that is no node.

    :param node: the name of the node.
    """
    if not joined:
        return {}
    kubelet = read_text(f"{KUBELET_FOLDER}/config.yaml")
    arguments = kubelet_arguments(read_text(f"{KUBELET_FOLDER}/kubeadm-flags.env"))
    manifests = {name: read_text(f"{MANIFESTS}/{name}.yaml") for name in ARGUMENTS}
    return {
        "kubelet": without_headers(kubelet),
        "kubelet_arguments": arguments,
        "cri_socket": cri_socket(read_text(f"{KUBELET_FOLDER}/instance-config.yaml"), arguments, kubelet),
        "static_pods": {name: static_pod_arguments(text, ARGUMENTS[name]) for name, text in manifests.items() if text},
        **(cluster(node) if api_ready else {}),
    }


def cri_socket(instance: str, arguments: t.Mapping[str, str], kubelet: str) -> str:
    """The socket that the kubelet uses: of its own file since Kubernetes 1.35, of its arguments before."""
    for text in (instance, kubelet):
        match = re.search(r"^containerRuntimeEndpoint: *[\"']?([^\s\"']+)", text, re.MULTILINE)
        if match:
            return match.group(1)
    return arguments.get("container-runtime-endpoint", "")


def cluster(node: str = "", timeout: float = 2) -> t.Dict[str, t.Any]:
    """The cluster's ConfigMaps by their names, those that it has, and this node's taints; or why they were not read.

    :param node: the name of the node; its taints are left out when it is not known.
    :param timeout: seconds for the connection, and for each answer.
    """
    place = api_server.advertised(read_text(api_server.MANIFEST))
    if place is None:
        return {"problem": f"{api_server.MANIFEST} does not say where the API server is"}
    try:
        context = _tls.verified_by(api_server.AUTHORITY)
        load_client(context, read_text(ADMIN))
        connection = http.client.HTTPSConnection(*place, timeout=timeout, context=context)
        with contextlib.closing(connection):
            texts = {
                name: _text(_object(connection, _config_map(NAMESPACE, name)), key)
                for name, key in CONFIG_MAPS.values()
            }
            networks = {name: pod_network(connection, network) for name, network in POD_NETWORKS.items()}
            change = _object(connection, _config_map("kube-system", POD_NETWORK_CHANGE.name))
            addons = _text(_object(connection, _config_map(*ADDONS[:2])), ADDONS[2])
            dns = _object(connection, _config_map(*DNS))
            found = _object(connection, f"/api/v1/nodes/{node}") if node else {}
            nodes = _object(connection, NODES, {"Accept": AS_TABLE})
    except (OSError, http.client.HTTPException, ValueError, KeyError, IndexError) as error:
        return {"problem": f"{type(error).__name__}: {error}"}
    texts["kubelet-config"] = without_headers(texts["kubelet-config"])
    return {
        "config_maps": {name: text for name, text in texts.items() if text},
        "pod_networks": {name: state for name, state in networks.items() if state},
        **({"pod_network_change": dict(change.get("data") or {})} if change else {}),
        "addons": bool(addons.strip()),
        "coredns": bool(dns),
        "nodes": [str(row["cells"][0]) for row in nodes.get("rows") or []],
        **({"taints": taints(found)} if found and is_marked(found) else {}),
    }


def load_client(context: ssl.SSLContext, kubeconfig: str) -> None:
    """Present the certificate of a kubeconfig. Its key is in no file: Python reads it from memory by a path.

    :raises ValueError: when it has none.
    """
    found = dict(_CLIENT.findall(kubeconfig))
    if len(found) < len(("certificate", "key")):
        raise ValueError(f"there is no client certificate in {ADMIN}")
    handle = os.memfd_create("client")
    try:
        with open(handle, "wb", closefd=False) as stream:
            stream.write(b"\n".join(base64.b64decode(found[name]) for name in ("certificate", "key")))
        context.load_cert_chain(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


def is_marked(node: t.Mapping[str, t.Any]) -> bool:
    """Whether a control plane has the label that kubeadm gives it together with its taints.

    A Node that was deleted and made again by its kubelet has neither, until the run gives it both.
    """
    return CONTROL_PLANE in ((node.get("metadata") or {}).get("labels") or {})


def taints(node: t.Mapping[str, t.Any]) -> t.List[str]:
    """The taints of a Node, each as ``key:effect``."""
    return [f"{taint['key']}:{taint['effect']}" for taint in (node.get("spec") or {}).get("taints") or []]


def pod_network(connection: http.client.HTTPSConnection, network: PodNetwork) -> t.Dict[str, t.Any]:
    """What a pod network keeps in the cluster; empty when it is not there.

    :raises OSError: when the API server does not give it.
    """
    paths = filter(None, (network.path, network.path6))
    found = next(filter(None, (_object(connection, path) for path in paths)), {})
    return network.state(found) if found else {}


def _config_map(namespace: str, name: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps/{name}"


def _text(config_map: t.Mapping[str, t.Any], key: str) -> str:
    return str((config_map.get("data") or {}).get(key) or "")


def _object(
    connection: http.client.HTTPSConnection, path: str, headers: t.Optional[t.Dict[str, str]] = None
) -> t.Dict[str, t.Any]:
    """An object of the cluster; empty when there is none.

    :raises OSError: when the API server does not give it.
    """
    connection.request("GET", path, headers=headers or {})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status == http.client.NOT_FOUND:
        return {}
    if answer.status != http.client.OK:
        raise OSError(f"the API server answers {answer.status} when it is asked for {path}")
    found = json.loads(body)
    return found if isinstance(found, dict) else {}
