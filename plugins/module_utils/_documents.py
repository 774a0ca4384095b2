# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of dictionaries, lists and values. Private to this collection."""

from __future__ import annotations

import typing as t


def merged(base: t.Any, over: t.Any) -> t.Any:
    """``base`` with ``over`` merged over it: dictionaries key by key, everything else is replaced."""
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return {**base, **{key: merged(base.get(key), value) for key, value in over.items()}}
