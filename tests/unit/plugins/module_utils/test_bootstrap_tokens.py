# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import base64
import json
import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import bootstrap_tokens as bootstrap
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl
from ansible_collections.slipway.kubernetes.tests.unit.plugins.package_fakes import FakeRunner

TOKEN = "abcdef.0123456789abcdef"
# The Secret as `kubeadm token create --dry-run` of kubeadm 1.37.1 prints it.
RECORDED = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system"},
    "type": "bootstrap.kubernetes.io/token",
    "data": {
        "auth-extra-groups": "c3lzdGVtOmJvb3RzdHJhcHBlcnM6a3ViZWFkbTpkZWZhdWx0LW5vZGUtdG9rZW4=",
        "expiration": "MjAyNi0xMS0yMlQwNjo1MTo1NFo=",
        "token-id": "YWJjZGVm",
        "token-secret": "MDEyMzQ1Njc4OWFiY2RlZg==",
        "usage-bootstrap-authentication": "dHJ1ZQ==",
        "usage-bootstrap-signing": "dHJ1ZQ==",
    },
}
EXPIRES = 1795330314.0


def stored(secret: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """The Secret as the API server returns it."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in secret["stringData"].items()}
    return {**{key: value for key, value in secret.items() if key != "stringData"}, "data": data}


@pytest.mark.parametrize(
    ("text", "seconds"), [("15m", 900), ("1h30m", 5400), ("90", 90), ("2h", 7200), ("1h1m1s", 3661), ("5s", 5)]
)
def test_durations(text: str, seconds: int) -> None:
    assert bootstrap.duration_seconds(text) == seconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is no duration"),
        ("soon", "'soon' is no duration; write for example 15m"),
        ("-5m", "is no duration"),
        ("30m1h", "is no duration"),
        ("0", "never expires is not made"),
        ("0h0m", "never expires is not made"),
    ],
)
def test_bad_durations(text: str, message: str) -> None:
    with pytest.raises(SlipwayError, match=message):
        bootstrap.duration_seconds(text)


def test_secret_is_what_kubeadm_makes() -> None:
    made = bootstrap.secret_object(
        TOKEN, bootstrap.timestamp(EXPIRES), "", ["signing", "authentication"], [bootstrap.GROUP]
    )
    assert made["stringData"].pop("description") == ""
    assert stored(made) == RECORDED


def test_secret_without_groups() -> None:
    data = bootstrap.secret_object(TOKEN, "", "d", ["signing"], iter([]))["stringData"]
    assert "auth-extra-groups" not in data and "usage-bootstrap-authentication" not in data
    assert (data["description"], data["usage-bootstrap-signing"]) == ("d", "true")


def test_describe_leaves_the_secret_out() -> None:
    described = bootstrap.describe(RECORDED)
    assert described == {
        "token_id": "abcdef",
        "description": "",
        "expires": "2026-11-22T06:51:54Z",
        "usages": ["authentication", "signing"],
        "groups": ["system:bootstrappers:kubeadm:default-node-token"],
    }
    made = bootstrap.secret_object(TOKEN, "", "d", ["signing"], ["b", "a"])
    made["stringData"]["usage-bootstrap-authentication"] = "false"
    described = bootstrap.describe(stored(made))
    assert (described["description"], described["usages"], described["groups"]) == ("d", ["signing"], ["a", "b"])
    assert bootstrap.describe({"data": None}) == {
        "token_id": "",
        "description": "",
        "expires": "",
        "usages": [],
        "groups": [],
    }


@pytest.mark.parametrize(
    ("expires", "now", "expired"),
    [
        ("2026-11-22T06:51:54Z", EXPIRES - 1, False),
        ("2026-11-22T06:51:54Z", EXPIRES, True),
        ("", EXPIRES, False),
        ("some day", EXPIRES, False),
    ],
)
def test_expiry(expires: str, now: float, expired: bool) -> None:
    assert bootstrap.is_expired({"expires": expires}, now) is expired


def tokens(answers: t.Mapping[str, t.Any]) -> t.Tuple[bootstrap.BootstrapTokens, FakeRunner]:
    runner = FakeRunner(answers, tools=("kubectl",))
    return bootstrap.BootstrapTokens(Kubectl(runner, "/k")), runner


def test_list_is_ordered_and_without_expired_ones() -> None:
    items = [
        stored(bootstrap.secret_object(f"{name}.0123456789abcdef", expires, "", [], []))
        for name, expires in [("zzzzzz", ""), ("expird", "2001-01-01T00:00:00Z"), ("aaaaaa", "2999-01-01T00:00:00Z")]
    ]
    found, runner = tokens({"get secrets": json.dumps({"items": items})})
    assert [token["token_id"] for token in found.list()] == ["aaaaaa", "zzzzzz"]
    assert runner.calls[0][3:] == [
        "get",
        "secrets",
        "--namespace=kube-system",
        "--field-selector=type=bootstrap.kubernetes.io/token",
        "--output=json",
    ]


def test_created_by_standard_input() -> None:
    found, runner = tokens({"create": ""})
    secret = bootstrap.secret_object(TOKEN, "", "", [], [])
    found.create(secret)
    assert runner.calls[0][3:] == ["create", "--filename=-"]
    assert json.loads(runner.stdins[0] or "") == secret
    assert TOKEN[7:] not in " ".join(runner.calls[0])


def test_delete() -> None:
    found, runner = tokens({"delete": ""})
    found.delete([])
    assert runner.calls == []
    found.delete(name for name in ("abcdef", "uvwxyz"))
    assert runner.calls[0][3:] == [
        "delete",
        "secret/bootstrap-token-abcdef",
        "secret/bootstrap-token-uvwxyz",
        "--namespace=kube-system",
        "--ignore-not-found",
    ]
