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

from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes import RUNTIMES, chosen
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes.registry_mirrors import authority
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes.runtime import Runtime
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._platforms import platform_name
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    ERROR,
    WARNING,
    Host,
    Hosts,
    Problem,
)

MIRRORS = "container_runtime_registry_mirrors"

Values = t.Mapping[str, t.Any]


def check_runtime(hosts: Hosts) -> t.Iterable[Problem]:
    """What the container runtime itself has to say: other packages and files, settings that it cannot have."""
    for host in hosts:
        runtime = chosen(host.text("container_runtime_provider"))
        known = ((host.facts or {}).get("runtime") or {}).get(runtime.name) or {}
        source = host.text("container_runtime_source")
        # What no runtime has is reported by the checks on argument_specs.
        if runtime.name and source not in runtime.sources and any(source in one.sources for one in RUNTIMES.values()):
            yield host.problem(
                "container_runtime_source",
                f"is {source}, from which there is no {runtime.name}.",
                f"Set it to {' or '.join(runtime.sources)}.",
            )
        yield from _source_of_platform(host, runtime, source)
        yield from _socket_of_another(host, runtime)
        yield from _package_of_another(host, runtime, source)
        for finding in runtime.findings(host, known):
            yield host.problem(*finding)


def _source_of_platform(host: Host, runtime: Runtime, source: str) -> t.Iterator[Problem]:
    """A source from which the machine's distribution has no package of the container runtime."""
    system = (host.facts or {}).get("os") or {}
    platforms = host.mapping("__container_runtime_platforms").get(runtime.name) or {}
    packages = (platforms.get(platform_name(platforms, system)) or {}).get("packages") or {}
    has_package = source in runtime.sources and runtime.sources[source].package
    if packages and has_package and source not in packages:
        yield host.problem(
            "container_runtime_source",
            f"is {source}, and {system.get('pretty_name') or system['family']} has no {runtime.name} from there.",
            f"Set it to {' or '.join(packages)}.",
        )


def _socket_of_another(host: Host, runtime: Runtime) -> t.Iterator[Problem]:
    """The socket of another runtime than the one that is installed: the kubelet would wait for it."""
    at_socket = chosen(cri_socket=host.text("cluster_cri_socket"))
    if at_socket.name and runtime.name and at_socket.name != runtime.name:
        yield host.problem(
            "cluster_cri_socket",
            f"is {host.text('cluster_cri_socket')}, and container_runtime_provider is {runtime.name}, which does not"
            " listen there.",
            "Leave it out: it follows container_runtime_provider.",
        )


def _package_of_another(host: Host, runtime: Runtime, source: str) -> t.Iterator[Problem]:
    """A package of another runtime that the one of the inventory would put out, under whatever runs in it."""
    if source not in runtime.sources or ((host.facts or {}).get("runtime") or {}).get(runtime.name, {}).get(
        "installed"
    ):
        return
    wanted = runtime.sources[source]
    for known in ((host.facts or {}).get("runtime") or {}).values():
        if known.get("package") and known["package"] in wanted.excludes:
            fitting = [name for name, one in runtime.sources.items() if known["package"] not in one.excludes]
            yield host.problem(
                "container_runtime_source",
                f"is {source}, and {wanted.package} cannot be installed beside {known['package']}, which is there.",
                f"Set it to {' or '.join(fitting)}, or remove {known['package']} first (what runs in its containers"
                " stops then).",
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
        _text, path = authority(mirror)
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
                    f"has another login for {url.netloc} than another mirror, and the runtime knows one for each host.",
                    "Use one login, or another name or port of that host.",
                )
            if url.scheme == "http":
                yield host.problem(
                    subject,
                    "has a mirror with a password and an http:// url: everybody on the way can read it.",
                    "Use https, with ca where its authority is your own.",
                    WARNING,
                )


CHECKS: t.Tuple[t.Callable[[Hosts], t.Iterable[Problem]], ...] = (check_runtime, check_mirror_settings)
