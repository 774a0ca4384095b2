# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What firewalls let through, where they are told so.

Private to this collection.
"""

from __future__ import annotations

import ipaddress
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner

#: Protocols without ports, by their names in rules, with their numbers. Source: IANA, Protocol Numbers.
NUMBERS = {"ipip": 4, "icmpv6": 58, "vrrp": 112}
#: The one by which machines find their neighbours in IPv6, without which nothing of it goes.
ICMPV6 = "icmpv6"


class Opening(t.NamedTuple):
    """What may come to this machine, or through it."""

    #: ``tcp``, ``udp``, a key of :data:`NUMBERS`, or empty for all.
    protocol: str = ""
    #: ``6443``, ``2379-2380``, or empty for all.
    port: str = ""
    #: The network that it comes from, and the one that it goes to; empty for all.
    source: str = ""
    destination: str = ""
    #: Whether it goes through the machine, to pods or from them.
    forwarded: bool = False

    @property
    def version(self) -> int:
        """The version of IP that it is about; 0 for both."""
        network = self.source or self.destination
        if self.protocol == ICMPV6:
            return 6
        return ipaddress.ip_network(network, strict=False).version if network else 0

    def __str__(self) -> str:
        what = " ".join(filter(None, (self.protocol, self.port))) or "everything"
        ends = [f"from {self.source}" if self.source else "", f"to {self.destination}" if self.destination else ""]
        return " ".join(filter(None, ("forward" if self.forwarded else "accept", what, *ends)))


class Change(t.NamedTuple):
    """What was let through before, by us, and what is now."""

    before: t.List[str]
    after: t.List[str]
    #: Whether the firewall did not go by what was written for it, as after a run that was killed.
    is_behind: bool = False

    @property
    def is_one(self) -> bool:
        """Whether there was something to do."""
        return self.is_behind or self.before != self.after


class Firewall:
    """A firewall of a machine. What stands here means that there is none."""

    #: What people call it.
    name = ""
    #: The unit of systemd that runs it, when it has one that can be turned off.
    service = ""

    def __init__(self, runner: Runner, root: str = "") -> None:
        self._runner = runner
        self._root = root

    def is_here(self) -> bool:
        """Whether something of ours may be in it, be it active or not."""
        return True

    def is_active(self) -> bool:
        """Whether it drops what it does not name."""
        return False

    def expect(self, openings: t.Sequence[Opening]) -> None:
        """Refuse what it cannot let through.

        :raises SlipwayError: when it cannot.
        """

    def bring(self, openings: t.Sequence[Opening], keep: bool, check_mode: bool) -> Change:
        """Let through what is named, now and after each boot.

        :param keep: whether what was let through for us before and is not named stays.
        """
        return Change([], [])

    def disable(self, check_mode: bool) -> None:
        """Turn it off, now and for each boot; only asked of one that has a service."""
