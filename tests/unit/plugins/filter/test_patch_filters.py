# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.filter.patch import FilterModule

FILTERS = FilterModule().filters()
LIBC = {"name": "libc6", "before": "1", "after": "2", "security": True}
SKIPPED = {"skipped": True, "changed": False}


def plan(**more: t.Any) -> t.Dict[str, t.Any]:
    return {"updates": [], "repaired": False, "reboot_required": [], "held": [], "excluded": [], **more}


def host(plan_: t.Any = None, **more: t.Any) -> t.Dict[str, t.Any]:
    """A host that the role was done on; None for what was not registered."""
    said = {
        "cluster_look": {"ansible_facts": {}},
        "patch_plan": plan_ or plan(),
        "patch_updates": SKIPPED,
        "patch_restarted": SKIPPED,
        "patch_ended": {"changed": False},
        **more,
    }
    return {name: value for name, value in said.items() if value is not None}


@pytest.mark.parametrize(
    ("variables", "is_pending"),
    [
        (host(), False),
        (host(plan(updates=[LIBC])), True),
        (host(plan(repaired=True)), True),
        (host(plan(reboot_required=["kernel"])), True),
        (host(plan(reboot_required=["kernel"]), patch_reboot="never"), False),
        (host(plan(updates=[LIBC]), patch_reboot="never"), True),
        (host(plan(held=["kubelet"], excluded=["vim"])), False),
        ({}, False),
        (host({"skipped": True}), False),
        # A machine that says so itself, by a fact.
        ({**host(plan(updates=[LIBC])), "ansible_facts": {"patch_plan": {}}}, False),
    ],
)
def test_what_is_pending(variables: t.Dict[str, t.Any], is_pending: bool) -> None:
    assert FILTERS["patch_pending"](["w1"], {"w1": variables}) == (["w1"] if is_pending else [])


def test_who_was_left_out() -> None:
    hostvars = {
        "done": host(),
        "silent": {"cluster_look": {"ansible_facts": {"slipway_preflight": {"failure": ["connection", "", ""]}}}},
        "failed": host(patch_ended={"failed": True}),
        "later": host(patch_ended=None),
        "limited": {},
    }
    assert FILTERS["patch_left_out"]([*hostvars, "nobody"], hostvars) == ["silent", "failed", "later"]


MANY = [{**LIBC, "name": f"lib{number}"} for number in range(9)]


@pytest.mark.parametrize(
    ("variables", "check", "line"),
    [
        (host(), False, "nothing to do"),
        (host(plan(held=["kubelet"], excluded=["containerd"])), False, "nothing to do (kept: containerd, kubelet)"),
        # Not given to all machines yet, locked by dnf's versionlock, or another package stands in its way.
        (host(plan(held=["kubelet"], kept_back=["vim"])), False, "nothing to do (kept: kubelet, vim)"),
        (host(patch_updates=plan(updates=[LIBC])), False, "1 package updated: libc6 2"),
        (host(patch_updates=plan(updates=[LIBC])), True, "1 package would be updated: libc6 2"),
        (
            host(patch_updates=plan(updates=MANY, repaired=True), patch_restarted={"changed": True}),
            False,
            "an interrupted installation finished; 9 packages updated: lib0 2, lib1 2, lib2 2, lib3 2, lib4 2, lib5 2"
            " and 3 more; started anew",
        ),
        (host(plan(reboot_required=["k"]), patch_restarted={"changed": True}), True, "would be started anew"),
        (host(plan(reboot_required=["k"])), False, "has to be started anew for k"),
        (host(plan(updates=[LIBC]), patch_ended={"failed": True}), False, "not finished, or not begun"),
    ],
)
def test_what_was_done(variables: t.Dict[str, t.Any], check: bool, line: str) -> None:
    table = FILTERS["patch_table"](["w1", "worker2"], {"w1": variables, "worker2": host()}, check)
    assert table == [f"w1       {line}", "worker2  nothing to do"]


@pytest.mark.parametrize(
    ("updates", "line"),
    [(["libc6"], "says what makes no sense"), ([{**LIBC, "name": "a\x1b[2J"}], r"1 package updated: a\x1b[2J 2")],
)
def test_a_machine_that_says_what_it_likes(updates: t.List[t.Any], line: str) -> None:
    table = FILTERS["patch_table"](["w1"], {"w1": host(patch_updates=plan(updates=updates))})
    assert table == [f"w1  {line}"]


def test_nobody() -> None:
    assert FILTERS["patch_table"]([], {}) == []
