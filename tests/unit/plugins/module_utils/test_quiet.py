# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What gets into a machine's log of the arguments that a module was called with."""

from __future__ import annotations

import typing as t

import pytest
from ansible.module_utils import basic
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
