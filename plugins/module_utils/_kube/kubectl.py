# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talk to the API server through kubectl on the target host, so that nothing else is needed there.

Private to this collection.
"""

from __future__ import annotations

import json
import os
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandResult, Runner
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM

if t.TYPE_CHECKING:
    from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context

#: Options of modules that use :class:`Kubectl`; documented by the fragment ``kubectl``.
KUBECTL_ARGUMENTS: t.Dict[str, t.Any] = {
    "kubeconfig": {"type": "path", "default": KUBEADM.admin},
    "context": {"type": "str"},
}


class Kubectl:
    """kubectl with a kubeconfig, an output format and a request timeout."""

    def __init__(
        self, runner: Runner, kubeconfig: str, context: t.Optional[str] = None, request_timeout: int = 30
    ) -> None:
        """:param request_timeout: seconds that one request to the API server may take."""
        self._runner = runner
        self._kubeconfig = kubeconfig
        self._context = context
        self._request_timeout = request_timeout

    @classmethod
    def of(cls, context: Context) -> Kubectl:
        """The kubectl that a module's options name (``KUBECTL_ARGUMENTS``)."""
        return cls(context.runner, context.params["kubeconfig"], context.params["context"])

    @property
    def configured(self) -> bool:
        """Whether the kubeconfig file exists: on a bare machine in check mode it does not, yet."""
        return os.path.exists(self._kubeconfig)

    def missing(self) -> str:
        """What this host lacks to reach an API server, as a sentence; empty when it lacks nothing."""
        if self._runner.which("kubectl", required=False) is None:
            return "kubectl is not installed on this host."
        if not self.configured:
            return f"The kubeconfig {self._kubeconfig} does not exist on this host."
        return ""

    def argv(self, *arguments: str) -> t.List[str]:
        """The command line for ``arguments``."""
        kubectl = self._runner.path("kubectl")
        words = [kubectl, f"--kubeconfig={self._kubeconfig}", f"--request-timeout={self._request_timeout}s"]
        if self._context:
            words.append(f"--context={self._context}")
        return [*words, *arguments]

    def run(self, *arguments: str, stdin: t.Optional[str] = None, check: bool = True) -> CommandResult:
        """Run kubectl with ``arguments``.

        :raises CommandError: when ``check`` is set and it fails.
        """
        return self._runner.run(self.argv(*arguments), stdin=stdin, check=check)

    def get(self, *arguments: str) -> t.Dict[str, t.Any]:
        """``kubectl get ARGUMENTS --output=json``, parsed; lists are returned as the API's List object.

        :raises CommandError: when it fails; an object that does not exist is a failure, too.
        """
        return json.loads(self.run("get", *arguments, "--output=json").stdout)
