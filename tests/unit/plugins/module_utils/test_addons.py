# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of addons in front of a small API server and a small helm."""

from __future__ import annotations

import base64
import io
import json
import tarfile
import typing as t
from pathlib import Path

import pytest
import yaml
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import addons, helm
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kube_objects as kube
from ansible_collections.slipway.kubernetes.plugins.modules import kube_addons
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import FakeKubectl
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

PROJECT = Path(__file__).resolve().parents[4]
Values = t.Dict[str, t.Any]


class Cluster(FakeKubectl):
    """An API server, and helm with its releases."""

    def __init__(self, lacking: str = "") -> None:
        super().__init__(lacking=lacking)
        self.releases: t.Dict[t.Tuple[str, str], Values] = {}
        self.changes: t.List[str] = []
        answers: t.Dict[str, t.Any] = {
            "helm list": self._listed,
            "helm get": self._values,
            "helm upgrade": self._upgraded,
            "helm uninstall": self._uninstalled,
        }
        self.runner = FakeRunner(answers, tools=() if lacking else ("helm", "kubectl"))

    @property
    def configured(self) -> bool:
        return not self._lacking

    def _answer(self, argv: t.List[str], stdin: t.Optional[str]) -> CommandResult:
        if argv[:2] == ["get", "configmap"]:
            found = self.store.get(kube.Reference("", "ConfigMap", "kube-system", argv[2]))
            return CommandResult([], 0, json.dumps(found) if found else "", "")
        if argv[0] == "kustomize":
            return CommandResult([], 0, (Path(argv[1]) / "object.json").read_text(), "")
        if argv[0] == "apply" and "items" not in json.loads(stdin or ""):
            stdin = kube.as_list([json.loads(stdin or "")])
        return super()._answer(argv, stdin)

    @staticmethod
    def _option(argv: t.Sequence[str], name: str) -> str:
        return next((word.partition("=")[2] for word in argv if word.startswith(f"--{name}=")), "")

    def _listed(self, argv: t.List[str]) -> str:
        namespace = self._option(argv, "namespace")
        return json.dumps([item for place, item in self.releases.items() if namespace in ("", place[0])])

    def _values(self, argv: t.List[str]) -> str:
        return json.dumps(self.releases[(self._option(argv, "namespace"), argv[3])]["values"])

    def _upgraded(self, argv: t.List[str]) -> str:
        name, chart, namespace = argv[2], argv[3], self._option(argv, "namespace")
        values = json.loads(Path(self._option(argv, "values")).read_text())
        if values.get("broken"):
            raise SlipwayError("The release could not be installed")
        base = "local" if chart.endswith(".tgz") else chart.rsplit("/", 1)[-1]
        others = [item["chart"] for place, item in self.releases.items() if place != (namespace, name)]
        if values.get("fixed") and any(other.rpartition("-")[0] == base for other in others):
            raise SlipwayError("invalid ownership metadata")
        chart = f"{base}-{self._option(argv, 'version')}"
        status = {"status": "deployed", "revision": "1", "values": values}
        self.releases[(namespace, name)] = {"name": name, "namespace": namespace, "chart": chart, **status}
        self.changes.append(f"upgrade {namespace}/{name}")
        return ""

    def _uninstalled(self, argv: t.List[str]) -> str:
        del self.releases[(self._option(argv, "namespace"), argv[2])]
        self.changes.append(f"uninstall {self._option(argv, 'namespace')}/{argv[2]}")
        return ""


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return install(Cluster(), monkeypatch)


def install(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr(addons, "Kubectl", lambda *_: cluster)
    monkeypatch.setattr(helm, "Kubectl", lambda *_: cluster)
    return cluster


def run(cluster: Cluster, *entries: Values, check: bool = False, prune: bool = True) -> t.Dict[str, t.Any]:
    read = addons.read_entries(json.dumps(list(entries)))
    return addons.Addons(read, prune, "/etc/kubernetes/admin.conf", cluster.runner, check).run()  # type: ignore[arg-type]


def actions(result: t.Mapping[str, t.Any]) -> t.List[str]:
    return [f"{entry['name']} {entry['action']}" for entry in result["addons"]]


def config_map(name: str = "colours", **data: str) -> kube.Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


CHART = {"name": "web", "chart": "oci://r.example/charts/nginx", "version": "1.2.3", "namespace": "web"}
MANIFEST = {"name": "colours", "namespace": "paint", "definition": config_map(sky="blue")}


def test_a_list_is_applied_in_its_order_and_then_nothing_changes(cluster: Cluster) -> None:
    checked = run(cluster, CHART, MANIFEST, check=True)
    assert checked["changed"] and cluster.changes == [] and cluster.store == {}
    done = run(cluster, CHART, MANIFEST)
    assert actions(done) == actions(checked) == ["web installed", "colours applied"]
    assert cluster.names() == ["colours", "paint", "slipway-addons", "slipway-set-addon-colours", "web"]
    for check in (True, False):
        again = run(cluster, CHART, MANIFEST, check=check)
        assert (again["changed"], again["diff"]) == (False, [])
    assert cluster.changes == ["upgrade web/web"]


def test_what_has_left_the_list_is_removed(cluster: Cluster) -> None:
    run(cluster, CHART, MANIFEST)
    checked = run(cluster, MANIFEST, check=True)
    assert actions(checked) == ["colours unchanged", "web deleted"] and ("web", "web") in cluster.releases
    assert actions(run(cluster, MANIFEST)) == actions(checked)
    assert cluster.releases == {}
    assert not run(cluster, MANIFEST)["changed"]
    gone = run(cluster)
    assert actions(gone) == ["colours deleted"]
    # More may be in a namespace than the entry has put there.
    assert gone["addons"][0]["kept"] == ["Namespace paint"]
    assert cluster.names() == ["paint", "slipway-addons", "web"]
    assert not run(cluster)["changed"]


def test_several_entries_in_one_namespace(cluster: Cluster) -> None:
    """None takes away what another one, or a role, has given it."""
    labelled = {**MANIFEST, "namespace_labels": {"pod-security.kubernetes.io/enforce": "baseline"}}
    others = [
        {**CHART, "namespace": "paint"},
        {**MANIFEST, "name": "shapes", "definition": config_map("shapes", round="yes")},
        {**CHART, "name": "late", "namespace": "paint", "namespace_labels": {"late": "yes"}},
    ]
    run(cluster, labelled, *others)
    place = kube.Reference("", "Namespace", "", "paint")
    labels = {"pod-security.kubernetes.io/enforce": "baseline", "late": "yes", "slipway.io/set": "addon-colours"}
    for check in (True, False):
        assert cluster.store[place]["metadata"]["labels"] == labels
        again = run(cluster, labelled, *others, check=check)
        assert actions(again) == [f"{name} unchanged" for name in ("colours", "web", "shapes", "late")]
    # It goes with none of them, and who has made it is told so.
    assert run(cluster, labelled)["addons"][1:] != [] and cluster.store[place]["metadata"]["labels"] == labels
    assert run(cluster)["addons"][0]["kept"] == ["Namespace paint"] and "paint" in cluster.names()


def test_an_object_that_has_left_its_entry(cluster: Cluster) -> None:
    run(cluster, {**MANIFEST, "definition": [config_map("one"), config_map("two")]})
    assert run(cluster, {**MANIFEST, "definition": [config_map("two")]})["changed"]
    assert "one" not in cluster.names() and "two" in cluster.names()


def sets(*names: str, **entry: t.Any) -> Values:
    return {"namespace": "paint", "definition": [config_map(name) for name in names], **entry}


@pytest.mark.parametrize("dropped", [False, True])
def test_an_object_that_moves_to_a_later_entry_is_not_deleted(cluster: Cluster, dropped: bool) -> None:
    run(cluster, sets("one", "data", name="a"), sets("three", name="b"))
    place = kube.Reference("", "ConfigMap", "paint", "data")
    cluster.store[place]["metadata"]["uid"] = "kept"
    moved = [*([] if dropped else [sets("one", name="a")]), sets("three", "data", name="b")]
    checked, done = run(cluster, *moved, check=True), run(cluster, *moved)
    assert actions(checked) == actions(done)
    for result in (checked, done):
        assert "data" not in "".join(part["before_header"] for part in result["diff"] if not part["after"])
    assert cluster.store[place]["metadata"]["uid"] == "kept"
    assert not run(cluster, *moved)["changed"]
    assert "data" in cluster.names()
    assert run(cluster, *moved[:-1])["changed"]
    assert "data" not in cluster.names()


def test_a_run_that_ends_before_the_others_still_knows_what_has_left(cluster: Cluster) -> None:
    run(cluster, sets("one", "data", "old", name="a"), sets("three", name="b"))
    now = [sets("one", name="a"), sets("three", "data", name="b")]
    for broken in ({**CHART, "values": {"broken": True}}, {**MANIFEST, "name": "c", "definition": "# broken"}):
        cluster.fail("no", verb="patch")
        with pytest.raises(SlipwayError):
            run(cluster, now[0], broken, now[1])
        assert {"data", "old"} <= set(cluster.names())
    done = run(cluster, *now)
    assert "old" not in cluster.names() and "data" in cluster.names()
    assert next(entry["msg"] for entry in done["addons"] if entry["name"] == "a").startswith("1 configured, 1 deleted")
    assert not run(cluster, *now)["changed"]


def test_an_object_that_has_left_its_entry_stays_when_nobody_wants_that(cluster: Cluster) -> None:
    run(cluster, sets("one", "two", name="a"))
    assert not run(cluster, sets("one", name="a"), prune=False)["changed"]
    assert run(cluster, sets("one", "new", name="a"), prune=False)["changed"]
    assert {"new", "two"} <= set(cluster.names())
    assert run(cluster, sets("one", "new", name="a"))["changed"]
    assert "two" not in cluster.names()


@pytest.mark.parametrize("check", [True, False])
def test_an_object_in_two_entries(cluster: Cluster, check: bool) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "reader"}}
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.org"},
        "spec": {"names": {"kind": "Thing"}},
    }
    first = {"name": "a", "definition": [role, crd]}
    for others, shared in (
        (
            [first, {"name": "b", "namespace": "kube-system", "definition": role}],
            "ClusterRole.rbac.authorization.k8s.io reader (a)",
        ),
        ([sets("one", name="a"), sets("two", "one", name="b")], "ConfigMap paint/one (a)"),
    ):
        with pytest.raises(SlipwayError) as error:
            run(cluster, *others, check=check)
        assert error.value.msg.startswith(f"addon b: Other entries have these objects, too: {shared}. Each run")
        assert "two" not in cluster.names()
    # What is never deleted stays with the first.
    run(cluster, first, {"name": "b", "namespace": "paint", "definition": [crd]}, check=check)


def test_nothing_is_removed_that_was_there_before(cluster: Cluster) -> None:
    run(cluster, {"name": "web", "chart": "theirs", "version": "1.0.0", "namespace": "web"})
    cluster.store.pop(kube.Reference("", "ConfigMap", "kube-system", "slipway-addons"))
    cluster.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "paint"}})
    cluster.put({**config_map(sky="grey"), "metadata": {"name": "colours", "namespace": "paint"}})
    run(cluster, CHART, MANIFEST)
    assert cluster.releases[("web", "web")]["chart"] == "nginx-1.2.3"
    assert not run(cluster, CHART, MANIFEST)["changed"]
    removed = run(cluster)
    assert actions(removed) == ["colours deleted", "web forgotten"]
    assert ("web", "web") in cluster.releases and "colours" in cluster.names()


def test_a_release_that_was_there_before_and_was_made_anew_is_ours(cluster: Cluster) -> None:
    run(cluster, CHART)
    cluster.store.pop(kube.Reference("", "ConfigMap", "kube-system", "slipway-addons"))
    assert not run(cluster, CHART)["changed"]
    cluster.releases.clear()
    assert actions(run(cluster, CHART)) == ["web installed"]
    assert actions(run(cluster)) == ["web deleted"] and not cluster.releases


def test_nothing_is_removed_when_nobody_wants_that(cluster: Cluster) -> None:
    run(cluster, CHART, MANIFEST)
    assert not run(cluster, prune=False)["changed"]
    assert ("web", "web") in cluster.releases
    assert actions(run(cluster)) == ["colours deleted", "web deleted"]


def test_an_entry_that_fails_is_named_and_the_next_run_goes_on(cluster: Cluster) -> None:
    broken = {**CHART, "name": "broken", "values": {"broken": True}}
    with pytest.raises(SlipwayError) as error:
        run(cluster, MANIFEST, broken, CHART)
    assert error.value.msg.startswith("addon broken: The release could not be installed")
    assert error.value.details["done"] == [{"name": "colours", "action": "applied"}]
    assert ("web", "web") not in cluster.releases
    # It was begun, so that whatever it has left is known.
    assert actions(run(cluster, MANIFEST, CHART)) == ["colours unchanged", "web installed", "broken forgotten"]


def test_a_release_that_moves_leaves_its_place_first(cluster: Cluster) -> None:
    run(cluster, CHART)
    assert actions(run(cluster, {**CHART, "namespace": "other"})) == ["web deleted", "web installed"]
    assert list(cluster.releases) == [("other", "web")]
    assert cluster.changes == ["upgrade web/web", "uninstall web/web", "upgrade other/web"]


@pytest.mark.parametrize("namespace", ["web", "other"])
def test_a_release_with_another_name_comes_after_the_old_one(cluster: Cluster, namespace: str) -> None:
    """Names that the chart has fixed can be those of one release only."""
    old = {**CHART, "values": {"fixed": True}}
    beside = {**CHART, "name": "beside", "chart": "oci://r.example/charts/nginx-more"}
    run(cluster, old, beside)
    renamed = {**old, "name": "web2", "namespace": namespace}
    with pytest.raises(SlipwayError, match="ownership"):
        run(cluster, renamed, prune=False)
    # The run that failed has recorded it.
    checked = run(cluster, renamed, check=True)
    assert actions(checked) == ["web deleted", "web2 installed", "beside deleted"]
    assert actions(run(cluster, renamed)) == actions(checked)
    assert cluster.changes[2:] == ["uninstall web/web", f"upgrade {namespace}/web2", "uninstall web/beside"]
    assert not run(cluster, renamed)["changed"]


def archive(**files: str) -> str:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name.replace("_", "."))
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    return base64.b64encode(target.getvalue()).decode()


def test_a_chart_of_files_that_were_changed(cluster: Cluster) -> None:
    local = {**CHART, "chart": "charts/local", "archive": archive(a="b"), "digest": "1", "chart_name": "local"}
    run(cluster, local)
    assert not run(cluster, local)["changed"]
    changed = {**local, "digest": "2"}
    assert actions(run(cluster, changed, check=True)) == ["web upgraded"]
    assert actions(run(cluster, changed)) == ["web upgraded"]
    assert not run(cluster, changed)["changed"]


def test_kustomizations_and_files(cluster: Cluster) -> None:
    folder = archive(object_json=json.dumps(config_map("built")))
    run(
        cluster,
        {"name": "k", "kustomization": "folder", "archive": folder},
        {"name": "f", "files": ["a", "b"], "texts": [json.dumps(config_map("one")), json.dumps(config_map("two"))]},
    )
    assert {"built", "one", "two"} <= set(cluster.names())


def test_waiting_after_an_entry(cluster: Cluster) -> None:
    condition = {"type": "rollout", "kind": "deployment", "namespace": "web", "names": ["web"]}
    with pytest.raises(
        SlipwayError, match="addon colours: Still missing after 0 seconds:\ndeployment web/web: does not"
    ):
        run(cluster, {**MANIFEST, "ready_when": [condition], "timeout": 0})
    checked = run(cluster, {**MANIFEST, "ready_when": [condition]}, check=True)
    assert not checked["changed"]
    assert checked["addons"][0]["missing"] == ["deployment web/web: does not exist"]


def test_secrets_are_in_no_diff(cluster: Cluster) -> None:
    shown = run(cluster, {**CHART, "values": {"password": "hunter2"}, "secret": True}, check=True)
    assert shown["diff"] and "hunter2" not in str(shown)


def test_a_bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = install(Cluster(lacking="kubectl is not installed on this host."), monkeypatch)
    assert actions(run(bare, CHART, MANIFEST, check=True)) == ["web installed", "colours applied"]
    assert run(bare, CHART, MANIFEST, check=True)["changed"]
    assert not run(bare, check=True)["changed"]
    with pytest.raises(SlipwayError, match="kubectl is not installed"):
        run(bare, CHART)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"name": "a"}, "addon a: one of chart, definition, files, url, kustomization is needed, and it has none."),
        ({**CHART, "url": "https://a"}, "and it has chart and url."),
        ({**CHART, "Version": "1"}, "addon web: Version. Supported parameters include"),
        ({**CHART, "name": "Web"}, "addon Web: the name must be"),
        ({**CHART, "version": ""}, "addon web: a chart needs `namespace` and `version`."),
        ({**MANIFEST, "ready_when": [{"type": "crd"}]}, "addon colours: type is crd but"),
    ],
)
def test_wrong_entries(entry: Values, expected: str) -> None:
    with pytest.raises(SlipwayError) as error:
        addons.read_entries(json.dumps([entry]))
    assert expected in error.value.msg
    with pytest.raises(SlipwayError, match="stands in the list twice"):
        addons.read_entries(json.dumps([CHART, CHART]))
    with pytest.raises(SlipwayError, match="a list of dictionaries"):
        addons.read_entries('{"name": "a"}')


def test_a_damaged_record() -> None:
    with pytest.raises(SlipwayError, match="slipway-addons is damaged"):
        addons.read_record("{}")


def test_what_the_role_documents_is_what_there_is() -> None:
    specs = yaml.safe_load((PROJECT / "roles/addons/meta/argument_specs.yml").read_text())
    documented = specs["argument_specs"]["main"]["options"]["addons_list"]["options"]

    def bare(options: Values) -> Values:
        kept = ("type", "elements", "default", "required", "choices")
        return {
            name: {
                **{key: option[key] for key in kept if key in option},
                "options": bare(option.get("options") or {}),
            }
            for name, option in options.items()
        }

    assert bare(documented) == bare(addons.ENTRY_OPTIONS)


def test_the_module_hides_the_list(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> None:
    monkeypatch.setattr(_module, "Runner", lambda _module: cluster.runner)
    text = json.dumps([{**MANIFEST, "definition": config_map(sky="blue"), "secret": True}])
    done = run_module(kube_addons.main, {"addons": text})
    assert done["changed"] and "blue" not in str(done)
    removed = run_module(kube_addons.main, {"addons": "[]"})
    assert "addon colours: not deleted, since more may be in them: Namespace paint." in str(removed["warnings"])
    failed = run_module(kube_addons.main, {"addons": '[{"name": "a"}]'})
    assert failed["failed"] and failed["msg"].startswith("addon a: one of")


def test_two_lists_in_one_cluster(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> None:
    """Each has a record and sets of its own, and removes nothing of the other one."""
    monkeypatch.setattr(_module, "Runner", lambda _module: cluster.runner)
    own = {"set_prefix": "cni", "record": "slipway-cni"}
    waiting = {**MANIFEST, "ready_when": [{"type": "crd", "names": ["never.example.com"]}]}
    run(cluster, {**MANIFEST, "definition": config_map("other", sky="grey")})
    done = run_module(kube_addons.main, {"addons": json.dumps([waiting]), "wait": False, **own})
    assert actions(done) == ["colours applied"]
    assert {"slipway-addons", "slipway-cni", "slipway-set-addon-colours", "slipway-set-cni-colours"} <= set(
        cluster.names()
    )
    assert actions(run_module(kube_addons.main, {"addons": "[]", **own})) == ["colours deleted"]
    assert "other" in cluster.names() and "colours" not in cluster.names()


def test_an_entry_that_moves_to_another_list_keeps_its_objects(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner
) -> None:
    """A pod network that was an addon, and comes from its own list now, does not go for a moment."""
    monkeypatch.setattr(_module, "Runner", lambda _module: cluster.runner)
    own = {"set_prefix": "cni", "record": "slipway-cni"}
    run(cluster, MANIFEST)
    assert actions(run_module(kube_addons.main, {"addons": json.dumps([MANIFEST]), **own})) == ["colours applied"]
    assert actions(run(cluster)) == ["colours deleted"]
    assert {"colours", "paint"} <= set(cluster.names()) and "slipway-set-addon-colours" not in cluster.names()
    assert not run_module(kube_addons.main, {"addons": json.dumps([MANIFEST]), **own})["changed"]
