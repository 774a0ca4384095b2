# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lab import charts, debian, golang, images, mirror
from lab.images import Image, Registry
from lab.util import LabError, write

COMPONENTS = [
    *mirror.COMPONENTS,
    *mirror.MORE.values(),
    golang.kubernetes("1.37.1"),
    golang.kubernetes("1.36.4"),
    golang.etcd("3.7.0-0"),
]


def test_version_of_a_module() -> None:
    go_mod = "module x\n\nrequire (\n\texample.org/a/v3 v3.1.0 // indirect\n)\nrequire example.org/b v0.2.0\n"
    assert golang.required_version(go_mod, "example.org/a/v3") == "3.1.0"
    assert golang.required_version(go_mod, "example.org/b") == "0.2.0"
    assert golang.required_version(go_mod, "example.org/a") == ""
    assert golang.required_version(go_mod, "") == ""


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
def test_components_are_pinned(component: golang.Component) -> None:
    go_mod = (component.folder / "go.mod").read_text()
    assert bool(component.module) == ("\ntool " in go_mod)
    assert bool(component.module) == bool(component.version)
    assert bool(component.module) == (component.folder / "go.sum").exists()
    assert "-mod=readonly" in component.arguments()
    assert not [argument for argument in component.arguments() if "{" in argument]


def test_versions_that_were_promised() -> None:
    versions = {component.name: component.version for component in COMPONENTS}
    assert versions["containerd"] == "2.4.2"
    assert versions["flannel"] == "0.28.4"
    assert versions["metallb"] == "0.16.1"
    assert versions["metrics-server"] == "0.9.0"
    assert versions["helm"] == "3.22.0"


def test_releases_and_their_etcd() -> None:
    assert "gitVersion=v1.37.1" in " ".join(golang.kubernetes("1.37.1").arguments())
    with pytest.raises(LabError, match=r"there are 1\.36\.4, 1\.37\.1"):
        golang.kubernetes("1.2.3")
    assert golang.etcd("3.6.8-0").name == "etcd-3.6.16"
    with pytest.raises(LabError, match=r"no etcd 3\.5"):
        golang.etcd("3.5.1-0")


@pytest.mark.parametrize(("there", "fetched"), [("go1.19.8", True), ("", True), ("go1.24.4", False)])
def test_old_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str, fetched: bool) -> None:
    program = tmp_path / "bin" / "go"
    program.parent.mkdir()
    program.touch(0o444)
    calls: list[str] = []

    def run(argv: list[str], **_more: object) -> str:
        calls.append(" ".join(argv))
        if argv[1] == "mod":
            return json.dumps({"Dir": str(tmp_path)})
        return f"{there}\n" if len(calls) == 1 else "go1.26.8\n"

    golang.go_version.cache_clear()
    monkeypatch.setattr(debian, "install", lambda _: None)
    monkeypatch.setattr(golang, "run", run)
    monkeypatch.setenv("PATH", "/bin")
    assert golang.go_version() == "go1.26.8"
    golang.go_version.cache_clear()
    assert (os.environ["PATH"] == f"{tmp_path}/bin:/bin") is fetched
    assert os.access(program, os.X_OK) is fetched
    download = "go mod download -json golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64"
    assert (download in calls) is fetched


def test_chart_values() -> None:
    values = "image:\n  repository: ghcr.io/a/b\n  tag: v1\nother:\n  repository: ghcr.io/a/b-c\n  tag: 'v2'\n"
    assert mirror.tag_of(values, "ghcr.io/a/b") == "v1"
    assert mirror.tag_of(values, "ghcr.io/a/b-c") == "v2"
    with pytest.raises(LabError, match=r"no tag for ghcr\.io/x"):
        mirror.tag_of(values, "ghcr.io/x")


def test_chart_of_metrics_server_installs_what_is_built() -> None:
    by_name = {chart.name: chart for chart in charts.charts()}
    assert by_name["metrics-server"].app_version == golang.METRICS_SERVER.version
    assert not by_name["flannel"].app_version


def test_layer_is_the_same_each_time(tmp_path: Path) -> None:
    program = write(tmp_path / "program", "binary", 0o700)
    image = Image("example.org/a/b:1", {"/usr/local/bin/a": program}, ["/usr/local/bin/a"], links={"/a": "usr/a"})
    for name in ("1.tar", "2.tar"):
        image.layer(tmp_path / name)
        program.touch()
    assert (tmp_path / "1.tar").read_bytes() == (tmp_path / "2.tar").read_bytes()
    with tarfile.open(tmp_path / "1.tar") as tar:
        assert tar.getnames() == ["usr", "usr/local", "usr/local/bin", "usr/local/bin/a", "a"]
        assert tar.getmember("usr/local/bin/a").mode == 0o755
    assert (image.repository, image.tag) == ("example.org/a/b", "1")


def test_image_configuration() -> None:
    config = Image("a:1", {}, ["/a"], user="65534").config(["sha256:x"])
    assert config["config"]["User"] == "65534"
    assert config["rootfs"] == {"type": "layers", "diff_ids": ["sha256:x"]}
    assert "User" not in Image("a:1", {}, ["/a"]).config([])["config"]


@pytest.fixture
def registry() -> Iterator[tuple[Registry, dict[str, bytes]]]:
    """A registry with what is pushed to it by path."""
    stored: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def do_GET(self) -> None:
            if self.path == "/v2/":
                self.answer(200)
            elif self.path in stored:
                digest = f"sha256:{hashlib.sha256(stored[self.path]).hexdigest()}"
                self.answer(200, stored[self.path], Docker_Content_Digest=digest)
            else:
                self.answer(404, b"unknown")

        do_HEAD = do_GET

        def do_POST(self) -> None:
            self.answer(202, Location=f"http://{self.headers['Host']}{self.path}1?state=x")

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            path, _value, query = self.path.partition("?")
            if query:
                path = f"{path.partition('uploads/')[0]}{query.rpartition('=')[2]}"
            stored[path] = body
            self.answer(201)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Registry(f"127.0.0.1:{server.server_port}"), stored
    server.shutdown()
    server.server_close()


def test_push(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: tuple[Registry, dict[str, bytes]]) -> None:
    monkeypatch.setattr(images, "CACHE", tmp_path)
    address, stored = registry
    program = write(tmp_path / "program+key" / "a", "binary", 0o755)
    image = Image("example.org/a/b:1", {"/a": program}, ["/a"])
    assert address.alive()
    assert address.digest_of(image.repository, image.tag) == ""
    images.push(image, address)

    manifest = json.loads(stored["/v2/example.org/a/b/manifests/1"])
    layer = stored[f"/v2/example.org/a/b/blobs/{manifest['layers'][0]['digest']}"]
    assert len(layer) == manifest["layers"][0]["size"]
    config = json.loads(stored[f"/v2/example.org/a/b/blobs/{manifest['config']['digest']}"])
    assert config["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]

    # Nothing is pushed twice, but what the registry has lost is.
    monkeypatch.setattr(Image, "layer", lambda *_: pytest.fail("made again"))
    images.push(image, address)
    monkeypatch.undo()
    monkeypatch.setattr(images, "CACHE", tmp_path)
    stored.clear()
    images.push(image, address)
    assert "/v2/example.org/a/b/manifests/1" in stored


def test_registry_that_refuses(registry: tuple[Registry, dict[str, bytes]]) -> None:
    with pytest.raises(LabError, match="answered 404 to GET /v2/none"):
        registry[0]._expect(200, "GET", "/v2/none")
    assert not Registry("127.0.0.1:1").alive()


def test_too_little_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "CACHE", tmp_path)
    monkeypatch.setattr(mirror, "run", lambda _: f"{tmp_path}/a\n{tmp_path}/b\n")
    monkeypatch.setattr(golang, "is_built", lambda component: component.name != "kubernetes-1.37.1")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, 6_000_000_000))
    mirror._check_disk(mirror.COMPONENTS)
    with pytest.raises(LabError, match=r"has 6 GB free, and 13 GB are needed to build kubernetes-1\.37\.1"):
        mirror._check_disk([*mirror.COMPONENTS, golang.kubernetes("1.37.1")])


def test_contents_name_every_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served = {
        "core:/stable:/v1.37/deb": ["kubelet.deb", "Packages.gz"],
        "core:/stable:/v1.37/rpm": ["kubelet.rpm", "repodata/primary.xml.gz"],
        "linux/centos": ["9/x86_64/stable/containerd.io.rpm", "gpg"],
        "linux/debian": ["dists/trixie/pool/stable/amd64/containerd.io.deb"],
        "rocky/9/BaseOS/x86_64/os": ["haproxy.rpm"],
        "helm": ["helm.tar.gz", "helm.tar.gz.sha256sum"],
    }
    for folder, files in served.items():
        for name in files:
            write(tmp_path / "www" / folder / name, "")
    monkeypatch.setattr(mirror, "WWW", tmp_path / "www")
    monkeypatch.setattr(mirror, "REGISTRY", Registry("127.0.0.1:9"))
    assert mirror.contents()["files"] == [
        f"http://{mirror.FILES}/{folder}/ ({Path(files[0]).name})" for folder, files in served.items()
    ]


def test_cri_dockerd_is_served_as_upstream_releases_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "built"
    write(program / "cri-dockerd", "program")
    monkeypatch.setattr(golang, "build", lambda _component: program)
    monkeypatch.setattr(mirror, "WWW", tmp_path / "www")
    mirror._cri_dockerd()
    version = golang.CRI_DOCKERD.version
    assert mirror.MORE["docker"] is golang.CRI_DOCKERD and version == "0.4.3"
    archive = tmp_path / f"www/cri-dockerd/v{version}/cri-dockerd-{version}.amd64.tgz"
    with tarfile.open(archive) as tar:
        assert tar.getnames() == ["cri-dockerd/cri-dockerd"]
    total = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert archive.with_name(f"{archive.name}.sha256sum").read_text() == f"{total}  {archive.name}\n"
