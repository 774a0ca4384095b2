# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.plugin_utils._calendar import is_calendar


class FilterModule:
    """Times of systemd's timers."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {"is_calendar": lambda text: is_calendar(str(text))}
