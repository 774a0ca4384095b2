# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container images of what the lab has built, in the site mirror's registry under the names they have upstream.

An image is two files and some layers, so it is made here without an engine. Layers are not compressed: they do not
leave this machine, and nodes unpack them faster.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from . import debian
from .util import CACHE, LabError, digest, step, write

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# What kube-proxy and flannel call.
BASE_PACKAGES = ("nftables", "iptables", "conntrack", "ipset", "iproute2", "kmod")


@dataclass(frozen=True)
class Image:
    """An image: programs, and perhaps a system below them.

    reference: upstream's name and tag, for example registry.k8s.io/pause:3.10.2.
    programs: a program's place in the image, and where it lies now.
    """

    reference: str
    programs: Mapping[str, Path]
    entrypoint: Sequence[str]
    user: str = ""
    base: Path | None = None
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def repository(self) -> str:
        """The name in the registry: upstream's registry is the first part of the path."""
        return self.reference.rpartition(":")[0]

    @property
    def tag(self) -> str:
        """The tag."""
        return self.reference.rpartition(":")[2]

    def layer(self, path: Path) -> None:
        """Write the layer with the image's own files; the same files give the same bytes."""
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
            folders = {
                str(parent)[1:] for name in self.programs for parent in Path(name).parents if parent != Path("/")
            }
            for name in sorted(folders):
                tar.addfile(_entry(name, tarfile.DIRTYPE))
            for name, source in sorted(self.programs.items()):
                entry = _entry(name[1:], tarfile.REGTYPE)
                entry.size = source.stat().st_size
                with source.open("rb") as file:
                    tar.addfile(entry, file)
            for name, target in sorted(self.links.items()):
                entry = _entry(name[1:], tarfile.SYMTYPE)
                entry.linkname = target
                tar.addfile(entry)

    def config(self, layers: Sequence[str]) -> dict[str, Any]:
        """Return the image's configuration.

        :param layers: the layers' digests.
        """
        config: dict[str, Any] = {"Env": [f"PATH={PATH}"], "Entrypoint": list(self.entrypoint), "WorkingDir": "/"}
        if self.user:
            config["User"] = self.user
        return {
            "created": "1970-01-01T00:00:00Z",
            "architecture": "amd64",
            "os": "linux",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": list(layers)},
        }


def _entry(name: str, kind: bytes) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = kind
    entry.mode = 0o755
    return entry


class Registry:
    """What is needed of a registry's HTTP interface to put images into it."""

    def __init__(self, address: str) -> None:
        """Name the registry by host:port."""
        self.address = address

    def alive(self) -> bool:
        """Tell whether the registry answers."""
        try:
            return self._request("GET", "/v2/")[0] == 200
        except OSError:
            return False

    def digest_of(self, repository: str, tag: str) -> str:
        """Return the digest of an image's manifest, "" when there is no such image."""
        status, headers, _ = self._request("HEAD", f"/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFEST})
        return headers.get("Docker-Content-Digest", "") if status == 200 else ""

    def tags(self, repository: str) -> list[str]:
        """Return the tags of a repository."""
        status, _, body = self._request("GET", f"/v2/{repository}/tags/list")
        return json.loads(body)["tags"] or [] if status == 200 else []

    def repositories(self) -> list[str]:
        """Return the names of all repositories."""
        return json.loads(self._request("GET", "/v2/_catalog?n=1000")[2])["repositories"]

    def put_blob(self, repository: str, blob: Path | bytes) -> dict[str, Any]:
        """Upload a blob unless it is there, and return its digest and size."""
        with io.BytesIO(blob) if isinstance(blob, bytes) else blob.open("rb") as file:
            name, size = _sha256(file)
            if self._request("HEAD", f"/v2/{repository}/blobs/{name}")[0] != 200:
                headers = self._expect(202, "POST", f"/v2/{repository}/blobs/uploads/")
                location = urlsplit(headers["Location"])
                file.seek(0)
                target = f"{location.path}?{location.query}&digest={name}"
                kind = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
                self._expect(201, "PUT", target, body=file, headers=kind)
        return {"digest": name, "size": size}

    def put_manifest(self, repository: str, tag: str, manifest: bytes) -> None:
        """Give an image its tag."""
        self._expect(201, "PUT", f"/v2/{repository}/manifests/{tag}", body=manifest, headers={"Content-Type": MANIFEST})

    def recorded(self, repository: str, tag: str, key: str) -> bool:
        """Tell whether the registry still has what was pushed for this key."""
        try:
            known, digest = self._record(repository, tag).read_text(encoding="utf-8").split()
        except (OSError, ValueError):
            return False
        return known == key and self.digest_of(repository, tag) == digest

    def record(self, repository: str, tag: str, key: str) -> None:
        """Write down what was pushed."""
        write(self._record(repository, tag), f"{key} {self.digest_of(repository, tag)}\n")

    def _record(self, repository: str, tag: str) -> Path:
        return CACHE / "pushed" / f"{repository.replace('/', '_')}:{tag}"

    def _expect(self, wanted: int, method: str, target: str, **arguments: Any) -> Mapping[str, str]:
        status, headers, body = self._request(method, target, **arguments)
        if status != wanted:
            raise LabError(f"the registry {self.address} answered {status} to {method} {target}: {body.decode()[:500]}")
        return headers

    def _request(self, method: str, target: str, **arguments: Any) -> tuple[int, Mapping[str, str], bytes]:
        connection = http.client.HTTPConnection(self.address, timeout=300)
        try:
            connection.request(method, target, **arguments)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()  # type: ignore[return-value]
        finally:
            connection.close()


def _sha256(file: BinaryIO) -> tuple[str, int]:
    total, size = hashlib.sha256(), 0
    while chunk := file.read(1 << 20):
        total.update(chunk)
        size += len(chunk)
    return f"sha256:{total.hexdigest()}", size


def system(name: str, packages: Sequence[str], unwanted: Sequence[str] = ()) -> Path:
    """Return a small system (tar) with packages, and without what nobody reads in a container.

    :param unwanted: what of the packages goes as well.
    """
    waste = ("/usr/share/doc", "/usr/share/man", "/usr/share/info", "/usr/share/locale", "/var/cache", "/var/lib/apt")
    trim = f'--customize-hook=cd "$1" && rm -rf {" ".join(f".{path}" for path in (*waste, *unwanted))}'
    return debian.system(name, "bookworm", "essential", packages, [trim])


def base() -> Path:
    """Return the system with the programs that handle packets."""
    return system("image-base", BASE_PACKAGES)


def push(image: Image, registry: Registry) -> None:
    """Put an image into the registry unless it is there as it should be."""
    inputs = [image.reference, *image.entrypoint, image.user, *(f"{name} {to}" for name, to in image.links.items())]
    inputs += [f"{name} {source.parent.name}/{source.name}" for name, source in image.programs.items()]
    inputs += [image.base.parent.name] if image.base else []
    key = digest(*inputs)
    if registry.recorded(image.repository, image.tag, key):
        return
    with step(f"image {image.reference}"):
        own = CACHE / "pushed" / f"{key}.tar"
        own.parent.mkdir(parents=True, exist_ok=True)
        try:
            image.layer(own)
            blobs = [registry.put_blob(image.repository, path) for path in [image.base, own] if path]
        finally:
            own.unlink(missing_ok=True)
        config = json.dumps(image.config([blob["digest"] for blob in blobs])).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, **registry.put_blob(image.repository, config)},
            "layers": [{"mediaType": LAYER, **blob} for blob in blobs],
        }
        registry.put_manifest(image.repository, image.tag, json.dumps(manifest).encode())
        registry.record(image.repository, image.tag, key)
