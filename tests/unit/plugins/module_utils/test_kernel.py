# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._machine import kernel


@pytest.mark.parametrize(
    ("path", "module"),
    [
        ("net/bridge/bridge-nf-call-iptables", "br_netfilter"),
        ("net/netfilter/nf_conntrack_max", "nf_conntrack"),
        ("net/nf_conntrack_max", "nf_conntrack"),
        ("net/ipv4/vs/conn_reuse_mode", "ip_vs"),
        ("net/ipv4/ip_forward", ""),
    ],
)
def test_provider(path: str, module: str) -> None:
    assert kernel.provider(path) == module


def test_filesystems() -> None:
    assert kernel.filesystems("nodev\tsysfs\n\text4\n\nnodev\toverlay\n") == {"sysfs", "ext4", "overlay"}


def test_builtin_modules() -> None:
    text = "kernel/fs/overlayfs/overlay.ko\nkernel/net/bridge/br-netfilter.ko.zst\n"
    assert kernel.builtin_modules(text) == {"overlay", "br_netfilter"}


@pytest.mark.parametrize(
    ("evidence", "content"),
    [
        ("sys/module/br_netfilter/initstate", "live\n"),
        (f"lib/modules/{platform.release()}/modules.builtin", "kernel/net/bridge/br_netfilter.ko\n"),
        ("proc/sys/net/bridge/bridge-nf-call-iptables", "1\n"),
    ],
)
def test_a_module_counts_when_its_function_is_there(tmp_path: Path, evidence: str, content: str) -> None:
    assert not kernel.KernelModules(str(tmp_path)).has("br_netfilter")
    path = tmp_path / evidence
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert kernel.KernelModules(str(tmp_path)).has("br_netfilter")
    assert kernel.KernelModules(str(tmp_path)).has("br-netfilter")
    assert not kernel.KernelModules(str(tmp_path)).has("overlay")


def test_a_file_system_counts(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/filesystems").write_text("nodev\toverlay\n")
    assert kernel.KernelModules(str(tmp_path)).has("overlay")
