# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which addresses and names a node may have in the certificate of its kubelet.

What a machine says about itself is not proof: who is root on a worker gives it any address, and answers our modules as
he likes. So a node may have the address that it announces, which is the inventory's when it names one, and what the
inventory adds (cluster_node_cert_sans), but nothing that is another's: of another host, of the endpoint and the API
servers, of the networks of pods and services, or of no machine in particular. An address that the inventory gives a
host (cluster_node_ip, ansible_host) stays its own when another one takes it as well; where only machines speak for
themselves and say the same, none of them is believed.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import collections
import dataclasses
import ipaddress
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._pki.x509 import canonical_address
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _families
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._look import stated

NODE_IP = "cluster_node_ip"
CERT_SANS = "cluster_node_cert_sans"
API_SERVER_SANS = "control_plane_cert_sans"

#: Objections that other checks of preflight have against the address that a node announces.
CLAIMED = "is claimed by"
IN_A_NETWORK = "is in the network of pods or services"
#: The domain of services unless the inventory says another one; its names are kept from nodes in any case.
DNS_DOMAIN = "cluster.local"
#: Names of services, without the cluster's domain: the API server's for pods, NAME.NAMESPACE.svc of any other.
_OF_A_SERVICE = re.compile(r"kubernetes(\.default)?|.+\.[^.]+\.svc")
#: Names of every machine, by /etc/hosts or by resolvers.
_OF_EVERY_MACHINE = re.compile(
    r"(localhost[46]?|loopback|ip6-(localhost|loopback|localnet|mcastprefix|all(nodes|routers|hosts)))(\..*)?"
    r"|.+\.localhost"
)


def address_of(text: t.Any) -> str:
    """``text`` in the canonical form of addresses; empty when it is a name or nothing."""
    try:
        return canonical_address(str(text or "").strip())
    except ValueError:
        return ""


def dns_domains(variables: t.Mapping[str, t.Any]) -> t.List[str]:
    """The domains of services that the variables of a host name."""
    own = stated(variables, "control_plane_cluster_configuration")
    network = own.get("networking") if isinstance(own, dict) else None
    more = network.get("dnsDomain") if isinstance(network, dict) else None
    return [str(domain) for domain in (stated(variables, "cluster_dns_domain"), more) if domain]


@dataclasses.dataclass(frozen=True)
class Machine:
    """What inventory and machine say about the addresses of one host."""

    name: str
    #: Where its kubelet can be reached by other nodes; none when that is not known. One of IPv6 comes second.
    announced: t.Tuple[str, ...]
    #: What the inventory says that it has.
    stated: t.FrozenSet[str]
    #: What the inventory wants its certificate to bear besides.
    extra_addresses: t.Tuple[str, ...]
    extra_names: t.Tuple[str, ...]
    #: What it says that its interfaces have.
    present: t.FrozenSet[str]
    control_plane: bool = False
    #: Names and addresses that the certificates of API servers have by what it says, or the inventory for it.
    api_server_names: t.FrozenSet[str] = frozenset()
    #: The addresses of names, as a control plane resolves them.
    resolved: t.Mapping[str, t.FrozenSet[str]] = dataclasses.field(default_factory=dict)

    @property
    def claims(self) -> t.List[str]:
        """The addresses that its certificate shall bear, the announced ones first."""
        return list(dict.fromkeys([*self.announced, *self.extra_addresses]))


def machine(
    name: str,
    variables: t.Mapping[str, t.Any],
    facts: t.Optional[t.Mapping[str, t.Any]],
    control_plane: bool = False,
    networks: t.Sequence[t.Any] = (),
) -> Machine:
    """The host ``name`` by its variables and by what node_facts found on it, if anything.

    :param networks: those of pods and services, by which its kubelet announces an address of IPv6, too, or alone.
    """
    is_alone = _families.is_ipv6_alone(networks)
    has_ipv6 = _families.has_ipv6(networks) and not is_alone
    node_ip = address_of(stated(variables, NODE_IP))
    node_ip6 = address_of(stated(variables, _families.NODE_IP6)) if has_ipv6 else ""
    extra = [str(entry).strip() for entry in _list(stated(variables, CERT_SANS))]
    own = facts or {}
    api_server = [*_list(stated(variables, API_SERVER_SANS)), *_list(own.get("kubernetes", {}).get("apiserver_names"))]
    names = (own.get("surroundings") or {}).get("names") or {}
    announced = address_of(_families.node_address(own, networks, node_ip))
    announced = announced or ("" if is_alone else address_of(own.get("default_address6")))
    announced6 = address_of(_families.address6(own, announced, node_ip6).address) if has_ipv6 else ""
    return Machine(
        name=name,
        announced=tuple(filter(None, [announced, announced6])),
        stated=frozenset(filter(None, [node_ip, node_ip6, address_of(variables.get("ansible_host"))])),
        extra_addresses=tuple(filter(None, map(address_of, extra))),
        extra_names=tuple(_canonical(entry) for entry in extra if entry and not address_of(entry)),
        present=frozenset(
            address_of(item.get("address"))
            for interface in own.get("interfaces", [])
            if not interface.get("virtual")
            for item in interface.get("addresses", [])
        ),
        control_plane=control_plane,
        api_server_names=frozenset(map(_canonical, api_server)) if control_plane else frozenset(),
        resolved={_canonical(key): frozenset(map(address_of, names[key])) for key in names} if control_plane else {},
    )


def _list(value: t.Any) -> t.List[t.Any]:
    return value if isinstance(value, list) else []


def _canonical(text: t.Any) -> str:
    return address_of(text) or str(text).strip().lower().rstrip(".")


def host_part(endpoint: str) -> str:
    """``host`` of ``host``, ``host:port``, ``[IPv6]`` or ``[IPv6]:port``."""
    text = endpoint.strip()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text if text.count(":") > 1 else text.partition(":")[0]


class Owners:
    """Who may have which address.

    :param machines: All hosts of the cluster, those included that this run leaves out.
    :param endpoints: Addresses and names that move from control plane to control plane, with or without a port.
    :param networks: Networks of pods and services; each text may have several, separated by commas.
    :param domains: Domains of services beside the default one.
    """

    def __init__(
        self,
        machines: t.Iterable[Machine],
        endpoints: t.Iterable[t.Any] = (),
        networks: t.Iterable[t.Any] = (),
        domains: t.Iterable[t.Any] = (),
    ) -> None:
        self.machines = list(machines)
        self._domains = {_canonical(domain) for domain in (*domains, DNS_DOMAIN)}
        self._endpoints = frozenset(_canonical(host_part(str(text))) for text in endpoints if text)
        self._api_servers = frozenset(name for one in self.machines for name in one.api_server_names)
        self._resolved = frozenset().union(
            *(one.resolved.get(name, ()) for one in self.machines for name in self._endpoints)
        )
        texts = [part.strip() for text in networks for part in str(text or "").split(",")]
        self._networks = [network for network in map(_network, texts) if network is not None]
        self._claimed: t.Dict[str, t.List[str]] = {}
        self._present: t.Dict[str, t.List[str]] = {}
        stated = collections.Counter(address for one in self.machines for address in one.stated)
        # One that several hosts are reached at is that of a gateway.
        self._stated = {address: one.name for one in self.machines for address in one.stated if stated[address] == 1}
        self._names = {one.name.lower() for one in self.machines}
        self._extra_names = collections.Counter(name for one in self.machines for name in set(one.extra_names))
        for one in self.machines:
            for address in one.claims:
                self._claimed.setdefault(address, []).append(one.name)
            for address in one.present:
                self._present.setdefault(address, []).append(one.name)

    def others_with(self, one: Machine, address: str) -> t.List[str]:
        """Other hosts that have ``address`` on an interface, or claim it, or are given it by the inventory."""
        names = [*self._claimed.get(address, []), *self._present.get(address, []), self._stated.get(address, "")]
        return sorted({name for name in names if name not in ("", one.name)})

    def objection(self, one: Machine, address: str) -> str:
        """Why ``one`` may not have ``address``, as the end of a sentence; empty when it may."""
        parsed = ipaddress.ip_address(address)
        if parsed.is_loopback or parsed.is_unspecified or parsed.is_multicast or parsed.is_link_local:
            return "is an address at which no other node can reach it"
        for network in self._networks:
            if parsed in network:
                return f"{IN_A_NETWORK} {network}"
        own = self._stated.get(address) == one.name
        of_the_endpoint = address in self._endpoints or (address in self._resolved and not one.control_plane)
        if (of_the_endpoint and not own) or self._is_an_api_server_of_others(one, address):
            return "is that of the endpoint or of API servers"
        claimed = sorted(set(self._claimed.get(address, [])) - {one.name})
        if claimed:
            return f"{CLAIMED} {', '.join(claimed)}, too"
        others = self.others_with(one, address)
        if others and not own:
            return f"is an address of {', '.join(others)}, too"
        return ""

    def name_objection(self, one: Machine, name: str) -> str:
        """The same for a DNS name that the inventory adds."""
        if name in self._names - {one.name.lower()}:
            return "is the name of another host"
        if self._extra_names[name] > (name in one.extra_names):
            return "is given to another host, too"
        return self._name_of_all(one, name)

    def own_name_objection(self, one: Machine) -> str:
        """The same for its own name, which every node has in its certificate."""
        return "" if one.control_plane else self._name_of_all(one, one.name.lower())

    def _name_of_all(self, one: Machine, name: str) -> str:
        if name in self._endpoints or self._is_an_api_server_of_others(one, name):
            return "is that of the endpoint or of API servers"
        of_all = _OF_A_SERVICE.fullmatch(self._in_the_cluster(name)) or _OF_EVERY_MACHINE.fullmatch(name)
        return "is the name of a service, or of every machine" if of_all else ""

    def _in_the_cluster(self, name: str) -> str:
        """The name without the domain of services, if it has it."""
        ends = [f".{domain}" for domain in self._domains if name.endswith(f".svc.{domain}")]
        return name[: -len(ends[0])] if ends else name

    def _is_an_api_server_of_others(self, one: Machine, name: str) -> bool:
        """Control planes have the authority's key: nothing is kept from them by what they may be called."""
        return name in self._api_servers and not one.control_plane

    def identity(self, one: Machine) -> t.Dict[str, t.Any]:
        """The node as the option ``nodes`` of kube_csr_approve takes it."""
        identity: t.Dict[str, t.Any] = {
            "name": one.name,
            "addresses": [address for address in one.claims if not self.objection(one, address)],
        }
        names = [name for name in one.extra_names if not self.name_objection(one, name)]
        return {**identity, "dns_names": names} if names else identity


def _network(text: str) -> t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network, None]:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None
