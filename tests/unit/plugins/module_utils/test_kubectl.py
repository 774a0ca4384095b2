# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandError, Runner
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl


class FakeModule:
    """As much of AnsibleModule as running commands needs."""

    def __init__(self, installed: bool = True, answer: t.Tuple[int, str, str] = (0, "", "")) -> None:
        self.installed = installed
        self.answer = answer
        self.ran: t.List[t.List[str]] = []

    def get_bin_path(self, name: str, opt_dirs: t.Sequence[str]) -> t.Optional[str]:
        return f"/usr/bin/{name}" if self.installed else None

    def run_command(self, words: t.List[str], **_options: t.Any) -> t.Tuple[int, str, str]:
        self.ran.append(words)
        return self.answer


def kubectl(module: FakeModule, kubeconfig: str = "/k", **options: t.Any) -> Kubectl:
    return Kubectl(Runner(module), kubeconfig, **options)  # type: ignore[arg-type]


def test_argv() -> None:
    words = kubectl(FakeModule(), context="c", request_timeout=5).argv("get", "nodes")
    assert words == ["/usr/bin/kubectl", "--kubeconfig=/k", "--request-timeout=5s", "--context=c", "get", "nodes"]
    assert "--context" not in " ".join(kubectl(FakeModule()).argv())


def test_get() -> None:
    module = FakeModule(answer=(0, '{"items": []}', ""))
    assert kubectl(module).get("nodes") == {"items": []}
    assert module.ran[0][-3:] == ["get", "nodes", "--output=json"]
    with pytest.raises(CommandError, match="not found"):
        kubectl(FakeModule(answer=(1, "", "not found"))).get("pods", "x")


def test_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "admin.conf"
    assert kubectl(FakeModule(installed=False)).missing() == "kubectl is not installed on this host."
    assert kubectl(FakeModule(), str(path)).missing() == f"The kubeconfig {path} does not exist on this host."
    path.touch()
    assert kubectl(FakeModule(), str(path)).missing() == ""
