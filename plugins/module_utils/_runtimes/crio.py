# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CRI-O: what of it a machine has, its configuration, what is wrong with it, how it is asked.

It has no client of its own. What it has is asked for by crictl, which kubeadm's package of upstream depends on; a
program of ours, ``crio_run.py`` beside this file, runs programs of images. Its configuration is merged from drop-ins
key by key, the last one wins; ours is one of them. How registries are asked is that of all programs of the containers
project: registries.conf, its drop-ins, certs.d and policy.json.

Each release belongs to the release of Kubernetes with the same minor version, and has a repository of its own.

Sources: CRI-O's docs/crio.conf.5.md, docs/crio.conf.d.5.md and internal/oci/runtime_oci.go of 1.36.3;
containers-registries.conf(5), containers-registries.conf.d(5), containers-certs.d(5), containers-auth.json(5); crun's
NEWS for 1.14.2 and 1.14.3. Private to this collection.
"""

from __future__ import annotations

import base64
import glob
import json
import os
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._documents import merged
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._findings import Finding
from ansible_collections.slipway.kubernetes.plugins.module_utils._marks import is_foreign
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.interface import PackageManager
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes import crio_run
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

FOLDER = "/etc/crio"
CONFIG = f"{FOLDER}/crio.conf"
DROP_INS = f"{FOLDER}/crio.conf.d"
#: Behind the package's own (10-crio.conf), before what somebody wants to be the last word.
DROP_IN = f"{DROP_INS}/90-slipway.conf"
AUTH = f"{FOLDER}/slipway-auth.json"
_CONTAINERS = "/etc/containers"
REGISTRIES = f"{_CONTAINERS}/registries.conf"
_MIRRORS = f"{REGISTRIES}.d/90-slipway.conf"
_CERTIFICATES = f"{_CONTAINERS}/certs.d"
POLICY = f"{_CONTAINERS}/policy.json"
#: Without any policy no image can be pulled. Registries are told apart by TLS; signatures are the site's business.
ACCEPT_ALL = json.dumps({"default": [{"type": "insecureAcceptAnything"}]}, indent=4) + "\n"
#: The first crun that does not ask for the version of the OCI specification; older ones refuse each container.
CRUN = (1, 14, 3)
#: What runs containers unless some configuration says otherwise.
_DEFAULT_RUNTIME = "crun"
_SETTING = re.compile(r"^\s*(?:\[+\s*(?P<table>[^\]]+?)\s*\]+|(?P<key>[\w.-]+)\s*=\s*[\"'](?P<value>[^\"']*)[\"'])")
_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


# The machine


def settings_of(text: str) -> t.Iterator[t.Tuple[str, str]]:
    """The settings in TOML whose values are texts, by their names with those of their tables, in their order.

    Nodes have no reader of TOML. What is written in other ways (inline tables, texts of several lines) is not seen.
    """
    table = ""
    for line in text.splitlines():
        found = _SETTING.match(line)
        if found and found["table"]:
            table = found["table"].replace('"', "").replace("'", "") + "."
        elif found:
            yield f"{table}{found['key']}", found["value"]


def _configuration() -> t.Dict[str, t.Tuple[str, str]]:
    """Each setting that is a text, and the file that has the last word about it."""
    found = {}
    for path in (CONFIG, *sorted(glob.glob(f"{DROP_INS}/*"))):
        found.update({name: (value, path) for name, value in settings_of(read_text(path))})
    return found


def _oci_runtimes(runner: Runner, said: t.Mapping[str, str]) -> t.Dict[str, t.Dict[str, str]]:
    """The programs that can run containers, with their versions. What the package brings is known when it is there."""
    table = r"crio\.runtime\.runtimes\.([^.]+)\.runtime_path"
    places = {found[1]: path for name, path in said.items() for found in [re.fullmatch(table, name)] if found}
    found = {}
    for name in sorted({_DEFAULT_RUNTIME, "runc", *places}):
        path = places.get(name) or runner.which(name, required=False) or ""
        if path and os.path.exists(path):
            found[name] = {"path": path, "version": _version(runner, path)}
    return found


def _version(runner: Runner, path: str) -> str:
    """The version that a program says; empty when it says none."""
    try:
        said = runner.run([path, "--version"], check=False).stdout
    except SlipwayError:
        return ""
    return (re.search(r"version (\d+(?:\.\d+)+)", said) or ("", ""))[1]


def registries_of_others(packages: PackageManager) -> t.Dict[str, t.List[str]]:
    """Files of others that say how registries are asked, and which registries these are."""
    found = {}
    for path in (REGISTRIES, *sorted(glob.glob(f"{REGISTRIES}.d/*.conf"))):
        if not is_foreign(path, packages.is_pristine):
            continue
        said = settings_of(read_text(path))
        named = {value for name, value in said if name in ("registry.prefix", "registry.location")}
        if named:
            found[path] = sorted(named)
    return found


# Configuration


def _location(upstream: str, mirror: t.Mapping[str, t.Any]) -> str:
    """Where a mirror is, as registries.conf has it: its host, and the path behind ``/v2``.

    :raises ValueError: when the mirror is not usable, or has a path that does not begin with ``/v2``.
    """
    url, host = address(upstream, mirror)
    path = split_url(url).path
    version, *rest = path.strip("/").split("/")
    if mirror.get("override_path", bool(path)):
        if version != "v2":
            raise ValueError(
                f"the mirror {url} of {upstream} has a path that does not begin with /v2, and CRI-O asks for no other"
            )
        return "/".join([host, *rest])
    if path:
        raise ValueError(f"the mirror {url} of {upstream} has a path before /v2, and CRI-O asks for no such")
    return host


def _mirror(upstream: str, entry: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """A mirror's table; empty for one that images may not be pulled from."""
    table: t.Dict[str, t.Any] = {"location": _location(upstream, entry)}
    if str(entry["url"]).startswith("http://"):
        table["insecure"] = True
    capabilities = entry.get("capabilities") or ["pull", "resolve"]
    if "resolve" not in capabilities:
        table["pull-from-mirror"] = "digest-only"
    return table if "pull" in capabilities else {}


def crio_registries(mirrors: Mirrors) -> str:
    """The text of a drop-in of ``registries.conf``: the mirrors in their order, the upstream registry last.

    :raises ValueError: when a mirror is not usable, or stands for any registry, which this format has no word for.
    """
    lines = [MANAGED]
    for upstream, entries in sorted(mirrors.items()):
        if upstream == ANY_REGISTRY:
            raise ValueError(f"{ANY_REGISTRY} means any registry, which CRI-O has no word for: name the registries")
        tables = [table for entry in entries for table in [_mirror(upstream, entry)] if table]
        own: t.Dict[str, t.Any] = {"prefix": upstream, "location": upstream}
        # A registry without a mirror is its own one.
        if any(table["location"] == upstream and "insecure" in table for table in tables):
            own["insecure"] = True
        lines += ["\n[[registry]]\n", to_toml(own)]
        for table in tables:
            lines += ["\n[[registry.mirror]]\n", to_toml(table)]
    return "".join(lines)


def _authorities(mirrors: Mirrors) -> t.List[t.Dict[str, t.Any]]:
    """The files with the authorities of mirrors, by the mirror's host.

    :raises ValueError: when the CA is a file of nodes: it has to stand in a folder of the runtime.
    """
    by_host: t.Dict[str, t.List[str]] = {}
    for upstream, entries in sorted(mirrors.items()):
        for entry in entries:
            url, host = address(upstream, entry)
            text, path = authority(entry)
            if path:
                raise ValueError(
                    f"the ca {path} of the mirror {url} is no file on the controller, and CRI-O knows no paths of nodes"
                )
            if text and text not in by_host.setdefault(host, []):
                by_host[host].append(text)
    return [
        {"path": f"{_CERTIFICATES}/{host}/slipway-{number}.crt", "content": MANAGED + text, "mode": "0644"}
        for host, texts in by_host.items()
        for number, text in enumerate(texts, start=1)
    ]


def _auth_file(mirrors: Mirrors) -> t.Dict[str, t.Any]:
    logins = {
        host: {"auth": base64.b64encode(f"{login['username']}:{login['password']}".encode()).decode()}
        for host, login in registry_logins(mirrors).items()
    }
    if not logins:
        return {"path": AUTH, "state": "absent"}
    return {"path": AUTH, "secret_content": json.dumps({"auths": logins}, indent=4) + "\n", "mode": "0600"}


def crio_config(
    sandbox_image: str = "",
    overrides: t.Optional[t.Mapping[str, t.Any]] = None,
    mirrors: t.Optional[Mirrors] = None,
) -> str:
    """The text of our drop-in in ``/etc/crio/crio.conf.d``.

    :param sandbox_image: pause image; CRI-O's own default when empty.
    :param overrides: merged over what is computed here.
    :param mirrors: registry mirrors; when one has a login the file with logins is named.
    :raises ValueError: when a mirror is not usable, or TOML cannot say what is in ``overrides``.
    """
    image: t.Dict[str, t.Any] = {"pause_image": sandbox_image} if sandbox_image else {}
    if registry_logins(mirrors or {}):
        image.update(global_auth_file=AUTH, pause_image_auth_file=AUTH)
    document = {
        "crio": {
            "runtime": {"cgroup_manager": "systemd", "conmon_cgroup": "pod"},
            **({"image": image} if image else {}),
            "network": {"network_dir": "/etc/cni/net.d/", "plugin_dirs": ["/opt/cni/bin/"]},
        }
    }
    return MANAGED + to_toml(merged(document, overrides or {}))


def crio_files(
    mirrors: Mirrors,
    sandbox_image: str = "",
    overrides: t.Optional[t.Mapping[str, t.Any]] = None,
) -> t.List[t.Dict[str, t.Any]]:
    """Our drop-ins, logins, a policy where there is none, and CA files, as ``files`` of ``config_files``.

    :raises ValueError: when a mirror is not usable.
    """
    registries: t.Dict[str, t.Any] = {"path": _MIRRORS, "state": "absent"}
    if mirrors:
        registries = {"path": _MIRRORS, "content": crio_registries(mirrors), "mode": "0644"}
    return [
        {"path": DROP_IN, "content": crio_config(sandbox_image, overrides, mirrors), "mode": "0644"},
        registries,
        _auth_file(mirrors),
        {"path": POLICY, "content": ACCEPT_ALL, "mode": "0644", "keep": True},
        *_authorities(mirrors),
    ]


# Findings


def _minor(version: str) -> t.Optional[t.Tuple[int, int]]:
    found = re.match(r"(?:\d+:)?(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else None


def _version_findings(settings: Settings, known: Values) -> t.Iterator[Finding]:
    """A minor version that is neither that of Kubernetes nor the one before."""
    kubernetes = _minor(settings.text("cluster_version"))
    if kubernetes is None:
        return
    fitting = [f"{kubernetes[0]}.{minor}" for minor in (kubernetes[1], kubernetes[1] - 1)]
    text, installed = settings.text("container_runtime_version"), str(known.get("version") or "")
    wanted, present = _minor(text), _minor(installed) if known.get("installed") else None
    page = f"CRI-O has to be {' or '.join(fitting)} with Kubernetes {settings.text('cluster_version')}"
    if wanted and f"{wanted[0]}.{wanted[1]}" not in fitting:
        yield Finding(
            "container_runtime_version",
            f"is {text}, and {page}.",
            f"Set it to {fitting[0]}.* or {fitting[1]}.*, or leave it empty.",
        )
    elif (
        present
        and f"{present[0]}.{present[1]}" not in fitting
        and not (wanted and settings.flag("upgrade_container_runtime"))
    ):
        yield Finding(
            "CRI-O",
            f"{installed} is installed and stays, and {page}.",
            f"Let upgrade.yml bring it along: container_runtime_version: {fitting[0]}.* and"
            " -e upgrade_container_runtime=true.",
        )


def _runtime_findings(settings: Settings, known: Values) -> t.Iterator[Finding]:
    """A crun that refuses what CRI-O gives it."""
    own = settings.mapping("container_runtime_config").get("crio")
    said = own.get("runtime") if isinstance(own, dict) else None
    said = said if isinstance(said, dict) else {}
    name = str(said.get("default_runtime") or known.get("default_runtime") or _DEFAULT_RUNTIME)
    programs = known.get("oci_runtimes") or {}
    tables = said.get("runtimes")
    table = tables.get(name) if isinstance(tables, dict) else None
    path = str(table.get("runtime_path") or "") if isinstance(table, dict) else ""
    found = [entry for other, entry in programs.items() if (entry["path"] == path if path else other == name)]
    for entry in found[:1]:
        version = tuple(int(part) for part in entry["version"].split(".") if part.isdigit())
        if os.path.basename(entry["path"]).startswith("crun") and version and version < CRUN:
            yield Finding(
                "crun",
                f"{entry['path']} is of version {entry['version']}, and each container would fail with it: unknown"
                f" version specified. CRI-O needs {'.'.join(map(str, CRUN))} or newer.",
                "Install a newer one, or let runc run containers: default_runtime of crio.runtime in"
                " container_runtime_config.",
            )


def _setting_findings(settings: Settings, known: Values) -> t.Iterator[Finding]:
    """Settings that CRI-O cannot have, or with which nodes do not work; those of others, too."""
    given = settings.mapping("container_runtime_config")
    try:
        to_toml(given)
    except ValueError as error:
        yield Finding("container_runtime_config", f"{error}.", "See CRI-O's docs/crio.conf.5.md.")
        return
    unknown = sorted(str(name) for name in given if name != "crio")
    if unknown:
        yield Finding(
            "container_runtime_config",
            f"has {', '.join(unknown)}, and all settings of CRI-O are below crio.",
            "Write it as crio.conf has it, such as {crio: {runtime: {pids_limit: 4096}}}.",
        )
    manager = dict(settings_of(to_toml(given))).get("crio.runtime.cgroup_manager", "systemd")
    if manager != "systemd":
        yield Finding(
            "container_runtime_config",
            f"has {manager} as crio.runtime.cgroup_manager, and the kubelet of this collection has systemd.",
            "Leave it out.",
        )
    value, path = known.get("cgroup_manager") or ("", "")
    if value not in ("", "systemd") and path > DROP_IN:
        yield Finding(
            path,
            f"says cgroup_manager = {value} after ours, {DROP_IN}, and the kubelet of this collection has systemd.",
            "Take it out of that file.",
        )


def _mirror_findings(settings: Settings, known: Values) -> t.Iterator[Finding]:
    """Mirrors that this format cannot say."""
    for upstream, entries in settings.mapping("container_runtime_registry_mirrors").items():
        try:
            if upstream == ANY_REGISTRY or isinstance(entries, list):
                crio_registries({str(upstream): entries})
                authorities = [entry for entry in entries if os.path.isabs(str(entry.get("ca") or ""))]
                _authorities({str(upstream): authorities})
        except ValueError as error:
            yield Finding(
                f"cluster_registry_mirrors[{upstream}]",
                f"{error}.",
                "Write it so, or let this machine have another container runtime. See docs/registries.md.",
            )
        except (TypeError, AttributeError, KeyError):
            continue  # reported by the checks on mirrors


def _file_findings(settings: Settings, known: Values) -> t.Iterator[Finding]:
    """Files of others about registries that have mirrors in the inventory: ours, which is read later, would win."""
    if settings.text("container_runtime_foreign_files") == "copy":
        return
    names = {str(name) for name in settings.mapping("container_runtime_registry_mirrors")}
    for path, registries in sorted((known.get("registries") or {}).items()):
        both = sorted(names.intersection(registries))
        if both:
            yield Finding(
                path,
                f"was not written by this collection and says how {', '.join(both)} is asked, which the mirrors of the"
                " inventory would replace.",
                "Take it out of that file, or out of cluster_registry_mirrors; or set container_runtime_foreign_files:"
                " copy, with which the file stays and what the inventory says counts.",
            )


class Crio(Runtime):
    """CRI-O, asked by crictl."""

    @staticmethod
    def _crictl(runner: Runner, cri_socket: str, *words: str) -> t.List[str]:
        return [runner.path("crictl"), f"--runtime-endpoint=unix://{path_of(cri_socket)}", "--timeout=60s", *words]

    def state(self, runner: Runner, packages: PackageManager, program: str) -> t.Dict[str, t.Any]:
        said = _configuration()
        values = {name: value for name, (value, _path) in said.items()}
        return {
            "registries": registries_of_others(packages),
            "cgroup_manager": list(said.get("crio.runtime.cgroup_manager", ("", ""))),
            "default_runtime": values.get("crio.runtime.default_runtime", _DEFAULT_RUNTIME),
            "oci_runtimes": _oci_runtimes(runner, values) if program else {},
        }

    def has_image(self, runner: Runner, cri_socket: str, image: str) -> bool:
        try:
            return bool(crio_run.layers(crio_run.storage(path_of(cri_socket)), image))
        except crio_run.NoImage:
            return False
        except crio_run.RunError as error:
            raise SlipwayError(str(error)) from error

    def containers(self, runner: Runner, cri_socket: str) -> t.List[str]:
        """Its pods, which take their containers with them: it has no containers outside of pods."""
        if not runner.which("crictl", required=False):
            return []
        return runner.run(self._crictl(runner, cri_socket, "pods", "--quiet")).stdout.split()

    def remove(self, runner: Runner, cri_socket: str, container: str) -> None:
        runner.run(self._crictl(runner, cri_socket, "rmp", "--force", container), check=False)

    def image_users(self, runner: Runner) -> str:
        return "podman" if runner.which("podman", required=False) else ""

    def idle_units(self, runner: Runner) -> t.Sequence[str]:
        return (f"{self.service}.service",)

    def holds_pod(self, words: t.Sequence[str], cri_socket: str) -> bool:
        """A monitor of a container says where it writes down how that ended: beside the socket of its runtime."""
        options = dict(zip(words, words[1:]))
        folder = os.path.dirname(os.path.realpath(path_of(cri_socket or self.socket)))
        ended = os.path.dirname(os.path.realpath(options.get("--exit-dir", "/")))
        monitors = os.path.basename(words[0] if words else "").startswith(("conmon", "crio-conmon"))
        return monitors and options.get("-n", "").startswith("k8s_") and ended == folder

    def findings(self, settings: Settings, known: Values) -> t.Iterator[Finding]:
        yield from package_findings(self, "CRI-O", settings, known)
        for look in (
            *(_version_findings, _runtime_findings),
            *(_setting_findings, _mirror_findings, _file_findings),
        ):
            yield from look(settings, known)

    def has_overlays(self, settings: Settings) -> bool:
        return "storage_driver" not in str(settings.mapping("container_runtime_config"))


CRIO = Crio(
    name="crio",
    socket="/var/run/crio/crio.sock",
    service="crio",
    program="crio",
    data="/var/lib/containers/storage",
    sources={"crio": Source("cri-o", "cri-o")},
    # Namespaces of pods. What podman has there is called otherwise, and what both have elsewhere cannot be told apart.
    mounts=rf"(/var)?/run/(ipc|net|pid|user|uts)ns/{_UUID}",
    chains=("CRIO-",),
    nft_tables=("crio-hostports",),
    tool=("python3", crio_run.PLACE, "--socket={socket}", "--folder={access}:{path}", "{image}"),
    filters={"crio_files": crio_files},
    kubespray={
        "crio_version": "container_runtime_version",
        "crio_registries": "cluster_registry_mirrors",
        "crio_registry_auth": "cluster_registry_mirrors",
        "crio_default_runtime": "container_runtime_config",
        "crio_pids_limit": "container_runtime_config",
    },
)
