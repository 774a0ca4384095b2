# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Times of timers. Each was tried with `systemd-analyze calendar`."""

from __future__ import annotations

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._calendar import is_calendar


@pytest.mark.parametrize(
    "text",
    [
        *("hourly", "HOURLY", "Semi-Annually", "weekly Europe/Berlin", "hourly UTC", "@1700000000"),
        *("*:0/10", "*-*-* 03:00:00", "03:00", "3:00", "03:00:00.5", "*:*:0/30", "*:0/10 Europe/Berlin", "03,15:00"),
        *("Mon,Tue 10:00", "Mon-Fri 10:00", "monday..friday", "Wed,Fri..Sun", "Mon..Wed,Fri *-*-* 1:00"),
        *("*-*~3", "*-02~03/1", "2026-11-30", "11-30", "*-1,4,7,10-1", "26-1-1 1:1", "*-*-1..7,15 3:00"),
        *("*-*-* *:00/15:00", "*-*-* 1..5:00", "*-*-*"),
    ],
)
def test_what_systemd_reads(text: str) -> None:
    assert is_calendar(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", " 03:00", "3", "*", "2 hours", "bad", "0 3 * * *", "@daily", "daily 03:00", "daily,weekly", "*/10"),
        *("*:*/10", "Mo *-*-1..7 3:00", "Mon.. 3:00", "*-*-*T03:00", "2*-*-*", "hourly\n", "03:00\nPersistent=no"),
        *("*-*-* 25:00", "0:60", "*-13-1", "*-*-32", "*-*-* 5..1:00", "*-*-* *:0/0", "0:0/90", "17/14:00", "1.5:00"),
    ],
)
def test_what_systemd_does_not_read(text: str) -> None:
    assert not is_calendar(text)
