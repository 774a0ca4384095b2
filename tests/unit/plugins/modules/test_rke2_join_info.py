# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._rke2 import supervisor
from ansible_collections.slipway.kubernetes.plugins.module_utils._rke2.tokens import Token
from ansible_collections.slipway.kubernetes.plugins.modules import rke2_join_info
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

PASSWORD = "4f5c2d8e9a1b7c3d6e0f"


@pytest.fixture(name="asked")
def fixture_asked(monkeypatch: pytest.MonkeyPatch) -> t.List[t.Any]:
    """Tokens with which the supervisor was asked."""
    found: t.List[t.Any] = []

    def look(_self: supervisor.Supervisor, token: Token) -> supervisor.Answer:
        found.append(token)
        if token.password == "wrong":
            raise SlipwayError("It refuses the token.")
        return supervisor.Answer(supervisor.STARTING, "It starts", "abc")

    monkeypatch.setattr(supervisor.Supervisor, "look", look)
    return found


@pytest.mark.parametrize(
    ("kind", "token", "asked_with"),
    [
        ("server", PASSWORD, Token("", "server", PASSWORD)),
        ("agent", PASSWORD, Token("", "node", PASSWORD)),
        ("agent", f"K10{'a' * 64}::server:{PASSWORD}", Token("a" * 64, "server", PASSWORD)),
    ],
)
@pytest.mark.parametrize("check", [False, True])
def test_answer(
    run_module: ModuleRunner, asked: t.List[t.Any], kind: str, token: str, asked_with: Token, check: bool
) -> None:
    result = run_module(rke2_join_info.main, {"url": "https://cp1:9345", "token": token, "kind": kind}, check=check)
    assert {name: result[name] for name in ("changed", "state", "msg", "ca_hash")} == {
        "changed": False,
        "state": "starting",
        "msg": "It starts",
        "ca_hash": "abc",
    }
    assert asked == [asked_with]
    assert PASSWORD not in str(result)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"token": "wrong"}, "refuses the token"),
        ({"url": "cp1:9345"}, "no address of a supervisor"),
        ({"timeout": 0}, "has to be 1 second"),
        ({"token": "K10abc"}, "no whole one"),
    ],
)
@pytest.mark.usefixtures("asked")
def test_failures(run_module: ModuleRunner, options: t.Dict[str, t.Any], said: str) -> None:
    given = {"url": "https://cp1:9345", "token": PASSWORD, "kind": "agent", **options}
    result = run_module(rke2_join_info.main, given)
    assert result["failed"] and said in result["msg"]
