# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Lease and the file: who has the lock, who gets it, and what a run learns that has lost it."""

from __future__ import annotations

import dataclasses
import json
import types
import typing as t
from pathlib import Path

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server, run_lease
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._node import run_record

OURS = {
    "controller": "laptop",
    "boot_id": "b",
    "namespace": "n",
    "pid": 7,
    "started": "1",
    "user": "al",
    "patience": 90,
}
THEIRS = {**OURS, "controller": "desk", "user": "bob", "pid": 8}
NOW = 1_800_000_000.0


class Api:
    """kubectl and an API server that has one Lease, and changes it only as it was read."""

    def __init__(self) -> None:
        self.item: t.Dict[str, t.Any] = {}
        self.now = NOW
        self.down = False
        self.error = ""
        #: What happens between a look and the change that follows it.
        self.between: t.List[t.Callable[[], None]] = []
        self.calls: t.List[t.Tuple[str, ...]] = []

    def missing(self) -> str:
        return ""

    def run(self, *arguments: str, stdin: t.Optional[str] = None, check: bool = True) -> CommandResult:
        self.calls.append(arguments)
        verb = next(word for word in arguments if word in ("get", "create", "replace"))
        if self.down:
            return CommandResult([], 1, "", "connection refused")
        if verb == "get":
            text = json.dumps(self.item) if self.item else ""
            if self.between:
                self.between.pop()()
            return CommandResult([], 0, text, "")
        if self.error:
            return CommandResult([], 1, "", self.error)
        wanted = json.loads(stdin or "")
        version = self.item.get("metadata", {}).get("resourceVersion")
        if wanted["metadata"].get("resourceVersion") != version:
            return CommandResult([], 1, "", "AlreadyExists" if verb == "create" else "the object has been modified")
        self.item = {**wanted, "metadata": {**wanted["metadata"], "resourceVersion": str(int(version or 0) + 1)}}
        return CommandResult([], 0, "lease/slipway-run", "")

    @property
    def lease(self) -> run_lease.RunLease:
        return run_lease.RunLease(t.cast(t.Any, self), clock=lambda: self.now)

    @property
    def holder(self) -> str:
        return str(self.item["spec"]["holderIdentity"])


class Machine:
    """A control plane with a file of its own."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._path = path
        self._patch = monkeypatch

    def __enter__(self) -> None:
        self._patch.setattr(run_record, "PATH", str(self._path / "slipway" / "run.json"))

    def __exit__(self, *_exception: object) -> None:
        pass


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    made = Api()
    monkeypatch.setattr(run_record, "time", types.SimpleNamespace(time=lambda: made.now))
    monkeypatch.setattr(api_server, "is_ready", lambda _layout: False)
    return made


@pytest.fixture
def machines(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> t.Tuple[Machine, Machine]:
    return Machine(tmp_path / "cp1", monkeypatch), Machine(tmp_path / "cp2", monkeypatch)


def test_runs_that_ask_different_control_planes_meet(api: Api, machines: t.Tuple[Machine, Machine]) -> None:
    with machines[0]:
        assert run_record.take(OURS, [], api.lease) is None
    with machines[1]:
        other = run_record.take(THEIRS, [], api.lease)
        assert other is not None and other["pid"] == 7 and other["patience"] == 90
        assert run_record.read_record() is None, "the file is not left behind"
        assert run_record.look(THEIRS, [], api.lease) == other
    with machines[0]:
        assert run_record.release(OURS, api.lease) is None
    with machines[1]:
        assert run_record.take(THEIRS, [], api.lease) is None
    assert api.holder == "bob@desk pid 8"


def test_two_that_want_it_at_once_do_not_both_get_it(api: Api, machines: t.Tuple[Machine, Machine]) -> None:
    def meanwhile() -> None:
        with machines[1]:
            assert run_record.take(THEIRS, [], api.lease) is None

    for _again in range(2):
        api.between = [meanwhile]
        with machines[0]:
            other = run_record.take(OURS, [], api.lease)
        # The path of the file is that of the second machine after its turn.
        assert other is not None and other["pid"] == 8
        with machines[1]:
            run_record.release(THEIRS, api.lease)
        with machines[0]:
            assert run_record.read_record() is None or run_record.release(OURS, api.lease) is None


def test_one_that_is_over_is_replaced(api: Api, machines: t.Tuple[Machine, Machine]) -> None:
    with machines[0]:
        run_record.take(THEIRS, [], api.lease)
        assert run_record.take(OURS, [THEIRS], api.lease) is None
    assert api.item["spec"]["leaseTransitions"] == 2 and api.holder == "al@laptop pid 7"


def test_the_same_run_writes_only_what_says_something(api: Api, machines: t.Tuple[Machine, Machine]) -> None:
    with machines[0]:
        run_record.take(OURS, [], api.lease)
        api.now += 1
        before = dict(api.item)
        run_record.take(OURS, [], api.lease)
        assert api.item == before
        # The process that gives signs of life asks for less patience than the task before it.
        run_record.take({**OURS, "patience": 1800}, [], api.lease)
        assert api.item["spec"]["leaseDurationSeconds"] == 1800
        assert api.item["spec"]["acquireTime"] == before["spec"]["acquireTime"]
        assert api.item["spec"]["leaseTransitions"] == 1


@pytest.mark.parametrize("write", [True, False])
def test_a_sign_of_life(api: Api, machines: t.Tuple[Machine, Machine], write: bool) -> None:
    with machines[0]:
        run_record.take(OURS, [], api.lease)
        api.now += 30
        renewal = run_record.Renewal(OURS, {}, write)
        renewal.give(api.lease)
        assert renewal.lost == {} and renewal.known == {"transitions": 1}
        record = run_record.read_record()
        assert record is not None and record["age"] == (0 if write else 30)
    assert api.item["spec"]["renewTime"] == run_lease.timestamp(NOW + (30 if write else 0))


def test_one_that_has_lost_it_learns_so(api: Api, machines: t.Tuple[Machine, Machine]) -> None:
    """By the file where the other one has taken it, by the Lease elsewhere."""
    for machine in machines:
        with machine:
            run_record.take(OURS, [], api.lease)
    renewal = run_record.Renewal(OURS, {}, True)
    renewal.give(api.lease)
    with machines[0]:
        assert run_record.take(THEIRS, [OURS], api.lease) is None
    for machine, known in ((machines[0], {}), (machines[1], renewal.known)):
        with machine:
            told = run_record.Renewal(OURS, known, True)
            told.give(api.lease)
            assert told.lost["pid"] == 8
    with machines[0]:
        other = run_record.release(OURS, api.lease)
    assert other is not None and other["pid"] == 8
    assert api.holder == "bob@desk pid 8", "what another one has is not given back"


def test_an_api_that_is_down_takes_nothing_from_a_run(api: Api, machines: t.Tuple[Machine, Machine]) -> None:
    with machines[0]:
        api.down = True
        assert run_record.take(OURS, [], api.lease) is None
        assert run_record.look(THEIRS, [], api.lease) is not None
        api.down = False
        run_record.Renewal(OURS, {}, True).give(api.lease)
    assert api.holder == "al@laptop pid 7", "a cluster that has just been built has the Lease soon"


def test_a_lease_that_came_back_with_a_snapshot(api: Api, machines: t.Tuple[Machine, Machine]) -> None:
    with machines[1]:
        run_record.take(THEIRS, [], api.lease)
    snapshot = dict(api.item)
    api.item = {}
    with machines[0]:
        api.now += 600
        for _often in range(3):
            run_record.take(OURS, [], api.lease)
            run_record.release(OURS, api.lease)
        run_record.take(OURS, [], api.lease)
        renewal = run_record.Renewal(OURS, {}, True)
        renewal.give(api.lease)
        api.item = snapshot
        renewal.give(api.lease)
        assert not renewal.lost
    assert api.holder == "al@laptop pid 7"


def test_a_run_that_has_never_had_the_lease_gives_way_to_one_that_lives(
    api: Api, machines: t.Tuple[Machine, Machine]
) -> None:
    with machines[0]:
        api.down = True
        run_record.take(OURS, [], api.lease)
        api.down = False
    with machines[1]:
        run_record.take(THEIRS, [], api.lease)
    with machines[0]:
        renewal = run_record.Renewal(OURS, {}, True)
        renewal.give(api.lease)
        assert not renewal.lost
    api.now += 20
    with machines[1]:
        run_record.Renewal(THEIRS, {"transitions": 1}, True).give(api.lease)
    with machines[0]:
        renewal.give(api.lease)
        assert renewal.lost["pid"] == 8


def test_a_sign_of_life_of_the_future_is_not_the_last_one(api: Api, machines: t.Tuple[Machine, Machine]) -> None:
    """The clock was set back by an hour since."""
    with machines[0]:
        run_record.take(OURS, [], api.lease)
        api.now -= 3600
        renewal = run_record.Renewal(OURS, {}, True)
        renewal.give(api.lease)
    assert not renewal.lost and api.item["spec"]["renewTime"] == run_lease.timestamp(api.now)


def test_nothing_is_taken_after_it_was_given_back(api: Api, machines: t.Tuple[Machine, Machine]) -> None:
    with machines[0]:
        run_record.take(OURS, [], api.lease)
        run_record.release(OURS, api.lease)
        renewal = run_record.Renewal(OURS, {"transitions": 1}, True)
        renewal.give(api.lease)
        assert not renewal.lost and api.holder == "" and run_record.read_record() is None


def test_a_kubeconfig_that_may_not_write_it(api: Api, machines: t.Tuple[Machine, Machine]) -> None:
    api.error = 'leases.coordination.k8s.io is forbidden: User "x" cannot create resource "leases"'
    with machines[0], pytest.raises(SlipwayError, match="may not write the Lease kube-system/slipway-run"):
        run_record.take(OURS, [], api.lease)


def test_one_that_somebody_wrote_by_hand() -> None:
    spec = {"holderIdentity": "me", "renewTime": "yesterday"}
    found = run_lease.Found({"metadata": {}, "spec": spec}, NOW)
    assert found.holder == {
        "user": "me",
        "controller": "a machine that is not known",
        "seen": "yesterday",
        "age": NOW,
        "patience": 0,
    }
    assert run_lease.moment(run_lease.timestamp(1234.5)) == 1234.5


def test_the_machines_own_server_is_asked_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    manifest = tmp_path / "kube-apiserver.yaml"
    line = "kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint: {}"
    layout = dataclasses.replace(KUBEADM, manifests=str(tmp_path))
    monkeypatch.setattr(api_server, "is_ready", lambda _layout: True)
    for place, flags in (
        ("192.0.2.1:6443", ["--server=https://192.0.2.1:6443"]),
        ("[2001:db8::1]:6443", ["--server=https://[2001:db8::1]:6443"]),
    ):
        manifest.write_text(f"  annotations:\n    {line.format(place)}\n")
        assert run_lease.own_server(layout) == flags
    manifest.write_text("")
    assert run_lease.own_server(layout) == []
    monkeypatch.setattr(api_server, "is_ready", lambda _layout: False)
    assert run_lease.own_server(layout) == []
