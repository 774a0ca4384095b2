# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flannel.

A Node object that was deleted comes back with another slice. Flannel reads its slice when it starts; the bridge keeps
the address that it had, so that no pod can be put on it; and pods that run keep addresses that are sent elsewhere.

Private to this collection.
"""

from __future__ import annotations

import glob
import ipaddress
import json
import os
import re
import signal
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _netlink, _processes, _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._charts import Chart, within
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import sandboxes
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks.pod_network import (
    AskNode,
    Facts,
    Lasting,
    Network,
    OnNode,
    OwnNetwork,
    PodNetwork,
    Port,
    default_address,
    families,
    helm_release,
    interface_with_address,
    network_of_family,
    slices,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import listed

SUBNET = "/run/flannel/subnet.env"
RESULTS = sandboxes.RESULTS
BRIDGE = "cni0"
#: By which kube-network-policies sees packets; where the kernel has it not, it lets all of them through.
QUEUE = "nft_queue"
#: Flannel needs some seconds from its start until it has said where it is.
SECONDS_TO_START = 30

Interface = t.Union[ipaddress.IPv4Interface, ipaddress.IPv6Interface]


def is_announced(node: t.Mapping[str, t.Any]) -> bool:
    """Whether a Flannel that goes by Nodes has written to this one where it is."""
    annotations = (node.get("metadata") or {}).get("annotations") or {}
    return any(key.endswith("kube-subnet-manager") and value == "true" for key, value in annotations.items())


def subnets(environment: str) -> t.List[Interface]:
    """The addresses that Flannel gives to the bridge."""
    texts = re.findall(r"^FLANNEL_(?:IPV6_)?SUBNET=(\S+)$", environment, re.MULTILINE)
    return [ipaddress.ip_interface(text) for text in texts]


def is_foreign(address: Interface, networks: t.Iterable[Network]) -> bool:
    """Whether an address is in none of the networks, though one of them is of its family."""
    same = [network for network in networks if network.version == address.version]
    return bool(same) and not any(address.ip in network for network in same)


def bridge_addresses() -> t.Optional[t.List[Interface]]:
    """The addresses of the bridge; ``None`` when there is no bridge."""
    for entry in _netlink.interfaces():
        if entry["name"] == BRIDGE:
            return [ipaddress.ip_interface(f"{item['address']}/{item['prefix']}") for item in entry["addresses"]]
    return None


def sandbox(text: str) -> t.Tuple[str, str, t.List[Interface]]:
    """Id, pod and addresses of a sandbox on the bridge, from what libcni keeps of it; empty for another."""
    found = sandboxes.parse(text)
    try:
        if found is None or not any(item.get("name") == BRIDGE for item in found.result.get("interfaces") or []):
            return "", "", []
        return found.identifier, found.pod, [ipaddress.ip_interface(item["address"]) for item in found.result["ips"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", "", []


def stray_sandboxes(networks: t.Sequence[Network]) -> t.Dict[str, t.List[int]]:
    """Pods that run with an address of another slice, and the processes that hold their sandboxes."""
    strays = {}
    for path in glob.glob(f"{RESULTS}/*"):
        identifier, pod, addresses = sandbox(read_text(path))
        if identifier and any(is_foreign(address, networks) for address in addresses):
            strays[identifier] = pod
    found: t.Dict[str, t.List[int]] = {}
    for identifier, pids in sandboxes.holders(strays).items():
        found.setdefault(strays[identifier], []).extend(pids)
    return found


def daemons() -> t.Dict[int, float]:
    """Flannel's processes in pods of this machine, and for how many seconds they have run."""
    found = {}
    proc = _processes.PROC
    for pid in [name for name in os.listdir(proc) if name.isdigit()]:
        if read_text(f"{proc}/{pid}/comm").strip() == "flanneld" and _processes.is_in_pod(pid, proc):
            age = _processes.age(pid, proc)
            if age is not None:
                found[int(pid)] = age
    return found


def surplus(present: t.Sequence[Interface], networks: t.Sequence[Network]) -> t.List[Interface]:
    """The addresses of the bridge that are in none of the networks and stand before one that is.

    The plugin that makes pods' interfaces is content with the first of its family that is right.
    """
    found: t.List[Interface] = []
    settled: t.Set[int] = set()
    for address in present:
        if not is_foreign(address, networks):
            settled.add(address.version)
        elif address.version not in settled:
            found.append(address)
    return found


class FlannelOnNode(OnNode):
    """Flannel, the bridge and the pods of this machine, compared with its node.

    :param node: its Node object.
    """

    def __init__(self, node: t.Mapping[str, t.Any]) -> None:
        self.slices = slices(node)
        self.subnets = subnets(read_text(SUBNET)) if self.slices else []
        self.is_announced = is_announced(node)
        #: Whether Flannel has run since the machine was booted; nothing can contradict before.
        self.was_there = bool(self.subnets)
        #: Whether Flannel goes by another slice, or has said where it is to a Node that is no more.
        self.is_stale = self.was_there and not (
            self.is_announced and not any(is_foreign(subnet, self.slices) for subnet in self.subnets)
        )
        present = (bridge_addresses() if self.was_there else None) or []
        #: Addresses of the bridge that it must not have, and those that it has to have instead.
        self.surplus = surplus(present, self.slices)
        self.replacing = self.subnets if self.surplus else []
        self.strays = stray_sandboxes(self.slices) if self.was_there else {}
        self.can_be_mended = not self.is_stale or bool(daemons())

    def contradictions(self) -> t.List[str]:
        """What is not as the node has it, in words."""
        now = listed(self.slices)
        found = []
        if self.is_stale:
            found.append(
                f"Flannel goes by {listed(subnet.network for subnet in self.subnets)}, and the node has {now}"
                if any(is_foreign(subnet, self.slices) for subnet in self.subnets)
                else "Flannel has not told the node's new object where it is"
            )
        if self.surplus:
            found.append(f"{BRIDGE} has the address {listed(self.surplus)}, and the node has {now}")
        if self.strays:
            found.append(f"pods have addresses that are not of {now}: {listed(sorted(self.strays))}")
        return found


class Flannel(PodNetwork):
    """Flannel, by its own chart, with the CNI plugin ``bridge``."""

    name = "flannel"
    title = "Flannel"
    chart = Chart("cni_flannel", "kube-flannel", "flannel", "ghcr.io/flannel-io/flannel", place=("flannel",))
    goes_by_slices = True
    has_two_families = True
    takes_one_interface = True
    can_ipv6_alone = True
    overhead = 50
    kubespray = {"flannel_backend_type": "cni_flannel_backend", "flannel_interface": "cni_flannel_interface"}
    kubespray_weak = ("flannel_interface",)

    kernel_modules = ("vxlan", "wireguard", QUEUE)
    interfaces = (
        {"Name": "veth1a2b3c4d", "Type": "ether", "Kind": "veth", "Driver": "veth"},
        {"Name": BRIDGE, "Type": "bridge", "Kind": "bridge", "Driver": "bridge"},
        {"Name": "flannel.1", "Type": "ether", "Kind": "vxlan", "Driver": "vxlan"},
    )
    interface_prefixes = ("flannel",)
    cni_file = "10-flannel.conflist"
    cni_network = "cbr0"
    bridge = BRIDGE

    left_interfaces = (r"flannel(-v6)?\.\d+", r"flannel-wg(-v6)?")
    chains = ("FLANNEL-",)
    #: Older ones have put them there.
    rules = (r'--comment "?flanneld (masq|forward)"?',)
    nft_tables = ("flannel-ipv4", "flannel-ipv6", "kube-network-policies")
    #: Those of its backend host-gw.
    pod_routes = (r"\S+ via \S+ dev \S+( onlink)?",)
    folders = ("/run/flannel",)
    cni_folders = ("flannel",)
    programs = ("/opt/cni/bin/flannel",)

    config_map = ("kube-flannel", "kube-flannel-cfg")
    agents = (("kube-flannel", "app=flannel"),)
    node_annotations = ("flannel.alpha.coreos.com/",)
    interface_remedy = (
        "Set it to a name that the interface has on all hosts; where names differ, put an --iface-regex into"
        " flannel.args of cni_flannel_values."
    )

    def told(self, settings: Settings) -> PodNetwork:
        """With NetworkPolicy, where kube-network-policies runs beside it."""
        if not settings.flag("cni_flannel_network_policy"):
            return self
        network = Flannel()
        network.has_policies = True
        return network

    def network(self, root: str = "") -> str:
        """The network of all pods, of the file that it has written for its CNI plugin."""
        return ",".join(re.findall(r"^FLANNEL_(?:IPV6_)?NETWORK=(\S+)$", read_text(root + SUBNET), re.MULTILINE))

    def ports(self, settings: Settings) -> t.List[Port]:
        """Those of its backends: the kernel's VXLAN can be shared, WireGuard cannot and has one for each family.

        And that of the metrics of kube-network-policies, on each node.
        """
        backend = settings.text("cni_flannel_backend")
        of_wireguard = {4: 51820, 6: 51821}
        known = {"vxlan": [8472], "wireguard": [of_wireguard[version] for version in families(settings)]}
        is_vxlan = backend == "vxlan"
        found = [
            Port("udp", number, f"Flannel's backend {backend}", is_shared=is_vxlan, is_tried=is_vxlan)
            for number in known.get(backend, ())
        ]
        if settings.flag("cni_flannel_network_policy"):
            what = "kube-network-policies beside Flannel, for its metrics"
            found.append(Port("tcp", 9080, what, is_shared=False, is_tried=False, is_asked=False))
        return found

    def overhead_with(self, settings: Settings) -> int:
        """It makes room for the headers of IPv4 alone, and those of IPv6 have 20 bytes more."""
        return self.overhead + (20 if 6 in families(settings) else 0)

    def modules(self, settings: Settings) -> t.Set[str]:
        """That of its backend, and that of NetworkPolicy."""
        policies = {QUEUE} if settings.flag("cni_flannel_network_policy") else set()
        return policies | {settings.text("cni_flannel_backend")}.intersection(self.kernel_modules)

    def interface(self, settings: Settings, facts: Facts, first: Settings, first_facts: Facts) -> str:
        """One name on all: that of cluster_node_ip's on the first; without one that of the default route.

        With IPv6 it is always told, since there need be no default route of it.
        """
        if "--iface" in str(settings.variables.get("cni_flannel_values")):
            return ""
        address, default = first.text("cluster_node_ip"), default_address(first, first_facts)
        is_told = address not in ("", default) or 6 in families(first)
        common = interface_with_address(first_facts, address or default) if is_told else ""
        own = interface_with_address(facts, default_address(first, facts))
        return settings.text("cni_flannel_interface") or common or own

    def networks(self, settings: Settings) -> t.List[OwnNetwork]:
        """It does not start with one that Go cannot read, nor beside those that nodes have."""
        values = settings.mapping("cni_flannel_values")
        return [
            OwnNetwork(f"cni_flannel_values[{key}]", str(values[key]), True)
            for key in ("podCidr", "podCidrv6")
            if values.get(key)
        ]

    def lasting(self, settings: Settings) -> t.List[Lasting]:
        """Network and backend: each node would change at the next restart of its pod, and lose the others."""
        found = []
        four, six = (network_of_family(settings.text("cluster_pod_subnet"), version) for version in (4, 6))
        for key, path, variable, own, what in (
            ("backend", ("flannel", "backend"), "cni_flannel_backend", settings.text("cni_flannel_backend"), "backend"),
            ("network", ("podCidr",), "cluster_pod_subnet", four, "network"),
            ("ipv6_network", ("podCidrv6",), "cluster_pod_subnet", six, "network of IPv6"),
        ):
            given = within(settings.mapping("cni_flannel_values"), *path)
            wanted = own if given is None else str(given)
            if wanted:
                found.append(
                    Lasting(key, wanted, variable if given is None else "cni_flannel_values", f"Flannel's {what}")
                )
        return found

    def state(self, kept: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
        """Its networks and its backend, without the key that its WireGuard may share."""
        try:
            configuration = json.loads(str((kept.get("data") or {}).get("net-conf.json") or ""))
            backend = configuration.get("Backend") or {}
            return {
                "network": str(configuration.get("Network") or ""),
                "ipv6_network": str(configuration.get("IPv6Network") or ""),
                "backend": str(backend.get("Type") or ""),
                "release": helm_release(kept["metadata"]),
            }
        except (ValueError, AttributeError, KeyError):
            return {}

    def had_slice(self) -> bool:
        """Whether it has written one down."""
        return bool(subnets(read_text(SUBNET)))

    def on_node(self, node: t.Mapping[str, t.Any]) -> OnNode:
        """Whether it goes by the slice of its Node, and the bridge and the pods do."""
        return FlannelOnNode(node)

    def mend(self, ask: AskNode, timeout: float) -> None:
        """Bring Flannel, the bridge and the pods to the slice that the node has.

        Each step looks for itself what is left to do, so it may be killed after any of them. Nothing is deleted: whose
        sandbox has ended gets a new one from its kubelet, which stops its containers as their pod says and starts them
        again, as after a reboot; those that share the sandbox's process namespace end with it.

        :raises SlipwayError: when Flannel does not take the slice over in time.
        """
        wait = _waiting.Wait(timeout, pause=1)
        network = FlannelOnNode({})
        while True:
            node = ask()
            network = FlannelOnNode(node) if node else network
            if node and network.slices and not network.is_stale:
                break
            for pid, age in (daemons() if network.is_stale else {}).items():
                if age > SECONDS_TO_START:
                    sandboxes.end(pid, signal.SIGTERM)
            if wait.is_over:
                raise SlipwayError(
                    f"{'; '.join(network.contradictions()) or 'The node has got no slice of the pod network'}: this has"
                    f" not changed in {timeout:.0f} seconds. See `kubectl get pods --namespace kube-flannel"
                    " --output=wide` and the log of this node's pod there; a second run goes on from here."
                )
            wait.sleep()
        try:
            # The wrong one goes last: a run that is killed before finds it again.
            for subnet in network.replacing:
                _netlink.change_address(BRIDGE, str(subnet))
            for address in network.surplus:
                _netlink.change_address(BRIDGE, str(address), remove=True)
        except OSError as error:
            raise SlipwayError(f"The address of {BRIDGE} cannot be changed: {error}") from error
        for pids in network.strays.values():
            for pid in pids:
                sandboxes.end(pid)
