# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""RKE2's releases: a program of the lab's own stands in for RKE2's, which cannot be had here.

What a release has for download is named and laid out as upstream's. go/rke2 is the program; it is the same in all
releases, and finds behind itself which release it is of.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from . import debs, golang, images
from .golang import Component
from .images import Image
from .util import SOURCE, artifact, run, write

# Where the program finds its release; see readRelease in go/rke2/main.go.
MARK = b"\nRKE2-RELEASE "
PREFIX = "/usr/local"
BUILD = "build20261201"
CIS_SYSCTLS = {"vm.panic_on_oom": 0, "vm.overcommit_memory": 1, "kernel.panic": 10, "kernel.panic_on_oops": 1}


def release_name(version: str) -> str:
    """Return the name of the release that has a version of Kubernetes."""
    return f"v{version}+{golang.RKE2_REVISION}"


def components(versions: Sequence[str]) -> list[Component]:
    """Return what is built for the releases with these versions of Kubernetes, besides what others need, too."""
    return [golang.CRI_TOOLS, *(golang.kubernetes_of_rke2(version) for version in versions)]


def _etcd(programs: Path, version: str) -> Component:
    options = ["--kubernetes-version", f"v{version}"]
    listed = run([programs / "kubeadm", "config", "images", "list", *options]).split()
    return golang.etcd(next(name.partition(":")[2] for name in listed if "/etcd:" in name))


def release_images(version: str) -> dict[str, Image]:
    """Return the images of a release by what the program calls them."""
    programs = golang.build(golang.kubernetes_of_rke2(version))
    tag = release_name(version).replace("+", "-")
    etcd = _etcd(programs, version)

    def named(name: str, tag: str) -> str:
        return f"docker.io/rancher/{name}:{tag}"

    def placed(folder: str, source: Path, *names: str) -> dict[str, Path]:
        return {f"{folder}/{name}": source / name for name in names or [path.name for path in source.iterdir()]}

    parts = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler")
    plugins, base = golang.build(golang.CNI_PLUGINS), images.base()
    return {
        "runtime": Image(named("rke2-runtime", tag), {
            **placed("/bin", programs, "kubelet", "kubectl"),
            **placed("/bin", golang.build(golang.CONTAINERD)),
            **placed("/bin", golang.build(golang.RUNC), "runc"),
            **placed("/bin", golang.build(golang.CRI_TOOLS), "crictl"),
        }, []),
        "kubernetes": Image(
            named("hardened-kubernetes", f"{tag}-{BUILD}"), placed("/usr/local/bin", programs, *parts), [], base=base
        ),
        "etcd": Image(named("hardened-etcd", f"v{etcd.version}-k3s1-{BUILD}"), {
            **placed("/usr/local/bin", golang.build(etcd), "etcd", "etcdutl"),
        }, []),
        "pause": Image(named("mirrored-pause", "3.6"), placed("", golang.build(golang.PAUSE), "pause"), ["/pause"]),
        "coredns": Image(named("hardened-coredns", f"v{golang.COREDNS.version}-{BUILD}"), {
            **placed("", golang.build(golang.COREDNS), "coredns"),
        }, ["/coredns"]),
        "flannel": Image(named("hardened-flannel", f"v{golang.FLANNEL.version}-{BUILD}"), {
            "/opt/bin/flanneld": golang.build(golang.FLANNEL) / "flannel",
        }, ["/opt/bin/flanneld"], base=base),
        "cni-plugins": Image(named("hardened-cni-plugins", f"v{golang.CNI_PLUGINS.version}-{BUILD}"), {
            **placed("/plugins", plugins),
            **placed("/plugins", golang.build(golang.FLANNEL_CNI_PLUGIN), "flannel"),
        }, [], base=base),
    }  # fmt: skip


def stamped(program: bytes, version: str, named: Mapping[str, Image]) -> bytes:
    """Return the program of a release: behind it stands which one it is, and which images it takes."""
    release = {
        "version": release_name(version),
        "images": {name: image.reference for name, image in sorted(named.items())},
    }
    return program + MARK + json.dumps(release, sort_keys=True).encode()


def tree(program: bytes) -> dict[str, tuple[bytes, int]]:
    """Return the files of a release's tarball with their modes."""
    source = debs.PACKAGES / "rke2"
    unit = (source / "rke2.service").read_text(encoding="utf-8").replace("PREFIX", PREFIX)
    files = {"bin/rke2": (program, 0o755)}
    for name in ("rke2-killall.sh", "rke2-uninstall.sh"):
        files[f"bin/{name}"] = ((source / name).read_bytes(), 0o755)
    for kind, other in (("server", "agent"), ("agent", "server")):
        text = unit.replace("KIND", kind).replace("OTHER", other)
        files[f"lib/systemd/system/rke2-{kind}.service"] = (text.encode(), 0o644)
        files[f"lib/systemd/system/rke2-{kind}.env"] = (f"HOME=/root\n# Of rke2-{kind}\n".encode(), 0o644)
    files["share/rke2/LICENSE.txt"] = ((SOURCE.parent / "COPYING").read_bytes(), 0o644)
    sysctls = "".join(f"{name}={value}\n" for name, value in CIS_SYSCTLS.items())
    files["share/rke2/rke2-cis-sysctl.conf"] = (sysctls.encode(), 0o644)
    return files


@contextlib.contextmanager
def _packed(path: Path) -> Iterator[tarfile.TarFile]:
    """A tarball that is compressed a little, and always in the same way."""
    with contextlib.ExitStack() as stack:
        raw = stack.enter_context(path.open("wb"))
        packed = stack.enter_context(gzip.GzipFile("", "wb", 1, raw, mtime=0))
        yield stack.enter_context(tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT))


def write_tarball(path: Path, files: Mapping[str, tuple[bytes, int]]) -> None:
    """Write a compressed tarball; the same files give the same bytes."""
    with _packed(path) as tar:
        for name, (content, mode) in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))


def write_images(path: Path, all_images: Sequence[Image]) -> None:
    """Write images as `docker save` does, with the list first, so that readers need not go through all."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        blobs: dict[str, Path] = {}
        listed = []
        for number, image in enumerate(all_images):
            own = Path(folder, f"{number}.tar")
            image.layer(own)
            layers = [layer for layer in (image.base, own) if layer]
            digests = [_digest(layer) for layer in layers]
            config = write(Path(folder, f"{number}.json"), json.dumps(image.config([f"sha256:{d}" for d in digests])))
            names = [*(f"{digest}.tar" for digest in digests), f"{_digest(config)}.json"]
            blobs.update(zip(names, [*layers, config], strict=True))
            listed.append({"Config": names[-1], "RepoTags": [image.reference], "Layers": names[:-1]})
        with _packed(path) as tar:
            blobs = {"manifest.json": write(Path(folder, "manifest.json"), json.dumps(listed)), **blobs}
            for name, source in blobs.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = source.stat().st_size, 0o644
                with source.open("rb") as file:
                    tar.addfile(entry, file)


def _digest(path: Path) -> str:
    total = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            total.update(chunk)
    return total.hexdigest()


def image_archive(version: str, named: Mapping[str, Image]) -> Path:
    """Return the archive with the images of a release."""
    inputs: list[str] = []
    for name, image in named.items():
        places = (f"{place} {source.parent.name}" for place, source in image.programs.items())
        inputs += [name, image.reference, *image.entrypoint, *places, image.base.parent.name if image.base else ""]
    archive = "rke2-images.linux-amd64.tar.gz"
    what = f"images of {release_name(version)} of RKE2"

    def build(folder: Path) -> None:
        write_images(folder / archive, list(named.values()))

    return artifact(f"rke2-images-{version}", inputs, build, what=what) / archive


def release(version: str, named: Mapping[str, Image]) -> Path:
    """Return the folder with what a release has for download."""
    program, archive = golang.build(golang.RKE2) / "rke2", image_archive(version, named)

    def build(folder: Path) -> None:
        files = tree(stamped(program.read_bytes(), version, named))
        write_tarball(folder / "rke2.linux-amd64.tar.gz", files)
        bare = folder / "rke2.linux-amd64"
        bare.write_bytes(files["bin/rke2"][0])
        bare.chmod(0o755)
        # Not a symbolic link: the archive may be made anew while this release is served.
        os.link(archive, folder / archive.name)
        references = "".join(f"{image.reference}\n" for image in named.values())
        write(folder / "rke2-images.linux-amd64.txt", references)
        sums = "".join(f"{_digest(path)}  {path.name}\n" for path in sorted(folder.iterdir()))
        write(folder / "sha256sum-amd64.txt", sums)

    inputs: list[str | Path] = [program.parent.name, archive.parent.name, debs.PACKAGES / "rke2", Path(__file__)]
    return artifact(f"rke2-release-{version}", inputs, build, what=f"release {release_name(version)} of RKE2")
