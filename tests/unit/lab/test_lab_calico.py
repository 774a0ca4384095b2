# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

from lab import calico, golang


def test_version_is_that_of_the_release() -> None:
    """The module's own version is another one."""
    assert calico.VERSION == "3.28.5" and "-X main.VERSION=v3.28.5 " in golang.CALICO.arguments()[-1]


def test_templates_without_tunnels() -> None:
    template = 'then {\n    krt_tunnel = "{{$data.ipip}}";  {{- /* why */}}\n    accept;\n}\n'
    assert calico.without_tunnels(template) == "then {\n    accept;\n}\n"
    assert calico.without_tunnels("x\n") == "x\n"


def test_files_of_the_agent(tmp_path: Path) -> None:
    for name in (
        "node/filesystem/etc/rc.local",
        "node/filesystem/etc/nsswitch.conf",
        "node/filesystem/sbin/start_runit",
        "confd/etc/calico/confd/templates/bird.cfg.template",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x\n", encoding="utf-8")
    assert sorted(calico.agent_files(tmp_path)) == [
        "/etc/calico/confd/templates/bird.cfg.template",
        "/etc/rc.local",
        "/usr/sbin/start_runit",
    ]
