# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import typing as t
from pathlib import Path

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.slipway.kubernetes.plugins.module_utils import _command
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import (
    CommandError,
    CommandResult,
    Runner,
    SlipwayError,
)
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

Work = t.Callable[[Runner], t.Any]


@pytest.fixture
def in_module(run_module: ModuleRunner) -> t.Callable[..., t.Any]:
    """Runs commands for real, for a real module."""

    def run(work: Work, **environment: str) -> t.Any:
        done: t.List[t.Any] = []

        def main() -> None:
            module = AnsibleModule(argument_spec={})
            done.append(work(Runner(module, environment)))
            module.exit_json()

        run_module(main, {})
        return done[0]

    return run


def error_of(work: Work) -> t.Callable[[Runner], SlipwayError]:
    def run(runner: Runner) -> SlipwayError:
        with pytest.raises(SlipwayError) as caught:
            work(runner)
        return caught.value

    return run


def test_result(in_module: t.Callable[..., t.Any]) -> None:
    result = in_module(lambda runner: runner.run(["sh", "-c", "cat; echo warned >&2"], stdin="Ärger"))
    assert result == CommandResult(["sh", "-c", "cat; echo warned >&2"], 0, "Ärger\n", "warned\n")
    assert result.as_return_values() == {"cmd": result.argv, "rc": 0, "stdout": "Ärger\n", "stderr": "warned\n"}


def test_no_shell_and_paths_as_words(in_module: t.Callable[..., t.Any]) -> None:
    result = in_module(lambda runner: runner.run(["echo", "~", "$HOME;*", Path("/tmp")]))
    assert (result.stdout, result.argv) == ("~ $HOME;* /tmp\n", ["echo", "~", "$HOME;*", "/tmp"])


def test_environment(in_module: t.Callable[..., t.Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    run = ["sh", "-c", "echo $LC_ALL $LANGUAGE $ONE $TWO"]
    assert in_module(lambda runner: runner.run(run), ONE="1").stdout == "C C 1\n"
    assert in_module(lambda runner: runner.run(run, environment={"TWO": "2"}), ONE="1").stdout == "C C 1 2\n"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("/opt/x:/usr/local/bin:/usr/bin:/bin", "/opt/x:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"),
        (":/sbin", "/sbin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/bin"),
    ],
)
def test_root_without_a_path_of_root(
    in_module: t.Callable[..., t.Any], monkeypatch: pytest.MonkeyPatch, given: str, expected: str
) -> None:
    """So `su` leaves it on Debian; dpkg refuses to work then."""
    monkeypatch.setenv("PATH", given)
    assert in_module(lambda runner: runner.run(["/bin/sh", "-c", "echo $PATH"])).stdout == f"{expected}\n"


def test_failure_says_what_the_command_said(in_module: t.Callable[..., t.Any]) -> None:
    script = "for i in $(seq 20); do echo line $i >&2; done; echo out; exit 3"
    error = in_module(error_of(lambda runner: runner.run(["/bin/sh", "-c", script])))
    assert isinstance(error, CommandError)
    lines = error.msg.splitlines()
    assert lines[0] == "sh -c failed (rc 3): line 9" and lines[-1] == "line 20" and len(lines) == 12
    assert (error.details["rc"], error.details["stdout"], error.details["cmd"][0]) == (3, "out\n", "/bin/sh")
    assert error.result.rc == 3 and str(error) == error.msg


@pytest.mark.parametrize(
    ("script", "message"),
    [("echo only out; exit 1", "It broke (rc 1): only out"), ("exit 2", "It broke (rc 2): it printed nothing")],
)
def test_failure_in_words_of_ours(in_module: t.Callable[..., t.Any], script: str, message: str) -> None:
    error = in_module(error_of(lambda runner: runner.run(["sh", "-c", script], failure="It broke")))
    assert error.msg == message


def test_failure_that_is_expected(in_module: t.Callable[..., t.Any]) -> None:
    assert in_module(lambda runner: runner.run(["false"], check=False)).rc == 1
    error = in_module(error_of(lambda runner: runner.run(["false"])))
    assert error.msg == "false failed (rc 1): it printed nothing"


def test_where_tools_are(in_module: t.Callable[..., t.Any]) -> None:
    for find in (lambda runner: runner.which("sh"), lambda runner: runner.path("sh")):
        path = in_module(find)
        assert os.path.basename(path) == "sh" and os.access(path, os.X_OK)
    assert in_module(lambda runner: runner.which("no-such-tool", required=False)) is None
    for find in (lambda runner: runner.which("no-such-tool"), lambda runner: runner.path("no-such-tool")):
        assert in_module(error_of(find)).msg.startswith("no-such-tool is not installed on this host")


def test_a_tool_that_an_installer_keeps_to_itself(
    in_module: t.Callable[..., t.Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_command, "program", lambda name: f"/of/its/own/{name}")
    assert in_module(lambda runner: runner.path("no-such-tool")) == "/of/its/own/no-such-tool"
    # What the system finds by itself goes before.
    assert not in_module(lambda runner: runner.path("sh")).startswith("/of/its/own")
