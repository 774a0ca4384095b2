# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verify a cluster from one of its control planes and from the controller, and clean up whatever happens."""

from __future__ import annotations

import typing as t
import urllib.request

from ansible.plugins.action import ActionBase
from ansible_collections.slipway.kubernetes.plugins.module_utils import _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._api_endpoints import in_url
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.verify import table

_MODULE = "slipway.kubernetes.cluster_verify"
_LOAD_BALANCER = "the load balancer answers from the controller"


def ask(url: str, expected: t.Container[str], timeout: float) -> str:
    """What is wrong with the answer of a URL to the controller, tried for ``timeout`` seconds; empty when well."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    wait = _waiting.Wait(timeout)
    while True:
        try:
            with opener.open(url, timeout=5) as response:
                answer = response.read(4096).decode("utf-8", "replace")
            problem = "" if answer in expected else f"{url} answered {answer[:80]!r}, which is no pod of this check"
        except OSError as error:
            problem = f"{url}: {error}"
        if not problem or wait.is_over:
            return problem
        wait.sleep()


class ActionModule(ActionBase):
    """Probes on the control plane, asks the load balancer from here, cleans up."""

    TRANSFERS_FILES = False

    def run(self, tmp: t.Any = None, task_vars: t.Optional[t.Dict[str, t.Any]] = None) -> t.Dict[str, t.Any]:
        """The checks and their table; failed when one of them is."""
        task_vars = task_vars or {}
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        try:
            result = self._run_phase("probe", arguments, task_vars)
            if result.get("failed") or result.get("skipped"):
                return result
            for family, address in result.get("load_balancer", {}).items():
                title = f"{_LOAD_BALANCER} by {family}" if family else _LOAD_BALANCER
                timeout = min(int(arguments.get("timeout", 120)), 60)
                result["checks"].append(self._load_balancer(title, address, result["pods"], timeout))
        finally:
            cleaned = {} if self._task.check_mode else self._run_phase("clean", arguments, task_vars)
        if cleaned.get("failed"):
            result["checks"].append({"name": "what was made is deleted", "ok": False, "detail": cleaned.get("msg", "")})
        for internal in ("pods", "load_balancer"):
            result.pop(internal, None)
        failing = [check["name"] for check in result["checks"] if not check["ok"]]
        result["table"] = table(result["checks"])
        result["failed"] = bool(failing)
        if failing:
            result["msg"] = "\n".join([f"The cluster does not work: {', '.join(failing)}.", *result["table"]])
        return result

    def _run_phase(
        self, phase: str, arguments: t.Dict[str, t.Any], task_vars: t.Dict[str, t.Any]
    ) -> t.Dict[str, t.Any]:
        return self._execute_module(module_name=_MODULE, module_args={**arguments, "phase": phase}, task_vars=task_vars)

    @staticmethod
    def _load_balancer(title: str, address: str, pods: t.Container[str], timeout: int) -> t.Dict[str, t.Any]:
        """The check that is made from here."""
        if not address:
            return {"name": title, "ok": False, "detail": "the service got no address"}
        problem = ask(f"http://{in_url(address)}/hostname", pods, timeout)
        return {"name": title, "ok": not problem, "detail": problem or address}
