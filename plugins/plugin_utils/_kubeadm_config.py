# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubeadm's configuration documents (v1beta4) from what an inventory says.

Source: https://kubernetes.io/docs/reference/config-api/kubeadm-config.v1beta4/. Private to this collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _api_endpoints
from ansible_collections.slipway.kubernetes.plugins.module_utils._documents import merged
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm.control_plane_files import DIRECTORY
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes import chosen
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _families

API_VERSION = "kubeadm.k8s.io/v1beta4"

#: kubeadm's own are one and two minutes for each step that asks the API server and etcd, also right after these have
#: started. A slow machine passes that ("could not bootstrap the admin user", "error creating local etcd static pod
#: manifest file"), and then all of init or join has to be begun again.
TIMEOUTS = {"kubernetesAPICall": "3m0s", "etcdAPICall": "5m0s"}

#: The folder of control_plane_files, as static pods see it.
FILES_VOLUME = {
    "name": "slipway-files",
    "hostPath": DIRECTORY,
    "mountPath": DIRECTORY,
    "readOnly": True,
    "pathType": "DirectoryOrCreate",
}


def merge_documents(base: t.Any, over: t.Any) -> t.Any:
    """Like :func:`merged`, but lists of ``{name, value}``, kubeadm's extraArgs, are merged by name."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{key: merge_documents(base.get(key), value) for key, value in over.items()}}
    if _is_arguments(base) and _is_arguments(over):
        # A name may stand there more than once, as --service-account-issuer does; all of those in `over` count.
        names = {item["name"] for item in over}
        return [item for item in base if item["name"] not in names] + over
    return merged(base, over)


def _is_arguments(value: t.Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) and set(item) == {"name", "value"} for item in value)


def node_registration(settings: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """NodeRegistrationOptions of an init or a join."""
    registration: t.Dict[str, t.Any] = {"name": settings["name"], "criSocket": settings["cri_socket"]}
    arguments = {}
    if settings.get("node_ip"):
        # The first one is that of the family in which the cluster speaks to its nodes.
        arguments["node-ip"] = ",".join(filter(None, [settings["node_ip"], settings.get("node_ip6")]))
    gates = chosen(cri_socket=settings["cri_socket"]).gates_off(str(settings.get("version", "")))
    if gates:
        # Beside those of the configuration that all kubelets of the cluster share: they are merged.
        arguments["feature-gates"] = ",".join(f"{gate}=false" for gate in gates)
    if arguments:
        registration["kubeletExtraArgs"] = [{"name": name, "value": value} for name, value in arguments.items()]
    if settings.get("ignore_preflight_errors"):
        registration["ignorePreflightErrors"] = list(settings["ignore_preflight_errors"])
    return registration


def with_files(cluster: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """The ClusterConfiguration whose static pods see the files of the role control_plane.

    The API server always does, others when one of their arguments leads there. Volumes of the user stay; one for the
    same folder is taken for ours.
    """
    result = dict(cluster)
    for name in ("apiServer", "controllerManager", "scheduler"):
        component = result.get(name) or {}
        volumes = component.get("extraVolumes") or []
        values = [str(item.get("value", "")) for item in component.get("extraArgs") or [] if isinstance(item, dict)]
        needed = name == "apiServer" or any(DIRECTORY in value for value in values)
        if needed and not any(volume.get("mountPath") == DIRECTORY for volume in volumes):
            result[name] = {**component, "extraVolumes": [*volumes, FILES_VOLUME]}
    return result


def kube_proxy_configuration(mode: str) -> t.Dict[str, t.Any]:
    """What is computed of kube-proxy's configuration."""
    # Otherwise each node answers for the addresses of all services, those of MetalLB too.
    of_mode = {"ipvs": {"strictARP": True}} if mode == "ipvs" else {}
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": mode,
        **of_mode,
    }


def kubeadm_init_config(
    settings: t.Mapping[str, t.Any], overrides: t.Optional[t.Mapping[str, t.Any]] = None
) -> t.List[t.Dict[str, t.Any]]:
    """The four documents of ``kubeadm init``.

    :param settings: name, cluster_name, version, endpoint, pod_subnet, service_subnet, dns_domain, image_repository,
        cri_socket, kube_proxy_mode, node_ip, node_ip6, schedulable, cert_sans, ignore_preflight_errors, and files:
        whether static pods shall see the folder of control_plane_files, and swap: whether pods may use swap.
    :param overrides: fields merged over what is computed, under ``init``, ``cluster``, ``kubelet``, ``kube_proxy``.
    """
    overrides = overrides or {}
    init: t.Dict[str, t.Any] = {
        "apiVersion": API_VERSION,
        "kind": "InitConfiguration",
        "nodeRegistration": node_registration(settings),
        "timeouts": dict(TIMEOUTS),
    }
    if settings.get("node_ip"):
        init["localAPIEndpoint"] = {"advertiseAddress": settings["node_ip"]}
    if settings.get("schedulable"):
        init["nodeRegistration"]["taints"] = []
    cluster: t.Dict[str, t.Any] = {
        "apiVersion": API_VERSION,
        "kind": "ClusterConfiguration",
        "clusterName": settings["cluster_name"],
        "kubernetesVersion": f"v{str(settings['version']).lstrip('v')}",
        "imageRepository": settings["image_repository"],
        "networking": {
            # kubeadm reads no space beside the comma.
            "podSubnet": ",".join(_families.parts(settings["pod_subnet"])),
            "serviceSubnet": ",".join(_families.parts(settings["service_subnet"])),
            "dnsDomain": settings["dns_domain"],
        },
    }
    names = [str(name) for name in settings.get("cert_sans") or [] if name]
    if settings.get("endpoint"):
        cluster["controlPlaneEndpoint"] = _api_endpoints.endpoint_with_port(str(settings["endpoint"]))
        # kubeadm knows it from the field above, but not in a cluster that got its endpoint later.
        names.append(_api_endpoints.endpoint_host(cluster["controlPlaneEndpoint"]))
    cluster["apiServer"] = {"certSANs": sorted(set(names))}
    kubelet: t.Dict[str, t.Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "cgroupDriver": "systemd",
        # Serving certificates by the cluster's CA, so that metrics-server and others can verify kubelets.
        "serverTLSBootstrap": True,
    }
    if settings.get("swap"):
        kubelet.update(failSwapOn=False, memorySwap={"swapBehavior": "LimitedSwap"})
    kube_proxy = kube_proxy_configuration(settings["kube_proxy_mode"])
    computed = {"init": init, "cluster": cluster, "kubelet": kubelet, "kube_proxy": kube_proxy}
    unknown = sorted(set(overrides) - set(computed))
    if unknown:
        raise ValueError(f"there is no document {', '.join(unknown)}; there are {', '.join(computed)}")
    documents = {name: merge_documents(document, overrides.get(name) or {}) for name, document in computed.items()}
    if settings.get("files"):
        documents["cluster"] = with_files(documents["cluster"])
    return list(documents.values())


def kubeadm_apiserver_names(documents: t.Sequence[t.Mapping[str, t.Any]]) -> t.List[str]:
    """The names in the certificate of an API server that was made by these documents of ``kubeadm init``.

    :raises ValueError: when something is no name or no network.
    """
    kinds = {document["kind"]: document for document in documents}
    init = kinds["InitConfiguration"]
    address = init["localAPIEndpoint"]["advertiseAddress"]
    return _api_endpoints.apiserver_names(kinds["ClusterConfiguration"], init["nodeRegistration"]["name"], address)


def kubeadm_join_config(
    settings: t.Mapping[str, t.Any], overrides: t.Optional[t.Mapping[str, t.Any]] = None
) -> t.Dict[str, t.Any]:
    """The JoinConfiguration of a node, without its token and the key of the certificates.

    :param settings: name, version, endpoint, ca_cert_hashes, cri_socket, node_ip, node_ip6, control_plane,
        schedulable, ignore_preflight_errors.
    :param overrides: fields merged over what is computed.
    """
    document: t.Dict[str, t.Any] = {
        "apiVersion": API_VERSION,
        "kind": "JoinConfiguration",
        "discovery": {
            "bootstrapToken": {
                "apiServerEndpoint": settings["endpoint"],
                "caCertHashes": list(settings["ca_cert_hashes"]),
            }
        },
        "nodeRegistration": node_registration(settings),
        "timeouts": dict(TIMEOUTS),
    }
    if settings.get("control_plane"):
        document["controlPlane"] = {}
        if settings.get("node_ip"):
            document["controlPlane"]["localAPIEndpoint"] = {"advertiseAddress": settings["node_ip"]}
        if settings.get("schedulable"):
            document["nodeRegistration"]["taints"] = []
    return merge_documents(document, overrides or {})
