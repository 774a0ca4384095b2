# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which control plane serves a run, and which ones a run lacks."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.filter.cluster_view import cluster_view

NAMES = ("cp1", "cp2", "cp3")
BARE: t.Dict[str, t.Any] = {"control_plane": False, "joined": False, "unfinished": None, "api_ready": False}
DOWN = {**BARE, "control_plane": True, "joined": True}
READY = {**DOWN, "api_ready": True}
HALF = {**READY, "unfinished": {"operation": "join"}}


def look(state: t.Any) -> t.Dict[str, t.Any]:
    return {"cluster_look": {"ansible_facts": {"slipway_node": {"kubernetes": state}}}}


def view(*states: t.Any, play_hosts: t.Sequence[str] = NAMES) -> t.Dict[str, t.Any]:
    """Of control planes in the order of their names; ``None`` is one that was not looked at."""
    hostvars = {name: {} if state is None else look(state) for name, state in zip(NAMES, states)}
    return cluster_view(NAMES, hostvars, play_hosts)


@pytest.mark.parametrize(
    ("states", "primary"),
    [
        ((BARE, BARE, BARE), "cp1"),
        ((BARE, DOWN, READY), "cp3"),
        ((BARE, DOWN, BARE), "cp2"),
        # Half a control plane serves nobody.
        ((HALF, DOWN, BARE), "cp2"),
        ((HALF, BARE, BARE), "cp1"),
        ((None, READY, READY), "cp2"),
        ((None, None, None), "cp1"),
        ((), "cp1"),
        # A machine says of itself what makes no sense.
        (("x", None, READY), "cp3"),
    ],
)
def test_primary(states: t.Tuple[t.Any, ...], primary: str) -> None:
    assert view(*states)["primary"] == primary


def test_an_inventory_without_control_planes_has_no_primary() -> None:
    assert cluster_view([], {})["primary"] == ""


def test_what_was_seen() -> None:
    applied = {**READY, "upgrading": {"operation": "apply", "version": "1.37.1"}}
    node = {**READY, "upgrading": {"operation": "node"}}
    found = view(applied, node, {**READY, "upgrading": {}})
    assert (found["seen"], found["ready"], found["upgrading"]) == (list(NAMES), list(NAMES), ["cp1"])
    assert view(None, DOWN, None)["seen"] == ["cp2"]
    forged = {**look(READY), "ansible_facts": look(READY)}
    assert cluster_view(NAMES, {"cp1": forged})["seen"] == []


@pytest.mark.parametrize(
    ("states", "play_hosts", "left_out"),
    [
        ((READY, READY, READY), NAMES, []),
        ((READY, READY, READY), ["cp1", "cp2"], ["cp3"]),
        ((READY, None, READY), ["cp1", "cp3"], ["cp2"]),
        # What it says of itself makes no sense, or nothing of that.
        ((READY, "x", READY), ["cp1", "cp3"], ["cp2"]),
        ((READY, {}, READY), ["cp1", "cp3"], ["cp2"]),
        # It is known to have nothing yet.
        ((READY, BARE, READY), ["cp1", "cp3"], []),
    ],
)
def test_left_out(states: t.Tuple[t.Any, ...], play_hosts: t.List[str], left_out: t.List[str]) -> None:
    assert view(*states, play_hosts=play_hosts)["left_out"] == left_out
