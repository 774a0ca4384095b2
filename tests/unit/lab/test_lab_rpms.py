# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from lab import debs, el9like, golang, nodes, rpms
from lab.el9like import Part
from lab.rpms import Rpm
from lab.util import LabError, write


def test_spec() -> None:
    files: dict[str, Path | str] = {"/usr/bin/a": "", "/etc/a.conf": "", "/var/lib/a/": ""}
    spec = Rpm("a", "1", "2.el9", "An example", ["Requires: b"], files, {"%post": "true\n"}).spec()
    assert spec.startswith("Name: a\nVersion: 1\nRelease: 2.el9\nSummary: An example\n")
    assert "\nRequires: b\n%description\nAn example\n" in spec
    assert "\n%post\ntrue\n%files\n" in spec
    assert spec.endswith('%config(noreplace) "/etc/a.conf"\n"/usr/bin/a"\n%dir "/var/lib/a"\n')
    assert Rpm("a", "1", "2.el9", "").filename == "a-1-2.el9.x86_64.rpm"


def test_packages_have_what_those_of_debian_have(tmp_path: Path) -> None:
    programs = tmp_path / "kubernetes-1.37.1+key"
    component = golang.kubernetes("1.37.1")
    by_name = {package.name: package for package in rpms.kubernetes_packages(component, programs, tmp_path)}
    assert set(by_name) == {package.name for package in debs.kubernetes_packages(component, programs, tmp_path)}
    kubelet = by_name["kubelet"]
    assert kubelet.filename == "kubelet-1.37.1-150500.1.1.x86_64.rpm"
    assert kubelet.files["/usr/bin/kubelet"] == programs / "kubelet"
    assert "/etc/sysconfig/kubelet" in kubelet.files and "/etc/default/kubelet" not in kubelet.files
    assert {"/etc/kubernetes/manifests/", "/var/lib/kubelet/"} <= set(kubelet.files)
    assert "Requires: kubernetes-cni >= 1.2.0" in kubelet.tags
    drop_in = by_name["kubeadm"].files["/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf"]
    assert "EnvironmentFile=-/etc/sysconfig/kubelet" in str(drop_in) and "/etc/default" not in str(drop_in)


def test_service_is_not_started_by_its_package() -> None:
    scripts = rpms.service_scripts("a.service")
    assert "preset --quiet a.service" in scripts["%post"]
    assert not [text for text in scripts.values() if "restart" in text or "enable " in text]
    assert "try-restart a.service" in rpms.service_scripts("a.service", restart=True)["%postun"]


def test_containerd_of_docker(tmp_path: Path) -> None:
    (tmp_path / "containerd").touch()
    package = rpms.containerd_package(tmp_path, tmp_path, "9")
    assert package.filename == f"containerd.io-{golang.CONTAINERD.version}-1.el9.x86_64.rpm"
    assert {"Requires: container-selinux >= 2:2.74", "Provides: runc", "Obsoletes: containerd"} <= set(package.tags)
    assert "try-restart containerd.service" in package.scripts["%postun"]
    assert package.files["/usr/bin/containerd"] == tmp_path / "containerd"


def test_a_package_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab.debian.install", lambda _: None)
    package = Rpm("a", "1", "1", "An example")
    with pytest.raises(LabError, match="a package twice"):
        rpms.build_all([package, package], key=None)  # type: ignore[arg-type]


STATUS = """\
Package: haproxy
Status: install ok installed
Source: haproxy (3.0.11-1)
Version: 3.0.11-1+deb13u5

Package: conntrack
Version: 1:1.4.8-2
"""
LIST = """\
/.
/etc
/etc/default
/etc/default/haproxy
/etc/haproxy
/etc/haproxy/haproxy.cfg
/usr
/usr/sbin
/usr/sbin/haproxy
/usr/share
/usr/share/doc
/usr/share/doc/haproxy
/usr/share/doc/haproxy/copyright
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What dpkg knows."""
    write(tmp_path / "var/lib/dpkg/status", STATUS)
    for part in el9like.PARTS:
        write(tmp_path / f"var/lib/dpkg/info/{part.deb}.list", LIST)
    return tmp_path


def test_files_of_a_part(tree: Path) -> None:
    assert el9like.listed_files(tree, Part("haproxy", "haproxy")) == ["/etc/haproxy/haproxy.cfg", "/usr/sbin/haproxy"]
    assert el9like.listed_files(tree, Part("haproxy", "haproxy", "/usr/")) == ["/usr/sbin/haproxy"]


def test_version_of_a_part(tree: Path) -> None:
    assert el9like.version_of(tree, "haproxy") == "3.0.11"
    assert el9like.version_of(tree, "conntrack") == "1.4.8"
    with pytest.raises(LabError, match="has no package socat"):
        el9like.version_of(tree, "socat")


def test_services_are_as_the_family_has_them(tree: Path) -> None:
    part = next(part for part in el9like.PARTS if part.name == "haproxy")
    package = el9like.rpm_of(part, tree)
    assert package.files["/usr/sbin/haproxy"] == tree / "usr/sbin/haproxy"
    unit = str(package.files["/usr/lib/systemd/system/haproxy.service"])
    assert "CFGDIR" in unit and "RuntimeDirectory" not in unit
    assert "useradd --system" in package.scripts["%pre"]
    assert "preset" in package.scripts["%post"]


def test_parts_are_what_roles_install() -> None:
    names = {part.name for part in el9like.PARTS}
    assert {"haproxy", "keepalived", "chrony", "iproute-tc", "container-selinux", "bash-completion"} <= names
    removed = (el9like.SOURCE / "node-el9like" / "convert").read_text(encoding="utf-8")
    line = next(line for line in removed.splitlines() if "haproxy" in line)
    debs_of_parts = {part.deb for part in el9like.PARTS if part.deb} - {"iproute2"}
    assert set(line.split()[3:]) == debs_of_parts <= set(el9like.PACKAGES)


def test_system_of_a_node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert [node.os for node in nodes.parse(["a:el9like"], "debian12", second=False)] == ["el9like"]
    monkeypatch.setattr(nodes, "KEY", write(tmp_path / "key.pub", "key"))
    monkeypatch.setattr("lab.engine.nameservers", lambda: "")
    monkeypatch.setattr("lab.debian.host_sources", lambda _: "")
    monkeypatch.setattr("lab.debian.host_proxies", lambda: "")
    assert "etc/apt/sources.list.d/debian.sources" in nodes.image_files("debian13")
    files = nodes.image_files("el9like")
    assert not [path for path in files if "apt" in path]
    assert "secure_path" in files["etc/sudoers.d/secure_path"]
