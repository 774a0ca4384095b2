# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The frame of every module: results, failures, and what gets into the machine's log of the arguments."""

from __future__ import annotations

import typing as t

import pytest
from ansible.module_utils import basic
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import run_module as frame
from ansible_collections.slipway.kubernetes.plugins.modules import (
    config_files,
    control_plane_files,
    helm_release,
    kube_apply,
    kubeadm_init,
    kubeadm_join,
)
from ansible_collections.slipway.kubernetes.tests.unit.plugins.utils import ModuleRunner

SECRET = "correct\nhorse"
MANIFEST = {"kind": "Secret", "metadata": {"name": "login"}, "stringData": {"password": SECRET}}
FILE = {"path": "/nowhere/login", "secret_content": SECRET}
CONFIG = {"kind": "InitConfiguration", "bootstrapTokens": [{"token": SECRET}]}


@pytest.mark.parametrize(
    ("main", "options"),
    [
        (config_files.main, {"files": [FILE]}),
        (control_plane_files.main, {"files": [{"name": "login", "secret_content": SECRET}]}),
        (helm_release.main, {"name": "x", "namespace": "x", "chart": "x", "version": "1", "values": {"login": SECRET}}),
        (kube_apply.main, {"definition": [MANIFEST]}),
        (kubeadm_init.main, {"config": [CONFIG]}),
        (kubeadm_join.main, {"config": CONFIG, "token": SECRET}),
    ],
)
def test_arguments_are_not_in_the_machines_log(
    main: t.Callable[[], None],
    options: t.Dict[str, t.Any],
    run_module: ModuleRunner,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logged: t.List[str] = []
    monkeypatch.setattr(
        basic.AnsibleModule, "log", lambda _module, msg, log_args=None: logged.append(f"{msg} {log_args}")
    )
    # None of them finds a program here, so nothing is done.
    monkeypatch.setenv("PATH", "/nowhere")
    run_module(main, options, check=True)
    text = "\n".join(logged)
    assert "Invoked with" in text and "values are not logged" in text
    assert "horse" not in text and "correct" not in text


def outcome(run_module: ModuleRunner, run: t.Callable[[Context], t.Dict[str, t.Any]], **options: t.Any) -> t.Any:
    arguments = {"name": {"type": "str"}, "secret": {"type": "str", "no_log": True}}
    return run_module(lambda: frame(arguments, run, required_one_of=[("name", "secret")]), options, check=True)


def test_a_result(run_module: ModuleRunner) -> None:
    def run(context: Context) -> t.Dict[str, t.Any]:
        context.warn(f"check mode: {context.check_mode}")
        return {"said": context.params["name"]}

    result = outcome(run_module, run, name="a")
    assert (result["failed"], result["changed"], result["said"]) == (False, False, "a")
    assert "check mode: True" in str(result["warnings"])
    assert outcome(run_module, lambda _context: {"changed": True}, name="a")["changed"]
    assert "name, secret" in outcome(run_module, run)["msg"]


def test_failures(run_module: ModuleRunner) -> None:
    def refused(_context: Context) -> t.Dict[str, t.Any]:
        raise SlipwayError("Not today.", when="tomorrow")

    def unwritable(_context: Context) -> t.Dict[str, t.Any]:
        raise PermissionError(13, "Permission denied", "/etc/x")

    result = outcome(run_module, refused, name="a")
    assert (result["failed"], result["msg"], result["when"]) == (True, "Not today.", "tomorrow")
    result = outcome(run_module, unwritable, name="a")
    assert result["failed"] and result["msg"] == "A file could not be written: [Errno 13] Permission denied: '/etc/x'"


def test_what_is_hidden_is_hidden_everywhere(run_module: ModuleRunner) -> None:
    def run(context: Context) -> t.Dict[str, t.Any]:
        context.hide_credentials(context.params["name"])
        return {"said": f"{context.params['name']} and {context.params['secret']}"}

    result = outcome(run_module, run, name="https://robot:battery@mirror.example.org", secret="staple")
    assert "mirror.example.org" in result["said"]
    assert "battery" not in str(result) and "staple" not in str(result)
