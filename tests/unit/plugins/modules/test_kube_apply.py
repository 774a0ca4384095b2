# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import io
import json
import typing as t
import urllib.error
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kube_apply as _kube_apply
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kube_objects as kube
from ansible_collections.slipway.kubernetes.plugins.modules import kube_apply
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import Clock, FakeKubectl
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

pytestmark = pytest.mark.usefixtures("clock")

WEBHOOK = (
    "Error from server (InternalError): Internal error occurred: failed calling webhook "
    '"validate.example.org": failed to call webhook: Post "https://w.example.svc:443/?timeout=10s": '
    'no endpoints available for service "w"\n'
)


def config_map(name: str, namespace: t.Optional[str] = None, **data: str) -> kube.Object:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def namespace(name: str) -> kube.Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.example.org"},
    "spec": {"group": "example.org", "names": {"kind": "Thing"}},
}
THING = {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "one"}, "spec": {"size": 1}}


def build(kubectl: FakeKubectl, check: bool = False, **params: t.Any) -> t.Any:
    defaults: t.Dict[str, t.Any] = {
        "state": "present",
        "definition": None,
        "files": None,
        "url": None,
        "checksum": None,
        "namespace": "default",
        "set_name": None,
        "field_manager": "slipway",
        "force_conflicts": False,
        "retry": 0,
        "delete_timeout": 120,
    }
    return kube_apply.KubeApply({**defaults, **params}, kubectl, check)


def run(kubectl: FakeKubectl, check: bool = False, **params: t.Any) -> t.Any:
    return build(kubectl, check, **params).run()


def actions(result: t.Mapping[str, t.Any]) -> t.Dict[str, str]:
    return {
        f"{item['kind']} {item['namespace']}/{item['name']}".replace(" /", " "): item["action"]
        for item in result["objects"]
    }


def test_argv() -> None:
    module = build(FakeKubectl(), force_conflicts=True, field_manager="me")
    assert module.apply_argv(dry_run=True)[-3:] == ["--field-manager=me", "--force-conflicts", "--dry-run=server"]
    assert "--timeout=120s" in module.delete_argv()
    assert "--wait=false" in build(FakeKubectl(), delete_timeout=0).delete_argv()


def test_creates_then_finds_nothing_to_do() -> None:
    kubectl = FakeKubectl()
    objects = [config_map("a", "new", x="1"), namespace("new")]
    predicted = run(kubectl, check=True, definition=objects)
    assert predicted["changed"] and kubectl.names() == []
    created = run(kubectl, definition=objects)
    assert created["msg"] == "2 created"
    assert [step["action"] for step in created["objects"]] == ["created", "created"]
    assert created["diff"][1]["after_header"] == "ConfigMap new/a"
    assert 'data.x: "1"' in created["diff"][1]["after"]
    kubectl.calls.clear()
    again = run(kubectl, definition=objects)
    assert not again["changed"] and again["diff"] == []
    assert kubectl.verbs() == ["get", "apply --dry-run"]
    assert not run(kubectl, check=True, definition=objects)["changed"]


def test_new_objects_need_no_dry_run() -> None:
    kubectl = FakeKubectl()
    run(kubectl, definition=config_map("a"))
    assert kubectl.verbs() == ["get", "apply"]


def test_configures_and_shows_only_what_changes() -> None:
    kubectl = FakeKubectl()
    run(kubectl, definition=config_map("a", x="1", y="1"))
    result = run(kubectl, definition=config_map("a", x="1", y="2"))
    assert actions(result) == {"ConfigMap default/a": "configured"}
    assert result["diff"] == [
        {
            "before_header": "ConfigMap default/a",
            "after_header": "ConfigMap default/a",
            "before": 'data.y: "1"\n',
            "after": 'data.y: "2"\n',
        }
    ]


def test_taking_over_fields_is_a_change() -> None:
    kubectl = FakeKubectl(config_map("a", x="1"))
    result = run(kubectl, definition=config_map("a", x="1"))
    assert result["changed"] and result["diff"][0]["after"] == "owned_by_slipway.data: true\n"
    assert not run(kubectl, definition=config_map("a", x="1"))["changed"]


def test_a_cluster_scoped_object_has_no_namespace() -> None:
    kubectl = FakeKubectl()
    assert actions(run(kubectl, definition=namespace("a"), namespace="b")) == {"Namespace a": "created"}
    assert actions(run(kubectl, definition=namespace("a"), namespace="b")) == {"Namespace a": "unchanged"}


def test_definitions_and_their_resources_in_one_call(clock: Clock) -> None:
    kubectl = FakeKubectl()
    result = run(kubectl, definition=[THING, CRD])
    assert result["msg"] == "2 created" and clock.pauses == [0.5]
    assert kubectl.verbs() == ["get", "get", "apply", "apply"]
    assert not run(kubectl, definition=[THING, CRD])["changed"]


def test_check_mode_before_kinds_and_namespaces_exist() -> None:
    kubectl = FakeKubectl()
    result = run(kubectl, check=True, definition=[THING, config_map("a", "late"), config_map("b")])
    assert result["changed"]
    assert result["msg"] == "3 created (not there yet: kind Thing, namespace late)"
    assert run(kubectl, check=True, definition=[THING])["changed"]


def test_a_kind_that_never_comes(clock: Clock) -> None:
    kubectl = FakeKubectl()
    with pytest.raises(SlipwayError, match=r"Gave up after \d+ attempts in \d+ seconds.*no matches for kind"):
        run(kubectl, definition=[THING], retry=10)
    assert 10 <= clock.now < 14
    with pytest.raises(SlipwayError, match="set retry to go on trying"):
        run(kubectl, definition=[THING])


def test_retries_while_a_webhook_comes_up() -> None:
    kubectl = FakeKubectl()
    kubectl.fail(WEBHOOK, "apply", times=3)
    assert run(kubectl, definition=config_map("a"), retry=60)["changed"]
    assert kubectl.verbs() == ["get", "apply", "apply", "apply", "apply"]


def test_check_mode_does_not_wait_for_a_webhook(clock: Clock) -> None:
    kubectl = FakeKubectl(config_map("a", x="1"), config_map("b", x="1"))
    kubectl.fail(WEBHOOK, "apply", times=3)
    given = [config_map("a", x="1"), config_map("b", x="2"), config_map("c")]
    result = run(kubectl, check=True, definition=given, retry=60)
    assert [entry["action"] for entry in result["objects"]] == ["unchanged", "configured", "created"]
    assert result["msg"].endswith("(not there yet: a webhook that checks them)")
    assert [("2" in entry["after"], "1" in entry["before"]) for entry in result["diff"]] == [
        (True, True),
        (False, False),
    ]
    assert not run(kubectl, check=True, definition=given[:1], retry=60)["changed"]
    assert clock.now == 0.0


def test_a_lasting_error_is_not_retried() -> None:
    kubectl = FakeKubectl()
    kubectl.fail('Error from server (Forbidden): configmaps "a" is forbidden', "apply")
    with pytest.raises(SlipwayError, match="is forbidden"):
        run(kubectl, definition=config_map("a"), retry=60)


def test_the_dry_run_complains_of_something_that_is_there() -> None:
    kubectl = FakeKubectl(config_map("a"))
    kubectl.fail('namespaces "gone" not found', "apply", times=2)
    with pytest.raises(SlipwayError, match="gone"):
        run(kubectl, definition=config_map("a", x="1"))


def test_conflicts_name_the_way_out() -> None:
    kubectl = FakeKubectl(config_map("a"))
    kubectl.fail(
        'error: Apply failed with 1 conflict: conflict with "kubectl-create" using v1: .data.v\n'
        "Please review the fields above--they currently have other managers. Here\n",
        "apply",
    )
    with pytest.raises(SlipwayError) as caught:
        run(kubectl, definition=config_map("a", v="2"))
    assert caught.value.msg.endswith(".data.v Set force_conflicts to take these fields over.")


def test_warnings_are_passed_on() -> None:
    kubectl = FakeKubectl()
    kubectl.stderr = "Warning: v1 ComponentStatus is deprecated in v1.19+\n" * 2
    assert run(kubectl, definition=config_map("a"))["warnings"] == ["v1 ComponentStatus is deprecated in v1.19+"]


def test_sets_delete_what_is_not_listed_any_more() -> None:
    kubectl = FakeKubectl()
    run(kubectl, definition=[config_map("a"), config_map("b"), namespace("n")], set_name="demo")
    assert kubectl.names() == ["a", "b", "n", "slipway-set-demo"]
    assert all(item["metadata"]["labels"] == {"slipway.io/set": "demo"} for item in kubectl.store.values())
    assert not run(kubectl, definition=[config_map("a"), config_map("b"), namespace("n")], set_name="demo")["changed"]
    predicted = run(kubectl, check=True, definition=[config_map("a")], set_name="demo")
    assert predicted["msg"] == "1 configured, 2 deleted, 1 unchanged" and len(kubectl.names()) == 4
    result = run(kubectl, definition=[config_map("a")], set_name="demo")
    assert result["msg"] == predicted["msg"]
    assert kubectl.names() == ["a", "slipway-set-demo"]
    assert not run(kubectl, definition=[config_map("a")], set_name="demo")["changed"]


def test_a_set_keeps_its_record_until_the_stale_objects_are_gone() -> None:
    kubectl = FakeKubectl()
    run(kubectl, definition=[config_map("a"), config_map("b")], set_name="demo")
    kubectl.fail("Error from server (Forbidden): no", "delete")
    with pytest.raises(SlipwayError, match="Forbidden"):
        run(kubectl, definition=[config_map("c")], set_name="demo")
    run(kubectl, definition=[config_map("c")], set_name="demo")
    assert kubectl.names() == ["c", "slipway-set-demo"]


def test_a_set_leaves_alone_what_lacks_its_label_or_is_given_by_another_name() -> None:
    kubectl = FakeKubectl()
    run(kubectl, definition=[config_map("a"), namespace("n")], set_name="demo", namespace="default")
    place = kube.Reference("", "ConfigMap", "default", "a")
    kubectl.store[place]["metadata"]["labels"] = {}
    run(kubectl, definition=[namespace("n")], set_name="demo", namespace="kube-system")
    assert kubectl.names() == ["a", "n", "slipway-set-demo"]


def test_a_set_whose_kind_is_gone() -> None:
    kubectl = FakeKubectl()
    run(kubectl, definition=[CRD, THING], set_name="demo")
    kubectl.custom_kinds.clear()
    result = run(kubectl, definition=[], set_name="demo")
    assert result["msg"] == "1 configured, 1 deleted"


def test_a_damaged_record() -> None:
    kubectl = FakeKubectl(config_map("slipway-set-demo", "kube-system", objects="no"))
    with pytest.raises(SlipwayError, match="kube-system/slipway-set-demo is damaged"):
        run(kubectl, definition=[], set_name="demo")


def test_deletes_a_set_with_its_record_last() -> None:
    kubectl = FakeKubectl()
    objects = [namespace("n"), config_map("a", "n"), CRD, THING]
    run(kubectl, definition=objects, set_name="demo")
    assert run(kubectl, check=True, state="absent", set_name="demo")["msg"] == "5 deleted"
    kubectl.sent.clear()
    result = run(kubectl, definition=objects[:1], state="absent", set_name="demo")
    assert result["changed"] and kubectl.names() == []
    order = [item["metadata"]["name"] for item in kubectl.sent[-1]]
    assert set(order[:2]) == {"a", "one"} and order[-1] == "slipway-set-demo"
    assert not run(kubectl, state="absent", set_name="demo")["changed"]


def test_deletes_given_objects() -> None:
    kubectl = FakeKubectl(config_map("a", x="1"), config_map("b"))
    result = run(kubectl, definition=[config_map("a"), THING], state="absent")
    assert actions(result) == {"ConfigMap default/a": "deleted"}
    assert 'data.x: "1"' in result["diff"][0]["before"] and result["diff"][0]["after"] == ""
    assert kubectl.names() == ["b"]


@pytest.mark.parametrize("name", ["", "A", "-a", "a" * 51, "a b"])
def test_set_names(name: str) -> None:
    if name:
        with pytest.raises(SlipwayError, match="set_name"):
            build(FakeKubectl(), set_name=name)


def test_text_and_files(tmp_path: Path) -> None:
    path = tmp_path / "b.yaml"
    path.write_text(json.dumps(config_map("b")), encoding="utf-8")
    kubectl = FakeKubectl()
    result = run(kubectl, definition=json.dumps(config_map("a")), files=[str(path)])
    assert actions(result) == {"ConfigMap default/a": "created", "ConfigMap default/b": "created"}
    assert kubectl.calls[0][-2:] == ["--filename=-", f"--filename={path}"]
    assert run(kubectl, definition="# nothing\n")["msg"] == "nothing to do"
    assert run(kubectl, definition=" ")["msg"] == "nothing to do"
    with pytest.raises(SlipwayError, match="cannot be read: error: error parsing STDIN"):
        run(kubectl, definition="a: [")


def test_files_that_come_later(tmp_path: Path) -> None:
    path = str(tmp_path / "late.yaml")
    result = run(FakeKubectl(), check=True, files=[path])
    assert result["changed"] and path in result["msg"]
    with pytest.raises(SlipwayError, match="do not exist"):
        run(FakeKubectl(), files=[path])


def test_duplicates() -> None:
    with pytest.raises(SlipwayError, match="more than once: ConfigMap default/a"):
        run(FakeKubectl(), definition=[config_map("a"), config_map("a", "default")])


def test_bare_hosts() -> None:
    kubectl = FakeKubectl(lacking="kubectl is not installed on this host.")
    result = run(kubectl, check=True, definition=[config_map("a")])
    assert result["changed"] and result["msg"].startswith("kubectl is not installed")
    assert not run(kubectl, check=True, definition=[config_map("a")], state="absent")["changed"]
    with pytest.raises(SlipwayError, match="kubectl is not installed"):
        run(kubectl, definition=[config_map("a")])


# Downloads

TEXT = json.dumps(config_map("u"))
DIGEST = hashlib.sha256(TEXT.encode()).hexdigest()


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> t.Dict[str, bytes]:
    pages = {"https://example.org/m.yaml": TEXT.encode()}

    def open_url(url: str, **_options: t.Any) -> io.BytesIO:
        if url not in pages:
            raise urllib.error.URLError("Not Found")
        return io.BytesIO(pages[url])

    monkeypatch.setattr(_kube_apply, "open_url", open_url)
    return pages


def test_url(web: t.Dict[str, bytes]) -> None:
    result = run(FakeKubectl(), url="https://example.org/m.yaml", checksum=f"sha256:{DIGEST.upper()}")
    assert actions(result) == {"ConfigMap default/u": "created"}


def test_url_with_a_checksum_file(web: t.Dict[str, bytes]) -> None:
    web["https://example.org/sums"] = f"{'0' * 64}  other.yaml\n{DIGEST}  *dir/m.yaml\n".encode()
    assert _kube_apply.download("https://example.org/m.yaml", "sha256:https://example.org/sums") == TEXT


@pytest.mark.parametrize(
    ("checksum", "message"),
    [
        ("sha256:" + "0" * 64, f"has the SHA-256 checksum {DIGEST}, not 0000"),
        ("md5:0", "checksum must be sha256:"),
        ("0" * 64, "checksum must be sha256:"),
        ("sha256:https://example.org/none", "Cannot download https://example.org/none: .*Not Found"),
    ],
)
def test_bad_checksums(web: t.Dict[str, bytes], checksum: str, message: str) -> None:
    with pytest.raises(SlipwayError, match=message):
        _kube_apply.download("https://example.org/m.yaml", checksum)


def test_expected_sha256() -> None:
    assert _kube_apply.expected_sha256(f"{DIGEST}\n", "m.yaml") == DIGEST
    for listing in ("", f"{DIGEST}  n.yaml", f"{DIGEST}\n{DIGEST}\n", "m.yaml: OK"):
        with pytest.raises(SlipwayError, match=r"no SHA-256 checksum of m\.yaml"):
            _kube_apply.expected_sha256(listing, "m.yaml")


def test_main(run_module: ModuleRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl = FakeKubectl()
    kubectl.stderr = "Warning: careful\n"
    monkeypatch.setattr(kube_apply.Kubectl, "of", lambda _context: kubectl)
    result = run_module(kube_apply.main, {"definition": config_map("a")})
    assert result["changed"] and "careful" in str(result["warnings"])
    assert run_module(kube_apply.main, {"definition": "a: ["})["failed"]
    assert "one of" in run_module(kube_apply.main, {})["msg"]


def test_an_object_that_was_there_before_is_no_part_of_the_set() -> None:
    """It gets its fields and is never deleted; what a killed call has made has the label already."""
    kubectl = FakeKubectl(config_map("theirs", x="0"))
    given = [config_map("theirs", x="1"), config_map("ours", x="1")]
    assert run(kubectl, definition=given, set_name="s")["changed"]
    assert not run(kubectl, definition=given, set_name="s")["changed"]
    assert run(kubectl, set_name="s", state="absent")["changed"]
    assert kubectl.names() == ["theirs"]


def test_kinds_that_hold_more_are_kept() -> None:
    kubectl = FakeKubectl()
    run(kubectl, definition=[namespace("new"), config_map("a", "new")], set_name="s")
    gone = run(kubectl, set_name="s", state="absent", kept_kinds=["Namespace"])
    assert gone["kept"] == ["Namespace new"] and kubectl.names() == ["new"]
