# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""firewalld, which the RHEL family has. What is let through are two policies of our own, so no zone is touched.

Private to this collection.
"""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, read_exactly
from ansible_collections.slipway.kubernetes.plugins.module_utils._firewalls.firewall import (
    NUMBERS,
    Change,
    Firewall,
    Opening,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._marks import MARK
from ansible_collections.slipway.kubernetes.plugins.module_utils._network.resolver import is_active
from ansible_collections.slipway.kubernetes.plugins.module_utils._systemd import Unit

#: Our policies by what they are about, each with the zone that it leads to. Source: firewalld.policies(5).
POLICIES = {False: ("slipway-input", "HOST"), True: ("slipway-forward", "ANY")}
FOLDER = "/etc/firewalld/policies"
_RULE = re.compile(r"^\s*(<rule.*</rule>)$", re.MULTILINE)


def rule(opening: Opening) -> str:
    """A rich rule as a policy's file has it."""
    family = f' family="ipv{opening.version}"' if opening.version else ""
    source = f'<source address="{opening.source}"/>' if opening.source else ""
    destination = f'<destination address="{opening.destination}"/>' if opening.destination else ""
    what = ""
    if opening.port:
        what = f'<port port="{opening.port}" protocol="{opening.protocol}"/>'
    elif opening.protocol:
        what = f'<protocol value="{NUMBERS.get(opening.protocol, opening.protocol)}"/>'
    return f"<rule{family}>{source}{destination}{what}<accept/></rule>"


def policy(egress: str, rules: t.Iterable[str]) -> str:
    """The file of a policy that zones come after."""
    lines = "".join(f"  {text}\n" for text in rules)
    return (
        f'<?xml version="1.0" encoding="utf-8"?>\n<!-- {MARK} -->\n<policy target="CONTINUE" priority="-100">\n'
        f'  <ingress-zone name="ANY"/>\n  <egress-zone name="{egress}"/>\n{lines}</policy>\n'
    )


class Firewalld(Firewall):
    """firewalld, from 0.9 on, which has policies."""

    name = "firewalld"
    service = "firewalld.service"

    def is_active(self) -> bool:
        return is_active("firewalld", self._root)

    def bring(self, openings: t.Sequence[Opening], keep: bool, check_mode: bool) -> Change:
        before: t.List[str] = []
        after: t.List[str] = []
        is_behind, is_running = False, self.is_active()
        for forwarded, (name, egress) in POLICIES.items():
            path = f"{self._root}{FOLDER}/{name}.xml"
            text = read_exactly(path)
            had = _RULE.findall(text)
            rules = [rule(opening) for opening in openings if opening.forwarded == forwarded]
            rules = list(dict.fromkeys([*(had if keep else ()), *rules]))
            wanted = policy(egress, rules) if rules else ""
            before, after = before + had, after + rules
            if wanted != text and not check_mode:
                TextFile(path, wanted).write() if wanted else os.unlink(path)
            # A run may have ended before firewalld was told.
            is_behind = is_behind or wanted != text or (is_running and self._count(name) != len(rules))
        if is_behind and is_running and not check_mode:
            self._runner.run(
                [self._runner.path("firewall-cmd"), "--reload"], failure="firewalld does not take our policies"
            )
        return Change(before if not is_behind or before != after else [], after)

    def _count(self, name: str) -> int:
        """How many rules of a policy firewalld goes by now."""
        result = self._runner.run(
            [self._runner.path("firewall-cmd"), f"--policy={name}", "--list-rich-rules"], check=False
        )
        return len(result.stdout.splitlines()) if result.rc == 0 else 0

    def disable(self, check_mode: bool) -> None:
        if not check_mode:
            Unit(self._runner, self.service).systemctl("disable", "--now", "--quiet", self.service)
