# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases of Helm.

Private to this collection.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import CommandError, Runner, SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kube_objects as kube
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.bootstrap_tokens import parse_time
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.helm_work import HelmWork
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl

#: Seconds that a helm of somebody else gets besides its timeout.
_MINUTE = 60


def chart_name(chart: str, version: str) -> str:
    """The chart's own name, as it stands before the version in ``helm list``."""
    base = chart.rstrip("/").rsplit("/", 1)[-1]
    for suffix in (".tgz", ".tar.gz"):
        if base.endswith(suffix):
            base = base[: -len(suffix)]
            if base.endswith(f"-{version}"):
                base = base[: -len(version) - 1]
    return base


def is_version(chart: str, name: str, version: str) -> bool:
    """Whether ``chart`` in ``helm list`` is what Helm takes for a version: v1.2.3 and 1.2.3+build are 1.2.3, too."""
    found = chart if "+" in version else chart.partition("+")[0]
    bare = version.lstrip("v")
    return found in (f"{name}-{bare}", f"{name}-v{bare}")


class HelmRelease:
    """One release of Helm as it shall be, and as the cluster has it."""

    def __init__(self, params: t.Mapping[str, t.Any], runner: Runner, check_mode: bool = False) -> None:
        self._params = params
        self._runner = runner
        self._check_mode = check_mode
        self._kubectl = Kubectl(runner, params["kubeconfig"])
        self._work = HelmWork(params["namespace"], params["name"], params["timeout"])

    def query_argv(self, helm: str, *arguments: str) -> t.List[str]:
        """The command line of a helm command about this namespace."""
        return [
            helm,
            *arguments,
            f"--namespace={self._params['namespace']}",
            f"--kubeconfig={self._params['kubeconfig']}",
        ]

    def upgrade_argv(self, helm: str, values_file: str) -> t.List[str]:
        """The command line that installs or upgrades the release."""
        params = self._params
        argv = self.query_argv(helm, "upgrade", params["name"], params["chart"])
        argv += ["--install", f"--version={params['version']}", f"--values={values_file}"]
        argv += ["--reset-values", f"--timeout={params['timeout']}s"]
        if params["repository"]:
            argv.append(f"--repo={params['repository']}")
        if params["plain_http"]:
            argv.append("--plain-http")
        if params["ca_file"]:
            argv.append(f"--ca-file={params['ca_file']}")
        return argv

    def run(self) -> t.Dict[str, t.Any]:
        """Install or upgrade the release when it differs.

        :raises SlipwayError: when helm or kubectl fail.
        """
        name = self._params.get("chart_name") or chart_name(self._params["chart"], self._params["version"])
        wanted = {
            "chart": f"{name}-{self._params['version']}",
            "values": self._params["values"],
            "status": "deployed",
        }
        helm = self._runner.which("helm", required=not self._check_mode)
        current = self._settled(helm) if helm and self._kubectl.configured else None
        revision = current.pop("revision") if current else ""
        if current and is_version(str(current["chart"]), name, self._params["version"]):
            current["chart"] = wanted["chart"]
        content = self._params.get("content")
        if content:
            # A chart of files has a version, and yet may have been changed.
            wanted["content"] = content
            if current:
                current["content"] = self._params.get("content_before", "")
        result: t.Dict[str, t.Any] = {"changed": current != wanted, "action": "none"}
        if result["changed"]:
            result["action"] = "upgraded" if current else "installed"
            header = f"release {self._params['namespace']}/{self._params['name']}"
            result["diff"] = {
                "before_header": header,
                "after_header": header,
                "before": json.dumps(current, indent=2, sort_keys=True) + "\n" if current else "",
                "after": json.dumps(wanted, indent=2, sort_keys=True) + "\n",
            }
            if current and str(current["status"]).startswith("pending-"):
                result["recovered"] = current["status"]
            if not self._check_mode:
                self._insist(self._runner.path("helm"), revision if "recovered" in result else "")
        return result

    def _current(self, helm: str) -> t.Optional[t.Dict[str, t.Any]]:
        """Chart, values and status of the release as it is; ``None`` when there is none."""
        name = self._params["name"]
        listed = self._runner.run(self.query_argv(helm, "list", "--all", f"--filter=^{name}$", "--output=json"))
        # The filter is a regular expression, in which the dot of a name is any character.
        release = next((item for item in json.loads(listed.stdout or "[]") if item["name"] == name), None)
        if release is None:
            return None
        # A release that is pending keeps its last complete revision's values out of sight; it is done again anyway.
        values = self._runner.run(
            self.query_argv(helm, "get", "values", name, "--output=json"), check=release["status"] == "deployed"
        )
        return {
            "chart": release["chart"],
            "values": (json.loads(values.stdout) if values.rc == 0 else None) or {},
            "status": release["status"],
            "revision": release["revision"],
        }

    def _settled(self, helm: str) -> t.Optional[t.Dict[str, t.Any]]:
        """The release when no helm is at work on it any more; in check mode as it is.

        A revision that is pending belongs to nobody when a helm of ours on this machine has begun it, and is no more.
        Another helm may work somewhere else: it gets as long as ours would, and a minute.

        :raises SlipwayError: when a helm on this machine takes longer.
        """
        patience = self._params["timeout"] + _MINUTE
        wait = _waiting.Wait(patience, pause=2)
        while True:
            current = self._current(helm)
            pending = current is not None and str(current["status"]).startswith("pending-")
            if self._check_mode or current is None or not pending:
                return current
            created, running = self._created(str(current["revision"])), self._work.running()
            if not running and (created is None or self._work.is_ours(created) or time.time() - created > patience):
                return current
            if running and wait.is_over:
                raise SlipwayError(
                    f"helm (process {running[0]}) is at work on the release {self._params['name']} on this host, and"
                    f" has not ended in {patience} seconds: nothing was changed. Run again when it has ended."
                )
            wait.sleep()

    def _insist(self, helm: str, pending_revision: str) -> None:
        """Run helm, and again when the API server went away meanwhile, for a minute."""
        wait = _waiting.Wait(_MINUTE, pause=2, growth=2, longest=10)
        tried = False
        while True:
            try:
                self._upgrade(helm, self._left(helm) if tried else pending_revision)
                return
            except CommandError as error:
                if wait.is_over or not kube.is_away(error.result.stderr):
                    raise
            tried = True
            wait.sleep()

    def _left(self, helm: str) -> str:
        """The revision that a helm has left behind pending; empty when there is none."""
        current = self._settled(helm)
        return str(current["revision"]) if current and str(current["status"]).startswith("pending-") else ""

    def _created(self, revision: str) -> t.Optional[float]:
        """When a revision was begun, by the API server's clock; ``None`` when it is gone."""
        record = f"secret/sh.helm.release.v1.{self._params['name']}.v{revision}"
        where = f"--namespace={self._params['namespace']}"
        path = "--output=jsonpath={.metadata.creationTimestamp}"
        return parse_time(self._kubectl.run("get", record, where, path, "--ignore-not-found").stdout)

    def _make_namespace(self, namespace: str) -> None:
        labels = kube.as_values(self._params["namespace_labels"], "namespace_labels")
        document: kube.Object = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": namespace, "labels": labels},
        }
        live, result = kube.read(self._kubectl, [document], "--show-managed-fields")
        if result.rc != 0:
            # What is not known of its labels would be taken away from others.
            raise SlipwayError(f"The namespace {namespace} could not be read: {kube.complaint(result)}")
        document = kube.with_labels_of(document, live[0] if live else None, "slipway")
        self._kubectl.run(
            "apply", "--server-side", "--field-manager=slipway", "--filename=-", stdin=json.dumps(document)
        )

    def _upgrade(self, helm: str, pending_revision: str) -> None:
        """Run helm, after what an interrupted helm left behind has been put aside."""
        name, namespace = self._params["name"], self._params["namespace"]
        if pending_revision:
            # helm refuses a release with a pending revision for ever ("another operation is in progress"). Without
            # that revision's record it goes on from the last complete one and takes over the objects it had made.
            record = f"sh.helm.release.v1.{name}.v{pending_revision}"
            self._kubectl.run("delete", "secret", record, f"--namespace={namespace}", "--ignore-not-found")
        if self._params.get("create_namespace", True):
            self._make_namespace(namespace)
        handle, values_file = tempfile.mkstemp(prefix="slipway-", suffix=".json")
        try:
            with os.fdopen(handle, "w") as stream:
                json.dump(self._params["values"], stream)
            self._work.begin()
            self._runner.run(
                self.upgrade_argv(helm, values_file), failure=f"The release {namespace}/{name} could not be installed"
            )
            self._work.end()
        except SlipwayError:
            self._work.fail()
            raise
        finally:
            os.unlink(values_file)
