# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for a state.

Private to this collection.
"""

from __future__ import annotations

import time
import typing as t

T = t.TypeVar("T")


class Wait:
    """The time that something may take, and the pauses between two looks at it.

    :param timeout: seconds.
    :param pause: seconds between two looks.
    :param growth: by what each pause is longer than the one before.
    :param longest: seconds that no pause is longer than.
    """

    def __init__(self, timeout: float, pause: float = 0.5, growth: float = 1.0, longest: float = 60.0) -> None:
        self._begin = time.monotonic()
        self._timeout = timeout
        self._pause = pause
        self._growth = growth
        self._longest = longest

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._begin

    @property
    def left(self) -> float:
        """Seconds until the time is over; negative after it."""
        return self._timeout - self.elapsed

    @property
    def is_over(self) -> bool:
        """Whether a look that has just failed was the last one."""
        return self.left <= 0

    def sleep(self) -> None:
        """Pause until the next look."""
        time.sleep(self._pause)
        self._pause = min(self._pause * self._growth, self._longest)


def until(look: t.Callable[[], T], timeout: float, pause: float = 0.5) -> T:
    """Look again and again until there is something.

    :param look: what it returns is false while there is nothing.
    :param timeout: seconds; with 0 it looks once.
    :param pause: seconds between two looks.
    :returns: what was seen last, which is false when the time is over.
    """
    wait = Wait(timeout, pause)
    while True:
        seen = look()
        if seen or wait.is_over:
            return seen
        wait.sleep()
