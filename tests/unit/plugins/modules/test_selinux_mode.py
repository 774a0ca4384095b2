# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mode of SELinux, and the labels of files."""

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _files, _labels
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import kubeadm_files
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine import selinux
from ansible_collections.slipway.kubernetes.plugins.modules import selinux_mode

PACKAGED = """\
# This file controls the state of SELinux on the system.
# SELINUX= can take one of these three values:
SELINUX={}
SELINUXTYPE=targeted
"""


class Machine:
    """A kernel and its configuration, in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)
        self.enforce, self.config = root / "sys/fs/selinux/enforce", root / "etc/selinux/config"
        for path in (self.enforce, self.config):
            path.parent.mkdir(parents=True)

    def has(self, enforce: str, config: t.Optional[str]) -> Machine:
        if enforce:
            self.enforce.write_text(enforce)
        if config is not None:
            self.config.write_text(config)
        return self

    def bring(self, mode: str, check: bool = False) -> t.Dict[str, t.Any]:
        return selinux_mode.bring(mode, check, self.root)

    def state(self) -> t.Tuple[str, str]:
        return selinux.mode(self.root), selinux.mode_at_boot(self.root)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize(
    ("enforce", "config"),
    [
        ("1", PACKAGED.format("enforcing")),
        ("0", PACKAGED.format("enforcing")),
        ("1", PACKAGED.format("permissive")),
        ("1", PACKAGED.format("Disabled")),
        # None of these is a line that libselinux reads.
        ("1", "SELINUX = enforcing\n SELINUX=permissive\n#SELINUX=permissive\n"),
        ("1", "SELINUXTYPE=targeted"),
        ("1", ""),
        ("1", None),
        # The first line counts.
        ("0", "SELINUX=enforcing\nSELINUX=permissive\n"),
    ],
)
def test_made_permissive(machine: Machine, enforce: str, config: t.Optional[str]) -> None:
    machine.has(enforce, config)
    before = machine.state()
    foreseen = machine.bring("permissive", check=True)
    assert foreseen["changed"] and machine.state() == before
    done = machine.bring("permissive")
    assert done == foreseen and machine.state() == ("permissive", "permissive")
    assert done["before"] == before[0]
    again = machine.bring("permissive")
    assert not again["changed"] and again["diff"] == []


def test_the_rest_of_the_configuration_stays(machine: Machine) -> None:
    machine.has("0", PACKAGED.format("permissive")).bring("enforcing")
    assert machine.config.read_text() == PACKAGED.format("enforcing")
    assert machine.enforce.read_text() == "1"


def test_where_selinux_is_off(machine: Machine) -> None:
    machine.has("", PACKAGED.format("disabled"))
    assert machine.bring("permissive") == {"changed": False, "before": "", "diff": []}
    # It may be on after a boot without `selinux=0`.
    machine.config.write_text(PACKAGED.format("enforcing"))
    assert machine.bring("permissive", check=True)["changed"] and machine.bring("permissive")["changed"]
    assert machine.config.read_text() == PACKAGED.format("permissive") and not machine.bring("permissive")["changed"]
    machine.config.write_text(PACKAGED.format("disabled"))
    for check in (True, False):
        with pytest.raises(SlipwayError, match=r"SELinux is off.*touch /\.autorelabel.*run again"):
            machine.bring("enforcing", check)
    assert machine.config.read_text() == PACKAGED.format("disabled")


def test_a_kernel_that_refuses(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.has("0", PACKAGED.format("permissive"))
    real = open

    def deny(path: t.Any, mode: str = "r", **options: t.Any) -> t.Any:
        if str(path).endswith("enforce") and mode == "w":
            raise PermissionError(13, "Permission denied")
        return real(path, mode, **options)

    monkeypatch.setattr(selinux_mode, "open", deny, raising=False)
    with pytest.raises(SlipwayError, match="The kernel does not let SELinux become enforcing: Permission denied"):
        machine.bring("enforcing")


def test_what_is_seen(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {"etc/kubernetes": "kubernetes_file_t", "var/lib/etcd": "unlabeled_t", "usr/local/bin": ""}
    for name in labels:
        (Path(machine.root) / name).mkdir(parents=True)
    monkeypatch.setattr(selinux, "label_type", lambda path: labels[os.path.relpath(path, machine.root)])
    assert selinux.look(machine.root) == {"mode": "", "at_boot": "", "unlabelled": []}
    machine.has("1", PACKAGED.format("permissive"))
    assert selinux.look(machine.root) == {
        "mode": "enforcing", "at_boot": "permissive", "unlabelled": ["/var/lib/etcd", "/usr/local/bin"],
    }  # fmt: skip


class Policy:
    """libselinux, and a file system with labels."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.on, self.known = 1, True
        self.labels: t.Dict[int, str] = {}
        monkeypatch.setattr(_labels, "selinux", self)
        monkeypatch.setattr(_labels.os, "getxattr", self._get)
        monkeypatch.setattr(_labels.os, "setxattr", self._set)

    def is_selinux_enabled(self) -> int:
        return self.on

    def matchpathcon(self, path: str, _mode: int) -> t.List[t.Any]:
        if not self.known:
            raise FileNotFoundError(2, "the policy says nothing")
        return [0, f"system_u:object_r:{os.path.basename(path)}_t:s0"]

    def lsetfilecon(self, path: str, label: str) -> None:
        self.labels[os.lstat(path).st_ino] = label

    def _get(self, path: str, name: str, follow_symlinks: bool) -> bytes:
        assert (name, follow_symlinks) == ("security.selinux", False)
        if os.lstat(path).st_ino not in self.labels:
            raise OSError(61, "No data available")
        return self.labels[os.lstat(path).st_ino].encode() + b"\0"

    def _set(self, path: str, name: str, value: bytes, follow_symlinks: bool) -> None:
        assert (name, follow_symlinks) == ("security.selinux", False)
        self.labels[os.lstat(path).st_ino] = value.decode().rstrip("\0")


@pytest.fixture
def policy(monkeypatch: pytest.MonkeyPatch) -> Policy:
    return Policy(monkeypatch)


def test_new_files_and_folders_have_the_label_of_their_place(policy: Policy, tmp_path: Path) -> None:
    _files.TextFile(str(tmp_path / "kubernetes/hosts"), "x").write()
    assert _labels.label_type(str(tmp_path / "kubernetes")) == "kubernetes_t"
    assert _labels.label_type(str(tmp_path / "kubernetes/hosts")) == "hosts_t"
    _files.publish(str(tmp_path / "program"), b"x")
    assert _labels.label_type(str(tmp_path / "program")) == "program_t"


def test_what_an_administrator_has_chosen_stays(policy: Policy, tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_text("old")
    policy.lsetfilecon(str(path), "system_u:object_r:mine_t:s0")
    _files.TextFile(str(path), "new").write()
    assert path.read_text() == "new" and _labels.label_type(str(path)) == "mine_t"


def test_files_are_written_where_nothing_is_known_of_labels(policy: Policy, tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    for on, known in ((1, False), (0, True), (-1, True)):
        policy.on, policy.known = on, known
        _files.TextFile(str(path), f"{on}").write()
        assert path.read_text() == f"{on}" and policy.labels == {}
        path.unlink()
    assert _labels.label_type(str(tmp_path)) == "" == _labels.label_type(str(path))


def test_labels_that_are_none(policy: Policy, tmp_path: Path) -> None:
    policy.lsetfilecon(str(tmp_path), "odd")
    assert _labels.label_type(str(tmp_path)) == ""


def test_etcds_data_has_the_label_of_its_place(policy: Policy, tmp_path: Path) -> None:
    """kubeadm would make it with that of the folder above it."""
    data = tmp_path / "lib" / "etcd"
    policy.on = 0
    kubeadm_files.make_etcd_data(str(data))
    policy.on = 1
    kubeadm_files.make_etcd_data("")
    assert not data.parent.exists()
    kubeadm_files.make_etcd_data(str(data))
    assert (_labels.label_type(str(data)), data.stat().st_mode & 0o777) == ("etcd_t", 0o700)
    policy.lsetfilecon(str(data), "system_u:object_r:mine_t:s0")
    kubeadm_files.make_etcd_data(str(data))
    assert _labels.label_type(str(data)) == "mine_t"
