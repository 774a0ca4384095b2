# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any pod network, from manifests or charts, of which the inventory says what the others have in their files here.

Private to this collection.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._charts import Port
from ansible_collections.slipway.kubernetes.plugins.module_utils._findings import Finding
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import declared
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks.pod_network import (
    Facts,
    PodNetwork,
    mtu_findings,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings

LIST = "cni_manifests"
#: The role applies the list as a set of that name, and keeps its record in a ConfigMap.
SET, RECORD = "cni", ("kube-system", "slipway-cni")
PORTS, INTERFACES, FILE, LEFT = (
    "cni_manifest_ports",
    "cni_manifest_interfaces",
    "cni_manifest_cni_file",
    "cni_manifest_left",
)
OVERHEAD, MTU, MODULES = "cni_manifest_overhead", "cni_manifest_mtu", "cni_manifest_kernel_modules"
_PORT = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", re.ASCII)
#: Each port of a range is a rule of firewalls, and is tried.
MOST_PORTS = 32
#: What a tunnel takes at most: Geneve with options, or WireGuard in IPv6.
MOST_OVERHEAD = 200
SMALLEST_MTU = 576
_MODULE = re.compile(r"[A-Za-z0-9][\w-]*", re.ASCII)


def numbers(text: str) -> range:
    """The ports that a text means, ``6783`` or ``6783-6784``; none when it means none."""
    match = _PORT.fullmatch(text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    return range(first, last + 1) if 0 < first <= last < 65536 else range(0)


def entries(settings: Settings) -> t.List[t.Mapping[str, t.Any]]:
    """The entries of the list; those of a wrong type are reported elsewhere."""
    return [entry for entry in settings.sequence(LIST) if isinstance(entry, dict)]


def _texts(settings: Settings, name: str) -> t.Tuple[str, ...]:
    return tuple(map(str, settings.sequence(name)))


class Manifests(PodNetwork):
    """A pod network from a list of manifests; without settings nothing is known of it."""

    name = "manifest"
    title = LIST
    list_variable = LIST
    #: Nobody writes that into the names of his files or variables to say that they are about this.
    words = ()
    kubespray = {
        "custom_cni_chart_namespace": LIST,
        "custom_cni_chart_ref": LIST,
        "custom_cni_chart_release_name": LIST,
        "custom_cni_chart_repository_name": LIST,
        "custom_cni_chart_repository_url": LIST,
        "custom_cni_chart_values": LIST,
        "custom_cni_chart_version": LIST,
        "custom_cni_manifests": LIST,
    }
    ports_variable = PORTS
    interface_remedy = "Set it to what it takes on this host, or let it take the other one."
    config_map = RECORD
    release = SET

    def state(self, kept: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
        """Whether the record of the list has something in it."""
        return {"release": SET} if str((kept.get("data") or {}).get("entries") or "").strip() else {}

    def told(self, settings: Settings) -> PodNetwork:
        """What the inventory says of it."""
        network = Manifests()
        interfaces = _texts(settings, INTERFACES)
        network.title = " and ".join(str(entry.get("name")) for entry in entries(settings)) or LIST
        network.goes_by_slices = settings.flag("cni_manifest_pod_cidrs")
        network.has_policies = settings.flag("cni_manifest_network_policy")
        network.overhead = settings.number(OVERHEAD)
        network.kernel_modules = _texts(settings, MODULES)
        network.interfaces = tuple(map(declared.example, interfaces))
        network.interface_prefixes = tuple(map(declared.prefix, interfaces))
        network.cni_file = settings.text(FILE)
        waited = (entry.get("ready_when") for entry in entries(settings))
        conditions = (item for found in waited if isinstance(found, list) for item in found)
        network.conditions = tuple(dict(item) for item in conditions if isinstance(item, dict))
        return network

    def leftovers(self, settings: Settings) -> t.Dict[str, t.List[str]]:
        """Its interfaces, its file, routes to pods of other nodes, and what else the inventory names."""
        left = settings.mapping(LEFT)
        more = {kind: [str(text) for text in left.get(kind) or []] for kind in declared.KINDS}
        subnets = [text.strip() for text in settings.text("cluster_pod_subnet").split(",")]
        own = {"interfaces": [*_texts(settings, INTERFACES)], "cni_files": [settings.text(FILE)], "networks": subnets}
        found = {kind: list(filter(None, [*own.get(kind, []), *more[kind]])) for kind in declared.KINDS}
        return {kind: texts for kind, texts in found.items() if texts}

    def ports(self, settings: Settings) -> t.List[Port]:
        """Those that the inventory names. A kernel's own socket, such as that of VXLAN, is no finding."""
        return [
            Port(
                str(item.get("protocol") or "tcp"),
                number,
                self.title,
                is_shared=True,
                is_tried=_is_of_nodes(item),
                is_asked=_is_of_nodes(item),
            )
            for item in settings.sequence(PORTS)
            if isinstance(item, dict)
            for number in numbers(str(item.get("port")))[:MOST_PORTS]
        ]

    def protocols(self, settings: Settings) -> t.List[str]:
        """Those that the inventory names."""
        return list(_texts(settings, "cni_manifest_protocols"))

    def modules(self, settings: Settings) -> t.Set[str]:
        """Those that the inventory names, as the kernel writes them."""
        return {name.replace("-", "_") for name in _texts(settings, MODULES)}

    def mtu(self, settings: Settings) -> int:
        """What the inventory says that pods are told."""
        return settings.number(MTU)

    def interface(self, settings: Settings, facts: Facts, first: Settings, first_facts: Facts) -> str:
        """What the inventory says of this host."""
        return settings.text("cni_manifest_interface")

    def findings(self, settings: Settings) -> t.Iterator[Finding]:
        """A list without entries, names that are none, and those that would take somebody else's things away."""
        yield from _of_list(settings)
        yield from _of_ports(settings)
        yield from _of_names(settings)
        yield from _of_numbers(settings)


def _is_of_nodes(item: t.Mapping[str, t.Any]) -> bool:
    """Whether other nodes ask a port, as they do unless the inventory denies it."""
    return str(item.get("from_nodes", True)).lower() not in ("false", "no", "off", "0")


def _of_list(settings: Settings) -> t.Iterator[Finding]:
    if not settings.sequence(LIST):
        yield Finding(
            LIST,
            "has no entries, and cluster_cni: manifest has the pod network from there.",
            "Name its manifests; or set cluster_cni to none when something else brings it.",
        )
    elif not any(entry.get("ready_when") for entry in entries(settings)):
        yield Finding(
            LIST,
            "has no ready_when, so that a run ends before the pod network is known to work.",
            "Name its DaemonSet: ready_when: [{type: rollout, kind: daemonset, namespace: ..., names: [...]}].",
            "warning",
        )


def _of_ports(settings: Settings) -> t.Iterator[Finding]:
    for item in settings.sequence(PORTS):
        text = str(item.get("port")) if isinstance(item, dict) else ""
        if isinstance(item, dict) and not 0 < len(numbers(text)) <= MOST_PORTS:
            yield Finding(
                PORTS,
                f"{text} is neither a port nor a range of at most {MOST_PORTS}.",
                "Write 6783, or 6783-6784.",
            )


def _of_names(settings: Settings) -> t.Iterator[Finding]:
    if not settings.text(FILE):
        yield Finding(
            FILE,
            "is empty: it is how the machines' other pod networks are told from this one, and removed with a node.",
            "Name the file that it writes into /etc/cni/net.d, such as 10-weave.conflist.",
        )
    else:
        for message in declared.wrong("cni_files", [settings.text(FILE)]):
            yield Finding(FILE, f"{message}.", "Write the name of the file alone.")
    left = settings.mapping(LEFT)
    for variable, kind, texts in (
        (INTERFACES, "interfaces", settings.sequence(INTERFACES)),
        *((LEFT, kind, left[kind]) for kind in declared.KINDS if isinstance(left.get(kind), list)),
    ):
        for message in declared.wrong(kind, texts):
            yield Finding(
                variable,
                f"{message}.",
                "It would be removed with a node: name what is the pod network's alone.",
            )
    for name in (text for text in _texts(settings, MODULES) if not _MODULE.fullmatch(text)):
        yield Finding(MODULES, f"{name} is no name of a kernel module.", "Write it as modprobe takes it.")


def _of_numbers(settings: Settings) -> t.Iterator[Finding]:
    overhead, mtu = settings.number(OVERHEAD), settings.number(MTU)
    if not 0 <= overhead <= MOST_OVERHEAD:
        yield Finding(
            OVERHEAD,
            f"is {overhead}, and has to be between 0 and {MOST_OVERHEAD}: bytes of each packet between nodes.",
            "VXLAN takes 50, IPIP 20, WireGuard 60.",
        )
    yield from mtu_findings(MTU, mtu, "Leave it out.", SMALLEST_MTU)
