# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd_restore.yml with modules that only note that they were called: what it refuses, who does what and when."""

from __future__ import annotations

import base64
import json
import os
import typing as t
from pathlib import Path

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.slipway.kubernetes.tests.unit.plugins import etcd_fakes
from test_remove_node import MODULE, Site, facts

# Preflight and site.yml have tests of their own.
PREFLIGHT = "---\n- name: Look\n  slipway.kubernetes.sysctl_settings:\n"
SITE = """\
---
- name: The whole playbook
  hosts: kube_control_plane[0]
  gather_facts: false
  tasks:
    - name: Build
      slipway.kubernetes.kubeadm_init:
"""
SECRET = "the key of the CA"


def machine(kind: str = "member", number: int = 1, **more: t.Any) -> dict[str, t.Any]:
    """What etcd_restore_info says."""
    member = {"member": f"cp{number}", "peer_url": f"https://192.0.2.1{number}:2380"}
    return {
        "changed": False,
        "kind": kind,
        "in_use": False,
        "unfinished": False,
        "completed": False,
        "obstacle": "",
        **member,
        **more,
    }


class Cluster(Site):
    """Three control planes and two workers, and an archive."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        collection = folder / "collections/ansible_collections/slipway/kubernetes"
        (collection / "roles/preflight/tasks/main.yml").write_text(PREFLIGHT)
        (collection / "playbooks/site.yml").write_text(SITE)
        # It would ask for the kubelet of this machine.
        (collection / "plugins/modules/systemd_service.py").write_text(MODULE.replace("NAME", "systemd_service"))
        for path in (collection / "playbooks/etcd_restore.yml", collection / "roles/etcd_restore/tasks/members.yml"):
            path.write_text(path.read_text().replace("ansible.builtin.systemd", "slipway.kubernetes.systemd"))
        self.archive = etcd_fakes.make_archive(
            folder / "archive.tar.gz",
            {"pki/ca.key": SECRET.encode()},
            {"cluster_name": "kubernetes"},
            etcd_fakes.CONFIGURATION.replace("api.example.com:6443", "192.0.2.9:8443"),
        )
        self.answers["kubeadm_init"] = {"changed": True}
        for number in (1, 2, 3):
            self.answers[f"etcd_restore_info:cp{number}"] = machine(number=number)
            self.answers[f"node_facts:cp{number}"] = self.node()
        for name in ("w1", "w2"):
            self.answers[f"node_facts:{name}"] = self.node()

    @staticmethod
    def node(joined: bool = True) -> dict[str, t.Any]:
        found = facts(joined)
        found["ansible_facts"]["slipway_node"]["kubernetes"]["joined"] = joined
        return found

    def bare(self, *names: str) -> None:
        for name in names:
            self.answers[f"node_facts:{name}"] = self.node(False)
            if name.startswith("cp"):
                self.answers[f"etcd_restore_info:{name}"] = machine("bare", member="", peer_url="")

    def restore(self, *arguments: str, rc: int = 0, **variables: t.Any) -> str:
        given = {
            "etcd_restore_archive": str(self.archive),
            "__etcd_restore_snapshot": str(self.folder / "node" / "snapshot.db"),
            **variables,
        }
        output = self.play("etcd_restore", "-e", json.dumps(given), *arguments, rc=rc)
        # Whatever happens, nothing of the archive stays on the controller, and no key is shown.
        assert not list((self.folder / "home").rglob("snapshot.db"))
        assert SECRET not in output
        return " ".join(output.split())

    def _calls(self) -> list[tuple[str, str, dict[str, t.Any]]]:
        """Host, step and arguments, in their order; a step is a state, the look, or another module."""
        calls = []
        for host, name, given in map(json.loads, (self.folder / "log").read_text().splitlines()):
            if name in ("etcd_restore", "etcd_restore_info", "systemd_service", "kubeadm_init"):
                calls.append((host, "inspected" if name == "etcd_restore_info" else given.get("state", name), given))
        return calls

    def steps(self) -> list[tuple[str, str]]:
        """Host and step."""
        return [(host, step) for host, step, _given in self._calls()]

    def arguments(self, step: str) -> list[dict[str, t.Any]]:
        """The arguments of the calls of a step."""
        return [given for _host, called, given in self._calls() if called == step]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    return Cluster(tmp_path_factory.mktemp("restore"))


@pytest.fixture
def cluster(made: Cluster) -> t.Iterator[Cluster]:
    with made.for_one_test() as kept:
        yield kept


INSPECTED = {(f"cp{number}", "inspected") for number in (1, 2, 3)}


def test_all_members(cluster: Cluster) -> None:
    output = cluster.restore("-vvv")
    steps = cluster.steps()
    wanted = ["inspected", "stopped", "restored", "restarted", "completed"]
    for index, step in enumerate(wanted):
        assert set(steps[3 * index : 3 * index + 3]) == {(f"cp{number}", step) for number in (1, 2, 3)}
    assert set(steps[15:17]) == {("w1", "restarted"), ("w2", "restarted")}
    assert steps[17] == ("cp1", "settled") and steps[-1] == ("cp1", "kubeadm_init")
    assert set(steps[18:-1]) == {(f"cp{number}", "finished") for number in (1, 2, 3)}
    (settled,) = cluster.arguments("settled")
    assert (settled["forget_nodes"], settled["nodes"]) == ([], ["cp1", "cp2", "cp3", "w1", "w2"])
    peers = {f"cp{number}": f"https://192.0.2.1{number}:2380" for number in (1, 2, 3)}
    assert [arguments["initial_cluster"] for arguments in cluster.arguments("restored")] == [peers] * 3
    assert cluster.arguments("inspected")[0]["authority"] == "ca.crt of lab\n"
    assert {given["name"] for given in cluster.arguments("restarted")} == {"kubelet.service"}
    handed = cluster.folder / "node" / "snapshot.db"
    assert all(given["snapshot_size"] > 0 for given in cluster.arguments("inspected"))
    assert (handed.read_text(), handed.stat().st_mode & 0o777) == ("the snapshot", 0o600)
    assert "run_lock" in (cluster.folder / "log").read_text() and "failed=0" in output


def test_a_machine_that_is_bare_joins_afterwards(cluster: Cluster) -> None:
    cluster.bare("cp1", "w2")
    # The inventory's order counts, not who is the first to answer.
    cluster.slow = {"cp2"}
    output = cluster.restore()
    steps = cluster.steps()
    assert {host for host, step in steps if step == "restored"} == {"cp2", "cp3"}
    assert steps[-5:-3] == [("w1", "restarted"), ("cp1", "settled")] and steps[-1] == ("cp1", "kubeadm_init")
    assert set(steps[-3:-1]) == {("cp2", "finished"), ("cp3", "finished")}
    assert "changed: [cp1 -> cp2]" in output
    (settled,) = cluster.arguments("settled")
    assert (sorted(settled["forget_nodes"]), settled["nodes"]) == (["cp1", "w2"], ["cp2", "cp3", "w1"])


def test_bare_machines(cluster: Cluster) -> None:
    cluster.bare("cp1", "cp2", "cp3", "w1", "w2")
    cluster.restore("-vvv")
    assert set(cluster.steps()[:3]) == INSPECTED
    assert cluster.steps()[3:] == [("cp1", "seeded"), ("cp1", "kubeadm_init")]
    (seeded,) = cluster.arguments("seeded")
    told = {name: f"{name} of lab\n" for name in ("ca.crt", "sa.key", "etcd/ca.crt")}
    assert seeded["authorities"] == {**told, "ca.key": SECRET}


def test_check_mode(cluster: Cluster) -> None:
    (cluster.folder / "node" / "snapshot.db").unlink(missing_ok=True)
    cluster.restore("--check")
    # site.yml cannot be asked about a cluster that is not there yet.
    assert cluster.steps()[-1][1] == "finished"
    cluster.bare("cp1", "cp2", "cp3", "w1", "w2")
    cluster.restore("--check")
    assert cluster.steps()[-2:] == [("cp1", "seeded"), ("cp1", "kubeadm_init")]
    assert not (cluster.folder / "node" / "snapshot.db").exists()


def test_a_cluster_that_works(cluster: Cluster) -> None:
    cluster.answers["etcd_restore_info:cp2"] = machine(number=2, in_use=True)
    refused = cluster.restore(rc=2)
    assert "The etcd of kubernetes works." in refused and "back to 2026-11-21T12:00:00Z (revision 3429)" in refused
    assert set(cluster.steps()) == INSPECTED
    assert "run_lock" not in (cluster.folder / "log").read_text()
    cluster.restore(etcd_restore_confirm=True)
    # A restore that was killed when etcd was up again needs no other yes.
    cluster.answers["etcd_restore_info:cp3"] = machine(number=3, unfinished=True)
    cluster.restore()


def test_a_restore_that_is_in_use(cluster: Cluster) -> None:
    """Its data is not replaced once more: what has been written since would be lost."""
    cluster.answers["etcd_restore_info:cp2"] = machine(number=2, in_use=True, unfinished=True, completed=True)
    cluster.restore()
    steps = [step for host, step in cluster.steps() if host.startswith("cp")]
    assert steps == ["inspected"] * 3 + ["settled"] + ["finished"] * 3 + ["kubeadm_init"]
    checksums = {arguments["checksum"] for arguments in cluster.arguments("inspected")}
    assert len(checksums) == 1 and len(checksums.pop()) == 64


def test_a_part_of_a_cluster(cluster: Cluster) -> None:
    refused = cluster.restore("--limit", "cp1,cp2,w1", rc=2)
    assert "--limit leaves out " in refused and "cp3" in refused and "w2" in refused
    assert cluster.steps() == []


def test_what_is_in_the_way_of_one_stops_all_before_anything_is_changed(cluster: Cluster) -> None:
    cluster.answers["etcd_restore_info:cp3"] = machine(number=3, obstacle="/data has 1 MB free.")
    assert "/data has 1 MB free." in cluster.restore(rc=2)
    assert set(cluster.steps()) == INSPECTED
    # Another one says that the data is in use again: none is replaced.
    cluster.answers["etcd_restore_info:cp2"] = machine(number=2, in_use=True, unfinished=True, completed=True)
    cluster.restore()


def test_one_machine_refuses(cluster: Cluster) -> None:
    cluster.answers["etcd_restore_info:cp3"] = {"failed": True, "msg": "The snapshot is of another cluster"}
    assert "The snapshot is of another cluster" in cluster.restore(rc=2)
    assert set(cluster.steps()) == INSPECTED


def test_a_machine_that_does_not_answer(cluster: Cluster) -> None:
    cluster.dead = {"w2"}
    try:
        cluster.restore(rc=2)
    finally:
        cluster.dead = set()
    assert {step for _host, step in cluster.steps()} <= {"inspected"}


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        ({"etcd_restore_archive": ""}, "Say which archive is to be restored: -e etcd_restore_archive=FILE"),
        ({"etcd_restore_archive": "/nonexistent"}, "/nonexistent cannot be read on the controller"),
        ({"etcd_restore_archive": __file__}, "The archive is damaged, or none of ours, nothing was changed"),
        ({"cluster_name": "other"}, "It is of the cluster kubernetes, and cluster_name of the inventory is other."),
        ({"cluster_version": "1.36.4"}, "It is of Kubernetes 1.37.1, and cluster_version is 1.36.4."),
        ({"cluster_endpoint": ""}, "Its controlPlaneEndpoint is 192.0.2.9:8443, and cluster_endpoint is not set."),
        ({"cluster_service_subnet": "10.1.0.0/16"}, "Its networking.serviceSubnet is 10.96.0.0/12"),
    ],
)
def test_archives_that_are_refused(cluster: Cluster, variables: dict[str, t.Any], text: str) -> None:
    assert text in cluster.restore(rc=2, **variables)
    assert cluster.steps() == []


def test_encrypted_archives(cluster: Cluster) -> None:
    vault = cluster.folder / "sealed.tar.gz.vault"
    content = base64.b64encode(cluster.archive.read_bytes())
    vault.write_bytes(VaultLib([("default", VaultSecret(b"pw"))]).encrypt(content, VaultSecret(b"pw")))
    sealed = {"etcd_restore_archive": str(vault)}
    assert "Give etcd_backup_vault_password" in cluster.restore(rc=2, **sealed)
    assert "does not open" in cluster.restore(rc=2, **sealed, etcd_backup_vault_password="wrong")
    cluster.restore(**sealed, etcd_backup_vault_password="pw")
    age = cluster.folder / "sealed.tar.gz.age"
    age.write_text("age-encryption.org/v1\n")
    sealed = {"etcd_restore_archive": str(age)}
    assert "age --decrypt --identity KEY --output FILE.tar.gz" in cluster.restore(rc=2, **sealed)
    assert os.listdir(cluster.folder / "home" / "tmp") == []
