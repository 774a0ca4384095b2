# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How inventories write things, as several checks read it: versions, names, keys, what is the same on all hosts.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.plugin_utils._families import NODE_IP6
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._node_identities import CERT_SANS, NODE_IP
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import CLUSTER, Hosts

#: What a control plane reads in ``hostvars``, for all nodes at once.
READ_BY_OTHERS = (
    "cluster_node_labels",
    "cluster_node_annotations",
    "cluster_node_taints",
    NODE_IP,
    NODE_IP6,
    CERT_SANS,
)

_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
DNS_LABEL = re.compile(_LABEL)
DNS_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
QUALIFIED_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
VERSION = re.compile(r"([0-9]+)\.([0-9]+)\.([0-9]+)")


def distinct(hosts: Hosts, name: str) -> t.List[t.Tuple[str, str]]:
    """Each value that the variable has, with the host to name for it: one host a value, for cluster-wide variables.

    A value that is the same everywhere is the cluster's.
    """
    values: t.Dict[str, str] = {}
    for host in hosts:
        if name not in host.broken:
            values.setdefault(host.text(name), host.name)
    if len(values) == 1:
        return [(value, CLUSTER) for value in values]
    return list(values.items())


def parse_version(text: str) -> t.Optional[t.Tuple[int, int, int]]:
    """``1.37.1`` as numbers; ``None`` when it is not a release's version."""
    match = VERSION.fullmatch(text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def bad_key(key: str) -> bool:
    """Whether it is no key of a label, annotation or taint: ``[prefix/]name``."""
    prefix, slash, name = key.rpartition("/")
    return not QUALIFIED_NAME.fullmatch(name) or (bool(slash) and not DNS_NAME.fullmatch(prefix))


def bad_value(value: str) -> bool:
    """Whether it is no value of a label or taint."""
    return bool(value) and not QUALIFIED_NAME.fullmatch(value)


def is_argument(item: t.Any) -> bool:
    """Whether it is an argument of kubeadm's extraArgs."""
    named = isinstance(item, dict) and isinstance(item.get("name"), str)
    return named and isinstance(item.get("value"), (str, type(None)))


def beside_all(names: t.Iterable[t.Any]) -> t.List[str]:
    """Checks of kubeadm that shall be ignored beside ``all`` of them, which it refuses; it reads small letters."""
    lowered = {str(name).lower() for name in names}
    return sorted(lowered - {"all"}) if "all" in lowered else []
