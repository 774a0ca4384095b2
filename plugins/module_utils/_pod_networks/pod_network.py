# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to say about a pod network.

Private to this collection.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._charts import Chart, Port
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
    #: The chart that the role installs.
    chart: t.Optional[Chart] = None
    #: Whether the pods of a node have addresses of the slice (``podCIDRs``) that its Node has.
    goes_by_slices = False
    #: Bytes of each packet between nodes that it takes for itself.
    overhead = 0
    #: What tells that it is ready beside nodes that are, as conditions of the module ``kube_wait``.
    conditions: t.Tuple[t.Dict[str, t.Any], ...] = ()
    #: Kubespray's names of its variables, with those that they have here; and those of them that others use, too.
    kubespray: t.Mapping[str, str] = {}
    kubespray_weak: t.Tuple[str, ...] = ()

    # --- what it has on each machine

    #: Kernel modules that some setting of it needs.
    kernel_modules: t.Tuple[str, ...] = ()
    #: Examples of the interfaces that it makes, in the words of systemd.network(5).
    interfaces: t.Tuple[t.Dict[str, str], ...] = ()
    #: How the names of interfaces begin that are its own alone.
    interface_prefixes: t.Tuple[str, ...] = ()
    #: Its file in ``/etc/cni/net.d``. All whose names have the name of a pod network in them are removed with a node.
    cni_file = ""
    #: The name of the network in that file.
    cni_network = ""

    # --- what it leaves on each machine

    #: Regular expressions for whole names of interfaces that are removed.
    left_interfaces: t.Tuple[str, ...] = ()
    #: How the names of its chains of iptables begin, and regular expressions for rules in chains of others.
    chains: t.Tuple[str, ...] = ()
    rules: t.Tuple[str, ...] = ()
    #: Its tables of nftables.
    nft_tables: t.Tuple[str, ...] = ()
    #: Folders of its own, and those in ``/var/lib/cni``.
    folders: t.Tuple[str, ...] = ()
    cni_folders: t.Tuple[str, ...] = ()
    #: Programs that it copies among those of packages, which may have brought them.
    programs: t.Tuple[str, ...] = ()

    def network(self, root: str = "") -> str:
        """The network of all pods, as it was written down on this machine; empty when it was not."""
        return ""

    # --- by the settings of a host

    def ports(self, settings: Settings) -> t.List[Port]:
        """The ports that it needs."""
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

    def state(self, config_map: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
        """What its ConfigMap says, without secrets, and the ``release`` of Helm that made it; empty when nothing."""
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


def slices(node: t.Mapping[str, t.Any]) -> t.List[Network]:
    """The slices of the pod network that a Node has."""
    spec = node.get("spec") or {}
    return [ipaddress.ip_network(text) for text in spec.get("podCIDRs") or filter(None, [spec.get("podCIDR")])]


def interface_with_address(facts: Facts, address: str) -> str:
    """The name of the interface that has the address; empty when there is none."""
    return next(
        (
            str(interface["name"])
            for interface in facts["interfaces"]
            for entry in interface.get("addresses", [])
            if entry["address"] == address
        ),
        "",
    )
