# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is a difference between two documents of Kubernetes, and what is the same in another form."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._configuration_differences import (
    Difference,
    Rules,
    compare,
    duration,
    quantity,
    same,
    shown,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0s", 0), ("0", 0), ("60s", 60), ("1m0s", 60), ("1h30m", 5400), ("1.5h", 5400), ("-2s", -2), ("100ms", 0.1)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1", "s", "1 m", "1m0", "ten"])
def test_no_durations(text: str) -> None:
    assert duration(text) is None


@pytest.mark.parametrize(
    ("text", "number"), [("1024Mi", 2**30), ("1Gi", 2**30), ("100m", 0.1), ("0.1", 0.1), ("1e3", 1000), ("1k", 1000)]
)
def test_quantities(text: str, number: float) -> None:
    assert quantity(text) == pytest.approx(number)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (110, "110"),
        (True, "true"),
        ("60s", "1m0s"),
        ("1024Mi", "1Gi"),
        ("500m", "0.5"),
        ("10.244.0.0/16, fd00::/48", "10.244.0.0/16,FD00:0::/48"),
        (None, ""),
        (5.0, 5),
        ("1000", "1k"),
        (1000, "1e3"),
    ],
)
def test_the_same_in_another_form(left: t.Any, right: t.Any) -> None:
    assert same(left, right)
    assert same(right, left)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.1", "1.10"),
        ("007", "7"),
        ("1e3", "1000"),
        ("10.244.0.0/255.255.0.0", "10.244.0.0/16"),
        ("10.0.0.1", "10.0.0.1/32"),
        (110, 111),
        ("60s", "61s"),
        (True, False),
        ("1Gi", "1G"),
        ("10.244.0.0/16", "10.200.0.0/16"),
        ("a", "A"),
    ],
)
def test_something_else(one: t.Any, other: t.Any) -> None:
    assert not same(one, other)


RULES = Rules(
    defaults={"port": 10250, "place": ("/a", "/b"), "enforce": ["pods"]},
    optional=("pointer", "gates.*", "args.*"),
    ignored=("kind", "elsewhere"),
    texts=("tag", "environment.*"),
)


@pytest.mark.parametrize(
    ("wanted", "present"),
    [
        # kubeadm fills in what the inventory does not say
        ({}, {"port": 10250, "place": "/b", "enforce": ["pods"], "frequency": "0s", "log": {"verbosity": 0}}),
        ({}, {"labels": {}, "names": [], "nothing": None, "flag": False}),
        # and leaves out what is its own default
        ({"port": 10250, "flag": False, "frequency": "0s", "names": [], "place": "/a"}, {}),
        ({"kind": "a", "elsewhere": 1}, {"kind": "b", "elsewhere": {"x": 1}}),
        ({"names": ["b", "a"]}, {"names": ["a", "b"]}),
        ({"numbers": [1, 2]}, {"numbers": ["2", "1"]}),
        ({"args": [{"name": "v", "value": "2"}]}, {"args": [{"name": "v", "value": "2"}]}),
        (
            {"args": [{"name": "b", "value": "1"}, {"name": "a", "value": "2"}]},
            {"args": [{"name": "a", "value": "2"}, {"name": "b", "value": "1"}]},
        ),
        (
            {"volumes": [{"name": "audit", "hostPath": "/a", "readOnly": False}]},
            {"volumes": [{"name": "audit", "hostPath": "/a"}]},
        ),
    ],
)
def test_no_difference(wanted: t.Dict[str, t.Any], present: t.Dict[str, t.Any]) -> None:
    assert compare(wanted, present, RULES) == []


@pytest.mark.parametrize(
    ("wanted", "present", "path", "words"),
    [
        ({"maxPods": 50}, {"maxPods": 110}, "maxPods", ("110", "50")),
        ({"maxPods": 50}, {}, "maxPods", ("not set", "50")),
        # an override that was taken out of the inventory
        ({}, {"maxPods": 50}, "maxPods", ("50", "not set")),
        ({"pointer": False}, {}, "pointer", ("not set", "false")),
        ({}, {"pointer": False}, "pointer", ("false", "not set")),
        ({"gates": {"A": False}}, {}, "gates.A", ("not set", "false")),
        ({"port": 10251}, {}, "port", ("not set", "10251")),
        ({}, {"port": 10251}, "port", ("10251", "not set")),
        ({"log": {"verbosity": 3}}, {"log": {"verbosity": 0}}, "log.verbosity", ("0", "3")),
        ({"names": ["a"]}, {"names": ["a", "b"]}, "names", ('["a", "b"]', '["a"]')),
        ({"args": [{"name": "v", "value": "2"}]}, {}, "args.v", ("not set", "2")),
        ({}, {"args": [{"name": "v", "value": "2"}]}, "args.v", ("2", "not set")),
        (
            {"args": [{"name": "issuer", "value": "a"}, {"name": "issuer", "value": "b"}]},
            {"args": [{"name": "issuer", "value": "a"}]},
            "args.issuer",
            ("a", '["a", "b"]'),
        ),
        # of several values of an argument the first signs tokens
        (
            {"args": [{"name": "issuer", "value": "a"}, {"name": "issuer", "value": "b"}]},
            {"args": [{"name": "issuer", "value": "b"}, {"name": "issuer", "value": "a"}]},
            "args.issuer",
            ('["b", "a"]', '["a", "b"]'),
        ),
        # an empty list says no more than none
        ({"args": []}, {"args": [{"name": "threshold", "value": "0"}]}, "args.threshold", ("0", "not set")),
        ({"args": [{"name": "threshold", "value": "0"}]}, {"args": []}, "args.threshold", ("not set", "0")),
        # text is what it looks like
        ({"tag": 1.1}, {"tag": "1.10"}, "tag", ("1.10", "1.1")),
        ({"tag": "1k"}, {"tag": "1000"}, "tag", ("1000", "1k")),
        (
            {"environment": [{"name": "A", "value": "60s"}]},
            {"environment": [{"name": "A", "value": "1m"}]},
            "environment.A",
            ("1m", "60s"),
        ),
        # no value is shown
        ({"client-secret": "s3cret"}, {}, "client-secret", ("not set", "another one (not shown)")),
    ],
)
def test_a_difference(
    wanted: t.Dict[str, t.Any], present: t.Dict[str, t.Any], path: str, words: t.Tuple[str, str]
) -> None:
    found = compare(wanted, present, RULES)
    assert [(difference.path, difference.words) for difference in found] == [(path, words)]


def test_values_for_people() -> None:
    assert shown({"b": 1, "a": [True]}) == '{"a": [true], "b": 1}'
    assert Difference("a", "", []).words == ("not set", "not set")
