# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of nftables that somebody keeps without a tool of his own, as in ``/etc/nftables.conf``.

What one table drops no other table can let through, so a chain of ours is put into each table that drops, and its first
rule leads there. A unit of ours does so again after nftables.service has read the file again.

Private to this collection.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, read_exactly
from ansible_collections.slipway.kubernetes.plugins.module_utils._firewalls.firewall import (
    NUMBERS,
    Change,
    Firewall,
    Opening,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._marks import MARK
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import firewalls
from ansible_collections.slipway.kubernetes.plugins.module_utils._systemd import Unit

PROGRAM = "/usr/local/lib/slipway/firewall"
UNIT = "slipway-firewall.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
#: By the hooks that our rules are for.
CHAINS = {"input": "slipway-input", "forward": "slipway-forward"}
#: The versions of IP that tables of a family see.
FAMILIES = {"ip": (0, 4), "ip6": (0, 6), "inet": (0, 4, 6)}
#: Tables that programs keep, which write them anew as a whole.
KEPT = {"firewalld", "kube-proxy"}

UNIT_TEXT = f"""\
# {MARK}
[Unit]
Description=Lets Kubernetes through the chains of nftables that drop what they do not name
After=nftables.service
PartOf=nftables.service
ReloadPropagatedFrom=nftables.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={PROGRAM} open
ExecReload={PROGRAM} open
ExecStop={PROGRAM} close

[Install]
WantedBy=multi-user.target nftables.service
"""

Place = firewalls.Place


def rule(opening: Opening) -> str:
    """A rule that accepts."""
    kind = "ip6" if opening.version == 6 else "ip"
    words = [f"{kind} saddr {opening.source}" if opening.source else ""]
    words += [f"{kind} daddr {opening.destination}" if opening.destination else ""]
    if opening.port:
        words.append(f"{opening.protocol} dport {opening.port}")
    elif opening.protocol:
        words.append(f"meta l4proto {NUMBERS.get(opening.protocol, opening.protocol)}")
    return " ".join([*filter(None, words), "accept"])


def is_of_iptables(place: Place) -> bool:
    """Whether iptables keeps the chain, which reads no table with rules of others in it."""
    return place.family in ("ip", "ip6") and place.table == "filter" and place.chain.isupper()


def _is_left(place: Place) -> bool:
    """Whether others see to the chain: pod networks and kube-proxy let pods through what Docker lets iptables drop."""
    is_plain = all(re.fullmatch(r"[\w.-]+", name) for name in (place.table, place.chain))
    return not is_plain or (is_of_iptables(place) and place.hook == "forward")


def rules_for(place: Place, openings: t.Sequence[Opening]) -> t.List[str]:
    """The rules for a chain."""
    return [
        rule(opening)
        for opening in openings
        if opening.forwarded == (place.hook == "forward") and opening.version in FAMILIES[place.family]
    ]


def program(rules: t.Mapping[Place, t.Sequence[str]]) -> str:
    """What puts our rules into chains that are there, and takes them out."""
    parts = {"open": "", "close": ""}
    for place, texts in rules.items():
        table, chain, own = f"{place.family} {place.table}", place.chain, CHAINS[place.hook]
        added = "".join(f"{_beginning(place)}{text}\n" for text in texts)
        parts["open"] += f"""\
    if nft list chain {table} {chain} >/dev/null 2>&1; then
        lead='insert rule {table} {chain} jump {own}'
        if nft list chain {table} {chain} | grep --quiet 'jump {own}$'; then lead=; fi
        nft --file - <<RULES
add chain {table} {own}
flush chain {table} {own}
{added}$lead
RULES
    fi
"""
        parts["close"] += f"""\
    if nft list chain {table} {own} >/dev/null 2>&1; then
        nft --handle list chain {table} {chain} | sed --quiet 's/.*jump {own} # handle //p' |
            while read -r handle; do nft delete rule {table} {chain} handle "$handle"; done
        nft delete chain {table} {own}
    fi
"""
    cases = "".join(f"{name})\n{part}    ;;\n" for name, part in parts.items())
    return f"#!/bin/sh\n# {MARK}\nset -eu\ncase $1 in\n{cases}esac\n"


def _beginning(place: Place) -> str:
    """How the lines with rules for a chain begin."""
    return f"add rule {place.family} {place.table} {CHAINS[place.hook]} "


class Nftables(Firewall):
    """Chains of nftables that drop what they do not name, and that no other firewall keeps."""

    name = "nftables"

    def _ruleset(self) -> firewalls.Ruleset:
        """The rules of the kernel; none where nobody could have made any.

        :raises SlipwayError: when they cannot be read: that is not the same as none.
        """
        program = self._runner.which("nft", required=False)
        if program is None:
            return firewalls.Ruleset("{}")
        failure = "The rules of nftables could not be read"
        printed = self._runner.run([program, "--json", "list", "ruleset"], failure=failure).stdout
        try:
            return firewalls.Ruleset(printed)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SlipwayError(f"{failure}: `nft --json list ruleset` prints something else than rules.") from error

    def _closed(self, ruleset: firewalls.Ruleset, openings: t.Sequence[Opening] = ()) -> t.List[Place]:
        """Those of the chains that are for us; such of IPv6 alone only where that is let through."""
        has_six = any(opening.version == 6 for opening in openings)
        return [
            place
            for place in ruleset.closed_places(tuple(CHAINS))
            if place.table not in KEPT and not _is_left(place) and (has_six or place.family != "ip6")
        ]

    def is_here(self) -> bool:
        return any(os.path.exists(self._root + path) for path in (PROGRAM, UNIT_FILE))

    def is_active(self) -> bool:
        return bool(self._closed(self._ruleset()))

    def expect(self, openings: t.Sequence[Opening]) -> None:
        kept = [place for place in self._closed(self._ruleset(), openings) if is_of_iptables(place)]
        if kept:
            rules = "; ".join(sorted({text for place in kept for text in rules_for(place, openings)}))
            chains = " and ".join(sorted({f"{place.chain} ({place.family})" for place in kept}))
            raise SlipwayError(
                f"iptables' chain {chains} drops what it does not name, and whatever keeps its rules is not known here."
                f" Admit these there yourself (node_prep_firewall: leave): {rules}."
            )

    def bring(self, openings: t.Sequence[Opening], keep: bool, check_mode: bool) -> Change:
        text = read_exactly(f"{self._root}{PROGRAM}")
        had = [line for line in text.splitlines() if line.startswith("add rule ")]
        ruleset = self._ruleset() if openings else firewalls.Ruleset("{}")
        rules: t.Dict[Place, t.List[str]] = {}
        for place in self._closed(ruleset, openings) if openings else ():
            beginning = _beginning(place)
            kept = [line[len(beginning) :] for line in had if keep and line.startswith(beginning)]
            rules[place] = list(dict.fromkeys([*kept, *rules_for(place, openings)]))
        wanted = program(rules) if rules else ""
        after = [line for line in wanted.splitlines() if line.startswith("add rule ")]
        # Somebody may have read his file by hand, and a run may have ended before the kernel was told.
        lengths = {place: ruleset.length_behind(place, CHAINS[place.hook]) for place in rules}
        is_told = lengths == {place: len(texts) for place, texts in rules.items()} and self.is_here() == bool(rules)
        change = Change(had, after, wanted != text or not is_told)
        if change.is_one and not check_mode:
            self._write(wanted)
        return change

    def _write(self, wanted: str) -> None:
        unit = Unit(self._runner, UNIT)
        if not wanted:
            if os.path.exists(f"{self._root}{UNIT_FILE}"):
                unit.systemctl("disable", "--now", "--quiet", UNIT)
                os.unlink(f"{self._root}{UNIT_FILE}")
                unit.systemctl("daemon-reload")
            # The last, since it says that there is something.
            if os.path.exists(f"{self._root}{PROGRAM}"):
                os.unlink(f"{self._root}{PROGRAM}")
            return
        TextFile(f"{self._root}{UNIT_FILE}", UNIT_TEXT).write()
        TextFile(f"{self._root}{PROGRAM}", wanted, 0o755).write()
        unit.systemctl("daemon-reload")
        unit.systemctl("enable", "--quiet", UNIT)
        unit.systemctl("reload-or-restart", UNIT)
