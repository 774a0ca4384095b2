# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _releases
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.modules import release_set as module
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import run_main

Result = t.Dict[str, t.Any]


def make_archive(path: Path, files: t.Mapping[str, t.Tuple[bytes, int]]) -> None:
    """A tar archive with contents and modes by names."""
    with tarfile.open(path, "w:gz") as tar:
        for name, (content, mode) in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            tar.addfile(info, io.BytesIO(content))


class Site:
    """A download site in a directory, and a host in another one."""

    def __init__(self, root: Path) -> None:
        self.root = root / "opt"
        self.place = root / "bin"
        self.plugins = root / "cni"
        self.files = root / "files"
        self.files.mkdir()
        self.fetched: t.List[str] = []
        for version in ("1.36.4", "1.37.1", "1.38.0"):
            for name in ("kubeadm", "kubelet"):
                self.serve(f"{name}-{version}", f"{name} {version}".encode())

    def serve(self, name: str, content: bytes) -> None:
        (self.files / name).write_bytes(content)
        self.sum(name)

    def sum(self, name: str) -> None:
        digest = hashlib.sha256((self.files / name).read_bytes()).hexdigest()
        (self.files / f"{name}.sha256").write_text(f"{digest}  {name}\n")

    def archive(self, name: str, files: t.Mapping[str, t.Tuple[bytes, int]]) -> None:
        make_archive(self.files / name, files)
        self.sum(name)

    def fetch(self, url: str, path: str) -> None:
        name = url.rpartition("/")[2]
        self.fetched.append(name)
        if not (self.files / name).exists():
            raise SlipwayError(f"{url} cannot be fetched: HTTP Error 404. Nothing was installed.")
        shutil.copyfile(self.files / name, path)

    def release(self, name: str, version: str, file: str = "", **more: t.Any) -> t.Dict[str, t.Any]:
        url = f"https://dl.example.com/{file or f'{name}-{version}'}"
        return {"name": name, "version": version, "url": url, "checksum": f"sha256:{url}.sha256", **more}

    def run(self, *releases: t.Mapping[str, t.Any], check: bool = False, keep: bool = False) -> Result:
        self.fetched = []
        temporary = self.root.parent / "tmp"
        temporary.mkdir(exist_ok=True)
        found = module.ReleaseSet(releases, keep, self.fetch, str(self.root), str(self.place))
        return found.run(check, str(temporary))

    def both(self, version: str, check: bool = False, keep: bool = False) -> Result:
        asked = [self.release(name, version) for name in ("kubeadm", "kubelet")]
        return self.run(*asked, check=check, keep=keep)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def kinds(result: Result) -> t.Dict[str, t.Any]:
    """What happened to releases."""
    return {key: result[key] for key in ("installed", "upgraded", "downgraded", "repaired") if result[key]}


def test_check_run_check_run(site: Site) -> None:
    predicted = site.both("1.37.1", check=True)
    assert predicted["changed"] and not site.fetched and not site.root.exists() and not site.place.exists()
    result = site.both("1.37.1")
    assert kinds(result) == kinds(predicted) == {"installed": ["kubeadm", "kubelet"]}
    assert result["diff"] == predicted["diff"]
    assert result["diff"]["after"] == "kubeadm: 1.37.1\nkubelet: 1.37.1\n"
    assert result["versions"] == {"kubeadm": "1.37.1", "kubelet": "1.37.1"}
    assert result["changed_paths"] == [f"{site.place}/kubeadm", f"{site.place}/kubelet"]
    assert (site.place / "kubelet").read_bytes() == b"kubelet 1.37.1" and os.access(site.place / "kubelet", os.X_OK)
    assert (site.root / "kubelet/1.37.1/release.json").stat().st_mode & 0o777 == 0o600
    assert _releases.installed(str(site.root)) == result["versions"]
    for check in (True, False):
        again = site.both("1.37.1", check=check)
        assert not again["changed"] and not site.fetched and again["downloaded"] == []
        assert again["diff"] == {"before": "", "after": ""}


def test_an_upgrade_leaves_a_way_back(site: Site) -> None:
    site.both("1.36.4")
    result = site.run(site.release("kubeadm", "1.37.1"))
    assert kinds(result) == {"upgraded": ["kubeadm"]}
    assert _releases.installed(str(site.root)) == {"kubeadm": "1.37.1", "kubelet": "1.36.4"}
    assert kinds(site.both("1.37.1")) == {"upgraded": ["kubelet"]} and site.fetched
    # As an administrator does it.
    (site.root / "kubelet/current").unlink()
    (site.root / "kubelet/current").symlink_to("1.36.4")
    assert (site.place / "kubelet").read_bytes() == b"kubelet 1.36.4"
    assert kinds(site.both("1.37.1")) == {"upgraded": ["kubelet"]} and not site.fetched
    assert kinds(site.both("1.36.4")) == {"downgraded": ["kubeadm", "kubelet"]} and not site.fetched
    site.both("1.37.1")
    site.both("1.38.0")
    assert sorted(path.name for path in (site.root / "kubelet").iterdir()) == ["1.37.1", "1.38.0", "current"]


def test_what_is_kept_stays_and_is_mended(site: Site) -> None:
    site.both("1.36.4")
    assert site.both("1.37.1", keep=True)["changed"] is False
    (site.root / "kubelet/1.36.4/bin/kubelet").write_bytes(b"damaged")
    result = site.both("1.37.1", keep=True)
    assert kinds(result) == {"repaired": ["kubelet"]} and result["versions"]["kubelet"] == "1.36.4"
    assert site.fetched == ["kubelet-1.36.4.sha256", "kubelet-1.36.4"]
    assert kinds(site.run(site.release("kubectl", "1", "kubeadm-1.36.4"), keep=True)) == {"installed": ["kubectl"]}


@pytest.mark.parametrize("damage", ["program", "record", "link", "file"])
def test_what_is_damaged_is_mended(site: Site, damage: str) -> None:
    site.both("1.37.1")
    if damage == "program":
        (site.root / "kubelet/1.37.1/bin/kubelet").write_bytes(b"")
    elif damage == "record":
        (site.root / "kubelet/1.37.1/release.json").write_text("{}")
    else:
        (site.place / "kubelet").unlink()
    if damage == "file":
        (site.place / "kubelet").write_bytes(b"mine")
    assert _releases.installed(str(site.root))["kubelet"] == "1.37.1"
    predicted = site.both("1.37.1", check=True)
    assert kinds(predicted) == {"repaired": ["kubelet"]} and not site.fetched
    assert "kubelet: 1.37.1 (not as it was installed)\n" in predicted["diff"]["before"]
    assert kinds(site.both("1.37.1")) == {"repaired": ["kubelet"]}
    assert bool(site.fetched) == (damage in ("program", "record"))
    assert (site.place / "kubelet").read_bytes() == b"kubelet 1.37.1"
    assert (site.place / "kubelet.before-slipway").exists() == (damage == "file")
    assert not site.both("1.37.1")["changed"]


def test_files_of_others_are_kept(site: Site) -> None:
    site.place.mkdir()
    (site.place / "kubelet").write_bytes(b"theirs")
    (site.place / "kubelet.before-slipway").write_bytes(b"an earlier one")
    assert site.both("1.37.1", check=True)["foreign_paths"] == [f"{site.place}/kubelet"]
    assert (site.place / "kubelet").read_bytes() == b"theirs"
    assert site.both("1.37.1")["foreign_paths"] == [f"{site.place}/kubelet"]
    assert (site.place / "kubelet.before-slipway.2").read_bytes() == b"theirs"
    (site.place / "runc").mkdir()
    with pytest.raises(SlipwayError, match=r"bin/runc is there and is a folder\. Move it away\. Nothing was"):
        site.run(site.release("runc", "1"))


def test_nothing_counts_before_all_is_there(site: Site) -> None:
    site.both("1.36.4")
    (site.files / "kubelet-1.37.1").write_bytes(b"not what was published")
    with pytest.raises(SlipwayError, match=r"kubelet-1\.37\.1 has the SHA-256 .* instead of .*Nothing was installed"):
        site.both("1.37.1")
    (site.files / "kubelet-1.37.1").unlink()
    with pytest.raises(SlipwayError, match="cannot be fetched"):
        site.both("1.37.1")
    assert _releases.installed(str(site.root)) == {"kubeadm": "1.36.4", "kubelet": "1.36.4"}
    # What has been downloaded well is not downloaded again.
    site.serve("kubelet-1.37.1", b"kubelet 1.37.1")
    assert site.both("1.37.1")["downloaded"] == ["kubelet"]


def test_a_digest_that_is_another_one(site: Site) -> None:
    site.both("1.37.1")
    digest = "sha256:" + hashlib.sha256(b"kubelet 1.37.1").hexdigest()
    assert not site.run({**site.release("kubelet", "1.37.1"), "checksum": digest})["changed"]
    with pytest.raises(SlipwayError, match=f"instead of {'0' * 64}"):
        site.run({**site.release("kubelet", "1.37.1"), "checksum": "sha256:" + "0" * 64})
    assert (site.place / "kubelet").read_bytes() == b"kubelet 1.37.1"


def test_an_archive_with_several_programs(site: Site) -> None:
    programs = {"bin/containerd": (b"c 2", 0o755), "bin/ctr": (b"ctr 2", 0o755), "README.md": (b"read", 0o644)}
    site.archive("containerd-1.tar.gz", {**programs, "bin/shim-v1": (b"shim", 0o755)})
    site.archive("containerd-2.tar.gz", programs)
    site.run(site.release("containerd", "1", "containerd-1.tar.gz"))
    assert sorted(path.name for path in site.place.iterdir()) == ["containerd", "ctr", "shim-v1"]
    asked = site.release("containerd", "2", "containerd-2.tar.gz")
    predicted = site.run(asked, check=True)
    assert predicted["changed_paths"] == [f"{site.place}/{name}" for name in ("containerd", "ctr", "shim-v1")]
    result = site.run(asked)
    assert result["changed_paths"] == [f"{site.place}/{name}" for name in ("containerd", "ctr")]
    assert sorted(path.name for path in site.place.iterdir()) == ["containerd", "ctr"]
    assert not site.run(asked)["changed"]


def test_plugins_are_copied_and_others_may_replace_them(site: Site) -> None:
    site.archive("cni-1.tgz", {"./bridge": (b"bridge 1", 0o755), "./loopback": (b"loopback 1", 0o755)})
    site.archive("cni-2.tgz", {"./bridge": (b"bridge 2", 0o755), "./loopback": (b"loopback 2", 0o755)})
    site.plugins.mkdir()
    (site.plugins / "flannel").write_bytes(b"flannel")
    (site.plugins / "bridge").write_bytes(b"bridge of a package")
    asked = site.release("cni-plugins", "1", "cni-1.tgz", copy_to=str(site.plugins))
    assert site.run(asked)["foreign_paths"] == []
    found = {path.name: path.read_bytes() for path in site.plugins.iterdir()}
    assert found == {"bridge": b"bridge 1", "loopback": b"loopback 1", "flannel": b"flannel"}
    assert not any(path.is_symlink() for path in site.plugins.iterdir())
    (site.plugins / "loopback").write_bytes(b"loopback of a pod network")
    assert not site.run(asked)["changed"]
    (site.plugins / "bridge").unlink()
    result = site.run(asked)
    assert kinds(result) == {"repaired": ["cni-plugins"]} and result["changed_paths"] == [f"{site.plugins}/bridge"]
    site.run(site.release("cni-plugins", "2", "cni-2.tgz", copy_to=str(site.plugins)))
    assert (site.plugins / "loopback").read_bytes() == b"loopback 2"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"README.md": (b"", 0o644)}, "The archive has no program"),
        ({"a/x": (b"", 0o755), "b/x": (b"", 0o755)}, "The archive has two programs x"),
    ],
)
def test_archives_that_are_not_what_they_should_be(
    site: Site, files: t.Mapping[str, t.Tuple[bytes, int]], message: str
) -> None:
    site.archive("x.tgz", files)
    with pytest.raises(SlipwayError, match=rf"https://dl\.example\.com/x\.tgz: {message}.*Nothing was installed"):
        site.run(site.release("x", "1", "x.tgz"))
    site.serve("y.tgz", b"no archive")
    with pytest.raises(SlipwayError, match=r"y\.tgz cannot be read as a tar archive"):
        site.run(site.release("y", "1", "y.tgz"))
    assert not site.place.exists()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("name", "../x", "cannot be the name of a release"),
        ("version", "current", "cannot be the version of a release"),
        ("version", "1/2", "cannot be the version of a release"),
        ("checksum", "", "is neither sha256:"),
        ("checksum", "md5:1", "is neither sha256:"),
    ],
)
def test_bad_releases(site: Site, option: str, value: str, message: str) -> None:
    with pytest.raises(SlipwayError, match=message):
        site.run({**site.release("kubelet", "1.37.1"), option: value})


def test_twice(site: Site) -> None:
    with pytest.raises(SlipwayError, match="kubelet is there twice"):
        site.run(site.release("kubelet", "1.37.1"), site.release("kubelet", "1.36.4"))


def test_what_a_killed_call_has_left(site: Site) -> None:
    site.both("1.36.4")
    for path in (site.place / "kubelet.slipway-new", site.root / "kubelet/current.slipway-new"):
        path.symlink_to("/nowhere")
    (site.root / "kubelet/1.37.1/bin").mkdir(parents=True)
    (site.root / "kubelet/1.37.1/bin/kubelet").write_bytes(b"half of it")
    assert _releases.installed(str(site.root))["kubelet"] == "1.36.4"
    site.both("1.37.1")
    assert (site.place / "kubelet").read_bytes() == b"kubelet 1.37.1"
    assert not (site.root / "kubelet/current.slipway-new").is_symlink()


@pytest.mark.parametrize("killed", [False, True])
def test_what_is_removed(site: Site, killed: bool) -> None:
    site.archive("cni-1.tgz", {"./bridge": (b"bridge 1", 0o755), "./loopback": (b"loopback 1", 0o755)})
    plugins = site.release("cni-plugins", "1", "cni-1.tgz", copy_to=str(site.plugins))
    site.both("1.36.4")
    site.both("1.37.1")
    site.run(plugins)
    (site.plugins / "loopback").write_bytes(b"loopback of a pod network")
    (site.place / "helm").symlink_to("/nowhere")
    if killed:
        (site.root / "kubelet/current").unlink()
        (site.place / "kubelet").unlink()

    def remove(check: bool = False) -> Result:
        names = ["kubelet", "cni-plugins", "runc"]
        return module.ReleaseSet([], False, site.fetch, str(site.root), str(site.place), absent=names).run(check, "")

    predicted = remove(check=True)
    assert predicted["changed"] and (site.root / "kubelet").exists()
    result = remove()
    assert result["removed"] == ["kubelet", "cni-plugins"] and result["diff"] == predicted["diff"]
    before = f"kubelet: {'in part' if killed else '1.37.1'}\ncni-plugins: 1\n"
    after = "kubelet: not installed\ncni-plugins: not installed\n"
    assert result["diff"] == {"before": before, "after": after}
    assert sorted(os.listdir(site.place)) == ["helm", "kubeadm"] and os.listdir(site.root) == ["kubeadm"]
    assert os.listdir(site.plugins) == ["loopback"]
    assert not remove()["changed"]
    with pytest.raises(SlipwayError, match=r"absent: '\.\./x' cannot be the name"):
        module.ReleaseSet([], False, site.fetch, absent=["../x"])
    with pytest.raises(SlipwayError, match="kubelet is there twice"):
        module.ReleaseSet([site.release("kubelet", "1")], False, site.fetch, str(site.root), absent=["kubelet"])


def test_main(site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(module, "ROOT", str(site.root))
    monkeypatch.setattr(module, "PLACE", str(site.place))
    site.place.mkdir()
    (site.place / "kubelet").write_bytes(b"theirs")
    url = f"file://{site.files}/kubelet-1.37.1"
    asked = {"name": "kubelet", "version": "1.37.1", "url": url, "checksum": f"sha256:{url}.sha256"}
    result = run_main(module.main, {"releases": [asked]}, monkeypatch, capsys)
    assert result["changed"] and result["foreign_paths"] == [str(site.place / "kubelet")]
    assert not run_main(module.main, {"releases": [asked]}, monkeypatch, capsys)["changed"]
    failed = run_main(module.main, {"releases": [{**asked, "version": "2", "url": f"{url}0"}]}, monkeypatch, capsys)
    assert failed["failed"] and "has no SHA-256 of kubelet-1.37.10" in failed["msg"]


def test_whose_a_link_is(tmp_path: Path) -> None:
    assert _releases.installed(str(tmp_path / "none")) == {} and not _releases.is_ours(str(tmp_path))
    (tmp_path / "x/current").mkdir(parents=True)
    (tmp_path / "y").mkdir()
    (tmp_path / "y/current").symlink_to("1")
    assert _releases.installed(str(tmp_path)) == {}
    (tmp_path / "kubelet").symlink_to("/opt/slipway/kubelet/current/bin/kubelet")
    assert _releases.is_ours(str(tmp_path / "kubelet"))
    assert not _releases.is_ours(str(tmp_path / "kubelet"), "/opt/other")
