# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""CRI-O's package in the lab is as upstream's, but for programs of others that it depends on."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import crio, golang, mirror


def test_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = tmp_path / "contrib/systemd/crio.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/usr/local/bin/crio \\\n          $CRIO_CONFIG_OPTIONS\n")
    (tmp_path / "crictl.yaml").write_text('runtime-endpoint: "unix:///var/run/crio/crio.sock"\n')
    monkeypatch.setattr(golang, "module_folder", lambda _component: tmp_path)
    monkeypatch.setattr(golang, "build", lambda component: Path("/built", component.name))
    monkeypatch.setattr(crio, "pinns", lambda: Path("/built/pinns"))
    package, client = crio.packages()
    assert (package.name, package.version) == ("cri-o", f"{golang.CRIO.version}-1.1")
    assert {"conmon", "cri-tools", "runc"} <= set(package.fields["Depends"].split(", "))
    assert set(package.programs) == {"/usr/bin/crio", "/usr/bin/pinns"}
    assert "ExecStart=/usr/bin/crio " in package.files["/usr/lib/systemd/system/crio.service"]
    assert {"/etc/crio/policy.json", "/etc/crio/crio.conf.d/10-crio.conf", "/etc/crictl.yaml"} <= set(package.files)
    assert (client.name, list(client.programs)) == ("cri-tools", ["/usr/bin/crictl"])


def test_it_is_built_when_it_is_asked_for() -> None:
    assert mirror.MORE["crio"] is golang.CRIO and golang.CRIO not in mirror.COMPONENTS
    assert f"isv:/cri-o:/stable:/v{crio.MINOR}/deb" == crio.PLACE
    assert golang.CRIO.version.startswith(f"{crio.MINOR}.")
