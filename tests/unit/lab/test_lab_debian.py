# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lab import debian, debs, golang
from lab.debian import Source
from lab.debs import Package
from lab.util import LabError

DEB822 = """\
Types: deb
# a comment in between
URIs: http://mirror.invalid/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.invalid/debian-security
Suites: bookworm-security
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://other.invalid/
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/other.gpg

Types: deb
Enabled: no
URIs: http://disabled.invalid/
Suites: bookworm
Components: main
"""

LIST = """\
# deb http://comment.invalid/ bookworm main
deb http://mirror.invalid/debian bookworm main # with a comment
deb-src http://mirror.invalid/debian bookworm main
deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] http://docker.invalid/ bookworm stable
"""


def test_sources_of_another_release() -> None:
    chosen = debian.sources_for("trixie", debian.parse_deb822(DEB822), "bookworm")
    assert chosen == [
        Source(("http://mirror.invalid/debian",), ("trixie", "trixie-updates"), ("main",)),
        Source(("http://mirror.invalid/debian-security",), ("trixie-security",), ("main", "contrib")),
    ]
    assert debian.parse_deb822(chosen[0].text()) == [chosen[0]]


def test_sources_in_the_old_format() -> None:
    parsed = debian.parse_list(LIST)
    assert [source.uris[0] for source in parsed] == ["http://mirror.invalid/debian", "http://docker.invalid/"]
    assert debian.sources_for("bookworm", parsed, "bookworm") == [parsed[0]]


def test_mirror_by_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(debian.MIRROR_VARIABLE, "http://mine.invalid/debian")
    assert "URIs: http://mine.invalid/debian\nSuites: trixie trixie-updates\n" in debian.host_sources("trixie")


def test_install_does_nothing_when_all_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "run", lambda *_, **__: pytest.fail("installs something"))
    debian.install({"sh": "dash", "/bin/*sh": "dash"})


def test_install_without_apt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(LabError, match="please install some-package"):
        debian.install({"no-such-command": "some-package"})


def test_control_and_scripts() -> None:
    package = Package("a", "1-1", "An example", {"Depends": "b"}, unit="a.service", start=True)
    assert "Package: a\nVersion: 1-1\nArchitecture: amd64\n" in package.control()
    assert package.control().endswith("Depends: b\nDescription: An example\n")
    scripts = package.scripts()
    assert "systemctl restart a.service" in scripts["postinst"]
    assert "systemctl disable --quiet --now a.service" in scripts["prerm"]
    assert Package("a", "1-1", "An example").scripts() == {}
    quiet = Package("a", "1-1", "An example", unit="a.service").scripts()
    assert "restart" not in quiet["postinst"]


def test_upstreams_packages(tmp_path: Path) -> None:
    programs = tmp_path / "kubernetes-1.37.1+key"
    packages = debs.kubernetes_packages(golang.kubernetes("1.37.1"), programs, programs.parent)
    by_name = {package.name: package for package in packages}
    assert sorted(by_name) == ["kubeadm", "kubectl", "kubelet", "kubernetes-cni"]
    assert by_name["kubelet"].filename == "kubelet_1.37.1-1.1_amd64.deb"
    assert "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf" in by_name["kubeadm"].files
    docker = debs.containerd_package(programs.parent, programs)
    assert "Conflicts: containerd, runc" in docker.control()
    assert 'disabled_plugins = ["cri"]' in docker.files["/etc/containerd/config.toml"]


def test_package_of_another_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = "\n".join(source.text() for source in debian.sources_for("sid", debian.parse_deb822(DEB822), "bookworm"))
    monkeypatch.setattr(debian, "host_sources", lambda _: sources)
    listed: list[str] = []
    wanted: list[str] = []

    def run(argv: list[str], **_: object) -> str:
        if argv[-1] == "update":
            (listing,) = tmp_path.glob("apt/*.sources")
            listed.append(listing.read_text())
        if argv[-2] == "download":
            wanted.append(argv[-1])
            (tmp_path / f"{argv[-1]}.deb").touch()
        return "Package: linux-source\nDepends: linux-source-7.2 (= 7.2.13-1)\nVersion: 7.2.13-1\n"

    monkeypatch.setattr(debian, "run", run)
    assert debian.download("linux-source", "sid", tmp_path) == tmp_path / "linux-source-7.2.deb"
    assert wanted == ["linux-source-7.2"]
    assert debian.parse_deb822(listed[0]) == [Source(("http://mirror.invalid/debian",), ("sid",), ("main",))]
    assert [path.name for path in tmp_path.iterdir()] == ["linux-source-7.2.deb"], "apt's own files are gone"
