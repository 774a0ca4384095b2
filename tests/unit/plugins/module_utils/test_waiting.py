# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils import _waiting
from ansible_collections.slipway.kubernetes.tests.unit.plugins.kube_fakes import Clock


def test_what_is_there_is_not_waited_for(clock: Clock) -> None:
    assert _waiting.until(lambda: "there", 10) == "there" and clock.pauses == []


def test_it_looks_until_there_is_something(clock: Clock) -> None:
    seen = iter(["", "", "there"])
    assert _waiting.until(lambda: next(seen), 10, pause=2) == "there" and clock.pauses == [2, 2]


@pytest.mark.parametrize(("timeout", "looks"), [(0, 1), (1, 3), (1.2, 4)])
def test_the_last_look_comes_when_the_time_is_over(clock: Clock, timeout: float, looks: int) -> None:
    seen: t.List[float] = []
    assert _waiting.until(lambda: seen.append(clock.now), timeout) is None
    assert len(seen) == looks and seen[-1] >= timeout


def test_pauses_grow(clock: Clock) -> None:
    wait = _waiting.Wait(10, pause=1, growth=2, longest=3)
    for _pause in range(4):
        wait.sleep()
    assert clock.pauses == [1, 2, 3, 3]
    assert (wait.elapsed, wait.left, wait.is_over) == (9, 1, False)
    wait.sleep()
    assert (wait.left, wait.is_over) == (-2, True)
