# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The site mirror: what a site without internet would run, on the lab's bridge. It looks like upstream, only the
addresses differ."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from . import calico, charts, cilium, crio, debian, debs, engine, golang, images, kube_router, releases, rke2, rpms
from .daemon import Daemon
from .golang import Component
from .images import Image, Registry
from .util import ARTIFACTS, CACHE, SOURCE, LabError, artifact, link, lock, run, say, write

DEFAULT_KUBERNETES = "1.37.1"

ADDRESS = engine.MAIN.gateway
FILES = f"{ADDRESS}:8080"
REGISTRY = Registry(f"{ADDRESS}:5000")
WWW = CACHE / "www"

# Gigabytes that have to be free: for a node or two, and for each component that is to be built (modules, Go's build
# cache, which `--trim` empties, and the result). A first build takes 20 in all.
DISK_TO_RUN = 5
DISK_FOR_KUBERNETES = 8
DISK_FOR_OTHERS = 0.6

# The test image of the role verify.
PROBE = "docker.io/slipway/probe:1.0"

# Components that do not depend on the release of Kubernetes.
COMPONENTS = (
    *(golang.PAUSE, golang.PROBE, golang.RUNC_NODE, golang.CNI_PLUGINS, golang.FLANNEL_CNI_PLUGIN, golang.RUNC),
    *(golang.HELM, golang.CONTAINERD, golang.COREDNS, golang.FLANNEL, golang.METRICS_SERVER, golang.METALLB),
)

# What is built and served when it is asked for, since it takes its time and few scenarios need it.
MORE = {
    "calico": golang.CALICO,
    "cilium": golang.CILIUM,
    "crio": golang.CRIO,
    "docker": golang.CRI_DOCKERD,
    "kube-network-policies": golang.KUBE_NETWORK_POLICIES,
    "kube-router": golang.KUBE_ROUTER,
    "releases": golang.CRI_TOOLS,
    "rke2": golang.RKE2,
}


def servers() -> dict[str, Daemon]:
    """Return the mirror's servers by what they serve."""
    host, _, port = FILES.partition(":")
    # As a text: another checkout with the same program leaves the server that runs alone, and tests that need it.
    program = (SOURCE / "fileserver.py").read_text(encoding="utf-8")
    return {
        "files": Daemon("files", [sys.executable, "-c", program, host, port, WWW]),
        "registry": Daemon("registry", [_registry_program(), "serve", CACHE / "registry.json"]),
    }


def _registry_program() -> str:
    """Return the registry: the one that is installed, or one that is only unpacked, as its package starts a service."""
    found = shutil.which("docker-registry")
    unpacked = sorted(ARTIFACTS.glob("unpacked-docker-registry+*/usr/bin/docker-registry"))
    return found or str(unpacked[0] if unpacked else "docker-registry")


def start() -> None:
    """Start the mirror's servers unless they run.

    :raises LabError: when others hold their ports.
    """
    debian.install({"ss": "iproute2"})
    if not shutil.which("docker-registry"):
        debian.unpacked("docker-registry")
    WWW.mkdir(parents=True, exist_ok=True)
    # The configuration is YAML, which JSON is part of.
    configuration = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(CACHE / "registry")}, "delete": {"enabled": True}},
        "http": {"addr": REGISTRY.address},
    }
    write(CACHE / "registry.json", json.dumps(configuration))
    for name, daemon in servers().items():
        address = FILES if name == "files" else REGISTRY.address
        if not daemon.current() and (holder := _holder(address)):
            daemon.stop()
            holder = _holder(address)
            if holder:
                raise LabError(f"the mirror needs {address}, which another process holds: {holder}")
        daemon.start(REGISTRY.alive if name == "registry" else lambda: bool(_holder(FILES)))


def stop() -> None:
    """End the mirror's servers."""
    for daemon in servers().values():
        daemon.stop()


def _holder(address: str) -> str:
    """Say which process listens on an address, "" when none does."""
    host, _, port = address.partition(":")
    argv = ["ss", "--no-header", "--listening", "--tcp", "--numeric", "--processes", f"( sport = :{port} )"]
    lines = subprocess.run(argv, capture_output=True, text=True, check=False).stdout.splitlines()
    found = [line.split() for line in lines if line.split()[3].rpartition(":")[0] in {host, "*", "0.0.0.0", "[::]"}]
    return found[0][-1] if found else ""


def build(versions: Sequence[str], more: Sequence[str] = ()) -> None:
    """Build what is missing and serve it.

    :param versions: releases of Kubernetes.
    :param more: names of `MORE`. What was asked for once stays served.
    """
    kubernetes = [golang.kubernetes(version) for version in versions]
    components = [*COMPONENTS, *(MORE[name] for name in more), *kubernetes]
    if "rke2" in more:
        components += rke2.components(versions)
    with lock("mirror"):
        _check_disk(components)
        start()
    # A release that takes its time to compile holds up nobody who needs another.
    for component in components:
        golang.build(component)
    with lock("mirror"):
        kubernetes_key, docker_key = debs.SigningKey("kubernetes"), debs.SigningKey("docker")
        for component in kubernetes:
            _kubernetes(component, kubernetes_key)
        _docker(docker_key)
        _addons()
        _more(more, versions)
        _helm()


def _more(names: Sequence[str], versions: Sequence[str]) -> None:
    """Serve what was asked for by names of `MORE`."""
    if "calico" in names:
        _calico()
    if "cilium" in names:
        _cilium()
    if "crio" in names:
        link(WWW / crio.PLACE, crio.repository(debs.SigningKey("cri-o")))
    if "docker" in names:
        _cri_dockerd()
    if "kube-network-policies" in names:
        images.push(network_policies(), REGISTRY)
    if "kube-router" in names:
        images.push(kube_router.image(), REGISTRY)
        link(WWW / "kube-router", kube_router.downloads())
    if "releases" in names:
        for place, folder in releases.downloads([golang.kubernetes(version) for version in versions]).items():
            link(WWW / place, folder)
    if "rke2" in names:
        for version in versions:
            _rke2(version)


def _check_disk(components: Sequence[Component]) -> None:
    missing = [component.name for component in components if not golang.is_built(component)]
    needed = DISK_TO_RUN + sum(DISK_FOR_KUBERNETES if "kubernetes" in name else DISK_FOR_OTHERS for name in missing)
    CACHE.mkdir(parents=True, exist_ok=True)
    folders = {CACHE}
    if missing:
        folders |= {Path(path) for path in run(["go", "env", "GOCACHE", "GOMODCACHE"]).split()}
    for folder in folders:
        there = next(path for path in [folder, *folder.parents] if path.exists())
        free = shutil.disk_usage(there).free / 1e9
        if free < needed:
            what = f"to build {', '.join(missing)}" if missing else "to run"
            raise LabError(f"{there} has {free:.0f} GB free, and {needed:.0f} GB are needed {what}")


def _kubernetes(component: Component, key: debs.SigningKey) -> None:
    """Serve the packages and images of a release."""
    programs = golang.build(component)
    minor = ".".join(component.version.split(".")[:2])
    packages = debs.kubernetes_packages(component, programs, golang.build(golang.CNI_PLUGINS))
    built = debs.build_all(packages)
    # Other patch releases of this minor, which were asked for earlier, stay in its repository.
    all_of_minor = sorted({*built, *ARTIFACTS.glob(f"deb-kube*-{minor}.*/*.deb")})
    link(WWW / "core:/stable:" / f"v{minor}" / "deb", debs.flat_repository(f"kubernetes-{minor}", all_of_minor, key))
    _kubernetes_rpms(component, key)
    for image in _kubernetes_images(component, programs):
        images.push(image, REGISTRY)


def _kubernetes_rpms(component: Component, key: debs.SigningKey) -> None:
    """Serve the packages of a release for the RHEL family."""
    minor = ".".join(component.version.split(".")[:2])
    packages = rpms.kubernetes_packages(component, golang.build(component), golang.build(golang.CNI_PLUGINS))
    built = rpms.build_all(packages, key)
    all_of_minor = sorted({*built, *ARTIFACTS.glob(f"rpm-kube*-{minor}.*/*.rpm")})
    link(WWW / "core:/stable:" / f"v{minor}" / "rpm", rpms.repository(f"kubernetes-{minor}", {".": all_of_minor}, key))


def _kubernetes_images(component: Component, programs: Path) -> list[Image]:
    """Return the images that this kubeadm asks for."""
    options = ["--kubernetes-version", f"v{component.version}"]
    found = []
    for reference in run([programs / "kubeadm", "config", "images", "list", *options]).split():
        name, _, tag = reference.rpartition("/")[2].partition(":")
        if name == "pause":
            found.append(Image(reference, {"/pause": golang.build(golang.PAUSE) / "pause"}, ["/pause"]))
        elif name == "coredns":
            found.append(Image(reference, {"/coredns": golang.build(golang.COREDNS) / "coredns"}, ["/coredns"]))
        elif name == "etcd":
            folder = golang.build(golang.etcd(tag))
            places = {f"/usr/local/bin/{path.name}": path for path in folder.iterdir()}
            found.append(Image(reference, places, ["/usr/local/bin/etcd"]))
        elif (programs / name).exists():
            place = f"/usr/local/bin/{name}"
            base = images.base() if name == "kube-proxy" else None
            found.append(Image(reference, {place: programs / name}, [place], base=base))
        else:
            raise LabError(f"kubeadm {component.version} asks for {reference}, which the lab does not build")
    return found


def _docker(key: debs.SigningKey) -> None:
    containerd, runc = golang.build(golang.CONTAINERD), golang.build(golang.RUNC)
    package = debs.containerd_package(containerd, runc)
    link(WWW / "linux/debian", debs.pool_repository("docker", debs.build_all([package]), key))
    link(WWW / "linux/centos", rpms.docker_repository(containerd, runc, key))


def _addons() -> None:
    """Serve the images and charts of addons, and the test image of the role verify."""
    flannel, metallb = golang.build(golang.FLANNEL), golang.build(golang.METALLB)
    plugin = golang.build(golang.FLANNEL_CNI_PLUGIN)
    metrics_server = golang.build(golang.METRICS_SERVER)
    helm = golang.build(golang.HELM) / "helm"
    packages = {chart.name: charts.package(chart, helm) for chart in charts.charts()}
    plugin_tag = tag_of(charts.values(packages["flannel"]), "ghcr.io/flannel-io/flannel-cni-plugin")
    base = images.base()
    for image in [
        Image(
            f"ghcr.io/flannel-io/flannel:v{golang.FLANNEL.version}",
            {"/opt/bin/flanneld": flannel / "flannel"},
            ["/opt/bin/flanneld"],
            base=base,
        ),
        Image(f"ghcr.io/flannel-io/flannel-cni-plugin:{plugin_tag}", {"/flannel": plugin / "flannel"}, [], base=base),
        *(
            Image(f"quay.io/metallb/{name}:v{golang.METALLB.version}", {f"/{name}": metallb / name}, [f"/{name}"])
            for name in ("controller", "speaker")
        ),
        Image(
            f"registry.k8s.io/metrics-server/metrics-server:v{golang.METRICS_SERVER.version}",
            {"/metrics-server": metrics_server / "metrics-server"},
            ["/metrics-server"],
        ),
        Image(PROBE, {"/probe": golang.build(golang.PROBE) / "probe"}, ["/probe"], "65534:65534"),
    ]:
        images.push(image, REGISTRY)
    for package in packages.values():
        charts.push(package, REGISTRY, helm)


def network_policies() -> Image:
    """Return the image by which Flannel's chart has NetworkPolicy, of the release that can be had."""
    programs = golang.build(golang.KUBE_NETWORK_POLICIES)
    reference = f"registry.k8s.io/networking/kube-network-policies:v{golang.KUBE_NETWORK_POLICIES.version}"
    return Image(reference, {"/bin/netpol": programs / "netpol"}, ["/bin/netpol"])


def _calico() -> None:
    """Serve the images of Calico, and what its release has for download."""
    for image in calico.all_images():
        images.push(image, REGISTRY)
    link(WWW / "calico", calico.downloads())


def _cilium() -> None:
    """Serve the images of Cilium, and its chart."""
    for image in cilium.all_images():
        images.push(image, REGISTRY)
    helm = golang.build(golang.HELM) / "helm"
    charts.push(charts.package(charts.CILIUM, helm), REGISTRY, helm)


def _rke2(version: str) -> None:
    """Serve a release of the lab's RKE2: its downloads, and its images."""
    named = rke2.release_images(version)
    for image in named.values():
        images.push(image, REGISTRY)
    link(WWW / "rke2" / rke2.release_name(version), rke2.release(version, named))


def tag_of(values: str, repository: str) -> str:
    """Return the tag that a chart's values.yaml has below a repository.

    :raises LabError: when it has none.
    """
    after = values.partition(f"repository: {repository}\n")[2]
    for line in after.splitlines()[:3]:
        key, _, value = line.strip().partition(": ")
        if key == "tag":
            return value.strip("\"'")
    raise LabError(f"the chart's values have no tag for {repository}")


def _archive(component: Component, name: str, member: str) -> Path:
    """Return a folder with a release archive that has the component's program, and its checksum beside it."""
    source = golang.build(component)

    def build_into(folder: Path) -> None:
        archive = folder / name
        with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
            tar.add(source / component.name, member)
        total = hashlib.sha256(archive.read_bytes()).hexdigest()
        write(folder / f"{name}.sha256sum", f"{total}  {name}\n")

    return artifact(f"archive-{component.name}", [source.name, name], build_into, what=f"archive {name}")


def _helm() -> None:
    """Serve Helm's release archive and its checksum as upstream names them."""
    name = f"helm-v{golang.HELM.version}-linux-amd64.tar.gz"
    link(WWW / "helm", _archive(golang.HELM, name, "linux-amd64/helm"))


def _cri_dockerd() -> None:
    """Serve cri-dockerd's release archive as upstream names it. It has no checksum beside it there."""
    version = golang.CRI_DOCKERD.version
    folder = _archive(golang.CRI_DOCKERD, f"cri-dockerd-{version}.amd64.tgz", "cri-dockerd/cri-dockerd")
    link(WWW / f"cri-dockerd/v{version}", folder)


def trim() -> None:
    """Empty Go's build cache: what the lab has built lies elsewhere."""
    run(["go", "clean", "-cache"])
    say("emptied Go's build cache")


def contents() -> dict[str, list[str]]:
    """Return what the mirror serves."""
    found: dict[str, list[str]] = {"files": [], "images": [], "charts": []}
    packages = ("core:/stable:/*/*", "isv:/cri-o:/stable:/*/*", "linux/*", "rocky/*/*/*/*")
    downloads = ("dl.k8s.io/*/bin/linux/amd64", "containerd/*", "runc/*", "cni-plugins/*", "cri-tools/*")
    places = (*packages, "helm", "calico", "cri-dockerd/*", "kube-router", "rke2/*", *downloads)
    for folder in [folder for place in places for folder in sorted(WWW.glob(place))]:
        if folder.exists():
            place = f"http://{FILES}/{folder.relative_to(WWW)}/"
            files = {file.name for file in folder.resolve().rglob("*")}
            names = sorted(
                name
                for name in files
                if name.endswith((".deb", ".rpm", ".tar.gz", ".tgz", "-amd64", ".amd64", ".yaml"))
                or name in releases.PROGRAMS
            )
            found["files"].append(f"{place} ({', '.join(names)})")
    if REGISTRY.alive():
        for repository in REGISTRY.repositories():
            kind = "charts" if repository.startswith(f"{charts.REPOSITORY}/") else "images"
            found[kind] += [f"{repository}:{tag}" for tag in sorted(REGISTRY.tags(repository))]
    return found
