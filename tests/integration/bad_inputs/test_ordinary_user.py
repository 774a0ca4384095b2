# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Playbooks as AWX starts them: by an ordinary user, from a read-only checkout, with the inventory elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki.x509 import certificate_pins
from ansible_collections.slipway.kubernetes.tests.unit.plugins import kubectl_config
from test_facts import seen
from test_remove_node import MODULE, PROJECT, Site, judged

#: No list of users has it, as in the containers of OpenShift.
USER = 54321
AUTHORITY = (PROJECT / "tests/unit/plugins/fixtures/kubeadm/ca.crt").read_text()
ADMIN = kubectl_config.ADMIN.format(
    authority=base64.b64encode(AUTHORITY.encode()).decode(), server="https://192.0.2.9:8443", key="a2V5"
)
NAMES = ("cp1", "cp2", "cp3", "w1", "w2")
ARCHIVE = b"the archive"
NAME = "etcd-kubernetes-20261129T120000Z.tar.gz"
GUARD = 'if __name__ == "__main__":\n'
#: What preflight would look for on the machines.
GIVEN = {"api_endpoint_provider": "external", "preflight_connections": False, "preflight_sources": False}


class Awx(Site):
    """Collection and current directory may be written to by nobody; in ``runner`` are inventory and home."""

    def __init__(self, folder: Path) -> None:
        self.runner = folder / "runner"
        super().__init__(self.runner)
        self.collections = self.collections.rename(folder / "project")
        self.current = self.collections / "ansible_collections/slipway/kubernetes"
        self.inventory = self.runner / "inventory/hosts.json"
        self.environment = dict.fromkeys(("USER", "LOGNAME", "LNAME", "USERNAME", "XDG_DATA_HOME"), "")
        self.environment["HOME"] = str(self.runner / "home")
        for name in ("inventory", "home"):
            (self.runner / name).mkdir()
        (self.runner / "log").touch()
        # Files on the controller are really written.
        module = self.current / "plugins/modules/config_files.py"
        real = (PROJECT / "plugins/modules/config_files.py").read_text()
        asked = f"if {str(folder)!r} in str(_load_params()['files']):\n"
        before = "from ansible.module_utils.basic import _load_params\n"
        module.write_text(real.replace(GUARD, before + asked) + MODULE.replace("NAME", "config_files"))
        for path in [self.collections, *self.collections.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        # An inventory of its own, which a test writes.
        self.current.chmod(0o755)
        (self.current / "hosts.json").touch()
        self.current.chmod(0o555)
        self.user = os.geteuid() or USER
        if os.geteuid() == 0:
            for path in [self.runner, *self.runner.rglob("*")]:
                os.chown(path, USER, USER)
            # It reads what is below /root, where Ansible may be installed.
            reads = [f"--{kind}-caps=+dac_read_search" for kind in ("inh", "ambient")]
            who = [f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
            self.run_by = ["setpriv", *who, "--securebits=+no_setuid_fixup", *reads]
        self.project = self.files()
        for number, name in enumerate(NAMES, start=1):
            pins = certificate_pins(AUTHORITY)
            self.answers[f"node_facts:{name}"] = seen(number, name, node_name=name, ca_cert_hashes=pins)
        snapshot = dict.fromkeys(("revision", "total_keys", "size", "hash"), 1)
        digest = hashlib.sha256(ARCHIVE).hexdigest()
        self.answers.update(
            {
                "kubeconfig_copy": {"changed": False, "content": ADMIN, "users": []},
                "kube_nodes_info": {"changed": False, "table": [], "server": "192.0.2.1:6443"},
                "etcd_snapshot": {"changed": True, "archive": f"/x/{NAME}", "sha256": digest, "snapshot": snapshot},
                "file_piece": {"changed": False, "content": base64.b64encode(ARCHIVE).decode(), "size": len(ARCHIVE)},
            }
        )

    def started(self, playbook: str, *arguments: str, rc: int = 0, **variables: t.Any) -> str:
        """What the playbook says, in one line; whatever happens, the checkout stays as it is."""
        output = self.play(playbook, *arguments, "-e", json.dumps({**GIVEN, **variables}), rc=rc)
        assert self.files() == self.project
        return " ".join(output.split())

    def files(self) -> dict[Path, float]:
        """Paths of the checkout, with the times at which they were changed."""
        paths = {self.collections, *self.collections.rglob("*")} - {self.current / "hosts.json"}
        return {path: path.lstat().st_mtime for path in paths}

    def kept(self) -> dict[str, tuple[str, int, int]]:
        """Text, mode and owner of what is on the controller besides what Ansible itself needs."""
        ours = {self.runner / name for name in ("log", "answers.json", "inventory/hosts.json")}
        names = ["ansible.cfg", "home/.ansible/", *(f"{name}/" for name in NAMES)]
        found = {}
        for path in sorted(self.runner.rglob("*")):
            name = str(path.relative_to(self.runner))
            if path.is_file() and path not in ours and not name.startswith(tuple(names)):
                found[name] = (path.read_text(), path.stat().st_mode & 0o777, path.stat().st_uid)
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Awx:
    return Awx(tmp_path_factory.mktemp("awx"))


@pytest.fixture
def awx(made: Awx) -> t.Iterator[Awx]:
    inventory, environment = made.inventory, made.environment
    with made.for_one_test() as kept:
        yield kept
    made.inventory, made.environment = inventory, environment
    for name in made.kept():
        (made.runner / name).unlink()


def test_the_kubeconfig_lands_beside_the_inventory(awx: Awx) -> None:
    output = awx.started("site", "--tags", "kubeconfig")
    assert f"kubeconfig: {awx.runner}/artifacts/kubernetes/admin.conf" in output
    assert awx.kept() == {"artifacts/kubernetes/admin.conf": (ADMIN, 0o600, awx.user)}
    # Of another cluster it is not removed.
    place = awx.runner / "artifacts/kubernetes/admin.conf"
    place.write_text(ADMIN.replace("server: ", "insecure-skip-tls-verify: true\n    server: "))
    stays = f"{place} stays: the control planes, as they were before, do not say that it is kubeadm's"
    assert stays in awx.started("reset", reset_confirm=True)
    place.write_text(ADMIN)
    awx.started("reset", reset_confirm=True)
    assert awx.kept() == {}


def test_a_backup_lands_beside_the_inventory(awx: Awx) -> None:
    output = awx.started("etcd_backup")
    assert f"On the controller: {awx.runner}/artifacts/kubernetes" in output
    assert awx.kept() == {f"artifacts/kubernetes/{NAME}": (ARCHIVE.decode(), 0o600, awx.user)}


def test_it_lands_where_the_variable_says(awx: Awx) -> None:
    awx.started("etcd_backup", cluster_artifacts_directory=str(awx.runner / "home/kept"))
    assert set(awx.kept()) == {f"home/kept/{NAME}"}


def test_an_inventory_of_the_checkout(awx: Awx) -> None:
    """Beside it nothing can be written, so it is the user's own folder."""
    awx.inventory = awx.current / "hosts.json"
    awx.started("etcd_backup")
    assert set(awx.kept()) == {f"home/.local/share/slipway/kubernetes/{NAME}"}


def test_nowhere_to_keep_anything(awx: Awx) -> None:
    awx.inventory = awx.current / "hosts.json"
    # Ansible itself cannot do without a folder.
    awx.environment = {**awx.environment, "ANSIBLE_HOME": f"{awx.runner}/home/.ansible", "HOME": "/proc/none"}
    output = awx.started("site", rc=2)
    assert f"cluster: kubeconfig_fetch_directory: {awx.current}/artifacts/kubernetes cannot be written" in output
    assert "nothing was changed." in output and awx.calls("run_lock", "hosts_file", "package_set") == []
    assert awx.kept() == {}


def test_a_folder_that_cannot_be_written_is_named_before_anything_is_changed(awx: Awx) -> None:
    given = {"cluster_artifacts_directory": str(awx.current / "kept")}
    refused = f"kept cannot be written on the controller: {awx.current} may not be written to by this user."
    output = awx.started("etcd_backup", rc=2, **given)
    assert refused in output and "Nothing was changed." in output and awx.calls("etcd_snapshot") == [], output
    awx.answers["kubeadm_upgrade_info"] = {"changed": False, "cluster": {}}
    output = awx.started("upgrade", rc=2, cluster_version="1.37.2", **given)
    assert "cluster: etcd_backup_fetch_directory: " in output and refused in output, output
    assert awx.calls("kubeadm_upgrade", "kube_drain", "etcd_snapshot") == []
    assert awx.kept() == {}


def test_a_playbook_that_keeps_nothing(awx: Awx) -> None:
    awx.answers["kube_node_removal_info"] = judged(cordon=["w1"], drain=["w1"])
    awx.started("remove_node", node="w1")
    assert awx.kept() == {}
