# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Machines with dnf are built, upgraded and taken down beside those with apt. Each test goes on after the others."""

from __future__ import annotations

import json
import typing as t

import pytest
import yaml
from conftest import CONVERGE, changes, connect, names, play
from testinfra.host import Host

ADMIN = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
VARIABLES = yaml.safe_load(CONVERGE.read_text(encoding="utf-8"))[0]["vars"]
NEWER = {**VARIABLES, "cluster_version": "1.37.1"}
HELD = ["kubeadm", "kubectl", "kubelet"]
WITH_DNF = ["platforms-cp2", "platforms-worker"]

# What rpm says of files that are not as their package has brought them. Configuration is marked by a "c".
VERIFY = "rpm --verify --nomtime {} | grep -v ' c '"


@pytest.fixture(params=WITH_DNF)
def machine(request: pytest.FixtureRequest) -> Host:
    """Each machine with dnf in turn."""
    return connect(request.param)


def versions(host: Host) -> t.Dict[str, str]:
    """The versions of what is held."""
    return {name: host.package(name).version for name in HELD}


def kubelets() -> t.Dict[str, t.Tuple[str, str]]:
    """Each node's version and system, of those that are ready."""
    items = json.loads(connect("platforms-cp2").check_output(f"{ADMIN} get nodes --output=json"))["items"]
    ready = [
        item
        for item in items
        for entry in item["status"]["conditions"]
        if (entry["type"], entry["status"]) == ("Ready", "True")
    ]
    info = {item["metadata"]["name"]: item["status"]["nodeInfo"] for item in ready}
    return {name: (node["kubeletVersion"], node["osImage"]) for name, node in info.items()}


def test_machines_have_no_apt(machine: Host) -> None:
    assert not machine.exists("apt-get") and not machine.exists("dpkg")
    assert machine.check_output("dnf repoquery --quiet --queryformat '%{repoid}' haproxy") == "baseos"


def test_nodes_are_ready() -> None:
    found = kubelets()
    assert set(found) == set(names())
    assert {version for version, _system in found.values()} == {f"v{VARIABLES['cluster_version']}"}
    assert [name for name, (_version, system) in found.items() if system.startswith("Rocky Linux")] == WITH_DNF


def test_packages_are_held(machine: Host) -> None:
    assert set(versions(machine).values()) == {VARIABLES["cluster_version"]}
    configuration = machine.file("/etc/dnf/dnf.conf").content_string
    assert "excludepkgs=kubeadm, kubelet, kubectl\n" in configuration
    # What the file had is still there.
    assert "\nclean_requirements_on_remove=True\n" in configuration
    # To dnf there is none, as long as it is held.
    assert "No match for argument: kubelet" in machine.run("dnf --assumeyes upgrade kubelet").stdout


def test_packages_are_whole(machine: Host) -> None:
    assert not machine.run(VERIFY.format("kubeadm kubelet kubectl kubernetes-cni containerd.io")).stdout


def test_repositories_are_tied_to_their_keys(machine: Host) -> None:
    for name in ("kubernetes", "docker"):
        text = machine.file(f"/etc/yum.repos.d/slipway-{name}.repo").content_string
        assert "\ngpgcheck=1\nrepo_gpgcheck=1\n" in text


def test_services_that_no_package_enables(machine: Host) -> None:
    endpoint = ["haproxy", "keepalived"] if machine.backend.hostname == "slipway-platforms-cp2" else []
    for name in ("containerd", "kubelet", *endpoint):
        assert machine.service(name).is_running and machine.service(name).is_enabled, name


def test_endpoint_moves_between_families() -> None:
    debian, other = connect("platforms-cp1"), connect("platforms-cp2")
    endpoint = "https://172.30.0.247:8443/readyz"
    for stopped, left in ((debian, other), (other, debian)):
        stopped.check_output("systemctl stop keepalived")
        left.check_output("timeout 30 sh -c 'until ip -brief address | grep -q 172.30.0.247; do sleep 0.2; done'")
        argv = f"curl --silent --cacert /etc/kubernetes/pki/ca.crt --retry 10 --retry-all-errors {endpoint}"
        assert connect("platforms-cp1").check_output(argv) == "ok"
        stopped.check_output("systemctl start keepalived")


def test_cluster_works() -> None:
    play("verify.yml", variables=VARIABLES)


@pytest.mark.last
def test_upgrade() -> None:
    play("upgrade.yml", variables=NEWER)
    assert {version for version, _system in kubelets().values()} == {"v1.37.1"}
    for name in WITH_DNF:
        assert set(versions(connect(name)).values()) == {"1.37.1"}
        assert "excludepkgs=kubeadm, kubelet, kubectl\n" in connect(name).file("/etc/dnf/dnf.conf").content_string
    assert changes(play("upgrade.yml", variables=NEWER)) == 0
    assert changes(play("site.yml", variables=NEWER)) == 0


@pytest.mark.last
def test_reset() -> None:
    confirmed = ("--extra-vars", "reset_confirm=true", "--extra-vars", "node_reset_packages=absent")
    assert changes(play("reset.yml", *confirmed, variables=NEWER)) > 0
    for name in WITH_DNF:
        host = connect(name)
        assert not [package for package in (*HELD, "kubernetes-cni") if host.package(package).is_installed]
        assert "excludepkgs" not in host.file("/etc/dnf/dnf.conf").content_string
        assert not host.file("/etc/systemd/system/haproxy.service.d/slipway.conf").exists
        assert not host.run("find /etc/kubernetes /var/lib/kubelet /var/lib/etcd -type f").stdout
    assert changes(play("reset.yml", *confirmed, variables=NEWER)) == 0
