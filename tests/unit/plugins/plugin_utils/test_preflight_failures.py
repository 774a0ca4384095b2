# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a host could not be looked at. The texts are what ansible-core 2.18 and 2.19 print."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.slipway.kubernetes.plugins.plugin_utils._preflight_failures import explain_failure, unreachable


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
        ({"msg": "Missing sudo password"}, "ansible_become", "root cannot be become: Missing sudo password."),
        ({"module_stderr": "sudo: a password is required"}, "ansible_become", "sudo: a password is required."),
        ({"msg": "a\nb\n\nc\nd\ne"}, "node_facts", "the host could not be looked at: b / c / d / e."),
        ({}, "node_facts", "no reason given."),
    ],
)
def test_explain_failure(result: t.Dict[str, t.Any], subject: str, message: str) -> None:
    failure = explain_failure(result)
    assert failure.subject == subject
    assert message in failure.message
    assert failure.remedy


def test_unreachable() -> None:
    assert unreachable("Connection refused!").message == "the host is unreachable: Connection refused!"
    assert unreachable("").message == "the host is unreachable: no reason given."
