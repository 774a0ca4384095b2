# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that configure network interfaces, and whether they would take those of pods for the machine's own.

systemd-networkd, NetworkManager and dhcpcd give an interface that matches their configuration addresses and routes, and
take away those that they do not know: pods whose end of the wire is treated so have no network any more.

Private to this collection.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._network.resolver import is_active
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import POD_NETWORKS

#: Where systemd-networkd looks; of files with the same name the first one counts.
_FOLDERS = (
    "/etc/systemd/network",
    "/run/systemd/network",
    "/usr/local/lib/systemd/network",
    "/usr/lib/systemd/network",
    "/lib/systemd/network",
)
#: What the interfaces of pods have not, or another one of each time.
_NEVER = ("MACAddress", "PermanentMACAddress", "Path", "Property", "WLANInterfaceType", "SSID", "BSSID")
#: Conditions about the machine: where they do not hold the file is none, and whether they do is not looked at.
_CONDITIONS = ("Host", "Virtualization", "KernelCommandLine", "KernelVersion", "Version", "Credential", "Architecture")

Sections = t.Dict[str, t.Dict[str, t.List[str]]]


def parse_unit(text: str) -> Sections:
    """Sections of a file for systemd: of each key the words of all its lines; an empty one takes back what was said."""
    found: Sections = {}
    section: t.Dict[str, t.List[str]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            section = found.setdefault(line[1:-1], {})
        elif line and line[0] not in "#;" and "=" in line:
            key, _sign, value = line.partition("=")
            words = value.split()
            section[key.strip()] = [*section.get(key.strip(), []), *words] if words else []
    return found


def _matches(patterns: t.Sequence[str], value: str) -> bool:
    """Whether a value matches a list of shell patterns; a leading ``!`` inverts the list."""
    inverted = patterns[0].startswith("!")
    words = [patterns[0][1:], *patterns[1:]] if inverted else patterns
    return any(fnmatch.fnmatchcase(value, word) for word in words) != inverted


def takes(match: t.Mapping[str, t.Sequence[str]], interface: t.Mapping[str, str]) -> bool:
    """Whether a [Match] section is certainly about the interface. An empty one is about all of them.

    What is not known of an interface is empty, and matches nothing.
    """
    if any(match.get(key) for key in (*_NEVER, *_CONDITIONS)):
        return False
    names = [*match.get("Name", []), *match.get("OriginalName", [])]
    wanted = {"Name": names, **{key: list(match.get(key, [])) for key in ("Type", "Kind", "Driver")}}
    return all(
        not patterns or (bool(interface[key]) and _matches(patterns, interface[key]))
        for key, patterns in wanted.items()
    )


def networkd_files(root: str = "") -> t.List[t.Tuple[str, Sections]]:
    """The files that systemd-networkd reads, in its order, each with its drop-ins."""
    files: t.Dict[str, str] = {}
    for folder in _FOLDERS:
        for path in glob.glob(f"{root}{folder}/*.network"):
            files.setdefault(os.path.basename(path), path)
    found = []
    for name, path in sorted(files.items()):
        # An empty file takes one of that name away, as a link to /dev/null does. Source: network_load_one in systemd's
        # networkd-network.c.
        if os.path.realpath(path) == "/dev/null" or not read_text(path):
            continue
        dropins: t.Dict[str, str] = {}
        for folder in _FOLDERS:
            for dropin in glob.glob(f"{root}{folder}/{glob.escape(name)}.d/*.conf"):
                dropins.setdefault(os.path.basename(dropin), dropin)
        text = "\n".join([read_text(path), *(read_text(dropins[key]) for key in sorted(dropins))])
        found.append((path[len(root) :], parse_unit(text)))
    return found


def networkd(root: str = "") -> t.List[t.Dict[str, t.Any]]:
    """The files with which systemd-networkd would take an interface of pods, each with what it takes."""
    greedy: t.Dict[str, t.List[str]] = {}
    files = networkd_files(root)
    interfaces = {item["Name"]: item for network in POD_NETWORKS.values() for item in network.interfaces}
    for interface in interfaces.values():
        for path, sections in files:
            if not takes(sections.get("Match", {}), interface):
                continue
            unmanaged = sections.get("Link", {}).get("Unmanaged", [])
            if [word.lower() for word in unmanaged[-1:]] not in (["yes"], ["true"], ["1"], ["on"]):
                greedy.setdefault(path, []).append(interface["Name"])
            break
    return [{"by": "systemd-networkd", "path": path, "takes": names} for path, names in greedy.items()]


def network_manager(root: str = "") -> t.List[t.Dict[str, t.Any]]:
    """The connections with which NetworkManager would take an interface of pods."""
    configuration = "\n".join(
        read_text(path)
        for folder in ("/usr/lib/NetworkManager/conf.d", "/run/NetworkManager/conf.d", "/etc/NetworkManager/conf.d")
        for path in sorted(glob.glob(f"{root}{folder}/*.conf"))
    ) + read_text(f"{root}/etc/NetworkManager/NetworkManager.conf")
    left_alone = " ".join(re.findall(r"^\s*unmanaged-devices\+?\s*=(.*)$", configuration, re.MULTILINE))
    if re.search(r"(interface-name:|driver:|^|[;,\s])(veth|\*)|except:", left_alone):
        return []
    found = []
    for folder in ("/etc/NetworkManager/system-connections", "/run/NetworkManager/system-connections"):
        for path in sorted(glob.glob(f"{root}{folder}/*")):
            sections = parse_unit(read_text(path))
            connection, match = sections.get("connection", {}), sections.get("match", {})
            wired = {**sections.get("ethernet", {}), **sections.get("802-3-ethernet", {})}
            narrow = connection.get("interface-name") or wired.get("mac-address") or match
            kind = "".join(connection.get("type", []))
            if kind in ("ethernet", "802-3-ethernet") and not narrow and connection.get("autoconnect") != ["false"]:
                found.append({"by": "NetworkManager", "path": path[len(root) :], "takes": ["veth1a2b3c4d"]})
    return found


def dhcpcd(root: str = "") -> t.List[t.Dict[str, t.Any]]:
    """Whether dhcpcd takes every interface, as it does unless it is told otherwise."""
    path = "/etc/dhcpcd.conf"
    text = read_text(root + path)
    words = re.findall(r"^\s*(allowinterfaces|denyinterfaces)\s+(.*)$", text, re.MULTILINE)
    denied = " ".join(names for key, names in words if key == "denyinterfaces").split()
    if any(key == "allowinterfaces" for key, _names in words) or _denies(denied):
        return []
    return [{"by": "dhcpcd", "path": path, "takes": ["veth1a2b3c4d"]}]


def _denies(patterns: t.Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase("veth1a2b3c4d", pattern) for pattern in patterns)


#: Services that run each of them; dhcpcd also has one for each interface, which takes that one alone.
_PROGRAMS: t.Tuple[t.Tuple[str, t.Callable[[str], t.List[t.Dict[str, t.Any]]]], ...] = (
    ("systemd-networkd", networkd),
    ("NetworkManager", network_manager),
    ("dhcpcd", dhcpcd),
)


def is_enabled(unit: str, root: str = "") -> bool:
    """Whether systemd starts the service ``unit`` at boot."""
    return bool(glob.glob(f"{root}/etc/systemd/system/*.wants/{unit}.service"))


def look(root: str = "") -> t.List[t.Dict[str, t.Any]]:
    """What would take the interfaces of pods: program, file, interfaces, and whether the program runs now or at boot.

    :param root: a folder in the place of ``/``, for tests.
    """
    found = []
    for unit, files in _PROGRAMS:
        runs = is_active(unit, root) or is_enabled(unit, root)
        if runs or unit == "systemd-networkd":
            found += [{**entry, "runs": runs} for entry in files(root)]
    return found


def route_setters(root: str = "") -> t.List[str]:
    """Units that run at boot and set the machine's routes by what a cloud says, again and again.

    They send what comes from an address of the machine by a table of routes of its own, in which those of pods are not:
    that of NetworkManager for each interface, that of amazon-ec2-net-utils for each but the first.

    Source: create_rules of amazon-ec2-net-utils' lib.sh, which leaves no empty files.
    """
    found = glob.glob(f"{root}/etc/systemd/system/*.wants/nm-cloud-setup.*")
    rules = glob.glob(f"{root}/run/systemd/network/70-*.network.d/ec2net_policy_*.conf")
    interfaces = (os.path.basename(os.path.dirname(path))[len("70-") : -len(".network.d")] for path in rules)
    units = [os.path.basename(path) for path in found]
    return sorted({*units, *(f"policy-routes@{name}.service" for name in interfaces)})
