# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calendar expressions of systemd's timers, as systemd.time(7) has them.

A timer with one that systemd cannot read does not start, and one that ran until then never elapses again.

Private to this collection; runs on the controller.
"""

from __future__ import annotations

import re
import typing as t

_SHORT = re.compile(r"(minute|hour|dai|month|week|year|annual|anual|quarter|(semi|bi)-?annual)ly", re.IGNORECASE)
_DAY = r"(mon(day)?|tue(sday)?|wed(nesday)?|thu(rsday)?|fri(day)?|sat(urday)?|sun(day)?)"
_WEEKDAYS = re.compile(rf"{_DAY}((,|-|\.\.){_DAY})*", re.IGNORECASE)
_ITEM = r"[0-9]+(?:\.\.[0-9]+)?(?:/[0-9]+)?"
_LIST = rf"\*|{_ITEM}(?:,{_ITEM})*"
_SECOND = _ITEM.replace("[0-9]+", r"[0-9]+(?:\.[0-9]+)?")
_DATE = re.compile(rf"(?:(?P<year>{_LIST})-)?(?P<month>{_LIST})[-~](?P<day>{_LIST})")
_TIME = re.compile(rf"(?P<hour>{_LIST}):(?P<minute>{_LIST})(?::(?P<second>\*|{_SECOND}(?:,{_SECOND})*))?")
_ZONE = re.compile(r"[A-Za-z][-+\w]*(/[-+\w]+)*", re.ASCII)
_EPOCH = re.compile(r"@[0-9]+")
_LIMITS = {"year": (0, 9999), "month": (1, 12), "day": (1, 31), "hour": (0, 23), "minute": (0, 59), "second": (0, 60)}


def is_calendar(text: str) -> bool:
    """Whether systemd reads it as times of a timer; that a time zone exists is for the machine to say."""
    words = text.split(" ")
    known = 0
    if _SHORT.fullmatch(words[0]) or _EPOCH.fullmatch(words[0]):
        known, words = 1, words[1:]
    else:
        for pattern in (_WEEKDAYS, _DATE, _TIME):
            match = pattern.fullmatch(words[0]) if words else None
            if match and all(_fits(name, part) for name, part in match.groupdict().items() if part):
                known, words = known + 1, words[1:]
    return known > 0 and (not words or (len(words) == 1 and bool(_ZONE.fullmatch(words[0]))))


def _fits(name: str, part: str) -> bool:
    """Whether the numbers of one part can be those of a month, an hour, ..."""
    least, most = _LIMITS[name]
    for item in part.split(",") if part != "*" else ():
        span, slash, step = item.partition("/")
        bounds: t.List[float] = [float(number) for number in span.split("..")]
        if bounds != sorted(bounds) or bounds[0] < least or bounds[-1] > most:
            return False
        if slash and (float(step) == 0 or bounds[0] + float(step) > most):
            return False
    return True
