# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that approves renewals on control planes, and how it comes there."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import typing as t
from pathlib import Path

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.kubernetes.plugins.filter import programs
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import cluster_memory
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet import (
    kubelet_requests,
    serving_renewal,
    serving_timer,
)
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _programs
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import APPROVALS, fixture

KAPI1 = kubelet_requests.Identity.of("kapi1", ["172.30.0.2"])
KAPI2 = kubelet_requests.Identity.of("kapi2", ["172.30.0.3"])


class Cluster:
    """What kubectl says."""

    def __init__(self, items: t.Sequence[t.Any], *known: kubelet_requests.Identity, **more: str) -> None:
        self.items = items
        self.data = {**{identity.name: kubelet_requests.as_text(identity) for identity in known}, **more}
        self.approved: t.List[str] = []
        self.nodes: t.List[t.Any] = []

    def __call__(self, arguments: t.Sequence[str], text: str) -> str:
        if arguments[0] == "replace":
            sent = json.loads(text)
            name = sent["metadata"]["name"]
            assert arguments[1:] == [f"--raw={APPROVALS}/{name}/approval", "--filename=-"]
            [found] = [item for item in self.items if item["metadata"]["name"] == name]
            assert (sent["metadata"], sent["spec"]) == (found["metadata"], found["spec"])
            assert [entry["type"] for entry in sent["status"]["conditions"]] == ["Approved"]
            self.approved.append(name)
            return "{}"
        assert not text
        assert arguments[0] == "get"
        if arguments[1] == "configmap":
            assert cluster_memory.SERVING_IDENTITIES.name in arguments
            return json.dumps({"data": self.data}) if self.data else ""
        return json.dumps({"items": self.nodes if arguments[1] == "nodes" else self.items})


def kubelets() -> t.List[t.Any]:
    return list(fixture("csr-kubelets.json")["items"])


def test_renewals_of_known_nodes_are_approved() -> None:
    cluster = Cluster(kubelets(), KAPI1, KAPI2)
    lines = serving_renewal.renew(cluster)
    assert sorted(cluster.approved) == ["csr-9dkwk", "csr-qxthb", "csr-t7b5b"]
    assert lines[1] == "'csr-qxthb' of 'kapi2' is approved"


def flood(count: int) -> t.List[t.Any]:
    """Many requests of kapi1, which is first in the list, and those of others."""
    mine, *others = kubelets()
    assert kubelet_requests.node_name(mine) == "kapi1"
    named = [{**mine, "metadata": {"name": f"csr-{number:05}", "creationTimestamp": ""}} for number in range(count)]
    named[3]["metadata"]["creationTimestamp"] = "2026-11-21T12:00:00Z"
    return [*named, *(item for item in others if kubelet_requests.node_name(item) == "kapi2")]


def test_thousands_of_requests_of_one_node_do_not_hold_up_others() -> None:
    cluster = Cluster(flood(5000), KAPI1, KAPI2)
    lines = serving_renewal.renew(cluster)
    assert "csr-qxthb" in cluster.approved
    assert len(cluster.approved) == kubelet_requests.MOST + 1 and "csr-00003" in cluster.approved
    assert "4990 more requests of 'kapi1' wait: its latest 10 come first" in lines and len(lines) == 12


def test_one_that_cannot_be_approved_holds_up_no_other() -> None:
    class Refusing(Cluster):
        def __call__(self, arguments: t.Sequence[str], text: str) -> str:
            if "csr-9dkwk" in arguments[1]:
                raise serving_renewal.Unavailable("Error from server (Conflict): the object has been modified")
            if "csr-qxthb" in arguments[1]:
                raise serving_renewal.Failure("forbidden")
            return super().__call__(arguments, text)

    cluster = Refusing(kubelets(), KAPI1, KAPI2)
    with pytest.raises(serving_renewal.Failure, match="forbidden") as caught:
        serving_renewal.renew(cluster)
    assert cluster.approved == ["csr-t7b5b"] and caught.value.lines == ["'csr-t7b5b' of 'kapi1' is approved"]


def test_nothing_is_asked_of_the_memory_without_requests() -> None:
    assert serving_renewal.renew(Cluster([], KAPI1)) == []


@pytest.mark.parametrize(
    "known",
    [
        {},
        {"kapi2": "no JSON"},
        {"kapi2": json.dumps({"addresses": ["not an address"], "dns_names": []})},
        {"kapi2": json.dumps(["172.30.0.3"])},
        {"kapi2": json.dumps({"addresses": ["172.30.0.2"], "dns_names": ["kapi2"]})},
    ],
    ids=["unknown", "text", "address", "list", "another-address"],
)
def test_what_is_not_known_stays_pending_and_is_named(known: t.Dict[str, str]) -> None:
    cluster = Cluster(kubelets(), KAPI1, **known)
    lines = serving_renewal.renew(cluster)
    assert sorted(cluster.approved) == ["csr-9dkwk", "csr-t7b5b"]
    assert [line for line in lines if line.startswith("'csr-qxthb' of 'kapi2' stays pending: ")]


def test_crafted_requests_stay_pending_and_are_named_with_escapes() -> None:
    items = [item for item in fixture("csr-crafted.json")["items"] if kubelet_requests.is_pending(item)]
    items[0]["spec"]["username"] = "system:node:\x1b[2Jworker"
    nodes = {name for name in map(kubelet_requests.node_name, items) if name}
    cluster = Cluster(items, *[kubelet_requests.Identity.of(name, ["172.30.0.2"]) for name in nodes])
    lines = serving_renewal.renew(cluster)
    refused = [line for line in lines if " stays pending: " in line]
    assert len(refused) == len(items) - len(cluster.approved) > 0
    assert all(line.isprintable() for line in lines)


def test_a_name_that_is_an_option_of_kubectl_stays_pending() -> None:
    items = kubelets()
    items[1] = {**items[1], "metadata": {"name": "--insecure-skip-tls-verify"}}
    cluster = Cluster(items, KAPI1, KAPI2)
    assert "its own name is none that a kubelet gives" in serving_renewal.renew(cluster)[0]
    assert sorted(cluster.approved) == ["csr-9dkwk", "csr-t7b5b"]


def test_an_address_that_another_node_announces_stays_pending() -> None:
    cluster = Cluster(kubelets(), KAPI1, KAPI2)
    addresses = [{"type": "Hostname", "address": "other"}, {"type": "InternalIP", "address": "172.30.0.3"}]
    cluster.nodes = [{"metadata": {"name": "other"}, "status": {"addresses": addresses}}]
    lines = serving_renewal.renew(cluster)
    assert sorted(cluster.approved) == ["csr-9dkwk", "csr-t7b5b"]
    assert "which other announces, too" in lines[0]


def test_identities_survive_the_memory() -> None:
    texts = {"kapi1": kubelet_requests.as_text(KAPI1)}
    assert kubelet_requests.from_texts(texts) == {"kapi1": KAPI1}
    assert cluster_memory.SERVING_IDENTITIES.name == serving_renewal.MEMORY


# The program as it is on a node


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The folder of the program, as the role writes it."""
    folder = tmp_path / "program"
    for file in programs.program_files("_kubelet.serving_renewal", str(folder)):
        path = Path(file["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file["content"], encoding="utf-8")
    return folder


def run(installed: Path, kubectl: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run it as the systemd unit does, with another kubectl and without anything of Ansible."""
    binary = tmp_path / "bin" / "kubectl"
    binary.parent.mkdir()
    binary.write_text(f"#!/bin/sh\n{kubectl}\n", encoding="utf-8")
    binary.chmod(0o755)
    module = f"{_programs._PACKAGE}._kubelet.serving_renewal"
    return subprocess.run(
        [sys.executable, "-S", "-m", module, "/etc/kubernetes/admin.conf"],
        env={"PATH": f"{binary.parent}:{os.environ['PATH']}", "PYTHONPATH": str(installed)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_runs_without_ansible(installed: Path, tmp_path: Path) -> None:
    requests, memory = tmp_path / "csr.json", tmp_path / "memory.json"
    requests.write_text(json.dumps({"items": kubelets()}), encoding="utf-8")
    memory.write_text(json.dumps({"data": {"kapi2": kubelet_requests.as_text(KAPI2)}}), encoding="utf-8")
    log = tmp_path / "approved"
    nodes = tmp_path / "nodes.json"
    nodes.write_text(json.dumps({"items": []}), encoding="utf-8")
    answers = f"*configmap*) cat {memory};; *nodes*) cat {nodes};; *certificatesigning*) cat {requests};;"
    script = f'case "$*" in *approval*) cat >{log};; {answers} esac'
    done = run(installed, script, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "'csr-qxthb' of 'kapi2' is approved" in done.stdout
    [sent] = [item for item in kubelets() if item["metadata"]["name"] == "csr-qxthb"]
    assert json.loads(log.read_text(encoding="utf-8"))["metadata"] == sent["metadata"]


def test_a_cluster_that_does_not_answer_is_asked_the_next_time(installed: Path, tmp_path: Path) -> None:
    done = run(installed, "echo 'connection refused' >&2; exit 1", tmp_path)
    assert done.returncode == serving_renewal.LATER
    assert "'connection refused'" in done.stdout


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("Error from server (Forbidden): no", 1),
        ('Error from server (Forbidden): "csr-timeout-refused" is not for you', 1),
        ("error: You must be logged in to the server (Unauthorized)", 1),
        ("Unable to connect to the server: dial tcp 10.0.0.1:6443: i/o timeout", serving_renewal.LATER),
        ("Error from server: etcdserver: request timed out", serving_renewal.LATER),
        ("Error from server (Conflict): the object has been modified", serving_renewal.LATER),
        ("Error from server (ServiceUnavailable): the server is currently unable to handle", serving_renewal.LATER),
    ],
)
def test_only_what_may_pass_by_itself_is_left_to_the_next_time(
    said: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n", encoding="utf-8")
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert serving_renewal.main(["/etc/kubernetes/admin.conf"]) == code
    assert said.strip("'")[:20] in capsys.readouterr().out


def test_a_command_that_cannot_be_started_does_not_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert serving_renewal.main(["/etc/kubernetes/admin.conf"]) == 1
    assert capsys.readouterr().out.startswith("kubectl failed: ")


def test_a_program_that_needs_ansible_is_refused() -> None:
    with pytest.raises(AnsibleFilterError, match="program_files: a program on nodes cannot import ansible"):
        programs.program_files("_command", "/x")
    with pytest.raises(AnsibleFilterError, match=r"program_files: .*_no_such_module"):
        programs.program_files("_no_such_module", "/x")


def test_the_program_of_the_backups_imports_nothing_of_the_collection() -> None:
    assert _programs._needs(programs.program_source("_etcd.etcd_backup")) == set()
    ast.parse(programs.program_source("_etcd.etcd_backup"))


# What a machine says of it


def test_a_machine_with_these_files_needs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, units = tmp_path / "program", tmp_path / "units"
    units.mkdir()
    monkeypatch.setattr(serving_timer, "FOLDER", str(folder))
    assert serving_timer.present(str(folder), f"{units}/x.*") == {}
    files = programs.program_files("_kubelet.serving_renewal", str(folder))
    files.append({"path": f"{units}/x.timer", "content": "[Timer]\n"})
    for file in files:
        Path(file["path"]).parent.mkdir(parents=True, exist_ok=True)
        Path(file["path"]).write_text(file["content"], encoding="utf-8")
    wanted = programs.files_digest(files)
    assert serving_timer.digest(serving_timer.present(str(folder), f"{units}/x.*")) == wanted
    (units / "x.timer").write_text("[Timer]\n# by hand\n", encoding="utf-8")
    assert serving_timer.digest(serving_timer.present(str(folder), f"{units}/x.*")) != wanted


@pytest.mark.parametrize(
    ("files", "runs", "known"),
    [
        (True, (True, True, True), serving_timer.digest({"/x": "text"})),
        (True, (False, False, True), ""),
        (False, (True, True, True), ""),
        # Switched off for now only, or for the next boot only.
        (True, (False, True, True), "in part"),
        (True, (True, False, True), "in part"),
        # A run was killed when the files were written.
        (True, (True, True, False), "in part"),
    ],
)
def test_a_timer_that_rests_counts_as_none(
    monkeypatch: pytest.MonkeyPatch, files: bool, runs: t.Tuple[bool, bool, bool], known: str
) -> None:
    monkeypatch.setattr(serving_timer, "present", lambda: {"/x": "text"} if files else {})
    monkeypatch.setattr(serving_timer, "switches", lambda: runs)
    assert serving_timer.state() == known


@pytest.mark.parametrize(
    ("active", "enabled", "outdated", "runs"),
    [
        ("active", "enabled", "no", (True, True, True)),
        ("inactive", "enabled", "no", (False, True, True)),
        ("active", "disabled", "yes", (True, False, False)),
        ("inactive", "", "no", (False, False, True)),
    ],
)
def test_whether_the_timer_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    active: str,
    enabled: str,
    outdated: str,
    runs: t.Tuple[bool, bool, bool],
) -> None:
    systemctl = tmp_path / "systemctl"
    timer = f"NeedDaemonReload=no\\nActiveState={active}\\nUnitFileState={enabled}\\n"
    service = f"NeedDaemonReload={outdated}\\nActiveState=inactive\\nUnitFileState=static\\n"
    systemctl.write_text(f"#!/bin/sh\nprintf '{timer}\\n{service}'\n", encoding="utf-8")
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert serving_timer.switches() == runs
    systemctl.unlink()
    assert serving_timer.switches() == (False, False, True)
