# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration documents of containerd: config.toml for the generation that is installed, and hosts.toml.

Sources: containerd's docs/cri/config.md and docs/hosts.md. Private to this collection.
"""

from __future__ import annotations

import base64
import json
import typing as t
from urllib.parse import urlsplit

MANAGED = "# Ansible managed (slipway.kubernetes): changes made here by hand are lost.\n"

#: Images come from the registry that their name says; docker.io is the one whose API lives at another name.
_SERVERS = {"docker.io": "https://registry-1.docker.io"}


def merge(base: t.Any, over: t.Any) -> t.Any:
    """``base`` with ``over`` merged over it: dictionaries key by key, everything else is replaced."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{key: merge(base[key], value) if key in base else value for key, value in over.items()}}
    return over


def _toml_value(value: t.Any) -> str:
    """A TOML value; JSON's strings, numbers and booleans are valid TOML."""
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(str(key))} = {_toml_value(item)}" for key, item in value.items()) + "}"
    if value is None:
        raise ValueError("TOML has no null: leave the key out instead")
    return json.dumps(value)


def to_toml(document: t.Mapping[str, t.Any]) -> str:
    """``document`` as TOML text, each dictionary a table of its own; keys keep their order."""
    lines: t.List[str] = []

    def table(path: t.Tuple[str, ...], content: t.Mapping[str, t.Any]) -> None:
        plain = {key: value for key, value in content.items() if not isinstance(value, dict)}
        if path and (plain or not content):
            lines.append("")
            lines.append("[" + ".".join(_toml_key(part) for part in path) + "]")
        lines.extend(f"{_toml_key(key)} = {_toml_value(value)}" for key, value in plain.items())
        for key, value in content.items():
            if isinstance(value, dict):
                table((*path, key), value)

    table((), document)
    return "\n".join(lines) + "\n"


def _toml_key(key: str) -> str:
    bare = key.replace("_", "").replace("-", "")
    return key if bare.isascii() and bare.isalnum() else json.dumps(key)


def containerd_config(
    version: str,
    sandbox_image: str = "",
    registry_config_path: str = "/etc/containerd/certs.d",
    overrides: t.Optional[t.Mapping[str, t.Any]] = None,
) -> str:
    """The text of ``/etc/containerd/config.toml`` for containerd ``version``.

    containerd 1.x reads ``version = 2`` with one CRI plugin, 2.x ``version = 3`` with that plugin split in two.

    :param version: the installed version, for example ``1.7.24`` or ``2.4.2-1``; only the part before the first dot
        counts.
    :param sandbox_image: pause image; containerd's own default when empty.
    :param overrides: merged over what is computed here.
    :raises ValueError: when the version is none.
    """
    major = version.split(":")[-1].split(".")[0]
    if not major.isdigit():
        raise ValueError(f"{version!r} is no version of containerd")
    runc = {"runtime_type": "io.containerd.runc.v2", "options": {"SystemdCgroup": True}}
    runtimes = {"runtimes": {"runc": runc}}
    document: t.Dict[str, t.Any]
    if int(major) >= 2:
        images: t.Dict[str, t.Any] = {"registry": {"config_path": registry_config_path}}
        if sandbox_image:
            images["pinned_images"] = {"sandbox": sandbox_image}
        document = {
            "version": 3,
            "plugins": {
                "io.containerd.cri.v1.images": images,
                "io.containerd.cri.v1.runtime": {"containerd": runtimes},
            },
        }
    else:
        cri: t.Dict[str, t.Any] = {"sandbox_image": sandbox_image} if sandbox_image else {}
        cri.update(
            # Debian builds 1.x with /usr/lib/cni; Kubernetes' own packages install their plugins to /opt/cni/bin.
            cni={"bin_dir": "/opt/cni/bin", "conf_dir": "/etc/cni/net.d"},
            containerd=runtimes,
            registry={"config_path": registry_config_path},
        )
        document = {"version": 2, "plugins": {"io.containerd.grpc.v1.cri": cri}}
    return MANAGED + to_toml(merge(document, overrides or {}))


def registry_hosts(
    mirrors: t.Mapping[str, t.Sequence[t.Mapping[str, t.Any]]], config_path: str = "/etc/containerd/certs.d"
) -> t.List[t.Dict[str, t.Any]]:
    """One hosts.toml for each upstream registry, as ``files`` of the module ``config_files``.

    The mirrors are tried in their order, the upstream registry last.

    :raises ValueError: when a mirror has no usable URL.
    """
    files = []
    for upstream, entries in sorted(mirrors.items()):
        hosts: t.Dict[str, t.Any] = {}
        secret = False
        for entry in entries:
            url = urlsplit(str(entry.get("url", "")))
            if url.scheme not in ("http", "https") or not url.hostname:
                raise ValueError(f"the mirror {entry.get('url')!r} of {upstream} is no http(s) URL")
            host: t.Dict[str, t.Any] = {"capabilities": list(entry.get("capabilities") or ["pull", "resolve"])}
            if url.path.strip("/"):
                # containerd appends /v2 to a URL unless it is told that the path is already the API's.
                host["override_path"] = True
            if entry.get("ca"):
                host["ca"] = entry["ca"]
            if entry.get("username"):
                secret = True
                login = f"{entry['username']}:{entry.get('password', '')}".encode()
                host["header"] = {"Authorization": "Basic " + base64.b64encode(login).decode()}
            hosts[str(entry["url"]).rstrip("/")] = host
        document = {"server": _SERVERS.get(upstream, f"https://{upstream}"), "host": hosts}
        files.append(
            {
                "path": f"{config_path}/{upstream}/hosts.toml",
                "secret_content" if secret else "content": MANAGED + to_toml(document),
                "mode": "0600" if secret else "0644",
            }
        )
    return files
