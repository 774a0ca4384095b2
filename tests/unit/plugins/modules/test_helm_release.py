# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
import os
import time
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _module, _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandError, CommandResult
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import helm, helm_work
from ansible_collections.slipway.kubernetes.plugins.modules import helm_release
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner
from ansible_collections.slipway.kubernetes.tests.unit.plugins.proc_fakes import process
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

# Recorded from helm 3.22 and its release of flannel v0.28.4.
FIXTURES = Path(__file__).parent.parent / "fixtures" / "helm"
LISTED: t.List[t.Dict[str, str]] = json.loads((FIXTURES / "list-deployed.json").read_text("utf-8"))
VALUES: t.Dict[str, t.Any] = json.loads((FIXTURES / "values.json").read_text("utf-8"))
FLANNEL: t.Dict[str, t.Any] = {
    "name": "flannel",
    "namespace": "kube-flannel",
    "chart": "oci://registry.example.com/charts/flannel",
    "version": "v0.28.4",
    "values": VALUES,
}
NOT_FOUND = (1, "", "Error: release: not found\n")


class Cluster:
    """helm and kubectl in front of at most one release."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> None:
        self.kubeconfig = root / "admin.conf"
        self.kubeconfig.touch()
        self._run_module = run_module
        self.given: t.List[t.Any] = []
        self.files: t.List[str] = []
        answers = {"helm list": "[]\n", "helm get values": NOT_FOUND, "helm upgrade": self._upgrade, "kubectl": ""}
        self.runner = FakeRunner(answers, tools=("helm", "kubectl"))
        monkeypatch.setattr(_module, "Runner", lambda _module: self.runner)

    def has(self, values: t.Any = VALUES, **changes: str) -> Cluster:
        self.runner.answers["helm list"] = json.dumps([{**LISTED[0], **changes}])
        self.runner.answers["helm get values"] = json.dumps(values) + "\n"
        return self

    def _upgrade(self, argv: t.List[str]) -> str:
        path = next(word.partition("=")[2] for word in argv if word.startswith("--values="))
        assert os.stat(path).st_mode & 0o7777 == 0o600
        self.given.append(json.loads(Path(path).read_text("utf-8")))
        self.files.append(path)
        return "deployed"

    def run(self, check: bool = False, **options: t.Any) -> t.Dict[str, t.Any]:
        given = {**FLANNEL, "kubeconfig": str(self.kubeconfig), **options}
        return self._run_module(helm_release.main, given, check=check)

    def changes(self) -> t.List[str]:
        """The commands that change something, without paths and what all have in common."""
        lines = []
        for call in self.runner.calls:
            words = [word for word in call[1:] if not word.startswith(("--kubeconfig=", "--request-timeout="))]
            if words[0] not in ("list", "get"):
                lines.append(" ".join([Path(call[0]).name, *words[:3]]))
        return lines


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_module: ModuleRunner) -> Cluster:
    return Cluster(tmp_path, monkeypatch, run_module)


NAMESPACE = "kubectl apply --server-side --field-manager=slipway"
UPGRADE = "helm upgrade flannel oci://registry.example.com/charts/flannel"


def test_installed(cluster: Cluster) -> None:
    result = cluster.run(namespace_labels={"pod-security.kubernetes.io/enforce": "privileged", "watched": True})
    assert (result["changed"], result["action"], "recovered" in result) == (True, "installed", False)
    assert cluster.changes() == [NAMESPACE, UPGRADE]
    applied = json.loads(cluster.runner.stdins[-2] or "")
    assert applied["metadata"] == {
        "name": "kube-flannel",
        "labels": {"pod-security.kubernetes.io/enforce": "privileged", "watched": "true"},
    }
    assert cluster.given == [VALUES]
    assert not os.path.exists(cluster.files[0])
    assert result["diff"]["before"] == ""
    assert json.loads(result["diff"]["after"])["chart"] == "flannel-v0.28.4"


@pytest.mark.parametrize("check", [True, False])
def test_release_that_is_as_wished_is_left_alone(cluster: Cluster, check: bool) -> None:
    result = cluster.has().run(check=check)
    assert (result["changed"], result["action"], "diff" in result) == (False, "none", False)
    assert [call[1] for call in cluster.runner.calls] == ["list", "get"]
    assert cluster.runner.calls[0] == [
        "/usr/bin/helm",
        "list",
        "--all",
        "--filter=^flannel$",
        "--output=json",
        "--namespace=kube-flannel",
        f"--kubeconfig={cluster.kubeconfig}",
    ]


def test_release_without_values(cluster: Cluster) -> None:
    assert not cluster.has(values=None).run(values={})["changed"]
    assert cluster.has(values=None).run()["changed"]


@pytest.mark.parametrize(
    ("chart", "version", "expected"),
    [
        ("flannel-v0.28.4", "0.28.4", False),
        ("flannel-0.28.4", "v0.28.4", False),
        ("flannel-v0.28.4+build", "0.28.4", False),
        ("flannel-v0.28.4+build", "0.28.4+other", True),
        ("flannel-v0.28.4", "0.28.5", True),
    ],
)
def test_versions_that_helm_spells_otherwise(cluster: Cluster, chart: str, version: str, expected: bool) -> None:
    assert cluster.has(chart=chart).run(version=version)["changed"] is expected


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"version": "v0.28.5"}, "chart"),
        ({"chart": "other"}, "chart"),
        ({"values": {**VALUES, "podCidr": "10.0.0.0/8"}}, "values"),
        ({"values": {}}, "values"),
    ],
)
def test_differences_are_upgraded(cluster: Cluster, options: t.Dict[str, t.Any], field: str) -> None:
    checked = cluster.has().run(check=True, **options)
    assert cluster.changes() == []
    result = cluster.run(**options)
    assert result["diff"] == checked["diff"] and checked["changed"] and checked["action"] == "upgraded"
    assert (result["changed"], result["action"], len(cluster.given)) == (True, "upgraded", 1)
    before, after = (json.loads(result["diff"][key]) for key in ("before", "after"))
    assert [key for key in before if before[key] != after[key]] == [field]
    assert not any("delete" in line for line in cluster.changes())


def test_failed_release_is_upgraded_and_keeps_its_records(cluster: Cluster) -> None:
    result = cluster.has(status="failed").run()
    assert (result["action"], "recovered" in result) == ("upgraded", False)
    assert cluster.changes() == [NAMESPACE, UPGRADE]


@pytest.mark.parametrize("status", ["pending-install", "pending-upgrade", "pending-rollback"])
def test_pending_revision_alone_is_deleted(cluster: Cluster, status: str) -> None:
    cluster.has(status=status, revision="3")
    checked = cluster.run(check=True)
    assert (checked["changed"], checked["recovered"], cluster.changes()) == (True, status, [])
    result = cluster.run()
    assert (result["changed"], result["recovered"]) == (True, status)
    assert cluster.changes() == ["kubectl delete secret sh.helm.release.v1.flannel.v3", NAMESPACE, UPGRADE]
    (deletion,) = cluster.runner.called("delete")
    assert deletion[-5:] == [
        "delete",
        "secret",
        "sh.helm.release.v1.flannel.v3",
        "--namespace=kube-flannel",
        "--ignore-not-found",
    ]


class Time:
    """A clock that goes on when somebody sleeps."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, now: float = 1_790_000_000.0) -> None:
        self.now = now
        clock = types.SimpleNamespace(time=lambda: self.now, monotonic=lambda: self.now, sleep=self._sleep)
        for module in (helm, helm_work, _waiting):
            monkeypatch.setattr(module, "time", clock)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def stamp(self) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.now))


def test_a_pending_revision_of_somebody_elses_helm_is_waited_for(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Time(monkeypatch)
    begun = clock.now
    cluster.has(status="pending-upgrade", revision="3")
    cluster.runner.answers = {"creationTimestamp": clock.stamp(), **cluster.runner.answers}
    # In check mode nobody waits.
    assert cluster.run(check=True)["recovered"] == "pending-upgrade" and clock.now == begun
    result = cluster.run(timeout=100)
    assert result["recovered"] == "pending-upgrade"
    assert 160 < clock.now - begun < 165


def test_a_helm_at_work_that_comes_to_its_end_is_not_disturbed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Time(monkeypatch)
    cluster.has(revision="3")
    done = cluster.runner.answers["helm list"]
    pending = json.dumps([{**LISTED[0], "status": "pending-upgrade"}])
    cluster.runner.answers = {
        "creationTimestamp": clock.stamp(),
        **cluster.runner.answers,
        "helm list": [pending, done],
    }
    assert not cluster.run()["changed"]
    assert cluster.changes() == []


def test_a_helm_of_ours_that_was_killed_is_known_at_once(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Time(monkeypatch)
    begun = clock.now

    def die(_argv: t.List[str]) -> t.NoReturn:
        raise KeyboardInterrupt

    cluster.runner.answers["helm upgrade"] = die
    with pytest.raises(KeyboardInterrupt):
        cluster.run()
    cluster.has(status="pending-install", revision="1").runner.answers["helm upgrade"] = "deployed"
    cluster.runner.answers = {"creationTimestamp": clock.stamp(), **cluster.runner.answers}
    assert cluster.run()["recovered"] == "pending-install" and clock.now == begun
    # It has ended well: what is pending from now on is somebody else's.
    cluster.run(timeout=10)
    assert clock.now > begun


def test_what_somebody_begins_after_a_helm_of_ours_has_failed_is_not_ours(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Time(monkeypatch)
    cluster.runner.answers["helm upgrade"] = CommandError("failed", CommandResult(["helm"], 1, "", "timed out"))
    assert cluster.run()["failed"]
    work = helm_work.HelmWork("kube-flannel", "flannel", 300)
    assert work.is_ours(clock.now) and not work.is_ours(clock.now + 60)


def test_a_helm_that_runs_on_this_machine_is_waited_for(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clock = Time(monkeypatch)
    process(tmp_path, 7, "/usr/local/bin/helm", "upgrade", "flannel", "chart")
    process(tmp_path, 8, "helm", "upgrade", "other", "chart")
    process(tmp_path, 9, "helm", "list", "flannel")
    work = helm_work.HelmWork("kube-flannel", "flannel", 300)
    assert work.running(str(tmp_path)) == [7]
    monkeypatch.setattr(helm_work.HelmWork, "running", lambda _self: [7])
    cluster.has(status="pending-upgrade").runner.answers["creationTimestamp"] = clock.stamp()
    result = cluster.run(timeout=10)
    assert "helm (process 7) is at work on the release flannel" in result["msg"]
    assert cluster.changes() == []


def test_pending_release_without_values(cluster: Cluster) -> None:
    cluster.has(status="pending-install").runner.answers["helm get values"] = NOT_FOUND
    result = cluster.run()
    assert json.loads(result["diff"]["before"])["values"] == {}
    assert cluster.changes()[0] == "kubectl delete secret sh.helm.release.v1.flannel.v1"


def test_a_release_whose_name_is_only_like_it_is_another(cluster: Cluster) -> None:
    # helm's filter is a regular expression, in which a dot is any character.
    cluster.has(name="my-app", status="pending-install", chart="flannel-v0.28.4")
    result = cluster.run(name="my.app")
    assert (result["action"], "recovered" in result) == ("installed", False)
    assert not cluster.runner.called("delete")


def test_bare_machine_in_check_mode(cluster: Cluster) -> None:
    cluster.runner.tools = ()
    result = cluster.run(check=True)
    assert (result["changed"], result["action"], cluster.runner.calls) == (True, "installed", [])
    cluster.runner.tools = ("helm",)
    cluster.kubeconfig.unlink()
    assert cluster.run(check=True)["action"] == "installed"
    assert cluster.runner.calls == []


def test_without_helm(cluster: Cluster) -> None:
    cluster.runner.tools = ()
    assert cluster.run()["msg"].startswith("helm is not installed")


def test_failure_leaves_no_file_with_values(cluster: Cluster) -> None:
    said = "Error: timed out"

    def fail(argv: t.List[str]) -> t.Any:
        cluster._upgrade(argv)
        return CommandError(said, CommandResult(argv, 1, "", said))

    cluster.runner.answers["helm upgrade"] = fail
    failed = cluster.run(timeout=7)
    assert (failed["failed"], failed["msg"], failed["rc"]) == (True, said, 1)
    assert not os.path.exists(cluster.files[0])
    assert "--timeout=7s" in failed["cmd"]


LOST = "Error: unexpected error when reading response body. Please retry. Original error: unexpected EOF"


def lose(argv: t.List[str]) -> CommandError:
    return CommandError(LOST, CommandResult(argv, 1, "", LOST))


@pytest.mark.parametrize("left", ["failed", "pending-install"])
def test_an_api_server_that_is_lost_meanwhile_is_asked_again(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    clock = Time(monkeypatch)
    half = json.dumps([{**LISTED[0], "status": left, "revision": "1"}])
    cluster.runner.answers.update({"helm upgrade": [lose([]), "deployed"], "helm list": ["[]", half]})
    cluster.runner.answers = {"creationTimestamp": clock.stamp(), **cluster.runner.answers}
    assert cluster.run()["action"] == "installed"
    # What was left behind is of our own helm, so that nobody waits for it.
    deleted = ["kubectl delete secret sh.helm.release.v1.flannel.v1"] if left.startswith("pending") else []
    assert cluster.changes() == [NAMESPACE, UPGRADE, *deleted, NAMESPACE, UPGRADE]


def test_an_api_server_that_stays_away_is_not_waited_for_long(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Time(monkeypatch)
    begun = clock.now
    cluster.runner.answers["helm upgrade"] = lose
    assert cluster.run()["msg"] == LOST
    assert 60 <= clock.now - begun < 90


def test_options_of_the_command_line(cluster: Cluster) -> None:
    cluster.run()
    (plain,) = cluster.runner.called("upgrade")
    assert plain[4:] == [
        "--namespace=kube-flannel",
        f"--kubeconfig={cluster.kubeconfig}",
        "--install",
        "--version=v0.28.4",
        f"--values={cluster.files[0]}",
        "--reset-values",
        "--timeout=300s",
    ]
    cluster.runner.calls.clear()
    cluster.run(chart="flannel", repository="https://charts.example.com", plain_http=True, ca_file="/ca.crt")
    (full,) = cluster.runner.called("upgrade")
    assert full[-3:] == ["--repo=https://charts.example.com", "--plain-http", "--ca-file=/ca.crt"]
    assert VALUES["podCidr"] not in " ".join(plain + full)


@pytest.mark.parametrize(
    ("chart", "name"),
    [
        ("metrics-server", "metrics-server"),
        ("oci://quay.io/charts/metallb", "metallb"),
        ("oci://quay.io/charts/metallb/", "metallb"),
        ("https://example.com/metallb-0.16.1.tgz", "metallb"),
        ("/srv/metallb-0.16.1.tar.gz", "metallb"),
        ("/srv/metallb.tgz", "metallb"),
        ("/srv/metallb-0.15.0.tgz", "metallb-0.15.0"),
    ],
)
def test_chart_name(chart: str, name: str) -> None:
    assert helm.chart_name(chart, "0.16.1") == name
