# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import types
import typing as t
import unittest.mock

import pytest
from ansible.utils import color
from ansible_collections.slipway.kubernetes.plugins.action import kubeadm_certs_info

RESULT = {
    "changed": False,
    "table": ["CERTIFICATE  DAYS LEFT", "apiserver    -1", "admin.conf   7", "ca           3000"],
    "certificates": [{"urgency": "expired"}, {"urgency": "soon"}, {"urgency": "valid"}],
}


def run(args: t.Mapping[str, t.Any], result: t.Mapping[str, t.Any]) -> t.List[str]:
    """What the action prints."""
    task = types.SimpleNamespace(action="kubeadm_certs_info", args=args, async_val=0, check_mode=False)
    mock = unittest.mock.MagicMock
    action = kubeadm_certs_info.ActionModule(task, mock(), mock(), mock(), mock(), mock())
    with unittest.mock.patch.object(
        action, "_execute_module", return_value=dict(result)
    ) as execute, unittest.mock.patch.object(kubeadm_certs_info, "Display") as display:
        assert action.run(task_vars={"inventory_hostname": "cp1"}) == result
    assert execute.call_args.kwargs["module_args"] == args
    return [call.args[0] for call in display().display.call_args_list]


def test_the_table_has_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(color, "ANSIBLE_COLOR", True)
    (shown,) = run({"show": True}, RESULT)
    assert shown.splitlines()[:2] == ["cp1:", "  CERTIFICATE  DAYS LEFT"]
    codes = [line.partition("m")[0] for line in shown.splitlines()[2:]]
    assert codes == ["\x1b[0;31", "\x1b[0;33", "\x1b[0;32"]


def test_the_table_has_no_colours_where_ansible_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(color, "ANSIBLE_COLOR", False)
    (shown,) = run({"show": "yes"}, RESULT)
    assert shown.splitlines()[2:] == ["  apiserver    -1", "  admin.conf   7", "  ca           3000"]


@pytest.mark.parametrize(("args", "result"), [({}, RESULT), ({"show": True}, {"failed": True}), ({"show": False}, {})])
def test_nothing_to_show(args: t.Mapping[str, t.Any], result: t.Mapping[str, t.Any]) -> None:
    assert run(args, result) == []
