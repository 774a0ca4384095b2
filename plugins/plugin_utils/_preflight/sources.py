# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host will fetch while a cluster is built, and from where.

Each new machine asks the registries for one image of each, as each of them will pull, and its own package sources.
Charts, addons and Helm's archive are asked for by the control planes that will fetch them. What is installed is not
asked for.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _runtimes
from ansible_collections.slipway.kubernetes.plugins.module_utils._archive import parse_checksum
from ansible_collections.slipway.kubernetes.plugins.module_utils._charts import Chart, Manifest, Port, within
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages import sources as _sources
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.interface import same_url
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import chosen
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes.registry_mirrors import authority
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes.runtime import Source as RuntimeSource
from ansible_collections.slipway.kubernetes.plugins.module_utils._settings import Settings
from ansible_collections.slipway.kubernetes.plugins.module_utils._urls import split_url
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _addons

Values = t.Mapping[str, t.Any]
Source = t.Dict[str, t.Any]

#: Charts that roles install as their variables ``..._enabled`` say.
ADDONS = (
    Chart(
        "metrics_server",
        "kube-system",
        "metrics-server",
        "registry.k8s.io/metrics-server/metrics-server",
        version="metrics_server_version",
    ),
    Chart(
        "metallb",
        "metallb-system",
        "metallb",
        "quay.io/metallb/speaker",
        place=("speaker",),
        ports=tuple(
            Port(protocol, 7946, "MetalLB's speaker", is_shared=True, is_tried=False) for protocol in ("tcp", "udp")
        ),
    ),
)


#: Roles that may download releases, by the beginning of their variables.
RELEASES = ("kube_packages", "container_runtime")

#: The list of addons, whose role describes what entries have.
DESCRIBED = "addons_list"


def lists(settings: Settings) -> t.List[str]:
    """The variables with lists of charts and manifests that the roles will apply."""
    return [*filter(None, [chosen(settings).list_variable]), DESCRIBED]


def _text(variables: Values, name: str) -> str:
    return Settings(variables).text(name)


def _flag(variables: Values, name: str) -> bool:
    return Settings(variables).flag(name)


def charts(settings: Settings) -> t.List[Chart]:
    """The charts that the roles will install."""
    network = chosen(settings).chart
    return [*([network] if network else []), *(chart for chart in ADDONS if settings.flag(f"{chart.prefix}_enabled"))]


def manifests(settings: Settings) -> t.List[Manifest]:
    """The manifests of releases that the roles will apply."""
    network = chosen(settings).manifest
    return [network] if network else []


def pod_network_image(variables: Values) -> t.List[t.Tuple[str, str]]:
    """The image of the pod network alone, as :func:`image_names` has it."""
    settings, network = Settings(variables), chosen(Settings(variables))
    if network.manifest:
        return [(f"{network.manifest.prefix}_version", network.manifest.image(settings))]
    return [(f"{network.chart.prefix}_values", network.chart.image(settings))] if network.chart else []


def image_names(variables: Values, control_plane: bool) -> t.List[t.Tuple[str, str]]:
    """One image of each thing that pods of this host run, with the variable that it comes from."""
    kube = "kube-apiserver" if control_plane else "kube-proxy"
    version = _text(variables, "cluster_version")
    found = [("cluster_image_repository", f"{_text(variables, 'cluster_image_repository')}/{kube}:v{version}")]
    settings = Settings(variables)
    found += [(f"{manifest.prefix}_version", manifest.image(settings)) for manifest in manifests(settings)]
    return [*found, *((f"{chart.prefix}_values", chart.image(settings)) for chart in charts(settings))]


def endpoints(mirrors: t.Any, registry: str) -> t.List[Source]:
    """The mirrors of a registry, as source_probe asks them."""
    known = mirrors if isinstance(mirrors, dict) else {}
    entries = known.get(registry, known.get("_default", []))
    found = []
    for entry in entries if isinstance(entries, list) else []:
        url = str(entry.get("url") or "") if isinstance(entry, dict) else ""
        if not url or "resolve" not in (entry.get("capabilities") or ["resolve"]):
            continue
        try:
            # The runtime adds /v2 to a URL without a path; with one it is the API's already, unless that is denied.
            is_api = entry.get("override_path", bool(split_url(url).path.strip("/")))
            text, file = authority(entry)
        except ValueError:
            continue  # reported by the checks on mirrors
        found.append(
            {
                "url": url.rstrip("/") + ("" if is_api else "/v2"),
                "ca_file": file,
                "ca_content": text,
                "username": entry.get("username"),
                "password": entry.get("password"),
            }
        )
    return found


def registry_of(image: str) -> str:
    """The registry that the container runtime asks for an image: that of Docker where the name says none."""
    try:
        return _sources.parse_image(image).registry
    except SlipwayError:
        return image.partition("/")[0]  # it has no tag, which the probe reports


def sources(variables: Values, node: Values, name: str) -> t.List[Source]:
    """What the host has to fetch and has not yet.

    :param node: the facts of node_facts.
    :param name: the host's name in the inventory.
    """
    control_planes = variables.get("cluster_control_plane_hosts") or []
    control_plane, state = name in control_planes, node["kubernetes"]
    is_new = not state.get("completed")
    is_changed = not is_new and _flag(variables, "preflight_changes_pod_network")
    found: t.List[Source] = []
    images = []
    if is_new or state.get("kubelet_version") != _text(variables, "cluster_version"):
        images += image_names(variables, control_plane)[: None if is_new else 1]
    images += pod_network_image(variables) if is_changed else []
    mirrors = variables.get("container_runtime_registry_mirrors")
    for subject, image in images:
        kept = endpoints(mirrors, registry_of(image))
        found.append({"subject": subject, "kind": "image", "image": image, "endpoints": kept})
    if control_plane and is_new and name == next(iter(control_planes), None):
        found += _charts(variables) + _manifests(variables)
        for listed in lists(Settings(variables)):
            found += _addon_sources(listed, variables.get(listed))
    elif control_plane and is_changed and name == next(iter(control_planes), None):
        found += _charts(variables, pod_network_alone=True) + _manifests(variables)
    if control_plane and node.get("helm_version") != _text(variables, "helm_version"):
        archive = {key: _text(variables, f"helm_archive_{key}") for key in ("url", "checksum")}
        found.append({"subject": "helm_download_url", "kind": "archive", "name": "helm", **archive})
    prefix = _runtimes.chosen(_text(variables, "container_runtime_provider")).archive
    # What has no checksum is reported by the checks on the runtime.
    if prefix and _text(variables, f"{prefix}_url") and _text(variables, f"{prefix}_checksum"):
        archive = {key: _text(variables, f"{prefix}_{key}") for key in ("url", "checksum")}
        found.append({"subject": f"{prefix}_url", "kind": "archive", "name": prefix.split("_", 2)[2], **archive})
    found += _releases(variables, node)
    # A node that has another runtime than the inventory is about to be given that.
    used = _runtimes.chosen(cri_socket=str(within(node, "configuration", "cri_socket") or "")).name
    is_moved = used not in ("", _text(variables, "container_runtime_provider"))
    packages = _packages(variables, node, control_plane) if is_new else []
    packages += _runtime_package(variables, node) if is_moved and not is_new else []
    if packages:
        found.append(
            {
                "subject": "packages",
                "kind": "packages",
                "packages": packages,
                "versions": _versions(variables, packages),
            }
        )
    return found


def asks_one_of(source: t.Any, names: t.Collection[str]) -> bool:
    """Whether a source is at a server with one of the names."""
    texts = json.dumps(source).lower()
    servers = set(re.findall(r"://(?:[^/@\s\"]*@)?([^/:\s\"]+)", texts))
    if isinstance(source, dict) and source.get("kind") == "image" and not source.get("endpoints"):
        registry = registry_of(str(source["image"]).lower())
        servers.add(_sources.SERVERS.get(registry, registry).partition(":")[0])
    return not servers.isdisjoint(names)


def _charts(variables: Values, pod_network_alone: bool = False) -> t.List[Source]:
    found = []
    settings = Settings(variables)
    network = chosen(settings).chart
    wanted = ([network] if network else []) if pod_network_alone else charts(settings)
    for prefix in (chart.prefix for chart in wanted):
        found.append(
            {
                "subject": f"{prefix}_chart",
                "kind": "chart",
                "chart": _text(variables, f"{prefix}_chart"),
                "repository": _text(variables, f"{prefix}_chart_repository"),
                "version": _text(variables, f"{prefix}_chart_version"),
                "plain_http": _flag(variables, f"{prefix}_chart_plain_http"),
            }
        )
    return found


def _releases(variables: Values, node: Values) -> t.List[Source]:
    """Releases that no package brings, of versions that are not there yet."""
    return [
        {
            "subject": f"{prefix}_download_url",
            "kind": "archive",
            **{key: entry[key] for key in ("name", "url", "checksum")},
        }
        for prefix in RELEASES
        for entry in variables.get(f"__{prefix}_releases") or []
        if within(node, "releases", entry["name"]) != entry["version"] and _is_checksum(entry["checksum"])
    ]


def _is_checksum(text: str) -> bool:
    """Whether that can be asked for; what cannot is reported by the checks on releases."""
    try:
        parse_checksum(text)
    except SlipwayError:
        return False
    return True


def _manifests(variables: Values) -> t.List[Source]:
    """Manifests of releases, and the programs that come with them."""
    settings = Settings(variables)
    names = [name for manifest in manifests(settings) for name in manifest.archives(settings)]
    return [
        {
            "subject": f"{name}_url",
            "kind": "archive",
            # The role leaves its own name out.
            "name": name.partition("_")[2],
            "url": settings.text(f"{name}_url"),
            "checksum": settings.text(f"{name}_checksum"),
        }
        # What has no checksum is reported by the checks on pod networks.
        for name in names
        if settings.text(f"{name}_checksum")
    ]


def _addon_sources(listed: str, entries: t.Any) -> t.List[Source]:
    """Charts and manifests of a list. What is wrong with an entry is reported by the checks on it."""
    found: t.List[Source] = []
    for entry in entries if isinstance(entries, list) else []:
        for kind, address in _addons.downloads(entry) if isinstance(entry, dict) else []:
            # Helm takes the login that is in an address.
            if "@" in address:
                continue
            subject = f"{listed}[{entry.get('name')}]"
            text = {key: str(entry.get(key) or "") for key in ("chart", "version", "checksum", "ca_file")}
            if not entry.get("chart") and text["checksum"]:
                archive = {"name": f"addon-{entry.get('name')}", "url": address, "checksum": text["checksum"]}
                found.append({"subject": subject, "kind": "archive", **archive})
            elif text["version"]:
                repository = address if kind == "repository" else ""
                chart = {key: text[key] for key in ("chart", "version", "ca_file")}
                plain = str(entry.get("plain_http", False)).lower() in ("true", "yes", "on", "1")
                found.append(
                    {"subject": subject, "kind": "chart", "repository": repository, "plain_http": plain, **chart}
                )
    return found


def runtime_source(variables: Values) -> t.Optional[RuntimeSource]:
    """Where the package of the container runtime comes from; ``None`` when that is unknown."""
    sources_of_it = _runtimes.chosen(_text(variables, "container_runtime_provider")).sources
    source = _text(variables, "container_runtime_source")
    packages = (variables.get("__container_runtime_platform") or {}).get("packages")
    # That a distribution has none from there is reported by the checks on the runtime.
    return sources_of_it.get(source) if packages is None or source in packages else None


def has_runtime(variables: Values, node: Values) -> bool:
    """Whether the container runtime is installed."""
    return bool(within(node, "runtime", _text(variables, "container_runtime_provider"), "installed"))


def _runtime_package(variables: Values, node: Values) -> t.List[str]:
    """The package of the container runtime, where the distribution has it and the machine does not."""
    runtime = runtime_source(variables)
    is_there = has_runtime(variables, node)
    return [runtime.package] if runtime and not runtime.repository and not is_there else []


def _packages(variables: Values, node: Values, control_plane: bool) -> t.List[str]:
    """The packages of the distribution that the roles install on a machine that has none of them."""
    found = _runtime_package(variables, node)
    if control_plane and _text(variables, "api_endpoint_provider") == "keepalived":
        found += variables.get("__api_endpoint_packages") or []
    if control_plane and _flag(variables, "kubeconfig_bash_completion"):
        found.append("bash-completion")
    found += [entry["name"] for entry in variables.get("__node_prep_packages") or []]
    if _text(variables, "node_prep_time_sync") == "install" and node.get("time_sync") == "":
        found.append(str(within(variables.get("__node_prep_platform"), "time_sync", "package")))
    return found


def _versions(variables: Values, packages: t.Collection[str]) -> t.Dict[str, str]:
    """The versions that are asked for, of these packages."""
    version = _text(variables, "container_runtime_version")
    is_kept, runtime = _flag(variables, "container_runtime_keep"), runtime_source(variables)
    prepared = variables.get("__node_prep_packages") or []
    found = {entry["name"]: str(entry["version"]) for entry in prepared if "version" in entry}
    if version and not is_kept and runtime and runtime.package in packages:
        found[runtime.package] = version
    return found


def has_other_source(node: Values, url: t.Any) -> bool:
    """Whether a file of others names this package repository; then ours could contradict it."""
    return any(same_url(entry["url"], str(url)) for entry in node.get("package_sources", ()))


def _moves(variables: Values, node: Values) -> bool:
    """Whether an installed runtime with a repository for each minor version will be told of another one."""
    if "minor_path" not in (variables.get("__container_runtime_platform") or {}):
        return False
    installed = str(within(node, "runtime", _text(variables, "container_runtime_provider"), "version") or "")
    return not installed.startswith(_text(variables, "__container_runtime_minor") + ".")


def runtime_repository(variables: Values, node: Values) -> t.Optional[Source]:
    """The arguments of package_source for the container runtime's; ``None`` when nothing will be fetched from there."""
    runtime, url = runtime_source(variables), variables.get("container_runtime_repository_url")
    is_there = has_runtime(variables, node) and not has_other_source(node, url) and not _moves(variables, node)
    if runtime is None or not runtime.repository or is_there:
        return None
    version = _text(variables, "container_runtime_version")
    return {
        "name": runtime.repository,
        "url": url,
        "settings": (variables.get("__container_runtime_platform") or {}).get("repository") or {},
        "key": variables.get("container_runtime_repository_key"),
        "key_fingerprints": variables.get("container_runtime_repository_key_fingerprints"),
        "packages": {runtime.package: version or "*"},
    }
