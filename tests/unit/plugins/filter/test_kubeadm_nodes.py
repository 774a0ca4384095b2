# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.kubernetes.plugins.filter import kubeadm, nodes
from ansible_collections.slipway.kubernetes.tests.unit.plugins.plugin_utils.test_kubeadm_config import JOIN, SETTINGS


def test_kubeadm_filters() -> None:
    filters = kubeadm.FilterModule().filters()
    assert [item["kind"] for item in filters["kubeadm_init_config"](SETTINGS)] == [
        "InitConfiguration",
        "ClusterConfiguration",
        "KubeletConfiguration",
        "KubeProxyConfiguration",
    ]
    assert filters["kubeadm_init_config"](SETTINGS, {"kubelet": {"maxPods": 5}})[2]["maxPods"] == 5
    assert filters["kubeadm_join_config"](JOIN, {"caCertPath": "/ca"})["caCertPath"] == "/ca"


def test_the_names_of_an_api_server() -> None:
    documents = kubeadm.kubeadm_init_config({**SETTINGS, "node_ip": "192.0.2.1"})
    assert kubeadm.kubeadm_apiserver_names(documents)[:2] == ["10.96.0.1", "192.0.2.1"]
    with pytest.raises(AnsibleFilterError, match="kubeadm_apiserver_names: the documents lack 'localAPIEndpoint'"):
        kubeadm.kubeadm_apiserver_names(kubeadm.kubeadm_init_config(SETTINGS))
    documents[1]["apiServer"]["certSANs"] = ["API.example.org"]
    with pytest.raises(AnsibleFilterError, match="neither an address nor a DNS name in lower case"):
        kubeadm.kubeadm_apiserver_names(documents)


def test_mistakes_name_filter_and_setting() -> None:
    with pytest.raises(AnsibleFilterError, match="kubeadm_init_config: there is no document etcd"):
        kubeadm.kubeadm_init_config(SETTINGS, {"etcd": {}})
    with pytest.raises(AnsibleFilterError, match="kubeadm_init_config: the settings lack 'cri_socket'"):
        kubeadm.kubeadm_init_config({"name": "cp1"})
    with pytest.raises(AnsibleFilterError, match="kubeadm_join_config: the settings lack 'endpoint'"):
        kubeadm.kubeadm_join_config({"name": "w1"})


def test_node_objects() -> None:
    taints = [{"key": "a", "effect": "NoSchedule"}]
    hostvars = {
        "n1": {"cluster_node_labels": {"disk": "ssd"}, "cluster_node_taints": taints},
        "n2": {"cluster_node_annotations": {"note": "x"}, "cluster_node_labels": None},
        "n3": {"cluster_node_labels": {"not": "asked"}},
    }
    assert nodes.FilterModule().filters()["node_objects"](["n1", "n2"], hostvars) == [
        {"name": "n1", "labels": {"disk": "ssd"}, "annotations": {}, "taints": taints},
        {"name": "n2", "labels": {}, "annotations": {"note": "x"}, "taints": []},
    ]


def interface(*addresses: str, virtual: bool = False) -> t.Dict[str, t.Any]:
    return {"virtual": virtual, "addresses": [{"address": address} for address in addresses]}


def test_node_identities() -> None:
    hostvars = {
        "n1": {
            "slipway_node": {
                "interfaces": [
                    interface("192.0.2.1", "fd00::1"),
                    interface("198.51.100.1"),
                    interface("10.244.0.1", virtual=True),
                ]
            },
            "cluster_node_ip": "192.0.2.1",
        },
        "n2": {"slipway_node": {"interfaces": []}, "cluster_node_ip": "192.0.2.2"},
        "n3": {
            "slipway_node": {"interfaces": [interface("192.0.2.3", "192.0.2.200")]},
            "cluster_node_ip": "",
        },
        "n4": {
            "slipway_node": {"interfaces": [interface("192.0.2.4", "192.0.2.200")]},
            "cluster_node_ip": "192.0.2.4",
        },
        # What kubelets announce comes first.
        "n5": {"slipway_node": {"interfaces": [interface("192.0.2.5", "198.51.100.5"), interface("fd00::5")]}},
        "n6": {"slipway_node": {"interfaces": [interface("192.0.2.6", "198.51.100.6")]}},
    }
    hostvars["n5"]["slipway_node"]["default_address"] = "198.51.100.5"
    hostvars["n6"].update({"cluster_node_ip": "198.51.100.6"})
    hostvars["n6"]["slipway_node"]["default_address"] = "192.0.2.6"
    assert nodes.FilterModule().filters()["node_identities"](
        list(hostvars), hostvars, ["192.0.2.200:8443", "192.0.2.4", ""]
    ) == [
        {"name": "n1", "addresses": ["192.0.2.1", "198.51.100.1", "fd00::1"]},
        {"name": "n2", "addresses": ["192.0.2.2"]},
        {"name": "n3", "addresses": ["192.0.2.3"]},
        {"name": "n4", "addresses": ["192.0.2.4"]},
        {"name": "n5", "addresses": ["198.51.100.5", "192.0.2.5", "fd00::5"]},
        {"name": "n6", "addresses": ["198.51.100.6", "192.0.2.6"]},
    ]
