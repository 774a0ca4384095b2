# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to say about a pod network.

Private to this collection.
"""

from __future__ import annotations

import contextlib
import ipaddress
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._charts import Chart, Manifest, Port
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner
from ansible_collections.slipway.kubernetes.plugins.module_utils._findings import Finding
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings

Facts = t.Mapping[str, t.Any]
Network = t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
AskNode = t.Callable[[], t.Optional[t.Mapping[str, t.Any]]]


class OwnNetwork(t.NamedTuple):
    """A network that the values of a pod network name beside those of the cluster."""

    variable: str
    text: str
    #: Whether it has to have the slices of all nodes in it.
    holds_slices: bool


class Lasting(t.NamedTuple):
    """A setting that a cluster keeps for as long as it lives."""

    #: Its key in what :meth:`PodNetwork.state` has found in the cluster.
    key: str
    wanted: str
    #: The variable that says so.
    variable: str
    #: What it is, for people.
    what: str


class OnNode:
    """A pod network on this machine, compared with the slice of its Node; here one that has nothing to compare."""

    #: Whether a pod network of that kind has written into the Node that it is there.
    is_announced = False
    #: Whether it could take over what the Node says; the run may be about to install it.
    can_be_mended = True

    def contradictions(self) -> t.List[str]:
        """What is not as the Node has it, in words."""
        return []


class PodNetwork:
    """A pod network that the role cni can install. What stands here means that it has nothing of the kind."""

    # --- what it is

    #: What ``cluster_cni`` calls it; its variables begin with ``cni_NAME``. Empty for one of somebody else.
    name = ""
    #: What people call it.
    title = ""
    #: The chart that the role installs, or the manifest of a release.
    chart: t.Optional[Chart] = None
    manifest: t.Optional[Manifest] = None
    #: Or the variable with a list of charts and manifests, whose entries are those of the role addons.
    list_variable = ""
    #: Whether the pods of a node have addresses of the slice (``podCIDRs``) that its Node has.
    goes_by_slices = False
    #: Whether it can give pods addresses of two families, and sends those of both through one interface.
    has_two_families = False
    takes_one_interface = False
    #: Whether it does without IPv4.
    can_ipv6_alone = False
    #: Whether it holds to NetworkPolicy.
    has_policies = False
    #: Why it cannot run beside another one, so that none of both is changed for the other; empty where it can.
    alone = ""
    #: Bytes of each packet between nodes that it takes for itself.
    overhead = 0
    #: What tells that it is ready beside nodes that are, as conditions of the module ``kube_wait``.
    conditions: t.Tuple[t.Dict[str, t.Any], ...] = ()
    #: Kubespray's names of its variables, with those that they have here; and those of them that others use, too.
    kubespray: t.Mapping[str, str] = {}
    kubespray_weak: t.Tuple[str, ...] = ()

    @property
    def words(self) -> t.Tuple[str, ...]:
        """The words that name it and nothing else: in names of files that it writes, and of variables of others."""
        return (self.name,) if self.name else ()

    def told(self, settings: Settings) -> PodNetwork:
        """It as the settings of a host make it; what stands in this class is what a machine has without them."""
        return self

    # --- what it has on each machine

    #: Kernel modules that some setting of it needs.
    kernel_modules: t.Tuple[str, ...] = ()
    #: Examples of the interfaces that it makes, in the words of systemd.network(5).
    interfaces: t.Tuple[t.Dict[str, str], ...] = ()
    #: How the names of interfaces begin that are its own alone.
    interface_prefixes: t.Tuple[str, ...] = ()
    #: Its file in ``/etc/cni/net.d``. All whose names have one of its words in them are removed with a node.
    cni_file = ""
    #: The name of the network in that file.
    cni_network = ""
    #: The bridge that its pods' interfaces are ports of.
    bridge = ""

    # --- what it leaves on each machine

    #: Regular expressions for whole names of interfaces that are removed.
    left_interfaces: t.Tuple[str, ...] = ()
    #: Names of files in ``/etc/cni/net.d`` beside those with its words.
    left_cni_files: t.Tuple[str, ...] = ()
    #: How the names of its chains of iptables begin, and regular expressions for rules in chains of others.
    chains: t.Tuple[str, ...] = ()
    rules: t.Tuple[str, ...] = ()
    #: Its tables of nftables.
    nft_tables: t.Tuple[str, ...] = ()
    #: How the names of its sets of addresses (ipset) begin.
    ip_sets: t.Tuple[str, ...] = ()
    #: Regular expressions for routes as ``ip route`` shows them, which no interface takes with it.
    left_routes: t.Tuple[str, ...] = ()
    #: Networks whose routes by other machines are its own, beside :meth:`network`.
    left_networks: t.Tuple[str, ...] = ()
    #: The same for those of its routes to pods of other nodes that are on the machine's own interfaces. Only those into
    #: the network of all pods are looked at; a node that becomes a bare machine loses all of these.
    pod_routes: t.Tuple[str, ...] = ()
    #: Its mount points.
    left_mounts: t.Tuple[str, ...] = ()
    #: How the names of its programs begin that packets of the machine's own interfaces go through.
    traffic_filters: t.Tuple[str, ...] = ()
    #: Patterns (glob) of files of its own in folders of others.
    left_files: t.Tuple[str, ...] = ()
    #: Folders of its own, and those in ``/var/lib/cni``.
    folders: t.Tuple[str, ...] = ()
    cni_folders: t.Tuple[str, ...] = ()
    #: Programs that it copies among those of packages, which may have brought them.
    programs: t.Tuple[str, ...] = ()
    #: What the role keeps of it on control planes.
    kept_files: t.Tuple[str, ...] = ()

    def network(self, root: str = "") -> str:
        """The network of all pods, or two with a comma between them, as it was written down on this machine."""
        return ""

    # --- by the settings of a host

    def findings(self, settings: Settings) -> t.Iterator[Finding]:
        """What is wrong with settings of its own that argument_specs cannot refuse."""
        return iter(())

    def leftovers(self, settings: Settings) -> t.Dict[str, t.List[str]]:
        """What it leaves on a machine that only settings tell, as the module ``kubeadm_reset`` takes it."""
        return {}

    def objects(self, settings: Settings) -> t.List[t.Dict[str, t.Any]]:
        """The objects that are applied with its manifest."""
        return []

    def chart_values(self, settings: Settings) -> t.Dict[str, t.Any]:
        """The values of its chart that follow from settings, where there is more to think of than to pass them on."""
        return {}

    def patches(self, settings: Settings) -> t.List[t.Dict[str, t.Any]]:
        """The parts that are laid over objects of its manifest, as the module ``kube_apply`` takes them."""
        return []

    def overhead_with(self, settings: Settings) -> int:
        """The bytes of each packet that it takes with these settings."""
        return self.overhead

    def mtu(self, settings: Settings) -> int:
        """The MTU that interfaces of pods are told to have, by the variable ``cni_NAME_mtu``; 0 when none is told."""
        return 0

    @property
    def ports_variable(self) -> str:
        """The variable that gives it another port."""
        return f"cni_{self.name}_values"

    def ports(self, settings: Settings) -> t.List[Port]:
        """The ports that it needs."""
        return []

    def protocols(self, settings: Settings) -> t.List[str]:
        """The protocols without ports that it needs between nodes, as the module ``node_firewall`` calls them."""
        return []

    def modules(self, settings: Settings) -> t.Set[str]:
        """Those of its kernel modules that these settings need."""
        return set()

    def interface(self, settings: Settings, facts: Facts, first: Settings, first_facts: Facts) -> str:
        """The interface, or its address, that it takes for the traffic between nodes; empty when it finds one itself.

        :param first: the first control plane, where the role cni runs.
        """
        return ""

    #: How the interface is set right where its name differs between machines.
    interface_remedy = ""

    def networks(self, settings: Settings) -> t.List[OwnNetwork]:
        """The networks that its own values name."""
        return []

    def lasting(self, settings: Settings) -> t.List[Lasting]:
        """The settings that cannot be changed on a running cluster."""
        return []

    # --- in a cluster

    #: Namespace and name of the ConfigMap that it keeps in the cluster.
    config_map = ("", "")

    #: Where that object is in clusters that have IPv6 alone, when it is another one.
    path6 = ""

    @property
    def path(self) -> str:
        """Where the API server has what it keeps in the cluster; empty when it keeps nothing."""
        namespace, name = self.config_map
        return f"/api/v1/namespaces/{namespace}/configmaps/{name}" if name else ""

    @property
    def release(self) -> str:
        """What :meth:`state` says as ``release`` where the role has installed it."""
        return self.chart.release if self.chart else self.manifest.set_name if self.manifest else ""

    #: Namespaces and label selectors of its own pods.
    agents: t.Tuple[t.Tuple[str, str], ...] = ()
    #: Kinds and names of objects without which its agents cannot tell Nodes that they have no network while they end:
    #: these go first. A Node that says so announces no services and takes no pods.
    voices: t.Tuple[t.Tuple[str, str], ...] = ()
    #: How the names of the annotations begin that it writes into Nodes.
    node_annotations: t.Tuple[str, ...] = ()

    def keeps_off(self, networks: t.Sequence[str]) -> t.List[t.Dict[str, t.Any]]:
        """The objects by which it gives no addresses of these networks to pods, while another pod network has them."""
        return []

    def state(self, kept: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
        """What the object at :attr:`path` says, without secrets, and the ``release`` that made it; empty when nothing.

        The release is that of Helm, or for a manifest the set.
        """
        return {}

    def sessions(self, runner: Runner) -> t.Dict[str, str]:
        """The state of each session that this machine has with a peer to exchange routes, and what is said of it.

        That of one that is established is empty. Without peers, or without the tool that tells of them, there is none.
        """
        return {}

    # --- when the slice of a Node changes

    def had_slice(self) -> bool:
        """Whether this machine has had a slice since it was booted."""
        return False

    def on_node(self, node: t.Mapping[str, t.Any]) -> OnNode:
        """What there is of it on this machine."""
        return OnNode()

    def mend(self, ask: AskNode, timeout: float) -> None:
        """Bring this machine to the slice that its Node has.

        :raises SlipwayError: when it does not take the slice over in time.
        """


#: The smallest MTU that IPv6 allows, and the largest that an interface can have.
MTUS = (1280, 65535)


def mtu_findings(variable: str, mtu: int, remedy: str, smallest: int = MTUS[0]) -> t.Iterator[Finding]:
    """What is wrong with the MTU that interfaces of pods are told to have; 0 is none."""
    if mtu and not smallest <= mtu <= MTUS[1]:
        yield Finding(variable, f"is {mtu}, and has to be 0 or between {smallest} and {MTUS[1]}.", remedy)


def number_of(value: t.Any, otherwise: int) -> int:
    """A number that is passed through, or what it is without one; its type is not ours to report."""
    try:
        return int(str(value))
    except ValueError:
        return otherwise


def helm_release(metadata: t.Mapping[str, t.Any]) -> str:
    """The release of Helm that an object in the cluster is of; empty when it is of none."""
    return str((metadata.get("annotations") or {}).get("meta.helm.sh/release-name") or "")


def slices(node: t.Mapping[str, t.Any]) -> t.List[Network]:
    """The slices of the pod network that a Node has."""
    spec = node.get("spec") or {}
    return [ipaddress.ip_network(text) for text in spec.get("podCIDRs") or filter(None, [spec.get("podCIDR")])]


def network_of_family(text: str, version: int) -> str:
    """That of the networks with commas between them which is of this family; empty when none is."""
    parts = [part.strip() for part in text.split(",")]
    return next((part for part in parts if part and (6 if ":" in part else 4) == version), "")


def families(settings: Settings) -> t.List[int]:
    """The versions of IP that pods have, IPv4 first; that alone where nothing else is said."""
    text = settings.text("cluster_pod_subnet")
    return [version for version in (4, 6) if network_of_family(text, version)] or [4]


def has_two_families(settings: Settings) -> bool:
    """Whether pods have addresses of IPv4 and of IPv6."""
    return families(settings) == [4, 6]


def has_ipv6_alone(settings: Settings) -> bool:
    """Whether pods, and so nodes for each other, have addresses of IPv6 and none of IPv4."""
    return families(settings) == [6]


def default_address(settings: Settings, facts: Facts) -> str:
    """The address at which other nodes reach a machine, by its default route; empty when it has none."""
    return str(facts.get("default_address6" if has_ipv6_alone(settings) else "default_address") or "")


def interface_with_address(facts: Facts, address: str) -> str:
    """The name of the interface that has the address; empty when there is none."""
    with contextlib.suppress(ValueError):
        # Machines write those of IPv6 in one way, inventories in many.
        address = str(ipaddress.ip_address(address))
    return next(
        (
            str(interface["name"])
            for interface in facts["interfaces"]
            for entry in interface.get("addresses", [])
            if entry["address"] == address
        ),
        "",
    )
