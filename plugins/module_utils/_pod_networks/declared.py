# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pod network that the table does not know, by what somebody says that it has and leaves on a machine.

Names that are given here are removed with a node, so each has to be one that nothing else of a machine can have: a
typing error must not take its network away, or somebody's data.

Private to this collection.
"""

from __future__ import annotations

import fnmatch
import ipaddress
import os
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks.pod_network import PodNetwork
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes import RUNTIMES

#: Kinds of what is left on a machine.
KINDS = ("interfaces", "cni_files", "chains", "comments", "nft_tables", "ip_sets", "networks", "folders", "programs")


def _words(text: str) -> t.Tuple[str, ...]:
    return tuple(text.split())


#: The name of an interface, or how names begin. Linux has no longer ones.
_INTERFACE = re.compile(r"(?=.{1,15}$)[A-Za-z][\w.-]*|(?=.{4,15}$)[A-Za-z][\w.-]*\*", re.ASCII)
#: How interfaces are called that machines have, and those of other programs than a pod network.
_NUMBERED = (
    "eth|ens|eno|em|vec|venet|wlan|wwan|ib|usb|ppp|bond|team|vlan|br|vmbr|bridge|macvlan|ipvlan|can|docker|podman"
    "|cni-podman|virbr|vnet|lxdbr|lxcbr|incusbr|nerdctl|tap|tun|tunl|wg|tailscale|zt|dummy|ifb|sit|gre|gretap|erspan"
    "|ip6tnl|ip6_vti|ip_vti|rename"
)
_INTERFACE_OF_OTHERS = re.compile(
    rf"lo|({_NUMBERED})\d+([.@:]\S*)?|en[pPx]\w+([.@:]\S*)?|wl[opx]\w+|ibs\w+|p\d+p\d+\S*|br-([0-9a-f]{{12}}|lan)"
    r"|veth[0-9a-f]+|docker_gwbridge|kube-ipvs0|nodelocaldns",
    re.ASCII,
)
#: Some of them, for the beginnings of names.
_SUCH_AS = _words(
    "lo eth0 eth1 eth10 ens3 ens192 enp1s0 enp0s31f6 eno1 enx001122334455 enP1p1s0 em1 p1p1 vec0 venet0 wlan0 wlp2s0"
    " wlo1 wwan0 ib0 ibs1 usb0 ppp0 rename2 bond0 team0 vlan1 vlan10 br0 br1 br-lan vmbr0 bridge0 macvlan0 ipvlan0 can0"
    " docker0 docker_gwbridge br-0a1b2c3d4e5f veth0a1b2c3 veth1 podman0 podman1 cni-podman0 virbr0 vnet0 lxdbr0 lxcbr0"
    " incusbr0 nerdctl0 tap0 tun0 wg0 tailscale0 zt0 dummy0 ifb0 sit0 gre0 gretap0 erspan0 ip6tnl0 ip6_vti0 ip_vti0"
    " tunl0 kube-ipvs0 nodelocaldns"
)

_CNI_FILE = re.compile(r"[A-Za-z0-9][\w.-]*\.(conf|conflist|json)", re.ASCII)
#: Words in names of files that container runtimes and others have there for themselves.
_CNI_FILES_OF_OTHERS = ("podman", *RUNTIMES, "nerdctl", "loopback", "buildkit")

_CHAIN = re.compile(r"(?=.{3,28}$)[A-Za-z0-9][\w-]*", re.ASCII)
#: How names of chains begin that the kernel, firewalls and container runtimes have.
_CHAINS_OF_OTHERS = _words(
    "INPUT OUTPUT FORWARD PREROUTING POSTROUTING ACCEPT DROP REJECT RETURN LOG MARK DOCKER ufw fail2ban f2b LIBVIRT"
    " NETAVARK IN_ FWD OUT_ PRE_ POST_ CNI- sshg"
)

#: Nobody else writes a sentence of that length about his own rule.
_COMMENT = re.compile(r"(?=.{12,256}$)[A-Za-z0-9][\w :./,-]*", re.ASCII)

_TABLE = re.compile(r"(?=.{4,63}$)[A-Za-z][\w.-]*", re.ASCII)
#: Tables of nftables that firewalls and container runtimes have, and those that iptables makes.
_TABLES_OF_OTHERS = _words(
    "filter nat mangle raw security broute firewall firewalld fw4 netavark docker docker-bridges libvirt_network lxd"
    " incus slipway slipway-firewall"
)

_SET = re.compile(r"(?=.{4,31}$)[A-Za-z][\w:.-]*", re.ASCII)
_SETS_OF_OTHERS = _words("f2b- fail2ban firewalld ufw crowdsec blacklist blocklist docker sshguard")

#: Where a pod network may have a folder of its own, and which are those of others.
_PLACES = ("/run/", "/var/run/", "/var/lib/", "/var/log/", "/var/cache/")
_FOLDER = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)*", re.ASCII)
_FOLDERS_OF_OTHERS = _words(
    "snapd flatpak alternatives misc private sudo systemd dbus udev udisks2 NetworkManager"
    " network dhcp dhcpcd resolvconf netns docker containers buildkit nerdctl podman lxc lxd lxcfs incus etcd"
    " kubelet kube-proxy kubernetes slipway rancher cni libvirt lock log user sshd cloud cloud-init chrony ntp lvm"
    " mount initramfs shm postgresql mysql mariadb mongodb redis prometheus grafana www nfs pods audit journal nginx"
    " haproxy keepalived ceph rook longhorn"
)
_PROGRAM = re.compile(r"/opt/cni/bin/[A-Za-z0-9][\w.-]*", re.ASCII)
#: The plugins that every CNI configuration may call, and that the package kubernetes-cni brings.
_PLUGINS = _words(
    "bandwidth bridge dhcp dummy firewall host-device host-local ipvlan loopback macvlan portmap ptp sbr static tap"
    " tuning vlan vrf multus"
)
#: The largest networks whose routes may be removed, by the version of IP.
_LARGEST = {4: 8, 6: 32}

Given = t.Mapping[str, t.Sequence[str]]


def matches(name: str, patterns: t.Iterable[str]) -> bool:
    """Whether an interface is one of those that are given, each a name or how names begin (``weave*``)."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _of_interface(text: str) -> str:
    if not _INTERFACE.fullmatch(text):
        return "is neither the name of an interface nor three characters or more and a * at the end"
    if _INTERFACE_OF_OTHERS.fullmatch(text):
        return "is how interfaces of machines and of other programs are called"
    other = next((name for name in _SUCH_AS if matches(name, [text])), "")
    return f"would be {other}, too, which is no pod network's" if other else ""


def _of_cni_file(text: str) -> str:
    if not _CNI_FILE.fullmatch(text):
        return "is no name of a file in /etc/cni/net.d, such as 10-weave.conflist"
    other = next((word for word in _CNI_FILES_OF_OTHERS if word in text.lower()), "")
    return f"has {other} in it, whose file stays" if other else ""


def _of_beginning(text: str, form: t.Pattern[str], others: t.Sequence[str], what: str) -> str:
    """What is wrong with the beginning of names."""
    if not form.fullmatch(text):
        return f"is not how names of {what} begin: letters and digits, four or more, no *"
    lower = text.lower()
    other = next((word for word in others if lower.startswith(word.lower()) or word.lower().startswith(lower)), "")
    return f"is how {what} of others begin ({other})" if other else ""


def _of_chain(text: str) -> str:
    return _of_beginning(text, _CHAIN, _CHAINS_OF_OTHERS, "chains")


def _of_comment(text: str) -> str:
    return "" if _COMMENT.fullmatch(text) else "is no whole comment of a rule, of twelve characters or more"


def _of_set(text: str) -> str:
    return _of_beginning(text, _SET, _SETS_OF_OTHERS, "sets of addresses")


def _of_table(text: str) -> str:
    if not _TABLE.fullmatch(text):
        return "is no name of a table of nftables: letters and digits, four or more, without its family"
    return "is a table of somebody else" if text.lower() in _TABLES_OF_OTHERS else ""


def _of_network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        return "is no network, such as 10.244.0.0/16"
    large = network.prefixlen < _LARGEST[network.version] or network.is_loopback or network.is_link_local
    return "has more in it than a cluster's pods" if large else ""


def _of_folder(text: str) -> str:
    place = next((place for place in _PLACES if text.startswith(place)), "")
    below = text[len(place) :]
    if not place or not _FOLDER.fullmatch(below) or os.path.normpath(text) != text:
        return f"is no folder in {', '.join(place.rstrip('/') for place in _PLACES)}"
    return "is a folder of somebody else" if below.partition("/")[0] in (*_FOLDERS_OF_OTHERS, *RUNTIMES) else ""


def _of_program(text: str) -> str:
    if not _PROGRAM.fullmatch(text):
        return "is no file in /opt/cni/bin"
    return "is a plugin that others call, too" if os.path.basename(text) in _PLUGINS else ""


_CHECKS: t.Mapping[str, t.Callable[[str], str]] = {
    "interfaces": _of_interface,
    "cni_files": _of_cni_file,
    "chains": _of_chain,
    "comments": _of_comment,
    "nft_tables": _of_table,
    "ip_sets": _of_set,
    "networks": _of_network,
    "folders": _of_folder,
    "programs": _of_program,
}


def wrong(kind: str, texts: t.Iterable[t.Any]) -> t.Iterator[str]:
    """What is wrong with names of a kind, each a sentence without its end."""
    for text in map(str, texts):
        reason = _CHECKS[kind](text)
        if reason:
            yield f"{text or '(empty)'} {reason}"


def example(pattern: str) -> t.Dict[str, str]:
    """An interface of that name, or whose name begins so, in the words of systemd.network(5). Its kind is not known."""
    return {"Name": pattern.replace("*", "0"), "Type": "ether", "Kind": "", "Driver": ""}


def prefix(pattern: str) -> str:
    """How the names of such interfaces begin."""
    return pattern.rstrip("*")


class Declared(PodNetwork):
    """What somebody says: for modules, which have no settings."""

    name = "(declared)"
    words = ()

    def __init__(self, given: Given, interfaces: t.Sequence[str] = ()) -> None:
        """:param interfaces: those that it makes, beside what is left."""
        left = {kind: tuple(map(str, given.get(kind) or ())) for kind in KINDS}
        known = tuple(dict.fromkeys([*map(str, interfaces), *left["interfaces"]]))
        self.interfaces = tuple(map(example, known))
        self.interface_prefixes = tuple(map(prefix, known))
        self.left_interfaces = tuple(re.escape(prefix(text)) + ".*" * text.endswith("*") for text in left["interfaces"])
        self.left_cni_files = left["cni_files"]
        self.left_networks = left["networks"]
        self.chains, self.nft_tables, self.ip_sets = (left[kind] for kind in ("chains", "nft_tables", "ip_sets"))
        # A rule in a chain of the kernel that asks one of its sets is its own, and keeps the set from being removed.
        of_sets = [rf"--match-set {re.escape(text)}\S*\s" for text in self.ip_sets]
        # A comment of one word has no quotes.
        with_comments = [rf'--comment (?:"{re.escape(text)}"|{re.escape(text)})(?:\s+-|$)' for text in left["comments"]]
        self.rules = (*of_sets, *with_comments)
        self.folders, self.programs = left["folders"], left["programs"]
