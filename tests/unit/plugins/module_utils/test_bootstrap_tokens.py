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
RECORDED: t.Dict[str, t.Any] = {
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


def stored(
    token: str, expires: str = "", description: str = "", usages: t.Iterable[str] = (), groups: t.Iterable[str] = ()
) -> t.Dict[str, t.Any]:
    """The Secret that kubeadm makes of a token, as the API server returns it."""
    token_id, secret = token.split(".")
    data = {"token-id": token_id, "token-secret": secret, "expiration": expires, "description": description}
    data.update({f"usage-bootstrap-{usage}": "true" for usage in usages}, **{"auth-extra-groups": ",".join(groups)})
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items() if value}
    return {**RECORDED, "metadata": {**RECORDED["metadata"], "name": f"bootstrap-token-{token_id}"}, "data": encoded}


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


def test_secrets_of_tests_are_what_kubeadm_makes() -> None:
    expires = bootstrap.timestamp(EXPIRES)
    assert stored(TOKEN, expires, "", ["signing", "authentication"], [bootstrap.GROUP]) == RECORDED


def test_describe_leaves_the_secret_out() -> None:
    described = bootstrap.describe(RECORDED)
    assert described == {
        "token_id": "abcdef",
        "description": "",
        "expires": "2026-11-22T06:51:54Z",
        "usages": ["authentication", "signing"],
        "groups": ["system:bootstrappers:kubeadm:default-node-token"],
    }
    made = stored(TOKEN, "", "d", ["signing"], ["b", "a"])
    made["data"]["usage-bootstrap-authentication"] = base64.b64encode(b"false").decode()
    described = bootstrap.describe(made)
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
        stored(f"{name}.0123456789abcdef", expires)
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


def test_a_secret_that_is_no_text() -> None:
    odd = {**stored("uvwxyz.0123456789abcdef"), "data": {"token-id": "dXZ3eHl6", "description": "Z3L8bg=="}}
    listed, _runner = tokens({"get secrets": json.dumps({"items": [odd, stored(TOKEN)]})})
    assert [token["token_id"] for token in listed.list()] == ["abcdef", "uvwxyz"]
    assert listed.has(TOKEN) and not listed.has("abcdef.ffffffffffffffff") and not listed.has("uvwxyz.None")


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
