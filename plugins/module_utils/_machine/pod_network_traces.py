# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pod network has left on a machine whose node goes on with another one.

Everything is found by the same names as when a node becomes a bare machine, by those of some pod networks alone.

Private to this collection.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine import leftovers
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import ip_sets, netfilter, traffic_filters
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages import package_manager
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import PodNetwork

Found = t.Dict[str, t.List[str]]

CNI_FILES = "/etc/cni/net.d"
#: What the container runtime takes for the configuration of a network. Source: libcni's ConfFiles.
_CONFIGURATION = (".conf", ".conflist", ".json")


class Traces:
    """What some pod networks have on this machine.

    :param networks: those that go.
    :param successor: the one that stays; what it has, too, is not looked at.
    :param ranges: the networks of all pods; they may have written down others.
    :param root: the folder that stands for ``/``, for tests.
    """

    def __init__(
        self,
        networks: t.Sequence[PodNetwork],
        successor: PodNetwork,
        runner: Runner,
        ranges: t.Sequence[str] = (),
        root: str = "",
    ) -> None:
        self._networks = networks
        self._successor = successor
        self._runner = runner
        self._root = root
        self._packages = package_manager(runner)
        self._iptables = netfilter.programs(runner)
        written = [text for network in networks for text in [network.network(root)] if text]
        self._ranges = list(dict.fromkeys([*ranges, *written]))

    @property
    def cni_networks(self) -> t.List[str]:
        """The names that they have for CNI."""
        return [network.cni_network for network in self._networks]

    def configuration(self) -> t.List[str]:
        """Their files by which the container runtime would give new pods to them."""
        return [path for path in self._cni_files() if path.endswith(_CONFIGURATION)]

    def stale_chains(self) -> t.List[t.Tuple[str, netfilter.Plan]]:
        """What the CNI plugins have made for pods in these networks, such as their ports of the node."""
        return list(netfilter.plans(self._runner, self._iptables, self.cni_networks, []))

    def survey(self) -> Found:
        """What there is of them, by kind, in the order in which it is removed."""
        found = {
            "mounts": leftovers.mounts(networks=self._networks),
            "traffic filters": [str(item) for item in traffic_filters.found(self._networks)],
            "interfaces": self._interfaces(),
            "routes": self._routes(),
            "iptables": [f"{tool} {name}" for tool, plan in self._plans() for name in plan.names],
            "nftables": [" ".join(table) for table in netfilter.nft_tables(rows=self._networks)],
            "ipsets": self._sets(),
            "files": self._files(),
        }
        return {kind: items for kind, items in found.items() if items}

    def remove(self) -> None:
        """Remove all of that.

        :raises SlipwayError: when something cannot be removed.
        """
        leftovers.unmount(self._runner, self._networks)
        self._remove_network()
        for path in self._files():
            leftovers.remove(path)
        folders = [folder for network in self._networks for folder in network.folders]
        leftovers.remove_if_empty(*(self._root + folder for folder in folders))

    def _cni_files(self) -> t.List[str]:
        return leftovers.cni_files(self._root + CNI_FILES, self._networks)

    def _interfaces(self) -> t.List[str]:
        found = leftovers.interfaces(networks=self._networks)
        kept = leftovers.interfaces(networks=[self._successor]) if found else []
        return [name for name in found if name not in kept]

    def _routes(self) -> t.List[str]:
        """Routes to pods of other nodes that are on no interface of theirs."""
        ip = self._runner.which("ip", required=False)
        if ip is None:
            return []
        patterns = [pattern for network in self._networks for pattern in network.pod_routes]
        shown = [self._runner.run([ip, "route", "show", "root", text]).stdout for text in self._ranges if patterns]
        lines = [line.strip() for text in shown for line in text.splitlines()]
        own = set(leftovers.interfaces(networks=[*self._networks, self._successor]))
        found = [
            line
            for line in lines
            if not own & set(line.split()) and any(re.fullmatch(pattern, line) for pattern in patterns)
        ]
        others = leftovers.routes(self._runner.run([ip, "route", "show"]).stdout, self._networks)
        return list(dict.fromkeys([*found, *others]))

    def _plans(self) -> t.Iterator[t.Tuple[str, netfilter.Plan]]:
        return netfilter.plans(self._runner, self._iptables, self.cni_networks, self._networks)

    def _sets(self) -> t.List[str]:
        return ip_sets.names(self._networks) if self._iptables else []

    def _files(self) -> t.List[str]:
        folders = [self._root + folder for network in self._networks for folder in network.folders]
        kept = [self._root + path for network in self._networks for path in network.kept_files]
        programs = leftovers.copied_programs(self._networks, self._packages.owner, self._root)
        paths = [
            *(path for folder in folders for path in leftovers.contents(folder)),
            *self._cni_files(),
            *leftovers.cni_state(self.cni_networks, f"{self._root}/var/lib/cni", self._networks),
            *(self._root + path for path in programs),
            *leftovers.own_files(self._networks, self._root),
            *kept,
        ]
        return [path for path in dict.fromkeys(paths) if os.path.lexists(path)]

    def _remove_network(self) -> None:
        traffic_filters.remove(traffic_filters.found(self._networks))
        leftovers.delete_links(self._runner, self._routes(), self._interfaces())
        for tool, plan in self._plans():
            netfilter.take_out(self._runner, tool, plan)
        netfilter.delete_nft_tables(netfilter.nft_tables(rows=self._networks))
        ip_sets.destroy_all(self._sets())
