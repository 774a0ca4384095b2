# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on what the inventory hands to kubeadm itself: fields of its documents, phases and checks that it leaves out.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import difflib
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import url_shown
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.addresses import (
    parse_endpoint,
    parse_networks,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.inventory import beside_all, is_argument
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


#: Fields of the ClusterConfiguration that have a variable, by which roles go: path, variable, how values are compared.
_SAID_TWICE: t.Tuple[t.Tuple[str, str, t.Callable[[str], t.Any]], ...] = (
    ("networking.podSubnet", "cluster_pod_subnet", parse_networks),
    ("networking.serviceSubnet", "cluster_service_subnet", parse_networks),
    ("controlPlaneEndpoint", "cluster_endpoint", parse_endpoint),
    ("kubernetesVersion", "cluster_version", lambda text: text.lstrip("v")),
)


def check_contradictions(hosts: Hosts) -> t.Iterable[Problem]:
    """Fields of a new cluster that a variable says otherwise: the pod network, the packages and all else go by that."""
    if any(host.joined for host in hosts):
        return  # what the cluster has is compared with the inventory
    for host in (host for host in hosts if host.control_plane and host.facts is not None):
        for path, variable, read in _SAID_TWICE:
            value: t.Any = host.mapping("control_plane_cluster_configuration")
            for name in path.split("."):
                value = value.get(name) if isinstance(value, dict) else None
            if value and variable not in host.broken and _differ(str(value), host.text(variable), read):
                yield host.problem(
                    "control_plane_cluster_configuration",
                    f"{path} is {url_shown(str(value))}, and {variable}, by which all else goes, is"
                    f" {url_shown(host.text(variable)) or '(empty)'}.",
                    f"Leave the field out, and set {variable}.",
                )


def _differ(value: str, wanted: str, read: t.Callable[[str], t.Any]) -> bool:
    try:
        return bool(read(value) != read(wanted))
    except ValueError:
        return value != wanted


#: What ``kubeadm init --help`` lists (1.34 to 1.37), and the phases of each addon together.
PHASES: t.Mapping[str, t.Tuple[str, ...]] = {
    "preflight": (),
    "certs": (
        *("ca", "apiserver", "apiserver-kubelet-client", "front-proxy-ca", "front-proxy-client", "etcd-ca", "sa"),
        *("etcd-server", "etcd-peer", "etcd-healthcheck-client", "apiserver-etcd-client", "all"),
    ),
    "kubeconfig": ("admin", "super-admin", "kubelet", "controller-manager", "scheduler", "all"),
    "etcd": ("local",),
    "control-plane": ("apiserver", "controller-manager", "scheduler", "all"),
    "kubelet-start": (),
    "wait-control-plane": (),
    "upload-config": ("kubeadm", "kubelet", "all"),
    "upload-certs": (),
    "mark-control-plane": (),
    "bootstrap-token": (),
    "kubelet-finalize": ("enable-client-cert-rotation", "all"),
    "addon": ("coredns", "kube-proxy", "all"),
    "show-join-command": (),
}


def check_phases(hosts: Hosts) -> t.Iterable[Problem]:
    """Phases that kubeadm does not know: it says so when all machines have been prepared."""
    known = [*PHASES, *(f"{phase}/{part}" for phase, parts in PHASES.items() for part in parts)]
    for host in (host for host in hosts if host.control_plane and not host.joined and host.facts is not None):
        for name in (str(name) for name in host.sequence("control_plane_skip_phases")):
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            # One that is like none of these may be of a newer kubeadm.
            if name not in known and close:
                yield host.problem(
                    "control_plane_skip_phases",
                    f"{name} is no phase of kubeadm init, which refuses it.",
                    f"Did you mean {close[0]}? `kubeadm init --help` lists them.",
                )


def check_ignored(hosts: Hosts) -> t.Iterable[Problem]:
    """Checks that kubeadm shall ignore on new machines."""
    for host in (host for host in hosts if host.facts is not None and not host.joined):
        variable = f"{'control_plane' if host.control_plane else 'node_join'}_ignore_preflight_errors"
        names = beside_all(host.sequence(variable))
        if names:
            yield host.problem(
                variable if variable in host.given else "cluster_ignore_preflight_errors",
                f"has all and {', '.join(names)}, and kubeadm refuses any other name beside all.",
                "Name the checks only; all is a safety net that is gone.",
            )


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (
    check_overrides,
    check_extra_arguments,
    check_contradictions,
    check_phases,
    check_ignored,
)
