# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CoreDNS' Corefile: what is wrong with settings for it, and the text that they make of kubeadm's own.

Pure functions. Source: the README of CoreDNS and of its plugins, and the lexer of github.com/coredns/caddy/caddyfile.

Private to this collection.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._marks import MARK

#: The first lines of a Corefile of ours.
HEAD = f"# {MARK}: set the variables coredns_... instead.\n"
#: Servers that one directive of the plugin forward takes. Source: its setup.go.
MOST_SERVERS = 15
#: Without these the cluster has no DNS, or the pods' probes fail.
NEEDED = ("health", "kubernetes", "ready")
#: What settings of their own write.
_OWN = {"forward": "upstreams", "hosts": "hosts"}

#: A name that DNS may have, or a zone of such names; in lower case, without the dot at its end, and no address.
_NAME = re.compile(
    r"(?=.{1,253}\Z)(?![0-9.]+\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_PLUGIN = re.compile(r"[a-z][a-z0-9_]*")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\S+')
_SERVER = re.compile(r"(?P<scheme>dns|tls)://(?P<rest>.+)")
_WITH_PORT = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[0-9.]+))(?::(?P<port>[0-9]{1,5}))?")

Address = t.Union[ipaddress.IPv4Address, ipaddress.IPv6Address]


class CorefileError(ValueError):
    """Text that is no part of a Corefile."""


@dataclasses.dataclass(frozen=True)
class Flaw:
    """What is wrong with a setting: which one, a sentence that goes on after it, and what to do."""

    setting: str
    message: str
    remedy: str


@dataclasses.dataclass(frozen=True)
class Directive:
    """A plugin with its arguments, or a block of a server: its lines, each with the number of blocks it is in."""

    name: str
    lines: t.Tuple[t.Tuple[int, str], ...]

    @property
    def body(self) -> t.List[str]:
        """The lines between its braces, without what is deeper."""
        return [line for depth, line in self.lines[1:] if depth == 1]

    @property
    def inside(self) -> str:
        """All between its braces, as text."""
        return "\n".join(line for _depth, line in self.lines[1:-1])


@dataclasses.dataclass(frozen=True)
class Zone:
    """Names that are asked for elsewhere.

    :param cache: seconds that an answer is kept at most; none is with 0.
    """

    zones: t.Sequence[str]
    upstreams: t.Sequence[str] = ()
    tls_name: str = ""
    cache: int = 30
    plugins: t.Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is asked for beside kubeadm's Corefile.

    :param domain: the DNS domain of services.
    :param hosts: lines with an address and names.
    :param plugins: by the name of a plugin its whole text, which is empty for one that goes.
    """

    domain: str
    upstreams: t.Sequence[str] = ()
    tls_name: str = ""
    zones: t.Sequence[Zone] = ()
    hosts: t.Sequence[str] = ()
    plugins: t.Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def given(self) -> bool:
        """Whether anything is asked for."""
        return bool(self.upstreams or self.zones or self.hosts or self.plugins)


def settings_of(given: t.Mapping[str, t.Any]) -> Settings:
    """The settings by the names of the options of the module coredns."""

    def texts(value: t.Any) -> t.List[str]:
        return [str(item) for item in value] if isinstance(value, (list, tuple)) else []

    def plugins(value: t.Any) -> t.Dict[str, str]:
        pairs = value.items() if isinstance(value, t.Mapping) else ()
        return {str(name): "" if text is None else str(text) for name, text in pairs}

    zones = [
        Zone(
            texts(entry.get("zones")),
            texts(entry.get("upstreams")),
            str(entry.get("tls_name") or ""),
            entry["cache"] if isinstance(entry.get("cache"), int) else Zone.cache,
            plugins(entry.get("plugins")),
        )
        for entry in given.get("zones") or []
        if isinstance(entry, t.Mapping)
    ]
    return Settings(
        str(given.get("dns_domain") or ""),
        texts(given.get("upstreams")),
        str(given.get("upstreams_tls_name") or ""),
        zones,
        texts(given.get("hosts")),
        plugins(given.get("plugins")),
    )


# Reading


def _words(line: str) -> t.List[str]:
    """The tokens of a line, without its comment.

    :raises CorefileError: when it cannot be one line of a Corefile.
    """
    found = []
    for match in _TOKEN.finditer(line):
        word = match.group()
        if word.startswith("#"):
            break
        if word.startswith('"') and not (len(word) > 1 and word.endswith('"')):
            raise CorefileError(f"has a quote that is not closed, in: {line.strip()}")
        if not word.isprintable():
            raise CorefileError("has characters that cannot be printed")
        found.append(word)
    if "{" in found[:-1] or found == ["{"] or ("}" in found and found != ["}"]):
        raise CorefileError(f"has a brace that is not where it has to be, in: {line.strip()}")
    return found


def directives(text: str) -> t.List[Directive]:
    """The directives of a text, each with the block that belongs to it; those of a Corefile are its servers.

    :raises CorefileError: when it is none.
    """
    found: t.List[t.Tuple[str, t.List[t.Tuple[int, str]]]] = []
    depth = 0
    for line in text.splitlines():
        words = _words(line)
        if not words:
            continue
        if words == ["}"]:
            depth -= 1
            if depth < 0:
                raise CorefileError("closes a block that it has not opened")
        elif depth == 0:
            found.append((words[0], []))
        found[-1][1].append((depth, " ".join(words)))
        depth += words[-1] == "{"
    if depth:
        raise CorefileError("has a block that is not closed")
    return [Directive(name, tuple(lines)) for name, lines in found]


def _plugin(name: str, text: str) -> t.List[Directive]:
    """What somebody wrote for a plugin; several directives when it may be there several times.

    :raises CorefileError: when it is of another one, or none.
    """
    found = directives(text)
    others = sorted({item.name for item in found if item.name != name})
    if others:
        raise CorefileError(f"is the text of {name}, and has {', '.join(others)}")
    return found


# What is wrong with settings


def server(text: str) -> t.Tuple[str, t.Optional[Address]]:
    """How a server is asked (``dns`` or ``tls``), and its address; ``None`` when it is none."""
    match = _SERVER.fullmatch(text)
    scheme, rest = (match["scheme"], match["rest"]) if match else ("dns", text)
    with_port = _WITH_PORT.fullmatch(rest)
    port = int(with_port["port"] or 53) if with_port else 53
    try:
        address = ipaddress.ip_address((with_port["six"] or with_port["four"]) if with_port else rest)
    except ValueError:
        return scheme, None
    # A zone (%eth0), which newer versions of Python take.
    return scheme, address if 0 < port < 65536 and "%" not in rest else None


def _names(setting: str, names: t.Iterable[str], what: str) -> t.Iterator[Flaw]:
    for name in names:
        if not _NAME.fullmatch(name):
            yield Flaw(
                setting, f"has {name!r}, which is no {what}.", "Write it in lower case, without a dot at its end."
            )


def _upstreams(
    setting: str, upstreams: t.Sequence[str], tls_name: str, forbidden: t.Collection[Address]
) -> t.Iterator[Flaw]:
    """What is wrong with servers that are asked.

    :param forbidden: the addresses of this DNS itself.
    """
    if len(upstreams) > MOST_SERVERS:
        yield Flaw(setting, f"has {len(upstreams)} servers.", f"CoreDNS takes {MOST_SERVERS} at most.")
    for text in sorted({text for text in upstreams if upstreams.count(text) > 1}):
        yield Flaw(setting, f"has {text} twice.", "Name each server once.")
    for text in upstreams:
        _scheme, address = server(text)
        if address is None:
            yield Flaw(
                setting,
                f"has {text!r}, which is no address of a server.",
                "Write 192.0.2.53, 192.0.2.53:5353, [2001:db8::53]:5353 or tls://192.0.2.53.",
            )
        elif address.is_loopback or address.is_unspecified or address.is_multicast:
            yield Flaw(
                setting,
                f"has {text}, which in a pod of CoreDNS is the pod itself, or nobody.",
                "Name the address that other machines reach the server by.",
            )
        elif address in forbidden:
            yield Flaw(
                setting,
                f"has {text}, which is the cluster's own DNS: CoreDNS would ask itself and stop.",
                "Name the servers that know the names of the outside.",
            )
    if tls_name and not any(server(text)[0] == "tls" for text in upstreams):
        yield Flaw(setting, f"has the name {tls_name} for TLS, and no server is asked by TLS.", "Write tls://ADDRESS.")
    yield from _names(setting, [tls_name] if tls_name else [], "name of a server")


def _plugins(setting: str, plugins: t.Mapping[str, str], taken: t.Collection[str]) -> t.Iterator[Flaw]:
    """What is wrong with texts of plugins.

    :param taken: plugins that other settings write.
    """
    for name, text in plugins.items():
        where = f"{setting}[{name}]"
        if not _PLUGIN.fullmatch(name):
            yield Flaw(where, "is no name of a plugin.", "Write it as CoreDNS' documentation does, such as cache.")
            continue
        if name in taken:
            yield Flaw(where, "is written by another setting, too.", "Leave it to one of them.")
        try:
            found = _plugin(name, text)
        except CorefileError as error:
            yield Flaw(where, f"{error}.", "Write it as in a Corefile, with the plugin's name as the first word.")
            continue
        if name in NEEDED and not found:
            yield Flaw(where, "is empty, and without this plugin there is no DNS.", "Leave it as it is.")


def _hosts(lines: t.Sequence[str], domain: str) -> t.Iterator[Flaw]:
    for line in lines:
        address, *names = line.split() or [""]
        try:
            ipaddress.ip_address(address)
        except ValueError:
            yield Flaw(
                "hosts", f"has {line!r}, which does not begin with an address.", "Write: 192.0.2.1 a.example.com"
            )
            continue
        if not names:
            yield Flaw("hosts", f"has {line!r}, which has no name.", "Write: 192.0.2.1 a.example.com")
        yield from _names("hosts", names, "name of a host")
        for name in names:
            if _is_within(name, domain):
                yield Flaw("hosts", f"has {name}, which is one of the cluster's own names.", "Name others.")


def _is_within(name: str, zone: str) -> bool:
    """Whether a name is that of the zone, or in it."""
    return name == zone or name.endswith(f".{zone}")


def _zones(zones: t.Sequence[Zone], domain: str, forbidden: t.Collection[Address]) -> t.Iterator[Flaw]:
    seen: t.Set[str] = set()
    for entry in zones:
        setting = f"zones[{', '.join(entry.zones)}]"
        if not entry.zones:
            yield Flaw("zones", "has an entry without zones.", "Name them, such as zones: [corp.example.com].")
        yield from _names(setting, entry.zones, "zone")
        for name in entry.zones:
            if _is_within(name, domain) or _is_within(domain, name):
                yield Flaw(
                    setting,
                    f"{name} takes names of the cluster's own domain {domain} away from it.",
                    "Name other zones.",
                )
            if name in seen:
                yield Flaw(setting, f"{name} is there twice.", "Name each zone once.")
            seen.add(name)
        if not entry.upstreams and not entry.plugins:
            yield Flaw(setting, "has nobody to ask.", "Name servers in upstreams, or plugins that answer.")
        if entry.cache < 0:
            yield Flaw(setting, f"cache is {entry.cache}.", "Write seconds, or 0 for none.")
        yield from _upstreams(setting, entry.upstreams, entry.tls_name, forbidden)
        taken = [*(["forward"] if entry.upstreams else []), "hosts"]
        yield from _plugins(f"{setting}.plugins", entry.plugins, taken)


def flaws(settings: Settings, forbidden: t.Collection[Address] = ()) -> t.List[Flaw]:
    """All that is wrong with settings; the names are those of :class:`Settings`.

    :param forbidden: the addresses of this DNS itself.
    """
    taken = [plugin for plugin, name in _OWN.items() if getattr(settings, name)]
    return [
        *_upstreams("upstreams", settings.upstreams, settings.tls_name, forbidden),
        *_zones(settings.zones, settings.domain, forbidden),
        *_hosts(settings.hosts, settings.domain),
        *_plugins("plugins", settings.plugins, taken),
    ]


# Writing


def _forward(upstreams: t.Sequence[str], tls_name: str, kept: t.Sequence[str]) -> Directive:
    """:param kept: options of kubeadm's own directive."""
    options = [line for line in kept if line.split()[0] not in ("policy", "tls_servername", "}")]
    # CoreDNS' own default. With it this is no Corefile of kubeadm's, which takes one with another single server for its
    # own, and writes its own in its place when the cluster is upgraded.
    options.append("policy random")
    if tls_name:
        options.append(f"tls_servername {tls_name}")
    return _block("forward", f"forward . {' '.join(upstreams)} {{", options)


def _block(name: str, first: str, body: t.Iterable[str]) -> Directive:
    return Directive(name, ((0, first), *((1, line) for line in body), (0, "}")))


def _host_line(line: str, zone: str = "") -> str:
    """A line of the plugin hosts with those names that are in the zone; empty when none is."""
    text, *names = line.split()
    address = ipaddress.ip_address(text)
    found = [name for name in names if not zone or _is_within(name, zone)]
    # kubeadm does not know the short form of IPv6 in an upgrade.
    return " ".join([address.exploded, *found]) if found else ""


def _hosts_of(lines: t.Sequence[str], zones: t.Sequence[str] = ("",)) -> t.List[Directive]:
    """The plugin hosts for what is in the zones; none when nothing is."""
    found = [_host_line(line, zone) for line in lines for zone in zones]
    body = list(dict.fromkeys(line for line in found if line))
    return [_block("hosts", "hosts {", [*body, "fallthrough"])] if body else []


def _laid_over(base: t.Sequence[Directive], over: t.Mapping[str, t.Sequence[Directive]]) -> t.List[Directive]:
    """``base`` with other directives for the plugins of ``over``, in their places, or at the end."""
    result: t.List[Directive] = []
    done: t.Set[str] = set()
    for item in base:
        if item.name not in over:
            result.append(item)
        elif item.name not in done:
            result += over[item.name]
            done.add(item.name)
    return result + [item for name, items in over.items() if name not in done for item in items]


def _text(keys: str, plugins: t.Iterable[Directive]) -> str:
    """A server's block, written as kubeadm writes it."""
    lines = [f"{keys} {{"]
    for item in plugins:
        lines += [" " * (4 + 3 * depth) + line for depth, line in item.lines]
    return "\n".join([*lines, "}", ""])


def _zone(entry: Zone, hosts: t.Sequence[str], base: t.Sequence[Directive]) -> str:
    """The block of zones; errors and metrics are those of kubeadm's block."""
    plugins = [item for item in base if item.name in ("errors", "prometheus")]
    if entry.cache:
        plugins.append(Directive("cache", ((0, f"cache {entry.cache}"),)))
    if entry.upstreams:
        options = [line for item in base if item.name == "forward" for line in item.body]
        plugins.append(_forward(entry.upstreams, entry.tls_name, options))
    plugins += _hosts_of(hosts, entry.zones)
    over = {name: _plugin(name, text) for name, text in entry.plugins.items()}
    return _text(" ".join(f"{zone}:53" for zone in entry.zones), _laid_over(plugins, over))


def render(base: str, settings: Settings) -> str:
    """The Corefile: kubeadm's with the settings laid over it; kubeadm's own when there are none.

    :raises SlipwayError: when kubeadm's has no block for all names.
    """
    if not settings.given:
        return base
    servers = directives(base)
    main = next((item for item in servers if item.name in (".", ".:53")), None)
    if main is None:
        raise SlipwayError("kubeadm's own Corefile has no block for all names (.:53): nothing can be laid over it.")
    plugins = directives(main.inside)
    over: t.Dict[str, t.Sequence[Directive]] = {}
    if settings.upstreams:
        options = [line for item in plugins if item.name == "forward" for line in item.body]
        over["forward"] = [_forward(settings.upstreams, settings.tls_name, options)]
    if settings.hosts:
        over["hosts"] = _hosts_of(settings.hosts)
    over.update({name: _plugin(name, text) for name, text in settings.plugins.items()})
    others = [_text(item.lines[0][1][:-2], directives(item.inside)) for item in servers if item is not main]
    own = [_zone(entry, settings.hosts, plugins) for entry in settings.zones]
    return "".join([HEAD, _text(".:53", _laid_over(plugins, over)), *others, *own])


def same(one: str, other: str) -> bool:
    """Whether two Corefiles are the same but for spaces at the ends of lines."""
    return [line.rstrip() for line in one.strip().splitlines()] == [
        line.rstrip() for line in other.strip().splitlines()
    ]
