# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of objects that are laid over given objects.

Private to this collection.
"""

from __future__ import annotations

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kube_objects as kube


def _names(items: t.Any) -> t.Optional[t.List[str]]:
    """The names of the things in a list, in their order; ``None`` when it is no list of things with a name each."""
    if not isinstance(items, list) or not all(isinstance(item, dict) and "name" in item for item in items):
        return None
    return [str(item["name"]) for item in items]


def laid_over(base: t.Any, over: t.Any) -> t.Any:
    """``base`` with ``over`` laid over it.

    Dictionaries go key by key, and null takes a key out; lists whose entries have names go name by name, as those of
    containers and of their environment; everything else is replaced.
    """
    if isinstance(base, dict) and isinstance(over, dict):
        return {
            key: laid_over(base.get(key), over[key]) if key in over else base[key]
            for key in {**base, **over}
            if key not in over or over[key] is not None
        }
    before, names = _names(base), _names(over)
    if before is None or names is None:
        return over
    given = dict(zip(names, over))
    kept = [laid_over(item, given[name]) if name in given else item for name, item in zip(before, base)]
    return kept + [item for name, item in zip(names, over) if name not in before]


def patched(
    objects: t.Sequence[kube.Object], patches: t.Sequence[kube.Object], namespace: str = ""
) -> t.List[kube.Object]:
    """The objects, each with those of the ``patches`` laid over it that have its kind, namespace and name.

    :param namespace: of those that name none.
    :raises SlipwayError: when one of the patches is for no object.
    """
    found = {kube.reference(item, namespace): item for item in objects}
    for patch in kube.expand(patches, "patches"):
        place = kube.reference(patch, namespace)
        if place not in found:
            raise SlipwayError(f"patches: {place} is not among the objects that are given.")
        found[place] = laid_over(found[place], patch)
    return list(found.values())
