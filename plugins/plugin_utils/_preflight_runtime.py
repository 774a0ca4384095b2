# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks on the container runtime: whose package and files are there, and how registries are asked.

Private to this collection; runs on the controller. Variables of a wrong type are reported by the checks on
argument_specs, malformed mirrors by check_registry_mirrors; the ones here pass over them.
"""

from __future__ import annotations

import os
import typing as t
import urllib.parse

from ansible_collections.slipway.kubernetes.plugins.module_utils._containerd_state import CONFIG, meaning
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _containerd
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight import ERROR, WARNING, Host, Hosts, Problem

#: The package of containerd by container_runtime_source, on Debian and its like.
PACKAGES = {"distribution": "containerd", "docker": "containerd.io"}
MIRRORS = "container_runtime_registry_mirrors"

Values = t.Mapping[str, t.Any]


def _runtimes(hosts: Hosts) -> t.Iterator[t.Tuple[Host, Values]]:
    """What is known of containerd on the hosts."""
    for host in hosts:
        runtime = (host.facts or {}).get("runtime", {}).get("containerd", {})
        if runtime:
            yield host, runtime


def check_runtime_package(hosts: Hosts) -> t.Iterable[Problem]:
    """A containerd that is installed from elsewhere than the inventory says: the packages exclude each other."""
    sources = {package: source for source, package in PACKAGES.items()}
    for host, runtime in _runtimes(hosts):
        source = host.text("container_runtime_source")
        if not runtime.get("installed") or "package" not in runtime or source not in PACKAGES:
            continue
        wanted, found = PACKAGES[source], runtime["package"]
        if not found and host.facts and host.facts["os"].get("family") == "debian":
            yield host.problem(
                "containerd",
                f"{runtime.get('path')} is part of no package, and {wanted} would be installed beside it.",
                "Remove it together with its systemd unit.",
            )
        elif found in sources and found != wanted:
            yield host.problem(
                "container_runtime_source",
                f"is {source}, whose package is {wanted}, but {found} is installed, and they exclude each other.",
                f"Set container_runtime_source: {sources[found]}, or remove {found} first (what runs in its containers,"
                " Docker's too, stops then).",
            )


def _folders(upstream: str) -> t.Set[str]:
    """The folders that containerd looks for this registry in before it takes ours."""
    host, colon, port = upstream.rpartition(":")
    return {upstream, f"{host}_{port}_"} if colon else {upstream}


def _same_hosts(host: Host, runtime: Values) -> t.Set[str]:
    """Files of others that say what ours would say."""
    try:
        files = _containerd.registry_hosts(host.mapping(MIRRORS))
    except (ValueError, TypeError, AttributeError):
        return set()  # reported by the checks on mirrors
    ours = {file["path"]: meaning(file["content"]) for file in files if "content" in file}
    return {path for path, said in (runtime.get("foreign_hosts") or {}).items() if ours.get(path) == said}


def check_foreign_files(hosts: Hosts) -> t.Iterable[Problem]:
    """Configuration of containerd that somebody else wrote where ours would be."""
    for host, runtime in _runtimes(hosts):
        if host.text("container_runtime_foreign_files") == "copy":
            continue
        folders = set().union(*(_folders(str(name)) for name in host.mapping(MIRRORS)))
        same = _same_hosts(host, runtime)
        for path in runtime.get("foreign_files", []):
            if path == CONFIG:
                yield host.problem(
                    path,
                    "was not written by this collection and differs from containerd's default; it would be replaced.",
                    "Take over what is needed of it (container_runtime_config, or a file in /etc/containerd/conf.d) and"
                    " move it away; or set container_runtime_foreign_files: copy, which keeps it beside the new one.",
                )
            elif os.path.basename(os.path.dirname(path)) in folders and path not in same:
                yield host.problem(
                    path,
                    "was not written by this collection, and the mirrors of this registry would replace it.",
                    "Move it away, or take this registry out of cluster_registry_mirrors; or set"
                    " container_runtime_foreign_files: copy, which keeps it beside the new one.",
                )


def check_drop_ins(hosts: Hosts) -> t.Iterable[Problem]:
    """Drop-ins with which containerd 1.x would not work: it takes whole sections from them, and no later version."""
    for host, runtime in _runtimes(hosts):
        if not str(runtime.get("version", "")).startswith("1."):
            continue
        for entry in runtime.get("drop_ins", []):
            if entry["version"] > 2:
                yield host.problem(
                    entry["path"],
                    f"is of version {entry['version']}, and containerd {runtime['version']} reads version 2.",
                    "Write it for version 2, or remove it.",
                )
            elif entry["cri"] and not (entry["systemd_cgroup"] and (entry["registries"] or not host.mapping(MIRRORS))):
                lost = "the mirrors of registries" if entry["systemd_cgroup"] else "SystemdCgroup = true"
                yield host.problem(
                    entry["path"],
                    f"replaces all that {CONFIG} says of the CRI plugin, since containerd 1.x does not merge sections,"
                    f" and so takes {lost} away.",
                    "Put its settings into container_runtime_config instead, or all of that section into the file"
                    " (containerd config dump shows it), or use containerd 2 (container_runtime_source: docker).",
                )


def _mirrors(host: Host) -> t.Iterator[t.Tuple[str, Values]]:
    """The mirrors that are well formed, with what is said about them."""
    for upstream, entries in host.mapping(MIRRORS).items():
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict):
                yield str(upstream), entry


def _authority_problem(mirror: Values) -> t.Optional[t.Tuple[str, str, str]]:
    """What is wrong with the CA of a mirror, how to mend it, and how severe it is."""
    if not isinstance(mirror.get("ca", ""), str):
        return "has a mirror whose ca is no text.", "Give a certificate in PEM, or the path of a file.", ERROR
    try:
        _text, path = _containerd.authority(mirror)
    except ValueError as error:
        return f"has a mirror with an unusable ca: {error}.", "Give the certificate of the authority, in PEM.", ERROR
    if path and not os.path.isabs(path):
        remedy = (
            "Give the whole path, or its text: \"{{ lookup('ansible.builtin.file', inventory_dir ~ '/ca.crt') }}\"."
        )
        return f"has a mirror whose ca {path} is no file on the controller.", remedy, "error"
    if path:
        remedy = "Make sure that each node has it, or give the path of a file on the controller."
        return f"has a mirror whose ca {path} is no file on the controller, so nodes must have it.", remedy, WARNING
    return None


def check_mirror_settings(hosts: Hosts) -> t.Iterable[Problem]:
    """Mirrors that are well formed but cannot work as they are."""
    for host in hosts:
        logins: t.Dict[str, t.Tuple[str, str]] = {}
        for upstream, mirror in _mirrors(host):
            subject = f"cluster_registry_mirrors[{upstream}]"
            if not isinstance(mirror.get("override_path", False), bool):
                yield host.problem(
                    subject, "has a mirror whose override_path is neither true nor false.", "Use true or false."
                )
            wrong = _authority_problem(mirror)
            if wrong:
                yield host.problem(subject, *wrong)
            if not mirror.get("username"):
                continue
            try:
                url = urllib.parse.urlsplit(str(mirror.get("url")))
            except ValueError:
                continue
            login = (str(mirror["username"]), str(mirror.get("password")))
            if logins.setdefault(url.netloc, login) != login and url.username is None:
                yield host.problem(
                    subject,
                    f"has another login for {url.netloc} than another mirror, and containerd knows one for each host.",
                    "Use one login, or another name or port of that host.",
                )
            if url.scheme == "http":
                yield host.problem(
                    subject,
                    "has a mirror with a password and an http:// url: everybody on the way can read it.",
                    "Use https, with ca where its authority is your own.",
                    WARNING,
                )


def check_settings(hosts: Hosts) -> t.Iterable[Problem]:
    """Settings that containerd's configuration cannot have."""
    for host in hosts:
        try:
            _containerd.to_toml(host.mapping("container_runtime_config"))
        except ValueError as error:
            yield host.problem("container_runtime_config", f"{error}.", "See containerd's docs/cri/config.md.")


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (
    check_runtime_package,
    check_foreign_files,
    check_drop_ins,
    check_mirror_settings,
    check_settings,
)
