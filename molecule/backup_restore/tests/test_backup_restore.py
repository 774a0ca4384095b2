# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd_backup.yml in all its ways, and etcd_restore.yml: what it refuses, lost data, lost machines."""

from __future__ import annotations

import hashlib
import io
import json
import re
import shutil
import tarfile
import time
import typing as t
from pathlib import Path

import pytest
from conftest import ARTIFACTS, CONVERGE, changes, connect, play
from testinfra.host import Host

NODES = ["restore-control", "restore-worker"]
PASSWORD = "not so secret"
ON_NODES = "/var/lib/slipway/etcd-backup"
VARIABLES = {
    "cluster_name": "molecule-restore",
    "metallb_address_pools": [],
    "kubeconfig_fetch_directory": str(ARTIFACTS),
    "etcd_backup_fetch_directory": str(ARTIFACTS),
}
# What a restore must not leave on a machine, whether it has ended well or was refused.
TRACES = "ls -d /var/lib/slipway/etcd-restore /var/lib/slipway/kubeadm.json /var/lib/etcd/.slipway-restore 2>/dev/null"


def run(playbook: str, *arguments: str, rc: int = 0, **variables: t.Any) -> str:
    """Run a playbook of the collection with the variables that the cluster was built with, and more."""
    return play(f"{playbook}.yml", *arguments, rc=rc, variables={**VARIABLES, **variables})


def expect_no_change() -> None:
    """Assert that a run of site.yml has nothing to do."""
    assert changes(play(CONVERGE, variables=VARIABLES)) == 0


def kubectl(node: Host, arguments: str) -> str:
    """What kubectl prints; empty when it fails."""
    return str(node.run(f"kubectl --kubeconfig=/etc/kubernetes/admin.conf {arguments}").stdout).strip()


def newest(pattern: str) -> Path:
    """The archive that was fetched last."""
    return max(ARTIFACTS.glob(pattern), key=lambda path: path.stat().st_mtime)


def expect_restored(control: Host, machines: t.Sequence[Host]) -> None:
    """Assert that the cluster is as it was when the backup was taken, and complete."""
    assert kubectl(control, "get configmap before --output=jsonpath={.data.is}") == "there"
    assert kubectl(control, "get configmap after") == ""
    ready = "{range .items[*]}{.metadata.name}={.status.conditions[?(@.type=='Ready')].status} {end}"
    assert kubectl(control, f'get nodes --output="jsonpath={ready}"').split() == [f"{name}=True" for name in NODES]
    assert "successfully rolled out" in kubectl(control, "rollout status deployment/web --timeout=120s")
    for machine in machines:
        assert machine.run(TRACES).stdout == ""
        # The process that gives the lock back ends a moment after the run.
        machine.run("timeout 60 sh -c 'until test -z \"$(ls /root/.ansible/tmp)\"; do sleep 0.2; done'")
        assert machine.run("ls /root/.ansible/tmp").stdout.strip() == ""
    expect_no_change()


@pytest.fixture
def control() -> Host:
    """The control plane."""
    return connect("restore-control")


@pytest.fixture
def worker() -> Host:
    """The worker."""
    return connect("restore-worker")


def backups(node: Host) -> list[str]:
    """The archives on a machine."""
    return str(node.run(f"ls {ON_NODES}").stdout).split()


def keys(worker: Host, folder: Path) -> tuple[str, Path]:
    """A pair of keys for age: the public one, and the file of the secret one on this machine."""
    worker.check_output("apt-get update --quiet && apt-get install --yes --quiet age")
    secret = folder / "identity"
    secret.touch(0o600)
    secret.write_text(worker.check_output("age-keygen 2>/dev/null"))
    return re.findall("public key: (age1[a-z0-9]+)", secret.read_text())[0], secret


def foreign(archive: Path, folder: Path) -> Path:
    """The same archive with another CA."""
    made = folder / "foreign.tar.gz"
    with tarfile.open(archive) as old, tarfile.open(made, "w:gz") as new:
        contents = {entry.name: t.cast(t.BinaryIO, old.extractfile(entry)).read() for entry in old}
        contents["pki/ca.crt"] = contents["pki/front-proxy-ca.crt"]
        about = json.loads(contents["about.json"])
        about["files"]["pki/ca.crt"] = hashlib.sha256(contents["pki/ca.crt"]).hexdigest()
        contents["about.json"] = json.dumps(about).encode()
        for name, content in contents.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            new.addfile(entry, io.BytesIO(content))
    return made


@pytest.mark.last
def test_backups(control: Host, worker: Host, tmp_path: Path) -> None:
    # The object that is looked for after each restore.
    kubectl(control, "create configmap before --from-literal=is=there")
    kubectl(control, "create deployment web --image=registry.k8s.io/pause:3.10.2 --replicas=2")
    assert "successfully rolled out" in kubectl(control, "rollout status deployment/web --timeout=120s")

    assert "etcd_backup_vault_password" in run("etcd_backup", rc=2, etcd_backup_encryption="vault")
    run("etcd_backup", "--check")
    assert backups(control) == []
    run("etcd_backup", etcd_backup_encryption="vault", etcd_backup_vault_password=PASSWORD)
    archive = newest("*.vault")
    assert archive.stat().st_mode & 0o777 == 0o600 and archive.read_bytes().startswith(b"$ANSIBLE_VAULT")
    assert list(ARTIFACTS.glob("*.gz")) == [] and len(backups(control)) == 1

    # The lab's machines have the package of the distribution.
    recipient, secret = keys(worker, tmp_path)
    run(
        "etcd_backup",
        etcd_backup_encryption="age",
        etcd_backup_age_recipients=[recipient],
        etcd_backup_age_install=True,
    )
    sealed = newest("*.age")
    assert sealed.stat().st_mode & 0o777 == 0o600 and sealed.read_bytes().startswith(b"age-encryption.org/")
    assert backups(control)[-1] == sealed.name
    refused = run("etcd_restore", rc=2, etcd_restore_archive=str(sealed))
    assert "-e etcd_restore_age_identity=FILE" in refused
    opened = run("etcd_restore", rc=2, etcd_restore_archive=str(sealed), etcd_restore_age_identity=str(secret))
    known = "The etcd of molecule-restore works." if shutil.which("age") else "not installed on the controller"
    assert known in opened

    # The timer's service, once.
    settings = {"etcd_backup_timer": True, "etcd_backup_keep": 2}
    run("etcd_backup", **settings)
    assert control.service("slipway-etcd-backup.timer").is_running
    before = backups(control)
    control.check_output("systemctl start slipway-etcd-backup.service")
    assert len(backups(control)) == 2 and backups(control) != before
    assert changes(run("etcd_backup", "--check", **settings)) == 1
    run("verify", verify_etcd_backup_max_age=1)
    # What counts is the time in the name.
    pattern = "[0-9]{8}T[0-9]{6}Z"
    for number, path in enumerate(backups(control)):
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() - 7200 - number))
        control.check_output(f"mv {ON_NODES}/{path} {ON_NODES}/{re.sub(pattern, stamp, path)}")
    assert "etcd_backup" in run("verify", rc=2, verify_etcd_backup_max_age=1)


@pytest.mark.last
def test_refusals(control: Host, worker: Host, tmp_path: Path) -> None:
    sealed = newest("*.vault")
    plain = newest("*.gz")
    kubectl(control, "create configmap after --from-literal=is=lost")
    (tmp_path / "damaged.tar.gz").write_bytes(plain.read_bytes()[:-5000])
    (tmp_path / "empty.tar.gz").touch()
    whole = {"etcd_restore_archive": str(plain)}
    refusals: list[tuple[dict[str, t.Any], str]] = [
        ({}, "-e etcd_restore_archive=FILE"),
        ({"etcd_restore_archive": "/nonexistent"}, "cannot be read on the controller"),
        ({"etcd_restore_archive": str(tmp_path / "damaged.tar.gz")}, "The archive is damaged"),
        ({"etcd_restore_archive": str(tmp_path / "empty.tar.gz")}, "The archive is damaged"),
        ({"etcd_restore_archive": str(sealed)}, "Give etcd_backup_vault_password"),
        ({"etcd_restore_archive": str(sealed), "etcd_backup_vault_password": "wrong"}, "does not open"),
        ({"etcd_restore_archive": str(foreign(plain, tmp_path))}, "The snapshot is of another cluster"),
        ({**whole, "cluster_name": "other"}, "It is of the cluster molecule-restore"),
        ({**whole, "cluster_version": "1.36.4"}, "It is of Kubernetes 1.37."),
        ({**whole, "cluster_pod_subnet": "10.9.0.0/16"}, "Its networking.podSubnet is 10.244.0.0/16"),
        (whole, "The etcd of molecule-restore works."),
    ]
    for variables, text in refusals:
        output = " ".join(run("etcd_restore", rc=2, **variables).split())
        assert text in output, output
        assert changes(output) == 0
    dry = run("etcd_restore", "--check", **whole, etcd_restore_confirm=True)
    assert changes(dry) > 5
    assert kubectl(control, "get configmap after --output=jsonpath={.data.is}") == "lost"
    for machine in (control, worker):
        assert machine.run(TRACES).stdout == ""
    expect_no_change()


@pytest.mark.last
def test_lost_data(control: Host, worker: Host) -> None:
    control.check_output("rm -rf /var/lib/etcd/member; pkill -KILL -x etcd")
    run("etcd_restore", etcd_restore_archive=str(newest("*.vault")), etcd_backup_vault_password=PASSWORD)
    expect_restored(control, [control, worker])
    # A cluster that works, on request. What it had is kept.
    kubectl(control, "create configmap after --from-literal=is=lost")
    run(
        "etcd_restore",
        etcd_restore_archive=str(newest("*.vault")),
        etcd_restore_vault_password=PASSWORD,
        etcd_restore_confirm=True,
    )
    expect_restored(control, [control, worker])
    assert control.file("/var/lib/etcd/member.before-restore/snap/db").exists
    assert control.file("/var/lib/etcd/member").mode == 0o700


@pytest.mark.last
def test_lost_machines(control: Host, worker: Host) -> None:
    run("reset", reset_confirm=True)
    archive = {"etcd_restore_archive": str(newest("*.vault")), "etcd_backup_vault_password": PASSWORD}
    assert changes(run("etcd_restore", "--check", **archive)) > 5
    assert control.run("ls /etc/kubernetes/pki /var/lib/etcd/member").stdout.strip() == ""
    run("etcd_restore", **archive)
    expect_restored(control, [control, worker])
    assert "The etcd of molecule-restore works." in run("etcd_restore", rc=2, **archive)
    # The machines of now with the Nodes of before: what agents have written about their machines is not right any more.
    run("etcd_restore", **archive, etcd_restore_confirm=True)
    expect_restored(control, [control, worker])
    run("verify")
