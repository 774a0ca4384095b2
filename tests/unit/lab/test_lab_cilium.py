# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab import charts, cilium, golang, mirror, util


def test_it_is_built_when_it_is_asked_for() -> None:
    assert mirror.MORE["cilium"] is golang.CILIUM and charts.CILIUM not in charts.charts()
    assert cilium.VERSION == "1.15.19"
    assert f"ciliumVersion=1.15.19 {'0' * 12} 2026-01-01T00:00:00Z'" in golang.CILIUM.arguments()[-1]


def test_files_of_the_agent(tmp_path: Path) -> None:
    for name in ("bpf_lxc.c", "lib/common.h", "tests/bpf_test.c", "complexity-tests/a.h", "Makefile", "COPYING"):
        (tmp_path / "bpf" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "bpf" / name).touch()
    assert sorted(cilium.agent_files(tmp_path)) == [
        "/cni-uninstall.sh",
        "/init-container.sh",
        "/install-plugin.sh",
        "/var/lib/cilium/bpf/bpf_lxc.c",
        "/var/lib/cilium/bpf/lib/common.h",
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [(["-j", "feature", "probe"], "-j feature probe unprivileged"), (["-j", "map", "show"], "-j map show")],
)
def test_what_stands_before_bpftool(tmp_path: Path, given: list[str], expected: str) -> None:
    script = tmp_path / "bpftool"
    script.write_text(cilium.BPFTOOL.replace("exec /usr/sbin/bpftool", "echo"), encoding="utf-8")
    assert subprocess.check_output(["sh", script, *given], text=True).strip() == expected


def test_a_file_of_the_module_is_the_labs_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a copy, which the module is replaced by; what is built otherwise is built of the module itself."""
    module, own = tmp_path / "module", tmp_path / "go/tool"
    for path, text in (
        (module / "pkg/a.go", "theirs"),
        (module / "pkg/b.go", "theirs"),
        (module / "vendor/x.go", ""),
        (own / "go.mod", "module lab\n\nrequire example.org/tool v1.2.0\n"),
        (own / "go.sum", "sums\n"),
        (own / "own/a.go", "ours"),
    ):
        util.write(path, text)
    monkeypatch.setattr(golang, "MODULES", tmp_path / "go")
    monkeypatch.setattr(golang, "module_folder", lambda _component: module)
    monkeypatch.setattr(util, "ARTIFACTS", tmp_path / "artifacts")
    component = golang.Component("tool", "example.org/tool", replaced={"pkg/a.go": "own/a.go"})
    with golang._go_mod(component) as [option]:
        path = Path(option.removeprefix("-modfile="))
        tree = Path(path.read_text(encoding="utf-8").rpartition("replace example.org/tool => ")[2].strip())
        assert path.with_suffix(".sum").read_text(encoding="utf-8") == "sums\n"
    assert {str(file.relative_to(tree)): file.read_text() for file in tree.rglob("*.go")} == {
        "pkg/a.go": "ours",
        "pkg/b.go": "theirs",
    }
    assert not path.exists()
    with golang._go_mod(golang.Component("tool", "example.org/tool")) as options:
        assert options == []
