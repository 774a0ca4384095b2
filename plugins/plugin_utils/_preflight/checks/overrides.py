# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on fields of kubeadm's documents that the inventory sets itself.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.inventory import is_argument
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Hosts, Problem

#: kubeadm's defaults.
PKI = KUBEADM.pki
API_PORT = str(KUBEADM.api_port)


def check_overrides(hosts: Hosts) -> t.Iterable[Problem]:
    """Fields of kubeadm's configuration that would be ignored, or that the rest of the collection does not follow."""
    several = sum(host.control_plane for host in hosts) > 1
    for host in hosts:
        certificates = host.mapping("control_plane_cluster_configuration").get("certificatesDir") or PKI
        if host.control_plane and certificates != PKI:
            yield host.problem(
                "control_plane_cluster_configuration",
                f"certificatesDir is {certificates}, and the certificates are looked for in {PKI}.",
                "Leave it out.",
            )
        for name in ("control_plane_init_configuration", "node_join_configuration"):
            document = host.mapping(name)
            registration = document.get("nodeRegistration")
            called = registration.get("name") if isinstance(registration, dict) else None
            if called not in (None, host.name):
                yield host.problem(
                    name,
                    f"nodeRegistration.name is {called}, and nodes have the names of their hosts in the inventory.",
                    "Leave it out, and give the host that name; ansible_host says where it is.",
                )
            if document.get("skipPhases"):
                yield host.problem(
                    name,
                    "kubeadm ignores skipPhases when it is told on its command line what to skip, as it is here.",
                    "Leave it out; control_plane_skip_phases is for kubeadm init.",
                )
        joining = host.mapping("node_join_configuration").get("controlPlane")
        if joining is not None and not host.control_plane:
            yield host.problem(
                "node_join_configuration",
                "has the field controlPlane, with which this worker would become a control plane.",
                "Set it for hosts of the group kube_control_plane only.",
            )
        port, joined = (
            _bind_port(document) for document in (host.mapping("control_plane_init_configuration"), joining)
        )
        if host.control_plane and several and port != joined:
            yield host.problem(
                "node_join_configuration",
                f"control planes that join would listen on {joined}, and the one that is initialised on {port}.",
                "Set localAPIEndpoint.bindPort in control_plane_init_configuration, and the same as"
                " controlPlane.localAPIEndpoint.bindPort in node_join_configuration of all control planes.",
            )


#: Where kubeadm's documents have arguments, by the variables that are merged over them.
_ARGUMENTS = {
    "control_plane_cluster_configuration": (
        *(f"{name}.extraArgs" for name in ("apiServer", "controllerManager", "scheduler", "etcd.local")),
    ),
    "control_plane_init_configuration": ("nodeRegistration.kubeletExtraArgs",),
    "node_join_configuration": ("nodeRegistration.kubeletExtraArgs",),
}


def check_extra_arguments(hosts: Hosts) -> t.Iterable[Problem]:
    """Arguments in the form of v1beta3, a dictionary, or with values that are no text."""
    for host in hosts:
        for variable, path in ((variable, path) for variable, paths in _ARGUMENTS.items() for path in paths):
            value: t.Any = host.mapping(variable)
            for name in path.split("."):
                value = value.get(name) if isinstance(value, dict) else None
            if value is not None and not (isinstance(value, list) and all(map(is_argument, value))):
                yield host.problem(
                    variable,
                    f"{path} is no list of arguments, each with a name and a value that are text.",
                    'Write it as [{name: v, value: "2"}].',
                )


def _bind_port(document: t.Any) -> str:
    """The port of the API server in a document of kubeadm."""
    endpoint = document.get("localAPIEndpoint") if isinstance(document, dict) else None
    return str(endpoint.get("bindPort") or API_PORT) if isinstance(endpoint, dict) else API_PORT


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (check_overrides, check_extra_arguments)
