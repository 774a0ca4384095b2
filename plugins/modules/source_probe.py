#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: source_probe
short_description: Asks sources whether they have what will be fetched from them
version_added: 0.1.0
description:
  - Asks for one manifest of each image, the chart, the archive and its checksum, and the package sources of the host.
    All at once, as who will fetch them does, and without fetching them.
  - Never fails because of a source. What is wrong is returned, for M(slipway.kubernetes.preflight_report).
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.attributes.read_only
options:
  sources:
    description: What is asked.
    type: list
    elements: dict
    required: true
    suboptions:
      subject:
        description: Name of the variable that the source comes from, for the report.
        type: str
        required: true
      kind:
        description: What it is.
        type: str
        choices: [image, chart, archive, packages]
        required: true
      image:
        description: Name of an image with its tag.
        type: str
      endpoints:
        description: Mirrors that are asked before the registry itself, in this order.
        type: list
        elements: dict
        default: []
        suboptions:
          url:
            description: URL of the mirror's API.
            type: str
            required: true
          mirror:
            description: Whether it is told which registry it stands for.
            type: bool
            default: true
          ca_file:
            description: CA certificates, a file on the host.
            type: str
          ca_content:
            description: CA certificates in PEM, for the time before the file is there.
            type: str
          username:
            description: User name.
            type: str
          password:
            description: Password.
            type: str
      chart:
        description: Chart, as M(slipway.kubernetes.helm_release) takes it.
        type: str
      repository:
        description: URL of the chart repository.
        type: str
      version:
        description: Version of the chart.
        type: str
      plain_http:
        description: Whether the registry of the chart is asked without TLS.
        type: bool
        default: false
      ca_file:
        description: CA certificates by which the source of the chart is verified. A chart is not asked for before this
          file is there.
        type: path
      url:
        description: URL of an archive.
        type: str
      checksum:
        description: Its checksum, as M(slipway.kubernetes.release_archive) takes it.
        type: str
      name:
        description: Name by which M(slipway.kubernetes.release_archive) records it.
        type: str
      packages:
        description: Names of packages of the distribution.
        type: list
        elements: str
        default: []
      versions:
        description: Versions that are asked for, by the names of packages.
        type: dict
        default: {}
  runtime:
    description: Service of the container runtime, whose proxies count for images. None does when empty.
    type: str
    default: ""
  timeout:
    description: Seconds that a server may take to answer.
    type: int
    default: 10
"""

EXAMPLES = r"""
- name: Ask whether images and archives are there
  slipway.kubernetes.source_probe:
    sources:
      - subject: cluster_image_repository
        kind: image
        image: registry.k8s.io/kube-proxy:v1.37.1
      - subject: helm_download_url
        kind: archive
        name: helm
        url: "{{ helm_url | default('https://get.helm.sh/helm-v3.22.0-linux-amd64.tar.gz') }}"
        checksum: "{{ helm_checksum | default('sha256:' ~ 64 * '0') }}"
"""

RETURN = r"""
failures:
  description: What cannot be had.
  returned: always
  type: list
  elements: dict
  contains:
    subject:
      description: Name of the variable that the source comes from.
      type: str
    message:
      description: What is wrong.
      type: str
    severity:
      description: V(error), or V(warning) when another source may have it.
      type: str
"""

import concurrent.futures
import os
import pathlib
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _records
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine import boot_settings
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages import package_manager
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages import sources as _sources
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.interface import PackageManager

ENDPOINT: t.Dict[str, t.Any] = {
    "url": {"type": "str", "required": True},
    "mirror": {"type": "bool", "default": True},
    "ca_file": {"type": "str"},
    "ca_content": {"type": "str"},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
}
SOURCE: t.Dict[str, t.Any] = {
    "subject": {"type": "str", "required": True},
    "kind": {"type": "str", "choices": ["image", "chart", "archive", "packages"], "required": True},
    "image": {"type": "str"},
    "endpoints": {"type": "list", "elements": "dict", "default": [], "options": ENDPOINT},
    "chart": {"type": "str"},
    "repository": {"type": "str"},
    "version": {"type": "str"},
    "plain_http": {"type": "bool", "default": False},
    "ca_file": {"type": "path"},
    "url": {"type": "str"},
    "checksum": {"type": "str"},
    "name": {"type": "str"},
    "packages": {"type": "list", "elements": "str", "default": []},
    "versions": {"type": "dict", "default": {}},
}
#: Where release_archive keeps its records.
RECORDS = _records.ARCHIVES
#: Where helm has the logins of registries, below the home of who runs it.
LOGINS = (".config/helm/registry/config.json", ".docker/config.json")
#: Sources that are asked at the same time.
AT_ONCE = 8
#: A package index that is older is fetched anew before anything is installed from it.
FRESH = 86400

Failure = t.Dict[str, str]


def failure(subject: str, message: str, severity: str = "error") -> Failure:
    """One thing that cannot be had."""
    return {"subject": subject, "message": message, "severity": severity}


class Packages:
    """Packages of the distribution, from the sources of the host as they are."""

    def __init__(self, manager: PackageManager, client: _sources.Client) -> None:
        self._manager, self._client = manager, client

    def look(self, source: _sources.Source) -> t.List[Failure]:
        """What is wrong with the package sources."""
        if not self._manager.name:
            return []
        subject, names = str(source["subject"]), list(source["packages"])
        known = self._manager.offered(names) if self._manager.index_age() < FRESH else {}
        unknown = [name for name in names if known and (name not in known or not known[name].candidate)]
        if unknown:
            return [failure(subject, f"no package source of the host has {', '.join(unknown)}.")]
        lacking = [
            self._manager.explain_missing(name, wanted, known[name])
            for name, wanted in ((name, str(wanted)) for name, wanted in (source.get("versions") or {}).items())
            if name in known and self._manager.find_version(wanted, known[name].versions) is None
        ]
        if lacking:
            return [failure(subject, f"{text}.") for text in lacking]
        indexes = self._manager.indexes()
        lost = [(urls[0], why) for urls in indexes for why in [self._why_not(urls)] if why]
        severity = "error" if len(lost) == len(indexes) else "warning"
        return [
            failure(subject, f"the package source {_sources.shown(url)} cannot be reached: {why}.", severity)
            for url, why in lost
        ]

    def _why_not(self, urls: t.Sequence[str]) -> str:
        """Why the package manager would not get an index that is at one of these URLs; empty when it would."""
        said = ""
        for url in urls:
            try:
                self._client.exists(url)
            except SlipwayError as error:
                said = said or error.msg
            else:
                return ""
            if said != "HTTP 404":
                break
        return said


class SourceProbe:
    """Asks all sources at once."""

    def __init__(self, runner: Runner, timeout: float, runtime: str = "") -> None:
        self._client = _sources.Client(timeout, os.environ)
        self._registries = _sources.Client(timeout, boot_settings.service_environment(runtime) if runtime else {})
        self._packages = Packages(package_manager(runner), self._client)

    def look(self, source: _sources.Source) -> t.List[Failure]:
        """What is wrong with one source."""
        try:
            if source["kind"] == "packages":
                return self._packages.look(source)
            if source["kind"] == "image":
                _sources.probe_image(self._registries, source)
            elif source["kind"] == "chart":
                _sources.probe_chart(self._client, source)
            elif not _sources.is_recorded(f"{RECORDS}/{source['name']}.json", source["url"], source["checksum"]):
                _sources.probe_archive(self._client, source)
        except SlipwayError as error:
            # Helm may have a login that we do not know.
            is_oci = source["kind"] == "chart" and str(source["chart"]).startswith("oci://")
            unsure = is_oci and any((pathlib.Path.home() / path).exists() for path in LOGINS)
            return [failure(str(source["subject"]), error.msg, "warning" if unsure else "error")]
        return []

    def run(self, sources: t.Sequence[_sources.Source]) -> t.List[Failure]:
        """What is wrong with all of them, in their order."""
        with concurrent.futures.ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            return [found for answer in pool.map(self.look, sources) for found in answer]


def urls_of(source: _sources.Source) -> t.List[t.Optional[str]]:
    """All addresses of a source, which may have a login in them."""
    published = (source["checksum"] or "").partition(":")[2]
    mirrors = [endpoint["url"] for endpoint in source["endpoints"]]
    return [source["url"], source["chart"], source["repository"], published, *mirrors]


ARGUMENTS: t.Dict[str, t.Any] = {
    "sources": {"type": "list", "elements": "dict", "required": True, "options": SOURCE},
    "runtime": {"type": "str", "default": ""},
    "timeout": {"type": "int", "default": 10},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    for source in context.params["sources"]:
        context.hide_credentials(*urls_of(source))
    probe = SourceProbe(context.runner, context.params["timeout"], context.params["runtime"])
    return {"failures": probe.run(context.params["sources"])}


def main() -> None:
    run_module(ARGUMENTS, run, quiet=True)


if __name__ == "__main__":
    main()
