# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a containerd that is there: its package, configuration of others, drop-ins."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._marks import MARK
from ansible_collections.slipway.kubernetes.plugins.module_utils._packages.interface import PackageManager
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes import containerd as state
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner

DEFAULT = """version = 2
imports = []
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.6"
  bin_dir = "/usr/lib/cni"
  config_path = ""
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
    SystemdCgroup = false
"""
#: As recipes for kubeadm have it.
HAND_MADE = (
    DEFAULT.replace("false", "true")
    .replace("/usr/lib/cni", "/opt/cni/bin")
    .replace('config_path = ""', 'config_path = "/etc/containerd/certs.d"')
)


@pytest.mark.parametrize(
    ("text", "default"),
    [
        (DEFAULT, True),
        (f"# made by hand\n\n{DEFAULT}", True),
        (DEFAULT.replace("false", "true").replace("pause:3.6", "pause:3.10.2"), True),
        (HAND_MADE, True),
        (HAND_MADE.replace("/opt/cni/bin", "/opt/other/bin"), False),
        (HAND_MADE.replace("certs.d", "others.d"), False),
        (DEFAULT.replace("registry.k8s.io/pause", "registry.example.com/pause"), False),
        (DEFAULT.replace("[]", '["/etc/containerd/conf.d/*.toml"]'), False),
        (DEFAULT + '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia]\n', False),
        ("", False),
    ],
)
def test_what_says_only_what_containerd_says_by_default(text: str, default: bool) -> None:
    assert state.is_default(text, DEFAULT) is default


def test_drop_ins(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text('version = 3\n[plugins."io.containerd.cri.v1.runtime"]\n')
    (tmp_path / "a.toml").write_text("# version = 1\n[plugins.'io.containerd.grpc.v1.cri'.x]\n SystemdCgroup = true\n")
    (tmp_path / "c.toml").write_text('# [plugins."io.containerd.grpc.v1.cri"]\n#SystemdCgroup = true\n')
    found = [
        (entry["version"], entry["cri"], entry["systemd_cgroup"]) for entry in state.drop_ins(f"{tmp_path}/*.toml")
    ]
    assert found == [(0, True, True), (3, False, False), (0, False, False)]


@pytest.fixture(name="machine")
def fixture_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(state, "CONFIG", f"{tmp_path}/config.toml")
    monkeypatch.setattr(state, "DROP_INS", f"{tmp_path}/conf.d/*.toml")
    monkeypatch.setattr(state, "_HOSTS", f"{tmp_path}/certs.d/*/hosts.toml")
    return tmp_path


def test_configuration_of_others_is_found(machine: Path) -> None:
    runner = FakeRunner({"config default": DEFAULT})
    packages, program = PackageManager(runner), "/usr/bin/containerd"
    assert state.foreign_files(runner, packages, program) == []
    assert runner.calls == []
    files: t.Dict[str, str] = {
        "config.toml": 'imports = ["/opt/x.toml"]\n',
        "certs.d/docker.io/hosts.toml": f"# {MARK}: changes are lost.\n",
        "certs.d/quay.io/hosts.toml": "# Ansible managed\n",
    }
    for name, text in files.items():
        (machine / name).parent.mkdir(parents=True, exist_ok=True)
        (machine / name).write_text(text)
    assert state.foreign_files(runner, packages, program) == [
        f"{machine}/config.toml",
        f"{machine}/certs.d/quay.io/hosts.toml",
    ]
    (machine / "config.toml").write_text(DEFAULT)
    assert state.foreign_files(runner, packages, program) == [f"{machine}/certs.d/quay.io/hosts.toml"]
    # Without the program nobody knows what its default is.
    assert f"{machine}/config.toml" in state.foreign_files(runner, packages, "")
    assert f"{machine}/config.toml" in state.foreign_files(
        FakeRunner({"config default": (1, "", "x")}), packages, program
    )
