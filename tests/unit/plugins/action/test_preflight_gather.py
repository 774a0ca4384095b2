# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action that looks at a host and never fails."""

from __future__ import annotations

import types
import typing as t
import unittest.mock

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.slipway.kubernetes.plugins.action import preflight_gather
from ansible_collections.slipway.kubernetes.plugins.action.preflight_gather import ActionModule
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.variables import trusted


class Task:
    async_val = 0
    check_mode = True
    args: t.Dict[str, t.Any] = {}
    diff = False
    environment: t.List[t.Any] = []
    no_log = False


def node(version: str = "", family: str = "debian") -> t.Dict[str, t.Any]:
    kubernetes = {"kubeadm_version": version, "kubelet_version": version}
    system = {"id": family, "family": family}
    return {"ansible_facts": {"slipway_node": {"kubernetes": kubernetes, "os": system}}}


def gather(
    monkeypatch: pytest.MonkeyPatch, results: t.Dict[str, t.Any], **given: t.Any
) -> t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Any]]:
    """The facts that come out, and what the modules were called with."""
    called: t.Dict[str, t.Any] = {}

    def execute(self: t.Any, module_name: str, module_args: t.Any, task_vars: t.Any) -> t.Any:
        name = module_name.rpartition(".")[2]
        called[name] = module_args
        if isinstance(results[name], Exception):
            raise results[name]
        return results[name]

    monkeypatch.setattr(ActionModule, "_execute_module", execute)
    loader = DataLoader()
    connection = unittest.mock.MagicMock()
    action = ActionModule(Task(), connection, None, loader, Templar(loader=loader), None)  # type: ignore[arg-type]
    given.setdefault("preflight_sources", False)
    result = action.run(task_vars=trusted({"inventory_hostname": "cp1", **given}))
    assert not result.get("failed")
    assert result["changed"] is False
    return result["ansible_facts"], called


@pytest.mark.parametrize(
    ("result", "subject"),
    [
        (AnsibleConnectionFailure("no route to host"), "connection"),
        ({"unreachable": True, "msg": "no route to host"}, "connection"),
        (AnsibleError("something else"), "node_facts"),
        ({"failed": True, "msg": "python3: not found"}, "python"),
    ],
)
def test_what_goes_wrong_is_kept(monkeypatch: pytest.MonkeyPatch, result: t.Any, subject: str) -> None:
    facts, called = gather(monkeypatch, {"node_facts": result})
    assert facts["slipway_preflight"]["failure"][0] == subject
    assert "slipway_node" not in facts
    assert called == {"node_facts": {}}


def test_the_repository_is_asked_for_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    facts, called = gather(
        monkeypatch,
        {"node_facts": node("1.35.0"), "package_source": {"changed": True}},
        cluster_version="1.36.4",
        kube_packages_repository="https://mirror.example.com/k8s",
    )
    assert facts["slipway_preflight"] == {"failure": None, "source_failure": "", "sources": [], "clock": None}
    assert facts["slipway_node"]["os"]["id"] == "debian"
    source = called["package_source"]
    assert source["url"].startswith("https://mirror.example.com/k8s/v1.36/")
    assert source["key"].startswith("https://mirror.example.com/k8s/v1.36/")
    assert source["packages"]["kubelet"] == "1.36.4"


def test_dockers_repository_is_asked_for_what_the_machine_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = node("1.37.1")
    looked["ansible_facts"]["slipway_node"]["os"]["codename"] = "trixie"
    given = {"cluster_version": "1.37.1", "preflight_sources": True, "container_runtime_source": "docker"}
    results = {"node_facts": looked, "source_probe": {"failures": []}, "package_source": {"changed": True}}
    _facts, called = gather(monkeypatch, results, **given)
    source = called["package_source"]
    assert source["url"] == "https://download.docker.com/linux/debian"
    assert source["settings"] == {"suite": "trixie", "components": ["stable"]}


def test_the_repository_is_asked_when_others_have_set_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = node("1.37.1")
    url = "https://pkgs.k8s.io/core:/stable:/v1.37/deb"
    looked["ansible_facts"]["slipway_node"]["package_sources"] = [
        {"path": "/etc/apt/sources.list.d/k.list", "url": url}
    ]
    results = {"node_facts": looked, "package_source": {"failed": True, "msg": "set up with other settings in k.list"}}
    facts, _called = gather(monkeypatch, results, cluster_version="1.37.1")
    assert "k.list" in facts["slipway_preflight"]["source_failure"]


def test_the_repository_does_not_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    results = {"node_facts": node(), "package_source": {"failed": True, "msg": "kubeadm 1.37.9 is not there."}}
    facts, _called = gather(monkeypatch, results, cluster_version="1.37.9")
    assert "kubeadm 1.37.9 is not there." in facts["slipway_preflight"]["source_failure"]


@pytest.mark.parametrize(
    ("facts", "version"),
    [(node("1.37.1"), "1.37.1"), (node(), "1.37"), (node(family="arch"), "1.37.1")],
)
def test_the_repository_is_left_alone(monkeypatch: pytest.MonkeyPatch, facts: t.Any, version: str) -> None:
    _facts, called = gather(monkeypatch, {"node_facts": facts}, cluster_version=version)
    assert list(called) == ["node_facts"]


def test_a_repository_that_cannot_be_templated(monkeypatch: pytest.MonkeyPatch) -> None:
    facts, called = gather(monkeypatch, {"node_facts": node()}, kube_packages_repository_url="{{ nowhere }}")
    assert "kube_packages_repository_url: " in facts["slipway_preflight"]["source_failure"]
    assert "'nowhere' is undefined" in facts["slipway_preflight"]["source_failure"]
    assert list(called) == ["node_facts"]


def test_the_clock_is_compared_with_the_controllers(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = node("1.36.4")
    looked["ansible_facts"]["slipway_node"]["time"] = 1005.0
    moments = iter([1000.0, 1002.0])
    monkeypatch.setattr(preflight_gather, "time", types.SimpleNamespace(time=lambda: next(moments)))
    facts, _called = gather(monkeypatch, {"node_facts": looked}, cluster_version="1.36.4")
    assert facts["slipway_preflight"]["clock"] == [3.0, 5.0]


def test_the_endpoints_name_is_resolved_by_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for endpoint, arguments in (
        ("api.example.com:8443", {"resolve": ["api.example.com"]}),
        ("192.0.2.1:8443", {}),
        ("", {}),
    ):
        _facts, called = gather(monkeypatch, {"node_facts": node("1.37.1")}, cluster_endpoint=endpoint)
        assert called["node_facts"] == arguments


def test_sources_at_names_that_node_prep_will_write(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a site without DNS: as long as the machine does not know the name nobody can ask there."""
    given: t.Dict[str, t.Any] = {
        "cluster_version": "1.37.1",
        "node_prep_hosts_entries": ["192.0.2.9 Mirror.example.com charts.example.com # ours"],
        "kube_packages_repository": "https://mirror.example.com/k8s",
        "helm_download_url": "https://mirror.example.com/helm",
    }
    for found, asked in (([], []), (["192.0.2.9"], ["https://mirror.example.com/k8s/v1.37/deb/"])):
        looked = node()
        names = dict.fromkeys(("Mirror.example.com", "charts.example.com"), found)
        looked["ansible_facts"]["slipway_node"]["surroundings"] = {"names": names}
        facts, called = gather(monkeypatch, {"node_facts": looked, "package_source": {}, "source_probe": {}}, **given)
        assert called["node_facts"]["resolve"] == ["Mirror.example.com", "charts.example.com"]
        assert facts["slipway_preflight"]["source_failure"] == ""
        assert [called["package_source"]["url"]] * len(asked) == asked if asked else "package_source" not in called
        assert "charts.example.com" not in str(called.get("source_probe"))


def test_modules_of_the_inventory_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, arguments in ((["overlay", "ip_vs"], {"modules": ["ip_vs"]}), (["overlay"], {}), ("ip_vs", {})):
        looked = {"node_facts": node("1.37.1")}
        _facts, called = gather(monkeypatch, looked, node_prep_kernel_modules=given)
        assert called["node_facts"] == arguments


def test_what_the_inventory_says_of_its_pod_network_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"cni_manifest_interfaces": ["weave"], "cni_manifest_kernel_modules": ["openvswitch", "vxlan"]}
    for provider, arguments in (
        ("manifest", {"modules": ["openvswitch"], "pod_interfaces": ["weave"]}),
        ("flannel", {}),
    ):
        _facts, called = gather(monkeypatch, {"node_facts": node("1.37.1")}, cluster_cni=provider, **given)
        assert called["node_facts"] == arguments


def test_users_that_get_a_kubeconfig_are_known_to_control_planes(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, name, arguments in (
        (["root", "alice"], "cp1", {"users": ["alice"]}),
        ("root,alice", "cp1", {"users": ["alice"]}),
        (["root"], "cp1", {}),
        (["alice"], "worker1", {}),
    ):
        variables = {"kubeconfig_users": given, "inventory_hostname": name, "cluster_control_plane_hosts": ["cp1"]}
        _facts, called = gather(monkeypatch, {"node_facts": node("1.37.1")}, **variables)
        assert called["node_facts"] == arguments


def test_users_of_the_container_runtime_are_known_to_its_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"kubeconfig_users": ["alice"], "container_runtime_docker_users": ["bob", "alice"]}
    for provider, arguments in (("docker", {"users": ["bob", "alice"]}), ("containerd", {})):
        variables = {**given, "container_runtime_provider": provider, "inventory_hostname": "worker1"}
        _facts, called = gather(monkeypatch, {"node_facts": node("1.37.1")}, **variables)
        assert called["node_facts"] == arguments
    assert given["kubeconfig_users"] == ["alice"]


def test_all_sources_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    failure = {"subject": "metallb_chart", "message": "lost.", "severity": "error"}
    results = {
        "node_facts": node("1.37.1"),
        "source_probe": {"failures": [failure]},
        "package_source": {"failed": True, "msg": "no such key."},
    }
    facts, called = gather(
        monkeypatch, results, preflight_sources=True, cluster_version="1.37.1", container_runtime_source="docker"
    )
    assert facts["slipway_preflight"]["sources"] == [
        failure,
        {"subject": "container_runtime_repository", "message": "no such key."},
    ]
    assert {source["kind"] for source in called["source_probe"]["sources"]} == {"image"}
    assert called["source_probe"]["runtime"] == "containerd"
    assert called["package_source"]["packages"] == {"containerd.io": "*"}


def test_sources_that_cannot_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    results = {"node_facts": node("1.37.1"), "source_probe": {"failed": True, "msg": "no room."}}
    facts, _called = gather(monkeypatch, results, preflight_sources=True, cluster_version="1.37.1")
    (found,) = facts["slipway_preflight"]["sources"]
    assert found["subject"] == "preflight_sources" and "no room." in found["message"]


def test_nodes_and_wrong_versions_ask_no_source(monkeypatch: pytest.MonkeyPatch) -> None:
    built = node("1.37.1")
    built["ansible_facts"]["slipway_node"]["kubernetes"]["completed"] = True
    for looked, version in ((built, "1.37.1"), (node("1.37.1"), "1.37"), (node("1.37.1", "arch"), "1.37.1")):
        facts, called = gather(monkeypatch, {"node_facts": looked}, preflight_sources=True, cluster_version=version)
        assert list(called) == ["node_facts"]
        assert facts["slipway_preflight"]["sources"] == []
