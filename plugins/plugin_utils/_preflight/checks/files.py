# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on control_plane_files, and on the files that arguments of static pods name.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import json
import typing as t

import yaml
from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import control_plane_files
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _controller_files
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    CLUSTER,
    WARNING,
    Host,
    Hosts,
    Problem,
)

VARIABLE = "control_plane_files"
CONFIGURATION = "control_plane_cluster_configuration"
DIRECTORY = control_plane_files.DIRECTORY

#: Arguments of static pods whose value is a file that has to be there.
FILE_ARGUMENTS = (
    "admission-control-config-file",
    "audit-policy-file",
    "audit-webhook-config-file",
    "authentication-config",
    "authentication-token-webhook-config-file",
    "authorization-config",
    "authorization-webhook-config-file",
    "config",
    "egress-selector-config-file",
    "encryption-provider-config",
    "oidc-ca-file",
    "token-auth-file",
    "tracing-config-file",
)
#: What kubeadm's static pods see without further volumes.
MOUNTED = (
    "/etc/ca-certificates",
    KUBEADM.pki,
    "/etc/pki",
    "/etc/ssl/certs",
    "/usr/local/share/ca-certificates",
    "/usr/share/ca-certificates",
)

#: What the static pods' probes and this collection ask an API server without saying who they are.
HEALTH = ("/livez", "/readyz")
#: What a machine that joins asks, which has a token and does not know the CA yet.
DISCOVERY = "/api/v1/namespaces/kube-public/configmaps/cluster-info"


def entries(host: Host) -> t.List[t.Mapping[str, t.Any]]:
    """The files of a host; those of a wrong type are reported elsewhere."""
    return [
        entry for entry in host.sequence(VARIABLE) if isinstance(entry, dict) and isinstance(entry.get("name"), str)
    ]


def check_files(hosts: Hosts) -> t.Iterable[Problem]:
    """Names, texts, modes and sources of the files themselves."""
    for host in (host for host in hosts if host.control_plane):
        names = [entry["name"] for entry in entries(host)]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield host.problem(VARIABLE, f"{name} stands there twice.", "Remove one of them, or rename it.")
        for entry in entries(host):
            yield from _check_entry(host, entry)


def _check_entry(host: Host, entry: t.Mapping[str, t.Any]) -> t.Iterable[Problem]:
    name = entry["name"]
    if not control_plane_files.is_name(name):
        yield host.problem(
            VARIABLE,
            f"{name!r} is no name of a file below {DIRECTORY}.",
            "Use letters, digits, dashes, dots and underscores; folders with a slash, such as patches/etcd.yaml.",
        )
    given = [key for key in ("content", "source") if entry.get(key) is not None]
    if len(given) != 1:
        yield host.problem(
            VARIABLE,
            f"{name} has {'both content and source' if given else 'neither content nor source'}.",
            "Give it its text as content, or a path on the controller as source.",
        )
    elif given == ["source"]:
        path = _controller_files.located(str(entry["source"]), host.text("inventory_dir"))
        reason = _controller_files.unreadable(path)
        if reason:
            yield host.problem(
                VARIABLE,
                f"the source of {name}, {path}, {reason}.",
                "Correct the path; a relative one begins at the folder of the inventory.",
            )
    try:
        control_plane_files.mode_of(str(entry.get("mode") or ""), boolean(entry.get("secret", False), strict=False))
    except ValueError as error:
        yield host.problem(VARIABLE, f"the mode of {name} is wrong: {error}.", 'Leave it out, or write "0600".')


def check_same_files(hosts: Hosts) -> t.Iterable[Problem]:
    """All control planes of a cluster read the same: each of them can be asked."""
    control_planes = [host for host in hosts if host.control_plane and VARIABLE not in host.broken]
    texts = {json.dumps(host.sequence(VARIABLE), sort_keys=True, default=str): host.name for host in control_planes}
    if len(texts) > 1:
        yield Problem(
            CLUSTER,
            VARIABLE,
            f"differs between control planes ({' and '.join(sorted(texts.values()))}).",
            "Set it once, for the group of all control planes.",
        )


def _arguments(component: t.Any) -> t.Iterator[t.Tuple[str, str]]:
    items = component.get("extraArgs") if isinstance(component, dict) else None
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict) and isinstance(item.get("name"), str):
            yield item["name"], str(item.get("value", ""))


def _volumes(component: t.Any) -> t.List[str]:
    volumes = component.get("extraVolumes") if isinstance(component, dict) else None
    return [str(volume.get("mountPath", "")) for volume in volumes or [] if isinstance(volume, dict)]


def _below(path: str, folders: t.Iterable[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder.rstrip('/')}/") for folder in folders if folder)


def check_arguments(hosts: Hosts) -> t.Iterable[Problem]:
    """Files that arguments of static pods name: they are in the list, or a volume has them."""
    for host in (host for host in hosts if host.control_plane):
        names = {f"{DIRECTORY}/{entry['name']}" for entry in entries(host)}
        configuration = host.mapping(CONFIGURATION)
        patched = _patches(host)
        for title in ("apiServer", "controllerManager", "scheduler"):
            component = configuration.get(title)
            seen = [*MOUNTED, *_volumes(component)]
            for name, value in _arguments(component):
                if _below(value, [DIRECTORY]) and value not in names:
                    yield host.problem(
                        CONFIGURATION,
                        f"{title} has the argument {name}={value}, which is not among {VARIABLE}.",
                        f"Add the file to {VARIABLE}, or correct the path.",
                    )
                elif _below(value, [DIRECTORY]) or host.joined or patched or not value.startswith("/"):
                    continue
                elif name in FILE_ARGUMENTS and not _below(value, seen):
                    yield host.problem(
                        CONFIGURATION,
                        f"{title} has the argument {name}={value}, a file that its static pod does not see.",
                        f"Add the file to {VARIABLE} and name it {DIRECTORY}/NAME, or give {title} a volume.",
                    )
                elif name == "audit-log-path" and not _below(value, seen):
                    yield host.problem(
                        CONFIGURATION,
                        f"{title} writes its audit log to {value}, which is no volume: it is lost with the container.",
                        f"Add the folder to extraVolumes of {title}, with readOnly: false and DirectoryOrCreate.",
                        WARNING,
                    )


def _patches(host: Host) -> str:
    """The folder of kubeadm's patches, which may bring volumes that nobody knows here."""
    for variable in ("control_plane_init_configuration", "node_join_configuration"):
        patches = host.mapping(variable).get("patches")
        if isinstance(patches, dict) and patches.get("directory"):
            return str(patches["directory"])
    return ""


def check_patches(hosts: Hosts) -> t.Iterable[Problem]:
    """kubeadm's folder of patches, where it is ours, has files."""
    for host in (host for host in hosts if host.control_plane):
        folder = _patches(host).rstrip("/")
        files = [f"{DIRECTORY}/{entry['name']}" for entry in entries(host)]
        if _below(folder, [DIRECTORY]) and not any(path.startswith(f"{folder}/") for path in files):
            yield host.problem(
                "control_plane_init_configuration",
                f"patches.directory is {folder}, and {VARIABLE} has no file there.",
                f"Add the patches to {VARIABLE}, with names such as"
                f" {folder[len(DIRECTORY) + 1 :] or '.'}/kube-apiserver+strategic.yaml.",
            )


def _text(host: Host, name: str) -> str:
    """The text of a file of the list; empty when it is not there, or in Ansible's vault."""
    for entry in (entry for entry in entries(host) if f"{DIRECTORY}/{entry['name']}" == name):
        if entry.get("content") is not None:
            return str(entry["content"])
        path = _controller_files.located(str(entry.get("source")), host.text("inventory_dir"))
        if not _controller_files.unreadable(path):
            with open(path, encoding="utf-8", errors="replace") as stream:
                text = stream.read()
            return "" if text.startswith("$ANSIBLE_VAULT") else text
    return ""


def _anonymous(host: Host) -> t.Tuple[str, t.Optional[t.List[str]]]:
    """Where the API server's anonymous requests are configured, and their paths; ``None`` for all of them."""
    for name, value in _arguments(host.mapping(CONFIGURATION).get("apiServer")):
        if name == "anonymous-auth" and value.strip().lower() in ("false", "0"):
            return "anonymous-auth=false", []
        if name == "authentication-config":
            try:
                document = yaml.safe_load(_text(host, value))
            except yaml.YAMLError:
                continue
            given = document.get("anonymous") if isinstance(document, dict) else None
            if not isinstance(given, dict):
                continue
            conditions = given.get("conditions") if given.get("enabled") else []
            if conditions or not given.get("enabled"):
                paths = [str(item.get("path")) for item in conditions or [] if isinstance(item, dict)]
                return value.rpartition("/")[2], paths
    return "", None


def check_anonymous(hosts: Hosts) -> t.Iterable[Problem]:
    """Requests of nobody, by which kubeadm's probes look at the API server, and machines that join find the cluster."""
    control_planes = [host for host in hosts if host.control_plane]
    new = [host for host in hosts if host.facts is not None and not host.joined]
    if not control_planes or not new:
        return
    host = control_planes[0]
    where, paths = _anonymous(host)
    if paths is None:
        return
    discovery = host.mapping("node_join_configuration").get("discovery")
    finds_by_file = isinstance(discovery, dict) and "file" in discovery
    # A patch may have probes of its own; our own look stays.
    needed = [*HEALTH, *([] if len(hosts) == 1 or finds_by_file else [DISCOVERY])]
    lacking = [path for path in needed if path not in paths]
    if lacking:
        yield host.problem(
            CONFIGURATION,
            f"{where} lets nobody ask for {' and '.join(lacking)} without saying who it is: so"
            f" {'the API server is taken for dead' if lacking[0] in HEALTH else 'no machine can join'}.",
            "Allow it in a file that authentication-config names: anonymous: {enabled: true, conditions: "
            f"[{', '.join(f'{{path: {path}}}' for path in needed)}]}}.",
        )


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (
    check_files,
    check_same_files,
    check_arguments,
    check_patches,
    check_anonymous,
)
