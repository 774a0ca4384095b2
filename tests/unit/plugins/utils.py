# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests of modules have in common."""

from __future__ import annotations

import json
import typing as t

import ansible.module_utils
import pytest
from ansible.module_utils import basic
from ansible.module_utils.common.parameters import PASS_VARS


class ModuleRunner:
    """Runs a module's ``main()`` in this process; a test gets it as the fixture ``run_module``."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(
        self, main: t.Callable[[], None], options: t.Mapping[str, t.Any], check: bool = False, diff: bool = True
    ) -> t.Dict[str, t.Any]:
        """What the module printed; ``failed`` is always there.

        >>> assert run_module(swap.main, {"state": "absent"}, check=True)["changed"]
        """
        internal = {"_ansible_check_mode": check, "_ansible_diff": diff, "_ansible_remote_tmp": "/tmp"}
        if "inject_invocation" in PASS_VARS:
            # ansible-core 2.21 and later prints the arguments only when it is told to; what is secret there is tested.
            internal["_ansible_inject_invocation"] = True
        arguments = {"ANSIBLE_MODULE_ARGS": {**options, **internal}}
        self._monkeypatch.setattr(basic, "_ANSIBLE_ARGS", json.dumps(arguments).encode())
        # ansible-core 2.19 and later
        self._monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
        # Tests of action plugins make this process a controller, where warnings do not go into the result (2.19+).
        internals = getattr(ansible.module_utils, "_internal", None)
        if internals is not None:
            self._monkeypatch.setattr(internals, "is_controller", False, raising=False)
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return {"failed": bool(ended.value.code), **json.loads(self._capsys.readouterr().out)}


def as_seen(variables: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """A host's variables with ``slipway_node`` as what a task of this run has registered."""
    others = {name: value for name, value in variables.items() if name != "slipway_node"}
    return {**others, "cluster_look": {"ansible_facts": {"slipway_node": variables["slipway_node"]}}}
