# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster from a registry with TLS and token logins, on machines whose containerd others have configured, too.

All three generations of containerd. All images come from that registry: those of the control plane by
cluster_image_repository, the others by mirrors.
"""

from __future__ import annotations

import dataclasses
import pathlib
import typing as t

import pytest
from lab_support import Node, Site
from token_registry import TokenRegistry

from lab import mirror

CONTROL_PLANE, WORKER, DOCKER = "runtime1", "runtime2", "runtime3"
GENERATIONS = {CONTROL_PLANE: "1.6.", WORKER: "1.7.", DOCKER: "2."}
CONFIG = "/etc/containerd/config.toml"
DROP_IN = "/etc/containerd/conf.d/99-nvidia.toml"
#: Not for a registry that the inventory knows.
BY_HAND = "/etc/containerd/certs.d/registry.example.com/hosts.toml"
IN_THE_WAY = "/etc/containerd/certs.d/quay.io/hosts.toml"
KEPT = ".before-slipway"
NVIDIA = """version = 2
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia.options]
    BinaryName = "/usr/bin/nvidia-container-runtime"
    SystemdCgroup = true
"""
HOSTS = '[host."https://mirror.example.com"]\n  capabilities = ["pull"]\n'


@dataclasses.dataclass
class Made:
    """The machines and the registry that they pull from."""

    site: Site
    registry: TokenRegistry

    def expect_no_password(self, output: str) -> None:
        """Assert that the password is nowhere but in containerd's configuration, for root alone."""
        assert self.registry.password not in output
        for node in self.site.nodes.values():
            find = f"grep -rls -e {self.registry.password[5:]} /etc /root /home /tmp /var/lib/kubelet /var/lib/slipway"
            assert node.shell(f"{find} || true").split() == [CONFIG]
            assert node.shell(f"stat --format=%a:%U {CONFIG}").strip() == "600:root"
            assert self.registry.password[5:] not in node.shell("journalctl --quiet --output=verbose")
            assert self.registry.password not in node.shell("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '")


def write(node: Node, path: str, text: str) -> None:
    """Put a file on a machine, as somebody does by hand."""
    node.execute("sh", "-c", f'mkdir -p "$(dirname {path})" && cat > {path}', stdin=text)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Made]:
    """Bare machines on which somebody has been at work, and the registry."""
    folder: pathlib.Path = tmp_path_factory.mktemp("registries")
    rewrites = {"kubernetes/coredns/": "registry.k8s.io/coredns/coredns/", "kubernetes/": "registry.k8s.io/"}
    registry = TokenRegistry(mirror.ADDRESS, mirror.REGISTRY.address, folder, rewrites)
    mirrors = {
        name: [{"url": f"https://{registry.address}/v2/{name}", **registry.mirror}]
        for name in ("docker.io", "ghcr.io", "quay.io", "registry.k8s.io")
    }
    mirrors[registry.address] = [{"url": f"https://{registry.address}", **registry.mirror}]
    variables = {
        "cluster_image_repository": f"{registry.address}/kubernetes",
        "cluster_registry_mirrors": mirrors,
        "container_runtime_source": f"{{{{ 'docker' if inventory_hostname == '{DOCKER}' else 'distribution' }}}}",
        "metallb_address_pools": [],
    }
    site = Site(folder, [CONTROL_PLANE], [WORKER, DOCKER], systems={WORKER: "debian13"}, variables=variables)
    for node in site.nodes.values():
        write(node, CONFIG, NVIDIA)
        write(node, BY_HAND, HOSTS)
        write(node, IN_THE_WAY, HOSTS)
    write(site.nodes[DOCKER], DROP_IN, NVIDIA)
    yield Made(site, registry)
    site.close()
    registry.close()


def test_files_of_others_are_named_before_anything_is_changed(made: Made) -> None:
    result = made.site.run().expect(rc=2, changed=[])
    for path in (CONFIG, IN_THE_WAY):
        assert f"all hosts: {path}: was not written by this collection" in result.output, result.output
    assert BY_HAND not in result.output
    made.registry.pulls.clear()


@pytest.fixture(scope="module")
def built(made: Made) -> Made:
    """The cluster, with copies of what was there."""
    made.site.configure({"container_runtime_foreign_files": "copy"})
    result = made.site.run().expect()
    assert f"{CONFIG} was somebody else's" in " ".join(result.output.split()), result.output
    made.expect_no_password(result.output)
    return made


def test_everything_is_pulled_with_the_login(built: Made) -> None:
    names = {node.address: name for name, node in built.site.nodes.items()}
    pulled: dict[str, set[str]] = {name: set() for name in names.values()}
    for pull in built.registry.pulls:
        pulled[names[pull.client]].add(pull.repository)
    for name, node in built.site.nodes.items():
        assert {"kubernetes/kube-proxy", "kubernetes/pause"} <= pulled[name], pulled
        assert any(repository.startswith("ghcr.io/") for repository in pulled[name]), pulled
        version = node.shell("containerd --version").split()[2].removeprefix("v")
        assert version.startswith(GENERATIONS[name]), version
    assert {f"kubernetes/kube-{part}" for part in ("apiserver", "scheduler")} <= pulled[CONTROL_PLANE]
    images = built.site.control_plane.kubectl(
        "get", "pods", "--all-namespaces", "--output=jsonpath={.items[*].spec.containers[*].image}"
    )
    assert f"{built.registry.address}/kubernetes/coredns:" in images
    assert "registry.k8s.io/kube-" not in images


def test_files_of_others_survive_runs(built: Made) -> None:
    built.expect_no_password(built.site.run("--diff").expect(changed=[]).output)
    for node in built.site.nodes.values():
        assert node.shell(f"cat {CONFIG}{KEPT}") == NVIDIA
        assert node.shell(f"cat {IN_THE_WAY}{KEPT}") == node.shell(f"cat {BY_HAND}") == HOSTS
        assert "SystemdCgroup = true" in node.shell("containerd config dump")
    node = built.site.nodes[DOCKER]
    assert node.shell(f"cat {DROP_IN}") == NVIDIA
    assert "/usr/bin/nvidia-container-runtime" in node.shell("containerd config dump")
    assert built.site.unready_nodes() == []
    built.site.run(playbook="playbooks/verify.yml").expect()


def test_the_files_of_a_mirror_go_with_it(built: Made) -> None:
    changed = {(name, task) for name in GENERATIONS for task in ("Configure containerd",)}
    folder = "/etc/containerd/certs.d/ghcr.io"
    assert sorted(built.site.control_plane.shell(f"ls {folder}").split()) == ["hosts.toml", "slipway-1.crt"]
    mirrors = {f"{built.registry.address}": [{"url": f"https://{built.registry.address}", **built.registry.mirror}]}
    built.site.configure({"cluster_registry_mirrors": mirrors})
    result = built.site.run().expect(changed=changed)
    built.expect_no_password(result.output)
    for node in built.site.nodes.values():
        node.shell(f"test ! -e {folder} && test -e {BY_HAND} && test -e {IN_THE_WAY}{KEPT}")


def test_files_of_others_survive_a_reset(built: Made) -> None:
    built.site.run("-e", "reset_confirm=true", playbook="playbooks/reset.yml").expect()
    for node in built.site.nodes.values():
        assert node.shell(f"cat {CONFIG}{KEPT}") == NVIDIA
        assert node.shell(f"cat {BY_HAND}") == HOSTS
    assert built.site.nodes[DOCKER].shell(f"cat {DROP_IN}") == NVIDIA
