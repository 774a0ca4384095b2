# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import subprocess
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine import leftovers
from ansible_collections.slipway.kubernetes.tests.unit.plugins.proc_fakes import process


def mountinfo(*points: str) -> str:
    return "".join(f"100 1 0:{index} / {point} rw - tmpfs tmpfs rw\n" for index, point in enumerate(points))


def test_mounts() -> None:
    text = mountinfo(
        "/",
        "/var/lib/kubelet",
        "/var/lib/kubelet/pods/a/volumes/kubernetes.io~csi/b/mount",
        "/var/lib/kubelet/pods/a/volumes/with\\040blank",
        "/run/netns",
        "/run/netns/cni-1",
        "/run/netns/mine",
        "/run/containerd/io.containerd.runtime.v2.task/k8s.io/c/rootfs",
        "/run/containerd/io.containerd.runtime.v2.task/moby/c/rootfs",
        "/var/lib/docker/overlay2/d/merged",
    )
    assert leftovers.mounts(text + "\n") == [
        "/var/lib/kubelet/pods/a/volumes/kubernetes.io~csi/b/mount",
        "/var/lib/kubelet/pods/a/volumes/with blank",
        "/run/containerd/io.containerd.runtime.v2.task/k8s.io/c/rootfs",
        "/run/netns/cni-1",
    ]
    assert isinstance(leftovers.mounts(), list)


def test_cgroups_and_processes(tmp_path: Path) -> None:
    groups, proc = tmp_path / "cgroup", tmp_path / "proc"
    (groups / "pids/kubepods.slice/kubepods-pod1.slice").mkdir(parents=True)
    (groups / "kubepods").mkdir()
    (groups / "pids/system.slice").mkdir()
    (groups / "pids/kubepods.slice/kubepods-pod1.slice/cgroup.procs").write_text("12\n13\n")
    shim = ("/usr/bin/containerd-shim-runc-v2", "-namespace", "k8s.io", "-id", "a", "-address")
    process(proc, 7, *shim[:3])
    process(proc, 8, "sleep", "1")
    found = leftovers.cgroups(str(groups))
    assert found == [f"{groups}/kubepods", f"{groups}/pids/kubepods.slice"]
    ours = "unix:///run/containerd/containerd.sock"
    assert leftovers.processes(found, ours, str(proc)) == [7, 12, 13]
    process(proc, 20, *shim, ours.replace("unix://", ""))
    assert leftovers.processes([], ours, str(proc)) == [7, 20]
    # Those of kind, in a container of Docker; of Docker itself; of k3s on the same machine.
    process(proc, 30, *shim, "/run/containerd/containerd.sock", namespace=2, depth=2)
    process(proc, 31, shim[0], "-namespace", "moby", "-address", "/run/containerd/containerd.sock")
    process(proc, 32, *shim, "/run/k3s/containerd/containerd.sock")
    assert leftovers.processes([], ours, str(proc)) == [7, 20]
    with pytest.raises(OSError, match="not empty"):
        leftovers.remove_cgroup(found[1])
    (groups / "pids/kubepods.slice/kubepods-pod1.slice/cgroup.procs").unlink()
    for path in found:
        leftovers.remove_cgroup(path)
    assert leftovers.cgroups(str(groups)) == []


def test_groups_of_a_kubelet_in_a_container_are_not_ours(tmp_path: Path) -> None:
    """In the unified hierarchy; in the other one the first level is the controllers'."""
    (tmp_path / "kubepods").mkdir()
    (tmp_path / "kubelet/kubepods").mkdir(parents=True)
    assert len(leftovers.cgroups(str(tmp_path))) == 2
    (tmp_path / "cgroup.controllers").touch()
    assert leftovers.cgroups(str(tmp_path)) == [f"{tmp_path}/kubepods"]


def test_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    process = subprocess.Popen(["sleep", "60"])
    leftovers.kill([process.pid])
    assert process.wait() == -9
    leftovers.kill([process.pid])
    monkeypatch.setattr(leftovers, "_PATIENCE", 0)
    monkeypatch.setattr(leftovers, "_is_alive", lambda _pid: True)
    with pytest.raises(SlipwayError, match=r"do not end though they were killed: \d+"):
        leftovers.kill([process.pid])


def test_network_namespaces(tmp_path: Path) -> None:
    folder, proc = tmp_path / "netns", tmp_path / "proc/1/ns"
    folder.mkdir()
    proc.mkdir(parents=True)
    assert leftovers.network_namespaces(str(folder), str(tmp_path / "proc")) == []
    for name in ("cni-1", "cni-2", "mine"):
        (folder / name).touch()
    os.link(folder / "cni-2", proc / "net")
    assert leftovers.network_namespaces(str(folder), str(tmp_path / "proc")) == [f"{folder}/cni-1"]


def test_interfaces(tmp_path: Path) -> None:
    for name in ("cni0", "flannel.1", "flannel-v6.1", "eth0", "docker0", "veth1", "veth2", "cali0123456789a", "tunl0"):
        (tmp_path / name).mkdir()
    (tmp_path / "veth1/master").symlink_to(tmp_path / "cni0")
    (tmp_path / "veth2/master").symlink_to(tmp_path / "docker0")
    assert leftovers.interfaces(str(tmp_path)) == ["veth1", "cali0123456789a", "cni0", "flannel-v6.1", "flannel.1"]


def test_pod_network(tmp_path: Path) -> None:
    path = tmp_path / "run/flannel/subnet.env"
    assert leftovers.pod_networks(str(tmp_path)) == []
    path.parent.mkdir(parents=True)
    path.write_text("FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\n")
    assert leftovers.pod_networks(str(tmp_path)) == ["10.244.0.0/16"]
    path.write_text("FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_IPV6_NETWORK=fd00:1::/56\nFLANNEL_MTU=1450\n")
    assert leftovers.pod_networks(str(tmp_path)) == ["10.244.0.0/16", "fd00:1::/56"]


@pytest.mark.usefixtures("flannel_alone")
def test_cni(tmp_path: Path) -> None:
    configuration, state = tmp_path / "net.d", tmp_path / "cni"
    assert leftovers.cni_files(str(configuration)) == []
    configuration.mkdir()
    (configuration / "10-flannel.conflist").write_text(json.dumps({"name": "pods"}))
    (configuration / "05-flannel.conflist").write_text("[")
    (configuration / "87-podman.conflist").touch()
    files = leftovers.cni_files(str(configuration))
    assert [os.path.basename(path) for path in files] == ["05-flannel.conflist", "10-flannel.conflist"]
    networks = leftovers.cni_networks(files)
    assert networks == ["cbr0", "pods"]
    for name in ("networks/cbr0", "networks/podman", "results", "flannel"):
        (state / name).mkdir(parents=True)
    (state / "results/cbr0-1-eth0").touch()
    (state / "results/podman-1-eth0").touch()
    found = [os.path.relpath(path, state) for path in leftovers.cni_state(networks, str(state))]
    assert found == ["flannel", "networks/cbr0", "results/cbr0-1-eth0"]


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("empty", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "full/file").touch()
    (tmp_path / "kept").touch()
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    assert leftovers.contents(str(tmp_path), ("kept",)) == [f"{tmp_path}/full", f"{tmp_path}/link"]
    assert leftovers.contents(str(tmp_path / "none")) == []
    leftovers.remove(f"{tmp_path}/link")
    leftovers.remove(f"{tmp_path}/none")
    assert (tmp_path / "empty").exists()
    monkeypatch.setattr(leftovers, "read_text", lambda _path: mountinfo(f"{tmp_path}/full/share"))
    with pytest.raises(SlipwayError, match="something is mounted there"):
        leftovers.remove(f"{tmp_path}/full")
    monkeypatch.setattr(leftovers, "read_text", lambda _path: mountinfo(f"{tmp_path}/fuller"))
    leftovers.remove(f"{tmp_path}/full")
    leftovers.remove_if_empty(f"{tmp_path}/empty", f"{tmp_path}", f"{tmp_path}/none")
    assert sorted(os.listdir(tmp_path)) == ["kept"]


def test_nothing_is_removed_through_a_mount_behind_a_link(tmp_path: Path, monkeypatch: t.Any) -> None:
    """/var/lib/kubelet may lead to another disk; the kernel names the volumes of pods by their place there."""
    share = tmp_path / "disk" / "kubelet" / "pods" / "a" / "volumes" / "nfs"
    share.mkdir(parents=True)
    (share / "somebodys").touch()
    (tmp_path / "kubelet").symlink_to(tmp_path / "disk" / "kubelet")
    monkeypatch.setattr(leftovers, "_KUBELETS", (f"{tmp_path}/kubelet",))
    monkeypatch.setattr(leftovers, "read_text", lambda _path: mountinfo(f"{tmp_path}/disk", str(share)))
    assert leftovers.mounts() == [str(share)]
    with pytest.raises(SlipwayError, match="something is mounted there"):
        leftovers.remove(f"{tmp_path}/kubelet/pods")
    assert (share / "somebodys").exists()
    monkeypatch.setattr(leftovers, "read_text", lambda _path: mountinfo(f"{tmp_path}/disk"))
    leftovers.remove(f"{tmp_path}/kubelet/pods")
    assert not share.exists()


def test_a_zombie_is_not_alive() -> None:
    process: subprocess.Popen[t.Any] = subprocess.Popen(["true"])
    while leftovers._is_alive(process.pid):
        pass
    process.wait()
