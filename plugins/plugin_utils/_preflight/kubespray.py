# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables of Kubespray, and which of ours is meant; the groups of its inventories are ours, too.

Variables are those of its inventory/sample and docs/ansible/vars.md.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import fnmatch
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import (
    POD_NETWORKS,
    default_address,
    has_ipv6_alone,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes import RUNTIMES
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host, Hosts

_CLUSTER = "control_plane_cluster_configuration"
_KUBELET = "control_plane_kubelet_configuration"
_PROXY = "control_plane_kube_proxy_configuration"
_JOIN = "control_plane_init_configuration and node_join_configuration"
NOTHING = "nothing here"
_ADDON = "an entry of addons_list, with its own chart"
_FILE = f"control_plane_files, and extraArgs of apiServer in {_CLUSTER}"
_HTTP_PROXY = (
    "nothing here: set it in the machines' own configuration (/etc/environment, the package manager, the runtime's"
    " drop-in)"
)

#: Kubespray's variables, and which of ours is meant.
KUBESPRAY: t.Dict[str, str] = {
    # The cluster
    "kube_version": "cluster_version, without v",
    "kube_network_plugin": f"cluster_cni ({', '.join(POD_NETWORKS)}, or none when you install another one)",
    "kube_network_plugin_multus": _ADDON,
    "kube_pods_subnet": "cluster_pod_subnet",
    "kube_pods_subnet_ipv6": "cluster_pod_subnet, behind that of IPv4 and a comma",
    "kube_service_addresses": "cluster_service_subnet",
    "kube_service_addresses_ipv6": "cluster_service_subnet, behind that of IPv4 and a comma",
    "kube_network_node_prefix": f"extraArgs node-cidr-mask-size of controllerManager in {_CLUSTER}",
    "kube_network_node_prefix_ipv6": f"extraArgs node-cidr-mask-size-ipv6 of controllerManager in {_CLUSTER}",
    "enable_dual_stack_networks": "cluster_pod_subnet and cluster_service_subnet, each with two networks",
    "ipv4_stack": "cluster_pod_subnet and cluster_service_subnet",
    "ipv6_stack": "cluster_pod_subnet and cluster_service_subnet, each with two networks; IPv4 stays the first",
    "kube_image_repo": "cluster_image_repository",
    "gcr_image_repo": "cluster_registry_mirrors",
    "docker_image_repo": "cluster_registry_mirrors",
    "quay_image_repo": "cluster_registry_mirrors",
    "github_image_repo": "cluster_registry_mirrors",
    "files_repo": "kube_packages_repository, helm_download_url",
    "registry_host": "cluster_registry_mirrors",
    "cluster_id": NOTHING,
    "kube_owner": NOTHING,
    "kube_cert_group": NOTHING,
    "kube_config_dir": f"{NOTHING}: kubeadm's {KUBEADM.folder}",
    "kube_cert_dir": f"{NOTHING}: kubeadm's {KUBEADM.pki}",
    "kube_manifest_dir": f"{NOTHING}: kubeadm's {KUBEADM.manifests}",
    "local_release_dir": NOTHING,
    # Addresses and the endpoint
    "access_ip": "cluster_node_ip",
    "access_ip6": "cluster_node_ip6",
    "loadbalancer_apiserver": "cluster_endpoint, with api_endpoint_provider: external",
    "loadbalancer_apiserver_localhost": "cluster_endpoint, with api_endpoint_provider: keepalived or external",
    "loadbalancer_apiserver_port": "cluster_endpoint (host:port)",
    "loadbalancer_apiserver_type": "api_endpoint_provider",
    "loadbalancer_apiserver_healthcheck_port": NOTHING,
    "apiserver_loadbalancer_domain_name": "cluster_endpoint",
    "kube_apiserver_port": "localAPIEndpoint.bindPort in control_plane_init_configuration",
    "kube_apiserver_ip": f"{NOTHING}: the first address of cluster_service_subnet",
    "kube_vip_enabled": "api_endpoint_provider: keepalived",
    "kube_vip_address": "cluster_endpoint",
    "kube_vip_controlplane_enabled": "api_endpoint_provider: keepalived",
    "kube_vip_arp_enabled": "api_endpoint_provider: keepalived",
    "supplementary_addresses_in_ssl_keys": "control_plane_cert_sans",
    "kube_override_hostname": "the host's name in the inventory",
    # kube-proxy and DNS
    "kube_proxy_mode": "cluster_kube_proxy_mode",
    "kube_proxy_strict_arp": f"ipvs.strictARP in {_PROXY}",
    "kube_proxy_nodeport_addresses": f"nodePortAddresses in {_PROXY}",
    "kube_proxy_remove": "control_plane_skip_phases: [addon/kube-proxy]",
    "dns_domain": "cluster_dns_domain",
    "dns_mode": f"{NOTHING}: kubeadm's CoreDNS, which control_plane_skip_phases can leave out",
    "enable_nodelocaldns": "an entry of addons_list, as docs/dns.md says",
    "nodelocaldns_ip": "an entry of addons_list, as docs/dns.md says",
    "resolvconf_mode": f"resolvConf in {_KUBELET}",
    "upstream_dns_servers": "coredns_upstreams",
    "dns_etchosts": "coredns_hosts",
    "dns_min_replicas": "coredns_replicas",
    "dns_nodes_per_replica": "coredns_nodes_per_replica",
    "dns_cores_per_replica": f"{NOTHING}: coredns_nodes_per_replica counts nodes",
    "enable_dns_autoscaler": "coredns_nodes_per_replica",
    "coredns_external_zones": "coredns_zones, each with zones, upstreams and plugins",
    "coredns_default_zone_cache_block": "coredns_plugins, with cache",
    "coredns_rewrite_block": "coredns_plugins, with rewrite",
    "coredns_additional_configs": "coredns_plugins",
    "coredns_additional_error_config": "coredns_plugins, with errors",
    "coredns_kubernetes_extra_opts": "coredns_plugins, with kubernetes",
    "coredns_kubernetes_extra_domains": "coredns_plugins, with kubernetes",
    "nameservers": "the machines' own /etc/resolv.conf",
    "searchdomains": "the machines' own /etc/resolv.conf",
    "skydns_server": f"clusterDNS in {_KUBELET}",
    "manual_dns_server": f"clusterDNS in {_KUBELET}",
    # The container runtime
    "container_manager": f"container_runtime_provider ({' or '.join(RUNTIMES)})",
    **{name: ours for runtime in RUNTIMES.values() for name, ours in runtime.kubespray.items()},
    "deploy_container_engine": NOTHING,
    # The kubelet
    "kubelet_max_pods": f"maxPods in {_KUBELET}",
    "kubelet_cgroup_driver": f"cgroupDriver in {_KUBELET}",
    "kubelet_fail_swap_on": f"node_prep_swap, and failSwapOn in {_KUBELET}",
    "kubelet_rotate_server_certificates": f"{NOTHING}: they are always of the cluster's CA",
    "kubelet_rotate_certificates": f"{NOTHING}: kubeadm always sets it",
    "kubelet_shutdown_grace_period": f"shutdownGracePeriod in {_KUBELET}",
    "kubelet_image_gc_high_threshold": f"imageGCHighThresholdPercent in {_KUBELET}",
    "kubelet_image_gc_low_threshold": f"imageGCLowThresholdPercent in {_KUBELET}",
    "kubelet_custom_flags": f"nodeRegistration.kubeletExtraArgs in {_JOIN}",
    "kubelet_node_custom_flags": f"nodeRegistration.kubeletExtraArgs in {_JOIN}",
    "kubelet_config_extra_args": _KUBELET,
    "kube_reserved": f"kubeReserved in {_KUBELET}",
    "kube_memory_reserved": f"kubeReserved in {_KUBELET}",
    "kube_cpu_reserved": f"kubeReserved in {_KUBELET}",
    "system_reserved": f"systemReserved in {_KUBELET}",
    "system_memory_reserved": f"systemReserved in {_KUBELET}",
    "system_cpu_reserved": f"systemReserved in {_KUBELET}",
    "eviction_hard": f"evictionHard in {_KUBELET}",
    "node_labels": "cluster_node_labels",
    "node_taints": "cluster_node_taints",
    # The control plane
    "kube_api_anonymous_auth": f"extraArgs of apiServer in {_CLUSTER}",
    "kube_feature_gates": f"extraArgs feature-gates in {_CLUSTER}, featureGates in {_KUBELET}",
    "kube_oidc_auth": f"extraArgs of apiServer in {_CLUSTER}",
    "kube_oidc_url": f"extraArgs of apiServer in {_CLUSTER}",
    "kube_oidc_client_id": f"extraArgs of apiServer in {_CLUSTER}",
    "kube_encrypt_secret_data": _FILE,
    "kubernetes_audit": _FILE,
    "kube_apiserver_enable_admission_plugins": f"extraArgs of apiServer in {_CLUSTER}",
    "kube_kubeadm_apiserver_extra_args": f"extraArgs of apiServer in {_CLUSTER}",
    "kube_kubeadm_controller_extra_args": f"extraArgs of controllerManager in {_CLUSTER}",
    "kube_kubeadm_scheduler_extra_args": f"extraArgs of scheduler in {_CLUSTER}",
    "authorization_modes": f"extraArgs of apiServer in {_CLUSTER}",
    "event_ttl_duration": f"extraArgs of apiServer in {_CLUSTER}",
    "tls_min_version": f"extraArgs in {_CLUSTER}, tlsMinVersion in {_KUBELET}",
    "kubeadm_patches": f"control_plane_files, and patches in {_JOIN}",
    "auto_renew_certificates": "renew_certificates.yml",
    "cloud_provider": NOTHING,
    "external_cloud_provider": NOTHING,
    # etcd
    "etcd_deployment_type": f"{NOTHING}: etcd runs on the control planes, by kubeadm",
    "etcd_kubeadm_enabled": f"{NOTHING}: etcd runs on the control planes, by kubeadm",
    "etcd_data_dir": f"etcd.local.dataDir in {_CLUSTER}",
    "etcd_version": f"etcd.local.imageTag in {_CLUSTER}",
    # Kubeconfigs and tools
    "kubeconfig_localhost": "kubeconfig_fetch",
    "kubeconfig_localhost_ansible_host": "kubeconfig_fetch",
    "kubectl_localhost": NOTHING,
    "helm_enabled": f"{NOTHING}: Helm is always on the control planes",
    "krew_enabled": NOTHING,
    # Addons
    "metrics_server_resizer": "metrics_server_values",
    "metrics_server_metric_resolution": "metrics_server_values",
    "metallb_config": "metallb_address_pools",
    "metallb_ip_range": "metallb_address_pools",
    "metallb_speaker_enabled": "metallb_values",
    "metallb_protocol": "metallb_address_pools, each with its protocols",
    "metallb_peers": "metallb_bgp_peers",
    "metallb_pool_name": "metallb_address_pools",
    "metallb_additional_address_pools": "metallb_address_pools",
    "dashboard_enabled": _ADDON,
    "registry_enabled": _ADDON,
    "local_path_provisioner_enabled": _ADDON,
    "local_volume_provisioner_enabled": _ADDON,
    "csi_snapshot_controller_enabled": _ADDON,
    "ingress_nginx_enabled": _ADDON,
    "ingress_alb_enabled": _ADDON,
    "cert_manager_enabled": _ADDON,
    "argocd_enabled": _ADDON,
    "gateway_api_enabled": _ADDON,
    **{name: ours for network in POD_NETWORKS.values() for name, ours in network.kubespray.items()},
    **dict.fromkeys(
        (
            "metallb_controller_nodeselector",
            "metallb_controller_tolerations",
            "metallb_memberlist_port",
            "metallb_namespace",
            "metallb_port",
            "metallb_speaker_nodeselector",
            "metallb_speaker_tolerations",
        ),
        "metallb_values",
    ),
    "metallb_auto_assign": "metallb_address_pools",
    "metallb_version": "metallb_chart_version",
    **dict.fromkeys(
        (
            "metrics_server_kubelet_preferred_address_types",
            "metrics_server_limits_cpu",
            "metrics_server_limits_memory",
            "metrics_server_requests_cpu",
            "metrics_server_requests_memory",
        ),
        "metrics_server_values",
    ),
    # Downloads
    "upgrade_cluster_setup": "upgrade.yml",
    "download_run_once": NOTHING,
    "download_localhost": NOTHING,
    "no_proxy_exclude_workers": _HTTP_PROXY,
    "additional_no_proxy": _HTTP_PROXY,
}
#: Names among them that others use, too: they do not tell that an inventory is Kubespray's.
WEAK = frozenset(
    (
        *(name for network in POD_NETWORKS.values() for name in network.kubespray_weak),
        "argocd_enabled",
        "authorization_modes",
        "auto_renew_certificates",
        "cert_manager_enabled",
        "cloud_provider",
        "cluster_id",
        *(f"{name}_version" for name, runtime in RUNTIMES.items() if f"{name}_version" in runtime.kubespray),
        "dashboard_enabled",
        "dns_domain",
        "etcd_data_dir",
        "etcd_version",
        "eviction_hard",
        "external_cloud_provider",
        "files_repo",
        "ingress_nginx_enabled",
        "kubernetes_audit",
        "local_release_dir",
        "nameservers",
        "node_labels",
        "node_taints",
        "registry_enabled",
        "registry_host",
        "searchdomains",
        "system_reserved",
        "tls_min_version",
        "upstream_dns_servers",
    )
)
#: Names among them that may be of something else, but are worth a warning when they stand alone.
AMBIGUOUS = frozenset(
    (
        "access_ip",
        "access_ip6",
        "container_manager",
        "deploy_container_engine",
        "dns_mode",
        "docker_insecure_registries",
        "docker_registry_mirrors",
        "download_localhost",
        "gateway_api_enabled",
        "helm_enabled",
        "krew_enabled",
        "kubeconfig_localhost",
        "kubectl_localhost",
        "local_path_provisioner_enabled",
        "local_volume_provisioner_enabled",
    )
)
#: How other names of Kubespray begin, and names of ours that begin so, too.
PREFIXES = (
    *(f"{name}_" for name in (*(word for network in POD_NETWORKS.values() for word in network.words), *RUNTIMES)),
    "coredns_",
    "credentials_dir",
    "enable_coredns_",
    "etcd_",
    "ingress_",
    "k8s_image_",
    "kata_",
    "kube_",
    "kubeadm_",
    "kubelet_",
    "kubernetes_",
    "local_path_",
    "nodelocaldns_",
    "podsecuritypolicy_",
)
OURS = (
    *(f"coredns_{name}" for name in ("hosts", "nodes_per_replica", "plugins", "replace", "replicas", "timeout")),
    "coredns_upstreams",
    "coredns_zones",
    "etcd_backup_",
    "etcd_restore_",
    "kube_packages_",
)
#: Names of everybody that matter even alone: a warning then.
COMMON: t.Dict[str, str] = {
    "ip": "cluster_node_ip",
    "ip6": "cluster_node_ip6",
    "http_proxy": _HTTP_PROXY,
    "https_proxy": _HTTP_PROXY,
    "no_proxy": _HTTP_PROXY,
    "bin_dir": f"{NOTHING}: packages install into /usr/bin",
}
#: What means something else here.
OTHER_MEANING: t.Dict[str, str] = {
    "cluster_name": "cluster_dns_domain; here it is the name of the cluster, a DNS label",
    "metrics_server_enabled": "metrics_server_enabled, which is true by default here",
    "metallb_enabled": "metallb_enabled, which is true here as soon as there are metallb_address_pools",
}


def words(host: Host) -> t.Set[str]:
    """Names of Kubespray's variables that the host has, without those that the user has said to ignore."""
    patterns = [str(pattern) for pattern in host.sequence("preflight_ignore_variables")]
    found = {name for name in host.variables if name in KUBESPRAY or name in COMMON}
    if host.text("ip") in (host.text("cluster_node_ip"), default_address(host, host.facts or {})):
        found.discard("ip")
    if host.text("ip6") == host.text("cluster_node_ip" if has_ipv6_alone(host) else "cluster_node_ip6"):
        found.discard("ip6")
    return {name for name in found if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)}


def is_kubespray(hosts: Hosts) -> bool:
    """Whether the inventory is one of Kubespray."""
    return any(name in KUBESPRAY and name not in WEAK | AMBIGUOUS for host in hosts for name in words(host))
