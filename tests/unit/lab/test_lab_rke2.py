# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lab serves as RKE2's releases is named and laid out as upstream's."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from lab import golang, images, mirror, rke2
from lab.images import Image
from lab.util import write


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that are not built: each is a text, its own name."""

    def build(component: golang.Component) -> Path:
        folder = tmp_path / f"{component.artifact}+key"
        parts = ("apiserver", "controller-manager", "proxy", "scheduler")
        names = {
            "cni-plugins": ["bridge"],
            "containerd": ["containerd", "ctr"],
            "kubernetes-1.37.1-rke2r1": ["kubeadm", "kubectl", "kubelet", *(f"kube-{part}" for part in parts)],
            "cri-tools": ["crictl"],
            "etcd-3.7.0": ["etcd", "etcdutl"],
        }
        for name in names.get(component.artifact, [component.name.partition("-")[0]]):
            write(folder / name, name, 0o755)
        return folder

    def run(argv: list[object]) -> str:
        assert argv[1:] == ["config", "images", "list", "--kubernetes-version", "v1.37.1"]
        return "registry.k8s.io/pause:3.10.2\nregistry.k8s.io/etcd:3.7.0-0\n"

    monkeypatch.setattr(golang, "build", build)
    monkeypatch.setattr(rke2, "run", run)
    monkeypatch.setattr(images, "base", lambda: write(tmp_path / "base+key" / "system.tar", "a system"))


def test_kubernetes_says_which_release_has_it() -> None:
    own, plain = golang.kubernetes_of_rke2("1.37.1"), golang.kubernetes("1.37.1")
    assert " ".join(own.arguments()).count("gitVersion=v1.37.1+rke2r1 ") == 2
    assert (own.folder, own.version) == (plain.folder, plain.version)
    assert (own.artifact, plain.artifact) == ("kubernetes-1.37.1-rke2r1", "kubernetes-1.37.1")
    assert [component.artifact for component in rke2.components(["1.36.4"])] == [
        "cri-tools",
        "kubernetes-1.36.4-rke2r1",
    ]


@pytest.mark.usefixtures("built")
def test_images_have_what_the_program_takes_from_them() -> None:
    named = rke2.release_images("1.37.1")
    assert named["runtime"].reference == "docker.io/rancher/rke2-runtime:v1.37.1-rke2r1"
    assert {"/bin/kubelet", "/bin/ctr", "/bin/runc", "/bin/crictl"} <= set(named["runtime"].programs)
    assert named["etcd"].reference.startswith("docker.io/rancher/hardened-etcd:v3.7.0-k3s1-")
    assert {"/plugins/bridge", "/plugins/flannel"} == set(named["cni-plugins"].programs)
    source = "".join(path.read_text() for path in golang.RKE2.folder.glob("*.go"))
    asked = {name for name in named if f'image("{name}")' in source or f', "{name}", ' in source}
    assert asked == set(named)


@pytest.mark.usefixtures("built")
def test_release(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = rke2.release("1.37.1", rke2.release_images("1.37.1"))
    sums = dict(line.split()[::-1] for line in (folder / "sha256sum-amd64.txt").read_text().splitlines())
    names = {path.name for path in folder.iterdir()}
    assert set(sums) == names - {"sha256sum-amd64.txt"}
    assert {"rke2.linux-amd64.tar.gz", "rke2-images.linux-amd64.tar.gz", "rke2-images.linux-amd64.txt"} <= names
    assert all(hashlib.sha256((folder / name).read_bytes()).hexdigest() == total for name, total in sums.items())

    with tarfile.open(folder / "rke2.linux-amd64.tar.gz") as tar:
        modes = {member.name: member.mode for member in tar.getmembers()}
        unit = tar.extractfile("lib/systemd/system/rke2-agent.service")
        assert unit
        text = unit.read().decode()
    assert [name for name in modes if name.startswith("bin/")] == [
        "bin/rke2",
        "bin/rke2-killall.sh",
        "bin/rke2-uninstall.sh",
    ]
    assert all((mode == 0o755) is name.startswith("bin/") for name, mode in modes.items())
    assert "ExecStart=/usr/local/bin/rke2 agent\n" in text and "rke2-server.service'" in text
    assert {"Type=notify", "Restart=always", "KillMode=process", "TimeoutStartSec=0"} <= set(text.splitlines())
    assert "share/rke2/rke2-cis-sysctl.conf" in modes

    program, _mark, release = (folder / "rke2.linux-amd64").read_bytes().partition(rke2.MARK)
    assert program == b"rke2"
    assert json.loads(release)["version"] == "v1.37.1+rke2r1"
    assert set(json.loads(release)["images"]) == set(rke2.release_images("1.37.1"))
    # The second time there is nothing to do.
    monkeypatch.setattr(rke2, "write_images", lambda *_: pytest.fail("made again"))
    assert rke2.release("1.37.1", rke2.release_images("1.37.1")) == folder


@pytest.mark.usefixtures("built")
def test_archive_of_images(tmp_path: Path) -> None:
    named = rke2.release_images("1.37.1")
    rke2.write_images(tmp_path / "1.tar.gz", list(named.values()))
    rke2.write_images(tmp_path / "2.tar.gz", list(named.values()))
    assert (tmp_path / "1.tar.gz").read_bytes() == (tmp_path / "2.tar.gz").read_bytes()
    with tarfile.open(tmp_path / "1.tar.gz") as tar:
        names = tar.getnames()
        listed = json.load(tar.extractfile("manifest.json") or pytest.fail("no list"))
        config = json.load(tar.extractfile(listed[0]["Config"]) or pytest.fail("no configuration"))
    assert names[0] == "manifest.json" and len(set(names)) == len(names)
    assert [entry["RepoTags"] for entry in listed] == [[image.reference] for image in named.values()]
    assert [f"{digest.removeprefix('sha256:')}.tar" for digest in config["rootfs"]["diff_ids"]] == listed[0]["Layers"]
    shared = [entry["Layers"][0] for entry in listed if len(entry["Layers"]) == 2]
    assert len(shared) == 3 and len(set(shared)) == 1


def test_releases_are_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image("docker.io/rancher/a:1", {}, [])
    pushed: list[Image] = []
    monkeypatch.setattr(mirror, "WWW", tmp_path / "www")
    monkeypatch.setattr(rke2, "release_images", lambda _version: {"a": image})
    monkeypatch.setattr(rke2, "release", lambda version, _named: tmp_path / version)
    monkeypatch.setattr(images, "push", lambda image, _registry: pushed.append(image))
    mirror._rke2("1.37.1")
    assert pushed == [image] and mirror.MORE["rke2"] is golang.RKE2
    assert (tmp_path / "www/rke2/v1.37.1+rke2r1").readlink() == tmp_path / "1.37.1"
