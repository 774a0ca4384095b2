# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cilium, by its own chart, with programs in the kernel (eBPF) on the interfaces of pods and of the machine.

Pods have addresses of the slices that Nodes have. Its agents may do what kube-proxy does, which is not there then.

Private to this collection.
"""

from __future__ import annotations

import glob
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._api_endpoints import endpoint_place
from ansible_collections.slipway.kubernetes.plugins.module_utils._charts import Chart, within
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._findings import Finding
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube_proxy import PHASE as KUBE_PROXY
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube_proxy import has_kube_proxy
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks.pod_network import (
    Lasting,
    PodNetwork,
    Port,
    has_two_families,
    helm_release,
    mtu_findings,
    network_of_family,
    number_of,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings

SPACE = "kube-system"
VALUES = "cni_cilium_values"
MODE = "cni_cilium_routing_mode"
REPLACEMENT = "cni_cilium_kube_proxy_replacement"
TUNNEL, NATIVE = "tunnel", "native"
VXLAN, GENEVE = "vxlan", "geneve"
#: The ports of its tunnels, and the bytes of each packet that they and WireGuard take.
TUNNEL_PORTS = {VXLAN: 8472, GENEVE: 6081}
TUNNEL_OVERHEAD, WIREGUARD_OVERHEAD = 50, 80
#: Values that have variables of their own, by their places.
OWN_VALUES = {
    ("routingMode",): MODE,
    ("kubeProxyReplacement",): REPLACEMENT,
    ("MTU",): "cni_cilium_mtu",
    ("ipv6", "enabled"): "cluster_pod_subnet",
}
#: The networks of all pods by the versions of IP, as its ConfigMap and its values call them.
ROUTED = {
    4: ("ipv4-native-routing-cidr", "ipv4NativeRoutingCIDR"),
    6: ("ipv6-native-routing-cidr", "ipv6NativeRoutingCIDR"),
}
#: Where the agent's pod has its configuration on the machine.
CONFIGURATION = f"{KUBEADM.kubelet_folder}/pods/*/volumes/kubernetes.io~empty-dir/tmp/cilium/config-map"


def _text(values: t.Mapping[str, t.Any], *path: str) -> str:
    """A value as text; empty when it is not there."""
    value = within(values, *path)
    return "" if value is None else str(value)


def _flag(values: t.Mapping[str, t.Any], *path: str) -> bool:
    return _text(values, *path).lower() == "true"


def is_native(settings: Settings) -> bool:
    """Whether packets between nodes travel as they are."""
    return settings.text(MODE) == NATIVE


def tunnel(settings: Settings) -> str:
    """The protocol of the tunnels."""
    return _text(settings.mapping(VALUES), "tunnelProtocol") or VXLAN


def is_encrypted(settings: Settings) -> bool:
    """Whether packets between nodes go through WireGuard."""
    values = settings.mapping(VALUES)
    return _flag(values, "encryption", "enabled") and _text(values, "encryption", "type") == "wireguard"


def api_server(settings: Settings) -> t.Tuple[str, int]:
    """Host and port of the API server, as nodes reach it before there are services."""
    if settings.text("cluster_endpoint"):
        return endpoint_place(settings.text("cluster_endpoint"))
    own = settings.text("cluster_node_ip") or settings.text("default_address")
    init = settings.mapping("control_plane_init_configuration")
    return own, number_of(_text(init, "localAPIEndpoint", "bindPort"), KUBEADM.api_port)


class Cilium(PodNetwork):
    """Cilium, which has NetworkPolicy."""

    name = "cilium"
    title = "Cilium"
    chart = Chart("cni_cilium", SPACE, "cilium", "quay.io/cilium/cilium")
    goes_by_slices = True
    has_policies = True
    has_two_families = True
    overhead = TUNNEL_OVERHEAD
    alone = "takes addresses of the slices of Nodes whatever else does, and all packets of a machine go through it"
    #: Agents are ready when the operator has done its part, and its second pod may wait for a node.
    conditions = ({"type": "rollout", "kind": "daemonset", "namespace": SPACE, "names": ["cilium"]},)
    kubespray = {
        "cilium_auto_direct_node_routes": MODE,
        "cilium_enable_hubble": f"hubble in {VALUES}",
        "cilium_encryption_enabled": f"encryption in {VALUES}",
        "cilium_encryption_type": f"encryption in {VALUES}",
        "cilium_extra_values": VALUES,
        "cilium_ipam_mode": "nothing here: pods have addresses of their Node's podCIDRs",
        "cilium_kube_proxy_replacement": f"{REPLACEMENT}, with control_plane_skip_phases: [{KUBE_PROXY}]",
        "cilium_l2announcements": f"l2announcements in {VALUES}",
        "cilium_loadbalancer_mode": f"loadBalancer in {VALUES}",
        "cilium_mtu": "cni_cilium_mtu",
        "cilium_native_routing_cidr": "cluster_pod_subnet",
        "cilium_operator_replicas": f"operator.replicas in {VALUES}",
        "cilium_tunnel_mode": f"{MODE}, and tunnelProtocol in {VALUES}",
        "cilium_version": "cni_cilium_chart_version",
    }
    kubespray_weak = ("cilium_mtu", "cilium_version")

    kernel_modules = (VXLAN, GENEVE, "wireguard")
    interfaces = (
        {"Name": "lxc1a2b3c4d5e6f", "Type": "ether", "Kind": "veth", "Driver": "veth"},
        {"Name": "cilium_host", "Type": "ether", "Kind": "veth", "Driver": "veth"},
        {"Name": "cilium_vxlan", "Type": "ether", "Kind": "vxlan", "Driver": "vxlan"},
    )
    interface_prefixes = ("cilium_", "lxc")
    cni_file = "05-cilium.conflist"
    #: With kube-proxy; without it is its own name.
    cni_network = "portmap"

    left_interfaces = (r"cilium_(host|net|vxlan|geneve|wg0|ipip4|ipip6|tunl|ip6tnl)", "lxc([0-9a-f]{12}|_health)")
    traffic_filters = ("cil_",)
    chains = ("CILIUM_", "OLD_CILIUM_")
    rules = (r'--comment "?cilium[:-]',)
    ip_sets = ("cilium_node_set_",)
    #: Those of native routing.
    pod_routes = (r"\S+ via \S+ dev \S+( proto kernel)?( onlink)?",)
    left_mounts = ("(/var)?/run/cilium/cgroupv2",)
    folders = ("/run/cilium", "/sys/fs/bpf/cilium")
    left_files = ("/sys/fs/bpf/tc/globals/cilium_*", "/etc/sysctl.d/99-zzz-override_cilium.conf")
    programs = ("/opt/cni/bin/cilium-cni",)

    config_map = (SPACE, "cilium-config")
    agents = ((SPACE, "k8s-app=cilium"), (SPACE, "io.cilium/app=operator"))
    node_annotations = ("network.cilium.io/",)

    def network(self, root: str = "") -> str:
        """Those of all pods. They are written down where routes to pods of other nodes are the machine's own."""
        paths = [path for key, _value in ROUTED.values() for path in sorted(glob.glob(f"{root}{CONFIGURATION}/{key}"))]
        return ",".join(dict.fromkeys(text for path in paths for text in [read_text(path).strip()] if text))

    def ports(self, settings: Settings) -> t.List[Port]:
        """Those of its traffic and of its health; the kernel's tunnels can be shared, WireGuard cannot."""
        values = settings.mapping(VALUES)
        found = [
            Port("tcp", 4240, "Cilium's agents, for the health of nodes", is_shared=False, is_tried=False),
            *(
                Port("tcp", number, f"Cilium's {who}", is_shared=False, is_tried=False, is_asked=False)
                for number, who in ((9879, "agent, for its health"), (9963, "operator, for its metrics"))
            ),
        ]
        if _flag(values, "hubble", "enabled"):
            found.append(Port("tcp", 4244, "Cilium's Hubble", is_shared=False, is_tried=False))
        if is_encrypted(settings):
            found.append(Port("udp", 51871, "Cilium's WireGuard", is_shared=False, is_tried=False))
        if is_native(settings):
            return found
        protocol = tunnel(settings)
        number = number_of(_text(values, "tunnelPort"), TUNNEL_PORTS.get(protocol, TUNNEL_PORTS[VXLAN]))
        return [*found, Port("udp", number, "Cilium's tunnels", is_shared=protocol == VXLAN, is_tried=True)]

    def modules(self, settings: Settings) -> t.Set[str]:
        """That of its tunnels, and of its encryption."""
        names = set() if is_native(settings) else {tunnel(settings)}
        return (names | ({"wireguard"} if is_encrypted(settings) else set())).intersection(self.kernel_modules)

    def overhead_with(self, settings: Settings) -> int:
        """What its tunnels and its encryption take."""
        own = 0 if is_native(settings) else TUNNEL_OVERHEAD
        return own + (WIREGUARD_OVERHEAD if is_encrypted(settings) else 0)

    def mtu(self, settings: Settings) -> int:
        """What it is told; it takes what its tunnels leave of the MTU of the machine's interface itself."""
        return settings.number("cni_cilium_mtu")

    def chart_values(self, settings: Settings) -> t.Dict[str, t.Any]:
        """How packets travel, who does services, and nothing that few need."""
        replaces = settings.flag(REPLACEMENT)
        groups = ("cluster_control_plane_hosts", "cluster_worker_hosts")
        nodes = {str(name) for group in groups for name in settings.sequence(group)}
        values: t.Dict[str, t.Any] = {
            "routingMode": settings.text(MODE),
            "kubeProxyReplacement": str(replaces).lower(),
            "ipam": {"mode": "kubernetes"},
            "ipv6": {"enabled": has_two_families(settings)},
            "k8s": {"requireIPv4PodCIDR": True, "requireIPv6PodCIDR": has_two_families(settings)},
            # The files of others stay as they are, podman's too. Ports of the node are the plugin portmap's.
            "cni": {"exclusive": False, "chainingMode": "none" if replaces else "portmap"},
            "hubble": {"enabled": False},
            "envoy": {"enabled": False},
            "l7Proxy": False,
            # Each has a port of its node. Agents read their configuration when they start and not again.
            "operator": {"replicas": min(2, max(1, len(nodes))), "rollOutPods": True},
            "rollOutCiliumPods": True,
        }
        if self.mtu(settings):
            # It wants that of the nodes' network.
            values["MTU"] = self.mtu(settings) + self.overhead_with(settings)
        if replaces:
            values["k8sServiceHost"], values["k8sServicePort"] = api_server(settings)
        else:
            values["sessionAffinity"] = True
        if is_native(settings):
            values["autoDirectNodeRoutes"] = True
            networks = (
                (value, network_of_family(settings.text("cluster_pod_subnet"), version))
                for version, (_key, value) in ROUTED.items()
            )
            values.update({value: network for value, network in networks if network})
        else:
            values["tunnelProtocol"] = VXLAN
        return values

    def lasting(self, settings: Settings) -> t.List[Lasting]:
        """How packets travel, and who does services: nodes would change one by one, and lose the others meanwhile."""
        if not settings.text(MODE):
            return []
        replaces = str(settings.flag(REPLACEMENT)).lower()
        found = [
            Lasting("routing_mode", settings.text(MODE), MODE, "Cilium's routing"),
            Lasting("kube_proxy_replacement", replaces, REPLACEMENT, "whether Cilium does what kube-proxy does"),
        ]
        if not is_native(settings):
            found.append(Lasting("tunnel_protocol", tunnel(settings), VALUES, "the protocol of Cilium's tunnels"))
        return found

    def state(self, kept: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
        """What its ConfigMap says."""
        data = kept.get("data") or {}
        keys = ("routing-mode", "kube-proxy-replacement", "tunnel-protocol")
        return {
            **{key.replace("-", "_"): str(data.get(key) or "") for key in keys},
            "release": helm_release(kept.get("metadata") or {}),
        }

    def findings(self, settings: Settings) -> t.Iterator[Finding]:
        """What is wrong with who does services, and with what is passed through."""
        yield from _of_services(settings)
        yield from _of_values(settings)
        yield from mtu_findings(
            "cni_cilium_mtu",
            self.mtu(settings),
            "Leave it out: Cilium takes what its tunnels leave of that of the nodes' network.",
        )


def _of_services(settings: Settings) -> t.Iterator[Finding]:
    replaces, has_proxy = settings.flag(REPLACEMENT), has_kube_proxy(settings)
    if replaces and has_proxy:
        yield Finding(
            REPLACEMENT,
            "is true, and kubeadm installs kube-proxy, which would do the same work beside it.",
            f"Set control_plane_skip_phases: [{KUBE_PROXY}], too.",
        )
    elif not replaces and not has_proxy:
        yield Finding(
            REPLACEMENT,
            "is false, and there is no kube-proxy: nobody would lead to services.",
            f"Set it to true; or take {KUBE_PROXY} out of control_plane_skip_phases.",
        )


def _of_values(settings: Settings) -> t.Iterator[Finding]:
    values = settings.mapping(VALUES)
    for path, variable in OWN_VALUES.items():
        if within(values, *path) is not None:
            yield Finding(VALUES, f"has {'.'.join(path)}, which has a variable of its own.", f"Set {variable}.")
    mode, protocol = _text(values, "ipam", "mode"), _text(values, "tunnelProtocol")
    if mode not in ("", "kubernetes"):
        yield Finding(
            VALUES,
            f"has ipam.mode {mode}, and pods have addresses of their Node's podCIDRs here, by which the rest goes.",
            "Take it out; or install Cilium as you like with cluster_cni: none.",
        )
    if protocol not in ("", *TUNNEL_PORTS):
        yield Finding(
            VALUES, f"has tunnelProtocol {protocol}, which is none of {', '.join(TUNNEL_PORTS)}.", "Take it out."
        )
    elif protocol and is_native(settings):
        yield Finding(
            VALUES,
            f"has tunnelProtocol {protocol}, and {MODE} is {NATIVE}, without tunnels.",
            f"Take it out, or set {MODE}: {TUNNEL}.",
        )
