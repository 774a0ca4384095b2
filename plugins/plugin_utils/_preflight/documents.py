# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents of a cluster: their parts, and what kubeadm and Kubernetes fill in, which is no difference.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._configuration_differences import Document, Rules

_IGNORED = ("apiVersion", "kind")
#: The version is upgraded, the endpoint is moved, and site.yml itself keeps the names in certificates; other checks
#: look at them.
CLUSTER_RULES = Rules(
    defaults={
        "apiServer.timeoutForControlPlane": "4m0s",
        "caCertificateValidityPeriod": "87600h",
        "certificateValidityPeriod": "8760h",
        "certificatesDir": KUBEADM.pki,
        "clusterName": "kubernetes",
        "dns.type": "CoreDNS",
        "encryptionAlgorithm": "RSA-2048",
        "etcd.local.dataDir": KUBEADM.etcd_data,
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
    "authentication.x509.clientCAFile": KUBEADM.certificate("ca"),
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
    "staticPodPath": KUBEADM.manifests,
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
    "reservedSystemCPUs",
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


def part_of(document: t.Any, name: str) -> Document:
    """A part of a document; an empty one when it is none (what is wrong with it, kubeadm says)."""
    part = document.get(name) if isinstance(document, dict) else None
    return part if isinstance(part, dict) else {}


def _networking(cluster: Document) -> Document:
    return part_of(cluster, "networking")


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
