# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helm charts, which lie in the trees of the modules they install, as OCI artifacts in the site mirror's registry."""

from __future__ import annotations

import re
import tarfile
from dataclasses import dataclass
from pathlib import Path

from . import golang
from .golang import Component
from .images import Registry
from .util import artifact, run, step

# The registry's repository for charts: oci://ADDRESS/charts/NAME.
REPOSITORY = "charts"


@dataclass(frozen=True)
class Chart:
    """A chart in a module's tree.

    app_version: instead of the chart's own, which the default image tags come from.
    """

    name: str
    component: Component
    path: str
    app_version: str = ""


# That of a program which is built when it is asked for.
CILIUM = Chart("cilium", golang.CILIUM, "install/kubernetes/cilium")


def charts() -> list[Chart]:
    """Return the charts that the mirror always has."""
    return [
        Chart("flannel", golang.FLANNEL, "chart/kube-flannel"),
        Chart("metallb", golang.METALLB, "charts/metallb"),
        # A chart is released some time after its program, and in this module's tree it still installs the last one.
        Chart("metrics-server", golang.METRICS_SERVER, "charts/metrics-server", golang.METRICS_SERVER.version),
    ]


def package(chart: Chart, helm: Path) -> Path:
    """Return the path of the packaged chart."""
    options = ["--app-version", chart.app_version] if chart.app_version else []

    def build(folder: Path) -> None:
        tree = golang.module_folder(chart.component) / chart.path
        run([helm, "package", *options, "--destination", folder, tree])

    inputs = [chart.path, *options, chart.component.version, helm.parent.name]
    (path,) = artifact(f"chart-{chart.name}", inputs, build, what=f"chart {chart.name}").iterdir()
    return path


def values(package: Path) -> str:
    """Return the default values (YAML) of a packaged chart."""
    with tarfile.open(package) as tar:
        (name,) = (name for name in tar.getnames() if re.fullmatch("[^/]+/values.yaml", name))
        file = tar.extractfile(name)
        return file.read().decode() if file else ""


def push(package: Path, registry: Registry, helm: Path) -> None:
    """Put a packaged chart into the registry unless it is there."""
    name, _, version = package.name.removesuffix(".tgz").rpartition("-")
    repository = f"{REPOSITORY}/{name}"
    if not registry.recorded(repository, version, package.parent.name):
        with step(f"push {package.name}"):
            run([helm, "push", "--plain-http", package, f"oci://{registry.address}/{REPOSITORY}"])
        registry.record(repository, version, package.parent.name)
