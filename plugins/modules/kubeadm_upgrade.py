#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm_upgrade
short_description: Upgrades what kubeadm manages on a node
version_added: 0.1.0
description:
  - Runs C(kubeadm upgrade apply) on the first control plane of a cluster, or C(kubeadm upgrade node) on the others and
    on workers, with the installed kubeadm, whose version must be the one that is asked for.
  - Whether there is anything to do is read from the static pods' manifests, the cluster's ConfigMap C(kubeadm-config)
    and the version that the node's kubelet reports.
  - A call that was killed is finished by the next one. A kubeadm that is still running is waited for; a manifest that
    it has left in its backup only is put back; then kubeadm is run again.
  - On a control plane it ends when the API server of this machine is ready and all its static pods run with the new
    images.
  - The kubelet is neither upgraded nor restarted, and the node is not drained.
  - kubeadm renews all certificates of a control plane that it manages when it upgrades it.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
    details:
      - Says which components would go from which version to which. Without the new kubeadm the version that etcd would
        get is not known.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  operation:
    description:
      - V(apply) upgrades the cluster's configuration and this first control plane.
      - V(node) upgrades another control plane, or the kubelet's configuration on a worker.
      - V(recover) only makes the control plane of a machine run again on which a call of this module was killed.
        It does nothing on others.
      - V(wait) upgrades nothing. It only waits until the control plane of a machine is healthy, such as after a reboot,
        and does nothing on workers.
    type: str
    choices: [apply, node, recover, wait]
    required: true
  version:
    description: The version to go to, such as V(1.37.1). Not needed for O(operation=recover) and O(operation=wait).
    type: str
  name:
    description: Name of the Node object; by default that of the host.
    type: str
  ignore_preflight_errors:
    description: Checks of kubeadm that only warn.
    type: list
    elements: str
    default: []
  patches:
    description:
      - Folder on the host with kubeadm's patches for static pods and the kubelet's configuration. kubeadm does not keep
        where those are that a node was made with, and makes the files anew.
    type: path
    default: ""
  timeout:
    description: Seconds that a running kubeadm, the API server, and the static pods are waited for, each.
    type: int
    default: 300
requirements:
  - kubeadm of the version that is asked for, and kubectl
"""

EXAMPLES = r"""
- name: Upgrade the first control plane
  slipway.kubernetes.kubeadm_upgrade:
    operation: apply
    version: 1.37.1
  when: inventory_hostname == control_plane

- name: Wait until a control plane that was started anew is healthy
  slipway.kubernetes.kubeadm_upgrade:
    operation: wait

- name: Upgrade the other nodes
  slipway.kubernetes.kubeadm_upgrade:
    operation: node
    version: 1.37.1
  when: inventory_hostname != control_plane
"""

RETURN = r"""
action:
  description:
    - What was done, or would be in check mode. With V(finished) an earlier call was killed, and this one has finished
      its work.
    - With V(recovered) manifests were put back.
  type: str
  choices: [none, upgraded, finished, recovered]
  returned: success
  sample: upgraded
components:
  description: What goes from which version to which; on workers nothing but the kubelet's configuration is upgraded.
  type: list
  elements: dict
  returned: success
  sample: [{name: kube-apiserver, before: 1.36.4, after: 1.37.1}]
kubelet_version:
  description: The version that the node's kubelet reports; empty with O(operation=recover) and O(operation=wait).
  type: str
  returned: success
  sample: 1.36.4
kubelet_pending:
  description: Whether the kubelet that runs is not of the version that is asked for.
  type: bool
  returned: success
"""

import os
import re
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _predicates as predicates
from ansible_collections.slipway.kubernetes.plugins.module_utils import _records, _waiting
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import (
    CommandError,
    SlipwayError,
)
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import api_server
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube import kube_objects as kube
from ansible_collections.slipway.kubernetes.plugins.module_utils._kube.kubectl import Kubectl
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import kubeadm as _kubeadm
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubeadm import upgrade
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet.kubelet import untold_name
from ansible_collections.slipway.kubernetes.plugins.module_utils._layout import KUBEADM
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, expect_timeout, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._node import node_facts

_ADMIN = KUBEADM.admin
_KUBELET = KUBEADM.kubelet
#: What kubeadm prints after a check of its own that failed begins so; the lines before say what it did.
_WARNING = re.compile(r"^(?:W\d{4} [\d:.]+ +\d+ \S+\] )(.*)$", re.MULTILINE)
_CONFIGURATION = re.compile(r"^kubernetesVersion: [\"']?v?([^\s\"']+)", re.MULTILINE)

#: Seconds until a kubelet that has just started has seen whether it starts static pods anew.
SETTLING = 10

_LOG_LINE = re.compile(r"^[EIW]\d{4} [\d:.]+ ")

Component = t.Dict[str, str]


def reasons(stderr: str) -> str:
    """Why kubeadm has failed: the end of what it printed, without its log and its advice."""
    lines = [line.strip() for line in stderr.splitlines()]
    said = [line for line in lines if line and not _LOG_LINE.match(line) and "--v=5" not in line]
    errors = [line for line in said if line.startswith(("[ERROR", "error:"))]
    return "\n".join((errors or said or lines)[-8:]) or "it printed nothing"


def numbers(version: str) -> t.List[int]:
    """The numbers in a version, to compare it with another."""
    return [int(number) for number in re.findall(r"\d+", version)]


def configured_version(text: str) -> str:
    """The version in kubeadm's ClusterConfiguration; empty when there is none."""
    match = _CONFIGURATION.search(text)
    return match.group(1) if match else ""


def seconds_since(microseconds: str, now: float) -> float:
    """Seconds since a moment that systemd says, in microseconds of ``CLOCK_MONOTONIC``; 0 when it says none.

    :param now: the time of that clock.
    """
    return now - int(microseconds) / 1e6 if microseconds.isdigit() else 0.0


def pod_problem(name: str, pod: t.Optional[kube.Object], image: str) -> str:
    """Why a static pod does not run ``image`` yet, as a sentence; empty when it is Ready with it."""
    if pod is None:
        return f"{name}: the kubelet has not reported it"
    images = [container["image"] for container in pod["spec"]["containers"]]
    if image not in images:
        return f"{name}: runs {', '.join(images)}, not {image}"
    problem = predicates.pod_problem(pod)
    return f"{name}: {problem}" if problem else ""


class KubeadmUpgrade:
    """The upgrade of what kubeadm manages on this node to one version."""

    def __init__(self, context: Context) -> None:
        params = context.params
        self._check_mode = context.check_mode
        self._warn = context.warn
        self._operation: str = params["operation"]
        self._version: str = (params["version"] or "").lstrip("v")
        self._name: str = params["name"] or untold_name()
        self._ignored: t.List[str] = params["ignore_preflight_errors"]
        self._patches: str = params["patches"]
        self._timeout: int = params["timeout"]
        self._runner = context.runner
        self._control_plane = bool(upgrade.static_pods())
        self._kubectl = Kubectl(self._runner, _ADMIN if self._control_plane else _KUBELET, request_timeout=10)

    def argv(self, kubeadm: str) -> t.List[str]:
        """kubeadm's command line."""
        argv = [kubeadm, "upgrade", self._operation]
        if self._operation == "apply":
            argv += [f"v{self._version}", "--yes"]
        if self._patches:
            argv.append(f"--patches={self._patches}")
        return [*argv, f"--ignore-preflight-errors={','.join(self._ignored)}"] if self._ignored else argv

    def _check_options(self) -> None:
        """:raises SlipwayError: when kubeadm, or what comes after it, would fail by them half-way."""
        expect_timeout(self._timeout)
        if self._patches and not os.path.isdir(self._patches):
            raise SlipwayError(
                f"patches: there is no folder {self._patches} on this host, and kubeadm was not run. Put kubeadm's"
                " patches there, or leave the option out when this host has none."
            )

    def run(self) -> t.Dict[str, t.Any]:
        """Upgrade, finish, or leave alone.

        :raises SlipwayError: when kubeadm fails or the control plane does not come up.
        """
        self._check_options()
        if self._operation == "wait":
            if not self._check_mode:
                self._wait_for_api()
                self._wait_for_pods()
            return self._result("none", [], "")
        if not self._check_mode:
            _kubeadm.wait_for_running(self._timeout)
        record = _records.UPGRADE.read()
        lost = upgrade.lost_manifests() if record is not None else {}
        if lost and not self._check_mode:
            upgrade.restore_manifests(lost)
            self._control_plane = True
            self._kubectl = Kubectl(self._runner, _ADMIN, request_timeout=10)
        if self._operation == "recover":
            if record is not None and self._control_plane and not self._check_mode:
                self._wait_for_api()
            return self._result("recovered" if lost else "none", [{"name": name} for name in lost], "")
        if self._control_plane and not self._check_mode:
            self._wait_for_api()
        kubelet = self._kubelet_version()
        components = self._components()
        pending = kubelet != self._version
        if record is None and not components and not (pending and self._operation == "node"):
            if not self._check_mode:
                self._wait_for_pods()
            return self._result("none", [], kubelet)
        if not self._check_mode:
            self._upgrade()
        return self._result("upgraded" if record is None else "finished", components, kubelet)

    def _result(self, action: str, components: t.List[Component], kubelet: str) -> t.Dict[str, t.Any]:
        before, after = ("".join(f"{part['name']} {part.get(side, '')}\n" for part in components)
                         for side in ("before", "after"))  # fmt: skip
        return {
            "changed": action != "none",
            "action": action,
            "components": components,
            "kubelet_version": kubelet,
            "kubelet_pending": bool(kubelet) and kubelet != self._version,
            "diff": {"before_header": self._name, "after_header": self._name, "before": before, "after": after},
        }

    def _components(self) -> t.List[Component]:
        """What is not of the asked version."""
        pods = upgrade.static_pods()
        wanted = {name: f"{image.rpartition(':')[0]}:v{self._version}" for name, image in pods.items()}
        if "etcd" in pods:
            wanted["etcd"] = self._etcd_image(pods["etcd"])
        versions = upgrade.kube_version
        before, after = versions(pods), versions(wanted)
        # kubeadm never gives etcd an older version than it has.
        if "etcd" in pods and numbers(after["etcd"]) < numbers(before["etcd"]):
            after["etcd"] = before["etcd"]
        found = [
            {"name": name, "before": before[name], "after": after[name]} for name in pods if before[name] != after[name]
        ]
        if self._operation == "apply":
            configured = configured_version(self._configuration("kubeadm-config", "ClusterConfiguration"))
            if configured != self._version:
                found.append({"name": "kubeadm-config", "before": configured, "after": self._version})
        return found

    def _etcd_image(self, present: str) -> str:
        """The image that kubeadm gives to etcd; the present one as long as that kubeadm is not installed."""
        kubeadm = self._runner.which("kubeadm", required=False)
        if kubeadm is None or _kubeadm.Kubeadm(self._runner).version().lstrip("v") != self._version:
            return present
        repository = present.rpartition("/")[0]
        argv = [kubeadm, "config", "images", "list", f"--kubernetes-version=v{self._version}"]
        images = self._runner.run([*argv, f"--image-repository={repository}"]).stdout.split()
        # A tag that the user has chosen in the ClusterConfiguration stays the user's.
        if "imageTag" in self._configuration("kubeadm-config", "ClusterConfiguration"):
            return present
        return next((image for image in images if image.rpartition("/")[2].startswith("etcd:")), present)

    def _configuration(self, name: str, key: str) -> str:
        """A text of a ConfigMap in kube-system; empty when there is none."""
        return str((self._ask(f"configmap/{name}", "--namespace=kube-system").get("data") or {}).get(key, ""))

    def _kubelet_version(self) -> str:
        """The version of the kubelet that runs; on a worker without kubectl, of the one that is installed."""
        if not self._control_plane and self._runner.which("kubectl", required=False) is None:
            return node_facts.first_version(self._runner.run([self._runner.path("kubelet"), "--version"]).stdout)
        info = self._ask(f"node/{self._name}").get("status", {}).get("nodeInfo", {})
        return str(info.get("kubeletVersion", "")).lstrip("v")

    def _ask(self, *arguments: str) -> kube.Object:
        """An object, as soon as the API server gives it: the one that was asked may be restarting."""
        wait = _waiting.Wait(min(self._timeout, 60), pause=1)
        while True:
            try:
                return self._kubectl.get(*arguments)
            except CommandError as error:
                if not kube.is_transient(error.result.stderr) or wait.is_over:
                    raise
            wait.sleep()

    def _upgrade(self) -> None:
        kubeadm = _kubeadm.Kubeadm(self._runner)
        found = kubeadm.version().lstrip("v")
        if found != self._version:
            raise SlipwayError(f"kubeadm {found} is installed on this host, and {self._version} is needed to upgrade.")
        if self._operation == "apply":
            self._validate(kubeadm)
        _records.UPGRADE.begin(self._operation, version=self._version)
        try:
            self._runner.run(self.argv(kubeadm.path))
        except CommandError as error:
            result = error.result
            raise SlipwayError(
                f"kubeadm upgrade {self._operation} failed (rc {result.rc}): {reasons(result.stderr)}",
                **result.as_return_values(),
            ) from error
        self._wait_for_api()
        self._wait_for_pods()
        _records.UPGRADE.end()

    def _validate(self, kubeadm: _kubeadm.Kubeadm) -> None:
        """Let the new kubeadm read the cluster's configuration before it changes anything.

        :raises SlipwayError: with kubeadm's words when it refuses.
        """
        texts = [
            self._configuration("kubeadm-config", "ClusterConfiguration"),
            self._configuration("kubelet-config", "kubelet"),
            self._configuration("kube-proxy", "config.conf"),
        ]
        argv = [kubeadm.path, "config", "validate", "--config=/dev/stdin"]
        result = self._runner.run(argv, stdin="\n---\n".join(text for text in texts if text), check=False)
        for line in _WARNING.findall(result.stderr):
            self._warn(f"kubeadm {self._version} says about the cluster's configuration: {line}")
        if result.rc != 0:
            said = _kubeadm.masked(result.stderr).strip()
            raise SlipwayError(
                f"kubeadm {self._version} refuses the cluster's configuration (ConfigMaps kubeadm-config,"
                f" kubelet-config and kube-proxy in kube-system), nothing was upgraded: {said}"
            )

    def _wait_for_api(self) -> None:
        """Wait until the API server of this control plane is ready."""
        if not self._control_plane:
            return
        self._wait(lambda: [] if api_server.is_ready() else ["the API server of this host is not ready"])

    def _wait_for_pods(self) -> None:
        """Wait until the static pods of this control plane run what their manifests say."""
        if not self._control_plane:
            return

        def look() -> t.List[str]:
            images = upgrade.static_pods()
            result = self._kubectl.run(
                "get", "pods", "--namespace=kube-system", f"--field-selector=spec.nodeName={self._name}",
                "--output=json", check=False,
            )  # fmt: skip
            if result.rc != 0:
                return [kube.complaint(result)]
            pods = {pod["metadata"]["name"]: pod for pod in kube.expand(kube.documents(result.stdout), "kubectl")}
            problems = [pod_problem(name, pods.get(f"{name}-{self._name}"), images[name]) for name in images]
            # A new kubelet reports first, and then starts the static pods anew whose manifest it reads in another way.
            if self._kubelet_age() < SETTLING:
                problems.append("the kubelet has just started")
            if not api_server.is_ready():
                problems.append("the API server of this host is not ready")
            return [problem for problem in problems if problem]

        self._wait(look)

    def _kubelet_age(self) -> float:
        """Seconds since the kubelet was started."""
        argv = [self._runner.path("systemctl"), "show", "--value", "--property=ExecMainStartTimestampMonotonic"]
        started = self._runner.run([*argv, "kubelet.service"]).stdout.strip()
        return seconds_since(started, time.clock_gettime(time.CLOCK_MONOTONIC))

    def _wait(self, look: t.Callable[[], t.List[str]]) -> None:
        wait = _waiting.Wait(self._timeout)
        missing = look()
        while missing:
            if wait.is_over:
                raise SlipwayError(
                    f"The control plane of this host is not healthy after {self._timeout} seconds: "
                    + "; ".join(missing)
                    + ". See `journalctl --unit kubelet` and /var/log/pods/kube-system_* there; then run again."
                )
            wait.sleep()
            missing = look()


ARGUMENTS: t.Dict[str, t.Any] = {
    "operation": {"type": "str", "choices": ["apply", "node", "recover", "wait"], "required": True},
    "version": {"type": "str"},
    "name": {"type": "str"},
    "ignore_preflight_errors": {"type": "list", "elements": "str", "default": []},
    "patches": {"type": "path", "default": ""},
    "timeout": {"type": "int", "default": 300},
}


def main() -> None:
    run_module(
        ARGUMENTS,
        lambda context: KubeadmUpgrade(context).run(),
        required_if=[("operation", "apply", ["version"]), ("operation", "node", ["version"])],
    )


if __name__ == "__main__":
    main()
