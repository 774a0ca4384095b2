# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Problems put together, sorted, and rendered."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.report import (
    CLUSTER,
    WARNING,
    Host,
    Problem,
    counted,
    merge,
    render,
    run_checks,
)

NAMES = ["cp1", "worker1", "worker2"]


def test_merge_puts_the_same_problem_of_several_hosts_together_and_sorts() -> None:
    findings = merge(
        [
            Problem("worker2", "b", "is bad.", "Mend it."),
            Problem("worker1", "a", "is bad.", "Mend it."),
            Problem("cp1", "b", "is bad.", "Mend it."),
            Problem("worker2", "b", "is bad.", "Mend it."),
            Problem(CLUSTER, "c", "is bad.", ""),
            Problem("cp1", "b", "is bad.", "Mend it.", WARNING),
        ],
        NAMES,
    )
    assert [(finding.hosts, finding.subject, finding.severity) for finding in findings] == [
        (("",), "c", "error"),
        (("cp1", "worker2"), "b", "error"),
        (("cp1",), "b", "warning"),
        (("worker1",), "a", "error"),
    ]
    assert findings[0].as_dict() == {"hosts": [], "subject": "c", "message": "is bad.", "remedy": ""}


def test_render_names_hosts_and_counts() -> None:
    problems = [Problem(name, "a", "is bad.", "Mend it.") for name in NAMES]
    problems += [Problem("worker1", "b", "is worse.", ""), Problem(CLUSTER, "c", "is bad.", "")]
    assert render(merge(problems, NAMES), NAMES) == (
        "Preflight found 3 problems on 3 hosts; nothing was changed.\n"
        "- cluster: c: is bad.\n"
        "- all hosts: a: is bad. Mend it.\n"
        "- worker1: b: is worse."
    )
    assert render(merge(problems[-1:], NAMES), NAMES).splitlines()[0] == (
        "Preflight found 1 problem; nothing was changed."
    )
    # With one host or two their names say more.
    assert merge(problems[:1], NAMES)[0].where(["cp1"]) == "cp1"
    assert merge(problems[:2], NAMES)[0].where(["cp1", "worker1"]) == "cp1, worker1"


def test_counted() -> None:
    assert [counted(number, "host") for number in (0, 1, 2)] == ["0 hosts", "1 host", "2 hosts"]


def test_host_is_tolerant_of_wrong_types() -> None:
    host = Host("a", variables={"n": "7", "x": "many", "t": " text ", "d": {"k": 1}, "l": [1], "b": "yes", "f": False})
    assert (host.number("n"), host.number("x"), host.number("absent")) == (7, 0, 0)
    assert (host.text("t"), host.text("d"), host.text("absent"), host.text("n")) == ("text", "", "", "7")
    assert (host.mapping("d"), host.mapping("l"), host.sequence("l"), host.sequence("d")) == ({"k": 1}, {}, [1], [])
    assert (host.flag("b"), host.flag("f"), host.flag("absent")) == (True, False, False)
    assert not host.joined


def test_run_checks_collects() -> None:
    hosts = [Host("a")]
    problem = hosts[0].problem("s", "m", "r")
    assert run_checks([lambda given: [problem], lambda given: []], hosts) == [problem]


def test_a_machine_that_makes_no_sense_is_a_problem_of_its_own() -> None:
    """Who is root on a worker lets it say what he likes of itself; the others are checked all the same."""
    hosts = [Host(name, facts={"cpu_count": count}) for name, count in (("a", 1), ("b", "many"), ("c", 8))]

    def check(given: t.Sequence[Host]) -> t.Iterator[Problem]:
        for host in given:
            if (host.facts or {})["cpu_count"] < 2:
                yield host.problem("cpu_count", "is too small", "Give it more.")

    found = {(problem.host, problem.subject) for problem in run_checks([check], hosts)}
    assert found == {("a", "cpu_count"), ("b", "facts")}
    (problem,) = (problem for problem in run_checks([check], hosts) if problem.host == "b")
    assert "says of itself what makes no sense" in problem.message and "--limit" in problem.remedy


def test_a_check_that_is_wrong_itself_is_not_hidden() -> None:
    with pytest.raises(KeyError, match="ours"):
        run_checks([lambda hosts: [] if len(hosts) < 2 else {}["ours"]], [Host("a"), Host("b")])
