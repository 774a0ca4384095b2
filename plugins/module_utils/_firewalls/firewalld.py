# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""firewalld, which the RHEL family has. All that is let through is in files of our own, so no zone is touched.

Pods are in a zone of their own. Without one firewalld asks no policy about what goes through the machine, since it goes
by pairs of zones, and the interfaces of pods are in none.

Private to this collection.
"""

from __future__ import annotations

import glob
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
from ansible_collections.slipway.kubernetes.plugins.module_utils._network.resolver import is_active
from ansible_collections.slipway.kubernetes.plugins.module_utils._systemd import Unit

FOLDER = "/etc/firewalld"
#: What comes to this machine; what comes from pods and goes to them. Source: firewalld.policies(5).
INPUT, FROM_PODS, TO_PODS = (f"policies/slipway-{name}.xml" for name in ("input", "from-pods", "to-pods"))
ZONE = "slipway-pods"
PODS = f"zones/{ZONE}.xml"
_RULE = re.compile(r"^ *(<rule.*</rule>)$", re.MULTILINE)
_SOURCE = re.compile(r"""<source +address=["']([^"']+)["'] */>""")


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


def _file(opening: str, lines: t.Iterable[str], closing: str) -> str:
    body = "".join(f"  {line}\n" for line in lines)
    return f'<?xml version="1.0" encoding="utf-8"?>\n<!-- {MARK} -->\n{opening}\n{body}{closing}\n'


def policy(target: str, ingress: str, egress: str, rules: t.Iterable[str] = ()) -> str:
    """The file of a policy, which comes before what zones say."""
    lines = (f'<ingress-zone name="{ingress}"/>', f'<egress-zone name="{egress}"/>', *rules)
    return _file(f'<policy target="{target}" priority="-100">', lines, "</policy>")


def files(rules: t.Sequence[str], pods: t.Sequence[str]) -> t.Dict[str, str]:
    """All files by their paths; what is empty is not there."""
    sources = [f'<source address="{network}"/>' for network in pods]
    return {
        INPUT: policy("CONTINUE", "ANY", "HOST", rules) if rules else "",
        PODS: _file("<zone>", sources, "</zone>") if pods else "",
        FROM_PODS: policy("ACCEPT", ZONE, "ANY") if pods else "",
        TO_PODS: policy("ACCEPT", "ANY", ZONE) if pods else "",
    }


class Firewalld(Firewall):
    """firewalld, from 0.9 on, which has policies."""

    name = "firewalld"
    service = "firewalld.service"

    def is_active(self) -> bool:
        # One that is stopped comes back with the next boot.
        wanted = glob.glob(f"{glob.escape(self._root)}/etc/systemd/system/*.wants/{self.service}")
        return bool(wanted) or self._is_running()

    def _is_running(self) -> bool:
        return is_active("firewalld", self._root)

    def expect(self, openings: t.Sequence[Opening]) -> None:
        # With one address in two zones firewalld gives up all of its configuration.
        pods = {opening.source or opening.destination for opening in openings if opening.forwarded}
        for path in sorted(glob.glob(f"{glob.escape(self._root)}{FOLDER}/zones/*.xml")):
            theirs = sorted(pods.intersection(_SOURCE.findall(read_exactly(path))))
            zone = os.path.basename(path)[: -len(".xml")]
            if theirs and zone != ZONE:
                raise SlipwayError(
                    f"firewalld has {' and '.join(theirs)}, from where pods come, in its zone {zone}, and in two zones"
                    f" it cannot be. Take it out (`firewall-cmd --permanent --zone={zone} --remove-source={theirs[0]}`,"
                    " then --reload), or leave the firewall alone (node_prep_firewall: leave)."
                )

    def bring(self, openings: t.Sequence[Opening], keep: bool, check_mode: bool) -> Change:
        had = {name: read_exactly(self._path(name)) for name in files((), ())}
        before = _RULE.findall(had[INPUT]), _SOURCE.findall(had[PODS])
        rules = [rule(opening) for opening in openings if not opening.forwarded]
        pods = [opening.source or opening.destination for opening in openings if opening.forwarded]
        rules, pods = (list(dict.fromkeys([*(old if keep else ()), *new])) for old, new in zip(before, (rules, pods)))
        wanted = files(rules, pods)
        # A run may have ended before firewalld was told.
        is_behind = had != wanted or (self._is_running() and not self._goes_by(rules, pods))
        if not check_mode and is_behind:
            for name, text in wanted.items():
                if text:
                    TextFile(self._path(name), text).write()
                elif had[name]:
                    os.unlink(self._path(name))
            if self._is_running():
                self._command("--reload")
        now = [*rules, *(f"pods {network}" for network in pods)]
        then = [*before[0], *(f"pods {network}" for network in before[1])]
        return Change(then, now, is_behind)

    def _path(self, name: str) -> str:
        return f"{self._root}{FOLDER}/{name}"

    def _goes_by(self, rules: t.Sequence[str], pods: t.Sequence[str]) -> bool:
        """Whether firewalld has as many rules and networks of pods as we have given it."""
        told = self._command("--policy=slipway-input", "--list-rich-rules").splitlines() if rules else ()
        known = self._command(f"--zone={ZONE}", "--list-sources").split() if pods else ()
        return (len(told), len(known)) == (len(rules), len(pods))

    def _command(self, *arguments: str) -> str:
        """What firewall-cmd prints; nothing when it has no such policy or zone."""
        is_question = arguments[-1].startswith("--list")
        argv = [self._runner.path("firewall-cmd"), *arguments]
        result = self._runner.run(argv, check=not is_question, failure="firewalld does not take our policies")
        return result.stdout if result.rc == 0 else ""

    def disable(self, check_mode: bool) -> None:
        if not check_mode:
            Unit(self._runner, self.service).systemctl("disable", "--now", "--quiet", self.service)
