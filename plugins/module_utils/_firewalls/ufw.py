# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""ufw, the front end of iptables that Ubuntu has. Private to this collection."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._firewalls.firewall import (
    ICMPV6,
    Change,
    Firewall,
    Opening,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import firewalls

#: What rules of ours have as their comment.
COMMENT = "slipway.kubernetes"
_RULE = re.compile(r"^ufw (?P<rule>(?:route )?(?:allow|deny|reject|limit) .*?)(?: comment '(?P<comment>.*)')?$")


#: What of a rule does not make it another one: ufw puts the new one in its place.
_ACTION = re.compile(r"^(route )?(allow|deny|reject|limit)( in)?( log(-all)?)?\b")
#: From when on it has a rule for keepalived. Source: ufw's ChangeLog.
VRRP_SINCE = (0, 36, 2)


def words(opening: Opening) -> str:
    """A rule as ``ufw show added`` prints it."""
    port = opening.port.replace("-", ":")
    if opening.protocol in ("tcp", "udp") and port and not (opening.source or opening.destination):
        return f"allow {port}/{opening.protocol}"
    ends = f" from {_end(opening.source)}" if opening.source else ""
    if opening.destination or port:
        ends += f" to {_end(opening.destination) or 'any'}"
    ends += f" port {port}" if port else ""
    ends += f" proto {opening.protocol}" if opening.protocol else ""
    return f"{'route ' if opening.forwarded else ''}allow{ends}"


def _has(openings: t.Sequence[Opening], protocol: str) -> bool:
    return any(opening.protocol == protocol for opening in openings)


def _named(openings: t.Sequence[Opening]) -> t.List[Opening]:
    """Those that ufw has to be told; what IPv6 needs it lets through by itself (/etc/ufw/before6.rules)."""
    return [opening for opening in openings if opening.protocol != ICMPV6]


def _end(network: str) -> str:
    """A network, or one address, which ufw writes without its prefix."""
    address, _slash, prefix = network.partition("/")
    return address if prefix == ("128" if ":" in address else "32") else network


def parse(text: str) -> t.Dict[str, bool]:
    """The rules that ``ufw show added`` prints, and whether each is ours."""
    found = (_RULE.match(line.strip()) for line in text.splitlines())
    return {match["rule"]: match["comment"] == COMMENT for match in found if match}


class Ufw(Firewall):
    """ufw."""

    name = "ufw"
    service = "ufw.service"

    def is_here(self) -> bool:
        return self._runner.which("ufw", required=False) is not None

    def is_active(self) -> bool:
        # Also where it lets all in: it drops what goes through the machine all the same.
        return firewalls.ufw_is_on(self._root)

    def expect(self, openings: t.Sequence[Opening]) -> None:
        if _has(openings, "ipip"):
            raise SlipwayError(
                "ufw has no rule for IPIP, which the pod network uses between nodes. Choose another encapsulation, or"
                " admit protocol 4 in /etc/ufw/before.rules yourself and leave the firewall alone"
                " (node_prep_firewall: leave)."
            )
        without_six = re.search(r"^\s*IPV6\s*=\s*[\"']?no", read_text(f"{self._root}/etc/default/ufw"), re.MULTILINE)
        if without_six and any(opening.version == 6 for opening in openings):
            raise SlipwayError(
                "ufw leaves IPv6 alone (IPV6=no in /etc/default/ufw), and a network of the cluster is of IPv6. Set"
                " IPV6=yes there and run `ufw reload`, or leave the firewall alone (node_prep_firewall: leave)."
            )
        version = re.search(r"\d+(\.\d+)+", self._ufw("version")) if _has(openings, "vrrp") else None
        if version and tuple(map(int, version[0].split("."))) < VRRP_SINCE:
            raise SlipwayError(
                f"ufw {version[0]} has no rule for VRRP, by which keepalived keeps the endpoint; 0.36.2 has. Admit"
                " protocol 112 in /etc/ufw/before.rules yourself and leave the firewall alone (node_prep_firewall:"
                " leave)."
            )
        rules = parse(self._ufw("show", "added"))
        openings = _named(openings)
        refusing = {_ACTION.sub(r"\1allow", rule): rule for rule in rules if re.match(r"(route )?(deny|reject)", rule)}
        against = [refusing[rule] for rule in map(words, openings) if rule in refusing]
        if against:
            raise SlipwayError(
                f"ufw was told to refuse what a node needs: {'; '.join(against)}. Take that out (`ufw delete ...`), or"
                " leave the firewall alone (node_prep_firewall: leave)."
            )

    def bring(self, openings: t.Sequence[Opening], keep: bool, check_mode: bool) -> Change:
        known = parse(self._ufw("show", "added"))
        ours = [rule for rule, is_ours in known.items() if is_ours]
        wanted = list(dict.fromkeys(map(words, _named(openings))))
        surplus = [] if keep else [rule for rule in ours if rule not in wanted]
        # One that the machine's owner has made stays his, also when it limits or logs.
        theirs = {_ACTION.sub(r"\1allow", rule) for rule in known}
        missing = [rule for rule in wanted if rule not in theirs]
        if not check_mode:
            # First what is new: nothing that goes on is cut off between the two.
            for rule in missing:
                self._ufw(*rule.split(), "comment", COMMENT)
            if missing:
                self._expect(missing)
            for rule in surplus:
                route, rest = rule.split()[:1], rule.split()[1:]
                self._ufw(*(["route", "delete", *rest] if route == ["route"] else ["delete", *route, *rest]))
        return Change(ours, [rule for rule in ours if rule not in surplus] + missing)

    def _expect(self, rules: t.Sequence[str]) -> None:
        """Look whether ufw has rules as we write them; what we take for gone would be deleted otherwise."""
        known = parse(self._ufw("show", "added"))
        unknown = [rule for rule in rules if rule not in known]
        if unknown:
            raise SlipwayError(
                f"ufw does not name a rule that it was told: {', '.join(unknown)}. This release writes it in another"
                " way. Please report what `ufw show added` prints on this host, and leave the firewall alone"
                " (node_prep_firewall: leave)."
            )

    def disable(self, check_mode: bool) -> None:
        if not check_mode:
            self._ufw("disable")

    def _ufw(self, *arguments: str) -> str:
        return self._runner.run([self._runner.path("ufw"), *arguments]).stdout
