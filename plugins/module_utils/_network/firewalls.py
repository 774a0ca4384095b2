# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Firewalls that admit to this machine only what they name: whom, by which interface, to which ports.

Pods come from addresses of their own, so that a rule for the nodes' network does not let them reach the API server and
the kubelet of the node that they are on. What is not understood counts as admitting: only what is certain is reported.

Private to this collection.
"""

from __future__ import annotations

import glob
import json
import os
import re
import subprocess
import typing as t
import xml.etree.ElementTree

from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import LAYOUTS
from ansible_collections.slipway.kubernetes.plugins.module_utils._network.resolver import is_active

#: TCP ports of firewalld's services that are about Kubernetes. Source: firewalld's config/services.
_SERVICES = {
    "kube-api": "6443",
    "kube-apiserver": "6443",
    "kube-control-plane": "6443,10250",
    "kube-control-plane-secure": "6443,10250",
    "kube-worker": "10250",
    "kubelet": "10250",
    "kubelet-worker": "10250",
}

#: Who is admitted (empty: all), by which interface, to which TCP ports (``6443``, ``6443,10250``, ``30000-32767``).
Admission = t.Dict[str, str]


def admission(source: str = "", interface: str = "", ports: str = "") -> Admission:
    """Somebody who is admitted."""
    return {"source": source, "interface": interface, "ports": ports}


def parse_rule(rule: str) -> t.Optional[Admission]:
    """Whom a rule of iptables admits to a TCP port by a new connection; ``None`` when nobody."""
    words = dict(re.findall(r"(?:^|\s)(-[a-zA-Z]|--[a-z-]+) (?!-)(\S+)", rule))
    if words.get("-j") not in ("ACCEPT", "ufw-user-limit-accept") or words.get("-p", "tcp") not in ("tcp", "all"):
        return None
    # What goes to one address of the machine may well be meant for the API server.
    if re.match(r"(22[4-9]|23\d)\.", words.get("-d", "")):
        return None
    state = words.get("--ctstate") or words.get("--state")
    if state and "NEW" not in state.split(","):
        return None
    ports = (words.get("--dport") or words.get("--dports") or "").replace(":", "-")
    return admission(words.get("-s", ""), words.get("-i", ""), ports)


def ufw_is_on(root: str = "") -> bool:
    """Whether ufw is on, now and after each boot."""
    text = read_text(f"{root}/etc/ufw/ufw.conf")
    return re.search(r"^\s*ENABLED\s*=\s*[\"']?yes", text, re.MULTILINE | re.IGNORECASE) is not None


def ufw(root: str = "") -> t.Optional[t.List[Admission]]:
    """Whom ufw admits; ``None`` when it is off or admits all."""
    if not ufw_is_on(root):
        return None
    policy = re.search(r"^\s*DEFAULT_INPUT_POLICY=[\"']?(\w+)", read_text(f"{root}/etc/default/ufw"), re.MULTILINE)
    if policy and policy[1].upper() == "ACCEPT":
        return None
    rules = "\n".join(read_text(f"{root}/etc/ufw/{name}.rules") for name in ("before", "user", "after"))
    lines = re.findall(r"^-A (?:ufw-(?:user|before|after)-input|INPUT) (.*)$", rules, re.MULTILINE)
    return [found for found in map(parse_rule, lines) if found]


def _tcp_ports(element: xml.etree.ElementTree.Element, known: t.Mapping[str, str]) -> t.List[str]:
    """The TCP ports that are named in a zone, a rule or a service, by themselves or as services."""
    ports = [item.get("port", "") for item in element.findall("port") if item.get("protocol") == "tcp"]
    return ports + [
        known[name] for name in (item.get("name", "") for item in element.findall("service")) if name in known
    ]


def services(root: str = "") -> t.Dict[str, str]:
    """The TCP ports of firewalld's services about Kubernetes, and of those that somebody has defined here."""
    found = dict(_SERVICES)
    for path in glob.glob(f"{root}/etc/firewalld/services/*.xml"):
        try:
            ports = _tcp_ports(xml.etree.ElementTree.fromstring(read_text(path)), {})
        except xml.etree.ElementTree.ParseError:
            continue
        name = os.path.basename(path)[: -len(".xml")]
        found.pop(name, None)
        if ports:
            found[name] = ",".join(ports)
    return found


def parse_zone(text: str, is_default: bool, known: t.Optional[t.Mapping[str, str]] = None) -> t.List[Admission]:
    """Whom a zone of firewalld admits.

    :param known: TCP ports of services by their names; those that firewalld brings when it is not given.
    """
    try:
        zone = xml.etree.ElementTree.fromstring(text)
    except xml.etree.ElementTree.ParseError:
        return [admission()]
    known = _SERVICES if known is None else known
    members = [admission(source=item.get("address", "")) for item in zone.findall("source")]
    members += [admission(interface=item.get("name", "")) for item in zone.findall("interface")]
    members += [admission()] if is_default else []
    ports = [""] if zone.get("target") == "ACCEPT" else _tcp_ports(zone, known)
    found = [{**member, "ports": text} for member in members for text in ports]
    for rule in zone.findall("rule"):
        source = rule.find("source")
        if rule.find("accept") is None:
            continue
        if source is not None:
            found.append(admission(source=source.get("address", "")))
        else:
            found += [{**member, "ports": text} for member in members for text in _tcp_ports(rule, known)]
    return found


def firewalld(root: str = "") -> t.Optional[t.List[Admission]]:
    """Whom firewalld admits; ``None`` when it does not run."""
    if not is_active("firewalld", root):
        return None
    chosen = re.search(r"^DefaultZone=(\S+)", read_text(f"{root}/etc/firewalld/firewalld.conf"), re.MULTILINE)
    zones: t.Dict[str, str] = {}
    for folder in ("/etc/firewalld/zones", "/usr/lib/firewalld/zones"):
        for path in glob.glob(f"{root}{folder}/*.xml"):
            zones.setdefault(os.path.basename(path)[: -len(".xml")], path)
    default = chosen[1] if chosen else "public"
    known = services(root)
    return [found for name, path in zones.items() for found in parse_zone(read_text(path), name == default, known)]


# nftables


class Place(t.NamedTuple):
    """A chain of nftables that the kernel asks."""

    family: str
    table: str
    chain: str
    hook: str


def _values(right: t.Any, sets: t.Mapping[str, t.Any]) -> t.List[str]:
    """The right side of a match as texts: networks, names, ports."""
    if isinstance(right, str) and right.startswith("@"):
        return [text for item in sets.get(right[1:], []) for text in _values(item, sets)]
    if isinstance(right, dict):
        if "prefix" in right:
            return [f"{right['prefix']['addr']}/{right['prefix']['len']}"]
        if "range" in right:
            return ["-".join(str(end) for end in right["range"])]
        if "elem" in right:
            return _values(right["elem"].get("val"), sets)
        return [text for item in right.get("set", []) for text in _values(item, sets)]
    if isinstance(right, list):
        return [text for item in right for text in _values(item, sets)]
    return [str(right)]


def _narrowed(limits: t.Dict[str, t.List[str]], match: t.Mapping[str, t.Any], sets: t.Any) -> bool:
    """Note what a match demands in ``limits``; false when no new TCP connection can meet it."""
    left, values = match.get("left", {}), _values(match.get("right"), sets)
    if match.get("op") not in ("==", "in", None):
        return True
    payload, meta, ct = (left.get(key, {}) if isinstance(left, dict) else {} for key in ("payload", "meta", "ct"))
    field = payload.get("field")
    if field == "saddr":
        limits["source"] = values
    elif field == "dport":
        limits["ports"] = values
        return payload.get("protocol") in ("tcp", "th")
    elif meta.get("key") in ("iif", "iifname"):
        limits["interface"] = values
    elif meta.get("key") == "l4proto" or field in ("protocol", "nexthdr"):
        return bool({"tcp", "6"} & set(values))
    elif ct.get("key") == "state":
        return "new" in values
    return payload.get("protocol") not in ("icmp", "icmpv6", "udp")


class Ruleset:
    """The rules of nftables, as ``nft -j list ruleset`` prints them."""

    def __init__(self, text: str) -> None:
        items = json.loads(text).get("nftables", [])
        self._rules: t.Dict[t.Tuple[str, str, str], t.List[t.List[t.Any]]] = {}
        self._sets: t.Dict[t.Tuple[str, str], t.Dict[str, t.Any]] = {}
        self._chains = [item["chain"] for item in items if "chain" in item]
        for rule in (item["rule"] for item in items if "rule" in item):
            self._rules.setdefault((rule["family"], rule["table"], rule["chain"]), []).append(rule["expr"])
        for entry in (item["set"] for item in items if "set" in item):
            self._sets.setdefault((entry["family"], entry["table"]), {})[entry["name"]] = entry.get("elem", [])

    def closed(self) -> t.List[t.Tuple[str, t.List[Admission]]]:
        """The chains through which everything to this machine has to go and that drop what they do not name."""
        return [
            (" ".join(place[:3]), self._admitted(place[:3], {}, 0))
            for place in self.closed_places(("input",))
            if place.family in ("ip", "inet")
        ]

    def closed_places(self, hooks: t.Container[str]) -> t.List[Place]:
        """The chains of these hooks that drop what they do not name."""
        found = []
        for chain in self._chains:
            if chain.get("hook") not in hooks or chain["family"] not in ("ip", "ip6", "inet"):
                continue
            place = (chain["family"], chain["table"], chain["name"])
            rules = self._rules.get(place, [[]])
            refuses = any("drop" in item or "reject" in item for item in rules[-1])
            ends = refuses and all("drop" in item or "reject" in item or "counter" in item for item in rules[-1])
            if chain.get("policy") == "drop" or ends:
                found.append(Place(*place, chain["hook"]))
        return found

    def length_behind(self, place: Place, chain: str) -> int:
        """How many rules another chain of the table has, to which a rule of this one leads; -1 when none does."""
        rules = self._rules.get((place.family, place.table, place.chain), [])
        targets = [item["jump"]["target"] for expression in rules for item in expression if "jump" in item]
        return len(self._rules.get((place.family, place.table, chain), [])) if chain in targets else -1

    def _admitted(
        self, place: t.Tuple[str, str, str], outer: t.Dict[str, t.List[str]], depth: int
    ) -> t.List[Admission]:
        """Whom a chain, and those that it jumps to, accept."""
        found: t.List[Admission] = []
        for rule in self._rules.get(place, []) if depth < 8 else []:
            limits = dict(outer)
            sets = self._sets.get(place[:2], {})
            if not all(_narrowed(limits, item["match"], sets) for item in rule if "match" in item):
                continue
            for item in rule:
                target = item.get("jump") or item.get("goto")
                if "accept" in item or "vmap" in item:
                    found += [
                        admission(source, interface, ",".join(limits.get("ports", [])))
                        for source in limits.get("source", [""])
                        for interface in limits.get("interface", [""])
                    ]
                elif target:
                    found += self._admitted((*place[:2], target["target"]), limits, depth + 1)
        return found


def nftables(program: str = "nft") -> t.List[t.Tuple[str, t.List[Admission]]]:
    """The closed chains of the running kernel; none without the program."""
    try:
        done = subprocess.run([program, "-j", "list", "ruleset"], capture_output=True, timeout=10, check=False)
        return Ruleset(done.stdout.decode("utf-8", "replace")).closed() if done.returncode == 0 else []
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError, TypeError, AttributeError):
        return []


def look(root: str = "") -> t.List[t.Dict[str, t.Any]]:
    """Firewalls that are closed, each with whom it admits. On nodes, which work as they are, the kernel is not asked.

    :param root: a folder in the place of ``/``, for tests.
    """
    for name, admitted in (("ufw", ufw(root)), ("firewalld", firewalld(root))):
        if admitted is not None:
            return [{"by": name, "admits": admitted}]
    if root or any(layout.joined for layout in LAYOUTS):
        return []
    return [{"by": f"nftables ({place})", "admits": admitted} for place, admitted in nftables()]
