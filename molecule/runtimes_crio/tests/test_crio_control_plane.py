# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd's own tools where the control plane has CRI-O; and that control plane changes its runtime."""

from __future__ import annotations

import json
import re
import typing as t
from pathlib import Path

import pytest
from conftest import ARTIFACTS, CONVERGE, changes, connect, names, play

CONTROL_PLANE = connect("runtimes-crio-cp")
ADMIN = "kubectl --kubeconfig=/etc/kubernetes/admin.conf"
VARIABLES = {
    "cluster_name": "molecule-runtimes-crio",
    "cluster_version": "1.36.4",
    "metallb_enabled": False,
    "metrics_server_enabled": False,
    "kubeconfig_fetch_directory": str(ARTIFACTS),
    "etcd_backup_fetch_directory": str(ARTIFACTS),
}
NODE = ("--extra-vars", "node=runtimes-crio-cp")
#: What a program of ours that was killed could have left: a mount, a process, a file.
LEFT = (
    "grep slipway /proc/self/mounts; pgrep --list-full etcdctl; pgrep --list-full etcdutl; ls -d /.slipway* 2>/dev/null"
)


def run(playbook: str, *arguments: str, rc: int = 0, **more: t.Any) -> str:
    """Run a playbook of the collection with the variables that the cluster was built with, and more."""
    return play(f"{playbook}.yml", *arguments, rc=rc, variables={**VARIABLES, **more})


def get(what: str) -> t.Any:
    """Objects of the API."""
    return json.loads(CONTROL_PLANE.check_output(f"{ADMIN} get {what} --output=json"))


def info(key: str) -> str:
    """What the Node of the control plane says, which is Ready and not cordoned."""
    node = get("node runtimes-crio-cp")
    assert {"type": "Ready", "status": "True"}.items() <= node["status"]["conditions"][-1].items()
    assert not node["spec"].get("unschedulable")
    return str(node["status"]["nodeInfo"][key])


def archive() -> Path:
    """The archive that was fetched last."""
    return max(ARTIFACTS.glob("etcd-molecule-runtimes-crio-*.tar.gz"), key=lambda path: path.stat().st_mtime)


def test_the_control_plane_has_cri_o() -> None:
    assert info("containerRuntimeVersion") == "cri-o://1.36.3"
    assert {node["metadata"]["name"] for node in get("nodes")["items"]} == set(names())


@pytest.mark.last
def test_backups_by_hand_and_by_the_timer() -> None:
    CONTROL_PLANE.check_output(f"{ADMIN} create configmap before --from-literal=is=there")
    run("etcd_backup", etcd_backup_timer=True)
    assert archive().stat().st_size > 10_000
    CONTROL_PLANE.check_output("systemctl start slipway-etcd-backup.service")
    assert changes(run("etcd_backup", "--check", etcd_backup_timer=True)) == 1
    assert CONTROL_PLANE.run(LEFT).stdout == ""


@pytest.mark.last
def test_a_backup_that_is_killed_leaves_nothing() -> None:
    unit = "slipway-etcd-backup.service"
    wait = "for _ in $(seq 200); do pgrep -f crio-run && break; sleep 0.02; done"
    CONTROL_PLANE.run(f"systemctl start --no-block {unit}; {wait}; systemctl kill --signal=KILL {unit}; sleep 1")
    assert CONTROL_PLANE.run(LEFT).stdout == ""


@pytest.mark.last
def test_a_restore() -> None:
    CONTROL_PLANE.check_output(f"{ADMIN} create configmap after --from-literal=is=lost")
    run("etcd_restore", etcd_restore_archive=str(archive()), etcd_restore_confirm=True)
    assert get("configmap before")["data"] == {"is": "there"}
    assert CONTROL_PLANE.run(f"{ADMIN} get configmap after").rc != 0
    CONTROL_PLANE.check_output("rm -rf /var/lib/etcd/member; pkill -KILL -x etcd")
    run("etcd_restore", etcd_restore_archive=str(archive()))
    assert get("configmap before")["data"] == {"is": "there"}
    assert CONTROL_PLANE.run(LEFT).stdout == ""
    assert changes(play(CONVERGE)) == 0


@pytest.mark.last
def test_an_upgrade_and_a_renewal() -> None:
    run("upgrade", cluster_version="1.37.1")
    assert info("kubeletVersion") == "v1.37.1" and info("containerRuntimeVersion") == "cri-o://1.36.3"
    run("renew_certificates", cluster_version="1.37.1", certificates_renew_all=True)
    run("verify", cluster_version="1.37.1")


@pytest.mark.last
def test_the_control_plane_changes_its_runtime_and_goes_back() -> None:
    more: t.Dict[str, t.Any] = {"cluster_version": "1.37.1", "change_runtime_confirm": True}
    for runtime, said in (("containerd", "containerd"), ("crio", "cri-o")):
        run("change_runtime", *NODE, molecule_runtime=runtime, **more)
        assert info("containerRuntimeVersion").startswith(f"{said}://")
        tool = json.loads(CONTROL_PLANE.check_output("cat /etc/slipway/etcd-backup.json"))["tool"]
        assert tool[0] == ("python3" if runtime == "crio" else "ctr")
        CONTROL_PLANE.check_output("systemctl start slipway-etcd-backup.service")
        assert changes(run("change_runtime", *NODE, molecule_runtime=runtime, **more)) == 0


@pytest.mark.last
def test_reset() -> None:
    recap = run("reset", cluster_version="1.37.1", reset_confirm=True)
    assert len(re.findall(r"failed=0", recap)) >= 2
    assert CONTROL_PLANE.run("ls /var/lib/etcd/member /etc/kubernetes/manifests/*").stdout == ""
    assert CONTROL_PLANE.run("crictl --runtime-endpoint=unix:///var/run/crio/crio.sock pods --quiet").stdout == ""
