# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _netlink
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import ipvs
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner

KERNEL = """IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A60000A:0035 rr
  -> 0AF40002:0035      Masq    1      0          0
UDP  0A60000A:0035 rr
TCP  C000020B:7531 rr
TCP  C00002C8:7531 rr
TCP  C00002C8:0050 wlc
  -> C000020B:0050      Route   1      0          0
TCP  [fd00:0000:0000:0000:0000:0000:0000:000a]:01BB rr persistent 10800
FWM  00000001 rr
"""
OWN = [
    {"name": "eth0", "addresses": [{"address": "192.0.2.11"}]},
    {"name": "kube-ipvs0", "addresses": [{"address": "10.96.0.10"}, {"address": "fd00::a"}]},
]


def test_services_of_kube_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/ip_vs").write_text(KERNEL)
    monkeypatch.setattr(_netlink, "interfaces", lambda: OWN)
    # 192.0.2.200 is somebody's, whom kube-proxy was told to leave alone.
    runner = FakeRunner({"ipvsadm": ""}, tools={"ipvsadm"})
    assert list(map(tuple, ipvs.services(runner, str(tmp_path)))) == [
        ("tcp", "10.96.0.10:53"),
        ("udp", "10.96.0.10:53"),
        ("tcp", "192.0.2.11:30001"),
        ("tcp", "[fd00::a]:443"),
    ]
    ipvs.remove_services(runner, str(tmp_path))
    assert [words[1:] for words in runner.calls][:2] == [
        ["--delete-service", "--tcp-service", "10.96.0.10:53"],
        ["--delete-service", "--udp-service", "10.96.0.10:53"],
    ]


def test_machines_that_have_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/ip_vs").write_text(KERNEL)
    # Without ipvsadm nothing could be done about them, as without kube-proxy's interface nothing is its own.
    monkeypatch.setattr(_netlink, "interfaces", lambda: OWN)
    assert ipvs.services(FakeRunner({}), str(tmp_path)) == []
    monkeypatch.setattr(_netlink, "interfaces", lambda: OWN[:1])
    assert ipvs.services(FakeRunner({}, tools={"ipvsadm"}), str(tmp_path)) == []
