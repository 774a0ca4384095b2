# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents of dictionaries, lists and values. Private to this collection."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_exactly


def merged(base: t.Any, over: t.Any) -> t.Any:
    """``base`` with ``over`` merged over it: dictionaries key by key, everything else is replaced."""
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    return {**base, **{key: merged(base.get(key), value) for key, value in over.items()}}


def joined(base: t.Any, over: t.Any) -> t.Any:
    """Like :func:`merged`, but a list gets what it has not yet."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{key: joined(base.get(key), value) for key, value in over.items()}}
    if isinstance(base, list) and isinstance(over, list):
        return base + [item for item in over if item not in base]
    return over


def without(base: t.Any, over: t.Any) -> t.Any:
    """What ``base`` has and ``over`` has not, of lists their items; ``None`` when that is nothing."""
    if isinstance(base, dict) and isinstance(over, dict):
        left = {key: without(value, over[key]) if key in over else value for key, value in base.items()}
        return {key: value for key, value in left.items() if value is not None or key not in over} or None
    if isinstance(base, list) and isinstance(over, list):
        return [item for item in base if item not in over] or None
    return None if base == over else base


def read_object(path: str) -> t.Dict[str, t.Any]:
    """The JSON object in a file; empty when nothing is in it, or there is none.

    :raises SlipwayError: with its place when it is none. What is in it is not said.
    """
    text = read_exactly(path)
    try:
        found = json.loads(text) if text.strip() else {}
    except ValueError as error:
        where = f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "its bytes"
        what = error.msg if isinstance(error, json.JSONDecodeError) else "no text"
        raise SlipwayError(f"{path}, {where}, is no JSON: {what}.") from error
    if not isinstance(found, dict):
        raise SlipwayError(f"{path} is no JSON object: it has to begin with a brace.")
    return found
