# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker Engine, to which cri-dockerd gives the kubelet's interface.

The engine may have containers, images, networks and volumes of others, which are none of ours: what cri-dockerd has
made has a label. It is asked by its own API, since some distributions have the client in a package of its own. That
client runs programs of images, on control planes; its own settings, and those of whoever calls it, do not count.

daemon.json is shared with whoever else has settings there. It has no comments, so what of it is ours stands beside it
(the module json_settings): in one file what the engine reads when it starts, in another one what it reads again when it
is told to, since a restart ends containers unless live-restore is on.

The kubelet's logins (config.json) are given to cri-dockerd with each image, and to the registry that its name says.

Sources: cri-dockerd's config/options.go, cmd/server.go, streaming/server.go and core/ of 0.4.3; dockerd(8); Docker's
registry/config.go and daemon/reload.go of 20.10; getExec of the kubelet's server.go of 1.37.1. Private to this
collection.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import socket
import time
import typing as t
import urllib.parse

from ansible_collections.slipway.kubernetes.plugins.module_utils import _processes
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._documents import joined, read_object
from ansible_collections.slipway.kubernetes.plugins.module_utils._findings import Finding
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._marks import foreign
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
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings
from ansible_collections.slipway.kubernetes.plugins.module_utils._urls import split_url

FOLDER = "/etc/docker"
CONFIG = f"{FOLDER}/daemon.json"
#: What of daemon.json is ours: what the engine reads when it starts, and what it reads again when it is told to.
STARTED = f"{FOLDER}/slipway-engine.json"
RELOADED = f"{FOLDER}/slipway-registries.json"
#: What of the kubelet's logins is ours.
LOGINS = f"{FOLDER}/slipway-logins.json"
_CERTIFICATES = f"{FOLDER}/certs.d"
_UNIT = "/etc/systemd/system/cri-docker.service"
_LISTENER = "/etc/systemd/system/cri-docker.socket"
_API = "/var/run/docker.sock"
#: What cri-dockerd writes on each container of its own, those that hold pods among them.
LABEL = "io.kubernetes.docker.type"
#: What :attr:`Docker.tool` writes on its containers.
TOOL_LABEL = "io.slipway.tool"
#: Seconds until a container that has been made and not started is one that a call was killed over.
_STARTING = 60
#: The only registry that Docker knows mirrors of.
_HUB = "docker.io"
_CGROUPS = "native.cgroupdriver"
#: The only kind of logs that cri-dockerd can give to the kubelet.
_LOGS = "json-file"
#: The kubelet's own limits, which it leaves to the engine here.
_LOG_OPTIONS = {"max-size": "10m", "max-file": "5"}
#: Options of its command line that must not stand in daemon.json, too.
_FLAGS = ("--exec-opt", "--log-driver", "--log-opt", "--registry-mirror", "--insecure-registry")
#: cri-dockerd gives the kubelet addresses without a scheme, which this gate's way to them cannot read.
GATE = "ExtendWebSocketsToKubelet"


# The machine


class _Connection(http.client.HTTPConnection):
    """A connection to the engine's socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(_API)


def ask(path: str, method: str = "GET", timeout: float = 5) -> t.Any:
    """What the engine answers; ``None`` when it says nothing, or that it did not do it."""
    try:
        connection = _Connection("localhost", timeout=timeout)
        connection.request(method, path)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return json.loads(text or "{}") if answer.status < http.client.BAD_REQUEST else None
    except (OSError, http.client.HTTPException, ValueError):
        return None


def _containers(everywhere: bool) -> t.List[t.Dict[str, t.Any]]:
    """The containers of the engine that run, or all of them."""
    found = ask(f"/containers/json?all={int(everywhere)}")
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _is_ours(container: t.Mapping[str, t.Any]) -> bool:
    labels = container.get("Labels") or {}
    return LABEL in labels or TOOL_LABEL in labels


def _engine() -> t.Dict[str, t.Any]:
    """What the engine that runs says of itself; empty when none answers."""
    info = ask("/info")
    if not isinstance(info, dict):
        return {}
    return {
        "cgroup_driver": str(info.get("CgroupDriver") or ""),
        "live_restore": bool(info.get("LiveRestoreEnabled")),
        "others": sum(not _is_ours(container) for container in _containers(everywhere=False)),
    }


def _configuration() -> t.Dict[str, t.Any]:
    """What daemon.json says that can contradict us, ours included; or why it cannot be read."""
    try:
        said = read_object(CONFIG)
    except SlipwayError as error:
        return {"error": str(error)}
    options = said.get("exec-opts")
    drivers = [str(option) for option in (options if isinstance(options, list) else []) if _CGROUPS in str(option)]
    return {
        "error": "",
        "cgroup_driver": drivers[-1].partition("=")[2] if drivers else "",
        "log_driver": str(said.get("log-driver") or ""),
        "user_namespaces": str(said.get("userns-remap") or ""),
    }


def _flags(program: str, proc: str = _processes.PROC) -> t.List[str]:
    """Options of the engine that runs which may not stand in daemon.json, too."""
    found: t.Set[str] = set()
    for name in filter(str.isdigit, os.listdir(proc)):
        words = _processes.words(name, proc)
        if os.path.basename(words[0]) == program and _processes.is_of_this_machine(name, proc):
            found.update(word.partition("=")[0] for word in words)
    return [flag for flag in _FLAGS if flag in found]


# Configuration


def _expect_served(upstream: str, url: str, host: str, entry: t.Mapping[str, t.Any]) -> None:
    """Refuse what Docker has no words for.

    :raises ValueError: with what that is.
    """
    path = split_url(url).path
    if upstream == ANY_REGISTRY:
        raise ValueError(f"{ANY_REGISTRY} means any registry, and Docker has mirrors of {_HUB} alone")
    if upstream != _HUB:
        if host != upstream or path not in ("", "/v2"):
            raise ValueError(
                f"the mirror {url} is one of {upstream}, and Docker has mirrors of {_HUB} alone; of another registry it"
                f" can only be said how that one itself is asked: {'https' if url[4] == 's' else 'http'}://{upstream}"
            )
        return
    if path:
        raise ValueError(f"the mirror {url} of {upstream} has a path, which Docker refuses")
    if entry.get("username"):
        raise ValueError(f"the mirror {url} of {upstream} has a login, which Docker would send to Docker Hub, too")
    if {"pull", "resolve"} - set(entry.get("capabilities") or ["pull", "resolve"]):
        raise ValueError(f"the mirror {url} of {upstream} has capabilities, and Docker asks each mirror for everything")


def _registries(mirrors: Mirrors) -> t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.List[str]]]:
    """What of daemon.json is about registries, and the authorities by the host that they are for.

    :raises ValueError: when a mirror is not usable, or Docker has no words for it.
    """
    urls: t.List[str] = []
    insecure: t.List[str] = []
    authorities: t.Dict[str, t.List[str]] = {}
    for upstream, entries in sorted(mirrors.items()):
        for entry in entries:
            url, host = address(upstream, entry)
            _expect_served(upstream, url, host, entry)
            if upstream == _HUB:
                urls.append(url)
            elif url.startswith("http://"):
                insecure.append(host)
            text, path = authority(entry)
            if path:
                raise ValueError(
                    f"the ca {path} of {url} is no file on the controller, and Docker knows no paths of nodes"
                )
            if text and text not in authorities.setdefault(host, []):
                authorities[host].append(text)
    lists = {"registry-mirrors": urls, "insecure-registries": insecure}
    return {key: values for key, values in lists.items() if values}, authorities


def _logins(mirrors: Mirrors) -> t.Dict[str, t.Any]:
    """The logins as the kubelet's config.json has them."""
    found = {
        host: {"auth": base64.b64encode(f"{login['username']}:{login['password']}".encode()).decode()}
        for host, login in registry_logins(mirrors).items()
    }
    return {"auths": found} if found else {}


def docker_settings(
    mirrors: Mirrors, overrides: t.Optional[t.Mapping[str, t.Any]] = None
) -> t.Dict[str, t.Dict[str, t.Any]]:
    """What is to be in daemon.json and in the kubelet's config.json, as ``settings`` of ``json_settings``.

    :param overrides: merged over what is computed here; lists are joined.
    :raises ValueError: when a mirror is not usable, or Docker has no words for it.
    """
    return {
        "engine": joined({"exec-opts": [f"{_CGROUPS}=systemd"]}, overrides or {}),
        "defaults": {"log-driver": _LOGS, "log-opts": dict(_LOG_OPTIONS)},
        "registries": _registries(mirrors)[0],
        "logins": _logins(mirrors),
    }


def _unit(program: str, sandbox_image: str, two_families: bool) -> str:
    """The unit of cri-dockerd. It finds the kubelet's logins, which the pause image may need, where it works."""
    options = [
        *("--container-runtime-endpoint=fd://", "--streaming-bind-addr=127.0.0.1", "--network-plugin=cni"),
        *("--cni-conf-dir=/etc/cni/net.d", "--cni-bin-dir=/opt/cni/bin"),
        *(["--ipv6-dual-stack"] if two_families else []),
        *([f"--pod-infra-container-image={sandbox_image}"] if sandbox_image else []),
    ]
    return f"""{MANAGED}[Unit]
Description=The kubelet's interface to Docker Engine
Documentation=https://github.com/Mirantis/cri-dockerd
Requires=cri-docker.socket
Wants=network-online.target docker.service
After=network-online.target docker.service
StartLimitIntervalSec=0

[Service]
Type=notify
WorkingDirectory=-{KUBEADM.kubelet_folder}
ExecStart={" ".join([program, *options])}
Restart=always
RestartSec=2
Delegate=yes
KillMode=process
LimitNOFILE=infinity
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity

[Install]
WantedBy=multi-user.target
"""


_LISTENER_UNIT = f"""{MANAGED}[Unit]
Description=The socket of cri-dockerd
PartOf=cri-docker.service

[Socket]
ListenStream=/run/cri-dockerd.sock
SocketMode=0600

[Install]
WantedBy=sockets.target
"""


def docker_files(
    mirrors: Mirrors, program: str, sandbox_image: str = "", two_families: bool = False
) -> t.List[t.Dict[str, t.Any]]:
    """The units of cri-dockerd and the CA files of registries, as ``files`` of ``config_files``.

    :param program: the path of cri-dockerd.
    :param sandbox_image: pause image; cri-dockerd's own default when empty.
    :param two_families: whether pods have an IPv4 and an IPv6 address.
    :raises ValueError: when a mirror is not usable, or Docker has no words for it.
    """
    return [
        {"path": _UNIT, "content": _unit(program, sandbox_image, two_families), "mode": "0644"},
        {"path": _LISTENER, "content": _LISTENER_UNIT, "mode": "0644"},
        *(
            {"path": f"{_CERTIFICATES}/{host}/slipway-{number}.crt", "content": MANAGED + text, "mode": "0644"}
            for host, texts in _registries(mirrors)[1].items()
            for number, text in enumerate(texts, start=1)
        ),
    ]


# Findings


def _config_findings(settings: Settings, known: Values) -> t.Iterator[Finding]:
    """A daemon.json that cannot be read, or in which pods could not run."""
    said = known.get("configuration") or {}
    if said.get("error"):
        yield Finding(CONFIG, f"cannot be merged with ours: {said['error']}", "Mend it, or move it away.")
    if said.get("cgroup_driver", "") not in ("", "systemd"):
        yield Finding(
            CONFIG,
            f"has {_CGROUPS}={said['cgroup_driver']} in exec-opts, and the kubelet of this collection has systemd.",
            "Take it out; ours is added then.",
        )
    if said.get("log_driver", "") not in ("", _LOGS):
        yield Finding(
            CONFIG,
            f"has the log-driver {said['log_driver']}, and cri-dockerd gives logs of pods to the kubelet by {_LOGS}"
            " alone.",
            f"Take it out, or set it to {_LOGS}. Containers of yours can have another one (docker run --log-driver).",
        )
    if said.get("user_namespaces"):
        yield Finding(
            CONFIG,
            "has userns-remap, with which no pod can have the network of its machine, as kube-proxy has.",
            "Take it out, or let this machine have another container runtime.",
        )
    if known.get("flags"):
        yield Finding(
            "docker.service",
            f"is started with {', '.join(known['flags'])}, and the engine refuses to start with an option that is in"
            f" {CONFIG}, too.",
            f"Move it from the unit's command line to {CONFIG}.",
        )


def _restart_findings(settings: Settings, known: Values) -> t.Iterator[Finding]:
    """An engine that has to be restarted, which would end containers of others."""
    engine = known.get("engine") or {}
    others = engine.get("others", 0)
    if others and not engine.get("live_restore") and engine.get("cgroup_driver") != "systemd":
        yield Finding(
            "docker.service",
            f"runs with the cgroup driver {engine.get('cgroup_driver')} and has to be restarted for systemd, which"
            f" would end {others} container{'s' * (others > 1)} of others.",
            f'Restart it yourself when that suits, with "exec-opts": ["{_CGROUPS}=systemd"] in {CONFIG}; or stop these'
            " containers, or turn live-restore on.",
        )


def _setting_findings(settings: Settings, known: Values) -> t.Iterator[Finding]:
    """Settings of the inventory with which pods could not run, or the engine would not start."""
    subject, given = "container_runtime_config", settings.mapping("container_runtime_config")
    options = given.get("exec-opts")
    for option in options if isinstance(options, list) else []:
        if str(option).startswith(_CGROUPS) and option != f"{_CGROUPS}=systemd":
            yield Finding(
                subject, f"has {option} in exec-opts, and the kubelet of this collection has systemd.", "Leave it out."
            )
    if given.get("log-driver", _LOGS) != _LOGS:
        yield Finding(
            subject,
            f"has {given['log-driver']} as log-driver, and cri-dockerd gives logs of pods to the kubelet by {_LOGS}"
            " alone.",
            "Leave it out.",
        )
    if given.get("userns-remap"):
        yield Finding(
            subject, "has userns-remap, with which no pod can have the network of its machine.", "Leave it out."
        )
    if "hosts" in given:
        yield Finding(
            subject,
            "has hosts, which its unit says on the command line already: the engine would not start.",
            "Leave it out; a drop-in for docker.service can change that command line.",
        )


def _mirror_findings(settings: Settings, known: Values) -> t.Iterator[Finding]:
    """Mirrors that Docker has no words for."""
    for upstream, entries in settings.mapping("container_runtime_registry_mirrors").items():
        try:
            if upstream == ANY_REGISTRY or isinstance(entries, list):
                _registries({str(upstream): entries})
        except ValueError as error:
            # That a CA is none is reported by the checks on mirrors.
            if "PEM" not in str(error) and "private key" not in str(error):
                yield Finding(
                    f"cluster_registry_mirrors[{upstream}]",
                    f"{error}.",
                    "Set it so for this machine (container_runtime_registry_mirrors), with image names of a registry of"
                    " your own; or let it have another container runtime. See docs/registries.md.",
                )
        except (TypeError, AttributeError, KeyError):
            continue  # reported by the checks on mirrors


def _shim_findings(settings: Settings, known: Values) -> t.Iterator[Finding]:
    """What is wrong with cri-dockerd: where it comes from, its units, what is not known of it."""
    prefix = DOCKER.archive
    if settings.text(f"{prefix}_url") and not settings.text(f"{prefix}_checksum"):
        yield Finding(
            f"{prefix}_checksum",
            "is empty, and upstream has no file of checksums beside its releases.",
            f"Set it to sha256: and the digest of {settings.text(f'{prefix}_url')}, or to sha256: and the URL of a file"
            f" of your mirror that has it; or name a package in {prefix}_package.",
        )
    for path in known.get("foreign_files", []) if settings.text("container_runtime_foreign_files") != "copy" else []:
        yield Finding(
            path,
            "was not written by this collection, and the unit of cri-dockerd would replace it.",
            "Take over what is needed of it in a drop-in of yours and move it away; or set"
            " container_runtime_foreign_files: copy, which keeps it beside the new one.",
        )
    found = re.match(r"(\d+)\.(\d+)", settings.text("cluster_version"))
    last = DOCKER.gates[0][2]
    if found and (int(found[1]), int(found[2])) >= last:
        yield Finding(
            "cluster_version",
            f"is {settings.text('cluster_version')}, and whether kubectl exec works by cri-dockerd with kubelets of"
            f" {last[0]}.{last[1]} and newer is not known: they are not told {GATE}=false.",
            "Try it on one node; nodeRegistration.kubeletExtraArgs in node_join_configuration can tell them.",
            "warning",
        )


class Docker(Runtime):
    """Docker Engine, asked by its API."""

    def state(self, runner: Runner, packages: PackageManager, program: str) -> t.Dict[str, t.Any]:
        return {
            "configuration": _configuration(),
            "engine": _engine() if program else {},
            "flags": _flags(self.program) if program else [],
            "foreign_files": foreign(packages.is_pristine, (_UNIT, _LISTENER)),
        }

    def has_image(self, runner: Runner, cri_socket: str, image: str) -> bool:
        return ask(f"/images/{urllib.parse.quote(image)}/json") is not None

    def containers(self, runner: Runner, cri_socket: str) -> t.List[str]:
        return [str(entry["Id"]) for entry in _containers(everywhere=True) if _is_ours(entry)]

    def remove(self, runner: Runner, cri_socket: str, container: str) -> None:
        """Remove it with the volumes that have no name, as cri-dockerd does."""
        ask(f"/containers/{urllib.parse.quote(container)}?force=1&v=1", "DELETE", timeout=60)

    def image_users(self, runner: Runner) -> str:
        """Who has no container there may still have images, but then those can be had again."""
        others = sum(not _is_ours(entry) for entry in _containers(everywhere=True))
        return f"{others} container{'s' * (others > 1)} of others" if others else ""

    def idle_units(self, runner: Runner) -> t.Sequence[str]:
        """Those of cri-dockerd. The engine goes on: it is everybody's."""
        return ("cri-docker.socket", "cri-docker.service")

    def remove_ended(self, runner: Runner, cri_socket: str, prefix: str) -> None:
        """The engine removes those that end by themselves, unless it was ended before."""
        for entry in _containers(everywhere=True):
            names = [str(name) for name in entry.get("Names") or []]
            ours = TOOL_LABEL in (entry.get("Labels") or {}) and any(name.startswith(f"/{prefix}") for name in names)
            age = time.time() - float(entry.get("Created") or 0)
            if ours and (entry["State"] in ("exited", "dead") or (entry["State"] == "created" and age > _STARTING)):
                self.remove(runner, cri_socket, str(entry["Id"]))

    def findings(self, settings: Settings, known: Values) -> t.Iterator[Finding]:
        yield from package_findings(self, "Docker Engine", settings, known)
        for look in (
            *(_config_findings, _restart_findings, _setting_findings),
            *(_mirror_findings, _shim_findings),
        ):
            yield from look(settings, known)

    def has_overlays(self, settings: Settings) -> bool:
        return "storage-driver" not in settings.mapping("container_runtime_config")


DOCKER = Docker(
    name="docker",
    socket="/var/run/cri-dockerd.sock",
    service="docker",
    program="dockerd",
    data="/var/lib/docker",
    sources={
        "distribution": Source("docker.io", excludes=("containerd.io",)),
        "docker": Source("docker-ce", "docker", excludes=("containerd",)),
    },
    tool=(
        *("docker", "--config=/nonexistent", f"--host=unix://{_API}", "run", "--rm", "--pull=never", "--network=host"),
        *("--log-driver=none", "--entrypoint=", f"--label={TOOL_LABEL}", "--volume={path}:{path}:{access}"),
        *("--name={name}", "{image}"),
    ),
    archive="container_runtime_cri_dockerd",
    # In 1.36 and 1.37 it is on by default and may be turned off. Others do not start with a gate that they do not know.
    gates=((GATE, (1, 36), (1, 38)),),
    filters={"docker_files": docker_files, "docker_settings": docker_settings},
    kubespray={
        "docker_version": "container_runtime_version",
        "docker_registry_mirrors": "cluster_registry_mirrors",
        "docker_insecure_registries": "cluster_registry_mirrors",
        "docker_log_opts": "container_runtime_config",
        "docker_storage_options": "container_runtime_config",
        "docker_daemon_graph": "container_runtime_config",
        "cri_dockerd_version": "container_runtime_cri_dockerd_version",
    },
)
