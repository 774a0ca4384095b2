#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_runtime
short_description: Give the kubelet of a node another container runtime
version_added: 0.1.0
description:
  - For a node that is drained and has the other container runtime already. The playbook C(change_runtime) calls it.
  - What is to be done is read from the machine each time, so that a call which was killed is finished by the next one.
    The kubelet that is stopped meanwhile comes with the next boot, with the runtime that its files name then.
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.cri_socket
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - With V(moved) the kubelet is stopped, the pods in other container runtimes are ended and removed through their
        own interface, the files of the kubelet get O(cri_socket) and the feature gates that this runtime wants to be
        off, and the kubelet is started again. Containers that are not of Kubernetes stay.
      - With V(alone) what is left is set right once the kubelet runs with it. The annotation of the Node that names the
        socket, where it has one, and the settings of the timer of backups name the other one; the services of the
        others that nobody needs any more are stopped and disabled. Their packages and their configuration stay.
    type: str
    choices: [moved, alone]
    required: true
  remove_images:
    description:
      - Whether O(state=alone) removes the images of the other container runtimes, as long as these run. They stay, with
        a warning, where somebody else may have some there, as podman beside CRI-O, or containers of others in Docker
        Engine.
    type: bool
    default: false
  timeout:
    description:
      - Seconds that containers may take to end by themselves.
    type: int
    default: 20
requirements:
  - systemd
  - crictl
  - a machine that is a node of kubeadm
author:
  - slipway.kubernetes contributors (@slipway)
"""

EXAMPLES = r"""
- name: Give the kubelet the container runtime of the inventory
  slipway.kubernetes.node_runtime:
    cri_socket: unix:///run/containerd/containerd.sock
    state: moved
"""

RETURN = r"""
msg:
  description: What was done, or in check mode would be.
  type: str
  returned: success
  sample: "pods: kube-system/kube-proxy-x2x7k; files: /var/lib/kubelet/instance-config.yaml; kubelet: started"
before:
  description: The socket that the kubelet had.
  type: str
  returned: success
  sample: unix:///run/containerd/containerd.sock
runtime:
  description: The name of the container runtime at O(cri_socket).
  type: str
  returned: success
  sample: crio
stopped:
  description: Whether the kubelet did not run when the module began, as after a call that was killed.
  type: bool
  returned: success
done:
  description: What was done, by its kind; C(pods), C(files), C(kubelet), C(images), C(units), C(annotation).
  type: dict
  returned: success
  sample: {files: [/var/lib/kubelet/instance-config.yaml], kubelet: [started]}
lacking:
  description: Programs that the machine does not have and that O(state=moved) needs.
  type: list
  elements: str
  returned: success
  sample: [crictl]
"""

import json
import os
import stat
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils import _runtimes
from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._etcd.etcd_backup import SETTINGS
from ansible_collections.slipway.kubernetes.plugins.module_utils._files import TextFile, read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._kubelet import kubelet, runtime_endpoint
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, expect_timeout, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import certificates
from ansible_collections.slipway.kubernetes.plugins.module_utils._runtimes.runtime import Runtime
from ansible_collections.slipway.kubernetes.plugins.module_utils._shown import listed
from ansible_collections.slipway.kubernetes.plugins.module_utils._systemd import RUNNING, Unit

_CRICTL = "crictl"
#: Seconds that the kubelet's unit may take to become active.
_START = 60

Done = t.Dict[str, t.List[str]]
#: Pods by the socket of their runtime: identifiers and names.
Pods = t.Dict[str, t.Dict[str, str]]


def summary(done: Done) -> str:
    """What was done, in one line."""
    return "; ".join(f"{kind}: {listed(items)}" for kind, items in done.items()) or "nothing to do"


class NodeRuntime:
    """The kubelet of this machine, and the container runtimes that the machine has."""

    def __init__(self, context: Context) -> None:
        """:raises SlipwayError: when the machine is no node, or nobody knows the runtime."""
        self._context = context
        self._runner = context.runner
        self._socket: str = context.params["cri_socket"]
        self._runtime = _runtimes.chosen(cri_socket=self._socket)
        self._timeout: int = context.params["timeout"]
        expect_timeout(self._timeout)
        if not self._runtime.name:
            raise SlipwayError(
                f"cri_socket is {self._socket}, which has the name of no known container runtime"
                f" ({', '.join(_runtimes.RUNTIMES)}) in its path. Nothing was changed."
            )
        if not os.path.exists(kubelet.KUBECONFIG):
            raise SlipwayError(f"This host is no node: there is no {kubelet.KUBECONFIG}. Nothing was changed.")
        self._texts = runtime_endpoint.present()
        self._before = runtime_endpoint.socket_of(self._texts)
        self._unit = Unit(self._runner, kubelet.UNIT)
        self._stopped = self._unit.properties().get("ActiveState") not in RUNNING

    def run(self) -> t.Dict[str, t.Any]:
        """Do it, or in check mode say what would be done.

        :raises SlipwayError: when something stays, or does not start.
        """
        done, diff = self._move() if self._context.params["state"] == "moved" else self._stay_alone()
        found = {kind: items for kind, items in done.items() if items}
        return {
            "changed": bool(found),
            "msg": summary(found),
            "before": self._before,
            "runtime": self._runtime.name,
            "stopped": self._stopped,
            "done": found,
            "lacking": [] if self._runner.which(_CRICTL, required=False) else [_CRICTL],
            "diff": diff,
        }

    # --- moved

    def _move(self) -> t.Tuple[Done, t.List[t.Dict[str, str]]]:
        version = self._runner.run([self._runner.path("kubelet"), "--version"]).stdout.split()[-1]
        moved = runtime_endpoint.moved(self._texts, self._socket, version)
        files = [self._file(path, text) for path, text in moved.items()]
        pods = self._pods()
        names = sorted(name for found in pods.values() for name in found.values())
        is_moving = bool(files or names)
        done = {"pods": names, "files": [file.path for file in files]}
        done["kubelet"] = ["restarted" if is_moving and not self._stopped else "started"]
        if not is_moving and not self._stopped:
            return {}, []
        diff = [file.diff() for file in files]
        if not self._context.check_mode:
            self._expect()
            if is_moving:
                self._unit.systemctl("stop", self._unit.name)
                self._end(pods)
            for file in files:
                file.write()
            self._unit.systemctl("start", self._unit.name)
            self._unit.wait(_START)
            kubelet.record_running(self._runner)
        return done, diff

    @staticmethod
    def _file(path: str, text: str) -> TextFile:
        status = os.stat(path)
        return TextFile(path, text, stat.S_IMODE(status.st_mode), str(status.st_uid), str(status.st_gid))

    def _others(self) -> t.Dict[str, Runtime]:
        """The other runtimes by their sockets, of which one may be that of the kubelet."""
        found = {f"unix://{runtime.socket}": runtime for runtime in _runtimes.RUNTIMES.values()}
        used = _runtimes.chosen(cri_socket=self._before)
        found = {socket: runtime for socket, runtime in found.items() if runtime.name != used.name}
        found[self._before] = used
        return {socket: runtime for socket, runtime in found.items() if runtime.name != self._runtime.name}

    def _crictl(self, socket: str, *words: str, check: bool = True) -> str:
        argv = [self._runner.path(_CRICTL), f"--runtime-endpoint=unix://{_runtimes.path_of(socket)}", "--timeout=60s"]
        return self._runner.run([*argv, *words], check=check).stdout

    def _pods(self) -> Pods:
        """The pods of Kubernetes in the other runtimes that run."""
        if not self._runner.which(_CRICTL, required=False):
            return {}
        found = {}
        for socket in (socket for socket, runtime in self._others().items() if runtime.is_active(socket)):
            items = json.loads(self._crictl(socket, "pods", "--output=json") or "{}").get("items") or []
            names = {item["id"]: f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in items}
            found[socket] = names
        return {socket: names for socket, names in found.items() if names}

    def _expect(self) -> None:
        """What is needed is there, before the kubelet is stopped.

        :raises SlipwayError: when it is not.
        """
        if not self._runtime.is_active(self._socket):
            raise SlipwayError(
                f"{self._runtime.name} does not listen at {_runtimes.path_of(self._socket)}. Nothing was changed."
                f" See `systemctl status {self._runtime.service}`."
            )
        old = self._others().get(self._before)
        if old is not None:
            self._runner.path(_CRICTL)
            if not old.is_active(self._before):
                raise SlipwayError(
                    f"{old.name}, in which the pods of this node are, does not listen at"
                    f" {_runtimes.path_of(self._before)}, so they cannot be ended. Nothing was changed. Start it"
                    f" (`systemctl start {old.service}`) and run again; where it does not start any more, remove the"
                    " node (remove_node.yml) and add it again."
                )

    def _end(self, pods: Pods) -> None:
        """End the containers of pods, then remove the pods with their networks.

        :raises SlipwayError: when one stays.
        """
        for socket, names in pods.items():
            containers = self._crictl(socket, "ps", "--quiet").split()
            if containers:
                # One that does not end by itself is killed together with its pod.
                self._crictl(socket, "stop", f"--timeout={self._timeout}", *containers, check=False)
            self._crictl(socket, "rmp", "--force", *names, check=False)
        left = sorted(name for names in self._pods().values() for name in names.values())
        if left:
            raise SlipwayError(
                f"These pods cannot be removed: {listed(left)}. The kubelet is stopped, and still has {self._before}."
                " See the log of that runtime; a second run goes on from here."
            )

    # --- alone

    def _stay_alone(self) -> t.Tuple[Done, t.List[t.Dict[str, str]]]:
        done: Done = {"annotation": self._annotate(), "files": [], "images": [], "units": []}
        backup = self._backup_settings()
        diff = [backup.diff()] if backup else []
        if backup:
            done["files"].append(backup.path)
            if not self._context.check_mode:
                backup.write()
        for socket, runtime in self._others().items():
            if self._context.params["remove_images"]:
                done["images"] += self._remove_images(socket, runtime)
            done["units"] += self._stop(runtime)
        return done, diff

    def _annotate(self) -> t.List[str]:
        """Have the Node name the socket, where it has such an annotation.

        :raises SlipwayError: when the API server does not take it.
        """
        key, name = runtime_endpoint.ANNOTATION, certificates.node_name()
        node = kubelet.ask_for_node(name) or {}
        said = ((node.get("metadata") or {}).get("annotations") or {}).get(key, "")
        if not said or runtime_endpoint.is_same(said, self._socket):
            return []
        if not self._context.check_mode and not kubelet.annotate_node(name, {key: self._socket}):
            raise SlipwayError(f"The API server does not take the annotation {key} of the node {name}. Run again.")
        return [self._socket]

    def _backup_settings(self) -> t.Optional[TextFile]:
        """The settings of the timer of backups, when they name another runtime's way to run etcd's tools."""
        text, tool = read_text(SETTINGS), self._runtime.tool_at(self._socket)
        try:
            settings = json.loads(text or "{}")
        except ValueError:
            return None
        if not isinstance(settings, dict) or settings.get("tool", tool) == tool:
            return None
        return self._file(SETTINGS, json.dumps({**settings, "tool": tool}, indent=1, sort_keys=True) + "\n")

    def _remove_images(self, socket: str, runtime: Runtime) -> t.List[str]:
        if not runtime.is_active(socket) or not self._runner.which(_CRICTL, required=False):
            return []
        before = self._crictl(socket, "images", "--quiet").split()
        users = runtime.image_users(self._runner) if before else ""
        if users:
            self._context.warn(
                f"The images of {runtime.name} stay: {users} may need some, and whose an image is cannot be told."
            )
            return []
        if self._context.check_mode or not before:
            return before
        self._crictl(socket, "rmi", "--all", check=False)
        after = self._crictl(socket, "images", "--quiet").split()
        return [image for image in before if image not in after]

    def _stop(self, runtime: Runtime) -> t.List[str]:
        found = []
        for unit in (Unit(self._runner, name) for name in runtime.idle_units(self._runner)):
            properties = unit.properties()
            if properties.get("LoadState") != "loaded":
                continue
            if properties.get("ActiveState") in RUNNING or properties.get("UnitFileState") == "enabled":
                found.append(unit)
        for unit in found if not self._context.check_mode else ():
            unit.systemctl("disable", "--now", unit.name)
        return [unit.name for unit in found]


ARGUMENTS: t.Dict[str, t.Any] = {
    "cri_socket": _runtimes.CRI_SOCKET,
    "state": {"type": "str", "choices": ["moved", "alone"], "required": True},
    "remove_images": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 20},
}


def main() -> None:
    run_module(ARGUMENTS, lambda context: NodeRuntime(context).run())


if __name__ == "__main__":
    main()
