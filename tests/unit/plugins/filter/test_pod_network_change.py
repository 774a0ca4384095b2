# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.filter.pod_networks import pod_network_change

FLANNEL, CALICO = {"release": "flannel"}, {"release": "calico"}


def hostvars(networks: t.Mapping[str, t.Any], change: t.Optional[t.Mapping[str, str]] = None) -> t.Dict[str, t.Any]:
    configuration = {"pod_networks": networks, **({"pod_network_change": change} if change else {})}
    return {"cp1": {"cluster_look": {"ansible_facts": {"slipway_node": {"configuration": configuration}}}}}


@pytest.mark.parametrize(
    ("wanted", "networks", "change", "pending", "old"),
    [
        ("calico", {"flannel": FLANNEL}, None, True, ["flannel"]),
        ("calico", {"calico": CALICO}, None, False, []),
        # Somebody else's is not ours to remove.
        ("calico", {"flannel": {"release": "network"}}, None, False, []),
        ("none", {"flannel": FLANNEL}, None, False, ["flannel"]),
        # A run was killed: before anything was installed, in between, when the old one had gone, and on the way back.
        ("calico", {"flannel": FLANNEL}, {"from": "flannel", "to": "calico"}, True, ["flannel"]),
        ("calico", {"flannel": FLANNEL, "calico": CALICO}, {"from": "flannel", "to": "calico"}, True, ["flannel"]),
        ("calico", {"calico": CALICO}, {"from": "flannel", "to": "calico"}, True, ["flannel"]),
        ("flannel", {"calico": CALICO}, {"from": "flannel", "to": "calico"}, True, ["calico"]),
    ],
)
def test_what_has_to_be_done(
    wanted: str,
    networks: t.Mapping[str, t.Any],
    change: t.Optional[t.Mapping[str, str]],
    pending: bool,
    old: t.List[str],
) -> None:
    found = pod_network_change(wanted, hostvars(networks, change), "cp1", ["cp1", "w1"])
    assert (found["pending"], found["networks"], found["successor"]) == (pending, old, wanted)


def test_what_is_waited_for_and_said() -> None:
    found = pod_network_change("flannel", hostvars({"calico": CALICO}), "cp1", ["cp1", "w1"])
    assert found["conditions"] == [
        {"type": "nodes_ready", "names": ["cp1", "w1"]},
        {"type": "pods_ready", "namespace": "kube-flannel", "selector": "app=flannel", "count": 2},
    ]
    assert (found["title"], found["now"]) == ("Calico by Flannel", "Flannel is the pod network")


def test_nobody_was_asked() -> None:
    found = pod_network_change("none", {}, "cp1")
    assert (found["pending"], found["title"], found["now"]) == (
        False,
        "nothing by none",
        "there is no pod network of ours",
    )
