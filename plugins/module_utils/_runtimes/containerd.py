# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""containerd: what of it a machine has, its configuration, what is wrong with it, how it is asked.

``ctr`` is its own client. Containers of Kubernetes are in its namespace ``k8s.io``.

Logins of mirrors stand in config.toml, by the mirror's host. That is the only place from which containerd 1.6 to 2.6
answers a registry that wants a token as well as one that wants a password, and sends them to no other host; a header in
hosts.toml is overwritten by an anonymous token, and what the kubelet has for an image (config.json) goes to the mirror
and to the upstream registry alike, and is not there when kubeadm pulls.

Sources: containerd's docs/cri/config.md, docs/hosts.md, remotes/docker/authorizer.go, and registryHosts in the CRI
plugin of 1.6.20, 1.7.35 and 2.4.2. Private to this collection.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._documents import merged
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._findings import Finding
from ansible_collections.slipway.kubernetes.plugins.module_utils._marks import foreign, is_foreign
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.interface import PackageManager
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes.registry_mirrors import (
    ANY_REGISTRY,
    Mirrors,
    address,
    authority,
    registry_logins,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes.runtime import (
    MANAGED,
    Runtime,
    Source,
    Values,
    package_findings,
    path_of,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings
from ansible_collections.slipway.kubernetes.plugins.module_utils._toml import to_toml
from ansible_collections.slipway.kubernetes.plugins.module_utils._urls import split_url

FOLDER = "/etc/containerd"
CONFIG = f"{FOLDER}/config.toml"
#: Where software lies that is not of a package; what administrators write in /etc counts before it.
_UNIT = "/usr/local/lib/systemd/system/containerd.service"
#: Files that our config.toml imports; the same ones that containerd 2.2 and later import by default.
DROP_INS = f"{FOLDER}/conf.d/*.toml"
_REGISTRIES = f"{FOLDER}/certs.d"
_HOSTS = f"{_REGISTRIES}/*/hosts.toml"
#: The CRI plugin of containerd 1.x.
_CRI = "io.containerd.grpc.v1.cri"
_DIFF = "io.containerd.service.v1.diff-service"
#: What everybody who sets containerd up for kubeadm by hand changes, and what we set, too.
_OURS_ANYWAY = re.compile(
    r"SystemdCgroup\s*=|sandbox(_image)?\s*=\s*[\"']registry\.k8s\.io/pause:"
    r"|config_path\s*=\s*[\"'](/etc/containerd/certs\.d)?[\"']|bin_dir\s*=\s*[\"'](/opt/cni/bin|/usr/lib/cni)[\"']"
)
#: Settings of containerd whose values are passwords or tokens.
_SECRETS = frozenset(("auth", "auths", "authorization", "password", "identitytoken"))
#: Images come from the registry that their name says; docker.io is the one whose API lives at another name.
_SERVERS = {"docker.io": "https://registry-1.docker.io"}


# The machine


def _told(document: str) -> t.List[str]:
    """The lines of a document in TOML that say something."""
    return [line for line in map(str.strip, document.splitlines()) if line and line[0] != "#"]


def is_default(text: str, default: str) -> bool:
    """Whether a config.toml says what containerd says without one, but for settings that we make ourselves."""

    def told(document: str) -> t.List[str]:
        return sorted(line for line in _told(document) if not _OURS_ANYWAY.match(line))

    return told(text) == told(default)


def meaning(text: str) -> str:
    """The same for two documents that differ in comments and blanks only; says nothing about what is in them."""
    return hashlib.sha256("\n".join(_told(text)).encode()).hexdigest()


def drop_ins(pattern: str = DROP_INS) -> t.List[t.Dict[str, t.Any]]:
    """The drop-ins, and what they would do to containerd 1.x.

    That takes each plugin's whole section from the last file that has one, so a drop-in for the CRI plugin has to say
    all that our file says. containerd 2 merges.
    """
    found = []
    for path in sorted(glob.glob(pattern)):
        text = "\n".join(line for line in read_text(path).splitlines() if not line.lstrip().startswith("#"))
        found.append(
            {
                "path": path,
                "version": int((re.search(r"^\s*version\s*=\s*(\d)", text, re.MULTILINE) or "00")[1]),
                "cri": _CRI in text,
                "systemd_cgroup": bool(re.search(r"\bSystemdCgroup\s*=\s*true\b", text)),
                "registries": _REGISTRIES in text,
            }
        )
    return found


def foreign_files(runner: Runner, packages: PackageManager, program: str) -> t.List[str]:
    """Configuration of containerd that is neither ours nor a default that nobody has changed.

    Debian's containerd brings a config.toml. A run that was killed after it was installed finds it there.
    """
    found = foreign(packages.is_pristine, [_HOSTS])
    is_others = is_foreign(CONFIG, packages.is_pristine)
    if is_others and not (program and is_default(read_text(CONFIG), _default(runner, program))):
        found.insert(0, CONFIG)
    return found


def _default(runner: Runner, program: str) -> str:
    """What containerd prints as its default configuration; empty when it cannot."""
    try:
        return runner.run([program, "config", "default"], check=False).stdout
    except SlipwayError:
        return ""


# Configuration


def containerd_config(
    version: str,
    sandbox_image: str = "",
    registry_config_path: str = _REGISTRIES,
    overrides: t.Optional[t.Mapping[str, t.Any]] = None,
    mirrors: t.Optional[Mirrors] = None,
) -> str:
    """The text of ``/etc/containerd/config.toml`` for containerd ``version``.

    containerd 1.x reads ``version = 2`` with one CRI plugin, 2.x ``version = 3`` with that plugin split in two.
    From 1.7 on unpacked layers are on the disk before they count as there: when power fails later they are not empty
    files, which no pull would mend.
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
    found = re.match(r"(?:\d+:)?(\d+)(?:\.(\d+))?", version)
    if not found:
        raise ValueError(f"{version!r} is no version of containerd")
    major, minor = int(found[1]), int(found[2] or 0)
    runtimes = {"runtimes": {"runc": {"runtime_type": "io.containerd.runc.v2", "options": {"SystemdCgroup": True}}}}
    registry: t.Dict[str, t.Any] = {"config_path": registry_config_path}
    logins = registry_logins(mirrors or {})
    if logins:
        registry["configs"] = {host: {"auth": login} for host, login in logins.items()}
    plugins: t.Dict[str, t.Any]
    if major >= 2:
        images: t.Dict[str, t.Any] = {"registry": registry}
        if sandbox_image:
            images["pinned_images"] = {"sandbox": sandbox_image}
        plugins = {
            "io.containerd.cri.v1.images": images,
            "io.containerd.cri.v1.runtime": {"containerd": runtimes},
            _DIFF: {"sync_fs": True},
        }
    else:
        cri: t.Dict[str, t.Any] = {"sandbox_image": sandbox_image} if sandbox_image else {}
        cri.update(
            # Debian builds 1.x with /usr/lib/cni; Kubernetes' own packages install their plugins to /opt/cni/bin.
            cni={"bin_dir": "/opt/cni/bin", "conf_dir": "/etc/cni/net.d"},
            containerd=runtimes,
            registry=registry,
        )
        if (major, minor) >= (1, 7):
            cri["image_pull_with_sync_fs"] = True
        plugins = {_CRI: cri}
    document = {"version": 3 if major >= 2 else 2, "imports": [DROP_INS], "plugins": plugins}
    return t.cast(t.Dict[str, t.Any], merged(document, overrides or {}))


def _has_secret(document: t.Any) -> bool:
    if isinstance(document, dict):
        return any(str(key).lower() in _SECRETS or _has_secret(value) for key, value in document.items())
    return isinstance(document, list) and any(map(_has_secret, document))


def containerd_files(
    version: str,
    mirrors: Mirrors,
    sandbox_image: str = "",
    overrides: t.Optional[t.Mapping[str, t.Any]] = None,
    program: str = "",
) -> t.List[t.Dict[str, t.Any]]:
    """config.toml, one hosts.toml for each upstream registry and CA files, as ``files`` of ``config_files``.

    :param program: where containerd is when no package has brought it; then its unit is one of the files.
    :raises ValueError: when the version is none, or a mirror is not usable.
    """
    document = _document(version, sandbox_image, _REGISTRIES, overrides, mirrors)
    units = [_file(_UNIT, _unit(program), secret=False)] if program else []
    return [_file(CONFIG, to_toml(document), _has_secret(document)), *registry_hosts(mirrors), *units]


def _unit(program: str) -> str:
    """The unit of a containerd that no package has brought. Containers go on when it ends."""
    return f"""[Unit]
Description=The container runtime containerd
Documentation=https://containerd.io
After=network.target local-fs.target dbus.service

[Service]
Type=notify
ExecStartPre=-/sbin/modprobe overlay
ExecStart={program}
Delegate=yes
KillMode=process
Restart=always
RestartSec=5
LimitNOFILE=infinity
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
OOMScoreAdjust=-999

[Install]
WantedBy=multi-user.target
"""


def _file(path: str, text: str, secret: bool) -> t.Dict[str, t.Any]:
    kind, mode = ("secret_content", "0600") if secret else ("content", "0644")
    return {"path": path, kind: MANAGED + text, "mode": mode}


def registry_hosts(mirrors: Mirrors, config_path: str = _REGISTRIES) -> t.List[t.Dict[str, t.Any]]:
    """One hosts.toml for each upstream registry and the CA files of mirrors, as ``files`` of ``config_files``.

    The mirrors are tried in their order, the upstream registry last.

    :raises ValueError: when a mirror has no usable URL or CA.
    """
    files = []
    for upstream, entries in sorted(mirrors.items()):
        hosts: t.Dict[str, t.Any] = {}
        folder = f"{config_path}/{upstream}"
        for number, entry in enumerate(entries, start=1):
            url, _host = address(upstream, entry)
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


# Preflight


def _folders(upstream: str) -> t.Set[str]:
    """The folders that containerd looks for this registry in before it takes ours."""
    host, colon, port = upstream.rpartition(":")
    return {upstream, f"{host}_{port}_"} if colon else {upstream}


def _same_hosts(mirrors: Mirrors, known: Values) -> t.Set[str]:
    """Files of others that say what ours would say."""
    try:
        files = registry_hosts(mirrors)
    except (ValueError, TypeError, AttributeError):
        return set()  # reported by the checks on mirrors
    ours = {file["path"]: meaning(file["content"]) for file in files if "content" in file}
    return {path for path, said in (known.get("foreign_hosts") or {}).items() if ours.get(path) == said}


def _file_findings(settings: Settings, known: Values) -> t.Iterator[Finding]:
    """Configuration of containerd that somebody else wrote where ours would be."""
    if settings.text("container_runtime_foreign_files") == "copy":
        return
    mirrors = settings.mapping("container_runtime_registry_mirrors")
    folders = set().union(*(_folders(str(name)) for name in mirrors))
    same = _same_hosts(mirrors, known)
    for path in known.get("foreign_files", []):
        if path == CONFIG:
            yield Finding(
                path,
                "was not written by this collection and differs from containerd's default; it would be replaced.",
                "Take over what is needed of it (container_runtime_config, or a file in /etc/containerd/conf.d) and"
                " move it away; or set container_runtime_foreign_files: copy, which keeps it beside the new one.",
            )
        elif os.path.basename(os.path.dirname(path)) in folders and path not in same:
            yield Finding(
                path,
                "was not written by this collection, and the mirrors of this registry would replace it.",
                "Move it away, or take this registry out of cluster_registry_mirrors; or set"
                " container_runtime_foreign_files: copy, which keeps it beside the new one.",
            )


def _drop_in_findings(settings: Settings, known: Values) -> t.Iterator[Finding]:
    """Drop-ins with which containerd 1.x would not work: it takes whole sections from them, and no later version."""
    mirrors = settings.mapping("container_runtime_registry_mirrors")
    for entry in known.get("drop_ins", []) if str(known.get("version", "")).startswith("1.") else []:
        if entry["version"] > 2:
            yield Finding(
                entry["path"],
                f"is of version {entry['version']}, and containerd {known['version']} reads version 2.",
                "Write it for version 2, or remove it.",
            )
        elif entry["cri"] and not (entry["systemd_cgroup"] and (entry["registries"] or not mirrors)):
            lost = "the mirrors of registries" if entry["systemd_cgroup"] else "SystemdCgroup = true"
            yield Finding(
                entry["path"],
                f"replaces all that {CONFIG} says of the CRI plugin, since containerd 1.x does not merge sections,"
                f" and so takes {lost} away.",
                "Put its settings into container_runtime_config instead, or all of that section into the file"
                " (containerd config dump shows it), or use containerd 2 (container_runtime_source: docker).",
            )


class Containerd(Runtime):
    """containerd with its client ctr."""

    @staticmethod
    def _ctr(runner: Runner, cri_socket: str, *words: str) -> t.List[str]:
        return [runner.path("ctr"), f"--address={path_of(cri_socket)}", "--namespace=k8s.io", *words]

    def state(self, runner: Runner, packages: PackageManager, program: str) -> t.Dict[str, t.Any]:
        others = foreign_files(runner, packages, program)
        return {
            "foreign_files": others,
            "foreign_hosts": {path: meaning(read_text(path)) for path in others if path != CONFIG},
            "drop_ins": drop_ins(),
        }

    def has_image(self, runner: Runner, cri_socket: str, image: str) -> bool:
        argv = self._ctr(runner, cri_socket, "images", "ls", "--quiet", f"name=={image}")
        return image in runner.run(argv).stdout.split()

    def containers(self, runner: Runner, cri_socket: str) -> t.List[str]:
        if not runner.which("ctr", required=False):
            return []
        return runner.run(self._ctr(runner, cri_socket, "containers", "ls", "--quiet")).stdout.split()

    def remove(self, runner: Runner, cri_socket: str, container: str) -> None:
        for words in (
            ("task", "kill", "--signal=SIGKILL", container),
            ("task", "delete", "--force", container),
            ("containers", "delete", container),
        ):
            runner.run(self._ctr(runner, cri_socket, *words), check=False)

    def remove_ended(self, runner: Runner, cri_socket: str, prefix: str) -> None:
        ours = [name for name in self.containers(runner, cri_socket) if name.startswith(prefix)]
        listed = runner.run(self._ctr(runner, cri_socket, "tasks", "ls")).stdout if ours else ""
        states = {words[0]: words[-1] for words in map(str.split, listed.splitlines()) if len(words) == 3}
        for name in ours:
            if states.get(name) == "RUNNING":
                continue
            if name in states:
                runner.run(self._ctr(runner, cri_socket, "tasks", "rm", name), check=False)
            runner.run(self._ctr(runner, cri_socket, "containers", "rm", name), check=False)

    def idle_units(self, runner: Runner) -> t.Sequence[str]:
        """It stays for Docker Engine, and where somebody has containers in other namespaces."""
        ctr = runner.which("ctr", required=False)
        if ctr is None or runner.which("dockerd", required=False):
            return ()
        namespaces = runner.run([ctr, "namespaces", "ls", "--quiet"], check=False).stdout.split()
        for name in namespaces:
            argv = [ctr, f"--namespace={name}", "containers", "ls", "--quiet"]
            if name != "k8s.io" and runner.run(argv, check=False).stdout.split():
                return ()
        return (f"{self.service}.service",)

    def holds_pod(self, words: t.Sequence[str], cri_socket: str) -> bool:
        """A shim names the socket of its runtime, or none."""
        named = [words[index + 1] for index, word in enumerate(words[:-1]) if word in ("-address", "--address")]
        ours = not (named and cri_socket) or os.path.realpath(named[0]) == os.path.realpath(path_of(cri_socket))
        return os.path.basename(words[0]).startswith("containerd-shim") and "k8s.io" in words and ours

    def findings(self, settings: Settings, known: Values) -> t.Iterator[Finding]:
        yield from package_findings(self, "containerd", settings, known)
        for look in (_file_findings, _drop_in_findings):
            yield from look(settings, known)
        try:
            to_toml(settings.mapping("container_runtime_config"))
        except ValueError as error:
            yield Finding("container_runtime_config", f"{error}.", "See containerd's docs/cri/config.md.")

    def has_overlays(self, settings: Settings) -> bool:
        return "snapshotter" not in str(settings.mapping("container_runtime_config"))


CONTAINERD = Containerd(
    name="containerd",
    socket="/run/containerd/containerd.sock",
    service="containerd",
    program="containerd",
    data="/var/lib/containerd",
    sources={"distribution": Source("containerd"), "docker": Source("containerd.io", "docker"), "release": Source()},
    mounts=r"(/var)?/run/containerd/(io\.containerd\.grpc\.v1\.cri|io\.containerd\.runtime\.v2\.task/k8s\.io)/.+",
    tool=(
        *("ctr", "--address={socket}", "--namespace=k8s.io", "run", "--rm", "--net-host"),
        "--mount=type=bind,src={path},dst={path},options=rbind:{access}",
        *("{image}", "{name}"),
    ),
    dropped=(
        (
            "1.",
            (1, 38),
            "Upgrade it to 2.x before that, node by node (upgrade_container_runtime). Where the package repository has"
            " none: remove_node.yml, remove the package, and add the node again with container_runtime_source: docker.",
        ),
    ),
    filters={
        "containerd_files": containerd_files,
        "containerd_config": containerd_config,
        "registry_hosts": registry_hosts,
    },
    kubespray={
        "containerd_version": "container_runtime_version",
        "containerd_registries_mirrors": "cluster_registry_mirrors",
        "containerd_insecure_registries": "cluster_registry_mirrors",
        "containerd_registry_auth": "cluster_registry_mirrors",
        "containerd_additional_runtimes": "container_runtime_config",
        "containerd_default_runtime": "container_runtime_config",
        "containerd_storage_dir": "container_runtime_config",
    },
)
