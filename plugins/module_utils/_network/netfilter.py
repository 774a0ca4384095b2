# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Kubernetes has put into the kernel's packet filter: found by name, and taken out without touching the rest.

Tables of nftables are listed and deleted by nfnetlink, so that `nft` is not needed.

Private to this collection.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _netlink
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import nfnetlink
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import POD_NETWORKS, PodNetwork
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes import RUNTIMES

#: Chains of kube-proxy and the kubelet, and of the CNI plugins bridge, portmap and firewall.
_CHAINS = ("KUBE-", "CNI-")
_TARGET = re.compile(r"\s(?:-j|-g|--jump|--goto) (\S+)")
#: The CNI plugins write the network into the rule that leads to a pod's chain.
_NETWORK = re.compile(r'--comment "(?:dnat )?name: \\"([^\\]*)\\"')

#: Chains of the CNI plugins that all networks of a machine share: portmap's, and those of the plugin firewall.
_PORTS = ("CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-MASQ", "CNI-HOSTPORT-SETMARK")
_FORWARD, _OVERRIDES = "CNI-FORWARD", "CNI-ADMIN"
_ADDRESS = re.compile(r"\s-[sd] ")

#: Tables of nftables by name: kube-proxy's, and those that the CNI plugins portmap and bridge have for all networks.
_NFT_TABLES = ("kube-proxy",)
_SHARED_NFT_TABLES = ("cni_hostport", "cni_plugins_masquerade")

_FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
_NFTABLES = 10
_NEW_TABLE, _GET_TABLE, _DELETE_TABLE = _NFTABLES << 8, _NFTABLES << 8 | 1, _NFTABLES << 8 | 2
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_TABLE_NAME = 1
_NO_SUCH_TABLE = 2

Table = t.Tuple[str, str]


class Plan(t.NamedTuple):
    """What to take out of one family's tables."""

    #: ``TABLE CHAIN``, and rules in other chains, for people.
    names: t.List[str]
    #: The text for ``iptables-restore --noflush``; empty when there is nothing.
    text: str


def programs(runner: Runner) -> t.List[str]:
    """The names of the programs that between them see all rules, such as ``iptables-nft``."""
    found = []
    for family, tables in (("iptables", "ip_tables_names"), ("ip6tables", "ip6_tables_names")):
        wanted = [f"{family}-nft"]
        if read_text(f"/proc/net/{tables}").strip():
            wanted.append(f"{family}-legacy")
        there = [tool for tool in wanted if runner.which(f"{tool}-save", required=False)]
        if not there and runner.which(f"{family}-save", required=False):
            there = [family]
        found += there
    return found


def parse(saved: str) -> t.Dict[str, t.Tuple[t.List[str], t.List[t.Tuple[str, str]]]]:
    """The user-defined chains, and the rules with their chains, of each table in ``iptables-save``'s output."""
    tables: t.Dict[str, t.Tuple[t.List[str], t.List[t.Tuple[str, str]]]] = {}
    chains: t.List[str] = []
    rules: t.List[t.Tuple[str, str]] = []
    for line in saved.splitlines():
        if line.startswith("*"):
            chains, rules = [], []
            tables[line[1:].strip()] = (chains, rules)
        elif line.startswith(":"):
            name, policy = line[1:].split()[:2]
            if policy == "-":
                chains.append(name)
        elif line.startswith("-A "):
            rules.append((line.split()[1], line))
    return tables


def foreign_chains(rules: t.Sequence[t.Tuple[str, str]], networks: t.Container[str]) -> t.Set[str]:
    """Chains with our kind of name that the CNI plugins made for networks of others, and those that lead there."""
    foreign = set()
    for _chain, rule in rules:
        network, target = _NETWORK.search(rule), _TARGET.search(rule)
        if network and target and network.group(1) not in networks:
            foreign.add(target.group(1))
    if any(name.startswith("CNI-DN-") for name in foreign):
        foreign.update(_PORTS)
    # Those of our pods go with the pods. The overrides are the administrator's.
    if any((chain == _FORWARD and _ADDRESS.search(rule)) or chain == _OVERRIDES for chain, rule in rules):
        foreign.update((_FORWARD, _OVERRIDES))
    while True:
        leading = {
            chain
            for chain, rule in rules
            for target in [_TARGET.search(rule)]
            if target and target.group(1) in foreign and chain.startswith("CNI-")
        }
        if leading <= foreign:
            return foreign
        foreign |= leading


def chains_of(rules: t.Sequence[t.Tuple[str, str]], networks: t.Container[str]) -> t.Set[str]:
    """Chains that the CNI plugins made for pods of these networks."""
    found = set()
    for _chain, rule in rules:
        network, target = _NETWORK.search(rule), _TARGET.search(rule)
        if network and target and network.group(1) in networks:
            found.add(target.group(1))
    return found


def _is_ours(
    rules: t.Sequence[t.Tuple[str, str]], networks: t.Container[str], rows: t.Optional[t.Sequence[PodNetwork]]
) -> t.Callable[[str], bool]:
    """What tells the chains of one table that go."""
    if rows is not None:
        prefixes = tuple(chain for network in rows for chain in network.chains)
        own = chains_of(rules, networks)
        return lambda name: name in own or name.startswith(prefixes)
    of_runtimes = (chain for runtime in RUNTIMES.values() for chain in runtime.chains)
    prefixes = (*_CHAINS, *of_runtimes, *(chain for network in POD_NETWORKS.values() for chain in network.chains))
    foreign = foreign_chains(rules, networks)
    return lambda name: name.startswith(prefixes) and name not in foreign


def plan(saved: str, networks: t.Container[str], rows: t.Optional[t.Sequence[PodNetwork]] = None) -> Plan:
    """What to take out of the tables that ``iptables-save`` printed.

    :param networks: the names of our CNI networks.
    :param rows: pod networks that the node goes on without; then all that is not theirs stays. An empty list is about
        what the CNI plugins have made for pods alone.
    """
    names: t.List[str] = []
    text = ""
    strays = [rule for network in (POD_NETWORKS.values() if rows is None else rows) for rule in network.rules]
    for table, (chains, rules) in parse(saved).items():
        is_ours = _is_ours(rules, networks, rows)
        ours = [name for name in chains if is_ours(name)]
        leading = []
        for chain, rule in rules:
            target = _TARGET.search(rule)
            if chain not in ours and (
                (target and target.group(1) in ours) or any(re.search(stray, rule) for stray in strays)
            ):
                leading.append("-D" + rule[2:])
        if ours or leading:
            names += [f"{table} {name}" for name in ours]
            if not ours:
                names += [f"{table} {rule[3:]}" for rule in leading]
            lines = [f"*{table}", *(f":{name} - [0:0]" for name in ours), *leading, *(f"-X {name}" for name in ours)]
            text += "\n".join([*lines, "COMMIT"]) + "\n"
    return Plan(names, text)


def plans(
    runner: Runner,
    tools: t.Iterable[str],
    networks: t.Container[str],
    rows: t.Optional[t.Sequence[PodNetwork]] = None,
) -> t.Iterator[t.Tuple[str, Plan]]:
    """What each of the programs would take out, where that is something; as for :func:`plan`."""
    for tool in tools:
        found = plan(runner.run([runner.path(f"{tool}-save")]).stdout, networks, rows)
        if found.text:
            yield tool, found


def take_out(runner: Runner, tool: str, wanted: Plan) -> None:
    """Do what a plan says.

    :raises SlipwayError: when the program refuses.
    """
    runner.run(
        [runner.path(f"{tool}-restore"), "--noflush", "--wait=30"],
        stdin=wanted.text,
        failure=f"{tool} does not remove the rules of Kubernetes",
    )


def parse_tables(messages: t.Iterable[_netlink.Message]) -> t.List[Table]:
    """Family and name of the tables in the kernel's answer."""
    found = []
    for kind, payload in messages:
        if kind == _NEW_TABLE:
            name = _netlink.attributes(payload[4:]).get(_TABLE_NAME, b"").rstrip(b"\0").decode("utf-8", "replace")
            found.append((_FAMILIES.get(payload[0], str(payload[0])), name))
    return found


def table_names(shared: bool = False, rows: t.Optional[t.Sequence[PodNetwork]] = None) -> t.Set[str]:
    """The names of tables of nftables that are ours.

    :param shared: whether other CNI networks may have something in those of the CNI plugins.
    :param rows: as for :func:`plan`.
    """
    if rows is not None:
        return {name for network in rows for name in network.nft_tables}
    plugins = () if shared else _SHARED_NFT_TABLES
    of_runtimes = (name for runtime in RUNTIMES.values() for name in runtime.nft_tables)
    of_networks = (name for network in POD_NETWORKS.values() for name in network.nft_tables)
    return {*_NFT_TABLES, *plugins, *of_runtimes, *of_networks}


def nft_tables(shared: bool = False, rows: t.Optional[t.Sequence[PodNetwork]] = None) -> t.List[Table]:
    """Family and name of the tables that are ours; none where the kernel has no nftables.

    :param shared: as for :func:`table_names`.
    :param rows: as for :func:`plan`.
    """
    try:
        answers = list(nfnetlink.ask(nfnetlink.message(_GET_TABLE, nfnetlink.REQUEST | nfnetlink.DUMP)))
    except OSError:
        return []
    names = table_names(shared, rows)
    return [table for table in parse_tables(answers) if table[1] in names]


def delete_nft_tables(tables: t.Iterable[Table]) -> None:
    """Delete tables with all that is in them.

    :raises SlipwayError: when the kernel refuses.
    """
    for table in tables:
        try:
            delete_nft_table(table)
        except OSError as error:
            raise SlipwayError(f"The table {' '.join(table)} of nftables cannot be deleted: {error}.") from error


def delete_nft_table(table: Table) -> None:
    """Delete a table with all that is in it; one that has gone meanwhile is no error.

    :raises OSError: when the kernel refuses.
    """
    family = next(number for number, name in _FAMILIES.items() if name == table[0])
    attribute = nfnetlink.attribute(_TABLE_NAME, table[1].encode() + b"\0")
    flags = nfnetlink.REQUEST | nfnetlink.ACKNOWLEDGE
    batch = nfnetlink.message(_BATCH_BEGIN, nfnetlink.REQUEST, resource=_NFTABLES)
    batch += nfnetlink.message(_DELETE_TABLE, flags, sequence=2, family=family, payload=attribute)
    batch += nfnetlink.message(_BATCH_END, nfnetlink.REQUEST, sequence=3, resource=_NFTABLES)
    code = nfnetlink.refusal(batch, _NO_SUCH_TABLE)
    if code:
        raise OSError(code, f"nftables: table {table[0]} {table[1]}")
