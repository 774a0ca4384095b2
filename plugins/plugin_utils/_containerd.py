# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configuration documents of containerd: config.toml for the generation that is installed, hosts.toml, CA files.

Logins of mirrors stand in config.toml, by the mirror's host. That is the only place from which containerd 1.6 to 2.6
answers a registry that wants a token as well as one that wants a password, and sends them to no other host; a header in
hosts.toml is overwritten by an anonymous token, and what the kubelet has for an image (config.json) goes to the mirror
and to the upstream registry alike, and is not there when kubeadm pulls.

Sources: containerd's docs/cri/config.md, docs/hosts.md, remotes/docker/authorizer.go, and registryHosts in the CRI
plugin of 1.6.20, 1.7.35 and 2.4.2. Private to this collection.
"""

from __future__ import annotations

import datetime
import json
import math
import os
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _der
from ansible_collections.slipway.kubernetes.plugins.module_utils._containerd_state import CONFIG, DROP_INS
from ansible_collections.slipway.kubernetes.plugins.module_utils._marks import MARK
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import url_shown
from ansible_collections.slipway.kubernetes.plugins.module_utils._urls import is_web, split_url

MANAGED = f"# {MARK}: changes made here by hand are lost.\n"

#: containerd's own word for "any registry": a folder that no server belongs to.
ANY_REGISTRY = "_default"
#: Settings of containerd whose values are passwords or tokens.
_SECRETS = frozenset(("auth", "auths", "authorization", "password", "identitytoken"))

Mirrors = t.Mapping[str, t.Sequence[t.Mapping[str, t.Any]]]

#: Images come from the registry that their name says; docker.io is the one whose API lives at another name.
_SERVERS = {"docker.io": "https://registry-1.docker.io"}


def merge(base: t.Any, over: t.Any) -> t.Any:
    """``base`` with ``over`` merged over it: dictionaries key by key, everything else is replaced."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{key: merge(base[key], value) if key in base else value for key, value in over.items()}}
    return over


def _toml_value(value: t.Any, place: str) -> str:
    """A TOML value; JSON's strings, numbers and booleans are valid TOML."""
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml_value(item, f"{place}[{number}]") for number, item in enumerate(value)) + "]"
    if isinstance(value, dict):
        pairs = (f"{_quoted(_text_key(key, place))} = {_toml_value(value[key], f'{place}.{key}')}" for key in value)
        return "{" + ", ".join(pairs) + "}"
    if value is None:
        raise ValueError(f"{place} is null, which TOML has not: leave the key out instead")
    if not isinstance(value, (str, bool, int, float)) or (isinstance(value, float) and not math.isfinite(value)):
        # Out of Ansible's vault come texts that are no str: what they say is not shown.
        kind = "a date" if isinstance(value, datetime.date) else value if isinstance(value, float) else "something"
        raise ValueError(f"{place} is {kind}, which is no text, number, true or false: put it in quotes")
    return _quoted(value)


def _text_key(key: t.Any, place: str) -> str:
    if not isinstance(key, str):
        raise ValueError(
            f"{place} has the key {key}, which is no text: put it in quotes"
            if place
            else f"the key {key} is no text: put it in quotes"
        )
    return key


def _quoted(value: t.Any) -> str:
    # TOML wants characters outside of the first plane as they are, and DEL escaped; JSON does it the other way.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def to_toml(document: t.Mapping[str, t.Any]) -> str:
    """``document`` as TOML text, each dictionary a table of its own; keys keep their order.

    :raises ValueError: naming the place of what TOML cannot say.
    """
    lines: t.List[str] = []

    def table(path: t.Tuple[str, ...], content: t.Mapping[str, t.Any]) -> None:
        place = ".".join(path)
        plain = {_text_key(key, place): value for key, value in content.items() if not isinstance(value, dict)}
        if path and (plain or not content):
            lines.append("")
            lines.append("[" + ".".join(_toml_key(part) for part in path) + "]")
        start = f"{place}." if place else ""
        lines.extend(f"{_toml_key(key)} = {_toml_value(value, start + key)}" for key, value in plain.items())
        for key, value in content.items():
            if isinstance(value, dict):
                table((*path, _text_key(key, place)), value)

    table((), document)
    return "\n".join(lines) + "\n"


def _toml_key(key: str) -> str:
    bare = key.replace("_", "").replace("-", "")
    return key if bare.isascii() and bare.isalnum() else _quoted(key)


def containerd_config(
    version: str,
    sandbox_image: str = "",
    registry_config_path: str = "/etc/containerd/certs.d",
    overrides: t.Optional[t.Mapping[str, t.Any]] = None,
    mirrors: t.Optional[Mirrors] = None,
) -> str:
    """The text of ``/etc/containerd/config.toml`` for containerd ``version``.

    containerd 1.x reads ``version = 2`` with one CRI plugin, 2.x ``version = 3`` with that plugin split in two.
    Both import drop-ins; 2.x merges them key by key, 1.x takes each plugin's section from the last file that has it.

    :param version: the installed version, for example ``1.7.24`` or ``2.4.2-1``; only the part before the first dot
        counts.
    :param sandbox_image: pause image; containerd's own default when empty.
    :param overrides: merged over what is computed here.
    :param mirrors: registry mirrors, whose logins go into it.
    :raises ValueError: when the version is none, or a mirror is not usable.
    """
    return MANAGED + to_toml(_document(version, sandbox_image, registry_config_path, overrides, mirrors))


def _document(
    version: str,
    sandbox_image: str,
    registry_config_path: str,
    overrides: t.Optional[t.Mapping[str, t.Any]],
    mirrors: t.Optional[Mirrors],
) -> t.Dict[str, t.Any]:
    major = version.split(":")[-1].split(".")[0]
    if not major.isdigit():
        raise ValueError(f"{version!r} is no version of containerd")
    runtimes = {"runtimes": {"runc": {"runtime_type": "io.containerd.runc.v2", "options": {"SystemdCgroup": True}}}}
    registry: t.Dict[str, t.Any] = {"config_path": registry_config_path}
    logins = registry_logins(mirrors or {})
    if logins:
        registry["configs"] = {host: {"auth": login} for host, login in logins.items()}
    plugins: t.Dict[str, t.Any]
    if int(major) >= 2:
        images: t.Dict[str, t.Any] = {"registry": registry}
        if sandbox_image:
            images["pinned_images"] = {"sandbox": sandbox_image}
        plugins = {
            "io.containerd.cri.v1.images": images,
            "io.containerd.cri.v1.runtime": {"containerd": runtimes},
        }
    else:
        cri: t.Dict[str, t.Any] = {"sandbox_image": sandbox_image} if sandbox_image else {}
        cri.update(
            # Debian builds 1.x with /usr/lib/cni; Kubernetes' own packages install their plugins to /opt/cni/bin.
            cni={"bin_dir": "/opt/cni/bin", "conf_dir": "/etc/cni/net.d"},
            containerd=runtimes,
            registry=registry,
        )
        plugins = {"io.containerd.grpc.v1.cri": cri}
    document = {"version": 3 if int(major) >= 2 else 2, "imports": [DROP_INS], "plugins": plugins}
    merged: t.Dict[str, t.Any] = merge(document, overrides or {})
    return merged


def _has_secret(document: t.Any) -> bool:
    if isinstance(document, dict):
        return any(str(key).lower() in _SECRETS or _has_secret(value) for key, value in document.items())
    return isinstance(document, list) and any(map(_has_secret, document))


def containerd_files(
    version: str,
    mirrors: Mirrors,
    sandbox_image: str = "",
    overrides: t.Optional[t.Mapping[str, t.Any]] = None,
) -> t.List[t.Dict[str, t.Any]]:
    """config.toml, one hosts.toml for each upstream registry and CA files, as ``files`` of ``config_files``.

    :raises ValueError: when the version is none, or a mirror is not usable.
    """
    document = _document(version, sandbox_image, "/etc/containerd/certs.d", overrides, mirrors)
    return [_file(CONFIG, to_toml(document), _has_secret(document)), *registry_hosts(mirrors)]


def _file(path: str, text: str, secret: bool) -> t.Dict[str, t.Any]:
    kind, mode = ("secret_content", "0600") if secret else ("content", "0644")
    return {"path": path, kind: MANAGED + text, "mode": mode}


def _address(upstream: str, mirror: t.Mapping[str, t.Any]) -> t.Tuple[str, str]:
    """A mirror's URL without a slash at its end, and its host with the port, as containerd looks its login up.

    :raises ValueError: when the URL is not usable. It may have a password in it, so it is not shown.
    """
    text = str(mirror.get("url", "")).rstrip("/")
    if not is_web(text, bare=True):
        raise ValueError(
            f"the mirror '{url_shown(text)}' of {upstream} is no http(s) URL (host, port, path, and no login)"
        )
    return text, split_url(text).netloc


def registry_logins(mirrors: Mirrors) -> t.Dict[str, t.Dict[str, str]]:
    """User name and password by the host of the mirror.

    :raises ValueError: when a mirror is not usable, or when one host has several logins: containerd knows one.
    """
    logins: t.Dict[str, t.Dict[str, str]] = {}
    for upstream, entries in sorted(mirrors.items()):
        for entry in entries:
            _url, host = _address(upstream, entry)
            if not entry.get("username"):
                continue
            login = {"username": str(entry["username"]), "password": str(entry.get("password", ""))}
            if logins.setdefault(host, login) != login:
                raise ValueError(f"the mirrors on {host} have several logins, and containerd knows one for each host")
    return logins


def authority(mirror: t.Mapping[str, t.Any]) -> t.Tuple[str, str]:
    """The CA of a mirror: the text that nodes are to be given, and the path of a file that they have.

    Either or both are empty. What is no certificate is the path of a file on the controller, else of one on the nodes.

    :raises ValueError: when the file on the controller is no certificate, or has a private key in it.
    """
    given = str(mirror.get("ca") or "").strip()
    path = "" if "\n" in given or "-----" in given else os.path.expanduser(given)
    text = "" if path else given
    if path and os.path.isfile(path):
        try:
            with open(path, encoding="utf-8", errors="replace") as stream:
                text = stream.read().strip()
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from error
    try:
        if text and not _der.pem_blocks(text + "\n", "CERTIFICATE"):
            raise ValueError(f"{path or 'the text'} has no certificate in PEM")
    except _der.DerError as error:
        raise ValueError(f"{path or 'the text'} has no certificate in PEM that containerd can read: {error}") from error
    if "PRIVATE KEY-----" in text:
        raise ValueError(f"{path or 'the text'} has a private key in it, which must not get to nodes")
    return (text + "\n", "") if text else ("", path)


def registry_hosts(mirrors: Mirrors, config_path: str = "/etc/containerd/certs.d") -> t.List[t.Dict[str, t.Any]]:
    """One hosts.toml for each upstream registry and the CA files of mirrors, as ``files`` of ``config_files``.

    The mirrors are tried in their order, the upstream registry last.

    :raises ValueError: when a mirror has no usable URL or CA.
    """
    files = []
    for upstream, entries in sorted(mirrors.items()):
        hosts: t.Dict[str, t.Any] = {}
        folder = f"{config_path}/{upstream}"
        for number, entry in enumerate(entries, start=1):
            url, _host = _address(upstream, entry)
            host: t.Dict[str, t.Any] = {"capabilities": list(entry.get("capabilities") or ["pull", "resolve"])}
            # containerd appends /v2 to a URL unless it is told that the path is already the API's.
            if entry.get("override_path", bool(split_url(url).path)):
                host["override_path"] = True
            text, path = authority(entry)
            if text:
                path = f"{folder}/slipway-{number}.crt"
                files.append(_file(path, text, secret=False))
            if path:
                host["ca"] = path
            hosts[url] = host
        server = {} if upstream == ANY_REGISTRY else {"server": _SERVERS.get(upstream, f"https://{upstream}")}
        files.append(_file(f"{folder}/hosts.toml", to_toml({**server, "host": hosts}), secret=False))
    return files
