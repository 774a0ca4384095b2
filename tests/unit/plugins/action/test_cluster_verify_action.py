# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action that verifies from the control plane and from here, and cleans up."""

from __future__ import annotations

import types
import typing as t
import unittest.mock
import urllib.error

import pytest
from ansible_collections.slipway.kubernetes.plugins.action import cluster_verify
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import Clock

GOOD = {"name": "nodes are Ready", "ok": True, "detail": "3"}
BAD = {"name": "metrics of all nodes are there", "ok": False, "detail": "none"}
BALANCED = "the load balancer answers from the controller"


class Run:
    """One run of the action; the module answers from a dict by its phase."""

    def __init__(self, check_mode: bool = False, **answers: t.Any) -> None:
        self.answers: t.Dict[str, t.Any] = {"probe": {"checks": [GOOD], "pods": ["p1"]}, "clean": {}, **answers}
        self.calls: t.List[t.Dict[str, t.Any]] = []
        self.asked: t.List[t.Tuple[str, t.Any, float]] = []
        self.problem = ""
        task = types.SimpleNamespace(
            action="slipway.kubernetes.cluster_verify",
            args={"image": "agnhost"},
            async_val=0,
            check_mode=check_mode,
        )
        mock = unittest.mock.MagicMock
        self.action = cluster_verify.ActionModule(task, mock(), mock(), mock(), mock(), mock())
        self.action._execute_module = self._execute  # type: ignore[method-assign]

    def _execute(self, module_name: str, module_args: t.Dict[str, t.Any], task_vars: t.Any) -> t.Dict[str, t.Any]:
        assert module_name == "slipway.kubernetes.cluster_verify"
        self.calls.append(module_args)
        answer = self.answers[module_args["phase"]]
        if isinstance(answer, Exception):
            raise answer
        return {key: list(value) if isinstance(value, list) else value for key, value in answer.items()}

    def _ask(self, url: str, expected: t.Any, timeout: float) -> str:
        self.asked.append((url, expected, timeout))
        return self.problem

    def __call__(self) -> t.Dict[str, t.Any]:
        with unittest.mock.patch.object(cluster_verify, "ask", self._ask):
            return self.action.run(task_vars={})

    def phases(self) -> t.List[str]:
        return [call["phase"] for call in self.calls]


def balanced(address: str, *checks: t.Any) -> t.Dict[str, t.Any]:
    return {"checks": list(checks) or [GOOD], "pods": ["p1"], "load_balancer": {"": address}}


def test_all_is_well() -> None:
    run = Run()
    assert run() == {"checks": [GOOD], "table": ["ok      nodes are Ready  3"], "failed": False}
    assert run.calls == [{"image": "agnhost", "phase": "probe"}, {"image": "agnhost", "phase": "clean"}]
    assert run.asked == []


def test_failing_checks_are_named() -> None:
    run = Run(probe={"checks": [GOOD, BAD], "pods": []})
    result = run()
    assert result["failed"]
    assert result["msg"].splitlines() == [f"The cluster does not work: {BAD['name']}.", *result["table"]]
    assert run.phases() == ["probe", "clean"]


@pytest.mark.parametrize(
    ("address", "url"),
    [("192.0.2.100", "http://192.0.2.100/hostname"), ("fd00::100", "http://[fd00::100]/hostname")],
)
def test_load_balancer_is_asked_from_here(address: str, url: str) -> None:
    run = Run(probe=balanced(address))
    result = run()
    assert run.asked == [(url, ["p1"], 60)]
    assert result["checks"][-1] == {"name": BALANCED, "ok": True, "detail": address}
    assert not result["failed"] and "load_balancer" not in result and "pods" not in result


def test_each_family_of_a_load_balancer_is_asked() -> None:
    both = {"IPv4": "192.0.2.100", "IPv6": "fd00::100"}
    run = Run(probe={"checks": [GOOD], "pods": ["p1"], "load_balancer": both})
    checks = run()["checks"][1:]
    assert [check["name"] for check in checks] == [f"{BALANCED} by IPv4", f"{BALANCED} by IPv6"]
    assert [url for url, _expected, _timeout in run.asked] == [
        "http://192.0.2.100/hostname",
        "http://[fd00::100]/hostname",
    ]


def test_load_balancer_that_does_not_answer() -> None:
    run = Run(probe=balanced("192.0.2.100"))
    run.problem = "timed out"
    run.action._task.args["timeout"] = 20
    result = run()
    assert result["failed"] and result["checks"][-1] == {"name": BALANCED, "ok": False, "detail": "timed out"}
    assert run.asked[0][2] == 20


def test_load_balancer_without_address() -> None:
    run = Run(probe=balanced(""))
    assert run()["checks"][-1]["detail"] == "the service got no address"
    assert run.asked == []


def test_cleans_up_when_the_probe_fails_or_dies() -> None:
    failed = {"failed": True, "msg": "refused"}
    run = Run(probe=failed)
    assert run() == failed and run.phases() == ["probe", "clean"]
    run = Run(probe=ConnectionError("unreachable"))
    with pytest.raises(ConnectionError):
        run()
    assert run.phases() == ["probe", "clean"]


def test_what_is_left_is_a_failure() -> None:
    result = Run(clean={"failed": True, "msg": "timed out"})()
    assert result["failed"] and "what was made is deleted" in result["msg"]
    assert result["checks"][-1] == {"name": "what was made is deleted", "ok": False, "detail": "timed out"}


def test_check_mode_changes_nothing() -> None:
    skipped = {"skipped": True, "checks": [], "table": []}
    run = Run(check_mode=True, probe=skipped)
    assert run() == skipped and run.phases() == ["probe"]


class Opener:
    """Answers to GET, one by one; the last one stays."""

    def __init__(self, *answers: t.Any) -> None:
        self.answers = list(answers)

    def open(self, url: str, timeout: float) -> t.Any:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        response = unittest.mock.MagicMock()
        response.__enter__.return_value.read.return_value = answer
        return response


@pytest.mark.parametrize(
    ("answers", "problem", "seconds"),
    [
        ([b"p1"], "", 0.0),
        ([urllib.error.URLError("refused"), b"another", b"p1"], "", 1.0),
        ([b"\xff" * 200], f"http://x answered {chr(0xFFFD) * 80!r}, which is no pod of this check", 2.0),
        ([urllib.error.URLError("refused")], "http://x: <urlopen error refused>", 2.0),
    ],
)
def test_ask(
    answers: t.List[t.Any], problem: str, seconds: float, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    handlers: t.List[t.Any] = []
    opener = Opener(*answers)
    monkeypatch.setattr(urllib.request, "build_opener", lambda handler: handlers.append(handler) or opener)
    assert cluster_verify.ask("http://x", ["p1"], 2) == problem
    assert clock.now == seconds
    # No proxy stands between the controller and the load balancer.
    assert handlers[0].proxies == {}
