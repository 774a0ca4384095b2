# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between a document that the inventory asks for and the one that a cluster has, field by field.

kubeadm fills in defaults when it stores a document, and Kubernetes writes values in a form of its own (``1m0s`` for
``60s``, ``1Gi`` for ``1024Mi``). Neither is a difference. Private to this collection; runs on the controller.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import ipaddress
import json
import re
import typing as t
from fractions import Fraction

Document = t.Mapping[str, t.Any]

NOT_SET = "not set"
#: Where a field is that the other side does not have.
ABSENT = object()

_UNITS = {"ns": Fraction(1, 10**9), "us": Fraction(1, 10**6), "µs": Fraction(1, 10**6), "ms": Fraction(1, 1000)}
_UNITS.update({"s": Fraction(1), "m": Fraction(60), "h": Fraction(3600)})
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_SCALES = {"": Fraction(1), "n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000)}
_SCALES.update({suffix: Fraction(10 ** (3 * power)) for power, suffix in enumerate("kMGTPE", start=1)})
_SCALES.update({f"{suffix}i": Fraction(1024**power) for power, suffix in enumerate("KMGTPE", start=1)})
_QUANTITY = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)([numkMGTPE]|[KMGTPE]i)?")
_SECRET = re.compile(r"secret|passw|token|psk|credential|private", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Rules:
    """What is known about the fields of a kind of document.

    :param defaults: what kubeadm fills in, by the pattern of the field's path; a collection has all that it may be.
    :param optional: patterns of fields for which a zero (``false``, ``0``) says something else than their absence.
    :param ignored: patterns of fields that are compared elsewhere or say nothing.
    :param texts: patterns of fields that are text, whatever they look like.
    """

    defaults: t.Mapping[str, t.Any] = dataclasses.field(default_factory=dict)
    optional: t.Tuple[str, ...] = ()
    ignored: t.Tuple[str, ...] = ("apiVersion", "kind")
    texts: t.Tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Difference:
    """A field with two values.

    :param path: its names, with dots between them.
    :param present: its value in the cluster; :data:`ABSENT` when it has none.
    :param wanted: its value by the inventory; :data:`ABSENT` when that says none.
    """

    path: str
    present: t.Any
    wanted: t.Any

    @property
    def words(self) -> t.Tuple[str, str]:
        """Both values for people, the cluster's first; those that may be secret are not shown."""
        present, wanted = shown(self.present), shown(self.wanted)
        if _SECRET.search(self.path):
            present, wanted = (text if text == NOT_SET else "another one (not shown)" for text in (present, wanted))
        return present, wanted


def printable(text: str) -> str:
    """Text that may come from a node, without what a terminal would follow."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def shown(value: t.Any) -> str:
    """A value as one word or a few."""
    if value is ABSENT or value in (None, "", [], {}):
        return NOT_SET
    return printable(value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str))


def duration(text: str) -> t.Optional[Fraction]:
    """Seconds of what Go calls a duration; ``None`` when it is none."""
    body = text.lstrip("+-")
    if body == "0":
        return Fraction(0)
    parts = _DURATION_PART.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        return None
    total = sum((Fraction(number.rstrip(".") or "0") * _UNITS[unit] for number, unit in parts), Fraction(0))
    return -total if text.startswith("-") else total


def quantity(text: str) -> t.Optional[Fraction]:
    """What Kubernetes calls a quantity, as a number; ``None`` when it is none."""
    match = _QUANTITY.fullmatch(text)
    return Fraction(match[1].rstrip(".")) * _SCALES[match[2] or ""] if match else None


def as_network(text: str, strict: bool = True) -> t.Union[ipaddress.IPv4Network, ipaddress.IPv6Network]:
    """A network as Go reads it: an address and the length of the prefix. Python takes a netmask and a zone, too.

    :raises ValueError: when it is none, with the reason.
    """
    if not re.fullmatch(r"[0-9a-fA-F:.]+/[0-9]+", text):
        raise ValueError(f"{text or '(empty)'} is not a network")
    return ipaddress.ip_network(text, strict=strict)


def networks(text: str) -> t.Optional[t.Tuple[str, ...]]:
    """The networks and addresses of a list with commas, in their canonical form; ``None`` when it has other things."""
    parts = [part.strip() for part in text.split(",")]
    try:
        return tuple(str(as_network(part, False) if "/" in part else ipaddress.ip_address(part)) for part in parts)
    except ValueError:
        return None


def _text(value: t.Any) -> str:
    if value is None or value is ABSENT:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value).strip()


def same(one: t.Any, other: t.Any) -> bool:
    """Whether two values that are no collections mean the same."""
    left, right = _text(one), _text(other)
    # Two texts of digits alone may be numbers, versions or names: they are what they look like.
    digits = all(isinstance(value, str) and value[-1:].isdigit() for value in (one, other))
    return left == right or any(
        meant is not None and meant == read(right)
        for read in (duration, networks, *([] if digits else [quantity]))
        for meant in [read(left)]
    )


def is_zero(value: t.Any) -> bool:
    """Whether Go leaves out or fills in such a value where nothing was said."""
    return value in (None, ABSENT, False, 0, "", []) or (isinstance(value, str) and duration(value) == 0)


def compare(wanted: Document, present: Document, rules: Rules) -> t.List[Difference]:
    """The fields that differ, sorted by their paths."""
    found: t.List[Difference] = []
    _walk("", wanted, present, rules, found)
    return sorted(found, key=lambda difference: difference.path)


def settled(wanted: Document, present: Document, differences: t.Iterable[Difference]) -> t.Dict[str, t.Any]:
    """The document of the cluster with the fields of ``differences`` as they are wanted, and all others as they are.

    Of a list whose items have names all is as wanted when one of them differs.
    """
    found = _settle("", wanted, present, {difference.path for difference in differences})
    return found if isinstance(found, dict) else {}


def _settle(path: str, wanted: t.Any, present: t.Any, paths: t.Collection[str]) -> t.Any:
    if path in paths:
        return ABSENT if wanted is None else wanted
    if path and not any(other.startswith(f"{path}.") for other in paths):
        return present
    if isinstance(wanted, list) or isinstance(present, list):
        return ABSENT if wanted is None else wanted
    left, right = (value if isinstance(value, dict) else {} for value in (wanted, present))
    found = {
        key: _settle(f"{path}.{key}" if path else str(key), left.get(key, ABSENT), right.get(key, ABSENT), paths)
        for key in {**right, **left}
    }
    return {key: value for key, value in found.items() if value is not ABSENT}


def _matches(path: str, patterns: t.Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def _walk(path: str, wanted: t.Any, present: t.Any, rules: Rules, found: t.List[Difference]) -> None:
    if _matches(path, rules.ignored):
        return
    wanted, present = _by_name(wanted), _by_name(present)
    nested = [value for value in (wanted, present) if isinstance(value, dict)]
    if nested and all(isinstance(value, dict) or _is_empty(value) for value in (wanted, present)):
        left, right = (value if isinstance(value, dict) else {} for value in (wanted, present))
        for key in {**left, **right}:
            below = f"{path}.{key}" if path else str(key)
            _walk(below, left.get(key, ABSENT), right.get(key, ABSENT), rules, found)
    elif not _is_same(path, wanted, present, rules):
        found.append(Difference(path, present, wanted))


def _is_same(path: str, wanted: t.Any, present: t.Any, rules: Rules) -> bool:
    if isinstance(wanted, (list, tuple)) or isinstance(present, (list, tuple)):
        order = list if isinstance(wanted, tuple) else sorted
        if order(_items(wanted)) == order(_items(present)):
            return True
        return (
            _is_default(path, present, rules)
            if _is_empty(wanted)
            else _is_empty(present) and _is_said(path, wanted, rules)
        )
    if wanted is ABSENT or wanted is None:
        return _is_default(path, present, rules)
    if _is_unsaid(path, present, rules) and not same(wanted, present):
        default = _default(path, rules)
        if default is not ABSENT:
            return _means(wanted, default)
        return is_zero(wanted) and not (_matches(path, rules.optional) and not _is_empty(wanted))
    return _text(wanted) == _text(present) if _matches(path, rules.texts) else same(wanted, present)


def _is_said(path: str, wanted: t.Any, rules: Rules) -> bool:
    """Whether the default says what the inventory does, where the cluster says nothing."""
    default = _default(path, rules)
    return default is not ABSENT and _means(wanted, default)


def _default(path: str, rules: Rules) -> t.Any:
    return next((value for pattern, value in rules.defaults.items() if fnmatch.fnmatchcase(path, pattern)), ABSENT)


def _is_default(path: str, present: t.Any, rules: Rules) -> bool:
    """Whether the cluster has a field just because kubeadm fills it in."""
    if _is_unsaid(path, present, rules):
        return True
    default = _default(path, rules)
    return default is not ABSENT and _means(present, default)


def _is_unsaid(path: str, present: t.Any, rules: Rules) -> bool:
    """Whether the cluster says nothing about a field; kubeadm stores a zero there, too."""
    return _is_empty(present) or (is_zero(present) and not _matches(path, rules.optional))


def _is_empty(value: t.Any) -> bool:
    """Whether it says nothing at all, other than ``false`` and ``0``."""
    return value is ABSENT or value is None or (isinstance(value, (str, list, dict)) and not value)


def _means(value: t.Any, default: t.Any) -> bool:
    """Whether the value is the default, or one of several."""
    if isinstance(default, tuple):
        return any(same(value, one) for one in default)
    if isinstance(value, list) or isinstance(default, list):
        return sorted(_items(value)) == sorted(_items(default))
    return same(value, default)


def _by_name(value: t.Any) -> t.Any:
    """Arguments of kubeadm (``{name, value}``) and other lists of things with names as a dictionary.

    A name that stands there more than once has a tuple: the order of its values counts.
    """
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) and "name" in item for item in value):
        return value
    found: t.Dict[str, t.List[t.Any]] = {}
    for item in value:
        rest = {key: part for key, part in item.items() if key != "name"}
        found.setdefault(str(item["name"]), []).append(rest["value"] if set(rest) == {"value"} else rest)
    return {name: items[0] if len(items) == 1 else tuple(items) for name, items in found.items()}


def _items(value: t.Any) -> t.List[str]:
    """The items of a list as texts; none when there is no list."""
    if value is ABSENT or value is None:
        return []
    items = value if isinstance(value, (list, tuple)) else [value]
    return [
        json.dumps(item, sort_keys=True, default=str) if isinstance(item, (dict, list)) else _text(item)
        for item in items
    ]
