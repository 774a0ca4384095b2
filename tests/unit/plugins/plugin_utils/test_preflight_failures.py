# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a host could not be looked at. The texts are what ansible-core 2.18 and 2.19 print."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight.failures import explain, reason


@pytest.mark.parametrize(
    ("result", "subject", "message"),
    [
        (
            {"rc": 127, "msg": "MODULE FAILURE", "module_stderr": "/bin/sh: 1: /usr/bin/python3: not found\n"},
            "python",
            "no P",
        ),
        ({"msg": "The module interpreter '/usr/bin/python3' was not found."}, "python", "no Python was found"),
        (
            {"rc": 127, "module_stdout": "/bin/sh: line 1: /opt/python: No such file or directory"},
            "python",
            "no Python",
        ),
        (
            {
                "msg": "ansible-core requires a minimum of Python version 3.8. Current version: 3.6.15 (default, ...)",
                "failed": True,
            },
            "python",
            "Python 3.6.15 is too old for Ansible's modules (3.8 or newer).",
        ),
        (
            {"module_stderr": "SyntaxError: future feature annotations is not defined"},
            "python",
            "Python of the host is too old for Ansible's modules (3.8 or newer).",
        ),
        ({"msg": "Missing sudo password"}, "ansible_become", "the user cannot become root: Missing sudo password."),
        (
            {"module_stderr": "sudo: sorry, you must have a tty to run sudo\n"},
            "ansible_become",
            "sudo on the host wants a terminal (requiretty)",
        ),
        ({"module_stderr": "sudo: a password is required"}, "ansible_become", "sudo: a password is required."),
        ({"msg": "a\nb\n\nc\nd\ne"}, "node_facts", "the host could not be looked at: b / c / d / e."),
        ({}, "node_facts", "no reason given."),
    ],
)
def test_explain(result: t.Dict[str, t.Any], subject: str, message: str) -> None:
    failure = explain({"failed": True, **result})
    assert failure
    assert failure.subject == subject
    assert message in failure.message
    assert failure.remedy


def test_unreachable() -> None:
    failure = explain({"unreachable": True, "msg": "Connection refused!"})
    assert failure
    assert (failure.subject, failure.message) == ("connection", "the host is unreachable: Connection refused!")


def test_what_worked_needs_no_explanation() -> None:
    assert explain({"changed": False}) is None


def test_reason() -> None:
    assert reason({"msg": "No such version. Nothing was changed."}) == "No such version."
    assert reason({}) == "no reason given."
