# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addons on the controller: what is handed over, and what preflight says about it."""

from __future__ import annotations

import base64
import io
import json
import tarfile
import types
import typing as t
import unittest.mock
from pathlib import Path

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.slipway.kubernetes.plugins.action import kube_addons
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _addons
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.checks import addons as checks
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import Host

CHART = {"name": "web", "chart": "oci://r.example/charts/nginx", "version": "1.2.3", "namespace": "web"}
MANIFEST = {"name": "colours", "definition": {"kind": "ConfigMap"}}
DIGEST = "sha256:" + "0" * 64


@pytest.fixture
def inventory(tmp_path: Path) -> Path:
    chart = tmp_path / "charts/local"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: local\nversion: 0.3.0\n")
    (chart / "templates/a.yaml").write_text("kind: ConfigMap\n")
    (tmp_path / "site").mkdir()
    (tmp_path / "site/kustomization.yaml").write_text("resources: []\n")
    (tmp_path / "a.yaml").write_text("kind: A\n")
    return tmp_path


def handed_over(inventory: Path, **entry: t.Any) -> t.Dict[str, t.Any]:
    return _addons.handed_over(entry, DataLoader(), str(inventory))


def members(entry: t.Mapping[str, t.Any]) -> t.List[str]:
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(entry["archive"]))) as archive:
        return archive.getnames()


def test_a_folder_with_a_chart(inventory: Path) -> None:
    given = handed_over(inventory, name="a", chart="charts/local", namespace="a")
    assert (given["chart_name"], given["version"]) == ("local", "0.3.0")
    assert members(given) == ["chart/Chart.yaml", "chart/templates/a.yaml"]
    # Helm takes nothing but compressed archives.
    assert base64.b64decode(given["archive"])[:2] == b"\x1f\x8b"
    assert handed_over(inventory, name="a", chart="charts/local", namespace="a") == given
    packaged = inventory / "local.tgz"
    packaged.write_bytes(base64.b64decode(given["archive"]))
    assert handed_over(inventory, name="a", chart="local.tgz")["chart_name"] == "local"
    (inventory / "charts/local/templates/a.yaml").write_text("kind: Secret\n")
    assert handed_over(inventory, name="a", chart="charts/local")["digest"] != given["digest"]
    (inventory / "charts/local/link").symlink_to("/etc/shadow")
    with pytest.raises(ValueError, match="is a link"):
        handed_over(inventory, name="a", chart="charts/local")


def test_files_and_kustomizations(inventory: Path) -> None:
    assert handed_over(inventory, name="a", files=["a.yaml"])["texts"] == ["kind: A\n"]
    assert members(handed_over(inventory, name="a", kustomization="site")) == ["kustomization.yaml"]
    assert handed_over(inventory, **CHART) == CHART


def test_where_entries_come_from() -> None:
    assert _addons.downloads(CHART) == [("oci", "oci://r.example/charts/nginx")]
    assert _addons.downloads({"chart": "a", "repository": "https://c.example"}) == [("repository", "https://c.example")]
    assert _addons.downloads({"chart": "https://c.example/a.tgz"}) == [("url", "https://c.example/a.tgz")]
    assert _addons.downloads({"url": "https://c.example/a.yaml"}) == [("url", "https://c.example/a.yaml")]
    assert _addons.downloads({"chart": "charts/a"}) == _addons.downloads(MANIFEST) == []


def act(inventory: Path, *entries: t.Any) -> t.Tuple[t.Dict[str, t.Any], t.Any]:
    """The action's result, and what the module was given."""
    task = types.SimpleNamespace(action="x", args={"addons": list(entries)}, async_val=0, check_mode=False)
    mock = unittest.mock.MagicMock
    action = kube_addons.ActionModule(task, mock(), mock(), DataLoader(), mock(), mock())
    with unittest.mock.patch.object(action, "_execute_module", return_value={}) as execute:
        result = action.run(task_vars={"inventory_dir": str(inventory)})
    return result, execute.call_args and execute.call_args.kwargs["module_args"]


def test_the_module_gets_one_text(inventory: Path) -> None:
    _result, given = act(inventory, CHART, {"name": "a", "files": ["a.yaml"]})
    assert [entry["name"] for entry in json.loads(given["addons"])] == ["web", "a"]
    result, given = act(inventory, {"name": "a", "files": ["none.yaml"]})
    assert given is None and result["failed"]
    assert result["msg"] == f"addon a: {inventory}/none.yaml does not exist on the controller."
    assert act(inventory, "web")[0]["failed"]


def said(*lists: t.Sequence[t.Any], folder: str = "/nonexistent") -> str:
    hosts = [
        Host(f"cp{number}", control_plane=True, variables={"addons_list": list(given), "inventory_dir": folder})
        for number, given in enumerate(lists, start=1)
    ]
    hosts.append(Host("worker1", variables={"addons_list": [{"name": "A"}]}))
    return "\n".join(
        f"{p.host or 'cluster'}: {p.subject}: {p.message} {p.remedy}" for check in checks.CHECKS for p in check(hosts)
    )


def test_a_good_list_is_not_mentioned(inventory: Path) -> None:
    good = [
        CHART,
        {"name": "b", "chart": "nginx", "repository": "https://c.example/", "version": "1.0.0", "namespace": "b"},
        {"name": "c", "chart": "charts/local", "namespace": "c"},
        {"name": "d", "kustomization": "site", "ready_when": [{"type": "crd", "names": ["a.b"]}]},
        {"name": "e", "files": ["a.yaml"]},
        {"name": "f", "url": "https://c.example/a.yaml", "checksum": DIGEST},
        MANIFEST,
    ]
    assert said(good, good, folder=str(inventory)) == ""
    assert said([]) == ""


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"name": "a"}, "a: one of chart, definition, files, url, kustomization is needed, and it has none."),
        (
            {**CHART, "url": "https://c"},
            "web: one of chart, definition, files, url, kustomization is needed, and it has",
        ),
        ({**MANIFEST, "name": "Colours"}, "Colours: the name is no DNS label of at most 40 characters."),
        ({**CHART, "version": ""}, "web: oci://r.example/charts/nginx has no version"),
        *(
            ({**CHART, "version": text}, f"web: {text} is no exact version")
            for text in (1.1, "~1.2", "^1.2", "1.2", "1.x")
        ),
        ({**CHART, "namespace": ""}, "web: a chart needs a namespace."),
        ({**CHART, "namespace": "Bad_NS"}, "web: the namespace Bad_NS is no DNS label."),
        ({**MANIFEST, "namespace_labels": {"a/b/c": "d"}}, "colours: a/b/c=d is not a valid label of a namespace."),
        ({**MANIFEST, "namespace_labels": {"a": "d e"}}, "colours: a=d e is not a valid label of a namespace."),
        ({**MANIFEST, "namespace_labels": {"a": 1.5}}, "colours: namespace_labels: a must be a text, not 1.5."),
        ({**CHART, "repository": "c.example"}, "web: c.example is no http:// or https:// address"),
        ({**CHART, "chart": "oci://c/a b"}, "web: oci://c/a b is malformed."),
        ({**CHART, "chart": "https:///a.tgz"}, "web: https:///a.tgz is malformed."),
        ({**CHART, "repository": "https://c/a b"}, "web: https://c/a b is no http:// or https:// address"),
        (
            {"name": "a", "url": "https://c/a\n.yaml", "checksum": DIGEST},
            "a: https://c/a\n.yaml is no http:// or https:// address.",
        ),
        ({**CHART, "repository": "https://c"}, "web: oci://r.example/charts/nginx is no name of a chart"),
        ({"name": "a", "chart": "none", "namespace": "a"}, "a: /nonexistent/none does not exist on the controller."),
        ({"name": "a", "files": ["none.yaml"]}, "a: /nonexistent/none.yaml does not exist on the controller."),
        ({"name": "a", "kustomization": "none"}, "a: /nonexistent/none does not exist on the controller."),
        ({"name": "a", "url": "https://c/a.yaml"}, "a: what is downloaded is not verified"),
        ({"name": "a", "url": "ftp://c/a.yaml", "checksum": DIGEST}, "a: ftp://c/a.yaml is no http"),
        ({**MANIFEST, "version": "1"}, "colours: version is for charts, and this entry has definition."),
        ({**MANIFEST, "checksum": DIGEST}, "colours: checksum is for url, and this entry has definition."),
        (
            {**MANIFEST, "ready_when": [{"type": "rollout", "names": ["a"]}]},
            "colours: the condition rollout of ready_when lacks kind and namespace.",
        ),
    ],
)
def test_mistakes(entry: t.Dict[str, t.Any], expected: str) -> None:
    assert f"cluster: addons_list: {expected}" in said([entry])


def test_charts_that_are_none(inventory: Path) -> None:
    for name, expected in (("site", "has no Chart.yaml with name and version"), ("a.yaml", "a.yaml is no chart")):
        assert expected in said([{"name": "a", "chart": name, "namespace": "a"}], folder=str(inventory))
    local = {"name": "a", "chart": "charts/local", "namespace": "a", "version": "9.9.9"}
    assert "has the version 0.3.0, and not 9.9.9." in said([local], folder=str(inventory))


def test_lists() -> None:
    assert "web stands in the list twice." in said([CHART, CHART])
    labelled = [{**MANIFEST, "name": name, "namespace_labels": {"level": name}} for name in ("low", "high")]
    assert "high and low give the namespace default the label level with other values, high and low." in said(labelled)
    assert said([labelled[0], {**labelled[1], "namespace": "other"}, MANIFEST]) == ""
    written = [{**MANIFEST, "name": str(k).lower(), "namespace_labels": {"k": k, "n": None}} for k in (True, "true")]
    assert said([written[0], {**written[1], "name": "text"}]) == ""
    assert "cluster: addons_list: differs between control planes" in said([CHART], [])


def test_an_object_in_two_entries() -> None:
    item = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "sky"}}
    first = {"name": "a", "definition": [item, item]}
    for second in (item, json.dumps(item), {"apiVersion": "v1", "kind": "List", "items": [item]}):
        found = said([first, {"name": "b", "namespace": "default", "definition": second}])
        assert found.startswith("cluster: addons_list: b and a both have the object ConfigMap default/sky.")
        assert said([first, {"name": "b", "namespace": "other", "definition": second}]) == ""
    # What is never deleted may be in several; what cannot be read is the API server's to refuse.
    namespace = {**item, "kind": "Namespace"}
    assert said([{"name": name, "definition": namespace} for name in "ab"]) == ""
    for text in ("{", "a: 2026-13-45", {**item, "metadata": {"name": "sky", "namespace": {"a": 1}}}, "- a", 1):
        assert said([first, {"name": "b", "definition": text}]) == ""


def roles(**variables: t.Any) -> t.List[str]:
    given = {"cni_provider": "none", "addons_list": [], **variables}
    hosts = [Host("cp1", control_plane=True, variables=given), Host("worker1", variables=given)]
    return [f"{p.host or 'cluster'}: {p.subject}: {p.message}" for check in checks.CHECKS for p in check(hosts)]


@pytest.mark.parametrize(
    ("namespace", "name", "prefix", "switch"),
    [
        ("kube-flannel", "flannel", "cni_flannel", {"cni_provider": "flannel"}),
        ("kube-system", "metrics-server", "metrics_server", {"metrics_server_enabled": True}),
        ("metallb-system", "metallb", "metallb", {"metallb_enabled": "yes"}),
    ],
)
def test_releases_and_versions_of_roles(namespace: str, name: str, prefix: str, switch: t.Dict[str, t.Any]) -> None:
    addon = {**CHART, "name": name, "namespace": namespace}
    good = {**switch, f"{prefix}_chart_version": "v1.2.3-rc.1+b"}
    assert roles(addons_list=[addon]) == []
    assert roles(**good, addons_list=[{**addon, "namespace": "other"}, {**CHART, "namespace": namespace}]) == []
    assert roles(**good, addons_list=[addon]) == [
        f"cluster: addons_list: {name}: the release {namespace}/{name} is that of {prefix}_chart."
    ]
    assert roles(**{**good, f"{prefix}_chart_version": 1.1}) == [
        f"cp1: {prefix}_chart_version: 1.1 is no exact version of a chart."
    ]


def said_of_networks(*entries: t.Any, **more: t.Any) -> t.List[str]:
    """What is said of the list that a pod network comes from, on two control planes."""
    given = {"cluster_cni": "manifest", "cni_manifests": list(entries), **more}
    hosts = [Host(f"cp{number}", control_plane=True, variables=given) for number in (1, 2)]
    return [f"{p.host or 'cluster'}: {p.subject}: {p.message}" for check in checks.CHECKS for p in check(hosts)]


def test_the_list_of_a_pod_network() -> None:
    """Its entries are those of the addons' list, which is looked at, too."""
    good = {"name": "weave", "url": "https://c.example/weave.yaml", "checksum": DIGEST}
    assert said_of_networks(good) == []
    assert said_of_networks({**good, "checksum": ""})[0].startswith("cluster: cni_manifests: weave: what is downloaded")
    assert said_of_networks(good, good) == ["cluster: cni_manifests: weave stands in the list twice."]
    both = said_of_networks(good, addons_list=[MANIFEST, MANIFEST])
    assert both == ["cluster: addons_list: colours stands in the list twice."]
    # Another pod network has no such list.
    assert said_of_networks("x", cluster_cni="none") == []


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("x", "entry 1: missing required arguments: name."),
        ({"url": "https://c.example/a.yaml"}, "entry 1: missing required arguments: name."),
        ({**MANIFEST, "ready_when": "x"}, "colours: dictionary requested, could not parse JSON"),
        ({**MANIFEST, "checksums": DIGEST}, "colours: checksums. Supported parameters include: "),
    ],
)
def test_keys_and_types_of_entries_of_a_pod_network(entry: t.Any, expected: str) -> None:
    found = [line for line in said_of_networks(entry) if line.startswith("cp1")]
    assert len(found) == 1 and found[0].startswith(f"cp1: cni_manifests: {expected}")
