# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a row of a table, such as a pod network, finds wrong with the settings of a host.

Private to this collection.
"""

from __future__ import annotations

import typing as t


class Finding(t.NamedTuple):
    """A ``Problem`` of preflight without the host."""

    subject: str
    message: str
    remedy: str
    severity: str = "error"
