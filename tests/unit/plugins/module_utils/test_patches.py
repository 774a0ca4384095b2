# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.patches import laid_over, patched

WEB: t.Dict[str, t.Any] = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}


@pytest.mark.parametrize(
    ("base", "over", "expected"),
    [
        ({"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"c": 4}, "e": 5}, {"a": 1, "b": {"c": 4, "d": 3}, "e": 5}),
        ({"a": 1, "b": 2}, {"a": None, "x": None}, {"b": 2}),
        ({"a": None}, {"b": 1}, {"a": None, "b": 1}),
        ([1, 2], [3], [3]),
        (
            [{"name": "a", "x": 1}, {"name": "b"}],
            [{"name": "c"}, {"name": "a", "y": 2}],
            [{"name": "a", "x": 1, "y": 2}, {"name": "b"}, {"name": "c"}],
        ),
        ([{"name": "a"}], [{"key": "b"}], [{"key": "b"}]),
        ([], [{"name": "a"}], [{"name": "a"}]),
        (None, {"a": 1}, {"a": 1}),
        ("x", ["y"], ["y"]),
    ],
)
def test_what_is_laid_over(base: t.Any, over: t.Any, expected: t.Any) -> None:
    assert laid_over(base, over) == expected


def test_an_environment_of_a_container() -> None:
    """A value that came from elsewhere is given instead."""
    base = {"containers": [{"name": "a", "env": [{"name": "X", "valueFrom": {"fieldRef": {}}}]}]}
    over = {"containers": [{"name": "a", "env": [{"name": "X", "value": "1", "valueFrom": None}]}]}
    assert laid_over(base, over) == {"containers": [{"name": "a", "env": [{"name": "X", "value": "1"}]}]}


def test_objects_are_found_by_what_they_are() -> None:
    other = {**WEB, "metadata": {"name": "web", "namespace": "other"}}
    given = [{**WEB, "spec": {"replicas": 1}}, {**other, "spec": {"replicas": 1}}]
    found = patched(given, [{**other, "spec": {"replicas": 3}}], "default")
    assert [item["spec"]["replicas"] for item in found] == [1, 3]
    in_default = {**WEB, "metadata": {"name": "web", "namespace": "default"}, "spec": {"replicas": 2}}
    assert [item["spec"]["replicas"] for item in patched(given, [in_default], "default")] == [2, 1]
    assert patched(given, []) == given


def test_a_part_of_nothing_is_refused() -> None:
    with pytest.raises(SlipwayError, match=r"patches: Deployment\.apps default/api is not among the objects"):
        patched([WEB], [{**WEB, "metadata": {"name": "api"}}], "default")
