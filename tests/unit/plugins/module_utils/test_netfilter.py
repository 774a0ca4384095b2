# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import struct
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._network import netfilter, nfnetlink
from ansible_collections.slipway.kubernetes.tests.unit.plugins.module_utils.test_netlink import Kernel, packed

#: From a node of the lab, with rules of an administrator, of Docker, and as CNI plugins write them for two networks.
SAVED = (Path(__file__).parents[1] / "fixtures/netfilter/iptables-save.txt").read_text(encoding="utf-8")


def test_rules_are_taken_out_by_name() -> None:
    plan = netfilter.plan(SAVED, ["cbr0"])
    assert plan.names == [
        "mangle KUBE-KUBELET-CANARY",
        "filter FLANNEL-FWD",
        "filter KUBE-FIREWALL",
        "nat CNI-1c8e6ae32b8c3b7a5a1c1f0d",
        "nat CNI-DN-1c8e6ae32b8c3b7a5a1c1",
        "nat FLANNEL-POSTRTG",
    ]
    filters = plan.text[plan.text.index("*filter") : plan.text.index("*nat")]
    assert filters.splitlines() == [
        "*filter",
        ":FLANNEL-FWD - [0:0]",
        ":KUBE-FIREWALL - [0:0]",
        "-D INPUT -j KUBE-FIREWALL",
        '-D FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD',
        '-D FORWARD -s 10.244.0.0/16 -m comment --comment "flanneld forward" -j ACCEPT',
        "-D OUTPUT -j KUBE-FIREWALL",
        "-X FLANNEL-FWD",
        "-X KUBE-FIREWALL",
        "COMMIT",
    ]
    assert "DOCKER" not in plan.text and "podman" not in plan.text and "FOREIGN" not in plan.text
    # The ports of another network stay reachable.
    assert "CNI-HOSTPORT-DNAT - " not in plan.text and "-D PREROUTING" not in plan.text
    assert "CNI-HOSTPORT-MASQ" not in plan.text and '-D POSTROUTING -m comment --comment "CNI port' not in plan.text
    assert '-D CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \\"cbr0\\"' in plan.text


def test_ports_of_the_last_network_go_whole() -> None:
    without = "".join(line for line in SAVED.splitlines(True) if "9aa1" not in line)
    assert {"nat CNI-HOSTPORT-DNAT", "nat CNI-HOSTPORT-MASQ"} <= set(netfilter.plan(without, ["cbr0"]).names)


#: As the CNI plugin firewall has it for all networks, here with a container of podman and an override of somebody.
FORWARD = """\
*filter
:FORWARD DROP [0:0]
:CNI-ADMIN - [0:0]
:CNI-FORWARD - [0:0]
:KUBE-FORWARD - [0:0]
-A FORWARD -j KUBE-FORWARD
-A FORWARD -m comment --comment "CNI firewall plugin rules" -j CNI-FORWARD
-A CNI-FORWARD -m comment --comment "CNI firewall plugin admin overrides" -j CNI-ADMIN
-A CNI-FORWARD -d 10.88.0.4/32 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A CNI-FORWARD -s 10.88.0.4/32 -j ACCEPT
-A CNI-ADMIN -p tcp -m tcp --dport 25 -j DROP
COMMIT
"""


def test_what_all_networks_share_stays_while_somebody_has_something_there() -> None:
    containers, override = "10.88.0.4", "--dport 25"
    for kept in ((containers, override), (containers,), (override,), ()):
        gone = [word for word in (containers, override) if word not in kept]
        saved = "".join(line for line in FORWARD.splitlines(True) if not any(word in line for word in gone))
        plan = netfilter.plan(saved, ["cbr0"])
        assert "filter KUBE-FORWARD" in plan.names
        assert ("CNI-" in plan.text) == (not kept)


def test_ports_by_a_container_runtime() -> None:
    saved = """*nat
:POSTROUTING ACCEPT [0:0]
:CRIO-HOSTPORTS-MASQ - [0:0]
:CRIO-MASQ-AAAA - [0:0]
:KUBE-HOSTPORTS - [0:0]
-A POSTROUTING -m comment --comment "kube hostport masquerading" -m conntrack --ctstate DNAT -j CRIO-HOSTPORTS-MASQ
-A CRIO-HOSTPORTS-MASQ -j CRIO-MASQ-AAAA
COMMIT
"""
    names = ["nat CRIO-HOSTPORTS-MASQ", "nat CRIO-MASQ-AAAA", "nat KUBE-HOSTPORTS"]
    assert [name for name in netfilter.plan(saved, {"cbr0"}).names if "POSTROUTING" not in name] == names
    assert netfilter.plan(saved, {"cbr0"}, []).names == []
    assert "crio-hostports" in netfilter.table_names(shared=True)


def test_nothing_of_ours() -> None:
    foreign = (
        "*nat\n:POSTROUTING ACCEPT [0:0]\n:DOCKER - [0:0]\n-A POSTROUTING -s 172.17.0.0/16 -j MASQUERADE\nCOMMIT\n"
    )
    assert netfilter.plan(foreign, ["cbr0"]) == netfilter.Plan([], "")
    assert netfilter.plan("", ["cbr0"]) == netfilter.Plan([], "")


def test_rules_without_chains() -> None:
    old = '*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -m comment --comment "flanneld masq" -j MASQUERADE\nCOMMIT\n'
    plan = netfilter.plan(old, [])
    assert plan.names == ['nat POSTROUTING -m comment --comment "flanneld masq" -j MASQUERADE']


def table(family: int, name: str) -> bytes:
    value = name.encode() + b"\0"
    attribute = struct.pack("=HH", 4 + len(value), 1) + value
    return packed(netfilter._NEW_TABLE, struct.pack("=BBH", family, 0, 0) + attribute)


def test_tables_of_nftables(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = table(2, "kube-proxy") + table(2, "nat") + table(10, "flannel-ipv6") + table(99, "kube-proxy")
    kernel = Kernel(answer, packed(3, struct.pack("=i", 0)))
    monkeypatch.setattr(nfnetlink.socket, "socket", kernel)
    found = netfilter.nft_tables()
    assert found == [("ip", "kube-proxy"), ("ip6", "flannel-ipv6"), ("99", "kube-proxy")]


def test_tables_that_others_share(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = table(2, "kube-proxy") + table(1, "cni_hostport") + table(1, "cni_plugins_masquerade")
    for shared, count in ((True, 1), (False, 3)):
        monkeypatch.setattr(nfnetlink.socket, "socket", Kernel(answer, packed(3, struct.pack("=i", 0))))
        assert len(netfilter.nft_tables(shared)) == count


def test_a_kernel_without_nftables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nfnetlink.socket, "socket", Kernel(packed(2, struct.pack("=i", -22))))
    assert netfilter.nft_tables() == []

    def refuse(*_arguments: t.Any) -> t.NoReturn:
        raise OSError(93, "Protocol not supported")

    monkeypatch.setattr(nfnetlink.socket, "socket", refuse)
    assert netfilter.nft_tables() == []


@pytest.mark.parametrize(("code", "fails"), [(0, False), (-2, False), (-1, True)])
def test_delete_a_table(monkeypatch: pytest.MonkeyPatch, code: int, fails: bool) -> None:
    kernel = Kernel(packed(2, struct.pack("=i", code)))
    monkeypatch.setattr(nfnetlink.socket, "socket", kernel)
    if fails:
        with pytest.raises(OSError, match="table ip kube-proxy"):
            netfilter.delete_nft_table(("ip", "kube-proxy"))
    else:
        netfilter.delete_nft_table(("ip", "kube-proxy"))
    assert b"kube-proxy\0" in kernel.sent
    kinds = [kind for kind, _payload in netfilter._netlink.messages(kernel.sent)]
    assert kinds == [0x10, 10 << 8 | 2, 0x11]
